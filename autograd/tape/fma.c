/* fma -- a·b + c, rounded once, by other arithmetic
 *
 * Two doubles at a time: a product is the sum of two doubles, that sum plus c the sum of three, and the two smaller
 * ones are added with rounding to odd (the last bit is 1 if anything is lost), after which the last sum rounds as the
 * exact one would. A product of floats is one double. Invariant: the bits are those of fma and fmaf, for any numbers.
 *
 * S. Boldo, G. Melquiond: Emulation of a FMA and correctly rounded sums, IEEE Trans. Computers 57(4), 2008 */
#include "autograd/tape/fma.h"

#include "autograd/tape/op.h"

#include <float.h>
#include <stdint.h>

#if AG__EMULATES_FMA

/* Vector code calls these, after a linker that optimises has decided what is unused. */
#define KEPT __attribute__((used))

typedef double two __attribute__((vector_size(16)));
typedef float four __attribute__((vector_size(16)));
typedef uint64_t bits __attribute__((vector_size(16)));

/* ---- By the processor ---- */

#if defined __x86_64__ || defined __i386__
#define BY_PROCESSOR __attribute__((target("fma"))) static
BY_PROCESSOR double fma_here(double a, double b, double c) { return __builtin_fma(a, b, c); }
BY_PROCESSOR float fmaf_here(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#define IF_HERE(call)                                                                                                  \
    if (ag__processor_has(AG__HAS_FMA)) return call
#else
#define IF_HERE(call) (void)0
#endif

/* ---- Sums ---- */

AG__ALWAYS_INLINE two sum_of(two a, two b, two *lost) {
    const two s = a + b, t = s - a;
    *lost = (a - (s - t)) + (b - t);
    return s;
}

/* a + b, towards zero, with the last bit set if that loses anything. Infinities and NaN lose nothing. */
AG__ALWAYS_INLINE two odd_sum(two a, two b) {
    two lost;
    const bits s = (bits)sum_of(a, b, &lost), inexact = (bits)((lost > 0) | (lost < 0));
    const bits above = (((bits)lost ^ s) >> 63) & inexact; /* the sum is further from 0 than a + b */
    return (two)((s - above) | (inexact & 1));
}

/* a·b + c is *head plus what is returned. */
AG__ALWAYS_INLINE two parts_of(two a, two b, two c, two *head) {
    const bits half = {1 << 26, 1 << 26}, high = ~(2 * half - 1);
    const two a_high = (two)(((bits)a + half) & high), a_low = a - a_high;
    const two b_high = (two)(((bits)b + half) & high), b_low = b - b_high, p = a * b;
    const two p_low = ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low;
    two small, low;
    const two large = sum_of(c, p_low, &small);
    *head = sum_of(p, large, &low);
    return odd_sum(small, low);
}

/* ---- Doubles ---- */

/* At the ends of the range: as above, with a, b and c scaled, and with 2^n for what is not rounded yet. */
static double scaled(double a, double b, double c) {
    enum { FAR = 120 };
    if (!isfinite(a) || !isfinite(b) || a == 0 || b == 0) return a * b + c;
    if (!isfinite(c)) return c; /* though a·b may overflow */
    if (c == 0) return a * b;
    int i, j, k;
    const double x = frexp(a, &i), y = frexp(b, &j), z = frexp(c, &k);
    const int n = i + j, d = k - n;
    if (d > FAR) return c;
    const double w = d < -FAR ? copysign(0x1p-120, c) : ldexp(z, d);
    two head, lost;
    const two rest = parts_of((two){x, x}, (two){y, y}, (two){w, w}, &head), whole = head + rest;
    if (whole[0] == 0 || fabs(whole[0]) >= ldexp(DBL_MIN, -n)) return ldexp(whole[0], n);
    const double smallest =
                     ldexp(DBL_MIN, 1 - DBL_MANT_DIG - n), /* the last bit of what is added to it, of the same sign */
        anchor = copysign(smallest / DBL_EPSILON, whole[0]);
    const two shifted = sum_of((two){anchor, anchor}, head, &lost), rounded = shifted + odd_sum(lost, rest);
    return copysign(ldexp(rounded[0] - anchor, n), whole[0]);
}

AG__NEVER_INLINE static two fma_of_two(two a, two b, two c) {
    const two p = a * b;
    two head;
    const two rest = parts_of(a, b, c, &head), y = head + rest;
    const bits sign = {(uint64_t)1 << 63, (uint64_t)1 << 63};
    const two size_a = (two)((bits)a & ~sign), size_b = (two)((bits)b & ~sign), size_c = (two)((bits)c & ~sign),
              size = (two)((bits)p & ~sign);
    const bits usual = (bits)((size_a <= 0x1p1000) & (size_b <= 0x1p1000) & (size_c <= 0x1p1000) & (size <= 0x1p1000) &
                              ((size >= 0x1p-900) | (a == 0) | (b == 0)));
    const bits none = (bits)(y == 0); /* then p is exact, and C's sum has the right sign */
    two result = (two)(((bits)y & ~none) | ((bits)(p + c) & none));
    if ((usual[0] & usual[1]) == 0)
        for (int lane = 0; lane < 2; lane++)
            if (!usual[lane]) result[lane] = scaled(a[lane], b[lane], c[lane]);
    return result;
}

double ag__emulated_fma(double a, double b, double c) { return fma_of_two((two){a, a}, (two){b, b}, (two){c, c})[0]; }

KEPT double ag__fma(double a, double b, double c) {
    IF_HERE(fma_here(a, b, c));
    return ag__emulated_fma(a, b, c);
}

/* ---- Floats ---- */

float ag__emulated_fmaf(float a, float b, float c) {
    const double p = (double)a * (double)b;
    return (float)odd_sum((two){p, p}, (two){(double)c, (double)c})[0];
}

KEPT float ag__fmaf(float a, float b, float c) {
    IF_HERE(fmaf_here(a, b, c));
    return ag__emulated_fmaf(a, b, c);
}

/* ---- Vectors, under the names that the vector ABI of x86-64 gives them ---- */

#if defined __x86_64__ && defined __linux__
BY_PROCESSOR two two_here(two a, two b, two c) {
    return (two){__builtin_fma(a[0], b[0], c[0]), __builtin_fma(a[1], b[1], c[1])};
}
BY_PROCESSOR four four_here(four a, four b, four c) {
    four y;
    for (int i = 0; i < 4; i++) y[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return y;
}

two ag__fma_two(two a, two b, two c) __asm__("_ZGVbN2vvv_ag__fma");
four ag__fmaf_four(four a, four b, four c) __asm__("_ZGVbN4vvv_ag__fmaf");

KEPT two ag__fma_two(two a, two b, two c) {
    IF_HERE(two_here(a, b, c));
    return fma_of_two(a, b, c);
}

KEPT four ag__fmaf_four(four a, four b, four c) {
    IF_HERE(four_here(a, b, c));
    const two a0 = {a[0], a[1]}, a1 = {a[2], a[3]}, b0 = {b[0], b[1]}, b1 = {b[2], b[3]}, c0 = {c[0], c[1]},
              c1 = {c[2], c[3]};
    const two low = odd_sum(a0 * b0, c0), high = odd_sum(a1 * b1, c1);
    return (four){(float)low[0], (float)low[1], (float)high[0], (float)high[1]};
}
#endif

#endif
