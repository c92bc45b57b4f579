/* test_tape -- marks and rewinds, laziness, variables, labels and locations, kept values and recomputed ones
 *
 * `counted` is the identity, and counts the elements that it computes: it shows how often values are evaluated. */
#include "tests/support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int64_t computed;

static void counted_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    computed += n;
    memmove(y, x[0], (size_t)n * sizeof(double));
}

static ag_tensor *counted_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, g; }

static const ag_op op_counted = {.name = "counted",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .arity = 1,
                                 .block = {[AG_F64] = counted_block},
                                 .vjp = counted_vjp};

static ag_tensor *counted(ag_tensor *x) { return ag_apply(&op_counted, 1, &x, NULL, 0); }

static ag_tensor *f64s(int64_t n, const double values[]) { return tensor_of(tape, AG_F64, AG_SHAPE(n), values); }
#define F64S(...) f64s((int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]){__VA_ARGS__})

static ag_tensor *number(double value) { return ag_from(tape, AG_F64, AG_SCALAR, &value); }
static ag_tensor *variable(double value) { return ag_variable(tape, AG_F64, AG_SCALAR, &value); }
static int64_t nodes(void) { return ag_tape_memory(tape).nodes; }

/* ---- Marks ---- */

START_TEST(a_rewind_releases_what_came_after_the_mark) {
    ag_tensor *x = number(3);
    ag_mark mark = ag_tape_mark(tape);
    int64_t before = nodes(), live = ag_tape_memory(tape).live;
    for (int i = 0; i < 3; i++) {
        expect_item(ag_add(x, ag_ones(tape, AG_F64, AG_SHAPE(1))), 4);
        ck_assert_int_gt(nodes(), before);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        ck_assert_int_eq(nodes(), before);
        ck_assert_int_eq(ag_tape_memory(tape).live, live);
    }
    expect_item(x, 3);
}
END_TEST

START_TEST(marks_nest) {
    ag_tensor *a = number(1);
    ag_mark outer = ag_tape_mark(tape);
    ag_tensor *b = ag_add_scalar(a, 1);
    ag_mark inner = ag_tape_mark(tape);
    ag_add_scalar(b, 1);
    ck_assert_int_eq(ag_tape_rewind(tape, inner), AG_OK);
    expect_item(b, 2);
    ck_assert_int_eq(ag_tape_rewind(tape, inner), AG_OK);
    ck_assert_int_eq(ag_tape_rewind(tape, outer), AG_OK);
    ck_assert_int_eq(ag_tape_rewind(tape, inner), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "rewind", "mark", "test_tape.c:");
    ck_assert_int_eq(ag_tape_rewind(tape, outer), AG_OK);
    expect_item(a, 1);
}
END_TEST

static ag_mark within;

static ag_tensor *marking_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)i;
    ag_add_scalar(g, 1);
    within = ag_tape_mark(ag_tape_of(y));
    return ag_sum(g); /* refused, and the whole vjp is undone */
}

static const ag_op op_marking = {.name = "marking",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .arity = 1,
                                 .block = {[AG_F64] = counted_block},
                                 .vjp = marking_vjp};

START_TEST(a_mark_of_what_was_taken_back_is_stale) {
    ag_tensor *x = F64S(1, 2), *dx, *y = ag_sum(ag_apply(&op_marking, 1, &x, NULL, 0));
    ag_mark mark = ag_tape_mark(tape);
    ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_ERR_GRADIENT);
    ag_clear_error(tape);
    ck_assert_int_eq(ag_tape_rewind(tape, within), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "stale");
    expect_item(y, 3);
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    expect_item(y, 3);
}
END_TEST

START_TEST(a_stale_mark_does_not_become_valid_again) {
    ag_mark outer = ag_tape_mark(tape);
    number(1);
    ag_mark old = ag_tape_mark(tape);
    ag_tape_rewind(tape, outer);
    number(2);
    ag_mark young = ag_tape_mark(tape);
    ag_tensor *kept = number(3);
    ck_assert_int_eq(ag_tape_rewind(tape, old), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "stale");
    expect_item(kept, 3);
    ck_assert_int_eq(ag_tape_rewind(tape, young), AG_OK);
}
END_TEST

START_TEST(marks_of_nothing_are_refused) {
    ag_tape *other = ag_tape_new();
    ag_mark foreign = ag_tape_mark(other), zero = {0};
    ag_tensor *x = number(1);
    ck_assert_int_eq(ag_tape_rewind(tape, foreign), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "another tape");
    ck_assert_int_eq(ag_tape_rewind(tape, zero), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "mark");
    ag_mark made_up = {tape, 12345, 1};
    ck_assert_int_eq(ag_tape_rewind(tape, made_up), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "mark");
    ck_assert_int_eq(ag_tape_rewind(NULL, foreign), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "rewind", "NULL");
    expect_item(x, 1);
    ag_tape_free(other);
}
END_TEST

START_TEST(rewinding_over_and_over_does_not_grow) {
    on_one_thread(tape);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(50), 0);
    ag_mark mark = ag_tape_mark(tape);
    int64_t held = 0, calls = 0;
    for (int i = 0; i < 2000; i++) {
        ag_tensor *y = ag_mul(x, ag_exp(x));
        ag_mark inner = ag_tape_mark(tape);
        ag_item(ag_sum(ag_add(y, x)));
        ag_data(ag_slice(y, 0, 0, AG_END, 2));
        ag_label(y, "a label of this step");
        if (i % 2) ag_tape_rewind(tape, inner);
        ag_tape_rewind(tape, mark);
        if (i == 3) held = ag_tape_memory(tape).held, calls = tape_ledger.calls;
    }
    expect_ok(tape);
    ck_assert_int_eq(ag_tape_memory(tape).held, held);
    ck_assert_int_eq(tape_ledger.calls, calls);
}
END_TEST

START_TEST(marking_again_and_again_does_not_grow) {
    number(1);
    for (int i = 0; i < 20000; i++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_add_scalar(number(2), 1);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    ck_assert_int_lt(ag_tape_memory(tape).held, 200000);
}
END_TEST

START_TEST(a_tape_in_error_can_be_rewound) {
    ag_tensor *x = number(1), *v = variable(5);
    ag_mark mark = ag_tape_mark(tape);
    ag_assign(v, ag_add_scalar(v, 1));
    ag_reshape(x, AG_SHAPE(7));
    int64_t before = nodes();
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_ERR_SHAPE);
    ck_assert_int_lt(nodes(), before);
    expect_error(tape, AG_ERR_SHAPE, "reshape");
    expect_item(v, 6);
    expect_item(x, 1);
}
END_TEST

