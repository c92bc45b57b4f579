/* test_ends -- for any numbers, explaining and checking a function ends, and the report names numbers that are not
 * finite
 *
 * Every case of the table runs on inputs filled with one unusual number, and with many in turn. The limit is a
 * number of calls of the function, not of seconds: an element takes a fixed number of calls whatever its size. */
#include "tests/cases.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double unusual[] = {
    INFINITY, -INFINITY, NAN, DBL_MAX, -DBL_MAX, DBL_TRUE_MIN, -DBL_MIN, 0, -0.0, 1e-200, 0x1p1000, 1, -3,
};
enum { UNUSUAL = sizeof unusual / sizeof *unusual, MIXED = 4, FILLS = UNUSUAL + MIXED };

/* Element k of an input: one number everywhere; all in turn; all finite ones in turn; one among ordinary ones. */
static double filled(int fill, int64_t k) {
    if (fill < UNUSUAL) return unusual[fill];
    if (fill == UNUSUAL) return unusual[k % UNUSUAL];
    if (fill == UNUSUAL + 1) return unusual[3 + k % (UNUSUAL - 3)];
    return k == 1 ? (fill == UNUSUAL + 2 ? -INFINITY : DBL_MAX) : scatter((uint64_t)k);
}

typedef struct call {
    op_case c;
    int inputs;              /* f64 inputs, given to f */
    int number[CASE_INPUTS]; /* their numbers among the case's inputs */
    ag_tensor *x[CASE_INPUTS];
    int64_t elements, calls;
} call;

static ag_tensor *counted(void *context, int n, ag_tensor *const x[]) {
    call *c = context;
    ag_tensor *all[CASE_INPUTS];
    int64_t most = 2000 * (c->elements + 1);
    if (c->calls++ > most) ck_abort_msg("%s: over %lld calls", case_title(&c->c, AG_F64), (long long)most);
    memcpy(all, c->x, sizeof all);
    for (int i = 0; i < n; i++) all[c->number[i]] = x[i];
    return case_call(&c->c, ag_tape_of(c->x[0]), AG_F64, all);
}

static void open_call(call *c, int fill) {
    static double values[CASE_ELEMENTS];
    case_inputs(&c->c, AG_F64, tape, c->x);
    c->inputs = 0;
    c->elements = c->calls = 0;
    for (int i = 0; i < c->c.n; i++) {
        if (ag_dtype_of(c->x[i]) != AG_F64) continue;
        for (int64_t k = 0; k < ag_size(c->x[i]); k++) values[k] = filled(fill, k + i);
        c->x[i] = tensor_of(tape, AG_F64, case_shape(&c->c, i), values);
        c->elements += ag_size(c->x[i]);
        c->number[c->inputs++] = i;
    }
}

/* The first element that is not finite, and its input; −1: all are. */
static int first_unusual(const call *c, ag_tensor *const x[], double *value) {
    for (int i = 0; i < c->inputs; i++)
        for (int64_t k = 0; k < ag_size(x[i]); k++)
            if (!isfinite(*value = ag_element(x[i], k))) return i;
    return -1;
}

static void expect_said(const call *c, int fill, const ag_gradcheck_report *r, int input, double value) {
    char said[80];
    snprintf(said, sizeof said, "cannot be checked: input %d", input);
    if (input < 0 || (r->input == input && strstr(r->message, said) &&
                      strstr(r->message, isnan(value) ? "is NaN"
                                         : value > 0  ? "is infinite"
                                                      : "is −infinite")))
        return;
    ck_abort_msg("%s, fill %d: %s", case_title(&c->c, AG_F64), fill, r->message);
}

static void check_it(call *c, int fill, const ag_gradcheck_options *options) {
    ag_tensor *x[CASE_INPUTS];
    ag_gradcheck_report report;
    double value = 0;
    for (int i = 0; i < c->inputs; i++) x[i] = c->x[c->number[i]];
    int input = first_unusual(c, x, &value);
    c->calls = 0;
    ag_status status = ag_gradcheck(counted, c, c->inputs, x, options, &report);
    if (ag_tape_status(tape) == AG_ERR_GRADIENT || ag_tape_status(tape) == AG_ERR_DTYPE) {
        ag_clear_error(tape); /* the case has no derivative */
        return;
    }
    if (input < 0 && ag_tape_status(tape) == AG_ERR_SINGULAR && c->c.flags & (INVERTS | FACTORS)) {
        ag_clear_error(tape); /* its matrix has no inverse, or what is computed of it overflows */
        return;
    }
    expect_ok(tape);
    ck_assert(report.passed == (status == AG_OK) && (status == AG_OK || status == AG_ERR_GRADIENT));
    expect_said(c, fill, &report, input, value);
    ck_assert(input < 0 || (status == AG_ERR_GRADIENT && c->calls == 0 && !report.guilty));
}

static void explain_it(call *c) {
    ag_tensor *y = counted(c, 0, NULL);
    for (int i = 0; i < c->inputs; i++) {
        ag_tensor *x = c->x[c->number[i]];
        ag_explain(y, x, &(ag_explain_options){.depth = 3});
        ag_explain(y, x, &(ag_explain_options){.json = true});
        ag_trace_backward(y, 1, &x, NULL);
        ag_clear_error(tape); /* the case may have no derivative */
    }
    ag_formula(y, NULL);
    ag_data(y);
    ag_clear_error(tape); /* an index may be out of range */
}

