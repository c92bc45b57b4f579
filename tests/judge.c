/* judge -- see judge.h */
#include "tests/judge.h"

#include <math.h>
#include <stdlib.h>

#define N MPFR_RNDN

/* ---- By MPFR alone ---- */

#define BY(name, function)                                                                                             \
    static void name(mpfr_t y, const mpfr_t x) { function(y, x, N); }
BY(abs_of, mpfr_abs)
BY(acos_of, mpfr_acos)
BY(acosh_of, mpfr_acosh)
BY(asin_of, mpfr_asin)
BY(asinh_of, mpfr_asinh)
BY(atan_of, mpfr_atan)
BY(atanh_of, mpfr_atanh)
BY(cbrt_of, mpfr_cbrt)
BY(ceil_of, mpfr_rint_ceil)
BY(cos_of, mpfr_cos)
BY(cosh_of, mpfr_cosh)
BY(erf_of, mpfr_erf)
BY(erfc_of, mpfr_erfc)
BY(exp2_of, mpfr_exp2)
BY(exp_of, mpfr_exp)
BY(expm1_of, mpfr_expm1)
BY(floor_of, mpfr_rint_floor)
BY(log10_of, mpfr_log10)
BY(log1p_of, mpfr_log1p)
BY(log2_of, mpfr_log2)
BY(log_of, mpfr_log)
BY(neg_of, mpfr_neg)
BY(round_of, mpfr_rint_roundeven)
BY(rsqrt_of, mpfr_rec_sqrt)
BY(sin_of, mpfr_sin)
BY(sinh_of, mpfr_sinh)
BY(sqrt_of, mpfr_sqrt)
BY(square_of, mpfr_sqr)
BY(tan_of, mpfr_tan)
BY(tanh_of, mpfr_tanh)
BY(trunc_of, mpfr_rint_trunc)
#undef BY

#define BY(name, function)                                                                                             \
    static void name(mpfr_t y, const mpfr_t a, const mpfr_t b) { function(y, a, b, N); }
BY(add_of, mpfr_add)
BY(atan2_of, mpfr_atan2)
BY(div_of, mpfr_div)
BY(fmod_of, mpfr_fmod)
BY(hypot_of, mpfr_hypot)
BY(mul_of, mpfr_mul)
BY(pow_of, mpfr_pow)
BY(sub_of, mpfr_sub)
#undef BY

/* ---- Composed, with numbers of more digits on the way ---- */

enum { SCRATCH = 8, MORE = 32 };
static mpfr_t scratch[SCRATCH], more_scratch[SCRATCH];

/* Before the point. */
static mpfr_prec_t digits_of(const mpfr_t x) { return mpfr_regular_p(x) && mpfr_get_exp(x) > 0 ? mpfr_get_exp(x) : 0; }

static mpfr_prec_t exponent_of(const mpfr_t x) { return mpfr_regular_p(x) ? labs(mpfr_get_exp(x)) : 0; }

/* Numbers t[…] to compute with, of `bits` more than y has. */
static mpfr_t *numbers_of(mpfr_t t[SCRATCH], const mpfr_t y, mpfr_prec_t bits) {
    static bool begun;
    for (int i = 0; i < SCRATCH && !begun; i++) {
        mpfr_init(scratch[i]);
        mpfr_init(more_scratch[i]);
    }
    begun = true;
    for (int i = 0; i < SCRATCH; i++) mpfr_set_prec(t[i], mpfr_get_prec(y) + bits);
    return t;
}

static mpfr_t *numbers(const mpfr_t y, mpfr_prec_t bits) { return numbers_of(scratch, y, bits); }

/* 1/(1 + e^−x) */
static void sigmoid_of(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers(y, MORE);
    mpfr_neg(t[0], x, N);
    mpfr_exp(t[0], t[0], N);
    mpfr_add_ui(t[0], t[0], 1, N);
    mpfr_ui_div(y, 1, t[0], N);
}

static void softplus_of(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers(y, MORE);
    mpfr_abs(t[0], x, N);
    mpfr_neg(t[0], t[0], N);
    mpfr_exp(t[0], t[0], N);
    mpfr_log1p(t[0], t[0], N);
    if (mpfr_sgn(x) > 0) mpfr_add(y, t[0], x, N);
    else mpfr_set(y, t[0], N);
}

