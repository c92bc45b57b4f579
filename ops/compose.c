/* compose -- functions made of other operations, gradients included
 *
 * Each checks its input before it records anything, so that an invalid call is reported under the name that was
 * called. In the exponentials m, the largest element, is held constant: it only moves the exponents into range and
 * cancels out, so the rest of the graph still has the right gradient, of any order. */
#include "ops/rules.h"

#include "ops/compose_formulas.h"

#include <float.h>
#include <math.h>

/* Whether `name` is defined for x over these axes; if not, *nil is set, after an error. */
static bool usable_over(const char *name, ag_tensor *x, const ag_axes *axes, ag_tensor **nil) {
    uint32_t mask;
    if (!ag__inputs_usable(name, 1, &x, nil)) return false;
    if (!ag__is_real((int)ag_dtype_of(x))) {
        *nil = ag__fail(name, 1, &x, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(ag_dtype_of(x)));
        return false;
    }
    if (!ag__axes_mask(name, x, axes, &mask, nil)) return false;
    for (int i = 0; i < ag_rank(x); i++) {
        if (!(mask & 1u << i) || ag_extent(x, i) > 0) continue;
        *nil = ag__fail(name, 1, &x, AG_ERR_SHAPE, "axis %d has no elements", i);
        return false;
    }
    return true;
}

static ag_tensor *largest_of(ag_tensor *x, const ag_axes *axes) { return ag_stop_gradient(ag__max(x, axes, true)); }

/* v where e < 1 (the exponential of an element below the largest), else 0; and v where e >= 1, else 0. `where` would
 * need a bool for each element, which would take longer than e^x itself. */
static ag_tensor *below_one(ag_tensor *v, ag_tensor *e) { return ag__apply2(&ag__op_below_one, v, e); }
static ag_tensor *from_one(ag_tensor *v, ag_tensor *e) { return ag__apply2(&ag__op_from_one, v, e); }
AG_BINARY(below_one, "{0} * ({1} < 1)", below_one(g, b), ag_zero_vjp(y, g, i), .flags = AG_OP_CHEAP,
          AG_FORMULA(below_one));
AG_BINARY(from_one, "{0} * ({1} >= 1)", from_one(g, b), ag_zero_vjp(y, g, i), .flags = AG_OP_CHEAP,
          AG_FORMULA(from_one));

/* A row of x, its exponentials, and their sum T = A + B: B of the largest elements, each 1, and A of the others. If
 * a softmax p = e^(x−m)/T is nearly 1, 1 − p cancels, and so does T − 1. So an element with more than half of T
 * leads: the row is taken relative to it, with T − 1 = A/B. The leader's gradient, through B, is then the negative
 * sum of the others'. Without a leader, as where several are the largest, T − 1 and 1 − p do not cancel. */
typedef struct exponentials {
    ag_tensor *shifted; /* x − m */
    ag_tensor *e;       /* e^shifted */
    ag_tensor *led;     /* …,1,…: whether one element leads */
    ag_tensor *largest; /* …,1,…: B, 1 where one leads */
    ag_tensor *excess;  /* …,1,…: T − 1 */
    const ag_axes *axes;
} exponentials;

/* `cut` counts T as 1 where all x are −∞. */
static exponentials exponentials_of(ag_tensor *x, ag_tensor *m, const ag_axes *axes, bool cut) {
    exponentials y = {.shifted = ag_sub(x, m), .axes = axes};
    y.e = ag_exp(y.shifted);
    ag_tensor *others = ag__sum(below_one(y.e, y.e), axes, true);
    y.largest = ag__sum(from_one(y.e, y.e), axes, true);
    if (cut) y.largest = ag_clamp(y.largest, 1, (double)INFINITY);
    ag_tensor *total = ag_add(others, y.largest);
    y.led = ag_less(total, ag__number_as(x, 2));
    y.excess = ag_where(y.led, ag_div(others, y.largest), ag_add_scalar(total, -1));
    return y;
}

/* …,1,…: 0, with the gradient of the leader. Not ln B: its second derivatives are large and cancel. */
static ag_tensor *leader_of(const exponentials *row) {
    return ag__sum(from_one(row->shifted, row->e), row->axes, true);
}

