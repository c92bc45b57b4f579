/* runs -- adjacent elementwise operations of a region become one loop of machine code
 *
 * Folds of available values, after a run or without one, become steps of it: those of columns, which add to their
 * group's partial folds, and those of rows in the same phase. A run stores the values that other instructions or
 * later steps need. */
#include "autograd/eval/encode.h"
#include "autograd/eval/lowering.h"

#include <string.h>

enum { FEWEST_STEPS = 2 }; /* worth machine code */

static const ag_tensor *tensor_of(const ag__lowering *l, const ag__instruction *q) { return l->c->table[q->node]; }
static bool failed(const ag__lowering *l) { return l->p->maker.failed; }

/* The cell that machine code reads for x: it needs no copies of one element. */
static uint32_t source_of(const ag__lowering *l, uint32_t x) {
    uint32_t from = ag__note_of(l, x)->copy_of;
    return from != AG__NONE ? from : x;
}

/* The cell that is slot number `slot` of machine code. */
static uint32_t cell_of_slot(const ag__lowering *l, uint16_t slot) { return l->r->cell + slot; }

/* ---- The operations ---- */

/* False if there are too many cells. */
static bool describe(const ag__lowering *l, const ag__instruction *q, ag__code_step *step) {
    const uint32_t *x = ag__operands_of(l, q), first = l->r->cell;
    *step = (ag__code_step){.op = tensor_of(l, q)->op, .dtype = q->dtype, .n = (uint8_t)q->inputs};
    for (int i = 0; i < q->inputs; i++) {
        if (source_of(l, x[i]) - first > UINT16_MAX) return false;
        step->x[i] = (uint16_t)(source_of(l, x[i]) - first);
    }
    step->y = (uint16_t)(q->y - first);
    return q->y - first <= UINT16_MAX;
}

/* List new cells as slots of machine code over rows, or over elements. */
static void list_slots(ag__lowering *l, bool rows) {
    if (rows != l->slots_for_rows) l->slots.count = 0;
    l->slots_for_rows = rows;
    for (uint32_t i = l->slots.count; i < l->notes.count; i++) {
        const ag__cell *cell = ag__cell_at(l, l->r->cell + i);
        bool one = cell->where == AG__AT_ONE || (cell->rows && !rows && l->r->inner == 1);
        AG__APPEND(&l->p->maker, &l->slots, (ag__code_slot){.dtype = cell->dtype, .one = one, .lanes = cell->lanes});
    }
}

/* The end of the at most `most` instructions from k on that can become one piece of machine code; lists its steps. */
static uint32_t run_end(ag__lowering *l, uint32_t k, uint32_t most) {
    uint8_t does = l->body.at[k].does;
    uint32_t end = k;
    l->steps.count = 0;
    for (; end < l->body.count && does <= AG__MAP_ROWS && end - k < most; end++) {
        ag__code_step step;
        if (l->body.at[end].does != does || !describe(l, &l->body.at[end], &step)) break;
        if (!ag__compilable(l->c->tape, &step, l->slots.at)) break;
        step.attributes = (uint16_t)(end - k);
        AG__APPEND(&l->p->maker, &l->steps, step);
    }
    return end;
}

/* ---- Folds that become part of a run ---- */

/* Whether cell x has its value before instruction `end`, in a form that machine code can read. */
static bool is_there(const ag__lowering *l, uint32_t x, uint32_t end) {
    for (uint32_t j = end; j < l->body.count; j++)
        if (ag__has_cell(&l->body.at[j]) && l->body.at[j].y == x) return false;
    return !ag__cell_at(l, x)->rows;
}

/* Whether rows are folded in blocks, whose results are joined. */
static bool in_blocks(const ag__lowering *l, const ag__instruction *q) {
    return q->does == AG__FOLD_ROWS && l->r->columns > AG__STRIP;
}

/* A cell for the folds so far, and one for those that follow, in the same memory; and one for the results of blocks, if
 * there are any. */
