/* product -- matrix products on the processor's vector units */
#ifndef AG_PRODUCT_H
#define AG_PRODUCT_H

#include "autograd/tape/op.h"

/* y (m,n) = a (m,k)·b (k,n), added to y if `add`; m, n and k are at least 1. Any strides, in elements, of rows and
 * of columns; the columns of y are contiguous. */
typedef struct ag__product {
    ag_dtype dtype;
    bool add;
    int64_t m, n, k;
    const void *a, *b;
    void *y;
    int64_t a_row, a_column, b_row, b_column, y_row;
} ag__product;

/* ---- product.c: kernels ---- */

/* Units for kinds of processors, the best first. The last one runs everywhere. */
enum { AG__AVX512, AG__AVX2, AG__BASELINE, AG__UNITS };
bool ag__has_unit(int unit);

unsigned ag__features(void);
/* The unit that `wish` names ("avx512", "avx2", "plain"), if a processor with these features has it; else its best. */
int ag__unit_of(unsigned features, const char *wish);

/* An element's bits depend only on the unit, its row of a, its column of b and the value it is added to. So a
 * product may be computed in parts, with packed operands or without. The second function packs, into memory aligned
 * to 64. Rounding errors grow with k, so multiply.c gives at most AG__LONG_SUM of it. */
void ag__multiply_on(int unit, const ag__product *p);
void ag__multiply_packed_on(int unit, const ag__product *p, void *memory);
/* `count` products at these distances, in elements, whose rows of y go on; n is at most a panel's, k AG__SMALL_SUM. */
void ag__multiply_some_on(int unit, const ag__product *p, int64_t count, int64_t a_next, int64_t b_next);
size_t ag__packed_bytes(int unit, const ag__product *p);

/* y (m,width) = a·b, added to y if `add`: a panel, of at most as many columns as the unit has; columns of b and y are
 * contiguous, and b has all columns of a panel where the unit needs that. Steps along k go through runs of a: `first`
 * steps, then `run` of them at a time, with a jump of so many elements, beyond the step, to the next run; `chain`
 * of them at a time are added up in sequence, or less, up to the end of a run. */
typedef struct ag__panel {
    int64_t m, width, k, first, run, chain;
    const int64_t *jump;
    const void *a, *b;
    void *y;
    int64_t a_row, a_column, b_row, y_row;
    int64_t lines; /* packed: of the next panel of b, to be brought nearer with each chain of each tile */
    bool add;
    int64_t beyond;               /* INT64_MAX: chains go on from run to run; 0: they end with a run */
    int64_t more, a_next, b_next; /* so many others follow at such distances, and the rows of y go on */
} ag__panel;

void ag__multiply_panel_on(int unit, ag_dtype dtype, ag__panel *t);
int64_t ag__panel_columns(int unit, ag_dtype dtype);

/* The blocks of such a sum: as few as can be, of whole chains and equal length; the last may be shorter. */
int64_t ag__block_of(int64_t k);

/* One contiguous row or column of y: by dot products, best if the other operand is contiguous along k, for k of at
 * most AG__DOT_F32 or AG__DOT_F64; and by adding rows, best if it is contiguous along y, for k of at most AG__STRIP.
 * Bits are as above. */
void ag__multiply_dots_on(int unit, const ag__product *p);
void ag__multiply_lines_on(int unit, const ag__product *p);

/* Copy rows × columns elements of 4 or 8 bytes to contiguous columns; the other strides are in bytes. */
void ag__copy_matrix(size_t size, void *to, int64_t to_row, const void *from, int64_t row, int64_t column, int64_t rows,
                     int64_t columns);

/* ---- multiply.c: products of any size ---- */

/* The unit that is used: the user's choice, if the processor has it; else the best. */
int ag__product_unit(void);

/* How a product is computed: chosen for the whole product, and used for all its parts. */
enum { AG__BY_TILES, AG__BY_PACKING, AG__BY_DOTS, AG__BY_LINES, AG__BY_BLIS };
int ag__way_of(const ag__product *p);
/* Whether products of a batch are so small that ag__multiply_some_on is for them. */
bool ag__is_small(const ag__product *p, int way);

/* The product by the best kernels; `memory`: this many bytes, aligned to 64. Parts have the bits of the whole. */
void ag__multiply(const ag__product *p, int way, void *memory);
size_t ag__multiply_bytes(const ag__product *p, int way);

/* The product by dot products and by lines, where y has few elements: the sum in `ag__pieces` pieces, which may be
 * computed in any order and are joined as above. spare: y's bytes for each piece but the first. */
int64_t ag__pieces(const ag__product *p, int way);
void ag__multiply_piece(const ag__product *p, int way, int64_t i, void *spare);
void ag__join_pieces(const ag__product *p, int way, void *spare);

/* The part of y of m rows from i on and n columns from j on. */
ag__product ag__part_of(const ag__product *p, int64_t i, int64_t m, int64_t j, int64_t n);

/* ---- batch.c: matrix products of tensors, as an operation's infer and eval ---- */

bool ag__matmul_infer(ag_infer *r);
bool ag__matmul_eval(const ag_call *call);
/* The first product of a call. */
ag__product ag__first_product(const ag_call *call);

/* ---- strong_matmul.c ---- */

/* Whether all elements are finite; of those that strides show again and again, each is looked at once. */
bool ag__all_finite(const ag_array *x);
/* Whether the elements that the strong zeros of such a call may meet are all finite: then it is a plain product. */
bool ag__meets_finite(const ag_call *call);

/* ---- blis.c: large products ---- */

#if AG_HAVE_BLIS
/* Whether BLIS computes p, which is worth packing, in this many shares at once: if it is faster, and memory
 * suffices. */
bool ag__blis_takes(const ag__product *p, int shares);
void ag__multiply_by_blis(const ag__product *p);
/* The number of the kernels for BLIS, given the user's wish or NULL; -1: BLIS chooses. */
int ag__blis_kernels(const char *wish);
#else
static inline bool ag__blis_takes(const ag__product *p, int shares) { return (void)p, (void)shares, false; }
static inline void ag__multiply_by_blis(const ag__product *p) { (void)p; }
#endif

#endif
