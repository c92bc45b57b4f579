/* test_transforms -- Jacobians, Hessians and products with them: against finite differences, against each other, and
 * against the products of the parts' Jacobians; refused calls
 *
 * Every operation of the table of cases takes part. m outputs, n inputs; J is (m,n). */
#include "tests/cases.h"

#include <math.h>
#include <string.h>

static ag_tensor *f64s(int64_t n, const double values[]) { return tensor_of(tape, AG_F64, AG_SHAPE(n), values); }
#define F64S(...) f64s((int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]){__VA_ARGS__})

static ag_tensor *random_like(const ag_tensor *x, uint64_t seed) {
    return scattered(ag_tape_of(x), ag_dtype_of(x), ag_shape_of(x), seed);
}

/* x as a column. */
static ag_tensor *column(ag_tensor *x) { return ag_reshape(x, AG_SHAPE(-1, 1)); }

static double size_of(ag_tensor *x) { return ag_size(x) ? fmax(1, ag_item(ag_max(ag_abs(x)))) : 1; }

static void expect_close(ag_tensor *got, ag_tensor *want, double tolerance, const char *what) {
    double scale = size_of(want), worst = 0;
    ck_assert_msg(ag_size(got) == ag_size(want), "%s: %lld elements, not %lld: %s", what, (long long)ag_size(got),
                  (long long)ag_size(want), ag_tape_error(ag_tape_of(got)));
    for (int64_t i = 0; i < ag_size(got); i++) worst = fmax(worst, fabs(ag_element(got, i) - ag_element(want, i)));
    ck_assert_msg(worst <= tolerance * scale, "%s: off by %g of %g", what, worst, scale);
    expect_ok(ag_tape_of(got));
}

/* ---- Every operation ---- */

static bool is_differentiable(const op_case *c) {
    return c->flags & GRAD && case_accepts(c, AG_F64) && strcmp(c->variant, "special") != 0;
}

/* J of the case's output by input `which`, column by column. */
static ag_tensor *difference_quotients(const op_case *c, ag_tensor *const x[], int which) {
    const double h = 1e-5;
    int64_t n = ag_size(x[which]);
    double value[CASE_ELEMENTS];
    ag_tensor *moved[CASE_INPUTS], *columns[CASE_ELEMENTS];
    memcpy(moved, x, sizeof moved);
    for (int64_t j = 0; j < n; j++) {
        ag_tensor *side[2];
        for (int s = 0; s < 2; s++) {
            memcpy(value, ag_data(x[which]), (size_t)n * sizeof *value);
            value[j] += s ? h : -h;
            moved[which] = ag_from(ag_tape_of(x[which]), AG_F64, ag_shape_of(x[which]), value);
            side[s] = column(case_call(c, ag_tape_of(x[which]), AG_F64, moved));
        }
        columns[j] = ag_div_scalar(ag_sub(side[1], side[0]), 2 * h);
    }
    return ag_concat((int)n, columns, 1);
}

static void check_case(const op_case *c, ag_tape *t) {
    ag_tensor *x[CASE_INPUTS], *real[CASE_INPUTS], *xdot[CASE_INPUTS], *xbar[CASE_INPUTS], *dy;
    int n = 0;
    case_inputs(c, AG_F64, t, x);
    ag_tensor *y = case_call(c, t, AG_F64, x), *ybar = random_like(y, 77), *along = ag_zeros(t, AG_F64, AG_SHAPE(1, 1));
    for (int i = 0; i < c->n; i++) {
        if (ag_dtype_of(x[i]) != AG_F64) continue;
        ag_tensor *jacobian = ag_jacobian(y, x[i]);
        expect_shape(jacobian, AG_SHAPE(ag_size(y), ag_size(x[i])));
        if (ag_size(jacobian)) expect_close(jacobian, difference_quotients(c, x, i), 1e-7, case_title(c, AG_F64));
        real[n] = x[i];
        xdot[n] = random_like(x[i], 99 + (uint64_t)i);
        along = ag_add(along, ag_matmul(jacobian, column(xdot[n])));
        n++;
    }
    if (!n || !ag_size(y)) return;
    ck_assert_int_eq(ag_jvp(1, &y, n, real, xdot, &dy), AG_OK);
    expect_shape(dy, ag_shape_of(y));
    expect_close(dy, along, 1e-13, case_title(c, AG_F64));
    ag_vjp(1, &y, &ybar, n, real, xbar, 0);
    for (int i = 0; i < n; i++)
        expect_close(xbar[i], ag_matmul(ag_transpose(column(ybar), 0, 1), ag_jacobian(y, real[i])), 1e-13,
                     case_title(c, AG_F64));
}

