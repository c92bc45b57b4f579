/* multiply -- products of any size: the kernels and the parts that compute them
 *
 * Small products read the operands where they are, large ones pack them, and those with one row or column have
 * kernels of their own. At most a fixed length of k is summed at a time, and such sums are joined pairwise, so
 * rounding errors do not grow with k. Invariant: an element's bits depend on its row of a, its column of b and the
 * way, which depends on strides and shape of the whole product; not on the part of y that it is in. */
#include "autograd/eval/eval.h"
#include "ops/product.h"
#include "ops/rules.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

int ag__product_unit(void) {
    static _Atomic int known; /* the unit + 1; 0: not known yet */
    if (known == 0) known = 1 + ag__unit_of(ag__features(), getenv("AG_KERNELS"));
    return known - 1;
}

/* ---- The way ---- */

/* Packing does not pay up to a cube of some side, which is smaller if a's columns are apart, and larger for a few dozen
 * rows; nor for few rows or columns, because each packed element is used so many times, unless b is too large for the
 * second-level cache. */
static bool pays_to_pack(const ag__product *p, double work) {
    enum { FEW = AG__LIMIT(64, 3), LARGE = AG__LIMIT(3 << 19, 500) };
    const double side = p->a_column != 1  ? AG__LIMIT(144, 8)
                        : p->m <= 2 * FEW ? AG__LIMIT(208, 11)
                                          : AG__LIMIT(200, 10);
    if (work <= side * side * side || p->n <= FEW || p->m <= FEW / 2) return false;
    return p->m > FEW || (double)p->n * (double)p->k * (double)ag_dtype_size(p->dtype) > LARGE;
}

int ag__way_of(const ag__product *p) {
    enum { TINY_VECTOR = AG__LIMIT(512, 20), SHORT = AG__LIMIT(16, 4), FEW_DOTS = AG__LIMIT(3, 2) };
    const double work = (double)p->m * (double)p->n * (double)p->k;
    if (p->m > 1 && p->n > 1) return pays_to_pack(p, work) ? AG__BY_PACKING : AG__BY_TILES;
    if (work <= TINY_VECTOR || (p->n == 1 && p->y_row != 1)) return AG__BY_TILES;
    const int64_t down = p->m == 1 && (p->n > 1 || p->b_row == 1) ? p->b_row : p->a_column;
    const int64_t along = p->m == 1 ? p->b_column : p->a_row, outputs = p->m * p->n;
    if (down == 1 || outputs <= FEW_DOTS) return AG__BY_DOTS;
    if (outputs < SHORT) return AG__BY_TILES;
    return llabs(down) < llabs(along) ? AG__BY_DOTS : AG__BY_LINES;
}

bool ag__is_small(const ag__product *p, int way) {
    enum { SMALL = AG__LIMIT(512, 12) };
    return way == AG__BY_TILES && p->k <= AG__SMALL_SUM && p->n <= ag__panel_columns(ag__product_unit(), p->dtype) &&
           p->m * p->n * p->k <= SMALL;
}

/* ---- Parts ---- */

/* The element that is `elements` further on. */
static const void *beyond(const ag__product *p, const void *operand, int64_t elements) {
    return (const char *)operand + elements * (int64_t)ag_dtype_size(p->dtype);
}

static ag__product inner_part(const ag__product *p, int64_t q, int64_t k) {
    ag__product part = *p;
    part.a = beyond(p, p->a, q * p->a_column);
    part.b = beyond(p, p->b, q * p->b_row);
    part.k = k;
    return part;
}

ag__product ag__part_of(const ag__product *p, int64_t i, int64_t m, int64_t j, int64_t n) {
    ag__product part = *p;
    part.a = beyond(p, p->a, i * p->a_row);
    part.b = beyond(p, p->b, j * p->b_column);
    part.y = (char *)p->y + (i * p->y_row + j) * (int64_t)ag_dtype_size(p->dtype);
    part.m = m;
    part.n = n;
    return part;
}

/* The length of k that is summed at a time: about a strip of a reduction, or blocks of tiles. */
static int64_t summed_at_a_time(const ag__product *p, int way) {
    if (way == AG__BY_DOTS) return p->dtype == AG_F32 ? AG__DOT_F32 : AG__DOT_F64;
    return way == AG__BY_LINES ? AG__STRIP : AG__LONG_SUM;
}

/* Rows and columns of y computed at a time: few for a long sum, which needs memory for the sums to be joined. */
static int64_t part_rows(const ag__product *p, int way) {
    return p->k > summed_at_a_time(p, way) ? ag__lesser(p->m, AG__PART_ROWS) : p->m;
}

static int64_t part_columns(const ag__product *p, int way) {
    if (p->k > summed_at_a_time(p, way)) return ag__lesser(p->n, AG__PART_COLUMNS);
    return way == AG__BY_PACKING ? ag__lesser(p->n, AG__PACKED_COLUMNS) : p->n;
}

