/* folds -- plain loops of reductions
 *
 * y has `outputs` elements (the kept axes); each is the fold of `count` elements (the reduced axes).
 * Both ways below fold fixed blocks, whatever the number of threads, and join the blocks' results pairwise: ((0 1)
 * (2 3)) ((4 5) 6). */
#include "autograd/eval/pack.h"
#include "autograd/eval/rows.h"
#include "autograd/tape/basis.h"

#include <stdlib.h>
#include <string.h>

typedef struct reduction {
    const ag_reduction *op;
    ag_dtype dtype;
    size_t bytes;
    const char *x;
    char *y;
    ag__walk kept, reduced; /* in the order of memory, whatever the order of the tensor's axes */
    ag__walk results;       /* `moved`: over the results as they are computed, in the order in which they are wanted */
    bool moved;
    int64_t outputs, count;
    char *partial; /* results of blocks, where there are several */
} reduction;

typedef struct axis {
    int64_t extent, stride;
    int number; /* among the kept ones */
} axis;

/* Put the axes in the order of memory: the one with the longest stride first. */
static void sort_axes(axis *a, int n) {
    for (int i = 1; i < n; i++) {
        const axis next = a[i];
        int j = i;
        for (; j > 0 && llabs(a[j - 1].stride) < llabs(next.stride); j--) a[j] = a[j - 1];
        a[j] = next;
    }
}

static void walk_along(ag__walk *w, const axis *a, int n) {
    w->rank = 0;
    for (int i = 0; i < n; i++) ag__walk_add(w, a[i].extent, a[i].stride);
}

/* The walk over results in the order of `kept`, which gives them in their own order; false if the two are the same. */
static bool walk_of_results(const axis *kept, int n, ag__walk *results) {
    int64_t extent[AG_MAX_RANK] = {0}, stride[AG_MAX_RANK] = {0}, step = 1;
    bool same = true;
    for (int i = n - 1; i >= 0; step *= kept[i--].extent) {
        extent[kept[i].number] = kept[i].extent;
        stride[kept[i].number] = step;
        same = same && kept[i].number == i;
    }
    ag__walk_set(results, n, extent, stride);
    return !same;
}

static void reduction_prepare(reduction *r, const ag_tensor *t) {
    const ag_tensor *x = t->input[0];
    const ag_axes_set *set = ag__attributes(t);
    const int64_t *stride = ag__strides(x->layout);
    axis kept[AG_MAX_RANK], reduced[AG_MAX_RANK];
    int keeps = 0, reduces = 0;
    r->op = t->op->reduction, r->dtype = (ag_dtype)x->dtype, r->bytes = ag__bytes(x);
    r->x = ag__values(x), r->y = ag__values(t), r->partial = NULL;
    for (int i = 0; i < x->layout->rank; i++) {
        const axis a = {x->layout->extent[i], stride[i], keeps};
        if (a.extent == 1) continue;
        if (set->mask & 1u << i) reduced[reduces++] = a;
        else kept[keeps++] = a;
    }
    sort_axes(kept, keeps);
    sort_axes(reduced, reduces);
    walk_along(&r->kept, kept, keeps);
    walk_along(&r->reduced, reduced, reduces);
    r->moved = walk_of_results(kept, keeps, &r->results);
    r->outputs = ag__walk_size(&r->kept);
    r->count = ag__walk_size(&r->reduced);
}

void ag__join(const ag_reduction *op, int dtype, char *partial, int64_t blocks, int64_t n) {
    int64_t width = n * (int64_t)ag_dtype_size((ag_dtype)dtype);
    for (int64_t step = 1; step < blocks; step *= 2)
        for (int64_t i = 0; i + step < blocks; i += 2 * step)
            op->combine[dtype](n, partial + i * width, partial + (i + step) * width);
}

static int64_t blocks_of(int64_t n, int64_t block) { return (n + block - 1) / block; }