START_TEST(every_operation) {
    int checked = 0;
    for (int i = 0; i < case_count(); i++) {
        op_case c = case_at(i);
        if (!is_differentiable(&c)) continue;
        ag_tape *t = ag_tape_new();
        check_case(&c, t);
        expect_ok(t);
        ag_tape_free(t);
        checked++;
    }
    ck_assert_int_gt(checked, 100);
}
END_TEST

static void check_elementwise(const op_case *c, ag_tape *t) {
    ag_tensor *x[CASE_INPUTS];
    case_inputs(c, AG_F64, t, x);
    ag_tensor *y = case_call(c, t, AG_F64, x);
    for (int i = 0; i < c->n; i++) {
        if (ag_dtype_of(x[i]) != AG_F64) continue;
        const double *j = ag_data(ag_jacobian(y, x[i]));
        for (int64_t k = 0, n = ag_size(y); k < n * n; k++)
            ck_assert_msg(k % (n + 1) == 0 || j[k] == 0, "%s: J[%d,%d] is %g", case_title(c, AG_F64), (int)(k / n),
                          (int)(k % n), j[k]);
    }
}

START_TEST(elementwise_is_diagonal) {
    int checked = 0;
    for (int i = 0; i < case_count(); i++) {
        op_case c = case_at(i);
        if (!is_differentiable(&c) || !(c.flags & ELEMENTWISE) || *c.variant) continue;
        ag_tape *t = ag_tape_new();
        check_elementwise(&c, t);
        ag_tape_free(t);
        checked++;
    }
    ck_assert_int_gt(checked, 20);
}
END_TEST

/* ---- Jacobians ---- */

START_TEST(rows_are_outputs_and_columns_inputs) {
    ag_tensor *x = F64S(2, 3, 5); /* y = (x0·x1, x1·x2²) */
    ag_tensor *head = ag_slice(x, 0, 0, 2, 1), *tail = ag_slice(x, 0, 1, 3, 1);
    ag_tensor *y =
        ag_mul(ag_mul(head, tail),
               ag_concat(2, (ag_tensor *[]){ag_ones(tape, AG_F64, AG_SHAPE(1)), ag_slice(x, 0, 2, 3, 1)}, 0));
    expect_list(ag_jacobian(y, x), 3, 2, 0, 0, 25, 30);
    ag_tensor *three[] = {y, y, y}, *wide = ag_concat(3, three, 0); /* more outputs than inputs: by columns */
    expect_list(ag_jacobian(wide, x), 3, 2, 0, 0, 25, 30, 3, 2, 0, 0, 25, 30, 3, 2, 0, 0, 25, 30);
    ag_tensor *square = ag_reshape(ag_concat(2, three, 0), AG_SHAPE(2, 2)), *flat = ag_reshape(x, AG_SHAPE(3, 1));
    expect_shape(ag_jacobian(square, x), AG_SHAPE(4, 3));
    expect_shape(ag_jacobian(ag_exp(flat), flat), AG_SHAPE(3, 3));
    expect_list(ag_jacobian(x, x), 1, 0, 0, 0, 1, 0, 0, 0, 1);
    expect_ok(tape);
}
END_TEST

START_TEST(a_gradient_is_one_row_transposed) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(3, 4), 5),
              *y = ag_logsumexp(ag_sum_over(ag_exp(x), AG_AXES(0), 0), 0, 0);
    ag_tensor *dx, *j = ag_jacobian(y, x);
    ag_grad(y, 1, &x, &dx);
    expect_shape(j, AG_SHAPE(1, 12));
    expect_same(ag_reshape(ag_transpose(j, 0, 1), AG_SHAPE(3, 4)), dx);
}
END_TEST

