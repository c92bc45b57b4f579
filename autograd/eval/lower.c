/* lower -- the program by which a region is executed strip by strip
 *
 * Every value that the program handles is a cell, and every cell is written by one instruction before others read
 * it. Instructions are sorted into phases: the result of a fold of rows is available in the next phase, so that the
 * elementwise operations of a phase are adjacent and can become one loop of machine code. */
#include "autograd/eval/lowering.h"
#include "autograd/eval/pack.h"

#include <stdlib.h>
#include <string.h>

static const ag_tensor *tensor_at(const ag__lowering *l, uint32_t i) { return l->c->table[i]; }
static const ag__value *value_at(const ag__lowering *l, uint32_t i) { return &l->p->value[i]; }
static bool failed(const ag__lowering *l) { return l->p->maker.failed; }

/* ---- Emitting ---- */

static uint32_t remember(ag__lowering *l, uint32_t i, uint32_t cell) { return l->p->value[i].cell = cell; }

static void emit(ag__lowering *l, bool once, ag__instruction q, const uint32_t *x) {
    q.x = l->plan->operands.count;
    for (int i = 0; i < q.inputs; i++) AG__APPEND(&l->p->maker, &l->plan->operands, x[i]);
    if (once) AG__APPEND(&l->p->maker, &l->before, q);
    else AG__APPEND(&l->p->maker, &l->body, q);
}

/* ---- Operands ---- */

typedef enum showing {
    SHOWS_ELEMENTS,
    SHOWS_ONE,
    SHOWS_COLUMNS,
    SHOWS_ROWS,
    SHOWS_APART,
    SHOWS_SAMPLES,
    SHOWS_STRIDED
} showing;

/* Whether a tensor has columns for each sample of rows, which has so many. */
static AG__RARE showing shows_samples(const ag_tensor *t, int64_t *rows, int64_t *columns, int64_t *sample) {
    const ag__walk w = ag__walk_over(t->layout->rank, t->layout->extent, ag__strides(t->layout));
    if (w.rank != 3 || w.stride[2] != 1 || w.stride[1] != 0 || w.stride[0] != w.extent[2]) return SHOWS_STRIDED;
    *rows = w.extent[0] * w.extent[1], *columns = w.extent[2], *sample = w.extent[1];
    const bool pays = *columns * (int64_t)ag__bytes(t) >= AG__LEAST_SAMPLED && *sample >= AG__FEW_SAMPLED &&
                      *sample * *columns >= AG__STRIP;
    return pays ? SHOWS_SAMPLES : SHOWS_STRIDED;
}

/* How a tensor of the region's size is broadcast. */
static showing shows(const ag_tensor *t, int64_t *rows, int64_t *columns, int64_t *sample) {
    int64_t extent[2], stride[2];
    if (t->layout->contiguous) return SHOWS_ELEMENTS;
    if (!ag__two_axes(t->layout, extent, stride)) return shows_samples(t, rows, columns, sample);
    *rows = extent[0], *columns = extent[1];
    if (stride[0] == 0 && stride[1] == 0) return SHOWS_ONE;
    if (stride[0] == 0 && stride[1] == 1) return SHOWS_COLUMNS;
    if (stride[1] == 1) return SHOWS_APART; /* rows that are contiguous */
    return stride[0] == 1 && stride[1] == 0 ? SHOWS_ROWS : SHOWS_STRIDED;
}

/* A cell of scratch memory that an instruction fills from the tensor itself. */
static uint32_t packed(ag__lowering *l, uint32_t i, ag__does does) {
    bool rows = does == AG__PACK_ROWS, once = does == AG__REPEAT;
    uint32_t y = ag__cell_new(l, i, tensor_at(l, i), AG__AT_TEMP, rows);
    if (failed(l)) return 0;
    ag__cell_at(l, y)->once = once;
    emit(l, once, (ag__instruction){.does = (uint8_t)does, .node = i, .y = y}, NULL);
    return remember(l, i, y);
}

