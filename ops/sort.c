/* sort -- sorting along the last axis, the first elements of the order, and searching in it
 *
 * An element becomes a record: a key, an unsigned number in whose order elements are to be, and what is wanted of it,
 * its bits or its index. Records are sorted digit by digit, beginning with the lowest, which keeps equal keys in their
 * order; few of them are inserted one by one. −0 and 0 have one key, and so have all NaN, the last one. Other axes are
 * made the last one by a view. */
#include "autograd/eval/eval.h"
#include "autograd/tape/limits.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

/* ---- Keys ---- */

/* In one word where the key has 32 bits, and else in two. */
typedef uint64_t narrow;
typedef struct wide {
    uint64_t key, payload;
} wide;

/* Records of n elements: their bits, or their indices from `first` on. `down`: in descending order. */
AG_BLOCK_KERNEL(void, records_of_f32, (int64_t n, const void *x_, void *r_, bool indices, bool down, int64_t first),
                (n, x_, r_, indices, down, first)) {
    const ag__word_4 *x = x_;
    narrow *r = r_;
    const uint32_t at = (uint32_t)first, turned = down ? UINT32_MAX : 0, bits = indices ? 0 : UINT32_MAX;
    AG_SIMD
    for (int64_t i = 0; i < n; i++) {
        const uint32_t b = x[i], size = b & UINT32_C(0x7fffffff), negative = 0 - (b >> 31);
        const uint32_t plain = b ^ (negative | UINT32_C(0x80000000));
        const uint32_t key = size > UINT32_C(0x7f800000) ? UINT32_MAX : size == 0 ? UINT32_C(0x80000000) : plain;
        r[i] = (uint64_t)(key ^ turned) << 32 | ((b & bits) | ((at + (uint32_t)i) & ~bits));
    }
}

static void records_of_bool(int64_t n, const void *x_, void *r_, bool indices, bool down, int64_t first) {
    const uint8_t *x = x_;
    narrow *r = r_;
    for (int64_t i = 0; i < n; i++)
        r[i] = (narrow)(x[i] ^ (uint8_t)down) << 32 | (indices ? (uint32_t)(first + i) : x[i]);
}

static void records_of_f64(int64_t n, const void *x_, void *r_, bool indices, bool down, int64_t first) {
    const ag__word_8 *x = x_;
    wide *r = r_;
    const uint64_t turned = down ? UINT64_MAX : 0;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t b = x[i], size = b & UINT64_C(0x7fffffffffffffff);
        uint64_t key = b >> 63 ? ~b : b | UINT64_C(0x8000000000000000);
        key = size > UINT64_C(0x7ff0000000000000) ? UINT64_MAX : size == 0 ? UINT64_C(0x8000000000000000) : key;
        r[i] = (wide){key ^ turned, indices ? (uint64_t)(first + i) : b};
    }
}

static void records_of_i64(int64_t n, const void *x_, void *r_, bool indices, bool down, int64_t first) {
    const ag__word_8 *x = x_;
    wide *r = r_;
    const uint64_t turned = (down ? UINT64_MAX : 0) ^ UINT64_C(0x8000000000000000);
    for (int64_t i = 0; i < n; i++) r[i] = (wide){x[i] ^ turned, indices ? (uint64_t)(first + i) : x[i]};
}

typedef void make_records(int64_t, const void *, void *, bool, bool, int64_t);
static make_records *const records_of[AG_DTYPES] = {records_of_bool, records_of_i64, records_of_f32, records_of_f64};

/* ---- Sorting records ---- */

enum { DIGITS = 256, FEW = AG__LIMIT(40, 6), SAMPLES = AG__LIMIT(4096, 16), MOST_SORTED = 4 * SAMPLES };

static inline uint64_t key_of_narrow(narrow r) { return r >> 32; }
static inline uint64_t key_of_wide(wide r) { return r.key; }

/* Sorts n records by their keys, which have so many bytes; the result is in r, and `other` has room for as many. A
 * digit that all keys share moves nothing. */
