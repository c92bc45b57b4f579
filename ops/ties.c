/* ties -- how many elements are as large as the largest of them, and their equal shares of its cotangent
 *
 * Where whole rows or columns are reduced, a comparison and a sum are one pass of a region. Elsewhere, as in windows,
 * the comparison would be stored first, and takes more memory than all else: so each window is gone through twice while
 * it is in a cache, to count and to share. Where windows overlap, fold has the shares added where they belong, and they
 * are not stored either. */
#include "ops/ties.h"

#include <string.h>

enum { X, M, G, Y, ARRAYS }; /* elements, their extreme, its cotangent, the result */
enum { LANES = AG__LIMIT(64, 16), NARROW_WINDOW = AG__LIMIT(16, 4) };

/* Places are along the axes that are not reduced. At each there is a window. Strides are in elements. */
typedef struct sharing {
    int rank; /* axes of places, at least two */
    int64_t extent[AG_MAX_RANK], stride[ARRAYS][AG_MAX_RANK];
    int64_t window, *from, *to; /* elements of a window, and where they are in x and in y */
    bool counts, adds, strong;  /* y is the number of ties; is added to; has no 0 that is negative */
    bool alone;                 /* neighbouring places have elements of y in common */
    ag_dtype dtype;
    void *data[ARRAYS];
} sharing;

/* The places of `rows` rows along the innermost axis, LANES at a time if they are next to each other. No element equals
 * an m that is NaN. Comparisons become masks, for what they say can hardly be predicted. */