START_TEST(large_and_small_things_find_their_memory_again) {
    on_one_thread(tape);
    ag_mark mark = ag_tape_mark(tape);
    int64_t sizes[] = {1, 1000, 3, 100000, 17, 4096, 0, 2}, held = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 8; i++) {
            ag_tensor *x = ag_add_scalar(ag_zeros(tape, AG_F32, AG_SHAPE(sizes[i])), i);
            ck_assert_ptr_nonnull(ag_data(x));
        }
        ag_tape_rewind(tape, mark);
        if (round == 4) held = ag_tape_memory(tape).held; /* a structure is planned anew until its third time */
    }
    ck_assert_int_eq(ag_tape_memory(tape).held, held);
    ag_tape_trim(tape);
    ck_assert_int_lt(ag_tape_memory(tape).held, held / 2);
    expect_item(ag_add(number(1), number(1)), 2);
}
END_TEST

/* ---- Laziness ---- */

START_TEST(values_come_when_somebody_looks) {
    ag_tensor *x = F64S(1, 2, 3), *y = counted(x), *z = ag_sum(ag_square(y));
    computed = 0;
    ck_assert_int_eq(computed, 0);
    expect_item(z, 14);
    ck_assert_int_eq(computed, 3);
    expect_item(z, 14);
    ck_assert_int_eq(computed, 3);
}
END_TEST

START_TEST(only_what_is_needed_is_computed) {
    ag_tensor *x = F64S(1, 2, 3), *y = counted(x), *other = counted(ag_scale(x, 2));
    computed = 0;
    expect_item(ag_max(y), 3);
    ck_assert_int_eq(computed, 3);
    ag_tensor *both[] = {ag_sum(other), ag_min(other)};
    ck_assert_int_eq(ag_eval_all(2, both), AG_OK);
    ck_assert_int_eq(computed, 6);
    expect_item(both[0], 12);
    expect_item(both[1], 2);
    ck_assert_int_eq(computed, 6);
    ck_assert_int_eq(ag_eval(y), AG_OK);
    ck_assert_int_eq(ag_eval_all(0, NULL), AG_OK);
}
END_TEST

START_TEST(a_chain_that_is_looked_at_step_by_step_is_computed_once) {
    ag_tensor *x = F64S(1, 2);
    computed = 0;
    for (int i = 0; i < 100; i++) {
        x = counted(ag_add_scalar(x, 1));
        ck_assert(ag_element(x, 0) == 2 + i);
    }
    ck_assert_int_eq(computed, 200);
}
END_TEST

START_TEST(a_value_that_is_used_later_is_not_computed_twice) {
    ag_tensor *x = F64S(1, 2), *shared = counted(x), *first = ag_sum(shared), *second = ag_max(shared);
    computed = 0;
    expect_item(first, 3);
    expect_item(second, 2);
    ck_assert_int_eq(computed, 2);
}
END_TEST

START_TEST(shapes_fail_at_once_and_values_later) {
    ag_tensor *x = F64S(1, 2, 3);
    ck_assert(ag_is_nil(ag_add(x, F64S(1, 2))));
    expect_error(tape, AG_ERR_SHAPE, "add", "(3)", "(2)");
    int64_t seven = 7;
    ag_tensor *y = ag_gather(x, ag_from(tape, AG_I64, AG_SHAPE(1), &seven), 0);
    ck_assert(!ag_is_nil(y));
    expect_ok(tape);
    ck_assert(isnan(ag_item(y)));
    expect_error(tape, AG_ERR_RANGE, "gather", "7", "test_tape.c:");
    expect_item(ag_sum(x), 6);
    ck_assert_ptr_null(ag_data(y)); /* every time */
    expect_error(tape, AG_ERR_RANGE, "gather");
}
END_TEST

START_TEST(an_eager_tape_computes_at_once) {
    ag_tensor *x = F64S(1, 2, 3);
    computed = 0;
    ck_assert(!ag_tape_set_eager(tape, true));
    ag_tensor *y = counted(x);
    ck_assert_int_eq(computed, 3);
    int64_t seven = 7;
    int line = __LINE__ + 1;
    ag_tensor *bad = ag_gather(x, ag_from(tape, AG_I64, AG_SHAPE(1), &seven), 0);
    ck_assert(ag_is_nil(bad));
    char place[40];
    snprintf(place, sizeof place, "test_tape.c:%d]", line);
    expect_error(tape, AG_ERR_RANGE, "gather", place);
    ck_assert(ag_tape_set_eager(tape, false));
    counted(y);
    ck_assert_int_eq(computed, 3);
    expect_list(y, 1, 2, 3);
}
END_TEST

/* ---- Variables ---- */

START_TEST(what_is_recorded_keeps_the_old_value) {
    ag_tensor *v = variable(1), *y = ag_add_scalar(v, 1), *seen = ag_scale(v, 3);
    expect_item(seen, 3);
    ck_assert_int_eq(ag_assign(v, number(10)), AG_OK);
    ag_tensor *after = ag_add_scalar(v, 1);
    expect_item(y, 2);
    expect_item(after, 11);
    expect_item(v, 10);
    expect_item(seen, 3);
    expect_item(ag_add(y, after), 13);
}
END_TEST

START_TEST(assigning_twice_is_assigning_in_order) {
    ag_tensor *v = variable(1), *before = ag_add_scalar(v, 0);
    for (int i = 0; i < 3; i++) ag_assign(v, ag_scale(ag_add_scalar(v, 1), 2));
    ag_tensor *after = ag_add_scalar(v, 0);
    expect_item(after, 22);
    expect_item(v, 22);
    expect_item(before, 1);
    ag_assign(v, number(5));
    ag_assign(v, number(7));
    expect_item(v, 7);
}
END_TEST

START_TEST(a_rewind_carries_assignments_out) {
    ag_tensor *v = variable(1), *w = variable(2);
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 10; i++) {
        ag_assign(v, ag_add(v, w));
        ag_assign(w, ag_add_scalar(w, 1));
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    expect_item(v, 66);
    expect_item(w, 12);
}
END_TEST

START_TEST(variables_can_be_exchanged) {
    ag_tensor *a = variable(1), *b = variable(2);
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *old = ag_add_scalar(a, 0);
    ag_assign(a, b);
    ag_assign(b, old);
    expect_item(a, 2);
    expect_item(b, 1);
    ag_assign(a, variable(30));
    ag_assign(b, a);
    ag_assign(a, number(4));
    ag_tape_rewind(tape, mark);
    expect_item(a, 4);
    expect_item(b, 30);
    for (int i = 0; i < 20; i++) {
        ag_tensor *sum = ag_add(a, b);
        ag_assign(a, b);
        ag_assign(b, sum);
        if (i % 3 == 0) ag_tape_rewind(tape, mark);
    }
    expect_item(a, 4 * 4181 + 30 * 6765);
    expect_item(b, 4 * 6765 + 30 * 10946);
}
END_TEST

