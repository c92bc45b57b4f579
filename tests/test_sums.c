/* test_sums -- sums of very many f32 numbers: a relative error of 1e-6 at any length, in every operation
 *
 * Equal numbers are the hardest, because every addition to a running sum is then rounded the same way. Products are
 * tested in test_matmul.c. */
#include "autograd/tape/limits.h"
#include "autograd/tape/tape.h"
#include "ops/rules.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double numbers[] = {0.1, 1.37, 1.999};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static const double most = 1e-6;

enum { WIDE = 70, TALL = 200 };

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

/* ---- The order down columns ---- */

static double added(ag_dtype d, double a, double b) { return d == AG_F32 ? (double)((float)a + (float)b) : a + b; }

/* The sum of every across-th of these: some one after the other, and the sums of those pairwise. */
static double in_groups(ag_dtype d, const double *x, int64_t rows, int64_t across) {
    double sum[WIDE];
    int64_t groups = 0;
    for (int64_t i = 0; i < rows; i++) {
        if (i % AG__ROWS_A_GROUP == 0) sum[groups++] = x[i * across];
        else sum[groups - 1] = added(d, sum[groups - 1], x[i * across]);
    }
    for (int64_t step = 1; step < groups; step *= 2)
        for (int64_t i = 0; i + step < groups; i += 2 * step) sum[i] = added(d, sum[i], sum[i + step]);
    return sum[0];
}

