/* indexing -- indices on any axes of a table: index reads, index_add and index_put write; each is in the others'
 * gradients
 *
 * What is read or written, the result or the source, has axes of two kinds: the table's own axes that are not indexed,
 * and those of the indices. An index has the rank of the result, and an extent of 1 or the result's on each axis. So
 * one form says what x[i,:,j] reads, what take_along_axis does (its index varies along the table's own axes as well),
 * and what is written by the same indices. */
#include "autograd/tape/format.h"
#include "autograd/tape/tape.h"
#include "ops/indexed.h"
#include "ops/rules.h"
#include "ops/shaping.h"

#include <string.h>

/* ---- The form ---- */

enum { MOST_INPUTS = 2 + AG_MAX_RANK };

/* Whether each axis of the table is indexed once or an axis of the result; n indices. */
static bool form_valid(const ag__indexing *f, int table_rank, int n) {
    uint32_t owned = 0, indexed = 0, used = 0; /* axes of the table, twice, and indices */
    if (f->rank > AG_MAX_RANK || n > AG_MAX_RANK) return false;
    for (int r = 0; r < AG_MAX_RANK; r++) {
        const int a = f->own[r] - 1;
        if (a < 0) continue;
        if (r >= f->rank || a >= table_rank || owned >> a & 1) return false;
        owned |= 1u << a;
    }
    for (int a = 0; a < AG_MAX_RANK; a++) {
        const int k = f->index[a] - 1;
        if (k < 0) continue;
        if (a >= table_rank || k >= n || used >> k & 1) return false;
        used |= 1u << k, indexed |= 1u << a;
    }
    return used == (1u << n) - 1 && (owned ^ indexed) == (1u << table_rank) - 1;
}

/* The shape of the result, from the table's and the indices', which begin with input `first`; false after an error. */
static bool take_form(const ag_infer *r, int first, ag_shape *shape) {
    const ag__indexing *f = r->attributes;
    const ag__layout *x = r->x[0]->layout;
    if (r->n < first || !form_valid(f, x->rank, r->n - first))
        return ag_reject(r, AG_ERR_AXIS, "each axis must be indexed once, or be an axis of the result");
    *shape = (ag_shape){.rank = f->rank};
    for (int i = 0; i < f->rank; i++) shape->extent[i] = f->own[i] ? x->extent[f->own[i] - 1] : 1;
    for (int k = first; k < r->n; k++) {
        const ag_tensor *index = r->x[k];
        if (index->dtype != AG_I64)
            return ag_reject(r, AG_ERR_DTYPE, "the index must be i64, not %s", ag_dtype_name((ag_dtype)index->dtype));
        if (index->layout->rank != f->rank)
            return ag_reject(r, AG_ERR_SHAPE, "the index has %d axes: %d are wanted", index->layout->rank, f->rank);
        for (int i = 0; i < f->rank; i++) {
            const int64_t e = index->layout->extent[i];
            if (!f->own[i] && shape->extent[i] == 1) shape->extent[i] = e;
            if (e != 1 && e != shape->extent[i])
                return ag_reject(r, AG_ERR_SHAPE, "axis %d: the extents %lld and %lld cannot be broadcast", i,
                                 (long long)shape->extent[i], (long long)e);
        }
    }
    return true;
}

static ag__places places_of(const ag_call *call, const ag_array *table, const ag_array *other, int first) {
    const ag__indexing *f = call->attributes;
    ag__places p = {.call = call, .table = table, .other = other, .index = &call->x[first], .wraps = true};
    p.count = call->n - first;
    for (int r = 0; r < f->rank; r++) {
        if (!f->own[r]) continue;
        p.own |= 1u << r;
        p.along[r] = table->stride[f->own[r] - 1];
    }
    for (int a = 0; a < table->rank; a++)
        if (f->index[a]) p.axis[f->index[a] - 1] = a;
    return p;
}

/* `op` on these tensors, by the indices and the form of y, whose indices begin with input `first`; b may be NULL. */
static ag_tensor *again(const ag_op *op, ag_tensor *y, int first, ag_tensor *a, ag_tensor *b) {
    ag_tensor *in[MOST_INPUTS] = {a, b};
    int n = b ? 2 : 1;
    for (int k = first; k < ag_inputs(y); k++) in[n++] = ag_input(y, k);
    return ag_apply(op, n, in, ag_attributes(y), sizeof(ag__indexing));
}

/* ---- index ---- */

