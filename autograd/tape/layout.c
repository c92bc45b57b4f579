/* layout -- shapes and strides
 *
 * A layout is immutable and lives in the arena, older than every node with it; elementwise results share their
 * input's, and new ones are looked up among the last few, so that comparing pointers usually settles whether two
 * shapes are equal. */
#include "autograd/tape/format.h"
#include "autograd/tape/hash.h"
#include "autograd/tape/tape.h"

#include <string.h>

static bool refuse(const char **why, const char *format, long long number, int axis) {
    static _Thread_local char text[96];
    ag__format(text, sizeof text, format, number, axis);
    *why = text;
    return false;
}

bool ag__shape_valid(const ag_shape *shape, int64_t *size, const char **why) {
    if (shape->rank < 0 || shape->rank > AG_MAX_RANK)
        return refuse(why, "rank %lld: 0 to %d is wanted", shape->rank, AG_MAX_RANK);
    enum { FEW = (1 << 29) - 1 }; /* its square is not divided by */
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        int64_t e = shape->extent[i];
        if (e < 0) return refuse(why, "the negative extent %lld at axis %d", e, i);
        if (e == 0) empty = true;
        if (e > 1 && (n | e) > FEW && n > (INT64_MAX / 16) / e) /* 16: so that bytes and strides fit too */
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

static size_t extents_bytes(int rank) { return 2 * (size_t)rank * sizeof(int64_t); }

static const ag__layout *remembered(ag_tape *tape, const ag__layout *l) {
    tape->recent[l->hash % AG__RECENT] = (ag__recent){l, tape->count};
    tape->last_recent = tape->count;
    return l;
}

/* One of the last layouts made, or a new one; the strides follow in `extent`. */
static const ag__layout *layout_like(ag_tape *tape, const ag__layout *l, const int64_t *extent) {
    size_t bytes = extents_bytes(l->rank);
    const ag__layout *known = tape->recent[l->hash % AG__RECENT].layout;
    if (known && known->hash == l->hash && known->rank == l->rank &&
        ag__same_numbers(2 * l->rank, known->extent, extent))
        return known;
    ag__layout *fresh = ag__arena(tape, sizeof *l + bytes);
    if (!fresh) return NULL;
    *fresh = *l;
    memcpy(fresh->extent, extent, bytes);
    return remembered(tape, fresh);
}

static uint64_t mixed(uint64_t h, int n, const int64_t *a) {
    for (int i = 0; i < n; i++) h = ag__mix(h, (uint64_t)a[i]);
    return h;
}

static int64_t after(int64_t step, int64_t extent) { return extent > 0 ? step * extent : step; }

const ag__layout *ag__layout_known(const ag_tape *tape, const ag_shape *shape) {
    if ((unsigned)shape->rank > AG_MAX_RANK) return NULL;
    const uint64_t hash = mixed((uint64_t)shape->rank, shape->rank, shape->extent);
    const ag__layout *l = tape->recent[hash % AG__RECENT].layout;
    if (!l || l->hash != hash || l->rank != shape->rank) return NULL;
    int64_t step = 1;
    for (int i = l->rank - 1; i >= 0; i--) {
        if (l->extent[i] != shape->extent[i] || ag__strides(l)[i] != step) return NULL;
        step = after(step, l->extent[i]);
    }
    return l;
}

const ag__layout *ag__layout_add(ag_tape *tape, const ag_shape *shape) {
    const int rank = shape->rank;
    ag__layout *l = ag__arena(tape, sizeof *l + extents_bytes(rank));
    if (!l) return NULL;
    int64_t *strides = l->extent + rank, size = 1, step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        const int64_t extent = shape->extent[i];
        l->extent[i] = extent, strides[i] = step;
        size *= extent;
        step = after(step, extent);
    }
    l->size = size, l->rank = rank, l->contiguous = true, l->number = 0;
    l->hash = mixed((uint64_t)rank, rank, shape->extent);
    return remembered(tape, l);
}

/* The hash is that of the extents alone if the strides follow from them. */
static const ag__layout *layout_with(ag_tape *tape, const ag_shape *shape, const int64_t *stride) {
    int64_t extent[2 * AG_MAX_RANK], *strides = extent + shape->rank, step = 1;
    ag__layout l = {.size = 1, .rank = shape->rank};
    bool usual = true;
    for (int i = shape->rank - 1; i >= 0; i--) {
        extent[i] = shape->extent[i];
        l.size *= shape->extent[i];
        strides[i] = stride[i];
        usual &= strides[i] == step;
        step = after(step, shape->extent[i]);
    }
    l.contiguous = usual || row_major(l.rank, extent, strides);
    l.hash = mixed((uint64_t)l.rank, (usual ? 1 : 2) * l.rank, extent);
    return layout_like(tape, &l, extent);
}

const ag__layout *ag__layout_new(ag_tape *tape, const ag_shape *shape, const int64_t *stride) {
    if (stride) return layout_with(tape, shape, stride);
    const ag__layout *known = ag__layout_known(tape, shape);
    return known ? known : ag__layout_add(tape, shape);
}

