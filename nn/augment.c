/* augment -- shift, flip, noise and cut-out of samples, in place
 *
 * An image is rows of pixels of `bytes` each, whatever its dtype. */
#include "autograd/tape/ahead.h"
#include "autograd/tape/format.h"
#include "nn/random.h"

#include <math.h>
#include <string.h>

bool ag_sample_fail(ag_sample *sample, const char *format, ...) {
    if (!sample || !sample->why || !format) return false;
    va_list args;
    va_start(args, format);
    ag__format_list(sample->why, AG__REASON, format, args);
    va_end(args);
    return false;
}

typedef struct image {
    char *data;
    ag_dtype dtype;
    int64_t rows, columns, channels;
    size_t bytes; /* of a pixel */
} image;

static bool part_exists(ag_sample *s, const char *name, int part) {
    if (part >= 0 && part < s->parts) return true;
    return ag_sample_fail(s, "%s: part %d is out of range: a sample has %d, from 0 on", name, part, s->parts);
}

static bool find_image(ag_sample *s, const char *name, int part, image *to) {
    if (!part_exists(s, name, part)) return false;
    const ag_shape *shape = &s->part[part].shape;
    if (shape->rank != 2 && shape->rank != 3)
        return ag_sample_fail(s, "%s: part %d has %d axes: (H,W,C) or (H,W) is wanted", name, part, shape->rank);
    *to = (image){s->data[part],
                  s->part[part].dtype,
                  shape->extent[0],
                  shape->extent[1],
                  shape->rank == 3 ? shape->extent[2] : 1,
                  0};
    to->bytes = (size_t)to->channels * ag_dtype_size(to->dtype);
    return true;
}

static char *pixel(const image *x, int64_t row, int64_t column) {
    return x->data + (size_t)(row * x->columns + column) * x->bytes;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- Filling ---- */

/* The number in the image's dtype; false, with a reason, if that cannot hold it. */
static bool value_in(ag_sample *s, const char *name, const image *x, double value, char to[8]) {
    const float f32 = (float)value;
    const bool whole = value == floor(value) && fabs(value) < 0x1p63;
    if (x->dtype == AG_F64) memcpy(to, &value, sizeof value);
    if (x->dtype == AG_F32) memcpy(to, &f32, sizeof f32);
    if (x->dtype == AG_I64 && whole) memcpy(to, &(int64_t){(int64_t)value}, sizeof(int64_t));
    if (x->dtype == AG_BOOL) to[0] = value != 0;
    if (x->dtype != AG_I64 || whole) return true;
    return ag_sample_fail(s, "%s: i64 cannot hold %g", name, value);
}

static void fill(const image *x, int64_t row, int64_t rows, int64_t column, int64_t columns, const char value[8]) {
    const size_t each = ag_dtype_size(x->dtype);
    for (int64_t i = row; i < row + rows; i++)
        for (int64_t k = 0; k < columns * x->channels; k++) memcpy(pixel(x, i, column) + (size_t)k * each, value, each);
}

/* ---- Shift ---- */

/* Rows are moved in the direction in which none is overwritten before it has been moved. */
static void move(const image *x, int64_t down, int64_t right, const char value[8]) {
    const int64_t rows = most(x->rows - (down < 0 ? -down : down), 0);
    const int64_t columns = most(x->columns - (right < 0 ? -right : right), 0);
    const int64_t top = least(most(down, 0), x->rows), left = least(most(right, 0), x->columns);
    for (int64_t k = 0; k < rows && columns > 0; k++) {
        const int64_t i = down > 0 ? rows - 1 - k : k;
        memmove(pixel(x, top + i, left), pixel(x, top + i - down, left - right), (size_t)columns * x->bytes);
    }
    fill(x, 0, top, 0, x->columns, value);
    fill(x, top + rows, x->rows - top - rows, 0, x->columns, value);
    fill(x, top, rows, 0, left, value);
    fill(x, top, rows, left + columns, x->columns - left - columns, value);
}

bool ag_augment_shift(void *shift, ag_sample *sample) {
    const ag_image_shift *o = shift;
    const int64_t furthest = INT64_MAX / 4;
    image x;
    char value[8];
    if (!o || !sample) return ag_sample_fail(sample, "augment_shift: its context is NULL");
    if (o->rows < 0 || o->columns < 0 || o->rows > furthest || o->columns > furthest)
        return ag_sample_fail(sample, "augment_shift: shifts up to %lld and %lld: 0 or more is wanted",
                              (long long)o->rows, (long long)o->columns);
    if (!find_image(sample, "augment_shift", o->part, &x) || !value_in(sample, "augment_shift", &x, o->fill, value))
        return false;
    const int64_t down = ag_random_below(&sample->random, 2 * o->rows + 1) - o->rows;
    const int64_t right = ag_random_below(&sample->random, 2 * o->columns + 1) - o->columns;
    if (x.rows > 0 && x.columns > 0)
        move(&x, least(most(down, -x.rows), x.rows), least(most(right, -x.columns), x.columns), value);
    return true;
}

/* ---- Flip ---- */

static void exchange(char *a, char *b, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const char former = a[i];
        a[i] = b[i];
        b[i] = former;
    }
}

