/* special_formulas -- formulas of special functions: text for every domain, which includes itself
 *
 * A polynomial is a table of coefficients, the highest power first, one for f32 and one for f64. All are minimax fits
 * made for this file by tests/fit_special.py, which says of each what it approximates and how closely. Where two parts
 * of a domain have the same form, a selection of the argument comes before one polynomial, because a step that selects
 * is cheaper than a second polynomial. */
#include "autograd/tape/words.h"

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
static const double erfcx_slope_narrow[] = {-0x1.418f32p-16, 0x1.d18cdcp-15, 0x1.704c48p-13, -0x1.a4e8a8p-12,
                                            -0x1.40d974p-10, 0x1.370f06p-9,  0x1.08853ep-7,  -0x1.5db1b8p-6,
                                            -0x1.4e2f62p-5,  0x1.208cb8p-2,  -0x1.40a282p-1, 0x1.5bfb82p-1};
static const double erfcx_slope_wide[] = {
    0x1.1749f50848167p-32, 0x1.090bfe2a112efp-30,  -0x1.81c0279a50c6fp-29, -0x1.8c74a88c7ed79p-27,
    0x1.02fd8426942fep-26, 0x1.69920539b159bp-24,  -0x1.cdc4273b36ff4p-25, -0x1.1d736d46f410bp-21,
    0x1.54d3e2e712a83p-23, 0x1.c2fc8b9f3fb41p-19,  -0x1.eaf6ebe047a78p-21, -0x1.78f9f2367fe0bp-16,
    0x1.f5f8bb915fc49p-17, 0x1.46c0267ee3bbp-13,   -0x1.15803c53ea4bbp-12, -0x1.e6955d7d7092bp-11,
    0x1.04bd4503ed8adp-8,  -0x1.58ad7fa64ebaep-11, -0x1.3d5ec9d93461dp-5,  0x1.5454287de8e6fp-3,
    -0x1.ae4819b16d5c2p-2, 0x1.818db0c996044p-1,   -0x1.f29cb425d8288p-1,  0x1.9637fcc0c9ecp-1};
static const double erfinv_narrow[] = {0x1.aef59p-4, 0x1.8fd4b2p-6, 0x1.2046aep-4,
                                       0x1.605c2p-4, 0x1.054852p-3, 0x1.db29cep-3};
static const double erfinv_wide[] = {
    0x1.28f9434b0aceep-3, -0x1.1f5df27d41ceep-3, 0x1.f22f31cb260d9p-4, -0x1.1b8f1f6f2ddbdp-6, 0x1.243d52bcc7315p-5,
    0x1.a9cb1c757618dp-6, 0x1.05c47d9b4fe12p-5,  0x1.2a860d346976ap-5, 0x1.5eee97add96e3p-5,  0x1.a7c83480372f8p-5,
    0x1.0a13193114663p-4, 0x1.62847c45511ep-4,   0x1.053c2c0abbee6p-3, 0x1.db29fb2fee5c1p-3};
static const double erfcinv_narrow[] = {0x1.a2c33p-19,  0x1.eba88ap-22, -0x1.fd92a6p-16, -0x1.93f0c8p-14,
                                        0x1.af066ap-13, 0x1.0343e2p-9,  0x1.d1007p-9,    -0x1.32ad26p-5,
                                        -0x1.7265d6p-3, -0x1.ab7c12p-3};
static const double erfcinv_wide[] = {-0x1.c56482d24a057p-38, 0x1.e14a09ebda748p-37,  -0x1.3ddfa76379036p-38,
                                      -0x1.436574f473fddp-34, -0x1.ae5103a188e3ep-34, 0x1.7d071701288e7p-30,
                                      0x1.137b9ac9a01bcp-29,  -0x1.47b95fc9f5cf2p-28, -0x1.dc9fd47191ff4p-25,
                                      -0x1.898cd5a671ef6p-25, 0x1.ca7f4f703a472p-22,  0x1.326b3bb98c239p-19,
                                      -0x1.0e3a83315b0adp-21, -0x1.d7f035062ce0ep-16, -0x1.9040d9e525ec3p-14,
                                      0x1.ab13776870f2dp-13,  0x1.0338867534921p-9,   0x1.d113d77efe939p-9,
                                      -0x1.32ad0d6479206p-5,  -0x1.7265dc746ce65p-3,  -0x1.ab7c1220ba0c3p-3};
