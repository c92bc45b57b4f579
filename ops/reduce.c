/* reduce -- sums, means and extremes over any set of axes
 *
 * A fold's order depends only on the number of elements: LANES running folds side by side, then the lanes pairwise.
 * So the result has the same bits for any vector width. The evaluator joins the folds of blocks, pairwise too. */
#include "autograd/tape/limits.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

enum { LANES = AG__LANES };

/* y[0] = the fold of x[0…n) by a ∘ b = formula. */
#define FOLD(name, type, formula)                                                                                      \
    AG_KERNEL static void name(int64_t n, void *y_, const void *x_) {                                                  \
        const type *x = x_;                                                                                            \
        type lane[LANES];                                                                                              \
        int64_t width = n < LANES ? n : LANES, i = width;                                                              \
        if (n >= LANES) memcpy(lane, x, sizeof lane); /* without a call */                                             \
        else memcpy(lane, x, (size_t)n * sizeof *lane);                                                                \
        for (; i + LANES <= n; i += LANES) {                                                                           \
            AG_SIMD                                                                                                    \
            for (int64_t l = 0; l < LANES; l++) {                                                                      \
                const type a = lane[l], b = x[i + l];                                                                  \
                lane[l] = formula;                                                                                     \
            }                                                                                                          \
        }                                                                                                              \
        for (int64_t l = 0; i + l < n; l++) {                                                                          \
            const type a = lane[l], b = x[i + l];                                                                      \
            lane[l] = formula;                                                                                         \
        }                                                                                                              \
        if (n >= LANES) {                                                                                              \
            for (int64_t half = LANES / 2; half > 0; half /= 2) {                                                      \
                AG_SIMD                                                                                                \
                for (int64_t l = 0; l < half; l++) {                                                                   \
                    const type a = lane[l], b = lane[l + half];                                                        \
                    lane[l] = formula;                                                                                 \
                }                                                                                                      \
            }                                                                                                          \
        } else {                                                                                                       \
            for (int64_t l = 1; l < n; l++) {                                                                          \
                const type a = lane[0], b = lane[l];                                                                   \
                lane[0] = formula;                                                                                     \
            }                                                                                                          \
        }                                                                                                              \
        *(type *)y_ = lane[0];                                                                                         \
    }

/* y[i] = y[i] ∘ x[i]. */
#define COMBINE(name, type, formula)                                                                                   \
    AG_KERNEL static void name(int64_t n, void *y_, const void *x_) {                                                  \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        AG_SIMD                                                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type a = y[i], b = x[i];                                                                             \
            y[i] = formula;                                                                                            \
        }                                                                                                              \
    }

static ag_tensor *reduce_mask(const ag_op *op, ag_tensor *x, uint32_t mask, bool keepdims) {
    ag_axes_set set;
    memset(&set, 0, sizeof set);
    set.mask = mask;
    set.keepdims = keepdims;
    return ag_apply(op, 1, &x, &set, sizeof set);
}

static ag_tensor *reduce(const ag_op *op, ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable(op->name, 1, &x, &nil) || !ag__axes_mask(op->name, x, &axes, &mask, &nil)) return nil;
    return reduce_mask(op, x, mask, keepdims);
}

/* The same of numbers that a bool x stands for. */
static ag_tensor *reduce_as(ag_dtype number, const ag_op *op, ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable(op->name, 1, &x, &nil) || !ag__axes_mask(op->name, x, &axes, &mask, &nil)) return nil;
    const ag_dtype d = ag_dtype_of(x);
    return reduce_mask(op, d == AG_BOOL || (d == AG_I64 && number == AG_F64) ? ag_cast(x, number) : x, mask, keepdims);
}

ag_tensor *ag__number_of(ag_tensor *x) { return ag_dtype_of(x) == AG_BOOL ? ag_cast(x, AG_I64) : x; }

ag_tensor *ag__axes_together(ag_tensor *x, uint32_t mask, int *axis) {
    const int rank = ag_rank(x);
    ag_axes order = {0, {0}};
    ag_shape shape = {0, {0}};
    int64_t n = 1;
    *axis = 0;
    while (*axis < rank && mask != 1u << *axis) ++*axis;
    if (*axis < rank) return x;
    for (int i = 0; i < rank; i++)
        if (!(mask & 1u << i)) shape.extent[shape.rank++] = ag_extent(x, i), order.axis[order.count++] = i;
    for (int i = 0; i < rank; i++)
        if (mask & 1u << i) n *= ag_extent(x, i), order.axis[order.count++] = i;
    shape.extent[ *axis = shape.rank++] = n;
    return ag_reshape(ag_permute(x, order), shape);
}

