/* dense -- see dense.h
 *
 * Each factorisation divides its matrix in two until few columns are left, for which there is a kernel. Nearly all
 * of the arithmetic is then in products, which are subtracted from the rest: of a negated copy of the left operand. */
#include "ops/dense.h"
#include "autograd/tape/limits.h"

#include <math.h>

enum { NARROW = AG__LIMIT(16, 3), SHORT = AG__LIMIT(256, 8) }; /* columns of a kernel; terms of a product */

/* "But for the largest of them": where the compiler is told nothing, one element is taken after the other. */
#if defined __GNUC__ && !defined AG_SIMD_MOST
#define AG_SIMD_MOST(most) AG_SIMD_REDUCED(omp simd reduction(max : most))
#define AG_SIMD_REDUCED(text) _Pragma(#text)
#elif !defined AG_SIMD_MOST
#define AG_SIMD_MOST(most)
#endif

#define LU_PANEL lu_panel_f32
#define SOLVE_TRIANGLE solve_triangle_f32
#define CHOLESKY_BLOCK cholesky_block_f32
#define LU_COMPLETE lu_complete_f32
#define LU_STEP lu_step_f32
#define UNIT_ROWS unit_rows_f32
#define SCALE_ROWS scale_rows_f32
#define PLACE place_f32
#define NEGATE negate_f32
#define COMBINE_THREE combine_three_f32
#define REAL float
#define ABSOLUTE fabsf
#define ROOT sqrtf
#include "ops/dense_kernels.h"

#define LU_PANEL lu_panel_f64
#define SOLVE_TRIANGLE solve_triangle_f64
#define CHOLESKY_BLOCK cholesky_block_f64
#define LU_COMPLETE lu_complete_f64
#define LU_STEP lu_step_f64
#define UNIT_ROWS unit_rows_f64
#define SCALE_ROWS scale_rows_f64
#define PLACE place_f64
#define NEGATE negate_f64
#define COMBINE_THREE combine_three_f64
#define REAL double
#define ABSOLUTE fabs
#define ROOT sqrt
#include "ops/dense_kernels.h"

static const void *at(const ag__dense *d, const void *a, int64_t elements) {
    return (const char *)a + elements * (int64_t)ag_dtype_size(d->dtype);
}

static void *in(const ag__dense *d, void *a, int64_t elements) {
    return (char *)a + elements * (int64_t)ag_dtype_size(d->dtype);
}

/* ---- Products ---- */

static size_t most_bytes(const ag__product *p) {
    size_t most = 0;
    for (int way = AG__BY_TILES; way <= AG__BY_LINES; way++) {
        const size_t bytes = ag__multiply_bytes(p, way);
        if (bytes > most) most = bytes;
    }
    return most;
}

static size_t negated_bytes(ag_dtype dtype, int64_t m, int64_t k) {
    const uint64_t terms = (uint64_t)ag__lesser(k, SHORT);
    return ag__rounded(ag__times((uint64_t)m, ag__times(terms, ag_dtype_size(dtype))), 64);
}

size_t ag__dense_bytes(ag_dtype dtype, int64_t m, int64_t k, int64_t n) {
    const ag__product p = {
        .dtype = dtype, .m = m, .n = n, .k = k, .a_row = k, .a_column = 1, .b_row = n, .b_column = 1, .y_row = n};
    return m == 0 || n == 0 || k == 0 ? 0 : ag__plus(negated_bytes(dtype, m, k), ag__rounded(most_bytes(&p), 64));
}

ag__dense ag__dense_in(ag_dtype dtype, int64_t m, int64_t k, char *memory) {
    return (ag__dense){.dtype = dtype, .memory = memory, .negated = negated_bytes(dtype, m, k)};
}

void ag__dense_product(const ag__dense *d, const ag__product *p) {
    ag__multiply(p, ag__way_of(p), d->memory + d->negated);
}

void ag__dense_multiply(const ag__dense *d, int64_t m, int64_t n, int64_t k, void *y, const void *a, const void *b) {
    ag__dense_product(d, &(ag__product){.dtype = d->dtype,
                                        .m = m,
                                        .n = n,
                                        .k = k,
                                        .a = a,
                                        .b = b,
                                        .y = y,
                                        .a_row = k,
                                        .a_column = 1,
                                        .b_row = n,
                                        .b_column = 1,
                                        .y_row = n});
}

void ag__combine_three(ag_dtype dtype, int64_t n, void *y, const void *const x[3], const double c[3], bool add) {
    if (dtype == AG_F32) combine_three_f32(n, y, x, c, add);
    else combine_three_f64(n, y, x, c, add);
}

/* y (m,n) −= a (m,k)·b (k,n); the columns of b and of y are contiguous. */
static void subtract(const ag__dense *d, int64_t m, int64_t n, int64_t k, void *y, int64_t y_row, const void *a,
                     int64_t a_row, int64_t a_column, const void *b, int64_t b_row) {
    for (int64_t from = 0; from < k && m > 0 && n > 0; from += SHORT) {
        const int64_t terms = ag__lesser(k - from, SHORT);
        const void *part = at(d, a, from * a_column);
        if (d->dtype == AG_F32) negate_f32(m, terms, (void *)d->memory, part, a_row, a_column);
        else negate_f64(m, terms, (void *)d->memory, part, a_row, a_column);
        ag__dense_product(d, &(ag__product){.dtype = d->dtype,
                                            .add = true,
                                            .m = m,
                                            .n = n,
                                            .k = terms,
                                            .a = d->memory,
                                            .b = at(d, b, from * b_row),
                                            .y = y,
                                            .a_row = terms,
                                            .a_column = 1,
                                            .b_row = b_row,
                                            .b_column = 1,
                                            .y_row = y_row});
    }
}

