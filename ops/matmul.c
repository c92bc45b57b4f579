/* matmul -- matrix products, by kernels of our own and, if they are large, by BLIS: the only file that knows it
 *
 * BLIS aborts on bad arguments, so nothing reaches it that was not checked. A product's bits depend on its shape and
 * strides only, which choose between the two; neither's depend on the number of threads. */
#define _POSIX_C_SOURCE 200809L

#include "autograd/internal.h"
#include "ops/list.h"
#include "ops/product.h"

#if AG_BLIS_HEADER_NESTED
#include <blis/blis.h>
#else
#include <blis.h>
#endif

#if defined __x86_64__ && defined __GNUC__
#include <cpuid.h>
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

/* ---- What multiplies: our kernels, or BLIS ---- */

static double work_of(const ag__product *p) { return (double)p->m * (double)p->n * (double)p->k; }

/* Up to which side of a cube our kernels are at least as fast as BLIS, which takes its time to rearrange a and b. Ours
 * leave a where it is, which costs when its columns are apart. */
static int best_side(const ag__product *p) {
    if (p->a_column != 1) return p->dtype == AG_F32 ? 176 : 160;
    if (p->n * (p->dtype == AG_F32 ? 4 : 8) >= 8192) return 160; /* rows of y drive each other from the cache */
    return p->dtype == AG_F64 && p->b_column == 1 ? 208 : 256;
}

enum { TINY_VECTOR = 512, FEW = 24 };

static bool is_ours(const ag__product *p) {
    const double work = work_of(p), side = best_side(p);
    const int64_t least = p->m < p->n ? p->m : p->n;
    if (least == 1) return work <= TINY_VECTOR;
    return work <= side * side * side || (least <= FEW && p->a_column == 1);
}

static rntm_t settings(int threads) {
    rntm_t r = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(threads, &r);
    bli_rntm_disable_l3_sup(&r); /* the path without packing: its bits vary with the number of threads */
    return r;
}

/* y (rows) = a (rows,columns)·x. */
static void multiply_vector(ag_dtype dtype, bool add, int64_t rows, int64_t columns, const void *a, int64_t row,
                            int64_t column, const void *x, int64_t x_stride, void *y) {
    rntm_t r = settings(1);
    float one_f32 = 1, beta_f32 = add;
    double one_f64 = 1, beta_f64 = add;
    if (dtype == AG_F32)
        bli_sgemv_ex(BLIS_NO_TRANSPOSE, BLIS_NO_CONJUGATE, rows, columns, &one_f32, (void *)(uintptr_t)a, row, column,
                     (void *)(uintptr_t)x, x_stride, &beta_f32, y, 1, NULL, &r);
    else
        bli_dgemv_ex(BLIS_NO_TRANSPOSE, BLIS_NO_CONJUGATE, rows, columns, &one_f64, (void *)(uintptr_t)a, row, column,
                     (void *)(uintptr_t)x, x_stride, &beta_f64, y, 1, NULL, &r);
}

static void multiply_matrices(const ag__product *p, int threads) {
    rntm_t r = settings(threads);
    float one_f32 = 1, beta_f32 = p->add;
    double one_f64 = 1, beta_f64 = p->add;
    void *a = (void *)(uintptr_t)p->a, *b = (void *)(uintptr_t)p->b;
    if (p->dtype == AG_F32)
        bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->m, p->n, p->k, &one_f32, a, p->a_row, p->a_column, b,
                     p->b_row, p->b_column, &beta_f32, p->y, p->n, 1, NULL, &r);
    else
        bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->m, p->n, p->k, &one_f64, a, p->a_row, p->a_column, b,
                     p->b_row, p->b_column, &beta_f64, p->y, p->n, 1, NULL, &r);
}

static void multiply_by_blis(const ag__product *p, int threads) {
    if (p->n == 1) multiply_vector(p->dtype, p->add, p->m, p->k, p->a, p->a_row, p->a_column, p->b, p->b_row, p->y);
    else if (p->m == 1)
        multiply_vector(p->dtype, p->add, p->n, p->k, p->b, p->b_column, p->b_row, p->a, p->a_column, p->y);
    else multiply_matrices(p, threads);
}

