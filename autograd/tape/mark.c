/* mark -- positions on a tape, and rewinding to them
 *
 * A mark is an index into the tape's list of positions and the serial number of the position there; rewinding to a
 * position removes those after it, so a mark is stale exactly if the position at its index has another serial
 * number. */
#include "autograd/tape/tape.h"

/* ---- Marks ---- */

ag__position ag__position_now(const ag_tape *tape) {
    ag__position p; /* set in parts: it is not cleared first */
    p.serial = 0;
    p.count = tape->count;
    p.slab = tape->slab;
    p.used = tape->slab ? tape->slab->used : 0;
    p.labels = tape->labels;
    p.scope = tape->scope;
    p.vain_scopes = tape->vain_scopes;
    return p;
}

static bool grow_marks(ag_tape *tape) {
    uint32_t room = ag__more_room(tape->mark_room, (uint64_t)tape->mark_count + 8);
    size_t bytes = tape->mark_room * sizeof(ag__position);
    ag__position *marks = room ? ag__resize(tape, tape->marks, bytes, ag__times(room, sizeof *marks)) : NULL;
    if (!marks) return false;
    tape->marks = marks;
    tape->mark_room = room;
    return true;
}

/* Whether nothing was recorded since `last` that is still there: then a mark of now is that one, and a loop that makes
 * a mark in each step rewinds to one place, whose vacant slots are used again. */
static bool is_still(const ag_tape *tape, const ag__position *last, const ag__position *now) {
    if (last->slab != now->slab || last->used != now->used) return false;
    uint32_t id = now->count;
    while (id > last->count && ag__node(tape, id - 1)->flags & AG__STALE)
        id = id == tape->unused_end ? tape->unused : id - 1;
    return id <= last->count;
}

static ag_mark mark_now(ag_tape *tape) {
    ag_mark none = {tape, 0, 0};
    if (!tape) {
        ag__fail_on(NULL, "tape_mark", AG_ERR_NULL, "the tape is NULL");
        return none;
    }
    if (ag__refused_inside(tape, "tape_mark", AG__NOTATION)) return none;
    ag__position now = ag__position_now(tape);
    ag__position *last = tape->mark_count ? &tape->marks[tape->mark_count - 1] : NULL;
    if (last && is_still(tape, last, &now)) return (ag_mark){tape, tape->mark_count - 1, last->serial};
    if (tape->mark_count == tape->mark_room && !grow_marks(tape)) {
        ag__fail_on(tape, "tape_mark", AG_ERR_MEMORY, "out of memory (another mark)");
        return none;
    }
    if (++tape->next_serial == 0) tape->next_serial++; /* 0 is that of a mark which could not be made */
    now.serial = tape->next_serial;
    tape->marks[tape->mark_count] = now;
    return (ag_mark){tape, tape->mark_count++, now.serial};
}

ag_mark ag_tape_mark(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line);
    ag_mark mark = mark_now(tape);
    ag__leave(tape, file, line);
    return mark;
}

bool ag_mark_valid(ag_mark mark) {
    const ag_tape *tape = mark.tape;
    return tape && mark.index < tape->mark_count && tape->marks[mark.index].serial == mark.serial;
}

/* ---- Truncating ---- */

/* Variables must keep no handle of a node about to be released. */
static void forget_beyond(ag_tape *tape, uint32_t count) {
    for (ag_tensor *v = tape->variables; v && v->id >= count; v = ag__variable_of(v)->next) {
        ag__forget_assignment(v);
        tape->variables = ag__variable_of(v)->next;
    }
    for (ag_tensor *v = tape->variables; v; v = ag__variable_of(v)->next) {
        ag__variable *state = ag__variable_of(v);
        if (state->version && state->version->id >= count) state->version = NULL;
        if (state->pending && state->pending->id >= count) ag__give_up_assignment(v);
        for (; state->gradient && state->gradient->id >= count; state->sums--)
            state->gradient = state->sums > 0 ? state->gradient->input[0] : NULL;
    }
}

static void drop_packed_beyond(ag_tape *tape, uint32_t count) {
    for (ag__packed **p = &tape->packed; *p;) {
        ag__packed *copy = *p;
        if (copy->tensor->id < count) {
            p = &copy->next;
            continue;
        }
        *p = copy->next;
        ag__buffer_drop(tape, copy->buffer);
    }
}

/* Compared by nodes, then by the arena. */
AG__RARE bool ag__is_beyond(const ag__position *mark, const ag__position *position) {
    if (mark->count != position->count) return mark->count > position->count;
    if (mark->slab == position->slab) return mark->used > position->used;
    for (const ag__slab *c = position->slab ? position->slab->next : mark->slab; c; c = c->next)
        if (c == mark->slab) return true;
    return false;
}

static void close_scopes_beyond(ag_tape *tape, const ag__position *position) {
    for (; tape->scope && ag__is_beyond(&tape->scope->after, position); tape->scope = tape->scope->before)
        tape->vain_scopes = tape->scope->vain_before;
    if (tape->scope == position->scope && tape->vain_scopes > position->vain_scopes)
        tape->vain_scopes = position->vain_scopes;
}

void ag__truncate(ag_tape *tape, const ag__position *position) {
    const int64_t node_bytes = ag__arena_bytes(tape);
    if (tape->memory.peak_node_bytes < node_bytes) tape->memory.peak_node_bytes = node_bytes;
    while (tape->mark_count && ag__is_beyond(&tape->marks[tape->mark_count - 1], position)) tape->mark_count--;
    tape->deferred = 0;
    tape->joined.of = NULL;
    ag__layouts_forget(tape, position->count);
    forget_beyond(tape, position->count);
    drop_packed_beyond(tape, position->count);
    for (; tape->labels != position->labels; tape->labels = tape->labels->before)
        ag__about(tape->labels->tensor)->label = tape->labels->former;
    close_scopes_beyond(tape, position);
    ag__nodes_release(tape, position->count);
    if (tape->unplaced > tape->count) tape->unplaced = tape->count;
    if (tape->placed.to > tape->count) tape->placed.to = tape->count;
    if (tape->part && tape->part->flags & AG__STALE) ag__set_part(tape, NULL);
    if (tape->off_since != UINT32_MAX && tape->off_since > tape->count) tape->off_since = tape->count;
    ag__arena_release(tape, position->slab, position->used);
}
