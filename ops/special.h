/* special -- special functions: other exponentials and logarithms, trigonometric and hyperbolic functions and their
 * inverses, the error function, the gamma function
 *
 * Elementwise, as in elementwise.h.
 *
 * Errors, in units of the last place: the largest found by MPFR in all of the domain (docs/accuracy.md), of slopes
 * in f64. Those of lgamma and digamma are relative to ln|x|, of lgamma times |x|, below 0, where there are zeros
 * between poles; those of lbeta are of a, b > 0, and relative to at least 1, those of its slopes the first and second
 * by a; those of polygamma are relative to Σ n!/|x + k|^(n+1), k ≥ 0, below 0.
 *     Units of f64: acos 0.8, acosh 1.2, asin 0.8, asinh 1.3, atan 1.2, atan2 1.2, atanh 1.5, cbrt 0.5,
 *         cosh 1.1, digamma 4.2, erf 1.7, erfc 2.3, erfcx 2.1, erfinv 1.4, exp2 1.1, lbeta 11, lgamma 4.6,
 *         log10 0.9, log2 1, log_ndtr 2.9, ndtr 2.3, ndtri 1.5, polygamma 7.4, sinh 1.2, tan 2.2;
 *     Units of f32: acos 0.7, acosh 0.9, asin 0.7, asinh 1, atan 1.2, atan2 1.2, atanh 1.3, cbrt 0.5, cosh 1.1,
 *         digamma 4.4, erf 1, erfc 1.3, erfcx 1.6, erfinv 1.2, exp2 0.9, lbeta 9.5, lgamma 4.8, log10 0.9,
 *         log2 0.9, log_ndtr 1.9, ndtr 1.3, ndtri 1.6, polygamma 0.5, sinh 1.3, tan 1.2;
 *     Units of slopes: acos 1.8, acosh 3.1, asin 1.8, asinh 2, atan 1.5, atanh 1.4, cbrt 3.7, cosh 1.2,
 *         digamma 4.4, erf 1.5, erfc 1.4, erfcx 5, erfinv 2.4, exp2 1.9, lbeta 5.7, lgamma 2.7, log10 2.3,
 *         log2 1.8, log_ndtr 3, ndtr 1.9, ndtri 3.2, sinh 1, tan 3.4; */
#ifndef AG_OPS_SPECIAL_H
#define AG_OPS_SPECIAL_H

#include "autograd/types.h"

/* ---- Exponentials and logarithms of other bases, cube root ---- */

/* ag_exp2 -- y = 2^x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·y·ln 2
 * Errors: AG_ERR_DTYPE
 * Source: numpy.exp2 */
AG_API ag_tensor *ag_exp2(ag_tensor *x);

/* ag_log2 -- y = log2 x; −inf at 0, NaN below
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(x·ln 2)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.log2 */
AG_API ag_tensor *ag_log2(ag_tensor *x);

/* ag_log10 -- y = log10 x; −inf at 0, NaN below
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(x·ln 10)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.log10 */
AG_API ag_tensor *ag_log10(ag_tensor *x);

/* ag_cbrt -- y = ∛x, negative where x is
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(3·y²), infinite at 0
 * Errors: AG_ERR_DTYPE
 * Source: numpy.cbrt */
AG_API ag_tensor *ag_cbrt(ag_tensor *x);

/* ---- Trigonometric functions ---- */

/* ag_tan -- y = tan x, right for any x; NaN for ±inf
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(1 + y²)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.tan */
AG_API ag_tensor *ag_tan(ag_tensor *x);

/* ag_asin -- y = arcsin x, the inverse of sin, from −π/2 to π/2; NaN beyond ±1
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/√(1 − x²), infinite at ±1
 * Errors: AG_ERR_DTYPE
 * Source: numpy.arcsin */
AG_API ag_tensor *ag_asin(ag_tensor *x);

/* ag_acos -- y = arccos x, the inverse of cos, from 0 to π; NaN beyond ±1
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −ȳ/√(1 − x²), infinite at ±1
 * Errors: AG_ERR_DTYPE
 * Source: numpy.arccos */
