/* pack -- walking strided arrays, and packing their elements */
#ifndef AG_PACK_H
#define AG_PACK_H

#include "autograd/eval/eval.h"
#include "autograd/tape/limits.h"

/* A layout with adjacent axes joined where the outer stride is the whole of the inner. */
typedef struct ag__walk {
    int rank;
    int64_t extent[AG_MAX_RANK], stride[AG_MAX_RANK];
} ag__walk;

static inline void ag__walk_add(ag__walk *w, int64_t extent, int64_t stride) {
    if (extent == 1) return;
    if (w->rank > 0 && w->stride[w->rank - 1] == stride * extent) {
        w->extent[w->rank - 1] *= extent;
        w->stride[w->rank - 1] = stride;
        return;
    }
    w->extent[w->rank] = extent;
    w->stride[w->rank++] = stride;
}

ag__walk ag__walk_over(int rank, const int64_t *extent, const int64_t *stride);
void ag__walk_set(ag__walk *w, int rank, const int64_t *extent, const int64_t *stride);

/* The offset of row-major element `at`; *last is set to its index along the last axis. */
static inline int64_t ag__walk_offset(const ag__walk *w, int64_t at, int64_t *last) {
    int64_t offset = 0;
    *last = 0;
    for (int i = w->rank - 1; i >= 0; i--) {
        int64_t index = i > 0 ? at % w->extent[i] : at;
        if (i > 0) at /= w->extent[i];
        offset += index * w->stride[i];
        if (i == w->rank - 1) *last = index;
    }
    return offset;
}

static inline int64_t ag__walk_size(const ag__walk *w) {
    int64_t n = 1;
    for (int i = 0; i < w->rank; i++) n *= w->extent[i];
    return n;
}

/* Rows of `width` bytes, `y_across` and `x_across` apart. */
void ag__copy_rows(char *y, int64_t y_across, const char *x, int64_t x_across, int64_t rows, int64_t width);

/* Pack row-major elements start… of a strided array: the rest of a row, whole rows, the beginning of one. */
void ag__pack_walk(char *y, const char *x, const ag__walk *w, int64_t start, int64_t count, size_t bytes);

/* The columns of a large transpose: elements that are below each other are adjacent. It is read by tiles of some rows,
 * and a strip has not so many. 0: it is none. */
int64_t ag__turned_columns(const ag__layout *l);

#endif
