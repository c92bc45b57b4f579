/* functions -- short branch-free elementary functions, for formulas to CALL
 *
 * Each is straight-line code of + − · / √, multiply-adds, comparisons, selects and unsigned arithmetic, so that a loop
 * over it becomes vector code on any instruction set, and every lane, tail element, vector width, compiler, and the
 * machine code of its trace give the same bits. Products are added before they are rounded where the text says FMA,
 * and nowhere else: that requires -ffp-contract=off, -fno-math-errno, -fno-trapping-math and rounding to nearest;
 * never -ffast-math. Constants of f32 are exact floats.
 *
 * This is text for every domain of reals: formulas_begin.h says what its words mean. Included in a text of formulas,
 * it gives that text cos, exp, expm1, log, log1p, pow, sigmoid, sigmoid_slope, sin, tanh, tanh_slope; and sin_near and
 * cos_near for small numbers, which C can make vector code of.
 *
 * The polynomials are minimax fits made for this file. They are evaluated in few steps rather than in short chains:
 * other elements keep the processor busy in the meantime; only those of f64, which are long, are of even and odd
 * powers apart. Largest errors over every f32, in units of the last place: exp 0.93, expm1 1.32, log 0.96, log1p 0.96,
 * tanh 1.5, sigmoid 1.5, sin and cos 1.0; the slopes of tanh and sigmoid 4.6. */
#include "autograd/trace.h"

#define AG_TRIG_MAX 0x1p20 /* the largest |x| for sin_near and cos_near */

#ifdef AG_DOMAIN
#if AG_DOMAIN == AG_DOMAIN_F32 && !defined AG_FUNCTIONS_F32
#define AG_FUNCTIONS_F32
#define AG__FUNCTIONS_WANTED
#elif AG_DOMAIN == AG_DOMAIN_F64 && !defined AG_FUNCTIONS_F64
#define AG_FUNCTIONS_F64
#define AG__FUNCTIONS_WANTED
#elif AG_DOMAIN == AG_DOMAIN_TRACE && !defined AG_FUNCTIONS_TRACE
#define AG_FUNCTIONS_TRACE
#define AG__FUNCTIONS_WANTED
#endif
#endif

#ifdef AG__FUNCTIONS_WANTED
#undef AG__FUNCTIONS_WANTED

/* The lowest bit of the exponent, and the sign. */
#define EXPONENT BY_WIDTH(23, 52)
#define SIGN W2(0x80000000, 0x8000000000000000)

/* ---- Pairs: a number of twice the digits as the sum of two ---- */

/* a + b as the rounded sum and what that lost; |a| >= |b|, or a is 0. */
FN(V, pair_sum, V a, V b, V *low) {
    const V y = ADD(a, b);
    *low = SUB(b, SUB(y, a));
    return y;
}

/* The same for any a and b (D. Knuth). */
FN(V, pair_sum_of_any, V a, V b, V *low) {
    const V y = ADD(a, b), second = SUB(y, a);
    *low = ADD(SUB(a, SUB(y, second)), SUB(b, second));
    return y;
}

/* a·b as the rounded product and what that lost. */
FN(V, pair_product, V a, V b, V *low) {
    const V y = MUL(a, b);
    *low = FMA(a, b, NEG(y));
    return y;
}

/* The product of two pairs, to about twice the digits less two bits. */
FN(V, pair_times, V a, V a_low, V b, V b_low, V *low) {
    V lost;
    const V y = CALL(pair_product, a, b, &lost);
    *low = FMA(a, b_low, FMA(a_low, b, lost));
    return y;
}

/* The quotient of two numbers, as a pair; `over` is 1/b rounded. */
FN(V, pair_quotient, V a, V b, V b_low, V over, V *low) {
    const V y = MUL(a, over);
    *low = MUL(FMA(NEG(y), b_low, FMA(NEG(y), b, a)), over);
    return y;
}

/* ---- Exponential ---- */

