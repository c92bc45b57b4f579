/* test_limits -- sizes one below, at and one above each constant that divides work, alone and in pairs
 *
 * A program of every kind of loop runs on rows by columns of these sizes, under both evaluators, with one thread and two:
 * the bits are the same. So does a chain of as many operations, and of as many numbers, and programs of many kinds of work
 * (products, convolutions, orders, draws, equations, copies, …) at random such sizes on one tape. tests/sizes.py shows which
 * comparisons met which sizes, and which of them one tape met. */
#include "autograd/tape/limits.h"
#include "nn/nn.h"
#include "tests/support.h"

#include <stdio.h>

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
    AG__LONG_ROW,
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
static results program(ag_tape *t, ag_dtype dtype, int64_t m, int64_t n) {
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

static void compare(ag_dtype dtype, int64_t m, int64_t n) {
    static const struct {
        ag_evaluator evaluator;
        int threads;
    } ways[] = {{AG_EVALUATOR_REFERENCE, 1}, {AG_EVALUATOR_FUSED, 1}, {AG_EVALUATOR_FUSED, 2}};
    ag_tape *t[3];
    results r[3];
    char what[80];
    snprintf(what, sizeof what, "%s (%lld,%lld)", ag_dtype_name(dtype), (long long)m, (long long)n);
    for (int i = 0; i < 3; i++) {
        t[i] = ag_tape_new();
        ag_tape_set_evaluator(t[i], ways[i].evaluator);
        ag_tape_set_threads(t[i], ways[i].threads);
        r[i] = program(t[i], dtype, m, n);
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

START_TEST(in_pairs) {
    const int64_t most = by_length(3000, 20000, 4000000);
    for (int other = 0; other < LIMITS; other++)
        for (int k = 0; k < 9; k++) {
            const int64_t m = limits[_i] - 1 + k / 3, n = limits[other] - 1 + k % 3;
            if (m < 1 || n < 1 || m * n > most || (k + other + _i) % by_length(9, 3, 1) != 0) continue;
            compare((k + other) % 2 ? AG_F32 : AG_F64, m, n);
        }
}
END_TEST

/* ---- Products ---- */

/* Whole numbers, of which all sums are exact: so y·v = a·(b·v). */
static void check_product(ag_dtype dtype, int64_t m, int64_t n, int64_t k, bool turned) {
    ag_tape *t = ag_tape_new();
    ag_tape_set_threads(t, 1); /* whose share is everything */
    ag_tensor *a = ag_cast(ag_randint(t, AG_SHAPE(m, k), -3, 4), dtype);
    ag_tensor *b = turned ? ag_transpose(ag_cast(ag_randint(t, AG_SHAPE(n, k), -3, 4), dtype), 0, 1)
                          : ag_cast(ag_randint(t, AG_SHAPE(k, n), -3, 4), dtype);
    ag_tensor *v = ag_cast(ag_randint(t, AG_SHAPE(n), -2, 3), AG_F64), *y = ag_cast(ag_matmul(a, b), AG_F64);
    ag_tensor *bv = ag_sum_over(ag_mul(ag_cast(b, AG_F64), v), AG_AXES(1), false);
    ag_tensor *left = ag_sum_over(ag_mul(y, v), AG_AXES(1), false);
    ag_tensor *right = ag_sum_over(ag_mul(ag_cast(a, AG_F64), bv), AG_AXES(1), false);
    expect_same(ag_add_scalar(left, 0), ag_add_scalar(right, 0)); /* which makes 0 of −0 */
    ag_tape_free(t);
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

int main(void) {
    Suite *suite = suite_create("limits");
    TCase *all = plain_group(suite, "limits");
    tcase_add_loop_test(all, alone, 0, LIMITS);
    tcase_add_loop_test(all, in_pairs, 0, LIMITS);
    tcase_add_test(all, products);
    tcase_add_loop_test(all, in_sequence, 0, LENGTHS);
    tcase_add_loop_test(all, of_many_kinds, 0, (int)by_length(6, 24, 2000));
    return run_suite(suite);
}
