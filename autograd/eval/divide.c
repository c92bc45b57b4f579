/* divide -- assigning nodes to steps
 *
 * One pass in the order of recording. Invariant: a step reads what earlier steps store, and nothing else; a node
 * joins a region only if all its inputs are of earlier steps, or of the region itself and available in its strips. */
#include "autograd/eval/pack.h"
#include "autograd/eval/planning.h"
#include "autograd/tape/basis.h"

/* Step after which index i can be read. */
static uint32_t available(const ag__planner *p, uint32_t i) { return p->value[p->value[i].root].step; }

static uint32_t latest_input(const ag__planner *p, uint32_t i) {
    uint32_t s = 0;
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        uint32_t at = available(p, ag__leader_at(p, k));
        if (ag__step_after(p, at, s)) s = at;
    }
    return s;
}

static void run_early(ag__planner *p, uint32_t s, uint32_t after) {
    if (!p->maker.failed) p->drafts.at[s].time = p->drafts.at[after].time + 1;
}

/* ---- Single operations ---- */

/* A step that takes little memory runs as soon as it can: others may then join regions that come before it on the
 * tape. */
static bool is_little(int64_t size) { return size <= AG__LITTLE; }

/* A weight's gradient stays in any case, and what it is computed from need not stay for it. */
static bool is_gradient(const ag__planner *p, uint32_t i) {
    const ag_tensor *t = ag__tensor_at(p, i);
    return t->flags & AG__GRADIENT && t->op->flags & AG_OP_ACCUMULATES && p->c->node[i].must;
}

static void compute_alone(ag__planner *p, uint32_t i) {
    uint32_t s = ag__step_new(p, AG__STEP_NODE, i);
    if (p->maker.failed) return;
    if (is_little(ag__tensor_at(p, i)->layout->size) || is_gradient(p, i)) run_early(p, s, latest_input(p, i));
    ag__step_join(p, s, i);
}

/* ---- Regions ---- */

static bool is_open(const ag__planner *p, uint32_t s) {
    const ag__plan_step *step = ag__step_at(p, s);
    return step->kind == AG__STEP_REGION && step->members < AG__MOST_MEMBERS;
}

static bool is_open_of(const ag__planner *p, uint32_t s, int64_t size) {
    return is_open(p, s) && ag__region_of(p, s)->size == size;
}

static uint32_t *recent_of(ag__planner *p, int64_t size) {
    return &p->recent[((uint64_t)size * 0x9e3779b97f4a7c15u) >> 58 & (AG__RECENT_REGIONS - 1)];
}

/* The latest region of this size, if it comes after step s; else 0. */
static uint32_t later_region(ag__planner *p, int64_t size, uint32_t s) {
    uint32_t latest = *recent_of(p, size);
    return ag__step_after(p, latest, s) && is_open_of(p, latest, size) ? latest : 0;
}

static uint32_t new_region(ag__planner *p, int64_t size, uint32_t after) {
    uint32_t s = ag__step_region(p, (ag__region){.size = size});
    if (is_little(size)) run_early(p, s, after);
    return *recent_of(p, size) = s;
}

/* A region for cheap values known early, so that others need not wait for it: their readers rematerialise them. */
static uint32_t early_region(ag__planner *p, int64_t size, uint32_t after) {
    uint32_t s = ag__step_region(p, (ag__region){.size = size});
    run_early(p, s, after);
    return s;
}

/* ---- Elementwise operations ---- */

/* The role that node i would have in the region of step s because of input x; AG__ROLE_NONE if it cannot join. */
static ag__role role_beside(const ag__planner *p, uint32_t s, uint32_t i, uint32_t x) {
    const ag__region *r = ag__region_of(p, s);
    int64_t size = ag__tensor_at(p, i)->layout->size;
    uint8_t role = p->value[p->value[x].root].role;
    if (role == AG__ROLE_ELEMENT && size == r->size && ag__shows_root(p, x)) return AG__ROLE_ELEMENT;
    if (role != AG__ROLE_ROW) return AG__ROLE_NONE;
    if (size == r->rows && ag__shows_root(p, x)) return AG__ROLE_ROW;
    return size == r->size && ag__tensor_at(p, x)->offset == 0 && ag__spreads_rows(ag__tensor_at(p, x), r)
               ? AG__ROLE_ELEMENT
               : AG__ROLE_NONE;
}