/* x = n·ln 2 + r for |x| <= 104 (f64: 746), n a whole number: returns r, |r| <= ln 2/2, and sets *t to n + shift, for
 * a shift of 1.5·2^23 + bias (1.5·2^52 + bias), the addition of which rounds to a whole number: the low bits of *t are
 * n + bias. ln 2 is taken in two parts: the head is exact. */
FN(V, exp_rest, V x, V shift, V *t) {
    *t = FMA(x, K2(0x1.715476p+0, 0x1.71547652b82fep+0), shift);
    const V n = SUB(*t, shift), head = FMA(n, K2(-0x1.62e430p-1, -0x1.62e42fefa39efp-1), x);
    return FMA(n, K2(0x1.05c610p-29, -0x1.abc9e3b39803fp-56), head);
}

/* p·2^n for t = n + AG__SHIFT and p beside 1: underflows gradually to 0, overflows to ∞. 2^n is applied as two factors,
 * the first with exponent ⌊n/2⌋, because n runs from −150 (subnormal results) to 128 (overflow). The first product is
 * exact. */
#define AG__SHIFT K2(0x1.8p23 + 254, 0x1.8p52 + 2046)
FN(V, times_power, V p, V t) {
    const B e = BITS(t), half = SHR(e, 1);
    const V first = MUL(p, FLOAT(SHL(half, EXPONENT)));
    return SCALED(MUL(first, FLOAT(SHL(BSUB(e, half), EXPONENT))), p, SUB(t, AG__SHIFT));
}

/* (e^r − 1 − r)/r² for |r| <= ln 2/2, to 2^−26 of e^r − 1 (f64: 2^−55). */
#if IS_NARROW
FN(V, exp_tail_narrow, V r) {
    const V q3 = FMA(r, K(0x1.6beaecp-10), K(0x1.122c3cp-7));
    return FMA(r, FMA(r, FMA(r, q3, K(0x1.5556dap-5)), K(0x1.5554aap-3)), K(0x1.fffffep-2));
}
#endif
#if IS_WIDE
FN(V, exp_tail_wide, V r) {
    const V r2 = MUL(r, r);
    const V q8 = FMA(r, K(0x1.af09e71d91f1dp-26), K(0x1.28b1461002b2cp-22));
    const V q6 = FMA(r, K(0x1.71de56c821bdap-19), K(0x1.a01996728f7c2p-16));
    const V q4 = FMA(r, K(0x1.a01a0170fbe0ep-13), K(0x1.6c16c1853e589p-10));
    const V q2 = FMA(r, K(0x1.111111111f808p-7), K(0x1.55555555504e6p-5));
    const V q0 = FMA(r, K(0x1.5555555555502p-3), K(0x1.000000000000ap-1));
    return FMA(r2, FMA(r2, FMA(r2, FMA(r2, q8, q6), q4), q2), q0);
}
#endif
FN(V, exp_tail, V r) { return BY_WIDTH(CALL(exp_tail_narrow, r), CALL(exp_tail_wide, r)); }

/* e^r. */
FN(V, exp_near, V r) { return FMA(r, FMA(r, CALL(exp_tail, r), K(1)), K(1)); }

/* e^x: underflows gradually to 0, overflows to ∞, keeps NaN. */
FN(V, exp, V x) {
    V t;
    const V r = CALL(exp_rest, MIN(K2(89, 710), MAX(K2(-104, -746), x)), AG__SHIFT, &t);
    return CALL(times_power, CALL(exp_near, r), t);
}

/* e^x for x in [−104, 0] (f64: [−746, 0]), NaN for NaN: the same in fewer steps. 2^n is applied times 2^64 (2^512), so
 * that the product is exact, and then divided by it. */
FN(V, exp_fall, V x) {
    V t;
    const V shift = K2(0x1.8p23 + 191, 0x1.8p52 + 1535), p = CALL(exp_near, CALL(exp_rest, x, shift, &t));
    const V first = MUL(p, FLOAT(SHL(BITS(t), EXPONENT)));
    return SCALED(MUL(first, K2(0x1p-64, 0x1p-512)), p, SUB(t, shift));
}

