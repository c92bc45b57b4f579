/* arith_formulas -- formulas of arithmetic on two tensors, and on a tensor and a number: text for every domain,
 * which includes itself */
#define AG_LAST_DOMAIN AG_DOMAIN_I64
#include "autograd/tape/words.h"

#include "autograd/functions.h"

MAP2(add, a, b) { return ADD(a, b); }
MAP2(sub, a, b) { return SUB(a, b); }
MAP2(mul, a, b) { return MUL(a, b); }
MAP1(neg, x) { return NEG(x); }

MAP1_1(add_scalar, x, s) { return ADD(x, s); }
MAP1_1(rsub_scalar, x, s) { return SUB(s, x); }
MAP1_1(scale, x, s) { return MUL(x, s); }

/* A NaN is the larger and the smaller: MAX gives b where a is NaN. */
MAP2(maximum, a, b) { return SEL(NE(a, a), a, MAX(a, b)); }
MAP2(minimum, a, b) { return SEL(NE(a, a), a, MIN(a, b)); }
MAP1_1(maximum_scalar, x, s) { return SEL(NE(x, x), x, MAX(x, s)); }
MAP1_1(minimum_scalar, x, s) { return SEL(NE(x, x), x, MIN(x, s)); }

#if IS_REAL

MAP2(div, a, b) { return DIV(a, b); }
MAP1_1(div_scalar, x, s) { return DIV(x, s); }
MAP1_1(rdiv_scalar, x, s) { return DIV(s, x); }

/* Comparisons with NaN are false, so that it falls through to itself. */
MAP1_2(clamp, x, low, high) { return MIN(high, MAX(low, x)); }

#if IS_TRACE
MAP2(pow, a, b) { return CALL(pow, a, b); }
MAP1_1(pow_scalar, x, s) { return SEL(EQ(s, K(1)), x, CALL(pow, x, s)); } /* x to the last bit: see AG_OP_NEUTRAL */
#endif

/* Powers by few steps, whose exponent is not read: the same where it is an attribute and where it is the second input.
 * x^−2 is 1/(x·f)², times f², so that no square overflows or underflows before the result does; the rest is what the
 * rounded square and quotient lack, and NaN at both ends. √x is +0 for −0 and ∞ for −∞, as powers are. */
FN(V, power_half, V x) { return SEL(EQ(x, K(-INFINITY)), K(INFINITY), SQRT(ADD(x, K(0)))); }
MAP1(pow_2, x) { return MUL(x, x); }
MAP1(pow_3, x) { return MUL(MUL(x, x), x); }
MAP1(pow_m1, x) { return DIV(K(1), x); }
#if IS_TRACE
MAP1(pow_m2, x) {
    const V f = SEL(LT(ABS(x), K(1)), K2(0x1p48, 0x1p400), K2(0x1p-32, 0x1p-256)), u = MUL(x, f);
    const V s = MUL(u, u), lost = FMA(u, u, NEG(s)), q = DIV(K(1), s);
    const V rest = MUL(FMA(NEG(q), lost, FMA(NEG(q), s, K(1))), q);
    return MUL(MUL(ADD(q, SEL(LT(ABS(rest), q), rest, K(0))), f), f);
}
MAP1(pow_mhalf, x) { return DIV(K(1), CALL(power_half, x)); }
#endif
MAP1(pow_half, x) { return CALL(power_half, x); }

#endif

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "ops/arith_formulas.h"
#endif
