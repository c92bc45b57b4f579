/* plan -- what the fused evaluator runs: steps, regions and the programs that regions are executed by
 *
 * A plan is about one chunk of the tape: the nodes that an evaluation needs, at most AG__CHUNK of them at a time, and
 * the tensors outside that they read. All are numbered: an index below `nodes` is a node of the chunk, in the order of
 * recording; the others are outside. A plan holds indices and no pointers to tensors, so it serves every later chunk of
 * the same structure.
 *
 * A region is a run of elementwise operations over one number of elements, `size`, and of reductions over them. Where
 * its elements have the form of `rows` by `columns`, there are values of one element a row (reduced along rows), which
 * the region itself may use again, and inputs of one element a column. Reductions down columns and over all elements
 * are outputs that only later steps may use. Rows may be those of several samples: columns are then folded for each
 * sample, and inputs have one element for each column of a sample. */
#ifndef AG_PLAN_H
#define AG_PLAN_H

#include "autograd/eval/compile.h"
#include "autograd/eval/lists.h"
#include "autograd/tape/limits.h"

#define AG__NONE UINT32_MAX /* no index, cell, step or instruction */

/* ---- A region's program ---- */

/* The place of a cell: its base, plus the strip's offset. */
typedef enum ag__where {
    AG__AT_NOTHING, /* it lives in registers only */
    AG__AT_TEMP,    /* scratch memory, from its start */
    AG__AT_ONE,     /* a tensor's one element */
    AG__AT_ELEMENT, /* a tensor's elements, from the strip's first */
    AG__AT_STRIDED, /* the same, of one whose rows are apart, or in another order: of a strip within a row */
    AG__AT_COLUMN,  /* from the strip's first column; of its sample */
    AG__AT_ROW,     /* from the strip's first row */
    AG__AT_FOLD     /* partial folds of the strip's columns */
} ag__where;

typedef struct ag__cell { /* a value of the program */
    uint32_t index;       /* of its tensor; AG__NONE: scratch memory */
    uint32_t temp;        /* scratch memory: in units of AG__UNIT bytes from its start; AG__AT_FOLD: which fold */
    uint8_t where;
    uint8_t bytes; /* an element */
    uint8_t dtype;
    bool rows;    /* an element a row, not one for each of the strip's */
    bool once;    /* made once, before the first strip */
    bool samples; /* AG__AT_COLUMN: each sample has other elements */
    bool lanes;   /* AG__LANES folds side by side, of every AG__LANES-th element */
} ag__cell;

typedef enum ag__does {
    AG__MAP,        /* y[i] = f(x[0][i], …) over the strip */
    AG__MAP_ROWS,   /* the same over the strip's rows, one element each */
    AG__FILL,       /* y = the one element of tensor x, over the strip */
    AG__FILL_ROWS,  /* over the strip's rows */
    AG__REPEAT,     /* y = the columns of tensor x, once for each row of a strip */
    AG__SPREAD,     /* y = each row's element of cell x, over its columns */
    AG__PACK,       /* y = the strip's elements of a strided tensor x */
    AG__PACK_ROWS,  /* the same over the strip's rows */
    AG__PUT_PAST,   /* y = the strip of cell x, written past the caches */
    AG__FOLD_ROWS,  /* y = the fold of each row of cell x */
    AG__START_DOWN, /* y = the identity element, where a group of rows begins */
    AG__FOLDED_ROW, /* machine code has folded a row: y, or the blocks in x, is finished as the reduction says */
    AG__RUN,        /* machine code for several AG__MAP */
    AG__RUN_ROWS,   /* and for several AG__MAP_ROWS */
    AG__FOLD_ALL,   /* the strip's share in the fold of all elements */
    AG__FOLD_LONG,  /* the same, of a row that is longer than a strip */
    AG__FOLD_DOWN,  /* the strip's rows' share in the folds of columns */
    AG__FOLDED_DOWN /* nothing: machine code has done it */
} ag__does;

typedef struct ag__instruction {
    uint8_t does;
    uint8_t dtype; /* that chooses the kernel: of the last input */
    uint16_t inputs;
    uint32_t node; /* index of the operation; of an instruction that only fetches, of the tensor; machine code: which */
    uint32_t y;    /* cell; of a fold that is finished after the last strip: its number among those; of machine code: 1
                    * if it folds rows in blocks */
    uint32_t x;    /* first of its input cells, in the list of operands */
    uint32_t attribute; /* first of its attributes, for machine code */
    uint32_t outputs;   /* of machine code: they follow the inputs */
} ag__instruction;

typedef enum ag__form { AG__FLAT, AG__ROWS, AG__WIDE } ag__form; /* strips: anywhere; whole rows; within one row */

