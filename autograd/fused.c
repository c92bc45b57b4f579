/* fused -- the evaluator that runs plans: regions strip by strip, other operations one by one
 *
 * The nodes that an evaluation needs are taken in chunks; a chunk's structure is hashed, and a plan that was made for the
 * same structure before serves again. How the work is divided depends on shapes only, and pieces are joined in a fixed
 * order, so results are the same bits for any number of threads, and those of the reference evaluator but for sums over
 * everything in a region of rows and for sums with products. */
#include "autograd/plan.h"

#include <string.h>

enum { PLANS = 16, MOST_INPUTS = 8 };

/* ---- Numbering ---- */

typedef struct chunk {
    ag__chunk_nodes nodes;
    ag__buffer *memory;
    uint32_t next; /* id after the chunk's last node */
} chunk;

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static void mix_key(uint64_t key[2], uint64_t v) {
    key[0] = mix(key[0], v);
    key[1] = (key[1] + v) * 0x9e3779b97f4a7c15u;
    key[1] ^= key[1] >> 29;
}

static void mix_attributes(uint64_t key[2], const ag_tensor *t) {
    const char *a = ag__attributes(t);
    uint64_t word = 0;
    size_t n = t->attribute_bytes;
    for (; n >= sizeof word; n -= sizeof word, a += sizeof word) {
        memcpy(&word, a, sizeof word);
        mix_key(key, word);
    }
    if (n == 0) return;
    word = 0;
    memcpy(&word, a, n);
    mix_key(key, word);
}

static void mix_outside(uint64_t key[2], const ag_tensor *t) {
    mix_key(key, t->layout->hash + t->dtype + ((uint64_t)(t->offset != 0) << 8));
    if (t->op->flags & AG_OP_CONSTANT) {
        mix_key(key, (uintptr_t)t->op);
        mix_attributes(key, t);
    }
}

/* Numbers of draws change from step to step and decide nothing. */
static void mix_node(uint64_t key[2], const ag_tensor *t) {
    mix_key(key, (uintptr_t)t->op);
    mix_key(key, t->layout->hash + ((uint64_t)t->dtype | (uint64_t)t->arity << 8 | (uint64_t)(t->offset != 0) << 40));
    if (t->op->kind != AG_KIND_SOURCE || t->op->flags & AG_OP_CONSTANT) mix_attributes(key, t);
}

/* Whether the value is still wanted when all nodes of the chunk have run: `first` of its readers there had never run. */
static bool wanted_after(const ag_tensor *t, uint32_t uses, uint32_t first) {
    if (t->live > uses || t->readers > first || t->flags & (AG__KEEP | AG__COMPUTED)) return true;
    return t->flags & AG__REQUIRES && !(t->flags & (AG__GRADIENT | AG__SCANNED));
}

static uint32_t number_outside(ag__chunk_nodes *c, ag_tensor *t) {
    if (t->place < c->places && c->table[t->place] == t) return t->place;
    t->place = c->places;
    c->table[c->places++] = t;
    mix_outside(c->key, t);
    return t->place;
}

static void number_inputs(ag__chunk_nodes *c, uint32_t i, uint32_t *firsts) {
    const ag_tensor *t = c->table[i];
    uint32_t *to = c->operand + c->first[i];
    c->first[i + 1] = c->first[i] + t->arity;
    mix_node(c->key, t);
    for (int k = 0; k < t->arity; k++) {
        to[k] = number_outside(c, t->input[k]);
        mix_key(c->key, to[k]);
        if (to[k] >= c->nodes) continue;
        c->uses[to[k]]++;
        firsts[to[k]] += !(t->flags & AG__COMPUTED);
    }
}

static void mix_wanted(ag__chunk_nodes *c, const uint32_t *firsts) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < c->nodes; i++) {
        c->must[i] = wanted_after(c->table[i], c->uses[i], firsts[i]);
        bits = bits << 1 | c->must[i];
        if (i % 64 == 63) mix_key(c->key, bits);
    }
    mix_key(c->key, bits);
}

