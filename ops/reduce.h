/* reduce -- reductions over all axes or some: sums, products, means, variances, extremes, whether all or any hold
 *
 * Each has a short form over all axes, to a 0-d tensor, and one over a set of axes: with keepdims those stay, with
 * extent 1. Sums are pairwise, in an order that depends only on shape and strides; of more than 1024 elements to one
 * number, also on what else the same evaluation computes of these elements.
 *
 * Errors do not grow with the number of elements. The largest of up to a million, in ε·Σ|x| with an ε of 2⁻⁵² or 2⁻²³
 * (of norms, norm_1 and norm_3 those of p = 1 and 3, variances and logsumexp, in ε times the result, of logsumexp and 1
 * more; of products of n numbers, in ε·√n times the result):
 *     Units of sums: sum 2.5, sum_over 2.5, mean 2.5, norm 2.5, norm_1 2.5, norm_3 2, var 2.5, prod 1,
 *         logsumexp 1.5; */
#ifndef AG_OPS_REDUCE_H
#define AG_OPS_REDUCE_H

#include "autograd/types.h"

/* ag_sum -- y = Σ x over all elements; 0 for none
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64; bool -> i64
 * Grad:   x̄ = ȳ, broadcast
 * Errors: none of its own
 * Source: numpy.sum */
AG_API ag_tensor *ag_sum(ag_tensor *x);

/* ag_sum_over -- y = Σ x over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64; bool -> i64
 * Grad:   x̄ = ȳ, broadcast
 * Errors: AG_ERR_AXIS
 * Source: numpy.sum */
AG_API ag_tensor *ag_sum_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_mean -- y = (Σ x)/n over all n elements; NaN for none
 * It is rounded: subtracted from elements that are close together but far from 0 it may lose their differences. ag_var
 * and the layers that normalise avoid that.
 * Shape:  x (…) -> ()
 * Dtype:  any; f64 if it is not real, as in NumPy
 * Grad:   x̄ = ȳ/n, broadcast
 * Errors: none of its own
 * Source: numpy.mean */
AG_API ag_tensor *ag_mean(ag_tensor *x);

/* ag_mean_over -- y = (Σ x)/n over `axes`, n elements each
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  any; f64 if it is not real, as in NumPy
 * Grad:   x̄ = ȳ/n, broadcast
 * Errors: AG_ERR_AXIS
 * Source: numpy.mean */
AG_API ag_tensor *ag_mean_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_prod -- y = Π x over all elements; 1 for none
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64; bool -> i64
 * Grad:   x̄[i] = ȳ·Π x[j] over all j != i: without a division, so right where elements are 0
 * Errors: none of its own
 * Source: numpy.prod */
AG_API ag_tensor *ag_prod(ag_tensor *x);

/* ag_prod_over -- y = Π x over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64; bool -> i64
 * Grad:   x̄[i] = ȳ·Π x[j] over all j != i
 * Errors: AG_ERR_AXIS
 * Source: numpy.prod */
AG_API ag_tensor *ag_prod_over(ag_tensor *x, ag_axes axes, bool keepdims);

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

/* ag_argmax_over -- y = the same over `axes`: the row-major index among the elements that they have together
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64 -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.argmax, which takes one axis or all */
AG_API ag_tensor *ag_argmax_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_argmin -- y = the index of the smallest element along `axis`, the first if several; of the first NaN if there is
 * one
 * Shape:  x (…) -> (…) without the axis, or with extent 1 in its place
 * Dtype:  i64, f32 or f64 -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE if the axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.argmin */
AG_API ag_tensor *ag_argmin(ag_tensor *x, int axis, bool keepdims);

/* ag_argmin_over -- y = the same over `axes`: the row-major index among the elements that they have together
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64 -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.argmin, which takes one axis or all */
AG_API ag_tensor *ag_argmin_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_all -- y = whether all elements hold, or are not 0; true for none
 * Shape:  x (…) -> ()
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: none of its own
 * Source: numpy.all */
AG_API ag_tensor *ag_all(ag_tensor *x);

/* ag_all_over -- y = whether all elements hold, or are not 0, over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_AXIS
 * Source: numpy.all */
AG_API ag_tensor *ag_all_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_any -- y = whether any element holds, or is not 0; false for none
 * Shape:  x (…) -> ()
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: none of its own
 * Source: numpy.any */
AG_API ag_tensor *ag_any(ag_tensor *x);

/* ag_any_over -- y = whether any element holds, or is not 0, over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_AXIS
 * Source: numpy.any */
AG_API ag_tensor *ag_any_over(ag_tensor *x, ag_axes axes, bool keepdims);

#endif
