/* test_endurance -- long runs: a small network is trained for millions of steps
 *
 * Batches have other lengths from step to step, marks are nested, values are read, and now and then the run is saved.
 * Once each kind of step has been seen, memory stays the same to the byte, and only a save calls the allocator again.
 * AG_TEST_STEPS chooses how many steps; the processor time of a step at the beginning and at the end is printed.
 * Counters are put at their ends. */
#include "autograd/eval/eval.h"
#include "io/checkpoint.h"
#include "nn/optimisers.h"
#include "tests/files.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { INPUTS = 4, HIDDEN = 8, LENGTHS = 7, PARAMETERS = 4, SAVES = 10, FEW_STEPS = 21000, MANY_STEPS = 1000000 };

typedef struct run {
    ag_tensor *parameter[PARAMETERS], *x, *target;
    ag_adam adam;
} run;

static run run_on(ag_tape *t) {
    static const ag_shape shape[PARAMETERS] = {{2, {INPUTS, HIDDEN}}, {1, {HIDDEN}}, {2, {HIDDEN, 1}}, {1, {1}}};
    static const char *const name[PARAMETERS] = {"w", "b", "v", "c"};
    run r;
    for (int i = 0; i < PARAMETERS; i++)
        r.parameter[i] = ag_label(ag_parameter_from(scattered(t, AG_F64, shape[i], (uint64_t)i * 100)), name[i]);
    r.x = scattered(t, AG_F64, AG_SHAPE(LENGTHS, INPUTS), 1000);
    r.target = scattered(t, AG_F64, AG_SHAPE(LENGTHS, 1), 2000);
    ag_adam_init(&r.adam, PARAMETERS, r.parameter, NULL);
    r.adam.beta2 =
        0.98; /* 1 − beta2^t rounds to 1 while the run warms up: quotients by 1 are left out, in other plans */
    expect_ok(t);
    return r;
}

/* Two gradients of a batch of the step's length, one thrown away by an inner mark; returns the loss if it is read. */
static double step(run *r, int64_t number) {
    ag_tape *t = tape;
    const ag_mark mark = ag_tape_mark(t);
    const int64_t length = 1 + number % LENGTHS;
    ag_tensor *x = ag_slice(r->x, 0, 0, length, 1), *target = ag_slice(r->target, 0, 0, length, 1), *dp[PARAMETERS];
    const ag_mark inner = ag_tape_mark(t);
    if (number % 3 == 0) ag_item(ag_sum(ag_uniform(t, AG_F64, AG_SHAPE(length), 0, 1)));
    ag_tape_rewind(t, inner);
    ag_tensor *hidden = ag_tanh(ag_add(ag_matmul(x, r->parameter[0]), r->parameter[1]));
    ag_tensor *y = ag_add(ag_matmul(hidden, r->parameter[2]), r->parameter[3]);
    ag_tensor *loss = ag_mean(ag_square(ag_sub(y, target)));
    ag_grad(loss, PARAMETERS, r->parameter, dp);
    ag_adam_step(&r->adam, dp);
    const double value = number % 11 == 0 ? ag_item(loss) : 0;
    ck_assert_int_eq(ag_tape_rewind(t, mark), AG_OK);
    return value;
}

