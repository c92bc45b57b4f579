/* settle -- stored values and rematerialised ones, which the step that needs them computes again
 *
 * One pass over the steps in reverse, so that all readers of a value are known at its own step. A value is stored if
 * a later step needs it, unless that step can compute it cheaply from stored values.
 *
 * From the forward pass to the backward one values would be stored for long, and many at a time. So a backward region
 * also computes again what is not cheap, an exponential or two, if that takes fewer bytes: what it is computed from is
 * stored anyway, or is less than what it stands for. */
#include "autograd/eval/planning.h"

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

/* Whether the region of step s reads it from cells of its own. */
static bool is_in_program(const ag__planner *p, uint32_t s, uint32_t r) {
    return !ag__is_outside(p, r) && p->value[r].program == s;
}

static bool may_be_computed(const ag__planner *p, uint32_t r) {
    return !ag__is_outside(p, r) && p->value[r].role == AG__ROLE_ELEMENT && !p->value[r].stored;
}

/* Whether r goes from step to step of the forward pass in memory, where the backward pass finds it. */
static bool is_passed(const ag__planner *p, uint32_t r) { return !ag__is_outside(p, r) && p->value[r].passed; }

static int cost_of(const ag_tensor *t, bool across) {
    return across || t->op->flags & AG_OP_CHEAP ? ag__cost_across(t) : AG__LONG_CHAIN + 1;
}

/* Whether computing r again in the region of step s costs less than storing it: at most `budget` cheap operations on
 * stored, contiguous values; `across` from the forward pass to the backward one, some that are not cheap too. */
static bool worth_computing(const ag__planner *p, uint32_t s, uint32_t r, bool across, int *budget) {
    const ag_tensor *t = ag__tensor_at(p, r);
    const int64_t size = t->layout->size;
    if (!may_be_computed(p, r) || (*budget -= cost_of(t, across)) < 0) return false;
    if (ag__value_bytes(t) < (across ? AG__WORTH_ACROSS : AG__WORTH_BYTES)) return false;
    for (uint32_t k = ag__first_input(p, r); k < ag__end_input(p, r); k++) {
        uint32_t x = ag__leader_at(p, k), root = p->value[x].root;
        if (ag__tensor_at(p, root)->layout->size < size) continue; /* it is stored, if need be */
        if (is_scattered(ag__tensor_at(p, x))) return false;
        if (across && is_passed(p, root)) continue;
        if (!may_be_computed(p, root) || (across && is_in_program(p, s, root))) continue;
        int rest = *budget;
        if (ag__shows_root(p, x) && worth_computing(p, s, root, across, &rest)) *budget = rest;
        else if (!across) return false; /* across, it is stored */
    }
    return true;
}

/* ---- A region ---- */

/* Whether the region of step s computes r, available to its other operations. */
static bool is_inside(const ag__planner *p, uint32_t s, uint32_t r) {
    const ag__value *v = &p->value[r];
    return !ag__is_outside(p, r) && v->step == s && (v->role == AG__ROLE_ELEMENT || v->role == AG__ROLE_ROW);
}

/* Whether index x has all the region's elements, in their order: a rematerialised value has elements, not rows,
 * whatever it had in its own step. */
static bool fits(const ag__planner *p, uint32_t s, uint32_t x) {
    return ag__tensor_at(p, p->value[x].root)->layout->size == ag__region_of(p, s)->size && ag__shows_root(p, x);
}

static bool crosses(const ag__planner *p, uint32_t s, uint32_t r) {
    return !ag__is_outside(p, r) && ag__is_backward(p, s) && !ag__is_backward(p, p->value[r].step);
}

/* The region reads operand x from memory, for one of its own nodes, or for one of an earlier step. */
static void read(ag__planner *p, uint32_t x, bool own) {
    uint32_t leader = p->value[x].leader;
    if (own && leader == x) ag__request(p, x);
    else ag__read_held(p, leader);
}

static void compute_again(ag__planner *p, uint32_t s, uint32_t r, int *across);

/* Input x of a node that the region of step s computes. `across`: how many cheap operations may be repeated from the
 * forward pass; NULL: as many as cost less than storing a value. */
static void need(ag__planner *p, uint32_t s, uint32_t x, bool own, int *across) {
    uint32_t leader = p->value[x].leader, r = p->value[leader].root;
    int budget = across ? *across : longest_chain(ag__tensor_at(p, r));
    if (is_inside(p, s, r)) p->value[r].program = s;
    else if (is_in_program(p, s, r) && fits(p, s, leader)) return; /* already rematerialised here */
    else if (crosses(p, s, r) && is_passed(p, r)) read(p, x, own);
    else if (fits(p, s, leader) && worth_computing(p, s, r, across, &budget)) compute_again(p, s, r, across);
    else read(p, x, own);
}

