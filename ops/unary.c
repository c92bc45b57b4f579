/* unary -- functions of one tensor
 *
 * The kernels of exp, log, tanh, sigmoid, sin and cos and their like are vecmath.h's, which are vectorised and give the
 * same bits on every processor. A derivative that can be had from the output y is written so, except where that loses what
 * matters: 1 − y of a y that is nearly 1. */
#include "ops/list.h"
#include "ops/micro.h"
#include "ops/vecmath.h"

#include <math.h>

/* ---- Exponential and logarithm ---- */

AG_BLOCK1(exp_f32, float, float, ag__exp_f32(a))
AG_BLOCK1(exp_f64, double, double, ag__exp_f64(a))
static ag_tensor *exp_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, ag__slope_mul(g, y); }
const ag_op ag__op_exp = {
    .name = "exp", .notation = "e^{0}", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA(exp), .vjp = exp_vjp};
ag_tensor *ag_exp(ag_tensor *x) { return ag_apply(&ag__op_exp, 1, &x, NULL, 0); }

AG_BLOCK1(log_f32, float, float, ag__log_f32(a))
AG_BLOCK1(log_f64, double, double, ag__log_f64(a))
static ag_tensor *log_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag__slope_div(g, ag_input(y, i)); }
const ag_op ag__op_log = {.name = "log",
                          .notation = "ln({0})",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_HIDES_NOTHING,
                          .arity = 1,
                          AG_FORMULA(log),
                          .vjp = log_vjp};
ag_tensor *ag_log(ag_tensor *x) { return ag_apply(&ag__op_log, 1, &x, NULL, 0); }

AG_BLOCK1(expm1_f32, float, float, ag__expm1_f32(a))
AG_BLOCK1(expm1_f64, double, double, ag__expm1_f64(a))
/* Not g·(y + 1): y is nearly −1 where x is far below 0. */
static ag_tensor *expm1_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag__slope_mul(g, ag_exp(ag_input(y, i))); }
const ag_op ag__op_expm1 = {.name = "expm1",
                            .notation = "e^{0} - 1",
                            .kind = AG_KIND_ELEMENTWISE,
                            .arity = 1,
                            AG_FORMULA(expm1),
                            .vjp = expm1_vjp};
ag_tensor *ag_expm1(ag_tensor *x) { return ag_apply(&ag__op_expm1, 1, &x, NULL, 0); }

AG_BLOCK1(log1p_f32, float, float, ag__log1p_f32(a))
AG_BLOCK1(log1p_f64, double, double, ag__log1p_f64(a))
static ag_tensor *log1p_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag__slope_div(g, ag_add_scalar(ag_input(y, i), 1));
}
const ag_op ag__op_log1p = {.name = "log1p",
                            .notation = "ln(1 + {0})",
                            .kind = AG_KIND_ELEMENTWISE,
                            .flags = AG_OP_HIDES_NOTHING,
                            .arity = 1,
                            AG_FORMULA(log1p),
                            .vjp = log1p_vjp};
ag_tensor *ag_log1p(ag_tensor *x) { return ag_apply(&ag__op_log1p, 1, &x, NULL, 0); }

/* ---- Roots and squares ---- */

AG_BLOCK1(sqrt_f32, float, float, sqrtf(a))
AG_BLOCK1(sqrt_f64, double, double, sqrt(a))
static ag_tensor *sqrt_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, ag_strong_div(g, ag_scale(y, 2)); }
static const ag_micro sqrt_micro_f32[] = {{AG_MICRO_SQRT, .a = 0}, {0}};
#define sqrt_micro_f64 sqrt_micro_f32
const ag_op ag__op_sqrt = {.name = "sqrt",
                           .notation = "√{0}",
                           .kind = AG_KIND_ELEMENTWISE,
                           .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP,
                           .arity = 1,
                           AG_FORMULA(sqrt),
                           .vjp = sqrt_vjp};
ag_tensor *ag_sqrt(ag_tensor *x) { return ag_apply(&ag__op_sqrt, 1, &x, NULL, 0); }

