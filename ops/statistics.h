/* statistics -- norms, deviations, averages, medians; reductions of chosen elements, and of those that are no NaN
 *
 * All are composed of other operations, and their gradients follow from the graph. A mask or weights are broadcast to
 * x, as in NumPy. An element that a mask leaves out may be anything: it has no influence on values or gradients. */
#ifndef AG_OPS_STATISTICS_H
#define AG_OPS_STATISTICS_H

#include "autograd/types.h"

/* ---- Norms and deviations ---- */

/* ag_norm -- y = (Σ |x|^p)^(1/p) over all elements: the number that are not 0 for p = 0, the largest or the smallest
 * |x| for p = ±inf Nothing overflows in between or is lost to underflow, if p is not 0 or 1. Elements that are 0 have
 * the gradient 0.
 * Shape:  x (…) -> ()
 * Dtype:  real
 * Grad:   x̄ = ȳ·x/y for p = 2, and 0 where y is; else ȳ·sign(x)·(|x|/y)^(p−1), 0 for p = 0; ties share for p = ±inf
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE if p is NaN; AG_ERR_SHAPE if p = ±inf and there is no element
 * Source: torch.linalg.vector_norm; scipy.linalg.norm does not overflow either */
AG_API ag_tensor *ag_norm(ag_tensor *x, double p);

/* ag_norm_over -- y = (Σ |x|^p)^(1/p) over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   as ag_norm
 * Errors: as ag_norm; AG_ERR_AXIS
 * Source: torch.linalg.vector_norm */
AG_API ag_tensor *ag_norm_over(ag_tensor *x, ag_axes axes, double p, bool keepdims);

/* ag_std -- y = √(ag_var(x, correction)) over all elements
 * Shape:  x (…) -> ()
 * Dtype:  real
 * Grad:   x̄ = ȳ·(x − mean x)/((n − correction)·y), 0 where y is
 * Errors: AG_ERR_DTYPE
 * Source: torch.std, with its correction; NumPy's is correction 0 */
AG_API ag_tensor *ag_std(ag_tensor *x, double correction);

/* ag_std_over -- y = √(ag_var_over(x, axes, correction, keepdims))
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   as ag_std
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.std */
AG_API ag_tensor *ag_std_over(ag_tensor *x, ag_axes axes, double correction, bool keepdims);

/* ag_ptp -- y = the largest element minus the smallest, over all elements
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64
 * Grad:   that of ag_max minus that of ag_min
 * Errors: AG_ERR_SHAPE if there is no element; AG_ERR_DTYPE
 * Source: numpy.ptp */
AG_API ag_tensor *ag_ptp(ag_tensor *x);

/* ag_ptp_over -- y = the largest element minus the smallest, over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64
 * Grad:   that of ag_max minus that of ag_min
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.ptp */
AG_API ag_tensor *ag_ptp_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_count_nonzero -- y = how many elements are not 0; NaN is not
 * Shape:  x (…) -> ()
 * Dtype:  any -> i64
 * Grad:   not differentiable
 * Errors: none of its own
 * Source: numpy.count_nonzero */
AG_API ag_tensor *ag_count_nonzero(ag_tensor *x);

/* ag_count_nonzero_over -- y = how many elements are not 0, over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  any -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_AXIS
 * Source: numpy.count_nonzero */
AG_API ag_tensor *ag_count_nonzero_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ---- Medians ---- */

/* ag_median -- y = the element in the middle of the order, or the mean of the two that are; NaN if there is one
 * Shape:  x (…) -> ()
 * Dtype:  any; f64 if it is not real
 * Grad:   ȳ goes to the element in the middle, or half of it to each of the two
 * Errors: AG_ERR_SHAPE if there is no element
 * Source: numpy.median, which takes the mean of two; torch.median does not */
AG_API ag_tensor *ag_median(ag_tensor *x);

/* ag_median_over -- y = the element in the middle of the order, over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  any; f64 if it is not real
 * Grad:   as ag_median
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, also for no axis of 8
 * Source: numpy.median */
AG_API ag_tensor *ag_median_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_quantile -- y = the element at place q·(n−1) of the order, 0 <= q <= 1, or between the two next to it, linearly;
 * NaN if there is one
 * Shape:  x (…) -> ()
 * Dtype:  any; f64 if it is not real
 * Grad:   ȳ goes to the two elements, in proportion
 * Errors: AG_ERR_SHAPE if there is no element; AG_ERR_RANGE for q out of range
 * Source: numpy.quantile */
AG_API ag_tensor *ag_quantile(ag_tensor *x, double q);

/* ag_quantile_over -- y = the element at place q·(n−1) of the order, over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  any; f64 if it is not real
 * Grad:   as ag_quantile
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, also for no axis of 8; AG_ERR_RANGE for q out of range
 * Source: numpy.quantile */
AG_API ag_tensor *ag_quantile_over(ag_tensor *x, ag_axes axes, double q, bool keepdims);

/* ag_quantiles_over -- several quantiles over `axes`, along a new first axis; x is sorted once
 * Shape:  x (…) -> (n,…) without the axes, or with extent 1 in their place
 * Dtype:  any; f64 if it is not real
 * Grad:   as ag_quantile
 * Errors: as ag_quantile_over; AG_ERR_NULL for q; AG_ERR_RANGE unless 1 <= n <= 64; AG_ERR_SHAPE beyond 8 axes
 * Source: numpy.quantile with several q */