/* The first part of a long sum: the left subtree of a binary tree. */
static int64_t left_half(int64_t k, int64_t at_a_time) {
    int64_t half = at_a_time;
    while (half < k - half) half *= 2;
    return half;
}

/* The largest number of sums that wait to be joined. */
static int waiting(const ag__product *p, int way) {
    const int64_t each = summed_at_a_time(p, way);
    int n = 0;
    for (int64_t k = p->k; k > each; n++) k = left_half(k, each);
    return n;
}

static size_t ceiling(size_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t sum_bytes(const ag__product *p) { return ceiling((size_t)(p->m * p->n) * ag_dtype_size(p->dtype)); }

/* The largest of the products that are computed at a time. */
static ag__product largest_part(const ag__product *p, int way) {
    ag__product part = *p;
    part.m = part_rows(p, way);
    part.n = part_columns(p, way);
    part.k = ag__lesser(p->k, summed_at_a_time(p, way));
    return part;
}

static size_t packed_bytes(const ag__product *largest, int way) {
    return way == AG__BY_PACKING ? ceiling(ag__packed_bytes(ag__product_unit(), largest)) : 0;
}

size_t ag__multiply_bytes(const ag__product *p, int way) {
    if (way != AG__BY_PACKING && p->k <= summed_at_a_time(p, way)) return 0;
    const ag__product largest = largest_part(p, way);
    return packed_bytes(&largest, way) + (size_t)waiting(p, way) * sum_bytes(&largest);
}

/* ---- Long sums ---- */

static void multiply_short(const ag__product *p, int way, void *memory) {
    switch (way) {
    case AG__BY_PACKING: ag__multiply_packed_on(ag__product_unit(), p, memory); break;
    case AG__BY_DOTS: ag__multiply_dots_on(ag__product_unit(), p); break;
    case AG__BY_LINES: ag__multiply_lines_on(ag__product_unit(), p); break;
    case AG__BY_BLIS: ag__multiply_by_blis(p); break;
    default: ag__multiply_on(ag__product_unit(), p);
    }
}

/* spare: memory for the waiting sums, each a contiguous (m,n) matrix. */
static void multiply_long(const ag__product *p, int way, void *memory, char *spare) {
    if (p->k <= summed_at_a_time(p, way)) {
        multiply_short(p, way, memory);
        return;
    }
    const int64_t half = left_half(p->k, summed_at_a_time(p, way)), size = (int64_t)ag_dtype_size(p->dtype);
    ag__product left = inner_part(p, 0, half), right = inner_part(p, half, p->k - half);
    right.add = false;
    right.y = spare;
    right.y_row = p->n;
    multiply_long(&left, way, memory, spare);
    multiply_long(&right, way, memory, spare + sum_bytes(p));
    for (int64_t i = 0; i < p->m; i++)
        ag__reduction_sum.combine[p->dtype](p->n, (char *)p->y + i * p->y_row * size, spare + i * p->n * size);
}

void ag__multiply(const ag__product *p, int way, void *memory) {
    if (way != AG__BY_PACKING && p->k <= summed_at_a_time(p, way)) {
        multiply_short(p, way, NULL);
        return;
    }
    const ag__product largest = largest_part(p, way);
    char *spare = (char *)memory + packed_bytes(&largest, way);
    for (int64_t j = 0; j < p->n; j += largest.n)
        for (int64_t i = 0; i < p->m; i += largest.m) {
            const ag__product part =
                ag__part_of(p, i, ag__lesser(p->m - i, largest.m), j, ag__lesser(p->n - j, largest.n));
            multiply_long(&part, way, memory, spare);
        }
}

/* ---- Pieces of a long sum ----
 *
 * Piece i is a leaf of the tree that joins a long sum. The first is written to y, the others to `spare`. */

int64_t ag__pieces(const ag__product *p, int way) {
    const int64_t each = summed_at_a_time(p, way);
    return (p->k - 1) / each + 1;
}

static char *piece_at(const ag__product *p, void *spare, int64_t i) {
    return i == 0 ? p->y : (char *)spare + (size_t)(i - 1) * (size_t)(p->m * p->n) * ag_dtype_size(p->dtype);
}

void ag__multiply_piece(const ag__product *p, int way, int64_t i, void *spare) {
    const int64_t each = summed_at_a_time(p, way), from = i * each;
    ag__product piece = inner_part(p, from, ag__lesser(p->k - from, each));
    piece.y = piece_at(p, spare, i);
    piece.add = p->add && i == 0;
    multiply_short(&piece, way, NULL);
}

void ag__join_pieces(const ag__product *p, int way, void *spare) {
    const int64_t count = ag__pieces(p, way);
    for (int64_t step = 1; step < count; step *= 2)
        for (int64_t i = 0; i + step < count; i += 2 * step)
            ag__reduction_sum.combine[p->dtype](p->m * p->n, piece_at(p, spare, i), piece_at(p, spare, i + step));
}
