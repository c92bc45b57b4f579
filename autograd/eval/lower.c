/* lower -- the program by which a region is executed strip by strip
 *
 * Every value that the program handles is a cell, and every cell is written by one instruction before others read it.
 * Instructions are sorted into phases: what a fold of rows gives is there in the phase after it, so that the elementwise
 * operations of a phase stand together and can become one loop of machine code. Scratch memory passes from cell to cell:
 * a value's place is free after the last instruction that reads it, so that few strips are in use at a time, and stay in
 * cache. */
#include "autograd/eval/compile.h"
#include "autograd/eval/plan.h"

#include <stdlib.h>
#include <string.h>

enum {
    KINDS = 6,       /* of scratch memory: strips and rows, of elements of 1, 4 and 8 bytes */
    FEWEST_STEPS = 2 /* that machine code is made for */
};

typedef struct lowering {
    ag__plan *plan;
    const ag__chunk_nodes *c;
    ag__region *r;
    const ag__inside *in;
    ag__list body;   /* what is done for each strip */
    ag__list before; /* and before the first */
    ag__list sorted, steps, slots;
    uint32_t free_cell[KINDS];
    bool slots_for_rows, failed;
} lowering;

static const ag_tensor *tensor_at(const lowering *l, uint32_t place) { return l->c->table[place]; }
static ag__cell *cell_at(const lowering *l, uint32_t cell) { return (ag__cell *)l->plan->cells.data + cell; }
static ag__instruction *body_at(const lowering *l, uint32_t k) { return (ag__instruction *)l->body.data + k; }

/* Room for one more element at the end of a list; NULL for want of memory. */
static void *append(lowering *l, ag__list *list, size_t bytes) {
    if (!l->failed && ag__list_grow(l->c->tape, list, bytes, 1)) return (char *)list->data + bytes * list->count++;
    l->failed = true;
    return NULL;
}

static void append_place(lowering *l, ag__list *list, uint32_t place) {
    uint32_t *to = append(l, list, sizeof place);
    if (to) *to = place;
}

/* ---- Emitting ---- */

static uint32_t new_cell(lowering *l, uint32_t of, const ag_tensor *t, ag__where where, bool rows) {
    uint32_t s = l->plan->cells.count;
    ag__cell *cell = append(l, &l->plan->cells, sizeof *cell);
    if (!cell) return 0;
    *cell = (ag__cell){.place = of,
                       .where = (uint8_t)where,
                       .dtype = t->dtype,
                       .bytes = (uint8_t)ag__bytes(t),
                       .rows = rows,
                       .from = AG__NOWHERE};
    return s;
}

static uint32_t remember(lowering *l, uint32_t of, uint32_t cell) { return l->in->cell_of[of] = cell; }

/* The cell that was made for this place; AG__NOWHERE if none was. */
static uint32_t cell_of(const lowering *l, uint32_t of) {
    uint32_t s = l->in->cell_of[of];
    return s >= l->r->cell && s < l->plan->cells.count && cell_at(l, s)->place == of ? s : AG__NOWHERE;
}

static void emit(lowering *l, bool once, ag__instruction q, const uint32_t *x) {
    q.x = l->plan->operands.count;
    for (int i = 0; i < q.inputs; i++) append_place(l, &l->plan->operands, x[i]);
    ag__instruction *to = append(l, once ? &l->before : &l->body, sizeof q);
    if (to) *to = q;
}

/* ---- Operands ---- */

enum { SHOWS_ELEMENTS, SHOWS_ONE, SHOWS_COLUMNS, SHOWS_ROWS, SHOWS_STRIDED };

/* How a tensor of the region's size shows its elements. */
static int shows(const ag_tensor *t, int64_t *rows, int64_t *columns) {
    int64_t extent[2], stride[2];
    if (t->layout->contiguous) return SHOWS_ELEMENTS;
    if (!ag__two_axes(t->layout, extent, stride)) return SHOWS_STRIDED;
    *rows = extent[0], *columns = extent[1];
    if (stride[0] == 0 && stride[1] == 0) return SHOWS_ONE;
    if (stride[0] == 0 && stride[1] == 1) return SHOWS_COLUMNS;
    return stride[0] == 1 && stride[1] == 0 ? SHOWS_ROWS : SHOWS_STRIDED;
}

