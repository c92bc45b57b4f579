/* tape -- the tape, and the interface of this folder
 *
 * A tape is three things: a list of nodes in the order of recording (every input is older than its output), a pool of
 * reference-counted buffers for their values, and one sticky error. A node has its value exactly while `buffer` is set;
 * values are immutable, so a node without one can always be (re)computed from its inputs.
 *
 * The files of this folder, in the order in which they use each other, each only those before it: dtype, format, utf8,
 * processors, threads; error, budget, memory, placing, heap, buffer, loan, layout; node, tensor, leaf, variable; mark,
 * scope, state, settings, record, assign. */
#ifndef AG_TAPE_H
#define AG_TAPE_H

#include "autograd/tape/limits.h"
#include "autograd/tape/node.h"
#include "autograd/tape/op.h"

#include <stdatomic.h>

/* ---- The tape ---- */

enum {
    AG__CLASSES = 21,
    AG__HEAP_CLASSES = 152,
    AG__ERROR_SIZE = 640,
    AG__RECENT = AG__LIMIT(16, 2),
    AG__LATEST = AG__LIMIT(16, 2),
    AG__FIRST_SLAB = 8 * 1024
};

typedef struct ag__slab {
    struct ag__slab *next;
    size_t capacity; /* bytes that follow this header */
    size_t used;
    size_t before; /* of an arena's: bytes used in the slabs before it */
} ag__slab;

typedef struct ag__span ag__span;

/* Memory for values that are not small: heap.c. */
typedef struct ag__heap {
    struct ag__block *free[AG__HEAP_CLASSES]; /* lists of free blocks */
    ag__span *spans;                          /* what they are cut from */
    size_t held, used;                        /* bytes of the spans, and of blocks in use */
    size_t most;                              /* in use at once, since the last rewind */
    size_t next, usual;                       /* bytes of the next span; of the usual one; 0: as few as are needed */
    bool grew;                                /* there is a new span, since the last rewind */
    bool shrunk;                              /* spans have been replaced by a smaller one */
    struct ag__rounds *rounds;                /* what is requested between two rewinds; NULL: not noted yet */
    uint32_t first;                           /* number of the first request of this round */
    int aside;                                /* requests that are no part of a round, while it is not 0 */
} ag__heap;

/* A label, in the arena before its text: so that a rewind gives an older tensor its former label back. */
typedef struct ag__label {
    struct ag__label *before;
    ag_tensor *tensor;
    const char *former;
    char text[];
} ag__label;

/* A contiguous copy that ag_data made of a view, at the start of its own buffer. */
typedef struct ag__packed {
    struct ag__packed *next;
    const ag_tensor *tensor;
    ag__buffer *buffer;
} ag__packed;

typedef struct ag__position { /* where a tape stands: what a mark notes */
    uint64_t serial;
    uint32_t count;
    ag__slab *slab;
    size_t used;
    ag__label *labels;
    struct ag__scope *scope;
    uint32_t vain_scopes;
} ag__position;

/* An open scope, in the arena before its prefix. What is refused is open in vain: its end closes nothing. */
typedef struct ag__scope {
    struct ag__scope *before;
    ag__position after; /* where the tape stood once it was open */
    const char *file;
    int line;
    uint32_t vain_before; /* opened in vain within the one before, and still open */
    size_t bytes;
    char prefix[]; /* of the labels given inside: "encoder.0.", not terminated */
} ag__scope;

typedef struct ag__interval { /* nodes from … to−1 */
    uint32_t from, to;
} ag__interval;

typedef struct ag__recent { /* a layout, and how many nodes there were when it was made */
    const ag__layout *layout;
    uint32_t count;
} ag__recent;

/* The user's code that a tape is running. From AG__NOTATION on the tape is closed: it can only be read. */
typedef enum ag__callback {
    AG__OUTSIDE,
    AG__INFER,
    AG__VJP,
    AG__FUNCTION, /* that is being checked */
    AG__EVAL,     /* or a kernel: an evaluation is under way */
    AG__NOTATION,
    AG__TRACE,
    AG__SAMPLE, /* a dataset's or an augmentation's */
    AG__ALLOCATOR
} ag__callback;

