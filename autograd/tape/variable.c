/* variable -- versions of variables, and the values that are assigned to them
 *
 * Values are immutable, variables are not: assigning gives a variable another buffer. Every use of a variable is
 * recorded as a use of its version, a `read` node with the buffer of that moment (or the assigned tensor, until that
 * is computed), so recorded nodes never change. Variables whose assignments are joined form a ring; they take over
 * their values together, or none does if one is lost. Invariant: a variable without an assignment may be in a ring,
 * and tape->assignments counts those with one. */
#include "autograd/tape/tape.h"

static ag_tensor *read_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)y;
    return i == 0 ? g : NULL;
}

static const ag_op version_entry = {.name = "read",
                                    .notation = "{1}",
                                    .kind = AG_KIND_VIEW,
                                    .flags = AG_OP_HIDES_NOTHING,
                                    .arity = -1,
                                    .vjp = read_vjp};

/* ---- Versions ---- */

static ag_tensor *new_version(ag_tensor *v) {
    ag__variable *state = ag__variable_of(v);
    ag_tensor *from[2] = {v, state->pending};
    ag_tensor *t = ag__record(&version_entry, v->tape, (ag_dtype)v->dtype, v->layout, from[1] ? 2 : 1, from, NULL, 0);
    if (t->flags & AG__NIL) return NULL;
    t->flags |= AG__READ;
    if (!state->pending) {
        t->buffer = v->buffer;
        t->buffer->refs++;
        t->flags |= AG__LEAF | AG__COMPUTED;
        v->readers--;
    }
    t->flags &= (uint16_t)~AG__REQUIRES; /* the assigned value may require gradients even if the variable does not */
    if (v->flags & AG__REQUIRES && v->tape->recording) t->flags |= AG__REQUIRES;
    t->flags |= v->flags & AG__FROZEN;
    ag__about(t)->label = ag__about(v)->label;
    ag__about(t)->file = ag__about(v)->file;
    ag__about(t)->line = ag__about(v)->line;
    return state->version = t;
}

ag_tensor *ag__current(ag_tensor *x) {
    if (!(x->flags & AG__VARIABLE)) return x;
    ag_tensor *t = ag__ready_version(x);
    return t ? t : new_version(x);
}

/* ---- Assignments ---- */

static void leave_ring(ag_tensor *v) {
    ag__variable *state = ag__variable_of(v);
    ag__variable_of(state->joined)->joiner = state->joiner;
    ag__variable_of(state->joiner)->joined = state->joined;
    state->joined = state->joiner = v;
}

static void enter_ring(ag_tensor *v, ag_tensor *other) {
    ag__variable *state = ag__variable_of(v), *before = ag__variable_of(other);
    state->joined = before->joined;
    state->joiner = other;
    ag__variable_of(before->joined)->joiner = v;
    before->joined = v;
}

/* Make x the pending value of v, replacing an earlier one; NULL: none. */
static void set_pending(ag_tensor *v, ag_tensor *x) {
    ag__variable *state = ag__variable_of(v);
    v->tape->assignments += (uint32_t)(x != NULL) - (uint32_t)(state->pending != NULL);
    state->pending = x;
}

void ag__forget_assignment(ag_tensor *v) {
    leave_ring(v);
    set_pending(v, NULL);
}

void ag__set_next_value(ag_tensor *v, ag_tensor *x, ag_tensor *other) {
    ag__variable *state = ag__variable_of(v);
    if (other != v) leave_ring(v);
    if (other && other != v && ag__variable_of(other)->pending) enter_ring(v, other);
    set_pending(v, x);
    state->version = NULL;
    state->values++;
    state->waiting++;
    if (x->id < v->tape->deferred) v->tape->deferred = x->id;
}

void ag__set_value(ag_tensor *v, ag__buffer *value) {
    ag__variable *state = ag__variable_of(v);
    ag__buffer_drop(v->tape, v->buffer);
    v->buffer = value;
    ag__forget_assignment(v);
    state->version = NULL;
    state->values++;
    state->waiting = 0;
}

static void commit(ag_tensor *v) {
    ag__variable *state = ag__variable_of(v);
    ag__buffer *old = v->buffer;
    v->buffer = state->pending->buffer;
    v->buffer->refs++;
    ag__buffer_drop(v->tape, old);
    set_pending(v, NULL);
    state->waiting = 0;
}

/* The next after w in a ring whose members before w were removed. */
static ag_tensor *next_of(const ag_tensor *w) {
    ag_tensor *next = ag__variable_of(w)->joined;
    return next == w ? NULL : next;
}

/* The next after w in a whole ring that began at v; NULL at its end. */
static ag_tensor *next_from(const ag_tensor *w, const ag_tensor *v) {
    ag_tensor *next = ag__variable_of(w)->joined;
    return next == v ? NULL : next;
}

/* Whether all pending values in v's ring have been computed. */
static bool ring_computed(const ag_tensor *v) {
    for (const ag_tensor *w = v; w; w = next_from(w, v))
        if (ag__variable_of(w)->pending && !ag__variable_of(w)->pending->buffer) return false;
    return true;
}

static void commit_ring(ag_tensor *v) {
    for (ag_tensor *w = v, *next; w; w = next) {
        next = next_of(w);
        leave_ring(w);
        if (ag__variable_of(w)->pending) commit(w);
    }
}

/* Rings whose values have all been computed take them over, and are dissolved. */
void ag__commit_assignments(ag_tape *tape) {
    for (ag_tensor *v = tape->assignments ? tape->variables : NULL; v; v = ag__variable_of(v)->next)
        if (ag__variable_of(v)->pending && ring_computed(v)) commit_ring(v);
}

void ag__give_up_assignment(ag_tensor *v) {
    for (ag_tensor *w = v, *next; w; w = next) {
        ag__variable *state = ag__variable_of(w);
        next = next_of(w);
        ag__forget_assignment(w);
        state->version = NULL;
        state->values -= state->waiting;
        state->waiting = 0;
    }
}

ag_tensor *ag__next_value(const ag_tensor *x) {
    return x->flags & AG__READ ? ag__variable_of(x->input[0])->pending : NULL;
}
