/* strips -- plain loops over elements: packing, elementwise operations and reductions
 *
 * Work is cut into strips of a fixed length, whatever the number of threads, so that the results do not depend on
 * it. An operation's kernels only ever see contiguous elements: strided inputs are packed into a strip first. */
#include "autograd/eval/eval.h"
#include "autograd/tape/limits.h"

#include <string.h>

enum { MOST_BYTES = 8 }; /* of an element */

/* ---- Walking strided arrays ---- */

/* A layout with neighbouring axes merged where one step over the outer is the end of the inner. */
typedef struct walk {
    int rank;
    int64_t extent[AG_MAX_RANK], stride[AG_MAX_RANK];
} walk;

static void walk_add(walk *w, int64_t extent, int64_t stride) {
    if (extent == 1) return;
    if (w->rank > 0 && w->stride[w->rank - 1] == stride * extent) {
        w->extent[w->rank - 1] *= extent;
        w->stride[w->rank - 1] = stride;
        return;
    }
    w->extent[w->rank] = extent;
    w->stride[w->rank++] = stride;
}

static walk walk_over(int rank, const int64_t *extent, const int64_t *stride) {
    walk w = {0};
    for (int i = 0; i < rank; i++) walk_add(&w, extent[i], stride[i]);
    return w;
}

/* Offset of row-major element `at`, which there is; its index along the last axis goes to *last. */
static int64_t walk_offset(const walk *w, int64_t at, int64_t *last) {
    int64_t offset = 0;
    *last = 0;
    for (int i = w->rank - 1; i >= 0; i--) {
        int64_t index = i > 0 ? at % w->extent[i] : at;
        if (i > 0) at /= w->extent[i];
        offset += index * w->stride[i];
        if (i == w->rank - 1) *last = index;
    }
    return offset;
}

static int64_t walk_size(const walk *w) {
    int64_t n = 1;
    for (int i = 0; i < w->rank; i++) n *= w->extent[i];
    return n;
}

/* ---- Packing ----
 *
 * Strided elements are put next to each other row by row, a row being a line along the walk's last axis. Rows may be
 * very short (five elements of an image, say), and there may be very many. */

/* Runs of `width` bytes; short ones in two pieces, which may overlap, without the call and the decisions of memcpy. */
static void copy_rows(char *y, const char *x, int64_t rows, int64_t width, int64_t across) {
    const char *end = y + rows * width;
    if (width >= 16 && width <= 32)
        for (; y < end; y += width, x += across) {
            memcpy(y, x, 16);
            memcpy(y + width - 16, x + width - 16, 16);
        }
    else if (width >= 8 && width < 16)
        for (; y < end; y += width, x += across) {
            memcpy(y, x, 8);
            memcpy(y + width - 8, x + width - 8, 8);
        }
    else
        for (; y < end; y += width, x += across) memcpy(y, x, (size_t)width);
}

/* y[i·n + j] = x[i·across + j·stride]. Where neighbouring rows are neighbours in x, as in a transpose, it goes by
 * tiles: each line of cache is then read once and written once, whatever their addresses have in common. The tiles of
 * some neighbouring lines come one after the other, for the sake of the page table. */
