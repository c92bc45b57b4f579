/* judge -- functions of real numbers at any precision, by MPFR: the judge of the library's
 *
 * Each rounds its result to the precision of y, and is right to nearly all of its bits; where digits cancel on the way,
 * it computes with more. NaN, infinities and zeros as the library's headers have them. */
#ifndef TESTS_JUDGE_H
#define TESTS_JUDGE_H

#include "autograd/autograd.h"

#include <mpfr.h>

typedef void judge_one(mpfr_t y, const mpfr_t x);
typedef void judge_two(mpfr_t y, const mpfr_t a, const mpfr_t b);

typedef struct judged {
    const char *name;
    ag_tensor *(*one)(ag_tensor *x);
    ag_tensor *(*two)(ag_tensor *a, ag_tensor *b);
    judge_one *exactly;
    judge_two *of_two;
    bool slope;        /* it has a derivative, which is judged by differences of values that are nearly exact */
    int share;         /* one in so many points is judged: for those that take long */
    double special[6]; /* points to look around, until the first 0, beside those that all functions have */
    /* Errors of values and of slopes are relative to these where they are larger; or NULL. */
    double (*size)(double a, double b), (*slope_size)(double a, double b);
} judged;

extern const judged judged_functions[];
extern const int judged_count;

#endif
