/* test_gradcheck -- right gradients pass, wrong ones fail and are traced to their operation
 *
 * The operations here are a user's, made with the public descriptor: each is wrong in a way that occurs in practice.
 * `faulty` is one of them with the expected report. */
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ag_tensor *f64s(ag_shape shape, const double values[]) { return tensor_of(tape, AG_F64, shape, values); }
#define F64S(...)                                                                                                      \
    f64s(AG_SHAPE((int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double))), (const double[]){__VA_ARGS__})

static ag_tensor *random_of(ag_shape shape, uint64_t first) { return scattered(tape, AG_F64, shape, first); }

/* ---- Wrong operations ---- */

static void square_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    const double *a = x[0];
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = a[i] * a[i];
}

static void relu_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    const double *a = x[0];
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = a[i] > 0 ? a[i] : 0;
}

#define SQUARE(NAME, VJP)                                                                                              \
    { .name = NAME, .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = square_block}, .vjp = VJP }

static ag_tensor *right_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag_scale(ag_mul(g, ag_input(y, i)), 2); }

static ag_tensor *wrong_sign_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag_scale(ag_mul(g, ag_input(y, i)), -2); }

static ag_tensor *wrong_factor_vjp(ag_tensor *y, ag_tensor *g, int i) { return ag_mul(g, ag_input(y, i)); }

/* Off by one part in a hundred thousand. */
static ag_tensor *slightly_wrong_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_scale(ag_mul(g, ag_input(y, i)), 2.00002);
}

static ag_tensor *nothing_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)g, (void)i, NULL; }

static ag_tensor *nan_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *zero = ag_sub(ag_input(y, i), ag_input(y, i));
    return ag_mul(g, ag_div(zero, zero));
}

static ag_tensor *infinite_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_div(g, ag_sub(ag_input(y, i), ag_input(y, i)));
}

/* Right, but it holds its input constant, so its own gradient is wrong. */
static ag_tensor *right_once_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_scale(ag_mul(g, ag_stop_gradient(ag_input(y, i))), 2);
}

/* The same by way of the values. */
static ag_tensor *right_once_by_value_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, i);
    return ag_scale(ag_mul(g, ag_from(ag_tape_of(x), AG_F64, ag_shape_of(x), ag_data(x))), 2);
}

static const ag_op op_right = SQUARE("my_square", right_vjp), op_wrong_sign = SQUARE("wrong_sign", wrong_sign_vjp),
                   op_wrong_factor = SQUARE("wrong_factor", wrong_factor_vjp),
                   op_slightly_wrong = SQUARE("slightly_wrong", slightly_wrong_vjp),
                   op_nothing = SQUARE("nothing", nothing_vjp), op_zero = SQUARE("zero", ag_zero_vjp),
                   op_nan = SQUARE("nan", nan_vjp), op_infinite = SQUARE("infinite", infinite_vjp),
                   op_right_once = SQUARE("right_once", right_once_vjp),
                   op_right_once_by_value = SQUARE("right_once_by_value", right_once_by_value_vjp),
                   op_no_vjp = SQUARE("no_vjp", NULL);

/* relu with a slope of its own on the negative side and at 0. */
static ag_tensor *relu_like(ag_tensor *y, ag_tensor *g, double slope) {
    ag_tensor *x = ag_input(y, 0), *zero = ag_scalar(ag_tape_of(x), AG_F64, 0);
    return ag_where(ag_greater(x, zero), g, ag_where(ag_less(x, zero), ag_scale(g, 0), ag_scale(g, slope)));
}

static ag_tensor *third_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, relu_like(y, g, 0.3); }
static ag_tensor *beyond_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, relu_like(y, g, 1.3); }
static ag_tensor *below_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, relu_like(y, g, -0.1); }

#define RELU(NAME, VJP)                                                                                                \
    { .name = NAME, .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = relu_block}, .vjp = VJP }

static const ag_op op_third = RELU("third", third_vjp), op_beyond = RELU("beyond", beyond_vjp),
                   op_below = RELU("below", below_vjp), op_dead = RELU("dead", nothing_vjp);

/* y = a·b for square matrices, so that a transposed gradient has the right shape. */
static bool product_infer(ag_infer *r) {
    r->shape = ag_shape_of(r->x[0]);
    return true;
}

static bool product_eval(const ag_call *c) {
    const ag_array *a = &c->x[0], *b = &c->x[1];
    int64_t n = a->shape[0];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++)
                sum += ((const double *)a->data)[i * n + k] * ((const double *)b->data)[k * n + j];
            ((double *)c->y.data)[i * n + j] = sum;
        }
    return true;
}

static const ag_op op_product;

static ag_tensor *product(const ag_op *op, ag_tensor *a, ag_tensor *b) {
    return ag_apply(op, 2, (ag_tensor *[]){a, b}, NULL, 0);
}

static ag_tensor *transposed(ag_tensor *x) { return ag_transpose(x, 0, 1); }

static ag_tensor *product_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return i == 0 ? product(&op_product, g, transposed(ag_input(y, 1)))
                  : product(&op_product, transposed(ag_input(y, 0)), g);
}

static ag_tensor *transposed_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return i == 0 ? product(&op_product, g, transposed(ag_input(y, 1)))
                  : product(&op_product, transposed(g), ag_input(y, 0));
}

static const ag_op op_product = {.name = "product",
                                 .kind = AG_KIND_CONTRACTION,
                                 .arity = 2,
                                 .flags = AG_OP_CONTIGUOUS,
                                 .infer = product_infer,
                                 .eval = product_eval,
                                 .vjp = product_vjp};
static const ag_op op_transposed = {.name = "transposed",
                                    .kind = AG_KIND_CONTRACTION,
                                    .arity = 2,
                                    .flags = AG_OP_CONTIGUOUS,
                                    .infer = product_infer,
                                    .eval = product_eval,
                                    .vjp = transposed_vjp};

/* y = x + row, whose gradient forgets the sum over the rows. */
static bool add_row_eval(const ag_call *c) {
    int64_t n = c->x[1].size;
    for (int64_t i = 0; i < c->y.size; i++)
        ((double *)c->y.data)[i] = ((const double *)c->x[0].data)[i] + ((const double *)c->x[1].data)[i % n];
    return true;
}

static ag_tensor *add_row_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)y;
    return i == 0 ? g : ag_squeeze(ag_slice(g, 0, 0, 1, 1), AG_AXES(0));
}

static const ag_op op_add_row = {.name = "add_row",
                                 .kind = AG_KIND_OPAQUE,
                                 .arity = 2,
                                 .flags = AG_OP_CONTIGUOUS,
                                 .infer = product_infer,
                                 .eval = add_row_eval,
                                 .vjp = add_row_vjp};

/* y = x[index], in any order, with an integer input first; its gradient takes the wrong rows. */
static bool pick_infer(ag_infer *r) { return (void)r, true; }

static bool pick_eval(const ag_call *c) {
    for (int64_t i = 0; i < c->y.size; i++)
        ((double *)c->y.data)[i] = ((const double *)c->x[1].data)[((const int64_t *)c->x[0].data)[i]];
    return true;
}

static ag_tensor *pick_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, i == 1 ? g : NULL; }

static const ag_op op_pick = {.name = "pick",
                              .kind = AG_KIND_OPAQUE,
                              .arity = 2,
                              .flags = AG_OP_CONTIGUOUS,
                              .infer = pick_infer,
                              .eval = pick_eval,
                              .vjp = pick_vjp};

static ag_tensor *apply1(const ag_op *op, ag_tensor *x) { return ag_apply(op, 1, &x, NULL, 0); }

/* ---- Checks ---- */

static ag_tensor *of_context(void *op, int n, ag_tensor *const x[]) { return ag_apply(op, n, x, NULL, 0); }

static ag_tensor *smooth(void *context, int n, ag_tensor *const x[]) {
    (void)context;
    ag_tensor *y = ag_tanh(ag_mul(x[0], x[n - 1]));
    return ag_add(ag_mul(y, ag_exp(ag_scale(x[0], 0.5))), ag_square(ag_sub(y, x[n - 1])));
}

static ag_tensor *mean_of_squares(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_mean(ag_square(x[0]));
}

static ag_tensor *relus(void *context, int n, ag_tensor *const x[]) { return (void)context, (void)n, ag_relu(x[0]); }
static ag_tensor *absolutes(void *context, int n, ag_tensor *const x[]) { return (void)context, (void)n, ag_abs(x[0]); }
static ag_tensor *largest(void *context, int n, ag_tensor *const x[]) { return (void)context, (void)n, ag_max(x[0]); }

static ag_tensor *larger(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_maximum(x[0], x[1]);
}

static ag_gradcheck_report report;

static ag_status check(ag_function *f, void *context, int n, ag_tensor *const x[]) {
    return ag_gradcheck(f, context, n, x, NULL, &report);
}

static ag_status check1(ag_function *f, const ag_op *op, ag_tensor *x) {
    return check(f, (void *)(uintptr_t)op, 1, &x);
}

static ag_status check_with(ag_function *f, void *context, int n, ag_tensor *const x[], ag_gradcheck_options options) {
    return ag_gradcheck(f, context, n, x, &options, &report);
}

static void expect_passed(int line, ag_status status, int64_t checked, int64_t kinks) {
    if (status != AG_OK || !report.passed)
        ck_abort_msg("line %d: %s: %s", line, ag_status_name(status), report.message);
    if (ag_tape_status(tape) != AG_OK) ck_abort_msg("line %d: %s", line, ag_tape_error(tape));
    if (report.checked != checked || report.kinks != kinks)
        ck_abort_msg("line %d: %lld checked and %lld kinks, not %lld and %lld: %s", line, (long long)report.checked,
                     (long long)report.kinks, (long long)checked, (long long)kinks, report.message);
    if (report.guilty || !(report.ratio <= 1)) ck_abort_msg("line %d: guilty or ratio: %s", line, report.message);
}
#define PASSES(status, checked, kinks) expect_passed(__LINE__, status, checked, kinks)