static int64_t half_of(int64_t n) { return (n / 2 + NARROW - 1) / NARROW * NARROW; }

/* ---- Triangles ---- */

void ag__solve_triangle(const ag__dense *d, int64_t n, const void *t, int64_t t_row, int64_t t_column, bool lower,
                        bool unit, int64_t k, void *b, int64_t ld) {
    if (n <= NARROW) {
        if (d->dtype == AG_F32) solve_triangle_f32(n, t, t_row, t_column, lower, unit, k, b, ld);
        else solve_triangle_f64(n, t, t_row, t_column, lower, unit, k, b, ld);
        return;
    }
    const int64_t h = half_of(n), rest = n - h;
    const void *last = at(d, t, h * (t_row + t_column));
    void *below = in(d, b, h * ld);
    if (lower) {
        ag__solve_triangle(d, h, t, t_row, t_column, lower, unit, k, b, ld);
        subtract(d, rest, k, h, below, ld, at(d, t, h * t_row), t_row, t_column, b, ld);
        ag__solve_triangle(d, rest, last, t_row, t_column, lower, unit, k, below, ld);
    } else {
        ag__solve_triangle(d, rest, last, t_row, t_column, lower, unit, k, below, ld);
        subtract(d, h, k, rest, b, ld, at(d, t, h * t_column), t_row, t_column, below, ld);
        ag__solve_triangle(d, h, t, t_row, t_column, lower, unit, k, b, ld);
    }
}

/* ---- Gaussian elimination ---- */

static void exchange(char *a, char *b, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const char x = a[i];
        a[i] = b[i];
        b[i] = x;
    }
}

/* The rest of the rows that the panel of columns c … c+w−1 has exchanged. */
static void exchange_rest(const ag__dense *d, int64_t c, int64_t w, int64_t count, void *a, int64_t ld, int64_t width,
                          const int64_t *pivot) {
    const size_t size = ag_dtype_size(d->dtype);
    for (int64_t j = 0; j < count; j++) {
        if (pivot[j] == j) continue;
        char *p = in(d, a, (c + j) * ld), *q = in(d, a, (c + pivot[j]) * ld);
        const size_t end = (size_t)(c + w) * size;
        exchange(p, q, (size_t)c * size);
        exchange(p + end, q + end, (size_t)width * size - end);
    }
}

/* Columns c … c+w−1, and rows from c on. */
static void lu_columns(const ag__dense *d, int64_t m, int64_t c, int64_t w, void *a, int64_t ld, int64_t width) {
    void *corner = in(d, a, c * (ld + 1));
    if (w <= NARROW) {
        int64_t pivot[NARROW];
        if (d->dtype == AG_F32) lu_panel_f32(m - c, w, corner, ld, pivot);
        else lu_panel_f64(m - c, w, corner, ld, pivot);
        exchange_rest(d, c, w, ag__lesser(w, m - c), a, ld, width, pivot);
        return;
    }
    const int64_t h = half_of(w);
    lu_columns(d, m, c, h, a, ld, width);
    void *right = in(d, corner, h), *left = in(d, corner, h * ld);
    ag__solve_triangle(d, h, corner, ld, 1, true, true, w - h, right, ld);
    subtract(d, m - c - h, w - h, h, in(d, left, h), ld, left, ld, 1, right, ld);
    lu_columns(d, m, c + h, w - h, a, ld, width);
}

void ag__lu(const ag__dense *d, int64_t m, int64_t n, void *a, int64_t ld, int64_t width) {
    const int64_t k = ag__lesser(m, n);
    lu_columns(d, m, 0, k, a, ld, width);
    if (n > k) ag__solve_triangle(d, k, a, ld, 1, true, true, n - k, in(d, a, k), ld);
}

bool ag__lu_complete(ag_dtype dtype, int64_t n, void *a, int64_t *row, int64_t *column) {
    return dtype == AG_F32 ? lu_complete_f32(n, a, row, column) : lu_complete_f64(n, a, row, column);
}

void ag__unit_rows(ag_dtype dtype, int64_t n, void *a) {
    if (dtype == AG_F32) unit_rows_f32(n, a);
    else unit_rows_f64(n, a);
}

void ag__scale_rows(ag_dtype dtype, int64_t n, void *a, const void *by) {
    if (dtype == AG_F32) scale_rows_f32(n, a, by);
    else scale_rows_f64(n, a, by);
}

void ag__place(ag_dtype dtype, int64_t n, void *y, const int64_t *row, const int64_t *column, const void *a) {
    if (dtype == AG_F32) place_f32(n, y, row, column, a);
    else place_f64(n, y, row, column, a);
}

/* ---- Cholesky's factorisation ---- */

int64_t ag__cholesky(const ag__dense *d, int64_t n, void *a, int64_t ld) {
    if (n <= NARROW) return d->dtype == AG_F32 ? cholesky_block_f32(n, a, ld) : cholesky_block_f64(n, a, ld);
    const int64_t h = half_of(n);
    int64_t failed = ag__cholesky(d, h, a, ld);
    if (failed >= 0) return failed;
    void *right = in(d, a, h), *rest = in(d, a, h * (ld + 1));
    ag__solve_triangle(d, h, a, 1, ld, true, false, n - h, right, ld); /* r₁₁ᵀ·r₁₂ = a₁₂ */
    subtract(d, n - h, n - h, h, rest, ld, right, 1, ld, right, ld);
    failed = ag__cholesky(d, n - h, rest, ld);
    return failed < 0 ? -1 : h + failed;
}
