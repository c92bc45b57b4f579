/* random_slopes -- a program's first and second gradients against finite differences, in f64
 *
 * The differences know nothing of the rules of differentiation: a program is run again with all its leaves moved along one
 * random line, and what it adds up to there must have the slope that its gradients say. */
#ifndef TESTS_RANDOM_SLOPES_H
#define TESTS_RANDOM_SLOPES_H

#include "tests/random_check.h"

/* AGREES if each slope is the gradient's, or could not be told from it where the line meets a kink; INVALID if the program
 * cannot be judged; DIFFERS otherwise. `report` says why. */
verdict check_slopes(const program *p, char *report);

typedef struct slope_tally { /* over all programs */
    int64_t judged, slopes;  /* programs, and slopes that agree to within TIGHT of the gradient's parts */
    int64_t by_gradcheck;    /* those that ag_gradcheck found right by better steps, */
    int64_t at_kinks;        /* or to lie between the slopes on both sides of a kink */
    int64_t adjoint;         /* programs whose ag_jvp is that of ag_vjp's, by some value on the way */
    int64_t unlike, untold;  /* programs left out: not of f64 alone; with results that no difference can tell */
} slope_tally;
extern slope_tally slope_totals;

#endif