/* The check fails, the tape is in order, and every piece is in the message (the list ends with NULL). */
static void expect_failed(int line, ag_status status, const char *const pieces[]) {
    if (status != AG_ERR_GRADIENT || report.passed)
        ck_abort_msg("line %d: %s: %s", line, ag_status_name(status), report.message);
    if (ag_tape_status(tape) != AG_OK) ck_abort_msg("line %d: the tape is in error: %s", line, ag_tape_error(tape));
    for (int i = 0; pieces[i]; i++)
        if (!strstr(report.message, pieces[i]))
            ck_abort_msg("line %d: \"%s\" is not in \"%s\"", line, pieces[i], report.message);
}
#define FAILS(status, ...) expect_failed(__LINE__, status, (const char *const[]){__VA_ARGS__, NULL})

static void expect_guilty(int line, const char *op) {
    if (!report.guilty) ck_abort_msg("line %d: no operation is guilty: %s", line, report.message);
    if (strcmp(ag_op_of(report.guilty)->name, op) != 0)
        ck_abort_msg("line %d: %s is guilty, not %s: %s", line, ag_op_of(report.guilty)->name, op, report.message);
    char said[80];
    snprintf(said, sizeof said, "the guilty operation is %s", op);
    if (!strstr(report.message, said)) ck_abort_msg("line %d: not in the message: %s", line, report.message);
}
#define GUILTY(op) expect_guilty(__LINE__, op)

/* ---- Right gradients ---- */

START_TEST(right_gradients_pass) {
    ag_tensor *x[] = {random_of(AG_SHAPE(3, 4), 1), random_of(AG_SHAPE(4), 100)};
    PASSES(check(smooth, NULL, 2, x), 16, 0);
    ck_assert_int_eq(report.order, 1);
    ck_assert_double_lt(report.ratio, 0.1);
    ck_assert_double_eq_tol(report.expected, report.got, 1e-5);
    ck_assert_ptr_nonnull(strstr(report.message, "16 elements"));
    PASSES(check(smooth, NULL, 1, x), 12, 0);
    PASSES(check1(of_context, &op_right, x[0]), 12, 0);
    PASSES(check(of_context, (void *)(uintptr_t)&op_product, 2,
                 (ag_tensor *[]){random_of(AG_SHAPE(3, 3), 5), random_of(AG_SHAPE(3, 3), 50)}),
           18, 0);
}
END_TEST

START_TEST(a_scalar_is_reported_as_it_is) {
    PASSES(check1(mean_of_squares, NULL, F64S(3)), 1, 0);
    ck_assert_double_eq(report.got, 6);
    ck_assert_double_eq_tol(report.expected, 6, 1e-6);
    ck_assert_int_eq(report.element, 0);
}
END_TEST

START_TEST(directions_pass) {
    ag_tensor *x[] = {random_of(AG_SHAPE(30, 40), 1), random_of(AG_SHAPE(40), 100)};
    PASSES(check_with(smooth, NULL, 2, x, (ag_gradcheck_options){.directions = 3}), 6, 0);
    ck_assert_int_eq(report.element, -1);
    ck_assert_ptr_nonnull(strstr(report.message, "random direction"));
}
END_TEST

START_TEST(the_gradient_of_the_gradient_passes) {
    ag_tensor *x[] = {random_of(AG_SHAPE(3, 4), 1), random_of(AG_SHAPE(4), 100)};
    PASSES(check_with(smooth, NULL, 2, x, (ag_gradcheck_options){.order = 2}), 32, 0);
    ck_assert_int_eq(report.order, 2);
    PASSES(check_with(smooth, NULL, 2, x, (ag_gradcheck_options){.order = 2, .directions = 2}), 8, 0);
    ag_tensor *three = F64S(3);
    PASSES(check_with(mean_of_squares, NULL, 1, &three, (ag_gradcheck_options){.order = 2}), 2, 0);
    ck_assert_double_eq(report.got, 2);
}
END_TEST

START_TEST(tiny_and_huge_inputs_pass) {
    ag_tensor *tiny = F64S(1e-12, -2e-12, 5e-13), *huge = F64S(1e8, -3e8, 2.5e8), *mixed = F64S(1e-12, 1, -1e8);
    ag_tensor *all[] = {tiny, huge, mixed, F64S(0, 0), F64S(1e-120, -3e-121), F64S(1e150)};
    for (int i = 0; i < 6; i++)
        for (int order = 1; order <= 2; order++) {
            ag_gradcheck_options options = {.order = order};
            PASSES(check_with(of_context, (void *)(uintptr_t)&op_right, 1, &all[i], options), order * ag_size(all[i]),
                   0);
            PASSES(check_with(mean_of_squares, NULL, 1, &all[i], options), order * ag_size(all[i]), 0);
        }
}
END_TEST

static ag_tensor *logarithms(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_mul(ag_log(x[0]), ag_sqrt(x[0]));
}

START_TEST(steps_stay_inside_a_domain) {
    PASSES(check1(logarithms, NULL, F64S(1e-12, 0.5, 3, 1e8, 1e-5)), 5, 0);
    PASSES(check1(logarithms, NULL, F64S(1e-12)), 1, 0);
    PASSES(check1(logarithms, NULL, F64S(1e-300)), 1, 0);
}
END_TEST

static ag_tensor *oscillation(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_sin(ag_scale(x[0], 1e6));
}

/* A narrow bump, which wide steps miss. */
static ag_tensor *bump(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_exp(ag_neg(ag_square(ag_scale(ag_add_scalar(x[0], -1), 1e5))));
}

START_TEST(steps_suit_the_function) {
    PASSES(check1(oscillation, NULL, F64S(1, 0.3, -2)), 3, 0);
    PASSES(check1(bump, NULL, F64S(1 + 1e-5, 1 - 3e-6, 1 + 2e-5)), 3, 0);
}
END_TEST

static ag_tensor *soft(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_softmax(ag_add(x[0], x[1]), 1);
}

/* A shift does not change a softmax: true zeros, hidden in rounding on both sides. */
START_TEST(zero_gradients_in_rounding_pass) {
    ag_tensor *x[] = {random_of(AG_SHAPE(4, 6), 7), random_of(AG_SHAPE(4, 1), 70)};
    PASSES(check(soft, NULL, 2, x), 28, 0);
}
END_TEST

static ag_tensor *biased_batchnorm(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *h = ag_add(ag_matmul(x[0], x[1]), x[2]), *d = ag_sub(h, ag_mean_over(h, AG_AXES(0), true));
    ag_tensor *v = ag_mean_over(ag_square(d), AG_AXES(0), true);
    return ag_mean(ag_log_softmax(ag_mul(ag_mul(d, ag_rsqrt(ag_add_scalar(v, 1e-5))), x[3]), 1));
}

/* Batchnorm removes a bias: its gradients, of both orders, are only rounding errors. */
START_TEST(a_bias_before_batchnorm_passes) {
    for (uint64_t i = 0; i < 20; i++) {
        ag_tensor *x[] = {random_of(AG_SHAPE(7, 4), 100 * i), random_of(AG_SHAPE(4, 5), 100 * i + 30),
                          random_of(AG_SHAPE(5), 100 * i + 50), random_of(AG_SHAPE(5), 100 * i + 60)};
        PASSES(check_with(biased_batchnorm, NULL, 4, x, (ag_gradcheck_options){.order = 2}), 116, 0);
        PASSES(check_with(biased_batchnorm, NULL, 4, x, (ag_gradcheck_options){.order = 2, .directions = 2}), 16, 0);
    }
}
END_TEST

static ag_tensor *first_of_log_softmax(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_neg(ag_slice(ag_log_softmax(x[0], 0), 0, 0, 1, 1));
}

/* A loss of almost 0 is rounded as coarsely as its logits. No operation is to blame. */
START_TEST(a_loss_that_has_become_nothing_accuses_nobody) {
    for (double gap = 10; gap < 50; gap += 0.37) {
        if (check1(first_of_log_softmax, NULL, F64S(gap, 0.1, -0.3)) == AG_OK) continue;
        ck_assert_double_gt(gap, 20);
        ck_assert_ptr_nonnull(strstr(report.message, "cannot be resolved numerically"));
        ck_assert_ptr_null(report.guilty);
    }
}
END_TEST

START_TEST(nothing_to_check_passes) {
    ag_tensor *none = ag_from(tape, AG_F64, AG_SHAPE(0, 3), NULL);
    PASSES(check1(relus, NULL, none), 0, 0);
    PASSES(check_with(relus, NULL, 1, &none, (ag_gradcheck_options){.order = 2}), 0, 0);
    PASSES(check_with(relus, NULL, 1, &none, (ag_gradcheck_options){.directions = 2}), 0, 0);
    ag_tensor *both[] = {none, F64S(1, 2, 3)};
    PASSES(check(smooth, NULL, 2, both), 0, 0);
    ck_assert_int_eq(ag_gradcheck(relus, NULL, 0, NULL, NULL, &report), AG_OK);
    ck_assert(report.passed && report.checked == 0);
}
END_TEST

static ag_tensor *ignores_the_second(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_exp(x[0]);
}

START_TEST(inputs_without_influence_have_zeros) {
    ag_tensor *x[] = {F64S(1, 2), F64S(3, 4, 5)};
    PASSES(check(ignores_the_second, NULL, 2, x), 5, 0);
    PASSES(check_with(ignores_the_second, NULL, 2, x, (ag_gradcheck_options){.order = 2}), 10, 0);
}
END_TEST

static ag_tensor *scaled_by_gradient(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *dx = NULL;
    ag_grad(ag_sum(ag_exp(ag_square(x[0]))), 1, x, &dx);
    return ag_mul(dx, x[0]);
}

