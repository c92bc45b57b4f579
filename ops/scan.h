/* scan -- cumulative sums, products and extremes along an axis, and differences
 *
 * Each element of a result is a reduction of the elements up to its own place. f32 is added up and multiplied in f64.
 * f64 is added one after the other, so that the error of n terms is about √n/16 more, in ε·Σ|x| as in reduce.h:
 *     Units of sums: cumsum 4; */
#ifndef AG_OPS_SCAN_H
#define AG_OPS_SCAN_H

#include "autograd/types.h"

/* ag_cumsum -- y[k] = Σ x[j] over j <= k along an axis
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64; bool -> i64
 * Grad:   x̄[j] = Σ ȳ[k] over k >= j
 * Errors: AG_ERR_AXIS
 * Source: numpy.cumsum */
AG_API ag_tensor *ag_cumsum(ag_tensor *x, int axis);

/* ag_cumprod -- y[k] = Π x[j] over j <= k along an axis
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64; bool -> i64
 * Grad:   x̄[j] = Σ ȳ[k]·Π x[i] over k >= j and i <= k, i != j: without a division, so right where x is 0
 * Errors: AG_ERR_AXIS
 * Source: numpy.cumprod */
AG_API ag_tensor *ag_cumprod(ag_tensor *x, int axis);

/* ag_cummax -- y[k] = the largest x[j] over j <= k along an axis; NaN from the first one on
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64; bool -> i64
 * Grad:   ȳ[k] goes to the last x[j], j <= k, that is y[k]
 * Errors: AG_ERR_AXIS
 * Source: torch.cummax */
AG_API ag_tensor *ag_cummax(ag_tensor *x, int axis);

/* ag_cummin -- y[k] = the smallest x[j] over j <= k along an axis; NaN from the first one on
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64; bool -> i64
 * Grad:   ȳ[k] goes to the last x[j], j <= k, that is y[k]
 * Errors: AG_ERR_AXIS
 * Source: torch.cummin */
AG_API ag_tensor *ag_cummin(ag_tensor *x, int axis);

/* ag_cummax_indices -- ag_cummax, and *index: which j that is, the last of equal ones; from a NaN on the last NaN's
 * `index` may be NULL.
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64; bool -> i64; the indices are i64
 * Grad:   as ag_cummax; the indices are not differentiable
 * Errors: AG_ERR_AXIS
 * Source: torch.cummax */
AG_API ag_tensor *ag_cummax_indices(ag_tensor *x, int axis, ag_tensor **index);

/* ag_cummin_indices -- ag_cummin, and *index: which j that is, the last of equal ones; from a NaN on the last NaN's
 * `index` may be NULL.
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64; bool -> i64; the indices are i64
 * Grad:   as ag_cummin; the indices are not differentiable
 * Errors: AG_ERR_AXIS
 * Source: torch.cummin */
AG_API ag_tensor *ag_cummin_indices(ag_tensor *x, int axis, ag_tensor **index);

/* ag_logcumsumexp -- y[k] = ln Σ e^x[j] over j <= k along an axis, safe for any x; −inf while all x are; composed
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄[j] = Σ ȳ[k]·e^(x[j] − y[k]) over k >= j where y[k] is finite
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.logcumsumexp */
AG_API ag_tensor *ag_logcumsumexp(ag_tensor *x, int axis);

/* ag_diff -- y[k] = x[k+1] − x[k] along an axis, n times; composed
 * Shape:  x (…,m,…) -> (…,m−n,…), or (…,0,…)
 * Dtype:  any; of bool, whether the two differ
 * Grad:   x̄[k] = ȳ[k−1] − ȳ[k], n times
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE for n < 0
 * Source: numpy.diff */
AG_API ag_tensor *ag_diff(ag_tensor *x, int64_t n, int axis);

#endif
