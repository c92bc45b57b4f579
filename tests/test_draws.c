/* test_draws -- random numbers of ops/random.h: their distributions, their gradients, and that they repeat
 *
 * A sampler's numbers are compared with a distribution function that is added up or in closed form here: by the largest
 * distance between it and the share of smaller numbers (A. Kolmogorov, N. Smirnov), which exceeds 2.2/√n once in 10^4
 * draws. Seeds are fixed, so that a test that passes goes on to pass. */
#include "autograd/autograd.h"

#include "ops/sampling.h"
#include "tests/golden/draws.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 40000 };

static const double inf = (double)INFINITY;

static ag_tensor *all(ag_dtype d, double value) { return ag_full(tape, d, AG_SHAPE(MANY), value); }
static ag_tensor *f64(ag_shape shape, const double values[]) { return ag_from(tape, AG_F64, shape, values); }

/* ---- Distributions ---- */

typedef struct known {
    const char *name;
    ag_tensor *(*draw)(ag_tensor *a, ag_tensor *b);
    double (*below)(double x, double a, double b); /* the probability of a number up to x */
    double a, b, mean, variance;                   /* NaN: there is none */
    bool whole;
} known;

/* P(a, x), by its series. */
static double gamma_below(double x, double a) {
    double term = 1 / a, sum_of_terms = term;
    if (x <= 0) return 0;
    for (int n = 1; n < 2000 && term > 1e-9 * sum_of_terms; n++) sum_of_terms += term *= x / (a + n);
    return exp(a * log(x) - x - lgamma(a)) * sum_of_terms;
}

static double simpson(double (*f)(double t, double a, double b), double from, double to, double a, double b) {
    enum { PIECES = 60 };
    double total = 0, h = (to - from) / PIECES;
    for (int i = 0; i <= PIECES; i++) total += f(from + h * i, a, b) * (i == 0 || i == PIECES ? 1 : i % 2 ? 4 : 2);
    return total * h / 3;
}

/* t = sin²φ: the density of a beta number is smooth at both ends for parameters from ½ on. */
static double beta_part(double p, double a, double b) {
    return 2 * pow(sin(p), 2 * a - 1) * pow(cos(p), 2 * b - 1) * exp(lgamma(a + b) - lgamma(a) - lgamma(b));
}
static double below_beta(double x, double a, double b) { return simpson(beta_part, 0, asin(sqrt(x)), a, b); }

static double student_part(double t, double v, double b) {
    (void)b;
    return exp(lgamma((v + 1) / 2) - lgamma(v / 2) - (v + 1) / 2 * log1p(t * t / v)) / sqrt(v * acos(-1));
}
static double below_student(double x, double v, double b) { return 0.5 + simpson(student_part, 0, x, v, b); }

static double below_gamma(double x, double a, double b) { return gamma_below(x * b, a); }
static double below_normal(double x, double a, double b) { return 0.5 * erfc((a - x) / b / sqrt(2)); }
/* Mean 1 and deviation 2, from a to b. */
static double below_truncated(double x, double a, double b) {
    const double sign = a + b > 2 ? 1 : -1; /* in the tail where digits do not cancel */
    const double from_a = erfc(sign * (a - 1) / sqrt(8)), from_b = erfc(sign * (b - 1) / sqrt(8));
    return (from_a - erfc(sign * (x - 1) / sqrt(8))) / (from_a - from_b);
}
static double below_uniform(double x, double a, double b) { return (x - a) / (b - a); }
static double below_exponential(double x, double a, double b) { return (void)b, -expm1(-a * x); }
static double below_laplace(double x, double a, double b) {
    return x < a ? 0.5 * exp((x - a) / b) : 1 - 0.5 * exp((a - x) / b);
}
static double below_cauchy(double x, double a, double b) { return 0.5 + atan((x - a) / b) / acos(-1); }
static double below_gumbel(double x, double a, double b) { return exp(-exp((a - x) / b)); }
static double below_bernoulli(double x, double a, double b) { return (void)b, x < 0 ? 0 : x < 1 ? 1 - a : 1; }
static double below_poisson(double x, double a, double b) {
    return (void)b, x < 0 ? 0 : 1 - gamma_below(a, floor(x) + 1);
}
static double below_binomial(double x, double n, double p) {
    double total = 0;
    for (double k = 0; k <= x && k <= n; k++)
        total += exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p));
    return total;
}

static ag_tensor *exponential(ag_tensor *a, ag_tensor *b) { return (void)b, ag_draw_exponential(a); }
static ag_tensor *truncated(ag_tensor *a, ag_tensor *b) {
    ag_tensor *one = ag_scalar(ag_tape_of(a), ag_dtype_of(a), 1);
    return ag_draw_truncated_normal(one, ag_scale(one, 2), a, b);
}
static ag_tensor *bernoulli(ag_tensor *a, ag_tensor *b) { return (void)b, ag_draw_bernoulli(a); }
static ag_tensor *poisson(ag_tensor *a, ag_tensor *b) { return (void)b, ag_draw_poisson(a); }
static ag_tensor *student(ag_tensor *a, ag_tensor *b) { return (void)b, ag_draw_student(a); }

/* The first of two elements that add up to 1 is a beta number. */
static ag_tensor *of_dirichlet(ag_tensor *a, ag_tensor *b) {
    ag_tensor *pair[] = {ag_unsqueeze(a, 1), ag_unsqueeze(b, 1)};
    return ag_squeeze(ag_slice(ag_draw_dirichlet(ag_concat(2, pair, 1)), 1, 0, 1, 1), AG_AXES(1));
}

static const double EULER = 0.57721566490153286, PI = 3.14159265358979324;

