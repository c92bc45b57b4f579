/* index -- gather and scatter_add along an axis: each is the other's gradient
 *
 * Both walk the index, whose shape is that of the output (gather) or the source (scatter_add), in row-major order,
 * together with two arrays: the table, where the index replaces the index on one axis, and the other, which is read
 * or written in step. Every index is checked before anything is computed. */
#include "autograd/eval/eval.h"
#include "ops/rules.h"

#include <string.h>

/* ---- Walking ---- */

/* Rows are either blocks, `width` neighbours in both arrays with one index, or lines along the last axis. Axes of
 * extent 1 are left out: a column of numbers is one line. */
typedef struct walk {
    int rank;                                                           /* of the walk over rows */
    int64_t rows, width;                                                /* width 0: lines */
    int64_t extent[AG_MAX_RANK];                                        /* of the index, the last axis included */
    int64_t table[AG_MAX_RANK], index[AG_MAX_RANK], other[AG_MAX_RANK]; /* strides; 0 for the table's indexed axis */
    int64_t step;                                                       /* the table's stride along the indexed axis */
    int64_t outer;                                                      /* size of the axes before that */
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

static walk walk_of(const ag_array *table, const ag_array *index, const ag_array *other, int axis) {
    walk w = {.step = table->stride[axis], .outer = 1};
    int behind = 0;
    for (int i = 0; i < index->rank; i++) {
        walk_along(&w, index->shape[i], i == axis ? 0 : table->stride[i], index->stride[i], other->stride[i]);
        if (i < axis) w.outer *= index->shape[i];
        if (i == axis) behind = w.rank;
    }
    find_rows(&w, behind);
    return w;
}

/* Over the index alone, in lines: each stored number once, however often it is broadcast. */
static walk walk_of_numbers(const ag_array *index) {
    walk w = {0};
    for (int i = 0; i < index->rank; i++)
        if (index->stride[i] != 0) walk_along(&w, index->shape[i], 0, index->stride[i], 0);
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

static bool index_accepted(const ag_infer *r) {
    const ag_tensor *x = r->x[0], *index = r->x[1];
    int64_t axis = *(const int64_t *)r->attributes;
    if (index->dtype != AG_I64)
        return ag_reject(r, AG_ERR_DTYPE, "the index must be i64, not %s", ag_dtype_name((ag_dtype)index->dtype));
    if (axis < 0 || axis >= x->layout->rank)
        return ag_reject(r, AG_ERR_AXIS, "axis %lld is out of range", (long long)axis);
    if (index->layout->rank != x->layout->rank)
        return ag_reject(r, AG_ERR_SHAPE, "the index has %d axes: %d are wanted", index->layout->rank, x->layout->rank);
    for (int i = 0; i < x->layout->rank; i++)
        if (i != axis && index->layout->extent[i] != x->layout->extent[i])
            return ag_reject(r, AG_ERR_SHAPE, "axis %d has extent %lld in the index, but %lld in the first input", i,
                             (long long)index->layout->extent[i], (long long)x->layout->extent[i]);
    return true;
}

/* x broadcast to `shape` if possible; if not, infer refuses it. */
static ag_tensor *stretched(ag_tensor *x, const ag_shape *shape) {
    bool fits = ag_rank(x) == shape->rank;
    for (int i = 0; fits && i < shape->rank; i++) fits = ag_extent(x, i) == shape->extent[i] || ag_extent(x, i) == 1;
    return fits ? ag_broadcast_to(x, *shape) : x;
}

/* Report the first index that is out of range: they are compared in the order of elements. */
static bool out_of_range(const ag_call *call, int64_t extent) {
    const ag_array *index = &call->x[1];
    int64_t at[AG_MAX_RANK] = {0};
    for (int64_t number = 0; number < index->size; number++) {
        int64_t offset = 0, rest = number;
        for (int i = index->rank - 1; i >= 0; rest /= index->shape[i--])
            offset += (at[i] = rest % index->shape[i]) * index->stride[i];
        int64_t value = ((const int64_t *)index->data)[offset];
        if (value < 0 || value >= extent)
            return ag_call_fail(
                call, AG_ERR_RANGE, "index %lld at element %lld is out of range for axis %d with extent %lld",
                (long long)value, (long long)number, (int)*(const int64_t *)call->attributes, (long long)extent);
    }
    return true;
}

/* Whether some of n indices at a stride are not in 0 … extent−1. */
AG_BLOCK_KERNEL static bool any_outside(const int64_t *at_, int64_t n, int64_t stride, int64_t extent) {
    const uint64_t *at = (const uint64_t *)at_, last = (uint64_t)extent - 1;
    uint64_t outside = 0; /* its sign is that of an index, or of what is left behind one */
    if (stride == 1)
        for (int64_t j = 0; j < n; j++) outside |= at[j] | (last - at[j]);
    else
        for (int64_t j = 0; j < n; j++) outside |= at[j * stride] | (last - at[j * stride]);
    return outside >> 63;
}

/* Whether every index is in 0 … extent−1; if not, an error. */
static bool indices_in_range(const ag_call *call, int64_t extent) {
    const ag_array *index = &call->x[1];
    const walk w = walk_of_numbers(index);
    for (row r = row_at(&w, 0); r.number < w.rows; advance(&w, &r, 1))
        if (any_outside((const int64_t *)index->data + r.index, w.extent[w.rank], w.index[w.rank], extent))
            return out_of_range(call, extent);
    return true;
}

/* ---- gather ---- */

static bool gather_infer(ag_infer *r) {
    if (!index_accepted(r)) return false;
    int64_t axis = *(const int64_t *)r->attributes;
    r->dtype = (ag_dtype)r->x[0]->dtype;
    r->shape.extent[axis] = r->x[1]->layout->extent[axis];
    return true;
}

/* Elements low … high−1 of a line: y[j] = table[index[j]·step + j·ahead]. */
#define GATHER_LINE(name, type)                                                                                        \
    static void name(const walk *w, const row *r, int64_t low, int64_t high, void *y_, const void *table_,             \
                     const int64_t *index) {                                                                           \
        const int64_t ahead = w->table[w->rank], next = w->index[w->rank];                                             \
        const type *table = (const type *)table_ + r->table;                                                           \
        type *y = (type *)y_ + r->other;                                                                               \
        for (int64_t j = low; j < high; j++) y[j] = table[index[j * next] * w->step + j * ahead];                      \
    }
GATHER_LINE(gather_line_bool, uint8_t)
GATHER_LINE(gather_line_i64, int64_t)
GATHER_LINE(gather_line_f32, float)
GATHER_LINE(gather_line_f64, double)

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

/* n blocks, beginning with row r. */
static void gather_blocks(const ag_call *call, const walk *w, const row *r, int64_t n) {
    const int64_t bytes = (int64_t)ag_dtype_size(call->y.dtype), *index = (const int64_t *)call->x[1].data + r->index;
    const int64_t next = along_rows(w, w->index), ahead = along_rows(w, w->table) * bytes,
                  below = along_rows(w, w->other) * bytes;
    const int64_t step = w->step * bytes;
    char *y = (char *)call->y.data + r->other * bytes;
    const char *table = (const char *)call->x[0].data + r->table * bytes;
    for (int64_t i = 0; i < n; i++)
        copy_block(y + i * below, table + index[i * next] * step + i * ahead, (size_t)(w->width * bytes));
}

/* Rows start … end−1, elements low … high−1 of lines. */
static void gather_rows(const ag_call *call, const walk *w, int64_t start, int64_t end, int64_t low, int64_t high) {
    typedef void line(const walk *, const row *, int64_t, int64_t, void *, const void *, const int64_t *);
    static line *const lines[AG_DTYPES] = {gather_line_bool, gather_line_i64, gather_line_f32, gather_line_f64};
    const int64_t *index = call->x[1].data;
    row r = row_at(w, start);
    for (int64_t n; r.number < end; advance(w, &r, n)) {
        n = w->width ? rows_along(w, &r, end) : 1;
        if (w->width) gather_blocks(call, w, &r, n);
        else lines[call->y.dtype](w, &r, low, high, call->y.data, call->x[0].data, index + r.index);
    }
}

typedef struct gathering {
    const ag_call *call;
    const walk *walk;
} gathering;

/* The threads divide the rows, or the elements of few long lines. */
static void gather_share(void *g_, int i, int n) {
    const gathering *g = g_;
    const walk *w = g->walk;
    const bool by_rows = w->rows >= n;
    const int64_t whole = by_rows ? w->rows : w->extent[w->rank];
    const int64_t start = ag__share_start(whole, i, n), end = ag__share_start(whole, i + 1, n);
    if (by_rows) gather_rows(g->call, w, start, end, 0, w->extent[w->rank]);
    else gather_rows(g->call, w, 0, w->rows, start, end);
}

static bool gather_eval(const ag_call *call) {
    int axis = (int)*(const int64_t *)call->attributes;
    if (call->y.size == 0) return true;
    if (!indices_in_range(call, call->x[0].shape[axis])) return false;
    walk w = walk_of(&call->x[0], &call->x[1], &call->y, axis);
    int threads = ag__worthwhile(call->y.size, call->threads);
    ag__parallel(w.width == 0 || w.rows >= threads ? threads : 1, gather_share, &(gathering){call, &w});
    return true;
}

static ag_tensor *gather_vjp(ag_tensor *y, ag_tensor *g, int i) {
    if (i != 0) return NULL;
    ag_tensor *x = ag_input(y, 0), *zeros = ag_zeros(ag_tape_of(x), ag_dtype_of(x), ag_shape_of(x));
    return ag_scatter_add(zeros, ag_input(y, 1), g, (int)*(const int64_t *)ag_attributes(y));
}

const ag_op ag__op_gather = {.name = "gather",
                             .notation = "gather_{i0}({0}, {1})",
                             .kind = AG_KIND_OPAQUE,
                             .arity = 2,
                             .attribute_bytes = sizeof(int64_t),
                             .infer = gather_infer,
                             .eval = gather_eval,
                             .vjp = gather_vjp};

ag_tensor *ag_gather(ag_tensor *x, ag_tensor *index, int axis) {
    ag_tensor *nil, *in[2] = {x, index};
    if (!ag__inputs_usable("gather", 2, in, &nil)) return nil;
    int64_t a = ag__axis(axis, ag_rank(x));
    if (a < 0) return ag__fail("gather", 2, in, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    ag_shape shape = ag_shape_of(x);
    shape.extent[a] = ag_extent(index, (int)a);
    in[1] = stretched(index, &shape);
    return ag_apply(&ag__op_gather, 2, in, &a, sizeof a);
}

/* ---- scatter_add ---- */

static bool scatter_add_infer(ag_infer *r) {
    const ag_tensor *x = r->x[0], *index = r->x[1], *source = r->x[2];
    if (x->dtype == AG_BOOL || x->dtype != source->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "the dtypes %s and %s cannot be added", ag_dtype_name((ag_dtype)x->dtype),
                         ag_dtype_name((ag_dtype)source->dtype));
    if (!index_accepted(r)) return false;
    if (source->layout->rank != index->layout->rank)
        return ag_reject(r, AG_ERR_SHAPE, "the source has %d axes: %d are wanted", source->layout->rank,
                         index->layout->rank);
    for (int i = 0; i < source->layout->rank; i++)
        if (source->layout->extent[i] != index->layout->extent[i])
            return ag_reject(r, AG_ERR_SHAPE, "axis %d has extent %lld in the source, but %lld in the index", i,
                             (long long)source->layout->extent[i], (long long)index->layout->extent[i]);
    return true;
}

/* Elements: y[j] += x[j]. Elements low … high−1 of n blocks. One line: table[index[j]·step + j·ahead] +=
 * source[j·beside]. */
#define SCATTER(add, blocks, line, type)                                                                               \
    AG_BLOCK_KERNEL static void add(int64_t n, void *y_, const void *x_) {                                             \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        AG_SIMD                                                                                                        \
        for (int64_t j = 0; j < n; j++) y[j] += x[j];                                                                  \
    }                                                                                                                  \
    AG_BLOCK_KERNEL static void blocks(const walk *w, const row *r, int64_t n, int64_t low, int64_t high,              \
                                       void *table_, const int64_t *index, const void *source_) {                      \
        const int64_t next = along_rows(w, w->index), ahead = along_rows(w, w->table);                                 \
        const int64_t below = along_rows(w, w->other);                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            type *y = (type *)table_ + r->table + index[i * next] * w->step + i * ahead;                               \
            const type *x = (const type *)source_ + r->other + i * below;                                              \
            AG_SIMD                                                                                                    \
            for (int64_t j = low; j < high; j++) y[j] += x[j];                                                         \
        }                                                                                                              \
    }                                                                                                                  \
    static void line(const walk *w, const row *r, void *table_, const int64_t *index, const void *source_) {           \
        const int64_t n = w->extent[w->rank], ahead = w->table[w->rank], next = w->index[w->rank];                     \
        const int64_t beside = w->other[w->rank];                                                                      \
        type *table = (type *)table_ + r->table;                                                                       \
        const type *source = (const type *)source_ + r->other;                                                         \
        for (int64_t j = 0; j < n; j++) table[index[j * next] * w->step + j * ahead] += source[j * beside];            \
    }
/* Many f32 additions to one element: the rounding error of each (Møller, Knuth) is kept in a second table and added
 * with the next term, the last one to the sum. So the error does not grow with their number, and the order is that
 * of the index. */
AG_BLOCK_KERNEL static void scatter_block_exactly(int64_t n, float *y, float *lost, const float *x) {
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

AG_BLOCK_KERNEL static void give_back(int64_t n, float *y, const float *lost) {
    AG_SIMD
    for (int64_t j = 0; j < n; j++) y[j] += lost[j];
}

SCATTER(scatter_block_i64, scatter_blocks_i64, scatter_line_i64, uint64_t)
SCATTER(scatter_block_f32, scatter_blocks_f32, scatter_line_f32, float)
SCATTER(scatter_block_f64, scatter_blocks_f64, scatter_line_f64, double)

/* `count`: how often each index occurs. `lost`: rounding errors, of y's shape; used for blocks with many additions,
 * and for all lines. NULL: no index occurs often enough. */
typedef struct beside {
    const int64_t *count;
    float *lost;
} beside;

static bool many(int64_t additions) { return additions > 2 * AG__ROWS_A_GROUP; }

/* Add a block, with its rounding errors if many are added to it. */
static void scatter_one(const ag_call *call, const walk *w, const row *r, const beside *b, int64_t low, int64_t high) {
    const int64_t *at = (const int64_t *)call->x[1].data + r->index, to = r->table + *at * w->step + low;
    const float *x = (const float *)call->x[2].data + r->other + low;
    if (many(b->count[*at])) scatter_block_exactly(high - low, (float *)call->y.data + to, b->lost + to, x);
    else scatter_block_f32(high - low, (float *)call->y.data + to, x);
}

/* Rows start … end−1, columns low … high−1 of each block. */
static void scatter_rows(const ag_call *call, const walk *w, const beside *b, int64_t start, int64_t end, int64_t low,
                         int64_t high) {
    typedef void blocks(const walk *, const row *, int64_t, int64_t, int64_t, void *, const int64_t *, const void *);
    typedef void line(const walk *, const row *, void *, const int64_t *, const void *);
    static blocks *const of_blocks[AG_DTYPES] = {NULL, scatter_blocks_i64, scatter_blocks_f32, scatter_blocks_f64};
    static line *const lines[AG_DTYPES] = {NULL, scatter_line_i64, scatter_line_f32, scatter_line_f64};
    const int64_t *index = call->x[1].data;
    row r = row_at(w, start);
    for (int64_t n; r.number < end; advance(w, &r, n)) {
        const int64_t *at = index + r.index;
        n = w->width && !b->lost ? rows_along(w, &r, end) : 1;
        if (w->width && b->lost) scatter_one(call, w, &r, b, low, high);
        else if (w->width) of_blocks[call->y.dtype](w, &r, n, low, high, call->y.data, at, call->x[2].data);
        else if (b->lost) scatter_line_exactly(w, &r, call->y.data, b->lost, at, (const float *)call->x[2].data);
        else lines[call->y.dtype](w, &r, call->y.data, at, call->x[2].data);
    }
}

typedef struct scattering {
    const ag_call *call;
    const walk *walk;
    const beside *beside;
    int64_t outer; /* size of the axes before the indexed one, which the threads divide; 0: they divide the columns */
} scattering;

static void scatter_share(void *s_, int i, int n) {
    const scattering *s = s_;
    const walk *w = s->walk;
    const int64_t whole = s->outer ? s->outer : w->width, inner = s->outer ? w->rows / s->outer : 0;
    const int64_t start = ag__share_start(whole, i, n), end = ag__share_start(whole, i + 1, n);
    if (s->outer) scatter_rows(s->call, w, s->beside, start * inner, end * inner, 0, w->width);
    else scatter_rows(s->call, w, s->beside, 0, w->rows, start, end);
}

/* No two threads write one element of y: they divide the axes before the indexed one, unless lines are along these, or
 * else a block's columns. */
static void scatter_all(const ag_call *call, const walk *w, const beside *b) {
    int threads = ag__worthwhile(call->x[2].size, call->threads);
    bool by_rows = w->outer >= threads && w->rows >= w->outer,
         by_columns = w->width >= AG__COLUMNS_SCATTERED * (int64_t)threads;
    if (threads < 2 || !(by_rows || by_columns)) scatter_rows(call, w, b, 0, w->rows, 0, w->width);
    else ag__parallel(threads, scatter_share, &(scattering){call, w, b, by_rows ? w->outer : 0});
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
    if (x->dtype == AG_I64) scatter_block_i64(x->size, call->y.data, packed);
    else if (x->dtype == AG_F32) scatter_block_f32(x->size, call->y.data, packed);
    else scatter_block_f64(x->size, call->y.data, packed);
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

/* Count how often each index occurs; returns the most. Along a broadcast axis it counts once, unless that is the
 * indexed axis. */
static int64_t count_indices(const ag_call *call, int axis, int64_t *count) {
    const ag_array *index = &call->x[1];
    const int64_t each = index->stride[axis] == 0 ? index->shape[axis] : 1;
    int64_t most = 0;
    const walk w = walk_of_numbers(index);
    for (row r = row_at(&w, 0); r.number < w.rows; advance(&w, &r, 1)) {
        const int64_t *at = (const int64_t *)index->data + r.index;
        for (int64_t j = 0; j < w.extent[w.rank]; j++) {
            const int64_t n = count[at[j * w.index[w.rank]]] += each;
            if (n > most) most = n;
        }
    }
    return most;
}

/* For the blocks of y, an (outer, extent, inner) array, that have many additions, and for lines: fill `lost` with 0
 * or, at the end, add it to y. */
static void each_block(const ag_call *call, const walk *w, const beside *b, int axis, bool end) {
    const int64_t extent = call->y.shape[axis];
    int64_t inner = 1;
    for (int i = axis + 1; i < call->y.rank; i++) inner *= call->y.shape[i];
    const int64_t rows = call->y.size / inner;
    float *y = call->y.data;
    for (int64_t i = 0; b->lost && i < rows; i++) {
        if (w->width > 0 && !many(b->count[i % extent])) continue;
        if (end) give_back(inner, y + i * inner, b->lost + i * inner);
        else memset(b->lost + i * inner, 0, (size_t)inner * sizeof *b->lost);
    }
}

static bool make_beside(const ag_call *call, const walk *w, beside *b, int axis) {
    const size_t bytes = ag__times((uint64_t)call->y.shape[axis], sizeof(int64_t));
    if (call->y.dtype != AG_F32 || !many(call->x[1].shape[axis])) return true;
    int64_t *count = ag_call_scratch(call, bytes);
    if (!count) return false;
    memset(count, 0, bytes);
    b->count = count;
    if (!many(count_indices(call, axis, count))) return true;
    b->lost = ag_call_scratch(call, ag__times((uint64_t)call->y.size, sizeof *b->lost));
    if (b->lost) each_block(call, w, b, axis, false);
    return b->lost != NULL;
}

static bool scatter_add_eval(const ag_call *call) {
    int axis = (int)*(const int64_t *)call->attributes;
    if (call->x[2].size > 0 && !indices_in_range(call, call->y.shape[axis])) return false;
    if (!begin_with_table(call)) return false;
    if (call->x[2].size == 0) return true;
    walk w = walk_of(&call->y, &call->x[1], &call->x[2], axis);
    beside b = {0};
    if (!make_beside(call, &w, &b, axis)) return false;
    scatter_all(call, &w, &b);
    each_block(call, &w, &b, axis, true);
    return true;
}

static ag_tensor *scatter_add_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return i == 0 ? g : i == 1 ? NULL : ag_gather(g, ag_input(y, 1), (int)*(const int64_t *)ag_attributes(y));
}

const ag_op ag__op_scatter_add = {.name = "scatter_add",
                                  .notation = "scatter_add_{i0}({0}, {1}, {2})",
                                  .kind = AG_KIND_OPAQUE,
                                  .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
                                  .arity = 3,
                                  .attribute_bytes = sizeof(int64_t),
                                  .infer = scatter_add_infer,
                                  .eval = scatter_add_eval,
                                  .vjp = scatter_add_vjp};

ag_tensor *ag_scatter_add(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis) {
    ag_tensor *nil, *in[3] = {x, index, source};
    if (!ag__inputs_usable("scatter_add", 3, in, &nil)) return nil;
    int64_t a = ag__axis(axis, ag_rank(x));
    if (a < 0)
        return ag__fail("scatter_add", 3, in, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, ag_rank(x));
    ag_shape shape = ag_shape_of(x);
    shape.extent[a] = ag_extent(index, (int)a) == 1 ? ag_extent(source, (int)a) : ag_extent(index, (int)a);
    in[1] = stretched(index, &shape);
    in[2] = stretched(source, &shape);
    return ag_apply(&ag__op_scatter_add, 3, in, &a, sizeof a);
}
