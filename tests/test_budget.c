/* test_budget -- tapes that may use only so much, and that are interrupted
 *
 * A step of training runs under each limit in turn that is too low for it, until one is high enough. After each failure
 * the variables have their bits of before, and once the limit is lifted, the step has the bits of one that was never
 * limited. A program that is interrupted at any time, by a signal or by another thread, has variables of one step. */
#include "autograd/tape/limits.h"
#include "nn/nn.h"
#include "tests/support.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { SIDE = 24, ELEMENTS = SIDE * SIDE, VARIABLES = 2, STEPS = 400 };

static const double rate = 0x1p-6;

/* Two weights, between which nothing but the steps' number tells whether they belong together. */
typedef struct net {
    ag_tape *tape;
    ag_tensor *weight[VARIABLES], *x;
} net;

typedef struct values {
    double of[VARIABLES][ELEMENTS];
} values;

static net net_on(ag_tape *t) {
    net n = {.tape = t};
    for (int i = 0; i < VARIABLES; i++)
        n.weight[i] = ag_variable_from(scattered(t, AG_F64, AG_SHAPE(SIDE, SIDE), (uint64_t)i * ELEMENTS));
    n.x = scattered(t, AG_F64, AG_SHAPE(SIDE, SIDE), 2 * ELEMENTS);
    return n;
}

/* One step of gradient descent; AG_OK, or why it failed. */
static ag_status step(const net *n) {
    const ag_mark mark = ag_tape_mark(n->tape);
    ag_tensor *y = ag_tanh(ag_matmul(ag_tanh(ag_matmul(n->x, n->weight[0])), n->weight[1])), *g[VARIABLES];
    ag_grad(ag_mean(ag_square(y)), VARIABLES, n->weight, g);
    for (int i = 0; i < VARIABLES; i++) g[i] = ag_sub(n->weight[i], ag_scale(g[i], rate));
    for (int i = 0; i < VARIABLES && ag_tape_status(n->tape) == AG_OK; i++) ag_assign(n->weight[i], g[i]);
    const ag_status recorded = ag_tape_status(n->tape);
    if (recorded != AG_OK) ag_clear_error(n->tape); /* so that the rewind shows its own */
    const ag_status rewound = ag_mark_valid(mark) ? ag_tape_rewind(n->tape, mark) : AG_OK;
    return recorded != AG_OK ? recorded : rewound;
}

static values values_of(const net *n) {
    values v;
    for (int i = 0; i < VARIABLES; i++) memcpy(v.of[i], ag_data(n->weight[i]), sizeof v.of[i]);
    expect_ok(n->tape);
    return v;
}

static bool are_equal(const values *a, const values *b) { return memcmp(a, b, sizeof *a) == 0; }

/* ---- Limits that are too low ---- */

/* Steps under limits from `low` on, by `by`, of bytes or of tensors; returns the first that sufficed. */
static int64_t expect_old_values_below(int64_t low, int64_t by, bool of_bytes) {
    ag_tape *other = ag_tape_new();
    const net free_net = net_on(other), n = net_on(tape);
    const values before = values_of(&n);
    ck_assert_int_eq(step(&free_net), AG_OK);
    const values after = values_of(&free_net);
    int64_t limit = low, failures = 0;
    for (;; limit += by, failures++) {
        ag_tape_trim(tape);
        ck_assert_int_eq(ag_tape_limit(tape, of_bytes ? limit : 0, of_bytes ? 0 : limit, 0), AG_OK);
        const ag_status status = step(&n);
        const ag_memory m = ag_tape_memory(tape);
        ag_clear_error(tape);
        ag_tape_limit(tape, 0, 0, 0);
        ck_assert_int_le(of_bytes ? m.held : m.nodes, limit);
        const values now = values_of(&n);
        if (status == AG_OK) {
            ck_assert(are_equal(&now, &after));
            break;
        }
        ck_assert_int_eq(status, AG_ERR_LIMIT);
        ck_assert_msg(are_equal(&now, &before), "limit %lld: a variable has changed", (long long)limit);
    }
    ck_assert_int_gt(failures, 3);
    ag_tape_free(other);
    return limit;
}

