/* lapack -- see lapack.h; no other file knows LAPACK
 *
 * LAPACK ends the process if an argument is invalid, and some of its iterations do not end with NaN: sizes are
 * checked here, and elements by the callers. What it needs to work in is asked for by LAPACK's own queries. The
 * interface for C is used in its form without checks and without allocations, column by column. */
#include "ops/lapack.h"
#include "ops/library.h"
#include "ops/product.h"

#include <limits.h>
#include <string.h>

#if AG_HAVE_LAPACK

#include <lapacke.h>

/* Functions of both dtypes, whose types differ by what pointers point to. They are called as those of f64. */
typedef struct functions {
    __typeof__(LAPACKE_dgeqrf_work) *geqrf;
    __typeof__(LAPACKE_dgesdd_work) *gesdd;
    __typeof__(LAPACKE_dorgqr_work) *orgqr;
    __typeof__(LAPACKE_dsyevd_work) *syevd;
} functions;

static functions of_f32, of_f64;

static const ag__symbol symbols[] = {{"LAPACKE_dgeqrf_work", &of_f64.geqrf}, {"LAPACKE_dgesdd_work", &of_f64.gesdd},
                                     {"LAPACKE_dorgqr_work", &of_f64.orgqr}, {"LAPACKE_dsyevd_work", &of_f64.syevd},
                                     {"LAPACKE_sgeqrf_work", &of_f32.geqrf}, {"LAPACKE_sgesdd_work", &of_f32.gesdd},
                                     {"LAPACKE_sorgqr_work", &of_f32.orgqr}, {"LAPACKE_ssyevd_work", &of_f32.syevd}};
static const char *const files[] = {"liblapacke.so.3", "liblapacke.so", "liblapacke.3.dylib", NULL};
static ag__library library = {files, symbols, sizeof symbols / sizeof *symbols, 0};

bool ag__has_lapack(void) { return ag__is_loaded(&library); }

static const functions *functions_of(ag_dtype dtype) { return dtype == AG_F32 ? &of_f32 : &of_f64; }

/* The largest piece of memory is that of the singular values, of 4·k² + 7·k + max(m,n) numbers in some versions. */
bool ag__lapack_takes(int64_t m, int64_t n) {
    const double most = sizeof(lapack_int) == 4 ? (double)INT32_MAX : 0x1p53, k = (double)ag__lesser(m, n);
    return 6 * k * k + 20 * k + 2 * (double)(m + n) + 1000 < most;
}

static size_t bytes_of(ag_dtype dtype, double numbers) {
    return ag__rounded(ag__times((uint64_t)numbers, ag_dtype_size(dtype)), 64);
}

typedef union number {
    float f32;
    double f64;
} number;

/* The number of numbers to work in, from what a query wrote; f32 may have rounded it downwards. */
static double work_size(ag_dtype dtype, number first) {
    return (dtype == AG_F32 ? first.f32 * (1 + 0x1p-22) : first.f64) + 1;
}

static char *next_part(char **memory, size_t bytes) {
    char *part = *memory;
    *memory += bytes;
    return part;
}

/* ---- QR ---- */

static double qr_work(ag_dtype dtype, int64_t m, int64_t n) {
    const functions *f = functions_of(dtype);
    const lapack_int rows = (lapack_int)m, columns = (lapack_int)n, k = rows < columns ? rows : columns;
    number first = {.f64 = 0};
    double none = 0, most;
    f->geqrf(LAPACK_COL_MAJOR, rows, columns, &none, rows, &none, &first.f64, -1);
    most = work_size(dtype, first);
    f->orgqr(LAPACK_COL_MAJOR, rows, k, k, &none, rows, &none, &first.f64, -1);
    return work_size(dtype, first) > most ? work_size(dtype, first) : most;
}

size_t ag__qr_bytes(ag_dtype dtype, int64_t m, int64_t n) {
    return ag__plus(bytes_of(dtype, (double)ag__lesser(m, n)), bytes_of(dtype, qr_work(dtype, m, n)));
}

int64_t ag__qr(ag_dtype dtype, int64_t m, int64_t n, void *a, void *r, int64_t ld, char *memory) {
    const lapack_int rows = (lapack_int)m, columns = (lapack_int)n, k = rows < columns ? rows : columns,
                     room = (lapack_int)qr_work(dtype, m, n);
    const size_t size = ag_dtype_size(dtype);
    const int64_t bytes = (int64_t)size;
    void *tau = next_part(&memory, bytes_of(dtype, (double)k));
    const int64_t wrong =
        functions_of(dtype)->geqrf(LAPACK_COL_MAJOR, rows, columns, a, rows, tau, (void *)memory, room);
    ag__copy_matrix(size, r, ld * bytes, a, bytes, m * bytes, k, n);
    for (int64_t i = 1; i < k; i++) memset((char *)r + i * ld * bytes, 0, (size_t)i * size);
    if (wrong != 0) return wrong;
    return functions_of(dtype)->orgqr(LAPACK_COL_MAJOR, rows, k, k, a, rows, tau, (void *)memory, room);
}

