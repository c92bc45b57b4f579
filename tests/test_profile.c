/* test_profile -- the entries of a profile under either evaluator, its table, its trace, and a tape's memory table
 *
 * Each test has a directory of its own for traces. A trace is read by a small JSON parser that accepts nothing else. */
#define _XOPEN_SOURCE 700
#include "autograd/tape/limits.h"
#include "nn/nn.h"
#include "tests/support.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char directory[64], path[128];
static char *text; /* the file as read last */

static void open_directory(void) {
    snprintf(directory, sizeof directory, "%s/test_profile.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/trace.json", directory);
    ledger_open(&tape_ledger);
    tape = ag_tape_new_with(&tape_ledger.allocator);
}

static void close_directory(void) {
    ag_tape_free(tape);
    ledger_close(&tape_ledger);
    free(text);
    text = NULL;
    unlink(path);
    rmdir(directory);
}

static bool fused(void) {
    ag_evaluator e = ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tape_set_evaluator(tape, e);
    return e == AG_EVALUATOR_FUSED;
}

/* ---- A training step: a layer with batchnorm, a readout, squares ---- */

enum { ROWS = 32, COLUMNS = 48, HIDDEN = 16, PARAMETERS = 3 };

typedef struct model {
    ag_tensor *x, *p[PARAMETERS];
} model;

