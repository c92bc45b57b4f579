/* gamma_formulas -- formulas of the gamma function's family: text for every domain, which includes itself
 *
 * The polynomials are minimax fits by tests/fit_special.py, as in special_formulas.h; the series for large x have the
 * exact coefficients of Stirling's. An argument below ½ is reflected to z = 1 − x, one below 8 is moved to w in [1, 2],
 * where a polynomial with the roots taken out keeps the relative accuracy near them. Only the roots between the poles
 * have none. */
#include "autograd/tape/words.h"

#include "autograd/functions.h"

#ifndef AG_GAMMA_TABLES
#define AG_GAMMA_TABLES

static const double lgamma_narrow[] = {-0x1.9023eap-10, 0x1.40e8aap-9,  -0x1.98684p-9, 0x1.5cfdf8p-8,  -0x1.353706p-7,
                                       0x1.1362cap-6,   -0x1.00799ep-5, 0x1.01af04p-4, -0x1.2aed06p-3, 0x1.eeb95cp-2};
static const double lgamma_wide[] = {0x1.4eb851b6873d8p-19,  -0x1.3929512289d0ep-16, 0x1.a76f6caed79b8p-16,
                                     -0x1.65c00b1603a45p-16, 0x1.3341e9e18e802p-15,  -0x1.1d4b693041415p-14,
                                     0x1.c1c7fe2d6c44ap-14,  -0x1.617932523b3d4p-13, 0x1.1c248df2ed324p-12,
                                     -0x1.cb5127b0dd5b4p-12, 0x1.750f663529e78p-11,  -0x1.313e4ce478923p-10,
                                     0x1.f814908adbb6fp-10,  -0x1.a50353a45b356p-9,  0x1.64f066b3dcce1p-8,
                                     -0x1.34dbda122f3d1p-7,  0x1.13342351fe249p-6,   -0x1.007aa83ceff6ep-5,
                                     0x1.01af62a292da3p-4,   -0x1.2aed059bd6083p-3,  0x1.eeb95b094c191p-2};
static const double digamma_narrow[] = {-0x1.09c54p-6, 0x1.87f9b2p-6,  -0x1.a7e47cp-6, 0x1.4273c4p-5,  -0x1.fc3b52p-5,
                                        0x1.8599d2p-4, -0x1.2fec52p-3, 0x1.ec9f64p-3,  -0x1.b1cb66p-2, 0x1.e6f0ccp-1};
static const double digamma_wide[] = {
    0x1.fc3d60ec3d48ap-14, -0x1.75ff6b4a5ac4ap-13, 0x1.874e526342addp-14, -0x1.2f5bdaa42bd35p-13,
    0x1.55b5fea0b9deep-12, -0x1.fda5811a82e6bp-12, 0x1.69e8194662446p-11, -0x1.0fb1ba4cf7874p-10,
    0x1.99dcefc2bec83p-10, -0x1.336deb68850d9p-9,  0x1.cd1f77e11597cp-9,  -0x1.5a06a3191317fp-8,
    0x1.03c0b0f9017p-7,    -0x1.8635640f0f4d5p-7,  0x1.256471621f43ep-6,  -0x1.b9f8b11b603dep-6,
    0x1.4de9aa17d3613p-5,  -0x1.fb44202a25013p-5,  0x1.8512e590384cep-4,  -0x1.2feeeb98a78d2p-3,
    0x1.eca189b8e6f76p-3,  -0x1.b1cb63005ee98p-2,  0x1.e6f0cbb873616p-1};
static const double sinpi_narrow[] = {0x1.94f392p-6, -0x1.86071ep-3, 0x1.9f9938p-1, -0x1.a51a5ap+0, 0x1p+0};
static const double sinpi_wide[] = {0x1.071b05d764171p-22, -0x1.d3e47d192dce1p-18, 0x1.37469bd81c0c5p-13,
                                    -0x1.338169895067bp-9, 0x1.ac6805cc66993p-6,   -0x1.86a8e47209fd8p-3,
                                    0x1.9f9cb402bc429p-1,  -0x1.a51a6625307d3p+0,  0x1p+0};
