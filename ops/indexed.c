/* indexed -- see indexed.h
 *
 * A gather and a scatter walk the other array in row-major order, together with the table and with one array of
 * numbers: a single index as it is, or the offsets that several indices, or negative ones, amount to. */
#include "ops/indexed.h"

#include "autograd/eval/eval.h"
#include "autograd/eval/stream.h"
#include "autograd/tape/format.h"
#include "ops/copying.h"
#include "ops/rules.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

/* ---- Walking ---- */

/* Rows are either blocks, `width` neighbours in both arrays with one index, or lines along the last axis. Axes of
 * extent 1 are left out: a column of numbers is one line. */
typedef struct walk {
    int rank;                    /* of the walk over rows */
    int64_t rows, width;         /* width 0: lines */
    int64_t extent[AG_MAX_RANK]; /* of the index, the last axis included */
    int64_t table[AG_MAX_RANK], index[AG_MAX_RANK],
        other[AG_MAX_RANK]; /* strides; the table's are 0 along other axes */
    int64_t step;           /* of the table, from one number to the next */
    int64_t span;           /* numbers are below this; unless known, 0 */
    uint64_t last;          /* and lines are checked to have none beyond this; offsets may be negative */
    int64_t outer;          /* size of the leading axes that are the table's own */
} walk;

/* A row: its number, its index on each axis, and its offset in each array. */
typedef struct row {
    int64_t number, at[AG_MAX_RANK], table, index, other;
} row;

static void walk_along(walk *w, int64_t extent, int64_t table, int64_t index, int64_t other) {
    if (extent == 1) return;
    w->extent[w->rank] = extent;
    w->table[w->rank] = table;
    w->index[w->rank] = index;
    w->other[w->rank++] = other;
}

/* Make the last axes, from `behind` on, part of a block as long as they are contiguous in both arrays and have one
 * index; or else the last one a line. */
static void find_rows(walk *w, int behind) {
    int64_t width = 1;
    for (; w->rank > behind; w->rank--) {
        int i = w->rank - 1;
        if (w->index[i] != 0 || w->table[i] != width || w->other[i] != width) break;
        width *= w->extent[i];
    }
    w->width = width > 1 ? width : 0;
    if (width == 1 && w->rank == 0) w->extent[w->rank++] = 1; /* one element: its strides are 0 */
    if (width == 1) w->rank--;
    w->rows = 1;
    for (int i = 0; i < w->rank; i++) w->rows *= w->extent[i];
}

/* Whether lines are so short that many of them are better taken together, and their numbers checked before. */
static bool is_short(const walk *w) {
    enum { SHORT = AG__LIMIT(24, 3) };
    return w->rank > 0 && w->extent[w->rank] <= SHORT;
}

/* Over the index alone, in lines as long as can be: each stored number once, however often it is broadcast. */
static walk walk_of_numbers(const ag_array *index) {
    walk w = {0};
    for (int i = 0; i < index->rank; i++) {
        const int64_t extent = index->shape[i], stride = index->stride[i];
        if (stride == 0 || extent == 1) continue;
        if (w.rank > 0 && w.index[w.rank - 1] == stride * extent)
            w.extent[w.rank - 1] *= extent, w.index[w.rank - 1] = stride;
        else walk_along(&w, extent, 0, stride, 0);
    }
    find_rows(&w, w.rank);
    return w;
}

static row row_at(const walk *w, int64_t number) {
    row r = {.number = number};
    for (int i = w->rank - 1; i >= 0; i--) {
        r.at[i] = number % w->extent[i];
        number /= w->extent[i];
        r.table += r.at[i] * w->table[i];
        r.index += r.at[i] * w->index[i];
        r.other += r.at[i] * w->other[i];
    }
    return r;
}

/* How many rows there are from r on, up to row `end`, along the last of their axes. */
static int64_t rows_along(const walk *w, const row *r, int64_t end) {
    int last = w->rank - 1;
    return last < 0 ? 1 : ag__lesser(w->extent[last] - r->at[last], end - r->number);
}

/* Go on by so many rows. */
static void advance(const walk *w, row *r, int64_t rows) {
    r->number += rows;
    for (int i = w->rank - 1; i >= 0; i--, rows = 1) {
        r->at[i] += rows;
        bool ends = r->at[i] == w->extent[i];
        int64_t by = ends ? rows - w->extent[i] : rows;
        r->table += by * w->table[i];
        r->index += by * w->index[i];
        r->other += by * w->other[i];
        if (!ends) return;
        r->at[i] = 0;
    }
}

/* The strides of the rows' last axis; 0 if there is but one row. */
static int64_t along_rows(const walk *w, const int64_t *stride) { return w->rank > 0 ? stride[w->rank - 1] : 0; }

static int64_t length_of(const walk *w) { return w->width ? w->width : w->extent[w->rank]; }

/* Whether lines are along an axis of the table's own, and one index follows the other from line to line: elements of a
 * line are in rows of the table that are anywhere. */
static bool in_columns(const walk *w) {
    return w->width == 0 && w->rank > 0 && w->table[w->rank] != 0 && w->table[w->rank - 1] == 0;
}

/* Rows start … end−1, elements low … high−1 of each. In columns some at a time, whose part of the table the caches
 * have room for. */
