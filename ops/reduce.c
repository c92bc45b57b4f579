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

ag_tensor *ag_sum(ag_tensor *x) { return reduce(&ag__op_sum, x, AG_ALL_AXES, false); }

ag_tensor *ag_sum_over(ag_tensor *x, ag_axes axes, bool keepdims) { return reduce(&ag__op_sum, x, axes, keepdims); }

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

ag_tensor *ag_mean(ag_tensor *x) { return reduce(&ag__op_mean, x, AG_ALL_AXES, false); }

ag_tensor *ag_mean_over(ag_tensor *x, ag_axes axes, bool keepdims) { return reduce(&ag__op_mean, x, axes, keepdims); }

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