static ag_tensor *parameter(const char *label, ag_shape shape) {
    static float values[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = (float)scatter((uint64_t)i) / 8;
    return ag_label(ag_parameter(tape, AG_F32, shape, values), label);
}

static model new_model(void) {
    model m = {.x = ag_label(scattered(tape, AG_F32, AG_SHAPE(ROWS, COLUMNS), 0), "batch")};
    m.p[0] = parameter("w", AG_SHAPE(COLUMNS, HIDDEN));
    m.p[1] = parameter("gain", AG_SHAPE(HIDDEN));
    m.p[2] = parameter("readout", AG_SHAPE(HIDDEN, 4));
    return m;
}

static double train(const model *m) {
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *h = ag_matmul(m->x, m->p[0]), *mean = ag_mean_over(h, AG_AXES(0), true);
    ag_tensor *scale = ag_rsqrt(ag_add_scalar(ag_var_over(h, AG_AXES(0), true, 0), 1e-5));
    h = ag_label(ag_relu(ag_mul(ag_mul(ag_sub(h, mean), scale), m->p[1])), "hidden");
    ag_tensor *loss = ag_label(ag_mean(ag_square(ag_matmul(h, m->p[2]))), "loss"), *dp[PARAMETERS];
    ag_grad(loss, PARAMETERS, m->p, dp);
    for (int i = 0; i < PARAMETERS; i++) ag_assign(m->p[i], ag_sub(m->p[i], ag_scale(dp[i], 0.01)));
    double value = ag_item(loss);
    ag_tape_rewind(tape, mark);
    return value;
}

/* ---- Finding entries ---- */

static bool matches(const ag_profile_entry *e, ag_profile_kind kind, const char *operations, const char *label) {
    return e->kind == kind && strstr(e->operations, operations) &&
           (strstr(e->labels, label) || strstr(e->inputs, label));
}

static int entries_with(ag_profile_kind kind, const char *operations, const char *label, ag_profile_entry *found) {
    int n = 0;
    for (int i = ag_profile_count(tape); i-- > 0;) {
        ag_profile_entry e = ag_profile_at(tape, i);
        if (matches(&e, kind, operations, label)) *found = e, n++;
    }
    return n;
}

static ag_profile_entry entry_with(ag_profile_kind kind, const char *operations, const char *label) {
    ag_profile_entry e = {0};
    int n = entries_with(kind, operations, label, &e);
    if (n != 1) ck_abort_msg("%d entries of kind %d have %s and %s", n, (int)kind, operations, label);
    return e;
}

static double seconds_of_steps(void) {
    double sum = 0;
    for (int i = 0; i < ag_profile_count(tape); i++)
        if (ag_profile_at(tape, i).kind > AG_PROFILE_EVALUATION) sum += ag_profile_at(tape, i).seconds;
    return sum;
}

/* ---- Entries ---- */

START_TEST(a_product_is_an_entry_with_its_flops) {
    ag_tensor *w = parameter("w", AG_SHAPE(COLUMNS, HIDDEN)), *x = scattered(tape, AG_F32, AG_SHAPE(ROWS, COLUMNS), 0);
    ck_assert_int_eq(ag_profile_start(tape), AG_OK);
    int line = __LINE__ + 1;
    ag_tensor *y = ag_matmul(ag_label(x, "x"), w);
    ag_eval(y);
    ag_eval(ag_square(y));
    ck_assert_int_eq(ag_profile_stop(tape), AG_OK);
    ag_eval(ag_exp(y)); /* no more */
    ag_profile_entry e = entry_with(AG_PROFILE_PRODUCT, "matmul", "x, w");
    ck_assert_int_eq(e.calls, 1);
    ck_assert_int_eq(e.flops, 2 * ROWS * COLUMNS * HIDDEN);
    ck_assert_int_eq(e.bytes_read, 4 * (ROWS * COLUMNS + COLUMNS * HIDDEN));
    ck_assert_int_eq(e.bytes_written, 4 * ROWS * HIDDEN);
    ck_assert_int_eq(e.elements, ROWS * HIDDEN);
    ck_assert(e.nodes == 1 && !e.backward && e.line == line);
    ck_assert_str_eq(e.extent, "(32,48)·(48,16)");
    ck_assert_ptr_nonnull(strstr(e.file, "test_profile.c"));
    ck_assert(e.seconds > 0 && e.shortest == e.seconds);
    const bool planned = AG_TINY_LIMITS && ag_profile_count(tape) > 3; /* so few elements are worth a plan */
    entry_with(planned ? AG_PROFILE_REGION : AG_PROFILE_OPERATION, "square", "");
    ck_assert_int_eq(entry_with(AG_PROFILE_EVALUATION, "", "").calls, 2);
    ck_assert_int_eq(ag_profile_count(tape), planned ? 4 : 3);
    ck_assert_str_eq(ag_profile_at(tape, ag_profile_count(tape)).operations, "");
    ck_assert_str_eq(ag_profile_at(tape, -1).file, "");
}
END_TEST

/* y = Σ exp(x)·exp(x) + v with a row v: x and v are read once each, and only the sum is written. */
START_TEST(a_region_says_what_it_holds) {
    if (!fused()) return;
    ag_tensor *x = ag_label(scattered(tape, AG_F64, AG_SHAPE(4 * ROWS, COLUMNS), 0), "x");
    ag_tensor *v = ag_label(scattered(tape, AG_F64, AG_SHAPE(COLUMNS), 0), "v");
    ag_profile_start(tape);
    ag_tensor *y = ag_sum(ag_label(ag_add(ag_mul(ag_exp(x), ag_neg(ag_exp(x))), v), "sum of both"));
    ag_eval(y);
    ag_profile_stop(tape);
    ag_profile_entry e = entry_with(AG_PROFILE_REGION, "", "");
    ck_assert_str_eq(e.operations, "exp, neg, mul, add, sum"); /* exp once */
    ck_assert_str_eq(e.labels, "sum of both");
    ck_assert_str_eq(e.inputs, "x, v");
    ck_assert_str_eq(e.extent, "128x48");
    ck_assert_int_eq(e.elements, 4 * ROWS * COLUMNS);
    ck_assert_int_eq(e.nodes, 5);
    ck_assert_int_eq(e.flops, 5 * 4 * ROWS * COLUMNS);
    ck_assert_int_eq(e.bytes_read, 8 * (4 * ROWS * COLUMNS + COLUMNS));
    ck_assert_int_eq(e.bytes_written, 8);
    ck_assert_int_eq(entry_with(AG_PROFILE_PLANNING, "", "").calls, 1);
}
END_TEST

START_TEST(the_reference_says_the_same_operation_by_operation) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(ROWS, COLUMNS), 0), *w = ag_transpose(x, 0, 1);
    ag_profile_start(tape);
    ag_eval(ag_sum_over(ag_add(ag_square(w), w), AG_AXES(0), false));
    ag_profile_stop(tape);
    ag_profile_entry e = entry_with(AG_PROFILE_OPERATION, "sum", "");
    ck_assert_str_eq(e.extent, "(32)");
    ck_assert_int_eq(e.flops, ROWS * COLUMNS);
    ck_assert_int_eq(e.bytes_read, 8 * ROWS * COLUMNS);
    ck_assert_int_eq(e.bytes_written, 8 * ROWS);
    e = entry_with(AG_PROFILE_OPERATION, "add", "");
    ck_assert_int_eq(e.bytes_read, 8 * 2 * ROWS * COLUMNS);
    ck_assert_int_eq(ag_profile_count(tape), 1 + 3); /* a view is not a step */
}
END_TEST

START_TEST(what_is_read_twice_counts_once) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(ROWS, COLUMNS), 0), *row = scattered(tape, AG_F64, AG_SHAPE(10), 0);
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    ag_profile_start(tape);
    ag_eval(ag_mul(x, x));
    ag_eval(ag_exp(ag_broadcast_to(row, AG_SHAPE(50, 10))));
    ag_eval(ag_sin(ag_broadcast_to(ag_slice(x, 1, 0, 4, 1), AG_SHAPE(3, ROWS, 4))));
    ag_eval(ag_contiguous(ag_windows(row, AG_AXES(0), AG_SHAPE(4), AG_SHAPE(1))));
    ag_profile_stop(tape);
    ck_assert_int_eq(entry_with(AG_PROFILE_OPERATION, "mul", "").bytes_read, 8 * ROWS * COLUMNS);
    ag_profile_entry e = entry_with(AG_PROFILE_OPERATION, "exp", "");
    ck_assert_int_eq(e.bytes_read, 8 * 10);
    ck_assert_int_eq(e.bytes_written, 8 * 500);
    ck_assert_int_eq(entry_with(AG_PROFILE_OPERATION, "sin", "").bytes_read, 8 * ROWS * 4);
    ck_assert_int_eq(entry_with(AG_PROFILE_OPERATION, "contiguous", "").bytes_read, 8 * 10);
}
END_TEST

