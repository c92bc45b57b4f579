/* tensordot -- products of tensors over several axes, as they are recorded; and with strong zeros
 *
 * Operands whose axes can be joined are matrices, and their product is matmul's. One that is a view with more axes, as
 * the windows of an image are, is gathered while it is multiplied: ops/gathered.c. */
#include "ops/gathered.h"
#include "ops/product.h"
#include "ops/rules.h"

#include <string.h>

typedef struct contracted { /* the attributes; `strong`: as for strong_matmul, and 0 for tensordot */
    int64_t axes, strong;
} contracted;

enum { A = 1, B = 2 };

/* ---- Evaluation ---- */

/* An operand as a matrix, of which the last or the first axes are summed over. */
typedef struct operand {
    ag__walk rows, columns;
    bool matrix; /* each is at most one axis */
    int64_t shape[2], stride[2];
    ag_array array; /* with these, if it is one */
} operand;

static int64_t stride_of(const ag__walk *w) { return w->rank ? w->stride[0] : 1; }

static void set_matrix(operand *o, void *data, int64_t row, int64_t column) {
    o->stride[0] = row;
    o->stride[1] = column;
    o->array.data = data;
    o->matrix = true;
}

static operand operand_of(const ag_array *x, int rows) {
    operand o = {.rows = ag__walk_over(rows, x->shape, x->stride),
                 .columns = ag__walk_over(x->rank - rows, x->shape + rows, x->stride + rows)};
    o.shape[0] = ag__walk_size(&o.rows);
    o.shape[1] = ag__walk_size(&o.columns);
    o.array = (ag_array){.dtype = x->dtype, .rank = 2, .size = x->size};
    set_matrix(&o, x->data, stride_of(&o.rows), stride_of(&o.columns));
    o.matrix = o.rows.rank < 2 && o.columns.rank < 2;
    return o;
}

static bool copy(const ag_call *call, const ag_array *x, operand *o) {
    void *data = ag_call_scratch(call, ag__times((uint64_t)x->size, ag_dtype_size(x->dtype)));
    if (!data) return false;
    ag__pack(data, x, 0, x->size);
    set_matrix(o, data, o->shape[1], 1);
    return true;
}

/* The product of matrices, strong or not. The cast is allowed: the call is the engine's own. */
static bool multiply_matrices(const ag_call *call, operand o[2], int64_t strong) {
    ag_call *own = (ag_call *)(uintptr_t)call;
    const ag_call before = *call;
    const int64_t shape[2] = {o[0].shape[0], o[1].shape[1]}, stride[2] = {shape[1], 1};
    ag_array x[2];
    for (int i = 0; i < 2; i++) {
        x[i] = o[i].array;
        x[i].shape = o[i].shape;
        x[i].stride = o[i].stride;
    }
    own->x = x;
    own->y.rank = 2;
    own->y.shape = shape;
    own->y.stride = stride;
    own->attributes = &strong;
    const bool good = (strong ? ag__op_strong_matmul : ag__op_matmul).eval(call);
    *own = before;
    return good;
}

/* Operand k is gathered, the other one is a matrix. */
static bool multiply_gathered(const ag_call *call, const operand o[2], int k) {
    const operand *x = &o[k], *other = &o[1 - k];
    return ag__multiply_gathered(call, &(ag__gathering){.dtype = call->y.dtype,
                                                        .add = call->accumulate,
                                                        .x = call->x[k].data,
                                                        .free = k == 0 ? x->rows : x->columns,
                                                        .summed = k == 0 ? x->columns : x->rows,
                                                        .other = other->array.data,
                                                        .n = other->shape[1 - k],
                                                        .other_summed = other->stride[k],
                                                        .other_column = other->stride[1 - k],
                                                        .y = call->y.data,
                                                        .turned = k == 1});
}

