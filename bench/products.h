/* products -- a model's matrix products alone */
#ifndef BENCH_PRODUCTS_H
#define BENCH_PRODUCTS_H

#include "bench.h"

/* `times` products of each of `batch` matrices of m×k by k×n, with their gradients; a `constant` left operand needs
 * none. */
typedef struct product {
    int64_t batch, m, k, n;
    int times;
    bool constant;
} product;

void products_open(int n, const product *of, int threads); /* `of` stays */
void products_run(void);
bool products_close(void); /* false: something has failed */

#endif
