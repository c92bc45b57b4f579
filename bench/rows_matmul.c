/* rows_matmul -- one product of matrices, or many small ones, by us, BLIS and OpenBLAS; and by each of our kernels
 *
 * The layouts: n is row-major and t its transpose, for a and then b; "slice" has both operands inside larger
 * matrices, "step" takes every second column of a. All are views, never copied beforehand. BLIS does not know newer or
 * virtual processors, so it is told which kernels to use, unless BLIS_ARCH_TYPE is set; OpenBLAS goes by
 * OPENBLAS_CORETYPE. Many products are one node for us, and one call after the other for them. */
#include "bench.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Strides in elements: of rows and of columns. */
typedef struct operand {
    void *memory;
    void *data;
    int64_t offset, row, column;
    int64_t each; /* elements from one product's to the next one's */
} operand;

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_tensor *x[2], *view[2];
    ag_dtype dtype;
    int64_t m, k, n, count;
    operand in[2];
    void *out;
    int threads;
} s;

enum layout { NN, NT, TN, TT, SLICE, STEP };

/* ---- Operands ---- */

static bool is_transposed(enum layout layout, int which) { return layout == TT || layout == (which == 0 ? TN : NT); }

/* Rows and columns of the matrix that an operand is a view of. */
static void extents_of(enum layout layout, int which, int64_t *rows, int64_t *columns) {
    const int64_t r = which == 0 ? s.m : s.k, c = which == 0 ? s.k : s.n;
    *rows = (layout == SLICE ? 2 : 1) * r;
    *columns = (layout == SLICE || (layout == STEP && which == 0) ? 2 : 1) * c;
    if (is_transposed(layout, which)) *rows = c, *columns = r;
}

static operand place(enum layout layout, int which) {
    int64_t rows, columns;
    extents_of(layout, which, &rows, &columns);
    if (layout == SLICE) return (operand){.offset = rows / 4 * columns + columns / 4, .row = columns, .column = 1};
    if (layout == STEP && which == 0) return (operand){.row = columns, .column = 2};
    return is_transposed(layout, which) ? (operand){.row = 1, .column = columns}
                                        : (operand){.row = columns, .column = 1};
}

static enum layout layout_of(const row *r) { return (enum layout)r->size[4]; }

static bool set_up_operands(const row *r, int threads) {
    s.m = r->size[0];
    s.k = r->size[1];
    s.n = r->size[2];
    s.dtype = (ag_dtype)r->size[3];
    s.count = r->size[5];
    s.threads = threads;
    s.out = room(s.count * s.m * s.n * (int64_t)ag_dtype_size(s.dtype));
    for (int i = 0; i < 2; i++) {
        int64_t rows, columns;
        extents_of(layout_of(r), i, &rows, &columns);
        s.in[i] = place(layout_of(r), i);
        s.in[i].each = rows * columns;
        s.in[i].memory = s.dtype == AG_F32 ? (void *)noise_f32(s.count * rows * columns, (uint64_t)i, 1)
                                           : (void *)noise_f64(s.count * rows * columns, (uint64_t)i, 1);
        s.in[i].data = (char *)s.in[i].memory + s.in[i].offset * (int64_t)ag_dtype_size(s.dtype);
    }
    return true;
}

static void tear_down_operands(void) {
    for (int i = 0; i < 2; i++) room_free(s.in[i].memory);
    room_free(s.out);
}

static double weigh_out(const row *r) {
    (void)r;
    const int64_t all = s.count * s.m * s.n;
    return s.dtype == AG_F32 ? weigh_f32(s.out, all) : weigh_f64(s.out, all);
}

/* ---- Ours ---- */

