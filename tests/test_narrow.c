/* test_narrow -- short rows: their folds, one element for each, cotangents of several slices, rows that an index chooses
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

/* ---- Folds over any axes of three, in any order ---- */

/* The sum over these axes of x, whose element (i, j, k) is the whole number i·s0 + j·s1 + k·s2 modulo 101. */
static double sum_at(const int64_t *extent, const int64_t *step, unsigned mask, const int64_t *at) {
    int64_t from[3], to[3];
    double sum = 0;
    for (int a = 0; a < 3; a++) {
        from[a] = mask >> a & 1 ? 0 : at[a];
        to[a] = mask >> a & 1 ? extent[a] : at[a] + 1;
    }
    for (int64_t i = from[0]; i < to[0]; i++)
        for (int64_t j = from[1]; j < to[1]; j++)
            for (int64_t k = from[2]; k < to[2]; k++) sum += (double)((i * step[0] + j * step[1] + k * step[2]) % 101);
    return sum;
}

static void expect_sums(ag_tensor *x, const int64_t *extent, const int64_t *step, unsigned mask) {
    ag_axes axes = {0};
    for (int a = 0; a < 3; a++)
        if (mask >> a & 1) axes.axis[axes.count++] = a;
    const double *y = ag_data(ag_sum_over(x, axes, true));
    ck_assert_msg(y != NULL, "%s", ag_tape_error(tape));
    int64_t at[3] = {0}, end[3];
    for (int a = 0; a < 3; a++) end[a] = mask >> a & 1 ? 1 : extent[a];
    for (at[0] = 0; at[0] < end[0]; at[0]++)
        for (at[1] = 0; at[1] < end[1]; at[1]++)
            for (at[2] = 0; at[2] < end[2]; at[2]++, y++) {
                double want = sum_at(extent, step, mask, at);
                ck_assert_msg(*y == want, "(%d,%d,%d), axes %u: element (%d,%d,%d) is %g, not %g", (int)extent[0],
                              (int)extent[1], (int)extent[2], mask, (int)at[0], (int)at[1], (int)at[2], *y, want);
            }
}

/* x, and its axes in each other order: extents and steps go with them. */
static void check_sums_of(int64_t a, int64_t b, int64_t c) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const int64_t extents[3] = {a, b, c}, steps[3] = {b * c, c, 1};
    const ag_mark mark = ag_tape_mark(tape);
    double *data = malloc((size_t)(a * b * c) * sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (int64_t i = 0; i < a * b * c; i++) data[i] = (double)(i % 101);
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(a, b, c), data);
    free(data);
    for (int o = 0; o < 6; o++) {
        const int *p = orders[o];
        const int64_t extent[3] = {extents[p[0]], extents[p[1]], extents[p[2]]};
        const int64_t step[3] = {steps[p[0]], steps[p[1]], steps[p[2]]};
        ag_tensor *y = ag_permute(x, AG_AXES(p[0], p[1], p[2]));
        for (unsigned mask = 1; mask < 8; mask++) expect_sums(y, extent, step, mask);
    }
    ag_tape_rewind(tape, mark);
}

START_TEST(folds_over_any_axes) {
    ag_tape_set_threads(tape, 2);
    for (int fused = 0; fused < 2; fused++) {
        ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        check_sums_of(2, 3, 4);
        check_sums_of(1, 40, 3);
        check_sums_of(33, 2, 5);
        check_sums_of(3, 1100, 2);
        check_sums_of(2, 1030, 4);
        check_sums_of(70, 33, 9);
        check_sums_of(1500, 5, 1);
        check_sums_of(64, 1, 17);
    }
}
END_TEST

static ag_status sum_in_another_order(ag_tape *t) {
    ag_tensor *x = ag_arange(t, AG_F64, 4000);
    ag_data(ag_sum_over(ag_permute(ag_reshape(x, AG_SHAPE(4, 40, 25)), AG_AXES(2, 1, 0)), AG_AXES(1), false));
    return ag_tape_status(t);
}

START_TEST(folds_without_memory) { with_each_allocation_failing(sum_in_another_order); }
END_TEST

/* ---- Where the largest is ---- */