/* The larger operand that is no matrix is gathered; if the other is none either, it is copied. */
static bool multiply(const ag_call *call, operand o[2]) {
    const int k = o[0].matrix || (!o[1].matrix && o[1].array.size > o[0].array.size);
    if (o[0].matrix && o[1].matrix) return multiply_matrices(call, o, 0);
    return (o[1 - k].matrix || copy(call, &call->x[1 - k], &o[1 - k])) && multiply_gathered(call, o, k);
}

static void operands_of(const ag_call *call, operand o[2]) {
    const contracted *c = call->attributes;
    o[0] = operand_of(&call->x[0], call->x[0].rank - (int)c->axes);
    o[1] = operand_of(&call->x[1], (int)c->axes);
}

/* Without terms or without elements the rest need not be matrices. */
static bool is_empty(const ag_call *call, const operand o[2]) {
    if (o[0].shape[1] == 0 && !call->accumulate)
        memset(call->y.data, 0, (size_t)call->y.size * ag_dtype_size(call->y.dtype));
    return o[0].shape[1] == 0 || call->y.size == 0;
}

static bool tensordot_eval(const ag_call *call) {
    operand o[2];
    operands_of(call, o);
    return is_empty(call, o) || multiply(call, o);
}

/* Whether the elements that strong zeros may meet are all finite. */
static bool met_are_finite(const ag_call *call, int64_t strong) {
    return (!(strong & B) || ag__all_finite(&call->x[0])) && (!(strong & A) || ag__all_finite(&call->x[1]));
}

/* As strong_matmul does, it searches the result or the operands for elements that are not finite, and seldom finds
 * one; only then are the operands copied as matrices. */
static bool strong_tensordot_eval(const ag_call *call) {
    const contracted *c = call->attributes;
    operand o[2];
    operands_of(call, o);
    if (is_empty(call, o)) return true;
    if (o[0].matrix && o[1].matrix) return multiply_matrices(call, o, c->strong);
    const int64_t met = (c->strong & B ? call->x[0].size : 0) + (c->strong & A ? call->x[1].size : 0);
    if (!call->accumulate && call->y.size < met) {
        if (!multiply(call, o)) return false;
        if (ag__all_finite(&call->y)) return true;
    } else if (met_are_finite(call, c->strong)) {
        return multiply(call, o);
    }
    for (int i = 0; i < 2; i++)
        if (!o[i].matrix && !copy(call, &call->x[i], &o[i])) return false;
    return multiply_matrices(call, o, c->strong);
}

static void set_operands(ag__product *p, const operand o[2]) {
    p->a = o[0].array.data, p->a_row = o[0].stride[0], p->a_column = o[0].stride[1];
    p->b = o[1].array.data, p->b_row = o[1].stride[0], p->b_column = o[1].stride[1];
}

bool ag__tensordot_rows(const ag_call *call, const ag_call *input, ag__product *p, bool *usable) {
    const contracted *c = input->attributes;
    operand o[2];
    operands_of(input, o);
    *p = (ag__product){.dtype = input->y.dtype, .m = o[0].shape[0], .n = o[1].shape[1], .k = o[0].shape[1]};
    p->y_row = p->n;
    set_operands(p, o);
    *usable = p->m > 1 && p->n > 1 && p->k > 0 && (c->strong == 0 || met_are_finite(input, c->strong)) &&
              !(o[0].matrix && o[1].matrix && ag__blis_takes(p, 1));
    if (!*usable) return true;
    for (int i = 0; i < 2; i++)
        if ((!o[i].matrix || (i == 1 && o[i].stride[1] != 1)) && !copy(call, &input->x[i], &o[i])) return false;
    set_operands(p, o);
    return true;
}

/* ---- Recording ---- */