static ag_tensor *view(enum layout layout, int which, ag_tensor *x) {
    const int64_t rows = which == 0 ? s.m : s.k, columns = which == 0 ? s.k : s.n;
    if (layout == SLICE)
        return ag_slice(ag_slice(x, -2, rows / 2, rows / 2 + rows, 1), -1, columns / 2, columns / 2 + columns, 1);
    if (layout == STEP && which == 0) return ag_slice(x, -1, 0, 2 * columns, 2);
    return is_transposed(layout, which) ? ag_transpose(x, -2, -1) : x;
}

static double check(const row *r) {
    (void)r;
    double sum = weigh(ag_matmul(s.view[0], s.view[1]));
    fine(s.tape);
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static bool set_up(const row *r, int threads) {
    set_up_operands(r, threads);
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    for (int i = 0; i < 2; i++) {
        ag_shape shape = {.rank = 2};
        extents_of(layout_of(r), i, &shape.extent[0], &shape.extent[1]);
        if (s.count > 1) shape = AG_SHAPE(s.count, shape.extent[0], shape.extent[1]);
        s.x[i] = ag_wrap(s.tape, s.dtype, shape, s.in[i].memory);
        s.view[i] = view(layout_of(r), i, s.x[i]);
    }
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    tear_down_operands();
    return good;
}

static void multiply(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) {
        ag_eval(ag_matmul(s.view[0], s.view[1]));
        ag_tape_rewind(s.tape, s.mark);
    }
}

/* The i-th product's. */
static const void *data_of(int which, int64_t i) {
    return (char *)s.in[which].data + i * s.in[which].each * (int64_t)ag_dtype_size(s.dtype);
}

static void *out_of(int64_t i) { return (char *)s.out + i * s.m * s.n * (int64_t)ag_dtype_size(s.dtype); }

/* ---- BLIS ---- */

/* dlsym returns a pointer to data, which C does not convert to a function pointer; POSIX allows copying the bits. */
static void find(void *library, const char *name, void *pointer, size_t bytes) {
    void *found = dlsym(library, name);
    memcpy(pointer, &found, bytes);
}

/* From blis.h: not transposed; sizes and strides have 64 bits. */
static struct {
    void (*sgemm)(int, int, int64_t, int64_t, int64_t, const float *, const float *, int64_t, int64_t, const float *,
                  int64_t, int64_t, const float *, float *, int64_t, int64_t);
    void (*dgemm)(int, int, int64_t, int64_t, int64_t, const double *, const double *, int64_t, int64_t, const double *,
                  int64_t, int64_t, const double *, double *, int64_t, int64_t);
    void (*threads)(int64_t);
    const char *(*kernels)(int);
} blis;

/* The number of the best kernels that run here, in the environment, where BLIS reads it at its first call. */
static void choose_kernels_of_blis(void) {
    enum { FAMILIES = 12 }; /* the first of its list, of which every version has as many */
    const char *ours = getenv("AG_KERNELS"), *best = NULL;
#if defined __GNUC__ && defined __x86_64__
    if (__builtin_cpu_supports("avx2")) best = "haswell";
    if (__builtin_cpu_supports("avx512vl") && !(ours && strcmp(ours, "avx2") == 0)) best = "skx";
#endif
    for (int i = 0; best && blis.kernels && i < FAMILIES; i++)
        if (strcmp(blis.kernels(i), best) == 0) {
            char number[16];
            snprintf(number, sizeof number, "%d", i);
            setenv("BLIS_ARCH_TYPE", number, 0);
        }
}

static bool blis_present(void) {
    static const char *const name[] = {"libblis.so", "libblis.so.4", "libblis.so.5"};
    static bool tried;
    void *library = NULL;
    for (size_t i = 0; i < sizeof name / sizeof *name && !tried && !library; i++)
        library = dlopen(name[i], RTLD_NOW | RTLD_LOCAL);
    tried = true;
    if (library) {
        find(library, "bli_sgemm", &blis.sgemm, sizeof blis.sgemm);
        find(library, "bli_dgemm", &blis.dgemm, sizeof blis.dgemm);
        find(library, "bli_thread_set_num_threads", &blis.threads, sizeof blis.threads);
        find(library, "bli_arch_string", &blis.kernels, sizeof blis.kernels);
        choose_kernels_of_blis();
    }
    return blis.sgemm && blis.dgemm && blis.threads;
}

