/* test_training -- what goes on around an optimiser's step: against PyTorch, against large batches, and refused calls */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/training.h"
#include "tests/support.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

static void expect_close(double got, double want, int64_t i) {
    ck_assert_msg(fabs(got - want) <= 1e-13 * fabs(want) || (isnan(got) && isnan(want)),
                  "number %lld: %.17g, not %.17g", (long long)i, got, want);
}

/* ---- Schedules ---- */

#define expect_rates(schedule, values) expect_rates_are(schedule, COUNT(values), values)
static void expect_rates_are(ag_schedule s, int64_t n, const double want[]) {
    for (int64_t i = n; i-- > 0;) expect_close(ag_schedule_rate(&s, i), want[i], i); /* in any order */
}

START_TEST(schedules_agree_with_pytorch) {
    expect_rates(((ag_schedule){AG_SCHEDULE_STEP, .rate = 0.5, .factor = 0.5, .every = 3}), rates_step);
    expect_rates(((ag_schedule){AG_SCHEDULE_EXPONENTIAL, .rate = 0.5, .factor = 0.75}), rates_exponential);
    expect_rates(((ag_schedule){AG_SCHEDULE_COSINE, .rate = 0.5, .least = 0.01, .steps = 10}), rates_cosine);
    expect_rates(((ag_schedule){AG_SCHEDULE_ONE_CYCLE, .rate = 0.5, .steps = 20}), rates_one_cycle);
    expect_rates(((ag_schedule){AG_SCHEDULE_ONE_CYCLE, .rate = 0.5, .steps = 11, .rise = 0.5, .divisor = 10,
                                .final_divisor = 100}),
                 rates_other_cycle);
}
END_TEST

START_TEST(warm_ups_agree_with_pytorch) {
    ag_schedule s = {AG_SCHEDULE_CONSTANT, .rate = 0.5, .warmup = 4, .start = 0.1};
    expect_rates(s, rates_warm_constant);
    s.kind = AG_SCHEDULE_COSINE, s.steps = 12, s.least = 0.01;
    expect_rates(s, rates_warm_cosine);
    s.kind = AG_SCHEDULE_STEP, s.factor = 0.5, s.every = 3;
    expect_rates(s, rates_warm_step);
}
END_TEST

START_TEST(momenta_agree_with_pytorch) {
    ag_schedule s = {AG_SCHEDULE_ONE_CYCLE, .rate = 0.5, .steps = 20};
    for (int64_t i = 0; i < 20; i++) expect_close(ag_schedule_momentum(&s, i), momenta[i], i);
    s.low_momentum = 0.5, s.high_momentum = 0.9, s.rise = 0.5;
    for (int64_t i = 0; i < 20; i++) expect_close(ag_schedule_momentum(&s, i), other_momenta[i], i);
    ck_assert_double_eq(ag_schedule_momentum(&s, 1000), 0.9);
}
END_TEST

START_TEST(schedules_have_ends) {
    ag_schedule s = {.rate = 0.25}; /* constant */
    ck_assert_double_eq(ag_schedule_rate(&s, 0), 0.25);
    ck_assert_double_eq(ag_schedule_rate(&s, INT64_MAX), 0.25);
    s = (ag_schedule){AG_SCHEDULE_COSINE, .rate = 0.5, .least = 0.1, .steps = 7, .warmup = 2};
    ck_assert_double_eq(ag_schedule_rate(&s, 0), 0);
    ck_assert_double_eq(ag_schedule_rate(&s, 1), 0.25);
    ck_assert_double_eq(ag_schedule_rate(&s, 2), 0.5);
    for (int64_t i = 7; i < 20; i++) ck_assert_double_eq(ag_schedule_rate(&s, i), 0.1);
    ck_assert_double_eq(ag_schedule_rate(&s, INT64_MAX), 0.1);
    s = (ag_schedule){AG_SCHEDULE_ONE_CYCLE, .rate = 1, .steps = 1};
    ck_assert_double_eq(ag_schedule_rate(&s, 0), 1. / 25 / 1e4);
    s.steps = 10, s.rise = 0.5;
    ck_assert_double_eq(ag_schedule_rate(&s, 0), 1. / 25);
    ck_assert_double_eq(ag_schedule_rate(&s, 4), 1);
    ck_assert_double_eq(ag_schedule_rate(&s, 9), 1. / 25 / 1e4);
    ck_assert_double_eq(ag_schedule_rate(&s, INT64_MAX), 1. / 25 / 1e4);
    s = (ag_schedule){AG_SCHEDULE_STEP, .rate = 1, .factor = 0.5, .every = INT64_MAX};
    ck_assert_double_eq(ag_schedule_rate(&s, INT64_MAX - 1), 1);
    ck_assert_double_eq(ag_schedule_rate(&s, INT64_MAX), 0.5);
}
END_TEST

static void expect_no_rate(ag_schedule s, int64_t step, const char *said) {
    ck_assert(isnan(ag_schedule_rate(&s, step)));
    expect_error(NULL, AG_ERR_RANGE, "schedule_rate: ", said, "test_training.c:");
}

START_TEST(schedules_refuse) {
    const ag_schedule cosine = {AG_SCHEDULE_COSINE, .rate = 1, .steps = 5};
    const ag_schedule cycle = {AG_SCHEDULE_ONE_CYCLE, .rate = 1, .steps = 5};
    ag_schedule s = cosine;
    expect_no_rate(s, -1, "step is -1: 0 or more is wanted");
    ck_assert(isnan(ag_schedule_rate(NULL, 0)));
    expect_error(NULL, AG_ERR_NULL, "schedule_rate: the schedule is NULL", "test_training.c:");
    s.kind = (ag_schedule_kind)5;
    expect_no_rate(s, 0, "kind is 5");
    s = cosine, s.rate = -1;
    expect_no_rate(s, 0, "rate is -1: a finite number of 0 or more is wanted");
    s.rate = NAN;
    expect_no_rate(s, 0, "rate is nan");
    s = cosine, s.least = INFINITY;
    expect_no_rate(s, 0, "least is inf");
    s = cosine, s.warmup = 5;
    expect_no_rate(s, 0, "steps is 5: more than those of the warm-up is wanted");
    s.warmup = -1;
    expect_no_rate(s, 0, "warmup is -1: 0 or more is wanted");
    s.warmup = 2, s.start = 1.5;
    expect_no_rate(s, 0, "start is 1.5: a number from 0 to 1 is wanted");
    s = cosine, s.steps = 0;
    expect_no_rate(s, 0, "steps is 0");
    s = cosine, s.kind = AG_SCHEDULE_STEP;
    expect_no_rate(s, 0, "every is 0: 1 or more is wanted");
    s.every = 1, s.factor = -0.5;
    expect_no_rate(s, 0, "factor is -0.5");
    s.kind = AG_SCHEDULE_EXPONENTIAL;
    expect_no_rate(s, 0, "factor is -0.5");
    s = cycle, s.warmup = 1;
    expect_no_rate(s, 0, "warmup is 1: 0, because one cycle begins with its own, is wanted");
    s = cycle, s.rise = 1;
    expect_no_rate(s, 0, "rise is 1");
    s = cycle, s.divisor = 0.5;
    expect_no_rate(s, 0, "divisor is 0.5");
    s = cycle, s.final_divisor = NAN;
    expect_no_rate(s, 0, "final_divisor is nan");
    s = cycle, s.low_momentum = 1;
    expect_no_rate(s, 0, "low_momentum is 1: a number of 0 or more and less than 1 is wanted");
    s = cycle, s.high_momentum = -0.5;
    expect_no_rate(s, 0, "high_momentum is -0.5");
    ck_assert(isnan(ag_schedule_momentum(&s, 0)));
    expect_error(NULL, AG_ERR_RANGE, "schedule_momentum: high_momentum is -0.5", "test_training.c:");
    ck_assert(isnan(ag_schedule_momentum(&cosine, 0)));
    expect_error(NULL, AG_ERR_RANGE, "schedule_momentum: kind is 3: AG_SCHEDULE_ONE_CYCLE is wanted",
                 "test_training.c:");
}
END_TEST

/* ---- Plateaus ---- */

static ag_plateau plateau_at(double rate) {
    ag_plateau p;
    ck_assert_int_eq(ag_plateau_init(&p, rate), AG_OK);
    return p;
}

/* All of the state is in public numbers: a copy of them in a new struct, halfway, goes on alike. */
static void expect_plateau(ag_plateau p, const double want[]) {
    ag_plateau again = plateau_at(1);
    for (int64_t i = 0; i < COUNT(plateau_values); i++) {
        if (i == COUNT(plateau_values) / 2) {
            again.factor = p.factor, again.lowest = p.lowest, again.difference = p.difference;
            again.improvement = p.improvement, again.absolute = p.absolute, again.larger = p.larger;
            again.patience = p.patience, again.cooldown = p.cooldown;
            again.rate = p.rate, again.best = p.best, again.waited = p.waited, again.cooling = p.cooling;
            p = again;
        }
        expect_close(ag_plateau_rate(&p, plateau_values[i]), want[i], i);
        ck_assert_double_eq(p.rate, ag_plateau_rate(&(ag_plateau){.rate = p.rate, .made = p.made, .best = NAN}, 0));
    }
}