/* Few different numbers, so that the first of several counts; NaN in one row of five. */
static double with_ties(ag_dtype dtype, int64_t row, int64_t j) {
    if (dtype != AG_I64 && row % 5 == 3 && (row + j * 7) % 11 == 4) return NAN;
    return (double)((row * 31 + j * 17) % 13 - 6) * (row % 7 == 2 ? 0 : 1);
}

static int64_t first_largest(ag_dtype dtype, int64_t row, int64_t w) {
    int64_t best = 0;
    for (int64_t j = 1; j < w; j++) {
        double a = with_ties(dtype, row, best), b = with_ties(dtype, row, j);
        if (b > a || (isnan(b) && !isnan(a))) best = j;
    }
    return best;
}

static void expect_places(ag_dtype dtype, ag_tensor *y, int64_t n, int64_t w, const char *what) {
    const int64_t *at = ag_data(y);
    ck_assert_msg(at != NULL, "%s", ag_tape_error(tape));
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(at[i] == first_largest(dtype, i, w), "%s of %s, %d rows of %d: row %d is %d, not %d", what,
                      ag_dtype_name(dtype), (int)n, (int)w, (int)i, (int)at[i], (int)first_largest(dtype, i, w));
}

static void check_places(ag_dtype dtype, int64_t n, int64_t w) {
    const ag_mark mark = ag_tape_mark(tape);
    double *data = malloc((size_t)(n * w) * sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (int64_t i = 0; i < n * w; i++) data[i] = with_ties(dtype, i / w, i % w);
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(n, w), data);
    free(data);
    x = ag_keep(dtype == AG_F64 ? x : ag_cast(x, dtype));
    expect_places(dtype, ag_argmax(x, 1, false), n, w, "rows");
    ag_tensor *turned = ag_keep(ag_contiguous(ag_transpose(x, 0, 1)));
    expect_places(dtype, ag_argmax(turned, 0, false), n, w, "columns");
    expect_places(dtype, ag_argmax(ag_transpose(turned, 0, 1), -1, true), n, w, "a transpose");
    ag_tensor *pair = ag_keep(ag_concat(2, (ag_tensor *[]){x, x}, 1)), *cube = ag_reshape(pair, AG_SHAPE(n, 2, w));
    expect_places(dtype, ag_argmax(ag_slice(cube, 1, 1, 2, 1), 2, false), n, w, "a part of longer rows");
    expect_places(dtype, ag_argmax(ag_flip(ag_flip(x, 1), 1), 1, false), n, w, "rows turned round twice");
    ag_tape_rewind(tape, mark);
}

START_TEST(first_of_the_largest) {
    static const int64_t long_rows[] = {63, 64, 65, 1023, 1025, 2100};
    for (int d = 0; d < DTYPES; d++) {
        for (int h = 0; h < HEIGHTS; h++)
            for (int w = 0; w < WIDTHS; w++) check_places(dtypes[d], heights[h], widths[w]);
        for (int i = 0; i < 6; i++) check_places(dtypes[d], 11, long_rows[i]);
    }
    ag_tape_set_threads(tape, 2);
    check_places(AG_F32, 30000, 3);
}
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

/* ---- Cotangents of slices ---- */

/* The same elements by another operation, whose gradient adds at indices. */
static ag_tensor *gathered(ag_tensor *x, int axis, int64_t start, int64_t n, int64_t step) {
    ag_shape shape = {.rank = ag_rank(x), .extent = {1, 1, 1}};
    int64_t at[16];
    for (int64_t i = 0; i < n; i++) at[i] = start + i * step;
    shape.extent[axis] = n;
    return ag_gather(x, ag_from(tape, AG_I64, shape, at), axis);
}

static ag_tensor *part(bool sliced, ag_tensor *x, int axis, int64_t start, int64_t n, int64_t step) {
    int64_t end = start + n * step;
    return sliced ? ag_slice(x, axis, start, end < 0 ? AG_END : end, step) : gathered(x, axis, start, n, step);
}

typedef struct use { /* a slice: its cube is added to the result */
    int axis;
    int64_t start, n, step;
} use;