#define SORT(sort, insert, record, key_of, BYTES)                                                                      \
    static void insert(int64_t n, record *r) {                                                                         \
        for (int64_t i = 1; i < n; i++) {                                                                              \
            const record next = r[i];                                                                                  \
            int64_t j = i;                                                                                             \
            for (; j > 0 && key_of(r[j - 1]) > key_of(next); j--) r[j] = r[j - 1];                                     \
            r[j] = next;                                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    static void sort(int64_t n, record *r, record *other) {                                                            \
        int64_t count[BYTES][DIGITS];                                                                                  \
        record *from = r, *to = other;                                                                                 \
        if (n <= FEW) {                                                                                                \
            insert(n, r);                                                                                              \
            return;                                                                                                    \
        }                                                                                                              \
        memset(count, 0, sizeof count);                                                                                \
        for (int64_t i = 0; i < n; i++)                                                                                \
            for (int d = 0; d < BYTES; d++) count[d][key_of(r[i]) >> (8 * d) & 255]++;                                 \
        for (int d = 0; d < BYTES; d++) {                                                                              \
            int64_t start = 0;                                                                                         \
            if (count[d][key_of(r[0]) >> (8 * d) & 255] == n) continue;                                                \
            for (int k = 0; k < DIGITS; k++) {                                                                         \
                const int64_t next = start + count[d][k];                                                              \
                count[d][k] = start;                                                                                   \
                start = next;                                                                                          \
            }                                                                                                          \
            for (int64_t i = 0; i < n; i++) to[count[d][key_of(from[i]) >> (8 * d) & 255]++] = from[i];                \
            record *swap = from;                                                                                       \
            from = to, to = swap;                                                                                      \
        }                                                                                                              \
        if (from != r) memcpy(r, from, (size_t)n * sizeof *r);                                                         \
    }
SORT(sort_narrow, insert_narrow, narrow, key_of_narrow, 4)
SORT(sort_wide, insert_wide, wide, key_of_wide, 8)

/* ---- Rows ---- */

typedef struct order {
    int64_t down,
        k; /* the largest first; how many of the first elements in this order, of topk; the rank, of argrank */
} order;

enum { RANKS = 3 }; /* a rank, the next, and the last */

typedef struct sorting {
    ag_dtype dtype;
    bool indices, down;
    bool is_narrow;         /* the record */
    int64_t bytes, n, rows; /* of an element; elements of a row */
    int64_t k, rank, room;  /* elements that are wanted of a row; records that each thread has memory for, twice */
    const char *x;
    char *y, *scratch;
} sorting;

static int64_t record_bytes(const sorting *s) { return s->is_narrow ? (int64_t)sizeof(narrow) : (int64_t)sizeof(wide); }

/* The first half of n sorted records and the others become one order, in which equal keys keep theirs. */
static void merge(int64_t half, int64_t n, wide *r, wide *other) {
    const wide *a = other, *const a_end = other + half, *b = r + half, *const end = r + n;
    memcpy(other, r, (size_t)half * sizeof *r);
    while (a < a_end && b < end) {
        const int64_t second = -(int64_t)(a->key > b->key); /* all bits, or none: no branch to be guessed */
        *r++ = *(a + (second & (b - a)));
        a += 1 & ~second;
        b += 1 & second;
    }
    memcpy(r, a, (size_t)(a_end - a) * sizeof *r);
}

/* A few more wide ones than are inserted are inserted by halves: their eight digits would take longer. */
static void sort_records(const sorting *s, int64_t n, char *r) {
    char *other = r + s->room * record_bytes(s);
    const int64_t half = n / 2;
    wide *w = (wide *)(void *)r, *w_other = (wide *)(void *)other;
    if (s->is_narrow) sort_narrow(n, (narrow *)(void *)r, (narrow *)(void *)other);
    else if (n > FEW && n <= 2 * FEW) {
        insert_wide(half, w);
        insert_wide(n - half, w + half);
        merge(half, n, w, w_other);
    } else sort_wide(n, w, w_other);
}

/* The bits or indices of the first k records of a row. */
static void put_records(const sorting *s, const char *r, char *y) {
    const narrow *a = (const narrow *)(const void *)r;
    const wide *b = (const wide *)(const void *)r;
    ag__word_4 *words = (ag__word_4 *)(void *)y;
    ag__word_8 *long_words = (ag__word_8 *)(void *)y;
    const int64_t k = s->k;
    if (!s->indices && s->dtype == AG_BOOL) {
        for (int64_t i = 0; i < k; i++) y[i] = (char)a[i];
    } else if (!s->indices && s->is_narrow) {
        for (int64_t i = 0; i < k; i++) words[i] = (uint32_t)a[i];
    } else if (s->is_narrow) {
        for (int64_t i = 0; i < k; i++) long_words[i] = (uint32_t)a[i];
    } else {
        for (int64_t i = 0; i < k; i++) long_words[i] = b[i].payload;
    }
}

static void sort_row(const sorting *s, const char *x, char *y, char *r) {
    records_of[s->dtype](s->n, x, r, s->indices, s->down, 0);
    sort_records(s, s->n, r);
    put_records(s, r, y);
}

/* The first k of `count` sorted records and m others, which come later: inserted one by one, for few, or collected if
 * they come before the limit, which may be NULL. Or those whose keys are from one limit to another: `below` counts the
 * ones before, and `last` becomes the last one of all. */
#define SELECT(insert_first, take, between, record, key_of)                                                            \
    static int64_t insert_first(int64_t k, record *best, int64_t count, int64_t m, const record *from) {               \
        for (int64_t i = 0; i < m; i++) {                                                                              \
            const record next = from[i];                                                                               \
            int64_t j = count;                                                                                         \
            if (count == k && key_of(next) >= key_of(best[k - 1])) continue;                                           \
            if (count < k) count++;                                                                                    \
            else j--;                                                                                                  \
            for (; j > 0 && key_of(best[j - 1]) > key_of(next); j--) best[j] = best[j - 1];                            \
            best[j] = next;                                                                                            \
        }                                                                                                              \
        return count;                                                                                                  \
    }                                                                                                                  \
    static int64_t take(int64_t m, const record *from, record *to, int64_t count, const record *limit) {               \
        for (int64_t i = 0; i < m; i++) {                                                                              \
            to[count] = from[i];                                                                                       \
            count += !limit || key_of(from[i]) < key_of(*limit);                                                       \
        }                                                                                                              \
        return count;                                                                                                  \
    }                                                                                                                  \
    static int64_t between(int64_t m, const record *from, record *to, int64_t count, const record limit[2],            \
                           int64_t *below, record *last) {                                                             \
        const uint64_t low = key_of(limit[0]), high = key_of(limit[1]);                                                \
        int64_t before = 0;                                                                                            \
        for (int64_t i = 0; i < m; i++) {                                                                              \
            const uint64_t key = key_of(from[i]);                                                                      \
            to[count] = from[i];                                                                                       \
            count += (key >= low) & (key <= high);                                                                     \
            before += key < low;                                                                                       \
            if (key >= key_of(*last)) *last = from[i];                                                                 \
        }                                                                                                              \
        *below += before;                                                                                              \
        return count;                                                                                                  \
    }
SELECT(insert_first_narrow, take_narrow, between_narrow, narrow, key_of_narrow)
SELECT(insert_first_wide, take_wide, between_wide, wide, key_of_wide)

/* ---- Few of a long row of f32: most of it is only compared with a limit that k elements reach ---- */

enum { LIMITERS = AG__LIMIT(64, 8), BLOCK = AG__LIMIT(32, 4) };

/* The largest of every LIMITERS-th element, NaN left out; by sign −1 the smallest, negated. */
AG_BLOCK_KERNEL(void, largest_f32, (int64_t n, const float *x, float sign, float *most), (n, x, sign, most)) {
    for (int64_t l = 0; l < LIMITERS; l++) most[l] = -INFINITY;
    for (int64_t i = 0; i + LIMITERS <= n; i += LIMITERS) {
        AG_SIMD
        for (int64_t l = 0; l < LIMITERS; l++) most[l] = sign * x[i + l] > most[l] ? sign * x[i + l] : most[l];
    }
}

/* The k-th largest of these, −∞ if that is NaN: k elements of the row are as large. */
AG_BLOCK_KERNEL(float, limit_f32, (int64_t k, const float *most), (k, most)) {
    float limit = -INFINITY;
    for (int64_t i = 0; i < LIMITERS; i++) {
        int as_large = 0;
        for (int64_t l = 0; l < LIMITERS; l++) as_large += most[l] >= most[i];
        if (as_large >= k && most[i] > limit) limit = most[i];
    }
    return limit;
}

AG_BLOCK_KERNEL(bool, all_less_f32, (int64_t m, const float *x, float sign, float limit), (m, x, sign, limit)) {
    int less = 1;
    for (int64_t i = 0; i < m; i++) less &= sign * x[i] < limit;
    return less;
}

/* The first k: those that come before the last of the best ones so far, or not behind a limit, are collected; when
 * there is no more room, they are sorted, and k of them stay. An equal key that comes later has a later index. */
static void select_row(const sorting *s, const char *x, char *y, char *r) {
    _Alignas(64) char some[BLOCK * sizeof(wide)];
    const float sign = s->down ? 1 : -1;
    float most[LIMITERS], least = -INFINITY;
    const char *limit = NULL;
    narrow beyond; /* the first key that is not wanted */
    bool few = s->k <= FEW;
    int64_t count = 0;
    if (few && s->dtype == AG_F32 && s->n >= 4 * LIMITERS) {
        largest_f32(s->n, (const float *)(const void *)x, sign, most);
        least = limit_f32(s->k, most);
    }
    if (least > -INFINITY) {
        uint32_t bits; /* records are made of them */
        memcpy(&bits, &(float){sign * least}, sizeof bits);
        records_of_f32(1, &bits, &beyond, true, s->down, 0);
        beyond += (narrow)1 << 32;
        limit = (const char *)&beyond, few = false;
    }
    for (int64_t start = 0, m; start < s->n; start += m) {
        const char *from = x + start * s->bytes;
        m = ag__lesser(s->n - start, BLOCK);
        if (least > -INFINITY && all_less_f32(m, (const float *)(const void *)from, sign, least)) continue;
        if (!few && count + m >= s->room) {
            sort_records(s, count, r);
            count = s->k;
            limit = r + (s->k - 1) * record_bytes(s);
        }
        records_of[s->dtype](m, from, some, true, s->down, start);
        if (few && s->is_narrow) count = insert_first_narrow(s->k, (narrow *)(void *)r, count, m, (const void *)some);
        else if (few) count = insert_first_wide(s->k, (wide *)(void *)r, count, m, (const void *)some);
        else if (s->is_narrow)
            count = take_narrow(m, (const void *)some, (narrow *)(void *)r, count, (const void *)limit);
        else count = take_wide(m, (const void *)some, (wide *)(void *)r, count, (const void *)limit);
    }
    if (!few) sort_records(s, count, r);
    put_records(s, r, y);
}

/* Two of some elements in order, far enough on either side of where rank s->rank is expected; beyond the first and
 * the last of them there may be more elements, so no key is beyond the limit there. */
AG__SHORT static void find_limits(const sorting *s, const char *x, char *r, char *limit) {
    enum { MARGIN = AG__LIMIT(128, 2) };
    const int64_t apart = s->n / SAMPLES, rest = s->n % SAMPLES, bytes = record_bytes(s);
    const int64_t at = s->rank * SAMPLES / s->n;
    for (int64_t i = 0, k; i < SAMPLES; i++) {
        k = i * apart + i * rest / SAMPLES + i * i % apart; /* not at equal distances: elements may be periodic */
        records_of[s->dtype](1, x + k * s->bytes, r + i * bytes, true, s->down, k);
    }
    sort_records(s, SAMPLES, r);
    if (at < MARGIN) memset(limit, 0, (size_t)bytes);
    else memcpy(limit, r + (at - MARGIN) * bytes, (size_t)bytes);
    if (at >= SAMPLES - MARGIN) memset(limit + bytes, 255, (size_t)bytes);
    else memcpy(limit + bytes, r + (at + MARGIN) * bytes, (size_t)bytes);
}

/* The elements whose rank is s->rank and one more, and the last. Of a long row those between two limits are sorted,
 * and all only if the ranks are not among them. */
static void rank_row(const sorting *s, const char *x, char *y, char *r) {
    enum { SOME = AG__LIMIT(64, 4), LIMITS = 2 };
    _Alignas(64) char some[SOME * sizeof(wide)], result[RANKS * sizeof(wide)], limit[LIMITS * sizeof(wide)];
    const int64_t bytes = record_bytes(s), next = ag__lesser(s->rank + 1, s->n - 1);
    int64_t below = 0, count = 0;
    char *last = result + (RANKS - 1) * bytes;
    memset(result, 0, sizeof result);
    if (s->n >= MOST_SORTED) {
        find_limits(s, x, r, limit);
        for (int64_t start = 0, m; start < s->n; start += m) {
            m = ag__lesser(s->n - start, SOME);
            records_of[s->dtype](m, x + start * s->bytes, some, true, s->down, start);
            if (s->is_narrow)
                count = between_narrow(m, (const void *)some, (narrow *)(void *)r, count, (const void *)limit, &below,
                                       (narrow *)(void *)last);
            else
                count = between_wide(m, (const void *)some, (wide *)(void *)r, count, (const void *)limit, &below,
                                     (wide *)(void *)last);
        }
    }
    if (count == 0 || s->rank < below || next >= below + count) {
        records_of[s->dtype](s->n, x, r, true, s->down, 0);
        below = 0, count = s->n;
        sort_records(s, count, r);
        memcpy(last, r + (count - 1) * bytes, (size_t)bytes);
    } else sort_records(s, count, r);
    memcpy(result, r + (s->rank - below) * bytes, (size_t)bytes);
    memcpy(result + bytes, r + (next - below) * bytes, (size_t)bytes);
    put_records(s, result, y);
}

static void sort_share(void *s_, int i, int n) {
    const sorting *s = s_;
    const int64_t end = ag__share_start(s->rows, i + 1, n), width = s->indices ? (int64_t)sizeof(int64_t) : s->bytes;
    char *r = s->scratch + i * 2 * s->room * record_bytes(s);
    for (int64_t row = ag__share_start(s->rows, i, n); row < end; row++) {
        const char *x = s->x + row * s->n * s->bytes;
        char *y = s->y + row * s->k * width;
        if (s->rank >= 0) rank_row(s, x, y, r);
        else if (s->k == s->n) sort_row(s, x, y, r);
        else select_row(s, x, y, r);
    }
}

/* Rows of k results; rank −1: it is no rank that is wanted. */
AG__SHORT static bool sort_with(const ag_call *call, bool indices, int64_t k, int64_t rank) {
    const ag_array *x = &call->x[0];
    const int64_t n = x->shape[x->rank - 1];
    sorting s = {.dtype = x->dtype, .indices = indices, .bytes = (int64_t)ag_dtype_size(x->dtype), .n = n, .k = k};
    if (call->y.size == 0) return true;
    s.is_narrow = s.bytes <= 4;
    s.rank = rank;
    s.down = ((const order *)call->attributes)->down;
    s.rows = x->size / n;
    s.room = rank >= 0 ? n + 1 : k == n ? n : ag__lesser(n, 2 * k + 256) + 64;
    s.x = x->data, s.y = call->y.data;
    int threads = ag__worthwhile(16 * x->size, call->threads);
    if (threads > s.rows) threads = (int)s.rows;
    s.scratch = ag_call_scratch(call, ag__times((uint64_t)s.room, 2 * (size_t)threads * (size_t)record_bytes(&s)));
    if (s.scratch) ag__parallel(threads, sort_share, &s);
    return s.scratch != NULL;
}

/* ---- The operations ---- */

static bool order_accepted(ag_infer *r) {
    const order *o = r->attributes;
    if (r->shape.rank == 0) return ag_reject(r, AG_ERR_AXIS, "a scalar has no axis");
    if (o->down & ~INT64_C(1))
        return ag_reject(r, AG_ERR_RANGE, "the direction is %lld: 0 or 1 is wanted", (long long)o->down);
    if (ag_dtype_size(r->dtype) <= 4 && r->shape.extent[r->shape.rank - 1] >= UINT32_MAX)
        return ag_reject(r, AG_ERR_SHAPE, "the axis has 2³² − 1 elements or more");
    return true;
}

static bool argsort_infer(ag_infer *r) {
    const bool good = order_accepted(r);
    r->dtype = AG_I64;
    return good;
}

AG__SHORT static bool argtopk_infer(ag_infer *r) {
    const order *o = r->attributes;
    if (!order_accepted(r)) return false;
    int64_t *extent = &r->shape.extent[r->shape.rank - 1];
    if (o->k < 0 || o->k > *extent)
        return ag_reject(r, AG_ERR_RANGE, "k is %lld, and there are %lld elements", (long long)o->k,
                         (long long)*extent);
    *extent = o->k;
    r->dtype = AG_I64;
    return true;
}

AG__SHORT static bool argrank_infer(ag_infer *r) {
    const order *o = r->attributes;
    if (!order_accepted(r)) return false;
    int64_t *extent = &r->shape.extent[r->shape.rank - 1];
    if (o->k < 0 || o->k >= *extent)
        return ag_reject(r, AG_ERR_RANGE, "rank %lld of %lld elements", (long long)o->k, (long long)*extent);
    *extent = RANKS;
    r->dtype = AG_I64;
    return true;
}

static int64_t row_length(const ag_call *call) { return call->x[0].shape[call->x[0].rank - 1]; }
static int64_t k_of(const ag_call *call) { return ((const order *)call->attributes)->k; }
static bool sort_eval(const ag_call *call) { return sort_with(call, false, row_length(call), -1); }
static bool argsort_eval(const ag_call *call) { return sort_with(call, true, row_length(call), -1); }
static bool argtopk_eval(const ag_call *call) { return sort_with(call, true, k_of(call), -1); }
static bool argrank_eval(const ag_call *call) { return sort_with(call, true, RANKS, k_of(call)); }

static ag_tensor *record(const ag_op *op, ag_tensor *x, bool down, int64_t k) {
    const order o = {down, k};
    return ag_apply(op, 1, &x, &o, sizeof o);
}

/* ȳ goes where y comes from. */
AG__SHORT static ag_tensor *sort_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, i), *zeros = ag__zeros_as(x);
    return ag_scatter_add(zeros, record(&ag__op_argsort, x, ((const order *)ag_attributes(y))->down, 0), g, -1);
}

