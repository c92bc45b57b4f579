/* test_steps -- joint updates happen all or not at all, whatever fails
 *
 * A small network takes training steps while every allocation fails in turn, once or for good, and while values are
 * read in between, other calls fail, or a value is an error. Afterwards everything that a step updates has its old
 * value, or everything its new one. Then training continues as if nothing had happened. */
#include "nn/nn.h"
#include "tests/support.h"

#include <string.h>

/* ---- A network and its optimiser ---- */

enum { SGD, RMSPROP, ADAM, OPTIMISERS, PARAMETERS = 4, NUMBERS = 84 };

typedef struct network {
    ag_tape *tape;
    ag_embedding words;
    ag_batchnorm norm;
    ag_linear output;
    ag_tensor *p[PARAMETERS];
    ag_slot slots[PARAMETERS];
    int which;
    ag_sgd sgd;
    ag_rmsprop rmsprop;
    ag_adam adam;
    ag_mark mark;
} network;

static ag_status open_optimiser(network *n) {
    if (n->which == SGD) return ag_sgd_init(&n->sgd, PARAMETERS, n->p, n->slots, 0.25, 0.5);
    if (n->which == ADAM) return ag_adam_init(&n->adam, PARAMETERS, n->p, n->slots);
    ag_status status = ag_rmsprop_init(&n->rmsprop, PARAMETERS, n->p, n->slots);
    n->rmsprop.momentum = 0.5;
    return status;
}

static ag_status open_network(network *n, ag_tape *t, int which) {
    *n = (network){.tape = t, .which = which};
    ag_tape_seed(t, 5);
    ag_embedding_init(&n->words, t, AG_F64, 5, 3);
    ag_batchnorm_init(&n->norm, t, AG_F64, 3);
    ag_linear_init(&n->output, t, AG_F64, 3, 2);
    ag_tensor *p[] = {n->words.weight, n->norm.gamma, n->output.weight, n->output.bias};
    memcpy(n->p, p, sizeof p);
    ag_status status = open_optimiser(n);
    n->mark = ag_tape_mark(t);
    return status == AG_OK ? ag_tape_status(t) : status;
}

/* The variations of a step. */
typedef enum manner {
    PLAIN,       /* nothing is read before the rewind */
    LOSS,        /* the loss is read */
    A_PARAMETER, /* one of the updated parameters is */
    A_STATE,     /* the last of the states */
    A_STATISTIC, /* a running statistic */
    A_USE,       /* a value computed from an updated parameter */
    ERROR_AFTER, /* another call fails before the rewind */
    EAGER,       /* values are computed at once */
    BAD_INDEX,   /* the gradients of all but the last parameters are errors when they are evaluated */
    MANNERS
} manner;

static ag_status step(network *n, manner how) {
    const int64_t index[] = {0, 3, 1, how == BAD_INDEX ? 7 : 4, 2, 2}, labels[] = {0, 1, 1, 0, 1, 0};
    ag_tape *t = n->tape;
    bool eager = ag_tape_set_eager(t, how == EAGER);
    ag_tensor *dp[PARAMETERS], *x = ag_embedding_apply(&n->words, ag_from(t, AG_I64, AG_SHAPE(6), index));
    ag_tensor *h = ag_batchnorm_apply(&n->norm, x, true);
    ag_tensor *loss = ag_cross_entropy(ag_linear_apply(&n->output, h), ag_from(t, AG_I64, AG_SHAPE(6), labels));
    ag_grad(loss, PARAMETERS, n->p, dp);
    if (how == BAD_INDEX) /* in any order of evaluation */
        for (int i = 2; i < PARAMETERS; i++) dp[i] = ag_scale(ag_ones(t, AG_F64, ag_shape_of(n->p[i])), 3);
    ag_status status = n->which == SGD    ? ag_sgd_step(&n->sgd, dp)
                       : n->which == ADAM ? ag_adam_step(&n->adam, dp)
                                          : ag_rmsprop_step(&n->rmsprop, dp);
    if (how == LOSS || how == BAD_INDEX) ag_item(loss);
    if (how == A_PARAMETER) ag_eval(n->p[1]);
    if (how == A_STATE) ag_eval(n->slots[PARAMETERS - 1].state[0]);
    if (how == A_STATISTIC) ag_eval(n->norm.running_var);
    if (how == A_USE) ag_eval(ag_scale(n->p[1], 2));
    if (how == ERROR_AFTER) ag_matmul(loss, loss);
    ag_tape_rewind(t, n->mark);
    ag_tape_set_eager(t, eager);
    return status == AG_OK ? ag_tape_status(t) : status;
}