static uint32_t new_folds(ag__lowering *l, const ag_tensor *t, const ag__instruction *q) {
    bool down = q->does == AG__FOLD_DOWN;
    for (int i = 0; i < 2; i++) {
        uint32_t cell = ag__cell_new(l, AG__NONE, t, down ? AG__AT_FOLD : AG__AT_TEMP, false);
        if (failed(l)) return 0;
        ag__cell_at(l, cell)->temp = down ? q->y : l->r->temps;
        ag__cell_at(l, cell)->lanes = ag__cell_at(l, cell)->once = !down;
    }
    const uint32_t folds = l->plan->cells.count - 2;
    if (!down) l->r->temps += ag__units(AG__LANES, ag__bytes(t));
    if (in_blocks(l, q)) { /* they have memory of their own: more than other cells of rows */
        const uint32_t blocks = ag__cell_new(l, AG__NONE, t, AG__AT_TEMP, true);
        if (!failed(l)) ag__cell_at(l, blocks)->once = true;
    }
    return folds;
}

static bool foldable(const ag__lowering *l, const ag__instruction *q) {
    const ag_tensor *t = tensor_of(l, q);
    if (q->does != AG__FOLD_DOWN && q->does != AG__FOLD_ROWS) return false;
    const int64_t last = l->r->columns % AG__STRIP; /* of few elements lanes would not have the order of a fold */
    if (q->does == AG__FOLD_ROWS && last > 0 && last < AG__LANES) return false;
    return t->dtype != AG_I64 && t->op->reduction->join && t->op->reduction->join->trace[t->dtype];
}

static void take_fold(ag__lowering *l, uint32_t j, uint32_t x) {
    const ag__instruction *q = &l->body.at[j];
    const ag_tensor *t = tensor_of(l, q);
    uint32_t folds = new_folds(l, t, q), first = l->r->cell;
    if (failed(l) || folds + 1 - first > UINT16_MAX) {
        l->p->maker.failed = true;
        return;
    }
    ag__code_step step = {.op = t->op->reduction->join, .dtype = t->dtype, .n = 2, .y = (uint16_t)(folds + 1 - first)};
    step.x[0] = (uint16_t)(folds - first);
    step.x[1] = (uint16_t)(x - first);
    AG__APPEND(&l->p->maker, &l->steps, step);
    AG__APPEND(&l->p->maker, &l->taken, (ag__taken_fold){j, folds});
}

static void take_folds(ag__lowering *l, uint32_t end) {
    bool rows = true; /* so far */
    for (uint32_t j = end; j < l->body.count && l->r->tile == 1 && !failed(l); j++) {
        const ag__instruction *q = &l->body.at[j];
        rows = rows && q->does == AG__FOLD_ROWS;
        if (!foldable(l, q) || (q->does == AG__FOLD_ROWS && !rows)) continue;
        uint32_t x = source_of(l, ag__operands_of(l, q)[0]);
        if (is_there(l, x, end)) take_fold(l, j, x);
    }
}

/* Machine code does them. */
static void replace_folds(ag__lowering *l) {
    for (uint32_t i = 0; i < l->taken.count; i++) {
        ag__instruction *q = &l->body.at[l->taken.at[i].instruction];
        ag__instruction start = {.does = AG__START_DOWN, .dtype = q->dtype, .node = q->node, .y = l->taken.at[i].folds};
        if (q->does == AG__FOLD_DOWN) AG__APPEND(&l->p->maker, &l->starts, start);
        q->inputs = in_blocks(l, q);
        q->does = q->does == AG__FOLD_DOWN ? AG__FOLDED_DOWN : AG__FOLDED_ROW;
        q->x = l->plan->operands.count;
        if (q->inputs) AG__APPEND(&l->p->maker, &l->plan->operands, l->taken.at[i].folds + 2);
    }
}

static bool has_finish(const ag__lowering *l, const ag__instruction *q) {
    return tensor_of(l, q)->op->reduction->finish[q->dtype];
}

