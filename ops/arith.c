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

/* ---- Powers ----
 *
 * Exponents that most programs and their gradients have are multiplications, divisions and square roots. An exponent
 * that is known when a power is recorded chooses an entry of its own, which is a power as any other in all but its
 * formula: an exponent that is a tensor stays an input. */

#define AG__POW_SCALAR(...)                                                                                            \
    {                                                                                                                  \
        .name = "pow_scalar", .notation = "{0}^{d0}", .kind = AG_KIND_ELEMENTWISE, .arity = 1,                         \
        .attribute_bytes = sizeof(double), .vjp = pow_scalar_vjp, __VA_ARGS__                                          \
    }
#define AG__POW(...)                                                                                                   \
    { .name = "pow", .notation = "{0}^{1}", .kind = AG_KIND_ELEMENTWISE, .arity = 2, .vjp = pow_vjp, __VA_ARGS__ }
#define AG__POWERS(exponent, ...)                                                                                      \
    { exponent, AG__POW_SCALAR(__VA_ARGS__), AG__POW(__VA_ARGS__) }

static ag_tensor *pow_vjp(ag_tensor *y, ag_tensor *g, int i);
static ag_tensor *pow_scalar_vjp(ag_tensor *y, ag_tensor *g, int i);

static const struct power {
    double exponent;
    ag_op number, tensor; /* as an attribute, and as an input */
} powers[] = {
    {2, AG__POW_SCALAR(.flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP, AG_FORMULA(pow_2)),
     AG__POW(.flags = AG_OP_CHEAP, AG_FORMULA(pow_2))},
    AG__POWERS(-1, .flags = AG_OP_CHEAP, .domain = {{.nonzero = true}}, AG_FORMULA(pow_m1)),
    AG__POWERS(0.5, .flags = AG_OP_CHEAP, .domain = {{.above = 0, .below = INFINITY}}, AG_FORMULA(pow_half)),
    {3, AG__POW_SCALAR(.flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP, AG_FORMULA(pow_3)),
     AG__POW(.flags = AG_OP_CHEAP, AG_FORMULA(pow_3))},
    AG__POWERS(-2, .flags = AG_OP_CHEAP, .domain = {{.nonzero = true}}, AG_FORMULA_TRACE(pow_m2)),
    AG__POWERS(-0.5, .flags = AG_OP_CHEAP, .domain = {{.above = 0, .below = INFINITY}}, AG_FORMULA_TRACE(pow_mhalf)),
};

static const struct power *power_by(double exponent) {
    for (size_t k = 0; k < sizeof powers / sizeof *powers; k++)
        if (powers[k].exponent == exponent) return &powers[k];
    return NULL;
}

static double rounded(double s, ag_dtype dtype) { return dtype == AG_F32 ? (double)(float)s : s; }

/* Whether every element of b is a number that is known as it is recorded: a constant, or that and other numbers added,
 * as in exponents of gradients. */
static bool is_known(const ag_tensor *b, double *value) {
    enum { MOST = 8 };
    double added[MOST];
    int n = 0;
    for (; b->op != &ag__op_full; b = b->input[0]) {
        if (b->op == &ag__op_add_scalar && n < MOST) added[n++] = *(const double *)ag__attributes(b);
        else if (b->op != &ag__op_broadcast_to) return false;
    }
    *value = rounded(*(const double *)ag__attributes(b), b->dtype);
    while (n-- > 0) *value = rounded(*value + rounded(added[n], b->dtype), b->dtype);
    return true;
}

/* ā = g·b·a^(b−1). At b = 0 this is 0·a^(−1): the value and the slope 1/a by b are right, unless 1/a is not
 * finite. There 1 replaces a, so that neither this nor its own gradient has 0·∞. */
static ag_tensor *pow_base(ag_tensor *g, ag_tensor *a, ag_tensor *b) {
    ag_tape *tape = ag_tape_of(g);
    ag_dtype dtype = ag_dtype_of(g);
    ag_tensor *base = a;
    double exponent;
    if (!is_known(b, &exponent) || exponent == 0) {
        ag_tensor *zero = ag_scalar(tape, dtype, 0), *one = ag_scalar(tape, dtype, 1);
        ag_tensor *smallest = ag_scalar(tape, dtype, dtype == AG_F32 ? 0x1p-126 : 0x1p-1022);
        ag_tensor *invertible = ag_where(ag_less_equal(smallest, ag_abs(a)), a, one);
        base = ag_where(ag_equal(b, zero), invertible, a);
    }
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
          AG_FORMULA_TRACE(pow));
ag_tensor *ag_pow(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil;
    double exponent;
    const struct power *few = NULL;
    if (ag__inputs_usable("pow", 2, (ag_tensor *[]){a, b}, &nil) && is_known(b, &exponent)) few = power_by(exponent);
    return ag__apply2(few ? &few->tensor : &ag__op_pow, a, b);
}

