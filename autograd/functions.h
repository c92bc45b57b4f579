/* functions -- short branch-free elementary functions, for formulas to CALL
 *
 * Each is straight-line code of + − · / √, comparisons, selects and unsigned arithmetic, so that a loop over it becomes
 * vector code on any instruction set, and every lane, tail element, vector width, compiler, and the machine code of its
 * trace give the same bits. That requires -ffp-contract=off (no product fused into a sum), -fno-math-errno,
 * -fno-trapping-math and rounding to nearest; never -ffast-math. Constants of f32 are exact floats.
 *
 * This is text for every domain of reals: formulas_begin.h says what its words mean. Included in a text of
 * formulas, it gives that text exp, expm1, log, log1p, sigmoid, sigmoid_slope, tanh, tanh_slope; and where
 * !IS_TRACE sin and cos.
 *
 * The polynomials and rational functions are minimax fits made for this file. Largest errors seen, in units
 * of the last place: exp 0.9, expm1 1.7, log and log1p 0.9, tanh 1.5, sigmoid 1.9, the slopes of these two 4.6, sin and
 * cos 1.6 for f32 and 0.9 for f64. */
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

/* The lowest bit of the exponent. */
#define EXPONENT BY_WIDTH(23, 52)

/* ln 2 in two parts: a whole number of at most 10 bits (f64: 11) times the first is exact. */
#define LN2_HIGH K2(0x1.62e4p-1, 0x1.62e42fefa3800p-1)
#define LN2_LOW K2(0x1.7f7d1cp-20, 0x1.ef35793c76730p-45)

/* ---- Exponential ---- */

/* q(r) of what follows, given r and r². */
#if IS_NARROW
FN(V, expm1_rest_narrow, V r, V r2) {
    const V q0 = ADD(K(0x1.fffffcp-2), MUL(K(0x1.555490p-3), r));
    const V q2 = ADD(K(0x1.5558f4p-5), MUL(K(0x1.123a74p-7), r));
    const V q4 = K(0x1.6a24dcp-10);
    return ADD(q0, MUL(r2, ADD(q2, MUL(r2, q4))));
}
#endif
#if IS_WIDE
FN(V, expm1_rest_wide, V r, V r2) {
    const V r4 = MUL(r2, r2);
    const V q0 = ADD(K(0x1.000000000000ap-1), MUL(K(0x1.55555555554f9p-3), r));
    const V q2 = ADD(K(0x1.55555555507e4p-5), MUL(K(0x1.1111111127d96p-7), r));
    const V q4 = ADD(K(0x1.6c16c1844de59p-10), MUL(K(0x1.a01a012a15c24p-13), r));
    const V q6 = ADD(K(0x1.a01999a5c4c05p-16), MUL(K(0x1.71df252d0c680p-19), r));
    const V q8 = ADD(K(0x1.28add60a79371p-22), MUL(K(0x1.ad80d188ecb2fp-26), r));
    return ADD(ADD(q0, MUL(r2, q2)), MUL(r4, ADD(ADD(q4, MUL(r2, q6)), MUL(r4, q8))));
}
#endif

/* x = n·ln 2 + r + c: returns e^(r+c) − 1 and sets *bits to n + 254, for x in [−104, 89]; NaN for NaN. In f64 to n +
 * 2046, for x in [−746, 710].
 *
 * n is the integer nearest to x/ln 2, so |r| <= ln 2/2: adding 1.5·2^23 + 254 rounds to an integer and leaves n +
 * 254 in the low bits of the sum. n·ln 2 is subtracted in two parts, the first of 15 bits (42), so that n times it
 * is exact; c is the rounding error of r. e^(r+c) − 1 = r + (c + r²·q(r)), q of degree 4 (relative error 2^−27.7);
 * of degree 9 (2^−56.5). */
