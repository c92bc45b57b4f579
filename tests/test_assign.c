/* test_assign -- random sequences of assignments, rewinds and looks; what waits; calls that change nothing
 *
 * Each sequence runs on two tapes side by side: on one the fused evaluator defers assignments and writes in place,
 * on the other the reference evaluator carries them out at once. All values are integers small enough that no
 * operation rounds, and values that are read must have the same bits. Between the steps the nodes have no marks of
 * an evaluation, and the tape counts the pending assignments correctly. */
#include "autograd/eval/eval.h"
#include "tests/support.h"

enum { SIDE = 4, LARGE_SIDE = 50, MOST = 150, MARKS = 8, STEPS = 60, SEQUENCES = 20000 };

typedef struct both {
    ag_tensor *of[2]; /* on either tape */
    double bound;     /* on its magnitude */
    bool variable;
} both;

typedef struct place {
    ag_mark of[2];
    int count;
} place;

static ag_tape *on[2];
static both value[MOST];
static place marks[MARKS];
static int sequence, count, mark_count, side;
static uint64_t state;

static int below(int n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)n);
}

/* Any value, mostly a late one. */
static both *any(void) { return &value[below(2) ? below(count) : count - 1 - below(count < 6 ? count : 6)]; }

static both *any_variable(void) {
    both *v = any();
    while (!v->variable) v = any();
    return v;
}

static void append(both x) {
    if (count < MOST) value[count++] = x;
}

static void look(const both *x) {
    const double *data[2] = {ag_data(x->of[0]), ag_data(x->of[1])};
    bool same = data[0] && data[1];
    for (int i = 0; i < side * side && same; i++) same = data[0][i] == data[1][i];
    if (!same) ck_abort_msg("sequence %d: value %d differs", sequence, (int)(x - value));
}

/* ---- Steps ---- */

static ag_tensor *result(int what, ag_tensor *a, ag_tensor *b, double *bound) {
    double most_a = *bound, most_b = bound[1];
    *bound += most_b;
    switch (what) {
    case 0: return ag_sub(a, b);
    case 1: *bound = most_a * most_b; return ag_mul(a, b);
    case 2: return ag_maximum(a, b);
    case 3: *bound = 2 * most_a; return ag_scale(a, 2);
    case 4: *bound = most_a; return ag_scale(a, 1);
    case 5: *bound = most_a + 1; return ag_add_scalar(a, 1);
    case 6: *bound = most_a; return ag_transpose(a, 0, 1);
    case 7: *bound = most_a; return ag_contiguous(a);
    case 8: *bound = most_a; return ag_stop_gradient(a);
    case 9: *bound = most_a + side * most_b; return ag_add(a, ag_sum_over(b, AG_AXES(0), false));
    default: return ag_add(a, b);
    }
}

static void record(void) {
    const both *a = any(), *b = any();
    both x = {.bound = 0};
    int what = below(12);
    for (int k = 0; k < 2; k++) {
        double bound[2] = {a->bound, b->bound};
        ag_tensor *from[2] = {a->of[k], b->of[k]};
        for (int i = 0; i < 2; i++)
            if (bound[i] > 1000) from[i] = ag_clamp(from[i], -9, 9), bound[i] = 9;
        x.of[k] = result(what, from[0], from[1], bound);
        x.bound = bound[0];
    }
    append(x);
}

static void assign(void) {
    both *v = any_variable();
    const both *x = any();
    const both *with = below(2) ? any_variable() : NULL; /* joined with that variable's assignment */
    for (int k = 0; k < 2; k++)
        if (with) ag_assign_with(v->of[k], x->of[k], with->of[k]);
        else ag_assign(v->of[k], x->of[k]);
    if (x->bound > v->bound) v->bound = x->bound;
}

static void fill(double *data) {
    for (int i = 0; i < side * side; i++) data[i] = below(9) - 4;
}

static void set(void) {
    double data[LARGE_SIDE * LARGE_SIDE];
    both *v = any_variable();
    fill(data);
    for (int k = 0; k < 2; k++) ag_set(v->of[k], data);
    if (v->bound < 4) v->bound = 4;
}

static void make_variable(bool parameter) {
    double data[LARGE_SIDE * LARGE_SIDE];
    both v = {.bound = 4, .variable = true};
    fill(data);
    for (int k = 0; k < 2; k++)
        v.of[k] = (parameter ? ag_parameter : ag_variable)(on[k], AG_F64, AG_SHAPE(side, side), data);
    append(v);
}