/* y = a·b of square matrices, accumulated into y if `accumulate`. */
static bool square_eval(const ag_call *c) {
    const double *a = c->x[0].data, *b = c->x[1].data;
    double *y = c->y.data;
    for (int64_t n = c->y.shape[0], i = 0; i < n * n; i++) {
        double sum = c->accumulate ? y[i] : 0;
        for (int64_t k = 0; k < n; k++) sum += a[i / n * n + k] * b[k * n + i % n];
        y[i] = sum;
    }
    return true;
}

static bool square_infer(ag_infer *r) { return (void)r, true; }

static const ag_op op_square_product = {.name = "square product",
                                        .kind = AG_KIND_CONTRACTION,
                                        .arity = 2,
                                        .flags = AG_OP_CONTIGUOUS | AG_OP_ACCUMULATES,
                                        .infer = square_infer,
                                        .eval = square_eval};

START_TEST(a_sum_with_a_product_is_one_step) {
    enum { N = 60 };
    if (!fused()) return;
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(N, N), 0), *w = scattered(tape, AG_F64, AG_SHAPE(N, N), 9);
    ag_tensor *y = ag_add(ag_exp(x), ag_apply(&op_square_product, 2, ((ag_tensor *[]){x, w}), NULL, 0));
    ag_profile_start(tape);
    ag_eval(y);
    ag_profile_stop(tape);
    ag_profile_entry e = entry_with(AG_PROFILE_PRODUCT, "square product, add", "");
    ck_assert_int_eq(e.flops, 2 * N * N * N + N * N);
    ck_assert_int_eq(e.bytes_read, 8 * 3 * N * N);
    ck_assert_int_eq(e.bytes_written, 8 * N * N);
    ck_assert_int_eq(e.nodes, 2);
}
END_TEST

START_TEST(a_product_that_a_region_computes_is_part_of_it) {
    enum { SAMPLES = 64, IN = 512, OUT = 256 };
    if (!fused()) return;
    ag_tensor *x = ag_label(scattered(tape, AG_F32, AG_SHAPE(SAMPLES, IN), 0), "x"), *dw;
    ag_tensor *w = ag_label(ag_parameter_from(scattered(tape, AG_F32, AG_SHAPE(IN, OUT), 9)), "w");
    for (int step = 0; step < 2; step++) {
        ag_mark mark = ag_tape_mark(tape);
        if (step == 1) ag_profile_start(tape);
        ag_tensor *loss = ag_mean(ag_square(ag_matmul(x, w)));
        ag_grad(loss, 1, &w, &dw);
        ag_assign(w, ag_sub(w, ag_scale(dw, 0.01)));
        ag_item(loss);
        ag_tape_rewind(tape, mark);
    }
    ag_profile_stop(tape);
    ag_profile_entry e = entry_with(AG_PROFILE_REGION, "sub", "w"), other;
    ck_assert_str_eq(e.operations, "scale, sub, matmul");
    ck_assert_str_eq(e.inputs, "w, x");
    ck_assert_int_eq(e.nodes, 3);
    ck_assert_int_eq(e.flops, 2 * SAMPLES * IN * OUT + 2 * IN * OUT);
    ck_assert_int_eq(e.bytes_read, 4 * (IN * OUT + SAMPLES * IN + SAMPLES * OUT)); /* w; both factors of dw */
    ck_assert_int_eq(e.bytes_written, 4 * IN * OUT);
    ck_assert_int_eq(entries_with(AG_PROFILE_PRODUCT, "matmul", "", &other), 1);
}
END_TEST

