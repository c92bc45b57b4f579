/* elementwise -- y[i] = f(a[i], b[i], …): arithmetic, comparisons and choice, functions
 *
 * The inputs of one operation are broadcast to each other and have one dtype. Neighbouring operations are computed in
 * one sweep, element by element, without storing what lies between them: compose freely.
 *
 * Errors, in units of the last place: the largest found by MPFR in all of the domain (docs/accuracy.md), of slopes
 * in f64.
 *     Units of f64: abs 0, add 0.5, cos 0.9, div 0.5, exp 1, expm1 1.6, log 1.2, log1p 1.3, maximum 0,
 *         minimum 0, mul 0.5, neg 0, pow 1.2, relu 0, rsqrt 1.5, sigmoid 1.5, sign 0, sin 0.8, sqrt 0.5,
 *         square 0.5, sub 0.5, tanh 1.5;
 *     Units of f32: abs 0, add 0.5, cos 0.9, div 0.5, exp 0.9, expm1 1.3, log 1, log1p 0.9, maximum 0,
 *         minimum 0, mul 0.5, neg 0, pow 0.9, relu 0, rsqrt 1.5, sigmoid 1.5, sign 0, sin 1, sqrt 0.5,
 *         square 0.5, sub 0.5, tanh 1.5;
 *     Units of slopes: cos 0.8, exp 0.9, expm1 0.9, log 0.5, log1p 1.5, rsqrt 4.9, sigmoid 3.5, sin 0.8,
 *         sqrt 1.5, square 0, tanh 3.5; */
#ifndef AG_OPS_ELEMENTWISE_H
#define AG_OPS_ELEMENTWISE_H

#include "autograd/types.h"

/* ---- Arithmetic ---- */

/* ag_add -- y = a + b
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ,  b̄ = ȳ
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.add */
AG_API ag_tensor *ag_add(ag_tensor *a, ag_tensor *b);

/* ag_sub -- y = a − b
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ,  b̄ = −ȳ
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.subtract */
AG_API ag_tensor *ag_sub(ag_tensor *a, ag_tensor *b);

/* ag_mul -- y = a·b, elementwise
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ·b,  b̄ = ȳ·a
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.multiply */
AG_API ag_tensor *ag_mul(ag_tensor *a, ag_tensor *b);

/* ag_div -- y = a / b; division by zero as in IEEE-754
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ/b,  b̄ = −ȳ·y/b
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.divide */
AG_API ag_tensor *ag_div(ag_tensor *a, ag_tensor *b);

/* ag_pow -- y = a^b, as C's pow
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·b·a^(b−1), 0 where b = 0;  b̄ = ȳ·y·ln a, 0 where a = 0 and b >= 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.pow, its subgradients included */
AG_API ag_tensor *ag_pow(ag_tensor *a, ag_tensor *b);

/* ag_maximum -- y = max(a, b); NaN if either is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ where a > b, ȳ/2 where a = b, NaN where y is;  b̄ likewise
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.maximum */
AG_API ag_tensor *ag_maximum(ag_tensor *a, ag_tensor *b);

/* ag_minimum -- y = min(a, b); NaN if either is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ where a < b, ȳ/2 where a = b, NaN where y is;  b̄ likewise
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.minimum */
AG_API ag_tensor *ag_minimum(ag_tensor *a, ag_tensor *b);

/* ag_neg -- y = −x
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = −ȳ
 * Errors: AG_ERR_DTYPE
 * Source: numpy.negative */
AG_API ag_tensor *ag_neg(ag_tensor *x);

/* ag_add_scalar -- y = x + s
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64; s is converted to it, as for all scalar forms
 * Grad:   x̄ = ȳ
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE for i64 unless s is an integer within range, as for all scalar forms
 * Source: numpy.add */
AG_API ag_tensor *ag_add_scalar(ag_tensor *x, double s);

/* ag_rsub_scalar -- y = s − x
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = −ȳ
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.subtract */
AG_API ag_tensor *ag_rsub_scalar(double s, ag_tensor *x);

