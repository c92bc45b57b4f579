/* test_limits -- sizes one below, at and one above each constant that divides work, alone and in pairs
 *
 * A program of every kind of loop runs on rows by columns of these sizes, under both evaluators, with one thread and two:
 * the bits are the same. So does a chain of as many operations, and of as many numbers, and programs of many kinds of work
 * (products, convolutions, orders, draws, equations, copies, …) at random such sizes on one tape. What divides work in one
 * file alone is met on purpose, and compared with a plain loop or with whole numbers. tests/sizes.py shows which comparisons
 * met which sizes, and which of them one tape met. */
#include "autograd/tape/limits.h"
#include "autograd/tape/tape.h"
#include "nn/nn.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Constants that rows, columns or elements are compared with. */
static const int64_t limits[] = {
    AG__FEW_COPIED,
    AG__FEWEST_COLUMNS,
    AG__ROWS_A_GROUP,
    AG__CHAIN_F32,
    AG__MANY_OUTPUTS,
    AG__SHORT_RUN,
    AG__COLUMNS_SCATTERED,
    AG__CHAIN_F64,
    AG__LONG_ROW / 8,
    AG__LONG_ROW / 4,
    AG__BLOCK,
    AG__STRIP,
    AG__PART_ROWS,
    AG__PACKED_COLUMNS,
    AG__LONG_SUM,
    AG__MOST_ROW,
    AG__JOINED,
    AG__WORTH_BYTES / 4,
    AG__LITTLE,
    AG__AT_ONCE,
    AG__LARGE,
    AG__LEAST_COPIED,
    AG__LEAST_COPIED / AG__ROWS_COPIED,
    AG__STEPS_A_THREAD,
};
enum { LIMITS = sizeof limits / sizeof *limits, MOST_RESULTS = 16 };

/* ---- Rows by columns ---- */

typedef struct results {
    ag_tensor *x[MOST_RESULTS];
    int n;
} results;

static void add(results *r, ag_tensor *x) {
    ck_assert_int_lt(r->n, MOST_RESULTS);
    r->x[r->n++] = x;
}

/* Results whose bits do not depend on the evaluator: see "The fused evaluator" in docs/design.md. */
static results program(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    const int64_t m = size[0], n = size[1];
    results r = {.n = 0};
    ag_tape_seed(t, (uint64_t)(m * 131 + n));
    ag_tensor *x = ag_uniform(t, dtype, AG_SHAPE(m, n), -1, 1), *dx;
    ag_tensor *y = ag_add(ag_tanh(ag_scale(x, 2)), ag_exp(ag_neg(x))), *both[2] = {x, y};
    ag_tensor *index = ag_reshape(ag_randint(t, AG_SHAPE(m), 0, m), AG_SHAPE(m, 1));
    ag_tensor *soft = ag_softmax(y, 1), *down = ag_mean_over(y, AG_AXES(0), true);
    add(&r, ag_sum_over(y, AG_AXES(1), false));
    add(&r, ag_mul(soft, ag_sub(y, down)));
    add(&r, ag_contiguous(ag_transpose(y, 0, 1)));
    add(&r, ag_concat(2, both, 1));
    add(&r, ag_concat(2, both, 0));
    add(&r, ag_cumsum(x, 0));
    add(&r, ag_cumsum(x, 1));
    add(&r, ag_argmax(y, 0, false));
    add(&r, ag_argmax(y, 1, false));
    add(&r, ag_sort(x, 1, false));
    add(&r, ag_scatter_add(x, ag_broadcast_to(index, AG_SHAPE(m, n)), y, 0));
    add(&r, ag_matmul(x, ag_uniform(t, dtype, AG_SHAPE(n, 3), -1, 1)));
    add(&r, ag_matmul(ag_uniform(t, dtype, AG_SHAPE(2, m), -1, 1), x));
    ag_grad(ag_sum(ag_mul(soft, x)), 1, &x, &dx);
    add(&r, dx);
    add(&r, ag_permutation(t, m * n));
    ck_assert_msg(ag_eval_all(r.n, r.x) == AG_OK, "%s", ag_tape_error(t));
    return r;
}

typedef results recorded(ag_tape *t, ag_dtype dtype, const int64_t *size);

static void compare_of(recorded *of, ag_dtype dtype, const int64_t size[3]) {
    static const struct {
        ag_evaluator evaluator;
        int threads;
    } ways[] = {{AG_EVALUATOR_REFERENCE, 1}, {AG_EVALUATOR_FUSED, 1}, {AG_EVALUATOR_FUSED, 2}};
    ag_tape *t[3];
    results r[3];
    char what[80];
    snprintf(what, sizeof what, "%s (%lld,%lld,%lld)", ag_dtype_name(dtype), (long long)size[0], (long long)size[1],
             (long long)size[2]);
    for (int i = 0; i < 3; i++) {
        t[i] = ag_tape_new();
        ag_tape_set_evaluator(t[i], ways[i].evaluator);
        ag_tape_set_threads(t[i], ways[i].threads);
        r[i] = of(t[i], dtype, size);
    }
    for (int k = 0; k < r[0].n; k++)
        for (int i = 1; i < 3; i++) {
            char result[100];
            snprintf(result, sizeof result, "%s, result %d", what, k);
            expecting(result);
            expect_same(r[0].x[k], r[i].x[k]);
        }
    expecting("");
    for (int i = 0; i < 3; i++) ag_tape_free(t[i]);
}

static void compare(ag_dtype dtype, int64_t m, int64_t n) { compare_of(program, dtype, (int64_t[]){m, n, 1}); }

/* As columns of a few rows, as rows of a few columns, and as all elements. */
START_TEST(alone) {
    const int64_t most = by_length(20000, 200000, 4000000);
    for (int64_t size = limits[_i] - 1; size <= limits[_i] + 1; size++) {
        if (size < 1 || size * 3 > most) continue;
        const ag_dtype dtype = size % 2 ? AG_F32 : AG_F64;
        compare(dtype, 1, size);
        compare(dtype, 3, size);
        compare(dtype, size, 2);
        if (size % 2 == 0) compare(dtype, 2, size / 2);
    }
}
END_TEST

/* Whether a limit before this one has the same value. */
static bool repeated(int which) {
    for (int i = 0; i < which; i++)
        if (limits[i] == limits[which]) return true;
    return false;
}

START_TEST(in_pairs) {
    const int64_t most = by_length(3000, 20000, 4000000);
    for (int other = 0; other < LIMITS && !repeated(_i); other++)
        for (int k = 0; k < 9 && !repeated(other); k++) {
            const int64_t m = limits[_i] - 1 + k / 3, n = limits[other] - 1 + k % 3;
            if (m < 1 || n < 1 || m * n > most || (k + other + _i) % by_length(9, 3, 1) != 0) continue;
            const bool single = (k + other) % 2;
            compare(single ? AG_F32 : AG_F64, m, n);
            if (long_run()) compare(single ? AG_F64 : AG_F32, m, n);
        }
}
END_TEST

/* ---- Work that a single file divides ---- */

static results of_files(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    static const double q[] = {0.5, 0.25, 1, 0.7, 0.1};
    const int64_t m = size[0], n = size[1];
    results r = {.n = 0};
    ag_tape_seed(t, (uint64_t)(m * 131 + n));
    ag_tensor *x = ag_uniform(t, dtype, AG_SHAPE(m, n), -1, 1), *far = ag_scale(x, 4e6), *inverse, *counts, *dw;
    ag_tensor *signal = ag_reshape(x, AG_SHAPE(m, n, 1)), *w = ag_uniform(t, dtype, AG_SHAPE(1, 1, 1), 1, 2);
    add(&r, ag_sin(far));
    add(&r, ag_remainder(far, ag_add_scalar(x, 2)));
    add(&r, ag_polygamma(2, ag_add_scalar(x, 3)));
    add(&r, ag_searchsorted(ag_sort(x, 1, false), x, false));
    add(&r, ag_quantiles_over(x, AG_AXES(1), 1 + (int)(n % 5), q, false));
    add(&r, ag_unique(ag_round(ag_scale(x, 40)), &inverse, &counts));
    add(&r, ag_pad(x, AG_AXES(0, 1), AG_SHAPE(1, 2), AG_SHAPE(0, 1)));
    ag_grad(ag_sum(ag_square(ag_convolve(signal, w, NULL, &(ag_conv_options){.groups = 1}))), 1, &w, &dw);
    add(&r, dw);
    ck_assert_msg(ag_eval_all(r.n, r.x) == AG_OK, "%s", ag_tape_error(t));
    return r;
}

START_TEST(of_single_files) {
    static const int64_t sizes[] = {AG__LIMIT(4, 2),  AG__LIMIT(8, 3),    AG__LIMIT(16, 4),
                                    AG__LIMIT(64, 5), AG__LIMIT(128, 16), AG__LIMIT(256, 8)};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (int other = 0; other < SIZES; other++)
        for (int k = 0; k < 9; k++) {
            if ((k + other + _i) % by_length(9, 3, 1) != 0) continue;
            const int64_t m = sizes[_i] - 1 + k / 3, n = sizes[other] - 1 + k % 3;
            compare_of(of_files, (k + other) % 2 ? AG_F32 : AG_F64, (int64_t[]){m, n, 1});
        }
}
END_TEST

/* ---- Interleaved rows: the middle axis is reduced ---- */