static known known_at(int i) {
    const double none = (double)NAN;
    const known table[] = {
        {"normal", (ag_draw_normal), below_normal, 1, 2, 1, 4, false},
        {"uniform", (ag_draw_uniform), below_uniform, -1, 3, 1, 16. / 12, false},
        {"exponential", exponential, below_exponential, 2, 1, 0.5, 0.25, false},
        {"laplace", (ag_draw_laplace), below_laplace, 1, 2, 1, 8, false},
        {"cauchy", (ag_draw_cauchy), below_cauchy, 1, 2, none, none, false},
        {"gumbel", (ag_draw_gumbel), below_gumbel, 1, 2, 1 + 2 * EULER, PI * PI / 6 * 4, false},
        {"gamma below 1", (ag_draw_gamma), below_gamma, 0.25, 1, 0.25, 0.25, false},
        {"gamma 1", (ag_draw_gamma), below_gamma, 1, 2, 0.5, 0.25, false},
        {"gamma", (ag_draw_gamma), below_gamma, 3.5, 0.5, 7, 14, false},
        {"gamma of many", (ag_draw_gamma), below_gamma, 300, 1, 300, 300, false},
        {"beta", (ag_draw_beta), below_beta, 2, 3.5, 2 / 5.5, 2 * 3.5 / (5.5 * 5.5 * 6.5), false},
        {"beta of halves", (ag_draw_beta), below_beta, 0.5, 0.5, 0.5, 0.125, false},
        {"dirichlet", of_dirichlet, below_beta, 2, 3.5, 2 / 5.5, 2 * 3.5 / (5.5 * 5.5 * 6.5), false},
        {"truncated", truncated, below_truncated, -2, 5, none, none, false},
        {"truncated narrow", truncated, below_truncated, 0, 2, none, none, false},
        {"truncated tail", truncated, below_truncated, 9, inf, none, none, false},
        {"truncated left tail", truncated, below_truncated, -12, -9, none, none, false},
        {"student", student, below_student, 5, 1, 0, 5. / 3, false},
        {"bernoulli", bernoulli, below_bernoulli, 0.3, 0, 0.3, 0.21, true},
        {"poisson of few", poisson, below_poisson, 0.7, 0, 0.7, 0.7, true},
        {"poisson below 10", poisson, below_poisson, 9.9, 0, 9.9, 9.9, true},
        {"poisson from 10", poisson, below_poisson, 10, 0, 10, 10, true},
        {"poisson", poisson, below_poisson, 123.4, 0, 123.4, 123.4, true},
        {"binomial of few", (ag_draw_binomial), below_binomial, 5, 0.3, 1.5, 1.05, true},
        {"binomial above half", (ag_draw_binomial), below_binomial, 12, 0.9, 10.8, 1.08, true},
        {"binomial rare", (ag_draw_binomial), below_binomial, 1000, 0.005, 5, 4.975, true},
        {"binomial", (ag_draw_binomial), below_binomial, 100, 0.4, 40, 24, true},
        {"binomial of many", (ag_draw_binomial), below_binomial, 900, 0.7, 630, 189, true},
    };
    return i < (int)(sizeof table / sizeof *table) ? table[i] : (known){.name = NULL};
}
enum { KNOWN = 28 };

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* At every sixteenth number; at each that there is, of whole ones. */
static double distance(const known *k, int n, double x[]) {
    double most = 0;
    qsort(x, (size_t)n, sizeof *x, by_size);
    for (int i = 0, last = 0; i < n; i = last + 1) {
        for (last = i; k->whole && last + 1 < n && x[last + 1] <= x[i];) last++;
        const double p = k->below(x[i], k->a, k->b);
        most = fmax(most, fabs(p - (last + 0.5 * (1 + k->whole)) / n));
        if (!k->whole) last = i + 15;
    }
    return most;
}

START_TEST(numbers_have_their_distributions) {
    const known k = known_at(_i);
    static double x[MANY];
    for (int d = AG_F32; d <= AG_F64; d++) {
        ag_tape_seed(tape, (uint64_t)(77 + _i));
        ag_tensor *y = k.draw(all((ag_dtype)d, k.a), all((ag_dtype)d, k.b));
        for (int i = 0; i < MANY; i++) x[i] = element_at((ag_dtype)d, ag_data(y), i);
        const double most = distance(&k, MANY, x);
        ck_assert_msg(most < 2.2 / sqrt(MANY), "%s: the distance is %g/√n", k.name, most * sqrt(MANY));
        if (isnan(k.mean)) continue;
        const double mean = ag_item(ag_mean(ag_cast(y, AG_F64))), variance = ag_item(ag_var(ag_cast(y, AG_F64), 1));
        ck_assert_msg(fabs(mean - k.mean) < 4 * sqrt(k.variance / MANY), "%s: mean %g", k.name, mean);
        ck_assert_msg(fabs(variance / k.variance - 1) < 0.06, "%s: variance %g", k.name, variance);
    }
    expect_ok(tape);
}
END_TEST

/* A shifted distribution is told from the right one: the bound above is not too wide. */
START_TEST(another_distribution_is_noticed) {
    static double x[MANY];
    known k = known_at(_i);
    ag_tensor *y = k.draw(all(AG_F64, k.a), all(AG_F64, k.b));
    for (int i = 0; i < MANY; i++) x[i] = element_at(AG_F64, ag_data(y), i);
    k.a *= k.a > 0 && k.a < 1 ? 0.9 : k.a > 50 ? 0.99 : 0.95;
    if (k.below == below_binomial) k.a = known_at(_i).a, k.b *= 0.95;
    if (k.below == below_student) k.a = 2;
    if (k.below == below_truncated) k.a -= 1, k.b += 1;
    if (k.below == below_normal || k.below == below_cauchy || k.below == below_gumbel || k.below == below_laplace)
        k.b *= 0.9;
    ck_assert_msg(distance(&k, MANY, x) > 2.2 / sqrt(MANY), "%s", k.name);
}
END_TEST

