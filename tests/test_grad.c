/* test_grad -- gradients: outputs and inputs, repetition, depth, and a user's operations
 *
 * `counted` is the identity, and counts the elements that it computes. */
#include "nn/nn.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ag_tensor *f64s(int64_t n, const double values[]) { return tensor_of(tape, AG_F64, AG_SHAPE(n), values); }
#define F64S(...) f64s((int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]){__VA_ARGS__})

static ag_tensor *number(double value) { return ag_from(tape, AG_F64, AG_SCALAR, &value); }
static ag_tensor *parameter(double value) { return ag_parameter(tape, AG_F64, AG_SCALAR, &value); }

/* dy/dx of the sum of y. */
static ag_tensor *slope(ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx, *loss = ag_sum(y);
    ag_grad(loss, 1, &x, &dx);
    return dx;
}

/* ---- Outputs and inputs ---- */

START_TEST(gradients_are_tensors) {
    ag_tensor *x = F64S(1, 2, 3), *dx, *y = ag_sum(ag_square(x));
    ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_OK);
    expect_shape(dx, AG_SHAPE(3));
    ck_assert_int_eq(ag_dtype_of(dx), AG_F64);
    expect_list(ag_add(dx, x), 3, 6, 9);
    ag_tensor *narrow = ag_cast(x, AG_F32);
    ck_assert_int_eq(ag_dtype_of(slope(ag_exp(narrow), narrow)), AG_F32);
    ag_tensor *one_by_one = ag_reshape(ag_sum(x), AG_SHAPE(1, 1)); /* one element is enough, whatever the rank */
    ck_assert_int_eq(ag_grad(one_by_one, 1, &x, &dx), AG_OK);
    expect_list(dx, 1, 1, 1);
}
END_TEST

START_TEST(what_does_not_depend_has_zeros) {
    ag_tensor *x = F64S(1, 2), *other = F64S(1, 2, 3), *by[] = {x, other}, *dx[2], *y = ag_sum(ag_exp(x));
    ck_assert_int_eq(ag_grad(y, 2, by, dx), AG_OK);
    expect_list(dx[1], 0, 0, 0);
    ck_assert_int_eq(ag_vjp(1, &y, NULL, 1, by, dx, AG_STRICT), AG_OK);
    ck_assert_int_eq(ag_vjp(1, &y, NULL, 2, by, dx, AG_STRICT), AG_ERR_GRADIENT);
    ck_assert(ag_is_nil(dx[0]) && ag_is_nil(dx[1]));
    expect_error(tape, AG_ERR_GRADIENT, "1");
    ag_tensor *later = ag_add_scalar(y, 1); /* younger than y */
    ck_assert_int_eq(ag_grad(y, 1, &later, dx), AG_OK);
    expect_item(dx[0], 0);
    expect_list(slope(ag_sign(x), x), 0, 0); /* depends, with slope 0 */
}
END_TEST

START_TEST(any_tensor_may_be_the_input) {
    ag_tensor *x = number(3), *y = ag_square(x), *z = ag_scale(y, 5), *by[] = {x, y, z, x}, *dx[4];
    ck_assert_int_eq(ag_grad(z, 4, by, dx), AG_OK);
    expect_item(dx[0], 30);
    expect_item(dx[1], 5);
    expect_item(dx[2], 1);
    expect_item(dx[3], 30);
    ag_tensor *w = ag_add(ag_square(y), x), *seen[] = {y, x}; /* y is also an input: x gets both paths all the same */
    ag_grad(w, 2, seen, dx);
    expect_item(dx[0], 18);
    expect_item(dx[1], 109);
}
END_TEST

/* An operation without effect gives the variable's value, and that is the variable as an output, too. */
START_TEST(a_variable_may_be_the_output) {
    ag_tensor *p = parameter(3), *same = ag_squeeze(p, AG_ALL_AXES), *y[] = {p, same}, *x[] = {p, same}, *dx[2];
    for (int j = 0; j < 2; j++) {
        ag_grad(y[j], 2, x, dx);
        expect_item(dx[0], 1);
        expect_item(dx[1], 1);
    }
    ag_assign(p, number(5)); /* now it is another value */
    ag_grad(p, 2, x, dx);
    expect_item(dx[0], 1);
    expect_item(dx[1], 0);
    ag_tensor *jx, *one = number(1);
    p = parameter(3), same = ag_squeeze(p, AG_ALL_AXES);
    ag_jvp(1, &p, 1, &same, &one, &jx);
    expect_item(jx, 1);
    expect_ok(tape);
}
END_TEST

START_TEST(several_outputs_with_cotangents) {
    ag_tensor *x = F64S(1, 2), *y[] = {ag_square(x), ag_sum(x), ag_exp(x)}, *ybar[] = {F64S(10, 100), NULL, F64S(0, 0)},
              *dx;
    ck_assert_int_eq(ag_vjp(3, y, ybar, 1, &x, &dx, 0), AG_OK);
    expect_list(dx, 21, 401);
    ag_tensor *twice[] = {y[0], y[0]}, *bars[] = {F64S(1, 0), F64S(0, 1)}; /* one output, twice */
    ag_vjp(2, twice, bars, 1, &x, &dx, 0);
    expect_list(dx, 2, 4);
    ag_tensor *chain[] = {x, ag_scale(x, 3)},
              *chain_bars[] = {F64S(1, 2), F64S(10, 20)}; /* an output that is the input */
    ag_vjp(2, chain, chain_bars, 1, &x, &dx, 0);
    expect_list(dx, 31, 62);
    ag_tensor *scalars[] = {ag_sum(x), ag_max(x)};
    ck_assert_int_eq(ag_vjp(2, scalars, NULL, 1, &x, &dx, 0), AG_OK);
    expect_list(dx, 1, 2);
    ag_tensor *bar_of_x[] = {ag_scale(x, 2)}; /* the cotangent is recorded too: gradients by it exist */
    ag_vjp(1, y, bar_of_x, 1, &x, &dx, 0);
    expect_list(dx, 4, 16);
    expect_list(slope(dx, x), 8, 16);
}
END_TEST

START_TEST(views_of_cotangents_will_do) {
    ag_tensor *x = F64S(1, 2, 3), *y = ag_square(x), *bar = ag_flip(F64S(1, 2, 3), 0), *dx;
    ag_vjp(1, &y, &bar, 1, &x, &dx, 0);
    expect_list(dx, 6, 8, 6);
    bar = ag_ones(tape, AG_F64, AG_SHAPE(3));
    ag_vjp(1, &y, &bar, 1, &x, &dx, 0);
    expect_list(dx, 2, 4, 6);
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(3), (double[]){1, 1, 2});
    ag_vjp(1, &y, &v, 1, &x, &dx, 0);
    ag_assign(v, ag_scale(v, 100));
    expect_list(dx, 2, 4, 12);
}
END_TEST

START_TEST(paths_add_up) {
    ag_tensor *x = number(0.5), *a = ag_sin(x), *b = ag_exp(x);
    ag_tensor *y = ag_add(ag_mul(a, b), ag_mul(a, a)), *z = ag_mul(y, ag_add(y, x));
    double s = sin(0.5), c = cos(0.5), e = exp(0.5), v = s * e + s * s, dv = c * e + s * e + 2 * s * c;
    expect_near(slope(z, x), 1, &(double){dv * (v + 0.5) + v * (dv + 1)}, 8, 0);
    ag_tensor *diamond = x;
    for (int i = 0; i < 40; i++) diamond = ag_add(diamond, diamond); /* 2^40 paths */
    expect_item(slope(diamond, x), 0x1p40);
    expect_item(slope(ag_mul(x, x), x), 1);
}
END_TEST