/* Without what has nothing left to do. */
static void drop_folded(ag__lowering *l) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = &l->body.at[k];
        if (q->does != AG__FOLDED_ROW || q->inputs || has_finish(l, q)) l->body.at[count++] = *q;
    }
    l->body.count = count;
}

/* ---- Inputs and outputs of a run ---- */

/* Mark the results that are needed after the run: stored ones, and those read by instructions other than k … end−1
 * and the folds that it takes. */
static void mark_outputs(ag__lowering *l, uint32_t k, uint32_t end) {
    uint32_t taken = 0;
    for (uint32_t j = 0; j < l->body.count; j++) {
        const ag__instruction *q = &l->body.at[j];
        bool inside = j >= k && j < end, is_taken = taken < l->taken.count && l->taken.at[taken].instruction == j;
        taken += is_taken;
        for (uint32_t i = 0; i < q->inputs && !inside && !is_taken; i++)
            ag__note_of(l, ag__operands_of(l, q)[i])->asked = l->runs;
    }
    for (uint32_t i = 0; i < l->slots.count; i++) {
        const ag__cell *cell = ag__cell_at(l, l->r->cell + i);
        const bool read = l->notes.at[i].asked == l->runs, asked = cell->where == AG__AT_TEMP && read;
        l->slots.at[i].out = cell->where > AG__AT_ONE || cell->lanes || asked;
        l->slots.at[i].past = !read && ag__may_stream(l, cell);
        l->slots.at[i].result = 0;
    }
    for (uint32_t i = 0; i < l->taken.count; i++) {
        const ag__instruction *q = &l->body.at[l->taken.at[i].instruction];
        const uint32_t lanes = l->taken.at[i].folds + 1, result = in_blocks(l, q) ? lanes + 1 : q->y;
        if (q->does == AG__FOLD_ROWS) l->slots.at[lanes - l->r->cell].result = (uint16_t)(result - l->r->cell + 1);
    }
}

/* Each cell that the run reads from memory, once. */
static void list_inputs(ag__lowering *l, ag__instruction *run) {
    run->x = l->plan->operands.count;
    for (uint32_t i = 0; i < l->steps.count; i++) {
        ag__note *y = ag__note_of(l, cell_of_slot(l, l->steps.at[i].y));
        y->written = l->runs;
        y->made_at = i;
    }
    for (uint32_t i = 0; i < l->steps.count; i++)
        for (int j = 0; j < l->steps.at[i].n; j++) {
            uint32_t x = cell_of_slot(l, l->steps.at[i].x[j]);
            ag__note *note = ag__note_of(l, x);
            note->read_at = i;
            if (note->written == l->runs || note->listed == l->runs || ag__cell_at(l, x)->lanes) continue;
            note->listed = l->runs;
            AG__APPEND(&l->p->maker, &l->plan->operands, x);
            run->inputs++;
        }
}

/* Each cell that it writes to memory; the others live in registers. */
static void list_outputs(ag__lowering *l, ag__instruction *run) {
    for (uint32_t i = 0; i < l->steps.count; i++) {
        uint16_t slot = l->steps.at[i].y;
        if (!l->slots.at[slot].out) {
            ag__cell_at(l, cell_of_slot(l, slot))->where = AG__AT_NOTHING;
            continue;
        }
        ag__note_of(l, cell_of_slot(l, slot))->streamed = l->slots.at[slot].past;
        const uint16_t result = l->slots.at[slot].result;
        AG__APPEND(&l->p->maker, &l->plan->operands, cell_of_slot(l, result ? (uint16_t)(result - 1) : slot));
        run->outputs++;
    }
}

/* ---- The body ---- */

