/* arrange -- rearranging: axes moved, joined and divided, tensors stacked and split, rolled, padded, repeated,
 * diagonals
 *
 * Where the elements of the result are at regular places of x it is a view. Functions that give several tensors fill an
 * array of the caller's, with nil after an error. */
#ifndef AG_OPS_ARRANGE_H
#define AG_OPS_ARRANGE_H

#include "autograd/types.h"

/* ---- Axes ---- */

/* ag_expand_as -- ag_broadcast_to with the shape of `like`; a view
 * Shape:  x (…), like (…) -> like's
 * Dtype:  any
 * Grad:   x̄ = Σ ȳ over the repeated axes
 * Errors: as ag_broadcast_to
 * Source: torch.Tensor.expand_as */
AG_API ag_tensor *ag_expand_as(ag_tensor *x, ag_tensor *like);

/* ag_movedim -- axis source.axis[k] of x becomes axis destination.axis[k], the others keep their order; a view
 * Shape:  x (…) -> (…) in another order
 * Dtype:  any
 * Grad:   x̄ = ȳ, moved back
 * Errors: AG_ERR_AXIS, also if both have not as many axes
 * Source: numpy.moveaxis, torch.movedim */
AG_API ag_tensor *ag_movedim(ag_tensor *x, ag_axes source, ag_axes destination);

/* ag_swapaxes -- ag_transpose by NumPy's name; a view
 * Shape:  x (…,m,…,n,…) -> (…,n,…,m,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, transposed back
 * Errors: AG_ERR_AXIS
 * Source: numpy.swapaxes */
AG_API ag_tensor *ag_swapaxes(ag_tensor *x, int axis0, int axis1);

/* ag_flatten -- the axes from `first` to `last` as one; a scalar becomes a list
 * Shape:  x (…,m,n,…) -> (…,m·n,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, reshaped back
 * Errors: AG_ERR_AXIS, also if last comes before first
 * Source: torch.flatten */
AG_API ag_tensor *ag_flatten(ag_tensor *x, int first, int last);

/* ag_unflatten -- one axis as several, with these extents, of which one may be −1, and is then computed
 * Shape:  x (…,m·n,…) -> (…,m,n,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, reshaped back
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE if their product is not the axis's extent
 * Source: torch.unflatten */
AG_API ag_tensor *ag_unflatten(ag_tensor *x, int axis, ag_shape extents);

/* ag_rot90 -- a quarter turn from axes.axis[0] towards axes.axis[1], `times` times; a view
 * Shape:  x (…,m,…,n,…) -> (…,n,…,m,…), or x's
 * Dtype:  any
 * Grad:   x̄ = ȳ, turned back
 * Errors: AG_ERR_AXIS unless two axes are given
 * Source: numpy.rot90 */
AG_API ag_tensor *ag_rot90(ag_tensor *x, int64_t times, ag_axes axes);

/* ---- Joining and dividing ---- */

/* ag_stack -- n tensors of one shape along a new axis, which is `axis` of the result
 * Shape:  x[i] (…) -> (…,n,…)
 * Dtype:  any
 * Grad:   x̄[i] = ȳ at i
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for n < 1 or n > 65535
 * Source: numpy.stack */
AG_API ag_tensor *ag_stack(int n, ag_tensor *const x[], int axis);

/* ag_hstack -- n tensors one after the other along axis 1, or axis 0 of lists and scalars
 * Shape:  x[i] (m,n_i,…) -> (m,Σ n_i,…)
 * Dtype:  any
 * Grad:   x̄[i] = the slice of ȳ at x[i]
 * Errors: as ag_concat
 * Source: numpy.hstack */
AG_API ag_tensor *ag_hstack(int n, ag_tensor *const x[]);

/* ag_vstack -- n tensors one below the other; a list or a scalar is a row
 * Shape:  x[i] (m_i,n,…) -> (Σ m_i,n,…)
 * Dtype:  any
 * Grad:   x̄[i] = the slice of ȳ at x[i]
 * Errors: as ag_concat
 * Source: numpy.vstack */
AG_API ag_tensor *ag_vstack(int n, ag_tensor *const x[]);

/* ag_dstack -- n tensors one behind the other along axis 2; a list (n) counts as (1,n,1), a matrix (m,n) as (m,n,1)
 * Shape:  x[i] (l,m,n_i,…) -> (l,m,Σ n_i,…)
 * Dtype:  any
 * Grad:   x̄[i] = the slice of ȳ at x[i]
 * Errors: as ag_concat
 * Source: numpy.dstack */
