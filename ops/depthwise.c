/* depthwise -- convolutions of each channel by itself: x (N,L…,C) and w (K…,C) give g (N,O…,C) */
#include "autograd/eval/eval.h"
#include "ops/rules.h"
#include "ops/trilinear.h"

#include <string.h>

enum { X = AG__X, W = AG__W, G = AG__G, ROLES = AG__ROLES, SPACE = AG__SPACE };

/* ---- Rows ----
 *
 * For an element of the window and all places along the last axis, y[j] += a[j]·b[j] over the channels, with steps from
 * place to place that are 0 for the weight. */

typedef struct row {
    int64_t places, channels, y, a, b; /* steps in elements */
    bool strong_a, strong_b;
} row;

#define ROW(name, type)                                                                                                \
    AG_KERNEL(void, name, (const row *r, type *y, const type *a, const type *b), (r, y, a, b)) {                       \
        for (int64_t j = 0; j < r->places; j++, y += r->y, a += r->a, b += r->b) {                                     \
            AG_SIMD                                                                                                    \
            for (int64_t c = 0; c < r->channels; c++) y[c] += a[c] * b[c];                                             \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_strong(const row *r, type *y, const type *a, const type *b) {                                   \
        for (int64_t j = 0; j < r->places; j++, y += r->y, a += r->a, b += r->b)                                       \
            for (int64_t c = 0; c < r->channels; c++)                                                                  \
                if (!((r->strong_a && a[c] == 0) || (r->strong_b && b[c] == 0))) y[c] += a[c] * b[c];                  \
    }
ROW(row_f32, float)
ROW(row_f64, double)

static void add_products(ag_dtype dtype, const row *r, void *y, const void *a, const void *b) {
    const bool strong = r->strong_a || r->strong_b;
    if (dtype == AG_F32) (strong ? row_f32_strong : row_f32)(r, y, a, b);
    else (strong ? row_f64_strong : row_f64)(r, y, a, b);
}

/* ---- All rows ---- */

/* A call, with missing axes of extent 1 in front. */
typedef struct whole {
    ag_dtype dtype;
    int64_t n, channels, in[SPACE], size[SPACE], out[SPACE], stride[SPACE], dilation[SPACE], before[SPACE];
    int output;
    bool strong[ROLES];
    char *data[ROLES];
    int64_t parts; /* of the samples, each of which has sums for the weight: */
    double *sums;  /* parts, K…, C */
    char *few;     /* parts, C: of a few places */
} whole;

static whole whole_of(const ag_call *call) {
    const ag__trilinear *d = call->attributes;
    whole s = {.dtype = call->y.dtype, .output = (int)d->output};
    for (int i = 0; i < SPACE; i++) {
        const int k = i - (SPACE - (int)d->axes);
        s.in[i] = k < 0 ? 1 : d->in[k], s.size[i] = k < 0 ? 1 : d->size[k];
        s.stride[i] = k < 0 ? 1 : d->stride[k], s.dilation[i] = k < 0 ? 1 : d->dilation[k];
        s.out[i] = k < 0 ? 1 : d->places[k], s.before[i] = k < 0 ? 0 : d->before[k];
    }
    for (int role = 0, i = 0; role < ROLES; role++) {
        s.data[role] = role == s.output ? call->y.data : call->x[i].data;
        s.strong[role] = d->strong >> role & 1;
        if (role != s.output) i++;
    }
    const ag_array *image = s.output == X ? &call->y : &call->x[0];
    s.n = image->shape[0];
    s.channels = image->shape[image->rank - 1];
    return s;
}

static int64_t quotient_up(int64_t a, int64_t b) { return a > 0 ? (a - 1) / b + 1 : -(-a / b); }

static int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

/* A row of places and the row of the image that element u of their windows is in; ranges along the last axis. */
typedef struct rows {
    int64_t n, o[2], i[2], u[SPACE], first_place, end_place, first, end;
} rows;

/* Add the products of these rows to the output, whose row along the last axis begins at `to`, or is one sum of the
 * weight's. */
static void add_rows(const whole *s, const rows *at, char *to) {
    const int64_t c = s->channels, stride = s->stride[2], shift = at->u[2] * s->dilation[2] - s->before[2];
    const int64_t j = greater(at->first_place, quotient_up(at->first - shift, stride));
    const int64_t end = ag__lesser(at->end_place, quotient_up(at->end - shift, stride));
    if (j >= end) return;
    const int a = s->output == X ? W : X, b = s->output == G ? W : G;
    const int64_t step[ROLES] = {stride * c, 0, c};
    const int64_t place = ((at->n * s->out[0] + at->o[0]) * s->out[1] + at->o[1]) * s->out[2];
    const int64_t element = ((at->n * s->in[0] + at->i[0]) * s->in[1] + at->i[1]) * s->in[2];
    const int64_t offset[ROLES] = {(element + j * stride + shift) * c,
                                   ((at->u[0] * s->size[1] + at->u[1]) * s->size[2] + at->u[2]) * c, (place + j) * c};
    const int64_t inner[ROLES] = {(j * stride + shift) * c, 0, j * c};
    const int64_t bytes = (int64_t)ag_dtype_size(s->dtype);
    const row r = {end - j, c, step[s->output], step[a], step[b], s->strong[a], s->strong[b]};
    add_products(s->dtype, &r, to + inner[s->output] * bytes, s->data[a] + offset[a] * bytes,
                 s->data[b] + offset[b] * bytes);
}

/* The place along axis k whose window has its element u at i; −1 if there is none. */
static int64_t place_of(const whole *s, int k, int64_t i, int64_t u) {
    const int64_t from = i + s->before[k] - u * s->dilation[k];
    return from < 0 || from % s->stride[k] != 0 || from / s->stride[k] >= s->out[k] ? -1 : from / s->stride[k];
}

/* The element along axis k that is element u of the window at place o; −1 if that is beyond the image. */
static int64_t element_of(const whole *s, int k, int64_t o, int64_t u) {
    const int64_t i = o * s->stride[k] + u * s->dilation[k] - s->before[k];
    return i < s->in[k] ? i : -1;
}

/* A row of the output along the last axis, some elements at a time: all their products while they are in the cache. */
static void make_row(const whole *s, int64_t n, int64_t row0, int64_t row1) {
    enum { IN_CACHE = AG__LIMIT(2048, 8) };
    const bool image = s->output == X;
    const int64_t *extent = image ? s->in : s->out;
    const int64_t bytes = (int64_t)ag_dtype_size(s->dtype), together = IN_CACHE / s->channels + 1;
    char *to = s->data[s->output] + ((n * extent[0] + row0) * extent[1] + row1) * extent[2] * s->channels * bytes;
    rows at = {.n = n, .end_place = s->out[2], .end = s->in[2]};
    for (int64_t j = 0; j < extent[2]; j += together) {
        const int64_t end = ag__lesser(j + together, extent[2]);
        *(image ? &at.first : &at.first_place) = j;
        *(image ? &at.end : &at.end_place) = end;
        memset(to + j * s->channels * bytes, 0, (size_t)((end - j) * s->channels * bytes));
        for (at.u[0] = 0; at.u[0] < s->size[0]; at.u[0]++) {
            const int64_t other0 = image ? place_of(s, 0, row0, at.u[0]) : element_of(s, 0, row0, at.u[0]);
            for (at.u[1] = 0; other0 >= 0 && at.u[1] < s->size[1]; at.u[1]++) {
                const int64_t other1 = image ? place_of(s, 1, row1, at.u[1]) : element_of(s, 1, row1, at.u[1]);
                at.o[0] = image ? other0 : row0, at.o[1] = image ? other1 : row1;
                at.i[0] = image ? row0 : other0, at.i[1] = image ? row1 : other1;
                for (at.u[2] = 0; other1 >= 0 && at.u[2] < s->size[2]; at.u[2]++) add_rows(s, &at, to);
            }
        }
    }
}

static void make_rows(void *s_, int i, int threads) {
    const whole *s = s_;
    const int64_t *extent = s->output == X ? s->in : s->out, rows_of_sample = extent[0] * extent[1];
    const int64_t all = s->n * rows_of_sample;
    for (int64_t k = ag__share_start(all, i, threads); k < ag__share_start(all, i + 1, threads); k++)
        make_row(s, k / rows_of_sample, k % rows_of_sample / extent[1], k % extent[1]);
}

/* ---- The weight ----
 *
 * Its elements are sums over all places of all samples. A few places at a time are added up in the dtype, and these
 * sums in f64; the samples are divided into parts whose number does not depend on threads. */

enum { FEW_PLACES = AG__LIMIT(64, 2), MOST_PARTS = AG__LIMIT(16, 3) };

/* The products of one row of places and one of the image. */
static void add_to_weight(const whole *s, int64_t part, rows *at) {
    const int64_t c = s->channels, bytes = (int64_t)ag_dtype_size(s->dtype);
    const int64_t window = (at->u[0] * s->size[1] + at->u[1]) * s->size[2] + at->u[2];
    double *sum = s->sums + (part * s->size[0] * s->size[1] * s->size[2] + window) * c;
    char *few = s->few + part * c * bytes;
    for (int64_t j = 0; j < s->out[2]; j += FEW_PLACES) {
        at->first_place = j, at->end_place = ag__lesser(j + FEW_PLACES, s->out[2]);
        memset(few, 0, (size_t)(c * bytes));
        add_rows(s, at, few);
        if (s->dtype == AG_F32)
            for (int64_t i = 0; i < c; i++) sum[i] += (double)((float *)(void *)few)[i];
        else
            for (int64_t i = 0; i < c; i++) sum[i] += ((double *)(void *)few)[i];
    }
}

static void add_windows(const whole *s, int64_t part, rows *at) {
    for (at->u[0] = 0; at->u[0] < s->size[0]; at->u[0]++) {
        at->i[0] = element_of(s, 0, at->o[0], at->u[0]);
        for (at->u[1] = 0; at->i[0] >= 0 && at->u[1] < s->size[1]; at->u[1]++) {
            at->i[1] = element_of(s, 1, at->o[1], at->u[1]);
            for (at->u[2] = 0; at->i[1] >= 0 && at->u[2] < s->size[2]; at->u[2]++) add_to_weight(s, part, at);
        }
    }
}

static void add_parts(void *s_, int i, int threads) {
    const whole *s = s_;
    for (int64_t k = ag__share_start(s->parts, i, threads); k < ag__share_start(s->parts, i + 1, threads); k++) {
        rows at = {.end = s->in[2]};
        for (at.n = ag__share_start(s->n, (int)k, (int)s->parts);
             at.n < ag__share_start(s->n, (int)k + 1, (int)s->parts); at.n++)
            for (at.o[0] = 0; at.o[0] < s->out[0]; at.o[0]++)
                for (at.o[1] = 0; at.o[1] < s->out[1]; at.o[1]++) add_windows(s, k, &at);
    }
}

static bool eval_weight(const ag_call *call, whole *s, int threads) {
    const int64_t all = call->y.size;
    s->parts = ag__lesser(s->n, MOST_PARTS);
    const size_t sums = ag__times((size_t)s->parts, ag__times((size_t)all, sizeof(double)));
    char *memory = ag_call_scratch(call, ag__plus(sums, ag__times((size_t)(s->parts * s->channels), sizeof(double))));
    if (!memory) return false;
    s->sums = (double *)(void *)memory;
    s->few = memory + sums;
    memset(memory, 0, sums);
    if (threads > 1 && s->parts > 1) ag__parallel((int)ag__lesser(threads, s->parts), add_parts, s);
    else add_parts(s, 0, 1);
    for (int64_t i = 0; i < all; i++) {
        double sum = 0;
        for (int64_t part = 0; part < s->parts; part++) sum += s->sums[part * all + i];
        if (s->dtype == AG_F32) ((float *)call->y.data)[i] = (float)sum;
        else ((double *)call->y.data)[i] = sum;
    }
    return true;
}

AG__SHORT static bool depthwise_eval(const ag_call *call) {
    whole s = whole_of(call);
    const int64_t *extent = s.output == X ? s.in : s.out, lines = s.n * extent[0] * extent[1];
    const int64_t work = s.n * s.channels * s.out[0] * s.out[1] * s.out[2] * s.size[0] * s.size[1] * s.size[2];
    const int threads = (int)ag__lesser(ag__worthwhile(work, call->threads), lines > 0 ? lines : 1);
    if (s.output == W) return eval_weight(call, &s, threads);
    if (s.channels == 0 || lines == 0) return true;
    if (threads > 1) ag__parallel(threads, make_rows, &s);
    else make_rows(&s, 0, 1);
    return true;
}

/* ---- Recording ---- */

static bool depthwise_infer(ag_infer *r) { return ag__trilinear_infer(r, false); }

const ag_op ag__op_depthwise = {.name = "depthwise",
                                .notation = "depthwise({0}, {1})",
                                .kind = AG_KIND_CONTRACTION,
                                .arity = 2,
                                .attribute_bytes = sizeof(ag__trilinear),
                                .flags = AG_OP_CONTIGUOUS,
                                .infer = depthwise_infer,
                                .eval = depthwise_eval,
                                .vjp = ag__trilinear_vjp};

ag_tensor *ag_depthwise(ag_tensor *x, ag_tensor *w, ag_shape places, ag_shape stride, ag_shape dilation,
                        ag_shape before) {
    return ag__trilinear_record(&ag__op_depthwise, "depthwise", false, false, x, w, 0, &places, &stride, &dilation,
                                &before);
}

ag_tensor *ag_depthwise_transposed(ag_tensor *x, ag_tensor *w, ag_shape extents, ag_shape stride, ag_shape dilation,
                                   ag_shape before) {
    return ag__trilinear_record(&ag__op_depthwise, "depthwise_transposed", false, true, x, w, 0, &extents, &stride,
                                &dilation, &before);
}