START_TEST(one_variable_assigned_to_another_is_a_copy) {
    ag_tensor *a = ag_variable(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}),
              *b = ag_variable(tape, AG_F64, AG_SHAPE(2), (double[]){3, 4});
    ag_assign(a, b);
    ag_assign(b, ag_scale(b, 10));
    expect_list(a, 3, 4);
    expect_list(b, 30, 40);
    ck_assert_ptr_ne(ag_data(a), ag_data(b));
    ag_assign(a, a);
    expect_list(a, 3, 4);
    ag_set(b, (double[]){7, 8});
    expect_list(a, 3, 4);
}
END_TEST

START_TEST(views_can_be_assigned) {
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(2, 2), (double[]){1, 2, 3, 4});
    ag_mark mark = ag_tape_mark(tape);
    ag_assign(v, ag_transpose(v, 0, 1));
    expect_list(v, 1, 3, 2, 4);
    ag_assign(v, ag_flip(v, 1));
    ag_tape_rewind(tape, mark);
    expect_list(v, 3, 1, 4, 2);
    ag_assign(v, ag_broadcast_to(F64S(5, 6), AG_SHAPE(2, 2)));
    ag_tape_rewind(tape, mark);
    expect_list(v, 5, 6, 5, 6);
    ag_assign(v, ag_zeros(tape, AG_F64, AG_SHAPE(2, 2)));
    expect_list(v, 0, 0, 0, 0);
    ag_assign(v, ag_slice(ag_arange(tape, AG_F64, 4), 0, 0, 0, 1));
    expect_error(tape, AG_ERR_SHAPE, "assign");
    ag_assign(v, ag_reshape(ag_slice(ag_arange(tape, AG_F64, 9), 0, 8, 0, -2), AG_SHAPE(2, 2)));
    ag_tape_rewind(tape, mark);
    expect_list(v, 8, 6, 4, 2);
    expect_list(ag_reshape(v, AG_SHAPE(4)), 8, 6, 4, 2);
}
END_TEST

START_TEST(a_wrapped_array_can_be_assigned_and_then_change) {
    double data[] = {1, 2};
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(2), data);
    ag_mark mark = ag_tape_mark(tape);
    ag_assign(v, ag_wrap(tape, AG_F64, AG_SHAPE(2), (double[]){5, 6}));
    ag_tape_rewind(tape, mark);
    double borrowed[] = {7, 8};
    ag_assign(v, ag_wrap(tape, AG_F64, AG_SHAPE(2), borrowed));
    ag_tape_rewind(tape, mark);
    borrowed[0] = 99;
    expect_list(v, 7, 8);
}
END_TEST

START_TEST(set_is_an_assignment_from_memory) {
    ag_tensor *v = variable(1), *before = ag_scale(v, 2);
    ck_assert_int_eq(ag_set(v, (double[]){5}), AG_OK);
    ag_tensor *after = ag_scale(v, 2);
    expect_item(before, 2);
    expect_item(after, 10);
    ag_assign(v, ag_add_scalar(v, 1));
    ag_set(v, (double[]){50});
    expect_item(v, 50);
    ag_set(v, (double[]){60});
    ag_assign(v, ag_add_scalar(v, 1));
    expect_item(v, 61);
    uint8_t flags[] = {0, 1, 7};
    ag_tensor *mask = ag_variable(tape, AG_BOOL, AG_SHAPE(3), flags);
    expect_list(mask, 0, 1, 1);
    ag_set(mask, (uint8_t[]){2, 0, 1});
    expect_list(mask, 1, 0, 1);
    ag_tensor *none = ag_variable(tape, AG_F32, AG_SHAPE(0), NULL);
    ck_assert_int_eq(ag_set(none, NULL), AG_OK);
}
END_TEST

START_TEST(what_ag_data_showed_stays_until_the_next_value) {
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), *old = ag_scale(v, 1);
    const double *data = ag_data(v), *before = ag_data(old);
    ag_assign(v, ag_scale(v, 10));
    ck_assert(data[0] == 1 && data[1] == 2);
    const double *now = ag_data(v);
    ck_assert(now[0] == 10 && now[1] == 20);
    ck_assert(before[0] == 1 && before[1] == 2);
}
END_TEST

/* A value whose error is found only when it is computed. */
static ag_tensor *hopeless(ag_tensor *x) {
    int64_t nine = 9;
    return ag_sum(ag_gather(x, ag_from(ag_tape_of(x), AG_I64, AG_SHAPE(1), &nine), 0));
}

START_TEST(a_failing_assignment_leaves_the_old_value) {
    ag_tensor *v = variable(1), *w = variable(2), *u = variable(3), *x = F64S(1, 2, 3);
    ag_mark mark = ag_tape_mark(tape);
    ag_assign(w, ag_add_scalar(w, 1));
    ck_assert_int_eq(ag_assign(v, hopeless(x)), AG_OK);
    ag_assign(u, ag_add(u, w));
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "gather", "9", "test_tape.c:");
    expect_item(v, 1);
    expect_item(w, 3);
    expect_item(u, 6);
}
END_TEST

START_TEST(a_failing_assignment_fails_once) {
    ag_tensor *v = variable(1), *w = variable(2), *x = F64S(1, 2, 3);
    ag_assign(v, hopeless(x));
    ag_tensor *uses = ag_add_scalar(v, 1);
    ag_assign(w, number(4));
    ck_assert(isnan(ag_item(ag_sum(x))));
    expect_error(tape, AG_ERR_RANGE, "gather", "9");
    expect_item(ag_sum(x), 6);
    expect_item(v, 1);
    expect_item(w, 4);
    expect_item(ag_add_scalar(v, 1), 2);
    ck_assert(isnan(ag_item(uses))); /* it was recorded with the value that failed */
    expect_error(tape, AG_ERR_RANGE, "gather", "9");
    ck_assert_int_eq(ag_assign(v, number(5)), AG_OK);
    expect_item(v, 5);
    ag_tape_set_eager(tape, true);
    ck_assert(ag_is_nil(hopeless(x)));
    expect_error(tape, AG_ERR_RANGE, "gather");
    expect_item(v, 5);
}
END_TEST

