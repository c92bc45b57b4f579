/* test_metrics -- metrics against scikit-learn and exact fractions, in batches of any sizes, and refused batches */
#include "nn/nn.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/exact.h"
#include "tests/golden/metrics.h"
#include "tests/support.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

enum { N = COUNT(class_labels), C = 5 };

static bool within(double got, double want, double ulps) {
    return got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= ulps * DBL_EPSILON / 2 * fabs(want);
}

#define expect_number(got, want, ulps)                                                                                 \
    ck_assert_msg(within(got, want, ulps), "%.17g, not %.17g", (double)(got), (double)(want))

static ag_tensor *i64(int64_t n, const int64_t values[]) { return ag_from(tape, AG_I64, AG_SHAPE(n), values); }
static ag_tensor *reals(ag_dtype dtype, int64_t n, const double values[]) {
    return tensor_of(tape, dtype, AG_SHAPE(n), values);
}

/* Ends of batches: call number `how` divides n samples in another way. */
static int64_t batch_end(int how, int64_t first, int64_t n) {
    int64_t size = how == 0 ? n : how == 1 ? 1 : how == 2 ? 7 : 1 + (int64_t)(fabs(scatter((uint64_t)first)) * 12);
    return first + size < n ? first + size : n;
}

/* ---- Exact sums ---- */

START_TEST(sums_are_exact) {
    ag_exact s = {0};
    ck_assert_double_eq(ag__exact_value(&s), 0);
    const double cancelling[] = {1e308, 1e308, 1, 5e-324, -1e308, -1e308, -1};
    for (int64_t i = 0; i < COUNT(cancelling); i++) ag__exact_add(&s, cancelling[i], false);
    ck_assert_double_eq(ag__exact_value(&s), 5e-324);
    ag__exact_add(&s, 5e-324, true);
    ag__exact_add(&s, 3, true);
    ck_assert_double_eq(ag__exact_value(&s), -3);
    ag__exact_add(&s, -3, true);
    ck_assert_double_eq(ag__exact_value(&s), 0);
    ag__exact_add(&s, DBL_MAX, false);
    ck_assert_double_eq(ag__exact_value(&s), DBL_MAX);
    ag__exact_add(&s, 0x1p970, false); /* half a unit in the last place: to even, which is infinite */
    ck_assert(ag__exact_value(&s) == INFINITY);
    ag__exact_add(&s, 5e-324, true);
    ck_assert_double_eq(ag__exact_value(&s), DBL_MAX);
}
END_TEST

START_TEST(sums_are_rounded_to_even) {
    const struct {
        double x[3], want;
    } sum[] = {{{1, 0x1p-53, 0}, 1},
               {{1, 0x1p-53, 0x1p-1074}, 1 + 0x1p-52},
               {{1 + 0x1p-52, 0x1p-53, 0}, 1 + 0x1p-51},
               {{1 + 0x1p-52, 0x1p-53, -0x1p-1074}, 1 + 0x1p-52},
               {{-1, -0x1p-53, -0x1p-1000}, -1 - 0x1p-52},
               {{2 - 0x1p-52, 0x1p-53, 0}, 2},
               {{0x1p-1022, -0x1p-1074, 0}, 0x1p-1022 - 0x1p-1074}};
    for (int64_t i = 0; i < COUNT(sum); i++) {
        ag_exact s = {0};
        for (int k = 0; k < 3; k++) ag__exact_add(&s, sum[i].x[k], false);
        ck_assert_double_eq(ag__exact_value(&s), sum[i].want);
    }
}
END_TEST

/* Against integers, and against fma, whose result is the product's rounding error. */
START_TEST(products_are_exact) {
    for (uint64_t i = 0; i < 200; i++) {
        double x = scatter(i) * 0x1.123456789abcdp7, y = (scatter(i + 500) + 2) * 0x1.fedcba9876543p-9;
        ag_exact s = {0}, t = {0}, u = {0};
        ag__exact_add_product(&s, x, y, false);
        ck_assert_double_eq(ag__exact_value(&s), x * y);
        ag__exact_add(&s, x * y, true);
        ck_assert_double_eq(ag__exact_value(&s), fma(x, y, -(x * y)));
        ag__exact_add(&t, x, false), ag__exact_add(&t, 0x1p300, false);
        ag__exact_add_scaled(&u, &t, y, false);
        ag__exact_add_product(&u, 0x1p300, y, true);
        ag__exact_add_product(&u, x, y, true);
        ck_assert_double_eq(ag__exact_value(&u), 0);
        ag__exact_add_scaled(&u, &t, -y, true);
        ag__exact_add_product(&u, 0x1p300, -y, false);
        ck_assert_double_eq(ag__exact_value(&u), x * y);
    }
    ag_exact sum = {0}, square = {0}; /* (2^300 − 3 + 2^−700)² */
    ag__exact_add(&sum, 0x1p300, false), ag__exact_add(&sum, 3, true), ag__exact_add(&sum, 0x1p-700, false);
    ag__exact_add_square(&square, &sum, false);
    ag__exact_add(&square, 0x1p600, true), ag__exact_add(&square, 6 * 0x1p300, false), ag__exact_add(&square, 9, true);
    ck_assert_double_eq(ag__exact_value(&square), 0x1p-399);
    ag__exact_add(&square, 0x1p-399, true), ag__exact_add(&square, 6 * 0x1p-700, false);
    ck_assert_double_eq(ag__exact_ratio(&square, &square), 1);
    ag__exact_add_product(&square, 0x1p-700, 0x1p-700, true);
    ck_assert_double_eq(ag__exact_value(&square), 0);
    ag__exact_add_square(&square, &(ag_exact){.word = {[70] = -5}}, true); /* −5 */
    ck_assert_double_eq(ag__exact_value(&square), -25);
    ag_exact tiny = {0}, huge = {0};
    ag__exact_add_product(&tiny, 5e-324, -5e-324, false);
    ag__exact_add_product(&huge, DBL_MAX, DBL_MAX, false);
    ck_assert_double_eq(ag__exact_value(&tiny), 0);
    ck_assert(ag__exact_value(&huge) == INFINITY && ag__exact_ratio(&tiny, &tiny) == 1);
    ck_assert_double_eq(ag__exact_ratio(&huge, &huge), 1);
    ck_assert_double_eq(ag__exact_mean(&tiny, 3), 0);
}
END_TEST