START_TEST(plateaus_agree_with_pytorch) {
    ag_plateau p = plateau_at(0.5);
    p.patience = 2;
    expect_plateau(p, plateau_plain);
    p = plateau_at(0.5), p.patience = 1, p.cooldown = 3, p.factor = 0.5, p.lowest = 0.1;
    expect_plateau(p, plateau_cooled);
    p = plateau_at(0.5), p.patience = 0, p.improvement = 0.15, p.absolute = true, p.factor = 0.5;
    expect_plateau(p, plateau_absolute);
    p = plateau_at(0.5), p.patience = 2, p.larger = true, p.improvement = 0.01, p.factor = 0.25;
    expect_plateau(p, plateau_larger);
    p = plateau_at(1.5e-8), p.patience = 0, p.factor = 0.5;
    expect_plateau(p, plateau_tiny);
}
END_TEST

/* A best below 0 is not improved on by something worse, as it is in PyTorch. */
START_TEST(plateaus_know_negative_values) {
    ag_plateau p = plateau_at(1);
    p.patience = 0, p.improvement = 0.1, p.factor = 0.5;
    ck_assert_double_eq(ag_plateau_rate(&p, -10), 1);
    ck_assert_double_eq(ag_plateau_rate(&p, -9.5), 0.5);
    ck_assert_double_eq(ag_plateau_rate(&p, -10.5), 0.25);
    ck_assert_double_eq(ag_plateau_rate(&p, -11.5), 0.25);
    ck_assert_double_eq(p.best, -11.5);
}
END_TEST

START_TEST(plateaus_refuse) {
    ag_plateau p = {0};
    ck_assert_int_eq(ag_plateau_init(NULL, 1), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "plateau_init: the plateau is NULL", "test_training.c:");
    ck_assert_int_eq(ag_plateau_init(&p, NAN), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "plateau_init: the rate is nan", "test_training.c:");
    ck_assert(isnan(ag_plateau_rate(&p, 1)));
    expect_error(NULL, AG_ERR_RANGE, "plateau_rate: the plateau was not made by its init");
    ck_assert(isnan(ag_plateau_rate(NULL, 1)));
    expect_error(NULL, AG_ERR_NULL, "plateau_rate: the plateau is NULL", "test_training.c:");
    struct {
        double *number;
        double bad;
        const char *said;
    } wrong[] = {{&p.rate, -1, "the rate is -1"},
                 {&p.factor, 1, "factor is 1: a number of 0 or more"},
                 {&p.lowest, NAN, "lowest is nan"},
                 {&p.difference, -1, "difference is -1"},
                 {&p.improvement, -2, "improvement is -2"}};
    for (int64_t i = 0; i < COUNT(wrong); i++) {
        ck_assert_int_eq(ag_plateau_init(&p, 0.5), AG_OK);
        *wrong[i].number = wrong[i].bad;
        ck_assert(isnan(ag_plateau_rate(&p, 1)));
        expect_error(NULL, AG_ERR_RANGE, "plateau_rate", wrong[i].said, "test_training.c:");
        ck_assert(isnan(p.best));
    }
    int64_t *const count[] = {&p.patience, &p.cooldown, &p.waited, &p.cooling};
    for (int64_t i = 0; i < COUNT(count); i++) {
        ck_assert_int_eq(ag_plateau_init(&p, 0.5), AG_OK);
        *count[i] = -1;
        ck_assert(isnan(ag_plateau_rate(&p, 1)));
        expect_error(NULL, AG_ERR_RANGE, "plateau_rate", "is -1: 0 or more is wanted");
    }
}
END_TEST

/* ---- A small model ---- */

enum { SAMPLES = 24, IN = 5, OUT = 3, PARAMETERS = 2 };

typedef struct model {
    ag_tensor *p[PARAMETERS];
} model;

static model model_on(ag_tape *t, ag_dtype dtype) {
    model m = {{ag_parameter_from(scattered(t, dtype, AG_SHAPE(IN, OUT), 7)),
                ag_parameter_from(scattered(t, dtype, AG_SHAPE(OUT), 99))}};
    ag_label(m.p[0], "layer.weight");
    ag_label(m.p[1], "layer.bias");
    return m;
}

/* The mean over the samples of a batch, so that a batch's gradient is the mean of its samples'. */
static ag_tensor *loss_of(const model *m, int64_t first, int64_t n) {
    ag_tape *t = ag_tape_of(m->p[0]);
    ag_dtype dtype = ag_dtype_of(m->p[0]);
    ag_tensor *x = scattered(t, dtype, AG_SHAPE(n, IN), 1000 + (uint64_t)(first * IN));
    ag_tensor *target = scattered(t, dtype, AG_SHAPE(n, OUT), 5000 + (uint64_t)(first * OUT));
    return ag_mse(ag_tanh(ag_add(ag_matmul(x, m->p[0]), m->p[1])), target);
}

static void copy_to(double to[IN * OUT], ag_tensor *x) {
    for (int64_t i = 0; i < ag_size(x); i++) to[i] = ag_element(x, i);
}

/* ---- Accumulation ---- */

/* Batches of these sizes, with a rewind after each, have the gradient of all samples at once. */
static void expect_whole_gradient(ag_dtype dtype, int batches, const int64_t size[], bool weighted, bool backward) {
    on_one_thread(tape);
    model m = model_on(tape, dtype);
    ag_kept kept[PARAMETERS];
    ag_accumulator sum;
    ck_assert_int_eq(ag_accumulator_init(&sum, PARAMETERS, m.p, kept), AG_OK);
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *dp[PARAMETERS], *whole[PARAMETERS];
    int64_t held = 0;
    for (int round = 0; round < 6; round++) { /* a result begins anew */
        int64_t first = 0;
        for (int i = 0; i < batches; first += size[i++]) {
            ag_tensor *loss = loss_of(&m, first, size[i]);
            if (backward) ck_assert_int_eq(ag_backward(loss), AG_OK);
            else ck_assert_int_eq(ag_grad(loss, PARAMETERS, m.p, dp), AG_OK);
            ck_assert_int_eq(ag_accumulator_add(&sum, backward ? NULL : dp, weighted ? (double)size[i] : 1), AG_OK);
            ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
            ck_assert_int_eq(ag_accumulator_batches(&sum), i + 1);
        }
        ck_assert_int_eq(ag_accumulator_mean(&sum, dp), AG_OK);
        ck_assert_int_eq(ag_accumulator_batches(&sum), 0);
        ck_assert_int_eq(ag_grad(loss_of(&m, 0, SAMPLES), PARAMETERS, m.p, whole), AG_OK);
        for (int i = 0; i < PARAMETERS; i++) {
            double want[IN * OUT];
            copy_to(want, whole[i]);
            expect_near(dp[i], ag_size(whole[i]), want, 16, 0.05);
            ck_assert(!ag_requires_grad(dp[i]));
        }
        ag_tape_rewind(tape, mark);
        if (round == 4) held = ag_tape_memory(tape).allocations;
    }
    ck_assert_int_eq(ag_tape_memory(tape).allocations, held);
    expect_ok(tape);
}

START_TEST(batches_add_up_to_a_large_one) {
    for (int i = 0; i < 4; i++) {
        ag_dtype dtype = i % 2 ? AG_F32 : AG_F64;
        expect_whole_gradient(dtype, 4, (int64_t[]){6, 6, 6, 6}, false, i / 2);
        expect_whole_gradient(dtype, 3, (int64_t[]){1, 16, 7}, true, i / 2);
        expect_whole_gradient(dtype, 1, (int64_t[]){24}, false, i / 2);
    }
}
END_TEST