/* The role of elementwise node i in step s, which is that of its latest input. */
static ag__role role_in(const ag__planner *p, uint32_t s, uint32_t i) {
    ag__role role = AG__ROLE_NONE;
    if (!is_open(p, s)) return role;
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        uint32_t x = ag__leader_at(p, k);
        if (available(p, x) != s) continue;
        ag__role one = role_beside(p, s, i, x);
        if (one == AG__ROLE_NONE || (role != AG__ROLE_NONE && one != role)) return AG__ROLE_NONE;
        role = one;
    }
    return role;
}

/* Whether node i depends only on single elements, broadcast over all of its own, like a cotangent before it meets
 * other values. */
static bool of_single_elements(const ag__planner *p, uint32_t i) {
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        const ag__layout *l = ag__tensor_at(p, p->c->operand[k])->layout;
        for (int axis = 0; axis < l->rank; axis++)
            if (l->extent[axis] != 1 && ag__strides(l)[axis] != 0) return false;
    }
    return true;
}

static void join(ag__planner *p, uint32_t s, uint32_t i, ag__role role) {
    if (p->maker.failed) return;
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        ag__value *x = &p->value[p->value[ag__leader_at(p, k)].root];
        if (x->reader == 0 || ag__step_after(p, x->reader, s)) x->reader = s;
    }
    p->value[i].role = (uint8_t)role;
    ag__step_join(p, s, i);
}

static void place_elementwise(ag__planner *p, uint32_t i) {
    const ag_tensor *t = ag__tensor_at(p, i);
    int64_t size = t->layout->size;
    uint32_t s = latest_input(p, i), later;
    ag__role role = s ? role_in(p, s, i) : AG__ROLE_NONE;
    if (role != AG__ROLE_NONE) {
        join(p, s, i, role);
        return;
    }
    later = later_region(p, size, s);
    if (later && t->op->flags & AG_OP_CHEAP && of_single_elements(p, i)) s = early_region(p, size, s);
    else s = later ? later : new_region(p, size, s);
    join(p, s, i, AG__ROLE_ELEMENT);
}

/* ---- Reductions ---- */

typedef struct fold { /* how a reduction runs over its input's elements, as rows by columns */
    ag__role role;
    int64_t rows, columns, inner, sample;
    bool used; /* by nodes of the chunk */
} fold;

/* Whether a middle axis is reduced as the columns of samples are, rather than as interleaved rows: where a cache has
 * all elements, or not even those that one of these rows has with its neighbours. */
static bool is_sampled(const ag_tensor *x, int64_t reduced, int64_t inner) {
    const int64_t row = inner * (int64_t)ag__bytes(x), sample = reduced * row;
    if (inner < AG__FEWEST_COLUMNS || row < AG__LEAST_SAMPLED || reduced < AG__ROWS_A_GROUP) return false;
    return sample > AG__SLAB || (sample >= AG__LEAST_SAMPLE && ag__value_bytes(x) <= AG__MEMORY);
}

