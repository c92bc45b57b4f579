/* numeric -- elementwise functions beside those of elementwise.h: rounding, remainders, and functions of two numbers
 *
 * Derivatives where there is none: a function that is constant almost everywhere has 0 everywhere, and a corner has the
 * value that is stated, PyTorch's if it has one.
 *
 * Errors, in units of the last place: the largest found by MPFR in all of the domain (docs/accuracy.md), of slopes
 * in f64. Those of logaddexp are relative to the smaller magnitude of a and b, or e^−|a−b|, where y crosses 0,
 * those of sinc's slope to 1/|x|.
 *     Units of f64: ceil 0, copysign 0, floor 0, floor_divide 0.5, fmod 0, hypot 1, logaddexp 30.2,
 *         remainder 0.5, round 0, sinc 3, trunc 0, xlog1py 2, xlogy 1.9;
 *     Units of f32: ceil 0, copysign 0, floor 0, floor_divide 0.5, fmod 0, hypot 0.8, logaddexp 8.4,
 *         remainder 0.5, round 0, sinc 3.1, trunc 0, xlog1py 1.8, xlogy 1.8;
 *     Units of slopes: sinc 5.6; */
#ifndef AG_OPS_NUMERIC_H
#define AG_OPS_NUMERIC_H

#include "autograd/types.h"

/* ---- Rounding ---- */

/* ag_floor -- y = the largest whole number <= x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = 0
 * Errors: AG_ERR_DTYPE
 * Source: numpy.floor */
AG_API ag_tensor *ag_floor(ag_tensor *x);

/* ag_ceil -- y = the smallest whole number >= x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = 0
 * Errors: AG_ERR_DTYPE
 * Source: numpy.ceil */
AG_API ag_tensor *ag_ceil(ag_tensor *x);

/* ag_round -- y = the whole number nearest to x, the even one of two
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = 0
 * Errors: AG_ERR_DTYPE
 * Source: numpy.round */
AG_API ag_tensor *ag_round(ag_tensor *x);

/* ag_trunc -- y = x without its fraction
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = 0
 * Errors: AG_ERR_DTYPE
 * Source: numpy.trunc */
AG_API ag_tensor *ag_trunc(ag_tensor *x);

/* ag_frac -- y = x − trunc(x), with the sign of x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ
 * Errors: AG_ERR_DTYPE
 * Source: torch.frac */
AG_API ag_tensor *ag_frac(ag_tensor *x);

/* ---- Quotients ---- */

/* ag_reciprocal -- y = 1 / x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −ȳ·y/x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.reciprocal */
AG_API ag_tensor *ag_reciprocal(ag_tensor *x);

/* ag_fmod -- y = a − b·trunc(a/b), never rounded: the remainder with the sign of a; of whole numbers 0 where b is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ,  b̄ = −ȳ·trunc(a/b)
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.fmod */
AG_API ag_tensor *ag_fmod(ag_tensor *a, ag_tensor *b);

/* ag_remainder -- y = a − b·floor(a/b): the remainder with the sign of b; of whole numbers 0 where b is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ,  b̄ = −ȳ·floor(a/b)
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.remainder */
AG_API ag_tensor *ag_remainder(ag_tensor *a, ag_tensor *b);

/* ag_floor_divide -- y = floor(a/b), as if a/b were not rounded; of whole numbers 0 where b is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = 0,  b̄ = 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.floor_divide */
AG_API ag_tensor *ag_floor_divide(ag_tensor *a, ag_tensor *b);

/* ---- Functions of two numbers and more ---- */

/* ag_hypot -- y = √(a² + b²), without overflow in between; ∞ if either is infinite
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·a/y,  b̄ = ȳ·b/y; both 0 where y = 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.hypot */
AG_API ag_tensor *ag_hypot(ag_tensor *a, ag_tensor *b);

/* ag_copysign -- y = |a| with the sign of b, also of −0; |a| where b is NaN
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = 0 where a = 0, ȳ where a = y, −ȳ elsewhere;  b̄ = 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.copysign */
AG_API ag_tensor *ag_copysign(ag_tensor *a, ag_tensor *b);

/* ag_lerp -- y = a + w·(b − a); a where w = 0, and b where w = 1
 * Shape:  broadcast over all three
 * Dtype:  real
 * Grad:   ā = ȳ·(1 − w),  b̄ = ȳ·w,  w̄ = ȳ·(b − a)
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.lerp */
AG_API ag_tensor *ag_lerp(ag_tensor *a, ag_tensor *b, ag_tensor *w);

/* ag_xlogy -- y = a·ln b; 0 where a = 0, unless b is NaN
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·ln b, 0 where a = 0 and b <= 0;  b̄ = ȳ·a/b, 0 where a = 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: scipy.special.xlogy */
AG_API ag_tensor *ag_xlogy(ag_tensor *a, ag_tensor *b);

/* ag_xlog1py -- y = a·ln(1 + b); 0 where a = 0, unless b is NaN
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·ln(1 + b), 0 where a = 0 and b <= −1;  b̄ = ȳ·a/(1 + b), 0 where a = 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: scipy.special.xlog1py */
AG_API ag_tensor *ag_xlog1py(ag_tensor *a, ag_tensor *b);

/* ag_logaddexp -- y = ln(e^a + e^b), without overflow in between
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·σ(a − b),  b̄ = ȳ·σ(b − a)
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.logaddexp */
AG_API ag_tensor *ag_logaddexp(ag_tensor *a, ag_tensor *b);

/* ag_sinc -- y = sin πx/(πx), 1 at 0
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(cos πx − y)/x, 0 at 0
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sinc */
AG_API ag_tensor *ag_sinc(ag_tensor *x);

#endif
