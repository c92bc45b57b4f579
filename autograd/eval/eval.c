/* eval -- evaluations: the nodes to compute, and the time of assignments
 *
 * A reverse scan marks the nodes without value that the wanted ones need, counting each value's readers (`live`); a
 * forward scan of one of the evaluators computes the marked nodes. Invariant between evaluations: no node is marked
 * and every `live` is 0. */
#include "autograd/eval/eval.h"
#include "autograd/tape/basis.h"
#include "autograd/tape/limits.h"

#include <string.h>

/* ---- Marking ---- */

typedef struct marking {
    ag__evaluation *e;
    uint32_t waiting; /* marked, but not reached by the scan yet */
} marking;

static void want_if(marking *m, ag_tensor *t, bool later) {
    if (t->buffer) return;
    ag__node_mark *mark = ag__mark_of(m->e, t);
    if (!later) mark->later = false;
    if (mark->needed) return;
    mark->needed = true;
    mark->later = later;
    m->waiting++;
    m->e->marked.nodes++;
    if (t->id >= m->e->high) m->e->high = t->id + 1;
}

static void want(marking *m, ag_tensor *t) { want_if(m, t, false); }

/* Count the request as a reader, so that the wanted value is not released meanwhile. */
static void pin(marking *m, ag_tensor *t) {
    ag__mark_of(m->e, t)->live++;
    want(m, t);
}

/* Whether an evaluation of x keeps values for a gradient, or would if one were expected. */
static bool may_be_differentiated(int n, ag_tensor *const x[]) {
    for (int i = 0; i < n; i++)
        if (ag__may_await_gradient(x[i])) return true;
    return false;
}

/* The pending value of a variable that is read. */
static ag_tensor *assigned(const ag_tensor *x) { return x->flags & AG__VARIABLE ? ag__variable_of(x)->pending : NULL; }

/* Mark the ring of a wanted variable: its assignments are carried out together. */
static void ask(ag_tensor *v) {
    for (ag_tensor *w = v; !ag__variable_of(w)->asked; w = ag__variable_of(w)->joined) ag__variable_of(w)->asked = true;
}

static ag_tensor *first_assigned(const ag_tape *tape) { return tape->assignments ? tape->variables : NULL; }

/* Assigned values stay if they are computed. */
static void pin_assigned(marking *m) {
    const ag__evaluation *e = m->e;
    for (ag_tensor *v = first_assigned(e->tape); v; v = ag__variable_of(v)->next) {
        ag_tensor *next = ag__variable_of(v)->pending;
        bool asked = ag__variable_of(v)->asked;
        ag__variable_of(v)->asked = false;
        if (!next) continue;
        ag__mark_of(e, next)->live++;
        if (asked || e->when == AG__NOW || e->when == AG__FINAL) want(m, next);
        else if (e->when == AG__DEFER && next->id >= e->from) want_if(m, next, true);
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
        ag__mark_of(e, x[i])->live--;
        if (assigned(x[i])) ag__mark_of(e, assigned(x[i]))->live--;
    }
    for (ag_tensor *v = first_assigned(e->tape); v; v = ag__variable_of(v)->next)
        if (assigned(v)) ag__mark_of(e, assigned(v))->live--;
}

/* The bytes that stay for x until it is read: none if its memory is a constant's, a variable's or kept anyway. */
static size_t kept_bytes(const ag_tensor *x) {
    while (x->op->kind == AG_KIND_VIEW && !(x->flags & (AG__READ | AG__KEEP))) x = x->input[x->arity - 1];
    return x->flags & (AG__READ | AG__KEEP | AG__LEAF | AG__VARIABLE) ? 0 : ag__value_bytes(x);
}

/* Whether t is the gradient of a weight, or the like, which takes more memory than what it is computed from. In the
 * sweep that updates the weight, some rows of it at a time are enough. */
static bool is_larger_product(const ag_tensor *t) {
    if (!(t->flags & AG__GRADIENT) || !ag__has_rows(t->op) || ag__value_bytes(t) < AG__WORTH_ROWS) return false;
    return kept_bytes(t->input[0]) + kept_bytes(t->input[1]) <= ag__value_bytes(t);
}