/* ---- What is updated ---- */

/* Numbers in sequence: the running statistics, then everything that the optimiser updates. */
typedef struct state {
    int statistics, count;
    double number[NUMBERS];
} state;

static void add_numbers(state *s, ag_tensor *x) {
    int64_t size = ag_size(x);
    const double *data = ag_data(x);
    ck_assert(data && s->count + size <= NUMBERS);
    memcpy(s->number + s->count, data, (size_t)size * sizeof *data);
    s->count += (int)size;
}

static state state_of(const network *n) {
    state s = {0};
    add_numbers(&s, n->norm.running_mean);
    add_numbers(&s, n->norm.running_var);
    s.statistics = s.count;
    for (int i = 0; i < PARAMETERS; i++) {
        add_numbers(&s, n->p[i]);
        for (int k = 0; k < (n->which == SGD ? 1 : 2); k++) add_numbers(&s, n->slots[i].state[k]);
    }
    return s;
}

static bool same(const state *a, const state *b, int from, int to) {
    return memcmp(a->number + from, b->number + from, (size_t)(to - from) * sizeof *a->number) == 0;
}

/* ---- The steps that are right ---- */

static void right_states(int which, manner how, state s[4]) {
    network n;
    ag_tape *t = ag_tape_new();
    ck_assert_int_eq(open_network(&n, t, which), AG_OK);
    for (int i = 0; i < 4; i++) {
        s[i] = state_of(&n);
        if (how == ERROR_AFTER || how == BAD_INDEX) how = PLAIN;
        ck_assert_int_eq(step(&n, how), AG_OK);
    }
    ag_tape_free(t);
}

/* Whether a part is in the state before (0) or after (1); −1: neither. */
static int part_is(const state *found, const state *before, const state *after, int from, int to) {
    return same(found, before, from, to) ? 0 : same(found, after, from, to) ? 1 : -1;
}

/* After step number `taken`, which may have failed. */
static void expect_whole(const network *n, const state *found, const state right[4], int taken, int64_t fail_at,
                         int how) {
    int statistics = part_is(found, &right[taken], &right[taken + 1], 0, found->statistics);
    int optimiser = part_is(found, &right[taken], &right[taken + 1], found->statistics, found->count);
    ck_assert_msg(statistics >= 0, "manner %d, allocation %d: half of the statistics", how, (int)fail_at);
    ck_assert_msg(optimiser >= 0, "optimiser %d, manner %d, allocation %d: half a step", n->which, how, (int)fail_at);
}

static void expect_count(network *n, const state *found, const state right[4], int taken, int how, int64_t fail_at) {
    if (n->which != ADAM) return;
    int more = same(found, &right[taken + 1], found->statistics, found->count);
    int64_t counted = ag_adam_steps(&n->adam);
    ck_assert_msg(counted == taken + more && n->adam.steps == counted, "manner %d, allocation %d: %d steps, not %d",
                  how, (int)fail_at, (int)counted, taken + more);
}

/* ---- Each allocation fails in turn ---- */

/* Returns true if the step makes fewer allocations. */
static bool try_step(int which, manner how, bool reference, int64_t fail_at, bool for_good, const state right[4]) {
    network n;
    ledger l;
    ledger_open(&l);
    ag_tape *t = ag_tape_new_with(&l.allocator);
    if (reference) ag_tape_set_evaluator(t, AG_EVALUATOR_REFERENCE);
    ck_assert_int_eq(open_network(&n, t, which), AG_OK);
    ck_assert_int_eq(step(&n, PLAIN), AG_OK);
    l.fail_at = l.calls + fail_at;
    l.fail_for_good = for_good;
    ag_status status = step(&n, how);
    bool failed = l.failed;
    l.fail_at = 0;
    if (!failed && how != ERROR_AFTER && how != BAD_INDEX) ck_assert_int_eq(status, AG_OK);
    ag_clear_error(t);
    state found = state_of(&n);
    expect_whole(&n, &found, right, 1, fail_at, (int)how);
    expect_count(&n, &found, right, 1, (int)how, fail_at);
    if (!failed && how != BAD_INDEX) ck_assert(same(&found, &right[2], 0, found.count));
    if (same(&found, &right[1], 0, found.count)) { /* the step had no effect */
        ck_assert_int_eq(step(&n, PLAIN), AG_OK);
        found = state_of(&n);
        ck_assert(same(&found, &right[2], 0, found.count));
        expect_count(&n, &found, right, 1, (int)how, fail_at);
    }
    ag_tape_free(t);
    ledger_close(&l);
    return !failed;
}

