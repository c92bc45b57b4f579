/* verify -- checks that a region's program is valid, independently of lower.c, runs.c and allot.c
 *
 * In builds with assertions each program is checked once when it is made. That covers all strips, because a strip's
 * place in a tensor follows from the form of its cell. The checks are that
 *   - every cell in memory belongs to an existing tensor, and reaches as far as the last strip;
 *   - every instruction reads and writes cells of the expected form and operand;
 *   - scratch memory is written before it is read, and not overwritten in between.
 * A program that fails must not run: it is an error on the tape. */
#include "autograd/eval/planning.h"

#include <string.h>

#ifndef NDEBUG

typedef struct verifying {
    const ag__planner *p;
    const ag__plan *plan;
    const ag__chunk *c;
    const ag__region *r;
    const ag__value *value; /* of each index */
    uint32_t *owner;        /* of each unit of scratch memory: 1 + the cell written last */
    const char *why;        /* NULL: sound so far */
} verifying;

typedef enum form_of_cell { IS_ELEMENTS, IS_ROWS, IS_ONE, IS_LANES, IS_FOLDS } form_of_cell;

static void expect(verifying *v, bool good, const char *why) {
    if (!good && !v->why) v->why = why;
}

static const ag__cell *cell_at(const verifying *v, uint32_t s) { return &v->plan->cells.at[s]; }

static form_of_cell form_of(const ag__cell *s) {
    if (s->where == AG__AT_FOLD) return IS_FOLDS;
    if (s->lanes) return IS_LANES;
    if (s->where == AG__AT_ONE) return IS_ONE;
    return s->rows ? IS_ROWS : IS_ELEMENTS;
}

/* ---- Memory ---- */

/* How many elements from the first on are a tensor's own, where none of its strides is negative. */
static int64_t reach_of(const ag_tensor *t) {
    int64_t reach = 1;
    for (int i = 0; i < t->layout->rank; i++) {
        int64_t stride = ag__strides(t->layout)[i], extent = t->layout->extent[i];
        if (extent == 0) return 0;
        reach += (extent - 1) * (stride < 0 ? 0 : stride);
    }
    return reach;
}

static int64_t scratch_elements(const verifying *v, const ag__cell *s) {
    if (s->rows) return s->index == AG__NONE ? (v->r->columns - 1) / AG__STRIP + 1 : v->r->tile;
    return s->lanes ? AG__LANES : ag__strip_elements(v->r);
}

static uint32_t scratch_units(const verifying *v, const ag__cell *s) {
    return ag__units(scratch_elements(v, s), s->bytes);
}

/* Whether a tensor has its value in memory when the region runs, or gets it there. */
static bool is_stored(const verifying *v, uint32_t i) {
    uint32_t root = v->value[i].root;
    return root >= v->c->nodes || v->value[root].stored;
}

/* Whether the region makes rows of the cell's tensor itself, and reads those. */
static bool is_provided(const verifying *v, const ag__cell *s) {
    const uint32_t *x = AG__FROM(&v->plan->products, v->r->product);
    bool found = false;
    for (uint32_t i = 0; i < v->r->products; i++) found = found || x[i] == s->index;
    return found && s->where == AG__AT_ELEMENT && v->c->table[s->index]->layout->size == v->r->size;
}

/* Every strip of the cell is within its tensor, or within scratch memory. */
static void check_cell(verifying *v, const ag__cell *s) {
    const ag__region *r = v->r;
    if (s->where == AG__AT_NOTHING) return;
    if (s->where == AG__AT_TEMP) {
        expect(v, s->temp + scratch_units(v, s) <= r->temps, "a value is beyond the end of scratch memory");
        return;
    }
    if (s->where == AG__AT_FOLD) {
        expect(v, s->temp < r->folds && r->form != AG__FLAT && r->tile == 1, "partial folds where there are none");
        return;
    }
    const ag_tensor *t = v->c->table[s->index];
    int64_t extent[2], stride[2],
        most = s->where == AG__AT_ELEMENT ? r->size
               : s->where == AG__AT_ROW   ? r->rows
               : s->samples               ? r->rows / r->sample * r->columns
                                          : r->columns;
    bool by_rows = s->where == AG__AT_ROW || s->where == AG__AT_COLUMN, provided = is_provided(v, s);
    expect(v, is_stored(v, s->index), "a tensor is read that is not in memory");
    expect(v, s->bytes == ag__bytes(t) && s->dtype == t->dtype, "a value has another dtype than its tensor");
    if (s->where == AG__AT_STRIDED) {
        bool rows = ag__two_axes(t->layout, extent, stride) && extent[0] == r->rows && extent[1] == r->columns;
        expect(v, rows && stride[1] == 1 && r->tile == 1 && r->inner == 1, "a strip of other rows than the region's");
        return;
    }
    expect(v, s->where == AG__AT_ONE || provided || reach_of(t) >= most, "a strip is beyond the end of its tensor");
    expect(v, s->where != AG__AT_ELEMENT || provided || t->layout->contiguous, "strips of a tensor that has gaps");
    expect(v, !by_rows || r->form != AG__FLAT, "rows or columns in a region that has none");
    expect(v, s->where != AG__AT_COLUMN || r->tile == 1, "columns in a strip of several rows");
}