/* Put `count` instructions in the place of those from `from` to `to`. */
static void replace_instructions(ag__lowering *l, uint32_t from, uint32_t to, const ag__instruction *q,
                                 uint32_t count) {
    if (!AG__ROOM(&l->p->maker, &l->body, count)) return;
    memmove(&l->body.at[from + count], &l->body.at[to], (l->body.count - to) * sizeof *l->body.at);
    for (uint32_t i = 0; i < count; i++) l->body.at[from + i] = q[i];
    l->body.count += count - (to - from);
}

/* Whether an instruction reads a copy that machine code does not need. */
static bool reads_copies(const ag__lowering *l, uint32_t k) {
    const ag__instruction *q = &l->body.at[k];
    const uint32_t *x = ag__operands_of(l, q);
    bool any = false;
    for (int i = 0; i < q->inputs; i++) any = any || source_of(l, x[i]) != x[i];
    return any;
}

static bool is_worth_code(const ag__lowering *l, uint32_t k) {
    const ag__instruction *q = &l->body.at[k];
    return ag__is_worth_code(tensor_of(l, q)->op, q->dtype);
}

/* Otherwise it is used if there is some: other regions or plans may have the same programs. */
bool ag__pays_to_compile(const ag__lowering *l) {
    const ag__planner *p = l->p;
    if (!l->c->tape->compile) return false;
    return p->whole || l->r->size >= AG__AT_ONCE ||
           (p->alike && p->alike[ag__step_at(p, l->s)->what] >= AG__MANY_ALIKE);
}

/* The code of the listed steps from `first` on; NULL if there is none. */
static ag__code *compile(ag__lowering *l, uint32_t first) {
    ag__code *(*const compiled)(ag_tape *, int, const ag__code_step *, int, const ag__code_slot *) =
        ag__pays_to_compile(l) ? ag__compile : ag__compiled;
    const int steps = (int)(l->steps.count - first);
    ag__code *code = compiled(l->c->tape, steps, AG__FROM(&l->steps, first), (int)l->slots.count, l->slots.at);
    if (code && AG__ROOM(&l->p->maker, &l->plan->codes, 1)) l->plan->codes.at[l->plan->codes.count++] = code;
    else if (code) ag__code_release(l->c->tape, code);
    return failed(l) ? NULL : code;
}

/* Make one instruction of k … end−1, which may be empty, and the folds after them; returns the number of the next
 * instruction: k, if so many operations could not be compiled, and fewer are worth a try. */
static uint32_t make_run(ag__lowering *l, uint32_t k, uint32_t end, bool rows) {
    uint32_t maps = l->steps.count;
    l->taken.count = 0;
    l->runs++;
    if (!rows) take_folds(l, end);
    bool pays = maps == 0 || l->steps.count >= FEWEST_STEPS || reads_copies(l, k) || is_worth_code(l, k);
    list_slots(l, rows);
    if (failed(l) || l->steps.count == 0 || !pays) return end;
    mark_outputs(l, k, end);
    ag__instruction run = {.does = rows ? AG__RUN_ROWS : AG__RUN, .node = l->plan->codes.count};
    for (uint32_t i = 0; i < l->taken.count; i++) run.y |= in_blocks(l, &l->body.at[l->taken.at[i].instruction]);
    if (!compile(l, 0)) return l->steps.count > AG__FEWEST_TRIED && end - k > 1 ? k : end;
    l->made = l->runs;
    replace_folds(l);
    run.attribute = l->plan->attributes.count - l->r->attribute;
    for (uint32_t i = k; i < end; i++) AG__APPEND(&l->p->maker, &l->plan->attributes, l->body.at[i].node);
    list_inputs(l, &run);
    list_outputs(l, &run);
    replace_instructions(l, k, end, &run, 1);
    return k + 1;
}

/* Whether elementwise instruction k, or a fold without elementwise instructions before it, can begin a run. */
static bool may_begin(const ag__lowering *l, uint32_t k) {
    const ag__instruction *q = &l->body.at[k];
    uint8_t before = k > 0 ? l->body.at[k - 1].does : AG__FILL;
    if (q->does == AG__MAP || q->does == AG__MAP_ROWS) return true;
    return l->r->tile == 1 && foldable(l, q) && before != AG__RUN && before != AG__FOLDED_ROW;
}