ag_tensor *ag__axes_apart(ag_tensor *y, const ag_shape *shape, uint32_t mask) {
    ag_shape permuted = {shape->rank, {0}};
    ag_axes back = {shape->rank, {0}};
    int k = 0;
    for (int chosen = 0; chosen < 2; chosen++)
        for (int i = 0; i < shape->rank; i++)
            if ((mask >> i & 1u) == (unsigned)chosen) permuted.extent[k] = shape->extent[i], back.axis[i] = k++;
    return (mask & (mask - 1)) != 0 || mask == 0 ? ag_permute(ag_reshape(y, permuted), back) : y;
}

/* ---- Gradients ---- */

/* t, of y's shape, with extent 1 for each reduced axis. */
static ag_tensor *with_axes_kept(ag_tensor *y, ag_tensor *t) {
    const ag_axes_set *set = ag_attributes(y);
    if (set->keepdims) return t;
    ag_shape shape = ag_shape_of(ag_input(y, 0));
    for (int i = 0; i < shape.rank; i++)
        if (set->mask & 1u << i) shape.extent[i] = 1;
    return ag_reshape(t, shape);
}

/* t broadcast to the shape of x. If the reduced axes all came first, broadcasting restores them by itself. */
static ag_tensor *spread(ag_tensor *y, ag_tensor *t) {
    const ag_axes_set *set = ag_attributes(y);
    bool leading = (set->mask & (set->mask + 1)) == 0;
    return ag_broadcast_to(leading ? t : with_axes_kept(y, t), ag_shape_of(ag_input(y, 0)));
}

/* How many elements of x are reduced to an element of y. */
static double count_of(ag_tensor *y) {
    const ag_axes_set *set = ag_attributes(y);
    ag_shape shape = ag_shape_of(ag_input(y, 0));
    double n = 1;
    for (int i = 0; i < shape.rank; i++)
        if (set->mask & 1u << i) n *= (double)shape.extent[i];
    return n;
}

/* ---- sum ---- */

FOLD(sum_fold_i64, uint64_t, a + b)
FOLD(sum_fold_f32, float, a + b)
FOLD(sum_fold_f64, double, a + b)
COMBINE(sum_combine_i64, uint64_t, a + b)
COMBINE(sum_combine_f32, float, a + b)
COMBINE(sum_combine_f64, double, a + b)

static const ag_reduction sum_reduction = {
    .identity = 0,
    .fold = {[AG_I64] = sum_fold_i64, [AG_F32] = sum_fold_f32, [AG_F64] = sum_fold_f64},
    .combine = {[AG_I64] = sum_combine_i64, [AG_F32] = sum_combine_f32, [AG_F64] = sum_combine_f64},
    .join = &ag__op_add};

static ag_tensor *sum_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, spread(y, g); }

const ag_op ag__op_sum = {.name = "sum",
                          .notation = "Σ_{axes} {0}",
                          .kind = AG_KIND_REDUCTION,
                          .flags = AG_OP_HIDES_NOTHING,
                          .arity = 1,
                          .reduction = &sum_reduction,
                          .vjp = sum_vjp};

ag_tensor *ag_sum(ag_tensor *x) { return reduce_as(AG_I64, &ag__op_sum, x, AG_ALL_AXES, false); }

ag_tensor *ag_sum_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    return reduce_as(AG_I64, &ag__op_sum, x, axes, keepdims);
}

/* ---- mean ---- */

static void mean_finish_f32(int64_t n, void *y_, int64_t count) {
    float *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] /= (float)count;
}

static void mean_finish_f64(int64_t n, void *y_, int64_t count) {
    double *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] /= (double)count;
}

static const ag_reduction mean_reduction = {.identity = 0,
                                            .fold = {[AG_F32] = sum_fold_f32, [AG_F64] = sum_fold_f64},
                                            .combine = {[AG_F32] = sum_combine_f32, [AG_F64] = sum_combine_f64},
                                            .finish = {[AG_F32] = mean_finish_f32, [AG_F64] = mean_finish_f64},
                                            .join = &ag__op_add};