FN(V, expm1_poly, V x, B *bits) {
    const V shift = K2(0x1.8p23 + 254, 0x1.8p52 + 2046);
    const V t = ADD(MUL(x, K2(0x1.715476p+0, 0x1.71547652b82fep+0)), shift);
    const V n = SUB(t, shift);
    const V head = SUB(x, MUL(n, LN2_HIGH));
    const V tail = MUL(n, LN2_LOW);
    const V r = SUB(head, tail);
    const V c = SUB(SUB(head, r), tail);
    const V r2 = MUL(r, r);
    const V q = BY_WIDTH(CALL(expm1_rest_narrow, r, r2), CALL(expm1_rest_wide, r, r2));
    *bits = BSUB(BITS(t), W2(0x4b400000, 0x4338000000000000));
    return ADD(r, ADD(c, MUL(r2, q)));
}

FN(V, exp_poly, V x, B *bits) { return ADD(K(1), CALL(expm1_poly, x, bits)); }

/* e^x for x in [−104, 89] (f64: [−746, 710]), NaN for NaN. 2^n is applied as two factors, the first with
 * exponent ⌊n/2⌋, because n runs from −150 (subnormal results) to 128 (overflow). The first product is
 * exact. */
FN(V, exp_core, V x) {
    B e;
    const V p = CALL(exp_poly, x, &e);
    const B a = SHR(e, 1);
    return MUL(MUL(p, FLOAT(SHL(a, EXPONENT))), FLOAT(SHL(BSUB(e, a), EXPONENT)));
}

/* e^x: underflows gradually to 0, overflows to ∞, keeps NaN. */
FN(V, exp, V x) { return CALL(exp_core, MIN(K2(89, 710), MAX(K2(-104, -746), x))); }

/* e^x for x in [−104, 0] (f64: [−746, 0]), NaN for NaN: the same result in fewer steps. 2^n is applied times 2^64
 * (2^512), so that the product is exact, and then divided by it. */
FN(V, exp_fall, V x) {
    B bits;
    const V p = CALL(exp_poly, x, &bits);
    return MUL(MUL(p, FLOAT(SHL(BSUB(bits, W2(63, 511)), EXPONENT))), K2(0x1p-64, 0x1p-512));
}

/* e^x − 1 as 2·(h·p + (h − ½)), with e^x = 2h·(1 + p) and h = 2^(n−1), which does not overflow before the result
 * does. Below −18 (f64: −38) it is −1; an x so small that half its square is rounded away is its own result, −0
 * included. */
FN(V, expm1, V x) {
    B bits;
    const V p = CALL(expm1_poly, MIN(K2(89, 710), MAX(K2(-18, -38), x)), &bits);
    const V h = FLOAT(SHL(BSUB(bits, W2(128, 1024)), EXPONENT));
    const V half = ADD(MUL(h, p), SUB(h, K(0.5)));
    return SEL(LT(ABS(x), K2(0x1p-26, 0x1p-55)), x, ADD(half, half));
}

/* ---- Sigmoid ---- */

/* e^−|x|, which never overflows; very large |x| give subnormals and then 0. */
FN(V, exp_of_magnitude, V x) { return CALL(exp_fall, NEG(MIN(K2(104, 746), ABS(x)))); }

/* With e = e^−|x|: e/(1 + e) for x < 0, 1/(1 + e) otherwise. The rounding error of d = 1 + e is corrected at the
 * end: y·(1 − lost/d), where 1/d is y or 1 − y. */
FN(V, sigmoid, V x) {
    const V e = CALL(exp_of_magnitude, x);
    const V d = ADD(K(1), e);
    const V lost = SUB(e, SUB(d, K(1)));
    const T right = LE(K(0), x);
    const V y = DIV(SEL(right, K(1), e), d);
    return SUB(y, MUL(y, MUL(lost, SEL(right, y, SUB(K(1), y)))));
}

/* The slope y·(1 − y) of y = σ(x), as e·s² with e = e^−|x| and s = σ(|x|), the larger of y and 1 − y: far from 0 the
 * smaller is about e, which cannot be computed from a y that is nearly 1. Rounding never makes it more than ¼. */
