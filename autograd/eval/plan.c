/* plan -- dividing a chunk of the tape into steps
 *
 * One pass in the order of recording gives each node its step: an operation of its own, or a region that it joins.
 * Invariant: a step reads what earlier steps store, and nothing else; a node joins a region only if all its inputs are
 * of earlier steps, or of the region itself and in a place where the region's strips have them. Large regions are divided
 * into parts that have nothing in common. One pass in reverse then decides what is stored: what later steps ask for,
 * unless it is cheap enough to be computed by them again, from values that are there anyway. */
#include "autograd/eval/plan.h"
#include "autograd/eval/compile.h"
#include "autograd/tape/hash.h"

#include <stdlib.h>
#include <string.h>

typedef struct planner {
    ag__plan *plan;
    const ag__chunk_nodes *c;
    ag__buffer *memory;
    uint32_t *canon; /* what stands for it: itself, or a place with the same value */
    uint32_t *root;  /* of a view, the value that it shows */
    uint32_t *step;  /* that makes it available; 0: there from the start */
    uint32_t *next;  /* member of the same step */
    uint32_t *mark;  /* step that computes it (again) */
    uint32_t *cell_of;
    uint64_t *time;                  /* of each step: when it runs; of two with one time, the earlier one first */
    uint32_t *head, *tail;           /* members of each step */
    uint32_t *own_first, *own_count; /* nodes of each region's program, in `computed` */
    uint32_t *work;
    uint32_t *table; /* of the search for equals */
    uint32_t table_mask;
    uint8_t *role;
    bool *stored, *shown, *taken, *doubled; /* taken: written over by a sum; doubled: stands for others */
    ag__list clones;
    uint32_t recent[AG__RECENT_REGIONS]; /* the latest region of each size, by a hash of it */
    bool failed, whole;
} planner;

/* ---- Lists ---- */

bool ag__list_grow(ag_tape *tape, ag__list *list, size_t bytes, uint32_t more) {
    if (list->room - list->count >= more) return true;
    uint32_t room = ag__more_room(list->room, (uint64_t)list->count + (more < 16 ? 16 : more));
    void *data = room ? ag__resize(tape, list->data, list->room * bytes, ag__times(room, bytes)) : NULL;
    if (!data) return false;
    ag_memory *m = &tape->memory;
    m->plan_bytes += (int64_t)((room - list->room) * bytes);
    if (m->plan_bytes > m->peak_plan_bytes) m->peak_plan_bytes = m->plan_bytes;
    list->data = data;
    list->room = room;
    return true;
}

void ag__list_free(ag_tape *tape, ag__list *list, size_t bytes) {
    if (list->data) ag__resize(tape, list->data, list->room * bytes, 0);
    tape->memory.plan_bytes -= (int64_t)(list->room * bytes);
    *list = (ag__list){0};
}

/* The lists of a plan, and the size of what is in them. */
static ag__list *list_of(ag__plan *p, int i, size_t *bytes) {
    struct {
        ag__list *list;
        size_t bytes;
    } const all[] = {{&p->steps, sizeof(ag__plan_step)},
                     {&p->order, sizeof(uint32_t)},
                     {&p->regions, sizeof(ag__region)},
                     {&p->cells, sizeof(ag__cell)},
                     {&p->instructions, sizeof(ag__instruction)},
                     {&p->operands, sizeof(uint32_t)},
                     {&p->attributes, sizeof(uint32_t)},
                     {&p->codes, sizeof(ag__code *)},
                     {&p->outputs, sizeof(uint32_t)},
                     {&p->reuse, 2 * sizeof(uint32_t)},
                     {&p->computed, sizeof(uint32_t)},
                     {&p->read, sizeof(uint32_t)},
                     {&p->members, 2 * sizeof(uint32_t)},
                     {&p->holds, sizeof(uint32_t)},
                     {&p->structure, sizeof(uint32_t)}};
    if (i >= (int)(sizeof all / sizeof *all)) return NULL;
    *bytes = all[i].bytes;
    return all[i].list;
}

void ag__plan_clear(ag_tape *tape, ag__plan *p) {
    size_t bytes;
    ag__list *list;
    for (uint32_t i = 0; i < p->codes.count; i++) ag__code_release(tape, ((ag__code *const *)p->codes.data)[i]);
    for (int i = 0; (list = list_of(p, i, &bytes)) != NULL; i++) ag__list_free(tape, list, bytes);
}

static void trim(ag_tape *tape, ag__list *list, size_t bytes) {
    if (list->room == list->count) return;
    if (list->count == 0) {
        ag__list_free(tape, list, bytes);
        return;
    }
    void *data = ag__resize(tape, list->data, list->room * bytes, list->count * bytes);
    if (!data) return;
    tape->memory.plan_bytes -= (int64_t)((list->room - list->count) * bytes);
    list->data = data;
    list->room = list->count;
}

size_t ag__plan_trim(ag_tape *tape, ag__plan *p) {
    size_t bytes, all = 0;
    ag__list *list;
    for (int i = 0; (list = list_of(p, i, &bytes)) != NULL; i++) {
        trim(tape, list, bytes);
        all += list->room * bytes;
    }
    return all;
}

