/* count -- histograms, counts of small integers, distinct elements */
#include "autograd/eval/eval.h"
#include "autograd/tape/limits.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

/* ---- Histograms of equal bins ---- */

typedef struct bins {
    int64_t n;
    double low, high;
} bins;

enum { MOST_BINS = 1 << 30 };

/* The bin of each of n elements, and number `bins` for those outside. It is rounded to the nearest, or across an edge,
 * and the edges are then looked at. */
AG_BLOCK_KERNEL(void, find_bins, (int64_t n, const double *x, int32_t *at, const bins *b), (n, x, at, b)) {
    const double low = b->low, high = b->high, width = (high - low) / (double)b->n, by = (double)b->n / (high - low);
    const double last = (double)(b->n - 1), outside = (double)b->n, whole = 0x1p52;
    AG_SIMD
    for (int64_t i = 0; i < n; i++) {
        const double v = x[i], place = ((v - low) * by + whole) - whole, near = place < last ? place : last;
        const double under = v < near * width + low ? near - 1 : near, k = under > 0 ? under : 0;
        const double over = v >= (k + 1) * width + low ? k + 1 : k, bin = over < last ? over : last;
        at[i] = (int32_t)(((v >= low) & (v <= high)) ? bin : outside);
    }
}

typedef struct counting {
    const ag_call *call;
    const bins *bins;
    int64_t *count; /* of each thread: one more than there are bins, for what is outside */
} counting;

static void count_share(void *c_, int i, int n) {
    const counting *c = c_;
    const ag_array *x = &c->call->x[0];
    double strip[AG__STRIP];
    int32_t at[AG__STRIP];
    int64_t *count = c->count + i * (c->bins->n + 1);
    const int64_t end = ag__share_start(x->size, i + 1, n);
    memset(count, 0, (size_t)(c->bins->n + 1) * sizeof *count);
    for (int64_t start = ag__share_start(x->size, i, n), m; start < end; start += m) {
        m = ag__lesser(end - start, AG__STRIP);
        ag__widen(x->dtype, m, strip, (const char *)x->data + start * (int64_t)ag_dtype_size(x->dtype));
        find_bins(m, strip, at, c->bins);
        for (int64_t k = 0; k < m; k++) count[at[k]]++;
    }
}

static bool histogram_eval(const ag_call *call) {
    const bins *b = call->attributes;
    const int threads = ag__worthwhile(8 * call->x[0].size, call->threads);
    int64_t *y = call->y.data;
    counting c = {call, b, NULL};
    c.count = ag_call_scratch(call, ag__times((uint64_t)b->n + 1, (size_t)threads * sizeof *c.count));
    if (!c.count) return false;
    ag__parallel(threads, count_share, &c);
    memcpy(y, c.count, (size_t)b->n * sizeof *y);
    for (int t = 1; t < threads; t++)
        for (int64_t k = 0; k < b->n; k++) y[k] += c.count[t * (b->n + 1) + k];
    return true;
}

static bool histogram_infer(ag_infer *r) {
    const bins *b = r->attributes;
    if (r->dtype == AG_BOOL) return ag_reject(r, AG_ERR_DTYPE, "the dtype bool is not supported");
    if (b->n < 1 || b->n > MOST_BINS)
        return ag_reject(r, AG_ERR_RANGE, "bins is %lld: 1 to %d is wanted", (long long)b->n, MOST_BINS);
    if (!(b->low < b->high) || !isfinite(b->high - b->low))
        return ag_reject(r, AG_ERR_RANGE, "low is %g and high is %g: two numbers, low < high, are wanted", b->low,
                         b->high);
    r->dtype = AG_I64;
    r->shape = (ag_shape){1, {b->n}};
    return true;
}

const ag_op ag__op_histogram = {.name = "histogram",
                                .notation = "histogram_{i0}({0})",
                                .kind = AG_KIND_OPAQUE,
                                .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                                .arity = 1,
                                .attribute_bytes = sizeof(bins),
                                .infer = histogram_infer,
                                .eval = histogram_eval};

ag_tensor *ag_histogram(ag_tensor *x, int64_t n, double low, double high) {
    const bins b = {n, low, high};
    return ag_apply(&ag__op_histogram, 1, &x, &b, sizeof b);
}

