/* numeric -- rounding, remainders, and functions of two numbers
 *
 * The formulas have no kernels of their own; remainders have nothing else, because exact ones take a loop for each
 * element. */
#include "ops/rules.h"

#include "ops/numeric_formulas.h"

#include <math.h>

static ag_tensor *number_like(const ag_tensor *x, double s) { return ag_scalar(ag_tape_of(x), ag_dtype_of(x), s); }

bool ag__real_inputs(const char *name, int n, ag_tensor *const x[], ag_tensor **nil) {
    if (!ag__inputs_usable(name, n, x, nil)) return false;
    for (int i = 0; i < n; i++)
        if (!ag__is_real((int)ag_dtype_of(x[i]))) {
            *nil = ag__fail(name, n, x, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(ag_dtype_of(x[i])));
            return false;
        }
    return true;
}

/* ---- Rounding ---- */

AG_ELEMENTWISE(floor, 1, "floor({0})", .flags = AG_OP_CHEAP, .vjp = ag_zero_vjp, AG_FORMULA_TRACE(floor));
ag_tensor *ag_floor(ag_tensor *x) { return ag__apply1(&ag__op_floor, x); }

AG_ELEMENTWISE(ceil, 1, "ceil({0})", .flags = AG_OP_CHEAP, .vjp = ag_zero_vjp, AG_FORMULA_TRACE(ceil));
ag_tensor *ag_ceil(ag_tensor *x) { return ag__apply1(&ag__op_ceil, x); }

AG_ELEMENTWISE(round, 1, "round({0})", .flags = AG_OP_CHEAP, .vjp = ag_zero_vjp, AG_FORMULA_TRACE(round));
ag_tensor *ag_round(ag_tensor *x) { return ag__apply1(&ag__op_round, x); }

AG_ELEMENTWISE(trunc, 1, "trunc({0})", .flags = AG_OP_CHEAP, .vjp = ag_zero_vjp, AG_FORMULA_TRACE(trunc));
ag_tensor *ag_trunc(ag_tensor *x) { return ag__apply1(&ag__op_trunc, x); }

ag_tensor *ag_frac(ag_tensor *x) {
    ag_tensor *nil;
    return ag__real_inputs("frac", 1, &x, &nil) ? ag_sub(x, ag_trunc(x)) : nil;
}

/* ---- Quotients ---- */

ag_tensor *ag_reciprocal(ag_tensor *x) {
    ag_tensor *nil;
    return ag__real_inputs("reciprocal", 1, &x, &nil) ? ag_rdiv_scalar(1, x) : nil;
}

/* Kernels of an operation for i64, f32 and f64, from its functions of two elements. */
#define QUOTIENT_KERNEL(name, type, function)                                                                          \
    static void name(int64_t n, void *y_, const void *const x[], const void *attributes) {                             \
        type *y = y_;                                                                                                  \
        const type *a = x[0], *b = x[1];                                                                               \
        (void)attributes;                                                                                              \
        for (int64_t i = 0; i < n; i++) y[i] = (type)function(a[i], b[i]);                                             \
    }