/* Rows of one to many vectors, of which the last may not be whole; alone and in a region. */
START_TEST(rows_are_added_in_order_however_wide) {
    static const int64_t extents[] = {2, 31, 32, 33, 64, 65, TALL};
    static double x[TALL * WIDE];
    const ag_dtype d = _i % 2 ? AG_F64 : AG_F32;
    for (int64_t i = 0; i < TALL * WIDE; i++)
        x[i] = d == AG_F32 ? (float)(scatter((uint64_t)i) / 3) : scatter((uint64_t)i) / 3;
    for (int e = 0; e < 7; e++)
        for (int64_t columns = AG__FEWEST_COLUMNS; columns < WIDE; columns++) {
            const ag_mark mark = ag_tape_mark(tape);
            ag_tensor *all = tensor_of(tape, d, AG_SHAPE(extents[e], WIDE), x);
            ag_tensor *apart = ag_slice(all, 1, 0, columns, 1), *together = ag_contiguous(apart);
            ag_tensor *sums[] = {ag_sum_over(apart, AG_AXES(0), false), ag_sum_over(together, AG_AXES(0), false),
                                 ag_neg(ag_sum_over(ag_neg(together), AG_AXES(0), false))};
            for (int way = 0; way < 3; way++)
                for (int64_t j = 0; j < columns; j++)
                    ck_assert_msg(ag_element(sums[way], j) == in_groups(d, x + j, extents[e], WIDE),
                                  "way %d: column %d of %d, %d rows", way, (int)j, (int)columns, (int)extents[e]);
            ag_tape_rewind(tape, mark);
        }
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
    const int64_t longest = by_length(3000, 30000, 300000);
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
    for (int i = 0; i < by_length(0, 1, NUMBERS); i++) check_scatter(5000000, 1, 1, numbers[i]);
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

/* An index for each element, along lines and across them: few additions to an element or many, and of those that are put
 * the last one stays. Sums of whole numbers are exact. */
START_TEST(an_index_for_each_element) {
    enum { ROWS = 200, COLUMNS = 512, MOST = COLUMNS }; /* twice as many as are gathered at once across lines */
    static float source[ROWS * COLUMNS], added[ROWS * MOST], put[ROWS * MOST];
    static int64_t at[ROWS * COLUMNS];
    static const int64_t spans[] = {2, 7, 190};
    const int64_t span = spans[_i / 2];
    const bool across = _i % 2;
    const int64_t width = across ? COLUMNS : span, rows = across ? span : ROWS;
    memset(added, 0, sizeof added), memset(put, 0, sizeof put);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            const int k = i * COLUMNS + j;
            source[k] = (float)(k % 1009), at[k] = (i * 31 + j * 17 + i * j % 13) % span;
            const int64_t to = across ? at[k] * width + j : i * width + at[k];
            added[to] += source[k], put[to] = source[k];
        }
    for (int threads = 1; threads <= 3; threads++) {
        ag_tape_set_threads(tape, threads);
        ag_tensor *x = ag_zeros(tape, AG_F32, AG_SHAPE(rows, width));
        ag_tensor *index = ag_wrap(tape, AG_I64, AG_SHAPE(ROWS, COLUMNS), at);
        ag_tensor *s = ag_wrap(tape, AG_F32, AG_SHAPE(ROWS, COLUMNS), source);
        ag_tensor *sum = ag_scatter_add(x, index, s, !across), *last = ag_scatter(x, index, s, !across);
        ag_tensor *back = ag_gather(sum, index, !across);
        const float *y[] = {ag_data(sum), ag_data(last), ag_data(back)};
        ck_assert_msg(y[0] && y[1] && y[2], "%s", ag_tape_error(tape));
        for (int64_t k = 0; k < rows * width; k++) ck_assert(y[0][k] == added[k] && y[1][k] == put[k]);
        for (int k = 0; k < ROWS * COLUMNS; k++) {
            const int64_t to = across ? at[k] * width + k % COLUMNS : k / COLUMNS * width + at[k];
            ck_assert(y[2][k] == added[to]);
        }
    }
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

/* ---- Sums of cotangents, from which factors are taken out ---- */

/* Σ g·c has been c·Σ g, or the sum of the products, if it is within (n + 4)·ε·Σ |g·c| of their exact sum: each of n − 1
 * additions, and of at most 5 further operations, rounds once. */
enum { TIMES, TIMES_LEFT, OVER, SCALED, OVER_NUMBER, NEGATED, PLUS, MINUS, STRONGLY, FORMS };

/* A function of x, whose gradient is its cotangent times the same factor in each row; c is (1,m). */
static ag_tensor *formed(int form, ag_tensor *x, ag_tensor *c) {
    switch (form) {
    case TIMES: return ag_mul(x, c);
    case TIMES_LEFT: return ag_mul(c, x);
    case OVER: return ag_div(x, c);
    case SCALED: return ag_mul(ag_scale(x, -1.7), c);
    case OVER_NUMBER: return ag_div_scalar(ag_mul(x, c), 3);
    case NEGATED: return ag_neg(ag_mul(x, c));
    case PLUS: return ag_add(ag_mul(x, c), ag_mul(ag_mul(x, c), c));
    case MINUS: return ag_sub(ag_mul(x, c), ag_mul(ag_mul(x, c), c));
    default: return ag_mul(x, c);
    }
}

static double slope(int form, double c) {
    switch (form) {
    case OVER: return 1 / c;
    case SCALED: return -1.7 * c;
    case OVER_NUMBER: return c / 3;
    case NEGATED: return -c;
    case PLUS: return c + c * c;
    case MINUS: return c - c * c;
    default: return c;
    }
}

/* The sums over (n,m) or more values that are recorded from node `first` on. */
static int sums_recorded(uint32_t first, int64_t size) {
    int count = 0;
    for (uint32_t id = first; id < tape->count; id++) {
        const ag_tensor *t = ag__node(tape, id);
        count += strcmp(t->op->name, "sum") == 0 && t->input[0]->layout->size >= size;
    }
    return count;
}

/* y = f(x − b)·c + d: d's gradient is Σ g, and b's is −Σ g·f'. */
static void check_factor(ag_dtype dtype, int form, int64_t n, int64_t m, unsigned flags) {
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *x = scattered(tape, dtype, AG_SHAPE(n, m), 0), *g = scattered(tape, dtype, AG_SHAPE(n, m), 9000);
    ag_tensor *c = ag_keep(ag_add_scalar(scattered(tape, dtype, AG_SHAPE(1, m), 70), 1.5));
    ag_tensor *b = scattered(tape, dtype, AG_SHAPE(m), 700), *d = scattered(tape, dtype, AG_SHAPE(1, m), 7000);
    ag_tensor *y = ag_add(formed(form, ag_sub(x, b), c), d), *at[] = {b, d}, *grad[2];
    uint32_t first = tape->count;
    ck_assert_int_eq(ag_vjp(1, &y, &g, 2, at, grad, flags), AG_OK);
    ck_assert_int_eq(sums_recorded(first, n * m), 1);
    const void *got = ag_data(grad[0]), *of_g = ag_data(g), *of_c = ag_data(c);
    ck_assert_msg(got && of_g && of_c, "%s", ag_tape_error(tape));
    for (int64_t j = 0; j < m; j++) {
        double sum = 0, size = 0, factor = slope(form, element_at(dtype, of_c, j));
        for (int64_t i = 0; i < n; i++) {
            sum -= element_at(dtype, of_g, i * m + j) * factor;
            size += fabs(element_at(dtype, of_g, i * m + j) * factor);
        }
        double bound = (double)(n + 4) * (dtype == AG_F32 ? 6e-8 : 1.2e-16) * size;
        if (form == PLUS || form == MINUS) bound *= 10; /* Σ |g·c| + Σ |g·c²| where these nearly cancel */
        ck_assert_msg(fabs(element_at(dtype, got, j) - sum) <= bound, "form %d: %.17g, not %.17g", form,
                      element_at(dtype, got, j), sum);
    }
    ag_tape_rewind(tape, mark);
}

START_TEST(constant_factors_are_taken_out) {
    for (int form = 0; form < FORMS; form++)
        for (int dtype = AG_F32; dtype <= AG_F64; dtype += AG_F64 - AG_F32) {
            check_factor((ag_dtype)dtype, form, 100, 7, form == STRONGLY ? AG_STRONG : 0);
            check_factor((ag_dtype)dtype, form, 37, 40, form == STRONGLY ? AG_STRONG : 0);
        }
}
END_TEST

/* Without Σ g nothing is taken out, nor where the factor is not the same along the axis. */
START_TEST(other_sums_stay) {
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(5, 6), 0), *g = scattered(tape, AG_F32, AG_SHAPE(5, 6), 100);
    ag_tensor *b = scattered(tape, AG_F32, AG_SHAPE(6), 200), *d = scattered(tape, AG_F32, AG_SHAPE(6), 300);
    for (int rows = 0; rows < 2; rows++) {
        ag_tensor *c = scattered(tape, AG_F32, rows ? AG_SHAPE(5, 1) : AG_SHAPE(6), 400), *at[] = {b, d}, *grad[2];
        ag_tensor *y = ag_add(ag_mul(ag_sub(x, b), c), d);
        uint32_t first = tape->count;
        ck_assert_int_eq(ag_vjp(1, &y, &g, rows ? 2 : 1, at, grad, 0), AG_OK);
        ck_assert_int_eq(sums_recorded(first, 30), rows ? 2 : 1);
        ag_tensor *whole = ag_neg(ag_sum_over(ag_mul(g, c), AG_AXES(0), false));
        expect_near(grad[0], 6, ag_data(ag_cast(whole, AG_F64)), 4, 1e-6);
    }
}
END_TEST