static void push(planner *p, ag__list *list, uint32_t value) {
    if (p->failed || !ag__list_grow(p->c->tape, list, sizeof value, 1)) p->failed = true;
    else ((uint32_t *)list->data)[list->count++] = value;
}

static ag__plan_step *step_at(const planner *p, uint32_t s) { return (ag__plan_step *)p->plan->steps.data + s; }
static ag__region *region_of(const planner *p, uint32_t s) {
    return (ag__region *)p->plan->regions.data + step_at(p, s)->what;
}
static const ag_tensor *tensor_at(const planner *p, uint32_t place) { return p->c->table[place]; }
static bool outside(const planner *p, uint32_t place) { return place >= p->c->nodes; }

static void join(planner *p, uint32_t s, uint32_t i) {
    p->step[i] = s;
    p->next[i] = AG__NOWHERE;
    if (p->head[s] == AG__NOWHERE) p->head[s] = i;
    else p->next[p->tail[s]] = i;
    p->tail[s] = i;
    step_at(p, s)->members++;
}

/* A further step; 0 for want of memory. */
static uint32_t new_step(planner *p, ag__step_kind kind, uint32_t what) {
    ag__list *list = &p->plan->steps;
    if (p->failed || !ag__list_grow(p->c->tape, list, sizeof(ag__plan_step), 1)) {
        p->failed = true;
        return 0;
    }
    uint32_t s = list->count++;
    *step_at(p, s) = (ag__plan_step){.kind = (uint8_t)kind, .what = what};
    p->head[s] = AG__NOWHERE;
    p->time[s] = (uint64_t)s << 32;
    return s;
}

static bool runs_after(const planner *p, uint32_t a, uint32_t b) {
    return p->time[a] > p->time[b] || (p->time[a] == p->time[b] && a > b);
}

/* What takes little memory runs as soon as it can: others may then join regions that come before it on the tape. */
static void run_early(planner *p, uint32_t s, uint32_t after, int64_t size) {
    if (size <= AG__LITTLE && !p->failed) p->time[s] = p->time[after] + 1;
}

/* ---- Layouts ---- */

bool ag__two_axes(const ag__layout *l, int64_t extent[2], int64_t stride[2]) {
    int n = 0;
    for (int i = 0; i < l->rank; i++) {
        int64_t e = l->extent[i], s = ag__strides(l)[i];
        if (e == 1) continue;
        if (n > 0 && stride[n - 1] == s * e) {
            extent[n - 1] *= e;
            stride[n - 1] = s;
            continue;
        }
        if (n == 2) return false;
        extent[n] = e;
        stride[n++] = s;
    }
    if (n == 2) return true;
    extent[1] = n ? extent[0] : 1; /* one axis, or none, is the inner one */
    stride[1] = n ? stride[0] : 0;
    extent[0] = 1, stride[0] = 0;
    return true;
}

/* Whether l shows one element a row, rows by columns. */
static bool spreads_rows(const ag_tensor *t, const ag__region *r) {
    int64_t extent[2], stride[2];
    if (r->rows == 0 || t->offset != 0 || !ag__two_axes(t->layout, extent, stride)) return false;
    if (r->rows == 1) return stride[0] == 0 && stride[1] == 0;
    return extent[0] == r->rows && extent[1] == r->columns && stride[0] == 1 && stride[1] == 0;
}

/* Whether place c is its root's elements, all of them and in their order: no part of them, from whose place in memory it
 * cannot be told which they are. */
static bool shows_all(const planner *p, uint32_t c) { return ag__shows_all(tensor_at(p, c), tensor_at(p, p->root[c])); }

/* ---- What need not be computed ---- */

static const uint32_t *inputs_of(const planner *p, uint32_t i) { return p->c->operand + p->c->first[i]; }

/* Compared as bits: x − 0 is x, and x − (−0) is not where x is −0. */
static bool is_constant(const planner *p, uint32_t place, double value) {
    const ag_tensor *t = tensor_at(p, p->root[place]);
    return t->op->flags & AG_OP_CONSTANT && memcmp(ag__attributes(t), &value, sizeof value) == 0;
}

/* The input of which node i is no more than a copy; AG__NOWHERE if it is none. */
static uint32_t same_as(const planner *p, uint32_t i) {
    const ag_tensor *t = tensor_at(p, i);
    const uint32_t *in = inputs_of(p, i);
    unsigned flags = t->op->flags;
    uint32_t x = t->arity ? p->canon[in[0]] : AG__NOWHERE;
    if (flags & AG_OP_NEUTRAL && t->arity == 1 && *(const double *)ag__attributes(t) == t->op->neutral) return x;
    if (flags & AG_OP_NEUTRAL && t->arity == 2) {
        if (is_constant(p, p->canon[in[1]], t->op->neutral)) return x;
        if (flags & AG_OP_COMMUTES && is_constant(p, x, t->op->neutral)) return p->canon[in[1]];
    }
    if (flags & AG_OP_INVOLUTION && !outside(p, x) && tensor_at(p, x)->op == t->op) return p->canon[inputs_of(p, x)[0]];
    return AG__NOWHERE;
}

/* A node that the user or a later evaluation looks at may stand for another's buffer only if that is all there is in it,
 * and belongs to the tape. */
