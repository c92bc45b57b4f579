/* judge_incomplete -- the incomplete gamma and beta functions and the derivatives of digamma at any precision, by series of
 * terms of one sign: see judge.h */
#ifndef TESTS_JUDGE_INCOMPLETE_H
#define TESTS_JUDGE_INCOMPLETE_H

#include <mpfr.h>

/* P(a, x) for a, x > 0. */
void judge_gammainc(mpfr_t y, double a, double x);

/* I(x; a, b) for a, b > 0 and 0 < x < 1. */
void judge_betainc(mpfr_t y, double a, double b, double x);

/* The n-th derivative of digamma for n ≥ 1 at x + more > −1000 that is no pole; *size is the sum of its terms' magnitudes. */
void judge_polygamma(mpfr_t y, double *size, int n, double x, double more);

#endif