/* ag_scale -- y = s·x
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = s·ȳ
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.multiply */
AG_API ag_tensor *ag_scale(ag_tensor *x, double s);

/* ag_div_scalar -- y = x / s
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/s
 * Errors: AG_ERR_DTYPE
 * Source: numpy.divide */
AG_API ag_tensor *ag_div_scalar(ag_tensor *x, double s);

/* ag_rdiv_scalar -- y = s / x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −ȳ·y/x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.divide */
AG_API ag_tensor *ag_rdiv_scalar(double s, ag_tensor *x);

/* ag_pow_scalar -- y = x^s, as C's pow
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·s·x^(s−1), 0 where s = 0
 * Errors: AG_ERR_DTYPE
 * Source: torch.pow */
AG_API ag_tensor *ag_pow_scalar(ag_tensor *x, double s);

/* ag_maximum_scalar -- y = max(x, s); NaN if either is
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ where x > s, ȳ/2 where x = s, NaN where y is
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: torch.maximum */
AG_API ag_tensor *ag_maximum_scalar(ag_tensor *x, double s);

/* ag_minimum_scalar -- y = min(x, s); NaN if either is
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ where x < s, ȳ/2 where x = s, NaN where y is
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: torch.minimum */
AG_API ag_tensor *ag_minimum_scalar(ag_tensor *x, double s);

/* ag_clamp -- y = min(max(x, low), high); a NaN x stays NaN
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where low <= x <= high, NaN where x is, 0 elsewhere
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE unless low <= high
 * Source: torch.clamp */
AG_API ag_tensor *ag_clamp(ag_tensor *x, double low, double high);

/* ---- Comparisons and choice ---- */

/* ag_equal -- y = (a == b); comparisons with NaN are false, and true for ag_not_equal
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.equal */
AG_API ag_tensor *ag_equal(ag_tensor *a, ag_tensor *b);

/* ag_not_equal -- y = (a != b)
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.not_equal */
AG_API ag_tensor *ag_not_equal(ag_tensor *a, ag_tensor *b);

/* ag_less -- y = (a < b)
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.less */
AG_API ag_tensor *ag_less(ag_tensor *a, ag_tensor *b);

/* ag_less_equal -- y = (a <= b)
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.less_equal */
AG_API ag_tensor *ag_less_equal(ag_tensor *a, ag_tensor *b);

/* ag_greater -- y = (a > b), recorded as b < a
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.greater */
AG_API ag_tensor *ag_greater(ag_tensor *a, ag_tensor *b);

/* ag_greater_equal -- y = (a >= b), recorded as b <= a
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.greater_equal */
AG_API ag_tensor *ag_greater_equal(ag_tensor *a, ag_tensor *b);

/* ag_where -- y = a where condition holds, b elsewhere; elements that are not chosen, NaN included, have no influence
 * Nor have they any on gradients: section 4 of autograd.h.
 * Shape:  broadcast over all three
 * Dtype:  condition bool; a and b any, the same
 * Grad:   ā = ȳ where condition holds, 0 elsewhere;  b̄ = ȳ where it does not, 0 elsewhere
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.where */
AG_API ag_tensor *ag_where(ag_tensor *condition, ag_tensor *a, ag_tensor *b);

/* ag_cast -- y = x in another dtype; to bool: x != 0; real to i64: towards zero, NaN to 0, beyond the range to its ends
 * Shape:  x (…) -> (…)
 * Dtype:  any -> dtype
 * Grad:   x̄ = ȳ cast back, between real dtypes; none flows through the others
 * Errors: AG_ERR_DTYPE
 * Source: numpy.ndarray.astype; saturation as in Rust's `as` */
AG_API ag_tensor *ag_cast(ag_tensor *x, ag_dtype dtype);

/* ---- Functions ---- */

/* ag_exp -- y = e^x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·y
 * Errors: AG_ERR_DTYPE
 * Source: numpy.exp */
AG_API ag_tensor *ag_exp(ag_tensor *x);

/* ag_log -- y = ln x; −inf at 0, NaN below
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.log */
AG_API ag_tensor *ag_log(ag_tensor *x);

