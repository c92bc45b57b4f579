/* reduce -- sums, products, means, norms and extremes over any set of axes */
#include "autograd/tape/limits.h"
#include "ops/ties.h"

#include <math.h>
#include <string.h>

static const ag_axes every = {.count = -1}; /* AG_ALL_AXES */

static ag_tensor *reduce_mask(const ag_op *op, ag_tensor *x, uint32_t mask, bool keepdims) {
    ag_axes_set set;
    memset(&set, 0, sizeof set);
    set.mask = mask;
    set.keepdims = keepdims;
    return ag_apply(op, 1, &x, &set, sizeof set);
}

static ag_tensor *reduce(const ag_op *op, ag_tensor *x, const ag_axes *axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable(op->name, 1, &x, &nil) || !ag__axes_mask(op->name, x, axes, &mask, &nil)) return nil;
    return reduce_mask(op, x, mask, keepdims);
}

/* The same of numbers that a bool x stands for. */
static ag_tensor *reduce_as(ag_dtype number, const ag_op *op, ag_tensor *x, const ag_axes *axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable(op->name, 1, &x, &nil) || !ag__axes_mask(op->name, x, axes, &mask, &nil)) return nil;
    const ag_dtype d = ag_dtype_of(x);
    return reduce_mask(op, d == AG_BOOL || (d == AG_I64 && number == AG_F64) ? ag_cast(x, number) : x, mask, keepdims);
}

/* ---- Gradients ---- */

/* t, of y's shape, with extent 1 for each reduced axis. */
static ag_tensor *with_axes_kept(ag_tensor *y, ag_tensor *t) {
    const ag_axes_set *set = ag_attributes(y);
    if (set->keepdims) return t;
    ag_shape shape = ag_shape_of(ag_input(y, 0));
    for (int i = 0; i < shape.rank; i++)
        if (set->mask & 1u << i) shape.extent[i] = 1;
    return ag__reshape(t, &shape);
}

/* t broadcast to the shape of x. If the reduced axes all came first, broadcasting restores them by itself. */
static ag_tensor *spread(ag_tensor *y, ag_tensor *t) {
    const ag_axes_set *set = ag_attributes(y);
    bool leading = (set->mask & (set->mask + 1)) == 0;
    return ag__broadcast_as(leading ? t : with_axes_kept(y, t), ag_input(y, 0));
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

static ag_tensor *sum_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, spread(y, g); }

const ag_op ag__op_sum = {.name = "sum",
                          .notation = "Σ_{axes} {0}",
                          .kind = AG_KIND_REDUCTION,
                          .flags = AG_OP_HIDES_NOTHING,
                          .arity = 1,
                          .reduction = &ag__reduction_sum,
                          .vjp = sum_vjp};

ag_tensor *ag_sum(ag_tensor *x) { return reduce_as(AG_I64, &ag__op_sum, x, &every, false); }

ag_tensor *ag_sum_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    return reduce_as(AG_I64, &ag__op_sum, x, &axes, keepdims);
}

/* ---- mean ---- */

static ag_tensor *mean_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)i, spread(y, ag_div_scalar(g, count_of(y)));
}

const ag_op ag__op_mean = {.name = "mean",
                           .notation = "mean_{axes}({0})",
                           .kind = AG_KIND_REDUCTION,
                           .flags = AG_OP_HIDES_NOTHING,
                           .arity = 1,
                           .reduction = &ag__reduction_mean,
                           .vjp = mean_vjp};

ag_tensor *ag_mean(ag_tensor *x) { return reduce_as(AG_F64, &ag__op_mean, x, &every, false); }

ag_tensor *ag_mean_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    return reduce_as(AG_F64, &ag__op_mean, x, &axes, keepdims);
}

/* ---- prod ---- */

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
                           .reduction = &ag__reduction_prod,
                           .vjp = prod_vjp};

ag_tensor *ag_prod(ag_tensor *x) { return reduce_as(AG_I64, &ag__op_prod, x, &every, false); }

ag_tensor *ag_prod_over(ag_tensor *x, ag_axes axes, bool keepdims) {
    return reduce_as(AG_I64, &ag__op_prod, x, &axes, keepdims);
}

/* ---- all, any ---- */

const ag_op ag__op_all = {.name = "all",
                          .notation = "all_{axes}({0})",
                          .kind = AG_KIND_REDUCTION,
                          .flags = AG_OP_NOT_DIFFERENTIABLE,
                          .arity = 1,
                          .reduction = &ag__reduction_all};

const ag_op ag__op_any = {.name = "any",
                          .notation = "any_{axes}({0})",
                          .kind = AG_KIND_REDUCTION,
                          .flags = AG_OP_NOT_DIFFERENTIABLE,
                          .arity = 1,
                          .reduction = &ag__reduction_any};