enum { SOME = AG__LIMIT(256, 3), SOME_WIDE = AG__LIMIT(64, 2) };
static void some_at_once(const walk *w, int64_t most, void (*run)(void *, int64_t, int64_t, int64_t, int64_t),
                         void *argument, int64_t start, int64_t end, int64_t low, int64_t high) {
    const bool columns = in_columns(w);
    for (int64_t n; start < end; start += n) {
        n = columns ? ag__lesser(end - start, w->extent[w->rank - 1] - start % w->extent[w->rank - 1]) : end - start;
        for (int64_t at = low, some; at < high; at += some) {
            some = columns ? ag__lesser(high - at, most) : high - low;
            run(argument, start, start + n, at, at + some);
        }
    }
}

/* ---- Stretches ---- */

/* n rows of `length`, of lines or blocks: element j of row i is other[i·below + j·beside], and
 * table[index[i·down + j·next]·step + i·under + j·ahead]. */
typedef struct stretch {
    int64_t n, length, step, under, ahead, down, next, below, beside;
    char *table, *other;
    const int64_t *index;
    uint64_t last; /* numbers of lines are checked not to be beyond it */
    size_t near;   /* bytes of the table that a line is taken from, or put to; 0: too many to fetch them before that */
} stretch;

/* Elements low … high−1 of n rows, from r on; a table's element has so many bytes. */
static stretch stretch_of(const ag__places *p, const walk *w, const int64_t *numbers, const row *r, int64_t n,
                          int64_t low, int64_t high, void *table, size_t bytes) {
    stretch t = {.n = n, .length = high - low, .step = w->step, .ahead = 1, .beside = 1, .last = w->last};
    t.under = along_rows(w, w->table), t.down = along_rows(w, w->index), t.below = along_rows(w, w->other);
    if (w->width == 0) t.ahead = w->table[w->rank], t.next = w->index[w->rank], t.beside = w->other[w->rank];
    t.table = (char *)table + (r->table + low * t.ahead) * (int64_t)bytes;
    t.other = (char *)p->other->data + (r->other + low * t.beside) * (int64_t)ag_dtype_size(p->other->dtype);
    t.index = numbers + r->index + low * t.next;
    if (w->width == 0 && 4 * t.length >= w->span) t.near = (size_t)w->span * bytes;
    return t;
}

/* The same is done to each element of lines, whose numbers are checked: false if one is beyond t->last. Often a line is
 * along the indexed axis, which is contiguous. What is fetched at once is there sooner than what is asked for in the
 * order of an index, and a processor looks ahead by itself to the end of a page only; but bools have one loop. The
 * table's elements are `of`, the other array's `type`; alike: lines that share checked numbers have a loop, too. */
enum { SOON = 512, TOGETHER = AG__LIMIT(16, 2) }; /* elements: fetched so many ahead, some at a time */
#define EACH_OF_LINES(name, of, type, does, alike)                                                                     \
    static bool name(const stretch *t) {                                                                               \
        const int64_t length = t->length, step = t->step, ahead = t->ahead, next = t->next, beside = t->beside;        \
        const uint64_t *index = (const uint64_t *)t->index, last = t->last;                                            \
        const bool same = alike && t->down == 0 && last == UINT64_MAX;                                                 \
        of *table = (of *)(void *)t->table;                                                                            \
        type *other = (type *)(void *)t->other;                                                                        \
        for (int64_t n = t->n; n > 0; n--, table += t->under, other += t->below, index += t->down)                     \
            if (sizeof(of) > 1 && ahead == 0 && next == 1 && step == 1) {                                              \
                for (size_t k = 0; k < t->near; k += AG__LINE) ag__fetch((char *)table + k);                           \
                int64_t j = 0;                                                                                         \
                for (; same && j < length; j++) does(table[index[j]], other[j * beside]);                              \
                for (int64_t end; j < length;) {                                                                       \
                    end = ag__lesser(j + TOGETHER, length);                                                            \
                    ag__fetch(&index[j + SOON]);                                                                       \
                    ag__fetch(&index[j + SOON + TOGETHER / 2]);                                                        \
                    ag__fetch(&other[(j + SOON) * beside]);                                                            \
                    for (; j < end; j++) {                                                                             \
                        if (index[j] > last) return false;                                                             \
                        does(table[index[j]], other[j * beside]);                                                      \
                    }                                                                                                  \
                }                                                                                                      \
            } else                                                                                                     \
                for (int64_t j = 0; j < length; j++) {                                                                 \
                    if (index[j * next] > last) return false;                                                          \
                    does(table[(int64_t)index[j * next] * step + j * ahead], other[j * beside]);                       \
                }                                                                                                      \
        return true;                                                                                                   \
    }
#define DOES_TAKE(of, other) ((other) = (of))
#define DOES_PUT(of, other) ((of) = (other))
#define DOES_ADD(of, other) ((of) += (other))
EACH_OF_LINES(take_each_1, uint8_t, uint8_t, DOES_TAKE, false)
EACH_OF_LINES(take_each_4, ag__word_4, ag__word_4, DOES_TAKE, true)
EACH_OF_LINES(take_each_8, ag__word_8, ag__word_8, DOES_TAKE, true)
EACH_OF_LINES(put_each_1, uint8_t, uint8_t, DOES_PUT, false)
EACH_OF_LINES(put_each_4, ag__word_4, ag__word_4, DOES_PUT, false)
EACH_OF_LINES(put_each_8, ag__word_8, ag__word_8, DOES_PUT, false)
EACH_OF_LINES(add_each_i64, uint64_t, uint64_t, DOES_ADD, false)
EACH_OF_LINES(add_each_f32, float, float, DOES_ADD, false)
EACH_OF_LINES(add_each_f64, double, double, DOES_ADD, false)
EACH_OF_LINES(add_each_wide, double, float, DOES_ADD, false)