static void softsign_of(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers(y, MORE);
    mpfr_abs(t[0], x, N);
    mpfr_add_ui(t[0], t[0], 1, N);
    mpfr_div(y, x, t[0], N);
}

static void relu_of(mpfr_t y, const mpfr_t x) {
    if (mpfr_nan_p(x) || mpfr_sgn(x) > 0) mpfr_set(y, x, N);
    else mpfr_set_zero(y, 1);
}

static void sign_of(mpfr_t y, const mpfr_t x) {
    if (mpfr_nan_p(x) || mpfr_zero_p(x)) mpfr_set(y, x, N);
    else mpfr_set_si(y, mpfr_sgn(x), N);
}

/* ln(x/(1 − x)); near ½ the quotient's logarithm would cancel less than the difference of two. */
static void logit_of(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers(y, MORE + exponent_of(x) + mpfr_get_prec(x));
    mpfr_ui_sub(t[0], 1, x, N);
    mpfr_div(t[0], x, t[0], N);
    mpfr_log(y, t[0], N);
}

/* sin πx/(πx) with x reduced exactly, to −1 … 1 */
static void sinc_of(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers(y, MORE + mpfr_get_prec(x));
    if (mpfr_zero_p(x)) {
        mpfr_set_ui(y, 1, N);
        return;
    }
    mpfr_const_pi(t[0], N);
    mpfr_set_ui(t[1], 2, N);
    mpfr_remainder(t[2], x, t[1], N);
    if (mpfr_integer_p(t[2])) mpfr_set_zero(t[2], mpfr_sgn(x));
    if (mpfr_inf_p(x)) mpfr_set_zero(t[2], 1);
    mpfr_mul(t[2], t[2], t[0], N);
    mpfr_sin(t[2], t[2], N);
    mpfr_mul(t[0], t[0], x, N);
    mpfr_div(y, t[2], t[0], N);
}

/* Its slope crosses 0 between whole numbers. */
static double sinc_slope_size(double x, double b) { return (void)b, fabs(x) > 1 ? 1 / fabs(x) : 0; }

/* ---- The error function's family ---- */

enum { FAR = 10000, TERMS = 120 };

/* e^x²·erfc x for x > FAR: 1/(x·√π)·Σ (−1)^k·(2k − 1)!!/(2x²)^k, which there is as good as exact. */
static void erfcx_far(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers_of(more_scratch, y, MORE);
    mpfr_sqr(t[0], x, N);
    mpfr_mul_2ui(t[0], t[0], 1, N);
    mpfr_set_ui(t[1], 1, N);
    mpfr_set_ui(t[2], 1, N);
    for (unsigned long k = 1; k < TERMS; k++) {
        mpfr_mul_ui(t[1], t[1], 2 * k - 1, N);
        mpfr_div(t[1], t[1], t[0], N);
        mpfr_neg(t[1], t[1], N);
        mpfr_add(t[2], t[2], t[1], N);
        if (exponent_of(t[1]) > mpfr_get_prec(t[2])) break;
    }
    mpfr_const_pi(t[0], N);
    mpfr_sqrt(t[0], t[0], N);
    mpfr_mul(t[0], t[0], x, N);
    mpfr_div(y, t[2], t[0], N);
}

static void erfcx_of(mpfr_t y, const mpfr_t x) {
    if (mpfr_cmp_ui(x, FAR) > 0) {
        erfcx_far(y, x);
        return;
    }
    mpfr_t *t = numbers_of(more_scratch, y, MORE + 2 * digits_of(x));
    mpfr_sqr(t[0], x, N);
    mpfr_exp(t[0], t[0], N);
    mpfr_erfc(t[1], x, N);
    mpfr_mul(y, t[0], t[1], N);
}

/* ½·erfc(−x/√2) */
static void ndtr_of(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers(y, MORE + 2 * digits_of(x));
    mpfr_sqrt_ui(t[0], 2, N);
    mpfr_div(t[0], x, t[0], N);
    mpfr_neg(t[0], t[0], N);
    mpfr_erfc(t[0], t[0], N);
    mpfr_div_2ui(y, t[0], 1, N);
}

