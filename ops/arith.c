/* arith -- arithmetic on two tensors, and on a tensor and a number
 *
 * i64 wraps around in two's complement, which is why its kernels compute in uint64_t. A scalar form is one
 * node whose attribute is the number, a double that each kernel converts to its own dtype. */
#include "ops/list.h"

#include <math.h>

/* ---- Two tensors ---- */

AG_BLOCK2(add_i64, int64_t, int64_t, (uint64_t)a + (uint64_t)b)
AG_BLOCK2(add_f32, float, float, a + b)
AG_BLOCK2(add_f64, double, double, a + b)
static ag_tensor *add_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, g; }
static const ag_micro add_micro_f32[] = {{AG_MICRO_ADD, 0, .b = 1}, {0}};
#define add_micro_f64 add_micro_f32
const ag_op ag__op_add = {.name = "add",
                          .notation = "{0} + {1}",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL | AG_OP_COMMUTES | AG_OP_ADDS,
                          .arity = 2,
                          AG_FORMULA_I64(add),
                          .vjp = add_vjp,
                          .neutral = -0.0};
ag_tensor *ag_add(ag_tensor *a, ag_tensor *b) { return ag_apply(&ag__op_add, 2, (ag_tensor *[]){a, b}, NULL, 0); }

AG_BLOCK2(sub_i64, int64_t, int64_t, (uint64_t)a - (uint64_t)b)
AG_BLOCK2(sub_f32, float, float, a - b)
AG_BLOCK2(sub_f64, double, double, a - b)
static ag_tensor *sub_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, i == 0 ? g : ag_neg(g); }
static const ag_micro sub_micro_f32[] = {{AG_MICRO_SUB, 0, .b = 1}, {0}};
#define sub_micro_f64 sub_micro_f32
const ag_op ag__op_sub = {.name = "sub",
                          .notation = "{0} - {1}",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL,
                          .arity = 2,
                          AG_FORMULA_I64(sub),
                          .vjp = sub_vjp};
ag_tensor *ag_sub(ag_tensor *a, ag_tensor *b) { return ag_apply(&ag__op_sub, 2, (ag_tensor *[]){a, b}, NULL, 0); }

AG_BLOCK2(mul_i64, int64_t, int64_t, ((uint64_t)a * (uint64_t)b))
AG_BLOCK2(mul_f32, float, float, (a * b))
AG_BLOCK2(mul_f64, double, double, (a * b))
static ag_tensor *mul_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag__slope_mul(g, ag_input(y, 1 - i)); }
static const ag_micro mul_micro_f32[] = {{AG_MICRO_MUL, 0, .b = 1}, {0}};
#define mul_micro_f64 mul_micro_f32
const ag_op ag__op_mul = {.name = "mul",
                          .notation = "{0} * {1}",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL | AG_OP_COMMUTES,
                          .arity = 2,
                          AG_FORMULA_I64(mul),
                          .vjp = mul_vjp,
                          .neutral = 1};
ag_tensor *ag_mul(ag_tensor *a, ag_tensor *b) { return ag_apply(&ag__op_mul, 2, (ag_tensor *[]){a, b}, NULL, 0); }

AG_BLOCK2(div_f32, float, float, a / b)
AG_BLOCK2(div_f64, double, double, a / b)
static ag_tensor *div_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *b = ag_input(y, 1);
    return i == 0 ? ag__slope_div(g, b) : ag_neg(ag__slope_div(ag__slope_mul(g, y), b));
}
static const ag_micro div_micro_f32[] = {{AG_MICRO_DIV, 0, .b = 1}, {0}};
#define div_micro_f64 div_micro_f32
const ag_op ag__op_div = {.name = "div",
                          .notation = "{0} / {1}",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_CHEAP | AG_OP_NEUTRAL,
                          .arity = 2,
                          AG_FORMULA(div),
                          .vjp = div_vjp,
                          .neutral = 1};
ag_tensor *ag_div(ag_tensor *a, ag_tensor *b) { return ag_apply(&ag__op_div, 2, (ag_tensor *[]){a, b}, NULL, 0); }

/* ---- The larger and the smaller ---- */

