/* gathered -- products with an operand that is no matrix in memory: its rows or columns are several strided axes */
#ifndef AG_GATHERED_H
#define AG_GATHERED_H

#include "autograd/eval/pack.h"
#include "ops/product.h"

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

/* ---- tensordot.c ---- */

/* The product that `input`, a call of tensordot, would compute, without y; its operands are matrices, or are copied as
 * such with memory of `call`. Unless it is `usable`, some rows of it at a time might have other bits. False, after an
 * error, without memory. */
bool ag__tensordot_rows(const ag_call *call, const ag_call *input, ag__product *p, bool *usable);

#endif
