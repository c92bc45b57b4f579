/* shape -- the same elements in another shape or order, or constant to gradients; and concatenation
 *
 * The shape, strides and offset of a view are known when it is recorded; a view never copies. Attributes are
 * normalised: axes are not negative, extents are not −1, a slice's ends are clamped to its axis. A call that changes
 * nothing is not recorded. */
#include "autograd/eval/eval.h"
#include "autograd/tape/limits.h"
#include "ops/rules.h"

#include <stdlib.h>
#include <string.h>

/* ---- Common to all ---- */

/* The extents of the new shape; only the first `rank` are stored. */
typedef struct extents {
    int64_t rank;
    int64_t extent[AG_MAX_RANK];
} extents;

static size_t extents_bytes(const extents *e) { return (size_t)(1 + e->rank) * sizeof(int64_t); }

static extents extents_of(const ag_shape *shape) {
    extents e = {.rank = shape->rank};
    memcpy(e.extent, shape->extent, (size_t)shape->rank * sizeof(int64_t));
    return e;
}

/* Take the new shape from the attributes, which may be any bytes. */
static bool take_shape(ag_infer *r) {
    const extents *e = r->attributes;
    if (e->rank < 0 || e->rank > AG_MAX_RANK || r->attribute_bytes < extents_bytes(e))
        return ag_reject(r, AG_ERR_SHAPE, "the attributes hold no shape: %lld axes in %zu bytes", (long long)e->rank,
                         r->attribute_bytes);
    r->shape = (ag_shape){.rank = (int)e->rank};
    memcpy(r->shape.extent, e->extent, (size_t)e->rank * sizeof(int64_t));
    return true;
}

static bool rank_fits(const char *name, ag_tensor *x, int rank, ag_tensor **nil) {
    if (rank >= 0 && rank <= AG_MAX_RANK) return true;
    *nil = ag__fail(name, 1, &x, AG_ERR_SHAPE, "the new shape would have %d axes, not 0 to %d", rank, AG_MAX_RANK);
    return false;
}

static ag_tensor *no_axis(const char *name, ag_tensor *x, int axis) {
    return ag__fail(name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, x->layout->rank);
}

/* x, with its present value if it is a variable. */
static ag_tensor *unchanged(ag_tensor *x) {
    ag_tensor *y = ag__current(x);
    return y ? y : ag__nil_of(x->tape);
}

/* ---- reshape, squeeze, unsqueeze ---- */

static void row_major(const ag_shape *shape, int64_t *stride) {
    int64_t step = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        stride[i] = step;
        if (shape->extent[i] > 0) step *= shape->extent[i];
    }
}

/* Axes of x, joined where the outer stride is the inner's extent times its stride; returns how many are left. */
static int joined_axes(const ag__layout *x, int64_t *extent, int64_t *stride) {
    int n = 0;
    for (int i = 0; i < x->rank; i++) {
        int64_t e = x->extent[i], s = ag__strides(x)[i];
        if (e == 1) continue;
        bool joins = n > 0 && stride[n - 1] == s * e;
        extent[n - joins] = joins ? extent[n - 1] * e : e;
        stride[n - joins] = s;
        n += !joins;
    }
    return n;
}

/* The strides of a view of x in another shape of the same size; false if there are none. Each new axis must divide
 * the rest of one joined axis. */
static bool reshape_strides(const ag__layout *x, const ag_shape *shape, int64_t *stride) {
    row_major(shape, stride);
    if (x->contiguous || x->size == 0) return true;
    int64_t extent[AG_MAX_RANK], step[AG_MAX_RANK];
    int n = joined_axes(x, extent, step);
    for (int i = shape->rank - 1; i >= 0; i--) {
        int64_t e = shape->extent[i];
        if (e == 1) continue;
        if (extent[n - 1] % e != 0) return false;
        stride[i] = step[n - 1];
        step[n - 1] *= e;
        extent[n - 1] /= e;
        n -= extent[n - 1] == 1;
    }
    return true;
}

static bool reshape_infer(ag_infer *r) {
    const ag__layout *x = r->x[0]->layout;
    int64_t size;
    const char *why;
    if (!take_shape(r)) return false;
    r->offset = r->x[0]->offset;
    for (int i = 0; i < r->shape.rank; i++)
        if (r->shape.extent[i] == -1)
            return ag_reject(r, AG_ERR_SHAPE, "extent -1 cannot be inferred from %lld elements", (long long)x->size);
    if (!ag__shape_valid(&r->shape, &size, &why)) return ag_reject(r, AG_ERR_SHAPE, "the new shape has %s", why);
    if (size != x->size)
        return ag_reject(r, AG_ERR_SHAPE, "x has %lld elements, and the new shape %lld", (long long)x->size,
                         (long long)size);
    return reshape_strides(x, &r->shape, r->stride) ||
           ag_reject(r, AG_ERR_SHAPE, "x must be copied first: no strides show it in this shape");
}