START_TEST(sums_are_exact_for_whole_numbers) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){0, 0}), *dp;
    ag_tensor *g[] = {tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}),
                      tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){10, -20})};
    ag_kept kept;
    ag_accumulator sum;
    ck_assert_int_eq(ag_accumulator_init(&sum, 1, &p, &kept), AG_OK);
    for (int round = 0; round < 2; round++) {
        ag_accumulator_add(&sum, &g[0], 3);
        ag_accumulator_add(&sum, &g[1], 1);
        ck_assert_int_eq((round ? ag_accumulator_mean : ag_accumulator_sum)(&sum, &dp), AG_OK);
        if (round) expect_list(dp, 3.25, -3.5);
        else expect_list(dp, 13, -14);
        ck_assert_int_eq((ag_accumulator_sum)(&sum, &dp), AG_ERR_RANGE);
        ck_assert(ag_is_nil(dp));
        expect_error(tape, AG_ERR_RANGE, "accumulator_sum: no batch was added since the last result");
    }
    /* a result keeps its value when a batch comes after it, in the same stretch of the tape or not */
    ag_accumulator_add(&sum, &g[0], 1);
    ag_accumulator_sum(&sum, &dp);
    ag_accumulator_add(&sum, &g[1], 1);
    expect_list(dp, 1, 2);
    ag_accumulator_sum(&sum, &dp);
    expect_list(dp, 10, -20);
    ag_tensor *none = ag_parameter(tape, AG_F32, AG_SHAPE(0, 3), NULL),
              *nothing = ag_zeros(tape, AG_F32, AG_SHAPE(0, 3));
    ck_assert_int_eq(ag_accumulator_init(&sum, 1, &none, &kept), AG_OK);
    ck_assert_int_eq(ag_accumulator_add(&sum, &nothing, 2), AG_OK);
    ck_assert_int_eq(ag_accumulator_mean(&sum, &dp), AG_OK);
    expect_shape(dp, AG_SHAPE(0, 3));
    expect_ok(tape);
}
END_TEST

/* Sums go on after their values, and the number of batches, were set, as from a file. */
START_TEST(sums_can_be_resumed) {
    double want[IN * OUT];
    for (int resumed = 0; resumed < 2; resumed++) {
        model m = model_on(tape, AG_F32);
        ag_kept kept[2][PARAMETERS];
        ag_accumulator sum[2];
        ag_tensor *dp[PARAMETERS];
        for (int i = 0; i < 2; i++) ck_assert_int_eq(ag_accumulator_init(&sum[i], PARAMETERS, m.p, kept[i]), AG_OK);
        ck_assert_str_eq(ag_label_of(kept[0][0].value), "sum.layer.weight");
        for (int i = 0; i < 3; i++) {
            if (i == 2 && resumed) {
                for (int k = 0; k < PARAMETERS; k++) ag_set(kept[1][k].value, ag_data(kept[0][k].value));
                ag_set(sum[1].weight, ag_data(sum[0].weight));
                sum[1].batches = sum[0].batches;
            }
            ag_grad(loss_of(&m, i * 8, 8), PARAMETERS, m.p, dp);
            ag_accumulator_add(&sum[i == 2 && resumed], dp, 8);
        }
        ck_assert_int_eq(ag_accumulator_mean(&sum[resumed], dp), AG_OK);
        if (resumed) expect_near(dp[0], IN * OUT, want, 0, 0);
        copy_to(want, dp[0]);
    }
}
END_TEST

START_TEST(accumulators_refuse) {
    model m = model_on(tape, AG_F64);
    ag_kept kept[PARAMETERS];
    ag_accumulator sum;
    ag_tensor *dp[PARAMETERS] = {ag_ones(tape, AG_F64, AG_SHAPE(IN, OUT)), ag_ones(tape, AG_F64, AG_SHAPE(OUT))};
    ck_assert_int_eq(ag_accumulator_init(NULL, PARAMETERS, m.p, kept), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "accumulator_init: the struct is NULL", "test_training.c:");
    ck_assert_int_eq(ag_accumulator_init(&sum, 0, m.p, kept), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "accumulator_init: 0 variables: at least 1 is wanted", "test_training.c:");
    ck_assert_int_eq(ag_accumulator_init(&sum, PARAMETERS, NULL, kept), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "accumulator_init: the list of 2 variables is NULL");
    ck_assert_int_eq(ag_accumulator_init(&sum, PARAMETERS, (ag_tensor *[]){m.p[0], dp[0]}, kept), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "accumulator_init", "number 1 is not a variable", "test_training.c:");
    ck_assert_int_eq(ag_accumulator_init(&sum, PARAMETERS, (ag_tensor *[]){m.p[0], m.p[0]}, kept), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "accumulator_init", "variable 1 is in the list twice");
    ck_assert_int_eq(ag_accumulator_init(&sum, PARAMETERS, (ag_tensor *[]){m.p[0], NULL}, kept), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "accumulator_init, number 1: it is NULL");
    ag_tensor *whole = ag_variable(tape, AG_I64, AG_SCALAR, &(int64_t){1});
    ck_assert_int_eq(ag_accumulator_init(&sum, 1, &whole, kept), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "accumulator_init", "variable 0 is not real");
    ck_assert_int_eq(ag_accumulator_add(&sum, dp, 1), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "accumulator_add: the struct was not made by its init", "test_training.c:");
    ck_assert_int_eq(ag_accumulator_batches(&sum), 0);
    ck_assert_int_eq(ag_accumulator_batches(NULL), 0);

    ck_assert_int_eq(ag_accumulator_init(&sum, PARAMETERS, m.p, kept), AG_OK);
    ck_assert_int_eq(ag_accumulator_add(NULL, dp, 1), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "accumulator_add: the struct is NULL");
    const double bad[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ag_accumulator_add(&sum, dp, bad[i]), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "accumulator_add", "the weight is", "over 0 is wanted", "test_training.c:");
    }
    ag_tensor *good = dp[1];
    dp[1] = dp[0];
    ck_assert_int_eq(ag_accumulator_add(&sum, dp, 1), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "accumulator_add", "gradient of parameter 1", "(5,3)", "test_training.c:");
    dp[1] = ag_ones(tape, AG_F32, AG_SHAPE(OUT));
    ck_assert_int_eq(ag_accumulator_add(&sum, dp, 1), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "accumulator_add");
    dp[1] = NULL;
    ck_assert_int_eq(ag_accumulator_add(&sum, dp, 1), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "accumulator_add", "gradient of parameter 1", "NULL");
    ck_assert_int_eq(ag_accumulator_batches(&sum), 0);
    ck_assert_int_eq(ag_accumulator_mean(&sum, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "accumulator_mean: the list for gradients is NULL", "test_training.c:");
    ck_assert_int_eq(ag_accumulator_mean(NULL, dp), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "accumulator_mean: the struct is NULL");
    dp[1] = good;
    ck_assert_int_eq(ag_accumulator_add(&sum, dp, 1), AG_OK);
    ag_tensor *weight = sum.weight;
    sum.weight = NULL;
    ck_assert_int_eq(ag_accumulator_mean(&sum, dp), AG_ERR_RANGE);
    ck_assert(ag_is_nil(dp[0]) && ag_is_nil(dp[1]));
    expect_error(tape, AG_ERR_RANGE, "accumulator_mean", "the weight is not a variable");
    sum.weight = weight;
    kept[1].value = m.p[0];
    ck_assert_int_eq(ag_accumulator_mean(&sum, dp), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "accumulator_mean", "what is kept of number 1");
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SCALAR, &(double){1});
    ck_assert_int_eq(ag_accumulator_init(&sum, 1, &v, kept), AG_OK);
    ck_assert_int_eq(ag_accumulator_add(&sum, NULL, 1), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "accumulator_add", "is not a parameter");
}
END_TEST

/* ---- Averages ---- */

/* Weights along a path, with a rewind after each step. */
static void expect_average(ag_dtype dtype, double decay, bool corrected, int begin, const double want[]) {
    enum { N = 3 };
    ag_tensor *v = ag_variable_from(tensor_of(tape, dtype, AG_SHAPE(N), average_path));
    ag_kept kept;
    ag_average average;
    ck_assert_int_eq(ag_average_init(&average, 1, &v, &kept), AG_OK);
    average.decay = decay, average.corrected = corrected;
    ag_mark mark = ag_tape_mark(tape);
    for (int i = begin; i < 6; i++) {
        ag_assign(v, tensor_of(tape, dtype, AG_SHAPE(N), average_path + N * i));
        ck_assert_int_eq(ag_average_step(&average), AG_OK);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        expect_near(kept.value, N, want + N * i, 4, 1);
        ck_assert_int_eq(ag_average_steps(&average), i + 1 - begin);
    }
}

START_TEST(averages_agree_with_pytorch) {
    for (int i = 0; i < 2; i++) {
        expect_average(i ? AG_F32 : AG_F64, 1, true, 0, average_mean);
        expect_average(i ? AG_F32 : AG_F64, 0.75, false, 1, average_moving); /* PyTorch begins with the first weights */
    }
}
END_TEST

START_TEST(corrected_averages_weigh_all_steps) {
    double want[18];
    for (int t = 1; t <= 6; t++)
        for (int j = 0; j < 3; j++) {
            double total = 0, weights = 0;
            for (int i = 0; i < t; i++) {
                total += pow(0.75, t - 1 - i) * average_path[3 * i + j];
                weights += pow(0.75, t - 1 - i);
            }
            want[3 * (t - 1) + j] = total / weights;
        }
    expect_average(AG_F64, 0.75, true, 0, want);
    expect_average(AG_F64, 0, true, 0, average_path);
    expect_average(AG_F64, 0, false, 0, average_path);
}
END_TEST