/* A cell filled with the tensor's one element before the first strip. */
static uint32_t filled(ag__lowering *l, uint32_t i, ag__does does) {
    bool rows = does == AG__FILL_ROWS;
    uint32_t one = ag__cell_new(l, i, tensor_at(l, i), AG__AT_ONE, rows);
    uint32_t y = ag__cell_new(l, i, tensor_at(l, i), AG__AT_TEMP, rows);
    if (failed(l)) return 0;
    ag__cell_at(l, y)->once = true;
    ag__note_of(l, y)->copy_of = one;
    emit(l, true, (ag__instruction){.does = (uint8_t)does, .node = i, .y = y}, NULL);
    return remember(l, i, y);
}

/* A cell with each row's element of cell x in all columns. */
static uint32_t spread(ag__lowering *l, uint32_t i, uint32_t x) {
    uint32_t y = ag__cell_new(l, i, tensor_at(l, i), AG__AT_TEMP, false);
    if (failed(l)) return 0;
    if (l->r->tile == 1) ag__note_of(l, y)->copy_of = x;
    ag__note_of(l, y)->phase = ag__note_of(l, x)->phase;
    emit(l, false, (ag__instruction){.does = AG__SPREAD, .inputs = 1, .node = i, .y = y}, &x);
    return remember(l, i, y);
}

static uint32_t read_rows(ag__lowering *l, uint32_t i) {
    const ag_tensor *t = tensor_at(l, i);
    int64_t rows, columns, sample;
    if (t->layout->contiguous) return remember(l, i, ag__cell_new(l, i, t, AG__AT_ROW, true));
    return shows(t, &rows, &columns, &sample) == SHOWS_ONE ? filled(l, i, AG__FILL_ROWS) : packed(l, i, AG__PACK_ROWS);
}

/* Whether leader i is a product or a large transpose of which rows are made as they are read. There must be memory for
 * as many rows of a transpose as a tile has. */
static bool reads_by_rows(const ag__lowering *l, uint32_t i, showing how) {
    if (how < SHOWS_APART) return value_at(l, i)->by_rows;
    const int64_t ahead = AG__ROWS_TURNED * ag__turned_columns(tensor_at(l, i)->layout);
    if (ahead > l->r->ahead && ahead <= AG__MOST_TURNED) l->r->ahead = ahead;
    return ahead > 0 && ahead <= l->r->ahead;
}

/* In a strip of several rows, repeated for each; and again where a sample begins. */
static uint32_t read_columns(ag__lowering *l, uint32_t i, bool samples) {
    const bool repeated = l->r->tile > 1;
    const uint32_t cell =
        repeated ? packed(l, i, AG__REPEAT) : remember(l, i, ag__cell_new(l, i, tensor_at(l, i), AG__AT_COLUMN, false));
    if (failed(l) || !samples) return cell;
    if (repeated) emit(l, false, (ag__instruction){.does = AG__REPEAT, .node = i, .y = cell}, NULL);
    else ag__cell_at(l, cell)->samples = true;
    return cell;
}

static uint32_t read_elements(ag__lowering *l, uint32_t i) {
    const ag_tensor *t = tensor_at(l, i);
    const ag__region *r = l->r;
    int64_t rows = 0, columns = 0, sample = 0;
    showing how = shows(t, &rows, &columns, &sample);
    bool fits = r->rows == rows && r->columns == columns && r->inner == 1;
    if (r->inner > 1 && ag__spreads_rows(t, r)) return remember(l, i, ag__cell_new(l, i, t, AG__AT_ROW, true));
    if (r->inner == 1 && reads_by_rows(l, i, how)) {
        AG__APPEND(&l->p->maker, &l->plan->products, i);
        how = SHOWS_ELEMENTS;
    }
    if (how == SHOWS_ELEMENTS && !r->packed) return remember(l, i, ag__cell_new(l, i, t, AG__AT_ELEMENT, false));
    if (how == SHOWS_ONE) return filled(l, i, AG__FILL);
    if (how == SHOWS_COLUMNS && fits) return read_columns(l, i, false);
    if (how == SHOWS_SAMPLES && fits && r->sample == sample) return read_columns(l, i, true);
    if (how == SHOWS_ROWS && fits) return spread(l, i, ag__cell_new(l, i, t, AG__AT_ROW, true));
    if (how == SHOWS_APART && fits && r->tile == 1) return remember(l, i, ag__cell_new(l, i, t, AG__AT_STRIDED, false));
    return packed(l, i, AG__PACK);
}

