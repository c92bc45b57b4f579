/* strong -- products and quotients in which a cotangent of 0 is stronger than any slope
 *
 * A vector-Jacobian product multiplies a cotangent g by a local slope. Where g is 0 the result is 0, even if the
 * slope is infinite or NaN: elements that a choice has not chosen have no influence, whatever they are computed
 * from. This holds at any order, since the derivatives of these operations are operations of the same kind: they
 * are linear in g and, where g is 0, do not depend on the slope. If no factor is infinite or NaN they are plain
 * products, except that no 0 is negative. */
#include "autograd/eval/eval.h"
#include "ops/rules.h"

#include "ops/strong_formulas.h"

#include <string.h>

/* ---- g·s, 0 where g is ---- */

AG_BINARY(strong_mul, "{0} * {1}", ag__slope_mul(g, b), ag__mul_both_strong(g, a), .flags = AG_OP_CHEAP,
          AG_FORMULA(strong_mul));
ag_tensor *ag_strong_mul(ag_tensor *g, ag_tensor *s) { return ag__apply2(&ag__op_strong_mul, g, s); }

/* ---- a·b, 0 where either is: the cotangent of the slope in a strong product ---- */

AG_BINARY(mul_both_strong, "{0} * {1}", ag__mul_both_strong(g, b), ag__mul_both_strong(g, a),
          .flags = AG_OP_CHEAP | AG_OP_COMMUTES, AG_FORMULA(mul_both_strong));
ag_tensor *ag__mul_both_strong(ag_tensor *a, ag_tensor *b) { return ag__apply2(&ag__op_mul_both_strong, a, b); }

/* ---- g/b, 0 where g is ---- */

AG_BINARY(strong_div, "{0} / {1}", ag__slope_div(g, b), ag_neg(ag_strong_div(ag__mul_both_strong(g, y), b)),
          .flags = AG_OP_CHEAP, .domain = {[1] = {.nonzero = true}}, AG_FORMULA(strong_div));
ag_tensor *ag_strong_div(ag_tensor *g, ag_tensor *b) { return ag__apply2(&ag__op_strong_div, g, b); }

/* ---- Whether all elements are finite, for strong_matmul.c ---- */

AG_BLOCK_KERNEL(bool, finite_f32, (int64_t n, const float *x), (n, x)) {
    int32_t found = 0;
    AG_SIMD for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & UINT32_C(0x7f800000)) == UINT32_C(0x7f800000);
    }
    return !found;
}

AG_BLOCK_KERNEL(bool, finite_f64, (int64_t n, const double *x), (n, x)) {
    int64_t found = 0;
    AG_SIMD for (int64_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & UINT64_C(0x7ff0000000000000)) == UINT64_C(0x7ff0000000000000);
    }
    return !found;
}

bool ag__finite_f32(int64_t n, const float *x) { return finite_f32(n, x); }
bool ag__finite_f64(int64_t n, const double *x) { return finite_f64(n, x); }

/* ---- Only where it matters ---- */

ag_tensor *ag__slope_mul(ag_tensor *g, ag_tensor *s) { return ag__is_weak(g) ? ag_mul(g, s) : ag_strong_mul(g, s); }

ag_tensor *ag__slope_div(ag_tensor *g, ag_tensor *b) { return ag__is_weak(g) ? ag_div(g, b) : ag_strong_div(g, b); }
