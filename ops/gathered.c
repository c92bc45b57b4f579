/* gathered -- products with an operand that is no matrix in memory
 *
 * Convolutions multiply the windows of an image, which are a view of it with three axes of places and three within a
 * window. Some of them at a time are put next to each other, in a buffer that stays in the second-level cache, and the
 * product's kernels read them there: so no matrix of all windows is made. Two ways give the same bits. If y has more
 * places than terms, some places at a time are multiplied by all of the other operand; else some terms at a time are
 * added to a small result, in the blocks and by the tree in which ag__multiply adds up a long sum. */
#include "ops/gathered.h"
#include "ops/product.h"
#include "ops/rules.h"

#include <stdlib.h>
#include <string.h>

/* ---- Gathering ---- */

typedef struct run {         /* elements at equal distances */
    int64_t from, to, count; /* offsets in bytes */
} run;

typedef struct place { /* of an element of a walk */
    int64_t at[AG_MAX_RANK], offset;
} place;

AG__ALWAYS_INLINE place place_of(const ag__walk *w, int64_t number) {
    place p = {{0}, 0};
    for (int i = w->rank - 1; i >= 0; number /= w->extent[i--]) {
        p.at[i] = number % w->extent[i];
        p.offset += p.at[i] * w->stride[i];
    }
    return p;
}

/* The next one, `along` steps along the last axis; those stay within it. */
AG__ALWAYS_INLINE void move(place *p, const ag__walk *w, int64_t along) {
    int i = w->rank - 1;
    if (i < 0) return;
    p->at[i] += along;
    p->offset += along * w->stride[i];
    for (; i > 0 && p->at[i] == w->extent[i]; i--) {
        p->offset += w->stride[i - 1] - w->extent[i] * w->stride[i];
        p->at[i] = 0;
        p->at[i - 1]++;
    }
}

AG__ALWAYS_INLINE int64_t last_extent(const ag__walk *w) { return w->rank ? w->extent[w->rank - 1] : 1; }
AG__ALWAYS_INLINE int64_t last_stride(const ag__walk *w) { return w->rank ? w->stride[w->rank - 1] : 1; }

/* Contiguous bytes, without the call and the decisions of memcpy: the last piece overlaps the one before. */
AG__ALWAYS_INLINE void copy_bytes(char *to, const char *from, int64_t bytes) {
    int64_t i = 0;
    if (bytes >= 64) {
        for (; i + 64 < bytes; i += 64) memcpy(to + i, from + i, 64);
        memcpy(to + bytes - 64, from + bytes - 64, 64);
    } else if (bytes >= 16) {
        for (; i + 16 < bytes; i += 16) memcpy(to + i, from + i, 16);
        memcpy(to + bytes - 16, from + bytes - 16, 16);
    } else {
        for (; i + 4 <= bytes; i += 4) memcpy(to + i, from + i, 4);
    }
}

AG__ALWAYS_INLINE void copy_apart(char *to, const char *from, int64_t count, int64_t step, int64_t size) {
    if (size == 4)
        for (int64_t i = 0; i < count; i++) memcpy(to + 4 * i, from + i * step, 4);
    else
        for (int64_t i = 0; i < count; i++) memcpy(to + 8 * i, from + i * step, 8);
}

typedef struct part { /* of an axis */
    int64_t from, count;
} part;

enum { RUNS = AG__LIMIT(64, 3) }; /* of each row, copied at a time */

/* to[i][j] = x[outer i, inner j] for a part of each; `row`: bytes from row to row of `to`. Copies 16 bytes at a time,
 * on any processor. */
static void gather(int64_t size, char *to, int64_t row, const char *x, const ag__walk *outer, part o,
                   const ag__walk *inner, part in) {
    const int64_t extent = last_extent(inner), step = last_stride(inner) * size;
    place p = place_of(inner, in.from);
    for (int64_t done = 0; done < in.count;) {
        run runs[RUNS];
        int n = 0;
        for (; n < RUNS && done < in.count; n++) {
            const int64_t left = extent - (inner->rank ? p.at[inner->rank - 1] : 0);
            runs[n] = (run){p.offset * size, done * size, ag__lesser(left, in.count - done)};
            move(&p, inner, runs[n].count);
            done += runs[n].count;
        }
        place q = place_of(outer, o.from);
        char *line = to;
        for (int64_t i = 0; i < o.count; i++, line += row, move(&q, outer, 1)) {
            const char *from = x + q.offset * size;
            if (step == size)
                for (int k = 0; k < n; k++) copy_bytes(line + runs[k].to, from + runs[k].from, runs[k].count * size);
            else
                for (int k = 0; k < n; k++)
                    copy_apart(line + runs[k].to, from + runs[k].from, runs[k].count, step, size);
        }
    }
}