static fold fold_of(const ag_tensor *t) {
    const ag__layout *l = t->input[0]->layout;
    const ag_axes_set *set = ag__attributes(t);
    int64_t kept = 1, reduced = 1, inner = 1;
    int changes = 0;
    bool first = false, last = false;
    for (int i = 0; i < l->rank; i++) {
        if (l->extent[i] == 1) continue;
        bool is_reduced = set->mask & 1u << i;
        if (kept * reduced == 1) first = is_reduced;
        else changes += is_reduced != last;
        last = is_reduced;
        *(is_reduced ? &reduced : &kept) *= l->extent[i];
        inner = is_reduced ? 1 : inner * l->extent[i];
    }
    fold f = {.role = AG__ROLE_NONE, .rows = first ? reduced : kept, .columns = first ? kept : reduced, .inner = 1};
    if (reduced <= 1 || changes > 2 || (changes == 2 && first)) return f;
    if (changes == 2) {
        f.inner = inner;
        const bool by_columns = reduced < AG__ROWS_A_GROUP || inner >= AG__FEWEST_COLUMNS; /* as the reference does */
        if (reduced <= AG__MOST_ROW && by_columns) f.role = AG__ROLE_ROW;
        if (is_sampled(t->input[0], reduced, inner))
            f = (fold){.role = AG__ROLE_DOWN, .rows = l->size / inner, .columns = inner, .inner = 1, .sample = reduced};
    } else if (kept == 1) f.role = AG__ROLE_ALL;
    else if (first) f.role = kept >= AG__FEWEST_COLUMNS ? AG__ROLE_DOWN : AG__ROLE_NONE, f.sample = reduced;
    else {
        const bool longer = kept >= AG__MANY_ROWS && t->tape->compile;
        f.role = reduced <= (longer ? AG__LONGEST_ROW : AG__MOST_ROW) ? AG__ROLE_ROW : AG__ROLE_LONG;
    }
    return f;
}

/* Strips of rows and of elements end at different elements, so with more than one strip the order of the sum
 * differs. */
static ag__role accept_fold_of_all(const ag__planner *p, ag__region *r) {
    bool ordered = p->c->exact && r->size > AG__STRIP;
    if ((ordered && r->rows > 1) || r->inner > 1 || ag__has_samples(r->sample, r->rows)) return AG__ROLE_NONE;
    r->flat = r->flat || ordered;
    r->all = true;
    return AG__ROLE_ALL;
}

/* The role of a reduction in the region of step s, which takes the form it needs; AG__ROLE_NONE if it has another
 * form. */
static ag__role accept_fold(const ag__planner *p, uint32_t s, fold f) {
    ag__region *r = ag__region_of(p, s);
    if (f.role == AG__ROLE_ALL) {
        if (!f.used || r->size > AG__MOST_ROW || r->rows > 1) return accept_fold_of_all(p, r);
        f = (fold){.role = AG__ROLE_ROW, .rows = 1, .columns = r->size, .inner = 1};
    }
    if ((r->flat && f.rows > 1) || (r->all && (f.inner > 1 || ag__has_samples(f.sample, f.rows)))) return AG__ROLE_NONE;
    if (r->rows != 0 && (r->rows != f.rows || r->columns != f.columns || r->inner != f.inner)) return AG__ROLE_NONE;
    if (f.sample && !ag__accept_sample(r, f.rows, f.sample)) return AG__ROLE_NONE;
    r->rows = f.rows;
    r->columns = f.columns;
    r->inner = f.inner;
    return f.role;
}

/* A reduction of index x, which is contiguous, joins the region that computes x, or the first that reads it, a later
 * one, or its own. */
static void place_fold(ag__planner *p, uint32_t i, uint32_t x, fold f) {
    int64_t size = ag__tensor_at(p, x)->layout->size;
    uint32_t root = p->value[x].root, s = available(p, x), later, reader = p->value[root].reader;
    ag__role role = AG__ROLE_NONE;
    bool inside = p->value[root].role == AG__ROLE_ELEMENT;
    later = inside ? s : reader && ag__step_after(p, reader, s) ? reader : 0;
    if (later && is_open_of(p, later, size) && (role = accept_fold(p, later, f)) != AG__ROLE_NONE) s = later;
    if (role == AG__ROLE_NONE && (later = later_region(p, size, s)) != 0) role = accept_fold(p, later, f), s = later;
    if (role == AG__ROLE_NONE) {
        s = new_region(p, size, s);
        if (p->maker.failed) return;
        role = accept_fold(p, s, f);
    }
    join(p, s, i, role);
}