START_TEST(functions_may_differentiate) {
    PASSES(check1(scaled_by_gradient, NULL, F64S(0.3, -0.7, 0.2)), 3, 0);
    ag_tensor *x = F64S(0.3, -0.7, 0.2);
    PASSES(check_with(scaled_by_gradient, NULL, 1, &x, (ag_gradcheck_options){.order = 2}), 6, 0);
}
END_TEST

START_TEST(a_report_is_optional) {
    ag_tensor *x = F64S(1, 2);
    ck_assert_int_eq(ag_gradcheck(relus, NULL, 1, &x, NULL, NULL), AG_OK);
    ck_assert_int_eq(ag_gradcheck(of_context, (void *)(uintptr_t)&op_wrong_sign, 1, &x, NULL, NULL), AG_ERR_GRADIENT);
    expect_ok(tape);
}
END_TEST

/* ---- Wrong gradients ---- */

START_TEST(wrong_gradients_fail) {
    const struct {
        const ag_op *op;
        double expected, got;
    } wrong[] = {{&op_wrong_sign, 6, -6},    {&op_wrong_factor, 6, 3}, {&op_slightly_wrong, 6, 6.00006},
                 {&op_nothing, 6, 0},        {&op_zero, 6, 0},         {&op_nan, 6, NAN},
                 {&op_infinite, 6, INFINITY}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        FAILS(check1(of_context, wrong[i].op, F64S(3)), "expected 6", "input 0");
        GUILTY(wrong[i].op->name);
        ck_assert_double_eq_tol(report.expected, wrong[i].expected, 1e-5);
        ck_assert(near_value(AG_F64, report.got, wrong[i].got, 1e3, 0));
        ck_assert(report.ratio > 1);
        for (int directions = 0; directions <= 2; directions += 2) {
            ag_tensor *x = random_of(AG_SHAPE(20, 7), 3);
            ck_assert_int_eq(check_with(of_context, (void *)(uintptr_t)wrong[i].op, 1, &x,
                                        (ag_gradcheck_options){.directions = directions}),
                             AG_ERR_GRADIENT);
            GUILTY(wrong[i].op->name);
        }
    }
}
END_TEST

START_TEST(no_number_of_nan_is_a_gradient) {
    FAILS(check1(of_context, &op_nan, F64S(3)), "got nan", "the gradient is NaN or infinite");
    FAILS(check1(of_context, &op_infinite, F64S(3)), "got inf", "the gradient is NaN or infinite");
    FAILS(check1(logarithms, NULL, F64S(1, -1)), "its output has NaN or infinity", "guilty operation is");
    FAILS(check1(logarithms, NULL, F64S(1, 0)), "output has NaN or infinity");
}
END_TEST

static ag_tensor *square_roots(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_sqrt(x[0]);
}

START_TEST(two_infinities_do_not_agree) {
    FAILS(check1(square_roots, NULL, F64S(0)), "got inf", "the gradient is NaN or infinite");
    GUILTY("sqrt");
}
END_TEST

START_TEST(a_wrong_sign_at_any_scale_fails) {
    ag_tensor *all[] = {F64S(1e-12, 2e-12), F64S(1e8, 2e8), F64S(1e-12, 1, -1e8), F64S(1e-120), F64S(1e100)};
    for (int i = 0; i < 5; i++) {
        FAILS(check1(of_context, &op_wrong_sign, all[i]), "input 0");
        GUILTY("wrong_sign");
    }
}
END_TEST

static ag_tensor *added_to_one(void *op, int n, ag_tensor *const x[]) {
    (void)n;
    return ag_add_scalar(apply1(op, x[0]), 1);
}

/* The change is far below the output's rounding for steps of the input's size: wider steps show it. */
static ag_tensor *stopped_beside_one(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_sum(ag_add_scalar(ag_stop_gradient(x[0]), 1));
}

START_TEST(rounding_hides_nothing) {
    FAILS(check1(stopped_beside_one, NULL, F64S(1e-12, 2e-12)), "expected 1", "got 0");
    FAILS(check1(stopped_beside_one, NULL, F64S(1e-200)), "expected 1", "got 0");
    FAILS(check1(added_to_one, &op_wrong_sign, F64S(1e-3)), "at [0]");
    GUILTY("wrong_sign");
}
END_TEST

static ag_tensor *small_beside_one(void *op, int n, ag_tensor *const x[]) {
    (void)n;
    return ag_add_scalar(ag_scale(apply1(op, x[0]), 1e-9), 1);
}

/* A gradient that is small beside the output can still be seen. */
START_TEST(what_can_be_seen_is_not_excused) {
    FAILS(check1(small_beside_one, &op_wrong_sign, F64S(1, 2)), "at [0]");
    GUILTY("wrong_sign");
    FAILS(check1(small_beside_one, &op_wrong_factor, F64S(1, 2)), "at [0]");
    PASSES(check1(small_beside_one, &op_right, F64S(1, 2)), 2, 0);
}
END_TEST

START_TEST(index_and_label_are_named) {
    double values[24];
    for (int i = 0; i < 24; i++) values[i] = i == 17 ? 1 : 0;
    ag_tensor *x = ag_label(f64s(AG_SHAPE(2, 3, 4), values), "weights");
    FAILS(check1(of_context, &op_wrong_sign, x), "input 0 \"weights\" at [1,1,1]", "], input 0 \"weights\" at [1,1,1]");
    ck_assert_int_eq(report.element, 17);
    ck_assert_int_eq(report.input, 0);
    ck_assert_int_eq(report.checked, 18);
}
END_TEST

START_TEST(tolerances_are_the_users) {
    ag_tensor *x = F64S(3, 4);
    PASSES(
        check_with(of_context, (void *)(uintptr_t)&op_slightly_wrong, 1, &x, (ag_gradcheck_options){.relative = 1e-4}),
        2, 0);
    PASSES(
        check_with(of_context, (void *)(uintptr_t)&op_slightly_wrong, 1, &x, (ag_gradcheck_options){.absolute = 1e-3}),
        2, 0);
    FAILS(
        check_with(of_context, (void *)(uintptr_t)&op_slightly_wrong, 1, &x, (ag_gradcheck_options){.absolute = 1e-6}),
        "at [0]");
    FAILS(check_with(of_context, (void *)(uintptr_t)&op_wrong_sign, 1, &x, (ag_gradcheck_options){.relative = 0.5}),
          "at [0]");
}
END_TEST

/* y = 10^10 with a gradient of 0.01, too little to be seen beside it. */
static void constant_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)x, (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = 1e10;
}

static ag_tensor *hundredth_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_scale(g, 0.01); }

static const ag_op op_constant = {.name = "constant",
                                  .kind = AG_KIND_ELEMENTWISE,
                                  .arity = 1,
                                  .block = {[AG_F64] = constant_block},
                                  .vjp = hundredth_vjp};

START_TEST(an_absolute_tolerance_is_as_given) {
    ag_tensor *x = F64S(3, 4);
    FAILS(check(of_context, (void *)(uintptr_t)&op_constant, 1, &x), "at [0]");
    FAILS(check_with(of_context, (void *)(uintptr_t)&op_constant, 1, &x, (ag_gradcheck_options){.absolute = 1e-3}),
          "at [0]");
    PASSES(check_with(of_context, (void *)(uintptr_t)&op_constant, 1, &x, (ag_gradcheck_options){.absolute = 0.02}), 2,
           0);
}
END_TEST

/* x plus noise of its size, different for any two numbers. */
static void noisy_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, (const double *)x[0] + i, sizeof bits);
        ((double *)y)[i] = ((const double *)x[0])[i] + scatter(bits);
    }
}

static ag_tensor *noisy_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, g; }

static const ag_op op_noisy = {
    .name = "noisy", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = noisy_block}, .vjp = noisy_vjp};

START_TEST(what_cannot_be_resolved_fails_and_says_so) {
    FAILS(check1(of_context, &op_noisy, F64S(1, -3)), "cannot be resolved numerically");
    ck_assert_ptr_null(report.guilty);
}
END_TEST

/* ---- Second order ---- */

START_TEST(a_gradient_that_is_not_differentiable_fails_at_order_two) {
    const ag_op *wrong[] = {&op_right_once, &op_right_once_by_value};
    for (int i = 0; i < 2; i++) {
        ag_tensor *x = F64S(3, -1);
        PASSES(check1(of_context, wrong[i], x), 2, 0);
        FAILS(check_with(of_context, (void *)(uintptr_t)wrong[i], 1, &x, (ag_gradcheck_options){.order = 2}),
              "the gradient of the gradient", "whose VJP is right");
        GUILTY(wrong[i]->name);
        ck_assert_int_eq(report.order, 2);
        ck_assert_double_eq(report.got, 0);
    }
}
END_TEST

START_TEST(a_gradient_that_is_wrong_fails_at_order_one_first) {
    ag_tensor *x = F64S(3, -1);
    FAILS(check_with(of_context, (void *)(uintptr_t)&op_wrong_sign, 1, &x, (ag_gradcheck_options){.order = 2}),
          "the gradient of the function");
    ck_assert_int_eq(report.order, 1);
    GUILTY("wrong_sign");
}
END_TEST

/* Its VJP is right, and records an operation whose VJP is wrong: the guilty operation is in the backward pass. */
static ag_tensor *through_wrong_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_mul(g,
                  ag_mul(ag_add_scalar(ag_sub(ag_label(apply1(&op_wrong_sign, ag_input(y, i)), "in the backward pass"),
                                              ag_square(ag_input(y, i))),
                                       1),
                         ag_scale(ag_input(y, i), 2)));
}

static const ag_op op_through_wrong = SQUARE("through_wrong", through_wrong_vjp);

START_TEST(operations_of_the_backward_pass_are_checked_too) {
    ag_tensor *x = F64S(3, -1);
    PASSES(check1(of_context, &op_through_wrong, x), 2, 0);
    FAILS(check_with(of_context, (void *)(uintptr_t)&op_through_wrong, 1, &x, (ag_gradcheck_options){.order = 2}),
          "(of the backward pass)", "\"in the backward pass\"");
    GUILTY("wrong_sign");
}
END_TEST