static const double cotpi_narrow[] = {-0x1.87f2bap+2, 0x1.60254ap-5,  -0x1.3d1d1ep+1, -0x1.f31916p+0,
                                      -0x1.04ecbp+1,  -0x1.150f5ep+1, -0x1.a51a7p+1};
static const double cotpi_wide[] = {
    -0x1.27f4687f7197p+4,  0x1.294dcaed1a43fp+4,  -0x1.e31227e419877p+3, 0x1.9dddd2eff03ebp+1,  -0x1.b6cda8d581adfp+1,
    -0x1.b9106bf8b18c7p+0, -0x1.04fc1f616e732p+1, -0x1.fefd348a710aep+0, -0x1.000da32feab05p+1, -0x1.000f9fd1b9c31p+1,
    -0x1.004132d1bab2ap+1, -0x1.010b369401a21p+1, -0x1.0470984c6a9ap+1,  -0x1.151322ac7cd5dp+1, -0x1.a51a6625307dap+1};
/* B(2k)/(2k·(2k − 1)) and B(2k)/2k, from k = 8 (9) down to 1. */
static const double stirling_terms[] = {-3617. / 122400, 1. / 156,  -691. / 360360, 1. / 1188,
                                        -1. / 1680,      1. / 1260, -1. / 360,      1. / 12};
static const double stirling_slopes[] = {43867. / 14364, -3617. / 8160, 1. / 12,   -691. / 32760, 1. / 132,
                                         -1. / 240,      1. / 252,      -1. / 120, 1. / 12};
/* The last three, as floats. */
#define AS_FLOAT(x) ((double)(float)(x))
static const double stirling_narrow[] = {AS_FLOAT(1. / 1260), AS_FLOAT(-1. / 360), AS_FLOAT(1. / 12)};
static const double slopes_narrow[] = {AS_FLOAT(1. / 252), AS_FLOAT(-1. / 120), AS_FLOAT(1. / 12)};
#undef AS_FLOAT
#endif

#if IS_REAL

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define POLY(x, narrow, wide) CALL(poly, x, BY_WIDTH(narrow, wide), BY_WIDTH(COUNT(narrow), COUNT(wide)))

/* x, or 1 − x where that is below ½; *d is x less the nearest whole number, with the sign of x
 * at 0. */
FN(V, gamma_reflected, V x, V *d) {
    *d = SEL(LT(ABS(x), K(0.5)), x, SUB(x, ROUND(x)));
    return SEL(LT(x, K(0.5)), SUB(K(1), x), x);
}

/* For z in [½, 8): w − 1 in [0, 1], where w is z less a whole number, or z + 1 for z < 1. Γ(z) is *over times Γ(w), or
 * for z < 1 divided by it; *num / *over is what ψ(z) is more than ψ(w). */
FN(V, gamma_moved, V z, V *num, V *over) {
    const T below = LT(z, K(1));
    V u = SEL(below, z, SUB(z, K(1)));
    *num = SEL(below, K(-1), K(0)), *over = SEL(below, z, K(1));
    for (int i = 0; i < 6; i++) {
        const T above = LT(K(1), u);
        *num = SEL(above, FMA(*num, u, *over), *num);
        *over = MUL(*over, SEL(above, u, K(1)));
        u = SUB(u, SEL(above, K(1), K(0)));
    }
    return u;
}

/* ln Γ(z) for z >= ½: at 8 and above (z − ½)·(ln z − 1) + (ln 2π − 1)/2 and Stirling's series. */
FN(V, lgamma_of_reflected, V z) {
    V num, over;
    const T far = LE(K(8), z);
    const V u = CALL(gamma_moved, z, &num, &over), lead = CALL(log, SEL(far, z, over)), r = DIV(K(1), z);
    const V near = MUL(MUL(u, SUB(u, K(1))), POLY(SUB(u, K(0.5)), lgamma_narrow, lgamma_wide));
    const V tail = FMA(r, POLY(MUL(r, r), stirling_narrow, stirling_terms), K2(0x1.acfe3ap-2, 0x1.acfe390c97d69p-2));
    const V by_series = FMA(SUB(z, K(0.5)), SUB(lead, K(1)), tail);
    return SEL(far, by_series, ADD(near, SEL(LT(z, K(1)), NEG(lead), lead)));
}