static ag_tensor *reshape_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag_reshape(g, ag_shape_of(ag_input(y, i))); }

const ag_op ag__op_reshape = {.name = "reshape",
                              .notation = "reshape({0}, {shape})",
                              .kind = AG_KIND_VIEW,
                              .flags = AG_OP_HIDES_NOTHING,
                              .arity = 1,
                              .attribute_bytes = sizeof(int64_t),
                              .infer = reshape_infer,
                              .vjp = reshape_vjp};

/* Replace one extent −1. It stays if it cannot be inferred, and infer refuses it. */
static void work_out(ag_shape *shape, int64_t size) {
    int64_t rest = 1;
    int unknown = -1;
    for (int i = 0; i < shape->rank; i++) {
        int64_t e = shape->extent[i];
        if (e == -1 && unknown < 0) unknown = i;
        else if (e <= 0 || rest > INT64_MAX / e) return;
        else rest *= e;
    }
    if (unknown >= 0 && size % rest == 0) shape->extent[unknown] = size / rest;
}

ag_tensor *ag_reshape(ag_tensor *x, ag_shape shape) {
    ag_tensor *nil;
    int64_t stride[AG_MAX_RANK], size;
    const char *why;
    if (!ag__inputs_usable("reshape", 1, &x, &nil) || !rank_fits("reshape", x, shape.rank, &nil)) return nil;
    work_out(&shape, x->layout->size);
    if (ag__layout_is(x->layout, &shape)) return unchanged(x);
    bool fits = !x->layout->contiguous && ag__shape_valid(&shape, &size, &why) && size == x->layout->size;
    if (fits && !reshape_strides(x->layout, &shape, stride)) x = ag_contiguous(x);
    extents e = extents_of(&shape);
    return ag_apply(&ag__op_reshape, 1, &x, &e, extents_bytes(&e));
}

ag_tensor *ag_squeeze(ag_tensor *x, ag_axes axes) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable("squeeze", 1, &x, &nil) || !ag__axes_mask("squeeze", x, &axes, &mask, &nil)) return nil;
    ag_shape shape = {0};
    for (int i = 0; i < x->layout->rank; i++) {
        int64_t e = x->layout->extent[i];
        bool chosen = mask & 1u << i;
        if (chosen && e != 1 && axes.count >= 0)
            return ag__fail("squeeze", 1, &x, AG_ERR_SHAPE,
                            "axis %d has extent %lld: only an axis of extent 1 can be removed", i, (long long)e);
        if (!chosen || e != 1) shape.extent[shape.rank++] = e;
    }
    return ag_reshape(x, shape);
}

ag_tensor *ag_unsqueeze(ag_tensor *x, int axis) {
    ag_tensor *nil;
    if (!ag__inputs_usable("unsqueeze", 1, &x, &nil)) return nil;
    int rank = x->layout->rank + 1, at = ag__axis(axis, rank);
    if (!rank_fits("unsqueeze", x, rank, &nil)) return nil;
    if (at < 0)
        return ag__fail("unsqueeze", 1, &x, AG_ERR_AXIS, "axis %d is out of range for a result of %d axes", axis, rank);
    ag_shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++) shape.extent[i] = i == at ? 1 : x->layout->extent[i - (i > at)];
    return ag_reshape(x, shape);
}

/* ---- permute, transpose ---- */

typedef struct order {
    uint8_t axis[AG_MAX_RANK]; /* of x, for each of y; 0 beyond the rank */
} order;

static bool permute_infer(ag_infer *r) {
    const order *o = r->attributes;
    const ag__layout *x = r->x[0]->layout;
    uint32_t seen = 0;
    for (int i = 0; i < x->rank; i++) {
        int a = o->axis[i];
        if (a >= x->rank || seen & 1u << a) return ag_reject(r, AG_ERR_AXIS, "each axis must be given once");
        seen |= 1u << a;
        r->shape.extent[i] = x->extent[a];
        r->stride[i] = ag__strides(x)[a];
    }
    for (int i = x->rank; i < AG_MAX_RANK; i++)
        if (o->axis[i] != 0) return ag_reject(r, AG_ERR_AXIS, "axis %d is out of range for rank %d", i, x->rank);
    r->offset = r->x[0]->offset;
    return true;
}

static ag_tensor *record_permute(ag_tensor *x, const order *o) {
    bool same = true;
    for (int i = 0; i < x->layout->rank; i++) same = same && o->axis[i] == i;
    return same ? unchanged(x) : ag_apply(&ag__op_permute, 1, &x, o, sizeof *o);
}

static ag_tensor *permute_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const order *o = ag_attributes(y);
    order inverse = {{0}};
    for (int j = 0; j < ag_rank(y); j++) inverse.axis[o->axis[j]] = (uint8_t)j;
    return (void)i, ag_is_nil(g) ? g : record_permute(g, &inverse);
}