START_TEST(shared_inputs_and_concat) {
    ag_tensor *x = F64S(1, 2), *all[] = {x, ag_scale(x, 2), x}, *y = ag_concat(3, all, 0);
    expect_list(slope(ag_mul(y, F64S(1, 2, 3, 4, 5, 6)), x), 12, 16);
    ag_tensor *parts = ag_add(ag_slice(x, 0, 0, 1, 1), ag_slice(x, 0, 0, 2, 1)); /* (1) + (2) */
    expect_list(slope(parts, x), 3, 1);
    ag_tensor *outer = ag_mul(ag_reshape(x, AG_SHAPE(2, 1)), ag_reshape(x, AG_SHAPE(1, 2)));
    expect_list(slope(outer, x), 6, 6);
    ag_tensor *m = ag_reshape(F64S(1, 2, 3, 4), AG_SHAPE(2, 2));
    expect_list(slope(ag_matmul(m, m), m), 7, 11, 9, 13);
}
END_TEST

START_TEST(gradients_may_replace_their_inputs) {
    ag_tensor *x = F64S(1, 2), *w = F64S(3, 4), *both[] = {x, w}, *y = ag_sum(ag_mul(x, w));
    ck_assert_int_eq(ag_grad(y, 2, both, both), AG_OK);
    expect_list(both[0], 3, 4);
    expect_list(both[1], 1, 2);
    ck_assert_int_eq(ag_grad(x, 2, both, both), AG_ERR_SHAPE);
    ck_assert(ag_is_nil(both[0]) && ag_is_nil(both[1]));
    ag_clear_error(tape);
}
END_TEST

/* ---- Stopping a gradient ---- */

START_TEST(stopped_gradients) {
    ag_tensor *x = F64S(1, 2, 3), *stopped = ag_stop_gradient(ag_square(x));
    expect_list(stopped, 1, 4, 9);
    expect_list(slope(ag_mul(x, stopped), x), 1, 4, 9);
    ag_tensor *dx, *y = ag_sum(stopped);
    ck_assert_int_eq(ag_vjp(1, &y, NULL, 1, &x, &dx, AG_STRICT), AG_ERR_GRADIENT);
    ag_clear_error(tape);
    expect_list(slope(stopped, x), 0, 0, 0);
    expect_list(slope(stopped, stopped), 1, 1, 1);
    ag_tensor *p = parameter(2);
    ck_assert(ag_requires_grad(ag_exp(p)));
    ck_assert(!ag_requires_grad(ag_stop_gradient(p)));
    ck_assert(!ag_requires_grad(x));
    ck_assert(!ag_requires_grad(ag_cast(p, AG_I64)));
    ck_assert(!ag_requires_grad(ag_less(p, p)));
    ck_assert(!ag_requires_grad(ag_sign(p)));
}
END_TEST

START_TEST(recording_off_is_constant) {
    ag_tensor *p = parameter(3), *before = ag_square(p);
    ag_tape_set_recording(tape, false);
    ag_tensor *constant = ag_square(p), *mixed_inside = ag_mul(before, p);
    ag_tape_set_recording(tape, true);
    ck_assert(!ag_requires_grad(constant) && ag_requires_grad(before));
    ag_tensor *y = ag_add(before, constant);
    expect_item(slope(y, p), 6);
    expect_item(slope(ag_add(mixed_inside, p), p), 1);
    ag_tensor *after = ag_square(p);
    expect_item(slope(after, p), 6);
    ag_tensor *q = parameter(4); /* first used while nothing was recorded */
    ag_tape_set_recording(tape, false);
    expect_item(ag_square(q), 16);
    ag_tape_set_recording(tape, true);
    expect_item(slope(ag_square(q), q), 8);
    ck_assert_int_eq(ag_backward(constant), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "backward", "parameter");
    ag_tensor *dp;
    ag_tape_set_recording(tape, false);
    ag_grad(before, 1, &p, &dp); /* of earlier nodes; it cannot itself be differentiated */
    ag_tape_set_recording(tape, true);
    expect_item(dp, 6);
    expect_item(slope(dp, p), 0);
}
END_TEST

/* Calls that change nothing, or little, of a 3x2 tensor. */
enum { UNCHANGED = 58 };
static ag_tensor *unchanged_by(int call, ag_tensor *x) {
    ag_tensor *y = NULL;
    switch (call) {
    case 0: return ag_reshape(x, AG_SHAPE(3, 2));
    case 1: return ag_broadcast_to(x, AG_SHAPE(3, 2));
    case 2: return ag_permute(x, AG_AXES(0, 1));
    case 3: return ag_transpose(x, 1, 1);
    case 4: return ag_contiguous(x);
    case 5: return ag_slice(x, 0, 0, AG_END, 1);
    case 6: return ag_at(x, "...");
    case 7: return ag_at(x, ":, :");
    case 8: return ag_concat(1, &x, 0);
    case 9: return ag_pad(x, AG_AXES(0), AG_SHAPE(0), AG_SHAPE(0));
    case 10: return ag_roll(x, 0, 1);
    case 11: return ag_roll_over(x, AG_SHAPE(3, -2), AG_AXES(0, 1));
    case 12: return ag_rot90(x, 4, AG_AXES(0, 1));
    case 13: return ag_repeat_interleave(x, 1, 1);
    case 14: return ag_tile(x, AG_SHAPE(1, 1));
    case 15: return ag_diff(x, 0, 1);
    case 16: return ag_squeeze(x, (ag_axes){0});
    case 17: return ag_flatten(x, 1, 1);
    case 18: return ag_expand_as(x, x);
    case 19: return ag_movedim(x, AG_AXES(1), AG_AXES(1));
    case 20: return ag_swapaxes(x, 0, 0);
    case 21: return ag_unflatten(x, 1, AG_SHAPE(2));
    case 22: return ag_hstack(1, &x);
    case 23: return ag_vstack(1, &x);
    case 24: return ag_embed(x, 0, 3, 0, 1);
    case 25: return ag_index(x, 0, NULL);
    case 26: return ag_cast(x, AG_F64);
    case 27: return ag_sum_over(x, (ag_axes){0}, false);
    case 28: return ag_max_over(x, (ag_axes){0}, false);
    case 29: return ag_mean_over(x, (ag_axes){0}, false);
    case 30: return ag_logsumexp_over(x, (ag_axes){0}, false);
    case 31: return ag_prod_over(x, (ag_axes){0}, false);
    case 32: return ag_einsum("ij", 1, &x);
    case 33: return ag_einsum("ij->ij", 1, &x);
    case 34: return ag_scale(x, 1);
    case 35: return ag_pow_scalar(x, 1);
    case 36: return ag_add_scalar(x, 0);
    case 37: return ag_clamp(x, -INFINITY, INFINITY);
    case 38: return ag_dropout(x, 0, true);
    case 39: return ag_dropout(x, 0.5, false);
    case 40: return ag_complex_conj(ag_complex_conj(x));
    case 41: return ag_tril(x, 3);
    case 42: return ag_masked_fill(x, ag_zeros(ag_tape_of(x), AG_BOOL, AG_SHAPE(3, 2)), 0);
    case 43: return ag_sort(x, 0, false);
    case 44: return ag_cumsum(ag_slice(x, 0, 0, 1, 1), 0);
    case 45: return ag_windows(x, (ag_axes){0}, AG_SCALAR, AG_SCALAR);
    case 46: return ag_fold(x, (ag_axes){0}, AG_SCALAR, AG_SCALAR);
    case 47: return ag_nan_to_num(x);
    case 48: return ag_repeat(x, AG_SHAPE(1, 1));
    case 49: return ag_triu(x, -2);
    case 50: return ag_logcumsumexp(ag_slice(x, 1, 0, 0, 1), 1);
    case 51: return ag_flip(ag_flip(x, 0), 0);
    case 52: return ag_masked_select(x, ag_ones(ag_tape_of(x), AG_BOOL, AG_SHAPE(3, 2)));
    case 53: return ag_stop_gradient(x);
    case 54: return ag_fft_over(x, (ag_axes){0}, 0);
    case 55: return ag_broadcast_tensors(1, &x, &y), y;
    case 56: return ag_norm_over(x, (ag_axes){0}, 2, false);
    case 57: return ag_median_over(x, (ag_axes){0}, false);
    default: return NULL;
    }
}

