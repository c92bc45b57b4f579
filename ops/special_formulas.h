/* special_formulas -- formulas of special functions: text for every domain, which includes itself
 *
 * A polynomial is a table of coefficients, the highest power first, one for f32 and one for f64. All are minimax fits
 * made for this file by tests/fit_special.py, which says of each what it approximates and how closely. Where two parts
 * of a domain have the same form, a selection of the argument comes before one polynomial, because a step that selects
 * is cheaper than a second polynomial. */
#include "autograd/formulas_begin.h"
#include "autograd/functions.h"

#ifndef AG_SPECIAL_TABLES
#define AG_SPECIAL_TABLES

/* For |x| > AG_TRIG_MAX. */
AG__RECORDING double far_tangent(double x, int j) { return ag_far_sine(x, j) / ag_far_sine(x, j + 1); }

static const double asin_narrow[] = {0x1.59cccap-5, 0x1.8bb50ap-6, 0x1.748a2ep-5, 0x1.33016ap-4, 0x1.5555cap-3};
static const double asin_wide[] = {0x1.05d4a60f26a9bp-5, -0x1.0b0749e6deaa9p-6, 0x1.40bd976ebac7dp-6,
                                   0x1.aaa2d9adb73d6p-8, 0x1.8ee68616a6a33p-7,  0x1.c6f8399d6df8dp-7,
                                   0x1.1c6c2aca7fe51p-6, 0x1.6e89ef50685d8p-6,  0x1.f1c72c6e6fadfp-6,
                                   0x1.6db6db41d296dp-5, 0x1.333333336f87ep-4,  0x1.5555555555387p-3};
static const double atan_narrow[] = {0x1.860424p-9, -0x1.0fbb84p-6, 0x1.64d87cp-5, -0x1.36864p-4,
                                     0x1.b56bc8p-4, -0x1.231bcap-3, 0x1.997aeap-3, -0x1.5554e6p-2};
static const double atan_wide[] = {
    -0x1.5b140da18ce4dp-16, 0x1.dc374185cd8adp-13, -0x1.35c7abae5fd63p-10, 0x1.ff8d44d895c15p-9,  -0x1.2fbdad4b49a07p-7,
    0x1.17fce4d72985dp-6,   -0x1.a8ec4e707ebafp-6, 0x1.17be2c39877dap-5,   -0x1.4fa4f196a4593p-5, 0x1.7f0de37a5e569p-5,
    -0x1.ad40c6937184ep-5,  0x1.e17ba876770d6p-5,  -0x1.1108f365a041bp-4,  0x1.3b12bec53a396p-4,  -0x1.745d0354178b6p-4,
    0x1.c71c70b07b3bp-4,    -0x1.2492491ffb4a2p-3, 0x1.9999999985ca7p-3,   -0x1.5555555555464p-2};
static const double log2_narrow[] = {-0x1.c391d4p-4, 0x1.7f2192p-3,  -0x1.87f6cep-3, 0x1.a2cac2p-3, -0x1.eaa27cp-3,
                                     0x1.277f4p-2,   -0x1.715afep-2, 0x1.ec7094p-2,  -0x1.71547p-1};
static const double log10_narrow[] = {-0x1.14c026p-5, 0x1.ceb5a4p-5,  -0x1.d6da6ep-5, 0x1.f80f3ep-5, -0x1.27709p-4,
                                      0x1.63d17ap-4,  -0x1.bcbf24p-4, 0x1.287a7p-3,   -0x1.bcb7aap-3};
static const double tan_narrow[] = {0x1.4d9c04p-8, -0x1.719abcp-10, 0x1.8b2afap-7, 0x1.54b36ap-6,
                                    0x1.bba7bep-5, 0x1.1108eep-3,   0x1.555572p-2};
