/* test_distributions -- nn/distributions.h: densities, moments and divergences against SciPy and PyTorch, their
 * gradients, samples, and the ends of supports */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/distributions.h"
#include "tests/golden/large.h"
#include "tests/support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static const double inf = (double)INFINITY;

enum { P = 0, X = 3, LOG_P, MEAN, VARIANCE, ENTROPY, CDF, COLUMNS };

static ag_tensor *numbers(ag_dtype d, ag_shape shape, const double values[]) {
    return tensor_of(tape, d, shape, values);
}

static int parameters_of(const double *row, int most) {
    int n = 0;
    while (n < most && !isnan(row[n])) n++;
    return n;
}

static ag_distribution distribution_of(ag_family family, ag_dtype dtype, const double *p, int most) {
    ag_distribution d = {.family = family};
    for (int i = 0; i < parameters_of(p, most); i++) d.parameter[i] = ag_scalar(tape, dtype, p[i]);
    return d;
}

/* NaN: not compared. */
static void expect_value(const char *what, int row, ag_tensor *y, double want, double ulps) {
    if (isnan(want)) return;
    const double got = ag_item(y);
    ck_assert_msg(near_value(ag_dtype_of(y), got, want, ulps, 1), "%s of row %d: %.17g, not %.17g", what, row, got,
                  want);
}

START_TEST(moments_agree_with_scipy) {
    for (int i = 0; i < COUNT(moment_families); i++)
        for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
            const double *row = moment_rows + COLUMNS * i;
            ag_distribution d = distribution_of((ag_family)moment_families[i], (ag_dtype)dtype, row, 3);
            ag_tensor *x = ag_scalar(tape, (ag_dtype)dtype, row[X]);
            expect_value("log_prob", i, ag_log_prob(&d, x), row[LOG_P], 32);
            expect_value("mean", i, ag_distribution_mean(&d), row[MEAN], 8);
            expect_value("variance", i, ag_distribution_variance(&d), row[VARIANCE], 16);
            if (!isnan(row[ENTROPY])) expect_value("entropy", i, ag_entropy(&d), row[ENTROPY], 32);
            if (!isnan(row[CDF])) expect_value("cdf", i, ag_cdf(&d, x), row[CDF], 16);
            expect_ok(tape);
        }
}
END_TEST

START_TEST(divergences_agree_with_pytorch) {
    for (int i = 0; i < COUNT(divergence_families); i++)
        for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
            const double *row = divergence_rows + 5 * i;
            const ag_family family = (ag_family)divergence_families[i], other = (ag_family)divergence_others[i];
            ag_distribution p = distribution_of(family, (ag_dtype)dtype, row, 2);
            ag_distribution q = distribution_of(other, (ag_dtype)dtype, row + 2, 2);
            expect_value("divergence", i, ag_divergence(&p, &q), row[4], 64);
            expect_value("no divergence", i, ag_divergence(&p, &p), 0, 8);
            expect_ok(tape);
        }
}
END_TEST

#define PUT(name, ...) numbers(AG_F64, AG_SHAPE(__VA_ARGS__), name)
#define EXPECT(y, name) expect_near(y, COUNT(name), name, 64, 1)

START_TEST(vectors_agree_with_pytorch) {
    ag_distribution p = {AG_DIST_CATEGORICAL, {PUT(categorical_scores, 2, 3)}};
    ag_distribution q = {AG_DIST_CATEGORICAL, {PUT(categorical_others, 2, 3)}};
    ag_tensor *labels = ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){2, 1});
    EXPECT(ag_log_prob(&p, labels), categorical_log_prob);
    EXPECT(ag_entropy(&p), categorical_entropy);
    EXPECT(ag_divergence(&p, &q), categorical_divergence);
    p = (ag_distribution){AG_DIST_DIRICHLET, {PUT(dirichlet_a, 3)}};
    q = (ag_distribution){AG_DIST_DIRICHLET, {PUT(dirichlet_b, 3)}};
    EXPECT(ag_log_prob(&p, PUT(dirichlet_x, 2, 3)), dirichlet_log_prob);
    EXPECT(ag_distribution_mean(&p), dirichlet_mean);
    EXPECT(ag_distribution_variance(&p), dirichlet_variance);
    EXPECT(ag_entropy(&p), dirichlet_entropy);
    EXPECT(ag_divergence(&p, &q), dirichlet_divergence);
    p = (ag_distribution){AG_DIST_MULTI_NORMAL, {PUT(multi_normal_m, 3), PUT(multi_normal_l, 3, 3)}};
    q = (ag_distribution){AG_DIST_MULTI_NORMAL, {PUT(multi_normal_n, 3), PUT(multi_normal_k, 3, 3)}};
    EXPECT(ag_log_prob(&p, PUT(multi_normal_x, 2, 3)), multi_normal_log_prob);
    EXPECT(ag_distribution_mean(&p), multi_normal_m);
    EXPECT(ag_distribution_variance(&p), multi_normal_variance);
    EXPECT(ag_entropy(&p), multi_normal_entropy);
    EXPECT(ag_divergence(&p, &q), multi_normal_divergence);
    expect_ok(tape);
}
END_TEST

/* ---- Gradients ---- */

/* x, if it varies, then the parameters. */
typedef struct checked {
    ag_family family;
    int quantity; /* 0: log_prob, 1: cdf, 2: entropy, 3: mean, 4: variance, 5: divergence, of q with the second half */
    int parameters;
    ag_tensor *x;     /* not NULL: it is constant */
    ag_tensor *fixed; /* not NULL: the first parameter is constant */
} checked;