/* A cell of scratch memory that an instruction fills, from cell x or from the tensor itself. */
static uint32_t fetched(lowering *l, uint32_t c, ag__does does, bool once, uint32_t x) {
    bool rows = does == AG__FILL_ROWS || does == AG__PACK_ROWS, fills = does == AG__FILL || does == AG__FILL_ROWS;
    uint32_t one = fills ? new_cell(l, c, tensor_at(l, c), AG__AT_ONE, rows) : x;
    uint32_t y = new_cell(l, c, tensor_at(l, c), AG__AT_TEMP, rows);
    if (l->failed) return 0;
    ag__cell *cell = cell_at(l, y);
    cell->once = once;
    if (fills) cell_at(l, one)->one = true;
    if (fills || (does == AG__SPREAD && l->r->tile == 1)) cell->from = one;
    if (does == AG__SPREAD) cell->phase = cell_at(l, x)->phase;
    emit(l, once, (ag__instruction){.does = (uint8_t)does, .inputs = does == AG__SPREAD, .node = c, .y = y}, &x);
    return remember(l, c, y);
}

static uint32_t read_rows(lowering *l, uint32_t c) {
    const ag_tensor *t = tensor_at(l, c);
    if (t->layout->contiguous) return remember(l, c, new_cell(l, c, t, AG__AT_ROW, true));
    int64_t rows, columns;
    bool one = shows(t, &rows, &columns) == SHOWS_ONE;
    return fetched(l, c, one ? AG__FILL_ROWS : AG__PACK_ROWS, one, 0);
}

static uint32_t read_elements(lowering *l, uint32_t c) {
    const ag_tensor *t = tensor_at(l, c);
    const ag__region *r = l->r;
    int64_t rows = 0, columns = 0;
    int how = shows(t, &rows, &columns);
    bool fits = r->rows == rows && r->columns == columns;
    if (how == SHOWS_ELEMENTS) return remember(l, c, new_cell(l, c, t, AG__AT_ELEMENT, false));
    if (how == SHOWS_ONE) return fetched(l, c, AG__FILL, true, 0);
    if (how == SHOWS_COLUMNS && fits && r->tile > 1) return fetched(l, c, AG__REPEAT, true, 0);
    if (how == SHOWS_COLUMNS && fits) return remember(l, c, new_cell(l, c, t, AG__AT_COLUMN, false));
    if (how == SHOWS_ROWS && fits) return fetched(l, c, AG__SPREAD, false, new_cell(l, c, t, AG__AT_ROW, true));
    return fetched(l, c, AG__PACK, false, 0);
}

/* The cell from which an operation over elements, or over rows, reads canonical place c. */
static uint32_t operand(lowering *l, uint32_t c, bool over_rows) {
    uint32_t r = l->in->root[c], s = cell_of(l, c);
    const ag_tensor *t = tensor_at(l, c);
    bool computed = r < l->c->nodes && l->in->mark[r] == l->in->s &&
                    (l->in->role[r] == AG__ROLE_ROW || ag__shows_all(t, tensor_at(l, r)));
    if (computed) {
        bool spread = l->in->role[r] == AG__ROLE_ROW && !over_rows;
        if (!spread) return cell_of(l, r);
        return s != AG__NOWHERE ? s : fetched(l, c, AG__SPREAD, false, cell_of(l, r));
    }
    if (s != AG__NOWHERE) return s;
    return over_rows ? read_rows(l, c) : read_elements(l, c);
}

/* ---- Operations ---- */

static bool is_stored(const lowering *l, uint32_t i) { return l->in->stored[i] && l->in->step[i] == l->in->s; }

static uint32_t result_cell(lowering *l, uint32_t i, uint32_t phase) {
    bool rows = l->in->role[i] == AG__ROLE_ROW;
    ag__where where = !is_stored(l, i) ? AG__AT_TEMP : rows ? AG__AT_ROW : AG__AT_ELEMENT;
    uint32_t y = new_cell(l, i, tensor_at(l, i), where, rows);
    if (!l->failed) cell_at(l, y)->phase = phase;
    return remember(l, i, y);
}

static void lower_elementwise(lowering *l, uint32_t i) {
    const ag_tensor *t = tensor_at(l, i);
    uint32_t x[AG__MOST_INPUTS], phase = 0;
    bool over_rows = l->in->role[i] == AG__ROLE_ROW;
    for (int k = 0; k < t->arity && !l->failed; k++) {
        x[k] = operand(l, l->in->canon[l->c->operand[l->c->first[i] + (uint32_t)k]], over_rows);
        if (!l->failed && cell_at(l, x[k])->phase > phase) phase = cell_at(l, x[k])->phase;
    }
    uint32_t y = result_cell(l, i, phase);
    emit(l, false,
         (ag__instruction){.does = over_rows ? AG__MAP_ROWS : AG__MAP,
                           .inputs = t->arity,
                           .dtype = t->input[t->arity - 1]->dtype,
                           .node = i,
                           .y = y},
         x);
}