/* e^x − 1 as 2·(h·r + (h − ½) + h·(p − r)), with e^x = 2h·(1 + p) and h = 2^(n−1), which does not overflow before the
 * result does. Below −18 (f64: −38) it is −1; an x so small that half its square is rounded away is its own result,
 * −0 included. */
FN(V, expm1, V x) {
    V t;
    const V bounded = MIN(K2(89, 710), MAX(K2(-18, -38), x));
    const V r = CALL(exp_rest, bounded, K2(0x1.8p23 + 126, 0x1.8p52 + 1022), &t);
    const V h = FLOAT(SHL(BITS(t), EXPONENT)), rest = MUL(MUL(r, r), CALL(exp_tail, r));
    const V half = FMA(h, rest, FMA(h, r, SUB(h, K(0.5))));
    return SEL(LT(ABS(x), K2(0x1p-26, 0x1p-55)), x, ADD(half, half));
}

/* ---- Sigmoid ---- */

/* e^−|x|, which never overflows; very large |x| give subnormals and then 0. */
FN(V, exp_of_magnitude, V x) { return CALL(exp_fall, MAX(K2(-104, -746), FLOAT(OR(BITS(x), SIGN)))); }

/* With e = e^−|x|: e/(1 + e) for x < 0, 1/(1 + e) otherwise. d is 1 + e rounded, `lost` what that lost; the quotient is
 * corrected by what its product with d + lost lacks. */
FN(V, sigmoid, V x) {
    const V e = CALL(exp_of_magnitude, x);
    const V d = ADD(K(1), e), lost = SUB(e, SUB(d, K(1)));
    const V part = MAX(SEL(LE(K(0), x), K(1), K(0)), e), over = DIV(K(1), d), y = MUL(part, over);
    return FMA(FMA(NEG(y), lost, FMA(NEG(y), d, part)), over, y);
}

/* The slope y·(1 − y) of y = σ(x), as e·s² with e = e^−|x| and s = σ(|x|), the larger of y and 1 − y: far from 0 the
 * smaller is about e, which cannot be computed from a y that is nearly 1. Rounding never makes it more than ¼. */
FN(V, sigmoid_slope, V x, V y) {
    const V e = CALL(exp_of_magnitude, x);
    const V s = MAX(y, SUB(K(1), y));
    return MIN(K(0.25), MUL(MUL(e, s), s));
}

/* ---- Hyperbolic tangent ---- */

/* e^(−2|x|). The same for tanh and its slope, so that machine code computes it once. */
FN(V, tanh_exp, V x) { return CALL(exp_fall, MUL(K(-2), MIN(K2(52, 373), ABS(x)))); }

/* (tanh x − x)/x³ for |x| <= 0.55, z being x², to 2^−29 of tanh x (f64: 2^−55). */
#if IS_NARROW
FN(V, tanh_tail_narrow, V z) {
    const V q2 = FMA(z, FMA(z, K(-0x1.99981ep-8), K(0x1.58ef2cp-6)), K(-0x1.b91ec0p-5));
    return FMA(z, FMA(z, q2, K(0x1.110ceep-3)), K(-0x1.55554ap-2));
}
#endif
#if IS_WIDE
FN(V, tanh_tail_wide, V z) {
    const V z2 = MUL(z, z);
    const V q8 = FMA(z, K(0x1.abe7a48b20997p-15), K(-0x1.b900a00ca7358p-13));
    const V q6 = FMA(z, K(0x1.2fa127568199ep-11), K(-0x1.7cf382674957dp-10));
    const V q4 = FMA(z, K(0x1.d6c617bf57253p-9), K(-0x1.226ddd18eeea0p-7));
    const V q2 = FMA(z, K(0x1.664f45c119ff2p-6), K(-0x1.ba1ba1ad68167p-5));
    const V q0 = FMA(z, K(0x1.11111111028b3p-3), K(-0x1.555555555549dp-2));
    return FMA(z2, FMA(z2, FMA(z2, FMA(z2, q8, q6), q4), q2), q0);
}
#endif

