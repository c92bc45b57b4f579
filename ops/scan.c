/* scan -- sums, products and extremes of an axis up to each element, and recurrences along it
 *
 * An input is (outer, n, inner) in memory. Where inner is long, rows of it are combined one after the other; and real
 * numbers are added up and multiplied where they are, if inner is a multiple of four. Otherwise they are added up,
 * multiplied and compared four at a time; and for other dtypes and orders the tensor is cut into pieces along the axis
 * that are turned into columns, so that vectors run across the pieces; what comes before a piece is then combined with
 * it. f32 is added up and multiplied in f64. Of equal extremes, 0 and −0, the first stays. A result depends on shapes
 * and numbers alone: the threads divide what is independent anyway. */
#include "autograd/eval/rows.h"
#include "autograd/eval/stream.h"
#include "autograd/tape/limits.h"
#include "ops/copying.h"
#include "ops/rules.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Backwards: from the last element to the first. Exclusive: without the element itself. */
typedef struct along {
    int64_t axis, backwards, exclusive;
} along;

typedef void combine(int64_t n, void *y, const void *x);

/* y: the extremes of n numbers x, by `carry` and the sign; false: another way is to be taken. */
typedef bool leading(int64_t n, void *y, const void *x, char *carry, double sign);

typedef struct scan {
    combine *combine;
    leading *leading;     /* NULL: there is none */
    ag_dtype dtype, wide; /* of the elements, and in which they are combined */
    int64_t bytes, size;  /* of an element of each */
    double neutral;
    bool numbers, multiplies; /* sums or products of real numbers; products */
    bool past;                /* y is written past the caches */
    bool backwards, exclusive;
    int64_t outer, n, inner;
    const char *x;
    char *y;
} scan;

/* ---- Between the two dtypes ---- */

static void widen(const scan *s, int64_t n, void *y, const void *x) {
    if (s->wide == s->dtype) memcpy(y, x, (size_t)(n * s->bytes));
    else ag__widen(s->dtype, n, y, x);
}
static void narrow(const scan *s, int64_t n, void *y, const void *x) {
    if (s->wide == s->dtype) memcpy(y, x, (size_t)(n * s->bytes));
    else ag__narrow(n, y, x);
}

static void fill(ag_dtype dtype, int64_t n, void *y, double value) {
    for (int64_t i = 0; i < n; i++) ag__put_element(dtype, y, i, value);
}

/* ---- Long rows of `inner`, one after the other ---- */

static void scan_columns(const scan *s, int64_t start, int64_t m) {
    _Alignas(64) char memory[2][AG__STRIP * AG__MOST_BYTES];
    char *sum = memory[0], *line = memory[1];
    const int64_t first = start / s->inner * s->n * s->inner + start % s->inner;
    fill(s->wide, m, sum, s->neutral);
    for (int64_t k = 0; k < s->n; k++) {
        const int64_t at = (first + (s->backwards ? s->n - 1 - k : k) * s->inner) * s->bytes;
        if (s->exclusive) narrow(s, m, s->y + at, sum);
        widen(s, m, line, s->x + at);
        if (k > 0) s->combine(m, line, sum);
        char *const next = line;
        line = sum, sum = next;
        if (!s->exclusive) narrow(s, m, s->y + at, sum);
    }
}

/* ---- Columns of a tile: w[c][r] for column c < `columns` of `rows` pieces, one element of each of `inner` after the
 * other ---- */

static char *column_of(const scan *s, char *w, int64_t c, int64_t rows) { return w + c * rows * s->size; }

static void scan_tile(const scan *s, char *w, int64_t columns, int64_t rows) {
    const int64_t some = s->inner * rows, width = some * s->size, last = (columns * rows - some) * s->size;
    for (int64_t k = width; k <= last; k += width)
        s->combine(some, w + (s->backwards ? last - k : k), w + (s->backwards ? last - k + width : k - width));
}

/* Each column as the one before it, and the first ones as `before`, where they are to exclude their own elements. */
static void shift_tile(const scan *s, char *w, int64_t columns, int64_t rows, const char *before) {
    const int64_t rest = columns - s->inner;
    memmove(column_of(s, w, s->backwards ? 0 : s->inner, rows), column_of(s, w, s->backwards ? s->inner : 0, rows),
            (size_t)(rest * rows * s->size));
    memcpy(column_of(s, w, s->backwards ? rest : 0, rows), before, (size_t)(s->inner * rows * s->size));
}

/* ---- Short rows: a piece is a row ---- */

static void scan_rows(const scan *s, int64_t start, int64_t rows) {
    _Alignas(64) char tile[AG__STRIP * AG__MOST_BYTES], w[AG__STRIP * AG__MOST_BYTES];
    _Alignas(64) char before[AG__STRIP * AG__MOST_BYTES];
    const int64_t columns = s->n * s->inner, at = start * columns * s->bytes;
    ag__turn(tile, s->x + at, rows, columns, (size_t)s->bytes);
    widen(s, rows * columns, w, tile);
    scan_tile(s, w, columns, rows);
    if (s->exclusive) {
        fill(s->wide, s->inner * rows, before, s->neutral);
        shift_tile(s, w, columns, rows, before);
    }
    narrow(s, rows * columns, tile, w);
    ag__turn(s->y + at, tile, columns, rows, (size_t)s->bytes);
}

/* ---- Long rows: cut into strips, and a strip into pieces ---- */