static void lower_reduction(lowering *l, uint32_t i) {
    static const uint8_t does[] = {[AG__ROLE_ROW] = AG__FOLD_ROWS,
                                   [AG__ROLE_DOWN] = AG__FOLD_DOWN,
                                   [AG__ROLE_ALL] = AG__FOLD_ALL,
                                   [AG__ROLE_LONG] = AG__FOLD_LONG};
    uint8_t role = l->in->role[i];
    uint32_t x = operand(l, l->in->canon[l->c->operand[l->c->first[i]]], false);
    if (l->failed) return;
    uint32_t y = role == AG__ROLE_ROW ? result_cell(l, i, cell_at(l, x)->phase + 1) : l->r->folds++;
    if (role == AG__ROLE_DOWN) l->r->down = true;
    emit(l, false,
         (ag__instruction){.does = does[role], .inputs = 1, .dtype = tensor_at(l, i)->dtype, .node = i, .y = y}, &x);
}

/* ---- The region's form ---- */

static void choose_form(lowering *l, const uint32_t *node, uint32_t count) {
    ag__region *r = l->r;
    int64_t rows, columns;
    for (uint32_t n = 0; n < count && r->rows == 0 && !r->flat; n++) {
        for (uint32_t k = l->c->first[node[n]]; k < l->c->first[node[n] + 1] && r->rows == 0; k++) {
            uint32_t c = l->in->canon[l->c->operand[k]];
            if (l->in->root[c] < l->c->nodes && l->in->mark[l->in->root[c]] == l->in->s) continue;
            int how = shows(tensor_at(l, c), &rows, &columns);
            if (tensor_at(l, c)->layout->size == r->size && (how == SHOWS_COLUMNS || how == SHOWS_ROWS))
                r->rows = rows, r->columns = columns;
        }
    }
    r->form = r->rows == 0 ? AG__FLAT : r->columns <= AG__MOST_ROW ? AG__ROWS : AG__WIDE;
    r->tile = 1;
    if (r->form == AG__ROWS && r->columns < AG__LONG_ROW)
        while (r->tile < r->rows && 2 * r->tile * r->columns <= AG__STRIP) r->tile *= 2;
    if (r->form == AG__ROWS && r->all && r->size <= AG__STRIP) r->tile = r->rows; /* one strip, as without rows */
}

/* Elements that a cell of scratch memory has. */
static int64_t strip_elements(const ag__region *r) {
    if (r->form == AG__ROWS) return r->tile * r->columns;
    return r->size < AG__STRIP ? r->size : AG__STRIP;
}

/* ---- Phases ---- */

typedef struct sorting {
    uint32_t phase, order, number;
} sorting;

