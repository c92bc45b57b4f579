/* random_linear -- linear algebra and Fourier transforms for random programs: of a small matrix far from singular, which is made
 * of the numbers at hand
 *
 * See random_program.h. */
#include "ops/fftw.h"
#include "ops/lapack.h"

#include "tests/random_program.h"

/* The first n·n elements of x between −¼ and ¼, and 3, 4, … more on the diagonal. */
static ag_tensor *matrix_of(ag_tensor *x, int64_t n) {
    ag_tape *t = ag_tape_of(x);
    ag_tensor *first = ag_slice(ag_reshape(x, AG_SHAPE(-1)), 0, 0, n * n, 1), *number = ag_arange(t, AG_I64, n);
    ag_tensor *small = ag_scale(ag_tanh(first), 0.25), *zero = ag_scalar(t, ag_dtype_of(x), 0);
    small = ag_where(ag_less_equal(ag_abs(small), ag_scalar(t, ag_dtype_of(x), 1)), small, zero); /* no NaN */
    ag_tensor *diagonal = ag_add_scalar(ag_cast(number, ag_dtype_of(x)), 3);
    ag_tensor *large = ag_where(ag_equal(number, ag_unsqueeze(number, 1)), diagonal, zero);
    return ag_add(ag_reshape(small, AG_SHAPE(n, n)), large);
}

static ag_tensor *all_of(int n, ag_tensor *const x[]) {
    ag_tensor *flat[3];
    for (int i = 0; i < n; i++) flat[i] = ag_reshape(x[i], AG_SHAPE(-1));
    return ag_concat(n, flat, 0);
}

static ag_tensor *factored(ag_tensor *a, int which) {
    ag_tensor *p[3];
    int n = 2;
    if (which == 4) ag_slogdet(a, &p[0], &p[1]);
    if (which == 6) ag_lu(a, &p[0], &p[1], &p[2]), n = 3;
    if (which == 8) ag_qr(a, &p[0], &p[1]);
    if (which == 9) ag_eigh(a, &p[0], &p[1]);
    if (which == 10) ag_svd(a, &p[0], &p[1], &p[2]), n = 3;
    return all_of(n, p);
}

/* The matrix itself in place of a function whose library is not there. */
ag_tensor *user_linear(ag_tensor *x, int which) {
    int64_t n = 1;
    while (n < 4 && (n + 1) * (n + 1) <= ag_size(x)) n++;
    if (ag_size(x) == 0) return ag_neg(x);
    ag_tensor *a = matrix_of(x, n), *b = ag_slice(a, -1, 0, 1, 1);
    if (which >= 8 && which <= 11 && !ag__has_lapack()) return a;
    if (which >= 12 && !ag__has_fftw()) return a;
    switch (which) {
    case 0: return ag_solve(a, b);
    case 1: return ag_solve_triangular(a, b, n % 2, n % 3 == 0);
    case 2: return ag_inverse(a);
    case 3: return ag_scale(ag_det(a), 0.01);
    case 5: return ag_cholesky(a);
    case 7: return ag_matrix_exp(ag_scale(a, 0.1));
    case 11: return ag_lstsq(ag_slice(a, 1, 0, (n + 1) / 2, 1), b, -1);
    case 12: return ag_fft(ag_complex(a, b), 0);
    case 13: return ag_rfft(a, -1);
    case 14: return ag_irfft(ag_complex(a, b), 2 * n - 1, 0);
    default: return factored(a, which);
    }
}
