/* dense -- factorisations of matrices in memory that need no other library: Gaussian elimination, Cholesky's, triangles
 *
 * Matrices are row-major; sizes and strides in elements. They are factored block by block by the kernels of matrix
 * products, on the calling thread: bits do not depend on the number of threads. */
#ifndef AG_DENSE_H
#define AG_DENSE_H

#include "ops/product.h"

/* A dtype, and scratch memory that is large enough for matrices of a size. */
typedef struct ag__dense {
    ag_dtype dtype;
    char *memory;   /* aligned to 64 */
    size_t negated; /* bytes of it that hold a part of a matrix; the rest is for products */
} ag__dense;

/* The bytes of such memory, for products (m,k)·(k,n): an elimination of m rows and n columns has these with k =
 * min(m,n), a triangle of m rows with k = m. A multiple of 64. */
size_t ag__dense_bytes(ag_dtype dtype, int64_t m, int64_t k, int64_t n);
ag__dense ag__dense_in(ag_dtype dtype, int64_t m, int64_t k, char *memory);

/* Rows of a are exchanged, and a becomes L, without its unit diagonal, and U. Whole rows of `width` elements, at
 * least n, are exchanged, so that what is behind the columns goes with them. */
void ag__lu(const ag__dense *d, int64_t m, int64_t n, void *a, int64_t ld, int64_t width);

/* b (n,k) = t⁻¹·b, with a triangle t of any strides. */
void ag__solve_triangle(const ag__dense *d, int64_t n, const void *t, int64_t t_row, int64_t t_column, bool lower,
                        bool unit, int64_t k, void *b, int64_t ld);

/* The upper triangle of a becomes r, with a = rᵀ·r; the first row whose pivot is not positive, or −1. */
int64_t ag__cholesky(const ag__dense *d, int64_t n, void *a, int64_t ld);

/* A product, of any strides. */
void ag__dense_product(const ag__dense *d, const ag__product *p);

/* y (m,n) = a (m,k)·b (k,n), all contiguous. */
void ag__dense_multiply(const ag__dense *d, int64_t m, int64_t n, int64_t k, void *y, const void *a, const void *b);

/* A square matrix, contiguous: a = P·L·U·Q, with the largest of all remaining elements as pivot. row[i], column[j]:
 * the row and column of a that became i and j. False if their exchanges are an odd number. */
bool ag__lu_complete(ag_dtype dtype, int64_t n, void *a, int64_t *row, int64_t *column);

/* Contiguous square matrices: rows of the upper triangle are divided by their diagonals, where these are not 0;
 * rows of the lower triangle are multiplied; y[row[i],column[j]] = a[i,j]. */
void ag__unit_rows(ag_dtype dtype, int64_t n, void *a);
void ag__scale_rows(ag_dtype dtype, int64_t n, void *a, const void *by);
void ag__place(ag_dtype dtype, int64_t n, void *y, const int64_t *row, const int64_t *column, const void *a);

/* y = Σ c[i]·x[i] for n finite elements, or that added to y; an x may be y. */
void ag__combine_three(ag_dtype dtype, int64_t n, void *y, const void *const x[3], const double c[3], bool add);

#endif
