/* multiply -- products of any size: which kernels compute them, in which parts
 *
 * Small ones are computed where the operands are, large ones are packed, and those that have one row or one column have
 * loops of their own. However long k is, only so much of it is summed up at a time, and such sums are joined pairwise: so
 * rounding errors do not grow with k. Invariant: an element's bits depend on the way, which depends on
 * strides and shape of the whole product, on its row of a and its column of b; not on the part of y in which it is. */
#include "autograd/internal.h"
#include "ops/product.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

/* The user's choice comes first, if it can be. */
static int unit(void) {
    static _Atomic int known; /* its number and 1 */
    if (known == 0) known = 1 + ag__unit_of(ag__features(), getenv("AG_KERNELS"));
    return known - 1;
}

/* ---- One row or one column ----
 *
 * y (n) = Bᵀ·x, for B (k,n): y[j] = Σₚ x[p]·b[p·row + j·column]. */

typedef struct lines {
    ag_dtype dtype;
    bool add;
    int64_t n, k, x_step, row, column;
    const char *x, *b;
    char *y;
} lines;

static lines lines_of(const ag__product *p) {
    const bool one_row = p->m == 1;
    return (lines){.dtype = p->dtype,
                   .add = p->add,
                   .n = one_row ? p->n : p->m,
                   .k = p->k,
                   .x_step = one_row ? p->a_column : p->b_row,
                   .row = one_row ? p->b_row : p->a_column,
                   .column = one_row ? p->b_column : p->a_row,
                   .x = one_row ? p->a : p->b,
                   .b = one_row ? p->b : p->a,
                   .y = p->y};
}

enum { LANES = AG__LANES, GROUP = AG__ROWS_A_GROUP, COLUMNS = AG__LIMIT(512, 16) };

/* y[r] = Σ x[i]·b[r·step + i] for r < ROWS, each as LANES sums side by side, which are joined by halves. Several at a time, for
 * one is a chain of additions. */
#define DOTS(name, type, ROWS)                                                                                         \
    AG_BLOCK_KERNEL static void name(int64_t n, const void *x_, const void *b_, int64_t step, void *y_, bool add) {    \
        const type *x = x_, *b = b_;                                                                                   \
        type lane[ROWS][LANES] = {{0}}, *y = y_;                                                                       \
        int64_t i = 0;                                                                                                 \
        for (; i + LANES <= n; i += LANES)                                                                             \
            for (int64_t r = 0; r < ROWS; r++) {                                                                       \
                AG_SIMD                                                                                                \
                for (int64_t l = 0; l < LANES; l++) lane[r][l] += x[i + l] * b[r * step + i + l];                      \
            }                                                                                                          \
        for (int64_t r = 0; r < ROWS; r++)                                                                             \
            for (int64_t l = 0; i + l < n; l++) lane[r][l] += x[i + l] * b[r * step + i + l];                          \
        for (int64_t half = LANES / 2; half > 0; half /= 2)                                                            \
            for (int64_t r = 0; r < ROWS; r++) {                                                                       \
                AG_SIMD                                                                                                \
                for (int64_t l = 0; l < half; l++) lane[r][l] += lane[r][l + half];                                    \
            }                                                                                                          \
        for (int64_t r = 0; r < ROWS; r++) y[r] = add ? y[r] + lane[r][0] : lane[r][0];                                \
    }
DOTS(dot_f32, float, 1)
DOTS(dot_f64, double, 1)
DOTS(dots_f32, float, 4)
DOTS(dots_f64, double, 4)

/* y[j] += Σ x[i]·b[i·row + j] for few i, at most GROUP. */
#define ADD_LINES(add_lines, type)                                                                                     \
    AG_BLOCK_KERNEL static void add_lines(int64_t n, int64_t k, const void *x_, const void *b_, int64_t row,           \
                                          void *y_) {                                                                  \
        const type *x = x_, *b = b_;                                                                                   \
        type sum[COLUMNS] = {0}, *y = y_;                                                                              \
        int64_t i = 0;                                                                                                 \
        for (; i + 4 <= k; i += 4, b += 4 * row) {                                                                     \
            const type p = x[i], q = x[i + 1], r = x[i + 2], s = x[i + 3];                                             \
            AG_SIMD                                                                                                    \
            for (int64_t j = 0; j < n; j++)                                                                            \
                sum[j] = sum[j] + p * b[j] + q * b[j + row] + r * b[j + 2 * row] + s * b[j + 3 * row];                 \
        }                                                                                                              \
        for (; i < k; i++, b += row) {                                                                                 \
            AG_SIMD                                                                                                    \
            for (int64_t j = 0; j < n; j++) sum[j] += x[i] * b[j];                                                     \
        }                                                                                                              \
        AG_SIMD                                                                                                        \
        for (int64_t j = 0; j < n; j++) y[j] += sum[j];                                                                \
    }
