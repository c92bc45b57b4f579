/* test_narrow -- short rows: their folds, one element for each, and cotangents of several slices
 *
 * A short row is added up from its first element to its last, in every evaluator and whatever the strides, and the
 * plain loops here do the same: results must be equal to the bit. */
#include "tests/support.h"

#include "autograd/tape/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const ag_dtype dtypes[] = {AG_F32, AG_F64, AG_I64};
static const int64_t heights[] = {1, 7, 9, 65, 400};
static const int64_t widths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 31, 32, 33};
enum { DTYPES = sizeof dtypes / sizeof *dtypes, HEIGHTS = sizeof heights / sizeof *heights };
enum { WIDTHS = sizeof widths / sizeof *widths };

static double number(int64_t i) { return (double)(i * 7919 % 2003) / 37 - 25; }

/* The constants of a test: element (i, j) is `number` of i·w + j. */
static ag_tensor *numbers(ag_dtype dtype, int64_t n, int64_t w) {
    double *x = malloc((size_t)(n * w) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < n * w; i++) x[i] = number(i);
    ag_tensor *t = ag_from(tape, AG_F64, AG_SHAPE(n, w), x);
    free(x);
    return dtype == AG_F64 ? t : ag_keep(ag_cast(t, dtype));
}

/* ---- Folds ---- */

enum function { SUM, MEAN, MAX, MIN, FUNCTIONS };

static ag_tensor *folded(enum function f, ag_tensor *x, int axis) {
    switch (f) {
    case SUM: return ag_sum_over(x, AG_AXES(axis), false);
    case MEAN: return ag_mean_over(x, AG_AXES(axis), false);
    case MAX: return ag_max_over(x, AG_AXES(axis), false);
    default: return ag_min_over(x, AG_AXES(axis), false);
    }
}

static double rounded(ag_dtype dtype, double x) {
    return dtype == AG_F32 ? (double)(float)x : dtype == AG_I64 ? trunc(x) : x;
}

/* The fold of a row of w elements, by a plain loop that rounds as the dtype does. */
static double expected(enum function f, ag_dtype dtype, int64_t row, int64_t w) {
    double y = rounded(dtype, number(row * w));
    for (int64_t j = 1; j < w; j++) {
        double x = rounded(dtype, number(row * w + j));
        y = f == MAX ? fmax(y, x) : f == MIN ? fmin(y, x) : rounded(dtype, y + x);
    }
    return f == MEAN ? rounded(dtype, y / (double)w) : y;
}

/* Whether the order of a sum is that of a plain loop. */
static bool is_chain(enum function f, int64_t w) { return w < AG__ROWS_A_GROUP || f == MAX || f == MIN; }

static void expect_folds(enum function f, ag_dtype dtype, ag_tensor *y, int64_t n, int64_t w, const char *what) {
    for (int64_t i = 0; i < n; i++) {
        const void *data = ag_data(y);
        ck_assert_msg(data != NULL, "%s", ag_tape_error(tape));
        double got = dtype == AG_F32   ? (double)((const float *)data)[i]
                     : dtype == AG_F64 ? ((const double *)data)[i]
                                       : (double)((const int64_t *)data)[i];
        double want = expected(f, dtype, i, w);
        bool good = is_chain(f, w) ? got == want : fabs(got - want) <= 1e-6 * 25 * (double)w;
        ck_assert_msg(good, "%s of %s, %d rows of %d, function %d: row %d is %.17g, not %.17g", what,
                      ag_dtype_name(dtype), (int)n, (int)w, (int)f, (int)i, got, want);
    }
}

/* The same rows contiguous, computed in a region, as part of longer rows, backwards, and as a transpose. */
static void check_folds(enum function f, ag_dtype dtype, int64_t n, int64_t w) {
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *x = numbers(dtype, n, w), *twice = numbers(dtype, n * 2, w);
    expect_folds(f, dtype, folded(f, x, 1), n, w, "rows");
    expect_folds(f, dtype, folded(f, ag_add(x, ag_sub(x, x)), -1), n, w, "computed rows");
    ag_tensor *pair = ag_keep(ag_concat(2, (ag_tensor *[]){x, x}, 1));
    expect_folds(f, dtype, folded(f, ag_slice(pair, 1, w, AG_END, 1), 1), n, w, "a part of longer rows");
    expect_folds(f, dtype, folded(f, ag_slice(twice, 0, 0, n, 1), 1), n, w, "the first rows");
    ag_tensor *turned = ag_keep(ag_contiguous(ag_transpose(x, 0, 1)));
    expect_folds(f, dtype, folded(f, ag_transpose(turned, 0, 1), 1), n, w, "a transpose");
    if (w < AG__ROWS_A_GROUP) expect_folds(f, dtype, folded(f, turned, 0), n, w, "columns");
    ag_tensor *cube = ag_reshape(pair, AG_SHAPE(n, 2, w));
    ag_tensor *y = folded(f, ag_slice(cube, 1, 1, 2, 1), 2);
    expect_folds(f, dtype, ag_contiguous(ag_squeeze(y, AG_AXES(1))), n, w, "rows of three axes");
    expect_ok(tape);
    ag_tape_rewind(tape, mark);
}