/* Whole numbers have none by 0, and −2⁶³ by −1 wraps around. */
static int64_t whole_quotient(int64_t a, int64_t b) {
    return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
static int64_t whole_fmod(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
static int64_t whole_remainder(int64_t a, int64_t b) {
    const int64_t rest = whole_fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
static int64_t whole_floor_divide(int64_t a, int64_t b) {
    const int64_t rest = whole_fmod(a, b);
    return whole_quotient(a, b) - (rest != 0 && (rest < 0) != (b < 0));
}

/* fmod is exact, so the same everywhere. f32 in f64: the quotient below 2^29 is right or one too large, and its product
 * with b is exact. */
static double remainder_of_floats(double a, double b) {
    const double q = trunc(fabs(a) / fabs(b)), rest = fabs(a) - q * fabs(b);
    if (!(q > 0 && q < 0x1p29)) return fmod(a, b);
    return copysign(rest < 0 ? rest + fabs(b) : rest, a);
}
static double with_sign_of(double rest, double b) {
    if (rest == 0) return copysign(0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}
static double narrow_fmod(float a, float b) { return remainder_of_floats((double)a, (double)b); }
static double narrow_remainder(float a, float b) {
    const float rest = (float)narrow_fmod(a, b); /* exact */
    return rest == 0 ? copysign(0, (double)b) : (rest < 0) != (b < 0) ? (double)(rest + b) : (double)rest;
}
static double wide_remainder(double a, double b) { return with_sign_of(fmod(a, b), b); }

/* The quotient of a less its remainder, which is whole but for rounding. */
static double floor_of(double a, double b, double rest) {
    if (b == 0) return a / b;
    double q = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0)) q -= 1;
    return q == 0 ? copysign(0, a / b) : rint(q);
}
static double wide_floor_divide(double a, double b) { return floor_of(a, b, fmod(a, b)); }
static double narrow_floor_divide(float a, float b) { return floor_of((double)a, (double)b, narrow_fmod(a, b)); }

QUOTIENT_KERNEL(fmod_i64, int64_t, whole_fmod)
QUOTIENT_KERNEL(fmod_f32, float, narrow_fmod)
QUOTIENT_KERNEL(fmod_f64, double, fmod)
QUOTIENT_KERNEL(remainder_i64, int64_t, whole_remainder)
QUOTIENT_KERNEL(remainder_f32, float, narrow_remainder)
QUOTIENT_KERNEL(remainder_f64, double, wide_remainder)
QUOTIENT_KERNEL(floor_divide_i64, int64_t, whole_floor_divide)
QUOTIENT_KERNEL(floor_divide_f32, float, narrow_floor_divide)
QUOTIENT_KERNEL(floor_divide_f64, double, wide_floor_divide)
#undef QUOTIENT_KERNEL

/* −g·(a − y)/b, whose quotient is whole. */
static ag_tensor *of_divisor(ag_tensor *y, ag_tensor *g, ag_tensor *a, ag_tensor *b) {
    return ag_neg(ag_strong_mul(g, ag_round(ag_div(ag_sub(a, y), b))));
}

AG_BINARY(fmod, "fmod({0}, {1})", g, of_divisor(y, g, a, b), .domain = {[1] = {.nonzero = true}},
          .block = {[AG_I64] = fmod_i64, [AG_F32] = fmod_f32, [AG_F64] = fmod_f64});
ag_tensor *ag_fmod(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_fmod, a, b); }

AG_BINARY(remainder, "remainder({0}, {1})", g, of_divisor(y, g, a, b), .domain = {[1] = {.nonzero = true}},
          .block = {[AG_I64] = remainder_i64, [AG_F32] = remainder_f32, [AG_F64] = remainder_f64});
ag_tensor *ag_remainder(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_remainder, a, b); }

AG_ELEMENTWISE(floor_divide, 2, "floor({0} / {1})", .vjp = ag_zero_vjp, .domain = {[1] = {.nonzero = true}},
               .block = {[AG_I64] = floor_divide_i64, [AG_F32] = floor_divide_f32, [AG_F64] = floor_divide_f64});
ag_tensor *ag_floor_divide(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_floor_divide, a, b); }

/* ---- Functions of two numbers ---- */

/* Quotients of at most 1, and 0 where y is. */
AG_BINARY(hypot, "hypot({0}, {1})", ag__slope_mul(g, ag_strong_div(a, y)), ag__slope_mul(g, ag_strong_div(b, y)),
          .flags = AG_OP_COMMUTES, AG_FORMULA_TRACE(hypot));
ag_tensor *ag_hypot(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_hypot, a, b); }

static ag_tensor *same_sign(ag_tensor *a, ag_tensor *b) { return ag_mul(ag_sign(a), ag_copysign(ag_sign(a), b)); }
AG_BINARY(copysign, "copysign({0}, {1})", ag__slope_mul(g, same_sign(a, b)), ag_zero_vjp(y, g, i), .flags = AG_OP_CHEAP,
          .domain = {{.nonzero = true}, {.nonzero = true}}, AG_FORMULA_TRACE(copysign));