typedef bool each_of(const stretch *);

/* ---- Checks ---- */

/* Report the first index that is out of range: they are compared in the order of elements. */
AG__SHORT static bool out_of_range(const ag_call *call, const ag_array *index, int axis, int64_t least, int64_t extent,
                                   bool several) {
    char input[32] = "";
    if (several) ag__format(input, sizeof input, " of input %d", (int)(index - call->x));
    for (int64_t number = 0; number < index->size; number++) {
        int64_t offset = 0, rest = number;
        for (int i = index->rank - 1; i >= 0; rest /= index->shape[i--])
            offset += rest % index->shape[i] * index->stride[i];
        const int64_t value = ((const int64_t *)index->data)[offset];
        if (value < least || value >= extent)
            return ag_call_fail(call, AG_ERR_RANGE,
                                "index %lld at element %lld%s is out of range for axis %d with extent %lld",
                                (long long)value, (long long)number, input, axis, (long long)extent);
    }
    return true;
}

/* Whether some of n indices at a stride are not in 0 … extent−1. */
AG_BLOCK_KERNEL(bool, any_outside, (const int64_t *at_, int64_t n, int64_t stride, int64_t extent),
                (at_, n, stride, extent)) {
    const uint64_t *at = (const uint64_t *)at_, last = (uint64_t)extent - 1;
    uint64_t outside = 0; /* its sign is that of an index, or of what is left behind one */
    if (stride == 1)
        for (int64_t j = 0; j < n; j++) outside |= at[j] | (last - at[j]);
    else
        for (int64_t j = 0; j < n; j++) outside |= at[j * stride] | (last - at[j * stride]);
    return outside >> 63;
}

static bool all_inside(const ag_array *index, int64_t extent) {
    const walk w = walk_of_numbers(index);
    for (row r = row_at(&w, 0); r.number < w.rows; advance(&w, &r, 1))
        if (any_outside((const int64_t *)index->data + r.index, w.extent[w.rank], w.index[w.rank], extent))
            return false;
    return true;
}

bool ag__indices_fit(const ag_call *call, const ag_array *index, int axis, int64_t extent) {
    return index->size == 0 || all_inside(index, extent) || out_of_range(call, index, axis, 0, extent, false);
}

/* ---- The numbers ---- */

/* One for each element of the other array, by its strides. */
typedef struct numbering {
    const int64_t *data;
    int64_t stride[AG_MAX_RANK];
    int64_t step; /* of the table, from one number to the next */
    int64_t span; /* numbers are from 0 to span−1; in a gather only of a single index */
    int axis;     /* of the table, that the numbers are indices of; −1: they are offsets */
} numbering;

static void single(const ag__places *p, numbering *n) {
    const int axis = p->axis[0];
    n->data = p->index->data, n->axis = axis;
    n->step = p->table->stride[axis], n->span = p->table->shape[axis];
    for (int r = 0; r < p->other->rank; r++) n->stride[r] = p->index->shape[r] == 1 ? 0 : p->index->stride[r];
}

/* Add the offsets of an index to a row of numbers; false if one is out of range. */
AG_BLOCK_KERNEL(bool, add_offsets,
                (int64_t n, int64_t *to, const int64_t *at, int64_t stride, int64_t least, int64_t extent,
                 int64_t step),
                (n, to, at, stride, least, extent, step)) {
    int64_t outside = 0;
    for (int64_t j = 0; j < n; j++) {
        const int64_t v = at[j * stride], index = v < 0 && least < 0 ? v + extent : v;
        outside |= (v < least) | (v >= extent);
        to[j] += (int64_t)((uint64_t)index * (uint64_t)step);
    }
    return !outside;
}

/* Over all numbers, whose shape is that of the strides that are not 0, in lines: an index adds its offsets. */
static bool add_index(const ag__places *p, const numbering *n, int k, int64_t *to) {
    const ag_array *index = &p->index[k];
    const int64_t extent = p->table->shape[p->axis[k]], least = p->wraps ? -extent : 0;
    walk w = {0};
    for (int r = 0; r < index->rank; r++)
        if (n->stride[r] != 0)
            walk_along(&w, p->other->shape[r], 0, index->shape[r] == 1 ? 0 : index->stride[r], n->stride[r]);
    find_rows(&w, w.rank);
    for (row r = row_at(&w, 0); r.number < w.rows; advance(&w, &r, 1))
        if (!add_offsets(w.extent[w.rank], to + r.other, (const int64_t *)index->data + r.index, w.index[w.rank], least,
                         extent, p->table->stride[p->axis[k]]))
            return out_of_range(p->call, index, p->axis[k], least, extent, p->count > 1);
    return true;
}