static bool index_infer(ag_infer *r) {
    ag_shape shape;
    if (!take_form(r, 1, &shape)) return false;
    r->shape = shape;
    r->dtype = (ag_dtype)r->x[0]->dtype;
    return true;
}

static bool index_eval(const ag_call *call) {
    const ag__places p = places_of(call, &call->x[0], &call->y, 1);
    return ag__gather_at(&p);
}

static ag_tensor *index_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, 0);
    return i == 0 ? again(&ag__op_index_add, y, 1, ag__zeros_as(x), g) : NULL;
}

const ag_op ag__op_index = {.name = "index",
                            .kind = AG_KIND_OPAQUE,
                            .arity = -1,
                            .attribute_bytes = sizeof(ag__indexing),
                            .infer = index_infer,
                            .eval = index_eval,
                            .vjp = index_vjp};

/* ---- index_add, index_put ---- */

static bool put_accepted(ag_infer *r) {
    ag_shape shape;
    if (r->n < 2) return ag_reject(r, AG_ERR_RANGE, "%d inputs: at least 2 are wanted", r->n);
    const ag_tensor *x = r->x[0], *source = r->x[1];
    if (x->dtype != source->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "the dtypes %s and %s differ", ag_dtype_name((ag_dtype)x->dtype),
                         ag_dtype_name((ag_dtype)source->dtype));
    if (!take_form(r, 2, &shape)) return false;
    r->dtype = (ag_dtype)x->dtype;
    if (ag__layout_is(source->layout, &shape)) return true;
    char wanted[AG__EXTENTS];
    return ag_reject(r, AG_ERR_SHAPE, "the values must have the shape (%s)",
                     ag__format_extents(wanted, shape.rank, shape.extent));
}

static bool no_bool(const ag_infer *r) {
    return r->dtype != AG_BOOL || ag_reject(r, AG_ERR_DTYPE, "the dtype bool is not supported");
}

static bool index_add_infer(ag_infer *r) { return put_accepted(r) && no_bool(r); }

static bool index_put_infer(ag_infer *r) {
    const unsigned how = ((const ag__indexing *)r->attributes)->how;
    if (how != AG_PUT_SET && how != AG_PUT_MAX && how != AG_PUT_MIN)
        return ag_reject(r, AG_ERR_RANGE, "number %u is no way to put values", how);
    return put_accepted(r) && (how == AG_PUT_SET || no_bool(r));
}

static bool index_add_eval(const ag_call *call) {
    const ag__places p = places_of(call, &call->y, &call->x[1], 2);
    return ag__scatter_at(&p, AG_PUT_ADD);
}

static bool index_put_eval(const ag_call *call) {
    const ag__places p = places_of(call, &call->y, &call->x[1], 2);
    return ag__scatter_at(&p, (ag_put)((const ag__indexing *)call->attributes)->how);
}

static ag_tensor *at_places(ag_tensor *y, ag_tensor *x) { return again(&ag__op_index, y, 2, x, NULL); }

static ag_tensor *index_add_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return i == 0 ? g : i == 1 ? at_places(y, g) : NULL;
}

/* Whether each value is the one that was put last: it finds its own number in its place. Values that differ along an
 * axis of the table's own never meet, so they have the same number. */
static ag_tensor *winners(ag_tensor *y, ag_tensor *source) {
    const ag__indexing *f = ag_attributes(y);
    const ag_shape all = ag_shape_of(source);
    ag_shape shape = all;
    int64_t n = 1;
    for (int r = 0; r < shape.rank; r++) n *= shape.extent[r] = f->own[r] ? 1 : shape.extent[r];
    ag_tensor *numbers = ag__broadcast(ag__reshape(ag_arange(ag_tape_of(y), AG_I64, n), &shape), &all);
    ag_tensor *nothing = ag_zeros(ag_tape_of(y), AG_I64, ag_shape_of(y));
    return ag_equal(at_places(y, again(&ag__op_index_put, y, 2, nothing, numbers)), numbers);
}

static ag_tensor *set_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *source = ag_input(y, 1), *zeros = ag__zeros_as(source);
    if (i == 0) return again(&ag__op_index_put, y, 2, g, zeros);
    const bool unique = ((const ag__indexing *)ag_attributes(y))->unique;
    return unique ? at_places(y, g) : ag_where(winners(y, source), at_places(y, g), zeros);
}