typedef struct ag__within {
    ag__callback callback;
    const char *name;          /* of the operation, or of the other callback */
    const ag__position *floor; /* nodes before it must stay */
} ag__within;

/* The last thing that was refused: by a limit, or because the allocator has not aligned it. */
typedef enum ag__refusal { AG__NOTHING, AG__UNALIGNED, AG__BYTES, AG__NODES } ag__refusal;

#define AG__NO_DEADLINE INT64_MAX

/* How far the vjps of a concatenation have gone along its inputs, which are asked for one after the other. */
typedef struct ag__joined {
    const ag_tensor *of; /* NULL: of none */
    int inputs;          /* that have been passed, */
    int64_t extent;      /* and theirs along the axis */
} ag__joined;

struct ag_tape {
    ag_allocator allocator;
    ag_memory memory;

    int64_t most_bytes, deadline; /* INT64_MAX: no limit; nanoseconds of the monotonic clock */
    double seconds;               /* from the setting of the deadline to it */
    uint32_t most_nodes;
    ag__refusal refused;
    _Atomic bool interrupted; /* by a signal handler or by another thread */

    ag__segment **segments; /* node i is always segments[i / AG__SEGMENT]->node[i % AG__SEGMENT] */
    ag__segment *few_segments[8];
    uint32_t segment_count, segment_room;
    ag_tensor *next, *next_end; /* the slot of the next node, and the end of those in its segment; equal: no slot */
    uint32_t count;
    uint32_t unplaced;           /* nodes before this one have a location, */
    ag__interval placed;         /* and these have one */
    uint32_t vacant;             /* of these, released with their slots kept vacant */
    uint32_t unused, unused_end; /* many of which are here, none of them used: searches pass over them */
    ag__slab *first_slab, *slab; /* arena; slabs after `slab` are empty and wait */

    ag__buffer *free_list[AG__CLASSES]; /* of small buffers; */
    ag__buffer *latest[AG__LATEST];     /* those that came there last, which may be in use again, */
    uint32_t latest_at;                 /* the oldest of them; */
    ag__slab *slabs;                    /* what they are cut from */
    ag__heap heap;                      /* the others */
    uint16_t gap;                       /* poisoned bytes behind each buffer */
    struct ag__loan *loans;

    ag__recent recent[AG__RECENT];
    uint32_t last_recent; /* the largest count among them */
    ag__position *marks;
    uint32_t mark_count, mark_room;
    uint64_t next_serial;

    ag_tensor *variables;      /* newest first */
    uint32_t assignments;      /* pending */
    ag__node_mark *node_marks; /* an evaluation's, by a node's id; all zero between evaluations */
    uint32_t node_mark_room;
    uint32_t deferred; /* their inputs recorded before this node were left to a later evaluation */
    ag__packed *packed;
    ag__label *labels; /* newest first */
    ag__scope *scope;  /* the innermost that is open; NULL: none */
    uint32_t vain_scopes;

    /* In eager mode, called after recording t, and before assigning it; false after an error. */
    bool (*on_record)(ag_tape *tape, ag_tensor *t);

    ag_tensor *part;      /* of a model, that what is recorded belongs to; or NULL */
    ag__about_node fresh; /* what is said of a new node: its part and, within a vjp, its location */
    uint32_t off_since;   /* nodes from here on were recorded with recording off; UINT32_MAX: it is on */
    uint64_t seed, draws;
    int threads; /* 0: the processors, a number that is asked for when it first matters */
    ag_evaluator evaluator;
    struct ag__plans *plans;             /* plans.c's; NULL: none yet */
    struct ag__profile *profile;         /* the last one; NULL: none */
    const struct ag__observer *observer; /* that keeps it */
    struct ag__ahead *aheads;            /* ahead.c's: what threads make for this tape */
    bool profiling;                      /* it is running: evaluations are observed */
    uint8_t in_vain; /* rewinds in a row before which values were kept for a gradient that did not come; at most 2 */
    bool waited, scanned; /* since the last rewind: values were kept for a gradient; there was a backward scan */
    bool recording, in_gradient, sandbox; /* sandbox: assignments are not carried out */
    bool evaluating;                      /* an evaluation is under way */
    bool trespassed;                      /* used while closed: that error stays */
    bool weak;                            /* the running vjp is not below a choice: see grad.c */
    uint32_t scan_from;                   /* nodes from here on are the running scan's, not the user's; 0: none runs */
    ag__joined joined;
    bool compile;                  /* elementwise operations may become machine code */
    bool avx2;                     /* kernels that need it run; without, their traces are replayed */
    bool keeps_vacant;             /* released slots are not reused soon */
    const struct ag__isa *isa;     /* the instruction set of machine code; NULL: none is made */
    struct ag__programs *programs; /* compile.c's; NULL: none yet */
    struct ag__replays *replays;   /* replay.c's; NULL: none yet, */
    bool shares_replays;           /* and whether those of the process may be used */
    ag__within inside;