static int by_phase(const void *a, const void *b) {
    const sorting *x = a, *y = b;
    if (x->phase != y->phase) return x->phase < y->phase ? -1 : 1;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static uint32_t phase_of(const lowering *l, const ag__instruction *q) {
    const uint32_t *x = ag__numbers(&l->plan->operands, q->x);
    if (q->does >= AG__FOLD_ALL) return AG__NOWHERE;
    if (q->does == AG__FOLD_ROWS) return cell_at(l, x[0])->phase;
    return cell_at(l, q->y)->phase;
}

/* What a phase's instructions are sorted by: each reads only what comes before. */
static uint32_t order_of(const ag__instruction *q) {
    static const uint8_t order[] = {
        [AG__MAP_ROWS] = 1, [AG__SPREAD] = 2, [AG__MAP] = 3, [AG__FOLD_ROWS] = 4, [AG__FOLDED_DOWN] = 0};
    return order[q->does];
}

static void sort_body(lowering *l) {
    bool sorted = true;
    sorting last = {0};
    for (uint32_t k = 0; k < l->body.count; k++) {
        sorting *s = append(l, &l->sorted, sizeof *s);
        if (!s) return;
        *s = (sorting){phase_of(l, body_at(l, k)), order_of(body_at(l, k)), k};
        sorted = sorted && by_phase(&last, s) <= 0;
        last = *s;
    }
    if (sorted) return;
    uint32_t n = l->body.count;
    if (!ag__list_grow(l->c->tape, &l->body, sizeof(ag__instruction), n)) {
        l->failed = true;
        return;
    }
    sorting *s = l->sorted.data;
    qsort(s, n, sizeof *s, by_phase);
    for (uint32_t k = 0; k < n; k++) *body_at(l, n + k) = *body_at(l, s[k].number);
    memmove(l->body.data, body_at(l, n), n * sizeof(ag__instruction));
}

/* ---- Machine code ---- */

static bool has_cell(const ag__instruction *q) { return q->does < AG__START_DOWN; }

/* Where machine code reads cell x: it can do without copies of one element. */
static uint32_t source_of(const lowering *l, uint32_t x) {
    uint32_t from = cell_at(l, x)->from;
    return from != AG__NOWHERE ? from : x;
}

static bool describe(const lowering *l, const ag__instruction *q, ag__code_step *step) {
    const uint32_t *x = ag__numbers(&l->plan->operands, q->x);
    *step = (ag__code_step){.op = tensor_at(l, q->node)->op, .dtype = q->dtype, .n = (uint8_t)q->inputs};
    for (int i = 0; i < q->inputs; i++) {
        uint32_t s = source_of(l, x[i]) - l->r->cell;
        if (s > UINT16_MAX) return false;
        step->x[i] = (uint16_t)s;
    }
    if (q->y - l->r->cell > UINT16_MAX) return false;
    step->y = (uint16_t)(q->y - l->r->cell);
    return true;
}

/* Cells as machine code over rows, or over elements, sees them: those that were made since they were last listed. */
static bool list_slots(lowering *l, bool rows) {
    if (rows != l->slots_for_rows) l->slots.count = 0;
    l->slots_for_rows = rows;
    for (uint32_t i = l->slots.count; i < l->plan->cells.count - l->r->cell; i++) {
        const ag__cell *cell = cell_at(l, l->r->cell + i);
        ag__code_slot *s = append(l, &l->slots, sizeof *s);
        if (!s) return false;
        *s = (ag__code_slot){
            .dtype = cell->dtype, .one = cell->where == AG__AT_ONE || (cell->rows && !rows), .lanes = cell->lanes};
    }
    return true;
}

/* How far instructions from k on can become one piece of machine code. */
static uint32_t run_end(lowering *l, uint32_t k) {
    uint8_t does = body_at(l, k)->does;
    uint32_t end = k;
    l->steps.count = 0;
    for (; end < l->body.count && body_at(l, end)->does == does && does <= AG__MAP_ROWS && end - k < AG__MOST_IN_RUN;
         end++) {
        ag__code_step *step = append(l, &l->steps, sizeof *step);
        if (!step || !describe(l, body_at(l, end), step) || !ag__compilable(step, l->slots.data)) break;
        step->attributes = (uint16_t)(end - k);
    }
    if (l->steps.count > end - k) l->steps.count = end - k;
    return end;
}

/* Whether cell x has its value when instruction `end` is reached, as one that machine code can read. */
static bool is_there(const lowering *l, uint32_t x, uint32_t end) {
    for (uint32_t j = end; j < l->body.count; j++)
        if (has_cell(body_at(l, j)) && body_at(l, j)->y == x) return false;
    return !cell_at(l, x)->rows;
}

/* A cell for the folds so far, and one for those that follow, in the same memory. */
static uint32_t new_folds(lowering *l, const ag_tensor *t, const ag__instruction *q) {
    bool down = q->does == AG__FOLD_DOWN;
    uint32_t cell = 0;
    for (int i = 0; i < 2; i++) {
        cell = new_cell(l, AG__NOWHERE, t, down ? AG__AT_FOLD : AG__AT_TEMP, false);
        if (l->failed) return 0;
        cell_at(l, cell)->temp = down ? q->y : l->r->temps;
        cell_at(l, cell)->lanes = cell_at(l, cell)->once = !down;
    }
    if (!down) l->r->temps += (uint32_t)(AG__LANES * ag__bytes(t) + 63) / 64;
    return cell - 1;
}

static bool foldable(const lowering *l, const ag__instruction *q) {
    const ag_tensor *t = tensor_at(l, q->node);
    if (q->does != AG__FOLD_DOWN && q->does != AG__FOLD_ROWS) return false;
    if (q->does == AG__FOLD_ROWS && (l->r->columns < AG__LANES || l->r->columns > AG__STRIP)) return false;
    return t->op->reduction->join && t->op->reduction->join->trace[t->dtype];
}

/* Folds of what is there, after a run or without one, become steps of it: those of columns, which add to their group's
 * partial folds, and those of rows in the same phase. */
static void take_folds(lowering *l, uint32_t end) {
    bool rows = true;
    for (uint32_t j = end; j < l->body.count && l->r->tile == 1 && !l->failed; j++) {
        ag__instruction *q = body_at(l, j);
        rows = rows && q->does == AG__FOLD_ROWS;
        if (!foldable(l, q) || (q->does == AG__FOLD_ROWS && !rows)) continue;
        uint32_t x = source_of(l, ((uint32_t *)l->plan->operands.data)[q->x]), first = l->r->cell;
        if (!is_there(l, x, end)) continue;
        const ag_tensor *t = tensor_at(l, q->node);
        uint32_t folds = new_folds(l, t, q);
        ag__code_step *step = append(l, &l->steps, sizeof *step);
        if (!step || folds + 1 - first > UINT16_MAX) {
            l->failed = true;
            return;
        }
        *step = (ag__code_step){.op = t->op->reduction->join, .dtype = t->dtype, .n = 2};
        step->x[0] = (uint16_t)(folds - first);
        step->x[1] = (uint16_t)(x - first);
        step->y = (uint16_t)(folds + 1 - first);
        q->outputs = folds; /* taken, if code can be made */
    }
}

/* Whether code was made or not, nothing is taken any more. */
static void settle_folds(lowering *l, uint32_t end, bool made) {
    for (uint32_t j = end; j < l->body.count; j++) {
        ag__instruction *q = body_at(l, j);
        if ((q->does != AG__FOLD_DOWN && q->does != AG__FOLD_ROWS) || !q->outputs) continue;
        if (made && q->does == AG__FOLD_DOWN) {
            q->does = AG__FOLDED_DOWN, q->inputs = 0, q->x = q->outputs;
        } else if (made) {
            uint32_t lanes = q->outputs;
            q->does = AG__FOLD_LANES;
            q->x = l->plan->operands.count;
            append_place(l, &l->plan->operands, lanes);
        }
        q->outputs = 0;
    }
}

/* The results of a run that are needed after it: stored ones, and those that other instructions read. */
static void mark_outputs(lowering *l, uint32_t k, uint32_t end) {
    for (uint32_t j = 0; j < l->body.count; j++) {
        const ag__instruction *q = body_at(l, j);
        if ((j >= k && j < end) || ((q->does == AG__FOLD_DOWN || q->does == AG__FOLD_ROWS) && q->outputs)) continue;
        const uint32_t *x = ag__numbers(&l->plan->operands, q->x);
        for (int i = 0; i < q->inputs; i++) cell_at(l, x[i])->written = true;
    }
    ag__code_slot *slot = l->slots.data;
    for (uint32_t i = 0; i < l->slots.count; i++) {
        const ag__cell *cell = cell_at(l, l->r->cell + i);
        slot[i].out = cell->where > AG__AT_ONE || cell->lanes || (cell->where == AG__AT_TEMP && cell->written);
    }
    for (uint32_t i = l->r->cell; i < l->plan->cells.count; i++) cell_at(l, i)->written = false;
}

/* The list of what the run reads and of what it writes, each cell once. */
static void list_operands(lowering *l, ag__instruction *run) {
    const ag__code_step *step = l->steps.data;
    const ag__code_slot *slot = l->slots.data;
    run->x = l->plan->operands.count;
    run->inputs = 0, run->outputs = 0;
    for (uint32_t i = 0; i < l->steps.count; i++) cell_at(l, l->r->cell + step[i].y)->written = true;
    for (uint32_t i = 0; i < l->steps.count; i++) {
        for (int j = 0; j < step[i].n; j++) {
            ag__cell *cell = cell_at(l, l->r->cell + step[i].x[j]);
            if (cell->written || cell->freed) continue;
            cell->freed = true;
            append_place(l, &l->plan->operands, l->r->cell + step[i].x[j]);
            run->inputs++;
        }
    }
    for (uint32_t i = 0; i < l->steps.count; i++) /* the phase has served; from now on: the last step that reads */
        for (int j = 0; j < step[i].n; j++) cell_at(l, l->r->cell + step[i].x[j])->phase = i;
    for (uint32_t i = 0; i < l->steps.count; i++) cell_at(l, l->r->cell + step[i].y)->made = i;
    for (uint32_t i = 0; i < l->steps.count; i++) {
        ag__cell *cell = cell_at(l, l->r->cell + step[i].y);
        if (slot[step[i].y].out) {
            append_place(l, &l->plan->operands, l->r->cell + step[i].y);
            run->outputs++;
        } else {
            cell->where = AG__AT_NOTHING;
        }
    }
    for (uint32_t i = l->r->cell; i < l->plan->cells.count; i++) cell_at(l, i)->written = cell_at(l, i)->freed = false;
}

/* Make room for instructions at k. */
static void insert_instructions(lowering *l, uint32_t k, uint32_t count) {
    if (l->failed || !ag__list_grow(l->c->tape, &l->body, sizeof(ag__instruction), count)) {
        l->failed = true;
        return;
    }
    memmove(body_at(l, k + count), body_at(l, k), (l->body.count - k) * sizeof(ag__instruction));
    l->body.count += count;
}

static void remove_instructions(lowering *l, uint32_t from, uint32_t to) {
    memmove(body_at(l, from), body_at(l, to), (l->body.count - to) * sizeof(ag__instruction));
    l->body.count -= to - from;
}

/* Before each run, the lanes of the folds that it takes are set to what changes nothing. */
static uint32_t start_lanes(lowering *l, uint32_t run) {
    uint32_t count = 0;
    for (uint32_t j = run + 1; j < l->body.count; j++) {
        if (body_at(l, j)->does == AG__FOLD_ROWS) continue;
        if (body_at(l, j)->does != AG__FOLD_LANES) break;
        insert_instructions(l, run, 1);
        if (l->failed) break;
        const ag__instruction *fold = body_at(l, ++j);
        uint32_t lanes = ((uint32_t *)l->plan->operands.data)[fold->x];
        *body_at(l, run++) =
            (ag__instruction){.does = AG__START_LANES, .dtype = fold->dtype, .node = fold->node, .y = lanes};
        count++;
    }
    return count;
}

/* Whether an instruction reads a copy that machine code does without. */
static bool copies(const lowering *l, uint32_t k) {
    const ag__instruction *q = body_at(l, k);
    const uint32_t *x = ag__numbers(&l->plan->operands, q->x);
    bool any = false;
    for (int i = 0; i < q->inputs; i++) any = any || source_of(l, x[i]) != x[i];
    return any;
}

/* Instructions k … end−1, of which there may be none, and folds after them become one; returns the number of the first
 * instruction after that. */
static uint32_t make_run(lowering *l, uint32_t k, uint32_t end, bool rows) {
    uint32_t maps = l->steps.count;
    if (!rows) take_folds(l, end);
    bool pays = maps == 0 || l->steps.count >= FEWEST_STEPS || copies(l, k);
    if (l->failed || l->steps.count == 0 || !pays || !list_slots(l, rows)) {
        settle_folds(l, end, false);
        return end;
    }
    mark_outputs(l, k, end);
    ag__code *code = ag__compile(l->c->tape, (int)l->steps.count, l->steps.data, (int)l->slots.count, l->slots.data);
    settle_folds(l, end, code != NULL);
    if (!code) return end;
    ag__instruction run = {.does = rows ? AG__RUN_ROWS : AG__RUN, .node = l->plan->codes.count};
    run.attribute = l->plan->attributes.count - l->r->attribute;
    for (uint32_t i = k; i < end; i++) append_place(l, &l->plan->attributes, body_at(l, i)->node);
    ag__code **to = append(l, &l->plan->codes, sizeof code);
    if (to) *to = code;
    else ag__code_release(l->c->tape, code);
    list_operands(l, &run);
    if (k == end) insert_instructions(l, k, 1);
    else remove_instructions(l, k + 1, end);
    if (l->failed) return k;
    *body_at(l, k) = run;
    return k + 1 + start_lanes(l, k);
}

/* Whether elementwise instruction k, or a fold that has nothing of the kind before it, can begin a run. */
static bool may_begin(const lowering *l, uint32_t k, uint8_t before) {
    const ag__instruction *q = body_at(l, k);
    if (q->does == AG__MAP || q->does == AG__MAP_ROWS) return true;
    return l->r->tile == 1 && foldable(l, q) && before != AG__RUN && before != AG__FOLD_LANES;
}

static void make_code(lowering *l) {
    if (!l->c->tape->compile || (!l->in->whole && l->r->size < AG__AT_ONCE)) return;
    for (uint32_t k = 0; k < l->body.count && !l->failed;) {
        uint8_t does = body_at(l, k)->does;
        if (!may_begin(l, k, k ? body_at(l, k - 1)->does : AG__FILL) || !list_slots(l, does == AG__MAP_ROWS)) {
            k++;
            continue;
        }
        uint32_t end = run_end(l, k), next = l->failed ? k : make_run(l, k, end, does == AG__MAP_ROWS);
        k = next > k ? next : k + 1;
    }
}

/* Partial folds that machine code adds to begin with what changes nothing. */
static void start_folds(lowering *l) {
    uint32_t n = l->body.count, starts = 0;
    for (uint32_t k = 0; k < n; k++) starts += body_at(l, k)->does == AG__FOLDED_DOWN;
    if (!starts || l->failed) return;
    if (!ag__list_grow(l->c->tape, &l->body, sizeof(ag__instruction), starts)) {
        l->failed = true;
        return;
    }
    memmove(body_at(l, starts), body_at(l, 0), n * sizeof(ag__instruction));
    l->body.count += starts;
    for (uint32_t k = starts, s = 0; k < n + starts; k++) {
        ag__instruction *q = body_at(l, k);
        if (q->does != AG__FOLDED_DOWN) continue;
        *body_at(l, s++) = (ag__instruction){.does = AG__START_DOWN, .dtype = q->dtype, .node = q->node, .y = q->x};
    }
}

/* ---- Scratch memory ---- */

static int kind_of(const ag__cell *s) { return (s->bytes == 1 ? 0 : s->bytes == 4 ? 1 : 2) + (s->rows ? 3 : 0); }

static uint32_t units_of(const lowering *l, const ag__cell *s) {
    int64_t n = s->rows ? l->r->tile : strip_elements(l->r);
    return (uint32_t)((n * s->bytes + 63) / 64);
}

/* Give cell y memory that nobody reads any more, or further memory. */
static void take(lowering *l, ag__cell *y) {
    if (y->where != AG__AT_TEMP || y->lanes) return;
    uint32_t free_cell = y->once ? AG__NOWHERE : l->free_cell[kind_of(y)];
    if (free_cell == AG__NOWHERE) {
        y->temp = l->r->temps;
        l->r->temps += units_of(l, y);
    } else {
        y->temp = cell_at(l, free_cell)->temp;
        l->free_cell[kind_of(y)] = cell_at(l, free_cell)->last;
    }
}

/* Free what instruction k was the last to read. The list is threaded through `last`, which has served. */
static void give_back(lowering *l, const ag__instruction *q, uint32_t k) {
    const uint32_t *x = ag__numbers(&l->plan->operands, q->x);
    for (int i = 0; i < q->inputs; i++) {
        ag__cell *s = cell_at(l, x[i]);
        if (s->where != AG__AT_TEMP || s->once || s->last != k || s->freed) continue;
        s->last = l->free_cell[kind_of(s)];
        s->freed = true;
        l->free_cell[kind_of(s)] = x[i];
    }
}

static void assign_scratch(lowering *l) {
    ag__instruction *before = l->before.data;
    const uint32_t *operands = l->plan->operands.data;
    for (uint32_t k = 0; k < l->before.count; k++) take(l, cell_at(l, before[k].y));
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = body_at(l, k);
        bool map = q->does == AG__MAP || q->does == AG__MAP_ROWS; /* may write over what it reads */
        if (map) give_back(l, q, k);
        if (has_cell(q)) take(l, cell_at(l, q->y));
        for (uint32_t i = 0; i < q->outputs; i++) take(l, cell_at(l, operands[q->x + q->inputs + i]));
        if (!map) give_back(l, q, k);
    }
}