static results of_middle(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    const int64_t p = size[0], n = size[1], q = size[2];
    results r = {.n = 0};
    ag_tape_seed(t, (uint64_t)(p * 131 + n * 17 + q));
    ag_tensor *x = ag_uniform(t, dtype, AG_SHAPE(p, n, q), -1, 1), *dx;
    ag_tensor *turned = ag_permute(ag_uniform(t, dtype, AG_SHAPE(q, p, n), 1, 2), AG_AXES(1, 2, 0));
    ag_tensor *place = ag_uniform(t, dtype, AG_SHAPE(n, q), -1, 1), *scale = ag_uniform(t, dtype, AG_SHAPE(n, 1), 1, 2);
    ag_tensor *y = ag_add(ag_tanh(ag_scale(x, 2)), ag_exp(ag_neg(x))), *soft = ag_softmax(y, 1);
    ag_tensor *centred = ag_sub(y, ag_mean_over(y, AG_AXES(1), true));
    ag_tensor *variance = ag_mean_over(ag_square(centred), AG_AXES(1), true);
    add(&r, soft);
    add(&r, ag_log_softmax(ag_add(ag_mul(x, scale), place), 1));
    add(&r, ag_logsumexp(ag_mul(x, turned), 1, false));
    add(&r, ag_add(ag_mul(ag_div(centred, ag_sqrt(variance)), scale), place));
    add(&r, ag_max_over(x, AG_AXES(1), false));
    add(&r, ag_sum_over(ag_cast(ag_scale(x, 10), AG_I64), AG_AXES(1), false));
    add(&r, ag_less(x, ag_mean_over(ag_mul(x, y), AG_AXES(1), true)));
    if (q % 2 == 0)
        add(&r, ag_mul(ag_reshape(ag_sub(x, ag_max_over(ag_abs(x), AG_AXES(1), true)), AG_SHAPE(p, n, q / 2, 2)),
                       ag_uniform(t, dtype, AG_SHAPE(p, n, 1, 2), -1, 1)));
    ag_grad(ag_sum(ag_mul(soft, x)), 1, &x, &dx);
    add(&r, dx);
    ck_assert_msg(ag_eval_all(r.n, r.x) == AG_OK, "%s", ag_tape_error(t));
    return r;
}

START_TEST(middle) {
    static const int64_t folded[] = {2, AG__ROWS_A_GROUP - 1, AG__ROWS_A_GROUP, AG__ROWS_A_GROUP + 1,
                                     5 * AG__ROWS_A_GROUP + 1};
    static const int64_t across[] = {2,
                                     AG__FEWEST_COLUMNS - 1,
                                     AG__FEWEST_COLUMNS,
                                     AG__SHORT_RUN / 2,
                                     AG__SHORT_RUN - 1,
                                     AG__SHORT_RUN,
                                     AG__SHORT_RUN + 1,
                                     3 * AG__SHORT_RUN + 2};
    const int64_t n = folded[_i % 5];
    const ag_dtype dtype = _i < 5 ? AG_F32 : AG_F64;
    for (size_t k = 0; k < sizeof across / sizeof *across; k++) {
        compare_of(of_middle, dtype, (int64_t[]){2, n, across[k]});
        compare_of(of_middle, dtype, (int64_t[]){(int64_t)by_length(5, 9, 33), n, across[k]});
    }
    const int64_t most = AG__SLAB / (int64_t)ag_dtype_size(dtype) / n / AG__LEAST_ACROSS * AG__LEAST_ACROSS;
    for (int64_t by = -1; by <= 1 && n > 2; by++) compare_of(of_middle, dtype, (int64_t[]){2, n, most + by});
    if (n > AG__ROWS_A_GROUP) compare_of(of_middle, dtype, (int64_t[]){2, n, 2 * most + 1});
    if (_i % 5 == 0)
        for (int64_t by = 0; by <= 1; by++)
            compare_of(of_middle, dtype, (int64_t[]){2, AG__MOST_ROW + by, AG__FEWEST_COLUMNS + 1});
}
END_TEST

/* ---- Samples: the same as columns of each ---- */

static results of_samples(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    const int64_t p = size[0], n = size[1], q = size[2];
    results r = {.n = 0};
    ag_tape_seed(t, (uint64_t)(p * 137 + n * 19 + q));
    ag_tensor *x = ag_uniform(t, dtype, AG_SHAPE(p, n, q), -1, 1), *both[2], *dx[2];
    ag_tensor *of_sample = ag_uniform(t, dtype, AG_SHAPE(p, 1, q), 1, 2), *shift = ag_neg(of_sample);
    ag_tensor *channel = ag_uniform(t, dtype, AG_SHAPE(q), -1, 1);
    ag_tensor *turned = ag_permute(ag_uniform(t, dtype, AG_SHAPE(q, p, n), 1, 2), AG_AXES(1, 2, 0));
    ag_tensor *y = ag_add(ag_mul(ag_tanh(x), of_sample), shift);
    ag_tensor *centred = ag_sub(y, ag_mean_over(y, AG_AXES(1), true));
    ag_tensor *variance = ag_mean_over(ag_square(centred), AG_AXES(1), true);
    add(&r, ag_mul(ag_div(centred, ag_sqrt(variance)), channel));
    add(&r, ag_mul(x, shift));
    add(&r, ag_max_over(ag_mul(y, turned), AG_AXES(1), false));
    add(&r, ag_sum_over(ag_mul(y, channel), AG_AXES(0, 1), false));
    add(&r, ag_sum_over(ag_mul(y, channel), AG_AXES(2), true));
    add(&r, ag_softmax(ag_sub(y, channel), 2));
    add(&r, ag_sum_over(ag_cast(ag_less(y, of_sample), AG_I64), AG_AXES(1), false));
    add(&r, ag_contiguous(ag_sub(ag_broadcast_to(of_sample, AG_SHAPE(p, n, q)), turned)));
    both[0] = x, both[1] = of_sample;
    ag_grad(ag_sum(ag_mul(ag_softmax(y, 1), x)), 2, both, dx);
    add(&r, dx[0]), add(&r, dx[1]);
    ck_assert_msg(ag_eval_all(r.n, r.x) == AG_OK, "%s", ag_tape_error(t));
    return r;
}

START_TEST(columns_of_samples) {
    static const int64_t places[] = {AG__FEW_SAMPLED - 1,  AG__FEW_SAMPLED,         AG__FEW_SAMPLED + 1,
                                     AG__ROWS_A_GROUP - 1, AG__ROWS_A_GROUP,        AG__ROWS_A_GROUP + 1,
                                     3 * AG__ROWS_A_GROUP, 5 * AG__ROWS_A_GROUP + 3};
    const ag_dtype dtype = _i < 8 ? AG_F32 : AG_F64;
    const int64_t n = places[_i % 8], bytes = (int64_t)ag_dtype_size(dtype), most = by_length(40000, 100000, 400000);
    const int64_t columns[] = {AG__LEAST_SAMPLED / bytes, AG__STRIP / n,        AG__LEAST_SAMPLE / bytes / n,
                               AG__SLAB / bytes / n,      AG__LONG_ROW / bytes, AG__LONG_ROW_DOWN / bytes,
                               AG__FEWEST_COLUMNS,        AG__MOST_ROW};
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++)
        for (int64_t by = -1; by <= 1; by++)
            if (columns[k] + by > 1 && 3 * n * (columns[k] + by) <= most)
                compare_of(of_samples, dtype, (int64_t[]){by == 0 ? 3 : 2, n, columns[k] + by});
}
END_TEST

/* Many samples that are not large, of as many bytes in all as a cache has. */
START_TEST(samples_of_a_cache) {
    enum { SAMPLES = AG__LIMIT(64, 8), PLACES = AG__ROWS_A_GROUP };
    const ag_dtype dtype = _i ? AG_F64 : AG_F32;
    const int64_t columns = AG__MEMORY / (int64_t)ag_dtype_size(dtype) / SAMPLES / PLACES;
    for (int64_t by = -1; by <= 1; by++) compare_of(of_samples, dtype, (int64_t[]){SAMPLES, PLACES, columns + by});
}
END_TEST

/* ---- Products ---- */

static ag_tensor *small_wholes(ag_tape *t, ag_dtype dtype, ag_shape shape) {
    return ag_cast(ag_randint(t, shape, -3, 4), dtype);
}

/* y = a·b, of whole numbers, of which all sums are exact: so y·v = a·(b·v). */
static void expect_product(ag_tensor *y, ag_tensor *a, ag_tensor *b) {
    ag_tensor *v = ag_cast(ag_randint(ag_tape_of(y), AG_SHAPE(ag_extent(y, 1)), -2, 3), AG_F64);
    ag_tensor *bv = ag_sum_over(ag_mul(ag_cast(b, AG_F64), v), AG_AXES(1), false);
    ag_tensor *left = ag_sum_over(ag_mul(ag_cast(y, AG_F64), v), AG_AXES(1), false);
    ag_tensor *right = ag_sum_over(ag_mul(ag_cast(a, AG_F64), bv), AG_AXES(1), false);
    expect_same(ag_add_scalar(left, 0), ag_add_scalar(right, 0)); /* which makes 0 of −0 */
}

/* b as it is, made by rows, with columns that are apart. */
typedef enum order { STRAIGHT, TURNED, APART } order;

static void check_product_by(int threads, ag_dtype dtype, int64_t m, int64_t n, int64_t k, order of_b) {
    ag_tape *t = ag_tape_new();
    ag_tape_set_threads(t, threads);
    ag_tensor *a = small_wholes(t, dtype, AG_SHAPE(m, k)), *b;
    if (of_b == TURNED) b = ag_transpose(small_wholes(t, dtype, AG_SHAPE(n, k)), 0, 1);
    else if (of_b == APART) b = ag_slice(small_wholes(t, dtype, AG_SHAPE(k, 2 * n)), 1, 0, 2 * n, 2);
    else b = small_wholes(t, dtype, AG_SHAPE(k, n));
    expect_product(ag_matmul(a, b), a, b);
    ag_tape_free(t);
}

/* One thread's share is everything. */
static void check_product(ag_dtype dtype, int64_t m, int64_t n, int64_t k, bool turned) {
    check_product_by(1, dtype, m, n, k, turned ? TURNED : STRAIGHT);
}