/* A permutation that exchanges the last two axes is a transpose. */
static const char *permute_notation(const ag_tensor *y) {
    const order *o = ag_attributes(y);
    int rank = ag_rank(y);
    for (int j = 0; j < rank - 2; j++)
        if (o->axis[j] != j) return NULL;
    return rank < 2 ? NULL : "{0}'";
}

const ag_op ag__op_permute = {.name = "permute",
                              .kind = AG_KIND_VIEW,
                              .flags = AG_OP_HIDES_NOTHING,
                              .arity = 1,
                              .attribute_bytes = sizeof(order),
                              .infer = permute_infer,
                              .vjp = permute_vjp,
                              .notation_of = permute_notation};

ag_tensor *ag_permute(ag_tensor *x, ag_axes axes) {
    ag_tensor *nil;
    uint32_t mask;
    order o = {{0}};
    if (!ag__inputs_usable("permute", 1, &x, &nil)) return nil;
    if (axes.count != x->layout->rank)
        return ag__fail("permute", 1, &x, AG_ERR_AXIS, "%d axes are given: %d are wanted", axes.count, x->layout->rank);
    if (!ag__axes_mask("permute", x, &axes, &mask, &nil)) return nil;
    for (int i = 0; i < axes.count; i++) o.axis[i] = (uint8_t)ag__axis(axes.axis[i], axes.count);
    return record_permute(x, &o);
}

ag_tensor *ag_transpose(ag_tensor *x, int axis0, int axis1) {
    ag_tensor *nil;
    if (!ag__inputs_usable("transpose", 1, &x, &nil)) return nil;
    int rank = x->layout->rank, p = ag__axis(axis0, rank), q = ag__axis(axis1, rank);
    if (p < 0 || q < 0) return no_axis("transpose", x, p < 0 ? axis0 : axis1);
    order o = {{0}};
    for (int i = 0; i < rank; i++) o.axis[i] = (uint8_t)(i == p ? q : i == q ? p : i);
    return record_permute(x, &o);
}

/* ---- broadcast_to ---- */

static bool broadcast_to_infer(ag_infer *r) {
    const ag__layout *x = r->x[0]->layout;
    if (!take_shape(r)) return false;
    r->offset = r->x[0]->offset;
    int more = r->shape.rank - x->rank;
    if (more < 0)
        return ag_reject(r, AG_ERR_SHAPE, "the new shape has %d axes: at least %d are wanted", r->shape.rank, x->rank);
    for (int i = 0; i < x->rank; i++) {
        int64_t e = x->extent[i], wanted = r->shape.extent[more + i];
        if (e != wanted && e != 1)
            return ag_reject(r, AG_ERR_SHAPE, "extent %lld of axis %d cannot become %lld", (long long)e, i,
                             (long long)wanted);
        r->stride[more + i] = e == wanted ? ag__strides(x)[i] : 0;
    }
    return true;
}

/* x̄ = Σ ȳ over the axes that are new or had extent 1. */
static ag_tensor *broadcast_to_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_shape from = ag_shape_of(ag_input(y, i)), to = ag_shape_of(y);
    int more = to.rank - from.rank, stretched = 0;
    ag_axes axes = {0};
    for (int j = 0; j < to.rank; j++) {
        if (to.extent[j] == (j < more ? 1 : from.extent[j - more])) continue;
        axes.axis[axes.count++] = j;
        stretched += j >= more;
    }
    bool in_place = more == 0, all_new = axes.count == more && stretched == 0;
    if (axes.count > 0) g = ag__sum_of_cotangents(y->op, g, axes, in_place);
    return in_place || all_new ? g : ag_reshape(g, from);
}

const ag_op ag__op_broadcast_to = {.name = "broadcast_to",
                                   .notation = "{0}",
                                   .kind = AG_KIND_VIEW,
                                   .flags = AG_OP_HIDES_NOTHING,
                                   .arity = 1,
                                   .attribute_bytes = sizeof(int64_t),
                                   .infer = broadcast_to_infer,
                                   .vjp = broadcast_to_vjp};

ag_tensor *ag_broadcast_to(ag_tensor *x, ag_shape shape) {
    ag_tensor *nil;
    if (!ag__inputs_usable("broadcast_to", 1, &x, &nil) || !rank_fits("broadcast_to", x, shape.rank, &nil)) return nil;
    if (ag__layout_is(x->layout, &shape)) return unchanged(x);
    extents e = extents_of(&shape);
    return ag_apply(&ag__op_broadcast_to, 1, &x, &e, extents_bytes(&e));
}

/* ---- slice, flip, embed: each is the other's gradient ---- */

typedef struct range { /* indices start, start+step, … on `axis` of the longer of x and y */
    int64_t axis, start, step;
    int64_t extent; /* of y */
} range;