/* ---- What nobody reads ---- */

static bool only_fetches(const ag__instruction *q) {
    return q->does == AG__FILL || q->does == AG__FILL_ROWS || q->does == AG__SPREAD;
}

static void note_readers(lowering *l) {
    for (uint32_t i = l->r->cell; i < l->plan->cells.count; i++) cell_at(l, i)->last = AG__NOWHERE;
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = body_at(l, k);
        const uint32_t *x = ag__numbers(&l->plan->operands, q->x);
        for (int i = 0; i < q->inputs; i++) cell_at(l, x[i])->last = k;
    }
}

static void drop_unread(lowering *l, ag__list *list) {
    ag__instruction *q = list->data;
    uint32_t kept = 0;
    for (uint32_t k = 0; k < list->count; k++) {
        bool unread = only_fetches(&q[k]) && cell_at(l, q[k].y)->last == AG__NOWHERE;
        if (unread) cell_at(l, q[k].y)->where = AG__AT_NOTHING;
        else q[kept++] = q[k];
    }
    list->count = kept;
}

/* ---- Results in the place of what is read for the last time ---- */

/* Whether result y of instruction k may be written over input x, as far as this region is concerned. */
static bool may_replace(const lowering *l, const ag__instruction *q, uint32_t k, uint32_t x, uint32_t y) {
    const ag__cell *from = cell_at(l, x), *to = cell_at(l, y);
    if (from->where != AG__AT_ELEMENT || to->where != AG__AT_ELEMENT || from->bytes != to->bytes) return false;
    if (from->last > k || from->freed) return false;
    if (from->place >= l->c->nodes) {
        if (ag__next_value(tensor_at(l, from->place)) != tensor_at(l, to->place)) return false;
    } else if (l->c->kept[from->place] || l->in->root[from->place] != from->place ||
               l->in->step[from->place] == l->in->s) {
        return false;
    }
    return from->last < k || q->does == AG__MAP || from->phase <= to->made;
}

