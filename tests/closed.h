/* closed -- the engine against closed forms: random shapes and values, plain loops over matrices, and a comparison to
 * 1e-10 relative
 *
 * A test of this kind is a function that runs some dozens of times, each time with other random numbers (the same in
 * every run) on the fixture's tape, which is rewound afterwards. Everything is f64 and row-major. */
#ifndef TESTS_CLOSED_H
#define TESTS_CLOSED_H

#include "tests/support.h"

/* Run `body` that many times; fewer in a small run. */
void in_random_cases(int cases, void (*body)(void));

/* ---- Random numbers, and memory that lasts until the case ends ---- */

double between(double low, double high);
int64_t whole(int64_t low, int64_t high); /* low <= result <= high */
bool coin(void);

double *room(int64_t n); /* zeros */
double *values(int64_t n, double low, double high);
int64_t *labels(int64_t n, int64_t classes);

/* A shape of rank 1 to 4 with extents from 1 to 5. */
ag_shape any_shape(void);

/* ---- Matrices ---- */

double *product(int64_t m, int64_t k, int64_t n, const double *a, const double *b); /* (m,k)·(k,n) */
double *flipped(int64_t m, int64_t n, const double *a);                             /* (m,n) -> (n,m) */
double *column_sums(int64_t m, int64_t n, const double *a);                         /* (m,n) -> (n) */
double *row_sums(int64_t m, int64_t n, const double *a);                            /* (m,n) -> (m) */
double *map(int64_t n, double (*f)(double), const double *a);
double *hadamard(int64_t n, const double *a, const double *b); /* elementwise product */
double largest(int64_t n, const double *a);                    /* of the absolute values */

/* ---- The engine ---- */

ag_tensor *constant_of(ag_shape shape, const double *data);
ag_tensor *parameter_of(ag_shape shape, const double *data);

/* dx[i] = Σ ȳ·dy/dx[i]; y depends on each x[i]. */
void pull_back(ag_tensor *y, ag_tensor *ybar, int n, ag_tensor *const x[], ag_tensor *dx[]);

/* Each element within 1e-10 of the wanted one, relative to the larger of it and a thousandth of `scale`: where terms
 * of size `scale` cancel, no algorithm could do better. */
#define expect_closed_of(x, n, want, scale) expect_closed_at(__FILE__, __LINE__, x, n, want, scale)
/* The scale is the largest element. */
#define expect_closed(x, n, want) expect_closed_at(__FILE__, __LINE__, x, n, want, largest(n, want))
/* Relative to each element alone. */
#define expect_closed_strictly(x, n, want) expect_closed_at(__FILE__, __LINE__, x, n, want, 0)
void expect_closed_at(const char *file, int line, ag_tensor *x, int64_t n, const double *want, double scale);

/* Zero but for rounding errors of terms of this size. */
#define expect_zero(x, n, scale) expect_zero_at(__FILE__, __LINE__, x, n, scale)
void expect_zero_at(const char *file, int line, ag_tensor *x, int64_t n, double scale);

#endif