/* The result before each piece, in the order of the scan, and in `carry` that before the next strip. */
static void find_before(const scan *s, const char *w, int64_t columns, int64_t rows, char *before, char *carry) {
    const int64_t last = s->backwards ? 0 : columns - s->inner;
    for (int64_t k = 0; k < rows; k++) {
        const int64_t r = s->backwards ? rows - 1 - k : k;
        for (int64_t i = 0; i < s->inner; i++) {
            char *c = carry + i * s->size, next[AG__MOST_BYTES];
            memcpy(before + (i * rows + r) * s->size, c, (size_t)s->size);
            memcpy(next, w + ((last + i) * rows + r) * s->size, (size_t)s->size);
            s->combine(1, next, c);
            memcpy(c, next, (size_t)s->size);
        }
    }
}

/* y = the strip x by pieces, whose elements are combined as they are. */
static void scan_pieces(const scan *s, char *y, const char *x, int64_t columns, int64_t rows, char *carry) {
    _Alignas(64) char w[AG__STRIP * AG__MOST_BYTES], before[AG__STRIP * AG__MOST_BYTES];
    ag__turn(w, x, rows, columns, (size_t)s->bytes);
    scan_tile(s, w, columns, rows);
    find_before(s, w, columns, rows, before, carry);
    const int64_t low = s->exclusive && !s->backwards ? s->inner : 0;
    const int64_t high = s->exclusive && s->backwards ? columns - s->inner : columns;
    if (s->exclusive) shift_tile(s, w, columns, rows, before);
    for (int64_t c = low; c < high; c++)
        s->combine(rows, column_of(s, w, c, rows), before + c % s->inner * rows * s->size);
    ag__turn(y, w, columns, rows, (size_t)s->bytes);
}

/* ---- Long rows of sums or products of real numbers: with inner = 1 four at a time, in a register ---- */

/* Whether all numbers are 0, or have an exponent of at most `most`, of either sign: a product of a few is then only
 * rounded, where one with what came before may be too large, or lose digits. */
AG_BLOCK_KERNEL(bool, is_tame, (int64_t n, const double *w, int64_t most), (n, w, most)) {
    const int64_t low = 1023 - most, high = 1023 + most;
    int64_t wild = 0; /* its sign */
    AG_SIMD
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &w[i], sizeof bits);
        const int64_t exponent = (int64_t)(bits >> 52 & 2047);
        wild |= bits << 1 == 0 ? 0 : (exponent - low) | (high - exponent);
    }
    return wild >= 0;
}

#if defined __has_builtin && defined __GNUC__
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLES 1
#endif
#endif

enum { FOUR = 4 };

#ifdef SHUFFLES
typedef double four __attribute__((vector_size(FOUR * sizeof(double))));
typedef float narrow_four __attribute__((vector_size(FOUR * sizeof(float))));
typedef four wide_four;
#define PICK __builtin_shufflevector

/* y: n numbers x, a multiple of four, up to each one, with `carry` before the first; the numbers `soon` are fetched. */
#define IN_FOURS(name, type, vector, plus, neutral)                                                                    \
    AG_BLOCK_KERNEL(                                                                                                   \
        void, name,                                                                                                    \
        (int64_t n, void *y, const void *x, double *carry, bool backwards, bool exclusive, const void *soon),          \
        (n, y, x, carry, backwards, exclusive, soon)) {                                                                \
        const four none = {neutral, neutral, neutral, neutral};                                                        \
        four before = {*carry, *carry, *carry, *carry};                                                                \
        const int64_t first = backwards ? n - FOUR : 0, by = backwards ? -FOUR : FOUR;                                 \
        const type *from = (const type *)x + first;                                                                    \
        type *to = (type *)y + first;                                                                                  \
        for (int64_t k = 0; k < n; k += FOUR, from += by, to += by) {                                                  \
            vector in;                                                                                                 \
            ag__fetch((const type *)soon + k);                                                                         \
            memcpy(&in, from, sizeof in);                                                                              \
            four v = __builtin_convertvector(in, four);                                                                \
            if (backwards) v = PICK(v, v, 3, 2, 1, 0);                                                                 \
            v = v plus PICK(none, v, 0, 4, 5, 6);                                                                      \
            v = v plus PICK(none, v, 0, 1, 4, 5);                                                                      \
            const four all = PICK(v, v, 3, 3, 3, 3);                                                                   \
            if (exclusive) v = PICK(none, v, 0, 4, 5, 6);                                                              \
            v = before plus v;                                                                                         \
            before = before plus all;                                                                                  \
            if (backwards) v = PICK(v, v, 3, 2, 1, 0);                                                                 \
            in = __builtin_convertvector(v, vector);                                                                   \
            memcpy(to, &in, sizeof in);                                                                                \
        }                                                                                                              \
        *carry = before[0];                                                                                            \
    }
#else
#define IN_FOURS(name, type, vector, plus, neutral)                                                                    \
    static void name(int64_t n, void *y, const void *x, double *carry, bool backwards, bool exclusive,                 \
                     const void *soon) {                                                                               \
        (void)soon;                                                                                                    \
        for (int64_t k = 0; k < n; k += FOUR) {                                                                        \
            double u[FOUR], v[FOUR], w[FOUR];                                                                          \
            const int64_t first = backwards ? n - 1 - k : k, by = backwards ? -1 : 1;                                  \
            type *to = (type *)y + first;                                                                              \
            for (int i = 0; i < FOUR; i++) u[i] = (double)((const type *)x)[first + i * by];                           \
            for (int i = 0; i < FOUR; i++) w[i] = u[i] plus(i > 0 ? u[i - 1] : neutral);                               \
            for (int i = 0; i < FOUR; i++) v[i] = w[i] plus(i > 1 ? w[i - 2] : neutral);                               \
            for (int i = 0; i < FOUR; i++)                                                                             \
                to[i * by] = (type)(*carry plus(exclusive ? (i > 0 ? v[i - 1] : neutral) : v[i]));                     \
            *carry = *carry plus v[FOUR - 1];                                                                          \
        }                                                                                                              \
    }
