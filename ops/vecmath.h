/* vecmath -- short branch-free elementary functions, for loops that are vectorised
 *
 * Each is straight-line code of + − · / √, comparisons, selects and unsigned arithmetic, so that a loop
 * `AG_SIMD for (…) y[i] = ag__exp_f32(x[i]);` becomes vector code on any instruction set, and every lane,
 * tail element, vector width and compiler gives the same bits. That takes -ffp-contract=off (no product fused
 * into a sum), -fno-math-errno, -fno-trapping-math and rounding to nearest; never -ffast-math.
 *
 * The polynomials and rational functions are minimax fits made for this file. Largest errors seen, in units
 * of the last place: exp 0.9, expm1 1.7, log and log1p 0.9, tanh 1.5, sigmoid 1.9, the slopes of these two 4.6, sin and
 * cos 1.6 for f32 and 0.9 for f64. */
#ifndef AG_OPS_VECMATH_H
#define AG_OPS_VECMATH_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined __FAST_MATH__
#error "vecmath.h needs IEEE arithmetic: do not compile with -ffast-math"
#endif
_Static_assert(FLT_EVAL_METHOD == 0, "float expressions must be evaluated as float");

#if defined __GNUC__
#define AG__VM static inline __attribute__((always_inline, unused))
#else
#define AG__VM static inline
#endif

/* ---- Bits ---- */

