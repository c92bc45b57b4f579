/* plans -- plans that are found again */
#ifndef AG_PLANS_H
#define AG_PLANS_H

#include "autograd/eval/chunk.h"
#include "autograd/eval/plan.h"

/* The memory for the structures of the tape's chunks; NULL if out of memory. */
ag__structure *ag__structure_of(ag_tape *tape);

/* The plan for the chunk that was taken last. NULL if there is none, because memory is out or because it is to wait
 * until the structure comes again: then the reference evaluator runs the chunk. */
ag__plan *ag__plan_for(const ag__chunk *c);
void ag__plan_done(ag_tape *tape, ag__plan *plan);

#endif
