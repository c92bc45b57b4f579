/* rows -- short rows: turned into columns, folded, and one element repeated along each
 *
 * A loop along a row of three elements is mostly the loop itself. So a block of such rows is turned into columns, in
 * the cache, by shuffles of whole vectors, and the loops go down the columns. */
#ifndef AG_ROWS_H
#define AG_ROWS_H

#include "autograd/eval/eval.h"
#include "autograd/tape/limits.h"

/* Whether rows of this many elements are folded by ag__fold_short. The order is that of the fold of few elements, and
 * that of columns: one after the other. */
static inline bool ag__is_short(int64_t columns) { return columns < AG__ROWS_A_GROUP; }

/* y[i] = the fold of x[i·columns + j] over j, for 0 <= i < rows; columns >= 1, and short. */
void ag__fold_short(const ag_reduction *op, int dtype, int64_t rows, int64_t columns, char *y, const char *x);

/* y[i·columns + j] = x[i] */
void ag__spread(char *y, const char *x, int64_t rows, int64_t columns, size_t bytes);

/* y[j·rows + i] = x[i·columns + j] */
void ag__turn(char *y, const char *x, int64_t rows, int64_t columns, size_t bytes);

/* y[j·beside + i] = x[i·across + j] for i < rows, j < columns; false if that is not done by shuffles, as of few rows or
 * columns, and nothing is done. */
bool ag__turn_block(void *y, int64_t beside, int64_t columns, const void *x, int64_t across, int64_t rows,
                    size_t bytes);

/* y[i·columns + j] = x[i·across + j·stride]; false: not for so many columns, and nothing is done. */
bool ag__interleave(char *y, const char *x, int64_t rows, int64_t columns, int64_t across, int64_t stride,
                    size_t bytes);

#endif
