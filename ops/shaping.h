/* shaping -- shared by the files of rearranging operations: errors about axes, slices, lists of tensors */
#ifndef AG_OPS_SHAPING_H
#define AG_OPS_SHAPING_H

#include "autograd/tape/tape.h"

/* Nil, after the error that the constructor `name` was given no axis of x. */
ag_tensor *ag__no_axis(const char *name, ag_tensor *x, int axis);

/* x broadcast to `shape` if it has its rank and fits; or x, which infer then refuses. In index.c. */
ag_tensor *ag__stretched(ag_tensor *x, const ag_shape *shape);

/* x, one of the inputs in[…] of the constructor `name`, broadcast to `shape`; nil after an error. In arrange.c. */
ag_tensor *ag__widened(const char *name, int n, ag_tensor *const in[], ag_tensor *x, const ag_shape *shape);

/* Whether n tensors have one dtype; if not, an error. In arrange.c, as the next. */
bool ag__one_dtype(const char *name, int n, ag_tensor *const x[], ag_tensor **nil);

/* y or, if it is nil, the same with all taken back that was recorded since that position. */
ag_tensor *ag__whole_or_nothing(ag_tensor *y, const ag__position *since);

/* The elements of x, copied run by run: faster than ag_contiguous if the runs are long. In shape.c. */
ag_tensor *ag__copied(ag_tensor *x);

/* Python's start:stop:step along one axis; AG_END for what is left out. */
typedef struct ag__cut {
    int64_t start, stop, step;
} ag__cut;

/* x, usable, cut along each of its axes by a step that is not 0: a view, of one node at most. In slices.c. */
ag_tensor *ag__slices(const char *name, ag_tensor *x, const ag__cut *cut);

/* How many indices a cut has of an axis of extent n, and the first of them; *step becomes 1 if there is but one. In
 * slices.c. */
int64_t ag__cut_extent(const ag__cut *cut, int64_t n, int64_t *first, int64_t *step);

/* ag_index and ag_index_put, of the constructor `name`. In items.c. */
ag_tensor *ag__index(const char *name, ag_tensor *x, int n, const ag_subscript item[]);
ag_tensor *ag__index_put(const char *name, ag_tensor *x, int n, const ag_subscript item[], ag_tensor *values,
                         ag_put how);

/* The axis along which g has elements of its input at every *step indices, from 0 on, and zeros in between; -1 if g is
 * anything else. In slices.c. */
int64_t ag__spread_axis(const ag_tensor *g, int64_t *step);

/* `value` around x: so many elements before and after along each axis, none of them negative. In slices.c. */
ag_tensor *ag__pad(ag_tensor *x, const int64_t *before, const int64_t *after, double value);

#endif