AG_BLOCK2(maximum_i64, int64_t, int64_t, a > b ? a : b)
AG_BLOCK2(maximum_f32, float, float, a > b || a != a ? a : b)
AG_BLOCK2(maximum_f64, double, double, a > b || a != a ? a : b)
AG_BLOCK2(minimum_i64, int64_t, int64_t, a < b ? a : b)
AG_BLOCK2(minimum_f32, float, float, a < b || a != a ? a : b)
AG_BLOCK2(minimum_f64, double, double, a < b || a != a ? a : b)

/* g where `won`, half of it where a and b are equal, NaN where y is. */
static ag_tensor *share(ag_tensor *y, ag_tensor *g, ag_tensor *won, ag_tensor *a, ag_tensor *b) {
    return ag_where(won, g, ag_where(ag_equal(a, b), ag_scale(g, 0.5), ag__unknown(g, y)));
}

static ag_tensor *maximum_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *own = ag_input(y, i), *other = ag_input(y, 1 - i);
    return share(y, g, ag_greater(own, other), own, other);
}
static const ag_micro maximum_micro_f32[] = {
    {AG_MICRO_MAX, 0, .b = 1}, {AG_MICRO_NOT_EQUAL, 0, .b = 0}, {AG_MICRO_SELECT, 3, 0, .c = 2}, {0}};
#define maximum_micro_f64 maximum_micro_f32
const ag_op ag__op_maximum = {.name = "maximum",
                              .notation = "max({0}, {1})",
                              .kind = AG_KIND_ELEMENTWISE,
                              .flags = AG_OP_CHEAP | AG_OP_NEUTRAL,
                              .arity = 2,
                              AG_FORMULA_I64(maximum),
                              .vjp = maximum_vjp,
                              .neutral = -INFINITY};
ag_tensor *ag_maximum(ag_tensor *a, ag_tensor *b) {
    return ag_apply(&ag__op_maximum, 2, (ag_tensor *[]){a, b}, NULL, 0);
}

static ag_tensor *minimum_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *own = ag_input(y, i), *other = ag_input(y, 1 - i);
    return share(y, g, ag_less(own, other), own, other);
}
static const ag_micro minimum_micro_f32[] = {
    {AG_MICRO_MIN, 0, .b = 1}, {AG_MICRO_NOT_EQUAL, 0, .b = 0}, {AG_MICRO_SELECT, 3, 0, .c = 2}, {0}};
#define minimum_micro_f64 minimum_micro_f32
const ag_op ag__op_minimum = {.name = "minimum",
                              .notation = "min({0}, {1})",
                              .kind = AG_KIND_ELEMENTWISE,
                              .flags = AG_OP_CHEAP | AG_OP_NEUTRAL,
                              .arity = 2,
                              AG_FORMULA_I64(minimum),
                              .vjp = minimum_vjp,
                              .neutral = INFINITY};
ag_tensor *ag_minimum(ag_tensor *a, ag_tensor *b) {
    return ag_apply(&ag__op_minimum, 2, (ag_tensor *[]){a, b}, NULL, 0);
}

/* ---- Powers ---- */

AG_BLOCK2(pow_f32, float, float, powf(a, b))
AG_BLOCK2(pow_f64, double, double, pow(a, b))

/* ā = g·b·a^(b−1). At b = 0 that is 0·a^(−1): right for the value as for the slope 1/a by b, unless 1/a is
 * not finite. There 1 stands in for a, so that neither this nor its own gradient meets 0·∞. */
static ag_tensor *pow_vjp_base(ag_tensor *g, ag_tensor *a, ag_tensor *b) {
    ag_tape *tape = ag_tape_of(g);
    ag_dtype dtype = ag_dtype_of(g);
    ag_tensor *zero = ag_scalar(tape, dtype, 0), *one = ag_scalar(tape, dtype, 1);
    ag_tensor *smallest = ag_scalar(tape, dtype, dtype == AG_F32 ? 0x1p-126 : 0x1p-1022);
    ag_tensor *invertible = ag_where(ag_less(smallest, ag_abs(a)), a, one);
    ag_tensor *base = ag_where(ag_equal(b, zero), invertible, a);
    return ag_strong_mul(g, ag_mul(b, ag_pow(base, ag_add_scalar(b, -1))));
}