/* 1 − 2e/(1 + e) with e = e^(−2|x|) where that is at least ½: no digits cancel in it. */
FN(V, tanh, V x) {
    const V e = CALL(tanh_exp, x), z = MUL(x, x);
    const V far = SUB(K(1), DIV(e, FMA(K(0.5), e, K(0.5))));
    const V near = FMA(MUL(x, z), BY_WIDTH(CALL(tanh_tail_narrow, z), CALL(tanh_tail_wide, z)), x);
    const V y = SEL(LT(ABS(x), K2(0x1.19999ap-1, 0.55)), near, far);
    return FLOAT(OR(BITS(y), AND(BITS(x), SIGN)));
}

/* The slope 1 − y² of y = tanh x, as e·(1 + |y|)² with e = e^(−2|x|), for 1 − |y| is e·(1 + |y|). Rounding never
 * makes it more than 1. */
FN(V, tanh_slope, V x, V y) {
    const V e = CALL(tanh_exp, x), s = ADD(K(1), ABS(y));
    return MIN(K(1), MUL(e, MUL(s, s)));
}

/* ---- Logarithm ---- */

/* x = 2^k·m with m in [least, 2·least), given by its bits, by integer arithmetic for a normal x > 0; for any x m is in
 * that interval. Returns m and sets *k to k in units of K_UNIT, and *exponent to what the bits of 2^k have more than
 * those of 1. */
#define K_UNIT K2(0x1p23, 1)
FN(V, log_split, V x, B least, V *k, B *exponent) {
    const B u = BSUB(BITS(x), least);
    *exponent = AND(u, W2(0xff800000, 0xfff0000000000000));
    *k = BY_WIDTH(
        INTEGER(*exponent),
        SUB(FLOAT(OR(SHR(BADD(u, W(0x3ff0000000000000)), EXPONENT), W(0x4330000000000000))), K(0x1p52 + 1023)));
    return FLOAT(BSUB(BITS(x), *exponent));
}

/* ¾ (f64: √½): m − 1 is in [−¼, ½) ([√½ − 1, √2 − 1)). */
#define LOG_LEAST W2(0x3f400000, 0x3fe6a09e667f3bcd)

/* ln(1 + f) − f for f = m − 1, plus `low`.
 *
 * f32: f²·(f·q(f) − ½). f64: with s = f/(2 + f), h = f²/2, ln(1 + f) = 2·artanh s = f − (h − s·(h + R)), where R is s²
 * times a polynomial in s² of degree 6. */
#if IS_NARROW
FN(V, log_tail_narrow, V f, V low) {
    const V q5 = FMA(f, FMA(f, K(-0x1.71e354p-5), K(0x1.acf4bap-4)), K(-0x1.0d98f2p-3));
    const V q2 = FMA(f, FMA(f, FMA(f, q5, K(0x1.28807ap-3)), K(-0x1.54ed96p-3)), K(0x1.99699ep-3));
    const V q0 = FMA(f, FMA(f, q2, K(-0x1.00004ap-2)), K(0x1.5555a4p-2));
    return FMA(MUL(f, f), FMA(f, q0, K(-0.5)), low);
}
#endif
#if IS_WIDE
FN(V, log_tail_wide, V f, V low) {
    const V s = DIV(f, ADD(K(2), f)), z = MUL(s, s), z2 = MUL(z, z);
    const V w0 = FMA(z, K(0x1.999999998799cp-2), K(0x1.5555555555573p-1));
    const V w2 = FMA(z, K(0x1.c71c55eac3a4ap-3), K(0x1.2492493c5a0d9p-2));
    const V w4 = FMA(z, K(0x1.39b1ec4f4cf74p-3), K(0x1.74658bb8300b4p-3));
    const V w = FMA(z2, FMA(z2, FMA(z2, K(0x1.2e7101d36f97dp-3), w4), w2), w0);
    const V h = MUL(MUL(K(0.5), f), f);
    return SUB(FMA(s, FMA(z, w, h), low), h);
}
#endif

