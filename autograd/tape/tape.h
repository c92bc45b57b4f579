/* tape -- nodes, buffers, layouts, errors: what every file of the engine knows
 *
 * A tape is three things: a list of nodes in the order of recording (every input is older than its output), a pool
 * of reference-counted buffers for their values, and one sticky error. A node has its value exactly while `buffer` is
 * set; values are immutable, so a node without one can always be computed (again) from its inputs. */
#ifndef AG_TAPE_H
#define AG_TAPE_H

#define AG_NO_LOCATION
#include "autograd/autograd.h"
#include "autograd/tape/op.h"
#include "autograd/tape/limits.h"

/* ---- Shapes ---- */

/* Extents and strides of a node; immutable, and shared between nodes of one shape. stride follows extent in memory. */
typedef struct ag__layout {
    int64_t size;
    uint64_t hash; /* of all that follows */
    int rank;
    bool contiguous; /* row-major, without gaps */
    uint32_t number; /* scratch of plans.c: in the list of a chunk's layouts */
    int64_t extent[];
} ag__layout;

static inline const int64_t *ag__strides(const ag__layout *l) { return l->extent + l->rank; }

/* ---- Values ---- */

/* A block of memory that one or more nodes show. Free ones wait in their class's list. */
typedef struct ag__buffer {
    void *data;              /* behind this header, or the user's */
    struct ag__buffer *next; /* in a free list */
    uint32_t refs;
    uint16_t size_class;
    uint16_t shift; /* of the data, so that blocks do not all begin at the same place of a page */
} ag__buffer;

/* ---- Nodes ---- */

enum {
    AG__NIL = 1 << 0,
    AG__STALE = 1 << 1, /* rewound: the handle must not be used */
    AG__VARIABLE = 1 << 2,
    AG__PARAMETER = 1 << 3,
    AG__LEAF = 1 << 4,      /* has its value from outside and cannot be computed again */
    AG__REQUIRES = 1 << 5,  /* depends on a parameter through differentiable operations */
    AG__DETACHED = 1 << 6,  /* recorded while recording was off: constant to gradients */
    AG__GRADIENT = 1 << 7,  /* recorded by a backward scan */
    AG__SCANNED = 1 << 8,   /* a backward scan has passed it: nobody waits for its value but recorded readers */
    AG__KEEP = 1 << 9,      /* looked at or pinned: the value stays */
    AG__COMPUTED = 1 << 10, /* has been computed once, and has left its inputs' `readers` */
    AG__NEEDED = 1 << 11,   /* scratch of one evaluation */
    AG__ACTIVE = 1 << 12,   /* scratch of one backward scan */
    AG__READ = 1 << 13,     /* the version of a variable: inputs are the variable and, if pending, the assigned value */
    AG__PACKED = 1 << 14,   /* there is a contiguous copy of it in the tape's list of those */
    AG__LATER = 1 << 15     /* scratch of one evaluation: wanted only by what is put off */
};

struct ag_tensor {
    ag_tape *tape;
    const ag_op *op;
    const ag__layout *layout;
    ag__buffer *buffer; /* NULL: not computed, or released */
    int64_t offset;     /* of the first element in the buffer, in elements */
    const char *label;
    const char *file;
    ag_tensor **input; /* in the arena; then the attributes */
    int line;
    uint32_t id;      /* its number: how many nodes were recorded before it */
    uint32_t readers; /* recorded nodes that use this one and were never computed */
    uint32_t live;    /* of them and others, those still to run in the evaluation under way */
    uint32_t index;   /* scratch of one evaluation: in a plan */
    uint16_t arity;
    uint16_t attribute_bytes;
    uint16_t flags;
    uint8_t dtype;
};

/* What a variable has beside its node; its attributes. A use of a variable is recorded as a use of its version: a
 * `read` node that holds the value of that moment, so that assigning cannot change what is recorded. */
typedef struct ag__variable {
    ag_tensor *next;     /* variables of the tape, newest first */
    ag_tensor *version;  /* the read node of the present value, once somebody has used it */
    ag_tensor *pending;  /* an assigned value that is not computed yet */
    ag_tensor *gradient; /* what ag_backward found */
    ag_tensor *joined;   /* the next in a ring of variables whose assignments are carried out together; */
    ag_tensor *joiner;   /* the one before; itself, if it is alone */
    int64_t values;      /* that it has been given, but for those that were lost */
    int64_t waiting;     /* of these, since one was carried out */
    bool asked;          /* scratch of one evaluation: what it is joined with is wanted */
} ag__variable;

static inline void *ag__attributes(const ag_tensor *t) { return (void *)(t->input + t->arity); }

/* Bytes an element; the dtype is known to be one. */
static inline size_t ag__bytes(const ag_tensor *t) { return t->dtype == AG_BOOL ? 1 : t->dtype == AG_F32 ? 4 : 8; }

