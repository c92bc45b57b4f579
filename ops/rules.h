/* rules -- elementwise operations as a table of derivatives, and functions that the operations' files share
 *
 * A rule is an operation's name, its notation, the cotangent of each input, and the other fields of its ag_op:
 *
 *     AG_UNARY(log1p, "ln(1 + {0})", ag__slope_div(g, ag_add_scalar(x, 1)),
 *              .domain = {{.above = -1, .below = INFINITY}}, AG_FORMULA(log1p));
 *     ag_tensor *ag_log1p(ag_tensor *x) { return ag__apply1(&ag__op_log1p, x); }
 *
 * In a cotangent y is the output, g its cotangent, x the input or a and b the two, s the number that is the attribute.
 * A cotangent that takes more than an expression is a call of a function above the rule. */
#ifndef AG_OPS_RULES_H
#define AG_OPS_RULES_H

#include "autograd/tape/basis.h"
#include "autograd/tape/op.h"
#include "autograd/tape/tape.h"
#include "ops/list.h"

#include <math.h>

#define AG__DECLARE_OP(kind, name) extern const ag_op ag__op_##name;
AG_OPS(AG__DECLARE_OP)
#undef AG__DECLARE_OP

/* The entry alone, for operations with attributes, without a derivative, or with a vjp of their own. */
#define AG_ELEMENTWISE(name_, arity_, notation_, ...)                                                                  \
    const ag_op ag__op_##name_ = {                                                                                     \
        .name = #name_, .notation = notation_, .kind = AG_KIND_ELEMENTWISE, .arity = arity_, __VA_ARGS__}

/* The kernels of reductions, in folding.c. */
extern const ag_reduction ag__reduction_sum, ag__reduction_mean, ag__reduction_prod, ag__reduction_max,
    ag__reduction_min, ag__reduction_norm, ag__reduction_all, ag__reduction_any;

