/* choose -- random whole numbers, orders, and indices by weight */
#include "autograd/tape/limits.h"
#include "autograd/tape/philox.h"
#include "ops/incomplete.h"
#include "ops/sampling.h"
#include "ops/shaping.h"

#include <math.h>
#include <string.h>

/* ---- Whole numbers ---- */

typedef struct interval { /* attributes: low <= y < low + width; the width may be over INT64_MAX */
    uint64_t low, width, seed, draw;
} interval;

typedef struct filling {
    const ag_call *call;
    const interval *of;
    int64_t words; /* of 32 bits that each number takes */
} filling;

enum { WORDS = AG__PHILOX_WORDS };

/* Words, or pairs of them, as whole numbers of the interval, and whether any may have to be drawn again: those with a
 * rest below 2^32 or 2^64 mod width, by which some would be more probable than others (D. Lemire, Fast random integer
 * generation in an interval, 2019). */
static bool from_words(const interval *of, const uint32_t word[WORDS], int64_t y[WORDS]) {
    const uint64_t low = of->low, width = of->width;
    uint64_t doubtful = 0;
    AG_SIMD
    for (int i = 0; i < WORDS; i++) {
        const uint64_t p = width * word[i];
        y[i] = (int64_t)(low + (p >> 32));
        doubtful |= (p & UINT32_MAX) < width;
    }
    return doubtful != 0;
}
static bool from_pairs(const interval *of, const uint32_t word[WORDS], int64_t y[WORDS]) {
    const uint64_t low = of->low, width = of->width;
    uint64_t doubtful = 0;
    AG_SIMD
    for (int i = 0; i < WORDS / 2; i++) {
        uint64_t rest;
        y[i] = (int64_t)(low + ag__below(word[i], word[WORDS / 2 + i], width, &rest));
        doubtful |= rest < width;
    }
    return doubtful != 0;
}

/* Number i of the draw, whose first words are these; more of them are blocks of its own. */
static int64_t from_few(const filling *f, int64_t i, uint32_t high, uint32_t low) {
    const uint64_t width = f->of->width, refused = (0 - width) % width;
    ag__bits r = ag__bits_of(f->of->seed, f->of->draw, i);
    uint64_t rest, y = ag__below(high, low, width, &rest);
    if (f->words == 1) rest = (rest >> 32) < (UINT64_C(1) << 32) % width ? 0 : UINT64_MAX;
    ag__next_bits(&r); /* first words of others */
    while (rest < refused) {
        ag__next_bits(&r);
        y = ag__below(r.word[0], r.word[1], width, &rest);
    }
    return (int64_t)(f->of->low + y);
}

static void randint_share(void *f_, int share, int shares) {
    const filling *f = f_;
    const int64_t n = f->call->y.size, each = WORDS / f->words, batches = (n + each - 1) / each;
    const int64_t end = ag__share_start(batches, share + 1, shares);
    for (int64_t batch = ag__share_start(batches, share, shares); batch < end; batch++) {
        uint32_t word[WORDS];
        int64_t y[WORDS];
        const int64_t start = batch * each, m = ag__lesser(each, n - start);
        ag__philox_batch(f->of->seed, f->of->draw, (uint64_t)batch * AG__PHILOX_LANES, word);
        if ((f->words == 1 ? from_words : from_pairs)(f->of, word, y))
            for (int64_t i = 0; i < m; i++) y[i] = from_few(f, start + i, word[i], f->words == 1 ? 0 : word[each + i]);
        memcpy((int64_t *)f->call->y.data + start, y, (size_t)m * sizeof *y);
    }
}

/* One word is enough where it is hardly ever drawn again. */
static bool randint_eval(const ag_call *call) {
    enum { WORK = 10 };
    filling f = {call, call->attributes, 2};
    if (f.of->width <= 1 << 20) f.words = 1;
    ag__parallel(ag__worthwhile(call->y.size * WORK, call->threads), randint_share, &f);
    return true;
}

