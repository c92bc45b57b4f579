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

CALL(conic_slope, with_number(&ag__op_conic_slope, x[0], -1))
CALL(gaussian, with_number(&ag__op_gaussian, x[0], 1))
CALL(polygamma, ag_polygamma(2, x[0]))
CALL(root_slope, with_number(&ag__op_root_slope, x[0], 1))

/* clang-format off */
static const op_case rows[] = {
    {"angle_slope", "angle_slope", REAL, ELEMENTWISE | GRAD, 5, BINARY(angle_slope), 2, {IN(NONZERO, 2, 3), IN(NONZERO, 2, 3)}, ""},
    {"conic_slope", "conic_slope", REAL, ELEMENTWISE | GRAD, 3, BUILD(conic_slope), 1, {IN(ANY, 2, 3)}, ""},
    {"gaussian", "gaussian", REAL, ELEMENTWISE | GRAD, 3, BUILD(gaussian), 1, {IN(ANY, 2, 3)}, ""},
    {"polygamma", "polygamma", REAL, ELEMENTWISE | GRAD, 4, BUILD(polygamma), 1, {IN(POSITIVE, 2, 3)}, ""},
    {"root_slope", "root_slope", REAL, ELEMENTWISE | GRAD, 3, BUILD(root_slope), 1, {IN(ANY, 2, 3)}, ""},
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {{"digamma", 12, 0}, {"lbeta", 12, NO_GOLDEN}, {NULL, 0, 0}};

static const case_reference references[] = {
    {"acos", 1, acos, acosl},   {"acosh", 1.5, acosh, acoshl}, {"asin", 1, asin, asinl}, {"asinh", 1.5, asinh, asinhl},
    {"atan", 1.5, atan, atanl}, {"atanh", 1.5, atanh, atanhl}, {"cbrt", 1, cbrt, cbrtl}, {"cosh", 1.5, cosh, coshl},
    {"digamma", 4, NULL, NULL}, {"lgamma", 4, NULL, NULL},     {"erf", 1.5, erf, erfl},  {"erfc", 1.5, erfc, erfcl},
    {"exp2", 1, exp2, exp2l},   {"log10", 1, log10, log10l},   {"log2", 1, log2, log2l}, {"sinh", 1.5, sinh, sinhl},
    {"tan", 1.5, tan, tanl},    {NULL, 0, NULL, NULL},
};

const case_family cases_special = {rows, exceptions, references};