static void copy(void) {
    both x = *any();
    x.variable = true;
    for (int k = 0; k < 2; k++) x.of[k] = ag_variable_from(x.of[k]);
    append(x);
}

static void mark(void) {
    if (mark_count == MARKS) return;
    place *here = &marks[mark_count++];
    for (int k = 0; k < 2; k++) here->of[k] = ag_tape_mark(on[k]);
    here->count = count;
}

static void rewind_somewhere(void) {
    if (!mark_count) return;
    mark_count -= below(3) ? 0 : below(mark_count);
    const place *back = &marks[mark_count - 1];
    for (int k = 0; k < 2; k++) ag_tape_rewind(on[k], back->of[k]);
    count = back->count;
}

static void differentiate(void) {
    const both *y = any();
    for (int k = 0; k < 2; k++) {
        ag_tensor *sum = ag_sum(y->of[k]);
        if (ag_requires_grad(sum)) ag_backward(sum);
    }
}

static void change_settings(void) {
    bool recording = below(4) > 0;
    for (int k = 0; k < 2; k++) ag_tape_set_recording(on[k], recording);
    ag_tape_set_evaluator(on[0], below(4) ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
    ag_tape_set_eager(on[0], below(8) == 0);
}

static void check_tape(const ag_tape *t) {
    uint32_t assignments = 0;
    for (ag_tensor *v = t->variables; v; v = ag__variable_of(v)->next)
        assignments += ag__variable_of(v)->pending != NULL;
    if (t->assignments != assignments)
        ck_abort_msg("sequence %d: %u assignments, not %u", sequence, t->assignments, assignments);
    for (uint32_t id = 0; id < t->node_mark_room; id++)
        if (t->node_marks[id].live || t->node_marks[id].needed || t->node_marks[id].later)
            ck_abort_msg("sequence %d: node %u is marked", sequence, id);
}

static void step(void) {
    int what = count > MOST - 2 ? 65 : below(100);
    if (what < 45) record();
    else if (what < 65) assign();
    else if (what < 73) rewind_somewhere();
    else if (what < 78) mark();
    else if (what < 87) look(any());
    else if (what < 90) set();
    else if (what < 92) make_variable(what & 1);
    else if (what < 94) copy();
    else if (what < 96) differentiate();
    else if (what < 98) change_settings();
    else
        for (int k = 0, i = below(count); k < 2; k++) ag_keep(value[i].of[k]);
    for (int k = 0; k < 2; k++)
        if (ag_tape_status(on[k]) != AG_OK) ck_abort_msg("sequence %d: %s", sequence, ag_tape_error(on[k]));
    for (int k = 0; k < 2; k++) check_tape(on[k]);
}

static void run_sequence(void) {
    ledger l;
    state = (uint64_t)sequence;
    side = sequence % 16 ? SIDE : LARGE_SIDE;
    count = mark_count = 0;
    ledger_open(&l);
    for (int k = 0; k < 2; k++) {
        on[k] = ag_tape_new_with(&l.allocator);
        ag_tape_set_threads(on[k], 1);
        ag_tape_set_evaluator(on[k], k ? AG_EVALUATOR_REFERENCE : AG_EVALUATOR_FUSED);
    }
    for (int i = 0; i < 3; i++) make_variable(i == 0);
    mark();
    for (int i = 0; i < STEPS; i++) step();
    if (sequence % 2) rewind_somewhere();
    while (count > 0) look(&value[--count]);
    for (int k = 0; k < 2; k++) ag_tape_free(on[k]);
    ledger_close(&l);
}

START_TEST(values_are_as_if_assigned_at_once) {
    for (sequence = 0; sequence < SEQUENCES; sequence += (int)by_length(50, 4, 1)) run_sequence();
}
END_TEST

/* ---- What waits, and what does not ---- */

static ag_tensor *variable_of_ones(ag_tape *t) {
    double ones[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) ones[i] = 1;
    return ag_variable(t, AG_F64, AG_SHAPE(SIDE, SIDE), ones);
}

START_TEST(a_value_waits_for_one_evaluation_at_most) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *v = variable_of_ones(tape), *before = NULL;
    for (int i = 1; i <= 8; i++) {
        ag_tensor *next = ag_scale(v, 0.5);
        ag_assign(v, next);
        ck_assert(ag_item(ag_sum(ag_ones(tape, AG_F64, AG_SHAPE(3)))) == 3);
        ck_assert_msg(!next->buffer, "value %d is computed at once", i);
        ck_assert_msg(!before || before->buffer || before->flags & AG__COMPUTED, "the value before %d still waits", i);
        before = next;
    }
    expect_ok(tape);
}
END_TEST

