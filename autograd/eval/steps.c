/* steps -- the steps of a plan that is being made
 *
 * A step that runs early has the time of the step after which it can run, plus 1: so it is before all steps that
 * were new then. */
#include "autograd/eval/planning.h"

#include <stdlib.h>

uint32_t ag__step_new(ag__planner *p, ag__step_kind kind, uint32_t what) {
    uint32_t s = p->plan->steps.count;
    AG__APPEND(&p->maker, &p->plan->steps, (ag__plan_step){.kind = (uint8_t)kind, .what = what});
    AG__APPEND(&p->maker, &p->drafts, (ag__draft){.time = (uint64_t)s << 32, .first = AG__NONE, .last = AG__NONE});
    return p->maker.failed ? 0 : s;
}

uint32_t ag__step_region(ag__planner *p, ag__region region) {
    uint32_t number = p->plan->regions.count;
    if (region.inner == 0) region.inner = 1;
    AG__APPEND(&p->maker, &p->plan->regions, region);
    return ag__step_new(p, AG__STEP_REGION, number);
}

bool ag__is_backward(const ag__planner *p, uint32_t s) {
    const uint32_t i = p->drafts.at[s].first;
    return i != AG__NONE && ag__tensor_at(p, i)->flags & AG__GRADIENT;
}

ag__region *ag__region_of(const ag__planner *p, uint32_t s) { return &p->plan->regions.at[ag__step_at(p, s)->what]; }

bool ag__shows_root(const ag__planner *p, uint32_t i) {
    return ag__shows_all(ag__tensor_at(p, i), ag__tensor_at(p, p->value[i].root));
}

AG__RARE bool ag__spreads_rows(const ag_tensor *t, const ag__region *r) {
    if (r->rows == 0 || t->layout->size != r->size) return false;
    int64_t stride[3];
    return ag__region_strides(r, t, stride) && stride[1] == 0 && stride[0] == (r->rows > r->inner ? r->inner : 0) &&
           stride[2] == (r->inner > 1);
}

/* Whether a region of so many rows may have samples of so many, besides what it has. All rows are a sample as well, if
 * the groups of both are the same. */
bool ag__accept_sample(ag__region *r, int64_t rows, int64_t sample) {
    const int64_t less = r->sample == 0 || sample < r->sample ? sample : r->sample,
                  more = sample < r->sample ? r->sample : sample;
    if (less != more && (more != rows || less % AG__ROWS_A_GROUP != 0)) return false;
    r->sample = less;
    return true;
}

/* The members of a step are in the order of recording, also where one has waited. */
void ag__step_join(ag__planner *p, uint32_t s, uint32_t i) {
    ag__draft *draft = &p->drafts.at[s];
    uint32_t *link = &draft->first;
    if (*link != AG__NONE && draft->last < i) link = &p->value[draft->last].next;
    else
        while (*link < i) link = &p->value[*link].next;
    p->value[i].step = s;
    p->value[i].next = *link;
    *link = i;
    if (p->value[i].next == AG__NONE) draft->last = i;
    ag__step_at(p, s)->members++;
}

bool ag__step_after(const ag__planner *p, uint32_t a, uint32_t b) {
    uint64_t of_a = p->drafts.at[a].time, of_b = p->drafts.at[b].time;
    return of_a > of_b || (of_a == of_b && a > b);
}

void ag__each_read(const ag__planner *p, uint32_t k, void (*visit)(void *context, uint32_t k, uint32_t root),
                   void *context) {
    uint32_t s = p->plan->order.at[k];
    const ag__plan_step *step = ag__step_at(p, s);
    if (step->kind == AG__STEP_REGION) {
        const ag__region *r = ag__region_of(p, s);
        for (uint32_t i = 0; i < r->reads; i++) visit(context, k, p->value[p->plan->read.at[r->read + i]].root);
    } else if (step->kind != AG__STEP_NOTHING) {
        for (uint32_t i = ag__first_input(p, step->what); i < ag__end_input(p, step->what); i++)
            visit(context, k, p->value[ag__leader_at(p, i)].root);
        if (step->kind == AG__STEP_ADD) visit(context, k, p->value[step->onto].root);
    }
}

typedef struct timed {
    uint64_t time;
    uint32_t step;
} timed;

static int by_time(const void *a, const void *b) {
    const timed *x = a, *y = b;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    return x->step < y->step ? -1 : x->step > y->step;
}

static void sort_by_time(ag__planner *p, uint32_t *order, uint32_t n) {
    timed *t = ag__scratch_array(&p->scratch, n, sizeof *t);
    if (!t) {
        p->maker.failed = true;
        return;
    }
    for (uint32_t s = 0; s < n; s++) t[s] = (timed){p->drafts.at[s].time, s};
    qsort(t, n, sizeof *t, by_time);
    for (uint32_t s = 0; s < n; s++) order[s] = t[s].step;
}

void ag__steps_order(ag__planner *p) {
    ag__numbers *order = &p->plan->order;
    uint32_t n = p->plan->steps.count;
    bool sorted = true;
    if (!AG__ROOM(&p->maker, order, n)) return;
    order->count = n;
    for (uint32_t s = 0; s < n; s++) order->at[s] = s;
    for (uint32_t s = 1; s < n; s++) sorted = sorted && p->drafts.at[s].time > p->drafts.at[s - 1].time;
    if (!sorted) sort_by_time(p, order->at, n);
}