#endif
IN_FOURS(sums_f32, float, narrow_four, +, -0.0)
IN_FOURS(sums_f64, double, wide_four, +, -0.0)
IN_FOURS(products_f64, double, wide_four, *, 1)

/* Rows of which `inner`, a multiple of four, are side by side: each four of these depend on nothing but what was before
 * in their place. */
#ifdef SHUFFLES
#if AG__CHOOSES
#define ON_VECTORS __attribute__((target("arch=x86-64-v3")))
#else
#define ON_VECTORS
#endif
#define BESIDE(name, type, vector)                                                                                     \
    ON_VECTORS static void name(const scan *s, int64_t start, int64_t end) {                                           \
        const int64_t length = s->n * s->inner, by = s->backwards ? -s->inner : s->inner;                              \
        for (int64_t row = start; row < end; row++)                                                                    \
            for (int64_t j = 0; j < s->inner; j += FOUR) {                                                             \
                const int64_t first = row * length + (s->backwards ? length - s->inner : 0) + j;                       \
                const type *x = (const type *)(const void *)s->x + first;                                              \
                type *y = (type *)(void *)s->y + first;                                                                \
                four before = s->neutral - (four){0};                                                                  \
                for (int64_t k = 0; k < s->n; k++, x += by, y += by) {                                                 \
                    vector v;                                                                                          \
                    memcpy(&v, x, sizeof v);                                                                           \
                    const four a = __builtin_convertvector(v, four), after = s->multiplies ? before * a : before + a;  \
                    v = __builtin_convertvector(s->exclusive ? before : after, vector);                                \
                    before = after;                                                                                    \
                    memcpy(y, &v, sizeof v);                                                                           \
                }                                                                                                      \
            }                                                                                                          \
    }
BESIDE(beside_f32, float, narrow_four)
BESIDE(beside_f64, double, wide_four)
static bool scan_beside(const scan *s, int64_t start, int64_t end) {
    if (!s->numbers || s->inner % FOUR != 0 || !ag__has_avx2()) return false;
    (s->dtype == AG_F32 ? beside_f32 : beside_f64)(s, start, end);
    return true;
}
#else
static bool scan_beside(const scan *s, int64_t start, int64_t end) { return (void)s, (void)start, (void)end, false; }
#endif

/* The largest of n numbers x up to each one, a multiple of four, with `carry` before the first; of equal ones the
 * first. The smallest is the largest times −1. False: a number is NaN, which would not stay in a vector, or is
 * infinite. */
#if defined SHUFFLES && AG__CHOOSES
#define LEADING(name, type, vector)                                                                                    \
    __attribute__((target("arch=x86-64-v3"))) static bool name(int64_t n, void *y, const void *x, char *carry,         \
                                                               double sign) {                                          \
        const double least = -(double)INFINITY, first = (double)*(type *)(void *)carry * sign;                         \
        const four none = {least, least, least, least}, by = {sign, sign, sign, sign};                                 \
        four before = {first, first, first, first}, odd = {0};                                                         \
        for (int64_t k = 0; k < n; k += FOUR) {                                                                        \
            vector in;                                                                                                 \
            ag__fetch((const type *)x + n + k);                                                                        \
            memcpy(&in, (const type *)x + k, sizeof in);                                                               \
            four v = __builtin_convertvector(in, four) * by;                                                           \
            odd += v - v;                                                                                              \
            v = __builtin_ia32_maxpd256(v, PICK(none, v, 0, 4, 5, 6));                                                 \
            v = __builtin_ia32_maxpd256(v, PICK(none, v, 0, 1, 4, 5));                                                 \
            const four all = PICK(v, v, 3, 3, 3, 3);                                                                   \
            in = __builtin_convertvector(__builtin_ia32_maxpd256(v, before) * by, vector);                             \
            before = __builtin_ia32_maxpd256(all, before);                                                             \
            memcpy((type *)y + k, &in, sizeof in);                                                                     \
        }                                                                                                              \
        if (odd[0] + odd[1] + odd[2] + odd[3] != 0) return false;                                                      \
        *(type *)(void *)carry = (type)(before[0] * sign);                                                             \
        return true;                                                                                                   \
    }
LEADING(leading_f32, float, narrow_four)
LEADING(leading_f64, double, wide_four)
static leading *leading_of(ag_dtype dtype) {
    if (!ag__has_avx2()) return NULL;
    return dtype == AG_F32 ? leading_f32 : dtype == AG_F64 ? leading_f64 : NULL;
}
#else
static leading *leading_of(ag_dtype dtype) {
    (void)dtype;
    return NULL;
}
#endif

/* One element of `inner` after the other. */
#define IN_ORDER(name, plus)                                                                                           \
    static void name(const scan *s, int64_t m, double *y, double *carry) {                                             \
        for (int64_t k = 0; k < m; k += s->inner) {                                                                    \
            double *at = s->backwards ? y + m - s->inner - k : y + k;                                                  \
            for (int64_t i = 0; i < s->inner; i++) {                                                                   \
                const double before = carry[i], x = at[i];                                                             \
                carry[i] = before plus x;                                                                              \
                at[i] = s->exclusive ? before : carry[i];                                                              \
            }                                                                                                          \
        }                                                                                                              \
    }
IN_ORDER(sums_in_order, +)
IN_ORDER(products_in_order, *)

/* The same, four of them at a time; false, and `carry` is as it was, if a result might then be another: if a
 * product of some elements, or their sum, may be too large where that with what came before is not. Fours are filled
 * up. */
