/* gamma -- the gamma function's logarithm, its derivatives, and the beta function
 *
 * Each derivative is an operation of its own, as in special.c. The derivatives of digamma have kernels instead of a
 * formula: the number of their steps depends on the order, and f32 is rounded from f64. */
#include "autograd/trace.h"
#include "ops/incomplete.h"
#include "ops/rules.h"

#define AG_ONLY_TRACE
#include "ops/special_formulas.h"

static double polygamma_at(double x, int n);

#define AG_ONLY_TRACE
#include "ops/gamma_formulas.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Derivatives of digamma ---- */

enum { MOST_ORDER = 170 }; /* the largest n for which n! is an f64 */

/* n!/a^(n + 1) for a > 0: no part of it is beyond the range unless the whole is. Of many factors the errors are added
 * up: `rest` is what y lacks. */
static double power_term(int n, double a) {
    enum { FEW = 2 };
    const double inverse = 1 / a;
    double y = inverse, rest = fma(-inverse, a, 1) * inverse;
    for (int k = 1; k <= n && n <= FEW; k++) y *= k / a;
    if (n <= FEW) return y;
    for (int k = 1; k <= n; k++) {
        const double q = k / a, product = y * q;
        rest = fma(rest, q, fma(y, fma(-q, a, k) * inverse, fma(y, q, -product)));
        y = product;
    }
    return isfinite(rest) ? y + rest : y;
}

/* n! times the sum of (a + k)^−(n + 1) over k >= 0 for a > 0, n >= 1: terms, and from n + 11 on the Euler–Maclaurin
 * formula, with B(2j)/(2j)!. */
static double power_sum(int n, double a) {
    static const double c[] = {1. / 12,
                               -1. / 720,
                               1. / 30240,
                               -1. / 1209600,
                               1. / 47900160,
                               -691. / 1307674368000,
                               1. / 74724249600,
                               -3617. / 10670622842880000,
                               43867. / 5109094217170944000,
                               -174611. / 802857662698291200000.};
    double y = 0, k = 0, at = a, lack = 0; /* a + k is `at`, and `lack` of it: the power takes that n + 1 times */
    for (; at < n + 11; lack = (a - (at - k)) / at) {
        y += power_term(n, at) * (1 - (n + 1) * lack);
        at = a + ++k;
    }
    const double whole = power_term(n - 1, at) * (1 - n * lack), last = whole * (1 - lack) * n / at;
    double tail = 0.5 * last, factor = last * (n + 1) / at;
    for (int j = 0; j < 10; j++) {
        tail += c[j] * factor;
        factor *= (n + 2 * j + 2) / at * ((n + 2 * j + 3) / at);
    }
    return y + (whole + tail);
}

/* n! times the sum of (d + k)^−(n + 1) over all whole numbers k, for d in (0, ½]; `mirror` is (−1)^(n + 1). The two
 * largest terms come first, because they may cancel. */
static double power_sum_of_all(int n, double d, double mirror) {
    return power_term(n, d) + mirror * power_term(n, 1 - d) + power_sum(n, 1 + d) + mirror * power_sum(n, 2 - d);
}

/* The sum that power_sum is, for x < 0: over all whole k less that over k < 0. The first is the same, or its negative,
 * for the distance to the nearest whole number. */
static double power_sum_below(int n, double x) {
    const double d = x - rint(x), mirror = n % 2 ? 1 : -1;
    return (d < 0 ? mirror : 1) * power_sum_of_all(n, fabs(d), mirror) - mirror * power_sum(n, 1 - x);
}

static double polygamma_at(double x, int n) {
    const double sign = n % 2 ? 1 : -1;
    if (isnan(x)) return x;
    if (x <= 0 && x == rint(x)) return sign * (double)INFINITY;
    if (x > DBL_MAX) return sign * 0;
    return sign * (x <= 0 ? power_sum_below(n, x) : power_sum(n, x));
}

/* ---- Order 1, in vectors ---- */

enum { LANES = 8 };

/* z³ times what ψ′(z) is more than 1/z + 1/(2z²), by 1/z², for z >= 5. */
static const double trigamma_tail[] = {0x1.9a8b821914cbep+3,  -0x1.2a1b09fce1242p+2, 0x1.12b4860a47a77p+0,
                                       -0x1.00c95ea34e47fp-2, 0x1.362623269b6b4p-4,  -0x1.11104971e164bp-5,
                                       0x1.86185f43c792ep-6,  -0x1.1111111042531p-5, 0x1.5555555555489p-3};
AG__ALWAYS_INLINE double of_nine(const double *c, double x) {
    double y = c[0];
    AG__UNROLLED for (int k = 1; k < 9; k++) y = y * x + c[k];
    return y;
}

/* ψ′(x) in place of x, for whole groups of lanes. Below 5 there are five terms more, as one quotient. For x < 0 it is
 * (π/sin πx)² − ψ′(1 − x); far below every number is a pole. */
AG_BLOCK_KERNEL(void, trigamma, (int64_t n, double *y), (n, y)) {
    for (; n > 0; n -= LANES, y += LANES) AG_SIMD for (int i = 0; i < LANES; i++) {
            const double x = y[i], z = x < 0 ? 1 - x : x, q = z * z, q1 = (z + 1) * (z + 1), q2 = (z + 2) * (z + 2);
            const double q3 = (z + 3) * (z + 3), q4 = (z + 4) * (z + 4), q01 = q * q1, q23 = q2 * q3;
            const double over = q01 * q23, above = (q + q1) * q23 + (q2 + q3) * q01;
            const double near = (above * q4 + over) / (over * q4);
            const double r = 1 / (z < 5 ? z + 5 : z), v = r * r;
            const double positive = (r + v * (0.5 + r * of_nine(trigamma_tail, v))) + (z < 5 ? near : 0);
            const double d = x - rint(x), root = 1 / (d * of_nine(sinpi_wide, d * d));
            y[i] = x < 0 ? (x < -DBL_MAX ? (double)INFINITY : root * root) - positive : positive;
        }
}