START_TEST(steps_are_made_whole_or_not_at_all) {
    int which = _i % OPTIMISERS, reference = _i / OPTIMISERS;
    for (int how = 0; how < MANNERS; how += small_run() ? 3 : 1) {
        state right[4];
        right_states(which, (manner)how, right);
        for (int for_good = 0; for_good < 2; for_good++)
            for (int64_t at = 1; !try_step(which, (manner)how, reference, at, for_good, right);) at = next_to_fail(at);
    }
}
END_TEST

/* Two steps without a rewind in between are carried out together, and lost together. */
START_TEST(steps_without_a_rewind_are_lost_together) {
    for (int64_t at = 1, done = 0; !done; at = next_to_fail(at)) {
        network n;
        ledger l;
        ledger_open(&l);
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ck_assert_int_eq(open_network(&n, t, ADAM), AG_OK);
        ag_tensor *dp[PARAMETERS];
        for (int i = 0; i < PARAMETERS; i++) dp[i] = ag_ones(t, AG_F64, ag_shape_of(n.p[i]));
        ck_assert_int_eq(ag_adam_step(&n.adam, dp), AG_OK);
        ck_assert_int_eq(ag_adam_step(&n.adam, dp), AG_OK);
        ck_assert(n.adam.steps == 2 && ag_adam_steps(&n.adam) == 2);
        l.fail_at = l.calls + at;
        l.fail_for_good = true;
        ag_tape_rewind(t, n.mark);
        l.fail_at = 0;
        done = !l.failed;
        ag_clear_error(t);
        bool moved = ag_element(n.p[3], 0) != 0;
        ck_assert_int_eq(ag_adam_steps(&n.adam), moved ? 2 : 0);
        n.adam.steps = 7; /* as read from a file */
        ck_assert_int_eq(ag_adam_steps(&n.adam), 7);
        ag_tape_free(t);
        ledger_close(&l);
    }
}
END_TEST

/* A failed init leaves no valid optimiser. */
START_TEST(inits_are_whole_or_not_at_all) {
    for (int which = 0; which < OPTIMISERS; which++)
        for (int64_t at = 1, done = 0; !done; at = next_to_fail(at)) {
            network n = {.which = which};
            ledger l;
            ledger_open(&l);
            ag_tape *t = ag_tape_new_with(&l.allocator);
            for (int i = 0; i < PARAMETERS; i++) n.p[i] = ag_parameter(t, AG_F64, AG_SHAPE(400), (double[400]){i});
            expect_ok(t);
            l.fail_at = l.calls + at;
            l.fail_for_good = true;
            ag_status status = open_optimiser(&n);
            l.fail_at = 0;
            done = !l.failed;
            bool good = status == AG_OK; /* some allocations are optional */
            ck_assert(good || (status == AG_ERR_MEMORY && !done));
            ag_clear_error(t);
            for (int i = 0; i < PARAMETERS; i++) {
                ck_assert_int_eq(ag_is_nil(n.slots[i].parameter), !good);
                ck_assert_int_eq(ag_is_nil(n.slots[i].state[0]), !good);
                ck_assert_double_eq(ag_element(n.p[i], 0), i);
            }
            status = which == SGD    ? ag_sgd_step(&n.sgd, n.p)
                     : which == ADAM ? ag_adam_step(&n.adam, n.p)
                                     : ag_rmsprop_step(&n.rmsprop, n.p);
            ck_assert_int_eq(status, good ? AG_OK : AG_ERR_NIL);
            ag_tape_free(t);
            ledger_close(&l);
        }
}
END_TEST