/* Carries are propagated in time, and the order of what is added makes no difference. */
START_TEST(sums_do_not_depend_on_order) {
    ag_exact up = {0}, down = {0};
    up.added = down.added = (1 << 28) - 3;
    for (int i = 0; i < 60; i++) up.word[i] = down.word[i] = (int64_t)1 << 60;
    for (uint64_t i = 0; i < 1000; i++) {
        ag__exact_add(&up, ldexp(scatter(i), (int)(i * 7 % 600) - 300), false);
        ag__exact_add(&down, ldexp(scatter(999 - i), (int)((999 - i) * 7 % 600) - 300), false);
    }
    ck_assert(up.added < 1000 && ag__exact_value(&up) == ag__exact_value(&down));
    for (uint64_t i = 0; i < 1000; i++) ag__exact_add(&up, ldexp(scatter(i), (int)(i * 7 % 600) - 300), true);
    for (int i = 0; i < 60; i++) down.word[i] = 0;
    ag_exact begun = {.word = {0}};
    for (int i = 0; i < 60; i++) begun.word[i] = (int64_t)1 << 60;
    ck_assert_double_eq(ag__exact_value(&up), ag__exact_value(&begun));
}
END_TEST

/* ---- Labels ---- */

START_TEST(topk_agrees_with_sklearn) {
    for (int how = 0; how < 4; how++)
        for (int64_t k = 1; k <= C; k++) {
            ag_topk top = {.k = k};
            ag_mark mark = ag_tape_mark(tape);
            for (int64_t i = 0, end; i < N; i = end) {
                end = batch_end(how, i, N);
                ag_tensor *s = tensor_of(tape, how % 2 ? AG_F32 : AG_F64, AG_SHAPE(end - i, C), class_scores + i * C);
                ck_assert_int_eq(ag_topk_add(&top, s, i64(end - i, class_labels + i)), AG_OK);
                ag_tape_rewind(tape, mark);
            }
            ck_assert_int_eq(top.samples, N);
            expect_number(ag_topk_value(&top), top_k[k - 1], 0);
        }
}
END_TEST

/* As ag_argmax does it, of which it then is the accuracy. */
/* Counts that have become as large as they can stay so. */
START_TEST(counts_do_not_overflow) {
    ag_topk top = {.k = 1, .hits = INT64_MAX, .samples = INT64_MAX};
    ag_perplexity perplexity = {.samples = INT64_MAX, .nan = INT64_MAX, .infinite = INT64_MAX};
    ag_regression regression = {
        .samples = INT64_MAX, .nan = INT64_MAX, .infinite = INT64_MAX, .infinite_targets = INT64_MAX};
    ag_confusion confusion;
    ag_stopping stopping;
    ag_plateau plateau;
    const double values[] = {1, NAN, INFINITY, -INFINITY};
    ag_tensor *scores = ag_from(tape, AG_F64, AG_SHAPE(2, 2), values), *labels = ag_zeros(tape, AG_I64, AG_SHAPE(2));
    ag_tensor *right = ag_zeros(tape, AG_F64, AG_SHAPE(2, 2));
    ag_confusion_init(&confusion, tape, 2);
    confusion.samples = confusion.counts[0] = INT64_MAX;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(ag_topk_add(&top, right, labels), AG_OK);
        ck_assert_int_eq(ag_confusion_add(&confusion, right, labels), AG_OK);
        ck_assert_int_eq(ag_perplexity_add(&perplexity, scores, labels), AG_OK);
        ck_assert_int_eq(ag_regression_add(&regression, scores, scores), AG_OK);
    }
    ck_assert(top.hits == INT64_MAX && top.samples == INT64_MAX);
    ck_assert(confusion.samples == INT64_MAX && confusion.counts[0] == INT64_MAX);
    ck_assert(perplexity.samples == INT64_MAX && perplexity.nan == INT64_MAX && perplexity.infinite == INT64_MAX);
    ck_assert(regression.samples == INT64_MAX && regression.nan == INT64_MAX && regression.infinite == INT64_MAX);
    ck_assert(regression.infinite_targets == INT64_MAX);
    ck_assert_int_eq(ag_stopping_init(&stopping, 0, NULL, NULL), AG_OK);
    stopping.steps = stopping.waited = stopping.patience = INT64_MAX;
    ck_assert(ag_stopping_step(&stopping, NAN));
    ck_assert(stopping.steps == INT64_MAX && stopping.waited == INT64_MAX);
    ag_plateau_init(&plateau, 1);
    plateau.waited = plateau.patience = INT64_MAX;
    ck_assert_double_eq(ag_plateau_rate(&plateau, NAN), 1);
    ck_assert_int_eq(plateau.waited, INT64_MAX);
}
END_TEST