/* Offsets: an array whose axes are those along which an index varies. */
AG__SHORT static bool combined(const ag__places *p, numbering *n) {
    int64_t size = 1;
    n->axis = -1, n->step = 1, n->span = 1;
    for (int r = p->other->rank - 1; r >= 0; r--) {
        bool varies = false;
        for (int k = 0; k < p->count; k++) varies = varies || p->index[k].shape[r] != 1;
        n->stride[r] = varies ? size : 0;
        if (varies) size *= p->other->shape[r];
    }
    for (int k = 0; k < p->count; k++) n->span += (p->table->shape[p->axis[k]] - 1) * p->table->stride[p->axis[k]];
    int64_t *to = ag_call_scratch(p->call, ag__times((uint64_t)size, sizeof *to));
    if (!to) return false;
    memset(to, 0, (size_t)size * sizeof *to);
    n->data = to;
    for (int k = 0; k < p->count; k++)
        if (!add_index(p, n, k, to)) return false;
    return true;
}

/* False after an error. */
static bool number(const ag__places *p, numbering *n) {
    *n = (numbering){0};
    if (p->count != 1) return combined(p, n);
    const int64_t extent = p->table->shape[p->axis[0]];
    if (all_inside(p->index, extent)) single(p, n);
    else return p->wraps ? combined(p, n) : out_of_range(p->call, p->index, p->axis[0], 0, extent, false);
    return true;
}

AG__SHORT static walk walk_of(const ag__places *p, const numbering *n) {
    walk w = {.step = n->step, .span = n->axis < 0 ? 0 : n->span, .last = UINT64_MAX, .outer = 1};
    int behind = 0;
    bool leading = true;
    for (int r = 0; r < p->other->rank; r++) {
        const bool own = p->own >> r & 1;
        walk_along(&w, p->other->shape[r], own ? p->along[r] : 0, n->stride[r], p->other->stride[r]);
        leading = leading && own;
        if (leading) w.outer *= p->other->shape[r];
        if (!own || n->stride[r] != 0) behind = w.rank;
    }
    find_rows(&w, behind);
    return w;
}

/* ---- Gathering ---- */

/* A short block in two pieces, which may overlap, without the call and the decisions of memcpy. */
static inline void copy_block(char *y, const char *x, size_t bytes) {
    if (bytes >= 16 && bytes <= 32) {
        memcpy(y, x, 16);
        memcpy(y + bytes - 16, x + bytes - 16, 16);
    } else if (bytes >= 8 && bytes < 16) {
        memcpy(y, x, 8);
        memcpy(y + bytes - 8, x + bytes - 8, 8);
    } else {
        memcpy(y, x, bytes);
    }
}

/* The threads share it. */
typedef struct gathering {
    const ag__places *places;
    const int64_t *numbers;
    const walk *walk;
    int64_t unchecked;    /* each number is checked before it is used: below this; 0: they have been checked */
    atomic_uchar outside; /* one is not in range */
    bool past;            /* y is written past the caches */
} gathering;

/* Blocks of a table that no near cache has are fetched before they are copied, their first bytes, so many blocks ahead:
 * of random rows of 64 to 256 bytes that takes a third to a half of the time. */
enum { FAR = AG__LIMIT(512 * 1024, 64), MOST_FETCHED = 4 * AG__LINE, AHEAD = AG__LIMIT(32, 3) };

/* n blocks, beginning with row r. */
static void gather_blocks(const gathering *g, const row *r, int64_t n) {
    const walk *w = g->walk;
    const ag_array *from = g->places->table;
    const int64_t bytes = (int64_t)ag_dtype_size(from->dtype);
    const stretch t = stretch_of(g->places, w, g->numbers, r, n, 0, w->width, from->data, (size_t)bytes);
    const int64_t next = t.down, ahead = t.under * bytes, below = t.below * bytes, step = t.step * bytes,
                  *index = t.index;
    char *y = t.other;
    const char *table = t.table;
    const size_t width = (size_t)(w->width * bytes);
    const size_t first = width < MOST_FETCHED ? width : MOST_FETCHED;
    const bool past = g->past && width >= MOST_FETCHED;
    if (!past && from->size < FAR / bytes) {
        for (int64_t i = 0; i < n; i++) copy_block(y + i * below, table + index[i * next] * step + i * ahead, width);
        return;
    }
    for (int64_t i = 0; i < n; i++, y += below, table += ahead) {
        const char *soon = table + index[(i + AHEAD < n ? i + AHEAD : i) * next] * step;
        for (size_t k = 0; k < first; k += AG__LINE) ag__fetch(soon + k);
        ag__fetch(soon + first - 1); /* a block may begin within a line */
        ag__copy_row(y, table + index[i * next] * step, width, past, 0);
    }
}

/* Elements low … high−1 of a line, some at a time, whose numbers are checked first unless they have been; or of several
 * lines, if they have, and these are short. */
static AG__NEVER_INLINE void gather_line(gathering *g, const row *r, int64_t rows, int64_t low, int64_t high) {
    static each_of *const take[AG_DTYPES] = {take_each_1, take_each_8, take_each_4, take_each_8};
    const ag_array *table = g->places->table;
    double memory[AG__STRIP];
    for (int64_t n; low < high; low += n) {
        n = ag__lesser(AG__STRIP, high - low);
        stretch t =
            stretch_of(g->places, g->walk, g->numbers, r, rows, low, low + n, table->data, ag_dtype_size(table->dtype));
        char *to = t.other;
        if (g->past) t.other = (char *)memory;
        if (!take[table->dtype](&t)) {
            atomic_fetch_or_explicit(&g->outside, 1, memory_order_relaxed);
            return;
        }
        if (g->past) ag__copy_row(to, t.other, (size_t)n * ag_dtype_size(table->dtype), true, 0);
    }
}