/* Statistics large enough for memory of their own. */
static bool try_statistics(int64_t fail_at, int how) {
    enum { C = 5000 };
    ag_batchnorm norm;
    ledger l;
    ledger_open(&l);
    ag_tape *t = ag_tape_new_with(&l.allocator);
    ag_batchnorm_init(&norm, t, AG_F64, C);
    ag_mark mark = ag_tape_mark(t);
    expect_ok(t);
    l.fail_at = l.calls + fail_at;
    l.fail_for_good = how / 3;
    ag_tensor *y = ag_batchnorm_apply(&norm, scattered(t, AG_F64, AG_SHAPE(4, C), 0), true);
    if (how % 3 == 1) ag_eval(norm.running_var);
    if (how % 3 == 2) ag_matmul(y, y);
    ag_tape_rewind(t, mark);
    l.fail_at = 0;
    ag_clear_error(t);
    bool mean = ag_element(norm.running_mean, 0) != 0, variance = ag_element(norm.running_var, 0) != 1;
    ck_assert_msg(mean == variance, "manner %d, allocation %d: half of the statistics", how, (int)fail_at);
    ck_assert(mean || l.failed);
    ag_tape_free(t);
    ledger_close(&l);
    return !l.failed;
}

START_TEST(statistics_are_updated_both_or_neither) {
    for (int how = 0; how < 6; how++)
        for (int64_t at = 1; !try_statistics(at, how);) at = next_to_fail(at);
}
END_TEST

/* A layer's results are complete, or nil. */
START_TEST(results_are_whole_or_nil) {
    enum { C = 300 }; /* large enough for each value to need memory of its own */
    for (int64_t at = 1, done = 0; !done; at = next_to_fail(at)) {
        ledger l;
        ledger_open(&l);
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ag_lstm_cell cell;
        ag_batchnorm norm;
        ag_layernorm second;
        ag_lstm_state last = {NULL, NULL};
        ag_batchnorm_nodes b;
        ag_layernorm_nodes n;
        ag_lstm_cell_init(&cell, t, AG_F64, C, 600);
        ag_batchnorm_init(&norm, t, AG_F64, C);
        ag_layernorm_init(&second, t, AG_F64, C);
        ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(40, C), 0);
        expect_ok(t);
        ag_tape_set_eager(t, true); /* more to fail */
        l.fail_at = l.calls + at;
        l.fail_for_good = true; /* after a single failure, freeing recycled memory is enough */
        ag_tensor *g[] = {x, ag_scale(x, 2), x};
        if (ag_is_nil(g[1])) g[1] = x;
        ag_clip_norm(3, g, 1e-3);
        ck_assert(ag_is_nil(g[0]) == ag_is_nil(g[2]) && ag_is_nil(g[1]) == ag_is_nil(g[2]));
        ck_assert((g[0] == x) == (g[2] == x));
        ag_tensor *y[] = {ag_lstm_cell_apply(&cell, x, &last), ag_batchnorm_apply_nodes(&norm, x, true, &b),
                          ag_layernorm_apply_nodes(&second, x, &n)};
        l.fail_at = 0;
        done = !l.failed;
        ag_tensor *all[3][4] = {{last.hidden, last.cell, last.hidden, last.cell},
                                {b.mean, b.centred, b.variance, b.normalised},
                                {n.mean, n.centred, n.variance, n.normalised}};
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 4; k++)
                ck_assert_msg(all[i][k] && ag_is_nil(all[i][k]) == ag_is_nil(y[i]), "allocation %d: %d, %d", (int)at, i,
                              k);
        ag_tape_free(t);
        ledger_close(&l);
    }
}
END_TEST

/* ---- Joined assignments ---- */

START_TEST(joined_assignments_are_carried_out_together) {
    double one = 1;
    ag_tensor *v[3], *x = ag_from(tape, AG_F64, AG_SCALAR, &one);
    for (int i = 0; i < 3; i++) v[i] = ag_variable(tape, AG_F64, AG_SCALAR, &one);
    ag_mark mark = ag_tape_mark(tape);
    const int64_t bad = 5;
    ag_tensor *wrong =
        ag_reshape(ag_gather(ag_reshape(x, AG_SHAPE(1)), ag_from(tape, AG_I64, AG_SHAPE(1), &bad), 0), AG_SCALAR);
    ck_assert_int_eq(ag_assign(v[0], ag_add(x, x)), AG_OK);
    ck_assert_int_eq(ag_assign_with(v[1], wrong, v[0]), AG_OK);
    ck_assert_int_eq(ag_assign(v[2], ag_add(x, x)), AG_OK);
    ck_assert_int_eq(ag_values_given(v[0]), 1);
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "gather");
    expect_item(v[0], 1);
    expect_item(v[1], 1);
    expect_item(v[2], 2); /* it was not joined */
    ck_assert(ag_values_given(v[0]) == 0 && ag_values_given(v[1]) == 0 && ag_values_given(v[2]) == 1);
    ag_assign(v[0], ag_add(x, x));
    ag_assign_with(v[1], ag_scale(x, 7), v[0]);
    ag_assign(v[1], ag_scale(x, 3)); /* no longer joined */
    ag_set(v[0], &(double){9});
    expect_item(v[0], 9);
    expect_item(v[1], 3);
    ck_assert(ag_values_given(v[0]) == 2 && ag_values_given(v[1]) == 2);
    ck_assert(ag_values_given(x) == 0 && ag_values_given(NULL) == 0);
}
END_TEST