typedef struct ag__region {
    int64_t size, rows, columns; /* rows 0: any */
    int64_t inner;  /* so many rows are interleaved: element j of row i is i/inner·inner·columns + j·inner
                                    + i%inner; 1: none */
    int64_t sample; /* rows of a sample: all, if there is but one; 0: not known yet */
    int64_t tile;   /* rows a strip has (AG__ROWS); if that is 1, it may have a part of a row only: */
    int64_t block;  /* so many of its columns */
    uint32_t cell, cells;
    uint32_t attribute, attributes; /* indices whose attributes machine code reads */
    uint32_t once, prepares;        /* instructions before the first strip */
    uint32_t begin, count;          /* and for each; */
    uint32_t only; /* the one of machine code that is all there is but where a group of rows begins; AG__NONE: none */
    uint32_t several, together; /* and code that does the same for so many rows at a time; AG__NONE: none */
    bool pairs;                 /* each instruction runs for a row, and then for the next one */
    uint32_t output, outputs;   /* values whose buffers are made */
    uint32_t folds;             /* finished after the last strip */
    uint32_t temps;             /* scratch memory in units of AG__UNIT bytes */
    uint32_t compute, computes; /* indices of the operations, including those that are rematerialised */
    uint32_t read, reads;       /* indices of tensors in memory before; one may be there several times */
    uint32_t product, products; /* indices of products among them that are computed here, some rows at a time, */
    int64_t ahead;              /* and of transposes that are turned so: the rows of so many elements, about */
    uint8_t form;
    bool down;        /* there is a fold down columns: a group of rows stays together */
    bool all;         /* there is a fold of everything */
    bool past;        /* some values are written past the caches, */
    uint32_t streams; /* of these, so many by machine code */
    bool backwards;   /* from the last unit to the first */
    bool packed;      /* interleaved rows of several groups are put next to each other in scratch memory */
    bool flat;        /* that has the order of elements: strips do not go by rows */
    int64_t work;     /* elementary steps, for the choice of how many threads */
} ag__region;

enum { AG__UNIT = 64 }; /* bytes of scratch memory: a cache line, and the widest vector */

/* Units that `count` elements of `bytes` each take. */
static inline uint32_t ag__units(int64_t count, size_t bytes) {
    return (uint32_t)((count * (int64_t)bytes + AG__UNIT - 1) / AG__UNIT);
}

/* Elements of the largest strip. */
static inline int64_t ag__strip_elements(const ag__region *r) {
    return r->form == AG__ROWS ? r->tile * r->columns : ag__lesser(r->size, AG__STRIP);
}

/* Whether so many rows are those of several samples; 0: their rows are not known. */
static inline bool ag__has_samples(int64_t sample, int64_t rows) { return sample > 0 && sample < rows; }

/* Groups of rows whose columns are folded, of a sample; the last one may have fewer rows. */
static inline int64_t ag__groups_a_sample(const ag__region *r) {
    return (r->sample + AG__ROWS_A_GROUP - 1) / AG__ROWS_A_GROUP;
}

/* The strides of a tensor of the region's size, over groups of interleaved rows, columns, and these rows. */
static inline bool ag__region_strides(const ag__region *r, const ag_tensor *t, int64_t stride[3]) {
    return ag__three_axes(t->layout, (int64_t[]){r->rows / r->inner, r->columns, r->inner}, stride);
}

/* ---- Steps ---- */

typedef enum ag__step_kind {
    AG__STEP_NOTHING,
    AG__STEP_NODE,
    AG__STEP_ADD,   /* a product, which is added to another value */
    AG__STEP_PARTS, /* a product that has no buffer, and its reader */
    AG__STEP_REGION
} ag__step_kind;

typedef struct ag__plan_step {
    uint8_t kind;
    uint32_t what;            /* region; or the node's index */
    uint32_t onto;            /* AG__STEP_ADD: index of the value that it is added to; AG__STEP_PARTS: of the reader */
    uint32_t member, members; /* nodes that are done with this step */
    uint32_t hold, holds;     /* indices of values that must not be released before */
    uint32_t drop, drops;     /* of the values that are dropped then, though there are readers to come */
    uint32_t show, shows;     /* if it computes a value once more: that, and those that show its buffer, in `shown` */
} ag__plan_step;

typedef struct ag__step_member {
    uint32_t index;
    uint32_t shows; /* index of the value whose buffer it shows; AG__NONE: it needs none, or has its own */
} ag__step_member;

typedef struct ag__showing { /* a value, and those that show its buffer, next to each other in `shown` */
    uint32_t first, count;
} ag__showing;

typedef struct ag__step_output {
    uint32_t index;
    uint32_t over;     /* index of the value whose buffer it may take over; AG__NONE: no other's */
    ag__showing shown; /* and those that may show it too: its root, and others; none: it must be alone */
    uint32_t reads;    /* how often its step reads that one, or these */
} ag__step_output;

/* ---- The plan ---- */

typedef struct ag__plan {
    uint32_t nodes;
    bool whole;        /* machine code was made wherever it can be */
    ag__numbers order; /* numbers of steps, as they run */
    AG__LIST(ag__plan_step) steps;
    AG__LIST(ag__region) regions;
    AG__LIST(ag__cell) cells;
    AG__LIST(ag__instruction) instructions;
    AG__LIST(ag__code *) codes;
    AG__LIST(ag__step_output) outputs;
    AG__LIST(ag__step_member) members;
    AG__LIST(ag__showing) drops;
    ag__numbers operands, attributes, computed, read, holds, shown, products;
} ag__plan;

size_t ag__plan_trim(ag_tape *tape, ag__plan *plan); /* frees unused room; returns the bytes kept */
void ag__plan_clear(ag_tape *tape, ag__plan *plan);

/* ---- Layouts ---- */

/* Whether t, which shows elements of x, shows all of them in their order. */
static inline bool ag__shows_all(const ag_tensor *t, const ag_tensor *x) {
    return t->layout->contiguous && t->offset == 0 && t->layout->size == x->layout->size;
}

#endif
