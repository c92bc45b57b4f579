/* fused -- the evaluator that runs plans: regions strip by strip, other operations one by one
 *
 * How the work is divided depends on shapes only, and pieces are joined in a fixed order, so results are the same bits
 * for any number of threads, and those of the reference evaluator but for sums over everything in a large region of rows
 * and for large sums with products. */
#include "autograd/eval/compile.h"
#include "autograd/eval/plan.h"

#include <string.h>

/* ---- One strip ---- */

typedef struct position {
    int64_t row, rows, column, columns, start, n;
} position;

typedef struct running {
    const ag__plan *plan;
    const ag__region *region;
    const ag__cell *cell;
    ag_tensor *const *table;
    char *const *base;             /* of each cell: memory of its tensor */
    char *const *partial;          /* of each fold that is finished after the last strip */
    const void *const *attributes; /* for machine code */
    const uintptr_t *step;         /* of each cell's address, from a row to the next */
    int64_t strips_a_row;
} running;

static void fill(char *y, const char *x, int64_t n, int bytes) {
    uint32_t word;
    uint64_t wide;
    switch (bytes) {
    case 1: memset(y, *(const unsigned char *)x, (size_t)n); break;
    case 4:
        memcpy(&word, x, sizeof word);
        for (int64_t i = 0; i < n; i++) ((uint32_t *)(void *)y)[i] = word;
        break;
    default:
        memcpy(&wide, x, sizeof wide);
        for (int64_t i = 0; i < n; i++) ((uint64_t *)(void *)y)[i] = wide;
        break;
    }
}

/* y = the fold of n elements, block by block: what the reference evaluator does. */
static void fold(const ag_reduction *op, int dtype, int64_t n, char *y, const char *x) {
    enum { MOST_BLOCKS = AG__MOST_ROW / AG__STRIP, MOST_BYTES = 8 };
    if (n <= AG__STRIP) {
        op->fold[dtype](n, y, x);
        return;
    }
    _Alignas(8) char partial[MOST_BLOCKS * MOST_BYTES];
    int64_t bytes = (int64_t)ag_dtype_size((ag_dtype)dtype), blocks = 0;
    for (int64_t i = 0; i < n; i += AG__STRIP, blocks++)
        op->fold[dtype](n - i < AG__STRIP ? n - i : AG__STRIP, partial + blocks * bytes, x + i * bytes);
    ag__join(op, dtype, partial, blocks, 1);
    memcpy(y, partial, (size_t)bytes);
}

/* Where the partial folds of a row's group begin, in elements. */
static int64_t fold_offset(const running *r, int64_t row, int64_t column) {
    return row / AG__ROWS_A_GROUP * r->region->columns + column;
}

static void start_folds(const ag_tensor *t, char *y, int64_t n) {
    double neutral = t->op->reduction->join->neutral;
    float single = (float)neutral;
    fill(y, t->dtype == AG_F32 ? (char *)&single : (char *)&neutral, n, (int)ag__bytes(t));
}

static void fold_down(const running *r, const ag__instruction *q, const position *at, const char *x) {
    const ag_tensor *t = r->table[q->node];
    const ag_reduction *op = t->op->reduction;
    int64_t bytes = (int64_t)ag__bytes(t);
    for (int64_t i = 0; i < at->rows; i++, x += at->columns * bytes) {
        int64_t row = at->row + i;
        char *y = r->partial[q->y] + fold_offset(r, row, at->column) * bytes;
        if (row % AG__ROWS_A_GROUP == 0) memcpy(y, x, (size_t)(at->columns * bytes));
        else op->combine[t->dtype](at->columns, y, x);
    }
}

static void pack_strip(const ag_tensor *t, char *y, int64_t start, int64_t n) {
    ag_array from = ag__array_of(t);
    ag__pack(y, &from, start, n);
}

