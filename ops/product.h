/* product -- matrix products on the processor's vector units: the best way for all that is not large */
#ifndef AG_PRODUCT_H
#define AG_PRODUCT_H

#include "autograd/op.h"

/* y (m,n) = a (m,k)·b (k,n), added to what y holds if `add` says so; m, n and k are at least 1. Strides in elements, of
 * rows and of columns, any; the columns of y are next to each other. */
typedef struct ag__product {
    ag_dtype dtype;
    bool add;
    int64_t m, n, k;
    const void *a, *b;
    void *y;
    int64_t a_row, a_column, b_row, b_column, y_row;
} ag__product;

/* What computes: kernels for kinds of processors, the best first. The last one runs everywhere. */
enum { AG__AVX512, AG__AVX2, AG__PLAIN, AG__UNITS };
bool ag__has_unit(int unit);

/* An element's bits depend on the unit, its row of a, its column of b and what it is added to: on nothing else. So a
 * product may be computed in parts. */
void ag__multiply_on(int unit, const ag__product *p);
void ag__multiply(const ag__product *p); /* on the best */

/* rows × columns elements of 4 or 8 bytes, to where columns are next to each other; other strides in bytes. */
void ag__copy_matrix(size_t size, void *to, int64_t to_row, const void *from, int64_t row, int64_t column, int64_t rows,
                     int64_t columns);

#endif