/* One extent is a limit; another is long, or both are wide enough for packing. */
START_TEST(products) {
    for (int64_t by = -1; by <= 1; by++)
        for (int turned = 0; turned < 2; turned++) {
            const ag_dtype dtype = turned ? AG_F64 : AG_F32;
            check_product(dtype, AG__PART_ROWS + by, 3, AG__LONG_SUM + 1, turned);
            check_product(dtype, 3, AG__PART_COLUMNS + by, AG__LONG_SUM + 1, turned);
            check_product(dtype, 70, AG__PACKED_COLUMNS + by, 70, turned);
            check_product(dtype, 2, 3, AG__LONG_SUM + by, turned);
            check_product(dtype, 2, 3, 2 * AG__LONG_SUM + by, turned);
            check_product(dtype, 5, 7, AG__BLOCK + by, turned);
            check_product(dtype, 1, 9, AG__STRIP + by, !turned);
            check_product(dtype, 9, 1, AG__DOT_F32 + by, turned);
            check_product(dtype, 9, 1, AG__DOT_F64 + by, turned);
            for (int i = 0; i < 2; i++) check_product(dtype, 40 + 30 * i, 50, AG__CHAIN_F32 + by, turned);
            for (int i = 0; i < 2; i++) check_product(dtype, 40 + 30 * i, 50, AG__CHAIN_F64 + by, turned);
            check_product(dtype, AG__LIMIT(60, 3), AG__LIMIT(384, 5) / (1 + turned), AG__LIMIT(1024, 25) + by, turned);
            check_product(dtype, 1, AG__LIMIT(8192, 128) / (turned ? 8 : 4) + by, 35, false);
            check_product_by(1, dtype, 1, AG__LIMIT(128, 8) + by, 40, APART);
            check_product_by(2, dtype, 1, 4 * AG__LIMIT(32, 3) + by, 2 * AG__DOT_F32 + 5, turned);
            check_product_by(2, dtype, AG__LIMIT(64, 12) + by, 1, AG__LEAST_VECTOR / AG__LIMIT(32, 6), STRAIGHT);
        }
}
END_TEST

/* Products of x (f,p·q), which is no matrix in memory, with w (p·q,n), alone and added to something. `inside`: x is
 * contiguous along f. */
static void check_gathered(ag_dtype dtype, int64_t f, int64_t p, int64_t q, int64_t n, bool inside) {
    ag_tape *t = ag_tape_new();
    ag_tape_set_threads(t, 1);
    ag_tensor *x = inside ? ag_permute(small_wholes(t, dtype, AG_SHAPE(q, p, f)), AG_AXES(2, 1, 0))
                          : ag_transpose(small_wholes(t, dtype, AG_SHAPE(p, f, q)), 0, 1);
    ag_tensor *w = small_wholes(t, dtype, AG_SHAPE(p, q, n)), *sum[2];
    ag_tensor *a = ag_reshape(x, AG_SHAPE(f, p * q)), *b = ag_reshape(w, AG_SHAPE(p * q, n));
    for (int i = 0; i < 2; i++) { /* the product is added to something that nothing else reads */
        ag_tensor *more = ag_cast(ag_reshape(ag_arange(t, AG_I64, f * n), AG_SHAPE(f, n)), dtype);
        sum[i] = ag_add(ag_scale(more, 2), i ? ag_matmul(a, b) : ag_tensordot(x, w, 2));
        ck_assert_int_eq(ag_eval(sum[i]), AG_OK);
    }
    expect_same(sum[0], sum[1]);
    expect_product(ag_tensordot(x, w, 2), a, b);
    ag_tape_free(t);
}

/* As many places are gathered at a time as there is room for, in groups; terms, columns and work that decide how. */
START_TEST(gathered) {
    static const int64_t few[] = {AG__LIMIT(16, 3), AG__LIMIT(256, 8)};
    for (int inside = 0; inside < 2; inside++) {
        for (int64_t by = -1; by <= 1; by++) {
            check_gathered(AG_F32, AG__LIMIT(512, 5), 2, AG__LIMIT(32, 10), few[0] + by, inside);
            check_gathered(AG_F32, AG__LIMIT(400, 30), 3, AG__LIMIT(128, 2), few[0] + by, inside);
            check_gathered(AG_F64, 40, 3, 27, few[1] + by, inside);
        }
        /* 97, 96, 95, 25, 24 and 23 places with usual limits */
        static const int64_t terms[][2] = {{22, 23}, {2, 256}, {27, 19}, {2, 983}, {2, 1024}, {3, 683}};
        for (int i = 0; i < (AG_TINY_LIMITS ? 0 : 6); i++)
            check_gathered(AG_F32, 2100, terms[i][0], terms[i][1], 17, inside);
    }
}
END_TEST

/* ---- Windows ---- */

/* y and its gradients are the reference's; whole numbers. */
static void check_both(ag_tensor *make(ag_tape *t, int64_t size, ag_tensor **x), int64_t size) {
    static const ag_evaluator evaluators[] = {AG_EVALUATOR_REFERENCE, AG_EVALUATOR_FUSED};
    ag_tape *t[2];
    ag_tensor *y[2], *dx[2][2];
    for (int i = 0; i < 2; i++) {
        ag_tensor *x[2];
        t[i] = ag_tape_new();
        ag_tape_set_evaluator(t[i], evaluators[i]);
        ag_tape_set_threads(t[i], 1);
        y[i] = make(t[i], size, x);
        ag_grad(ag_sum(ag_mul(y[i], small_wholes(t[i], ag_dtype_of(y[i]), ag_shape_of(y[i])))), 2, x, dx[i]);
    }
    expect_same(y[0], y[1]);
    for (int k = 0; k < 2; k++) expect_same(dx[0][k], dx[1][k]);
    for (int i = 0; i < 2; i++) ag_tape_free(t[i]);
}

/* The gradient by x folds a product with rows of as many elements. */
static ag_tensor *with_rows(ag_tape *t, int64_t elements, ag_tensor **x) {
    const int64_t size = elements % 3 == 0 ? 3 : 7;
    x[0] = small_wholes(t, AG_F32, AG_SHAPE(size + 30, elements / size));
    x[1] = small_wholes(t, AG_F32, AG_SHAPE(elements / size, size, 5));
    return ag_tensordot(ag_windows(x[0], AG_AXES(0), AG_SHAPE(size), AG_SHAPE(1)), x[1], 2);
}

static ag_tensor *with_channels(ag_tape *t, int64_t channels, ag_tensor **x) {
    x[0] = small_wholes(t, AG_F32, AG_SHAPE(1, 40, channels));
    x[1] = small_wholes(t, AG_F32, AG_SHAPE(2, channels, 32));
    return ag_convolve(x[0], x[1], NULL, NULL);
}

/* Parts of the weight's gradient, of one sample each or more. */
static ag_tensor *with_samples(ag_tape *t, int64_t n, ag_tensor **x) {
    x[0] = small_wholes(t, AG_F32, AG_SHAPE(n, 9, 4));
    x[1] = small_wholes(t, AG_F32, AG_SHAPE(3, 1, 4));
    return ag_convolve(x[0], x[1], NULL, &(ag_conv_options){.groups = 4});
}

START_TEST(parts_of_samples) {
    enum { MOST_PARTS = AG__LIMIT(16, 3) };
    for (int64_t n = MOST_PARTS - 1; n <= MOST_PARTS + 1; n++) check_both(with_samples, n);
}
END_TEST

/* Places that are folded at a time, 9, 8 and 7 with usual limits; weights, and places of a box, of 25, 24 and 23. */
START_TEST(windows) {
    static const int64_t elements[] = {2730, 3072, 3073}, channels[] = {1890, 1966, 2047, 2048, 2049};
    if (_i < 3) check_both(with_rows, elements[_i]);
    else check_both(with_channels, channels[_i - 3]);
}
END_TEST

/* ---- Orders ---- */

/* 0 … n−1, for n that 7919 does not divide. */
static ag_tensor *shuffled_numbers(ag_tape *t, ag_dtype dtype, int64_t n) {
    ag_tensor *x = ag_mul(ag_arange(t, AG_I64, n), ag_scalar(t, AG_I64, 7919));
    return ag_cast(ag_remainder(x, ag_scalar(t, AG_I64, (double)n)), dtype);
}

/* The k-th element of 0 … n−1, in whatever order, is k. */
START_TEST(orders) {
    enum { LIMITERS = AG__LIMIT(64, 8), SAMPLES = AG__LIMIT(4096, 16), MARGIN = AG__LIMIT(128, 2) };
    ag_tape *t = ag_tape_new();
    for (int64_t n = 4 * LIMITERS - 1; n <= 4 * LIMITERS + 1; n++) {
        ag_tensor *x = shuffled_numbers(t, AG_F32, n);
        expect_same(ag_topk_along(x, 5, 0, false, NULL), ag_arange(t, AG_F32, 5));
        expect_same(ag_topk_along(ag_neg(x), 5, 0, true, NULL), ag_neg(ag_arange(t, AG_F32, 5)));
    }
    for (int i = 0; i < 2; i++) {
        const int64_t n = 4 * SAMPLES, limit = i ? SAMPLES - MARGIN : MARGIN;
        ag_tensor *x = shuffled_numbers(t, i ? AG_F32 : AG_F64, n + 1); /* so that quantiles are elements */
        for (int64_t at = limit - 1; at <= limit + 1; at++) {
            const int64_t rank = (at * (n + 1) + SAMPLES - 1) / SAMPLES;
            ck_assert_double_eq(ag_item(ag_quantile(x, (double)rank / (double)n)), (double)rank);
        }
    }
    for (int64_t n = 4 * SAMPLES - 1; n <= 4 * SAMPLES + 1; n++)
        ck_assert_double_eq(ag_item(ag_quantile(shuffled_numbers(t, AG_F64, n), 7.0 / (double)(n - 1))), 7);
    ag_tape_free(t);
}
END_TEST