/* k·ln 2 + f rounded, k in units of K_UNIT, and what that lost; log_tail adds the rest of k·ln 2 + ln(1 + f). */
FN(V, log_head, V f, V k, V *lost) {
    const V t = FMA(k, K2(0x1.62e430p-24, 0x1.62e42fefa39efp-1), f);
    *lost = SUB(f, FMA(k, K2(-0x1.62e430p-24, -0x1.62e42fefa39efp-1), t));
    return t;
}
FN(V, log_tail, V f, V low) { return BY_WIDTH(CALL(log_tail_narrow, f, low), CALL(log_tail_wide, f, low)); }

/* The summand that makes a finite y x where that is ∞ or NaN, −∞ where x is `low`, NaN below; 0 elsewhere. */
FN(V, log_ends, V x, V low) {
    const V high = SEL(LT(x, K(INFINITY)), K(0), x);
    const V least = SEL(LE(x, low), K(-INFINITY), K(0)), below = SEL(LT(x, low), K(NAN), K(0));
    return FLOAT(OR(BITS(high), OR(BITS(least), BITS(below))));
}

/* x, or if that is subnormal x times 2 to the power of *lift, in units of K_UNIT, which is 0 otherwise; for any x <=
 * 0. */
FN(V, log_normal, V x, V *lift) {
    const T tiny = LT(x, K2(0x1p-126, 0x1p-1022));
    *lift = SEL(tiny, K2(23 * 0x1p23, 52), K(0));
    return FMA(x, SEL(tiny, K2(0x1p23 - 1, 0x1p52 - 1), K(0)), x);
}

FN(V, log, V x) {
    V k, lift, lost;
    B exponent;
    const V normal = CALL(log_normal, x, &lift);
    const V f = SUB(CALL(log_split, normal, LOG_LEAST, &k, &exponent), K(1));
    const V t = CALL(log_head, f, SUB(k, lift), &lost);
    return ADD(ADD(t, CALL(log_tail, f, lost)), CALL(log_ends, x, K(0)));
}

/* ln(1 + x) with 2^k·(1 + f) = 1 + x, so f = x·2^−k + (2^−k − 1), of which only the sum may be rounded, by what `low`
 * is. 2^−k is a quarter of 2^(2 − k), which never underflows. x is kept above −1, so that all is finite. The sign is
 * that of x, also of −0. */
FN(V, log1p, V x) {
    const V inside = MAX(K2(-0x1.fffffep-1, -0x1.fffffffffffffp-1), x);
    V k, lost;
    B exponent;
    CALL(log_split, ADD(K(1), inside), LOG_LEAST, &k, &exponent);
    const V scaled = FLOAT(BSUB(BITS(inside), exponent));
    const V above = FMA(K(0.25), FLOAT(BSUB(W2(0x40800000, 0x4010000000000000), exponent)), K(-1));
    const V f = ADD(scaled, above), low = SUB(scaled, SUB(f, above));
    const V t = CALL(log_head, f, k, &lost), y = ADD(t, CALL(log_tail, f, ADD(lost, low)));
    return FLOAT(OR(BITS(ADD(y, CALL(log_ends, x, K(-1)))), AND(BITS(x), SIGN)));
}

/* ---- Powers ---- */

/* (artanh(s)/s − 1)/s², as a pair, for z = s² as a pair, s in [1 − √2, √2 − 1]·(√2 − 1): to 2^−37 (f64: 2^−71) times
 * s². */
