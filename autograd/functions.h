/* functions -- short branch-free elementary functions, for formulas to CALL
 *
 * Each is straight-line code of + − · / √, multiply-adds, comparisons, selects and unsigned arithmetic, so that a loop
 * over it becomes vector code on any instruction set, and every lane, tail element, vector width, compiler, and the
 * machine code of its trace give the same bits. Products are added before they are rounded where the text says FMA, and
 * nowhere else: that requires -ffp-contract=off, -fno-math-errno, -fno-trapping-math and rounding to nearest; never
 * -ffast-math. Constants of f32 are exact floats.
 *
 * This is text for every domain of reals: formulas_begin.h says what its words mean. Included in a text of
 * formulas, it gives that text exp, expm1, log, log1p, sigmoid, sigmoid_slope, tanh, tanh_slope; and where
 * !IS_TRACE sin and cos.
 *
 * The polynomials are minimax fits made for this file. They are evaluated in few steps rather than in short chains: other
 * elements keep the processor busy in the meantime; only those of f64, which are long, are of even and odd powers apart.
 * Largest errors over every f32, in units of the last place: exp @exp@, expm1 @expm1@, log @log@, log1p @log1p@, tanh
 * @tanh@, sigmoid @sigmoid@, sin and cos 1.6; the slopes of tanh and sigmoid 4.6. */
#include "autograd/trace.h"

#define AG_TRIG_MAX 0x1p20 /* the largest |x| for sin and cos */

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

/* ---- Exponential ---- */

/* x = n·ln 2 + r for |x| <= 104 (f64: 746), n a whole number: returns r, |r| <= ln 2/2, and sets *bits to n + bias in
 * its low bits, for a shift of 1.5·2^23 + bias (1.5·2^52 + bias), the addition of which rounds to a whole number. ln 2 is
 * taken in two parts: the head is exact. */
