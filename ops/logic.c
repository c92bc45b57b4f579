/* logic -- truth values and bits, what a number is, comparisons with a number, bounds
 *
 * Most traces are a step or two, for dtypes that one text of formulas does not serve, and are written out. */
#include "ops/rules.h"

#include "ops/logic_formulas.h"

#include <float.h>
#include <math.h>

#define PREDICATE (AG_OP_NOT_DIFFERENTIABLE | AG_OP_PREDICATE | AG_OP_CHEAP)
#define FOR_ANY(trace)                                                                                                 \
    { [AG_BOOL] = trace, [AG_I64] = trace, [AG_F32] = trace, [AG_F64] = trace }
#define FOR_NUMBERS(trace)                                                                                             \
    { [AG_I64] = trace, [AG_F32] = trace, [AG_F64] = trace }
#define FOR_REALS(trace)                                                                                               \
    { [AG_F32] = trace, [AG_F64] = trace }

/* ---- Truth values: conversions to the result's dtype, which is bool ---- */

static ag_traced both(ag_trace *t, ag_trace_code code, const ag_traced x[]) {
    return ag_trace_binary(t, code, ag_trace_convert(t, x[0]), ag_trace_convert(t, x[1]));
}
static ag_traced and_trace(ag_trace *t, const ag_traced x[]) { return both(t, AG_TRACE_AND, x); }
static ag_traced or_trace(ag_trace *t, const ag_traced x[]) { return both(t, AG_TRACE_OR, x); }
static ag_traced xor_trace(ag_trace *t, const ag_traced x[]) { return both(t, AG_TRACE_XOR, x); }
static ag_traced not_trace(ag_trace *t, const ag_traced x[]) {
    return ag_trace_unary(t, AG_TRACE_NOT, ag_trace_convert(t, x[0]));
}

AG_ELEMENTWISE(logical_and, 2, NULL, .flags = PREDICATE | AG_OP_COMMUTES, .trace = FOR_ANY(and_trace));
ag_tensor *ag_logical_and(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_logical_and, a, b); }

AG_ELEMENTWISE(logical_or, 2, NULL, .flags = PREDICATE | AG_OP_COMMUTES, .trace = FOR_ANY(or_trace));
ag_tensor *ag_logical_or(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_logical_or, a, b); }

AG_ELEMENTWISE(logical_xor, 2, NULL, .flags = PREDICATE | AG_OP_COMMUTES, .trace = FOR_ANY(xor_trace));
ag_tensor *ag_logical_xor(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_logical_xor, a, b); }

AG_ELEMENTWISE(logical_not, 1, NULL, .flags = PREDICATE, .trace = FOR_ANY(not_trace));
ag_tensor *ag_logical_not(ag_tensor *x) { return ag__apply1(&ag__op_logical_not, x); }

/* ---- Kinds of numbers ---- */

static ag_traced size_is(ag_trace *t, ag_trace_code code, ag_traced x) {
    return ag_trace_binary(t, code, ag_trace_unary(t, AG_TRACE_ABS, x), ag_trace_number(t, (double)INFINITY));
}
static ag_traced isnan_trace(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_NOT_EQUAL, x[0], x[0]);
}
static ag_traced isinf_trace(ag_trace *t, const ag_traced x[]) { return size_is(t, AG_TRACE_EQUAL, x[0]); }
static ag_traced isfinite_trace(ag_trace *t, const ag_traced x[]) { return size_is(t, AG_TRACE_LESS, x[0]); }

AG_ELEMENTWISE(isnan, 1, NULL, .flags = PREDICATE, .trace = FOR_REALS(isnan_trace));
ag_tensor *ag_isnan(ag_tensor *x) { return ag__apply1(&ag__op_isnan, x); }

AG_ELEMENTWISE(isinf, 1, NULL, .flags = PREDICATE, .trace = FOR_REALS(isinf_trace));
ag_tensor *ag_isinf(ag_tensor *x) { return ag__apply1(&ag__op_isinf, x); }

AG_ELEMENTWISE(isfinite, 1, NULL, .flags = PREDICATE, .trace = FOR_REALS(isfinite_trace));
ag_tensor *ag_isfinite(ag_tensor *x) { return ag__apply1(&ag__op_isfinite, x); }

static ag_tensor *replaced(const char *name, ag_tensor *x, double nan, double high, double low) {
    ag_tensor *nil;
    if (!ag__real_inputs(name, 1, &x, &nil)) return nil;
    ag_tensor *infinite = ag_where(ag_greater_scalar(x, 0), ag__number_as(x, high), ag__number_as(x, low));
    return ag_where(ag_isfinite(x), x, ag_where(ag_isnan(x), ag__number_as(x, nan), infinite));
}

