/* rows_linalg -- einsum, forward and backward, equations, factorisations and Fourier transforms, beside PyTorch
 *
 * LAPACK's own threads are OpenBLAS's, if that is the system's: as many as PyTorch's. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 4 };
typedef enum problem { EINSUM, SOLVE, INVERSE, CHOLESKY, DET, QR, EIGH, SVD, SVD_WHOLE, EXP, FFT, RFFT } problem;

typedef struct setting {
    const char *name; /* of the row; peer_torch.py knows it too */
    problem problem;
    const char *text; /* of an einsum */
    int n;            /* operands */
    ag_shape shape[MOST];
} setting;

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), { __VA_ARGS__ }                                            \
    }

static const setting settings_of_rows[] = {
    {"einsum_small", EINSUM, "ij,jk->ik", 2, {SHAPE(8, 8), SHAPE(8, 8)}},
    {"einsum_batch", EINSUM, "bij,bjk->bik", 2, {SHAPE(64, 64, 64), SHAPE(64, 64, 64)}},
    {"einsum_scores", EINSUM, "bthd,bshd->bhts", 2, {SHAPE(8, 64, 8, 32), SHAPE(8, 64, 8, 32)}},
    {"einsum_turned", EINSUM, "jib,kj->bik", 2, {SHAPE(128, 64, 32), SHAPE(96, 128)}},
    {"einsum_rows", EINSUM, "bi,bi->b", 2, {SHAPE(4096, 256), SHAPE(4096, 256)}},
    {"einsum_outer", EINSUM, "bi,bj->bij", 2, {SHAPE(64, 128), SHAPE(64, 128)}},
    {"einsum_bilinear", EINSUM, "bi,oij,bj->bo", 3, {SHAPE(64, 64), SHAPE(32, 64, 64), SHAPE(64, 64)}},
    {"einsum_chain", EINSUM, "ij,jk,kl->il", 3, {SHAPE(256, 256), SHAPE(256, 256), SHAPE(256, 4)}},
    {"einsum_trace", EINSUM, "bii->b", 1, {SHAPE(64, 128, 128)}},
    {"einsum_tiny", EINSUM, "bij,bjk->bik", 2, {SHAPE(10000, 2, 2), SHAPE(10000, 2, 2)}},
    {"einsum_reversed", EINSUM, "abcd,dcba->", 2, {SHAPE(20, 21, 22, 23), SHAPE(23, 22, 21, 20)}},
    {"solve_256", SOLVE, NULL, 2, {SHAPE(256, 256), SHAPE(256, 16)}},
    {"solve_batch", SOLVE, NULL, 2, {SHAPE(1000, 8, 8), SHAPE(1000, 8, 1)}},
    {"inverse_256", INVERSE, NULL, 1, {SHAPE(256, 256)}},
    {"cholesky_256", CHOLESKY, NULL, 1, {SHAPE(256, 256)}},
    {"det_64", DET, NULL, 1, {SHAPE(64, 64)}},
    {"det_400", DET, NULL, 1, {SHAPE(400, 400)}},
    {"matrix_exp_64", EXP, NULL, 1, {SHAPE(64, 64)}},
    {"qr_128", QR, NULL, 1, {SHAPE(128, 128)}},
    {"eigvalsh_128", EIGH, NULL, 1, {SHAPE(128, 128)}},
    {"svdvals_128", SVD, NULL, 1, {SHAPE(128, 128)}},
    {"svd_3", SVD_WHOLE, NULL, 1, {SHAPE(1000, 3, 3)}},
    {"fft_64", FFT, NULL, 1, {SHAPE(64, 2)}},
    {"fft_64_many", FFT, NULL, 1, {SHAPE(1000, 64, 2)}},
    {"rfft_64", RFFT, NULL, 1, {SHAPE(64)}},
    {"fft_4096", FFT, NULL, 1, {SHAPE(64, 4096, 2)}},
    {"rfft_4096", RFFT, NULL, 1, {SHAPE(64, 4096)}},
};

static struct {
    ag_tape *tape;
    ag_mark mark;
    float *memory[MOST + 1];
    ag_tensor *x[MOST], *g;
} s;