const ag_op ag__op_sort = {.name = "sort",
                           .notation = "sort({0})",
                           .kind = AG_KIND_OPAQUE,
                           .flags = AG_OP_CONTIGUOUS | AG_OP_HIDES_NOTHING,
                           .arity = 1,
                           .attribute_bytes = sizeof(order),
                           .infer = order_accepted,
                           .eval = sort_eval,
                           .vjp = sort_vjp};

const ag_op ag__op_argsort = {.name = "argsort",
                              .notation = "argsort({0})",
                              .kind = AG_KIND_OPAQUE,
                              .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                              .arity = 1,
                              .attribute_bytes = sizeof(order),
                              .infer = argsort_infer,
                              .eval = argsort_eval};

const ag_op ag__op_argtopk = {.name = "argtopk",
                              .notation = "argtopk_{i1}({0})",
                              .kind = AG_KIND_OPAQUE,
                              .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                              .arity = 1,
                              .attribute_bytes = sizeof(order),
                              .infer = argtopk_infer,
                              .eval = argtopk_eval};

const ag_op ag__op_argrank = {.name = "argrank",
                              .notation = "argrank_{i1}({0})",
                              .kind = AG_KIND_OPAQUE,
                              .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                              .arity = 1,
                              .attribute_bytes = sizeof(order),
                              .infer = argrank_infer,
                              .eval = argrank_eval};

