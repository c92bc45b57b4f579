/* tape -- its life, marks and rewinds, settings, labels
 *
 * A mark is an index into the tape's list of positions and the serial number of the position there; rewinding to a position
 * forgets those after it, so a mark is stale exactly if the position at its index has another serial number now. */
#include "autograd/eval/compile.h"

#include <stdlib.h>
#include <string.h>

enum { TAPE_BYTES = sizeof(ag_tape) + sizeof(ag_tensor) }; /* with its nil */

static ag_evaluator default_evaluator(void) {
    const char *choice = getenv("AG_EVAL");
    if (choice && strcmp(choice, "fused") == 0) return AG_EVALUATOR_FUSED;
    return choice && strcmp(choice, "reference") == 0 ? AG_EVALUATOR_REFERENCE : AG_EVALUATOR_AUTOMATIC;
}

static bool default_keeps_vacant(void) {
    const char *choice = getenv("AG_CHECK");
    return choice && strcmp(choice, "1") == 0;
}

static bool default_compile(void) {
    const char *choice = getenv("AG_COMPILE");
    return !choice || strcmp(choice, "0") != 0;
}

ag_tape *ag_tape_new(void) { return ag_tape_new_with(NULL); }

ag_tape *ag_tape_new_with(const ag_allocator *allocator) {
    ag_allocator a = allocator && allocator->resize ? *allocator : ag__default_allocator;
    ag_tape *tape = a.resize(a.ctx, NULL, 0, TAPE_BYTES);
    if (!tape) return NULL;
    memset(tape, 0, TAPE_BYTES);
    tape->allocator = a;
    tape->gap = ag__gap();
    tape->memory.held = tape->memory.peak_held = (int64_t)TAPE_BYTES;
    tape->memory.allocations = 1;
    tape->recording = true;
    tape->off_since = UINT32_MAX;
    tape->threads = ag__default_threads();
    tape->evaluator = default_evaluator();
    tape->compile = default_compile();
    tape->keeps_vacant = default_keeps_vacant();
    tape->nil = (ag_tensor *)(tape + 1);
    *tape->nil = (ag_tensor){.tape = tape, .flags = AG__NIL, .dtype = AG_F64};
    return tape;
}

void ag_tape_free(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) return;
    if (ag__refused_inside(tape, "tape_free", AG__INFER)) {
        ag__locate(tape, file, line);
        return;
    }
    tape->keeps_vacant = false;
    ag__truncate(tape, &(ag__position){0});
    ag__plans_free(tape);
    ag__profile_free(tape);
    ag__buffers_free(tape);
    ag__code_free(tape);
    ag__arena_trim(tape);
    ag__segments_trim(tape);
    if (tape->segments) ag__resize(tape, tape->segments, tape->segment_room * sizeof *tape->segments, 0);
    if (tape->marks) ag__resize(tape, tape->marks, tape->mark_room * sizeof *tape->marks, 0);
    ag__close(tape, AG__ALLOCATOR, "the allocator");
    tape->allocator.resize(tape->allocator.ctx, tape, TAPE_BYTES, 0);
}

/* ---- Marks ---- */

