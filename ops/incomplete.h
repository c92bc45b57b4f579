/* incomplete -- the incomplete gamma and beta functions as numbers, with their derivatives by the parameters */
#ifndef AG_INCOMPLETE_H
#define AG_INCOMPLETE_H

#include "autograd/tape/op.h"

/* ---- Functions of numbers: ln x, e^x, ln(1 + x) ---- */

double ag__ln(double x);
double ag__e_to(double x);
double ag__ln_1_plus(double x);

/* e^x, or ln x, in place. */
void ag__each(const ag_op *op, int n, double *x);

/* ln Γ(k + 1) − ln(√(2πk)·(k/e)^k) for k > 0; k·ln(k/m) + m − k, which is small where k is near m. */
double ag__stirling_error(double k);
double ag__deviance(double k, double m);

/* ---- Gamma numbers ---- */

/* The slope of ln x by a, the probability of a gamma number below x held; to this rounding, for a > 0 and x < ∞. */
double ag__gamma_log_slope(double a, double x, double log_x, double rounding);

/* The same again: its slope by a, x held. */
double ag__gamma_log_bend(double a, double x, double log_x, double rounding);

/* ---- In gamma.c ---- */

/* ψ′(x) for x > 0; ln Γ(1 + u) for 0 <= u <= 1, with all digits. */
double ag__trigamma(double x);
double ag__lgamma_1p(double u);

#endif
