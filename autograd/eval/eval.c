/* eval -- the reference evaluator: one node at a time, in the order of recording
 *
 * A reverse scan marks what the wanted nodes need and do not have, counting each value's readers (`live`); a forward
 * scan computes the marked nodes. Invariant between evaluations: no node is marked and every `live` is 0.
 *
 * A value goes when its last reader has run, unless the user has looked at it or it may still be wanted: by a
 * recorded reader that never ran, or by a backward scan that is still to come. What was released by mistake is
 * merely computed again. */
#include "autograd/eval/eval.h"

#include <string.h>

ag_array ag__array_of(const ag_tensor *t) {
    const ag__layout *l = t->layout;
    return (ag_array){.data = ag__values(t),
                      .dtype = (ag_dtype)t->dtype,
                      .rank = l->rank,
                      .size = l->size,
                      .shape = l->extent,
                      .stride = ag__strides(l)};
}

/* ---- Computing one node ---- */

/* A call under way, and the scratch buffers that it holds. */
typedef struct running {
    ag_call call; /* first, so that the operation's ag_call is ours */
    ag__buffer *scratch;
} running;

bool ag__no_memory(const ag_tensor *t, size_t bytes) {
    ag__fail_on(t->tape, t->op->name, AG_ERR_MEMORY, "no memory for %zu bytes", bytes);
    ag__locate(t->tape, t->file, t->line);
    return false;
}

void *ag_call_scratch(const ag_call *call, size_t bytes) {
    if (!call || !call->node) return NULL;
    running *r = (running *)(uintptr_t)call;
    ag__buffer *b = ag__buffer_new(call->node->tape, ag__plus(bytes, 64));
    if (!b) {
        ag__no_memory(call->node, bytes);
        return NULL;
    }
    b->next = r->scratch;
    r->scratch = b;
    return (void *)(((uintptr_t)b->data + 63) & ~(uintptr_t)63);
}

static void drop_scratch(running *r) {
    for (ag__buffer *b = r->scratch, *next; b; b = next) {
        next = b->next;
        ag__buffer_drop(r->call.node->tape, b);
    }
}

/* Replace an input by a contiguous copy of it, with strides to match. */
static bool make_contiguous(running *r, ag_array *x) {
    char *memory = ag_call_scratch(&r->call, AG_MAX_RANK * sizeof(int64_t) + (size_t)x->size * ag_dtype_size(x->dtype));
    if (!memory) return false;
    int64_t *stride = (int64_t *)(void *)memory, step = 1;
    for (int i = x->rank - 1; i >= 0; step *= x->shape[i--]) stride[i] = step;
    ag__pack(memory + AG_MAX_RANK * sizeof(int64_t), x, 0, x->size);
    x->data = memory + AG_MAX_RANK * sizeof(int64_t);
    x->stride = stride;
    return true;
}

static bool run_call(ag_tensor *t, bool accumulate) {
    enum { FEW = 8 };
    ag_array few[FEW], *x = few;
    running r = {.call = {.node = t, .attributes = ag__attributes(t), .n = t->arity, .threads = t->tape->threads}};
    r.call.y = ag__array_of(t);
    r.call.accumulate = accumulate;
    bool good = t->arity <= FEW || (x = ag_call_scratch(&r.call, t->arity * sizeof *x)) != NULL;
    for (int i = 0; good && i < t->arity; i++) {
        x[i] = ag__array_of(t->input[i]);
        if (t->op->flags & AG_OP_CONTIGUOUS && !t->input[i]->layout->contiguous) good = make_contiguous(&r, &x[i]);
    }
    r.call.x = x;
    t->tape->failing = false;
    t->tape->inside.name = t->op->name;
    good = good && t->op->eval(&r.call) && t->tape->status == AG_OK;
    t->tape->inside.name = "an operation";
    drop_scratch(&r);
    if (good || t->tape->status != AG_OK) return good;
    t->tape->failing = false;
    return ag_call_fail(&r.call, AG_ERR_RANGE, "the evaluation failed");
}

