/* eval -- computing values: what the evaluators share, and what others ask of them */
#ifndef AG_EVAL_H
#define AG_EVAL_H

#include "autograd/tape/tape.h"

/* So many marked nodes, with so many inputs; and how many elements they work on. */
typedef struct ag__amount {
    uint32_t nodes, edges;
    double work;
} ag__amount;

/* When what variables were assigned is computed and carried out. */
typedef enum ag__when {
    AG__ALONE, /* not in this evaluation, which computes what it is asked for alone */
    AG__NOW,
    AG__DEFER, /* now, but for the elementwise operations at its end, of nodes from `from` on, which wait */
    AG__FINAL  /* now, and in place where that can be, for nodes from `from` on are not needed after that */
} ag__when;

typedef struct ag__evaluation {
    ag_tape *tape;
    ag__node_mark *mark; /* by a node's id */
    ag__when when;
    uint32_t from;
    uint32_t low, high; /* the marked nodes are among low … high−1 */
    ag__amount marked;
} ag__evaluation;

static inline ag__node_mark *ag__mark_of(const ag__evaluation *e, const ag_tensor *t) { return &e->mark[t->id]; }

/* The first node that is not needed after the evaluation. */
static inline uint32_t ag__goes_from(const ag__evaluation *e) { return e->when == AG__FINAL ? e->from : UINT32_MAX; }

/* The same evaluation, that writes nothing in place and releases nothing on that account. */
static inline ag__evaluation ag__not_in_place(const ag__evaluation *e) {
    ag__evaluation other = *e;
    if (other.when == AG__FINAL) other.when = AG__NOW;
    return other;
}

/* Whether t is one element that many are folded into: another evaluation, with other regions, may fold them in another
 * order. It is not released, lest what was computed from it before be compared with another value. */
static inline bool ag__is_whole_fold(const ag_tensor *t) {
    return t->op->kind == AG_KIND_REDUCTION && t->layout->size == 1;
}

static inline double ag__work_of(const ag_tensor *t) {
    if (t->op->kind == AG_KIND_VIEW) return 0;
    double work = (double)t->layout->size;
    for (int i = 0; t->op->kind != AG_KIND_ELEMENTWISE && i < t->arity; i++) work += (double)t->input[i]->layout->size;
    return work;
}

static inline ag_array ag__array_of(const ag_tensor *t) {
    const ag__layout *l = t->layout;
    return (ag_array){.data = ag__values(t),
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
/* blocks results of n elements each, one after the other, joined pairwise into the first. */
void ag__join(const ag_reduction *op, int dtype, char *partial, int64_t blocks, int64_t n);

/* compute.c */
bool ag__compute(ag_tensor *t);                      /* into a buffer of its own; false after an error */
bool ag__accumulate(ag_tensor *t, ag__buffer *onto); /* the same, added to what a buffer holds */
bool ag__no_memory(const ag_tensor *t, size_t bytes);

/* reference.c */
bool ag__may_release(const ag__evaluation *e, const ag_tensor *t);
void ag__release_unneeded(ag_tensor *t); /* between evaluations: its value, if it may be */
/* Whether y may be written over x, if that has been read for the last time: x shows a variable's value, y is its
 * next. */
bool ag__may_overwrite(const ag__evaluation *e, const ag_tensor *x, const ag_tensor *y);
/* After t has been computed, or the value of which it is a part. */
void ag__leave_inputs(const ag__evaluation *e, ag_tensor *t);
/* The marked nodes among low … high−1, nothing in place; false: none is marked now. */
bool ag__run_reference(const ag__evaluation *e, uint32_t low, uint32_t high);
void ag__abandon(const ag__evaluation *e, uint32_t low, uint32_t high);

/* fused.c: all marked nodes; false: none is marked now */
bool ag__run_fused(const ag__evaluation *e);

/* plans.c */
void ag__plans_free(ag_tape *tape);

/* How it would divide the marked nodes: region[id] = 1, 2, … of a node that is computed in one sweep with
 * others, or in one step with a sum; unchanged of others. False for want of memory; nothing is raised. */
bool ag__plan_regions(const ag__evaluation *e, uint32_t *region);

/* eval.c */
bool ag__take_marks(ag__evaluation *e); /* all zero, for all nodes; false: out of memory, an error */
/* These, and what was assigned: AG__DEFER where the evaluator fuses, or else AG__NOW. */
bool ag__evaluate(ag_tape *tape, int n, ag_tensor *const x[]);
/* Carry out all assignments, when nodes from `from` on are not needed after that: AG__FINAL. */
void ag__evaluate_last(ag_tape *tape, uint32_t from);
void ag__settle_assignments(ag_tape *tape); /* after an error: each by itself, as far as they go; the error stays */

/* Watches the evaluations of a tape while tape->profiling: told of each thing that has been done, and when it began by
 * its own clock. None of these fails. `free` releases it with the tape. */
struct ag__chunk;
struct ag__plan;
struct ag__plan_step;
typedef struct ag__observer {
    int64_t (*now)(void);
    void (*computed)(ag_tensor *t, int64_t since); /* a node by itself */
    void (*step)(const struct ag__chunk *c, const struct ag__plan *plan, const struct ag__plan_step *step,
                 int64_t since);
    void (*planned)(ag_tape *tape, int64_t nodes, int64_t since);
    void (*evaluated)(ag_tape *tape, int64_t nodes, int64_t since);
    void (*free)(ag_tape *tape);
} ag__observer;

static inline int64_t ag__observed_from(const ag_tape *tape) { return tape->profiling ? tape->observer->now() : 0; }

#endif
