/* node -- tensors as the engine knows them: shapes, values, nodes, and what a variable has beside its node */
#ifndef AG_NODE_H
#define AG_NODE_H

#define AG_NO_LOCATION
#include "autograd/autograd.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/size.h"

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

static inline bool ag__same_numbers(int n, const int64_t *a, const int64_t *b) { /* mostly a few */
    int i = 0;
    while (i < n && a[i] == b[i]) i++;
    return i == n;
}

static inline const int64_t *ag__strides(const ag__layout *l) { return l->extent + l->rank; }

/* ---- Values ---- */

enum { AG__IN_HEAP = UINT16_MAX };

/* A block of memory, shared by one or more nodes. Free blocks wait in their class's list. */
typedef struct ag__buffer {
    void *data;              /* behind this header, or the user's; of a free block one that is wanted soon after it */
    struct ag__buffer *next; /* in a free list */
    uint32_t refs;
    uint16_t size_class; /* of small blocks; AG__IN_HEAP: not small */
    bool adopted;        /* the data is the user's, and released by the ag__owner in the block */
} ag__buffer;

/* ---- Nodes ---- */

enum {
    AG__NIL = 1 << 0,
    AG__STALE = 1 << 1, /* rewound: the handle must not be used */
    AG__VARIABLE = 1 << 2,
    AG__PARAMETER = 1 << 3,
    AG__LEAF = 1 << 4,      /* its value comes from outside and cannot be recomputed */
    AG__REQUIRES = 1 << 5,  /* depends on a parameter through differentiable operations */
    AG__DETACHED = 1 << 6,  /* recorded while recording was off: constant to gradients */
    AG__GRADIENT = 1 << 7,  /* recorded by a backward scan */
    AG__SCANNED = 1 << 8,   /* a backward scan has passed it: only recorded readers wait for its value */
    AG__KEEP = 1 << 9,      /* read or pinned: the value stays */
    AG__COMPUTED = 1 << 10, /* has been computed once, and does not count in its inputs' `readers` any more */
    AG__ACTIVE = 1 << 11,   /* scratch of one backward scan */
    AG__READ = 1 << 12,     /* the version of a variable: inputs are the variable and, if pending, the assigned value */
    AG__PACKED = 1 << 13,   /* the tape's list of packed copies has a contiguous copy of it */
    AG__FROZEN = 1 << 14,   /* a parameter that is held constant; its version of that time: constant to gradients */
    AG__CONTINUES = 1 << 15,    /* adds a contribution to a cotangent; so does its first input, to the same one */
    AG__IMPLIED = AG__CONTINUES /* of a broadcast: recorded for the operation that reads it: the user has no handle */
};

#define AG__NO_PART UINT32_MAX

/* The part of a node that scans look at: one line of the cache. */
struct ag_tensor {
    ag_tape *tape;
    const ag_op *op;
    const ag__layout *layout;
    ag__buffer *buffer; /* NULL: not computed, or released */
    int64_t offset;     /* of the first element in the buffer, in elements */
    ag_tensor **input;  /* in the arena; then the attributes */
    uint32_t id;        /* its index on the tape */
    uint32_t readers;   /* recorded nodes that use this one and are not computed yet */
    uint16_t arity;
    uint16_t attribute_bytes;
    uint16_t flags;
    uint8_t dtype;
    bool plain; /* elementwise, with contiguous inputs of its own shape */
};

_Static_assert(sizeof(ag_tensor) <= 64, "a node is one line of the cache");

/* The part of a node that only messages and reports look at. */
typedef struct ag__about_node {
    const char *label;
    const char *file;
    int line;
    uint32_t part; /* the id of the tensor that stands for its part of a model, which is older; or AG__NO_PART */
} ag__about_node;

/* Nodes are in segments: first so many of one kind, then as many of the other. */
typedef struct ag__segment {
    ag_tensor node[AG__SEGMENT];
    ag__about_node about[AG__SEGMENT];
} ag__segment;

/* Nil has none: it is in no segment. */
static inline ag__about_node *ag__about(const ag_tensor *t) {
    const uint32_t at = t->id % AG__SEGMENT;
    return &((ag__segment *)(uintptr_t)(t - at))->about[at];
}

/* An evaluation's marks of a node, in an array of their own. */
typedef struct ag__node_mark {
    uint32_t live;  /* readers still to run, and other reasons to keep the value */
    uint32_t index; /* in a plan */
    bool needed;    /* it will be computed, */
    bool later;     /* but only deferred nodes need it */
    uint8_t little; /* if needed: 0, or flags of little.c */
} ag__node_mark;

/* A variable's state, the attributes of its node. A use of a variable is recorded as a use of its version: a `read`
 * node that holds the value of that moment, so that assigning cannot change what is recorded. */
typedef struct ag__variable {
    ag_tensor *next;     /* variables of the tape, newest first */
    ag_tensor *version;  /* the read node of the present value, once it is used */
    ag_tensor *pending;  /* an assigned value that is not computed yet */
    ag_tensor *gradient; /* what ag_backward found */
    ag_tensor *joined;   /* the next in a ring of variables whose assignments are carried out together; */
    ag_tensor *joiner;   /* the previous in that ring; itself, if alone */
    int64_t values;      /* that it was given, without those lost */
    int64_t waiting;     /* of these, since the last one carried out */
    int64_t sums;        /* how many additions `gradient` is: the first input of each is the gradient before it */
    bool asked;          /* scratch of one evaluation: its ring is wanted */
    bool temporary;      /* of a gradient check, and so none of the program's state */
} ag__variable;

static inline void *ag__attributes(const ag_tensor *t) { return (void *)(t->input + t->arity); }

/* Bytes an element, for a valid dtype. */
static inline size_t ag__bytes(const ag_tensor *t) { return t->dtype == AG_BOOL ? 1 : t->dtype == AG_F32 ? 4 : 8; }

static inline size_t ag__value_bytes(const ag_tensor *t) { return ag__times((uint64_t)t->layout->size, ag__bytes(t)); }

/* Address of the first element of a computed node. */
static inline void *ag__values(const ag_tensor *t) {
    return (char *)t->buffer->data + t->offset * (int64_t)ag__bytes(t);
}

/* The number of inputs that a gradient may flow to: not the assigned value of a version. */
static inline int ag__differentiable_inputs(const ag_tensor *t) { return t->flags & AG__READ ? 1 : t->arity; }

static inline ag__variable *ag__variable_of(const ag_tensor *t) { return ag__attributes(t); }

#endif
