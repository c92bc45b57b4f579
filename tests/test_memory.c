/* test_memory -- the allocator: a steady loop does not allocate, every allocation may fail, everything is freed
 *
 * The subject is a whole training step: a network with a hidden layer, normalised as batchnorm does from primitives,
 * cross-entropy, gradients, momentum, running statistics. */
#include "autograd/tape/limits.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 12, INPUTS = 5, HIDDEN = 7, CLASSES = 3, PARAMETERS = 5 };

typedef struct network {
    ag_tape *tape;
    ag_tensor *p[PARAMETERS]; /* weights, gain and bias of the hidden layer; weights and bias of the last */
    ag_tensor *momentum[PARAMETERS], *running_mean, *running_var;
    ag_tensor *samples, *labels;
    ag_mark mark;
} network;

static const ag_shape parameter_shapes[PARAMETERS] = {
    {2, {INPUTS, HIDDEN}}, {2, {1, HIDDEN}}, {2, {1, HIDDEN}}, {2, {HIDDEN, CLASSES}}, {2, {1, CLASSES}}};

static void network_open(network *n, ag_tape *t) {
    static const int64_t labels[SAMPLES] = {0, 1, 2, 2, 1, 0, 0, 1, 2, 1, 1, 0};
    memset(n, 0, sizeof *n);
    n->tape = t;
    for (int i = 0; i < PARAMETERS; i++) {
        n->p[i] = ag_parameter_from(scattered(t, AG_F64, parameter_shapes[i], (uint64_t)i * 100));
        n->momentum[i] = ag_variable_from(ag_zeros(t, AG_F64, parameter_shapes[i]));
    }
    n->running_mean = ag_variable_from(ag_zeros(t, AG_F64, AG_SHAPE(1, HIDDEN)));
    n->running_var = ag_variable_from(ag_ones(t, AG_F64, AG_SHAPE(1, HIDDEN)));
    n->samples = scattered(t, AG_F64, AG_SHAPE(SAMPLES, INPUTS), 1000);
    n->labels = ag_from(t, AG_I64, AG_SHAPE(SAMPLES, 1), labels);
    n->mark = ag_tape_mark(t);
}

static void track(ag_tensor *running, ag_tensor *batch) {
    ag_assign(running, ag_add(ag_scale(running, 0.9), ag_scale(ag_stop_gradient(batch), 0.1)));
}

static ag_tensor *normalised(const network *n, ag_tensor *z) {
    ag_tensor *mean = ag_mean_over(z, AG_AXES(0), true), *centred = ag_sub(z, mean);
    ag_tensor *var = ag_mean_over(ag_square(centred), AG_AXES(0), true);
    track(n->running_mean, mean);
    track(n->running_var, var);
    return ag_mul(centred, ag_rsqrt(ag_add_scalar(var, 1e-5)));
}

static ag_tensor *network_loss(const network *n) {
    ag_tensor *z = normalised(n, ag_matmul(n->samples, n->p[0]));
    ag_tensor *a = ag_relu(ag_add(ag_mul(n->p[1], z), n->p[2]));
    ag_tensor *scores = ag_add(ag_matmul(a, n->p[3]), n->p[4]);
    return ag_neg(ag_mean(ag_gather(ag_log_softmax(scores, 1), n->labels, 1)));
}

/* One step, up to and including the rewind; the loss, NaN if anything failed. */
static double network_step(const network *n) {
    ag_tensor *loss = ag_label(network_loss(n), "loss"), *dp[PARAMETERS];
    ag_grad(loss, PARAMETERS, n->p, dp);
    for (int i = 0; i < PARAMETERS; i++) {
        ag_assign(n->momentum[i], ag_add(ag_scale(n->momentum[i], 0.9), dp[i]));
        ag_assign(n->p[i], ag_sub(n->p[i], ag_scale(n->momentum[i], 0.1)));
    }
    double value = ag_item(loss);
    ag_tape_rewind(n->tape, n->mark);
    return value;
}

static double want[3];

/* The losses of three undisturbed steps. */
static void learn_what_is_right(void) {
    network n;
    ag_tape *t = ag_tape_new();
    network_open(&n, t);
    for (int i = 0; i < 3; i++) want[i] = network_step(&n);
    ck_assert_msg(ag_tape_status(t) == AG_OK, "%s", ag_tape_error(t));
    ck_assert(want[0] > want[1] && want[1] > want[2] && want[2] > 0);
    ag_tape_free(t);
}

/* ---- A steady loop ---- */

START_TEST(a_steady_training_loop_takes_no_memory) {
    network n;
    if (_i == 1) ag_tape_set_eager(tape, true);
    if (_i == 2) ag_tape_set_threads(tape, 2);
    network_open(&n, tape);
    for (int i = 0; i < 3; i++) network_step(&n);
    int64_t calls = tape_ledger.calls, outstanding = tape_ledger.outstanding;
    ag_memory memory = ag_tape_memory(tape);
    double first = network_step(&n), last = 0;
    for (int i = 0; i < (small_run() ? 20 : 200); i++) last = network_step(&n);
    expect_ok(tape);
    ck_assert_int_eq(tape_ledger.calls, calls);
    ck_assert_int_eq(tape_ledger.outstanding, outstanding);
    ag_memory now = ag_tape_memory(tape);
    ck_assert_int_eq(now.allocations, memory.allocations);
    ck_assert_int_eq(now.held, memory.held);
    ck_assert_int_eq(now.live, memory.live);
    ck_assert_int_eq(now.nodes, memory.nodes);
    ck_assert(last < first);
}
END_TEST