static bool randint_infer(ag_infer *r) {
    const interval *of = r->attributes;
    if (r->dtype != AG_I64) return ag_reject(r, AG_ERR_DTYPE, "needs i64, not %s", ag_dtype_name(r->dtype));
    return of->width > 0 || ag_reject(r, AG_ERR_RANGE, "low < high is wanted");
}

const ag_op ag__op_randint = {.name = "randint",
                              .kind = AG_KIND_SOURCE,
                              .attribute_bytes = sizeof(interval),
                              .infer = randint_infer,
                              .eval = randint_eval};

/* A source of i64 whose attributes end with seed and draw. */
static ag_tensor *drawn(const ag_op *op, ag_tape *tape, const ag_shape *shape, interval of) {
    if (tape) of.draw = ag__next_draw(tape, &of.seed);
    ag_tensor *y = ag_apply_source(op, tape, AG_I64, *shape, &of, sizeof of);
    if (!ag_is_nil(y)) ag__draw_taken(tape);
    return y;
}

ag_tensor *ag_randint(ag_tape *tape, ag_shape shape, int64_t low, int64_t high) {
    const uint64_t width = low < high ? (uint64_t)high - (uint64_t)low : 0;
    return drawn(&ag__op_randint, tape, &shape, (interval){.low = (uint64_t)low, .width = width});
}

/* ---- Orders ---- */

static bool permutation_infer(ag_infer *r) {
    return r->dtype == AG_I64 || ag_reject(r, AG_ERR_DTYPE, "needs i64, not %s", ag_dtype_name(r->dtype));
}

/* Random bits in their order, a word at a time. */
typedef struct words {
    const interval *of;
    int64_t next;
    uint32_t word[WORDS];
} words;

static inline uint32_t next_word(words *w) {
    if (w->next % WORDS == 0) ag__philox_batch(w->of->seed, w->of->draw, (uint64_t)w->next / 4, w->word);
    return w->word[w->next++ % WORDS];
}

/* 0 … n−1, equally probable. */
static inline int64_t next_below(words *w, uint64_t n) {
    uint64_t rest, y;
    do {
        const uint32_t high = next_word(w);
        if (n <= UINT32_MAX) y = n * high >> 32, rest = (n * high) << 32 | UINT32_MAX;
        else y = ag__below(high, next_word(w), n, &rest);
    } while (n <= UINT32_MAX ? rest >> 32 < n && rest >> 32 < (UINT64_C(1) << 32) % n : rest < n && rest < (0 - n) % n);
    return (int64_t)y;
}

/* Each element changes places with one before it, or with itself. */
static void shuffle(words *w, int64_t n, int64_t *y) {
    for (int64_t i = 1; i < n; i++) {
        const int64_t j = next_below(w, (uint64_t)i + 1), swap = y[i];
        y[i] = y[j];
        y[j] = swap;
    }
}

/* Each number goes to a random part, and each part is shuffled by itself, in the cache. */
static bool permutation_eval(const ag_call *call) {
    enum { PARTS = 256, MANY = AG__LIMIT(1 << 15, 64) };
    int64_t *y = call->y.data, n = call->y.size, end[PARTS] = {0}, start = 0;
    words w = {.of = call->attributes};
    const bool one = n <= MANY;
    for (int64_t i = 0, bits = 0; i < n && !one; i++, bits >>= 8) {
        if (i % 4 == 0) bits = next_word(&w);
        end[bits & 255]++;
    }
    for (int64_t k = 0, sum = 0; k < PARTS; k++) sum += end[k], end[k] = sum - end[k];
    w.next = 0;
    for (int64_t i = 0, bits = 0; i < n; i++, bits >>= 8) {
        if (i % 4 == 0 && !one) bits = next_word(&w);
        y[end[bits & 255]++] = i;
    }
    for (int64_t k = 0; k < PARTS; start = end[k++]) shuffle(&w, end[k] - start, y + start);
    return true;
}

const ag_op ag__op_permutation = {.name = "permutation",
                                  .kind = AG_KIND_SOURCE,
                                  .attribute_bytes = sizeof(interval),
                                  .infer = permutation_infer,
                                  .eval = permutation_eval};