/* Whether m indices lie within an axis of extent n. */
static bool inside(const range *p, int64_t m, int64_t n) {
    if (m < 0 || p->step == 0) return false;
    if (m == 0) return true;
    if (p->start < 0 || p->start >= n) return false;
    uint64_t ahead = (uint64_t)(p->step > 0 ? n - 1 - p->start : p->start);
    uint64_t step = p->step > 0 ? (uint64_t)p->step : 0 - (uint64_t)p->step;
    return (uint64_t)(m - 1) <= ahead / step;
}

/* The stride between indices. With one index the step is unused, and may be too large to multiply. */
static int64_t stride_of(const range *p, int64_t m, int64_t stride) { return m > 1 ? stride * p->step : stride; }

static bool slice_infer(ag_infer *r) {
    const range *p = r->attributes;
    const ag_tensor *x = r->x[0];
    if (p->axis < 0 || p->axis >= r->shape.rank || !inside(p, p->extent, r->shape.extent[p->axis]))
        return ag_reject(r, AG_ERR_RANGE, "%lld indices from %lld, step %lld, are not all on axis %lld",
                         (long long)p->extent, (long long)p->start, (long long)p->step, (long long)p->axis);
    memcpy(r->stride, ag__strides(x->layout), (size_t)r->shape.rank * sizeof(int64_t));
    r->offset = x->offset + (p->extent > 0 ? p->start * r->stride[p->axis] : 0);
    r->stride[p->axis] = stride_of(p, p->extent, r->stride[p->axis]);
    r->shape.extent[p->axis] = p->extent;
    return true;
}

static ag_tensor *slice_vjp(ag_tensor *y, ag_tensor *g, int i) {
    range p = *(const range *)ag_attributes(y);
    p.extent = ag_extent(ag_input(y, i), (int)p.axis);
    return ag_apply(&ag__op_embed, 1, &g, &p, sizeof p);
}

const ag_op ag__op_slice = {.name = "slice",
                            .notation = "slice_{i0}({0}, {i1}, {i2}, {i3})",
                            .kind = AG_KIND_VIEW,
                            .arity = 1,
                            .attribute_bytes = sizeof(range),
                            .infer = slice_infer,
                            .vjp = slice_vjp};

/* `at`, counted from the end if negative, clamped to 0 … n forwards and to −1 … n−1 backwards. */
static int64_t cut(int64_t at, int64_t n, bool backwards) {
    int64_t low = backwards ? -1 : 0, high = backwards ? n - 1 : n;
    if (at < 0) at += n;
    return at < low ? low : at > high ? high : at;
}

static range work_out_slice(int axis, int64_t n, int64_t start, int64_t stop, int64_t step) {
    bool backwards = step < 0;
    int64_t from = start != AG_END ? cut(start, n, backwards) : backwards ? n - 1 : 0;
    int64_t to = stop != AG_END ? cut(stop, n, backwards) : backwards ? -1 : n;
    int64_t ahead = backwards ? from - to : to - from;
    uint64_t magnitude = backwards ? 0 - (uint64_t)step : (uint64_t)step;
    if (ahead <= 0) return (range){axis, 0, 1, 0};
    int64_t m = (int64_t)((uint64_t)(ahead - 1) / magnitude) + 1;
    return (range){axis, from, m > 1 ? step : 1, m};
}

static ag_tensor *record_slice(const char *name, ag_tensor *x, int axis, int64_t start, int64_t stop, int64_t step) {
    ag_tensor *nil;
    if (!ag__inputs_usable(name, 1, &x, &nil)) return nil;
    int a = ag__axis(axis, x->layout->rank);
    if (a < 0) return no_axis(name, x, axis);
    if (step == 0) return ag__fail(name, 1, &x, AG_ERR_RANGE, "step 0 leads nowhere");
    range p = work_out_slice(a, x->layout->extent[a], start, stop, step);
    if (p.extent == x->layout->extent[a] && p.start == 0 && p.step == 1) return unchanged(x);
    return ag_apply(&ag__op_slice, 1, &x, &p, sizeof p);
}

ag_tensor *ag_slice(ag_tensor *x, int axis, int64_t start, int64_t stop, int64_t step) {
    return record_slice("slice", x, axis, start, stop, step);
}

ag_tensor *ag_flip(ag_tensor *x, int axis) { return record_slice("flip", x, axis, -1, AG_END, -1); }

/* ---- Copying between strided arrays ---- */

typedef struct copying { /* without axes of extent 1; neighbouring axes joined where both sides allow */
    int rank;
    int64_t extent[AG_MAX_RANK], to[AG_MAX_RANK], from[AG_MAX_RANK]; /* strides in bytes */
    size_t bytes;
} copying;

static copying copying_of(const ag_array *x, const int64_t *to_stride) {
    copying c = {.bytes = ag_dtype_size(x->dtype)};
    for (int i = 0; i < x->rank; i++) {
        int64_t e = x->shape[i], to = to_stride[i] * (int64_t)c.bytes, from = x->stride[i] * (int64_t)c.bytes;
        if (e == 1) continue;
        int n = c.rank;
        bool joins = n > 0 && c.to[n - 1] == to * e && c.from[n - 1] == from * e;
        c.extent[n - joins] = joins ? c.extent[n - 1] * e : e;
        c.to[n - joins] = to;
        c.from[n - joins] = from;
        c.rank += !joins;
    }
    return c;
}