/* ---- Reading and writing ---- */

static void check_write(verifying *v, uint32_t y) {
    const ag__cell *s = cell_at(v, y);
    if (s->where != AG__AT_TEMP || v->why) return;
    for (uint32_t u = s->temp; u < s->temp + scratch_units(v, s); u++) v->owner[u] = y + 1;
}

static void check_read(verifying *v, uint32_t x) {
    const ag__cell *s = cell_at(v, x);
    expect(v, s->where != AG__AT_NOTHING, "a value is read that is in no memory");
    if (s->where != AG__AT_TEMP || v->why) return;
    for (uint32_t u = s->temp; u < s->temp + scratch_units(v, s); u++) {
        uint32_t owner = v->owner[u];
        expect(v, owner == x + 1, owner ? "a value was overwritten before it is read" : "nothing was written");
    }
}

/* Whether the elements of a cell are those of a value with one for each element of the region, or one for each row. */
static bool is_of(const verifying *v, const ag__cell *s, bool rows) {
    int64_t size = v->c->table[s->index]->layout->size;
    if (form_of(s) == IS_ONE) return true;
    if (form_of(s) != (rows ? IS_ROWS : IS_ELEMENTS)) return false;
    if (size == (rows ? v->r->rows : v->r->size)) return true;
    return rows && size == v->r->size && ag__spreads_rows(v->c->table[s->index], v->r);
}

/* Input number k of an operation is in cell s. */
static void check_operand(verifying *v, uint32_t i, int k, const ag__cell *s, bool rows) {
    uint32_t c = ag__leader_at(v->p, ag__first_input(v->p, i) + (uint32_t)k);
    expect(v, s->index == c || s->index == v->value[c].root, "another value is read than the operand");
    rows = rows || (form_of(s) == IS_ROWS && v->r->inner > 1);
    expect(v, is_of(v, s, rows) && form_of(s) != IS_ONE, "a value is read in another form than it has");
    expect(v, s->dtype == v->c->table[c]->dtype, "a value is read as another dtype");
}

static void check_map(verifying *v, const ag__instruction *q, const uint32_t *x) {
    bool rows = q->does == AG__MAP_ROWS;
    const ag_tensor *t = v->c->table[q->node];
    expect(v, t->layout->size == (rows ? v->r->rows : v->r->size), "an operation over as many elements as it has not");
    expect(v, q->inputs == t->arity && is_of(v, cell_at(v, q->y), rows), "a result has another form");
    for (int k = 0; k < q->inputs; k++) check_operand(v, q->node, k, cell_at(v, x[k]), rows);
}

/* A value that machine code over elements takes as one for all of them must be that in each strip. */
static void check_run(verifying *v, const ag__instruction *q, const uint32_t *x) {
    for (uint32_t k = 0; k < q->inputs + q->outputs; k++) {
        const ag__cell *s = cell_at(v, x[k]);
        form_of_cell form = form_of(s);
        if (s->index == AG__NONE) continue;
        bool one_row = q->does == AG__RUN && form == IS_ROWS && (v->r->tile == 1 || (v->r->inner > 1 && k < q->inputs));
        expect(v, is_of(v, s, q->does == AG__RUN_ROWS || one_row), "machine code reads a value in another form");
    }
}

static void check_fold(verifying *v, const ag__instruction *q, const uint32_t *x) {
    int64_t size = v->c->table[q->node]->layout->size;
    const ag__region *r = v->r;
    if (q->does == AG__FOLD_ROWS || q->does == AG__FOLDED_ROW)
        expect(v, size == r->rows && is_of(v, cell_at(v, q->y), true), "a fold of rows that has another size");
    if (q->does == AG__FOLD_DOWN)
        expect(v, (size == r->columns || size == r->rows / r->sample * r->columns) && r->down,
               "a fold of columns that has another size");
    if (q->does == AG__FOLD_ALL) expect(v, size == 1, "a fold of everything that has another size");
    if (q->does == AG__FOLD_LONG) expect(v, size == r->rows && r->form == AG__WIDE, "a fold of long rows elsewhere");
    expect(v, q->does < AG__FOLD_ALL || q->y < r->folds, "a fold that has no number");
    const ag_reduction *op = v->c->table[q->node]->op->reduction;
    if (q->does != AG__FOLDED_ROW) check_operand(v, q->node, 0, cell_at(v, x[0]), false);
    else expect(v, r->tile == 1 && op && (q->inputs || op->finish[q->dtype]), "a fold without an end");
}

static void check_put(verifying *v, const ag__instruction *q, const uint32_t *x) {
    const ag__cell *from = cell_at(v, x[0]), *to = cell_at(v, q->y);
    expect(v, v->r->past && from->index == q->node && to->index == q->node, "another value is written past the caches");
    expect(v, to->where == AG__AT_ELEMENT && is_of(v, from, false), "such a value has another form");
    expect(v, from->where == AG__AT_TEMP, "such a value is not in scratch memory");
}

