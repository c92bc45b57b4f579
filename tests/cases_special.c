/* cases_special -- special functions
 *
 * See case_rows.h. */
#include "ops/rules.h"

#include "tests/case_rows.h"

#include <math.h>

/* Gradients are recorded with these. */
static ag_tensor *angle_slope(ag_tensor *a, ag_tensor *b) {
    return ag_apply(&ag__op_angle_slope, 2, (ag_tensor *[]){a, b}, NULL, 0);
}
static ag_tensor *with_number(const ag_op *op, ag_tensor *x, double c) { return ag_apply(op, 1, &x, &c, sizeof c); }

CALL(beta_density, ag_apply(&ag__op_beta_density, 3, x, NULL, 0))
CALL(betainc, ag_betainc(x[0], x[1], x[2]))
CALL(betainc_slope_1, ag_apply(&ag__op_betainc_slope, 3, x, &(double){1}, sizeof(double)))
CALL(betainc_slope_2, ag_apply(&ag__op_betainc_slope, 3, x, &(double){2}, sizeof(double)))
CALL(betainc_slope_3, ag_apply(&ag__op_betainc_slope, 3, x, &(double){3}, sizeof(double)))
CALL(betainc_slope_4, ag_apply(&ag__op_betainc_slope, 3, x, &(double){4}, sizeof(double)))
CALL(betainc_slope_5, ag_apply(&ag__op_betainc_slope, 3, x, &(double){5}, sizeof(double)))
CALL(conic_slope, with_number(&ag__op_conic_slope, x[0], -1))
CALL(conic_slope_3, with_number(&ag__op_conic_slope, x[0], 3))
CALL(erfcx_derivative, with_number(&ag__op_erfcx_derivative, x[0], 2))
CALL(erfcx_slope, ag_apply(&ag__op_erfcx_slope, 1, x, NULL, 0))
CALL(erfinv_slope, ag_apply(&ag__op_erfinv_slope, 1, x, NULL, 0))
CALL(gamma_density, ag_apply(&ag__op_gamma_density, 2, x, NULL, 0))
CALL(gammainc_slope_1, ag_apply(&ag__op_gammainc_slope, 2, x, &(double){1}, sizeof(double)))
CALL(gammainc_slope_2, ag_apply(&ag__op_gammainc_slope, 2, x, &(double){2}, sizeof(double)))
CALL(gaussian, with_number(&ag__op_gaussian, x[0], 1))
CALL(lbeta_bend, ag_apply(&ag__op_lbeta_bend, 2, x, NULL, 0))
CALL(lbeta_slope, ag_apply(&ag__op_lbeta_slope, 2, x, NULL, 0))
CALL(mills, ag_apply(&ag__op_mills, 1, x, NULL, 0))
CALL(mills_rest, ag_apply(&ag__op_mills_rest, 2, x, NULL, 0))
CALL(ndtri_slope, ag_apply(&ag__op_ndtri_slope, 1, x, NULL, 0))
CALL(polygamma, ag_polygamma(2, x[0]))
CALL(root_slope, with_number(&ag__op_root_slope, x[0], 1))

