/* trilinear -- what convolutions of all kinds share: their numbers, checks, and vjp
 *
 * Σ x·w·g over the elements of all windows is linear in each of the three: an image x (N,L…,C), a weight w, and g
 * (N,O…,K), with an element for each place of a window. A convolution, its adjoint and the gradient of its weight are
 * its derivatives by g, x and w: one operation, whose attribute says which of the three it computes from the other two.
 * So its vjp is the operation itself. */
#ifndef AG_TRILINEAR_H
#define AG_TRILINEAR_H

#include "autograd/tape/op.h"

enum { AG__X, AG__W, AG__G, AG__ROLES }; /* roles, in the order of inputs */
enum { AG__SPACE = 3 };

typedef struct ag__trilinear {
    int64_t axes, output, strong; /* spatial axes; the role that is computed; bits of roles whose zeros are strong */
    int64_t in[AG__SPACE], places[AG__SPACE], size[AG__SPACE], stride[AG__SPACE], dilation[AG__SPACE];
    int64_t before[AG__SPACE]; /* how far the first window begins before the image; elements beyond the image are 0 */
    int64_t groups;            /* of channels; 0: each channel by itself, and w is (K…,C) */
} ag__trilinear;

/* `dense`: of groups of channels. */
bool ag__trilinear_infer(ag_infer *r, bool dense);
ag_tensor *ag__trilinear_vjp(ag_tensor *y, ag_tensor *g, int i);

/* The operation on x, an image, or if `transposed` on g; `extents`: of the other one of these. Nil, after an error, if
 * the inputs do not fit. */
ag_tensor *ag__trilinear_record(const ag_op *op, const char *name, bool dense, bool transposed, ag_tensor *x,
                                ag_tensor *w, int64_t groups, const ag_shape *extents, const ag_shape *stride,
                                const ag_shape *dilation, const ag_shape *before);

#endif
