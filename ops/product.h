/* product -- matrix products on the processor's vector units */
#ifndef AG_PRODUCT_H
#define AG_PRODUCT_H

#include "autograd/tape/op.h"

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

/* ---- product.c: kernels ---- */

/* For kinds of processors, the best first. The last one runs everywhere. */
enum { AG__AVX512, AG__AVX2, AG__PLAIN, AG__UNITS };
bool ag__has_unit(int unit);

enum { AG__HAS_AVX512F = 1, AG__HAS_AVX2 = 2, AG__HAS_FMA = 4 };
unsigned ag__features(void);
/* The unit that `wish` names ("avx512", "avx2", "plain"), if a processor with such features has it; else the best that it
 * has. */
int ag__unit_of(unsigned features, const char *wish);

/* An element's bits depend on the unit, its row of a, its column of b and what it is added to: on nothing else. So a
 * product may be computed in parts, and with packed operands or without. For those the second one needs memory, aligned to
 * 64. Rounding errors grow with k, in steps of AG__LONG_SUM. */
void ag__multiply_on(int unit, const ag__product *p);
void ag__multiply_packed_on(int unit, const ag__product *p, void *memory);
size_t ag__packed_bytes(int unit, const ag__product *p);

/* One row or one column of y, without gaps: by dot products, best where the other operand's elements are next to each other
 * along k, for at most AG__DOT steps of k; and by adding rows, best where they are along y, for at most AG__STRIP. Bits are
 * as above. */
void ag__multiply_dots_on(int unit, const ag__product *p);
void ag__multiply_lines_on(int unit, const ag__product *p);

/* rows × columns elements of 4 or 8 bytes, to where columns are next to each other; other strides in bytes. */
void ag__copy_matrix(size_t size, void *to, int64_t to_row, const void *from, int64_t row, int64_t column, int64_t rows,
                     int64_t columns);

/* ---- multiply.c: products of any size ---- */

/* How it is computed: by its kind and shape, so that its parts are computed as the whole is. */
enum { AG__BY_TILES, AG__BY_PACKING, AG__BY_DOTS, AG__BY_LINES, AG__BY_BLIS };
int ag__way_of(const ag__product *p);

/* By the best kernels; `memory`: so many bytes, aligned to 64. Parts have the bits of the whole. */
void ag__multiply(const ag__product *p, int way, void *memory);
size_t ag__multiply_bytes(const ag__product *p, int way);

/* By dot products and by lines, where y has few elements: the sum as `ag__pieces` sums, which may be computed in any order
 * and are joined as above. spare: y's bytes for each piece but the first. */
int64_t ag__pieces(const ag__product *p, int way);
void ag__multiply_piece(const ag__product *p, int way, int64_t i, void *spare);
void ag__join_pieces(const ag__product *p, int way, void *spare);

/* Of y, the part of m rows from i on and n columns from j on. */
ag__product ag__part_of(const ag__product *p, int64_t i, int64_t m, int64_t j, int64_t n);

/* ---- blis.c: large ones ---- */

#if AG_HAVE_BLIS
/* Whether BLIS is to compute p, which is worth packing, in so many shares at once: it is faster, and there is memory. */
bool ag__blis_takes(const ag__product *p, int shares);
void ag__multiply_by_blis(const ag__product *p);
/* The number of the kernels that BLIS is told to use where the user wishes these, or NULL; -1: none. */
int ag__blis_kernels(const char *wish);
#else
static inline bool ag__blis_takes(const ag__product *p, int shares) { return (void)p, (void)shares, false; }
static inline void ag__multiply_by_blis(const ag__product *p) { (void)p; }
#endif

#endif