#define PACK_ROWS(name, tile_of, type, TILE)                                                                           \
    static void tile_of(type *y, const type *x, int64_t tall, int64_t wide, int64_t n, int64_t stride) {               \
        type tile[TILE][TILE];                                                                                         \
        if (tall < TILE || wide < TILE) {                                                                              \
            for (int64_t i = 0; i < tall; i++)                                                                         \
                for (int64_t j = 0; j < wide; j++) y[i * n + j] = x[i + j * stride];                                   \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t j = 0; j < TILE; j++) memcpy(tile[j], x + j * stride, sizeof tile[j]);                            \
        for (int64_t i = 0; i < TILE; i++)                                                                             \
            for (int64_t j = 0; j < TILE; j++) y[i * n + j] = tile[j][i];                                              \
    }                                                                                                                  \
    static void name(void *y_, const void *x_, int64_t rows, int64_t n, int64_t across, int64_t stride) {              \
        enum { NEIGHBOURS = 4 * TILE };                                                                                \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        for (int64_t i0 = 0, some; across == 1 && i0 < rows; i0 += some) {                                             \
            some = rows - i0 < NEIGHBOURS ? rows - i0 : NEIGHBOURS;                                                    \
            for (int64_t j = 0; j < n; j += TILE)                                                                      \
                for (int64_t i = i0; i < i0 + some; i += TILE)                                                         \
                    tile_of(y + i * n + j, x + i + j * stride, i0 + some - i < TILE ? i0 + some - i : TILE,            \
                            n - j < TILE ? n - j : TILE, n, stride);                                                   \
        }                                                                                                              \
        for (int64_t i = 0; across != 1 && i < rows; i++, y += n, x += across) {                                       \
            const type first = *x;                                                                                     \
            if (stride == 0)                                                                                           \
                for (int64_t j = 0; j < n; j++) y[j] = first;                                                          \
            else                                                                                                       \
                for (int64_t j = 0; j < n; j++) y[j] = x[j * stride];                                                  \
        }                                                                                                              \
    }
PACK_ROWS(pack_rows_1, tile_of_1, uint8_t, 16)
PACK_ROWS(pack_rows_4, tile_of_4, uint32_t, 16)
PACK_ROWS(pack_rows_8, tile_of_8, uint64_t, 8)

static void pack_rows(char *y, const char *x, int64_t rows, int64_t n, int64_t across, int64_t stride, size_t bytes) {
    int64_t width = n * (int64_t)bytes;
    if (stride == 1) copy_rows(y, x, rows, width, across * (int64_t)bytes);
    else if (bytes == 4) pack_rows_4(y, x, rows, n, across, stride);
    else if (bytes == 8) pack_rows_8(y, x, rows, n, across, stride);
    else pack_rows_1(y, x, rows, n, across, stride);
}

typedef struct cursor { /* an element: its index along each axis, and its offset */
    int64_t at[AG_MAX_RANK], offset;
} cursor;

static cursor cursor_at(const walk *w, int64_t number) {
    cursor p = {{0}, 0};
    for (int i = w->rank - 1; i >= 0; number /= w->extent[i--]) {
        p.at[i] = i > 0 ? number % w->extent[i] : number;
        p.offset += p.at[i] * w->stride[i];
    }
    return p;
}

/* From the beginning of a row to that of the one `rows` further on, at most where the axis before the last one ends. */
static inline void advance(cursor *p, const walk *w, int64_t rows) {
    int i = w->rank - 2;
    p->offset += rows * w->stride[i];
    p->at[i] += rows;
    for (; i > 0 && p->at[i] == w->extent[i]; i--) {
        p->offset += w->stride[i - 1] - w->extent[i] * w->stride[i];
        p->at[i] = 0;
        p->at[i - 1]++;
    }
}

/* Row-major elements start… of a strided array, next to each other: the rest of a row, whole rows, the beginning of
 * one. */
static void pack(char *y, const char *x, const walk *w, int64_t start, int64_t count, size_t bytes) {
    const int last = w->rank - 1;
    if (count == 0) return; /* some extent may be 0 */
    const int64_t n = last < 0 ? 1 : w->extent[last], stride = last < 0 ? 1 : w->stride[last];
    cursor p = cursor_at(w, start);
    if (last < 1) { /* there is but one row, or one element */
        pack_rows(y, x + p.offset * (int64_t)bytes, 1, count, 0, stride, bytes);
        return;
    }
    if (p.at[last] > 0) {
        int64_t rest = ag__lesser(n - p.at[last], count);
        pack_rows(y, x + p.offset * (int64_t)bytes, 1, rest, 0, stride, bytes);
        y += rest * (int64_t)bytes;
        count -= rest;
        p.offset -= p.at[last] * stride;
        advance(&p, w, 1);
    }
    const int64_t across = w->stride[last - 1];
    for (int64_t rows = count / n, some; rows > 0; rows -= some, y += some * n * (int64_t)bytes) {
        some = ag__lesser(w->extent[last - 1] - p.at[last - 1], rows);
        pack_rows(y, x + p.offset * (int64_t)bytes, some, n, across, stride, bytes);
        advance(&p, w, some);
    }
    if (count % n > 0) pack_rows(y, x + p.offset * (int64_t)bytes, 1, count % n, 0, stride, bytes);
}

