/* test_special -- special functions: against many digits, by identities, at their ends, kernels against machine code
 *
 * Values and the first three derivatives are compared with golden/special.h, in f32 and f64, at points of every size.
 * tests/test_functions.c has the sweeps over f32. */
#include "ops/rules.h"
#include "tests/support.h"

#include "tests/golden/special.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

/* ---- Against many digits ---- */

typedef ag_tensor *function(ag_tensor *x);

/* Allowed errors, one for each order; a floor is for functions that have zeros near by, and for erfc(10), whose slopes
 * are multiples of a subnormal f32. */
static const struct {
    const char *name;
    function *call;
    double ulps[4], floor[4];
} functions[] = {
    {"acos", (ag_acos), {2, 4, 8, 16}, {0}},
    {"acosh", (ag_acosh), {2, 4, 8, 16}, {0}},
    {"asin", (ag_asin), {2, 4, 8, 16}, {0}},
    {"asinh", (ag_asinh), {2, 4, 8, 16}, {0}},
    {"atan", (ag_atan), {2, 4, 8, 16}, {0}},
    {"atanh", (ag_atanh), {2, 4, 8, 16}, {0}},
    {"cbrt", (ag_cbrt), {1, 4, 8, 16}, {0}},
    {"cosh", (ag_cosh), {2, 2, 2, 2}, {0}},
    {"digamma", (ag_digamma), {5, 4, 5, 6}, {0}},
    {"lgamma", (ag_lgamma), {5, 5, 4, 5}, {0}},
    {"erf", (ag_erf), {2, 4, 8, 16}, {0}},
    {"erfc", (ag_erfc), {3, 4, 8, 16}, {0, 0, 3e-38, 3e-37}},
    {"erfcx", (ag_erfcx), {2, 4, 8, 16}, {0}},
    {"erfinv", (ag_erfinv), {2, 4, 8, 16}, {0}},
    {"gelu", (ag_gelu), {2, 4, 8, 16}, {0, 0.25, 0.25, 0.5}},
    {"log_ndtr", (ag_log_ndtr), {2, 4, 8, 256}, {0, 0, 0, 1}},
    {"ndtr", (ag_ndtr), {2, 4, 8, 16}, {0}},
    {"ndtri", (ag_ndtri), {2, 4, 8, 16}, {0}},
    {"exp2", (ag_exp2), {1, 4, 8, 16}, {0}},
    {"log10", (ag_log10), {1, 4, 8, 16}, {0}},
    {"log2", (ag_log2), {1, 4, 8, 16}, {0}},
    {"sinh", (ag_sinh), {2, 2, 2, 2}, {0}},
    {"tan", (ag_tan), {2, 5, 8, 16}, {0}},
};
enum { FUNCTIONS = COUNT(functions) };

static double held(ag_dtype d, double x) { return d == AG_F32 ? (double)(float)x : x; }

/* The points of a function that the dtype holds, and what is wanted there. */
static int points_of(int f, ag_dtype d, double at[], double want[4][COUNT(exact_special)]) {
    int n = 0;
    for (int i = 0; i < COUNT(exact_special); i++) {
        if (strcmp(exact_special[i].name, functions[f].name) != 0 || held(d, exact_special[i].x) != exact_special[i].x)
            continue;
        at[n] = exact_special[i].x;
        for (int k = 0; k < 4; k++) want[k][n] = held(d, exact_special[i].y[k]);
        n++;
    }
    ck_assert_int_ge(n, 10);
    return n;
}

static ag_tensor *slope(ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx;
    ck_assert_int_eq(ag_grad(ag_sum(y), 1, &x, &dx), AG_OK);
    return dx;
}

static void exact_case(int f, ag_dtype d) {
    double at[COUNT(exact_special)], want[4][COUNT(exact_special)];
    const int n = points_of(f, d, at, want);
    for (int i = 0; i < n; i++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = ag_parameter_from(tensor_of(tape, d, AG_SHAPE(1), &at[i])), *y = functions[f].call(x);
        for (int k = 0; k < 4; k++) {
            char what[80];
            snprintf(what, sizeof what, "%s(%.9g) %s, order %d", functions[f].name, at[i], ag_dtype_name(d), k);
            expecting(what);
            expect_near(y, 1, &want[k][i], functions[f].ulps[k], functions[f].floor[k]);
            if (k < 3) y = slope(y, x);
        }
        expecting("");
        ag_tape_rewind(tape, mark);
    }
}

START_TEST(values_and_derivatives_are_exact) {
    exact_case(_i, AG_F64);
    exact_case(_i, AG_F32);
}
END_TEST

/* ---- Identities ---- */

static ag_tensor *identity(ag_tensor *x) { return x; }