/* Rows start … end−1, elements low … high−1 of lines. */
static void gather_rows(void *g_, int64_t start, int64_t end, int64_t low, int64_t high) {
    gathering *g = g_;
    const walk *w = g->walk;
    const bool whole = !g->unchecked && !g->past && high - low <= AG__STRIP;
    row r = row_at(w, start);
    for (int64_t n; r.number < end; advance(w, &r, n)) {
        n = w->width || whole ? rows_along(w, &r, end) : 1;
        if (w->width) gather_blocks(g, &r, n);
        else gather_line(g, &r, n, low, high);
    }
    if (g->past) ag__copied_past();
}

/* The threads divide the rows, or the elements of few long lines. */
static void gather_share(void *g_, int i, int n) {
    gathering *g = g_;
    const walk *w = g->walk;
    const bool by_rows = w->rows >= n;
    const int64_t length = length_of(w), whole = by_rows ? w->rows : length;
    const int64_t start = ag__share_start(whole, i, n), end = ag__share_start(whole, i + 1, n);
    if (by_rows) some_at_once(w, SOME, gather_rows, g, start, end, 0, length);
    else some_at_once(w, SOME, gather_rows, g, 0, w->rows, start, end);
}

/* y is gathered by these numbers, which are to be below `unchecked` unless that is 0; whether all were. */
static bool gather_by(const ag__places *p, const numbering *n, int64_t unchecked) {
    const ag_array *y = p->other;
    walk w = walk_of(p, n);
    if ((w.width > 0 || is_short(&w)) && unchecked) return false;
    if (unchecked) w.last = (uint64_t)unchecked - 1;
    const int threads = ag__worthwhile(y->size, p->call->threads);
    gathering g = {.places = p, .numbers = n->data, .walk = &w, .unchecked = unchecked};
    const int64_t index = p->count > 0 ? p->index->size * (int64_t)sizeof(int64_t) : 0;
    g.past = ag__goes_past(2 * y->size * (int64_t)ag_dtype_size(y->dtype) + index);
    ag__parallel(w.width == 0 || w.rows >= threads ? threads : 1, gather_share, &g);
    return !atomic_load_explicit(&g.outside, memory_order_relaxed);
}

/* An index that is as large as y is checked on the way, which reads it once; or else before, which may find an error.
 * */
bool ag__gather_at(const ag__places *p) {
    numbering n = {0};
    if (p->other->size == 0) return true;
    if (p->count == 1 && 2 * p->index->size > p->other->size) {
        single(p, &n);
        if (n.span > 0 && gather_by(p, &n, n.span)) return true;
    }
    return number(p, &n) && gather_by(p, &n, 0);
}

/* ---- Scattering ---- */

/* Blocks, added to the table's. */
#define ADD_BLOCKS(name, sum, type)                                                                                    \
    AG_BLOCK_KERNEL(bool, name, (const stretch *t), (t)) {                                                             \
        const int64_t length = t->length;                                                                              \
        for (int64_t i = 0; i < t->n; i++) {                                                                           \
            sum *y = (sum *)(void *)t->table + t->index[i * t->down] * t->step + i * t->under;                         \
            const type *x = (const type *)(void *)t->other + i * t->below;                                             \
            AG_SIMD                                                                                                    \
            for (int64_t j = 0; j < length; j++) y[j] += x[j];                                                         \
        }                                                                                                              \
        return true;                                                                                                   \
    }
ADD_BLOCKS(add_blocks_i64, uint64_t, uint64_t)
ADD_BLOCKS(add_blocks_f32, float, float)
ADD_BLOCKS(add_blocks_f64, double, double)
ADD_BLOCKS(add_blocks_wide, double, float)

/* Many f32 are added to one element in f64, in a second table of y's shape, in the order of the index: so the error
 * does not grow with their number. `count`: how often each number occurs. `wide` has the blocks that have many
 * additions, and all lines and offsets. NULL: no number occurs often enough. */
typedef struct beside {
    const unsigned char *count; /* at most 255, which is many; */
    int64_t each;               /* additions for each of these */
    double *wide;
    double *columns; /* instead of a second table, some of its columns for each thread */
} beside;

enum { MANY = 2 * AG__ROWS_A_GROUP, MOST_COUNTED = AG__LIMIT(4096, 8) };
static bool many(int64_t additions) { return additions > MANY; }

typedef struct scattering {
    const ag__places *places;
    const numbering *numbers;
    const walk *walk;
    ag_put how;
    beside beside;
    int64_t unchecked;    /* as in a gather */
    atomic_uchar outside; /* the same */
    bool begins;          /* each line has a part of y of its own, which it first sets to 0 */
    int64_t outer;        /* size of the axes which the threads divide; 0: they divide the columns */
} scattering;

static bool has_many(const scattering *s, int64_t number) { return many(s->beside.count[number] * s->beside.each); }

