/* cases_linalg -- linear algebra, einsum, Fourier transforms
 *
 * See case_rows.h. */
#include "ops/rules.h"

#include "tests/case_rows.h"

/* clang-format off */
CALL(tensordot_over, ag_tensordot_over(x[0], x[1], AG_AXES(0, -1), AG_AXES(2, 1)))
CALL(tensordot_over_none, ag_tensordot_over(x[0], x[1], (ag_axes){0, {0}}, (ag_axes){0, {0}}))
CALL(cross_last, ag_cross(x[0], x[1], -1))
CALL(cross_0, ag_cross(x[0], x[1], 0))
CALL(trace_offset, ag_matrix_trace_over(x[0], 1, 0, 2))
CALL(trace_below, ag_matrix_trace_over(x[0], -2, -1, 0))
CALL(trace_beyond, ag_matrix_trace_over(x[0], 9, 0, 1))

#define EINSUM(name, text, n) CALL(name, ag_einsum(text, n, x))
EINSUM(einsum_matmul, "ij,jk->ik", 2)
EINSUM(einsum_batch, "bij,bjk->bik", 2)
EINSUM(einsum_turned, "bij,kjb->bki", 2)
EINSUM(einsum_implied, "ba,cb", 2)
EINSUM(einsum_inner, "i,i", 2)
EINSUM(einsum_rows, "ij,ij->i", 2)
EINSUM(einsum_product, "ij,i->ji", 2)
EINSUM(einsum_outer, "i,jk->jik", 2)
EINSUM(einsum_columns, "bi,bj->bij", 2)
EINSUM(einsum_trace, "ii", 1)
EINSUM(einsum_diagonal, "iji->ji", 1)
EINSUM(einsum_sum, "ijk->j", 1)
EINSUM(einsum_permute, "ijk->kij", 1)
EINSUM(einsum_dots, "...ij,...jk->...ik", 2)
EINSUM(einsum_dots_behind, "i...,ij...", 2)
EINSUM(einsum_dots_sum, "i...->...", 1)
EINSUM(einsum_three, "ij,jk,kl->il", 3)
EINSUM(einsum_bilinear, "bi,oij,bj->bo", 3)
EINSUM(einsum_ones, "ij,ij->ij", 2)
EINSUM(einsum_itself, "ij", 1)

static ag_tensor *solve_upper(ag_tensor *a, ag_tensor *b) { return ag_solve_triangular(a, b, true, false); }
static ag_tensor *solve_unit_lower(ag_tensor *a, ag_tensor *b) { return ag_solve_triangular(a, b, false, true); }

/* The determinant's gradient is recorded with it. */
static ag_tensor *cofactors(ag_tensor *a) { return ag_apply(&ag__op_cofactor, 1, &a, NULL, 0); }

/* Both factors, and the rows' numbers. */
static ag_tensor *whole_lu(ag_tensor *a) { return ag_apply(&ag__op_lu, 1, &a, NULL, 0); }

static ag_tensor *whole_qr(ag_tensor *a) { return ag_apply(&ag__op_qr, 1, &a, NULL, 0); }

static ag_tensor *sign_of(ag_tensor *a) {
    ag_tensor *sign, *logarithm;
    ag_slogdet(a, &sign, &logarithm);
    return sign;
}

static ag_tensor *logarithm_of(ag_tensor *a) {
    ag_tensor *sign, *logarithm;
    ag_slogdet(a, &sign, &logarithm);
    return logarithm;
}

static ag_tensor *part_of_lu(ag_tensor *a, int i) {
    ag_tensor *p[3];
    ag_lu(a, &p[0], &p[1], &p[2]);
    return p[i];
}
/* Parts that do not depend on the signs of vectors: their squares; products of all parts. */
static ag_tensor *part_of_qr(ag_tensor *a, int i) {
    ag_tensor *p[2];
    ag_qr(a, &p[0], &p[1]);
    return p[i];
}

static ag_tensor *part_of_eigh(ag_tensor *a, int i) {
    ag_tensor *p[2];
    ag_eigh(a, &p[0], &p[1]);
    return i == 1 ? ag_square(p[1]) : p[0];
}

