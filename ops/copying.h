/* copying -- copying between strided arrays, and adding one to another */
#ifndef AG_OPS_COPYING_H
#define AG_OPS_COPYING_H

#include "autograd/tape/op.h"

/* n elements of so many bytes, at distances in bytes. */
void ag__copy_run(int64_t n, size_t bytes, char *to, int64_t to_step, const char *from, int64_t from_step);

/* Whether a result is written past the caches, if so many bytes are read and written on the way: a reader would not
 * find its beginning there. */
bool ag__goes_past(int64_t bytes);

/* A copy of n contiguous bytes, past the caches if it is worth it. The thread calls ag__copied_past() at the end. */
void ag__copy_row(char *to, const char *from, size_t n, bool past, int64_t soon);

/* The elements of x to `to`, which has other strides, in elements. */
void ag__copy(char *to, const int64_t *to_stride, const ag_array *x, int threads, bool past);

/* Add the elements of x, which is not empty, to those at `to`, which have other strides. */
void ag__add_to(char *to, const int64_t *stride, const ag_array *x);

#endif
