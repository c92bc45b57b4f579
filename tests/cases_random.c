/* cases_random -- random numbers
 *
 * See case_rows.h. */
#include "ops/sampling.h"
#include "tests/case_rows.h"

static ag_tensor *slope(const ag_op *op, inputs x, double logarithm) {
    return ag_apply(op, 2, x, &logarithm, sizeof logarithm);
}

/* A call draws the same numbers each time. */
CALL(randint_35, ag_randint(t, AG_SHAPE(3, 5), -2, 7))
CALL(permutation_9, ag_permutation(t, 9))
CALL(multinomial_any, (ag_tape_seed(t, 5), ag_multinomial(x[0], 7, true)))
CALL(multinomial_distinct, (ag_tape_seed(t, 5), ag_multinomial(x[0], 3, false)))
CALL(gamma_numbers, (ag_tape_seed(t, 5), ag_draw_gamma(x[0], x[1])))
CALL(beta_numbers, (ag_tape_seed(t, 5), ag_draw_beta(x[0], x[1])))
CALL(gamma_slope_0, slope(&ag__op_gamma_slope, x, 0))
CALL(gamma_slope_1, slope(&ag__op_gamma_slope, x, 1))
CALL(gamma_bend_0, slope(&ag__op_gamma_bend, x, 0))
CALL(gamma_bend_1, slope(&ag__op_gamma_bend, x, 1))
CALL(poisson_numbers, (ag_tape_seed(t, 5), ag_draw_poisson(x[0])))
CALL(binomial_numbers, (ag_tape_seed(t, 5), ag_draw_binomial(x[0], x[1])))
CALL(truncated_numbers, (ag_tape_seed(t, 5), ag_draw_truncated_normal(x[0], x[1], x[2], x[1])))
CALL(bernoulli_numbers, (ag_tape_seed(t, 5), ag_draw_bernoulli(x[0])))
CALL(normal_numbers, (ag_tape_seed(t, 5), ag_draw_normal(x[0], x[1])))
CALL(uniform_numbers, (ag_tape_seed(t, 5), ag_draw_uniform(x[0], x[1])))
CALL(exponential_numbers, (ag_tape_seed(t, 5), ag_draw_exponential(x[0])))
CALL(laplace_numbers, (ag_tape_seed(t, 5), ag_draw_laplace(x[0], x[1])))
CALL(cauchy_numbers, (ag_tape_seed(t, 5), ag_draw_cauchy(x[0], x[1])))
CALL(gumbel_numbers, (ag_tape_seed(t, 5), ag_draw_gumbel(x[0], x[1])))
CALL(dirichlet_numbers, (ag_tape_seed(t, 5), ag_draw_dirichlet(x[0])))
CALL(student_numbers, (ag_tape_seed(t, 5), ag_draw_student(x[0])))
CALL(shuffled, (ag_tape_seed(t, 5), ag_shuffle(x[0], 0)))
CALL(new_key, ag__random_key(t))