static const double tan_wide[] = {
    0x1.6174516e5c3f8p-16, -0x1.7fca70fdc3523p-15, 0x1.7e33c21a37112p-14, -0x1.da37eb5acd31p-16, 0x1.2135939870e41p-13,
    0x1.d0e821ab0e8ccp-13, 0x1.381d21b446852p-11,  0x1.7d571460d48c7p-10, 0x1.d6d991f6a6ap-9,    0x1.226e0f9e1ca28p-7,
    0x1.664f49c28bb4p-6,   0x1.ba1ba1b3d8563p-5,   0x1.1111111118fep-3,   0x1.55555555554e5p-2};
static const double cosh_narrow[] = {0x1.6d4f1p-10, 0x1.5554e6p-5, 0x1p-1};
static const double cosh_wide[] = {0x1.1f8bedfe5c365p-29, 0x1.27e4cc099db04p-22, 0x1.a01a01ad80d3p-16,
                                   0x1.6c16c16c14ffap-10, 0x1.5555555555558p-5,  0x1p-1};
static const double sinh_narrow[] = {0x1.a2e328p-13, 0x1.110fbep-7, 0x1.555556p-3};
static const double sinh_wide[] = {0x1.82b6f950eb75dp-33, 0x1.ae4cd1731acc6p-26, 0x1.71de40825ccbcp-19,
                                   0x1.a01a019ea0769p-13, 0x1.1111111111387p-7,  0x1.5555555555555p-3};
static const double cbrt_narrow[] = {0x1.06e642p-3, -0x1.679efep-1, 0x1.8fb1a2p+0, -0x1.dca0f2p+0, 0x1.dfe07ep+0};
static const double cbrt_wide[] = {-0x1.baa2f432edfd1p-4, 0x1.66c82fdc2b14fp-1,  -0x1.e5ecf840421c5p+0,
                                   0x1.6567a647959c5p+1,  -0x1.3e32dd7f76c82p+1, 0x1.ffc9be8f0d8b7p+0};
static const double erf_narrow[] = {0x1.35f2b8p-8, -0x1.b67ee6p-6, 0x1.ce264p-4, -0x1.812738p-2};
static const double erf_wide[] = {-0x1.3cdb447776a12p-23, 0x1.b7e05682d09fdp-20,  -0x1.f4c20396c1095p-17,
                                  0x1.f9a2dbc27d3d7p-14,  -0x1.c02db3423693ep-11, 0x1.565bcd0d97951p-8,
                                  -0x1.b82ce312890a7p-6,  0x1.ce2f21a042c23p-4,   -0x1.812746b0379e7p-2};
static const double erfcx_narrow[] = {0x1.a7ca44p-19, 0x1.1733f4p-15, -0x1.3fcab4p-15, -0x1.694418p-12, 0x1.4ca89cp-12,
                                      0x1.8acaacp-9,  -0x1.69b374p-8, -0x1.a8a482p-6,  0x1.4ba69p-3,    -0x1.db71aap-2};
static const double erfcx_slopes_narrow[] = {-0.078125, 0.328125, -0.46875};
static const double erfcx_slopes_wide[] = {-0.468, 0.692, -0.628};
static const double erfcx_wide[] = {
    0x1.09af2965bb7d3p-32, -0x1.4361de5bb1c7ep-34, -0x1.11f2f8140ef8bp-29, 0x1.a02eb5092ea62p-33,
    0x1.7570a0e87a408p-27, 0x1.a403873275687p-29,  -0x1.0919b14999f76p-24, -0x1.51943396277d1p-25,
    0x1.b89d48d978b98p-22, 0x1.29ff760557b85p-22,  -0x1.aad1b104487cp-19,  -0x1.701024f953017p-21,
    0x1.cfc652b313394p-16, -0x1.a83c1c07da42ap-16, -0x1.e58c4b105dc62p-13, 0x1.90177a0e19b2dp-11,
    0x1.2d9cc34080123p-11, -0x1.944f40f2ed31cp-7,  0x1.bb72d6f331936p-5,   -0x1.3f6b63f49bc4ep-3,
    0x1.625c8f1279fa3p-2,  -0x1.416e6c9c9b332p-1};

#endif