static ag_tensor *of_truth(const ag_op *op, ag_tensor *x, const ag_axes *axes, bool keepdims) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable(op->name, 1, &x, &nil) || !ag__axes_mask(op->name, x, axes, &mask, &nil)) return nil;
    return reduce_mask(op, ag_dtype_of(x) == AG_BOOL ? x : ag_cast(x, AG_BOOL), mask, keepdims);
}

ag_tensor *ag_all(ag_tensor *x) { return of_truth(&ag__op_all, x, &every, false); }
ag_tensor *ag_all_over(ag_tensor *x, ag_axes axes, bool keepdims) { return of_truth(&ag__op_all, x, &axes, keepdims); }
ag_tensor *ag_any(ag_tensor *x) { return of_truth(&ag__op_any, x, &every, false); }
ag_tensor *ag_any_over(ag_tensor *x, ag_axes axes, bool keepdims) { return of_truth(&ag__op_any, x, &axes, keepdims); }

/* ---- The Euclidean norm ---- */

/* x̄ = ȳ·(x/y), 0 where y is: the quotient is at most 1, however small both are. */
static ag_tensor *norm_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *zero = ag__number_as(y, 0), *one = ag__number_as(y, 1);
    ag_tensor *divisor = ag_where(ag_equal(y, zero), one, y);
    return ag__slope_mul(spread(y, g), ag_div(ag_input(y, i), spread(y, divisor)));
}

const ag_op ag__op_norm = {.name = "norm",
                           .notation = "norm_{axes}({0})",
                           .kind = AG_KIND_REDUCTION,
                           .flags = AG_OP_HIDES_NOTHING,
                           .arity = 1,
                           .reduction = &ag__reduction_norm,
                           .vjp = norm_vjp};

ag_tensor *ag__norm(ag_tensor *x, uint32_t mask, bool keepdims) { return reduce_mask(&ag__op_norm, x, mask, keepdims); }

/* ---- max, min ---- */

static bool extreme_infer(ag_infer *r) {
    const ag_axes_set *set = r->attributes;
    for (int i = 0; i < ag_rank(r->x[0]); i++)
        if (set->mask & 1u << i && ag_extent(r->x[0], i) == 0)
            return ag_reject(r, AG_ERR_SHAPE, "axis %d has no elements", i);
    return true;
}

/* Whether reduced axes follow on others and others on them, as in windows: neither whole rows nor whole columns. */
static bool is_within(const ag_shape *x, uint32_t mask) {
    uint32_t reduced = 0, n = 0; /* axes of extent 1 do not matter */
    for (int i = 0; i < x->rank; i++)
        if (x->extent[i] != 1) reduced |= (mask >> i & 1) << n++;
    const uint32_t kept = ~reduced & ((1u << n) - 1);
    return (reduced & (reduced + 1)) != 0 && (kept & (kept + 1)) != 0;
}

/* x̄ = ȳ/n at the n elements that equal y, 0 at the others; NaN at all of them where y is NaN. */
static ag_tensor *extreme_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const ag_axes_set *set = ag_attributes(y);
    ag_tensor *x = ag_input(y, i), *kept = with_axes_kept(y, y);
    const ag_shape shape = ag_shape_of(x);
    g = with_axes_kept(y, g);
    if (is_within(&shape, set->mask) && count_of(y) <= AG__COUNTED) return ag__shares(x, kept, g);
    ag_tensor *hit = ag_equal(x, kept), *n = reduce_mask(&ag__op_sum, ag_cast(hit, ag_dtype_of(x)), set->mask, true);
    return ag_where(hit, ag__slope_div(g, n), ag__unknown(g, kept));
}

const ag_op ag__op_max = {.name = "max",
                          .notation = "max_{axes}({0})",
                          .kind = AG_KIND_REDUCTION,
                          .arity = 1,
                          .infer = extreme_infer,
                          .reduction = &ag__reduction_max,
                          .vjp = extreme_vjp};

const ag_op ag__op_min = {.name = "min",
                          .notation = "min_{axes}({0})",
                          .kind = AG_KIND_REDUCTION,
                          .arity = 1,
                          .infer = extreme_infer,
                          .reduction = &ag__reduction_min,
                          .vjp = extreme_vjp};

ag_tensor *ag_max(ag_tensor *x) { return reduce(&ag__op_max, x, &every, false); }

ag_tensor *ag_max_over(ag_tensor *x, ag_axes axes, bool keepdims) { return reduce(&ag__op_max, x, &axes, keepdims); }

ag_tensor *ag_min(ag_tensor *x) { return reduce(&ag__op_min, x, &every, false); }

ag_tensor *ag_min_over(ag_tensor *x, ag_axes axes, bool keepdims) { return reduce(&ag__op_min, x, &axes, keepdims); }