static ag_tensor *mean_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)i, spread(y, ag_div_scalar(g, count_of(y)));
}

const ag_op ag__op_mean = {.name = "mean",
                           .notation = "mean_{axes}({0})",
                           .kind = AG_KIND_REDUCTION,
                           .flags = AG_OP_HIDES_NOTHING,
                           .arity = 1,
                           .reduction = &mean_reduction,
                           .vjp = mean_vjp};

ag_tensor *ag_mean(ag_tensor *x) { return reduce_as(AG_F64, &ag__op_mean, x, AG_ALL_AXES, false); }

ag_tensor *ag_mean_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    return reduce_as(AG_F64, &ag__op_mean, x, axes, keepdims);
}

/* ---- prod ---- */

FOLD(prod_fold_i64, uint64_t, a *b)
FOLD(prod_fold_f32, float, a *b)
FOLD(prod_fold_f64, double, a *b)
COMBINE(prod_combine_i64, uint64_t, a *b)
COMBINE(prod_combine_f32, float, a *b)
COMBINE(prod_combine_f64, double, a *b)

static const ag_reduction prod_reduction = {
    .identity = 1,
    .fold = {[AG_I64] = prod_fold_i64, [AG_F32] = prod_fold_f32, [AG_F64] = prod_fold_f64},
    .combine = {[AG_I64] = prod_combine_i64, [AG_F32] = prod_combine_f32, [AG_F64] = prod_combine_f64},
    .join = &ag__op_mul};

/* The product of the others is that of those before and that of those behind: a quotient would be 0/0 where x is 0. */
static ag_tensor *prod_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const ag_axes_set *set = ag_attributes(y);
    ag_tensor *x = ag_input(y, i);
    const ag_shape shape = ag_shape_of(x);
    int axis;
    if (set->mask == 0) return g;
    ag_tensor *together = ag__axes_together(x, set->mask, &axis);
    ag_tensor *others = ag_mul(ag__products_before(together, axis, false), ag__products_before(together, axis, true));
    return ag__slope_mul(spread(y, g), ag__axes_apart(others, &shape, set->mask));
}

const ag_op ag__op_prod = {.name = "prod",
                           .notation = "prod_{axes}({0})",
                           .kind = AG_KIND_REDUCTION,
                           .flags = AG_OP_HIDES_NOTHING,
                           .arity = 1,
                           .reduction = &prod_reduction,
                           .vjp = prod_vjp};

ag_tensor *ag_prod(ag_tensor *x) { return reduce_as(AG_I64, &ag__op_prod, x, AG_ALL_AXES, false); }

ag_tensor *ag_prod_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    return reduce_as(AG_I64, &ag__op_prod, x, axes, keepdims);
}

/* ---- all, any ---- */

FOLD(all_fold, uint8_t, a &b)
FOLD(any_fold, uint8_t, a | b)
COMBINE(all_combine, uint8_t, a &b)
COMBINE(any_combine, uint8_t, a | b)

static const ag_reduction all_reduction = {
    .identity = 1, .fold = {[AG_BOOL] = all_fold}, .combine = {[AG_BOOL] = all_combine}};
static const ag_reduction any_reduction = {
    .identity = 0, .fold = {[AG_BOOL] = any_fold}, .combine = {[AG_BOOL] = any_combine}};

const ag_op ag__op_all = {.name = "all",
                          .notation = "all_{axes}({0})",
                          .kind = AG_KIND_REDUCTION,
                          .flags = AG_OP_NOT_DIFFERENTIABLE,
                          .arity = 1,
                          .reduction = &all_reduction};

const ag_op ag__op_any = {.name = "any",
                          .notation = "any_{axes}({0})",
                          .kind = AG_KIND_REDUCTION,
                          .flags = AG_OP_NOT_DIFFERENTIABLE,
                          .arity = 1,
                          .reduction = &any_reduction};

static ag_tensor *of_truth(const ag_op *op, ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable(op->name, 1, &x, &nil) || !ag__axes_mask(op->name, x, &axes, &mask, &nil)) return nil;
    return reduce_mask(op, ag_dtype_of(x) == AG_BOOL ? x : ag_cast(x, AG_BOOL), mask, keepdims);
}