/* ---- Common to both ways ---- */

typedef struct running {
    const ag__gathering *g;
    int64_t size, free, summed;    /* bytes of an element; elements of x along its two axes */
    bool free_inside;              /* the buffer is contiguous along `free` */
    int64_t together;              /* elements along `free` that are gathered at a time */
    int parts, branches;           /* of `free`; of the tree that joins a long sum */
    int64_t per_branch;            /* leaves of a branch */
    size_t buffer, one_sum, bytes; /* of a thread's memory: gathered elements, a sum; all of it */
    char *memory, *sums;           /* `bytes` for each thread; the sums of all branches */
} running;

/* The bytes that are gathered at a time, to be multiplied by `terms` rows of the other operand. If these are few, they
 * and the buffer stay in the first-level cache; else the buffer is worth fetching them again and again. */
static int64_t buffer_for(const running *w, int64_t terms) {
    return terms * w->g->n * w->size <= AG__GATHERED / 8 ? AG__GATHERED / 6 : AG__GATHERED;
}

static int64_t y_row(const running *w) { return w->g->turned ? w->free : w->g->n; }

static size_t whole_lines(int64_t bytes) { return ((size_t)bytes + 63) / 64 * 64; }

/* Part i of n, in multiples of `whole`; the last ones may be empty. */
static part share(int64_t count, int64_t whole, int i, int n) {
    const int64_t each = ((count + n - 1) / n + whole - 1) / whole * whole, from = ag__lesser(i * each, count);
    return (part){from, ag__lesser(each, count - from)};
}

/* A product's bits are the same by tiles and by packing, and in any part of it. */
AG__SHORT static int way_of(const ag__product *p) {
    const int way = ag__way_of(p);
    return way == AG__BY_PACKING ? way : AG__BY_TILES;
}

static void add(const running *w, char *y, const char *x, int64_t n) {
    ag__op_sum.reduction->combine[w->g->dtype](n, y, x);
}

/* y[i][j] = t[i·across + j·along], or is increased by it. */
static void deliver(const running *w, char *y, int64_t rows, int64_t columns, const char *t, int64_t across,
                    int64_t along) {
    enum { SOME = AG__LIMIT(256, 8) };
    _Alignas(64) char some[SOME * 8];
    const int64_t size = w->size, row = y_row(w) * size;
    if (!w->g->add) {
        ag__copy_matrix((size_t)size, y, row, t, across * size, along * size, rows, columns);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += SOME) {
            const int64_t n = ag__lesser(SOME, columns - j);
            ag__copy_matrix((size_t)size, some, sizeof some, t + (i * across + j * along) * size, 0, along * size, 1,
                            n);
            add(w, y + i * row + j * size, some, n);
        }
}

/* Elements f by s of x are in the buffer: times the other operand's rows from `from` on, to t (f,n) or, turned, t
 * (n,f). */
static ag__product product_of(const running *w, const char *buffer, int64_t f, int64_t s, int64_t from, char *t,
                              int64_t t_row, bool turned) {
    const ag__gathering *g = w->g;
    const char *other = g->other + from * g->other_summed * w->size;
    const int64_t across = w->free_inside ? 1 : s, along = w->free_inside ? f : 1;
    ag__product p = {.dtype = g->dtype, .m = f, .n = g->n, .k = s, .a = buffer, .b = other, .y = t, .y_row = t_row};
    p.a_row = across, p.a_column = along;
    p.b_row = g->other_summed, p.b_column = g->other_column;
    if (!turned) return p;
    ag__product q = {.dtype = g->dtype, .m = g->n, .n = f, .k = s, .a = other, .b = buffer, .y = t, .y_row = t_row};
    q.a_row = p.b_column, q.a_column = p.b_row;
    q.b_row = along, q.b_column = across;
    return q;
}

/* ---- Some places at a time: parts of `free`, and all terms ---- */

/* With few columns, vectors of the product's transpose are better filled. */
static bool is_aside(const running *w) { return w->free_inside && !w->g->turned && w->g->n < AG__LIMIT(16, 3); }

static ag__product product_at(const running *w, char *memory, part f) {
    const bool aside = is_aside(w), turned = w->g->turned;
    char *y = w->g->y + f.from * (turned ? 1 : w->g->n) * w->size;
    ag__product p = product_of(w, memory, f.count, w->summed, 0, aside && memory ? memory + w->buffer : y,
                               aside ? f.count : y_row(w), aside || turned);
    p.add = w->g->add && !aside;
    return p;
}