/* x < 0: −x²/2 + ln(erfcx(−x/√2)/2); x > 0: ln(1 − Φ(−x)) */
static void log_ndtr_of(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers(y, MORE);
    if (mpfr_sgn(x) > 0) {
        mpfr_sqrt_ui(t[0], 2, N);
        mpfr_div(t[0], x, t[0], N);
        mpfr_erfc(t[0], t[0], N);
        mpfr_div_2ui(t[0], t[0], 1, N);
        mpfr_neg(t[0], t[0], N);
        mpfr_log1p(y, t[0], N);
        return;
    }
    mpfr_sqrt_ui(t[0], 2, N);
    mpfr_div(t[0], x, t[0], N);
    mpfr_neg(t[0], t[0], N);
    erfcx_of(t[1], t[0]);
    mpfr_div_2ui(t[1], t[1], 1, N);
    mpfr_log(t[1], t[1], N);
    mpfr_sqr(t[2], x, N);
    mpfr_div_2ui(t[2], t[2], 1, N);
    mpfr_sub(y, t[1], t[2], N);
}

/* x·Φ(x) */
static void gelu_of(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers_of(more_scratch, y, MORE);
    if (mpfr_inf_p(x) && mpfr_sgn(x) < 0) mpfr_set_zero(y, -1);
    else {
        ndtr_of(t[7], x);
        mpfr_mul(y, t[7], x, N);
    }
}

/* Its slope crosses 0 at −0.75. */
static double gelu_slope_size(double x, double b) { return (void)b, x > -1 && x < -0.5 ? 0.25 : 0; }

/* A rough y with erfc y = q <= 1, to begin with (Abramowitz and Stegun, 26.2.22). */
static double rough_erfcinv(const mpfr_t q) {
    mpfr_t half;
    mpfr_init2(half, 64);
    mpfr_div_2ui(half, q, 1, N);
    mpfr_log(half, half, N);
    const double t = sqrt(-2 * mpfr_get_d(half, N));
    mpfr_clear(half);
    return (t - (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t))) / sqrt(2);
}

/* The y with erfc y = q <= 1, by Newton's method for ln erfc y = ln q, which from t[1] = ln q goes on until it stands. */
static void erfcinv_of(mpfr_t y, const mpfr_t q) {
    mpfr_t *t = numbers(y, MORE);
    mpfr_log(t[1], q, N);
    mpfr_const_pi(t[2], N);
    mpfr_sqrt(t[2], t[2], N);
    mpfr_div_2ui(t[2], t[2], 1, N);
    mpfr_set_d(t[0], rough_erfcinv(q), N);
    for (int i = 0; i < 20; i++) { /* y += √π/2·e^y²·erfc y·(ln erfc y − ln q) */
        mpfr_sqr(t[3], t[0], N);
        mpfr_exp(t[3], t[3], N);
        mpfr_mul(t[3], t[3], t[2], N);
        mpfr_erfc(t[4], t[0], N);
        mpfr_mul(t[3], t[3], t[4], N);
        mpfr_log(t[4], t[4], N);
        mpfr_sub(t[4], t[4], t[1], N);
        mpfr_mul(t[3], t[3], t[4], N);
        mpfr_add(t[0], t[0], t[3], N);
        if (!mpfr_regular_p(t[3]) || mpfr_get_exp(t[3]) < mpfr_get_exp(t[0]) - mpfr_get_prec(y) / 2 - 8) break;
    }
    mpfr_set(y, t[0], N);
}

/* The y with erf y = x for |x| < ½, likewise. */
static void erfinv_near(mpfr_t y, const mpfr_t x) {
    mpfr_t *t = numbers(y, MORE);
    mpfr_const_pi(t[2], N);
    mpfr_sqrt(t[2], t[2], N);
    mpfr_div_2ui(t[2], t[2], 1, N);
    mpfr_mul(t[0], x, t[2], N);
    for (int i = 0; i < 20 && mpfr_regular_p(x); i++) {
        mpfr_sqr(t[3], t[0], N);
        mpfr_exp(t[3], t[3], N);
        mpfr_mul(t[3], t[3], t[2], N);
        mpfr_erf(t[4], t[0], N);
        mpfr_sub(t[4], t[4], x, N);
        mpfr_mul(t[3], t[3], t[4], N);
        mpfr_sub(t[0], t[0], t[3], N);
        if (!mpfr_regular_p(t[3]) || mpfr_get_exp(t[3]) < mpfr_get_exp(t[0]) - mpfr_get_prec(y) / 2 - 8) break;
    }
    mpfr_set(y, t[0], N);
}