/* f(g(x)) = h(x) at n points from `low` on, within some units of f64. */
static const struct {
    const char *name;
    function *f, *g, *h;
    double low, high, ulps;
} identities[] = {
    {"log2 exp2", (ag_log2), (ag_exp2), identity, 1, 1000, 2},
    {"exp2 log2", (ag_exp2), (ag_log2), identity, 0.5, 2, 4},
    {"cbrt cube", (ag_cbrt), NULL, identity, -30, 30, 2},
    {"tan atan", (ag_tan), (ag_atan), identity, -1, 1, 5},
    {"atan tan", (ag_atan), (ag_tan), identity, -1.5, 1.5, 5},
    {"sin asin", (ag_sin), (ag_asin), identity, -0.9, 0.9, 4},
    {"cos acos", (ag_cos), (ag_acos), identity, 0.1, 0.6, 30},
    {"asinh sinh", (ag_asinh), (ag_sinh), identity, -20, 20, 5},
    {"acosh cosh", (ag_acosh), (ag_cosh), identity, 1, 20, 5},
    {"atanh tanh", (ag_atanh), (ag_tanh), identity, -0.5, 0.5, 8},
};

enum { POINTS = 2000 };

static ag_tensor *spread(ag_dtype d, double low, double high) {
    double x[POINTS];
    for (int i = 0; i < POINTS; i++) x[i] = low + (high - low) * (i + 0.5) / POINTS;
    return tensor_of(tape, d, AG_SHAPE(POINTS), x);
}

START_TEST(inverses_undo) {
    ag_tensor *x = spread(AG_F64, identities[_i].low, identities[_i].high);
    ag_tensor *inner = identities[_i].g ? identities[_i].g(x) : ag_mul(x, ag_square(x));
    const double *want = ag_data(identities[_i].h(x));
    expecting(identities[_i].name);
    expect_near(identities[_i].f(inner), POINTS, want, identities[_i].ulps, 0);
    expecting("");
}
END_TEST

/* cosh² − sinh² = 1, as (cosh − sinh)·(cosh + sinh); arcsin x + arccos x = π/2; the angle of (cos t, sin t) is t. */
START_TEST(functions_fit_together) {
    static double ones[POINTS], halves[POINTS];
    for (int i = 0; i < POINTS; i++) ones[i] = 1, halves[i] = acos(0.0);
    ag_tensor *x = spread(AG_F64, -0.3, 0.3), *c = ag_cosh(x), *s = ag_sinh(x);
    expect_near(ag_mul(ag_sub(c, s), ag_add(c, s)), POINTS, ones, 6, 0);
    ag_tensor *u = spread(AG_F64, -1, 1);
    expect_near(ag_add(ag_asin(u), ag_acos(u)), POINTS, halves, 3, 0);
    ag_tensor *t = spread(AG_F64, -3.1, 3.1);
    expect_near(ag_atan2(ag_sin(t), ag_cos(t)), POINTS, ag_data(t), 3, 0);
}
END_TEST

/* Γ(x + 1) = x·Γ(x), and so for ψ and its derivative; the sum of two reflected values; the order 0 is ψ. */
START_TEST(gamma_functions_recur_and_reflect) {
    static double cotangent[POINTS], sine[POINTS];
    ag_tensor *x = spread(AG_F64, 0.1, 20), *next = ag_add_scalar(x, 1), *over = ag_rdiv_scalar(1, x);
    expect_near(ag_sub(ag_lgamma(next), ag_log(x)), POINTS, ag_data(ag_lgamma(x)), 4, 4);
    expect_near(ag_sub(ag_digamma(next), over), POINTS, ag_data(ag_digamma(x)), 4, 4);
    expect_near(ag_add(ag_polygamma(1, next), ag_square(over)), POINTS, ag_data(ag_polygamma(1, x)), 6, 0);
    expect_same(ag_polygamma(0, x), ag_digamma(x));
    ag_tensor *u = spread(AG_F64, -3.99, -3.01), *mirrored = ag_rsub_scalar(1, u);
    const double *at = ag_data(u), pi = acos(-1.0);
    for (int i = 0; i < POINTS; i++) {
        sine[i] = log(pi / fabs(sin(pi * (at[i] + 3)))), cotangent[i] = pi / tan(pi * (at[i] + 3));
    }
    expect_near(ag_add(ag_lgamma(u), ag_lgamma(mirrored)), POINTS, sine, 10, 10);
    expect_near(ag_sub(ag_digamma(mirrored), ag_digamma(u)), POINTS, cotangent, 40, 40);
}
END_TEST

/* B(a, b) at both ends of a large b, where the logarithms of Γ have no digits in common with the result's; B(a, 1) is
 * 1/a, B(a, b + 1) is B(a, b)·b/(a + b). */
START_TEST(beta_does_not_cancel) {
    static const double a[] = {1e-10, 5, 20, 1e6, 2.5}, b[] = {1e10, 1e12, 30, 2e6, 1e300};
    static const double want[] = {23.02585092758015, -134.9770517493048, -33.968820791977383, -1909548.290968533,
                                  -1726.6541368750613};
    ag_tensor *p = tensor_of(tape, AG_F64, AG_SHAPE(5), a), *q = tensor_of(tape, AG_F64, AG_SHAPE(5), b);
    expect_near(ag_lbeta(p, q), 5, want, 3, 0);
    expect_near(ag_lbeta(q, p), 5, want, 3, 0);
    ag_tensor *x = spread(AG_F64, 0.1, 40), *y = ag_rsub_scalar(41, x), *ratio = ag_div_scalar(y, 41);
    expect_near(ag_lbeta(x, ag_scalar(tape, AG_F64, 1)), POINTS, ag_data(ag_neg(ag_log(x))), 12, 4);
    expect_near(ag_lbeta(x, ag_add_scalar(y, 1)), POINTS, ag_data(ag_add(ag_lbeta(x, y), ag_log(ratio))), 12, 4);
}
END_TEST

