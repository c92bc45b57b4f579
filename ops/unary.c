/* unary -- functions of one tensor
 *
 * Kernels of exp, log, tanh, sigmoid, sin, cos and the like come from functions.h: they are vectorised and give
 * the same bits on every processor. A derivative is written with the output y if it can be, except where digits
 * would cancel, as in 1 − y if y is nearly 1. */
#include "ops/rules.h"

#include "ops/unary_formulas.h"

#include <math.h>
#include <string.h>

/* ---- Exponential and logarithm ---- */

AG_UNARY(exp, "e^{0}", ag__slope_mul(g, y), AG_FORMULA(exp));
ag_tensor *ag_exp(ag_tensor *x) { return ag__apply1(&ag__op_exp, x); }

AG_UNARY(log, "ln({0})", ag__slope_div(g, x), .flags = AG_OP_HIDES_NOTHING, .domain = {{.above = 0, .below = INFINITY}},
         AG_FORMULA(log));
ag_tensor *ag_log(ag_tensor *x) { return ag__apply1(&ag__op_log, x); }

/* Not g·(y + 1), whose digits cancel if x is far below 0 and y nearly −1. */
AG_UNARY(expm1, "e^{0} - 1", ag__slope_mul(g, ag_exp(x)), AG_FORMULA_TRACE(expm1));
ag_tensor *ag_expm1(ag_tensor *x) { return ag__apply1(&ag__op_expm1, x); }

AG_UNARY(log1p, "ln(1 + {0})", ag__slope_div(g, ag_add_scalar(x, 1)), .flags = AG_OP_HIDES_NOTHING,
         .domain = {{.above = -1, .below = INFINITY}}, AG_FORMULA_TRACE(log1p));
ag_tensor *ag_log1p(ag_tensor *x) { return ag__apply1(&ag__op_log1p, x); }

/* ---- Roots and squares ---- */

AG_UNARY(sqrt, "√{0}", ag_strong_div(g, ag_scale(y, 2)), .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP,
         .domain = {{.above = 0, .below = INFINITY}}, AG_FORMULA(sqrt));
ag_tensor *ag_sqrt(ag_tensor *x) { return ag__apply1(&ag__op_sqrt, x); }

AG_UNARY(rsqrt, "{0}^-0.5", ag_strong_mul(g, ag_scale(ag_pow_scalar(y, 3), -0.5)), .flags = AG_OP_CHEAP,
         .domain = {{.above = 0, .below = INFINITY}}, AG_FORMULA(rsqrt));
ag_tensor *ag_rsqrt(ag_tensor *x) { return ag__apply1(&ag__op_rsqrt, x); }

AG_UNARY(square, "{0}^2", ag_scale(ag__slope_mul(g, x), 2), .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP,
         AG_FORMULA_I64(square));
ag_tensor *ag_square(ag_tensor *x) { return ag__apply1(&ag__op_square, x); }

/* ---- Magnitude and sign ---- */

AG_UNARY(abs, "|{0}|", ag__slope_mul(g, ag_sign(x)), .flags = AG_OP_HIDES_NOTHING | AG_OP_CHEAP, AG_FORMULA_I64(abs));
ag_tensor *ag_abs(ag_tensor *x) { return ag__apply1(&ag__op_abs, x); }

/* 0 and NaN are their own sign. */
AG_ELEMENTWISE(sign, 1, "sign({0})", .vjp = ag_zero_vjp, .flags = AG_OP_CHEAP, AG_FORMULA_I64(sign));
ag_tensor *ag_sign(ag_tensor *x) { return ag__apply1(&ag__op_sign, x); }

/* ---- Sine and cosine ---- */

/* These call kernels, and are among them: processors without AVX2 run neither. */
#if AG__CHOOSES
#define AMONG_KERNELS __attribute__((section("ag_kernels")))
#else
#define AMONG_KERNELS
#endif

/* The vectorised sine and cosine of a few elements at a time: y may be x, of which the large ones are computed again,
 * by a function for each, as in machine code. */