static void erfinv_of(mpfr_t y, const mpfr_t x) {
    if (mpfr_nan_p(x) || mpfr_cmpabs_ui(x, 1) > 0) mpfr_set_nan(y);
    else if (mpfr_cmpabs_ui(x, 1) == 0) mpfr_set_inf(y, mpfr_sgn(x));
    else if (mpfr_cmp_d(x, 0.5) < 0 && mpfr_cmp_d(x, -0.5) > 0) erfinv_near(y, x);
    else {
        mpfr_t *t = numbers_of(more_scratch, y, mpfr_get_prec(x));
        mpfr_abs(t[7], x, N);
        mpfr_ui_sub(t[7], 1, t[7], N);
        erfcinv_of(y, t[7]);
        if (mpfr_sgn(x) < 0) mpfr_neg(y, y, N);
    }
}

/* −√2·erfcinv(2x) for x < ¼, and likewise for 1 − x; between, √2·erfinv(2x − 1) */
static void ndtri_of(mpfr_t y, const mpfr_t x) {
    if (mpfr_nan_p(x) || mpfr_sgn(x) < 0 || mpfr_cmp_ui(x, 1) > 0) {
        mpfr_set_nan(y);
        return;
    }
    if (mpfr_zero_p(x) || mpfr_cmp_ui(x, 1) == 0) {
        mpfr_set_inf(y, mpfr_zero_p(x) ? -1 : 1);
        return;
    }
    mpfr_t *t = numbers_of(more_scratch, y, mpfr_get_prec(x));
    const bool low = mpfr_cmp_d(x, 0.25)<0, high = mpfr_cmp_d(x, 0.75)> 0;
    mpfr_mul_2ui(t[7], x, 1, N);
    if (high) mpfr_ui_sub(t[7], 2, t[7], N);
    else if (!low) mpfr_sub_ui(t[7], t[7], 1, N);
    if (low || high) erfcinv_of(t[6], t[7]);
    else erfinv_near(t[6], t[7]);
    if (low) mpfr_neg(t[6], t[6], N);
    mpfr_sqrt_ui(t[7], 2, N);
    mpfr_mul(y, t[6], t[7], N);
}

/* ---- The gamma function's family ---- */

static void lgamma_of(mpfr_t y, const mpfr_t x) {
    int sign;
    mpfr_lgamma(y, &sign, x, N);
}

/* −∞ at 0 and ∞ at −0, where MPFR has NaN. */
static void digamma_of(mpfr_t y, const mpfr_t x) {
    if (mpfr_zero_p(x)) mpfr_set_inf(y, mpfr_signbit(x) ? 1 : -1);
    else mpfr_digamma(y, x, N);
}

/* Below 0 values are differences of terms as large as these: digits cancel beside the zeros between poles. */
static double lgamma_size(double x, double b) { return (void)b, x < 0 ? 1 + fabs(x) * log1p(fabs(x)) : 0; }
static double digamma_size(double x, double b) { return (void)b, x < 0 ? 1 + log1p(fabs(x)) : 0; }

/* Digits cancel beside B = 1. */
static double lbeta_size(double a, double b) { return (void)a, (void)b, 1; }

/* Numbers are above 0. With the larger one M and the smaller one m, terms are up to M·ln M, and the result is about m,
 * or judged relative to 1: so many digits cancel. −∞ at ∞. */
static void lbeta_of(mpfr_t y, const mpfr_t a, const mpfr_t b) {
    enum { LOGARITHMS = 16 };
    int sign;
    if (mpfr_inf_p(a) || mpfr_inf_p(b)) {
        mpfr_set_inf(y, -1);
        return;
    }
    mpfr_t *t = numbers(y, MORE + LOGARITHMS + labs(digits_of(a) - digits_of(b)));
    mpfr_add(t[0], a, b, N);
    mpfr_lgamma(t[0], &sign, t[0], N);
    mpfr_lgamma(t[1], &sign, a, N);
    mpfr_lgamma(t[2], &sign, b, N);
    mpfr_add(t[1], t[1], t[2], N);
    mpfr_sub(y, t[1], t[0], N);
}

/* ---- Of two numbers ---- */