ag_tensor *ag_all(ag_tensor *x) { return of_truth(&ag__op_all, x, AG_ALL_AXES, false); }
ag_tensor *ag_all_over(ag_tensor *x, ag_axes axes, bool keepdims) { return of_truth(&ag__op_all, x, axes, keepdims); }
ag_tensor *ag_any(ag_tensor *x) { return of_truth(&ag__op_any, x, AG_ALL_AXES, false); }
ag_tensor *ag_any_over(ag_tensor *x, ag_axes axes, bool keepdims) { return of_truth(&ag__op_any, x, axes, keepdims); }

/* ---- The Euclidean norm ---- */

/* Lanes of squares, in double: of f32 they can neither overflow nor lose digits. */
#define SQUARES(name, type)                                                                                            \
    AG_KERNEL static double name(int64_t n, const type *x, double by) {                                                \
        double lane[LANES] = {0};                                                                                      \
        int64_t i = 0;                                                                                                 \
        for (; i + LANES <= n; i += LANES) {                                                                           \
            AG_SIMD                                                                                                    \
            for (int64_t l = 0; l < LANES; l++) lane[l] += ((double)x[i + l] * by) * ((double)x[i + l] * by);          \
        }                                                                                                              \
        for (int64_t l = 0; i + l < n; l++) lane[l] += ((double)x[i + l] * by) * ((double)x[i + l] * by);              \
        for (int64_t half = LANES / 2; half > 0; half /= 2) {                                                          \
            AG_SIMD                                                                                                    \
            for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];                                              \
        }                                                                                                              \
        return lane[0];                                                                                                \
    }
SQUARES(squares_f32, float)
SQUARES(squares_f64, double)

static void norm_fold_f32(int64_t n, void *y, const void *x) { *(float *)y = (float)sqrt(squares_f32(n, x, 1)); }

/* A sum of squares that has left the middle of the range is taken again, of numbers brought there by a power of two. */
static void norm_fold_f64(int64_t n, void *y, const void *x) {
    const double sum = squares_f64(n, x, 1), by = sum > 1 ? 0x1p-600 : 0x1p600;
    *(double *)y = sum > 0x1p-900 && sum < 0x1p1000 ? sqrt(sum) : sqrt(squares_f64(n, x, by)) / by;
}

/* y[i] = √(y[i]² + x[i]²), of numbers brought into the middle of the range. */
#define HYPOT(combine, finish, type, root, large, down, small, up)                                                     \
    AG_KERNEL static void combine(int64_t n, void *y_, const void *x_) {                                               \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        AG_SIMD                                                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type a = y[i] < 0 ? -y[i] : y[i], b = x[i] < 0 ? -x[i] : x[i], most = a > b ? a : b;                 \
            const type by = most > large ? down : most < small ? up : 1;                                               \
            const type back = most > large ? 1 / down : most < small ? 1 / up : 1;                                     \
            y[i] = root((a * by) * (a * by) + (b * by) * (b * by)) * back;                                             \
        }                                                                                                              \
    }                                                                                                                  \
    static void finish(int64_t n, void *y_, int64_t count) {                                                           \
        type *y = y_;                                                                                                  \
        for (int64_t i = 0; i < n && count == 1; i++) y[i] = y[i] < 0 ? -y[i] : y[i];                                  \
    }
HYPOT(norm_combine_f32, norm_finish_f32, float, sqrtf, 0x1p60f, 0x1p-70f, 0x1p-50f, 0x1p100f)
HYPOT(norm_combine_f64, norm_finish_f64, double, sqrt, 0x1p500, 0x1p-600, 0x1p-450, 0x1p600)

static const ag_reduction norm_reduction = {.identity = 0,
                                            .fold = {[AG_F32] = norm_fold_f32, [AG_F64] = norm_fold_f64},
                                            .combine = {[AG_F32] = norm_combine_f32, [AG_F64] = norm_combine_f64},
                                            .finish = {[AG_F32] = norm_finish_f32, [AG_F64] = norm_finish_f64}};

/* x̄ = ȳ·(x/y), 0 where y is: the quotient is at most 1, however small both are. */
static ag_tensor *norm_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *zero = ag_scalar(ag_tape_of(y), ag_dtype_of(y), 0), *one = ag_scalar(ag_tape_of(y), ag_dtype_of(y), 1);
    ag_tensor *divisor = ag_where(ag_equal(y, zero), one, y);
    return ag__slope_mul(spread(y, g), ag_div(ag_input(y, i), spread(y, divisor)));
}