/* ---- Way 1: the elements of one output lie together, or are gathered: fold strips of them. ---- */

static void fold_block(const reduction *r, char *to, const char *x, int64_t block) {
    _Alignas(64) char strip[AG__STRIP * AG__MOST_BYTES];
    int64_t start = block * AG__STRIP, n = ag__lesser(r->count - start, AG__STRIP);
    bool together = r->reduced.rank == 0 || (r->reduced.rank == 1 && r->reduced.stride[0] == 1);
    const char *from = x + start * (int64_t)r->bytes;
    if (!together) {
        ag__pack_walk(strip, x, &r->reduced, start, n, r->bytes);
        from = strip;
    }
    r->op->fold[r->dtype](n, to, from);
}

static void fold_output(const reduction *r, int64_t output, char *partial) {
    int64_t last, blocks = blocks_of(r->count, AG__STRIP);
    const char *x = r->x + ag__walk_offset(&r->kept, output, &last) * (int64_t)r->bytes;
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

static AG__RARE void fold_blocks(void *f_, int i, int n) {
    const long_fold *f = f_;
    const int64_t blocks = blocks_of(f->r->count, AG__STRIP), end = ag__share_start(blocks, i + 1, n);
    for (int64_t b = ag__share_start(blocks, i, n); b < end; b++)
        fold_block(f->r, f->r->partial + b * (int64_t)f->r->bytes, f->x, b);
}

/* One output from many elements: the threads share its blocks. */
static AG__RARE void fold_long(const reduction *r, int threads) {
    int64_t blocks = blocks_of(r->count, AG__STRIP), last;
    for (int64_t output = 0; output < r->outputs; output++) {
        long_fold f = {r, r->x + ag__walk_offset(&r->kept, output, &last) * (int64_t)r->bytes};
        ag__parallel(threads, fold_blocks, &f);
        ag__join(r->op, (int)r->dtype, r->partial, blocks, 1);
        memcpy(r->y + output * (int64_t)r->bytes, r->partial, r->bytes);
    }
}

/* ---- The same for a few outputs whose elements alternate: strips of them are turned into rows. ---- */

enum { MOST_ALTERNATE = 4 }; /* of the longest elements */

/* How many outputs' elements alternate; 1: no two do. */
static int64_t alternating(const reduction *r) {
    const int last = r->kept.rank - 1;
    if (last < 0 || r->reduced.rank != 1 || r->kept.stride[last] != 1) return 1;
    const int64_t n = r->kept.extent[last];
    return n * (int64_t)r->bytes <= MOST_ALTERNATE * AG__MOST_BYTES && r->reduced.stride[0] == n ? n : 1;
}

static AG__RARE void fold_alternating(const reduction *r, int64_t output, int64_t n, char *partial) {
    _Alignas(64) char strip[MOST_ALTERNATE * AG__STRIP * AG__MOST_BYTES];
    const int64_t bytes = (int64_t)r->bytes, blocks = blocks_of(r->count, AG__STRIP);
    int64_t last;
    const char *x = r->x + ag__walk_offset(&r->kept, output, &last) * bytes;
    char *y = blocks == 1 ? r->y + output * bytes : partial;
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t m = ag__lesser(r->count - b * AG__STRIP, AG__STRIP);
        ag__turn(strip, x + b * AG__STRIP * n * bytes, m, n, r->bytes);
        for (int64_t j = 0; j < n; j++) r->op->fold[r->dtype](m, y + (b * n + j) * bytes, strip + j * m * bytes);
    }
    if (blocks == 1) return;
    ag__join(r->op, (int)r->dtype, partial, blocks, n);
    memcpy(r->y + output * bytes, partial, (size_t)(n * bytes));
}