START_TEST(a_loop_that_looks_at_everything_takes_no_memory) {
    network n;
    network_open(&n, tape);
    int64_t calls = 0;
    for (int i = 0; i < 20; i++) {
        ag_tensor *loss = network_loss(&n), *dp[PARAMETERS];
        ag_grad(loss, PARAMETERS, n.p, dp);
        for (int k = 0; k < PARAMETERS; k++) {
            ag_data(ag_transpose(dp[k], 0, 1)); /* packed beside the view */
            ag_assign(n.p[k], ag_sub(n.p[k], ag_scale(dp[k], 0.1)));
            ag_data(n.p[k]);
        }
        ag_backward(loss);
        ag_data(ag_gradient(n.p[0]));
        ag_zero_gradients(tape);
        ag_item(loss);
        ag_data(ag_uniform(tape, AG_F32, AG_SHAPE(100), 0, 1));
        double host[SAMPLES] = {0};
        ag_from(tape, AG_F64, AG_SHAPE(SAMPLES), host);
        ag_set(n.running_mean, host);
        ag_tape_rewind(tape, n.mark);
        if (i == 3) calls = tape_ledger.calls;
    }
    expect_ok(tape);
    ck_assert_int_eq(tape_ledger.calls, calls);
}
END_TEST

/* ---- Failing allocations ---- */

/* The tape is out of memory and has no other error, which is cleared. */
static void expect_no_memory(ag_tape *t) {
    ck_assert_msg(ag_tape_status(t) == AG_ERR_MEMORY, "%s", ag_tape_error(t));
    ck_assert_msg(strstr(ag_tape_error(t), "out of memory (") != NULL, "%s", ag_tape_error(t));
    ag_clear_error(t);
}

static void set_scattered(ag_tensor *v, uint64_t first) {
    double values[64];
    ck_assert_int_le(ag_size(v), 64);
    for (int64_t i = 0; i < ag_size(v); i++) values[i] = scatter(first + (uint64_t)i);
    ag_set(v, values);
}

/* Reset every variable, whatever part of a step was carried out. */
static void network_reset(const network *n) {
    static const double zeros[64] = {0}, ones[HIDDEN] = {1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < PARAMETERS; i++) {
        set_scattered(n->p[i], (uint64_t)i * 100);
        ag_set(n->momentum[i], zeros);
    }
    ag_set(n->running_mean, zeros);
    ag_set(n->running_var, ones);
    ag_tape_rewind(n->tape, n->mark);
    ck_assert_msg(ag_tape_status(n->tape) == AG_OK, "%s", ag_tape_error(n->tape));
}

static int gap;

/* Three steps on a tape of the ledger, with one failing allocation; the failed step is repeated, and the results
 * must be as without the failure. */
static void train_despite(ledger *l) {
    network n;
    ag_tape *t = tape_with_gaps(&l->allocator, gap);
    if (!t) t = tape_with_gaps(&l->allocator, gap);
    ck_assert_ptr_nonnull(t);
    network_open(&n, t);
    if (ag_tape_status(t) != AG_OK) {
        expect_no_memory(t);
        network_open(&n, t);
    }
    for (int i = 0; i < 3; i++) {
        double loss = network_step(&n);
        if (ag_tape_status(t) != AG_OK) {
            expect_no_memory(t);
            network_reset(&n);
            i = -1;
            continue;
        }
        ck_assert_msg(loss == want[i], "step %d: %.17g, not %.17g", i, loss, want[i]);
    }
    ag_tape_free(t);
}

START_TEST(every_allocation_of_a_training_run_may_fail) {
    learn_what_is_right();
    ledger l = {.failed = true};
    for (int64_t k = 1; l.failed; k++) {
        ledger_open(&l);
        l.fail_at = k;
        train_despite(&l);
        ledger_close(&l);
        ck_assert_int_lt(k, 10000);
    }
}
END_TEST

START_TEST(memory_may_run_out_for_good) {
    ledger l = {.failed = true};
    for (int64_t k = 1; l.failed; k++) {
        network n;
        ledger_open(&l);
        l.fail_at = k;
        l.fail_for_good = true;
        ag_tape *t = ag_tape_new_with(&l.allocator);
        if (t) {
            network_open(&n, t);
            network_step(&n);
            if (ag_tape_status(t) != AG_OK) expect_no_memory(t);
            network_step(&n); /* a program that ignores errors */
        }
        ag_tape_free(t);
        ledger_close(&l);
        ck_assert_int_lt(k, 10000);
    }
}
END_TEST

START_TEST(gaps_behind_buffers_change_no_bit) {
    const void *data[2][3];
    learn_what_is_right();
    for (int i = 0; i < 2; i++) {
        ledger l;
        ledger_open(&l);
        gap = i ? 64 : 0;
        train_despite(&l);
        ck_assert(!l.failed);
        ag_tape *t = tape_with_gaps(&l.allocator, gap);
        for (int k = 0; k < 3; k++) {
            ag_tensor *x = ag_keep(ag_add_scalar(ag_zeros(t, AG_F64, AG_SHAPE(10)), k));
            data[i][k] = ag_data(x);
            ck_assert(data[i][k] && ag_element(x, 9) == k);
        }
        for (int k = 1; k < 3 && gap; k++)
            ck_assert_int_ge(llabs((const char *)data[i][k] - (const char *)data[i][k - 1]), 10 * 8 + gap);
        ag_tape_free(t);
        ledger_close(&l);
    }
    gap = 0;
}
END_TEST

