/* test_tensordot -- products over several axes of views that are no matrices: windows of images, permuted axes
 *
 * The bits are those of the product of copies, which test_matmul compares with plain loops. */
#include "autograd/autograd.h"
#include "autograd/tape/limits.h"
#include "tests/support.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Against copies ---- */

typedef struct image { /* batch, height, width, channels; window, step; channels out */
    int64_t n, h, w, c, kh, kw, step, k;
} image;

/* More places than terms, more terms than places, long sums of several leaves; runs of each kind: along the channels,
 * along a row of windows, none. Few channels out, more than a vector, more than are computed without packing. */
static const image images[] = {{1, 3, 3, 1, 1, 1, 1, 1},     {2, 6, 7, 1, 3, 3, 1, 2},    {2, 6, 7, 3, 3, 2, 1, 5},
                               {3, 9, 8, 2, 2, 3, 2, 17},    {1, 28, 28, 1, 5, 5, 1, 6},  {2, 14, 14, 6, 5, 5, 1, 16},
                               {1, 40, 33, 1, 5, 5, 1, 20},  {1, 5, 5, 70, 3, 3, 1, 70},  {1, 12, 12, 16, 12, 12, 1, 3},
                               {4, 60, 61, 1, 3, 3, 1, 4},   {3, 45, 40, 4, 3, 3, 1, 33}, {1, 9, 9, 130, 3, 3, 1, 9},
                               {2, 70, 66, 2, 3, 3, 2, 100}, {1, 70, 70, 1, 64, 64, 1, 2}};
enum { IMAGES = sizeof images / sizeof *images };

/* The windows as they are multiplied: places, then what is within a window. */
static ag_tensor *windows_of(ag_tensor *x, const image *m) {
    ag_tensor *all = ag_windows(x, AG_AXES(1, 2), AG_SHAPE(m->kh, m->kw), AG_SHAPE(m->step, m->step));
    return ag_permute(all, AG_AXES(0, 1, 2, 4, 5, 3));
}

static void expect_bits(const image *m, const char *which, ag_tensor *a, ag_tensor *b) {
    const void *p = ag_data(a), *q = ag_data(b);
    ck_assert_msg(p && q, "%s", ag_tape_error(ag_tape_of(a)));
    if (memcmp(p, q, (size_t)ag_size(a) * ag_dtype_size(ag_dtype_of(a))) != 0)
        ck_abort_msg("%s, %d×%d×%d×%d, windows %d×%d by %d, to %d, %s: other bits than those of copies", which,
                     (int)m->n, (int)m->h, (int)m->w, (int)m->c, (int)m->kh, (int)m->kw, (int)m->step, (int)m->k,
                     ag_dtype_name(ag_dtype_of(a)));
}

/* Both orders of the operands, and the sum over places. The copies are matrices, and are multiplied as such, unless y
 * is a vector. */
static void check_image(const image *m, ag_dtype d, int threads, bool reversed) {
    ag_tape *t = ag_tape_new();
    ag_tape_set_threads(t, threads);
    ag_tensor *x = scattered(t, d, AG_SHAPE(m->n, m->h, m->w, m->c), 3);
    if (reversed) x = ag_flip(x, 2);
    ag_tensor *v = windows_of(x, m), *w = scattered(t, d, AG_SHAPE(m->kh, m->kw, m->c, m->k), 50);
    ag_tensor *y = ag_tensordot(v, w, 3), *copy = ag_contiguous(v);
    ag_tensor *turned = ag_tensordot(ag_permute(w, AG_AXES(3, 0, 1, 2)), ag_permute(v, AG_AXES(3, 4, 5, 0, 1, 2)), 3);
    ag_tensor *g = scattered(t, d, ag_shape_of(y), 9), *dw, *dx, *dv;
    ag_vjp(1, &y, &g, 1, &w, &dw, 0);
    ag_vjp(1, &y, &g, 1, &v, &dv, 0);
    ag_vjp(1, &y, &g, 1, &x, &dx, 0);
    if (m->k > 1 && ag_size(y) > m->k) {
        expect_bits(m, "windows · weight", y, ag_tensordot(copy, w, 3));
        expect_bits(m, "weight · windows", turned, ag_contiguous(ag_permute(y, AG_AXES(3, 0, 1, 2))));
        ag_tensor *places = ag_reshape(copy, AG_SHAPE(ag_size(y) / m->k, m->kh * m->kw * m->c));
        ag_tensor *sums = ag_matmul(ag_transpose(places, 0, 1), ag_reshape(g, AG_SHAPE(-1, m->k)));
        expect_bits(m, "windowsᵀ · cotangent", dw, ag_reshape(sums, ag_shape_of(w)));
    }
    ck_assert(ag_data(dv) != NULL); /* so that its product is computed as a whole */
    ag_shape shape = AG_SHAPE(m->h, m->w), step = AG_SHAPE(m->step, m->step);
    ag_tensor *back = ag_fold(ag_permute(dv, AG_AXES(0, 1, 2, 5, 3, 4)), AG_AXES(1, 2), shape, step);
    expect_bits(m, "fold", dx, back);
    ck_assert_msg(ag_tape_status(t) == AG_OK, "%s", ag_tape_error(t));
    ag_tape_free(t);
}