AG_BLOCK1(rsqrt_f32, float, float, 1 / sqrtf(a))
AG_BLOCK1(rsqrt_f64, double, double, 1 / sqrt(a))
static ag_tensor *rsqrt_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)i, ag_strong_mul(g, ag_scale(ag_pow_scalar(y, 3), -0.5));
}
static const ag_micro rsqrt_micro_f32[] = {{AG_MICRO_SQRT, .a = 0}, {AG_MICRO_DIV, AG_MICRO_VALUE, 1, .value = 1}, {0}};
#define rsqrt_micro_f64 rsqrt_micro_f32
const ag_op ag__op_rsqrt = {.name = "rsqrt",
                            .notation = "{0}^-0.5",
                            .kind = AG_KIND_ELEMENTWISE,
                            .flags = AG_OP_CHEAP,
                            .arity = 1,
                            AG_FORMULA(rsqrt),
                            .vjp = rsqrt_vjp};
ag_tensor *ag_rsqrt(ag_tensor *x) { return ag_apply(&ag__op_rsqrt, 1, &x, NULL, 0); }

AG_BLOCK1(square_i64, int64_t, int64_t, ((uint64_t)a * (uint64_t)a))
AG_BLOCK1(square_f32, float, float, (a * a))
AG_BLOCK1(square_f64, double, double, (a * a))
static ag_tensor *square_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_scale(ag__slope_mul(g, ag_input(y, i)), 2);
}
static const ag_micro square_micro_f32[] = {{AG_MICRO_MUL, 0, .b = 0}, {0}};
#define square_micro_f64 square_micro_f32
const ag_op ag__op_square = {.name = "square",
                             .notation = "{0}^2",
                             .kind = AG_KIND_ELEMENTWISE,
                             .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP,
                             .arity = 1,
                             AG_FORMULA_I64(square),
                             .vjp = square_vjp};
ag_tensor *ag_square(ag_tensor *x) { return ag_apply(&ag__op_square, 1, &x, NULL, 0); }

/* ---- Magnitude and sign ---- */

AG_BLOCK1(abs_i64, int64_t, int64_t, a < 0 ? 0 - (uint64_t)a : (uint64_t)a)
AG_BLOCK1(abs_f32, float, float, fabsf(a))
AG_BLOCK1(abs_f64, double, double, fabs(a))
static ag_tensor *abs_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag__slope_mul(g, ag_sign(ag_input(y, i))); }
static const ag_micro abs_micro_f32[] = {{AG_MICRO_ABS, .a = 0}, {0}};
#define abs_micro_f64 abs_micro_f32
const ag_op ag__op_abs = {.name = "abs",
                          .notation = "|{0}|",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP,
                          .arity = 1,
                          AG_FORMULA_I64(abs),
                          .vjp = abs_vjp};
ag_tensor *ag_abs(ag_tensor *x) { return ag_apply(&ag__op_abs, 1, &x, NULL, 0); }

/* 0 and NaN are their own sign. */
AG_BLOCK1(sign_i64, int64_t, int64_t, (a > 0) - (a < 0))
AG_BLOCK1(sign_f32, float, float, a > 0 ? 1 : a < 0 ? -1 : a)
AG_BLOCK1(sign_f64, double, double, a > 0 ? 1 : a < 0 ? -1 : a)
static const ag_micro sign_micro_f32[] = {{AG_MICRO_LESS, AG_MICRO_VALUE, 0, .value = 0},
                                          {AG_MICRO_LESS, 0, AG_MICRO_VALUE, .value = 0},
                                          {AG_MICRO_SELECT, 2, AG_MICRO_VALUE, 0, .value = -1},
                                          {AG_MICRO_SELECT, 1, AG_MICRO_VALUE, 3, .value = 1},
                                          {0}};
#define sign_micro_f64 sign_micro_f32
const ag_op ag__op_sign = {.name = "sign",
                           .notation = "sign({0})",
                           .kind = AG_KIND_ELEMENTWISE,
                           .flags = AG_OP_CHEAP,
                           .arity = 1,
                           AG_FORMULA_I64(sign),
                           .vjp = ag_zero_vjp};