/* ȳ/n at the n values that equal y, those of x and of the source; NaN at all of them where y is NaN. */
static ag_tensor *extreme_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, 0), *source = ag_input(y, 1), *largest = at_places(y, y);
    ag_tensor *kept = ag_equal(x, y), *put = ag_equal(source, largest);
    const ag_dtype dtype = ag_dtype_of(x);
    ag_tensor *n = again(&ag__op_index_add, y, 2, ag_cast(kept, dtype), ag_cast(put, dtype));
    ag_tensor *share = ag__slope_div(g, n);
    return i == 0 ? ag_where(kept, share, ag__unknown(g, y))
                  : ag_where(put, at_places(y, share), ag__unknown(at_places(y, g), largest));
}

static ag_tensor *index_put_vjp(ag_tensor *y, ag_tensor *g, int i) {
    if (i > 1) return NULL;
    return ((const ag__indexing *)ag_attributes(y))->how == AG_PUT_SET ? set_vjp(y, g, i) : extreme_vjp(y, g, i);
}

const ag_op ag__op_index_add = {.name = "index_add",
                                .kind = AG_KIND_OPAQUE,
                                .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
                                .arity = -1,
                                .attribute_bytes = sizeof(ag__indexing),
                                .infer = index_add_infer,
                                .eval = index_add_eval,
                                .vjp = index_add_vjp};

const ag_op ag__op_index_put = {.name = "index_put",
                                .kind = AG_KIND_OPAQUE,
                                .arity = -1,
                                .attribute_bytes = sizeof(ag__indexing),
                                .infer = index_put_infer,
                                .eval = index_put_eval,
                                .vjp = index_put_vjp};

/* ---- Along one axis ---- */

/* The index of one axis in the place of it; all others are the table's own. */
static ag__indexing along(int rank, int axis) {
    ag__indexing f = {.rank = (uint8_t)rank};
    for (int i = 0; i < rank; i++) f.own[i] = (uint8_t)(i == axis ? 0 : i + 1);
    f.index[axis] = 1;
    return f;
}

/* The axis of x, after checks of all inputs; −1 after an error. */
static int axis_of(const char *name, int n, ag_tensor *const in[], int axis, ag_tensor **nil) {
    if (!ag__inputs_usable(name, n, in, nil)) return -1;
    const int rank = ag_rank(in[0]), a = ag__axis(axis, rank);
    if (a < 0) *nil = ag__fail(name, n, in, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, rank);
    return a;
}

static bool is_index(const char *name, int n, ag_tensor *const in[], ag_tensor **nil) {
    const ag_dtype dtype = ag_dtype_of(in[1]);
    if (dtype != AG_I64)
        *nil = ag__fail(name, n, in, AG_ERR_DTYPE, "the index must be i64, not %s", ag_dtype_name(dtype));
    return dtype == AG_I64;
}

/* A list of indices along this axis of a tensor of so many; NULL, after an error, if it is no list. */
static ag_tensor *list_along(const char *name, int n, ag_tensor *const in[], int axis, ag_tensor **nil) {
    ag_tensor *index = in[1];
    if (!is_index(name, n, in, nil)) return NULL;
    if (ag_rank(index) > 1) {
        *nil = ag__fail(name, n, in, AG_ERR_SHAPE, "the index must have one axis, or none");
        return NULL;
    }
    ag_shape shape = {.rank = ag_rank(in[0])};
    for (int i = 0; i < shape.rank; i++) shape.extent[i] = i == axis ? ag_size(index) : 1;
    return ag__reshape(index, &shape);
}

ag_tensor *ag_index_select(ag_tensor *x, ag_tensor *index, int axis) {
    ag_tensor *nil, *in[] = {x, index};
    const int a = axis_of("index_select", 2, in, axis, &nil);
    if (a < 0 || !(in[1] = list_along("index_select", 2, in, a, &nil))) return nil;
    const ag__indexing f = along(ag_rank(x), a);
    return ag_apply(&ag__op_index, 2, in, &f, sizeof f);
}

/* Whether index, and values if n is 3, fit x along other axes than this one, and each other along it; if not, an error.
 * */
