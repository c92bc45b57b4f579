/* peer_adolc -- programs of scalars by ADOL-C, which records them anew each time and differentiates them in reverse
 *
 * Each function writes the gradient to dx and returns the value. The operations and their order are those of
 * rows_scalars.c. */
#ifndef BENCH_PEER_ADOLC_H
#define BENCH_PEER_ADOLC_H

#ifdef __cplusplus
extern "C" {
#endif

double adolc_determinant(int n, const double *x, double *dx);              /* of an n×n matrix, row by row */
double adolc_ode(int n, int steps, double h, const double *x, double *dx); /* the sum of the state at the end */
double adolc_chain(int n, int length, const double *x, double *dx);

#ifdef __cplusplus
}
#endif

#endif
