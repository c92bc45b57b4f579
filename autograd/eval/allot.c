/* allot -- memory for the cells of a region's program
 *
 * A result may be written over a tensor that is read for the last time. Other cells are in scratch memory, which
 * passes from cell to cell: a cell's memory is free after the last instruction that reads it, so that few strips are
 * in use at a time, and stay in cache. */
#include "autograd/eval/lowering.h"

#include <string.h>

/* ---- Cells ---- */

uint32_t ag__cell_of(const ag__lowering *l, uint32_t i) {
    const uint32_t cell = l->p->value[i].cell;
    const bool made = cell >= l->r->cell && cell < l->plan->cells.count && ag__cell_at(l, cell)->index == i;
    return made ? cell : AG__NONE;
}

/* ---- Unread values ---- */

static bool only_fetches(const ag__instruction *q) {
    return q->does == AG__FILL || q->does == AG__FILL_ROWS || q->does == AG__SPREAD;
}

static void note_readers(ag__lowering *l) {
    for (uint32_t i = 0; i < l->notes.count; i++) l->notes.at[i].last_reader = AG__NONE;
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = &l->body.at[k];
        for (int i = 0; i < q->inputs; i++) ag__note_of(l, ag__operands_of(l, q)[i])->last_reader = k;
    }
}

/* Returns how many of the instructions are left. */
static uint32_t drop_unread(ag__lowering *l, ag__instruction *q, uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t k = 0; k < count; k++) {
        bool unread = only_fetches(&q[k]) && ag__note_of(l, q[k].y)->last_reader == AG__NONE;
        if (unread) ag__cell_at(l, q[k].y)->where = AG__AT_NOTHING;
        else q[kept++] = q[k];
    }
    return kept;
}

/* ---- Results over tensors read for the last time ---- */

/* Whether the plan allows a result over index x: y is its next value, or no later step reads it. */
static bool may_go_over(const ag__lowering *l, uint32_t x, uint32_t y) {
    uint32_t root = l->p->value[x].root;
    if (x >= l->c->nodes) return ag__next_value(l->c->table[x]) == l->c->table[y];
    if (root >= l->c->nodes || l->p->value[root].by_rows || l->c->node[x].kept || l->c->node[root].kept) return false;
    return l->p->value[root].step != l->s && ag__shows_root(l->p, x);
}

/* Whether cell x is read, and not any more when instruction k makes y. */
static bool is_read_before(const ag__lowering *l, uint32_t k, uint32_t x, uint32_t y) {
    const ag__note *read = ag__note_of(l, x), *made = ag__note_of(l, y);
    if (read->last_reader > k) return false;
    return read->last_reader < k || l->body.at[k].does == AG__MAP || read->read_at <= made->made_at;
}

/* Whether result y of instruction k may be written over input x. */
static bool may_replace(const ag__lowering *l, uint32_t k, uint32_t x, uint32_t y) {
    const ag__cell *from = ag__cell_at(l, x), *to = ag__cell_at(l, y);
    if (from->where != AG__AT_ELEMENT || to->where != AG__AT_ELEMENT || from->bytes != to->bytes) return false;
    if (ag__note_of(l, x)->replaced || !may_go_over(l, from->index, to->index)) return false;
    return is_read_before(l, k, x, y);
}

/* Whether result y of instruction k may be written over x although others show its buffer too: the region reads these,
 * if at all, at the same elements, and no later; and none is kept. */
static bool may_be_shown(const ag__lowering *l, uint32_t k, uint32_t x, uint32_t y) {
    const ag__planner *p = l->p;
    const uint32_t root = p->value[ag__cell_at(l, x)->index].root;
    if (root >= l->c->nodes || p->showing[root].count < 2) return false;
    const ag__showing *all = &p->showing[root];
    for (uint32_t i = 0; i < all->count; i++)
        if (l->c->node[p->plan->shown.at[all->first + i]].kept) return false;
    for (uint32_t other = l->r->cell; other < l->plan->cells.count; other++) {
        const ag__cell *cell = ag__cell_at(l, other);
        const ag__note *note = ag__note_of(l, other);
        if (cell->index == AG__NONE || cell->index >= l->c->nodes || p->value[cell->index].root != root) continue;
        if (cell->where == AG__AT_NOTHING) continue;
        if (cell->where != AG__AT_ELEMENT || !ag__shows_root(p, cell->index) || note->replaced) return false;
        if (!is_read_before(l, k, other, y)) return false;
    }
    return true;
}

