/* eval -- computing values: shared by the evaluators, and their interface */
#ifndef AG_EVAL_H
#define AG_EVAL_H

#include "autograd/tape/limits.h"
#include "autograd/tape/tape.h"

/* Numbers of marked nodes, of their inputs, and of their elements. */
typedef struct ag__amount {
    uint32_t nodes, edges;
    double work;
} ag__amount;

/* When assigned values are computed and carried out. */
typedef enum ag__when {
    AG__ALONE, /* not in this evaluation, which computes only the wanted nodes */
    AG__NOW,
    AG__DEFER, /* now, except for elementwise operations at its end, from node `from` on, which are deferred */
    AG__FINAL  /* now, in place if possible: nodes from `from` on are not needed afterwards */
} ag__when;

typedef struct ag__evaluation {
    ag_tape *tape;
    ag__node_mark *mark; /* by a node's id */
    ag__when when;
    uint32_t from;
    uint32_t low, high; /* the marked nodes are among low … high−1 */
    ag__amount marked;
    uint32_t little_sizes; /* bits of all sizes of marked little nodes */
} ag__evaluation;

static inline ag__node_mark *ag__mark_of(const ag__evaluation *e, const ag_tensor *t) { return &e->mark[t->id]; }

/* The first node that is not needed after the evaluation. */
static inline uint32_t ag__goes_from(const ag__evaluation *e) { return e->when == AG__FINAL ? e->from : UINT32_MAX; }

/* The same evaluation, writing nothing in place. */
static inline ag__evaluation ag__not_in_place(const ag__evaluation *e) {
    ag__evaluation other = *e;
    if (other.when == AG__FINAL) other.when = AG__NOW;
    return other;
}

/* Whether t is one element that many are reduced to: another evaluation, with other regions, may reduce them in
 * another order. It is not released, so that values computed from it do not meet another value. */
static inline bool ag__is_whole_fold(const ag_tensor *t) {
    return t->op->kind == AG_KIND_REDUCTION && t->layout->size == 1;
}

/* Whether the value of t may be released, with these `live` and `readers`, in an evaluation after which nodes from
 * `gone` on are not needed. */
AG__ALWAYS_INLINE bool ag__releasable(const ag_tensor *t, uint32_t live, uint32_t readers, uint32_t gone) {
    if (live) return false;
    if (t->id >= gone) return !(t->flags & AG__VARIABLE);
    if (readers || t->tape->on_record || t->flags & (AG__LEAF | AG__KEEP | AG__VARIABLE)) return false;
    return !ag__is_whole_fold(t) && !ag__awaits_gradient(t);
}

enum {
    AG__LITTLE_NODE = 1,  /* little.c computes it together with others; */
    AG__LITTLE_SHOWN = 2, /* a node that is not little reads it, from a buffer; */
    AG__LITTLE_PLACED = 4 /* a little node reads it, from its place */
};

static inline uint8_t ag__little_flags(const ag_tensor *t, int64_t size) {
    const bool fits = (uint64_t)size - 1 < AG__LITTLE_SIZE, little = t->plain & fits & (t->arity <= AG__LITTLE_INPUTS);
    return little ? AG__LITTLE_NODE : 0;
}

static inline double ag__work_of(const ag_tensor *t) {
    if (t->op->kind == AG_KIND_VIEW) return 0;
    double work = (double)t->layout->size;
    for (int i = 0; t->op->kind != AG_KIND_ELEMENTWISE && i < t->arity; i++) work += (double)t->input[i]->layout->size;
    return work;
}

static inline ag_array ag__array_of(const ag_tensor *t) {
    const ag__layout *l = t->layout;
    return (ag_array){.data = t->buffer ? ag__values(t) : NULL,
                      .dtype = (ag_dtype)t->dtype,
                      .rank = l->rank,
                      .size = l->size,
                      .shape = l->extent,
                      .stride = ag__strides(l)};
}

/* pack.c: row-major elements start… of a strided array, next to each other */
void ag__pack(void *to, const ag_array *from, int64_t start, int64_t count);

/* strips.c, folds.c: the reference evaluator's loops */
void ag__run_elementwise(ag_tensor *t);
size_t ag__run_reduction(ag_tensor *t); /* 0, or the bytes of partial results for which memory is out */
/* y[i] = the fold of n elements x[i + j·across] for i < rows, in the order of columns. */
void ag__fold_interleaved(const ag_tensor *t, int64_t rows, int64_t n, int64_t across, char *y, const char *x);
/* blocks results of n elements each, one after the other, joined pairwise into the first. */
void ag__join(const ag_reduction *op, int dtype, char *partial, int64_t blocks, int64_t n);

