/* exact -- sums that are never rounded, and so do not depend on order; counts that never overflow */
#ifndef AG_NN_EXACT_H
#define AG_NN_EXACT_H

#include "nn/refuse.h"

/* One more, or the largest number that there is. */
void ag__count(int64_t *n);

/* The numbers are finite; `negative` subtracts. At most 2^53 may be added. */
void ag__exact_add(ag_exact *sum, double x, bool negative);
void ag__exact_add_product(ag_exact *sum, double x, double y, bool negative);
void ag__exact_add_scaled(ag_exact *sum, const ag_exact *x, double y, bool negative); /* x·y; another than sum */
void ag__exact_add_square(ag_exact *sum, const ag_exact *x, bool negative);           /* of a sum of numbers */

/* Rounded to nearest, ties to even; infinite beyond the largest f64. */
double ag__exact_value(const ag_exact *sum);

/* a/b with three roundings, whatever the size of a and b; NaN or infinite for b = 0. */
double ag__exact_ratio(const ag_exact *a, const ag_exact *b);
double ag__exact_mean(const ag_exact *sum, int64_t n);

#endif
