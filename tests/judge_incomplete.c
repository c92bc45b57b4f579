/* judge_incomplete -- see judge_incomplete.h */
#include <math.h>
#include <stdbool.h>

#include "tests/judge_incomplete.h"

#define N MPFR_RNDN

enum { SCRATCH = 8, MORE = 64 };

/* Numbers t[…] to compute with, of more bits than y has. */
static mpfr_t *numbers(const mpfr_t y) {
    static mpfr_t t[SCRATCH];
    static bool begun;
    for (int i = 0; i < SCRATCH && !begun; i++) mpfr_init(t[i]);
    begun = true;
    for (int i = 0; i < SCRATCH; i++) mpfr_set_prec(t[i], mpfr_get_prec(y) + MORE);
    return t;
}

static void lgamma_of(mpfr_t y, const mpfr_t x) {
    int sign;
    mpfr_lgamma(y, &sign, x, N);
}

/* Whether a term is beyond the digits of the sum, and the later ones too, which are less. */
static bool is_over(const mpfr_t term, const mpfr_t sum) {
    return !mpfr_regular_p(term) || mpfr_get_exp(term) < mpfr_get_exp(sum) - mpfr_get_prec(sum) - MORE / 2;
}

/* x^a·e^−x/Γ(a + 1)·Σ x^n/((a + 1)…(a + n)) */
void judge_gammainc(mpfr_t y, double a, double x) {
    mpfr_t *t = numbers(y);
    mpfr_set_d(t[0], x, N);
    mpfr_set_ui(t[1], 1, N); /* the term */
    mpfr_set_ui(t[2], 1, N); /* their sum */
    mpfr_set_d(t[3], a, N);
    for (long n = 1; n < 10 || a + (double)n < x || !is_over(t[1], t[2]); n++) {
        mpfr_mul(t[1], t[1], t[0], N);
        mpfr_add_ui(t[4], t[3], (unsigned long)n, N);
        mpfr_div(t[1], t[1], t[4], N);
        mpfr_add(t[2], t[2], t[1], N);
    }
    mpfr_log(t[4], t[0], N);
    mpfr_mul(t[4], t[4], t[3], N);
    mpfr_sub(t[4], t[4], t[0], N);
    mpfr_add_ui(t[5], t[3], 1, N);
    lgamma_of(t[6], t[5]);
    mpfr_sub(t[4], t[4], t[6], N);
    mpfr_exp(t[4], t[4], N);
    mpfr_mul(y, t[4], t[2], N);
}

/* x^a·(1 − x)^b/(a·B(a, b))·Σ (a + b)…(a + b + n − 1)/((a + 1)…(a + n))·x^n, with x in t[0] and 1 − x in t[1] */
static void beta_series(mpfr_t y, double a, double b, mpfr_t *t) {
    mpfr_set_ui(t[2], 1, N); /* the term */
    mpfr_set_ui(t[3], 1, N); /* their sum */
    mpfr_set_d(t[4], a, N);
    mpfr_add_d(t[5], t[4], b, N);
    for (long n = 1; n < 10 || !is_over(t[2], t[3]); n++) {
        mpfr_add_ui(t[6], t[5], (unsigned long)n - 1, N);
        mpfr_mul(t[2], t[2], t[6], N);
        mpfr_add_ui(t[6], t[4], (unsigned long)n, N);
        mpfr_div(t[2], t[2], t[6], N);
        mpfr_mul(t[2], t[2], t[0], N);
        mpfr_add(t[3], t[3], t[2], N);
    }
    mpfr_log(t[0], t[0], N);
    mpfr_mul(t[0], t[0], t[4], N);
    mpfr_log(t[1], t[1], N);
    mpfr_mul_d(t[1], t[1], b, N);
    mpfr_add(t[0], t[0], t[1], N);
    lgamma_of(t[6], t[5]); /* ln Γ(a + b) − ln Γ(a + 1) − ln Γ(b) */
    mpfr_add(t[0], t[0], t[6], N);
    mpfr_add_ui(t[4], t[4], 1, N);
    lgamma_of(t[6], t[4]);
    mpfr_sub(t[0], t[0], t[6], N);
    mpfr_set_d(t[4], b, N);
    lgamma_of(t[6], t[4]);
    mpfr_sub(t[0], t[0], t[6], N);
    mpfr_exp(t[0], t[0], N);
    mpfr_mul(y, t[0], t[3], N);
}

