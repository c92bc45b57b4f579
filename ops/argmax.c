/* argmax -- where the largest element along an axis is, or the smallest
 *
 * Many outputs are compared side by side: `best` has the largest element of each so far, `at` where it is. Rows of
 * which a strip has several are turned into columns first. A longer one is cut into lanes, each with a best one of its
 * own. The first of equal elements is the result, and a NaN counts as the best, so the order of comparisons does not
 * matter. */
#include "autograd/eval/pack.h"
#include "autograd/eval/rows.h"
#include "ops/rules.h"

#include <stdlib.h>
#include <string.h>

typedef struct along {
    int64_t axis, keepdims;
} along;

/* One comparison for each of n outputs, with element number k; and the index of the best of some lanes, of which each
 * has every so many-th element. `at` has the width of an element, so that vectors of both are as long. IN_ORDER gives
 * numbers whose order is that of elements, or for the smallest one the opposite. */
#define ARGMAX(compare, best_lane, type, place, IN_ORDER)                                                              \
    AG_BLOCK_KERNEL(void, compare, (int64_t n, void *best_, void *at_, const void *x_, int64_t k_, bool least),        \
                    (n, best_, at_, x_, k_, least)) {                                                                  \
        type *best = best_;                                                                                            \
        place *at = at_;                                                                                               \
        const type *x = x_;                                                                                            \
        const place k = (place)k_;                                                                                     \
        AG_SIMD                                                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type a = best[i], b = x[i];                                                                          \
            const bool better = (IN_ORDER(b, type) > IN_ORDER(a, type)) | ((b != b) & (a == a));                       \
            best[i] = better ? b : a;                                                                                  \
            at[i] = better ? k : at[i];                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static int64_t best_lane(const void *best_, const void *at_, int64_t lanes, bool least) {                          \
        const type *best = best_;                                                                                      \
        const place *at = at_;                                                                                         \
        int64_t found = (int64_t)at[0] * AG__LANES;                                                                    \
        type a = best[0];                                                                                              \
        for (int64_t i = 1; i < lanes; i++) {                                                                          \
            const int64_t index = (int64_t)at[i] * AG__LANES + i;                                                      \
            const type b = best[i];                                                                                    \
            const bool equal = a == b || (a != a && b != b);                                                           \
            if (equal ? index > found : !(IN_ORDER(b, type) > IN_ORDER(a, type) || (b != b && a == a))) continue;      \
            found = index;                                                                                             \
            a = b;                                                                                                     \
        }                                                                                                              \
        return found;                                                                                                  \
    }
#define INTEGER(v, type) ((v) ^ -(type)least)
#define REAL(v, type) ((v) * (least ? (type)-1 : (type)1))
ARGMAX(compare_i64, best_lane_i64, int64_t, int64_t, INTEGER)
ARGMAX(compare_f32, best_lane_f32, float, uint32_t, REAL)
ARGMAX(compare_f64, best_lane_f64, double, int64_t, REAL)

typedef void compare(int64_t, void *, void *, const void *, int64_t, bool);
typedef int64_t best_lane(const void *, const void *, int64_t, bool);
static compare *const compares[AG_DTYPES] = {NULL, compare_i64, compare_f32, compare_f64};
static best_lane *const best_lanes[AG_DTYPES] = {NULL, best_lane_i64, best_lane_f32, best_lane_f64};

typedef struct search {
    ag_dtype dtype;
    int64_t bytes; /* of an element */
    const char *x;
    ag__walk kept;     /* over the outputs */
    int64_t n, stride; /* along the axis */
    bool near;         /* an output's elements are nearer to each other than the outputs are */
    bool least;        /* the smallest is wanted */
    int64_t *y;
    int64_t outputs;
} search;

static search search_of(const ag_call *call) {
    const ag_array *x = &call->x[0];
    const int64_t axis = ((const along *)call->attributes)->axis;
    search s = {.dtype = x->dtype, .bytes = (int64_t)ag_dtype_size(x->dtype), .x = x->data, .outputs = call->y.size};
    s.y = call->y.data;
    s.n = x->shape[axis];
    s.stride = x->stride[axis];
    for (int i = 0; i < x->rank; i++)
        if (i != axis) ag__walk_add(&s.kept, x->shape[i], x->stride[i]);
    s.near = s.kept.rank == 0 || llabs(s.stride) < llabs(s.kept.stride[s.kept.rank - 1]);
    if (s.outputs < AG__FEWEST_COLUMNS && !ag__is_short(s.n)) s.near = true; /* the outputs are not worth a vector */
    if (s.dtype == AG_F32 && s.n > UINT32_MAX) s.near = true;                /* lanes are shorter */
    return s;
}

/* Results start … start+n−1. */
static void put(const search *s, int64_t start, int64_t n, const void *at) {
    const uint32_t *narrow = at;
    const int64_t *wide = at;
    for (int64_t i = 0; i < n; i++) s->y[start + i] = s->dtype == AG_F32 ? narrow[i] : wide[i];
}

/* ---- Short rows, and longer ones if there are many ---- */

enum { MOST_TURNED = AG__STRIP / 8 }; /* elements of a row: a strip then has as many rows as a vector has elements */

static bool is_turned(const search *s) {
    return ag__is_short(s->n) || (s->n <= MOST_TURNED && s->outputs >= AG__FEWEST_COLUMNS);
}

static void search_turned(const search *s, int64_t start, int64_t end) {
    _Alignas(64) char line[AG__STRIP * AG__MOST_BYTES], column[AG__STRIP * AG__MOST_BYTES];
    _Alignas(64) char at[AG__STRIP * AG__MOST_BYTES];
    ag__walk all = s->kept;
    ag__walk_add(&all, s->n, s->stride);
    const bool together = all.rank == 1 && all.stride[0] == 1;
    for (int64_t m; start < end; start += m) {
        m = ag__lesser(end - start, AG__STRIP / s->n);
        const char *x = together ? s->x + start * s->n * s->bytes : line;
        if (!together) ag__pack_walk(line, s->x, &all, start * s->n, m * s->n, (size_t)s->bytes);
        ag__turn(column, x, m, s->n, (size_t)s->bytes);
        memset(at, 0, (size_t)(m * s->bytes));
        for (int64_t k = 1; k < s->n; k++) compares[s->dtype](m, column, at, column + k * m * s->bytes, k, s->least);
        put(s, start, m, at);
    }
}

/* ---- Columns ---- */

/* Outputs start … start+m−1 of row k; where they are, or packed. */
static const char *columns_of(const search *s, int64_t k, int64_t start, int64_t m, char *line) {
    const char *x = s->x + k * s->stride * s->bytes;
    if (s->kept.rank == 1 && s->kept.stride[0] == 1) return x + start * s->bytes;
    ag__pack_walk(line, x, &s->kept, start, m, (size_t)s->bytes);
    return line;
}

static void search_columns(const search *s, int64_t start, int64_t end) {
    _Alignas(64) char best[AG__STRIP * AG__MOST_BYTES], line[AG__STRIP * AG__MOST_BYTES];
    _Alignas(64) char at[AG__STRIP * AG__MOST_BYTES];
    for (int64_t m; start < end; start += m) {
        m = ag__lesser(end - start, AG__STRIP);
        memcpy(best, columns_of(s, 0, start, m, line), (size_t)(m * s->bytes));
        memset(at, 0, (size_t)(m * s->bytes));
        for (int64_t k = 1; k < s->n; k++)
            compares[s->dtype](m, best, at, columns_of(s, k, start, m, line), k, s->least);
        put(s, start, m, at);
    }
}

/* ---- Long rows ---- */

/* Elements start … of a row, at most a strip of them; where they are, or packed. */
static const char *strip_of(const search *s, const char *row, int64_t start, int64_t m, char *line) {
    const ag__walk w = {.rank = 1, .extent = {s->n}, .stride = {s->stride}};
    if (s->stride == 1) return row + start * s->bytes;
    ag__pack_walk(line, row, &w, start, m, (size_t)s->bytes);
    return line;
}

static int64_t search_row(const search *s, const char *row) {
    _Alignas(64) char line[AG__STRIP * AG__MOST_BYTES];
    _Alignas(64) char best[AG__LANES * AG__MOST_BYTES], at[AG__LANES * AG__MOST_BYTES] = {0};
    const int64_t lanes = ag__lesser(s->n, AG__LANES);
    for (int64_t start = 0, m; start < s->n; start += m) {
        m = ag__lesser(s->n - start, AG__STRIP);
        const char *x = strip_of(s, row, start, m, line);
        if (start == 0) memcpy(best, x, (size_t)(lanes * s->bytes));
        for (int64_t i = start == 0 ? lanes : 0; i < m; i += AG__LANES)
            compares[s->dtype](ag__lesser(m - i, AG__LANES), best, at, x + i * s->bytes, (start + i) / AG__LANES,
                               s->least);
    }
    return best_lanes[s->dtype](best, at, lanes, s->least);
}

static void search_rows(const search *s, int64_t start, int64_t end) {
    int64_t last;
    for (; start < end; start++) s->y[start] = search_row(s, s->x + ag__walk_offset(&s->kept, start, &last) * s->bytes);
}

/* ---- The operation ---- */

static void search_share(void *s_, int i, int n) {
    const search *s = s_;
    const int64_t start = ag__share_start(s->outputs, i, n), end = ag__share_start(s->outputs, i + 1, n);
    if (s->near && is_turned(s)) search_turned(s, start, end);
    else if (s->near) search_rows(s, start, end);
    else search_columns(s, start, end);
}

static bool argmax_infer(ag_infer *r) {
    const along *a = r->attributes;
    if (r->dtype == AG_BOOL) return ag_reject(r, AG_ERR_DTYPE, "the dtype bool is not supported");
    if (a->axis < 0 || a->axis >= r->shape.rank)
        return ag_reject(r, AG_ERR_AXIS, "axis %lld is out of range", (long long)a->axis);
    if (a->keepdims != 0 && a->keepdims != 1)
        return ag_reject(r, AG_ERR_RANGE, "keepdims is %lld: 0 or 1 is wanted", (long long)a->keepdims);
    if (r->shape.extent[a->axis] == 0)
        return ag_reject(r, AG_ERR_SHAPE, "axis %lld has no elements", (long long)a->axis);
    r->dtype = AG_I64;
    r->shape.extent[a->axis] = 1;
    if (a->keepdims) return true;
    for (int i = (int)a->axis; i + 1 < r->shape.rank; i++) r->shape.extent[i] = r->shape.extent[i + 1];
    r->shape.rank--;
    return true;
}

static bool search_all(const ag_call *call, bool least) {
    search s = search_of(call);
    s.least = least;
    if (s.n == 1) {
        memset(s.y, 0, (size_t)s.outputs * sizeof *s.y);
        return true;
    }
    ag__parallel(ag__worthwhile(call->x[0].size, call->threads), search_share, &s);
    return true;
}
static bool argmax_eval(const ag_call *call) { return search_all(call, false); }
static bool argmin_eval(const ag_call *call) { return search_all(call, true); }

const ag_op ag__op_argmax = {.name = "argmax",
                             .notation = "argmax_{i0}({0})",
                             .kind = AG_KIND_OPAQUE,
                             .arity = 1,
                             .attribute_bytes = sizeof(along),
                             .flags = AG_OP_NOT_DIFFERENTIABLE,
                             .infer = argmax_infer,
                             .eval = argmax_eval};

const ag_op ag__op_argmin = {.name = "argmin",
                             .notation = "argmin_{i0}({0})",
                             .kind = AG_KIND_OPAQUE,
                             .arity = 1,
                             .attribute_bytes = sizeof(along),
                             .flags = AG_OP_NOT_DIFFERENTIABLE,
                             .infer = argmax_infer,
                             .eval = argmin_eval};

static ag_tensor *of_axis(const ag_op *op, ag_tensor *x, int axis, bool keepdims) {
    ag_tensor *nil;
    if (!ag__inputs_usable(op->name, 1, &x, &nil)) return nil;
    along a = {ag__axis(axis, ag_rank(x)), keepdims};
    if (a.axis < 0)
        return ag__fail(op->name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    return ag_apply(op, 1, &x, &a, sizeof a);
}

static ag_tensor *of_axes(const ag_op *op, ag_tensor *x, const ag_axes *axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    int axis;
    if (!ag__inputs_usable(op->name, 1, &x, &nil) || !ag__axes_mask(op->name, x, axes, &mask, &nil)) return nil;
    ag_shape kept = ag_shape_of(x);
    if (ag_dtype_of(x) == AG_BOOL) return ag__fail(op->name, 1, &x, AG_ERR_DTYPE, "the dtype bool is not supported");
    for (int i = 0; i < kept.rank; i++) {
        if (mask & 1u << i && kept.extent[i] == 0)
            return ag__fail(op->name, 1, &x, AG_ERR_SHAPE, "axis %d has no elements", i);
        if (mask & 1u << i) kept.extent[i] = 1;
    }
    if (mask == 0) return ag_zeros(ag_tape_of(x), AG_I64, kept);
    x = ag__axes_together(x, mask, &axis);
    ag_tensor *y = ag_apply(op, 1, &x, &(along){axis, 0}, sizeof(along));
    return keepdims ? ag__reshape(y, &kept) : y;
}

ag_tensor *ag_argmax(ag_tensor *x, int axis, bool keepdims) { return of_axis(&ag__op_argmax, x, axis, keepdims); }
ag_tensor *ag_argmin(ag_tensor *x, int axis, bool keepdims) { return of_axis(&ag__op_argmin, x, axis, keepdims); }

ag_tensor *ag_argmax_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    return of_axes(&ag__op_argmax, x, &axes, keepdims);
}
ag_tensor *ag_argmin_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    return of_axes(&ag__op_argmin, x, &axes, keepdims);
}