AG_API ag_tensor *ag_dstack(int n, ag_tensor *const x[]);

/* ag_split -- n equal parts along an axis, y[0], y[1], …; views
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE for n < 1; AG_ERR_SHAPE unless n divides the extent; AG_ERR_NULL */
AG_API ag_status ag_split(ag_tensor *x, int axis, int n, ag_tensor *y[]);

/* ag_split_sizes -- the same with n parts of these sizes
 * Errors: as ag_split; AG_ERR_SHAPE unless no size is negative and their sum is the extent */
AG_API ag_status ag_split_sizes(ag_tensor *x, int axis, int n, const int64_t sizes[], ag_tensor *y[]);

/* ag_chunk -- n parts of ⌈extent/n⌉ elements along an axis, the last ones with less, or none; views
 * (torch.chunk leaves out the parts without elements.)
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE for n < 1; AG_ERR_NULL */
AG_API ag_status ag_chunk(ag_tensor *x, int axis, int n, ag_tensor *y[]);

/* ag_broadcast_tensors -- n tensors broadcast to each other; views
 * Errors: AG_ERR_SHAPE; AG_ERR_RANGE for n < 1; AG_ERR_NULL */
AG_API ag_status ag_broadcast_tensors(int n, ag_tensor *const x[], ag_tensor *y[]);

/* ag_meshgrid -- the coordinates of a grid: y[i] has the elements of the list x[i] along axis i; views
 * With `xy` the first two axes are exchanged: the grid's rows are those of x[1].
 * Errors: AG_ERR_SHAPE unless each x[i] has at most one axis; AG_ERR_RANGE for n < 1 or n > 8; AG_ERR_NULL */
AG_API ag_status ag_meshgrid(int n, ag_tensor *const x[], bool xy, ag_tensor *y[]);

/* ---- Repeating, moving around ---- */

/* ag_roll -- elements moved by `shift` along an axis; those that leave it come in at its other end
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, rolled back
 * Errors: AG_ERR_AXIS
 * Source: numpy.roll */
AG_API ag_tensor *ag_roll(ag_tensor *x, int64_t shift, int axis);

/* ag_roll_over -- the same along several axes, with a shift for each of them
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, rolled back
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE unless there is a shift for each axis
 * Source: torch.roll */
AG_API ag_tensor *ag_roll_over(ag_tensor *x, ag_shape shifts, ag_axes axes);

/* ag_tile -- x repeated times.extent[i] times along axis i; the shorter of both shapes is as if it began with 1s
 * Shape:  x (…,n,…) -> (…,times·n,…)
 * Dtype:  any
 * Grad:   x̄ = Σ ȳ over the repetitions
 * Errors: AG_ERR_SHAPE beyond 8 axes; AG_ERR_RANGE for times < 0
 * Source: numpy.tile */
AG_API ag_tensor *ag_tile(ag_tensor *x, ag_shape times);

/* ag_repeat -- ag_tile with a number for each axis of x at least
 * Shape:  x (…,n,…) -> (…,times·n,…)
 * Dtype:  any
 * Grad:   x̄ = Σ ȳ over the repetitions
 * Errors: as ag_tile; AG_ERR_SHAPE for fewer numbers than axes
 * Source: torch.Tensor.repeat; numpy.repeat is ag_repeat_interleave */
AG_API ag_tensor *ag_repeat(ag_tensor *x, ag_shape times);

/* ag_repeat_interleave -- each element `times` times, one after the other, along an axis
 * Shape:  x (…,n,…) -> (…,n·times,…)
 * Dtype:  any
 * Grad:   x̄ = Σ ȳ over the repetitions
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE for times < 0; AG_ERR_SHAPE for more elements than can be counted
 * Source: torch.repeat_interleave, numpy.repeat */
AG_API ag_tensor *ag_repeat_interleave(ag_tensor *x, int64_t times, int axis);

/* ag_repeat_interleave_by -- element j counts[j] times; counts is evaluated now, because the shape depends on it
 * Shape:  x (…,n,…), counts (n) -> (…,Σ counts,…)
 * Dtype:  x any; counts i64
 * Grad:   x̄ = Σ ȳ over the repetitions
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for a negative count; as ag_eval of counts
 * Source: torch.repeat_interleave, numpy.repeat */
AG_API ag_tensor *ag_repeat_interleave_by(ag_tensor *x, ag_tensor *counts, int axis);