ag_tensor *ag_copysign(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_copysign, a, b); }

static ag_tensor *lerp_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = ag_input(y, 0), *b = ag_input(y, 1), *w = ag_input(y, 2);
    if (i == 2) return ag__slope_mul(g, ag_sub(b, a));
    return ag__slope_mul(g, i == 0 ? ag_rsub_scalar(1, w) : w);
}
AG_ELEMENTWISE(lerp, 3, "{0} + {2} * ({1} - {0})", .flags = AG_OP_CHEAP, .vjp = lerp_vjp, AG_FORMULA_TRACE(lerp));
ag_tensor *ag_lerp(ag_tensor *a, ag_tensor *b, ag_tensor *w) {
    return ag_apply(&ag__op_lerp, 3, (ag_tensor *[]){a, b, w}, NULL, 0);
}

/* g·log, and 0 where a is 0 and b at most `least`, which log is −∞ at. */
static ag_tensor *by_factor(ag_tensor *g, ag_tensor *a, ag_tensor *b, double least, ag_tensor *log) {
    ag_tensor *zero = number_like(g, 0);
    ag_tensor *undefined =
        ag_where(ag_equal(a, zero), ag_less_equal(b, number_like(b, least)), ag_scalar(ag_tape_of(g), AG_BOOL, 0));
    return ag_where(undefined, zero, ag_strong_mul(g, log));
}
AG_BINARY(xlogy, "{0} * ln({1})", by_factor(g, a, b, 0, ag_log(b)), ag_strong_div(ag__mul_both_strong(g, a), b),
          .domain = {[1] = {.above = 0, .below = INFINITY}}, AG_FORMULA_TRACE(xlogy));
ag_tensor *ag_xlogy(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_xlogy, a, b); }

AG_BINARY(xlog1py, "{0} * ln(1 + {1})", by_factor(g, a, b, -1, ag_log1p(b)),
          ag_strong_div(ag__mul_both_strong(g, a), ag_add_scalar(b, 1)),
          .domain = {[1] = {.above = -1, .below = INFINITY}}, AG_FORMULA_TRACE(xlog1py));
ag_tensor *ag_xlog1py(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_xlog1py, a, b); }

AG_BINARY(logaddexp, "ln(e^{0} + e^{1})", ag__slope_mul(g, ag_sigmoid(ag_sub(a, b))),
          ag__slope_mul(g, ag_sigmoid(ag_sub(b, a))), .flags = AG_OP_COMMUTES, AG_FORMULA_TRACE(logaddexp));
ag_tensor *ag_logaddexp(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_logaddexp, a, b); }

/* ---- Sinc ---- */

static const double pi = 0x1.921fb54442d18p+1;

/* −(sin u/u + 2s/u) for s = (cos u − sin u/u)/u and u = πx, the derivative of s by u: near 0 by its series. */
static ag_tensor *curvature(ag_tensor *x, ag_tensor *s) {
    static const double part[] = {-3, 10, -168, 6480, -443520, 47174400, -7185024000};
    ag_tensor *u = ag_scale(x, pi), *z = ag_square(u), *near = number_like(x, 1 / part[6]);
    for (int k = 5; k >= 0; k--) near = ag_add_scalar(ag_mul(near, z), 1 / part[k]);
    ag_tensor *far = ag_neg(ag_add(ag_sinc(x), ag_div(ag_scale(s, 2), u)));
    return ag_where(ag_less(z, number_like(x, 1)), near, far);
}
AG_UNARY(sinc_slope, NULL, ag__slope_mul(g, ag_scale(curvature(x, y), pi)), AG_FORMULA_TRACE(sinc_slope));
static ag_tensor *sinc_slope(ag_tensor *x) { return ag__apply1(&ag__op_sinc_slope, x); }

AG_UNARY(sinc, "sinc({0})", ag__slope_mul(g, ag_scale(sinc_slope(x), pi)), AG_FORMULA_TRACE(sinc));
ag_tensor *ag_sinc(ag_tensor *x) { return ag__apply1(&ag__op_sinc, x); }