/* Far out there is no closed form to compare with: mean and variance. */
START_TEST(numbers_may_be_huge) {
    ag_tensor *const drawn[] = {ag_draw_gamma(all(AG_F64, 1e15), all(AG_F64, 1)), ag_draw_poisson(all(AG_F64, 1e15)),
                                ag_draw_binomial(all(AG_F64, 4e15), all(AG_F64, 0.5))};
    const double mean[] = {1e15, 1e15, 2e15};
    for (int i = 0; i < 3; i++) {
        ag_tensor *z = ag_scale(ag_add_scalar(drawn[i], -mean[i]), 1 / sqrt(1e15));
        ck_assert_double_le(fabs(ag_item(ag_mean(z))), 4 / sqrt(MANY));
        ck_assert_double_eq_tol(ag_item(ag_var(z, 0)), 1, 0.03);
    }
    expect_ok(tape);
}
END_TEST

/* Nor where a rate would make them so small, or the others of a vector. */
START_TEST(gamma_numbers_of_small_shapes_are_never_0) {
    for (int d = AG_F32; d <= AG_F64; d++) {
        ag_tensor *small = all((ag_dtype)d, 1e-3), *y = ag_draw_gamma(small, all((ag_dtype)d, 1)), *b;
        const double least = d == AG_F32 ? (double)FLT_MIN : DBL_MIN;
        ck_assert_double_eq(ag_item(ag_min(y)), least);
        ck_assert_double_eq(ag_item(ag_min(ag_draw_gamma(small, all((ag_dtype)d, 1e30)))), least);
        b = ag_draw_beta(small, small); /* nearly always at one of its ends */
        ck_assert_double_eq_tol(ag_item(ag_mean(ag_cast(b, AG_F64))), 0.5, 4 * 0.5 / sqrt(MANY));
        ag_tensor *p = ag_draw_dirichlet(ag_full(tape, (ag_dtype)d, AG_SHAPE(1000, 4), 1e-3));
        ag_tensor *total = ag_sum_over(p, AG_AXES(1), false);
        ck_assert_double_eq(ag_item(ag_min(p)), least);
        ck_assert_double_le(fabs(ag_item(ag_max(total)) - 1), 1e-6);
        ck_assert_double_le(fabs(ag_item(ag_min(total)) - 1), 1e-6);
    }
    expect_ok(tape);
}
END_TEST

/* ---- Parameters ---- */

START_TEST(invalid_parameters_give_nan) {
    const double bad[] = {-1, (double)NAN, -inf};
    for (int i = 0; i < 3; i++) {
        ag_tensor *x = f64(AG_SHAPE(1), &bad[i]), *one = ag_ones(tape, AG_F64, AG_SHAPE(1));
        ag_tensor *y[] = {ag_draw_truncated_normal(one, x, x, one),
                          ag_draw_truncated_normal(one, one, one, x),
                          ag_draw_bernoulli(x),
                          ag_draw_binomial(x, one),
                          ag_draw_binomial(one, x),
                          ag_draw_poisson(x),
                          ag_draw_normal(one, x),
                          ag_draw_exponential(x),
                          ag_draw_laplace(one, x),
                          ag_draw_cauchy(one, x),
                          ag_draw_gumbel(one, x),
                          ag_draw_gamma(x, one),
                          ag_draw_gamma(one, x),
                          ag_draw_beta(x, one),
                          ag_draw_dirichlet(x),
                          ag_draw_student(x)};
        for (int k = 0; k < (int)(sizeof y / sizeof *y); k++)
            ck_assert_msg(isnan(ag_item(y[k])), "number %d of parameter %g", k, bad[i]);
    }
    ag_tensor *zero = ag_zeros(tape, AG_F64, AG_SHAPE(1)), *one = ag_ones(tape, AG_F64, AG_SHAPE(1));
    ag_tensor *half = ag_full(tape, AG_F64, AG_SHAPE(1), 0.5);
    ck_assert(isnan(ag_item(ag_draw_gamma(zero, one))) && isnan(ag_item(ag_draw_exponential(zero))));
    ck_assert(isnan(ag_item(ag_draw_binomial(half, half))) && isnan(ag_item(ag_draw_bernoulli(ag_scale(one, 1.5)))));
    ck_assert(isnan(ag_item(ag_draw_uniform(one, zero))) && isnan(ag_item(ag_draw_gamma(ag_scale(one, inf), one))));
    expect_item(ag_draw_poisson(zero), 0);
    expect_item(ag_draw_binomial(zero, half), 0);
    expect_item(ag_draw_binomial(ag_scale(one, 7), one), 7);
    expect_item(ag_draw_bernoulli(zero), 0);
    expect_item(ag_draw_bernoulli(one), 1);
    expect_item(ag_draw_normal(one, zero), 1);
    expect_item(ag_draw_truncated_normal(zero, one, half, half), 0.5);
    ag_tensor *far = ag_scale(one, 1e6), *above = ag_draw_truncated_normal(zero, one, far, ag_scale(one, inf));
    ck_assert(ag_item(above) >= 1e6 && ag_item(above) < 1e6 + 1e-4);
    ck_assert(ag_item(ag_draw_truncated_normal(zero, one, ag_scale(one, -inf), ag_neg(far))) <= -1e6);
    ag_tensor *x[] = {ag_zeros(tape, AG_F64, AG_SHAPE(0, 3)), ag_ones(tape, AG_F64, AG_SHAPE(3))};
    expect_shape(ag_draw_gamma(x[0], x[1]), AG_SHAPE(0, 3));
    expect_shape(ag_draw_normal(ag_ones(tape, AG_F64, AG_SHAPE(2, 1)), x[1]), AG_SHAPE(2, 3));
    expect_ok(tape);
}
END_TEST