    ag_status status;
    bool located;         /* the error names the caller's line */
    _Atomic bool failing; /* a thread of the evaluation under way has raised the error */
    char error[AG__ERROR_SIZE];
    ag_tensor *nil; /* what a failed call returns */
};

/* A tape and what nearly every tape soon needs are one block: with small tapes much time would go to the allocator.
 * Between the parts are gaps, poisoned as those behind buffers. A user's allocator may have the wrong alignment, which
 * the tape lives to report: so values begin with the first whole line. */
typedef struct ag__home {
    ag_tape tape;
    ag_tensor nil;
    ag__node_mark mark[AG__SEGMENT]; /* up to here all begins as zero */
    ag__segment segment;
    _Alignas(8) char gap_before_arena[64], arena[AG__FIRST_SLAB], gap_before_values[64], values[AG__FIRST_SLAB + 64];
} ag__home;

/* Whether p lies there, so that it is not freed by itself. */
static inline bool ag__is_home(const ag_tape *tape, const void *p) {
    return (uintptr_t)p - (uintptr_t)tape < sizeof(ag__home);
}

static inline void ag__own_node_marks(ag_tape *tape) {
    tape->node_marks = ((ag__home *)tape)->mark, tape->node_mark_room = AG__SEGMENT;
}

/* Whether a backward scan may still come that needs the value of t; and whether one is expected. It is not after two
 * rewinds without one, as in a line search; nor for a view of what a scan has passed without it, as below
 * ag_stop_gradient: it would keep the memory of all that it shows a part of. */
static inline bool ag__may_await_gradient(const ag_tensor *t) {
    if (!(t->flags & AG__REQUIRES) || t->flags & (AG__GRADIENT | AG__SCANNED)) return false;
    return t->op->kind != AG_KIND_VIEW || t->arity == 0 || !(t->input[t->arity - 1]->flags & AG__SCANNED);
}
static inline bool ag__awaits_gradient(const ag_tensor *t) { return ag__may_await_gradient(t) && t->tape->in_vain < 2; }

static inline ag_tensor *ag__node(const ag_tape *tape, uint32_t id) {
    return &tape->segments[id / AG__SEGMENT]->node[id % AG__SEGMENT];
}

static inline ag_tensor *ag__part_node(const ag_tensor *t) {
    return ag__about(t)->part == AG__NO_PART ? NULL : ag__node(t->tape, ag__about(t)->part);
}

/* NULL: no part. */
static inline void ag__set_part(ag_tape *tape, ag_tensor *part) {
    tape->part = part;
    tape->fresh.part = part ? part->id : AG__NO_PART;
}

/* Call the user's code between these two. ag__return restores the state that ag__enter returns. */
static inline ag__within ag__enter(ag_tape *tape, ag__callback callback, const char *name, const ag__position *floor) {
    ag__within former = tape->inside;
    tape->inside = (ag__within){callback, name, floor};
    return former;
}

static inline void ag__return(ag_tape *tape, ag__within former) { tape->inside = former; }

/* Whether a vjp is running that is not below a choice, so that a plain product serves. */
static inline bool ag__is_weak(const ag_tensor *g) { return g && g->tape && g->tape->weak; }

/* budget.c: whether the tape was interrupted, or its time is over. Then ag__stop, which returns false, raises the error
 * of computing t, or of something else if that is NULL. */