START_TEST(the_chain_rule_is_a_product) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(5), 1), *w = scattered(tape, AG_F64, AG_SHAPE(4, 5), 20);
    ag_tensor *z = ag_reshape(ag_matmul(w, column(x)), AG_SHAPE(2, 2)), *a = ag_tanh(z);
    ag_tensor *s = ag_softmax(a, 1), *y = ag_concat(2, (ag_tensor *[]){s, ag_cos(s)}, 0);
    ag_tensor *product = ag_matmul(ag_matmul(ag_jacobian(y, s), ag_jacobian(s, a)), ag_matmul(ag_jacobian(a, z), w));
    expect_close(ag_jacobian(z, x), w, 0, "W is the Jacobian of W·x");
    expect_close(ag_jacobian(y, x), product, 1e-15, "the product of the parts");
}
END_TEST

START_TEST(and_a_sum_over_all_paths) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(3), 1), *a = ag_exp(x), *b = ag_sin(x), *c = ag_mul(a, b);
    ag_tensor *y = ag_add(ag_square(c), ag_mul(a, x));
    /* x reaches y through a·c, b·c, a alone, and directly: each part's Jacobian is found by stopping the others. */
    ag_tensor *dydc = ag_jacobian(y, c), *dcda = ag_jacobian(c, a), *dcdb = ag_jacobian(c, b);
    ag_tensor *apart = ag_stop_gradient(x), *direct = ag_jacobian(ag_mul(ag_stop_gradient(a), x), x);
    ag_tensor *alone = ag_matmul(ag_jacobian(ag_mul(a, apart), a), ag_jacobian(a, x));
    ag_tensor *paths = ag_add(ag_matmul(dydc, ag_matmul(dcda, ag_jacobian(a, x))),
                              ag_matmul(dydc, ag_matmul(dcdb, ag_jacobian(b, x))));
    expect_close(ag_jacobian(y, x), ag_add(paths, ag_add(alone, direct)), 1e-15, "the sum over the paths");
}
END_TEST

START_TEST(several_outputs_and_inputs) {
    ag_tensor *a = F64S(1, 2), *b = F64S(3, 4), *x[] = {a, b}, *y[] = {ag_mul(a, b), ag_sum(ag_square(b))};
    ag_tensor *xdot[] = {F64S(10, 100), F64S(1, 2)}, *dy[2];
    ck_assert_int_eq(ag_jvp(2, y, 2, x, xdot, dy), AG_OK);
    expect_list(dy[0], 31, 404);
    expect_item(dy[1], 22);
    ag_tensor *one = ag_scalar(tape, AG_F64, 3), *cube = ag_pow_scalar(one, 3);
    ck_assert_int_eq(ag_jvp(1, &cube, 1, &one, NULL, dy), AG_OK); /* a tangent of one */
    expect_item(dy[0], 27);
    ck_assert_int_eq(ag_jvp(2, y, 2, x, xdot, y), AG_OK); /* over the outputs */
    expect_list(y[0], 31, 404);
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(2), (double[]){1, 1}), *late = ag_exp(v);
    ag_assign(v, a); /* recorded nodes keep the old value */
    ag_jvp(1, &late, 1, &v, &v, dy);
    expect_near(dy[0], 2, ((double[]){exp(1), 2 * exp(1)}), 4, 1);
    expect_list(ag_jacobian(ag_square(v), v), 2, 0, 0, 4);
}
END_TEST