static void check_instruction(verifying *v, const ag__instruction *q) {
    const uint32_t *x = AG__FROM(&v->plan->operands, q->x);
    uint32_t inputs = q->does == AG__FOLDED_DOWN ? 0 : q->inputs;
    for (uint32_t k = 0; k < inputs; k++) check_read(v, x[k]);
    switch (q->does) {
    case AG__MAP:
    case AG__MAP_ROWS: check_map(v, q, x); break;
    case AG__RUN:
    case AG__RUN_ROWS: check_run(v, q, x); break;
    case AG__FILL:
    case AG__FILL_ROWS:
    case AG__REPEAT:
    case AG__PACK:
    case AG__PACK_ROWS: expect(v, is_stored(v, q->node), "a tensor is fetched that is not in memory"); break;
    case AG__PUT_PAST: check_put(v, q, x); break;
    case AG__SPREAD: expect(v, is_of(v, cell_at(v, x[0]), true), "what is spread has no rows"); break;
    case AG__FOLDED_ROW:
        if (!q->inputs) check_read(v, q->y);
        check_fold(v, q, x);
        break;
    case AG__FOLD_ROWS:
    case AG__FOLD_ALL:
    case AG__FOLD_LONG:
    case AG__FOLD_DOWN: check_fold(v, q, x); break;
    default: break;
    }
    if (q->does < AG__RUN && q->does != AG__START_DOWN) check_write(v, q->y);
    for (uint32_t k = 0; k < q->outputs; k++) check_write(v, x[q->inputs + k]);
}

/* ---- All of it ---- */

static void check_form(verifying *v) {
    const ag__region *r = v->r;
    bool several = r->tile > 1, whole = r->form == AG__ROWS;
    int64_t most = AG__MOST_ROW;
    for (uint32_t k = r->compute; k < r->compute + r->computes; k++)
        if (v->value[v->plan->computed.at[k]].role == AG__ROLE_ROW) most = AG__LONGEST_ROW;
    expect(v, r->form == (r->rows == 0 ? AG__FLAT : r->columns <= most ? AG__ROWS : AG__WIDE), "another form");
    const bool rows = r->rows * r->columns == r->size && r->sample > 0 && r->rows % r->sample == 0;
    expect(v, r->rows == 0 || rows, "rows by columns are not the elements");
    const int64_t tile = r->inner == 1 ? r->tile : r->packed ? r->tile / r->inner : 1;
    expect(v, !several || (whole && (r->inner > 1 || r->tile * r->columns <= AG__STRIP)), "a strip has too many rows");
    expect(v, r->tile > 0 && ((tile & (tile - 1)) == 0 || r->tile == r->rows), "a group's rows are in no strips");
    expect(v, r->inner == 1 || (!r->down && !r->all), "interleaved rows in a region with other folds");
    expect(v, r->form == AG__FLAT || r->block > 0, "no part of a row");
    expect(v, r->only == AG__NONE || v->plan->instructions.at[r->only].does == AG__RUN,
           "another instruction than code");
    expect(v, r->several == AG__NONE || (r->only != AG__NONE && r->several < v->plan->codes.count && r->together > 1),
           "no code for several rows");
    expect(v, !r->pairs || (r->tile == 1 && r->inner == 1 && whole && r->several == AG__NONE), "no pairs of rows");
    expect(v, r->packed ? r->tile % r->inner == 0 : r->inner == 1 || r->tile <= r->inner, "interleaved rows are cut");
}

static void check_program(verifying *v) {
    const ag__instruction *q = v->plan->instructions.at;
    check_form(v);
    for (uint32_t i = v->r->cell; i < v->r->cell + v->r->cells; i++) check_cell(v, cell_at(v, i));
    for (uint32_t k = 0; k < v->r->prepares && !v->why; k++) check_instruction(v, &q[v->r->once + k]);
    for (int strip = 0; strip < 2; strip++) /* the second one finds what was made once as it was */
        for (uint32_t k = 0; k < v->r->count && !v->why; k++) check_instruction(v, &q[v->r->begin + k]);
}

bool ag__verify(const ag__planner *p, uint32_t s) {
    const ag__region *r = ag__region_of(p, s);
    ag_tape *tape = p->c->tape;
    ag__scratch scratch = {.tape = tape};
    verifying v = {.p = p, .plan = p->plan, .c = p->c, .r = r, .value = p->value};
    v.owner = ag__scratch_array(&scratch, (size_t)r->temps + 1, sizeof *v.owner);
    if (!v.owner) return false;
    memset(v.owner, 0, ((size_t)r->temps + 1) * sizeof *v.owner);
    check_program(&v);
    ag__scratch_drop(&scratch);
    if (v.why) ag__fail_on(tape, "plan", AG_ERR_RANGE, "a region of %lld elements: %s", (long long)r->size, v.why);
    return v.why == NULL;
}

#endif