START_TEST(assignments_that_do_not_fit_change_nothing) {
    ag_tensor *v = variable(1), *x = number(2);
    ck_assert_int_eq(ag_assign(v, F64S(1, 2)), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "assign", "(2)", "()", "test_tape.c:");
    ck_assert_int_eq(ag_assign(v, F64S(1)), AG_ERR_SHAPE); /* no broadcasting here */
    expect_error(tape, AG_ERR_SHAPE, "assign");
    ck_assert_int_eq(ag_assign(v, ag_cast(x, AG_F32)), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "assign", "f32", "f64");
    ck_assert_int_eq(ag_assign(x, v), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "assign", "variable");
    ck_assert_int_eq(ag_set(x, (double[]){1}), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "set", "variable");
    ck_assert_int_eq(ag_set(v, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "set", "NULL");
    ck_assert_int_eq(ag_assign(v, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "assign");
    expect_item(v, 1);
}
END_TEST

START_TEST(variables_may_be_young) {
    ag_tensor *old = variable(1);
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 5; i++) {
        ag_tensor *young = ag_variable_from(ag_scale(old, 2));
        ag_assign(young, ag_add_scalar(young, 1));
        ag_assign(old, young);
        ag_assign(young, number(-100));
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    expect_item(old, 63);
}
END_TEST

START_TEST(eager_variables_are_the_same) {
    ag_tape_set_eager(tape, true);
    ag_tensor *v = variable(1), *y = ag_add_scalar(v, 1);
    ag_mark mark = ag_tape_mark(tape);
    ag_assign(v, ag_scale(ag_add(v, y), 2));
    expect_item(ag_add(v, y), 8);
    ag_tape_rewind(tape, mark);
    expect_item(v, 6);
    expect_item(y, 2);
}
END_TEST

START_TEST(many_variables) {
    enum { MANY = 1000 };
    static ag_tensor *v[MANY];
    for (int i = 0; i < MANY; i++) v[i] = ag_variable(tape, AG_F64, AG_SHAPE(2), (double[]){i, 1});
    ag_mark mark = ag_tape_mark(tape);
    for (int step = 0; step < 3; step++) {
        for (int i = 0; i < MANY; i++) ag_assign(v[i], ag_add(v[i], v[(i + 1) % MANY]));
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    for (int i = 0; i + 3 < MANY; i++) expect_list(v[i], i + 3.0 * (i + 1) + 3 * (i + 2) + (i + 3), 8);
}
END_TEST

START_TEST(copies_of_values) {
    ag_tensor *x = F64S(1, 2, 3), *v = ag_variable_from(ag_flip(x, 0)), *p = ag_parameter_from(ag_scale(x, 2));
    expect_list(v, 3, 2, 1);
    expect_list(p, 2, 4, 6);
    ck_assert(ag_requires_grad(p) && !ag_requires_grad(v));
    ag_assign(p, ag_add_scalar(p, 1));
    ag_assign(v, p);
    expect_list(v, 3, 5, 7);
    ag_tensor *w = ag_variable_from(v);
    ag_assign(v, x);
    expect_list(w, 3, 5, 7);
    ck_assert(ag_is_nil(ag_parameter_from(ag_cast(x, AG_I64))));
    expect_error(tape, AG_ERR_DTYPE, "parameter_from", "i64", "test_tape.c:");
    ag_tensor *ints = ag_variable_from(ag_cast(x, AG_I64));
    ck_assert_int_eq(ag_dtype_of(ints), AG_I64);
}
END_TEST

/* ---- Labels and locations ---- */

START_TEST(labels_are_copied_and_shown) {
    char text[] = "weights";
    ag_tensor *x = number(1), *same = ag_label(x, text);
    ck_assert_ptr_eq(same, x);
    text[0] = 'W';
    ck_assert_str_eq(ag_label_of(x), "weights");
    ck_assert_str_eq(ag_label_of(ag_add(x, x)), "");
    ag_add(x, ag_label(F64S(1, 2), "bias"));
    expect_ok(tape);
    ag_matmul(x, ag_label(F64S(1, 2), "bias"));
    expect_error(tape, AG_ERR_SHAPE, "matmul", "weights", "bias");
    ag_label(x, "");
    ck_assert_str_eq(ag_label_of(x), "");
    ck_assert(ag_is_nil(ag_label(x, NULL)));
    expect_error(tape, AG_ERR_NULL, "label");
}
END_TEST

START_TEST(a_label_given_after_the_mark_goes_with_it) {
    ag_tensor *x = ag_label(number(1), "first");
    ag_mark mark = ag_tape_mark(tape);
    ag_label(x, "second");
    ag_label(x, "third");
    ag_tape_rewind(tape, mark);
    number(2);
    number(3);
    ck_assert_str_eq(ag_label_of(x), "first");
}
END_TEST

static int line_of(const ag_tensor *x) {
    int line = -1;
    const char *file = ag_place_of(x, &line);
    ck_assert_msg(strstr(file, "test_tape.c") != NULL, "\"%s\"", file);
    ck_assert_str_eq(ag_place_of(x, NULL), file);
    return line;
}

START_TEST(each_call_has_its_own_line) {
    ag_tensor *x = number(1);
    /* clang-format off */
    int first = __LINE__ + 1;
    ag_tensor *y = ag_add(
        ag_exp(
            ag_neg(x)),
        ag_scale(x,
                 2));
    /* clang-format on */
    ag_tensor *sum = y, *exp = ag_input(y, 0), *neg = ag_input(exp, 0), *scale = ag_input(y, 1);
    ck_assert_int_ge(line_of(exp), first + 1); /* compilers differ in the line that __LINE__ gives for a call */
    ck_assert_int_le(line_of(exp), first + 2);
    ck_assert_int_eq(line_of(neg), first + 2);
    ck_assert_int_ge(line_of(scale), first + 3);
    ck_assert_int_le(line_of(scale), first + 4);
    ck_assert_int_ge(line_of(sum), first);
    ck_assert_int_le(line_of(sum), first + 4);
}
END_TEST

START_TEST(what_a_call_is_composed_of_has_its_line) {
    ag_tensor *x = F64S(1, 2, 3);
    int line = __LINE__ + 1;
    ag_tensor *y = ag_add(ag_softmax(x, 0), F64S(1)); /* the broadcast is of this line too */
    for (ag_tensor *t = y; t != x && t; t = ag_input(t, 0)) ck_assert_int_eq(line_of(t), line);
    for (ag_tensor *t = y; t && ag_inputs(t) > 1; t = ag_input(t, 1)) ck_assert_int_eq(line_of(ag_input(t, 1)), line);
}
END_TEST

START_TEST(gradients_have_the_line_of_what_they_differentiate) {
    ag_tensor *x = number(2), *dx;
    int line = __LINE__ + 1;
    ag_tensor *y = ag_exp(x);
    ag_grad(y, 1, &x, &dx);
    ck_assert_int_eq(line_of(dx), line);
}
END_TEST

START_TEST(errors_name_the_line) {
    char place[64];
    ag_tensor *x = F64S(1, 2, 3), *two = F64S(1, 2);
    /* clang-format off */
    int line = __LINE__ + 2;
    ag_add(x,
           ag_matmul(x, two));
    /* clang-format on */
    snprintf(place, sizeof place, "test_tape.c:%d]", line);
    expect_error(tape, AG_ERR_SHAPE, "matmul: ", place);
    line = __LINE__ + 1;
    ag_eval(NULL);
    snprintf(place, sizeof place, "test_tape.c:%d]", line);
    expect_error(NULL, AG_ERR_NULL, "eval", place);
    line = __LINE__ + 1;
    ag_item(x);
    snprintf(place, sizeof place, "test_tape.c:%d]", line);
    expect_error(tape, AG_ERR_SHAPE, "item", place);
    line = __LINE__ + 1;
    ag_from(NULL, AG_F64, AG_SCALAR, NULL);
    snprintf(place, sizeof place, "test_tape.c:%d]", line);
    expect_error(NULL, AG_ERR_NULL, "from", place);
}
END_TEST

/* Takes an address: this call has no location, and gets that of the next call that has one. */
static ag_tensor *hidden(ag_tensor *(*f)(ag_tensor *), ag_tensor *x) { return f(x); }

START_TEST(calls_without_a_place_take_the_next_one) {
    ag_tensor *x = number(1), *y = hidden(ag_exp, x);
    int line = __LINE__ + 1;
    ag_tensor *z = ag_neg(y);
    ck_assert_int_eq(line_of(y), line);
    ck_assert_int_eq(line_of(z), line);
    ag_tensor *last = hidden(ag_exp, x);
    ck_assert_str_eq(ag_place_of(last, &line), "");
    ck_assert_int_eq(line, 0);
}
END_TEST

/* y = 2·x, by a rule of the program's own, whose calls have lines. */
static int line_of_rule;
static ag_tensor *doubled_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)y, (void)i;
    line_of_rule = __LINE__ + 1;
    return ag_scale(g, 2);
}
static void doubled_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = 2 * ((const double *)x[0])[i];
}
static const ag_op op_doubled = {.name = "doubled",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .arity = 1,
                                 .block = {[AG_F64] = doubled_block},
                                 .vjp = doubled_vjp};