/* Nodes recorded before the failure stay valid: they are evaluated again unchanged. */
START_TEST(an_evaluation_can_be_repeated_after_a_failure) {
    learn_what_is_right();
    ledger l = {.failed = true};
    for (int64_t k = 1; l.failed; k++) {
        ledger_open(&l);
        ag_tape *t = ag_tape_new_with(&l.allocator);
        network n;
        ag_tensor *dp[PARAMETERS];
        network_open(&n, t);
        ag_tensor *loss = network_loss(&n);
        ag_grad(loss, PARAMETERS, n.p, dp);
        ck_assert_int_eq(ag_tape_status(t), AG_OK);
        l.fail_at = l.calls + k;
        ag_status status = ag_eval_all(PARAMETERS, dp);
        l.fail_at = 0;
        ck_assert(status == AG_OK || l.failed); /* without memory for a plan, the reference evaluator runs */
        if (status != AG_OK) expect_no_memory(t);
        ck_assert_msg(ag_item(loss) == want[0], "%s", ag_tape_error(t));
        ck_assert_int_eq(ag_eval_all(PARAMETERS, dp), AG_OK);
        ag_tape_free(t);
        ledger_close(&l);
    }
}
END_TEST

START_TEST(sizes_beyond_all_memory_are_refused) {
    ag_tensor *x = ag_full(tape, AG_F64, AG_SHAPE(INT64_C(1) << 50), 1), *y = ag_exp(x);
    ck_assert(!ag_is_nil(y));
    ck_assert_ptr_null(ag_data(y));
    expect_error(tape, AG_ERR_MEMORY, "exp", "out of memory", "test_memory.c:");
    ck_assert_ptr_null(ag_data(x)); /* a view: only its packed copy would need memory */
    expect_error(tape, AG_ERR_MEMORY, "out of memory");
    expect_item(ag_scalar(tape, AG_F64, 2), 2);
    ck_assert(ag_item(ag_sum(ag_slice(x, 0, 0, 1000, 1))) == 1000);
}
END_TEST

/* ---- Accounts ---- */

START_TEST(the_accounts_are_those_of_the_allocator) {
    ag_memory m = ag_tape_memory(tape);
    ck_assert_int_eq(m.held, tape_ledger.outstanding);
    ck_assert_int_eq(m.nodes, 0);
    ck_assert_int_eq(m.live, 0);
    network n;
    network_open(&n, tape);
    for (int i = 0; i < 3; i++) {
        network_step(&n);
        m = ag_tape_memory(tape);
        ck_assert_int_eq(m.held, tape_ledger.outstanding);
        ck_assert_int_ge(m.peak_held, m.held);
        ck_assert_int_ge(m.peak_live, m.live);
        ck_assert_int_ge(m.held, m.live);
    }
    ck_assert_int_eq(m.allocations, tape_ledger.calls);
}
END_TEST

/* An allocator whose memory begins 16 bytes behind a line: that may end the process where machine code stores lines. */
enum { ASIDE = 16 };
static int64_t blocks_aside;

static void *resize_aside(void *ctx, void *p, size_t old_bytes, size_t new_bytes) {
    char *q = NULL;
    (void)ctx;
    if (new_bytes && !(q = aligned_alloc(64, (new_bytes + ASIDE + 63) / 64 * 64))) return NULL;
    if (q && p) memcpy(q + ASIDE, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    if (p) free((char *)p - ASIDE);
    blocks_aside += (q != NULL) - (p != NULL);
    return q ? q + ASIDE : NULL;
}

START_TEST(memory_that_is_not_aligned_is_refused) {
    enum { LARGE = 1 << 22 };
    ag_tape *t = ag_tape_new_with(&(ag_allocator){resize_aside, NULL});
    ck_assert_ptr_nonnull(t);
    ag_tensor *x = ag_ones(t, AG_F32, AG_SHAPE(LARGE)), *y = ag_add(ag_mul(x, x), ag_exp(x));
    ag_eval_all(2, (ag_tensor *[]){y, ag_sub(y, ag_cos(x))});
    ck_assert_int_eq(ag_tape_status(t), AG_ERR_MEMORY);
    expect_error(t, AG_ERR_MEMORY, "allocator", "not aligned to 64 bytes");
    ag_tape_free(t);
    ck_assert_int_eq(blocks_aside, 0);
}
END_TEST

START_TEST(live_counts_values) {
    int64_t n = 100000, bytes = n * (int64_t)sizeof(double), before = ag_tape_memory(tape).live;
    for (int step = 0; step < 2; step++) { /* after the first, memory may be given back for a larger piece */
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = ag_add_scalar(ag_zeros(tape, AG_F64, AG_SHAPE(n)), 1);
        ck_assert_int_lt(ag_tape_memory(tape).live - before, 1000);
        ag_eval(x);
        ck_assert_int_ge(ag_tape_memory(tape).live - before, bytes);
        ck_assert_int_le(ag_tape_memory(tape).live - before, bytes + bytes / 4);
        ag_tape_rewind(tape, mark);
        ck_assert_int_eq(ag_tape_memory(tape).live, before);
        ck_assert_int_ge(ag_tape_memory(tape).peak_live - before, bytes);
    }
    ck_assert_int_ge(ag_tape_memory(tape).held, bytes); /* recycled, not freed */
    ag_tape_trim(tape);
    ck_assert_int_lt(ag_tape_memory(tape).held, bytes);
    ck_assert_int_eq(ag_tape_memory(tape).held, tape_ledger.outstanding);
    ag_tape_trim(NULL);
}
END_TEST

START_TEST(trimming_is_never_noticed) {
    learn_what_is_right();
    network n;
    network_open(&n, tape);
    for (int i = 0; i < 3; i++) {
        ag_tensor *x = ag_exp(ag_label(scattered(tape, AG_F64, AG_SHAPE(5000), 3), "large"));
        ag_eval(x);
        ag_tape_trim(tape);
        ck_assert(ag_element(x, 7) ==
                  ag_element(ag_exp(ag_slice(scattered(tape, AG_F64, AG_SHAPE(8), 3), 0, 7, 8, 1)), 0));
        ag_tape_trim(tape);
        ck_assert(network_step(&n) == want[i]);
        ag_tape_trim(tape);
        ck_assert_int_eq(ag_tape_memory(tape).held, tape_ledger.outstanding);
    }
}
END_TEST

START_TEST(a_node_is_small) {
    enum { NODES = 100000 };
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SCALAR, (double[]){1});
    ag_tape_trim(tape);
    int64_t before = ag_tape_memory(tape).held;
    for (int i = 0; i < NODES; i++) x = ag_add_scalar(x, 1);
    double each = (double)(ag_tape_memory(tape).held - before) / NODES;
    ck_assert_msg(each < 250, "%g bytes a node", each);
}
END_TEST