static bool compute_into_buffer(ag_tensor *t) {
    size_t lacking;
    switch (t->op->kind) {
    case AG_KIND_ELEMENTWISE: ag__run_elementwise(t); return true;
    case AG_KIND_REDUCTION: lacking = ag__run_reduction(t); return lacking == 0 || ag__no_memory(t, lacking);
    default: return run_call(t, false);
    }
}

bool ag__compute(ag_tensor *t) {
    if (t->op->kind == AG_KIND_VIEW) { /* of its last input: that is where a version's assigned value is */
        t->buffer = t->input[t->arity - 1]->buffer;
        t->buffer->refs++;
        return true;
    }
    size_t bytes = (size_t)t->layout->size * ag__bytes(t);
    t->buffer = ag__buffer_new(t->tape, bytes);
    if (!t->buffer) return ag__no_memory(t, bytes);
    if (compute_into_buffer(t)) return true;
    ag__buffer_drop(t->tape, t->buffer);
    t->buffer = NULL;
    return false;
}

bool ag__accumulate(ag_tensor *t, ag__buffer *onto) {
    t->buffer = onto;
    bool good = run_call(t, true);
    t->buffer = NULL;
    return good;
}

/* ---- What to compute ---- */

typedef struct marking {
    ag__evaluation *e;
    uint32_t waiting; /* marked, and not reached by the scan yet */
} marking;

static void want_if(marking *m, ag_tensor *t, unsigned later) {
    if (t->buffer) return;
    if (!later) t->flags &= (uint16_t)~AG__LATER;
    if (t->flags & AG__NEEDED) return;
    t->flags |= (uint16_t)(AG__NEEDED | later);
    m->waiting++;
    m->e->marked.nodes++;
    if (t->id >= m->e->high) m->e->high = t->id + 1;
}

static void want(marking *m, ag_tensor *t) { want_if(m, t, 0); }

/* Counted as a reader, the wish keeps what is wanted from being released on the way. */
static void pin(marking *m, ag_tensor *t) {
    t->live++;
    want(m, t);
}

/* Whether an evaluation of x keeps values for a gradient, or would if it had not been in vain. */
static bool may_be_differentiated(int n, ag_tensor *const x[]) {
    for (int i = 0; i < n; i++)
        if (ag__may_await_gradient(x[i])) return true;
    return false;
}

/* A variable that is asked for must have got what it was assigned. */
static ag_tensor *assigned(const ag_tensor *x) { return x->flags & AG__VARIABLE ? ag__variable_of(x)->pending : NULL; }

/* What is joined with the assignment of a variable that is asked for is to be carried out with it. */
static void ask(ag_tensor *v) {
    for (ag_tensor *w = v; !ag__variable_of(w)->asked; w = ag__variable_of(w)->joined) ag__variable_of(w)->asked = true;
}

static ag_tensor *first_assigned(const ag_tape *tape) { return tape->assignments ? tape->variables : NULL; }

/* What is assigned stays if it is computed, whoever has asked for it. */
static void pin_assigned(marking *m) {
    const ag__evaluation *e = m->e;
    for (ag_tensor *v = first_assigned(e->tape); v; v = ag__variable_of(v)->next) {
        ag_tensor *next = ag__variable_of(v)->pending;
        bool asked = ag__variable_of(v)->asked;
        ag__variable_of(v)->asked = false;
        if (!next) continue;
        next->live++;
        if (asked || e->when == AG__NOW || e->when == AG__FINAL) want(m, next);
        else if (e->when == AG__DEFER && next->id >= e->from) want_if(m, next, AG__LATER);
    }
}

static void pin_all(marking *m, int n, ag_tensor *const x[]) {
    for (int i = 0; i < n; i++) {
        pin(m, x[i]);
        if (assigned(x[i])) pin(m, assigned(x[i])), ask(x[i]);
    }
    pin_assigned(m);
}

static void unpin_all(const ag__evaluation *e, int n, ag_tensor *const x[]) {
    for (int i = 0; i < n; i++) {
        x[i]->live--;
        if (assigned(x[i])) assigned(x[i])->live--;
    }
    for (ag_tensor *v = first_assigned(e->tape); v; v = ag__variable_of(v)->next)
        if (assigned(v)) assigned(v)->live--;
}

