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

/* ---- Checks ---- */

/* Report the first index that is out of range: they are compared in the order of elements. */
static bool out_of_range(const ag_call *call, const ag_array *index, int axis, int64_t least, int64_t extent,
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
static bool combined(const ag__places *p, numbering *n) {
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

static walk walk_of(const ag__places *p, const numbering *n) {
    walk w = {.step = n->step, .outer = 1};
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

/* n elements of each of some lines: y[j] = table[index[j]·step + j·ahead]. Often a line is along the indexed axis,
 * which is contiguous. */
#define GATHER_LINES(name, type)                                                                                       \
    static void name(const walk *w, int64_t rows, int64_t n, void *y_, const void *table_, const int64_t *index) {     \
        const int64_t ahead = w->table[w->rank], next = w->index[w->rank], step = w->step;                             \
        const int64_t under = along_rows(w, w->table), below = along_rows(w, w->other),                                \
                      down = along_rows(w, w->index);                                                                  \
        const type *table = table_;                                                                                    \
        type *y = y_;                                                                                                  \
        for (; rows > 0; rows--, table += under, y += below, index += down)                                            \
            if (ahead == 0 && next == 1 && step == 1)                                                                  \
                for (int64_t j = 0; j < n; j++) y[j] = table[index[j]];                                                \
            else                                                                                                       \
                for (int64_t j = 0; j < n; j++) y[j] = table[index[j * next] * step + j * ahead];                      \
    }
GATHER_LINES(gather_lines_1, uint8_t)
GATHER_LINES(gather_lines_4, ag__word_4)
GATHER_LINES(gather_lines_8, ag__word_8)

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
    _Atomic bool outside; /* one is not in range */
    bool past;            /* y is written past the caches */
} gathering;

enum { AHEAD = 8 }; /* blocks that are fetched before they are copied */

/* n blocks, beginning with row r. */
static void gather_blocks(const gathering *g, const row *r, int64_t n) {
    const walk *w = g->walk;
    const int64_t bytes = (int64_t)ag_dtype_size(g->places->table->dtype), *index = g->numbers + r->index;
    const int64_t next = along_rows(w, w->index), ahead = along_rows(w, w->table) * bytes,
                  below = along_rows(w, w->other) * bytes;
    const int64_t step = w->step * bytes;
    char *y = (char *)g->places->other->data + r->other * bytes;
    const char *table = (const char *)g->places->table->data + r->table * bytes;
    const size_t width = (size_t)(w->width * bytes);
    if (g->past && width >= 4 * AG__LINE)
        for (int64_t i = 0; i < n; i++) {
            const char *soon = table + index[(i + AHEAD < n ? i + AHEAD : i) * next] * step;
            for (size_t k = 0; k < width && k < 4 * AG__LINE; k += AG__LINE) ag__fetch(soon + k);
            ag__copy_row(y + i * below, table + index[i * next] * step + i * ahead, width, true);
        }
    else
        for (int64_t i = 0; i < n; i++) copy_block(y + i * below, table + index[i * next] * step + i * ahead, width);
}

/* Elements low … high−1 of a line, some at a time, whose numbers are checked first unless they have been; or of several
 * lines, if they have, and these are short. */
static AG__NEVER_INLINE void gather_line(gathering *g, const row *r, int64_t rows, int64_t low, int64_t high) {
    typedef void line(const walk *, int64_t, int64_t, void *, const void *, const int64_t *);
    static line *const lines[AG_DTYPES] = {gather_lines_1, gather_lines_8, gather_lines_4, gather_lines_8};
    const walk *w = g->walk;
    const ag_array *table = g->places->table, *y = g->places->other;
    const int64_t next = w->index[w->rank], ahead = w->table[w->rank], bytes = (int64_t)ag_dtype_size(y->dtype);
    double memory[AG__STRIP];
    for (int64_t n; low < high; low += n) {
        const int64_t *at = g->numbers + r->index + low * next;
        char *to = (char *)y->data + (r->other + low) * bytes;
        n = ag__lesser(AG__STRIP, high - low);
        if (g->unchecked && any_outside(at, n, next, g->unchecked)) {
            atomic_store_explicit(&g->outside, true, memory_order_relaxed);
            return;
        }
        lines[y->dtype](w, rows, n, g->past ? (char *)memory : to,
                        (const char *)table->data + (r->table + low * ahead) * bytes, at);
        if (g->past) ag__copy_row(to, (const char *)memory, (size_t)(n * bytes), true);
    }
}

/* Rows start … end−1, elements low … high−1 of lines. */
static void gather_rows(gathering *g, int64_t start, int64_t end, int64_t low, int64_t high) {
    const walk *w = g->walk;
    const bool whole = !g->unchecked && !g->past && high - low == w->extent[w->rank] && high - low <= AG__STRIP;
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
    const int64_t whole = by_rows ? w->rows : w->extent[w->rank];
    const int64_t start = ag__share_start(whole, i, n), end = ag__share_start(whole, i + 1, n);
    if (by_rows) gather_rows(g, start, end, 0, w->extent[w->rank]);
    else gather_rows(g, 0, w->rows, start, end);
}

/* y is gathered by these numbers, which are to be below `unchecked` unless that is 0; whether all were. */
static bool gather_by(const ag__places *p, const numbering *n, int64_t unchecked) {
    const ag_array *y = p->other;
    const walk w = walk_of(p, n);
    if ((w.width > 0 || is_short(&w)) && unchecked) return false;
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

/* Elements low … high−1 of n blocks. Of lines: table[index[j]·step + j·ahead] +=
 * source[j·beside]. */
#define SCATTER(blocks, line, type)                                                                                    \
    AG_BLOCK_KERNEL(void, blocks,                                                                                      \
                    (const walk *w, const row *r, int64_t n, int64_t low, int64_t high, void *table_,                  \
                     const int64_t *index, const void *source_),                                                       \
                    (w, r, n, low, high, table_, index, source_)) {                                                    \
        const int64_t next = along_rows(w, w->index), ahead = along_rows(w, w->table);                                 \
        const int64_t below = along_rows(w, w->other);                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            type *y = (type *)table_ + r->table + index[i * next] * w->step + i * ahead;                               \
            const type *x = (const type *)source_ + r->other + i * below;                                              \
            AG_SIMD                                                                                                    \
            for (int64_t j = low; j < high; j++) y[j] += x[j];                                                         \
        }                                                                                                              \
    }                                                                                                                  \
    static void line(const walk *w, const row *r, int64_t rows, void *table_, const int64_t *index,                    \
                     const void *source_) {                                                                            \
        const int64_t n = w->extent[w->rank], ahead = w->table[w->rank], next = w->index[w->rank];                     \
        const int64_t beside = w->other[w->rank];                                                                      \
        const int64_t under = along_rows(w, w->table), below = along_rows(w, w->other),                                \
                      down = along_rows(w, w->index);                                                                  \
        type *table = (type *)table_ + r->table;                                                                       \
        const type *source = (const type *)source_ + r->other;                                                         \
        for (; rows > 0; rows--, table += under, source += below, index += down)                                       \
            if (ahead == 0 && next == 1 && w->step == 1)                                                               \
                for (int64_t j = 0; j < n; j++) table[index[j]] += source[j * beside];                                 \
            else                                                                                                       \
                for (int64_t j = 0; j < n; j++) table[index[j * next] * w->step + j * ahead] += source[j * beside];    \
    }
/* Many f32 additions to one element: the rounding error of each (Møller, Knuth) is kept in a second table and added
 * with the next term, the last one to the sum. So the error does not grow with their number, and the order is that
 * of the index. */
AG_BLOCK_KERNEL(void, scatter_block_exactly, (int64_t n, float *y, float *lost, const float *x), (n, y, lost, x)) {
    AG_SIMD
    for (int64_t j = 0; j < n; j++) {
        const float a = y[j], b = x[j] + lost[j], sum = a + b, part = sum - a;
        y[j] = sum;
        lost[j] = sum - sum == 0 ? (a - (sum - part)) + (b - part) : 0; /* an infinity loses nothing */
    }
}

static void scatter_line_exactly(const walk *w, const row *r, float *table, float *lost, const int64_t *index,
                                 const float *source) {
    const int64_t n = w->extent[w->rank], ahead = w->table[w->rank], next = w->index[w->rank];
    const int64_t beside = w->other[w->rank];
    for (int64_t j = 0; j < n; j++) {
        const int64_t at = r->table + index[j * next] * w->step + j * ahead;
        scatter_block_exactly(1, table + at, lost + at, source + r->other + j * beside);
    }
}

SCATTER(scatter_blocks_i64, scatter_line_i64, uint64_t)
SCATTER(scatter_blocks_f32, scatter_line_f32, float)
SCATTER(scatter_blocks_f64, scatter_line_f64, double)

/* `count`: how often each number occurs. `lost`: rounding errors, of y's shape; used for blocks with many additions,
 * and for all lines and offsets. NULL: no number occurs often enough. */
typedef struct beside {
    const unsigned char *count; /* at most 255, which is many */
    float *lost;
} beside;

static bool many(int64_t additions) { return additions > 2 * AG__ROWS_A_GROUP; }

typedef struct scattering {
    const ag__places *places;
    const numbering *numbers;
    const walk *walk;
    ag_put how;
    beside beside;
    int64_t unchecked;    /* as in a gather */
    _Atomic bool outside; /* the same */
    int64_t outer;        /* size of the axes which the threads divide; 0: they divide the columns */
} scattering;

/* Add a block, with its rounding errors if many are added to it. */
static void scatter_one(const scattering *s, const row *r, int64_t low, int64_t high) {
    const walk *w = s->walk;
    const int64_t at = s->numbers->data[r->index], to = r->table + at * w->step + low;
    const float *x = (const float *)s->places->other->data + r->other + low;
    float *y = s->places->table->data;
    if (many(s->beside.count[at])) scatter_block_exactly(high - low, y + to, s->beside.lost + to, x);
    else ag__reduction_sum.combine[AG_F32](high - low, y + to, x);
}

/* n rows, from r on, of which columns low … high−1: added. */
static void add_rows(const scattering *s, const row *r, int64_t n, int64_t low, int64_t high) {
    typedef void blocks(const walk *, const row *, int64_t, int64_t, int64_t, void *, const int64_t *, const void *);
    typedef void line(const walk *, const row *, int64_t, void *, const int64_t *, const void *);
    static blocks *const of_blocks[AG_DTYPES] = {NULL, scatter_blocks_i64, scatter_blocks_f32, scatter_blocks_f64};
    static line *const lines[AG_DTYPES] = {NULL, scatter_line_i64, scatter_line_f32, scatter_line_f64};
    const ag_array *y = s->places->table, *x = s->places->other;
    const walk *w = s->walk;
    const int64_t *at = s->numbers->data + r->index;
    if (w->width && s->beside.lost) scatter_one(s, r, low, high);
    else if (w->width) of_blocks[y->dtype](w, r, n, low, high, y->data, at, x->data);
    else if (s->beside.lost) scatter_line_exactly(w, r, y->data, s->beside.lost, at, (const float *)x->data);
    else lines[y->dtype](w, r, n, y->data, at, x->data);
}

/* Elements of a line, put in their places: often it is along the indexed axis, which is contiguous. */
#define PUT_LINE(name, bytes)                                                                                          \
    static void name(int64_t n, char *to, const int64_t *at, int64_t next, int64_t step, int64_t ahead, const char *x, \
                     int64_t below) {                                                                                  \
        if (next == 1 && step == 1 && ahead == 0 && below == 1)                                                        \
            for (int64_t j = 0; j < n; j++) memcpy(to + at[j] * (bytes), x + j * (bytes), bytes);                      \
        else                                                                                                           \
            for (int64_t j = 0; j < n; j++)                                                                            \
                memcpy(to + (at[j * next] * step + j * ahead) * (bytes), x + j * below * (bytes), bytes);              \
    }
PUT_LINE(put_line_1, 1)
PUT_LINE(put_line_4, 4)
PUT_LINE(put_line_8, 8)

/* The same, put in the place of what is there, or the larger or smaller of both: block by block, or element by element
 * of a line. */
static void put_rows(const scattering *s, const row *r, int64_t n, int64_t low, int64_t high) {
    const walk *w = s->walk;
    const ag_reduction *fold = s->how == AG_PUT_MAX ? ag__op_max.reduction : ag__op_min.reduction;
    const ag_dtype dtype = s->places->table->dtype;
    const int64_t bytes = (int64_t)ag_dtype_size(dtype), *at = s->numbers->data + r->index;
    const bool line = w->width == 0;
    const int64_t next = line ? w->index[w->rank] : along_rows(w, w->index);
    const int64_t ahead = line ? w->table[w->rank] : along_rows(w, w->table);
    const int64_t below = line ? w->other[w->rank] : along_rows(w, w->other);
    char *y = (char *)s->places->table->data + (r->table + low) * bytes;
    const char *x = (const char *)s->places->other->data + (r->other + low) * bytes;
    if (line && s->how == AG_PUT_SET) {
        (bytes == 1 ? put_line_1 : bytes == 4 ? put_line_4 : put_line_8)(n, y, at, next, w->step, ahead, x, below);
        return;
    }
    for (int64_t i = 0; i < n; i++, x += below * bytes) {
        char *to = y + (at[i * next] * w->step + i * ahead) * bytes;
        if (s->how != AG_PUT_SET) fold->combine[dtype](high - low, to, x);
        else copy_block(to, x, (size_t)((high - low) * bytes));
    }
}

/* Rows start … end−1, columns low … high−1 of each block. */
static void scatter_rows(scattering *s, int64_t start, int64_t end, int64_t low, int64_t high) {
    const walk *w = s->walk;
    row r = row_at(w, start);
    for (int64_t n; r.number < end; advance(w, &r, n)) {
        const int64_t *at = s->numbers->data + r.index;
        if (s->unchecked && any_outside(at, w->extent[w->rank], w->index[w->rank], s->unchecked)) {
            atomic_store_explicit(&s->outside, true, memory_order_relaxed);
            return;
        }
        n = (w->width || s->how == AG_PUT_ADD) && !s->beside.lost ? rows_along(w, &r, end) : 1;
        if (s->how == AG_PUT_ADD) add_rows(s, &r, n, low, high);
        else if (w->width) put_rows(s, &r, n, low, high);
        else put_rows(s, &r, w->extent[w->rank], 0, 1);
    }
}

static void scatter_share(void *s_, int i, int n) {
    scattering *s = s_;
    const walk *w = s->walk;
    const int64_t whole = s->outer ? s->outer : w->width, inner = s->outer ? w->rows / s->outer : 0;
    const int64_t start = ag__share_start(whole, i, n), end = ag__share_start(whole, i + 1, n);
    if (s->outer) scatter_rows(s, start * inner, end * inner, 0, w->width);
    else scatter_rows(s, 0, w->rows, start, end);
}

/* No two threads write one element of y: they divide the leading axes that are the table's own, unless lines are along
 * these, or else a block's columns. */
static void scatter_all(scattering *s) {
    const walk *w = s->walk;
    const int threads = ag__worthwhile(s->places->other->size, s->places->call->threads);
    const bool by_rows = w->outer >= threads && w->rows >= w->outer,
               by_columns = w->width >= AG__COLUMNS_SCATTERED * (int64_t)threads;
    s->outer = by_rows ? w->outer : 0;
    if (threads < 2 || !(by_rows || by_columns)) scatter_rows(s, 0, w->rows, 0, w->width);
    else ag__parallel(threads, scatter_share, s);
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
static bool begin_with_table(const ag_call *call) {
    const ag_array *x = &call->x[0];
    bool zeros = is_zeros(x);
    if (call->accumulate) return zeros || add_table(call);
    if (zeros) memset(call->y.data, 0, ag__times((uint64_t)x->size, ag_dtype_size(x->dtype)));
    else ag__pack(call->y.data, x, 0, x->size);
    return true;
}

/* Count how often each number occurs; returns the most. Along an axis without numbers of its own it counts once,
 * unless that is none of the table's either. Lines are counted one by one if each is added to elements of its own. */
static int64_t count_numbers(const scattering *s, unsigned char *count) {
    const ag__places *p = s->places;
    int64_t each = 1, most = 0;
    int own = 0; /* leading axes that are the table's own */
    walk w = {0};
    for (int r = 0; r < p->other->rank; r++) {
        const bool leading = (p->own >> r & 1) && own == w.rank;
        if (s->numbers->stride[r] != 0) walk_along(&w, p->other->shape[r], 0, s->numbers->stride[r], 0);
        else if (!(p->own >> r & 1)) each *= p->other->shape[r];
        if (leading) own = w.rank;
    }
    find_rows(&w, w.rank);
    const bool alone = w.rank > 0 && own >= w.rank && s->walk->width == 0;
    const size_t span = (size_t)s->numbers->span;
    for (row r = row_at(&w, 0); r.number < w.rows; advance(&w, &r, 1)) {
        const int64_t *at = s->numbers->data + r.index;
        for (int64_t j = 0; j < w.extent[w.rank]; j++) {
            const int64_t k = at[j * w.index[w.rank]], n = ag__lesser(count[k] + each, UCHAR_MAX);
            count[k] = (unsigned char)n;
            if (n > most) most = n;
        }
        if (alone && span / 64 <= (size_t)w.extent[w.rank]) memset(count, 0, span);
        else
            for (int64_t j = 0; alone && j < w.extent[w.rank]; j++) count[at[j * w.index[w.rank]]] = 0;
    }
    return most;
}

/* For the parts of y that may have many additions, blocks behind an index or everything: fill `lost` with 0 or, at the
 * end, add it to y. */
static void each_part(const scattering *s, bool end) {
    const ag_array *y = s->places->table;
    const int axis = s->numbers->axis;
    const bool blocks = axis >= 0 && s->walk->width > 0;
    int64_t inner = blocks ? 1 : y->size; /* an axis of extent 1 may have any stride */
    for (int i = axis + 1; blocks && i < y->rank; i++) inner *= y->shape[i];
    const int64_t rows = y->size / inner;
    float *to = y->data, *lost = s->beside.lost;
    for (int64_t i = 0; lost && i < rows; i++) {
        if (blocks && !many(s->beside.count[i % y->shape[axis]])) continue;
        if (end) ag__reduction_sum.combine[AG_F32](inner, to + i * inner, lost + i * inner);
        else memset(lost + i * inner, 0, (size_t)inner * sizeof *lost);
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
    const size_t bytes = (size_t)s->numbers->span;
    if (s->how != AG_PUT_ADD || p->table->dtype != AG_F32 || !many(most_additions(p))) return true;
    unsigned char *count = ag_call_scratch(p->call, bytes);
    if (!count) return false;
    memset(count, 0, bytes);
    s->beside.count = count;
    if (!many(count_numbers(s, count))) return true;
    s->beside.lost = ag_call_scratch(p->call, ag__times((uint64_t)p->table->size, sizeof *s->beside.lost));
    if (s->beside.lost) each_part(s, false);
    return s->beside.lost != NULL;
}

/* Put by a single index that is checked line by line; whether all were in range. Of blocks it is small. */
static bool put_checking(const ag__places *p, ag_put how) {
    numbering n = {0};
    single(p, &n);
    const walk w = walk_of(p, &n);
    if (w.width > 0 || is_short(&w) || n.span == 0 || !begin_with_table(p->call)) return false;
    scattering s = {.places = p, .numbers = &n, .walk = &w, .how = how, .unchecked = n.span};
    scatter_all(&s);
    return !atomic_load_explicit(&s.outside, memory_order_relaxed);
}

bool ag__scatter_at(const ag__places *p, ag_put how) {
    numbering n;
    if (p->other->size > 0 && p->count == 1 && how != AG_PUT_ADD && put_checking(p, how)) return true;
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
