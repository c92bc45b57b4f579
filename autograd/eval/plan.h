/* plan -- what the fused evaluator runs: steps, regions and the small programs that regions are executed by
 *
 * A plan is about one chunk of the tape: the nodes that an evaluation needs, at most AG__CHUNK of them at a time, and
 * the tensors outside that they read. All are numbered: a `place` below `nodes` is a node of the chunk, in the order of
 * recording; the others are outside. A plan holds places and no pointers, so that it serves every later chunk of the
 * same structure.
 *
 * A region is a run of elementwise operations over one number of elements, `size`, and of reductions over them. Where
 * its elements have the form of `rows` by `columns`, there are values of one element a row (what is reduced along
 * rows), which the region itself may use again, and inputs of one element a column. Reductions down columns and over
 * all elements are outputs that only later steps may use. */
#ifndef AG_PLAN_H
#define AG_PLAN_H

#include "autograd/eval/eval.h"
#include "autograd/tape/limits.h"

#define AG__NOWHERE UINT32_MAX /* no place, no cell, no step */

/* Where a value of a region's program is found: at base + what the strip's position adds. */
typedef enum ag__where {
    AG__AT_NOTHING, /* it lives in registers only */
    AG__AT_TEMP,    /* scratch memory, from its start */
    AG__AT_ONE,     /* a tensor's one element */
    AG__AT_ELEMENT, /* a tensor's elements, from the strip's first */
    AG__AT_COLUMN,  /* from the strip's first column */
    AG__AT_ROW,     /* from the strip's first row */
    AG__AT_FOLD     /* partial folds of the strip's columns */
} ag__where;

typedef struct ag__cell {
    uint32_t place; /* the tensor; AG__NOWHERE for scratch memory */
    uint32_t temp;  /* scratch memory: in units of 64 bytes from its start; AG__AT_FOLD: which fold */
    uint8_t where;
    uint8_t bytes; /* an element */
    uint8_t dtype;
    bool rows;  /* an element a row, not one for each of the strip's */
    bool once;  /* made once, before the first strip */
    bool lanes; /* side by side, folds of every 32nd element */
    bool one;   /* for lower.c alone, and so what follows: a copy of one element for all */
    bool freed, written;
    uint32_t from; /* what it is a copy of, where machine code can do without the copy */
    uint32_t last; /* the last instruction that reads it */
    uint32_t phase;
    uint32_t made; /* by which step of a run */
} ag__cell;

typedef enum ag__does {
    AG__MAP,         /* y[i] = f(x[0][i], …) over the strip */
    AG__MAP_ROWS,    /* the same over the strip's rows, one element each */
    AG__FILL,        /* y = the one element of tensor x, over the strip */
    AG__FILL_ROWS,   /* over the strip's rows */
    AG__REPEAT,      /* y = the columns of tensor x, once for each row of a strip */
    AG__SPREAD,      /* y = each row's element of cell x, over its columns */
    AG__PACK,        /* y = the strip's elements of a strided tensor x */
    AG__PACK_ROWS,   /* the same over the strip's rows */
    AG__FOLD_ROWS,   /* y = the fold of each row of cell x */
    AG__FOLD_LANES,  /* y = the fold of the lanes in cell x */
    AG__START_DOWN,  /* y = what changes nothing, where a group of rows begins */
    AG__START_LANES, /* the same for the lanes of a row's fold */
    AG__RUN,         /* machine code for several AG__MAP */
    AG__RUN_ROWS,    /* and for several AG__MAP_ROWS */
    AG__FOLD_ALL,    /* the strip's share in the fold of all elements */
    AG__FOLD_LONG,   /* the same, of a row that is longer than a strip */
    AG__FOLD_DOWN,   /* the strip's rows' share in the folds of columns */
    AG__FOLDED_DOWN  /* nothing: machine code has done it */
} ag__does;

typedef struct ag__instruction {
    uint8_t does;
    uint8_t dtype; /* that chooses the kernel: of the last input */
    uint16_t inputs;
    uint32_t node;      /* place of the operation; for what only fetches, of the tensor; for machine code, which */
    uint32_t y;         /* cell; of a fold that is finished after the last strip: number among those */
    uint32_t x;         /* first of its input cells, in the list of operands */
    uint32_t attribute; /* first of its attributes, for machine code */
    uint32_t outputs;   /* of machine code: they follow the inputs */
} ag__instruction;

typedef enum ag__form { AG__FLAT, AG__ROWS, AG__WIDE } ag__form; /* strips: anywhere; whole rows; within one row */

typedef struct ag__region {
    int64_t size, rows, columns; /* rows 0: any */
    int64_t tile;                /* rows a strip has (AG__ROWS) */
    uint32_t cell, cells;
    uint32_t attribute, attributes; /* places whose attributes machine code reads */
    uint32_t once, prepares;        /* instructions before the first strip */
    uint32_t begin, count;          /* and for each */
    uint32_t output, outputs;       /* places whose buffers are made */
    uint32_t folds;                 /* finished after the last strip */
    uint32_t temps;                 /* scratch memory in units of 64 bytes */
    uint32_t compute, computes;     /* places of the operations, those that are computed again included */
    uint32_t read, reads;           /* places of what is in memory before; may be there several times */
    uint8_t form;
    bool down;    /* there is a fold down columns: a group of rows stays together */
    bool all;     /* there is a fold of everything */
    bool flat;    /* that has the order of elements: strips do not go by rows */
    int64_t work; /* elementary steps, for the choice of how many threads */
} ag__region;