/* y = the fold of the lanes, joined pairwise; x is not needed any more. */
static void fold_lanes(const ag_reduction *op, int dtype, int64_t count, char *y, const char *x) {
    char *lane = (char *)(uintptr_t)x;
    size_t bytes = ag_dtype_size((ag_dtype)dtype);
    for (int64_t half = AG__LANES / 2; half > 0; half /= 2) op->combine[dtype](half, lane, lane + (size_t)half * bytes);
    memcpy(y, lane, bytes);
    if (op->finish[dtype]) op->finish[dtype](1, y, count);
}

static void run_folds(const running *r, const ag__instruction *q, const position *at, const ag_tensor *t, char *y,
                      const char *x) {
    const ag_reduction *op = t->op->reduction;
    int64_t bytes = (int64_t)ag__bytes(t), strip;
    switch (q->does) {
    case AG__FOLD_ROWS:
        for (int64_t i = 0; i < at->rows; i++)
            fold(op, t->dtype, at->columns, y + i * bytes, x + i * at->columns * bytes);
        if (op->finish[t->dtype]) op->finish[t->dtype](at->rows, y, at->columns);
        break;
    case AG__FOLD_LANES: fold_lanes(op, t->dtype, at->columns, y, x); break;
    case AG__START_DOWN:
        if (at->row % AG__ROWS_A_GROUP == 0) start_folds(t, y, at->columns);
        break;
    case AG__START_LANES: start_folds(t, y, AG__LANES); break;
    case AG__FOLD_DOWN: fold_down(r, q, at, x); break;
    default:
        strip = r->region->form == AG__FLAT   ? at->start / AG__STRIP
                : r->region->form == AG__ROWS ? at->row / r->region->tile
                                              : at->row * r->strips_a_row + at->column / AG__STRIP;
        fold(op, t->dtype, at->n, r->partial[q->y] + strip * bytes, x);
        break;
    }
}

static void run_fetch(const ag__instruction *q, const position *at, const ag_tensor *t, char *y, const char *x) {
    int bytes = (int)ag__bytes(t);
    switch (q->does) {
    case AG__FILL: fill(y, ag__values(t), at->n, bytes); break;
    case AG__FILL_ROWS: fill(y, ag__values(t), at->rows, bytes); break;
    case AG__REPEAT:
        for (int64_t i = 0; i < at->rows; i++)
            memcpy(y + i * at->columns * bytes, ag__values(t), (size_t)(at->columns * bytes));
        break;
    case AG__SPREAD:
        for (int64_t i = 0; i < at->rows; i++) fill(y + i * at->columns * bytes, x + i * bytes, at->columns, bytes);
        break;
    case AG__PACK: pack_strip(t, y, at->start, at->n); break;
    default: pack_strip(t, y, at->row, at->rows); break;
    }
}

static void run_instruction(const running *r, const ag__instruction *q, const position *at, char *const *p) {
    if (q->does == AG__RUN || q->does == AG__RUN_ROWS) {
        ag__code *code = ((ag__code *const *)r->plan->codes.data)[q->node];
        code(q->does == AG__RUN ? at->n : at->rows, (void *const *)p, r->attributes + q->attribute);
        return;
    }
    const ag_tensor *t = r->table[q->node];
    const uint32_t *in = ag__numbers(&r->plan->operands, q->x);
    const uint32_t first = r->region->cell;
    const void *x[AG__MOST_INPUTS];
    for (int i = 0; i < q->inputs; i++) x[i] = p[in[i] - first];
    char *y = q->does < AG__RUN ? p[q->y - first] : NULL;
    switch (q->does) {
    case AG__MAP: t->op->block[q->dtype](at->n, y, x, ag__attributes(t)); break;
    case AG__MAP_ROWS: t->op->block[q->dtype](at->rows, y, x, ag__attributes(t)); break;
    case AG__FOLD_ROWS:
    case AG__FOLD_LANES:
    case AG__START_DOWN:
    case AG__START_LANES:
    case AG__FOLD_ALL:
    case AG__FOLD_LONG:
    case AG__FOLD_DOWN: run_folds(r, q, at, t, y, x[0]); break;
    case AG__FOLDED_DOWN: break;
    default: run_fetch(q, at, t, y, x[0]); break;
    }
}

