/* shape -- the same elements in another arrangement: views, windows, joining
 *
 * Views share their input's elements and copy nothing. A call that changes nothing (a reshape to the same shape, a
 * slice of everything) is not recorded: the result is x itself, or a variable's present value; while recording is off
 * it is another view. */
#ifndef AG_OPS_SHAPE_H
#define AG_OPS_SHAPE_H

#include "autograd/types.h"

/* ag_reshape -- the same elements, row-major, in another shape; one extent may be −1, and is then computed
 * It is a view, of a copy if x is a view whose strides do not permit it.
 * Shape:  x (…) -> shape, of the same size
 * Dtype:  any
 * Grad:   x̄ = ȳ, reshaped back
 * Errors: AG_ERR_SHAPE
 * Source: numpy.reshape */
AG_API ag_tensor *ag_reshape(ag_tensor *x, ag_shape shape);

/* ag_transpose -- two axes exchanged; a view
 * Shape:  x (…,m,…,n,…) -> (…,n,…,m,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, transposed back
 * Errors: AG_ERR_AXIS
 * Source: numpy.swapaxes */
AG_API ag_tensor *ag_transpose(ag_tensor *x, int axis0, int axis1);

/* ag_permute -- axis i of y is axis order.axis[i] of x; a view
 * Shape:  x (…) -> (…) in another order
 * Dtype:  any
 * Grad:   x̄ = ȳ, permuted back
 * Errors: AG_ERR_AXIS unless each axis is given once
 * Source: numpy.transpose */
AG_API ag_tensor *ag_permute(ag_tensor *x, ag_axes order);

/* ag_broadcast_to -- x repeated along new leading axes and along axes of extent 1; a view
 * Shape:  x (…) -> shape
 * Dtype:  any
 * Grad:   x̄ = Σ ȳ over the repeated axes
 * Errors: AG_ERR_SHAPE
 * Source: numpy.broadcast_to */
AG_API ag_tensor *ag_broadcast_to(ag_tensor *x, ag_shape shape);

/* ag_slice -- elements start, start+step, … before stop along one axis; a view
 * A negative step runs backwards, down to but not including stop. start and stop count from the end if negative, and
 * are limited to the axis. AG_END is the first element for start and beyond the last for stop, in the direction of
 * step.
 * Shape:  x (…,n,…) -> (…,m,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ at the chosen elements, 0 elsewhere
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE for step 0
 * Source: Python's slices */
AG_API ag_tensor *ag_slice(ag_tensor *x, int axis, int64_t start, int64_t stop, int64_t step);
#define AG_END INT64_MIN

/* ag_flip -- the order along one axis reversed: ag_slice(x, axis, −1, AG_END, −1); a view
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, flipped back
 * Errors: AG_ERR_AXIS
 * Source: numpy.flip */
AG_API ag_tensor *ag_flip(ag_tensor *x, int axis);

/* ag_embed -- zeros with x at start, start+step, … along one axis: the gradient of ag_slice
 * Here start does not count from the end.
 * Shape:  x (…,m,…) -> (…,n,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, sliced
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE for step 0 or if not all of x lies in 0 … n−1; AG_ERR_SHAPE
 * Source: jax.numpy.zeros(…).at[…].set(x) */
AG_API ag_tensor *ag_embed(ag_tensor *x, int axis, int64_t n, int64_t start, int64_t step);

/* ag_windows -- sliding windows of `size` over `axes`, one every `step`, whole ones only: y[…,p,…,w] = x[…,p·step+w,…]
 * The new axes w come last, in the order of `axes`. It is a view, however much the windows overlap. A slice of y along
 * w with a step dilates them.
 * Shape:  x (…,n,…) -> (…,(n−size)/step+1,…,size)
 * Dtype:  any
 * Grad:   x̄ = ȳ, folded
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE beyond 8 axes, or unless there is a size and a step for each axis; AG_ERR_RANGE
 *         unless 1 <= size <= n and step >= 1
 * Source: numpy.lib.stride_tricks.sliding_window_view, with the step of torch.Tensor.unfold */
AG_API ag_tensor *ag_windows(ag_tensor *x, ag_axes axes, ag_shape size, ag_shape step);

/* ag_fold -- windows put back, and added where they overlap: y[…,i,…] = Σ x[…,p,…,w] over all p·step + w = i
 * `axes` and `extent` are those of y. It is the gradient of ag_windows.
 * Shape:  x (…,m,…,size) -> (…,n,…) for m = (n−size)/step+1
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, in windows
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE if an extent has another number of windows, or unless there is an extent and a step
 *         for each axis; AG_ERR_RANGE unless size >= 1, size <= n and step >= 1; AG_ERR_DTYPE
 * Source: torch.nn.functional.fold; overlap-add */
AG_API ag_tensor *ag_fold(ag_tensor *x, ag_axes axes, ag_shape extent, ag_shape step);

/* ag_squeeze -- axes of extent 1 removed; AG_ALL_AXES removes all of them; a view
 * Shape:  x (…,1,…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, reshaped back
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE for an axis of another extent
 * Source: numpy.squeeze */
AG_API ag_tensor *ag_squeeze(ag_tensor *x, ag_axes axes);

/* ag_unsqueeze -- a new axis of extent 1, which is `axis` of the result; a view
 * Shape:  x (…) -> (…,1,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, reshaped back
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE beyond 8 axes
 * Source: numpy.expand_dims */
AG_API ag_tensor *ag_unsqueeze(ag_tensor *x, int axis);

/* ag_contiguous -- x with its elements copied into row-major order, unless they are in it already
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ
 * Errors: none of its own
 * Source: numpy.ascontiguousarray */
AG_API ag_tensor *ag_contiguous(ag_tensor *x);

/* ag_concat -- n tensors one after the other along an axis
 * Shape:  x[i] (…,m_i,…) -> (…,Σ m_i,…)
 * Dtype:  any
 * Grad:   x̄[i] = the slice of ȳ at x[i]
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE if other extents differ, AG_ERR_DTYPE; AG_ERR_RANGE for n < 1 or n > 65535
 * Source: numpy.concatenate */
AG_API ag_tensor *ag_concat(int n, ag_tensor *const x[], int axis);

/* ag_stop_gradient -- x, but constant to gradients
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   none flows to x, by definition
 * Errors: none of its own
 * Source: jax.lax.stop_gradient */
AG_API ag_tensor *ag_stop_gradient(ag_tensor *x);

#endif