void ag__pack(void *to, const ag_array *from, int64_t start, int64_t count) {
    walk w = walk_over(from->rank, from->shape, from->stride);
    pack(to, from->data, &w, start, count, ag_dtype_size(from->dtype));
}

/* ---- Elementwise ---- */

typedef struct elementwise {
    ag_block *block;
    const void *attributes;
    int n;
    char *y;
    int64_t size;
    size_t y_bytes;
    struct {
        const char *data;
        size_t bytes;
        bool contiguous;
        walk walk;
    } x[AG__MOST_INPUTS];
} elementwise;

static void prepare(elementwise *e, const ag_tensor *t) {
    e->block = t->op->block[t->input[t->arity - 1]->dtype];
    e->attributes = ag__attributes(t);
    e->n = t->arity;
    e->y = ag__values(t);
    e->size = t->layout->size;
    e->y_bytes = ag__bytes(t);
    for (int i = 0; i < e->n; i++) {
        const ag_tensor *x = t->input[i];
        e->x[i].data = ag__values(x);
        e->x[i].bytes = ag__bytes(x);
        e->x[i].contiguous = x->layout->contiguous;
        if (!x->layout->contiguous)
            e->x[i].walk = walk_over(x->layout->rank, x->layout->extent, ag__strides(x->layout));
    }
}

static void run_strip(const elementwise *e, int64_t start, int64_t count) {
    _Alignas(64) char strips[AG__MOST_INPUTS][AG__STRIP * MOST_BYTES];
    const void *x[AG__MOST_INPUTS];
    for (int i = 0; i < e->n; i++) {
        x[i] = e->x[i].data + start * (int64_t)e->x[i].bytes;
        if (e->x[i].contiguous) continue;
        pack(strips[i], e->x[i].data, &e->x[i].walk, start, count, e->x[i].bytes);
        x[i] = strips[i];
    }
    e->block(count, e->y + start * (int64_t)e->y_bytes, x, e->attributes);
}

static void run_strips(void *e_, int i, int n) {
    const elementwise *e = e_;
    const int64_t strips = (e->size + AG__STRIP - 1) / AG__STRIP, end = ag__share_start(strips, i + 1, n);
    for (int64_t strip = ag__share_start(strips, i, n); strip < end; strip++)
        run_strip(e, strip * AG__STRIP, ag__lesser(e->size - strip * AG__STRIP, AG__STRIP));
}

typedef struct copying {
    walk walk;
    int64_t size, piece; /* elements, and how many at a time */
    size_t bytes;
    const char *x;
    char *y;
} copying;

static void copy_pieces(void *c_, int i, int n) {
    const copying *c = c_;
    const int64_t pieces = (c->size + c->piece - 1) / c->piece, end = ag__share_start(pieces, i + 1, n) * c->piece;
    for (int64_t start = ag__share_start(pieces, i, n) * c->piece; start < end; start += c->piece)
        pack(c->y + start * (int64_t)c->bytes, c->x, &c->walk, start, ag__lesser(c->size - start, c->piece), c->bytes);
}

/* Whether the entry says so, and it can be true. */
static bool only_copies(const ag_tensor *t) {
    return t->op->flags & AG_OP_COPIES && t->arity == 1 && t->dtype == t->input[0]->dtype;
}