START_TEST(a_training_loop_adds_up) {
    enum { STEPS = 5 };
    model m = new_model();
    ag_profile_start(tape);
    train(&m);
    int count = ag_profile_count(tape);
    for (int i = 1; i < STEPS; i++) train(&m);
    ag_profile_stop(tape);
    ck_assert_int_eq(ag_profile_count(tape), count);
    for (int i = 0; i < count; i++) {
        ag_profile_entry e = ag_profile_at(tape, i);
        ck_assert_msg(e.calls % STEPS == 0, "%s: %d calls", e.operations, (int)e.calls);
        if (i > 0) ck_assert_double_le(e.seconds, ag_profile_at(tape, i - 1).seconds);
    }
    ag_profile_entry whole = entry_with(AG_PROFILE_EVALUATION, "", ""),
                     forward = entry_with(AG_PROFILE_PRODUCT, "matmul", "batch, w");
    ck_assert_int_eq(whole.calls, STEPS * (fused() ? 2 : 1)); /* the loss; and the new values, at the rewind */
    ck_assert_int_eq(forward.calls, STEPS);
    ck_assert_int_eq(forward.flops, STEPS * 2 * ROWS * COLUMNS * HIDDEN);
    ck_assert_double_le(seconds_of_steps(), whole.seconds);
    ck_assert_double_ge(seconds_of_steps(), 0);
    int backward = 0;
    for (int i = 0; i < count; i++) backward += ag_profile_at(tape, i).backward;
    ck_assert(backward > 5 && backward < count - 5 && !whole.backward && !forward.backward);
    if (fused()) ck_assert(entry_with(AG_PROFILE_REGION, "gate", "").backward); /* although it rematerialises h */
    ag_profile_entry e;
    ck_assert_int_ge(entries_with(fused() ? AG_PROFILE_REGION : AG_PROFILE_OPERATION, "relu", "hidden", &e), 1);
    ck_assert_int_eq(entries_with(AG_PROFILE_PLANNING, "", "", &e), fused());
    ck_assert_int_eq(entries_with(AG_PROFILE_OTHER, "", "", &e), 0);
    if (fused()) entry_with(AG_PROFILE_REGION, "scale, sub", "readout");
}
END_TEST

START_TEST(lines_and_labels_keep_entries_apart) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(8), 0);
    ag_profile_start(tape);
    for (int i = 0; i < 3; i++) ag_eval(ag_exp(x));
    ag_eval(ag_exp(x));
    for (int i = 0; i < 3; i++) ag_eval(ag_label(ag_exp(x), i < 2 ? "two" : "one"));
    for (int i = 0; i < 2; i++) ag_eval(ag_exp(ag_label(x, i ? "input" : "first")));
    ag_profile_stop(tape);
    ag_profile_entry e;
    ck_assert_int_eq(entries_with(AG_PROFILE_OPERATION, "exp", "", &e), 2 + 2 + 2);
    ck_assert_int_eq(entry_with(AG_PROFILE_OPERATION, "exp", "one").calls, 1);
    ck_assert_int_eq(entry_with(AG_PROFILE_OPERATION, "exp", "two").calls, 2);
    ck_assert_int_eq(entry_with(AG_PROFILE_OPERATION, "exp", "input").calls, 1);
    ck_assert_int_eq(ag_profile_at(tape, 0).calls, 9);
}
END_TEST

START_TEST(long_lists_are_cut_short) {
    static char long_label[400];
    memset(long_label, 'x', sizeof long_label - 1);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(8), 0), *y = ag_label(x, long_label);
    ag_tensor *(*const functions[])(ag_tensor *) = {ag_exp, ag_neg,     ag_square, ag_tanh, ag_sin, ag_cos,
                                                    ag_abs, ag_sigmoid, ag_relu,   ag_sign, ag_sqrt};
    for (int i = 0; i < 40; i++) {
        char label[60];
        snprintf(label, sizeof label, "value number %d", i);
        y = ag_label(functions[i % 11](y), label);
    }
    ag_profile_start(tape);
    ag_eval(y);
    ag_profile_stop(tape);
    if (!fused()) return;
    ag_profile_entry e = entry_with(AG_PROFILE_REGION, "exp×4", "value number 0");
    ck_assert_int_eq(e.nodes, 40);
    ck_assert_ptr_nonnull(strstr(e.labels, " more"));
    ck_assert_ptr_nonnull(strstr(e.inputs, "xxx…"));
    ck_assert_uint_lt(strlen(e.labels), 400);
    ck_assert_uint_lt(strlen(e.inputs), 200);
}
END_TEST

/* Threads that shared the work, as soon as the pool is not in a pause, where one does it all. */
static int most_threads(ag_profile_kind kind, ag_tensor *large) {
    int threads = 1;
    for (time_t until = time(NULL) + 20; threads == 1 && time(NULL) < until;) {
        ag_profile_start(tape);
        ag_eval(ag_exp(ag_neg(large)));
        ag_profile_stop(tape);
        threads = entry_with(kind, "exp", "").threads;
    }
    return threads;
}

START_TEST(threads_are_those_that_shared_the_work) {
    ag_tensor *large = scattered(tape, AG_F32, AG_SHAPE(200000), 0), *small = scattered(tape, AG_F32, AG_SHAPE(200), 0);
    ag_profile_kind kind = fused() ? AG_PROFILE_REGION : AG_PROFILE_OPERATION;
    ag_tape_set_threads(tape, 3);
    ck_assert_int_eq(most_threads(kind, large), 3);
    ag_profile_start(tape);
    ag_eval(ag_sin(ag_abs(small)));
    ag_profile_stop(tape);
    ck_assert_int_eq(entry_with(kind, "sin", "").threads, 1);
}
END_TEST