static const double erfcinv_far_narrow[] = {-0x1.c02ceep-16, -0x1.af0e66p-14, -0x1.552262p-11, -0x1.764eb6p-9,
                                            -0x1.99aeap-7,   -0x1.b4c7cep-6,  -0x1.33ea52p-6};
static const double erfcinv_far_wide[] = {
    -0x1.d691a7a6cd33fp-34, 0x1.d136356e9dbcfp-33,  0x1.31360b899c701p-32,  -0x1.51d4f74283bb5p-31,
    -0x1.6a4931359691ep-31, 0x1.9592c3666f6d7p-30,  0x1.f62c7c40837cep-35,  -0x1.04a9cf885e6f2p-31,
    -0x1.04d9de8aa3acdp-29, 0x1.0f6e4176e6bcep-28,  -0x1.85905300a89p-28,   0x1.89d4f366eeffp-27,
    -0x1.6e72bab0f8562p-26, 0x1.d2c4f5ea071d9p-25,  -0x1.470b45a975c5bp-24, 0x1.16c0df66f63ddp-22,
    -0x1.529f6e79e428fp-21, -0x1.4d26401d2b465p-20, -0x1.6bfb8e31314cbp-16, -0x1.c4a0e509cc2e1p-14,
    -0x1.542724af64587p-11, -0x1.764ef36999285p-9,  -0x1.99af7480ed302p-7,  -0x1.b4c7c79ce3e6ap-6,
    -0x1.33ea522d3e709p-6};

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
    return CALL(times_power, p, shifted);
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
    V t;
    const V shift = K2(0x1.8p23 + 125, 0x1.8p52 + 1021);
    const V r = CALL(exp_rest, MIN(K2(89.5, 710.5), ABS(x)), shift, &t), z = MUL(r, r), n = SUB(t, shift);
    const V h = FLOAT(SHL(BITS(t), EXPONENT)), l = FLOAT(SHL(BITS(SUB(shift, MIN(K(60), n))), EXPONENT));
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
    const V f = CALL(pair_sum, SUB(m, K(1)), MUL(MUL(low, scale), K(0.25)), &f_low);
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

/* (y + y_low)·e^(v + low), scaled as in exp_fall: up by the first factor, and back by the second; and, if it is wanted,
 * what rounding it lost. */
FN(V, times_exp, V y, V y_low, V v, V low, V shift, V back, V *lost) {
    B bits;
    V rest;
    const V r = CALL(exp_parts, v, low, shift, &rest, &bits);
    const V small = FMA(y, rest, FMA(y_low, r, y_low)), more = FMA(y, r, small), z = ADD(y, more);
    const V scale = FLOAT(SHL(bits, EXPONENT));
    if (lost) *lost = MUL(MUL(ADD(SUB(more, SUB(z, y)), FMA(y, r, SUB(small, more))), scale), back);
    return MUL(MUL(z, scale), back);
}