/* Address of the first element of a computed node. */
static inline void *ag__values(const ag_tensor *t) {
    return (char *)t->buffer->data + t->offset * (int64_t)ag__bytes(t);
}

/* How many of its inputs a gradient may flow to: not to the value that a variable was assigned. */
static inline int ag__differentiable_inputs(const ag_tensor *t) { return t->flags & AG__READ ? 1 : t->arity; }

static inline ag__variable *ag__variable_of(const ag_tensor *t) { return ag__attributes(t); }

/* ---- The tape ---- */

enum { AG__CLASSES = 560, AG__ERROR_SIZE = 640, AG__RECENT = 16 };

typedef struct ag__slab {
    struct ag__slab *next;
    size_t capacity; /* bytes that follow this header */
    size_t used;
    size_t before; /* of an arena's: bytes used in the slabs before it */
} ag__slab;

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
} ag__position;

typedef struct ag__recent { /* a layout, and how many nodes there were when it was made */
    const ag__layout *layout;
    uint32_t count;
} ag__recent;

/* The user's code that a tape is running. From AG__NOTATION on the tape is closed: it can only be looked at. */
typedef enum ag__callback {
    AG__OUTSIDE,
    AG__INFER,
    AG__VJP,
    AG__FUNCTION, /* that is being checked */
    AG__EVAL,     /* or a kernel: an evaluation is under way */
    AG__NOTATION,
    AG__ALLOCATOR
} ag__callback;

typedef struct ag__within {
    ag__callback callback;
    const char *name;          /* of the operation, or of what is called in its stead */
    const ag__position *floor; /* what was there then must stay */
} ag__within;

struct ag_tape {
    ag_allocator allocator;
    ag_memory memory;

    ag_tensor **segments; /* node i is segments[i / AG__SEGMENT][i % AG__SEGMENT], whatever is rewound and recorded */
    uint32_t segment_count, segment_room;
    ag_tensor *next, *next_end; /* the slot of the next node, and where its segment ends; equal: there is none */
    uint32_t count;
    uint32_t vacant;             /* of these, released, and their slots kept vacant */
    ag__slab *first_slab, *slab; /* arena; slabs after `slab` are empty and wait */

    ag__buffer *free_list[AG__CLASSES];
    ag__slab *slabs; /* what small buffers are cut from */
    uint16_t shifts;
    uint16_t gap;      /* poisoned bytes behind each buffer */
    int64_t held_free; /* bytes of large blocks in the free lists */

    ag__recent recent[AG__RECENT];
    uint32_t last_recent; /* the largest count among them */
    ag__position *marks;
    uint32_t mark_count, mark_room;
    uint64_t next_serial;

    ag_tensor *variables; /* newest first */
    uint32_t assignments; /* that are to be carried out */
    uint32_t deferred;    /* what these need was left to a later evaluation, if it was recorded before this node */
    ag__packed *packed;
    ag__label *labels; /* newest first */

    uint32_t off_since; /* nodes from here on were recorded since recording is off; UINT32_MAX: it is on */
    uint64_t seed, draws;
    int threads;
    ag_evaluator evaluator;
    struct ag__plans *plans;     /* plans.c's; NULL: none yet */
    struct ag__profile *profile; /* the last one; NULL: none */
    bool profiling;              /* it is running */
    uint8_t in_vain; /* rewinds in a row before which values were kept for a gradient that did not come; at most 2 */
    bool waited, scanned; /* since the last rewind: such values were kept; there was a backward scan */
    bool eager, recording, in_gradient, sandbox; /* sandbox: assignments are not carried out */
    bool evaluating;                             /* the marks of an evaluation are on the nodes */
    bool trespassed;                             /* closed, and used all the same: that error stays */
    bool weak;                                   /* the vjp that is running is not below a choice: see grad.c */
    bool compile;                                /* elementwise operations may become machine code */
    bool keeps_vacant;                           /* released nodes' slots are not taken again soon */
    struct ag__programs *programs;               /* compile.c's; NULL: none yet */
    ag__within inside;

    ag_status status;
    bool located;         /* the error names the caller's line */
    _Atomic bool failing; /* a thread of the evaluation under way has raised the error */
    char error[AG__ERROR_SIZE];
    ag_tensor *nil; /* what a failed call returns */
};

/* Whether a backward scan may still come that needs the value of t; and whether it is expected. Where loops of evaluating
 * and rewinding have shown twice that none comes, as a line search does, it is not. */
static inline bool ag__may_await_gradient(const ag_tensor *t) {
    return t->flags & AG__REQUIRES && !(t->flags & (AG__GRADIENT | AG__SCANNED));
}
static inline bool ag__awaits_gradient(const ag_tensor *t) { return ag__may_await_gradient(t) && t->tape->in_vain < 2; }

static inline ag_tensor *ag__node(const ag_tape *tape, uint32_t id) {
    return &tape->segments[id / AG__SEGMENT][id % AG__SEGMENT];
}