/* Addresses of the cells in this strip. */
static void aim(const running *r, const position *at, char *scratch, char **p) {
    for (uint32_t i = 0; i < r->region->cells; i++) {
        const ag__cell *s = &r->cell[i];
        switch (s->where) {
        case AG__AT_NOTHING: break;
        case AG__AT_TEMP: p[i] = scratch + (size_t)s->temp * 64; break;
        case AG__AT_ONE: p[i] = r->base[i]; break;
        case AG__AT_ELEMENT: p[i] = r->base[i] + at->start * s->bytes; break;
        case AG__AT_COLUMN: p[i] = r->base[i] + at->column * s->bytes; break;
        case AG__AT_ROW: p[i] = r->base[i] + at->row * s->bytes; break;
        default: p[i] = r->partial[s->temp] + fold_offset(r, at->row, at->column) * s->bytes; break;
        }
    }
}

static void run_aimed(const running *r, const position *at, char **p) {
    const ag__instruction *q = (const ag__instruction *)r->plan->instructions.data + r->region->begin;
    for (uint32_t k = 0; k < r->region->count; k++) run_instruction(r, q + k, at, p);
}

static void run_strip(const running *r, const position *at, char *scratch, char **p) {
    aim(r, at, scratch, p);
    run_aimed(r, at, p);
}

/* Strips of one row each, from `first` on, in the same columns: the addresses move along. */
static void run_rows_below(const running *r, position at, int64_t end, char *scratch, char **p) {
    for (int64_t row = at.row; row < end; row++, at.start += r->region->columns) {
        at.row = row;
        if (row % AG__ROWS_A_GROUP == 0 || p[r->region->cells] == NULL) {
            aim(r, &at, scratch, p);
            p[r->region->cells] = scratch;
        } else {
            for (uint32_t i = 0; i < r->region->cells; i++) p[i] = (char *)((uintptr_t)p[i] + r->step[i]);
        }
        run_aimed(r, &at, p);
    }
    p[r->region->cells] = NULL;
}

static void prepare_for(const running *r, const position *at, char *scratch, char **p) {
    const ag__region *g = r->region;
    const ag__instruction *q = (const ag__instruction *)r->plan->instructions.data + g->once;
    p[g->cells] = NULL;
    if (g->prepares) aim(r, at, scratch, p);
    for (uint32_t k = 0; k < g->prepares; k++) run_instruction(r, q + k, at, p);
}

static void prepare(const running *r, char *scratch, char **p) {
    const ag__region *g = r->region;
    int64_t n = g->form == AG__ROWS ? g->tile * g->columns : g->size < AG__STRIP ? g->size : AG__STRIP;
    position at = {.rows = g->tile, .columns = g->form == AG__ROWS ? g->columns : n, .n = n};
    prepare_for(r, &at, scratch, p);
}

/* ---- All strips ----
 *
 * The unit of the division over threads is a strip; a group of rows where columns are folded. */

static int64_t units_of(const ag__region *g, int64_t *rows_a_unit) {
    *rows_a_unit = 0;
    if (g->form == AG__FLAT) return (g->size + AG__STRIP - 1) / AG__STRIP;
    *rows_a_unit = g->down && g->tile < AG__ROWS_A_GROUP ? AG__ROWS_A_GROUP : g->tile;
    return (g->rows + *rows_a_unit - 1) / *rows_a_unit;
}

static void run_rows(const running *r, int64_t first, int64_t end, char *scratch, char **p) {
    const ag__region *g = r->region;
    int64_t width = g->form == AG__ROWS ? g->columns : AG__STRIP;
    if (g->form == AG__ROWS && g->tile == 1) {
        position at = {.row = first, .rows = 1, .columns = width, .start = first * width, .n = width};
        run_rows_below(r, at, end, scratch, p);
        return;
    }
    for (int64_t row = first; row < end; row += g->tile) {
        for (int64_t column = 0; column < g->columns; column += width) {
            position at = {.row = row,
                           .rows = ag__lesser(g->tile, end - row),
                           .column = column,
                           .columns = ag__lesser(width, g->columns - column),
                           .start = row * g->columns + column};
            at.n = at.rows * at.columns;
            run_strip(r, &at, scratch, p);
        }
    }
}

