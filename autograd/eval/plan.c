/* plan -- making a plan for a chunk of the tape
 *
 * One pass in the order of recording gives each node its step, one in reverse decides what is stored, and each region
 * gets its program: see planning.h for the parts. */
#include "autograd/eval/plan.h"
#include "autograd/eval/lowering.h"

#include <string.h>

/* ---- A plan's lists ---- */

enum { LISTS = 16 };

static void lists_of(ag__plan *p, ag__list *list[LISTS]) {
    ag__list *const all[] = {&p->order.any,        &p->steps.any,      &p->regions.any,  &p->cells.any,
                             &p->instructions.any, &p->codes.any,      &p->outputs.any,  &p->members.any,
                             &p->operands.any,     &p->attributes.any, &p->computed.any, &p->read.any,
                             &p->holds.any,        &p->shown.any,      &p->products.any, &p->drops.any};
    _Static_assert(sizeof all == LISTS * sizeof *all, "each list once");
    memcpy(list, all, sizeof all);
}

void ag__plan_clear(ag_tape *tape, ag__plan *p) {
    ag__list *list[LISTS];
    lists_of(p, list);
    for (uint32_t i = 0; i < p->codes.count; i++) ag__code_release(tape, p->codes.at[i]);
    for (int i = 0; i < LISTS; i++) ag__list_free(tape, list[i]);
}

size_t ag__plan_trim(ag_tape *tape, ag__plan *p) {
    ag__list *list[LISTS];
    size_t bytes = 0;
    lists_of(p, list);
    for (int i = 0; i < LISTS; i++) bytes += ag__list_trim(tape, list[i]);
    return bytes;
}

/* ---- Making one ---- */

static bool is_later(const ag__planner *p, uint32_t r) { return !ag__is_outside(p, r) && p->value[r].later; }

static void list_members(ag__planner *p) {
    ag__plan *plan = p->plan;
    if (!AG__ROOM(&p->maker, &plan->members, p->c->nodes)) return;
    for (uint32_t s = 0; s < plan->steps.count; s++) {
        ag__plan_step *step = ag__step_at(p, s);
        step->member = plan->members.count;
        for (uint32_t i = p->drafts.at[s].first; i != AG__NONE; i = p->value[i].next) {
            const ag__value *v = &p->value[i];
            uint32_t shows = !v->shown || is_later(p, v->root) ? AG__NONE : v->leader != i ? v->leader : v->root;
            AG__APPEND(&p->maker, &plan->members, (ag__step_member){i, shows});
        }
    }
}

static void list_reads(ag__planner *p, uint32_t s) {
    ag__region *r = ag__region_of(p, s);
    r->read = p->plan->read.count;
    for (uint32_t n = r->compute; n < r->compute + r->computes; n++) {
        uint32_t i = p->plan->computed.at[n];
        for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
            uint32_t x = ag__leader_at(p, k), root = p->value[x].root;
            bool computed = !ag__is_outside(p, root) && p->value[root].program == s;
            if (!computed || (p->value[root].role != AG__ROLE_ROW && !ag__shows_root(p, x)))
                AG__APPEND(&p->maker, &p->plan->read, x);
        }
    }
    r->reads = p->plan->read.count - r->read;
}

/* The tensors whose reads count for a result: that which it may overwrite, or all that show it. */
static const uint32_t *counted(const ag__planner *p, const ag__step_output *o, uint32_t *count) {
    *count = o->over == AG__NONE ? 0 : o->shown.count ? o->shown.count : 1;
    return o->shown.count ? AG__FROM(&p->plan->shown, o->shown.first) : &o->over;
}