#define SHARE(name, type, word)                                                                                        \
    AG_BLOCK_KERNEL(void, name, (const sharing *s, int64_t rows, void *const at[]), (s, rows, at)) {                   \
        const int i = s->rank - 1;                                                                                     \
        const int64_t dx = s->stride[X][i], dm = s->stride[M][i], dg = s->stride[G][i], dy = s->stride[Y][i];          \
        const bool together = dx == 1 && dm == 1 && dg == 1 && dy == 1 && !s->alone;                                   \
        const int64_t end = s->extent[i], step = together ? LANES : 1;                                                 \
        const type zero = s->strong ? 0 : -(type)0, one = 1;                                                           \
        type n[LANES] = {0};                                                                                           \
        word share[LANES], other[LANES], counted;                                                                      \
        memcpy(&counted, &one, sizeof one);                                                                            \
        for (int64_t row = 0; row < rows; row++) {                                                                     \
            const type *x = (type *)at[X] + row * s->stride[X][i - 1], *m = (type *)at[M] + row * s->stride[M][i - 1]; \
            const type *g = (type *)at[G] + row * s->stride[G][i - 1];                                                 \
            type *y = (type *)at[Y] + row * s->stride[Y][i - 1];                                                       \
            for (int64_t j = 0; j < end; j += step) {                                                                  \
                const int64_t w = end - j < step ? end - j : step;                                                     \
                for (int64_t k = 0; k < s->window; k++) {                                                              \
                    const type *from = x + s->from[k];                                                                 \
                    AG_SIMD                                                                                            \
                    for (int64_t l = 0; l < w; l++) {                                                                  \
                        const word hit = -(word)(from[l] == m[l]) & counted;                                           \
                        type a;                                                                                        \
                        memcpy(&a, &hit, sizeof a);                                                                    \
                        n[l] += a;                                                                                     \
                    }                                                                                                  \
                }                                                                                                      \
                if (s->counts) memcpy(y, n, (size_t)w * sizeof *y);                                                    \
                AG_SIMD                                                                                                \
                for (int64_t l = 0; l < w; l++) {                                                                      \
                    const type a = g[l] / n[l] + zero, b = m[l] == m[l] || g[l] == 0 ? 0 : g[l] * m[l];                \
                    memcpy(&share[l], &a, sizeof a);                                                                   \
                    memcpy(&other[l], &b, sizeof b);                                                                   \
                    n[l] = 0;                                                                                          \
                }                                                                                                      \
                for (int64_t k = 0; k < s->window && !s->counts; k++) {                                                \
                    const type *from = x + s->from[k];                                                                 \
                    type *to = y + s->to[k];                                                                           \
                    for (int64_t l = 0; l < (s->adds ? 0 : w); l++) to[l] = -(type)0;                                  \
                    AG_SIMD                                                                                            \
                    for (int64_t l = 0; l < w; l++) {                                                                  \
                        const word hit = -(word)(from[l] == m[l]), bits = (share[l] & hit) | (other[l] & ~hit);        \
                        type a;                                                                                        \
                        memcpy(&a, &bits, sizeof a);                                                                   \
                        to[l] += a;                                                                                    \
                    }                                                                                                  \
                }                                                                                                      \
                x += w * dx, m += w * dm, g += w * dg, y += w * dy;                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }
SHARE(share_f32, float, uint32_t)
SHARE(share_f64, double, uint64_t)

/* For rows of a few elements vector code is larger, and no faster. */
#if defined __GNUC__ && !defined __clang__
#define NO_VECTORS __attribute__((optimize("no-tree-vectorize")))
#else
#define NO_VECTORS
#endif

/* The elements of short rows of places are put side by side, and LANES of them are computed, whatever the last are. */
#define SHARE_NARROW(name, type, share_all)                                                                            \
    NO_VECTORS static void name(const sharing *s, int64_t rows, void *const at[]) {                                    \
        const int i = s->rank - 1;                                                                                     \
        const int64_t c = s->extent[i], dx = s->stride[X][i], dy = s->stride[Y][i];                                    \
        int64_t place[NARROW_WINDOW];                                                                                  \
        type x[NARROW_WINDOW * LANES], m[LANES] = {0}, g[LANES] = {0}, y[NARROW_WINDOW * LANES];                       \
        memset(x, 0, (size_t)(s->window * LANES) * sizeof *x);                                                         \
        sharing side_by_side = {.rank = 2, .window = s->window, .from = place, .to = place, .strong = s->strong};      \
        side_by_side.extent[1] = LANES;                                                                                \
        for (int k = 0; k < ARRAYS; k++) side_by_side.stride[k][1] = 1;                                                \
        for (int64_t k = 0; k < s->window; k++) place[k] = k * LANES;                                                  \
        for (int64_t row = 0, n; row < rows; row += n) {                                                               \
            const type *from = (type *)at[X] + row * s->stride[X][i - 1];                                              \
            type *to = (type *)at[Y] + row * s->stride[Y][i - 1];                                                      \
            n = ag__lesser(rows - row, LANES / c);                                                                     \
            for (int64_t k = 0; k < s->window; k++)                                                                    \
                for (int64_t r = 0; r < n; r++)                                                                        \
                    for (int64_t l = 0; l < c; l++)                                                                    \
                        x[place[k] + r * c + l] = from[s->from[k] + r * s->stride[X][i - 1] + l * dx];                 \
            memcpy(m, (type *)at[M] + row * c, (size_t)(n * c) * sizeof *m);                                           \
            memcpy(g, (type *)at[G] + row * c, (size_t)(n * c) * sizeof *g);                                           \
            share_all(&side_by_side, 1, (void *[]){x, m, g, y});                                                       \
            for (int64_t r = 0; r < n; r++)                                                                            \
                for (int64_t k = 0; k < s->window; k++)                                                                \
                    for (int64_t l = 0; l < c; l++) {                                                                  \
                        type *one = &to[s->to[k] + r * s->stride[Y][i - 1] + l * dy];                                  \
                        *one = s->adds ? *one + y[place[k] + r * c + l] : y[place[k] + r * c + l];                     \
                    }                                                                                                  \
        }                                                                                                              \
    }
SHARE_NARROW(share_narrow_f32, float, share_f32)
SHARE_NARROW(share_narrow_f64, double, share_f64)

/* Whether rows of places are short, or not next to each other in x, and follow each other in m and in g. */
static bool is_narrow(const sharing *s) {
    const int i = s->rank - 1;
    const int64_t c = s->extent[i];
    if (s->counts || s->alone || s->window > NARROW_WINDOW || c > LANES / 2) return false;
    for (int k = M; k <= G; k++)
        if (s->stride[k][i] != 1 || s->stride[k][i - 1] != c) return false;
    return c < LANES / 4 || s->stride[X][i] != 1 || s->stride[Y][i] != 1;
}

static void share_rows(const sharing *s, int64_t rows, void *const at[]) {
    if (is_narrow(s)) (s->dtype == AG_F32 ? share_narrow_f32 : share_narrow_f64)(s, rows, at);
    else (s->dtype == AG_F32 ? share_f32 : share_f64)(s, rows, at);
}

static void share(const sharing *s, int axis, int64_t from, int64_t end, void *const at[]) {
    void *next[ARRAYS];
    const bool rows = axis == s->rank - 2;
    for (int64_t i = from; i < end; i += rows ? end - from : 1) {
        for (int k = 0; k < ARRAYS; k++)
            next[k] = (char *)at[k] + i * s->stride[k][axis] * (int64_t)ag_dtype_size(s->dtype);
        if (rows) share_rows(s, end - from, next);
        else share(s, axis + 1, 0, s->extent[axis + 1], next);
    }
}

static void share_part(void *s_, int i, int n) {
    const sharing *s = s_;
    share(s, 0, ag__share_start(s->extent[0], i, n), ag__share_start(s->extent[0], i + 1, n), s->data);
}

/* A window becomes one of several such, which are so far apart. */
static void repeat_window(sharing *s, int64_t extent, int64_t x, int64_t y) {
    for (int64_t k = s->window; k < s->window * extent; k++) {
        s->from[k] = s->from[k - s->window] + x;
        s->to[k] = s->to[k - s->window] + y;
    }
    s->window *= extent;
}

/* `stride` of y along the axes of x. Threads divide the outermost axis of places, but not an `overlapping` one. */
AG__SHORT static bool share_out(const ag_call *call, sharing *s, void *y, const int64_t stride[],
                                uint32_t overlapping) {
    const ag_array *x = &call->x[0], *m = &call->x[1], *g = &call->x[call->n - 1];
    const int64_t *along[ARRAYS] = {x->stride, m->stride, g->stride, stride};
    int64_t threads = ag__worthwhile(x->size, call->threads), most;
    if (x->size == 0) return true;
    most = x->size / m->size;
    s->from = ag_call_scratch(call, ag__times((uint64_t)most, 2 * sizeof *s->from));
    if (!s->from) return false;
    s->to = s->from + most, s->from[0] = s->to[0] = 0, s->window = 1;
    s->dtype = x->dtype, s->data[X] = x->data, s->data[M] = m->data, s->data[G] = g->data, s->data[Y] = y;
    for (int i = x->rank - 1; i >= 0; i--)
        if (m->shape[i] < x->shape[i]) repeat_window(s, x->shape[i], x->stride[i], stride[i]);
    for (int i = 0; i < x->rank; i++) {
        if (m->shape[i] == 1) continue;
        if (s->rank == 0) threads = overlapping >> i & 1 ? 1 : ag__lesser(threads, x->shape[i]);
        for (int k = 0; k < ARRAYS; k++) s->stride[k][s->rank] = along[k][i];
        s->extent[s->rank++] = x->shape[i];
        s->alone = overlapping >> i & 1;
    }
    for (; s->rank < 2; s->rank++, threads = 1) { /* a row of what there is */
        s->extent[1] = s->rank == 0 ? 1 : s->extent[0], s->extent[0] = 1;
        for (int k = 0; k < ARRAYS; k++) s->stride[k][1] = s->stride[k][0], s->stride[k][0] = 0;
    }
    ag__parallel((int)threads, share_part, s);
    return true;
}

AG__SHORT bool ag__add_shares(const ag_call *call, char *to, const ag_array *view, const int64_t step[],
                              uint32_t overlapping, uint32_t offsets) {
    const ag_array *y = &call->y;
    int64_t stride[AG_MAX_RANK] = {0};
    sharing s = {.adds = true};
    uint32_t overlaps = 0;
    int latest = 0;
    if (view->size != y->size) return false;
    for (int i = 0; i < y->rank; i++) {
        int a = 0;
        if (y->shape[i] == 1) continue;
        while (a < view->rank && (view->shape[a] != y->shape[i] || view->stride[a] != y->stride[i])) a++;
        if (a == view->rank) return false;
        stride[i] = step[a];
        if (offsets >> a & 1 && call->x[1].shape[i] > 1) return false; /* outside windows they would come in between */
        if (!(overlapping >> a & 1)) continue;
        if (a < latest || call->x[1].shape[i] == 1) return false;
        overlaps |= 1u << i, latest = a;
    }
    return share_out(call, &s, to, stride, overlaps);
}

/* ---- The operations ---- */

/* Whether input k has the dtype of the first, and its extents, or 1. */
static bool is_like(ag_infer *r, int k) {
    const ag_shape x = ag_shape_of(r->x[0]), y = ag_shape_of(r->x[k]);
    const ag_dtype dtype = ag_dtype_of(r->x[0]);
    if (ag_dtype_of(r->x[k]) != dtype)
        return ag_reject(r, AG_ERR_DTYPE, "dtypes %s and %s differ", ag_dtype_name(dtype),
                         ag_dtype_name(ag_dtype_of(r->x[k])));
    if (dtype != AG_F32 && dtype != AG_F64)
        return ag_reject(r, AG_ERR_DTYPE, "the dtype %s is not supported", ag_dtype_name(dtype));
    bool same = x.rank == y.rank;
    for (int i = 0; i < x.rank && same; i++) same = y.extent[i] == x.extent[i] || y.extent[i] == 1;
    return same || ag_reject(r, AG_ERR_SHAPE, "the extents of the second must be 1, or those of the first");
}

AG__SHORT static bool ties_eval(const ag_call *call) {
    const ag_array *y = &call->y;
    sharing s = {.counts = true};
    if (call->x[0].size == 0) memset(y->data, 0, (size_t)y->size * ag_dtype_size(y->dtype));
    return share_out(call, &s, y->data, y->stride, 0);
}

AG__SHORT static bool ties_infer(ag_infer *r) {
    r->shape = ag_shape_of(r->x[1]);
    return is_like(r, 1);
}

const ag_op ag__op_ties = {.name = "ties",
                           .notation = "ties({0}, {1})",
                           .kind = AG_KIND_OPAQUE,
                           .arity = 2,
                           .infer = ties_infer,
                           .vjp = ag_zero_vjp,
                           .eval = ties_eval};

static bool shares_eval(const ag_call *call) {
    sharing s = {.strong = *(const int64_t *)call->attributes != 0};
    return share_out(call, &s, call->y.data, call->y.stride, 0);
}

AG__SHORT static bool shares_infer(ag_infer *r) {
    const ag_shape m = ag_shape_of(r->x[1]), g = ag_shape_of(r->x[2]);
    if (!is_like(r, 1) || !is_like(r, 2)) return false;
    for (int i = 0; i < m.rank; i++)
        if (m.extent[i] != g.extent[i])
            return ag_reject(r, AG_ERR_SHAPE, "the extents of the second and the third differ");
    return true;
}

/* The shares depend on x and its extreme only where that is NaN. */
AG__SHORT static ag_tensor *shares_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, 0), *m = ag_input(y, 1);
    ag_axes axes = {.count = 0};
    if (i == 0) return NULL;
    for (int k = 0; k < ag_rank(x); k++)
        if (ag_extent(m, k) != ag_extent(x, k)) axes.axis[axes.count++] = k;
    ag_tensor *all = ag__sum(g, &axes, true);
    if (i == 1) return ag__unknown(ag__mul_both_strong(all, ag_input(y, 2)), m);
    ag_tensor *zero = ag__number_as(y, 0), *n = ag_apply(&ag__op_ties, 2, y->input, NULL, 0);
    ag_tensor *taken = ag__sum(ag_where(ag_equal(x, m), g, zero), &axes, true);
    return ag_add(ag_strong_div(taken, n), ag__unknown(all, m));
}

const ag_op ag__op_shares = {.name = "shares",
                             .notation = "({0} = {1}) * {2} / ties({0}, {1})",
                             .kind = AG_KIND_OPAQUE,
                             .arity = 3,
                             .attribute_bytes = sizeof(int64_t),
                             .infer = shares_infer,
                             .vjp = shares_vjp,
                             .eval = shares_eval};

AG__SHORT ag_tensor *ag__shares(ag_tensor *x, ag_tensor *y, ag_tensor *g) {
    const int64_t strong = !ag__is_weak(g);
    return ag_apply(&ag__op_shares, 3, (ag_tensor *[]){x, y, g}, &strong, sizeof strong);
}
