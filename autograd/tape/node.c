/* node -- the list of nodes: appending one, and releasing those at the end
 *
 * The list is in segments that never move: node i always has the same slot, so that a handle never points at
 * anything but a node. */
#include "autograd/tape/tape.h"

#include <string.h>

/* The list in memory of its own; NULL: it is `few_segments`. */
static ag__segment **allocated(ag_tape *tape) { return tape->segments == tape->few_segments ? NULL : tape->segments; }

static bool grow_segment_list(ag_tape *tape) {
    const uint32_t room = ag__more_room(tape->segment_room, 0);
    ag__segment **former = allocated(tape);
    const size_t bytes = former ? tape->segment_room * sizeof *former : 0;
    ag__segment **list = ag__resize(tape, former, bytes, ag__times(room, sizeof *list));
    if (!list) return false;
    if (!former) memcpy(list, tape->few_segments, sizeof tape->few_segments);
    tape->segments = list;
    tape->segment_room = room;
    return true;
}

/* The nodes that there may be more; vacant ones do not count. */
static uint32_t nodes_left(const ag_tape *tape) {
    const uint32_t used = tape->count - tape->vacant;
    return used < tape->most_nodes ? tape->most_nodes - used : 0;
}

void ag__find_end(ag_tape *tape) {
    uint32_t segment = tape->count / AG__SEGMENT, at = tape->count % AG__SEGMENT, left = nodes_left(tape);
    ag_tensor *nodes = segment < tape->segment_count ? tape->segments[segment]->node : NULL;
    tape->next = nodes ? nodes + at : NULL;
    tape->next_end = nodes ? nodes + (left < AG__SEGMENT - at ? at + left : AG__SEGMENT) : NULL;
}

/* The segments of many nodes are allocated together, for huge pages: the first in the block of segment k. */
static uint32_t block_of(uint32_t k) {
    return k < AG__FEW_SEGMENTS ? k : k - (k - AG__FEW_SEGMENTS) % AG__SEGMENTS_AT_ONCE;
}

static AG__RARE bool add_segments(ag_tape *tape) {
    const uint32_t k = tape->segment_count, n = k < AG__FEW_SEGMENTS ? 1 : AG__SEGMENTS_AT_ONCE;
    while (k + n > tape->segment_room)
        if (!grow_segment_list(tape)) return false;
    ag__segment *fresh = ag__resize(tape, NULL, 0, n * sizeof *fresh);
    if (!fresh) return false;
    for (uint32_t i = 0; i < n; i++) tape->segments[k + i] = fresh + i;
    tape->segment_count = k + n;
    return true;
}

bool ag__slot(ag_tape *tape) {
    if (ag__must_stop(tape)) return ag__stop(tape, NULL);
    if (nodes_left(tape) == 0) {
        tape->refused = AG__NODES;
        return false;
    }
    uint32_t segment = tape->count / AG__SEGMENT;
    if (segment == tape->segment_count) {
        if (tape->count == UINT32_MAX / AG__SEGMENT * AG__SEGMENT || !add_segments(tape)) return false;
    }
    ag__find_end(tape);
    return true;
}

AG__RARE void ag__nodes_begin(ag_tape *tape, ag__segment *first) {
    tape->segments = tape->few_segments;
    tape->segment_room = sizeof tape->few_segments / sizeof *tape->few_segments;
    tape->segments[tape->segment_count++] = first;
    ag__find_end(tape);
}

/* Free the segments beyond the last node, but the first, which is the tape's own. */
void ag__nodes_trim(ag_tape *tape) {
    uint32_t used = (tape->count + AG__SEGMENT - 1) / AG__SEGMENT;
    for (uint32_t k; (k = block_of(tape->segment_count - 1)) >= used && k > 0; tape->segment_count = k)
        ag__resize(tape, tape->segments[k], (tape->segment_count - k) * sizeof **tape->segments, 0);
    ag__find_end(tape);
}

void ag__nodes_free(ag_tape *tape) {
    ag__nodes_trim(tape);
    if (allocated(tape)) ag__resize(tape, tape->segments, tape->segment_room * sizeof *tape->segments, 0);
}

/* The marks in memory of their own; NULL: there are but the tape's own. */
static ag__node_mark *more_marks(ag_tape *tape) {
    return ag__is_home(tape, tape->node_marks) ? NULL : tape->node_marks;
}