static bool in_fours(const scan *s, int64_t m, double *w, double *carry) {
    const int64_t spare = (FOUR - m % FOUR) % FOUR;
    double *begin = w + (s->backwards ? spare : 0), after = *carry;
    if (s->inner > 1 || (s->multiplies && s->dtype == AG_F64 && !is_tame(m, begin, 200))) return false;
    fill(AG_F64, spare, s->backwards ? w : w + m, s->neutral);
    (s->multiplies ? products_f64 : sums_f64)(m + spare, w, w, &after, s->backwards, s->exclusive, w);
    if (!s->multiplies && !(is_tame(m, begin, 1023) && is_tame(1, &after, 1023))) return false; /* infinite */
    return *carry = after, true;
}

/* Sums of f32, of which no result would be another. */
static void sum_in_fours(const scan *s, int64_t m, float *y, const float *x, double *carry, const float *soon) {
    const int64_t rest = m % FOUR, begin = s->backwards ? rest : 0, last = s->backwards ? 0 : m - rest;
    float few[FOUR], *part = few + (s->backwards ? FOUR - rest : 0);
    if (m > rest) sums_f32(m - rest, y + begin, x + begin, carry, s->backwards, s->exclusive, soon);
    if (rest == 0) return;
    fill(AG_F32, FOUR, few, s->neutral);
    memcpy(part, x + last, (size_t)rest * sizeof *few);
    sums_f32(FOUR, few, few, carry, s->backwards, s->exclusive, few);
    memcpy(y + last, part, (size_t)rest * sizeof *few);
}

/* Elements at … at+m−1 of the tensor, whole groups of `inner`. */
static void scan_numbers(const scan *s, int64_t at, int64_t m, double *carry) {
    _Alignas(64) double w[AG__STRIP + FOUR];
    _Alignas(64) char strip[AG__STRIP * AG__MOST_BYTES];
    double *begin = w + (s->backwards ? (FOUR - m % FOUR) % FOUR : 0);
    const char *x = s->x + at * s->bytes;
    char *y = s->y + at * s->bytes, *to = s->past ? strip : y;
    if (s->dtype == AG_F32 && s->inner == 1 && !s->multiplies)
        sum_in_fours(s, m, (float *)(void *)to, (const float *)(const void *)x, carry,
                     (const float *)(const void *)x + (s->backwards && at % s->n > 0 ? -m : m));
    else {
        widen(s, m, begin, x);
        if (!in_fours(s, m, w, carry)) {
            widen(s, m, begin, x);
            (s->multiplies ? products_in_order : sums_in_order)(s, m, begin, carry);
        }
        narrow(s, m, to, begin);
    }
    if (s->past) ag__copy_row(y, strip, (size_t)(m * s->bytes), true, 0);
}

/* Elements at … at+m−1 of the tensor, whole groups of `inner`. A piece that lacks elements is filled up beyond the end.
 * */
static void scan_strip(const scan *s, int64_t at, int64_t m, int64_t columns, char *carry) {
    _Alignas(64) char strip[AG__STRIP * AG__MOST_BYTES];
    const int64_t rows = (m + columns - 1) / columns, spare = rows * columns - m;
    const char *x = s->x + at * s->bytes;
    char *y = s->y + at * s->bytes, *begin = strip + (s->backwards ? spare * s->bytes : 0);
    if (s->leading && m % FOUR == 0 && s->leading(m, s->past ? strip : y, x, carry, s->neutral < 0 ? 1 : -1)) {
        if (s->past) ag__copy_row(y, strip, (size_t)(m * s->bytes), true, 0);
        return;
    }
    if (spare == 0) {
        scan_pieces(s, y, x, columns, rows, carry);
        return;
    }
    fill(s->dtype, spare, strip + (s->backwards ? 0 : m * s->bytes), s->neutral);
    memcpy(begin, x, (size_t)(m * s->bytes));
    scan_pieces(s, strip, strip, columns, rows, carry);
    memcpy(y, begin, (size_t)(m * s->bytes));
}

static void scan_row(const scan *s, int64_t row) {
    _Alignas(64) char carry[AG__FEWEST_COLUMNS * AG__MOST_BYTES];
    const int64_t columns = s->inner * (AG__ROWS_A_GROUP / s->inner), most = AG__STRIP / columns * columns;
    const int64_t length = s->n * s->inner;
    memset(carry, 0, sizeof carry);
    fill(s->wide, s->inner, carry, s->neutral);
    for (int64_t done = 0, m; done < length; done += m) {
        m = ag__lesser(length - done, most);
        const int64_t at = row * length + (s->backwards ? length - done - m : done);
        if (s->numbers) scan_numbers(s, at, m, (double *)(void *)carry);
        else scan_strip(s, at, m, columns, carry);
    }
}

/* ---- The choice of a way ---- */

/* Whether a piece is a row. Several elements after each other have no other way that is fast, if there are few. */
static bool is_short(const scan *s) {
    const bool many = s->inner > 1 && s->outer >= AG__FEWEST_COLUMNS;
    return s->n * s->inner <= (many ? 4 : 2) * AG__ROWS_A_GROUP;
}

static bool by_columns(const scan *s) {
    return s->inner * s->bytes >= 2 * AG__LINE || (s->inner >= AG__FEWEST_COLUMNS && !is_short(s));
}