/* a + b overflows, and ln B(a, b) does not: mpmath's. */
START_TEST(beta_of_huge_numbers) {
    const double a = _i == AG_F32 ? 0x1.14d66ap+127 : 1e308,
                 want = _i == AG_F32 ? -0x1.7fc742p+127 : -1.3862943611198906e308;
    ag_tensor *huge = ag_scalar(tape, (ag_dtype)_i, a);
    expect_near(ag_lbeta(huge, huge), 1, &want, 2, 0);
}
END_TEST

/* B(a, b) is (a + b)/(a·b) divided by a binomial coefficient, (a + b)! / (a!·b!), for whole a and b. */
START_TEST(beta_of_small_numbers) {
    enum { MOST = 8 };
    double a[MOST * MOST], b[MOST * MOST], want[MOST * MOST];
    for (int i = 0; i < MOST * MOST; i++) {
        a[i] = i % MOST + 1, b[i] = i / MOST + 1, want[i] = 1;
        for (int k = 1; k < (int)a[i]; k++) want[i] *= k / (b[i] + k); /* (a − 1)!·b!/(a + b − 1)! */
        want[i] = log(want[i] / b[i]);
    }
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(MOST * MOST), a),
              *y = tensor_of(tape, AG_F64, AG_SHAPE(MOST * MOST), b);
    expect_near(ag_lbeta(x, y), MOST * MOST, want, 3, 3);
}
END_TEST

/* mpmath's, of 1000 digits: the slope of ln B(a, b) by a, and the slope of that by a, where ψ(a) and ψ(a + b) have few or
 * no digits that differ, and at both ends of either. */
enum { FAR_PAIRS = 9 };
static const double far_a[2][FAR_PAIRS] = {{1e5, 0x1p30, 1e8, 0x1p60, 0x1p20, 3, 0x1p-30, 0x1p-20, 0.75},
                                           {1e5, 0x1p60, 1e15, 1e300, 0x1p30, 3, 0x1p-70, 0x1p-40, 0.75}};
static const double far_b[2][FAR_PAIRS] = {{1, 1, 0.5, 0x1p-6, 0x1p14, 0x1p-60, 0x1p-50, 0x1p30, 0x1p100},
                                           {1, 1, 0.5, 1e-5, 0x1p20, 0x1p-80, 0x1p-90, 0x1p50, 1e300}};
static const double far_slopes[2][FAR_PAIRS] = {
    {-1.0000000000000001e-05, -9.3132257461547852e-10, -5.0000000125000003e-09, -1.3552527156068805e-20,
     -0.015504193871923849, -3.4255069861230605e-19, -1023.9990234384313, -1048597.3716295124, -70.400578935780999},
    {-1.0000000000000001e-05, -8.6736173798840355e-19, -5.0000000000000014e-16, -1e-305, -0.00097608597350976262,
     -3.2668180333357434e-25, -1125898833101824, -1099511627811.2346, -691.86138877800022}};
static const double far_bends[2][FAR_PAIRS] = {
    {1e-10, 8.6736173798840355e-19, 5.0000000249999998e-17, 1.1754943508222875e-38, 1.4671926444696395e-08,
     1.3367241889701962e-19, 2199020109828, 1099511627777.645, 2.5418796476716063},
    {1e-10, 7.5231638452626401e-37, 5.0000000000000022e-31, 0, 9.0860739071455332e-13, 1.2747995271398508e-25,
     2.6584521886228668e+36, 1.2089258196146292e+24, 2.5418796476716063}};

START_TEST(slopes_of_beta_do_not_cancel) {
    ag_tensor *a = ag_parameter_from(tensor_of(tape, (ag_dtype)_i, AG_SHAPE(FAR_PAIRS), far_a[_i - AG_F32]));
    ag_tensor *b = ag_parameter_from(tensor_of(tape, (ag_dtype)_i, AG_SHAPE(FAR_PAIRS), far_b[_i - AG_F32])), *slope;
    for (int swapped = 0; swapped < 2; swapped++) {
        ag_grad(ag_sum(swapped ? ag_lbeta(b, a) : ag_lbeta(a, b)), 1, &a, &slope);
        expect_near(slope, FAR_PAIRS, far_slopes[_i - AG_F32], 4, 0);
        ag_grad(ag_sum(slope), 1, &a, &slope);
        expect_near(slope, FAR_PAIRS, far_bends[_i - AG_F32], 6, 0);
    }
    ag_tensor *n = ag_parameter_from(ag_scalar(tape, (ag_dtype)_i, 0x1p20)), *two = ag_scalar(tape, (ag_dtype)_i, 2);
    ag_tensor *x = ag_parameter_from(ag_scalar(tape, (ag_dtype)_i, 1 - 0x1p-20));
    ag_grad(ag_betainc(n, two, x), 1, &x, &slope);
    ag_grad(slope, 1, &n, &slope);
    expect_near(slope, 1, (double[]){0.36787944117117743}, 16, 0);
    expect_ok(tape);
}
END_TEST

