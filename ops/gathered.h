/* gathered -- products with an operand that is no matrix in memory: its rows or columns are several strided axes */
#ifndef AG_GATHERED_H
#define AG_GATHERED_H

#include "autograd/eval/pack.h"

/* y[f,o] = Σₛ x[f,s]·other[s,o], added to y if `add`. x is gathered: each of its two axes is a walk over strided ones,
 * which may overlap. `other` is a matrix; strides are in elements. */
typedef struct ag__gathering {
    ag_dtype dtype;
    bool add;
    const char *x;
    ag__walk free, summed;
    const char *other;
    int64_t n; /* columns of `other` */
    int64_t other_summed, other_column;
    char *y;
    bool turned; /* y is contiguous along f, and not along o */
} ag__gathering;

/* The product, by threads; false, after an error, without memory. An element's bits depend on the number of terms
 * alone: they are those of ag__multiply_on. */
bool ag__multiply_gathered(const ag_call *call, const ag__gathering *g);

#endif
