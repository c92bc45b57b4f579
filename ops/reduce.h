/* reduce -- reductions over all axes or some: sums, means, variances, extremes
 *
 * Each has a short form over all axes, to a 0-d tensor, and one over a set of axes: with keepdims those stay, with
 * extent 1. Sums are pairwise, in an order that depends only on shape and strides. */
#ifndef AG_OPS_REDUCE_H
#define AG_OPS_REDUCE_H

#include "autograd/types.h"

/* ag_sum -- y = Σ x over all elements; 0 for none
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, broadcast
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sum */
AG_API ag_tensor *ag_sum(ag_tensor *x);

/* ag_sum_over -- y = Σ x over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, broadcast
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.sum */
AG_API ag_tensor *ag_sum_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_mean -- y = (Σ x)/n over all n elements; NaN for none
 * It is rounded: subtracted from elements that are close together but far from 0 it may lose their differences. ag_var
 * and the layers that normalise avoid that.
 * Shape:  x (…) -> ()
 * Dtype:  real
 * Grad:   x̄ = ȳ/n, broadcast
 * Errors: AG_ERR_DTYPE
 * Source: numpy.mean */
AG_API ag_tensor *ag_mean(ag_tensor *x);

/* ag_mean_over -- y = (Σ x)/n over `axes`, n elements each
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   x̄ = ȳ/n, broadcast
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.mean */
AG_API ag_tensor *ag_mean_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_var -- y = Σ (x − mean x)²/max(0, n − correction) over all n elements: NaN or ∞ for n <= correction; composed
 * It is accurate for elements that are close together, and 0 for equal ones.
 * Shape:  x (…) -> ()
 * Dtype:  real
 * Grad:   x̄ = 2·ȳ·(x − mean x)/(n − correction), from the graph
 * Errors: AG_ERR_DTYPE
 * Source: torch.var, with its correction; the biased variance is correction 0 */
AG_API ag_tensor *ag_var(ag_tensor *x, double correction);

/* ag_var_over -- y = Σ (x − mean x)²/max(0, n − correction) over `axes`, n elements each; composed
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   x̄ = 2·ȳ·(x − mean x)/(n − correction), from the graph
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.var */
AG_API ag_tensor *ag_var_over(ag_tensor *x, ag_axes axes, double correction, bool keepdims);

/* ag_max -- y = the largest element; NaN if there is one
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, split evenly over the elements that equal y; NaN for all where y is NaN
 * Errors: AG_ERR_SHAPE if there is no element; AG_ERR_DTYPE
 * Source: torch.amax */
AG_API ag_tensor *ag_max(ag_tensor *x);

/* ag_max_over -- y = the largest element over `axes`; NaN if there is one
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, split evenly over the elements that equal y; NaN for all where y is NaN
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.amax */
AG_API ag_tensor *ag_max_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_min -- y = the smallest element; NaN if there is one
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, split evenly over the elements that equal y; NaN for all where y is NaN
 * Errors: AG_ERR_SHAPE if there is no element; AG_ERR_DTYPE
 * Source: torch.amin */
AG_API ag_tensor *ag_min(ag_tensor *x);

/* ag_min_over -- y = the smallest element over `axes`; NaN if there is one
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, split evenly over the elements that equal y; NaN for all where y is NaN
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.amin */
AG_API ag_tensor *ag_min_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_argmax -- y = the index of the largest element along `axis`, the first if several; of the first NaN if there is
 * one
 * Shape:  x (…) -> (…) without the axis, or with extent 1 in its place
 * Dtype:  i64, f32 or f64 -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE if the axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.argmax */
AG_API ag_tensor *ag_argmax(ag_tensor *x, int axis, bool keepdims);

#endif