/* ln |π/sin πx| − ln Γ(1 − x) for x < ½; both are infinite far below 0, where every number is a pole. */
FN(V, lgamma_of_any, V x) {
    V d;
    const V z = CALL(gamma_reflected, x, &d), y = CALL(lgamma_of_reflected, z);
    const V sine = MUL(ABS(d), POLY(MUL(d, d), sinpi_narrow, sinpi_wide));
    const T pole = OR(EQ(d, K(0)), EQ(x, K(-INFINITY)));
    const V reflected = SEL(pole, K(INFINITY), SUB(NEG(CALL(log, sine)), y));
    return SEL(LT(x, K(0.5)), reflected, y);
}

MAP1(lgamma, x) { return CALL(lgamma_of_any, x); }

/* ψ(z) for z >= ½. The root is taken off in two parts. */
FN(V, digamma_of_reflected, V z) {
    V num, over;
    const V u = CALL(gamma_moved, z, &num, &over), r = DIV(K(1), z), v = MUL(r, r);
    const V root = K2(0x1.d8b618p-2, 0x1.d8b618d5af8fep-2) /* less 1 */,
            root_low = K2(0x1.ab5f2p-27, -0x1.1e563779a1f5bp-56);
    const V from_root = SUB(SUB(u, root), root_low);
    const V near = MUL(from_root, POLY(SUB(u, K(0.5)), digamma_narrow, digamma_wide));
    const V by_series = SUB(CALL(log, z), FMA(r, K(0.5), MUL(v, POLY(v, slopes_narrow, stirling_slopes))));
    return SEL(LE(K(8), z), by_series, ADD(near, DIV(num, over)));
}

/* ψ(1 − x) − π·cot πx for x < ½, where the cotangent is 1/d plus d times a polynomial in d². */
FN(V, digamma_of_any, V x) {
    V d;
    const V z = CALL(gamma_reflected, x, &d), y = CALL(digamma_of_reflected, z);
    const V reflected = SUB(FMA(NEG(d), POLY(MUL(d, d), cotpi_narrow, cotpi_wide), y), DIV(K(1), d));
    const V valid = SEL(AND(EQ(d, K(0)), LT(x, K(0))), K(NAN), reflected);
    return SEL(LT(x, K(0.5)), valid, y);
}

MAP1(digamma, x) { return CALL(digamma_of_any, x); }

/* The rest of ln Γ(z) after (z − ½)·ln z − z + ½·ln 2π, for z >= 8. */
FN(V, stirling_rest, V z) {
    const V r = DIV(K(1), z);
    return MUL(r, POLY(MUL(r, r), stirling_narrow, stirling_terms));
}

/* ln |B(s, l)| for s <= l, l >= 8, s + l >= 8: the large parts of Stirling's formula for l and s + l, and from 8 on for
 * s, are taken together. */
FN(V, lbeta_of_large, V s, V l) {
    const T both = LE(K(8), s);
    const V sum = ADD(s, l), rest = SUB(CALL(stirling_rest, l), CALL(stirling_rest, sum)), ratio = DIV(s, l);
    const V steep = FMA(SUB(K(0.5), l), CALL(log1p, ratio), rest);
    const V lead = CALL(log, SEL(both, DIV(ratio, ADD(K(1), ratio)), sum)),
            half = FMA(CALL(log, s), K(-0.5), K2(0x1.d67f1cp-1, 0x1.d67f1c864beb5p-1));
    const V large = ADD(half, CALL(stirling_rest, MAX(K(8), s)));
    const V small = FMA(s, SUB(K(1), lead), CALL(lgamma_of_any, s));
    return ADD(steep, SEL(both, FMA(s, lead, large), small));
}

/* x·(x + 1)·…·(x + 7) */
FN(V, product_of_8, V x) {
    const V u = MUL(x, ADD(x, K(7)));
    return MUL(MUL(u, ADD(u, K(6))), MUL(ADD(u, K(10)), ADD(u, K(12))));
}