/* b̄ = g·a^b·ln a, and 0 where a = 0 and b >= 0. There 1 stands in for a: ln 1 = 0, and no slope of a^b at 0,
 * which may be infinite, is met when this is differentiated again. */
static ag_tensor *pow_vjp_exponent(ag_tensor *g, ag_tensor *a, ag_tensor *b) {
    ag_tape *tape = ag_tape_of(g);
    ag_dtype dtype = ag_dtype_of(g);
    ag_tensor *zero = ag_scalar(tape, dtype, 0), *one = ag_scalar(tape, dtype, 1);
    ag_tensor *base = ag_where(ag_equal(a, zero), ag_where(ag_less_equal(zero, b), one, a), a);
    return ag_strong_mul(g, ag_mul(ag_pow(base, b), ag_log(base)));
}

static ag_tensor *pow_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = ag_input(y, 0), *b = ag_input(y, 1);
    return i == 0 ? pow_vjp_base(g, a, b) : pow_vjp_exponent(g, a, b);
}
const ag_op ag__op_pow = {.name = "pow",
                          .notation = "{0}^{1}",
                          .kind = AG_KIND_ELEMENTWISE,
                          .arity = 2,
                          .block = {[AG_F32] = pow_f32, [AG_F64] = pow_f64},
                          .vjp = pow_vjp};
ag_tensor *ag_pow(ag_tensor *a, ag_tensor *b) { return ag_apply(&ag__op_pow, 2, (ag_tensor *[]){a, b}, NULL, 0); }

/* ---- Sign ---- */

AG_BLOCK1(neg_i64, int64_t, int64_t, 0 - (uint64_t)a)
AG_BLOCK1(neg_f32, float, float, -a)
AG_BLOCK1(neg_f64, double, double, -a)
static ag_tensor *neg_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_neg(g); }
static const ag_micro neg_micro_f32[] = {{AG_MICRO_NEG, .a = 0}, {0}};
#define neg_micro_f64 neg_micro_f32
const ag_op ag__op_neg = {.name = "neg",
                          .notation = "-{0}",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_INVOLUTION,
                          .arity = 1,
                          AG_FORMULA_I64(neg),
                          .vjp = neg_vjp};
ag_tensor *ag_neg(ag_tensor *x) { return ag_apply(&ag__op_neg, 1, &x, NULL, 0); }

/* ---- A tensor and a number ---- */

static double scalar_of(const ag_tensor *y) { return *(const double *)ag_attributes(y); }

/* Whether a cotangent of 0 stays 0, multiplied by s (or divided by 1/s) in its dtype. */
static bool is_tame(const ag_tensor *g, double s) {
    return isfinite(s) && (ag_dtype_of(g) != AG_F32 || isfinite((float)s));
}

static ag_tensor *same_number(const ag_tensor *g, double s) { return ag_scalar(ag_tape_of(g), ag_dtype_of(g), s); }

static ag_tensor *apply_scalar(const ag_op *op, ag_tensor *x, double s) { return ag_apply(op, 1, &x, &s, sizeof s); }

AG_BLOCK1_S(add_scalar_i64, int64_t, int64_t, (uint64_t)a + (uint64_t)s)
AG_BLOCK1_S(add_scalar_f32, float, float, a + s)
AG_BLOCK1_S(add_scalar_f64, double, double, a + s)
static const ag_micro add_scalar_micro_f32[] = {{AG_MICRO_ATTRIBUTE, .a = 0}, {AG_MICRO_ADD, 0, .b = 1}, {0}};
#define add_scalar_micro_f64 add_scalar_micro_f32
const ag_op ag__op_add_scalar = {.name = "add_scalar",
                                 .notation = "{0} + {d0}",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP,
                                 .arity = 1,
                                 .attribute_bytes = sizeof(double),
                                 AG_FORMULA_I64(add_scalar),
                                 .vjp = add_vjp};
ag_tensor *ag_add_scalar(ag_tensor *x, double s) { return apply_scalar(&ag__op_add_scalar, x, s); }