static ag_tensor *part_of_svd(ag_tensor *a, int i) {
    ag_tensor *p[3];
    ag_svd(a, &p[0], &p[1], &p[2]);
    return i == 1 ? p[1] : i == 3 ? ag_matmul(p[0], p[2]) : ag_square(p[i]);
}
CALL(qr_q, part_of_qr(x[0], 0))
CALL(qr_r, part_of_qr(x[0], 1))
CALL(eigh_w, part_of_eigh(x[0], 0))
CALL(eigh_v2, part_of_eigh(x[0], 1))
CALL(svd_u2, part_of_svd(x[0], 0))
CALL(svd_s, part_of_svd(x[0], 1))
CALL(svd_v2, part_of_svd(x[0], 2))
CALL(svd_uv, part_of_svd(x[0], 3))
CALL(pinv, ag_pinv(x[0], -1))
CALL(lstsq, ag_lstsq(x[0], x[1], -1))
CALL(rank, ag_matrix_rank(x[0], -1))
#define NORM(name, kind) CALL(name, ag_matrix_norm(x[0], kind, false))
NORM(norm_fro, AG_NORM_FROBENIUS)
NORM(norm_nuc, AG_NORM_NUCLEAR)
NORM(norm_1, AG_NORM_1)
NORM(norm_m1, AG_NORM_MINUS_1)
NORM(norm_2, AG_NORM_2)
NORM(norm_m2, AG_NORM_MINUS_2)
NORM(norm_inf, AG_NORM_INF)
NORM(norm_minf, AG_NORM_MINUS_INF)
CALL(norm_fro_keep, ag_matrix_norm(x[0], AG_NORM_FROBENIUS, true))

CALL(fft_last, ag_fft(x[0], -1))
CALL(fft_0, ag_fft(x[0], 0))
CALL(ifft_last, ag_ifft(x[0], -1))
CALL(fft2_ortho, ag_fft_over(x[0], AG_AXES(-2, -1), AG_FFT_ORTHO))
CALL(fft2_all, ag_fft_over(x[0], AG_ALL_AXES, AG_FFT_BACKWARD))
CALL(ifft2_forward, ag_ifft_over(x[0], AG_AXES(0, 1), AG_FFT_FORWARD))
CALL(fft_forward, ag_fft_over(x[0], AG_AXES(1), AG_FFT_FORWARD))
CALL(rfft_last, ag_rfft(x[0], -1))
CALL(rfft_0, ag_rfft(x[0], 0))
CALL(rfft2, ag_rfft_over(x[0], AG_AXES(-2, -1), AG_FFT_ORTHO))
CALL(irfft_even, ag_irfft(x[0], 0, -1))
CALL(irfft_odd, ag_irfft(x[0], 5, -1))
CALL(irfft_0, ag_irfft(x[0], 0, 0))
CALL(irfft_cut, ag_irfft(x[0], 3, -1))
CALL(irfft_padded, ag_irfft(x[0], 9, -1))
CALL(irfft2, ag_irfft_over(x[0], 6, AG_AXES(-2, -1), AG_FFT_BACKWARD))

CALL(lu_p, part_of_lu(x[0], 0))
CALL(lu_l, part_of_lu(x[0], 1))
CALL(lu_u, part_of_lu(x[0], 2))
CALL(power_3, ag_matrix_power(x[0], 3))
CALL(power_0, ag_matrix_power(x[0], 0))
CALL(power_1, ag_matrix_power(x[0], 1))
CALL(power_m2, ag_matrix_power(x[0], -2))