START_TEST(rules_have_lines_of_their_own) {
    ag_tensor *x = number(2), *dx;
    int first = __LINE__ + 1;
    ag_tensor *a = ag_exp(x);
    ag_tensor *b = ag_apply(&op_doubled, 1, &a, NULL, 0);
    int last = __LINE__ + 1;
    ag_tensor *c = ag_exp(b);
    ag_tensor *before = hidden(ag_neg, x);
    ag_grad(c, 1, &x, &dx);
    int after = __LINE__ + 1;
    ag_neg(x);
    ag_tensor *doubled = ag_input(dx, 0), *product = ag_input(doubled, 0), *seed = ag_input(product, 0);
    ck_assert_int_eq(line_of(dx), first);
    ck_assert_int_eq(line_of(doubled), line_of_rule);
    ck_assert_int_eq(line_of(product), last);
    ck_assert_int_eq(line_of(seed), after); /* they had none, and take the next one */
    ck_assert_int_eq(line_of(before), after);
}
END_TEST

START_TEST(places_after_a_rewind) {
    ag_tensor *x = number(2), *dx;
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 3; i++) {
        ag_tensor *y = hidden(ag_exp, x);
        ck_assert_str_eq(ag_place_of(y, NULL), "");
        if (i == 1) ag_grad(ag_exp(ag_exp(x)), 1, &x, &dx);
        ag_tape_rewind(tape, mark);
        int line = __LINE__ + 1;
        ag_tensor *z = ag_add(ag_neg(x), x);
        ck_assert_int_eq(line_of(z), line);
        ck_assert_int_eq(line_of(ag_input(z, 0)), line);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

START_TEST(places_can_be_given_by_hand) {
    ag_tensor *x = number(1), *y = ag_located((ag_exp)(x), "made_up.c", 7), *nothing = NULL;
    int line;
    ck_assert_str_eq(ag_place_of(y, &line), "made_up.c");
    ck_assert_int_eq(line, 7);
    ag_here("also_made_up.c", 8);
    (ag_eval)(nothing);
    expect_error(NULL, AG_ERR_NULL, "eval", "[also_made_up.c:8]");
    ag_located((ag_matmul)(x, x), "made_up.c", 9);
    expect_error(tape, AG_ERR_SHAPE, "matmul", "[made_up.c:9]");
}
END_TEST

/* ---- Kept and recomputed values ---- */

START_TEST(released_values_come_back_as_they_were) {
    ag_tensor *p = ag_parameter_from(scattered(tape, AG_F64, AG_SHAPE(100), 0)), *dp;
    ag_tape_seed(tape, 3);
    ag_tensor *noise = ag_uniform(tape, AG_F64, AG_SHAPE(100), 0, 1),
              *more = ag_normal(tape, AG_F64, AG_SHAPE(100), 0, 1);
    ag_tensor *hidden_value = ag_exp(ag_mul(p, ag_add(noise, more))), *loss = ag_sum(ag_square(hidden_value));
    ag_grad(loss, 1, &p, &dp);
    double before = ag_item(loss);
    ag_eval(dp);
    ag_tape_seed(tape, 3);
    ag_tensor *noise2 = ag_uniform(tape, AG_F64, AG_SHAPE(100), 0, 1),
              *more2 = ag_normal(tape, AG_F64, AG_SHAPE(100), 0, 1);
    ag_tensor *again = ag_keep(ag_exp(ag_mul(p, ag_add(noise2, more2))));
    expect_same(hidden_value, again);
    expect_same(noise, noise2);
    expect_same(more, more2);
    expect_item(ag_sum(ag_square(hidden_value)), before);
}
END_TEST

START_TEST(values_that_only_the_backward_pass_needs_go_when_it_is_done) {
    int64_t n = 1000, bytes = n * (int64_t)sizeof(double);
    ag_tensor *p = ag_parameter_from(scattered(tape, AG_F64, AG_SHAPE(n), 0)), *dp, *x = p;
    for (int i = 0; i < 20; i++) x = ag_tanh(x);
    ag_tensor *loss = ag_sum(x);
    int64_t before = ag_tape_memory(tape).live;
    ag_item(loss);
    ck_assert_int_ge(ag_tape_memory(tape).live - before, 20 * bytes); /* kept for the backward pass */
    ag_grad(loss, 1, &p, &dp);
    ag_eval(dp);
    ck_assert_int_le(ag_tape_memory(tape).live - before, 4 * bytes);
    computed = 0;
}
END_TEST

START_TEST(without_gradients_values_go_at_once) {
    int64_t n = 1000, bytes = n * (int64_t)sizeof(double);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(n), 0);
    for (int i = 0; i < 20; i++) x = ag_tanh(x);
    int64_t before = ag_tape_memory(tape).live;
    ag_item(ag_sum(x));
    ck_assert_int_le(ag_tape_memory(tape).live - before, 2 * bytes);
    ck_assert_int_le(ag_tape_memory(tape).peak_live - before, 4 * bytes);
}
END_TEST

START_TEST(a_reader_that_was_rewound_keeps_nothing) {
    int64_t n = 1000, bytes = n * (int64_t)sizeof(double);
    ag_tensor *y = ag_tanh(scattered(tape, AG_F64, AG_SHAPE(n), 0));
    ag_mark mark = ag_tape_mark(tape);
    ag_neg(y);
    ag_tape_rewind(tape, mark);
    int64_t before = ag_tape_memory(tape).live;
    ag_item(ag_sum(y));
    ck_assert_int_lt(ag_tape_memory(tape).live - before, bytes);
}
END_TEST

