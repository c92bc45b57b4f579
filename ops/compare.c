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

AG_COMPARISON(less, "{0} < {1}", 0);
ag_tensor *ag_less(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_less, a, b); }
ag_tensor *ag_greater(ag_tensor *a, ag_tensor *b) { return ag_less(b, a); }

AG_COMPARISON(less_equal, "{0} <= {1}", 0);
ag_tensor *ag_less_equal(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_less_equal, a, b); }
ag_tensor *ag_greater_equal(ag_tensor *a, ag_tensor *b) { return ag_less_equal(b, a); }

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
    ag_tensor *condition = ag_input(y, 0), *zero = ag_scalar(ag_tape_of(g), ag_dtype_of(g), 0);
    return i == 1 ? ag_where(condition, g, zero) : ag_where(condition, zero, g);
}
AG_ELEMENTWISE(where, 3, "where({0}, {1}, {2})", .flags = AG_OP_CHEAP, .infer = where_infer, .vjp = where_vjp,
               AG_FORMULA_ANY(where));
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
/* Its forms: a corner above or below which g passes, with the tie split or not, and an interval. */
static const char *gate_notation(const ag_tensor *y) {
    const gate *p = ag_attributes(y);
    if (p->low > p->high) return "0";
    if (isinf(p->high))
        return p->at_low == 0   ? "{0} * ({1} > {d0})"
               : p->at_low == 1 ? "{0} * ({1} >= {d0})"
                                : "{0} * (({1} > {d0}) + ({1} = {d0}) / 2)";
    if (isinf(p->low)) return p->at_high == 1 ? "{0} * ({1} <= {d1})" : "{0} * (({1} < {d1}) + ({1} = {d1}) / 2)";
    return "{0} * ({d0} <= {1} <= {d1})";
}

AG_ELEMENTWISE(gate, 2, NULL, .flags = AG_OP_CHEAP, .notation_of = gate_notation, .attribute_bytes = sizeof(gate),
               .vjp = gate_vjp, AG_FORMULA(gate));
ag_tensor *ag__gate(ag_tensor *g, ag_tensor *x, double low, double high, double at_low, double at_high) {
    gate p = {low, high, at_low, at_high};
    return ag_apply(&ag__op_gate, 2, (ag_tensor *[]){g, x}, &p, sizeof p);
}

ag_tensor *ag__unknown(ag_tensor *g, ag_tensor *x) { return ag__gate(g, x, (double)INFINITY, -(double)INFINITY, 0, 0); }

/* ---- Conversion ---- */

/* CONVERSION(f32_from_f64, float, double, a) defines that ag_block: y[i] = a with a = x[0][i], for element types of y
 * and of x. */
#define CONVERSION(name, ytype, xtype, formula)                                                                        \
    AG_BLOCK_KERNEL static void name(int64_t n, void *y_, const void *const x_[], const void *attributes) {            \
        (void)attributes;                                                                                              \
        ytype *y = y_;                                                                                                 \
        const xtype *a_ = x_[0];                                                                                       \
        AG_SIMD for (int64_t i = 0; i < n; i++) {                                                                      \
            const xtype a = a_[i];                                                                                     \
            y[i] = (ytype)(formula);                                                                                   \
        }                                                                                                              \
    }
CONVERSION(bool_from_i64, uint8_t, int64_t, a != 0)
CONVERSION(bool_from_f32, uint8_t, float, a != 0)
CONVERSION(bool_from_f64, uint8_t, double, a != 0)
CONVERSION(i64_from_bool, int64_t, uint8_t, a)
CONVERSION(f32_from_bool, float, uint8_t, a)
CONVERSION(f64_from_bool, double, uint8_t, a)
CONVERSION(f32_from_i64, float, int64_t, a)
CONVERSION(f64_from_i64, double, int64_t, a)
CONVERSION(f32_from_f64, float, double, a)
CONVERSION(f64_from_f32, double, float, a)

CONVERSION(i64_from_f32, int64_t, float, ag__whole_near((double)a))
CONVERSION(i64_from_f64, int64_t, double, ag__whole_near(a))

#undef CONVERSION

static ag_block *const conversion[AG_DTYPES][AG_DTYPES] = {
    /* from    to bool         to i64         to f32         to f64 */
    [AG_BOOL] = {NULL, i64_from_bool, f32_from_bool, f64_from_bool},
    [AG_I64] = {bool_from_i64, NULL, f32_from_i64, f64_from_i64},
    [AG_F32] = {bool_from_f32, i64_from_f32, NULL, f64_from_f32},
    [AG_F64] = {bool_from_f64, i64_from_f64, f32_from_f64, NULL},
};

static ag_dtype target(const void *attributes) {
    int32_t to;
    memcpy(&to, attributes, sizeof to);
    return (ag_dtype)to;
}

/* To the same dtype it is a copy. */
static void cast(ag_dtype from, int64_t n, void *y, const void *const x[], const void *attributes) {
    ag_block *block = conversion[from][target(attributes)];
    (block ? block : ag__op_contiguous.block[from])(n, y, x, NULL);
}
static void cast_bool(int64_t n, void *y, const void *const x[], const void *attributes) {
    cast(AG_BOOL, n, y, x, attributes);
}
static void cast_i64(int64_t n, void *y, const void *const x[], const void *attributes) {
    cast(AG_I64, n, y, x, attributes);
}
static void cast_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    cast(AG_F32, n, y, x, attributes);
}
static void cast_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    cast(AG_F64, n, y, x, attributes);
}

static bool cast_infer(ag_infer *r) {
    ag_dtype to = target(r->attributes);
    if ((unsigned)to >= AG_DTYPES) return ag_reject(r, AG_ERR_DTYPE, "the dtype %d is invalid", (int)to);
    r->dtype = to;
    return true;
}

/* Called for real dtypes only: others have no gradient. */
static ag_tensor *cast_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag_cast(g, ag_dtype_of(ag_input(y, i))); }
static ag_traced cast_trace(ag_trace *t, const ag_traced x[]) { return ag_trace_convert(t, x[0]); }
AG_ELEMENTWISE(cast, 1, "{dtype}({0})", .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP, .attribute_bytes = sizeof(int32_t),
               .infer = cast_infer, .vjp = cast_vjp,
               .block = {[AG_BOOL] = cast_bool, [AG_I64] = cast_i64, [AG_F32] = cast_f32, [AG_F64] = cast_f64},
               .trace = {[AG_BOOL] = cast_trace, [AG_I64] = cast_trace, [AG_F32] = cast_trace, [AG_F64] = cast_trace});
ag_tensor *ag_cast(ag_tensor *x, ag_dtype dtype) {
    int32_t to = (int32_t)dtype;
    return ag_apply(&ag__op_cast, 1, &x, &to, sizeof to);
}