static bool may_stand_for(const planner *p, uint32_t i, uint32_t x) {
    if (x == AG__NOWHERE) return false;
    const ag_tensor *a = tensor_at(p, i), *b = tensor_at(p, x);
    if (a->dtype != b->dtype || a->layout->size != b->layout->size || p->taken[p->root[x]]) return false;
    if (!b->layout->contiguous || b->offset != 0) return false; /* views of the node were recorded as of offset 0 */
    return !p->c->must[i] || (!outside(p, x) && p->root[x] == x);
}

static bool equal_nodes(const planner *p, uint32_t i, uint32_t j) {
    const ag_tensor *a = tensor_at(p, i), *b = tensor_at(p, j);
    if (a->op != b->op || a->arity != b->arity || a->dtype != b->dtype || a->attribute_bytes != b->attribute_bytes ||
        a->offset != b->offset || !ag__layouts_same(a->layout, b->layout) || p->taken[j] ||
        memcmp(ag__attributes(a), ag__attributes(b), a->attribute_bytes) != 0)
        return false;
    for (int k = 0; k < a->arity; k++)
        if (p->canon[inputs_of(p, i)[k]] != p->canon[inputs_of(p, j)[k]]) return false;
    return true;
}

/* An earlier node with the same value; else AG__NOWHERE, and i is remembered. */
static uint32_t find_equal(planner *p, uint32_t i) {
    const ag_tensor *t = tensor_at(p, i);
    uint64_t h = ag__mix((uintptr_t)t->op, (uint64_t)t->layout->size);
    for (int k = 0; k < t->arity; k++) h = ag__mix(h, p->canon[inputs_of(p, i)[k]]);
    if (t->attribute_bytes >= sizeof(uint64_t)) {
        uint64_t bits;
        memcpy(&bits, ag__attributes(t), sizeof bits);
        h = ag__mix(h, bits);
    }
    for (uint32_t at = (uint32_t)(h >> 20) & p->table_mask;; at = (at + 1) & p->table_mask) {
        uint32_t j = p->table[at];
        if (j == AG__NOWHERE) {
            p->table[at] = i;
            return j;
        }
        if (equal_nodes(p, i, j)) return j;
    }
}

/* ---- Regions ---- */

static bool open_region(const planner *p, uint32_t s, int64_t size) {
    const ag__plan_step *step = step_at(p, s);
    return step->kind == AG__STEP_REGION && step->members < AG__MOST_MEMBERS && region_of(p, s)->size == size;
}

static uint32_t *recent_of(planner *p, int64_t size) {
    return &p->recent[((uint64_t)size * 0x9e3779b97f4a7c15u) >> 58 & (AG__RECENT_REGIONS - 1)];
}

/* The latest region of this size, if it comes after step s; else 0. */
static uint32_t later_region(planner *p, int64_t size, uint32_t s) {
    uint32_t latest = *recent_of(p, size);
    return runs_after(p, latest, s) && open_region(p, latest, size) ? latest : 0;
}

static uint32_t new_region(planner *p, int64_t size, uint32_t after) {
    ag__list *list = &p->plan->regions;
    if (!ag__list_grow(p->c->tape, list, sizeof(ag__region), 1)) p->failed = true;
    if (p->failed) return 0;
    uint32_t s = new_step(p, AG__STEP_REGION, list->count);
    if (p->failed) return 0;
    ((ag__region *)list->data)[list->count++] = (ag__region){.size = size};
    run_early(p, s, after, size);
    return *recent_of(p, size) = s;
}

/* Step after which canonical place c can be read. */
static uint32_t available(const planner *p, uint32_t c) { return outside(p, p->root[c]) ? 0 : p->step[p->root[c]]; }

static uint32_t latest_input(const planner *p, uint32_t i) {
    uint32_t s = 0;
    for (uint32_t k = p->c->first[i]; k < p->c->first[i + 1]; k++) {
        uint32_t at = available(p, p->canon[p->c->operand[k]]);
        if (runs_after(p, at, s)) s = at;
    }
    return s;
}

static void compute_alone(planner *p, uint32_t i) {
    uint32_t s = new_step(p, AG__STEP_NODE, i);
    if (p->failed) return;
    run_early(p, s, latest_input(p, i), tensor_at(p, i)->layout->size);
    join(p, s, i);
}

/* The role that node i would have in the region of step s, as far as input c has a say: AG__ROLE_NONE if it cannot join. */
static uint8_t role_beside(const planner *p, uint32_t s, uint32_t i, uint32_t c) {
    const ag__region *r = region_of(p, s);
    int64_t size = tensor_at(p, i)->layout->size;
    const ag_tensor *x = tensor_at(p, c);
    uint8_t role = p->role[p->root[c]];
    if (role == AG__ROLE_ELEMENT && size == r->size && shows_all(p, c)) return AG__ROLE_ELEMENT;
    if (role != AG__ROLE_ROW) return AG__ROLE_NONE;
    if (size == r->rows && shows_all(p, c)) return AG__ROLE_ROW;
    return size == r->size && spreads_rows(x, r) ? AG__ROLE_ELEMENT : AG__ROLE_NONE;
}