static void trigammas(int64_t n, double *y) {
    trigamma(n, y);
    ag__leave_vectors();
}

double ag__trigamma(double x) {
    double y[LANES] = {x};
    trigammas(1, y);
    return *y;
}

void ag__by_order(ag_dtype dtype, int64_t count, void *y, const void *x, const double *n, double f(double x, int n)) {
    enum { STRIP = AG__LIMIT(128, 2 * LANES) };
    const int64_t bytes = dtype == AG_F32 ? sizeof(float) : sizeof(double);
    for (int64_t start = 0; start < count; start += STRIP) {
        const int64_t m = count - start < STRIP ? count - start : STRIP;
        double v[STRIP] = {0};
        char *to = (char *)y + start * bytes;
        ag__widen(dtype, m, v, (const char *)x + start * bytes);
        if (f == polygamma_at && *n == 1) trigammas(m, v);
        else
            for (int64_t i = 0; i < m; i++) v[i] = f(v[i], (int)*n);
        if (dtype == AG_F32) ag__narrow(m, (float *)(void *)to, v);
        else memcpy(to, v, (size_t)m * sizeof *v);
    }
}
static void polygamma_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    ag__by_order(AG_F32, n, y, x[0], attributes, polygamma_at);
}
static void polygamma_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    ag__by_order(AG_F64, n, y, x[0], attributes, polygamma_at);
}

bool ag__order_infer(ag_infer *r) {
    const double n = *(const double *)r->attributes;
    return (n >= 0 && n <= MOST_ORDER && n == floor(n)) ||
           ag_reject(r, AG_ERR_RANGE, "the order must be a whole number from 0 to %d", (int)MOST_ORDER);
}

AG_WITH_NUMBER(polygamma, "polygamma({d0}, {0})", ag__slope_mul(g, ag_polygamma((int)s + 1, x)),
               .flags = AG_OP_HIDES_NOTHING, .domain = {{.above = 0, .below = INFINITY}}, .infer = ag__order_infer,
               .block = {[AG_F32] = polygamma_f32, [AG_F64] = polygamma_f64});

ag_tensor *ag_polygamma(int n, ag_tensor *x) {
    ag_tensor *nil;
    if (!ag__real_inputs("polygamma", 1, &x, &nil)) return nil;
    if (n == 0) return ag_digamma(x);
    if (n < 0 || n > MOST_ORDER)
        return ag__fail("polygamma", 1, &x, AG_ERR_RANGE, "order %d is not in 0 … %d", n, (int)MOST_ORDER);
    return ag_apply(&ag__op_polygamma, 1, &x, &(double){n}, sizeof(double));
}

double ag__lgamma_1p(double u) {
    enum { COUNT = sizeof lgamma_wide / sizeof *lgamma_wide };
    double y = lgamma_wide[0];
    for (int k = 1; k < COUNT; k++) y = y * (u - 0.5) + lgamma_wide[k];
    return u * (u - 1) * y;
}

/* ---- The logarithm of the gamma function, and its derivative ---- */

AG_UNARY(digamma, "digamma({0})", ag__slope_mul(g, ag_polygamma(1, x)), .domain = {{.above = 0, .below = INFINITY}},
         AG_FORMULA_TRACE(digamma));
ag_tensor *ag_digamma(ag_tensor *x) { return ag__apply1(&ag__op_digamma, x); }

AG_UNARY(lgamma, "lgamma({0})", ag__slope_mul(g, ag_digamma(x)), .domain = {{.above = 0, .below = INFINITY}},
         AG_FORMULA_TRACE(lgamma));
ag_tensor *ag_lgamma(ag_tensor *x) { return ag__apply1(&ag__op_lgamma, x); }

/* ---- The beta function ---- */

/* ψ(a) − ψ(a + b), and that of ψ′: of each the first derivative is that of the next, of b alone the second. */
static ag_tensor *step_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = y->input[0], *b = y->input[1];
    const bool bent = y->op == &ag__op_lbeta_bend;
    if (i == 0 && !bent) return ag__slope_mul(g, ag__lbeta_bend(a, b));
    ag_tensor *slope = ag_neg(ag_polygamma(1 + bent, ag_add(a, b)));
    return ag__slope_mul(g, i == 0 ? ag_add(ag_polygamma(2, a), slope) : slope);
}
AG_ELEMENTWISE(lbeta_bend, 2, "polygamma(1, {0}) - polygamma(1, {0} + {1})", .vjp = step_vjp,
               .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}},
               AG_FORMULA_TRACE(lbeta_bend));
ag_tensor *ag__lbeta_bend(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_lbeta_bend, a, b); }

AG_ELEMENTWISE(lbeta_slope, 2, "digamma({0}) - digamma({0} + {1})", .vjp = step_vjp,
               .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}},
               AG_FORMULA_TRACE(lbeta_slope));
ag_tensor *ag__lbeta_slope(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_lbeta_slope, a, b); }

static ag_tensor *lbeta_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag__slope_mul(g, ag__lbeta_slope(y->input[i], y->input[1 - i]));
}
AG_ELEMENTWISE(lbeta, 2, "lbeta({0}, {1})", .flags = AG_OP_COMMUTES, .vjp = lbeta_vjp,
               .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}}, AG_FORMULA_TRACE(lbeta));
ag_tensor *ag_lbeta(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_lbeta, a, b); }