static void fold_outputs(void *r_, int i, int n) {
    const reduction *r = r_;
    const int64_t blocks = blocks_of(r->count, AG__STRIP), some = alternating(r), groups = r->outputs / some;
    const int64_t end = ag__share_start(groups, i + 1, n);
    char *partial = r->partial ? r->partial + i * blocks * some * (int64_t)r->bytes : NULL;
    for (int64_t group = ag__share_start(groups, i, n); group < end; group++) {
        if (some > 1) fold_alternating(r, group * some, some, partial);
        else fold_output(r, group, partial);
    }
}

/* ---- Way 2: many outputs at once. Either neighbours lie together in long runs: then fold rows of them, a group of
 * rows at a time. Or each has few elements, no more than a group has rows: then pack these rows, or turn short rows
 * into columns if an output's elements are nearer to each other than the outputs are. ---- */

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

static bool is_nearer(const reduction *r) {
    return r->reduced.rank == 1 && ag__is_short(r->count) &&
           llabs(r->reduced.stride[r->reduced.rank - 1]) < llabs(r->kept.stride[r->kept.rank - 1]);
}

/* n outputs from this one on, each with its elements one after the other, of which a strip is packed at a time. */
static AG__RARE void fold_turned(const reduction *r, int64_t output, int64_t n) {
    _Alignas(64) char line[AG__STRIP * AG__MOST_BYTES];
    const int64_t bytes = (int64_t)r->bytes, most = AG__STRIP / r->count;
    ag__walk all = r->kept;
    for (int i = 0; i < r->reduced.rank; i++) ag__walk_add(&all, r->reduced.extent[i], r->reduced.stride[i]);
    const bool together = all.rank == 1 && all.stride[0] == 1;
    for (int64_t end = output + n, some; output < end; output += some) {
        const char *x = r->x + output * r->count * bytes;
        some = together ? end - output : ag__lesser(end - output, most);
        if (!together) ag__pack_walk(line, r->x, &all, output * r->count, some * r->count, r->bytes), x = line;
        ag__fold_short(r->op, (int)r->dtype, some, r->count, r->y + output * bytes, x);
    }
}

/* The element `row` of each output's, from the first; by one multiplication if they are at equal distances. */
static inline const char *row_of(const reduction *r, const char *first, int64_t row) {
    const ag__walk *w = &r->reduced;
    int64_t last;
    return first + (w->rank == 1 ? row * w->stride[0] : ag__walk_offset(w, row, &last)) * (int64_t)r->bytes;
}