ag_tensor *ag__at_rank(ag_tensor *x, int64_t rank) { return ag_gather(x, record(&ag__op_argrank, x, false, rank), -1); }

/* Whether `name` can be called for x along *axis, which becomes non-negative; if not, *nil is set, after an error. */
AG__SHORT static bool usable_along(const char *name, ag_tensor *x, int *axis, ag_tensor **nil) {
    const int given = *axis;
    if (!ag__inputs_usable(name, 1, &x, nil)) return false;
    *axis = ag__axis(given, ag_rank(x));
    if (*axis < 0) *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", given, ag_rank(x));
    return *axis >= 0;
}

AG__SHORT static ag_tensor *along(const ag_op *op, ag_tensor *x, int axis, bool down, int64_t k) {
    return ag_transpose(record(op, ag_transpose(x, axis, -1), down, k), axis, -1);
}

ag_tensor *ag_sort(ag_tensor *x, int axis, bool descending) {
    ag_tensor *nil;
    return usable_along("sort", x, &axis, &nil) ? along(&ag__op_sort, x, axis, descending, 0) : nil;
}

ag_tensor *ag_argsort(ag_tensor *x, int axis, bool descending) {
    ag_tensor *nil;
    return usable_along("argsort", x, &axis, &nil) ? along(&ag__op_argsort, x, axis, descending, 0) : nil;
}