/* The role of elementwise node i in step s, which is that of its latest input. */
static uint8_t role_in(const planner *p, uint32_t s, uint32_t i) {
    uint8_t role = AG__ROLE_NONE;
    const ag__plan_step *step = step_at(p, s);
    if (step->kind != AG__STEP_REGION || step->members >= AG__MOST_MEMBERS) return role;
    for (uint32_t k = p->c->first[i]; k < p->c->first[i + 1]; k++) {
        uint32_t c = p->canon[p->c->operand[k]];
        if (available(p, c) != s) continue;
        uint8_t one = role_beside(p, s, i, c);
        if (one == AG__ROLE_NONE || (role != AG__ROLE_NONE && one != role)) return AG__ROLE_NONE;
        role = one;
    }
    return role;
}

/* Whether node i hangs on single elements alone, each spread over all of its own: what a cotangent is before it meets an
 * operation whose values matter. */
static bool of_single_elements(const planner *p, uint32_t i) {
    for (uint32_t k = p->c->first[i]; k < p->c->first[i + 1]; k++) {
        const ag__layout *l = tensor_at(p, p->c->operand[k])->layout;
        for (int axis = 0; axis < l->rank; axis++)
            if (l->extent[axis] != 1 && ag__strides(l)[axis] != 0) return false;
    }
    return true;
}

/* A region for what is cheap and known early, so that others need not wait for it: those that ask compute it again. */
static uint32_t early_region(planner *p, int64_t size, uint32_t after) {
    uint32_t recent = *recent_of(p, size), s = new_region(p, size, after);
    if (p->failed) return 0;
    p->time[s] = p->time[after] + 1;
    *recent_of(p, size) = recent;
    return s;
}

static void place_elementwise(planner *p, uint32_t i) {
    int64_t size = tensor_at(p, i)->layout->size;
    uint32_t s = latest_input(p, i), later;
    uint8_t role = s ? role_in(p, s, i) : AG__ROLE_NONE;
    if (role == AG__ROLE_NONE) {
        later = later_region(p, size, s);
        if (later && tensor_at(p, i)->op->flags & AG_OP_CHEAP && of_single_elements(p, i)) s = early_region(p, size, s);
        else s = later ? later : new_region(p, size, s);
        role = AG__ROLE_ELEMENT;
    }
    if (p->failed) return;
    p->role[i] = role;
    join(p, s, i);
}

/* How a reduction runs over its input's elements, as rows by columns. */
static uint8_t reduction_role(const ag_tensor *t, int64_t *rows, int64_t *columns) {
    const ag__layout *l = t->input[0]->layout;
    const ag_axes_set *set = ag__attributes(t);
    int64_t kept = 1, reduced = 1;
    int changes = 0;
    bool first = false, last = false;
    for (int i = 0; i < l->rank; i++) {
        if (l->extent[i] == 1) continue;
        bool is_reduced = set->mask & 1u << i;
        if (kept * reduced == 1) first = is_reduced;
        else changes += is_reduced != last;
        last = is_reduced;
        *(is_reduced ? &reduced : &kept) *= l->extent[i];
    }
    if (reduced <= 1 || changes > 1) return AG__ROLE_NONE;
    *rows = first ? reduced : kept;
    *columns = first ? kept : reduced;
    if (kept == 1) return AG__ROLE_ALL;
    if (first) return kept >= AG__FEWEST_COLUMNS ? AG__ROLE_DOWN : AG__ROLE_NONE;
    return reduced <= AG__MOST_ROW ? AG__ROLE_ROW : AG__ROLE_LONG;
}

/* Folded strip by strip, and strips of rows end elsewhere than those of elements: unless there is only one strip, the
 * order of the sum is another. */
static uint8_t accept_fold_of_all(const planner *p, ag__region *r) {
    bool ordered = p->c->exact && r->size > AG__STRIP;
    if (ordered && r->rows > 1) return AG__ROLE_NONE;
    r->flat = r->flat || ordered;
    r->all = true;
    return AG__ROLE_ALL;
}

/* The role of a reduction in a region, which takes the form that it needs; AG__ROLE_NONE if it has another. */
static uint8_t accept_reduction(const planner *p, ag__region *r, uint8_t role, int64_t rows, int64_t columns,
                                bool used) {
    if (role == AG__ROLE_ALL) {
        if (!used || r->size > AG__MOST_ROW || r->rows > 1) return accept_fold_of_all(p, r);
        rows = 1, columns = r->size;
        role = AG__ROLE_ROW;
    }
    if (r->flat && rows > 1) return AG__ROLE_NONE;
    if (r->rows != 0 && (r->rows != rows || r->columns != columns)) return AG__ROLE_NONE;
    r->rows = rows;
    r->columns = columns;
    return role;
}

static void place_reduction(planner *p, uint32_t i) {
    const ag_tensor *t = tensor_at(p, i);
    uint32_t c = p->canon[inputs_of(p, i)[0]], s = available(p, c), later;
    const ag_tensor *x = tensor_at(p, c);
    int64_t rows = 0, columns = 0;
    uint8_t wanted = x->layout->size > 1 ? reduction_role(t, &rows, &columns) : AG__ROLE_NONE, role = AG__ROLE_NONE;
    bool inside = !outside(p, p->root[c]);
    if (wanted == AG__ROLE_NONE || !x->layout->contiguous || (inside && p->root[c] != c && x->offset != 0)) {
        compute_alone(p, i);
        return;
    }
    bool used = p->c->uses[i] > 0;
    if (inside && p->role[p->root[c]] == AG__ROLE_ELEMENT && open_region(p, s, x->layout->size))
        role = accept_reduction(p, region_of(p, s), wanted, rows, columns, used);
    if (role == AG__ROLE_NONE && (later = later_region(p, x->layout->size, s)) != 0)
        role = accept_reduction(p, region_of(p, later), wanted, rows, columns, used), s = later;
    if (role == AG__ROLE_NONE) {
        s = new_region(p, x->layout->size, s);
        if (p->failed) return;
        role = accept_reduction(p, region_of(p, s), wanted, rows, columns, used);
    }
    p->role[i] = role;
    join(p, s, i);
}

