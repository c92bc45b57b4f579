/* depthwise -- convolutions of each channel by itself: x (N,L…,C) and w (K…,C) give g (N,O…,C)
 *
 * Σ x[n, i·stride+u·dilation, c]·w[u,c]·g[n,i,c] over all indices is linear in each of the three. A convolution, its
 * adjoint and the gradient of its weight are its derivatives by g, x and w: one operation, whose attribute says which
 * of the three it computes from the other two. So its vjp is the operation itself. */
#include "autograd/eval/eval.h"
#include "autograd/tape/basis.h"
#include "ops/rules.h"

#include <string.h>

enum { X, W, G, ROLES }; /* roles, in the order of inputs */
enum { SPACE = 3 };

typedef struct depthwise {
    int64_t axes, output, strong; /* spatial axes; the role that is computed; bits of roles whose zeros are strong */
    int64_t in[SPACE], size[SPACE], stride[SPACE], dilation[SPACE];
} depthwise;

static int64_t places_along(const depthwise *d, int i) {
    return (d->in[i] - (d->size[i] - 1) * d->dilation[i] - 1) / d->stride[i] + 1;
}

/* ---- Rows ----
 *
 * For an element of the window and all places along the last axis, y[j] += a[j]·b[j] over the channels, with steps from
 * place to place that are 0 for the weight. */

typedef struct row {
    int64_t places, channels, y, a, b; /* steps in elements */
    bool strong_a, strong_b;
} row;