START_TEST(orders_have_bounds) {
    ag_tensor *x = ag_parameter_from(ag_scalar(tape, AG_F64, 3)), *dx;
    ag_polygamma(-1, x);
    expect_error(tape, AG_ERR_RANGE, "polygamma");
    ag_polygamma(171, x);
    expect_error(tape, AG_ERR_RANGE, "polygamma");
    ck_assert_double_gt(-ag_item(ag_polygamma(170, x)), 0);
    ck_assert_int_eq(ag_grad(ag_polygamma(170, x), 1, &x, &dx), AG_ERR_RANGE);
}
END_TEST

/* ---- Incomplete functions ---- */

/* mpmath's, of 50 digits: a, x, P, Q; a, b, x, I. */
static const double gamma_rows[][4] = {
    {1e-08, 0.5, 0.99999999440226402, 5.5977359770995871e-9},
    {1e-08, 3, 0.99999999986951619, 1.3048381341654404e-10},
    {0.01, 1e-05, 0.8963367982671972, 0.1036632017328028},
    {0.5, 40, 1.0, 3.7440973842028988e-19},
    {2.5, 1e-06, 3.0090089629618841e-16, 0.9999999999999997},
    {9.9, 30, 0.99999368278078311, 6.3172192168930321e-6},
    {30, 24.5, 0.15596768929585028, 0.84403231070414972},
    {100, 160, 0.99999985579775495, 1.4420224505352737e-7},
    {500, 365.5, 1.5296131262922324e-11, 0.99999999998470387},
    {1000, 810.5, 7.3422444176182304e-11, 0.99999999992657756},
    {1000, 1632.5, 1.0, 2.8839404708587191e-64},
    {10000.0, 9400, 4.6485246081212703e-10, 0.99999999953514754},
    {10000.0, 10100, 0.84134875044717962, 0.15865124955282038},
};
static const double beta_rows[][4] = {
    {1e-08, 2, 0.5, 0.99999999806852818},       {2, 1e-08, 0.75, 6.3629436190803803e-9},
    {1, 1e-06, 0.99999, 1.1512859191502732e-5}, {0.5, 0.5, 1e-12, 6.3661977236768744e-7},
    {5, 0.01, 0.999, 0.047204119992922756},     {7, 7, 0.5, 0.5},
    {40, 0.3, 0.9, 0.0016498609185848325},      {3, 200, 0.001, 0.0011665631531165757},
    {150, 600, 0.21, 0.75627167417972693},      {600, 150, 0.7, 2.3563912932261589e-10},
    {3000, 2, 0.999, 0.19884957599214478},      {3000, 3000, 0.49, 0.060656763529347602},
};

static ag_tensor *lower_tail(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_sum(ag_gammainc(x[0], x[1]));
}
static ag_tensor *upper_tail(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_sum(ag_gammaincc(x[0], x[1]));
}
static ag_tensor *beta_tail(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_sum(ag_betainc(x[0], x[1], x[2]));
}

static void near_relative(double got, double want, double error, int row) {
    ck_assert_msg(fabs(got / want - 1) < error, "row %d: %.17g, not %.17g", row, got, want);
}

START_TEST(incomplete_functions_are_exact_in_both_tails) {
    for (int i = 0; i < COUNT(gamma_rows); i++) {
        const double *r = gamma_rows[i], error = r[0] > 100 ? 1e-13 : 2e-14;
        ag_tensor *a = ag_scalar(tape, AG_F64, r[0]), *x = ag_scalar(tape, AG_F64, r[1]);
        near_relative(ag_item(ag_gammainc(a, x)), r[2], error, i);
        near_relative(ag_item(ag_gammaincc(a, x)), r[3], error, i);
    }
    for (int i = 0; i < COUNT(beta_rows); i++) {
        const double *r = beta_rows[i];
        ag_tensor *v[3];
        for (int k = 0; k < 3; k++) v[k] = ag_scalar(tape, AG_F64, r[k]);
        near_relative(ag_item(ag_betainc(v[0], v[1], v[2])), r[3], r[0] + r[1] > 1000 ? 6e-13 : 1e-13, i);
    }
    expect_ok(tape);
}
END_TEST

/* A number of many, each of them tiny: I(x; 1, b) = 1 − (1 − x)^b, whose slopes are by x b·(1 − x)^(b − 1) and by b
 * −(1 − x)^b·ln(1 − x); and I(x; a, b) is near P(a, b·x), with the slope of that by a. */