static void copysign_of(mpfr_t y, const mpfr_t a, const mpfr_t b) {
    mpfr_setsign(y, a, mpfr_signbit(b) && !mpfr_nan_p(b), N);
}

static void maximum_of(mpfr_t y, const mpfr_t a, const mpfr_t b) {
    if (mpfr_nan_p(a) || mpfr_nan_p(b)) mpfr_set_nan(y);
    else mpfr_max(y, a, b, N);
}

static void minimum_of(mpfr_t y, const mpfr_t a, const mpfr_t b) {
    if (mpfr_nan_p(a) || mpfr_nan_p(b)) mpfr_set_nan(y);
    else mpfr_min(y, a, b, N);
}

/* The remainder with the sign of b. */
static void remainder_of(mpfr_t y, const mpfr_t a, const mpfr_t b) {
    mpfr_t *t = numbers(y, MORE);
    mpfr_fmod(t[0], a, b, N);
    if (mpfr_zero_p(t[0])) mpfr_setsign(y, t[0], mpfr_signbit(b), N);
    else if (!mpfr_nan_p(t[0]) && mpfr_signbit(t[0]) != mpfr_signbit(b)) mpfr_add(y, t[0], b, N);
    else mpfr_set(y, t[0], N);
}

/* (a − remainder)/b, a whole number. */
static void floor_divide_of(mpfr_t y, const mpfr_t a, const mpfr_t b) {
    mpfr_t *t = numbers(y, MORE + exponent_of(a) + exponent_of(b) + 128);
    if (!mpfr_number_p(a) || !mpfr_regular_p(b)) {
        mpfr_div(t[0], a, b, N);
        if (mpfr_number_p(a) && mpfr_inf_p(b) && mpfr_sgn(a) * mpfr_sgn(b) < 0) mpfr_set_si(t[0], -1, N);
        mpfr_set(y, t[0], N);
        return;
    }
    mpfr_fmod(t[0], a, b, N);
    const bool below = !mpfr_zero_p(t[0]) && mpfr_signbit(t[0]) != mpfr_signbit(b);
    mpfr_sub(t[0], a, t[0], N);
    mpfr_div(t[0], t[0], b, N);
    if (below) mpfr_sub_ui(t[0], t[0], 1, N);
    mpfr_set(y, t[0], N);
}

static void logaddexp_of(mpfr_t y, const mpfr_t a, const mpfr_t b) {
    mpfr_t *t = numbers(y, MORE + mpfr_get_prec(a));
    maximum_of(t[0], a, b);
    minimum_of(t[1], a, b);
    if (mpfr_inf_p(t[0]) || mpfr_nan_p(t[0])) {
        mpfr_set(y, t[0], N);
        return;
    }
    mpfr_sub(t[1], t[1], t[0], N);
    mpfr_exp(t[1], t[1], N);
    mpfr_log1p(t[1], t[1], N);
    mpfr_add(y, t[0], t[1], N);
}

/* ln(e^a + e^b) crosses 0 where e^a + e^b = 1. */
static double logaddexp_size(double a, double b) { return fmax(fmin(fabs(a), fabs(b)), exp(-fabs(a - b))); }

static void product_with_log(mpfr_t y, const mpfr_t a, const mpfr_t b, judge_one *log) {
    mpfr_t *t = numbers(y, MORE);
    if (mpfr_zero_p(a) && !mpfr_nan_p(b)) {
        mpfr_set_zero(y, 1);
        return;
    }
    log(t[0], b);
    mpfr_mul(y, a, t[0], N);
}

static void xlogy_of(mpfr_t y, const mpfr_t a, const mpfr_t b) { product_with_log(y, a, b, log_of); }
static void xlog1py_of(mpfr_t y, const mpfr_t a, const mpfr_t b) { product_with_log(y, a, b, log1p_of); }

/* ---- The table ---- */