ag_tensor *ag_permutation(ag_tape *tape, int64_t n) {
    return drawn(&ag__op_permutation, tape, &AG_SHAPE(n), (interval){.width = 1});
}

ag_tensor *ag_shuffle(ag_tensor *x, int axis) {
    ag_tensor *nil;
    if (!ag__inputs_usable("shuffle", 1, &x, &nil)) return nil;
    const int rank = ag_rank(x), a = ag__axis(axis, rank);
    if (a < 0) return ag__fail("shuffle", 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, rank);
    ag_shape along = {.rank = rank};
    for (int i = 0; i < rank; i++) along.extent[i] = i == a ? ag_extent(x, a) : 1;
    return ag_gather(x, ag__reshape(ag_permutation(ag_tape_of(x), ag_extent(x, a)), &along), a);
}

/* ---- Indices by weight ---- */

typedef struct choice { /* attributes */
    int64_t count, replacement;
} choice;

/* One row: w has C weights or, with replacement, the sum of those up to each one; the last weight over 0. */
typedef struct row {
    const ag_call *call;
    const uint64_t *key;
    int64_t number, classes, count, last, *y;
    double *w;
} row;

/* The number of element first + i, 0 < u <= 1. Of these elements i = 0 is asked for first, and then the next. */
static double unit_of(const row *r, int64_t first, int64_t i, uint32_t word[WORDS]) {
    const int64_t k = i % AG__PHILOX_LANES;
    if (k == 0) ag__philox_batch(r->key[0], r->key[1], (uint64_t)(first + i), word);
    return ag__unit((const uint32_t[]){word[k], word[AG__PHILOX_LANES + k]});
}

/* With replacement: the first class whose weight, added to those before it, is beyond u of the total. */
static void choose_any(const row *r) {
    const double total = r->w[r->classes - 1];
    uint32_t word[WORDS];
    for (int64_t k = 0; k < r->count; k++) {
        const double at = fmax(unit_of(r, r->number * r->count, k, word) * total, 0x1p-1074);
        int64_t low = 0, high = r->last;
        while (low < high) {
            const int64_t mid = low + (high - low) / 2;
            if (r->w[mid] >= at) high = mid;
            else low = mid + 1;
        }
        r->y[k] = low;
    }
}

/* Put a key and its class where the largest of a heap of n is, and let it sink to its place. */
static void sink(double key[], int64_t at[], int64_t n, double new_key, int64_t new_at) {
    int64_t i = 0;
    for (int64_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && key[child + 1] > key[child]) child++;
        if (key[child] <= new_key) break;
        key[i] = key[child];
        at[i] = at[child];
        i = child;
    }
    key[i] = new_key;
    at[i] = new_at;
}

/* Without replacement: the classes that come first if each comes after an exponential time of rate w, in that order. A
 * heap has the first ones so far, the last on top, by the logarithms of their times. */
static void choose_distinct(const row *r, double times[]) {
    uint32_t word[WORDS];
    double most = (double)INFINITY; /* a little over the time of the last one */
    for (int64_t k = 0; k < r->count; k++) times[k] = (double)INFINITY, r->y[k] = 0;
    for (int64_t i = 0; i < r->classes; i++) {
        const double u = unit_of(r, r->number * r->classes, i, word);
        const double w = r->w[i];
        if (1 - u > w * most) continue; /* −ln u is more than that: most classes need no logarithm */
        const double time = ag__ln(-ag__ln(u)) - ag__ln(w);
        if (!(w > 0 && time < times[0])) continue;
        sink(times, r->y, r->count, time, i);
        most = exp(fmax(times[0], -700)) * (1 + 0x1p-20);
    }
    for (int64_t n = r->count; n-- > 1;) { /* the last goes to the end */
        const double time = times[0], moved = times[n];
        const int64_t at = r->y[0], moved_at = r->y[n];
        sink(times, r->y, n, moved, moved_at);
        times[n] = time;
        r->y[n] = at;
    }
}