ADD_LINES(add_lines_f32, float)
ADD_LINES(add_lines_f64, double)

/* x, put together; k is at most AG__STRIP. */
static const char *together(const lines *l, char *room) {
    const size_t size = ag_dtype_size(l->dtype);
    if (l->x_step == 1) return l->x;
    ag__copy_matrix(size, room, (int64_t)size, l->x, l->x_step * (int64_t)size, (int64_t)size, l->k, 1);
    return room;
}

static void multiply_dots(const ag__product *p) {
    _Alignas(64) char room[AG__STRIP * 8];
    const lines l = lines_of(p);
    const int64_t size = (int64_t)ag_dtype_size(l.dtype);
    const char *x = together(&l, room);
    int64_t j = 0;
    for (; j + 4 <= l.n; j += 4)
        (l.dtype == AG_F32 ? dots_f32 : dots_f64)(l.k, x, l.b + j * l.column * size, l.column, l.y + j * size, l.add);
    for (; j < l.n; j++)
        (l.dtype == AG_F32 ? dot_f32 : dot_f64)(l.k, x, l.b + j * l.column * size, 0, l.y + j * size, l.add);
}

static void multiply_lines(const ag__product *p) {
    _Alignas(64) char room[AG__STRIP * 8];
    const lines l = lines_of(p);
    const int64_t size = (int64_t)ag_dtype_size(l.dtype);
    const char *x = together(&l, room);
    if (!l.add) memset(l.y, 0, (size_t)(l.n * size));
    for (int64_t q = 0; q < l.k; q += GROUP)
        for (int64_t j = 0; j < l.n; j += COLUMNS)
            (l.dtype == AG_F32 ? add_lines_f32 : add_lines_f64)(least(l.n - j, COLUMNS), least(l.k - q, GROUP),
                                                                x + q * size, l.b + (q * l.row + j) * size, l.row,
                                                                l.y + j * size);
}

/* ---- Which way ---- */

/* Up to which side of a cube packing does not pay. Without it, a is read where it is, which costs when its columns are
 * apart. Nor does it pay for few rows or columns, by which each packed element is multiplied. */
int ag__way_of(const ag__product *p) {
    enum { TINY_VECTOR = AG__LIMIT(512, 20), FEW = AG__LIMIT(64, 3), SHORT = AG__LIMIT(16, 3) };
    const double work = (double)p->m * (double)p->n * (double)p->k;
    const double side = p->a_column == 1 ? AG__LIMIT(160, 10) : AG__LIMIT(128, 8);
    const int64_t short_side = least(p->m, p->n);
    if (short_side > 1) return work <= side * side * side || short_side <= FEW ? AG__BY_TILES : AG__BY_PACKING;
    const lines l = lines_of(p);
    if (work <= TINY_VECTOR || (p->n == 1 && p->y_row != 1)) return AG__BY_TILES;
    if (l.row == 1) return AG__BY_DOTS;
    return l.column == 1 && l.n >= SHORT ? AG__BY_LINES : AG__BY_TILES;
}

/* ---- Parts ---- */

static ag__product inner_part(const ag__product *p, int64_t q, int64_t k) {
    const int64_t size = (int64_t)ag_dtype_size(p->dtype);
    ag__product part = *p;
    part.a = (const char *)p->a + q * p->a_column * size;
    part.b = (const char *)p->b + q * p->b_row * size;
    part.k = k;
    return part;
}

ag__product ag__part_of(const ag__product *p, int64_t i, int64_t m, int64_t j, int64_t n) {
    const int64_t size = (int64_t)ag_dtype_size(p->dtype);
    ag__product part = *p;
    part.a = (const char *)p->a + i * p->a_row * size;
    part.b = (const char *)p->b + j * p->b_column * size;
    part.y = (char *)p->y + (i * p->y_row + j) * size;
    part.m = m;
    part.n = n;
    return part;
}