/* clang-format off */
#define ONE(name, slope, share, ...) {#name, ag_##name, NULL, name##_of, NULL, slope, share, {__VA_ARGS__}, NULL, NULL}
#define TWO(name, share, size) {#name, NULL, ag_##name, NULL, name##_of, false, share, {0}, size, NULL}
#define SIZED(name, share, size, slope_size, ...)                                                                      \
    {#name, ag_##name, NULL, name##_of, NULL, true, share, {__VA_ARGS__}, size, slope_size}

const judged judged_functions[] = {
    ONE(abs, false, 1, 0),
    ONE(acos, true, 1, 0),
    ONE(acosh, true, 1, 0),
    TWO(add, 1, NULL),
    ONE(asin, true, 1, 0),
    ONE(asinh, true, 1, 0),
    ONE(atan, true, 1, 0),
    TWO(atan2, 1, NULL),
    ONE(atanh, true, 1, 0),
    ONE(cbrt, true, 1, 0),
    ONE(ceil, false, 1, 0),
    TWO(copysign, 1, NULL),
    ONE(cos, true, 1, 0),
    ONE(cosh, true, 1, 710.4758600739439, 89.4159862),
    SIZED(digamma, 2, digamma_size, NULL, 1.4616321449683623, -0.5040830082644554, -1.573498473162390, -2.610720868444144, -10.48),
    TWO(div, 1, NULL),
    ONE(erf, true, 1, 0.84375, 1.25, 5.9215871957945083, 3.832506856900711),
    ONE(erfc, true, 1, 0.84375, 1.25, 26.543258430632299, 27.22601799, 9.194549, 10.0544),
    ONE(erfcx, true, 1, -26.628735713751, -9.38241396, 67108864, 4096),
    ONE(erfinv, true, 4, 0.9970703125, 0.5),
    ONE(exp, true, 1, 709.782712893384, -745.1332191019412, 88.722839, -103.972084),
    ONE(exp2, true, 1, 1024, -1074, -1022, 128, -149, -126),
    ONE(expm1, true, 1, 709.782712893384, 88.722839, -36.7, -17.3),
    ONE(floor, false, 1, 0),
    TWO(floor_divide, 1, NULL),
    TWO(fmod, 1, NULL),
    SIZED(gelu, 1, NULL, gelu_slope_size, -38.4674056172733, -14.17, -0.7517915246935645),
    TWO(hypot, 1, NULL),
    TWO(lbeta, 4, lbeta_size),
    SIZED(lgamma, 2, lgamma_size, digamma_size, -2.4570247382208006, -2.7476826467274127, -3.1435808883499799, -3.9552942848585979, 2.5567e305, 8),
    ONE(log, true, 1, 0),
    ONE(log10, true, 1, 10, 100, 1000, 1e22),
    ONE(log1p, true, 1, 0),
    ONE(log2, true, 1, 0),
    ONE(log_ndtr, true, 1, -38.4674056172733, 38.4674056172733, 8.29, -14.17),
    TWO(logaddexp, 1, logaddexp_size),
    ONE(logit, true, 1, 0),
    TWO(maximum, 1, NULL),
    TWO(minimum, 1, NULL),
    TWO(mul, 1, NULL),
    ONE(ndtr, true, 1, -38.4674056172733, -14.17, -13, 8.29),
    ONE(ndtri, true, 4, 0.02425, 0.97575, 0.25, 0.75),
    ONE(neg, false, 1, 0),
    TWO(pow, 1, NULL),
    ONE(relu, false, 1, 0),
    TWO(remainder, 1, NULL),
    ONE(round, false, 1, 0),
    ONE(rsqrt, true, 1, 0),
    ONE(sigmoid, true, 1, -709.782712893384, -745.1332191019412, -88.722839, -103.972084, 36.7, 17.3),
    ONE(sign, false, 1, 0),
    ONE(sin, true, 1, 0x1p20, -0x1p20),
    SIZED(sinc, 1, NULL, sinc_slope_size, 0x1p20),
    ONE(sinh, true, 1, 710.4758600739439, 89.4159862),
    ONE(softplus, true, 1, -709.782712893384, -745.1332191019412, -88.722839, -103.972084, 36.7, 17.3),
    ONE(softsign, true, 1, 0),
    ONE(sqrt, true, 1, 0),
    ONE(square, true, 1, 0),
    TWO(sub, 1, NULL),
    ONE(tan, true, 1, 0x1p20, -0x1p20),
    ONE(tanh, true, 1, 19.0615474653985, 9.01, 0.625),
    ONE(trunc, false, 1, 0),
    TWO(xlog1py, 1, NULL),
    TWO(xlogy, 1, NULL),
};
/* clang-format on */

const int judged_count = sizeof judged_functions / sizeof *judged_functions;