START_TEST(numbers_are_independent) {
    enum { N = MANY };
    ag_tensor *y[] = {ag_draw_gamma(all(AG_F64, 2), all(AG_F64, 1)), ag_draw_gamma(all(AG_F64, 2), all(AG_F64, 1)),
                      ag_draw_normal(all(AG_F64, 0), all(AG_F64, 1)), ag_draw_exponential(all(AG_F64, 1))};
    for (int i = 0; i < 4; i++)
        for (int lag = 0; lag < 3; lag++)
            for (int k = i; k < 4; k++) {
                if (i == k && lag == 0) continue;
                ag_tensor *a = ag_slice(y[i], 0, lag, AG_END, 1), *b = ag_slice(y[k], 0, 0, N - lag, 1);
                a = ag_sub(a, ag_mean(a)), b = ag_sub(b, ag_mean(b));
                const double c = ag_item(ag_mean(ag_mul(a, b))) /
                                 sqrt(ag_item(ag_mean(ag_square(a))) * ag_item(ag_mean(ag_square(b))));
                ck_assert_msg(fabs(c) < 4 / sqrt(N), "draws %d and %d, %d apart: %g", i, k, lag, c);
            }
}
END_TEST

/* ---- The same numbers again ---- */

typedef ag_tensor *drawing(ag_tape *t);

static ag_tensor *by_gamma(ag_tape *t) {
    return ag_draw_gamma(ag_full(t, AG_F64, AG_SHAPE(5000), 0.7), ag_full(t, AG_F64, AG_SHAPE(5000), 1));
}
static ag_tensor *by_poisson(ag_tape *t) { return ag_draw_poisson(ag_full(t, AG_F32, AG_SHAPE(5000), 20)); }
static ag_tensor *by_binomial(ag_tape *t) {
    return ag_draw_binomial(ag_full(t, AG_F32, AG_SHAPE(5000), 90), ag_full(t, AG_F32, AG_SHAPE(5000), 0.4));
}
static ag_tensor *by_randint(ag_tape *t) { return ag_randint(t, AG_SHAPE(50, 100), -9, 90); }
static ag_tensor *by_permutation(ag_tape *t) { return ag_permutation(t, 5000); }
static ag_tensor *by_multinomial(ag_tape *t) {
    return ag_multinomial(ag_uniform(t, AG_F64, AG_SHAPE(20, 40), 0.5, 1), 9, false);
}
static ag_tensor *by_student(ag_tape *t) { return ag_draw_student(ag_full(t, AG_F64, AG_SHAPE(5000), 3)); }
static drawing *const drawings[] = {by_gamma,       by_poisson,     by_binomial, by_randint,
                                    by_permutation, by_multinomial, by_student};
enum { DRAWINGS = sizeof drawings / sizeof *drawings };

START_TEST(numbers_repeat_whoever_computes_them) {
    drawing *const draw = drawings[_i];
    for (int threads = 1; threads <= 5; threads += 2)
        for (int e = 0; e < 3; e++) {
            static const ag_evaluator evaluators[] = {AG_EVALUATOR_AUTOMATIC, AG_EVALUATOR_FUSED,
                                                      AG_EVALUATOR_REFERENCE};
            ag_tape *other = ag_tape_new();
            ag_tape_set_threads(other, threads);
            ag_tape_set_evaluator(other, evaluators[e]);
            ag_tape_seed(tape, 9), ag_tape_seed(other, 9);
            ag_tensor *a = draw(tape), *b = draw(other);
            expect_same(a, b);
            ag_tensor *c = draw(tape);
            ck_assert_int_ne(memcmp(ag_data(a), ag_data(c), (size_t)ag_size(a) * ag_dtype_size(ag_dtype_of(a))), 0);
            ag_tape_free(other);
        }
    expect_ok(tape);
}
END_TEST

/* An element's bits are its own, whether they are made one by one or side by side. */
START_TEST(few_numbers_are_the_first_of_many) {
    for (int n = 1; n < 200; n = 2 * n + 3)
        for (int way = 0; way < 4; way++) {
            ag_tensor *y[2];
            for (int many = 0; many < 2; many++) {
                ag_tensor *a = ag_full(tape, AG_F64, AG_SHAPE(many ? 300 : n), way == 1 ? 0.4 : 12.5);
                ag_tape_seed(tape, 5);
                y[many] = way < 2    ? ag_draw_gamma(a, ag_ones_like(a))
                          : way == 2 ? ag_draw_poisson(a)
                                     : ag_draw_binomial(ag_scale(a, 2), ag_scale(ag_ones_like(a), 0.25));
            }
            expect_same(y[0], ag_slice(y[1], 0, 0, n, 1));
        }
    expect_ok(tape);
}
END_TEST

/* Nor do they depend on the parameters of its neighbours, which other kernels may be for. */
START_TEST(numbers_do_not_depend_on_their_neighbours) {
    enum { N = 150 };
    const double rates[] = {4, 12.5, (double)NAN, 20, 0, inf, -1, 9.9, 1e15};
    enum { RATES = sizeof rates / sizeof *rates };
    double mixed[N];
    for (int i = 0; i < N; i++) mixed[i] = rates[i * i % RATES];
    ag_tape_seed(tape, 5);
    ag_tensor *y = ag_draw_poisson(f64(AG_SHAPE(N), mixed));
    for (int k = 0; k < RATES; k++) {
        ag_tape_seed(tape, 5);
        ag_tensor *alone = ag_draw_poisson(ag_full(tape, AG_F64, AG_SHAPE(N), rates[k]));
        for (int i = 0; i < N; i++)
            if (i * i % RATES == k) expect_same(ag_slice(y, 0, i, i + 1, 1), ag_slice(alone, 0, i, i + 1, 1));
    }
    expect_ok(tape);
}
END_TEST