static void compute_again(ag__planner *p, uint32_t s, uint32_t r, int *across) {
    if (across) *across -= ag__cost_across(ag__tensor_at(p, r));
    p->value[r].program = s;
    AG__APPEND(&p->maker, &p->clones, r);
    for (uint32_t k = ag__first_input(p, r); k < ag__end_input(p, r); k++) need(p, s, p->c->operand[k], false, across);
}

/* Operand x of one of the region's own nodes: what might be computed again after all is left for later, when it is
 * known what else is stored. */
static void ask(ag__planner *p, uint32_t s, uint32_t x) {
    uint32_t leader = p->value[x].leader, r = p->value[leader].root;
    int cheap = longest_chain(ag__tensor_at(p, r)), budget = AG__LONG_CHAIN;
    bool fit = fits(p, s, leader) && !is_inside(p, s, r) && !is_in_program(p, s, r);
    if (fit && crosses(p, s, r) && is_passed(p, r)) AG__APPEND(&p->maker, &p->passed, x);
    else if (fit && crosses(p, s, r) && !worth_computing(p, s, r, false, &cheap) &&
             worth_computing(p, s, r, true, &budget))
        AG__APPEND(&p->maker, &p->across, x);
    else need(p, s, x, true, NULL);
}

/* ---- What is computed again in the backward pass ---- */

/* Bytes that would be stored only for computing r again; each value counts once. A value that is read twice is
 * likely to be stored anyway, or what is computed from it need not be: it counts half. */
static uint64_t sources_bytes(ag__planner *p, uint32_t s, uint32_t r, int *budget) {
    enum { SOME_USES = 2 };
    uint64_t bytes = 0;
    *budget -= ag__cost_across(ag__tensor_at(p, r));
    for (uint32_t k = ag__first_input(p, r); k < ag__end_input(p, r); k++) {
        uint32_t x = ag__leader_at(p, k), root = p->value[x].root;
        int rest = *budget;
        if (ag__is_outside(p, root) || p->value[root].stored || p->value[root].counted) continue;
        p->value[root].counted = true;
        AG__APPEND(&p->maker, &p->own, root);
        bool again = fits(p, s, x) && (is_in_program(p, s, root) || worth_computing(p, s, root, true, &rest));
        if (again && !is_in_program(p, s, root)) bytes += sources_bytes(p, s, root, budget);
        if (!again) bytes += ag__value_bytes(ag__tensor_at(p, root)) / (p->c->node[root].uses >= SOME_USES ? 2 : 1);
    }
    return bytes;
}

/* The values left for later: each is computed again if fewer bytes are stored for all of them. */
static void settle_across(ag__planner *p, uint32_t s) {
    uint64_t sources = 0, values = 0;
    const ag__numbers *across = &p->across;
    p->own.count = 0;
    for (uint32_t k = 0; k < across->count; k++) {
        uint32_t r = p->value[p->value[across->at[k]].leader].root;
        int budget = AG__LONG_CHAIN;
        if (p->value[r].stored || p->value[r].asked || is_in_program(p, s, r)) continue;
        p->value[r].asked = true;
        sources += sources_bytes(p, s, r, &budget);
        values += ag__value_bytes(ag__tensor_at(p, r));
    }
    for (uint32_t k = 0; k < p->own.count; k++) p->value[p->own.at[k]].counted = false;
    for (uint32_t k = 0; k < across->count && !p->maker.failed; k++) {
        int budget = AG__LONG_CHAIN;
        p->value[p->value[p->value[across->at[k]].leader].root].asked = false;
        need(p, s, across->at[k], true, sources < values ? &budget : NULL);
    }
}

/* A value that the forward pass has passed on is computed again if that takes no other memory, so that it can be
 * dropped. */
static void settle_passed(ag__planner *p, uint32_t s, uint32_t x) {
    uint32_t leader = p->value[x].leader, r = p->value[leader].root;
    int cheap = longest_chain(ag__tensor_at(p, r)), budget = cheap;
    if (is_in_program(p, s, r)) return;
    p->own.count = 0;
    bool again = worth_computing(p, s, r, true, &cheap) && sources_bytes(p, s, r, &budget) == 0;
    for (uint32_t k = 0; k < p->own.count; k++) p->value[p->own.at[k]].counted = false;
    budget = longest_chain(ag__tensor_at(p, r));
    if (again) compute_again(p, s, r, &budget);
    else read(p, x, true);
}