/* A fold down the columns of a value that no region computes waits, the first time: a region that reads the value may
 * come to be before the fold is needed. */
static void place_reduction(ag__planner *p, uint32_t i) {
    uint32_t c = p->value[ag__inputs_of(p, i)[0]].leader, root = p->value[c].root;
    const ag_tensor *t = ag__tensor_at(p, i), *x = ag__tensor_at(p, c);
    bool part = !ag__is_outside(p, root) && root != c && x->offset != 0;
    fold f = x->layout->size > 1 && x->layout->contiguous && !part ? fold_of(t) : (fold){.role = AG__ROLE_NONE};
    f.used = p->c->node[i].uses > 0;
    p->value[i].waits = !p->value[i].waits && f.role == AG__ROLE_DOWN && p->value[root].role == AG__ROLE_NONE;
    if (p->value[i].waits) return;
    if (f.role == AG__ROLE_NONE) compute_alone(p, i);
    else place_fold(p, i, c, f);
}

/* ---- Sums with a product ---- */

/* Whether index x has a buffer of its own and only one reader, which may write over it. */
static bool dies_once_read(const ag__planner *p, uint32_t x) {
    if (ag__is_outside(p, x)) return false;
    const ag__value *v = &p->value[x];
    const ag__node_use *n = &p->c->node[x];
    return v->root == x && v->leader == x && !n->must && n->uses == 1 && !v->taken && !v->repeated &&
           ag__tensor_at(p, x)->op->kind != AG_KIND_VIEW;
}

/* Whether the entry says so, and it can be true. */
static bool adds(const ag_tensor *t) {
    return t->op->flags & AG_OP_ADDS && t->arity == 2 && t->dtype == t->input[0]->dtype &&
           t->dtype == t->input[1]->dtype;
}

static bool is_alone(const ag__planner *p, uint32_t x) {
    return ag__step_at(p, p->value[x].step)->kind == AG__STEP_NODE;
}

/* Product v waits until sum i, and then accumulates into u's buffer. In a backward pass it does so as soon as it can:
 * of many products that are added up, as the gradients of a recurrent weight, none keeps what it is computed from. */
static void accumulate(ag__planner *p, uint32_t i, uint32_t v, uint32_t u) {
    uint32_t former = p->value[v].step, s = ag__step_new(p, AG__STEP_ADD, v), first = p->value[u].step;
    if (p->maker.failed) return;
    if (ag__tensor_at(p, i)->flags & AG__GRADIENT) {
        if (is_alone(p, u)) run_early(p, first, latest_input(p, u));
        run_early(p, s, ag__step_after(p, first, latest_input(p, v)) ? first : latest_input(p, v));
    }
    ag__step_at(p, former)->kind = AG__STEP_NOTHING;
    ag__step_at(p, former)->members = 0;
    p->drafts.at[former].first = AG__NONE;
    ag__step_at(p, s)->onto = u;
    p->value[u].taken = p->value[v].taken = true;
    ag__step_join(p, s, v);
    ag__step_join(p, s, i);
}

/* a + b where b can accumulate into a's buffer. A continued sum may be rounded differently from one that is added at
 * its end. */
static bool place_sum(ag__planner *p, uint32_t i) {
    if (p->c->exact || p->c->final || !adds(ag__tensor_at(p, i))) return false;
    for (int k = 1; k >= 0; k--) {
        uint32_t v = ag__inputs_of(p, i)[k], u = ag__inputs_of(p, i)[1 - k];
        if (u == v || !dies_once_read(p, v) || !dies_once_read(p, u)) continue;
        if (!(ag__tensor_at(p, v)->op->flags & AG_OP_ACCUMULATES) || !is_alone(p, v)) continue;
        accumulate(p, i, v, u);
        return true;
    }
    return false;
}

/* ---- Products that are read part by part ---- */