#if IS_REAL

/* The polynomial of x with n coefficients. */
FN(V, poly, V x, const double *c, int n) {
    V y = K(c[0]);
    for (int k = 1; k < n; k++) y = FMA(y, x, K(c[k]));
    return y;
}
#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define POLY(x, narrow, wide) CALL(poly, x, BY_WIDTH(narrow, wide), BY_WIDTH(COUNT(narrow), COUNT(wide)))

#define EXPONENT BY_WIDTH(23, 52)
#define SIGN W2(0x80000000, 0x8000000000000000)
#define ONE W2(0x3f800000, 0x3ff0000000000000)
#define THIRD K2(0x1.555556p-2, 0x1.5555555555555p-2)
#define LEAST_NORMAL K2(0x1p-126, 0x1p-1022)

/* The magnitude of y with the sign of x; y >= 0. */
FN(V, signed_as, V y, V x) { return FLOAT(OR(BITS(y), AND(BITS(x), SIGN))); }

/* π/2 and what it lacks, times 1 or 2. */
#define HALF_PI(n) K2(n * 0x1.921fb6p+0, n * 0x1.921fb54442d18p+0)
#define HALF_PI_LOW(n) K2(n * -0x1.777a5cp-25, n * 0x1.1a62633145c07p-54)

/* The rest of √(w + w_low), for s = √w rounded; 0 where w is 0. */
FN(V, root_rest, V s, V w, V w_low) { return DIV(ADD(FMA(NEG(s), s, w), w_low), MAX(LEAST_NORMAL, ADD(s, s))); }

/* ---- Exponentials and logarithms of other bases, cube root ---- */

MAP1(exp2, x) {
    const V shift = K2(0x1.8p23 + 254, 0x1.8p52 + 2046), bounded = MIN(K2(130, 1026), MAX(K2(-153, -1080), x));
    const V shifted = ADD(bounded, shift), r = SUB(bounded, SUB(shifted, shift));
    const V p = FMA(r, BY_WIDTH(CALL(exp2_tail_narrow, r), CALL(exp2_tail_wide, r)), K(1));
    const B e = BITS(shifted), half = SHR(e, 1);
    return MUL(MUL(p, FLOAT(SHL(half, EXPONENT))), FLOAT(SHL(BSUB(e, half), EXPONENT)));
}

/* The logarithm to a base b: k·log_b 2 + f·log_b e + rest for x = 2^k·(1 + f), where the rest is (ln(1 + f) − f)·log_b
 * e, in f32 f² times a polynomial. Both constants are in two parts; the head of log_b 2 is so short that its product
 * with k is exact. What the sum of the first two loses is added with the rest, which is small. */
FN(V, log_to_base, V x, double two, double two_low, double e, double e_low, const double *narrow) {
    V k, lift, lost;
    B exponent;
    (void)narrow; /* f32 alone */
    const V normal = CALL(log_normal, x, &lift);
    const V m = CALL(log_split, normal, W2(0x3f3504f3, 0x3fe6a09e667f3bcd), &k, &exponent), f = SUB(m, K(1));
    const V whole = MUL(SUB(k, lift), K2(0x1p-23, 1)), p = MUL(f, K(e)), p_low = FMA(f, K(e), NEG(p));
    const V t = CALL(pair_sum, MUL(whole, K(two)), p, &lost);
    const V low = FMA(whole, K(two_low), FMA(f, K(e_low), ADD(p_low, lost)));
    const V rest = BY_WIDTH(FMA(MUL(CALL(poly, f, narrow, COUNT(log2_narrow)), f), f, low),
                            FMA(CALL(log_tail_wide, f, K(0)), K(e), low));
    return ADD(ADD(t, rest), CALL(log_ends, x, K(0)));
}
MAP1(log2, x) {
    return CALL(log_to_base, x, 1, 0, BY_WIDTH(0x1.715476p+0, 0x1.71547652b82fep+0),
                BY_WIDTH(0x1.4ae0cp-26, 0x1.777d0ffda0d24p-56), log2_narrow);
}
MAP1(log10, x) {
    return CALL(log_to_base, x, BY_WIDTH(0x1.344p-2, 0x1.34413509f78p-2),
                BY_WIDTH(0x1.3509f8p-18, 0x1.fef311f12b358p-46), BY_WIDTH(0x1.bcb7b2p-2, 0x1.bcb7b1526e50ep-2),
                BY_WIDTH(-0x1.5b235ep-27, 0x1.95355baaafad3p-57), log10_narrow);
}

