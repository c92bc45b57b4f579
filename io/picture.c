/* picture -- tensors from images, and into them
 *
 * An image is read whole, then its samples become elements. Before one is written all samples have been made, so that
 * an element that has none leaves the file as it was. */
#include "autograd/eval/eval.h"
#include "autograd/tape/file.h"
#include "autograd/tape/op.h"
#include "io/exchange.h"
#include "io/image.h"

#include <string.h>

static void close_image(ag_tape *tape, ag__image *image) {
    if (image->sample) ag__resize(tape, image->sample, image->bytes, 0);
}

static unsigned sample_at(const ag__image *image, int64_t i) {
    const unsigned char *s = image->sample;
    return image->wide ? (unsigned)s[2 * i] << 8 | s[2 * i + 1] : s[i];
}

/* ---- Reading ---- */

/* One division, so that each is the number nearest to the fraction. */
static void put_elements(const ag__image *image, ag_dtype dtype, void *to, int64_t size) {
    for (int64_t i = 0; i < size; i++) {
        unsigned s = sample_at(image, i);
        if (dtype == AG_I64) ((int64_t *)to)[i] = s;
        else if (dtype == AG_F32) ((float *)to)[i] = (float)s / (float)image->most;
        else ((double *)to)[i] = (double)s / image->most;
    }
}

static ag_tensor *constant(const ag__image *image, const ag__input *in, ag_dtype dtype) {
    ag_shape shape = AG_SHAPE(image->height, image->width, image->channels);
    int64_t size = image->height * image->width * image->channels;
    ag__buffer *b = ag__buffer_new(in->tape, ag__times((uint64_t)size, ag_dtype_size(dtype)));
    if (!b)
        return ag__fail_on(in->tape, in->call, AG_ERR_MEMORY, "%.300s: out of memory (%lld elements)", in->path,
                           (long long)size);
    put_elements(image, dtype, b->data, size);
    return ag__constant_with(in->tape, dtype, &shape, b);
}

static bool read_image(ag__image *image, ag__input *in) {
    unsigned char opening[8] = {0};
    size_t n = in->size < sizeof opening ? (size_t)in->size : sizeof opening;
    if (!ag__input_read(in, 0, opening, n)) return false;
    if (memcmp(opening, "\x89PNG\r\n\x1a\n", sizeof opening) == 0) return ag__png_read(image, in);
    if (opening[0] == 'P' && opening[1] >= '1' && opening[1] <= '7') return ag__pnm_read(image, in);
    return ag__input_wrong(in, "it begins as none of PNG, PBM, PGM, PPM and PAM files does");
}

ag_tensor *ag_image_read(ag_tape *tape, const char *path, ag_dtype dtype) {
    static const char call[] = "image_read";
    if (!tape || !path) return ag__fail_on(tape, call, AG_ERR_NULL, "the %s is NULL", tape ? "path" : "tape");
    if (!ag__in_order(tape, call)) return ag__nil_of(tape);
    if (dtype != AG_I64 && !ag__is_real((int)dtype))
        return ag__fail_on(tape, call, AG_ERR_DTYPE, "dtype %s: i64, f32 or f64 is wanted", ag_dtype_name(dtype));
    ag__input in;
    ag__image image = {.height = 0};
    bool good = ag__input_open(&in, tape, call, path) && read_image(&image, &in);
    ag_tensor *x = good ? constant(&image, &in, dtype) : ag__nil_of(tape);
    close_image(tape, &image);
    ag__input_close(&in);
    return x;
}

/* ---- Writing ---- */

typedef struct picture {
    ag_tensor *x;
    ag__image image;
    ag__image_writer *write;
    int fewest, mostly; /* channels */
} picture;

static bool refuse(const picture *p, ag_status status, const char *why) {
    ag__fail("image_write", 1, &p->x, status, "%s", why);
    return false;
}

static bool choose(picture *p, const char *path) {
    static const struct {
        const char *end;
        ag__image_writer *write;
        int fewest, most;
    } formats[] = {
        {".png", ag__png_write, 1, 4},
        {".pgm", ag__pnm_write, 1, 1},
        {".ppm", ag__pnm_write, 3, 3},
        {".pam", ag__pam_write, 1, 4},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!ag__ends_in(path, formats[i].end)) continue;
        p->write = formats[i].write;
        p->fewest = formats[i].fewest;
        p->mostly = formats[i].most;
        return true;
    }
    return refuse(p, AG_ERR_RANGE, "the path must end in .png, .pgm, .ppm or .pam");
}