/* As many nodes as take blocks of segments, also when one of these cannot be had. */
START_TEST(blocks_of_segments_come_and_go) {
    enum { FEW = AG__FEW_SEGMENTS * AG__SEGMENT, NODES = FEW + (AG__SEGMENTS_AT_ONCE + 1) * AG__SEGMENT + 1 };
    const ag_mark first = ag_tape_mark(tape);
    ag_tensor *x = ag_scalar(tape, AG_F64, 0);
    for (int i = 1; i < FEW; i++) x = ag_add_scalar(x, 1);
    const ag_mark middle = ag_tape_mark(tape);
    tape_ledger.fail_at = tape_ledger.calls + 1;
    ag_tensor *y = x;
    for (int i = 0; i < AG__SEGMENT && !ag_is_nil(y); i++) y = ag_add_scalar(y, 1);
    tape_ledger.fail_at = 0;
    expect_error(tape, AG_ERR_MEMORY, "out of memory");
    ag_tape_rewind(tape, middle);
    ag_tape_trim(tape);
    const int64_t before = ag_tape_memory(tape).held, block = (int64_t)64 * AG__SEGMENT * AG__SEGMENTS_AT_ONCE;
    for (int step = 0; step < 2; step++) {
        y = x;
        for (int i = FEW; i < NODES; i++) y = ag_add_scalar(y, 1);
        expect_item(y, NODES - 1);
        ck_assert_int_eq(ag_tape_memory(tape).nodes, NODES);
        ag_tape_rewind(tape, middle);
        const int64_t held = ag_tape_memory(tape).held;
        ck_assert_int_gt(held, before + block);
        if (step == 1) ag_tape_trim(tape);
        if (step == 1) ck_assert_int_lt(ag_tape_memory(tape).held, held - block);
    }
    expect_item(x, FEW - 1);
    ag_tape_rewind(tape, first);
    const int64_t held = ag_tape_memory(tape).held;
    ag_tape_trim(tape);
    ck_assert_int_lt(ag_tape_memory(tape).held, held - (int64_t)64 * (FEW - 2 * AG__SEGMENT));
    ck_assert_int_eq(ag_tape_memory(tape).held, tape_ledger.outstanding);
}
END_TEST

/* ---- What a backward pass needs ---- */

static ag_tensor *tanh_formula(ag_tensor *x) {
    ag_tensor *cubic = ag_mul(ag_add_scalar(ag_scale(ag_square(x), 0.044715), 1), x);
    return ag_mul(ag_scale(x, 0.5), ag_add_scalar(ag_tanh(ag_scale(cubic, 0.8)), 1));
}

/* The most memory of values, in values of a layer, for a loss of `layers` layers and its gradients. */
static double values_of(ag_tensor *(*activation)(ag_tensor *), int layers) {
    enum { ROWS = 512, WIDTH = 32, MOST = 16 };
    ag_tape *t = ag_tape_new();
    ag_tape_set_evaluator(t, AG_EVALUATOR_FUSED);
    ag_tensor *h = scattered(t, AG_F32, AG_SHAPE(ROWS, WIDTH), 0), *w[MOST], *dw[MOST];
    for (int i = 0; i < layers; i++) w[i] = ag_parameter_from(scattered(t, AG_F32, AG_SHAPE(WIDTH, WIDTH), 100));
    int64_t before = ag_tape_memory(t).live;
    for (int i = 0; i < layers; i++) h = activation(ag_matmul(h, w[i]));
    ag_grad(ag_mean(h), layers, w, dw);
    ck_assert_int_eq(ag_eval_all(layers, dw), AG_OK);
    double bytes = (double)(ag_tape_memory(t).peak_live - before);
    ag_tape_free(t);
    return bytes / (ROWS * WIDTH * sizeof(float));
}