static void multiply_part(const running *w, char *memory, part f) {
    const ag__gathering *g = w->g;
    const int64_t size = w->size;
    const part all = {0, w->summed};
    const ag__product p = product_at(w, memory, f);
    if (w->free_inside) gather(size, memory, f.count * size, g->x, &g->summed, all, &g->free, f);
    else gather(size, memory, w->summed * size, g->x, &g->free, f, &g->summed, all);
    ag__multiply(&p, way_of(&p), memory + w->buffer + w->one_sum);
    if (is_aside(w)) deliver(w, g->y + f.from * g->n * size, f.count, g->n, p.y, 1, f.count);
}

enum { WHOLE = AG__LIMIT(96, 2), FEW = AG__LIMIT(24, 1) }; /* WHOLE: a multiple of every tile's rows and columns */

static void multiply_share(void *w_, int i, int n) {
    const running *w = w_;
    const part mine = share(w->free, WHOLE, i, n);
    for (int64_t at = 0; at < mine.count; at += w->together)
        multiply_part(w, w->memory + (size_t)i * w->bytes,
                      (part){mine.from + at, ag__lesser(w->together, mine.count - at)});
}

AG__SHORT static bool multiply_by_places(const ag_call *call, running *w, int threads) {
    const int64_t most = buffer_for(w, w->summed) / (w->summed * w->size);
    w->together = ag__lesser(w->free, most >= WHOLE ? most / WHOLE * WHOLE : most > FEW ? most / FEW * FEW : FEW);
    w->buffer = whole_lines(w->together * w->summed * w->size);
    w->one_sum = is_aside(w) ? whole_lines(w->together * w->g->n * w->size) : 0;
    const ag__product p = product_at(w, NULL, (part){0, w->together});
    w->bytes = w->buffer + w->one_sum + whole_lines((int64_t)ag__multiply_bytes(&p, way_of(&p)));
    w->memory = ag_call_scratch(call, ag__times(w->bytes, (size_t)threads));
    if (w->memory) ag__parallel(threads, multiply_share, w);
    return w->memory != NULL;
}

/* ---- Some terms at a time ----
 *
 * A leaf of the tree has AG__LONG_SUM terms; a branch, a subtree, is computed by one thread, as is a part of `free`. */

/* Leaf i for part f, t (f,n) or, if the buffer is contiguous along f, t (n,f). */
static void sum_leaf(const running *w, char *memory, part f, int64_t i, char *t) {
    const ag__gathering *g = w->g;
    const int64_t size = w->size, first = i * AG__LONG_SUM, end = ag__lesser(first + AG__LONG_SUM, w->summed);
    const int64_t block = ag__block_of(end - first);
    for (int64_t q = first; q < end; q += block) {
        const part s = {q, ag__lesser(block, end - q)};
        if (w->free_inside) gather(size, memory, f.count * size, g->x, &g->summed, s, &g->free, f);
        else gather(size, memory, s.count * size, g->x, &g->free, f, &g->summed, s);
        ag__product p = product_of(w, memory, f.count, s.count, q, t, w->free_inside ? f.count : g->n, w->free_inside);
        p.add = q > first;
        ag__multiply(&p, way_of(&p), memory + w->buffer);
    }
}

AG__SHORT static char *sum_of(const running *w, int branch, int64_t from) {
    return w->sums + (size_t)((branch * w->free + from) * w->g->n * w->size);
}

/* Sum k of those of a branch that wait to be joined; the first is the branch's own. */
AG__SHORT static char *waiting_sum(const running *w, char *memory, int branch, part f, int k) {
    return k == 0 ? sum_of(w, branch, f.from) : memory + w->bytes - (size_t)k * w->one_sum;
}

/* As in a binary counter, sums of as many leaves are joined, so that few of them wait. */
static void sum_branch(const running *w, char *memory, int branch, part f) {
    const int64_t first = branch * w->per_branch, n = f.count * w->g->n;
    const int64_t leaves = ag__lesser(w->per_branch, (w->summed - 1) / AG__LONG_SUM + 1 - first);
    int waiting = 0;
    for (int64_t i = 0; i < leaves; i++) {
        sum_leaf(w, memory, f, first + i, waiting_sum(w, memory, branch, f, waiting));
        waiting++;
        for (int64_t done = i + 1; (done % 2 == 0 || i + 1 == leaves) && waiting > 1; done /= 2, waiting--)
            add(w, waiting_sum(w, memory, branch, f, waiting - 2), waiting_sum(w, memory, branch, f, waiting - 1), n);
    }
}