/* Whether the program itself computes leader i, so that it need not be read from memory. */
static bool is_computed(const ag__lowering *l, uint32_t i) {
    uint32_t root = value_at(l, i)->root;
    if (ag__is_outside(l->p, root) || value_at(l, root)->program != l->s) return false;
    return value_at(l, root)->role == AG__ROLE_ROW || ag__shows_root(l->p, i);
}

/* The cell from which an operation over elements, or over rows, reads leader i. */
static uint32_t operand(ag__lowering *l, uint32_t i, bool over_rows) {
    uint32_t root = value_at(l, i)->root, cell = ag__cell_of(l, i);
    if (is_computed(l, i)) {
        bool to_spread = value_at(l, root)->role == AG__ROLE_ROW && !over_rows;
        if (!to_spread || l->r->inner > 1) return ag__cell_of(l, root);
        return cell != AG__NONE ? cell : spread(l, i, ag__cell_of(l, root));
    }
    if (cell != AG__NONE) return cell;
    return over_rows ? read_rows(l, i) : read_elements(l, i);
}

/* ---- Operations ---- */

static bool is_stored(const ag__lowering *l, uint32_t i) {
    const ag__value *v = value_at(l, i);
    return v->again == l->s || (v->stored && v->step == l->s && !v->later);
}

static uint32_t result_cell(ag__lowering *l, uint32_t i, uint32_t phase) {
    bool rows = value_at(l, i)->role == AG__ROLE_ROW;
    ag__where where = !is_stored(l, i) ? AG__AT_TEMP : rows ? AG__AT_ROW : AG__AT_ELEMENT;
    uint32_t y = ag__cell_new(l, i, tensor_at(l, i), where, rows);
    if (!failed(l)) ag__note_of(l, y)->phase = phase;
    return remember(l, i, y);
}

static void lower_elementwise(ag__lowering *l, uint32_t i) {
    const ag_tensor *t = tensor_at(l, i);
    const uint32_t first = ag__first_input(l->p, i);
    uint32_t x[AG__MOST_INPUTS], phase = 0;
    bool over_rows = value_at(l, i)->role == AG__ROLE_ROW;
    ag__instruction q = {.does = over_rows ? AG__MAP_ROWS : AG__MAP, .inputs = t->arity, .node = i};
    for (uint32_t k = 0; k < t->arity && !failed(l); k++) {
        x[k] = operand(l, ag__leader_at(l->p, first + k), over_rows);
        if (!failed(l) && ag__note_of(l, x[k])->phase > phase) phase = ag__note_of(l, x[k])->phase;
    }
    if (failed(l)) return;
    q.dtype = t->input[t->arity - 1]->dtype;
    q.y = result_cell(l, i, phase);
    emit(l, false, q, x);
}

static void lower_reduction(ag__lowering *l, uint32_t i) {
    static const uint8_t does[] = {[AG__ROLE_ROW] = AG__FOLD_ROWS,
                                   [AG__ROLE_DOWN] = AG__FOLD_DOWN,
                                   [AG__ROLE_ALL] = AG__FOLD_ALL,
                                   [AG__ROLE_LONG] = AG__FOLD_LONG};
    uint8_t role = value_at(l, i)->role;
    uint32_t x = operand(l, ag__leader_at(l->p, ag__first_input(l->p, i)), false);
    if (failed(l)) return;
    ag__instruction q = {.does = does[role], .inputs = 1, .dtype = tensor_at(l, i)->dtype, .node = i};
    q.y = role == AG__ROLE_ROW ? result_cell(l, i, ag__note_of(l, x)->phase + 1) : l->r->folds++;
    if (role == AG__ROLE_DOWN) l->r->down = true;
    emit(l, false, q, &x);
}

static void lower_operations(ag__lowering *l) {
    const ag__region *r = l->r;
    for (uint32_t k = r->compute; k < r->compute + r->computes && !failed(l); k++) {
        uint32_t i = l->plan->computed.at[k];
        if (tensor_at(l, i)->op->kind == AG_KIND_ELEMENTWISE) lower_elementwise(l, i);
        else lower_reduction(l, i);
        if (is_stored(l, i))
            AG__APPEND(&l->p->maker, &l->plan->outputs, (ag__step_output){.index = i, .over = AG__NONE});
    }
}