static void run_unit(const running *r, int64_t unit, int64_t rows_a_unit, char *scratch, char **p) {
    const ag__region *g = r->region;
    if (rows_a_unit) {
        run_rows(r, unit * rows_a_unit, ag__lesser((unit + 1) * rows_a_unit, g->rows), scratch, p);
    } else {
        int64_t start = unit * AG__STRIP, n = ag__lesser(AG__STRIP, g->size - start);
        run_strip(r, &(position){.rows = 1, .columns = n, .start = start, .n = n}, scratch, p);
    }
}

/* What a region's run needs besides its outputs, in one buffer: addresses, their steps, attributes, partial folds; then
 * scratch memory for each share. */
typedef struct bound {
    running r;
    ag__buffer *memory;
    char *scratch; /* of the first share */
    size_t each;   /* bytes of it */
} bound;

static void run_share(void *b_, int i, int n) {
    const bound *b = b_;
    const running *r = &b->r;
    int64_t rows_a_unit, units = units_of(r->region, &rows_a_unit), end = ag__share_start(units, i + 1, n);
    char *scratch = b->scratch + (size_t)i * b->each, **p = (char **)(void *)(scratch + (size_t)r->region->temps * 64);
    prepare(r, scratch, p);
    for (int64_t unit = ag__share_start(units, i, n); unit < end; unit++) run_unit(r, unit, rows_a_unit, scratch, p);
}

/* ---- A region ---- */

static int64_t partials_of(const ag__region *g, int does) {
    int64_t rows_a_unit, units = units_of(g, &rows_a_unit);
    if (does >= AG__FOLD_DOWN) return (g->rows + AG__ROWS_A_GROUP - 1) / AG__ROWS_A_GROUP;
    if (g->form == AG__FLAT) return units;
    if (g->form == AG__ROWS) return (g->rows + g->tile - 1) / g->tile;
    return g->rows * ((g->columns + AG__STRIP - 1) / AG__STRIP);
}

/* The instructions that are finished after the last strip, in the order of their numbers. */
static const ag__instruction *next_fold(const ag__plan *plan, const ag__region *g, uint32_t *k) {
    const ag__instruction *q = (const ag__instruction *)plan->instructions.data + g->begin;
    while (*k < g->count && q[*k].does < AG__FOLD_ALL) ++*k;
    return *k < g->count ? &q[(*k)++] : NULL;
}

static void finish_fold(const ag__region *g, const ag__instruction *q, ag_tensor *t, char *partial) {
    const ag_reduction *op = t->op->reduction;
    int64_t n = partials_of(g, q->does), size = t->layout->size, count = g->size / size;
    char *y = ag__values(t);
    size_t bytes = ag__bytes(t);
    if (q->does == AG__FOLD_LONG) {
        int64_t each = n / size;
        for (int64_t i = 0; i < size; i++) {
            ag__join(op, t->dtype, partial + (size_t)(i * each) * bytes, each, 1);
            memcpy(y + (size_t)i * bytes, partial + (size_t)(i * each) * bytes, bytes);
        }
    } else {
        ag__join(op, t->dtype, partial, n, size);
        memcpy(y, partial, (size_t)size * bytes);
    }
    if (op->finish[t->dtype]) op->finish[t->dtype](size, y, count);
}

/* The buffer of an input that nobody reads after this step, for its result y; NULL if there is none. In the sweep before a
 * rewind, all buffers are chosen before it is known who shows them: only the value of a variable is taken over. */