/* For each next value of a variable, find the cell of its present value. */
static void find_former_values(ag__lowering *l) {
    for (uint32_t x = l->r->cell; x < l->plan->cells.count; x++) {
        const ag__cell *cell = ag__cell_at(l, x);
        if (cell->where != AG__AT_ELEMENT || cell->index < l->c->nodes) continue;
        const ag_tensor *next = ag__next_value(l->c->table[cell->index]);
        uint32_t index = next ? ag__mark_of(l->c->evaluation, next)->index : 0;
        if (!next || index >= l->c->nodes || l->c->table[index] != next) continue;
        uint32_t y = ag__cell_of(l, index);
        if (y != AG__NONE && ag__note_of(l, y)->former == AG__NONE) ag__note_of(l, y)->former = x;
    }
}

/* Put y over an input, or over the variable whose next value it is, if that is read for the last time. */
static void find_place(ag__lowering *l, uint32_t k, uint32_t y) {
    const ag__instruction *q = &l->body.at[k];
    const uint32_t *x = ag__operands_of(l, q), former = ag__note_of(l, y)->former;
    uint32_t over = AG__NONE;
    if (ag__note_of(l, y)->streamed) return;
    for (int i = 0; i < q->inputs && over == AG__NONE; i++)
        if (may_replace(l, k, x[i], y)) over = x[i];
    if (over == AG__NONE && former != AG__NONE && may_replace(l, k, former, y)) over = former;
    ag__note_of(l, y)->shown = over != AG__NONE && may_be_shown(l, k, over, y);
    ag__note_of(l, y)->over = over;
    if (over != AG__NONE) ag__note_of(l, over)->replaced = true;
}

static void find_places(ag__lowering *l) {
    find_former_values(l);
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = &l->body.at[k];
        if (q->does == AG__MAP) find_place(l, k, q->y);
        for (uint32_t i = 0; q->does == AG__RUN && i < q->outputs; i++)
            find_place(l, k, ag__operands_of(l, q)[q->inputs + i]);
    }
    for (uint32_t o = l->r->output; o < l->plan->outputs.count; o++) {
        ag__step_output *output = &l->plan->outputs.at[o];
        uint32_t y = ag__cell_of(l, output->index), over = y == AG__NONE ? y : ag__note_of(l, y)->over;
        if (over == AG__NONE) continue;
        output->over = ag__cell_at(l, over)->index;
        if (ag__note_of(l, y)->shown) output->shown = l->p->showing[l->p->value[output->over].root];
    }
}

/* ---- Scratch memory ---- */

static uint32_t *free_list_of(ag__lowering *l, const ag__cell *s) {
    return &l->free_cell[(s->bytes == 1 ? 0 : s->bytes == 4 ? 1 : 2) + (s->rows ? AG__SCRATCH_KINDS / 2 : 0)];
}

static uint32_t units_of(const ag__lowering *l, const ag__cell *s) {
    if (s->rows && s->index == AG__NONE) return ag__units((l->r->columns - 1) / AG__STRIP + 1, s->bytes);
    return ag__units(s->rows ? l->r->tile : ag__strip_elements(l->r), s->bytes);
}

/* Give cell y memory that no instruction reads any more, or further memory. */
static void take(ag__lowering *l, uint32_t y) {
    ag__cell *cell = ag__cell_at(l, y);
    if (cell->where != AG__AT_TEMP || cell->lanes) return;
    uint32_t *list = free_list_of(l, cell), free_cell = cell->once ? AG__NONE : *list;
    if (free_cell == AG__NONE) {
        cell->temp = l->r->temps;
        l->r->temps += units_of(l, cell);
    } else {
        cell->temp = ag__cell_at(l, free_cell)->temp;
        *list = ag__note_of(l, free_cell)->next_free;
    }
}

/* Free the cells that instruction k is the last to read. */
static void give_back(ag__lowering *l, uint32_t k) {
    const ag__instruction *q = &l->body.at[k];
    for (int i = 0; i < q->inputs; i++) {
        uint32_t x = ag__operands_of(l, q)[i], *list = free_list_of(l, ag__cell_at(l, x));
        const ag__cell *cell = ag__cell_at(l, x);
        ag__note *note = ag__note_of(l, x);
        if (cell->where != AG__AT_TEMP || cell->once || note->last_reader != k || note->freed) continue;
        note->next_free = *list;
        note->freed = true;
        *list = x;
    }
}