static ag_tensor *ones_like_slope(ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx = NULL, *ones = ag_ones_like(y);
    ag_vjp(1, &y, &ones, 1, &x, &dx, 0);
    return dx;
}

/* A result is constant later even where a call has nothing to do; gradients taken at once go through it. */
START_TEST(unchanged_while_recording_is_off) {
    const double six[] = {1, 2, 3, 4, 5, 6};
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(3, 2), six);
    ag_tensor *from[4] = {p, ag_square(p), ag_from(tape, AG_F64, AG_SHAPE(3, 2), six)};
    for (int i = 0; i < 4; i++) {
        ag_tensor *usual = ones_like_slope(unchanged_by(_i, from[i % 3]), from[i % 3]);
        ag_tape_set_recording(tape, false);
        if (i == 3) from[i] = ag_from(tape, AG_F64, AG_SHAPE(3, 2), six);
        ag_tensor *y = unchanged_by(_i, from[i]), *within = ones_like_slope(y, from[i]);
        ag_tape_set_recording(tape, true);
        expect_same(within, usual);
        expect_same(ones_like_slope(y, from[i]), ag_zeros_like(usual));
        expect_same(ones_like_slope(within, from[1]), ag_zeros_like(usual));
    }
}
END_TEST

/* So are gradients that are cotangents as they were given. */
START_TEST(cotangents_while_recording_is_off) {
    ag_tensor *p = parameter(3), *g = ag_square(p), *y = ag_add_scalar(p, 1), *dx[2], *of[] = {y, p};
    for (int i = 0; i < 2; i++) {
        ag_tape_set_recording(tape, false);
        ck_assert_int_eq(ag_vjp(1, &of[i], &g, 1, &of[i], &dx[i], 0), AG_OK);
        ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &p, &dx[!i], 0), AG_OK);
        expect_item(slope(dx[i], g), 1);
        ag_tape_set_recording(tape, true);
        for (int k = 0; k < 2; k++) {
            expect_item(dx[k], 9);
            expect_item(slope(dx[k], p), 0);
            expect_item(slope(dx[k], g), 0);
        }
    }
}
END_TEST

/* ---- Nodes that the user holds ---- */

static ag_tensor *six_of(double first, double step) {
    double x[6];
    for (int i = 0; i < 6; i++) x[i] = first + i * step * (i % 2 ? 1 : -0.5);
    return ag_from(tape, AG_F64, AG_SHAPE(3, 2), x);
}

static void expect_alike(ag_tensor *got, ag_tensor *want) {
    expect_shape(got, ag_shape_of(want));
    ag_tensor *apart = ag_max(ag_abs(ag_sub(got, want)));
    ck_assert_msg(ag_item(apart) < 1e-12, "%g apart: %s", ag_item(apart), ag_tape_error(tape));
}

/* A product with a sum of one factor that is there already: jvp makes zeros, which are broadcast, its cotangents. */
START_TEST(jvp_of_what_is_multiplied_by_its_sum) {
    for (int k = 0; k < 8; k++) {
        const ag_axes axes = k & 1 ? AG_AXES(0) : AG_AXES(0, 1);
        ag_tensor *x = k & 2 ? ag_exp(six_of(0.5, 0.25)) : six_of(0.5, 0.25), *v = six_of(1, 2), *dy = NULL;
        ag_tensor *sum = ag_sum_over(x, axes, true), *sum_v = ag_sum_over(v, axes, true);
        ag_tensor *y = k & 4 ? ag_div(x, sum) : ag_mul(x, sum);
        ag_tensor *want = k & 4 ? ag_div(ag_sub(v, ag_mul(y, sum_v)), sum) : ag_add(ag_mul(v, sum), ag_mul(x, sum_v));
        ck_assert_int_eq(ag_jvp(1, &y, 1, &x, &v, &dy), AG_OK);
        expect_alike(dy, want);
    }
}
END_TEST

/* A broadcast that an operation has made is the user's once it is read: a factor of a sum that the scan has already. */
START_TEST(gradients_by_broadcasts_that_are_read) {
    ag_tensor *few = ag_slice(six_of(2, 1), 1, 0, 1, 1), *z = ag_slice(six_of(3, 1), 1, 0, 1, 1), *b = ag_neg(z);
    ag_tensor *product = ag_mul(ag_add(six_of(5, 1), z), few), *wide = ag_input(product, 1), *w = six_of(1, 2), *d[2],
              *g;
    ag_tensor *y = ag_add(product, b);
    expect_shape(wide, AG_SHAPE(3, 2));
    ck_assert_int_eq(ag_vjp(1, &y, &w, 2, (ag_tensor *[]){z, b}, d, 0), AG_OK);
    ck_assert_int_eq(ag_grad(ag_sum(d[0]), 1, &wide, &g), AG_OK);
    expect_alike(g, w); /* d[0] = Σ w·few, and d[1] = Σ w */
}
END_TEST

/* Each result of a call is a tensor that others may be made of: dx by dw as if a user's operation lay between. */
static void expect_by_result(ag_tensor *dx, ag_tensor *dw, double slope) {
    ag_tensor *g;
    ck_assert_int_eq(ag_grad(ag_sum(dx), 1, &dw, &g), AG_OK);
    expect_alike(g, ag_full(tape, AG_F64, ag_shape_of(dw), slope));
}

