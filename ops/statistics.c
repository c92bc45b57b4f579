/* statistics -- reductions composed of others: norms, deviations, averages, of chosen elements, of those that are no
 * NaN
 *
 * Each checks its inputs before it records anything. An element that a mask leaves out is replaced before anything is
 * computed of it, so that it has no influence on results or gradients, whatever it is. */
#include "ops/rules.h"

#include <math.h>

/* ---- Inputs ---- */

static bool is_real(const char *name, ag_tensor *x, ag_tensor **nil) {
    if (ag__is_real((int)ag_dtype_of(x))) return true;
    *nil = ag__fail(name, 1, &x, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(ag_dtype_of(x)));
    return false;
}

/* Whether x is a real tensor with these axes, which become *mask. */
static bool usable_over(const char *name, ag_tensor *x, const ag_axes *axes, uint32_t *mask, ag_tensor **nil) {
    return ag__inputs_usable(name, 1, &x, nil) && is_real(name, x, nil) && ag__axes_mask(name, x, axes, mask, nil);
}

/* How many elements of x are reduced to one. */
static double count_over(ag_tensor *x, uint32_t mask) {
    double n = 1;
    for (int i = 0; i < ag_rank(x); i++)
        if (mask & 1u << i) n *= (double)ag_extent(x, i);
    return n;
}

static ag_tensor *is_nan(ag_tensor *x) { return ag_not_equal(x, x); }

/* Whether x is real, or becomes so, as numbers of other dtypes do. */
static ag_tensor *real_of(ag_tensor *x) { return ag__is_real((int)ag_dtype_of(x)) ? x : ag_cast(x, AG_F64); }

/* ---- Norms ---- */

/* Relative to m, the largest |x| or for p < 0 the smallest, which is held constant: it cancels out. Zeros take another
 * way around the power, whose slope there may be infinite, unless y is NaN: then so are all gradients. */
static ag_tensor *norm_of_powers(ag_tensor *x, const ag_axes *axes, double p, bool keepdims, bool empty) {
    ag_tensor *size = ag_abs(x), *zero = ag__number_as(x, 0), *one = ag__number_as(x, 1),
              *most = ag__number_as(x, INFINITY);
    ag_tensor *m = empty ? zero : p > 0 ? ag__max(size, axes, true) : ag__min(size, axes, true);
    ag_tensor *unit = ag_stop_gradient(ag_where(ag_less(zero, m), ag_where(ag_less(m, most), m, one), one));
    ag_tensor *nothing = ag_logical_and(ag_equal(x, zero), ag_equal(m, m)),
              *power = ag_pow_scalar(ag_where(nothing, one, ag_div(size, unit)), p);
    ag_tensor *sum = ag__sum(ag_where(nothing, p > 0 ? zero : most, power), axes, true);
    ag_tensor *none = ag_equal(sum, zero), *root = ag_pow_scalar(ag_where(none, one, sum), 1 / p);
    ag_tensor *y = ag_mul(ag_where(none, p > 0 ? zero : most, root), unit);
    ag_tensor *like = ag__sum(x, axes, keepdims);
    return keepdims ? y : ag__reshape_as(y, like);
}

/* How many are not 0: a function of x, with the slope 0. */
static ag_tensor *count_of_others(ag_tensor *x, const ag_axes *axes, bool keepdims) {
    ag_tensor *counts = ag_cast(ag_not_equal(x, ag__number_as(x, 0)), ag_dtype_of(x));
    return ag__sum(ag_where(ag_scalar(ag_tape_of(x), AG_BOOL, 0), x, counts), axes, keepdims);
}

ag_tensor *ag_norm_over(ag_tensor *x, ag_axes axes, double p, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!usable_over("norm", x, &axes, &mask, &nil)) return nil;
    const bool empty = count_over(x, mask) == 0;
    if (isnan(p)) return ag__fail("norm", 1, &x, AG_ERR_RANGE, "p is NaN");
    if (isinf(p) && empty) return ag__fail("norm", 1, &x, AG_ERR_SHAPE, "an axis has no elements, and p is %g", p);
    if (p == 2) return ag__norm(x, mask, keepdims);
    if (p == 1) return ag__sum(ag_abs(x), &axes, keepdims);
    if (p == 0) return count_of_others(x, &axes, keepdims);
    if (isinf(p)) return (p > 0 ? ag__max : ag__min)(ag_abs(x), &axes, keepdims);
    return norm_of_powers(x, &axes, p, keepdims, empty);
}