START_TEST(incomplete_beta_of_tiny_x_has_its_digits) {
    const double many[] = {1e3, 1e6, 1e10, 1e14, 1e17, 1e30, 1e100, 1e250}, mean[] = {0.3, 1.5, 2, 5, 20, 60};
    for (int i = 0; i < COUNT(many) * COUNT(mean); i++) {
        const double b = many[i / COUNT(mean)], m = mean[i % COUNT(mean)], log_rest = log1p(-m / b);
        ag_tensor *v[] = {ag_scalar(tape, AG_F64, 1), ag_scalar(tape, AG_F64, b), ag_scalar(tape, AG_F64, m / b)},
                  *d[3];
        ag_tensor *y = ag_betainc(v[0], v[1], v[2]);
        ag_grad(y, 3, v, d);
        near_relative(ag_item(y), -expm1(b * log_rest), 1e-12, i);
        near_relative(ag_item(d[1]), exp(b * log_rest) * -log_rest, 1e-11, i);
        near_relative(ag_item(d[2]), b * exp((b - 1) * log_rest), 1e-12, i);
        for (int k = 0; k < 2 && b > 1e13; k++) {
            ag_tensor *a = ag_scalar(tape, AG_F64, k ? 0.3 : 4), *of_a[2];
            ag_tensor *sum[] = {ag_betainc(a, v[1], v[2]), ag_gammainc(a, ag_mul(v[1], v[2]))};
            for (int j = 0; j < 2; j++) ag_grad(sum[j], 1, &a, &of_a[j]);
            near_relative(ag_item(sum[0]), ag_item(sum[1]), 1e-11, i);
            near_relative(ag_item(of_a[0]), ag_item(of_a[1]), 1e-9, i);
        }
    }
    expect_ok(tape);
}
END_TEST

/* No product of large and tiny numbers overflows, or becomes NaN: by x, and by tiny a and b. Of these I(x; a, b) is
 * near b/(a + b), and x̄ near a·b/((a + b)·x·(1 − x)). */
START_TEST(incomplete_functions_have_gradients_at_far_parameters) {
    const double at[][3] = {{1e-200, 1, 0.1},       {1e-300, 0.3, 1e-20},   {0.3, 1e-300, 0.9},
                            {1e-300, 1e-300, 0.25}, {1e-310, 1e-310, 0.25}, {1e300, 1, 1e-20},
                            {1e300, 1, 0.5},        {1, 1e300, 1e-300},     {1e-30, 1e200, 1e-200},
                            {1e15, 1e300, 1e-300},  {0.3, 1e-300, 5e-324},  {1e300, 1e-320, 0.1}};
    for (int i = 0; i < COUNT(at); i++) {
        ag_tensor *v[3], *d[3];
        for (int k = 0; k < 3; k++) v[k] = ag_scalar(tape, AG_F64, at[i][k]);
        ag_grad(ag_betainc(v[0], v[1], v[2]), 3, v, d);
        for (int k = 0; k < 3; k++) ck_assert_msg(isfinite(ag_item(d[k])), "row %d: d[%d] is %g", i, k, ag_item(d[k]));
        if (i == 0) near_relative(ag_item(d[0]), log(0.1), 1e-12, i);
        if (i == 3 || i == 4) near_relative(ag_item(d[2]), at[i][0] / 2 / (0.25 * 0.75), i == 3 ? 1e-12 : 1e-8, i);
        if (i == 10) near_relative(log(ag_item(d[2])), log(1e-300) - 0.7 * log(5e-324), 1e-12, i);
    }
    ag_tensor *a = ag_scalar(tape, AG_F64, 1e300), *x = ag_scalar(tape, AG_F64, 1e-30), *dx;
    ag_grad(ag_gammainc(a, x), 1, &x, &dx);
    ck_assert(ag_item(dx) == 0);
    expect_ok(tape);
}
END_TEST

static void has_gradients(ag_function *f, int n, const double *v) {
    ag_tensor *x[3];
    for (int k = 0; k < n; k++) x[k] = ag_scalar(tape, AG_F64, v[k]);
    for (int order = 1; order < 3; order++) {
        ag_gradcheck_report report;
        ck_assert_msg(ag_gradcheck(f, NULL, n, x, &(ag_gradcheck_options){.order = order}, &report) == AG_OK,
                      "%g, %g: %s", v[0], v[1], report.message);
    }
}

/* Series, fractions and quadrature, on both sides of the mean. */
START_TEST(incomplete_functions_have_two_gradients_by_their_parameters) {
    const double gamma_places[][2] = {{0.3, 0.1}, {0.3, 2}, {4, 1}, {20, 30}, {300, 280}, {300, 330}, {2000, 2050}};
    const double beta_places[][3] = {{0.3, 0.6, 0.1}, {0.3, 0.6, 0.9}, {5, 2, 0.2},      {5, 2, 0.9},
                                     {30, 1, 0.99},   {2, 60, 0.01},   {700, 900, 0.43}, {700, 900, 0.46},
                                     {4, 3000, 1e-3}, {3000, 4, 0.999}};
    for (int i = 0; i < COUNT(gamma_places); i++) {
        has_gradients(lower_tail, 2, gamma_places[i]);
        has_gradients(upper_tail, 2, gamma_places[i]);
    }
    for (int i = 0; i < COUNT(beta_places); i++) has_gradients(beta_tail, 3, beta_places[i]);
    ag_tensor *v[] = {ag_scalar(tape, AG_F64, 2), ag_scalar(tape, AG_F64, 3), ag_scalar(tape, AG_F64, 0.25)}, *d[3];
    for (int beta = 0; beta < 2; beta++) {
        d[0] = beta ? ag_betainc(v[0], v[1], v[2]) : ag_gammainc(v[0], v[2]);
        for (int order = 0; order < 2; order++) ag_grad(d[0], 1, v, d);
        expect_ok(tape);
        ag_grad(d[0], 1, v, d);
        expect_error(tape, AG_ERR_GRADIENT, "no third derivative");
    }
}
END_TEST

