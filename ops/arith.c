/* arith -- arithmetic on two tensors, and on a tensor and a number
 *
 * i64 wraps around in two's complement, which is why its kernels compute in uint64_t. A scalar form is one
 * node whose attribute is the number, a double that each kernel converts to its own dtype. */
#include "ops/rules.h"

#include "ops/arith_formulas.h"

#include <math.h>

/* ---- Two tensors ---- */

AG_BINARY(add, "{0} + {1}", g, g,
          .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL | AG_OP_COMMUTES | AG_OP_ADDS, .neutral = -0.0,
          AG_FORMULA_I64(add));
ag_tensor *ag_add(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_add, a, b); }

AG_BINARY(sub, "{0} - {1}", g, ag_neg(g), .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL,
          AG_FORMULA_I64(sub));
ag_tensor *ag_sub(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_sub, a, b); }

AG_BINARY(mul, "{0} * {1}", ag__slope_mul(g, b), ag__slope_mul(g, a),
          .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL | AG_OP_COMMUTES, .neutral = 1,
          AG_FORMULA_I64(mul));
ag_tensor *ag_mul(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_mul, a, b); }

AG_BINARY(div, "{0} / {1}", ag__slope_div(g, b), ag_neg(ag__slope_div(ag__slope_mul(g, y), b)),
          .flags = AG_OP_CHEAP | AG_OP_NEUTRAL, .neutral = 1, .domain = {[1] = {.nonzero = true}}, AG_FORMULA(div));
ag_tensor *ag_div(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_div, a, b); }

/* ---- The larger and the smaller ---- */

/* g where `won`, half of it where a and b are equal, NaN where y is. */
static ag_tensor *share(ag_tensor *y, ag_tensor *g, ag_tensor *won, ag_tensor *a, ag_tensor *b) {
    return ag_where(won, g, ag_where(ag_equal(a, b), ag_scale(g, 0.5), ag__unknown(g, y)));
}

AG_BINARY(maximum, "max({0}, {1})", share(y, g, ag_greater(a, b), a, b), share(y, g, ag_greater(b, a), b, a),
          .flags = AG_OP_CHEAP | AG_OP_NEUTRAL, .neutral = -INFINITY, AG_FORMULA_I64(maximum));
ag_tensor *ag_maximum(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_maximum, a, b); }

AG_BINARY(minimum, "min({0}, {1})", share(y, g, ag_less(a, b), a, b), share(y, g, ag_less(b, a), b, a),
          .flags = AG_OP_CHEAP | AG_OP_NEUTRAL, .neutral = INFINITY, AG_FORMULA_I64(minimum));
ag_tensor *ag_minimum(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_minimum, a, b); }

/* ---- Powers ---- */

/* ā = g·b·a^(b−1). At b = 0 this is 0·a^(−1): the value and the slope 1/a by b are right, unless 1/a is not
 * finite. There 1 replaces a, so that neither this nor its own gradient has 0·∞. */
static ag_tensor *pow_base(ag_tensor *g, ag_tensor *a, ag_tensor *b) {
    ag_tape *tape = ag_tape_of(g);
    ag_dtype dtype = ag_dtype_of(g);
    ag_tensor *zero = ag_scalar(tape, dtype, 0), *one = ag_scalar(tape, dtype, 1);
    ag_tensor *smallest = ag_scalar(tape, dtype, dtype == AG_F32 ? 0x1p-126 : 0x1p-1022);
    ag_tensor *invertible = ag_where(ag_less(smallest, ag_abs(a)), a, one);
    ag_tensor *base = ag_where(ag_equal(b, zero), invertible, a);
    return ag_strong_mul(g, ag_mul(b, ag_pow(base, ag_add_scalar(b, -1))));
}

/* b̄ = g·a^b·ln a, and 0 where a = 0 and b >= 0. There 1 replaces a: ln 1 = 0, and the gradient of this does not
 * use the slope of a^b at 0, which may be infinite. */
static ag_tensor *pow_exponent(ag_tensor *g, ag_tensor *a, ag_tensor *b) {
    ag_tape *tape = ag_tape_of(g);
    ag_dtype dtype = ag_dtype_of(g);
    ag_tensor *zero = ag_scalar(tape, dtype, 0), *one = ag_scalar(tape, dtype, 1);
    ag_tensor *base = ag_where(ag_equal(a, zero), ag_where(ag_less_equal(zero, b), one, a), a);
    return ag_strong_mul(g, ag_mul(ag_pow(base, b), ag_log(base)));
}

AG_BINARY(pow, "{0}^{1}", pow_base(g, a, b), pow_exponent(g, a, b), .domain = {{.above = 0, .below = INFINITY}},
          .block = {[AG_F32] = pow_f32, [AG_F64] = pow_f64});
ag_tensor *ag_pow(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_pow, a, b); }

/* ---- Sign ---- */

AG_UNARY(neg, "-{0}", ag_neg(g), .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_INVOLUTION, AG_FORMULA_I64(neg));
ag_tensor *ag_neg(ag_tensor *x) { return ag__apply1(&ag__op_neg, x); }

/* ---- A tensor and a number ---- */

