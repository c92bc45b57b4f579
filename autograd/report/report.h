/* report -- what the explaining functions share: values as doubles, and leaving the tape as it was */
#ifndef AG_REPORT_H
#define AG_REPORT_H

#include "autograd/diff/diff.h"
#include "autograd/eval/eval.h"

/* ---- Values ---- */

/* The elements of a computed tensor as doubles, row-major, in memory of the report; NULL out of memory. */
double *ag__elements(ag_tensor *t, ag__buffer **memory);

/* ---- Leaving the tape as it was ---- */

/* The state of the nodes that are there now, as far as evaluating and differentiating may change it. */
typedef struct ag__snapshot {
    ag__position position;
    ag__buffer *memory; /* per node: its flags */
    uint64_t draws;
} ag__snapshot;

bool ag__snapshot_take(ag__snapshot *s, ag_tape *tape, const char *name);
void ag__snapshot_restore(const ag__snapshot *s, ag_tape *tape);

/* rounding.c: bounds on the rounding errors of c's elements; NULL: no errors; nil: unknown */
ag_tensor *ag__rounding_of(ag_tensor *c);

#endif