/* A sum of no elements is 0, whatever the factor is. */
START_TEST(sums_of_nothing_have_no_factor) {
    ag_tensor *c = ag_full(tape, AG_F64, AG_SHAPE(1, 3), INFINITY), *none = ag_zeros(tape, AG_F64, AG_SHAPE(0, 3));
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(1, 3)), *b = ag_neg(x), *d[2];
    ag_tensor *y = ag_add(ag_mul(ag_add(none, x), c), b);
    ck_assert_int_eq(ag_vjp(1, &y, &none, 2, (ag_tensor *[]){x, b}, d, 0), AG_OK);
    for (int i = 0; i < 2; i++) expect_same(d[i], ag_zeros(tape, AG_F64, AG_SHAPE(1, 3)));
}
END_TEST

/* The newest of the backward scan's nodes that nothing is kept for. */
static ag_tensor *forgone(uint32_t first) {
    for (uint32_t id = tape->count; id-- > first;) {
        ag_tensor *t = ag__node(tape, id);
        if (t->flags & AG__GRADIENT && t->flags & AG__COMPUTED && !t->buffer) return t;
    }
    return NULL;
}

/* The cotangent that was taken apart is not computed, and values are not kept for it; but it can be. If it is asked for,
 * the sum is of it as it is: gradients by it are there. */