AG_BLOCK1_S(rsub_scalar_i64, int64_t, int64_t, (uint64_t)s - (uint64_t)a)
AG_BLOCK1_S(rsub_scalar_f32, float, float, s - a)
AG_BLOCK1_S(rsub_scalar_f64, double, double, s - a)
static const ag_micro rsub_scalar_micro_f32[] = {{AG_MICRO_ATTRIBUTE, .a = 0}, {AG_MICRO_SUB, 1, .b = 0}, {0}};
#define rsub_scalar_micro_f64 rsub_scalar_micro_f32
const ag_op ag__op_rsub_scalar = {.name = "rsub_scalar",
                                  .notation = "{d0} - {0}",
                                  .kind = AG_KIND_ELEMENTWISE,
                                  .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP,
                                  .arity = 1,
                                  .attribute_bytes = sizeof(double),
                                  AG_FORMULA_I64(rsub_scalar),
                                  .vjp = neg_vjp};
ag_tensor *ag_rsub_scalar(double s, ag_tensor *x) { return apply_scalar(&ag__op_rsub_scalar, x, s); }

AG_BLOCK1_S(scale_i64, int64_t, int64_t, ((uint64_t)a * (uint64_t)s))
AG_BLOCK1_S(scale_f32, float, float, (a * s))
AG_BLOCK1_S(scale_f64, double, double, (a * s))
static ag_tensor *scale_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const double s = scalar_of(y);
    return (void)i, is_tame(g, s) ? ag_scale(g, s) : ag_strong_mul(g, same_number(g, s));
}
static const ag_micro scale_micro_f32[] = {{AG_MICRO_ATTRIBUTE, .a = 0}, {AG_MICRO_MUL, 0, .b = 1}, {0}};
#define scale_micro_f64 scale_micro_f32
const ag_op ag__op_scale = {.name = "scale",
                            .notation = "{d0} * {0}",
                            .kind = AG_KIND_ELEMENTWISE,
                            .flags = AG_OP_HIDES_NOTHING | AG_OP_SCALAR | AG_OP_CHEAP | AG_OP_NEUTRAL,
                            .arity = 1,
                            .attribute_bytes = sizeof(double),
                            AG_FORMULA_I64(scale),
                            .vjp = scale_vjp,
                            .neutral = 1};
ag_tensor *ag_scale(ag_tensor *x, double s) { return apply_scalar(&ag__op_scale, x, s); }

AG_BLOCK1_S(div_scalar_f32, float, float, a / s)
AG_BLOCK1_S(div_scalar_f64, double, double, a / s)
static ag_tensor *div_scalar_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const double s = scalar_of(y);
    return (void)i, is_tame(g, 1 / s) ? ag_div_scalar(g, s) : ag_strong_div(g, same_number(g, s));
}
static const ag_micro div_scalar_micro_f32[] = {{AG_MICRO_ATTRIBUTE, .a = 0}, {AG_MICRO_DIV, 0, .b = 1}, {0}};
#define div_scalar_micro_f64 div_scalar_micro_f32
const ag_op ag__op_div_scalar = {.name = "div_scalar",
                                 .notation = "{0} / {d0}",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP | AG_OP_NEUTRAL,
                                 .arity = 1,
                                 .attribute_bytes = sizeof(double),
                                 AG_FORMULA(div_scalar),
                                 .vjp = div_scalar_vjp,
                                 .neutral = 1};
ag_tensor *ag_div_scalar(ag_tensor *x, double s) { return apply_scalar(&ag__op_div_scalar, x, s); }

AG_BLOCK1_S(rdiv_scalar_f32, float, float, s / a)
AG_BLOCK1_S(rdiv_scalar_f64, double, double, s / a)
static ag_tensor *rdiv_scalar_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_neg(ag__slope_div(ag__slope_mul(g, y), ag_input(y, i)));
}
static const ag_micro rdiv_scalar_micro_f32[] = {{AG_MICRO_ATTRIBUTE, .a = 0}, {AG_MICRO_DIV, 1, .b = 0}, {0}};
#define rdiv_scalar_micro_f64 rdiv_scalar_micro_f32
const ag_op ag__op_rdiv_scalar = {.name = "rdiv_scalar",
                                  .notation = "{d0} / {0}",
                                  .kind = AG_KIND_ELEMENTWISE,
                                  .flags = AG_OP_CHEAP,
                                  .arity = 1,
                                  .attribute_bytes = sizeof(double),
                                  AG_FORMULA(rdiv_scalar),
                                  .vjp = rdiv_scalar_vjp};