#if IS_NARROW
FN(V, artanh_tail_narrow, V z, V z_low, V *low) {
    const V q3 = FMA(z, K(0x1.8c8edep-4), K(0x1.c67ab6p-4));
    const V q1 = FMA(z, FMA(z, q3, K(0x1.249324p-3)), K(0x1.999998p-3));
    const V q = CALL(pair_sum, K(0x1.555556p-2), MUL(z, q1), low);
    (void)z_low;
    *low = ADD(*low, K(-0x1.55361cp-27));
    return q;
}
#endif
#if IS_WIDE
FN(V, artanh_tail_wide, V z, V z_low, V *low) {
    const V z2 = MUL(z, z);
    const V w9 = FMA(z, K(0x1.9e144b1d4212dp-5), K(0x1.81ee0afafe182p-5));
    const V w7 = FMA(z, K(0x1.af532745121cep-5), K(0x1.e1e0d33a8e675p-5));
    const V w5 = FMA(z, K(0x1.111113360e170p-4), K(0x1.3b13b1357fe8fp-4));
    const V w3 = FMA(z, K(0x1.745d1745da7cap-4), K(0x1.c71c71c71c694p-4));
    const V w2 = FMA(z, FMA(z2, FMA(z2, FMA(z2, w9, w7), w5), w3), K(0x1.2492492492492p-3));
    V lost, rest;
    const V w1 = CALL(pair_sum, K(0x1.999999999999ap-3), MUL(z, w2), &rest);
    const V zw = CALL(pair_times, z, z_low, w1, ADD(rest, K(-0x1.99b27e4462dd7p-57)), &lost);
    const V q = CALL(pair_sum, K(0x1.5555555555555p-2), zw, &rest);
    *low = ADD(ADD(rest, lost), K(0x1.555555b89c54ep-56));
    return q;
}
#endif

/* log2 of a >= 0 as a pair, to 2^−33 (f64: 2^−65) of its value; what it is for 0, ∞ and NaN is in the first.
 *
 * With a = 2^k·m, s = (m − 1)/(m + 1) and z = s², it is k + 2/ln 2·artanh s, and artanh s = s·(1 + z·q(z)). */
FN(V, log2_pair, V a, V *low) {
    V k, lift, d_low, s_low, z_low, q_low, w_low, c_low, t_low, sum_low;
    B exponent;
    const V normal = CALL(log_normal, a, &lift);
    const V m = CALL(log_split, normal, W2(0x3f3504f3, 0x3fe6a09e667f3bcd), &k, &exponent); /* √½ */
    const V d = ADD(m, K(1));
    d_low = SUB(m, SUB(d, K(1)));
    const V s = CALL(pair_quotient, SUB(m, K(1)), d, d_low, DIV(K(1), d), &s_low);
    const V z = CALL(pair_times, s, s_low, s, s_low, &z_low);
    const V q = BY_WIDTH(CALL(artanh_tail_narrow, z, z_low, &q_low), CALL(artanh_tail_wide, z, z_low, &q_low));
    const V w = CALL(pair_times, z, z_low, q, q_low, &w_low);
    const V c = CALL(pair_times, s, s_low, K2(0x1.715476p+1, 0x1.71547652b82fep+1),
                     K2(0x1.4ae0cp-25, 0x1.777d0ffda0d24p-55), &c_low);
    const V t = CALL(pair_times, c, c_low, w, w_low, &t_low);
    const V log2_m = CALL(pair_sum, c, t, &sum_low), rest = ADD(ADD(c_low, t_low), sum_low);
    const V y = CALL(pair_sum, MUL(SUB(k, lift), K2(0x1p-23, 1)), log2_m, &sum_low);
    *low = ADD(sum_low, rest);
    return ADD(y, CALL(log_ends, a, K(0)));
}

