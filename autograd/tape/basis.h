/* basis -- the operations that the engine itself records
 *
 * They are defined in ops/ like all others; the engine knows no other operation by name. */
#ifndef AG_BASIS_H
#define AG_BASIS_H

#include "autograd/tape/op.h"

extern const ag_op ag__op_contiguous; /* copies a shared value before a variable takes it over */

/* Whether `op` is one of ag_op_at's, which are there as long as the library. In ops/list.c. */
bool ag__is_listed(const ag_op *op);

/* Whether `op` can add up a result of operation `product`, its input, part by part as these are computed: then the
 * product has no buffer. In ops/windows.c, as the next. */
bool ag__takes_parts(const ag_op *op, const ag_op *product);

/* Its eval: `product` is the call that would compute the product, without elements for y; the input's first element is
 * the product's element `offset`. */
bool ag__eval_by_parts(const ag_call *call, const ag_call *product, int64_t offset);

/* Matrix products whose rows may be computed some at a time, in ops/by_rows.c. Whether operation `op` is one; whether
 * this call can be, without `y` and with the bits of the whole; the memory, aligned to 64, for `most` rows at a time;
 * and these rows, two or more. */
bool ag__has_rows(const ag_op *op);
bool ag__rows_usable(const ag_call *call);
size_t ag__rows_bytes(const ag_call *call, int64_t most);
void ag__eval_rows(const ag_call *call, int64_t most, int64_t first, int64_t rows, void *y, void *memory);

/* The kernel of y[i] = y[i] ∘ x[i] on `rows` rows of n elements, `across` bytes from one to the next, one after the
 * other: of narrow rows, sums are kept in registers. In ops/folding.c. */
void ag__combine_rows(void (*combine)(int64_t, void *, const void *), int64_t n, void *y, const void *x, int64_t rows,
                      int64_t across);

/* ag_broadcast_to, of a shape in memory, for elementwise inputs of different shapes. In ops/shape.c. */
ag_tensor *ag__broadcast(ag_tensor *x, const ag_shape *shape);

#endif