/* Reading one carries out all that it is joined with. */
START_TEST(joined_variables_are_what_they_were_assigned) {
    ag_tensor *v[3], *x = ag_ones(tape, AG_F64, AG_SHAPE(50));
    double want[3] = {1, 1, 1};
    for (int i = 0; i < 3; i++) v[i] = ag_variable_from(x);
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 3; k++) ag_assign_with(v[k], ag_scale(v[(k + 1) % 3], k + 2), v[0]);
        for (int k = 0; k < 3; k++) want[k] = want[(k + 1) % 3] * (k + 2);
        if (i > 2) expect_same(ag_mul(v[1], x), ag_scale(v[1], 1));
        for (int k = 0; k < 3; k++) ck_assert_double_eq(ag_element(v[(i + k) % 3], 7), want[(i + k) % 3]);
        ag_tape_rewind(tape, mark);
    }
    expect_ok(tape);
}
END_TEST

START_TEST(joined_variables_may_be_rewound) {
    double one = 1;
    ag_tensor *x = ag_from(tape, AG_F64, AG_SCALAR, &one), *v = ag_variable(tape, AG_F64, AG_SCALAR, &one);
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *gone = ag_variable(tape, AG_F64, AG_SCALAR, &one), *more = ag_variable(tape, AG_F64, AG_SCALAR, &one);
    ag_assign(gone, ag_add(x, x));
    ag_assign_with(v, ag_scale(x, 3), gone);
    ag_assign_with(more, ag_scale(x, 4), v);
    ag_tape_rewind(tape, mark);
    expect_item(v, 3);
    ag_assign(v, ag_scale(x, 4));
    expect_item(v, 4);
    expect_ok(tape);
}
END_TEST

START_TEST(joining_is_checked) {
    double one = 1;
    ag_tensor *x = ag_from(tape, AG_F64, AG_SCALAR, &one), *v = ag_variable(tape, AG_F64, AG_SCALAR, &one);
    ag_tensor *w = ag_variable(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2});
    ck_assert_int_eq(ag_assign_with(v, x, x), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "assign_with", "variable", "test_steps.c:");
    ck_assert_int_eq(ag_assign_with(v, x, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "assign_with", "third");
    ck_assert_int_eq(ag_assign_with(w, x, v), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "assign_with", "(2)", "()");
    ck_assert_int_eq(ag_assign_with(v, ag_cast(x, AG_F32), w), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "assign_with", "f32");
    ck_assert_int_eq(ag_assign_with(NULL, NULL, NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "assign_with");
    ag_assign_with(v, ag_scale(x, 2), v); /* with itself, and with a variable without a pending assignment */
    expect_item(v, 2);
    ag_assign_with(v, ag_scale(x, 3), w);
    expect_item(v, 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("steps");
    TCase *steps = plain_group(suite, "steps");
    tcase_add_loop_test(steps, steps_are_made_whole_or_not_at_all, 0, 2 * OPTIMISERS);
    tcase_add_test(steps, steps_without_a_rewind_are_lost_together);
    tcase_add_test(steps, inits_are_whole_or_not_at_all);
    tcase_add_test(steps, statistics_are_updated_both_or_neither);
    tcase_add_test(steps, results_are_whole_or_nil);
    TCase *joined = tape_group(suite, "joined assignments");
    tcase_add_test(joined, joined_assignments_are_carried_out_together);
    tcase_add_test(joined, joined_variables_are_what_they_were_assigned);
    tcase_add_test(joined, joined_variables_may_be_rewound);
    tcase_add_test(joined, joining_is_checked);
    return run_suite(suite);
}
