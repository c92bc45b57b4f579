/* by_rows -- products that have no buffer, because the one region that reads them computes some rows at a time
 *
 * That is done in the sweep before a rewind, to which the gradients of weights are deferred if they take more memory
 * than what they are computed from: the rows are used up while they are in a cache. What the product reads is outside
 * the chunk, and stays until the region has run. */
#include "autograd/eval/planning.h"
#include "autograd/tape/basis.h"

#include <string.h>

typedef struct reading {
    ag__planner *p;
    uint32_t *reader; /* of each index: the number of the only step that reads it, plus 1; 0: none; AG__NONE: several */
} reading;

static void note_reader(void *r, uint32_t k, uint32_t root) {
    uint32_t *reader = &((const reading *)r)->reader[root];
    *reader = *reader == 0 || *reader == k + 1 ? k + 1 : AG__NONE;
}

static bool reads_outside_only(const ag__planner *p, uint32_t i) {
    for (uint32_t k = ag__first_input(p, i); k < ag__end_input(p, i); k++)
        if (!ag__is_outside(p, ag__root_at(p, k))) return false;
    return true;
}

/* Whether the region reads value v as it is, not in another order. */
static bool reads_in_order(const ag__planner *p, const ag__region *r, uint32_t v) {
    for (uint32_t i = 0; i < r->reads; i++) {
        uint32_t x = p->plan->read.at[r->read + i];
        if (p->value[x].root == v && x != v) return false;
    }
    return true;
}

static bool is_alone(const ag__planner *p, uint32_t i) {
    const ag__plan_step *step = ag__step_at(p, p->value[i].step);
    return step->kind == AG__STEP_NODE && step->what == i && step->members == 1;
}

/* Whether the region, which is step number k, can compute product v by rows. */
static bool can_compute(const reading *t, uint32_t k, const ag__region *r, uint32_t v) {
    const ag__planner *p = t->p;
    if (ag__is_outside(p, v) || p->value[v].root != v || p->value[v].leader != v || p->value[v].by_rows) return false;
    const ag_tensor *y = ag__tensor_at(p, v);
    return t->reader[v] == k + 1 && ag__has_rows(y->op) && ag__value_bytes(y) >= AG__WORTH_ROWS &&
           y->layout->rank == 2 && y->layout->size == r->size && r->rows == 0 && !r->all && !p->c->node[v].must &&
           is_alone(p, v) && reads_outside_only(p, v) && reads_in_order(p, r, v);
}

/* Product v becomes a member of the region's step. */
static void take(ag__planner *p, uint32_t s, uint32_t v) {
    const uint32_t former = p->value[v].step;
    ag__step_at(p, former)->kind = AG__STEP_NOTHING;
    ag__step_at(p, former)->members = 0;
    p->drafts.at[former].first = AG__NONE;
    p->value[v].by_rows = ag__region_of(p, s)->flat = true;
    ag__step_join(p, s, v);
}

static void read_by_rows(const reading *t, uint32_t k) {
    ag__planner *p = t->p;
    const uint32_t s = p->plan->order.at[k];
    if (ag__step_at(p, s)->kind != AG__STEP_REGION) return;
    ag__region *r = ag__region_of(p, s);
    for (uint32_t i = 0; i < r->reads && !p->maker.failed; i++) {
        uint32_t v = p->plan->read.at[r->read + i];
        if (can_compute(t, k, r, v)) take(p, s, v);
    }
}

void ag__read_by_rows(ag__planner *p) {
    reading t = {.p = p};
    if (!p->c->final) return;
    t.reader = ag__scratch_array(&p->scratch, p->c->count, sizeof *t.reader);
    p->maker.failed = !t.reader;
    if (!t.reader) return;
    memset(t.reader, 0, p->c->count * sizeof *t.reader);
    for (uint32_t k = 0; k < p->plan->order.count; k++) ag__each_read(p, k, note_reader, &t);
    for (uint32_t k = 0; k < p->plan->order.count && !p->maker.failed; k++) read_by_rows(&t, k);
}