static bool fit_along(const char *name, int n, ag_tensor *const in[], int axis, ag_tensor **nil) {
    static const char *const what[] = {"x", "index", "values"};
    if (!is_index(name, n, in, nil)) return false;
    for (int k = 1; k < n; k++) {
        if (ag_rank(in[k]) != ag_rank(in[0])) {
            *nil = ag__fail(name, n, in, AG_ERR_SHAPE, "the %s must have %d axes, not %d", what[k], ag_rank(in[0]),
                            ag_rank(in[k]));
            return false;
        }
        for (int i = 0; i < ag_rank(in[0]); i++) {
            const int64_t e = ag_extent(in[k], i), x = ag_extent(in[i == axis], i);
            if (e == 1 || e == x || (i == axis && x == 1)) continue;
            *nil = ag__fail(name, n, in, AG_ERR_SHAPE, "axis %d: the extents %lld and %lld cannot be broadcast", i,
                            (long long)x, (long long)e);
            return false;
        }
    }
    return true;
}

ag_tensor *ag_take_along_axis(ag_tensor *x, ag_tensor *index, int axis) {
    ag_tensor *nil, *in[] = {x, index};
    const int a = axis_of("take_along_axis", 2, in, axis, &nil);
    if (a < 0 || !fit_along("take_along_axis", 2, in, a, &nil)) return nil;
    const ag__indexing f = along(ag_rank(x), a);
    return ag_apply(&ag__op_index, 2, in, &f, sizeof f);
}

const ag_op *ag__op_to_put(const char *name, ag_tensor *x, ag_tensor *values, ag_put how, ag_tensor **nil) {
    ag_tensor *const in[] = {x, values};
    if (!ag__one_dtype(name, 2, in, nil)) return NULL;
    if ((unsigned)how > AG_PUT_MIN)
        *nil = ag__fail(name, 2, in, AG_ERR_RANGE, "number %u is no way to put values", (unsigned)how);
    else if (how != AG_PUT_SET && ag_dtype_of(x) == AG_BOOL)
        *nil = ag__fail(name, 2, in, AG_ERR_DTYPE, "the dtype bool is not supported");
    else return how == AG_PUT_ADD ? &ag__op_index_add : &ag__op_index_put;
    return NULL;
}

ag_tensor *ag_index_add(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis) {
    static const char name[] = "index_add";
    ag_tensor *nil, *in[] = {x, index, source};
    const int a = axis_of(name, 3, in, axis, &nil);
    if (a < 0 || !ag__op_to_put(name, x, source, AG_PUT_ADD, &nil)) return nil;
    const ag__position before = ag__position_now(ag_tape_of(x));
    if (!(in[2] = list_along(name, 3, in, a, &nil))) return nil;
    ag_shape shape = ag_shape_of(x);
    shape.extent[a] = ag_size(index);
    in[1] = ag__widened(name, 3, (ag_tensor *[]){x, index, source}, source, &shape);
    if (ag_is_nil(in[1])) return ag__whole_or_nothing(in[1], &before);
    ag__indexing f = along(ag_rank(x), a);
    f.how = AG_PUT_ADD;
    return ag_apply(&ag__op_index_add, 3, in, &f, sizeof f);
}

static ag_tensor *put_along(const char *name, ag_tensor *x, ag_tensor *index, ag_tensor *values, int axis, ag_put how) {
    ag_tensor *nil, *in[] = {x, index, values};
    const int a = axis_of(name, 3, in, axis, &nil);
    const ag_op *op = a < 0 ? NULL : ag__op_to_put(name, x, values, how, &nil);
    if (!op || !fit_along(name, 3, in, a, &nil)) return nil;
    ag_shape shape = ag_shape_of(x);
    shape.extent[a] = ag_extent(index, a) == 1 ? ag_extent(values, a) : ag_extent(index, a);
    ag__indexing f = along(ag_rank(x), a);
    f.how = (uint8_t)how;
    const ag__position since = ag__position_now(x->tape);
    in[1] = ag__stretched(values, &shape);
    in[2] = ag__stretched(index, &shape);
    return ag__whole_or_nothing(ag_apply(op, 3, in, &f, sizeof f), &since);
}

ag_tensor *ag_put_along_axis(ag_tensor *x, ag_tensor *index, ag_tensor *values, int axis, ag_put how) {
    return put_along("put_along_axis", x, index, values, axis, how);
}

ag_tensor *ag_scatter(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis) {
    return put_along("scatter", x, index, source, axis, AG_PUT_SET);
}

ag_tensor *ag_scatter_max(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis) {
    return put_along("scatter_max", x, index, source, axis, AG_PUT_MAX);
}

ag_tensor *ag_scatter_min(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis) {
    return put_along("scatter_min", x, index, source, axis, AG_PUT_MIN);
}