/* A draw by weights below 0 is refused when it is evaluated, which these calls do themselves. */
START_TEST(calls_that_read_values_leave_nothing_where_there_are_none) {
    ag_confusion confusion;
    ag_tensor *inverse, *counts, *weights = ag_full(tape, AG_F64, AG_SHAPE(2, 3), -1);
    ag_tensor *draw = ag_multinomial(weights, 2, true), *row = ag_flatten(draw, 0, -1), *mask = ag_cast(row, AG_BOOL);
    ag_tensor *labels = ag_zeros(tape, AG_I64, AG_SHAPE(2)), *many = ag_full(tape, AG_F64, AG_SHAPE(3, 4), 1);
    ag_tensor *scores = ag_cast(draw, AG_F64), *tall = ag_full(tape, AG_F64, AG_SHAPE(4, 2), 1);
    ck_assert_int_eq(ag_confusion_init(&confusion, tape, 2), AG_OK);
    const int64_t nodes = ag_tape_memory(tape).nodes;
    for (int call = 0; call < 8; call++) {
        switch (call) {
        case 0: ag_unique(scores, NULL, NULL); break;
        case 1: ag_unique(scores, &inverse, &counts); break;
        case 2: ag_nonzero(scores); break;
        case 3: ag_repeat_interleave_by(tall, row, 0); break;
        case 4: ag_masked_select(many, mask); break;
        case 5: ag_masked_scatter(many, mask, many); break;
        case 6: ag_index(many, AG_ITEMS(AG_ALL, AG_BY(mask))); break;
        default: ag_confusion_add(&confusion, scores, labels);
        }
        ck_assert_int_eq(ag_tape_status(tape), AG_ERR_RANGE);
        ck_assert_msg(ag_tape_memory(tape).nodes == nodes, "call %d leaves %lld tensors", call,
                      (long long)(ag_tape_memory(tape).nodes - nodes));
        ag_clear_error(tape);
    }
}
END_TEST

START_TEST(topk_orders_ties_and_nan) {
    const double row[][4] = {
        {1, 1, 1, 1}, {0, 2, 2, 1}, {NAN, 5, NAN, 6}, {-INFINITY, INFINITY, 0, INFINITY}, {0, -0.0, 1, 1}};
    const int64_t place[][4] = {{0, 1, 2, 3}, {3, 0, 1, 2}, {0, 3, 1, 2}, {3, 0, 2, 1}, {2, 3, 0, 1}};
    for (int i = 0; i < 5; i++)
        for (int64_t label = 0; label < 4; label++) {
            ag_tensor *s = tensor_of(tape, AG_F64, AG_SHAPE(1, 4), row[i]), *l = i64(1, &label);
            for (int64_t k = 1; k <= 4; k++) {
                ag_topk top = {.k = k};
                ck_assert_int_eq(ag_topk_add(&top, s, l), AG_OK);
                ck_assert_int_eq(top.hits, place[i][label] < k);
                if (k == 1) expect_item(ag_accuracy(s, l), (double)top.hits);
            }
        }
    ag_topk none = {.k = 1};
    ck_assert(isnan(ag_topk_value(&none)) && isnan(ag_topk_value(NULL)));
    ck_assert_int_eq(ag_topk_add(&none, ag_zeros(tape, AG_F32, AG_SHAPE(0, 3)), i64(0, NULL)), AG_OK);
    ck_assert(isnan(ag_topk_value(&none)));
}
END_TEST

static void expect_scores(ag_prf got, const double want[], int64_t stride) {
    expect_number(got.precision, want[0], 2);
    expect_number(got.recall, want[stride], 2);
    expect_number(got.f1, want[2 * stride], 2);
}

START_TEST(confusion_agrees_with_sklearn) {
    for (int how = 0; how < 8; how++) {
        ag_confusion c;
        ck_assert_int_eq(ag_confusion_init(&c, tape, C), AG_OK);
        ag_mark mark = ag_tape_mark(tape);
        for (int64_t i = 0, end; i < N; i = end) {
            end = batch_end(how / 2, i, N);
            ag_tensor *s = tensor_of(tape, how % 2 ? AG_F32 : AG_F64, AG_SHAPE(end - i, C), class_scores + i * C);
            ag_tensor *p = how < 4 ? s : ag_argmax(s, 1, false);
            ck_assert_int_eq(ag_confusion_add(&c, p, i64(end - i, class_labels + i)), AG_OK);
            ag_tape_rewind(tape, mark);
        }
        ck_assert(c.samples == N && memcmp(c.counts, class_confusion, sizeof class_confusion) == 0);
        for (int64_t k = 0; k < C; k++) expect_scores(ag_confusion_class(&c, k), class_each + k, C);
        expect_scores(ag_confusion_average(&c, AG_MICRO), class_micro, 1);
        expect_scores(ag_confusion_average(&c, AG_MACRO), class_macro, 1);
        expect_scores(ag_confusion_average(&c, AG_WEIGHTED), class_weighted, 1);
        ck_assert_int_eq(ag_confusion_class(&c, 3).support, 0); /* no sample's label */
        ck_assert_double_eq(ag_confusion_class(&c, 4).precision, 0);
        expect_number(ag_confusion_accuracy(&c), class_accuracy[0], 0);
    }
}
END_TEST