ag_tensor *ag_nan_to_num_as(ag_tensor *x, double nan, double high, double low) {
    return replaced("nan_to_num_as", x, nan, high, low);
}

ag_tensor *ag_nan_to_num(ag_tensor *x) {
    const double most = x && ag_dtype_of(x) == AG_F32 ? (double)FLT_MAX : DBL_MAX;
    return replaced("nan_to_num", x, 0, most, -most);
}

/* ---- Comparisons with a number ---- */

static ag_traced compared(ag_trace *t, ag_trace_code code, const ag_traced x[]) {
    return ag_trace_binary(t, code, x[0], ag_trace_attribute(t, 0));
}
static ag_traced exceeds(ag_trace *t, ag_trace_code code, const ag_traced x[]) {
    return ag_trace_binary(t, code, ag_trace_attribute(t, 0), x[0]);
}
static ag_traced equal_number_trace(ag_trace *t, const ag_traced x[]) { return compared(t, AG_TRACE_EQUAL, x); }
static ag_traced not_equal_number_trace(ag_trace *t, const ag_traced x[]) { return compared(t, AG_TRACE_NOT_EQUAL, x); }
static ag_traced less_number_trace(ag_trace *t, const ag_traced x[]) { return compared(t, AG_TRACE_LESS, x); }
static ag_traced less_equal_number_trace(ag_trace *t, const ag_traced x[]) {
    return compared(t, AG_TRACE_LESS_EQUAL, x);
}
static ag_traced greater_number_trace(ag_trace *t, const ag_traced x[]) { return exceeds(t, AG_TRACE_LESS, x); }
static ag_traced greater_equal_number_trace(ag_trace *t, const ag_traced x[]) {
    return exceeds(t, AG_TRACE_LESS_EQUAL, x);
}

#define WITH_NUMBER(trace_)                                                                                            \
    .flags = PREDICATE | AG_OP_SCALAR, .attribute_bytes = sizeof(double), .trace = FOR_NUMBERS(trace_)

AG_ELEMENTWISE(equal_scalar, 1, "{0} = {d0}", WITH_NUMBER(equal_number_trace));
ag_tensor *ag_equal_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_equal_scalar, x, s); }

AG_ELEMENTWISE(not_equal_scalar, 1, "{0} != {d0}", WITH_NUMBER(not_equal_number_trace));
ag_tensor *ag_not_equal_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_not_equal_scalar, x, s); }

AG_ELEMENTWISE(less_scalar, 1, "{0} < {d0}", WITH_NUMBER(less_number_trace));
ag_tensor *ag_less_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_less_scalar, x, s); }

AG_ELEMENTWISE(less_equal_scalar, 1, "{0} <= {d0}", WITH_NUMBER(less_equal_number_trace));
ag_tensor *ag_less_equal_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_less_equal_scalar, x, s); }

AG_ELEMENTWISE(greater_scalar, 1, "{0} > {d0}", WITH_NUMBER(greater_number_trace));
ag_tensor *ag_greater_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_greater_scalar, x, s); }

AG_ELEMENTWISE(greater_equal_scalar, 1, "{0} >= {d0}", WITH_NUMBER(greater_equal_number_trace));
ag_tensor *ag_greater_equal_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_greater_equal_scalar, x, s); }

/* ---- Bounds ---- */

static ag_tensor *bounded(const char *name, ag_tensor *x, double bound, double low, double high) {
    ag_tensor *nil;
    if (!ag__real_inputs(name, 1, &x, &nil)) return nil;
    if (isnan(bound)) return ag__fail(name, 1, &x, AG_ERR_RANGE, "the bound is NaN");
    return ag_clamp(x, low, high);
}
ag_tensor *ag_clamp_min(ag_tensor *x, double low) { return bounded("clamp_min", x, low, low, (double)INFINITY); }
ag_tensor *ag_clamp_max(ag_tensor *x, double high) { return bounded("clamp_max", x, high, -(double)INFINITY, high); }

/* Whether y is the bound rather than x: a NaN bound is unequal to itself. */
static ag_tensor *is_low(ag_tensor *x, ag_tensor *low) {
    return ag_logical_or(ag_less(x, low), ag_not_equal(low, low));
}
static ag_tensor *is_high(ag_tensor *x, ag_tensor *high) {
    return ag_logical_or(ag_less(high, x), ag_not_equal(high, high));
}

/* g where it holds, or where it does not; NaN where y is. */
static ag_tensor *where_so(ag_tensor *y, ag_tensor *g, ag_tensor *holds) {
    return ag_add(ag_where(holds, g, ag__number_as(g, 0)), ag__unknown(g, y));
}
static ag_tensor *where_not(ag_tensor *y, ag_tensor *g, ag_tensor *holds) {
    return ag_add(ag_where(holds, ag__number_as(g, 0), g), ag__unknown(g, y));
}

