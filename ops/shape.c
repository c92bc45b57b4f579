/* shape -- the same elements in another shape or order, or constant to gradients; and concatenation
 *
 * The shape, strides and offset of a view are known when it is recorded; a view never copies. Attributes are
 * normalised: axes are not negative, extents are not −1. A call that changes nothing is not recorded. */
#include "autograd/eval/eval.h"
#include "autograd/eval/rows.h"
#include "autograd/eval/stream.h"
#include "autograd/tape/limits.h"
#include "ops/copying.h"
#include "ops/rules.h"
#include "ops/shaping.h"

#include <string.h>

/* ---- Common to all ---- */

/* The extents of the new shape; only the first `rank` are stored. */
typedef struct extents {
    int64_t rank;
    int64_t extent[AG_MAX_RANK];
} extents;

static size_t extents_bytes(const extents *e) { return (size_t)(1 + e->rank) * sizeof(int64_t); }

static void set_extents(extents *e, const ag_shape *shape) {
    e->rank = shape->rank;
    memcpy(e->extent, shape->extent, (size_t)shape->rank * sizeof(int64_t));
}

/* Take the new shape from the attributes, which may be any bytes. */
static bool take_shape(ag_infer *r) {
    const extents *e = r->attributes;
    if (e->rank < 0 || e->rank > AG_MAX_RANK || r->attribute_bytes < extents_bytes(e))
        return ag_reject(r, AG_ERR_SHAPE, "the attributes hold no shape: %lld axes in %zu bytes", (long long)e->rank,
                         r->attribute_bytes);
    r->shape.rank = (int)e->rank;
    memcpy(r->shape.extent, e->extent, (size_t)e->rank * sizeof(int64_t));
    return true;
}

/* All of x, as it has been found out that it can be shown. */
static ag_tensor *shown(const ag_op *op, ag_tensor *x, const ag_shape *shape, const int64_t *stride, const extents *e) {
    return ag__record_view(op, x, ag__layout_new(x->tape, shape, stride), 0, e, extents_bytes(e));
}

static bool rank_fits(const char *name, ag_tensor *x, int rank, ag_tensor **nil) {
    if (rank >= 0 && rank <= AG_MAX_RANK) return true;
    *nil = ag__fail(name, 1, &x, AG_ERR_SHAPE, "the new shape would have %d axes, not 0 to %d", rank, AG_MAX_RANK);
    return false;
}

ag_tensor *ag__no_axis(const char *name, ag_tensor *x, int axis) {
    return ag__fail(name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, x->layout->rank);
}

/* ---- reshape, squeeze, unsqueeze ---- */

/* The strides are of no use if there are no elements. */
static void row_major(const ag_shape *shape, int64_t *stride) {
    int64_t step = 1;
    for (int i = shape->rank - 1; i >= 0; step *= shape->extent[i--]) stride[i] = step;
}

/* Axes of x, joined where the outer stride is the inner's extent times its stride; returns how many are left. */
static int joined_axes(const ag__layout *x, int64_t *extent, int64_t *stride) {
    int n = 0;
    for (int i = 0; i < x->rank; i++) {
        int64_t e = x->extent[i], s = ag__strides(x)[i];
        if (e == 1) continue;
        bool joins = n && stride[n - 1] == s * e;
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
    if (x->contiguous) return true; /* as all are that have no elements */
    int64_t extent[AG_MAX_RANK] = {0}, step[AG_MAX_RANK] = {0};
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

static ag_tensor *reshape_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag__reshape_as(g, ag_input(y, i)); }

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

/* To the shape, of which an extent of −1 is worked out. */
static ag_tensor *reshaped(ag_tensor *x, ag_shape *shape) {
    ag_tensor *nil;
    int64_t stride[AG_MAX_RANK], size;
    const char *why;
    if (!ag__inputs_usable("reshape", 1, &x, &nil) || !rank_fits("reshape", x, shape->rank, &nil)) return nil;
    work_out(shape, x->layout->size);
    if (ag__layout_is(x->layout, shape)) return ag__unchanged(x);
    extents e;
    set_extents(&e, shape);
    if (ag__shape_valid(shape, &size, &why) && size == x->layout->size) {
        const bool shows = reshape_strides(x->layout, shape, stride);
        if (shows && size) return shown(&ag__op_reshape, x, shape, stride, &e);
        if (!shows) x = ag_contiguous(x);
    }
    return ag_apply(&ag__op_reshape, 1, &x, &e, extents_bytes(&e));
}

ag_tensor *ag_reshape(ag_tensor *x, ag_shape shape) { return reshaped(x, &shape); }

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
    return reshaped(x, &shape);
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
    return reshaped(x, &shape);
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
    return same ? ag__unchanged(x) : ag_apply(&ag__op_permute, 1, &x, o, sizeof *o);
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
    if (p < 0 || q < 0) return ag__no_axis("transpose", x, p < 0 ? axis0 : axis1);
    order o = {{0}};
    for (int i = 0; i < rank; i++) o.axis[i] = (uint8_t)(i == p ? q : i == q ? p : i);
    return record_permute(x, &o);
}

