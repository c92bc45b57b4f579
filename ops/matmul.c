/* matmul -- matrix products, by BLIS: the only file that knows it
 *
 * BLIS aborts on bad arguments, so nothing reaches it that was not checked. A product's bits depend on its shape and
 * strides only: these choose between a kernel of our own for tiny products, BLIS's path for small ones, whose bits vary
 * with the number of threads and which therefore gets one, and BLIS's path for all others, whose bits do not vary. */
#define _POSIX_C_SOURCE 200809L

#include "autograd/internal.h"
#include "ops/list.h"

#if AG_BLIS_HEADER_NESTED
#include <blis/blis.h>
#else
#include <blis.h>
#endif

#if defined __x86_64__ && defined __GNUC__
#include <cpuid.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(dim_t) == sizeof(int64_t), "BLIS must be built with 64-bit integers");

/* ---- Choosing the kernels ---- */

/* On a virtual machine BLIS may not recognise the processor by its name, and then leaves AVX-512 unused. It reads its
 * choice from the environment, once, when it is initialised; the user's choice comes first. */
static const char *better_kernels(void) {
#if defined BLIS_CONFIG_SKX && defined __x86_64__ && defined __GNUC__
    static char number[12];
    unsigned eax, ebx, ecx = 0, edx;
    const unsigned hypervisor = 1u << 31;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & hypervisor)) return NULL;
    __builtin_cpu_init();
    if (!__builtin_cpu_is("intel") || !__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl"))
        return NULL;
    snprintf(number, sizeof number, "%d", (int)BLIS_ARCH_SKX);
    return number;
#else
    return NULL;
#endif
}

static void initialise_blis(void) {
    const char *choice = getenv("BLIS_ARCH_TYPE") ? NULL : better_kernels();
    if (choice) setenv("BLIS_ARCH_TYPE", choice, 1);
    bli_init();
    if (choice) unsetenv("BLIS_ARCH_TYPE");
}

static void need_blis(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, initialise_blis);
}

/* ---- One product ---- */

typedef struct matrix { /* strides in elements */
    const void *data;
    int64_t row, column;
} matrix;

typedef struct product { /* (m,k)·(k,n) -> (m,n) */
    ag_dtype dtype;
    int64_t m, n, k;
    bool along_k; /* k lies together in both: BLIS's path without packing is slow there, and reads beyond their ends */
    bool tiny;    /* for our own kernel */
} product;

/* Multiplications up to which our own kernel is best (more where BLIS would have to pack), and up to which one thread
 * and BLIS's path without packing are. */
enum { TINY = 1 << 13, TINY_ALONG_K = AG_HAVE_TARGET_CLONES ? 1 << 17 : TINY, SMALL = 128 * 128 * 128 };

static double work_of(const product *p) { return (double)p->m * (double)p->n * (double)p->k; }

/* ---- Our own kernel ---- */

enum { ROWS = 4, MOST_K = 256 };