static ag_tensor *wavy(void *context, int n, ag_tensor *const in[]) {
    const checked *c = context;
    ag_distribution d = {.family = c->family}, q = d;
    int at = 0;
    (void)n;
    ag_tensor *x = c->x;
    if (c->quantity < 2 && !x) x = in[at++];
    for (int i = 0; i < c->parameters; i++) d.parameter[i] = i == 0 && c->fixed ? c->fixed : in[at++];
    for (int i = 0; i < c->parameters && c->quantity == 5; i++) q.parameter[i] = in[at++];
    ag_tensor *y = c->quantity == 0   ? ag_log_prob(&d, x)
                   : c->quantity == 1 ? ag_cdf(&d, x)
                   : c->quantity == 2 ? ag_entropy(&d)
                   : c->quantity == 3 ? ag_distribution_mean(&d)
                   : c->quantity == 4 ? ag_distribution_variance(&d)
                                      : ag_divergence(&d, &q);
    return ag_sum(ag_sin(y));
}

static void check(checked c, int n, ag_tensor *const x[]) {
    ag_gradcheck_report report;
    for (int order = 1; order <= 2; order++)
        ck_assert_msg(ag_gradcheck(wavy, &c, n, x, &(ag_gradcheck_options){.order = order}, &report) == AG_OK,
                      "family %d, quantity %d: %s %s", (int)c.family, c.quantity, report.message, ag_tape_error(tape));
}

static const struct {
    ag_family family;
    int parameters;
    double p[3], x;
    unsigned has; /* bit i: quantity i */
    bool whole;   /* x is constant; */
    bool counts;  /* so is the first parameter */
} gradients[] = {
    {AG_DIST_NORMAL, 2, {0.25, 1.5}, 0.75, 61, false, false},
    {AG_DIST_UNIFORM, 2, {0.25, 1.5}, 0.75, 63, false, false},
    {AG_DIST_EXPONENTIAL, 1, {1.5}, 0.75, 63, false, false},
    {AG_DIST_LAPLACE, 2, {0.25, 1.5}, 0.75, 63, false, false},
    {AG_DIST_CAUCHY, 2, {0.25, 1.5}, 0.75, 39, false, false},
    {AG_DIST_GUMBEL, 2, {0.25, 1.5}, 0.75, 63, false, false},
    {AG_DIST_GAMMA, 2, {2.25, 1.5}, 0.75, 63, false, false},
    {AG_DIST_BETA, 2, {2.25, 1.5}, 0.75, 63, false, false},
    {AG_DIST_STUDENT, 3, {3.25, 0.5, 1.5}, 0.75, 31, false, false},
    {AG_DIST_BERNOULLI, 1, {0.375}, 1, 61, true, false},
    {AG_DIST_BINOMIAL, 2, {5, 0.375}, 2, 27, true, true},
    {AG_DIST_POISSON, 1, {2.25}, 3, 59, true, false},
};

START_TEST(quantities_pass_gradcheck_twice_over) {
    for (int i = 0; i < COUNT(gradients); i++)
        for (int k = 0; k < 6; k++) {
            if (!(gradients[i].has >> k & 1)) continue;
            const int n = gradients[i].parameters;
            ag_tensor *in[7];
            int count = 0;
            checked c = {.family = gradients[i].family, .quantity = k, .parameters = n};
            ag_tensor *x = ag_scalar(tape, AG_F64, gradients[i].x);
            if (gradients[i].whole) c.x = x;
            else if (k < 2) in[count++] = x;
            if (gradients[i].counts) c.fixed = ag_scalar(tape, AG_F64, gradients[i].p[0]);
            for (int j = gradients[i].counts; j < n; j++) in[count++] = ag_scalar(tape, AG_F64, gradients[i].p[j]);
            for (int j = 0; j < n && k == 5; j++)
                in[count++] = ag_scalar(tape, AG_F64, gradients[i].p[j] * (j == 0 ? 0.75 : 1.25));
            check(c, count, in);
        }
}
END_TEST

/* The families are those of the context. */
static ag_tensor *divergence_of_two(void *context, int n, ag_tensor *const in[]) {
    const ag_family *family = context;
    ag_distribution p = {.family = family[0]}, q = {.family = family[1]};
    const int first = family[0] == AG_DIST_EXPONENTIAL || family[0] == AG_DIST_BERNOULLI ? 1 : 2;
    for (int i = 0; i < n; i++) *(i < first ? &p.parameter[i] : &q.parameter[i - first]) = in[i];
    return ag_sum(ag_sin(ag_divergence(&p, &q)));
}

START_TEST(divergences_of_two_families_pass_gradcheck_twice_over) {
    for (int i = 0; i < COUNT(divergence_families); i++) {
        const double *row = divergence_rows + 5 * i;
        ag_family two[] = {(ag_family)divergence_families[i], (ag_family)divergence_others[i]};
        ag_tensor *in[4];
        int n = 0;
        if (two[0] == two[1] || isinf(row[4]) || row[0] == 0) continue;
        for (int k = 0; k < 4; k++)
            if (!isnan(row[k])) in[n++] = ag_scalar(tape, AG_F64, row[k]);
        ag_gradcheck_report report;
        for (int order = 1; order <= 2; order++)
            ck_assert_msg(
                ag_gradcheck(divergence_of_two, two, n, in, &(ag_gradcheck_options){.order = order}, &report) == AG_OK,
                "families %d and %d: %s %s", (int)two[0], (int)two[1], report.message, ag_tape_error(tape));
    }
}
END_TEST

