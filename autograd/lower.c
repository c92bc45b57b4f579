/* lower -- the program by which a region is executed strip by strip
 *
 * Every value that the program handles is a slot, and every slot is written by one instruction before others read it.
 * Scratch memory passes from slot to slot: a value's place is free after the last instruction that reads it, so that few
 * strips are in use at a time, and stay in cache. */
#include "autograd/plan.h"

#include <string.h>

enum { KINDS = 6 }; /* of scratch memory: strips and rows, of elements of 1, 4 and 8 bytes */

typedef struct lowering {
    ag__plan *plan;
    const ag__chunk_nodes *c;
    ag__region *r;
    const ag__inside *in;
    ag__list body; /* what is done for each strip */
    uint32_t free_slot[KINDS];
    bool failed;
} lowering;

static const ag_tensor *tensor_at(const lowering *l, uint32_t place) { return l->c->table[place]; }
static ag__slot *slot_at(const lowering *l, uint32_t slot) { return (ag__slot *)l->plan->slots.data + slot; }

/* ---- Emitting ---- */

static uint32_t new_slot(lowering *l, uint32_t of, const ag_tensor *t, ag__where where) {
    if (l->failed || !ag__list_grow(l->c->tape, &l->plan->slots, sizeof(ag__slot), 1)) {
        l->failed = true;
        return 0;
    }
    uint32_t s = l->plan->slots.count++;
    *slot_at(l, s) =
        (ag__slot){.place = of, .where = (uint8_t)where, .dtype = t->dtype, .bytes = (uint8_t)ag__bytes(t)};
    if (of != AG__NOWHERE) l->in->slot_of[of] = s;
    return s;
}

/* The slot that was made for this place; AG__NOWHERE if none was. */
static uint32_t slot_of(const lowering *l, uint32_t of) {
    uint32_t s = l->in->slot_of[of];
    return s >= l->r->slot && s < l->plan->slots.count && slot_at(l, s)->place == of ? s : AG__NOWHERE;
}

static void emit(lowering *l, bool once, ag__instruction q, const uint32_t *x) {
    ag__list *list = once ? &l->plan->instructions : &l->body, *operands = &l->plan->operands;
    if (l->failed || !ag__list_grow(l->c->tape, list, sizeof q, 1) ||
        !ag__list_grow(l->c->tape, operands, sizeof(uint32_t), q.inputs)) {
        l->failed = true;
        return;
    }
    q.x = operands->count;
    for (int i = 0; i < q.inputs; i++) ((uint32_t *)operands->data)[operands->count++] = x[i];
    ((ag__instruction *)list->data)[list->count++] = q;
}