/* ---- Sums by index ---- */

static ag_tensor *flat(ag_tensor *x) { return ag__reshape(x, &AG_SHAPE(-1)); }

static int64_t size_of(ag_tensor *x) {
    int64_t n = 1;
    for (int i = 0; i < ag_rank(x); i++) n *= ag_extent(x, i);
    return n;
}

/* Like x itself, or NULL: then each counts 1. False after an error. */
static bool weights_usable(const char *name, ag_tensor *x, ag_tensor *weights, ag_tensor **nil) {
    ag_tensor *in[2] = {x, weights};
    bool same = weights && ag_rank(weights) == ag_rank(x);
    if (!weights) return true;
    if (!ag__inputs_usable(name, 2, in, nil)) return false;
    for (int i = 0; same && i < ag_rank(x); i++) same = ag_extent(x, i) == ag_extent(weights, i);
    if (same && ag_dtype_of(weights) != AG_BOOL) return true;
    *nil = same ? ag__fail(name, 2, in, AG_ERR_DTYPE, "the weights must be i64, f32 or f64, not bool")
                : ag__fail(name, 2, in, AG_ERR_SHAPE, "the weights must have the shape of the elements");
    return false;
}

/* y[k] = the sum of the weights of all elements whose index is k, or their number. */
static ag_tensor *sums_by(ag_tensor *index, ag_tensor *weights, int64_t n) {
    ag_tape *tape = ag_tape_of(index);
    const ag_dtype dtype = weights ? ag_dtype_of(weights) : AG_I64;
    ag_tensor *source = weights ? flat(weights) : ag_ones(tape, AG_I64, AG_SHAPE(size_of(index)));
    return ag_scatter_add(ag_zeros(tape, dtype, AG_SHAPE(n)), flat(index), source, 0);
}

ag_tensor *ag_bincount(ag_tensor *x, ag_tensor *weights, int64_t n) {
    ag_tensor *nil;
    if (!ag__inputs_usable("bincount", 1, &x, &nil)) return nil;
    if (ag_dtype_of(x) != AG_I64)
        return ag__fail("bincount", 1, &x, AG_ERR_DTYPE, "needs i64, not %s", ag_dtype_name(ag_dtype_of(x)));
    if (!weights_usable("bincount", x, weights, &nil)) return nil;
    if (n < 0 || n > INT64_MAX / 16)
        return ag__fail("bincount", 1, &x, AG_ERR_SHAPE, "n is %lld: 0 or more is wanted, and can be counted",
                        (long long)n);
    return sums_by(x, weights, n);
}

/* Elements outside are counted at two more places, the first and the last. */
ag_tensor *ag_histogram_between(ag_tensor *x, ag_tensor *edges, ag_tensor *weights) {
    ag_tensor *nil, *in[2] = {x, edges};
    if (!ag__inputs_usable("histogram_between", 2, in, &nil)) return nil;
    if (ag_dtype_of(x) != ag_dtype_of(edges) || ag_dtype_of(x) == AG_BOOL)
        return ag__fail("histogram_between", 2, in, AG_ERR_DTYPE, "the dtypes %s and %s must be the same, and not bool",
                        ag_dtype_name(ag_dtype_of(x)), ag_dtype_name(ag_dtype_of(edges)));
    if (ag_rank(edges) != 1 || ag_extent(edges, 0) < 2)
        return ag__fail("histogram_between", 2, in, AG_ERR_SHAPE, "the edges must be one axis of at least 2");
    if (!weights_usable("histogram_between", x, weights, &nil)) return nil;
    const int64_t n = ag_extent(edges, 0) - 1;
    ag_tensor *last = ag__reshape(ag_slice(edges, 0, n, n + 1, 1), &AG_SCALAR);
    ag_tensor *place = ag_searchsorted(edges, x, true), *inside = ag_scalar(ag_tape_of(x), AG_I64, (double)n);
    place = ag_where(ag_equal(x, last), inside, place);
    return ag_slice(sums_by(place, weights, n + 2), 0, 1, n + 1, 1);
}