/* Take the next marked nodes from `low` on, and number them and what they read. */
static bool take_chunk(ag_tape *tape, uint32_t low, uint32_t high, chunk *k) {
    uint32_t nodes = 0, edges = 0;
    *k = (chunk){.next = low};
    for (; k->next < high && nodes < AG__CHUNK; k->next++) {
        const ag_tensor *t = ag__node(tape, k->next);
        if (t->flags & AG__NEEDED) nodes++, edges += t->arity;
    }
    ag__chunk_nodes *c = &k->nodes;
    size_t places = (size_t)nodes + edges, words = (size_t)nodes * 3 + 1 + edges;
    k->memory = ag__buffer_new(tape, places * sizeof(ag_tensor *) + words * sizeof(uint32_t) + nodes);
    if (!k->memory) return false;
    *c = (ag__chunk_nodes){.tape = tape, .nodes = nodes, .places = nodes, .key = {nodes, edges}};
    c->table = k->memory->data;
    c->first = (uint32_t *)(c->table + places);
    c->operand = c->first + nodes + 1;
    c->uses = c->operand + edges;
    uint32_t *firsts = c->uses + nodes;
    c->must = (bool *)(firsts + nodes);
    memset(c->uses, 0, 2 * (size_t)nodes * sizeof *c->uses);
    for (uint32_t id = low, i = 0; id < k->next; id++) {
        ag_tensor *t = ag__node(tape, id);
        if (t->flags & AG__NEEDED) c->table[t->place = i++] = t;
    }
    c->first[0] = 0;
    for (uint32_t i = 0; i < nodes; i++) number_inputs(c, i, firsts);
    mix_wanted(c, firsts);
    return true;
}

/* ---- Plans that were made ---- */

static ag__plan *plan_for(const ag__chunk_nodes *c) {
    ag_tape *tape = c->tape;
    if (!tape->plans) {
        tape->plans = ag__resize(tape, NULL, 0, PLANS * sizeof(ag__plan));
        if (!tape->plans) return NULL;
        memset(tape->plans, 0, PLANS * sizeof(ag__plan));
    }
    ag__plan *oldest = tape->plans;
    for (ag__plan *p = tape->plans; p < tape->plans + PLANS; p++) {
        if (p->nodes == c->nodes && p->key[0] == c->key[0] && p->key[1] == c->key[1]) {
            p->used = ++tape->evaluations;
            return p;
        }
        if (p->used < oldest->used) oldest = p;
    }
    ag__plan_clear(tape, oldest);
    *oldest = (ag__plan){.used = 0};
    if (!ag__plan_make(oldest, c)) {
        *oldest = (ag__plan){.used = 0};
        return NULL;
    }
    memcpy(oldest->key, c->key, sizeof c->key);
    oldest->used = ++tape->evaluations;
    return oldest;
}

void ag__plans_free(ag_tape *tape) {
    if (!tape->plans) return;
    for (int i = 0; i < PLANS; i++) ag__plan_clear(tape, &tape->plans[i]);
    ag__resize(tape, tape->plans, PLANS * sizeof(ag__plan), 0);
    tape->plans = NULL;
}

/* ---- One strip ---- */

typedef struct position {
    int64_t row, rows, column, columns, start, n;
} position;