/* A copy is packed where it goes, in pieces of many rows, so that a transpose has its tiles. */
static void copy_all(ag_tensor *t) {
    const ag__layout *l = t->input[0]->layout;
    copying c = {.walk = walk_over(l->rank, l->extent, ag__strides(l)),
                 .size = l->size,
                 .bytes = ag__bytes(t),
                 .x = ag__values(t->input[0]),
                 .y = ag__values(t)};
    c.piece = AG__ROWS_COPIED * (c.walk.rank > 0 ? c.walk.extent[c.walk.rank - 1] : 1);
    if (c.piece < AG__LEAST_COPIED) c.piece = AG__LEAST_COPIED;
    ag__parallel(ag__worthwhile(c.size, t->tape->threads), copy_pieces, &c);
}

void ag__run_elementwise(ag_tensor *t) {
    int64_t size = t->layout->size;
    bool contiguous = true;
    const void *x[AG__MOST_INPUTS];
    if (only_copies(t)) {
        copy_all(t);
        return;
    }
    for (int i = 0; i < t->arity; i++) {
        contiguous = contiguous && t->input[i]->layout->contiguous;
        x[i] = ag__values(t->input[i]);
    }
    if (contiguous && size <= AG__STRIP) { /* most nodes of a small model */
        t->op->block[t->input[t->arity - 1]->dtype](size, ag__values(t), x, ag__attributes(t));
        return;
    }
    elementwise e;
    prepare(&e, t);
    ag__parallel(ag__worthwhile(size, t->tape->threads), run_strips, &e);
}

/* ---- Reductions ----
 *
 * y has `outputs` elements (the kept axes, row-major); each is the fold of `count` elements (the reduced axes). Both
 * ways below fold fixed blocks and join the blocks' results pairwise: ((0 1) (2 3)) ((4 5) 6). */

typedef struct reduction {
    const ag_reduction *op;
    ag_dtype dtype;
    size_t bytes;
    const char *x;
    char *y;
    walk kept, reduced;
    int64_t outputs, count;
    char *partial; /* results of blocks, where there are several */
} reduction;

static void reduction_prepare(reduction *r, const ag_tensor *t) {
    const ag_tensor *x = t->input[0];
    const ag_axes_set *set = ag__attributes(t);
    const int64_t *stride = ag__strides(x->layout);
    *r = (reduction){.op = t->op->reduction, .dtype = (ag_dtype)x->dtype, .bytes = ag__bytes(x)};
    r->x = ag__values(x);
    r->y = ag__values(t);
    for (int i = 0; i < x->layout->rank; i++)
        walk_add(set->mask & 1u << i ? &r->reduced : &r->kept, x->layout->extent[i], stride[i]);
    r->outputs = walk_size(&r->kept);
    r->count = walk_size(&r->reduced);
}

/* blocks results of n elements each, one after the other, joined pairwise into the first. */
void ag__join(const ag_reduction *op, int dtype, char *partial, int64_t blocks, int64_t n) {
    int64_t width = n * (int64_t)ag_dtype_size((ag_dtype)dtype);
    for (int64_t step = 1; step < blocks; step *= 2)
        for (int64_t i = 0; i + step < blocks; i += 2 * step)
            op->combine[dtype](n, partial + i * width, partial + (i + step) * width);
}

static int64_t blocks_of(int64_t n, int64_t block) { return (n + block - 1) / block; }

/* ---- Way 1: the elements of one output lie together, or are gathered: fold strips of them. ---- */

static void fold_block(const reduction *r, char *to, const char *x, int64_t block) {
    _Alignas(64) char strip[AG__STRIP * MOST_BYTES];
    int64_t start = block * AG__STRIP, n = ag__lesser(r->count - start, AG__STRIP);
    bool together = r->reduced.rank == 0 || (r->reduced.rank == 1 && r->reduced.stride[0] == 1);
    const char *from = x + start * (int64_t)r->bytes;
    if (!together) {
        pack(strip, x, &r->reduced, start, n, r->bytes);
        from = strip;
    }
    r->op->fold[r->dtype](n, to, from);
}