ag_tensor *ag_sign(ag_tensor *x) { return ag_apply(&ag__op_sign, 1, &x, NULL, 0); }

/* ---- Sine and cosine ---- */

/* Whether all are in reach of the vectorised sine and cosine: not so for NaN. */
AG_KERNEL static bool all_small_f32(int64_t n, const float *x) {
    int32_t large = 0;
    for (int64_t i = 0; i < n; i++) large |= !(fabsf(x[i]) <= (float)AG__TRIG_MAX);
    return !large;
}
AG_KERNEL static bool all_small_f64(int64_t n, const double *x) {
    int64_t large = 0;
    for (int64_t i = 0; i < n; i++) large |= !(fabs(x[i]) <= AG__TRIG_MAX);
    return !large;
}

AG_BLOCK1(sin_small_f32, float, float, ag__sin_f32(a))
AG_BLOCK1(sin_small_f64, double, double, ag__sin_f64(a))
AG_BLOCK1(cos_small_f32, float, float, ag__cos_f32(a))
AG_BLOCK1(cos_small_f64, double, double, ag__cos_f64(a))
AG_BLOCK1(sin_any_f32, float, float, fabsf(a) <= (float)AG__TRIG_MAX ? ag__sin_f32(a) : sinf(a))
AG_BLOCK1(sin_any_f64, double, double, fabs(a) <= AG__TRIG_MAX ? ag__sin_f64(a) : sin(a))
AG_BLOCK1(cos_any_f32, float, float, fabsf(a) <= (float)AG__TRIG_MAX ? ag__cos_f32(a) : cosf(a))
AG_BLOCK1(cos_any_f64, double, double, fabs(a) <= AG__TRIG_MAX ? ag__cos_f64(a) : cos(a))

static void sin_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    (all_small_f32(n, x[0]) ? sin_small_f32 : sin_any_f32)(n, y, x, attributes);
}
static void sin_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    (all_small_f64(n, x[0]) ? sin_small_f64 : sin_any_f64)(n, y, x, attributes);
}
static ag_tensor *sin_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag__slope_mul(g, ag_cos(ag_input(y, i))); }
const ag_op ag__op_sin = {.name = "sin",
                          .notation = "sin({0})",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_HIDES_NOTHING,
                          .arity = 1,
                          .block = {[AG_F32] = sin_f32, [AG_F64] = sin_f64},
                          .vjp = sin_vjp};
ag_tensor *ag_sin(ag_tensor *x) { return ag_apply(&ag__op_sin, 1, &x, NULL, 0); }

static void cos_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    (all_small_f32(n, x[0]) ? cos_small_f32 : cos_any_f32)(n, y, x, attributes);
}
static void cos_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    (all_small_f64(n, x[0]) ? cos_small_f64 : cos_any_f64)(n, y, x, attributes);
}
static ag_tensor *cos_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_neg(ag__slope_mul(g, ag_sin(ag_input(y, i))));
}
const ag_op ag__op_cos = {.name = "cos",
                          .notation = "cos({0})",
                          .kind = AG_KIND_ELEMENTWISE,
                          .flags = AG_OP_HIDES_NOTHING,
                          .arity = 1,
                          .block = {[AG_F32] = cos_f32, [AG_F64] = cos_f64},
                          .vjp = cos_vjp};
ag_tensor *ag_cos(ag_tensor *x) { return ag_apply(&ag__op_cos, 1, &x, NULL, 0); }

/* ---- Activations ---- */

/* The slopes of tanh and sigmoid are operations, recorded with both x and y: written as functions of y, and computed with the
 * help of x where y no longer tells. Their own gradients take them for functions of y alone, as which they are written; x
 * is handed nothing. */