/* ---- Kinks ---- */

START_TEST(kinks_are_kinks) {
    ag_tensor *x = F64S(0, 1, -1, 0, -0.0, 2);
    PASSES(check1(relus, NULL, x), 6, 3);
    ck_assert_ptr_nonnull(strstr(report.message, "3 of them at kinks"));
    PASSES(check1(absolutes, NULL, x), 6, 3);
    PASSES(check(larger, NULL, 2, (ag_tensor *[]){x, x}), 12, 12);
    PASSES(check(larger, NULL, 2, (ag_tensor *[]){F64S(1, 2, 3), F64S(1, 5, 3)}), 6, 4);
    PASSES(check1(largest, NULL, F64S(1, 4, 4, 2, 4)), 5, 3);
    PASSES(check_with(relus, NULL, 1, &x, (ag_gradcheck_options){.directions = 3}), 3, 3);
}
END_TEST

START_TEST(kinks_fail_if_they_should) {
    ag_tensor *x = F64S(1, 0, -1), *smooth_everywhere = F64S(1, 2, -1);
    FAILS(check_with(relus, NULL, 1, &x, (ag_gradcheck_options){.kinks_fail = true}), "at [1]", "at a kink");
    ck_assert_int_eq(report.kinks, 1);
    ck_assert_ptr_null(report.guilty);
    PASSES(check_with(relus, NULL, 1, &smooth_everywhere, (ag_gradcheck_options){.kinks_fail = true}), 3, 0);
}
END_TEST

START_TEST(any_slope_between_is_right_and_others_are_not) {
    PASSES(check1(of_context, &op_third, F64S(1, 0, -1)), 3, 1);
    FAILS(check1(of_context, &op_beyond, F64S(1, 0, -1)), "at [1]", "at a kink");
    GUILTY("beyond");
    FAILS(check1(of_context, &op_below, F64S(1, 0, -1)), "at [1]", "at a kink");
    GUILTY("below");
}
END_TEST

/* Beside a kink, the slope of that side is found, however near, while numbers can resolve it. */
START_TEST(beside_a_kink_is_not_at_it) {
    for (double x = 1; x > 1e-9; x /= 7.3) {
        PASSES(check1(relus, NULL, F64S(x, -x, 1)), 3, 0);
        FAILS(check1(of_context, &op_dead, F64S(-1, x, 1)), "at [1]");
        GUILTY("dead");
    }
    for (double x = 1e-9; x > 1e-18; x /= 7.3) {
        ck_assert_int_eq(check1(relus, NULL, F64S(x, -x, 1)), AG_OK);
        ck_assert_int_eq(check1(absolutes, NULL, F64S(x, -x, 1)), AG_OK);
    }
}
END_TEST

static ag_tensor *network(void *context, int n, ag_tensor *const p[]) {
    ag_tensor *h = context;
    for (int i = 0; i < n; i += 2) h = ag_relu(ag_add(ag_matmul(h, p[i]), p[i + 1]));
    return ag_mean(ag_square(h));
}

static ag_tensor *signed_network(void *context, int n, ag_tensor *const p[]) {
    ag_tensor *h = context;
    for (int i = 0; i < n; i += 2) {
        h = ag_add(ag_matmul(h, p[i]), p[i + 1]);
        if (i + 2 < n) h = i == 0 ? ag_tanh(h) : ag_relu(h);
    }
    return ag_neg(ag_mean(ag_slice(ag_log_softmax(h, 1), 1, 0, 1, 1)));
}

/* Hidden units at, beside and on either side of their kinks. */
START_TEST(a_network_of_relus_passes) {
    double rows[5][6], w[6][8], bias[8];
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 6; j++) rows[i][j] = scatter((uint64_t)(10 * i + j));
    for (int j = 0; j < 8; j++) {
        double first = 0;
        for (int i = 0; i < 6; i++) w[i][j] = scatter((uint64_t)(100 + 10 * i + j)), first += rows[0][i] * w[i][j];
        bias[j] = -first + (j % 2 ? 1 : -1) * (j < 2 ? 0 : pow(10, -2 * j));
    }
    ag_tensor *x = f64s(AG_SHAPE(5, 6), &rows[0][0]);
    ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SHAPE(6, 8), w), ag_parameter(tape, AG_F64, AG_SHAPE(8), bias),
                      random_of(AG_SHAPE(8, 4), 500), random_of(AG_SHAPE(4), 600)};
    if (check(network, x, 4, p) != AG_OK) ck_abort_msg("%s", report.message);
    ck_assert_int_eq(report.checked, 48 + 8 + 32 + 4);
    if (check_with(network, x, 4, p, (ag_gradcheck_options){.directions = 8}) != AG_OK)
        ck_abort_msg("%s", report.message);
}
END_TEST

/* An empty row and no biases: all units of all layers are at their kinks at once, some rising and some falling. */
START_TEST(many_kinks_at_once_are_kinks) {
    double rows[3][4] = {{0}}, zeros[6] = {0};
    for (int i = 1; i < 3; i++)
        for (int j = 0; j < 4; j++) rows[i][j] = scatter((uint64_t)(10 * i + j));
    ag_tensor *x = f64s(AG_SHAPE(3, 4), &rows[0][0]);
    for (uint64_t i = 0; i < 10; i++) {
        ag_tensor *p[] = {random_of(AG_SHAPE(4, 6), 300 * i),       f64s(AG_SHAPE(6), zeros),
                          random_of(AG_SHAPE(6, 5), 300 * i + 100), f64s(AG_SHAPE(5), zeros),
                          random_of(AG_SHAPE(5, 2), 300 * i + 200), f64s(AG_SHAPE(2), zeros)};
        for (int directions = 0; directions <= 3; directions += 3) {
            ag_status status = check_with(signed_network, x, 6, p, (ag_gradcheck_options){.directions = directions});
            if (status != AG_OK) ck_abort_msg("%s", report.message);
            ck_assert_int_gt(report.kinks, 0);
        }
    }
}
END_TEST

static ag_tensor *tent(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_add(ag_exp(ag_relu(x[0])), ag_exp(ag_relu(ag_neg(x[0]))));
}

START_TEST(kinks_are_kinks_at_second_order) {
    ag_tensor *x = F64S(0, 1, -1);
    PASSES(check_with(tent, NULL, 1, &x, (ag_gradcheck_options){.order = 2}), 6, 2);
    PASSES(check_with(relus, NULL, 1, &x, (ag_gradcheck_options){.order = 2}), 6, 2);
    PASSES(check_with(absolutes, NULL, 1, &x, (ag_gradcheck_options){.order = 2}), 6, 2);
}
END_TEST

/* ---- Slopes that jump ---- */

/* Functions with a gradient everywhere, whose slope jumps at 0. */
static ag_tensor *squared_relu(ag_tensor *x) { return ag_square(ag_relu(x)); }
static ag_tensor *signed_square(ag_tensor *x) { return ag_mul(x, ag_abs(x)); }
static ag_tensor *cubed_root_squared(ag_tensor *x) { return ag_pow_scalar(ag_relu(x), 1.5); }

static ag_tensor *elu(ag_tensor *x) {
    ag_tensor *more = ag_greater(x, ag_scalar(ag_tape_of(x), AG_F64, 0));
    return ag_where(more, x, ag_add_scalar(ag_exp(x), -1));
}

/* Quadratic up to 0, and then its tangent. */
static ag_tensor *huber(ag_tensor *x) {
    ag_tensor *less = ag_less(x, ag_scalar(ag_tape_of(x), AG_F64, 0));
    return ag_where(less, ag_add(ag_square(x), x), x);
}

static ag_tensor *(*const jumping[])(ag_tensor *x) = {squared_relu, signed_square, cubed_root_squared, elu, huber};
enum { JUMPING = sizeof jumping / sizeof *jumping };

/* The operations recorded for the slopes of sigmoid and tanh have y as an input as well as x: they are not to blame
 * for another's fault, although their differences by x alone disagree with their VJP. */
static ag_tensor *wrong_of_slopes(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *y = ag_sum(ag_add(ag_sigmoid(x[0]), ag_tanh(x[0]))), *dx;
    ag_grad(y, 1, x, &dx);
    return apply1(&op_wrong_sign, dx);
}

START_TEST(slopes_are_not_blamed) {
    FAILS(check1(wrong_of_slopes, NULL, F64S(0.5, -1)), NULL);
    GUILTY("wrong_sign");
}
END_TEST

/* y = x, with a gradient that is off by a factor; y = 0, with one that is off by a number. */
static double off;
static void same_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    memmove(y, x[0], (size_t)n * sizeof(double));
}
static void zero_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)x, (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = 0;
}
static ag_tensor *factor_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_scale(g, 1 + off); }
static ag_tensor *number_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_scale(g, off); }
static const ag_op op_factor = {.name = "off_by_factor",
                                .kind = AG_KIND_ELEMENTWISE,
                                .arity = 1,
                                .block = {[AG_F64] = same_block},
                                .vjp = factor_vjp};
static const ag_op op_number = {.name = "off_by_number",
                                .kind = AG_KIND_ELEMENTWISE,
                                .arity = 1,
                                .block = {[AG_F64] = zero_block},
                                .vjp = number_vjp};

/* scale·f(x − at) + slope·x + add; the first part passes through op_factor, or op_number is added to it, if given. */
typedef struct jump {
    ag_tensor *(*f)(ag_tensor *x);
    double scale, at, slope, add;
    const ag_op *wrong;
} jump;

static ag_tensor *jump_of(void *context, int n, ag_tensor *const x[]) {
    const jump *j = context;
    (void)n;
    ag_tensor *y = ag_scale(j->f(ag_add_scalar(x[0], -j->at)), j->scale);
    y = ag_add_scalar(ag_add(y, ag_scale(x[0], j->slope)), j->add);
    if (j->wrong == &op_factor) return ag_apply(&op_factor, 1, &y, NULL, 0);
    return j->wrong ? ag_add(y, ag_apply(&op_number, 1, x, NULL, 0)) : y;
}

