/* interpolate -- images with other spatial extents, and the adjoint
 *
 * An element is a sum of one, two or four elements along each axis, each times a weight. A row of the result along the
 * first axis is such a sum of rows of the image, which is in a cache when the next axis divides it further: neither
 * gathered elements nor what lies between two axes is ever stored as a whole. The adjoint adds each element, times its
 * weight, where it came from. */
#include "ops/resizing.h"

#include "autograd/eval/stream.h"
#include "ops/copying.h"

#include <math.h>
#include <string.h>

enum { MOST_TAPS = 4, PAGE = 1024 };

/* ---- Which elements, and their weights ---- */

/* Keys' polynomial at a distance of 0 to 2, with a = −0.75. */
static double cubic(double x) {
    const double a = -0.75;
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : (((x - 5) * x + 8) * x - 4) * a;
}

static int64_t within(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

/* Along an axis: for each of m elements `count` others of n, and their weights. */
typedef struct taps {
    int count;
    int64_t *index;
    double *weight; /* NULL: of one element, 1 */
} taps;

static bool is_nearest(int64_t mode) { return mode == AG_NEAREST || mode == AG_NEAREST_EXACT; }

static int taps_of(const ag__resizing *r, int axis) {
    return r->from[axis] == r->to[axis] || is_nearest(r->mode) ? 1 : r->mode == AG_LINEAR ? 2 : MOST_TAPS;
}

static void set_taps(taps *t, int64_t mode, int64_t i, int64_t n, double place) {
    if (mode == AG_LINEAR && place < 0) place = 0;
    const int64_t below = (int64_t)floor(place), first = mode == AG_CUBIC ? below - 1 : below;
    const double part = place - (double)below;
    for (int k = 0; k < t->count; k++) {
        t->index[i * t->count + k] = within(first + k, n);
        t->weight[i * t->count + k] = mode == AG_CUBIC ? cubic(fabs((double)(k - 1) - part)) : k == 0 ? 1 - part : part;
    }
}

static void find_taps(taps *t, const ag__resizing *r, int axis) {
    const int64_t n = r->from[axis], m = r->to[axis];
    for (int64_t i = 0; i < m; i++) {
        if (n == m) t->index[i] = i;
        else if (r->mode == AG_NEAREST) t->index[i] = i * n / m;
        else if (r->mode == AG_NEAREST_EXACT) t->index[i] = (2 * i + 1) * n / (2 * m);
        else if (r->align) set_taps(t, r->mode, i, n, m > 1 ? (double)(i * (n - 1)) / (double)(m - 1) : 0);
        else set_taps(t, r->mode, i, n, ((double)i + 0.5) * (double)n / (double)m - 0.5);
    }
}

/* ---- Rows ---- */

/* Rows i < m of y, of n elements: y = Σ weight·x, each x a row that `index` names; and the adjoint, which adds each row
 * i of x, times its weight, to the rows first … end−1 of y that are among those. */
#define ROWS(type, gather, spread)                                                                                     \
    AG_BLOCK_KERNEL(void, gather, (const taps *at, int64_t i, int64_t m, int64_t n, void *y_, const void *x_),         \
                    (at, i, m, n, y_, x_)) {                                                                           \
        type *y = y_;                                                                                                  \
        const type *const x = x_;                                                                                      \
        const int64_t *index = at->index + i * at->count;                                                              \
        const double *w = at->weight + i * at->count;                                                                  \
        for (; i < m; i++, y += n, index += at->count, w += at->count) {                                               \
            const type *const a = x + index[0] * n, *const b = x + index[1] * n;                                       \
            const type u = (type)w[0], v = (type)w[1];                                                                 \
            if (at->count == 2) {                                                                                      \
                AG_SIMD                                                                                                \
                for (int64_t e = 0; e < n; e++) y[e] = a[e] * u + b[e] * v;                                            \
            } else {                                                                                                   \
                const type *const c = x + index[2] * n, *const d = x + index[3] * n;                                   \
                const type s = (type)w[2], t = (type)w[3];                                                             \
                AG_SIMD                                                                                                \
                for (int64_t e = 0; e < n; e++) y[e] = a[e] * u + b[e] * v + c[e] * s + d[e] * t;                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    AG_BLOCK_KERNEL(                                                                                                   \
        void, spread,                                                                                                  \
        (const taps *at, int64_t i, int64_t m, int64_t n, int64_t first, int64_t end, void *y_, const void *x_),       \
        (at, i, m, n, first, end, y_, x_)) {                                                                           \
        const type *x = x_;                                                                                            \
        for (; i < m; i++, x += n)                                                                                     \
            for (int k = 0; k < at->count; k++) {                                                                      \
                const int64_t to = at->index[i * at->count + k];                                                       \
                const type v = at->weight ? (type)at->weight[i * at->count + k] : 1;                                   \
                type *y = (type *)y_ + to * n;                                                                         \
                if (to < first || to >= end) continue;                                                                 \
                for (int64_t e = 0; e < n; e += AG__LINE / (int)sizeof *x) ag__fetch(x + e + PAGE);                    \
                AG_SIMD                                                                                                \
                for (int64_t e = 0; e < n; e++) y[e] += x[e] * v;                                                      \
            }                                                                                                          \
    }
ROWS(float, gather_f32, spread_f32)
ROWS(double, gather_f64, spread_f64)

/* ---- A call ---- */

typedef struct resizing {
    const ag__resizing *r;
    taps taps[AG__RESIZED];
    int64_t bytes;                              /* of an element */
    int64_t from[AG__RESIZED], to[AG__RESIZED]; /* elements of one along an axis: of what comes behind it */
    int64_t images, rows;                       /* rows of the result in an image, along its first axis */
    bool wide;                                  /* f64 */
    bool past;                                  /* the result is written past the caches */
    char *memory;                               /* of each thread, `room` bytes for rows between two axes */
    size_t room;
    const char *x;
    char *y;
} resizing;

/* Elements i … m−1 along the axis, with all behind them. */
static void gather(const resizing *s, int axis, int64_t i, int64_t m, char *y, const char *x) {
    enum { SHORT = AG__LIMIT(16, 8) }; /* bytes that are copied in less time than a call takes */
    const taps *t = &s->taps[axis];
    const int64_t row = s->from[axis] * s->bytes;
    if (t->count > 1) (s->wide ? gather_f64 : gather_f32)(t, i, m, s->from[axis], y, x);
    else if (row <= SHORT)
        for (; i < m; i++)
            for (int64_t e = 0; e < row; e += 4, y += 4) memcpy(y, x + t->index[i] * row + e, 4);
    else
        for (; i < m; i++, y += row) ag__copy_row(y, x + t->index[i] * row, (size_t)row, false, 0);
}

static void spread(const resizing *s, int axis, int64_t i, int64_t m, int64_t first, int64_t end, char *y,
                   const char *x) {
    (s->wide ? spread_f64 : spread_f32)(&s->taps[axis], i, m, s->from[axis], first, end, y, x);
}

/* Elements i … m−1 of y along the axis, of all behind it. `memory`: for a row between each two axes, and behind these
 * for one of y that is written past the caches. */
static void resize(const resizing *s, int axis, int64_t i, int64_t m, char *memory, char *y, const char *x) {
    const taps *t = &s->taps[axis];
    const int64_t row = s->from[axis] * s->bytes;
    if (axis == s->r->axes - 1) {
        gather(s, axis, i, m, y, x);
        return;
    }
    const int64_t other = s->to[axis] * s->bytes, first = i;
    const bool past = s->past && axis == s->r->axes - 2;
    for (; i < m; i++, y += other) {
        const bool same = t->count == 1 && i > first && t->index[i] == t->index[i - 1];
        if (t->count > 1) gather(s, axis, i, i + 1, memory, x);
        if (!same)
            resize(s, axis + 1, 0, s->r->to[axis + 1], memory + row, past ? memory + row : y,
                   t->count > 1 ? memory : x + t->index[i] * row);
        if (past) ag__copy_past(y, memory + row, (size_t)other, 0);
        else if (same) memcpy(y, y - other, (size_t)other);
    }
}

static bool is_among(const taps *t, int64_t i, int64_t first, int64_t end) {
    for (int k = 0; k < t->count; k++)
        if (t->index[i * t->count + k] >= first && t->index[i * t->count + k] < end) return true;
    return false;
}

/* To elements first … end−1 of y along the axis, of all behind it, are added those of x that are made of them. */
static void resize_back(const resizing *s, int axis, int64_t first, int64_t end, char *memory, char *y, const char *x) {
    const int64_t m = s->r->to[axis], row = s->from[axis] * s->bytes;
    if (axis == s->r->axes - 1) {
        spread(s, axis, 0, m, first, end, y, x);
        return;
    }
    for (int64_t i = 0; i < m; i++, x += s->to[axis] * s->bytes) {
        if (!is_among(&s->taps[axis], i, first, end)) continue;
        memset(memory, 0, (size_t)row);
        resize_back(s, axis + 1, 0, s->r->from[axis + 1], memory + row, memory, x);
        spread(s, axis, i, i + 1, first, end, y, memory);
    }
}

static void resize_share(void *s_, int share, int shares) {
    const resizing *s = s_;
    const int64_t all = s->images * s->rows, end = ag__share_start(all, share + 1, shares);
    const int64_t image = s->r->from[0] * s->from[0], other = s->r->to[0] * s->to[0]; /* their elements */
    char *memory = s->memory + (size_t)share * s->room;
    for (int64_t at = ag__share_start(all, share, shares); at < end;) {
        const int64_t number = at / s->rows, first = at % s->rows, past = ag__lesser(s->rows, first + end - at);
        if (s->r->adjoint)
            resize_back(s, 0, first, past, memory, s->y + number * image * s->bytes, s->x + number * other * s->bytes);
        else
            resize(s, 0, first, past, memory, s->y + (number * other + first * s->to[0]) * s->bytes,
                   s->x + number * image * s->bytes);
        at += past - first;
    }
    if (s->past) ag__copied_past();
}

/* Memory for all taps; false without it. */
static bool take_taps(resizing *s, const ag_call *call) {
    size_t numbers = 0;
    for (int i = 0; i < s->r->axes; i++)
        numbers = ag__plus(numbers, ag__times((uint64_t)s->r->to[i], (size_t)taps_of(s->r, i)));
    char *memory = ag_call_scratch(call, ag__times(numbers, sizeof(int64_t) + sizeof(double)));
    if (!memory) return false;
    for (int i = 0; i < s->r->axes; i++) {
        taps *t = &s->taps[i];
        t->count = taps_of(s->r, i);
        const size_t n = (size_t)s->r->to[i] * (size_t)t->count;
        t->index = (int64_t *)(void *)memory;
        t->weight = (double *)(void *)(memory + n * sizeof *t->index);
        memory += n * (sizeof *t->index + sizeof *t->weight);
        find_taps(t, s->r, i);
        if (t->count == 1) t->weight = NULL;
    }
    return true;
}

static bool interpolate_eval(const ag_call *call) {
    const ag_array *x = &call->x[0];
    resizing s = {.r = call->attributes, .x = x->data, .y = call->y.data};
    const int axes = (int)s.r->axes;
    if (call->y.size == 0) return true;
    s.bytes = (int64_t)ag_dtype_size(x->dtype);
    s.wide = x->dtype == AG_F64;
    s.images = x->shape[0];
    s.rows = s.r->adjoint ? s.r->from[0] : s.r->to[0];
    s.from[axes - 1] = s.to[axes - 1] = x->shape[axes + 1];
    for (int i = axes - 2; i >= 0; i--) {
        s.from[i] = s.from[i + 1] * s.r->from[i + 1];
        s.to[i] = s.to[i + 1] * s.r->to[i + 1];
    }
    for (int i = 0; i + 1 < axes; i++) s.room = ag__plus(s.room, ag__times((uint64_t)s.from[i], (size_t)s.bytes));
    s.past = axes > 1 && !s.r->adjoint && ag__goes_past((x->size + call->y.size) * s.bytes);
    if (s.past) s.room = ag__plus(s.room, (size_t)(s.to[axes - 2] * s.bytes));
    s.room = ag__rounded(s.room, 64);
    const double work = (double)x->size + (double)call->y.size;
    const int threads = (int)ag__lesser(ag__worthwhile((int64_t)work, call->threads), s.images * s.rows);
    if (!take_taps(&s, call)) return false;
    s.memory = ag_call_scratch(call, ag__times(ag__plus(s.room, 64), (size_t)threads));
    if (!s.memory) return false;
    if (s.r->adjoint) memset(call->y.data, 0, (size_t)call->y.size * (size_t)s.bytes);
    ag__parallel(threads, resize_share, &s);
    return true;
}

/* ---- The operation ---- */

static bool interpolate_infer(ag_infer *r) {
    const ag__resizing *s = r->attributes;
    if (r->dtype != AG_F32 && r->dtype != AG_F64)
        return ag_reject(r, AG_ERR_DTYPE, "the dtype %s is not supported", ag_dtype_name(r->dtype));
    if (s->axes < 1 || s->axes > AG__RESIZED || r->shape.rank != s->axes + 2)
        return ag_reject(r, AG_ERR_SHAPE, "one to three axes are wanted, between those of images and channels");
    if (s->mode < AG_NEAREST || s->mode > AG_NEAREST_EXACT || s->align & ~INT64_C(1) || s->adjoint & ~INT64_C(1))
        return ag_reject(r, AG_ERR_RANGE, "the attributes are out of range");
    for (int i = 0; i < s->axes; i++) {
        const int64_t n = s->from[i], m = s->to[i], most = INT32_MAX; /* products of two are in range */
        if (m < 1 || m > most)
            return ag_reject(r, AG_ERR_RANGE, "extent %lld on axis %d: 1 to 2³¹ − 1 is wanted", (long long)m, i + 1);
        if (n < 1 || n > most) return ag_reject(r, AG_ERR_SHAPE, "axis %d must have 1 to 2³¹ − 1 elements", i + 1);
        if (r->shape.extent[i + 1] != (s->adjoint ? m : n))
            return ag_reject(r, AG_ERR_SHAPE, "axis %d must have %lld elements", i + 1,
                             (long long)(s->adjoint ? m : n));
        r->shape.extent[i + 1] = s->adjoint ? n : m;
    }
    return true;
}

static ag_tensor *interpolate_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag__resizing s = *(const ag__resizing *)ag_attributes(y);
    s.adjoint = !s.adjoint;
    return (void)i, ag_apply(&ag__op_interpolate, 1, &g, &s, sizeof s);
}

const ag_op ag__op_interpolate = {.name = "interpolate",
                                  .notation = "interpolate({0})",
                                  .kind = AG_KIND_OPAQUE,
                                  .flags = AG_OP_CONTIGUOUS,
                                  .arity = 1,
                                  .attribute_bytes = sizeof(ag__resizing),
                                  .infer = interpolate_infer,
                                  .vjp = interpolate_vjp,
                                  .eval = interpolate_eval};

/* The extents, one for each spatial axis of x; the operation checks the rest. */
static bool repeat(ag_tensor *x, ag_shape *extents) {
    const int axes = ag_rank(x) - 2;
    if (axes < 1 || axes > AG__RESIZED)
        ag__fail("interpolate", 1, &x, AG_ERR_SHAPE, "the input must be (N,L,C), (N,H,W,C) or (N,D,H,W,C)");
    else if (extents->rank != axes && extents->rank != 1)
        ag__fail("interpolate", 1, &x, AG_ERR_SHAPE, "%d extents are given for %d spatial axes", extents->rank, axes);
    else {
        for (int i = extents->rank; i < axes; i++) extents->extent[i] = extents->extent[0];
        extents->rank = axes;
        return true;
    }
    return false;
}

ag_tensor *ag_interpolate(ag_tensor *x, ag_shape extents, ag_interpolation mode, bool align_corners) {
    ag_tensor *nil;
    ag__resizing s;
    bool same = ag_dtype_of(x) == AG_F32 || ag_dtype_of(x) == AG_F64;
    if (!ag__inputs_usable("interpolate", 1, &x, &nil) || !repeat(x, &extents)) return ag__nil_of(ag_tape_of(x));
    if (mode > AG_NEAREST_EXACT || (is_nearest((int64_t)mode) && align_corners))
        return ag__fail("interpolate", 1, &x, AG_ERR_RANGE, "%s",
                        mode > AG_NEAREST_EXACT ? "there is no such mode"
                                                : "the nearest elements have no corners to align");
    memset(&s, 0, sizeof s);
    s.axes = extents.rank, s.mode = (int64_t)mode, s.align = align_corners;
    for (int i = 0; i < extents.rank; i++) {
        s.from[i] = ag_extent(x, i + 1), s.to[i] = extents.extent[i];
        same = same && s.from[i] == s.to[i] && s.to[i] > 0;
    }
    return same ? ag__reshape_as(x, x) : ag_apply(&ag__op_interpolate, 1, &x, &s, sizeof s);
}