/* The product that index x shows, if nothing else reads it, nor x; else AG__NONE. */
static uint32_t product_shown(const ag__planner *p, uint32_t x) {
    for (; !ag__is_outside(p, x) && ag__tensor_at(p, x)->op->kind == AG_KIND_VIEW; x = ag__inputs_of(p, x)[0]) {
        const ag__node_use *n = &p->c->node[x];
        const ag__value *v = &p->value[x];
        if (n->must || n->uses != 1 || v->leader != x || v->repeated || ag__tensor_at(p, x)->arity != 1)
            return AG__NONE;
    }
    return dies_once_read(p, x) && is_alone(p, x) ? x : AG__NONE;
}

/* Node i and the product that it reads are one step; so are the views between them. */
static bool place_by_parts(ag__planner *p, uint32_t i) {
    const ag_tensor *t = ag__tensor_at(p, i);
    const uint32_t v = t->arity == 1 && t->layout->size > 0 ? product_shown(p, ag__inputs_of(p, i)[0]) : AG__NONE;
    if (v == AG__NONE || !ag__takes_parts(t->op, ag__tensor_at(p, v)->op)) return false;
    const uint32_t former = p->value[v].step, s = ag__step_new(p, AG__STEP_PARTS, v);
    if (p->maker.failed) return true;
    ag__step_at(p, s)->onto = i;
    ag__step_at(p, former)->kind = AG__STEP_NOTHING;
    ag__step_at(p, former)->members = 0;
    for (uint32_t j = p->drafts.at[former].first, next; j != AG__NONE; j = next) {
        next = p->value[j].next;
        ag__step_join(p, s, j);
    }
    p->drafts.at[former].first = AG__NONE;
    p->value[v].taken = true;
    ag__step_join(p, s, i);
    return true;
}

/* ---- All nodes ---- */

/* Node i is equal to an earlier value, and available when that is. */
static void follow(ag__planner *p, uint32_t i, uint32_t leader) {
    ag__value *l = &p->value[leader];
    p->value[i].leader = leader;
    p->value[i].root = l->root;
    l->repeated = true;
    p->value[l->root].repeated = true;
    ag__step_join(p, available(p, leader), i);
}

/* Place the value that index x shows, if it waits. */
static void end_wait(ag__planner *p, uint32_t x) {
    uint32_t root = p->value[x].root;
    if (p->value[root].waits && !p->maker.failed) place_reduction(p, root);
}

/* Whether t is a copy of a large transpose, which is made by itself. */
static bool is_turned_copy(const ag_tensor *t) {
    return t->op->flags & AG_OP_COPIES && ag__turned_columns(t->input[0]->layout) > 0;
}

static void place(ag__planner *p, uint32_t i) {
    const ag_tensor *t = ag__tensor_at(p, i);
    ag_kind kind = t->op->kind;
    if ((t->layout->size == 0 && kind != AG_KIND_VIEW) || is_turned_copy(t)) kind = AG_KIND_OPAQUE;
    p->value[i].leader = p->value[i].root = i;
    uint32_t equal = ag__equal_to(p, i);
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) end_wait(p, ag__leader_at(p, k));
    if (equal != AG__NONE) {
        end_wait(p, equal);
        follow(p, i, equal);
        return;
    }
    switch (kind) {
    case AG_KIND_VIEW:
        p->value[i].root = p->value[p->value[ag__inputs_of(p, i)[t->arity - 1]].leader].root;
        ag__step_join(p, available(p, i), i);
        break;
    case AG_KIND_ELEMENTWISE:
        if (!place_sum(p, i)) place_elementwise(p, i);
        break;
    case AG_KIND_REDUCTION: place_reduction(p, i); break;
    default:
        if (!place_by_parts(p, i)) compute_alone(p, i);
    }
}

void ag__divide(ag__planner *p) {
    for (uint32_t i = 0; i < p->c->nodes && !p->maker.failed; i++) place(p, i);
    for (uint32_t i = 0; i < p->c->nodes; i++) end_wait(p, i);
}