ag_tensor *ag_topk_along(ag_tensor *x, int64_t k, int axis, bool largest, ag_tensor **index) {
    ag_tensor *at = NULL, *y;
    if (usable_along("topk_along", x, &axis, &y)) {
        if (k < 0 || k > ag_extent(x, axis))
            y = ag__fail("topk_along", 1, &x, AG_ERR_RANGE, "k is %lld, and axis %d has %lld elements", (long long)k,
                         axis, (long long)ag_extent(x, axis));
        else at = along(&ag__op_argtopk, x, axis, largest, k), y = ag_gather(x, at, axis);
    }
    if (index) *index = ag_is_nil(y) ? y : at;
    return y;
}

/* ---- searchsorted ---- */

typedef struct side {
    int64_t right;
} side;

void ag__keys_of(ag_dtype dtype, int64_t n, const char *x, uint64_t *keys) {
    enum { SOME = AG__LIMIT(64, 5) };
    _Alignas(64) char r[SOME * sizeof(wide)];
    const narrow *short_ones = (const narrow *)(const void *)r;
    const wide *long_ones = (const wide *)(const void *)r;
    const int64_t bytes = (int64_t)ag_dtype_size(dtype);
    for (int64_t start = 0, m; start < n; start += m) {
        m = ag__lesser(n - start, SOME);
        records_of[dtype](m, x + start * bytes, r, true, false, 0);
        for (int64_t i = 0; i < m; i++) keys[start + i] = bytes <= 4 ? key_of_narrow(short_ones[i]) : long_ones[i].key;
    }
}