static const op_case rows[] = {
    {"matmul vectors", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 4), IN(ANY, 4)}, ""},
    {"matmul vector by matrix", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 4), IN(ANY, 4, 3)}, ""},
    {"matmul matrix by vector", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 3, 4), IN(ANY, 4)}, ""},
    {"matmul vector by batch", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 2), IN(ANY, 2, 3, 2, 3)}, ""},
    {"matmul batch by vector", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 2, 3, 2, 3), IN(ANY, 3)}, ""},
    {"matmul empty vectors", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 0), IN(ANY, 0)}, ""},
    {"dot vectors", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_dot), 2, {IN(ANY, 4), IN(ANY, 4)}, ""},
    {"dot matrices", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_dot), 2, {IN(ANY, 2, 3), IN(ANY, 3, 4)}, ""},
    {"dot of many axes", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_dot), 2, {IN(ANY, 2, 2, 3), IN(ANY, 2, 3, 2)}, ""},
    {"dot by vector", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_dot), 2, {IN(ANY, 2, 2, 3), IN(ANY, 3)}, ""},
    {"dot by number", "mul", REAL, GRAD, 4, BINARY(ag_dot), 2, {IN(ANY, 2, 3), SCALAR(ANY)}, ""},
    {"vdot", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_vdot), 2, {IN(ANY, 2, 3), IN(ANY, 3, 2)}, ""},
    {"inner", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_inner), 2, {IN(ANY, 2, 2, 3), IN(ANY, 4, 3)}, ""},
    {"inner by number", "mul", REAL, GRAD, 4, BINARY(ag_inner), 2, {SCALAR(ANY), IN(ANY, 2, 3)}, ""},
    {"outer", "mul", NUMBER, GRAD, 4, BINARY(ag_outer), 2, {IN(ANY, 2, 3), IN(ANY, 4)}, ""},
    {"outer nothing", "mul", NUMBER, GRAD, 4, BINARY(ag_outer), 2, {IN(ANY, 0, 3), IN(ANY, 4)}, ""},
    {"kron", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {IN(ANY, 2, 3), IN(ANY, 3, 2)}, ""},
    {"kron of other ranks", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {IN(ANY, 3), IN(ANY, 2, 1, 2)}, ""},
    {"kron of numbers", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {SCALAR(ANY), SCALAR(ANY)}, ""},
    {"kron of many axes", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {IN(ANY, 2, 1, 2, 1, 3), IN(ANY, 2, 2, 1, 1, 2)}, ""},
    {"kron nothing", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {IN(ANY, 2, 0), IN(ANY, 2, 2)}, ""},
    {"cross", "mul", NUMBER, GRAD, 4, BUILD(cross_last), 2, {IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"cross broadcast", "mul", NUMBER, GRAD | REORDERS, 4, BUILD(cross_last), 2, {IN(ANY, 3), IN(ANY, 2, 1, 3)}, ""},
    {"cross 0", "mul", NUMBER, GRAD, 4, BUILD(cross_0), 2, {IN(ANY, 3, 2), IN(ANY, 3, 2)}, ""},
    {"tensordot_over", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_over), 2, {IN(ANY, 2, 4, 3), IN(ANY, 2, 3, 2)}, ""},
    {"tensordot_over none", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_over_none), 2, {IN(ANY, 2), IN(ANY, 3)}, ""},
    {"matrix_trace", "sum", NUMBER, GRAD | REORDERS, 4, UNARY(ag_matrix_trace), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"matrix_trace nothing", "sum", NUMBER, GRAD | REORDERS, 4, UNARY(ag_matrix_trace), 1, {IN(ANY, 2, 0, 4)}, ""},
    {"matrix_trace offset", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(trace_offset), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"matrix_trace below", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(trace_below), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"matrix_trace beyond", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(trace_beyond), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"einsum ij,jk->ik", "tensordot", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_matmul), 2, {IN(ANY, 2, 3), IN(ANY, 3, 4)}, ""},
    {"einsum bij,bjk->bik", "matmul", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_batch), 2, {IN(ANY, 2, 2, 3), IN(ANY, 2, 3, 2)}, ""},
    {"einsum bij,kjb->bki", "matmul", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_turned), 2, {IN(ANY, 2, 2, 3), IN(ANY, 4, 3, 2)}, ""},
    {"einsum ba,cb", "tensordot", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_implied), 2, {IN(ANY, 2, 3), IN(ANY, 4, 2)}, ""},
    {"einsum i,i", NULL, NUMBER, GRAD | REORDERS, 4, BUILD(einsum_inner), 2, {IN(ANY, 4), IN(ANY, 4)}, ""},
    {"einsum ij,ij->i", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_rows), 2, {IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"einsum ij,i->ji", "mul", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_product), 2, {IN(ANY, 2, 3), IN(ANY, 2)}, ""},
    {"einsum i,jk->jik", "mul", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_outer), 2, {IN(ANY, 2), IN(ANY, 2, 3)}, ""},
    {"einsum bi,bj->bij", "matmul", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_columns), 2, {IN(ANY, 2, 9), IN(ANY, 2, 8)}, ""},
    {"einsum ii", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_trace), 1, {IN(ANY, 3, 3)}, ""},
    {"einsum iji->ji", "diagonal", NUMBER, GRAD, 4, BUILD(einsum_diagonal), 1, {IN(ANY, 3, 2, 3)}, ""},
    {"einsum ijk->j", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_sum), 1, {IN(ANY, 3, 2, 3)}, ""},
    {"einsum ijk->kij", "permute", NUMBER, GRAD, 4, BUILD(einsum_permute), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"einsum ...ij,...jk->...ik", "tensordot", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_dots), 2, {IN(ANY, 2, 1, 2, 3), IN(ANY, 2, 3, 2)}, ""},
    {"einsum i...,ij...", "matmul", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_dots_behind), 2, {IN(ANY, 2, 3), IN(ANY, 2, 2, 3)}, ""},
    {"einsum i...->...", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_dots_sum), 1, {IN(ANY, 2, 3, 2)}, ""},
    {"einsum ij,jk,kl->il", "tensordot", REAL, GRAD | REORDERS | LENIENT, 8, BUILD(einsum_three), 3, {IN(ANY, 2, 3), IN(ANY, 3, 4), IN(ANY, 4, 2)}, ""},
    {"einsum bi,oij,bj->bo", NULL, REAL, GRAD | REORDERS | LENIENT, 8, BUILD(einsum_bilinear), 3, {IN(ANY, 2, 3), IN(ANY, 2, 3, 2), IN(ANY, 2, 2)}, ""},
    {"einsum ij,ij->ij", "mul", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_ones), 2, {IN(ANY, 2, 1), IN(ANY, 1, 3)}, ""},
    {"einsum ij", NULL, NUMBER, GRAD, 4, BUILD(einsum_itself), 1, {IN(ANY, 2, 3)}, ""},
    {"solve", "solve", REAL, GRAD | REORDERS | INVERTS, 8, BINARY(ag_solve), 2, {IN(MATRIX, 3, 3), IN(ANY, 3, 2)}, ""},
    {"solve batch", "solve", REAL, GRAD | REORDERS | INVERTS, 8, BINARY(ag_solve), 2, {IN(MATRIX, 2, 1, 3, 3), IN(ANY, 2, 3, 2)}, ""},
    {"solve vector", "solve", REAL, GRAD | REORDERS | INVERTS, 8, BINARY(ag_solve), 2, {IN(MATRIX, 2, 3, 3), IN(ANY, 3)}, ""},
    {"solve one", "solve", REAL, GRAD | REORDERS | INVERTS, 8, BINARY(ag_solve), 2, {IN(MATRIX, 1, 1), IN(ANY, 1, 2)}, ""},
    {"solve nothing", "solve", REAL, GRAD | REORDERS, 8, BINARY(ag_solve), 2, {IN(MATRIX, 2, 0, 0), IN(ANY, 0, 2)}, ""},
    {"solve for nothing", "solve", REAL, GRAD | REORDERS | INVERTS, 8, BINARY(ag_solve), 2, {IN(MATRIX, 3, 3), IN(ANY, 3, 0)}, ""},
    {"solve_triangular upper", "solve_triangular", REAL, GRAD | REORDERS | INVERTS, 8, BINARY(solve_upper), 2, {IN(MATRIX, 2, 3, 3), IN(ANY, 3, 2)}, ""},
    {"solve_triangular unit", "solve_triangular", REAL, GRAD | REORDERS | INVERTS, 8, BINARY(solve_unit_lower), 2, {IN(MATRIX, 4, 4), IN(ANY, 2, 4, 2)}, ""},
    {"solve_triangular vector", "solve_triangular", REAL, GRAD | REORDERS | INVERTS, 8, BINARY(solve_upper), 2, {IN(MATRIX, 3, 3), IN(ANY, 3)}, ""},
    {"inverse", "inverse", REAL, GRAD | REORDERS | INVERTS, 8, UNARY(ag_inverse), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"inverse nothing", "inverse", REAL, GRAD | REORDERS, 8, UNARY(ag_inverse), 1, {IN(MATRIX, 0, 3, 3)}, ""},
    {"det", "det", REAL, GRAD | REORDERS | INVERTS, 32, UNARY(ag_det), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"det two axes", "det", REAL, GRAD | REORDERS | INVERTS, 32, UNARY(ag_det), 1, {IN(MATRIX, 2, 3, 2, 2)}, ""},
    {"det nothing", "det", REAL, GRAD | REORDERS, 8, UNARY(ag_det), 1, {IN(MATRIX, 2, 0, 0)}, ""},
    {"cofactor", "cofactor", REAL, GRAD | REORDERS | INVERTS, 16, UNARY(cofactors), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"slogdet sign", "slogdet", REAL, SUBGRAD, 8, UNARY(sign_of), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"slogdet log", "slogdet", REAL, GRAD | REORDERS | INVERTS, 8, UNARY(logarithm_of), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"slogdet log two axes", "slogdet", REAL, GRAD | REORDERS | INVERTS, 8, UNARY(logarithm_of), 1, {IN(MATRIX, 2, 3, 2, 2)}, ""},
    {"cholesky", "cholesky", REAL, GRAD | REORDERS | FACTORS, 8, UNARY(ag_cholesky), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"cholesky nothing", "cholesky", REAL, GRAD | REORDERS | FACTORS, 8, UNARY(ag_cholesky), 1, {IN(MATRIX, 2, 0, 0)}, ""},
    {"lu p", "lu", REAL, SUBGRAD, 0, BUILD(lu_p), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"lu l", "lu", REAL, GRAD | REORDERS | INVERTS, 8, BUILD(lu_l), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"lu u", "lu", REAL, GRAD | REORDERS | INVERTS, 8, BUILD(lu_u), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"lu l tall", "lu", REAL, GRAD | REORDERS | INVERTS, 8, BUILD(lu_l), 1, {IN(MATRIX, 4, 2)}, ""},
    {"lu u tall", "lu", REAL, GRAD | REORDERS | INVERTS, 8, BUILD(lu_u), 1, {IN(MATRIX, 4, 2)}, ""},
    {"lu l wide", "lu", REAL, GRAD | REORDERS | INVERTS, 8, BUILD(lu_l), 1, {IN(MATRIX, 2, 4)}, ""},
    {"lu u wide", "lu", REAL, GRAD | REORDERS | INVERTS, 8, BUILD(lu_u), 1, {IN(MATRIX, 2, 4)}, ""},
    {"lu whole", "lu", REAL, GRAD | REORDERS | INVERTS | NO_GOLDEN, 8, UNARY(whole_lu), 1, {IN(MATRIX, 3, 3)}, ""},
    {"lu whole tall", "lu", REAL, GRAD | REORDERS | INVERTS | NO_GOLDEN, 8, UNARY(whole_lu), 1, {IN(MATRIX, 2, 4, 2)}, ""},
    {"lu whole wide", "lu", REAL, GRAD | REORDERS | INVERTS | NO_GOLDEN, 8, UNARY(whole_lu), 1, {IN(MATRIX, 2, 2, 4)}, ""},
    {"lu exchanged", "lu", REAL, GRAD | REORDERS | INVERTS, 16, BUILD(lu_u), 1, {IN(ANY, 3, 3)}, ""},
    {"matrix_power 3", "matmul", REAL, GRAD | REORDERS, 64, BUILD(power_3), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"matrix_power 0", NULL, REAL, SUBGRAD, 0, BUILD(power_0), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"matrix_power 1", NULL, REAL, GRAD, 0, BUILD(power_1), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"matrix_power -2", "inverse", REAL, GRAD | REORDERS | INVERTS, 8, BUILD(power_m2), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"matrix_exp", "matrix_exp", REAL, GRAD | REORDERS | FACTORS, 400, UNARY(ag_matrix_exp), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"matrix_exp small", "matrix_exp", REAL, GRAD | REORDERS | FACTORS, 8, UNARY(ag_matrix_exp), 1, {IN(ANY, 2, 2, 2)}, ""},
    {"matrix_exp two axes", "matrix_exp", REAL, GRAD | REORDERS | FACTORS, 8, UNARY(ag_matrix_exp), 1, {IN(ANY, 2, 3, 2, 2)}, ""},
    {"matrix_exp nothing", "matrix_exp", REAL, GRAD, 8, UNARY(ag_matrix_exp), 1, {IN(ANY, 2, 0, 0)}, ""},
    {"qr q", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS, 8, BUILD(qr_q), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"qr r", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS, 16, BUILD(qr_r), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"qr q tall", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS, 8, BUILD(qr_q), 1, {IN(MATRIX, 4, 2)}, ""},
    {"qr r tall", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS, 8, BUILD(qr_r), 1, {IN(MATRIX, 4, 2)}, ""},
    {"qr q wide", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS | NO_GOLDEN, 8, BUILD(qr_q), 1, {IN(MATRIX, 2, 4)}, ""},
    {"qr r wide", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS | NO_GOLDEN, 8, BUILD(qr_r), 1, {IN(MATRIX, 2, 4)}, ""},
    {"qr nothing", "qr", REAL, GRAD | REORDERS | LAPACK, 8, BUILD(qr_r), 1, {IN(MATRIX, 0, 3, 3)}, ""},
    {"qr whole", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS | NO_GOLDEN, 8, UNARY(whole_qr), 1, {IN(MATRIX, 3, 3)}, ""},
    {"qr whole tall", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS | NO_GOLDEN, 8, UNARY(whole_qr), 1, {IN(MATRIX, 2, 4, 2)}, ""},
    {"qr whole wide", "qr", REAL, GRAD | REORDERS | LAPACK | INVERTS | NO_GOLDEN, 8, UNARY(whole_qr), 1, {IN(MATRIX, 2, 2, 4)}, ""},
    {"eigh w", "eigh", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(eigh_w), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"eigh v", "eigh", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(eigh_v2), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"eigh nothing", "eigh", REAL, GRAD | REORDERS | LAPACK, 8, BUILD(eigh_w), 1, {IN(MATRIX, 2, 0, 0)}, ""},
    {"eigvalsh", "eigh", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, UNARY(ag_eigvalsh), 1, {IN(MATRIX, 3, 3)}, ""},
    {"eigh two axes", "eigh", REAL, GRAD | REORDERS | LAPACK | FACTORS | NO_GOLDEN, 16, BUILD(eigh_v2), 1, {IN(MATRIX, 2, 3, 2, 2)}, ""},
    {"svd u", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(svd_u2), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"svd s", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(svd_s), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"svd v", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(svd_v2), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"svd u tall", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(svd_u2), 1, {IN(MATRIX, 4, 2)}, ""},
    {"svd uv tall", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(svd_uv), 1, {IN(MATRIX, 4, 2)}, ""},
    {"svd v wide", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(svd_v2), 1, {IN(MATRIX, 2, 4)}, ""},
    {"svd uv wide", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(svd_uv), 1, {IN(MATRIX, 2, 4)}, ""},
    {"svdvals", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, UNARY(ag_svdvals), 1, {IN(MATRIX, 2, 2, 3)}, ""},
    {"svdvals nothing", "svd", REAL, GRAD | REORDERS | LAPACK, 8, UNARY(ag_svdvals), 1, {IN(MATRIX, 2, 0, 3)}, ""},
    {"pinv", "lstsq", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(pinv), 1, {IN(MATRIX, 2, 3, 2)}, ""},
    {"pinv wide", "lstsq", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(pinv), 1, {IN(MATRIX, 2, 4)}, ""},
    {"pinv nothing", "lstsq", REAL, GRAD | REORDERS | LAPACK, 16, BUILD(pinv), 1, {IN(MATRIX, 0, 4)}, ""},
    {"lstsq", "lstsq", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(lstsq), 2, {IN(MATRIX, 2, 4, 2), IN(ANY, 4, 3)}, ""},
    {"lstsq wide", "lstsq", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(lstsq), 2, {IN(MATRIX, 2, 4), IN(ANY, 2, 1)}, ""},
    {"lstsq vector", "lstsq", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(lstsq), 2, {IN(MATRIX, 3, 2), IN(ANY, 3)}, ""},
    {"matrix_rank", "svd", REAL, LAPACK, 0, BUILD(rank), 1, {IN(MATRIX, 2, 3, 2)}, ""},
    {"matrix_rank nothing", "svd", REAL, LAPACK, 0, BUILD(rank), 1, {IN(MATRIX, 2, 3, 0)}, ""},
    {"matrix_norm fro", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_fro), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"matrix_norm fro kept", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_fro_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"matrix_norm fro nothing", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_fro), 1, {IN(ANY, 2, 0, 4)}, ""},
    {"matrix_norm nuc", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(norm_nuc), 1, {IN(MATRIX, 2, 3, 2)}, ""},
    {"matrix_norm 1", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"matrix_norm -1", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_m1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"matrix_norm 2", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(norm_2), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"matrix_norm -2", "svd", REAL, GRAD | REORDERS | LAPACK | FACTORS, 16, BUILD(norm_m2), 1, {IN(MATRIX, 2, 3, 3)}, ""},
    {"matrix_norm inf", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_inf), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"matrix_norm -inf", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_minf), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"fft", "fft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(fft_last), 1, {IN(ANY, 2, 5, 2)}, ""},
    {"fft 0", "fft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(fft_0), 1, {IN(ANY, 4, 3, 2)}, ""},
    {"fft one", "fft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(fft_0), 1, {IN(ANY, 1, 2)}, ""},
    {"fft nothing", "fft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(fft_last), 1, {IN(ANY, 0, 3, 2)}, ""},
    {"ifft", "fft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(ifft_last), 1, {IN(ANY, 2, 6, 2)}, ""},
    {"fft -2,-1 ortho", "fft", REAL, GRAD | REORDERS | FFTW, 16, BUILD(fft2_ortho), 1, {IN(ANY, 2, 3, 4, 2)}, ""},
    {"fft all", "fft", REAL, GRAD | REORDERS | FFTW, 16, BUILD(fft2_all), 1, {IN(ANY, 3, 4, 2)}, ""},
    {"ifft 0,1 forward", "fft", REAL, GRAD | REORDERS | FFTW, 16, BUILD(ifft2_forward), 1, {IN(ANY, 3, 4, 2)}, ""},
    {"fft 1 forward", "fft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(fft_forward), 1, {IN(ANY, 2, 7, 2)}, ""},
    {"rfft", "rfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(rfft_last), 1, {IN(ANY, 2, 6)}, ""},
    {"rfft odd", "rfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(rfft_last), 1, {IN(ANY, 2, 5)}, ""},
    {"rfft one", "rfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(rfft_last), 1, {IN(ANY, 2, 1)}, ""},
    {"rfft 0", "rfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(rfft_0), 1, {IN(ANY, 4, 3)}, ""},
    {"rfft -2,-1 ortho", "rfft", REAL, GRAD | REORDERS | FFTW, 16, BUILD(rfft2), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"irfft", "irfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(irfft_even), 1, {IN(ANY, 2, 4, 2)}, ""},
    {"irfft odd", "irfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(irfft_odd), 1, {IN(ANY, 2, 3, 2)}, ""},
    {"irfft 0", "irfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(irfft_0), 1, {IN(ANY, 3, 2, 2)}, ""},
    {"irfft cut", "irfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(irfft_cut), 1, {IN(ANY, 2, 4, 2)}, ""},
    {"irfft padded", "irfft", REAL, GRAD | REORDERS | FFTW, 8, BUILD(irfft_padded), 1, {IN(ANY, 2, 3, 2)}, ""},
    {"irfft -2,-1", "irfft", REAL, GRAD | REORDERS | FFTW, 16, BUILD(irfft2), 1, {IN(ANY, 3, 4, 2)}, ""},
    {"complex", "concat", NUMBER, GRAD | REORDERS, 0, BINARY(ag_complex), 2, {IN(ANY, 2, 3), IN(ANY, 3)}, ""},
    {"complex_mul", "mul", NUMBER, GRAD | REORDERS, 4, BINARY(ag_complex_mul), 2, {IN(ANY, 3, 2), IN(ANY, 2, 1, 2)}, ""},
    {"complex_conj", "neg", NUMBER, GRAD, 0, UNARY(ag_complex_conj), 1, {IN(ANY, 2, 3, 2)}, ""},
    {"complex_abs", NULL, REAL, GRAD, 4, UNARY(ag_complex_abs), 1, {IN(ANY, 2, 3, 2)}, ""},
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {{NULL, 0, 0}};

static const case_reference references[] = {{NULL, 0, NULL, NULL}};

const case_family cases_linalg = {rows, exceptions, references};
