/* test_sums -- sums of very many f32 numbers: a relative error of 1e-6 at any length, in every operation
 *
 * Equal numbers are the hardest, because every addition to a running sum is then rounded the same way. Products are
 * tested in test_matmul.c. */
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>

static const double numbers[] = {0.1, 1.37, 1.999};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static const double most = 1e-6;

/* Whether all elements of y are `times` the f32 nearest to x. */
static void expect_all(ag_tensor *y, double x, double times, const char *what) {
    const float *got = ag_data(y);
    ck_assert_msg(got != NULL, "%s", ag_tape_error(tape));
    const double want = (double)(float)x * times;
    for (int64_t i = 0; i < ag_size(y); i++)
        if (!(fabs((double)got[i] / want - 1) <= most))
            ck_abort_msg("%s of %g numbers %g: element %d is %.9g, not %.9g: off by %.2g", what, times, x, (int)i,
                         (double)got[i], want, (double)got[i] / want - 1);
}

/* ---- Reductions ---- */

static void check_reductions(int64_t n, int64_t m, double x) {
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *rows = ag_contiguous(ag_full(tape, AG_F32, AG_SHAPE(n, m), x));
    ag_tensor *columns = ag_contiguous(ag_full(tape, AG_F32, AG_SHAPE(m, n), x));
    expect_all(ag_sum(rows), x, (double)(n * m), "the sum");
    expect_all(ag_mean(rows), x, 1, "the mean");
    expect_all(ag_sum_over(rows, AG_AXES(0), false), x, (double)n, "the sum down columns");
    expect_all(ag_sum_over(columns, AG_AXES(1), false), x, (double)n, "the sum along rows");
    expect_all(ag_sum_over(ag_transpose(rows, 0, 1), AG_AXES(1), false), x, (double)n, "the sum of a view");
    expect_all(ag_mean_over(ag_scale(rows, 1), AG_AXES(0), false), x, 1, "the mean down columns");
    ag_tape_rewind(tape, mark);
}

START_TEST(reductions) {
    const int64_t longest = small_run() ? 10000 : 2000000;
    for (int64_t n = 70; n <= longest; n = n * 5 + 1)
        for (int64_t m = 1; m <= 9; m += 4)
            for (int i = 0; i < NUMBERS; i++) check_reductions(n, m, numbers[i]);
}
END_TEST

/* ---- Additions at indices ---- */

static ag_tensor *cycle(int64_t n, int64_t of) {
    int64_t *at = malloc((size_t)n * sizeof *at);
    ck_assert_ptr_nonnull(at);
    for (int64_t i = 0; i < n; i++) at[i] = i % of;
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(n), at);
    free(at);
    return index;
}

/* n times `of` additions: of elements, of rows of `width`, and along the axis behind another one. */
static void check_scatter(int64_t n, int64_t of, int64_t width, double x) {
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *index = cycle(n * of, of), *one = ag_full(tape, AG_F32, AG_SHAPE(n * of), x);
    expect_all(ag_scatter_add(ag_zeros(tape, AG_F32, AG_SHAPE(of)), index, one, 0), x, (double)n, "scatter_add");
    ag_tensor *tall = ag_unsqueeze(index, 1), *rows = ag_full(tape, AG_F32, AG_SHAPE(n * of, width), x);
    ag_tensor *sum = ag_scatter_add(ag_zeros(tape, AG_F32, AG_SHAPE(of, width)), tall, rows, 0);
    expect_all(sum, x, (double)n, "scatter_add of rows");
    ag_tensor *flat = ag_unsqueeze(index, 0), *lines = ag_full(tape, AG_F32, AG_SHAPE(width, n * of), x);
    sum = ag_scatter_add(ag_contiguous(ag_zeros(tape, AG_F32, AG_SHAPE(width, of))), flat, lines, 1);
    expect_all(sum, x, (double)n, "scatter_add along the last axis");
    ag_tensor *more = ag_add(sum, ag_scatter_add(ag_zeros(tape, AG_F32, AG_SHAPE(width, of)), flat, lines, 1));
    expect_all(more, x, 2 * (double)n, "scatter_add to a sum");
    ag_tape_rewind(tape, mark);
}