/* ---- Distinct elements ---- */

enum { MOST_DISTINCT = AG__LIMIT(1 << 14, 8), LEAST_COUNTED = AG__LIMIT(2048, 16), SHARE = AG__LIMIT(16, 2) };

/* How many distinct ones among so many elements are few, and are found by a hash table. */
static int64_t few_of(int64_t size) { return size < LEAST_COUNTED ? size : ag__lesser(size / SHARE, MOST_DISTINCT); }

typedef struct slot { /* of a hash table: place 0 is none */
    uint64_t key;
    int64_t place;
} slot;

/* `room`: a power of two, up to 2¹⁶. The highest bits of the product differ where only high ones of keys do, as of
 * whole numbers in f64. */
static slot *slot_of(slot *table, uint64_t room, uint64_t key) {
    uint64_t at = (key * UINT64_C(0x9e3779b97f4a7c15) >> 48) & (room - 1);
    while (table[at].place != 0 && table[at].key != key) at = (at + 1) & (room - 1);
    return &table[at];
}

/* y = the number of distinct elements, and where each is first; or −1, if they are not few. */
static bool distinct_eval(const ag_call *call) {
    enum { SOME = AG__LIMIT(64, 5) };
    const ag_array *x = &call->x[0];
    const int64_t most = call->y.size - 1;
    int64_t *y = call->y.data, found = 0;
    uint64_t key[SOME];
    uint64_t room = 1;
    while ((int64_t)room < 4 * most) room *= 2;
    slot *table = ag_call_scratch(call, room * sizeof *table);
    if (!table) return false;
    memset(table, 0, room * sizeof *table);
    memset(y, 0, (size_t)call->y.size * sizeof *y);
    for (int64_t start = 0, m; start < x->size && found <= most; start += m) {
        m = ag__lesser(x->size - start, SOME);
        ag__keys_of(x->dtype, m, (const char *)x->data + start * (int64_t)ag_dtype_size(x->dtype), key);
        for (int64_t i = 0; i < m; i++) {
            slot *s = slot_of(table, room, key[i]);
            if (s->place != 0) continue;
            if (++found > most) break;
            *s = (slot){key[i], start + i + 1};
            y[found] = start + i;
        }
    }
    y[0] = found > most ? -1 : found;
    return true;
}

static bool distinct_infer(ag_infer *r) {
    r->dtype = AG_I64;
    r->shape = AG_SHAPE(1 + few_of(r->x[0]->layout->size));
    return true;
}

const ag_op ag__op_distinct = {.name = "distinct",
                               .notation = "distinct({0})",
                               .kind = AG_KIND_OPAQUE,
                               .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                               .arity = 1,
                               .infer = distinct_infer,
                               .eval = distinct_eval};

/* Some elements that have all distinct ones among them: one of each, if they are few. */
static ag_tensor *representatives(ag_tensor *line) {
    if (ag_extent(line, 0) < LEAST_COUNTED) return line;
    ag_tensor *found = ag_apply(&ag__op_distinct, 1, &line, NULL, 0);
    const int64_t *n = ag_data(found);
    return n && *n >= 0 ? ag_gather(line, ag_slice(found, 0, 1, 1 + *n, 1), 0) : line;
}

/* From sorted elements, and whether another one begins at each: the `n` that begin, or their places. */
typedef struct choice {
    int64_t n, places;
} choice;

static bool unique_infer(ag_infer *r) {
    const choice *c = r->attributes;
    if (r->shape.rank != 1 || r->dtype != AG_BOOL || !ag__extents_equal(r->x[0]->layout, r->x[1]->layout))
        return ag_reject(r, AG_ERR_SHAPE, "elements of one axis, and a bool for each, are wanted");
    if (c->n < 0 || c->n > r->shape.extent[0] || c->places & ~INT64_C(1))
        return ag_reject(r, AG_ERR_RANGE, "%lld of %lld elements cannot be distinct", (long long)c->n,
                         (long long)r->shape.extent[0]);
    r->dtype = c->places ? AG_I64 : ag_dtype_of(r->x[0]);
    r->shape.extent[0] = c->n;
    return true;
}