/* 0 and 1 where P is constant; NaN where a limit depends on the path. */
START_TEST(incomplete_functions_have_limits) {
    const double inf = (double)INFINITY,
                 at[][4] = {{0, 2, 1, 0},   {0, 0, NAN, NAN},     {2, 0, 0, 1},      {inf, 2, 0, 1},
                            {2, inf, 1, 0}, {inf, inf, NAN, NAN}, {-1, 2, NAN, NAN}, {2, -1, NAN, NAN}};
    for (int i = 0; i < COUNT(at); i++) {
        ag_tensor *a = ag_scalar(tape, AG_F64, at[i][0]), *x = ag_scalar(tape, AG_F64, at[i][1]), *d;
        expect_near(ag_gammainc(a, x), 1, &at[i][2], 0, 0);
        expect_near(ag_gammaincc(a, x), 1, &at[i][3], 0, 0);
        ag_grad(ag_gammainc(a, x), 1, &x, &d);
        if (isinf(at[i][1]) != isinf(at[i][0])) ck_assert(ag_item(d) == 0);
        ag_grad(ag_gammainc(a, x), 1, &a, &d);
        if (isinf(at[i][1]) != isinf(at[i][0])) ck_assert(ag_item(d) == 0);
    }
    const double of_beta[][4] = {{0, 2, 0.5, 1},   {2, 0, 0.5, 0},       {0, 0, 0.5, NAN}, {inf, 2, 0.5, 0},
                                 {2, inf, 0.5, 1}, {inf, inf, 0.5, NAN}, {2, 3, 0, 0},     {2, 3, 1, 1},
                                 {2, 3, 1.5, NAN}, {2, 3, -0.5, NAN}};
    for (int i = 0; i < COUNT(of_beta); i++) {
        ag_tensor *v[3];
        for (int k = 0; k < 3; k++) v[k] = ag_scalar(tape, AG_F64, of_beta[i][k]);
        ag_tensor *y = ag_betainc(v[0], v[1], v[2]), *d[3];
        expect_near(y, 1, &of_beta[i][3], 0, 0);
        ag_grad(y, 3, v, d);
        for (int k = 0; k < 3 && isinf(of_beta[i][0]) != isinf(of_beta[i][1]); k++) ck_assert(ag_item(d[k]) == 0);
    }
}
END_TEST

/* ---- Ends ---- */

static ag_tensor *trigamma(ag_tensor *x) { return ag_polygamma(1, x); }

/* f(x) is y exactly, the sign of a zero included, in both dtypes. */
static const struct {
    function *f;
    double x, y;
} ends[] = {
    {(ag_exp2), INFINITY, INFINITY},
    {(ag_exp2), -INFINITY, 0},
    {(ag_exp2), 10, 1024},
    {(ag_exp2), -3, 0.125},
    {(ag_log2), 0, -INFINITY},
    {(ag_log2), -0.0, -INFINITY},
    {(ag_log2), INFINITY, INFINITY},
    {(ag_log2), -1, NAN},
    {(ag_log2), 8, 3},
    {(ag_log2), 0x1p-140, -140},
    {(ag_log10), 0, -INFINITY},
    {(ag_log10), INFINITY, INFINITY},
    {(ag_log10), 1000, 3},
    {(ag_log10), 10, 1},
    {(ag_log10), 1e10, 10},
    {(ag_cbrt), -0.0, -0.0},
    {(ag_cbrt), -INFINITY, -INFINITY},
    {(ag_cbrt), 27, 3},
    {(ag_cbrt), -0x1p-147, -0x1p-49},
    {(ag_cbrt), 1000, 10},
    {(ag_lgamma), 1, 0},
    {(ag_lgamma), 2, 0},
    {(ag_lgamma), -0.0, INFINITY},
    {(ag_lgamma), -3, INFINITY},
    {(ag_lgamma), -1e300, INFINITY},
    {(ag_lgamma), INFINITY, INFINITY},
    {(ag_lgamma), -INFINITY, INFINITY},
    {(ag_digamma), 0, -INFINITY},
    {(ag_digamma), -0.0, INFINITY},
    {(ag_digamma), -2, NAN},
    {(ag_digamma), INFINITY, INFINITY},
    {(ag_digamma), -INFINITY, NAN},
    {trigamma, 0, INFINITY},
    {trigamma, -4, INFINITY},
    {trigamma, INFINITY, 0},
    {trigamma, NAN, NAN},
    {(ag_tan), -0.0, -0.0},
    {(ag_tan), INFINITY, NAN},
    {(ag_tan), -INFINITY, NAN},
    {(ag_asin), -0.0, -0.0},
    {(ag_asin), 1.5, NAN},
    {(ag_acos), 1, 0},
    {(ag_acos), -1.5, NAN},
    {(ag_atan), -0.0, -0.0},
    {(ag_sinh), -0.0, -0.0},
    {(ag_sinh), -INFINITY, -INFINITY},
    {(ag_sinh), 1e4, INFINITY},
    {(ag_cosh), 0, 1},
    {(ag_cosh), -INFINITY, INFINITY},
    {(ag_cosh), -1e4, INFINITY},
    {(ag_asinh), -0.0, -0.0},
    {(ag_asinh), -INFINITY, -INFINITY},
    {(ag_acosh), 1, 0},
    {(ag_acosh), 0.5, NAN},
    {(ag_acosh), -3, NAN},
    {(ag_acosh), INFINITY, INFINITY},
    {(ag_atanh), -0.0, -0.0},
    {(ag_atanh), -1, -INFINITY},
    {(ag_atanh), 1, INFINITY},
    {(ag_atanh), 1.5, NAN},
};