/* −ln p of an element, from its x − m and its e. The leader's is ln T alone, which does not cancel. No cotangent
 * here is the negated cotangent of the result: that would be known before the row is, and the fused evaluator would
 * sweep over the row once more for its dependents. */
static ag_tensor *minus_log_share(const exponentials *row, ag_tensor *shifted, ag_tensor *e) {
    ag_tensor *apart = below_one(ag_sub(leader_of(row), shifted), e);
    return ag_add(ag_log1p(row->excess), ag_where(row->led, apart, ag_neg(shifted)));
}

/* If m is infinite, x − m would be ∞ − ∞: the exponents use the largest finite number instead. If all x are
 * −∞, T counts as 1, so that m alone makes the result −∞. */
ag_tensor *ag_logsumexp_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_tensor *nil;
    if (!usable_over("logsumexp", x, &axes, &nil)) return nil;
    const double most = ag_dtype_of(x) == AG_F32 ? (double)FLT_MAX : DBL_MAX;
    ag_tensor *m = largest_of(x, &axes); /* (…,1,…) */
    exponentials row = exponentials_of(x, ag_clamp(m, -most, most), &axes, true);
    ag_tensor *zero = ag__number_as(x, 0);
    ag_tensor *largest_x = ag_add(m, ag_where(row.led, leader_of(&row), zero));
    ag_tensor *y = ag_add(largest_x, ag_log1p(row.excess));
    return keepdims ? y : ag__squeeze(y, &axes);
}

ag_tensor *ag_softmax_over(ag_tensor *x, ag_axes axes) {
    ag_tensor *nil;
    if (!usable_over("softmax", x, &axes, &nil)) return nil;
    exponentials row = exponentials_of(x, largest_of(x, &axes), &axes, false);
    ag_tensor *share = ag_rdiv_scalar(1, ag_add_scalar(row.excess, 1)); /* one division a row */
    ag_tensor *others = ag_mul(below_one(row.e, row.e), ag_div(share, row.largest));
    return ag_where(row.led, ag_add(others, from_one(share, row.e)), ag_mul(row.e, share));
}

/* (x − m) − ln Σ e^(x−m), not x − logsumexp(x), which loses the small terms to rounding where m is large. */
ag_tensor *ag_log_softmax_over(ag_tensor *x, ag_axes axes) {
    ag_tensor *nil;
    if (!usable_over("log_softmax", x, &axes, &nil)) return nil;
    exponentials row = exponentials_of(x, largest_of(x, &axes), &axes, false);
    return ag_neg(minus_log_share(&row, row.shifted, row.e));
}

ag_tensor *ag_logsumexp(ag_tensor *x, int axis, bool keepdims) { return ag_logsumexp_over(x, AG_AXES(axis), keepdims); }
ag_tensor *ag_softmax(ag_tensor *x, int axis) { return ag_softmax_over(x, AG_AXES(axis)); }
ag_tensor *ag_log_softmax(ag_tensor *x, int axis) { return ag_log_softmax_over(x, AG_AXES(axis)); }

ag_tensor *ag_surprisal(ag_tensor *x, ag_tensor *index, int axis) {
    ag_tensor *nil;
    if (!ag__inputs_usable("surprisal", 2, (ag_tensor *[]){x, index}, &nil)) return nil;
    if (!usable_over("surprisal", x, &AG_AXES(axis), &nil)) return nil;
    const ag_axes axes = AG_AXES(axis);
    ag_tensor *chosen = ag_gather(x, index, axis);
    if (ag_is_nil(chosen)) return chosen;
    ag_tensor *m = largest_of(x, &axes);
    exponentials row = exponentials_of(x, m, &axes, false);
    ag_tensor *shifted = ag_sub(chosen, m);
    return minus_log_share(&row, shifted, ag_exp(shifted));
}

ag_tensor *ag_var(ag_tensor *x, double correction) { return ag_var_over(x, AG_ALL_AXES, correction, false); }

/* The mean has its own path in the graph, although the slope along it, the sum of the centred values, is always 0. x
 * is first taken relative to its rounded mean, held constant, then centred: so equal elements have a variance of
 * exactly 0, and close ones an accurate one. */
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
    return ag_div_scalar(ag__sum(ag_square(centred), &axes, keepdims), fmax(0, n - correction));
}