/* ---- Eigenvalues ---- */

static double eigh_work(ag_dtype dtype, int64_t n, lapack_int *integers) {
    const lapack_int rows = (lapack_int)n;
    number first = {.f64 = 0};
    double none = 0;
    functions_of(dtype)->syevd(LAPACK_COL_MAJOR, 'V', 'L', rows, &none, rows, &none, &first.f64, -1, integers, -1);
    return work_size(dtype, first);
}

size_t ag__eigh_bytes(ag_dtype dtype, int64_t n) {
    lapack_int integers = 0;
    const double numbers = eigh_work(dtype, n, &integers);
    return ag__plus(bytes_of(dtype, numbers), ag__rounded((size_t)integers * sizeof(lapack_int), 64));
}

int64_t ag__eigh(ag_dtype dtype, int64_t n, void *a, int64_t ld, void *w, bool vectors, char *memory) {
    const char what = vectors ? 'V' : 'N';
    lapack_int integers = 0, rows = (lapack_int)n, step = (lapack_int)ld;
    const double numbers = eigh_work(dtype, n, &integers);
    char *work = next_part(&memory, bytes_of(dtype, numbers));
    lapack_int room = (lapack_int)numbers, *whole = (lapack_int *)(void *)memory;
    return functions_of(dtype)->syevd(LAPACK_COL_MAJOR, what, 'L', rows, a, step, w, (void *)work, room, whole,
                                      integers);
}

/* ---- Singular values ---- */

/* a in its rows is the transpose in LAPACK's columns: its u is our v. */
static double svd_work(ag_dtype dtype, int64_t m, int64_t n) {
    const lapack_int rows = (lapack_int)n, columns = (lapack_int)m, k = rows < columns ? rows : columns;
    number first = {.f64 = 0};
    double none = 0;
    lapack_int whole = 0;
    functions_of(dtype)->gesdd(LAPACK_COL_MAJOR, 'S', rows, columns, &none, rows, &none, &none, rows, &none, k,
                               &first.f64, -1, &whole);
    return work_size(dtype, first);
}

size_t ag__svd_bytes(ag_dtype dtype, int64_t m, int64_t n) {
    const double k = (double)ag__lesser(m, n);
    const size_t whole = ag__rounded(8 * (size_t)k * sizeof(lapack_int), 64);
    return ag__plus(ag__plus(bytes_of(dtype, k * (double)m), whole), bytes_of(dtype, svd_work(dtype, m, n)));
}

int64_t ag__svd(ag_dtype dtype, int64_t m, int64_t n, void *a, void *u, void *s, void *v, int64_t ld, char *memory) {
    const lapack_int rows = (lapack_int)n, columns = (lapack_int)m, k = rows < columns ? rows : columns,
                     step = (lapack_int)ld, room = (lapack_int)svd_work(dtype, m, n);
    const int64_t bytes = (int64_t)ag_dtype_size(dtype);
    const char what = u ? 'S' : 'N';
    void *turned = next_part(&memory, bytes_of(dtype, (double)k * (double)m)); /* (k,m), column by column */
    void *whole = next_part(&memory, ag__rounded(8 * (size_t)k * sizeof(lapack_int), 64));
    const int64_t wrong = functions_of(dtype)->gesdd(LAPACK_COL_MAJOR, what, rows, columns, a, rows, s, v, step, turned,
                                                     k, (void *)memory, room, whole);
    if (u) ag__copy_matrix((size_t)bytes, u, ld * bytes, turned, bytes, k * bytes, k, m);
    return wrong;
}

#else

/* The operations are refused before any of these could be called. */
bool ag__has_lapack(void) { return false; }
bool ag__lapack_takes(int64_t m, int64_t n) { return (void)m, (void)n, false; }
size_t ag__qr_bytes(ag_dtype dtype, int64_t m, int64_t n) { return (void)dtype, (void)m, (void)n, (size_t)0; }
size_t ag__eigh_bytes(ag_dtype dtype, int64_t n) { return (void)dtype, (void)n, (size_t)0; }
size_t ag__svd_bytes(ag_dtype dtype, int64_t m, int64_t n) { return (void)dtype, (void)m, (void)n, (size_t)0; }

int64_t ag__qr(ag_dtype dtype, int64_t m, int64_t n, void *a, void *r, int64_t ld, char *memory) {
    return (void)dtype, (void)m, (void)n, (void)a, (void)r, (void)ld, (void)memory, 1;
}

int64_t ag__eigh(ag_dtype dtype, int64_t n, void *a, int64_t ld, void *w, bool vectors, char *memory) {
    return (void)dtype, (void)n, (void)a, (void)ld, (void)w, (void)vectors, (void)memory, 1;
}

int64_t ag__svd(ag_dtype dtype, int64_t m, int64_t n, void *a, void *u, void *s, void *v, int64_t ld, char *memory) {
    return (void)dtype, (void)m, (void)n, (void)a, (void)u, (void)s, (void)v, (void)ld, (void)memory, 1;
}

#endif
