/* test_little -- programs of many nodes of a few elements, beside the reference evaluator
 *
 * A program has little nodes of several sizes and dtypes, and between them sums, views and an operation of this test's,
 * which can fail or interrupt the tape; it is longer than what is computed together. */
#include "autograd/tape/limits.h"
#include "autograd/tape/tape.h"
#include "tests/support.h"

#include <string.h>

enum { PARAMETERS = 3, RESULTS = PARAMETERS + 2, RECENT = 16 };

/* ---- An operation that does something when it is computed ---- */

static enum { PASSES, FAILS, INTERRUPTS } doing;
static int computed, acts_at;

static bool same_shape(ag_infer *r) { return r != NULL; }

static bool act(const ag_call *call) {
    for (int64_t i = 0; i < call->y.size; i++)
        element_put(call->y.dtype, call->y.data, i, element_at(call->x[0].dtype, call->x[0].data, i));
    if (computed++ != acts_at || doing == PASSES) return true;
    if (doing == FAILS) return ag_call_fail(call, AG_ERR_RANGE, "this time");
    ag_tape_interrupt(tape);
    return true;
}

static ag_tensor *passed_on(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, g; }

static const ag_op actor = {.name = "actor",
                            .kind = AG_KIND_OPAQUE,
                            .arity = 1,
                            .flags = AG_OP_CONTIGUOUS,
                            .infer = same_shape,
                            .eval = act,
                            .vjp = passed_on};

/* ---- The program ---- */

typedef struct program {
    ag_tensor *p[PARAMETERS];
    ag_tensor *result[RESULTS]; /* the loss, its gradients, and a value in the middle */
} program;

static ag_tensor *next_of(ag_tensor *const recent[], const program *p, int i) {
    ag_tensor *a = recent[(i + RECENT - 1) % RECENT], *b = recent[i % RECENT], *w = p->p[i % PARAMETERS];
    switch (i % 12) {
    case 0: return ag_add(ag_mul(a, w), b);
    case 1: return ag_scale(ag_tanh(a), 0.75);
    case 2: return ag_sub(a, ag_mean(b));
    case 3: return ag_where(ag_greater(a, b), a, ag_neg(b));
    case 4: return ag_apply(&actor, 1, &a, NULL, 0);
    case 5: return ag_add(ag_flip(a, 0), b);
    case 6: return ag_concat(2, (ag_tensor *[]){ag_slice(a, 0, 0, 1, 1), ag_slice(b, 0, 1, ag_extent(b, 0), 1)}, 0);
    case 7: return ag_mul(ag_sigmoid(b), w);
    case 8: return ag_cos(ag_add(a, ag_slice(ag_broadcast_to(w, AG_SHAPE(200, ag_extent(w, 0))), 0, 7, 8, 1)));
    case 9: return ag_reshape(a, AG_SHAPE(ag_extent(w, 0)));
    case 10: return ag_scale(ag_lerp(a, b, w), 0.5);
    default: return ag_maximum(a, ag_mul(w, w));
    }
}

static ag_tensor *flat(ag_tensor *x, int64_t n) { return ag_reshape(x, AG_SHAPE(n)); }

static void record(program *p, ag_dtype dtype, int64_t n, int steps) {
    ag_tensor *recent[RECENT];
    for (int i = 0; i < RECENT; i++)
        recent[i] =
            flat(ag_add(p->p[i % PARAMETERS], scattered(ag_tape_of(p->p[0]), dtype, AG_SHAPE(n), (uint64_t)i)), n);
    for (int i = 0; i < steps; i++) {
        recent[i % RECENT] = flat(next_of(recent, p, i), n);
        if (i == steps / 2) p->result[RESULTS - 1] = recent[i % RECENT];
    }
    ag_tensor *loss = ag_sum(recent[0]);
    for (int i = 1; i < RECENT; i++) loss = ag_add(loss, ag_sum(recent[i]));
    p->result[0] = loss;
    ag_grad(loss, PARAMETERS, p->p, p->result + 1);
}