START_TEST(what_does_not_depend_is_zero) {
    ag_tensor *x = F64S(1, 2), *other = F64S(1, 2, 3), *y = ag_exp(other), *dy, *s = ag_sum(y);
    expect_list(ag_jacobian(y, x), 0, 0, 0, 0, 0, 0);
    expect_list(ag_jacobian(x, y), 0, 0, 0, 0, 0, 0);
    expect_list(ag_hessian(s, x), 0, 0, 0, 0);
    expect_list(ag_hvp(s, x, x), 0, 0);
    ck_assert_int_eq(ag_jvp(1, &y, 1, &x, &x, &dy), AG_OK);
    expect_list(dy, 0, 0, 0);
    expect_list(ag_jacobian(ag_stop_gradient(x), x), 0, 0, 0, 0);
    expect_list(ag_jacobian(ag_sign(x), x), 0, 0, 0, 0);
    ag_tensor *linear = ag_sum(ag_scale(x, 3)); /* its gradient does not depend on x */
    expect_list(ag_hessian(linear, x), 0, 0, 0, 0);
    expect_list(ag_hvp(linear, x, x), 0, 0);
}
END_TEST

START_TEST(nothing_and_scalars) {
    const int64_t extent[] = {0, 1, 3};
    for (int i = 0; i < 9; i++) {
        ag_tensor *x = ag_ones(tape, AG_F32, AG_SHAPE(extent[i / 3], 2)), *sum = ag_sum_over(x, AG_AXES(0), false);
        ag_tensor *y = ag_broadcast_to(sum, AG_SHAPE(extent[i % 3], 1, 2)), *j = ag_jacobian(y, x), *dy;
        expect_shape(j, AG_SHAPE(2 * extent[i % 3], 2 * extent[i / 3]));
        ck_assert_int_eq(ag_dtype_of(j), AG_F32);
        ck_assert_int_eq(ag_jvp(1, &y, 1, &x, &x, &dy), AG_OK);
        expect_same(dy, y); /* linear */
        expect_shape(ag_hessian(ag_sum(ag_exp(y)), x), AG_SHAPE(2 * extent[i / 3], 2 * extent[i / 3]));
        expect_shape(ag_hvp(ag_sum(ag_exp(y)), x, x), ag_shape_of(x));
        ck_assert_double_eq(ag_item(ag_sum(j)), (double)(2 * extent[i / 3] * extent[i % 3]));
    }
    ag_tensor *x = ag_scalar(tape, AG_F64, 3);
    expect_shape(ag_jacobian(x, x), AG_SHAPE(1, 1));
    expect_item(ag_jacobian(ag_square(x), x), 6);
    expect_item(ag_hessian(ag_square(x), x), 2);
    expect_ok(tape);
}
END_TEST

START_TEST(dtypes_may_differ) {
    ag_tensor *narrow = ag_from(tape, AG_F32, AG_SHAPE(2), (float[]){1, 2}), *y = ag_square(ag_cast(narrow, AG_F64)),
              *dy;
    ag_tensor *twice = ag_concat(2, (ag_tensor *[]){y, y}, 0);
    ck_assert_int_eq(ag_dtype_of(ag_jacobian(y, narrow)), AG_F32);
    ck_assert_int_eq(ag_dtype_of(ag_jacobian(twice, narrow)), AG_F32); /* by columns */
    expect_list(ag_jacobian(twice, narrow), 2, 0, 0, 4, 2, 0, 0, 4);
    ag_jvp(1, &y, 1, &narrow, &narrow, &dy);
    ck_assert_int_eq(ag_dtype_of(dy), AG_F64);
    expect_list(dy, 2, 8);
}
END_TEST

/* ---- Hessians ---- */

enum { IN = 3, HIDDEN = 4, CLASSES = 3, SAMPLES = 6, WEIGHTS = IN * HIDDEN + HIDDEN * CLASSES };

/* The cross-entropy of a small network whose weights all lie in one vector. */
static ag_tensor *network(ag_tensor *p) {
    ag_tensor *x = scattered(ag_tape_of(p), AG_F64, AG_SHAPE(SAMPLES, IN), 500);
    ag_tensor *w1 = ag_reshape(ag_slice(p, 0, 0, IN * HIDDEN, 1), AG_SHAPE(IN, HIDDEN));
    ag_tensor *w2 = ag_reshape(ag_slice(p, 0, IN * HIDDEN, AG_END, 1), AG_SHAPE(HIDDEN, CLASSES));
    ag_tensor *index = ag_from(ag_tape_of(p), AG_I64, AG_SHAPE(SAMPLES, 1), (int64_t[]){0, 2, 1, 1, 0, 2});
    ag_tensor *scores = ag_log_softmax(ag_matmul(ag_sigmoid(ag_matmul(x, w1)), w2), 1);
    return ag_neg(ag_mean(ag_gather(scores, index, 1)));
}

