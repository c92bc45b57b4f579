/* special -- special functions of one tensor or two
 *
 * Where the formula of a derivative overflows or loses digits, it is an operation of its own, whose derivative closes
 * the circle: so a derivative of any order is accurate. */
#include "autograd/trace.h"
#include "ops/rules.h"

#define AG_ONLY_TRACE
#include "ops/special_formulas.h"

#include <math.h>

/* ---- Exponentials and logarithms of other bases, cube root ---- */

AG_UNARY(exp2, "2^{0}", ag_scale(ag__slope_mul(g, y), 0x1.62e42fefa39efp-1), AG_FORMULA_TRACE(exp2));
ag_tensor *ag_exp2(ag_tensor *x) { return ag__apply1(&ag__op_exp2, x); }

AG_UNARY(log2, "log2({0})", ag__slope_div(g, ag_scale(x, 0x1.62e42fefa39efp-1)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = 0, .below = INFINITY}}, AG_FORMULA_TRACE(log2));
ag_tensor *ag_log2(ag_tensor *x) { return ag__apply1(&ag__op_log2, x); }

AG_UNARY(log10, "log10({0})", ag__slope_div(g, ag_scale(x, 0x1.26bb1bbb55516p+1)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = 0, .below = INFINITY}}, AG_FORMULA_TRACE(log10));
ag_tensor *ag_log10(ag_tensor *x) { return ag__apply1(&ag__op_log10, x); }

/* Infinitely steep at 0, where y is finite. */
AG_UNARY(cbrt, "cbrt({0})", ag_strong_div(g, ag_scale(ag_square(y), 3)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.nonzero = true}}, AG_FORMULA_TRACE(cbrt));
ag_tensor *ag_cbrt(ag_tensor *x) { return ag__apply1(&ag__op_cbrt, x); }

/* ---- Tangent ---- */

/* The domain is that around 0, without the neighbourhood of its ends. */
AG_UNARY(tan, "tan({0})", ag__slope_mul(g, ag_add_scalar(ag_square(y), 1)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = -1.5, .below = 1.5}}, AG_FORMULA_TRACE(tan));
ag_tensor *ag_tan(ag_tensor *x) { return ag__apply1(&ag__op_tan, x); }

/* ---- Slopes of inverse functions ---- */

/* Their own slopes are −2·c·x·y² and −c·x·y³, in an order in which nothing overflows. */
AG_WITH_NUMBER(conic_slope, "1 / (1 + {d0} * {0}^2)", ag_scale(ag__slope_mul(g, ag_mul(ag_mul(x, y), y)), -2 * s),
               .domain = {{.above = -1, .below = 1}}, AG_FORMULA_TRACE(conic_slope));
static ag_tensor *conic_slope(ag_tensor *x, double c) { return ag_apply(&ag__op_conic_slope, 1, &x, &c, sizeof c); }

AG_WITH_NUMBER(root_slope, "(1 + {d0} * {0}^2)^-0.5",
               ag_scale(ag_strong_mul(g, ag_mul(ag_mul(x, y), ag_square(y))), -s),
               .domain = {{.above = -1, .below = 1}}, AG_FORMULA_TRACE(root_slope));
static ag_tensor *root_slope(ag_tensor *x, double c) { return ag_apply(&ag__op_root_slope, 1, &x, &c, sizeof c); }

/* ---- Inverse trigonometric functions ---- */

/* Infinitely steep at ±1, where y is finite. */
AG_UNARY(asin, "arcsin({0})", ag_strong_mul(g, root_slope(x, -1)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = -1, .below = 1}}, AG_FORMULA_TRACE(asin));
ag_tensor *ag_asin(ag_tensor *x) { return ag__apply1(&ag__op_asin, x); }

AG_UNARY(acos, "arccos({0})", ag_neg(ag_strong_mul(g, root_slope(x, -1))), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = -1, .below = 1}}, AG_FORMULA_TRACE(acos));
ag_tensor *ag_acos(ag_tensor *x) { return ag__apply1(&ag__op_acos, x); }

AG_UNARY(atan, "arctan({0})", ag__slope_mul(g, conic_slope(x, 1)), AG_FORMULA_TRACE(atan));
ag_tensor *ag_atan(ag_tensor *x) { return ag__apply1(&ag__op_atan, x); }

/* The slope of arctan(a/b) by a, s(a, b) = b/(a² + b²); that by b is −s(b, a). With r = s(b, a) the slopes of s are
 * −2·r·s and r² − s². */
static ag_tensor *angle_slope(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_angle_slope, a, b); }
static ag_tensor *angle_slope_by_b(ag_tensor *y, ag_tensor *r) { return ag_mul(ag_sub(r, y), ag_add(r, y)); }
AG_BINARY(angle_slope, "{1} / ({0}^2 + {1}^2)", ag_scale(ag__slope_mul(g, ag_mul(y, angle_slope(b, a))), -2),
          ag__slope_mul(g, angle_slope_by_b(y, angle_slope(b, a))), AG_FORMULA_TRACE(angle_slope));

