/* settle -- stored values and rematerialised ones, which the step that needs them computes again
 *
 * One pass over the steps in reverse, so that all readers of a value are known at its own step. A value is stored if
 * a later step needs it, unless that step can compute it cheaply from stored values. */
#include "autograd/eval/planning.h"

#include <stdlib.h>

static void request(ag__planner *p, uint32_t x) {
    uint32_t root = p->value[x].root;
    if (!ag__is_outside(p, root)) p->value[root].stored = true;
    if (x != root) p->value[x].shown = true;
}

/* ---- Rematerialising ---- */

/* The number of cheap operations that cost less than writing a value and reading it back: more for larger values,
 * which leave the caches. */
static int longest_chain(const ag_tensor *t) {
    int64_t bytes = t->layout->size * (int64_t)ag__bytes(t);
    return bytes < AG__SECOND_LEVEL ? AG__SHORT_CHAIN : bytes < AG__MEMORY ? AG__MEDIUM_CHAIN : AG__LONG_CHAIN;
}

/* Whether neighbouring elements of t are in different cache lines, as in a transpose. Reading several such at once
 * needs more lines and pages than a processor can keep, and costs more than a pass that packs one of them. */
static bool is_scattered(const ag_tensor *t) {
    const ag__layout *l = t->layout;
    int i = l->rank - 1;
    while (i >= 0 && l->extent[i] == 1) i--;
    int64_t stride = i < 0 ? 1 : ag__strides(l)[i];
    return stride <= -(int64_t)(AG__LINE / ag__bytes(t)) || stride >= (int64_t)(AG__LINE / ag__bytes(t));
}

/* Whether computing r again costs less than storing it: at most `budget` cheap operations on stored, contiguous
 * values. */
static bool worth_computing(const ag__planner *p, uint32_t r, int *budget) {
    const ag_tensor *t = ag__tensor_at(p, r);
    const int64_t size = t->layout->size;
    if (ag__is_outside(p, r) || p->value[r].role != AG__ROLE_ELEMENT) return false;
    if (p->value[r].stored || !(t->op->flags & AG_OP_CHEAP) || --*budget < 0) return false;
    if (ag__value_bytes(t) < AG__WORTH_BYTES) return false;
    for (uint32_t k = ag__first_input(p, r); k < ag__end_input(p, r); k++) {
        uint32_t x = ag__leader_at(p, k), root = p->value[x].root;
        if (ag__tensor_at(p, root)->layout->size < size) continue; /* it is stored, if need be */
        if (is_scattered(ag__tensor_at(p, x))) return false;
        if (ag__is_outside(p, root) || p->value[root].role != AG__ROLE_ELEMENT || p->value[root].stored) continue;
        if (!ag__shows_root(p, x) || !worth_computing(p, root, budget)) return false;
    }
    return true;
}

/* ---- A region ---- */

/* Whether the region of step s computes r, available to its other operations. */
static bool is_inside(const ag__planner *p, uint32_t s, uint32_t r) {
    const ag__value *v = &p->value[r];
    return !ag__is_outside(p, r) && v->step == s && (v->role == AG__ROLE_ELEMENT || v->role == AG__ROLE_ROW);
}

/* Input x of a node that the region of step s computes; the node is one of its own, or of an earlier step. A
 * rematerialised value has the region's elements, not its rows, whatever it had in its own step. */
static void need(ag__planner *p, uint32_t s, uint32_t x, bool own) {
    uint32_t leader = p->value[x].leader, r = p->value[leader].root;
    int budget = longest_chain(ag__tensor_at(p, r));
    bool fits = ag__tensor_at(p, r)->layout->size == ag__region_of(p, s)->size && ag__shows_root(p, leader);
    if (is_inside(p, s, r)) {
        p->value[r].program = s;
    } else if (!ag__is_outside(p, r) && p->value[r].program == s && fits) { /* already rematerialised here */
    } else if (fits && worth_computing(p, r, &budget)) {
        p->value[r].program = s;
        AG__APPEND(&p->maker, &p->clones, r);
        for (uint32_t k = ag__first_input(p, r); k < ag__end_input(p, r); k++) need(p, s, p->c->operand[k], false);
    } else {
        request(p, leader);
        if (!own || leader != x) AG__APPEND(&p->maker, &p->plan->holds, leader);
    }
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The region's own nodes that compute something. */
static void list_own(ag__planner *p, uint32_t s) {
    p->own.count = 0;
    for (uint32_t i = p->drafts.at[s].first; i != AG__NONE; i = p->value[i].next)
        if (p->value[i].leader == i && p->value[i].role != AG__ROLE_NONE) AG__APPEND(&p->maker, &p->own, i);
}

/* The nodes of the region's program: stored ones, and those that they need. */
static void settle_region(ag__planner *p, uint32_t s) {
    ag__region *r = ag__region_of(p, s);
    ag__numbers *computed = &p->plan->computed;
    list_own(p, s);
    p->clones.count = 0;
    r->compute = computed->count;
    for (uint32_t k = p->own.count; k-- > 0 && !p->maker.failed;) {
        uint32_t i = p->own.at[k];
        if (!p->value[i].stored && p->value[i].program != s) continue;
        AG__APPEND(&p->maker, computed, i);
        for (uint32_t j = ag__first_input(p, i); j < ag__end_input(p, i); j++) need(p, s, p->c->operand[j], true);
    }
    for (uint32_t k = 0; k < p->clones.count; k++) AG__APPEND(&p->maker, computed, p->clones.at[k]);
    r->computes = computed->count - r->compute;
    if (r->computes) qsort(&computed->at[r->compute], r->computes, sizeof *computed->at, ascending);
}

/* ---- All steps ---- */

static void settle_node(ag__planner *p, uint32_t i) {
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        uint32_t x = p->c->operand[k], leader = p->value[x].leader;
        request(p, leader);
        if (leader != x) p->value[x].shown = true; /* the operation reads the inputs themselves */
    }
}

static void settle_step(ag__planner *p, uint32_t s) {
    ag__plan_step *step = ag__step_at(p, s);
    step->hold = p->plan->holds.count;
    if (step->kind == AG__STEP_NODE && !p->value[step->what].stored)
        step->kind = AG__STEP_NOTHING; /* no step needs it */
    else if (step->kind == AG__STEP_REGION) settle_region(p, s);
    else if (step->members) settle_node(p, step->what);
    if (step->kind == AG__STEP_ADD) request(p, step->onto);
    step->holds = p->plan->holds.count - step->hold;
}

void ag__settle(ag__planner *p) {
    for (uint32_t i = 0; i < p->c->nodes; i++) {
        if (!p->c->node[i].kept) continue;
        request(p, p->value[i].leader);
        if (p->value[i].leader != i) p->value[i].shown = true;
    }
    for (uint32_t k = p->plan->steps.count; k-- > 1 && !p->maker.failed;) settle_step(p, p->plan->order.at[k]);
}
