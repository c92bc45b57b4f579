/* region -- running regions: their buffers, memory, and shares for threads */
#ifndef AG_REGION_H
#define AG_REGION_H

#include "autograd/eval/chunk.h"
#include "autograd/eval/plan.h"

/* A plan that runs. */
typedef struct ag__execution {
    const ag__chunk *c;
    const ag__plan *plan;
    size_t least; /* bytes that the run of any region takes for itself, which were provided before; 0: nothing was */
    ag__buffer *provided; /* these; NULL: each region asks for its own */
    int threads;          /* the most for a region, as when its memory was measured; 0: that has not been asked */
} ag__execution;

/* Give the outputs of a region their buffers. False, with an error and none of them, if out of memory. */
bool ag__region_make_outputs(const ag__execution *e, const ag__region *g);
void ag__region_drop_outputs(const ag__execution *e, const ag__region *g);

/* Compute those of its products that cannot be computed some rows at a time, before its memory is measured. False, with
 * an error, if one cannot be. */
bool ag__region_prepare(const ag__execution *e, const ag__region *g);

/* Bytes that the run takes besides. */
size_t ag__region_bytes(ag__execution *e, const ag__region *g);

/* False, with an error and without outputs, if out of memory. */
bool ag__region_run(ag__execution *e, const ag__region *g);

#endif