START_TEST(what_an_old_tensor_needs_is_computed_when_it_is_assigned) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *v = variable_of_ones(tape), *product = ag_matmul(v, v), *next = ag_scale(product, 0.5);
    ck_assert(ag_item(ag_sum(ag_ones(tape, AG_F64, AG_SHAPE(3)))) == 3);
    ag_assign(v, next);
    ck_assert(ag_item(ag_sum(ag_ones(tape, AG_F64, AG_SHAPE(3)))) == 3);
    ck_assert(product->flags & AG__COMPUTED && !next->buffer);
    expect_item(ag_sum(v), SIDE * SIDE * SIDE / 2.);
}
END_TEST

START_TEST(who_asks_for_one_of_a_ring_asks_for_all) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *a = variable_of_ones(tape), *b = variable_of_ones(tape), *c = variable_of_ones(tape);
    ag_assign(a, ag_scale(a, 2));
    ag_assign_with(b, ag_scale(b, 3), a);
    ag_assign(c, ag_scale(c, 4));
    ag_eval(b);
    ck_assert(!ag__variable_of(a)->pending && !ag__variable_of(b)->pending && ag__variable_of(c)->pending);
    ck_assert_uint_eq(tape->assignments, 1);
    expect_item(ag_sum(a), 2 * SIDE * SIDE);
}
END_TEST

/* ---- Calls that change nothing ---- */

static ag_tensor *split(ag_tensor *v) {
    ag_tensor *part;
    ag_split(v, 0, 1, &part);
    return part;
}

static ag_tensor *spread(ag_tensor *v) {
    ag_tensor *y;
    ag_broadcast_tensors(1, &v, &y);
    return y;
}

static ag_tensor *all_places(ag_tensor *v) { return ag_ones(ag_tape_of(v), AG_BOOL, AG_SHAPE(SIDE, SIDE)); }

/* Call number i that gives back the elements of v, (SIDE,SIDE), as they are; NULL: there is none. */
static ag_tensor *same_elements(ag_tensor *v, int i) {
    static const ag_axes none = {0, {0}};
    const ag_shape nothing = {.rank = 0}, own = AG_SHAPE(SIDE, SIDE);
    switch (i) {
    case 0: return ag_reshape(v, own);
    case 1: return ag_permute(v, AG_AXES(0, 1));
    case 2: return ag_transpose(v, 1, 1);
    case 3: return ag_slice(v, 0, 0, AG_END, 1);
    case 4: return ag_broadcast_to(v, own);
    case 5: return ag_squeeze(v, none);
    case 6: return ag_contiguous(v);
    case 7: return ag_concat(1, &v, 0);
    case 8: return ag_cast(v, AG_F64);
    case 9: return ag_stop_gradient(v);
    case 10: return ag_roll(v, 0, 1);
    case 11: return ag_rot90(v, 4, AG_AXES(0, 1));
    case 12: return ag_tile(v, AG_SHAPE(1));
    case 13: return ag_pad(v, none, nothing, nothing);
    case 14: return ag_flatten(v, 1, 1);
    case 15: return ag_unflatten(v, 0, AG_SHAPE(SIDE));
    case 16: return ag_movedim(v, AG_AXES(0), AG_AXES(0));
    case 17: return ag_expand_as(v, v);
    case 18: return ag_hstack(1, &v);
    case 19: return split(v);
    case 20: return spread(v);
    case 21: return ag_repeat_interleave(v, 1, 0);
    case 22: return ag_diff(v, 0, 0);
    case 23: return ag_matrix_power(v, 1);
    case 24: return ag_einsum("ij->ij", 1, &v);
    case 25: return ag_at(v, "...");
    case 26: return ag_sum_over(v, none, false);
    case 27: return ag_max_over(v, none, true);
    case 28: return ag_add_scalar(v, 0);
    case 29: return ag_scale(v, 1);
    case 30: return ag_pow_scalar(v, 1);
    case 31: return ag_windows(v, none, nothing, nothing);
    case 32: return ag_embed(v, 0, SIDE, 0, 1);
    case 33: return ag_tril(v, SIDE);
    case 34: return ag_masked_select(v, all_places(v));
    case 35: return ag_where(all_places(v), v, v);
    default: return NULL;
    }
}