static void assign_scratch(ag__lowering *l) {
    for (uint32_t k = 0; k < l->before.count; k++) take(l, l->before.at[k].y);
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = &l->body.at[k];
        bool map = q->does == AG__MAP || q->does == AG__MAP_ROWS; /* may write over what it reads */
        if (map) give_back(l, k);
        if (ag__has_cell(q)) take(l, q->y);
        for (uint32_t i = 0; i < q->outputs; i++) take(l, ag__operands_of(l, q)[q->inputs + i]);
        if (!map) give_back(l, k);
    }
}

/* ---- Results written past the caches ---- */

/* The instruction that writes cell y. */
static uint32_t maker_of(const ag__lowering *l, uint32_t y) {
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = &l->body.at[k];
        if (ag__has_cell(q) && q->y == y) return k;
        for (uint32_t j = 0; j < q->outputs; j++)
            if (ag__operands_of(l, q)[q->inputs + j] == y) return k;
    }
    return l->body.count - 1;
}

bool ag__may_stream(const ag__lowering *l, const ag__cell *cell) {
    enum { LEAST = 4096 }; /* bytes; buffers of few are not aligned to lines */
    const uint32_t y = cell->index;
    const int64_t start = l->r->form == AG__FLAT ? AG__STRIP
                          : l->r->inner > 1      ? l->r->inner | l->r->tile /* columns, and strips */
                                                 : l->r->columns;
    if (l->r->packed || cell->where != AG__AT_ELEMENT || y >= l->c->nodes || !l->p->value[y].past) return false;
    if (cell->dtype == AG_BOOL || start * cell->bytes % AG__LINE != 0) return false;
    if (ag__value_bytes(l->c->table[y]) < LEAST) return false;
    bool is_output = false, apart = true;
    for (uint32_t o = l->r->output; o < l->plan->outputs.count; o++)
        is_output = is_output || l->plan->outputs.at[o].index == y;
    for (uint32_t x = l->r->cell; x < l->plan->cells.count; x++) {
        const ag__cell *from = ag__cell_at(l, x);
        bool same = from->where == AG__AT_ELEMENT && from->index != y && from->bytes == cell->bytes;
        apart = apart && !(same && may_go_over(l, from->index, y));
    }
    return is_output && apart;
}

/* Such a result is made in scratch memory, which whole lines are then copied from: streams of stores must be of whole
 * lines, and where those begin differs from row to row. */
static void send_past(ag__lowering *l, uint32_t i) {
    uint32_t y = ag__cell_of(l, i);
    ag__instruction put = {.does = AG__PUT_PAST, .inputs = 1, .node = i, .x = l->plan->operands.count};
    const bool packed = l->r->packed && ag__cell_at(l, y)->where == AG__AT_ELEMENT;
    if (!packed && (!l->p->value[i].past || ag__note_of(l, y)->over != AG__NONE)) return;
    if (ag__note_of(l, y)->streamed) {
        l->r->past = true;
        l->r->streams++;
        return;
    }
    if (l->r->inner > 1 && !packed) return;
    if (!AG__ROOM(&l->p->maker, &l->plan->operands, 1) || !AG__ROOM(&l->p->maker, &l->body, 1)) return;
    put.y = ag__cell_new(l, i, l->c->table[i], AG__AT_ELEMENT, false);
    if (l->p->maker.failed) return;
    ag__cell_at(l, y)->where = AG__AT_TEMP;
    l->plan->operands.at[l->plan->operands.count++] = y;
    uint32_t at = maker_of(l, y) + 1;
    memmove(&l->body.at[at + 1], &l->body.at[at], (l->body.count++ - at) * sizeof *l->body.at);
    l->body.at[at] = put;
    l->r->past = true;
}

static void send_all_past(ag__lowering *l) {
    for (uint32_t o = l->r->output; o < l->plan->outputs.count && !l->p->maker.failed; o++)
        send_past(l, l->plan->outputs.at[o].index);
}

void ag__allot(ag__lowering *l) {
    note_readers(l);
    l->before.count = drop_unread(l, l->before.at, l->before.count);
    l->body.count = drop_unread(l, l->body.at, l->body.count);
    note_readers(l);
    find_places(l);
    send_all_past(l);
    if (l->p->maker.failed) return;
    if (l->r->past) note_readers(l);
    assign_scratch(l);
}