/* Whether t is deferred: an elementwise operation, a use of an assigned value or a large product, that only deferred
 * nodes need. Its inputs are computed now; those of a product in any case, so that whatever may fail is computed
 * before. A node is deferred only once, so that deferred nodes do not pile up without rewinds. */
static bool defer(marking *m, ag_tensor *t) {
    ag__node_mark *mark = ag__mark_of(m->e, t);
    mark->later = false;
    if (t->flags & (AG__COMPUTED | AG__KEEP) || t->layout->size == 0 || t->id < m->e->from) return false;
    const bool product = is_larger_product(t);
    if (t->op->kind != AG_KIND_ELEMENTWISE && !(t->flags & AG__READ) && !product) return false;
    mark->needed = false;
    m->e->marked.nodes--;
    for (int i = 0; i < t->arity; i++) want_if(m, t->input[i], !product);
    return true;
}

/* Pin the inputs of t, which are older; without branches, for which of them are marked already is hardly foreseen. */
AG__ALWAYS_INLINE uint32_t pin_inputs(ag__node_mark *marks, const ag_tensor *t, bool deferring) {
    uint32_t fresh = 0;
    for (int i = 0, n = t->arity; i < n; i++) {
        const ag_tensor *x = t->input[i];
        ag__node_mark *mark = &marks[x->id];
        const bool lacks = !x->buffer, first = lacks & !mark->needed;
        mark->live++;
        if (deferring) mark->later &= !lacks;
        mark->needed |= lacks;
        fresh += first;
    }
    return fresh;
}

/* Mark what nodes need, from number *id back, down to one that is marked as needed later, if any may be, or to the
 * first. */
AG__ALWAYS_INLINE bool mark_from(marking *m, uint32_t *id, bool deferring) {
    const ag_tape *tape = m->e->tape;
    ag__node_mark *const marks = m->e->mark;
    const uint32_t fetched = ag__fetched_from(tape);
    uint32_t waiting = m->waiting, fresh, i = *id, sizes = m->e->little_sizes;
    ag__amount marked = m->e->marked;
    int64_t plain = 0;
    bool later = false;
    while (waiting > 0) {
        if (!marks[--i].needed) continue;
        const ag_tensor *t = ag__node(tape, i);
        if (deferring && (later = marks[i].later)) break;
        ag__fetch_before(t, i, fetched);
        const int64_t size = t->layout->size;
        const uint8_t little = ag__little_flags(t, size);
        marks[i].little = little;
        sizes |= little ? (uint32_t)size : 0;
        marked.edges += t->arity;
        if (t->plain) plain += size;
        else marked.work += ag__work_of(t);
        marked.nodes += fresh = pin_inputs(marks, t, deferring);
        waiting += fresh - 1;
    }
    marked.work += (double)plain;
    m->waiting = waiting;
    m->e->marked = marked;
    m->e->little_sizes = sizes;
    *id = i;
    return later;
}

static bool mark_now(marking *m, uint32_t *id) {
    return m->e->when == AG__DEFER && m->e->tape->assignments ? mark_from(m, id, true) : mark_from(m, id, false);
}

static void mark_needed(marking *m) {
    ag__evaluation *e = m->e;
    uint32_t id = e->high;
    while (mark_now(m, &id)) {
        ag_tensor *t = ag__node(e->tape, id);
        if (defer(m, t)) {
            m->waiting--;
            continue;
        }
        id++; /* it is needed now after all */
    }
    e->low = id;
}

/* ---- Running ---- */

static bool is_fused(const ag_tape *tape) { return tape->evaluator != AG_EVALUATOR_REFERENCE && !tape->on_record; }

/* Release the values of nodes about to be rewound, except those still to be read. */
static void release_rest(const ag__evaluation *e) {
    for (uint32_t i = ag__goes_from(e); i < e->tape->count; i++) {
        ag_tensor *t = ag__node(e->tape, i);
        if (!t->buffer || !ag__may_release(e, t)) continue;
        ag__buffer_drop(e->tape, t->buffer);
        t->buffer = NULL;
    }
}