/* The result keeps the value that the variable had, and is a constant if nothing is recorded. */
START_TEST(what_changes_nothing_is_the_present_value) {
    double others[SIDE * SIDE] = {3};
    ag_tensor *v, *y, *dv;
    for (int i = 0;; i++) {
        v = ag_parameter_from(variable_of_ones(tape));
        if ((y = same_elements(v, i)) == NULL) break;
        ag_set(v, others);
        ck_assert_msg(ag_item(ag_sum(y)) == SIDE * SIDE, "call %d has changed with its variable", i);
        ag_tape_set_recording(tape, false);
        y = ag_sum(ag_square(same_elements(v, i)));
        ag_tape_set_recording(tape, true);
        ag_grad(y, 1, &v, &dv);
        ck_assert_msg(!ag_requires_grad(y) && ag_item(ag_sum(ag_abs(dv))) == 0, "call %d is no constant", i);
        expect_ok(tape);
    }
    v = ag_variable(tape, AG_F64, AG_SHAPE(0), NULL);
    ck_assert_int_eq(ag_assign(ag_logcumsumexp(v, 0), v), AG_ERR_TAPE); /* it is not the variable itself */
    ag_clear_error(tape);
}
END_TEST

/* y = v² + v'·v''·w for values v = 3, v' = w·v = 15, v'' = 2·v' = 30 of one parameter, and w = 5. */
START_TEST(gradients_end_at_a_variable_and_add_up_over_its_values) {
    ag_tensor *v = ag_parameter(tape, AG_F64, AG_SCALAR, (double[]){3}), *w;
    ag_tensor *x[] = {v, w = ag_parameter(tape, AG_F64, AG_SCALAR, (double[]){5})}, *dx[2], *through[2];
    ag_tensor *y = ag_square(v), *next = ag_mul(w, v);
    ag_assign(v, next);
    ag_tensor *factor = ag_mul(v, w);
    ag_assign(v, ag_scale(v, 2));
    y = ag_add(y, ag_mul(factor, v));
    ag_grad(y, 2, x, dx);
    expect_list(dx[0], 2 * 3 + 30 * 5 + 15 * 5);
    expect_list(dx[1], 15 * 30);
    ag_grad(ag_square(next), 2, x, through); /* by the value itself: 2·15·w and 2·15·v */
    expect_list(through[0], 150);
    expect_list(through[1], 90);
    expect_ok(tape);
}
END_TEST

/* A value that lasts takes the memory that another of its size has left, though other free memory has as many bytes. */
START_TEST(a_value_that_lasts_takes_the_place_of_another) {
    enum { BYTES = 4000 };
    ag__buffer *b[3], *apart;
    for (int i = 0; i < 3; i++) ck_assert_ptr_nonnull(b[i] = ag__heap_new(tape, BYTES));
    ck_assert_ptr_nonnull(apart = ag__heap_new_apart(tape, BYTES));
    ag__heap_drop(tape, apart);
    ag__heap_drop(tape, b[1]);
    const int64_t calls = tape_ledger.calls;
    ck_assert_ptr_eq(ag__heap_new_apart(tape, BYTES), apart);
    ck_assert_int_eq(tape_ledger.calls, calls);
    ag__heap_drop(tape, apart), ag__heap_drop(tape, b[0]), ag__heap_drop(tape, b[2]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("assign");
    tcase_add_test(plain_group(suite, "sequences"), values_are_as_if_assigned_at_once);
    TCase *waiting = tape_group(suite, "waiting");
    tcase_add_test(waiting, a_value_waits_for_one_evaluation_at_most);
    tcase_add_test(waiting, what_an_old_tensor_needs_is_computed_when_it_is_assigned);
    tcase_add_test(waiting, who_asks_for_one_of_a_ring_asks_for_all);
    tcase_add_test(tape_group(suite, "gradients"), gradients_end_at_a_variable_and_add_up_over_its_values);
    tcase_add_test(tape_group(suite, "unchanged"), what_changes_nothing_is_the_present_value);
    tcase_add_test(tape_group(suite, "memory"), a_value_that_lasts_takes_the_place_of_another);
    return run_suite(suite);
}