bool ag_augment_flip(void *flip, ag_sample *sample) {
    const ag_image_flip *o = flip;
    image x;
    if (!o || !sample) return ag_sample_fail(sample, "augment_flip: its context is NULL");
    if (!(o->horizontal >= 0 && o->horizontal <= 1 && o->vertical >= 0 && o->vertical <= 1))
        return ag_sample_fail(sample, "augment_flip: the probabilities are %g and %g: 0 … 1 is wanted", o->horizontal,
                              o->vertical);
    if (!find_image(sample, "augment_flip", o->part, &x)) return false;
    const bool sides = ag_random_uniform(&sample->random) < o->horizontal;
    const bool ends = ag_random_uniform(&sample->random) < o->vertical;
    for (int64_t i = 0; sides && i < x.rows; i++)
        for (int64_t k = 0; k < x.columns / 2; k++) exchange(pixel(&x, i, k), pixel(&x, i, x.columns - 1 - k), x.bytes);
    for (int64_t i = 0; ends && i < x.rows / 2; i++)
        exchange(pixel(&x, i, 0), pixel(&x, x.rows - 1 - i, 0), (size_t)x.columns * x.bytes);
    return true;
}

/* ---- Noise ---- */

bool ag_augment_noise(void *noise, ag_sample *sample) {
    const ag_image_noise *o = noise;
    if (!o || !sample) return ag_sample_fail(sample, "augment_noise: its context is NULL");
    if (!part_exists(sample, "augment_noise", o->part)) return false;
    if (!(o->deviation >= 0 && isfinite(o->deviation)))
        return ag_sample_fail(sample, "augment_noise: the deviation is %g: a finite number of 0 or more is wanted",
                              o->deviation);
    const ag_part *part = &sample->part[o->part];
    int64_t n = 1;
    for (int i = 0; i < part->shape.rank; i++) n *= part->shape.extent[i];
    if (part->dtype == AG_F32) ag__add_normal_f32(&sample->random, n, sample->data[o->part], o->deviation);
    else if (part->dtype == AG_F64) ag__add_normal_f64(&sample->random, n, sample->data[o->part], o->deviation);
    else
        return ag_sample_fail(sample, "augment_noise: part %d is %s: f32 or f64 is wanted", o->part,
                              ag_dtype_name(part->dtype));
    return true;
}

/* ---- Cut-out ---- */

bool ag_augment_cutout(void *cutout, ag_sample *sample) {
    const ag_image_cutout *o = cutout;
    image x;
    char value[8];
    if (!o || !sample) return ag_sample_fail(sample, "augment_cutout: its context is NULL");
    if (o->size < 0)
        return ag_sample_fail(sample, "augment_cutout: the size is %lld: 0 or more is wanted", (long long)o->size);
    if (!find_image(sample, "augment_cutout", o->part, &x) || !value_in(sample, "augment_cutout", &x, o->fill, value))
        return false;
    if (x.rows == 0 || x.columns == 0) return true;
    const int64_t row = ag_random_below(&sample->random, x.rows), column = ag_random_below(&sample->random, x.columns);
    const int64_t size = least(o->size, 2 * most(x.rows, x.columns)), before = size / 2;
    const int64_t top = most(row - before, 0), left = most(column - before, 0);
    const int64_t bottom = least(row - before + size, x.rows), right = least(column - before + size, x.columns);
    if (bottom > top && right > left) fill(&x, top, bottom - top, left, right - left, value);
    return true;
}