START_TEST(what_was_taken_apart_has_its_value) {
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(5, 6), 0), *g = scattered(tape, AG_F32, AG_SHAPE(5, 6), 100);
    ag_tensor *c = scattered(tape, AG_F32, AG_SHAPE(1, 6), 200), *b = scattered(tape, AG_F32, AG_SHAPE(1, 6), 300),
              *d[3], *slope;
    ag_tensor *all_b = ag_broadcast_to(b, AG_SHAPE(5, 6)), *beta = scattered(tape, AG_F32, AG_SHAPE(1, 6), 400);
    ag_tensor *y = ag_add(ag_mul(ag_sub(x, all_b), c), beta);
    for (int asked = 0; asked < 2; asked++) {
        uint32_t first = tape->count;
        ck_assert_int_eq(ag_vjp(1, &y, &g, asked ? 3 : 2, (ag_tensor *[]){b, beta, all_b}, d, 0), AG_OK);
        ck_assert_int_eq(sums_recorded(first, 30), asked ? 2 : 1);
        if (!asked) ck_assert_ptr_nonnull(d[2] = forgone(first));
        ck_assert_int_eq(ag_eval(d[0]), AG_OK);
        expect_same(d[2], ag_neg(ag_mul(g, c)));
        ck_assert_int_eq(ag_eval(d[1]), AG_OK);
    }
    ck_assert_int_eq(ag_grad(ag_sum(d[0]), 1, &d[2], &slope), AG_OK);
    expect_same(slope, ag_ones(tape, AG_F32, AG_SHAPE(5, 6)));
}
END_TEST

/* A cotangent that is recorded while recording is off is constant to later gradients: it is not recorded anew. */
START_TEST(what_is_constant_stays_constant) {
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(5, 6), 0), *c = scattered(tape, AG_F32, AG_SHAPE(1, 6), 100);
    ag_tensor *b = scattered(tape, AG_F32, AG_SHAPE(1, 6), 200), *sum = ag_sum_over(x, AG_AXES(0), true), *dx, *y, *dc;
    bool former = ag_tape_set_recording(tape, false);
    ag_tensor *g = ag_mul(x, c);
    ag_tape_set_recording(tape, former);
    y = ag_sub(x, b);
    ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &b, &dx, 0), AG_OK);
    dx = ag_add(ag_sum(dx), ag_sum(sum));
    ck_assert_int_eq(ag_grad(dx, 1, &c, &dc), AG_OK);
    for (int i = 0; i < 6; i++) ck_assert(element_at(AG_F32, ag_data(dc), i) == 0);
}
END_TEST

/* ---- The same, one cotangent at a time ---- */

static ag_tensor *wide(ag_tensor *x) { return ag_broadcast_to(x, AG_SHAPE(3, 4, 5)); }
static ag_tensor *some(uint64_t which, ag_shape shape) { return ag_keep(scattered(tape, AG_F64, shape, 1000 * which)); }

static ag_tensor *negated(ag_tensor *x, int times) {
    for (int i = 0; i < times; i++) x = ag_neg(x);
    return x;
}

/* The sum of t over axis 1 is right, in either form, and takes no further sum over all of t, or that of `summed`. */
static void expect_sum(const char *what, ag_tensor *t, const ag_tensor *summed) {
    for (int keepdims = 0; keepdims < 2; keepdims++) {
        const uint32_t first = tape->count;
        const ag_mark mark = ag_tape_mark(tape);
        ag_tensor *y = ag__sum_of_cotangents(&ag__op_broadcast_to, t, AG_AXES(1), keepdims), *error;
        const int recorded = sums_recorded(first, 60);
        ck_assert_msg(recorded == (summed != NULL), "%s: %d sums", what, recorded);
        for (uint32_t id = first; id < tape->count; id++) {
            const ag_tensor *sum = ag__node(tape, id);
            ck_assert_msg(sum->op != &ag__op_sum || sum->input[0] == summed, "%s: another sum", what);
        }
        expect_shape(y, keepdims ? AG_SHAPE(3, 1, 5) : AG_SHAPE(3, 5));
        error = ag_max(ag_abs(ag_sub(y, ag_sum_over(t, AG_AXES(1), keepdims))));
        ck_assert_msg(ag_item(error) < 1e-12, "%s: %g", what, ag_item(error));
        ag_tape_rewind(tape, mark);
    }
}

static void expect_none(const char *what, ag_tensor *t) { expect_sum(what, t, NULL); }
static void expect_whole(const char *what, ag_tensor *t) { expect_sum(what, t, t); }