START_TEST(each_limit_of_bytes_that_is_too_low_changes_nothing) {
    for (int threads = 1; threads <= 2; threads++) {
        ag_tape_set_threads(tape, threads);
        ag_tape_set_evaluator(tape, threads == 1 ? AG_EVALUATOR_REFERENCE : AG_EVALUATOR_FUSED);
        const ag_mark mark = ag_tape_mark(tape);
        const int64_t low = ag_tape_memory(tape).held + 3 * ELEMENTS * 8 + 34000; /* tiny pieces need little more */
        expect_old_values_below(low, small_run() && !AG_TINY_LIMITS ? 2048 : 96, true);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

START_TEST(each_limit_of_tensors_that_is_too_low_changes_nothing) {
    const int64_t enough = expect_old_values_below(ag_tape_memory(tape).nodes + 6, 1, false);
    ck_assert_int_gt(enough, ag_tape_memory(tape).nodes);
}
END_TEST

/* ---- Layers, optimisers, averages ---- */

/* Any of their structs, for a pair of parameters. */
typedef union made {
    ag_linear linear;
    ag_conv conv;
    ag_batchnorm batchnorm;
    ag_lstm_cell cell;
    ag_attention attention;
    ag_rnn rnn;
    ag_adam adam;
    ag_accumulator sum;
    ag_average average;
    ag_stopping stopping;
} made;

enum { INITS = 10 };

static ag_status init(int i, made *m, ag_tape *t, ag_tensor *const p[2]) {
    if (i == 0) return ag_linear_init(&m->linear, t, AG_F64, 2, 3);
    if (i == 1) return ag_conv_init(&m->conv, t, AG_F64, 2, 3, AG_SHAPE(2), NULL);
    if (i == 2) return ag_batchnorm_init(&m->batchnorm, t, AG_F64, 2);
    if (i == 3) return ag_lstm_cell_init(&m->cell, t, AG_F64, 2, 3);
    if (i == 4) return ag_attention_init(&m->attention, t, AG_F64, 4, 2);
    if (i == 5) return ag_rnn_init(&m->rnn, t, AG_F64, &(ag_rnn){AG_CELL_GRU, .in = 2, .hidden = 3, .layers = 2}, NULL);
    if (i == 6) return ag_adam_init(&m->adam, 2, p, NULL);
    if (i == 7) return ag_accumulator_init(&m->sum, 2, p, NULL);
    if (i == 8) return ag_average_init(&m->average, 2, p, NULL);
    return ag_stopping_init(&m->stopping, 2, p, NULL);
}

/* Fills p with labelled parameters of a new tape. */
static ag_tape *with_parameters(ag_tensor *p[2]) {
    ag_tape *t = ag_tape_new();
    for (int i = 0; i < 2; i++)
        p[i] = ag_label(ag_parameter(t, AG_F64, AG_SHAPE(2), (double[]){1, 2}), i ? "second" : "first");
    return t;
}

/* It then succeeds at the second try, and no name is taken. */
START_TEST(an_init_that_lacks_tensors_leaves_nothing) {
    ag_status status = AG_ERR_LIMIT;
    for (int64_t more = 1; status != AG_OK; more++) {
        ag_tensor *p[2];
        ag_tape *t = with_parameters(p);
        made m;
        ag_zeros(t, AG_F64, AG_SCALAR);
        const int64_t before = ag_tape_memory(t).nodes;
        ag_tape_limit(t, 0, before + more - 1, 0);
        status = init(_i, &m, t, p);
        if (status != AG_OK) {
            ck_assert_int_eq(status, AG_ERR_LIMIT);
            ck_assert_msg(strstr(ag_tape_error(t), "test_budget.c:") != NULL, "init %d: %s", _i, ag_tape_error(t));
            ag_clear_error(t);
            ck_assert_msg(_i > 4 || ag_is_nil(m.linear.weight), "init %d: the first handle is not nil", _i);
            ck_assert_msg(ag_tape_memory(t).nodes == before, "init %d leaves %lld tensors", _i,
                          (long long)(ag_tape_memory(t).nodes - before));
            ag_tape_limit(t, 0, 0, 0);
            ck_assert_int_eq(init(_i, &m, t, p), AG_OK);
            ck_assert_int_gt(ag_state(t, NULL).n, 2);
        }
        expect_ok(t);
        ag_tape_free(t);
    }
}
END_TEST

/* Gradients that are views, and a first average: values that a variable cannot take over without a copy. */
START_TEST(averages_and_sums_that_lack_tensors_change_nothing) {
    ag_status status = AG_ERR_LIMIT;
    for (int64_t more = 0; status != AG_OK; more++) {
        ag_tensor *p[2], *dp[2];
        ag_tape *t = with_parameters(p);
        made m;
        ck_assert_int_eq(init(_i ? 7 : 8, &m, t, p), AG_OK);
        if (!_i) m.average.corrected = true;
        for (int i = 0; i < 2; i++) ag_set(p[i], (double[]){3, 4});
        ag_grad(ag_add(ag_sum(p[0]), ag_sum(p[1])), 2, p, dp);
        ag_tape_limit(t, 0, ag_tape_memory(t).nodes + more, 0);
        status = _i ? ag_accumulator_add(&m.sum, dp, 1) : ag_average_step(&m.average);
        ag_clear_error(t);
        ag_tape_limit(t, 0, 0, 0);
        const ag_kept *kept = _i ? m.sum.kept : m.average.kept;
        const bool good = status == AG_OK;
        for (int i = 0; i < 2; i++) ck_assert_double_eq(ag_element(kept[i].value, 0), _i ? good : good ? 3 : 1);
        if (_i) ck_assert_double_eq(ag_item(m.sum.weight), good);
        expect_ok(t);
        ag_tape_free(t);
    }
}
END_TEST

START_TEST(batch_normalisation_that_lacks_tensors_has_no_output) {
    ag_status status = AG_ERR_LIMIT;
    for (int64_t more = 0; status != AG_OK; more++) {
        ag_tape *t = ag_tape_new();
        ag_batchnorm layer;
        ag_batchnorm_init(&layer, t, AG_F64, 2);
        ag_tensor *x = ag_from(t, AG_F64, AG_SHAPE(2, 2), (double[]){1, 2, 3, 4});
        ag_tape_limit(t, 0, ag_tape_memory(t).nodes + more, 0);
        ag_tensor *y = ag_batchnorm_apply(&layer, x, true);
        status = ag_tape_status(t);
        ck_assert_int_eq(ag_is_nil(y), status != AG_OK);
        ag_clear_error(t);
        ag_tape_limit(t, 0, 0, 0);
        ck_assert_int_eq(ag_element(layer.running_mean, 0) != 0, status == AG_OK);
        ag_tape_free(t);
    }
}
END_TEST

bool ag__has_lapack(void);

enum { SEVERAL = 16 };

/* Call number i of several results, which may find r[…] as it is; returns how many there are. */
static int several_results(int i, ag_tape *t, ag_tensor *r[]) {
    static const double symmetric[] = {4, 1, 1, 3};
    ag_tensor *a = ag_from(t, AG_F64, AG_SHAPE(2, 2), symmetric);
    ag_batchnorm batch;
    ag_batchnorm_nodes nodes = {r[0], r[0], r[0], r[0]};
    ag_rnn rnn;
    ag_rnn_state state = {NULL, NULL};
    switch (i) {
    case 0: r[0] = ag_topk_along(a, 1, 0, true, &r[1]); return 2;
    case 1: r[0] = ag_unique(a, &r[1], &r[2]); return 3;
    case 2: r[0] = ag_unique(a, &r[1], NULL); return 2;
    case 3: r[0] = ag_unique(a, NULL, &r[1]); return 2;
    case 4: r[0] = ag_cummax_indices(a, 0, &r[1]); return 2;
    case 5: r[0] = ag_cummin_indices(a, 1, &r[1]); return 2;
    case 6: ag_slogdet(a, &r[0], &r[1]); return 2;
    case 7: ag_lu(a, &r[0], &r[1], &r[2]); return 3;
    case 8: ag_qr(a, &r[0], &r[1]); return 2;
    case 9: ag_eigh(a, &r[0], &r[1]); return 2;
    case 10: ag_svd(a, &r[0], &r[1], &r[2]); return 3;
    case 11: r[0] = ag_max_pool_indices(ag_unsqueeze(a, 0), AG_SHAPE(1), NULL, &r[1]); return 2;
    case 12: r[0] = r[1] = a, r[2] = ag_clip_norm(2, r, 1); return 3;
    case 13:
        ag_batchnorm_init(&batch, t, AG_F64, 2);
        r[0] = ag_batchnorm_apply_nodes(&batch, ag_unsqueeze(a, 0), true, &nodes);
        r[1] = nodes.mean, r[2] = nodes.centred, r[3] = nodes.normalised;
        return 4;
    default:
        ag_rnn_init(&rnn, t, AG_F64,
                    &(ag_rnn){.in = 2, .hidden = 1, .layers = 1, .cell = i % 2 ? AG_CELL_LSTM : AG_CELL_GRU}, NULL);
        r[0] = ag_rnn_apply(&rnn, ag_unsqueeze(a, 0), NULL, &state, false);
        r[1] = state.hidden, r[2] = state.cell ? state.cell : state.hidden;
        return 3;
    }
}

START_TEST(several_results_that_lack_tensors_are_all_nil) {
    ag_status status = AG_ERR_LIMIT;
    int64_t more = 1;
    for (; status == AG_ERR_LIMIT; more++) {
        ag_tape *t = ag_tape_new();
        ag_tensor *other = ag_ones(t, AG_F64, AG_SCALAR), *r[4] = {other, other, other, other};
        ag_tape_limit(t, 0, more, 0);
        const int n = several_results(_i, t, r);
        status = ag_tape_status(t);
        for (int i = 0; i < n; i++)
            ck_assert_msg(ag_is_nil(r[i]) == (status != AG_OK), "call %d, limit %lld, result %d", _i, (long long)more,
                          i);
        ag_tape_free(t);
    }
    const bool refused = _i >= 8 && _i <= 10 && !ag__has_lapack(); /* once there are the operands */
    ck_assert_int_eq(status, refused ? AG_ERR_LIBRARY : AG_OK);
    ck_assert_int_gt(more, refused ? 2 : 4);
}
END_TEST

START_TEST(a_place_that_is_missing_leaves_no_result) {
    ag_tensor *a = ag_ones(tape, AG_F64, AG_SHAPE(2, 2)), *r[2];
    for (int i = 0; i < 5; i++) {
        r[0] = r[1] = a;
        const ag_status status = i == 0   ? ag_slogdet(a, &r[0], NULL)
                                 : i == 1 ? ag_lu(a, &r[0], NULL, &r[1])
                                 : i == 2 ? ag_qr(a, NULL, &r[0])
                                 : i == 3 ? ag_eigh(a, &r[0], NULL)
                                          : ag_svd(a, &r[0], &r[1], NULL);
        ck_assert_int_eq(status, AG_ERR_NULL);
        ck_assert(ag_is_nil(r[0]));
        ck_assert(ag_is_nil(r[1]) == (i == 1 || i == 4));
        expect_error(tape, AG_ERR_NULL, "a place for a result is NULL");
    }
}
END_TEST

START_TEST(limits_name_themselves_and_can_be_lifted) {
    const int64_t held = ag_tape_memory(tape).held;
    ck_assert_int_eq(ag_tape_limit(tape, held + 65536, 0, 0), AG_OK);
    ck_assert(ag_is_nil(ag_from(tape, AG_F64, AG_SHAPE(10000), (double[10000]){0})));
    expect_error(tape, AG_ERR_LIMIT, "from: ", "bytes", "the limit is ", "test_budget.c:");
    ag_tensor *x = ag_full(tape, AG_F64, AG_SHAPE(3), 2);
    ag_tape_limit(tape, 0, ag_tape_memory(tape).nodes + 2, 0);
    for (int i = 0; i < 2; i++) x = ag_square(x);
    expect_ok(tape);
    ck_assert(ag_is_nil(ag_neg(x)));
    expect_error(tape, AG_ERR_LIMIT, "neg: ", "another tensor", "the limit is ", " tensors", "test_budget.c:");
    expect_list(x, 16, 16, 16);
    ag_tape_limit(tape, 0, 0, 0);
    expect_list(ag_neg(x), -16, -16, -16);
    ag_tape_limit(tape, 1, 1, 0); /* less than there is already: that stays, and more is refused */
    expect_list(x, 16, 16, 16);
    ck_assert(ag_is_nil(ag_neg(x)));
    expect_error(tape, AG_ERR_LIMIT, "neg: ");
}
END_TEST

START_TEST(rewinding_and_slots_of_segments_keep_to_the_limit) {
    for (int most = 1; most <= 400; most += 7) {
        const ag_mark mark = ag_tape_mark(tape);
        ag_tape_limit(tape, 0, most, 0);
        ag_tensor *x = ag_ones(tape, AG_F64, AG_SCALAR);
        for (int i = 1; i < most; i++) x = ag_neg(x);
        expect_item(x, most % 2 ? 1 : -1);
        ck_assert_int_eq(ag_tape_memory(tape).nodes, most);
        ck_assert(ag_is_nil(ag_neg(x)));
        expect_error(tape, AG_ERR_LIMIT, "tensors");
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
}
END_TEST

START_TEST(limits_are_checked) {
    ck_assert_int_eq(ag_tape_limit(tape, -1, 0, 0), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "tape_limit: ", "-1 bytes", "test_budget.c:");
    ag_tape_limit(tape, 0, -2, 0);
    expect_error(tape, AG_ERR_RANGE, "tape_limit: ", "-2 tensors");
    ag_tape_limit(tape, 0, 0, -0.5);
    expect_error(tape, AG_ERR_RANGE, "tape_limit: ", "-0.5 seconds");
    ag_tape_limit(tape, 0, 0, NAN);
    expect_error(tape, AG_ERR_RANGE, "tape_limit: ");
    ck_assert_int_eq(ag_tape_limit(NULL, 0, 0, 0), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "tape_limit: ");
    ag_tape_interrupt(NULL);
    ag_tape_limit(tape, INT64_MAX, INT64_MAX, (double)INFINITY);
    expect_item(ag_neg(ag_ones(tape, AG_F64, AG_SCALAR)), -1);
}
END_TEST

/* ---- Time ---- */

START_TEST(time_that_is_over_stops_recording_and_evaluating) {
    ag_tensor *x = ag_neg(ag_ones(tape, AG_F64, AG_SCALAR));
    ck_assert_int_eq(ag_tape_limit(tape, 0, 0, 1e-9), AG_OK);
    ck_assert(isnan(ag_item(x)));
    expect_error(tape, AG_ERR_LIMIT, ": the limit of 1e-09 seconds is over", "test_budget.c:");
    for (int i = 0; i < 200; i++) x = ag_neg(x);
    expect_error(tape, AG_ERR_LIMIT, "tape: ", "the limit of 1e-09 seconds is over");
    ag_tape_limit(tape, 0, 0, 3600);
    expect_item(ag_neg(ag_ones(tape, AG_F64, AG_SCALAR)), -1);
    const double short_time = 0.02;
    const net n = net_on(tape);
    ag_tape_limit(tape, 0, 0, short_time);
    ag_status status = AG_OK;
    for (int64_t i = 0; status == AG_OK && i < INT64_C(100000000); i++) status = step(&n);
    ck_assert_int_eq(status, AG_ERR_LIMIT);
}
END_TEST

/* ---- Interruptions ---- */

static ag_tape *being_run;
static atomic_bool ends;

/* Microseconds until the next interruption: longer and longer, so that a step ends however slow it is, and then short
 * again. */
static useconds_t pause_after(useconds_t pause) { return pause < 100000 ? pause + pause / 2 + 1 : 50; }

static useconds_t until_signal;

static void wait_for_signal(void) {
    until_signal = pause_after(until_signal);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, (suseconds_t)until_signal}}, NULL);
}