ag__position ag__position_now(const ag_tape *tape) {
    return (ag__position){
        .count = tape->count, .slab = tape->slab, .used = tape->slab ? tape->slab->used : 0, .labels = tape->labels};
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

ag_mark ag_tape_mark(ag_tape *tape) {
    ag_mark none = {tape, 0, 0};
    if (!tape) {
        ag__fail_on(NULL, "tape_mark", AG_ERR_NULL, "the tape is NULL");
        return none;
    }
    if (ag__refused_inside(tape, "tape_mark", AG__NOTATION)) return none;
    ag__position now = ag__position_now(tape);
    ag__position *last = tape->mark_count ? &tape->marks[tape->mark_count - 1] : NULL;
    if (last && last->count == now.count && last->slab == now.slab && last->used == now.used)
        return (ag_mark){tape, tape->mark_count - 1, last->serial};
    if (tape->mark_count == tape->mark_room && !grow_marks(tape)) {
        ag__fail_on(tape, "tape_mark", AG_ERR_MEMORY, "no memory for another mark");
        return none;
    }
    now.serial = ++tape->next_serial;
    tape->marks[tape->mark_count] = now;
    return (ag_mark){tape, tape->mark_count++, now.serial};
}

/* ---- Rewinding ---- */

/* Variables keep no handle of what is about to go. */
static void forget_beyond(ag_tape *tape, uint32_t count) {
    for (ag_tensor *v = tape->variables; v && v->id >= count; v = ag__variable_of(v)->next) {
        ag__forget_assignment(v);
        tape->variables = ag__variable_of(v)->next;
    }
    for (ag_tensor *v = tape->variables; v; v = ag__variable_of(v)->next) {
        ag__variable *state = ag__variable_of(v);
        if (state->version && state->version->id >= count) state->version = NULL;
        if (state->pending && state->pending->id >= count) ag__give_up_assignment(v);
        if (state->gradient && state->gradient->id >= count) state->gradient = NULL;
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

static inline void release_node(ag_tape *tape, ag_tensor *t) {
    if (t->buffer) ag__buffer_drop(tape, t->buffer);
    if (!(t->flags & AG__COMPUTED))
        for (int i = 0; i < t->arity; i++) t->input[i]->readers--;
    t->flags = AG__STALE;
}

/* What every scan over the nodes may meet and pass by: without inputs, value and name. */
static void vacate(ag_tape *tape, ag_tensor *t) {
    if (t->flags & AG__STALE) return;
    release_node(tape, t);
    t->buffer = NULL, t->label = NULL, t->layout = tape->nil->layout, t->arity = t->attribute_bytes = 0;
    tape->vacant++;
}

/* Release the nodes from `count` on. Where slots are kept vacant, nodes take them again when there are many. */
static void release_nodes(ag_tape *tape, uint32_t count) {
    enum { MOST_VACANT = 1 << 18 };
    if (!tape->keeps_vacant) {
        while (tape->count > count) release_node(tape, ag__node(tape, --tape->count));
        return;
    }
    for (uint32_t id = tape->count; id-- > count;) vacate(tape, ag__node(tape, id));
    if (tape->count - count < MOST_VACANT) return;
    tape->vacant -= tape->count - count;
    tape->count = count;
}

/* Whether a mark's position is later than `position`: more nodes before it, or only more of the arena. */
static bool is_beyond(const ag__position *mark, const ag__position *position) {
    if (mark->count != position->count) return mark->count > position->count;
    if (mark->slab == position->slab) return mark->used > position->used;
    for (const ag__slab *c = position->slab ? position->slab->next : mark->slab; c; c = c->next)
        if (c == mark->slab) return true;
    return false;
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

void ag__truncate(ag_tape *tape, const ag__position *position) {
    tape->memory.peak_node_bytes = most(tape->memory.peak_node_bytes, ag__arena_bytes(tape));
    while (tape->mark_count && is_beyond(&tape->marks[tape->mark_count - 1], position)) tape->mark_count--;
    tape->deferred = 0;
    ag__layouts_forget(tape, position->count);
    forget_beyond(tape, position->count);
    drop_packed_beyond(tape, position->count);
    for (; tape->labels != position->labels; tape->labels = tape->labels->before)
        tape->labels->tensor->label = tape->labels->former;
    release_nodes(tape, position->count);
    ag__nodes_end(tape);
    if (tape->off_since != UINT32_MAX && tape->off_since > tape->count) tape->off_since = tape->count;
    ag__arena_release(tape, position->slab, position->used);
}

/* Assignments to variables that stay must be computed while what they depend on is still there; also on a tape in
 * error, whose first error remains. */
static void carry_out_assignments(ag_tape *tape, uint32_t count) {
    for (ag_tensor *v = tape->variables; v && v->id >= count; v = ag__variable_of(v)->next) ag__forget_assignment(v);
    if (!tape->assignments) return;
    if (tape->status == AG_OK) ag__evaluate_last(tape, count);
    else ag__settle_assignments(tape);
}

ag_status ag_tape_rewind(ag_tape *tape, ag_mark mark) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) {
        ag__fail_on(NULL, "tape_rewind", AG_ERR_NULL, "the tape is NULL");
        return ag__leave(NULL, file, line);
    }
    if (mark.tape != tape || mark.index >= tape->mark_count || tape->marks[mark.index].serial != mark.serial) {
        ag__fail_on(tape, "tape_rewind", AG_ERR_TAPE,
                    mark.tape != tape ? "the mark is of another tape"
                                      : "the mark is stale: an earlier mark was rewound to");
        return ag__leave(tape, file, line);
    }
    ag__position position = tape->marks[mark.index];
    ag__callback from = tape->inside.floor && is_beyond(tape->inside.floor, &position) ? AG__INFER : AG__EVAL;
    if (ag__refused_inside(tape, "tape_rewind", from)) return ag__leave(tape, file, line);
    carry_out_assignments(tape, position.count);
    if (tape->scanned) tape->in_vain = 0;
    else if (tape->waited && tape->in_vain < 2) tape->in_vain++;
    tape->scanned = tape->waited = false;
    ag__truncate(tape, &position);
    tape->mark_count = mark.index + 1;
    return ag__leave(tape, file, line);
}

/* ---- Settings ---- */

bool ag_tape_set_eager(ag_tape *tape, bool eager) {
    if (!tape) return false;
    bool former = tape->eager;
    tape->eager = eager;
    return former;
}

bool ag_tape_set_recording(ag_tape *tape, bool recording) {
    if (!tape) return false;
    bool former = tape->recording;
    if (former != recording) tape->off_since = recording ? UINT32_MAX : tape->count;
    tape->recording = recording;
    return former;
}

int ag_tape_set_threads(ag_tape *tape, int threads) {
    if (!tape) return 0;
    if (threads == 0) tape->threads = ag__default_threads();
    if (threads > 0) tape->threads = threads < AG__MOST_THREADS ? threads : AG__MOST_THREADS;
    return tape->threads;
}

ag_evaluator ag_tape_set_evaluator(ag_tape *tape, ag_evaluator evaluator) {
    if (!tape) return AG_EVALUATOR_AUTOMATIC;
    ag_evaluator former = tape->evaluator;
    unsigned number = (unsigned)evaluator;
    if (number <= AG_EVALUATOR_REFERENCE) tape->evaluator = evaluator;
    return former;
}

void ag_tape_seed(ag_tape *tape, uint64_t seed) {
    if (!tape) return;
    tape->seed = seed;
    tape->draws = 0;
}

uint64_t ag__next_draw(const ag_tape *tape, uint64_t *seed) {
    *seed = tape->seed;
    return tape->draws;
}

void ag__draw_taken(ag_tape *tape) { tape->draws++; }

ag_memory ag_tape_memory(const ag_tape *tape) {
    if (!tape) return (ag_memory){0};
    ag_memory m = tape->memory;
    m.nodes = tape->count - tape->vacant;
    m.node_bytes = ag__arena_bytes(tape);
    m.peak_node_bytes = most(m.peak_node_bytes, m.node_bytes);
    return m;
}

void ag_tape_reset_peaks(ag_tape *tape) {
    if (!tape) return;
    ag_memory m = ag_tape_memory(tape);
    tape->memory.peak_held = m.held;
    tape->memory.peak_live = m.live;
    tape->memory.peak_node_bytes = m.node_bytes;
    tape->memory.peak_plan_bytes = m.plan_bytes;
}

void ag_tape_trim(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) return;
    if (ag__refused_inside(tape, "tape_trim", AG__EVAL)) {
        ag__locate(tape, file, line);
        return;
    }
    ag__buffers_trim(tape);
    ag__arena_trim(tape);
    ag__segments_trim(tape);
}

int ag__worthwhile(int64_t work, int threads) {
    int64_t most = work / AG__STEPS_A_THREAD;
    return most < 2 || threads < 2 ? 1 : most < threads ? (int)most : threads;
}

/* ---- Labels ---- */

ag_tensor *ag_label(ag_tensor *x, const char *label) {
    ag_tensor *nil;
    if (!ag__inputs_usable("label", 1, &x, &nil)) return nil;
    if (!label) return ag__fail("label", 1, &x, AG_ERR_NULL, "the label is NULL");
    size_t bytes = strlen(label) + 1;
    ag__label *l = ag__arena(x->tape, sizeof *l + bytes);
    if (!l) return ag__fail("label", 1, &x, AG_ERR_MEMORY, "no memory for %zu bytes of label", bytes);
    *l = (ag__label){.before = x->tape->labels, .tensor = x, .former = x->label};
    memcpy(l->text, label, bytes);
    x->tape->labels = l;
    x->label = l->text;
    return x;
}