/* y = f(x) */
#define AG_UNARY(name_, notation_, x_bar, ...)                                                                         \
    static ag_tensor *name_##_vjp(ag_tensor *y, ag_tensor *g, int i) {                                                 \
        ag_tensor *x = y->input[0];                                                                                    \
        return (void)x, (void)g, (void)i, (x_bar);                                                                     \
    }                                                                                                                  \
    AG_ELEMENTWISE(name_, 1, notation_, .vjp = name_##_vjp, __VA_ARGS__)

/* y = f(a, b) */
#define AG_BINARY(name_, notation_, a_bar, b_bar, ...)                                                                 \
    static ag_tensor *name_##_vjp(ag_tensor *y, ag_tensor *g, int i) {                                                 \
        ag_tensor *a = y->input[0], *b = y->input[1];                                                                  \
        return (void)a, (void)b, i == 0 ? (a_bar) : (b_bar);                                                           \
    }                                                                                                                  \
    AG_ELEMENTWISE(name_, 2, notation_, .vjp = name_##_vjp, __VA_ARGS__)

/* y = f(x, s), with s a double that each kernel converts to its own dtype */
#define AG_WITH_NUMBER(name_, notation_, x_bar, ...)                                                                   \
    static ag_tensor *name_##_vjp(ag_tensor *y, ag_tensor *g, int i) {                                                 \
        ag_tensor *x = y->input[0];                                                                                    \
        const double s = *(const double *)ag__attributes(y);                                                           \
        return (void)x, (void)s, (void)i, (x_bar);                                                                     \
    }                                                                                                                  \
    AG_ELEMENTWISE(name_, 1, notation_, .attribute_bytes = sizeof(double), .vjp = name_##_vjp, __VA_ARGS__)

/* y = a comparison of a and b; with flags beside those of every comparison */
#define AG_COMPARISON(name_, notation_, flags_)                                                                        \
    AG_ELEMENTWISE(name_, 2, notation_, .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_PREDICATE | AG_OP_CHEAP | (flags_),  \
                   .block = {[AG_F32] = name_##_f32, [AG_F64] = name_##_f64}, AG_FORMULA_TRACE_ANY(name_))

/* The gradient of what is linear between two corners (relu, clamp, …): y = g where low < x < high, g·at_low where x =
 * low, g·at_high where x = high, NaN where x is NaN and g not 0, and 0 elsewhere, even of a g that is infinite or NaN.
 * In compare.c, as the next. */
ag_tensor *ag__gate(ag_tensor *g, ag_tensor *x, double low, double high, double at_low, double at_high);

/* NaN where x is NaN and g not 0, and 0 elsewhere: the part of NaN in the gradient of a choice by x. */
ag_tensor *ag__unknown(ag_tensor *g, ag_tensor *x);

/* g·s and g/b in the vjp of an operation whose slope is finite wherever its inputs and output are. They are strong only
 * below a choice: elsewhere an infinite or NaN element shows in the outputs. In strong.c, as the next. */
ag_tensor *ag__slope_mul(ag_tensor *g, ag_tensor *s);
ag_tensor *ag__slope_div(ag_tensor *g, ag_tensor *b);

/* The same for a·b: operand `cotangent` is g, and operands `strong` have strong zeros anyway; 1 is a, 2 is b, 3 are
 * both. In strong_matmul.c. */
ag_tensor *ag__slope_matmul(ag_tensor *a, ag_tensor *b, int64_t cotangent, int64_t strong);

/* Σ g over the axes, which are not negative, in the vjp of a broadcast: c·Σ u if g is u·c, with c the same along them,
 * and Σ u has been recorded. In factor.c. */
ag_tensor *ag__sum_of_cotangents(const ag_op *broadcast, ag_tensor *g, ag_axes axes, bool keepdims);

/* Whether a composed function of real numbers may read x[…]; if not, *nil is set, after an error. In numeric.c. */
bool ag__real_inputs(const char *name, int n, ag_tensor *const x[], ag_tensor **nil);

/* x as a number: i64 if it is bool. In axes.c, as the next three. */
ag_tensor *ag__as_number(ag_tensor *x);

/* x with the axes of a mask, at least one, made a single one, *axis: the last, in their order, unless it is the only
 * one and stays where it is. And back: y, of that shape, in the shape of x. */
ag_tensor *ag__axes_together(ag_tensor *x, uint32_t mask, int *axis);
ag_tensor *ag__axes_apart(ag_tensor *y, const ag_shape *shape, uint32_t mask);

/* n elements of f32, f64 or i64 as f64; and f64 as f32. */
void ag__widen(ag_dtype from, int64_t n, double *y, const void *x);
void ag__narrow(int64_t n, float *y, const double *x);

/* Public functions of a shape or axes that are in memory: a copy at each call takes sixteen bytes more of code. And of
 * the shape of a tensor. In given.c. */
ag_tensor *ag__reshape(ag_tensor *x, const ag_shape *shape);
ag_tensor *ag__reshape_as(ag_tensor *x, const ag_tensor *like);
ag_tensor *ag__broadcast_as(ag_tensor *x, const ag_tensor *like);
ag_tensor *ag__squeeze(ag_tensor *x, const ag_axes *axes);
ag_tensor *ag__permute(ag_tensor *x, const ag_axes *axes);
ag_tensor *ag__sum(ag_tensor *x, const ag_axes *axes, bool keepdims);
ag_tensor *ag__max(ag_tensor *x, const ag_axes *axes, bool keepdims);
ag_tensor *ag__min(ag_tensor *x, const ag_axes *axes, bool keepdims);

/* The attributes of ag_clamp and its like, which refuse low > high. In arith.c. */
typedef struct ag__bounds {
    double low, high;
} ag__bounds;
bool ag__bounds_infer(ag_infer *r);

/* A number of x's dtype, and zeros of its shape too. In given.c. */
ag_tensor *ag__number_as(const ag_tensor *x, double number);
ag_tensor *ag__zeros_as(const ag_tensor *x);

/* √Σ x² over the axes of a mask. In reduce.c. */
ag_tensor *ag__norm(ag_tensor *x, uint32_t mask, bool keepdims);

/* The product of the elements before each one along an axis that is not negative, or of those behind it. In scan.c. */
ag_tensor *ag__products_before(ag_tensor *x, int axis, bool behind);

/* The kernel of a function of an order, which is the attribute, and an element. The steps are as many as the order,
 * which may be any number in an entry that a program records: so it is checked. In gamma.c. */
void ag__by_order(ag_dtype dtype, int64_t count, void *y, const void *x, const double *n, double f(double x, int n));
bool ag__order_infer(ag_infer *r);

/* ψ(a) − ψ(a + b), and that of ψ′; for a, b > 0 without cancellation. In gamma.c. */
ag_tensor *ag__lbeta_slope(ag_tensor *a, ag_tensor *b);
ag_tensor *ag__lbeta_bend(ag_tensor *a, ag_tensor *b);

/* Unsigned numbers in whose order n elements are sorted. In sort.c. */
void ag__keys_of(ag_dtype dtype, int64_t n, const char *x, uint64_t *keys);

/* Three elements along the last axis in ascending order: those whose numbers are `rank` and, if there is one, rank + 1,
 * and the last element, which is NaN if any is. In sort.c. */
ag_tensor *ag__at_rank(ag_tensor *x, int64_t rank);

/* Whether n elements are all finite. */
bool ag__finite_f32(int64_t n, const float *x);
bool ag__finite_f64(int64_t n, const double *x);

/* a·b, 0 where a or b is 0, whatever the other is. */
ag_tensor *ag__mul_both_strong(ag_tensor *a, ag_tensor *b);

#endif