/* y = a·b, four rows by COLUMNS columns at a time; any strides. Each element is summed in the order of k. */
#define TINY_PRODUCT(name, type, COLUMNS)                                                                              \
    AG_KERNEL static void name(const product *d, matrix a, matrix b, void *y_) {                                       \
        const int64_t m = d->m, n = d->n, k = d->k;                                                                    \
        _Alignas(64) type panel[MOST_K][COLUMNS]; /* COLUMNS columns of b, those beyond its end 0 */                   \
        for (int64_t j0 = 0; j0 < n; j0 += COLUMNS) {                                                                  \
            const int64_t width = n - j0 < COLUMNS ? n - j0 : COLUMNS;                                                 \
            const type *from = (const type *)b.data + j0 * b.column;                                                   \
            for (int64_t p = 0; p < k; p++, from += b.row) {                                                           \
                if (width == COLUMNS && b.column == 1) memcpy(panel[p], from, sizeof panel[p]);                        \
                else                                                                                                   \
                    for (int64_t j = 0; j < COLUMNS; j++) panel[p][j] = j < width ? from[j * b.column] : 0;            \
            }                                                                                                          \
            for (int64_t i0 = 0; i0 < m; i0 += ROWS) {                                                                 \
                const int64_t height = m - i0 < ROWS ? m - i0 : ROWS; /* rows beyond: row i0 again */                  \
                const type *a0 = (const type *)a.data + i0 * a.row, *a1 = height > 1 ? a0 + a.row : a0;                \
                const type *a2 = height > 2 ? a0 + 2 * a.row : a0, *a3 = height > 3 ? a0 + 3 * a.row : a0;             \
                type sum[ROWS][COLUMNS] = {{0}}, *y = (type *)y_ + i0 * n + j0;                                        \
                for (int64_t p = 0; p < k; p++, a0 += a.column, a1 += a.column, a2 += a.column, a3 += a.column) {      \
                    const type x0 = *a0, x1 = *a1, x2 = *a2, x3 = *a3, *across = panel[p];                             \
                    AG_SIMD for (int64_t j = 0; j < COLUMNS; j++) {                                                    \
                        sum[0][j] += x0 * across[j];                                                                   \
                        sum[1][j] += x1 * across[j];                                                                   \
                        sum[2][j] += x2 * across[j];                                                                   \
                        sum[3][j] += x3 * across[j];                                                                   \
                    }                                                                                                  \
                }                                                                                                      \
                for (int64_t i = 0; i < height; i++, y += n) {                                                         \
                    if (width == COLUMNS) memcpy(y, sum[i], sizeof sum[i]);                                            \
                    else memcpy(y, sum[i], (size_t)width * sizeof *y);                                                 \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
TINY_PRODUCT(tiny_product_f32, float, 16)
TINY_PRODUCT(tiny_product_f64, double, 8)

static bool is_tiny(const product *p) {
    return p->m > 1 && p->n > 1 && p->k <= MOST_K && work_of(p) <= (p->along_k ? TINY_ALONG_K : TINY);
}

/* ---- BLIS ---- */

static rntm_t settings(int threads, bool small_path) {
    rntm_t r = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(threads, &r);
    if (!small_path) bli_rntm_disable_l3_sup(&r);
    return r;
}

/* y (rows) = a (rows,columns)·x. */
static void multiply_vector(ag_dtype dtype, int64_t rows, int64_t columns, matrix a, const void *x, int64_t x_stride,
                            void *y) {
    rntm_t r = settings(1, false);
    float one_f32 = 1, zero_f32 = 0;
    double one_f64 = 1, zero_f64 = 0;
    if (dtype == AG_F32)
        bli_sgemv_ex(BLIS_NO_TRANSPOSE, BLIS_NO_CONJUGATE, rows, columns, &one_f32, (void *)(uintptr_t)a.data, a.row,
                     a.column, (void *)(uintptr_t)x, x_stride, &zero_f32, y, 1, NULL, &r);
    else
        bli_dgemv_ex(BLIS_NO_TRANSPOSE, BLIS_NO_CONJUGATE, rows, columns, &one_f64, (void *)(uintptr_t)a.data, a.row,
                     a.column, (void *)(uintptr_t)x, x_stride, &zero_f64, y, 1, NULL, &r);
}

static void multiply_matrices(const product *p, matrix a, matrix b, void *y, int threads) {
    rntm_t r = settings(threads, work_of(p) <= SMALL && !(a.column == 1 && b.row == 1));
    float one_f32 = 1, zero_f32 = 0;
    double one_f64 = 1, zero_f64 = 0;
    if (p->dtype == AG_F32)
        bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->m, p->n, p->k, &one_f32, (void *)(uintptr_t)a.data, a.row,
                     a.column, (void *)(uintptr_t)b.data, b.row, b.column, &zero_f32, y, p->n, 1, NULL, &r);
    else
        bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->m, p->n, p->k, &one_f64, (void *)(uintptr_t)a.data, a.row,
                     a.column, (void *)(uintptr_t)b.data, b.row, b.column, &zero_f64, y, p->n, 1, NULL, &r);
}

/* m, n and k are not 0. */
static void multiply(const product *p, matrix a, matrix b, void *y, int threads) {
    if (p->n == 1) multiply_vector(p->dtype, p->m, p->k, a, b.data, b.row, y);
    else if (p->m == 1) multiply_vector(p->dtype, p->n, p->k, (matrix){b.data, b.column, b.row}, a.data, a.column, y);
    else if (!p->tiny) multiply_matrices(p, a, b, y, threads);
    else if (p->dtype == AG_F32) tiny_product_f32(p, a, b, y);
    else tiny_product_f64(p, a, b, y);
}

/* ---- Operands ---- */

typedef struct operand { /* matrices along any number of leading axes */
    ag_array array;
    int64_t stride[AG_MAX_RANK];
} operand;

/* The stride of an axis of extent 1 means nothing: make it one that a matrix without gaps would have. */
static void settle(int64_t rows, int64_t columns, int64_t *row, int64_t *column) {
    if (rows == 1 && columns == 1) *row = *column = 1;
    else if (rows == 1) *row = *column == 1 ? columns : 1;
    else if (columns == 1) *column = *row == 1 ? rows : 1;
}

/* Whether elements are apart from each other and go forwards. */
static bool acceptable(int64_t rows, int64_t columns, int64_t row, int64_t column) {
    if (row <= 0 || column <= 0) return false;
    return rows == 1 || columns == 1 || row / column >= columns || column / row >= rows;
}

/* Take x as it is if possible, else packed into scratch memory. */
static bool take(const ag_call *call, const ag_array *x, bool any_strides, operand *o) {
    int64_t *row = &o->stride[x->rank - 2], *column = &o->stride[x->rank - 1], step = 1;
    int64_t rows = x->shape[x->rank - 2], columns = x->shape[x->rank - 1];
    o->array = *x;
    memcpy(o->stride, x->stride, (size_t)x->rank * sizeof(int64_t));
    if (any_strides) return true;
    settle(rows, columns, row, column);
    if (!acceptable(rows, columns, *row, *column)) {
        o->array.data = ag_call_scratch(call, (size_t)x->size * ag_dtype_size(x->dtype));
        if (!o->array.data) return false;
        ag__pack(o->array.data, x, 0, x->size);
        for (int i = x->rank - 1; i >= 0; step *= x->shape[i--]) o->stride[i] = step;
        settle(rows, columns, row, column);
    }
    return true;
}

static matrix matrix_at(const operand *o, int64_t number) {
    const ag_array *x = &o->array;
    int64_t offset = 0;
    for (int i = x->rank - 3; i >= 0; number /= x->shape[i--]) offset += number % x->shape[i] * o->stride[i];
    const char *data = (const char *)x->data + offset * (int64_t)ag_dtype_size(x->dtype);
    return (matrix){data, o->stride[x->rank - 2], o->stride[x->rank - 1]};
}

/* ---- All of a batch ---- */

static void multiply_at(const ag_call *call, const product *p, const operand o[2], int64_t i, int threads) {
    char *y = (char *)call->y.data + i * p->m * p->n * (int64_t)ag_dtype_size(p->dtype);
    multiply(p, matrix_at(&o[0], i), matrix_at(&o[1], i), y, threads);
}

/* How many threads BLIS would really get. It waits for all that it asks for, which takes forever where they outnumber the
 * processors, and aborts if it gets another number than that or one. */
static int available_threads(int threads) {
#ifdef _OPENMP
    if (omp_get_dynamic() || omp_in_parallel()) return 1;
    if (threads > omp_get_num_procs()) threads = omp_get_num_procs();
    if (threads > omp_get_thread_limit()) threads = omp_get_thread_limit();
#endif
    return threads;
}

/* How many threads have something to do, none less than a small product. */
static int useful_threads(double work, int threads) {
    threads = available_threads(threads);
    double most = work / SMALL;
    return most < 1 ? 1 : most < threads ? (int)most + 1 : threads;
}

static void multiply_all(const ag_call *call, const product *p, const operand o[2], int64_t batch) {
    int threads = useful_threads(work_of(p) * (double)batch, call->threads);
    if (threads > 1 && (batch >= threads || work_of(p) <= SMALL)) {
        if (batch < threads) threads = (int)batch;
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static)
#endif
        for (int64_t i = 0; i < batch; i++) multiply_at(call, p, o, i, 1);
    } else {
        for (int64_t i = 0; i < batch; i++) multiply_at(call, p, o, i, work_of(p) <= SMALL ? 1 : threads);
    }
}

static bool matmul_eval(const ag_call *call) {
    const ag_array *a = &call->x[0], *b = &call->x[1], *y = &call->y;
    int rank = y->rank;
    product p = {.dtype = y->dtype, .m = y->shape[rank - 2], .n = y->shape[rank - 1], .k = a->shape[rank - 1]};
    p.along_k = a->stride[rank - 1] == 1 && b->stride[rank - 2] == 1;
    p.tiny = is_tiny(&p);
    operand o[2];
    if (y->size == 0) return true;
    if (p.k == 0) {
        memset(y->data, 0, (size_t)y->size * ag_dtype_size(y->dtype));
        return true;
    }
    if (!take(call, a, p.tiny, &o[0]) || !take(call, b, p.tiny, &o[1])) return false;
    if (!p.tiny) need_blis();
    multiply_all(call, &p, o, y->size / (p.m * p.n));
    return true;
}

/* ---- Recording ---- */

static bool matmul_infer(ag_infer *r) {
    const ag__layout *a = r->x[0]->layout, *b = r->x[1]->layout;
    if (!ag__is_real(r->x[0]->dtype) || r->x[0]->dtype != r->x[1]->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "needs f32 or f64, the same for both");
    if (a->rank < 2 || b->rank < 2) return ag_reject(r, AG_ERR_SHAPE, "both need two axes or more");
    int64_t k = a->extent[a->rank - 1], b_k = b->extent[b->rank - 2];
    if (k != b_k) return ag_reject(r, AG_ERR_SHAPE, "inner axes %lld and %lld differ", (long long)k, (long long)b_k);
    if (a->rank != b->rank || memcmp(a->extent, b->extent, (size_t)(a->rank - 2) * sizeof(int64_t)) != 0)
        return ag_reject(r, AG_ERR_SHAPE, "the leading axes cannot be broadcast to each other");
    r->shape.extent[r->shape.rank - 1] = b->extent[b->rank - 1];
    return true;
}

static ag_tensor *matmul_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = ag_input(y, 0), *b = ag_input(y, 1);
    return i == 0 ? ag_matmul(g, ag_transpose(b, -2, -1))  /* (…,m,n)·(…,k,n)ᵀ -> (…,m,k) */
                  : ag_matmul(ag_transpose(a, -2, -1), g); /* (…,m,k)ᵀ·(…,m,n) -> (…,k,n) */
}