/* For each result that a variable becomes, the cell of what the variable was: in `from`, which has served. */
static void find_former_values(lowering *l) {
    for (uint32_t i = l->r->cell; i < l->plan->cells.count; i++) cell_at(l, i)->from = AG__NOWHERE;
    for (uint32_t i = l->r->cell; i < l->plan->cells.count; i++) {
        const ag__cell *cell = cell_at(l, i);
        if (cell->where != AG__AT_ELEMENT || cell->place < l->c->nodes) continue;
        const ag_tensor *y = ag__next_value(tensor_at(l, cell->place));
        if (!y || y->index >= l->c->nodes || tensor_at(l, y->index) != y) continue;
        uint32_t s = cell_of(l, y->index);
        if (s != AG__NOWHERE && cell_at(l, s)->from == AG__NOWHERE) cell_at(l, s)->from = i;
    }
}

/* Over an input, or over the variable that becomes y, wherever it was read for the last time. */
static void find_place(lowering *l, const ag__instruction *q, uint32_t k, uint32_t y) {
    const uint32_t *x = ag__numbers(&l->plan->operands, q->x);
    uint32_t from = AG__NOWHERE, former = cell_at(l, y)->from;
    for (int i = 0; i < q->inputs && from == AG__NOWHERE; i++)
        if (may_replace(l, q, k, x[i], y)) from = x[i];
    if (from == AG__NOWHERE && former != AG__NOWHERE && may_replace(l, q, k, former, y)) from = former;
    cell_at(l, y)->from = from;
    if (from != AG__NOWHERE) cell_at(l, from)->freed = true; /* taken */
}