/* Training with averages, swapped in now and then for evaluation, has the bits of training without. */
START_TEST(swapping_is_exact) {
    double want[IN * OUT], mean[IN * OUT];
    for (int watched = 0; watched < 2; watched++) {
        model m = model_on(tape, AG_F32);
        ag_kept kept[PARAMETERS];
        ag_slot slots[PARAMETERS];
        ag_adam adam;
        ag_average average;
        ck_assert_int_eq(ag_adam_init(&adam, PARAMETERS, m.p, slots), AG_OK);
        ck_assert_int_eq(ag_average_init(&average, PARAMETERS, m.p, kept), AG_OK);
        ck_assert_str_eq(ag_label_of(kept[1].value), "average.layer.bias");
        average.decay = 0.5;
        ag_mark mark = ag_tape_mark(tape);
        for (int step = 0; step < 10; step++) {
            ag_tensor *dp[PARAMETERS];
            ag_grad(loss_of(&m, 0, 8), PARAMETERS, m.p, dp);
            ck_assert_int_eq(ag_adam_step(&adam, dp), AG_OK);
            ck_assert_int_eq(ag_average_step(&average), AG_OK);
            if (watched && step % 3 == 2) {
                double before[IN * OUT], during[IN * OUT], after[IN * OUT];
                copy_to(before, kept[0].value);
                ck_assert_int_eq(ag_average_swap(&average), AG_OK);
                ck_assert(average.swapped);
                if (step % 2) ag_tape_rewind(tape, mark);
                copy_to(during, m.p[0]);
                ck_assert(memcmp(before, during, sizeof before) == 0);
                ck_assert_int_eq(ag_average_step(&average), AG_ERR_RANGE);
                expect_error(tape, AG_ERR_RANGE, "average_step", "swap them back first", "test_training.c:");
                ck_assert_int_eq(ag_average_swap(&average), AG_OK);
                copy_to(after, kept[0].value);
                ck_assert(!average.swapped && memcmp(before, after, sizeof before) == 0);
            }
            ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        }
        ck_assert_int_eq(ag_average_steps(&average), 10);
        if (watched) expect_near(m.p[0], IN * OUT, want, 0, 0), expect_near(kept[0].value, IN * OUT, mean, 0, 0);
        copy_to(want, m.p[0]), copy_to(mean, kept[0].value);
        ck_assert(memcmp(want, mean, sizeof want) != 0);
    }
}
END_TEST

START_TEST(averages_refuse) {
    model m = model_on(tape, AG_F64);
    ag_kept kept[PARAMETERS];
    ag_average average;
    ck_assert_int_eq(ag_average_init(NULL, PARAMETERS, m.p, kept), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "average_init: the struct is NULL", "test_training.c:");
    ck_assert_int_eq(ag_average_init(&average, -1, m.p, kept), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "average_init: -1 variables: at least 1 is wanted");
    ck_assert_int_eq(ag_average_init(&average, 1, (ag_tensor *[]){ag_ones(tape, AG_F64, AG_SCALAR)}, kept),
                     AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "average_init", "number 0 is not a variable", "test_training.c:");
    ck_assert_int_eq(ag_average_step(&average), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "average_step: the struct was not made by its init", "test_training.c:");
    ck_assert_int_eq(ag_average_swap(NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "average_swap: the struct is NULL");
    ck_assert_int_eq(ag_average_steps(&average), 0);
    ck_assert_int_eq(ag_average_init(&average, PARAMETERS, m.p, kept), AG_OK);
    const double bad[] = {-0.1, 1.1, NAN};
    for (int i = 0; i < 3; i++) {
        average.decay = bad[i];
        ck_assert_int_eq(ag_average_step(&average), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "average_step", "the decay is", "a number from 0 to 1 is wanted");
    }
    average.decay = 0.5, average.steps = -1;
    ck_assert_int_eq(ag_average_step(&average), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "average_step", "steps is -1");
}
END_TEST

/* ---- Groups and freezing ---- */

enum { BOTH = 2, ROW = 3 };

typedef struct descent {
    int which;
    ag_tensor *p[BOTH];
    ag_slot slots[BOTH];
    ag_sgd sgd;
    ag_rmsprop rmsprop;
    ag_adam adam;
} descent;

static void open_descent(descent *d, int which) {
    d->which = which;
    for (int i = 0; i < BOTH; i++) d->p[i] = ag_parameter(tape, AG_F64, AG_SHAPE(ROW), group_start + ROW * i);
    if (which == 0) ag_sgd_init(&d->sgd, BOTH, d->p, d->slots, 0.05, 0.5);
    if (which == 1) ag_rmsprop_init(&d->rmsprop, BOTH, d->p, d->slots);
    if (which == 2) ag_adam_init(&d->adam, BOTH, d->p, d->slots);
    d->sgd.decay = d->rmsprop.decay = d->adam.decay = 0.25;
    d->rmsprop.rate = d->adam.rate = 0.05;
    d->rmsprop.beta = 0.9, d->adam.beta1 = 0.8, d->adam.beta2 = 0.95;
}

static ag_status step_down(descent *d, ag_tensor *const dp[]) {
    if (d->which == 0) return ag_sgd_step(&d->sgd, dp);
    return d->which == 1 ? ag_rmsprop_step(&d->rmsprop, dp) : ag_adam_step(&d->adam, dp);
}

static ag_tensor *bowls(const descent *d) {
    ag_tensor *sum = NULL;
    for (int i = 0; i < BOTH; i++) {
        ag_tensor *a = ag_abs(tensor_of(tape, AG_F64, AG_SHAPE(ROW), group_a + ROW * i));
        ag_tensor *b = tensor_of(tape, AG_F64, AG_SHAPE(ROW), group_b + ROW * i);
        ag_tensor *part = ag_scale(ag_sum(ag_mul(a, ag_square(ag_sub(d->p[i], b)))), 0.5);
        sum = sum ? ag_add(sum, part) : part;
    }
    return sum;
}

static const double *const apart[] = {group_sgd_apart, group_rmsprop_apart, group_adam_apart};
static const double *const frozen_path[] = {group_sgd_frozen, group_rmsprop_frozen, group_adam_frozen};

START_TEST(groups_agree_with_pytorch) {
    for (int which = 0; which < 3; which++) {
        descent d;
        ag_group slow;
        open_descent(&d, which);
        ag_label(d.p[0], "head"), ag_label(d.p[1], "body.weight");
        ag_list body = ag_parameters(tape, "body");
        ck_assert_int_eq(ag_group_init(&slow, BOTH, d.slots, body.n, body.x, 0.02), AG_OK);
        ck_assert(d.slots[1].group == &slow && !d.slots[0].group);
        slow.decay = 0.125;
        ag_mark mark = ag_tape_mark(tape);
        for (int step = 0; step < 6; step++) {
            ag_tensor *dp[BOTH];
            ag_grad(bowls(&d), BOTH, d.p, dp);
            ck_assert_int_eq(step_down(&d, dp), AG_OK);
            ag_tape_rewind(tape, mark);
            for (int i = 0; i < BOTH; i++) expect_near(d.p[i], ROW, apart[which] + ROW * (BOTH * step + i), 64, 1);
        }
        for (int i = 0; i < BOTH; i++) ag_label(d.p[i], "");
    }
}
END_TEST

/* PyTorch leaves a parameter without gradient out of a step, and counts the steps of each by itself. */
START_TEST(frozen_parameters_agree_with_pytorch) {
    for (int which = 0; which < 3; which++)
        for (int how = 0; how < 3; how++) { /* gradients by ag_grad; none for the frozen one; by ag_backward */
            descent d;
            ag_group second;
            open_descent(&d, which);
            ag_mark mark = ag_tape_mark(tape);
            ck_assert_int_eq(ag_group_init(&second, BOTH, d.slots, 1, &d.p[1], 0.05), AG_OK);
            second.decay = 0.25;
            for (int step = 0; step < 6; step++) {
                bool frozen = step == 2 || step == 3;
                ag_tensor *dp[BOTH];
                ck_assert_int_eq(ag_group_freeze(&second, frozen), AG_OK);
                ck_assert(ag_is_frozen(d.p[1]) == frozen && !ag_is_frozen(d.p[0]));
                ck_assert(ag_requires_grad(d.p[1]) != frozen);
                if (how == 2) ag_backward(bowls(&d));
                else ag_grad(bowls(&d), BOTH, d.p, dp);
                if (frozen) expect_list(how == 2 ? ag_gradient(d.p[1]) : dp[1], 0, 0, 0);
                if (how == 1 && frozen) dp[1] = NULL;
                ck_assert_int_eq(step_down(&d, how == 2 ? NULL : dp), AG_OK);
                ag_tape_rewind(tape, mark);
                for (int i = 0; i < BOTH; i++)
                    expect_near(d.p[i], ROW, frozen_path[which] + ROW * (BOTH * step + i), 64, 1);
            }
            ag_label(d.p[0], ""), ag_label(d.p[1], "");
            if (which == 2) ck_assert(d.adam.steps == 6 && d.slots[1].missed == 2 && d.slots[0].missed == 0);
            expect_ok(tape);
        }
}
END_TEST

START_TEST(a_step_of_nothing_changes_nothing) {
    for (int which = 0; which < 3; which++) {
        descent d;
        open_descent(&d, which);
        ag_mark mark = ag_tape_mark(tape);
        for (int i = 0; i < BOTH; i++) ag_freeze(d.p[i], true);
        ck_assert_int_eq(step_down(&d, (ag_tensor *[]){NULL, NULL}), AG_OK);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        for (int i = 0; i < BOTH; i++) expect_near(d.p[i], ROW, group_start + ROW * i, 0, 0);
        if (which == 2) ck_assert(ag_adam_steps(&d.adam) == 1 && d.slots[0].missed == 1 && d.slots[1].missed == 1);
    }
}
END_TEST

enum { DEPTH = 6 };

/* The loss of a deep network whose first `frozen` layers are frozen; and the nodes that the gradient by all of its
 * parameters, or by those that are not frozen, takes. */
static int64_t backward_nodes(int frozen, bool all, int64_t *forward) {
    ag_tensor *p[DEPTH], *dp[DEPTH], *h = scattered(tape, AG_F64, AG_SHAPE(4, IN), 3);
    for (int i = 0; i < DEPTH; i++) {
        p[i] = ag_parameter_from(scattered(tape, AG_F64, AG_SHAPE(IN, IN), 100 + (uint64_t)i));
        ck_assert_int_eq(ag_freeze(p[i], i < frozen), AG_OK);
    }
    int64_t before = ag_tape_memory(tape).nodes;
    for (int i = 0; i < DEPTH; i++) h = ag_tanh(ag_matmul(h, p[i]));
    ag_tensor *loss = ag_sum(h);
    int64_t between = ag_tape_memory(tape).nodes;
    ck_assert_int_eq(all ? ag_grad(loss, DEPTH, p, dp) : ag_grad(loss, DEPTH - frozen, p + frozen, dp), AG_OK);
    int64_t after = ag_tape_memory(tape).nodes;
    for (int i = 0; i < frozen && all; i++) ck_assert_double_eq(ag_item(ag_sum(ag_abs(dp[i]))), 0);
    *forward = between - before;
    return after - between;
}

/* A gradient by all takes two nodes for each frozen parameter, a zero and its repetition, beside those of a gradient by
 * the others; and those are fewer by one layer's. */
START_TEST(freezing_costs_no_backward_time) {
    int64_t forward[DEPTH], least = INT64_MAX;
    for (int frozen = 0; frozen < DEPTH; frozen++) {
        int64_t unused, nodes = backward_nodes(frozen, true, &forward[frozen]);
        ck_assert_int_eq(forward[frozen], forward[0]);
        nodes -= 2 * frozen;
        ck_assert_int_eq(nodes, backward_nodes(frozen, false, &unused));
        ck_assert_int_lt(nodes, least);
        least = nodes;
    }
    ag_tensor *p = ag_parameter_from(scattered(tape, AG_F64, AG_SHAPE(3), 0)), *dp;
    ag_freeze(p, true);
    ag_tensor *y = ag_sum(ag_square(p));
    ck_assert(!ag_requires_grad(y));
    ck_assert_int_eq(ag_backward(y), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "backward", "y depends on no parameter");
    ck_assert_int_eq(ag_vjp(1, &y, NULL, 1, &p, &dp, AG_STRICT), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "no output depends on input 0");
    for (int thawed = 0; thawed < 2; thawed++) { /* of itself, too */
        ag_tensor *q = ag_parameter(tape, AG_F64, AG_SCALAR, &(double){2});
        if (thawed) ag_square(q);
        ag_freeze(q, true);
        ck_assert_int_eq(ag_grad(q, 1, &q, &dp), AG_OK);
        expect_item(dp, 0);
        ag_freeze(q, false);
        ck_assert_int_eq(ag_grad(q, 1, &q, &dp), AG_OK);
        expect_item(dp, 1);
    }
}
END_TEST

/* Operations recorded before, or after it was thawed, depend on the parameter; also without rewinds. */
START_TEST(freezing_is_for_what_is_recorded_then) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), *dp;
    ag_tensor *before = ag_sum(ag_square(p));
    ck_assert_int_eq(ag_backward(before), AG_OK);
    expect_list(ag_gradient(p), 2, 4);
    ck_assert_int_eq(ag_freeze(p, true), AG_OK);
    expect_list(ag_gradient(p), 0, 0);
    ag_tensor *during = ag_sum(ag_mul(ag_square(p), p));
    ag_assign(p, tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){3, 4}));
    ag_tensor *assigned = ag_sum(ag_square(p));
    bool recording = ag_tape_set_recording(tape, false); /* gradients of this stretch, but not by what is frozen */
    ag_grad(ag_sum(p), 1, &p, &dp);
    expect_list(dp, 0, 0);
    ag_tape_set_recording(tape, recording);
    ck_assert_int_eq(ag_freeze(p, true), AG_OK);
    ck_assert_int_eq(ag_freeze(p, false), AG_OK);
    expect_list(ag_gradient(p), 2, 4); /* of what was recorded before */
    ag_tensor *after = ag_sum(ag_square(p));
    expect_item(before, 5);
    expect_item(during, 9);
    expect_item(assigned, 25);
    ag_tensor *const y[] = {before, during, assigned, after};
    const double slope[] = {2, 0, 0, 6};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ag_grad(y[i], 1, &p, &dp), AG_OK);
        ck_assert_double_eq(ag_element(dp, 0), slope[i]);
        expect_item(ag_slice(ag_hvp(y[i], p, ag_ones(tape, AG_F64, AG_SHAPE(2))), 0, 0, 1, 1), slope[i] != 0 ? 2 : 0);
    }
    ck_assert(!ag_requires_grad(during) && ag_requires_grad(after));
    ag_list all = ag_parameters(tape, NULL);
    ag_freeze(p, true);
    ck_assert(all.n == 1 && ag_parameters(tape, NULL).n == 1);
}
END_TEST

