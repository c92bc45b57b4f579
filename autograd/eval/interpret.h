/* interpret -- programs of regions, strip by strip */
#ifndef AG_INTERPRET_H
#define AG_INTERPRET_H

#include "autograd/eval/plan.h"

/* A region whose tensors and memory are known. */
typedef struct ag__running {
    const ag__plan *plan;
    const ag__region *region;
    const ag__cell *cell;
    ag_tensor *const *table;
    char **base;             /* of each cell: memory of its tensor */
    uintptr_t *step;         /* of each cell's address, from a row to the next, */
    uint32_t *moves, moving; /* and the numbers of cells for which it is not 0 */
    char **partial;          /* of each fold that is finished after the last strip: partial folds */
    const void **attributes; /* for machine code */
} ag__running;

/* The unit of the division over threads is a strip; a group of rows where columns are folded. */
int64_t ag__region_units(const ag__region *g);

/* Elements of a unit; the last one may have fewer. */
int64_t ag__unit_elements(const ag__region *g);

/* The first element of a unit; the number of all, after the last one. */
int64_t ag__unit_start(const ag__region *g, int64_t unit);

/* Units first … end−1. scratch: g->temps units of memory; address: of each cell. */
void ag__run_units(const ag__running *r, int64_t first, int64_t end, char *scratch, char **address);

/* How many partial folds instruction q makes, which finishes after the last strip; of columns, for each. */
int64_t ag__partial_folds(const ag__region *g, const ag__instruction *q);

#endif