static ag__buffer *taken_over(const ag__chunk_nodes *c, const ag__plan *plan, uint32_t output, const ag_tensor *y) {
    enum { STAYS = AG__LEAF | AG__KEEP | AG__VARIABLE };
    const uint32_t *reuse = ag__numbers(&plan->reuse, 2 * (size_t)output);
    ag_tensor *x = reuse[0] == AG__NOWHERE ? NULL : c->table[reuse[0]];
    if (!x || !x->buffer || x->live != reuse[1] || x->offset != 0) return NULL;
    if (c->evaluation->when == AG__FINAL) {
        if (!ag__may_overwrite(c->evaluation, x, y)) return NULL;
    } else if (reuse[0] >= plan->nodes || x->flags & STAYS || x->buffer->refs != 1) {
        return NULL;
    }
    x->buffer->refs++;
    return x->buffer;
}

static bool make_outputs(const ag__chunk_nodes *c, const ag__plan *plan, const ag__region *g) {
    const uint32_t *out = ag__numbers(&plan->outputs, g->output);
    for (uint32_t i = 0; i < g->outputs; i++) {
        ag_tensor *t = c->table[out[i]];
        size_t bytes = (size_t)t->layout->size * ag__bytes(t);
        if (t->buffer) continue;
        if ((t->buffer = taken_over(c, plan, g->output + i, t)) != NULL) continue;
        if ((t->buffer = ag__buffer_new(t->tape, bytes)) != NULL) continue;
        ag__no_memory(t, bytes);
        while (i-- > 0) {
            ag__buffer_drop(t->tape, c->table[out[i]]->buffer);
            c->table[out[i]]->buffer = NULL;
        }
        return false;
    }
    return true;
}

static void drop_outputs(const ag__plan *plan, const ag__region *g, ag_tensor **table) {
    const uint32_t *out = ag__numbers(&plan->outputs, g->output);
    for (uint32_t i = 0; i < g->outputs; i++) {
        ag__buffer_drop(table[out[i]]->tape, table[out[i]]->buffer);
        table[out[i]]->buffer = NULL;
    }
}

static size_t rounded(size_t bytes) { return ag__rounded(bytes, 64); }

/* Not a whole number of pages: a load that follows a store to the same place of another page waits for it. */
static size_t apart(size_t bytes) { return ag__plus(rounded(bytes), 320); }

static size_t fold_bytes(const ag__plan *plan, const ag__region *g, ag_tensor *const *table) {
    size_t bytes = 0;
    uint32_t k = 0;
    for (const ag__instruction *q; (q = next_fold(plan, g, &k)) != NULL;) {
        int64_t n = partials_of(g, q->does) * (q->does < AG__FOLD_DOWN ? 1 : g->columns);
        bytes = ag__plus(bytes, apart(ag__times((size_t)n, ag__bytes(table[q->node]))));
    }
    return bytes;
}

static void place_folds(const ag__plan *plan, const ag__region *g, ag_tensor *const *table, char *at, char **partial) {
    uint32_t k = 0;
    for (const ag__instruction *q; (q = next_fold(plan, g, &k)) != NULL;) {
        int64_t n = partials_of(g, q->does) * (q->does < AG__FOLD_DOWN ? 1 : g->columns);
        partial[q->y] = at;
        at += apart((size_t)n * ag__bytes(table[q->node]));
    }
}

static void bind_cells(const bound *b, char **base, uintptr_t *step) {
    const ag__region *g = b->r.region;
    for (uint32_t i = 0; i < g->cells; i++) {
        const ag__cell *cell = &b->r.cell[i];
        base[i] = NULL;
        step[i] = 0;
        if (cell->where < AG__AT_ONE || cell->where == AG__AT_FOLD) continue;
        base[i] = ag__values(b->r.table[cell->place]);
        if (cell->where == AG__AT_ELEMENT) step[i] = (uintptr_t)g->columns * cell->bytes;
        if (cell->where == AG__AT_ROW) step[i] = cell->bytes;
    }
}

static size_t head_bytes(const ag__region *g) {
    return rounded((2 * (size_t)g->cells + g->folds + g->attributes) * sizeof(char *));
}