static int64_t steps_wanted(void) {
    const char *text = getenv("AG_TEST_STEPS");
    const int64_t n = text ? strtoll(text, NULL, 10) : by_length(FEW_STEPS, FEW_STEPS, MANY_STEPS);
    return n < FEW_STEPS ? FEW_STEPS : n;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Steps first … last−1; returns seconds for each. */
static double run_steps(run *r, int64_t first, int64_t last) {
    const double since = seconds();
    for (int64_t i = first; i < last; i++) {
        if (i % 100000 == 0) be_patient();
        ck_assert(isfinite(step(r, i)));
    }
    return (seconds() - since) / (double)(last - first);
}

static void expect_same_memory(const ag_memory *was, int64_t number) {
    const ag_memory m = ag_tape_memory(tape);
    ck_assert_msg(
        m.held == was->held && m.live == was->live && m.nodes == was->nodes && m.node_bytes == was->node_bytes &&
            m.plan_bytes == was->plan_bytes && m.peak_held == was->peak_held && m.peak_live == was->peak_live,
        "after step %lld: %lld bytes held, %lld live, %lld tensors, %lld for plans, at most %lld; not %lld, %lld, "
        "%lld, %lld, %lld",
        (long long)number, (long long)m.held, (long long)m.live, (long long)m.nodes, (long long)m.plan_bytes,
        (long long)m.peak_held, (long long)was->held, (long long)was->live, (long long)was->nodes,
        (long long)was->plan_bytes, (long long)was->peak_held);
}

/* The rest of the run in parts, after each of which the memory is what it was, and the run is saved. */
START_TEST(memory_is_flat_to_the_byte) {
    enum { PERIOD = 3 * 7 * 11, WARM = 10 * PERIOD };
    on_one_thread(tape);
    run r = run_on(tape);
    const int64_t part = (steps_wanted() - WARM) / SAVES / PERIOD * PERIOD;
    const char *path = in_folder("run");
    run_steps(&r, 0, WARM);
    ck_assert_int_eq(ag_checkpoint_save(tape, path, 0, NULL, 2), AG_OK);
    ag_tape_reset_peaks(tape);
    run_steps(&r, WARM, WARM + PERIOD);
    const ag_memory was = ag_tape_memory(tape);
    double before = 0, each = 0;
    int64_t number = WARM + PERIOD, calls = was.allocations;
    for (int i = 0; i < SAVES; i++, number += part) {
        ag_tape_reset_peaks(tape); /* those of the save */
        each = run_steps(&r, number, number + part);
        if (i == 0) before = each;
        expect_same_memory(&was, number + part);
        ck_assert_int_eq(ag_tape_memory(tape).allocations, calls);
        ck_assert_int_eq(ag_checkpoint_save(tape, path, 0, NULL, 2), AG_OK);
        calls = ag_tape_memory(tape).allocations;
    }
    in_folder("run.000010.safetensors"); /* they are removed with the folder */
    in_folder("run.000011.safetensors");
    printf("%lld steps: %.2f µs each at the beginning, %.2f at the end\n", (long long)number, 1e6 * before, 1e6 * each);
}
END_TEST

/* ---- Counters at their ends ---- */

START_TEST(marks_outlast_their_serial_numbers) {
    for (uint64_t i = 0; i < 6; i++) {
        const ag_mark start = ag_tape_mark(tape);
        ag_tape_rewind(tape, start);
        tape->mark_count = 0;
        tape->next_serial = UINT64_MAX - i;
        const ag_mark first = ag_tape_mark(tape);
        ag_ones(tape, AG_F64, AG_SCALAR);
        const ag_mark second = ag_tape_mark(tape);
        ck_assert(ag_mark_valid(first) && ag_mark_valid(second));
        ag_ones(tape, AG_F64, AG_SCALAR);
        ck_assert_int_eq(ag_tape_rewind(tape, first), AG_OK);
        ck_assert(!ag_mark_valid(second));
        ck_assert(!ag_mark_valid((ag_mark){tape, 0, 0})); /* the mark of a call that failed */
    }
}
END_TEST

START_TEST(draws_go_on_after_the_last_number) {
    double first[2];
    ag_tape_seed(tape, 7);
    for (int i = 0; i < 2; i++) first[i] = ag_item(ag_uniform(tape, AG_F64, AG_SCALAR, 0, 1));
    ag_tape_seed(tape, 7);
    tape->draws = UINT64_MAX;
    const double last = ag_item(ag_uniform(tape, AG_F64, AG_SCALAR, 0, 1));
    ck_assert(last != first[0] && last != first[1]);
    for (int i = 0; i < 2; i++) expect_item(ag_uniform(tape, AG_F64, AG_SCALAR, 0, 1), first[i]);
}
END_TEST

/* The number of the last node that a tape can have. */
START_TEST(the_last_slot_is_refused_as_memory_is) {
    const ag_tape former = *tape;
    tape->count = UINT32_MAX / AG__SEGMENT * AG__SEGMENT;
    tape->segment_count = tape->count / AG__SEGMENT;
    ck_assert(!ag__slot(tape));
    *tape = former;
    expect_ok(tape);
}
END_TEST

START_TEST(steps_of_adam_stay_at_the_last_number) {
    run r = run_on(tape);
    step(&r, 0);
    r.adam.steps = r.adam.counted = INT64_MAX - 1;
    for (int i = 0; i < PARAMETERS; i++) r.adam.slots[i].missed = 0;
    for (int i = 0; i < 3; i++) step(&r, i);
    expect_ok(tape);
    ck_assert_int_eq(ag_adam_steps(&r.adam), INT64_MAX);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("endurance");
    TCase *runs = tape_group(suite, "runs");
    tcase_add_checked_fixture(runs, make_folder, remove_folder);
    tcase_set_timeout(runs, 3600);
    if (usual_pieces(1)) tcase_add_test(runs, memory_is_flat_to_the_byte); /* tiny ones drop plans and make them anew */
    TCase *counters = tape_group(suite, "counters");
    tcase_add_test(counters, marks_outlast_their_serial_numbers);
    tcase_add_test(counters, draws_go_on_after_the_last_number);
    tcase_add_test(counters, the_last_slot_is_refused_as_memory_is);
    tcase_add_test(counters, steps_of_adam_stay_at_the_last_number);
    return run_suite(suite);
}