START_TEST(what_was_looked_at_or_pinned_stays) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(3), (double[]){1, 2, 3}), *dp;
    ag_tensor *seen = counted(ag_scale(p, 2)), *pinned = ag_keep(counted(ag_scale(p, 3))),
              *gone = counted(ag_scale(p, 4));
    ag_tensor *loss = ag_sum(ag_mul(ag_mul(seen, pinned), gone));
    const double *data = ag_data(seen);
    ag_grad(loss, 1, &p, &dp);
    ag_tensor *both[] = {loss, dp};
    ag_eval_all(2, both);
    computed = 0;
    ck_assert_ptr_eq(ag_data(seen), data);
    expect_list(seen, 2, 4, 6);
    expect_list(pinned, 3, 6, 9);
    ck_assert_int_eq(computed, 0);
    expect_list(gone, 4, 8, 12);
    ck_assert(computed == 0 || computed == 3); /* released, or kept: the values are right either way */
    ck_assert_ptr_eq(ag_keep(pinned), pinned);
}
END_TEST

/* ---- Making and reading ---- */

START_TEST(from_copies_and_wrap_borrows) {
    double data[] = {1, 2, 3, 4};
    ag_tensor *copy = ag_from(tape, AG_F64, AG_SHAPE(2, 2), data),
              *borrowed = ag_wrap(tape, AG_F64, AG_SHAPE(2, 2), data);
    ck_assert_ptr_eq(ag_data(borrowed), data);
    ck_assert_ptr_ne(ag_data(copy), data);
    data[0] = 9;
    expect_list(copy, 1, 2, 3, 4);
    expect_list(ag_transpose(borrowed, 0, 1), 9, 3, 2, 4);
    int64_t live = ag_tape_memory(tape).live;
    static double large[10000];
    ag_wrap(tape, AG_F64, AG_SHAPE(10000), large);
    ck_assert_int_le(ag_tape_memory(tape).live, live + 128);
}
END_TEST

START_TEST(data_of_views_is_packed) {
    ag_tensor *x = tensor_of(tape, AG_F32, AG_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6}), *t = ag_transpose(x, 0, 1);
    const float *packed = ag_data(t), want[] = {1, 4, 2, 5, 3, 6};
    ck_assert_mem_eq(packed, want, sizeof want);
    ck_assert_ptr_eq(ag_data(t), packed);
    for (int i = 0; i < 100; i++) ag_data(ag_flip(t, i % 2));
    ck_assert_mem_eq(packed, want, sizeof want);
    ck_assert_ptr_eq(ag_data(t), packed);
    ck_assert(ag_element(t, 3) == 5);
    ck_assert(ag_item(ag_slice(ag_slice(t, 0, 1, 2, 1), 1, 1, 2, 1)) == 5);
    ck_assert_ptr_nonnull(ag_data(ag_zeros(tape, AG_F32, AG_SHAPE(0, 3))));
    ck_assert_ptr_nonnull(ag_data(ag_transpose(ag_zeros(tape, AG_F32, AG_SHAPE(0, 3)), 0, 1)));
    const float *full = ag_data(ag_ones(tape, AG_F32, AG_SHAPE(3)));
    ck_assert(full[0] == 1 && full[2] == 1);
}
END_TEST

START_TEST(views_copy_nothing) {
    ag_tensor *x = ag_contiguous(ag_arange(tape, AG_F64, 100000));
    ag_eval(x);
    int64_t live = ag_tape_memory(tape).live;
    ag_tensor *y = ag_slice(ag_reshape(x, AG_SHAPE(100, 1000)), 0, 1, AG_END, 2),
              *z = ag_permute(ag_unsqueeze(y, 0), AG_AXES(2, 0, 1));
    ck_assert(ag_element(ag_flip(z, 0), 0) == 1999);
    ck_assert(ag_element(ag_broadcast_to(x, AG_SHAPE(1000, 100000)), 100001) == 1);
    ck_assert_int_le(ag_tape_memory(tape).live, live + 4096);
    ag_tensor *filled = ag_full(tape, AG_F64, AG_SHAPE(100000, 100000), 3);
    ck_assert(ag_element(filled, 9999999999) == 3);
    ck_assert_int_le(ag_tape_memory(tape).live, live + 4096);
}
END_TEST

START_TEST(tensors_answer_questions) {
    ag_tensor *x = ag_zeros(tape, AG_F32, AG_SHAPE(2, 0, 3)), *y = number(1);
    expect_shape(x, AG_SHAPE(2, 0, 3));
    ck_assert_int_eq(ag_rank(x), 3);
    ck_assert_int_eq(ag_size(x), 0);
    ck_assert_int_eq(ag_extent(x, -1), 3);
    ck_assert_int_eq(ag_extent(x, 0), 2);
    ck_assert_int_eq(ag_extent(x, 3), 0);
    ck_assert_int_eq(ag_extent(x, -4), 0);
    ck_assert_int_eq(ag_dtype_of(x), AG_F32);
    ck_assert_ptr_eq(ag_tape_of(x), tape);
    ck_assert_int_eq(ag_rank(y), 0);
    ck_assert_int_eq(ag_size(y), 1);
    ck_assert(!ag_is_nil(x) && ag_is_nil(NULL));
    ag_tensor *sum = ag_add(y, y);
    ck_assert_str_eq(ag_op_of(sum)->name, "add");
    ck_assert_int_eq(ag_inputs(sum), 2);
    ck_assert_ptr_eq(ag_input(sum, 0), y);
    ck_assert_ptr_null(ag_input(sum, 2));
    ck_assert_ptr_null(ag_input(sum, -1));
    ck_assert_ptr_null(ag_attributes(sum));
    ck_assert(*(const double *)ag_attributes(ag_scale(y, 7)) == 7);
    ck_assert_uint_eq(ag_dtype_size(AG_BOOL), 1);
    ck_assert_uint_eq(ag_dtype_size(AG_F32), 4);
    ck_assert_uint_eq(ag_dtype_size(AG_DTYPES), 0);
    ck_assert_str_eq(ag_dtype_name(AG_I64), "i64");
    ck_assert_str_eq(ag_dtype_name((ag_dtype)-1), "?");
}
END_TEST

START_TEST(settings_return_what_was) {
    ck_assert(ag_tape_set_recording(tape, false));
    ck_assert(!ag_tape_set_recording(tape, true));
    int most = ag_tape_set_threads(tape, 0);
    ck_assert_int_ge(most, 1);
    ck_assert_int_eq(ag_tape_set_threads(tape, 3), 3);
    ck_assert_int_eq(ag_tape_set_threads(tape, -1), 3);
    ck_assert_int_eq(ag_tape_set_threads(tape, 0), most);
}
END_TEST