static program program_on(ag_tape *t, ag_evaluator evaluator, ag_dtype dtype, int64_t n, int steps) {
    program p;
    ag_tape_set_evaluator(t, evaluator);
    for (int i = 0; i < PARAMETERS; i++)
        p.p[i] = ag_parameter_from(scattered(t, dtype, AG_SHAPE(n), (uint64_t)(100 + i * 10)));
    record(&p, dtype, n, steps);
    return p;
}

static int64_t size_of(int i) { return (const int64_t[]){1, 2, 8, 14, AG__LITTLE_SIZE, AG__LITTLE_SIZE + 1}[i]; }

static int length(void) { return (int)by_length(AG__TOGETHER / 4, AG__TOGETHER / 2, AG__TOGETHER); }

static void expect_equal(const program *a, const program *b) {
    for (int i = 0; i < RESULTS; i++) expect_same(a->result[i], b->result[i]);
}

/* Each node counts the recorded nodes that read it and have not been computed, and no evaluation has left marks. */
static void expect_counts(const ag_tape *t) {
    enum { MOST = 1 << 16 };
    static uint32_t readers[MOST];
    ck_assert_int_lt(t->count, MOST);
    memset(readers, 0, t->count * sizeof *readers);
    for (uint32_t id = 0; id < t->count; id++) {
        const ag_tensor *x = ag__node(t, id);
        for (int i = 0; i < x->arity && !(x->flags & AG__COMPUTED); i++) readers[x->input[i]->id]++;
    }
    for (uint32_t id = 0; id < t->count; id++) {
        ck_assert_uint_eq(ag__node(t, id)->readers, readers[id]);
        if (id >= t->node_mark_room) continue;
        ck_assert(!t->node_marks[id].needed);
        ck_assert_uint_eq(t->node_marks[id].live, 0);
    }
}

static int actors(const ag_tape *t) {
    int n = 0;
    for (uint32_t id = 0; id < t->count; id++) n += ag__node(t, id)->op == &actor;
    return n;
}

/* ---- Tests ---- */

START_TEST(the_bits_are_those_of_the_reference_evaluator) {
    const ag_dtype dtype = _i % 2 ? AG_F32 : AG_F64;
    ag_tape *plain = ag_tape_new();
    doing = PASSES;
    program want = program_on(plain, AG_EVALUATOR_REFERENCE, dtype, size_of(_i / 2), length()),
            got = program_on(tape, AG_EVALUATOR_AUTOMATIC, dtype, size_of(_i / 2), length());
    if (_i % 3 == 0) ck_assert_int_eq(ag_eval(got.result[0]), AG_OK); /* values are there before their gradients */
    if (_i % 3 == 1) {
        ck_assert_int_eq(ag_eval_all(RESULTS, want.result), AG_OK);
        ck_assert_int_eq(ag_eval_all(RESULTS, got.result), AG_OK);
        const int64_t live = ag_tape_memory(tape).live, most = ag_tape_memory(plain).live;
        ck_assert(AG_TINY_LIMITS ? live <= most
                                 : live == most); /* with tiny limits some is planned, and kept for less long */
    }
    expect_counts(tape);
    expect_equal(&want, &got);
    expect_counts(tape);
    ag_tape_free(plain);
}
END_TEST

/* First the loss, whose values wait for the gradient; nothing is computed twice. */
START_TEST(values_with_readers_to_come_are_kept) {
    doing = PASSES;
    program p = program_on(tape, AG_EVALUATOR_AUTOMATIC, AG_F64, 2, length());
    computed = 0;
    for (int i = 0; i + 1 < RESULTS; i++) ck_assert_int_eq(ag_eval(p.result[i]), AG_OK);
    ck_assert_int_gt(computed, 0);
    ck_assert_int_le(computed, actors(tape));
}
END_TEST