ag_tensor *ag_norm(ag_tensor *x, double p) { return ag_norm_over(x, AG_ALL_AXES, p, false); }

/* ---- Deviations ---- */

/* √v, with the slope 0 at 0. */
static ag_tensor *root_of(ag_tensor *v) {
    ag_tensor *zero = ag__number_as(v, 0), *none = ag_equal(v, zero);
    return ag_where(none, zero, ag_sqrt(ag_where(none, ag__number_as(v, 1), v)));
}

ag_tensor *ag_std_over(ag_tensor *x, ag_axes axes, double correction, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!usable_over("std", x, &axes, &mask, &nil)) return nil;
    return root_of(ag_var_over(x, axes, correction, keepdims));
}

ag_tensor *ag_std(ag_tensor *x, double correction) { return ag_std_over(x, AG_ALL_AXES, correction, false); }

/* ---- Counts ---- */

ag_tensor *ag_count_nonzero_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable("count_nonzero", 1, &x, &nil) || !ag__axes_mask("count_nonzero", x, &axes, &mask, &nil))
        return nil;
    return ag__sum(ag_dtype_of(x) == AG_BOOL ? x : ag_cast(x, AG_BOOL), &axes, keepdims);
}

ag_tensor *ag_count_nonzero(ag_tensor *x) { return ag_count_nonzero_over(x, AG_ALL_AXES, false); }

ag_tensor *ag_ptp_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable("ptp", 1, &x, &nil) || !ag__axes_mask("ptp", x, &axes, &mask, &nil)) return nil;
    if (ag_dtype_of(x) == AG_BOOL) return ag__fail("ptp", 1, &x, AG_ERR_DTYPE, "the dtype bool is not supported");
    if (count_over(x, mask) == 0) return ag__fail("ptp", 1, &x, AG_ERR_SHAPE, "an axis has no elements");
    return ag_sub(ag__max(x, &axes, keepdims), ag__min(x, &axes, keepdims));
}

ag_tensor *ag_ptp(ag_tensor *x) { return ag_ptp_over(x, AG_ALL_AXES, false); }

/* ---- Weights ---- */

/* Whether `b` can be broadcast to the shape of x. */
static bool fits(ag_tensor *b, ag_tensor *x) {
    const int more = ag_rank(x) - ag_rank(b);
    bool good = more >= 0;
    for (int i = 0; good && i < ag_rank(b); i++)
        good = ag_extent(b, i) == 1 || ag_extent(b, i) == ag_extent(x, i + more);
    return good;
}

/* One weight for each element along the only axis, as a line along it. */
static ag_tensor *along_axis(ag_tensor *weights, ag_tensor *x, uint32_t mask) {
    ag_shape line = {ag_rank(x), {0}};
    int axis = 0;
    if (ag_rank(weights) != 1 || mask == 0 || (mask & (mask - 1)) != 0) return weights;
    while (!(mask & 1u << axis)) axis++;
    if (ag_extent(weights, 0) != ag_extent(x, axis)) return weights;
    for (int i = 0; i < line.rank; i++) line.extent[i] = i == axis ? ag_extent(x, axis) : 1;
    return ag__reshape(weights, &line);
}

ag_tensor *ag_average_over(ag_tensor *x, ag_tensor *weights, ag_axes axes, bool keepdims) {
    ag_tensor *nil, *in[2] = {x, weights};
    uint32_t mask;
    if (!ag__inputs_usable("average_over", 2, in, &nil) || !is_real("average_over", x, &nil)) return nil;
    if (!ag__axes_mask("average_over", x, &axes, &mask, &nil)) return nil;
    if (ag_dtype_of(weights) != ag_dtype_of(x))
        return ag__fail("average_over", 2, in, AG_ERR_DTYPE, "the weights must be %s, not %s",
                        ag_dtype_name(ag_dtype_of(x)), ag_dtype_name(ag_dtype_of(weights)));
    weights = along_axis(weights, x, mask);
    if (!fits(weights, x))
        return ag__fail("average_over", 2, in, AG_ERR_SHAPE, "the weights cannot be broadcast to the elements");
    weights = ag__broadcast_as(weights, x);
    return ag_div(ag__sum(ag_mul(x, weights), &axes, keepdims), ag__sum(weights, &axes, keepdims));
}

/* ---- Masks ---- */