/* compute.c */
bool ag__compute(ag_tensor *t);                              /* into a buffer of its own; false after an error */
bool ag__accumulate(ag_tensor *t, ag__buffer *onto);         /* the same, added to what a buffer holds */
bool ag__compute_by_parts(ag_tensor *t, ag_tensor *product); /* whose value t's input shows, and which has none */
/* Some rows of a product (basis.h), into memory of the caller's. */
bool ag__can_compute_rows(const ag_tensor *t);
size_t ag__rows_memory(const ag_tensor *t, int64_t most);
void ag__compute_rows(const ag_tensor *t, int64_t most, int64_t first, int64_t rows, void *y, void *memory);
AG__RARE bool ag__no_memory(const ag_tensor *t, size_t bytes);

/* reference.c */
bool ag__may_release(const ag__evaluation *e, const ag_tensor *t);
void ag__release_unneeded(ag_tensor *t); /* between evaluations: releases its value, if allowed */
/* Whether y may be written over x once that is read for the last time: x is a version, y its variable's next value. */
bool ag__may_overwrite(const ag__evaluation *e, const ag_tensor *x, const ag_tensor *y);
/* Called after t, or the value that it is a part of, is computed. */
void ag__leave_inputs(const ag__evaluation *e, ag_tensor *t);
/* Compute the marked nodes among low … high−1, nothing in place; false after an error, with no marks left. */
bool ag__run_reference(const ag__evaluation *e, uint32_t low, uint32_t high);
/* Compute t, and release its inputs of more than `counted` elements, if allowed; false after an error. */
bool ag__run_one(const ag__evaluation *e, ag_tensor *t, int64_t counted);
void ag__abandon(const ag__evaluation *e, uint32_t low, uint32_t high);

/* little.c: the same, of mostly little nodes, which are marked as such */
bool ag__run_little(const ag__evaluation *e, uint32_t low, uint32_t high);

/* fused.c: compute all marked nodes; false after an error, with no marks left */
bool ag__run_fused(const ag__evaluation *e);

/* plans.c */
void ag__plans_free(ag_tape *tape);

/* Whether machine code of this operation alone is worth while: it has no kernel, or one that takes longer than
 * memory. */
static inline bool ag__is_worth_code(const ag_op *op, int dtype) {
    return op->trace[dtype] && (!op->block[dtype] || !(op->flags & AG_OP_CHEAP));
}

/* The division of the marked nodes: region[id] = 1, 2, … for nodes computed in one sweep with others, or in one step
 * with a sum; unchanged for others. False out of memory, without an error. */
bool ag__plan_regions(const ag__evaluation *e, uint32_t *region);

/* eval.c */
bool ag__take_marks(ag__evaluation *e); /* all zero, for all nodes; false: out of memory, an error */
/* Compute x[…] and pending assignments: AG__DEFER if the evaluator fuses, or else AG__NOW. */
bool ag__evaluate(ag_tape *tape, int n, ag_tensor *const x[]);
/* Carry out all assignments; nodes from `from` on are not needed afterwards: AG__FINAL. */
void ag__evaluate_last(ag_tape *tape, uint32_t from);
void ag__settle_assignments(ag_tape *tape); /* after an error: carries out each ring that can be; the error stays */

/* The observer of a tape's evaluations while tape->profiling: called after each event, with its beginning by the
 * observer's own clock. None of these fails. `free` releases it with the tape. */
struct ag__chunk;
struct ag__plan;
struct ag__plan_step;
typedef struct ag__observer {
    int64_t (*now)(void);
    void (*computed)(ag_tensor *t, int64_t since); /* a single node */
    void (*step)(const struct ag__chunk *c, const struct ag__plan *plan, const struct ag__plan_step *step,
                 int64_t since);
    void (*planned)(ag_tape *tape, int64_t nodes, int64_t since);
    void (*evaluated)(ag_tape *tape, int64_t nodes, int64_t since);
    void (*free)(ag_tape *tape);
} ag__observer;

static inline int64_t ag__observed_from(const ag_tape *tape) { return tape->profiling ? tape->observer->now() : 0; }

#endif