/* With |x| = 2^(3q)·z, a polynomial for 1/∛z and a step of Newton's of third order, then ∛z as z times its square, and
 * one step more with the residual computed in twice the digits. */
MAP1(cbrt, x) {
    V k, lift, square_low;
    B exponent;
    const V a = ABS(x), normal = CALL(log_normal, a, &lift);
    const V m = CALL(log_split, normal, W2(0x3f3504f3, 0x3fe6a09e667f3bcd), &k, &exponent);
    const V n = MUL(SUB(k, lift), K2(0x1p-23, 1)), q = ROUND(MUL(n, THIRD)), r = FMA(q, K(-3), n);
    const T below = LT(r, K(0)), above = LT(K(0), r);
    const V z = MUL(m, SEL(below, K(0.5), SEL(above, K(2), K(1))));
    const V c =
        SEL(below, K2(0x1.428a3p+0, 0x1.428a2f98d728bp+0), SEL(above, K2(0x1.965feap-1, 0x1.965fea53d6e3dp-1), K(1)));
    const V w = MUL(c, POLY(m, cbrt_narrow, cbrt_wide)), e = FMA(MUL(MUL(w, w), NEG(z)), w, K(1));
    const V v = FMA(MUL(w, e), FMA(e, K2(0x1.c71c72p-3, 0x1.c71c71c71c71cp-3), THIRD), w), v2 = MUL(v, v),
            y = MUL(z, v2);
    const V square = CALL(pair_product, y, y, &square_low);
    const V residual = FMA(NEG(square_low), y, FMA(NEG(square), y, z));
    const V near = FMA(MUL(residual, v2), THIRD, y);
    const B scale = SHL(BITS(ADD(q, K2(0x1.8p23 + 127, 0x1.8p52 + 1023))), EXPONENT);
    const T usual = AND(LT(K(0), a), LT(a, K(INFINITY)));
    return SEL(usual, CALL(signed_as, MUL(near, FLOAT(scale)), x), x);
}

/* ---- Tangent ---- */

/* tan(r + low + k·π/2): that of r, as a pair, or −1 divided by it, corrected by what the quotient's product with the
 * pair lacks to −1. */
FN(V, tangent_of_rest, V r, V low, B k) {
    V t_low;
    const V z = MUL(r, r), rest = FMA(MUL(r, z), POLY(z, tan_narrow, tan_wide), FMA(low, z, low));
    const V t = CALL(pair_sum, r, rest, &t_low), over = DIV(K(-1), t);
    const V inverse = FMA(over, FMA(over, t_low, FMA(over, t, K(1))), over);
    return SEL(EQ(FLOAT(AND(SHL(k, BY_WIDTH(30, 62)), BITS(K(2)))), K(0)), t, inverse);
}

FN(V, tan_near, V x) {
    V low;
    B k;
    const V r = CALL(angle_rest, x, &low, &k);
    return CALL(tangent_of_rest, r, low, k);
}
MAP1(tan, x) { return RARELY(LT(K(AG_TRIG_MAX), ABS(x)), far_tangent, x, 0, SEL(EQ(x, K(0)), x, CALL(tan_near, x))); }

/* ---- Slopes of inverse functions: 1/(1 + c·x²) and its root, for c = ±1 ---- */

/* 1 − x² is rounded once, so that no digits cancel near ±1. */
MAP1_1(conic_slope, x, c) { return DIV(K(1), FMA(MUL(c, x), x, K(1))); }

