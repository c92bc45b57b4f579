/* indexing -- x[…] as in NumPy, read and written: integers, slices, new axes, "…", tensors of indices, masks
 *
 * Indices are elements of i64 tensors. Negative ones count from the end, unlike those of ag_gather and ag_scatter_add.
 * They are checked when the result is evaluated: one out of range is an error then. Where values are put in one place,
 * they are taken in row-major order, so that results are the same bits for any number of threads. */
#ifndef AG_OPS_INDEXING_H
#define AG_OPS_INDEXING_H

#include "autograd/types.h"

/* ag_put -- how values are put in a place: the last one replaces what was there, they are added to it, or the largest
 * or smallest of all is kept */
typedef enum ag_put { AG_PUT_SET, AG_PUT_ADD, AG_PUT_MAX, AG_PUT_MIN } ag_put;

/* ---- All kinds of indices in one call ---- */

/* ag_subscript_kind -- the kind of an item between the brackets of x[…] */
typedef enum ag_subscript_kind {
    AG_ITEM_INTEGER, /* `start`, counted from the end if negative; the axis is gone */
    AG_ITEM_SLICE,   /* start:stop:step, as in ag_slice */
    AG_ITEM_NEW,     /* a new axis of extent 1 */
    AG_ITEM_REST,    /* "…": whole axes, as many as the other items leave */
    AG_ITEM_INDEX    /* `index`: an i64 tensor of indices, or a bool tensor with the extents of its axes, a mask */
} ag_subscript_kind;

/* ag_subscript -- an item between the brackets of x[…]; made by AG_AT and its like, in order in AG_ITEMS(…) */
typedef struct ag_subscript {
    ag_subscript_kind kind;
    int64_t start, stop, step;
    ag_tensor *index;
} ag_subscript;

#define AG_AT(i) AG_SUBSCRIPT(AG_ITEM_INTEGER, i, 0, 1, 0)
#define AG_RANGE(start, stop, step) AG_SUBSCRIPT(AG_ITEM_SLICE, start, stop, step, 0)
#define AG_ALL AG_RANGE(INT64_MIN, INT64_MIN, 1)
#define AG_NEW AG_SUBSCRIPT(AG_ITEM_NEW, 0, 0, 1, 0)
#define AG_REST AG_SUBSCRIPT(AG_ITEM_REST, 0, 0, 1, 0)
#define AG_BY(index) AG_SUBSCRIPT(AG_ITEM_INDEX, 0, 0, 1, index)
/* Two arguments, a number and an array: ag_index(x, AG_ITEMS(AG_AT(3), AG_ALL, AG_RANGE(AG_END, AG_END, 2), AG_NEW)) */
#ifndef __cplusplus
#define AG_SUBSCRIPT(kind, start, stop, step, index) ((ag_subscript){kind, start, stop, step, index})
#define AG_ITEMS(...)                                                                                                  \
    ((int)(sizeof((ag_subscript[]){__VA_ARGS__}) / sizeof(ag_subscript))), ((ag_subscript[]){__VA_ARGS__})
#else
#define AG_SUBSCRIPT(kind, start, stop, step, index) (ag_subscript{kind, start, stop, step, index})
#define AG_ITEMS(...) ag_cpp_count(__VA_ARGS__), (ag_cpp_items{{__VA_ARGS__}}.item)

/* ag_cpp_items -- the items of AG_ITEMS in C++ */
struct ag_cpp_items {
    ag_subscript item[32];
};

template <typename... Items> constexpr int ag_cpp_count(Items...) { return static_cast<int>(sizeof...(Items)); }
#endif

/* ag_index -- y = x[…]: an item for each axis of x, or for the first of them; a view, unless a tensor is among them
 * Tensors of indices are broadcast to each other, and their axes take the place of those that they index: where they
 * begin, if integers and tensors are next to each other, or else before all others. A mask stands for a tensor of
 * indices for each of its axes, the places where it is true; it is evaluated now, because the shape depends on it.
 * Shape:  x (…) -> a shape of at most 8 axes
 * Dtype:  x any; indices i64 or bool
 * Grad:   x̄ = ȳ at the chosen elements, added where one is chosen several times; 0 elsewhere
 * Errors: AG_ERR_AXIS for more items than axes, or a second AG_REST; AG_ERR_RANGE for an integer out of range, step 0,
 *         an invalid item or more than 32 of them; when evaluated, for an index out of range; AG_ERR_SHAPE if tensors
 *         cannot be broadcast, a mask has other extents, or the result would have more than 8 axes; AG_ERR_DTYPE
 * Source: NumPy, Indexing on ndarrays */