START_TEST(a_new_profile_forgets_the_old_one) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(8), 0);
    ck_assert_int_eq(ag_profile_count(tape), 0);
    ag_profile_start(tape);
    ag_eval(ag_exp(x));
    ag_profile_start(tape);
    ag_eval(ag_sin(x));
    ag_item(ag_sum(ag_ones(tape, AG_F64, AG_SHAPE(0)))); /* nothing to add, but an evaluation */
    ag_data(x);                                          /* nothing to evaluate */
    ag_profile_entry e;
    ck_assert_int_eq(entries_with(AG_PROFILE_OPERATION, "exp", "", &e), 0);
    entry_with(AG_PROFILE_OPERATION, "sin", "");
    ck_assert_int_eq(entry_with(AG_PROFILE_EVALUATION, "", "").calls, 2);
    ag_profile_start(tape);
    ck_assert_int_eq(ag_profile_count(tape), 0);
    ck_assert_int_eq(ag_profile_count(NULL), 0);
}
END_TEST

START_TEST(results_are_the_same_bits) {
    double with[3], without[3];
    for (int run = 0; run < 2; run++) {
        ag_mark mark = ag_tape_mark(tape);
        model m = new_model();
        if (run) ag_profile_start(tape);
        for (int i = 0; i < 3; i++) (run ? with : without)[i] = train(&m);
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_eq(memcmp(with, without, sizeof with), 0);
}
END_TEST

/* ---- Memory ---- */

START_TEST(a_steady_loop_allocates_nothing) {
    model m = new_model();
    ag_profile_start(tape);
    for (int i = 0; i < 3; i++) train(&m);
    int64_t before = ag_tape_memory(tape).allocations;
    for (int i = 0; i < 5; i++) train(&m);
    ck_assert_int_eq(ag_tape_memory(tape).allocations, before);
}
END_TEST

/* Without memory for the profile, an evaluation that needs none succeeds, and its steps are added up. */
START_TEST(a_profile_without_memory_never_fails_an_evaluation) {
    model m = new_model();
    for (int i = 0; i < 3; i++) train(&m);
    ag_profile_start(tape);
    tape_ledger.fail_at = tape_ledger.calls + 1;
    tape_ledger.fail_for_good = true;
    for (int i = 0; i < 3; i++) train(&m);
    expect_ok(tape);
    ag_profile_entry e = entry_with(AG_PROFILE_OTHER, "", "");
    ck_assert_int_gt(e.calls, 10);
    ck_assert_double_le(seconds_of_steps(), entry_with(AG_PROFILE_EVALUATION, "", "").seconds);
    ck_assert_str_eq(ag_profile_table(tape, 0), "");
    tape_ledger.fail_at = 0;
    expect_error(tape, AG_ERR_MEMORY, "profile_table", "out of memory");
    ck_assert_ptr_nonnull(strstr(ag_profile_table(tape, 0), "other steps"));
}
END_TEST

/* Fail each allocation in turn: the same calls fail as without a profile, or the profile itself. */
START_TEST(allocations_may_fail) {
    ag_tape *usual = tape;
    bool failed = true;
    for (int64_t at = 1; failed; at++) {
        ledger l;
        ledger_open(&l);
        tape = ag_tape_new_with(&l.allocator);
        ag_tensor *y = ag_tanh(ag_exp(scattered(tape, AG_F64, AG_SHAPE(100), 0)));
        l.fail_at = l.calls + at;
        ag_profile_start(tape);
        bool started = ag_tape_status(tape) == AG_OK;
        ag_clear_error(tape);
        ag_eval(y);
        ck_assert(ag_tape_status(tape) == AG_OK || ag_tape_status(tape) == AG_ERR_MEMORY);
        ag_clear_error(tape);
        ag_status written = started ? ag_profile_write(tape, path) : AG_OK;
        ck_assert(written == AG_OK || written == AG_ERR_MEMORY);
        ag_clear_error(tape);
        if (started) ag_profile_table(tape, 0);
        ag_tape_memory_table(tape);
        failed = l.failed;
        l.fail_at = 0;
        ag_tape_free(tape);
        ledger_close(&l);
    }
    tape = usual;
}
END_TEST

START_TEST(memory_is_told_apart) {
    ag_memory empty = ag_tape_memory(tape);
    ck_assert(empty.node_bytes == 0 && empty.plan_bytes == 0 && empty.peak_plan_bytes == 0);
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(1000), 0), *y = x;
    ag_memory before = ag_tape_memory(tape);
    for (int i = 0; i < 5000; i++) y = ag_neg(y);
    ag_memory recorded = ag_tape_memory(tape);
    const int64_t least = sizeof(void *) == 8 ? 88 : 56;
    ck_assert_int_ge(recorded.node_bytes, before.node_bytes + 5000 * least);
    ck_assert_int_le(recorded.node_bytes, before.node_bytes + 5000 * 120);
    ck_assert_int_eq(recorded.peak_node_bytes, recorded.node_bytes);
    ck_assert_int_eq(recorded.live, before.live);
    ag_eval(ag_exp(y));
    ag_memory after = ag_tape_memory(tape);
    ck_assert(fused() == (after.plan_bytes > 0) && after.peak_plan_bytes >= after.plan_bytes);
    ck_assert_int_le(after.live + after.node_bytes + after.plan_bytes, after.held);
    ag_tape_rewind(tape, mark);
    after = ag_tape_memory(tape);
    ck_assert_int_eq(after.node_bytes, 0);
    ck_assert_int_ge(after.peak_node_bytes, recorded.node_bytes);
    ck_assert_int_eq(after.live, empty.live);
    ag_tape_reset_peaks(tape);
    after = ag_tape_memory(tape);
    ck_assert(after.peak_node_bytes == 0 && after.peak_live == after.live && after.peak_held == after.held);
    ck_assert_int_eq(after.peak_plan_bytes, after.plan_bytes);
    ag_tape_reset_peaks(NULL);
}
END_TEST

