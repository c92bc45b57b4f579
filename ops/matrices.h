/* matrices -- for operations on the matrices of the last two axes: checks of inputs, and loops over a batch */
#ifndef AG_MATRICES_H
#define AG_MATRICES_H

#include "autograd/tape/op.h"

/* ---- Recording ---- */

/* Set `leading` to the leading axes of a and b, broadcast to each other; false if they cannot be, or if a or b had too
 * many elements then. The last two axes of each are not among them. */
bool ag__common_leading(const ag_tensor *a, const ag_tensor *b, ag_shape *leading);
/* x, with these leading axes. */
ag_tensor *ag__with_leading(ag_tensor *x, const ag_shape *leading);

/* Whether `name` is defined for x: n tensors, usable, all f32 or all f64, the first of which are matrices. If not,
 * *nil is set, after an error. */
bool ag__usable_matrices(const char *name, int n, ag_tensor *const x[], bool square, ag_tensor **nil);
/* A call with several results, of matrices: AG_OK if there is a place for each, and a is usable; else each is nil. And
 * its end, with the results in the order in which they were recorded: all of them, or all nil. */
ag_status ag__begin_results(const char *name, ag_tensor *a, bool square, int n, ag_tensor **const y[]);
ag_status ag__end_results(int n, ag_tensor **const y[]);

/* From infer: whether input 0 is a real matrix, which is square; and the other inputs of its dtype. */
bool ag__is_matrix(const ag_infer *r, bool square);

/* The n×n identity, of x's tape and dtype. */
static inline ag_tensor *ag__identity(const ag_tensor *x, int64_t n) {
    return ag_eye(ag_tape_of(x), ag_dtype_of(x), n, n, 0);
}
/* The lower triangle of a square x, and its mirror image above the diagonal. */
ag_tensor *ag__mirrored(ag_tensor *x);
static inline ag_tensor *ag__turned(ag_tensor *x) { return ag_transpose(x, -2, -1); }
/* g·yᵀ in a vjp, of a cotangent g; strong: y, too, has strong zeros, as it is made of a cotangent. */
ag_tensor *ag__outer(ag_tensor *g, ag_tensor *y, bool strong);
/* x·u⁻ᵀ in a vjp, for the upper triangle of a square u. In linalg.c. */
ag_tensor *ag__over_upper(ag_tensor *x, ag_tensor *u);
/* Columns or rows from … to−1. */
static inline ag_tensor *ag__columns(ag_tensor *x, int64_t from, int64_t to) { return ag_slice(x, -1, from, to, 1); }
static inline ag_tensor *ag__rows(ag_tensor *x, int64_t from, int64_t to) { return ag_slice(x, -2, from, to, 1); }

/* ---- Evaluating ---- */

/* Item i of a batch, whose own axes are the last `own`; for `own` 2, a matrix. */
void *ag__item(const ag_array *x, int own, int64_t i);
int64_t ag__items(const ag_array *x, int own);
/* A copy of a matrix of a batch, row-major, ld elements from row to row; turned: of its transpose. */
void ag__copy_item(const ag_array *x, int64_t i, bool turned, void *to, int64_t ld);

enum { AG__DONE = -1 };

/* Calls one(call, i, memory) for each of `count` items, by threads, with so many bytes of memory aligned to 64 for each
 * thread. `work`: elementary steps for an item. `one` returns AG__DONE, or a number that says what is wrong. False
 * without memory, after an error, or if something is wrong: then *item is the first such item, and *wrong its
 * number. */
bool ag__each_item(const ag_call *call, int64_t count, double work, size_t bytes,
                   int64_t (*one)(const ag_call *call, int64_t i, char *memory), int64_t *item, int64_t *wrong);

/* The failure of an item, unless memory was lacking before; false. The message is "the matrix", its place in the
 * batch, and `what`. */
bool ag__fail_item(const ag_call *call, ag_status status, int64_t item, int64_t wrong, const char *what);

#endif