static void interrupt(int signal) {
    (void)signal;
    ag_tape_interrupt(being_run);
    wait_for_signal();
}

static void *interrupt_now_and_then(void *unused) {
    for (useconds_t pause = 50; !atomic_load(&ends); pause = pause_after(pause)) {
        usleep(pause);
        ag_tape_interrupt(being_run);
    }
    return unused;
}

/* Each step is tried until it is not interrupted; a step that was interrupted has changed no variable, or all. */
static int64_t run_interrupted(const net *n, const values *after) {
    int64_t interruptions = 0;
    values now = values_of(n), before = now;
    for (int i = 0; i < STEPS;) {
        const ag_status status = step(n);
        if (status != AG_OK) {
            ck_assert_int_eq(status, AG_ERR_LIMIT);
            interruptions++;
        }
        ag_clear_error(n->tape);
        do { /* reading may be interrupted too */
            ag_clear_error(n->tape);
            for (int k = 0; k < VARIABLES; k++) {
                const void *data = ag_data(n->weight[k]);
                if (data) memcpy(now.of[k], data, sizeof now.of[k]);
            }
        } while (ag_tape_status(n->tape) != AG_OK);
        if (status == AG_OK) i++;
        ck_assert_msg(are_equal(&now, i == 0 ? &before : &after[i - 1]), "step %d: torn variables", i);
    }
    return interruptions;
}

