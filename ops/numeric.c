/* numeric -- rounding, remainders, and functions of two numbers
 *
 * Only remainders have kernels: quotient.c. */
#include "ops/quotient.h"
#include "ops/rules.h"

#include "ops/numeric_formulas.h"

#include <math.h>
#include <string.h>

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

/* −g·(a − y)/b, whose quotient is whole. */
static ag_tensor *of_divisor(ag_tensor *y, ag_tensor *g, ag_tensor *a, ag_tensor *b) {
    return ag_neg(ag_strong_mul(g, ag_round(ag_div(ag_sub(a, y), b))));
}

/* Elements by parts, which are put elsewhere and copied if y is a or b. */
static void by_parts(ag__quotients *f, size_t bytes, int64_t n, void *y, const void *const x[]) {
    enum { FEW = AG__LIMIT(256, 5) };
    _Alignas(64) char made[FEW * AG__MOST_BYTES];
    for (int64_t k = 0; k < n; k += FEW) {
        const int64_t count = n - k < FEW ? n - k : FEW;
        const size_t at = (size_t)k * bytes;
        char *end = (char *)y + at, *to = y == x[0] || y == x[1] ? made : end;
        f(count, to, (const char *)x[0] + at, (const char *)x[1] + at);
        if (to == made) memcpy(end, made, (size_t)count * bytes);
    }
}

#define QUOTIENT(name, type, f)                                                                                        \
    static void name(int64_t n, void *y, const void *const x[], const void *attributes) {                              \
        (void)attributes;                                                                                              \
        by_parts(f, sizeof(type), n, y, x);                                                                            \
    }
QUOTIENT(fmod_f32, float, ag__rests_f32)
QUOTIENT(fmod_f64, double, ag__rests_f64)
QUOTIENT(fmod_i64, int64_t, ag__rests_i64)
QUOTIENT(remainder_f32, float, ag__moved_f32)
QUOTIENT(remainder_f64, double, ag__moved_f64)
QUOTIENT(remainder_i64, int64_t, ag__moved_i64)
QUOTIENT(floor_divide_f32, float, ag__floors_f32)
QUOTIENT(floor_divide_f64, double, ag__floors_f64)
QUOTIENT(floor_divide_i64, int64_t, ag__floors_i64)
#undef QUOTIENT

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

/* g·a/y, a quotient of at most 1, and 0 where a is, unless y is NaN. */
static ag_tensor *share_of(ag_tensor *g, ag_tensor *a, ag_tensor *y) {
    return ag_add(ag__slope_mul(g, ag_strong_div(a, y)), ag__unknown(g, y));
}
AG_BINARY(hypot, "hypot({0}, {1})", share_of(g, a, y), share_of(g, b, y), .flags = AG_OP_COMMUTES,
          AG_FORMULA_TRACE(hypot));
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
    ag_tensor *zero = ag__number_as(g, 0);
    ag_tensor *undefined =
        ag_where(ag_equal(a, zero), ag_less_equal(b, ag__number_as(b, least)), ag_scalar(ag_tape_of(g), AG_BOOL, 0));
    return ag_where(undefined, zero, ag_strong_mul(g, log));
}
/* g·a/b, 0 where g or a is, unless b is NaN. */
static ag_tensor *over_logarithm(ag_tensor *g, ag_tensor *a, ag_tensor *b) {
    return ag_add(ag_strong_div(ag__mul_both_strong(g, a), b), ag__unknown(g, b));
}
AG_BINARY(xlogy, "{0} * ln({1})", by_factor(g, a, b, 0, ag_log(b)), over_logarithm(g, a, b),
          .domain = {[1] = {.above = 0, .below = INFINITY}}, AG_FORMULA_TRACE(xlogy));
ag_tensor *ag_xlogy(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_xlogy, a, b); }

AG_BINARY(xlog1py, "{0} * ln(1 + {1})", by_factor(g, a, b, -1, ag_log1p(b)), over_logarithm(g, a, ag_add_scalar(b, 1)),
          .domain = {[1] = {.above = -1, .below = INFINITY}}, AG_FORMULA_TRACE(xlog1py));
ag_tensor *ag_xlog1py(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_xlog1py, a, b); }

AG_BINARY(logaddexp, "ln(e^{0} + e^{1})", ag__slope_mul(g, ag_sigmoid(ag_sub(a, b))),
          ag__slope_mul(g, ag_sigmoid(ag_sub(b, a))), .flags = AG_OP_COMMUTES, AG_FORMULA_TRACE(logaddexp));
ag_tensor *ag_logaddexp(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_logaddexp, a, b); }

/* ---- Sinc ---- */

static const double pi = 0x1.921fb54442d18p+1;

/* −(sin u/u + 2s/u) for s = (cos u − sin u/u)/u and u = πx, the derivative of s by u: near 0 by its series. */
static ag_tensor *curvature(ag_tensor *x, ag_tensor *s) {
    enum { PARTS = 9 };
    static const double part[PARTS] = {
        -3, 10, -168, 6480, -443520, 47174400, -7185024000, 1482030950400, -397533007872000};
    ag_tensor *u = ag_scale(x, pi), *z = ag_square(u), *near = ag__number_as(x, 1 / part[PARTS - 1]);
    for (int k = PARTS - 2; k >= 0; k--) near = ag_add_scalar(ag_mul(near, z), 1 / part[k]);
    ag_tensor *far = ag_neg(ag_add(ag_sinc(x), ag_div(ag_scale(s, 2), u)));
    return ag_where(ag_less(z, ag__number_as(x, 1)), near, far);
}
AG_UNARY(sinc_slope, NULL, ag__slope_mul(g, ag_scale(curvature(x, y), pi)), AG_FORMULA_TRACE(sinc_slope));
static ag_tensor *sinc_slope(ag_tensor *x) { return ag__apply1(&ag__op_sinc_slope, x); }

AG_UNARY(sinc, "sinc({0})", ag__slope_mul(g, ag_scale(sinc_slope(x), pi)), AG_FORMULA_TRACE(sinc));
ag_tensor *ag_sinc(ag_tensor *x) { return ag__apply1(&ag__op_sinc, x); }