static void scan_share(void *s_, int i, int n) {
    const scan *s = s_;
    const int64_t whole = by_columns(s) ? s->outer * s->inner : s->outer, length = s->n * s->inner;
    int64_t start = ag__share_start(whole, i, n);
    const int64_t end = ag__share_start(whole, i + 1, n);
    for (int64_t m; start < end; start += m) {
        if (by_columns(s)) {
            m = ag__lesser(ag__lesser(end - start, AG__STRIP), s->inner - start % s->inner);
            scan_columns(s, start, m);
        } else if (scan_beside(s, start, end)) {
            break;
        } else if (is_short(s)) {
            m = ag__lesser(end - start, AG__STRIP / length);
            scan_rows(s, start, m);
        } else {
            m = 1;
            scan_row(s, start);
        }
    }
    if (s->past) ag__copied_past();
}

AG__SHORT static scan scan_of(const ag_call *call, const ag_reduction *op) {
    const along *a = call->attributes;
    const ag_array *x = &call->x[0];
    scan s = {.dtype = x->dtype, .wide = x->dtype, .outer = 1, .inner = 1, .x = x->data, .y = call->y.data};
    if (op->join == &ag__op_add || op->join == &ag__op_mul) s.wide = x->dtype == AG_F32 ? AG_F64 : x->dtype;
    s.combine = op->combine[s.wide];
    s.bytes = (int64_t)ag_dtype_size(s.dtype), s.size = (int64_t)ag_dtype_size(s.wide);
    s.neutral = op->join->neutral;
    s.multiplies = op->join == &ag__op_mul && s.wide == AG_F64;
    s.backwards = a->backwards, s.exclusive = a->exclusive;
    s.n = x->shape[a->axis];
    for (int i = 0; i < x->rank; i++) *(i < a->axis && s.n > 1 ? &s.outer : &s.inner) *= i == a->axis ? 1 : x->shape[i];
    s.numbers = s.wide == AG_F64 && (op->join == &ag__op_add || op->join == &ag__op_mul);
    if (s.inner == 1 && !s.backwards && !s.exclusive && (op->join == &ag__op_maximum || op->join == &ag__op_minimum))
        s.leading = leading_of(s.dtype);
    s.past = (s.numbers || s.leading) && ag__goes_past(2 * x->size * s.bytes);
    return s;
}

static bool scan_eval(const ag_call *call, const ag_reduction *op) {
    scan s = scan_of(call, op);
    if (call->y.size > 0) ag__parallel(ag__worthwhile(4 * call->y.size, call->threads), scan_share, &s);
    return true;
}

/* ---- The operations ---- */

AG__SHORT static bool along_accepted(const ag_infer *r) {
    const along *a = r->attributes;
    if (a->axis < 0 || a->axis >= r->shape.rank)
        return ag_reject(r, AG_ERR_AXIS, "axis %lld is out of range", (long long)a->axis);
    if ((a->backwards | a->exclusive) & ~INT64_C(1))
        return ag_reject(r, AG_ERR_RANGE, "the directions are %lld and %lld: 0 or 1 is wanted", (long long)a->backwards,
                         (long long)a->exclusive);
    return true;
}

static bool scan_infer(ag_infer *r) {
    if (r->dtype == AG_BOOL) return ag_reject(r, AG_ERR_DTYPE, "the dtype bool is not supported");
    return along_accepted(r);
}

static ag_tensor *record(const ag_op *op, ag_tensor *x, int axis, bool backwards, bool exclusive) {
    const along a = {axis, backwards, exclusive};
    return ag_apply(op, 1, &x, &a, sizeof a);
}

/* x along an axis that is given by number, bools as numbers; or nil, after an error. */
AG__SHORT static ag_tensor *scanned(const ag_op *op, ag_tensor *x, int axis) {
    ag_tensor *nil;
    if (!ag__inputs_usable(op->name, 1, &x, &nil)) return nil;
    const int a = ag__axis(axis, ag_rank(x));
    if (a < 0) return ag__fail(op->name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    return record(op, ag__as_number(x), a, false, false);
}

/* ---- cumsum ---- */

static bool cumsum_eval(const ag_call *call) { return scan_eval(call, &ag__reduction_sum); }

AG__SHORT static ag_tensor *cumsum_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const along *a = ag_attributes(y);
    return (void)i, record(&ag__op_cumsum, g, (int)a->axis, !a->backwards, a->exclusive);
}

const ag_op ag__op_cumsum = {.name = "cumsum",
                             .notation = "cumsum_{i0}({0})",
                             .kind = AG_KIND_OPAQUE,
                             .flags = AG_OP_CONTIGUOUS | AG_OP_HIDES_NOTHING,
                             .arity = 1,
                             .attribute_bytes = sizeof(along),
                             .infer = scan_infer,
                             .eval = cumsum_eval,
                             .vjp = cumsum_vjp};

ag_tensor *ag_cumsum(ag_tensor *x, int axis) { return scanned(&ag__op_cumsum, x, axis); }

/* ---- Recurrences: y[k] = b[k] + a[k]·y[k−1], or backwards y[k] = b[k] + a[k+1]·y[k+1] ----
 *
 * The gradient of either by b is the other one with the same a. A product with 0 is 0 whatever the other factor is:
 * what is cut off by a 0 has no influence, infinite or not. */