START_TEST(confusion_at_its_edges) {
    ag_confusion c;
    ck_assert_int_eq(ag_confusion_init(&c, tape, 1), AG_OK);
    ck_assert(isnan(ag_confusion_accuracy(&c)));
    for (int how = AG_MICRO; how <= AG_WEIGHTED; how++)
        expect_scores(ag_confusion_average(&c, (ag_averaging)how), (double[]){0, 0, 0}, 1);
    ck_assert_int_eq(ag_confusion_add(&c, i64(0, NULL), i64(0, NULL)), AG_OK);
    ck_assert_int_eq(ag_confusion_add(&c, ag_full(tape, AG_F32, AG_SHAPE(2, 1), NAN), i64(2, (int64_t[]){0, 0})),
                     AG_OK);
    for (int how = AG_MICRO; how <= AG_WEIGHTED; how++)
        expect_scores(ag_confusion_average(&c, (ag_averaging)how), (double[]){1, 1, 1}, 1);
    ck_assert(c.counts[0] == 2 && ag_confusion_accuracy(&c) == 1);
    ck_assert_int_eq(ag_confusion_init(&c, tape, 3), AG_OK); /* NaN is the prediction, as for ag_argmax */
    ck_assert_int_eq(
        ag_confusion_add(&c, tensor_of(tape, AG_F64, AG_SHAPE(1, 3), (double[]){5, NAN, 9}), i64(1, (int64_t[]){2})),
        AG_OK);
    ck_assert_int_eq(c.counts[2 * 3 + 1], 1);
}
END_TEST

/* ---- Ranks ---- */