FN(V, sigmoid_slope, V x, V y) {
    const V e = CALL(exp_of_magnitude, x);
    const V s = MAX(y, SUB(K(1), y));
    return MIN(K(0.25), MUL(MUL(e, s), s));
}

/* ---- Hyperbolic tangent ---- */

/* e^(−2a) for a = |x|; a is bounded where it is 0. The same for tanh and its slope, so that machine code computes it
 * once. */
FN(V, tanh_bound, V x) { return MIN(K2(52, 373), ABS(x)); }
FN(V, tanh_exp, V a) { return CALL(exp_fall, MUL(K(-2), a)); }

/* P(z) and Q(z) of what follows. */
#if IS_NARROW
FN(V, tanh_p_narrow, V z) { return SUB(K(-0x1.555554p-2), MUL(K(0x1.98b71ep-10), z)); }
FN(V, tanh_q_narrow, V z) { return ADD(K(1), MUL(K(0x1.9e62bep-2), z)); }
#endif
#if IS_WIDE
FN(V, tanh_p_wide, V z) {
    const V p1 = ADD(K(0x1.4fda3296bc87dp-6), MUL(K(0x1.a1b4e5dd75bf5p-13), z));
    return SUB(K(-0x1.5555555555555p-2), MUL(z, p1));
}
FN(V, tanh_q_wide, V z) {
    const V q2 = ADD(K(0x1.7d9aed2c18586p-6), MUL(K(0x1.b121f4bca84dep-13), z));
    const V q1 = ADD(K(0x1.d8928315dcef2p-2), MUL(z, q2));
    return ADD(K(1), MUL(z, q1));
}
#endif

/* With a = |x|:
 *   a < 0.55:  a + a·z·P(z)/Q(z), z = a² (error 2^−27.5; f64: a < 0.625, error 2^−57.5)
 *   else:      1 − 2e/(1 + e), e = e^(−2a)
 * Both have the shape base + rest/den, where the rest is at most half as large as the base. Far out y is 1. */
FN(V, tanh, V x) {
    const V a = CALL(tanh_bound, x);
    const V e = CALL(tanh_exp, a);
    const V z = MUL(a, a);
    const V up = MUL(MUL(a, z), BY_WIDTH(CALL(tanh_p_narrow, z), CALL(tanh_p_wide, z)));
    const V uq = BY_WIDTH(CALL(tanh_q_narrow, z), CALL(tanh_q_wide, z));

    const T near = LT(a, K2(0x1.19999ap-1, 0.625));
    const V den = SEL(near, uq, ADD(K(1), e));
    const V rest = SEL(near, up, MUL(K(-2), e));
    const V base = SEL(near, a, K(1));
    const V y = ADD(base, DIV(rest, den));
    return FLOAT(OR(BITS(y), AND(BITS(x), W2(0x80000000, 0x8000000000000000))));
}

/* The slope 1 − y² of y = tanh x, as e·(1 + |y|)² with e = e^(−2|x|), for 1 − |y| is e·(1 + |y|). Rounding never
 * makes it more than 1. */
FN(V, tanh_slope, V x, V y) {
    const V e = CALL(tanh_exp, CALL(tanh_bound, x));
    const V s = ADD(K(1), ABS(y));
    return MIN(K(1), MUL(e, MUL(s, s)));
}

/* ---- Logarithm ---- */

/* x = 2^k·m with m in [√½, √2), by integer arithmetic on the bits, for a normal x > 0. Returns m and sets *k to k + 127
 * (f64: to k + 1023 + 2^52, with k in the low bits). */
FN(V, log_split, V x, V *k) {
    const B root = W2(0x3f3504f3, 0x3fe6a09e667f3bcd); /* √½ */
    const B u = BSUB(BITS(x), root);
    const B e = SHR(BADD(u, W2(0x3f800000, 0x3ff0000000000000)), EXPONENT);
    *k = BY_WIDTH(INTEGER(e), FLOAT(OR(e, W(0x4330000000000000))));
    return FLOAT(BADD(AND(u, W2(0x7fffff, 0xfffffffffffff)), root));
}