static ag_tensor *square_times(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_sum(ag_mul(ag_square(x[0]), x[1]));
}

/* Reports say that a gradient is 0 because it is not asked for. */
START_TEST(reports_know_what_is_frozen) {
    ag_tensor *x[] = {ag_label(ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), "p"),
                      ag_label(ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){3, 4}), "q")};
    ag_freeze(x[0], true);
    ag_gradcheck_report report;
    ck_assert_int_eq(ag_gradcheck(square_times, NULL, 2, x, NULL, &report), AG_ERR_GRADIENT);
    ck_assert_ptr_nonnull(strstr(report.message, "input 0 \"p\""));
    ck_assert_ptr_nonnull(strstr(report.message, "the input is frozen, and so is constant to gradients"));
    ck_assert(ag_is_frozen(x[0]));
    ag_tensor *y = ag_label(square_times(NULL, 2, x), "y");
    ck_assert_ptr_nonnull(strstr(ag_explain(y, x[0], NULL), "p (2) is frozen: it is not used on the way to y ()"));
    const char *trace = ag_trace_backward(y, 0, NULL, NULL);
    ck_assert(strstr(trace, "∂y/∂q = ") && !strstr(trace, "∂y/∂p = "));
    ag_freeze(x[0], false);
    ck_assert_int_eq(ag_gradcheck(square_times, NULL, 2, x, NULL, &report), AG_OK);
}
END_TEST

START_TEST(freezing_refuses) {
    ck_assert_int_eq(ag_freeze(NULL, true), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "freeze", "test_training.c:");
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SCALAR, &(double){1}), *p = ag_parameter_from(v);
    ck_assert_int_eq(ag_freeze(v, true), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "freeze", "it is not a parameter", "test_training.c:");
    ck_assert_int_eq(ag_freeze(ag_square(p), true), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "it is not a parameter");
    ck_assert(!ag_is_frozen(v) && !ag_is_frozen(p) && !ag_is_frozen(NULL));
    ag_freeze(p, true);
    ck_assert(ag_is_frozen(p) && !ag_is_frozen(ag_stop_gradient(p)));
}
END_TEST