/* mpmath's: of a million degrees of freedom, and of Beta(n, 1), all of whose terms are moderate. */
START_TEST(entropies_of_large_parameters) {
    for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
        ag_tensor *n = ag_scalar(tape, (ag_dtype)dtype, 1e6), *one = ag_scalar(tape, (ag_dtype)dtype, 1);
        ag_tensor *two = ag_scalar(tape, (ag_dtype)dtype, 2), *zero = ag_scalar(tape, (ag_dtype)dtype, 0);
        const ag_distribution student = {AG_DIST_STUDENT, {n, zero, one}}, beta = {AG_DIST_BETA, {n, one}};
        const ag_distribution other = {AG_DIST_BETA, {two, one}};
        expect_value("entropy", 0, ag_entropy(&student), 1.4189395332049228, 16);
        expect_value("entropy", 1, ag_entropy(&beta), -12.815511557964275, 4);
        expect_value("divergence", 2, ag_divergence(&beta, &other), 12.122365377404329, 4);
        expect_ok(tape);
    }
}
END_TEST

/* ---- Large or nearly equal arguments ---- */

/* A family's parameters from numbers, of which this many are used. */
static int fill(ag_distribution *d, ag_tensor *const v[]) {
    const ag_family f = d->family;
    if (f == AG_DIST_CATEGORICAL || f == AG_DIST_DIRICHLET) {
        ag_tensor *x[] = {ag_unsqueeze(v[0], 0), ag_unsqueeze(v[1], 0), ag_unsqueeze(v[2], 0)};
        d->parameter[0] = ag_concat(3, x, 0);
        return 3;
    }
    const int n = f == AG_DIST_STUDENT ? 3 : f == AG_DIST_BERNOULLI || f == AG_DIST_POISSON ? 1 : 2;
    for (int i = 0; i < n; i++) d->parameter[i] = v[i];
    if (f != AG_DIST_MULTI_NORMAL) return n;
    d->parameter[0] = ag_unsqueeze(v[0], 0), d->parameter[1] = ag_reshape(v[1], AG_SHAPE(1, 1));
    return n;
}

/* want[1] is how far want[0] moves by a rounding of the arguments: an error may be some times that, and a rounding of
 * the result. */
static void expect_moved(int row, int slope, ag_tensor *y, const double *want, double units) {
    if (isnan(want[0])) return;
    const double got = ag_item(y);
    ck_assert_msg(near_value(ag_dtype_of(y), got, want[0], units, fabs(want[0]) + want[1]),
                  "row %d, slope %d, %s: %.17g, not %.17g", row, slope, ag_dtype_name(ag_dtype_of(y)), got, want[0]);
}

START_TEST(what_is_far_smaller_than_its_terms_has_its_digits) {
    enum { ARGUMENTS = 6, EACH = ARGUMENTS + 2 * (1 + ARGUMENTS) };
    for (int i = 0; i < COUNT(large_families); i++)
        for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
            const double *row = large_rows + EACH * i, *want = row + ARGUMENTS;
            const int n = parameters_of(row, ARGUMENTS), at = large_quantities[i] == 0;
            ag_tensor *v[ARGUMENTS], *dv[ARGUMENTS], *y;
            for (int k = 0; k < n; k++) v[k] = ag_parameter_from(ag_scalar(tape, (ag_dtype)dtype, row[k]));
            ag_distribution p = {.family = (ag_family)large_families[i]}, q = p;
            const int used = fill(&p, v + at);
            if (large_quantities[i] == 5) fill(&q, v + used);
            y = at ? ag_log_prob(&p, v[0]) : large_quantities[i] == 2 ? ag_entropy(&p) : ag_divergence(&p, &q);
            expect_moved(i, 0, y, want, 16);
            ag_grad(y, n, v, dv);
            for (int k = 0; k < n; k++) expect_moved(i, k + 1, dv[k], want + 2 * (k + 1), 16);
            expect_ok(tape);
        }
}
END_TEST

/* C's lgamma gives these: for moderate arguments, of which hardly a digit is lost. */
static double psi(double x) { return ag_item(ag_digamma(ag_scalar(tape, AG_F64, x))); }
static double lbeta(double a, double b) { return lgamma(a) + lgamma(b) - lgamma(a + b); }

static double plain_log_prob(ag_family f, double x, double a, double b) {
    const double more = a * 0.5 + 0.5;
    switch (f) {
    case AG_DIST_GAMMA: return a * log(b) + (a - 1) * log(x) - b * x - lgamma(a);
    case AG_DIST_BETA: return (a - 1) * log(x) + (b - 1) * log1p(-x) - lbeta(a, b);
    case AG_DIST_POISSON: return x * log(a) - a - lgamma(x + 1);
    case AG_DIST_BINOMIAL: return x * log(b) + (a - x) * log1p(-b) - log(a + 1) - lbeta(x + 1, a - x + 1);
    default: return -more * log1p(x * x / a) - 0.5 * log(a) - lbeta(0.5, a * 0.5); /* Student, 0, 1 */
    }
}

static double plain_entropy(ag_family f, double a, double b) {
    switch (f) {
    case AG_DIST_GAMMA: return a - log(b) + lgamma(a) + (1 - a) * psi(a);
    case AG_DIST_BETA: return lbeta(a, b) - (a - 1) * psi(a) - (b - 1) * psi(b) + (a + b - 2) * psi(a + b);
    default: return (a + 1) * 0.5 * (psi(a * 0.5 + 0.5) - psi(a * 0.5)) + 0.5 * log(a) + lbeta(a * 0.5, 0.5);
    }
}

