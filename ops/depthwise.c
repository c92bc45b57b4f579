/* depthwise -- convolutions of each channel by itself: x (N,L…,C) and w (K…,C) give g (N,O…,C)
 *
 * Σ x[n, i·stride+u·dilation, c]·w[u,c]·g[n,i,c] over all indices is linear in each of the three. A convolution, its
 * adjoint and the gradient of its weight are its derivatives by g, x and w: one operation, whose attribute says which
 * of the three it computes from the other two. So its vjp is the operation itself. */
#include "autograd/eval/eval.h"
#include "ops/rules.h"

#include <string.h>

enum { X, W, G, ROLES }; /* roles, in the order of inputs */
enum { SPACE = 3 };

typedef struct depthwise {
    int64_t axes, output, strong; /* spatial axes; the role that is computed; bits of roles whose zeros are strong */
    int64_t in[SPACE], places[SPACE], size[SPACE], stride[SPACE], dilation[SPACE], before[SPACE];
} depthwise; /* `before`: how far the first window begins before the image; elements beyond the image are 0 */

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
    const depthwise *d = call->attributes;
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

enum { FEW_PLACES = AG__LIMIT(64, 2), MOST_PARTS = 16 };

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

static bool depthwise_eval(const ag_call *call) {
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

/* Whether the numbers, which may be any bytes, are of a convolution; if not, an error. */
static bool numbers_accepted(const ag_infer *r, const depthwise *d) {
    if (d->axes < 1 || d->axes > SPACE || d->output < X || d->output > G || d->strong < 0 || d->strong >= 1 << ROLES)
        return ag_reject(r, AG_ERR_RANGE, "the attributes are out of range");
    for (int i = 0; i < d->axes; i++) {
        if (d->stride[i] < 1 || d->dilation[i] < 1 || d->before[i] < 0 || d->dilation[i] > INT32_MAX ||
            d->before[i] > INT32_MAX || d->size[i] > INT32_MAX)
            return ag_reject(
                r, AG_ERR_RANGE,
                "stride %lld, dilation %lld and padding %lld of axis %d: 1, 1 and 0 are the least, and 2³¹ "
                "is too much",
                (long long)d->stride[i], (long long)d->dilation[i], (long long)d->before[i], i + 1);
        if (d->size[i] < 1 || d->in[i] < 0 || d->in[i] > INT64_MAX / 8 || d->places[i] < 0 ||
            d->places[i] > (INT64_MAX / 8) / d->stride[i])
            return ag_reject(r, AG_ERR_RANGE, "%lld windows of %lld and an extent of %lld on axis %d are out of range",
                             (long long)d->places[i], (long long)d->size[i], (long long)d->in[i], i + 1);
    }
    return true;
}

/* The shape of a tensor in this role: (n,…,c), without n for the weight. */
static ag_shape shape_in(const depthwise *d, int role, int64_t n, int64_t c) {
    ag_shape s = {0};
    if (role != W) s.extent[s.rank++] = n;
    for (int i = 0; i < d->axes; i++) s.extent[s.rank++] = role == X ? d->in[i] : role == W ? d->size[i] : d->places[i];
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

/* The numbers of a call but extents and places; false, after an error, unless there is one of each for each axis. */
static bool numbers_of(const char *name, ag_tensor *const x[2], const ag_shape *const lists[3], depthwise *d,
                       ag_tensor **nil) {
    if (!ag__inputs_usable(name, 2, x, nil)) return false;
    const int axes = ag_rank(x[0]) - 2;
    bool fits = axes >= 1 && axes <= SPACE && ag_rank(x[1]) == axes + 1;
    for (int i = 0; i < 3; i++) fits = fits && lists[i]->rank == axes;
    if (!fits) {
        *nil = ag__fail(name, 2, x, AG_ERR_SHAPE, "(N,L…,C) and (K…,C) are wanted, and numbers for one to three axes");
        return false;
    }
    memset(d, 0, sizeof *d);
    d->axes = axes;
    for (int i = 0; i < axes; i++) {
        d->size[i] = ag_extent(x[1], i);
        d->stride[i] = lists[0]->extent[i], d->dilation[i] = lists[1]->extent[i], d->before[i] = lists[2]->extent[i];
    }
    return true;
}

ag_tensor *ag_depthwise(ag_tensor *x, ag_tensor *w, ag_shape places, ag_shape stride, ag_shape dilation,
                        ag_shape before) {
    ag_tensor *nil, *const both[] = {x, w};
    depthwise d;
    if (!numbers_of("depthwise", both, (const ag_shape *const[]){&stride, &dilation, &before}, &d, &nil)) return nil;
    for (int i = 0; i < d.axes; i++)
        d.in[i] = ag_extent(x, i + 1), d.places[i] = i < places.rank ? places.extent[i] : 0;
    d.output = G;
    return record(d, (ag_tensor *[]){x, w, NULL});
}

ag_tensor *ag_depthwise_transposed(ag_tensor *x, ag_tensor *w, ag_shape extents, ag_shape stride, ag_shape dilation,
                                   ag_shape before) {
    ag_tensor *nil, *const both[] = {x, w};
    depthwise d;
    if (!numbers_of("depthwise_transposed", both, (const ag_shape *const[]){&stride, &dilation, &before}, &d, &nil))
        return nil;
    for (int i = 0; i < d.axes; i++)
        d.places[i] = ag_extent(x, i + 1), d.in[i] = i < extents.rank ? extents.extent[i] : 0;
    d.output = X;
    return record(d, (ag_tensor *[]){NULL, w, x});
}
