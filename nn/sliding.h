/* sliding -- windows that slide over the spatial axes of x (N,…,C), for convolution and pooling */
#ifndef AG_NN_SLIDING_H
#define AG_NN_SLIDING_H

#include "nn/refuse.h" /* which notes no locations: nodes and errors get that of the caller */

/* The windows over one to three spatial axes, which are axes 1, 2, … of x. */
typedef struct ag__sliding {
    int axes;
    int64_t size[AG_SPACE], stride[AG_SPACE], dilation[AG_SPACE], before[AG_SPACE], after[AG_SPACE];
} ag__sliding;

/* The numbers that a call gives, with 0 for those of the axis before. */
ag__sliding ag__sliding_of(int axes, const int64_t size[], const int64_t stride[], const int64_t dilation[],
                           const int64_t padding[][2]);

/* How many elements a window reaches over along an axis. */
int64_t ag__reach(const ag__sliding *s, int axis);

/* Padding by which an axis of extent n has ⌈n/stride⌉ windows, the larger half behind; for numbers in range. */
void ag__pad_to_same(ag__sliding *s, int axis, int64_t n);

/* NULL if the numbers are in range; else nil, after an error about the tensors of the call. */
ag_tensor *ag__sliding_wrong(const char *name, int n, ag_tensor *const x[], const ag__sliding *s);

/* NULL if there is a window along each axis of x[0]; else nil, after an error. */
ag_tensor *ag__windows_wrong(const char *name, int n, ag_tensor *const x[], const ag__sliding *s);

/* x with its padding, of this value, along all axes. */
ag_tensor *ag__padded(ag_tensor *x, const ag__sliding *s, double value);

/* The windows of x, which is not padded any more: N O… C K…, a view. */
ag_tensor *ag__windows_over(ag_tensor *x, const ag__sliding *s);

/* NULL if x is of a `good` dtype and (N,L…,C), and there is an extent for each of its spatial axes; else nil, after an
 * error. A single extent is repeated. */
ag_tensor *ag__image_wrong(const char *name, bool good, ag_tensor *x, ag_shape *extents);

/* The same, and each axis of x and each extent has 1 to 2³¹ − 1 elements, so that products of indices are in range. */
ag_tensor *ag__extents_wrong(const char *name, bool good, ag_tensor *x, ag_shape *extents);

#endif