/* A broadcast, its sum, windows and slices whose cotangents are results too: of products, embedded, and as they are. */
START_TEST(gradients_by_other_results_of_a_call) {
    for (int recorded = 0; recorded < 2; recorded++) {
        ag_tensor *x = ag_slice(six_of(2, 1), 0, 0, 1, 1), *b = ag_slice(six_of(5, 1), 0, 0, 1, 1);
        ag_tensor *c = ag_slice(six_of(7, 1), 0, 0, 1, 1), *w = ag_sin(six_of(3, 1));
        if (!recorded) ag_tape_set_recording(tape, false);
        ag_tensor *wide = ag_broadcast_to(x, AG_SHAPE(3, 2)), *in[] = {x, b, wide}, *d[3];
        ag_tensor *y = ag_add(ag_mul(wide, c), b);
        ck_assert_int_eq(ag_vjp(1, &y, &w, 3, in, d, 0), AG_OK);
        expect_alike(d[0], ag_mul(c, d[1]));
        expect_alike(d[1], ag_sum_over(w, AG_AXES(0), true));
        expect_by_result(d[0], d[2], 1);
        expect_by_result(d[0], d[1], 0);
        expect_by_result(d[2], d[1], 0);

        ag_tensor *line = ag_exp(ag_reshape(six_of(2, 1), AG_SHAPE(6))), *e[2];
        ag_tensor *rows = ag_windows(line, AG_AXES(0), AG_SHAPE(3), AG_SHAPE(1)), *of[] = {line, rows};
        ag_grad(ag_sum(ag_sin(ag_slice(rows, 1, 0, AG_END, 2))), 2, of, e);
        expect_by_result(e[0], e[1], 1);

        ag_tensor *more = ag_add(line, ag_ones(tape, AG_F64, AG_SHAPE(6))), *parts[] = {line, more};
        ag_tensor *ends = ag_add(ag_sum(ag_slice(line, 0, 0, 2, 1)), ag_sum(ag_slice(line, 0, 3, 6, 1)));
        ag_grad(ag_add(ag_sum(ag_sin(ag_slice(more, 0, 2, 3, 1))), ends), 2, parts, e);
        expect_alike(e[0], ag_add(e[1], ag_from(tape, AG_F64, AG_SHAPE(6), (double[]){1, 1, 0, 1, 1, 1})));
        expect_by_result(e[0], e[1], 1);
        ag_tape_set_recording(tape, true);
    }
}
END_TEST

/* A sum of the cotangent that the user has is not what results are made of. */
START_TEST(gradients_by_a_sum_that_is_held) {
    ag_tensor *x = ag_slice(six_of(2, 1), 0, 0, 1, 1), *c = ag_exp(x), *w = six_of(3, 1), *dx;
    ag_tensor *y = ag_mul(ag_add(x, six_of(1, 1)), c), *sum = ag_sum_over(w, AG_AXES(0), true);
    ck_assert_int_eq(ag_vjp(1, &y, &w, 1, &x, &dx, 0), AG_OK);
    expect_by_result(dx, sum, 0);
    expect_by_result(ag_add(dx, sum), sum, 1);
}
END_TEST

/* Cotangents that are broadcast, embedded or products: gradients of gradients by them, as they are, are there. */
START_TEST(gradients_by_cotangents_that_are_held) {
    ag_tensor *z = six_of(1, 1), *few = ag_slice(six_of(2, 1), 0, 0, 1, 1), *w = six_of(3, 1), *total = NULL;
    ag_sum_over(z, AG_AXES(0), true);
    ag_tensor *row = ag_slice(w, 0, 0, 1, 1), *y = ag_mul(z, row), *d[4], *g[4];
    ag_tensor *held[] = {ag_broadcast_to(few, AG_SHAPE(3, 2)), ag_mul(z, few), ag_embed(few, 0, 3, 1, 1), ag_neg(z)};
    ag_tensor *sum = ag_add(z, row);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ag_vjp(1, &sum, &held[i], 1, &row, &d[i], 0), AG_OK);
        total = ag_sum(ag_mul(d[i], few));
        ag_grad(total, 1, &held[i], &g[i]);
        expect_alike(g[i], ag_broadcast_to(few, AG_SHAPE(3, 2))); /* d = Σ held */
    }
    for (int i = 0; i < 4; i++) {
        ag_sum_over(held[i], AG_AXES(0), true);
        ck_assert_int_eq(ag_vjp(1, &y, &held[i], 1, &row, &d[i], 0), AG_OK);
        total = ag_sum(ag_mul(d[i], few));
        ag_grad(total, 1, &held[i], &g[i]);
        expect_alike(g[i], ag_mul(z, few)); /* d = Σ held·z */
    }
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(6), (double[]){1, 2, 3, 4, 5, 6}), *dx, *dg;
    ag_tensor *rows = ag_windows(x, AG_AXES(0), AG_SHAPE(3), AG_SHAPE(1));
    ag_tensor *spread = ag_embed(ag_ones(tape, AG_F64, AG_SHAPE(4, 2)), 1, 3, 0, 2);
    ag_vjp(1, &rows, &spread, 1, &x, &dx, 0);
    ag_grad(ag_sum(ag_mul(dx, x)), 1, &spread, &dg);
    expect_alike(dg, rows);
    /* Cotangents that the scan has embedded are looked through: every second element of windows, and one beside none. */
    for (int k = 0; k < 2; k++) {
        ag_tensor *some = ag_slice(rows, 1, 0, AG_END, k ? INT64_MAX : 2);
        ag_grad(ag_sum(some), 1, &x, &dx);
        expect_alike(
            dx, ag_from(tape, AG_F64, AG_SHAPE(6), k ? (double[]){1, 1, 1, 1, 0, 0} : (double[]){1, 1, 2, 2, 1, 1}));
    }
    ag_tensor *e = ag_exp(x), *ends[] = {e, e, ag_slice(e, 0, 0, 2, 1), ag_slice(e, 0, 3, 6, 1)};
    ag_tensor *of[4] = {ag_embed(ag_ones(tape, AG_F64, AG_SHAPE(2)), 0, 6, 1, 1),
                        ag_embed(ag_ones(tape, AG_F64, AG_SHAPE(3)), 0, 6, 3, 1), ag_ones(tape, AG_F64, AG_SHAPE(2)),
                        ag_ones(tape, AG_F64, AG_SHAPE(3))};
    ag_vjp(4, ends, of, 1, &x, &dx, 0);
    for (int i = 0; i < 4; i++) {
        ag_grad(ag_sum(dx), 1, &of[i], &dg);
        expect_alike(dg, ends[i]); /* dx = e·Σ of, at their places */
    }
}
END_TEST

/* Gradients taken while recording is off are right, of any order, and constant later. */
START_TEST(gradients_within_recording_off) {
    ag_tensor *p = parameter(3), *before = ag_square(p), *x = F64S(2), *dp, *dx, *ddx, *t;
    ag_tape_set_recording(tape, false);
    ag_tensor *frozen = ag_square(p);
    ag_tape_set_recording(tape, true);
    ag_tape_set_recording(tape, false);
    ck_assert(!ag_tape_set_recording(tape, false)); /* a second time changes nothing */
    ag_tensor *y = ag_sum(ag_mul(ag_mul(x, ag_square(x)), p));
    ag_grad(y, 1, &x, &dx); /* 3·x²·p */
    expect_list(dx, 36);
    ag_grad(ag_sum(dx), 1, &x, &ddx); /* 6·x·p */
    expect_list(ddx, 36);
    ag_grad(y, 1, &p, &dp);
    expect_item(dp, 8);
    expect_list(ag_hessian(y, x), 36);
    ag_jvp(1, &y, 1, &p, (ag_tensor *[]){ag_scalar(tape, AG_F64, 2)}, &t);
    expect_item(t, 16);
    ag_grad(ag_mul(frozen, p), 1, &p, &dp); /* former constants stay constant */
    expect_item(dp, 9);
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 2; i++) {
        ag_grad(ag_square(ag_exp(ag_scale(p, 0))), 1, &p, &dp);
        expect_item(dp, 0);
        ag_grad(ag_square(ag_mul(p, before)), 1, &p, &dp); /* 6·p⁵ */
        expect_item(dp, 1458);
        ag_tape_rewind(tape, mark);
    }
    ag_tape_set_recording(tape, true);
    expect_item(slope(ag_add(y, before), p), 6);
    expect_item(slope(ag_mul(ag_sum(dx), p), p), 36);
}
END_TEST

