/* chunk -- nodes of the tape that are planned together: numbered, and their structure written down
 *
 * A plan depends on its chunk's structure and on nothing else: operations, layouts, dtypes, attributes, wiring, and
 * which values are wanted afterwards, as a list of words. Chunks of equal words have one plan. Of numbers the words say
 * which are equal, and no more: a learning rate that decays is another one at each step, and a plan's programs read it
 * anew. */
#ifndef AG_CHUNK_H
#define AG_CHUNK_H

#include "autograd/eval/lists.h"
#include "autograd/tape/limits.h"

enum { AG__STRUCTURE_BUCKETS = AG__LIMIT(256, 4) };

typedef struct ag__known_layout { /* equal ones have one number */
    const ag__layout *layout;
    uint32_t number, next; /* next: of the same bucket, plus 1; 0: none */
} ag__known_layout;

typedef struct ag__known_number { /* that operations of the chunk were given; as bits, for 0 and −0 differ */
    uint64_t bits;
    uint32_t next; /* of the same bucket, plus 1; 0: none */
} ag__known_number;

typedef struct ag__structure {
    ag__numbers words;
    AG__LIST(ag__known_layout) layouts;           /* of the chunk, */
    uint32_t distinct;                            /* how many different ones, */
    uint32_t first_layout[AG__STRUCTURE_BUCKETS]; /* and the latest of each hash, plus 1; all 0 between chunks */
    uint32_t numbers;                             /* its distinct numbers, */
    ag__known_number number[AG__NUMBERS];
    uint32_t first_number[AG__STRUCTURE_BUCKETS]; /* and the latest of each hash, plus 1; likewise */
} ag__structure;

void ag__structure_free(ag_tape *tape, ag__structure *s);

typedef struct ag__node_use { /* of a node of the chunk */
    uint32_t first;           /* of its inputs, in `operand`; they end where the next node's begin */
    uint32_t uses, firsts;    /* by nodes of the chunk, and by those that have not run before */
    bool must;                /* its value may be wanted after the chunk */
    bool kept;                /* and is kept for that, which decides no order of a sum */
} ag__node_use;

typedef struct ag__chunk {
    const ag__evaluation *evaluation;
    ag_tape *tape;
    ag_tensor **table;     /* the tensor of each index */
    uint32_t nodes, count; /* of indices; those of nodes come first */
    ag__node_use *node;    /* nodes + 1 of them */
    uint32_t *operand;     /* indices of the nodes' inputs */
    bool final;            /* the sweep before a rewind, which writes the variables' next values */
    bool exact;            /* its values are the reference evaluator's, to the last bit */
    bool little;           /* a plan saves little: it must recur very often */
    ag__scratch scratch;   /* has these arrays */
} ag__chunk;

/* The next marked nodes from `low` on, at most AG__CHUNK; returns the id after the last one. */
uint32_t ag__chunk_measure(const ag__evaluation *e, uint32_t low, uint32_t high, ag__amount *amount);

/* Number the marked nodes from `low` on, as many as there are, and what they read; write their structure down. False if
 * out of memory; nothing is raised. To be dropped in any case. */
bool ag__chunk_take(const ag__evaluation *e, uint32_t low, const ag__amount *amount, ag__structure *s, ag__chunk *c);
void ag__chunk_drop(ag__chunk *c);

/* Whether t is random, or a user's source: its attributes change from step to step and are no part of a structure, so
 * that nothing about a plan may depend on them. */
static inline bool ag__is_drawn(const ag_tensor *t) {
    return t->op->kind == AG_KIND_SOURCE && !(t->op->flags & AG_OP_CONSTANT);
}

#endif
