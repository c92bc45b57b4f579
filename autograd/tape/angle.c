/* angle -- sines of huge numbers
 *
 * x·2/π mod 4 needs as many digits of 2/π as x has before its point, 1024 at most, and 128 more. They are in the
 * table, and of these only those are multiplied that say anything about the remainder: the ones before make multiples
 * of 4, the ones behind are too small (M. Payne, R. Hanek: Radian reduction for trigonometric functions, 1983). All
 * steps are of whole numbers or of numbers that are rounded as IEEE 754 says, so every machine has the same bits. */
#include "autograd/tape/op.h"

#include <math.h>
#include <string.h>

#define AG_DOMAIN AG_DOMAIN_F64
#define AG_LAST_DOMAIN AG_DOMAIN_F64
#include "autograd/formulas_begin.h"

#include "autograd/functions.h"

#include "autograd/formulas_end.h"

/* The digits of 2/π behind the point, in words of 32 bits. */
static const uint32_t two_over_pi[] = {
    0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
    0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
    0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
    0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
    0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046};

enum { TAKEN = 7, DIGITS = TAKEN + 2 }; /* words of 2/π, and of their product with a number of two words */

/* digit, the lowest first, is m times `taken`, the highest first. */
static void multiply(uint64_t m, const uint32_t taken[TAKEN], uint32_t digit[DIGITS]) {
    const uint64_t low = m & UINT32_MAX, high = m >> 32;
    uint64_t carry = 0, former = 0;
    for (int k = 0; k < DIGITS; k++) {
        const uint64_t word = k < TAKEN ? taken[TAKEN - 1 - k] : 0, a = low * word, b = high * former;
        const uint64_t sum = (a & UINT32_MAX) + (b & UINT32_MAX) + (carry & UINT32_MAX);
        digit[k] = (uint32_t)sum;
        carry = (a >> 32) + (b >> 32) + (carry >> 32) + (sum >> 32);
        former = word;
    }
}

/* 32 bits of the product, from bit `at` on. */
static uint32_t bits_at(const uint32_t digit[DIGITS], int at) {
    const int k = at / 32, n = at % 32;
    const uint64_t low = digit[k], high = k + 1 < DIGITS ? digit[k + 1] : 0;
    return (uint32_t)((high << 32 | low) >> n);
}

/* |x| = n·π/2 + r + low, |r| <= π/4, for a finite |x| >= 1: returns r and sets *n to n mod 4. */
static double far_rest(double x, double *low, uint64_t *n) {
    uint64_t bits, m;
    uint32_t digit[DIGITS], part[4], flip;
    memcpy(&bits, &x, sizeof bits);
    const int exponent = (int)(bits >> 52 & 0x7ff) - 1075, first = exponent < 2 ? 0 : (exponent - 2) / 32;
    m = (bits & UINT64_C(0xfffffffffffff)) | UINT64_C(1) << 52;
    multiply(m, two_over_pi + first, digit);
    const int point = 32 * (TAKEN + first) - exponent; /* of the product: the bits behind the point */
    *n = bits_at(digit, point) & 3;
    for (int k = 0; k < 4; k++) part[k] = bits_at(digit, point - 32 * (k + 1));
    flip = part[0] >> 31 ? UINT32_MAX : 0; /* more than half: one n more, and what lacks to it */
    *n += flip & 1;
    const double p0 = (part[0] ^ flip) * 0x1p-32, p1 = (part[1] ^ flip) * 0x1p-64;
    const double p23 = (part[2] ^ flip) * 0x1p-96 + (part[3] ^ flip) * 0x1p-128, sum = p0 + p1;
    const double rest = (p1 - (sum - p0)) + p23, head = sum + rest, tail = rest - (head - sum);
    const double high = head * 0x1.921fb54442d18p+0;
    const double lost = fma(head, 0x1.921fb54442d18p+0, -high);
    const double lower = fma(head, 0x1.1a62633145c07p-54, fma(tail, 0x1.921fb54442d18p+0, lost)), r = high + lower;
    *low = lower - (r - high);
    if (flip) *low = -*low;
    return flip ? -r : r;
}

double ag_far_sine(double x, int j) {
    double low, r;
    uint64_t n;
    if (!isfinite(x)) return (double)NAN;
    r = far_rest(fabs(x), &low, &n);
    return x < 0 ? ag_fn_sine_of_rest_f64(-r, -low, (uint64_t)j - n) : ag_fn_sine_of_rest_f64(r, low, (uint64_t)j + n);
}