/* Also those about as large as the largest numbers that have fractions; and means and variances are the rate. */
START_TEST(poisson_numbers_are_whole) {
    enum { N = 4096 };
    static const double rates[] = {0x1p50, 0x1p51, 0x1.1p51, 0x1.8p51, 0x1.fffp51, 0x1p52, 0x1.3p52, 0x1p53, 0x1p60};
    const double rate = rates[_i % 9], of = sqrt(rate), slack = 5 / sqrt(N);
    const double *y = ag_data(ag_draw_poisson(ag_full(tape, AG_F64, AG_SHAPE(N), rate)));
    double mean = 0, square = 0;
    expect_ok(tape);
    for (int i = 0; i < N; i++) {
        const double z = (y[i] - rate) / of;
        ck_assert_msg(y[i] == floor(y[i]), "%.1f, of the rate %g, is not whole", y[i], rate);
        mean += z / N, square += z * z / N;
    }
    ck_assert_msg(fabs(mean) < slack && fabs(square - 1) < 1.5 * slack, "rate %g: %g, %g", rate, mean, square);
}
END_TEST

/* A plan of the same draws serves again, with other numbers. */
START_TEST(steps_draw_anew_and_keep_their_plan) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_mark mark = ag_tape_mark(tape);
    double last = 0;
    int64_t plans = 0;
    for (int i = 0; i < 6; i++) {
        ag_tensor *y = ag_sum(ag_square(by_gamma(tape)));
        ck_assert_double_ne(ag_item(y), last);
        last = ag_item(y);
        ag_tape_rewind(tape, mark);
        if (i == 3) plans = ag_tape_memory(tape).plan_bytes;
    }
    ck_assert_int_eq(ag_tape_memory(tape).plan_bytes, plans);
    expect_ok(tape);
}
END_TEST

static ag_status draw_all(ag_tape *t) {
    for (int i = 0; i < DRAWINGS && ag_tape_status(t) == AG_OK; i++) ag_eval(drawings[i](t));
    return ag_tape_status(t);
}

START_TEST(draws_survive_failing_allocations) { with_each_allocation_failing(draw_all); }
END_TEST

/* ---- Gradients ---- */

START_TEST(slopes_of_gamma_numbers_are_right) {
    const int rows = (int)(sizeof gamma_slope_rows / sizeof *gamma_slope_rows) / 3;
    for (int i = 0; i < rows; i++) {
        const double a = gamma_slope_rows[3 * i], x = gamma_slope_rows[3 * i + 1], want = gamma_slope_rows[3 * i + 2];
        for (double logarithm = 0; logarithm < 2; logarithm++) {
            ag_tensor *in[] = {ag_scalar(tape, AG_F64, a), ag_scalar(tape, AG_F64, logarithm > 0 ? log(x) : x)};
            double got = ag_item(ag_apply(&ag__op_gamma_slope, 2, in, &logarithm, sizeof logarithm));
            if (logarithm > 0) got *= x;
            /* The rounding of ln x is that of x times |ln x|. */
            ck_assert_msg(fabs(got / want - 1) < (logarithm > 0 ? 1e-13 * (1 + fabs(log(x))) : 1e-13),
                          "a %g, x %g: %.17g, not %.17g", a, x, got, want);
        }
        ag_tensor *narrow[] = {ag_scalar(tape, AG_F32, a), ag_scalar(tape, AG_F32, x)};
        if (x < FLT_MIN || (a > 1e4)) continue; /* f32 has other inputs there */
        const double zero = 0, got = ag_item(ag_apply(&ag__op_gamma_slope, 2, narrow, &zero, sizeof zero));
        ck_assert_msg(fabs(got / want - 1) < 3e-5, "f32: a %g, x %g: %.9g, not %.9g", a, x, got, want);
    }
    expect_ok(tape);
}
END_TEST

/* The numbers themselves jump where a sampler rejects others. So the slope is tested by what it stands for: a gradient
 * of a mean is that of the mean, up to noise. E[xᵏ] of a gamma number is a·(a+1)⋯(a+k−1). */
START_TEST(gradients_of_gamma_means_are_those_of_the_mean) {
    const double shapes[] = {0.3, 1, 4, 60};
    for (int i = 0; i < 4; i++) {
        const double a0 = shapes[i];
        ag_tensor *a = ag_scalar(tape, AG_F64, a0), *r = ag_scalar(tape, AG_F64, 2), *d[2];
        ag_tensor *x = ag_draw_gamma(ag_broadcast_to(a, AG_SHAPE(MANY)), r);
        ag_tensor *y = ag_mean(ag_square(x)); /* a·(a+1)/r² */
        ag_grad(y, 2, (ag_tensor *[]){a, r}, d);
        const double deviation = sqrt(a0 * (a0 + 1) * (4 * a0 + 6)) / 4; /* of x² */
        const double noise = 6 * deviation / sqrt(MANY) * (1 + 2 / a0);
        ck_assert_double_eq_tol(ag_item(d[0]), (2 * a0 + 1) / 4, noise);
        ck_assert_double_eq_tol(ag_item(d[1]), -2 * a0 * (a0 + 1) / 8, noise);
        ag_tensor *b = ag_draw_beta(ag_broadcast_to(a, AG_SHAPE(MANY)), ag_broadcast_to(r, AG_SHAPE(MANY)));
        ag_grad(ag_mean(b), 2, (ag_tensor *[]){a, r}, d); /* a/(a + b) */
        const double s = a0 + 2;
        ck_assert_double_eq_tol(ag_item(d[0]), 2 / (s * s), 0.05 * 2 / (s * s));
        ck_assert_double_eq_tol(ag_item(d[1]), -a0 / (s * s), 0.05 * a0 / (s * s));
        ag_tensor *freedom = ag_scalar(tape, AG_F64, a0 + 9);
        ag_tensor *t = ag_draw_student(ag_broadcast_to(freedom, AG_SHAPE(MANY)));
        ag_grad(ag_mean(ag_square(t)), 1, &freedom, d); /* v/(v − 2) */
        ck_assert_double_eq_tol(ag_item(d[0]), -2 / ((a0 + 7) * (a0 + 7)), 0.2 * 2 / ((a0 + 7) * (a0 + 7)));
    }
    ag_tensor *a = f64(AG_SHAPE(3), (double[]){0.5, 2, 3}), *d;
    ag_tensor *p = ag_mean_over(ag_draw_dirichlet(ag_broadcast_to(a, AG_SHAPE(MANY, 3))), AG_AXES(0), false);
    ag_grad(ag_sum(ag_mul(p, f64(AG_SHAPE(3), (double[]){1, 0, 0}))), 1, &a, &d); /* a0/Σ a */
    const double want[] = {5 / 30.25, -0.5 / 30.25, -0.5 / 30.25};
    for (int i = 0; i < 3; i++) ck_assert_double_eq_tol(ag_element(d, i), want[i], 0.01);
    expect_ok(tape);
}
END_TEST