FN(V, exp_rest, V x, V shift, B *bits) {
    const V t = FMA(x, K2(0x1.715476p+0, 0x1.71547652b82fep+0), shift), n = SUB(t, shift);
    *bits = BITS(t);
    const V head = FMA(n, K2(-0x1.62e430p-1, -0x1.62e42fefa39efp-1), x);
    return FMA(n, K2(0x1.05c610p-29, -0x1.abc9e3b39803fp-56), head);
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

/* e^x: underflows gradually to 0, overflows to ∞, keeps NaN. 2^n is applied as two factors, the first with exponent
 * ⌊n/2⌋, because n runs from −150 (subnormal results) to 128 (overflow). The first product is exact. */
FN(V, exp, V x) {
    B e;
    const V bounded = MIN(K2(89, 710), MAX(K2(-104, -746), x));
    const V r = CALL(exp_rest, bounded, K2(0x1.8p23 + 254, 0x1.8p52 + 2046), &e);
    const B half = SHR(e, 1);
    return MUL(MUL(CALL(exp_near, r), FLOAT(SHL(half, EXPONENT))), FLOAT(SHL(BSUB(e, half), EXPONENT)));
}

/* e^x for x in [−104, 0] (f64: [−746, 0]), NaN for NaN: the same in fewer steps. 2^n is applied times 2^64 (2^512), so
 * that the product is exact, and then divided by it. */
FN(V, exp_fall, V x) {
    B bits;
    const V r = CALL(exp_rest, x, K2(0x1.8p23 + 191, 0x1.8p52 + 1535), &bits);
    return MUL(MUL(CALL(exp_near, r), FLOAT(SHL(bits, EXPONENT))), K2(0x1p-64, 0x1p-512));
}

/* e^x − 1 as 2·(h·r + (h − ½) + h·(p − r)), with e^x = 2h·(1 + p) and h = 2^(n−1), which does not overflow before the
 * result does. Below −18 (f64: −38) it is −1; an x so small that half its square is rounded away is its own result,
 * −0 included. */
FN(V, expm1, V x) {
    B bits;
    const V bounded = MIN(K2(89, 710), MAX(K2(-18, -38), x));
    const V r = CALL(exp_rest, bounded, K2(0x1.8p23 + 126, 0x1.8p52 + 1022), &bits);
    const V h = FLOAT(SHL(bits, EXPONENT)), rest = MUL(MUL(r, r), CALL(exp_tail, r));
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
    return SEL(LT(ABS(x), K2(0x1.19999ap-1, 0.55)), near, FLOAT(OR(BITS(far), AND(BITS(x), SIGN))));
}

/* The slope 1 − y² of y = tanh x, as e·(1 + |y|)² with e = e^(−2|x|), for 1 − |y| is e·(1 + |y|). Rounding never
 * makes it more than 1. */
FN(V, tanh_slope, V x, V y) {
    const V e = CALL(tanh_exp, x), s = ADD(K(1), ABS(y));
    return MIN(K(1), MUL(e, MUL(s, s)));
}

/* ---- Logarithm ---- */

/* x = 2^k·m with m in [¾, 1½) (f64: [√½, √2)), by integer arithmetic on the bits, for a normal x > 0; for any x m is in
 * that interval. Returns m and sets *k to k in units of K_UNIT, and *exponent to what the bits of 2^k have more than
 * those of 1. */
#define K_UNIT K2(0x1p23, 1)
FN(V, log_split, V x, V *k, B *exponent) {
    const B u = BSUB(BITS(x), W2(0x3f400000, 0x3fe6a09e667f3bcd));
    *exponent = AND(u, W2(0xff800000, 0xfff0000000000000));
    *k = BY_WIDTH(
        INTEGER(*exponent),
        SUB(FLOAT(OR(SHR(BADD(u, W(0x3ff0000000000000)), EXPONENT), W(0x4330000000000000))), K(0x1p52 + 1023)));
    return FLOAT(BSUB(BITS(x), *exponent));
}

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

/* k·ln 2 + ln(1 + f) (f64: plus `low`), k in units of K_UNIT: the sum of k·ln 2 and f is rounded, and what that lost
 * added to the rest. */
FN(V, log_core, V f, V k, V low) {
    const V t = FMA(k, K2(0x1.62e430p-24, 0x1.62e42fefa39efp-1), f);
    const V lost = SUB(f, FMA(k, K2(-0x1.62e430p-24, -0x1.62e42fefa39efp-1), t));
    (void)low;
    return ADD(t, BY_WIDTH(CALL(log_tail_narrow, f, lost), CALL(log_tail_wide, f, ADD(lost, low))));
}

/* What to add to a finite y for it to be x where that is ∞ or NaN, −∞ where x is `low`, NaN below; 0 elsewhere. */
FN(V, log_ends, V x, V low) {
    const V high = SEL(LT(x, K(INFINITY)), K(0), x);
    const V least = SEL(LE(x, low), K(-INFINITY), K(0)), below = SEL(LT(x, low), K(NAN), K(0));
    return FLOAT(OR(BITS(high), OR(BITS(least), BITS(below))));
}

/* Subnormals are first multiplied by 2^23 (f64: 2^52). */
FN(V, log, V x) {
    const T tiny = LT(x, K2(0x1p-126, 0x1p-1022));
    const V normal = FMA(x, SEL(tiny, K2(0x1p23 - 1, 0x1p52 - 1), K(0)), x);
    V k;
    B exponent;
    const V m = CALL(log_split, normal, &k, &exponent);
    const V y = CALL(log_core, SUB(m, K(1)), SUB(k, SEL(tiny, K2(23 * 0x1p23, 52), K(0))), K(0));
    return ADD(y, CALL(log_ends, x, K(0)));
}

/* ln(1 + x) with 2^k·(1 + f) = 1 + x, so f = x·2^−k + (2^−k − 1), in which only the sum may be rounded (f64: and what
 * that loses is taken along). 2^−k is a quarter of 2^(2 − k), which never underflows. x is kept above −1, so that all is
 * finite. The sign is that of x, also of −0. */
FN(V, log1p, V x) {
    const V inside = MAX(K2(-0x1.fffffep-1, -0x1.fffffffffffffp-1), x);
    V k;
    B exponent;
    CALL(log_split, ADD(K(1), inside), &k, &exponent);
    const V scaled = FLOAT(BSUB(BITS(inside), exponent));
    const V above = FMA(K(0.25), FLOAT(BSUB(W2(0x40800000, 0x4010000000000000), exponent)), K(-1));
    const V f = ADD(scaled, above);
    const V y = CALL(log_core, f, k, BY_WIDTH(K(0), SUB(scaled, SUB(f, above))));
    return FLOAT(OR(BITS(ADD(y, CALL(log_ends, x, K(-1)))), AND(BITS(x), SIGN)));
}

/* ---- Sine and cosine, in kernels only ---- */

#if !IS_TRACE

/* sin(x + j·π/2) for |x| <= AG_TRIG_MAX; beyond it the result is meaningless, and libm must be used instead. The
 * arguments are reduced in double, and in part as whole numbers, for which there is no machine code.
 *
 * x = n·π/2 + r, subtracted in parts of 33 and 53 bits (n has 20 bits, so n times the first is exact); |r| <= π/4 is
 * rounded to float for the polynomials. n + j mod 4 says, by masks, whether the sine or the cosine of r is wanted, and
 * with what sign. */
#if !IS_WIDE
FN(V, sin_shifted, V x, B j) {
    const double shift = 0x1.8p52;
    const double xd = (double)x;
    const double t = xd * 0x1.45f306dc9c883p-1 + shift;
    const double n = t - shift;
    const float r = (float)((xd - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34);
    uint64_t bits;
    memcpy(&bits, &t, sizeof bits);
    const uint32_t k = (uint32_t)bits + j;

    const float z = r * r;
    const float s = r + r * z * (-0x1.555546p-3f + z * (0x1.11075cp-7f - 0x1.994cf8p-13f * z));
    const float c = 1.0f - (0.5f * z - z * z * (0x1.55554ep-5f + z * (-0x1.6c0e6cp-10f + 0x1.9a791ap-16f * z)));
    const uint32_t odd = UINT32_C(0) - (k & 1);
    return FLOAT(((BITS(s) & ~odd) | (BITS(c) & odd)) ^ ((k & 2) << 30));
}
#else
/* The same with π/2 in parts of 33, 33 and 53 bits; r + c is the reduced argument to about 100 bits. */
FN(V, sin_shifted, V x, B j) {
    const double shift = 0x1.8p52;
    const double t = x * 0x1.45f306dc9c883p-1 + shift;
    const double n = t - shift;
    const uint64_t k = BITS(t) + j;
    const double head = x - n * 0x1.921fb544p+0;
    const double mid = n * 0x1.0b4611a6p-34;
    const double h = head - mid;
    const double low = n * 0x1.3198a2e037073p-69 - ((head - h) - mid);
    const double r = h - low;
    const double c = (h - r) - low;

    const double z = r * r;
    const double z2 = z * z;
    const double s0 = -0x1.555555555554ep-3 + 0x1.111111110fdd3p-7 * z;
    const double s2 = -0x1.a01a019c99e3bp-13 + 0x1.71de35dab9155p-19 * z;
    const double s4 = -0x1.ae5ea94dabb2dp-26 + 0x1.5da435a4b8abdp-33 * z;
    const double half = 0.5 * z;
    const double s = r + (r * z * (s0 + z2 * (s2 + z2 * s4)) + (c - half * c));
    const double c0 = 0x1.5555555555554p-5 - 0x1.6c16c16c16211p-10 * z;
    const double c2 = 0x1.a01a019e28e12p-16 - 0x1.27e4f9027be51p-22 * z;
    const double c4 = 0x1.1eea8864eeccfp-29 - 0x1.8ffa421bb531fp-37 * z;
    const double w = 1.0 - half;
    const double cs = w + (((1.0 - w) - half) + (z2 * (c0 + z2 * (c2 + z2 * c4)) - r * c));
    const uint64_t odd = UINT64_C(0) - (k & 1);
    return FLOAT(((BITS(s) & ~odd) | (BITS(cs) & odd)) ^ ((k & 2) << 62));
}
#endif

FN(V, sin, V x) { return SEL(EQ(x, K(0)), x, CALL(sin_shifted, x, 0)); } /* −0 */
FN(V, cos, V x) { return CALL(sin_shifted, x, 1); }

#endif

#undef EXPONENT
#undef SIGN
#undef K_UNIT

#endif