/* So many numbers are looked for among others, in rows of so many. */
static void check_search(int64_t among, int64_t rows, int64_t each) {
    ag_tape *t = ag_tape_new();
    ag_tensor *place = ag_remainder(ag_mul(ag_arange(t, AG_I64, rows * each), ag_scalar(t, AG_I64, 37)),
                                    ag_scalar(t, AG_I64, (double)among));
    ag_tensor *x = ag_reshape(ag_add_scalar(ag_cast(place, AG_F64), 0.5), AG_SHAPE(rows, each));
    ag_tensor *sorted = ag_broadcast_to(ag_arange(t, AG_F64, among), AG_SHAPE(rows, among));
    ag_tensor *wanted = ag_reshape(ag_add(place, ag_scalar(t, AG_I64, 1)), AG_SHAPE(rows, each));
    expect_same(ag_searchsorted(sorted, x, false), wanted);
    if (rows == 1) expect_same(ag_searchsorted(ag_arange(t, AG_F64, among), x, true), wanted);
    ag_tape_free(t);
}

START_TEST(searches) {
    enum { FEW_SEARCHED = AG__LIMIT(8, 3), MANY_SORTED = AG__LIMIT(16, 2), MANY = 40 };
    for (int64_t by = -1; by <= 1; by++) {
        check_search(100, 3, FEW_SEARCHED + by);
        check_search(MANY_SORTED * MANY, 1, MANY + by);
        check_search(MANY_SORTED * FEW_SEARCHED, 1, FEW_SEARCHED + by);
    }
}
END_TEST

/* Several quantiles are those of one each, whether they are selected or found among sorted elements. */
START_TEST(quantiles) {
    enum { FEW = AG__LIMIT(4, 2), MOST = 64 };
    static const int numbers[] = {FEW - 1, FEW, FEW + 1, MOST - 1, MOST};
    double q[MOST + 1];
    ag_tape *t = ag_tape_new();
    ag_tensor *x = shuffled_numbers(t, AG_F64, 300);
    for (int i = 0; i <= MOST; i++) q[i] = (i * 29 % 65) / 64.0;
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        ag_tensor *y = ag_quantiles_over(x, AG_ALL_AXES, numbers[k], q, false);
        for (int i = 0; i < numbers[k]; i++) ck_assert_double_eq(ag_element(y, i), ag_item(ag_quantile(x, q[i])));
    }
    ck_assert(ag_is_nil(ag_quantiles_over(x, AG_ALL_AXES, MOST + 1, q, false)));
    expect_error(t, AG_ERR_RANGE, "n is 65: 1 to 64 is wanted");
    ag_tape_free(t);
}
END_TEST

/* ---- Graphs that are recorded in several ways ---- */

static double largest_difference(ag_tensor *a, ag_tensor *b) { return ag_item(ag_max(ag_abs(ag_sub(a, b)))); }

/* A long axis of far elements changes places with the last one. */
START_TEST(transforms_along_far_axes) {
    enum { FEW = AG__LIMIT(64, 3), CACHE = AG__LIMIT(64 * 1024, 100), PAIR = 2 * sizeof(float) };
    for (int64_t by = -1; by <= 1; by++)
        for (int i = 0; i < 2; i++) {
            const int64_t n = i ? AG__LIMIT(128, 4) + by : FEW + by, m = i ? CACHE / PAIR / AG__LIMIT(128, 4) : 4096;
            ag_tape *t = ag_tape_new();
            ag_tensor *x = small_wholes(t, AG_F64, AG_SHAPE(n, m, 2)), *y = ag_fft(x, 0);
            if (ag_tape_status(t) == AG_OK) { /* else this build has no transforms */
                ag_tensor *turned = ag_contiguous(ag_transpose(x, 0, 1));
                ck_assert_double_lt(largest_difference(y, ag_transpose(ag_fft(turned, 1), 0, 1)), 1e-11);
            }
            ag_tape_free(t);
        }
}
END_TEST

/* More transforms than there are plans that are kept, of every kind, twice; then of the most elements that have one. */
START_TEST(plans_of_transforms) {
    for (int i = 0; i < 80; i++) {
        const int64_t n = 1 + i % 20;
        const ag_dtype dtype = i % 40 < 20 ? AG_F32 : AG_F64;
        ag_tape *t = ag_tape_new();
        ag_tensor *x = small_wholes(t, dtype, AG_SHAPE(3, n, 2)), *real = ag_reshape(x, AG_SHAPE(3, 2 * n));
        ag_tensor *y = ag_ifft(ag_fft(x, 1), 1), *z = ag_irfft(ag_rfft(real, 1), 2 * n, 1);
        ag_tensor *first = ag_fft(ag_transpose(x, 0, 1), 0), *half = ag_rfft(real, 1);
        if (ag_tape_status(t) == AG_OK) { /* else this build has no transforms */
            const double most = dtype == AG_F32 ? 1e-5 : 1e-13;
            ck_assert_double_lt(largest_difference(y, x), most);
            ck_assert_double_lt(largest_difference(z, real), most);
            ck_assert_double_lt(largest_difference(ag_transpose(first, 0, 1), ag_fft(x, 1)), 50 * most);
            ck_assert_double_lt(
                largest_difference(ag_slice(half, 1, 0, 1, 1),
                                   ag_complex(ag_sum_over(real, AG_AXES(1), true), ag_zeros(t, dtype, AG_SHAPE(3, 1)))),
                50 * most);
        }
        ag_tape_free(t);
    }
    enum { MOST_KEPT = AG__LIMIT(1 << 16, 60) };
    for (int i = 0; i < 6; i++) {
        ag_tape *t = ag_tape_new();
        ag_tensor *x = small_wholes(t, AG_F64, AG_SHAPE(MOST_KEPT - 1 + i % 3, 2)), *y = ag_ifft(ag_fft(x, 0), 0);
        if (ag_tape_status(t) == AG_OK) ck_assert_double_lt(largest_difference(y, x), 1e-12);
        ag_tape_free(t);
    }
}
END_TEST

/* Groups of channels are normalised where they are, or as rows. */
static void check_groups(int64_t n, int64_t places, int64_t channels, int64_t groups) {
    const int64_t each = channels / groups;
    ag_tape *t = ag_tape_new();
    ag_tensor *x = ag_uniform(t, AG_F64, AG_SHAPE(n, places, channels), -1, 1);
    ag_tensor *y = ag_groupnorm_apply(&(ag_groupnorm){.groups = groups, .epsilon = 1e-5}, x);
    ag_tensor *by_group = ag_reshape(x, AG_SHAPE(n, places, groups, each));
    ag_tensor *centred = ag_sub(by_group, ag_mean_over(by_group, AG_AXES(1, 3), true));
    ag_tensor *variance = ag_mean_over(ag_square(centred), AG_AXES(1, 3), true);
    ag_tensor *wanted = ag_div(centred, ag_sqrt(ag_add_scalar(variance, 1e-5)));
    ck_assert_double_lt(largest_difference(y, ag_reshape(wanted, AG_SHAPE(n, places, channels))), 1e-13);
    ag_tape_free(t);
}

START_TEST(groups) {
    enum {
        LEAST_ALONE = 1 << 10,
        LEAST_OF_MANY = 1 << 15,
        LEAST_TOGETHER = 1 << 17,
        WIDE = 64,
        LEAST_OF_FEW = 1 << 11
    };
    for (int64_t by = -1; by <= 1; by++) {
        check_groups(1, LEAST_ALONE / 32 + by, 32, 4);
        check_groups(2, LEAST_OF_MANY / 32 + by, 32, 4);
        check_groups(8, LEAST_TOGETHER / 8 / WIDE + by, WIDE, 8);
        check_groups(16, LEAST_TOGETHER / 8 / WIDE, WIDE + by, by < 0 ? 7 : by > 0 ? 5 : 8);
        check_groups(1, 7, 5 * (2 + by), 5);
        check_groups(3, LEAST_OF_FEW / 4 + by, 4, 2);
        check_groups(3, LEAST_OF_FEW / 2, 8 + by, 8 + by);
    }
}
END_TEST

/* As many operands as there may be. */
START_TEST(operands) {
    enum { MOST = 32 };
    char text[2 * MOST + 8] = "a->a";
    ag_tape *t = ag_tape_new();
    ag_tensor *x[MOST + 1];
    for (int i = 0; i <= MOST; i++) x[i] = ag_full(t, AG_F64, AG_SHAPE(3), 2);
    for (int n = 1; n <= MOST + 1; n++) {
        ag_tensor *y = ag_einsum(text, n, x);
        if (n > MOST) ck_assert(ag_is_nil(y));
        else expect_same(y, ag_full(t, AG_F64, AG_SHAPE(3), (double)(INT64_C(1) << n)));
        memmove(text + 2, text, strlen(text) + 1), memcpy(text, "a,", 2);
    }
    ag_tape_free(t);
}
END_TEST

/* As many bytes of attributes as a node may have; those that the operation does not know are kept. */
START_TEST(attributes) {
    static double number[UINT16_MAX / sizeof(double) + 1] = {3};
    ag_tape *t = ag_tape_new();
    ag_tensor *x = ag_full(t, AG_F64, AG_SHAPE(3), 2);
    const ag_op *scale = ag_op_of(ag_scale(x, 2));
    for (size_t bytes = UINT16_MAX - 1; bytes <= UINT16_MAX; bytes++)
        expect_same(ag_apply(scale, 1, &x, number, bytes), ag_full(t, AG_F64, AG_SHAPE(3), 6));
    ck_assert(ag_is_nil(ag_apply(scale, 1, &x, number, UINT16_MAX + 1)));
    expect_error(t, AG_ERR_RANGE, "at most 65535 are wanted");
    ag_tape_free(t);
}
END_TEST

/* So many elements, of so many values. */
static void check_distinct(int64_t n, int64_t values) {
    ag_tape *t = ag_tape_new();
    ag_tensor *inverse, *counts,
        *x = ag_remainder(shuffled_numbers(t, AG_I64, n), ag_scalar(t, AG_I64, (double)values));
    ag_tensor *y = ag_unique(x, &inverse, &counts);
    expect_same(y, ag_arange(t, AG_I64, values));
    expect_same(ag_unique(x, NULL, NULL), y);
    expect_same(inverse, x);
    const int64_t *count = ag_data(counts);
    for (int64_t i = 0; i < values; i++) ck_assert_int_eq(count[i], n / values + (i < n % values));
    ag_tape_free(t);
}