typedef struct running {
    const ag__plan *plan;
    const ag__region *region;
    const ag__slot *slot;
    ag_tensor *const *table;
    char *const *base;    /* of each slot: memory of its tensor */
    char *const *partial; /* of each fold that is finished after the last strip */
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

static void fold_down(const running *r, const ag__instruction *q, const position *at, const char *x) {
    const ag_tensor *t = r->table[q->node];
    const ag_reduction *op = t->op->reduction;
    int64_t bytes = (int64_t)ag__bytes(t), width = r->region->columns * bytes;
    for (int64_t i = 0; i < at->rows; i++, x += at->columns * bytes) {
        int64_t row = at->row + i;
        char *y = r->partial[q->y] + row / AG__ROWS_A_GROUP * width + at->column * bytes;
        if (row % AG__ROWS_A_GROUP == 0) memcpy(y, x, (size_t)(at->columns * bytes));
        else op->combine[t->dtype](at->columns, y, x);
    }
}

static void pack_strip(const ag_tensor *t, char *y, int64_t start, int64_t n) {
    ag_array from = ag__array_of(t);
    ag__pack(y, &from, start, n);
}

static void run_instruction(const running *r, const ag__instruction *q, const position *at, char *const *p) {
    const ag_tensor *t = r->table[q->node];
    const uint32_t *in = (const uint32_t *)r->plan->operands.data + q->x;
    const uint32_t first = r->region->slot;
    const void *x[MOST_INPUTS];
    for (int i = 0; i < q->inputs; i++) x[i] = p[in[i] - first];
    char *y = q->does < AG__FOLD_ALL ? p[q->y - first] : NULL;
    int bytes = (int)ag__bytes(t);
    switch (q->does) {
    case AG__MAP: t->op->block[q->dtype](at->n, y, x, ag__attributes(t)); break;
    case AG__MAP_ROWS: t->op->block[q->dtype](at->rows, y, x, ag__attributes(t)); break;
    case AG__FILL: fill(y, ag__values(t), at->n, bytes); break;
    case AG__FILL_ROWS: fill(y, ag__values(t), at->rows, bytes); break;
    case AG__REPEAT:
        for (int64_t i = 0; i < at->rows; i++)
            memcpy(y + i * at->columns * bytes, ag__values(t), (size_t)(at->columns * bytes));
        break;
    case AG__SPREAD:
        for (int64_t i = 0; i < at->rows; i++)
            fill(y + i * at->columns * bytes, (const char *)x[0] + i * bytes, at->columns, bytes);
        break;
    case AG__PACK: pack_strip(t, y, at->start, at->n); break;
    case AG__PACK_ROWS: pack_strip(t, y, at->row, at->rows); break;
    case AG__FOLD_ROWS:
        for (int64_t i = 0; i < at->rows; i++)
            fold(t->op->reduction, t->dtype, at->columns, y + i * bytes, (const char *)x[0] + i * at->columns * bytes);
        if (t->op->reduction->finish[t->dtype]) t->op->reduction->finish[t->dtype](at->rows, y, at->columns);
        break;
    case AG__FOLD_ALL:
    case AG__FOLD_LONG: {
        int64_t strip = r->region->form == AG__FLAT   ? at->start / AG__STRIP
                        : r->region->form == AG__ROWS ? at->row / r->region->tile
                                                      : at->row * r->strips_a_row + at->column / AG__STRIP;
        fold(t->op->reduction, t->dtype, at->n, r->partial[q->y] + strip * bytes, x[0]);
        break;
    }
    default: fold_down(r, q, at, x[0]); break;
    }
}

/* Addresses of the slots in this strip. */
static void aim(const running *r, const position *at, char *scratch, char **p) {
    for (uint32_t i = 0; i < r->region->slots; i++) {
        const ag__slot *s = &r->slot[i];
        switch (s->where) {
        case AG__AT_TEMP: p[i] = scratch + (size_t)s->temp * 64; break;
        case AG__AT_ELEMENT: p[i] = r->base[i] + at->start * s->bytes; break;
        case AG__AT_COLUMN: p[i] = r->base[i] + at->column * s->bytes; break;
        default: p[i] = r->base[i] + at->row * s->bytes; break;
        }
    }
}

static void run_strip(const running *r, const position *at, char *scratch, char **p) {
    const ag__instruction *q = (const ag__instruction *)r->plan->instructions.data + r->region->begin;
    aim(r, at, scratch, p);
    for (uint32_t k = 0; k < r->region->count; k++) run_instruction(r, q + k, at, p);
}

static void prepare(const running *r, char *scratch, char **p) {
    const ag__region *g = r->region;
    const ag__instruction *q = (const ag__instruction *)r->plan->instructions.data + g->once;
    int64_t n = g->form == AG__ROWS ? g->tile * g->columns : g->size < AG__STRIP ? g->size : AG__STRIP;
    position at = {.rows = g->tile, .columns = g->form == AG__ROWS ? g->columns : n, .n = n};
    aim(r, &at, scratch, p);
    for (uint32_t k = 0; k < g->prepares; k++) run_instruction(r, q + k, &at, p);
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

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void run_rows(const running *r, int64_t first, int64_t end, char *scratch, char **p) {
    const ag__region *g = r->region;
    int64_t width = g->form == AG__ROWS ? g->columns : AG__STRIP;
    for (int64_t row = first; row < end; row += g->tile) {
        for (int64_t column = 0; column < g->columns; column += width) {
            position at = {.row = row,
                           .rows = least(g->tile, end - row),
                           .column = column,
                           .columns = least(width, g->columns - column),
                           .start = row * g->columns + column};
            at.n = at.rows * at.columns;
            run_strip(r, &at, scratch, p);
        }
    }
}

static void run_unit(const running *r, int64_t unit, int64_t rows_a_unit, char *scratch, char **p) {
    const ag__region *g = r->region;
    if (rows_a_unit) {
        run_rows(r, unit * rows_a_unit, least((unit + 1) * rows_a_unit, g->rows), scratch, p);
    } else {
        int64_t start = unit * AG__STRIP, n = least(AG__STRIP, g->size - start);
        run_strip(r, &(position){.rows = 1, .columns = n, .start = start, .n = n}, scratch, p);
    }
}

static void run_share(const running *r, int thread, int threads, char *memory, size_t bytes) {
    int64_t rows_a_unit, units = units_of(r->region, &rows_a_unit), share = (units + threads - 1) / threads;
    char *scratch = memory + (size_t)thread * bytes, **p = (char **)(void *)(scratch + (size_t)r->region->temps * 64);
    prepare(r, scratch, p);
    for (int64_t unit = thread * share; unit < least((thread + 1) * share, units); unit++)
        run_unit(r, unit, rows_a_unit, scratch, p);
}

/* ---- A region ---- */

static int64_t partials_of(const ag__region *g, int does) {
    int64_t rows_a_unit, units = units_of(g, &rows_a_unit);
    if (does == AG__FOLD_DOWN) return (g->rows + AG__ROWS_A_GROUP - 1) / AG__ROWS_A_GROUP;
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

static size_t partial_bytes(const ag__region *g, const ag__instruction *q, const ag_tensor *t) {
    int64_t n = partials_of(g, q->does) * (q->does == AG__FOLD_DOWN ? g->columns : 1);
    return ((size_t)n * ag__bytes(t) + 63) / 64 * 64;
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

static void run_strips(const running *r, int threads, char *memory, size_t bytes) {
    if (threads > 1) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static, 1)
#endif
        for (int thread = 0; thread < threads; thread++) run_share(r, thread, threads, memory, bytes);
    } else {
        run_share(r, 0, 1, memory, bytes);
    }
}

static bool make_outputs(const ag__plan *plan, const ag__region *g, ag_tensor **table) {
    const uint32_t *out = (const uint32_t *)plan->outputs.data + g->output;
    for (uint32_t i = 0; i < g->outputs; i++) {
        ag_tensor *t = table[out[i]];
        size_t bytes = (size_t)t->layout->size * ag__bytes(t);
        if ((t->buffer = ag__buffer_new(t->tape, bytes)) != NULL) continue;
        ag__no_memory(t, bytes);
        while (i-- > 0) {
            ag__buffer_drop(t->tape, table[out[i]]->buffer);
            table[out[i]]->buffer = NULL;
        }
        return false;
    }
    return true;
}

static void drop_outputs(const ag__plan *plan, const ag__region *g, ag_tensor **table) {
    const uint32_t *out = (const uint32_t *)plan->outputs.data + g->output;
    for (uint32_t i = 0; i < g->outputs; i++) {
        ag__buffer_drop(table[out[i]]->tape, table[out[i]]->buffer);
        table[out[i]]->buffer = NULL;
    }
}

/* Everything that a region's run needs besides its outputs, in one buffer: addresses, partial folds, scratch. */
static bool run_region(const ag__chunk_nodes *c, const ag__plan *plan, const ag__region *g) {
    int threads = ag__worthwhile(g->work, c->tape->threads);
    size_t each = ((size_t)g->temps * 64 + g->slots * sizeof(char *) + 63) / 64 * 64, folds = 0;
    size_t head = ((size_t)(g->slots + g->folds) * sizeof(char *) + 63) / 64 * 64;
    uint32_t k = 0;
    for (const ag__instruction *q; (q = next_fold(plan, g, &k)) != NULL;)
        folds += partial_bytes(g, q, c->table[q->node]);
    size_t bytes = head + folds + each * (size_t)threads + 64;
    if (!make_outputs(plan, g, c->table)) return false;
    ag__buffer *memory = ag__buffer_new(c->tape, bytes);
    if (!memory) {
        drop_outputs(plan, g, c->table);
        return ag__no_memory(c->table[((const uint32_t *)plan->outputs.data)[g->output]], bytes);
    }
    char *start = (char *)(((uintptr_t)memory->data + 63) & ~(uintptr_t)63), *at = start + head;
    char **base = (char **)(void *)start, **partial = base + g->slots;
    const ag__slot *slot = (const ag__slot *)plan->slots.data + g->slot;
    for (uint32_t i = 0; i < g->slots; i++)
        base[i] = slot[i].where == AG__AT_TEMP ? NULL : ag__values(c->table[slot[i].place]);
    k = 0;
    for (const ag__instruction *q; (q = next_fold(plan, g, &k)) != NULL;) {
        partial[q->y] = at;
        at += partial_bytes(g, q, c->table[q->node]);
    }
    running r = {.plan = plan,
                 .region = g,
                 .slot = slot,
                 .table = c->table,
                 .base = base,
                 .partial = partial,
                 .strips_a_row = (g->columns + AG__STRIP - 1) / AG__STRIP};
    run_strips(&r, threads, at, each);
    k = 0;
    for (const ag__instruction *q; (q = next_fold(plan, g, &k)) != NULL;)
        finish_fold(g, q, c->table[q->node], partial[q->y]);
    ag__buffer_drop(c->tape, memory);
    return true;
}

/* ---- Steps ---- */

/* The result of t, which is a sum with a product, goes where the other summand was. */
static bool run_sum(const ag__chunk_nodes *c, const ag__plan *plan, const ag__plan_step *step) {
    const uint32_t *member = (const uint32_t *)plan->members.data + 2 * (size_t)step->member;
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

static void release(ag_tensor *t) {
    t->live--;
    if (!ag__may_release(t)) return;
    ag__buffer_drop(t->tape, t->buffer);
    t->buffer = NULL;
}

/* First what shows another's buffer gets it: once a node is done with, its inputs may be released. */
static void complete(const ag__chunk_nodes *c, const ag__plan *plan, const ag__plan_step *step) {
    const uint32_t *member = (const uint32_t *)plan->members.data + 2 * (size_t)step->member;
    for (uint32_t i = 0; i < step->members; i++) {
        if (member[2 * i + 1] == AG__NOWHERE) continue;
        ag_tensor *t = c->table[member[2 * i]], *from = c->table[member[2 * i + 1]];
        t->buffer = from->buffer;
        t->buffer->refs++;
        if (t->op->kind != AG_KIND_VIEW) t->offset = from->offset;
    }
    for (uint32_t i = 0; i < step->members; i++) ag__leave_inputs(c->table[member[2 * i]]);
    const uint32_t *hold = (const uint32_t *)plan->holds.data + step->hold;
    for (uint32_t i = 0; i < step->holds; i++) release(c->table[hold[i]]);
}

static bool run_plan(const ag__chunk_nodes *c, const ag__plan *plan) {
    const ag__plan_step *step = plan->steps.data;
    const uint32_t *hold = plan->holds.data;
    for (uint32_t i = 0; i < plan->holds.count; i++) c->table[hold[i]]->live++;
    for (uint32_t s = 0; s < plan->steps.count; s++) {
        if (run_reported_step(c, plan, &step[s])) {
            complete(c, plan, &step[s]);
            continue;
        }
        for (; s < plan->steps.count; s++)
            for (uint32_t i = 0; i < step[s].holds; i++) c->table[hold[step[s].hold + i]]->live--;
        return false;
    }
    return true;
}

/* Without memory for a plan, the reference evaluator may still have enough. */
static bool run_chunk(ag_tape *tape, uint32_t low, const chunk *k, int64_t since) {
    const ag__plan *plan = plan_for(&k->nodes);
    if (tape->profiling) ag__profile_planned(tape, k->nodes.nodes, since);
    return plan ? run_plan(&k->nodes, plan) : ag__run_reference(tape, low, k->next);
}

bool ag__run_fused(ag_tape *tape, uint32_t low, uint32_t high, uint32_t nodes) {
    (void)nodes;
    while (low < high) {
        chunk k;
        int64_t since = tape->profiling ? ag__profile_now() : 0;
        if (!take_chunk(tape, low, high, &k)) return ag__run_reference(tape, low, high);
        bool good = run_chunk(tape, low, &k, since);
        ag__buffer_drop(tape, k.memory);
        if (!good) {
            ag__abandon(tape, low, high);
            return false;
        }
        low = k.next;
    }
    return true;
}