const ag_op ag__op_matmul = {.name = "matmul",
                             .notation = "{0} @ {1}",
                             .kind = AG_KIND_CONTRACTION,
                             .arity = 2,
                             .infer = matmul_infer,
                             .eval = matmul_eval,
                             .vjp = matmul_vjp};

/* Whether all axes but the last can be seen as one without a copy. */
static bool rows_in_line(const ag__layout *a) {
    const int64_t *stride = ag__strides(a);
    int64_t inner = 0, extent = 1; /* what the axes inside have come to */
    for (int i = a->rank - 2; i >= 0; i--) {
        if (a->extent[i] == 1) continue;
        if (extent > 1 && stride[i] != inner * extent) return false;
        if (extent == 1) inner = stride[i];
        extent *= a->extent[i];
    }
    return true;
}

/* (…,m,k)·(k,n) as one product (…·m,k)·(k,n), whose b̄ then needs no sum over the leading axes. */
static ag_tensor *matmul_in_line(ag_tensor *a, ag_tensor *b) {
    ag_shape shape = ag_shape_of(a);
    int64_t rows = 1;
    for (int i = 0; i < shape.rank - 1; i++) rows *= shape.extent[i];
    ag_tensor *lines = ag_reshape(a, AG_SHAPE(rows, shape.extent[shape.rank - 1]));
    ag_tensor *y = ag_apply(&ag__op_matmul, 2, (ag_tensor *[]){lines, b}, NULL, 0);
    shape.extent[shape.rank - 1] = ag_extent(b, 1);
    return ag_reshape(y, shape);
}