/* ag_expm1 -- y = e^x − 1, accurate where x is near 0
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·e^x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.expm1 */
AG_API ag_tensor *ag_expm1(ag_tensor *x);

/* ag_log1p -- y = ln(1 + x), accurate where x is near 0; −inf at −1, NaN below
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(1 + x)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.log1p */
AG_API ag_tensor *ag_log1p(ag_tensor *x);

/* ag_sqrt -- y = √x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(2·y)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sqrt */
AG_API ag_tensor *ag_sqrt(ag_tensor *x);

/* ag_rsqrt -- y = 1/√x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −½·ȳ·y³
 * Errors: AG_ERR_DTYPE
 * Source: torch.rsqrt */
AG_API ag_tensor *ag_rsqrt(ag_tensor *x);

/* ag_square -- y = x²
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = 2·ȳ·x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.square */
AG_API ag_tensor *ag_square(ag_tensor *x);

/* ag_abs -- y = |x|
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ·sign(x), 0 at 0
 * Errors: AG_ERR_DTYPE
 * Source: torch.abs */
AG_API ag_tensor *ag_abs(ag_tensor *x);

/* ag_sign -- y = −1, 0 or 1; NaN for NaN
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = 0: locally constant
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sign */
AG_API ag_tensor *ag_sign(ag_tensor *x);

/* ag_sin -- y = sin x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·cos x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sin */
AG_API ag_tensor *ag_sin(ag_tensor *x);

/* ag_cos -- y = cos x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −ȳ·sin x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.cos */
AG_API ag_tensor *ag_cos(ag_tensor *x);

/* ag_tanh -- y = tanh x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(1 − y²), to a few units in the last place also where y is nearly ±1
 * Errors: AG_ERR_DTYPE
 * Source: numpy.tanh */
AG_API ag_tensor *ag_tanh(ag_tensor *x);

/* ag_sigmoid -- y = 1/(1 + e^(−x))
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·y·(1 − y), to a few units in the last place also where y is nearly 1
 * Errors: AG_ERR_DTYPE
 * Source: torch.sigmoid */
AG_API ag_tensor *ag_sigmoid(ag_tensor *x);

/* ag_relu -- y = max(x, 0); NaN stays NaN
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x > 0, NaN where x is, 0 elsewhere
 * Errors: AG_ERR_DTYPE
 * Source: torch.relu */
AG_API ag_tensor *ag_relu(ag_tensor *x);

/* Three ways to cut off negative numbers have the same values and, at 0 itself, three slopes, as in PyTorch; the slope
 * at NaN is NaN, as are the cotangents computed from it:
 *
 *                                        x < 0   x = 0   x > 0   NaN
 *      ag_relu(x)                          0       0       1     NaN
 *      ag_maximum(x, 0)                    0       ½       1     NaN    ag_maximum_scalar too
 *      ag_clamp(x, 0, inf)                 0       1       1     NaN
 *      ag_abs(x)                          −1       0       1     NaN
 *      ag_sign(x)                          0       0       0      0     constant, as comparisons are
 *
 * Elements that tie share the slope of ag_max and ag_min. −0 and 0 are equal in all of these. */

/* ---- Products of a cotangent with a slope, for vjps ---- */

/* ag_strong_mul -- y = g·s, and 0 where g is 0, whatever s is: for a vjp to multiply its cotangent by a slope
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ḡ = ȳ·s, 0 where ȳ is;  s̄ = ȳ·g, 0 where ȳ or g is
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: the strong zero of Moses and Churavy's Enzyme, at all orders */
AG_API ag_tensor *ag_strong_mul(ag_tensor *g, ag_tensor *s);

/* ag_strong_div -- y = g / b, and 0 where g is 0, whatever b is
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ḡ = ȳ/b, 0 where ȳ is;  b̄ = −ȳ·y/b, 0 where ȳ or y is
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: as ag_strong_mul */
AG_API ag_tensor *ag_strong_div(ag_tensor *g, ag_tensor *b);

#endif
