/* compose -- functions made of other operations, gradients included
 *
 * Each checks its input before it records anything, so that a wrong call is reported under the name that was
 * called. In the exponentials m, the largest element, is held constant: it only moves the exponents into
 * range and cancels out, so what is left of the graph still has the right gradient, of any order. */
#include "ops/list.h"

#include <float.h>
#include <math.h>

/* Whether `name` is defined for x along *axis, which becomes non-negative; else *nil is what to return. */
static bool usable_along(const char *name, ag_tensor *x, int *axis, ag_tensor **nil) {
    if (!ag__inputs_usable(name, 1, &x, nil)) return false;
    int given = *axis, rank = ag_rank(x);
    *axis = ag__axis(given, rank);
    if (!ag__is_real((int)ag_dtype_of(x)))
        *nil = ag__fail(name, 1, &x, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(ag_dtype_of(x)));
    else if (*axis < 0) *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", given, rank);
    else if (ag_extent(x, *axis) == 0) *nil = ag__fail(name, 1, &x, AG_ERR_SHAPE, "axis %d has no elements", given);
    else return true;
    return false;
}

static ag_tensor *largest(ag_tensor *x, int axis) { return ag_stop_gradient(ag_max_over(x, AG_AXES(axis), true)); }

/* Where m is infinite, x − m would be ∞ − ∞: there the largest finite number takes its place in the
 * exponents. Where all x are −∞ the total is 0, and otherwise at least 1: cut to that, its logarithm hands
 * down 0 rather than 0·∞, and m alone makes the result −∞. */
ag_tensor *ag_logsumexp(ag_tensor *x, int axis, bool keepdims) {
    ag_tensor *nil;
    if (!usable_along("logsumexp", x, &axis, &nil)) return nil;
    const double most = ag_dtype_of(x) == AG_F32 ? (double)FLT_MAX : DBL_MAX;
    ag_tensor *m = largest(x, axis); /* (…,1,…) */
    ag_tensor *e = ag_exp(ag_sub(x, ag_clamp(m, -most, most)));
    ag_tensor *total = ag_clamp(ag_sum_over(e, AG_AXES(axis), true), 1, (double)INFINITY); /* (…,1,…) */
    ag_tensor *y = ag_add(m, ag_log(total));
    return keepdims ? y : ag_squeeze(y, AG_AXES(axis));
}

ag_tensor *ag_softmax(ag_tensor *x, int axis) {
    ag_tensor *nil;
    if (!usable_along("softmax", x, &axis, &nil)) return nil;
    ag_tensor *e = ag_exp(ag_sub(x, largest(x, axis)));
    return ag_mul(e, ag_rdiv_scalar(1, ag_sum_over(e, AG_AXES(axis), true))); /* one division a row */
}

/* (x − m) − ln Σ e^(x−m) rather than x − logsumexp(x): where m is large, the latter rounds away what
 * matters. */
ag_tensor *ag_log_softmax(ag_tensor *x, int axis) {
    ag_tensor *nil;
    if (!usable_along("log_softmax", x, &axis, &nil)) return nil;
    ag_tensor *shifted = ag_sub(x, largest(x, axis));
    return ag_sub(shifted, ag_log(ag_sum_over(ag_exp(shifted), AG_AXES(axis), true)));
}

ag_tensor *ag_var(ag_tensor *x, double correction) { return ag_var_over(x, AG_ALL_AXES, correction, false); }

/* The mean has its own path in the graph, although the slope along it, the sum of the centred values, is
 * always 0. What is centred is how far the elements are from their mean as it was rounded, held constant: so equal ones have a
 * variance of exactly 0, and those that are close together theirs. */
ag_tensor *ag_var_over(ag_tensor *x, ag_axes axes, double correction, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable("var", 1, &x, &nil)) return nil;
    if (!ag__is_real((int)ag_dtype_of(x)))
        return ag__fail("var", 1, &x, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(ag_dtype_of(x)));
    if (!ag__axes_mask("var", x, &axes, &mask, &nil)) return nil;
    double n = 1;
    for (int i = 0; i < ag_rank(x); i++)
        if (mask & 1u << i) n *= (double)ag_extent(x, i);
    x = ag_sub(x, ag_stop_gradient(ag_mean_over(x, axes, true)));
    ag_tensor *centred = ag_sub(x, ag_mean_over(x, axes, true));
    return ag_div_scalar(ag_sum_over(ag_square(centred), axes, keepdims), fmax(0, n - correction));
}