int64_t ag__now(void);                            /* in nanoseconds, by a clock that is never set */
void ag__set_time(ag_tape *tape, double seconds); /* from now on; 0: without end */
bool ag__is_over(const ag_tape *tape);
AG__RARE bool ag__stop(ag_tape *tape, const ag_tensor *t);
static inline bool ag__must_stop(const ag_tape *tape) {
    return atomic_load_explicit(&tape->interrupted, memory_order_relaxed) ||
           (tape->deadline != AG__NO_DEADLINE && ag__is_over(tape));
}
/* Whether an error passes, so that what failed may succeed later. */
static inline bool ag__is_passing(ag_status status) { return status == AG_ERR_MEMORY || status == AG_ERR_LIMIT; }

/* memory.c: every byte of the library comes through here */
extern const ag_allocator ag__default_allocator;
void *ag__resize(ag_tape *tape, void *p, size_t old_bytes, size_t new_bytes); /* NULL on failure; raises nothing */
/* For libraries that free without saying a size, which is before the memory. */
void *ag__allocate_sized(ag_tape *tape, size_t bytes);
void ag__free_sized(ag_tape *tape, void *p);
/* Memory that may outlast the tape, which does not count it; the allocator frees it. */
void *ag__allocate_apart(ag_tape *tape, size_t bytes);
void ag__arena_begin(ag_tape *tape, void *slab);
void *ag__arena(ag_tape *tape, size_t bytes); /* until the rewind; NULL on failure */
void ag__arena_release(ag_tape *tape, ag__slab *slab, size_t used);
void ag__arena_trim(ag_tape *tape);
int64_t ag__arena_bytes(const ag_tape *tape); /* in use, the list of nodes included */
AG__RARE void ag__poison_memory(const void *p, size_t bytes);
AG__RARE void ag__unpoison_memory(const void *p, size_t bytes);
uint16_t ag__gap(void); /* poisoned bytes behind a buffer; 0 if no tool would notice, and nothing is poisoned */

/* Poisoned memory must not be used: AddressSanitizer and valgrind report it. */
static inline void ag__poison(const ag_tape *tape, const void *p, size_t bytes) {
    if (tape->gap) ag__poison_memory(p, bytes);
}
static inline void ag__unpoison(const ag_tape *tape, const void *p, size_t bytes) {
    if (tape->gap) ag__unpoison_memory(p, bytes);
}

#ifdef __SANITIZE_ADDRESS__ /* so that short ways are seen by it too; valgrind sees the long ones */
enum { AG__SANITIZED = true };
#else
enum { AG__SANITIZED = false };
#endif

/* Memory of the arena for the inputs of the next node, if both are there without asking for more; else NULL. */
AG__ALWAYS_INLINE void *ag__arena_rest(ag_tape *tape, size_t bytes) {
    ag__slab *c = tape->slab;
    bytes = (bytes + 7) & ~(size_t)7;
    if (!c || (tape->gap && !AG__SANITIZED) || c->capacity - c->used < bytes || tape->next == tape->next_end)
        return NULL;
    char *p = (char *)(c + 1) + c->used;
    c->used += bytes;
    if (AG__SANITIZED) ag__unpoison_memory(p, bytes);
    return p;
}

/* heap.c: blocks for the data of buffers that are not small, each one with its buffer's header */
ag__buffer *ag__heap_new(ag_tape *tape, size_t bytes); /* one reference; NULL on failure */
ag__buffer *ag__heap_new_apart(ag_tape *tape, size_t bytes);
size_t ag__heap_bytes(const ag__buffer *buffer); /* of its block */
void ag__heap_drop(ag_tape *tape, ag__buffer *buffer);
void ag__heap_trim(ag_tape *tape);
void ag__heap_settle(ag_tape *tape); /* at a rewind: what the next steps need is known */
void ag__heap_free(ag_tape *tape);
/* The span of a block, and its users: when the last one leaves, the memory is freed. */
ag__span *ag__heap_span(const ag__buffer *buffer);
void ag__span_use(ag__span *span);
void ag__span_leave(ag__span *span, const ag_allocator *a);