static double auc_in_batches(int how, ag_dtype scores, ag_dtype labels, double sign) {
    int64_t n = COUNT(rank_labels);
    ag_auc auc;
    ck_assert_int_eq(ag_auc_init(&auc, tape, n), AG_OK);
    ag_mark mark = ag_tape_mark(tape);
    for (int64_t i = 0, end; i < n; i = end) {
        end = batch_end(how, i, n);
        ag_tensor *s = ag_scale(reals(scores, end - i, rank_scores + i), sign);
        ag_tensor *l = ag_cast(i64(end - i, rank_labels + i), labels);
        ck_assert_int_eq(ag_auc_add(&auc, s, l), AG_OK);
        if (i == 7) ag_auc_value(&auc); /* which sorts what is there */
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_eq(auc.samples, n);
    return ag_auc_value(&auc);
}

START_TEST(auc_agrees_with_sklearn) {
    for (int how = 0; how < 4; how++)
        for (int i = 0; i < 4; i++) {
            ag_dtype scores = i % 2 ? AG_F32 : AG_F64, labels = i / 2 ? AG_BOOL : AG_I64;
            double first = auc_in_batches(0, AG_F64, AG_I64, 1);
            ck_assert_double_eq(auc_in_batches(how, scores, labels, 1), first);
            expect_number(first, rank_auc[0], 4);
            expect_number(auc_in_batches(how, scores, labels, -1), rank_auc[1], 4);
            ck_assert_double_eq(auc_in_batches(how, scores, labels, 0), rank_auc[2]);
        }
}
END_TEST

/* Against the count of pairs, for orders that other sorts are slow for, too. */
START_TEST(auc_counts_pairs) {
    enum { MOST = 400 };
    for (int order = 0; order < 4; order++)
        for (int64_t n = 2; n < MOST; n += n < 12 ? 1 : 97) {
            double score[MOST];
            int64_t label[MOST], twice = 0, pairs = 0;
            for (int64_t i = 0; i < n; i++) {
                score[i] = order == 0   ? (double)i
                           : order == 1 ? (double)-i
                           : order == 2 ? (double)(i % 3)
                                        : scatter((uint64_t)i);
                label[i] = scatter((uint64_t)(1000 * order + i)) > 0 || i == 0;
            }
            label[n - 1] = 0;
            for (int64_t i = 0; i < n; i++)
                for (int64_t k = 0; k < n; k++)
                    if (label[i] && !label[k]) {
                        pairs++;
                        twice += 2 * (score[i] > score[k]) + (score[i] == score[k]);
                    }
            ag_auc auc;
            ck_assert_int_eq(ag_auc_init(&auc, tape, n), AG_OK);
            ck_assert_int_eq(ag_auc_add(&auc, reals(AG_F64, n, score), i64(n, label)), AG_OK);
            ck_assert_double_eq(ag_auc_value(&auc), (double)twice / (2 * (double)pairs));
            ck_assert_double_eq(ag_auc_value(&auc), (double)twice / (2 * (double)pairs));
        }
}
END_TEST

START_TEST(auc_at_its_edges) {
    ag_auc auc;
    ck_assert_int_eq(ag_auc_init(&auc, tape, 4), AG_OK);
    ck_assert(isnan(ag_auc_value(&auc)));
    ck_assert_int_eq(ag_auc_add(&auc, reals(AG_F64, 0, NULL), i64(0, NULL)), AG_OK);
    ck_assert_int_eq(ag_auc_add(&auc, reals(AG_F64, 2, (double[]){1, INFINITY}), i64(2, (int64_t[]){1, 1})), AG_OK);
    ck_assert(isnan(ag_auc_value(&auc))); /* one class alone */
    ag_tensor *three = reals(AG_F64, 3, (double[]){1, 2, 3}), *labels = i64(3, (int64_t[]){0, 0, 0});
    ck_assert_int_eq(ag_auc_add(&auc, three, labels), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "auc_add", "there is room for 4 samples, and 2 are there already",
                 "test_metrics.c:");
    ag_tensor *two = reals(AG_F64, 2, (double[]){0, -INFINITY});
    ck_assert_int_eq(ag_auc_add(&auc, two, i64(2, (int64_t[]){0, 2})), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "auc_add", "label 2 at [1] is out of range: there are 2 classes",
                 "test_metrics.c:");
    ck_assert_int_eq(ag_auc_add(&auc, reals(AG_F32, 2, (double[]){0, NAN}), i64(2, (int64_t[]){0, 0})), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "auc_add", "the score at [1] is NaN", "test_metrics.c:");
    ck_assert_int_eq(auc.samples, 2);
    ck_assert_int_eq(ag_auc_add(&auc, two, i64(2, (int64_t[]){0, 0})), AG_OK);
    ck_assert_double_eq(ag_auc_value(&auc), 1);
}
END_TEST

/* ---- Numbers ---- */

static ag_regression regression_of(int how, ag_dtype dtype, int64_t n, const double x[], const double t[]) {
    ag_regression r = {0};
    ag_mark mark = ag_tape_mark(tape);
    for (int64_t i = 0, end; i < n; i = end) {
        end = batch_end(how, i, n);
        ck_assert_int_eq(ag_regression_add(&r, reals(dtype, end - i, x + i), reals(dtype, end - i, t + i)), AG_OK);
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_eq(r.samples, n);
    return r;
}

START_TEST(regression_is_exact) {
    for (int how = 0; how < 4; how++) {
        ag_regression r = regression_of(how, AG_F64, COUNT(number_x), number_x, number_t);
        const double got[] = {ag_regression_mae(&r), ag_regression_mse(&r), ag_regression_r2(&r)};
        for (int i = 0; i < 3; i++) {
            expect_number(got[i], number_sklearn[i], 8);
            expect_number(got[i], number_exact[i], 2);
        }
        r = regression_of(how, AG_F64, COUNT(hard_x), hard_x, hard_t);
        expect_number(ag_regression_mae(&r), hard_exact[0], 2);
        expect_number(ag_regression_mse(&r), hard_exact[1], 2);
        expect_number(ag_regression_r2(&r), hard_exact[2], 16); /* 1 − 0.86…: two digits cancel */
        r = regression_of(how, AG_F64, COUNT(wide_x), wide_x, wide_t);
        expect_number(ag_regression_mae(&r), wide_exact[0], 2);
        expect_number(ag_regression_r2(&r), wide_exact[1], 2);
        ck_assert(ag_regression_mse(&r) == INFINITY); /* over the largest number */
    }
}
END_TEST

/* The same bits for any division, also in f32, where no two divisions of plain sums agree. */
START_TEST(regression_has_the_same_bits_in_any_batches) {
    ag_regression whole = regression_of(0, AG_F32, COUNT(number_x), number_x, number_t);
    for (int how = 1; how < 4; how++) {
        ag_regression r = regression_of(how, AG_F32, COUNT(number_x), number_x, number_t);
        ck_assert_double_eq(ag_regression_mae(&r), ag_regression_mae(&whole));
        ck_assert_double_eq(ag_regression_mse(&r), ag_regression_mse(&whole));
        ck_assert_double_eq(ag_regression_r2(&r), ag_regression_r2(&whole));
    }
    ag_regression twice = {0}; /* a batch of two axes; a view */
    ag_tensor *x = tensor_of(tape, AG_F32, AG_SHAPE(5, 10), number_x),
              *t = tensor_of(tape, AG_F32, AG_SHAPE(5, 10), number_t);
    ck_assert_int_eq(ag_regression_add(&twice, ag_transpose(x, 0, 1), ag_transpose(t, 0, 1)), AG_OK);
    ck_assert_double_eq(ag_regression_r2(&twice), ag_regression_r2(&whole));
}
END_TEST

static ag_regression pair_of(int64_t n, const double x[], const double t[]) {
    return regression_of(0, AG_F64, n, x, t);
}

START_TEST(regression_at_its_edges) {
    ag_regression r = {0};
    ck_assert(isnan(ag_regression_mae(&r)) && isnan(ag_regression_mse(&r)) && isnan(ag_regression_r2(&r)));
    ck_assert(isnan(ag_regression_mae(NULL)) && isnan(ag_regression_mse(NULL)) && isnan(ag_regression_r2(NULL)));
    ck_assert_int_eq(ag_regression_add(&r, ag_zeros(tape, AG_F64, AG_SHAPE(0)), ag_zeros(tape, AG_F64, AG_SHAPE(0))),
                     AG_OK);
    r = pair_of(1, (double[]){1}, (double[]){1});
    ck_assert(ag_regression_mae(&r) == 0 && isnan(ag_regression_r2(&r)));
    r = pair_of(3, (double[]){0.1, 0.1, 0.1}, (double[]){0.1, 0.1, 0.1}); /* 3·0.1/3 is not 0.1 */
    ck_assert(ag_regression_mae(&r) == 0 && ag_regression_r2(&r) == 1);
    r = pair_of(3, (double[]){0.1, 0.1, 0.2}, (double[]){0.1, 0.1, 0.1});
    ck_assert_double_eq(ag_regression_r2(&r), 0);
    double most[500], least[500]; /* one target of many differs, by its last bit */
    for (int i = 0; i < 500; i++) most[i] = i == 3 ? 1e10 + 0x1p-19 : 1e10, least[i] = i == 4 ? 1e10 + 0x1p-19 : 1e10;
    r = pair_of(500, most, least);
    ck_assert_double_eq(ag_regression_r2(&r), 1 - 2 * 500. / 499); /* 1 − 2/(1 − 1/n) */
    r = pair_of(2, (double[]){DBL_MAX, -DBL_MAX}, (double[]){-DBL_MAX, -DBL_MAX});
    ck_assert_double_eq(ag_regression_mae(&r), DBL_MAX);                    /* the sum is larger */
    r = pair_of(2, (double[]){1e-200, 4e-200}, (double[]){1e-200, 3e-200}); /* all squares are 0 in f64 */
    ck_assert_double_eq(ag_regression_r2(&r), 0.5);
    r = pair_of(3, (double[]){1, NAN, 2}, (double[]){1, 2, 2});
    ck_assert(isnan(ag_regression_mae(&r)) && isnan(ag_regression_mse(&r)) && isnan(ag_regression_r2(&r)));
    r = pair_of(3, (double[]){1, INFINITY, 2}, (double[]){1, 2, 3});
    ck_assert(isinf(ag_regression_mae(&r)) && isinf(ag_regression_mse(&r)) && ag_regression_r2(&r) == -INFINITY);
    r = pair_of(3, (double[]){1, 1, 2}, (double[]){1, -INFINITY, 3});
    ck_assert(isinf(ag_regression_mae(&r)) && isnan(ag_regression_r2(&r)));
    r = pair_of(3, (double[]){1, INFINITY, 2}, (double[]){1, INFINITY, 3});
    ck_assert(isnan(ag_regression_mae(&r)) && isnan(ag_regression_r2(&r)));
}
END_TEST

START_TEST(perplexity_agrees_with_sklearn) {
    double bits[2] = {0, 0};
    for (int how = 0; how < 8; how++) {
        ag_perplexity p = {0};
        ag_mark mark = ag_tape_mark(tape);
        for (int64_t i = 0, end; i < N; i = end) {
            end = batch_end(how / 2, i, N);
            ag_tensor *s = tensor_of(tape, how % 2 ? AG_F32 : AG_F64, AG_SHAPE(end - i, C), class_scores + i * C);
            ck_assert_int_eq(ag_perplexity_add(&p, s, i64(end - i, class_labels + i)), AG_OK);
            ag_tape_rewind(tape, mark);
        }
        expect_number(ag_perplexity_value(&p), class_perplexity[0], how % 2 ? 1e9 : 64);
        if (how < 2) bits[how] = ag_perplexity_value(&p);
        ck_assert_double_eq(ag_perplexity_value(&p), bits[how % 2]);
    }
}
END_TEST

START_TEST(perplexity_at_its_edges) {
    const struct {
        double score[3], want;
    } row[] = {{{0, 0, 0}, 3},
               {{1e308, 0, -1e308}, 1},
               {{-1e308, 1e308, 0}, INFINITY},
               {{-INFINITY, 0, 0}, INFINITY},
               {{0, -INFINITY, -INFINITY}, 1},
               {{-INFINITY, -INFINITY, -INFINITY}, INFINITY},
               {{NAN, 0, 0}, NAN},
               {{0, 0, NAN}, NAN},
               {{INFINITY, 0, 0}, NAN}};
    for (int64_t i = 0; i < COUNT(row); i++) {
        ag_perplexity p = {0};
        ag_tensor *s = tensor_of(tape, AG_F64, AG_SHAPE(1, 3), row[i].score);
        ck_assert_int_eq(ag_perplexity_add(&p, s, i64(1, (int64_t[]){0})), AG_OK);
        expect_number(ag_perplexity_value(&p), row[i].want, 4);
    }
    ag_perplexity none = {0};
    ck_assert(isnan(ag_perplexity_value(&none)) && isnan(ag_perplexity_value(NULL)));
    ck_assert_int_eq(ag_perplexity_add(&none, ag_zeros(tape, AG_F64, AG_SHAPE(0, 2)), i64(0, NULL)), AG_OK);
    ck_assert(isnan(ag_perplexity_value(&none)));
}
END_TEST

/* ---- Refused batches ---- */

typedef struct all {
    ag_topk top;
    ag_confusion confusion;
    ag_auc auc;
    ag_regression regression;
    ag_perplexity perplexity;
} all;

enum { TOPK, CONFUSION, PERPLEXITY, AUC, REGRESSION, METRICS };
static const char *const call[] = {"topk_add", "confusion_add", "perplexity_add", "auc_add", "regression_add"};

static ag_status add_to(all *a, int which, ag_tensor *x, ag_tensor *y) {
    if (which == TOPK) return ag_topk_add(&a->top, x, y);
    if (which == CONFUSION) return ag_confusion_add(&a->confusion, x, y);
    if (which == PERPLEXITY) return ag_perplexity_add(&a->perplexity, x, y);
    return which == AUC ? ag_auc_add(&a->auc, x, y) : ag_regression_add(&a->regression, x, y);
}

static void open_all(all *a, ag_tape *t) {
    *a = (all){.top = {.k = 2}};
    ag_confusion_init(&a->confusion, t, 3);
    ag_auc_init(&a->auc, t, 10);
}

static bool is_empty(const all *a) {
    for (int i = 0; i < 9; i++)
        if (a->confusion.counts[i]) return false;
    return !a->top.samples && !a->top.hits && !a->confusion.samples && !a->auc.samples && !a->regression.samples &&
           !a->perplexity.samples;
}

START_TEST(batches_are_refused_whole) {
    all a;
    open_all(&a, tape);
    for (int which = 0; which < METRICS; which++) {
        bool rows = which <= PERPLEXITY;
        ag_tensor *x = rows ? ag_zeros(tape, AG_F64, AG_SHAPE(4, 3)) : ag_zeros(tape, AG_F64, AG_SHAPE(4));
        ag_tensor *y = which == REGRESSION ? x : i64(4, (int64_t[]){0, 1, 0, 1});
        const char *name = call[which];
        ck_assert_int_eq(add_to(&a, which, NULL, y), AG_ERR_NULL);
        expect_error(tape, AG_ERR_NULL, name, "NULL", "test_metrics.c:");
        ck_assert_int_eq(add_to(&a, which, x, NULL), AG_ERR_NULL);
        expect_error(tape, AG_ERR_NULL, name, "NULL", "test_metrics.c:");
        ag_tensor *less = which == REGRESSION ? ag_zeros(tape, AG_F64, AG_SHAPE(3)) : i64(3, (int64_t[]){0, 1, 0});
        ck_assert_int_eq(add_to(&a, which, x, less), AG_ERR_SHAPE);
        expect_error(tape, AG_ERR_SHAPE, name, rows ? "(4,3)" : "(4)", "(3)", "test_metrics.c:");
        ck_assert_int_eq(add_to(&a, which, x, ag_cast(y, AG_F32)), AG_ERR_DTYPE);
        expect_error(tape, AG_ERR_DTYPE, name, "f32", "test_metrics.c:");
        ck_assert_int_eq(add_to(&a, which, ag_cast(x, AG_BOOL), y), AG_ERR_DTYPE);
        expect_error(tape, AG_ERR_DTYPE, name, "bool");
        ag_tensor *late = ag_gather(ag_zeros(tape, AG_F64, AG_SHAPE(2)), i64(4, (int64_t[]){0, 1, 0, 7}), 0);
        ag_tensor *spoilt = rows ? ag_broadcast_to(ag_unsqueeze(late, 1), AG_SHAPE(4, 3)) : late;
        ck_assert_int_eq(add_to(&a, which, spoilt, y), AG_ERR_RANGE); /* its evaluation fails */
        expect_error(tape, AG_ERR_RANGE, "gather");
        ck_assert(is_empty(&a));
    }
    for (int which = 0; which < AUC; which++) {
        const int64_t bad[] = {-1, 3, INT64_MAX, INT64_MIN};
        for (int i = 0; i < 4; i++) {
            ck_assert_int_eq(add_to(&a, which, ag_zeros(tape, AG_F32, AG_SHAPE(2, 3)), i64(2, (int64_t[]){0, bad[i]})),
                             AG_ERR_RANGE);
            expect_error(tape, AG_ERR_RANGE, call[which], "label", "at [1] is out of range: there are 3 classes",
                         "test_metrics.c:");
        }
        ck_assert_int_eq(add_to(&a, which, ag_zeros(tape, AG_F32, AG_SHAPE(2)), i64(2, (int64_t[]){0, 1})),
                         which == CONFUSION ? AG_ERR_DTYPE : AG_ERR_SHAPE);
        expect_error(tape, which == CONFUSION ? AG_ERR_DTYPE : AG_ERR_SHAPE, call[which]);
    }
    ck_assert_int_eq(ag_confusion_add(&a.confusion, i64(2, (int64_t[]){0, 3}), i64(2, (int64_t[]){0, 1})),
                     AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "confusion_add", "prediction 3 at [1] is out of range", "test_metrics.c:");
    ck_assert_int_eq(ag_confusion_add(&a.confusion, ag_zeros(tape, AG_F64, AG_SHAPE(2, 4)), i64(2, (int64_t[]){0, 1})),
                     AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "confusion_add", "the scores are of 4 classes, and the metric has 3");
    const int64_t k[] = {0, -1, 4};
    for (int i = 0; i < 3; i++) {
        ag_topk top = {.k = k[i]};
        ck_assert_int_eq(ag_topk_add(&top, ag_zeros(tape, AG_F64, AG_SHAPE(1, 3)), i64(1, (int64_t[]){0})),
                         AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "topk_add", "1 to 3, the number of classes, is wanted", "test_metrics.c:");
    }
    ck_assert(is_empty(&a));
}
END_TEST

START_TEST(metrics_refuse_what_no_init_made) {
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(1, 3)), *l = i64(1, (int64_t[]){0}),
              *s = ag_zeros(tape, AG_F64, AG_SHAPE(1));
    ag_confusion c;
    ag_auc auc;
    ck_assert_int_eq(ag_confusion_init(NULL, tape, 3), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "confusion_init: the metric is NULL", "test_metrics.c:");
    ck_assert_int_eq(ag_confusion_init(&c, NULL, 3), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "confusion_init: the tape is NULL", "test_metrics.c:");
    const int64_t classes[] = {0, -1, INT64_MAX, (int64_t)1 << 31};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ag_confusion_init(&c, tape, classes[i]), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "confusion_init", "classes: 1 or more are wanted", "test_metrics.c:");
    }
    ck_assert_int_eq(ag_confusion_add(&c, x, l), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "confusion_add: the metric was not made by its init", "test_metrics.c:");
    ck_assert(isnan(ag_confusion_average(&c, AG_MACRO).f1));
    expect_error(NULL, AG_ERR_RANGE, "confusion_average: the metric was not made by its init", "test_metrics.c:");
    ck_assert(isnan(ag_confusion_class(NULL, 0).precision));
    expect_error(NULL, AG_ERR_NULL, "confusion_class: the metric is NULL", "test_metrics.c:");
    ck_assert(isnan(ag_confusion_accuracy(NULL)));
    expect_error(NULL, AG_ERR_NULL, "confusion_accuracy: the metric is NULL");
    ck_assert_int_eq(ag_confusion_init(&c, tape, 3), AG_OK);
    ck_assert(isnan(ag_confusion_class(&c, 3).recall));
    expect_error(NULL, AG_ERR_RANGE, "confusion_class: class 3 is out of range: there are 3, from 0 on");
    ck_assert(isnan(ag_confusion_average(&c, (ag_averaging)3).recall));
    expect_error(NULL, AG_ERR_RANGE, "confusion_average: the averaging 3 is invalid");

    ck_assert_int_eq(ag_auc_init(NULL, tape, 3), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "auc_init: the metric is NULL");
    ck_assert_int_eq(ag_auc_init(&auc, NULL, 3), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "auc_init: the tape is NULL");
    ck_assert_int_eq(ag_auc_init(&auc, tape, 0), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "auc_init: room for 0 samples: 1 to 2147483647 is wanted", "test_metrics.c:");
    ck_assert_int_eq(ag_auc_init(&auc, tape, (int64_t)1 << 31), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "auc_init");
    ck_assert_int_eq(ag_auc_add(&auc, s, l), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "auc_add: the metric was not made by its init", "test_metrics.c:");
    ck_assert(isnan(ag_auc_value(&auc)));
    expect_error(NULL, AG_ERR_RANGE, "auc_value: the metric was not made by its init", "test_metrics.c:");
    ck_assert(isnan(ag_auc_value(NULL)));
    expect_error(NULL, AG_ERR_NULL, "auc_value: the metric is NULL");
    ck_assert_int_eq(ag_topk_add(NULL, x, l), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "topk_add: the metric is NULL");
    ck_assert_int_eq(ag_regression_add(NULL, x, x), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "regression_add: the metric is NULL");
    ck_assert_int_eq(ag_perplexity_add(NULL, x, l), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "perplexity_add: the metric is NULL");
}
END_TEST

