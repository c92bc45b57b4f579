/* lapack -- factorisations of one matrix by LAPACK, if it is there
 *
 * Matrices come row-major, and results are rows of vectors, as LAPACK's columns are in memory: nothing else turns
 * them. Each function returns 0, or LAPACK's number of what did not converge. Memory is the caller's, aligned to 64. */
#ifndef AG_LAPACK_H
#define AG_LAPACK_H

#include "autograd/tape/op.h"

/* Whether this build knows LAPACK, and it can be loaded: to be asked before the others are called. And whether its
 * integers hold the sizes of such a matrix and of the memory for it. */
bool ag__has_lapack(void);
bool ag__lapack_takes(int64_t m, int64_t n);

/* The bytes of memory that the functions need; SIZE_MAX if there is no such size. */
size_t ag__qr_bytes(ag_dtype dtype, int64_t m, int64_t n);
size_t ag__eigh_bytes(ag_dtype dtype, int64_t n);
size_t ag__svd_bytes(ag_dtype dtype, int64_t m, int64_t n);

/* a (n,m), the transpose of the matrix, becomes, in its first k = min(m,n) rows, the columns of q; r (k,n), with
 * rows `ld` apart, is written with zeros below its diagonal. */
int64_t ag__qr(ag_dtype dtype, int64_t m, int64_t n, void *a, void *r, int64_t ld, char *memory);

/* a (n,n), of which one triangle is read, with rows `ld` apart, becomes the eigenvectors as rows, or something else if
 * no vectors are wanted; w (n): the eigenvalues. */
int64_t ag__eigh(ag_dtype dtype, int64_t n, void *a, int64_t ld, void *w, bool vectors, char *memory);

/* a (m,n), which is overwritten; for k = min(m,n): the columns of u as rows (k,m) `ld` apart, s (k), and those of v
 * (k,n), `ld` apart. If u is NULL, s alone. */
int64_t ag__svd(ag_dtype dtype, int64_t m, int64_t n, void *a, void *u, void *s, void *v, int64_t ld, char *memory);

#endif
