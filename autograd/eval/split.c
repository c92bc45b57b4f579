/* split -- dividing large regions into parts that have nothing in common
 *
 * One loop over the elements of many tensors has more streams than the hardware follows. The parts of a region run
 * at its time, which must not be that of another step: so only regions that never run early are divided. */
#include "autograd/eval/planning.h"

#include <string.h>

/* The first member of i's part. */
static uint32_t part_of(const ag__planner *p, uint32_t i) {
    ag__split_part *part = p->part;
    while (part[i].parent != i) i = part[i].parent = part[part[i].parent].parent;
    return i;
}

static void unite(const ag__planner *p, uint32_t i, uint32_t j) {
    uint32_t a = part_of(p, i), b = part_of(p, j);
    if (a < b) p->part[b].parent = a;
    else p->part[a].parent = b;
}

static bool is_member(const ag__planner *p, uint32_t s, uint32_t i) {
    return !ag__is_outside(p, i) && p->value[i].step == s;
}

/* Put member i in one part with the members that it is computed from, and with those that read the same elements. */
static void tie(const ag__planner *p, uint32_t s, uint32_t i) {
    int64_t size = ag__region_of(p, s)->size;
    if (is_member(p, s, p->value[i].root)) unite(p, i, p->value[i].root);
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) {
        uint32_t x = ag__root_at(p, k), *reader = &p->part[x].reader;
        if (is_member(p, s, x)) unite(p, i, x);
        else if (ag__tensor_at(p, x)->layout->size < size) continue;
        else if (*reader) unite(p, i, *reader - 1);
        else *reader = i + 1;
    }
}

static void forget_readers(const ag__planner *p, uint32_t i) {
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++) p->part[ag__root_at(p, k)].reader = 0;
}

/* A step with a region like that of s, at the same time; 0 if out of memory. */
static uint32_t step_beside(ag__planner *p, uint32_t s) {
    uint32_t fresh = ag__step_region(p, *ag__region_of(p, s));
    if (fresh) p->drafts.at[fresh].time = p->drafts.at[s].time;
    return fresh;
}

/* The part of the first member stays with step s. */
static void split(ag__planner *p, uint32_t s) {
    const uint32_t first = p->drafts.at[s].first;
    for (uint32_t i = first; i != AG__NONE; i = p->value[i].next) p->part[i].parent = i;
    for (uint32_t i = first; i != AG__NONE; i = p->value[i].next) tie(p, s, i);
    for (uint32_t i = first; i != AG__NONE; i = p->value[i].next) forget_readers(p, i);
    p->drafts.at[s].first = AG__NONE;
    ag__step_at(p, s)->members = 0;
    for (uint32_t i = first, next; i != AG__NONE && !p->maker.failed; i = next) {
        uint32_t part = part_of(p, i);
        next = p->value[i].next;
        if (part == i) p->part[i].step = i == first ? s : step_beside(p, s);
        if (!p->maker.failed) ag__step_join(p, p->part[part].step, i);
    }
}

static bool take_parts(ag__planner *p) {
    size_t bytes = ag__times(p->c->count, sizeof *p->part);
    if (p->part) return true;
    if ((p->part = ag__scratch_array(&p->scratch, p->c->count, sizeof *p->part)) != NULL) memset(p->part, 0, bytes);
    else p->maker.failed = true;
    return p->part != NULL;
}

void ag__split(ag__planner *p) {
    uint32_t steps = p->plan->steps.count;
    for (uint32_t s = 1; s < steps && !p->maker.failed; s++) {
        bool large = ag__step_at(p, s)->kind == AG__STEP_REGION && ag__region_of(p, s)->size >= AG__LARGE;
        if (large && take_parts(p)) split(p, s);
    }
}