/* ---- Sign ---- */

AG_UNARY(neg, "-{0}", ag_neg(g), .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_INVOLUTION, AG_FORMULA_I64(neg));
ag_tensor *ag_neg(ag_tensor *x) { return ag__apply1(&ag__op_neg, x); }

/* ---- A tensor and a number ---- */

/* Whether a cotangent of 0 stays 0, multiplied by s (or divided by 1/s) in its dtype. */
static bool is_tame(const ag_tensor *g, double s) {
    return isfinite(s) && (ag_dtype_of(g) != AG_F32 || isfinite((float)s));
}

AG_WITH_NUMBER(add_scalar, "{0} + {d0}", g, .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP,
               AG_FORMULA_I64(add_scalar));
ag_tensor *ag_add_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_add_scalar, x, s); }

AG_WITH_NUMBER(rsub_scalar, "{d0} - {0}", ag_neg(g), .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP,
               AG_FORMULA_I64(rsub_scalar));
ag_tensor *ag_rsub_scalar(double s, ag_tensor *x) { return ag__apply1_s(&ag__op_rsub_scalar, x, s); }

AG_WITH_NUMBER(scale, "{d0} * {0}", is_tame(g, s) ? ag_scale(g, s) : ag_strong_mul(g, ag__number_as(g, s)),
               .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP | AG_OP_NEUTRAL, .neutral = 1,
               AG_FORMULA_I64(scale));
ag_tensor *ag_scale(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_scale, x, s); }

AG_WITH_NUMBER(div_scalar, "{0} / {d0}",
               is_tame(g, 1 / s) ? ag_div_scalar(g, s) : ag_strong_div(g, ag__number_as(g, s)),
               .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL, .neutral = 1, AG_FORMULA(div_scalar));
ag_tensor *ag_div_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_div_scalar, x, s); }

AG_WITH_NUMBER(rdiv_scalar, "{d0} / {0}", ag_neg(ag__slope_div(ag__slope_mul(g, y), x)), .flags = AG_OP_CHEAP,
               .domain = {{.nonzero = true}}, AG_FORMULA(rdiv_scalar));
ag_tensor *ag_rdiv_scalar(double s, ag_tensor *x) { return ag__apply1_s(&ag__op_rdiv_scalar, x, s); }

static ag_tensor *pow_slope(ag_tensor *x, double s) { return ag_scale(s == 2 ? x : ag_pow_scalar(x, s - 1), s); }

AG_WITH_NUMBER(pow_scalar, "{0}^{d0}", s == 0 ? ag_zero_vjp(y, g, i) : ag_strong_mul(g, pow_slope(x, s)),
               .flags = AG_OP_NEUTRAL, .neutral = 1, .domain = {{.above = 0, .below = INFINITY}},
               AG_FORMULA_TRACE(pow_scalar));
ag_tensor *ag_pow_scalar(ag_tensor *x, double s) {
    const struct power *few = power_by(s);
    return ag__apply1_s(few ? &few->number : &ag__op_pow_scalar, x, s);
}

AG_WITH_NUMBER(maximum_scalar, "max({0}, {d0})", isnan(s) ? ag__unknown(g, y) : ag__gate(g, x, s, INFINITY, 0.5, 1),
               .flags = AG_OP_SCALAR | AG_OP_CHEAP, AG_FORMULA_I64(maximum_scalar));
ag_tensor *ag_maximum_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_maximum_scalar, x, s); }

AG_WITH_NUMBER(minimum_scalar, "min({0}, {d0})", isnan(s) ? ag__unknown(g, y) : ag__gate(g, x, -INFINITY, s, 1, 0.5),
               .flags = AG_OP_SCALAR | AG_OP_CHEAP, AG_FORMULA_I64(minimum_scalar));
ag_tensor *ag_minimum_scalar(ag_tensor *x, double s) { return ag__apply1_s(&ag__op_minimum_scalar, x, s); }

/* ---- Between two numbers ---- */

bool ag__bounds_infer(ag_infer *r) {
    const ag__bounds *c = r->attributes;
    if (c->low <= c->high) return true;
    return ag_reject(r, AG_ERR_RANGE, "low is %g and high is %g: low <= high is wanted", c->low, c->high);
}

static ag_tensor *clamp_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const ag__bounds *c = ag_attributes(y);
    return ag__gate(g, ag_input(y, i), c->low, c->high, 1, 1);
}
AG_ELEMENTWISE(clamp, 1, "clamp({0}, {d0}, {d1})", .flags = AG_OP_CHEAP, .attribute_bytes = sizeof(ag__bounds),
               .infer = ag__bounds_infer, .vjp = clamp_vjp, AG_FORMULA(clamp));
ag_tensor *ag_clamp(ag_tensor *x, double low, double high) {
    return ag_apply(&ag__op_clamp, 1, &x, &(ag__bounds){low, high}, sizeof(ag__bounds));
}