START_TEST(ends_are_exact) {
    for (int d = AG_F32; d <= AG_F64; d++)
        for (int i = 0; i < COUNT(ends); i++) {
            char what[60];
            snprintf(what, sizeof what, "end %d, x = %g, %s", i, ends[i].x, ag_dtype_name((ag_dtype)d));
            expecting(what);
            ag_tensor *x = tensor_of(tape, (ag_dtype)d, AG_SCALAR, &ends[i].x);
            const double y = ag_item(ends[i].f(x)), want = ends[i].y;
            ck_assert_msg(isnan(want) ? isnan(y) : y == want && !signbit(y) == !signbit(want), "%s: %g", what, y);
        }
    expecting("");
}
END_TEST

/* NaN in, NaN out. */
START_TEST(nan_stays) {
    const double nan = (double)NAN;
    for (int d = AG_F32; d <= AG_F64; d++) {
        ag_tensor *x = tensor_of(tape, (ag_dtype)d, AG_SCALAR, &nan), *one = ag_scalar(tape, (ag_dtype)d, 1);
        for (int f = 0; f < FUNCTIONS; f++)
            ck_assert_msg(isnan(ag_item(functions[f].call(x))), "%s", functions[f].name);
        ck_assert(isnan(ag_item(ag_atan2(x, one))) && isnan(ag_item(ag_atan2(one, x))));
    }
}
END_TEST

/* C says what atan2 is at zeros and infinities; f32 to its own rounding. */
START_TEST(angles_at_zeros_and_infinities) {
    static const double place[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, 0x1p-149, -0x1p-126, FLT_MAX, 1e-10};
    for (int i = 0; i < COUNT(place); i++)
        for (int k = 0; k < COUNT(place); k++) {
            const double want = atan2(place[i], place[k]);
            for (int d = AG_F32; d <= AG_F64; d++) {
                ag_tensor *a = tensor_of(tape, (ag_dtype)d, AG_SCALAR, &place[i]);
                const double y = ag_item(ag_atan2(a, tensor_of(tape, (ag_dtype)d, AG_SCALAR, &place[k])));
                ck_assert_msg(near_value((ag_dtype)d, y, held((ag_dtype)d, want), 1, 0) &&
                                  !signbit(y) == !signbit(want),
                              "atan2(%g, %g) = %g", place[i], place[k], y);
            }
        }
}
END_TEST

/* The slopes of atan2 and asinh are right where the square of an input overflows. */
START_TEST(slopes_do_not_overflow) {
    for (int d = AG_F32; d <= AG_F64; d++) {
        const double big = d == AG_F32 ? 0x1p120 : 0x1p1000, small = d == AG_F32 ? 0x1p-120 : 0x1p-1000;
        ag_tensor *a = ag_parameter_from(ag_scalar(tape, (ag_dtype)d, big));
        expect_near(slope(ag_asinh(a), a), 1, (const double[]){small}, 1, 0);
        expect_near(slope(ag_atan2(a, a), a), 1, (const double[]){0}, 0, 0);
        ag_tensor *b = ag_scalar(tape, (ag_dtype)d, big), *c = ag_scalar(tape, (ag_dtype)d, small);
        expect_near(slope(ag_atan2(a, b), a), 1, (const double[]){small / 2}, 1, 0);
        ag_tensor *e = ag_parameter_from(c);
        expect_near(slope(ag_atan2(e, c), e), 1, (const double[]){big / 2}, 1, 0);
        expect_near(slope(ag_acosh(a), a), 1, (const double[]){small}, 1, 0);
    }
}
END_TEST

/* ---- Kernels and machine code ---- */

enum { MANY = 1 << 20 };

static int64_t many(void) { return by_length(MANY / 16, MANY / 8, MANY); }

/* Numbers of every size: bit patterns without order, every other one between −4 and 4. */
static void fill(ag_dtype d, void *x) {
    uint64_t state = 1;
    for (int64_t i = 0; i < many(); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const uint64_t bits = state ^ state >> 29;
        const double near = (double)(int64_t)bits * 0x1p-61;
        if (d == AG_F32) memcpy((float *)x + i, &(uint32_t){(uint32_t)(bits >> 16)}, 4);
        else memcpy((double *)x + i, &bits, 8);
        if (i % 2) element_put(d, x, i, near);
    }
}