/* Whether t is deferred: an elementwise operation, or a use of what a variable was assigned, that only such ones want. Its
 * inputs are computed now. What could have been deferred before is not once more, lest without rewinds more and more wait. */
static bool defer(marking *m, ag_tensor *t) {
    bool later = t->flags & AG__LATER;
    t->flags &= (uint16_t)~AG__LATER;
    if (!later || t->flags & (AG__COMPUTED | AG__KEEP) || t->layout->size == 0) return false;
    if (t->id < m->e->from || (t->op->kind != AG_KIND_ELEMENTWISE && !(t->flags & AG__READ))) return false;
    t->flags &= (uint16_t)~AG__NEEDED;
    m->e->marked.nodes--;
    for (int i = 0; i < t->arity; i++) want_if(m, t->input[i], AG__LATER);
    return true;
}

static void mark_needed(marking *m) {
    ag__evaluation *e = m->e;
    for (e->low = e->high; m->waiting > 0;) {
        ag_tensor *t = ag__node(e->tape, --e->low);
        if (!(t->flags & AG__NEEDED)) continue;
        m->waiting--;
        if (defer(m, t)) continue;
        e->marked.edges += t->arity;
        e->marked.work += ag__work_of(t);
        for (int i = 0; i < t->arity; i++) {
            t->input[i]->live++;
            want(m, t->input[i]);
        }
    }
}

/* ---- In order ---- */

/* The value of t may be released, if `live` and `readers` are such, in an evaluation after which nodes from `gone` on are
 * not needed. */
static inline bool releasable(const ag_tensor *t, uint32_t live, uint32_t readers, uint32_t gone) {
    if (live) return false;
    if (t->id >= gone) return !(t->flags & AG__VARIABLE);
    if (readers || t->tape->eager || t->flags & (AG__LEAF | AG__KEEP | AG__VARIABLE)) return false;
    return !ag__is_whole_fold(t) && !ag__awaits_gradient(t);
}

bool ag__may_release(const ag__evaluation *e, const ag_tensor *t) {
    return releasable(t, t->live, t->readers, ag__goes_from(e));
}

/* The one place where this is decided. The memory of a variable's value is held by the variable, by the version that shows it,
 * which is x, and by whatever else shows it, which must go first. The version is among what goes with the rewind. */
bool ag__may_overwrite(const ag__evaluation *e, const ag_tensor *x, const ag_tensor *y) {
    return x->id >= ag__goes_from(e) && ag__next_value(x) == y && x->buffer == x->input[0]->buffer &&
           x->buffer->refs == 2;
}

void ag__leave_inputs(const ag__evaluation *e, ag_tensor *t) {
    const uint32_t gone = ag__goes_from(e);
    bool first = !(t->flags & AG__COMPUTED);
    if (!first) t->flags |= AG__KEEP; /* it was released too early: once is enough */
    t->flags |= AG__COMPUTED;
    t->flags &= (uint16_t)~AG__NEEDED;
    for (int i = 0; i < t->arity; i++) {
        ag_tensor *x = t->input[i];
        uint32_t readers = x->readers - first, live = x->live - 1; /* to read them back would take longer */
        x->readers = readers;
        x->live = live;
        if (!releasable(x, live, readers, gone)) continue;
        ag__buffer_drop(x->tape, x->buffer);
        x->buffer = NULL;
    }
}

void ag__abandon(ag_tape *tape, uint32_t low, uint32_t high) {
    for (uint32_t i = low; i < high; i++) {
        ag_tensor *t = ag__node(tape, i);
        if (!(t->flags & AG__NEEDED)) continue;
        t->flags &= (uint16_t)~AG__NEEDED;
        for (int j = 0; j < t->arity; j++) t->input[j]->live--;
    }
}

bool ag__run_reference(const ag__evaluation *e, uint32_t low, uint32_t high) {
    const ag__evaluation plain = ag__not_in_place(e);
    for (uint32_t i = low; i < high; i++) {
        ag_tensor *t = ag__node(e->tape, i);
        if (!(t->flags & AG__NEEDED)) continue;
        if (!(e->tape->profiling ? ag__profile_compute(t) : ag__compute(t))) {
            ag__abandon(e->tape, i, high);
            return false;
        }
        ag__leave_inputs(&plain, t);
    }
    return true;
}

