/* logic -- truth values and bits, what a number is, comparisons with a number, bounds
 *
 * Results of type bool have no gradient. */
#ifndef AG_OPS_LOGIC_H
#define AG_OPS_LOGIC_H

#include "autograd/types.h"

/* ---- Truth values: of a number, whether it is not 0; NaN is not 0 ---- */

/* ag_logical_and -- y = a and b
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.logical_and */
AG_API ag_tensor *ag_logical_and(ag_tensor *a, ag_tensor *b);

/* ag_logical_or -- y = a or b
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.logical_or */
AG_API ag_tensor *ag_logical_or(ag_tensor *a, ag_tensor *b);

/* ag_logical_xor -- y = whether one of a and b is true, and the other not
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.logical_xor */
AG_API ag_tensor *ag_logical_xor(ag_tensor *a, ag_tensor *b);

/* ag_logical_not -- y = not x
 * Shape:  x (…) -> (…)
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: those of every operation
 * Source: numpy.logical_not */
AG_API ag_tensor *ag_logical_not(ag_tensor *x);

/* ---- Kinds of numbers ---- */

/* ag_isnan -- y = whether x is NaN
 * Shape:  x (…) -> (…)
 * Dtype:  real -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE
 * Source: numpy.isnan */
AG_API ag_tensor *ag_isnan(ag_tensor *x);

/* ag_isinf -- y = whether x is ∞ or −∞
 * Shape:  x (…) -> (…)
 * Dtype:  real -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE
 * Source: numpy.isinf */
AG_API ag_tensor *ag_isinf(ag_tensor *x);

/* ag_isfinite -- y = whether x is neither infinite nor NaN
 * Shape:  x (…) -> (…)
 * Dtype:  real -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE
 * Source: numpy.isfinite */
AG_API ag_tensor *ag_isfinite(ag_tensor *x);

/* ag_nan_to_num -- y = x, but 0 for NaN, and for ±∞ the largest number there is, with its sign
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x is finite, 0 elsewhere
 * Errors: AG_ERR_DTYPE
 * Source: numpy.nan_to_num */
AG_API ag_tensor *ag_nan_to_num(ag_tensor *x);

/* ag_nan_to_num_as -- y = x, but `nan` for NaN, `high` for ∞ and `low` for −∞
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x is finite, 0 elsewhere
 * Errors: AG_ERR_DTYPE
 * Source: torch.nan_to_num */
AG_API ag_tensor *ag_nan_to_num_as(ag_tensor *x, double nan, double high, double low);

/* ---- Comparisons with a number ---- */

/* ag_equal_scalar -- y = (x == s)
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64 -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.equal */
AG_API ag_tensor *ag_equal_scalar(ag_tensor *x, double s);

/* ag_not_equal_scalar -- y = (x != s)
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64 -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.not_equal */
AG_API ag_tensor *ag_not_equal_scalar(ag_tensor *x, double s);

/* ag_less_scalar -- y = (x < s)
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64 -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.less */
AG_API ag_tensor *ag_less_scalar(ag_tensor *x, double s);

/* ag_less_equal_scalar -- y = (x <= s)
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64 -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.less_equal */
AG_API ag_tensor *ag_less_equal_scalar(ag_tensor *x, double s);

/* ag_greater_scalar -- y = (x > s)
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64 -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.greater */
AG_API ag_tensor *ag_greater_scalar(ag_tensor *x, double s);

/* ag_greater_equal_scalar -- y = (x >= s)
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64 -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.greater_equal */
AG_API ag_tensor *ag_greater_equal_scalar(ag_tensor *x, double s);

/* ---- Bounds ---- */

/* ag_clamp_min -- y = max(x, low); a NaN x stays NaN
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x >= low, NaN where x is, 0 elsewhere
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE if low is NaN
 * Source: torch.clamp_min */
AG_API ag_tensor *ag_clamp_min(ag_tensor *x, double low);

/* ag_clamp_max -- y = min(x, high); a NaN x stays NaN
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x <= high, NaN where x is, 0 elsewhere
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE if high is NaN
 * Source: torch.clamp_max */
AG_API ag_tensor *ag_clamp_max(ag_tensor *x, double high);

/* ag_clamp_low -- y = max(x, low), of two tensors; NaN if either is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ where x >= low;  of low: ȳ where x < low;  both NaN where y is
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.clamp with `min` */
AG_API ag_tensor *ag_clamp_low(ag_tensor *x, ag_tensor *low);

/* ag_clamp_high -- y = min(x, high), of two tensors; NaN if either is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ where x <= high;  of high: ȳ where x > high;  both NaN where y is
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.clamp with `max` */
AG_API ag_tensor *ag_clamp_high(ag_tensor *x, ag_tensor *high);

/* ag_clamp_between -- y = min(max(x, low), high), of three tensors; NaN if one of them is
 * Shape:  broadcast over all three
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ where low <= x <= high, 0 elsewhere;  of low: ȳ where x < low <= high, 0 elsewhere;
 *         of high: ȳ where x > high or low > high, 0 elsewhere;  each NaN where y is
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.clamp */
AG_API ag_tensor *ag_clamp_between(ag_tensor *x, ag_tensor *low, ag_tensor *high);

/* ---- Bits of whole numbers in two's complement; of bools logic ---- */

/* ag_bitwise_and -- y = the bits that a and b have
 * Shape:  broadcast
 * Dtype:  bool or i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.bitwise_and */
AG_API ag_tensor *ag_bitwise_and(ag_tensor *a, ag_tensor *b);

/* ag_bitwise_or -- y = the bits that a or b has
 * Shape:  broadcast
 * Dtype:  bool or i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.bitwise_or */
AG_API ag_tensor *ag_bitwise_or(ag_tensor *a, ag_tensor *b);

/* ag_bitwise_xor -- y = the bits in which a and b differ
 * Shape:  broadcast
 * Dtype:  bool or i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.bitwise_xor */
AG_API ag_tensor *ag_bitwise_xor(ag_tensor *a, ag_tensor *b);

/* ag_bitwise_not -- y = the bits that x lacks
 * Shape:  x (…) -> (…)
 * Dtype:  bool or i64
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE
 * Source: numpy.bitwise_not */
AG_API ag_tensor *ag_bitwise_not(ag_tensor *x);

/* ag_left_shift -- y = a·2^b modulo 2^64; 0 if b is negative or more than 63
 * Shape:  broadcast
 * Dtype:  i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.left_shift */
AG_API ag_tensor *ag_left_shift(ag_tensor *a, ag_tensor *b);

/* ag_right_shift -- y = floor(a/2^b); 0 or −1, by the sign of a, if b is negative or more than 63
 * Shape:  broadcast
 * Dtype:  i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.right_shift */
AG_API ag_tensor *ag_right_shift(ag_tensor *a, ag_tensor *b);

#endif