/* R/s² of what follows, z being s². */
#if IS_NARROW
FN(V, log_rest_narrow, V z) {
    const V w1 = ADD(MUL(K(0x1.31ea02p-2), z), K(0x1.995e7cp-2));
    return ADD(MUL(w1, z), K(0x1.55557ap-1));
}
#endif
#if IS_WIDE
FN(V, log_rest_wide, V z) {
    const V z2 = MUL(z, z);
    const V w0 = ADD(K(0x1.5555555555573p-1), MUL(K(0x1.999999998799cp-2), z));
    const V w2 = ADD(K(0x1.2492493c5a0d9p-2), MUL(K(0x1.c71c55eac3a4ap-3), z));
    const V w4 = ADD(K(0x1.74658bb8300b4p-3), MUL(K(0x1.39b1ec4f4cf74p-3), z));
    const V w6 = K(0x1.2e7101d36f97dp-3);
    return ADD(w0, MUL(z2, ADD(w2, MUL(z2, ADD(w4, MUL(z2, w6))))));
}
#endif

/* k·ln 2 + ln(1 + f) + low for f in [√½ − 1, √2 − 1], where `low` is k times the lower part of ln 2 and other small
 * terms. With s = f/(2 + f) and h = f²/2, ln(1 + f) = 2·artanh s = f − (h − s·(h + R)), where R is s² times a
 * polynomial in s² of degree 2 (f64: 6). */
FN(V, log_core, V f, V k, V low) {
    const V s = DIV(f, ADD(K(2), f));
    const V z = MUL(s, s);
    const V w = BY_WIDTH(CALL(log_rest_narrow, z), CALL(log_rest_wide, z));
    const V h = MUL(MUL(K(0.5), f), f);
    const V rest = ADD(MUL(s, ADD(h, MUL(z, w))), low);
    return SUB(MUL(k, LN2_HIGH), SUB(SUB(h, rest), f));
}

/* Subnormals are first multiplied by 2^23 (f64: 2^52). ln 0 = −∞; NaN below. */
FN(V, log, V x) {
    const T tiny = LT(x, K2(0x1p-126, 0x1p-1022));
    const V bias = ADD(SEL(tiny, K2(23, 52), K(0)), K2(127, 0x1p52 + 1023));
    V e;
    const V m = CALL(log_split, SEL(tiny, MUL(x, K2(0x1p23, 0x1p52)), x), &e);
    const V k = SUB(e, bias);
    const V y = CALL(log_core, SUB(m, K(1)), k, MUL(k, LN2_LOW));
    const V finite = SEL(LT(x, K(INFINITY)), y, x);
    const V valid = SEL(OR(LT(K(0), x), NE(x, x)), finite, K(NAN));
    return SEL(EQ(x, K(0)), K(-INFINITY), valid);
}

/* ln(1 + x) = ln u + ln(1 + lost/u), where u is 1 + x rounded and `lost` its rounding error, by Knuth's two-sum. u
 * is never subnormal. −0 is itself, ln 0 = −∞; NaN below −1. */
FN(V, log1p, V x) {
    const V u = ADD(K(1), x);
    const V one = SUB(u, x);
    const V lost = ADD(SUB(x, SUB(u, one)), SUB(K(1), one));
    V e;
    const V m = CALL(log_split, u, &e);
    const V k = SUB(e, K2(127, 0x1p52 + 1023));
    const V y = CALL(log_core, SUB(m, K(1)), k, ADD(MUL(k, LN2_LOW), DIV(lost, u)));
    const V finite = SEL(AND(LT(x, K(INFINITY)), NE(x, K(0))), y, x);
    const V valid = SEL(OR(LT(K(0), u), NE(x, x)), finite, K(NAN));
    return SEL(EQ(u, K(0)), K(-INFINITY), valid);
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
#undef LN2_HIGH
#undef LN2_LOW

#endif