static const double scales[] = {1, 1e-6, 1e6}, places[] = {0, 0.75, -1e-3, 123}, slopes[] = {0, 3, 1e-4};

START_TEST(slopes_may_jump) {
    for (int i = 0; i < JUMPING; i++)
        for (int k = 0; k < 3 * 4 * 3; k++) {
            jump j = {jumping[i], scales[k % 3], places[k / 3 % 4], slopes[k / 12], 0, NULL};
            ag_tensor *one = F64S(j.at), *two = F64S(j.at + 1, j.at, j.at - 2);
            PASSES(check(jump_of, &j, 1, &one), 1, 0);
            PASSES(check(jump_of, &j, 1, &two), 3, 0);
            PASSES(check_with(jump_of, &j, 1, &two, (ag_gradcheck_options){.directions = 3}), 3, 0);
        }
}
END_TEST

/* The gradient has a kink at 0: any slope between those of its two sides is right. */
START_TEST(slopes_may_jump_at_second_order) {
    for (int i = 0; i < JUMPING; i++) {
        jump j = {jumping[i], 1, 0, 0, 0, NULL};
        ag_tensor *zero = F64S(0), *more = F64S(0, 1, -1);
        if (jumping[i] == cubed_root_squared) continue; /* its second derivative is infinite */
        ag_gradcheck_options options = {.order = 2};
        if (check_with(jump_of, &j, 1, &zero, options) != AG_OK) ck_abort_msg("%d: %s", i, report.message);
        if (check_with(jump_of, &j, 1, &more, options) != AG_OK) ck_abort_msg("%d: %s", i, report.message);
    }
}
END_TEST

/* A relative error of 1e-5 where the slope jumps is found and traced; with a smaller tolerance, so is 1e-6. */
START_TEST(wrong_gradients_fail_where_slopes_jump) {
    for (int i = 0; i < JUMPING; i++)
        for (int k = 0; k < 4 * 2 * 2; k++) {
            jump j = {jumping[i], 1, places[k % 4], slopes[1 + k / 4 % 2], k / 8 * 10, &op_factor};
            ag_tensor *x = F64S(j.at);
            if (jumping[i] == cubed_root_squared && j.slope < 1) continue; /* not visible in doubles */
            double sign = k % 2 ? -1 : 1;
            off = 1e-5 * sign;
            FAILS(check(jump_of, &j, 1, &x), NULL);
            GUILTY("off_by_factor");
            off = 1e-6 * sign;
            if (j.slope < 1) continue;
            FAILS(check_with(jump_of, &j, 1, &x, (ag_gradcheck_options){.relative = 1e-7}), NULL);
            GUILTY("off_by_factor");
        }
}
END_TEST

/* Any error above rounding is found if the gradient is 0. */
START_TEST(no_gradient_is_excused_where_slopes_jump) {
    for (int i = 0; i < JUMPING; i++) {
        if (jumping[i] == elu || jumping[i] == huber) continue; /* theirs is 1 */
        for (int k = 0; k < 4; k++) {
            jump j = {jumping[i], 1, places[k], 0, 0, &op_number};
            ag_tensor *x = F64S(j.at);
            for (int power = 6; power <= 9; power++) {
                off = (power % 2 ? -1 : 1) * pow(10, -power);
                FAILS(check(jump_of, &j, 1, &x), NULL);
                GUILTY("off_by_number");
            }
        }
    }
}
END_TEST

/* Random functions at round points, where kinks and jumps of the slope are frequent. */
typedef struct composition {
    uint64_t seed;
    bool wrong; /* op_factor somewhere in it */
} composition;

static int drawn(const composition *c, uint64_t i, int n) { return (int)((scatter(50 * c->seed + i) + 1) / 2 * n); }

static ag_tensor *composed(void *context, int n, ag_tensor *const x[]) {
    const composition *c = context;
    ag_tensor *h = x[0];
    int length = 2 + drawn(c, 0, 4), place = drawn(c, 1, length);
    for (int i = 0; i < length; i++) {
        double number = drawn(c, 20 + (uint64_t)i, 9) / 2.0 - 2;
        if (c->wrong && i == place) h = ag_apply(&op_factor, n, &h, NULL, 0);
        switch (drawn(c, 10 + (uint64_t)i, 9)) {
        case 0: h = ag_tanh(h); break;
        case 1: h = signed_square(h); break;
        case 2: h = squared_relu(h); break;
        case 3: h = ag_add_scalar(h, number); break;
        case 4: h = ag_scale(h, number); break;
        case 5: h = ag_add(h, squared_relu(h)); break;
        case 6: h = ag_add(h, x[0]); break;
        case 7: h = ag_relu(h); break;
        default: h = ag_square(h);
        }
    }
    return ag_sum(h);
}