/* n rows, from r on, of which columns low … high−1: added; false if a number is not in range. */
static bool add_rows(const scattering *s, const row *r, int64_t n, int64_t low, int64_t high) {
    static each_of *const add[2][AG_DTYPES] = {{add_each_wide, add_each_i64, add_each_f32, add_each_f64},
                                               {add_blocks_wide, add_blocks_i64, add_blocks_f32, add_blocks_f64}};
    const ag_array *y = s->places->table;
    const walk *w = s->walk;
    const bool wide = s->beside.wide && (w->width == 0 || has_many(s, s->numbers->data[r->index]));
    const stretch t = stretch_of(s->places, w, s->numbers->data, r, n, low, high, wide ? s->beside.wide : y->data,
                                 wide ? sizeof *s->beside.wide : ag_dtype_size(y->dtype));
    return add[w->width > 0][wide ? 0 : y->dtype](&t);
}

/* The same, put in the place of what is there, or the larger or smaller of both: block by block, or element by element
 * of a line. */
static bool put_rows(const scattering *s, const row *r, int64_t n, int64_t low, int64_t high) {
    const walk *w = s->walk;
    const ag_reduction *fold = s->how == AG_PUT_MAX ? ag__op_max.reduction : ag__op_min.reduction;
    const ag_array *y = s->places->table;
    const int64_t bytes = (int64_t)ag_dtype_size(y->dtype);
    stretch t = stretch_of(s->places, w, s->numbers->data, r, n, low, high, y->data, (size_t)bytes);
    if (w->width == 0) {
        if (s->how == AG_PUT_SET) return (bytes == 1 ? put_each_1 : bytes == 4 ? put_each_4 : put_each_8)(&t);
        if (s->unchecked && any_outside(t.index, t.length, t.next, s->unchecked)) return false;
        t.n = t.length, t.length = 1, t.under = t.ahead, t.down = t.next, t.below = t.beside;
    }
    for (int64_t i = 0; i < t.n; i++) {
        char *to = t.table + (t.index[i * t.down] * t.step + i * t.under) * bytes,
             *from = t.other + i * t.below * bytes;
        if (s->how != AG_PUT_SET) fold->combine[y->dtype](t.length, to, from);
        else copy_block(to, from, (size_t)(t.length * bytes));
    }
    return true;
}

/* How many of n blocks, the first ones, are added in the same table. */
static int64_t alike(const scattering *s, const row *r, int64_t n) {
    const int64_t *at = s->numbers->data + r->index, next = along_rows(s->walk, s->walk->index);
    int64_t i = 1;
    while (i < n && has_many(s, at[i * next]) == has_many(s, *at)) i++;
    return i;
}

/* Add a line of f32 by unchecked numbers; whether all were in range, and no element had many additions: none then had
 * MANY before one of them, a power of two. */
AG__ALWAYS_INLINE bool add_counted(const stretch *t, int64_t unchecked, int64_t next, int64_t apart) {
    unsigned char count[MOST_COUNTED];
    unsigned seen = 0;
    const uint64_t span = (uint64_t)unchecked;
    const int64_t length = t->length, *index = t->index;
    float *to = (float *)(void *)t->table;
    const float *from = (const float *)(const void *)t->other;
    memset(count, 0, span);
    for (int64_t j = 0, end; j < length;) {
        end = ag__lesser(j + TOGETHER, length);
        ag__fetch(&index[(j + SOON) * next]);
        ag__fetch(&index[(j + SOON + TOGETHER / 2) * next]);
        ag__fetch(&to[unchecked + j]);
        ag__fetch(&from[(j + SOON) * apart]);
        for (; j < end; j++) {
            const uint64_t i = (uint64_t)index[j * next];
            if (i >= span) return false;
            to[i] += from[j * apart];
            seen |= count[i]++;
        }
    }
    return (seen & MANY) == 0;
}

/* Mostly both arrays are contiguous, which saves a tenth of the time if a compiler knows it. */
static bool add_counting(const scattering *s, const row *r) {
    const stretch t = stretch_of(s->places, s->walk, s->numbers->data, r, 1, 0, length_of(s->walk),
                                 s->places->table->data, sizeof(float));
    if (t.next == 1 && t.beside == 1) return add_counted(&t, s->unchecked, 1, 1);
    return add_counted(&t, s->unchecked, t.next, t.beside);
}

/* Rows start … end−1, columns low … high−1 of each block or line. */
static void scatter_rows(void *s_, int64_t start, int64_t end, int64_t low, int64_t high) {
    scattering *s = s_;
    const walk *w = s->walk;
    const bool adds = s->how == AG_PUT_ADD, together = !s->unchecked && (w->width || adds || s->how == AG_PUT_SET);
    const bool counts = s->unchecked && adds && s->places->table->dtype == AG_F32 && many(high - low);
    row r = row_at(w, start);
    for (int64_t n; r.number < end; advance(w, &r, n)) {
        n = together ? rows_along(w, &r, end) : 1;
        if (w->width && s->beside.wide) n = alike(s, &r, n);
        if (s->begins) {
            const size_t bytes = ag_dtype_size(s->places->table->dtype);
            memset((char *)s->places->table->data + (size_t)r.table * bytes, 0, (size_t)s->unchecked * bytes);
        }
        if (!(counts ? add_counting(s, &r) : (adds ? add_rows : put_rows)(s, &r, n, low, high))) {
            atomic_fetch_or_explicit(&s->outside, 1, memory_order_relaxed);
            return;
        }
    }
}