/* ---- Sums with a product ---- */

/* Whether only node i reads place x, which has a buffer of its own that may be written over. */
static bool dies_in(const planner *p, uint32_t x) {
    return !outside(p, x) && p->root[x] == x && p->canon[x] == x && !p->c->must[x] && p->c->uses[x] == 1 &&
           !p->taken[x] && !p->doubled[x] && tensor_at(p, x)->op->kind != AG_KIND_VIEW;
}

/* Whether the entry says so, and it can be true. */
static bool adds(const ag_tensor *t) {
    return t->op->flags & AG_OP_ADDS && t->arity == 2 && t->dtype == t->input[0]->dtype &&
           t->dtype == t->input[1]->dtype;
}

/* a + b where b can add itself to what a's buffer holds: the product waits until then. A sum that is continued may be
 * rounded otherwise than one that is added at its end. */
static bool place_sum(planner *p, uint32_t i) {
    if (p->c->exact || !adds(tensor_at(p, i))) return false;
    for (int k = 1; k >= 0; k--) {
        uint32_t v = inputs_of(p, i)[k], u = inputs_of(p, i)[1 - k];
        if (u == v || !dies_in(p, v) || !dies_in(p, u)) continue;
        if (!(tensor_at(p, v)->op->flags & AG_OP_ACCUMULATES) || step_at(p, p->step[v])->kind != AG__STEP_NODE)
            continue;
        step_at(p, p->step[v])->kind = AG__STEP_NOTHING;
        step_at(p, p->step[v])->members = 0;
        p->head[p->step[v]] = AG__NOWHERE;
        uint32_t s = new_step(p, AG__STEP_ADD, v);
        if (p->failed) return true;
        step_at(p, s)->onto = u;
        p->taken[u] = p->taken[v] = true;
        join(p, s, v);
        join(p, s, i);
        return true;
    }
    return false;
}

/* ---- Forwards: which step ---- */

static void place(planner *p, uint32_t i) {
    const ag_tensor *t = tensor_at(p, i);
    p->canon[i] = p->root[i] = i;
    uint32_t same = same_as(p, i);
    if (!may_stand_for(p, i, same)) same = ag__is_drawn(t) ? AG__NOWHERE : find_equal(p, i);
    if (same != AG__NOWHERE) {
        p->canon[i] = same;
        p->doubled[same] = p->doubled[p->root[same]] = true;
        p->root[i] = p->root[same];
        join(p, available(p, same), i);
        return;
    }
    if (t->op->kind == AG_KIND_VIEW) {
        p->root[i] = p->root[p->canon[inputs_of(p, i)[t->arity - 1]]];
        join(p, available(p, i), i);
    } else if (t->layout->size > 0 && t->op->kind == AG_KIND_ELEMENTWISE) {
        if (!place_sum(p, i)) place_elementwise(p, i);
    } else if (t->layout->size > 0 && t->op->kind == AG_KIND_REDUCTION) {
        place_reduction(p, i);
    } else {
        compute_alone(p, i);
    }
}

/* ---- Large regions: what has nothing to do with each other is apart ----
 *
 * One loop over the elements of many tensors reads and writes more places at a time than the hardware follows. The parts
 * of a region run at its time, which must be no other step's: so only regions that never run early are divided. */

/* The first member of i's part; `work` leads there. */
static uint32_t part_of(const planner *p, uint32_t i) {
    while (p->work[i] != i) i = p->work[i] = p->work[p->work[i]];
    return i;
}

static void unite(const planner *p, uint32_t i, uint32_t j) {
    uint32_t a = part_of(p, i), b = part_of(p, j);
    if (a < b) p->work[b] = a;
    else p->work[a] = b;
}

/* Member i belongs together with what it is computed from, and with whoever reads the same elements. */
static void tie(const planner *p, uint32_t s, uint32_t i) {
    int64_t size = region_of(p, s)->size;
    if (p->step[p->root[i]] == s && !outside(p, p->root[i])) unite(p, i, p->root[i]);
    for (uint32_t k = p->c->first[i]; k < p->c->first[i + 1]; k++) {
        uint32_t x = p->root[p->canon[p->c->operand[k]]], *reader = &p->cell_of[x];
        if (!outside(p, x) && p->step[x] == s) unite(p, i, x);
        else if (tensor_at(p, x)->layout->size < size) continue;
        else if (*reader) unite(p, i, *reader - 1);
        else *reader = i + 1;
    }
}

static void forget_readers(const planner *p, uint32_t i) {
    for (uint32_t k = p->c->first[i]; k < p->c->first[i + 1]; k++) p->cell_of[p->root[p->canon[p->c->operand[k]]]] = 0;
}