#define ROW(name, type)                                                                                                \
    AG_KERNEL static void name(const row *r, type *y, const type *a, const type *b) {                                  \
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

static void add_row(ag_dtype dtype, const row *r, void *y, const void *a, const void *b) {
    const bool strong = r->strong_a || r->strong_b;
    if (dtype == AG_F32) (strong ? row_f32_strong : row_f32)(r, y, a, b);
    else (strong ? row_f64_strong : row_f64)(r, y, a, b);
}

/* ---- All rows ---- */

/* A call, with missing axes of extent 1 in front. */
typedef struct whole {
    ag_dtype dtype;
    int64_t n, channels, in[SPACE], size[SPACE], out[SPACE], stride[SPACE], dilation[SPACE];
    int output;
    bool strong[ROLES];
    char *data[ROLES];
    int64_t parts; /* of the samples, each of which has sums for the weight: */
    double *sums;  /* parts, K…, C */
    char *few;     /* parts, C: of a few places */
} whole;

static whole whole_of(const ag_call *call) {
    const depthwise *d = call->attributes;
    whole s = {.dtype = call->y.dtype, .output = (int)d->output};
    for (int i = 0; i < SPACE; i++) {
        const int k = i - (SPACE - (int)d->axes);
        s.in[i] = k < 0 ? 1 : d->in[k], s.size[i] = k < 0 ? 1 : d->size[k];
        s.stride[i] = k < 0 ? 1 : d->stride[k], s.dilation[i] = k < 0 ? 1 : d->dilation[k];
        s.out[i] = k < 0 ? 1 : places_along(d, k);
    }
    for (int role = 0, i = 0; role < ROLES; role++) {
        s.data[role] = role == s.output ? call->y.data : call->x[i].data;
        s.strong[role] = d->strong >> role & 1;
        if (role != s.output) i++;
    }
    const ag_array *image = s.output == W || s.output == G ? &call->x[0] : &call->y;
    s.n = image->shape[0];
    s.channels = image->shape[image->rank - 1];
    return s;
}

/* The rows of sample n at one row of places: `to` is where the output begins. */
static void add_window(const whole *s, int64_t n, const int64_t o[2], char *to) {
    const size_t bytes = ag_dtype_size(s->dtype);
    const int64_t c = s->channels;
    const int a = s->output == X ? W : X, b = s->output == G ? W : G;
    const int64_t step[ROLES] = {s->stride[2] * c, 0, c};
    const row r = {s->out[2], c, step[s->output], step[a], step[b], s->strong[a], s->strong[b]};
    int64_t u[SPACE];
    for (u[0] = 0; u[0] < s->size[0]; u[0]++)
        for (u[1] = 0; u[1] < s->size[1]; u[1]++)
            for (u[2] = 0; u[2] < s->size[2]; u[2]++) {
                const int64_t row0 = o[0] * s->stride[0] + u[0] * s->dilation[0];
                const int64_t row1 = o[1] * s->stride[1] + u[1] * s->dilation[1];
                const int64_t at[ROLES] = {
                    (((n * s->in[0] + row0) * s->in[1] + row1) * s->in[2] + u[2] * s->dilation[2]) * c,
                    ((u[0] * s->size[1] + u[1]) * s->size[2] + u[2]) * c,
                    ((n * s->out[0] + o[0]) * s->out[1] + o[1]) * s->out[2] * c};
                add_row(s->dtype, &r, to + (size_t)at[s->output] * bytes, s->data[a] + (size_t)at[a] * bytes,
                        s->data[b] + (size_t)at[b] * bytes);
            }
}

static void add_samples(void *s_, int i, int parts) {
    const whole *s = s_;
    int64_t o[2];
    for (int64_t n = ag__share_start(s->n, i, parts); n < ag__share_start(s->n, i + 1, parts); n++)
        for (o[0] = 0; o[0] < s->out[0]; o[0]++)
            for (o[1] = 0; o[1] < s->out[1]; o[1]++) add_window(s, n, o, s->data[s->output]);
}

/* ---- The weight ----
 *
 * Its elements are sums over all places of all samples. A few places at a time are added up in the dtype, and these
 * sums in f64; the samples are divided into parts whose number does not depend on threads. */

enum { FEW_PLACES = 64, MOST_PARTS = 16 };

static void add_to_weight(const whole *s, int64_t part, int64_t n, const int64_t o[2], const int64_t u[SPACE]) {
    const size_t bytes = ag_dtype_size(s->dtype);
    const int64_t c = s->channels, row0 = o[0] * s->stride[0] + u[0] * s->dilation[0];
    const int64_t row1 = o[1] * s->stride[1] + u[1] * s->dilation[1];
    const int64_t x = ((n * s->in[0] + row0) * s->in[1] + row1) * s->in[2] + u[2] * s->dilation[2];
    const int64_t g = ((n * s->out[0] + o[0]) * s->out[1] + o[1]) * s->out[2];
    const int64_t window = (u[0] * s->size[1] + u[1]) * s->size[2] + u[2];
    double *sum = s->sums + (part * s->size[0] * s->size[1] * s->size[2] + window) * c;
    char *few = s->few + (size_t)(part * c) * bytes;
    for (int64_t j = 0; j < s->out[2]; j += FEW_PLACES) {
        const row r = {ag__lesser(FEW_PLACES, s->out[2] - j), c, 0, s->stride[2] * c, c, s->strong[X], s->strong[G]};
        memset(few, 0, (size_t)c * bytes);
        add_row(s->dtype, &r, few, s->data[X] + (size_t)((x + j * s->stride[2]) * c) * bytes,
                s->data[G] + (size_t)((g + j) * c) * bytes);
        if (s->dtype == AG_F32)
            for (int64_t i = 0; i < c; i++) sum[i] += (double)((float *)(void *)few)[i];
        else
            for (int64_t i = 0; i < c; i++) sum[i] += ((double *)(void *)few)[i];
    }
}

static void add_part(const whole *s, int64_t part) {
    int64_t o[2], u[SPACE];
    for (int64_t n = part * s->n / s->parts; n < (part + 1) * s->n / s->parts; n++)
        for (o[0] = 0; o[0] < s->out[0]; o[0]++)
            for (o[1] = 0; o[1] < s->out[1]; o[1]++)
                for (u[0] = 0; u[0] < s->size[0]; u[0]++)
                    for (u[1] = 0; u[1] < s->size[1]; u[1]++)
                        for (u[2] = 0; u[2] < s->size[2]; u[2]++) add_to_weight(s, part, n, o, u);
}

static void add_parts(void *s_, int i, int threads) {
    const whole *s = s_;
    for (int64_t k = ag__share_start(s->parts, i, threads); k < ag__share_start(s->parts, i + 1, threads); k++)
        add_part(s, k);
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
    if (threads > 1) ag__parallel((int)ag__lesser(threads, s->parts), add_parts, s);
    else add_parts(s, 0, 1);
    for (int64_t i = 0; i < all; i++) {
        double sum = 0;
        for (int64_t part = 0; part < s->parts; part++) sum += s->sums[part * all + i];
        if (s->dtype == AG_F32) ((float *)call->y.data)[i] = (float)sum;
        else ((double *)call->y.data)[i] = sum;
    }
    return true;
}

static bool depthwise_eval(const ag_call *call) {
    whole s = whole_of(call);
    const int64_t window = s.size[0] * s.size[1] * s.size[2], work = s.n * s.channels * s.out[0] * s.out[1] * s.out[2];
    const int threads = (int)ag__lesser(ag__worthwhile(work * window, call->threads), s.n > 0 ? s.n : 1);
    if (s.output == W) return eval_weight(call, &s, threads);
    memset(call->y.data, 0, (size_t)call->y.size * ag_dtype_size(s.dtype));
    if (threads > 1) ag__parallel(threads, add_samples, &s);
    else add_samples(&s, 0, 1);
    return true;
}

/* ---- Recording ---- */

/* Whether the numbers, which may be any bytes, are of a convolution; if not, an error. */
static bool numbers_accepted(const ag_infer *r, const depthwise *d) {
    if (d->axes < 1 || d->axes > SPACE || d->output < X || d->output > G || d->strong < 0 || d->strong >= 1 << ROLES)
        return ag_reject(r, AG_ERR_RANGE, "the attributes are out of range");
    for (int i = 0; i < d->axes; i++) {
        if (d->stride[i] < 1 || d->dilation[i] < 1 || d->dilation[i] > INT32_MAX || d->size[i] > INT32_MAX)
            return ag_reject(r, AG_ERR_RANGE, "stride %lld and dilation %lld of axis %d: each must be at least 1",
                             (long long)d->stride[i], (long long)d->dilation[i], i + 1);
        if (d->size[i] < 1 || (d->size[i] - 1) * d->dilation[i] >= d->in[i])
            return ag_reject(r, AG_ERR_RANGE, "a window of %lld, dilation %lld, does not fit on axis %d of %lld",
                             (long long)d->size[i], (long long)d->dilation[i], i + 1, (long long)d->in[i]);
    }
    return true;
}

/* The shape of a tensor in this role: (n,…,c), without n for the weight. */
static ag_shape shape_in(const depthwise *d, int role, int64_t n, int64_t c) {
    ag_shape s = {0};
    if (role != W) s.extent[s.rank++] = n;
    for (int i = 0; i < d->axes; i++)
        s.extent[s.rank++] = role == X ? d->in[i] : role == W ? d->size[i] : places_along(d, i);
    s.extent[s.rank++] = c;
    return s;
}

static bool has_shape(const ag_tensor *x, const ag_shape *shape) {
    bool same = x->layout->rank == shape->rank;
    for (int i = 0; same && i < shape->rank; i++) same = x->layout->extent[i] == shape->extent[i];
    return same;
}

static bool depthwise_infer(ag_infer *r) {
    const depthwise *d = r->attributes;
    if (!ag__is_real(r->x[0]->dtype) || r->x[0]->dtype != r->x[1]->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "both must be f32, or both f64");
    if (!numbers_accepted(r, d)) return false;
    const ag_tensor *image = r->x[d->output == X ? 1 : 0];
    const int64_t n = ag_extent(image, 0), c = ag_extent(image, -1);
    for (int role = 0, i = 0; role < ROLES; role++) {
        const ag_shape shape = shape_in(d, role, n, c);
        if (role == d->output) r->shape = shape;
        else if (!has_shape(r->x[i++], &shape))
            return ag_reject(r, AG_ERR_SHAPE, "(N,L…,C) and (K…,C) are wanted, or (N,O…,C) with the places of windows");
    }
    return true;
}

/* The roles' tensors, without the output's. */
static ag_tensor *record(depthwise d, ag_tensor *const of[ROLES]) {
    ag_tensor *in[ROLES];
    for (int role = 0, i = 0; role < ROLES; role++)
        if (role != d.output) in[i++] = of[role];
    return ag_apply(&ag__op_depthwise, 2, in, &d, sizeof d);
}

/* Input i becomes the output, and the cotangent takes the output's place. */
static ag_tensor *depthwise_vjp(ag_tensor *y, ag_tensor *g, int i) {
    depthwise d = *(const depthwise *)ag_attributes(y);
    ag_tensor *of[ROLES] = {NULL};
    int wanted = X;
    for (int role = 0, k = 0; role < ROLES; role++) {
        if (role == d.output) continue;
        if (k == i) wanted = role;
        of[role] = ag_input(y, k++);
    }
    of[d.output] = g;
    d.strong &= ~(int64_t)(1 << wanted | 1 << d.output);
    if (!ag__is_weak(g)) d.strong |= 1 << d.output;
    d.output = wanted;
    return record(d, of);
}

const ag_op ag__op_depthwise = {.name = "depthwise",
                                .notation = "depthwise({0}, {1})",
                                .kind = AG_KIND_CONTRACTION,
                                .arity = 2,
                                .attribute_bytes = sizeof(depthwise),
                                .flags = AG_OP_CONTIGUOUS,
                                .infer = depthwise_infer,
                                .eval = depthwise_eval,
                                .vjp = depthwise_vjp};

/* The numbers of a call, of an image of this rank; false, after an error, unless there is one of each for each axis. */
static bool numbers_of(const char *name, ag_tensor *const x[2], const ag_shape *in, const ag_shape *stride,
                       const ag_shape *dilation, depthwise *d, ag_tensor **nil) {
    if (!ag__inputs_usable(name, 2, x, nil)) return false;
    const int axes = ag_rank(x[0]) - 2;
    if (axes < 1 || axes > SPACE || ag_rank(x[1]) != axes + 1 || in->rank != axes || stride->rank != axes ||
        dilation->rank != axes) {
        *nil = ag__fail(name, 2, x, AG_ERR_SHAPE, "(N,L…,C) and (K…,C) are wanted, and numbers for one to three axes");
        return false;
    }
    memset(d, 0, sizeof *d);
    d->axes = axes;
    for (int i = 0; i < axes; i++) {
        d->in[i] = in->extent[i], d->size[i] = ag_extent(x[1], i);
        d->stride[i] = stride->extent[i], d->dilation[i] = dilation->extent[i];
    }
    return true;
}

ag_tensor *ag_depthwise(ag_tensor *x, ag_tensor *w, ag_shape stride, ag_shape dilation) {
    ag_tensor *nil, *const both[] = {x, w};
    depthwise d;
    ag_shape in = {.rank = ag_rank(x) - 2};
    for (int i = 0; i < in.rank; i++) in.extent[i] = ag_extent(x, i + 1);
    if (!numbers_of("depthwise", both, &in, &stride, &dilation, &d, &nil)) return nil;
    d.output = G;
    return record(d, (ag_tensor *[]){x, w, NULL});
}

ag_tensor *ag_depthwise_transposed(ag_tensor *g, ag_tensor *w, ag_shape extents, ag_shape stride, ag_shape dilation) {
    ag_tensor *nil, *const both[] = {g, w};
    depthwise d;
    if (!numbers_of("depthwise_transposed", both, &extents, &stride, &dilation, &d, &nil)) return nil;
    d.output = X;
    return record(d, (ag_tensor *[]){NULL, w, g});
}