static void expect_close(const char *what, int by, double got, double want) {
    ck_assert_msg(fabs(got - want) < 3e-13, "%s, %d: %.17g, not %.17g", what, by, got, want);
}

static void check_meeting(ag_family f, double x, double a, double b, int by) {
    char what[100];
    snprintf(what, sizeof what, "family %d of %g, %g at %g", (int)f, a, b, x);
    ag_tensor *p = ag_parameter_from(ag_scalar(tape, AG_F64, a)), *q = ag_scalar(tape, AG_F64, b), *slope;
    ag_distribution d = {f, {p, q}};
    if (f == AG_DIST_POISSON) d.parameter[1] = NULL;
    if (f == AG_DIST_STUDENT) d.parameter[1] = ag_zeros(tape, AG_F64, AG_SCALAR), d.parameter[2] = q;
    ag_tensor *y = ag_log_prob(&d, ag_scalar(tape, AG_F64, x));
    expect_close(what, by, ag_item(y), plain_log_prob(f, x, a, b));
    const bool has_entropy = f == AG_DIST_GAMMA || f == AG_DIST_BETA || f == AG_DIST_STUDENT;
    if (has_entropy) expect_close(what, by, ag_item(ag_entropy(&d)), plain_entropy(f, a, b));
    if (f == AG_DIST_BINOMIAL) return;
    const double h = 1e-3; /* of a slope, and of what the fifth one adds to it, nearly 0 */
    double s[5];
    for (int i = 0; i < 5; i++) s[i] = plain_log_prob(f, x, a + (i - 2) * h, b);
    ag_grad(y, 1, &p, &slope);
    ck_assert_msg(fabs(ag_item(slope) - (8 * (s[3] - s[1]) - (s[4] - s[0])) / (12 * h)) < 1e-9, "%s: slope", what);
}

/* Other formulas serve from such arguments on, and both are right: below, there and above. */
START_TEST(formulas_meet_where_one_takes_over) {
    enum { FAR = 20 };
    for (int by = -1; by <= 1; by++) {
        const double at = by == 0 ? FAR : nextafter(FAR, by * inf), more = FAR + 1 + by * 0x1p-40;
        check_meeting(AG_DIST_POISSON, FAR + by, 23.5, 0, by);
        check_meeting(AG_DIST_BINOMIAL, FAR + by, 47, 0.4, by);
        check_meeting(AG_DIST_BINOMIAL, 27, 27 + FAR + by, 0.6, by);
        check_meeting(AG_DIST_GAMMA, 8.5, at, 2.5, by);         /* of its entropy, */
        check_meeting(AG_DIST_GAMMA, 8.5, more, 2.5, by);       /* and of its density */
        check_meeting(AG_DIST_BETA, 0.45, more, 25.25, by);     /* of either argument */
        check_meeting(AG_DIST_BETA, 0.55, 25.25, more, by);     /* less 1, */
        check_meeting(AG_DIST_BETA, 0.35, at - 12.5, 12.5, by); /* and of their sum */
        check_meeting(AG_DIST_STUDENT, 1.5, 4 * at, 1, by);
    }
    expect_ok(tape);
}
END_TEST

/* The distribution function of Student's distribution is smooth at its middle, and small where it should be. */
START_TEST(student_tails) {
    ag_tensor *v = ag_scalar(tape, AG_F64, 1), *x = numbers(AG_F64, AG_SHAPE(3), (double[]){0, -1e8, -inf}),
              *zero = ag_zeros(tape, AG_F64, AG_SCALAR), *g;
    ag_distribution d = {AG_DIST_STUDENT, {v, zero, v}};
    ag_tensor *y = ag_cdf(&d, x);
    expect_near(y, 3, ((double[]){0.5, 3.1830988618379067e-09, 0}), 16, 0);
    ag_grad(ag_sum(y), 1, &x, &g);
    expect_near(ag_slice(g, 0, 0, 2, 1), 2, ((double[]){0.31830988618379067, 3.183098861837907e-17}), 16, 0);
    expect_ok(tape);
}
END_TEST

START_TEST(vectors_pass_gradcheck_twice_over) {
    ag_tensor *s = PUT(categorical_scores, 2, 3), *o = PUT(categorical_others, 2, 3);
    ag_tensor *labels = ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){2, 1});
    check((checked){AG_DIST_CATEGORICAL, 0, 1, labels, NULL}, 1, &s);
    check((checked){AG_DIST_CATEGORICAL, 2, 1, NULL, NULL}, 1, &s);
    check((checked){AG_DIST_CATEGORICAL, 5, 1, NULL, NULL}, 2, (ag_tensor *[]){s, o});
    ag_tensor *a = PUT(dirichlet_a, 3), *b = PUT(dirichlet_b, 3), *x = PUT(dirichlet_x, 2, 3);
    check((checked){AG_DIST_DIRICHLET, 0, 1, x, NULL}, 1, &a); /* x cannot be varied one by one: its sum is 1 */
    for (int k = 2; k < 5; k++) check((checked){AG_DIST_DIRICHLET, k, 1, NULL, NULL}, 1, &a);
    check((checked){AG_DIST_DIRICHLET, 5, 1, NULL, NULL}, 2, (ag_tensor *[]){a, b});
    ag_tensor *m = PUT(multi_normal_m, 3), *l = PUT(multi_normal_l, 3, 3), *n = PUT(multi_normal_n, 3);
    ag_tensor *k = PUT(multi_normal_k, 3, 3), *z = PUT(multi_normal_x, 2, 3);
    check((checked){AG_DIST_MULTI_NORMAL, 0, 2, NULL, NULL}, 3, (ag_tensor *[]){z, m, l});
    check((checked){AG_DIST_MULTI_NORMAL, 2, 2, NULL, NULL}, 2, (ag_tensor *[]){m, l});
    check((checked){AG_DIST_MULTI_NORMAL, 4, 2, NULL, NULL}, 2, (ag_tensor *[]){m, l});
    check((checked){AG_DIST_MULTI_NORMAL, 5, 2, NULL, NULL}, 4, (ag_tensor *[]){m, l, n, k});
}
END_TEST