static bool unique_eval(const ag_call *call) {
    const choice *c = call->attributes;
    const uint8_t *begins = call->x[1].data;
    const size_t bytes = ag_dtype_size(call->y.dtype);
    char *y = call->y.data;
    int64_t found = 0;
    for (int64_t i = 0; i < call->x[0].size && found <= c->n; i++) {
        if (!begins[i]) continue;
        if (found++ == c->n) break;
        if (c->places) memcpy(y, &i, sizeof i);
        else memcpy(y, (const char *)call->x[0].data + (size_t)i * bytes, bytes);
        y += bytes;
    }
    return found == c->n || ag_call_fail(call, AG_ERR_RANGE, "not %lld elements begin", (long long)c->n);
}

const ag_op ag__op_unique = {.name = "unique",
                             .notation = "unique({0})",
                             .kind = AG_KIND_OPAQUE,
                             .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                             .arity = 2,
                             .attribute_bytes = sizeof(choice),
                             .infer = unique_infer,
                             .eval = unique_eval};

static ag_tensor *choose(ag_tensor *sorted, ag_tensor *begins, int64_t n, bool places) {
    const choice c = {n, places};
    return ag_apply(&ag__op_unique, 2, (ag_tensor *[]){sorted, begins}, &c, sizeof c);
}

/* Whether each of sorted elements is another one than that before it; all NaN, the last ones, are one. */
static ag_tensor *begins_of(ag_tensor *sorted) {
    ag_tensor *first = ag_ones(ag_tape_of(sorted), AG_BOOL, AG_SHAPE(ag__lesser(1, ag_extent(sorted, 0))));
    ag_tensor *next = ag_slice(sorted, 0, 1, AG_END, 1), *before = ag_slice(sorted, 0, 0, -1, 1);
    ag_tensor *none = ag_scalar(ag_tape_of(sorted), AG_BOOL, 0);
    ag_tensor *differs = ag_where(ag_equal(before, before), ag_not_equal(next, before), none);
    return ag_concat(2, (ag_tensor *[]){first, differs}, 0);
}

ag_tensor *ag_unique(ag_tensor *x, ag_tensor **inverse, ag_tensor **counts) {
    ag_tensor *nil;
    if (inverse) *inverse = ag__nil_of(NULL);
    if (counts) *counts = ag__nil_of(NULL);
    if (!ag__inputs_usable("unique", 1, &x, &nil)) return nil;
    ag_tape *tape = ag_tape_of(x);
    if (!ag_data(x)) return ag__nil_of(tape); /* before anything is recorded */
    const int64_t size = size_of(x);
    const bool places = inverse || counts;
    ag_tensor *all = flat(x), *line = places && ag_dtype_of(x) == AG_BOOL ? all : representatives(all);
    const bool few = places && line != all; /* so each element is looked for among them */
    ag_tensor *order = inverse && !few ? ag_argsort(line, 0, false) : NULL;
    ag_tensor *sorted = order ? ag_gather(line, order, 0) : ag_sort(line, 0, false), *begins = begins_of(sorted);
    const int64_t *distinct = ag_data(ag_sum(begins)), n = distinct ? *distinct : 0;
    ag_tensor *y = choose(sorted, begins, n, false);
    if (few) {
        ag_tensor *place = ag_searchsorted(y, x, false);
        if (inverse) *inverse = place;
        if (counts) *counts = ag_bincount(place, NULL, n);
    } else if (counts) {
        ag_tensor *end = ag_full(tape, AG_I64, AG_SHAPE(1), (double)size);
        *counts = ag_diff(ag_concat(2, (ag_tensor *[]){choose(sorted, begins, n, true), end}, 0), 1, 0);
    }
    if (order) {
        ag_tensor *rank = ag_add_scalar(ag_cumsum(begins, 0), -1), *zeros = ag_zeros(tape, AG_I64, AG_SHAPE(size));
        *inverse = ag__reshape_as(ag_scatter_add(zeros, order, rank, 0), x);
    }
    if (ag_tape_status(tape) == AG_OK) return y;
    nil = ag__nil_of(tape);
    if (inverse) *inverse = nil;
    if (counts) *counts = nil;
    return nil;
}