static void fold_output(const reduction *r, int64_t output, char *partial) {
    int64_t last, blocks = blocks_of(r->count, AG__STRIP);
    const char *x = r->x + walk_offset(&r->kept, output, &last) * (int64_t)r->bytes;
    char *y = r->y + output * (int64_t)r->bytes;
    if (blocks == 1) {
        fold_block(r, y, x, 0);
        return;
    }
    for (int64_t b = 0; b < blocks; b++) fold_block(r, partial + b * (int64_t)r->bytes, x, b);
    ag__join(r->op, (int)r->dtype, partial, blocks, 1);
    memcpy(y, partial, r->bytes);
}

typedef struct long_fold {
    const reduction *r;
    const char *x; /* the first element of its one output */
} long_fold;

static void fold_blocks(void *f_, int i, int n) {
    const long_fold *f = f_;
    const int64_t blocks = blocks_of(f->r->count, AG__STRIP), end = ag__share_start(blocks, i + 1, n);
    for (int64_t b = ag__share_start(blocks, i, n); b < end; b++)
        fold_block(f->r, f->r->partial + b * (int64_t)f->r->bytes, f->x, b);
}

/* One output from many elements: the threads share its blocks. */
static void fold_long(const reduction *r, int threads) {
    int64_t blocks = blocks_of(r->count, AG__STRIP), last;
    for (int64_t output = 0; output < r->outputs; output++) {
        long_fold f = {r, r->x + walk_offset(&r->kept, output, &last) * (int64_t)r->bytes};
        ag__parallel(threads, fold_blocks, &f);
        ag__join(r->op, (int)r->dtype, r->partial, blocks, 1);
        memcpy(r->y + output * (int64_t)r->bytes, r->partial, r->bytes);
    }
}

static void fold_outputs(void *r_, int i, int n) {
    const reduction *r = r_;
    const int64_t blocks = blocks_of(r->count, AG__STRIP), end = ag__share_start(r->outputs, i + 1, n);
    char *partial = r->partial ? r->partial + i * blocks * (int64_t)r->bytes : NULL;
    for (int64_t output = ag__share_start(r->outputs, i, n); output < end; output++) fold_output(r, output, partial);
}

/* ---- Way 2: many outputs at once. Either neighbours lie together in long runs: then fold rows of them, a group of
 * rows at a time. Or there are few rows, no more than a group: then pack each. ---- */

typedef struct columns { /* outputs are rows of `across`, cut into strips */
    bool packed;
    int64_t across, strips_a_row, strips, groups;
} columns;

static columns columns_of(const reduction *r) {
    int last = r->kept.rank - 1;
    bool packed = r->count <= AG__ROWS_A_GROUP && (r->kept.stride[last] != 1 || r->kept.extent[last] < AG__SHORT_RUN);
    int64_t across = packed ? r->outputs : r->kept.extent[last], a_row = blocks_of(across, AG__STRIP);
    return (columns){packed, across, a_row, r->outputs / across * a_row, blocks_of(r->count, AG__ROWS_A_GROUP)};
}

/* First output of a strip, and how many there are. */
static int64_t strip_start(const columns *c, int64_t strip, int64_t *n) {
    int64_t within = strip % c->strips_a_row * AG__STRIP;
    *n = ag__lesser(c->across - within, AG__STRIP);
    return strip / c->strips_a_row * c->across + within;
}

static void fold_packed(const reduction *r, const columns *c, int64_t strip) {
    _Alignas(64) char line[AG__STRIP * MOST_BYTES];
    int64_t n, last, output = strip_start(c, strip, &n);
    char *y = r->y + output * (int64_t)r->bytes;
    pack(y, r->x, &r->kept, output, n, r->bytes);
    for (int64_t row = 1; row < r->count; row++) {
        pack(line, r->x + walk_offset(&r->reduced, row, &last) * (int64_t)r->bytes, &r->kept, output, n, r->bytes);
        r->op->combine[r->dtype](n, y, line);
    }
}