/* An operation that is not little, of three inputs or of no elements, does not write over what it reads with others. */
START_TEST(values_are_not_written_over) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_AUTOMATIC);
    const ag_shape shape = AG_SHAPE(_i ? 0 : 2);
    ag_tensor *x = ag_cos(scattered(tape, AG_F64, shape, 5)), *y = ag_lerp(x, x, x), *z = ag_add(ag_sin(x), y);
    ag_tensor *all[] = {x, ag_neg(x), z};
    ck_assert_int_eq(ag_eval_all(3, all), AG_OK);
    ck_assert(x->buffer && z->buffer);
    ag_tensor *again = ag_cos(scattered(tape, AG_F64, shape, 5));
    expect_same(x, again);
    expect_same(all[1], ag_neg(again));
    expect_same(z, ag_add(ag_sin(again), ag_lerp(again, again, again)));
    expect_counts(tape);
}
END_TEST

/* It stops or fails at an operation early, in the middle, late; then it goes on. */
START_TEST(what_was_stopped_goes_on) {
    ag_tape *plain = ag_tape_new();
    const int steps = length(), times = steps / 12;
    doing = PASSES;
    program want = program_on(plain, AG_EVALUATOR_REFERENCE, AG_F64, 2, steps),
            got = program_on(tape, AG_EVALUATOR_AUTOMATIC, AG_F64, 2, steps);
    for (int at = 0; at < times; at += 1 + times / 5) {
        doing = _i ? FAILS : INTERRUPTS, acts_at = at, computed = 0;
        const ag_status status = ag_eval_all(RESULTS, got.result);
        if (computed <= at) break; /* the values are there */
        ck_assert_int_eq(status, _i ? AG_ERR_RANGE : AG_ERR_LIMIT);
        if (_i) expect_error(tape, AG_ERR_RANGE, "actor", "this time");
        ag_clear_error(tape);
        expect_counts(tape);
    }
    ck_assert_int_gt(computed, 0);
    doing = PASSES;
    expect_equal(&want, &got);
    expect_ok(tape);
    ag_tape_free(plain);
}
END_TEST

static ag_status short_program(ag_tape *t) {
    program p = program_on(t, AG_EVALUATOR_AUTOMATIC, AG_F32, 3, 44);
    ag_eval_all(RESULTS, p.result);
    return ag_tape_status(t);
}

START_TEST(each_allocation_may_fail) {
    doing = PASSES;
    with_each_allocation_failing(short_program);
}
END_TEST

/* Memory that fails once makes no difference but a longer way. */
START_TEST(without_memory_for_it_the_reference_evaluator_runs) {
    ag_tape *plain = ag_tape_new();
    doing = PASSES;
    program want = program_on(plain, AG_EVALUATOR_REFERENCE, AG_F64, 3, 200);
    for (int64_t call = 1; call < 40; call++) {
        ag_mark mark = ag_tape_mark(tape);
        program got = program_on(tape, AG_EVALUATOR_AUTOMATIC, AG_F64, 3, 200);
        tape_ledger.fail_at = tape_ledger.calls + call, tape_ledger.failed = false;
        if (ag_eval_all(RESULTS, got.result) != AG_OK) expect_error(tape, AG_ERR_MEMORY, "out of memory");
        const bool failed = tape_ledger.failed;
        tape_ledger.fail_at = 0;
        expect_counts(tape);
        expect_equal(&want, &got);
        ag_tape_rewind(tape, mark);
        ag_tape_trim(tape);
        if (!failed) break;
    }
    ag_tape_free(plain);
}
END_TEST

