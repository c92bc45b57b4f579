/* cases_activation -- activations, rounding, logic, bits
 *
 * See case_rows.h. */
#include "ops/rules.h"

#include "tests/case_rows.h"

#include <math.h>

/* The derivative of sinc is recorded with it. */
static ag_tensor *sinc_slope(ag_tensor *x) { return ag_apply(&ag__op_sinc_slope, 1, &x, NULL, 0); }

/* clang-format off */
CALL(lerp, ag_lerp(x[0], x[1], x[2]))
CALL(equal_scalar_1, ag_equal_scalar(x[0], 1))
CALL(not_equal_scalar_1, ag_not_equal_scalar(x[0], 1))
CALL(less_scalar_1, ag_less_scalar(x[0], 1))
CALL(less_equal_scalar_1, ag_less_equal_scalar(x[0], 1))
CALL(greater_scalar_1, ag_greater_scalar(x[0], 1))
CALL(greater_equal_scalar_1, ag_greater_equal_scalar(x[0], 1))
CALL(nan_to_num_as, ag_nan_to_num_as(x[0], 3, 4, -5))
CALL(clamp_min_1, ag_clamp_min(x[0], 1))
CALL(clamp_max_1, ag_clamp_max(x[0], 1))
CALL(clamp_between, ag_clamp_between(x[0], x[1], x[2]))
CALL(leaky_relu, ag_leaky_relu(x[0], 0.125))
CALL(elu, ag_elu(x[0], 1.5))
CALL(celu, ag_celu(x[0], 0.5))
CALL(hardtanh, ag_hardtanh(x[0], -1, 0.5))
CALL(softshrink, ag_softshrink(x[0], 0.5))
CALL(softshrink_1, ag_softshrink(x[0], 1))

