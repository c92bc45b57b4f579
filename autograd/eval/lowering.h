/* lowering -- scratch data of the making of one region's program
 *
 * Every value that the program handles is a cell of the plan, and has a note here for as long as the program is
 * made. */
#ifndef AG_LOWERING_H
#define AG_LOWERING_H

#include "autograd/eval/planning.h"

typedef struct ag__note {
    uint32_t phase;       /* in which it is made */
    uint32_t copy_of;     /* cell of one element, or of one a row, that it is a copy of; AG__NONE */
    uint32_t last_reader; /* instruction; AG__NONE */
    uint32_t next_free;   /* cell of the same kind whose scratch memory is free as well; AG__NONE */
    uint32_t former;      /* of a variable's next value, the cell of the present one; AG__NONE */
    uint32_t over;        /* cell over which it is written; AG__NONE */
    uint32_t read_at;     /* in the latest run that reads it, the last step that does */
    uint32_t made_at;     /* and in the one that makes it, the step that does */
    uint32_t asked;       /* the latest run beyond which it is read: all runs are numbered, from 1 on */
    uint32_t written;     /* the latest run that writes it */
    uint32_t listed;      /* the latest run that has it among its inputs */
    bool freed;           /* its scratch memory is in the list of what is free, or was */
    bool replaced;        /* a result is written over it */
    bool shown;           /* it may be written over another although others show that one's buffer */
    bool streamed;        /* machine code writes it past the caches */
} ag__note;

typedef struct ag__taken_fold {  /* by the run that is made */
    uint32_t instruction, folds; /* folds: cell of the partial folds */
} ag__taken_fold;

typedef struct ag__sorting {
    uint32_t phase, order, number;
} ag__sorting;

enum { AG__SCRATCH_KINDS = 6 }; /* strips and rows, of elements of 1, 4 and 8 bytes */

typedef struct ag__lowering {
    ag__planner *p;
    ag__plan *plan;
    const ag__chunk *c;
    ag__region *r;
    uint32_t s;                            /* the region's step */
    AG__LIST(ag__note) notes;              /* of its cells */
    AG__LIST(ag__instruction) body;        /* for each strip */
    AG__LIST(ag__instruction) before;      /* and before the first */
    AG__LIST(ag__sorting) sorted;          /* the body's instructions */
    AG__LIST(ag__code_step) steps;         /* of the run that is made, */
    AG__LIST(ag__code_slot) slots;         /* its slots, */
    AG__LIST(ag__taken_fold) taken;        /* and the folds that become part of it */
    AG__LIST(ag__instruction) starts;      /* of all such folds of columns */
    bool slots_for_rows;                   /* as a run over rows sees them */
    uint32_t runs, made;                   /* so far; the latest that became machine code */
    uint32_t free_cell[AG__SCRATCH_KINDS]; /* whose memory was freed last; AG__NONE */
} ag__lowering;

static inline ag__cell *ag__cell_at(const ag__lowering *l, uint32_t cell) { return &l->plan->cells.at[cell]; }
static inline ag__note *ag__note_of(const ag__lowering *l, uint32_t cell) { return &l->notes.at[cell - l->r->cell]; }
static inline const uint32_t *ag__operands_of(const ag__lowering *l, const ag__instruction *q) {
    return AG__FROM(&l->plan->operands, q->x);
}

/* The program's cell for this index; AG__NONE: it has no cell. */
uint32_t ag__cell_of(const ag__lowering *l, uint32_t i);

/* Whether y is a cell. */
static inline bool ag__has_cell(const ag__instruction *q) {
    return q->does < AG__START_DOWN || (q->does == AG__FOLDED_ROW && q->inputs);
}

/* A further cell, of tensor t with index `of`. 0 if out of memory. */
static inline uint32_t ag__cell_new(ag__lowering *l, uint32_t of, const ag_tensor *t, ag__where where, bool rows) {
    uint32_t cell = l->plan->cells.count;
    AG__APPEND(
        &l->p->maker, &l->plan->cells,
        (ag__cell){
            .index = of, .where = (uint8_t)where, .dtype = t->dtype, .bytes = (uint8_t)ag__bytes(t), .rows = rows});
    AG__APPEND(&l->p->maker, &l->notes, (ag__note){.copy_of = AG__NONE, .former = AG__NONE, .over = AG__NONE});
    return l->p->maker.failed ? 0 : cell;
}

/* runs.c: operations that stand next to each other become one loop of machine code, and so do folds after them. */
void ag__make_runs(ag__lowering *l);
bool ag__pays_to_compile(const ag__lowering *l); /* whether machine code is to be made for this region */

/* Code for several rows at a time, if the latest run is all that is done for one. */
void ag__make_several(ag__lowering *l);

/* allot.c: unread values are dropped; results go over what is read for the last time; the rest gets scratch memory. */
void ag__allot(ag__lowering *l);

/* allot.c: whether machine code may write this cell past the caches: an output that is worth it, whose strips begin
 * with a cache line, and that cannot go over anything. */
bool ag__may_stream(const ag__lowering *l, const ag__cell *cell);

#endif