/* A derivative of what is outside is 0, and never NaN. */
START_TEST(outside_of_a_support_gradients_are_0) {
    static const struct {
        ag_family family;
        double p[3], outside[4];
        int parameters;
    } table[] = {
        {AG_DIST_UNIFORM, {1, 2}, {0, 2, 1e300, -1}, 2},
        {AG_DIST_EXPONENTIAL, {2}, {-1e-300, -1, -1e300, -2}, 1},
        {AG_DIST_GAMMA, {2.5, 1}, {-1, -1e-300, -1e300, -3}, 2},
        {AG_DIST_BETA, {2.5, 3}, {-1, 1.5, 1e300, -1e300}, 2},
        {AG_DIST_BERNOULLI, {0.5}, {-1, 0.5, 2, 1e300}, 1},
        {AG_DIST_BINOMIAL, {4, 0.5}, {-1, 0.5, 5, 1e300}, 2},
        {AG_DIST_POISSON, {3}, {-1, 0.5, 2.5, -1e300}, 1},
    };
    for (int i = 0; i < COUNT(table); i++) {
        ag_distribution d = distribution_of(table[i].family, AG_F64,
                                            (double[]){table[i].p[0], table[i].p[1], (double)NAN}, table[i].parameters);
        ag_tensor *x = numbers(AG_F64, AG_SHAPE(4), table[i].outside), *of[] = {x, d.parameter[0], d.parameter[1]},
                  *g[3];
        ag_tensor *y = ag_log_prob(&d, x);
        expect_list(y, -inf, -inf, -inf, -inf);
        ag_grad(ag_sum(y), 1 + table[i].parameters, of, g);
        for (int k = 0; k <= table[i].parameters; k++)
            ck_assert_msg(ag_item(ag_sum(ag_abs(g[k]))) == 0, "family %d, input %d", (int)table[i].family, k);
    }
    expect_ok(tape);
}
END_TEST

START_TEST(nan_and_invalid_parameters_give_nan) {
    const double nan = (double)NAN;
    for (int i = 0; i < COUNT(gradients); i++) {
        const int n = gradients[i].parameters;
        for (int bad = -1; bad < n; bad++) {
            double p[3];
            memcpy(p, gradients[i].p, sizeof p);
            ag_distribution d = {.family = gradients[i].family};
            for (int k = 0; k < n; k++) d.parameter[k] = ag_scalar(tape, AG_F64, k == bad ? nan : p[k]);
            ag_tensor *x = ag_scalar(tape, AG_F64, bad < 0 ? nan : gradients[i].x),
                      *far = ag_scalar(tape, AG_F64, -1e9);
            ck_assert(isnan(ag_item(ag_log_prob(&d, x))));
            if (bad >= 0) ck_assert_msg(isnan(ag_item(ag_log_prob(&d, far))), "family %d", (int)d.family);
            if (gradients[i].has & 2) ck_assert(isnan(ag_item(ag_cdf(&d, x))));
            if (bad < 0) continue;
            if (gradients[i].has & 4 && (d.family > AG_DIST_GUMBEL || bad == 1))
                ck_assert(isnan(ag_item(ag_entropy(&d))) || bad == 1);
            ck_assert_msg(isnan(ag_item(ag_draw(&d))), "sample of family %d", (int)d.family);
        }
    }
    const struct {
        ag_family family;
        double p[3];
    } invalid[] = {
        {AG_DIST_NORMAL, {0, 0, nan}},   {AG_DIST_NORMAL, {0, -1, nan}},      {AG_DIST_UNIFORM, {1, 1, nan}},
        {AG_DIST_EXPONENTIAL, {0, nan}}, {AG_DIST_LAPLACE, {0, -1, nan}},     {AG_DIST_GAMMA, {0, 1, nan}},
        {AG_DIST_GAMMA, {1, -1, nan}},   {AG_DIST_BETA, {-1, 1, nan}},        {AG_DIST_STUDENT, {0, 0, 1}},
        {AG_DIST_BERNOULLI, {1.5, nan}}, {AG_DIST_BINOMIAL, {2.5, 0.5, nan}}, {AG_DIST_BINOMIAL, {2, -0.5, nan}},
        {AG_DIST_POISSON, {-1, nan}}};
    for (int i = 0; i < COUNT(invalid); i++) {
        ag_distribution d = distribution_of(invalid[i].family, AG_F64, invalid[i].p, 3);
        ck_assert_msg(isnan(ag_item(ag_log_prob(&d, ag_scalar(tape, AG_F64, 1)))), "row %d", i);
        if (i > 0)
            ck_assert_msg(isnan(ag_item(ag_draw(&d))), "row %d", i); /* a deviation of 0 has samples, and no density */
    }
    expect_ok(tape);
}
END_TEST