/* The evaluator of a new tape with AG_EVAL set to `choice`, or not set if NULL. */
static ag_evaluator evaluator_under(const char *choice) {
    if (choice) setenv("AG_EVAL", choice, 1);
    else unsetenv("AG_EVAL");
    ag_tape *t = ag_tape_new();
    ag_evaluator found = ag_tape_set_evaluator(t, AG_EVALUATOR_FUSED);
    ag_tape_free(t);
    return found;
}

START_TEST(the_environment_chooses_the_evaluator) {
    char former[64] = "";
    bool was_set = getenv("AG_EVAL") != NULL;
    if (was_set) snprintf(former, sizeof former, "%s", getenv("AG_EVAL"));
    ag_evaluator none = evaluator_under(NULL), empty = evaluator_under(""), fused = evaluator_under("fused"),
                 reference = evaluator_under("reference"), other = evaluator_under("references");
    if (was_set) setenv("AG_EVAL", former, 1);
    else unsetenv("AG_EVAL");
    ck_assert_int_eq(none, AG_EVALUATOR_AUTOMATIC);
    ck_assert_int_eq(empty, AG_EVALUATOR_AUTOMATIC);
    ck_assert_int_eq(fused, AG_EVALUATOR_FUSED);
    ck_assert_int_eq(reference, AG_EVALUATOR_REFERENCE);
    ck_assert_int_eq(other, AG_EVALUATOR_AUTOMATIC);
}
END_TEST

START_TEST(the_evaluator_can_be_changed_at_any_time) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    ag_tensor *x = F64S(1, 2, 3), *y = ag_exp(ag_square(x)), *z = ag_sum(ag_sin(y));
    ck_assert_int_eq(ag_eval(y), AG_OK);
    ck_assert_int_eq(ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED), AG_EVALUATOR_REFERENCE);
    expect_item(z, ag_item(ag_sum(ag_sin(ag_exp(ag_square(F64S(1, 2, 3)))))));
    ck_assert_int_eq(ag_tape_set_evaluator(tape, (ag_evaluator)3), AG_EVALUATOR_FUSED);
    ck_assert_int_eq(ag_tape_set_evaluator(tape, (ag_evaluator)-1), AG_EVALUATOR_FUSED);
    ck_assert_int_eq(ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE), AG_EVALUATOR_FUSED);
    ck_assert_int_eq(ag_tape_set_evaluator(NULL, AG_EVALUATOR_REFERENCE), AG_EVALUATOR_AUTOMATIC);
    expect_ok(tape);
}
END_TEST

/* ---- Random programs: the same numbers, whichever values are read, whenever, and however a tape evaluates ---- */

enum { POOL = 12, LEAVES = 4, STEPS = 120, MOST_RESULTS = 2 * STEPS };

typedef enum manner { LAZY, EAGER, NOSY, THRIFTY, MANNERS } manner; /* nosy: reads everything; thrifty: trims */

typedef struct program {
    ag_tape *tape;
    uint64_t random;
    manner manner;
    ag_tensor *pool[POOL]; /* all (3,4); two parameters, a variable and a constant come first and stay */
    int filled, results;
    ag_mark mark;
    double result[MOST_RESULTS];
} program;

static int choose(program *p, int n) { return (int)((scatter(p->random++) + 1) / 2 * n); }
static ag_tensor *some(program *p) { return p->pool[choose(p, p->filled)]; }

static void program_open(program *p, ag_tape *t) {
    p->tape = t;
    ag_tape_seed(t, 9);
    for (int i = 0; i < LEAVES; i++) {
        ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(3, 4), (uint64_t)i * 50);
        p->pool[i] = i < 2 ? ag_parameter_from(x) : i == 2 ? ag_variable_from(x) : x;
    }
    p->filled = LEAVES;
    p->mark = ag_tape_mark(t);
}

static ag_tensor *turned(ag_tensor *x) { return ag_transpose(ag_reshape(ag_flip(x, 1), AG_SHAPE(4, 3)), 0, 1); }

static ag_tensor *some_slope(program *p) {
    ag_tensor *dx, *by = some(p), *loss = ag_sum(ag_mul(some(p), some(p)));
    ag_grad(loss, 1, &by, &dx);
    return ag_tanh(dx);
}

static ag_tensor *some_operation(program *p) {
    switch (choose(p, 12)) {
    case 0: return ag_scale(ag_add(some(p), some(p)), 0.5);
    case 1: return ag_tanh(ag_mul(some(p), some(p)));
    case 2: return ag_sub(some(p), ag_mean_over(some(p), AG_AXES(0), true));
    case 3: return turned(some(p));
    case 4: return ag_maximum(some(p), ag_slice(some(p), 0, 1, 2, 1));
    case 5: return ag_where(ag_less(some(p), some(p)), some(p), some(p));
    case 6: return ag_softmax(some(p), choose(p, 2));
    case 7: return ag_sub(some(p), ag_uniform(p->tape, AG_F64, AG_SHAPE(3, 4), 0, 1));
    case 8: return ag_tanh(ag_matmul(ag_matmul(some(p), ag_transpose(some(p), 0, 1)), some(p)));
    case 9: return ag_stop_gradient(some(p));
    default: return some_slope(p);
    }
}

static void look(program *p, ag_tensor *x) { p->result[p->results++] = ag_item(ag_sum(x)); }

static void program_step(program *p) {
    int what = choose(p, 16);
    if (what < 10) {
        ag_tensor *y = some_operation(p);
        p->pool[p->filled < POOL ? p->filled++ : LEAVES + choose(p, POOL - LEAVES)] = y;
    } else if (what < 12) {
        look(p, some(p));
    } else if (what < 14) {
        ag_assign(p->pool[choose(p, 3)], some(p));
    } else if (what == 14) {
        ag_keep(some(p));
    } else {
        for (int i = 0; i < 3; i++) look(p, p->pool[i]);
        ag_tape_rewind(p->tape, p->mark);
        p->filled = LEAVES;
    }
    if (p->manner == NOSY)
        for (int i = 0; i < p->filled; i++) ag_data(p->pool[i]);
    if (p->manner == THRIFTY) ag_tape_trim(p->tape);
}

static void program_run(program *p, uint64_t random, manner m) {
    ledger l;
    ledger_open(&l);
    ag_tape *t = ag_tape_new_with(&l.allocator);
    *p = (program){.random = random, .manner = m};
    ag_tape_set_eager(t, m == EAGER);
    program_open(p, t);
    for (int i = 0; i < STEPS && p->results < MOST_RESULTS - 8; i++) program_step(p);
    for (int i = 0; i < 3; i++) look(p, p->pool[i]);
    expect_ok(t);
    ag_tape_free(t);
    ledger_close(&l);
}