/* Part number i of as many as there are threads: columns of y, or rows if there are more of them. */
static void multiply_part(void *whole_, int i, int threads) {
    ag__product p = *(const ag__product *)whole_;
    const int64_t size = (int64_t)ag_dtype_size(p.dtype), whole = p.m > p.n ? 24 : 32;
    const int64_t all = p.m > p.n ? p.m : p.n, each = ((all + threads - 1) / threads + whole - 1) / whole * whole;
    const int64_t from = i * each, count = all - from < each ? all - from : each;
    if (count <= 0) return;
    if (p.m > p.n) {
        p.a = (const char *)p.a + from * p.a_row * size;
        p.y = (char *)p.y + from * p.y_row * size;
        p.m = count;
    } else {
        p.b = (const char *)p.b + from * p.b_column * size;
        p.y = (char *)p.y + from * size;
        p.n = count;
    }
    ag__multiply(&p);
}

static void multiply(const ag__product *p, bool ours, int threads) {
    if (!ours) multiply_by_blis(p, threads);
    else if (threads == 1) ag__multiply(p);
    else ag__parallel(threads, multiply_part, (void *)(uintptr_t)p);
}

/* ---- A batch ---- */

typedef struct batch {
    ag__product p; /* but for where its matrices are */
    bool ours;
    int64_t count;
    const ag_array *y;
    const char *x[2];
    const int64_t *stride[2]; /* in elements; of the leading axes */
    int64_t packed[2][AG_MAX_RANK];
} batch;

/* Forget the strides of axes of extent 1, which mean nothing: make them those of a matrix without gaps. */
static void settle(int64_t rows, int64_t columns, int64_t *row, int64_t *column) {
    if (rows == 1 && columns == 1) *row = *column = 1;
    else if (rows == 1) *row = *column == 1 ? columns : 1;
    else if (columns == 1) *column = *row == 1 ? rows : 1;
}

/* Whether BLIS takes it: elements are apart from each other and go forwards. */
static bool acceptable(int64_t rows, int64_t columns, int64_t row, int64_t column) {
    if (row <= 0 || column <= 0) return false;
    return rows == 1 || columns == 1 || row / column >= columns || column / row >= rows;
}

/* For BLIS: operand i as it is if possible, else packed into scratch memory. */
static bool suit(const ag_call *call, batch *b, int i, int64_t rows, int64_t columns, int64_t *row, int64_t *column) {
    const ag_array *x = &call->x[i];
    settle(rows, columns, row, column);
    if (acceptable(rows, columns, *row, *column)) return true;
    char *packed = ag_call_scratch(call, (size_t)x->size * ag_dtype_size(x->dtype));
    if (!packed) return false;
    ag__pack(packed, x, 0, x->size);
    b->x[i] = packed;
    int64_t step = rows * columns;
    for (int axis = x->rank - 3; axis >= 0; step *= x->shape[axis--]) b->packed[i][axis] = step;
    b->stride[i] = b->packed[i];
    *row = columns;
    *column = 1;
    settle(rows, columns, row, column);
    return true;
}

/* For our kernels: a matrix b that serves for all of the batch, and whose columns are apart, is put together once. */
static bool share(const ag_call *call, batch *b) {
    ag__product *p = &b->p;
    bool shared = b->count > 1 && p->b_column != 1;
    for (int axis = b->y->rank - 3; axis >= 0; axis--)
        shared = shared && (b->stride[1][axis] == 0 || b->y->shape[axis] == 1);
    if (!shared) return true;
    size_t size = ag_dtype_size(p->dtype);
    const int64_t each = (int64_t)size;
    char *together = ag_call_scratch(call, ag__times(ag__times((size_t)p->k, (size_t)p->n), size));
    if (!together) return false;
    ag__copy_matrix(size, together, p->n * each, b->x[1], p->b_row * each, p->b_column * each, p->k, p->n);
    b->x[1] = together;
    p->b_row = p->n;
    p->b_column = 1;
    return true;
}

