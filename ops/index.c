/* index -- gather and scatter_add along an axis: each is the other's gradient
 *
 * The index, of the shape of the output (gather) or the source (scatter_add), replaces the index on one axis of the
 * table; along the others both are walked together. */
#include "autograd/tape/tape.h"
#include "ops/indexed.h"
#include "ops/rules.h"
#include "ops/shaping.h"

/* ---- Checks ---- */

static bool index_accepted(const ag_infer *r) {
    const ag_tensor *x = r->x[0], *index = r->x[1];
    int64_t axis = *(const int64_t *)r->attributes;
    if (index->dtype != AG_I64)
        return ag_reject(r, AG_ERR_DTYPE, "the index must be i64, not %s", ag_dtype_name((ag_dtype)index->dtype));
    if (axis < 0 || axis >= x->layout->rank)
        return ag_reject(r, AG_ERR_AXIS, "axis %lld is out of range", (long long)axis);
    if (index->layout->rank != x->layout->rank)
        return ag_reject(r, AG_ERR_SHAPE, "the index has %d axes: %d are wanted%s", index->layout->rank,
                         x->layout->rank, index->layout->rank == 1 ? " (ag_index_select, ag_index_add: 1)" : "");
    for (int i = 0; i < x->layout->rank; i++)
        if (i != axis && index->layout->extent[i] != x->layout->extent[i])
            return ag_reject(r, AG_ERR_SHAPE, "axis %d has extent %lld in the index, but %lld in the first input", i,
                             (long long)index->layout->extent[i], (long long)x->layout->extent[i]);
    return true;
}

ag_tensor *ag__stretched(ag_tensor *x, const ag_shape *shape) {
    bool fits = ag_rank(x) == shape->rank;
    for (int i = 0; fits && i < shape->rank; i++) fits = ag_extent(x, i) == shape->extent[i] || ag_extent(x, i) == 1;
    return fits ? ag__broadcast(x, shape) : x;
}

/* The places of the index in the table; it is not negative. */
static ag__places places_of(const ag_call *call, const ag_array *table, const ag_array *other) {
    const int axis = (int)*(const int64_t *)call->attributes;
    ag__places p = {.call = call, .table = table, .other = other, .count = 1, .index = &call->x[1], .axis = {axis}};
    p.own = ((1u << table->rank) - 1) & ~(1u << axis);
    for (int i = 0; i < table->rank; i++) p.along[i] = i == axis ? 0 : table->stride[i];
    return p;
}

/* ---- gather ---- */

static bool gather_infer(ag_infer *r) {
    if (!index_accepted(r)) return false;
    int64_t axis = *(const int64_t *)r->attributes;
    r->dtype = (ag_dtype)r->x[0]->dtype;
    r->shape.extent[axis] = r->x[1]->layout->extent[axis];
    return true;
}

static bool gather_eval(const ag_call *call) {
    const ag__places p = places_of(call, &call->x[0], &call->y);
    return ag__gather_at(&p);
}

static ag_tensor *gather_vjp(ag_tensor *y, ag_tensor *g, int i) {
    if (i != 0) return NULL;
    ag_tensor *x = ag_input(y, 0), *zeros = ag__zeros_as(x);
    return ag_scatter_add(zeros, ag_input(y, 1), g, (int)*(const int64_t *)ag_attributes(y));
}

const ag_op ag__op_gather = {.name = "gather",
                             .notation = "gather_{i0}({0}, {1})",
                             .kind = AG_KIND_OPAQUE,
                             .arity = 2,
                             .attribute_bytes = sizeof(int64_t),
                             .infer = gather_infer,
                             .eval = gather_eval,
                             .vjp = gather_vjp};

ag_tensor *ag_gather(ag_tensor *x, ag_tensor *index, int axis) {
    ag_tensor *nil, *in[2] = {x, index};
    if (!ag__inputs_usable("gather", 2, in, &nil)) return nil;
    int64_t a = ag__axis(axis, ag_rank(x));
    if (a < 0) return ag__fail("gather", 2, in, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    ag_shape shape = ag_shape_of(x);
    shape.extent[a] = ag_extent(index, (int)a);
    const ag__position since = ag__position_now(x->tape);
    in[1] = ag__stretched(index, &shape);
    return ag__whole_or_nothing(ag_apply(&ag__op_gather, 2, in, &a, sizeof a), &since);
}

/* ---- scatter_add ---- */

static bool scatter_add_infer(ag_infer *r) {
    const ag_tensor *x = r->x[0], *index = r->x[1], *source = r->x[2];
    if (x->dtype == AG_BOOL || x->dtype != source->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "the dtypes %s and %s cannot be added", ag_dtype_name((ag_dtype)x->dtype),
                         ag_dtype_name((ag_dtype)source->dtype));
    if (!index_accepted(r)) return false;
    if (source->layout->rank != index->layout->rank)
        return ag_reject(r, AG_ERR_SHAPE, "the source has %d axes: %d are wanted", source->layout->rank,
                         index->layout->rank);
    for (int i = 0; i < source->layout->rank; i++)
        if (source->layout->extent[i] != index->layout->extent[i])
            return ag_reject(r, AG_ERR_SHAPE, "axis %d has extent %lld in the source, but %lld in the index", i,
                             (long long)source->layout->extent[i], (long long)index->layout->extent[i]);
    return true;
}

static bool scatter_add_eval(const ag_call *call) {
    const ag__places p = places_of(call, &call->y, &call->x[2]);
    return ag__scatter_at(&p, AG_PUT_ADD);
}

static ag_tensor *scatter_add_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return i == 0 ? g : i == 1 ? NULL : ag_gather(g, ag_input(y, 1), (int)*(const int64_t *)ag_attributes(y));
}

const ag_op ag__op_scatter_add = {.name = "scatter_add",
                                  .notation = "scatter_add_{i0}({0}, {1}, {2})",
                                  .kind = AG_KIND_OPAQUE,
                                  .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
                                  .arity = 3,
                                  .attribute_bytes = sizeof(int64_t),
                                  .infer = scatter_add_infer,
                                  .eval = scatter_add_eval,
                                  .vjp = scatter_add_vjp};

ag_tensor *ag_scatter_add(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis) {
    ag_tensor *nil, *in[3] = {x, index, source};
    if (!ag__inputs_usable("scatter_add", 3, in, &nil)) return nil;
    int64_t a = ag__axis(axis, ag_rank(x));
    if (a < 0)
        return ag__fail("scatter_add", 3, in, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    ag_shape shape = ag_shape_of(x);
    shape.extent[a] = ag_extent(index, (int)a) == 1 ? ag_extent(source, (int)a) : ag_extent(index, (int)a);
    const ag__position since = ag__position_now(x->tape);
    in[1] = ag__stretched(index, &shape);
    in[2] = ag__stretched(source, &shape);
    return ag__whole_or_nothing(ag_apply(&ag__op_scatter_add, 3, in, &a, sizeof a), &since);
}