/* ---- Samples ---- */

enum { MANY = 20000 };

START_TEST(samples_have_the_mean_and_the_variance) {
    for (int i = 0; i < COUNT(gradients); i++) {
        ag_distribution d = {.family = gradients[i].family};
        for (int k = 0; k < gradients[i].parameters; k++)
            d.parameter[k] = ag_full(tape, AG_F64, k ? AG_SCALAR : AG_SHAPE(MANY), gradients[i].p[k]);
        ag_tensor *x = ag_draw(&d);
        expect_shape(x, AG_SHAPE(MANY));
        if (d.family == AG_DIST_CAUCHY) continue;
        const double mean = ag_element(ag_distribution_mean(&d), 0),
                     variance = ag_element(ag_distribution_variance(&d), 0);
        ck_assert_msg(fabs(ag_item(ag_mean(x)) - mean) < 4 * sqrt(variance / MANY), "family %d", (int)d.family);
        if (d.family != AG_DIST_STUDENT)
            ck_assert_msg(fabs(ag_item(ag_var(x, 1)) / variance - 1) < 0.1, "family %d", (int)d.family);
        if (gradients[i].has & 4) { /* −E ln p is the entropy */
            const double entropy = ag_element(ag_entropy(&d), 0), got = -ag_item(ag_mean(ag_log_prob(&d, x)));
            ck_assert_msg(fabs(got - entropy) < 0.05, "entropy of family %d: %g, not %g", (int)d.family, got, entropy);
        }
    }
    expect_ok(tape);
}
END_TEST

START_TEST(samples_of_vectors) {
    ag_distribution d = {AG_DIST_MULTI_NORMAL,
                         {ag_broadcast_to(PUT(multi_normal_m, 3), AG_SHAPE(MANY, 3)), PUT(multi_normal_l, 3, 3)}};
    ag_tensor *x = ag_draw(&d), *centred = ag_sub(x, PUT(multi_normal_m, 3));
    ag_tensor *covariance = ag_scale(ag_matmul(ag_transpose(centred, 0, 1), centred), 1. / MANY),
              *l = PUT(multi_normal_l, 3, 3);
    ag_tensor *error = ag_abs(ag_sub(covariance, ag_matmul(l, ag_transpose(l, 0, 1))));
    ck_assert_double_lt(ag_item(ag_max(error)), 0.15);
    ck_assert_double_lt(ag_item(ag_max(ag_abs(ag_mean_over(centred, AG_AXES(0), false)))), 0.06);
    d = (ag_distribution){AG_DIST_CATEGORICAL, {ag_broadcast_to(PUT(categorical_scores, 2, 3), AG_SHAPE(MANY, 2, 3))}};
    x = ag_draw(&d);
    expect_shape(x, AG_SHAPE(MANY, 2));
    for (int64_t c = 0; c < 3; c++) {
        ag_tensor *share =
            ag_mean_over(ag_cast(ag_equal(x, ag_full(tape, AG_I64, AG_SCALAR, (double)c)), AG_F64), AG_AXES(0), false);
        ag_tensor *p = ag_slice(ag_softmax(PUT(categorical_scores, 2, 3), -1), 1, c, c + 1, 1);
        ck_assert_double_lt(ag_item(ag_max(ag_abs(ag_sub(share, ag_squeeze(p, AG_AXES(1)))))), 0.02);
    }
    d = (ag_distribution){AG_DIST_DIRICHLET, {ag_broadcast_to(PUT(dirichlet_a, 3), AG_SHAPE(MANY, 3))}};
    ag_tensor *mean = ag_mean_over(ag_draw(&d), AG_AXES(0), false);
    ck_assert_double_lt(ag_item(ag_max(ag_abs(ag_sub(mean, PUT(dirichlet_mean, 3))))), 0.01);
    expect_ok(tape);
}
END_TEST

/* ---- Other ends, and refused calls ---- */

START_TEST(labels_and_points_outside) {
    ag_distribution d = {AG_DIST_CATEGORICAL, {PUT(categorical_scores, 2, 3)}};
    ag_tensor *labels = ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){-1, 3}), *g;
    ag_tensor *y = ag_log_prob(&d, labels);
    expect_list(y, -inf, -inf);
    ag_grad(ag_sum(y), 1, d.parameter, &g);
    expect_list(g, 0, 0, 0, 0, 0, 0);
    d = (ag_distribution){AG_DIST_DIRICHLET, {PUT(dirichlet_a, 3)}};
    ag_tensor *x = numbers(AG_F64, AG_SHAPE(2, 3), (double[]){0.5, 0.5, 0.5, 1.5, -0.5, 0});
    expect_list(ag_log_prob(&d, x), -inf, -inf);
    ag_grad(ag_sum(ag_log_prob(&d, x)), 1, d.parameter, &g);
    expect_list(g, 0, 0, 0);
    d = (ag_distribution){AG_DIST_GUMBEL,
                          {numbers(AG_F64, AG_SCALAR, (double[]){0}), numbers(AG_F64, AG_SCALAR, (double[]){1})}};
    expect_item(ag_log_prob(&d, ag_scalar(tape, AG_F64, -inf)), -inf);
    d.family = AG_DIST_NORMAL;
    expect_item(ag_log_prob(&d, ag_scalar(tape, AG_F64, inf)), -inf);
    d.family = AG_DIST_CAUCHY;
    expect_item(ag_cdf(&d, ag_scalar(tape, AG_F64, inf)), 1);
    expect_near(ag_cdf(&d, ag_scalar(tape, AG_F64, -1e20)), 1, ((double[]){1e-20 / acos(-1)}), 4, 0);
    expect_ok(tape);
}
END_TEST