/* Beyond the mean the series of the other side is short, and 1 less it has lost no more digits than y has to spare. */
void judge_betainc(mpfr_t y, double a, double b, double x) {
    mpfr_t *t = numbers(y);
    const bool beyond = x > (a + 1) / (a + b + 2);
    mpfr_set_d(t[0], x, N);
    mpfr_ui_sub(t[1], 1, t[0], N);
    if (beyond) mpfr_swap(t[0], t[1]);
    beta_series(y, beyond ? b : a, beyond ? a : b, t);
    if (beyond) mpfr_ui_sub(y, 1, y, N);
}

/* ---- Derivatives of digamma ---- */

enum { TERMS = 40, FAR = 60 };

/* B(2j)/(2j)!, which is −(−1)^j·2·ζ(2j)/(2π)^2j */
static void make_bernoulli_part(mpfr_t y, unsigned long j) {
    mpfr_const_pi(y, N);
    mpfr_mul_2ui(y, y, 1, N);
    mpfr_pow_ui(y, y, 2 * j, N);
    mpfr_t zeta;
    mpfr_init2(zeta, mpfr_get_prec(y));
    mpfr_zeta_ui(zeta, 2 * j, N);
    mpfr_div(y, zeta, y, N);
    mpfr_mul_2ui(y, y, 1, N);
    if (j % 2 == 0) mpfr_neg(y, y, N);
    mpfr_clear(zeta);
}

/* With so many bits, until it is asked for with another number of bits. */
static mpfr_t *bernoulli_part(unsigned long j, mpfr_prec_t bits) {
    static mpfr_t part[TERMS + 1];
    static mpfr_prec_t known;
    for (unsigned long i = 1; bits != known && i <= TERMS; i++) {
        if (known == 0) mpfr_init(part[i]);
        mpfr_set_prec(part[i], bits);
        make_bernoulli_part(part[i], i);
    }
    known = bits;
    return &part[j];
}

static void sum_up(mpfr_t sum, double *size, const mpfr_t term) {
    mpfr_add(sum, sum, term, N);
    *size += fabs(mpfr_get_d(term, N));
}

/* −(−1)^n·n!·ζ(n + 1, x), by Euler and Maclaurin's formula from x + m on: with s = n + 1 and q = x + m it is q^(1−s)/(s − 1) +
 * q^−s/2 + Σ B(2j)/(2j)!·s·(s + 1)…(s + 2j − 2)·q^(1−s−2j) */
static void zeta_beyond(mpfr_t sum, double *size, unsigned long s, mpfr_t *t) {
    mpfr_pow_si(t[2], t[1], 1 - (long)s, N);
    mpfr_div_ui(t[3], t[2], s - 1, N);
    sum_up(sum, size, t[3]);
    mpfr_div(t[2], t[2], t[1], N);
    mpfr_div_2ui(t[3], t[2], 1, N);
    sum_up(sum, size, t[3]);
    mpfr_mul_ui(t[2], t[2], s, N);
    mpfr_div(t[2], t[2], t[1], N); /* s·q^(−1−s) */
    for (unsigned long j = 1; j <= TERMS; j++) {
        mpfr_mul(t[3], *bernoulli_part(j, mpfr_get_prec(sum)), t[2], N);
        mpfr_add(sum, sum, t[3], N);
        mpfr_mul_ui(t[2], t[2], (s + 2 * j - 1) * (s + 2 * j), N);
        mpfr_div(t[2], t[2], t[1], N);
        mpfr_div(t[2], t[2], t[1], N);
    }
}

void judge_polygamma(mpfr_t y, double *size, int n, double x, double more) {
    mpfr_t *t = numbers(y);
    *size = 0;
    mpfr_set_d(t[1], x, N);
    mpfr_add_d(t[1], t[1], more, N);
    mpfr_set_zero(t[0], 1);
    while (mpfr_cmp_si(t[1], FAR + n) < 0) {
        mpfr_pow_si(t[2], t[1], -1 - n, N);
        sum_up(t[0], size, t[2]);
        mpfr_add_ui(t[1], t[1], 1, N);
    }
    zeta_beyond(t[0], size, (unsigned long)n + 1, t);
    mpfr_fac_ui(t[2], (unsigned long)n, N);
    *size *= mpfr_get_d(t[2], N);
    mpfr_mul(y, t[0], t[2], N);
    if (n % 2 == 0) mpfr_neg(y, y, N);
}