/* The square does not overflow: beyond a power of two, x is divided by it. */
MAP1_1(root_slope, x, c) {
    const V a = ABS(x), bounded = MIN(K2(0x1p30, 0x1p60), a), square = FMA(MUL(c, bounded), bounded, K(1));
    return DIV(K(1), MUL(SQRT(square), MAX(K(1), MUL(a, K2(0x1p-30, 0x1p-60)))));
}

/* ---- Inverse trigonometric functions ---- */

/* arcsin of s = |x|, or where that is more than ½ of √((1 − |x|)/2), of which arcsin |x| is π/2 minus the double: s,
 * and rest with arcsin s = s + *rest. */
FN(V, arcsine_parts, V x, T far, V *rest) {
    const V a = ABS(x), w = SEL(far, FMA(a, K(-0.5), K(0.5)), MUL(x, x));
    const V s = SEL(far, SQRT(w), a), s_low = SEL(far, CALL(root_rest, s, w, K(0)), K(0));
    *rest = FMA(s, MUL(w, POLY(w, asin_narrow, asin_wide)), s_low);
    return s;
}

/* base + u + v, u and v being rest times the same, |base| > |u| or 0. */
FN(V, angle_sum, V base, V base_low, V u, V v) {
    V lost;
    const V y = CALL(pair_sum, base, u, &lost);
    return ADD(y, ADD(lost, ADD(base_low, v)));
}

MAP1(asin, x) {
    V rest;
    const T far = LT(K(0.5), ABS(x));
    const V s = CALL(arcsine_parts, x, far, &rest), scale = SEL(far, K(-2), K(1));
    const V y =
        CALL(angle_sum, SEL(far, HALF_PI(1), K(0)), SEL(far, HALF_PI_LOW(1), K(0)), MUL(scale, s), MUL(scale, rest));
    return CALL(signed_as, y, x);
}
MAP1(acos, x) {
    V rest;
    const T far = LT(K(0.5), ABS(x)), negative = LT(x, K(0));
    const V s = CALL(arcsine_parts, x, far, &rest);
    const V scale = SEL(far, SEL(negative, K(-2), K(2)), SEL(negative, K(1), K(-1)));
    const V base = SEL(far, SEL(negative, HALF_PI(2), K(0)), HALF_PI(1));
    const V base_low = SEL(far, SEL(negative, HALF_PI_LOW(2), K(0)), HALF_PI_LOW(1));
    return CALL(angle_sum, base, base_low, MUL(scale, s), MUL(scale, rest));
}

/* base + sign·arctan(n/d) for 0 <= n <= d, d finite and not 0. */
FN(V, arctangent, V n, V d, V base, V base_low, V sign) {
    const V q = DIV(n, d), z = MUL(q, q), q_low = DIV(FMA(NEG(q), d, n), d);
    const V rest = FMA(MUL(q, z), POLY(z, atan_narrow, atan_wide), FMA(MUL(q_low, z), K(-0.5), q_low));
    return CALL(angle_sum, base, base_low, MUL(sign, q), MUL(sign, rest));
}
MAP1(atan, x) {
    const V a = ABS(x), bounded = MIN(K2(0x1p60, 0x1p200), a);
    const T far = LT(K(1), a);
    const V y = CALL(arctangent, SEL(far, K(1), a), SEL(far, bounded, K(1)), SEL(far, HALF_PI(1), K(0)),
                     SEL(far, HALF_PI_LOW(1), K(0)), SEL(far, K(-1), K(1)));
    return CALL(signed_as, y, x);
}

/* The angle of the point (b, a). The quotient of the smaller and the larger magnitude is 1 where both are infinite,
 * and 0 where both are 0; both are scaled where the residual of the quotient would be subnormal. */