START_TEST(random_programs) {
    static program lazy, other;
    for (uint64_t number = 0; number < (small_run() ? 5 : 60); number++) {
        uint64_t random = ((uint64_t)_i * 1000 + number) * 100000;
        program_run(&lazy, random, LAZY);
        for (int m = 1; m < MANNERS; m++) {
            program_run(&other, random, (manner)m);
            ck_assert_int_eq(other.results, lazy.results);
            for (int i = 0; i < lazy.results; i++)
                ck_assert_msg(near_value(AG_F64, other.result[i], lazy.result[i], 0, 0),
                              "program %d-%d, manner %d: result %d is %.17g, not %.17g", _i, (int)number, m, i,
                              other.result[i], lazy.result[i]);
        }
    }
}
END_TEST

/* ---- A tape per thread ---- */

typedef struct worker {
    int number;
    double result;
    bool right_error;
} worker;

/* Fits w so that w·x = 3·x, on its own tape, and then raises an error on it. */
static void *work(void *context) {
    worker *w = context;
    ag_tape *own = ag_tape_new();
    ag_tape_set_threads(own, 1 + w->number % 2);
    double zero = 0;
    ag_tensor *p = ag_parameter(own, AG_F64, AG_SCALAR, &zero), *dp;
    ag_tensor *x = scattered(own, AG_F64, AG_SHAPE(200, 3), 1);
    ag_mark mark = ag_tape_mark(own);
    for (int i = 0; i < 100; i++) {
        ag_tensor *loss = ag_mean(ag_square(ag_sub(ag_mul(p, x), ag_scale(x, 3))));
        ag_grad(loss, 1, &p, &dp);
        ag_assign(p, ag_sub(p, ag_scale(dp, 0.5)));
        ag_tape_rewind(own, mark);
    }
    w->result = ag_item(p);
    char text[32];
    snprintf(text, sizeof text, "(%d)", 1000 + w->number);
    ag_reshape(ag_zeros(own, AG_F64, AG_SHAPE(1000 + w->number)), AG_SHAPE(3, 5));
    w->right_error = strstr(ag_tape_error(own), text) != NULL && ag_tape_status(NULL) == AG_OK;
    ag_eval(NULL);
    w->right_error = w->right_error && ag_tape_status(NULL) == AG_ERR_NULL;
    ag_tape_free(own);
    return NULL;
}

START_TEST(tapes_in_several_threads) {
    enum { WORKERS = 6 };
    pthread_t thread[WORKERS];
    worker workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.number = i};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < WORKERS; i++) {
        ck_assert(workers[i].result == workers[0].result && fabs(workers[i].result - 3) < 1e-6);
        ck_assert(workers[i].right_error);
    }
    ck_assert_int_eq(ag_tape_status(NULL), AG_OK);
}
END_TEST

/* ---- */

int main(void) {
    Suite *suite = suite_create("tape");
    TCase *marks = tape_group(suite, "marks");
    tcase_add_test(marks, a_rewind_releases_what_came_after_the_mark);
    tcase_add_test(marks, marks_nest);
    tcase_add_test(marks, a_stale_mark_does_not_become_valid_again);
    tcase_add_test(marks, a_mark_of_what_was_taken_back_is_stale);
    tcase_add_test(marks, marks_of_nothing_are_refused);
    tcase_add_test(marks, rewinding_over_and_over_does_not_grow);
    tcase_add_test(marks, marking_again_and_again_does_not_grow);
    tcase_add_test(marks, a_tape_in_error_can_be_rewound);
    tcase_add_test(marks, large_and_small_things_find_their_memory_again);
    TCase *lazy = tape_group(suite, "laziness");
    tcase_add_test(lazy, values_come_when_somebody_looks);
    tcase_add_test(lazy, only_what_is_needed_is_computed);
    tcase_add_test(lazy, a_chain_that_is_looked_at_step_by_step_is_computed_once);
    tcase_add_test(lazy, a_value_that_is_used_later_is_not_computed_twice);
    tcase_add_test(lazy, shapes_fail_at_once_and_values_later);
    tcase_add_test(lazy, an_eager_tape_computes_at_once);
    TCase *variables = tape_group(suite, "variables");
    tcase_add_test(variables, what_is_recorded_keeps_the_old_value);
    tcase_add_test(variables, assigning_twice_is_assigning_in_order);
    tcase_add_test(variables, a_rewind_carries_assignments_out);
    tcase_add_test(variables, variables_can_be_exchanged);
    tcase_add_test(variables, one_variable_assigned_to_another_is_a_copy);
    tcase_add_test(variables, views_can_be_assigned);
    tcase_add_test(variables, a_wrapped_array_can_be_assigned_and_then_change);
    tcase_add_test(variables, set_is_an_assignment_from_memory);
    tcase_add_test(variables, what_ag_data_showed_stays_until_the_next_value);
    tcase_add_test(variables, a_failing_assignment_leaves_the_old_value);
    tcase_add_test(variables, a_failing_assignment_fails_once);
    tcase_add_test(variables, assignments_that_do_not_fit_change_nothing);
    tcase_add_test(variables, variables_may_be_young);
    tcase_add_test(variables, eager_variables_are_the_same);
    tcase_add_test(variables, many_variables);
    tcase_add_test(variables, copies_of_values);
    TCase *places = tape_group(suite, "places");
    tcase_add_test(places, labels_are_copied_and_shown);
    tcase_add_test(places, a_label_given_after_the_mark_goes_with_it);
    tcase_add_test(places, each_call_has_its_own_line);
    tcase_add_test(places, what_a_call_is_composed_of_has_its_line);
    tcase_add_test(places, gradients_have_the_line_of_what_they_differentiate);
    tcase_add_test(places, errors_name_the_line);
    tcase_add_test(places, calls_without_a_place_take_the_next_one);
    tcase_add_test(places, rules_have_lines_of_their_own);
    tcase_add_test(places, places_after_a_rewind);
    tcase_add_test(places, places_can_be_given_by_hand);
    TCase *keeping = tape_group(suite, "keeping");
    tcase_add_test(keeping, released_values_come_back_as_they_were);
    tcase_add_test(keeping, values_that_only_the_backward_pass_needs_go_when_it_is_done);
    tcase_add_test(keeping, without_gradients_values_go_at_once);
    tcase_add_test(keeping, a_reader_that_was_rewound_keeps_nothing);
    tcase_add_test(keeping, what_was_looked_at_or_pinned_stays);
    TCase *reading = tape_group(suite, "reading");
    tcase_add_test(reading, from_copies_and_wrap_borrows);
    tcase_add_test(reading, data_of_views_is_packed);
    tcase_add_test(reading, views_copy_nothing);
    tcase_add_test(reading, tensors_answer_questions);
    tcase_add_test(reading, settings_return_what_was);
    tcase_add_test(reading, the_environment_chooses_the_evaluator);
    tcase_add_test(reading, the_evaluator_can_be_changed_at_any_time);
    tcase_add_test(reading, tapes_in_several_threads);
    tcase_add_loop_test(plain_group(suite, "programs"), random_programs, 0, 4);
    return run_suite(suite);
}