/* The leading axes of a and b broadcast to each other, put into `leading`; false where they cannot be. */
static bool common_leading(const ag__layout *a, const ag__layout *b, ag_shape *leading) {
    leading->rank = (a->rank > b->rank ? a->rank : b->rank) - 2;
    for (int i = 0; i < leading->rank; i++) {
        int p = a->rank - 2 - leading->rank + i, q = b->rank - 2 - leading->rank + i;
        int64_t e = p < 0 ? 1 : a->extent[p], f = q < 0 ? 1 : b->extent[q];
        if (e != f && e != 1 && f != 1) return false;
        leading->extent[i] = e == 1 ? f : e;
    }
    return true;
}

static ag_tensor *with_leading(ag_tensor *x, const ag_shape *leading) {
    ag_shape shape = *leading;
    for (int i = -2; i < 0; i++) shape.extent[shape.rank++] = ag_extent(x, i);
    return ag_broadcast_to(x, shape);
}

ag_tensor *ag_matmul(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil, *in[2] = {a, b};
    ag_shape leading;
    if (!ag__inputs_usable("matmul", 2, in, &nil)) return nil;
    const ag__layout *p = a->layout, *q = b->layout;
    bool fits = p->rank >= 2 && q->rank >= 2 && p->extent[p->rank - 1] == q->extent[q->rank - 2] &&
                a->dtype == b->dtype && ag__is_real(a->dtype);
    if (fits && q->rank == 2 && p->rank > 2 && rows_in_line(p)) return matmul_in_line(a, b);
    if (fits && (p->rank > 2 || q->rank > 2) && common_leading(p, q, &leading)) {
        in[0] = with_leading(a, &leading);
        in[1] = with_leading(b, &leading);
    }
    return ag_apply(&ag__op_matmul, 2, in, NULL, 0);
}