START_TEST(hessians) {
    ag_tensor *p = scattered(tape, AG_F64, AG_SHAPE(WEIGHTS), 0), *loss = network(p), *h = ag_hessian(loss, p);
    ag_tensor *columns[WEIGHTS];
    expect_shape(h, AG_SHAPE(WEIGHTS, WEIGHTS));
    expect_close(ag_transpose(h, 0, 1), h, 1e-15, "a Hessian is symmetric");
    for (int64_t j = 0; j < WEIGHTS; j++) { /* differences of the gradient */
        ag_tensor *step = ag_embed(ag_full(tape, AG_F64, AG_SHAPE(1), 1e-5), 0, WEIGHTS, j, 1), *side[2], *at[2], *y[2];
        for (int s = 0; s < 2; s++) {
            at[s] = s ? ag_add(p, step) : ag_sub(p, step);
            y[s] = network(at[s]);
            ag_grad(y[s], 1, &at[s], &side[s]);
        }
        columns[j] = column(ag_div_scalar(ag_sub(side[1], side[0]), 2e-5));
    }
    expect_close(h, ag_concat(WEIGHTS, columns, 1), 1e-8, "differences of the gradient");
    ag_tensor *v = scattered(tape, AG_F64, AG_SHAPE(WEIGHTS), 900), *g, *hv, *gv;
    expect_close(ag_hvp(loss, p, v), ag_matmul(h, column(v)), 1e-14, "H·v");
    ag_grad(loss, 1, &p, &g);
    ag_jvp(1, &g, 1, &p, &v, &hv); /* forward over reverse is the same */
    expect_close(hv, ag_matmul(h, column(v)), 1e-14, "the gradient's change along v");
    ag_jvp(1, &loss, 1, &p, &v, &gv);
    expect_close(gv, ag_sum(ag_mul(g, v)), 1e-14, "the slope along v");
}
END_TEST

/* ---- Differentiated again ---- */

static ag_tensor *of_jacobian(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *y = ag_mul(ag_sin(x[0]), ag_matmul(x[1], x[0])), *both[] = {y, ag_exp(x[0])};
    return ag_add(ag_sum(ag_square(ag_jacobian(y, x[0]))), ag_sum(ag_square(ag_jacobian(ag_concat(2, both, 0), x[0]))));
}

static ag_tensor *of_hessian(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *y = ag_sum(ag_mul(ag_exp(x[0]), ag_matmul(x[1], x[0])));
    return ag_tanh(ag_scale(ag_hessian(y, x[0]), 0.1));
}

static ag_tensor *of_products(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *y = ag_mul(ag_cos(x[0]), ag_matmul(x[1], x[0])), *dy;
    ag_jvp(1, &y, 2, x, x, &dy);
    return ag_mul(dy, ag_hvp(ag_sum(ag_exp(y)), x[0], ag_square(x[0])));
}

START_TEST(they_are_differentiated_again) {
    ag_function *const f[] = {of_jacobian, of_hessian, of_products};
    ag_tensor *x[] = {scattered(tape, AG_F64, AG_SHAPE(2, 1), 3), scattered(tape, AG_F64, AG_SHAPE(2, 2), 9)};
    for (int i = 0; i < 6; i++) {
        ag_gradcheck_options options = {.order = 1 + i % 2, .kinks_fail = true};
        ag_gradcheck_report report;
        ck_assert_msg(ag_gradcheck(f[i / 2], NULL, 2, x, &options, &report) == AG_OK, "%s", report.message);
        ck_assert_int_ge(report.checked, 6);
    }
}
END_TEST