/* Whether `name` can be called for these. */
static bool masked(const char *name, ag_tensor *x, ag_tensor *mask, const ag_axes *axes, uint32_t *set,
                   ag_tensor **nil) {
    ag_tensor *in[2] = {x, mask};
    if (!ag__inputs_usable(name, 2, in, nil) || !ag__axes_mask(name, x, axes, set, nil)) return false;
    if (ag_dtype_of(mask) != AG_BOOL)
        *nil = ag__fail(name, 2, in, AG_ERR_DTYPE, "the mask must be bool, not %s", ag_dtype_name(ag_dtype_of(mask)));
    else if (!fits(mask, x)) *nil = ag__fail(name, 2, in, AG_ERR_SHAPE, "the mask cannot be broadcast to the elements");
    else return true;
    return false;
}

/* x where the mask holds, and a number elsewhere. */
static ag_tensor *chosen(ag_tensor *mask, ag_tensor *x, double other) {
    return ag_where(ag__broadcast_as(mask, x), x, ag__number_as(x, other));
}

/* How many elements of x are chosen, in its dtype. */
static ag_tensor *chosen_count(ag_tensor *mask, ag_tensor *x, const ag_axes *axes, bool keepdims) {
    return ag__sum(ag_cast(ag__broadcast_as(mask, x), ag_dtype_of(x)), axes, keepdims);
}

ag_tensor *ag_sum_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t set;
    if (!masked("sum_where", x, mask, &axes, &set, &nil)) return nil;
    x = ag__as_number(x);
    return ag__sum(chosen(mask, x, 0), &axes, keepdims);
}

ag_tensor *ag_prod_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t set;
    if (!masked("prod_where", x, mask, &axes, &set, &nil)) return nil;
    x = ag__as_number(x);
    return ag_prod_over(chosen(mask, x, 1), axes, keepdims);
}

static ag_tensor *mean_where(ag_tensor *x, ag_tensor *mask, const ag_axes *axes, bool keepdims) {
    return ag_div(ag__sum(chosen(mask, x, 0), axes, keepdims), chosen_count(mask, x, axes, keepdims));
}

ag_tensor *ag_mean_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t set;
    if (!masked("mean_where", x, mask, &axes, &set, &nil)) return nil;
    return mean_where(real_of(x), mask, &axes, keepdims);
}

/* As ag_var_over: relative to the rounded mean, which is held constant, and then centred. */
static ag_tensor *var_where(ag_tensor *x, ag_tensor *mask, const ag_axes *axes, double correction, bool keepdims) {
    ag_tensor *near = ag_stop_gradient(mean_where(x, mask, axes, true));
    ag_tensor *shifted = chosen(mask, ag_sub(x, near), 0);
    ag_tensor *centred = chosen(mask, ag_sub(shifted, mean_where(shifted, mask, axes, true)), 0);
    ag_tensor *n = chosen_count(mask, x, axes, keepdims);
    return ag_div(ag__sum(ag_square(centred), axes, keepdims), ag_maximum_scalar(ag_add_scalar(n, -correction), 0));
}

static ag_tensor *checked_var(const char *name, ag_tensor *x, ag_tensor *mask, const ag_axes *axes, double correction,
                              bool keepdims) {
    ag_tensor *nil;
    uint32_t set;
    if (!masked(name, x, mask, axes, &set, &nil) || !is_real(name, x, &nil)) return nil;
    return var_where(x, mask, axes, correction, keepdims);
}

ag_tensor *ag_var_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, double correction, bool keepdims) {
    return checked_var("var_where", x, mask, &axes, correction, keepdims);
}

ag_tensor *ag_std_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, double correction, bool keepdims) {
    ag_tensor *v = checked_var("std_where", x, mask, &axes, correction, keepdims);
    return ag_is_nil(v) ? v : root_of(v);
}

/* Elements that are left out are `initial`, which takes part anyway. */
static ag_tensor *extreme_where(const char *name, bool largest, ag_tensor *x, ag_tensor *mask, const ag_axes *axes,
                                double initial, bool keepdims) {
    ag_tensor *nil;
    uint32_t set;
    if (!masked(name, x, mask, axes, &set, &nil)) return nil;
    if (ag_dtype_of(x) == AG_BOOL) return ag__fail(name, 1, &x, AG_ERR_DTYPE, "the dtype bool is not supported");
    if (!ag__fits(initial, ag_dtype_of(x)))
        return ag__fail(name, 1, &x, AG_ERR_RANGE, "%s cannot hold %g", ag_dtype_name(ag_dtype_of(x)), initial);
    if (count_over(x, set) == 0) return ag_rsub_scalar(initial, ag__sum(x, axes, keepdims)); /* also −0 */
    x = chosen(mask, x, initial);
    return largest ? ag_maximum_scalar(ag__max(x, axes, keepdims), initial)
                   : ag_minimum_scalar(ag__min(x, axes, keepdims), initial);
}