/* Whether the weights can be chosen from, and what `row` says of them; else an error of the call. */
static bool weights_valid(row *r, bool replacement) {
    double total = 0;
    int64_t positive = 0;
    for (int64_t i = 0; i < r->classes; i++) {
        const double w = r->w[i];
        if (!(w >= 0 && w < (double)INFINITY))
            return ag_call_fail(r->call, AG_ERR_RANGE, "weight %g at [%lld] of row %lld: 0 or more is wanted", w,
                                (long long)i, (long long)r->number);
        if (w > 0) positive++, r->last = i;
        total += w;
        if (replacement) r->w[i] = total;
    }
    if (positive >= (replacement ? 1 : r->count) && total < (double)INFINITY) return true;
    return ag_call_fail(r->call, AG_ERR_RANGE, "row %lld: %lld weights are positive, with the sum %g",
                        (long long)r->number, (long long)positive, total);
}

static bool multinomial_eval(const ag_call *call) {
    const choice *c = call->attributes;
    const ag_array *w = &call->x[0];
    row r = {.call = call, .key = call->x[1].data, .classes = w->shape[w->rank - 1], .count = c->count};
    if (call->y.size == 0) return true;
    const int64_t rows = call->y.size / c->count, bytes = (int64_t)ag_dtype_size(w->dtype);
    const size_t room = ag__plus((size_t)r.classes, c->replacement ? 0 : (size_t)c->count);
    r.w = ag_call_scratch(call, ag__times(room, sizeof *r.w));
    if (!r.w) return false;
    for (; r.number < rows; r.number++) {
        ag__widen(w->dtype, r.classes, r.w, (const char *)w->data + r.number * r.classes * bytes);
        r.y = (int64_t *)call->y.data + r.number * r.count;
        if (!weights_valid(&r, c->replacement)) return false;
        if (c->replacement) choose_any(&r);
        else choose_distinct(&r, r.w + r.classes);
    }
    return true;
}

static bool choice_fits(const ag_infer *r) {
    const choice *c = r->attributes;
    const ag_tensor *w = r->x[0];
    if (!ag__is_real((int)ag_dtype_of(w))) return ag_reject(r, AG_ERR_DTYPE, "weights must be f32 or f64");
    if (ag_rank(w) == 0) return ag_reject(r, AG_ERR_SHAPE, "weights must have an axis");
    if (c->count < 0 || (!c->replacement && c->count > ag_extent(w, -1)))
        return ag_reject(r, AG_ERR_RANGE, "%lld samples of %lld", (long long)c->count, (long long)ag_extent(w, -1));
    return c->count == 0 || ag_extent(w, -1) > 0 || ag_reject(r, AG_ERR_SHAPE, "there are no weights");
}

static bool multinomial_infer(ag_infer *r) {
    const choice *c = r->attributes;
    if (!choice_fits(r)) return false;
    if (!ag__is_key(r->x[1])) return ag_reject(r, AG_ERR_DTYPE, "the last input must be a key, i64 (2)");
    r->dtype = AG_I64;
    r->shape = ag_shape_of(r->x[0]);
    r->shape.extent[r->shape.rank - 1] = c->count;
    return true;
}

const ag_op ag__op_multinomial = {.name = "multinomial",
                                  .kind = AG_KIND_OPAQUE,
                                  .arity = 2,
                                  .attribute_bytes = sizeof(choice),
                                  .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                                  .infer = multinomial_infer,
                                  .eval = multinomial_eval};

ag_tensor *ag_multinomial(ag_tensor *weights, int64_t count, bool replacement) {
    const choice c = {count, replacement};
    ag_tensor *nil;
    if (!ag__inputs_usable("multinomial", 1, &weights, &nil)) return nil;
    const ag_infer call = {
        .op = &ag__op_multinomial, .n = 1, .x = &weights, .attributes = &c, .tape = ag_tape_of(weights)};
    if (!choice_fits(&call)) return ag__nil_of(call.tape); /* before a key is drawn */
    const ag__position since = ag__position_now(call.tape);
    ag_tensor *const x[] = {weights, ag__random_key(call.tape)};
    return ag__whole_or_nothing(ag_apply(&ag__op_multinomial, 2, x, &c, sizeof c), &since);
}
