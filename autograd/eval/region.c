/* region -- running regions: their buffers, memory, and shares for threads
 *
 * Besides the buffers of its outputs a run takes one more, with the addresses of cells, the partial folds, and for
 * each share its scratch memory and the addresses in its present strip. */
#include "autograd/eval/region.h"
#include "autograd/eval/interpret.h"

#include <string.h>

/* ---- Outputs ---- */

/* The buffer of an input that is not read after this step, for its result y; NULL if there is none. In the sweep
 * before a rewind, all buffers are chosen before it is known which nodes share them: only the value of a variable is
 * taken over. */
static ag__buffer *taken_over(const ag__execution *e, const ag__step_output *o, const ag_tensor *y) {
    enum { STAYS = AG__LEAF | AG__KEEP | AG__VARIABLE };
    ag_tensor *x = o->over == AG__NONE ? NULL : e->c->table[o->over];
    if (!x || !x->buffer || ag__mark_of(e->c->evaluation, x)->live != o->reads || x->offset != 0) return NULL;
    if (e->c->evaluation->when == AG__FINAL) {
        if (!ag__may_overwrite(e->c->evaluation, x, y)) return NULL;
    } else if (o->over >= e->plan->nodes || x->flags & STAYS || x->buffer->refs != 1) {
        return NULL;
    }
    x->buffer->refs++;
    return x->buffer;
}

static void drop_outputs(const ag__execution *e, const ag__step_output *o, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ag_tensor *t = e->c->table[o[i].index];
        ag__buffer_drop(t->tape, t->buffer);
        t->buffer = NULL;
    }
}

void ag__region_drop_outputs(const ag__execution *e, const ag__region *g) {
    drop_outputs(e, AG__FROM(&e->plan->outputs, g->output), g->outputs);
}

bool ag__region_make_outputs(const ag__execution *e, const ag__region *g) {
    const ag__step_output *o = AG__FROM(&e->plan->outputs, g->output);
    for (uint32_t i = 0; i < g->outputs; i++) {
        ag_tensor *t = e->c->table[o[i].index];
        size_t bytes = ag__times((uint64_t)t->layout->size, ag__bytes(t));
        if (t->buffer) continue;
        if ((t->buffer = taken_over(e, &o[i], t)) != NULL) continue;
        if ((t->buffer = ag__buffer_new(t->tape, bytes)) != NULL) continue;
        drop_outputs(e, o, i);
        return ag__no_memory(t, bytes);
    }
    return true;
}

/* ---- Memory ---- */

static size_t rounded(size_t bytes) { return ag__rounded(bytes, AG__UNIT); }

/* Not a whole number of pages: a load waits for an earlier store to the same offset in another page. */
static size_t apart(size_t bytes) { return ag__plus(rounded(bytes), 320); }

static size_t head_bytes(const ag__region *g) {
    return rounded((2 * (size_t)g->cells + g->folds + g->attributes) * sizeof(char *));
}

static size_t share_bytes(const ag__region *g) {
    return rounded((size_t)g->temps * AG__UNIT + (size_t)g->cells * sizeof(char *));
}

/* The next instruction that is finished after the last strip. */
static const ag__instruction *next_fold(const ag__plan *plan, const ag__region *g, uint32_t *k) {
    const ag__instruction *q = AG__FROM(&plan->instructions, g->begin);
    while (*k < g->count && q[*k].does < AG__FOLD_ALL) ++*k;
    return *k < g->count ? &q[(*k)++] : NULL;
}

/* Bytes of the partial folds of one such instruction. */
static size_t partial_bytes(const ag__execution *e, const ag__region *g, const ag__instruction *q) {
    int64_t each = q->does < AG__FOLD_DOWN ? 1 : g->columns;
    size_t n = ag__times((uint64_t)ag__partial_folds(g, q), (size_t)each);
    return apart(ag__times(n, ag__bytes(e->c->table[q->node])));
}

static size_t fold_bytes(const ag__execution *e, const ag__region *g) {
    size_t bytes = 0;
    uint32_t k = 0;
    for (const ag__instruction *q; (q = next_fold(e->plan, g, &k)) != NULL;)
        bytes = ag__plus(bytes, partial_bytes(e, g, q));
    return bytes;
}

size_t ag__region_bytes(const ag__execution *e, const ag__region *g) {
    int shares = ag__worthwhile(g->work, e->c->tape->threads);
    size_t bytes = ag__plus(head_bytes(g) + AG__UNIT, ag__times(share_bytes(g), (size_t)shares));
    bytes = ag__plus(bytes, fold_bytes(e, g));
    return bytes < e->least ? e->least : bytes;
}