/* A step with a region like that of s, at the same time; 0 for want of memory. */
static uint32_t step_beside(planner *p, uint32_t s) {
    ag__list *list = &p->plan->regions;
    if (!ag__list_grow(p->c->tape, list, sizeof(ag__region), 1)) p->failed = true;
    uint32_t fresh = new_step(p, AG__STEP_REGION, list->count);
    if (p->failed) return 0;
    ((ag__region *)list->data)[list->count++] = *region_of(p, s);
    p->time[fresh] = p->time[s];
    return fresh;
}

static void split(planner *p, uint32_t s) {
    uint32_t first = p->head[s], fresh = p->plan->steps.count, i, next;
    for (i = first; i != AG__NOWHERE; i = p->next[i]) p->work[i] = i;
    for (i = first; i != AG__NOWHERE; i = p->next[i]) tie(p, s, i);
    for (i = first; i != AG__NOWHERE; i = p->next[i]) forget_readers(p, i);
    p->head[s] = AG__NOWHERE;
    step_at(p, s)->members = 0;
    uint32_t *of_part = p->cell_of; /* the step of each part, by its first member */
    for (i = first; i != AG__NOWHERE && !p->failed; i = next) {
        uint32_t part = part_of(p, i);
        next = p->next[i];
        if (part == i) of_part[i] = i == first ? s : step_beside(p, s);
        join(p, of_part[part], i);
    }
    for (uint32_t t = s; t < p->plan->steps.count; t = t == s ? fresh : t + 1)
        for (i = p->head[t]; i != AG__NOWHERE; i = p->next[i]) of_part[i] = 0;
}

static void split_regions(planner *p) {
    uint32_t steps = p->plan->steps.count;
    for (uint32_t s = 1; s < steps && !p->failed; s++)
        if (step_at(p, s)->kind == AG__STEP_REGION && region_of(p, s)->size >= AG__LARGE) split(p, s);
}

/* ---- In which order ---- */

typedef struct timed {
    uint64_t time;
    uint32_t step;
} timed;

static int by_time(const void *a, const void *b) {
    const timed *x = a, *y = b;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    return x->step < y->step ? -1 : x->step > y->step;
}

static void sort_by_time(planner *p, uint32_t *order, uint32_t n) {
    ag__buffer *memory = ag__buffer_new(p->c->tape, n * sizeof(timed));
    if (!memory) {
        p->failed = true;
        return;
    }
    timed *t = memory->data;
    for (uint32_t s = 0; s < n; s++) t[s] = (timed){p->time[s], s};
    qsort(t, n, sizeof *t, by_time);
    for (uint32_t s = 0; s < n; s++) order[s] = t[s].step;
    ag__buffer_drop(p->c->tape, memory);
}

/* Steps as they run. */
static void order_steps(planner *p) {
    ag__list *list = &p->plan->order;
    uint32_t n = p->plan->steps.count;
    if (!ag__list_grow(p->c->tape, list, sizeof(uint32_t), n)) {
        p->failed = true;
        return;
    }
    bool sorted = true;
    for (uint32_t s = 1; s < n; s++) sorted = sorted && p->time[s] > p->time[s - 1];
    uint32_t *order = list->data;
    list->count = n;
    for (uint32_t s = 0; s < n; s++) order[s] = s;
    if (sorted) return;
    sort_by_time(p, order, n);
}

/* ---- Backwards: what is stored ---- */

static void request(planner *p, uint32_t c) {
    uint32_t r = p->root[c];
    if (!outside(p, r)) p->stored[r] = true;
    if (c != r) p->shown[c] = true;
}

static void hold(planner *p, uint32_t c) { push(p, &p->plan->holds, c); }

/* How many cheap operations cost less than writing a value and reading it again: the more the further away it goes. */
static int chain_of(const ag_tensor *t) {
    int64_t bytes = t->layout->size * (int64_t)ag__bytes(t);
    return bytes < AG__SECOND_LEVEL ? AG__SHORT_CHAIN : bytes < AG__MEMORY ? AG__MEDIUM_CHAIN : AG__LONG_CHAIN;
}

/* Whether each element of t is in another cache line than its neighbour, as in a transpose. To read several such at once
 * asks for more lines and pages than a processor has at hand, and costs more than a pass that lays one of them out. */
static bool is_scattered(const ag_tensor *t) {
    const ag__layout *l = t->layout;
    int i = l->rank - 1;
    while (i >= 0 && l->extent[i] == 1) i--;
    int64_t stride = i < 0 ? 1 : ag__strides(l)[i];
    return stride <= -(int64_t)(AG__LINE / ag__bytes(t)) || stride >= (int64_t)(AG__LINE / ag__bytes(t));
}

/* Whether computing r again costs less than storing it: at most `budget` cheap operations on what is there anyway, with
 * neighbours next to each other. */