START_TEST(images_have_the_bits_of_copies) {
    const image *m = &images[_i];
    for (int d = AG_F32; d <= AG_F64; d++)
        for (int threads = 1; threads <= (small_run() ? 2 : 4); threads++)
            for (int reversed = 0; reversed < 2; reversed++) check_image(m, (ag_dtype)d, threads, reversed);
}
END_TEST

/* ---- Other views ---- */

/* Σ over all but the last axis of two permuted tensors, both of which are no matrices, against plain loops. */
START_TEST(two_views) {
    ag_tape *t = ag_tape_new();
    enum { A = 3, B = 4, C = 5, M = 2, N = 6 };
    ag_tensor *a = ag_permute(scattered(t, AG_F64, AG_SHAPE(A, M, B, C), 1), AG_AXES(1, 3, 0, 2)); /* M C A B */
    ag_tensor *b = ag_permute(scattered(t, AG_F64, AG_SHAPE(B, N, A, C), 7), AG_AXES(3, 2, 0, 1)); /* C A B N */
    ag_tensor *y = ag_tensordot(a, b, 3);
    expect_shape(y, AG_SHAPE(M, N));
    const double *p = ag_data(ag_contiguous(a)), *q = ag_data(ag_contiguous(b));
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int s = 0; s < A * B * C; s++) sum += p[i * A * B * C + s] * q[s * N + j];
            ck_assert_double_eq_tol(ag_element(y, i * N + j), sum, 1e-14 * A * B * C);
        }
    ag_tape_free(t);
}
END_TEST

/* y = z + the product: a product among a sum's inputs may be added to the other one in place. */
START_TEST(sums_with_products) {
    const image *m = &images[4 + _i % 8];
    ag_tape *t = ag_tape_new();
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(m->n, m->h, m->w, m->c), 3), *v = windows_of(x, m), *w, *y, *z, *dw;
    w = scattered(t, AG_F64, AG_SHAPE(m->kh, m->kw, m->c, m->k), 50);
    y = ag_tensordot(v, w, 3);
    z = scattered(t, AG_F64, ag_shape_of(y), 5);
    ag_vjp(1, &y, &z, 1, &w, &dw, 0);
    ag_tensor *sum = ag_add(ag_neg(z), ag_tensordot(v, w, 3)), *both = ag_add(ag_neg(w), dw);
    ck_assert_int_eq(ag_eval(sum), AG_OK);
    ck_assert_int_eq(ag_eval(both), AG_OK);
    const double *p = ag_data(sum), *q = ag_data(both), *a = ag_data(y), *b = ag_data(dw);
    for (int64_t i = 0; i < ag_size(sum); i++) ck_assert_double_eq_tol(p[i], a[i] - ag_element(z, i), 1e-11);
    for (int64_t i = 0; i < ag_size(both); i++) ck_assert_double_eq_tol(q[i], b[i] - ag_element(w, i), 1e-11);
    ag_tape_free(t);
}
END_TEST

/* ---- Strong zeros ---- */