START_TEST(random_functions_at_round_points_pass) {
    for (uint64_t seed = 0; seed < (uint64_t)by_length(50, 500, 2000); seed++) {
        composition c = {seed, false};
        ag_mark mark = ag_tape_mark(tape);
        double at[3];
        for (int i = 0; i < 3; i++) at[i] = drawn(&c, 30 + (uint64_t)i, 9) / 2.0 - 2;
        ag_tensor *x = F64S(at[0], at[1], at[2]), *right, *wrong;
        ag_gradcheck_options options = {.directions = seed % 3 == 0 ? 2 : 0};
        if (check_with(composed, &c, 1, &x, options) != AG_OK) ck_abort_msg("seed %d: %s", (int)seed, report.message);
        int64_t kinks = report.kinks;
        ag_tensor *y = composed(&c, 1, &x);
        ag_grad(y, 1, &x, &right);
        off = -0.25;
        c.wrong = true;
        ag_grad(composed(&c, 1, &x), 1, &x, &wrong);
        bool same =
            ag_item(ag_max(ag_abs(ag_sub(right, wrong)))) <= 1e-6 * (1 + fabs(ag_item(y))); /* rounding, or exactly 0 */
        ag_status status = check_with(composed, &c, 1, &x, options);
        if (!same && kinks == 0 && status == AG_OK) ck_abort_msg("seed %d is wrong: %s", (int)seed, report.message);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* Sums of many terms, some with a jump at the point: rows of integers give exactly 0 there. */
static ag_tensor *squared_margins(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_mean(ag_square(ag_relu(ag_rsub_scalar(1, ag_matmul(x[0], x[1])))));
}

START_TEST(squared_margins_pass) {
    for (uint64_t seed = 0; seed < 40; seed++) {
        double a[24], b[4];
        for (int i = 0; i < 24; i++) a[i] = floor(4 * scatter(100 * seed + (uint64_t)i)) / 4;
        for (int i = 0; i < 4; i++) b[i] = floor(4 * scatter(100 * seed + 50 + (uint64_t)i));
        for (int i = 0; i < 6; i++) a[4 * i] = b[0] != 0 && i % 2 ? 1 : a[4 * i];
        ag_tensor *x[] = {f64s(AG_SHAPE(6, 4), a), f64s(AG_SHAPE(4, 1), b)};
        PASSES(check(squared_margins, NULL, 2, x), 28, 0);
        if (check_with(squared_margins, NULL, 2, x, (ag_gradcheck_options){.order = 2}) != AG_OK)
            ck_abort_msg("seed %d: %s", (int)seed, report.message);
    }
}
END_TEST

/* ---- The guilty operation ---- */

static int guilty_line;

/* Batchnorm composed by hand; `op` squares the centred values. */
static ag_tensor *batchnorm(void *op, int n, ag_tensor *const x[]) {
    (void)n;
    ag_tensor *centred = ag_label(ag_sub(x[0], ag_mean_over(x[0], AG_AXES(0), true)), "centred");
    guilty_line = __LINE__ + 1;
    ag_tensor *squares = ag_label(apply1(op, centred), "squares");
    ag_tensor *variance = ag_mean_over(squares, AG_AXES(0), true);
    ag_tensor *normal = ag_mul(centred, ag_rsqrt(ag_add_scalar(variance, 1e-5)));
    return ag_logsumexp(ag_add(ag_mul(normal, x[1]), x[2]), 1, false);
}

START_TEST(batchnorm_names_the_guilty_operation) {
    ag_tensor *x[] = {random_of(AG_SHAPE(8, 5), 1), random_of(AG_SHAPE(5), 70), random_of(AG_SHAPE(5), 80)};
    PASSES(check(batchnorm, (void *)(uintptr_t)&op_right, 3, x), 50, 0);
    PASSES(check_with(batchnorm, (void *)(uintptr_t)&op_right, 3, x, (ag_gradcheck_options){.order = 2}), 100, 0);
    const ag_op *wrong[] = {&op_wrong_sign, &op_wrong_factor, &op_slightly_wrong, &op_nothing};
    for (int i = 0; i < 4; i++) {
        char place[80];
        FAILS(check(batchnorm, (void *)(uintptr_t)wrong[i], 3, x), "\"squares\"", "test_gradcheck.c",
              "\"centred\" at [");
        GUILTY(wrong[i]->name);
        /* apply1 is a function of this file: the call in it has the location */
        int line;
        ck_assert_ptr_nonnull(strstr(ag_place_of(report.guilty, &line), "test_gradcheck.c"));
        snprintf(place, sizeof place, "test_gradcheck.c:%d]", line);
        ck_assert_ptr_nonnull(strstr(report.message, place));
        ck_assert_str_eq(ag_label_of(report.guilty), "squares");
    }
    FAILS(check_with(batchnorm, (void *)(uintptr_t)&op_right_once, 3, x, (ag_gradcheck_options){.order = 2}),
          "\"squares\"");
    GUILTY("right_once");
}
END_TEST

static ag_tensor *on_its_line(void *op, int n, ag_tensor *const x[]) {
    guilty_line = __LINE__ + 1;
    return ag_apply(op, n, x, NULL, 0);
}

START_TEST(the_guilty_line_is_the_line_of_the_call) {
    FAILS(check1(on_its_line, &op_wrong_sign, F64S(1)), "test_gradcheck.c");
    int line;
    ag_place_of(report.guilty, &line);
    ck_assert_int_eq(line, guilty_line);
}
END_TEST

START_TEST(a_product_the_wrong_way_round_is_found) {
    ag_tensor *x[] = {random_of(AG_SHAPE(3, 3), 5), random_of(AG_SHAPE(3, 3), 50)};
    FAILS(check(of_context, (void *)(uintptr_t)&op_transposed, 2, x), "input 1 at [");
    GUILTY("transposed");
    ck_assert_int_eq(report.input, 1);
    ag_tensor *large[] = {random_of(AG_SHAPE(12, 12), 5), random_of(AG_SHAPE(12, 12), 500)};
    FAILS(check_with(of_context, (void *)(uintptr_t)&op_transposed, 2, large, (ag_gradcheck_options){.directions = 1}),
          "input 1 along random direction");
    GUILTY("transposed");
}
END_TEST

START_TEST(a_missing_sum_is_found) {
    ag_tensor *x[] = {random_of(AG_SHAPE(4, 3), 5), random_of(AG_SHAPE(3), 50)};
    FAILS(check(of_context, (void *)(uintptr_t)&op_add_row, 2, x), "input 1 at [0]");
    GUILTY("add_row");
}
END_TEST

static ag_tensor *picked(void *context, int n, ag_tensor *const x[]) {
    (void)n;
    return ag_square(ag_apply(&op_pick, 2, (ag_tensor *[]){context, x[0]}, NULL, 0));
}

START_TEST(inputs_are_counted_with_the_integers) {
    int64_t order[] = {2, 0, 1};
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(3), order);
    FAILS(check1(picked, (const void *)index, F64S(1, 2, 3)), "guilty operation is pick", "], input 1 at [0]");
}
END_TEST

static ag_tensor *among_views(void *op, int n, ag_tensor *const x[]) {
    (void)n;
    ag_tensor *a = ag_flip(ag_permute(x[0], AG_AXES(1, 0)), 0);
    ag_tensor *b = ag_slice(ag_reshape(a, AG_SHAPE(2, 6)), 1, 4, AG_END, -2);
    ag_tensor *c = ag_concat(
        2, (ag_tensor *[]){b, ag_broadcast_to(ag_unsqueeze(ag_sum_over(b, AG_AXES(0), false), 0), AG_SHAPE(2, 3))}, 0);
    ag_tensor *d = ag_max_over(ag_logsumexp(apply1(op, c), 1, true), AG_AXES(1), false);
    return ag_softmax(ag_squeeze(ag_unsqueeze(d, 0), AG_AXES(0)), 0);
}

START_TEST(views_and_compositions_are_innocent) {
    ag_tensor *x = random_of(AG_SHAPE(4, 3), 9);
    PASSES(check1(among_views, &op_right, x), 12, 0);
    FAILS(check1(among_views, &op_wrong_factor, x), "input 0");
    GUILTY("wrong_factor");
}
END_TEST

static ag_tensor *stopped(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_mul(ag_label(ag_stop_gradient(ag_exp(x[0])), "held"), x[0]);
}

START_TEST(a_stopped_gradient_is_found) {
    FAILS(check1(stopped, NULL, F64S(1, 2)), "\"held\"", "got 0");
    GUILTY("stop_gradient");
}
END_TEST

/* logsumexp holds a constant on purpose: it is not to blame for another's fault. */
START_TEST(a_rightly_stopped_gradient_is_not_blamed) {
    ag_tensor *x = random_of(AG_SHAPE(3, 4), 3);
    FAILS(check1(among_views, &op_wrong_sign, random_of(AG_SHAPE(4, 3), 3)), "input 0");
    GUILTY("wrong_sign");
    PASSES(check(soft, NULL, 2, (ag_tensor *[]){x, x}), 24, 0);
}
END_TEST

static ag_tensor *unrecorded(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    bool former = ag_tape_set_recording(tape, false);
    ag_tensor *y = ag_label(ag_exp(x[0]), "unrecorded");
    ag_tape_set_recording(tape, former);
    return ag_mul(y, x[0]);
}

START_TEST(recording_that_was_off_is_mentioned) {
    FAILS(check1(unrecorded, NULL, F64S(1, 2)), "every operation's own gradient is right", "exp \"unrecorded\"",
          "recording off");
    ck_assert_ptr_null(report.guilty);
}
END_TEST

static ag_tensor *uses_context(void *context, int n, ag_tensor *const x[]) { return (void)n, ag_mul(context, x[0]); }

START_TEST(what_was_recorded_before_is_mentioned) {
    ag_tensor *w = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2});
    ag_tensor *before = ag_label(ag_exp(w), "earlier");
    FAILS(check(uses_context, before, 1, &w), "exp \"earlier\"", "recorded before the call");
    ck_assert_ptr_null(report.guilty);
}
END_TEST

static ag_tensor *of_values(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_mul(x[0], ag_from(tape, AG_F64, ag_shape_of(x[0]), ag_data(ag_exp(x[0]))));
}

static ag_tensor *of_values_in_softmax(void *context, int n, ag_tensor *const x[]) {
    (void)context;
    return ag_logsumexp(of_values(NULL, n, x), 0, false);
}

/* The largest element, which logsumexp holds constant, makes no difference. */
START_TEST(what_is_held_constant_to_no_effect_is_innocent) {
    FAILS(check1(of_values_in_softmax, NULL, F64S(1, 2)), "every operation's own gradient is right");
    ck_assert_ptr_null(report.guilty);
}
END_TEST

static int64_t calls_left;

static ag_tensor *until_it_fails(void *op, int n, ag_tensor *const x[]) {
    (void)n;
    return calls_left-- > 0 ? apply1(op, x[0]) : ag_reshape(x[0], AG_SHAPE(77));
}

/* An error in the search does not undo a verdict already found. */
START_TEST(a_search_that_fails_is_no_error) {
    calls_left = 1000;
    FAILS(check1(until_it_fails, &op_wrong_sign, F64S(1)), "input 0");
    GUILTY("wrong_sign");
    calls_left = 1000 - calls_left - 1;
    FAILS(check1(until_it_fails, &op_wrong_sign, F64S(1)), "input 0");
    ck_assert_ptr_null(report.guilty);
}
END_TEST

START_TEST(if_nobody_is_guilty_the_report_says_so) {
    int64_t nodes;
    ag_tensor *x = F64S(1, 2);
    nodes = ag_tape_memory(tape).nodes;
    FAILS(check1(of_values, NULL, x), "every operation's own gradient is right");
    ck_assert_ptr_null(report.guilty);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
}
END_TEST

START_TEST(the_oldest_guilty_operation_is_named) {
    ag_tensor *x = random_of(AG_SHAPE(100), 4);
    ag_mark mark = ag_tape_mark(tape);
    FAILS(check1(of_context, &op_wrong_sign, x), "input 0");
    const ag_tensor *guilty = report.guilty;
    expect_shape(guilty, AG_SHAPE(100));
    ck_assert_int_eq(ag_inputs(guilty), 1);
    double first = ag_element((ag_tensor *)(uintptr_t)guilty, 0);
    ck_assert_double_eq(first, scatter(4) * scatter(4));
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
}
END_TEST

