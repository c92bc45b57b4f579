/* region -- running regions: their buffers, memory, and shares for threads
 *
 * Besides the buffers of its outputs a run takes one more, with the addresses of cells, the partial folds, and for
 * each share its scratch memory, the addresses in its present strip, and the rows of products that it computes, or of
 * transposes that it turns. */
#include "autograd/eval/region.h"
#include "autograd/eval/interpret.h"
#include "autograd/eval/pack.h"

#include <string.h>

/* ---- Outputs ---- */

/* Whether no one but x and those that show its buffer has it, and none of them is read after this step. */
static bool ends_here(const ag__execution *e, const ag__step_output *o, const ag_tensor *x) {
    enum { STAYS = AG__LEAF | AG__KEEP | AG__VARIABLE };
    const uint32_t *shown = o->shown.count ? AG__FROM(&e->plan->shown, o->shown.first) : &o->over;
    const uint32_t count = o->shown.count ? o->shown.count : 1;
    uint32_t refs = 0, live = 0;
    for (uint32_t i = 0; i < count; i++) {
        const ag_tensor *t = e->c->table[shown[i]];
        live += ag__mark_of(e->c->evaluation, t)->live;
        if (t->buffer != x->buffer) continue;
        if (t->flags & STAYS) return false;
        refs++;
    }
    return refs == x->buffer->refs && live == o->reads;
}

/* The buffer of an input that is not read after this step, for its result y; NULL if there is none. In the sweep
 * before a rewind, all buffers are chosen before it is known which nodes share them: only the value of a variable is
 * taken over. */