/* A rewind to before recording was switched off. */
START_TEST(recording_stays_off_over_a_rewind) {
    ag_tensor *p = parameter(3), *dp;
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 5; i++) ag_exp(p);
    ag_tape_set_recording(tape, false);
    ag_tape_rewind(tape, mark);
    ag_tensor *y = ag_square(p);
    ag_grad(y, 1, &p, &dp);
    expect_item(dp, 6);
    ag_tape_set_recording(tape, true);
    expect_item(slope(ag_add(y, p), p), 1);
}
END_TEST

/* ---- Parameters ---- */

START_TEST(backward_adds_up_until_it_is_told_to_forget) {
    ag_tensor *p = parameter(3), *q = parameter(4), *unused = parameter(5);
    ag_tensor *state = ag_variable(tape, AG_F64, AG_SCALAR, (double[]){7});
    ag_tensor *loss = ag_mul(ag_mul(p, q), state);
    ck_assert_int_eq(ag_backward(loss), AG_OK);
    expect_item(ag_gradient(p), 28);
    expect_item(ag_gradient(q), 21);
    expect_item(ag_gradient(unused), 0);
    ag_backward(ag_square(p));
    expect_item(ag_gradient(p), 34);
    expect_item(ag_gradient(q), 21);
    ag_zero_gradients(tape);
    expect_item(ag_gradient(p), 0);
    ag_backward(loss);
    expect_item(ag_gradient(p), 28);
    ck_assert(!ag_requires_grad(state));
}
END_TEST

START_TEST(a_rewind_takes_back_what_backward_found) {
    ag_mark mark[4];
    ag_tensor *p = parameter(3), *q = parameter(4), *loss = ag_add(ag_square(p), ag_scale(p, 0));
    mark[1] = ag_tape_mark(tape);
    ag_backward(loss); /* p's gradient is a sum itself */
    mark[2] = ag_tape_mark(tape);
    ag_backward(ag_scale(p, 10));
    ag_backward(ag_mul(p, q));
    mark[3] = ag_tape_mark(tape);
    ag_backward(ag_scale(ag_mul(p, q), 100));
    const double wanted[4][2] = {{0, 0}, {0, 0}, {6, 0}, {20, 3}};
    for (int i = 3; i > 0; i--) {
        for (int k = 0; k < 2; k++) { /* and what is found then is added to that */
            ck_assert_int_eq(ag_tape_rewind(tape, mark[i]), AG_OK);
            expect_item(ag_gradient(p), wanted[i][0]);
            expect_item(ag_gradient(q), wanted[i][1]);
            ag_backward(ag_mul(p, q));
            expect_item(ag_gradient(p), wanted[i][0] + 4);
            expect_item(ag_gradient(q), wanted[i][1] + 3);
        }
    }
    mark[2] = ag_tape_mark(tape);
    ag_backward(ag_mul(p, q));
    ag_zero_gradients(tape); /* which is not taken back */
    ag_tape_rewind(tape, mark[2]);
    expect_item(ag_gradient(p), 0);
    ag_backward(ag_scale(p, 10));
    expect_item(ag_gradient(p), 10);
}
END_TEST

START_TEST(backward_trains) {
    ag_tensor *p = parameter(10);
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 60; i++) {
        ag_backward(ag_square(ag_add_scalar(p, -3)));
        ag_assign(p, ag_sub(p, ag_scale(ag_gradient(p), 0.25)));
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    expect_near(p, 1, &(double){3}, 4, 0);
}
END_TEST

START_TEST(gradients_by_a_parameter_see_every_version) {
    ag_tensor *p = parameter(2), *first = ag_square(p);
    ag_assign(p, number(10));
    ag_tensor *second = ag_square(p);
    expect_item(slope(second, p), 20);
    expect_item(slope(first, p), 4);
    expect_item(slope(ag_add(first, second), p), 24);
    ag_tensor *third = ag_scale(p, 3);
    ag_assign(p, third); /* an assignment has no gradient: it is not part of a function */
    expect_item(slope(ag_square(p), p), 60);
    expect_item(p, 30);
}
END_TEST

/* ---- Higher orders ---- */

START_TEST(fifth_power_thrice) {
    ag_tensor *x = F64S(-2, 0, 0.5, 3), *y = ag_pow_scalar(x, 5);
    double want[4];
    for (int order = 1; order <= 3; order++) {
        y = slope(y, x);
        for (int i = 0; i < 4; i++) {
            double v = (double[]){-2, 0, 0.5, 3}[i];
            want[i] = order == 1 ? 5 * pow(v, 4) : order == 2 ? 20 * pow(v, 3) : 60 * v * v;
        }
        expect_near(y, 4, want, 8, 1);
    }
}
END_TEST

START_TEST(sine_six_times) {
    ag_tensor *x = F64S(0.3, 1.7), *y = ag_sin(x);
    for (int order = 1; order <= 6; order++) {
        double want[2];
        for (int i = 0; i < 2; i++) {
            double v = (double[]){0.3, 1.7}[i];
            want[i] = (order % 4 < 2 ? 1 : -1) * (order % 2 ? cos(v) : sin(v));
        }
        y = slope(y, x);
        expect_near(y, 2, want, 8, 1);
    }
}
END_TEST

START_TEST(third_derivatives_of_products) { /* x²·e^(xy), by x, x and y */
    ag_tensor *x = number(0.7), *y = number(-0.4), *f = ag_mul(ag_square(x), ag_exp(ag_mul(x, y)));
    double a = 0.7, b = -0.4, e = exp(a * b);
    ag_tensor *xx = slope(slope(f, x), x);
    expect_near(xx, 1, &(double){e * (2 + 4 * a * b + a * a * b * b)}, 16, 1);
    expect_near(slope(xx, y), 1, &(double){e * (6 * a + 6 * a * a * b + a * a * a * b * b)}, 16, 1);
}
END_TEST

/* f(x) = Σ x_i⁴/12 + (Σ x_i)²/2 has the Hessian diag(x²) + 1. */
START_TEST(hessian_of_a_small_function) {
    enum { N = 4 };
    double values[N] = {1, -2, 0.5, 3};
    ag_tensor *x = f64s(N, values), *sum = ag_sum(x);
    ag_tensor *f = ag_add(ag_scale(ag_sum(ag_square(ag_square(x))), 1.0 / 12), ag_scale(ag_square(sum), 0.5)), *g;
    ag_grad(f, 1, &x, &g);
    for (int i = 0; i < N; i++) {
        ag_tensor *gi = ag_slice(g, 0, i, i + 1, 1), *row;
        ck_assert_int_eq(ag_grad(gi, 1, &x, &row), AG_OK);
        double want[N];
        for (int j = 0; j < N; j++) want[j] = 1 + (i == j ? values[i] * values[i] : 0);
        expect_near(row, N, want, 8, 1);
    }
    ag_tensor *v = F64S(1, 2, 3, 4), *hv; /* all rows at once, times v: a Hessian-vector product */
    ag_vjp(1, &g, &v, 1, &x, &hv, 0);
    expect_near(hv, N, ((double[]){11, 18, 10.75, 46}), 8, 1);
}
END_TEST