START_TEST(long_names_do_not_overflow) {
    char name[2000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    ag_op op = SQUARE(name, wrong_sign_vjp);
    ag_tensor *x = ag_label(F64S(1), name);
    ck_assert_int_eq(check1(of_context, &op, x), AG_ERR_GRADIENT);
    ck_assert_uint_lt(strlen(report.message), sizeof report.message);
    ck_assert_ptr_nonnull(strstr(report.message, "guilty operation"));
}
END_TEST

/* ---- A check changes nothing ---- */

static ag_tensor *dropout(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *draw = ag_uniform(tape, AG_F64, ag_shape_of(x[0]), 0, 1);
    ag_tensor *kept = ag_less(draw, ag_scalar(tape, AG_F64, 0.6));
    return ag_where(kept, ag_scale(ag_exp(x[0]), 1 / 0.6), ag_zeros(tape, AG_F64, ag_shape_of(x[0])));
}

START_TEST(random_functions_repeat) {
    ag_tensor *x = random_of(AG_SHAPE(40), 3);
    ag_tape_seed(tape, 5);
    ag_tensor *expected = ag_keep(ag_uniform(tape, AG_F64, AG_SHAPE(4), 0, 1));
    ag_eval(expected);
    ag_tape_seed(tape, 5);
    PASSES(check1(dropout, NULL, x), 40, 0);
    expect_same(ag_uniform(tape, AG_F64, AG_SHAPE(4), 0, 1), expected);
}
END_TEST

typedef struct captured {
    ag_tensor *x, *w, *b;
    const ag_op *op;
} captured;

static ag_tensor *model(void *context, int n, ag_tensor *const x[]) {
    captured *c = context;
    (void)n, (void)x;
    return ag_mean(apply1(c->op, ag_add(ag_matmul(c->x, c->w), c->b)));
}

static captured capture(const ag_op *op) {
    double w[12], b[3];
    for (int i = 0; i < 12; i++) w[i] = scatter((uint64_t)i);
    for (int i = 0; i < 3; i++) b[i] = i ? scatter((uint64_t)(50 + i)) : -0.0;
    return (captured){random_of(AG_SHAPE(5, 4), 200), ag_parameter(tape, AG_F64, AG_SHAPE(4, 3), w),
                      ag_variable(tape, AG_F64, AG_SHAPE(3), b), op};
}

START_TEST(parameters_may_be_captured) {
    captured c = capture(&op_right);
    PASSES(check(model, &c, 2, (ag_tensor *[]){c.w, c.b}), 15, 0);
    PASSES(check_with(model, &c, 2, (ag_tensor *[]){c.w, c.b}, (ag_gradcheck_options){.order = 2}), 30, 0);
    c.op = &op_wrong_factor;
    FAILS(check(model, &c, 2, (ag_tensor *[]){c.w, c.b}), "at [0,0]");
    GUILTY("wrong_factor");
}
END_TEST

START_TEST(the_same_variable_twice) {
    captured c = capture(&op_right);
    PASSES(check(model, &c, 2, (ag_tensor *[]){c.w, c.w}), 24, 0);
    double first = scatter(0);
    ck_assert_mem_eq(ag_data(c.w), &first, sizeof first);
}
END_TEST

static ag_tensor *refuses(void *context, int n, ag_tensor *const x[]) {
    captured *c = context;
    (void)n, (void)x;
    return ag_element(c->w, 2) == scatter(2) ? ag_sum(c->w) : ag_matmul(c->w, c->w);
}

/* The bits of values, the nodes recorded with them, marks, draws and the number of nodes. */
static void stays_as_it_was(ag_function *f, const ag_op *op, ag_status wanted, ag_gradcheck_options options) {
    captured c = capture(op);
    ag_mark outer = ag_tape_mark(tape);
    ag_tensor *before = ag_keep(ag_sum(ag_exp(c.w))), *unevaluated = ag_sum(ag_square(c.w)), *dw;
    const void *w = ag_data(c.w), *b = ag_data(c.b);
    unsigned char w_bits[12 * 8], b_bits[3 * 8];
    memcpy(w_bits, w, sizeof w_bits);
    memcpy(b_bits, b, sizeof b_bits);
    double value = ag_item(before);
    ag_mark inner = ag_tape_mark(tape);
    int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert_int_eq(check_with(f, &c, 2, (ag_tensor *[]){c.w, c.b}, options), wanted);
    ag_clear_error(tape);
    ck_assert_ptr_eq(ag_data(c.w), w);
    ck_assert_ptr_eq(ag_data(c.b), b);
    ck_assert_mem_eq(ag_data(c.w), w_bits, sizeof w_bits);
    ck_assert_mem_eq(ag_data(c.b), b_bits, sizeof b_bits);
    ck_assert_int_eq(ag_tape_rewind(tape, inner), AG_OK);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ag_exp(c.w); /* the variable's version can still be used */
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes + 1);
    ck_assert_double_eq(ag_item(before), value);
    ck_assert_int_eq(ag_grad(unevaluated, 1, &c.w, &dw), AG_OK);
    for (int i = 0; i < 12; i++) ck_assert_double_eq(ag_element(dw, i), 2 * scatter((uint64_t)i));
    ck_assert_int_eq(ag_tape_rewind(tape, outer), AG_OK);
    expect_ok(tape);
}

START_TEST(everything_stays_as_it_was) {
    for (int order = 1; order <= 2; order++)
        for (int directions = 0; directions <= 2; directions += 2) {
            ag_gradcheck_options options = {.order = order, .directions = directions};
            stays_as_it_was(model, &op_right, AG_OK, options);
            stays_as_it_was(model, &op_wrong_sign, AG_ERR_GRADIENT, options);
            stays_as_it_was(model, &op_nan, AG_ERR_GRADIENT, options);
            stays_as_it_was(model, &op_no_vjp, AG_ERR_GRADIENT, options);
            if (!directions) stays_as_it_was(refuses, &op_right, AG_ERR_SHAPE, options);
        }
}
END_TEST

START_TEST(nothing_stays_on_the_tape) {
    captured c = capture(&op_right);
    ag_tensor *x[] = {c.w, F64S(1, 2, 3), c.b};
    int64_t nodes = ag_tape_memory(tape).nodes;
    PASSES(check(model, &c, 3, x), 18, 0);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ag_memory first = ag_tape_memory(tape);
    PASSES(check(model, &c, 3, x), 18, 0);
    ck_assert_int_eq(ag_tape_memory(tape).held, first.held);
    ck_assert_int_eq(ag_tape_memory(tape).live, first.live);
    FAILS(check1(of_context, &op_wrong_sign, c.b), "at [1]");
    ck_assert_int_gt(ag_tape_memory(tape).nodes, nodes); /* the guilty node can be looked at */
}
END_TEST

static ag_tensor *with_running_mean(void *context, int n, ag_tensor *const x[]) {
    captured *c = context;
    (void)n;
    ag_assign(c->b, ag_add_scalar(c->b, 1));
    ag_set(c->w, (double[12]){0});
    return ag_mul(x[0], ag_sum(c->b));
}

START_TEST(assignments_are_not_carried_out) {
    captured c = capture(&op_right);
    ag_tensor *x = F64S(1, 2), *total = ag_sum(c.b);
    double sum = ag_item(total);
    PASSES(check(with_running_mean, &c, 1, &x), 2, 0);
    ck_assert_double_eq(ag_item(ag_sum(c.b)), sum);
    ck_assert_double_eq(ag_element(c.w, 1), scatter(1));
}
END_TEST

/* The program's pending assignments are carried out, not lost. */
START_TEST(pending_assignments_survive) {
    captured c = capture(&op_right);
    ag_assign(c.b, ag_add_scalar(c.b, 1));
    PASSES(check(model, &c, 2, (ag_tensor *[]){c.w, c.b}), 15, 0);
    ck_assert_double_eq(ag_element(c.b, 1), scatter(51) + 1);
    ag_assign(c.w, ag_scale(c.w, 2));
    PASSES(check(model, &c, 1, &c.b), 3, 0);
    ck_assert_double_eq(ag_element(c.w, 1), 2 * scatter(1));
}
END_TEST

START_TEST(settings_do_not_matter_and_stay) {
    captured c = capture(&op_right);
    ag_tensor *p[] = {c.w, c.b};
    ag_tape_set_eager(tape, true);
    PASSES(check_with(model, &c, 2, p, (ag_gradcheck_options){.order = 2}), 30, 0);
    ck_assert(ag_tape_set_eager(tape, false));
    ag_tape_set_recording(tape, false);
    PASSES(check_with(model, &c, 2, p, (ag_gradcheck_options){.order = 2}), 30, 0);
    ck_assert(!ag_tape_set_recording(tape, true));
}
END_TEST

static ag_tensor *marks_inside(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_mark mark = ag_tape_mark(tape);
    double level = ag_item(ag_max(ag_stop_gradient(ag_zeros(tape, AG_F64, AG_SHAPE(2)))));
    ag_tape_rewind(tape, mark);
    return ag_add_scalar(ag_exp(x[0]), level);
}

static ag_tensor *checks_inside(void *context, int n, ag_tensor *const x[]) {
    ag_gradcheck_report inner;
    ag_gradcheck(smooth, context, n, x, NULL, &inner);
    ck_assert(inner.passed);
    return ag_exp(x[0]);
}

static ag_mark inner_mark;

static ag_tensor *leaves_a_mark(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *y = ag_exp(x[0]);
    inner_mark = ag_tape_mark(tape);
    return ag_square(y);
}

START_TEST(marks_of_the_function_go_with_it) {
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2});
    PASSES(check1(leaves_a_mark, NULL, x), 2, 0);
    ck_assert_int_eq(ag_tape_rewind(tape, inner_mark), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "stale");
}
END_TEST

START_TEST(marks_and_checks_nest) {
    ag_tensor *x = F64S(1, 2);
    ag_mark mark = ag_tape_mark(tape);
    PASSES(check1(marks_inside, NULL, x), 2, 0);
    PASSES(check1(checks_inside, NULL, x), 2, 0);
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    expect_list(x, 1, 2);
}
END_TEST

/* ---- Errors ---- */

static ag_tensor *gives_context(void *context, int n, ag_tensor *const x[]) { return (void)n, (void)x, context; }

static ag_tensor *gives_f32(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_cast(x[0], AG_F32);
}

static ag_tensor *grows(void *context, int n, ag_tensor *const x[]) {
    int64_t *calls = context;
    (void)n;
    return ag_sum_over(x[0], AG_AXES(0), (*calls)++ >= 2);
}

static ag_tensor *clears_its_error(void *context, int n, ag_tensor *const x[]) {
    ag_tensor *y = ag_reshape(x[0], AG_SHAPE(7));
    (void)context, (void)n;
    ag_clear_error(tape);
    return y;
}

static ag_tensor *wrong_shape(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_reshape(x[0], AG_SHAPE(7));
}