/* With more draws p has numbers that q has not, whatever their probabilities; but NaN stays. */
START_TEST(divergences_of_unlike_binomial_numbers) {
    const double rows[][5] = {
        {5, 0.5, 3, 0.5, inf}, {5, 0.5, 3, 0, inf}, {5, 0.5, 5, 0, inf}, {3, 0.5, 5, 0.5, NAN}, {5, NAN, 3, 0.5, NAN}};
    for (int i = 0; i < COUNT(rows); i++) {
        ag_tensor *v[4];
        for (int k = 0; k < 4; k++) v[k] = ag_scalar(tape, AG_F64, rows[i][k]);
        const ag_distribution p = {AG_DIST_BINOMIAL, {v[0], v[1]}}, q = {AG_DIST_BINOMIAL, {v[2], v[3]}};
        expect_near(ag_divergence(&p, &q), 1, &rows[i][4], 0, 0);
    }
    expect_ok(tape);
}
END_TEST

/* Up to ∞ the probability is 1, however many events there are. */
START_TEST(gradients_of_certainty_are_0) {
    ag_tensor *rate = ag_scalar(tape, AG_F64, 4), *all = ag_scalar(tape, AG_F64, inf), *d;
    const ag_distribution poisson = {AG_DIST_POISSON, {rate}}, gamma = {AG_DIST_GAMMA, {rate, rate}};
    expect_item(ag_cdf(&poisson, all), 1);
    ag_grad(ag_cdf(&poisson, all), 1, &rate, &d);
    expect_item(d, 0);
    ag_grad(ag_cdf(&gamma, all), 1, &rate, &d);
    expect_item(d, 0);
    expect_ok(tape);
}
END_TEST

START_TEST(distributions_broadcast) {
    ag_distribution d = {AG_DIST_NORMAL, {ag_zeros(tape, AG_F32, AG_SHAPE(2, 1)), ag_ones(tape, AG_F32, AG_SHAPE(3))}};
    expect_shape(ag_log_prob(&d, ag_zeros(tape, AG_F32, AG_SHAPE(4, 1, 1))), AG_SHAPE(4, 2, 3));
    expect_shape(ag_distribution_mean(&d), AG_SHAPE(2, 3));
    expect_shape(ag_entropy(&d), AG_SHAPE(2, 3));
    expect_shape(ag_draw(&d), AG_SHAPE(2, 3));
    expect_shape(ag_log_prob(&d, ag_zeros(tape, AG_F32, AG_SHAPE(0, 1, 1))), AG_SHAPE(0, 2, 3));
    d = (ag_distribution){AG_DIST_MULTI_NORMAL,
                          {ag_zeros(tape, AG_F32, AG_SHAPE(5, 1, 3)), ag_ones(tape, AG_F32, AG_SHAPE(2, 3, 3))}};
    expect_shape(ag_log_prob(&d, ag_zeros(tape, AG_F32, AG_SHAPE(3))), AG_SHAPE(5, 2));
    expect_shape(ag_draw(&d), AG_SHAPE(5, 2, 3));
    expect_ok(tape);
}
END_TEST

START_TEST(families_without_a_closed_form_are_named) {
    static const struct {
        ag_family p, q;
        const char *message;
    } pairs[] = {{AG_DIST_CAUCHY, AG_DIST_NORMAL, "cauchy and normal have none in closed form"},
                 {AG_DIST_STUDENT, AG_DIST_NORMAL, "student and normal have none"},
                 {AG_DIST_BETA, AG_DIST_LAPLACE, "beta and laplace have none"},
                 {AG_DIST_LAPLACE, AG_DIST_GUMBEL, "laplace and gumbel have none"},
                 {AG_DIST_NORMAL, AG_DIST_CAUCHY, "normal and cauchy have none"},
                 {AG_DIST_NORMAL, AG_DIST_MULTI_NORMAL, "normal and multi_normal have none"}};
    ag_tensor *one = ag_scalar(tape, AG_F64, 1);
    for (int i = 0; i < COUNT(pairs); i++) {
        const ag_distribution p = {pairs[i].p, {one, one, one}}, q = {pairs[i].q, {one, one, one}};
        ck_assert(ag_is_nil(ag_divergence(&p, &q)));
        expect_error(tape, AG_ERR_RANGE, "divergence", pairs[i].message, "test_distributions.c:");
    }
}
END_TEST