START_TEST(also_where_nothing_is_recorded_and_where_all_is_computed_at_once) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), *y = ag_square(p),
              *s = ag_sum(ag_mul(y, p));
    ag_tensor *v = F64S(10, 100), *dy, *twice[] = {y, y}, *wide = ag_concat(2, twice, 0);
    for (int i = 0; i < 4; i++) {
        ag_tape_set_recording(tape, i & 1);
        ag_tape_set_eager(tape, i & 2);
        ag_tensor *h = ag_hessian(s, p), *j = ag_jacobian(wide, p);
        ag_jvp(1, &y, 1, &p, &v, &dy);
        ag_tensor *hv = ag_hvp(s, p, v), *all[] = {h, j, dy, hv};
        ck_assert_int_eq(ag_tape_set_recording(tape, i & 1), i & 1);
        expect_list(h, 6, 0, 0, 12);
        expect_list(j, 2, 0, 0, 4, 2, 0, 0, 4);
        expect_list(dy, 20, 400);
        expect_list(hv, 60, 1200);
        for (int k = 0; k < 4; k++) ck_assert(ag_requires_grad(all[k]) == (i & 1));
    }
}
END_TEST

/* ---- Refused calls ---- */

static void refuse_pair(ag_tensor *(*f)(ag_tensor *y, ag_tensor *x), const char *name) {
    ag_tensor *x = F64S(1, 2), *y = ag_sum(ag_exp(x)), *index = ag_arange(tape, AG_I64, 2);
    ag_tape *other = ag_tape_new();
    int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert(ag_is_nil(f(NULL, x)));
    expect_error(tape, AG_ERR_NULL, name, "NULL");
    ck_assert(ag_is_nil(f(y, NULL)));
    expect_error(tape, AG_ERR_NULL, name, "NULL");
    ck_assert(ag_is_nil(f(NULL, NULL)));
    expect_error(NULL, AG_ERR_NULL, name);
    ck_assert(ag_is_nil(f(y, index)));
    expect_error(tape, AG_ERR_DTYPE, name, "i64");
    ck_assert(ag_is_nil(f(index, x)));
    expect_error(tape, AG_ERR_DTYPE, name, "i64");
    ck_assert(ag_is_nil(f(y, ag_ones(other, AG_F64, AG_SHAPE(2)))));
    expect_error(tape, AG_ERR_TAPE, name, "another tape");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ag_tape_free(other);
    ag_tensor *nil = ag_reshape(x, AG_SHAPE(77));
    ck_assert(ag_is_nil(f(y, x))); /* on a tape in error */
    expect_error(tape, AG_ERR_SHAPE, "reshape");
    ck_assert(ag_is_nil(f(nil, x)));
    expect_error(tape, AG_ERR_NIL, name);
}

START_TEST(wrong_arguments) {
    refuse_pair((ag_jacobian), "jacobian");
    refuse_pair((ag_hessian), "hessian");
    ag_tensor *x = F64S(1, 2), *three = F64S(1, 2, 3), *y = ag_sum(ag_exp(x)), *narrow = ag_cast(x, AG_F32);
    ck_assert(ag_is_nil(ag_hessian(x, x)));
    expect_error(tape, AG_ERR_SHAPE, "hessian", "(2)", "2 elements", "test_transforms.c:");
    ck_assert(ag_is_nil(ag_hvp(x, x, x)));
    expect_error(tape, AG_ERR_SHAPE, "hvp", "(2)", "2 elements", "test_transforms.c:");
    ck_assert(ag_is_nil(ag_hvp(y, x, three)));
    expect_error(tape, AG_ERR_SHAPE, "hvp", "(2)", "(3)", "tangent");
    ck_assert(ag_is_nil(ag_hvp(y, x, narrow)));
    expect_error(tape, AG_ERR_DTYPE, "hvp", "f32 (2)");
    ck_assert(ag_is_nil(ag_hvp(y, x, NULL)));
    expect_error(tape, AG_ERR_NULL, "hvp");
    ck_assert(ag_is_nil(ag_jacobian(y, ag_cast(x, AG_I64))));
    expect_error(tape, AG_ERR_DTYPE, "jacobian", "test_transforms.c:");
}
END_TEST