AG_API ag_tensor *ag_index(ag_tensor *x, int n, const ag_subscript item[]);

/* ag_index_put -- y = x, but with `values` at x[…]: set, added, or the larger or smaller of both
 * The values are broadcast to the shape that ag_index gives.
 * Shape:  x (…), values (…) -> x's
 * Dtype:  x and values the same: any to set, i64, f32 or f64 otherwise
 * Grad:   set: x̄ = ȳ, and 0 in the places; the gradient by values is ȳ there, and 0 for a value that another one
 *         replaced. Added: x̄ = ȳ, and ȳ in the places. Largest and smallest: ȳ, shared equally among those that are
 *         equal to y
 * Errors: as ag_index; AG_ERR_SHAPE if values cannot be broadcast; AG_ERR_RANGE for an invalid `how`
 * Source: numpy.ndarray.__setitem__, numpy.ufunc.at, torch.Tensor.index_put, torch.scatter_reduce */
AG_API ag_tensor *ag_index_put(ag_tensor *x, int n, const ag_subscript item[], ag_tensor *values, ag_put how);

/* ag_at -- ag_index from text, as it stands between Python's brackets: ag_at(x, "3, :, ::-1, None")
 * Items are integers, slices, None or newaxis, and "..." or "…", with commas between them, and perhaps one at the end.
 * Shape:  x (…) -> a shape of at most 8 axes
 * Dtype:  any
 * Grad:   as ag_index
 * Errors: AG_ERR_RANGE for anything else, with its position in the text; as ag_index
 * Source: NumPy, Indexing on ndarrays */
AG_API ag_tensor *ag_at(ag_tensor *x, const char *text);

/* ag_at_with -- the same with n tensors, each for a "%" of the text: ag_at_with(x, "%, :, %", 2, (ag_tensor *[]){i, j})
 * Shape:  x (…) -> a shape of at most 8 axes
 * Dtype:  x any; indices i64 or bool
 * Grad:   as ag_index
 * Errors: as ag_at; AG_ERR_RANGE for another number of tensors than of "%"
 * Source: NumPy, Advanced indexing */
AG_API ag_tensor *ag_at_with(ag_tensor *x, const char *text, int n, ag_tensor *const index[]);

/* ag_put_at -- ag_index_put from text, and n tensors for the "%" in it, which may be none
 * Shape:  x (…), values (…) -> x's
 * Dtype:  as ag_index_put
 * Grad:   as ag_index_put
 * Errors: as ag_at_with and ag_index_put
 * Source: jax.numpy.ndarray.at */
AG_API ag_tensor *ag_put_at(ag_tensor *x, const char *text, int n, ag_tensor *const index[], ag_tensor *values,
                            ag_put how);

/* ---- Along one axis ---- */

/* ag_index_select -- y[…,j,…] = x[…,index[j],…]: the elements of one axis that an index names
 * Shape:  x (…,m,…), index (n) or () -> (…,n,…)
 * Dtype:  x any; index i64, −m <= index < m
 * Grad:   x̄ = ȳ, added at the index
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: torch.index_select, numpy.take */
AG_API ag_tensor *ag_index_select(ag_tensor *x, ag_tensor *index, int axis);

/* ag_index_add -- y = x, then y[…,index[j],…] += source[…,j,…]
 * Shape:  x (…,m,…), index (n) or (), source (…,n,…), broadcast to that -> (…,m,…)
 * Dtype:  x and source i64, f32 or f64; index i64, −m <= index < m
 * Grad:   x̄ = ȳ;  the gradient by source is ȳ at the index
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: torch.index_add */
AG_API ag_tensor *ag_index_add(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis);

/* ag_take_along_axis -- ag_gather, with indices that may count from the end
 * Shape:  x (…,m,…), index (…,n,…) of the same rank, broadcast to x along other axes -> (…,n,…)
 * Dtype:  x any; index i64, −m <= index < m
 * Grad:   x̄ = ȳ, added at the index
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: numpy.take_along_axis, torch.gather */
AG_API ag_tensor *ag_take_along_axis(ag_tensor *x, ag_tensor *index, int axis);