START_TEST(distributions_refuse) {
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(3)), *one = ag_ones(tape, AG_F64, AG_SHAPE(2));
    ag_distribution d = {AG_DIST_NORMAL, {x, one}};
    ag_log_prob(&d, x);
    expect_error(tape, AG_ERR_SHAPE, "log_prob", "cannot be broadcast", "test_distributions.c:");
    d.parameter[1] = x;
    ag_log_prob(&d, ag_cast(x, AG_F32));
    expect_error(tape, AG_ERR_DTYPE, "log_prob: a f32 (3)");
    ag_log_prob(&d, NULL);
    expect_error(tape, AG_ERR_NULL, "log_prob");
    ag_divergence(&(ag_distribution){AG_DIST_LAPLACE, {x, x}}, &(ag_distribution){AG_DIST_CAUCHY, {x, x}});
    expect_error(tape, AG_ERR_RANGE, "divergence", "laplace and cauchy have none in closed form");
    ag_divergence(&d, &(ag_distribution){AG_DIST_POISSON, {x}});
    expect_error(tape, AG_ERR_RANGE, "divergence", "normal and poisson have none");
    ag_divergence(&d, &(ag_distribution){(ag_family)77, {x}});
    expect_error(tape, AG_ERR_RANGE, "divergence", "the family is invalid");
    ag_divergence(&d, NULL);
    expect_error(tape, AG_ERR_NULL, "divergence", "a distribution is NULL");
    ag_cdf(&(ag_distribution){AG_DIST_DIRICHLET, {x}}, x);
    expect_error(tape, AG_ERR_RANGE, "cdf", "dirichlet has none");
    d.family = (ag_family)77;
    ag_entropy(&d);
    expect_error(tape, AG_ERR_RANGE, "entropy", "the family is invalid");
    d = (ag_distribution){AG_DIST_GAMMA, {x, NULL}};
    ag_draw(&d);
    expect_error(tape, AG_ERR_NULL, "draw");
    d = (ag_distribution){AG_DIST_CATEGORICAL, {x}};
    ag_log_prob(&d, x);
    expect_error(tape, AG_ERR_DTYPE, "labels i64");
    d.parameter[0] = ag_scalar(tape, AG_F64, 1);
    ag_entropy(&d);
    expect_error(tape, AG_ERR_SHAPE, "vectors have one axis");
    d = (ag_distribution){AG_DIST_MULTI_NORMAL, {x, ag_ones(tape, AG_F64, AG_SHAPE(2, 2))}};
    ag_entropy(&d);
    expect_error(tape, AG_ERR_SHAPE, "one extent");
    d = (ag_distribution){AG_DIST_DIRICHLET, {ag_ones(tape, AG_F64, AG_SHAPE(2, 0))}};
    ag_entropy(&d);
    expect_error(tape, AG_ERR_SHAPE, "one extent, which is not 0");
    d = (ag_distribution){AG_DIST_NORMAL, {ag_cast(x, AG_I64), ag_cast(x, AG_I64)}};
    ag_draw(&d);
    expect_error(tape, AG_ERR_DTYPE, "all must be f32, or all f64");
    d.parameter[0] = d.parameter[1] = ag_ones(tape, AG_F64, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1));
    ag_log_prob(&d, x);
    expect_ok(tape);
    d = (ag_distribution){
        AG_DIST_MULTI_NORMAL,
        {ag_ones(tape, AG_F64, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, 2)), ag_ones(tape, AG_F64, AG_SHAPE(2, 2))}};
    ag_entropy(&d);
    expect_error(tape, AG_ERR_SHAPE, "entropy", "there are too many axes");
    ag_tape *another = ag_tape_new();
    d = (ag_distribution){AG_DIST_NORMAL, {x, x}};
    ag_log_prob(&d, ag_ones(another, AG_F64, AG_SHAPE(3)));
    expect_error(another, AG_ERR_TAPE, "log_prob", "second input is on another tape");
    ag_tape_free(another);
    ag_log_prob(NULL, x);
    ag_clear_error(NULL);
}
END_TEST

static ag_status everything(ag_tape *t) {
    ag_tensor *a = ag_ones(t, AG_F64, AG_SHAPE(2)), *g;
    for (int i = 0; i <= AG_DIST_POISSON && ag_tape_status(t) == AG_OK; i++) {
        ag_distribution d = {(ag_family)i, {a, i == AG_DIST_UNIFORM ? ag_scale(a, 2) : a, a}};
        ag_grad(ag_sum(ag_log_prob(&d, a)), 1, &a, &g);
        ag_eval(g);
        ag_eval(ag_draw(&d));
    }
    return ag_tape_status(t);
}

START_TEST(distributions_survive_failing_allocations) { with_each_allocation_failing(everything); }
END_TEST

int main(void) {
    Suite *suite = suite_create("distributions");
    TCase *values = tape_group(suite, "values");
    tcase_add_test(values, moments_agree_with_scipy);
    tcase_add_test(values, entropies_of_large_parameters);
    tcase_add_test(values, what_is_far_smaller_than_its_terms_has_its_digits);
    tcase_add_test(values, divergences_agree_with_pytorch);
    tcase_add_test(values, vectors_agree_with_pytorch);
    TCase *gradient = tape_group(suite, "gradients");
    tcase_add_test(gradient, quantities_pass_gradcheck_twice_over);
    tcase_add_test(gradient, divergences_of_two_families_pass_gradcheck_twice_over);
    tcase_add_test(gradient, student_tails);
    tcase_add_test(gradient, formulas_meet_where_one_takes_over);
    tcase_add_test(gradient, vectors_pass_gradcheck_twice_over);
    tcase_add_test(gradient, outside_of_a_support_gradients_are_0);
    TCase *ends = tape_group(suite, "ends");
    tcase_add_test(ends, nan_and_invalid_parameters_give_nan);
    tcase_add_test(ends, samples_have_the_mean_and_the_variance);
    tcase_add_test(ends, samples_of_vectors);
    tcase_add_test(ends, labels_and_points_outside);
    tcase_add_test(ends, divergences_of_unlike_binomial_numbers);
    tcase_add_test(ends, gradients_of_certainty_are_0);
    tcase_add_test(ends, distributions_broadcast);
    tcase_add_test(ends, families_without_a_closed_form_are_named);
    tcase_add_test(ends, distributions_refuse);
    tcase_add_test(plain_group(suite, "memory"), distributions_survive_failing_allocations);
    return run_suite(suite);
}