/* Only a layer's product is kept: neither the slope nor what that is computed from, nor the activation, which is an input
 * of the next layer's product and, in the backward pass, of its weight's gradient. */
START_TEST(activations_are_not_kept_for_the_backward_pass) {
    ag_tensor *(*const activation[])(ag_tensor *) = {ag_sigmoid, ag_tanh, tanh_formula};
    double each = (values_of(activation[_i], 16) - values_of(activation[_i], 8)) / 8;
    ck_assert_msg(each < 1.3, "%g values a layer", each);
}
END_TEST

/* The cotangents of slices become one concatenation. The sum of embedded tensors, as which it was recorded first, is never
 * computed: nothing is kept for it, and its terms are gone when the gradient is there. */
START_TEST(cotangents_of_slices_do_not_stay) {
    enum { N = 2000, SLICES = 4 };
    ag_tensor *x = ag_parameter_from(scattered(tape, AG_F64, AG_SHAPE(SLICES, N), 3)), *y = NULL, *dx;
    ag_eval(x);
    for (int64_t i = 0; i < SLICES; i++) {
        ag_tensor *part = ag_tanh(ag_slice(x, 0, i, i + 1, 1));
        y = y ? ag_mul(y, part) : part;
    }
    ag_tensor *loss = ag_sum(y);
    ag_grad(loss, 1, &x, &dx);
    const int64_t before = ag_tape_memory(tape).live, bytes = SLICES * N * (int64_t)sizeof(double);
    ck_assert_int_eq(ag_eval_all(2, (ag_tensor *[]){loss, dx}), AG_OK);
    const int64_t more = ag_tape_memory(tape).live - before;
    ck_assert_msg(more < bytes + bytes / 4, "%lld bytes stay for a gradient of %lld", (long long)more,
                  (long long)bytes);
}
END_TEST

/* A variable's value of 2 kB, the most that is not small with its header, has memory of its own: else the memory around
 * it would not be given back. */
START_TEST(a_value_that_lasts_is_apart) {
    enum { BYTES = 2048, N = BYTES / sizeof(float) };
    static const float elements[N];
    ag_parameter(tape, AG_F32, AG_SCALAR, elements);
    const int64_t before = ag_tape_memory(tape).held;
    ag_parameter(tape, AG_F32, AG_SHAPE(N), elements);
    ck_assert_int_le(ag_tape_memory(tape).held - before, BYTES + 3 * 64);
}
END_TEST

/* Free blocks of about its size, more than are tried, lie between values that stay: none of them is taken. */
START_TEST(a_value_that_lasts_is_apart_also_from_free_blocks) {
    enum { BLOCKS = 80, LEAST = 3100, N = 3500, BYTES = N * sizeof(double) };
    static double elements[N];
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    ag_tensor *y[BLOCKS], *sum = NULL;
    for (int i = 0; i < BLOCKS; i++) y[i] = ag_add_scalar(ag_arange(tape, AG_F64, LEAST + 4 * i), i);
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 2 == 0) ag_keep(y[i]);
        else sum = sum ? ag_add(sum, ag_sum(y[i])) : ag_sum(y[i]);
    }
    ck_assert_double_gt(ag_item(sum), 0);
    const int64_t before = ag_tape_memory(tape).held;
    for (int i = 0; i < N; i++) elements[i] = i;
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(N), elements);
    ck_assert_int_ge(ag_tape_memory(tape).held - before, BYTES);
    ck_assert_int_le(ag_tape_memory(tape).held - before, BYTES + 3 * 64);
    for (int i = 0; i < BLOCKS; i += 2) ck_assert_double_eq(ag_element(y[i], LEAST - 1), LEAST - 1 + i);
    ck_assert_double_eq(ag_element(x, N - 1), N - 1);
}
END_TEST

/* Each operation writes over its input, which nothing else reads: but x is kept, and the square reads y twice. */
START_TEST(a_small_result_takes_the_place_of_its_input) {
    static const double elements[50] = {1, 2, 3};
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    ag_tensor *x = ag_keep(ag_neg(ag_wrap(tape, AG_F64, AG_SHAPE(50), elements)));
    ag_eval(x);
    ag_eval(ag_tanh(x)); /* whose steps take memory where there is no kernel */
    const int64_t strips = ag_tape_memory(tape).peak_live - ag_tape_memory(tape).live;
    ag_tape_reset_peaks(tape);
    ag_tensor *y = x;
    for (int i = 0; i < 10; i++) y = ag_tanh(ag_neg(ag_mul(y, x)));
    ag_eval(y);
    ck_assert_int_eq(ag_tape_memory(tape).peak_live - ag_tape_memory(tape).live, strips);
    ck_assert_double_eq(ag_element(x, 2), -3);
    ag_tensor *z = ag_add(ag_neg(y), ag_mul(y, y));
    double at = ag_element(y, 1);
    ck_assert_double_eq(ag_element(z, 1), at * at - at);
    expect_ok(tape);
}
END_TEST