START_TEST(softmax_regression_hessian_is_symmetric) {
    ag_tensor *w = scattered(tape, AG_F64, AG_SHAPE(6), 0), *data = scattered(tape, AG_F64, AG_SHAPE(5, 2), 50), *g;
    ag_tensor *logits = ag_matmul(data, ag_reshape(w, AG_SHAPE(2, 3)));
    ag_tensor *loss = ag_neg(ag_mean(ag_slice(ag_log_softmax(logits, 1), 1, 1, 2, 1)));
    double h[6][6];
    ag_grad(loss, 1, &w, &g);
    for (int i = 0; i < 6; i++) {
        ag_tensor *row = slope(ag_slice(g, 0, i, i + 1, 1), w);
        for (int j = 0; j < 6; j++) h[i][j] = ag_element(row, j);
    }
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) ck_assert_double_eq_tol(h[i][j], h[j][i], 1e-14);
    ck_assert_double_gt(h[0][0], 0);
}
END_TEST

/* ---- Depth and cost ---- */

START_TEST(deep_chains_need_no_stack) {
    int64_t n = small_run() || under_asan() ? 50000 : 1000000;
    ag_tensor *x = parameter(0), *y = x, *dx;
    for (int64_t i = 0; i < n; i++) y = ag_add_scalar(ag_scale(y, 1), 1);
    ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_OK);
    expect_item(y, (double)n);
    expect_item(dx, 1);
}
END_TEST

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

/* The bench row joined_50k shows that each takes no longer than a few do. */
START_TEST(many_inputs_are_joined) {
    enum { THIRD = 20000, MANY = 3 * THIRD };
    const double one = 1;
    ag_tensor **x = malloc(MANY * sizeof *x), *p = ag_parameter(tape, AG_F64, AG_SHAPE(1), &one), *dp;
    ck_assert_ptr_nonnull(x);
    for (int i = 0; i < MANY; i++) x[i] = ag_scale(p, i % 3);
    ag_tensor *y = ag_concat(MANY, x, 0);
    ag_grad(ag_sum(ag_mul(y, ag_arange(tape, AG_F64, MANY))), 1, &p, &dp);
    ck_assert_double_eq(ag_item(dp), 9 * (THIRD * (THIRD - 1.0) / 2) + 5 * THIRD);
    free(x);
}
END_TEST

/* Asked for by themselves, in any order, of two nodes in turn, and of another one in the place of the first. */
START_TEST(joined_inputs_are_found_in_any_order) {
    for (int turn = 0; turn < 2; turn++) {
        const ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x[3], *y[2];
        for (int i = 0; i < 3; i++) x[i] = ag_ones(tape, AG_F64, AG_SHAPE(turn ? 4 - i : i + 1));
        y[0] = ag_concat(3, x, 0), y[1] = ag_concat(2, x + 1, 0);
        static const int asked[][2] = {{0, 2}, {0, 1}, {1, 1}, {0, 2}, {1, 0}, {1, 1}, {0, 0}, {0, 2}, {0, 2}};
        for (size_t k = 0; k < sizeof asked / sizeof *asked; k++) {
            ag_tensor *t = y[asked[k][0]], *g = ag_arange(tape, AG_F64, ag_size(t)), *dx;
            int64_t before = 0;
            for (int i = 0; i < asked[k][1]; i++) before += ag_size(ag_input(t, i));
            dx = ag_op_of(t)->vjp(t, g, asked[k][1]);
            ck_assert_int_eq(ag_size(dx), ag_size(ag_input(t, asked[k][1])));
            ck_assert_double_eq(ag_element(dx, 0), (double)before);
        }
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* Only some are asked for, of joined tensors that have the same place on the tape one after the other. */
START_TEST(joined_inputs_are_found_after_a_rewind) {
    static const int64_t extent[3][4] = {{1, 2, 3, 4}, {4, 1, 0, 2}, {0, 5, 1, 1}};
    const ag_mark mark = ag_tape_mark(tape);
    for (int turn = 0; turn < 12; turn++) {
        const int64_t *m = extent[turn % 3];
        ag_tensor *x[4], *dx;
        for (int i = 0; i < 4; i++) x[i] = ag_ones(tape, AG_F64, AG_SHAPE(m[i]));
        const int wanted = turn % 4;
        int64_t before = 0;
        for (int i = 0; i < wanted; i++) before += m[i];
        ag_tensor *y = ag_concat(4, x, 0);
        ag_grad(ag_sum(ag_mul(y, ag_arange(tape, AG_F64, ag_size(y)))), 1, &x[wanted], &dx);
        const double *values = ag_data(dx);
        for (int64_t i = 0; i < m[wanted]; i++) ck_assert_double_eq(values[i], (double)(before + i));
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

START_TEST(a_loss_that_was_read_is_not_computed_again) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(3), (double[]){1, 2, 3}), *dp;
    ag_tensor *h = counted(ag_exp(p)), *loss = ag_sum(ag_square(counted(ag_tanh(counted(h)))));
    computed = 0;
    ag_item(loss);
    ck_assert_int_eq(computed, 9);
    ag_grad(loss, 1, &p, &dp);
    ag_eval(dp);
    ck_assert_int_eq(computed, 9);
    ag_backward(loss);
    ag_eval(ag_gradient(p));
    ck_assert_int_le(computed, 18); /* the first backward pass may release values */
}
END_TEST

START_TEST(what_nobody_asks_for_is_not_recorded) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(4, 3), 0),
              *w = ag_parameter_from(scattered(tape, AG_F64, AG_SHAPE(3, 2), 9)), *dw;
    ag_tensor *loss = ag_sum(ag_matmul(x, w));
    int64_t before = ag_tape_memory(tape).nodes;
    ag_grad(loss, 1, &w, &dw);
    for (int64_t i = 0; i < 1; i++) expect_shape(dw, AG_SHAPE(3, 2));
    ck_assert_int_le(ag_tape_memory(tape).nodes - before, 4); /* ones, broadcast, transpose, product: nothing for x */
}
END_TEST

/* ---- A user's operations ---- */

/* cube(a, b) = a³·b, elementwise with broadcasting */
static void cube_block(int64_t n, void *y_, const void *const x[], const void *attributes) {
    const double *a = x[0], *b = x[1];
    double *y = y_;
    (void)attributes;
    for (int64_t i = 0; i < n; i++) y[i] = a[i] * a[i] * a[i] * b[i];
}

static ag_tensor *cube_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = ag_input(y, 0), *b = ag_input(y, 1);
    return i == 0 ? ag_mul(g, ag_scale(ag_mul(ag_square(a), b), 3)) : ag_mul(g, ag_mul(a, ag_square(a)));
}

static const ag_op op_cube = {
    .name = "cube", .kind = AG_KIND_ELEMENTWISE, .arity = 2, .block = {[AG_F64] = cube_block}, .vjp = cube_vjp};

static ag_tensor *cube(ag_tensor *a, ag_tensor *b) { return ag_apply(&op_cube, 2, (ag_tensor *[]){a, b}, NULL, 0); }

/* dot(a, b) = Σ a·b over all elements; opaque */
static bool dot_infer(ag_infer *r) {
    if (ag_size(r->x[0]) != ag_size(r->x[1]))
        return ag_reject(r, AG_ERR_SHAPE, "%lld and %lld elements", (long long)ag_size(r->x[0]),
                         (long long)ag_size(r->x[1]));
    r->shape = AG_SCALAR;
    return true;
}