/* Whether a cotangent of 0 stays 0, multiplied by s (or divided by 1/s) in its dtype. */
static bool is_tame(const ag_tensor *g, double s) {
    return isfinite(s) && (ag_dtype_of(g) != AG_F32 || isfinite((float)s));
}

static ag_tensor *same_number(const ag_tensor *g, double s) { return ag_scalar(ag_tape_of(g), ag_dtype_of(g), s); }

AG_WITH_NUMBER(add_scalar, "{0} + {d0}", g, .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP,
               AG_FORMULA_I64(add_scalar));
ag_tensor *ag_add_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_add_scalar, x, s); }

AG_WITH_NUMBER(rsub_scalar, "{d0} - {0}", ag_neg(g), .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP,
               AG_FORMULA_I64(rsub_scalar));
ag_tensor *ag_rsub_scalar(double s, ag_tensor *x) { return ag__apply1_s(&ag__op_rsub_scalar, x, s); }

AG_WITH_NUMBER(scale, "{d0} * {0}", is_tame(g, s) ? ag_scale(g, s) : ag_strong_mul(g, same_number(g, s)),
               .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP | AG_OP_NEUTRAL, .neutral = 1,
               AG_FORMULA_I64(scale));
ag_tensor *ag_scale(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_scale, x, s); }

AG_WITH_NUMBER(div_scalar, "{0} / {d0}", is_tame(g, 1 / s) ? ag_div_scalar(g, s) : ag_strong_div(g, same_number(g, s)),
               .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL, .neutral = 1, AG_FORMULA(div_scalar));
ag_tensor *ag_div_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_div_scalar, x, s); }

AG_WITH_NUMBER(rdiv_scalar, "{d0} / {0}", ag_neg(ag__slope_div(ag__slope_mul(g, y), x)), .flags = AG_OP_CHEAP,
               .domain = {{.nonzero = true}}, AG_FORMULA(rdiv_scalar));
ag_tensor *ag_rdiv_scalar(double s, ag_tensor *x) { return ag__apply1_s(&ag__op_rdiv_scalar, x, s); }

/* The exponents of most programs and of their gradients are many times faster by multiplication. */
static void pow_scalar_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    static const double one = 1;
    const double s = *(const double *)attributes;
    if (s == -1) rdiv_scalar_f32(n, y, x, &one);
    else if (s == 1) ag__op_contiguous.block[AG_F32](n, y, x, NULL);
    else if (s == 2) ag__op_square.block[AG_F32](n, y, x, NULL);
    else if (s == 3) cube_f32(n, y, x, NULL);
    else power_f32(n, y, x, attributes);
}
static void pow_scalar_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    static const double one = 1;
    const double s = *(const double *)attributes;
    if (s == -1) rdiv_scalar_f64(n, y, x, &one);
    else if (s == 1) ag__op_contiguous.block[AG_F64](n, y, x, NULL);
    else if (s == 2) ag__op_square.block[AG_F64](n, y, x, NULL);
    else if (s == 3) cube_f64(n, y, x, NULL);
    else power_f64(n, y, x, attributes);
}
AG_WITH_NUMBER(pow_scalar, "{0}^{d0}",
               s == 0 ? ag_zero_vjp(y, g, i) : ag_strong_mul(g, ag_scale(ag_pow_scalar(x, s - 1), s)),
               .flags = AG_OP_NEUTRAL, .neutral = 1, .domain = {{.above = 0, .below = INFINITY}},
               .block = {[AG_F32] = pow_scalar_f32, [AG_F64] = pow_scalar_f64});
ag_tensor *ag_pow_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_pow_scalar, x, s); }

AG_WITH_NUMBER(maximum_scalar, "max({0}, {d0})", isnan(s) ? ag__unknown(g, y) : ag__gate(g, x, s, INFINITY, 0.5, 1),
               .flags = AG_OP_SCALAR | AG_OP_CHEAP, AG_FORMULA_I64(maximum_scalar));
ag_tensor *ag_maximum_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_maximum_scalar, x, s); }

AG_WITH_NUMBER(minimum_scalar, "min({0}, {d0})", isnan(s) ? ag__unknown(g, y) : ag__gate(g, x, -INFINITY, s, 1, 0.5),
               .flags = AG_OP_SCALAR | AG_OP_CHEAP, AG_FORMULA_I64(minimum_scalar));
ag_tensor *ag_minimum_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_minimum_scalar, x, s); }

/* ---- Between two numbers ---- */

typedef struct interval {
    double low, high;
} interval;

static bool clamp_infer(ag_infer *r) {
    const interval *c = r->attributes;
    if (c->low <= c->high) return true;
    return ag_reject(r, AG_ERR_RANGE, "low is %g and high is %g: low <= high is wanted", c->low, c->high);
}

static ag_tensor *clamp_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const interval *c = ag_attributes(y);
    return ag__gate(g, ag_input(y, i), c->low, c->high, 1, 1);
}
AG_ELEMENTWISE(clamp, 1, "clamp({0}, {d0}, {d1})", .flags = AG_OP_CHEAP, .attribute_bytes = sizeof(interval),
               .infer = clamp_infer, .vjp = clamp_vjp, AG_FORMULA(clamp));
ag_tensor *ag_clamp(ag_tensor *x, double low, double high) {
    return ag_apply(&ag__op_clamp, 1, &x, &(interval){low, high}, sizeof(interval));
}
