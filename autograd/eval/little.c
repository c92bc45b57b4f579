/* little -- many nodes of a few elements each, some thousand at a time
 *
 * What surrounds a kernel takes longer than the kernel does on a few elements. So one scan in reverse writes an
 * instruction for each node: its kernel, and the addresses of its inputs and its result. Then the instructions run in
 * the order of recording. The scan meets a value after all its readers, so it knows whether anything needs the value
 * afterwards. If nothing does, the value has no buffer, only a place in scratch memory that no other value takes. Other
 * nodes are computed as by the reference evaluator. Invariant: readers of values of at most AG__LITTLE_SIZE elements
 * are counted off by the scan, and these are released at the end; larger values as soon as their readers have run.
 */
#include "autograd/eval/lists.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/replay.h"

#include <string.h>

enum {
    INPUTS = AG__LITTLE_INPUTS,
    PLACES = 256 * 1024, /* bytes of scratch memory */
    FEW = 16,            /* instructions, */
    FEW_PLACES = 1024    /* and bytes of places, for which the stack has room */
};

typedef struct instruction {
    ag_tensor *t;
    ag_block *block;       /* NULL: t is replayed */
    void *y;               /* its place, or that of its buffer; NULL: not a little node */
    const void *x[INPUTS]; /* values, */
    const void *attributes;
    ag__buffer *buffer; /* of the value, if it is needed afterwards, until t has it */
    uint32_t size;
    uint8_t awaits; /* a bit for each x that is a tensor instead: its value is not there yet */
    bool first;     /* t has not been computed before */
} instruction;

typedef struct program {
    const ag__evaluation *e;
    instruction *at, *end; /* written from the end on */
    char *places;          /* of nodes from `low` on */
    size_t each;
    uint32_t low;
    ag_tensor **held; /* to be released at the end, if allowed: `few`, or scratch memory */
    uint32_t held_count, held_room;
    ag_tensor *few[16];
    ag__scratch scratch;
} program;

/* ---- Writing ---- */

static inline void *place_of(const program *p, const ag_tensor *t) { return p->places + (t->id - p->low) * p->each; }

AG__NEVER_INLINE static bool more_held(program *p) {
    const uint32_t room = 8 * p->held_room;
    ag_tensor **held = ag__scratch_array(&p->scratch, room, sizeof *held);
    if (!held) return false;
    memcpy(held, p->held, p->held_count * sizeof *held);
    p->held = held;
    p->held_room = room;
    return true;
}

/* Out of memory it is not released then, which is never wrong. */
AG__NEVER_INLINE static void hold(program *p, ag_tensor *x) {
    if (p->held_count < p->held_room || more_held(p)) p->held[p->held_count++] = x;
}

/* One reader of x less; returns whether x has its value already. */
AG__ALWAYS_INLINE bool count_off(program *p, ag__node_mark *mark, ag_tensor *x, bool first) {
    const uint32_t live = mark->live - 1;
    mark->live = live;
    x->readers -= first;
    if (!x->buffer) return false;
    if (!live) hold(p, x);
    return true;
}

AG__ALWAYS_INLINE void write_input(program *p, ag__node_mark *marks, instruction *to, int i, ag_tensor *x, bool first) {
    ag__node_mark *mark = &marks[x->id];
    if (count_off(p, mark, x, first)) {
        to->x[i] = ag__values(x);
    } else if (mark->little & AG__LITTLE_NODE) {
        mark->little |= AG__LITTLE_PLACED;
        to->x[i] = place_of(p, x);
    } else {
        to->x[i] = x;
        to->awaits |= (uint8_t)(1 << i);
    }
}

/* The same as ag__releasable, of an elementwise operation that has no readers in the evaluation. */
AG__ALWAYS_INLINE bool is_passing(const ag_tensor *t) {
    return !t->readers && !(t->flags & AG__KEEP) && !ag__awaits_gradient(t);
}

AG__ALWAYS_INLINE bool write_little(program *p, ag__node_mark *marks, instruction *to, ag_tensor *t, bool first) {
    const ag__node_mark *mark = &marks[t->id];
    const int n = t->arity;
    const size_t size = (size_t)t->layout->size;
    ag_tensor *const *x = t->input;
    to->block = ag__kernel(p->e->tape, t->op, x[0]->dtype);
    to->attributes = ag__attributes(t);
    to->size = (uint32_t)size;
    const bool passing = !mark->live && is_passing(t);
    if (!passing || (mark->little & AG__LITTLE_SHOWN)) {
        if (!(to->buffer = ag__buffer_quickly(t->tape, size * ag__bytes(t)))) return false;
        if (passing) hold(p, t);
    }
    to->y = mark->little & AG__LITTLE_PLACED ? place_of(p, t) : to->buffer->data;
    for (int i = 0; i < n; i++) write_input(p, marks, to, i, x[i], first);
    return true;
}

static inline bool is_counted_off(const ag_tensor *x) { return x->layout->size <= AG__LITTLE_SIZE; }