/* Σ (k + 1)·slice_k³, and Σ x⁴ if the whole is used as well. */
static ag_tensor *of_slices(bool sliced, ag_tensor *x, int uses, const use *u, bool whole) {
    ag_tensor *y = whole ? ag_sum(ag_square(ag_square(x))) : ag_scalar(tape, ag_dtype_of(x), 0);
    for (int k = 0; k < uses; k++) {
        ag_tensor *s = part(sliced, x, u[k].axis, u[k].start, u[k].n, u[k].step);
        y = ag_add(y, ag_sum(ag_scale(ag_mul(ag_square(s), s), k + 1)));
    }
    return y;
}

static void expect_as_gathered(ag_tensor *a, ag_tensor *b, const char *what) {
    const double *x = ag_data(a), *y = ag_data(b);
    ck_assert_msg(x && y, "%s", ag_tape_error(tape));
    for (int64_t i = 0; i < ag_size(a); i++)
        ck_assert_msg(fabs(x[i] - y[i]) <= 1e-13 * (1 + fabs(y[i])), "%s: element %d is %.17g, not %.17g", what, (int)i,
                      x[i], y[i]);
}

/* First and second derivatives, beside those through gathers. */
static void check_slices(const char *what, ag_shape shape, int uses, const use *u, bool whole) {
    const ag_mark mark = ag_tape_mark(tape);
    double data[120];
    for (int i = 0; i < 120; i++) data[i] = sin(i + 1);
    ag_tensor *x = ag_parameter(tape, AG_F64, shape, data), *first[2], *second[2];
    for (int sliced = 0; sliced < 2; sliced++) {
        ag_tensor *y = of_slices(sliced, x, uses, u, whole), *dot;
        ag_grad(y, 1, &x, &first[sliced]);
        dot = ag_sum(ag_mul(ag_square(first[sliced]), x));
        ag_grad(dot, 1, &x, &second[sliced]);
    }
    expect_as_gathered(first[1], first[0], what);
    expect_as_gathered(second[1], second[0], what);
    ag_tape_rewind(tape, mark);
}

#define CHECK_SLICES(what, shape, whole, ...)                                                                          \
    check_slices(what, shape, sizeof((use[]){__VA_ARGS__}) / sizeof(use), (use[]){__VA_ARGS__}, whole)

START_TEST(slices_in_any_arrangement) {
    for (int whole = 0; whole < 2; whole++) {
        CHECK_SLICES("columns", AG_SHAPE(5, 3), whole, {1, 0, 1, 1}, {1, 1, 1, 1}, {1, 2, 1, 1});
        CHECK_SLICES("not in order", AG_SHAPE(5, 6), whole, {1, 4, 2, 1}, {1, 0, 2, 1}, {1, 2, 2, 1});
        CHECK_SLICES("gaps", AG_SHAPE(2, 9, 3), whole, {1, 1, 2, 1}, {1, 6, 1, 1}, {1, 4, 1, 1});
        CHECK_SLICES("far apart", AG_SHAPE(40, 3), whole, {0, 3, 1, 1}, {0, 30, 1, 1});
        CHECK_SLICES("one slice twice", AG_SHAPE(5, 3), whole, {1, 1, 1, 1}, {1, 1, 1, 1});
        CHECK_SLICES("repeated", AG_SHAPE(5, 3), whole, {1, 1, 1, 1}, {1, 0, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1});
        CHECK_SLICES("overlapping", AG_SHAPE(9), whole, {0, 0, 8, 1}, {0, 1, 8, 1}, {0, 4, 2, 1}, {0, 8, 1, 1});
        CHECK_SLICES("two axes", AG_SHAPE(5, 4), whole, {1, 0, 2, 1}, {0, 0, 2, 1}, {1, 2, 2, 1}, {0, 3, 2, 1});
        CHECK_SLICES("steps", AG_SHAPE(9), whole, {0, 0, 5, 2}, {0, 1, 4, 2}, {0, 8, 9, -1}, {0, 2, 1, 1});
        CHECK_SLICES("one index backwards", AG_SHAPE(4), whole, {0, 2, 1, 1}, {0, 1, 2, -1}, {0, 3, 1, 1});
    }
}
END_TEST