static void multiply_blis(const row *r, int64_t repetitions) {
    (void)r;
    const operand *a = &s.in[0], *b = &s.in[1];
    const float one = 1, zero = 0;
    const double one_d = 1, zero_d = 0;
    blis.threads(s.threads);
    for (int64_t k = 0; k < repetitions * s.count; k++) {
        const int64_t i = k % s.count;
        if (s.dtype == AG_F32)
            blis.sgemm(0, 0, s.m, s.n, s.k, &one, data_of(0, i), a->row, a->column, data_of(1, i), b->row, b->column,
                       &zero, out_of(i), s.n, 1);
        else
            blis.dgemm(0, 0, s.m, s.n, s.k, &one_d, data_of(0, i), a->row, a->column, data_of(1, i), b->row, b->column,
                       &zero_d, out_of(i), s.n, 1);
    }
}

static double check_blis(const row *r) {
    multiply_blis(r, 1);
    return weigh_out(r);
}

/* ---- OpenBLAS ---- */

/* From cblas.h (the installed one may be another library's): row-major, not transposed, transposed. */
enum { ROW_MAJOR = 101, AS_IT_IS = 111, TRANSPOSED = 112 };

static struct {
    void (*sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
    void (*dgemm)(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *,
                  int);
    void (*threads)(int);
} openblas;

static bool openblas_present(void) {
    static bool tried;
    void *library = tried ? NULL : dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    tried = true;
    if (library) {
        find(library, "cblas_sgemm", &openblas.sgemm, sizeof openblas.sgemm);
        find(library, "cblas_dgemm", &openblas.dgemm, sizeof openblas.dgemm);
        find(library, "openblas_set_num_threads", &openblas.threads, sizeof openblas.threads);
    }
    return openblas.sgemm && openblas.dgemm && openblas.threads;
}

void openblas_threads(int threads) {
    if (openblas_present()) openblas.threads(threads);
}

static void multiply_openblas(const row *r, int64_t repetitions) {
    (void)r;
    const operand *a = &s.in[0], *b = &s.in[1];
    const int m = (int)s.m, n = (int)s.n, k = (int)s.k;
    const int ta = a->column == 1 ? AS_IT_IS : TRANSPOSED, tb = b->column == 1 ? AS_IT_IS : TRANSPOSED;
    const int lda = (int)(a->column == 1 ? a->row : a->column), ldb = (int)(b->column == 1 ? b->row : b->column);
    openblas_threads(s.threads);
    for (int64_t l = 0; l < repetitions * s.count; l++) {
        const int64_t i = l % s.count;
        if (s.dtype == AG_F32)
            openblas.sgemm(ROW_MAJOR, ta, tb, m, n, k, 1, data_of(0, i), lda, data_of(1, i), ldb, 0, out_of(i), n);
        else openblas.dgemm(ROW_MAJOR, ta, tb, m, n, k, 1, data_of(0, i), lda, data_of(1, i), ldb, 0, out_of(i), n);
    }
}

static double check_openblas(const row *r) {
    multiply_openblas(r, 1);
    return weigh_out(r);
}

/* ---- Our kernels ---- */

/* A process that AG_KERNELS has no effect on would be measured against itself. */
static bool has_avx512(void) {
#if defined __GNUC__ && defined __x86_64__
    return __builtin_cpu_supports("avx512f");
#else
    return false;
#endif
}

static bool has_avx2(void) {
#if defined __GNUC__ && defined __x86_64__
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

/* ---- The rows ---- */

static const char *const layout_name[] = {"nn", "nt", "tn", "tt", "slice", "step"};

static row row_of(const char *name, ag_dtype dtype, enum layout layout, int64_t count, int64_t m, int64_t k,
                  int64_t n) {
    const double limit = 1.05;
    row r = {.what = count > 1 ? "many products of matrices" : "one product of matrices",
             .unit = "s",
             .each = "",
             .size = {m, k, n, dtype, layout, count},
             .setup = set_up,
             .work = multiply,
             .check = check,
             .teardown = tear_down,
             .peers = {{.name = "blis",
                        .where = HERE,
                        .work = multiply_blis,
                        .check = check_blis,
                        .present = blis_present,
                        .limit = limit}}};
    if (layout != STEP) /* BLAS has no column stride */
        r.peers[1] = (peer){.name = "openblas",
                            .where = HERE,
                            .limit = limit,
                            .work = multiply_openblas,
                            .check = check_openblas,
                            .present = openblas_present};
    snprintf(r.name, sizeof r.name, "matmul_%s_%s_%s", ag_dtype_name(dtype), layout_name[layout], name);
    return r;
}

static row square(ag_dtype dtype, enum layout layout, int64_t n) {
    char name[24];
    snprintf(name, sizeof name, "%d", (int)n);
    return row_of(name, dtype, layout, 1, n, n, n);
}

/* Products of a perceptron's layer, forward and for its weight; of an LSTM's cell; of a transformer's attention and of
 * its layers; small ones without the cost of a node each; and of a vector. */
static const struct {
    const char *name;
    enum layout layout;
    int64_t count, m, k, n;
} shapes[] = {{"128x784x256", NN, 1, 128, 784, 256},
              {"784x128x256", TN, 1, 784, 128, 256},
              {"16x128x512", NN, 1, 16, 128, 512},
              {"16x512x128", NT, 1, 16, 512, 128},
              {"2048x256x1024", NN, 1, 2048, 256, 1024},
              {"64x32x64_64", NT, 64, 64, 32, 64},
              {"64x64x32_64", NN, 64, 64, 64, 32},
              {"8_256", NN, 256, 8, 8, 8},
              {"16_256", NN, 256, 16, 16, 16},
              {"32_256", NN, 256, 32, 32, 32},
              {"64_64", NN, 64, 64, 64, 64}};

/* Our choice of kernels, beside each of those that the processor has, in processes of their own. */
static row kernels_row(ag_dtype dtype, int64_t n) {
    row r = square(dtype, NN, n);
    memset(r.peers, 0, sizeof r.peers);
    r.what = "our choice of kernels, and all that the processor has";
    r.peers[0] = (peer){.name = "avx512", .where = OURSELVES, .limit = 1.05, .present = has_avx512};
    r.peers[1] = (peer){.name = "avx2", .where = OURSELVES, .limit = 1.05, .present = has_avx2};
    r.peers[2] = (peer){.name = "plain", .where = OURSELVES, .limit = 1.05};
    snprintf(r.name, sizeof r.name, "kernels_%s_%d", ag_dtype_name(dtype), (int)n);
    return r;
}

int matmul_rows(row *to) {
    int n = 0;
    for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
        for (int layout = NN; layout <= SLICE; layout++)
            for (int64_t size = 8; size <= 2048; size *= 2)
                to[n++] = square((ag_dtype)dtype, (enum layout)layout, size);
        for (int64_t size = 64; size <= 1024; size *= 4) to[n++] = square((ag_dtype)dtype, STEP, size);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            to[n++] = row_of(shapes[i].name, (ag_dtype)dtype, shapes[i].layout, shapes[i].count, shapes[i].m,
                             shapes[i].k, shapes[i].n);
        for (int64_t size = 32; size <= 512; size *= 4) to[n++] = kernels_row((ag_dtype)dtype, size);
    }
    row batch = row_of("", AG_F32, NN, 256, 32, 64, 32);
    batch.peers[2] = (peer){.name = "torch", .where = TORCH, .limit = 0.8};
    snprintf(batch.name, sizeof batch.name, "matmul_batch");
    to[n++] = batch;
    return n;
}