/* Whether a reduction folds numbers that are side by side. */
static bool folds_rows(const ag_tensor *t) {
    const ag_axes_set *set = ag__attributes(t);
    return set->mask >> (t->input[0]->layout->rank - 1) & 1;
}

/* Whether the only marked node is better computed by machine code, or written past the caches, for which a plan is
 * needed. What has no kernel is computed step by step, which takes ten times as long. The kernels of most reductions
 * take a call for each few elements; those of sums do not, nor those of f32 in a row. */
static bool is_worth_code(const ag__evaluation *e) {
    const ag_tensor *t = ag__node(e->tape, e->low), *x = t->arity ? t->input[t->arity - 1] : t;
    const bool replayed = t->op->trace[x->dtype] && !t->op->block[x->dtype];
    if (x->layout->size < (replayed ? AG__FEW : AG__AT_FIRST_SIGHT)) return false;
    if (t->op->kind == AG_KIND_REDUCTION)
        return t->op->reduction->join && !(t->op->reduction->join->flags & AG_OP_ADDS) &&
               !(t->dtype == AG_F32 && folds_rows(t));
    const size_t each = ag_dtype_size((ag_dtype)x->dtype) + ag_dtype_size((ag_dtype)t->dtype);
    const bool past = x->layout->size >= (int64_t)(AG__PAST_CACHES / each) && t->op->trace[x->dtype];
    return t->op->kind == AG_KIND_ELEMENTWISE && (past || ag__is_worth_code(t->op, x->dtype));
}

/* A plan pays from two nodes on, and only a plan runs in place. */
static bool run(const ag__evaluation *e) {
    bool pays = e->marked.nodes > 1 || e->when == AG__FINAL || (e->marked.nodes == 1 && is_worth_code(e));
    bool fused = pays && is_fused(e->tape);
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

bool ag__take_marks(ag__evaluation *e) {
    if (!ag__node_marks_reach(e->tape)) return false;
    e->mark = e->tape->node_marks;
    return true;
}

static bool evaluate(ag_tape *tape, int n, ag_tensor *const x[], ag__when when, uint32_t from) {
    if (!ag__in_order(tape, "eval")) return false;
    if (tape->evaluating) { /* that evaluation has the marks */
        ag__fail_on(tape, "eval", AG_ERR_TAPE, "an operation that is being evaluated cannot evaluate its own tape");
        return false;
    }
    ag__evaluation e = {.tape = tape, .when = when, .from = from};
    if (!ag__take_marks(&e)) return false;
    int64_t since = ag__observed_from(tape);
    if (!tape->waited) tape->waited = may_be_differentiated(n, x);
    marking m = {.e = &e};
    pin_all(&m, n, x);
    mark_needed(&m);
    release_rest(&e);
    bool good = run_inside(&e);
    unpin_all(&e, n, x);
    if (good) ag__commit_assignments(tape);
    if (good && when != AG__ALONE) tape->deferred = when == AG__DEFER ? tape->count : 0;
    if (!good && when != AG__ALONE && tape->assignments && !ag__is_passing(tape->status)) ag__settle_assignments(tape);
    if (tape->profiling) tape->observer->evaluated(tape, e.marked.nodes, since);
    return good;
}

bool ag__evaluate(ag_tape *tape, int n, ag_tensor *const x[]) {
    return evaluate(tape, n, x, is_fused(tape) ? AG__DEFER : AG__NOW, tape->deferred);
}

/* First everything that can fail, then the steps that only write the variables' next values. */
void ag__evaluate_last(ag_tape *tape, uint32_t from) {
    if (!evaluate(tape, 0, NULL, is_fused(tape) ? AG__DEFER : AG__NOW, 0) || !tape->assignments) return;
    evaluate(tape, 0, NULL, AG__FINAL, from);
}

/* ---- After an error ---- */

/* Carry out v's assignment, with those joined with it. If they cannot be computed, for a reason that stays,
 * they are given up, so that later evaluations do not fail too. */
static void settle(ag_tensor *v) {
    v->tape->status = AG_OK;
    if (!evaluate(v->tape, 1, &v, AG__ALONE, 0) && !ag__is_passing(v->tape->status)) ag__give_up_assignment(v);
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
