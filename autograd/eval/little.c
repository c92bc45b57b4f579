/* little -- many nodes of a few elements each, some thousand at a time
 *
 * What surrounds a kernel takes longer than the kernel does on a few elements. So one scan in reverse writes an
 * instruction for each node: its kernel, and the addresses of its inputs and its result. Then the instructions run in
 * the order of recording. The scan meets a value after all its readers, so it knows whether anything needs the value
 * afterwards. If nothing does, the value has no buffer, only a place in scratch memory: from its last reader, which the
 * scan meets first, to the node itself, whose inputs take other places. So there are few, and they stay in the first
 * cache. Other nodes are computed as by the reference evaluator. Invariant: readers of values of at most
 * AG__LITTLE_SIZE elements are counted off by the scan, and these are released at the end; larger values as soon as
 * their readers have run.
 */
#include "autograd/eval/lists.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/replay.h"

#include <string.h>

enum {
    INPUTS = AG__LITTLE_INPUTS,
    PLACES = AG__LIMIT(32 * 1024, 128), /* bytes of scratch memory */
    FEW = AG__LIMIT(16, 3),             /* instructions, */
    FEW_PLACES = AG__LIMIT(1024, 64)    /* and bytes of places, for which the stack has room */
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

typedef struct places {
    char *first, *end;
    char *fresh; /* from here on never taken */
    char *free;  /* a list of those that were taken; in each is the next */
    size_t each;
    bool scarce; /* there may be more values than places */
} places;

typedef struct program {
    const ag__evaluation *e;
    instruction *at, *end; /* written from the end on */
    uint32_t low;
    ag_tensor **held; /* to be released at the end, if allowed: `few`, or scratch memory */
    uint32_t held_count, held_room;
    ag_tensor *few[16];
    ag__scratch scratch;
} program;

/* ---- Writing ---- */

/* A place for the value of a node, noted in its mark; false: none is free. */
AG__ALWAYS_INLINE bool take_place(places *room, ag__node_mark *mark) {
    char *place = room->free;
    if (place) memcpy(&room->free, place, sizeof room->free);
    else if ((place = room->fresh) == room->end) return false;
    else room->fresh = place + room->each;
    mark->little |= AG__LITTLE_PLACED;
    mark->index = (uint32_t)(place - room->first);
    return true;
}

/* For older values. */
AG__ALWAYS_INLINE void leave_place(places *room, char *place) {
    memcpy(place, &room->free, sizeof room->free);
    room->free = place;
}

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

AG__ALWAYS_INLINE void write_input(program *p, places *room, ag__node_mark *marks, instruction *to, int i, ag_tensor *x,
                                   bool first) {
    ag__node_mark *mark = &marks[x->id];
    if (count_off(p, mark, x, first)) {
        to->x[i] = ag__values(x);
    } else if (mark->little & AG__LITTLE_PLACED || (mark->little & AG__LITTLE_NODE && take_place(room, mark))) {
        to->x[i] = room->first + mark->index;
    } else {
        mark->little |= AG__LITTLE_SHOWN;
        to->x[i] = x;
        to->awaits |= (uint8_t)(1 << i);
    }
}

/* Whether nothing needs the value of t, with these flags, after the evaluation: the same as ag__releasable, of an
 * elementwise operation. */
AG__ALWAYS_INLINE bool is_passing(const ag__node_mark *mark, const ag_tensor *t, unsigned flags) {
    const unsigned waits = flags & (AG__REQUIRES | AG__GRADIENT | AG__SCANNED);
    if (mark->live | t->readers || flags & (AG__KEEP | AG__COMPUTED)) return false;
    return waits != AG__REQUIRES || t->tape->in_vain >= 2;
}

/* False: out of memory, and nothing is written for t. The flags are those of reference.c's leave. */
AG__ALWAYS_INLINE bool write_little(program *p, places *room, ag__node_mark *marks, const ag__node_mark *mark,
                                    instruction *to, ag_tensor *t) {
    const unsigned flags = t->flags;
    const bool first = !(flags & AG__COMPUTED), passing = is_passing(mark, t, flags);
    const size_t size = (size_t)t->layout->size;
    const int n = t->arity;
    ag_tensor *const *x = t->input;
    to->t = t, to->awaits = 0, to->first = first, to->buffer = NULL;
    to->block = ag__kernel(t->tape, t->op, x[0]->dtype);
    to->attributes = x + n;
    to->size = (uint32_t)size;
    if (!passing || (mark->little & AG__LITTLE_SHOWN)) {
        if (!(to->buffer = ag__buffer_quickly(t->tape, size * ag__bytes(t)))) return false;
        if (passing) hold(p, t);
    }
    t->flags = (uint16_t)(flags | (first ? AG__COMPUTED : AG__KEEP));
    char *const place = mark->little & AG__LITTLE_PLACED ? room->first + mark->index : NULL;
    to->y = place ? place : to->buffer->data;
    write_input(p, room, marks, to, 0, x[0], first);
    if (n > 1) write_input(p, room, marks, to, 1, x[1], first);
    if (place && room->scarce) leave_place(room, place);
    return true;
}

static inline bool is_counted_off(const ag_tensor *x) { return x->layout->size <= AG__LITTLE_SIZE; }

/* The evaluator of t reads buffers. */
AG__NEVER_INLINE static void write_other(program *p, ag__node_mark *marks, instruction *to, ag_tensor *t) {
    const bool first = !(t->flags & AG__COMPUTED);
    to->t = t, to->y = NULL, to->buffer = NULL, to->first = first;
    if (is_counted_off(t)) hold(p, t);
    for (int i = 0, n = t->arity; i < n; i++) {
        ag_tensor *x = t->input[i];
        ag__node_mark *mark = &marks[x->id];
        if (is_counted_off(x) && !count_off(p, mark, x, first)) mark->little |= AG__LITTLE_SHOWN;
    }
}

static bool write_all(program *p, places room, uint32_t high) {
    ag__node_mark *const marks = p->e->mark;
    const ag_tape *tape = p->e->tape;
    const uint32_t low = p->low, fetched = ag__fetched_from(tape);
    bool good = true;
    instruction *to = p->end;
    for (uint32_t id = high; id-- > low;) {
        ag__node_mark *mark = &marks[id];
        if (!mark->needed) continue;
        ag_tensor *t = ag__node(tape, id);
        ag__fetch_before(t, id, fetched);
        if (!(mark->little & AG__LITTLE_NODE)) write_other(p, marks, to - 1, t);
        else if (!(good = write_little(p, &room, marks, mark, to - 1, t))) break;
        mark->needed = false;
        to--;
    }
    p->at = to;
    return good;
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
    for (uint32_t i = p->held_count; i-- > 0;) {
        ag_tensor *x = p->held[i];
        if (!x->buffer || !ag__may_release(p->e, x)) continue;
        ag__buffer_leave(x->tape, x->buffer);
        x->buffer = NULL;
    }
}

/* Nodes low … high−1 of these are marked. */
static bool run_part(const ag__evaluation *e, uint32_t low, uint32_t high, size_t each) {
    program p;
    places room;
    const uint32_t most = high - low;
    const size_t count = most < PLACES / each ? most : PLACES / each;
    p.e = e, p.low = low, p.scratch = (ag__scratch){.tape = e->tape};
    p.held = p.few, p.held_count = 0, p.held_room = sizeof p.few / sizeof *p.few;
    instruction few[FEW], *all = few;
    _Alignas(16) char few_places[FEW_PLACES];
    if (most > FEW) all = ag__scratch_array(&p.scratch, most, sizeof *all);
    room.first = count * each > FEW_PLACES ? ag__scratch_array(&p.scratch, count, each) : few_places;
    room.fresh = room.first, room.end = room.first ? room.first + count * each : NULL;
    room.free = NULL, room.each = each, room.scarce = count < most;
    p.at = p.end = all ? all + most : NULL;
    const bool written = all && room.first && write_all(&p, room, high), good = written && run_all(&p);
    unwrite(&p, !written);
    release_held(&p);
    ag__scratch_drop(&p.scratch);
    return written ? good : ag__run_reference(e, low, high);
}

bool ag__run_little(const ag__evaluation *e, uint32_t low, uint32_t high) {
    const size_t each = AG__MOST_BYTES * (size_t)(e->little_sizes ? e->little_sizes : 1);
    for (uint32_t next; low < high; low = next) {
        next = high - low < AG__TOGETHER ? high : low + AG__TOGETHER;
        if (run_part(e, low, next, each)) continue;
        ag__abandon(e, next, high);
        return false;
    }
    return true;
}