static ag_tensor *angle_of_pair(ag_tensor *x) { return ag_atan2(x, ag_flip(x, 0)); }

static void same_in_machine_code(function *call, ag_dtype d, const void *x, const char *name) {
    setenv("AG_ISA", "none", 1);
    ag_tape *plain = ag_tape_new();
    unsetenv("AG_ISA");
    ag_tensor *want = call(ag_wrap(plain, d, AG_SHAPE(many()), (void *)(uintptr_t)x));
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *got = call(ag_wrap(tape, d, AG_SHAPE(many()), (void *)(uintptr_t)x));
    expecting(name);
    expect_same(got, want);
    expecting("");
    ag_tape_rewind(tape, mark);
    ag_tape_free(plain);
}

START_TEST(kernels_and_machine_code_agree) {
    void *x = malloc(MANY * sizeof(double));
    for (int d = AG_F32; d <= AG_F64; d++) {
        fill((ag_dtype)d, x);
        for (int f = 0; f < FUNCTIONS; f++) same_in_machine_code(functions[f].call, (ag_dtype)d, x, functions[f].name);
        same_in_machine_code(angle_of_pair, (ag_dtype)d, x, "atan2");
    }
    free(x);
}
END_TEST

/* The derivatives by parameters have slopes by x at both orders, and none by the parameters at the second. */
typedef struct derivative {
    const ag_op *op;
    int n, part; /* the last input is x */
    ag_tensor *const *parameter;
} derivative;

static ag_tensor *derivative_by_x(void *context, int n, ag_tensor *const x[]) {
    const derivative *d = context;
    ag_tensor *in[3];
    for (int i = 0; i < d->n - 1; i++) in[i] = d->parameter[i];
    in[d->n - 1] = x[0];
    return (void)n, ag_apply(d->op, d->n, in, &(double){d->part}, sizeof(double));
}

START_TEST(derivatives_by_parameters_have_slopes) {
    ag_tensor *p[] = {tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){0.7, 2.5, 4}),
                      tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){1.5, 0.6, 3})};
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(3), (double[]){0.3, 0.55, 0.8}), *dp;
    for (int beta = 0; beta < 2; beta++)
        for (int part = 1; part <= (beta ? 5 : 2); part++) {
            derivative d = {beta ? &ag__op_betainc_slope : &ag__op_gammainc_slope, 2 + beta, part, p};
            ag_gradcheck_report report;
            ag_gradcheck(derivative_by_x, &d, 1, &x, NULL, &report);
            ck_assert_msg(report.passed, "%s, part %d: %s", d.op->name, part, report.message);
            for (int i = 0; i <= beta && part > 1 + beta; i++) {
                ck_assert_int_eq(ag_grad(ag_sum(derivative_by_x(&d, 1, &x)), 1, &p[i], &dp), AG_ERR_GRADIENT);
                expect_error(tape, AG_ERR_GRADIENT,
                             beta ? "betainc: a (3), b (3) and c (3): has no third derivative by its parameters"
                                  : "gammainc: a (3) and b (3): has no third derivative by its parameters");
            }
        }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("special");
    TCase *exact = tape_group(suite, "exact"), *identity_group = tape_group(suite, "identities");
    tcase_add_loop_test(exact, values_and_derivatives_are_exact, 0, FUNCTIONS);
    tcase_add_loop_test(identity_group, inverses_undo, 0, COUNT(identities));
    tcase_add_test(identity_group, functions_fit_together);
    tcase_add_test(identity_group, gamma_functions_recur_and_reflect);
    tcase_add_test(identity_group, beta_does_not_cancel);
    tcase_add_loop_test(identity_group, beta_of_huge_numbers, AG_F32, AG_F64 + 1);
    tcase_add_test(identity_group, beta_of_small_numbers);
    tcase_add_loop_test(identity_group, slopes_of_beta_do_not_cancel, AG_F32, AG_F64 + 1);
    tcase_add_test(identity_group, orders_have_bounds);
    TCase *incomplete = tape_group(suite, "incomplete");
    tcase_add_test(incomplete, incomplete_functions_are_exact_in_both_tails);
    tcase_add_test(incomplete, incomplete_beta_of_tiny_x_has_its_digits);
    tcase_add_test(incomplete, incomplete_functions_have_gradients_at_far_parameters);
    tcase_add_test(incomplete, incomplete_functions_have_two_gradients_by_their_parameters);
    tcase_add_test(incomplete, incomplete_functions_have_limits);
    TCase *at_ends = tape_group(suite, "ends");
    tcase_add_test(at_ends, ends_are_exact);
    tcase_add_test(at_ends, nan_stays);
    tcase_add_test(at_ends, angles_at_zeros_and_infinities);
    tcase_add_test(at_ends, slopes_do_not_overflow);
    tcase_add_test(at_ends, derivatives_by_parameters_have_slopes);
    tcase_add_test(tape_group(suite, "code"), kernels_and_machine_code_agree);
    return run_suite(suite);
}