MAP2(atan2, a, b) {
    const V above = ABS(a), beside = ABS(b);
    const T steep = LT(beside, above), left = LT(FLOAT(OR(AND(BITS(b), SIGN), ONE)), K(0));
    const V small = SEL(steep, beside, above), large = SEL(steep, above, beside);
    const T infinite = EQ(large, K(INFINITY)), none = EQ(large, K(0));
    const V scale = SEL(LT(large, K2(0x1p-60, 0x1p-500)), K2(0x1p60, 0x1p500), K(1));
    const V n = SEL(infinite, SEL(LT(small, K(INFINITY)), K(0), MIN(K(1), small)), MUL(small, scale));
    const V d = SEL(OR(infinite, none), K(1), MUL(large, scale));
    const V base = SEL(steep, HALF_PI(1), SEL(left, HALF_PI(2), K(0)));
    const V base_low = SEL(steep, HALF_PI_LOW(1), SEL(left, HALF_PI_LOW(2), K(0)));
    const V sign = SEL(steep, SEL(left, K(1), K(-1)), SEL(left, K(-1), K(1)));
    return CALL(signed_as, CALL(arctangent, n, d, base, base_low, sign), a);
}

/* b/(a² + b²) by the quotient r of the smaller and the larger: of 1 and r the one that belongs to b, divided by the
 * larger and by 1 + r². 0 where one is infinite, NaN where both are 0. */
MAP2(angle_slope, a, b) {
    const T steep = LT(ABS(b), ABS(a));
    const V large = SEL(steep, a, b), r = DIV(SEL(steep, b, a), large);
    return DIV(DIV(SEL(steep, r, K(1)), large), FMA(r, r, K(1)));
}

/* ---- Hyperbolic functions ---- */

/* sinh |x| or cosh x: with |x| = n·ln 2 + r, h = 2^(n−2) and l = 2^(−n−2), half of it is (h ∓ l)·cosh r + (h ± l)·sinh
 * r. Where n is large, l is something else that is as small beside h. All terms behind the first and that with r alone
 * are small, so that their rounding hardly matters. */
FN(V, hyperbolic, V x, bool odd) {
    B bits;
    const V shift = K2(0x1.8p23 + 125, 0x1.8p52 + 1021);
    const V r = CALL(exp_rest, MIN(K2(89.5, 710.5), ABS(x)), shift, &bits), z = MUL(r, r);
    const V n = SUB(FLOAT(bits), shift);
    const V h = FLOAT(SHL(bits, EXPONENT)), l = FLOAT(SHL(BITS(SUB(shift, MIN(K(60), n))), EXPONENT));
    V lost;
    const V a = CALL(pair_sum, h, odd ? NEG(l) : l, &lost), b = odd ? ADD(h, l) : SUB(h, l);
    const V s = MUL(MUL(r, z), POLY(z, sinh_narrow, sinh_wide)), c = MUL(z, POLY(z, cosh_narrow, cosh_wide));
    const V half = ADD(a, FMA(b, r, FMA(b, s, FMA(a, c, lost))));
    return ADD(half, half);
}
MAP1(sinh, x) { return SEL(LT(ABS(x), K2(0x1p-13, 0x1p-27)), x, CALL(signed_as, CALL(hyperbolic, x, true), x)); }
MAP1(cosh, x) { return CALL(hyperbolic, x, false); }

/* ---- Inverse hyperbolic functions ---- */

/* ln(2^more·(v + low)) for a finite v >= ½; where the result is near 0 it has as many digits as elsewhere. */
FN(V, log_of_pair, V v, V low, double more) {
    V k, f_low, lost;
    B exponent;
    const V m = CALL(log_split, v, W2(0x3f400000, 0x3fe6a09e667f3bcd), &k, &exponent);
    const V scale = FLOAT(BSUB(W2(0x40800000, 0x4010000000000000), exponent)); /* 2^(2 − k), which never underflows */
    const V f = CALL(pair_sum, SUB(m, K(1)), MUL(MUL(low, K(0.25)), scale), &f_low);
    const V t = CALL(log_head, f, ADD(k, K(more * BY_WIDTH(0x1p23, 1))), &lost);
    return ADD(t, CALL(log_tail, f, ADD(lost, f_low)));
}