/* (2^r − 1)/r for |r| <= ½. */
#if IS_NARROW
FN(V, exp2_tail_narrow, V r) {
    const V q3 = FMA(r, FMA(r, K(0x1.4179e8p-13), K(0x1.5f096cp-10)), K(0x1.3b2dd4p-7));
    return FMA(r, FMA(r, FMA(r, q3, K(0x1.c6af7ap-5)), K(0x1.ebfbdcp-3)), K(0x1.62e430p-1));
}
#endif
#if IS_WIDE
FN(V, exp2_tail_wide, V r) {
    const V r2 = MUL(r, r);
    const V q8 = FMA(r2, K(0x1.e9d419696e0e9p-32), FMA(r, K(0x1.e6065f532c950p-28), K(0x1.b524fad88ed30p-24)));
    const V q6 = FMA(r, K(0x1.62bfd46781ef6p-20), K(0x1.ffcbfc6712438p-17));
    const V q4 = FMA(r, K(0x1.4309130975155p-13), K(0x1.5d87fe78a526dp-10));
    const V q2 = FMA(r, K(0x1.3b2ab6fba1dc6p-7), K(0x1.c6b08d704a0c2p-5));
    const V q0 = FMA(r, K(0x1.ebfbdff82c598p-3), K(0x1.62e42fefa39efp-1));
    return FMA(r2, FMA(r2, FMA(r2, FMA(r2, q8, q6), q4), q2), q0);
}
#endif

/* 2^(t + low), low being what t lacks: underflows gradually to 0, overflows to ∞, keeps NaN. */
FN(V, exp2_pair, V t, V low) {
    const V bounded = MIN(K2(130, 1026), MAX(K2(-153, -1080), t)), shifted = ADD(bounded, AG__SHIFT);
    const V r = ADD(SUB(bounded, SUB(shifted, AG__SHIFT)), SEL(LT(ABS(t), K2(160, 1100)), low, K(0)));
    const V p = FMA(r, BY_WIDTH(CALL(exp2_tail_narrow, r), CALL(exp2_tail_wide, r)), K(1));
    return CALL(times_power, p, shifted);
}

/* a^b = 2^(b·log2 |a|), negative if a is and b is odd. 1 where b is 0 or a is 1, and of −1 to ±∞, whatever the other
 * is; NaN if a is negative and finite and b is not whole. So it is in C, with ends that follow from those of log2. */
FN(V, pow, V a, V b) {
    V log2_low, lost;
    const V log2_a = CALL(log2_pair, ABS(a), &log2_low), t = CALL(pair_product, b, log2_a, &lost);
    const V y = CALL(exp2_pair, t, FMA(b, log2_low, lost));
    const V half = MUL(K(0.5), b);
    const T whole = EQ(ROUND(b), b), odd = AND(whole, NE(ROUND(half), half));
    const T invalid = AND(AND(LT(a, K(0)), LT(K(-INFINITY), a)), NOT(whole));
    const B sign = AND(BITS(a), BITS(SEL(odd, FLOAT(SIGN), K(0))));
    const V z = FLOAT(OR(OR(BITS(y), sign), BITS(SEL(invalid, K(NAN), K(0)))));
    const T unit = AND(EQ(ABS(a), K(1)), OR(EQ(a, K(1)), EQ(ABS(b), K(INFINITY))));
    return SEL(OR(unit, EQ(b, K(0))), K(1), z);
}

/* ---- Sine and cosine ---- */

/* x = n·π/2 + r for |x| <= AG_TRIG_MAX, |r| <= π/4: returns r, sets *low to what it lacks, and *k to n in its low bits.
 * The first of π/2's three parts leaves an exact difference. */
FN(V, angle_rest, V x, V *low, B *k) {
    const V shift = K2(0x1.8p23, 0x1.8p52), t = FMA(x, K2(0x1.45f306p-1, 0x1.45f306dc9c883p-1), shift);
    const V n = SUB(t, shift), head = FMA(n, K2(-0x1.921fb6p+0, -0x1.921fb54442d18p+0), x);
    V lost, rounded;
    const V mid = CALL(pair_product, n, K2(0x1.777a5cp-25, -0x1.1a62633145c07p-54), &rounded);
    const V r = CALL(pair_sum_of_any, head, mid, &lost);
    const V tail = FMA(n, K2(0x1.ee59dap-50, 0x1.f1976b7ed8fbcp-110), ADD(lost, rounded));
    *k = BITS(t);
    return CALL(pair_sum, r, tail, low);
}