static void find_places(lowering *l) {
    uint32_t more = l->plan->outputs.count - l->plan->reuse.count;
    if (l->failed || !ag__list_grow(l->c->tape, &l->plan->reuse, 2 * sizeof(uint32_t), more)) {
        l->failed = true;
        return;
    }
    uint32_t *added = ag__numbers(&l->plan->reuse, 2 * (size_t)l->plan->reuse.count);
    if (more) memset(added, 0xff, 2 * (size_t)more * sizeof *added);
    l->plan->reuse.count += more;
    find_former_values(l);
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = body_at(l, k);
        const uint32_t *x = ag__numbers(&l->plan->operands, q->x);
        if (q->does == AG__MAP) find_place(l, q, k, q->y);
        for (uint32_t i = 0; q->does == AG__RUN && i < q->outputs; i++) find_place(l, q, k, x[q->inputs + i]);
    }
    for (uint32_t o = l->r->output; o < l->plan->outputs.count; o++) {
        uint32_t y = cell_of(l, ((uint32_t *)l->plan->outputs.data)[o]);
        if (y == AG__NOWHERE || cell_at(l, y)->where != AG__AT_ELEMENT || cell_at(l, y)->from == AG__NOWHERE) continue;
        ((uint32_t *)l->plan->reuse.data)[2 * o] = cell_at(l, cell_at(l, y)->from)->place;
    }
    for (uint32_t i = l->r->cell; i < l->plan->cells.count; i++) cell_at(l, i)->freed = false;
}