/* For a, b > 0 below 8, B(a, b + 8) times a quotient; the sum of logarithms for others below 8, or with such a sum. At
 * a pole of Γ(a) it is ∞, but where a and a + b are whole and not positive, and b is, it is ln B(1 − a − b, b), a
 * limit. */
MAP2(lbeta, a, b) {
    const V less = MIN(b, a), l = MAX(a, b), both = ADD(a, b);
    const T whole = AND(EQ(less, ROUND(less)), EQ(l, ROUND(l)));
    const T meets = AND(AND(whole, LT(K(-INFINITY), both)), AND(LE(both, K(0)), LT(K(0), l)));
    const V s = SEL(meets, SUB(K(1), both), less), total = SEL(meets, SUB(K(1), less), both);
    const V low = MIN(l, s), high = MAX(s, l);
    const V parts = ADD(CALL(lgamma_of_any, low), CALL(lgamma_of_any, high));
    const V sum = SEL(EQ(parts, K(INFINITY)), parts, SUB(parts, CALL(lgamma_of_any, total)));
    const T far = LE(K(8), high), positive = LT(K(0), low);
    const V quotient = DIV(CALL(product_of_8, total), CALL(product_of_8, high));
    const V moved = CALL(lbeta_of_large, low, SEL(far, high, ADD(high, K(8))));
    const V product = ADD(moved, SEL(far, K(0), CALL(log, quotient)));
    const V large = SEL(EQ(high, K(INFINITY)), SEL(positive, K(-INFINITY), K(INFINITY)), product);
    return SEL(OR(positive, AND(far, LE(K(8), total))), large, sum);
}

/* ψ(a + b) − ψ(a), or ψ′(a) − ψ′(a + b), for a, b > 0, without cancellation: the terms of both, below a number, and
 * the differences of Stirling's series behind them, divided by that of the reciprocals, are all of one sign. */
FN(V, digamma_step, V a, V b, bool bend) {
    const int most = COUNT(stirling_slopes), count = BY_WIDTH(4, most);
    const double *const term = stirling_slopes + most - count;
    V x, y = K(0), series = K(0), steep = K(0), u, v, d, both;
    for (int i = 0;; i++) {
        x = ADD(a, K(i));
        u = DIV(K(1), x), v = DIV(K(1), ADD(x, b)), both = ADD(u, v), d = MUL(MUL(b, v), u);
        if (i == count) break;
        y = ADD(y, bend ? MUL(d, both) : d);
    }
    const V uu = MUL(u, u), vv = MUL(v, v);
    for (int i = 1; i < count; i++) {
        const double number = term[i] * (bend ? 2 * (count - i) : 1);
        steep = FMA(steep, vv, series);
        series = FMA(series, uu, K(count < most ? (double)(float)number : number));
    }
    steep = FMA(steep, vv, series);
    series = MUL(series, uu);
    V first = K(0.5);
    if (bend) steep = FMA(steep, v, first), first = ADD(series, K(1));
    else y = ADD(y, CALL(log1p, DIV(b, x)));
    return FMA(d, FMA(both, steep, first), y);
}

/* Whether a, b > 0; false also where a is nothing beside b, and nothing cancels, and where both are ∞. */
FN(T, has_digamma_step, V a, V b) { return LT(K(0), MIN(a, MIN(b, DIV(a, b)))); }

MAP2(lbeta_slope, a, b) {
    const V y = NEG(CALL(digamma_step, a, b, false));
    return SEL(CALL(has_digamma_step, a, b), y, SUB(CALL(digamma_of_any, a), CALL(digamma_of_any, ADD(a, b))));
}

MAP2(lbeta_bend, a, b) {
    const T rare = NOT(CALL(has_digamma_step, a, b));
    const V y = RARELY(rare, polygamma_at, a, 1, CALL(digamma_step, a, b, true));
    return SUB(y, RARELY(rare, polygamma_at, ADD(a, b), 1, K(0)));
}

#undef COUNT
#undef POLY

#endif

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "ops/gamma_formulas.h"
#endif