/* The sum of g is there. Factors are the same along axis 1, or are not. */
START_TEST(factors_are_constants_along_the_axis) {
    ag_tensor *g = some(1, AG_SHAPE(3, 4, 5)), *a = some(2, AG_SHAPE(3, 1, 5)), *b = some(3, AG_SHAPE(1, 5));
    ag_tensor *c = some(4, AG_SHAPE(5)), *s = some(5, AG_SCALAR), *d = some(6, AG_SHAPE(4, 1));
    for (int keepdims = 0; keepdims < 2; keepdims++) {
        ag_sum_over(g, AG_AXES(1), keepdims);
        expect_none("(3,1,5)", ag_mul(g, wide(a)));
        expect_none("(1,5)", ag_mul(g, wide(b)));
        expect_none("(5)", ag_mul(g, wide(c)));
        expect_none("()", ag_mul(g, wide(s)));
        expect_whole("(4,1)", ag_mul(g, wide(d)));
        expect_none("broadcast twice", ag_mul(g, wide(ag_broadcast_to(c, AG_SHAPE(1, 5)))));
        expect_none("first along the axis", ag_mul(g, wide(ag_broadcast_to(b, AG_SHAPE(4, 5)))));
        expect_whole("along it in either", ag_mul(g, wide(ag_broadcast_to(d, AG_SHAPE(4, 5)))));
        expect_whole("itself", ag_mul(g, g));
        expect_none("on the left", ag_mul(wide(a), g));
        expect_none("strong", ag_strong_mul(g, wide(a)));
        expect_none("strong, on the left", ag_strong_mul(wide(a), g));
        expect_none("a divisor", ag_div(g, wide(a)));
        expect_none("a strong divisor", ag_strong_div(g, wide(a)));
        expect_whole("a dividend", ag_div(wide(a), g));
        expect_whole("a strong dividend", ag_strong_div(wide(a), g));
        expect_none("a number", ag_scale(g, 3));
        expect_none("one over a number", ag_div_scalar(g, 3));
        expect_whole("a number more", ag_add_scalar(g, 3));
    }
}
END_TEST

/* One operand may be summed besides, but not two. */
START_TEST(sums_of_several_are_taken_apart_for_one_more) {
    ag_tensor *g = some(1, AG_SHAPE(3, 4, 5)), *h = some(2, AG_SHAPE(3, 4, 5)), *k = some(3, AG_SHAPE(3, 4, 5));
    ag_tensor *f = wide(some(4, AG_SHAPE(3, 1, 5))), *product = ag_mul(g, f), *both = ag_add(h, k), *less = ag_neg(h);
    expect_whole("none is there", ag_add(g, h));
    expect_whole("not for the factor alone", product);
    ag_sum_over(g, AG_AXES(1), true);
    expect_whole("itself", g);
    expect_sum("one is", ag_add(g, h), h);
    expect_sum("the other is", ag_sub(h, g), h);
    expect_sum("a factor is taken out of the other, too", ag_sub(product, ag_mul(k, f)), k);
    expect_whole("two are not", ag_add(ag_add(g, h), ag_scale(k, 2)));
    expect_sum("a sum without one is not taken apart", ag_sub(product, both), both);
    ag_sum_over(less, AG_AXES(1), true);
    expect_none("what is summed is not taken apart", ag_mul(less, f));
    expect_sum("nor by its parts", ag_sub(ag_mul(less, f), k), k);
    ag_sum_over(h, AG_AXES(1), false);
    expect_none("both are", ag_sub(g, h));
    expect_none("both are, with factors", ag_sub(ag_scale(g, 2), ag_mul(h, f)));
    expect_sum("two of three are", ag_sub(ag_add(g, h), k), k);
}
END_TEST

