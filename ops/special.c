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