/* (sin r − r)/r³ and (cos r − 1 + r²/2)/r⁴ for |r| <= π/4, z being r². */
#if IS_NARROW
FN(V, sin_tail_narrow, V z) { return FMA(z, FMA(z, K(-0x1.9953fep-13), K(0x1.110778p-7)), K(-0x1.555546p-3)); }
FN(V, cos_tail_narrow, V z) { return FMA(z, FMA(z, K(0x1.99e80cp-16), K(-0x1.6c0c28p-10)), K(0x1.55554ap-5)); }
#endif
#if IS_WIDE
FN(V, sin_tail_wide, V z) {
    const V z2 = MUL(z, z), q4 = FMA(z, K(0x1.5da435a4b8abdp-33), K(-0x1.ae5ea94dabb2dp-26));
    const V q2 = FMA(z, K(0x1.71de35dab9155p-19), K(-0x1.a01a019c99e3bp-13));
    return FMA(z2, FMA(z2, q4, q2), FMA(z, K(0x1.111111110fdd3p-7), K(-0x1.555555555554ep-3)));
}
FN(V, cos_tail_wide, V z) {
    const V z2 = MUL(z, z), q4 = FMA(z, K(-0x1.8ffa421bb531fp-37), K(0x1.1eea8864eeccfp-29));
    const V q2 = FMA(z, K(-0x1.27e4f9027be51p-22), K(0x1.a01a019e28e12p-16));
    return FMA(z2, FMA(z2, q4, q2), FMA(z, K(-0x1.6c16c16c16211p-10), K(0x1.5555555555554p-5)));
}
#endif

/* sin(r + low + k·π/2): by masks the sine of r or its cosine, and its sign, as k mod 4 says. */
FN(V, sine_of_rest, V r, V low, B k) {
    const V z = MUL(r, r), half = MUL(K(0.5), z), w = SUB(K(1), half), lost = SUB(SUB(K(1), w), half);
    const V sin_tail = BY_WIDTH(CALL(sin_tail_narrow, z), CALL(sin_tail_wide, z));
    const V cos_tail = BY_WIDTH(CALL(cos_tail_narrow, z), CALL(cos_tail_wide, z));
    const V sine = ADD(r, FMA(MUL(r, z), sin_tail, FMA(NEG(half), low, low)));
    const V cosine = ADD(w, FMA(MUL(z, z), cos_tail, FMA(NEG(r), low, lost)));
    const B odd = BSUB(W(0), AND(k, W(1))), sign = SHL(AND(k, W(2)), BY_WIDTH(30, 62));
    return FLOAT(XOR(XOR(BITS(sine), AND(XOR(BITS(sine), BITS(cosine)), odd)), sign));
}

/* For |x| <= AG_TRIG_MAX; sin −0 is −0. */
FN(V, sin_near, V x) {
    V low;
    B k;
    const V r = CALL(angle_rest, x, &low, &k);
    return SEL(EQ(x, K(0)), x, CALL(sine_of_rest, r, low, k));
}
FN(V, cos_near, V x) {
    V low;
    B k;
    const V r = CALL(angle_rest, x, &low, &k);
    return CALL(sine_of_rest, r, low, BADD(k, W(1)));
}

/* For any x. */
FN(V, sin, V x) { return RARELY(LT(K(AG_TRIG_MAX), ABS(x)), ag_far_sine, x, 0, CALL(sin_near, x)); }
FN(V, cos, V x) { return RARELY(LT(K(AG_TRIG_MAX), ABS(x)), ag_far_sine, x, 1, CALL(cos_near, x)); }

#undef AG__SHIFT
#undef EXPONENT
#undef SIGN
#undef K_UNIT
#undef LOG_LEAST

#endif