/* A row of x below ag_stop_gradient is passed by no backward scan; it does not keep all of x. */
START_TEST(a_view_below_a_stopped_gradient_keeps_nothing) {
    enum { ROWS = 400, WIDTH = 100 };
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *w = ag_parameter_from(scattered(tape, AG_F32, AG_SHAPE(WIDTH, WIDTH), 0)), *dw;
    ag_tensor *x = ag_matmul(scattered(tape, AG_F32, AG_SHAPE(ROWS, WIDTH), 1), w);
    ag_tensor *loss = ag_sum(ag_tanh(ag_sub(x, ag_stop_gradient(ag_slice(x, 0, 0, 1, 1)))));
    ag_grad(loss, 1, &w, &dw);
    const int64_t before = ag_tape_memory(tape).live;
    ck_assert_int_eq(ag_eval_all(2, (ag_tensor *[]){loss, dw}), AG_OK);
    ck_assert_int_lt(ag_tape_memory(tape).live - before, (WIDTH * WIDTH + ROWS * WIDTH / 2) * (int64_t)sizeof(float));
}
END_TEST

/* Large first values leave no large block behind once a step has used less. */
START_TEST(a_loop_is_given_no_more_than_it_uses) {
    enum { N = 20000 };
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 4; i++) {
        ag_tensor *x = ag_exp(ag_scale(ag_arange(tape, AG_F64, i ? N : 20 * N), 1e-6));
        ck_assert(ag_item(ag_sum(x)) > 0);
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_lt(ag_tape_memory(tape).held, 10 * N * (int64_t)sizeof(double));
    expect_ok(tape);
}
END_TEST

/* ---- Stale handles ---- */

START_TEST(a_rewound_tensor_is_refused) {
    ag_tensor *x = ag_scalar(tape, AG_F64, 1);
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *gone = ag_add_scalar(x, 1);
    ag_eval(gone);
    ag_tape_rewind(tape, mark);
    ck_assert(ag_is_nil(gone));
    ck_assert(isnan(ag_item(gone)));
    expect_error(tape, AG_ERR_TAPE, "item", "rewind");
    ck_assert_ptr_null(ag_data(gone));
    expect_error(tape, AG_ERR_TAPE, "data", "rewind");
    ck_assert(ag_is_nil(ag_add(x, gone)));
    expect_error(tape, AG_ERR_TAPE, "add", "second", "rewind", "test_memory.c:");
    ag_tensor *dx;
    ck_assert_int_eq(ag_grad(gone, 1, &x, &dx), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "grad");
    ck_assert_int_eq(ag_rank(gone), 0);
    expect_item(x, 1);
}
END_TEST

/* An arena block of any size, and some nodes. */
static void record_anything(ag_tape *t, ag_tensor *x, uint64_t seed) {
    char label[300] = "";
    memset(label, 'a', (size_t)(seed * 37 % 299));
    ag_tensor *many[40];
    for (int i = 0; i < 40; i++) many[i] = x;
    switch (seed % 5) {
    case 0: ag_label(x, label); break;
    case 1: ag_sum_over(ag_reshape(x, AG_SHAPE(2, 2)), AG_AXES(0), true); break;
    case 2: ag_concat(1 + (int)(seed / 5 % 40), many, 0); break;
    case 3: ag_windows(x, AG_AXES(0), AG_SHAPE(2), AG_SHAPE(1)); break;
    default: ag_formula(ag_mul(ag_slice(x, 0, 0, 3, 1), ag_scalar(t, AG_F64, 3)), NULL);
    }
}

enum { OLD = 12 };

/* Use a rewound handle in every way; whether it was refused in all of them. */
static bool refused_everywhere(ag_tape *t, ag_tensor *x, ag_tensor *old) {
    int refused = 0, uses = 0;
    ag_tensor *dx;
    ag_is_nil(ag_add(x, old)), uses++, refused += ag_tape_status(t) == AG_ERR_TAPE, ag_clear_error(t);
    ag_eval(old), uses++, refused += ag_tape_status(t) == AG_ERR_TAPE, ag_clear_error(t);
    ag_grad(old, 1, &x, &dx), uses++, refused += ag_tape_status(t) == AG_ERR_TAPE, ag_clear_error(t);
    ag_label(old, "old"), uses++, refused += ag_tape_status(t) == AG_ERR_TAPE, ag_clear_error(t);
    ag_formula(old, NULL), uses++, refused += ag_tape_status(t) == AG_ERR_TAPE, ag_clear_error(t);
    ag_shape shape = ag_shape_of(old);
    bool nil = ag_is_nil(old) && !ag_op_of(old) && ag_inputs(old) == 0 && !ag_attributes(old) && shape.rank == 0;
    ck_assert_ptr_eq(ag_tape_of(old), t);
    return refused == uses && nil;
}

