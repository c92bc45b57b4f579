/* layout -- shapes and strides
 *
 * A layout is immutable and lives in the arena, older than every node that shows it; elementwise results share their
 * input's, so that comparing two pointers usually settles whether two shapes are equal. */
#include "autograd/internal.h"

#include <stdio.h>
#include <string.h>

static bool refuse(const char **why, const char *format, long long number, int axis) {
    static _Thread_local char text[96];
    snprintf(text, sizeof text, format, number, axis);
    *why = text;
    return false;
}

bool ag__shape_valid(const ag_shape *shape, int64_t *size, const char **why) {
    if (shape->rank < 0 || shape->rank > AG_MAX_RANK)
        return refuse(why, "rank %lld, which is not 0 to %d", shape->rank, AG_MAX_RANK);
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        int64_t e = shape->extent[i];
        if (e < 0) return refuse(why, "extent %lld, which is negative, at axis %d", e, i);
        if (e == 0) empty = true;
        if (e > 1 && n > (INT64_MAX / 16) / e) /* 16: bytes and strides fit as well */
            return refuse(why, "more elements than can be counted, with extent %lld at axis %d", e, i);
        if (e > 1) n *= e;
    }
    *size = empty ? 0 : n;
    return true;
}

static bool row_major(int rank, const int64_t *extent, const int64_t *stride) {
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        if (extent[i] == 0) return true;
        if (extent[i] != 1 && stride[i] != step) return false;
        step *= extent[i];
    }
    return true;
}

const ag__layout *ag__layout_new(ag_tape *tape, const ag_shape *shape, const int64_t *stride) {
    size_t axes = (size_t)shape->rank;
    ag__layout *l = ag__arena(tape, sizeof *l + 2 * axes * sizeof(int64_t));
    if (!l) return NULL;
    *l = (ag__layout){.size = 1, .rank = shape->rank};
    int64_t *strides = l->extent + axes, step = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        l->extent[i] = shape->extent[i];
        l->size *= shape->extent[i];
        strides[i] = stride ? stride[i] : step;
        step *= shape->extent[i] > 0 ? shape->extent[i] : 1;
    }
    l->contiguous = !stride || row_major(l->rank, l->extent, strides);
    l->hash = (uint64_t)l->rank;
    for (size_t i = 0; i < 2 * axes; i++)
        l->hash = (l->hash ^ (uint64_t)l->extent[i]) * 0x9e3779b97f4a7c15u, l->hash ^= l->hash >> 32;
    return l;
}

bool ag__layout_is(const ag__layout *l, const ag_shape *shape) {
    return l->rank == shape->rank && memcmp(l->extent, shape->extent, (size_t)l->rank * sizeof(int64_t)) == 0;
}

bool ag__layouts_equal(const ag__layout *a, const ag__layout *b) {
    return a == b || (a->rank == b->rank && memcmp(a->extent, b->extent, (size_t)a->rank * sizeof(int64_t)) == 0);
}

ag_shape ag__layout_shape(const ag__layout *l) {
    ag_shape shape = {l->rank, {0}};
    memcpy(shape.extent, l->extent, (size_t)l->rank * sizeof(int64_t));
    return shape;
}

bool ag__axes_mask(const char *name, ag_tensor *x, const ag_axes *axes, uint32_t *mask, ag_tensor **nil) {
    int rank = x->layout->rank;
    *mask = axes->count == -1 ? (1u << rank) - 1 : 0;
    if (axes->count < -1 || axes->count > AG_MAX_RANK) {
        *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "%d is no number of axes", axes->count);
        return false;
    }
    for (int i = 0; i < axes->count; i++) {
        int a = ag__axis(axes->axis[i], rank);
        if (a < 0 || (*mask & 1u << a)) {
            *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "axis %d is out of range or given twice", axes->axis[i]);
            return false;
        }
        *mask |= 1u << a;
    }
    return true;
}
