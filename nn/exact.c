/* exact -- sums that are never rounded, and so do not depend on order; counts that never overflow
 *
 * A sum is a fixed-point number in words of 32 bits, wide enough for the squares of the smallest and the largest f64
 * (Kulisch's accumulator). A word is signed and has 64 bits, so that parts are added without carrying; carries are
 * propagated before a word could overflow. Products are of integers: significands are split in two halves. */
#include "nn/exact.h"

#include <math.h>
#include <string.h>

void ag__count(int64_t *n) { *n += *n < INT64_MAX; }

enum { WORDS = sizeof((ag_exact){0}.word) / sizeof(int64_t), LOWEST = -2240, MANY = 1 << 28 };
static const uint64_t LOW = 0xffffffff;

/* Each word between 0 and 2^32 − 1, except the last one, which has the sign. */
static void carry(ag_exact *s) {
    int64_t over = 0;
    for (int i = 0; i < WORDS - 1; i++) {
        int64_t word = s->word[i] + over;
        s->word[i] = (int64_t)((uint64_t)word & LOW);
        over = (word - s->word[i]) / ((int64_t)1 << 32);
    }
    s->word[WORDS - 1] += over;
    s->added = 0;
}

/* Add m·2^exponent. */
static void add(ag_exact *s, uint64_t m, int exponent, bool negative) {
    int place = exponent - LOWEST, i = place / 32, shift = place % 32;
    uint64_t low = (m & LOW) << shift, high = (m >> 32) << shift;
    int64_t part[3] = {(int64_t)(low & LOW), (int64_t)((low >> 32) + (high & LOW)), (int64_t)(high >> 32)};
    for (int k = 0; k < 3; k++) s->word[i + k] += negative ? -part[k] : part[k];
    if (++s->added >= MANY) carry(s);
}

/* |x| as an integer times 2^exponent. */
static uint64_t as_integer(double x, int *exponent) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int field = (int)(bits >> 52 & 0x7ff);
    *exponent = (field ? field : 1) - 1075;
    return (bits & 0xfffffffffffff) | (uint64_t)(field != 0) << 52;
}

void ag__exact_add(ag_exact *s, double x, bool negative) {
    int exponent;
    uint64_t m = as_integer(x, &exponent);
    add(s, m, exponent, negative != (signbit(x) != 0));
}

/* Add a·m·2^exponent, for a of 32 bits and m of 53. */
static void add_part(ag_exact *s, uint64_t a, uint64_t m, int exponent, bool negative) {
    enum { HALF = 27 };
    add(s, a * (m & (((uint64_t)1 << HALF) - 1)), exponent, negative);
    add(s, a * (m >> HALF), exponent + HALF, negative);
}

void ag__exact_add_product(ag_exact *s, double x, double y, bool negative) {
    int p, q;
    uint64_t a = as_integer(x, &p), b = as_integer(y, &q);
    negative = negative != (signbit(x) != signbit(y));
    add_part(s, a & LOW, b, p + q, negative);
    add_part(s, a >> 32, b, p + q + 32, negative);
}

/* The sum's absolute value, carried; whether it was negative. */
static bool absolute(ag_exact *s) {
    carry(s);
    if (s->word[WORDS - 1] >= 0) return false;
    for (int i = 0; i < WORDS; i++) s->word[i] = -s->word[i];
    carry(s);
    return true;
}

void ag__exact_add_scaled(ag_exact *s, const ag_exact *x, double y, bool negative) {
    ag_exact size = *x;
    int exponent;
    uint64_t m = as_integer(y, &exponent);
    negative = negative != (absolute(&size) != (signbit(y) != 0));
    for (int i = 0; i < WORDS; i++)
        if (size.word[i]) add_part(s, (uint64_t)size.word[i], m, exponent + 32 * i + LOWEST, negative);
}

void ag__exact_add_square(ag_exact *s, const ag_exact *x, bool negative) {
    ag_exact size = *x;
    absolute(&size);
    for (int i = 0; i < WORDS; i++)
        for (int k = 0; k < WORDS && size.word[i]; k++)
            if (size.word[k])
                add(s, (uint64_t)size.word[i] * (uint64_t)size.word[k], 32 * (i + k) + 2 * LOWEST, negative);
}

/* ---- Rounding ---- */

static int bit(const ag_exact *s, int place) { return place < 0 ? 0 : (int)(s->word[place / 32] >> place % 32 & 1); }

static bool any_below(const ag_exact *s, int place) {
    for (int i = 0; i < place; i++)
        if (bit(s, i)) return true;
    return false;
}

/* The sum as an integer of at most 53 bits, or one that is 2^53, times 2^*exponent; no bit below `lowest` is kept. */
static double rounded(const ag_exact *sum, int lowest, int *exponent) {
    ag_exact s = *sum;
    bool negative = absolute(&s);
    int top = 32 * WORDS - 1;
    while (top >= 0 && !bit(&s, top)) top--;
    int last = top - 52 > lowest ? top - 52 : lowest; /* the place of the last bit that is kept */
    uint64_t kept = 0;
    for (int i = top; i >= last; i--) kept = kept << 1 | (uint64_t)bit(&s, i);
    if (bit(&s, last - 1) && (kept & 1 || any_below(&s, last - 1))) kept++;
    *exponent = last + LOWEST;
    return negative ? -(double)kept : (double)kept;
}

double ag__exact_value(const ag_exact *sum) {
    int exponent;
    double value = rounded(sum, -1074 - LOWEST, &exponent);
    return ldexp(value, exponent);
}

double ag__exact_ratio(const ag_exact *a, const ag_exact *b) {
    int above, below;
    double x = rounded(a, 0, &above), y = rounded(b, 0, &below);
    return ldexp(x / y, above - below);
}

double ag__exact_mean(const ag_exact *sum, int64_t n) {
    ag_exact count = {0};
    ag__exact_add(&count, (double)n, false);
    return ag__exact_ratio(sum, &count);
}