/* ag_put_along_axis -- y = x, but with values at y[index[i,j,k],j,k] for axis 0, and likewise for the others
 * Index and values are broadcast to each other, and along other axes to x.
 * Shape:  x (…,m,…), index (…,n,…), values (…,n,…) of the same rank -> (…,m,…)
 * Dtype:  x and values the same: any to set, i64, f32 or f64 otherwise; index i64, −m <= index < m
 * Grad:   as ag_index_put
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for an invalid `how` and, when evaluated, for an index
 *         out of range
 * Source: numpy.put_along_axis, torch.scatter_reduce */
AG_API ag_tensor *ag_put_along_axis(ag_tensor *x, ag_tensor *index, ag_tensor *values, int axis, ag_put how);

/* ag_scatter -- ag_put_along_axis with AG_PUT_SET
 * Shape:  x (…,m,…), index (…,n,…), source (…,n,…) of the same rank -> (…,m,…)
 * Dtype:  x and source the same; index i64, −m <= index < m
 * Grad:   as ag_index_put
 * Errors: as ag_put_along_axis
 * Source: torch.scatter; its gradient where an index occurs twice differs, and goes to both */
AG_API ag_tensor *ag_scatter(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis);

/* ag_scatter_max -- ag_put_along_axis with AG_PUT_MAX
 * Shape:  x (…,m,…), index (…,n,…), source (…,n,…) of the same rank -> (…,m,…)
 * Dtype:  x and source i64, f32 or f64; index i64, −m <= index < m
 * Grad:   as ag_index_put
 * Errors: as ag_put_along_axis
 * Source: torch.scatter_reduce with "amax" */
AG_API ag_tensor *ag_scatter_max(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis);

/* ag_scatter_min -- ag_put_along_axis with AG_PUT_MIN
 * Shape:  x (…,m,…), index (…,n,…), source (…,n,…) of the same rank -> (…,m,…)
 * Dtype:  x and source i64, f32 or f64; index i64, −m <= index < m
 * Grad:   as ag_index_put
 * Errors: as ag_put_along_axis
 * Source: torch.scatter_reduce with "amin" */
AG_API ag_tensor *ag_scatter_min(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis);

/* ---- Masks ---- */

/* ag_nonzero -- the places where x is not 0, in row-major order, as indices; x is evaluated now
 * Shape:  x (…) of r axes -> (n,r)
 * Dtype:  any -> i64
 * Grad:   a constant
 * Errors: as ag_eval
 * Source: torch.nonzero, numpy.argwhere */
AG_API ag_tensor *ag_nonzero(ag_tensor *x);

/* ag_masked_fill -- `value` where the mask is true, x elsewhere
 * Shape:  x (…), mask (…), broadcast -> (…)
 * Dtype:  x any; mask bool
 * Grad:   x̄ = ȳ where the mask is false, 0 elsewhere
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for a value that x's dtype cannot hold
 * Source: torch.Tensor.masked_fill */
AG_API ag_tensor *ag_masked_fill(ag_tensor *x, ag_tensor *mask, double value);

/* ag_masked_select -- the elements where the mask is true, in row-major order; the mask is evaluated now
 * Shape:  x (…), mask (…), broadcast -> (n)
 * Dtype:  x any; mask bool
 * Grad:   x̄ = ȳ at these elements, 0 elsewhere
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; as ag_eval of the mask
 * Source: torch.masked_select */
AG_API ag_tensor *ag_masked_select(ag_tensor *x, ag_tensor *mask);

/* ag_masked_scatter -- x, but where the mask is true the first elements of source, in row-major order; the mask is
 * evaluated now
 * Shape:  x (…), mask (…) broadcast to x, source (…) of at least as many elements as are true -> x's
 * Dtype:  x and source the same; mask bool
 * Grad:   x̄ = ȳ where the mask is false, 0 elsewhere; the gradient by source is ȳ where it is true
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; as ag_eval of the mask
 * Source: torch.Tensor.masked_scatter */
AG_API ag_tensor *ag_masked_scatter(ag_tensor *x, ag_tensor *mask, ag_tensor *source);

/* ag_one_hot -- y[…,k] = 1 for k = index[…], else 0
 * Shape:  index (…) -> (…,n)
 * Dtype:  index i64, 0 <= index < n -> dtype
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: torch.nn.functional.one_hot */
AG_API ag_tensor *ag_one_hot(ag_tensor *index, int64_t n, ag_dtype dtype);

#endif