/* The gradient is one concatenation of the slices' cotangents: no tensor of zeros for each. */
START_TEST(slices_are_joined) {
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(4, 8), (double[32]){1}), *dx, *y = NULL;
    for (int k = 0; k < 4; k++) {
        ag_tensor *gate = ag_tanh(ag_slice(x, 1, 2 * k, 2 * k + 2, 1));
        y = y ? ag_mul(y, gate) : gate;
    }
    ag_grad(ag_sum(y), 1, &x, &dx);
    ck_assert_str_eq(ag_op_of(dx)->name, "concat");
    ck_assert_int_eq(ag_inputs(dx), 4);
    x = ag_parameter(tape, AG_F64, AG_SHAPE(1000), (double[1000]){0});
    for (int k = 0; k < 1000; k++) y = ag_add(k ? y : ag_scalar(tape, AG_F64, 0), ag_sum(ag_slice(x, 0, k, k + 1, 1)));
    ag_grad(ag_sum(y), 1, &x, &dx);
    ck_assert_str_eq(ag_op_of(dx)->name, "concat");
    ck_assert_int_eq(ag_inputs(dx), 1000);
    expect_ok(tape);
}
END_TEST

/* A sum that is passed on unchanged is another cotangent's: it is not taken apart. */
START_TEST(sums_that_are_passed_on) {
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(6), (double[6]){1, 2, 3, 4, 5, 6});
    ag_tensor *z = ag_scale(x, 2), *s = ag_add(z, x);
    ag_tensor *y = ag_add(ag_sum(ag_slice(s, 0, 0, 2, 1)), ag_sum(ag_square(ag_slice(s, 0, 4, 6, 1))));
    ag_tensor *both[2];
    ag_grad(ag_add(y, ag_sum(ag_slice(x, 0, 2, 3, 1))), 2, (ag_tensor *[]){x, z}, both);
    expect_list(both[1], 1, 1, 0, 0, 30, 36);
    expect_list(both[0], 3, 3, 1, 0, 90, 108);
}
END_TEST

static ag_status differentiate_slices(ag_tape *t) {
    ag_tensor *x = ag_parameter(t, AG_F64, AG_SHAPE(4, 3), (double[12]){1}), *dx, *y = ag_sum(ag_square(x));
    for (int k = 0; k < 6; k++) y = ag_add(y, ag_sum(ag_exp(ag_slice(x, 1, k % 3, k % 3 + 1, 1))));
    ag_grad(y, 1, &x, &dx);
    ag_data(dx);
    return ag_tape_status(t);
}

START_TEST(slices_without_memory) { with_each_allocation_failing(differentiate_slices); }
END_TEST

/* Concatenations of narrow and empty inputs, across the pieces in which they are copied, on several threads. */
START_TEST(concatenations) {
    for (int threads = 1; threads <= 2; threads++) {
        ag_tape_set_threads(tape, threads);
        for (int64_t n = 1; n <= 20000; n = n * 9 + 1) {
            const ag_mark mark = ag_tape_mark(tape);
            ag_tensor *a = numbers(AG_F64, n, 2), *b = numbers(AG_F64, 1, n),
                      *none = ag_zeros(tape, AG_F64, AG_SHAPE(n, 0));
            ag_tensor *all[] = {a, none, ag_transpose(b, 0, 1),
                                ag_broadcast_to(ag_scalar(tape, AG_F64, 7), AG_SHAPE(n, 3))};
            const double *y = ag_data(ag_concat(4, all, 1));
            ck_assert_msg(y != NULL, "%s", ag_tape_error(tape));
            for (int64_t i = 0; i < n * 6; i++) {
                double want = i % 6 < 2 ? number(i / 6 * 2 + i % 6) : i % 6 == 2 ? number(i / 6) : 7;
                ck_assert_msg(y[i] == want, "%d rows: element %d is %g, not %g", (int)n, (int)i, y[i], want);
            }
            ag_tape_rewind(tape, mark);
        }
    }
}
END_TEST

/* ---- Rows that an index chooses ---- */