/* A rewound handle is refused, or is the new tensor in its slot; nothing else is read as a tensor. */
START_TEST(a_handle_is_a_tensor_or_refused) {
    if (_i % 2) setenv("AG_CHECK", "1", 1);
    ag_tape *t = ag_tape_new_with(&tape_ledger.allocator);
    unsetenv("AG_CHECK");
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(4), 0), *old[OLD], *now[OLD];
    for (uint64_t seed = 0; seed < (small_run() ? 20 : 200); seed++) {
        ag_mark mark = ag_tape_mark(t);
        for (int i = 0; i < OLD; i++) old[i] = i % 3 ? ag_sin(x) : ag_sum(x);
        if (seed % 2) ag_eval(old[3]);
        ag_tape_rewind(t, mark);
        for (uint64_t i = 0; i < 6; i++) record_anything(t, x, seed * 7 + i * (seed % 3 + 1));
        int n = (int)(seed % OLD);
        for (int i = 0; i < n; i++) now[i] = ag_scale(x, 2);
        expect_ok(t);
        int64_t nodes = ag_tape_memory(t).nodes;
        if (_i % 2)
            for (int i = 0; i < n; i++)
                for (int k = 0; k < OLD; k++) ck_assert_ptr_ne(now[i], old[k]);
        for (int i = 0; i < OLD; i++) {
            ag_tensor *y = ag_is_nil(old[i]) ? NULL : old[i];
            bool refused = refused_everywhere(t, x, old[i]);
            if (_i % 2) ck_assert_msg(refused, "seed %d: handle %d is taken for another tensor", (int)seed, i);
            ck_assert(refused == !y);
        }
        if (_i % 2) ck_assert_int_eq(ag_tape_memory(t).nodes, nodes);
        ag_tape_rewind(t, mark);
        expect_ok(t);
    }
    ag_tape_free(t);
}
END_TEST

/* They are also where each step makes a mark of its own, and where each leaves a tensor; in a loop that leaves none,
 * released handles are refused after vacant places have been used again. */
START_TEST(vacant_places_are_bounded) {
    enum { ONE_MARK, MARK_EACH_STEP, TENSOR_EACH_STEP };
    setenv("AG_CHECK", "1", 1);
    ag_tape *t = ag_tape_new_with(&tape_ledger.allocator);
    unsetenv("AG_CHECK");
    ag_tensor *x = ag_scalar(t, AG_F64, 1), *old = NULL;
    ag_mark mark = ag_tape_mark(t);
    int64_t held = 0, kept = 0;
    for (int i = 0; i < 600; i++) {
        if (_i == TENSOR_EACH_STEP) ag_neg(x), kept++;
        if (_i != ONE_MARK) mark = ag_tape_mark(t);
        for (int k = 0; k < 1000; k++) ag_neg(x);
        if (i == 400 && _i != TENSOR_EACH_STEP) ck_assert(refused_everywhere(t, x, old));
        old = ag_neg(x);
        ck_assert_int_eq(ag_tape_memory(t).nodes, 1002 + kept);
        ag_tape_rewind(t, mark);
        if (i == 299) held = ag_tape_memory(t).held;
    }
    ck_assert_int_le(ag_tape_memory(t).held, held + kept * 1000);
    expect_item(ag_neg(x), -1);
    ag_tape_free(t);
}
END_TEST

/* Marks within marks, rewound in any order: what is before a mark is there, and what was behind it is not. */
START_TEST(vacant_places_lie_behind_marks) {
    enum { MARKS = 12, MOST = 400 };
    setenv("AG_CHECK", "1", 1);
    ag_tape *t = ag_tape_new_with(&tape_ledger.allocator);
    unsetenv("AG_CHECK");
    ag_mark mark[MARKS];
    ag_tensor *x[MOST];
    int at[MARKS], marks = 0, n = 0;
    for (uint64_t step = 0; step < 5000; step++) {
        const int which = (int)(fabs(scatter(step)) * 1000) % 7;
        if (which < 3 && n + 9 < MOST) {
            for (int i = 0; i < 3 * which + 1; i++) x[n] = ag_scalar(t, AG_F64, n), n++;
        } else if (which < 5 && marks < MARKS) {
            mark[marks] = ag_tape_mark(t), at[marks++] = n;
        } else if (marks > 0) {
            const int to = (int)(fabs(scatter(step + 9999)) * 1000) % marks, before = n;
            ag_tape_rewind(t, mark[to]);
            n = at[to], marks = to + 1;
            for (int i = n; i < before; i++) ck_assert(ag_is_nil(x[i]));
        }
        ck_assert_int_eq(ag_tape_memory(t).nodes, n);
        for (int i = 0; i < n; i++) ck_assert_double_eq(ag_item(x[i]), i);
        for (int i = 0; i < marks; i++) ck_assert(ag_mark_valid(mark[i]));
        if (step % 500 == 0 && marks > 0) {
            ag_tape_rewind(t, mark[0]);
            n = at[0], marks = 1;
        }
    }
    expect_ok(t);
    ag_tape_free(t);
}
END_TEST

/* A report leaves the tape as it was, with its vacant places. */
START_TEST(vacant_places_stay_vacant_behind_reports) {
    setenv("AG_CHECK", "1", 1);
    ag_tape *t = ag_tape_new_with(&tape_ledger.allocator);
    unsetenv("AG_CHECK");
    ag_tensor *x = ag_parameter(t, AG_F64, AG_SCALAR, &(double){2}), *y = NULL, *old = NULL;
    ag_mark mark = ag_tape_mark(t);
    for (int i = 0; i < 4; i++) {
        old = y;
        y = ag_exp(ag_square(x));
        ck_assert_uint_gt(strlen(ag_explain(y, x, NULL)), 0);
        ck_assert_uint_gt(strlen(ag_trace_backward(y, 1, &x, NULL)), 0);
        ck_assert_uint_gt(strlen(ag_formula(y, NULL)), 0);
        expect_ok(t);
        if (old) ck_assert(ag_is_nil(old) && refused_everywhere(t, x, old));
        ag_tape_rewind(t, mark);
        ck_assert_int_eq(ag_tape_memory(t).nodes, 1);
    }
    ag_tape_free(t);
}
END_TEST