static bool take_shape(picture *p) {
    ag_shape s = ag_shape_of(p->x);
    ag__image *image = &p->image;
    if (s.rank != 2 && s.rank != 3) return refuse(p, AG_ERR_SHAPE, "x must be (H,W) or (H,W,C)");
    *image = (ag__image){.height = s.extent[0], .width = s.extent[1], .channels = 1};
    if (s.rank == 3) image->channels = s.extent[2] <= AG__MOST_CHANNELS ? (int)s.extent[2] : AG__MOST_CHANNELS + 1;
    if (image->channels < p->fewest || image->channels > p->mostly)
        return refuse(p, AG_ERR_SHAPE,
                      p->mostly == 4   ? "the image must have 1 to 4 channels"
                      : p->mostly == 1 ? "a .pgm image must have 1 channel"
                                       : "a .ppm image must have 3 channels");
    if (ag_size(p->x) == 0 || image->height > INT32_MAX || image->width > INT32_MAX)
        return refuse(p, AG_ERR_SHAPE, "the image must have at least one pixel, and less than 2^31 in a row or column");
    if (ag_dtype_of(p->x) == AG_BOOL) return refuse(p, AG_ERR_DTYPE, "the pixels must be i64, f32 or f64, not bool");
    return true;
}

enum { PIECE = AG__LIMIT(512, 8) };

typedef union piece {
    int64_t i64[PIECE];
    float f32[PIECE];
    double f64[PIECE];
} piece;

/* The sample of an element; -1: there is none. */
static int sample_of(ag_dtype dtype, const piece *from, int64_t i) {
    if (dtype == AG_I64) return from->i64[i] >= 0 && from->i64[i] <= 65535 ? (int)from->i64[i] : -1;
    double v = dtype == AG_F32 ? (double)from->f32[i] : from->f64[i];
    if (v != v) return -1;
    return v <= 0 ? 0 : v >= 1 ? 255 : (int)(v * 255 + 0.5);
}

/* Pass over all elements: the largest sample, or -1 if one has none; they are stored if there is memory for them. */
static int pass(picture *p) {
    const ag_dtype dtype = ag_dtype_of(p->x);
    const int64_t size = ag_size(p->x);
    ag_array values = ag__array_of(p->x);
    unsigned char *to = p->image.sample;
    int most = 0;
    piece part;
    for (int64_t i = 0, n; i < size; i += n) {
        n = ag__lesser(size - i, PIECE);
        ag__pack(&part, &values, i, n);
        for (int64_t k = 0; k < n; k++) {
            int s = sample_of(dtype, &part, k);
            if (s < 0) return -1;
            if (s > most) most = s;
            if (to && p->image.wide) *to++ = (unsigned char)(s >> 8);
            if (to) *to++ = (unsigned char)s;
        }
    }
    return most;
}

static bool make_samples(picture *p) {
    ag__image *image = &p->image;
    int most = pass(p);
    if (most < 0)
        return refuse(p, AG_ERR_RANGE,
                      ag_dtype_of(p->x) == AG_I64 ? "a pixel is not between 0 and 65535" : "a pixel is NaN");
    image->wide = most > 255;
    image->most = image->wide ? 65535 : 255;
    image->bytes = ag__times((uint64_t)ag_size(p->x), image->wide ? 2 : 1);
    image->sample = ag__resize(p->x->tape, NULL, 0, image->bytes);
    if (!image->sample) return refuse(p, AG_ERR_MEMORY, "out of memory (an image)");
    return pass(p) >= 0;
}

static void fill(FILE *file, void *context) {
    const picture *p = context;
    p->write(&p->image, p->x->tape, file);
}

static void write_image(const char *path, ag_tensor *x) {
    picture p = {.x = x};
    if (!choose(&p, path) || !take_shape(&p)) return;
    p.x = ag__current(x);
    if (!p.x || !ag__evaluate(x->tape, 1, &p.x)) return;
    if (make_samples(&p)) ag__write_file(x->tape, "image_write", path, fill, &p);
    close_image(x->tape, &p.image);
    ag__release_unneeded(p.x);
}

ag_status ag_image_write(const char *path, ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tape *tape = ag_tape_of(x);
    ag_tensor *nil;
    if (!path) ag__fail_on(tape, "image_write", AG_ERR_NULL, "the path is NULL");
    else if (ag__inputs_usable("image_write", 1, &x, &nil)) write_image(path, x);
    return ag__leave(tape, file, line);
}