START_TEST(wrong_arguments_of_jvp) {
    ag_tensor *x[] = {F64S(1, 2), F64S(3)}, *y[] = {ag_exp(x[0]), ag_sum(x[1])}, *three = F64S(1, 2, 3), *dy[2];
    ag_tensor *xdot[] = {three, NULL}, *bad[] = {x[0], NULL}, *mixed[] = {x[0], ag_arange(tape, AG_I64, 1)};
    int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert_int_eq(ag_jvp(2, y, 2, x, xdot, dy), AG_ERR_SHAPE);
    ck_assert(ag_is_nil(dy[0]) && ag_is_nil(dy[1]) && dy[0]);
    expect_error(tape, AG_ERR_SHAPE, "jvp", "(2)", "(3)", "test_transforms.c:");
    ck_assert_int_eq(ag_jvp(2, y, 2, x, NULL, dy), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "jvp", "needs a tangent");
    ck_assert_int_eq(ag_jvp(2, y, 2, bad, NULL, dy), AG_ERR_SHAPE);
    ag_clear_error(tape);
    xdot[0] = x[0];
    ck_assert_int_eq(ag_jvp(2, y, 2, bad, xdot, dy), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "jvp");
    ck_assert_int_eq(ag_jvp(2, bad, 2, x, xdot, dy), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "jvp");
    ck_assert_int_eq(ag_jvp(2, y, 2, mixed, xdot, dy), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "jvp", "i64");
    ck_assert_int_eq(ag_jvp(0, y, 2, x, xdot, dy), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "jvp", "0 outputs");
    ck_assert_int_eq(ag_jvp(2, y, -1, x, xdot, dy), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "jvp", "-1 inputs", "test_transforms.c:");
    ck_assert_int_eq(ag_jvp(2, y, 2, x, xdot, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "jvp", "results");
    ck_assert_int_eq(ag_jvp(2, y, 2, NULL, xdot, dy), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "jvp", "inputs");
    ck_assert_int_eq(ag_jvp(2, NULL, 2, x, xdot, dy), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "jvp", "outputs");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
}
END_TEST

START_TEST(sizes_beyond_measure) {
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(INT64_C(1) << 40)), *y = ag_exp(x),
              *large = ag_ones(tape, AG_F64, AG_SHAPE(70000));
    int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert(ag_is_nil(ag_jacobian(y, x)));
    expect_error(tape, AG_ERR_SHAPE, "jacobian", "(1099511627776)", "more elements");
    ck_assert(ag_is_nil(ag_jacobian(large, large)));
    expect_error(tape, AG_ERR_RANGE, "jacobian", "(70000)");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ag_tensor *few = F64S(1, 2), *many = ag_mul(large, ag_sum(few)); /* by columns: no more than two products */
    ag_tensor *j = ag_jacobian(many, few);
    expect_shape(j, AG_SHAPE(70000, 2));
    ck_assert_double_eq(ag_item(ag_sum(j)), 140000);
    ck_assert_int_lt(ag_tape_memory(tape).nodes - nodes, 60);
}
END_TEST

/* ---- Operations that cannot be differentiated twice, and memory ---- */

static void triple_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = 3 * ((const double *)x[0])[i];
}

static const ag_op op_once = {.name = "once",
                              .kind = AG_KIND_ELEMENTWISE,
                              .arity = 1,
                              .flags = AG_OP_NOT_DIFFERENTIABLE,
                              .block = {[AG_F64] = triple_block}};

static ag_tensor *triple_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)y, (void)i, ag_apply(&op_once, 1, &g, NULL, 0);
}

static const ag_op op_triple = {
    .name = "triple", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = triple_block}, .vjp = triple_vjp};