static values after[STEPS];

static void run_alone(void) {
    ag_tape *other = ag_tape_new();
    const net n = net_on(other);
    for (int i = 0; i < STEPS; i++) {
        ck_assert_int_eq(step(&n), AG_OK);
        after[i] = values_of(&n);
    }
    ag_tape_free(other);
}

START_TEST(an_interruption_comes_before_or_within_an_evaluation) {
    ag_tensor *x = ag_neg(ag_ones(tape, AG_F64, AG_SHAPE(3)));
    ag_tape_interrupt(tape);
    ck_assert_ptr_null(ag_data(x));
    expect_error(tape, AG_ERR_LIMIT, ": interrupted", "test_budget.c:");
    expect_list(x, -1, -1, -1);
    ag_tape_interrupt(tape);
    ag_clear_error(tape);
    expect_list(ag_square(x), 1, 1, 1);
}
END_TEST

/* Done once more, it would be done twice otherwise: v - 1 is of the value that v has then. */
START_TEST(an_eager_assignment_that_is_interrupted_is_not_made) {
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SCALAR, &(double){5}), *less = ag_add_scalar(v, -1);
    ag_tape_set_eager(tape, true);
    ag_tape_interrupt(tape);
    ck_assert_int_eq(ag_assign(v, less), AG_ERR_LIMIT);
    expect_error(tape, AG_ERR_LIMIT, ": interrupted", "test_budget.c:");
    ck_assert_int_eq(ag_values_given(v), 0);
    expect_item(v, 5);
    ck_assert_int_eq(ag_assign(v, ag_add_scalar(v, -1)), AG_OK);
    expect_item(v, 4);
}
END_TEST

