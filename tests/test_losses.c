/* test_losses -- the losses of nn/losses.h: PyTorch's values and gradients, options, finite differences, huge and masked
 * scores, batches of nothing, and refused calls
 *
 * The losses of the table take shared inputs of 4×3 or so; each function below is one call. */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/losses.h"
#include "tests/golden/poisson.h"
#include "tests/support.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

static const double ROUNDING = 24;

/* ---- The table ---- */

typedef struct input {
    ag_shape shape;
    const double *values; /* NULL: labels */
    const int64_t *labels;
} input;

enum { N = 4, C = 3 };
#define WIDE(values)                                                                                                   \
    { {2, {N, C}}, values, NULL }
#define LABELS                                                                                                         \
    { {1, {N}}, NULL, in_label }
#define CUBE                                                                                                           \
    { {3, {2, C, 5}}, in_cube, NULL }
#define CUBE_LABELS                                                                                                    \
    { {2, {2, 5}}, NULL, in_cube_label }

typedef ag_tensor *call(ag_tensor *const x[], ag_loss_options o);

static ag_tensor *f64(ag_shape shape, const double values[]) { return ag_from(tape, AG_F64, shape, values); }

static ag_tensor *like(ag_tensor *x, ag_shape shape, const double values[]) {
    return ag_cast(ag_from(ag_tape_of(x), AG_F64, shape, values), ag_dtype_of(x));
}

static ag_loss_options by_class(ag_tensor *x, ag_loss_options o) {
    o.class_weights = like(x, AG_SHAPE(C), in_class_weight);
    return o;
}

static ag_tensor *cross_entropy(ag_tensor *const x[], ag_loss_options o) {
    return ag_cross_entropy_with(x[0], x[1], 1, &o);
}
static ag_tensor *cross_entropy_smoothed(ag_tensor *const x[], ag_loss_options o) {
    o = by_class(x[0], o), o.smoothing = 0.125;
    return ag_cross_entropy_with(x[0], x[1], -1, &o);
}
static ag_tensor *cross_entropy_cube(ag_tensor *const x[], ag_loss_options o) {
    o = by_class(x[0], o), o.ignores = true, o.ignored = -7;
    return ag_cross_entropy_with(x[0], x[1], 1, &o);
}
static ag_tensor *cross_entropy_cube_smoothed(ag_tensor *const x[], ag_loss_options o) {
    o = by_class(x[0], o), o.ignores = true, o.ignored = -7, o.smoothing = 0.25;
    return ag_cross_entropy_with(x[0], x[1], -2, &o);
}
static ag_tensor *nll(ag_tensor *const x[], ag_loss_options o) {
    o = by_class(x[0], o);
    return ag_nll_with(x[0], x[1], 1, &o);
}
static ag_tensor *nll_cube(ag_tensor *const x[], ag_loss_options o) {
    o.ignores = true, o.ignored = -7;
    return ag_nll_with(x[0], x[1], 1, &o);
}
static ag_tensor *hinge_squared(ag_tensor *const x[], ag_loss_options o) {
    o = by_class(x[0], o);
    return ag_hinge_with(x[0], x[1], 1, 0.75, 2, &o);
}
static ag_tensor *binary_weighted(ag_tensor *const x[], ag_loss_options o) {
    o.positive_weight = like(x[0], AG_SHAPE(C), in_positive);
    return ag_binary_cross_entropy_with(x[0], x[1], &o);
}
static ag_tensor *binary_nll(ag_tensor *const x[], ag_loss_options o) { return ag_binary_nll_with(x[0], x[1], &o); }
static ag_tensor *focal(ag_tensor *const x[], ag_loss_options o) { return ag_focal_with(x[0], x[1], 0.25, 2, &o); }
static ag_tensor *focal_plain(ag_tensor *const x[], ag_loss_options o) {
    return ag_focal_with(x[0], x[1], -1, 1.5, &o);
}
static ag_tensor *soft_margin(ag_tensor *const x[], ag_loss_options o) { return ag_soft_margin_with(x[0], x[1], &o); }
static ag_tensor *l1(ag_tensor *const x[], ag_loss_options o) { return ag_l1_with(x[0], x[1], &o); }
static ag_tensor *mse(ag_tensor *const x[], ag_loss_options o) { return ag_mse_with(x[0], x[1], &o); }
static ag_tensor *huber(ag_tensor *const x[], ag_loss_options o) { return ag_huber_with(x[0], x[1], 0.75, &o); }
static ag_tensor *smooth_l1(ag_tensor *const x[], ag_loss_options o) { return ag_smooth_l1_with(x[0], x[1], 0.75, &o); }
static ag_tensor *kl_divergence(ag_tensor *const x[], ag_loss_options o) {
    return ag_kl_divergence_with(x[0], ag_clamp(ag_flip(x[1], 0), 0.0625, 1), &o);
}
static ag_tensor *kl_divergence_log(ag_tensor *const x[], ag_loss_options o) {
    o.log_target = true;
    return ag_kl_divergence_with(x[0], ag_flip(x[1], 0), &o);
}
static ag_tensor *poisson_nll(ag_tensor *const x[], ag_loss_options o) { return ag_poisson_nll_with(x[0], x[1], &o); }
static ag_tensor *poisson_nll_rates(ag_tensor *const x[], ag_loss_options o) {
    o.rates = o.full = true;
    return ag_poisson_nll_with(x[0], x[1], &o);
}
static ag_tensor *gaussian_nll(ag_tensor *const x[], ag_loss_options o) {
    o.full = true;
    return ag_gaussian_nll_with(x[0], x[1], x[2], &o);
}
static ag_tensor *hinge_embedding(ag_tensor *const x[], ag_loss_options o) {
    return ag_hinge_embedding_with(x[0], x[1], 0.75, &o);
}
static ag_tensor *cosine_embedding(ag_tensor *const x[], ag_loss_options o) {
    return ag_cosine_embedding_with(x[0], x[1], x[2], -0.25, &o);
}
static ag_tensor *triplet_margin(ag_tensor *const x[], ag_loss_options o) {
    return ag_triplet_margin_with(x[0], x[1], x[2], 1.5, 2, &o);
}
static ag_tensor *triplet_margin_swapped(ag_tensor *const x[], ag_loss_options o) {
    o.swap = true;
    return ag_triplet_margin_with(x[0], x[1], x[2], 4.5, 3, &o);
}
static ag_tensor *margin_ranking(ag_tensor *const x[], ag_loss_options o) {
    return ag_margin_ranking_with(x[0], x[1], x[2], 0.75, &o);
}

typedef struct row {
    const char *name;
    call *loss;
    input x[3];
    int n, by; /* inputs, and the first of them that have golden gradients */
    const double *each, *mean, *d[3];
    int64_t count;  /* of losses */
    bool unchecked; /* finite differences would not find the slopes: the variance is limited */
} row;