/* For each of m keys, how many of n sorted ones come before it: those less than it, or on the right side those that are
 * not greater. Each step halves the rest, whatever it finds, and is taken for all keys; the first one finds the same
 * element for all. */
AG_BLOCK_KERNEL(void, search,
                (int64_t n, const uint64_t *sorted, int64_t m, const uint64_t *keys, int64_t *y, bool right),
                (n, sorted, m, keys, y, right)) {
    int64_t half = (n + 1) / 2;
    const uint64_t middle = n > 0 ? sorted[half - 1] : 0;
    AG_SIMD
    for (int64_t i = 0; i < m; i++) y[i] = (middle < keys[i]) | (right & (middle == keys[i])) ? half : 0;
    for (int64_t rest = n - half; rest > 0; rest -= half) {
        half = (rest + 1) / 2;
        if (right) {
            AG_SIMD
            for (int64_t i = 0; i < m; i++) y[i] += sorted[y[i] + half - 1] <= keys[i] ? half : 0;
        } else {
            AG_SIMD
            for (int64_t i = 0; i < m; i++) y[i] += sorted[y[i] + half - 1] < keys[i] ? half : 0;
        }
    }
}

/* The same for one element by the same steps, without keys, of which most would not be looked at. */
#define FIND(name, type)                                                                                               \
    static int64_t name(int64_t n, const void *sorted_, const void *x, bool right) {                                   \
        const type *sorted = sorted_;                                                                                  \
        const type wanted = *(const type *)x;                                                                          \
        const bool odd = wanted != wanted; /* NaN comes last */                                                        \
        int64_t at = 0;                                                                                                \
        for (int64_t rest = n, half; rest > 0; rest -= half) {                                                         \
            half = (rest + 1) / 2;                                                                                     \
            const type v = sorted[at + half - 1];                                                                      \
            const bool same = right & ((v == wanted) | odd);                                                           \
            at += (v < wanted) | same | (odd & (v == v)) ? half : 0;                                                   \
        }                                                                                                              \
        return at;                                                                                                     \
    }