static atomic_int countdown; /* calls of the kernel until it interrupts */

/* y = x; its kernel interrupts the tape, so that an interruption comes at each place where kernels run. */
static void interrupting_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    memmove(y, x[0], (size_t)n * sizeof(double));
    if (atomic_fetch_sub(&countdown, 1) == 1) ag_tape_interrupt(being_run);
}

static const ag_op interrupting = {.name = "interrupting",
                                   .kind = AG_KIND_ELEMENTWISE,
                                   .arity = 1,
                                   .block = {[AG_F64] = interrupting_f64},
                                   .vjp = ag_zero_vjp};

/* Several variables of different shapes are written in place one after another; between them are no nodes, more than a
 * segment has, or more than are planned together. */
static const int between[] = {0, AG__SEGMENT + 1, AG__CHUNK + 100};

START_TEST(an_interruption_at_any_kernel_leaves_all_variables_or_none) {
    enum { MANY = 4, MOST_CALLS = 100, MOST_CALLS_OF_LONG = 14 };
    const int most = between[_i] ? MOST_CALLS_OF_LONG : MOST_CALLS,
              rows = between[_i] ? AG__LIMIT(5, 1) : AG__LIMIT(1000, 20);
    being_run = tape;
    int interruptions = 0, changes = 0;
    for (int at = 1; at < most; at++) {
        const ag_mark start = ag_tape_mark(tape);
        ag_tensor *v[MANY];
        for (int i = 0; i < MANY; i++) v[i] = ag_variable_from(ag_zeros(tape, AG_F64, AG_SHAPE(rows * (i + 1), 3)));
        const ag_mark mark = ag_tape_mark(tape);
        atomic_store(&countdown, at);
        for (int i = 0; i < MANY; i++) {
            ag_tensor *x = ag_apply(&interrupting, 1, &v[i], NULL, 0);
            for (int k = 0; i == MANY / 2 && k < between[_i]; k++) x = ag_neg(x);
            ag_assign(v[i], ag_add_scalar(ag_apply(&interrupting, 1, &x, NULL, 0), 1));
        }
        expect_ok(tape);
        const ag_status status = ag_tape_rewind(tape, mark);
        if (status != AG_OK) expect_error(tape, AG_ERR_LIMIT, "interrupted");
        ag_clear_error(tape);
        for (int i = 0; i < MANY; i++) ck_assert(ag_element(v[i], 0) == (status == AG_OK));
        interruptions += status != AG_OK;
        changes += status == AG_OK;
        ag_tape_rewind(tape, start);
    }
    ck_assert_int_gt(changes, 0);
    if (ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED) == AG_EVALUATOR_REFERENCE) ck_assert_int_gt(interruptions, 0);
}
END_TEST

