/* sort -- sorting along an axis, the first elements of the order, and searching in sorted elements
 *
 * The order is NumPy's: NaN is larger than any number, −0 and 0 are equal. Equal elements keep their order, also in
 * descending order. An axis of f32 or bool has at most 2³² − 2 elements. */
#ifndef AG_OPS_SORT_H
#define AG_OPS_SORT_H

#include "autograd/types.h"

/* ag_sort -- the elements along an axis in ascending order, or in descending order
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   ȳ goes to the element that y is
 * Errors: AG_ERR_AXIS
 * Source: numpy.sort, with kind="stable"; torch.sort has a descending order too */
AG_API ag_tensor *ag_sort(ag_tensor *x, int axis, bool descending);

/* ag_argsort -- the indices of the elements along an axis in their order: ag_sort is ag_gather of them
 * Shape:  x (…) -> (…)
 * Dtype:  any -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_AXIS
 * Source: numpy.argsort, with kind="stable" */
AG_API ag_tensor *ag_argsort(ag_tensor *x, int axis, bool descending);

/* ag_topk_along -- the k largest elements along an axis, the largest first, or the k smallest; and their indices
 * They are the first k of ag_sort, NaN before any number if the largest are wanted. `index` may be NULL.
 * Shape:  x (…,n,…) -> (…,k,…)
 * Dtype:  any; the indices are i64
 * Grad:   ȳ goes to the element that y is; the indices are not differentiable
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE unless 0 <= k <= n
 * Source: torch.topk */
AG_API ag_tensor *ag_topk_along(ag_tensor *x, int64_t k, int axis, bool largest, ag_tensor **index);

/* ag_searchsorted -- where x would have to be inserted into sorted elements: how many are less, or are not greater
 * `sorted` is in ascending order along its last axis; the result is unspecified, but some index, if it is not.
 * Shape:  sorted (n), x (…) -> (…), or sorted (…,n), x (…,m) -> (…,m)
 * Dtype:  i64, f32 or f64, the same for both -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.searchsorted; torch.searchsorted has several rows */
AG_API ag_tensor *ag_searchsorted(ag_tensor *sorted, ag_tensor *x, bool right);

#endif