/* Call the user's code between these two. What ag__enter returns is put back by ag__return. */
static inline ag__within ag__enter(ag_tape *tape, ag__callback callback, const char *name, const ag__position *floor) {
    ag__within former = tape->inside;
    tape->inside = (ag__within){callback, name, floor};
    return former;
}

static inline void ag__return(ag_tape *tape, ag__within former) { tape->inside = former; }

/* Whether a vjp is running that is not below a choice, so that a plain product serves. */
static inline bool ag__is_weak(const ag_tensor *g) { return g && g->tape && g->tape->weak; }

/* memory.c: every byte of the library comes through here */
extern const ag_allocator ag__default_allocator;
void *ag__resize(ag_tape *tape, void *p, size_t old_bytes, size_t new_bytes); /* NULL on failure; raises nothing */
void *ag__arena(ag_tape *tape, size_t bytes);                                 /* until the rewind; NULL on failure */
void ag__arena_release(ag_tape *tape, ag__slab *slab, size_t used);
void ag__arena_trim(ag_tape *tape);
int64_t ag__arena_bytes(const ag_tape *tape); /* in use, the list of nodes included */
void ag__segments_trim(ag_tape *tape);
void ag__nodes_end(ag_tape *tape);  /* after `count` has changed: tape->next is the slot of the next node */
bool ag__nodes_grow(ag_tape *tape); /* or NULL, as its end: this makes it */
void ag__poison(const void *p, size_t bytes);
void ag__unpoison(const void *p, size_t bytes);
uint16_t ag__gap(void); /* poisoned bytes behind a buffer: none where nobody would notice */

/* buffer.c */
ag__buffer *ag__buffer_new(ag_tape *tape, size_t bytes); /* one reference; NULL on failure */
ag__buffer *ag__buffer_wrap(ag_tape *tape, const void *data);
void ag__buffer_drop(ag_tape *tape, ag__buffer *buffer); /* NULL is ignored */
void ag__buffers_trim(ag_tape *tape);
void ag__buffers_free(ag_tape *tape);

/* layout.c */
bool ag__shape_valid(const ag_shape *shape, int64_t *size, const char **why);
/* stride NULL: row-major */
const ag__layout *ag__layout_new(ag_tape *tape, const ag_shape *shape, const int64_t *stride);
void ag__layouts_forget(ag_tape *tape, uint32_t count); /* those made when there were as many nodes, or more */
bool ag__layout_is(const ag__layout *l, const ag_shape *shape);
bool ag__layouts_equal(const ag__layout *a, const ag__layout *b); /* in extents */
bool ag__layouts_same(const ag__layout *a, const ag__layout *b);  /* and strides */
ag_shape ag__layout_shape(const ag__layout *l);

/* error.c: every failure passes through its raise() */
ag_tensor *ag__nil_of(ag_tape *tape); /* tape NULL: the nil that belongs to none */
void ag__locate(ag_tape *tape, const char *file, int line);
const char *ag__here_file(int *line); /* take what ag_here has left: NULL if the caller came another way */
ag_status ag__leave(ag_tape *tape, const char *file, int line); /* the tape's status, its error located */
/* Whether the call `name` may go on: the tape is not in error, nor closed, which is then raised. */
bool ag__in_order(ag_tape *tape, const char *name);
/* An error, if the tape runs code of this kind or of one that comes after it: what it needs is about to go. */
bool ag__refused_inside(ag_tape *tape, const char *name, ag__callback from);
/* The same as ag__enter and ag__return, of code that can only look at the tape. Meanwhile the tape is in error. */
typedef struct ag__closed {
    ag__within inside;
    ag_status status;
} ag__closed;
ag__closed ag__close(ag_tape *tape, ag__callback callback, const char *name);
void ag__reopen(ag_tape *tape, ag__closed former);
bool ag__usable(const char *what, const ag_tensor *x); /* not NULL, stale or nil, tape not in error; else raises */

/* record.c */
ag_tensor *ag__record(const ag_op *op, ag_tape *tape, ag_dtype dtype, const ag__layout *layout, int n,
                      ag_tensor *const x[], const void *attributes, size_t bytes); /* no checks; unevaluated */
ag_tensor *ag__current(ag_tensor *x); /* x, or the version of a variable; NULL on failure */

/* tape.c */
ag__position ag__position_now(const ag_tape *tape);
/* Release what was recorded since; pending assignments are not carried out. */
void ag__truncate(ag_tape *tape, const ag__position *position);

/* processors.c */
enum { AG__MOST_THREADS = 1024 };
int ag__default_threads(void);
int ag__processors(void); /* that this process may use, as far as it is known; 1 where there are no threads */
/* How many of them the quota of the control groups of this list pays for, which are found below `root`. */
int ag__cgroup_quota(const char *groups, const char *root);

#endif