START_TEST(a_vjp_that_cannot_be_differentiated) {
    ag_tensor *x = F64S(1, 2), *y = ag_apply(&op_triple, 1, &x, NULL, 0), *both[] = {y, y}, *dy;
    expect_list(ag_jacobian(y, x), 3, 0, 0, 3);
    ag_tensor *wide = ag_concat(2, both, 0);
    int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert(ag_is_nil(ag_jacobian(wide, x)));
    expect_error(tape, AG_ERR_GRADIENT, "once", "test_transforms.c:");
    ck_assert_int_eq(ag_jvp(1, &y, 1, &x, &x, &dy), AG_ERR_GRADIENT);
    ck_assert(ag_is_nil(dy));
    expect_error(tape, AG_ERR_GRADIENT, "once", "test_transforms.c:");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ag_tensor *s = ag_sum(ag_square(y)), *dx;
    ck_assert_int_eq(ag_grad(s, 1, &x, &dx), AG_OK);
    expect_list(dx, 18, 36);
    nodes = ag_tape_memory(tape).nodes;
    ck_assert(ag_is_nil(ag_hessian(s, x)));
    expect_error(tape, AG_ERR_GRADIENT, "once", "not differentiable", "test_transforms.c:");
    ck_assert(ag_is_nil(ag_hvp(s, x, x)));
    expect_error(tape, AG_ERR_GRADIENT, "once", "not differentiable", "test_transforms.c:");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
}
END_TEST

static ag_status everything(ag_tape *t) {
    double value[] = {1, 2, 3};
    ag_tensor *x = ag_from(t, AG_F64, AG_SHAPE(3), value), *y = ag_mul(ag_sin(x), ag_sum(x)), *dy;
    ag_tensor *wide = ag_concat(2, (ag_tensor *[]){y, y}, 0), *s = ag_sum(y);
    ag_tensor *all[] = {ag_jacobian(y, x), ag_jacobian(wide, x), ag_hessian(s, x), ag_hvp(s, x, x)};
    ag_jvp(1, &y, 1, &x, &x, &dy);
    ag_eval_all(4, all);
    if (ag_tape_status(t) == AG_OK) ck_assert(!ag_is_nil(dy));
    return ag_eval(dy);
}

START_TEST(every_failing_allocation_is_an_error) { with_each_allocation_failing(everything); }
END_TEST

START_TEST(what_is_recorded_has_a_place) {
    ag_tensor *x = F64S(1, 2), *y = ag_exp(x), *dy;
    int here = __LINE__ + 1, line;
    ag_tensor *j = ag_jacobian(y, x);
    ck_assert(strstr(ag_place_of(j, &line), "test_transforms.c"));
    ck_assert_int_eq(line, here);
    ag_jvp(1, &y, 1, &x, &x, &dy);
    ck_assert(strstr(ag_place_of(dy, &line), "test_transforms.c"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("transforms");
    TCase *operations = plain_group(suite, "operations");
    tcase_add_test(operations, every_operation);
    tcase_add_test(operations, elementwise_is_diagonal);
    TCase *meaning = tape_group(suite, "meaning");
    tcase_add_test(meaning, rows_are_outputs_and_columns_inputs);
    tcase_add_test(meaning, a_gradient_is_one_row_transposed);
    tcase_add_test(meaning, the_chain_rule_is_a_product);
    tcase_add_test(meaning, and_a_sum_over_all_paths);
    tcase_add_test(meaning, several_outputs_and_inputs);
    tcase_add_test(meaning, what_does_not_depend_is_zero);
    tcase_add_test(meaning, nothing_and_scalars);
    tcase_add_test(meaning, dtypes_may_differ);
    tcase_add_test(meaning, hessians);
    tcase_add_test(meaning, they_are_differentiated_again);
    tcase_add_test(meaning, also_where_nothing_is_recorded_and_where_all_is_computed_at_once);
    TCase *refused = tape_group(suite, "refused");
    tcase_add_test(refused, wrong_arguments);
    tcase_add_test(refused, wrong_arguments_of_jvp);
    tcase_add_test(refused, sizes_beyond_measure);
    tcase_add_test(refused, a_vjp_that_cannot_be_differentiated);
    tcase_add_test(refused, every_failing_allocation_is_an_error);
    tcase_add_test(refused, what_is_recorded_has_a_place);
    return run_suite(suite);
}