AG_API ag_tensor *ag_acos(ag_tensor *x);

/* ag_atan -- y = arctan x, the inverse of tan, from −π/2 to π/2
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(1 + x²)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.arctan */
AG_API ag_tensor *ag_atan(ag_tensor *x);

/* ag_atan2 -- y = the angle of the point (b, a), whose height is a: arctan(a/b) in the right quadrant, from −π to π
 * Zeros, signs and infinities as in C's atan2.
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·b/(a² + b²),  b̄ = −ȳ·a/(a² + b²), neither of which overflows; NaN where a = b = 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.arctan2 */
AG_API ag_tensor *ag_atan2(ag_tensor *a, ag_tensor *b);

/* ---- Hyperbolic functions ---- */

/* ag_sinh -- y = (e^x − e^−x)/2
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·cosh x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sinh */
AG_API ag_tensor *ag_sinh(ag_tensor *x);

/* ag_cosh -- y = (e^x + e^−x)/2
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·sinh x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.cosh */
AG_API ag_tensor *ag_cosh(ag_tensor *x);

/* ag_asinh -- y = arsinh x, the inverse of sinh
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/√(1 + x²), which does not overflow
 * Errors: AG_ERR_DTYPE
 * Source: numpy.arcsinh */
AG_API ag_tensor *ag_asinh(ag_tensor *x);

/* ag_acosh -- y = arcosh x >= 0, the inverse of cosh; NaN below 1
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/√(x² − 1), infinite at 1
 * Errors: AG_ERR_DTYPE
 * Source: numpy.arccosh */
AG_API ag_tensor *ag_acosh(ag_tensor *x);

/* ag_atanh -- y = artanh x, the inverse of tanh; ±inf at ±1, NaN beyond
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(1 − x²)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.arctanh */
AG_API ag_tensor *ag_atanh(ag_tensor *x);

/* ---- Error function ---- */

/* ag_erf -- y = erf x, 2/√π times the integral of e^(−t²) from 0 to x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·2/√π·e^(−x²)
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.erf */
AG_API ag_tensor *ag_erf(ag_tensor *x);

/* ag_erfc -- y = 1 − erf x, with all digits however small it is
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −ȳ·2/√π·e^(−x²)
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.erfc */
AG_API ag_tensor *ag_erfc(ag_tensor *x);

/* ag_erfcx -- y = e^(x²)·erfc x, which overflows for x far below 0 alone
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(2·x·y − 2/√π), without the cancellation of the two for large x
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.erfcx */
AG_API ag_tensor *ag_erfcx(ag_tensor *x);

/* ag_erfinv -- the y with erf y = x, the inverse of ag_erf; ±inf at ±1, NaN beyond
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·√π/2·e^(y²), infinite at ±1
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.erfinv */
AG_API ag_tensor *ag_erfinv(ag_tensor *x);

/* ---- The normal distribution ---- */

/* ag_ndtr -- y = Φ(x) = ½·erfc(−x/√2), the probability of a standard normal number up to x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·φ(x), with the density φ(x) = e^(−x²/2)/√(2π)
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.ndtr */
AG_API ag_tensor *ag_ndtr(ag_tensor *x);

/* ag_log_ndtr -- y = ln Φ(x), with all digits however far x is on either side; error 1.8 (f32), 2.2 (f64)
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·φ(x)/Φ(x), whose own slope does not cancel far below 0 (the next one does)
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.log_ndtr */
AG_API ag_tensor *ag_log_ndtr(ag_tensor *x);

/* ag_ndtri -- the y with Φ(y) = x, the inverse of ag_ndtr; −inf at 0, inf at 1, NaN beyond; error 1.6 (f32), 1.5 (f64)
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/φ(y), infinite at 0 and 1
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.ndtri */
AG_API ag_tensor *ag_ndtri(ag_tensor *x);

/* ---- The gamma function ---- */

/* ag_lgamma -- y = ln |Γ(x)|; inf at 0, −1, −2, …
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·digamma(x)
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.gammaln */
AG_API ag_tensor *ag_lgamma(ag_tensor *x);