AG_BINARY(atan2, "arctan2({0}, {1})", ag__slope_mul(g, angle_slope(a, b)), ag_neg(ag__slope_mul(g, angle_slope(b, a))),
          .domain = {{.nonzero = true}, {.nonzero = true}}, AG_FORMULA_TRACE(atan2));
ag_tensor *ag_atan2(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_atan2, a, b); }

/* ---- Hyperbolic functions ---- */

AG_UNARY(sinh, "sinh({0})", ag__slope_mul(g, ag_cosh(x)), .flags = AG_OP_HIDES_NOTHING, AG_FORMULA_TRACE(sinh));
ag_tensor *ag_sinh(ag_tensor *x) { return ag__apply1(&ag__op_sinh, x); }

AG_UNARY(cosh, "cosh({0})", ag__slope_mul(g, ag_sinh(x)), .flags = AG_OP_HIDES_NOTHING, AG_FORMULA_TRACE(cosh));
ag_tensor *ag_cosh(ag_tensor *x) { return ag__apply1(&ag__op_cosh, x); }

/* ---- Inverse hyperbolic functions ---- */

AG_UNARY(asinh, "arsinh({0})", ag__slope_mul(g, root_slope(x, 1)), .flags = AG_OP_HIDES_NOTHING,
         AG_FORMULA_TRACE(asinh));
ag_tensor *ag_asinh(ag_tensor *x) { return ag__apply1(&ag__op_asinh, x); }

/* Two roots: x² may overflow, and x² − 1 loses its digits near 1, where the slope is infinite and y is not. */
AG_UNARY(acosh, "arcosh({0})", ag_strong_div(g, ag_mul(ag_sqrt(ag_add_scalar(x, -1)), ag_sqrt(ag_add_scalar(x, 1)))),
         .flags = AG_OP_HIDES_NOTHING, .domain = {{.above = 1, .below = INFINITY}}, AG_FORMULA_TRACE(acosh));
ag_tensor *ag_acosh(ag_tensor *x) { return ag__apply1(&ag__op_acosh, x); }

AG_UNARY(atanh, "artanh({0})", ag__slope_mul(g, conic_slope(x, -1)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = -1, .below = 1}}, AG_FORMULA_TRACE(atanh));
ag_tensor *ag_atanh(ag_tensor *x) { return ag__apply1(&ag__op_atanh, x); }

/* ---- Error function ---- */

/* e^(−c·x²) for c a power of two; x² is computed with twice its digits. */
AG_WITH_NUMBER(gaussian, "e^(-{d0} * {0}^2)", ag_scale(ag__slope_mul(g, ag_mul(x, y)), -2 * s),
               AG_FORMULA_TRACE(gaussian));
static ag_tensor *gaussian(ag_tensor *x, double c) { return ag_apply(&ag__op_gaussian, 1, &x, &c, sizeof c); }

AG_UNARY(erf, "erf({0})", ag_scale(ag__slope_mul(g, gaussian(x, 1)), 0x1.20dd750429b6dp+0), AG_FORMULA_TRACE(erf));
ag_tensor *ag_erf(ag_tensor *x) { return ag__apply1(&ag__op_erf, x); }

AG_UNARY(erfc, "erfc({0})", ag_scale(ag__slope_mul(g, gaussian(x, 1)), -0x1.20dd750429b6dp+0), AG_FORMULA_TRACE(erfc));
ag_tensor *ag_erfc(ag_tensor *x) { return ag__apply1(&ag__op_erfc, x); }

/* ---- The scaled error function ---- */

/* The n-th derivative of erfcx is (2/√π)·(−2)ⁿ times the integral of tⁿ·e^(−t² − 2xt) over t > 0: a series in powers of
 * −2x, here its even and its odd terms, which for x < 0 are of one sign. */
static double erfcx_series(int n, double x) {
    const double gammas[] = {1, 0x1.20dd750429b6dp-1, 0.5}; /* Γ(½), Γ(1), Γ(3/2), divided by √π */
    double even = gammas[n % 2], odd = gammas[n % 2 + 1], y = 0;
    for (int k = n % 2 + 1; k <= n; k += 2) even *= k / 2., odd *= (k + 1) / 2.;
    for (int k = 0; k < n; k++) even *= -2, odd *= -2;
    odd *= -2 * x;
    for (int k = 1; y + even != y || y + odd != y; k += 2) {
        y += even + odd;
        even *= 2 * x * x / k * (n + k) / (k + 1);
        odd *= 2 * x * x / (k + 1) * (n + k + 1) / (k + 2);
    }
    return y;
}

/* The same as the product of ratios, which are a continued fraction r(k) = 1/(2x + 2(k + 1)·r(k + 1)). */
static double erfcx_fraction(int n, double x) {
    double r = 0, y = 0x1.20dd750429b6dp+0;
    for (int k = 4 * n + 16 + (int)(240 / (x * x)); k >= 0; k--) {
        r = 1 / (2 * x + 2 * (k + 1) * r);
        if (k <= n) y *= k ? -2 * k * r : r;
    }
    return y;
}