/* ---- broadcast_to ---- */

/* The strides of x in that shape, of as many axes at least; or the first axis that cannot have its extent, else −1. */
static int broadcast_strides(const ag__layout *x, const ag_shape *shape, int64_t *stride) {
    const int more = shape->rank - x->rank;
    for (int i = 0; i < more; i++) stride[i] = 0;
    for (int i = 0; i < x->rank; i++) {
        const bool same = x->extent[i] == shape->extent[more + i];
        if (!same && x->extent[i] != 1) return i;
        stride[more + i] = same ? ag__strides(x)[i] : 0;
    }
    return -1;
}

static bool broadcast_to_infer(ag_infer *r) {
    const ag__layout *x = r->x[0]->layout;
    if (!take_shape(r)) return false;
    r->offset = r->x[0]->offset;
    if (r->shape.rank < x->rank)
        return ag_reject(r, AG_ERR_SHAPE, "the new shape has %d axes: at least %d are wanted", r->shape.rank, x->rank);
    const int i = broadcast_strides(x, &r->shape, r->stride);
    return i < 0 || ag_reject(r, AG_ERR_SHAPE, "extent %lld of axis %d cannot become %lld", (long long)x->extent[i], i,
                              (long long)r->shape.extent[r->shape.rank - x->rank + i]);
}

/* x̄ = Σ ȳ over the axes that are new or had extent 1. */
static ag_tensor *broadcast_to_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_shape from = ag_shape_of(ag_input(y, i)), to = ag_shape_of(y);
    const int more = to.rank - from.rank;
    ag_axes axes = {0};
    for (int j = 0; j < to.rank; j++)
        if (to.extent[j] != (j < more ? 1 : from.extent[j - more])) axes.axis[axes.count++] = j;
    if (axes.count > 0) g = ag__sum_of_cotangents(y->op, g, axes, more == 0);
    return reshaped(g, &from);
}

const ag_op ag__op_broadcast_to = {.name = "broadcast_to",
                                   .notation = "{0}",
                                   .kind = AG_KIND_VIEW,
                                   .flags = AG_OP_HIDES_NOTHING,
                                   .arity = 1,
                                   .attribute_bytes = sizeof(int64_t),
                                   .infer = broadcast_to_infer,
                                   .vjp = broadcast_to_vjp};

ag_tensor *ag__broadcast(ag_tensor *x, const ag_shape *shape) {
    ag_tensor *nil;
    int64_t stride[AG_MAX_RANK], size;
    const char *why;
    if (!ag__inputs_usable("broadcast_to", 1, &x, &nil) || !rank_fits("broadcast_to", x, shape->rank, &nil)) return nil;
    if (ag__layout_is(x->layout, shape)) return ag__unchanged(x);
    extents e;
    set_extents(&e, shape);
    if (shape->rank >= x->layout->rank && broadcast_strides(x->layout, shape, stride) < 0 &&
        ag__shape_valid(shape, &size, &why) && size)
        return shown(&ag__op_broadcast_to, x, shape, stride, &e);
    return ag_apply(&ag__op_broadcast_to, 1, &x, &e, extents_bytes(&e));
}

ag_tensor *ag_broadcast_to(ag_tensor *x, ag_shape shape) { return ag__broadcast(x, &shape); }

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
    return x->layout->contiguous ? ag__unchanged(x) : ag_apply(&ag__op_contiguous, 1, &x, NULL, 0);
}

/* ---- stop_gradient ---- */

/* A view of everything, whose inputs get no gradient. */
const ag_op ag__op_stop_gradient = {.name = "stop_gradient",
                                    .notation = "stop({0})",
                                    .kind = AG_KIND_VIEW,
                                    .arity = 1,
                                    .infer = ag__unchanged_infer,
                                    .vjp = ag_zero_vjp};

ag_tensor *ag_stop_gradient(ag_tensor *x) {
    ag_tensor *nil;
    return ag__inputs_usable("stop_gradient", 1, &x, &nil)
               ? ag__record_view(&ag__op_stop_gradient, x, x->layout, 0, NULL, 0)
               : nil;
}

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
 * elements of several stay in the cache; or are put together elsewhere, and then written past the caches. */
typedef struct joining {
    const ag_call *call;
    int64_t axis, rows; /* rows at a time */
    bool past;          /* y is written past the caches */
} joining;