void ag__layouts_forget(ag_tape *tape, uint32_t count) {
    if (tape->last_recent < count) return;
    tape->last_recent = 0;
    if (count == 0) {
        memset(tape->recent, 0, sizeof tape->recent);
        return;
    }
    for (ag__recent *r = tape->recent; r < tape->recent + AG__RECENT; r++)
        if (r->count >= count) *r = (ag__recent){NULL, 0};
        else if (r->count > tape->last_recent) tape->last_recent = r->count;
}

bool ag__layout_is(const ag__layout *l, const ag_shape *shape) {
    return l->rank == shape->rank && ag__same_numbers(l->rank, l->extent, shape->extent);
}

bool ag__extents_equal(const ag__layout *a, const ag__layout *b) {
    return a->rank == b->rank && ag__same_numbers(a->rank, a->extent, b->extent);
}

bool ag__layouts_same(const ag__layout *a, const ag__layout *b) {
    return a == b || (a->rank == b->rank && ag__same_numbers(2 * a->rank, a->extent, b->extent));
}

/* Most have up to two axes: one expression, which is built where the caller wants it. A copy of what was built apart
 * waits for its parts. */
ag_shape ag__layout_shape(const ag__layout *l) {
    const int rank = l->rank;
    if (rank <= 2) return (ag_shape){rank, {rank > 0 ? l->extent[0] : 0, rank > 1 ? l->extent[1] : 0}};
    ag_shape shape = {rank, {0}};
    memcpy(shape.extent, l->extent, (size_t)rank * sizeof(int64_t));
    return shape;
}

int ag__axis(int axis, int rank) {
    return axis >= 0 && axis < rank ? axis : axis < 0 && axis >= -rank ? axis + rank : -1;
}

bool ag__axes_mask(const char *name, ag_tensor *x, const ag_axes *axes, uint32_t *mask, ag_tensor **nil) {
    int rank = x->layout->rank;
    *mask = axes->count == -1 ? (1u << rank) - 1 : 0;
    if (axes->count < -1 || axes->count > AG_MAX_RANK) {
        *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "%d axes: 0 to %d are wanted", axes->count, AG_MAX_RANK);
        return false;
    }
    for (int i = 0; i < axes->count; i++) {
        int a = ag__axis(axes->axis[i], rank);
        if (a < 0 || (*mask & 1u << a)) {
            *nil = a < 0
                       ? ag__fail(name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axes->axis[i], rank)
                       : ag__fail(name, 1, &x, AG_ERR_AXIS, "axis %d is given twice", axes->axis[i]);
            return false;
        }
        *mask |= 1u << a;
    }
    return true;
}

bool ag__two_axes(const ag__layout *l, int64_t extent[2], int64_t stride[2]) {
    int n = 0;
    for (int i = 0; i < l->rank; i++) {
        int64_t e = l->extent[i], s = ag__strides(l)[i];
        if (e == 1) continue;
        if (n > 0 && stride[n - 1] == s * e) {
            extent[n - 1] *= e;
            stride[n - 1] = s;
            continue;
        }
        if (n == 2) return false;
        extent[n] = e;
        stride[n++] = s;
    }
    if (n == 2) return true;
    extent[1] = n ? extent[0] : 1; /* one axis, or none, is the inner one */
    stride[1] = n ? stride[0] : 0;
    extent[0] = 1, stride[0] = 0;
    return true;
}

AG__RARE bool ag__three_axes(const ag__layout *l, const int64_t extent[3], int64_t stride[3]) {
    int i = l->rank - 1;
    for (int axis = 2; axis >= 0; axis--) {
        stride[axis] = 0;
        for (int64_t n = 1, e; n < extent[axis]; n *= e, i--) {
            e = l->extent[i];
            if (n == 1) stride[axis] = ag__strides(l)[i];
            if (extent[axis] % (n * e) != 0 || (e > 1 && ag__strides(l)[i] != stride[axis] * n)) return false;
        }
    }
    return true;
}

/* ---- Shapes and axes from lists ---- */

AG__RARE ag_shape ag_shape_from(int rank, const int64_t *extent);
ag_shape ag_shape_from(int rank, const int64_t *extent) {
    ag_shape shape = {.rank = -1};
    if (rank < 0 || rank > AG_MAX_RANK)
        ag__fail_on(NULL, "shape_from", AG_ERR_SHAPE, "rank %d: 0 to %d is wanted", rank, AG_MAX_RANK);
    else if (rank > 0 && !extent) ag__fail_on(NULL, "shape_from", AG_ERR_NULL, "the extents are NULL");
    else shape.rank = rank;
    if (shape.rank > 0) memcpy(shape.extent, extent, (size_t)rank * sizeof *extent);
    return shape;
}

AG__RARE ag_axes ag_axes_from(int count, const int *axis);
ag_axes ag_axes_from(int count, const int *axis) {
    ag_axes axes = {.count = AG_MAX_RANK + 1};
    if (count < 0 || count > AG_MAX_RANK)
        ag__fail_on(NULL, "axes_from", AG_ERR_AXIS, "%d axes: 0 to %d are wanted", count, AG_MAX_RANK);
    else if (count > 0 && !axis) ag__fail_on(NULL, "axes_from", AG_ERR_NULL, "the axes are NULL");
    else axes.count = count;
    if (axes.count > 0 && axes.count <= AG_MAX_RANK) memcpy(axes.axis, axis, (size_t)count * sizeof *axis);
    return axes;
}