/* Set the partial folds that machine code adds to, to the identity element. */
static void start_folds(ag__lowering *l) {
    if (l->starts.count) replace_instructions(l, 0, 0, l->starts.at, l->starts.count);
}

void ag__make_runs(ag__lowering *l) {
    if (!l->c->tape->compile) return;
    for (uint32_t k = 0, most = AG__MOST_IN_RUN; k < l->body.count && !failed(l);) {
        bool rows = l->body.at[k].does == AG__MAP_ROWS;
        uint32_t next = k, end = k;
        if (may_begin(l, k)) {
            list_slots(l, rows);
            if (!failed(l)) end = run_end(l, k, most);
            if (!failed(l)) next = make_run(l, k, end, rows);
        }
        if (next == k && end - k > 1) most = (end - k) / 2;
        else k = next > k ? next : k + 1;
    }
    drop_folded(l);
    start_folds(l);
}

/* ---- Several rows at a time ----
 *
 * Code for some rows of a group reads each column once for all of them, and so what is folded down the columns, which
 * it stores once. It is the code for one row with every step as often, and with slots for each row: slot i of row c is
 * number c·cells + i, except where the rows share it. */

static bool is_shared(const ag__cell *cell) {
    return cell->where == AG__AT_ONE || cell->where == AG__AT_COLUMN || cell->where == AG__AT_FOLD;
}

static uint16_t slot_in_row(const ag__lowering *l, uint16_t slot, uint32_t row) {
    return (uint16_t)(is_shared(ag__cell_at(l, cell_of_slot(l, slot))) ? slot : slot + row * l->r->cells);
}

/* A row's fold of columns adds to what the row before has left, which only the last one stores. */
static ag__code_step step_in_row(const ag__lowering *l, ag__code_step step, uint32_t row, uint32_t rows) {
    const bool fold = ag__cell_at(l, cell_of_slot(l, step.y))->where == AG__AT_FOLD;
    const uint16_t y = step.y;
    for (int j = 0; j < step.n; j++) step.x[j] = slot_in_row(l, step.x[j], row);
    if (!fold) step.y = slot_in_row(l, y, row);
    else if (row + 1 < rows) step.y = (uint16_t)(y + (row + 1) * l->r->cells);
    if (fold && row > 0) step.x[0] = (uint16_t)(y + row * l->r->cells);
    return step;
}

static bool shares_columns(const ag__lowering *l) {
    bool any = false;
    for (uint32_t x = l->r->cell; x < l->plan->cells.count; x++)
        any = any || ag__cell_at(l, x)->where == AG__AT_COLUMN || ag__cell_at(l, x)->where == AG__AT_FOLD;
    return any;
}

void ag__make_several(ag__lowering *l) {
    enum { MANY_REGISTERS = 20 };
    ag__region *r = l->r;
    const uint32_t steps = l->steps.count, slots = l->slots.count;
    const uint32_t rows = l->c->tape->isa->registers < MANY_REGISTERS ? AG__ROWS_TOGETHER / 2 : AG__ROWS_TOGETHER;
    if (!shares_columns(l) || l->made != l->runs || slots != r->cells || rows * slots > UINT16_MAX) return;
    for (uint32_t i = slots; i < rows * slots; i++) {
        ag__code_slot slot = l->slots.at[i % slots];
        slot.out = slot.out && !is_shared(ag__cell_at(l, r->cell + i % slots));
        AG__APPEND(&l->p->maker, &l->slots, slot);
    }
    for (uint32_t i = 0; i < steps * rows; i++) {
        const ag__code_step step = step_in_row(l, l->steps.at[i / rows], i % rows, rows);
        AG__APPEND(&l->p->maker, &l->steps, step);
    }
    if (failed(l) || !compile(l, steps)) return;
    r->several = l->plan->codes.count - 1;
    r->together = rows;
}