/* Values are kept only if something needs them afterwards, or if they are to be kept. */
START_TEST(values_in_between_take_no_memory_afterwards) {
    enum { LONG = 2 * AG__TOGETHER + 7, KEPT = LONG / 3 };
    ag_tape_set_evaluator(tape, AG_EVALUATOR_AUTOMATIC);
    ag_tensor *y = ag_scalar(tape, AG_F64, 0.5), *read = NULL;
    ag_eval(y);
    const int64_t before = ag_tape_memory(tape).live;
    for (int i = 0; i < LONG; i++) {
        y = ag_cos(y);
        if (i == KEPT) read = y;
    }
    ag_keep(read);
    ck_assert_int_eq(ag_eval(y), AG_OK);
    ck_assert_int_le(ag_tape_memory(tape).live - before, 1024);
    double x = 0.5, middle = 0;
    for (int i = 0; i < LONG; i++) {
        ag_tensor *one = ag_cos(ag_scalar(tape, AG_F64, x));
        x = ag_item(one);
        if (i == KEPT) middle = x;
    }
    expect_item(read, middle);
    expect_item(y, x);
}
END_TEST

/* About as many nodes as are computed together: as many as there are, and one that is left. */
START_TEST(parts_of_an_evaluation_fit) {
    ag_tape *plain = ag_tape_new();
    ag_tape_set_evaluator(plain, AG_EVALUATOR_REFERENCE);
    ag_tape_set_evaluator(tape, AG_EVALUATOR_AUTOMATIC);
    for (int n = AG__TOGETHER - 2; n <= AG__TOGETHER + 2; n++) {
        double value[2];
        for (int k = 0; k < 2; k++) {
            ag_tape *t = k ? tape : plain;
            const ag_mark mark = ag_tape_mark(t);
            ag_tensor *y = ag_scalar(t, AG_F64, 0.5);
            ag_eval(y);
            for (int i = 0; i < n; i++) y = ag_cos(y);
            value[k] = ag_item(y);
            ag_tape_rewind(t, mark);
        }
        ck_assert_msg(value[0] == value[1], "%d nodes: %.17g and %.17g", n, value[0], value[1]);
    }
    ag_tape_free(plain);
}
END_TEST

/* More values at a time than there are places for: the others have buffers. */
START_TEST(values_for_which_there_is_no_place_have_buffers) {
    enum { WIDTH = 8, AT_ONCE = 700 };
    ag_tape *plain = ag_tape_new();
    ag_tensor *sum[2];
    for (int k = 0; k < 2; k++) {
        ag_tape *t = k ? tape : plain;
        ag_tape_set_evaluator(t, k ? AG_EVALUATOR_AUTOMATIC : AG_EVALUATOR_REFERENCE);
        ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(WIDTH), 5), *all[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) all[i] = ag_cos(ag_scale(i < 2 ? x : all[i - 2], 1 + 0.01 * i));
        sum[k] = x;
        for (int i = 0; i < AT_ONCE; i++) sum[k] = ag_add(ag_scale(sum[k], 0.75), all[i]);
        sum[k] = ag_sub(sum[k], ag_mul(all[0], all[AT_ONCE - 1]));
        ck_assert_int_eq(ag_eval(sum[k]), AG_OK);
    }
    for (int i = 0; i < WIDTH; i++) ck_assert(ag_element(sum[0], i) == ag_element(sum[1], i));
    ag_tape_free(plain);
}
END_TEST

int main(void) {
    Suite *s = suite_create("little");
    TCase *c = tape_group(s, "little");
    tcase_add_loop_test(c, the_bits_are_those_of_the_reference_evaluator, 0, 12);
    tcase_add_test(c, values_with_readers_to_come_are_kept);
    tcase_add_loop_test(c, values_are_not_written_over, 0, 2);
    tcase_add_loop_test(c, what_was_stopped_goes_on, 0, 2);
    tcase_add_test(c, without_memory_for_it_the_reference_evaluator_runs);
    tcase_add_test(c, values_in_between_take_no_memory_afterwards);
    tcase_add_test(c, parts_of_an_evaluation_fit);
    tcase_add_test(c, values_for_which_there_is_no_place_have_buffers);
    c = plain_group(s, "memory");
    tcase_add_test(c, each_allocation_may_fail);
    return run_suite(s);
}