START_TEST(distinct) {
    enum { MOST_DISTINCT = AG__LIMIT(1 << 14, 8), LEAST_COUNTED = AG__LIMIT(2048, 16), SHARE = AG__LIMIT(16, 2) };
    for (int64_t by = -1; by <= 1; by++) {
        check_distinct(LEAST_COUNTED + by, 5);
        check_distinct(4 * LEAST_COUNTED, AG__LIMIT(4 * LEAST_COUNTED / SHARE, MOST_DISTINCT) + by);
        check_distinct(SHARE * (MOST_DISTINCT + by), MOST_DISTINCT - 1);
        check_distinct((SHARE + 1) * MOST_DISTINCT, MOST_DISTINCT + by);
    }
}
END_TEST

/* ---- Memory ---- */

static ag_tensor *numbered(ag_tape *t, int64_t m, int64_t n) {
    return ag_reshape(ag_arange(t, AG_F32, m * n), AG_SHAPE(m, n));
}

/* Short rows, of so many bytes, beside long ones that are written past the caches. */
START_TEST(long_copies) {
    enum { LONG = 5000, ROWS = AG__PAST_CACHES / 8 / LONG + 1 };
    for (int64_t columns = 63; columns <= 65; columns++) {
        ag_tape *t = ag_tape_new();
        ag_tensor *x[] = {numbered(t, ROWS, columns), numbered(t, ROWS, LONG)};
        const float *y = ag_data(ag_concat(2, x, 1));
        int64_t wrong = 0;
        for (int64_t i = 0; i < ROWS; i++)
            for (int64_t k = 0; k < columns + LONG; k++)
                wrong += *y++ != (float)(k < columns ? i * columns + k : i * LONG + k - columns);
        ck_assert_int_eq(wrong, 0);
        ag_tape_free(t);
    }
}
END_TEST

/* Short rows that are padded, and put together before they are written past the caches: so many bytes of them. */
static void check_padding(int64_t images, int64_t rows, int64_t columns) {
    ag_tape *t = ag_tape_new();
    ag_tensor *x = ag_reshape(ag_arange(t, AG_F32, images * rows * columns), AG_SHAPE(images, rows, columns));
    const float *y = ag_data(ag_pad(x, AG_AXES(1, 2), AG_SHAPE(1, 1), AG_SHAPE(0, 0)));
    int64_t wrong = 0;
    for (int64_t i = 0; i < images; i++)
        for (int64_t k = -1; k < rows; k++)
            for (int64_t j = -1; j < columns; j++)
                wrong += *y++ != (float)(k < 0 || j < 0 ? 0 : (i * rows + k) * columns + j);
    ck_assert_int_eq(wrong, 0);
    ag_tape_free(t);
}

START_TEST(long_paddings) {
    enum { LONG_ROW = AG__LIMIT(1024, 64), TOGETHER = AG__LIMIT(32 * 1024, 256), COLUMNS = AG__LIMIT(64, 8) };
    const int64_t elements = AG__PAST_CACHES / (int64_t)sizeof(float);
    for (int64_t by = -1; by <= 1; by++) {
        const int64_t rows = TOGETHER / 4 / COLUMNS + by, columns = LONG_ROW / 4 + by;
        check_padding(elements / (rows * COLUMNS) + 2, rows - 1, COLUMNS - 1);
        check_padding(elements / columns / 3 + 2, 3, columns);
    }
}
END_TEST

/* Two images are written past the caches, and each alone is not. */
START_TEST(large_images) {
    enum { WIDE = 1000, CHANNELS = 3, HIGH = AG__PAST_CACHES / (2 * 2 * WIDE * 3 / 2 * CHANNELS * 4) + 1 };
    const ag_interpolation mode = _i ? AG_LINEAR : AG_NEAREST;
    const ag_shape to = AG_SHAPE(2 * HIGH, WIDE * 3 / 2);
    ag_tape *t = ag_tape_new();
    ag_tensor *x = ag_arange(t, AG_F32, 2 * HIGH * WIDE * CHANNELS);
    x = ag_reshape(x, AG_SHAPE(2, HIGH, WIDE, CHANNELS));
    const float *y = ag_data(ag_interpolate(x, to, mode, false));
    for (int64_t k = 0; k < 2; k++) {
        ag_tensor *one = ag_interpolate(ag_slice(x, 0, k, k + 1, 1), to, mode, false);
        const int64_t n = ag_size(one);
        ck_assert_int_eq(memcmp(y + k * n, ag_data(one), (size_t)n * sizeof *y), 0);
    }
    ag_tape_free(t);
}
END_TEST

/* Blocks of a table that is larger than a near cache, some of which are fetched before they are copied. */
START_TEST(rows_of_a_large_table) {
    enum { ROWS = 1 << 15, MOST = 70 };
    const int64_t columns[] = {5, 16, 67, 130}, wide = columns[_i];
    ag_tape *t = ag_tape_new();
    ag_tensor *x = numbered(t, ROWS, wide);
    int64_t index[MOST], wrong = 0;
    for (int64_t i = 0; i < MOST; i++) index[i] = i * i * 7919 % ROWS;
    for (int64_t n = 1; n <= MOST; n += 23) {
        const float *y = ag_data(ag_index_select(x, ag_wrap(t, AG_I64, AG_SHAPE(n), index), 0));
        for (int64_t i = 0; i < n * wide; i++) wrong += y[i] != (float)(index[i / wide] * wide + i % wide);
    }
    ck_assert_int_eq(wrong, 0);
    ag_tape_free(t);
}
END_TEST

static void expect_arange(ag_tensor *x) {
    const double *v = ag_data(x);
    int64_t wrong = 0;
    for (int64_t i = 0; i < ag_size(x); i++) wrong += v[i] != (double)i;
    ck_assert_int_eq(wrong, 0);
}

/* A new tape whose heap holds so many bytes, for x alone. */
static ag_tape *holding(size_t bytes, ag_tensor **x) {
    int64_t n = (int64_t)(bytes / sizeof(double)) - 1000;
    for (int attempt = 0;; attempt++) {
        ag_tape *t = ag_tape_new();
        ag_tape_set_evaluator(t, AG_EVALUATOR_FUSED);
        *x = ag_arange(t, AG_F64, n);
        ck_assert_int_eq(ag_eval(*x), AG_OK);
        if (t->heap.held == bytes) return t;
        ck_assert_int_lt(attempt, 3);
        n += ((int64_t)bytes - (int64_t)t->heap.held) / (int64_t)sizeof(double);
        ag_tape_free(t);
    }
}

/* Spans of the heap from which pages are huge; bytes that it holds, of which the next span is an eighth or fewer. */
START_TEST(spans) {
    enum { HUGE_PAGES = 4 * 1024 * 1024, LARGEST_GROWTH = 1024 * 1024, LINE = 64, MORE = 3000 };
    for (int by = -1; by <= 1; by++)
        for (int i = 0; i < 2; i++) {
            const size_t held = (size_t)(i ? 8 * (LARGEST_GROWTH + by * LINE) : HUGE_PAGES + by * LINE);
            ag_tensor *large;
            ag_tape *t = holding(held, &large);
            expect_arange(ag_arange(t, AG_F64, MORE));
            expect_arange(large);
            const size_t next = (held / 8 + LINE - 1) / LINE * LINE + LINE; /* with its header */
            ck_assert_uint_eq(t->heap.held - held, i && by > 0 ? LARGEST_GROWTH + LINE : next);
            ag_tape_free(t);
        }
}
END_TEST

/* Bytes of the heap from which its requests are noted, which is asked where a round ends. */
START_TEST(rounds) {
    enum { LITTLE = 64 * 1024, LINE = 64 };
    static const int lines[] = {-1, 0, 8}; /* values that are large have some bytes more */
    for (int k = 0; k < 3; k++) {
        ag_tensor *x;
        ag_tape *t = holding((size_t)(LITTLE + lines[k] * LINE), &x);
        const ag_mark mark = ag_tape_mark(t);
        ag_tape_rewind(t, mark);
        for (int i = 0; i < 3; i++, ag_tape_rewind(t, mark)) expect_arange(ag_arange(t, AG_F64, 500));
        expect_arange(x);
        ag_tape_free(t);
    }
}
END_TEST

/* A value that lasts takes the place of a free block of its size, which is looked for among so many. */
START_TEST(tried_blocks) {
    enum { MOST_TRIED = 32, MOST = MOST_TRIED + 12, BYTES = 28000 }; /* some of those that go become parts of others */
    for (int free = MOST_TRIED - 1; free <= MOST; free++) {
        ag_tape *t = ag_tape_new();
        ag__buffer *stays[MOST], *goes[MOST];
        for (int i = 0; i < free; i++) {
            ck_assert_ptr_nonnull(goes[i] = ag__heap_new(t, (size_t)(BYTES - 3000 + 64 * i)));
            ck_assert_ptr_nonnull(stays[i] = ag__heap_new(t, BYTES));
        }
        for (int i = 0; i < free; i++) ag__heap_drop(t, goes[i]);
        const size_t held = t->heap.held;
        ag__buffer *y = ag__heap_new_apart(t, BYTES);
        ck_assert_ptr_nonnull(y);
        ck_assert_uint_ge(t->heap.held - held, BYTES);
        for (int i = 0; i < free; i++) ag__heap_drop(t, stays[i]);
        ag__heap_drop(t, y);
        ag_tape_free(t);
    }
}
END_TEST

/* Slots that stay vacant are used again once there are so many. */
START_TEST(vacant_slots) {
    enum { MOST_VACANT = AG__LIMIT(1 << 18, 100) };
    for (int by = -1; by <= 1; by++) {
        ag_tape *t = ag_tape_new();
        t->keeps_vacant = true;
        ag_tensor *x = ag_parameter(t, AG_F64, AG_SHAPE(1), &(double){0});
        const ag_mark mark = ag_tape_mark(t);
        const uint32_t before = t->count;
        for (ag_tensor *y = x; t->count < before + MOST_VACANT + (uint32_t)by;) y = ag_neg(y);
        ag_tape_rewind(t, mark);
        ck_assert_uint_eq(t->count, by < 0 ? before + MOST_VACANT - 1 : before);
        ck_assert_double_eq(ag_item(ag_neg(x)), 0);
        ag_tape_free(t);
    }
}
END_TEST