static void copy_all_inputs(const joining *j, char *to, int64_t start, int64_t rows, int threads, bool past) {
    const ag_array *y = &j->call->y;
    const int64_t bytes = (int64_t)ag_dtype_size(y->dtype), all = y->shape[0];
    int64_t copied = 0;
    for (int i = 0; i < j->call->n; i++) {
        const ag_array *x = &j->call->x[i];
        ag_array some;
        int64_t shape[AG_MAX_RANK];
        to += copied;
        copied = x->shape[j->axis] * y->stride[j->axis] * bytes;
        if (rows != all) {
            memcpy(shape, x->shape, (size_t)x->rank * sizeof *shape);
            shape[0] = rows;
            some = *x;
            some.size = x->size / all * rows;
            some.data = (char *)x->data + start * x->stride[0] * bytes;
            some.shape = shape;
            x = &some;
        }
        ag__copy(to, y->stride, x, threads, past);
    }
}

static void concat_share(void *j_, int i, int n) {
    const joining *j = j_;
    const ag_array *y = &j->call->y;
    const int64_t all = y->shape[0], pieces = (all + j->rows - 1) / j->rows, end = ag__share_start(pieces, i + 1, n);
    const int64_t row = y->size / all * (int64_t)ag_dtype_size(y->dtype);
    double memory[AG__JOINED];
    for (int64_t k = ag__share_start(pieces, i, n); k < end; k++) {
        const int64_t start = k * j->rows, rows = ag__lesser(all - start, j->rows);
        char *to = (char *)y->data + start * row;
        copy_all_inputs(j, j->past ? (char *)memory : to, start, rows, 1, false);
        if (j->past) ag__copy_past(to, memory, (size_t)(rows * row), 0);
    }
    if (j->past) ag__copied_past();
}

/* One element of each input after the other: some of each are put below each other, and turned. */
static void stack_share(void *j_, int i, int n) {
    const joining *j = j_;
    const ag_call *call = j->call;
    const int64_t bytes = (int64_t)ag_dtype_size(call->y.dtype), each = call->y.size / call->n;
    const int64_t end = ag__share_start(each, i + 1, n);
    double memory[AG__JOINED / 2], turned[AG__JOINED / 2];
    for (int64_t m, at = ag__share_start(each, i, n); at < end; at += m) {
        m = ag__lesser(end - at, j->rows);
        char *to = (char *)call->y.data + at * call->n * bytes, *from = (char *)memory;
        for (int k = 0; k < call->n; k++) ag__pack(from + k * m * bytes, &call->x[k], at, m);
        ag__turn(j->past ? (char *)turned : to, from, call->n, m, (size_t)bytes);
        if (j->past) ag__copy_past(to, turned, (size_t)(m * call->n * bytes), 0);
    }
    if (j->past) ag__copied_past();
}

static bool concat_eval(const ag_call *call) {
    enum { LEAST = AG__LIMIT(8, 3), AT_ONCE = 8 }; /* as many rows stay in the second-level cache */
    enum { LONG = 4 * AG__LINE }; /* bytes side by side that are written past the caches on their own */
    joining j = {.call = call, .axis = *(const int64_t *)call->attributes};
    const ag_array *y = &call->y;
    if (y->size == 0) return true;
    bool stacked = call->n >= LEAST && call->n <= AG__JOINED / 8 && j.axis == y->rank - 1;
    const int64_t bytes = (int64_t)ag_dtype_size(y->dtype);
    j.past = ag__goes_past(2 * y->size * bytes);
    bool whole = j.axis == 0 || j.past; /* inputs are copied one after the other */
    for (int i = 0; i < call->n; i++) {
        const int64_t extent = call->x[i].shape[j.axis];
        stacked = stacked && extent == 1;
        whole = whole && (j.axis == 0 || extent * y->stride[j.axis] * bytes >= LONG);
    }
    if (stacked) {
        j.rows = AG__JOINED / 2 / call->n;
        ag__parallel(ag__worthwhile(y->size, call->threads), stack_share, &j);
        return true;
    }
    j.rows = AG__JOINED / (y->size / y->shape[0]);
    if (whole || j.rows == 0 || j.rows >= y->shape[0])
        copy_all_inputs(&j, y->data, 0, y->shape[0], call->threads, j.past);
    else {
        if (!j.past) j.rows *= AT_ONCE;
        ag__parallel(ag__worthwhile(y->size, call->threads), concat_share, &j);
    }
    return true;
}

/* A scan asks for the inputs in their order, so each extent is added once, however many inputs there are. */
static ag_tensor *concat_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const int axis = (int)*(const int64_t *)ag_attributes(y);
    ag__joined *at = &y->tape->joined;
    if (at->of != y || i < at->inputs) *at = (ag__joined){.of = y};
    for (; at->inputs < i; at->inputs++) at->extent += y->input[at->inputs]->layout->extent[axis];
    return ag_slice(g, axis, at->extent, at->extent + y->input[i]->layout->extent[axis], 1);
}

ag_tensor *ag__copied(ag_tensor *x) {
    return ag_rank(x) == 0 ? x : ag_apply(&ag__op_concat, 1, &x, &(int64_t){0}, sizeof(int64_t));
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
    if (a < 0) return ag__no_axis("concat", x[0], axis);
    return n == 1 ? ag__unchanged(x[0]) : ag_apply(&ag__op_concat, n, x, &a, sizeof a);
}