typedef enum ag__step_kind { AG__STEP_NOTHING, AG__STEP_NODE, AG__STEP_ADD, AG__STEP_REGION } ag__step_kind;

typedef struct ag__plan_step {
    uint8_t kind;
    uint32_t what;            /* region; or the node's place */
    uint32_t onto;            /* AG__STEP_ADD: place of the value that it is added to */
    uint32_t member, members; /* nodes that are done with this step */
    uint32_t hold, holds;     /* places that must not be released before */
} ag__plan_step;

typedef struct ag__list { /* of elements of one size */
    void *data;
    uint32_t count, room;
} ag__list;

/* Where a list of numbers holds number `at`, or would if it had one more; NULL for a list that has none. */
static inline uint32_t *ag__numbers(const ag__list *l, size_t at) { return l->data ? (uint32_t *)l->data + at : NULL; }

typedef struct ag__plan {
    struct ag__plan *next; /* of the same bucket */
    uint64_t hash;         /* of its structure */
    ag__list structure;    /* what it was made for, in words */
    size_t bytes;
    uint64_t used, interval; /* when, and how long after the time before */
    uint32_t uses;           /* how often */
    bool kept;
    bool whole; /* machine code was made wherever it can be */
    uint32_t nodes, places;
    ag__list order; /* numbers of steps, as they run */
    ag__list steps, regions, cells, instructions, operands, attributes, codes, outputs, computed, read;
    ag__list reuse;   /* beside each output: place whose buffer it may take over, and how often its step reads that */
    ag__list members; /* a place, and the one whose buffer it shows */
    ag__list holds;
} ag__plan;

/* What a plan is made from. `in` of node i: places of its inputs, at operand[first[i]]. */
typedef struct ag__chunk_nodes {
    const ag__evaluation *evaluation;
    ag_tape *tape;
    ag_tensor **table; /* tensor of each place */
    uint32_t nodes, places;
    uint32_t *first; /* nodes + 1 of them */
    uint32_t *operand;
    uint32_t *uses; /* of each node, by nodes of the chunk */
    bool *must;     /* whether its value may be wanted after the chunk: */
    bool *kept;     /* whether it is kept for that, which decides no order of a sum */
    bool exact;     /* its values are the reference evaluator's, to the last bit */
    size_t least;   /* bytes that the run of any region takes for itself */
    ag__buffer *memory;
} ag__chunk_nodes;

/* plans.c: number the marked nodes from `low` on, as many as there are, and what they read; their structure is written
 * down. False for want of memory; nothing is raised. To be dropped in any case. */
bool ag__chunk_take(const ag__evaluation *e, uint32_t low, const ag__amount *amount, ag__chunk_nodes *c);
void ag__chunk_drop(ag__chunk_nodes *c);

/* The plan for the chunk that was taken last. NULL if there is none, for want of memory or because it is to wait until
 * the structure comes again: then the reference evaluator runs the chunk. */
ag__plan *ag__plan_for(const ag__chunk_nodes *c);
void ag__plan_done(ag_tape *tape, ag__plan *plan);

/* plan.c: which step computes what. False for want of memory; nothing is raised. */
bool ag__plan_make(ag__plan *plan, const ag__chunk_nodes *c, bool whole);
size_t ag__plan_trim(ag_tape *tape, ag__plan *plan); /* room for what it has and no more; returns how many bytes */
void ag__plan_clear(ag_tape *tape, ag__plan *plan);
bool ag__list_grow(ag_tape *tape, ag__list *list, size_t bytes, uint32_t more);
void ag__list_free(ag_tape *tape, ag__list *list, size_t bytes);

/* What a value is to the region that computes it. */
enum {
    AG__ROLE_NONE,
    AG__ROLE_ELEMENT, /* one for each of the region's elements */
    AG__ROLE_ROW,     /* one for each row */
    AG__ROLE_DOWN,    /* finished after the last strip: the fold of columns, */
    AG__ROLE_ALL,     /* of everything, */
    AG__ROLE_LONG     /* of rows that are longer than a strip */
};

/* What lower.c sees of plan.c's findings, by place. */
typedef struct ag__inside {
    const uint32_t *canon, *root, *step, *mark;
    const uint8_t *role;
    const bool *stored;
    uint32_t s; /* the region's step: a value is computed in it if its mark is this */
    bool whole; /* make machine code also where it pays only later */
    uint32_t *cell_of;
} ag__inside;

/* lower.c: a region's program, of these nodes in the order of recording. False for want of memory. */
bool ag__lower(ag__plan *plan, const ag__chunk_nodes *c, ag__region *r, const uint32_t *node, uint32_t count,
               const ag__inside *in);

/* verify.c: whether that program is sound; if not, an error is raised. False for want of memory, too. */
#ifndef NDEBUG
bool ag__verify(const ag__plan *plan, const ag__chunk_nodes *c, const ag__region *r, const ag__inside *in);
#endif

/* Whether t, which shows elements of x, shows all of them in their order. */
static inline bool ag__shows_all(const ag_tensor *t, const ag_tensor *x) {
    return t->layout->contiguous && t->offset == 0 && t->layout->size == x->layout->size;
}

/* Whether t is random, or a user's source: its attributes change from step to step and are no part of a structure, so that
 * nothing about a plan may depend on them. */
static inline bool ag__is_drawn(const ag_tensor *t) {
    return t->op->kind == AG_KIND_SOURCE && !(t->op->flags & AG_OP_CONSTANT);
}

/* A layout as two axes, outer and inner, of which each has one stride: false if it takes more. */
bool ag__two_axes(const ag__layout *l, int64_t extent[2], int64_t stride[2]);

#endif
