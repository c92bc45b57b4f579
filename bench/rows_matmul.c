/* rows_matmul -- one product of square matrices, by us, BLIS and OpenBLAS; and many small ones, beside PyTorch
 *
 * The layouts: n is row-major and t its transpose, for a and then b; "slice" has both operands inside larger
 * matrices, "step" takes every second column of a. All are views, never copied beforehand. BLIS chooses its kernels
 * by itself, or by BLIS_ARCH_TYPE. */
#include "bench.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Strides in elements: of rows and of columns. */
typedef struct operand {
    void *memory;
    void *data;
    int64_t offset, row, column;
} operand;

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_tensor *x[2], *view[2];
    ag_dtype dtype;
    int64_t n;
    operand in[2];
    void *out;
    int threads;
} s;

enum layout { NN, NT, TN, TT, SLICE, STEP };

/* ---- Operands ---- */

/* Both operands lie in a matrix of 2n by 2n, as a part of it unless they are packed. */
static operand place(enum layout layout, int which, int64_t n) {
    bool transposed = which == 0 ? layout == TN || layout == TT : layout == NT || layout == TT;
    if (layout == SLICE) return (operand){.offset = n / 2 * 2 * n + n / 2, .row = 2 * n, .column = 1};
    if (layout == STEP && which == 0) return (operand){.row = 2 * n, .column = 2};
    return (operand){.row = transposed ? 1 : n, .column = transposed ? n : 1};
}

static bool set_up_operands(const row *r, int threads) {
    s.n = r->size[0];
    s.dtype = (ag_dtype)r->size[1];
    s.threads = threads;
    s.out = room(s.n * s.n * (int64_t)ag_dtype_size(s.dtype));
    for (int i = 0; i < 2; i++) {
        enum layout layout = (enum layout)r->size[2];
        int64_t all = (layout == SLICE || layout == STEP ? 4 : 1) * s.n * s.n;
        s.in[i] = place(layout, i, s.n);
        s.in[i].memory =
            s.dtype == AG_F32 ? (void *)noise_f32(all, (uint64_t)i, 1) : (void *)noise_f64(all, (uint64_t)i, 1);
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
    return s.dtype == AG_F32 ? weigh_f32(s.out, s.n * s.n) : weigh_f64(s.out, s.n * s.n);
}

/* ---- Ours ---- */

static ag_tensor *view(enum layout layout, int which, ag_tensor *x) {
    int64_t n = s.n;
    if (layout == SLICE) return ag_slice(ag_slice(x, 0, n / 2, n / 2 + n, 1), 1, n / 2, n / 2 + n, 1);
    if (layout == STEP && which == 0) return ag_slice(x, 1, 0, 2 * n, 2);
    return s.in[which].row == 1 ? ag_transpose(x, 0, 1) : x;
}

static double check(const row *r) {
    (void)r;
    double sum = weigh(ag_matmul(s.view[0], s.view[1]));
    fine(s.tape);
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static bool set_up(const row *r, int threads) {
    enum layout layout = (enum layout)r->size[2];
    set_up_operands(r, threads);
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    for (int i = 0; i < 2; i++) {
        int64_t rows = layout == SLICE ? 2 * s.n : s.n;
        int64_t columns = layout == SLICE || (layout == STEP && i == 0) ? 2 * s.n : s.n;
        s.x[i] = ag_wrap(s.tape, s.dtype, AG_SHAPE(rows, columns), s.in[i].memory);
        s.view[i] = view(layout, i, s.x[i]);
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

static bool set_up_batch(const row *r, int threads) {
    (void)r;
    const ag_shape shape[] = {AG_SHAPE(256, 32, 64), AG_SHAPE(256, 64, 32)};
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    for (int i = 0; i < 2; i++) {
        s.in[i].memory = noise_f32(256 * 32 * 64, (uint64_t)i, 1);
        s.view[i] = ag_wrap(s.tape, AG_F32, shape[i], s.in[i].memory);
    }
    s.out = NULL;
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

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
} blis;

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
    }
    return blis.sgemm && blis.dgemm && blis.threads;
}

static void multiply_blis(const row *r, int64_t repetitions) {
    (void)r;
    const operand *a = &s.in[0], *b = &s.in[1];
    const float one = 1, zero = 0;
    const double one_d = 1, zero_d = 0;
    blis.threads(s.threads);
    for (int64_t k = 0; k < repetitions; k++) {
        if (s.dtype == AG_F32)
            blis.sgemm(0, 0, s.n, s.n, s.n, &one, a->data, a->row, a->column, b->data, b->row, b->column, &zero, s.out,
                       s.n, 1);
        else
            blis.dgemm(0, 0, s.n, s.n, s.n, &one_d, a->data, a->row, a->column, b->data, b->row, b->column, &zero_d,
                       s.out, s.n, 1);
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

static void multiply_openblas(const row *r, int64_t repetitions) {
    (void)r;
    const operand *a = &s.in[0], *b = &s.in[1];
    int n = (int)s.n, ta = a->column == 1 ? AS_IT_IS : TRANSPOSED, tb = b->column == 1 ? AS_IT_IS : TRANSPOSED;
    int lda = (int)(a->column == 1 ? a->row : a->column), ldb = (int)(b->column == 1 ? b->row : b->column);
    openblas.threads(s.threads);
    for (int64_t k = 0; k < repetitions; k++) {
        if (s.dtype == AG_F32) openblas.sgemm(ROW_MAJOR, ta, tb, n, n, n, 1, a->data, lda, b->data, ldb, 0, s.out, n);
        else openblas.dgemm(ROW_MAJOR, ta, tb, n, n, n, 1, a->data, lda, b->data, ldb, 0, s.out, n);
    }
}

static double check_openblas(const row *r) {
    multiply_openblas(r, 1);
    return weigh_out(r);
}

/* ---- The rows ---- */

static const char *const layout_name[] = {"nn", "nt", "tn", "tt", "slice", "step"};

static row row_of(ag_dtype dtype, enum layout layout, int64_t n) {
    const double limit = 1.05;
    row r = {.what = "one product of n by n matrices",
             .unit = "s",
             .each = "",
             .size = {n, dtype, layout},
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
    snprintf(r.name, sizeof r.name, "matmul_%s_%s_%d", ag_dtype_name(dtype), layout_name[layout], (int)n);
    return r;
}

int matmul_rows(row *to) {
    int n = 0;
    for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
        for (int layout = NN; layout <= SLICE; layout++)
            for (int64_t size = 8; size <= 2048; size *= 2)
                to[n++] = row_of((ag_dtype)dtype, (enum layout)layout, size);
        for (int64_t size = 64; size <= 1024; size *= 4) to[n++] = row_of((ag_dtype)dtype, STEP, size);
    }
    to[n++] = (row){.name = "matmul_batch",
                    .what = "256 products of 32 by 64 and 64 by 32 matrices",
                    .unit = "s",
                    .each = "",
                    .setup = set_up_batch,
                    .work = multiply,
                    .check = check,
                    .teardown = tear_down,
                    .peers = {{.name = "torch", .where = TORCH, .limit = 0.8}}};
    return n;
}