START_TEST(unusual_numbers_come_to_an_end) {
    call c = {.c = case_at(_i)};
    if (!case_accepts(&c.c, AG_F64) || (small_run() && _i % 8 != 0)) return;
    for (int fill = 0; fill < FILLS; fill++) {
        if ((fill + _i) % by_length(1, 4, 1) != 0) continue;
        ag_mark mark = ag_tape_mark(tape);
        open_call(&c, fill);
        expecting(case_title(&c.c, AG_F64));
        if (c.inputs > 0 && c.elements < 40) {
            check_it(&c, fill, NULL);
            check_it(&c, fill, &(ag_gradcheck_options){.order = 2, .directions = 2});
        }
        explain_it(&c);
        ag_tape_rewind(tape, mark);
    }
    expecting("");
}
END_TEST

/* ---- How an input that is not finite is named ---- */

static ag_tensor *sum_of_squares(void *context, int n, ag_tensor *const x[]) {
    ag_tensor *y = ag_sum(ag_square(x[0]));
    (void)context;
    for (int i = 1; i < n; i++) y = ag_add(y, ag_sum(ag_sigmoid(x[i])));
    return y;
}

START_TEST(the_input_is_named) {
    double a[] = {1, 2}, b[] = {0, NAN, 3, -INFINITY};
    ag_tensor *x[] = {ag_from(tape, AG_F64, AG_SHAPE(2), a),
                      ag_label(ag_parameter(tape, AG_F64, AG_SHAPE(2, 2), b), "bias")};
    ag_gradcheck_report r;
    ck_assert_int_eq(ag_gradcheck(sum_of_squares, NULL, 2, x, NULL, &r), AG_ERR_GRADIENT);
    expect_ok(tape);
    ck_assert_str_eq(r.message, "the gradient of the function cannot be checked: input 1 \"bias\" at [0,1] is NaN, "
                                "which leaves no finite differences to compare with");
    ck_assert(r.input == 1 && r.element == 1 && !r.guilty && !r.passed && r.checked == 0);
    b[1] = 1;
    ag_set(x[1], b);
    ag_gradcheck(sum_of_squares, NULL, 2, x, &(ag_gradcheck_options){.directions = 2}, &r);
    ck_assert_ptr_nonnull(strstr(r.message, "input 1 \"bias\" at [1,1] is −infinite"));
    double one = -INFINITY;
    ag_tensor *scalar = ag_from(tape, AG_F64, AG_SCALAR, &one);
    ag_gradcheck(sum_of_squares, NULL, 1, &scalar, NULL, &r);
    ck_assert_ptr_nonnull(strstr(r.message, "input 0 is −infinite"));
}
END_TEST

/* −∞ where masked, as in attention: a right gradient passes, and a wrong operation beside it is found. */
static ag_tensor *softened(ag_tensor *y, ag_tensor *g, int i) { return (void)i, ag_mul(g, ag_scale(y, 1.5)); }
static void exp_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = exp(((const double *)x[0])[i]);
}
static const ag_op op_wrong_exp = {
    .name = "wrong_exp", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = exp_block}, .vjp = softened};

static ag_tensor *masked(void *context, int n, ag_tensor *const x[]) {
    (void)n;
    ag_tape *t = ag_tape_of(x[0]);
    ag_tensor *hidden = ag_less(ag_arange(t, AG_F64, 4), ag_scalar(t, AG_F64, 2));
    ag_tensor *seen = ag_where(hidden, ag_scalar(t, AG_F64, -INFINITY), x[0]);
    return context ? ag_apply(&op_wrong_exp, 1, &seen, NULL, 0) : ag_softmax(seen, 0);
}

START_TEST(masks_may_be_infinite) {
    double a[] = {1, 2, 0.5, -1};
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(4), a);
    ag_gradcheck_report r;
    ck_assert_msg(ag_gradcheck(masked, NULL, 1, &x, NULL, &r) == AG_OK, "%s", r.message);
    ck_assert_int_eq(ag_gradcheck(masked, &a, 1, &x, NULL, &r), AG_ERR_GRADIENT);
    ck_assert_msg(r.guilty && ag_op_of(r.guilty) == &op_wrong_exp, "%s", r.message);
}
END_TEST

/* Numbers that are not finite are blamed on the operation that made them, not on constants of the function. */
static ag_tensor *logarithm(void *context, int n, ag_tensor *const x[]) {
    (void)n;
    ag_tensor *y = context ? ag_mul(x[0], ag_scalar(ag_tape_of(x[0]), AG_F64, NAN)) : ag_log(x[0]);
    return ag_sum(y);
}

START_TEST(outputs_that_are_not_finite_are_traced) {
    double a[] = {1, 0};
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(2), a);
    ag_gradcheck_report r;
    ag_gradcheck(logarithm, NULL, 1, &x, NULL, &r);
    ck_assert_ptr_nonnull(strstr(r.message, "its output has NaN or infinity; the guilty operation is log"));
    ag_gradcheck(logarithm, a, 1, &x, NULL, &r);
    ck_assert_ptr_nonnull(strstr(r.message, "it comes from what the function uses beside its inputs"));
    ck_assert_ptr_null(r.guilty);
    double most[] = {DBL_MAX, 1};
    ag_tensor *huge = ag_from(tape, AG_F64, AG_SHAPE(2), most);
    ag_gradcheck(sum_of_squares, NULL, 1, &huge, NULL, &r);
    ck_assert_ptr_nonnull(strstr(r.message, "the guilty operation is square"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ends");
    TCase *all = tape_group(suite, "every case");
    tcase_add_loop_test(all, unusual_numbers_come_to_an_end, 0, case_count());
    TCase *named = tape_group(suite, "what is not finite");
    tcase_add_test(named, the_input_is_named);
    tcase_add_test(named, masks_may_be_infinite);
    tcase_add_test(named, outputs_that_are_not_finite_are_traced);
    return run_suite(suite);
}