/* `rows` rows of n elements, `by` apart: y = b + a·(what was before), which is kept in `last`. */
#define RECUR(name, type)                                                                                              \
    AG_BLOCK_KERNEL(void, name,                                                                                        \
                    (int64_t n, int64_t rows, int64_t by, void *y_, const void *a_, const void *b_, double *last),     \
                    (n, rows, by, y_, a_, b_, last)) {                                                                 \
        type *y = y_;                                                                                                  \
        const type *a = a_, *b = b_;                                                                                   \
        for (int64_t k = 0; k < rows; k++, y += by, a += by, b += by) {                                                \
            AG_SIMD                                                                                                    \
            for (int64_t j = 0; j < n; j++) {                                                                          \
                const double by_a = (double)a[j] * last[j];                                                            \
                last[j] = (double)b[j] + (a[j] == 0 || last[j] == 0 ? 0 : by_a);                                       \
                y[j] = (type)last[j];                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
    }
RECUR(recur_f32, float)
RECUR(recur_f64, double)

typedef void recur(int64_t, int64_t, int64_t, void *, const void *, const void *, double *);

typedef struct recurrence {
    scan s; /* with x = b */
    const char *a;
    recur *recur;
} recurrence;

/* m columns of rows of `inner`. The first element has nothing before it. */
static void recur_columns(const recurrence *q, int64_t start, int64_t m) {
    _Alignas(64) double last[AG__STRIP];
    const scan *s = &q->s;
    const int64_t first = start / s->inner * s->n * s->inner + start % s->inner;
    const int64_t from = (first + (s->backwards ? (s->n - 1) * s->inner : 0)) * s->bytes;
    const int64_t by = s->backwards ? -s->inner : s->inner, next = by * s->bytes;
    ag__widen(s->dtype, m, last, s->x + from);
    memcpy(s->y + from, s->x + from, (size_t)(m * s->bytes));
    if (s->n > 1)
        q->recur(m, s->n - 1, by, s->y + from + next, q->a + from + (s->backwards ? 0 : next), s->x + from + next,
                 last);
}

/* Columns start … start+columns−1 of some rows, turned; beyond the tensor they are 0. */
static void turn_in(const recurrence *q, char *tile, const char *x, int64_t row, int64_t rows, int64_t start,
                    int64_t columns) {
    _Alignas(64) char line[AG__STRIP * AG__MOST_BYTES];
    const scan *s = &q->s;
    const int64_t length = s->n * s->inner, n = ag__lesser(columns, length - start);
    const int64_t soon = s->backwards ? -columns : columns;
    if (n < columns) memset(line, 0, (size_t)(rows * columns * s->bytes));
    for (int64_t r = 0; r < rows && n > 0; r++) {
        const char *from = x + ((row + r) * length + start) * s->bytes;
        ag__ask_for((uintptr_t)from + (uintptr_t)(soon * s->bytes), (size_t)(columns * s->bytes));
        memcpy(line + r * columns * s->bytes, from, (size_t)(n * s->bytes));
    }
    ag__turn(tile, line, rows, columns, (size_t)s->bytes);
}

/* Columns start … of some rows; `last` has, for each of `inner`, what came before. */
static void recur_tile(const recurrence *q, int64_t row, int64_t rows, int64_t start, int64_t columns, double *last) {
    _Alignas(64) char a[AG__STRIP * AG__MOST_BYTES], b[AG__STRIP * AG__MOST_BYTES];
    const scan *s = &q->s;
    const int64_t length = s->n * s->inner, steps = columns / s->inner, column = rows * s->bytes;
    const int64_t by = (s->backwards ? -s->inner : s->inner) * rows;
    turn_in(q, a, q->a, row, rows, start + (s->backwards ? s->inner : 0), columns);
    turn_in(q, b, s->x, row, rows, start, columns);
    if (!s->backwards && start == 0) memset(a, 0, (size_t)(s->inner * column));
    for (int64_t i = 0; i < s->inner; i++) {
        const int64_t at = ((s->backwards ? columns - s->inner : 0) + i) * column;
        q->recur(rows, steps, by, b + at, a + at, b + at, last + i * rows);
    }
    ag__turn(a, b, columns, rows, (size_t)s->bytes);
    for (int64_t r = 0; r < rows; r++)
        ag__copy_row(s->y + ((row + r) * length + start) * s->bytes, a + r * columns * s->bytes,
                     (size_t)(columns * s->bytes), s->past, 0);
}

enum { ROWS = AG__LANES / 2 };

static void recur_rows(const recurrence *q, int64_t row, int64_t rows) {
    _Alignas(64) double last[AG__FEWEST_COLUMNS * ROWS];
    const scan *s = &q->s;
    const int64_t length = s->n * s->inner, most = ag__lesser(AG__STRIP / ROWS / s->inner * s->inner, length);
    memset(last, 0, sizeof last);
    for (int64_t done = 0, m; done < length; done += m) {
        m = ag__lesser(most, length - done);
        recur_tile(q, row, rows, s->backwards ? length - done - m : done, m, last);
    }
}

/* Rows are turned only if there are some. */
static bool turns(const recurrence *q) {
    return q->s.inner <= AG__STRIP / ROWS && q->s.inner < AG__FEWEST_COLUMNS && q->s.outer >= ROWS / 4;
}

static void recur_share(void *q_, int i, int n) {
    const recurrence *q = q_;
    const scan *s = &q->s;
    const int64_t whole = turns(q) ? s->outer : s->outer * s->inner;
    int64_t start = ag__share_start(whole, i, n);
    const int64_t end = ag__share_start(whole, i + 1, n);
    for (int64_t m; start < end; start += m) {
        if (turns(q)) {
            m = ag__lesser(end - start, ROWS);
            recur_rows(q, start, m);
        } else {
            m = ag__lesser(ag__lesser(end - start, AG__STRIP), s->inner - start % s->inner);
            recur_columns(q, start, m);
        }
    }
    if (s->past) ag__copied_past();
}

AG__SHORT static bool recur_eval(const ag_call *call) {
    ag_call of_b = *call;
    of_b.x = &call->x[1];
    recurrence q = {scan_of(&of_b, &ag__reduction_sum), call->x[0].data,
                    call->y.dtype == AG_F32 ? recur_f32 : recur_f64};
    if (call->y.size > 0) ag__parallel(ag__worthwhile(4 * call->y.size, call->threads), recur_share, &q);
    return true;
}

AG__SHORT static bool recur_infer(ag_infer *r) {
    if (!ag__is_real((int)r->dtype) || ag_dtype_of(r->x[0]) != r->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "the dtypes %s and %s must be f32 or f64, the same for both",
                         ag_dtype_name(ag_dtype_of(r->x[0])), ag_dtype_name(r->dtype));
    if (!ag__extents_equal(r->x[0]->layout, r->x[1]->layout))
        return ag_reject(r, AG_ERR_SHAPE, "the shapes must be the same");
    return along_accepted(r);
}

/* x moved along an axis: y[k] = x[k−1], or x[k+1], and 0 where there is none. */
AG__SHORT static ag_tensor *moved(ag_tensor *x, int axis, bool back) {
    const int64_t n = ag_extent(x, axis);
    if (n == 0) return x;
    return ag_embed(back ? ag_slice(x, axis, 1, AG_END, 1) : ag_slice(x, axis, 0, n - 1, 1), axis, n, back ? 0 : 1, 1);
}

static ag_tensor *record_recur(ag_tensor *a, ag_tensor *b, int axis, bool backwards) {
    const along attributes = {axis, backwards, 0};
    return ag_apply(&ag__op_recur, 2, (ag_tensor *[]){a, b}, &attributes, sizeof attributes);
}

/* b̄ = ȳ and what later elements have of it;  ā[k] = b̄[k]·y[k−1], or backwards b̄[k−1]·y[k]: 0 where either is 0, as
 * the products of the recurrence are. */
AG__SHORT static ag_tensor *recur_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const along *a = ag_attributes(y);
    const int axis = (int)a->axis;
    ag_tensor *b_bar = record_recur(ag_input(y, 0), g, axis, !a->backwards);
    if (i == 1) return b_bar;
    return a->backwards ? ag__mul_both_strong(moved(b_bar, axis, false), y)
                        : ag__mul_both_strong(b_bar, moved(y, axis, false));
}

const ag_op ag__op_recur = {.name = "recur",
                            .notation = "recur_{i0}({0}, {1})",
                            .kind = AG_KIND_OPAQUE,
                            .flags = AG_OP_CONTIGUOUS,
                            .arity = 2,
                            .attribute_bytes = sizeof(along),
                            .infer = recur_infer,
                            .eval = recur_eval,
                            .vjp = recur_vjp};

/* ---- cumprod ---- */

static bool cumprod_eval(const ag_call *call) { return scan_eval(call, &ag__reduction_prod); }

/* x̄[k] = Π_{j<k} x[j] · S[k], where S[k] = Σ_{i≥k} ȳ[i]·Π_{k<j≤i} x[j] = ȳ[k] + x[k+1]·S[k+1]; nothing is divided by
 * x. Without its own element, y[k] belongs to the place before. Backwards it is the mirror image. */
AG__SHORT static ag_tensor *cumprod_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const along *a = ag_attributes(y);
    const int axis = (int)a->axis;
    ag_tensor *x = ag_input(y, i), *before = ag__products_before(x, axis, a->backwards);
    if (a->exclusive) g = moved(g, axis, !a->backwards);
    return ag__slope_mul(record_recur(a->backwards ? moved(x, axis, false) : x, g, axis, !a->backwards), before);
}