AG__VM uint32_t ag__bits_f32(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

AG__VM float ag__float_f32(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

AG__VM uint64_t ag__bits_f64(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

AG__VM double ag__float_f64(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* The magnitude of a, which is not negative, with the sign of s. */
AG__VM float ag__with_sign_f32(float a, float s) {
    return ag__float_f32(ag__bits_f32(a) | (ag__bits_f32(s) & UINT32_C(0x80000000)));
}

AG__VM double ag__with_sign_f64(double a, double s) {
    return ag__float_f64(ag__bits_f64(a) | (ag__bits_f64(s) & UINT64_C(0x8000000000000000)));
}

/* ---- Exponential ---- */

/* x = n·ln 2 + r + c: returns e^(r+c) − 1 and sets *bits to n + 254, for x in [−104, 89]; NaN for NaN.
 *
 * n is the integer nearest to x/ln 2, so |r| <= ln 2/2: adding 1.5·2^23 + 254 rounds to an integer and leaves
 * n + 254 in the low bits of the sum. n·ln 2 is subtracted in two parts, the first of 15 bits, so that n
 * times it is exact; c is what rounding r lost. e^(r+c) − 1 = r + (c + r²·q(r)), q of degree 4 (relative
 * error 2^−27.7). */
AG__VM float ag__expm1_poly_f32(float x, uint32_t *bits) {
    const float shift = 0x1.8p23f + 254.0f;
    const float t = x * 0x1.715476p+0f + shift;
    const float n = t - shift;
    const float head = x - n * 0x1.62e4p-1f;
    const float tail = n * 0x1.7f7d1cp-20f;
    const float r = head - tail;
    const float c = (head - r) - tail;
    const float r2 = r * r;
    const float q0 = 0x1.fffffcp-2f + 0x1.555490p-3f * r;
    const float q2 = 0x1.5558f4p-5f + 0x1.123a74p-7f * r;
    const float q4 = 0x1.6a24dcp-10f;
    *bits = ag__bits_f32(t) - UINT32_C(0x4b400000);
    return r + (c + r2 * (q0 + r2 * (q2 + r2 * q4)));
}

/* The same for x in [−746, 710] and n + 2046: the first part of ln 2 has 42 bits, q is of degree 9
 * (2^−56.5). */
AG__VM double ag__expm1_poly_f64(double x, uint64_t *bits) {
    const double shift = 0x1.8p52 + 2046.0;
    const double t = x * 0x1.71547652b82fep+0 + shift;
    const double n = t - shift;
    const double head = x - n * 0x1.62e42fefa3800p-1;
    const double tail = n * 0x1.ef35793c76730p-45;
    const double r = head - tail;
    const double c = (head - r) - tail;
    const double r2 = r * r;
    const double r4 = r2 * r2;
    const double q0 = 0x1.000000000000ap-1 + 0x1.55555555554f9p-3 * r;
    const double q2 = 0x1.55555555507e4p-5 + 0x1.1111111127d96p-7 * r;
    const double q4 = 0x1.6c16c1844de59p-10 + 0x1.a01a012a15c24p-13 * r;
    const double q6 = 0x1.a01999a5c4c05p-16 + 0x1.71df252d0c680p-19 * r;
    const double q8 = 0x1.28add60a79371p-22 + 0x1.ad80d188ecb2fp-26 * r;
    const double q = (q0 + r2 * q2) + r4 * ((q4 + r2 * q6) + r4 * q8);
    *bits = ag__bits_f64(t) - UINT64_C(0x4338000000000000);
    return r + (c + r2 * q);
}

AG__VM float ag__exp_poly_f32(float x, uint32_t *bits) { return 1.0f + ag__expm1_poly_f32(x, bits); }

AG__VM double ag__exp_poly_f64(double x, uint64_t *bits) { return 1.0 + ag__expm1_poly_f64(x, bits); }

/* e^x for x in [−104, 89] (f64: [−746, 710]), NaN for NaN. 2^n is applied as two factors, the first with
 * exponent ⌊n/2⌋, because n runs from −150 (subnormal results) to 128 (overflow). The first product is
 * exact. */
AG__VM float ag__exp_core_f32(float x) {
    uint32_t e;
    const float p = ag__exp_poly_f32(x, &e);
    const uint32_t a = e >> 1;
    return (p * ag__float_f32(a << 23)) * ag__float_f32((e - a) << 23);
}

AG__VM double ag__exp_core_f64(double x) {
    uint64_t e;
    const double p = ag__exp_poly_f64(x, &e);
    const uint64_t a = e >> 1;
    return (p * ag__float_f64(a << 52)) * ag__float_f64((e - a) << 52);
}

/* e^x: underflows gradually to 0, overflows to ∞, keeps NaN. */
AG__VM float ag__exp_f32(float x) {
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    return ag__exp_core_f32(x);
}

AG__VM double ag__exp_f64(double x) {
    x = x < -746.0 ? -746.0 : x;
    x = x > 710.0 ? 710.0 : x;
    return ag__exp_core_f64(x);
}

/* e^x for x in [−104, 0] (f64: [−746, 0]), NaN for NaN: the same number in fewer steps. 2^n is applied times 2^64 (2^512), so that
 * the product is exact, and that is taken back. */
AG__VM float ag__exp_fall_f32(float x) {
    uint32_t bits;
    const float p = ag__exp_poly_f32(x, &bits);
    return p * ag__float_f32((bits - 63) << 23) * 0x1p-64f;
}

AG__VM double ag__exp_fall_f64(double x) {
    uint64_t bits;
    const double p = ag__exp_poly_f64(x, &bits);
    return p * ag__float_f64((bits - 511) << 52) * 0x1p-512;
}

/* e^x − 1 as 2·(h·p + (h − ½)), with e^x = 2h·(1 + p) and h = 2^(n−1), which does not overflow before the result does. Below
 * −18 (f64: −38) it is −1; what is so small that half its square does not count is x itself, −0 included. */
AG__VM float ag__expm1_f32(float x) {
    const float a = x < -18.0f ? -18.0f : x;
    const float b = a > 89.0f ? 89.0f : a;
    uint32_t bits;
    const float p = ag__expm1_poly_f32(b, &bits);
    const float h = ag__float_f32((bits - 128) << 23);
    const float half = h * p + (h - 0.5f);
    return fabsf(x) < 0x1p-26f ? x : half + half;
}

AG__VM double ag__expm1_f64(double x) {
    const double a = x < -38.0 ? -38.0 : x;
    const double b = a > 710.0 ? 710.0 : a;
    uint64_t bits;
    const double p = ag__expm1_poly_f64(b, &bits);
    const double h = ag__float_f64((bits - 1024) << 52);
    const double half = h * p + (h - 0.5);
    return fabs(x) < 0x1p-55 ? x : half + half;
}

/* ---- Sigmoid ---- */

/* With e = e^−|x|: e/(1 + e) for x < 0, 1/(1 + e) otherwise. e never overflows, so that very negative x give
 * subnormals and then 0. What rounding d = 1 + e lost is made good at the end: y·(1 − lost/d), where 1/d is y
 * or 1 − y. */
AG__VM float ag__sigmoid_f32(float x) {
    float a = fabsf(x);
    a = a > 104.0f ? 104.0f : a;
    const float e = ag__exp_fall_f32(-a);
    const float d = 1.0f + e;
    const float lost = e - (d - 1.0f);
    const float y = (x >= 0.0f ? 1.0f : e) / d;
    return y - y * (lost * (x >= 0.0f ? y : 1.0f - y));
}

AG__VM double ag__sigmoid_f64(double x) {
    double a = fabs(x);
    a = a > 746.0 ? 746.0 : a;
    const double e = ag__exp_fall_f64(-a);
    const double d = 1.0 + e;
    const double lost = e - (d - 1.0);
    const double y = (x >= 0.0 ? 1.0 : e) / d;
    return y - y * (lost * (x >= 0.0 ? y : 1.0 - y));
}

/* The slope y·(1 − y) of y = σ(x), as e·s² with e = e^−|x| and s = σ(|x|), the larger of y and 1 − y: far from 0 the smaller
 * is about e, which cannot be had from a y that is nearly 1. No rounding makes it more than ¼. */
AG__VM float ag__sigmoid_slope_f32(float x, float y) {
    float a = fabsf(x);
    a = a > 104.0f ? 104.0f : a;
    const float e = ag__exp_fall_f32(-a);
    const float rest = 1.0f - y;
    const float s = y > rest ? y : rest;
    const float slope = (e * s) * s;
    return slope > 0.25f ? 0.25f : slope;
}

AG__VM double ag__sigmoid_slope_f64(double x, double y) {
    double a = fabs(x);
    a = a > 746.0 ? 746.0 : a;
    const double e = ag__exp_fall_f64(-a);
    const double rest = 1.0 - y;
    const double s = y > rest ? y : rest;
    const double slope = (e * s) * s;
    return slope > 0.25 ? 0.25 : slope;
}

/* ---- Hyperbolic tangent ---- */

/* With a = |x|:
 *   a < 0.55:  a + a·z·P(z)/Q(z), z = a² (error 2^−27.5; f64: a < 0.625, error 2^−57.5)
 *   else:      1 − 2e/(1 + e), e = e^(−2a)
 * Both have the shape base + rest/den, where the rest is at most half as large as the base. Far out y is 1; e goes on until
 * it is 0, so that machine code computes it once for tanh and its slope. */
AG__VM float ag__tanh_f32(float x) {
    float a = fabsf(x);
    a = a > 52.0f ? 52.0f : a;
    const float z = a * a;
    const float up = a * z * (-0x1.555554p-2f - 0x1.98b71ep-10f * z);
    const float uq = 1.0f + 0x1.9e62bep-2f * z;

    const float e = ag__exp_fall_f32(-2.0f * a);
    const float base = a < 0.55f ? a : 1.0f;
    const float rest = a < 0.55f ? up : -2.0f * e;
    const float den = a < 0.55f ? uq : 1.0f + e;
    return ag__with_sign_f32(base + rest / den, x);
}

AG__VM double ag__tanh_f64(double x) {
    double a = fabs(x);
    a = a > 373.0 ? 373.0 : a;
    const double z = a * a;
    const double up = a * z * (-0x1.5555555555555p-2 - z * (0x1.4fda3296bc87dp-6 + 0x1.a1b4e5dd75bf5p-13 * z));
    const double uq = 1.0 + z * (0x1.d8928315dcef2p-2 + z * (0x1.7d9aed2c18586p-6 + 0x1.b121f4bca84dep-13 * z));

    const double e = ag__exp_fall_f64(-2.0 * a);
    const double base = a < 0.625 ? a : 1.0;
    const double rest = a < 0.625 ? up : -2.0 * e;
    const double den = a < 0.625 ? uq : 1.0 + e;
    return ag__with_sign_f64(base + rest / den, x);
}

/* The slope 1 − y² of y = tanh x, as e·(1 + |y|)² with e = e^(−2|x|), for 1 − |y| is e·(1 + |y|). No rounding makes it
 * more than 1. */
AG__VM float ag__tanh_slope_f32(float x, float y) {
    float a = fabsf(x);
    a = a > 52.0f ? 52.0f : a;
    const float e = ag__exp_fall_f32(-2.0f * a);
    const float s = 1.0f + fabsf(y);
    const float slope = e * (s * s);
    return slope > 1.0f ? 1.0f : slope;
}

AG__VM double ag__tanh_slope_f64(double x, double y) {
    double a = fabs(x);
    a = a > 373.0 ? 373.0 : a;
    const double e = ag__exp_fall_f64(-2.0 * a);
    const double s = 1.0 + fabs(y);
    const double slope = e * (s * s);
    return slope > 1.0 ? 1.0 : slope;
}

/* ---- Logarithm ---- */

/* k·ln 2 + ln(1 + f) + c for f in [√½ − 1, √2 − 1] and a small c. With s = f/(2 + f) and h = f²/2, ln(1 + f) = 2·artanh s =
 * f − (h − s·(h + R)), where R is s² times a polynomial in s² of degree 2 (f64: 6). */
AG__VM float ag__log_core_f32(float f, float k, float c) {
    const float s = f / (2.0f + f);
    const float z = s * s;
    float w = 0x1.31ea02p-2f;
    w = w * z + 0x1.995e7cp-2f;
    w = w * z + 0x1.55557ap-1f;
    const float h = 0.5f * f * f;
    return k * 0x1.62e4p-1f - ((h - (s * (h + z * w) + (k * 0x1.7f7d1cp-20f + c))) - f);
}

AG__VM double ag__log_core_f64(double f, double k, double c) {
    const double s = f / (2.0 + f);
    const double z = s * s;
    const double z2 = z * z;
    const double w0 = 0x1.5555555555573p-1 + 0x1.999999998799cp-2 * z;
    const double w2 = 0x1.2492493c5a0d9p-2 + 0x1.c71c55eac3a4ap-3 * z;
    const double w4 = 0x1.74658bb8300b4p-3 + 0x1.39b1ec4f4cf74p-3 * z;
    const double w6 = 0x1.2e7101d36f97dp-3;
    const double w = w0 + z2 * (w2 + z2 * (w4 + z2 * w6));
    const double h = 0.5 * f * f;
    return k * 0x1.62e42fefa3800p-1 - ((h - (s * (h + z * w) + (k * 0x1.ef35793c76730p-45 + c))) - f);
}

/* ln x with x = 2^k·m, m in [√½, √2), found by integer arithmetic on the bits; subnormals are first
 * multiplied by 2^23 (f64: 2^52). ln 0 = −∞; NaN below. */
AG__VM float ag__log_f32(float x) {
    const float big = x < FLT_MIN ? x * 0x1p23f : x;
    const float bias = x < FLT_MIN ? 150.0f : 127.0f;
    const uint32_t u = ag__bits_f32(big) - UINT32_C(0x3f3504f3); /* sqrt(1/2) */
    const uint32_t e = (u + UINT32_C(0x3f800000)) >> 23;         /* k + 127 */
    const float m = ag__float_f32((u & UINT32_C(0x7fffff)) + UINT32_C(0x3f3504f3));
    const float k = (float)(int32_t)e - bias;
    float y = ag__log_core_f32(m - 1.0f, k, -0.0f);
    y = x < INFINITY ? y : x;
    y = x > 0.0f || x != x ? y : NAN;
    return x == 0.0f ? -INFINITY : y;
}

AG__VM double ag__log_f64(double x) {
    const double big = x < DBL_MIN ? x * 0x1p52 : x;
    const double bias = x < DBL_MIN ? 0x1p52 + 1075.0 : 0x1p52 + 1023.0;
    const uint64_t u = ag__bits_f64(big) - UINT64_C(0x3fe6a09e667f3bcd);
    const uint64_t e = (u + UINT64_C(0x3ff0000000000000)) >> 52;
    const double m = ag__float_f64((u & UINT64_C(0xfffffffffffff)) + UINT64_C(0x3fe6a09e667f3bcd));
    const double k = ag__float_f64(e | UINT64_C(0x4330000000000000)) - bias; /* 2^52 + e */
    double y = ag__log_core_f64(m - 1.0, k, -0.0);
    y = x < (double)INFINITY ? y : x;
    y = x > 0.0 || x != x ? y : (double)NAN;
    return x == 0.0 ? -(double)INFINITY : y;
}

/* ln(1 + x) = ln u + ln(1 + lost/u), where u is 1 + x rounded and lost is what that took away, by the sum of two numbers
 * that Knuth gives. u is never subnormal. −0 is itself, ln 0 = −∞; NaN below −1. */
AG__VM float ag__log1p_f32(float x) {
    const float u = 1.0f + x;
    const float one = u - x;
    const float lost = (x - (u - one)) + (1.0f - one);
    const uint32_t b = ag__bits_f32(u) - UINT32_C(0x3f3504f3);
    const uint32_t e = (b + UINT32_C(0x3f800000)) >> 23;
    const float m = ag__float_f32((b & UINT32_C(0x7fffff)) + UINT32_C(0x3f3504f3));
    const float k = (float)(int32_t)e - 127.0f;
    float y = ag__log_core_f32(m - 1.0f, k, lost / u);
    y = x < INFINITY && x != 0.0f ? y : x;
    y = u > 0.0f || x != x ? y : NAN;
    return u == 0.0f ? -INFINITY : y;
}

AG__VM double ag__log1p_f64(double x) {
    const double u = 1.0 + x;
    const double one = u - x;
    const double lost = (x - (u - one)) + (1.0 - one);
    const uint64_t b = ag__bits_f64(u) - UINT64_C(0x3fe6a09e667f3bcd);
    const uint64_t e = (b + UINT64_C(0x3ff0000000000000)) >> 52;
    const double m = ag__float_f64((b & UINT64_C(0xfffffffffffff)) + UINT64_C(0x3fe6a09e667f3bcd));
    const double k = ag__float_f64(e | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023.0);
    double y = ag__log_core_f64(m - 1.0, k, lost / u);
    y = x < (double)INFINITY && x != 0.0 ? y : x;
    y = u > 0.0 || x != x ? y : (double)NAN;
    return u == 0.0 ? -(double)INFINITY : y;
}

/* ---- Sine and cosine ---- */

/* For |x| <= AG__TRIG_MAX; beyond it what comes out is meaningless, and libm must be asked instead. */
#define AG__TRIG_MAX 0x1p20

/* sin(x + j·π/2). x = n·π/2 + r, subtracted in double in parts of 33 and 53 bits (n has 20 bits, so n times
 * the first is exact); |r| <= π/4 is rounded to float for the polynomials. n + j mod 4 says, by masks,
 * whether the sine or the cosine of r is wanted, and with what sign. */
AG__VM float ag__sin_shifted_f32(float x, uint32_t j) {
    const double shift = 0x1.8p52;
    const double xd = (double)x;
    const double t = xd * 0x1.45f306dc9c883p-1 + shift;
    const double n = t - shift;
    const float r = (float)((xd - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34);
    const uint32_t k = (uint32_t)ag__bits_f64(t) + j;

    const float z = r * r;
    const float s = r + r * z * (-0x1.555546p-3f + z * (0x1.11075cp-7f - 0x1.994cf8p-13f * z));
    const float c = 1.0f - (0.5f * z - z * z * (0x1.55554ep-5f + z * (-0x1.6c0e6cp-10f + 0x1.9a791ap-16f * z)));
    const uint32_t odd = UINT32_C(0) - (k & 1);
    const uint32_t u = (ag__bits_f32(s) & ~odd) | (ag__bits_f32(c) & odd);
    return ag__float_f32(u ^ ((k & 2) << 30));
}

/* The same with π/2 in parts of 33, 33 and 53 bits; r + c is the reduced argument to about 100 bits. */
AG__VM double ag__sin_shifted_f64(double x, uint64_t j) {
    const double shift = 0x1.8p52;
    const double t = x * 0x1.45f306dc9c883p-1 + shift;
    const double n = t - shift;
    const uint64_t k = ag__bits_f64(t) + j;
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
    const uint64_t u = (ag__bits_f64(s) & ~odd) | (ag__bits_f64(cs) & odd);
    return ag__float_f64(u ^ ((k & 2) << 62));
}

AG__VM float ag__sin_f32(float x) {
    const float y = ag__sin_shifted_f32(x, 0);
    return x == 0.0f ? x : y; /* -0 */
}

AG__VM double ag__sin_f64(double x) {
    const double y = ag__sin_shifted_f64(x, 0);
    return x == 0.0 ? x : y;
}

AG__VM float ag__cos_f32(float x) { return ag__sin_shifted_f32(x, 1); }

AG__VM double ag__cos_f64(double x) { return ag__sin_shifted_f64(x, 1); }

#endif
