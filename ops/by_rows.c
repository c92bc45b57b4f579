/* by_rows -- matrix products of which some rows at a time are computed, for a region that reads them so
 *
 * A product's bits are the same by tiles and by packing, in any part of it: so each part may choose between these. A
 * product with a vector, one by BLIS, and one whose strong zeros meet elements that are not finite, are computed
 * whole. */
#include "autograd/tape/basis.h"
#include "ops/product.h"
#include "ops/rules.h"

bool ag__has_rows(const ag_op *op) { return op == &ag__op_matmul || op == &ag__op_strong_matmul; }

bool ag__rows_usable(const ag_call *call) {
    if (call->y.rank != 2 || call->y.size == 0 || call->x[0].shape[1] == 0) return false;
    const ag__product p = ag__first_product(call);
    if (p.m < 2 || p.n < 2 || ag__blis_takes(&p, 1)) return false;
    return ag_op_of(call->node) == &ag__op_matmul || ag__meets_finite(call);
}

static ag__product rows_of(const ag_call *call, int64_t first, int64_t rows) {
    const ag__product p = ag__first_product(call);
    return ag__part_of(&p, first, rows, 0, p.n);
}

size_t ag__rows_bytes(const ag_call *call, int64_t most) {
    const ag__product p = rows_of(call, 0, most);
    return ag__multiply_bytes(&p, ag__way_of(&p));
}

void ag__eval_rows(const ag_call *call, int64_t most, int64_t first, int64_t rows, void *y, void *memory) {
    const ag__product largest = rows_of(call, 0, most);
    ag__product p = rows_of(call, first, rows);
    p.y = y;
    ag__multiply(&p, ag__way_of(&largest), memory);
}