START_TEST(groups_refuse) {
    descent d;
    ag_group group;
    open_descent(&d, 2);
    ag_tensor *other = ag_parameter_from(d.p[0]);
    ck_assert_int_eq(ag_group_init(NULL, BOTH, d.slots, 1, d.p, 0.1), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "group_init: the group is NULL", "test_training.c:");
    ck_assert_int_eq(ag_group_init(&group, BOTH, d.slots, 0, d.p, 0.1), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "group_init: 0 parameters: at least 1 is wanted");
    ck_assert_int_eq(ag_group_init(&group, BOTH, d.slots, 1, NULL, 0.1), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "group_init: the list of 1 parameters is NULL");
    ck_assert_int_eq(ag_group_init(&group, 0, d.slots, 1, d.p, 0.1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "group_init: 0 slots: at least 1 is wanted");
    ck_assert_int_eq(ag_group_init(&group, BOTH, NULL, 1, d.p, 0.1), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "group_init: the array of 2 slots is NULL");
    ck_assert_int_eq(ag_group_init(&group, BOTH, d.slots, 2, (ag_tensor *[]){d.p[0], other}, 0.1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "group_init", "parameter 1 is not one of the optimiser's", "test_training.c:");
    ck_assert_int_eq(ag_group_init(&group, BOTH, d.slots, 2, (ag_tensor *[]){d.p[0], d.p[0]}, 0.1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "group_init", "parameter 1 is in the list twice");
    ag_tensor *constant = ag_ones(tape, AG_F64, AG_SCALAR);
    ck_assert_int_eq(ag_group_init(&group, BOTH, d.slots, 1, &constant, 0.1), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "group_init", "number 0 is not a parameter");
    ck_assert_int_eq(ag_group_init(&group, BOTH, d.slots, 1, d.p, -1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "group_init: the rate is -1");
    ck_assert(!d.slots[0].group && !d.slots[1].group);
    ck_assert_int_eq(ag_group_freeze(&group, true), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "group_freeze: the group was not made by its init", "test_training.c:");
    ck_assert_int_eq(ag_group_freeze(NULL, true), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "group_freeze: the group is NULL");

    ck_assert_int_eq(ag_group_init(&group, BOTH, d.slots, 1, d.p + 1, 0.1), AG_OK);
    const double bad[] = {-1, NAN, INFINITY};
    for (int which = 0; which < 3; which++) {
        open_descent(&d, which);
        ck_assert_int_eq(ag_group_init(&group, BOTH, d.slots, 1, d.p + 1, 0.1), AG_OK);
        for (int i = 0; i < 6; i++) {
            group.rate = i % 2 ? 0.1 : bad[i / 2], group.decay = i % 2 ? bad[i / 2] : 0;
            ck_assert_int_eq(step_down(&d, d.p), AG_ERR_RANGE);
            expect_error(tape, AG_ERR_RANGE,
                         i % 2 ? "the decay of the group of parameter 1 is" : "the rate of the group",
                         "a finite number of 0 or more is wanted", "test_training.c:");
        }
        group.rate = 0.1, group.decay = 0, group.made = 0;
        ck_assert_int_eq(step_down(&d, d.p), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "the group of parameter 1 was not made by its init");
        for (int i = 0; i < BOTH; i++) expect_near(d.p[i], ROW, group_start + ROW * i, 0, 0);
    }
    d.slots[0].group = d.slots[1].group = NULL;
    d.slots[1].missed = 1;
    ck_assert_int_eq(step_down(&d, d.p), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "adam_step: parameter 1 missed 1 steps, and there were 0", "test_training.c:");
}
END_TEST

/* ---- Clipping ---- */

START_TEST(values_are_clipped) {
    const double in[] = {-3, -0.5, 0, 0.5, 0.75, INFINITY, -INFINITY, NAN},
                 want[] = {-0.5, -0.5, 0, 0.5, 0.5, 0.5, -0.5, NAN};
    for (int i = 0; i < 2; i++) {
        ag_dtype dtype = i ? AG_F32 : AG_F64;
        ag_tensor *g[] = {tensor_of(tape, dtype, AG_SHAPE(8), in), tensor_of(tape, dtype, AG_SHAPE(2, 1), in),
                          ag_zeros(tape, dtype, AG_SHAPE(0, 2))};
        ck_assert_int_eq(ag_clip_value(3, g, 0.5), AG_OK);
        expect_near(g[0], 8, want, 0, 0);
        expect_near(g[1], 2, want, 0, 0);
        expect_shape(g[2], AG_SHAPE(0, 2));
        ag_tensor *h = tensor_of(tape, dtype, AG_SHAPE(8), in);
        ck_assert_int_eq(ag_clip_value(1, &h, INFINITY), AG_OK);
        expect_near(h, 8, in, 0, 0);
    }
}
END_TEST

START_TEST(clipping_values_refuses) {
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(2)), *g[] = {x, NULL};
    const double bad[] = {0, -1, NAN};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ag_clip_value(1, g, bad[i]), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "clip_value", "the largest value is", "a number over 0 is wanted",
                     "test_training.c:");
    }
    ck_assert_int_eq(ag_clip_value(2, g, 1), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "clip_value", "second input is NULL");
    g[1] = ag_ones(tape, AG_F32, AG_SHAPE(2));
    ck_assert_int_eq(ag_clip_value(2, g, 1), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "clip_value", "gradient 1 is f32: f32 or f64 is wanted, the same for all");
    ck_assert_ptr_eq(g[0], x);
    g[1] = ag_reshape(x, AG_SHAPE(7));
    ag_clear_error(tape);
    const int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert_int_eq(ag_clip_value(2, g, 1), AG_ERR_NIL);
    expect_error(tape, AG_ERR_NIL, "clip_value", "second input is the nil result");
    ck_assert_ptr_eq(g[0], x);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ck_assert_int_eq(ag_clip_value(0, g, 1), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "clip_value", "NULL or empty", "test_training.c:");
    ck_assert_int_eq(ag_clip_value(1, NULL, 1), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "clip_value");
}
END_TEST

/* ---- Early stopping ---- */

START_TEST(stopping_keeps_the_best) {
    const double loss[] = {5, 3, NAN, 4, 2.5, 2.45, 2.6, 2.7, 1};
    for (int larger = 0; larger < 2; larger++) {
        ag_tensor *v[] = {ag_variable(tape, AG_F64, AG_SHAPE(2), (double[]){0, 0}),
                          ag_variable(tape, AG_I64, AG_SCALAR, &(int64_t){-1}),
                          ag_variable(tape, AG_BOOL, AG_SHAPE(0), NULL)};
        ag_label(v[0], "weight");
        ag_kept kept[3];
        ag_stopping stopping;
        ck_assert_int_eq(ag_stopping_init(&stopping, 3, v, kept), AG_OK);
        ck_assert_str_eq(ag_label_of(kept[0].value), "best.weight");
        stopping.patience = 3, stopping.improvement = 0.1, stopping.larger = larger;
        ag_mark mark = ag_tape_mark(tape);
        for (int64_t i = 0; i < COUNT(loss); i++) {
            ag_set(v[0], (double[]){(double)i, (double)-i});
            ag_set(v[1], &i);
            bool end = ag_stopping_step(&stopping, larger ? -loss[i] : loss[i]);
            ck_assert_int_eq(end, i == 7); /* 5: too small an improvement; 6, 7: none */
            if (i % 2) ag_tape_rewind(tape, mark);
            if (end) break;
        }
        ck_assert(stopping.best_step == 4 && stopping.steps == 8 && stopping.waited == 3);
        ck_assert_double_eq(stopping.best, larger ? -2.5 : 2.5);
        expect_list(v[0], 7, -7);
        ck_assert_int_eq(ag_stopping_restore(&stopping), AG_OK);
        expect_list(v[0], 4, -4);
        expect_list(v[1], 4);
        ag_tape_rewind(tape, mark);
        expect_list(v[0], 4, -4);
        ag_set(v[0], (double[]){1, 1}); /* what is kept is not the variable itself */
        ck_assert_int_eq(ag_stopping_restore(&stopping), AG_OK);
        expect_list(v[0], 4, -4);
    }
}
END_TEST

START_TEST(stopping_watches_without_variables) {
    ag_stopping stopping;
    ck_assert_int_eq(ag_stopping_init(&stopping, 0, NULL, NULL), AG_OK);
    stopping.patience = 2, stopping.absolute = false, stopping.improvement = 0.5;
    const double loss[] = {-1, -1.6, -2, -1.5};
    for (int i = 0; i < 4; i++) ck_assert_int_eq(ag_stopping_step(&stopping, loss[i]), i == 3);
    ck_assert_int_eq(stopping.best_step, 1);
    ck_assert_int_eq(ag_stopping_restore(&stopping), AG_OK);
}
END_TEST

START_TEST(stopping_refuses) {
    model m = model_on(tape, AG_F64);
    ag_kept kept[PARAMETERS];
    ag_stopping stopping;
    ck_assert_int_eq(ag_stopping_init(NULL, 0, NULL, NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "stopping_init: the struct is NULL", "test_training.c:");
    ck_assert_int_eq(ag_stopping_init(&stopping, -1, NULL, NULL), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "stopping_init: -1 variables: 0 or more are wanted");
    ck_assert(ag_stopping_step(&stopping, 1));
    expect_error(NULL, AG_ERR_RANGE, "stopping_step: the struct was not made by its init", "test_training.c:");
    ck_assert_int_eq(ag_stopping_init(&stopping, PARAMETERS, m.p, kept), AG_OK);
    ck_assert_int_eq(ag_stopping_restore(&stopping), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "stopping_restore: there is no best value: 0 were seen", "test_training.c:");
    ck_assert(!ag_stopping_step(&stopping, NAN));
    ck_assert_int_eq(ag_stopping_restore(&stopping), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "1 were seen");
    ck_assert(ag_stopping_step(NULL, 1));
    expect_error(NULL, AG_ERR_NULL, "stopping_step: the struct is NULL");
    stopping.patience = 0;
    ck_assert(ag_stopping_step(&stopping, 1));
    expect_error(NULL, AG_ERR_RANGE, "stopping_step: patience is 0: 1 or more is wanted", "test_training.c:");
    stopping.patience = 1, stopping.improvement = NAN;
    ck_assert(ag_stopping_step(&stopping, 1));
    expect_error(NULL, AG_ERR_RANGE, "stopping_step: improvement is nan");
    stopping.improvement = 0;
    ag_mark mark = ag_tape_mark(tape);
    kept[0].value = ag_variable_from(m.p[0]);
    ag_tape_rewind(tape, mark);
    ck_assert(ag_stopping_step(&stopping, 1));
    expect_error(tape, AG_ERR_TAPE, "");
    ck_assert(stopping.steps == 1 && isnan(stopping.best));
}
END_TEST

/* ---- Values that are lost ---- */

/* A tensor whose evaluation fails. */
static ag_tensor *spoilt(ag_shape shape) {
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(1), (int64_t[]){7});
    ag_tensor *x = ag_gather(ag_zeros(tape, AG_F64, AG_SHAPE(2)), index, 0);
    return ag_contiguous(ag_broadcast_to(x, shape));
}

static void expect_lost(ag_mark mark) {
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "gather");
}