static bool worth_computing(const planner *p, uint32_t r, int *budget) {
    const ag_tensor *t = tensor_at(p, r);
    if (outside(p, r) || p->role[r] != AG__ROLE_ELEMENT) return false;
    if (p->stored[r] || !(t->op->flags & AG_OP_CHEAP) || --*budget < 0) return false;
    if ((size_t)t->layout->size * ag__bytes(t) < AG__WORTH_BYTES) return false;
    for (uint32_t k = p->c->first[r]; k < p->c->first[r + 1]; k++) {
        uint32_t c = p->canon[p->c->operand[k]], x = p->root[c];
        bool smaller = tensor_at(p, x)->layout->size < t->layout->size; /* and stored, if need be */
        if (!smaller && is_scattered(tensor_at(p, c))) return false;
        if (outside(p, x) || p->role[x] != AG__ROLE_ELEMENT || p->stored[x] || smaller) continue;
        if (!shows_all(p, c) || !worth_computing(p, x, budget)) return false;
    }
    return true;
}

static bool is_inside(const planner *p, uint32_t s, uint32_t r) {
    return !outside(p, r) && p->step[r] == s && (p->role[r] == AG__ROLE_ELEMENT || p->role[r] == AG__ROLE_ROW);
}

/* Input q of a node that the region of step s computes; the node is one of its own, or of an earlier step. */
static void need(planner *p, uint32_t s, uint32_t q, bool own) {
    uint32_t c = p->canon[q], r = p->root[c];
    int budget = chain_of(tensor_at(p, r));
    /* What is computed again is one of the region's elements: not one of its rows, whatever it was where it belongs. */
    bool fits = tensor_at(p, r)->layout->size == region_of(p, s)->size && shows_all(p, c);
    if (is_inside(p, s, r)) {
        p->mark[r] = s;
    } else if (!outside(p, r) && p->mark[r] == s && fits) { /* among the clones already */
    } else if (fits && worth_computing(p, r, &budget)) {
        p->mark[r] = s;
        push(p, &p->clones, r);
        for (uint32_t k = p->c->first[r]; k < p->c->first[r + 1]; k++) need(p, s, p->c->operand[k], false);
    } else {
        request(p, c);
        if (!own || c != q) hold(p, c);
    }
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The program of the region of step s: what it stores, and what that takes. */
static void settle_region(planner *p, uint32_t s) {
    uint32_t count = 0;
    for (uint32_t i = p->head[s]; i != AG__NOWHERE; i = p->next[i])
        if (p->canon[i] == i && p->role[i] != AG__ROLE_NONE) p->work[count++] = i;
    p->clones.count = 0;
    p->own_first[s] = p->plan->computed.count;
    for (uint32_t k = count; k-- > 0;) {
        uint32_t i = p->work[k];
        if (!p->stored[i] && p->mark[i] != s) continue;
        push(p, &p->plan->computed, i);
        for (uint32_t j = p->c->first[i]; j < p->c->first[i + 1]; j++) need(p, s, p->c->operand[j], true);
    }
    for (uint32_t k = 0; k < p->clones.count && !p->failed; k++)
        push(p, &p->plan->computed, ((uint32_t *)p->clones.data)[k]);
    if (p->failed) return;
    p->own_count[s] = p->plan->computed.count - p->own_first[s];
    if (p->own_count[s])
        qsort(ag__numbers(&p->plan->computed, p->own_first[s]), p->own_count[s], sizeof(uint32_t), ascending);
}

static void settle_node(planner *p, uint32_t i) {
    for (uint32_t k = p->c->first[i]; k < p->c->first[i + 1]; k++) {
        uint32_t q = p->c->operand[k], c = p->canon[q];
        request(p, c);
        if (c != q) p->shown[q] = true; /* the operation looks at its inputs themselves */
    }
}

static void settle(planner *p) {
    for (uint32_t i = 0; i < p->c->nodes; i++) {
        if (!p->c->kept[i]) continue;
        request(p, p->canon[i]);
        if (p->canon[i] != i) p->shown[i] = true;
    }
    const uint32_t *order = p->plan->order.data;
    for (uint32_t k = p->plan->steps.count; k-- > 1 && !p->failed;) {
        uint32_t s = order[k];
        ag__plan_step *step = step_at(p, s);
        step->hold = p->plan->holds.count;
        if (step->kind == AG__STEP_NODE && !p->stored[step->what]) step->kind = AG__STEP_NOTHING; /* nobody asks */
        else if (step->kind == AG__STEP_REGION) settle_region(p, s);
        else if (step->members) settle_node(p, step->what);
        if (step->kind == AG__STEP_ADD) request(p, step->onto);
        step->holds = p->plan->holds.count - step->hold;
    }
}

/* ---- The plan ---- */

static void list_members(planner *p) {
    ag__list *list = &p->plan->members;
    if (!ag__list_grow(p->c->tape, list, 2 * sizeof(uint32_t), p->c->nodes + 1)) p->failed = true;
    for (uint32_t s = 0; s < p->plan->steps.count && !p->failed; s++) {
        ag__plan_step *step = step_at(p, s);
        step->member = list->count;
        for (uint32_t i = step->members ? p->head[s] : AG__NOWHERE; i != AG__NOWHERE; i = p->next[i]) {
            uint32_t *to = (uint32_t *)list->data + 2 * (size_t)list->count++;
            to[0] = i;
            to[1] = p->shown[i] ? p->canon[i] != i ? p->canon[i] : p->root[i] : AG__NOWHERE;
        }
    }
}

static void list_reads(planner *p, uint32_t s, const uint32_t *node, uint32_t count) {
    ag__region *r = region_of(p, s);
    r->read = p->plan->read.count;
    for (uint32_t n = 0; n < count; n++) {
        for (uint32_t k = p->c->first[node[n]]; k < p->c->first[node[n] + 1]; k++) {
            uint32_t c = p->canon[p->c->operand[k]], x = p->root[c];
            bool computed = !outside(p, x) && p->mark[x] == s;
            if (!computed || (p->role[x] != AG__ROLE_ROW && !shows_all(p, c))) push(p, &p->plan->read, c);
        }
    }
    r->reads = p->plan->read.count - r->read;
}

/* How often step s reads what its results may be written over, which until its end is not released. */
static void count_reads(planner *p, uint32_t s) {
    const ag__region *r = region_of(p, s);
    const ag__plan_step *step = step_at(p, s);
    const uint32_t *hold = ag__numbers(&p->plan->holds, step->hold);
    uint32_t *reuse = ag__numbers(&p->plan->reuse, 2 * (size_t)r->output), *count = p->cell_of, n = r->outputs;
    for (uint32_t o = 0; o < n; o++)
        if (reuse[2 * o] != AG__NOWHERE) count[reuse[2 * o]] = 0; /* the cells have served */
    for (uint32_t i = p->head[s]; i != AG__NOWHERE; i = p->next[i])
        for (uint32_t k = p->c->first[i]; k < p->c->first[i + 1]; k++) count[p->c->operand[k]]++;
    for (uint32_t i = 0; i < step->holds; i++) count[hold[i]]++;
    for (uint32_t o = 0; o < n; o++)
        if (reuse[2 * o] != AG__NOWHERE) reuse[2 * o + 1] = count[reuse[2 * o]];
}

static void lower_regions(planner *p) {
    for (uint32_t s = 1; s < p->plan->steps.count && !p->failed; s++) {
        ag__plan_step *step = step_at(p, s);
        if (step->kind != AG__STEP_REGION) continue;
        if (p->own_count[s] == 0) {
            step->kind = AG__STEP_NOTHING;
            continue;
        }
        const uint32_t *node = ag__numbers(&p->plan->computed, p->own_first[s]);
        for (uint32_t k = 0; k < p->own_count[s]; k++) p->mark[node[k]] = s;
        ag__inside inside = {.canon = p->canon,
                             .root = p->root,
                             .role = p->role,
                             .stored = p->stored,
                             .step = p->step,
                             .mark = p->mark,
                             .s = s,
                             .whole = p->whole,
                             .cell_of = p->cell_of};
        region_of(p, s)->compute = p->own_first[s];
        region_of(p, s)->computes = p->own_count[s];
        list_reads(p, s, node, p->own_count[s]);
        if (!ag__lower(p->plan, p->c, region_of(p, s), node, p->own_count[s], &inside)) p->failed = true;
        else count_reads(p, s);
    }
}

static bool take_memory(planner *p) {
    const ag__chunk_nodes *c = p->c;
    size_t n = c->places, steps = (size_t)c->nodes + 2, room = 16;
    while (room < 2 * (size_t)c->nodes) room *= 2;
    size_t words = 6 * n + 6 * steps + c->nodes + room, bytes = words * sizeof(uint32_t) + 5 * n;
    if (!(p->memory = ag__buffer_new(c->tape, bytes))) return false;
    p->time = p->memory->data;
    uint32_t *w = (uint32_t *)(p->time + steps);
    uint32_t **parts[] = {&p->canon, &p->root, &p->step, &p->next, &p->mark, &p->cell_of};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++, w += n) *parts[i] = w;
    uint32_t **of_steps[] = {&p->head, &p->tail, &p->own_first, &p->own_count};
    for (size_t i = 0; i < sizeof of_steps / sizeof *of_steps; i++, w += steps) *of_steps[i] = w;
    p->work = w, w += c->nodes;
    p->table = w, w += room;
    p->table_mask = (uint32_t)room - 1;
    memset(p->table, 0xff, room * sizeof *p->table);
    memset(p->mark, 0, 2 * n * sizeof *p->mark); /* and cell_of, which follows */
    p->role = (uint8_t *)w;
    p->stored = (bool *)(p->role + n);
    p->shown = p->stored + n;
    p->taken = p->shown + n;
    p->doubled = p->taken + n;
    memset(p->role, 0, 5 * n);
    return true;
}

bool ag__plan_make(ag__plan *plan, const ag__chunk_nodes *c, bool whole) {
    planner p = {.plan = plan, .c = c, .whole = whole};
    if (!take_memory(&p)) return false;
    new_step(&p, AG__STEP_NOTHING, 0);
    for (uint32_t i = c->nodes; i < c->places; i++) p.canon[i] = p.root[i] = i, p.step[i] = 0;
    for (uint32_t i = 0; i < c->nodes && !p.failed; i++) place(&p, i);
    if (!p.failed) split_regions(&p);
    if (!p.failed) order_steps(&p);
    if (!p.failed) settle(&p);
    if (!p.failed) list_members(&p);
    if (!p.failed) lower_regions(&p);
    ag__list_free(c->tape, &p.clones, sizeof(uint32_t));
    ag__buffer_drop(c->tape, p.memory);
    plan->whole = whole;
    plan->nodes = c->nodes;
    plan->places = c->places;
    if (p.failed) ag__plan_clear(c->tape, plan);
    return !p.failed;
}