/* clang-format off */
static const op_case rows[] = {
    {"randint", "randint", 1 << AG_I64, NO_GOLDEN | LENIENT, 0, BUILD(randint_35), 0, {{0}}, ""},
    {"permutation", "permutation", 1 << AG_I64, NO_GOLDEN | LENIENT, 0, BUILD(permutation_9), 0, {{0}}, ""},
    {"random_key", "random_key", 1 << AG_I64, NO_GOLDEN | LENIENT, 0, BUILD(new_key), 0, {{0}}, ""},
    {"multinomial", "multinomial", REAL, NO_GOLDEN, 0, BUILD(multinomial_any), 1, {IN(POSITIVE, 2, 5)}, ""},
    {"multinomial distinct", "multinomial", REAL, NO_GOLDEN, 0, BUILD(multinomial_distinct), 1, {IN(POSITIVE, 2, 5)}, ""},
    {"draw_gamma", "draw_gamma", REAL, NO_GOLDEN, 0, BUILD(gamma_numbers), 2, {IN(POSITIVE, 4, 5), IN(POSITIVE, 5)}, ""},
    {"draw_beta", "draw_gamma", REAL, NO_GOLDEN, 0, BUILD(beta_numbers), 2, {IN(POSITIVE, 4, 5), IN(POSITIVE, 5)}, ""},
    {"gamma_bend", "gamma_bend", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(gamma_bend_0), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"gamma_bend log", "gamma_bend", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(gamma_bend_1), 2, {IN(POSITIVE, 2, 3), IN(ANY, 2, 3)}, ""},
    {"gamma_slope", "gamma_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(gamma_slope_0), 2, {IN(POSITIVE, 2, 3), IN(POSITIVE, 2, 3)}, ""},
    {"gamma_slope log", "gamma_slope", REAL, ELEMENTWISE | NO_GOLDEN, 0, BUILD(gamma_slope_1), 2, {IN(POSITIVE, 2, 3), IN(ANY, 2, 3)}, ""},
    {"draw_poisson", "draw_poisson", REAL, NO_GOLDEN, 0, BUILD(poisson_numbers), 1, {IN(POSITIVE, 4, 5)}, ""},
    {"draw_binomial", "draw_binomial", REAL, NO_GOLDEN, 0, BUILD(binomial_numbers), 2, {IN(TIES, 4, 5), {INSIDE, 1, {5}, 0, {.above = 0, .below = 1}}}, ""},
    {"draw_truncated_normal", "draw_truncated_normal", REAL, NO_GOLDEN, 0, BUILD(truncated_numbers), 3, {IN(ANY, 4, 5), IN(POSITIVE, 5), {INSIDE, 2, {4, 1}, 0, {.above = -2, .below = 0}}}, ""},
    {"draw_bernoulli", NULL, REAL, NO_GOLDEN, 0, BUILD(bernoulli_numbers), 1, {{INSIDE, 2, {4, 5}, 0, {.above = 0, .below = 1}}}, ""},
    {"draw_normal", NULL, REAL, GRAD | NO_GOLDEN, 0, BUILD(normal_numbers), 2, {IN(ANY, 4, 5), IN(POSITIVE, 5)}, ""},
    {"draw_uniform", NULL, REAL, GRAD | NO_GOLDEN, 0, BUILD(uniform_numbers), 2, {{INSIDE, 2, {4, 5}, 0, {.above = -2, .below = -1}}, IN(POSITIVE, 5)}, ""},
    {"draw_exponential", NULL, REAL, GRAD | NO_GOLDEN, 0, BUILD(exponential_numbers), 1, {IN(POSITIVE, 4, 5)}, ""},
    {"draw_laplace", NULL, REAL, GRAD | NO_GOLDEN, 0, BUILD(laplace_numbers), 2, {IN(ANY, 4, 5), IN(POSITIVE, 5)}, ""},
    {"draw_cauchy", NULL, REAL, GRAD | NO_GOLDEN, 0, BUILD(cauchy_numbers), 2, {IN(ANY, 4, 5), IN(POSITIVE, 5)}, ""},
    {"draw_gumbel", NULL, REAL, GRAD | NO_GOLDEN, 0, BUILD(gumbel_numbers), 2, {IN(ANY, 4, 5), IN(POSITIVE, 5)}, ""},
    {"draw_dirichlet", NULL, REAL, NO_GOLDEN, 0, BUILD(dirichlet_numbers), 1, {IN(POSITIVE, 4, 5)}, ""},
    {"draw_student", NULL, REAL, NO_GOLDEN, 0, BUILD(student_numbers), 1, {IN(POSITIVE, 4, 5)}, ""},
    {"shuffle", NULL, ANYTHING, NO_GOLDEN | GRAD, 0, BUILD(shuffled), 1, {IN(ANY, 4, 5)}, ""},
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {{NULL, 0, 0}};

static const case_reference references[] = {{NULL, 0, NULL, NULL}};

const case_family cases_random = {rows, exceptions, references};