START_TEST(additions_at_indices) {
    const int64_t longest = small_run() ? 3000 : 300000;
    for (int64_t n = 60; n <= longest; n = n * 7 + 1)
        for (int i = 0; i < NUMBERS; i++) {
            check_scatter(n, 1, 1, numbers[i]);
            check_scatter(n, 3, 5, numbers[i]);
            check_scatter(n, 2, 130, numbers[i] * (n < 5000 ? 1 : 2));
        }
}
END_TEST

START_TEST(millions_of_additions) {
    if (small_run()) return;
    for (int i = 0; i < NUMBERS; i++) check_scatter(5000000, 1, 1, numbers[i]);
}
END_TEST

/* A running f32 sum of ones stops at 2²⁴. */
START_TEST(the_gradient_of_a_gather_counts) {
    if (small_run()) return;
    const int64_t n = (1 << 24) + 1000;
    ag_tensor *table = ag_parameter(tape, AG_F32, AG_SHAPE(1), (float[]){2}), *d;
    ag_grad(ag_sum(ag_gather(table, ag_zeros(tape, AG_I64, AG_SHAPE(n)), 0)), 1, &table, &d);
    ck_assert_double_eq(ag_item(d), (double)n);
}
END_TEST

/* Few additions to most rows and many to one; results that are not finite are those of plain additions. */
START_TEST(infinities_and_nan) {
    enum { N = 200, WIDTH = 6 };
    double x[N * WIDTH];
    for (int i = 0; i < N * WIDTH; i++) x[i] = i % WIDTH == 1 && i / WIDTH == 70 ? INFINITY : 1;
    x[90 * WIDTH + 2] = NAN;
    x[50 * WIDTH + 3] = -INFINITY, x[60 * WIDTH + 3] = INFINITY;
    int64_t at[N];
    for (int i = 0; i < N; i++) at[i] = i < 100 ? 1 : 2 + i % 50;
    ag_tensor *source = tensor_of(tape, AG_F32, AG_SHAPE(N, WIDTH), x);
    ag_tensor *index = ag_unsqueeze(ag_from(tape, AG_I64, AG_SHAPE(N), at), 1);
    const float *y = ag_data(ag_scatter_add(ag_ones(tape, AG_F32, AG_SHAPE(60, WIDTH)), index, source, 0));
    ck_assert_msg(y != NULL, "%s", ag_tape_error(tape));
    for (int j = 0; j < WIDTH; j++) {
        ck_assert(y[j] == 1 && y[2 * WIDTH + j] == 3 && y[55 * WIDTH + j] == 1);
        const float got = y[WIDTH + j];
        ck_assert(j == 1 ? got == INFINITY : j == 2 || j == 3 ? isnan(got) : got == 101);
    }
}
END_TEST

/* ---- Windows ---- */

/* ag_fold of n windows of n elements, step 1: the middle element is in all of them. */
START_TEST(windows_over_one_element) {
    const int64_t longest = small_run() ? 300 : 3000;
    for (int64_t n = 60; n <= longest; n = n * 3 + 1)
        for (int i = 0; i < NUMBERS; i++) {
            const ag_mark mark = ag_tape_mark(tape);
            ag_tensor *w = ag_full(tape, AG_F32, AG_SHAPE(n, n), numbers[i]);
            ag_tensor *y = ag_fold(w, AG_AXES(0), AG_SHAPE(2 * n - 1), AG_SHAPE(1));
            expect_all(ag_slice(y, 0, n - 1, n, 1), numbers[i], (double)n, "fold");
            expect_all(ag_slice(y, 0, 0, 1, 1), numbers[i], 1, "fold");
            w = ag_full(tape, AG_F32, AG_SHAPE(n, 3, n), numbers[i]);
            y = ag_fold(w, AG_AXES(0), AG_SHAPE(2 * n - 1), AG_SHAPE(1));
            expect_all(ag_slice(y, 0, n - 1, n, 1), numbers[i], (double)n, "fold of columns");
            ag_tape_rewind(tape, mark);
        }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sums");
    TCase *sums = tape_group(suite, "sums");
    tcase_add_test(sums, reductions);
    tcase_add_test(sums, additions_at_indices);
    tcase_add_test(sums, millions_of_additions);
    tcase_add_test(sums, the_gradient_of_a_gather_counts);
    tcase_add_test(sums, infinities_and_nan);
    tcase_add_test(sums, windows_over_one_element);
    return run_suite(suite);
}