static void multiply_at(const batch *b, int64_t i, int threads) {
    ag__product p = b->p;
    const int64_t size = (int64_t)ag_dtype_size(p.dtype);
    int64_t offset[2] = {0}, rest = i;
    for (int axis = b->y->rank - 3; axis >= 0; rest /= b->y->shape[axis--]) {
        const int64_t at = rest % b->y->shape[axis];
        for (int k = 0; k < 2; k++) offset[k] += at * b->stride[k][axis];
    }
    p.a = b->x[0] + offset[0] * size;
    p.b = b->x[1] + offset[1] * size;
    p.y = (char *)b->y->data + i * p.m * p.n * size;
    multiply(&p, b->ours, threads);
}

/* How many threads BLIS would really get. It waits for all that it asks for, which takes forever where they outnumber the
 * processors, and aborts if it gets another number than that or one. */
static int available_threads(int threads) { return threads < ag__processors() ? threads : ag__processors(); }

/* What a thread is worth: so many multiplications and more. */
enum { SMALL = 128 * 128 * 128 };

/* How many threads have something to do, none less than a small product. */
static int useful_threads(double work, int threads) {
    double most = work / SMALL;
    if (threads == 1 || most < 1) return 1;
    threads = available_threads(threads);
    return most < threads ? (int)most + 1 : threads;
}

static void multiply_share(void *b_, int i, int n) {
    const batch *b = b_;
    const int64_t end = ag__share_start(b->count, i + 1, n);
    for (int64_t k = ag__share_start(b->count, i, n); k < end; k++) multiply_at(b, k, 1);
}

static void multiply_all(batch *b, int threads) {
    const double work = work_of(&b->p);
    threads = useful_threads(work * (double)b->count, threads);
    if (b->count == 1) {
        b->p.a = b->x[0];
        b->p.b = b->x[1];
        b->p.y = b->y->data;
        multiply(&b->p, b->ours, work <= SMALL ? 1 : threads);
    } else if (threads > 1 && (b->count >= threads || work <= SMALL)) {
        if (b->count < threads) threads = (int)b->count;
        ag__parallel(threads, multiply_share, b);
    } else {
        for (int64_t i = 0; i < b->count; i++) multiply_at(b, i, work <= SMALL ? 1 : threads);
    }
}

static bool matmul_eval(const ag_call *call) {
    const ag_array *x = call->x, *y = &call->y;
    const int last = y->rank - 1;
    const int64_t m = y->shape[last - 1], n = y->shape[last], k = x[0].shape[last];
    if (k == 0 && !call->accumulate) memset(y->data, 0, (size_t)y->size * ag_dtype_size(y->dtype));
    if (k == 0 || y->size == 0) return true;
    batch b;
    ag__product *p = &b.p;
    p->dtype = y->dtype;
    p->add = call->accumulate;
    p->m = m;
    p->n = p->y_row = n;
    p->k = k;
    b.y = y;
    b.count = y->rank == 2 ? 1 : y->size / (m * n);
    for (int i = 0; i < 2; i++) {
        b.x[i] = x[i].data;
        b.stride[i] = x[i].stride;
    }
    p->a_row = x[0].stride[last - 1];
    p->a_column = k == 1 ? 1 : x[0].stride[last]; /* a single element's stride means nothing */
    p->b_row = x[1].stride[last - 1];
    p->b_column = n == 1 ? 1 : x[1].stride[last];
    b.ours = is_ours(p);
    if (!b.ours) need_blis();
    bool good =
        b.ours ? share(call, &b)
               : suit(call, &b, 0, m, k, &p->a_row, &p->a_column) && suit(call, &b, 1, k, n, &p->b_row, &p->b_column);
    if (good) multiply_all(&b, call->threads);
    return good;
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
    return i == 0 ? ag__slope_matmul(g, ag_transpose(b, -2, -1), 1, 0)  /* (…,m,n)·(…,k,n)ᵀ -> (…,m,k) */
                  : ag__slope_matmul(ag_transpose(a, -2, -1), g, 2, 0); /* (…,m,k)ᵀ·(…,m,n) -> (…,k,n) */
}

const ag_op ag__op_matmul = {.name = "matmul",
                             .notation = "{0} @ {1}",
                             .kind = AG_KIND_CONTRACTION,
                             .arity = 2,
                             .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
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