const ag_op ag__op_cumprod = {.name = "cumprod",
                              .notation = "cumprod_{i0}({0})",
                              .kind = AG_KIND_OPAQUE,
                              .flags = AG_OP_CONTIGUOUS | AG_OP_HIDES_NOTHING,
                              .arity = 1,
                              .attribute_bytes = sizeof(along),
                              .infer = scan_infer,
                              .eval = cumprod_eval,
                              .vjp = cumprod_vjp};

ag_tensor *ag_cumprod(ag_tensor *x, int axis) { return scanned(&ag__op_cumprod, x, axis); }

ag_tensor *ag__products_before(ag_tensor *x, int axis, bool behind) {
    return record(&ag__op_cumprod, x, axis, behind, true);
}

/* ---- cummax, cummin ---- */

static bool cummax_eval(const ag_call *call) { return scan_eval(call, &ag__reduction_max); }
static bool cummin_eval(const ag_call *call) { return scan_eval(call, &ag__reduction_min); }

/* ȳ[k] goes to the last element up to k that is y[k], or NaN as it: it has the sum of those from its own place on to
 * the next such element, a recurrence that a 0 there begins anew. */
AG__SHORT static ag_tensor *cumulative_extreme_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, i);
    ag_tape *tape = ag_tape_of(x);
    const int axis = (int)((const along *)ag_attributes(y))->axis;
    ag_tensor *zero = ag_scalar(tape, ag_dtype_of(x), 0), *one = ag_scalar(tape, ag_dtype_of(x), 1);
    ag_tensor *goes_on = ag_where(ag_equal(x, y), zero, ag_where(ag_equal(x, x), one, zero));
    return ag_where(ag_equal(goes_on, zero), record_recur(goes_on, g, axis, true), zero);
}

const ag_op ag__op_cummax = {.name = "cummax",
                             .notation = "cummax_{i0}({0})",
                             .kind = AG_KIND_OPAQUE,
                             .flags = AG_OP_CONTIGUOUS,
                             .arity = 1,
                             .attribute_bytes = sizeof(along),
                             .infer = scan_infer,
                             .eval = cummax_eval,
                             .vjp = cumulative_extreme_vjp};

ag_tensor *ag_cummax(ag_tensor *x, int axis) { return scanned(&ag__op_cummax, x, axis); }