static size_t thread_bytes(const ag__region *g) {
    return rounded((size_t)g->temps * 64 + (g->cells + 1) * sizeof(char *));
}

static size_t run_bytes(const ag__chunk_nodes *c, const ag__plan *plan, const ag__region *g, int threads) {
    size_t bytes = ag__plus(head_bytes(g) + thread_bytes(g) * (size_t)threads + 64, fold_bytes(plan, g, c->table));
    return bytes < c->least ? c->least : bytes;
}

/* False, with an error, for want of memory. */
static bool bind(bound *b, const ag__chunk_nodes *c, const ag__plan *plan, const ag__region *g, int threads) {
    size_t head = head_bytes(g), folds = fold_bytes(plan, g, c->table), bytes = run_bytes(c, plan, g, threads);
    b->each = thread_bytes(g);
    b->memory = ag__buffer_new(c->tape, bytes);
    if (!b->memory)
        return ag__no_memory(c->table[((const ag__instruction *)plan->instructions.data)[g->begin].node], bytes);
    char *start = (char *)(((uintptr_t)b->memory->data + 63) & ~(uintptr_t)63);
    char **base = (char **)(void *)start, **partial = base + g->cells;
    uintptr_t *step = (uintptr_t *)(void *)(partial + g->folds);
    const void **attributes = (const void **)(void *)(step + g->cells);
    const uint32_t *place = ag__numbers(&plan->attributes, g->attribute);
    b->scratch = start + head + folds;
    b->r = (running){.plan = plan,
                     .region = g,
                     .cell = (const ag__cell *)plan->cells.data + g->cell,
                     .table = c->table,
                     .base = base,
                     .partial = partial,
                     .attributes = attributes,
                     .step = step,
                     .strips_a_row = (g->columns + AG__STRIP - 1) / AG__STRIP};
    for (uint32_t i = 0; i < g->attributes; i++) attributes[i] = ag__attributes(c->table[place[i]]);
    bind_cells(b, base, step);
    place_folds(plan, g, c->table, start + head, partial);
    return true;
}

static bool run_region(const ag__chunk_nodes *c, const ag__plan *plan, const ag__region *g) {
    int threads = ag__worthwhile(g->work, c->tape->threads);
    bound b;
    if (!make_outputs(c, plan, g)) return false;
    if (!bind(&b, c, plan, g, threads)) {
        drop_outputs(plan, g, c->table);
        return false;
    }
    ag__parallel(threads, run_share, &b);
    uint32_t k = 0;
    for (const ag__instruction *q; (q = next_fold(plan, g, &k)) != NULL;)
        finish_fold(g, q, c->table[q->node], b.r.partial[q->y]);
    ag__buffer_drop(c->tape, b.memory);
    return true;
}

/* ---- Steps ---- */

/* The result of t, which is a sum with a product, goes where the other summand was. */
static bool run_sum(const ag__chunk_nodes *c, const ag__plan *plan, const ag__plan_step *step) {
    const uint32_t *member = ag__numbers(&plan->members, 2 * (size_t)step->member);
    ag_tensor *u = c->table[step->onto], *sum = c->table[member[2]];
    bool good = ag__accumulate(c->table[step->what], u->buffer);
    if (good) sum->buffer = u->buffer;
    else ag__buffer_drop(u->tape, u->buffer); /* it may be half a sum: it will have to be computed again */
    u->buffer = NULL;
    return good;
}

static bool run_step(const ag__chunk_nodes *c, const ag__plan *plan, const ag__plan_step *step) {
    switch (step->kind) {
    case AG__STEP_NODE: return ag__compute(c->table[step->what]);
    case AG__STEP_ADD: return run_sum(c, plan, step);
    case AG__STEP_REGION: return run_region(c, plan, (const ag__region *)plan->regions.data + step->what);
    default: return true;
    }
}

