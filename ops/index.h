/* index -- elements selected by index, and added at indices
 *
 * Indices are elements of i64 tensors, and are checked when the result is evaluated: one out of range is an error
 * then. */
#ifndef AG_OPS_INDEX_H
#define AG_OPS_INDEX_H

#include "autograd/types.h"

/* ag_gather -- y[i,j,k] = x[index[i,j,k],j,k] for axis 0, and likewise for the others
 * The index is broadcast to x along other axes: an index (n,1) gathers rows of a table (rows,columns).
 * Shape:  x (…,m,…), index (…,n,…) of the same rank -> (…,n,…)
 * Dtype:  x any; index i64, 0 <= index < m
 * Grad:   x̄ = scatter-add of ȳ into zeros
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: numpy.take_along_axis */
AG_API ag_tensor *ag_gather(ag_tensor *x, ag_tensor *index, int axis);

/* ag_scatter_add -- y = x, then y[index[i,j,k],j,k] += source[i,j,k] for axis 0, and likewise for the others
 * The sums are taken in row-major order. Index and source are broadcast to each other, and along other axes to x.
 * Shape:  x (…,m,…), index (…,n,…), source (…,n,…) of the same rank -> (…,m,…)
 * Dtype:  x and source i64, f32 or f64; index i64, 0 <= index < m
 * Grad:   x̄ = ȳ;  the gradient by source is ȳ, gathered
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: torch.scatter_add */
AG_API ag_tensor *ag_scatter_add(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis);

#endif