static void check_all_folds(ag_evaluator evaluator) {
    ag_tape_set_evaluator(tape, evaluator);
    for (int h = 0; h < HEIGHTS; h++)
        for (int w = 0; w < WIDTHS; w += small_run() ? 3 : 1)
            for (int d = 0; d < DTYPES; d++)
                for (enum function f = SUM; f < FUNCTIONS; f++)
                    if ((dtypes[d] != AG_I64 || f != MEAN) && (f == SUM || heights[h] == 65))
                        check_folds(f, dtypes[d], heights[h], widths[w]);
}

START_TEST(folds_in_regions) { check_all_folds(AG_EVALUATOR_FUSED); }
END_TEST

START_TEST(folds_by_the_reference_evaluator) { check_all_folds(AG_EVALUATOR_REFERENCE); }
END_TEST

/* ---- One element for each row ---- */

static void check_spread(ag_dtype dtype, int64_t n, int64_t w) {
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *x = numbers(dtype, n, w), *column = numbers(dtype, n, 1);
    ag_tensor *turned = ag_keep(ag_contiguous(ag_transpose(x, 0, 1)));
    ag_tensor *y = ag_add(x, column), *z = ag_sub(y, ag_transpose(turned, 0, 1));
    ag_tensor *copy = ag_contiguous(ag_broadcast_to(column, AG_SHAPE(n, w)));
    ag_tensor *top = ag_sub(x, ag_max_over(x, AG_AXES(1), true));
    const double *sum = ag_data(ag_cast(y, AG_F64)), *copied = ag_data(ag_cast(copy, AG_F64));
    const double *rest = ag_data(ag_cast(z, AG_F64)), *below = ag_data(ag_cast(top, AG_F64));
    expect_ok(tape);
    for (int64_t i = 0; i < n * w; i++) {
        double a = rounded(dtype, number(i)), b = rounded(dtype, number(i / w)), s = rounded(dtype, a + b);
        double most = expected(MAX, dtype, i / w, w);
        ck_assert_msg(sum[i] == s && copied[i] == b && rest[i] == rounded(dtype, s - a) &&
                          below[i] == rounded(dtype, a - most),
                      "%s, %d rows of %d: element %d", ag_dtype_name(dtype), (int)n, (int)w, (int)i);
    }
    ag_tape_rewind(tape, mark);
}

START_TEST(broadcasts_over_short_rows) {
    for (int fused = 0; fused < 2; fused++) {
        ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        for (int h = 0; h < HEIGHTS; h++)
            for (int w = 0; w < WIDTHS; w += small_run() ? 3 : 1)
                for (int d = 0; d < DTYPES; d++) check_spread(dtypes[d], heights[h], widths[w]);
    }
}
END_TEST

/* A choice for each row, in bytes. */
START_TEST(truth_values_over_short_rows) {
    for (int64_t w = 1; w <= 17; w++) {
        const ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = numbers(AG_F64, 130, w), *column = numbers(AG_F64, 130, 1);
        ag_tensor *sign = ag_less(column, ag_scalar(tape, AG_F64, 0));
        const double *y = ag_data(ag_where(sign, x, ag_neg(x)));
        for (int64_t i = 0; i < 130 * w; i++) ck_assert(y[i] == (number(i / w) < 0 ? number(i) : -number(i)));
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("narrow");
    TCase *rows = tape_group(suite, "rows");
    tcase_add_test(rows, folds_in_regions);
    tcase_add_test(rows, folds_by_the_reference_evaluator);
    tcase_add_test(rows, broadcasts_over_short_rows);
    tcase_add_test(rows, truth_values_over_short_rows);
    return run_suite(suite);
}