static bool tensordot_infer(ag_infer *r) {
    const contracted *c = r->attributes;
    const ag__layout *a = r->x[0]->layout, *b = r->x[1]->layout;
    if (!ag__is_real(r->x[0]->dtype) || r->x[0]->dtype != r->x[1]->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "both must be f32, or both f64");
    if (c->axes < 0 || c->axes > a->rank || c->axes > b->rank)
        return ag_reject(r, AG_ERR_AXIS, "%lld axes cannot be summed over: 0 to %d are wanted", (long long)c->axes,
                         a->rank < b->rank ? a->rank : b->rank);
    const int n = (int)c->axes, rows = a->rank - n, columns = b->rank - n;
    for (int i = 0; i < n; i++)
        if (a->extent[rows + i] != b->extent[i])
            return ag_reject(r, AG_ERR_SHAPE, "axis %d of a has %lld elements, and axis %d of b %lld", rows + i,
                             (long long)a->extent[rows + i], i, (long long)b->extent[i]);
    if (rows + columns > AG_MAX_RANK)
        return ag_reject(r, AG_ERR_SHAPE, "the result would have %d axes, not 0 to %d", rows + columns, AG_MAX_RANK);
    r->shape.rank = rows + columns;
    for (int i = 0; i < columns; i++) r->shape.extent[rows + i] = b->extent[n + i];
    return true;
}

static bool strong_tensordot_infer(ag_infer *r) {
    const int64_t strong = ((const contracted *)r->attributes)->strong;
    if (strong < A || strong > (A | B))
        return ag_reject(r, AG_ERR_RANGE, "the attribute is %lld: 1 (a), 2 (b) or 3 (both) is wanted",
                         (long long)strong);
    return tensordot_infer(r);
}

/* The first n axes of x moved behind the others. */
static ag_tensor *rotated(ag_tensor *x, int n) {
    ag_axes order = {.count = ag_rank(x)};
    for (int i = 0; i < order.count; i++) order.axis[i] = (i + n) % order.count;
    return ag__permute(x, &order);
}

static ag_tensor *record(ag_tensor *a, ag_tensor *b, int64_t axes, int64_t strong) {
    const contracted c = {axes, strong};
    return ag_apply(strong ? &ag__op_strong_tensordot : &ag__op_tensordot, 2, (ag_tensor *[]){a, b}, &c, sizeof c);
}

/* A product of a cotangent: operand `cotangent` is one, and strong below a choice. */
static ag_tensor *slope(ag_tensor *a, ag_tensor *b, int64_t axes, int64_t cotangent, int64_t strong) {
    if (!ag__is_weak(a)) strong |= cotangent; /* the scan is, not a tensor */
    return record(a, b, axes, strong);
}

/* a (R…,K…), b (K…,N…), g (R…,N…) */
static ag_tensor *tensordot_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const contracted *c = ag_attributes(y);
    ag_tensor *a = ag_input(y, 0), *b = ag_input(y, 1);
    const int k = (int)c->axes, rows = ag_rank(a) - k, columns = ag_rank(b) - k;
    return i == 0 ? slope(g, rotated(b, k), columns, A, c->strong & B)  /* (R…,N…)·(N…,K…) */
                  : slope(rotated(a, rows), g, rows, B, c->strong & A); /* (K…,R…)·(R…,N…) */
}

const ag_op ag__op_tensordot = {.name = "tensordot",
                                .notation = "tensordot_{i0}({0}, {1})",
                                .kind = AG_KIND_CONTRACTION,
                                .arity = 2,
                                .attribute_bytes = sizeof(contracted),
                                .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
                                .infer = tensordot_infer,
                                .eval = tensordot_eval,
                                .vjp = tensordot_vjp};

const ag_op ag__op_strong_tensordot = {.name = "strong_tensordot",
                                       .notation = "tensordot_{i0}({0}, {1})",
                                       .kind = AG_KIND_CONTRACTION,
                                       .arity = 2,
                                       .attribute_bytes = sizeof(contracted),
                                       .flags = AG_OP_ACCUMULATES,
                                       .infer = strong_tensordot_infer,
                                       .eval = strong_tensordot_eval,
                                       .vjp = tensordot_vjp};

ag_tensor *ag_tensordot(ag_tensor *a, ag_tensor *b, int axes) { return record(a, b, axes, 0); }