/* Count how often step s reads each tensor that its results may overwrite; those are not released before its end. */
static void count_reads(ag__planner *p, uint32_t s) {
    const ag__region *r = ag__region_of(p, s);
    const ag__plan_step *step = ag__step_at(p, s);
    ag__step_output *output = AG__FROM(&p->plan->outputs, r->output);
    uint32_t count;
    for (uint32_t o = 0; o < r->outputs; o++) {
        const uint32_t *x = counted(p, &output[o], &count);
        for (uint32_t i = 0; i < count; i++) p->value[x[i]].reads = 0;
    }
    for (uint32_t i = p->drafts.at[s].first; i != AG__NONE; i = p->value[i].next)
        for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) p->value[p->c->operand[k]].reads++;
    for (uint32_t i = 0; i < step->holds; i++) p->value[p->plan->holds.at[step->hold + i]].reads++;
    for (uint32_t o = 0; o < r->outputs; o++) {
        const uint32_t *x = counted(p, &output[o], &count);
        output[o].reads = 0;
        for (uint32_t i = 0; i < count; i++) output[o].reads += p->value[x[i]].reads;
    }
}

static void list_all_reads(ag__planner *p) {
    for (uint32_t s = 1; s < p->plan->steps.count && !p->maker.failed; s++) {
        ag__plan_step *step = ag__step_at(p, s);
        if (step->kind == AG__STEP_REGION && ag__region_of(p, s)->computes == 0) step->kind = AG__STEP_NOTHING;
        if (step->kind != AG__STEP_REGION) continue;
        ag__mark_program(p, s);
        list_reads(p, s);
    }
}

static void lower_regions(ag__planner *p) {
    for (uint32_t s = 1; s < p->plan->steps.count && !p->maker.failed; s++) {
        if (ag__step_at(p, s)->kind != AG__STEP_REGION) continue;
        ag__mark_program(p, s);
        ag__lower(p, s);
        if (!p->maker.failed) count_reads(p, s);
    }
}

/* Allocate the arrays; the hash table of equal nodes is at most half full. */
static bool take_arrays(ag__planner *p) {
    const ag__chunk *c = p->c;
    size_t room = 16;
    while (room < 2 * (size_t)c->nodes) room *= 2;
    p->table = ag__scratch_array(&p->scratch, room, sizeof *p->table);
    p->value = ag__scratch_array(&p->scratch, c->count, sizeof *p->value);
    if (!p->table || !p->value) return false;
    p->table_mask = (uint32_t)room - 1;
    memset(p->table, 0xff, room * sizeof *p->table);
    memset(p->value, 0, c->count * sizeof *p->value);
    for (uint32_t i = c->nodes; i < c->count; i++) p->value[i].leader = p->value[i].root = i;
    return true;
}

static void give_up(ag__planner *p) {
    ag__list_free(p->c->tape, &p->drafts.any);
    ag__list_free(p->c->tape, &p->own.any);
    ag__list_free(p->c->tape, &p->asked.any);
    ag__list_free(p->c->tape, &p->across.any);
    ag__list_free(p->c->tape, &p->passed.any);
    ag__list_free(p->c->tape, &p->clones.any);
    ag__lowering_free(p);
    ag__scratch_drop(&p->scratch);
}

bool ag__plan_make(ag__plan *plan, const ag__chunk *c, bool whole) {
    ag__lowering lowering = {0};
    ag__planner p = {.maker = {.tape = c->tape}, .plan = plan, .c = c, .whole = whole};
    p.scratch.tape = c->tape;
    p.lowering = &lowering;
    c->tape->heap.aside++; /* a plan is made once, and no part of what a loop does each time */
    void (*const part[])(ag__planner *) = {ag__divide,     ag__split,        ag__steps_order, ag__settle,
                                           list_all_reads, ag__read_by_rows, list_members,    ag__drop,
                                           ag__traffic,    ag__count_alike,  lower_regions};
    p.maker.failed = !take_arrays(&p);
    ag__step_new(&p, AG__STEP_NOTHING, 0);
    for (size_t i = 0; i < sizeof part / sizeof *part && !p.maker.failed; i++) part[i](&p);
    give_up(&p);
    c->tape->heap.aside--;
    plan->whole = whole;
    plan->nodes = c->nodes;
    if (p.maker.failed) ag__plan_clear(c->tape, plan);
    return !p.maker.failed;
}