/* buffer.c */
static inline void ag__count_live(ag_tape *tape, int64_t bytes) {
    ag_memory *m = &tape->memory;
    m->live += bytes;
    if (m->live > m->peak_live) m->peak_live = m->live;
}
ag__buffer *ag__buffer_new(ag_tape *tape, size_t bytes);         /* one reference; NULL on failure */
ag__buffer *ag__buffer_new_apart(ag_tape *tape, size_t bytes);   /* in a span of its own, however few */
ag__buffer *ag__buffer_new_lasting(ag_tape *tape, size_t bytes); /* for the value of a variable */
ag__buffer *ag__buffer_wrap(ag_tape *tape, const void *data);
/* The owner of memory that a buffer has adopted, called with the last reference. A buffer has none at first, so that
 * the caller still has the memory if something else fails. */
typedef struct ag__owner {
    void (*release)(void *context);
    void *context;
} ag__owner;
ag__buffer *ag__buffer_adopt(ag_tape *tape, const void *data);
void ag__buffer_set_owner(ag__buffer *buffer, ag__owner owner);
ag__owner ag__buffer_owner(const ag__buffer *buffer);    /* all NULL: it has adopted none */
ag__span *ag__buffer_span(const ag__buffer *buffer);     /* that its data is in; NULL: in none */
void ag__buffer_drop(ag_tape *tape, ag__buffer *buffer); /* NULL is ignored */
void ag__buffers_begin(ag_tape *tape, void *slab);
void ag__buffers_free(ag_tape *tape);

/* The same for the smallest blocks, those of numbers and of a few of them, most of which wait for their next use. */
enum { AG__SMALL_HEADER = 32, AG__SMALLEST = 64 };