START_TEST(memory_is_shown) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(100000), 0);
    const char *table = ag_tape_memory_table(ag_tape_of(x));
    ck_assert_ptr_nonnull(strstr(table, "values"));
    ck_assert_ptr_nonnull(strstr(table, " kB"));
    ck_assert_ptr_nonnull(strstr(table, "1 of them"));
    ck_assert_str_eq(ag_tape_memory_table(NULL), "");
    expect_error(NULL, AG_ERR_NULL, "tape_memory_table");
    ag_reshape(x, AG_SHAPE(3));
    ck_assert_str_eq(ag_tape_memory_table(tape), "");
    ag_clear_error(tape);
}
END_TEST

/* ---- The table ---- */

START_TEST(the_table_has_a_line_for_each_entry) {
    model m = new_model();
    ag_profile_start(tape);
    train(&m);
    ag_profile_stop(tape);
    const char *table = ag_profile_table(tape, 1000);
    int lines = 0;
    for (const char *c = table; *c; c++) lines += *c == '\n';
    int count = ag_profile_count(tape);
    ck_assert_int_eq(lines, 2 + count);
    ck_assert_ptr_nonnull(strstr(table, "product (32,48)·(48,16): matmul of batch, w  ["));
    ck_assert_ptr_nonnull(strstr(table, "backward product "));
    ck_assert_ptr_nonnull(strstr(table, " = loss"));
    ck_assert_ptr_nonnull(strstr(table, "test_profile.c:"));
    char rest[40];
    snprintf(rest, sizeof rest, "in %d more rows\n", count - 2);
    ck_assert_ptr_nonnull(strstr(ag_profile_table(tape, 2), rest));
    ck_assert_str_eq(ag_profile_table(tape, 1000), table); /* it has ended */
    ck_assert_str_eq(ag_profile_table(tape, -1), "");
    expect_error(tape, AG_ERR_RANGE, "-1 lines", "test_profile.c:");
}
END_TEST

/* ---- The trace ---- */

/* ck_assert is slow, even if it holds; this is called at each character. */
static void expect(bool holds, const char *at) {
    if (!holds) ck_abort_msg("invalid JSON: %.30s", at);
}

static const char *skip_blanks(const char *c) {
    while (*c == ' ' || *c == '\n') c++;
    return c;
}

static const char *skip_string(const char *c) {
    expect(*c == '"', c);
    for (c++; *c != '"'; c++) {
        expect((unsigned char)*c >= 0x20, c);
        if (*c == '\\') c++, expect(*c == '"' || *c == '\\', c);
    }
    return c + 1;
}

/* Without strtod: a checked one searches for the end of a large file at each call. */
static const char *skip_number(const char *c, double *value) {
    char digits[32];
    size_t n = 0;
    while (n < sizeof digits - 1 && (c[n] == '-' || c[n] == '.' || (c[n] >= '0' && c[n] <= '9'))) digits[n] = c[n], n++;
    digits[n] = 0;
    char *end;
    *value = strtod(digits, &end);
    expect(n > 0 && *end == 0, c);
    return c + n;
}

/* The end of the JSON value at c; `member`, unless NULL, is called for each member of an object. */
static const char *skip_value(const char *c, void (*member)(const char *name, const char *value)) {
    double number;
    if (*c == '"') return skip_string(c);
    if (strncmp(c, "true", 4) == 0) return c + 4;
    if (strncmp(c, "false", 5) == 0) return c + 5;
    if (*c != '{' && *c != '[') return skip_number(c, &number);
    char close = *c == '{' ? '}' : ']';
    for (c = skip_blanks(c + 1); *c != close;) {
        const char *name = c;
        if (close == '}') {
            c = skip_string(c);
            expect(*c == ':', c);
            c = skip_blanks(c + 1);
            if (member) member(name, c);
        }
        c = skip_blanks(skip_value(c, NULL));
        expect(*c == ',' || *c == close, c);
        if (*c == ',') c = skip_blanks(c + 1), expect(*c != close, c);
    }
    return c + 1;
}

static const char *read_trace(void) {
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    free(text);
    text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, size, f), size);
    text[size] = 0;
    fclose(f);
    ck_assert_str_eq(skip_blanks(skip_value(text, NULL)), "");
    return text;
}