FIND(find_i64, int64_t)
FIND(find_f32, float)
FIND(find_f64, double)

static int64_t (*const finds[AG_DTYPES])(int64_t, const void *, const void *, bool) = {NULL, find_i64, find_f32,
                                                                                       find_f64};

typedef struct searching {
    const ag_call *call;
    uint64_t *sorted; /* keys; NULL: few elements are looked for */
} searching;

static void search_share(void *s_, int i, int n) {
    enum { SOME = AG__LIMIT(256, 5) };
    const searching *s = s_;
    const ag_array *sorted = &s->call->x[0], *x = &s->call->x[1];
    const int64_t length = sorted->shape[sorted->rank - 1], bytes = (int64_t)ag_dtype_size(x->dtype);
    const int64_t row = sorted->rank == 1 ? x->size : x->shape[x->rank - 1];
    const int64_t end = ag__share_start(x->size, i + 1, n);
    const bool right = ((const side *)s->call->attributes)->right;
    int64_t (*const find)(int64_t, const void *, const void *, bool) = finds[x->dtype];
    _Alignas(AG__LINE) uint64_t keys[SOME]; /* no vector of them is in two lines */
    for (int64_t at = ag__share_start(x->size, i, n), m; at < end; at += m) {
        const char *from = (const char *)x->data + at * bytes;
        const int64_t first = at / row * length;
        int64_t *y = (int64_t *)s->call->y.data + at;
        m = ag__lesser(ag__lesser(end - at, row - at % row), SOME);
        if (s->sorted) ag__keys_of(x->dtype, m, from, keys), search(length, s->sorted + first, m, keys, y, right);
        for (int64_t k = 0; k < m && !s->sorted; k++)
            y[k] = find(length, (const char *)sorted->data + first * bytes, from + k * bytes, right);
    }
}