typedef struct choice { /* x (a,m,b) along its middle axis, by n indices: one for each element, or for rows of b */
    int64_t a, m, b, n;
    bool each, turned; /* turned: x is a transpose */
} choice;

static int64_t index_at(const choice *c, int64_t i, int64_t j, int64_t k) {
    return (i * 5 + j * 7 + (c->each ? k * 3 : 0)) % c->m;
}

static ag_tensor *index_of(const choice *c) {
    const int64_t b = c->each ? c->b : 1;
    int64_t *at = malloc((size_t)(c->a * c->n * b) * sizeof *at), *next = at;
    ck_assert_ptr_nonnull(at);
    for (int64_t i = 0; i < c->a; i++)
        for (int64_t j = 0; j < c->n; j++)
            for (int64_t k = 0; k < b; k++) *next++ = index_at(c, i, j, k);
    ag_tensor *t = ag_from(tape, AG_I64, AG_SHAPE(c->a, c->n, b), at);
    free(at);
    return t;
}

/* Whole numbers, whose sums are not rounded: element (i, j, k) is their number modulo 101; true or false in bool. */
static double whole(ag_dtype dtype, int64_t number) {
    return (double)(dtype == AG_BOOL ? number % 3 > 0 : number % 101);
}

static ag_tensor *wholes(ag_dtype dtype, int64_t a, int64_t m, int64_t b, bool turned) {
    double *x = malloc((size_t)(a * m * b) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int64_t n = 0; n < a * m * b; n++) x[n] = whole(dtype, n);
    ag_tensor *t = ag_from(tape, AG_F64, AG_SHAPE(a, m, b), x);
    free(x);
    t = ag_keep(dtype == AG_F64 ? t : ag_cast(t, dtype));
    return turned ? ag_transpose(ag_keep(ag_contiguous(ag_transpose(t, 0, 2))), 0, 2) : t;
}

static void expect_gathered(const choice *c, ag_dtype dtype, ag_tensor *index) {
    ag_tensor *x = wholes(dtype, c->a, c->m, c->b, c->turned);
    const double *y = ag_data(ag_cast(ag_gather(x, index, 1), AG_F64));
    ck_assert_msg(y != NULL, "%s", ag_tape_error(tape));
    for (int64_t i = 0; i < c->a; i++)
        for (int64_t j = 0; j < c->n; j++)
            for (int64_t k = 0; k < c->b; k++, y++) {
                double want = whole(dtype, (i * c->m + index_at(c, i, j, k)) * c->b + k);
                ck_assert_msg(*y == want, "(%d,%d,%d), %d indices, %s: element (%d,%d,%d) is %g, not %g", (int)c->a,
                              (int)c->m, (int)c->b, (int)c->n, ag_dtype_name(dtype), (int)i, (int)j, (int)k, *y, want);
            }
}

static void expect_scattered(const choice *c, ag_dtype dtype, ag_tensor *index) {
    double *want = calloc((size_t)(c->a * c->m * c->b), sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (int64_t i = 0; i < c->a; i++)
        for (int64_t j = 0; j < c->n; j++)
            for (int64_t k = 0; k < c->b; k++)
                want[(i * c->m + index_at(c, i, j, k)) * c->b + k] += whole(dtype, (i * c->n + j) * c->b + k);
    ag_tensor *source = wholes(dtype, c->a, c->n, c->b, c->turned);
    ag_tensor *zeros = ag_zeros(tape, dtype, AG_SHAPE(c->a, c->m, c->b));
    const double *y = ag_data(ag_cast(ag_scatter_add(zeros, index, source, 1), AG_F64));
    ck_assert_msg(y != NULL, "%s", ag_tape_error(tape));
    for (int64_t e = 0; e < c->a * c->m * c->b; e++)
        ck_assert_msg(y[e] == want[e], "(%d,%d,%d), %d indices, %s: element %d is %g, not %g", (int)c->a, (int)c->m,
                      (int)c->b, (int)c->n, ag_dtype_name(dtype), (int)e, y[e], want[e]);
    free(want);
}

static void check_choice(choice c) {
    static const ag_dtype all[] = {AG_BOOL, AG_I64, AG_F32, AG_F64};
    for (int form = 0; form<4; form += c.a * c.n> 1000 ? 3 : 1) {
        const ag_mark mark = ag_tape_mark(tape);
        c.each = form % 2, c.turned = form / 2;
        ag_tensor *index = index_of(&c);
        for (int d = 0; d < 4; d++) expect_gathered(&c, all[d], index);
        for (int d = 1; d < 4; d++) expect_scattered(&c, all[d], index);
        ag_tape_rewind(tape, mark);
    }
}

START_TEST(rows_by_index) {
    static const int64_t few[] = {1, 2, 3, 4, 5, 7, 8, 64};
    ag_tape_set_threads(tape, 2);
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        check_choice((choice){.a = 1, .m = 11, .b = few[i], .n = 9});
        check_choice((choice){.a = 3, .m = 5, .b = few[i], .n = 70});
        check_choice((choice){.a = 4, .m = 1, .b = few[i], .n = 1});
    }
    check_choice((choice){.a = 1, .m = 1, .b = 1, .n = 1});
    check_choice((choice){.a = 1, .m = 5000, .b = 1, .n = 35000});
    check_choice((choice){.a = 70000, .m = 3, .b = 1, .n = 1});
    check_choice((choice){.a = 1, .m = 300, .b = 3, .n = 12000});
}
END_TEST