/* ln(a + √(a² + c)) for a >= 0, c = ±1: the sum is computed halved, so that it does not overflow. */
FN(V, area, V a, double c) {
    V square_low, w_low, v_low;
    const T big = LT(K2(0x1p13, 0x1p28), a);
    const V square = CALL(pair_product, a, a, &square_low);
    const V w = CALL(pair_sum_of_any, square, K(c), &w_low), root = SQRT(w);
    const V rest = CALL(root_rest, root, w, ADD(w_low, square_low));
    const V s = SEL(big, a, root), s_low = SEL(big, K(0), rest);
    const V v = CALL(pair_sum_of_any, MUL(a, K(0.5)), MUL(s, K(0.5)), &v_low);
    return CALL(log_of_pair, v, FMA(s_low, K(0.5), v_low), 1);
}

/* x − x³/6 for small x. */
MAP1(asinh, x) {
    const V a = ABS(x), far = SEL(LT(a, K(INFINITY)), CALL(area, a, 1), a);
    const V near = FMA(MUL(MUL(a, a), a), K2(-0x1.555556p-3, -0x1.5555555555555p-3), a);
    return CALL(signed_as, SEL(LT(a, K2(0x1p-7, 0x1p-14)), near, far), x);
}
MAP1(acosh, x) { return SEL(LT(x, K(1)), K(NAN), SEL(LT(x, K(INFINITY)), CALL(area, x, -1), x)); }

/* ½·ln(1 + u) with u = 2a/(1 − a) as a pair; as in log1p, only the last digits of f are rounded. */
MAP1(atanh, x) {
    const V a = ABS(x), d = SUB(K(1), a), d_low = SUB(SUB(K(1), d), a);
    V u_low, k, lost;
    B exponent;
    const V u = CALL(pair_quotient, ADD(a, a), d, d_low, DIV(K(1), d), &u_low);
    CALL(log_split, ADD(K(1), u), W2(0x3f400000, 0x3fe6a09e667f3bcd), &k, &exponent);
    const V scaled = FLOAT(BSUB(BITS(u), exponent)), scale = FLOAT(BSUB(ONE, exponent)), above = SUB(scale, K(1));
    const V f = ADD(scaled, above), f_low = FMA(u_low, scale, SUB(scaled, SUB(f, above)));
    const V t = CALL(log_head, f, k, &lost), y = MUL(ADD(t, CALL(log_tail, f, ADD(lost, f_low))), K(0.5));
    return CALL(signed_as, SEL(LT(a, K(1)), y, SEL(EQ(a, K(1)), K(INFINITY), K(NAN))), x);
}

/* ---- The error function and its family ---- */

/* e^(v + low) as 2^n·(1 + r + rest): returns r and sets *bits to n + bias in its low bits. */
FN(V, exp_parts, V v, V low, V shift, V *rest, B *bits) {
    const V t = FMA(v, K2(0x1.715476p+0, 0x1.71547652b82fep+0), shift), n = SUB(t, shift);
    V r_low;
    *bits = BITS(t);
    const V head = FMA(n, K2(-0x1.62e430p-1, -0x1.62e42fefa39efp-1), v);
    const V r = CALL(pair_sum, head, FMA(n, K2(0x1.05c610p-29, -0x1.abc9e3b39803fp-56), low), &r_low);
    *rest = FMA(MUL(r, r), CALL(exp_tail, r), r_low);
    return r;
}

/* (y + y_low)·e^(v + low) for v in [−130, 0] (f64: [−800, 0]), scaled as in exp_fall. */
FN(V, times_exp_fall, V y, V y_low, V v, V low) {
    B bits;
    V rest;
    const V r = CALL(exp_parts, v, low, K2(0x1.8p23 + 191, 0x1.8p52 + 1535), &rest, &bits);
    const V z = ADD(y, FMA(y, r, FMA(y, rest, FMA(y_low, r, y_low))));
    return MUL(MUL(z, FLOAT(SHL(bits, EXPONENT))), K2(0x1p-64, 0x1p-512));
}