static void copy_run(const copying *c, char *to, const char *from) {
    int last = c->rank - 1;
    int64_t n = c->extent[last], ts = c->to[last], fs = c->from[last], together = (int64_t)c->bytes;
    if (ts == together && fs == together) memcpy(to, from, (size_t)n * c->bytes);
    else if (c->bytes == 4)
        for (int64_t i = 0; i < n; i++) memcpy(to + i * ts, from + i * fs, 4);
    else if (c->bytes == 8)
        for (int64_t i = 0; i < n; i++) memcpy(to + i * ts, from + i * fs, 8);
    else
        for (int64_t i = 0; i < n; i++) to[i * ts] = from[i * fs];
}

/* Rows of few elements along the last axis: as columns, or in two pieces each, which may overlap, without the call and
 * the decisions of memcpy. */
static void copy_short_rows(const copying *c, char *to, const char *from) {
    const int last = c->rank - 1, above = c->rank - 2;
    const int64_t rows = c->extent[above], ts = c->to[above], fs = c->from[above];
    const size_t width = (size_t)c->extent[last] * c->bytes;
    if (c->to[last] == (int64_t)c->bytes && c->from[last] == (int64_t)c->bytes && width >= 16 && width <= 32) {
        for (int64_t i = 0; i < rows; i++, to += ts, from += fs) {
            memcpy(to, from, 16);
            memcpy(to + width - 16, from + width - 16, 16);
        }
        return;
    }
    const copying column = {.rank = 1, .extent = {rows}, .to = {ts}, .from = {fs}, .bytes = c->bytes};
    for (int64_t j = 0; j < c->extent[last]; j++) copy_run(&column, to + j * c->to[last], from + j * c->from[last]);
}

static void copy_axis(const copying *c, int axis, char *to, const char *from) {
    if (axis >= c->rank - 1) {
        copy_run(c, to, from);
        return;
    }
    if (axis == c->rank - 2 && c->extent[axis + 1] <= AG__FEW_COPIED && c->extent[axis] > c->extent[axis + 1]) {
        copy_short_rows(c, to, from);
        return;
    }
    for (int64_t i = 0; i < c->extent[axis]; i++)
        copy_axis(c, axis + 1, to + i * c->to[axis], from + i * c->from[axis]);
}

typedef struct outermost {
    const copying *c;
    char *to;
    const char *from;
} outermost;

static void copy_share(void *o_, int i, int n) {
    const outermost *o = o_;
    const copying *c = o->c;
    const int64_t end = ag__share_start(c->extent[0], i + 1, n);
    for (int64_t k = ag__share_start(c->extent[0], i, n); k < end; k++)
        copy_axis(c, 1, o->to + k * c->to[0], o->from + k * c->from[0]);
}

static void copy(char *to, const int64_t *to_stride, const ag_array *x, int threads) {
    if (x->size == 0) return;
    copying c = copying_of(x, to_stride);
    const char *from = x->data;
    threads = ag__worthwhile(x->size, threads);
    if (c.rank == 0) {
        memcpy(to, from, c.bytes);
    } else if (c.rank > 1 && threads > 1) {
        ag__parallel(threads, copy_share, &(outermost){&c, to, from});
    } else {
        copy_axis(&c, 0, to, from);
    }
}

/* ---- embed ---- */

static bool embed_infer(ag_infer *r) {
    const range *p = r->attributes;
    if (p->axis < 0 || p->axis >= r->shape.rank)
        return ag_reject(r, AG_ERR_AXIS, "axis %lld is out of range", (long long)p->axis);
    if (!inside(p, r->shape.extent[p->axis], p->extent))
        return ag_reject(r, AG_ERR_RANGE, "%lld indices from %lld, step %lld, are not all within extent %lld",
                         (long long)r->shape.extent[p->axis], (long long)p->start, (long long)p->step,
                         (long long)p->extent);
    r->shape.extent[p->axis] = p->extent;
    return true;
}

/* Add a row of x to a row of y: n elements at strides. */
static void add_row(ag_dtype dtype, int64_t n, void *y, int64_t y_step, const void *x, int64_t x_step) {
    int64_t *y_i64 = y;
    const int64_t *x_i64 = x;
    float *y_f32 = y;
    const float *x_f32 = x;
    double *y_f64 = y;
    const double *x_f64 = x;
    switch (dtype) {
    case AG_I64:
        for (int64_t i = 0; i < n; i++)
            y_i64[i * y_step] = (int64_t)((uint64_t)y_i64[i * y_step] + (uint64_t)x_i64[i * x_step]);
        break;
    case AG_F32:
        for (int64_t i = 0; i < n; i++) y_f32[i * y_step] += x_f32[i * x_step];
        break;
    default:
        for (int64_t i = 0; i < n; i++) y_f64[i * y_step] += x_f64[i * x_step];
        break;
    }
}