/* Slabs of the arena, each of twice the bytes of the one before it. */
START_TEST(slabs) {
    enum { LARGEST_SLAB = 1024 * 1024, MORE = 5000 };
    for (int64_t by = -1; by <= 1; by++) {
        const size_t bytes = (size_t)(LARGEST_SLAB / 2 + 8 * by);
        ag_tape *t = ag_tape_new();
        use_up(t);
        char *large = ag__arena(t, bytes);
        ck_assert_ptr_nonnull(large);
        ck_assert_uint_eq(t->slab->capacity, bytes);
        char *more = ag__arena(t, MORE);
        ck_assert_ptr_nonnull(more);
        ck_assert_uint_eq(t->slab->capacity + sizeof *t->slab, by > 0 ? LARGEST_SLAB : 2 * bytes);
        memset(more, 2, MORE);
        memset(large, 1, bytes);
        for (int i = 0; i < MORE; i++) ck_assert_int_eq(more[i], 2);
        ag_tape_free(t);
    }
}
END_TEST

/* ---- Rows of products ---- */

/* A weight (m,n) after a step, of whole numbers. Its gradient is larger than what it is computed from: the sweep before
 * the rewind computes so many strips of it at a time. */
static ag_tensor *after_a_step(ag_tape *t, int64_t m, int64_t n) {
    ag_tensor *w = ag_parameter_from(small_wholes(t, AG_F64, AG_SHAPE(m, n))), *dw;
    const ag_mark mark = ag_tape_mark(t);
    ag_tensor *y = ag_matmul(small_wholes(t, AG_F64, AG_SHAPE(5, m)), w), *loss = ag_sum(ag_mul(y, y));
    ag_grad(loss, 1, &w, &dw);
    ag_assign(w, ag_sub(w, ag_scale(dw, 0.5)));
    ck_assert_int_eq(ag_eval(loss), AG_OK);
    ag_tape_rewind(t, mark);
    return w;
}