/* The region's own nodes that compute something. */
static void list_own(ag__planner *p, uint32_t s) {
    p->own.count = 0;
    for (uint32_t i = p->drafts.at[s].first; i != AG__NONE; i = p->value[i].next)
        if (p->value[i].leader == i && p->value[i].role != AG__ROLE_NONE) AG__APPEND(&p->maker, &p->own, i);
}

/* The region's own nodes that are stored, and those that they need. */
static void compute_own(ag__planner *p, uint32_t s) {
    p->asked.count = 0;
    for (uint32_t k = p->own.count; k-- > 0 && !p->maker.failed;) {
        uint32_t i = p->own.at[k];
        if (!p->value[i].stored && p->value[i].program != s) continue;
        AG__APPEND(&p->maker, &p->plan->computed, i);
        for (uint32_t j = ag__first_input(p, i); j < ag__end_input(p, i); j++) {
            uint32_t x = p->c->operand[j], r = ag__root_at(p, j);
            if (is_inside(p, s, r)) p->value[r].program = s;
            else AG__APPEND(&p->maker, &p->asked, x);
        }
    }
}

static void settle_region(ag__planner *p, uint32_t s) {
    p->across.count = p->passed.count = 0;
    ag__begin_program(p, s);
    compute_own(p, s);
    for (uint32_t k = 0; k < p->asked.count && !p->maker.failed; k++) ask(p, s, p->asked.at[k]);
    if (p->across.count) settle_across(p, s);
    for (uint32_t k = 0; k < p->passed.count && !p->maker.failed; k++) settle_passed(p, s, p->passed.at[k]);
    ag__end_program(p, s);
}

/* ---- All steps ---- */

/* A region that has but one fold of interleaved rows, which reads memory, gains nothing from it. */
static AG__RARE void leave_alone(ag__planner *p, uint32_t s) {
    uint32_t i = p->own.count == 1 ? p->own.at[0] : AG__NONE;
    if (i == AG__NONE || p->value[i].role != AG__ROLE_ROW || ag__region_of(p, s)->inner == 1) return;
    p->value[i].role = AG__ROLE_NONE;
    ag__step_at(p, s)->kind = AG__STEP_NODE;
    ag__step_at(p, s)->what = i;
}

static void settle_node(ag__planner *p, uint32_t i) {
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        uint32_t x = p->c->operand[k], leader = p->value[x].leader;
        ag__request(p, leader);
        if (leader != x) p->value[x].shown = true; /* the operation reads the inputs themselves */
    }
}

static void settle_step(ag__planner *p, uint32_t s) {
    ag__plan_step *step = ag__step_at(p, s);
    p->now = s;
    if (step->kind == AG__STEP_REGION) list_own(p, s), leave_alone(p, s);
    if (step->kind == AG__STEP_REGION) ag__compute_again(p, s);
    p->now = s;
    step = ag__step_at(p, s);
    step->hold = p->plan->holds.count;
    if (step->kind == AG__STEP_NODE && !p->value[step->what].stored)
        step->kind = AG__STEP_NOTHING; /* no step needs it */
    else if (step->kind == AG__STEP_PARTS && !p->value[step->onto].stored) step->kind = AG__STEP_NOTHING;
    else if (step->kind == AG__STEP_REGION) settle_region(p, s);
    else if (step->members) settle_node(p, step->what);
    if (step->kind == AG__STEP_ADD) ag__request(p, step->onto);
    step->holds = p->plan->holds.count - step->hold;
}

/* Note which inputs of node i a later step of the forward pass reads in memory: a product, or a region that would not
 * compute them. */
static void find_passed(ag__planner *p, uint32_t i) {
    const uint32_t s = p->value[i].step;
    if (p->value[i].leader != i || ag__is_backward(p, s)) return;
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        uint32_t x = ag__leader_at(p, k), r = p->value[x].root;
        if (ag__is_outside(p, r) || p->value[r].step == s || ag__is_backward(p, p->value[r].step)) continue;
        int budget = longest_chain(ag__tensor_at(p, r));
        bool computed =
            ag__step_at(p, s)->kind == AG__STEP_REGION && fits(p, s, x) && worth_computing(p, s, r, false, &budget);
        if (!computed) p->value[r].passed = true;
    }
}

void ag__settle(ag__planner *p) {
    for (uint32_t i = 0; i < p->c->nodes; i++) find_passed(p, i);
    for (uint32_t i = 0; i < p->c->nodes; i++) {
        if (!p->c->node[i].kept) continue;
        ag__request(p, p->value[i].leader);
        if (p->value[i].leader != i) p->value[i].shown = true;
    }
    for (uint32_t k = p->plan->order.count; k-- > 1 && !p->maker.failed;) settle_step(p, p->plan->order.at[k]);
    if (!p->maker.failed) ag__order_again(p);
}
