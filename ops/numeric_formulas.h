/* numeric_formulas -- rounding, quotients and functions of two numbers: text for the recorder alone */
#define AG_ONLY_TRACE
#include "autograd/tape/words.h"

#include "autograd/functions.h"

#define SIGN W2(0x80000000, 0x8000000000000000)

/* ---- Rounding ---- */

/* |y| with the sign of x, also of −0. */
FN(V, with_sign, V y, V x) { return FLOAT(OR(BITS(ABS(y)), AND(BITS(x), SIGN))); }
FN(V, floor, V x) {
    const V r = ROUND(x);
    return SEL(LT(x, r), SUB(r, K(1)), r);
}
MAP1(floor, x) { return CALL(floor, x); }
MAP1(ceil, x) { return NEG(CALL(floor, NEG(x))); }
MAP1(trunc, x) { return CALL(with_sign, CALL(floor, ABS(x)), x); }
MAP1(round, x) { return ROUND(x); }

/* ---- Two numbers ---- */

/* The sign of NaN is another on each processor. */
MAP2(copysign, a, b) { return SEL(EQ(b, b), CALL(with_sign, a, b), ABS(a)); }

/* The root of the squares of the larger magnitude m and the smaller n, both times a power of two, so that squares
 * neither overflow nor vanish; of the sum as a pair, with one step of Newton's. ∞ if either is, even beside NaN. */
MAP2(hypot, a, b) {
    const V x = ABS(a), y = ABS(b), m = MAX(x, y), n = MIN(x, y);
    const T large = LT(K2(0x1p60, 0x1p500), m), small = LT(m, K2(0x1p-60, 0x1p-500));
    const V down = SEL(large, K2(0x1p-70, 0x1p-600), SEL(small, K2(0x1p100, 0x1p600), K(1)));
    const V up = SEL(large, K2(0x1p70, 0x1p600), SEL(small, K2(0x1p-100, 0x1p-600), K(1)));
    const V p = MUL(m, down), q = MUL(n, down);
    V low;
    const V pp = CALL(pair_product, p, p, &low), s = FMA(q, q, pp), lost = ADD(FMA(q, q, SUB(pp, s)), low);
    const V root = SQRT(s), rest = ADD(FMA(NEG(root), root, s), lost);
    const V fixed = ADD(root, STRONG_DIV(rest, ADD(root, root)));
    const T infinite = OR(EQ(x, K(INFINITY)), EQ(y, K(INFINITY)));
    return SEL(infinite, K(INFINITY), SEL(NE(x, x), x, MUL(fixed, up)));
}

/* From the nearer end, so that both ends are exact. */
MAP3(lerp, a, b, w) {
    const V d = SUB(b, a);
    return SEL(LT(ABS(w), K(0.5)), FMA(w, d, a), FMA(SUB(w, K(1)), d, b));
}

/* 0 where a is, unless b is NaN. */
FN(V, times_log, V a, V b, V log) { return SEL(AND(EQ(a, K(0)), EQ(b, b)), K(0), MUL(a, log)); }
MAP2(xlogy, a, b) { return CALL(times_log, a, b, CALL(log, b)); }
MAP2(xlog1py, a, b) { return CALL(times_log, a, b, CALL(log1p, b)); }

/* Equal infinities have no difference. NaN in a stays. */
MAP2(logaddexp, a, b) {
    const V m = SEL(NE(a, a), a, MAX(a, b)), d = SEL(EQ(a, b), K(0), ABS(SUB(a, b)));
    return ADD(m, CALL(log1p, CALL(exp, NEG(d))));
}

/* ---- sin πx/(πx) and its derivatives ---- */

#define PI K2(0x1.921fb6p+1, 0x1.921fb54442d18p+1)

/* The rest r of x, |r| <= ½, and the sign (−1)^n, 1 or −1, of the integer n beside it. */
FN(V, half_turns, V x, V *sign) {
    const V n = ROUND(x), half = MUL(K(0.5), n);
    *sign = SEL(EQ(half, ROUND(half)), K(1), K(-1));
    return SUB(x, n);
}
MAP1(sinc, x) {
    V sign;
    const V r = CALL(half_turns, x, &sign), u = MUL(PI, x), y = DIV(MUL(sign, CALL(sin_near, MUL(PI, r))), u);
    return SEL(EQ(u, K(0)), K(1), SEL(EQ(ABS(x), K(INFINITY)), K(0), y));
}

/* (cos u − sin u/u)/u for u = πx: near 0, where digits cancel, by its series. */
#define PART(n) K2((double)(float)(-1.0 / (n)), -1.0 / (n))
MAP1(sinc_slope, x) {
    V sign;
    const V r = CALL(half_turns, x, &sign), u = MUL(PI, x), z = MUL(u, u);
    const V cosine = CALL(sin_near, MUL(PI, SUB(K(0.5), ABS(r)))), sine = CALL(sin_near, MUL(PI, r));
    const V far = DIV(MUL(sign, SUB(cosine, DIV(sine, u))), u);
    const V s6 = FMA(z, FMA(z, FMA(z, PART(-2554547108585472000.0), PART(6758061133824000.0)), PART(-22230464256000.0)),
                     PART(93405312000.0));
    const V s3 = FMA(z, FMA(z, FMA(z, s6, PART(-518918400.0)), PART(3991680.0)), PART(-45360.0));
    const V near = FMA(z, FMA(z, FMA(z, s3, PART(840.0)), PART(-30.0)), PART(3.0));
    return SEL(LT(z, K(1)), MUL(u, near), SEL(EQ(ABS(x), K(INFINITY)), K(0), far));
}
#undef PART
#undef PI

#undef SIGN
#include "autograd/formulas_end.h"