AG_BLOCK2(tanh_slope_f32, float, float, ag__tanh_slope_f32(a, b))
AG_BLOCK2(tanh_slope_f64, double, double, ag__tanh_slope_f64(a, b))
static ag_tensor *tanh_slope_vjp(ag_tensor *slope, ag_tensor *g, int i) {
    return i == 0 ? NULL : ag_scale(ag__slope_mul(g, ag_input(slope, 1)), -2);
}
const ag_op ag__op_tanh_slope = {.name = "tanh_slope",
                                 .notation = "1 - {1}^2",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .flags = AG_OP_TIED,
                                 .arity = 2,
                                 AG_FORMULA(tanh_slope),
                                 .vjp = tanh_slope_vjp};

AG_BLOCK2(sigmoid_slope_f32, float, float, ag__sigmoid_slope_f32(a, b))
AG_BLOCK2(sigmoid_slope_f64, double, double, ag__sigmoid_slope_f64(a, b))
/* 1 − 2y = −tanh(x/2), which does not cancel where y is nearly ½. */
static ag_tensor *sigmoid_slope_vjp(ag_tensor *slope, ag_tensor *g, int i) {
    return i == 0 ? NULL : ag_neg(ag__slope_mul(g, ag_tanh(ag_scale(ag_input(slope, 0), 0.5))));
}
const ag_op ag__op_sigmoid_slope = {.name = "sigmoid_slope",
                                    .notation = "{1} * (1 - {1})",
                                    .kind = AG_KIND_ELEMENTWISE,
                                    .flags = AG_OP_TIED,
                                    .arity = 2,
                                    AG_FORMULA(sigmoid_slope),
                                    .vjp = sigmoid_slope_vjp};

/* g times the slope of y. */
static ag_tensor *along_slope(const ag_op *op, ag_tensor *y, ag_tensor *g) {
    return ag__slope_mul(g, ag_apply(op, 2, (ag_tensor *[]){ag_input(y, 0), y}, NULL, 0));
}

AG_BLOCK1(tanh_f32, float, float, ag__tanh_f32(a))
AG_BLOCK1(tanh_f64, double, double, ag__tanh_f64(a))
static ag_tensor *tanh_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, along_slope(&ag__op_tanh_slope, y, g); }
const ag_op ag__op_tanh = {.name = "tanh",
                           .notation = "tanh({0})",
                           .kind = AG_KIND_ELEMENTWISE,
                           .arity = 1,
                           AG_FORMULA(tanh),
                           .vjp = tanh_vjp};
ag_tensor *ag_tanh(ag_tensor *x) { return ag_apply(&ag__op_tanh, 1, &x, NULL, 0); }

AG_BLOCK1(sigmoid_f32, float, float, ag__sigmoid_f32(a))
AG_BLOCK1(sigmoid_f64, double, double, ag__sigmoid_f64(a))
static ag_tensor *sigmoid_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)i, along_slope(&ag__op_sigmoid_slope, y, g);
}
const ag_op ag__op_sigmoid = {.name = "sigmoid",
                              .notation = "σ({0})",
                              .kind = AG_KIND_ELEMENTWISE,
                              .arity = 1,
                              AG_FORMULA(sigmoid),
                              .vjp = sigmoid_vjp};
ag_tensor *ag_sigmoid(ag_tensor *x) { return ag_apply(&ag__op_sigmoid, 1, &x, NULL, 0); }

AG_BLOCK1(relu_f32, float, float, a < 0 ? 0 : a)
AG_BLOCK1(relu_f64, double, double, a < 0 ? 0 : a)
static ag_tensor *relu_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag__gate(g, ag_input(y, i), 0, (double)INFINITY, 0, 1);
}
static const ag_micro relu_micro_f32[] = {{AG_MICRO_MAX, AG_MICRO_VALUE, 0, .value = 0}, {0}};
#define relu_micro_f64 relu_micro_f32
const ag_op ag__op_relu = {.name = "relu",
                           .notation = "relu({0})",
                           .kind = AG_KIND_ELEMENTWISE,
                           .flags = AG_OP_CHEAP,
                           .arity = 1,
                           AG_FORMULA(relu),
                           .vjp = relu_vjp};
ag_tensor *ag_relu(ag_tensor *x) { return ag_apply(&ag__op_relu, 1, &x, NULL, 0); }
