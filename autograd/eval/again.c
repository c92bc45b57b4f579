/* again -- values that are dropped after the forward pass, and computed once more for the backward pass
 *
 * An activation is the input of a product, and of the product that gives the weight's gradient: it would be stored
 * from one to the other, like those of all other layers. If it can be computed from what is stored as long anyway, a
 * region of its own does so before the first step of the backward pass that needs it. All steps that need a value are
 * noted, in the reverse of the order in which they run; so when its own step is settled, all are known. */
#include "autograd/eval/planning.h"

#include <stdlib.h>

/* ---- Who needs a value ---- */

static void note_need(ag__planner *p, ag__value *v) {
    if (p->now == 0) {
        v->stays = true;
    } else if (ag__is_backward(p, p->now) && !ag__is_backward(p, v->step)) {
        v->stays = v->stays || v->early; /* the passes are not one after the other */
        v->late = p->now;
    } else if (!v->early) {
        v->early = p->now;
    }
}

void ag__request(ag__planner *p, uint32_t x) {
    uint32_t root = p->value[x].root;
    if (!ag__is_outside(p, root)) {
        p->value[root].stored = true;
        note_need(p, &p->value[root]);
    }
    if (x != root) p->value[x].shown = true;
}

void ag__read_held(ag__planner *p, uint32_t x) {
    ag__request(p, x);
    AG__APPEND(&p->maker, &p->plan->holds, x);
}

/* ---- Programs ---- */

void ag__begin_program(ag__planner *p, uint32_t s) {
    p->clones.count = 0;
    ag__region_of(p, s)->compute = p->plan->computed.count;
    ag__step_at(p, s)->hold = p->plan->holds.count;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

void ag__end_program(ag__planner *p, uint32_t s) {
    ag__region *r = ag__region_of(p, s);
    ag__numbers *computed = &p->plan->computed;
    for (uint32_t k = 0; k < p->clones.count; k++) AG__APPEND(&p->maker, computed, p->clones.at[k]);
    r->computes = computed->count - r->compute;
    if (r->computes) qsort(&computed->at[r->compute], r->computes, sizeof *computed->at, ascending);
    ag__step_at(p, s)->holds = p->plan->holds.count - ag__step_at(p, s)->hold;
}

/* ---- Decisions ---- */

/* Whether value x, of at least as many elements as are to be computed, is there until the backward pass needs it. */
static bool lasts(const ag__planner *p, uint32_t x) {
    return ag__is_outside(p, x) || (p->value[x].stored && (p->value[x].late || p->value[x].stays));
}

/* Whether r can be computed by at most `budget` cheap operations from what lasts, and from what is much smaller. Values
 * on the way are listed in `asked`, and count once. */
static bool can_compute(ag__planner *p, uint32_t r, int *budget) {
    const ag_tensor *t = ag__tensor_at(p, r);
    if (p->value[r].counted) return true;
    p->value[r].counted = true;
    AG__APPEND(&p->maker, &p->asked, r);
    if ((*budget -= ag__cost_across(t)) < 0) return false;
    for (uint32_t k = ag__first_input(p, r); k < ag__end_input(p, r); k++) {
        uint32_t x = ag__leader_at(p, k), root = p->value[x].root;
        if (lasts(p, root) || ag__tensor_at(p, root)->layout->size <= t->layout->size / 8) continue;
        if (p->value[root].role != AG__ROLE_ELEMENT || !ag__shows_root(p, x) || !can_compute(p, root, budget))
            return false;
    }
    return true;
}

static bool is_worth_it(ag__planner *p, uint32_t r) {
    const ag__value *v = &p->value[r];
    int budget = AG__LONG_CHAIN;
    if (v->leader != r || v->role != AG__ROLE_ELEMENT || !v->stored || !v->late || v->stays || v->taken) return false;
    if (p->c->node[r].must || ag__value_bytes(ag__tensor_at(p, r)) < AG__WORTH_BYTES) return false;
    p->asked.count = 0;
    bool good = can_compute(p, r, &budget) && !p->maker.failed;
    for (uint32_t k = 0; k < p->asked.count; k++) p->value[p->asked.at[k]].counted = false;
    return good;
}

/* The program of step s computes r by the same choices. */
static void compute(ag__planner *p, uint32_t s, uint32_t r) {
    const int64_t size = ag__tensor_at(p, r)->layout->size;
    p->value[r].program = s;
    AG__APPEND(&p->maker, &p->clones, r);
    for (uint32_t k = ag__first_input(p, r); k < ag__end_input(p, r); k++) {
        uint32_t x = ag__leader_at(p, k), root = p->value[x].root;
        if (lasts(p, root) || ag__tensor_at(p, root)->layout->size <= size / 8) ag__read_held(p, x);
        else if (p->value[root].program != s) compute(p, s, root);
    }
}

static void compute_again(ag__planner *p, uint32_t r) {
    uint32_t late = p->value[r].late, s = ag__step_region(p, (ag__region){.size = ag__tensor_at(p, r)->layout->size});
    if (p->maker.failed) return;
    p->drafts.at[s].again = p->drafts.at[late].again;
    p->drafts.at[late].again = s;
    p->value[r].again = s;
    p->value[r].later = !p->value[r].early;
    p->now = 0; /* so that what it reads stays */
    ag__begin_program(p, s);
    compute(p, s, r);
    ag__read_held(p, r);
    ag__end_program(p, s);
}

void ag__compute_again(ag__planner *p, uint32_t s) {
    if (ag__is_backward(p, s)) return;
    for (uint32_t k = p->own.count; k-- > 0 && !p->maker.failed;)
        if (is_worth_it(p, p->own.at[k])) compute_again(p, p->own.at[k]);
}

/* ---- The plan ---- */

/* Steps that compute a value again run before those that they were made for. */
void ag__order_again(ag__planner *p) {
    ag__numbers *order = &p->plan->order;
    uint32_t n = order->count, all = p->plan->steps.count, at = all;
    if (n == all || !AG__ROOM(&p->maker, order, all - n)) return;
    while (n-- > 0) {
        uint32_t s = order->at[n];
        order->at[--at] = s;
        for (uint32_t a = p->drafts.at[s].again; a; a = p->drafts.at[a].again) order->at[--at] = a;
    }
    order->count = all;
}
