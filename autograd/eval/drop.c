/* drop -- values that are dropped before all their readers have run
 *
 * A value is released when its last reader has run. A plan may need it for less long: because it is computed once
 * more before the backward pass (again.c), or because the regions of its other readers compute it themselves
 * (settle.c). Then it is dropped after the last step that reads it in memory, with those that show its buffer. Those
 * are listed here, also for results that are written over them (allot.c). */
#include "autograd/eval/planning.h"

#include <string.h>

typedef struct dropping {
    ag__planner *p;
    uint32_t *number;       /* of each step: when it runs, plus 1 */
    uint32_t *last, *until; /* of each value: this number of the last step that reads it, and that has a reader */
    ag__showing *shown;     /* where it is listed; if it is not, count is 0 */
} dropping;

static void note_read(void *d, uint32_t k, uint32_t root) { ((const dropping *)d)->last[root] = k + 1; }

static void note_readers(dropping *d, uint32_t i) {
    const ag__planner *p = d->p;
    const uint32_t number = d->number[p->value[i].step];
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        uint32_t root = ag__root_at(p, k);
        if (d->until[root] < number) d->until[root] = number;
    }
    ag__value *root = &p->value[p->value[i].root];
    if (p->c->node[i].must) root->pinned = true;
    if (p->value[i].shown && p->value[i].root != i) root->viewed = true;
}

static bool ends_early(const dropping *d, uint32_t r) {
    const ag__value *v = &d->p->value[r];
    return v->root == r && v->leader == r && v->stored && !v->taken && !v->pinned && d->last[r] &&
           d->until[r] > d->last[r];
}

/* ---- Lists ---- */

/* Whether index i is a value that is dropped, or shows one. */
static bool is_listed(const dropping *d, uint32_t i) {
    const ag__value *v = &d->p->value[i];
    if (ag__is_outside(d->p, v->root) || (i != v->root && !v->shown)) return false;
    return d->p->value[v->root].viewed || d->p->value[v->root].again || ends_early(d, v->root);
}

/* For each such value, itself and the nodes that show its buffer, next to each other. */
static void list_shown(dropping *d) {
    ag__planner *p = d->p;
    ag__numbers *shown = &p->plan->shown;
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->c->nodes; i++)
        if (is_listed(d, i)) d->shown[p->value[i].root].count++;
    for (uint32_t r = 0; r < p->c->nodes; r++) {
        d->shown[r].first = count;
        count += d->shown[r].count;
        d->shown[r].count = d->shown[r].count > 0; /* the value itself is the first */
    }
    if (!AG__ROOM(&p->maker, shown, count)) return;
    shown->count = count;
    for (uint32_t i = 0; i < p->c->nodes; i++) {
        if (!is_listed(d, i)) continue;
        ag__showing *all = &d->shown[p->value[i].root];
        shown->at[all->first + (i == p->value[i].root ? 0 : all->count++)] = i;
    }
    for (uint32_t r = 0; r < p->c->nodes; r++) {
        if (!p->value[r].again) continue;
        ag__step_at(p, p->value[r].again)->show = d->shown[r].first;
        ag__step_at(p, p->value[r].again)->shows = d->shown[r].count;
    }
}

/* Calls `visit` for each value that is dropped and the step after which it is: a value may be, twice. */
static void each_dropped(dropping *d, void (*visit)(dropping *d, ag__plan_step *after, uint32_t r)) {
    ag__planner *p = d->p;
    for (uint32_t r = 0; r < p->c->nodes; r++) {
        if (d->shown[r].count == 0) continue;
        if (p->value[r].again && !p->value[r].later) visit(d, ag__step_at(p, p->value[r].early), r);
        if (ends_early(d, r)) visit(d, ag__step_at(p, p->plan->order.at[d->last[r] - 1]), r);
    }
}

static void count_drop(dropping *d, ag__plan_step *after, uint32_t r) {
    (void)d, (void)r;
    after->drops++;
}

static void list_drop(dropping *d, ag__plan_step *after, uint32_t r) {
    d->p->plan->drops.at[after->drop + after->drops++] = d->shown[r];
}

static void list_drops(dropping *d) {
    ag__planner *p = d->p;
    uint32_t count = 0;
    each_dropped(d, count_drop);
    for (uint32_t s = 0; s < p->plan->steps.count; s++) {
        ag__plan_step *step = ag__step_at(p, s);
        step->drop = count;
        count += step->drops;
        step->drops = 0;
    }
    if (!AG__ROOM(&p->maker, &p->plan->drops, count)) return;
    p->plan->drops.count = count;
    each_dropped(d, list_drop);
}

/* ---- All of them ---- */

static bool take_arrays(dropping *d) {
    ag__planner *p = d->p;
    const size_t steps = p->plan->steps.count, values = p->c->count;
    d->number = ag__scratch_array(&p->scratch, steps, sizeof *d->number);
    d->last = ag__scratch_array(&p->scratch, values, sizeof *d->last);
    d->until = ag__scratch_array(&p->scratch, values, sizeof *d->until);
    d->shown = ag__scratch_array(&p->scratch, values, sizeof *d->shown);
    if (!d->number || !d->last || !d->until || !d->shown) return false;
    p->showing = d->shown;
    memset(d->last, 0, values * sizeof *d->last);
    memset(d->until, 0, values * sizeof *d->until);
    memset(d->shown, 0, values * sizeof *d->shown);
    return true;
}

void ag__drop(ag__planner *p) {
    dropping d = {.p = p};
    p->maker.failed = !take_arrays(&d);
    if (p->maker.failed) return;
    for (uint32_t k = 0; k < p->plan->order.count; k++) d.number[p->plan->order.at[k]] = k + 1;
    for (uint32_t k = 0; k < p->plan->order.count; k++) ag__each_read(p, k, note_read, &d);
    for (uint32_t i = 0; i < p->c->nodes; i++) note_readers(&d, i);
    list_shown(&d);
    if (!p->maker.failed) list_drops(&d);
}
