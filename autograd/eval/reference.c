/* reference -- the reference evaluator, one node at a time in the order of recording; and the release of values
 *
 * A value is released when its last reader has run, unless the user has read it or it may still be needed: by a
 * recorded reader that has not run, or by a backward scan to come. A value released too early is only recomputed. */
#include "autograd/eval/eval.h"
#include "autograd/tape/replay.h"

bool ag__may_release(const ag__evaluation *e, const ag_tensor *t) {
    return ag__releasable(t, ag__mark_of(e, t)->live, t->readers, ag__goes_from(e));
}

void ag__release_unneeded(ag_tensor *t) {
    if (!ag__releasable(t, 0, t->readers, UINT32_MAX)) return;
    ag__buffer_drop(t->tape, t->buffer);
    t->buffer = NULL;
}

/* Decided only here. The memory of a variable's value is held by the variable, by its version x, and by any other
 * node that shares it, which must be released first. The version is released by the rewind. */
bool ag__may_overwrite(const ag__evaluation *e, const ag_tensor *x, const ag_tensor *y) {
    return x->id >= ag__goes_from(e) && ag__next_value(x) == y && x->buffer == x->input[0]->buffer &&
           x->buffer->refs == 2;
}

/* t, which is computed, has read its inputs; those of at most `counted` elements have been counted off already. */
AG__ALWAYS_INLINE void leave(ag__node_mark *mark, ag_tensor *t, uint32_t gone, int64_t counted) {
    const bool first = !(t->flags & AG__COMPUTED);
    if (!first) t->flags |= AG__KEEP; /* it was released too early: do so only once */
    t->flags |= AG__COMPUTED;
    mark[t->id].needed = false;
    for (int i = 0, n = t->arity; i < n; i++) {
        ag_tensor *x = t->input[i];
        if (counted && x->layout->size <= counted) continue;
        uint32_t *const still = &mark[x->id].live;
        uint32_t readers = x->readers - first, live = *still - 1; /* reading them back would take longer */
        x->readers = readers;
        *still = live;
        if (live || !x->buffer || !ag__releasable(x, live, readers, gone)) continue;
        ag__buffer_leave(x->tape, x->buffer);
        x->buffer = NULL;
    }
}

AG__NEVER_INLINE static void leave_counted(const ag__evaluation *e, ag_tensor *t, uint32_t gone, int64_t counted) {
    leave(e->mark, t, gone, counted);
}

void ag__leave_inputs(const ag__evaluation *e, ag_tensor *t) { leave_counted(e, t, ag__goes_from(e), 0); }

void ag__abandon(const ag__evaluation *e, uint32_t low, uint32_t high) {
    for (uint32_t i = low; i < high; i++) {
        if (!e->mark[i].needed) continue;
        e->mark[i].needed = false;
        const ag_tensor *t = ag__node(e->tape, i);
        for (int j = 0; j < t->arity; j++) ag__mark_of(e, t->input[j])->live--;
    }
}

static bool compute_observed(ag_tensor *t) {
    int64_t since = ag__observed_from(t->tape);
    bool good = ag__compute(t);
    if (good && t->tape->profiling) t->tape->observer->computed(t, since);
    return good;
}

/* Whether t is computed by one call of its kernel, as most nodes of a small program are. */
static inline bool is_little(const ag_tensor *t) { return t->plain && t->layout->size <= AG__STRIP; }

/* Its inputs have one dtype. The buffer of an input that is released as soon as t has read it is the result's, if that
 * fits there. */
AG__ALWAYS_INLINE bool compute_little(ag_tape *tape, const ag__node_mark *mark, ag_tensor *t) {
    const void *x[AG__MOST_INPUTS];
    ag_tensor *const *input = t->input;
    const ag__layout *layout = t->layout;
    const bool first = !(t->flags & AG__COMPUTED);
    const size_t each = ag__bytes(input[0]);
    ag__buffer *b = NULL;
    for (int i = 0, n = t->arity; i < n; i++) {
        ag_tensor *in = input[i];
        ag__buffer *held = in->buffer;
        x[i] = (const char *)held->data + in->offset * (int64_t)each;
        if (mark[in->id].live != 1 || b || in->layout != layout || in->dtype != t->dtype) continue;
        if (held->refs != 1 || held->adopted || in->offset != 0) continue;
        if (!ag__releasable(in, 0, in->readers - first, UINT32_MAX)) continue;
        in->buffer = NULL;
        b = held;
    }
    if (!b) {
        const size_t bytes = (size_t)layout->size * ag__bytes(t);
        if (!(b = ag__buffer_quickly(tape, bytes))) return ag__no_memory(t, bytes);
    }
    t->buffer = b;
    ag_block *block = ag__kernel(tape, t->op, input[0]->dtype);
    if (block) block(layout->size, b->data, x, ag__attributes(t));
    else ag__map(t, layout->size, b->data, x);
    return true;
}

bool ag__run_one(const ag__evaluation *e, ag_tensor *t, int64_t counted) {
    if (!ag__compute(t)) return false;
    leave_counted(e, t, UINT32_MAX, counted);
    return true;
}

enum { MANY = AG__LIMIT(1 << 14, 100), BUFFERS = 8, INPUTS = 24, NODES = 64 }; /* nodes, and how far ahead */

/* For a scan over more nodes than the caches hold: fetch what later nodes are computed from. */
AG__ALWAYS_INLINE void fetch_after(const ag_tape *tape, uint32_t i, uint32_t end) {
    if (i >= end) return;
    ag__fetch(ag__node(tape, i + NODES));
    const ag_tensor *t = ag__node(tape, i + INPUTS), *s = ag__node(tape, i + BUFFERS);
    if (t->arity) ag__fetch(t->input[0]), ag__fetch(t->input[t->arity - 1]);
    for (int k = 0; k < s->arity; k++) {
        const char *b = (const char *)s->input[k]->buffer;
        ag__fetch(b);
        ag__fetch(b + 64);
    }
}

bool ag__run_reference(const ag__evaluation *e, uint32_t low, uint32_t high) {
    const bool observed = e->tape->profiling;
    const uint32_t fetched = high - low < MANY ? 0 : high - NODES;
    for (uint32_t i = low; i < high; i++) {
        if (!e->mark[i].needed) continue;
        ag_tensor *t = ag__node(e->tape, i);
        fetch_after(e->tape, i, fetched);
        if (ag__must_stop(e->tape)      ? !ag__stop(e->tape, t)
            : !observed && is_little(t) ? !compute_little(e->tape, e->mark, t)
                                        : !compute_observed(t)) {
            ag__abandon(e, i, high);
            return false;
        }
        leave(e->mark, t, UINT32_MAX, 0);
    }
    return true;
}