/* The additions to some columns of a part of the table that no other rows have, in f64 and next to each other. */
typedef struct columns {
    const scattering *s;
    double *wide;
} columns;

static void add_columns(void *c_, int64_t start, int64_t end, int64_t low, int64_t high) {
    const columns *c = c_;
    const scattering *s = c->s;
    const walk *w = s->walk;
    const int64_t span = s->numbers->span, some = high - low, batch = AG__LIMIT(16, 2);
    row r = row_at(w, start);
    float *y = (float *)s->places->table->data + r.table + low;
    for (int64_t v = 0; v < span; v++) ag__widen(AG_F32, some, c->wide + v * some, y + v * w->step);
    for (int64_t n; start < end; start += n, advance(w, &r, n)) {
        n = ag__lesser(end - start, batch);
        stretch t = stretch_of(s->places, w, s->numbers->data, &r, n, low, high, NULL, 0);
        for (int64_t i = n; i < 2 * n; i++) {
            ag__ask_for((uintptr_t)(t.index + i * t.down), (size_t)(some * t.next) * sizeof *t.index);
            ag__ask_for((uintptr_t)t.other + (uintptr_t)(i * t.below) * sizeof(float), (size_t)some * sizeof(float));
        }
        t.table = (char *)c->wide, t.step = some;
        add_each_wide(&t);
    }
    for (int64_t v = 0; v < span; v++) ag__narrow(some, y + v * w->step, c->wide + v * some);
}

static void scatter_share(void *s_, int i, int n) {
    scattering *s = s_;
    const walk *w = s->walk;
    const int64_t length = length_of(w), whole = s->outer ? s->outer : length,
                  inner = s->outer ? w->rows / s->outer : 0;
    const int64_t start = ag__share_start(whole, i, n), end = ag__share_start(whole, i + 1, n);
    const int64_t first = s->outer ? start * inner : 0, last = s->outer ? end * inner : w->rows;
    const int64_t low = s->outer ? 0 : start, high = s->outer ? length : end;
    if (s->beside.columns) {
        columns c = {s, s->beside.columns + i * s->numbers->span * SOME_WIDE};
        some_at_once(w, SOME_WIDE, add_columns, &c, first, last, low, high);
    } else {
        some_at_once(w, SOME, scatter_rows, s, first, last, low, high);
    }
}

/* No two threads write one element of y: they divide the leading axes that are the table's own, unless lines are along
 * these, or else columns of blocks, or of lines along another axis than the indices'. */
AG__SHORT static void scatter_all(scattering *s) {
    const walk *w = s->walk;
    int threads = ag__worthwhile(s->places->other->size, s->places->call->threads);
    const bool by_rows = w->outer >= threads && w->rows >= w->outer,
               by_columns = (w->width || in_columns(w)) && length_of(w) >= AG__COLUMNS_SCATTERED * (int64_t)threads;
    s->outer = by_rows ? w->outer : 0;
    ag__parallel(by_rows || by_columns ? threads : 1, scatter_share, s);
}

/* Usually x is the zeros that a gradient starts from: one broadcast element. */
static bool is_zeros(const ag_array *x) {
    bool zeros = x->size > 0 && memcmp(x->data, (char[8]){0}, ag_dtype_size(x->dtype)) == 0;
    for (int i = 0; i < x->rank; i++) zeros = zeros && (x->shape[i] == 1 || x->stride[i] == 0);
    return zeros;
}

static bool add_table(const ag_call *call) {
    const ag_array *x = &call->x[0];
    void *packed = ag_call_scratch(call, ag__times((uint64_t)x->size, ag_dtype_size(x->dtype)));
    if (!packed) return false;
    ag__pack(packed, x, 0, x->size);
    ag__reduction_sum.combine[x->dtype](x->size, call->y.data, packed);
    return true;
}

/* Copy x into y, or add it to y. */
AG__SHORT static bool begin_with_table(const ag_call *call) {
    const ag_array *x = &call->x[0];
    bool zeros = is_zeros(x);
    if (call->accumulate) return zeros || add_table(call);
    if (zeros) memset(call->y.data, 0, ag__times((uint64_t)x->size, ag_dtype_size(x->dtype)));
    else ag__pack(call->y.data, x, 0, x->size);
    return true;
}

/* How often each of these numbers occurs, added to `count`, which does not exceed 255; returns the most of that and of
 * `most`. */
static unsigned char count_line(int64_t n, unsigned char *count, const int64_t *at, int64_t next, unsigned char most) {
    for (int64_t j = 0; j < n; j++) {
        unsigned char *const k = &count[at[j * next]], times = (unsigned char)(*k + (*k < UCHAR_MAX));
        *k = times;
        most = times > most ? times : most;
    }
    return most;
}

/* Count how often each number occurs; whether one of them has many additions: along an axis without numbers of its own
 * it counts once, unless that is none of the table's either. Lines are counted one by one if each is added to elements
 * of its own. If numbers are fewer than their places ask for, there are many, and which of them does not matter for
 * lines. */