/* Add the elements of x, which is not empty, to those at `to`, which have other strides. */
static void add(char *to, const int64_t *stride, const ag_array *x) {
    int last = x->rank - 1;
    int64_t at[AG_MAX_RANK] = {0}, bytes = (int64_t)ag_dtype_size(x->dtype);
    const char *from = x->data;
    for (;;) {
        add_row(x->dtype, x->shape[last], to, stride[last], from, x->stride[last]);
        int i = last - 1;
        for (; i >= 0; i--) {
            int64_t by = ++at[i] < x->shape[i] ? 1 : 1 - x->shape[i];
            to += by * stride[i] * bytes;
            from += by * x->stride[i] * bytes;
            if (by == 1) break;
            at[i] = 0;
        }
        if (i < 0) return;
    }
}

static bool embed_eval(const ag_call *call) {
    const range *p = call->attributes;
    const ag_array *x = &call->x[0], *y = &call->y;
    size_t bytes = ag_dtype_size(y->dtype);
    int64_t stride[AG_MAX_RANK];
    if (!call->accumulate) memset(y->data, 0, (size_t)y->size * bytes);
    if (x->size == 0) return true;
    memcpy(stride, y->stride, (size_t)y->rank * sizeof(int64_t));
    char *to = (char *)y->data + p->start * stride[p->axis] * (int64_t)bytes;
    stride[p->axis] = stride_of(p, x->shape[p->axis], stride[p->axis]);
    if (call->accumulate) add(to, stride, x);
    else copy(to, stride, x, call->threads);
    return true;
}

static ag_tensor *embed_vjp(ag_tensor *y, ag_tensor *g, int i) {
    range p = *(const range *)ag_attributes(y);
    p.extent = ag_extent(ag_input(y, i), (int)p.axis);
    return ag_apply(&ag__op_slice, 1, &g, &p, sizeof p);
}

/* ---- Sums of embedded tensors ---- */

typedef struct piece { /* an embedded tensor: its place along the axis */
    int64_t start, extent;
    int number;
    ag_tensor *x;
} piece;

static int by_place(const void *a, const void *b) {
    const piece *p = a, *q = b;
    if (p->start != q->start) return p->start < q->start ? -1 : 1;
    if (p->extent != q->extent) return p->extent < q->extent ? -1 : 1;
    return p->number < q->number ? -1 : p->number > q->number;
}

/* List the pieces among y that are in neighbouring indices of this axis, in order; returns how many. */
static int pieces_of(int n, ag_tensor *const y[], int64_t axis, piece *to) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        const range *p = ag__attributes(y[i]);
        const int64_t m = y[i]->input[0]->layout->extent[axis];
        if (p->axis == axis && m > 0 && (m == 1 || p->step == 1)) to[count++] = (piece){p->start, m, i, y[i]->input[0]};
    }
    qsort(to, (size_t)count, sizeof *to, by_place);
    return count;
}

/* Add up pieces at one place, and drop those that begin within another; returns how many are left. `taken`: of y. */
static int set_apart(piece *p, int n, bool *taken) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        piece *last = count > 0 ? &p[count - 1] : NULL;
        bool beyond = !last || p[i].start >= last->start + last->extent;
        bool same = last && p[i].start == last->start && p[i].extent == last->extent;
        taken[p[i].number] = beyond || same;
        if (same) last->x = ag_add(last->x, p[i].x);
        else if (beyond) p[count++] = p[i];
    }
    return count;
}

static ag_tensor *zeros_between(const ag_tensor *y, int64_t axis, int64_t extent) {
    ag_shape shape = ag__layout_shape(y->layout);
    shape.extent[axis] = extent;
    return ag_zeros(y->tape, (ag_dtype)y->dtype, shape);
}

/* The pieces, and zeros in between, as one tensor like y; `all` has room for 2·n + 1. */
static ag_tensor *joined(int n, const piece *p, const ag_tensor *y, int64_t axis, ag_tensor **all) {
    int count = 0;
    int64_t end = 0;
    for (int i = 0; i < n; end = p[i].start + p[i].extent, i++) {
        if (p[i].start > end) all[count++] = zeros_between(y, axis, p[i].start - end);
        all[count++] = p[i].x;
    }
    if (end < y->layout->extent[axis]) all[count++] = zeros_between(y, axis, y->layout->extent[axis] - end);
    return ag_concat(count, all, (int)axis);
}

/* Whether joining them writes less than adding each in its place: to zeros, or to `rest`. */
static bool worth_joining(int n, const piece *p, const ag_tensor *y, int64_t axis, const ag_tensor *rest) {
    int64_t covered = 0;
    for (int i = 0; i < n; i++) covered += p[i].extent;
    return n > 1 && (!rest || 2 * covered >= y->layout->extent[axis]);
}