ag_tensor *ag_max_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, double initial, bool keepdims) {
    return extreme_where("max_where", true, x, mask, &axes, initial, keepdims);
}

ag_tensor *ag_min_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, double initial, bool keepdims) {
    return extreme_where("min_where", false, x, mask, &axes, initial, keepdims);
}

/* ---- Without NaN ---- */

/* x, and where it is a number, and these axes; false after an error. */
static bool numbers_of(const char *name, ag_tensor *x, const ag_axes *axes, uint32_t *set, ag_tensor **known,
                       ag_tensor **nil) {
    if (!usable_over(name, x, axes, set, nil)) return false;
    *known = ag_equal(x, x);
    return true;
}

ag_tensor *ag_nansum(ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil, *known;
    uint32_t set;
    if (!numbers_of("nansum", x, &axes, &set, &known, &nil)) return nil;
    return ag__sum(chosen(known, x, 0), &axes, keepdims);
}

ag_tensor *ag_nanprod(ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil, *known;
    uint32_t set;
    if (!numbers_of("nanprod", x, &axes, &set, &known, &nil)) return nil;
    return ag_prod_over(chosen(known, x, 1), axes, keepdims);
}

ag_tensor *ag_nanmean(ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil, *known;
    uint32_t set;
    return numbers_of("nanmean", x, &axes, &set, &known, &nil) ? mean_where(x, known, &axes, keepdims) : nil;
}

ag_tensor *ag_nanvar(ag_tensor *x, ag_axes axes, double correction, bool keepdims) {
    ag_tensor *nil, *known;
    uint32_t set;
    return numbers_of("nanvar", x, &axes, &set, &known, &nil) ? var_where(x, known, &axes, correction, keepdims) : nil;
}

ag_tensor *ag_nanstd(ag_tensor *x, ag_axes axes, double correction, bool keepdims) {
    ag_tensor *nil, *known;
    uint32_t set;
    if (!numbers_of("nanstd", x, &axes, &set, &known, &nil)) return nil;
    return root_of(var_where(x, known, &axes, correction, keepdims));
}

static ag_tensor *nan_extreme(const char *name, bool largest, ag_tensor *x, const ag_axes *axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t set;
    if (!usable_over(name, x, axes, &set, &nil)) return nil;
    if (count_over(x, set) == 0) return ag__fail(name, 1, &x, AG_ERR_SHAPE, "an axis has no elements");
    ag_tensor *known = ag_equal(x, x);
    ag_tensor *others = chosen(known, x, largest ? -INFINITY : INFINITY);
    ag_tensor *y = (largest ? ag__max : ag__min)(others, axes, keepdims);
    return ag_where(ag_any_over(known, *axes, keepdims), y, ag__number_as(x, NAN));
}

ag_tensor *ag_nanmax(ag_tensor *x, ag_axes axes, bool keepdims) {
    return nan_extreme("nanmax", true, x, &axes, keepdims);
}
ag_tensor *ag_nanmin(ag_tensor *x, ag_axes axes, bool keepdims) {
    return nan_extreme("nanmin", false, x, &axes, keepdims);
}

/* ---- Quantiles ---- */

/* x with the elements over the axes along the last one; NULL after an error. */
static ag_tensor *together_over(const char *name, ag_tensor *x, const ag_axes *axes, uint32_t *set, ag_tensor **nil) {
    int axis;
    if (!ag__inputs_usable(name, 1, &x, nil) || !ag__axes_mask(name, x, axes, set, nil)) return NULL;
    if (count_over(x, *set) == 0) {
        *nil = ag__fail(name, 1, &x, AG_ERR_SHAPE, "an axis has no elements");
        return NULL;
    }
    if (*set == 0 && ag_rank(x) == AG_MAX_RANK) {
        *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "no axis is given");
        return NULL;
    }
    x = ag__axes_together(real_of(x), *set, &axis);
    return ag_transpose(x, axis, -1);
}

static ag_tensor *nth(ag_tensor *x, int64_t k) { return ag_slice(x, -1, k, k + 1, 1); }

/* Neighbours in ascending order, the second is the first where that is the last; and the last element. */
typedef struct neighbours {
    ag_tensor *a, *b, *last;
} neighbours;

static neighbours at_rank(ag_tensor *x, int64_t k, bool sorted) {
    const int64_t n = ag_extent(x, -1);
    if (sorted) return (neighbours){nth(x, k), nth(x, ag__lesser(k + 1, n - 1)), nth(x, n - 1)};
    ag_tensor *found = ag__at_rank(x, k);
    return (neighbours){nth(found, 0), nth(found, 1), nth(found, 2)};
}