static ag_tensor *slope_of_number(void *logarithm, int n, ag_tensor *const in[]) {
    return ag_sum(ag_apply(&ag__op_gamma_slope, n, in, logarithm, sizeof(double)));
}

/* Slopes by the shape and by the number, as if these did not depend on each other. */
START_TEST(slopes_of_slopes_are_right) {
    const double shapes[] = {0.02, 0.4, 0.9, 3, 9.5, 25, 170, 800, 3000}, places[] = {-3, -1, 0, 0.4, 1.5, 5};
    for (int i = 0; i < 54; i++)
        for (double logarithm = 0; logarithm < 2; logarithm++) {
            const double a = shapes[i / 6], z = places[i % 6], wide = a + z * sqrt(a), x = wide > 0 ? wide : a * exp(z);
            ag_tensor *in[] = {ag_scalar(tape, AG_F64, a), ag_scalar(tape, AG_F64, logarithm > 0 ? log(x) : x)};
            ag_gradcheck_report report;
            ck_assert_msg(ag_gradcheck(slope_of_number, &logarithm, 2, in, NULL, &report) == AG_OK, "a %g, x %g: %s", a,
                          x, report.message);
        }
}
END_TEST

/* E x² = a·(a + 1)/r², with the second derivatives 2/r² and 6·a·(a + 1)/r⁴. */
START_TEST(gamma_numbers_have_second_gradients_but_no_third) {
    const double a0 = 4, r0 = 2;
    ag_tensor *x[] = {ag_scalar(tape, AG_F64, a0), ag_scalar(tape, AG_F64, r0)}, *d[2], *dd[2], *ddd;
    ag_tensor *y = ag_draw_gamma(ag_broadcast_to(x[0], AG_SHAPE(MANY)), x[1]);
    ag_grad(ag_mean(ag_square(y)), 2, x, d);
    ag_grad(d[0], 2, x, dd);
    const double want = 2 / (r0 * r0);
    ck_assert_double_eq_tol(ag_item(dd[0]), want, 0.03 * want);
    ck_assert_double_eq_tol(ag_item(dd[1]), -2 * (2 * a0 + 1) / (r0 * r0 * r0), 0.03 * (2 * a0 + 1));
    expect_ok(tape);
    ag_grad(dd[0], 1, x, &ddd);
    expect_error(tape, AG_ERR_GRADIENT, "gamma_bend");
    ag_grad(ag_sum(ag_draw_poisson(x[0])), 1, x, &ddd);
    expect_error(tape, AG_ERR_GRADIENT, "draw_poisson");
}
END_TEST

/* ---- Whole numbers, orders, choices ---- */

START_TEST(whole_numbers_are_uniform) {
    enum { SIDES = 7 };
    int64_t found[SIDES] = {0};
    ag_tensor *y = ag_randint(tape, AG_SHAPE(MANY), -3, 4);
    const int64_t *x = ag_data(y);
    for (int i = 0; i < MANY; i++) {
        ck_assert(x[i] >= -3 && x[i] < 4);
        found[x[i] + 3]++;
    }
    for (int i = 0; i < SIDES; i++) ck_assert_double_le(fabs((double)found[i] - MANY / 7.), 4 * sqrt(MANY * 6. / 49));
    ag_tensor *wide = ag_randint(tape, AG_SHAPE(MANY), INT64_MIN, INT64_MAX), *z = ag_cast(wide, AG_F64);
    ck_assert_double_le(fabs(ag_item(ag_mean(z))), 4 * 0x1p64 / sqrt(12. * MANY));
    ck_assert_double_gt(ag_item(ag_max(z)), 0.999 * 0x1p63);
    ck_assert_double_lt(ag_item(ag_min(z)), -0.999 * 0x1p63);
    expect_item(ag_sum(ag_randint(tape, AG_SHAPE(100), 5, 6)), 500);
    expect_shape(ag_randint(tape, AG_SHAPE(2, 0), 0, 1), AG_SHAPE(2, 0));
    expect_ok(tape);
}
END_TEST

/* The product of 64 random bits with n, and what is beyond the whole number. */
START_TEST(random_bits_become_whole_numbers) {
    const uint64_t n[] = {1, 2, 3, 10, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX, (UINT64_C(1) << 63) + 1};
    for (int i = 0; i < 8; i++) {
        uint64_t rest;
        ck_assert_uint_eq(ag__below(0, 0, n[i], &rest), 0);
        ck_assert_uint_eq(rest, 0);
        ck_assert_uint_eq(ag__below(UINT32_MAX, UINT32_MAX, n[i], &rest), n[i] - 1);
        ck_assert_uint_eq(rest, 0 - n[i]);
        ck_assert_uint_eq(ag__below(1u << 31, 0, n[i], &rest), n[i] / 2);
        ck_assert_uint_eq(rest, n[i] << 63);
        ck_assert_uint_eq(ag__below(1u << 30, 0, n[i], &rest), n[i] / 4);
        ck_assert_uint_eq(rest, n[i] << 62);
        ck_assert_uint_eq(ag__below(0, 1, n[i], &rest), 0);
        ck_assert_uint_eq(rest, n[i]);
    }
}
END_TEST