bool ag__node_marks_reach(ag_tape *tape) {
    if (tape->node_mark_room >= tape->count) return true;
    ag__node_mark *former = more_marks(tape);
    const uint32_t room = ag__more_room(tape->node_mark_room, (uint64_t)tape->count + AG__SEGMENT),
                   kept = former ? tape->node_mark_room : 0;
    ag__node_mark *marks = ag__resize(tape, former, kept * sizeof *marks, ag__times(room, sizeof *marks));
    if (!marks) {
        ag__fail_on(tape, "eval", AG_ERR_MEMORY, "out of memory (%zu bytes)", ag__times(room, sizeof *marks));
        return false;
    }
    memset(marks + kept, 0, (room - kept) * sizeof *marks);
    tape->node_marks = marks, tape->node_mark_room = room;
    return true;
}

void ag__node_marks_free(ag_tape *tape) {
    if (more_marks(tape)) ag__resize(tape, tape->node_marks, tape->node_mark_room * sizeof *tape->node_marks, 0);
}

/* ---- Appending ---- */

ag_tensor *ag__record(const ag_op *op, ag_tape *tape, ag_dtype dtype, const ag__layout *layout, int n,
                      ag_tensor *const x[], const void *attributes, size_t bytes) {
    const size_t more = (size_t)n * sizeof(ag_tensor *) + bytes;
    ag_tensor **input = ag__arena_rest(tape, more); /* mostly: for nothing, too */
    if (!input && (tape->next != tape->next_end || ag__slot(tape))) input = ag__arena(tape, more);
    if (!input) return ag__fail_on(tape, op->name, AG_ERR_MEMORY, "out of memory (another tensor)");
    ag_tensor *t = ag__append(op, tape, dtype, layout, n, bytes, input);
    unsigned from_inputs = 0;
    for (int i = 0; i < n; i++) {
        t->input[i] = x[i];
        x[i]->readers++;
        from_inputs |= x[i]->flags;
    }
    t->flags = ag__flags_of(tape, op, dtype, from_inputs);
    if (bytes) memcpy(ag__attributes(t), attributes, bytes);
    return t;
}

ag_tensor *ag_zero_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)y, (void)g, (void)i;
    return NULL;
}

/* As if it had been computed already. If it is asked for after all, its inputs are computed again. */
void ag__forgo(ag_tensor *t) {
    if (t->flags & (AG__COMPUTED | AG__NIL)) return;
    t->flags |= AG__COMPUTED;
    for (int i = 0; i < t->arity; i++) t->input[i]->readers--;
}

/* ---- Releasing ---- */

static inline void release_node(ag_tape *tape, ag_tensor *t) {
    if (t->buffer) ag__buffer_leave(tape, t->buffer);
    if (!(t->flags & AG__COMPUTED))
        for (int i = 0; i < t->arity; i++) t->input[i]->readers--;
    t->flags = AG__STALE;
}

/* Fetch what the release of nodes before t, one of many, is going to write. */
AG__ALWAYS_INLINE void fetch_before(const ag_tensor *t, uint32_t id) {
    enum { SOON = 12 };
    if (id % AG__SEGMENT >= AG__FETCHED) {
        ag__fetch(t - AG__FETCHED);
        ag__fetch(t[-SOON].buffer);
    } else {
        ag__fetch(ag__node(t->tape, id - AG__FETCHED));
    }
}

/* Make t a node without inputs, value and name, which scans over the nodes pass over. */
static void vacate(ag_tape *tape, ag_tensor *t) {
    if (t->flags & AG__STALE) return;
    release_node(tape, t);
    t->buffer = NULL, ag__about(t)->label = NULL, t->layout = tape->nil->layout, ag__about(t)->part = AG__NO_PART,
    t->arity = t->attribute_bytes = 0;
    tape->vacant++;
}

/* Release the nodes from `count` on. If slots are kept vacant, they are reused once there are many. */
void ag__nodes_release(ag_tape *tape, uint32_t count) {
    enum { MOST_VACANT = AG__LIMIT(1 << 18, 100), MANY = AG__LIMIT(1 << 17, 60) };
    if (!tape->keeps_vacant) {
        const uint32_t fetched = tape->count - count < MANY ? UINT32_MAX : AG__FETCHED;
        while (tape->count > count) {
            ag_tensor *t = ag__node(tape, --tape->count);
            if (tape->count >= fetched) fetch_before(t, tape->count);
            release_node(tape, t);
        }
    } else {
        for (uint32_t id = tape->count; id > count;)
            if (id == tape->unused_end) id = tape->unused;
            else vacate(tape, ag__node(tape, --id));
        if (tape->count - count > tape->unused_end - tape->unused) tape->unused = count, tape->unused_end = tape->count;
        if (tape->vacant < MOST_VACANT) return;
        tape->vacant -= tape->count - count;
        tape->count = count;
        tape->unused = tape->unused_end = 0;
    }
    ag__find_end(tape);
}