/* Below a choice a cotangent of 0 meets an infinite weight, or an infinite pixel, and the gradient is finite. */
START_TEST(zeros_of_a_cotangent) {
    const image *m = &images[5];
    ag_tape *t = ag_tape_new();
    ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(m->n, m->h, m->w, m->c), 3), *w, *d[2];
    w = scattered(t, AG_F32, AG_SHAPE(m->kh, m->kw, m->c, m->k), 50);
    ag_tensor *from[] = {ag_parameter_from(x), ag_parameter_from(w)}, *in[2];
    for (int i = 0; i < 2; i++) { /* element 0 is infinite */
        const int64_t size = ag_size(from[i]);
        ag_tensor *first = ag_equal(ag_arange(t, AG_F32, size), ag_zeros(t, AG_F32, AG_SHAPE(size)));
        first = ag_reshape(first, ag_shape_of(from[i]));
        in[i] = i == _i ? ag_where(first, ag_full(t, AG_F32, AG_SCALAR, INFINITY), from[i]) : from[i];
    }
    ag_tensor *y = ag_tensordot(windows_of(in[0], m), in[1], 3);
    ag_tensor *finite = ag_less(ag_abs(y), ag_full(t, AG_F32, AG_SCALAR, 1e30));
    ag_grad(ag_sum(ag_where(finite, y, ag_zeros(t, AG_F32, AG_SCALAR))), 2, from, d);
    for (int i = 0; i < 2; i++)
        for (int64_t k = 0; k < ag_size(d[i]); k++) ck_assert_msg(isfinite(ag_element(d[i], k)), "%d %d", i, (int)k);
    expect_ok(t);
    ag_tape_free(t);
}
END_TEST

/* ---- Memory ---- */

static ag_status gradients(ag_tape *t) {
    const image *m = &images[10];
    ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(m->n, m->h, m->w, m->c), 3), *w, *d[2];
    w = scattered(t, AG_F32, AG_SHAPE(m->kh, m->kw, m->c, m->k), 50);
    ag_tensor *in[] = {ag_parameter_from(x), ag_parameter_from(w)};
    ag_grad(ag_sum(ag_square(ag_tensordot(windows_of(in[0], m), in[1], 3))), 2, in, d);
    ag_eval_all(2, d);
    return ag_tape_status(t);
}

START_TEST(failing_allocations) { with_each_allocation_failing(gradients); }
END_TEST

/* The windows of an image are 25 times as large as it is. They are not copied, and their gradient has no memory. */
START_TEST(windows_are_not_copied) {
    const image m = {16, 32, 32, 4, 5, 5, 1, 8};
    ag_tape *t = ag_tape_new();
    ag_tape_set_threads(t, 1);
    ag_tape_set_evaluator(t, AG_EVALUATOR_FUSED);
    ag_tensor *x = ag_parameter_from(scattered(t, AG_F32, AG_SHAPE(m.n, m.h, m.w, m.c), 3)), *w, *d[2];
    w = ag_parameter_from(scattered(t, AG_F32, AG_SHAPE(m.kh, m.kw, m.c, m.k), 50));
    ag_tensor *in[] = {x, w};
    ag_tape_trim(t);
    const int64_t before = ag_tape_memory(t).peak_live;
    ag_grad(ag_sum(ag_square(ag_tensordot(windows_of(x, &m), w, 3))), 2, in, d);
    ag_eval_all(2, d);
    expect_ok(t);
    const int64_t more = ag_tape_memory(t).peak_live - before, windows = m.n * 28 * 28 * 5 * 5 * m.c * 4;
    ck_assert_msg(more < windows, "%" PRId64 " bytes, as many as all windows have: %" PRId64, more, windows);
    ag_tape_free(t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tensordot");
    TCase *products = plain_group(suite, "products");
    tcase_add_loop_test(products, images_have_the_bits_of_copies, 0, IMAGES);
    tcase_add_test(products, two_views);
    tcase_add_loop_test(products, sums_with_products, 0, 8);
    tcase_add_loop_test(products, zeros_of_a_cotangent, 0, 2);
    tcase_add_test(products, failing_allocations);
    if (usual_pieces(1)) tcase_add_test(products, windows_are_not_copied);
    return run_suite(suite);
}