static const op_case rows[] = {
    {"sinc_slope", "sinc_slope", REAL, ELEMENTWISE | GRAD | NO_GOLDEN, 4, UNARY(sinc_slope), 1, {IN(ANY, 2, 3)}, ""},
    {"frac", NULL, REAL, ELEMENTWISE | GRAD, 0, UNARY(ag_frac), 1, {IN(ANY, 2, 3)}, ""},
    {"reciprocal", NULL, REAL, ELEMENTWISE | GRAD, 0, UNARY(ag_reciprocal), 1, {IN(NONZERO, 2, 3)}, ""},
    {"round ties", "round", REAL, SUBGRAD, 0, UNARY(ag_round), 1, {IN(TIES, 6)}, ""},
    {"lerp", "lerp", REAL, ELEMENTWISE | GRAD, 8, BUILD(lerp), 3, {IN(ANY, 2, 3), IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"hypot ties", "hypot", REAL, SUBGRAD, 0, BINARY(ag_hypot), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},
    {"copysign ties", "copysign", REAL, SUBGRAD, 0, BINARY(ag_copysign), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},
    {"xlogy ties", "xlogy", REAL, SUBGRAD, 2, BINARY(ag_xlogy), 2, {IN(TIES, 3, 1), IN(POSITIVE, 3)}, ""},
    {"logaddexp ties", "logaddexp", REAL, SUBGRAD, 2, BINARY(ag_logaddexp), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},

    {"equal_scalar", "equal_scalar", NUMBER, ELEMENTWISE, 0, BUILD(equal_scalar_1), 1, {IN(TIES, 6)}, ""},
    {"not_equal_scalar", "not_equal_scalar", NUMBER, ELEMENTWISE, 0, BUILD(not_equal_scalar_1), 1, {IN(TIES, 6)}, ""},
    {"less_scalar", "less_scalar", NUMBER, ELEMENTWISE, 0, BUILD(less_scalar_1), 1, {IN(TIES, 6)}, ""},
    {"less_equal_scalar", "less_equal_scalar", NUMBER, ELEMENTWISE, 0, BUILD(less_equal_scalar_1), 1, {IN(TIES, 6)}, ""},
    {"greater_scalar", "greater_scalar", NUMBER, ELEMENTWISE, 0, BUILD(greater_scalar_1), 1, {IN(TIES, 6)}, ""},
    {"greater_equal_scalar", "greater_equal_scalar", NUMBER, ELEMENTWISE, 0, BUILD(greater_equal_scalar_1), 1, {IN(TIES, 6)}, ""},
    {"nan_to_num", NULL, REAL, ELEMENTWISE | GRAD, 0, UNARY(ag_nan_to_num), 1, {IN(ANY, 2, 3)}, ""},
    {"nan_to_num_as", NULL, REAL, ELEMENTWISE | GRAD, 0, BUILD(nan_to_num_as), 1, {IN(ANY, 2, 3)}, ""},
    {"clamp_min", NULL, REAL, ELEMENTWISE | GRAD, 0, BUILD(clamp_min_1), 1, {IN(ANY, 2, 3)}, ""},
    {"clamp_min ties", NULL, REAL, SUBGRAD, 0, BUILD(clamp_min_1), 1, {IN(TIES, 6)}, ""},
    {"clamp_max", NULL, REAL, ELEMENTWISE | GRAD, 0, BUILD(clamp_max_1), 1, {IN(ANY, 2, 3)}, ""},
    {"clamp_max ties", NULL, REAL, SUBGRAD, 0, BUILD(clamp_max_1), 1, {IN(TIES, 6)}, ""},
    {"clamp_between", "clamp_between", NUMBER, ELEMENTWISE | GRAD, 0, BUILD(clamp_between), 3, {IN(ANY, 2, 3), IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"clamp_between ties", "clamp_between", NUMBER, SUBGRAD, 0, BUILD(clamp_between), 3, {IN(TIES, 3, 1, 1), IN(TIES, 3, 1), IN(TIES, 3)}, ""},
    {"clamp_low ties", "clamp_low", NUMBER, SUBGRAD, 0, BINARY(ag_clamp_low), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},
    {"clamp_high ties", "clamp_high", NUMBER, SUBGRAD, 0, BINARY(ag_clamp_high), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},

    {"logsigmoid", NULL, REAL, ELEMENTWISE | GRAD, 4, UNARY(ag_logsigmoid), 1, {IN(ANY, 2, 3)}, ""},
    {"silu", NULL, REAL, ELEMENTWISE | GRAD, 4, UNARY(ag_silu), 1, {IN(ANY, 2, 3)}, ""},
    {"gelu_tanh", NULL, REAL, ELEMENTWISE | GRAD, 6, UNARY(ag_gelu_tanh), 1, {IN(ANY, 2, 3)}, ""},
    {"mish", NULL, REAL, ELEMENTWISE | GRAD, 6, UNARY(ag_mish), 1, {IN(ANY, 2, 3)}, ""},
    {"softplus ties", "softplus", REAL, GRAD, 2, UNARY(ag_softplus), 1, {IN(TIES, 6)}, ""},
    {"softsign ties", "softsign", REAL, SUBGRAD, 2, UNARY(ag_softsign), 1, {IN(TIES, 6)}, ""},
    {"leaky_relu", "bend", REAL, ELEMENTWISE | GRAD, 0, BUILD(leaky_relu), 1, {IN(ANY, 2, 3)}, ""},
    {"leaky_relu ties", "bend", REAL, SUBGRAD, 0, BUILD(leaky_relu), 1, {IN(TIES, 6)}, ""},
    {"prelu", "bend", REAL, ELEMENTWISE | GRAD, 0, BINARY(ag_prelu), 2, {IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"prelu ties", "bend", REAL, SUBGRAD, 0, BINARY(ag_prelu), 2, {IN(TIES, 2, 3), IN(ANY, 3)}, ""},
    {"elu", NULL, REAL, ELEMENTWISE | GRAD, 4, BUILD(elu), 1, {IN(ANY, 2, 3)}, ""},
    {"elu ties", NULL, REAL, SUBGRAD, 4, BUILD(elu), 1, {IN(TIES, 6)}, ""},
    {"selu", NULL, REAL, ELEMENTWISE | GRAD, 4, UNARY(ag_selu), 1, {IN(ANY, 2, 3)}, ""},
    {"selu ties", NULL, REAL, SUBGRAD, 4, UNARY(ag_selu), 1, {IN(TIES, 6)}, ""},
    {"celu", NULL, REAL, ELEMENTWISE | GRAD, 4, BUILD(celu), 1, {IN(ANY, 2, 3)}, ""},
    {"hardtanh", "hardtanh", REAL, ELEMENTWISE | GRAD, 0, BUILD(hardtanh), 1, {IN(ANY, 2, 3)}, ""},
    {"hardtanh ties", "hardtanh", REAL, SUBGRAD, 0, BUILD(hardtanh), 1, {IN(TIES, 6)}, ""},
    {"hardsigmoid", NULL, REAL, ELEMENTWISE | GRAD, 2, UNARY(ag_hardsigmoid), 1, {IN(ANY, 2, 3)}, ""},
    {"hardswish", NULL, REAL, ELEMENTWISE | GRAD, 2, UNARY(ag_hardswish), 1, {IN(ANY, 2, 3)}, ""},
    {"softshrink", NULL, REAL, ELEMENTWISE | GRAD, 0, BUILD(softshrink), 1, {IN(ANY, 2, 3)}, ""},
    {"softshrink ties", NULL, REAL, SUBGRAD, 0, BUILD(softshrink_1), 1, {IN(TIES, 6)}, ""},
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {{"fmod", 0, 0},  {"remainder", 0, 0}, {"floor_divide", 0, 0},
                                            {"hypot", 1, 0}, {"xlog1py", 3, 0},   {"logit", 4, 0},
                                            {"sinc", 4, 0},  {NULL, 0, 0}};

static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double softsign(double x) { return x / (1 + fabs(x)); }
static double logit(double x) { return fabs(x - 0.5) < 0.25 ? log1p((2 * x - 1) / (1 - x)) : log(x / (1 - x)); }
static long double softplus_l(long double x) { return fmaxl(x, 0) + log1pl(expl(-fabsl(x))); }
static long double softsign_l(long double x) { return x / (1 + fabsl(x)); }
static long double logit_l(long double x) { return logl(x / (1 - x)); }

static const case_reference references[] = {
    {"floor", 0, floor, floorl},
    {"ceil", 0, ceil, ceill},
    {"trunc", 0, trunc, truncl},
    {"round", 0, rint, rintl},
    {"softplus", 2, softplus, softplus_l},
    {"softsign", 1.5, softsign, softsign_l},
    {"logit", 3, logit, logit_l},
    {"sinc", 3, NULL, NULL},
    {NULL, 0, NULL, NULL},
};

const case_family cases_activation = {rows, exceptions, references};