static void fold_group(const reduction *r, const columns *c, int64_t strip, int64_t group) {
    if (c->packed) {
        fold_packed(r, c, strip);
        return;
    }
    int64_t n, last, output = strip_start(c, strip, &n), width = n * (int64_t)r->bytes;
    int64_t first = group * AG__ROWS_A_GROUP, end = ag__lesser(first + AG__ROWS_A_GROUP, r->count);
    const char *x = r->x + walk_offset(&r->kept, output, &last) * (int64_t)r->bytes;
    char *y = c->groups == 1 ? r->y + output * (int64_t)r->bytes
                             : r->partial + output * c->groups * (int64_t)r->bytes + group * width;
    memcpy(y, x + walk_offset(&r->reduced, first, &last) * (int64_t)r->bytes, (size_t)width);
    for (int64_t row = first + 1; row < end; row++)
        r->op->combine[r->dtype](n, y, x + walk_offset(&r->reduced, row, &last) * (int64_t)r->bytes);
}

static void join_groups(const reduction *r, const columns *c, int64_t strip) {
    int64_t n, output = strip_start(c, strip, &n);
    char *partial = r->partial + output * c->groups * (int64_t)r->bytes;
    ag__join(r->op, (int)r->dtype, partial, c->groups, n);
    memcpy(r->y + output * (int64_t)r->bytes, partial, (size_t)n * r->bytes);
}

typedef struct column_fold {
    const reduction *r;
    columns c;
} column_fold;

static void fold_groups(void *f_, int i, int n) {
    const column_fold *f = f_;
    const int64_t groups = f->c.groups, tasks = f->c.strips * groups, end = ag__share_start(tasks, i + 1, n);
    for (int64_t task = ag__share_start(tasks, i, n); task < end; task++)
        fold_group(f->r, &f->c, task / groups, task % groups);
}

static void fold_columns(const reduction *r, int threads) {
    column_fold f = {r, columns_of(r)};
    ag__parallel(threads, fold_groups, &f);
    if (f.c.groups > 1)
        for (int64_t strip = 0; strip < f.c.strips; strip++) join_groups(r, &f.c, strip);
}

/* ---- The choice of a way ---- */

static bool by_columns(const reduction *r) {
    const walk *k = &r->kept, *d = &r->reduced;
    if (d->rank == 0 || k->rank == 0) return false;
    if (r->count < AG__ROWS_A_GROUP && r->outputs >= AG__MANY_OUTPUTS)
        return true; /* as few as a fold takes one after the other */
    return d->stride[d->rank - 1] != 1 && k->stride[k->rank - 1] == 1 && k->extent[k->rank - 1] >= AG__FEWEST_COLUMNS;
}

static void fill_identity(const reduction *r) {
    for (int64_t i = 0; i < r->outputs; i++) ag__put_element(r->dtype, r->y, i, r->op->identity);
}

static size_t fold(reduction *r, ag_tape *tape) {
    int threads = ag__worthwhile(r->outputs * r->count, tape->threads);
    bool wide = by_columns(r), in_long = !wide && r->outputs < threads;
    int64_t blocks = blocks_of(r->count, wide ? AG__ROWS_A_GROUP : AG__STRIP);
    ag__buffer *partial = NULL;
    if (blocks > 1) {
        size_t bytes = ag__times(ag__times((uint64_t)blocks, (size_t)(wide ? r->outputs : threads)), r->bytes);
        if (!(partial = ag__buffer_new(tape, bytes))) return bytes;
        r->partial = partial->data;
    }
    if (wide) fold_columns(r, threads);
    else if (in_long) fold_long(r, threads);
    else ag__parallel(threads, fold_outputs, r);
    ag__buffer_drop(tape, partial);
    return 0;
}

size_t ag__run_reduction(ag_tensor *t) {
    reduction r;
    size_t lacking = 0;
    reduction_prepare(&r, t);
    if (r.outputs == 0) return 0;
    if (r.count == 0) fill_identity(&r);
    else lacking = fold(&r, t->tape);
    if (lacking == 0 && r.op->finish[r.dtype]) r.op->finish[r.dtype](r.outputs, r.y, r.count);
    return lacking;
}