static bool run_reported_step(const ag__chunk_nodes *c, const ag__plan *plan, const ag__plan_step *step) {
    if (!c->tape->profiling) return run_step(c, plan, step);
    int64_t since = ag__profile_now();
    bool good = run_step(c, plan, step);
    if (good) ag__profile_step(c, plan, step, since);
    return good;
}

static void release(const ag__evaluation *e, ag_tensor *t) {
    t->live--;
    if (!ag__may_release(e, t)) return;
    ag__buffer_drop(t->tape, t->buffer);
    t->buffer = NULL;
}

/* What shows another's buffer gets it. */
static void show(const ag__chunk_nodes *c, const ag__plan *plan, const ag__plan_step *step) {
    const uint32_t *member = ag__numbers(&plan->members, 2 * (size_t)step->member);
    for (uint32_t i = 0; i < step->members; i++) {
        if (member[2 * i + 1] == AG__NOWHERE) continue;
        ag_tensor *t = c->table[member[2 * i]], *from = c->table[member[2 * i + 1]];
        t->buffer = from->buffer;
        t->buffer->refs++;
        if (t->op->kind != AG_KIND_VIEW) t->offset = from->offset;
    }
}

/* Once a node is done with, its inputs may be released. */
static void leave(const ag__chunk_nodes *c, const ag__plan *plan, const ag__plan_step *step) {
    const uint32_t *member = ag__numbers(&plan->members, 2 * (size_t)step->member);
    for (uint32_t i = 0; i < step->members; i++) ag__leave_inputs(c->evaluation, c->table[member[2 * i]]);
    const uint32_t *hold = ag__numbers(&plan->holds, step->hold);
    for (uint32_t i = 0; i < step->holds; i++) release(c->evaluation, c->table[hold[i]]);
}

/* ---- All steps ---- */

static void let_go(const ag__chunk_nodes *c, const ag__plan *plan, uint32_t k) {
    const ag__plan_step *steps = plan->steps.data;
    const uint32_t *hold = plan->holds.data, *order = plan->order.data;
    for (; k < plan->steps.count; k++) {
        const ag__plan_step *step = &steps[order[k]];
        for (uint32_t i = 0; i < step->holds; i++) c->table[hold[step->hold + i]]->live--;
    }
}

static const ag__region *region_at(const ag__plan *plan, uint32_t k) {
    const ag__plan_step *step = (const ag__plan_step *)plan->steps.data + ((const uint32_t *)plan->order.data)[k];
    return step->kind == AG__STEP_REGION ? (const ag__region *)plan->regions.data + step->what : NULL;
}

static void drop_steps(const ag__chunk_nodes *c, const ag__plan *plan, uint32_t k) {
    for (; k < plan->steps.count; k++)
        if (region_at(plan, k)) drop_outputs(plan, region_at(plan, k), c->table);
}

/* What is written in place must not stop half-way: all memory that regions take is there before the first begins. */
static bool provide(ag__chunk_nodes *c, const ag__plan *plan) {
    for (uint32_t k = 0; k < plan->steps.count; k++) {
        const ag__region *g = region_at(plan, k);
        if (!g) continue;
        c->least = run_bytes(c, plan, g, ag__worthwhile(g->work, c->tape->threads));
        if (!make_outputs(c, plan, g)) return false;
    }
    ag__buffer *most = ag__buffer_new(c->tape, c->least); /* and waits there */
    ag__buffer_drop(c->tape, most);
    return most || ag__no_memory(c->table[0], c->least);
}

static bool run_plan(ag__chunk_nodes *c, const ag__plan *plan) {
    const ag__plan_step *steps = plan->steps.data;
    const uint32_t *hold = plan->holds.data, *order = plan->order.data;
    for (uint32_t i = 0; i < plan->holds.count; i++) c->table[hold[i]]->live++;
    for (uint32_t k = 0; k < plan->steps.count; k++) {
        const ag__plan_step *step = &steps[order[k]];
        bool first = k == 1 && c->evaluation->when == AG__FINAL; /* that computes; now it is known who reads what */
        if ((first && !provide(c, plan)) || !run_reported_step(c, plan, step)) {
            let_go(c, plan, k);
            if (c->least) drop_steps(c, plan, k);
            return false;
        }
        show(c, plan, step);
        leave(c, plan, step);
    }
    return true;
}