/* ag_digamma -- y = Γ′(x)/Γ(x); −inf at 0, inf at −0, NaN at −1, −2, …
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·polygamma(1, x)
 * Errors: AG_ERR_DTYPE
 * Source: scipy.special.digamma */
AG_API ag_tensor *ag_digamma(ag_tensor *x);

/* ag_polygamma -- y = the n-th derivative of digamma, 0 <= n <= 170; for n > 0, (−1)^(n+1)·inf at 0, −1, −2, …
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·polygamma(n + 1, x)
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE for another n, also that of a gradient
 * Source: scipy.special.polygamma */
AG_API ag_tensor *ag_polygamma(int n, ag_tensor *x);

/* ag_lbeta -- y = ln |B(a, b)| = ln |Γ(a)·Γ(b)/Γ(a + b)|, without cancellation where one is large
 * ∞ where a or b is 0, −1, −2, … or −∞; but where b = 1, 2, … and a + b is such a pole too, y = ln B(1 − a − b, b), the
 * limit for that b. Where one is ∞ and the other is not: −∞ above 0, ∞ below; and −∞, the limit, where both are.
 * For a, b > 0 the gradient has no cancellation either, nor has its slope by the same argument. Gradients of that are
 * differences of ag_polygamma.
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·(digamma(a) − digamma(a + b)),  b̄ = ȳ·(digamma(b) − digamma(a + b))
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: scipy.special.betaln */
AG_API ag_tensor *ag_lbeta(ag_tensor *a, ag_tensor *b);

/* ---- Incomplete gamma and beta functions ----
 *
 * Computed in f64, and f32 rounded once. The largest errors found by MPFR (docs/accuracy.md), relative to y where
 * that is over 1e-30, for parameters from 0.001:
 *     Parts up to 100: gammainc 3.5e-14, gammaincc 1.7e-14, betainc 1.8e-14;
 *     Parts up to 3000: gammainc 4.5e-14, gammaincc 1.7e-14, betainc 3.7e-14;
 *     Parts up to 1e5: gammainc 4.5e-14, gammaincc 1.7e-14, betainc 2.5e-13;
 * First derivatives by parameters from 0.01 on are within 1e-11, unless they cross 0 near by. */

/* ag_gammainc -- y = P(a, x), the probability of a gamma number of shape a up to x: ∫ t^(a − 1)·e^−t dt/Γ(a), t < x
 * For x >= 0 and a >= 0, else NaN. Limits: 0 at x = 0 and a = ∞, 1 at x = ∞ and a = 0; NaN where these meet.
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   x̄ = ȳ·x^(a − 1)·e^−x/Γ(a);  ā = ȳ·∂P/∂a, by differentiating the series, fraction or integral that P is. Any
 *         order by x; by a at most two: a third is refused
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: scipy.special.gammainc; torch.special.gammainc, which has no gradient by a */
AG_API ag_tensor *ag_gammainc(ag_tensor *a, ag_tensor *x);

/* ag_gammaincc -- y = Q(a, x) = 1 − P(a, x), the probability beyond x, with all digits where it is small
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   the negative of ag_gammainc's
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: scipy.special.gammaincc */
AG_API ag_tensor *ag_gammaincc(ag_tensor *a, ag_tensor *x);

/* ag_betainc -- y = I(x; a, b), the probability of a beta number up to x: ∫ t^(a − 1)·(1 − t)^(b − 1) dt/B(a, b), t < x
 * For 0 <= x <= 1, a >= 0 and b >= 0, else NaN. Limits: x at 0 and 1; else 1 for a = 0 and b = ∞, 0 for b = 0 and
 * a = ∞; NaN where these meet. The probability beyond x is I(1 − x; b, a).
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   x̄ = ȳ·x^(a − 1)·(1 − x)^(b − 1)/B(a, b);  ā, b̄ as ag_gammainc's ā. Any order by x; by a and b two:
 *         a third is refused
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: scipy.special.betainc */
AG_API ag_tensor *ag_betainc(ag_tensor *a, ag_tensor *b, ag_tensor *x);

#endif