START_TEST(a_signal_leaves_variables_of_one_step) {
    run_alone();
    const net n = net_on(tape);
    being_run = tape;
    signal(SIGALRM, interrupt);
    wait_for_signal();
    const int64_t interruptions = run_interrupted(&n, after);
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    ck_assert_int_gt(interruptions, 0);
}
END_TEST

/* The other thread may get no processor until all is over: then it tries again. */
START_TEST(another_thread_leaves_variables_of_one_step) {
    run_alone();
    being_run = tape;
    int64_t interruptions = 0;
    for (int tries = 0; tries < 100 && interruptions == 0; tries++) {
        const ag_mark start = ag_tape_mark(tape);
        const net n = net_on(tape);
        pthread_t thread;
        atomic_store(&ends, false);
        ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_now_and_then, NULL), 0);
        interruptions = run_interrupted(&n, after);
        atomic_store(&ends, true);
        pthread_join(thread, NULL);
        ag_clear_error(tape);
        ag_tape_rewind(tape, start);
    }
    ck_assert_int_gt(interruptions, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("budget");
    TCase *limits = tape_group(suite, "limits");
    tcase_add_test(limits, each_limit_of_bytes_that_is_too_low_changes_nothing);
    tcase_add_test(limits, each_limit_of_tensors_that_is_too_low_changes_nothing);
    tcase_add_test(limits, limits_name_themselves_and_can_be_lifted);
    tcase_add_test(limits, rewinding_and_slots_of_segments_keep_to_the_limit);
    tcase_add_test(limits, limits_are_checked);
    tcase_add_test(limits, time_that_is_over_stops_recording_and_evaluating);
    tcase_add_loop_test(limits, an_init_that_lacks_tensors_leaves_nothing, 0, INITS);
    tcase_add_loop_test(limits, averages_and_sums_that_lack_tensors_change_nothing, 0, 2);
    tcase_add_test(limits, batch_normalisation_that_lacks_tensors_has_no_output);
    tcase_add_loop_test(limits, several_results_that_lack_tensors_are_all_nil, 0, SEVERAL);
    tcase_add_test(limits, a_place_that_is_missing_leaves_no_result);
    TCase *interruptions = tape_group(suite, "interruptions");
    tcase_add_test(interruptions, an_interruption_comes_before_or_within_an_evaluation);
    tcase_add_test(interruptions, an_eager_assignment_that_is_interrupted_is_not_made);
    tcase_add_loop_test(interruptions, an_interruption_at_any_kernel_leaves_all_variables_or_none, 0,
                        (int)(sizeof between / sizeof *between));
    tcase_add_test(interruptions, a_signal_leaves_variables_of_one_step);
    tcase_add_test(interruptions, another_thread_leaves_variables_of_one_step);
    return run_suite(suite);
}