/* Slices of one tensor, each with a cotangent: those that are apart become one concatenation, without a tensor of
 * zeros for each. */
static ag_tensor *embed_sum(int n, ag_tensor *const y[], ag_tensor *rest) {
    const int64_t axis = ((const range *)ag__attributes(y[0]))->axis;
    const size_t each = sizeof(piece) + 2 * sizeof(ag_tensor *) + sizeof(bool);
    ag__buffer *memory = ag__buffer_new(y[0]->tape, ag__plus(ag__times((uint64_t)n, each), sizeof(ag_tensor *)));
    bool *taken = NULL;
    if (memory) {
        piece *p = memory->data;
        ag_tensor **all = (ag_tensor **)(void *)(p + n);
        taken = memset(all + 2 * n + 1, false, (size_t)n);
        int count = set_apart(p, pieces_of(n, y, axis, p), taken);
        if (worth_joining(count, p, y[0], axis, rest)) {
            ag_tensor *one = joined(count, p, y[0], axis, all);
            rest = rest ? ag_add(rest, one) : one;
        } else {
            taken = NULL;
        }
    }
    for (int i = 0; i < n; i++)
        if (!taken || !taken[i]) rest = rest ? ag_add(rest, y[i]) : y[i];
    ag__buffer_drop(y[0]->tape, memory);
    return rest;
}

const ag_op ag__op_embed = {.name = "embed",
                            .notation = "embed_{i0}({0}, {i1}, {i2}, {i3})",
                            .kind = AG_KIND_OPAQUE,
                            .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
                            .arity = 1,
                            .attribute_bytes = sizeof(range),
                            .infer = embed_infer,
                            .eval = embed_eval,
                            .vjp = embed_vjp,
                            .sum = embed_sum};

ag_tensor *ag_embed(ag_tensor *x, int axis, int64_t n, int64_t start, int64_t step) {
    ag_tensor *nil;
    if (!ag__inputs_usable("embed", 1, &x, &nil)) return nil;
    int a = ag__axis(axis, x->layout->rank);
    if (a < 0) return no_axis("embed", x, axis);
    if (step == 0) return ag__fail("embed", 1, &x, AG_ERR_RANGE, "step 0 leads nowhere");
    range p = {a, start, step, n};
    return ag_apply(&ag__op_embed, 1, &x, &p, sizeof p);
}

/* ---- contiguous ---- */

static void contiguous_1(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    if (y != x[0]) memcpy(y, x[0], (size_t)n);
}

static void contiguous_4(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    if (y != x[0]) memcpy(y, x[0], (size_t)n * 4);
}

static void contiguous_8(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    if (y != x[0]) memcpy(y, x[0], (size_t)n * 8);
}

static ag_tensor *contiguous_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, g; }

static ag_traced contiguous_trace(ag_trace *t, const ag_traced x[]) { return (void)t, x[0]; }

const ag_op ag__op_contiguous = {
    .name = "contiguous",
    .notation = "{0}",
    .kind = AG_KIND_ELEMENTWISE,
    .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_COPIES,
    .arity = 1,
    .block = {[AG_BOOL] = contiguous_1, [AG_I64] = contiguous_8, [AG_F32] = contiguous_4, [AG_F64] = contiguous_8},
    .vjp = contiguous_vjp,
    .trace = {[AG_BOOL] = contiguous_trace,
              [AG_I64] = contiguous_trace,
              [AG_F32] = contiguous_trace,
              [AG_F64] = contiguous_trace}};

ag_tensor *ag_contiguous(ag_tensor *x) {
    ag_tensor *nil;
    if (!ag__inputs_usable("contiguous", 1, &x, &nil)) return nil;
    return x->layout->contiguous ? unchanged(x) : ag_apply(&ag__op_contiguous, 1, &x, NULL, 0);
}

/* ---- stop_gradient ---- */

static bool stop_infer(ag_infer *r) {
    memcpy(r->stride, ag__strides(r->x[0]->layout), (size_t)r->shape.rank * sizeof *r->stride);
    r->offset = r->x[0]->offset;
    return true;
}

/* A view of everything, whose inputs get no gradient. */
const ag_op ag__op_stop_gradient = {.name = "stop_gradient",
                                    .notation = "stop({0})",
                                    .kind = AG_KIND_VIEW,
                                    .arity = 1,
                                    .infer = stop_infer,
                                    .vjp = ag_zero_vjp};

ag_tensor *ag_stop_gradient(ag_tensor *x) { return ag_apply(&ag__op_stop_gradient, 1, &x, NULL, 0); }

/* ---- concat ---- */