AG__ALWAYS_INLINE void ag__fetch(const void *p) { /* into the cache; NULL is ignored */
#ifdef __GNUC__
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

AG__ALWAYS_INLINE ag__buffer *ag__buffer_quickly(ag_tape *tape, size_t bytes) {
    ag__buffer *b = tape->free_list[0];
    if (!b || bytes > AG__SMALLEST - AG__SMALL_HEADER || tape->gap) return ag__buffer_new(tape, bytes);
    tape->free_list[0] = b->next;
    ag__fetch(b->data);
    *b = (ag__buffer){.data = (char *)b + AG__SMALL_HEADER, .refs = 1};
    ag__count_live(tape, AG__SMALLEST);
    return b;
}

/* Into the free list. `data` is the block that came there AG__LATEST blocks earlier, which is fetched when this one is
 * taken: where they are taken one soon after the other, the next one would come too late. */
AG__ALWAYS_INLINE void ag__buffer_put(ag_tape *tape, ag__buffer *b, unsigned c) {
    ag__buffer **oldest = &tape->latest[tape->latest_at++ % AG__LATEST];
    b->data = *oldest;
    *oldest = b;
    b->next = tape->free_list[c];
    tape->free_list[c] = b;
}

AG__ALWAYS_INLINE void ag__buffer_leave(ag_tape *tape, ag__buffer *b) {
    if (!b || b->refs != 1 || b->size_class || b->adopted || tape->gap) {
        ag__buffer_drop(tape, b);
        return;
    }
    b->refs = 0;
    ag__buffer_put(tape, b, 0);
    tape->memory.live -= AG__SMALLEST;
}

/* loan.c: values that others use, perhaps in another thread and after the tape. A tape has a reference to each buffer
 * that it has lent, and drops it when it looks and all who had it have returned it. */
typedef struct ag__loan ag__loan;
ag__loan *ag__lend(ag_tape *tape, ag__buffer *buffer); /* NULL, out of memory; not that of small blocks or wrapped */
bool ag__lendable(const ag__buffer *buffer);
void ag__return_loan(ag__loan *loan); /* once for each ag__lend, by any thread */
void ag__collect_loans(ag_tape *tape);
void ag__leave_loans(ag_tape *tape); /* the tape ends: the last to return a loan frees its memory */

/* layout.c */
bool ag__shape_valid(const ag_shape *shape, int64_t *size, const char **why);
/* stride NULL: row-major */
const ag__layout *ag__layout_known(const ag_tape *tape, const ag_shape *shape); /* NULL: it is not among the last */
const ag__layout *ag__layout_new(ag_tape *tape, const ag_shape *shape, const int64_t *stride);
const ag__layout *ag__layout_add(ag_tape *tape, const ag_shape *shape); /* row-major, and not among the last */
void ag__layouts_forget(ag_tape *tape, uint32_t count);                 /* those made with this many nodes, or more */
bool ag__layout_is(const ag__layout *l, const ag_shape *shape);
bool ag__extents_equal(const ag__layout *a, const ag__layout *b);
static inline bool ag__layouts_equal(const ag__layout *a, const ag__layout *b) { /* in extents */
    return a == b || ag__extents_equal(a, b);
}
bool ag__layouts_same(const ag__layout *a, const ag__layout *b); /* and strides */
ag_shape ag__layout_shape(const ag__layout *l);
/* A layout as two axes, outer and inner, each with one stride; false if that is impossible. */
bool ag__two_axes(const ag__layout *l, int64_t extent[2], int64_t stride[2]);

/* The strides of a layout as axes of these extents, 0 of extent 1; false if that is impossible. */
bool ag__three_axes(const ag__layout *l, const int64_t extent[3], int64_t stride[3]);

/* error.c: every failure passes through its raise() */
ag_tensor *ag__nil_of(ag_tape *tape); /* tape NULL: the nil without tape */
void ag__locate(ag_tape *tape, const char *file, int line);
const char *ag__here_file(int *line); /* take the location that ag_here noted; NULL without one */
ag_status ag__leave(ag_tape *tape, const char *file, int line); /* the tape's status, its error located */
/* Whether the call `name` may proceed: the tape is not in error, nor closed, which raises an error. */
bool ag__in_order(ag_tape *tape, const char *name);
/* True, after an error, if the tape runs code of this kind or of a later one, which still needs the nodes. */
bool ag__refused_inside(ag_tape *tape, const char *name, ag__callback from);
/* The same as ag__enter and ag__return, for code that can only read the tape. Meanwhile the tape is in error. */
typedef struct ag__closed {
    ag__within inside;
    ag_status status;
} ag__closed;
ag__closed ag__close(ag_tape *tape, ag__callback callback, const char *name);
void ag__reopen(ag_tape *tape, ag__closed former);
bool ag__usable(const char *what, const ag_tensor *x); /* not NULL, stale or nil, tape not in error; else raises */

/* node.c */
/* Makes a slot for the next node if the last segment is full; false: out of memory, at a limit, or after an error. */
bool ag__slot(ag_tape *tape);
void ag__find_end(ag_tape *tape); /* after `count` or a limit has changed: the slot of the next node */
ag_tensor *ag__record(const ag_op *op, ag_tape *tape, ag_dtype dtype, const ag__layout *layout, int n,
                      ag_tensor *const x[], const void *attributes, size_t bytes); /* no checks; unevaluated */
void ag__forgo(ag_tensor *t); /* t is hardly going to be computed: values need not be kept for it */
void ag__nodes_release(ag_tape *tape, uint32_t count); /* those from `count` on */
bool ag__node_marks_reach(ag_tape *tape);              /* whether there is one for each node; raises the error */
void ag__node_marks_free(ag_tape *tape);
void ag__nodes_begin(ag_tape *tape, ag__segment *first);
void ag__nodes_trim(ag_tape *tape); /* frees the memory beyond the last node */
void ag__nodes_free(ag_tape *tape); /* that has none any more */

/* The next node, which has a slot; its inputs and attributes are to be written to `input`. */
AG__ALWAYS_INLINE ag_tensor *ag__append(const ag_op *op, ag_tape *tape, ag_dtype dtype, const ag__layout *layout, int n,
                                        size_t bytes, ag_tensor **input) {
    ag_tensor *t = tape->next;
    const uint32_t id = tape->count++;
    t->tape = tape, t->op = op, t->layout = layout; /* one by one: clearing it first takes longer than the rest */
    t->buffer = NULL, t->offset = 0, t->input = input;
    t->id = id, t->readers = 0;
    t->arity = (uint16_t)n;
    t->attribute_bytes = (uint16_t)bytes;
    t->flags = 0;
    t->dtype = (uint8_t)dtype;
    t->plain = false;
    *ag__about(t) = tape->fresh;
    tape->next++;
    return t;
}

enum { AG__FETCHED = 40 }; /* nodes ahead */

/* For scans in reverse over more nodes than the caches hold, which wait for memory more than for anything else: fetch
 * what the nodes before this one are computed from. (Not in a function of its own: gcc takes one that does nothing but
 * fetch for one without effect, and leaves its calls out.) */
AG__ALWAYS_INLINE void ag__fetch_before(const ag_tensor *t, uint32_t id, uint32_t from) {
    enum { SOON = 16, LATER = AG__FETCHED };
    if (id < from) return;
    const bool apart = id % AG__SEGMENT < LATER; /* in another segment than t, perhaps */
    const ag_tensor *later = apart ? ag__node(t->tape, id - LATER) : t - LATER;
    const ag_tensor *soon = apart ? ag__node(t->tape, id - SOON) : t - SOON;
    ag__fetch(later);
    if (soon->arity == 0) return;
    ag__fetch(soon->input[0]);
    ag__fetch(soon->input[soon->arity - 1]);
}

/* The first node from which on that is worth while. */
static inline uint32_t ag__fetched_from(const ag_tape *tape) {
    enum { MANY = AG__LIMIT(1 << 14, 100) };
    return tape->count < MANY ? UINT32_MAX : AG__FETCHED;
}

/* Whether what the running backward scan records may be made of the inputs of t instead of t. The user may hold any
 * other node, and differentiate by it later. */
static inline bool ag__is_unheld(const ag_tensor *t) { return t->id >= t->tape->scan_from; }

/* The cotangent g, as the running scan's result: a view of what may be looked through, which cannot be; else as
 * ag__unchanged, because it was given. Nil after an error. */
ag_tensor *ag__as_result(ag_tensor *g);

/* The flags of a node, by those of its inputs together. */
AG__ALWAYS_INLINE uint16_t ag__flags_of(const ag_tape *tape, const ag_op *op, ag_dtype dtype, unsigned inputs) {
    unsigned flags = tape->in_gradient ? AG__GRADIENT : 0;
    if (!tape->recording) flags |= AG__DETACHED;
    else if (inputs & AG__REQUIRES && op->vjp && op->vjp != ag_zero_vjp && ag__is_real((int)dtype))
        flags |= AG__REQUIRES;
    return (uint16_t)flags;
}

/* record.c: ag_apply for the library's elementwise operations, without infer, of one input, of two, and of one and a
 * number, their only attribute */
ag_tensor *ag__apply1(const ag_op *op, ag_tensor *x);
ag_tensor *ag__apply2(const ag_op *op, ag_tensor *a, ag_tensor *b);
ag_tensor *ag__apply1_s(const ag_op *op, ag_tensor *x, double s);
/* A view of x, which is usable, from its element number `from` on, which is not checked, as the layout is not; NULL:
 * memory for that was out. */
ag_tensor *ag__record_view(const ag_op *op, ag_tensor *x, const ag__layout *layout, int64_t from,
                           const void *attributes, size_t bytes);
bool ag__unchanged_infer(ag_infer *r); /* of a view of everything */
/* x as a result: it, the version of a variable, or a view that is constant later; nil after an error. */
ag_tensor *ag__unchanged(ag_tensor *x);
/* The shape to which x[…] are broadcast; false if two extents clash, on this axis, counted from the end. */
bool ag__common_shape(int n, ag_tensor *const x[], ag_shape *shape, int *clash, int64_t extents[2]);
/* The same for the constructor `name`, and whether a result can have it: if not, *nil is set, after an error. */
bool ag__share_shape(const char *name, int n, ag_tensor *const x[], ag_shape *shape, ag_tensor **nil);

/* leaf.c; `name`: the call, for errors */
extern const ag_op ag__op_constant;
/* A copy of `size` elements at data; NULL after an error. */
ag__buffer *ag__buffer_with(ag_tape *tape, const char *name, ag_dtype dtype, int64_t size, const void *data,
                            bool lasts);
/* A constant or a variable with this value, whose reference it takes over. A constant's bools are 0 or 1. */
ag_tensor *ag__constant_with(ag_tape *tape, ag_dtype dtype, const ag_shape *shape, ag__buffer *value);
ag_tensor *ag__variable_with(ag_tape *tape, ag_dtype dtype, const ag_shape *shape, ag__buffer *value);
/* A constant of these strides (NULL: row-major), whose memory `owner` releases; after an error it is the caller's. */
ag_tensor *ag__adopt(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, const int64_t *stride,
                     const void *data, ag__owner owner);
bool ag__parameter_dtype(const char *name, ag_tape *tape, ag_dtype dtype); /* whether parameters have it; or an error */
ag_tensor *ag__as_parameter(ag_tensor *v);                                 /* the variable, or nil, made a parameter */

/* variable.c */
ag_tensor *ag__current(ag_tensor *x); /* x, or the version of a variable; NULL on failure */
/* Assign x to v, replacing a pending assignment, joined with `other` and its ring, or alone if NULL; carried out
 * once x is computed. */
void ag__set_next_value(ag_tensor *v, ag_tensor *x, ag_tensor *other);
void ag__set_value(ag_tensor *v, ag__buffer *value); /* now; it takes over the reference */
ag_tensor *ag__next_value(const ag_tensor *x);       /* pending for the variable with version x; NULL: none */
void ag__commit_assignments(ag_tape *tape);          /* carries out the rings whose values have all been computed */
void ag__forget_assignment(ag_tensor *v);            /* of v alone */
void ag__give_up_assignment(ag_tensor *v);           /* and of its ring: their values are lost */

/* The version recorded under the present setting of ag_tape_set_recording (if false, since it was set); NULL if
 * there is none yet. */
static inline ag_tensor *ag__ready_version(const ag_tensor *v) {
    ag_tensor *t = ag__variable_of(v)->version;
    if (!t || !(t->flags & AG__DETACHED) != v->tape->recording) return NULL;
    return v->tape->recording || t->id >= v->tape->off_since ? t : NULL;
}

/* assign.c: whether v is a variable that can be given a value now; else an error of the call `name` is raised */
bool ag__is_changeable(const char *name, ag_tensor *v);

/* mark.c */
ag__position ag__position_now(const ag_tape *tape);
bool ag__is_beyond(const ag__position *mark, const ag__position *position); /* later than that */
/* Release what was recorded since; pending assignments are not carried out, and scopes opened since are closed. */
void ag__truncate(ag_tape *tape, const ag__position *position);

/* scope.c: true, after an error of the call `name`, if a scope was opened since and is still open */
bool ag__is_scope_open(ag_tape *tape, const char *name, const ag__position *position);

/* state.c: the variables of a part that have this flag; an empty list with x NULL after an error of the call `call` */
ag_list ag__list_variables(ag_tape *tape, const char *call, const char *part, uint16_t flag);

/* tensor.c: ag_label without the prefix of the open scopes */
ag_tensor *ag__label_whole(ag_tensor *x, const char *label);

/* ahead.c */
void ag__aheads_end(ag_tape *tape); /* no thread works for the tape any more, and no queue has memory of it */

/* processors.c */
struct ag__environment;
enum { AG__MOST_THREADS = 1024 };
int ag__wanted_threads(const struct ag__environment *e); /* 0: as many as there are processors */
int ag__count_processors(void);                          /* that this process may use, now; 1 without threads */
int ag__processors(void);                                /* the same, when they were last counted */
int ag__threads_of(ag_tape *tape);                       /* the most that evaluate it */
#if AG_HAVE_THREADS
int ag__this_processor(void);            /* the number of the one that runs this thread; negative: unknown */
bool ag__leave_processor(int processor); /* this thread goes on elsewhere; false: nowhere else may it run */
#endif

/* threads.c */
bool ag__sharing_pays(void); /* whether loops that are shared among threads have been quicker than without, of late */
int ag__threads_now(ag_tape *tape); /* as ag__threads_of, but 1 while it does not pay */
/* The processors that the quota of the control groups in this list, found below `root`, allows. */
int ag__cgroup_quota(const char *groups, const char *root);

#endif
