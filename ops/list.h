/* list -- every operation of the library, and what few things the operations' files share
 *
 * An operation is defined whole in its own file; its line here is what makes the tests, the reports and
 * ag_op_at see it. Alphabetical. */
#ifndef AG_OPS_LIST_H
#define AG_OPS_LIST_H

#include "autograd/tape/op.h"

#define AG_OPS(X)                                                                                                      \
    X(ag__op_abs)                                                                                                      \
    X(ag__op_add)                                                                                                      \
    X(ag__op_add_scalar)                                                                                               \
    X(ag__op_arange)                                                                                                   \
    X(ag__op_argmax)                                                                                                   \
    X(ag__op_below_one)                                                                                                \
    X(ag__op_broadcast_to)                                                                                             \
    X(ag__op_cast)                                                                                                     \
    X(ag__op_clamp)                                                                                                    \
    X(ag__op_concat)                                                                                                   \
    X(ag__op_contiguous)                                                                                               \
    X(ag__op_cos)                                                                                                      \
    X(ag__op_div)                                                                                                      \
    X(ag__op_div_scalar)                                                                                               \
    X(ag__op_embed)                                                                                                    \
    X(ag__op_equal)                                                                                                    \
    X(ag__op_exp)                                                                                                      \
    X(ag__op_expm1)                                                                                                    \
    X(ag__op_fold)                                                                                                     \
    X(ag__op_from_one)                                                                                                 \
    X(ag__op_full)                                                                                                     \
    X(ag__op_gate)                                                                                                     \
    X(ag__op_gather)                                                                                                   \
    X(ag__op_less)                                                                                                     \
    X(ag__op_less_equal)                                                                                               \
    X(ag__op_log)                                                                                                      \
    X(ag__op_log1p)                                                                                                    \
    X(ag__op_matmul)                                                                                                   \
    X(ag__op_max)                                                                                                      \
    X(ag__op_maximum)                                                                                                  \
    X(ag__op_maximum_scalar)                                                                                           \
    X(ag__op_mean)                                                                                                     \
    X(ag__op_min)                                                                                                      \
    X(ag__op_minimum)                                                                                                  \
    X(ag__op_minimum_scalar)                                                                                           \
    X(ag__op_mul)                                                                                                      \
    X(ag__op_mul_both_strong)                                                                                          \
    X(ag__op_neg)                                                                                                      \
    X(ag__op_normal)                                                                                                   \
    X(ag__op_not_equal)                                                                                                \
    X(ag__op_permute)                                                                                                  \
    X(ag__op_pow)                                                                                                      \
    X(ag__op_pow_scalar)                                                                                               \
    X(ag__op_rdiv_scalar)                                                                                              \
    X(ag__op_relu)                                                                                                     \
    X(ag__op_reshape)                                                                                                  \
    X(ag__op_rsqrt)                                                                                                    \
    X(ag__op_rsub_scalar)                                                                                              \
    X(ag__op_scale)                                                                                                    \
    X(ag__op_scatter_add)                                                                                              \
    X(ag__op_sigmoid)                                                                                                  \
    X(ag__op_sigmoid_slope)                                                                                            \
    X(ag__op_sign)                                                                                                     \
    X(ag__op_sin)                                                                                                      \
    X(ag__op_slice)                                                                                                    \
    X(ag__op_sqrt)                                                                                                     \
    X(ag__op_square)                                                                                                   \
    X(ag__op_strong_div)                                                                                               \
    X(ag__op_strong_matmul)                                                                                            \
    X(ag__op_strong_mul)                                                                                               \
    X(ag__op_sub)                                                                                                      \
    X(ag__op_sum)                                                                                                      \
    X(ag__op_tanh)                                                                                                     \
    X(ag__op_tanh_slope)                                                                                               \
    X(ag__op_uniform)                                                                                                  \
    X(ag__op_where)                                                                                                    \
    X(ag__op_windows)

#define AG__DECLARE_OP(op) extern const ag_op op;
AG_OPS(AG__DECLARE_OP)
#undef AG__DECLARE_OP

/* The gradient of what is linear between two corners (relu, clamp, …): y = g where low < x < high, g·at_low
 * where x = low, g·at_high where x = high, NaN where x is NaN and g not 0, and 0 elsewhere, even of a g that is infinite or
 * NaN. In compare.c, as the next. */
ag_tensor *ag__gate(ag_tensor *g, ag_tensor *x, double low, double high, double at_low, double at_high);

/* NaN where x is NaN and g not 0, and 0 elsewhere: what a choice adds to the gradient of what it chose from by x. */
ag_tensor *ag__unknown(ag_tensor *g, ag_tensor *x);

/* g·s and g/b in the vjp of an operation that has no infinite or NaN slope where its inputs and its output are finite: strong
 * below a choice, for elsewhere what is infinite or NaN is seen in the outputs. In strong.c, as the next. */
ag_tensor *ag__slope_mul(ag_tensor *g, ag_tensor *s);
ag_tensor *ag__slope_div(ag_tensor *g, ag_tensor *b);

/* The same for a·b, of which operand `cotangent` is g, and whose operands `strong` have strong zeros anyway: 1 is a, 2 is b,
 * 3 are both. In strong_matmul.c. */
ag_tensor *ag__slope_matmul(ag_tensor *a, ag_tensor *b, int64_t cotangent, int64_t strong);

/* Whether n elements are all finite. */
bool ag__finite_f32(int64_t n, const float *x);
bool ag__finite_f64(int64_t n, const double *x);

/* a·b, 0 where a or b is 0, whatever the other is. */
ag_tensor *ag__mul_both_strong(ag_tensor *a, ag_tensor *b);

#endif