/* An event's fields, as JSON text or number. */
static struct event {
    char ph, name[200], cat[40];
    double ts, dur, pid, tid;
    bool args;
} event;

static void copy_string(char *to, size_t room, const char *value) {
    snprintf(to, room, "%.*s", (int)(skip_string(value) - value), value);
}

static void note_member(const char *name, const char *value) {
    double number = 0;
    if (*value == '-' || (*value >= '0' && *value <= '9')) skip_number(value, &number);
    if (strncmp(name, "\"ph\"", 4) == 0) event.ph = value[1];
    else if (strncmp(name, "\"ts\"", 4) == 0) event.ts = number;
    else if (strncmp(name, "\"dur\"", 5) == 0) event.dur = number;
    else if (strncmp(name, "\"pid\"", 5) == 0) event.pid = number;
    else if (strncmp(name, "\"tid\"", 5) == 0) event.tid = number;
    else if (strncmp(name, "\"args\"", 6) == 0) event.args = *value == '{';
    else if (strncmp(name, "\"name\"", 6) == 0) copy_string(event.name, sizeof event.name, value);
    else if (strncmp(name, "\"cat\"", 5) == 0) copy_string(event.cat, sizeof event.cat, value);
}

/* Reads the event after c (NULL: the first) into `event`; returns NULL after the last. */
static const char *next_event(const char *c) {
    if (!c) c = strchr(strstr(text, "\"traceEvents\""), '[');
    c = skip_blanks(c + 1);
    if (*c != '{') return NULL;
    event = (struct event){.ts = NAN, .dur = NAN, .pid = NAN, .tid = NAN};
    c = skip_blanks(skip_value(c, note_member));
    return *c == ',' ? c : c - 1;
}

START_TEST(the_trace_is_what_viewers_read) {
    model m = new_model();
    ag_profile_start(tape);
    for (int i = 0; i < 3; i++) train(&m);
    ag_profile_stop(tape);
    ck_assert_int_eq(ag_profile_write(tape, path), AG_OK);
    ck_assert_ptr_nonnull(strstr(read_trace(), "\"displayTimeUnit\""));
    int complete = 0, counters = 0, metadata = 0, evaluations = 0, products = 0;
    double end = 0, total = 0, steps = 0;
    for (const char *at = NULL; (at = next_event(at)) != NULL;) {
        ck_assert(event.args && event.pid == 1 && event.tid == 1 && event.ts >= 0 && event.name[0] == '"');
        complete += event.ph == 'X', counters += event.ph == 'C', metadata += event.ph == 'M';
        if (event.ph != 'X') continue;
        ck_assert(event.dur >= 0 && event.cat[0] == '"');
        ck_assert_double_ge(event.ts + event.dur + 0.002, end); /* listed as they end */
        end = event.ts + event.dur;
        bool whole = strcmp(event.cat, "\"evaluation\"") == 0;
        *(whole ? &total : &steps) += event.dur;
        evaluations += whole;
        products += strcmp(event.cat, "\"product\"") == 0 && strstr(event.name, "matmul");
    }
    ck_assert(evaluations == 3 * (fused() ? 2 : 1) && products == 3 * 5 && metadata == 2);
    ck_assert_int_eq(complete, counters);
    ck_assert_double_le(steps, total);
    ck_assert_double_eq_tol(total, 1e6 * entry_with(AG_PROFILE_EVALUATION, "", "").seconds, 0.01);
}
END_TEST

/* Python's parser must agree, if it is installed. */
START_TEST(no_label_breaks_out) {
    const char *labels[] = {"\"quoted\"",        "back\\slash\\",           "new\nline\ttab",
                            "\"},{\"ph\":\"X\"", "\x01\x02\x1b[31m\x7f",    "\xff\xfe \xc3",
                            "\xed\xa0\x80",      "ünïcödé 漢字 🙂", " ",
                            "\\u0000 \\"};
    enum { LABELS = sizeof labels / sizeof *labels };
    ag_profile_start(tape);
    for (size_t i = 0; i < LABELS; i++)
        ag_eval(ag_label(ag_exp(ag_label(scattered(tape, AG_F64, AG_SHAPE(2), 0), labels[i])), labels[i]));
    ag_here("C:\\dir\\\"f\n.c", 3);
    ag_eval(ag_located((ag_sin)(scattered(tape, AG_F64, AG_SHAPE(2), 0)), "C:\\dir\\\"f\n.c", 7));
    ag_profile_stop(tape);
    ck_assert_int_eq(ag_profile_write(tape, path), AG_OK);
    read_trace();
    int complete = 0;
    for (const char *at = NULL; (at = next_event(at)) != NULL;) complete += event.ph == 'X';
    ck_assert_int_eq(complete, 2 * (LABELS + 1));
    ck_assert_ptr_nonnull(strstr(text, "\"labels\":\"\\\"},{\\\"ph\\\":\\\"X\\\"\""));
    ck_assert_ptr_nonnull(strstr(text, "\"labels\":\"ünïcödé 漢字 🙂\""));
    ck_assert_ptr_nonnull(strstr(text, "\"file\":\"C:\\\\dir\\\\\\\"f"));
    char command[400];
    snprintf(command, sizeof command, "command -v python3 >/dev/null || exit 0; python3 -m json.tool %s >/dev/null",
             path);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(only_the_latest_events_are_kept) {
    enum { KEPT = 32768, EVALUATIONS = KEPT / 2 + 50 };
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2), 0);
    ag_profile_start(tape);
    for (int i = 0; i < EVALUATIONS; i++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_eval(ag_exp(x));
        ag_tape_rewind(tape, mark);
    }
    ag_eval(ag_sin(x));
    ag_profile_stop(tape);
    ck_assert_int_eq(entry_with(AG_PROFILE_OPERATION, "exp", "").calls, EVALUATIONS);
    ck_assert_int_eq(ag_profile_write(tape, path), AG_OK);
    read_trace();
    ck_assert_ptr_nonnull(strstr(text, "\"events\":32768,\"earlier events dropped\":102}"));
    ck_assert_ptr_nonnull(strstr(text, "\"sin\""));
    int complete = 0;
    for (const char *c = text; *c; c++) complete += *c == 'X' && strncmp(c - 6, "\"ph\":\"X\"", 8) == 0;
    ck_assert_int_eq(complete, KEPT);
}
END_TEST