/* One gradient that cannot be computed: none is added, and the batch does not count. */
START_TEST(a_lost_batch_is_lost_whole) {
    ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){0, 0}),
                      ag_parameter(tape, AG_F64, AG_SHAPE(3), (double[]){0, 0, 0})};
    ag_kept kept[2];
    ag_accumulator sum;
    ck_assert_int_eq(ag_accumulator_init(&sum, 2, p, kept), AG_OK);
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *dp[2];
    for (int which = 0; which < 2; which++) {
        for (int i = 0; i < 3; i++) {
            for (int k = 0; k < 2; k++) dp[k] = ag_full(tape, AG_F64, ag_shape_of(p[k]), i + 1);
            if (i < 2) dp[i ? which : 1 - which] = spoilt(ag_shape_of(p[i ? which : 1 - which]));
            ck_assert_int_eq(ag_accumulator_add(&sum, dp, 2), AG_OK);
            if (i < 2) expect_lost(mark);
            ag_tape_rewind(tape, mark);
            ck_assert_int_eq(ag_accumulator_batches(&sum), i / 2);
        }
        for (int i = 0; i < 2; i++) { /* and after one that was carried out */
            for (int k = 0; k < 2; k++) dp[k] = ag_full(tape, AG_F64, ag_shape_of(p[k]), 10);
            dp[i] = spoilt(ag_shape_of(p[i]));
            ck_assert_int_eq(ag_accumulator_add(&sum, dp, 5), AG_OK);
            expect_lost(mark);
            ck_assert_int_eq(sum.batches, 2); /* noticed by the next call */
        }
        ck_assert_int_eq(ag_accumulator_mean(&sum, dp), AG_OK);
        expect_list(dp[0], 3, 3);
        expect_list(dp[1], 3, 3, 3);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* One weight that cannot be computed: no average follows, and the step does not count. */
START_TEST(a_lost_step_of_an_average_is_lost_whole) {
    for (int which = 0; which < 2; which++) {
        ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 1}),
                          ag_parameter(tape, AG_F64, AG_SHAPE(3), (double[]){1, 1, 1})};
        ag_kept kept[2];
        ag_average average;
        ck_assert_int_eq(ag_average_init(&average, 2, p, kept), AG_OK);
        average.decay = 0.5;
        ag_mark mark = ag_tape_mark(tape);
        for (int i = 0; i < 2; i++) {
            for (int k = 0; k < 2; k++) ag_assign(p[k], ag_full(tape, AG_F64, ag_shape_of(p[k]), 3));
            if (i == 0) ag_assign(p[which], spoilt(ag_shape_of(p[which])));
            ck_assert_int_eq(ag_average_step(&average), AG_OK);
            if (i == 0) expect_lost(mark);
            ag_tape_rewind(tape, mark);
            ck_assert_int_eq(ag_average_steps(&average), i);
            expect_list(kept[0].value, i + 1, i + 1);
            expect_list(kept[1].value, i + 1, i + 1, i + 1);
        }
    }
}
END_TEST

/* Nor is anything exchanged, or kept as the best. */
START_TEST(what_cannot_be_copied_stays) {
    for (int which = 0; which < 2; which++) {
        ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 1}),
                          ag_parameter(tape, AG_F64, AG_SHAPE(3), (double[]){1, 1, 1})};
        ag_kept kept[2], best[2];
        ag_average average;
        ag_stopping stopping;
        ck_assert_int_eq(ag_average_init(&average, 2, p, kept), AG_OK);
        ck_assert_int_eq(ag_stopping_init(&stopping, 2, p, best), AG_OK);
        ck_assert(!ag_stopping_step(&stopping, 2));
        ag_mark mark = ag_tape_mark(tape);
        for (int k = 0; k < 2; k++) ag_assign(p[k], ag_full(tape, AG_F64, ag_shape_of(p[k]), 3));
        ag_assign(p[which], spoilt(ag_shape_of(p[which])));
        ck_assert_int_eq(ag_average_swap(&average), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "gather");
        ck_assert(!average.swapped);
        ag_assign(p[which], spoilt(ag_shape_of(p[which])));
        ck_assert(ag_stopping_step(&stopping, 1));
        expect_error(tape, AG_ERR_RANGE, "gather");
        ck_assert(stopping.best == 2 && stopping.best_step == 0 && stopping.steps == 1);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        expect_list(kept[0].value, 1, 1);
        expect_list(kept[1].value, 1, 1, 1);
        ck_assert_int_eq(ag_stopping_restore(&stopping), AG_OK);
        expect_list(p[0], 1, 1);
        expect_list(p[1], 1, 1, 1);
    }
}
END_TEST

/* ---- Resuming ---- */

typedef struct training {
    model m;
    ag_adam adam;
    ag_average average;
    ag_stopping stopping;
    ag_plateau plateau;
} training;

static void open_training(training *r, ag_tape *t) {
    r->m = model_on(t, AG_F32);
    ag_adam_init(&r->adam, PARAMETERS, r->m.p, NULL);
    ag_average_init(&r->average, PARAMETERS, r->m.p, NULL);
    ag_stopping_init(&r->stopping, PARAMETERS, r->m.p, NULL);
    ag_plateau_init(&r->plateau, 0.1);
    r->plateau.patience = 0, r->plateau.improvement = 0.2, r->plateau.factor = 0.5;
    r->average.decay = 0.5, r->average.corrected = true;
}

static void train_step(training *r, int step) {
    ag_tape *t = ag_tape_of(r->m.p[0]);
    ag_mark mark = ag_tape_mark(t);
    ag_tensor *dp[PARAMETERS];
    ag_freeze(r->m.p[1], step < 2);
    ag_tensor *loss = loss_of(&r->m, step * 4, 4);
    ag_grad(loss, PARAMETERS, r->m.p, dp);
    r->adam.rate = ag_plateau_rate(&r->plateau, ag_item(loss));
    ag_adam_step(&r->adam, dp);
    ag_average_step(&r->average);
    ag_stopping_step(&r->stopping, ag_item(loss));
    ck_assert_int_eq(ag_tape_rewind(t, mark), AG_OK);
}

/* As a checkpoint does it: all variables by name, and the public numbers. */
static void carry_over(training *to, const training *from) {
    ag_list a = ag_state(ag_tape_of(from->m.p[0]), NULL), b = ag_state(ag_tape_of(to->m.p[0]), NULL);
    ck_assert(a.n == b.n && a.n == 5 * PARAMETERS);
    for (int i = 0; i < a.n; i++) {
        ck_assert_str_eq(ag_label_of(a.x[i]), ag_label_of(b.x[i]));
        ck_assert_int_eq(ag_set(b.x[i], ag_data(a.x[i])), AG_OK);
    }
    to->adam.steps = from->adam.steps;
    for (int i = 0; i < PARAMETERS; i++) to->adam.slots[i].missed = from->adam.slots[i].missed;
    to->average.steps = from->average.steps, to->average.swapped = from->average.swapped;
    to->stopping.best = from->stopping.best, to->stopping.best_step = from->stopping.best_step;
    to->stopping.steps = from->stopping.steps, to->stopping.waited = from->stopping.waited;
    to->plateau.rate = from->plateau.rate, to->plateau.best = from->plateau.best;
    to->plateau.waited = from->plateau.waited, to->plateau.cooling = from->plateau.cooling;
}