/* Every third of 3·2^62 numbers would be twice as probable if no bits were refused. */
START_TEST(whole_numbers_are_equally_probable) {
    const int64_t half = INT64_C(3) << 61, *y = ag_data(ag_randint(tape, AG_SHAPE(MANY), -half, half));
    int found[3] = {0};
    for (int i = 0; i < MANY; i++) found[((uint64_t)y[i] + (uint64_t)half) % 3]++;
    for (int k = 0; k < 3; k++) ck_assert_double_le(fabs(found[k] - MANY / 3.), 4 * sqrt(MANY * 2. / 9));
}
END_TEST

/* A long order is made in parts: each number is there once, far places have nothing to do with each other, and hardly
 * any number is where it was, or behind its neighbour. */
START_TEST(long_orders_are_random) {
    enum { N = 100000 };
    static char seen[N];
    const int64_t *y = ag_data(ag_permutation(tape, N));
    double product = 0;
    int stay = 0, follow = 0, ascend = 0;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < N; i++) {
        ck_assert(y[i] >= 0 && y[i] < N && !seen[y[i]]);
        seen[y[i]] = 1;
        product += (i - (N - 1) / 2.) * ((double)y[i] - (N - 1) / 2.);
        stay += y[i] == i;
        follow += i > 0 && y[i] == y[i - 1] + 1;
        ascend += i > 0 && y[i] > y[i - 1];
    }
    ck_assert_double_le(fabs(product), 4 * sqrt(N) * (double)N * N / 12);
    ck_assert_int_le(stay, 12);
    ck_assert_int_le(follow, 12);
    ck_assert_double_le(fabs(ascend - N / 2.), 4 * sqrt(N / 12.));
}
END_TEST

/* Each order of four is as probable. */
START_TEST(orders_are_uniform) {
    enum { N = 12000 };
    int found[256] = {0}, orders = 0;
    for (int i = 0; i < N; i++) {
        ag_mark mark = ag_tape_mark(tape);
        const int64_t *x = ag_data(ag_permutation(tape, 4));
        int code = 0, seen = 0;
        for (int k = 0; k < 4; k++) code = code * 4 + (int)x[k], seen |= 1 << x[k];
        ck_assert_int_eq(seen, 15);
        found[code]++;
        ag_tape_rewind(tape, mark);
    }
    for (int i = 0; i < 256; i++) {
        orders += found[i] > 0;
        if (found[i]) ck_assert_double_le(fabs(found[i] - N / 24.), 4.5 * sqrt(N / 24.));
    }
    ck_assert_int_eq(orders, 24);
    ag_tensor *y = ag_permutation(tape, 1000);
    expect_item(ag_sum(y), 499500);
    expect_item(ag_sum(ag_square(y)), 332833500);
    expect_shape(ag_permutation(tape, 0), AG_SHAPE(0));
    expect_ok(tape);
}
END_TEST

START_TEST(rows_are_shuffled_whole) {
    double values[40];
    for (int i = 0; i < 40; i++) values[i] = i;
    ag_tensor *x = f64(AG_SHAPE(10, 4), values), *y = ag_shuffle(x, 0), *d;
    const double *shuffled = ag_data(y);
    bool seen[10] = {false}, moved = false;
    for (int i = 0; i < 10; i++) {
        const int row = (int)shuffled[4 * i] / 4;
        for (int k = 0; k < 4; k++) ck_assert_double_eq(shuffled[4 * i + k], 4 * row + k);
        seen[row] = true, moved = moved || row != i;
    }
    for (int i = 0; i < 10; i++) ck_assert(seen[i]);
    ck_assert(moved);
    ag_grad(ag_sum(ag_mul(y, y)), 1, &x, &d);
    expect_near(d, 40, ag_data(ag_scale(x, 2)), 0, 0);
    expect_shape(ag_shuffle(ag_zeros(tape, AG_BOOL, AG_SHAPE(2, 3, 4)), -2), AG_SHAPE(2, 3, 4));
    ag_shuffle(x, 2);
    expect_error(tape, AG_ERR_AXIS, "shuffle", "axis 2");
}
END_TEST

START_TEST(indices_are_as_probable_as_their_weights) {
    enum { N = 20000, C = 5 };
    const double w[] = {1, 0, 2, 5, 2};
    ag_tensor *weights = f64(AG_SHAPE(C), w);
    const int64_t *any = ag_data(ag_multinomial(weights, N, true));
    const int64_t *distinct = ag_data(ag_multinomial(ag_broadcast_to(weights, AG_SHAPE(N, C)), 2, false));
    int64_t found[C] = {0}, first[C] = {0}, pairs[C][C] = {{0}};
    for (int i = 0; i < N; i++)
        found[any[i]]++, first[distinct[2 * i]]++, pairs[distinct[2 * i]][distinct[2 * i + 1]]++;
    for (int i = 0; i < C; i++) {
        const double p = w[i] / 10, bound = 4 * sqrt(N * p * (1 - p));
        ck_assert_double_le(fabs((double)found[i] - N * p), bound);
        ck_assert_double_le(fabs((double)first[i] - N * p), bound);
        for (int k = 0; k < C; k++) {
            const double q = i == k ? 0 : p * w[k] / (10 - w[i]);
            ck_assert_double_le(fabs((double)pairs[i][k] - N * q), 4 * sqrt(N * q * (1 - q)));
        }
    }
    ag_tensor *y = ag_multinomial(weights, 4, false);
    expect_item(ag_sum(y), 0 + 2 + 3 + 4);
    expect_shape(ag_multinomial(ag_ones(tape, AG_F32, AG_SHAPE(2, 3, 4)), 0, false), AG_SHAPE(2, 3, 0));
    ag_tensor *tiny = f64(AG_SHAPE(3), (double[]){0, 5e-324, 0});
    expect_item(ag_multinomial(tiny, 1, true), 1);
    expect_item(ag_multinomial(tiny, 1, false), 1);
    expect_ok(tape);
}
END_TEST