static ag__buffer *taken_over(const ag__execution *e, const ag__step_output *o, const ag_tensor *y) {
    const ag__evaluation *now = e->c->evaluation;
    ag_tensor *x = o->over == AG__NONE ? NULL : e->c->table[o->over];
    if (!x || !x->buffer || x->offset != 0) return NULL;
    if (now->when == AG__FINAL) {
        if (ag__mark_of(now, x)->live != o->reads || !ag__may_overwrite(now, x, y)) return NULL;
    } else if (o->over >= e->plan->nodes || !ends_here(e, o, x)) {
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
    return rounded((2 * (size_t)g->cells + g->folds + g->attributes) * sizeof(char *) + g->cells * sizeof(uint32_t));
}

static uint32_t product_at(const ag__execution *e, const ag__region *g, uint32_t j) {
    return AG__FROM(&e->plan->products, g->product)[j];
}

/* Units that are run at a time. */
static int64_t units_at_once(const ag__region *g) { return (g->ahead - 1) / ag__unit_elements(g) + 1; }

static int64_t columns_of(const ag_tensor *t) {
    return t->layout->contiguous ? t->layout->extent[1] : ag__turned_columns(t->layout);
}

/* Rows of a product, or of a transpose, that have the elements of as many units as are run at a time: two at least, and
 * parts of two more at the ends. */
static int64_t most_rows(const ag__region *g, const ag_tensor *t) {
    const int64_t columns = columns_of(t);
    return ag__lesser(t->layout->size / columns, (units_at_once(g) * ag__unit_elements(g) - 1) / columns + 3);
}

/* Memory for these; none, if t is in memory as the region reads it. */
static size_t rows_bytes(const ag__region *g, const ag_tensor *t) {
    if (t->buffer && t->layout->contiguous) return 0;
    return rounded(ag__times(ag__times((uint64_t)most_rows(g, t), (size_t)columns_of(t)), ag__bytes(t)));
}

/* Bytes with which one of a region's products is computed at a time. */
static size_t products_memory(const ag__execution *e, const ag__region *g) {
    size_t most = 0;
    for (uint32_t j = 0; j < g->products; j++) {
        const ag_tensor *t = e->c->table[product_at(e, g, j)];
        const size_t bytes = t->buffer ? 0 : rounded(ag__rows_memory(t, most_rows(g, t)));
        if (bytes > most) most = bytes;
    }
    return most;
}

/* A share's own: for scratch memory, that of two rows in pairs; */
static size_t scratch_bytes(const ag__region *g) { return (size_t)g->temps * AG__UNIT * (g->pairs ? 2 : 1); }

/* and for addresses; */
static size_t own_bytes(const ag__region *g) {
    const size_t tables = g->several != AG__NONE ? g->together : g->inner > 1 || g->pairs ? 2 : 1;
    return rounded(scratch_bytes(g) + (size_t)g->cells * sizeof(char *) * tables);
}

/* and with products, for other addresses, for what computes one, and for rows of all. */
static size_t share_bytes(const ag__execution *e, const ag__region *g) {
    size_t bytes = own_bytes(g);
    if (!g->products) return bytes;
    bytes = ag__plus(bytes + rounded((size_t)g->cells * sizeof(char *)), products_memory(e, g));
    for (uint32_t j = 0; j < g->products; j++) bytes = ag__plus(bytes, rows_bytes(g, e->c->table[product_at(e, g, j)]));
    return bytes;
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

/* The threads that are worth it; each multiplication of a product is an elementary step. */
static int shares_of(ag__execution *e, const ag__region *g) {
    enum { MULTIPLICATIONS = 32 }; /* a step */
    int64_t work = g->work;
    for (uint32_t j = 0; j < g->products; j++) {
        const ag_tensor *t = e->c->table[product_at(e, g, j)];
        if (t->layout->contiguous) work += g->size / MULTIPLICATIONS * t->input[0]->layout->extent[1];
    }
    if (work / AG__STEPS_A_THREAD >= 2 && e->threads == 0) e->threads = ag__threads_now(e->c->tape);
    return ag__worthwhile(work, e->threads);
}

/* How a run's memory is divided. */
typedef struct sizes {
    size_t head, each; /* bytes of the head, and of each share */
    int shares;
} sizes;

static size_t bytes_of(ag__execution *e, const ag__region *g, sizes *s) {
    *s = (sizes){head_bytes(g), share_bytes(e, g), shares_of(e, g)};
    const size_t bytes =
        ag__plus(s->head + AG__UNIT, ag__plus(ag__times(s->each, (size_t)s->shares), fold_bytes(e, g)));
    return bytes < e->least ? e->least : bytes;
}

size_t ag__region_bytes(ag__execution *e, const ag__region *g) {
    sizes s;
    return bytes_of(e, g, &s);
}

/* ---- The run ---- */

typedef struct bound {
    ag__running r;
    ag__buffer *memory;
    const ag__execution *e;
    char *scratch; /* of the first share */
    sizes size;
} bound;

/* Returns the end of their memory. */
static char *place_folds(const ag__execution *e, const ag__running *r, char *at) {
    uint32_t k = 0;
    for (const ag__instruction *q; (q = next_fold(e->plan, r->region, &k)) != NULL;) {
        r->partial[q->y] = at;
        at += partial_bytes(e, r->region, q);
    }
    return at;
}

static int64_t row_stride(const ag_tensor *t) {
    int64_t extent[2], stride[2];
    ag__two_axes(t->layout, extent, stride);
    return stride[0];
}

static void bind_cells(ag__running *r) {
    const ag__region *g = r->region;
    for (uint32_t i = 0; i < g->cells; i++) {
        const ag__cell *cell = &r->cell[i];
        r->base[i] = NULL;
        r->step[i] = 0;
        if (cell->where < AG__AT_ONE || cell->where == AG__AT_FOLD || !r->table[cell->index]->buffer) continue;
        r->base[i] = ag__values(r->table[cell->index]);
        if (cell->where == AG__AT_ELEMENT) r->step[i] = (uintptr_t)g->columns * cell->bytes;
        if (cell->where == AG__AT_ROW) r->step[i] = cell->bytes;
        if (cell->where == AG__AT_STRIDED) r->step[i] = (uintptr_t)row_stride(r->table[cell->index]) * cell->bytes;
        if (r->step[i]) r->moves[r->moving++] = i;
    }
}

static void bind_attributes(const ag__running *r) {
    const uint32_t *index = AG__FROM(&r->plan->attributes, r->region->attribute);
    for (uint32_t i = 0; i < r->region->attributes; i++) r->attributes[i] = ag__attributes(r->table[index[i]]);
}

/* False, with an error, if out of memory. */
static bool bind(bound *b, ag__execution *e, const ag__region *g) {
    size_t bytes = bytes_of(e, g, &b->size);
    const ag__plan *plan = e->plan;
    b->memory = e->provided;
    if (b->memory) b->memory->refs++;
    else b->memory = ag__buffer_new(e->c->tape, bytes);
    if (!b->memory) return ag__no_memory(e->c->table[plan->computed.at[g->compute]], bytes);
    char *start = (char *)(((uintptr_t)b->memory->data + AG__UNIT - 1) & ~(uintptr_t)(AG__UNIT - 1));
    b->r = (ag__running){.plan = plan, .region = g, .cell = AG__FROM(&plan->cells, g->cell), .table = e->c->table};
    b->r.base = (char **)(void *)start;
    b->r.partial = b->r.base + g->cells;
    b->r.step = (uintptr_t *)(void *)(b->r.partial + g->folds);
    b->r.attributes = (const void **)(void *)(b->r.step + g->cells);
    b->r.moves = (void *)(b->r.attributes + g->attributes);
    b->scratch = place_folds(e, &b->r, start + b->size.head);
    b->e = e;
    bind_attributes(&b->r);
    bind_cells(&b->r);
    return true;
}

/* Compute the rows of product t, or turn those of transpose t, that have elements from … end−1, and let the cells of
 * that index show them. */
static void provide_rows(const ag__running *r, uint32_t index, char *rows, void *memory, int64_t from, int64_t end) {
    const ag_tensor *t = r->table[index];
    const int64_t columns = columns_of(t), all = t->layout->size / columns;
    int64_t first = from / columns, count = (end - 1) / columns + 1 - first;
    if (count == 1 && first > 0) first--;
    if (count == 1) count = ag__lesser(2, all);
    if (t->buffer) {
        const ag_array x = ag__array_of(t);
        ag__pack(rows, &x, first * columns, count * columns);
    } else {
        ag__compute_rows(t, most_rows(r->region, t), first, count, rows, memory);
    }
    for (uint32_t i = 0; i < r->region->cells; i++)
        if (r->cell[i].where == AG__AT_ELEMENT && r->cell[i].index == index)
            r->base[i] = (char *)((uintptr_t)rows - (uintptr_t)(first * columns) * ag__bytes(t));
}

/* Units first … end−1, some at a time, each after the rows of products that they read. `memory` is for the addresses of
 * cells, which are others in each share, for the rows and for computing them. */
static void run_by_rows(const bound *b, int64_t first, int64_t end, char *scratch, char **address, char *memory) {
    const ag__region *g = b->r.region;
    ag__running own = b->r;
    own.base = memcpy(memory, b->r.base, g->cells * sizeof *own.base);
    memory += rounded(g->cells * sizeof *own.base);
    const int64_t some = units_at_once(g);
    for (int64_t unit = first; unit < end; unit += some) {
        const int64_t last = ag__lesser(unit + some, end);
        char *rows = memory + products_memory(b->e, g);
        for (uint32_t j = 0; j < g->products; j++) {
            const uint32_t index = product_at(b->e, g, j);
            const size_t bytes = rows_bytes(g, b->r.table[index]);
            if (bytes) provide_rows(&own, index, rows, memory, ag__unit_start(g, unit), ag__unit_start(g, last));
            rows += bytes;
        }
        ag__run_units(&own, unit, last, scratch, address);
    }
}

static void run_share(void *b_, int i, int n) {
    const bound *b = b_;
    const int64_t units = ag__region_units(b->r.region), first = ag__share_start(units, i, n),
                  end = ag__share_start(units, i + 1, n);
    char *scratch = b->scratch + (size_t)i * b->size.each;
    char **address = (char **)(void *)(scratch + scratch_bytes(b->r.region));
    if (b->r.region->products) run_by_rows(b, first, end, scratch, address, scratch + own_bytes(b->r.region));
    else ag__run_units(&b->r, first, end, scratch, address);
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
    } else { /* of all rows, or of each sample */
        const int64_t columns = q->does == AG__FOLD_DOWN || q->does == AG__FOLDED_DOWN ? g->columns : 1;
        each = n * columns / size;
        for (int64_t i = 0; i < size;
             i += columns, partial += (size_t)(each * columns) * bytes, y += (size_t)columns * bytes) {
            ag__join(op, t->dtype, partial, each, columns);
            memcpy(y, partial, (size_t)columns * bytes);
        }
        y = ag__values(t);
    }
    if (op->finish[t->dtype]) op->finish[t->dtype](size, y, g->size / size);
}

bool ag__region_prepare(const ag__execution *e, const ag__region *g) {
    for (uint32_t j = 0; j < g->products; j++) {
        ag_tensor *t = e->c->table[product_at(e, g, j)];
        if (!t->buffer && !ag__can_compute_rows(t) && !ag__compute(t)) return false;
    }
    return true;
}

bool ag__region_run(ag__execution *e, const ag__region *g) {
    bound b;
    uint32_t k = 0;
    if (!e->provided) e->threads = 0;
    if (!ag__region_make_outputs(e, g)) return false;
    if (!bind(&b, e, g)) {
        ag__region_drop_outputs(e, g);
        return false;
    }
    ag__parallel(b.size.shares, run_share, &b);
    for (const ag__instruction *q; (q = next_fold(e->plan, g, &k)) != NULL;)
        finish_fold(g, q, e->c->table[q->node], b.r.partial[q->y]);
    ag__buffer_drop(e->c->tape, b.memory);
    return true;
}