static void output(lowering *l, uint32_t place) {
    if (l->failed || !ag__list_grow(l->c->tape, &l->plan->outputs, sizeof(uint32_t), 1)) l->failed = true;
    else ((uint32_t *)l->plan->outputs.data)[l->plan->outputs.count++] = place;
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

/* A slot of scratch memory that an instruction fills, from slot x or from the tensor itself. */
static uint32_t fetched(lowering *l, uint32_t c, ag__does does, bool once, uint32_t x) {
    const ag_tensor *t = tensor_at(l, c);
    uint32_t y = new_slot(l, c, t, AG__AT_TEMP);
    if (l->failed) return 0;
    slot_at(l, y)->once = once;
    slot_at(l, y)->one = does == AG__FILL || does == AG__FILL_ROWS;
    emit(l, once, (ag__instruction){.does = (uint8_t)does, .inputs = does == AG__SPREAD, .node = c, .y = y}, &x);
    return y;
}

static uint32_t read_rows(lowering *l, uint32_t c) {
    const ag_tensor *t = tensor_at(l, c);
    if (t->layout->contiguous) return new_slot(l, c, t, AG__AT_ROW);
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
    if (how == SHOWS_ELEMENTS) return new_slot(l, c, t, AG__AT_ELEMENT);
    if (how == SHOWS_ONE) return fetched(l, c, AG__FILL, true, 0);
    if (how == SHOWS_COLUMNS && fits)
        return r->tile == 1 ? new_slot(l, c, t, AG__AT_COLUMN) : fetched(l, c, AG__REPEAT, true, 0);
    if (how == SHOWS_ROWS && fits) {
        uint32_t x = new_slot(l, AG__NOWHERE, t, AG__AT_ROW);
        if (l->failed) return 0;
        slot_at(l, x)->place = c; /* found by its address, not by its place: that is what it is spread to */
        return fetched(l, c, AG__SPREAD, false, x);
    }
    return fetched(l, c, AG__PACK, false, 0);
}

/* The slot from which an operation over elements, or over rows, reads canonical place c. */
static uint32_t operand(lowering *l, uint32_t c, bool over_rows) {
    uint32_t r = l->in->root[c], s = slot_of(l, c);
    const ag_tensor *t = tensor_at(l, c);
    bool computed = r < l->c->nodes && l->in->mark[r] == l->in->s &&
                    (l->in->role[r] == AG__ROLE_ROW || (t->layout->contiguous && t->offset == 0));
    if (computed) {
        bool spread = l->in->role[r] == AG__ROLE_ROW && !over_rows;
        if (!spread) return slot_of(l, r);
        return s != AG__NOWHERE ? s : fetched(l, c, AG__SPREAD, false, slot_of(l, r));
    }
    if (s != AG__NOWHERE) return s;
    return over_rows ? read_rows(l, c) : read_elements(l, c);
}

/* ---- Operations ---- */

static uint32_t result_slot(lowering *l, uint32_t i) {
    bool rows = l->in->role[i] == AG__ROLE_ROW, stored = l->in->stored[i] && l->in->step[i] == l->in->s;
    return new_slot(l, i, tensor_at(l, i), !stored ? AG__AT_TEMP : rows ? AG__AT_ROW : AG__AT_ELEMENT);
}

static void lower_elementwise(lowering *l, uint32_t i) {
    enum { MOST_INPUTS = 8 };
    const ag_tensor *t = tensor_at(l, i);
    uint32_t x[MOST_INPUTS];
    bool over_rows = l->in->role[i] == AG__ROLE_ROW;
    for (int k = 0; k < t->arity; k++)
        x[k] = operand(l, l->in->canon[l->c->operand[l->c->first[i] + (uint32_t)k]], over_rows);
    uint32_t y = result_slot(l, i);
    emit(l, false,
         (ag__instruction){.does = over_rows ? AG__MAP_ROWS : AG__MAP,
                           .inputs = (uint8_t)t->arity,
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
    const ag_tensor *t = tensor_at(l, i);
    uint8_t role = l->in->role[i];
    uint32_t x = operand(l, l->in->canon[l->c->operand[l->c->first[i]]], false);
    uint32_t y = role == AG__ROLE_ROW ? result_slot(l, i) : l->r->folds++;
    if (role == AG__ROLE_DOWN) l->r->down = true;
    emit(l, false, (ag__instruction){.does = does[role], .inputs = 1, .dtype = t->dtype, .node = i, .y = y}, &x);
}

/* ---- The region's form ---- */

static void choose_form(lowering *l, const uint32_t *node, uint32_t count) {
    ag__region *r = l->r;
    int64_t rows, columns;
    for (uint32_t n = 0; n < count && r->rows == 0; n++) {
        for (uint32_t k = l->c->first[node[n]]; k < l->c->first[node[n] + 1] && r->rows == 0; k++) {
            uint32_t c = l->in->canon[l->c->operand[k]];
            if (l->in->root[c] < l->c->nodes && l->in->mark[l->in->root[c]] == l->in->s) continue;
            int how = shows(tensor_at(l, c), &rows, &columns);
            if (tensor_at(l, c)->layout->size == r->size && (how == SHOWS_COLUMNS || how == SHOWS_ROWS))
                r->rows = rows, r->columns = columns;
        }
    }
    r->form = r->rows == 0 ? AG__FLAT : r->columns <= AG__MOST_ROW ? AG__ROWS : AG__WIDE;
    for (r->tile = 1; r->form == AG__ROWS && r->tile < r->rows && 2 * r->tile * r->columns <= AG__STRIP;) r->tile *= 2;
}

/* Elements that a slot of scratch memory has. */
static int64_t strip_elements(const ag__region *r) {
    if (r->form == AG__ROWS) return r->tile * r->columns;
    return r->size < AG__STRIP ? r->size : AG__STRIP;
}

/* ---- Scratch memory ---- */

static bool over_rows(const ag__instruction *q) {
    return q->does == AG__MAP_ROWS || q->does == AG__FILL_ROWS || q->does == AG__PACK_ROWS || q->does == AG__FOLD_ROWS;
}

static int kind_of(const ag__slot *s, bool rows) {
    return (s->bytes == 1 ? 0 : s->bytes == 4 ? 1 : 2) + (rows ? 3 : 0);
}

static uint32_t units_of(const lowering *l, const ag__slot *s, bool rows) {
    int64_t n = rows ? l->r->tile : strip_elements(l->r);
    return (uint32_t)((n * s->bytes + 63) / 64);
}

/* Give slot y memory that nobody reads any more, or further memory. */
static void take(lowering *l, ag__slot *y, bool rows) {
    int kind = kind_of(y, rows);
    uint32_t free_slot = y->once ? AG__NOWHERE : l->free_slot[kind];
    if (free_slot == AG__NOWHERE) {
        y->temp = l->r->temps;
        l->r->temps += units_of(l, y, rows);
    } else {
        y->temp = slot_at(l, free_slot)->temp;
        l->free_slot[kind] = slot_at(l, free_slot)->last;
    }
}

/* Free what instruction k was the last to read. The list is threaded through `last`, which has served. */
static void give_back(lowering *l, const ag__instruction *q, uint32_t k, const uint8_t *rows_of) {
    const uint32_t *x = (uint32_t *)l->plan->operands.data + q->x;
    for (int i = 0; i < q->inputs; i++) {
        ag__slot *s = slot_at(l, x[i]);
        if (s->where != AG__AT_TEMP || s->once || s->last != k || s->freed) continue;
        int kind = kind_of(s, rows_of[x[i] - l->r->slot]);
        s->last = l->free_slot[kind];
        s->freed = true;
        l->free_slot[kind] = x[i];
    }
}

static bool has_slot(const ag__instruction *q) { return q->does < AG__FOLD_ALL; }

static void assign_scratch(lowering *l, uint8_t *rows_of) {
    ag__instruction *once = (ag__instruction *)l->plan->instructions.data + l->r->once, *body = l->body.data;
    const uint32_t *operands = l->plan->operands.data;
    for (uint32_t k = 0; k < l->body.count; k++)
        for (int i = 0; i < body[k].inputs; i++) slot_at(l, operands[body[k].x + (uint32_t)i])->last = k;
    for (uint32_t k = 0; k < l->r->prepares; k++) take(l, slot_at(l, once[k].y), over_rows(&once[k]));
    for (uint32_t k = 0; k < l->body.count; k++) {
        const ag__instruction *q = &body[k];
        bool map = q->does == AG__MAP || q->does == AG__MAP_ROWS; /* may write over what it reads */
        if (has_slot(q)) rows_of[q->y - l->r->slot] = over_rows(q);
        if (map) give_back(l, q, k, rows_of);
        if (has_slot(q) && slot_at(l, q->y)->where == AG__AT_TEMP) take(l, slot_at(l, q->y), over_rows(q));
        if (!map) give_back(l, q, k, rows_of);
    }
}

/* ---- All of it ---- */

static void append_body(lowering *l) {
    ag__list *list = &l->plan->instructions;
    if (l->failed || !ag__list_grow(l->c->tape, list, sizeof(ag__instruction), l->body.count)) {
        l->failed = true;
        return;
    }
    if (l->body.count)
        memcpy((ag__instruction *)list->data + list->count, l->body.data, l->body.count * sizeof(ag__instruction));
    list->count += l->body.count;
}

static void finish(lowering *l) {
    ag__region *r = l->r;
    r->slots = l->plan->slots.count - r->slot;
    r->prepares = l->plan->instructions.count - r->once;
    r->begin = l->plan->instructions.count;
    r->count = l->body.count;
    r->outputs = l->plan->outputs.count - r->output;
    r->work = r->size * r->count;
    ag__buffer *memory = l->failed ? NULL : ag__buffer_new(l->c->tape, r->slots);
    if (!memory) {
        l->failed = true;
        return;
    }
    assign_scratch(l, memset(memory->data, 0, r->slots));
    ag__buffer_drop(l->c->tape, memory);
    append_body(l);
}

bool ag__lower(ag__plan *plan, const ag__chunk_nodes *c, ag__region *r, const uint32_t *node, uint32_t count,
               const ag__inside *in) {
    lowering l = {.plan = plan, .c = c, .r = r, .in = in};
    for (int i = 0; i < KINDS; i++) l.free_slot[i] = AG__NOWHERE;
    r->slot = plan->slots.count;
    r->once = plan->instructions.count;
    r->output = plan->outputs.count;
    choose_form(&l, node, count);
    for (uint32_t k = 0; k < count && !l.failed; k++) {
        uint32_t i = node[k];
        if (tensor_at(&l, i)->op->kind == AG_KIND_ELEMENTWISE) lower_elementwise(&l, i);
        else lower_reduction(&l, i);
        if (in->stored[i] && in->step[i] == in->s) output(&l, i);
    }
    finish(&l);
    if (l.body.data) ag__resize(c->tape, l.body.data, l.body.room * sizeof(ag__instruction), 0);
    return !l.failed;
}
