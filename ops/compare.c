/* compare -- comparisons, choice and conversion
 *
 * A bool is one byte, 0 or 1, in the output of every kernel. Comparisons are declared not differentiable. The
 * gradient of a choice, `where` or `gate`, depends only on the chosen elements, so that a NaN among the others has
 * no effect. */
#include "ops/rules.h"

#include "ops/compare_formulas.h"

#include <math.h>
#include <string.h>

/* ---- Comparisons ---- */

AG_COMPARISON(equal, "{0} = {1}", AG_OP_COMMUTES);
ag_tensor *ag_equal(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_equal, a, b); }

AG_COMPARISON(not_equal, "{0} != {1}", AG_OP_COMMUTES);
ag_tensor *ag_not_equal(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_not_equal, a, b); }

/* The comparison `op` of b with a, called `name` in errors, which have a and b in the caller's order. */
static ag_tensor *turned(const char *name, const ag_op *op, ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil, *in[] = {a, b};
    ag_shape shape;
    if (!ag__inputs_usable(name, 2, in, &nil)) return nil;
    if (a->dtype != b->dtype)
        return ag__fail(name, 2, in, AG_ERR_DTYPE, "dtypes %s and %s differ", ag_dtype_name((ag_dtype)a->dtype),
                        ag_dtype_name((ag_dtype)b->dtype));
    return ag__share_shape(name, 2, in, &shape, &nil) ? ag__apply2(op, b, a) : nil;
}

AG_COMPARISON(less, "{0} < {1}", 0);
ag_tensor *ag_less(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_less, a, b); }
ag_tensor *ag_greater(ag_tensor *a, ag_tensor *b) { return turned("greater", &ag__op_less, a, b); }

AG_COMPARISON(less_equal, "{0} <= {1}", 0);
ag_tensor *ag_less_equal(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_less_equal, a, b); }
ag_tensor *ag_greater_equal(ag_tensor *a, ag_tensor *b) { return turned("greater_equal", &ag__op_less_equal, a, b); }

/* ---- Choice ---- */

static bool where_infer(ag_infer *r) {
    ag_dtype condition = ag_dtype_of(r->x[0]), a = ag_dtype_of(r->x[1]);
    if (condition != AG_BOOL)
        return ag_reject(r, AG_ERR_DTYPE, "the condition is %s, not bool", ag_dtype_name(condition));
    if (a != r->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "to choose between %s and %s", ag_dtype_name(a), ag_dtype_name(r->dtype));
    return true;
}

static ag_tensor *where_vjp(ag_tensor *y, ag_tensor *g, int i) {
    if (i == 0) return ag_zero_vjp(y, g, i);
    ag_tensor *condition = ag_input(y, 0), *zero = ag__number_as(g, 0);
    return i == 1 ? ag_where(condition, g, zero) : ag_where(condition, zero, g);
}
AG_ELEMENTWISE(where, 3, "where({0}, {1}, {2})", .flags = AG_OP_CHEAP, .infer = where_infer, .vjp = where_vjp,
               .block = {[AG_F32] = where_f32, [AG_F64] = where_f64}, AG_FORMULA_TRACE_ANY(where));
ag_tensor *ag_where(ag_tensor *condition, ag_tensor *a, ag_tensor *b) {
    return ag_apply(&ag__op_where, 3, (ag_tensor *[]){condition, a, b}, NULL, 0);
}

typedef struct gate {
    double low, high, at_low, at_high;
} gate;

static ag_tensor *gate_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const gate *p = ag_attributes(y);
    ag_tensor *x = ag_input(y, 1);
    if (i == 0) return ag__gate(g, x, p->low, p->high, p->at_low, p->at_high);
    return ag__unknown(ag__mul_both_strong(g, ag_input(y, 0)), x); /* the slope is 0, except at NaN */
}
/* Its forms: a corner above or below which g passes, the tie split or not, and an interval, with its ends or not. */
static const char *gate_notation(const ag_tensor *y) {
    const gate *p = ag_attributes(y);
    if (p->low > p->high) return "0";
    /* relu(x) > 0 is x > 0, and the gradient of relu is written so, though y is what it reads. */
    if (isinf(p->high) && p->low == 0 && p->at_low == 0 && ag_op_of(ag_input(y, 1)) == &ag__op_relu)
        return "{0} * ({^1} > {d0})";
    if (isinf(p->high))
        return p->at_low == 0   ? "{0} * ({1} > {d0})"
               : p->at_low == 1 ? "{0} * ({1} >= {d0})"
                                : "{0} * (({1} > {d0}) + ({1} = {d0}) / 2)";
    if (isinf(p->low))
        return p->at_high == 0   ? "{0} * ({1} < {d1})"
               : p->at_high == 1 ? "{0} * ({1} <= {d1})"
                                 : "{0} * (({1} < {d1}) + ({1} = {d1}) / 2)";
    return p->at_low == 0 ? "{0} * ({d0} < {1} < {d1})" : "{0} * ({d0} <= {1} <= {d1})";
}

AG_ELEMENTWISE(gate, 2, NULL, .flags = AG_OP_CHEAP, .notation_of = gate_notation, .attribute_bytes = sizeof(gate),
               .vjp = gate_vjp, AG_FORMULA(gate));
ag_tensor *ag__gate(ag_tensor *g, ag_tensor *x, double low, double high, double at_low, double at_high) {
    gate p = {low, high, at_low, at_high};
    return ag_apply(&ag__op_gate, 2, (ag_tensor *[]){g, x}, &p, sizeof p);
}

ag_tensor *ag__unknown(ag_tensor *g, ag_tensor *x) { return ag__gate(g, x, (double)INFINITY, -(double)INFINITY, 0, 0); }

/* ---- Conversion ---- */

static bool cast_infer(ag_infer *r) {
    int32_t to; /* an ag_dtype may have one byte, which hides others */
    memcpy(&to, r->attributes, sizeof to);
    if (to < 0 || to >= AG_DTYPES) return ag_reject(r, AG_ERR_DTYPE, "the dtype %d is invalid", (int)to);
    r->dtype = (ag_dtype)to;
    return true;
}

/* Called for real dtypes only: others have no gradient. */
static ag_tensor *cast_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag_cast(g, ag_dtype_of(ag_input(y, i))); }
static ag_traced cast_trace(ag_trace *t, const ag_traced x[]) { return ag_trace_convert(t, x[0]); }
AG_ELEMENTWISE(cast, 1, "{dtype}({0})", .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP, .attribute_bytes = sizeof(int32_t),
               .infer = cast_infer, .vjp = cast_vjp,
               .trace = {[AG_BOOL] = cast_trace, [AG_I64] = cast_trace, [AG_F32] = cast_trace, [AG_F64] = cast_trace});
ag_tensor *ag_cast(ag_tensor *x, ag_dtype dtype) {
    int32_t to = (int32_t)dtype;
    return ag_apply(&ag__op_cast, 1, &x, &to, sizeof to);
}