static bool concat_accepts(const ag_infer *r, int axis, int i) {
    const ag__layout *a = r->x[0]->layout, *b = r->x[i]->layout;
    if (r->x[i]->dtype != r->x[0]->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "the dtypes %s and %s differ", ag_dtype_name((ag_dtype)r->x[0]->dtype),
                         ag_dtype_name((ag_dtype)r->x[i]->dtype));
    if (b->rank != a->rank) return ag_reject(r, AG_ERR_SHAPE, "input %d has %d axes, not %d", i, b->rank, a->rank);
    for (int j = 0; j < a->rank; j++)
        if (j != axis && b->extent[j] != a->extent[j])
            return ag_reject(r, AG_ERR_SHAPE, "axis %d has extent %lld in input %d, not %lld", j,
                             (long long)b->extent[j], i, (long long)a->extent[j]);
    return true;
}

static bool concat_infer(ag_infer *r) {
    int64_t given = *(const int64_t *)r->attributes;
    if (given < 0 || given >= r->shape.rank)
        return ag_reject(r, AG_ERR_AXIS, "axis %lld is out of range", (long long)given);
    int axis = (int)given;
    int64_t *total = &r->shape.extent[axis];
    for (int i = 1; i < r->n; i++) {
        if (!concat_accepts(r, axis, i)) return false;
        int64_t m = r->x[i]->layout->extent[axis];
        if (*total > INT64_MAX - m) return ag_reject(r, AG_ERR_SHAPE, "the sum of the extents is too large");
        *total += m;
    }
    return true;
}

/* Rows of the first axis, which is not the joined one: a few at a time from each input, so that lines of y that have
 * elements of several stay in the cache. */
typedef struct joining {
    const ag_call *call;
    int64_t axis, rows; /* rows at a time */
} joining;

static void copy_all_inputs(const joining *j, int64_t start, int64_t rows, int threads) {
    const ag_array *y = &j->call->y;
    const int64_t bytes = (int64_t)ag_dtype_size(y->dtype), all = y->shape[0];
    char *to = (char *)y->data + start * y->stride[0] * bytes;
    for (int i = 0; i < j->call->n; i++) {
        ag_array x = j->call->x[i];
        int64_t shape[AG_MAX_RANK];
        memcpy(shape, x.shape, (size_t)x.rank * sizeof *shape);
        const int64_t extent = shape[j->axis];
        if (j->axis > 0) {
            shape[0] = rows;
            x.size = x.size / all * rows;
            x.data = (char *)x.data + start * x.stride[0] * bytes;
        }
        x.shape = shape;
        copy(to, y->stride, &x, threads);
        to += extent * y->stride[j->axis] * bytes;
    }
}

static void concat_share(void *j_, int i, int n) {
    const joining *j = j_;
    const int64_t all = j->call->y.shape[0], pieces = (all + j->rows - 1) / j->rows;
    const int64_t end = ag__share_start(pieces, i + 1, n);
    for (int64_t k = ag__share_start(pieces, i, n); k < end; k++)
        copy_all_inputs(j, k * j->rows, ag__lesser(all - k * j->rows, j->rows), 1);
}

static bool concat_eval(const ag_call *call) {
    joining j = {.call = call, .axis = *(const int64_t *)call->attributes};
    const ag_array *y = &call->y;
    if (y->size == 0) return true;
    j.rows = AG__JOINED / (y->size / y->shape[0]);
    if (j.axis == 0 || j.rows == 0 || j.rows >= y->shape[0]) copy_all_inputs(&j, 0, y->shape[0], call->threads);
    else ag__parallel(ag__worthwhile(y->size, call->threads), concat_share, &j);
    return true;
}

static ag_tensor *concat_vjp(ag_tensor *y, ag_tensor *g, int i) {
    int axis = (int)*(const int64_t *)ag_attributes(y);
    int64_t start = 0;
    for (int j = 0; j < i; j++) start += ag_extent(ag_input(y, j), axis);
    return ag_slice(g, axis, start, start + ag_extent(ag_input(y, i), axis), 1);
}

const ag_op ag__op_concat = {.name = "concat",
                             .notation = "concat_{i0}({*})",
                             .kind = AG_KIND_OPAQUE,
                             .flags = AG_OP_HIDES_NOTHING,
                             .arity = -1,
                             .attribute_bytes = sizeof(int64_t),
                             .infer = concat_infer,
                             .eval = concat_eval,
                             .vjp = concat_vjp};

ag_tensor *ag_concat(int n, ag_tensor *const x[], int axis) {
    ag_tensor *nil;
    if (n < 1) return ag__fail_on(NULL, "concat", AG_ERR_RANGE, "%d tensors are given: at least 1 is wanted", n);
    if (!x) return ag__fail_on(NULL, "concat", AG_ERR_NULL, "the inputs are NULL");
    if (!ag__inputs_usable("concat", n, x, &nil)) return nil;
    int64_t a = ag__axis(axis, x[0]->layout->rank);
    if (a < 0) return no_axis("concat", x[0], axis);
    return n == 1 ? unchanged(x[0]) : ag_apply(&ag__op_concat, n, x, &a, sizeof a);
}