static AG__RARE void fold_packed(const reduction *r, const columns *c, int64_t strip) {
    _Alignas(64) char line[AG__STRIP * AG__MOST_BYTES];
    int64_t n, output = strip_start(c, strip, &n);
    char *y = r->y + output * (int64_t)r->bytes;
    if (is_nearer(r)) {
        fold_turned(r, output, n);
        return;
    }
    ag__pack_walk(y, r->x, &r->kept, output, n, r->bytes);
    for (int64_t row = 1; row < r->count; row++) {
        ag__pack_walk(line, row_of(r, r->x, row), &r->kept, output, n, r->bytes);
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
    const char *x = r->x + ag__walk_offset(&r->kept, output, &last) * (int64_t)r->bytes;
    char *y = c->groups == 1 ? r->y + output * (int64_t)r->bytes
                             : r->partial + output * c->groups * (int64_t)r->bytes + group * width;
    memcpy(y, row_of(r, x, first), (size_t)width);
    const int64_t across = r->reduced.stride[0] * (int64_t)r->bytes;
    for (int64_t row = first + 1, rows; row < end; row += rows) {
        rows = r->reduced.rank == 1 ? end - row : 1;
        ag__combine_rows(r->op->combine[r->dtype], n, y, row_of(r, x, row), rows, across);
    }
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
    const ag__walk *k = &r->kept, *d = &r->reduced;
    if (d->rank == 0 || k->rank == 0) return false;
    if (r->count < AG__ROWS_A_GROUP && r->outputs >= AG__MANY_OUTPUTS)
        return true; /* as few as a fold takes one after the other */
    return d->stride[d->rank - 1] != 1 && k->stride[k->rank - 1] == 1 && k->extent[k->rank - 1] >= AG__FEWEST_COLUMNS;
}

static AG__RARE void fill_identity(const reduction *r) {
    for (int64_t i = 0; i < r->outputs; i++) ag__put_element(r->dtype, r->y, i, r->op->identity);
}

static AG__RARE void copy_share(void *r_, int i, int n) {
    const reduction *r = r_;
    const int64_t start = ag__share_start(r->outputs, i, n), end = ag__share_start(r->outputs, i + 1, n);
    ag__pack_walk(r->y + start * (int64_t)r->bytes, r->x, &r->kept, start, end - start, r->bytes);
}

static size_t fold(reduction *r, ag_tape *tape) {
    int threads = ag__worthwhile_on(tape, r->outputs * r->count);
    bool wide = by_columns(r), in_long = !wide && r->outputs < threads;
    int64_t blocks = blocks_of(r->count, wide ? AG__ROWS_A_GROUP : AG__STRIP);
    ag__buffer *partial = NULL;
    if (blocks > 1) {
        size_t bytes =
            ag__times(ag__times((uint64_t)blocks, (size_t)(wide ? r->outputs : threads * alternating(r))), r->bytes);
        if (!(partial = ag__buffer_new(tape, bytes))) return bytes;
        r->partial = partial->data;
    }
    if (r->count == 1) ag__parallel(threads, copy_share, r);
    else if (wide) fold_columns(r, threads);
    else if (in_long) fold_long(r, threads);
    else ag__parallel(threads, fold_outputs, r);
    ag__buffer_drop(tape, partial);
    return 0;
}

AG__RARE void ag__fold_interleaved(const ag_tensor *t, int64_t rows, int64_t n, int64_t across, char *y,
                                   const char *x) {
    _Alignas(64) char partial[AG__STRIP * AG__MOST_BYTES];
    const int64_t groups = blocks_of(n, AG__ROWS_A_GROUP), bytes = (int64_t)ag__bytes(t);
    reduction r = {.op = t->op->reduction, .dtype = (ag_dtype)t->dtype, .bytes = (size_t)bytes, .partial = partial};
    r.reduced = (ag__walk){1, {n}, {across}};
    r.count = n;
    for (int64_t i = 0, some; i < rows; i += some) {
        some = ag__lesser(rows - i, AG__STRIP / groups);
        const columns c = {false, some, 1, 1, groups};
        r.x = x + i * bytes, r.y = y + i * bytes;
        r.kept = (ag__walk){1, {some}, {1}};
        for (int64_t group = 0; group < groups; group++) fold_group(&r, &c, 0, group);
        if (groups > 1) join_groups(&r, &c, 0);
    }
}

/* Into memory of its own, from which the results are put in their order. */
static AG__RARE size_t fold_moved(reduction *r, ag_tape *tape) {
    const size_t bytes = ag__times((uint64_t)r->outputs, r->bytes);
    ag__buffer *memory = ag__buffer_new(tape, bytes);
    if (!memory) return bytes;
    char *y = r->y;
    r->y = memory->data;
    const size_t lacking = fold(r, tape);
    if (lacking == 0) ag__pack_walk(y, r->y, &r->results, 0, r->outputs, r->bytes);
    r->y = y;
    ag__buffer_drop(tape, memory);
    return lacking;
}

size_t ag__run_reduction(ag_tensor *t) {
    reduction r;
    size_t lacking = 0;
    reduction_prepare(&r, t);
    if (r.outputs == 0) return 0;
    if (r.count == 0) fill_identity(&r);
    else lacking = r.moved ? fold_moved(&r, t->tape) : fold(&r, t->tape);
    if (lacking == 0 && r.op->finish[r.dtype]) r.op->finish[r.dtype](r.outputs, r.y, r.count);
    return lacking;
}
