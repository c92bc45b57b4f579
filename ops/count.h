/* count -- how often elements occur: histograms, counts of small integers, distinct elements */
#ifndef AG_OPS_COUNT_H
#define AG_OPS_COUNT_H

#include "autograd/types.h"

/* ag_histogram -- y[k] = how many elements lie in bin k of `bins` equal ones from low to high
 * A bin has its lower edge, and the last one high too. Elements outside and NaN are not counted.
 * Shape:  x (…) -> (bins)
 * Dtype:  i64, f32 or f64 -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE unless 1 <= bins <= 2³⁰, low < high and both and their difference are finite
 * Source: numpy.histogram with a range */
AG_API ag_tensor *ag_histogram(ag_tensor *x, int64_t bins, double low, double high);

/* ag_histogram_between -- y[k] = how many elements lie between edges k and k+1, or the sum of their weights; composed
 * Edges are in ascending order. A bin has its lower edge, and the last one the upper too. `weights` may be NULL.
 * Shape:  x (…), edges (n+1), weights as x -> (n)
 * Dtype:  x and edges the same, i64, f32 or f64; weights i64, f32 or f64 -> that of the weights, or i64
 * Grad:   the weight of an element in bin k: ȳ[k], 0 outside; not differentiable by x and edges
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.histogram with edges */
AG_API ag_tensor *ag_histogram_between(ag_tensor *x, ag_tensor *edges, ag_tensor *weights);

/* ag_bincount -- y[k] = how many elements are k, or the sum of their weights, for 0 <= k < n; composed
 * The extent is given, so that it does not depend on values. `weights` may be NULL.
 * Shape:  x (…), weights as x -> (n)
 * Dtype:  x i64; weights i64, f32 or f64 -> that of the weights, or i64
 * Grad:   the weight of an element k: ȳ[k]
 * Errors: AG_ERR_SHAPE, also for n < 0; AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an element that is not in 0 …
 *         n−1
 * Source: numpy.bincount with minlength, and no more */
AG_API ag_tensor *ag_bincount(ag_tensor *x, ag_tensor *weights, int64_t n);

/* ag_unique -- the distinct elements in ascending order, and for each element of x which of them it is, and how often
 * each occurs
 * How many there are depends on values, so x is computed at once, as by ag_data. All NaN count as one, the last.
 * `inverse` and `counts` may be NULL.
 * Shape:  x (…) -> (m); inverse as x; counts (m)
 * Dtype:  any; inverse and counts i64
 * Grad:   not differentiable
 * Errors: those of computing x
 * Source: numpy.unique */
AG_API ag_tensor *ag_unique(ag_tensor *x, ag_tensor **inverse, ag_tensor **counts);

#endif