ag_tensor *ag_rdiv_scalar(double s, ag_tensor *x) { return apply_scalar(&ag__op_rdiv_scalar, x, s); }

AG_BLOCK1(reciprocal_f32, float, float, 1 / a)
AG_BLOCK1(reciprocal_f64, double, double, 1 / a)
AG_BLOCK1(identity_f32, float, float, a)
AG_BLOCK1(identity_f64, double, double, a)
AG_BLOCK1(square_f32, float, float, (a * a))
AG_BLOCK1(square_f64, double, double, (a * a))
AG_BLOCK1(cube_f32, float, float, (a * a * a))
AG_BLOCK1(cube_f64, double, double, (a * a * a))
AG_BLOCK1_S(power_f32, float, float, powf(a, s))
AG_BLOCK1_S(power_f64, double, double, pow(a, s))

/* The exponents that occur in practice, and in the gradients of those, are many times faster multiplied
 * out. */
static void pow_scalar_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    const double s = *(const double *)attributes;
    if (s == -1) reciprocal_f32(n, y, x, NULL);
    else if (s == 1) identity_f32(n, y, x, NULL);
    else if (s == 2) square_f32(n, y, x, NULL);
    else if (s == 3) cube_f32(n, y, x, NULL);
    else power_f32(n, y, x, attributes);
}
static void pow_scalar_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    const double s = *(const double *)attributes;
    if (s == -1) reciprocal_f64(n, y, x, NULL);
    else if (s == 1) identity_f64(n, y, x, NULL);
    else if (s == 2) square_f64(n, y, x, NULL);
    else if (s == 3) cube_f64(n, y, x, NULL);
    else power_f64(n, y, x, attributes);
}
static ag_tensor *pow_scalar_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const double s = scalar_of(y);
    if (s == 0) return ag_zero_vjp(y, g, i);
    return ag_strong_mul(g, ag_scale(ag_pow_scalar(ag_input(y, i), s - 1), s));
}
const ag_op ag__op_pow_scalar = {.name = "pow_scalar",
                                 .notation = "{0}^{d0}",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .flags = AG_OP_NEUTRAL,
                                 .arity = 1,
                                 .attribute_bytes = sizeof(double),
                                 .block = {[AG_F32] = pow_scalar_f32, [AG_F64] = pow_scalar_f64},
                                 .vjp = pow_scalar_vjp,
                                 .neutral = 1};
ag_tensor *ag_pow_scalar(ag_tensor *x, double s) { return apply_scalar(&ag__op_pow_scalar, x, s); }

AG_BLOCK1_S(maximum_scalar_i64, int64_t, int64_t, a > s ? a : s)
AG_BLOCK1_S(maximum_scalar_f32, float, float, a > s || a != a ? a : s)
AG_BLOCK1_S(maximum_scalar_f64, double, double, a > s || a != a ? a : s)
static ag_tensor *maximum_scalar_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const double s = scalar_of(y);
    return isnan(s) ? ag__unknown(g, y) : ag__gate(g, ag_input(y, i), s, INFINITY, 0.5, 1);
}
static const ag_micro maximum_scalar_micro_f32[] = {{AG_MICRO_ATTRIBUTE, .a = 0},
                                                    {AG_MICRO_MAX, 0, .b = 1},
                                                    {AG_MICRO_NOT_EQUAL, 0, .b = 0},
                                                    {AG_MICRO_SELECT, 3, 0, .c = 2},
                                                    {0}};
#define maximum_scalar_micro_f64 maximum_scalar_micro_f32
const ag_op ag__op_maximum_scalar = {.name = "maximum_scalar",
                                     .notation = "max({0}, {d0})",
                                     .kind = AG_KIND_ELEMENTWISE,
                                     .flags = AG_OP_SCALAR | AG_OP_CHEAP,
                                     .arity = 1,
                                     .attribute_bytes = sizeof(double),
                                     AG_FORMULA_I64(maximum_scalar),
                                     .vjp = maximum_scalar_vjp};