#define GOLDEN(name) name##_each, name##_mean
#define D1(name)                                                                                                       \
    { name##_d0 }
#define D2(name)                                                                                                       \
    { name##_d0, name##_d1 }
#define D3(name)                                                                                                       \
    { name##_d0, name##_d1, name##_d2 }
#define WIDES (N * C)

static const row table[] = {
    {"cross_entropy",
     cross_entropy,
     {WIDE(in_score), LABELS},
     2,
     1,
     GOLDEN(cross_entropy),
     D1(cross_entropy),
     N,
     false},
    {"cross_entropy_smoothed",
     cross_entropy_smoothed,
     {WIDE(in_score), LABELS},
     2,
     1,
     GOLDEN(cross_entropy_smoothed),
     D1(cross_entropy_smoothed),
     N,
     false},
    {"cross_entropy_cube",
     cross_entropy_cube,
     {CUBE, CUBE_LABELS},
     2,
     1,
     GOLDEN(cross_entropy_cube),
     D1(cross_entropy_cube),
     10,
     false},
    {"cross_entropy_cube_smoothed",
     cross_entropy_cube_smoothed,
     {CUBE, CUBE_LABELS},
     2,
     1,
     GOLDEN(cross_entropy_cube_smoothed),
     D1(cross_entropy_cube_smoothed),
     10,
     false},
    {"cross_entropy_probabilities",
     cross_entropy_smoothed,
     {WIDE(in_score), WIDE(in_row)},
     2,
     2,
     GOLDEN(cross_entropy_probabilities),
     D2(cross_entropy_probabilities),
     N,
     false},
    {"nll", nll, {WIDE(in_log_row), LABELS}, 2, 1, GOLDEN(nll), D1(nll), N, false},
    {"nll_cube", nll_cube, {CUBE, CUBE_LABELS}, 2, 1, GOLDEN(nll_cube), D1(nll_cube), 10, false},
    {"hinge_squared",
     hinge_squared,
     {WIDE(in_score), LABELS},
     2,
     1,
     GOLDEN(hinge_squared),
     D1(hinge_squared),
     N,
     false},
    {"binary_weighted",
     binary_weighted,
     {WIDE(in_score), WIDE(in_part)},
     2,
     2,
     GOLDEN(binary_weighted),
     D2(binary_weighted),
     WIDES,
     false},
    {"binary_nll",
     binary_nll,
     {WIDE(in_chance), WIDE(in_part)},
     2,
     1,
     GOLDEN(binary_nll),
     D1(binary_nll),
     WIDES,
     false},
    {"focal", focal, {WIDE(in_score), WIDE(in_part)}, 2, 2, GOLDEN(focal), D2(focal), WIDES, false},
    {"focal_plain",
     focal_plain,
     {WIDE(in_score), WIDE(in_part)},
     2,
     2,
     GOLDEN(focal_plain),
     D2(focal_plain),
     WIDES,
     false},
    {"soft_margin",
     soft_margin,
     {WIDE(in_score), WIDE(in_sign)},
     2,
     1,
     GOLDEN(soft_margin),
     D1(soft_margin),
     WIDES,
     false},
    {"l1", l1, {WIDE(in_number), WIDE(in_other)}, 2, 2, GOLDEN(l1), D2(l1), WIDES, false},
    {"mse", mse, {WIDE(in_number), WIDE(in_other)}, 2, 2, GOLDEN(mse), D2(mse), WIDES, false},
    {"huber", huber, {WIDE(in_number), WIDE(in_other)}, 2, 2, GOLDEN(huber), D2(huber), WIDES, false},
    {"smooth_l1", smooth_l1, {WIDE(in_number), WIDE(in_other)}, 2, 2, GOLDEN(smooth_l1), D2(smooth_l1), WIDES, false},
    {"kl_divergence",
     kl_divergence,
     {WIDE(in_log_row), WIDE(in_row)},
     2,
     1,
     GOLDEN(kl_divergence),
     D1(kl_divergence),
     WIDES,
     false},
    {"kl_divergence_log",
     kl_divergence_log,
     {WIDE(in_log_row), WIDE(in_log_row)},
     2,
     1,
     GOLDEN(kl_divergence_log),
     D1(kl_divergence_log),
     WIDES,
     false},
    {"poisson_nll",
     poisson_nll,
     {WIDE(in_number), WIDE(in_count)},
     2,
     1,
     GOLDEN(poisson_nll),
     D1(poisson_nll),
     WIDES,
     false},
    {"poisson_nll_rates",
     poisson_nll_rates,
     {WIDE(in_rate), WIDE(in_count)},
     2,
     1,
     GOLDEN(poisson_nll_rates),
     D1(poisson_nll_rates),
     WIDES,
     false},
    {"gaussian_nll",
     gaussian_nll,
     {WIDE(in_number), WIDE(in_other), WIDE(in_variance)},
     3,
     3,
     GOLDEN(gaussian_nll),
     D3(gaussian_nll),
     WIDES,
     true},
    {"hinge_embedding",
     hinge_embedding,
     {WIDE(in_rate), WIDE(in_sign)},
     2,
     1,
     GOLDEN(hinge_embedding),
     D1(hinge_embedding),
     WIDES,
     false},
    {"cosine_embedding",
     cosine_embedding,
     {WIDE(in_number), WIDE(in_other), {{1, {N}}, in_signs, NULL}},
     3,
     2,
     GOLDEN(cosine_embedding),
     D2(cosine_embedding),
     N,
     false},
    {"triplet_margin",
     triplet_margin,
     {WIDE(in_number), WIDE(in_other), WIDE(in_third)},
     3,
     3,
     GOLDEN(triplet_margin),
     D3(triplet_margin),
     N,
     false},
    {"triplet_margin_swapped",
     triplet_margin_swapped,
     {WIDE(in_number), WIDE(in_other), WIDE(in_third)},
     3,
     3,
     GOLDEN(triplet_margin_swapped),
     D3(triplet_margin_swapped),
     N,
     false},
    {"margin_ranking",
     margin_ranking,
     {WIDE(in_number), WIDE(in_other), WIDE(in_sign)},
     3,
     2,
     GOLDEN(margin_ranking),
     D2(margin_ranking),
     WIDES,
     false},
};

static ag_tensor *make(const input *in, ag_dtype dtype) {
    if (!in->values) return ag_from(tape, AG_I64, in->shape, in->labels);
    return tensor_of(tape, dtype, in->shape, in->values);
}

static void make_all(const row *r, ag_dtype dtype, ag_tensor *x[3]) {
    for (int i = 0; i < r->n; i++) x[i] = make(&r->x[i], dtype);
    expecting(r->name);
}

static const ag_loss_options mean = {.reduction = AG_LOSS_MEAN}, sum = {.reduction = AG_LOSS_SUM},
                             none = {.reduction = AG_LOSS_NONE}, batch_mean = {.reduction = AG_LOSS_BATCH_MEAN};

static int64_t size_of(const input *in) { return shape_size(&in->shape); }

START_TEST(losses_agree_with_pytorch) {
    for (int i = 0; i < COUNT(table); i++) {
        const row *r = &table[i];
        ag_tensor *x[3], *d[3];
        make_all(r, AG_F64, x);
        expect_near(r->loss(x, none), r->count, r->each, ROUNDING, 1);
        expect_near(r->loss(x, mean), 1, r->mean, ROUNDING, 1);
        ag_grad(r->loss(x, mean), r->by, x, d);
        for (int k = 0; k < r->by; k++) expect_near(d[k], size_of(&r->x[k]), r->d[k], ROUNDING, 1);
        expect_ok(tape);
    }
}
END_TEST

START_TEST(losses_of_f32_are_those_of_f64) {
    for (int i = 0; i < COUNT(table); i++) {
        const row *r = &table[i];
        ag_tensor *x[3], *d[3];
        make_all(r, AG_F32, x);
        expect_near(r->loss(x, none), r->count, r->each, 64, 1);
        ag_grad(r->loss(x, mean), r->by, x, d);
        for (int k = 0; k < r->by; k++) {
            ck_assert(ag_dtype_of(d[k]) == AG_F32);
            if (!r->unchecked) expect_near(d[k], size_of(&r->x[k]), r->d[k], 128, 1);
        }
    }
}
END_TEST

START_TEST(reductions_agree_with_each_other) {
    for (int i = 0; i < COUNT(table); i++) {
        const row *r = &table[i];
        ag_tensor *x[3], *w;
        make_all(r, AG_F64, x);
        ag_tensor *each = r->loss(x, none);
        double total = ag_item(ag_sum(each)), least = fabs(total) + 1;
        ck_assert_double_eq_tol(ag_item(r->loss(x, sum)), total, 1e-14 * least);
        ck_assert_double_eq_tol(ag_item(r->loss(x, batch_mean)), total / (double)ag_extent(each, 0), 1e-14 * least);
        w = scattered(tape, AG_F64, ag_shape_of(each), 7);
        expect_near(r->loss(x, (ag_loss_options){.reduction = AG_LOSS_NONE, .weights = w}), r->count,
                    ag_data(ag_mul(w, each)), ROUNDING, 1);
        ag_tensor *half = ag_scalar(tape, AG_F64, 0.5);
        ck_assert_double_eq_tol(ag_item(r->loss(x, (ag_loss_options){.reduction = AG_LOSS_SUM, .weights = half})),
                                total / 2, 1e-14 * least);
        ck_assert_double_eq_tol(ag_item(r->loss(x, (ag_loss_options){.weights = half})), r->mean[0] / 2, 1e-14 * least);
        expect_ok(tape);
    }
}
END_TEST

/* A loss that is infinite or NaN counts for nothing if its weight is 0: nor does its gradient. */
START_TEST(a_weight_of_0_hides_everything) {
    for (int i = 0; i < COUNT(table); i++) {
        const row *r = &table[i];
        ag_tensor *x[3], *d;
        make_all(r, AG_F64, x);
        double bad[30], weights[30];
        memcpy(bad, r->x[0].values, (size_t)size_of(&r->x[0]) * sizeof *bad);
        bad[0] = NAN; /* of the first loss only */
        for (int k = 0; k < 30; k++) weights[k] = k > 0;
        x[0] = f64(r->x[0].shape, bad);
        ag_shape shape = ag_shape_of(r->loss(x, none));
        ag_loss_options o = {.reduction = AG_LOSS_SUM, .weights = f64(shape, weights)};
        double rest = 0;
        for (int64_t k = 1; k < r->count; k++) rest += r->each[k];
        ck_assert_double_eq_tol(ag_item(r->loss(x, o)), rest, 1e-14 * fmax(100, fabs(rest)));
        ag_grad(r->loss(x, o), 1, x, &d);
        ck_assert_msg(isfinite(ag_item(ag_sum(d))), "%s", r->name);
        expect_ok(tape);
    }
}
END_TEST

typedef struct checked {
    const row *r;
    ag_tensor *const *x;
} checked;

static ag_tensor *wavy(void *context, int n, ag_tensor *const x[]) {
    const checked *c = context;
    ag_tensor *all[3];
    for (int i = 0; i < c->r->n; i++) all[i] = i < n ? x[i] : c->x[i];
    return ag_sum(ag_sin(c->r->loss(all, none)));
}

START_TEST(losses_pass_gradcheck_twice_over) {
    for (int i = 0; i < COUNT(table); i++) {
        const row *r = &table[i];
        ag_tensor *x[3];
        make_all(r, AG_F64, x);
        checked c = {r, x};
        ag_gradcheck_report report;
        for (int order = 1; order <= 2 && !r->unchecked; order++)
            ck_assert_msg(ag_gradcheck(wavy, &c, r->by, x, &(ag_gradcheck_options){.order = order}, &report) == AG_OK,
                          "%s: %s %s", r->name, report.message, ag_tape_error(tape));
    }
}
END_TEST

static ag_tensor *cut(ag_tensor *x) { return ag_slice(x, 0, 0, 0, 1); }

/* The mean of no losses is NaN, their sum 0, and there is no gradient. */
START_TEST(losses_of_nothing) {
    for (int i = 0; i < COUNT(table); i++) {
        const row *r = &table[i];
        ag_tensor *x[3], *d[3];
        make_all(r, AG_F64, x);
        for (int k = 0; k < r->n; k++) x[k] = cut(x[k]);
        ck_assert_int_eq(ag_size(r->loss(x, none)), 0);
        ck_assert(isnan(ag_item(r->loss(x, mean))) && isnan(ag_item(r->loss(x, batch_mean))));
        expect_item(r->loss(x, sum), 0);
        ag_grad(r->loss(x, mean), r->by, x, d);
        for (int k = 0; k < r->by; k++) ck_assert(ag_data(d[k]) && ag_size(d[k]) == 0);
        expect_ok(tape);
    }
}
END_TEST

/* The same numbers in another order of memory. */
START_TEST(losses_take_any_strides) {
    for (int i = 0; i < COUNT(table); i++) {
        const row *r = &table[i];
        ag_tensor *x[3];
        make_all(r, AG_F64, x);
        for (int k = 0; k < r->n; k++) {
            const int last = ag_rank(x[k]) - 1;
            x[k] = ag_flip(ag_transpose(ag_contiguous(ag_transpose(ag_flip(x[k], 0), 0, last)), 0, last), 0);
        }
        expect_near(r->loss(x, none), r->count, r->each, ROUNDING, 1);
    }
}
END_TEST

static ag_status all_losses(ag_tape *t) {
    for (int i = 0; i < COUNT(table) && ag_tape_status(t) == AG_OK; i++) {
        const row *r = &table[i];
        ag_tensor *x[3], *d[3];
        for (int k = 0; k < r->n; k++)
            x[k] = r->x[k].values ? ag_from(t, AG_F64, r->x[k].shape, r->x[k].values)
                                  : ag_from(t, AG_I64, r->x[k].shape, r->x[k].labels);
        ag_grad(r->loss(x, mean), r->by, x, d);
        ag_eval_all(r->by, d);
    }
    return ag_tape_status(t);
}

START_TEST(losses_survive_failing_allocations) { with_each_allocation_failing(all_losses); }
END_TEST

/* ---- The short forms ---- */

START_TEST(short_forms_are_the_usual_options) {
    ag_tensor *s = f64(AG_SHAPE(N, C), in_score), *t = f64(AG_SHAPE(N, C), in_part), *y = f64(AG_SHAPE(N, C), in_sign);
    ag_tensor *a = f64(AG_SHAPE(N, C), in_number), *b = f64(AG_SHAPE(N, C), in_other), *z = f64(AG_SHAPE(N), in_signs);
    ag_tensor *v = f64(AG_SHAPE(N, C), in_variance), *p = f64(AG_SHAPE(N, C), in_chance);
    ag_tensor *n = f64(AG_SHAPE(N, C), in_third), *l = ag_from(tape, AG_I64, AG_SHAPE(N), in_label);
    ag_tensor *pairs[][2] = {
        {ag_cross_entropy(s, l), ag_cross_entropy_with(s, l, 1, NULL)},
        {ag_nll(s, l), ag_nll_with(s, l, 1, NULL)},
        {ag_hinge(s, l), ag_hinge_with(s, l, 1, 1, 1, NULL)},
        {ag_binary_cross_entropy(s, t), ag_binary_cross_entropy_with(s, t, NULL)},
        {ag_binary_nll(p, t), ag_binary_nll_with(p, t, NULL)},
        {ag_focal(s, t, 0.25, 2), ag_focal_with(s, t, 0.25, 2, NULL)},
        {ag_binary_hinge(s, y, 1), ag_binary_hinge_with(s, y, 1, NULL)},
        {ag_soft_margin(s, y), ag_soft_margin_with(s, y, NULL)},
        {ag_mse(a, b), ag_mse_with(a, b, NULL)},
        {ag_l1(a, b), ag_l1_with(a, b, NULL)},
        {ag_huber(a, b, 2), ag_huber_with(a, b, 2, NULL)},
        {ag_smooth_l1(a, b, 0), ag_l1_with(a, b, NULL)},
        {ag_kl_divergence(s, p), ag_kl_divergence_with(s, p, NULL)},
        {ag_poisson_nll(a, p), ag_poisson_nll_with(a, p, NULL)},
        {ag_gaussian_nll(a, b, v), ag_gaussian_nll_with(a, b, v, NULL)},
        {ag_cosine_embedding(a, b, z, 0), ag_cosine_embedding_with(a, b, z, 0, NULL)},
        {ag_hinge_embedding(p, y, 1), ag_hinge_embedding_with(p, y, 1, NULL)},
        {ag_triplet_margin(a, b, n, 1), ag_triplet_margin_with(a, b, n, 1, 2, NULL)},
        {ag_margin_ranking(a, b, y, 0), ag_margin_ranking_with(a, b, y, 0, NULL)},
    };
    for (int i = 0; i < COUNT(pairs); i++) expect_same(pairs[i][0], pairs[i][1]);
    const double margins[] = {0.5, 2};
    for (int i = 0; i < 2; i++) { /* a multiple of the scores and of the margin has that multiple of the loss */
        double one = ag_item(ag_binary_hinge(s, y, margins[i]));
        ck_assert_double_eq(ag_item(ag_binary_hinge(ag_scale(s, 4), y, 4 * margins[i])), 4 * one);
    }
    expect_ok(tape);
}
END_TEST

/* ---- Vectors ---- */

START_TEST(distances_and_similarities_agree_with_pytorch) {
    ag_tensor *a = f64(AG_SHAPE(N, C), in_number), *b = f64(AG_SHAPE(N, C), in_other), *d;
    expect_near(ag_pairwise_distance(a, b, 1), N, distance_1, ROUNDING, 1);
    expect_near(ag_pairwise_distance(a, b, 3), N, distance_3, ROUNDING, 1);
    expect_near(ag_pairwise_distance(a, b, (double)INFINITY), N, distance_inf, ROUNDING, 1);
    ag_tensor *y = ag_cosine_similarity(a, b, 0);
    expect_near(y, C, similarity, ROUNDING, 1);
    ag_grad(ag_sum(y), 1, &a, &d);
    expect_near(d, N * C, similarity_d0, ROUNDING, 1);
    expect_same(ag_cosine_similarity(ag_transpose(a, 0, 1), ag_transpose(b, 0, 1), -1), y);
    expect_ok(tape);
}
END_TEST

START_TEST(vectors_may_be_huge_tiny_or_zero) {
    const double sizes[] = {1e-300, 1e-160, 1e160, 1e300};
    for (int i = 0; i < 4; i++) {
        const double s = sizes[i], floor = s < 1 ? (5 * s / 1e-8) * (5 * s / 1e-8) : 1;
        ag_tensor *a = f64(AG_SHAPE(1, 2), (double[]){3 * s, 4 * s}),
                  *b = f64(AG_SHAPE(1, 2), (double[]){4 * s, 3 * s});
        expect_near(ag_cosine_similarity(a, b, 1), 1, ((double[]){0.96 * floor}), 8, 0);
        expect_near(ag_pairwise_distance(a, ag_neg(a), 2), 1, ((double[]){s > 1 ? 10 * s : 1e-6 * sqrt(2)}), 8, 0);
    }
    ag_tensor *zero = ag_zeros(tape, AG_F64, AG_SHAPE(1, 2)), *e = ag_full(tape, AG_F64, AG_SHAPE(1, 2), -1e-6), *d[2];
    expect_item(ag_cosine_similarity(zero, zero, 1), 0);
    ag_grad(ag_cosine_similarity(zero, zero, 1), 1, &zero, d);
    expect_list(d[0], 0, 0);
    for (int i = 0; i < 3; i++) {
        ag_tensor *y = ag_pairwise_distance(e, zero, (double[]){1, 2, 5}[i]);
        expect_item(y, 0);
        ag_grad(ag_sum(y), 1, &e, d);
        expect_list(d[0], 0, 0);
    }
    expect_ok(tape);
}
END_TEST

/* ---- Hard scores ---- */

/* Far from 0 all are 0 or linear, and so are their slopes; PyTorch has the same numbers for 800. */
START_TEST(scores_may_be_huge) {
    for (int k = 0; k < 4; k++) {
        const ag_dtype dtype = k % 2 ? AG_F32 : AG_F64;
        const double big = k < 2 ? 800 : k % 2 ? 1e38 : 1e308;
        ag_tensor *s = tensor_of(tape, dtype, AG_SHAPE(4), (double[]){big, -big, big, -big}), *d;
        ag_tensor *t = tensor_of(tape, dtype, AG_SHAPE(4), (double[]){1, 1, 0, 0});
        ag_tensor *y = ag_sub(ag_scale(t, 2), ag_ones(tape, dtype, AG_SCALAR));
        ag_tensor *loss[] = {ag_binary_cross_entropy_with(s, t, &none), ag_soft_margin_with(s, y, &none),
                             ag_focal_with(s, t, -1, 0.5, &none), ag_focal_with(s, t, -1, 2, &none)};
        for (int i = 0; i < COUNT(loss); i++) {
            expecting((const char *[]){"binary", "soft_margin", "steep focal", "focal"}[i]);
            expect_near(loss[i], 4, ((double[]){0, big, big, 0}), 1, 0);
            ag_grad(ag_sum(loss[i]), 1, &s, &d);
            expect_near(d, 4, ((double[]){0, -1, 1, 0}), 1, 0);
            ag_grad(ag_sum(ag_mul(d, d)), 1, &s, &d);
            expect_near(d, 4, ((double[]){0, 0, 0, 0}), 1, 0);
        }
    }
    ag_tensor *s = f64(AG_SHAPE(2, 2), (double[]){4e307, -4e307, -4e307, 4e307}), *d;
    ag_tensor *p = f64(AG_SHAPE(2, 2), (double[]){0, 1, 0.5, 0.5});
    expect_list(ag_cross_entropy_with(s, p, 1, &none), 8e307, 4e307);
    ag_grad(ag_cross_entropy_with(s, p, 1, &sum), 1, &s, &d);
    expect_list(d, 1, -1, -0.5, 0.5);
    expect_ok(tape);
}
END_TEST

/* Targets have their slopes where q is 1 to rounding: ∓(gamma + 1)·|s| where the score is wrong, and 0 where it is
 * right. */
START_TEST(targets_of_certain_scores_have_slopes) {
    const double sizes[] = {40, 80, 800, 1e30}, gammas[] = {0, 0.5, 1, 3};
    for (int k = 0; k < 32; k++) {
        const ag_dtype dtype = k % 2 ? AG_F32 : AG_F64;
        const double big = sizes[k / 2 % 4], gamma = gammas[k / 8], all = (gamma + 1) * big;
        ag_tensor *s = tensor_of(tape, dtype, AG_SHAPE(4), (double[]){big, -big, big, -big}), *d;
        ag_tensor *t = tensor_of(tape, dtype, AG_SHAPE(4), (double[]){1, 1, 0, 0});
        expecting(dtype == AG_F32 ? "targets in f32" : "targets in f64");
        ag_grad(ag_focal_with(s, t, -1, gamma, &sum), 1, &t, &d);
        for (int i = 0; i < 4; i++) {
            const double expected = gamma == 0 ? (i % 2 ? big : -big) : i == 1 ? all : i == 2 ? -all : 0;
            ck_assert_msg(fabs(ag_element(d, i) - expected) <= 1e-6 * big, "%g, not %g", ag_element(d, i), expected);
        }
        ag_grad(ag_binary_cross_entropy_with(s, t, &sum), 1, &t, &d);
        expect_near(d, 4, ((double[]){-big, big, -big, big}), 1, 0);
    }
    expect_ok(tape);
}
END_TEST

/* A class may be impossible where t or p is 0. */
START_TEST(impossible_classes_count_for_nothing) {
    const double inf = (double)INFINITY;
    ag_tensor *s = f64(AG_SHAPE(1, 3), (double[]){0, -inf, 0}), *p = f64(AG_SHAPE(1, 3), (double[]){0.5, 0, 0.5}), *d;
    expect_near(ag_cross_entropy_with(s, p, 1, NULL), 1, ((double[]){log(2)}), 2, 0);
    ag_grad(ag_cross_entropy_with(s, p, 1, NULL), 1, &s, &d);
    expect_near(d, 3, ((double[]){0, 0, 0}), 0, 0);
    ag_tensor *q = f64(AG_SHAPE(1, 3), (double[]){log(0.5), -inf, log(0.5)});
    expect_near(ag_kl_divergence(q, p), 1, ((double[]){0}), 1, 1);
    ag_grad(ag_kl_divergence_with(q, p, &sum), 1, &q, &d);
    expect_list(d, -0.5, 0, -0.5);
    ag_loss_options o = {.log_target = true, .reduction = AG_LOSS_SUM};
    ag_grad(ag_kl_divergence_with(q, q, &o), 1, &q, &d);
    ck_assert(isfinite(ag_item(ag_sum(d))));
    ag_tensor *edge = f64(AG_SHAPE(4), (double[]){0, 1, 0, 1}), *t = f64(AG_SHAPE(4), (double[]){0, 1, 1, 0});
    expect_list(ag_binary_nll_with(edge, t, &none), 0, 0, 100, 100);
    ag_grad(ag_binary_nll_with(edge, t, &sum), 1, &edge, &d);
    ck_assert(isfinite(ag_item(ag_sum(d))));
    ck_assert(isnan(ag_item(ag_binary_nll(ag_scalar(tape, AG_F64, 1.5), ag_scalar(tape, AG_F64, 1)))));
    ck_assert(isnan(ag_item(ag_kl_divergence(q, ag_neg(p)))));
    ag_tensor *one = ag_scalar(tape, AG_F64, 1);
    ck_assert(isnan(ag_item(ag_gaussian_nll(one, one, ag_scalar(tape, AG_F64, -0.5)))));
    expect_ok(tape);
}
END_TEST

START_TEST(everything_may_be_ignored) {
    ag_loss_options o = {.ignores = true, .ignored = 9, .reduction = AG_LOSS_NONE};
    ag_tensor *s = f64(AG_SHAPE(2, 2), (double[]){1, NAN, INFINITY, 3}), *d;
    ag_tensor *l = ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){9, 9});
    ag_tensor *(*const losses[])(ag_tensor *, ag_tensor *, int, const ag_loss_options *) = {
        (ag_cross_entropy_with), (ag_nll_with), (ag_cross_entropy_with)};
    for (int i = 0; i < 3; i++) {
        ag_tensor *(*const loss)(ag_tensor *, ag_tensor *, int, const ag_loss_options *) = losses[i];
        o.smoothing = i == 2 ? 0.5 : 0;
        o.reduction = AG_LOSS_NONE;
        expect_list(loss(s, l, 1, &o), 0, 0);
        o.reduction = AG_LOSS_MEAN;
        ck_assert(isnan(ag_item(loss(s, l, 1, &o))));
        ag_grad(loss(s, l, 1, &o), 1, &s, &d);
        expect_list(d, 0, 0, 0, 0);
    }
    expect_ok(tape);
}
END_TEST

/* ---- CTC ---- */

enum { T = 7, CTC_N = 5, CTC_C = 4, S = 3 };

static ag_tensor *ctc_scores(ag_dtype d) { return tensor_of(tape, d, AG_SHAPE(T, CTC_N, CTC_C), ctc_score); }
static ag_tensor *numbers(ag_shape shape, const int64_t values[]) { return ag_from(tape, AG_I64, shape, values); }

static ag_tensor *padded(ag_tensor *scores, const ag_loss_options *o) {
    return ag_ctc_with(ag_log_softmax(scores, -1), numbers(AG_SHAPE(CTC_N, S), ctc_labels),
                       numbers(AG_SHAPE(CTC_N), ctc_steps), numbers(AG_SHAPE(CTC_N), ctc_counts), 0, o);
}

START_TEST(ctc_agrees_with_pytorch) {
    ag_tensor *s = ctc_scores(AG_F64), *d, *whole = numbers(AG_SHAPE(CTC_N, 2), ctc_whole_labels);
    ag_loss_options o = {.zero_infinity = true, .reduction = AG_LOSS_NONE};
    expect_near(padded(s, &o), CTC_N, ctc_each, ROUNDING, 1);
    expect_near(padded(s, &none), CTC_N, ctc_infinite, ROUNDING, 1);
    o.reduction = AG_LOSS_MEAN;
    expect_near(padded(s, &o), 1, ctc_mean, ROUNDING, 1);
    ag_grad(padded(s, &o), 1, &s, &d);
    expect_near(d, T * CTC_N * CTC_C, ctc_d0, ROUNDING, 1);
    ag_tensor *log_p = ag_log_softmax(s, -1);
    expect_near(ag_ctc_with(log_p, whole, NULL, NULL, 0, &none), CTC_N, ctc_whole_each, ROUNDING, 1);
    ag_grad(ag_ctc(log_p, whole, NULL, NULL, 0), 1, &s, &d);
    expect_near(d, T * CTC_N * CTC_C, ctc_whole_d0, ROUNDING, 1);
    expect_near(padded(ctc_scores(AG_F32), &none), CTC_N, ctc_infinite, 64, 1);
    expect_ok(tape);
}
END_TEST

static ag_tensor *ctc_checked(void *context, int n, ag_tensor *const x[]) {
    (void)n;
    return ag_sum(ag_sin(padded(x[0], context)));
}

START_TEST(ctc_passes_gradcheck_twice_over) {
    ag_tensor *s = ctc_scores(AG_F64);
    ag_loss_options o = {.zero_infinity = true, .reduction = AG_LOSS_NONE};
    ag_gradcheck_report report;
    for (int order = 1; order <= 2; order++)
        ck_assert_msg(ag_gradcheck(ctc_checked, &o, 1, &s, &(ag_gradcheck_options){.order = order}, &report) == AG_OK,
                      "%s %s", report.message, ag_tape_error(tape));
}
END_TEST

/* The probability of labels is a sum over all paths: here it is added up, for each label sequence of up to two labels. */
static double by_all_paths(const double *log_p, int steps, int classes, int count, const int64_t labels[]) {
    double total = 0;
    int64_t paths = 1;
    for (int t = 0; t < steps; t++) paths *= classes;
    for (int64_t path = 0; path < paths; path++) {
        int64_t rest = path, last = 0;
        int found = 0;
        bool spells = true;
        double sum_of_logs = 0;
        for (int t = 0; t < steps; t++, rest /= classes) {
            const int64_t c = rest % classes;
            sum_of_logs += log_p[t * classes + c];
            if (c != 0 && c != last) spells = spells && found < count && labels[found] == c, found++;
            last = c;
        }
        if (spells && found == count) total += exp(sum_of_logs);
    }
    return -log(total);
}

START_TEST(ctc_is_the_sum_over_all_paths) {
    enum { STEPS = 5, CLASSES = 3 };
    ag_tensor *p = ag_log_softmax(scattered(tape, AG_F64, AG_SHAPE(STEPS, 1, CLASSES), 3), -1);
    const double *log_p = ag_data(p);
    for (int64_t a = 1; a < CLASSES; a++)
        for (int64_t b = 1; b < CLASSES; b++)
            for (int count = 0; count <= 2; count++) {
                ag_tensor *labels = numbers(AG_SHAPE(1, 2), (int64_t[]){a, b});
                ag_tensor *loss = ag_ctc_with(p, labels, NULL, numbers(AG_SHAPE(1), (int64_t[]){count}), 0, &sum);
                double want = by_all_paths(log_p, STEPS, CLASSES, count, (int64_t[]){a, b});
                ck_assert_double_eq_tol(ag_item(loss), want, 1e-14 * (1 + want));
            }
    expect_ok(tape);
}
END_TEST

/* Steps and labels of padding may be anything: also labels that are no classes, and scores that are NaN. */
START_TEST(ctc_sees_no_padding) {
    double scores[T * CTC_N * CTC_C];
    int64_t labels[CTC_N * S];
    memcpy(scores, ctc_score, sizeof scores);
    memcpy(labels, ctc_labels, sizeof labels);
    for (int n = 0; n < CTC_N; n++) {
        for (int t = (int)ctc_steps[n]; t < T; t++)
            for (int c = 0; c < CTC_C; c++) scores[(t * CTC_N + n) * CTC_C + c] = NAN;
        for (int s = (int)ctc_counts[n]; s < S; s++) labels[n * S + s] = -999;
    }
    ag_tensor *x = f64(AG_SHAPE(T, CTC_N, CTC_C), scores), *d;
    ag_tensor *losses =
        ag_ctc_with(ag_log_softmax(x, -1), numbers(AG_SHAPE(CTC_N, S), labels), numbers(AG_SHAPE(CTC_N), ctc_steps),
                    numbers(AG_SHAPE(CTC_N), ctc_counts), 0, &none);
    expect_near(losses, CTC_N, ctc_infinite, ROUNDING, 1);
    ag_grad(ag_sum(losses), 1, &x, &d);
    ck_assert(isfinite(ag_item(ag_sum(d))));
    expect_ok(tape);
}
END_TEST

START_TEST(ctc_at_its_ends) {
    const double inf = (double)INFINITY;
    ag_tensor *none_at_all = ag_zeros(tape, AG_F64, AG_SHAPE(0, 2, 3)), *d;
    ag_tensor *labels = numbers(AG_SHAPE(2, 1), (int64_t[]){1, 1}), *counts = numbers(AG_SHAPE(2), (int64_t[]){0, 1});
    expect_list(ag_ctc_with(none_at_all, labels, NULL, counts, 0, &none), 0, inf);
    ag_tensor *p = ag_log_softmax(ag_zeros(tape, AG_F64, AG_SHAPE(2, 2, 3)), -1);
    ag_tensor *no_labels = numbers(AG_SHAPE(2, 0), NULL);
    expect_near(ag_ctc_with(p, no_labels, NULL, NULL, 2, &none), 2, ((double[]){2 * log(3), 2 * log(3)}), 4, 0);
    ag_tensor *no_samples = ag_zeros(tape, AG_F64, AG_SHAPE(2, 0, 3));
    ck_assert(isnan(ag_item(ag_ctc(no_samples, numbers(AG_SHAPE(0, 1), NULL), NULL, NULL, 0))));
    /* A certain sequence has the loss 0, one that a −∞ forbids an infinite one. */
    ag_tensor *sure = f64(AG_SHAPE(2, 1, 2), (double[]){-inf, 0, 0, -inf});
    expect_list(ag_ctc_with(sure, numbers(AG_SHAPE(1, 1), (int64_t[]){1}), NULL, NULL, 0, &sum), 0);
    ag_tensor *never = ag_ctc_with(sure, numbers(AG_SHAPE(1, 1), (int64_t[]){0}), NULL, NULL, 1, &sum);
    ag_tensor *two = ag_ctc_with(sure, numbers(AG_SHAPE(1, 2), (int64_t[]){1, 1}), NULL, NULL, 0, &sum);
    expect_list(never, 0);
    expect_list(two, inf);
    ag_tensor *nothing = f64(AG_SHAPE(3, 1, 2), (double[]){-inf, -inf, -inf, -inf, 0, 0}); /* no path of any kind */
    ag_tensor *no_way = ag_ctc_with(nothing, numbers(AG_SHAPE(1, 1), (int64_t[]){1}), NULL, NULL, 0, &sum);
    expect_list(no_way, inf);
    ag_grad(no_way, 1, &nothing, &d);
    expect_list(d, 0, 0, 0, 0, 0, 0);
    ag_grad(two, 1, &sure, &d);
    expect_list(d, 0, 0, 0, 0);
    expect_ok(tape);
}
END_TEST

START_TEST(ctc_refuses) {
    ag_tensor *p = ag_zeros(tape, AG_F64, AG_SHAPE(4, 2, 3)), *l = numbers(AG_SHAPE(2, 2), (int64_t[]){1, 2, 1, 3});
    ag_tensor *n = numbers(AG_SHAPE(2), (int64_t[]){2, 5});
    ag_ctc(p, n, NULL, NULL, 0);
    expect_error(tape, AG_ERR_SHAPE, "ctc: a (4,2,3) and b i64 (2)", "log_p must be (T,N,C)", "test_losses.c:");
    ag_ctc(p, l, l, NULL, 0);
    expect_error(tape, AG_ERR_SHAPE, "steps and counts (N)");
    ag_ctc(p, l, NULL, NULL, 3);
    expect_error(tape, AG_ERR_RANGE, "blank must be one of the classes");
    ag_ctc(p, ag_cast(l, AG_F64), NULL, NULL, 0);
    expect_error(tape, AG_ERR_DTYPE, "labels must be i64");
    ag_ctc(NULL, l, NULL, NULL, 0);
    expect_error(tape, AG_ERR_NULL, "ctc");
    ag_eval(ag_ctc(p, l, NULL, NULL, 0));
    expect_error(tape, AG_ERR_RANGE, "ctc", "label 3 at [1,1]", "3 classes");
    ag_eval(ag_ctc(p, l, n, numbers(AG_SHAPE(2), (int64_t[]){1, 1}), 0));
    expect_error(tape, AG_ERR_RANGE, "ctc", "length 5 at [1]", "5 lengths");
    ag_eval(ag_ctc(p, l, NULL, n, 0));
    expect_error(tape, AG_ERR_RANGE, "ctc", "length 5 at [1]", "3 lengths");
}
END_TEST

/* ---- Refused calls ---- */

START_TEST(losses_refuse) {
    ag_tensor *s = f64(AG_SHAPE(N, C), in_score), *three = f64(AG_SHAPE(C), in_score);
    ag_tensor *l = ag_from(tape, AG_I64, AG_SHAPE(N), in_label), *f = ag_cast(s, AG_F32);
    ag_huber(s, s, 0);
    expect_error(tape, AG_ERR_RANGE, "huber: a (4,3) and b (4,3)", "delta is 0", "test_losses.c:");
    ag_smooth_l1(s, s, -1);
    expect_error(tape, AG_ERR_RANGE, "smooth_l1", "beta is -1");
    ag_focal(s, s, 1.5, 2);
    expect_error(tape, AG_ERR_RANGE, "focal", "alpha is 1.5");
    ag_focal(s, s, 0.25, -1);
    expect_error(tape, AG_ERR_RANGE, "gamma is -1");
    ag_triplet_margin(s, s, s, (double)NAN);
    expect_error(tape, AG_ERR_RANGE, "triplet_margin", "the margin is nan");
    ag_triplet_margin_with(s, s, s, 1, 0.5, NULL);
    expect_error(tape, AG_ERR_RANGE, "p is 0.5: from 1 to inf is wanted");
    ag_pairwise_distance(s, s, (double)NAN);
    expect_error(tape, AG_ERR_RANGE, "pairwise_distance", "p is nan");
    ag_l1(s, three);
    expect_error(tape, AG_ERR_SHAPE, "l1: a (4,3) and b (3)", "nothing is broadcast here");
    ag_l1(s, f);
    expect_error(tape, AG_ERR_DTYPE, "l1", "f32");
    ag_l1(l, l);
    expect_error(tape, AG_ERR_DTYPE, "l1");
    ag_l1(s, NULL);
    expect_error(tape, AG_ERR_NULL, "l1");
    ag_gaussian_nll(s, s, ag_unsqueeze(s, 0));
    expect_error(tape, AG_ERR_SHAPE, "gaussian_nll", "the variance one broadcast to it");
    ag_cosine_embedding(s, s, three, 0);
    expect_error(tape, AG_ERR_SHAPE, "cosine_embedding", "there must be a sign for each vector");
    ag_cosine_similarity(s, s, 2);
    expect_error(tape, AG_ERR_AXIS, "cosine_similarity", "axis 2");
    ag_pairwise_distance(ag_zeros(tape, AG_F64, AG_SHAPE(2, 0)), ag_zeros(tape, AG_F64, AG_SHAPE(2, 0)), 2);
    expect_error(tape, AG_ERR_SHAPE, "pairwise_distance", "no elements");
    ag_nll_with(s, l, 2, NULL);
    expect_error(tape, AG_ERR_AXIS, "nll", "axis 2");
    ag_nll_with(s, l, 0, NULL);
    expect_error(tape, AG_ERR_SHAPE, "nll", "without the axis of classes");
    ag_cross_entropy_with(s, three, 1, NULL);
    expect_error(tape, AG_ERR_SHAPE, "cross_entropy", "probabilities must have the shape of the scores");
    ag_eval(ag_nll(s, ag_add_scalar(l, 1)));
    expect_error(tape, AG_ERR_RANGE, "nll", "label 3 at [0]", "3 classes");
    expect_ok(tape);
}
END_TEST

START_TEST(options_that_do_not_fit_are_refused) {
    ag_tensor *s = f64(AG_SHAPE(N, C), in_score), *l = ag_from(tape, AG_I64, AG_SHAPE(N), in_label);
    ag_tensor *three = f64(AG_SHAPE(C), in_score), *f = ag_cast(three, AG_F32), *four = f64(AG_SHAPE(N), in_score);
    const ag_loss_options useless[] = {{.class_weights = three}, {.positive_weight = three},
                                       {.smoothing = 0.1},       {.ignores = true},
                                       {.log_target = true},     {.full = true},
                                       {.rates = true},          {.swap = true},
                                       {.zero_infinity = true}};
    const char *const names[] = {"class_weights", "positive_weight", "smoothing", "ignores",      "log_target",
                                 "full",          "rates",           "swap",      "zero_infinity"};
    for (int i = 0; i < COUNT(useless); i++) {
        ck_assert(ag_is_nil(ag_mse_with(s, s, &useless[i])));
        expect_error(tape, AG_ERR_RANGE, "mse", "no use for the option", names[i], "test_losses.c:");
    }
    ag_cross_entropy_with(s, s, 1, &(ag_loss_options){.ignores = true});
    expect_error(tape, AG_ERR_RANGE, "cross_entropy", "no use for the option ignores");
    ag_cross_entropy_with(s, l, 1, &(ag_loss_options){.smoothing = 1.5});
    expect_error(tape, AG_ERR_RANGE, "smoothing must be from 0 to 1");
    ag_mse_with(s, s, &(ag_loss_options){.reduction = (ag_loss_reduction)7});
    expect_error(tape, AG_ERR_RANGE, "the reduction is invalid");
    ag_mse_with(s, s, &(ag_loss_options){.weights = four});
    expect_error(tape, AG_ERR_SHAPE, "mse", "the option weights does not fit");
    ag_mse_with(s, s, &(ag_loss_options){.weights = f});
    expect_error(tape, AG_ERR_DTYPE, "weights must have the dtype");
    ag_cross_entropy_with(s, l, 1, &(ag_loss_options){.weights = s});
    expect_error(tape, AG_ERR_SHAPE, "cross_entropy", "weights does not fit");
    ag_cross_entropy_with(s, l, 1, &(ag_loss_options){.class_weights = four});
    expect_error(tape, AG_ERR_SHAPE, "class_weights");
    ag_cross_entropy_with(s, l, 1, &(ag_loss_options){.class_weights = ag_scalar(tape, AG_F64, 1)});
    expect_error(tape, AG_ERR_SHAPE, "class_weights must have an element a class");
    ag_binary_cross_entropy_with(s, s, &(ag_loss_options){.positive_weight = four});
    expect_error(tape, AG_ERR_SHAPE, "positive_weight");
}
END_TEST

/* Near the least loss its terms are far larger than it is. An error is some times what a rounding of x moves, and a
 * rounding of the result. */
START_TEST(a_poisson_loss_in_full_has_its_digits) {
    enum { EACH = 7, UNITS = 4 };
    for (int i = 0; i < COUNT(poisson_rows) / EACH; i++)
        for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
            const double *at = poisson_rows + (ptrdiff_t)EACH * i, *want = at + 3;
            ag_tensor *x = ag_parameter_from(ag_scalar(tape, (ag_dtype)dtype, at[0])), *loss, *dx;
            loss = ag_poisson_nll_with(x, ag_scalar(tape, (ag_dtype)dtype, at[1]),
                                       &(ag_loss_options){.full = true, .rates = at[2] != 0});
            expecting(ag_dtype_name((ag_dtype)dtype));
            expect_near(loss, 1, &want[0], UNITS, fabs(want[0]) + want[1]);
            ag_grad(loss, 1, &x, &dx);
            expect_near(dx, 1, &want[2], UNITS, fabs(want[2]) + want[3]);
            expecting("");
        }
    expect_ok(tape);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("losses");
    TCase *all = tape_group(suite, "table");
    tcase_add_test(all, losses_agree_with_pytorch);
    tcase_add_test(all, losses_of_f32_are_those_of_f64);
    tcase_add_test(all, reductions_agree_with_each_other);
    tcase_add_test(all, a_weight_of_0_hides_everything);
    tcase_add_test(all, losses_pass_gradcheck_twice_over);
    tcase_add_test(all, a_poisson_loss_in_full_has_its_digits);
    tcase_add_test(all, losses_of_nothing);
    tcase_add_test(all, losses_take_any_strides);
    tcase_add_test(plain_group(suite, "memory"), losses_survive_failing_allocations);
    TCase *each = tape_group(suite, "one by one");
    tcase_add_test(each, short_forms_are_the_usual_options);
    tcase_add_test(each, distances_and_similarities_agree_with_pytorch);
    tcase_add_test(each, vectors_may_be_huge_tiny_or_zero);
    tcase_add_test(each, scores_may_be_huge);
    tcase_add_test(each, targets_of_certain_scores_have_slopes);
    tcase_add_test(each, impossible_classes_count_for_nothing);
    tcase_add_test(each, everything_may_be_ignored);
    tcase_add_test(each, losses_refuse);
    tcase_add_test(each, options_that_do_not_fit_are_refused);
    TCase *ctc = tape_group(suite, "ctc");
    tcase_add_test(ctc, ctc_agrees_with_pytorch);
    tcase_add_test(ctc, ctc_passes_gradcheck_twice_over);
    tcase_add_test(ctc, ctc_is_the_sum_over_all_paths);
    tcase_add_test(ctc, ctc_sees_no_padding);
    tcase_add_test(ctc, ctc_at_its_ends);
    tcase_add_test(ctc, ctc_refuses);
    return run_suite(suite);
}