/* Only the same sum, of the latest 64 nodes, at most 8 nodes below. */
START_TEST(sums_are_sought_near_by) {
    ag_tensor *g = some(1, AG_SHAPE(3, 4, 5)), *a = some(2, AG_SHAPE(3, 1, 5)), *f = wide(a);
    ag_sum_over(g, AG_AXES(0), true);
    ag_sum_over(g, AG_AXES(1, 2), true);
    ag_max_over(g, AG_AXES(1), true);
    ag_sum_over(ag_neg(g), AG_AXES(1), true);
    expect_whole("other sums", ag_mul(g, f));
    const ag_mark mark = ag_tape_mark(tape);
    for (int deep = 8; deep <= 9; deep++) {
        ag_sum_over(g, AG_AXES(1), true);
        ag_tensor *y = negated(g, deep);
        expect_sum("deep", y, deep == 9 ? y : NULL);
        ag_tape_rewind(tape, mark);
    }
    for (int later = 62; later <= 63; later++) { /* the product is one more */
        ag_sum_over(g, AG_AXES(1), true);
        for (int i = 0; i < later; i++) ag_neg(a);
        ag_tensor *y = ag_mul(g, f);
        expect_sum("long ago", y, later == 63 ? y : NULL);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* Eight nodes below the whole a part is not taken apart, nor is a sum whose parts would be found there. */
START_TEST(sums_are_sought_near_by_in_each_part) {
    ag_tensor *g = some(1, AG_SHAPE(3, 4, 5)), *h = some(2, AG_SHAPE(3, 4, 5)), *k = some(3, AG_SHAPE(3, 4, 5));
    ag_tensor *f = wide(some(4, AG_SHAPE(3, 1, 5))), *last = ag_neg(h), *both = ag_add(negated(h, 7), k);
    ag_sum_over(g, AG_AXES(1), true);
    ag_sum_over(h, AG_AXES(1), true);
    const ag_mark mark = ag_tape_mark(tape);
    expect_sum("7 below a sum", ag_add(negated(g, 7), k), k);
    expect_whole("8 below a sum", ag_add(negated(g, 8), k));
    ag_tape_rewind(tape, mark);
    expect_none("7", ag_sub(ag_mul(g, f), negated(last, 6)));
    expect_sum("8", ag_sub(ag_mul(g, f), negated(last, 7)), last);
    expect_whole("8, and another", ag_add(ag_sub(ag_mul(g, f), negated(last, 6)), k));
    expect_sum("8 of a sum", ag_sub(ag_mul(g, f), both), both);
}
END_TEST

/* A cotangent of a backward scan that is taken apart, and that nothing else reads, keeps no values. */
START_TEST(only_cotangents_that_nothing_reads_are_forgone) {
    ag_tensor *g = some(1, AG_SHAPE(3, 4, 5)), *f = wide(some(2, AG_SHAPE(3, 1, 5)));
    ag_sum_over(g, AG_AXES(1), true);
    for (int k = 0; k < 4; k++) {
        const bool scanned = k % 2, read = k / 2;
        tape->in_gradient = scanned;
        ag_tensor *t = ag_mul(g, f);
        tape->in_gradient = false;
        if (read) ag_neg(t);
        ag__sum_of_cotangents(&ag__op_broadcast_to, t, AG_AXES(1), true);
        ck_assert_int_eq((t->flags & AG__COMPUTED) != 0, scanned && !read);
    }
}
END_TEST

/* Nodes that were recorded while recording was off are constant, unless it still is. */
START_TEST(sums_without_gradients_are_not_used_for_others) {
    ag_tensor *g = some(1, AG_SHAPE(3, 4, 5)), *f = wide(some(2, AG_SHAPE(3, 1, 5)));
    bool former = ag_tape_set_recording(tape, false);
    ag_sum_over(g, AG_AXES(1), true); /* the first of them */
    expect_none("still off", ag_mul(g, f));
    ag_tape_set_recording(tape, true);
    expect_whole("on again", ag_mul(g, f));
    ag_tape_set_recording(tape, false);
    expect_whole("off again", ag_mul(g, f));
    ag_tape_set_recording(tape, former);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sums");
    TCase *sums = tape_group(suite, "sums");
    tcase_add_test(sums, reductions);
    tcase_add_loop_test(sums, rows_are_added_in_order_however_wide, 0, 2);
    tcase_add_test(sums, additions_at_indices);
    tcase_add_test(sums, millions_of_additions);
    tcase_add_test(sums, the_gradient_of_a_gather_counts);
    tcase_add_loop_test(sums, an_index_for_each_element, 0, 6);
    tcase_add_test(sums, infinities_and_nan);
    tcase_add_test(sums, windows_over_one_element);
    TCase *factors = tape_group(suite, "factors");
    tcase_add_test(factors, constant_factors_are_taken_out);
    tcase_add_test(factors, other_sums_stay);
    tcase_add_test(factors, sums_of_nothing_have_no_factor);
    tcase_add_test(factors, what_was_taken_apart_has_its_value);
    tcase_add_test(factors, what_is_constant_stays_constant);
    tcase_add_test(factors, factors_are_constants_along_the_axis);
    tcase_add_test(factors, sums_of_several_are_taken_apart_for_one_more);
    tcase_add_test(factors, sums_are_sought_near_by);
    tcase_add_test(factors, sums_are_sought_near_by_in_each_part);
    tcase_add_test(factors, only_cotangents_that_nothing_reads_are_forgone);
    tcase_add_test(factors, sums_without_gradients_are_not_used_for_others);
    return run_suite(suite);
}