static double erfcx_derivative_at(double x, int n) {
    if (isnan(x)) return x;
    if (x < -30) return n % 2 ? -(double)INFINITY : (double)INFINITY;
    return x < 0.75 ? erfcx_series(n, x) : erfcx_fraction(n, x);
}
static void erfcx_derivative_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    ag__by_order(AG_F32, n, y, x[0], attributes, erfcx_derivative_at);
}
static void erfcx_derivative_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    ag__by_order(AG_F64, n, y, x[0], attributes, erfcx_derivative_at);
}

static ag_tensor *erfcx_derivative(double n, ag_tensor *x) {
    return ag_apply(&ag__op_erfcx_derivative, 1, &x, &n, sizeof n);
}
AG_WITH_NUMBER(erfcx_derivative, NULL, ag__slope_mul(g, erfcx_derivative(s + 1, x)), .infer = ag__order_infer,
               .domain = {{.above = -5, .below = INFINITY}},
               .block = {[AG_F32] = erfcx_derivative_f32, [AG_F64] = erfcx_derivative_f64});

AG_UNARY(erfcx_slope, "2 * {0} * erfcx({0}) - 2 / π^0.5", ag__slope_mul(g, erfcx_derivative(2, x)),
         .domain = {{.above = -5, .below = INFINITY}}, AG_FORMULA_TRACE(erfcx_slope));

AG_UNARY(erfcx, "erfcx({0})", ag__slope_mul(g, ag__apply1(&ag__op_erfcx_slope, x)),
         .domain = {{.above = -5, .below = INFINITY}}, AG_FORMULA_TRACE(erfcx));
ag_tensor *ag_erfcx(ag_tensor *x) { return ag__apply1(&ag__op_erfcx, x); }

/* ---- The normal distribution ---- */

static ag_tensor *normal_density(ag_tensor *x) { return ag_scale(gaussian(x, 0.5), 0x1.9884533d43651p-2); }

AG_UNARY(ndtr, "Φ({0})", ag__slope_mul(g, normal_density(x)), AG_FORMULA_TRACE(ndtr));
ag_tensor *ag_ndtr(ag_tensor *x) { return ag__apply1(&ag__op_ndtr, x); }

/* φ/Φ, and x + φ/Φ, which it is multiplied by in its slope: far below 0 that cancels. */
AG_BINARY(mills_rest, "{0} + {1}", g, g, .flags = AG_OP_TIED, AG_FORMULA_TRACE(mills_rest));
static ag_tensor *mills_slope(ag_tensor *x, ag_tensor *y) {
    return ag_neg(ag_strong_mul(y, ag__apply2(&ag__op_mills_rest, x, y)));
}
AG_UNARY(mills, "φ({0}) / Φ({0})", ag__slope_mul(g, mills_slope(x, y)), AG_FORMULA_TRACE(mills));

AG_UNARY(log_ndtr, "ln(Φ({0}))", ag__slope_mul(g, ag__apply1(&ag__op_mills, x)), AG_FORMULA_TRACE(log_ndtr));
ag_tensor *ag_log_ndtr(ag_tensor *x) { return ag__apply1(&ag__op_log_ndtr, x); }

AG_UNARY(gelu, "{0} * Φ({0})", ag__slope_mul(g, ag_add(ag_ndtr(x), ag_mul(normal_density(x), x))),
         AG_FORMULA_TRACE(gelu));
ag_tensor *ag_gelu(ag_tensor *x) { return ag__apply1(&ag__op_gelu, x); }

/* ---- Inverses ---- */

/* A slope s of an inverse f has itself the slope c·f·s². */
static ag_tensor *inverse_bend(ag_tensor *g, ag_tensor *f, ag_tensor *s) {
    return ag__slope_mul(g, ag_mul(ag_mul(f, s), s));
}

AG_UNARY(erfinv_slope, "π^0.5 / 2 * e^(erfinv({0})^2)", ag_scale(inverse_bend(g, ag_erfinv(x), y), 2),
         .flags = AG_OP_HIDES_NOTHING, .domain = {{.above = -1, .below = 1}}, AG_FORMULA_TRACE(erfinv_slope));
AG_UNARY(erfinv, "erfinv({0})", ag__slope_mul(g, ag__apply1(&ag__op_erfinv_slope, x)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = -1, .below = 1}}, AG_FORMULA_TRACE(erfinv));
ag_tensor *ag_erfinv(ag_tensor *x) { return ag__apply1(&ag__op_erfinv, x); }

AG_UNARY(ndtri_slope, "1 / φ(ndtri({0}))", inverse_bend(g, ag_ndtri(x), y), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = 0, .below = 1}}, AG_FORMULA_TRACE(ndtri_slope));
AG_UNARY(ndtri, "ndtri({0})", ag__slope_mul(g, ag__apply1(&ag__op_ndtri_slope, x)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = 0, .below = 1}}, AG_FORMULA_TRACE(ndtri));
ag_tensor *ag_ndtri(ag_tensor *x) { return ag__apply1(&ag__op_ndtri, x); }
