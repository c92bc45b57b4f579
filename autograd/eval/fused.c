/* fused -- the evaluator that runs plans: step by step, chunk by chunk
 *
 * Results are those of the reference evaluator, except sums over everything in a large region of rows and large sums
 * with products. That evaluator runs chunks without a plan. */
#include "autograd/eval/plans.h"
#include "autograd/eval/region.h"

/* ---- Steps ---- */

static const ag__step_member *members_of(const ag__execution *e, const ag__plan_step *step) {
    return AG__FROM(&e->plan->members, step->member);
}

/* Step k of those that run. */
static const ag__plan_step *step_at(const ag__plan *plan, uint32_t k) { return &plan->steps.at[plan->order.at[k]]; }

/* Its region, or NULL. */
static const ag__region *region_at(const ag__plan *plan, uint32_t k) {
    const ag__plan_step *step = step_at(plan, k);
    return step->kind == AG__STEP_REGION ? &plan->regions.at[step->what] : NULL;
}

static bool is_node(const ag__plan *plan, uint32_t k) { return step_at(plan, k)->kind == AG__STEP_NODE; }

/* Run a sum with a product: the result is written over the other summand. */
static bool run_sum(const ag__execution *e, const ag__plan_step *step) {
    ag_tensor *u = e->c->table[step->onto], *sum = e->c->table[members_of(e, step)[1].index];
    bool good = ag__accumulate(e->c->table[step->what], u->buffer);
    if (good) sum->buffer = u->buffer;
    else ag__buffer_drop(u->tape, u->buffer); /* it may be half a sum, and must be recomputed */
    u->buffer = NULL;
    return good;
}

static bool run_step(ag__execution *e, const ag__plan_step *step) {
    switch (step->kind) {
    case AG__STEP_NODE: return ag__compute(e->c->table[step->what]);
    case AG__STEP_ADD: return run_sum(e, step);
    case AG__STEP_PARTS: return ag__compute_by_parts(e->c->table[step->onto], e->c->table[step->what]);
    case AG__STEP_REGION: return ag__region_run(e, &e->plan->regions.at[step->what]);
    default: return true;
    }
}

static bool run_observed_step(ag__execution *e, const ag__plan_step *step) {
    if (!e->c->tape->profiling) return run_step(e, step);
    int64_t since = ag__observed_from(e->c->tape);
    bool good = run_step(e, step);
    if (good) e->c->tape->observer->step(e->c, e->plan, step, since);
    return good;
}

static void show_one(ag_tensor *t, const ag_tensor *from) {
    t->buffer = from->buffer;
    t->buffer->refs++;
    if (t->op->kind != AG_KIND_VIEW) t->offset = from->offset;
}

/* Set the buffers of members that share another's buffer. */
static void show(const ag__execution *e, const ag__plan_step *step) {
    const ag__step_member *member = members_of(e, step);
    for (uint32_t i = 0; i < step->members; i++) {
        if (member[i].shows == AG__NONE) continue;
        show_one(e->c->table[member[i].index], e->c->table[member[i].shows]);
    }
}

/* A value has been computed again: set the buffers of those that show it and still have readers. */
static void show_again(const ag__execution *e, const ag__plan_step *step) {
    const uint32_t *i = AG__FROM(&e->plan->shown, step->show);
    for (uint32_t k = 1; k < step->shows; k++) {
        ag_tensor *t = e->c->table[i[k]];
        if (!t->buffer && ag__mark_of(e->c->evaluation, t)->live) show_one(t, e->c->table[i[0]]);
    }
}

/* Drop values that later steps compute again. In the sweep before a rewind nothing may fail half-way, so there they are
 * only computed twice. */
static void drop(const ag__execution *e, const ag__plan_step *step) {
    for (uint32_t k = 0; k < step->drops && e->c->evaluation->when != AG__FINAL; k++) {
        const ag__showing *all = &e->plan->drops.at[step->drop + k];
        for (uint32_t i = 0; i < all->count; i++) {
            ag_tensor *t = e->c->table[e->plan->shown.at[all->first + i]];
            ag__buffer_drop(t->tape, t->buffer);
            t->buffer = NULL;
        }
    }
}

static void release(const ag__evaluation *e, ag_tensor *t) {
    ag__mark_of(e, t)->live--;
    if (!ag__may_release(e, t)) return;
    ag__buffer_drop(t->tape, t->buffer);
    t->buffer = NULL;
}

/* Release the inputs of finished nodes, if allowed. */
static void leave(const ag__execution *e, const ag__plan_step *step) {
    const ag__step_member *member = members_of(e, step);
    const uint32_t *hold = AG__FROM(&e->plan->holds, step->hold);
    for (uint32_t i = 0; i < step->members; i++) ag__leave_inputs(e->c->evaluation, e->c->table[member[i].index]);
    for (uint32_t i = 0; i < step->holds; i++) release(e->c->evaluation, e->c->table[hold[i]]);
}

/* ---- A plan ---- */