static ag_tensor *result(const setting *of) {
    ag_tensor *q, *r, *v, *a = s.x[0], *t = ag_rank(a) < 2 ? a : ag_transpose(a, -2, -1);
    switch (of->problem) {
    case SOLVE: return ag_solve(a, s.x[1]);
    case INVERSE: return ag_inverse(a);
    case CHOLESKY: return ag_cholesky(ag_matmul(a, t));
    case DET: return ag_det(a);
    case SVD_WHOLE: ag_svd(a, &q, &r, &v); return ag_mul(ag_matmul(q, v), ag_unsqueeze(r, -1));
    case EXP: return ag_matrix_exp(a);
    case QR: ag_qr(a, &q, &r); return ag_matmul(r, q);
    case EIGH: return ag_eigvalsh(ag_matmul(a, t));
    case SVD: return ag_svdvals(a);
    case FFT: return ag_fft(a, -1);
    case RFFT: return ag_rfft(a, -1);
    default: return ag_einsum(of->text, of->n, s.x);
    }
}

static ag_shape shape_of_result(const setting *of) {
    const ag_shape shape = ag_shape_of(result(of));
    ag_tape_rewind(s.tape, s.mark);
    return shape;
}

/* Matrices to be inverted have small elements, and 1 more on the diagonal. */
static bool set_up(const row *r, int threads) {
    const setting *of = &settings_of_rows[r->size[0]];
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    openblas_threads(threads);
    memset(s.memory, 0, sizeof s.memory);
    for (int i = 0; i < of->n; i++) {
        int64_t n = 1;
        for (int k = 0; k < of->shape[i].rank; k++) n *= of->shape[i].extent[k];
        const int64_t width = of->shape[i].extent[of->shape[i].rank - 1];
        const bool regular = i == 0 && of->problem != EINSUM && of->problem < FFT;
        s.memory[i] = noise_f32(n, (uint64_t)i + 1, regular ? 1 / (double)width : 1);
        for (int64_t k = 0; k < n && regular; k++)
            if (k % width == k / width % width) s.memory[i][k] += 1;
        s.x[i] = ag_parameter(s.tape, AG_F32, of->shape[i], s.memory[i]);
    }
    s.mark = ag_tape_mark(s.tape);
    const ag_shape y = shape_of_result(of);
    int64_t n = 1;
    for (int k = 0; k < y.rank; k++) n *= y.extent[k];
    s.memory[MOST] = noise_f32(n, 9, 1);
    s.g = ag_wrap(s.tape, AG_F32, y, s.memory[MOST]);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static double both_ways(const row *r, bool weighed) {
    const setting *of = &settings_of_rows[r->size[0]];
    ag_tensor *all[MOST + 1], *y = result(of);
    all[of->n] = y;
    ag_vjp(1, &y, &s.g, of->n, s.x, all, 0);
    ag_eval_all(of->n + 1, all);
    double sum = 0;
    for (int i = 0; weighed && i <= of->n; i++) sum += weigh(all[i]);
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) both_ways(r, false);
}

static double check(const row *r) { return both_ways(r, true); }

static bool tear_down(const row *r) {
    (void)r;
    const bool good = fine(s.tape);
    ag_tape_free(s.tape);
    for (int i = 0; i <= MOST; i++) room_free(s.memory[i]);
    return good;
}

/* Rows whose library the build is without are left out. */
static bool is_there(const setting *of) {
    ag_tape *t = ag_tape_new();
    ag_tensor *x = ag_zeros(t, AG_F32, AG_SHAPE(2, 2));
    if (of->problem >= QR && of->problem <= SVD_WHOLE) ag_svdvals(x);
    if (of->problem >= FFT) ag_fft(x, 0);
    const bool good = ag_tape_status(t) == AG_OK;
    ag_tape_free(t);
    return good;
}

int linalg_rows(row *to) {
    int n = 0;
    for (size_t i = 0; i < sizeof settings_of_rows / sizeof *settings_of_rows; i++) {
        const setting *of = &settings_of_rows[i];
        if (!is_there(of)) continue;
        to[n] = (row){.what = of->text ? "a sum of products that a text describes, forward and backward"
                                       : "linear algebra or a Fourier transform, forward and backward",
                      .unit = "s",
                      .each = "",
                      .size = {(int64_t)i},
                      .setup = set_up,
                      .work = work,
                      .check = check,
                      .teardown = tear_down,
                      .peers = {{.name = "PyTorch", .where = TORCH, .limit = of->text ? 1 : 0}}};
        snprintf(to[n++].name, sizeof to->name, "linalg_%s", of->name);
    }
    return n;
}