/* ---- Errors ---- */

static bool meddle(const ag_call *c) {
    ag_tape *t = ag_tape_of(c->node);
    ag_profile_stop(t);
    *(double *)c->y.data = 1;
    return true;
}

static const ag_op op_meddle = {.name = "meddle", .kind = AG_KIND_SOURCE, .eval = meddle};

START_TEST(arguments_are_checked) {
    ck_assert_int_eq(ag_profile_start(NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "profile_start", "test_profile.c:");
    ck_assert_int_eq(ag_profile_stop(NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "profile_stop");
    ck_assert_int_eq(ag_profile_stop(tape), AG_OK);
    ck_assert_int_eq(ag_profile_write(tape, path), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "no profile", "test_profile.c:");
    ck_assert_str_eq(ag_profile_table(tape, 0), "");
    expect_error(tape, AG_ERR_RANGE, "no profile");
    ag_profile_start(tape);
    ck_assert_int_eq(ag_profile_write(tape, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "path");
    char bad[200];
    snprintf(bad, sizeof bad, "%s/missing/trace.json", directory);
    ck_assert_int_eq(ag_profile_write(tape, bad), AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, "profile_write", bad, strerror(ENOENT));
    ck_assert_str_eq(ag_profile_table(NULL, 0), "");
    expect_error(NULL, AG_ERR_NULL, "profile_table");
    ag_tensor *x = ag_apply_source(&op_meddle, tape, AG_F64, AG_SCALAR, NULL, 0);
    ck_assert_int_eq(ag_eval(x), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "profile_stop", "being evaluated");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("profile");
    TCase *entries = plain_group(suite, "entries");
    tcase_add_checked_fixture(entries, open_directory, close_directory);
    tcase_add_test(entries, a_product_is_an_entry_with_its_flops);
    tcase_add_test(entries, a_region_says_what_it_holds);
    tcase_add_test(entries, the_reference_says_the_same_operation_by_operation);
    tcase_add_test(entries, what_is_read_twice_counts_once);
    tcase_add_test(entries, a_sum_with_a_product_is_one_step);
    tcase_add_test(entries, a_product_that_a_region_computes_is_part_of_it);
    if (usual_pieces(1)) tcase_add_test(entries, a_training_loop_adds_up);
    tcase_add_test(entries, lines_and_labels_keep_entries_apart);
    if (usual_pieces(1)) tcase_add_test(entries, long_lists_are_cut_short);
    if (usual_pieces(1)) tcase_add_test(entries, threads_are_those_that_shared_the_work);
    tcase_add_test(entries, a_new_profile_forgets_the_old_one);
    tcase_add_test(entries, results_are_the_same_bits);
    TCase *memory = plain_group(suite, "memory");
    tcase_add_checked_fixture(memory, open_directory, close_directory);
    tcase_add_test(memory, a_steady_loop_allocates_nothing);
    tcase_add_test(memory, a_profile_without_memory_never_fails_an_evaluation);
    tcase_add_test(memory, allocations_may_fail);
    tcase_add_test(memory, memory_is_told_apart);
    tcase_add_test(memory, memory_is_shown);
    TCase *texts = plain_group(suite, "table and trace");
    tcase_add_checked_fixture(texts, open_directory, close_directory);
    tcase_add_test(texts, the_table_has_a_line_for_each_entry);
    if (usual_pieces(1)) tcase_add_test(texts, the_trace_is_what_viewers_read);
    tcase_add_test(texts, no_label_breaks_out);
    tcase_add_test(texts, only_the_latest_events_are_kept);
    tcase_add_test(texts, arguments_are_checked);
    return run_suite(suite);
}