AG_BINARY(clamp_low, "max({0}, {1})", where_not(y, g, is_low(a, b)), where_so(y, g, is_low(a, b)), .flags = AG_OP_CHEAP,
          AG_FORMULA_TRACE_I64(clamp_low));
ag_tensor *ag_clamp_low(ag_tensor *x, ag_tensor *low) { return ag__apply2(&ag__op_clamp_low, x, low); }

AG_BINARY(clamp_high, "min({0}, {1})", where_not(y, g, is_high(a, b)), where_so(y, g, is_high(a, b)),
          .flags = AG_OP_CHEAP, AG_FORMULA_TRACE_I64(clamp_high));
ag_tensor *ag_clamp_high(ag_tensor *x, ag_tensor *high) { return ag__apply2(&ag__op_clamp_high, x, high); }

static ag_tensor *clamp_between_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, 0), *low = ag_input(y, 1), *high = ag_input(y, 2);
    ag_tensor *under = is_low(x, low), *over = is_high(ag_where(under, low, x), high);
    if (i == 0) return where_not(y, g, ag_logical_or(under, over));
    return where_so(y, g, i == 1 ? ag_logical_and(under, ag_logical_not(over)) : over);
}
AG_ELEMENTWISE(clamp_between, 3, "clamp({0}, {1}, {2})", .flags = AG_OP_CHEAP, .vjp = clamp_between_vjp,
               AG_FORMULA_TRACE_I64(clamp_between));
ag_tensor *ag_clamp_between(ag_tensor *x, ag_tensor *low, ag_tensor *high) {
    return ag_apply(&ag__op_clamp_between, 3, (ag_tensor *[]){x, low, high}, NULL, 0);
}

/* ---- Bits ---- */

static ag_traced bits_and(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_AND, x[0], x[1]); }
static ag_traced bits_or(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_OR, x[0], x[1]); }
static ag_traced bits_xor(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_XOR, x[0], x[1]); }
static ag_traced truth_not(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_NOT, x[0]); }
static ag_traced bits_not(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_XOR, x[0], ag_trace_number(t, -1));
}

#define OF_BITS(trace_)                                                                                                \
    .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_CHEAP | AG_OP_COMMUTES, .trace = {[AG_BOOL] = trace_, [AG_I64] = trace_}

AG_ELEMENTWISE(bitwise_and, 2, NULL, OF_BITS(bits_and));
ag_tensor *ag_bitwise_and(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_bitwise_and, a, b); }

AG_ELEMENTWISE(bitwise_or, 2, NULL, OF_BITS(bits_or));
ag_tensor *ag_bitwise_or(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_bitwise_or, a, b); }

AG_ELEMENTWISE(bitwise_xor, 2, NULL, OF_BITS(bits_xor));
ag_tensor *ag_bitwise_xor(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_bitwise_xor, a, b); }

AG_ELEMENTWISE(bitwise_not, 1, NULL, .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_CHEAP,
               .trace = {[AG_BOOL] = truth_not, [AG_I64] = bits_not});
ag_tensor *ag_bitwise_not(ag_tensor *x) { return ag__apply1(&ag__op_bitwise_not, x); }

/* Distances differ from element to element, which is no step of a trace. */
static void left_shift(int64_t n, void *y_, const void *const x[], const void *attributes) {
    int64_t *y = y_;
    const int64_t *a = x[0], *b = x[1];
    (void)attributes;
    for (int64_t i = 0; i < n; i++) y[i] = b[i] >= 0 && b[i] < 64 ? (int64_t)((uint64_t)a[i] << b[i]) : 0;
}
static void right_shift(int64_t n, void *y_, const void *const x[], const void *attributes) {
    int64_t *y = y_;
    const int64_t *a = x[0], *b = x[1];
    (void)attributes;
    for (int64_t i = 0; i < n; i++) { /* of ~a, which is not negative, where a is */
        const int places = b[i] >= 0 && b[i] < 64 ? (int)b[i] : 63;
        y[i] = a[i] < 0 ? ~(~a[i] >> places) : a[i] >> places;
    }
}

AG_ELEMENTWISE(left_shift, 2, NULL, .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_CHEAP, .block = {[AG_I64] = left_shift});
ag_tensor *ag_left_shift(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_left_shift, a, b); }

AG_ELEMENTWISE(right_shift, 2, NULL, .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_CHEAP,
               .block = {[AG_I64] = right_shift});
ag_tensor *ag_right_shift(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_right_shift, a, b); }