/* ---- The run ---- */

typedef struct bound {
    ag__running r;
    ag__buffer *memory;
    char *scratch; /* of the first share */
    size_t each;   /* bytes of it */
} bound;

static void place_folds(const ag__execution *e, const ag__running *r, char *at) {
    uint32_t k = 0;
    for (const ag__instruction *q; (q = next_fold(e->plan, r->region, &k)) != NULL;) {
        r->partial[q->y] = at;
        at += partial_bytes(e, r->region, q);
    }
}

static void bind_cells(const ag__running *r) {
    const ag__region *g = r->region;
    for (uint32_t i = 0; i < g->cells; i++) {
        const ag__cell *cell = &r->cell[i];
        r->base[i] = NULL;
        r->step[i] = 0;
        if (cell->where < AG__AT_ONE || cell->where == AG__AT_FOLD) continue;
        r->base[i] = ag__values(r->table[cell->index]);
        if (cell->where == AG__AT_ELEMENT) r->step[i] = (uintptr_t)g->columns * cell->bytes;
        if (cell->where == AG__AT_ROW) r->step[i] = cell->bytes;
    }
}

static void bind_attributes(const ag__running *r) {
    const uint32_t *index = AG__FROM(&r->plan->attributes, r->region->attribute);
    for (uint32_t i = 0; i < r->region->attributes; i++) r->attributes[i] = ag__attributes(r->table[index[i]]);
}

/* False, with an error, if out of memory. */
static bool bind(bound *b, const ag__execution *e, const ag__region *g) {
    size_t bytes = ag__region_bytes(e, g);
    const ag__plan *plan = e->plan;
    b->memory = ag__buffer_new(e->c->tape, bytes);
    if (!b->memory) return ag__no_memory(e->c->table[plan->computed.at[g->compute]], bytes);
    char *start = (char *)(((uintptr_t)b->memory->data + AG__UNIT - 1) & ~(uintptr_t)(AG__UNIT - 1));
    b->r = (ag__running){.plan = plan, .region = g, .cell = AG__FROM(&plan->cells, g->cell), .table = e->c->table};
    b->r.base = (char **)(void *)start;
    b->r.partial = b->r.base + g->cells;
    b->r.step = (uintptr_t *)(void *)(b->r.partial + g->folds);
    b->r.attributes = (const void **)(void *)(b->r.step + g->cells);
    b->scratch = start + head_bytes(g) + fold_bytes(e, g);
    b->each = share_bytes(g);
    bind_attributes(&b->r);
    bind_cells(&b->r);
    place_folds(e, &b->r, start + head_bytes(g));
    return true;
}

static void run_share(void *b_, int i, int n) {
    const bound *b = b_;
    int64_t units = ag__region_units(b->r.region);
    char *scratch = b->scratch + (size_t)i * b->each;
    char **address = (char **)(void *)(scratch + (size_t)b->r.region->temps * AG__UNIT);
    ag__run_units(&b->r, ag__share_start(units, i, n), ag__share_start(units, i + 1, n), scratch, address);
}

static void finish_fold(const ag__region *g, const ag__instruction *q, ag_tensor *t, char *partial) {
    const ag_reduction *op = t->op->reduction;
    int64_t n = ag__partial_folds(g, q), size = t->layout->size, each = n / size;
    char *y = ag__values(t);
    size_t bytes = ag__bytes(t);
    if (q->does == AG__FOLD_LONG) {
        for (int64_t i = 0; i < size; i++) {
            ag__join(op, t->dtype, partial + (size_t)(i * each) * bytes, each, 1);
            memcpy(y + (size_t)i * bytes, partial + (size_t)(i * each) * bytes, bytes);
        }
    } else {
        ag__join(op, t->dtype, partial, n, size);
        memcpy(y, partial, (size_t)size * bytes);
    }
    if (op->finish[t->dtype]) op->finish[t->dtype](size, y, g->size / size);
}

bool ag__region_run(const ag__execution *e, const ag__region *g) {
    bound b;
    uint32_t k = 0;
    if (!ag__region_make_outputs(e, g)) return false;
    if (!bind(&b, e, g)) {
        ag__region_drop_outputs(e, g);
        return false;
    }
    ag__parallel(ag__worthwhile(g->work, e->c->tape->threads), run_share, &b);
    for (const ag__instruction *q; (q = next_fold(e->plan, g, &k)) != NULL;)
        finish_fold(g, q, e->c->table[q->node], b.r.partial[q->y]);
    ag__buffer_drop(e->c->tape, b.memory);
    return true;
}