/* ---- Chunks ---- */

/* The next marked nodes from `low` on, at most AG__CHUNK; returns the id after the last one. */
static uint32_t measure_chunk(const ag_tape *tape, uint32_t low, uint32_t high, ag__amount *amount) {
    *amount = (ag__amount){0};
    uint32_t id = low;
    for (; id < high && amount->nodes < AG__CHUNK; id++) {
        const ag_tensor *t = ag__node(tape, id);
        if (!(t->flags & AG__NEEDED)) continue;
        amount->nodes++;
        amount->edges += t->arity;
        amount->work += ag__work_of(t);
    }
    return id;
}

static bool run_chunk(const ag__evaluation *e, uint32_t low, uint32_t high, const ag__amount *amount) {
    ag_tape *tape = e->tape;
    if (tape->evaluator == AG_EVALUATOR_AUTOMATIC && amount->work < (double)amount->nodes * AG__FEW)
        return ag__run_reference(e, low, high);
    ag__chunk_nodes c;
    int64_t since = tape->profiling ? ag__profile_now() : 0;
    ag__plan *plan = ag__chunk_take(e, low, amount, &c) ? ag__plan_for(&c) : NULL;
    if (tape->profiling) ag__profile_planned(tape, amount->nodes, since);
    bool good = plan ? run_plan(&c, plan) : ag__run_reference(e, low, high);
    if (plan) ag__plan_done(tape, plan);
    ag__chunk_drop(&c);
    return good;
}

bool ag__run_fused(const ag__evaluation *e) {
    const ag_tape *tape = e->tape;
    const bool one = e->marked.nodes <= AG__CHUNK;
    if (tape->evaluator == AG_EVALUATOR_AUTOMATIC && e->marked.work < (double)e->marked.nodes * AG__SCALARS)
        return ag__run_reference(e, e->low, e->high);
    ag__evaluation plain = ag__not_in_place(e); /* of several chunks one might fail after others */
    for (uint32_t low = e->low, next; low < e->high; low = next) {
        ag__amount amount = e->marked;
        next = one ? e->high : measure_chunk(tape, low, e->high, &amount);
        if (run_chunk(one ? e : &plain, low, next, &amount)) continue;
        ag__abandon(e->tape, low, e->high);
        return false;
    }
    return true;
}

/* ---- Only planning ---- */

static uint32_t number_regions(const ag__chunk_nodes *c, const ag__plan *plan, uint32_t number, uint32_t *region) {
    const ag__plan_step *step = plan->steps.data;
    for (uint32_t s = 0; s < plan->steps.count; s++) {
        if (step[s].kind != AG__STEP_REGION && step[s].kind != AG__STEP_ADD) continue;
        const uint32_t *member = ag__numbers(&plan->members, 2 * (size_t)step[s].member);
        number++;
        for (uint32_t i = 0; i < step[s].members; i++) region[c->table[member[2 * i]]->id] = number;
    }
    return number;
}

bool ag__plan_regions(ag_tape *tape, uint32_t high, uint32_t *region) {
    bool compile = tape->compile, good = true;
    uint32_t number = 0;
    tape->compile = false;
    for (uint32_t low = 0, next; low < high && good; low = next) {
        ag__plan plan = {.used = 0};
        ag__chunk_nodes c;
        ag__amount amount;
        next = measure_chunk(tape, low, high, &amount);
        good = ag__chunk_take(&(ag__evaluation){.tape = tape}, low, &amount, &c) && ag__plan_make(&plan, &c, false);
        if (good) number = number_regions(&c, &plan, number, region);
        ag__plan_clear(tape, &plan);
        ag__chunk_drop(&c);
    }
    tape->compile = compile;
    return good;
}