ag_tensor *ag_maximum_scalar(ag_tensor *x, double s) { return apply_scalar(&ag__op_maximum_scalar, x, s); }

AG_BLOCK1_S(minimum_scalar_i64, int64_t, int64_t, a < s ? a : s)
AG_BLOCK1_S(minimum_scalar_f32, float, float, a < s || a != a ? a : s)
AG_BLOCK1_S(minimum_scalar_f64, double, double, a < s || a != a ? a : s)
static ag_tensor *minimum_scalar_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const double s = scalar_of(y);
    return isnan(s) ? ag__unknown(g, y) : ag__gate(g, ag_input(y, i), -INFINITY, s, 1, 0.5);
}
static const ag_micro minimum_scalar_micro_f32[] = {{AG_MICRO_ATTRIBUTE, .a = 0},
                                                    {AG_MICRO_MIN, 0, .b = 1},
                                                    {AG_MICRO_NOT_EQUAL, 0, .b = 0},
                                                    {AG_MICRO_SELECT, 3, 0, .c = 2},
                                                    {0}};
#define minimum_scalar_micro_f64 minimum_scalar_micro_f32
const ag_op ag__op_minimum_scalar = {.name = "minimum_scalar",
                                     .notation = "min({0}, {d0})",
                                     .kind = AG_KIND_ELEMENTWISE,
                                     .flags = AG_OP_SCALAR | AG_OP_CHEAP,
                                     .arity = 1,
                                     .attribute_bytes = sizeof(double),
                                     AG_FORMULA_I64(minimum_scalar),
                                     .vjp = minimum_scalar_vjp};
ag_tensor *ag_minimum_scalar(ag_tensor *x, double s) { return apply_scalar(&ag__op_minimum_scalar, x, s); }

/* ---- Between two numbers ---- */

typedef struct interval {
    double low, high;
} interval;

static bool clamp_infer(ag_infer *r) {
    const interval *c = r->attributes;
    if (c->low <= c->high) return true;
    return ag_reject(r, AG_ERR_RANGE, "from %g to %g is no interval", c->low, c->high);
}

/* Comparisons with NaN are false, so that it falls through to itself. */
AG_BLOCK_KERNEL static void clamp_f32(int64_t n, void *y_, const void *const x_[], const void *attributes) {
    const interval *c = attributes;
    const float low = (float)c->low, high = (float)c->high, *x = x_[0];
    float *y = y_;
    AG_SIMD for (int64_t i = 0; i < n; i++) {
        const float raised = x[i] < low ? low : x[i];
        y[i] = raised > high ? high : raised;
    }
}
AG_BLOCK_KERNEL static void clamp_f64(int64_t n, void *y_, const void *const x_[], const void *attributes) {
    const interval *c = attributes;
    const double low = c->low, high = c->high, *x = x_[0];
    double *y = y_;
    AG_SIMD for (int64_t i = 0; i < n; i++) {
        const double raised = x[i] < low ? low : x[i];
        y[i] = raised > high ? high : raised;
    }
}
static ag_tensor *clamp_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const interval *c = ag_attributes(y);
    return ag__gate(g, ag_input(y, i), c->low, c->high, 1, 1);
}
static const ag_micro clamp_micro_f32[] = {{AG_MICRO_ATTRIBUTE, .a = 0},
                                           {AG_MICRO_ATTRIBUTE, .a = 1},
                                           {AG_MICRO_MAX, 1, .b = 0},
                                           {AG_MICRO_MIN, 2, .b = 3},
                                           {0}};
#define clamp_micro_f64 clamp_micro_f32
const ag_op ag__op_clamp = {.name = "clamp",
                            .notation = "clamp({0}, {d0}, {d1})",
                            .kind = AG_KIND_ELEMENTWISE,
                            .flags = AG_OP_CHEAP,
                            .arity = 1,
                            .attribute_bytes = sizeof(interval),
                            .infer = clamp_infer,
                            AG_FORMULA(clamp),
                            .vjp = clamp_vjp};
ag_tensor *ag_clamp(ag_tensor *x, double low, double high) {
    return ag_apply(&ag__op_clamp, 1, &x, &(interval){low, high}, sizeof(interval));
}