static bool count_numbers(scattering *s, unsigned char *count) {
    const ag__places *p = s->places;
    int64_t each = 1;
    int own = 0; /* leading axes that are the table's own */
    walk w = {0};
    for (int r = 0; r < p->other->rank; r++) {
        const bool leading = (p->own >> r & 1) && own == w.rank;
        if (s->numbers->stride[r] != 0) walk_along(&w, p->other->shape[r], 0, s->numbers->stride[r], 0);
        else if (!(p->own >> r & 1)) each *= p->other->shape[r];
        if (leading) own = w.rank;
    }
    find_rows(&w, w.rank);
    const bool lines = s->walk->width == 0, alone = w.rank > 0 && own >= w.rank && lines;
    const int64_t span = s->numbers->span, n = w.extent[w.rank], next = w.index[w.rank];
    unsigned char most = 0;
    s->beside.each = each;
    if (lines && many((alone ? n : w.rows * n) * each / span)) return true;
    memset(count, 0, (size_t)span);
    for (row r = row_at(&w, 0); r.number < w.rows; advance(&w, &r, 1)) {
        const int64_t *at = s->numbers->data + r.index;
        most = count_line(n, count, at, next, most);
        if (alone && span / 64 <= n) memset(count, 0, (size_t)span);
        else
            for (int64_t j = 0; alone && j < n; j++) count[at[j * next]] = 0;
    }
    return many(most * each);
}

/* For the parts of y that may have many additions, blocks behind an index or everything: begin `wide` with y or, at the
 * end, round it to y. */
static void each_part(const scattering *s, bool end) {
    const ag_array *y = s->places->table;
    const int axis = s->numbers->axis;
    const bool blocks = axis >= 0 && s->walk->width > 0;
    int64_t inner = blocks ? 1 : y->size; /* an axis of extent 1 may have any stride */
    for (int i = axis + 1; blocks && i < y->rank; i++) inner *= y->shape[i];
    const int64_t rows = y->size / inner;
    float *to = y->data;
    double *wide = s->beside.wide;
    for (int64_t i = 0; wide && i < rows; i++) {
        if (blocks && !has_many(s, i % y->shape[axis])) continue;
        if (end) ag__narrow(inner, to + i * inner, wide + i * inner);
        else ag__widen(AG_F32, inner, wide + i * inner, to + i * inner);
    }
}

/* The additions to one element, at most: as many as elements of the other array that differ in their numbers alone. */
static int64_t most_additions(const ag__places *p) {
    int64_t most = 1;
    for (int r = 0; r < p->other->rank; r++)
        if (!(p->own >> r & 1)) most *= p->other->shape[r];
    return most;
}

static bool make_beside(scattering *s) {
    const ag__places *p = s->places;
    const walk *w = s->walk;
    const size_t bytes = (size_t)s->numbers->span;
    if (s->how != AG_PUT_ADD || p->table->dtype != AG_F32 || !many(most_additions(p))) return true;
    unsigned char *count = ag_call_scratch(p->call, bytes);
    if (!count) return false;
    s->beside.count = count;
    if (!count_numbers(s, count)) return true;
    if (in_columns(w) && w->table[w->rank] == 1 && w->outer * w->extent[w->rank - 1] >= w->rows && w->span > 0 &&
        bytes <= MOST_COUNTED) {
        const size_t threads = (size_t)ag__worthwhile(p->other->size, p->call->threads);
        s->beside.columns = ag_call_scratch(p->call, threads * bytes * SOME_WIDE * sizeof(double));
        return s->beside.columns != NULL;
    }
    s->beside.wide = ag_call_scratch(p->call, ag__times((uint64_t)p->table->size, sizeof *s->beside.wide));
    if (s->beside.wide) each_part(s, false);
    return s->beside.wide != NULL;
}

/* Put by a single index that is checked line by line; whether all were in range and, where additions to one element
 * are counted, few: no two lines have an element in common. Of blocks it is small. */
static bool put_checking(const ag__places *p, ag_put how) {
    numbering n = {0};
    single(p, &n);
    walk w = walk_of(p, &n);
    if (w.width > 0 || is_short(&w) || in_columns(&w) || n.span == 0) return false;
    w.last = (uint64_t)n.span - 1;
    const bool alone = w.outer >= w.rows && n.step == 1 && w.table[w.rank] == 0;
    if (how == AG_PUT_ADD && (p->call->accumulate || !alone || n.span > MOST_COUNTED)) return false;
    scattering s = {.places = p, .numbers = &n, .walk = &w, .how = how, .unchecked = n.span};
    s.begins = alone && w.rows * n.span == p->table->size && is_zeros(&p->call->x[0]);
    if (!s.begins && !begin_with_table(p->call)) return false;
    scatter_all(&s);
    return !atomic_load_explicit(&s.outside, memory_order_relaxed);
}

AG__SHORT bool ag__scatter_at(const ag__places *p, ag_put how) {
    numbering n;
    if (p->other->size > 0 && p->count == 1 && put_checking(p, how)) return true;
    if (p->other->size > 0 && !number(p, &n)) return false;
    if (!begin_with_table(p->call)) return false;
    if (p->other->size == 0) return true;
    const walk w = walk_of(p, &n);
    scattering s = {.places = p, .numbers = &n, .walk = &w, .how = how};
    if (!make_beside(&s)) return false;
    scatter_all(&s);
    each_part(&s, true);
    return true;
}