/* For v in [−130, 0] (f64: [−800, 0]), and in [0, 130] ([0, 800]). */
FN(V, times_exp_fall, V y, V y_low, V v, V low, V *lost) {
    return CALL(times_exp, y, y_low, v, low, K2(0x1.8p23 + 191, 0x1.8p52 + 1535), K2(0x1p-64, 0x1p-512), lost);
}
FN(V, times_exp_rise, V y, V y_low, V v, V low) {
    return CALL(times_exp, y, y_low, v, low, K2(0x1.8p23 + 63, 0x1.8p52 + 511), K2(0x1p64, 0x1p512), NULL);
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
 * −1 and 1. From the error e of 1/(a + k) follow those of the quotient and, by a rough slope of P, that of P. Where
 * |u| is over 1, the larger summand of t, that sum is exact. */
FN(V, erfcx_far, V a, V *low) {
    V d_low, u_low, t_rest;
    const V d = CALL(pair_sum_of_any, a, K2(2, 3), &d_low), over = DIV(K(1), d);
    const V e = FMA(NEG(over), d_low, FMA(NEG(over), d, K(1)));
    const V u = CALL(pair_product, over, K2(-5, -7), &u_low), t = CALL(pair_sum, K(1), u, &t_rest);
    const V c0 = K2(0x1.ca3e32p-1, 0x1.eb018ce4f8a53p-1), q = POLY(t, erfcx_narrow, erfcx_wide), p = FMA(q, t, c0);
    const V slope = POLY(t, erfcx_slopes_narrow, erfcx_slopes_wide), t_low = FMA(u, e, ADD(t_rest, u_low));
    const V p_low = FMA(t_low, slope, FMA(q, t, SUB(c0, p))), y = MUL(p, over);
    *low = FMA(p_low, over, FMA(y, e, FMA(p, over, NEG(y))));
    return y;
}

/* erfc a for a >= ½, to 0. */
FN(V, erfc_far, V a) {
    V square_low, low;
    const V bounded = MIN(K2(11, 28), a), y = CALL(erfcx_far, bounded, &low);
    const V square = CALL(pair_product, bounded, bounded, &square_low);
    return CALL(times_exp_fall, y, low, NEG(square), NEG(square_low), NULL);
}

/* 1 + sign·erf x for |x| < 0.52 as a pair. */
FN(V, one_and_erf, V x, V w, V sign, V *low) {
    V e_low, lost;
    const V e = CALL(erf_near, x, w, &e_low), y = CALL(pair_sum, K(1), MUL(sign, e), &lost);
    return CALL(pair_sum, y, FMA(sign, e_low, lost), low);
}

MAP1(erf, x) {
    V low;
    const V a = ABS(x), e = CALL(erf_near, a, MUL(a, a), &low);
    const V y = SEL(LT(a, ERF_NEAR), ADD(e, low), SUB(K(1), CALL(erfc_far, MAX(K(0.5), a))));
    return CALL(signed_as, y, x);
}
MAP1(erfc, x) {
    V low;
    const V a = ABS(x), far = CALL(erfc_far, MAX(K(0.5), a)), near = CALL(one_and_erf, x, MUL(x, x), K(-1), &low);
    return SEL(LT(a, ERF_NEAR), ADD(near, low), SEL(LT(x, K(0)), SUB(K(2), far), far));
}
/* e^(−c·x²), c being a power of 2. */
MAP1_1(gaussian, x, c) {
    V low;
    const V bounded = MIN(K2(20, 50), ABS(x)), square = CALL(pair_product, bounded, bounded, &low);
    const V v = MAX(K2(-130, -800), NEG(MUL(c, square)));
    return CALL(times_exp_fall, K(1), K(0), v, NEG(MUL(c, low)), NULL);
}

/* ---- Scaled by e^x² ---- */

/* e^a²·erfc a for a >= ½, to ∞, where it is 1/(√π·a). */
FN(V, erfcx_of_large, V a) {
    V low;
    const V big = K2(0x1p60, 0x1p500), y = CALL(erfcx_far, MIN(big, a), &low);
    return SEL(LT(big, a), DIV(K2(0x1.20dd76p-1, 0x1.20dd750429b6dp-1), a), ADD(y, low));
}

/* (y + *low)·e^x², for |x| < 0.52 1 − erf x in place of y; to overflow. */
FN(V, grown, V x, T near, V y) {
    V low, square_low;
    const V bounded = MIN(K2(10, 28), ABS(x)), square = CALL(pair_product, bounded, bounded, &square_low);
    const V rest = CALL(one_and_erf, x, MUL(x, x), K(-1), &low);
    return CALL(times_exp_rise, SEL(near, rest, y), SEL(near, low, K(0)), square, square_low);
}

/* For x < 0, 2·e^x² − erfcx(−x). */
FN(V, erfcx, V x) {
    const V a = ABS(x), far = CALL(erfcx_of_large, MAX(K(0.5), a));
    const T near = LT(a, ERF_NEAR);
    const V y = CALL(grown, x, near, K(2));
    return SEL(near, y, SEL(LT(x, K(0)), SUB(y, far), far));
}
MAP1(erfcx, x) { return CALL(erfcx, x); }

/* e^a²·(1/√π − a·e^a²·erfc a), which is −½ times the slope of erfcx, for a >= ½ to ∞: P/(a + k)². */
FN(V, erfcx_fall, V a) {
    const V over = DIV(K(1), ADD(a, K2(2, 3))), t = FMA(over, K2(-5, -7), K(1));
    return MUL(MUL(POLY(t, erfcx_slope_narrow, erfcx_slope_wide), over), over);
}

/* The slope of erfcx, below ½ 2·x·y − 2/√π. */
MAP1(erfcx_slope, x) {
    const V a = ABS(x), near = CALL(erfcx, MIN(K(0.5), x)), far = CALL(erfcx_fall, MAX(K(0.5), a));
    const V two = K2(0x1.20dd76p+0, 0x1.20dd750429b6dp+0), two_low = K2(-0x1.f7ac92p-25, 0x1.1ae3a914fed8p-56);
    return SEL(LT(K(0.5), x), MUL(K(-2), far), SUB(FMA(ADD(x, x), near, NEG(two)), two_low));
}

/* ---- The normal distribution ---- */

/* |x|/√2 as a pair. */
FN(V, over_root_2, V a, V *low) {
    const V c = K2(0x1.6a09e6p-1, 0x1.6a09e667f3bcdp-1), y = MUL(a, c);
    *low = FMA(a, K2(0x1.9fcef4p-27, -0x1.bdd3413b26456p-55), FMA(a, c, NEG(y)));
    return y;
}

/* e^u²·erfc u for u = a/√2 >= ½ as a pair; a rough slope corrects for the rounding of u. */
FN(V, scaled_tail, V a, V *low) {
    V u_low;
    const V u = CALL(over_root_2, a, &u_low), y = CALL(erfcx_far, u, low);
    *low = FMA(MUL(MUL(y, y), K(-1.75)), u_low, *low);
    return y;
}

/* (y + low)·e^(−x²/2) */
FN(V, times_gaussian, V y, V low, V a, V *lost) {
    V square_low;
    const V square = CALL(pair_product, a, a, &square_low);
    return CALL(times_exp_fall, y, low, MUL(K(-0.5), square), MUL(K(-0.5), square_low), lost);
}

/* |x| up to which erf(x/√2) is by erf_near. */
#define NDTR_NEAR K(0.71875)
#define NDTR_FAR MAX(K(0.71875), a)

/* scale·Φ(−a) for a > 0.71, to 0; Φ(−a) is half of the tail that erfc is. *lost as in times_exp. */
FN(V, ndtr_tail, V a, V scale, V *lost) {
    V low, product_low;
    const V bounded = MIN(K2(15, 40), NDTR_FAR), y = CALL(scaled_tail, bounded, &low);
    const V half = MUL(scale, K(0.5)), product = CALL(pair_product, half, y, &product_low);
    return CALL(times_gaussian, product, FMA(half, low, product_low), bounded, lost);
}

/* 2·Φ(x) for |x| < 0.72 as a pair. */
FN(V, ndtr_near, V x, V *low) {
    V u_low;
    const V u = CALL(over_root_2, x, &u_low), w = MUL(u, u);
    const V y = CALL(one_and_erf, u, w, K(1), low);
    *low = FMA(u_low, FMA(K(-0x1.147ae2p+0), w, K(0x1.20c49cp+0)), *low);
    return y;
}

MAP1(ndtr, x) {
    V low;
    const V a = ABS(x), tail = CALL(ndtr_tail, a, K(1), NULL), near = CALL(ndtr_near, x, &low);
    return SEL(LT(a, NDTR_NEAR), MUL(ADD(near, low), K(0.5)), SEL(LT(x, K(0)), tail, SUB(K(1), tail)));
}

/* x·Φ(x), above 0 x less what it is for −x. At −∞ it is ∞·0, as PyTorch has it. */
MAP1(gelu, x) {
    V low;
    const V a = ABS(x), tail = CALL(ndtr_tail, a, MIN(K2(15, 40), a), NULL), near = CALL(ndtr_near, x, &low);
    const V half = MUL(x, K(0.5)), far = SEL(LT(x, K(0)), FMA(K(0), x, NEG(tail)), SUB(x, tail));
    return SEL(LT(a, NDTR_NEAR), FMA(half, near, MUL(half, low)), far);
}

/* ln Φ(x) by pairs: far below 0 of ½·e^u²·erfc u, less x²/2; far above of 1 − Φ(−x). */
MAP1(log_ndtr, x) {
    V far_low, near_low, above_low, lost;
    const V a = ABS(x), far = CALL(scaled_tail, MIN(K2(0x1p60, 0x1p500), NDTR_FAR), &far_low);
    const V near = CALL(ndtr_near, MIN(K(0.75), MAX(K(-0.75), x)), &near_low);
    const V above = CALL(pair_sum, K(2), NEG(CALL(ndtr_tail, a, K(2), &lost)), &above_low);
    const T outside = LE(NDTR_NEAR, a), below = LE(NDTR_NEAR, NEG(x));
    const V twice = SEL(outside, SEL(below, far, above), near),
            low = SEL(outside, SEL(below, far_low, SUB(above_low, lost)), near_low);
    const V h = SEL(below, a, K(0)), y = CALL(log_of_pair, MUL(twice, K(0.5)), MUL(low, K(0.5)), 0);
    return FLOAT(OR(BITS(FMA(h, MUL(h, K(-0.5)), y)), SIGN));
}

/* φ(x)/Φ(x), the slope of ln Φ(x); far below 0 √(2/π)/erfcx u. */
#define ROOT_2_OVER_PI K2(0x1.988454p-1, 0x1.9884533d43651p-1)
MAP1(mills, x) {
    V low, near_low;
    const V a = ABS(x), bounded = MIN(K2(0x1p60, 0x1p500), NDTR_FAR);
    const V far = CALL(erfcx_of_large, CALL(over_root_2, bounded, &low));
    const V near = CALL(ndtr_near, MIN(K(0.75), MAX(K(-0.75), x)), &near_low);
    const V twice = SEL(LT(a, NDTR_NEAR), ADD(near, near_low), SUB(K(2), CALL(ndtr_tail, a, K(2), NULL)));
    const V peak = CALL(times_gaussian, ROOT_2_OVER_PI, K(0), MIN(K2(15, 40), a), NULL);
    return SEL(LT(NDTR_NEAR, NEG(x)), MUL(DIV(ROOT_2_OVER_PI, far), DIV(a, bounded)), DIV(peak, twice));
}

/* x + φ(x)/Φ(x) for y = φ(x)/Φ(x): far below 0, where these cancel, by the ratio of erfcx and its slope. */
MAP2(mills_rest, x, y) {
    V low;
    const V a = MAX(K(0.71875), NEG(x)), bounded = MIN(K2(0x1p60, 0x1p500), a), u = CALL(over_root_2, bounded, &low);
    const V ratio = DIV(CALL(erfcx_fall, u), CALL(erfcx_of_large, u));
    const V far = MUL(MUL(ratio, K2(0x1.6a09e6p+0, 0x1.6a09e667f3bcdp+0)), DIV(bounded, a));
    return SEL(LT(NDTR_NEAR, NEG(x)), far, ADD(x, y));
}

/* ---- Inverses ---- */

/* ln x rounded for a finite x > 0, and what that lost. */
FN(V, log_pair, V x, V *low) {
    V k, lift, lost;
    B exponent;
    const V normal = CALL(log_normal, x, &lift);
    const V f = SUB(CALL(log_split, normal, W2(0x3f400000, 0x3fe6a09e667f3bcd), &k, &exponent), K(1));
    const V t = CALL(log_head, f, SUB(k, lift), &lost);
    return CALL(pair_sum, t, CALL(log_tail, f, lost), low);
}

/* The y >= 0 with erf y = x, 1 − x being q, without *low: up to ½ or so x·P(x²), beyond s + s·P for s = √(−ln q). */
#define ERFINV_NEAR K(0x1.0a8p-1)
FN(V, erfinv_parts, V x, V q, V *low) {
    V l_low, d_low;
    const V a = MIN(ERFINV_NEAR, x), w = MUL(a, a), c = K2(0x1.c5bf8ap-1, 0x1.c5bf891b4ef6bp-1), y = MUL(a, c);
    const V y_low = FMA(a, K2(-0x1.c96212p-26, -0x1.618f13eb7ca89p-55), FMA(a, c, NEG(y)));
    const V l = CALL(log_pair, MIN(K(0.5), q), &l_low), s = SQRT(NEG(l)),
            s_low = CALL(root_rest, s, NEG(l), NEG(l_low));
    const V d = CALL(pair_sum_of_any, s, K(1), &d_low), r = DIV(K(1), d), t = FMA(r, K(6), K(-2.25));
    const V e = FMA(NEG(r), ADD(d_low, s_low), FMA(NEG(r), d, K(1))),
            slope = FMA(t, K(-0x1.ccccccp-2), K(-0x1.15c29p+0));
    const int terms = BY_WIDTH(COUNT(erfcinv_narrow), COUNT(erfcinv_wide)) - 1;
    const double *table = BY_WIDTH(erfcinv_narrow, erfcinv_wide);
    const V head = CALL(poly, t, table, terms), c0 = K(table[terms]), p = FMA(head, t, c0);
    const V p_low = FMA(MUL(e, r), slope, FMA(head, t, SUB(c0, p)));
    const V t_far = FMA(DIV(K(1), ADD(s, K(3))), K(18), K(-1.5625));
    const V p_far = POLY(t_far, erfcinv_far_narrow, erfcinv_far_wide);
    const T far = LT(ERFINV_NEAR, x);
    V more_low, far_low;
    const T wide = LT(s, K(4));
    const V more = CALL(pair_product, s, SEL(wide, p, p_far), &more_low);
    const V y_far = CALL(pair_sum, s, more, &far_low), rest = FMA(s, SEL(wide, p_low, K(0)), ADD(more_low, s_low));
    const V near_low = FMA(MUL(a, w), POLY(w, erfinv_narrow, erfinv_wide), y_low);
    *low = SEL(far, ADD(far_low, rest), near_low);
    return SEL(far, y_far, y);
}

/* y, but ∞ where q is 0, and NaN below. */
FN(V, erfinv_ends, V y, V q) { return SEL(LT(K(0), q), y, SEL(EQ(q, K(0)), K(INFINITY), K(NAN))); }

FN(V, erfinv_of, V x, V q) {
    V low;
    const V y = CALL(erfinv_parts, x, q, &low);
    return CALL(erfinv_ends, ADD(y, low), q);
}

/* √π/2·e^y² for y as in erfinv_of; where q is small e^y² is erfcx(y)/q, and does not have the error of y². */
FN(V, erfinv_slope_of, V x, V q) {
    const V y = CALL(erfinv_of, x, q), half = K2(0x1.c5bf8ap-1, 0x1.c5bf891b4ef6bp-1), a = MIN(K(0.75), y);
    const V near = CALL(times_exp_rise, half, K(0), MUL(a, a), K(0));
    const V far = DIV(MUL(half, CALL(erfcx_of_large, MAX(K(0.5), y))), q);
    return SEL(LT(ERFINV_NEAR, x), SEL(EQ(q, K(0)), K(INFINITY), far), near);
}

MAP1(erfinv, x) {
    const V a = ABS(x);
    return CALL(signed_as, CALL(erfinv_of, a, SUB(K(1), a)), x);
}
MAP1(erfinv_slope, x) {
    const V a = ABS(x);
    return CALL(erfinv_slope_of, a, SUB(K(1), a));
}

/* √2·erfinv(2p − 1); 1 − |2p − 1| is twice the smaller of p and 1 − p. */
MAP1(ndtri, p) {
    V low;
    const V x = FMA(p, K(2), K(-1)), m = MIN(p, SUB(K(1), p)), q = ADD(m, m), y = CALL(erfinv_parts, ABS(x), q, &low);
    const V c = K2(0x1.6a09e6p+0, 0x1.6a09e667f3bcdp+0), c_low = K2(0x1.9fcef4p-26, -0x1.bdd3413b26456p-54);
    return CALL(signed_as, CALL(erfinv_ends, FMA(y, c, FMA(low, c, MUL(y, c_low))), q), x);
}
MAP1(ndtri_slope, p) {
    const V m = MIN(p, SUB(K(1), p)), c = K2(0x1.6a09e6p+1, 0x1.6a09e667f3bcdp+1);
    return MUL(CALL(erfinv_slope_of, ABS(FMA(p, K(2), K(-1))), ADD(m, m)), c);
}

#undef NDTR_NEAR
#undef NDTR_FAR
#undef ROOT_2_OVER_PI
#undef ERFINV_NEAR
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