/* Steps from number k on do not run. */
static void let_go(const ag__execution *e, uint32_t k) {
    for (; k < e->plan->steps.count; k++) {
        const ag__plan_step *step = step_at(e->plan, k);
        for (uint32_t i = 0; i < step->holds; i++)
            ag__mark_of(e->c->evaluation, e->c->table[e->plan->holds.at[step->hold + i]])->live--;
        if (e->least && region_at(e->plan, k)) ag__region_drop_outputs(e, region_at(e->plan, k));
    }
}

/* Whether the tape is to stop rather than run step number k; an error has been raised then. */
static bool stops_before(const ag__execution *e, uint32_t k) {
    const ag__plan_step *step = step_at(e->plan, k);
    return step->members && ag__must_stop(e->c->tape) && !ag__stop(e->c->tape, e->c->table[members_of(e, step)->index]);
}

/* Run step number k; false after an error. */
static bool run_whole_step(ag__execution *e, uint32_t k) {
    const ag__plan_step *step = step_at(e->plan, k);
    if (!run_observed_step(e, step)) return false;
    show(e, step);
    show_again(e, step);
    leave(e, step);
    drop(e, step);
    return true;
}

/* Writing in place must not stop half-way: what may fail comes before. Products read nothing that a region computes
 * (eval.c); and all memory for regions is allocated, and kept until the last one has run. */
static bool provide(ag__execution *e) {
    for (uint32_t k = 1; k < e->plan->steps.count; k++) {
        const ag__region *g = region_at(e->plan, k);
        if (g ? !ag__region_prepare(e, g) : is_node(e->plan, k) && !run_whole_step(e, k)) return false;
    }
    for (uint32_t k = 0; k < e->plan->steps.count; k++) {
        const ag__region *g = region_at(e->plan, k);
        if (!g) continue;
        e->least = ag__region_bytes(e, g);
        if (!ag__region_make_outputs(e, g)) return false;
    }
    e->provided = ag__buffer_new(e->c->tape, e->least);
    return e->provided || ag__no_memory(e->c->table[0], e->least);
}

/* Step 1 is the first that computes: all readers are known by then. */
static bool run_plan(const ag__chunk *c, const ag__plan *plan) {
    ag__execution e = {.c = c, .plan = plan};
    const bool final = c->evaluation->when == AG__FINAL;
    bool good = true;
    for (uint32_t i = 0; i < plan->holds.count; i++) ag__mark_of(c->evaluation, c->table[plan->holds.at[i]])->live++;
    for (uint32_t k = 0; k < plan->steps.count && good; k++) {
        const bool first = k == 1 && final, done = final && is_node(plan, k);
        good = (final || !stops_before(&e, k)) && (!first || provide(&e)) && (done || run_whole_step(&e, k));
        if (!good) let_go(&e, k);
    }
    ag__buffer_drop(c->tape, e.provided);
    return good;
}

/* ---- Chunks ---- */

/* Nodes that are not worth a plan. Values of more elements are better in buffers that are written over while they are
 * in the cache, and those of many nodes, most of which need buffers anyway, where one is taken as another is left. */
static bool run_small(const ag__evaluation *e, uint32_t low, uint32_t high, const ag__amount *amount) {
    enum { FEW = AG__LIMIT(9, 2) };
    const bool few = amount->nodes <= AG__ALL_LITTLE && amount->work < (double)amount->nodes * FEW;
    const bool little = few && !e->tape->profiling;
    return little ? ag__run_little(e, low, high) : ag__run_reference(e, low, high);
}

/* Whether planning never pays. Without machine code a plan of several elements saves nothing. */
static bool has_few(const ag_tape *tape, const ag__amount *amount) {
    const double nodes = amount->nodes;
    return amount->work < nodes * AG__FEW || (!tape->compile && amount->work < nodes * AG__SEVERAL);
}

static bool run_chunk(const ag__evaluation *e, uint32_t low, uint32_t high, const ag__amount *amount) {
    ag_tape *tape = e->tape;
    if (tape->evaluator == AG_EVALUATOR_AUTOMATIC && has_few(tape, amount)) return run_small(e, low, high, amount);
    ag__chunk c;
    int64_t since = ag__observed_from(tape);
    ag__plan *plan = ag__chunk_take(e, low, amount, ag__structure_of(tape), &c) ? ag__plan_for(&c) : NULL;
    if (tape->profiling) tape->observer->planned(tape, amount->nodes, since);
    bool good = plan ? run_plan(&c, plan) : ag__run_reference(e, low, high);
    if (plan) ag__plan_done(tape, plan);
    ag__chunk_drop(&c);
    return good;
}

bool ag__run_fused(const ag__evaluation *e) {
    const ag_tape *tape = e->tape;
    const bool one = e->marked.nodes <= AG__CHUNK;
    if (tape->evaluator == AG_EVALUATOR_AUTOMATIC && e->marked.work < (double)e->marked.nodes * AG__SCALARS)
        return run_small(e, e->low, e->high, &e->marked);
    ag__evaluation plain = ag__not_in_place(e); /* of several chunks one might fail after others */
    for (uint32_t low = e->low, next; low < e->high; low = next) {
        ag__amount amount = e->marked;
        next = one ? e->high : ag__chunk_measure(e, low, e->high, &amount);
        if (run_chunk(one ? e : &plain, low, next, &amount)) continue;
        ag__abandon(e, low, e->high);
        return false;
    }
    return true;
}