AG_API ag_tensor *ag_quantiles_over(ag_tensor *x, ag_axes axes, int n, const double q[], bool keepdims);

/* ---- Weights and masks ---- */

/* ag_average_over -- y = Σ w·x / Σ w over `axes`; one weight for each element along the only axis will do
 * Shape:  x (…), weights broadcast to it -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real, the same for both
 * Grad:   x̄ = ȳ·w/Σ w;  w̄ = ȳ·(x − y)/Σ w
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.average */
AG_API ag_tensor *ag_average_over(ag_tensor *x, ag_tensor *weights, ag_axes axes, bool keepdims);

/* ag_sum_where -- y = Σ x over `axes`, of the elements where mask holds
 * Shape:  x (…), mask broadcast to it -> (…) without the axes, or with extent 1 in their place
 * Dtype:  x i64, f32 or f64; bool -> i64; mask bool
 * Grad:   x̄ = ȳ where mask holds, 0 elsewhere
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.sum, with its where */
AG_API ag_tensor *ag_sum_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, bool keepdims);

/* ag_prod_where -- y = Π x over `axes`, of the elements where mask holds
 * Shape:  x (…), mask broadcast to it -> (…) without the axes, or with extent 1 in their place
 * Dtype:  x i64, f32 or f64; bool -> i64; mask bool
 * Grad:   that of ag_prod where mask holds, 0 elsewhere
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.prod, with its where */
AG_API ag_tensor *ag_prod_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, bool keepdims);

/* ag_mean_where -- y = the mean over `axes` of the n elements where mask holds; NaN for none
 * Shape:  x (…), mask broadcast to it -> (…) without the axes, or with extent 1 in their place
 * Dtype:  x any; f64 if it is not real; mask bool
 * Grad:   x̄ = ȳ/n where mask holds, 0 elsewhere
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.mean, with its where */
AG_API ag_tensor *ag_mean_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, bool keepdims);

/* ag_var_where -- as ag_var_over, of the n elements where mask holds
 * Shape:  x (…), mask broadcast to it -> (…) without the axes, or with extent 1 in their place
 * Dtype:  x real; mask bool
 * Grad:   x̄ = 2·ȳ·(x − mean x)/(n − correction) where mask holds, 0 elsewhere
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.var, with its where */
AG_API ag_tensor *ag_var_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, double correction, bool keepdims);

/* ag_std_where -- y = √(ag_var_where(x, mask, axes, correction, keepdims)), with gradient 0 where it is 0
 * Shape:  x (…), mask broadcast to it -> (…) without the axes, or with extent 1 in their place
 * Dtype:  x real; mask bool
 * Grad:   that of ag_std where mask holds, 0 elsewhere
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.std, with its where */
AG_API ag_tensor *ag_std_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, double correction, bool keepdims);

/* ag_max_where -- y = the largest over `axes` of the elements where mask holds and of `initial`
 * Shape:  x (…), mask broadcast to it -> (…) without the axes, or with extent 1 in their place
 * Dtype:  x i64, f32 or f64; mask bool
 * Grad:   that of ag_max_over where mask holds, 0 elsewhere
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for i64 unless `initial` is an integer within range
 * Source: numpy.max, with its where and initial */
AG_API ag_tensor *ag_max_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, double initial, bool keepdims);

/* ag_min_where -- y = the smallest over `axes` of the elements where mask holds and of `initial`
 * Shape:  x (…), mask broadcast to it -> (…) without the axes, or with extent 1 in their place
 * Dtype:  x i64, f32 or f64; mask bool
 * Grad:   that of ag_min_over where mask holds, 0 elsewhere
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for i64 unless `initial` is an integer within range
 * Source: numpy.min, with its where and initial */
AG_API ag_tensor *ag_min_where(ag_tensor *x, ag_tensor *mask, ag_axes axes, double initial, bool keepdims);

/* ---- Without NaN ---- */

/* ag_nansum -- y = Σ x over `axes`, of the elements that are no NaN
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   x̄ = ȳ, 0 where x is NaN
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.nansum */
AG_API ag_tensor *ag_nansum(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_nanprod -- y = Π x over `axes`, of the elements that are no NaN
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   that of ag_prod, 0 where x is NaN
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.nanprod */
AG_API ag_tensor *ag_nanprod(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_nanmean -- y = the mean over `axes` of the n elements that are no NaN; NaN for none
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   x̄ = ȳ/n, 0 where x is NaN
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.nanmean */
AG_API ag_tensor *ag_nanmean(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_nanvar -- as ag_var_over, of the elements that are no NaN
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   that of ag_var_where
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.nanvar */
AG_API ag_tensor *ag_nanvar(ag_tensor *x, ag_axes axes, double correction, bool keepdims);

/* ag_nanstd -- y = √(ag_nanvar(x, axes, correction, keepdims)), with gradient 0 where it is 0
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   that of ag_std_where
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.nanstd */
AG_API ag_tensor *ag_nanstd(ag_tensor *x, ag_axes axes, double correction, bool keepdims);

/* ag_nanmax -- y = the largest element over `axes` that is no NaN; NaN if all are
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   that of ag_max_over, 0 where x is NaN
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.nanmax */
AG_API ag_tensor *ag_nanmax(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_nanmin -- y = the smallest element over `axes` that is no NaN; NaN if all are
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   that of ag_min_over, 0 where x is NaN
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.nanmin */
AG_API ag_tensor *ag_nanmin(ag_tensor *x, ag_axes axes, bool keepdims);

#endif