static bool dot_eval(const ag_call *call) {
    const double *a = call->x[0].data, *b = call->x[1].data;
    double *scratch = ag_call_scratch(call, (size_t)call->x[0].size * sizeof *scratch), sum = 0;
    if (!scratch) return false;
    for (int64_t i = 0; i < call->x[0].size; i++) scratch[i] = a[i] * b[i];
    for (int64_t i = 0; i < call->x[0].size; i++) sum += scratch[i];
    *(double *)call->y.data = sum;
    return true;
}

static ag_tensor *dot_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_mul(ag_broadcast_to(g, ag_shape_of(ag_input(y, i))), ag_input(y, 1 - i));
}

static const ag_op op_dot = {.name = "dot",
                             .kind = AG_KIND_CONTRACTION,
                             .arity = 2,
                             .flags = AG_OP_CONTIGUOUS,
                             .infer = dot_infer,
                             .eval = dot_eval,
                             .vjp = dot_vjp};

static ag_tensor *dot(ag_tensor *a, ag_tensor *b) { return ag_apply(&op_dot, 2, (ag_tensor *[]){a, b}, NULL, 0); }

/* diagonal(x) of a matrix: a view; its gradient is x̄ = ȳ on a matrix of zeros */
static bool diagonal_infer(ag_infer *r) {
    int64_t n = r->shape.extent[0];
    if (r->shape.rank != 2 || r->shape.extent[1] != n) return ag_reject(r, AG_ERR_SHAPE, "a square matrix is needed");
    r->shape = AG_SHAPE(n);
    r->stride[0] = n + 1; /* for a contiguous input */
    r->offset = 0;
    return true;
}

static ag_tensor *diagonal_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)i;
    int64_t n = ag_size(y);
    ag_tensor *rows = ag_arange(ag_tape_of(y), AG_I64, n), *same = ag_equal(ag_reshape(rows, AG_SHAPE(n, 1)), rows);
    return ag_where(same, ag_broadcast_to(g, AG_SHAPE(n, n)), ag_zeros(ag_tape_of(y), AG_F64, AG_SCALAR));
}

static const ag_op op_diagonal = {
    .name = "diagonal", .kind = AG_KIND_VIEW, .arity = 1, .infer = diagonal_infer, .vjp = diagonal_vjp};

static ag_tensor *diagonal(ag_tensor *x) {
    x = ag_contiguous(x);
    return ag_apply(&op_diagonal, 1, &x, NULL, 0);
}

/* sumsq(x) = Σ x², as square and then a fold that is a sum; the reduction alone is `total` */
static void total_fold(int64_t n, void *y, const void *x_) {
    const double *x = x_;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    *(double *)y = sum;
}

static void total_combine(int64_t n, void *y_, const void *x_) {
    const double *x = x_;
    double *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

static const ag_reduction total_reduction = {
    .identity = 0, .fold = {[AG_F64] = total_fold}, .combine = {[AG_F64] = total_combine}};

static ag_tensor *total_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_broadcast_to(g, ag_shape_of(ag_input(y, i)));
}

static const ag_op op_total = {
    .name = "total", .kind = AG_KIND_REDUCTION, .arity = 1, .reduction = &total_reduction, .vjp = total_vjp};

/* over the first axis, which is kept */
static ag_tensor *total(ag_tensor *x) {
    ag_axes_set set;
    memset(&set, 0, sizeof set);
    set.mask = 1;
    set.keepdims = true;
    return ag_apply(&op_total, 1, &x, &set, sizeof set);
}

/* noise: a source */
static bool noise_eval(const ag_call *call) {
    for (int64_t i = 0; i < call->y.size; i++)
        ((double *)call->y.data)[i] = *(const double *)call->attributes * (double)i;
    return true;
}

static const ag_op op_noise = {.name = "noise", .kind = AG_KIND_SOURCE, .eval = noise_eval};

static ag_tensor *own_operations(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *a = cube(x[0], x[1]), *d = diagonal(ag_matmul(a, ag_transpose(a, 0, 1)));
    return ag_mul(total(ag_tanh(ag_scale(a, 0.1))), ag_add(dot(ag_transpose(a, 0, 1), a), ag_sum(ag_sin(d))));
}

START_TEST(own_operations_are_like_the_others) {
    ag_tensor *a = ag_reshape(F64S(1, 2, 3, 4), AG_SHAPE(2, 2)), *b = F64S(10, 100);
    ag_tensor *y = cube(a, b);
    expect_list(y, 10, 800, 270, 6400);
    ck_assert_ptr_eq(ag_op_of(y), &op_cube);
    expect_list(slope(y, b), 28, 72);
    expect_list(slope(y, a), 30, 1200, 270, 4800);
    expect_item(dot(a, ag_transpose(a, 0, 1)), 29);
    expect_list(diagonal(a), 1, 4);
    expect_list(slope(ag_square(diagonal(a)), a), 2, 0, 0, 8);
    expect_list(total(a), 4, 6);
    expect_list(slope(ag_square(total(a)), a), 8, 12, 8, 12);
    ag_tensor *noise = ag_apply_source(&op_noise, tape, AG_F64, AG_SHAPE(3), &(double){2.5}, sizeof(double));
    expect_list(noise, 0, 2.5, 5);
    ck_assert(ag_is_nil(dot(a, b)));
    expect_error(tape, AG_ERR_SHAPE, "dot", "(2,2)", "(2)", "4 and 2 elements");
    ck_assert(ag_is_nil(diagonal(b)));
    expect_error(tape, AG_ERR_SHAPE, "diagonal", "square");
    ck_assert(ag_is_nil(cube(ag_cast(a, AG_F32), ag_cast(b, AG_F32))));
    expect_error(tape, AG_ERR_DTYPE, "cube", "f32");
}
END_TEST

START_TEST(own_operations_are_differentiated_twice) {
    ag_tensor *x[] = {ag_scale(ag_reshape(F64S(1, 2, 3, 4), AG_SHAPE(2, 2)), 0.25), F64S(0.5, -1.5)};
    for (int order = 1; order <= 2; order++) {
        ag_gradcheck_options options = {.order = order, .kinks_fail = true};
        ag_gradcheck_report report;
        ck_assert_msg(ag_gradcheck(own_operations, NULL, 2, x, &options, &report) == AG_OK, "%s", report.message);
        ck_assert_int_ge(report.checked, 6);
    }
    expect_ok(tape);
}
END_TEST

static ag_tensor *wrong_shape_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_sum(g); }
static ag_tape *elsewhere;
static ag_tensor *elsewhere_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)g, (void)i, ag_zeros(elsewhere, ag_dtype_of(y), ag_shape_of(y));
}
static ag_tensor *wrong_dtype_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_cast(g, AG_F32); }
static ag_tensor *nil_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_reshape(g, AG_SHAPE(77)); }

static ag_tensor *hiding_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)y, (void)i, ag_reshape(g, AG_SHAPE(78)), NULL;
}

static const ag_op op_hiding = {
    .name = "hides", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = counted_block}, .vjp = hiding_vjp};