START_TEST(training_resumes_with_the_same_bits) {
    for (int swapped = 0; swapped < 2; swapped++) {
        ag_tape *one = ag_tape_new(), *other = ag_tape_new();
        training whole, resumed;
        open_training(&whole, one), open_training(&resumed, other);
        for (int step = 0; step < 6; step++) {
            if (step == 3) {
                if (swapped) ag_average_swap(&whole.average);
                carry_over(&resumed, &whole);
                if (swapped) ag_average_swap(&whole.average), ag_average_swap(&resumed.average);
            }
            train_step(&whole, step);
            if (step >= 3) train_step(&resumed, step);
        }
        ag_list a = ag_state(one, NULL), b = ag_state(other, NULL);
        for (int i = 0; i < a.n; i++) {
            size_t bytes = (size_t)ag_size(a.x[i]) * sizeof(float);
            ck_assert_msg(memcmp(ag_data(a.x[i]), ag_data(b.x[i]), bytes) == 0, "%s differs", ag_label_of(a.x[i]));
        }
        ck_assert(whole.adam.steps == 6 && whole.adam.slots[1].missed == 2);
        ck_assert(resumed.stopping.best_step == whole.stopping.best_step && whole.plateau.rate < 0.1);
        ck_assert_double_eq(resumed.plateau.rate, whole.plateau.rate);
        expect_ok(one), expect_ok(other);
        ag_tape_free(one), ag_tape_free(other);
    }
}
END_TEST

/* ---- Failing allocations ---- */

typedef struct run {
    int64_t batches, steps;
    double p[IN * OUT], sum[IN * OUT], average[IN * OUT], best[IN * OUT];
    bool swapped;
    ag_status status;
} run;

/* Everything once, on a tape whose allocation number fail_at fails; what is there afterwards. */
static run all_of_it(ledger *l, int64_t fail_at) {
    ag_tape *t = ag_tape_new_with(&l->allocator);
    run r = {.status = AG_ERR_MEMORY};
    if (!t) return r;
    model m = model_on(t, AG_F64);
    ag_slot slots[PARAMETERS];
    ag_accumulator sum;
    ag_average average;
    ag_stopping stopping;
    ag_sgd sgd;
    l->fail_at = 0;
    ag_sgd_init(&sgd, PARAMETERS, m.p, slots, 0.5, 0);
    l->fail_at = fail_at > 0 ? l->calls + fail_at : 0;
    ag_status made = ag_accumulator_init(&sum, PARAMETERS, m.p, NULL);
    if (made == AG_OK) made = ag_average_init(&average, PARAMETERS, m.p, NULL);
    if (made == AG_OK) made = ag_stopping_init(&stopping, PARAMETERS, m.p, NULL);
    if (made == AG_OK) {
        ag_mark mark = ag_tape_mark(t);
        ag_tensor *dp[PARAMETERS];
        for (int i = 0; i < 2; i++) {
            ag_grad(loss_of(&m, i * 8, 8), PARAMETERS, m.p, dp);
            ag_accumulator_add(&sum, dp, 1);
            ag_tape_rewind(t, mark);
        }
        if (ag_tape_status(t) == AG_OK && ag_accumulator_mean(&sum, dp) == AG_OK) ag_sgd_step(&sgd, dp);
        ag_average_step(&average);
        ag_tape_rewind(t, mark);
        if (ag_tape_status(t) == AG_OK) ag_stopping_step(&stopping, 1);
        ag_average_swap(&average);
        ag_tape_rewind(t, mark);
        r.status = ag_tape_status(t);
        l->fail_at = 0;
        ag_clear_error(t);
        r.batches = ag_accumulator_batches(&sum), r.steps = ag_average_steps(&average);
        r.swapped = average.swapped;
        copy_to(r.p, m.p[0]), copy_to(r.sum, sum.kept[0].value);
        copy_to(r.average, average.kept[0].value), copy_to(r.best, stopping.kept[0].value);
        if (stopping.best_step >= 0) ck_assert_int_eq(ag_stopping_restore(&stopping), AG_OK);
    }
    l->fail_at = 0;
    ag_tape_free(t);
    return r;
}

static bool same_numbers(const double a[IN * OUT], const double b[IN * OUT]) {
    return memcmp(a, b, sizeof(double) * IN * OUT) == 0;
}

/* Whatever fails, what is counted is what is there. */
START_TEST(nothing_is_done_by_halves) {
    ledger l;
    ledger_open(&l);
    run whole = all_of_it(&l, 0);
    ck_assert_int_eq(whole.status, AG_OK);
    ck_assert(whole.steps == 1 && whole.swapped && whole.batches == 0);
    double before[IN * OUT];
    for (int i = 0; i < IN * OUT; i++) before[i] = scatter(7 + (uint64_t)i);
    for (int64_t at = 1, ended = 0; !ended; at++) {
        l.failed = false;
        run r = all_of_it(&l, at);
        ended = !l.failed;
        if (r.status == AG_OK) continue;
        ck_assert_int_eq(r.status, AG_ERR_MEMORY);
        if (isnan(r.p[0]) || (r.p[0] == 0 && r.p[1] == 0)) continue; /* an init failed */
        ck_assert_msg(same_numbers(r.p, before) || same_numbers(r.p, whole.p) || same_numbers(r.p, whole.average),
                      "allocation %d: half a step", (int)at);
        if (r.swapped && r.steps == 1) ck_assert(same_numbers(r.p, whole.p));
        if (r.steps == 0 && !r.swapped) ck_assert(same_numbers(r.average, before));
        if (r.steps == 1 && !r.swapped) ck_assert(!same_numbers(r.p, before) == !same_numbers(r.average, before));
        if (r.batches == 0 && r.sum[0] == 0) ck_assert(same_numbers(r.p, before));
        if (r.batches == 2) ck_assert(same_numbers(r.sum, whole.sum));
    }
    ledger_close(&l);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("training");
    TCase *schedules = plain_group(suite, "schedules");
    tcase_add_test(schedules, schedules_agree_with_pytorch);
    tcase_add_test(schedules, warm_ups_agree_with_pytorch);
    tcase_add_test(schedules, momenta_agree_with_pytorch);
    tcase_add_test(schedules, schedules_have_ends);
    tcase_add_test(schedules, schedules_refuse);
    tcase_add_test(schedules, plateaus_agree_with_pytorch);
    tcase_add_test(schedules, plateaus_know_negative_values);
    tcase_add_test(schedules, plateaus_refuse);

    TCase *sums = tape_group(suite, "accumulation");
    tcase_add_test(sums, batches_add_up_to_a_large_one);
    tcase_add_test(sums, sums_are_exact_for_whole_numbers);
    tcase_add_test(sums, sums_can_be_resumed);
    tcase_add_test(sums, accumulators_refuse);

    TCase *averages = tape_group(suite, "averages");
    tcase_add_test(averages, averages_agree_with_pytorch);
    tcase_add_test(averages, corrected_averages_weigh_all_steps);
    tcase_add_test(averages, swapping_is_exact);
    tcase_add_test(averages, averages_refuse);

    TCase *groups = tape_group(suite, "groups");
    tcase_add_test(groups, groups_agree_with_pytorch);
    tcase_add_test(groups, frozen_parameters_agree_with_pytorch);
    tcase_add_test(groups, a_step_of_nothing_changes_nothing);
    tcase_add_test(groups, freezing_costs_no_backward_time);
    tcase_add_test(groups, freezing_is_for_what_is_recorded_then);
    tcase_add_test(groups, reports_know_what_is_frozen);
    tcase_add_test(groups, freezing_refuses);
    tcase_add_test(groups, groups_refuse);
    tcase_add_test(groups, values_are_clipped);
    tcase_add_test(groups, clipping_values_refuses);

    TCase *stopping = tape_group(suite, "stopping");
    tcase_add_test(stopping, stopping_keeps_the_best);
    tcase_add_test(stopping, stopping_watches_without_variables);
    tcase_add_test(stopping, stopping_refuses);

    TCase *lost = tape_group(suite, "lost and found");
    tcase_add_test(lost, training_resumes_with_the_same_bits);
    tcase_add_test(lost, a_lost_batch_is_lost_whole);
    tcase_add_test(lost, a_lost_step_of_an_average_is_lost_whole);
    tcase_add_test(lost, what_cannot_be_copied_stays);

    tcase_add_test(plain_group(suite, "allocations"), nothing_is_done_by_halves);
    return run_suite(suite);
}