/* How much of k is: about as many elements as a fold of a reduction has, or blocks of tiles. */
static int64_t summed_at_a_time(int way) {
    return way == AG__BY_DOTS || way == AG__BY_LINES ? AG__STRIP : AG__LONG_SUM;
}

/* Rows and columns of y that are computed at a time: those of a long sum need memory for what is to be joined. */
static int64_t part_rows(const ag__product *p, int way) {
    return p->k > summed_at_a_time(way) ? least(p->m, AG__PART_ROWS) : p->m;
}

static int64_t part_columns(const ag__product *p, int way) {
    if (p->k > summed_at_a_time(way)) return least(p->n, AG__PART_COLUMNS);
    return way == AG__BY_PACKING ? least(p->n, AG__PACKED_COLUMNS) : p->n;
}

/* The first part of a long sum: the largest that a binary tree has on its left. */
static int64_t left_half(int64_t k, int way) {
    int64_t half = summed_at_a_time(way);
    while (half < k - half) half *= 2;
    return half;
}

/* How many sums wait at most to be joined. */
static int waiting(int64_t k, int way) {
    int n = 0;
    for (; k > summed_at_a_time(way); n++) k = left_half(k, way);
    return n;
}

static size_t ceiling(size_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t sum_bytes(const ag__product *p) { return ceiling((size_t)(p->m * p->n) * ag_dtype_size(p->dtype)); }

size_t ag__multiply_bytes(const ag__product *p, int way) {
    ag__product part = *p;
    part.m = part_rows(p, way);
    part.n = part_columns(p, way);
    size_t packed = way == AG__BY_PACKING ? ceiling(ag__packed_bytes(unit(), &part)) : 0;
    return packed + (size_t)waiting(p->k, way) * sum_bytes(&part);
}

/* ---- Long sums ---- */

static void multiply_short(const ag__product *p, int way, void *memory) {
    switch (way) {
    case AG__BY_PACKING: ag__multiply_packed_on(unit(), p, memory); break;
    case AG__BY_DOTS: multiply_dots(p); break;
    case AG__BY_LINES: multiply_lines(p); break;
    default: ag__multiply_on(unit(), p);
    }
}

#define ADD_ROW(name, type)                                                                                            \
    AG_BLOCK_KERNEL static void name(int64_t n, void *y_, const void *x_) {                                            \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        AG_SIMD                                                                                                        \
        for (int64_t i = 0; i < n; i++) y[i] += x[i];                                                                  \
    }
ADD_ROW(add_row_f32, float)
ADD_ROW(add_row_f64, double)

/* spare: for the sums that wait; each is an (m,n) matrix without gaps. */
static void multiply_long(const ag__product *p, int way, void *memory, char *spare) {
    if (p->k <= summed_at_a_time(way)) {
        multiply_short(p, way, memory);
        return;
    }
    const int64_t half = left_half(p->k, way), size = (int64_t)ag_dtype_size(p->dtype);
    ag__product left = inner_part(p, 0, half), right = inner_part(p, half, p->k - half);
    right.add = false;
    right.y = spare;
    right.y_row = p->n;
    multiply_long(&left, way, memory, spare);
    multiply_long(&right, way, memory, spare + sum_bytes(p));
    for (int64_t i = 0; i < p->m; i++)
        (p->dtype == AG_F32 ? add_row_f32 : add_row_f64)(p->n, (char *)p->y + i * p->y_row * size,
                                                         spare + i * p->n * size);
}

void ag__multiply(const ag__product *p, int way, void *memory) {
    const int64_t rows = part_rows(p, way), columns = part_columns(p, way);
    char *spare = (char *)memory;
    if (way == AG__BY_PACKING) {
        const ag__product first = ag__part_of(p, 0, rows, 0, columns);
        spare += ceiling(ag__packed_bytes(unit(), &first));
    }
    for (int64_t j = 0; j < p->n; j += columns)
        for (int64_t i = 0; i < p->m; i += rows) {
            const ag__product part = ag__part_of(p, i, least(p->m - i, rows), j, least(p->n - j, columns));
            multiply_long(&part, way, memory, spare);
        }
}