enum { NARROW = AG__LIMIT(32, 2) }; /* elements of `free` that are worth a part */

static void sum_share(void *w_, int i, int n) {
    const running *w = w_;
    for (int task = i; task < w->parts * w->branches; task += n) {
        const part f = share(w->free, NARROW, task % w->parts, w->parts);
        if (f.count > 0) sum_branch(w, w->memory + (size_t)i * w->bytes, task / w->parts, f);
    }
}

/* The sums of the branches are joined, and become y. */
static void finish(const running *w) {
    const ag__gathering *g = w->g;
    for (int step = 1; step < w->branches; step *= 2)
        for (int b = 0; b + step < w->branches; b += 2 * step)
            add(w, sum_of(w, b, 0), sum_of(w, b + step, 0), w->free * g->n);
    for (int i = 0; i < w->parts; i++) {
        const part f = share(w->free, NARROW, i, w->parts);
        const int64_t along_f = w->free_inside ? 1 : g->n, along_n = w->free_inside ? f.count : 1;
        const char *t = sum_of(w, 0, f.from);
        if (g->turned) deliver(w, g->y + f.from * w->size, g->n, f.count, t, along_n, along_f);
        else deliver(w, g->y + f.from * g->n * w->size, f.count, g->n, t, along_f, along_n);
    }
}

/* As many branches as there are threads, if the tree has them; else more parts. */
static void divide(running *w, int threads) {
    const int64_t leaves = (w->summed - 1) / AG__LONG_SUM + 1, most = 2 * AG__GATHERED / (AG__BLOCK * w->size);
    for (w->per_branch = 1; (leaves - 1) / w->per_branch + 1 > threads;) w->per_branch *= 2;
    w->branches = (int)((leaves - 1) / w->per_branch + 1);
    const int64_t each = ag__lesser(most, (w->free - 1) / (threads / w->branches) + 1);
    w->together = ag__lesser(w->free, (each < NARROW ? NARROW : each + NARROW - 1) / NARROW * NARROW);
    w->parts = (int)((w->free - 1) / w->together + 1);
}

AG__SHORT static bool multiply_by_terms(const ag_call *call, running *w, int threads) {
    divide(w, threads);
    const int64_t s = ag__lesser(w->summed, AG__BLOCK), n = w->g->n;
    const ag__product p =
        product_of(w, NULL, w->together, s, 0, NULL, w->free_inside ? w->together : n, w->free_inside);
    int waiting = 0;
    for (int64_t i = 1; i < w->per_branch; i *= 2) waiting++;
    w->buffer = whole_lines(w->together * s * w->size);
    w->one_sum = whole_lines(w->together * n * w->size);
    w->bytes = w->buffer + whole_lines((int64_t)ag__multiply_bytes(&p, way_of(&p))) + (size_t)waiting * w->one_sum;
    w->sums =
        ag_call_scratch(call, ag__times(ag__times((uint64_t)w->branches, (size_t)(w->free * n)), (size_t)w->size));
    w->memory = w->sums ? ag_call_scratch(call, ag__times(w->bytes, (size_t)threads)) : NULL;
    if (!w->memory) return false;
    ag__parallel(threads, sum_share, w);
    finish(w);
    return true;
}

/* ---- Both ---- */

/* The elements that lie next to each other. */
static int64_t run_of(const ag__walk *w) { return w->rank == 0 || last_stride(w) == 1 ? last_extent(w) : 1; }

static int threads_for(const ag_call *call, double work) {
    const double most = work / AG__LEAST_PRODUCT;
    return most < 2 ? 1 : most < call->threads ? (int)most : call->threads;
}

AG__SHORT bool ag__multiply_gathered(const ag_call *call, const ag__gathering *g) {
    running w = {.g = g,
                 .size = (int64_t)ag_dtype_size(g->dtype),
                 .free = ag__walk_size(&g->free),
                 .summed = ag__walk_size(&g->summed)};
    const int64_t free_run = run_of(&g->free), summed_run = run_of(&g->summed);
    w.free_inside =
        free_run != summed_run ? free_run > summed_run : llabs(last_stride(&g->free)) < llabs(last_stride(&g->summed));
    const int threads = threads_for(call, (double)w.free * (double)w.summed * (double)g->n);
    return (w.free >= w.summed ? multiply_by_places : multiply_by_terms)(call, &w, threads);
}