/* A heap of the least times: every count, against all of a row in the order of their times. */
START_TEST(distinct_indices_are_prefixes_of_an_order) {
    enum { C = 30 };
    ag_tensor *w = ag_uniform(tape, AG_F64, AG_SHAPE(C), 0.1, 3);
    int64_t order[C];
    for (int count = C; count > 0; count--) {
        ag_tape_seed(tape, 3);
        const int64_t *y = ag_data(ag_multinomial(w, count, false));
        if (count == C) memcpy(order, y, sizeof order);
        for (int i = 0; i < count; i++) ck_assert_int_eq(y[i], order[i]);
    }
    bool seen[C] = {false};
    for (int i = 0; i < C; i++) ck_assert(!seen[order[i]]), seen[order[i]] = true;
}
END_TEST

START_TEST(draws_refuse) {
    ag_tensor *w = f64(AG_SHAPE(2, 3), (double[]){1, 2, 3, 0, 0, 1}), *i64 = ag_zeros(tape, AG_I64, AG_SHAPE(3));
    ag_multinomial(w, 4, false);
    expect_error(tape, AG_ERR_RANGE, "multinomial: x (2,3)", "4 samples of 3", "test_draws.c:");
    ag_multinomial(w, -1, true);
    expect_error(tape, AG_ERR_RANGE, "-1 samples");
    ag_multinomial(i64, 1, true);
    expect_error(tape, AG_ERR_DTYPE, "multinomial");
    ag_multinomial(ag_scalar(tape, AG_F64, 1), 1, true);
    expect_error(tape, AG_ERR_SHAPE, "weights must have an axis");
    ag_multinomial(ag_zeros(tape, AG_F64, AG_SHAPE(2, 0)), 1, true);
    expect_error(tape, AG_ERR_SHAPE, "there are no weights");
    ag_multinomial(NULL, 1, true);
    expect_error(NULL, AG_ERR_NULL, "multinomial");
    ag_eval(ag_multinomial(w, 2, false));
    expect_error(tape, AG_ERR_RANGE, "row 1: 1 weights are positive", "test_draws.c:");
    ag_eval(ag_multinomial(ag_neg(w), 2, true));
    expect_error(tape, AG_ERR_RANGE, "weight -1 at [0] of row 0");
    ag_eval(ag_multinomial(ag_scale(w, 0), 2, true));
    expect_error(tape, AG_ERR_RANGE, "row 0: 0 weights are positive");
    ag_randint(tape, AG_SHAPE(3), 4, 4);
    expect_error(tape, AG_ERR_RANGE, "randint", "low < high", "test_draws.c:");
    ag_permutation(tape, -1);
    expect_error(tape, AG_ERR_SHAPE, "permutation", "test_draws.c:");
    ag_draw_normal(w, ag_ones(tape, AG_F64, AG_SHAPE(2)));
    expect_error(tape, AG_ERR_SHAPE, "draw_normal: a (2,3) and b (2)", "test_draws.c:");
    ag_draw_gamma(w, ag_ones(tape, AG_F32, AG_SCALAR));
    expect_error(tape, AG_ERR_DTYPE, "draw_gamma");
    ag_draw_poisson(i64);
    expect_error(tape, AG_ERR_DTYPE, "draw_poisson");
    ag_draw_dirichlet(ag_ones(tape, AG_F64, AG_SCALAR));
    expect_error(tape, AG_ERR_SHAPE, "draw_dirichlet", "an axis with elements");
    ag_draw_beta(w, NULL);
    expect_error(tape, AG_ERR_NULL, "draw_beta");
    ag_randint(NULL, AG_SHAPE(3), 0, 4);
    expect_error(NULL, AG_ERR_NULL, "randint");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("draws");
    TCase *numbers = tape_group(suite, "numbers");
    tcase_add_loop_test(numbers, numbers_have_their_distributions, 0, KNOWN);
    tcase_add_loop_test(numbers, another_distribution_is_noticed, 0, KNOWN);
    tcase_add_test(numbers, numbers_may_be_huge);
    tcase_add_test(numbers, gamma_numbers_of_small_shapes_are_never_0);
    tcase_add_test(numbers, invalid_parameters_give_nan);
    tcase_add_test(numbers, numbers_are_independent);
    tcase_add_loop_test(numbers, numbers_repeat_whoever_computes_them, 0, DRAWINGS);
    tcase_add_test(numbers, few_numbers_are_the_first_of_many);
    tcase_add_test(numbers, numbers_do_not_depend_on_their_neighbours);
    tcase_add_loop_test(numbers, poisson_numbers_are_whole, 0, 9);
    tcase_add_test(numbers, steps_draw_anew_and_keep_their_plan);
    tcase_add_test(plain_group(suite, "memory"), draws_survive_failing_allocations);
    TCase *gradients = tape_group(suite, "gradients");
    tcase_add_test(gradients, slopes_of_gamma_numbers_are_right);
    tcase_add_test(gradients, gradients_of_gamma_means_are_those_of_the_mean);
    tcase_add_test(gradients, slopes_of_slopes_are_right);
    tcase_add_test(gradients, gamma_numbers_have_second_gradients_but_no_third);
    TCase *whole = tape_group(suite, "whole numbers");
    tcase_add_test(whole, whole_numbers_are_uniform);
    tcase_add_test(whole, random_bits_become_whole_numbers);
    tcase_add_test(whole, whole_numbers_are_equally_probable);
    tcase_add_test(whole, long_orders_are_random);
    tcase_add_test(whole, orders_are_uniform);
    tcase_add_test(whole, rows_are_shuffled_whole);
    tcase_add_test(whole, indices_are_as_probable_as_their_weights);
    tcase_add_test(whole, distinct_indices_are_prefixes_of_an_order);
    tcase_add_test(whole, draws_refuse);
    return run_suite(suite);
}