static void check_strips_of_rows(int64_t strips) {
    const int64_t n = AG__LIMIT(128, 8);
    ag_tape *t[2];
    ag_tensor *w[2];
    for (int i = 0; i < 2; i++) {
        t[i] = ag_tape_new();
        ag_tape_set_evaluator(t[i], i ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        ag_tape_set_threads(t[i], 1);
        w[i] = after_a_step(t[i], strips * AG__STRIP / n, n);
    }
    expect_same(w[0], w[1]);
    for (int i = 0; i < 2; i++) ag_tape_free(t[i]);
}

START_TEST(strips_of_rows) {
    for (int64_t by = -1; by <= 1; by++) {
        check_strips_of_rows(AG__ROWS_STRIPS + by);
        check_strips_of_rows(2 * AG__ROWS_STRIPS + by);
    }
}
END_TEST

/* ---- Transposes ---- */

/* Results that read x, which is (n,m), as (m,n): by elements, by rows, twice, beside others and as a copy. */
static results turned_program(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    const int64_t m = size[0], n = size[1];
    results r = {.n = 0};
    ag_tensor *x = ag_uniform(t, dtype, AG_SHAPE(n, m), -1, 1), *y = ag_uniform(t, dtype, AG_SHAPE(m, n), -1, 1);
    ag_tensor *truth[] = {ag_greater_scalar(x, 0), ag_less(y, ag_scale(y, 2))};
    ck_assert_int_eq(ag_eval_all(2, (ag_tensor *[]){x, y}), AG_OK);
    ck_assert_int_eq(ag_eval_all(2, truth), AG_OK);
    ag_tensor *turned = ag_transpose(x, 0, 1), *one = ag_add_scalar(turned, 1);
    add(&r, one);
    add(&r, ag_mul(ag_mul(turned, turned), y));
    add(&r, ag_where(ag_logical_and(ag_transpose(truth[0], 0, 1), truth[1]), turned, y));
    add(&r, ag_softmax(turned, 1));
    add(&r, ag_sum_over(ag_mul(turned, y), AG_AXES(0), false));
    add(&r, ag_contiguous(turned));
    add(&r, ag_mul(ag_flip(turned, 1), y));
    add(&r, ag_add_scalar(ag_broadcast_to(turned, AG_SHAPE(2, m, n)), 1));
    add(&r, ag_add_scalar(
                ag_broadcast_to(ag_unsqueeze(ag_transpose(ag_slice(x, 0, 0, 1, 1), 0, 1), 0), AG_SHAPE(2, m, n)), 1));
    ck_assert_msg(ag_eval_all(r.n, r.x) == AG_OK, "%s", ag_tape_error(t));
    return r;
}

/* Rows, columns and elements from which a transpose is turned by tiles, and the elements that are turned at a time at
 * most. */
START_TEST(transposes) {
    enum { ROWS = AG__ROWS_TURNED, COLUMNS = AG__STRIP / ROWS, AHEAD = AG__MOST_TURNED / ROWS };
    static const int64_t elements[][3] = {{AG__LIMIT(217, 3), AG__LIMIT(151, 13), 1},
                                          {AG__LIMIT(128, 4), AG__LIMIT(256, 10), 1},
                                          {AG__LIMIT(99, 6), AG__LIMIT(331, 7), 1}};
    for (int by = -1; by <= 1; by++) {
        compare_of(turned_program, AG_F32, (int64_t[]){ROWS + by, AG__LEAST_COPIED / ROWS * 2, 1});
        compare_of(turned_program, AG_F64, (int64_t[]){AG__LEAST_COPIED / COLUMNS * 2 + 5, COLUMNS + by, 1});
        compare_of(turned_program, AG_F32, (int64_t[]){ROWS + 1, AHEAD + by, 1});
        compare_of(turned_program, by ? AG_F32 : AG_F64, elements[by + 1]);
        compare_of(turned_program, AG_F32,
                   (int64_t[]){AG__ROWS_COPIED + by, AG__LEAST_COPIED / AG__ROWS_COPIED + 1, 1});
    }
}
END_TEST

/* A softmax reads each row several times, and asks for the next one meanwhile if the rows take as many bytes as may be
 * beyond the caches. */
START_TEST(rows_in_memory) {
    const int64_t n = AG__LIMIT(1024, 16), most = AG__MEMORY / 4 / n;
    for (int64_t m = most - 1; m <= most + 1; m++) {
        ag_tape *t[2];
        ag_tensor *y[2];
        for (int i = 0; i < 2; i++) {
            t[i] = ag_tape_new();
            ag_tape_set_evaluator(t[i], i ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
            ag_tensor *x = ag_uniform(t[i], AG_F32, AG_SHAPE(m, n), -1, 1);
            ck_assert_int_eq(ag_eval(x), AG_OK);
            y[i] = ag_softmax(x, 1);
        }
        expect_same(y[0], y[1]);
        for (int i = 0; i < 2; i++) ag_tape_free(t[i]);
    }
}
END_TEST

/* The same of so many values; and of rows that one piece of machine code folds, if they are short. */
static results of_rows_in_memory(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    const int64_t m = size[0], n = size[1], values = size[2];
    results r = {.n = 0};
    ag_tensor *x = ag_reshape(ag_cast(ag_remainder(ag_arange(t, AG_I64, m * n), ag_scalar(t, AG_I64, 251)), dtype),
                              AG_SHAPE(m, n));
    ck_assert_int_eq(ag_eval(x), AG_OK);
    ag_tensor *y = ag_scale(x, 1.0 / 251);
    for (int64_t k = 1; k < values; k++) {
        ag_tensor *other = ag_scale(x, 1.0 / (double)(k + 251));
        ck_assert_int_eq(ag_eval(other), AG_OK);
        y = ag_mul(y, other);
    }
    add(&r, values > 1 ? ag_softmax(y, 1) : ag_sum_over(ag_square(y), AG_AXES(1), false));
    ck_assert_msg(ag_eval_all(r.n, r.x) == AG_OK, "%s", ag_tape_error(t));
    return r;
}

START_TEST(values_in_memory) {
    enum { MOST_ASKED = AG__LIMIT(4, 2), SHORT_ROW = AG__LIMIT(8192, 64) };
    const int64_t n = AG__LIMIT(1024, 16), m = AG__MEMORY / 4 / n;
    for (int64_t by = -1; by <= 1; by++) {
        const int64_t columns = SHORT_ROW / 4 + by;
        compare_of(of_rows_in_memory, AG_F32, (int64_t[]){m, n, MOST_ASKED + by + (MOST_ASKED + by == 1)});
        compare_of(of_rows_in_memory, AG_F32, (int64_t[]){2 * AG__PAST_CACHES / (4 * columns) + 1, columns, 1});
    }
}
END_TEST

/* Rows of several strips, whose folds are joined: in machine code from so many rows on, unless the last strip has fewer
 * elements than lanes. */
static results along(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    const int64_t m = size[0], n = size[1];
    results r = {.n = 0};
    ag_tape_seed(t, (uint64_t)(m * 131 + n));
    ag_tensor *x = ag_uniform(t, dtype, AG_SHAPE(m, n), -1, 1), *w = ag_uniform(t, dtype, AG_SHAPE(m, n), -1, 1), *dx;
    ag_tensor *column = ag_uniform(t, dtype, AG_SHAPE(n), 1, 2);
    ag_tensor *centred = ag_sub(x, ag_mean_over(x, AG_AXES(1), true));
    ag_tensor *variance = ag_mean_over(ag_square(centred), AG_AXES(1), true), *y = ag_softmax(ag_mul(x, column), 1);
    add(&r, y);
    add(&r, ag_mul(ag_div(centred, ag_sqrt(variance)), column));
    add(&r, ag_max_over(ag_abs(x), AG_AXES(1), false));
    add(&r, ag_sum_over(ag_mul(y, w), AG_AXES(0), false));
    ag_grad(ag_sum(ag_mul(y, w)), 1, &x, &dx);
    add(&r, dx);
    ck_assert_msg(ag_eval_all(r.n, r.x) == AG_OK, "%s", ag_tape_error(t));
    return r;
}

START_TEST(rows_of_several_strips) {
    const int64_t beyond = AG__MOST_ROW + AG__STRIP;
    const int64_t columns[] = {AG__LONGEST_ROW - 1,
                               AG__LONGEST_ROW,
                               AG__LONGEST_ROW + 1,
                               beyond,
                               beyond + 1,
                               beyond + AG__LANES - 1,
                               beyond + AG__LANES,
                               beyond - 1,
                               AG__STRIP + AG__LANES - 1,
                               AG__STRIP + AG__LANES,
                               2 * AG__STRIP,
                               AG__MOST_ROW - 1};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        for (int64_t by = -1; by <= 1; by++) {
            if (i > 2 || by < 1) compare_of(along, AG_F32, (int64_t[]){AG__MANY_ROWS + by, columns[i], 1});
            if (i > 2) compare_of(along, AG_F64, (int64_t[]){AG__MANY_ROWS + by, columns[i], 1});
        }
}
END_TEST

/* Two rows are computed in pairs if their bytes fit: four for an element that is read, written, or kept for the next piece. */
static results two_rows(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    results r = {.n = 0};
    ag_tensor *x = ag_uniform(t, dtype, AG_SHAPE(size[0], size[1]), -1, 1);
    ck_assert_int_eq(ag_eval(x), AG_OK);
    add(&r, ag_softmax(x, 1));
    ck_assert_msg(ag_eval_all(r.n, r.x) == AG_OK, "%s", ag_tape_error(t));
    return r;
}

START_TEST(rows_in_pairs) {
    const int64_t rows = 64;
    for (int64_t by = -1; by <= 1; by++) {
        compare_of(two_rows, AG_F32, (int64_t[]){rows, AG__PAIRED / (2 * 4 * 4) + by, 1});
        compare_of(two_rows, AG_F64, (int64_t[]){rows, AG__PAIRED / (2 * 4 * 8) + by, 1});
    }
}
END_TEST

/* ---- Elements that are counted ---- */

/* A gradient is divided among so many equal elements, in rows that are beside one another and columns that are too. */
START_TEST(counted) {
    static const int64_t sizes[][2] = {{AG__COUNTED / 8 + 1, 7}, {AG__COUNTED / 8, 8}, {AG__COUNTED / 5 + 1, 5}};
    for (int i = 0; i < 6; i++) {
        const int64_t m = sizes[i % 3][0], n = sizes[i % 3][1];
        ag_tape *t = ag_tape_new();
        ag_tape_set_evaluator(t, i < 3 ? AG_EVALUATOR_REFERENCE : AG_EVALUATOR_FUSED);
        ag_tensor *x = ag_parameter_from(ag_full(t, AG_F32, AG_SHAPE(m, 2, n), 3)), *dx;
        ag_grad(ag_sum(ag_max_over(x, AG_AXES(0, 2), false)), 1, &x, &dx);
        expect_same(dx, ag_full(t, AG_F32, AG_SHAPE(m, 2, n), (double)(1 / (float)(m * n))));
        ag_tape_free(t);
    }
}
END_TEST

/* ---- Chains of operations ---- */

static const int64_t lengths[] = {AG__SEGMENT, AG__NUMBERS, AG__MOST_MEMBERS, AG__MOST_IN_RUN, AG__CHUNK};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

/* So many operations after x, with as many numbers. */
static ag_tensor *chain(ag_tape *t, int64_t operations, int64_t elements) {
    ag_tensor *x = ag_add_scalar(ag_arange(t, AG_F64, elements), 0.5);
    for (int64_t i = 1; i < operations; i++)
        x = i % 2 ? ag_add_scalar(x, 1.0 / (double)(i + 3)) : ag_scale(x, 1 - 1.0 / (double)(i + 2));
    return x;
}

/* A value that is read again after a fold of it is computed again, if so few operations make it. */
static results again_program(ag_tape *t, ag_dtype dtype, const int64_t *size) {
    results r = {.n = 0};
    ag_tensor *x = ag_uniform(t, dtype, AG_SHAPE(size[0]), 1, 2), *y = x;
    ck_assert_int_eq(ag_eval(x), AG_OK);
    for (int64_t i = 0; i < size[1]; i++) y = i % 2 ? ag_scale(y, 0.75) : ag_add_scalar(y, 0.5);
    add(&r, ag_mul(y, ag_max(y)));
    ck_assert_int_eq(ag_eval_all(r.n, r.x), AG_OK);
    return r;
}

START_TEST(computed_again) {
    static const int64_t bytes[] = {AG__WORTH_BYTES, AG__SECOND_LEVEL, AG__MEMORY};
    static const int64_t chains[] = {AG__SHORT_CHAIN, AG__MEDIUM_CHAIN, AG__LONG_CHAIN};
    for (int i = 0; i < 3; i++)
        for (int by = -1; by <= 1; by++) {
            compare_of(again_program, AG_F32, (int64_t[]){bytes[i] / 4, chains[i] + by, 1});
            compare_of(again_program, AG_F64, (int64_t[]){bytes[i] / 8 + by, chains[i], 1});
        }
}
END_TEST

START_TEST(in_sequence) {
    for (int64_t n = lengths[_i] - 2; n <= lengths[_i] + 2; n++)
        for (int repeat = 0; repeat < 2; repeat++) {
            const int64_t elements = repeat ? AG__STRIP + 1 : 5;
            if (n < 1 || (repeat && n > by_length(100, 2000, 20000))) continue;
            ag_tape *one = ag_tape_new(), *other = ag_tape_new();
            ag_tape_set_evaluator(one, AG_EVALUATOR_REFERENCE);
            ag_tape_set_evaluator(other, AG_EVALUATOR_FUSED);
            ag_mark mark = ag_tape_mark(other);
            for (int i = 0; i < 3; i++, ag_tape_rewind(other, mark)) /* planned, found again, and as machine code */
                expect_same(chain(one, n, elements), chain(other, n, elements));
            ag_tape_free(one);
            ag_tape_free(other);
        }
}
END_TEST

/* ---- Many kinds of work on one tape ---- */

/* A program of parts that is being made. Values are whole numbers where sums are long, so that these are exact. */
typedef struct parts {
    ag_tape *tape;
    uint64_t state;
    ag_dtype dtype;
    results made;
} parts;

static int64_t pick(parts *p, int64_t n) {
    p->state = p->state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(p->state >> 33) % n;
}

/* One below, at or one above a limit of at most `most`: one of limits.h, or of a single file. */
static int64_t size_beside(parts *p, int64_t most) {
    static const int64_t others[] = {AG__LIMIT(8, 2),   AG__LIMIT(16, 3),   AG__LIMIT(24, 2),    AG__LIMIT(40, 6),
                                     AG__LIMIT(96, 2),  AG__LIMIT(128, 8),  AG__LIMIT(128, 2),   AG__LIMIT(256, 8),
                                     AG__LIMIT(512, 8), AG__LIMIT(2048, 8), AG__LIMIT(4096, 16), AG__LIMIT(1 << 14, 8)};
    enum { OTHERS = sizeof others / sizeof *others };
    for (;;) {
        const int64_t which = pick(p, LIMITS + OTHERS);
        const int64_t n = (which < LIMITS ? limits[which] : others[which - LIMITS]) - 1 + pick(p, 3);
        if (n >= 2 && n <= most) return n;
    }
}

static ag_tensor *wholes(parts *p, ag_shape shape) { return ag_cast(ag_randint(p->tape, shape, -3, 4), p->dtype); }

static ag_tensor *product_part(parts *p) {
    const int64_t n = size_beside(p, AG__LIMIT(5000, 200));
    switch (pick(p, 5)) {
    case 0: return ag_matmul(wholes(p, AG_SHAPE(5, n)), wholes(p, AG_SHAPE(n, 7)));
    case 1: return ag_matmul(wholes(p, AG_SHAPE(n, 70)), wholes(p, AG_SHAPE(70, 9)));
    case 2: return ag_matmul(wholes(p, AG_SHAPE(70, 70)), wholes(p, AG_SHAPE(70, n)));
    case 3: return ag_matmul(wholes(p, AG_SHAPE(9, n)), wholes(p, AG_SHAPE(n)));
    default: return ag_matmul(wholes(p, AG_SHAPE(1 + n % 9, 25, 33)), wholes(p, AG_SHAPE(1 + n % 9, 33, 34)));
    }
}

/* y, or the gradient of a weighted sum of it. */
static ag_tensor *or_gradient(parts *p, ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx;
    if (pick(p, 3) == 0) return y;
    ag_grad(ag_sum(ag_mul(y, wholes(p, ag_shape_of(y)))), 1, &x, &dx);
    return dx;
}

static ag_tensor *gathered_part(parts *p) {
    const int64_t n = size_beside(p, AG__LIMIT(2100, 100)), c = 1 + pick(p, 30);
    if (pick(p, 2)) {
        ag_tensor *x = wholes(p, AG_SHAPE(n, 3, 9));
        return or_gradient(p, ag_tensordot(x, wholes(p, AG_SHAPE(3, 9, c)), 2), x);
    }
    ag_tensor *x = wholes(p, AG_SHAPE(2, n + 4, 3)), *w = wholes(p, AG_SHAPE(5, 3, c));
    return or_gradient(p, ag_convolve(x, w, NULL, NULL), pick(p, 2) ? x : w);
}

static ag_tensor *window_part(parts *p) {
    const int64_t n = size_beside(p, AG__LIMIT(1100, 100)), c = 4 + pick(p, 40);
    ag_tensor *x = wholes(p, AG_SHAPE(2, n + 2, c)), *w = wholes(p, AG_SHAPE(3, 1, c));
    switch (pick(p, 4)) {
    case 0: return or_gradient(p, ag_convolve(x, w, NULL, &(ag_conv_options){.groups = c}), pick(p, 2) ? x : w);
    case 1: return or_gradient(p, ag_max_pool(x, AG_SHAPE(2), NULL), x);
    case 2: return or_gradient(p, ag_avg_pool(x, AG_SHAPE(3), &(ag_pool_options){.stride = {1}}), x);
    default: return or_gradient(p, ag_windows(x, AG_AXES(1), AG_SHAPE(3), AG_SHAPE(1)), x);
    }
}

static ag_tensor *order_part(parts *p) {
    const int64_t n = size_beside(p, AG__LIMIT(33000, 200));
    ag_tensor *x = ag_uniform(p->tape, p->dtype, AG_SHAPE(n), -1, 1);
    ag_tensor *inverse, *counts;
    switch (pick(p, 6)) {
    case 0: return ag_sort(x, 0, false);
    case 1: return ag_median(x);
    case 4: return ag_unique(ag_permutation(p->tape, n), &inverse, &counts);
    case 2: return ag_quantile(x, 0.3);
    case 3: return ag_cumsum(wholes(p, AG_SHAPE(n)), 0);
    default: return ag_bincount(ag_randint(p->tape, AG_SHAPE(n), 0, 1 + n / 2), NULL, 1 + n / 2);
    }
}

static ag_tensor *drawn_part(parts *p) {
    const int64_t n = size_beside(p, AG__LIMIT(33000, 200));
    ag_tensor *rate = ag_full(p->tape, p->dtype, AG_SHAPE(n), 2.5);
    switch (pick(p, 4)) {
    case 0: return ag_multinomial(ag_ones(p->tape, p->dtype, AG_SHAPE(n)), n / 2 + 1, pick(p, 2));
    case 1: return ag_draw_gamma(rate, rate);
    case 2: return ag_draw_poisson(rate);
    default: return ag_permutation(p->tape, n);
    }
}

/* The matrix is exact: the evaluators may add to a product in different ways. */
static ag_tensor *solved_part(parts *p) {
    const int64_t n = size_beside(p, AG__LIMIT(400, 60));
    ag_tensor *a = ag_cast(ag_randint(p->tape, AG_SHAPE(n, n), -3, 4), AG_F64);
    a = ag_add(ag_matmul(a, ag_transpose(a, 0, 1)), ag_scale(ag_eye(p->tape, AG_F64, n, n, 0), (double)n));
    return pick(p, 2) ? ag_cholesky(a) : ag_solve(a, ag_ones(p->tape, AG_F64, AG_SHAPE(n, 3)));
}

static ag_tensor *moved_part(parts *p) {
    const int64_t n = size_beside(p, AG__LIMIT(40000, 200)), m = 2 + pick(p, 3);
    ag_tensor *x = ag_uniform(p->tape, p->dtype, AG_SHAPE(m, n), -1, 1), *both[] = {x, ag_neg(x)};
    switch (pick(p, 4)) {
    case 0: return ag_contiguous(ag_transpose(x, 0, 1));
    case 1: return ag_concat(2, both, (int)pick(p, 2));
    case 2: return ag_scatter_add(x, ag_randint(p->tape, AG_SHAPE(m, 1), 0, m), x, 0);
    default: return ag_roll(ag_pad(x, AG_AXES(1), AG_SHAPE(3), AG_SHAPE(2)), 5, 1);
    }
}

static ag_tensor *rows_part(parts *p) {
    const int64_t n = size_beside(p, AG__LIMIT(40000, 200)),
                  m = n < AG__LIMIT(2000, 50) ? size_beside(p, AG__LIMIT(70, 9)) : 2;
    ag_tensor *x = ag_uniform(p->tape, p->dtype, AG_SHAPE(m, n), -1, 1), *soft = ag_softmax(x, (int)pick(p, 2)), *dx;
    if (pick(p, 2)) return ag_mul(soft, ag_sub(x, ag_mean_over(x, AG_AXES(pick(p, 2) ? 0 : 1), true)));
    ag_grad(ag_sum(ag_mul(soft, ag_tanh(x))), 1, &x, &dx);
    return dx;
}

static ag_tensor *chain_part(parts *p) {
    const int64_t n = lengths[pick(p, LENGTHS - 1)] - 1 + pick(p, 3);
    return ag_add(chain(p->tape, n, 1 + pick(p, 9)), ag_scalar(p->tape, AG_F64, 1));
}

/* As many bytes as caches and pages hold. */
static ag_tensor *large_part(parts *p, uint64_t number) {
    const int64_t n = (number % 6 < 3 ? AG__MEMORY : AG__PAST_CACHES) / 8 + (int64_t)(number % 3) - 1;
    ag_tensor *x = ag_arange(p->tape, AG_F64, n);
    return ag_sub(ag_flip(ag_add_scalar(x, 1), 0), ag_scale(x, 0.5));
}

typedef ag_tensor *part_of(parts *p);
static part_of *const kinds[] = {product_part, gathered_part, window_part, order_part,   drawn_part, solved_part,
                                 moved_part,   rows_part,     chain_part,  product_part, moved_part, rows_part};
enum { PARTS = 14, EACH = 9 }; /* EACH: so many kinds are in every program */

/* Parts that are computed together; each begins with draws that no other has. */
static results parts_program(ag_tape *t, uint64_t seed) {
    parts p = {.tape = t, .state = seed * 0x9E3779B97F4A7C15u + 1};
    ag_tape_seed(t, seed);
    for (int i = 0; i < PARTS; i++) {
        p.dtype = pick(&p, 2) ? AG_F32 : AG_F64;
        const int64_t which = i < EACH ? i : pick(&p, (int64_t)(sizeof kinds / sizeof *kinds));
        add(&p.made, i == 0 && seed % 8 == 0 ? large_part(&p, seed / 8) : kinds[which](&p));
    }
    ck_assert_msg(ag_eval_all(p.made.n, p.made.x) == AG_OK, "%s", ag_tape_error(t));
    return p.made;
}

START_TEST(of_many_kinds) {
    ag_tape *t[4];
    results r[4];
    for (int i = 0; i < 4; i++) {
        static const ag_evaluator evaluators[] = {AG_EVALUATOR_REFERENCE, AG_EVALUATOR_FUSED, AG_EVALUATOR_FUSED,
                                                  AG_EVALUATOR_AUTOMATIC};
        t[i] = ag_tape_new();
        ag_tape_set_evaluator(t[i], evaluators[i]);
        ag_tape_set_threads(t[i], i == 2 ? 2 : 1);
        r[i] = parts_program(t[i], (uint64_t)_i);
    }
    for (int k = 0; k < r[0].n; k++)
        for (int i = 1; i < 4; i++) {
            char what[60];
            snprintf(what, sizeof what, "program %d, part %d, setting %d", _i, k, i);
            expecting(what);
            expect_same(r[0].x[k], r[i].x[k]);
        }
    expecting("");
    for (int i = 0; i < 4; i++) ag_tape_free(t[i]);
}
END_TEST

/* In a long run pairs take a quarter of an hour: so each of these shares of them is a test of its own. */
enum { SHARES = 8 };

static int part_of_pairs(const char *part) {
    const int k = atoi(part);
    if (k < 0 || k >= SHARES) return 2;
    Suite *suite = suite_create("limits");
    TCase *pairs = plain_group(suite, "limits");
    tcase_add_loop_test(pairs, in_pairs, k * LIMITS / SHARES, (k + 1) * LIMITS / SHARES);
    return run_suite(suite);
}

int main(void) {
    const char *part = getenv("AG_TEST_PART");
    if (part) return part_of_pairs(part);
    Suite *suite = suite_create("limits");
    TCase *all = plain_group(suite, "limits");
    tcase_add_loop_test(all, alone, 0, LIMITS);
    if (!long_run()) tcase_add_loop_test(all, in_pairs, 0, LIMITS);
    tcase_add_loop_test(all, of_single_files, 0, 6);
    tcase_add_loop_test(all, middle, 0, 10);
    tcase_add_loop_test(all, columns_of_samples, 0, 16);
    tcase_add_loop_test(all, samples_of_a_cache, 0, 2);
    tcase_add_test(all, products);
    tcase_add_loop_test(all, in_sequence, 0, LENGTHS);
    tcase_add_loop_test(all, of_many_kinds, 0, (int)by_length(6, 24, 2000));
    TCase *some = plain_group(suite, "some"); /* limits of one file each */
    tcase_add_test(some, gathered);
    if (usual_pieces(8)) tcase_add_loop_test(some, windows, 0, 8);
    tcase_add_test(some, parts_of_samples);
    tcase_add_test(some, orders);
    tcase_add_test(some, searches);
    tcase_add_test(some, quantiles);
    tcase_add_test(some, distinct);
    tcase_add_test(some, long_copies);
    tcase_add_test(some, long_paddings);
    tcase_add_loop_test(some, large_images, 0, 2);
    tcase_add_loop_test(some, rows_of_a_large_table, 0, 4);
    tcase_add_test(some, transposes);
    tcase_add_test(some, spans);
    tcase_add_test(some, rounds);
    tcase_add_test(some, tried_blocks);
    tcase_add_test(some, slabs);
    tcase_add_test(some, vacant_slots);
    tcase_add_test(some, strips_of_rows);
    tcase_add_test(some, rows_in_memory);
    tcase_add_test(some, values_in_memory);
    tcase_add_test(some, rows_in_pairs);
    tcase_add_test(some, rows_of_several_strips);
    tcase_add_test(some, computed_again);
    TCase *graphs = plain_group(suite, "recorded");
    tcase_add_test(graphs, transforms_along_far_axes);
    tcase_add_test(graphs, groups);
    tcase_add_test(graphs, plans_of_transforms);
    tcase_add_test(graphs, operands);
    tcase_add_test(graphs, attributes);
    if (AG_TINY_LIMITS) tcase_add_test(some, counted); /* the usual ones take memory for 2^25 elements, several times */
    return run_suite(suite);
}