/* ---- The region's form ---- */

/* Set rows and columns, if a tensor with one element a row, or one a column, is read; or else one whose rows are apart,
 * and have so many columns at least. */
static void find_rows(ag__lowering *l, uint32_t node, int64_t apart) {
    ag__region *r = l->r;
    int64_t rows, columns, sample;
    for (uint32_t k = ag__first_input(l->p, node); k < ag__end_input(l->p, node); k++) {
        uint32_t x = ag__leader_at(l->p, k), root = value_at(l, x)->root;
        if (!ag__is_outside(l->p, root) && value_at(l, root)->program == l->s) continue;
        const showing how = shows(tensor_at(l, x), &rows, &columns, &sample);
        const bool such = apart ? how == SHOWS_APART && columns >= apart
                                : how == SHOWS_COLUMNS || how == SHOWS_ROWS || how == SHOWS_SAMPLES;
        if (tensor_at(l, x)->layout->size != r->size || !such) continue;
        if (r->rows == 0) r->rows = rows, r->columns = columns;
        if (how == SHOWS_SAMPLES && r->rows == rows && r->columns == columns && r->inner == 1 && !r->all)
            ag__accept_sample(r, rows, sample);
    }
}

/* Bytes of the largest elements that are computed. */
static int64_t element_of(const ag__lowering *l) {
    size_t most = 0;
    for (uint32_t k = l->r->compute; k < l->r->compute + l->r->computes; k++) {
        const size_t bytes = ag__bytes(tensor_at(l, l->plan->computed.at[k]));
        if (bytes > most) most = bytes;
    }
    return (int64_t)most;
}

/* A strip has some of the rows that are interleaved, or those of several groups if these are few. */
static AG__RARE void choose_tile(const ag__lowering *l, ag__region *r) {
    int64_t across = AG__SLAB / element_of(l) / r->columns / AG__LEAST_ACROSS * AG__LEAST_ACROSS;
    if (across < AG__SHORT_RUN) across = AG__SHORT_RUN;
    if (r->inner >= AG__SHORT_RUN) r->tile = ag__lesser(r->inner, across);
    while (r->inner < AG__SHORT_RUN && r->tile < r->rows && r->tile < across) r->tile *= 2;
    r->packed = r->tile > r->inner;
}

static void find_all_rows(ag__lowering *l, int64_t apart) {
    ag__region *r = l->r;
    for (uint32_t k = r->compute; k < r->compute + r->computes && !r->flat; k++)
        find_rows(l, l->plan->computed.at[k], apart);
}

static bool has_role(const ag__lowering *l, ag__role role) {
    bool any = false;
    for (uint32_t k = l->r->compute; k < l->r->compute + l->r->computes; k++)
        any = any || value_at(l, l->plan->computed.at[k])->role == role;
    return any;
}

/* Whether columns are folded, and rows are not, so that machine code may do all for several rows at a time. */
static bool folds_down_only(const ag__lowering *l) {
    return has_role(l, AG__ROLE_DOWN) && !has_role(l, AG__ROLE_ROW) && !has_role(l, AG__ROLE_LONG) && !l->r->all;
}

/* Rows that are apart are not copied by strips of one row, which pays from half of the length on. */
static void choose_form(ag__lowering *l) {
    ag__region *r = l->r;
    const bool code = ag__pays_to_compile(l);
    const int64_t bytes = folds_down_only(l) ? AG__LONG_ROW_DOWN : AG__LONG_ROW;
    /* Short rows; a sum over everything is divided by strips, and in the same way whether there is code or not. */
    const int64_t most = code || r->all ? bytes / element_of(l) : AG__STRIP / 4;
    find_all_rows(l, 0);
    const bool apart = r->rows == 0 && !r->all;
    if (apart) find_all_rows(l, code ? most / 2 : most);
    r->form = r->rows == 0 ? AG__FLAT : AG__WIDE;
    if (r->rows != 0 && (r->columns <= AG__MOST_ROW || has_role(l, AG__ROLE_ROW))) r->form = AG__ROWS;
    r->tile = r->inner;
    if (r->inner > 1) {
        choose_tile(l, r);
        return;
    }
    const bool samples = ag__has_samples(r->sample, r->rows), down = has_role(l, AG__ROLE_DOWN);
    const bool only_read = samples && !down && !has_role(l, AG__ROLE_ROW);
    const int64_t largest = samples && down ? AG__ROWS_A_GROUP : r->rows;
    if (r->form == AG__ROWS && (r->columns < most || only_read) && !apart)
        while (r->tile < largest && 2 * r->tile * r->columns <= AG__STRIP) r->tile *= 2;
    if (r->form == AG__ROWS && r->all && r->size <= AG__STRIP) r->tile = r->rows; /* one strip, as without rows */
}