/* The evaluator of t reads buffers. */
static bool write_other(program *p, ag__node_mark *marks, ag_tensor *t, bool first) {
    if (is_counted_off(t)) hold(p, t);
    for (int i = 0, n = t->arity; i < n; i++) {
        ag_tensor *x = t->input[i];
        ag__node_mark *mark = &marks[x->id];
        if (is_counted_off(x) && !count_off(p, mark, x, first)) mark->little |= AG__LITTLE_SHOWN;
    }
    return true;
}

/* False: out of memory, and nothing is written for t. The flags are those of reference.c's leave. */
AG__ALWAYS_INLINE bool write(program *p, ag__node_mark *marks, ag_tensor *t) {
    instruction *to = p->at - 1;
    const bool first = !(t->flags & AG__COMPUTED), little = marks[t->id].little & AG__LITTLE_NODE;
    to->t = t, to->y = NULL, to->buffer = NULL, to->awaits = 0, to->first = first;
    if (little) t->flags |= first ? AG__COMPUTED : AG__KEEP;
    if (little ? !write_little(p, marks, to, t, first) : !write_other(p, marks, t, first)) {
        if (first) t->flags &= (uint16_t)~AG__COMPUTED;
        return false;
    }
    p->at = to;
    return true;
}

static bool write_all(program *p, uint32_t high) {
    ag__node_mark *const marks = p->e->mark;
    for (uint32_t id = high; id-- > p->low;) {
        if (!marks[id].needed) continue;
        ag__fetch_before(p->e->tape, id);
        if (!write(p, marks, ag__node(p->e->tape, id))) return false;
        marks[id].needed = false;
    }
    return true;
}

/* As if what has not run had not been written: it is wanted still, or not. */
static void unwrite(program *p, bool wanted) {
    for (const instruction *in = p->at; in < p->end; in++) {
        ag_tensor *t = in->t;
        for (int i = 0; i < t->arity; i++) {
            ag_tensor *x = t->input[i];
            const bool counted = is_counted_off(x);
            if (counted) x->readers += in->first;
            if (counted == wanted) ag__mark_of(p->e, x)->live += wanted ? 1u : UINT32_MAX;
        }
        if (in->y && in->first) t->flags &= (uint16_t)~AG__COMPUTED;
        ag__mark_of(p->e, t)->needed = wanted;
        ag__buffer_drop(t->tape, in->buffer);
    }
}

/* ---- Running ---- */

static void await(instruction *in) {
    for (int i = 0; i < INPUTS; i++)
        if (in->awaits >> i & 1) in->x[i] = ag__values(in->x[i]);
}

static inline void show(instruction *in) {
    void *data = in->buffer->data;
    if (data != in->y) memcpy(data, in->y, in->size * ag__bytes(in->t));
    in->t->buffer = in->buffer;
}

static inline void run_little(instruction *in) {
    if (in->awaits) await(in);
    if (in->block) in->block(in->size, in->y, in->x, in->attributes);
    else ag__map(in->t, in->size, in->y, in->x);
    if (in->buffer) show(in);
}

static bool run_all(program *p) {
    ag_tape *tape = p->e->tape;
    for (; p->at < p->end; p->at++) {
        instruction *in = p->at;
        if (ag__must_stop(tape)) return ag__stop(tape, in->t);
        if (in->y) run_little(in);
        else if (!ag__run_one(p->e, in->t, AG__LITTLE_SIZE)) return false;
    }
    return true;
}

static void release_held(program *p) {
    for (uint32_t i = 0; i < p->held_count; i++) {
        ag_tensor *x = p->held[i];
        if (!x->buffer || !ag__may_release(p->e, x)) continue;
        ag__buffer_leave(x->tape, x->buffer);
        x->buffer = NULL;
    }
}

/* Nodes low … high−1 of these are marked. */
static bool run_part(const ag__evaluation *e, uint32_t low, uint32_t high, size_t each) {
    program p;
    p.e = e, p.low = low, p.each = each, p.scratch = (ag__scratch){.tape = e->tape};
    p.held = p.few, p.held_count = 0, p.held_room = sizeof p.few / sizeof *p.few;
    instruction few[FEW], *room = few;
    _Alignas(16) char few_places[FEW_PLACES];
    if (high - low > FEW) room = ag__scratch_array(&p.scratch, high - low, sizeof *room);
    p.places = (high - low) * each > FEW_PLACES ? ag__scratch_array(&p.scratch, high - low, each) : few_places;
    p.at = p.end = room ? room + (high - low) : NULL;
    const bool written = room && p.places && write_all(&p, high), good = written && run_all(&p);
    unwrite(&p, !written);
    release_held(&p);
    ag__scratch_drop(&p.scratch);
    return written ? good : ag__run_reference(e, low, high);
}

bool ag__run_little(const ag__evaluation *e, uint32_t low, uint32_t high) {
    const size_t each = AG__MOST_BYTES * (size_t)(e->little_sizes ? e->little_sizes : 1), places = PLACES / each;
    const uint32_t most = places < AG__TOGETHER ? (uint32_t)places : AG__TOGETHER;
    for (uint32_t next; low < high; low = next) {
        next = high - low < most ? high : low + most;
        if (run_part(e, low, next, each)) continue;
        ag__abandon(e, next, high);
        return false;
    }
    return true;
}