/* Thirds at an index, along rows of `m` or down their columns, from a table of sevenths or of zeros. An element of row r
 * has more additions the larger r is: none of them `most`, or the first one in the last row. */
typedef struct crowd {
    int64_t rows, m, n, most;
    bool along, zeros;
} crowd;

static int64_t placed(const crowd *c, int64_t r, int64_t j) {
    return r == c->rows - 1 && j < c->most ? 0 : (j * 7 + r * r * 5) % c->m;
}

/* Sums in f64, in which the terms of any element have no error that is seen in f32, and how many terms there are. */
static void crowd_sums(const crowd *c, double *sum, float *plain, int *count) {
    for (int64_t r = 0; r < c->rows; r++)
        for (int64_t j = 0; j < c->n; j++) {
            const int64_t at = r * c->m + placed(c, r, j);
            sum[at] += (double)((float)(j + 1) / 3);
            plain[at] += (float)(j + 1) / 3;
            count[at]++;
        }
}

static void check_crowd(crowd c) {
    enum { FEW = 2 * AG__ROWS_A_GROUP };
    const int64_t size = c.rows * c.m;
    const ag_mark mark = ag_tape_mark(tape);
    float *plain = malloc((size_t)size * sizeof *plain), *x = malloc((size_t)(c.rows * c.n) * sizeof *x);
    double *sum = malloc((size_t)size * sizeof *sum);
    int64_t *at = malloc((size_t)(c.rows * c.n) * sizeof *at);
    int *count = calloc((size_t)size, sizeof *count), most = 0;
    ck_assert(plain && x && sum && at && count);
    for (int64_t i = 0; i < size; i++) sum[i] = plain[i] = c.zeros ? 0 : (float)(i % 5) / 7;
    ag_tensor *table =
        c.zeros ? ag_zeros(tape, AG_F32, AG_SHAPE(c.rows, c.m)) : ag_from(tape, AG_F32, AG_SHAPE(c.rows, c.m), plain);
    for (int64_t i = 0; i < c.rows * c.n; i++) at[i] = placed(&c, i / c.n, i % c.n), x[i] = (float)(i % c.n + 1) / 3;
    crowd_sums(&c, sum, plain, count);
    for (int64_t i = 0; i < size; i++) most = count[i] > most ? count[i] : most;
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(c.rows, c.n), at);
    ag_tensor *source = ag_from(tape, AG_F32, AG_SHAPE(c.rows, c.n), x), *y;
    if (c.along) y = ag_scatter_add(table, index, source, 1);
    else {
        ag_tensor *turned[3] = {table, index, source};
        for (int i = 0; i < 3; i++) turned[i] = ag_contiguous(ag_transpose(turned[i], 0, 1));
        y = ag_transpose(ag_scatter_add(turned[0], turned[1], turned[2], 0), 0, 1);
    }
    const float *got = ag_data(ag_contiguous(y));
    ck_assert_msg(got != NULL, "%s", ag_tape_error(tape));
    for (int64_t i = 0; i < size; i++) {
        const bool right = got[i] == (float)sum[i] || (most <= FEW && got[i] == plain[i]);
        ck_assert_msg(right && (!c.along || most > FEW || got[i] == plain[i]),
                      "(%d,%d), %d indices, %d at one place: element %d is %.9g, not %.9g", (int)c.rows, (int)c.m,
                      (int)c.n, most, (int)i, (double)got[i], sum[i]);
    }
    free(plain), free(x), free(sum), free(at), free(count);
    ag_tape_rewind(tape, mark);
}