START_TEST(what_f_gives_is_checked) {
    ag_tensor *x = F64S(1, 2), *scalar_context = F64S(1);
    ag_tape *other = ag_tape_new();
    int64_t calls = 0;
    const struct {
        ag_function *f;
        void *context;
        ag_status status;
        const char *says;
    } bad[] = {
        {gives_context, NULL, AG_ERR_NULL, "returned NULL"},
        {gives_context, ag_scalar(other, AG_F64, 1), AG_ERR_TAPE, "another tape"},
        {gives_f32, NULL, AG_ERR_DTYPE, "must be f64"},
        {grows, &calls, AG_ERR_SHAPE, "same shape at each call"},
        {clears_its_error, NULL, AG_ERR_NIL, "returned nil"},
        {wrong_shape, NULL, AG_ERR_SHAPE, "reshape"},
        {of_context, (void *)(uintptr_t)&op_no_vjp, AG_ERR_GRADIENT, "not differentiable"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t nodes = ag_tape_memory(tape).nodes;
        ck_assert_int_eq(check(bad[i].f, bad[i].context, 1, &x), bad[i].status);
        ck_assert(!report.passed);
        ck_assert_ptr_nonnull(strstr(report.message, bad[i].says));
        expect_error(tape, bad[i].status, bad[i].says, "test_gradcheck.c:");
        ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    }
    PASSES(check(gives_context, scalar_context, 1, &x), 2, 0); /* constant: zeros */
    ag_tape_free(other);
}
END_TEST

START_TEST(arguments_are_checked) {
    ag_tensor *x = F64S(1, 2), *f32 = ag_ones(tape, AG_F32, AG_SHAPE(2)), *mixed[] = {x, f32}, *holes[] = {x, NULL};
    ck_assert_int_eq(ag_gradcheck(NULL, NULL, 1, &x, NULL, &report), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "function", "test_gradcheck.c:");
    ck_assert_int_eq(check(relus, NULL, 2, mixed), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "f32", "input 1", "test_gradcheck.c:");
    ck_assert_int_eq(check(relus, NULL, 2, holes), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "gradcheck");
    ag_gradcheck_options bad[] = {{.order = 3},      {.order = -1},    {.directions = -1},    {.relative = -1},
                                  {.relative = NAN}, {.absolute = -1}, {.absolute = INFINITY}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(check_with(relus, NULL, 1, &x, bad[i]), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "must");
    }
    ck_assert_int_eq(check(relus, NULL, 1, NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "inputs");
    ck_assert_int_eq(check(relus, NULL, -1, &x), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "-1");
}
END_TEST

START_TEST(a_tape_in_error_stays_so) {
    ag_tensor *x = F64S(1, 2);
    ag_reshape(x, AG_SHAPE(5));
    ck_assert_int_eq(check(relus, NULL, 1, &x), AG_ERR_SHAPE);
    ck_assert(!report.passed);
    expect_error(tape, AG_ERR_SHAPE, "reshape");
    PASSES(check(relus, NULL, 1, &x), 2, 0);
}
END_TEST

static ag_tensor *rewinds_too_far(void *context, int n, ag_tensor *const x[]) {
    (void)n, (void)x;
    ag_tape_rewind(tape, *(ag_mark *)context);
    return ag_ones(tape, AG_F64, AG_SCALAR);
}

START_TEST(a_function_that_rewinds_its_own_inputs_is_refused) {
    ag_tensor *w = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2});
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *x[] = {w, F64S(3, 4)};
    ck_assert_int_eq(check(rewinds_too_far, &mark, 2, x), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "tape_rewind", "within the function of gradcheck");
    expect_list(w, 1, 2);
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
}
END_TEST

/* Every allocation fails in turn. The message and the parameters survive. */
static void survives_without_memory(const ag_op *op, ag_gradcheck_options options) {
    ag_tape *usual = tape;
    ledger l;
    for (int64_t at = 1, failed = 1; failed; at++) {
        ledger_open(&l);
        tape = ag_tape_new_with(&l.allocator);
        captured c = capture(op);
        ag_tensor *p[] = {c.w, c.b, F64S(1, 2)};
        const void *w = ag_data(c.w);
        l.fail_at = l.calls + at;
        ag_status status = check_with(model, &c, 3, p, options);
        failed = l.failed;
        l.fail_at = 0;
        if (status == AG_ERR_MEMORY) expect_error(tape, AG_ERR_MEMORY, "out of memory");
        else if (status != AG_OK && status != AG_ERR_GRADIENT)
            ck_abort_msg("%s: %s", ag_status_name(status), report.message);
        expect_ok(tape);
        ck_assert_ptr_eq(ag_data(c.w), w);
        ck_assert_double_eq(ag_element(c.w, 3), scatter(3));
        ck_assert(failed || status == (op == &op_right ? AG_OK : AG_ERR_GRADIENT));
        ag_tape_free(tape);
        ledger_close(&l);
    }
    tape = usual;
}

START_TEST(allocations_may_fail) {
    survives_without_memory(&op_right, (ag_gradcheck_options){.order = 2, .directions = 1});
    survives_without_memory(&op_wrong_sign, (ag_gradcheck_options){.order = 1});
}
END_TEST

/* ---- Size ---- */

START_TEST(a_model_of_thousands_is_checked_in_seconds) {
    int64_t wide = small_run() ? 8 : 40;
    ag_tensor *x = random_of(AG_SHAPE(8, wide), 1);
    ag_tensor *p[] = {random_of(AG_SHAPE(wide, wide), 1000), random_of(AG_SHAPE(wide), 5000),
                      random_of(AG_SHAPE(wide, 10), 6000), random_of(AG_SHAPE(10), 9000)};
    if (check(network, x, 4, p) != AG_OK) ck_abort_msg("%s", report.message);
    ck_assert_int_eq(report.checked, wide * wide + wide + wide * 10 + 10);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gradcheck");
    TCase *right = tape_group(suite, "right gradients");
    tcase_add_test(right, right_gradients_pass);
    tcase_add_test(right, a_scalar_is_reported_as_it_is);
    tcase_add_test(right, directions_pass);
    tcase_add_test(right, the_gradient_of_the_gradient_passes);
    tcase_add_test(right, tiny_and_huge_inputs_pass);
    tcase_add_test(right, steps_stay_inside_a_domain);
    tcase_add_test(right, steps_suit_the_function);
    tcase_add_test(right, zero_gradients_in_rounding_pass);
    tcase_add_test(right, a_bias_before_batchnorm_passes);
    tcase_add_test(right, a_loss_that_has_become_nothing_accuses_nobody);
    tcase_add_test(right, nothing_to_check_passes);
    tcase_add_test(right, inputs_without_influence_have_zeros);
    tcase_add_test(right, functions_may_differentiate);
    tcase_add_test(right, a_report_is_optional);
    TCase *wrong = tape_group(suite, "wrong gradients");
    tcase_add_test(wrong, wrong_gradients_fail);
    tcase_add_test(wrong, no_number_of_nan_is_a_gradient);
    tcase_add_test(wrong, two_infinities_do_not_agree);
    tcase_add_test(wrong, a_wrong_sign_at_any_scale_fails);
    tcase_add_test(wrong, rounding_hides_nothing);
    tcase_add_test(wrong, what_can_be_seen_is_not_excused);
    tcase_add_test(wrong, index_and_label_are_named);
    tcase_add_test(wrong, tolerances_are_the_users);
    tcase_add_test(wrong, an_absolute_tolerance_is_as_given);
    tcase_add_test(wrong, what_cannot_be_resolved_fails_and_says_so);
    tcase_add_test(wrong, a_gradient_that_is_not_differentiable_fails_at_order_two);
    tcase_add_test(wrong, a_gradient_that_is_wrong_fails_at_order_one_first);
    tcase_add_test(wrong, operations_of_the_backward_pass_are_checked_too);
    TCase *kinks = tape_group(suite, "kinks");
    tcase_add_test(kinks, kinks_are_kinks);
    tcase_add_test(kinks, kinks_fail_if_they_should);
    tcase_add_test(kinks, any_slope_between_is_right_and_others_are_not);
    tcase_add_test(kinks, beside_a_kink_is_not_at_it);
    tcase_add_test(kinks, a_network_of_relus_passes);
    tcase_add_test(kinks, many_kinks_at_once_are_kinks);
    tcase_add_test(kinks, kinks_are_kinks_at_second_order);
    TCase *jumps = tape_group(suite, "slopes that jump");
    tcase_add_test(jumps, slopes_may_jump);
    tcase_add_test(jumps, slopes_may_jump_at_second_order);
    tcase_add_test(jumps, wrong_gradients_fail_where_slopes_jump);
    tcase_add_test(jumps, no_gradient_is_excused_where_slopes_jump);
    tcase_add_test(jumps, squared_margins_pass);
    tcase_add_test(jumps, random_functions_at_round_points_pass);
    TCase *guilty = tape_group(suite, "the guilty operation");
    tcase_add_test(guilty, slopes_are_not_blamed);
    tcase_add_test(guilty, batchnorm_names_the_guilty_operation);
    tcase_add_test(guilty, the_guilty_line_is_the_line_of_the_call);
    tcase_add_test(guilty, a_product_the_wrong_way_round_is_found);
    tcase_add_test(guilty, a_missing_sum_is_found);
    tcase_add_test(guilty, inputs_are_counted_with_the_integers);
    tcase_add_test(guilty, views_and_compositions_are_innocent);
    tcase_add_test(guilty, a_stopped_gradient_is_found);
    tcase_add_test(guilty, a_rightly_stopped_gradient_is_not_blamed);
    tcase_add_test(guilty, recording_that_was_off_is_mentioned);
    tcase_add_test(guilty, what_was_recorded_before_is_mentioned);
    tcase_add_test(guilty, what_is_held_constant_to_no_effect_is_innocent);
    tcase_add_test(guilty, a_search_that_fails_is_no_error);
    tcase_add_test(guilty, if_nobody_is_guilty_the_report_says_so);
    tcase_add_test(guilty, the_oldest_guilty_operation_is_named);
    tcase_add_test(guilty, long_names_do_not_overflow);
    TCase *alone = tape_group(suite, "what a check leaves alone");
    tcase_add_test(alone, random_functions_repeat);
    tcase_add_test(alone, parameters_may_be_captured);
    tcase_add_test(alone, the_same_variable_twice);
    tcase_add_test(alone, everything_stays_as_it_was);
    tcase_add_test(alone, nothing_stays_on_the_tape);
    tcase_add_test(alone, assignments_are_not_carried_out);
    tcase_add_test(alone, pending_assignments_survive);
    tcase_add_test(alone, settings_do_not_matter_and_stay);
    tcase_add_test(alone, marks_of_the_function_go_with_it);
    tcase_add_test(alone, marks_and_checks_nest);
    TCase *errors = tape_group(suite, "errors");
    tcase_add_test(errors, what_f_gives_is_checked);
    tcase_add_test(errors, arguments_are_checked);
    tcase_add_test(errors, a_tape_in_error_stays_so);
    tcase_add_test(errors, a_function_that_rewinds_its_own_inputs_is_refused);
    tcase_add_test(errors, allocations_may_fail);
    tcase_add_test(errors, a_model_of_thousands_is_checked_in_seconds);
    return run_suite(suite);
}