static bool is_fused(const ag_tape *tape) { return tape->evaluator != AG_EVALUATOR_REFERENCE && !tape->eager; }

/* What is about to be rewound goes, but for what is still to be read. */
static void release_rest(const ag__evaluation *e) {
    for (uint32_t i = ag__goes_from(e); i < e->tape->count; i++) {
        ag_tensor *t = ag__node(e->tape, i);
        if (!t->buffer || !ag__may_release(e, t)) continue;
        ag__buffer_drop(e->tape, t->buffer);
        t->buffer = NULL;
    }
}

/* Planning pays from a second node on; and in place only a plan is run. */
static bool run(const ag__evaluation *e) {
    bool fused = is_fused(e->tape) && (e->marked.nodes > 1 || e->when == AG__FINAL);
    return fused ? ag__run_fused(e) : ag__run_reference(e, e->low, e->high);
}

static bool run_inside(const ag__evaluation *e) {
    ag_tape *tape = e->tape;
    ag__position floor = ag__position_now(tape);
    tape->evaluating = true;
    ag__within former = ag__enter(tape, AG__EVAL, "an operation", &floor);
    bool good = run(e);
    ag__return(tape, former);
    tape->evaluating = false;
    return good;
}

static bool evaluate(ag_tape *tape, int n, ag_tensor *const x[], ag__when when, uint32_t from) {
    if (!ag__in_order(tape, "eval")) return false;
    if (tape->evaluating) { /* the marks of the evaluation under way are on the nodes */
        ag__fail_on(tape, "eval", AG_ERR_TAPE, "an operation that is being evaluated cannot evaluate its own tape");
        return false;
    }
    ag__evaluation e = {.tape = tape, .when = when, .from = from};
    int64_t since = tape->profiling ? ag__profile_now() : 0;
    if (!tape->waited) tape->waited = may_be_differentiated(n, x);
    marking m = {.e = &e};
    pin_all(&m, n, x);
    mark_needed(&m);
    release_rest(&e);
    bool good = run_inside(&e);
    unpin_all(&e, n, x);
    if (good) ag__commit_assignments(tape);
    if (good && when != AG__ALONE) tape->deferred = when == AG__DEFER ? tape->count : 0;
    if (!good && when != AG__ALONE && tape->assignments && tape->status != AG_ERR_MEMORY) ag__settle_assignments(tape);
    if (tape->profiling) ag__profile_evaluated(tape, e.marked.nodes, since);
    return good;
}

bool ag__evaluate(ag_tape *tape, int n, ag_tensor *const x[]) {
    return evaluate(tape, n, x, is_fused(tape) ? AG__DEFER : AG__NOW, tape->deferred);
}

/* First everything that can fail; then, what only writes the variables' next values. */
void ag__evaluate_last(ag_tape *tape, uint32_t from) {
    if (!evaluate(tape, 0, NULL, is_fused(tape) ? AG__DEFER : AG__NOW, 0) || !tape->assignments) return;
    evaluate(tape, 0, NULL, AG__FINAL, from);
}

/* ---- After an error ---- */

/* Carry out v's assignment, with those that are joined with it. If they cannot be computed, other than for want of memory,
 * they are given up, lest every later evaluation fail. */
static void settle(ag_tensor *v) {
    v->tape->status = AG_OK;
    if (!evaluate(v->tape, 1, &v, AG__ALONE, 0) && v->tape->status != AG_ERR_MEMORY) ag__give_up_assignment(v);
}

void ag__settle_assignments(ag_tape *tape) {
    char error[AG__ERROR_SIZE];
    ag_status status = tape->status;
    bool located = tape->located;
    memcpy(error, tape->error, sizeof error);
    for (ag_tensor *v = tape->variables; v; v = ag__variable_of(v)->next)
        if (ag__variable_of(v)->pending) settle(v);
    memcpy(tape->error, error, sizeof error);
    tape->located = located;
    tape->status = status;
}