/* Few additions to an element are plain ones, and many are made in f64, wherever the element with many is. */
START_TEST(additions_to_an_element) {
    ag_tape_set_threads(tape, 2);
    for (int k = 0; k < 4; k++) {
        const bool along = k % 2, zeros = k / 2;
        for (int64_t most = 60; most < 70; most++) check_crowd((crowd){5, 300, 200, most, along, zeros});
        for (int64_t rows = 1; rows < 4; rows++) check_crowd((crowd){rows, 70, 66, 66, along, zeros});
        for (int64_t m = 4095; m < 4098; m++) check_crowd((crowd){3, m, 500, 65, along, zeros});
        check_crowd((crowd){600, 40, 300, 0, along, zeros});
        check_crowd((crowd){130, 700, 90, 90, along, zeros});
    }
}
END_TEST

/* The first index that is out of range is reported, in the order of elements, whatever the strides. */
START_TEST(first_index_out_of_range) {
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(4, 3)),
              *i = ag_from(tape, AG_I64, AG_SHAPE(2, 3), (int64_t[6]){0, 4, 1, -1, 2, 3});
    ag_eval(ag_gather(x, i, 0));
    expect_error(tape, AG_ERR_RANGE, "index 4 at element 1 is out of range for axis 0 with extent 4");
    ag_tensor *turned = ag_transpose(ag_from(tape, AG_I64, AG_SHAPE(3, 2), (int64_t[6]){0, -1, 2, 1, 9, 3}), 0, 1);
    ag_eval(ag_gather(x, turned, 0));
    expect_error(tape, AG_ERR_RANGE, "index 9 at element 2 is out of range");
    ag_tensor *column = ag_from(tape, AG_I64, AG_SHAPE(3, 1), (int64_t[3]){0, 3, INT64_MIN});
    ag_eval(ag_gather(x, column, 0));
    expect_error(tape, AG_ERR_RANGE, "index -9223372036854775808 at element 6 is out of range");
    ag_eval(ag_scatter_add(x, ag_from(tape, AG_I64, AG_SHAPE(1, 3), (int64_t[3]){0, INT64_MAX, 0}),
                           ag_zeros(tape, AG_F64, AG_SHAPE(1, 3)), 0));
    expect_error(tape, AG_ERR_RANGE, "index 9223372036854775807 at element 1 is out of range");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("narrow");
    TCase *rows = tape_group(suite, "rows");
    tcase_add_test(rows, folds_in_regions);
    tcase_add_test(rows, folds_by_the_reference_evaluator);
    tcase_add_test(rows, folds_over_any_axes);
    tcase_add_test(rows, folds_without_memory);
    tcase_add_test(rows, first_of_the_largest);
    tcase_add_test(rows, broadcasts_over_short_rows);
    tcase_add_test(rows, truth_values_over_short_rows);
    TCase *slices = tape_group(suite, "slices");
    tcase_add_test(slices, slices_in_any_arrangement);
    tcase_add_test(slices, slices_are_joined);
    tcase_add_test(slices, sums_that_are_passed_on);
    tcase_add_test(slices, slices_without_memory);
    tcase_add_test(slices, concatenations);
    TCase *indices = tape_group(suite, "indices");
    tcase_add_test(indices, rows_by_index);
    tcase_add_test(indices, additions_to_an_element);
    tcase_add_test(indices, first_index_out_of_range);
    return run_suite(suite);
}