/* ---- Phases ---- */

static int by_phase(const void *a, const void *b) {
    const ag__sorting *x = a, *y = b;
    if (x->phase != y->phase) return x->phase < y->phase ? -1 : 1;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static uint32_t phase_of(const ag__lowering *l, const ag__instruction *q) {
    if (q->does >= AG__FOLD_ALL) return AG__NONE;
    if (q->does == AG__FOLD_ROWS) return ag__note_of(l, ag__operands_of(l, q)[0])->phase;
    return ag__note_of(l, q->y)->phase;
}

/* Instructions of a phase are sorted by this: each reads only cells written before. */
static uint32_t order_of(const ag__instruction *q) {
    static const uint8_t order[] = {
        [AG__MAP_ROWS] = 1, [AG__SPREAD] = 2, [AG__MAP] = 3, [AG__FOLD_ROWS] = 4, [AG__FOLDED_DOWN] = 0};
    return order[q->does];
}

static void sort_body(ag__lowering *l) {
    bool sorted = true;
    ag__sorting former = {0};
    l->sorted.count = 0;
    for (uint32_t k = 0; k < l->body.count; k++) {
        ag__sorting next = {phase_of(l, &l->body.at[k]), order_of(&l->body.at[k]), k};
        AG__APPEND(&l->p->maker, &l->sorted, next);
        sorted = sorted && by_phase(&former, &next) <= 0;
        former = next;
    }
    uint32_t n = l->body.count;
    if (sorted || !AG__ROOM(&l->p->maker, &l->body, n)) return;
    qsort(l->sorted.at, n, sizeof *l->sorted.at, by_phase);
    for (uint32_t k = 0; k < n; k++) l->body.at[n + k] = l->body.at[l->sorted.at[k].number];
    memmove(l->body.at, &l->body.at[n], n * sizeof *l->body.at);
}

/* ---- All of it ---- */

static void begin(ag__lowering *l, ag__planner *p, uint32_t s) {
    ag__region *r = ag__region_of(p, s);
    l->p = p, l->plan = p->plan, l->c = p->c, l->r = r, l->s = s;
    l->notes.count = l->body.count = l->before.count = l->slots.count = l->starts.count = l->runs = l->made = 0;
    for (int i = 0; i < AG__SCRATCH_KINDS; i++) l->free_cell[i] = AG__NONE;
    r->cell = l->plan->cells.count;
    r->attribute = l->plan->attributes.count;
    r->output = l->plan->outputs.count;
    r->product = l->plan->products.count;
    r->ahead = AG__ROWS_STRIPS * AG__STRIP;
    r->work = r->size * r->computes;
}

static uint32_t append_all(ag__lowering *l, const ag__instruction *from, uint32_t count) {
    uint32_t first = l->plan->instructions.count;
    for (uint32_t k = 0; k < count; k++) AG__APPEND(&l->p->maker, &l->plan->instructions, from[k]);
    return first;
}

/* Which piece of machine code does all for a row, but where a group begins, and for any part of one; AG__NONE: there is
 * none. */
static uint32_t only_code(const ag__lowering *l) {
    uint32_t code = AG__NONE;
    for (uint32_t x = l->r->cell; x < l->plan->cells.count; x++)
        if (ag__cell_at(l, x)->lanes) return AG__NONE;
    for (uint32_t k = 0; k < l->body.count; k++) {
        const int does = l->body.at[k].does;
        if (does == AG__START_DOWN || does == AG__FOLDED_DOWN) continue;
        if (does != AG__RUN || code != AG__NONE) return AG__NONE;
        code = l->r->begin + k;
    }
    return code;
}

/* The bytes that are read and written of a column, if that code reads them in the caches, and nothing is made before;
 * else 0: whole rows, one after the other, are as quick or quicker where the processor looks ahead. */
static int64_t bytes_of_column(const ag__lowering *l) {
    enum { CACHES = 4 };
    int64_t bytes = 0;
    if (l->r->only == AG__NONE || l->before.count) return 0;
    for (uint32_t x = l->r->cell; x < l->plan->cells.count; x++) {
        const ag__cell *cell = ag__cell_at(l, x);
        if (cell->where <= AG__AT_ONE || cell->where == AG__AT_ROW) continue;
        if (cell->where == AG__AT_ELEMENT && l->r->size / CACHES * cell->bytes >= AG__MEMORY) return 0;
        bytes += cell->bytes;
    }
    return bytes;
}

/* The first cache has room for all that is read and written of so many columns; or for a little more, all of them. */
static int64_t block_of(const ag__lowering *l, int64_t bytes) {
    enum { PART = AG__ROW_PART / 5 * 4 }; /* bytes, about */
    const int64_t columns = l->r->columns;
    if (l->r->form == AG__WIDE) return AG__STRIP;
    return bytes * columns <= AG__ROW_PART ? columns : (PART / AG__ROW_STEP / bytes + 1) * AG__ROW_STEP;
}

/* Whether rows are computed in pairs: those that take several pieces of machine code, which fold them, if the first
 * cache has room for about two. */
static bool goes_in_pairs(const ag__lowering *l) {
    const ag__region *r = l->r;
    int64_t bytes = 0, runs = 0;
    for (uint32_t k = 0; k < l->body.count; k++) runs += l->body.at[k].does == AG__RUN;
    for (uint32_t x = r->cell; x < l->plan->cells.count; x++) {
        const ag__cell *cell = ag__cell_at(l, x);
        const bool of_elements = !cell->rows && !cell->lanes && cell->where != AG__AT_NOTHING;
        if (of_elements && cell->where != AG__AT_ONE) bytes += cell->bytes;
    }
    const bool single = r->form == AG__ROWS && r->tile == 1 && r->inner == 1;
    return single && runs > 1 && r->products == 0 && 2 * bytes * r->columns <= AG__PAIRED;
}

static void end(ag__lowering *l) {
    ag__region *r = l->r;
    r->products = l->plan->products.count - r->product;
    if (r->sample == 0) r->sample = r->rows > 0 ? r->rows : 1;
    if (r->down) r->work /= AG__DOWN_LESS;
    r->cells = l->plan->cells.count - r->cell;
    r->attributes = l->plan->attributes.count - r->attribute;
    r->outputs = l->plan->outputs.count - r->output;
    r->once = append_all(l, l->before.at, l->before.count);
    r->prepares = l->before.count;
    r->begin = append_all(l, l->body.at, l->body.count);
    r->count = l->body.count;
    r->only = only_code(l);
    const int64_t bytes = bytes_of_column(l);
    r->block = block_of(l, bytes);
    r->several = AG__NONE;
    if (bytes > 0) ag__make_several(l);
    r->pairs = goes_in_pairs(l);
}

void ag__lower(ag__planner *p, uint32_t s) {
    void (*const part[])(ag__lowering *) = {choose_form, lower_operations, sort_body, ag__make_runs, ag__allot, end};
    ag__lowering *l = p->lowering;
    begin(l, p, s);
    for (size_t i = 0; i < sizeof part / sizeof *part && !failed(l); i++) part[i](l);
#ifndef NDEBUG
    if (!failed(l) && !ag__verify(p, s)) p->maker.failed = true;
#endif
}

void ag__lowering_free(ag__planner *p) {
    ag_tape *tape = p->c->tape;
    ag__lowering *l = p->lowering;
    ag__list_free(tape, &l->notes.any);
    ag__list_free(tape, &l->body.any);
    ag__list_free(tape, &l->before.any);
    ag__list_free(tape, &l->sorted.any);
    ag__list_free(tape, &l->steps.any);
    ag__list_free(tape, &l->slots.any);
    ag__list_free(tape, &l->taken.any);
    ag__list_free(tape, &l->starts.any);
}