/* clang-format off */
static const op_case rows[] = {
    {"angle_slope", "angle_slope", REAL, ELEMENTWISE | GRAD, 5, BINARY(angle_slope), 2, {IN(NONZERO, 2, 3), IN(NONZERO, 2, 3)}, ""},
    {"beta_density", "beta_density", REAL, ELEMENTWISE | GRAD, 64, BUILD(beta_density), 3, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3), {INSIDE, 2, {2, 3}, 0, {.above = 0, .below = 1}}}, ""},
    {"betainc", "betainc", REAL, ELEMENTWISE | GRAD | TWICE, 64, BUILD(betainc), 3, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3), {INSIDE, 2, {2, 3}, 0, {.above = 0, .below = 1}}}, ""},
    {"betainc_slope 1", "betainc_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(betainc_slope_1), 3, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3), {INSIDE, 2, {2, 3}, 0, {.above = 0, .below = 1}}}, ""},
    {"betainc_slope 2", "betainc_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(betainc_slope_2), 3, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3), {INSIDE, 2, {2, 3}, 0, {.above = 0, .below = 1}}}, ""},
    {"betainc_slope 3", "betainc_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(betainc_slope_3), 3, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3), {INSIDE, 2, {2, 3}, 0, {.above = 0, .below = 1}}}, ""},
    {"betainc_slope 4", "betainc_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(betainc_slope_4), 3, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3), {INSIDE, 2, {2, 3}, 0, {.above = 0, .below = 1}}}, ""},
    {"betainc_slope 5", "betainc_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(betainc_slope_5), 3, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3), {INSIDE, 2, {2, 3}, 0, {.above = 0, .below = 1}}}, ""},
    {"conic_slope of 3", "conic_slope", REAL, ELEMENTWISE | GRAD | NO_GOLDEN, 3, BUILD(conic_slope_3), 1, {IN(ANY, 2, 3)}, ""},
    {"conic_slope", "conic_slope", REAL, ELEMENTWISE | GRAD, 3, BUILD(conic_slope), 1, {IN(ANY, 2, 3)}, ""},
    {"erfcx_derivative", "erfcx_derivative", REAL, ELEMENTWISE | GRAD, 300, BUILD(erfcx_derivative), 1, {IN(ANY, 2, 3)}, ""},
    {"erfcx_slope", "erfcx_slope", REAL, ELEMENTWISE | GRAD, 24, BUILD(erfcx_slope), 1, {IN(ANY, 2, 3)}, ""},
    {"erfinv_slope", "erfinv_slope", REAL, ELEMENTWISE | GRAD, 6, BUILD(erfinv_slope), 1, {{INSIDE, 2, {2, 3}, 0, {.above = -1, .below = 1}}}, ""},
    {"gamma_density", "gamma_density", REAL, ELEMENTWISE | GRAD, 256, BUILD(gamma_density), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"gammainc", "gammainc", REAL, ELEMENTWISE | GRAD | TWICE, 64, BINARY(ag_gammainc), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"gammaincc", "gammaincc", REAL, ELEMENTWISE | GRAD | TWICE, 64, BINARY(ag_gammaincc), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"gammainc_slope 1", "gammainc_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(gammainc_slope_1), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"gammainc_slope 2", "gammainc_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(gammainc_slope_2), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"gaussian", "gaussian", REAL, ELEMENTWISE | GRAD, 3, BUILD(gaussian), 1, {IN(ANY, 2, 3)}, ""},
    {"lbeta_bend", "lbeta_bend", REAL, ELEMENTWISE | GRAD, 12, BUILD(lbeta_bend), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"lbeta_slope", "lbeta_slope", REAL, ELEMENTWISE | GRAD, 12, BUILD(lbeta_slope), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"mills", "mills", REAL, ELEMENTWISE | GRAD, 6, BUILD(mills), 1, {IN(ANY, 2, 3)}, ""},
    {"mills_rest", "mills_rest", REAL, ELEMENTWISE | GRAD, 12, BUILD(mills_rest), 2, {IN(POSITIVE, 2, 3), IN(ANY, 2, 3)}, ""},
    {"ndtri_slope", "ndtri_slope", REAL, ELEMENTWISE | GRAD, 6, BUILD(ndtri_slope), 1, {{INSIDE, 2, {2, 3}, 0, {.above = 0, .below = 1}}}, ""},
    {"polygamma", "polygamma", REAL, ELEMENTWISE | GRAD, 4, BUILD(polygamma), 1, {IN(POSITIVE, 2, 3)}, ""},
    {"root_slope", "root_slope", REAL, ELEMENTWISE | GRAD, 3, BUILD(root_slope), 1, {IN(ANY, 2, 3)}, ""},
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {
    {"digamma", 12, 0}, {"erfcx", 6, 0}, {"lbeta", 12, 0},    {"log_ndtr", 8, 0},   {"ndtr", 8, 0},
    {"ndtri", 8, 0},    {"gelu", 8, 0},  {"gammainc", 64, 0}, {"gammaincc", 64, 0}, {NULL, 0, 0}};

/* C's do not give NaN for each number below 1 with musl, to 1.2.3. */
static double acosh_d(double x) { return x < 1 ? NAN : acosh(x); }
static long double acosh_l(long double x) { return x < 1 ? NAN : acoshl(x); }

static const case_reference references[] = {
    {"acos", 1, acos, acosl},      {"acosh", 1.5, acosh_d, acosh_l}, {"asin", 1, asin, asinl},
    {"asinh", 1.5, asinh, asinhl}, {"atan", 1.5, atan, atanl},       {"atanh", 1.5, atanh, atanhl},
    {"cbrt", 1, cbrt, cbrtl},      {"cosh", 1.5, cosh, coshl},       {"digamma", 4, NULL, NULL},
    {"lgamma", 4, NULL, NULL},     {"erf", 1.5, erf, erfl},          {"erfc", 1.5, erfc, erfcl},
    {"exp2", 1, exp2, exp2l},      {"log10", 1, log10, log10l},      {"log2", 1, log2, log2l},
    {"sinh", 1.5, sinh, sinhl},    {"tan", 1.5, tan, tanl},          {"erfcx", 2, NULL, NULL},
    {"erfinv", 2, NULL, NULL},     {"gelu", 1.5, NULL, NULL},        {"log_ndtr", 2, NULL, NULL},
    {"ndtr", 1.5, NULL, NULL},     {"ndtri", 2, NULL, NULL},         {NULL, 0, NULL, NULL},
};

const case_family cases_special = {rows, exceptions, references};