enum { FEW = AG__LIMIT(256, 5) };
#define OF_ANY(name, type, small, j)                                                                                   \
    AMONG_KERNELS static void name(int64_t n, void *y_, const void *const x_[], const void *attributes) {              \
        type few[FEW], *y = y_;                                                                                        \
        const type *x = x_[0];                                                                                         \
        for (int64_t i = 0; i < n; i += FEW) {                                                                         \
            const int64_t count = n - i < FEW ? n - i : FEW;                                                           \
            bool large = false;                                                                                        \
            for (int64_t k = 0; k < count; k++) large |= !(fabs((double)x[i + k]) <= AG_TRIG_MAX);                     \
            if (large) memcpy(few, x + i, (size_t)count * sizeof *x);                                                  \
            small(count, y + i, (const void *[]){x + i}, attributes);                                                  \
            for (int64_t k = 0; large && k < count; k++)                                                               \
                if (fabs((double)few[k]) > AG_TRIG_MAX) y[i + k] = (type)ag_far_sine((double)few[k], j);               \
        }                                                                                                              \
    }
OF_ANY(sin_f32, float, sin_small_f32, 0)
OF_ANY(sin_f64, double, sin_small_f64, 0)
OF_ANY(cos_f32, float, cos_small_f32, 1)
OF_ANY(cos_f64, double, cos_small_f64, 1)

AG_UNARY(sin, "sin({0})", ag__slope_mul(g, ag_cos(x)), .flags = AG_OP_HIDES_NOTHING, AG_FORMULA(sin));
ag_tensor *ag_sin(ag_tensor *x) { return ag__apply1(&ag__op_sin, x); }

AG_UNARY(cos, "cos({0})", ag_neg(ag__slope_mul(g, ag_sin(x))), .flags = AG_OP_HIDES_NOTHING, AG_FORMULA(cos));
ag_tensor *ag_cos(ag_tensor *x) { return ag__apply1(&ag__op_cos, x); }

/* ---- Activations ---- */

/* The slopes of tanh and sigmoid are operations of both x and y. They are written as functions of y, but computed
 * from x where y is rounded to an end. Their own gradients treat them as functions of y alone: x gets none. */
AG_BINARY(tanh_slope, "1 - {1}^2", NULL, ag_scale(ag__slope_mul(g, b), -2), .flags = AG_OP_TIED,
          AG_FORMULA(tanh_slope));
static ag_tensor *tanh_slope(ag_tensor *x, ag_tensor *y) { return ag__apply2(&ag__op_tanh_slope, x, y); }

/* 1 − 2y = −tanh(x/2), whose digits do not cancel if y is nearly ½. */
AG_BINARY(sigmoid_slope, "{1} * (1 - {1})", NULL, ag_neg(ag__slope_mul(g, ag_tanh(ag_scale(a, 0.5)))),
          .flags = AG_OP_TIED, AG_FORMULA(sigmoid_slope));
static ag_tensor *sigmoid_slope(ag_tensor *x, ag_tensor *y) { return ag__apply2(&ag__op_sigmoid_slope, x, y); }

AG_UNARY(tanh, "tanh({0})", ag__slope_mul(g, tanh_slope(x, y)), AG_FORMULA(tanh));
ag_tensor *ag_tanh(ag_tensor *x) { return ag__apply1(&ag__op_tanh, x); }

AG_UNARY(sigmoid, "σ({0})", ag__slope_mul(g, sigmoid_slope(x, y)), AG_FORMULA(sigmoid));
ag_tensor *ag_sigmoid(ag_tensor *x) { return ag__apply1(&ag__op_sigmoid, x); }

AG_UNARY(relu, "relu({0})", ag__gate(g, y, 0, (double)INFINITY, 0, 1), .flags = AG_OP_CHEAP, AG_FORMULA(relu));
ag_tensor *ag_relu(ag_tensor *x) { return ag__apply1(&ag__op_relu, x); }