/* A sum of g that is there already is sought among the latest nodes, and there is none. */
START_TEST(vacant_places_are_no_sums) {
    setenv("AG_CHECK", "1", 1);
    ag_tape *t = ag_tape_new_with(&tape_ledger.allocator);
    unsetenv("AG_CHECK");
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(4, 3), 1), *g = scattered(t, AG_F64, AG_SHAPE(4, 3), 2),
              *c = scattered(t, AG_F64, AG_SHAPE(3), 3), *db;
    ag_tensor *b = ag_parameter_from(scattered(t, AG_F64, AG_SHAPE(3), 4));
    ag_mark mark = ag_tape_mark(t);
    for (int i = 0; i < 20; i++) {
        for (int k = i; k < 20; k++) ag_neg(c); /* fewer each time: inputs of vacant slots are beyond the end */
        ag_tensor *y = ag_mul(ag_add(x, b), c);
        ag_vjp(1, &y, &g, 1, &b, &db, 0);
        for (int k = 0; k < 3; k++) {
            const double sum = ag_element(g, k) + ag_element(g, 3 + k) + ag_element(g, 6 + k) + ag_element(g, 9 + k);
            ck_assert_double_eq_tol(ag_element(db, k), sum * ag_element(c, k), 1e-14);
        }
        expect_ok(t);
        ag_tape_rewind(t, mark);
    }
    ag_tape_free(t);
}
END_TEST

/* ---- Gaps ---- */

/* For values that fill a block exactly, nearly or partly, whatever was in the block before. */
START_TEST(nothing_is_usable_behind_a_value) {
    for (int round = 0; round < 2; round++) {
        ag_mark mark = ag_tape_mark(tape);
        for (int64_t n = 1; n < 120000; n += n < 300 ? 1 : n / 7) {
            int64_t size = n + round;
            ag_tensor *x = ag_full(tape, AG_F64, AG_SHAPE(size), 1), *y = ag_equal(x, x);
            const char *of_x = ag_data(x), *of_y = ag_data(y);
            ck_assert(!is_poisoned(of_x) && !is_poisoned(of_y + size - 1));
            ck_assert_msg(is_poisoned(of_x + size * 8), "x of %d", (int)size);
            ck_assert_msg(is_poisoned(of_y + size), "y of %d", (int)size);
        }
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- */

int main(void) {
    Suite *suite = suite_create("memory");
    TCase *steady = tape_group(suite, "steady");
    tcase_add_loop_test(steady, a_steady_training_loop_takes_no_memory, 0, 3);
    tcase_add_test(steady, a_loop_that_looks_at_everything_takes_no_memory);
    TCase *failing = plain_group(suite, "failing");
    tcase_add_test(failing, every_allocation_of_a_training_run_may_fail);
    tcase_add_test(failing, gaps_behind_buffers_change_no_bit);
    tcase_add_test(failing, memory_may_run_out_for_good);
    tcase_add_test(failing, an_evaluation_can_be_repeated_after_a_failure);
    TCase *accounts = tape_group(suite, "accounts");
    tcase_add_test(accounts, sizes_beyond_all_memory_are_refused);
    tcase_add_test(accounts, the_accounts_are_those_of_the_allocator);
    tcase_add_test(accounts, memory_that_is_not_aligned_is_refused);
    tcase_add_test(accounts, live_counts_values);
    tcase_add_test(accounts, trimming_is_never_noticed);
    tcase_add_test(accounts, blocks_of_segments_come_and_go);
    tcase_add_test(accounts, a_node_is_small);
    if (usual_pieces(3))
        tcase_add_loop_test(plain_group(suite, "backward"), activations_are_not_kept_for_the_backward_pass, 0, 3);
    TCase *less = tape_group(suite, "less");
    if (usual_pieces(1)) tcase_add_test(less, a_view_below_a_stopped_gradient_keeps_nothing);
    tcase_add_test(less, cotangents_of_slices_do_not_stay);
    if (!under_asan() && !under_valgrind()) tcase_add_test(less, a_value_that_lasts_is_apart);
    if (!under_asan() && !under_valgrind()) tcase_add_test(less, a_value_that_lasts_is_apart_also_from_free_blocks);
    if (usual_pieces(1)) tcase_add_test(less, a_small_result_takes_the_place_of_its_input);
    tcase_add_test(less, a_loop_is_given_no_more_than_it_uses);
    TCase *stale = tape_group(suite, "stale");
    tcase_add_test(stale, a_rewound_tensor_is_refused);
    tcase_add_loop_test(stale, a_handle_is_a_tensor_or_refused, 0, 2);
    tcase_add_loop_test(stale, vacant_places_are_bounded, 0, 3);
    tcase_add_test(stale, vacant_places_are_no_sums);
    tcase_add_test(stale, vacant_places_lie_behind_marks);
    tcase_add_test(stale, vacant_places_stay_vacant_behind_reports);
    if (under_asan() || under_valgrind()) tcase_add_test(tape_group(suite, "gaps"), nothing_is_usable_behind_a_value);
    return run_suite(suite);
}