static const ag_op op_wrong_shape = {.name = "wrong_shape",
                                     .kind = AG_KIND_ELEMENTWISE,
                                     .arity = 1,
                                     .block = {[AG_F64] = counted_block},
                                     .vjp = wrong_shape_vjp},
                   op_wrong_dtype = {.name = "wrong_dtype",
                                     .kind = AG_KIND_ELEMENTWISE,
                                     .arity = 1,
                                     .block = {[AG_F64] = counted_block},
                                     .vjp = wrong_dtype_vjp},
                   op_elsewhere = {.name = "elsewhere",
                                   .kind = AG_KIND_ELEMENTWISE,
                                   .arity = 1,
                                   .block = {[AG_F64] = counted_block},
                                   .vjp = elsewhere_vjp},
                   op_nil = {.name = "gives_nil",
                             .kind = AG_KIND_ELEMENTWISE,
                             .arity = 1,
                             .block = {[AG_F64] = counted_block},
                             .vjp = nil_vjp};

START_TEST(a_wrong_vjp_is_named) {
    ag_tensor *x = F64S(1, 2, 3), *dx;
    const ag_op *wrong[] = {&op_wrong_shape, &op_wrong_dtype};
    for (int i = 0; i < 2; i++) {
        ag_tensor *y = ag_sum(ag_apply(wrong[i], 1, &x, NULL, 0));
        int64_t nodes = ag_tape_memory(tape).nodes;
        ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_ERR_GRADIENT);
        ck_assert(ag_is_nil(dx));
        expect_error(tape, AG_ERR_GRADIENT, wrong[i]->name, "(3)", i ? "f32" : "()", "test_grad.c:");
        ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    }
    elsewhere = ag_tape_new();
    ag_tensor *y = ag_sum(ag_apply(&op_elsewhere, 1, &x, NULL, 0));
    ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "elsewhere: x (3): the vjp for input 0 returned another tape's tensor");
    ag_tape_free(elsewhere);
    y = ag_sum(ag_apply(&op_nil, 1, &x, NULL, 0));
    ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_ERR_SHAPE); /* the first error is the vjp's own */
    expect_error(tape, AG_ERR_SHAPE, "reshape", "77");
    y = ag_sum(ag_apply(&op_hiding, 1, &x, NULL, 0));
    ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_ERR_SHAPE);
    ck_assert(ag_is_nil(dx));
    expect_error(tape, AG_ERR_SHAPE, "reshape", "78");
    expect_list(slope(ag_square(x), x), 2, 4, 6);
}
END_TEST

/* y = x³, whose vjp asks the engine: a gradient within a gradient. */
static void third_power_block(int64_t n, void *y_, const void *const x[], const void *attributes) {
    const double *a = x[0];
    double *y = y_;
    (void)attributes;
    for (int64_t i = 0; i < n; i++) y[i] = a[i] * a[i] * a[i];
}

static ag_tensor *third_power_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, i), *again = ag_mul(ag_square(x), x), *dx;
    ag_vjp(1, &again, &g, 1, &x, &dx, 0);
    return dx;
}

static const ag_op op_third_power = {.name = "third_power",
                                     .kind = AG_KIND_ELEMENTWISE,
                                     .arity = 1,
                                     .block = {[AG_F64] = third_power_block},
                                     .vjp = third_power_vjp};

START_TEST(a_vjp_may_differentiate) {
    ag_tensor *x = F64S(1, -2, 3), *inner = ag_scale(x, 2), *y = ag_apply(&op_third_power, 1, &inner, NULL, 0);
    ag_tensor *z = ag_add(ag_mul(y, x), ag_exp(ag_scale(inner, 0))); /* 8x⁴ + 1 */
    expect_list(slope(z, x), 32, -256, 864);
    expect_list(slope(slope(z, x), x), 96, 384, 864);
    expect_list(slope(slope(slope(z, x), x), x), 192, -384, 576);
}
END_TEST

static ag_tensor *second_input_only(ag_tensor *y, ag_tensor *g, int i) {
    return i == 0 ? NULL : ag_mul(g, ag_input(y, 0));
}

static const ag_op op_half = {.name = "half",
                              .kind = AG_KIND_ELEMENTWISE,
                              .arity = 2,
                              .block = {[AG_F64] = cube_block},
                              .vjp = second_input_only};

START_TEST(a_vjp_may_contribute_nothing) {
    ag_tensor *x = F64S(1, 2), *b = F64S(3, 4), *by[] = {x, b}, *dx[2], *y = ag_sum(ag_apply(&op_half, 2, by, NULL, 0));
    ck_assert_int_eq(ag_grad(y, 2, by, dx), AG_OK);
    expect_list(dx[0], 0, 0);
    expect_list(dx[1], 1, 2);
}
END_TEST

/* ---- */

int main(void) {
    Suite *suite = suite_create("grad");
    TCase *meaning = tape_group(suite, "meaning");
    tcase_add_test(meaning, gradients_are_tensors);
    tcase_add_test(meaning, what_does_not_depend_has_zeros);
    tcase_add_test(meaning, any_tensor_may_be_the_input);
    tcase_add_test(meaning, a_variable_may_be_the_output);
    tcase_add_test(meaning, several_outputs_with_cotangents);
    tcase_add_test(meaning, views_of_cotangents_will_do);
    tcase_add_test(meaning, paths_add_up);
    tcase_add_test(meaning, shared_inputs_and_concat);
    tcase_add_test(meaning, gradients_may_replace_their_inputs);
    tcase_add_test(meaning, stopped_gradients);
    tcase_add_test(meaning, recording_off_is_constant);
    tcase_add_test(meaning, jvp_of_what_is_multiplied_by_its_sum);
    tcase_add_test(meaning, gradients_by_cotangents_that_are_held);
    tcase_add_test(meaning, gradients_by_a_sum_that_is_held);
    tcase_add_test(meaning, gradients_by_broadcasts_that_are_read);
    tcase_add_test(meaning, gradients_by_other_results_of_a_call);
    tcase_add_test(meaning, gradients_within_recording_off);
    tcase_add_loop_test(meaning, unchanged_while_recording_is_off, 0, UNCHANGED);
    tcase_add_test(meaning, cotangents_while_recording_is_off);
    tcase_add_test(meaning, recording_stays_off_over_a_rewind);
    TCase *parameters = tape_group(suite, "parameters");
    tcase_add_test(parameters, backward_adds_up_until_it_is_told_to_forget);
    tcase_add_test(parameters, a_rewind_takes_back_what_backward_found);
    tcase_add_test(parameters, backward_trains);
    tcase_add_test(parameters, gradients_by_a_parameter_see_every_version);
    TCase *orders = tape_group(suite, "orders");
    tcase_add_test(orders, fifth_power_thrice);
    tcase_add_test(orders, sine_six_times);
    tcase_add_test(orders, third_derivatives_of_products);
    tcase_add_test(orders, hessian_of_a_small_function);
    tcase_add_test(orders, softmax_regression_hessian_is_symmetric);
    TCase *cost = tape_group(suite, "cost");
    tcase_add_test(cost, deep_chains_need_no_stack);
    tcase_add_test(cost, many_inputs_are_joined);
    tcase_add_test(cost, joined_inputs_are_found_in_any_order);
    tcase_add_test(cost, joined_inputs_are_found_after_a_rewind);
    tcase_add_test(cost, a_loss_that_was_read_is_not_computed_again);
    tcase_add_test(cost, what_nobody_asks_for_is_not_recorded);
    TCase *own = tape_group(suite, "own operations");
    tcase_add_test(own, own_operations_are_like_the_others);
    tcase_add_test(own, own_operations_are_differentiated_twice);
    tcase_add_test(own, a_wrong_vjp_is_named);
    tcase_add_test(own, a_vjp_may_differentiate);
    tcase_add_test(own, a_vjp_may_contribute_nothing);
    return run_suite(suite);
}