/* Elements that are few to look for in a row; sorted ones for each, of which not all are worth a key. */
enum { FEW_SEARCHED = AG__LIMIT(8, 3), MANY_SORTED = AG__LIMIT(16, 2) };

AG__SHORT static bool searchsorted_eval(const ag_call *call) {
    const ag_array *sorted = &call->x[0];
    searching s = {call, NULL};
    if (call->y.size == 0) return true;
    const int64_t row = sorted->rank == 1 ? call->y.size : call->y.shape[call->y.rank - 1];
    if (row > FEW_SEARCHED && call->y.size > sorted->size / MANY_SORTED) {
        s.sorted = ag_call_scratch(call, ag__times((uint64_t)sorted->size + 1, sizeof *s.sorted));
        if (!s.sorted) return false;
        ag__keys_of(sorted->dtype, sorted->size, sorted->data, s.sorted);
    }
    ag__parallel(ag__worthwhile(16 * call->y.size, call->threads), search_share, &s);
    return true;
}

AG__SHORT static bool searchsorted_infer(ag_infer *r) {
    const ag_shape sorted = ag_shape_of(r->x[0]), x = ag_shape_of(r->x[1]);
    const int64_t right = ((const side *)r->attributes)->right;
    bool fits = sorted.rank == 1 || sorted.rank == x.rank;
    if (r->dtype == AG_BOOL || r->dtype != ag_dtype_of(r->x[0]))
        return ag_reject(r, AG_ERR_DTYPE, "the dtypes %s and %s must be the same, and not bool",
                         ag_dtype_name(ag_dtype_of(r->x[0])), ag_dtype_name(r->dtype));
    for (int i = 0; fits && i < sorted.rank - 1; i++) fits = sorted.extent[i] == x.extent[i];
    if (!fits || sorted.rank == 0)
        return ag_reject(r, AG_ERR_SHAPE, "the sorted tensor must have one axis, or the other's leading axes");
    if (right & ~INT64_C(1)) return ag_reject(r, AG_ERR_RANGE, "the side is %lld: 0 or 1 is wanted", (long long)right);
    r->dtype = AG_I64;
    r->shape = x;
    return true;
}

const ag_op ag__op_searchsorted = {.name = "searchsorted",
                                   .notation = "searchsorted({0}, {1})",
                                   .kind = AG_KIND_OPAQUE,
                                   .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                                   .arity = 2,
                                   .attribute_bytes = sizeof(side),
                                   .infer = searchsorted_infer,
                                   .eval = searchsorted_eval};

ag_tensor *ag_searchsorted(ag_tensor *sorted, ag_tensor *x, bool right) {
    const side s = {right};
    return ag_apply(&ag__op_searchsorted, 2, (ag_tensor *[]){sorted, x}, &s, sizeof s);
}