const ag_op ag__op_cummin = {.name = "cummin",
                             .notation = "cummin_{i0}({0})",
                             .kind = AG_KIND_OPAQUE,
                             .flags = AG_OP_CONTIGUOUS,
                             .arity = 1,
                             .attribute_bytes = sizeof(along),
                             .infer = scan_infer,
                             .eval = cummin_eval,
                             .vjp = cumulative_extreme_vjp};

ag_tensor *ag_cummin(ag_tensor *x, int axis) { return scanned(&ag__op_cummin, x, axis); }

/* The place of the last new extreme: where x is y, and where it is NaN. */
static ag_tensor *places_of_extremes(ag_tensor *x, ag_tensor *y, int axis) {
    ag_shape line = {.rank = ag_rank(x)};
    for (int i = 0; i < line.rank; i++) line.extent[i] = i == axis ? ag_extent(x, i) : 1;
    const int64_t n = line.rank ? line.extent[axis] : 1;
    ag_tensor *place = ag__reshape(ag_arange(ag_tape_of(x), AG_I64, n), &line);
    ag_tensor *found = ag_logical_or(ag_equal(x, y), ag_not_equal(x, x));
    return ag_cummax(ag_where(found, place, ag_scalar(ag_tape_of(x), AG_I64, 0)), axis);
}

AG__SHORT static ag_tensor *with_places(const ag_op *op, const char *name, ag_tensor *x, int axis, ag_tensor **index) {
    ag_tensor *y;
    if (ag__inputs_usable(name, 1, &x, &y)) {
        const int at = ag__axis(axis, ag_rank(x));
        if (at >= 0) {
            x = ag__as_number(x), y = scanned(op, x, at);
            if (index && ag_is_nil(*index = places_of_extremes(x, y, at))) y = *index; /* both, or both nil */
            return y;
        }
        y = ag__fail(name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    }
    if (index) *index = y;
    return y;
}
ag_tensor *ag_cummax_indices(ag_tensor *x, int axis, ag_tensor **index) {
    return with_places(&ag__op_cummax, "cummax_indices", x, axis, index);
}
ag_tensor *ag_cummin_indices(ag_tensor *x, int axis, ag_tensor **index) {
    return with_places(&ag__op_cummin, "cummin_indices", x, axis, index);
}

/* ---- Composed ---- */

/* With m the largest so far, held constant, T[k] = Σ_{j≤k} e^(x[j]−m[k]) = a·T[k−1] + e^(x[k]−m[k]), a =
 * e^(m[k−1]−m[k]). The recurrence is that of T − 1, which does not cancel where one element leads: a·(T[k−1] − 1) + (a
 * + e^(x[k]−m[k]) − 1). If m is infinite, x − m would be ∞ − ∞: the exponents use the largest finite number instead. */
AG__SHORT static ag_tensor *log_of_sums(ag_tensor *x, int at) {
    const double most = ag_dtype_of(x) == AG_F32 ? (double)FLT_MAX : DBL_MAX;
    ag_tensor *m = ag_stop_gradient(ag_cummax(x, at)), *within = ag_clamp(m, -most, most);
    ag_shape one_each = ag_shape_of(x);
    one_each.extent[at] = 1;
    ag_tensor *nothing = ag_full(ag_tape_of(x), ag_dtype_of(x), one_each, -(double)INFINITY);
    ag_tensor *before = ag_concat(2, (ag_tensor *[]){nothing, ag_slice(within, at, 0, -1, 1)}, at);
    ag_tensor *a = ag_exp(ag_sub(before, within)), *e = ag_exp(ag_sub(x, within));
    ag_tensor *one = ag__number_as(x, 1);
    ag_tensor *b = ag_where(ag_less(e, one), e, ag_add(a, ag_add_scalar(e, -1)));
    return ag_add(m, ag_log1p(record_recur(a, b, at, false)));
}

AG__SHORT ag_tensor *ag_logcumsumexp(ag_tensor *x, int axis);
ag_tensor *ag_logcumsumexp(ag_tensor *x, int axis) {
    ag_tensor *nil;
    if (!ag__inputs_usable("logcumsumexp", 1, &x, &nil)) return nil;
    const int at = ag__axis(axis, ag_rank(x));
    if (!ag__is_real((int)ag_dtype_of(x)))
        return ag__fail("logcumsumexp", 1, &x, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(ag_dtype_of(x)));
    if (at < 0)
        return ag__fail("logcumsumexp", 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    return ag_extent(x, at) == 0 ? ag__unchanged(x) : log_of_sums(x, at);
}

AG__SHORT static ag_tensor *differences(ag_tensor *x, int64_t n, int at) {
    x = ag_contiguous(x); /* once, and not for each of two slices */
    for (; n > 0; n--) {
        ag_tensor *next = ag_slice(x, at, 1, AG_END, 1), *here = ag_slice(x, at, 0, -1, 1);
        x = ag_dtype_of(x) == AG_BOOL ? ag_not_equal(next, here) : ag_sub(next, here);
    }
    return x;
}

AG__SHORT ag_tensor *ag_diff(ag_tensor *x, int64_t n, int axis);
ag_tensor *ag_diff(ag_tensor *x, int64_t n, int axis) {
    ag_tensor *nil;
    if (!ag__inputs_usable("diff", 1, &x, &nil)) return nil;
    const int at = ag__axis(axis, ag_rank(x));
    if (at < 0) return ag__fail("diff", 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    if (n < 0) return ag__fail("diff", 1, &x, AG_ERR_RANGE, "n is %lld: 0 or more is wanted", (long long)n);
    if (n >= ag_extent(x, at)) return ag_slice(x, at, 0, 0, 1);
    return n == 0 ? ag__unchanged(x) : differences(x, n, at);
}