/* Between two neighbours, by NumPy's formula, which is exact at both and monotonic; NaN if there is one, which is last.
 * */
static ag_tensor *quantile_of(ag_tensor *x, double q, bool sorted) {
    const double place = q * (double)(ag_extent(x, -1) - 1), low = floor(place), t = place - low;
    const neighbours at = at_rank(x, (int64_t)low, sorted);
    ag_tensor *by = ag_sub(at.b, at.a),
              *y = t < 0.5 ? ag_add(at.a, ag_scale(by, t)) : ag_sub(at.b, ag_scale(by, 1 - t));
    return ag_where(is_nan(at.last), at.last, t == 0 ? at.a : y);
}

/* A quantile (…,1) in the shape that a reduction of x has. */
static ag_tensor *reduced(ag_tensor *y, ag_tensor *x, uint32_t set, bool keepdims) {
    ag_shape shape = {0, {0}};
    for (int i = 0; i < ag_rank(x); i++)
        if (!(set & 1u << i) || keepdims) shape.extent[shape.rank++] = set & 1u << i ? 1 : ag_extent(x, i);
    int axis = 0; /* a single one was exchanged with the last */
    while (axis < ag_rank(x) && set != 1u << axis) axis++;
    if (axis < ag_rank(x)) y = ag_transpose(y, axis, -1);
    return ag__reshape(y, &shape);
}

static bool share_valid(const char *name, ag_tensor *x, double q, ag_tensor **nil) {
    if (q >= 0 && q <= 1) return true;
    *nil = ag__fail(name, 1, &x, AG_ERR_RANGE, "q is %g: 0 to 1 is wanted", q);
    return false;
}

ag_tensor *ag_quantile_over(ag_tensor *x, ag_axes axes, double q, bool keepdims) {
    ag_tensor *nil, *all;
    uint32_t set;
    if (!ag__inputs_usable("quantile", 1, &x, &nil) || !share_valid("quantile", x, q, &nil)) return nil;
    if (!(all = together_over("quantile", x, &axes, &set, &nil))) return nil;
    return reduced(quantile_of(all, q, false), x, set, keepdims);
}

ag_tensor *ag_quantile(ag_tensor *x, double q) { return ag_quantile_over(x, AG_ALL_AXES, q, false); }

ag_tensor *ag_quantiles_over(ag_tensor *x, ag_axes axes, int n, const double q[], bool keepdims) {
    enum { MOST = 64, FEW = AG__LIMIT(4, 2) };
    ag_tensor *nil, *all, *y[MOST];
    uint32_t set;
    if (!ag__inputs_usable("quantiles", 1, &x, &nil)) return nil;
    if (!q) return ag__fail("quantiles", 1, &x, AG_ERR_NULL, "q is NULL");
    if (n < 1 || n > MOST) return ag__fail("quantiles", 1, &x, AG_ERR_RANGE, "n is %d: 1 to %d is wanted", n, MOST);
    for (int i = 0; i < n; i++)
        if (!share_valid("quantiles", x, q[i], &nil)) return nil;
    if (keepdims && ag_rank(x) == AG_MAX_RANK)
        return ag__fail("quantiles", 1, &x, AG_ERR_SHAPE, "the result would have %d axes: 0 to %d are wanted",
                        AG_MAX_RANK + 1, AG_MAX_RANK);
    if (!(all = together_over("quantiles", x, &axes, &set, &nil))) return nil;
    if (n > FEW) all = ag_sort(all, -1, false);
    for (int i = 0; i < n; i++) y[i] = ag_unsqueeze(reduced(quantile_of(all, q[i], n > FEW), x, set, keepdims), 0);
    return ag_concat(n, y, 0);
}

/* The element in the middle, or the mean of the two that are. */
ag_tensor *ag_median_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil, *all;
    uint32_t set;
    if (!(all = together_over("median", x, &axes, &set, &nil))) return nil;
    const int64_t n = ag_extent(all, -1);
    const neighbours at = at_rank(all, (n - 1) / 2, false);
    ag_tensor *y = n % 2 ? at.a : ag_scale(ag_add(at.a, at.b), 0.5);
    return reduced(ag_where(is_nan(at.last), at.last, y), x, set, keepdims);
}

ag_tensor *ag_median(ag_tensor *x) { return ag_median_over(x, AG_ALL_AXES, false); }