/* ---- Padding ---- */

/* ag_padding -- the elements around x: a number; x mirrored at its first and last elements; these elements; x again
 * Mirrored and repeated as often as it takes, as by numpy.pad; PyTorch refuses more than once. */
typedef enum ag_padding { AG_PAD_CONSTANT, AG_PAD_REFLECT, AG_PAD_REPLICATE, AG_PAD_CIRCULAR } ag_padding;

/* ag_pad -- x with so many zeros before and after it along these axes; negative numbers take elements of x away
 * All axes are padded in one pass.
 * Shape:  x (…,n,…) -> (…,before+n+after,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, without the margins
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE unless there is a number before and after for each axis; AG_ERR_RANGE if more is
 *         taken away than there is
 * Source: torch.nn.functional.pad */
AG_API ag_tensor *ag_pad(ag_tensor *x, ag_axes axes, ag_shape before, ag_shape after);

/* ag_pad_with -- the same with another padding; `value` is that of AG_PAD_CONSTANT, and 0 for the others
 * Shape:  x (…,n,…) -> (…,before+n+after,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, each at the element that it is a copy of
 * Errors: as ag_pad; AG_ERR_RANGE for an invalid padding, or a value that x's dtype cannot hold; AG_ERR_SHAPE for an
 *         axis without elements that others are copied from
 * Source: torch.nn.functional.pad, numpy.pad */
AG_API ag_tensor *ag_pad_with(ag_tensor *x, ag_axes axes, ag_shape before, ag_shape after, ag_padding padding,
                              double value);

/* ---- Diagonals, triangles ---- */

/* ag_diagonal -- y[…,i] = x[…,i,…,i+offset,…] for two axes, which are gone; the new axis is the last; a view
 * A negative offset begins further along axis0.
 * Shape:  x (…,m,…,n,…) -> (…,k)
 * Dtype:  any
 * Grad:   x̄ = ȳ on the diagonal, 0 elsewhere
 * Errors: AG_ERR_AXIS, also for twice the same axis
 * Source: numpy.diagonal, torch.diagonal */
AG_API ag_tensor *ag_diagonal(ag_tensor *x, int64_t offset, int axis0, int axis1);

/* ag_diag_embed -- zeros with the last axis of x on a diagonal of two new axes of the result
 * Shape:  x (…,k) -> (…,n,…,n,…) for n = k + |offset|
 * Dtype:  any
 * Grad:   x̄ = ȳ's diagonal
 * Errors: AG_ERR_AXIS, also for a scalar x and for twice the same axis; AG_ERR_SHAPE beyond 8 axes, or beyond what can
 *         be counted
 * Source: torch.diag_embed */
AG_API ag_tensor *ag_diag_embed(ag_tensor *x, int64_t offset, int axis0, int axis1);

/* ag_diag -- a list on the diagonal of a matrix of zeros, or the diagonal of a matrix
 * Shape:  x (k) -> (n,n) for n = k + |offset|, or x (m,n) -> (k)
 * Dtype:  any
 * Grad:   as ag_diag_embed, or ag_diagonal
 * Errors: AG_ERR_SHAPE unless x has one axis or two
 * Source: numpy.diag */
AG_API ag_tensor *ag_diag(ag_tensor *x, int64_t offset);

/* ag_eye -- m rows by n columns of zeros with ones on a diagonal
 * Shape:  () -> (m,n)
 * Dtype:  any
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.eye */
AG_API ag_tensor *ag_eye(ag_tape *tape, ag_dtype dtype, int64_t m, int64_t n, int64_t offset);

/* ag_tril -- 0 where j > i + offset for the last two axes i and j: the lower triangle
 * Shape:  x (…,m,n) -> (…,m,n)
 * Dtype:  any
 * Grad:   x̄ = ȳ's triangle
 * Errors: AG_ERR_SHAPE for fewer than 2 axes
 * Source: numpy.tril */
AG_API ag_tensor *ag_tril(ag_tensor *x, int64_t offset);

/* ag_triu -- 0 where j < i + offset for the last two axes i and j: the upper triangle
 * Shape:  x (…,m,n) -> (…,m,n)
 * Dtype:  any
 * Grad:   x̄ = ȳ's triangle
 * Errors: AG_ERR_SHAPE for fewer than 2 axes
 * Source: numpy.triu */
AG_API ag_tensor *ag_triu(ag_tensor *x, int64_t offset);

#endif