/* erf x for |x| < 0.52 as a pair, w being x²: x·(2/√π + w·q(w)). */
FN(V, erf_near, V x, V w, V *low) {
    const V two = K2(0x1.20dd76p+0, 0x1.20dd750429b6dp+0), y = MUL(x, two);
    const V c_low = K2(-0x1.f7ac92p-25, 0x1.1ae3a914fed8p-56);
    *low = FMA(x, FMA(w, POLY(w, erf_narrow, erf_wide), c_low), FMA(x, two, NEG(y)));
    return y;
}

/* |x| up to which 1 − erf x is more exact. */
#define ERF_NEAR K(0.515625)

/* e^a²·erfc a for a >= ½ as a pair: P/(a + k), where P is a polynomial of t = (a − k − 1)/(a + k), which is between
 * −1 and 1. From the error e of 1/(a + k) follow those of the quotient and, by a rough slope of P, that of P. */
FN(V, erfcx_far, V a, V *low) {
    V d_low;
    const V d = CALL(pair_sum_of_any, a, K2(2, 3), &d_low), over = DIV(K(1), d), t = FMA(over, K2(-5, -7), K(1));
    const V e = FMA(NEG(over), d_low, FMA(NEG(over), d, K(1)));
    const V c0 = K2(0x1.ca3e32p-1, 0x1.eb018ce4f8a53p-1), q = POLY(t, erfcx_narrow, erfcx_wide), p = FMA(q, t, c0);
    const V slope = POLY(t, erfcx_slopes_narrow, erfcx_slopes_wide), t_low = MUL(MUL(over, e), K2(-5, -7));
    const V p_low = FMA(t_low, slope, FMA(q, t, SUB(c0, p))), y = MUL(p, over);
    *low = FMA(p_low, over, FMA(y, e, FMA(p, over, NEG(y))));
    return y;
}

/* erfc a for a >= ½, to 0. */
FN(V, erfc_far, V a) {
    V square_low, low;
    const V bounded = MIN(K2(11, 28), a), y = CALL(erfcx_far, bounded, &low);
    const V square = CALL(pair_product, bounded, bounded, &square_low);
    return CALL(times_exp_fall, y, low, NEG(square), NEG(square_low));
}

/* 1 − erf x for |x| < 0.52. */
FN(V, erfc_near, V x, V w) {
    V low, lost;
    const V e = CALL(erf_near, x, w, &low), y = CALL(pair_sum, K(1), NEG(e), &lost);
    return ADD(y, SUB(lost, low));
}

MAP1(erf, x) {
    V low;
    const V a = ABS(x), e = CALL(erf_near, a, MUL(a, a), &low);
    const V y = SEL(LT(a, ERF_NEAR), ADD(e, low), SUB(K(1), CALL(erfc_far, MAX(K(0.5), a))));
    return CALL(signed_as, y, x);
}
MAP1(erfc, x) {
    const V a = ABS(x), far = CALL(erfc_far, MAX(K(0.5), a)), near = CALL(erfc_near, x, MUL(x, x));
    return SEL(LT(a, ERF_NEAR), near, SEL(LT(x, K(0)), SUB(K(2), far), far));
}
/* e^(−c·x²), c being a power of 2. */
MAP1_1(gaussian, x, c) {
    V low;
    const V bounded = MIN(K2(20, 50), ABS(x)), square = CALL(pair_product, bounded, bounded, &low);
    const V v = MAX(K2(-130, -800), NEG(MUL(c, square)));
    return CALL(times_exp_fall, K(1), K(0), v, NEG(MUL(c, low)));
}

#undef COUNT
#undef POLY
#undef EXPONENT
#undef SIGN
#undef ONE
#undef ERF_NEAR
#undef THIRD
#undef LEAST_NORMAL
#undef HALF_PI
#undef HALF_PI_LOW

#endif

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "ops/special_formulas.h"
#endif