/* Whatever allocation fails, a batch is added or it is not. */
START_TEST(batches_survive_failing_allocations) {
    ledger l;
    ledger_open(&l);
    bool ended = false;
    for (int64_t at = 1; !ended; at++) {
        all a = {.top = {.k = 2}};
        l.fail_at = 0, l.failed = false;
        ag_tape *t = ag_tape_new_with(&l.allocator);
        l.fail_at = l.calls + at;
        open_all(&a, t);
        ag_tensor *x = ag_tanh(scattered(t, AG_F32, AG_SHAPE(4, 3), 0)), *s = ag_sum_over(x, AG_AXES(1), false);
        ag_tensor *label = ag_cast(ag_less(s, ag_scalar(t, AG_F32, 0)), AG_I64);
        int added = 0;
        for (int which = 0; which < METRICS; which++)
            added += add_to(&a, which, which <= PERPLEXITY ? x : s, which == REGRESSION ? ag_tanh(s) : label) == AG_OK;
        ended = !l.failed;
        l.fail_at = 0;
        if (added < METRICS) ck_assert(!ended && ag_tape_status(t) == AG_ERR_MEMORY); /* some have another way */
        int there = (a.top.samples == 4) + (a.confusion.samples == 4) + (a.perplexity.samples == 4) +
                    (a.auc.samples == 4) + (a.regression.samples == 4);
        ck_assert_int_eq(there, added);
        ag_tape_free(t);
    }
    ledger_close(&l);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("metrics");
    TCase *sums = plain_group(suite, "exact sums");
    tcase_add_test(sums, sums_are_exact);
    tcase_add_test(sums, sums_are_rounded_to_even);
    tcase_add_test(sums, products_are_exact);
    tcase_add_test(sums, sums_do_not_depend_on_order);

    TCase *labels = tape_group(suite, "labels");
    tcase_add_test(labels, topk_agrees_with_sklearn);
    tcase_add_test(labels, calls_that_read_values_leave_nothing_where_there_are_none);
    tcase_add_test(labels, topk_orders_ties_and_nan);
    tcase_add_test(labels, counts_do_not_overflow);
    tcase_add_test(labels, confusion_agrees_with_sklearn);
    tcase_add_test(labels, confusion_at_its_edges);
    tcase_add_test(labels, auc_agrees_with_sklearn);
    tcase_add_test(labels, auc_counts_pairs);
    tcase_add_test(labels, auc_at_its_edges);

    TCase *numbers = tape_group(suite, "numbers");
    tcase_add_test(numbers, regression_is_exact);
    tcase_add_test(numbers, regression_has_the_same_bits_in_any_batches);
    tcase_add_test(numbers, regression_at_its_edges);
    tcase_add_test(numbers, perplexity_agrees_with_sklearn);
    tcase_add_test(numbers, perplexity_at_its_edges);

    TCase *refused = tape_group(suite, "refused");
    tcase_add_test(refused, batches_are_refused_whole);
    tcase_add_test(refused, metrics_refuse_what_no_init_made);
    tcase_add_test(plain_group(suite, "allocations"), batches_survive_failing_allocations);
    return run_suite(suite);
}