/* ---- All of it ---- */

static uint32_t append_all(lowering *l, const ag__list *from) {
    ag__list *list = &l->plan->instructions;
    uint32_t first = list->count;
    if (l->failed || !ag__list_grow(l->c->tape, list, sizeof(ag__instruction), from->count)) {
        l->failed = true;
        return 0;
    }
    if (from->count) memcpy((ag__instruction *)list->data + first, from->data, from->count * sizeof(ag__instruction));
    list->count += from->count;
    return first;
}

static void finish(lowering *l) {
    ag__region *r = l->r;
    if (!l->failed) sort_body(l);
    if (!l->failed) make_code(l);
    if (!l->failed) start_folds(l);
    if (l->failed) return;
    note_readers(l);
    drop_unread(l, &l->before);
    drop_unread(l, &l->body);
    note_readers(l);
    find_places(l);
    assign_scratch(l);
    r->cells = l->plan->cells.count - r->cell;
    r->attributes = l->plan->attributes.count - r->attribute;
    r->outputs = l->plan->outputs.count - r->output;
    r->once = append_all(l, &l->before);
    r->prepares = l->before.count;
    r->begin = append_all(l, &l->body);
    r->count = l->body.count;
}

bool ag__lower(ag__plan *plan, const ag__chunk_nodes *c, ag__region *r, const uint32_t *node, uint32_t count,
               const ag__inside *in) {
    lowering l = {.plan = plan, .c = c, .r = r, .in = in};
    for (int i = 0; i < KINDS; i++) l.free_cell[i] = AG__NOWHERE;
    r->cell = plan->cells.count;
    r->attribute = plan->attributes.count;
    r->output = plan->outputs.count;
    r->work = r->size * count;
    choose_form(&l, node, count);
    for (uint32_t k = 0; k < count && !l.failed; k++) {
        uint32_t i = node[k];
        if (tensor_at(&l, i)->op->kind == AG_KIND_ELEMENTWISE) lower_elementwise(&l, i);
        else lower_reduction(&l, i);
        if (is_stored(&l, i)) append_place(&l, &plan->outputs, i);
    }
    if (r->down) r->work /= AG__DOWN_LESS;
    finish(&l);
    ag__list_free(c->tape, &l.body, sizeof(ag__instruction));
    ag__list_free(c->tape, &l.before, sizeof(ag__instruction));
    ag__list_free(c->tape, &l.sorted, sizeof(sorting));
    ag__list_free(c->tape, &l.steps, sizeof(ag__code_step));
    ag__list_free(c->tape, &l.slots, sizeof(ag__code_slot));
#ifndef NDEBUG
    if (!l.failed) l.failed = !ag__verify(plan, c, r, in);
#endif
    return !l.failed;
}