const ag_op ag__op_norm = {.name = "norm",
                           .notation = "norm_{axes}({0})",
                           .kind = AG_KIND_REDUCTION,
                           .flags = AG_OP_HIDES_NOTHING,
                           .arity = 1,
                           .reduction = &norm_reduction,
                           .vjp = norm_vjp};

ag_tensor *ag__norm(ag_tensor *x, uint32_t mask, bool keepdims) { return reduce_mask(&ag__op_norm, x, mask, keepdims); }

/* ---- max, min ---- */

/* Comparisons with NaN are false, so it is tested for; once found, it stays. */
FOLD(max_fold_i64, int64_t, a > b ? a : b)
FOLD(max_fold_f32, float, a > b || a != a ? a : b)
FOLD(max_fold_f64, double, a > b || a != a ? a : b)
COMBINE(max_combine_i64, int64_t, a > b ? a : b)
COMBINE(max_combine_f32, float, a > b || a != a ? a : b)
COMBINE(max_combine_f64, double, a > b || a != a ? a : b)

static const ag_reduction max_reduction = {
    .identity = -INFINITY,
    .fold = {[AG_I64] = max_fold_i64, [AG_F32] = max_fold_f32, [AG_F64] = max_fold_f64},
    .combine = {[AG_I64] = max_combine_i64, [AG_F32] = max_combine_f32, [AG_F64] = max_combine_f64},
    .join = &ag__op_maximum};

FOLD(min_fold_i64, int64_t, a < b ? a : b)
FOLD(min_fold_f32, float, a < b || a != a ? a : b)
FOLD(min_fold_f64, double, a < b || a != a ? a : b)
COMBINE(min_combine_i64, int64_t, a < b ? a : b)
COMBINE(min_combine_f32, float, a < b || a != a ? a : b)
COMBINE(min_combine_f64, double, a < b || a != a ? a : b)

static const ag_reduction min_reduction = {
    .identity = INFINITY,
    .fold = {[AG_I64] = min_fold_i64, [AG_F32] = min_fold_f32, [AG_F64] = min_fold_f64},
    .combine = {[AG_I64] = min_combine_i64, [AG_F32] = min_combine_f32, [AG_F64] = min_combine_f64},
    .join = &ag__op_minimum};

static bool extreme_infer(ag_infer *r) {
    const ag_axes_set *set = r->attributes;
    for (int i = 0; i < ag_rank(r->x[0]); i++)
        if (set->mask & 1u << i && ag_extent(r->x[0], i) == 0)
            return ag_reject(r, AG_ERR_SHAPE, "axis %d has no elements", i);
    return true;
}

/* x̄ = ȳ/n at the n elements that equal y, 0 at the others; NaN at all of them where y is NaN. */
static ag_tensor *extreme_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const ag_axes_set *set = ag_attributes(y);
    ag_tensor *x = ag_input(y, i), *hit = ag_equal(x, with_axes_kept(y, y));
    ag_tensor *n = reduce_mask(&ag__op_sum, ag_cast(hit, ag_dtype_of(x)), set->mask, true);
    g = with_axes_kept(y, g);
    return ag_where(hit, ag__slope_div(g, n), ag__unknown(g, with_axes_kept(y, y)));
}

const ag_op ag__op_max = {.name = "max",
                          .notation = "max_{axes}({0})",
                          .kind = AG_KIND_REDUCTION,
                          .arity = 1,
                          .infer = extreme_infer,
                          .reduction = &max_reduction,
                          .vjp = extreme_vjp};

const ag_op ag__op_min = {.name = "min",
                          .notation = "min_{axes}({0})",
                          .kind = AG_KIND_REDUCTION,
                          .arity = 1,
                          .infer = extreme_infer,
                          .reduction = &min_reduction,
                          .vjp = extreme_vjp};

ag_tensor *ag_max(ag_tensor *x) { return reduce(&ag__op_max, x, AG_ALL_AXES, false); }

ag_tensor *ag_max_over(ag_tensor *x, ag_axes axes, bool keepdims) { return reduce(&ag__op_max, x, axes, keepdims); }

ag_tensor *ag_min(ag_tensor *x) { return reduce(&ag__op_min, x, AG_ALL_AXES, false); }

ag_tensor *ag_min_over(ag_tensor *x, ag_axes axes, bool keepdims) { return reduce(&ag__op_min, x, axes, keepdims); }
