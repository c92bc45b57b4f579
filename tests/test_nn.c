/* test_nn -- layers, losses and optimisers: against closed forms, against PyTorch, and refused calls
 *
 * N samples, C features or classes; g is a cotangent. Closed forms are written out in plain loops. */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/nn.h"
#include "tests/support.h"

/* 1e-10 relative, in units of the last place of f64; and the rounding error of a few dozen numbers. */
static const double CLOSED_FORM = 1e-10 * 0x1p52, ROUNDING = 64;

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))
#define expect_golden(x, values) expect_near(x, COUNT(values), values, ROUNDING, 1)

static ag_tensor *f64(ag_shape shape, const double values[]) { return ag_from(tape, AG_F64, shape, values); }
static ag_tensor *i64(int64_t n, const int64_t values[]) { return ag_from(tape, AG_I64, AG_SHAPE(n), values); }

/* ---- Linear ---- */

START_TEST(test_linear_is_a_product_and_a_sum) {
    ag_linear layer = {f64(AG_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6}), f64(AG_SHAPE(3), (double[]){10, 20, 30})};
    ag_tensor *x = f64(AG_SHAPE(2, 2), (double[]){1, 0, 2, -1});
    expect_list(ag_linear_apply(&layer, x), 11, 22, 33, 8, 19, 30);
    ag_tensor *many = f64(AG_SHAPE(2, 1, 2), (double[]){1, 0, 2, -1});
    expect_shape(ag_linear_apply(&layer, many), AG_SHAPE(2, 1, 3));
    expect_shape(ag_linear_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(0, 2))), AG_SHAPE(0, 3));
    expect_ok(tape);
}
END_TEST

START_TEST(test_linear_gradients_are_the_affine_layers) {
    double in[6], w[12], out[8];
    for (int i = 0; i < 12; i++) w[i] = scatter((uint64_t)i);
    for (int i = 0; i < 6; i++) in[i] = scatter((uint64_t)i + 20);
    for (int i = 0; i < 8; i++) out[i] = scatter((uint64_t)i + 40);
    double dx[6] = {0}, dw[12] = {0}, db[4] = {0};
    for (int n = 0; n < 2; n++)
        for (int j = 0; j < 4; j++) {
            db[j] += out[n * 4 + j];
            for (int k = 0; k < 3; k++) dx[n * 3 + k] += out[n * 4 + j] * w[k * 4 + j];
            for (int k = 0; k < 3; k++) dw[k * 4 + j] += in[n * 3 + k] * out[n * 4 + j];
        }
    ag_linear layer = {ag_parameter(tape, AG_F64, AG_SHAPE(3, 4), w), ag_zeros(tape, AG_F64, AG_SHAPE(4))};
    ag_tensor *x = f64(AG_SHAPE(2, 3, 1), in), *g = f64(AG_SHAPE(2, 4), out);
    ag_tensor *y = ag_linear_apply(&layer, ag_reshape(x, AG_SHAPE(2, -1)));
    ag_tensor *of[] = {x, layer.weight, layer.bias}, *d[3];
    ag_vjp(1, &y, &g, 3, of, d, 0);
    expect_shape(d[0], AG_SHAPE(2, 3, 1));
    expect_near(d[0], 6, dx, CLOSED_FORM, 0.1);
    expect_near(d[1], 12, dw, CLOSED_FORM, 0.1);
    expect_near(d[2], 4, db, CLOSED_FORM, 0.1);
}
END_TEST

START_TEST(test_linear_begins_within_its_bound) {
    ag_linear layer, again;
    ag_tape_seed(tape, 5);
    ck_assert_int_eq(ag_linear_init(&layer, tape, AG_F32, 50, 40), AG_OK);
    ag_tape_seed(tape, 5);
    ck_assert_int_eq(ag_linear_init(&again, tape, AG_F32, 50, 40), AG_OK);
    expect_same(layer.weight, again.weight);
    expect_shape(layer.weight, AG_SHAPE(50, 40));
    expect_shape(layer.bias, AG_SHAPE(40));
    double bound = sqrt(6.0 / 50), most = ag_item(ag_max(ag_abs(layer.weight)));
    ck_assert_double_le(most, bound);
    ck_assert_double_gt(most, 0.99 * bound);
    ck_assert_double_eq_tol(ag_item(ag_var(layer.weight, 0)), 2.0 / 50, 0.1 * 2 / 50);
    ck_assert_double_eq(ag_item(ag_sum(ag_abs(layer.bias))), 0);
    ck_assert(ag_requires_grad(layer.weight) && ag_requires_grad(layer.bias));
}
END_TEST

START_TEST(test_linear_refuses) {
    ag_linear layer;
    ck_assert_int_eq(ag_linear_init(&layer, tape, AG_F64, 0, 3), AG_ERR_RANGE);
    ck_assert(ag_is_nil(layer.weight) && layer.weight && layer.bias);
    expect_error(tape, AG_ERR_RANGE, "linear_init", "0 inputs and 3 outputs", "test_nn.c:");
    ck_assert_int_eq(ag_linear_init(&layer, tape, AG_F64, 2, -1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "-1 outputs");
    ck_assert_int_eq(ag_linear_init(&layer, tape, AG_F64, INT64_MAX, 2), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "test_nn.c:");
    ck_assert_int_eq(ag_linear_init(&layer, tape, AG_I64, 2, 2), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "");
    ck_assert_int_eq(ag_linear_init(NULL, tape, AG_F64, 2, 2), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    ck_assert_int_eq(ag_linear_init(&layer, NULL, AG_F64, 2, 2), AG_ERR_NULL);
    ag_clear_error(NULL);
    ck_assert_int_eq(ag_linear_init(&layer, tape, AG_F64, 2, 3), AG_OK);
    ck_assert(ag_is_nil(ag_linear_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(4, 5)))));
    expect_error(tape, AG_ERR_SHAPE, "matmul", "(4,5)", "weight (2,3)", "test_nn.c:");
    ag_linear_apply(&layer, NULL);
    expect_error(tape, AG_ERR_NULL, "");
    ag_linear_apply(NULL, layer.weight);
    expect_error(tape, AG_ERR_NULL, "linear_apply", "the layer is NULL");
    ag_linear empty = {NULL, NULL};
    ag_linear_apply(&empty, layer.weight);
    expect_error(tape, AG_ERR_NULL, "NULL");
}
END_TEST

/* ---- Dropout ---- */

START_TEST(test_dropout_keeps_the_mean) {
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(200, 500));
    for (double p = 0.1; p < 0.95; p += 0.2) {
        ag_tensor *y = ag_dropout(x, p, true);
        double kept = ag_item(ag_mean(ag_cast(ag_not_equal(y, ag_scalar(tape, AG_F64, 0)), AG_F64)));
        double sigma = sqrt(p * (1 - p) / 1e5);
        ck_assert_double_eq_tol(kept, 1 - p, 5 * sigma);
        ck_assert_double_eq_tol(ag_item(ag_max(y)), 1 / (1 - p), 1e-12);
        ck_assert_double_eq(ag_item(ag_min(y)), 0);
    }
}
END_TEST

START_TEST(test_dropout_of_nothing_is_an_error) {
    for (int i = 0; i < 4; i++) {
        ag_tensor *y = ag_dropout(NULL, i & 1 ? 0.5 : 0, i & 2);
        ck_assert_ptr_nonnull(y);
        ck_assert(ag_is_nil(y));
        expect_error(NULL, AG_ERR_NULL, "dropout", "test_nn.c:");
    }
    double two = 2, three = 3; /* in evaluation, dropout of a variable is its present value */
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SCALAR, &two), *y = ag_dropout(v, 0.5, false);
    ag_set(v, &three);
    expect_item(y, 2);
}
END_TEST

START_TEST(test_dropout_repeats_with_the_seed_and_only_then) {
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(40, 30), 0);
    ag_tape_seed(tape, 7);
    ag_tensor *first = ag_dropout(x, 0.5, true), *second = ag_dropout(x, 0.5, true);
    ag_tape_seed(tape, 7);
    expect_same(first, ag_dropout(x, 0.5, true));
    ck_assert_double_gt(ag_item(ag_sum(ag_abs(ag_sub(first, second)))), 1);
    expect_same(x, ag_dropout(x, 0.5, false));
    ck_assert_ptr_eq(x, ag_dropout(x, 0, true));
}
END_TEST

START_TEST(test_dropout_gradient_goes_where_the_value_went) {
    ag_tensor *x = f64(AG_SHAPE(2, 3), (double[]){1, 2, NAN, 4, INFINITY, 6}), *dx;
    ag_tensor *y =
        ag_dropout(ag_where(ag_less(x, ag_scalar(tape, AG_F64, 100)), x, ag_scalar(tape, AG_F64, 3)), 0.5, true);
    ag_tensor *ones = ag_ones(tape, AG_F64, AG_SHAPE(2, 3));
    ag_tensor *in = scattered(tape, AG_F64, AG_SHAPE(20, 20), 3), *out = ag_dropout(in, 0.25, true);
    ag_grad(ag_sum(out), 1, &in, &dx);
    ck_assert_double_eq(ag_item(ag_max(ag_abs(ag_sub(ag_mul(dx, in), out)))), 0);
    ag_vjp(1, &y, &ones, 1, &x, &dx, 0);
    ck_assert(isfinite(ag_item(ag_sum(dx))));
    /* a dropped value has no influence */
    ag_tensor *poison = ag_full(tape, AG_F64, AG_SHAPE(1000), NAN);
    ag_tensor *dropped = ag_equal(ag_dropout(poison, 0.5, true), ag_scalar(tape, AG_F64, 0));
    ck_assert_double_eq_tol(ag_item(ag_mean(ag_cast(dropped, AG_F64))), 0.5, 0.1);
}
END_TEST

START_TEST(test_dropout_refuses) {
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(3, 4));
    const double bad[] = {1, -0.5, 2, NAN, INFINITY};
    for (int i = 0; i < 5; i++) {
        ck_assert(ag_is_nil(ag_dropout(x, bad[i], i % 2)));
        expect_error(tape, AG_ERR_RANGE, "dropout", "(3,4)", "test_nn.c:");
    }
    ag_dropout(ag_zeros(tape, AG_I64, AG_SHAPE(3)), 0.5, true);
    expect_error(tape, AG_ERR_DTYPE, "");
    ck_assert(ag_is_nil(ag_dropout(NULL, 0.5, true)));
}
END_TEST

/* ---- Batch normalisation against its closed forms ---- */

enum { MOST = 1024 };

/* Everything derived by hand, for given z, gamma, beta and g = dL/dy. */
typedef struct closed {
    int64_t n, c;
    double z[MOST], g[MOST], gamma[MOST], beta[MOST], epsilon;
    double mean[MOST], var[MOST], normalised[MOST], y[MOST];
    double dgamma[MOST], dbeta[MOST], dnormalised[MOST], dvar[MOST], dmean_direct[MOST], dmean_by_var[MOST];
    double dmean[MOST], dz[MOST], dz_short[MOST];
} closed;

static void close_forward(closed *f) {
    for (int64_t j = 0; j < f->c; j++) {
        f->mean[j] = f->var[j] = 0;
        for (int64_t i = j; i < f->n * f->c; i += f->c) f->mean[j] += f->z[i] / (double)f->n;
        for (int64_t i = j; i < f->n * f->c; i += f->c) f->var[j] += pow(f->z[i] - f->mean[j], 2) / (double)f->n;
        for (int64_t i = j; i < f->n * f->c; i += f->c) {
            f->normalised[i] = (f->z[i] - f->mean[j]) / sqrt(f->var[j] + f->epsilon);
            f->y[i] = f->gamma[j] * f->normalised[i] + f->beta[j];
        }
    }
}

static void close_backward(closed *f) {
    double n = (double)f->n;
    for (int64_t j = 0; j < f->c; j++) {
        double spread = f->var[j] + f->epsilon, deviations = 0;
        f->dgamma[j] = f->dbeta[j] = f->dvar[j] = f->dmean_direct[j] = 0;
        for (int64_t i = j; i < f->n * f->c; i += f->c) {
            f->dgamma[j] += f->g[i] * f->normalised[i];
            f->dbeta[j] += f->g[i];
            f->dnormalised[i] = f->g[i] * f->gamma[j];
            f->dvar[j] += -0.5 * f->dnormalised[i] * (f->z[i] - f->mean[j]) * pow(spread, -1.5);
            f->dmean_direct[j] -= f->dnormalised[i] * pow(spread, -0.5);
            deviations += f->z[i] - f->mean[j];
        }
        f->dmean_by_var[j] = f->dvar[j] * (-2 / n * deviations);
        f->dmean[j] = f->dmean_direct[j] + f->dmean_by_var[j];
        for (int64_t i = j; i < f->n * f->c; i += f->c) {
            f->dz[i] =
                f->dnormalised[i] * pow(spread, -0.5) + f->dvar[j] * 2 / n * (f->z[i] - f->mean[j]) + f->dmean[j] / n;
            f->dz_short[i] =
                f->gamma[j] / (n * sqrt(spread)) * (n * f->g[i] - f->dbeta[j] - f->normalised[i] * f->dgamma[j]);
        }
    }
}

static void fill_closed(closed *f, int64_t n, int64_t c, uint64_t seed) {
    f->n = n;
    f->c = c;
    f->epsilon = 1e-5;
    for (int64_t i = 0; i < n * c; i++) {
        f->z[i] = 3 * scatter(seed + (uint64_t)i) + (double)(i % c);
        f->g[i] = scatter(seed + 5000 + (uint64_t)i);
    }
    for (int64_t j = 0; j < c; j++) {
        f->gamma[j] = 1 + scatter(seed + 9000 + (uint64_t)j);
        f->beta[j] = scatter(seed + 9500 + (uint64_t)j);
    }
    close_forward(f);
    close_backward(f);
}

static ag_batchnorm layer_of(int64_t c, const double gamma[], const double beta[]) {
    ag_batchnorm layer;
    ck_assert_int_eq(ag_batchnorm_init(&layer, tape, AG_F64, c), AG_OK);
    ag_set(layer.gamma, gamma);
    ag_set(layer.beta, beta);
    return layer;
}

static void expect_closed_forms(const closed *f) {
    int64_t size = f->n * f->c;
    ag_batchnorm layer = layer_of(f->c, f->gamma, f->beta);
    ag_batchnorm_nodes at;
    ag_tensor *z = f64(AG_SHAPE(f->n, f->c), f->z), *g = f64(AG_SHAPE(f->n, f->c), f->g);
    ag_tensor *y = ag_batchnorm_apply_nodes(&layer, z, true, &at);
    ag_tensor *x[] = {layer.gamma, layer.beta, at.normalised, at.variance, at.mean, z}, *d[6], *by_variance;
    ag_vjp(1, &y, &g, 6, x, d, AG_STRICT);
    ag_vjp(1, &at.variance, &d[3], 1, &at.mean, &by_variance, AG_STRICT);
    expect_ok(tape);
    expect_near(y, size, f->y, CLOSED_FORM, 0.1);
    expect_near(at.mean, f->c, f->mean, CLOSED_FORM, 0.1);
    expect_near(at.variance, f->c, f->var, CLOSED_FORM, 0.1);
    expect_near(at.normalised, size, f->normalised, CLOSED_FORM, 0.1);
    expect_shape(d[0], AG_SHAPE(f->c));
    expect_near(d[0], f->c, f->dgamma, CLOSED_FORM, 0.1);
    expect_near(d[1], f->c, f->dbeta, CLOSED_FORM, 0.1);
    expect_near(d[2], size, f->dnormalised, CLOSED_FORM, 0.1);
    expect_near(d[3], f->c, f->dvar, CLOSED_FORM, 0.1);
    expect_near(d[4], f->c, f->dmean, CLOSED_FORM, 0.1);
    expect_near(d[5], size, f->dz, CLOSED_FORM, 0.1);
    expect_near(d[5], size, f->dz_short, CLOSED_FORM, 0.1);
    for (int64_t j = 0; j < f->c; j++) { /* the second path of the mean is 0, computed either way */
        double scale = 1 + fabs(f->dvar[j]);
        ck_assert_double_le(fabs(ag_element(by_variance, j)), 1e-13 * scale);
        ck_assert_double_le(fabs(f->dmean_by_var[j]), 1e-13 * scale);
        ck_assert_double_gt(fabs(f->dmean_direct[j]), 1e-6);
    }
}

START_TEST(test_batchnorm_gradients_are_the_closed_forms) {
    static const int64_t shape[][2] = {{2, 1}, {5, 3}, {8, 16}, {33, 7}, {100, 2}, {3, 40}, {64, 16}};
    static closed f;
    for (int i = 0; i < 7; i++) {
        fill_closed(&f, shape[i][0], shape[i][1], 31 * (uint64_t)i);
        expect_closed_forms(&f);
    }
}
END_TEST

START_TEST(test_batchnorm_mean_is_one_node_with_two_uses) {
    static closed f;
    fill_closed(&f, 6, 4, 1);
    ag_batchnorm layer = layer_of(f.c, f.gamma, f.beta);
    ag_batchnorm_nodes at;
    ag_tensor *z = f64(AG_SHAPE(6, 4), f.z), *g = f64(AG_SHAPE(6, 4), f.g);
    ag_tensor *y = ag_batchnorm_apply_nodes(&layer, z, true, &at), *d[3];
    /* With another value instead of the mean, the path through the variance does not vanish. */
    ag_tensor *elsewhere = ag_add_scalar(at.mean, 0.5), *centred = ag_sub(z, elsewhere);
    ag_tensor *variance = ag_mean_over(ag_square(centred), AG_AXES(0), true),
              *dv = ag_ones(tape, AG_F64, AG_SHAPE(1, 4));
    ag_vjp(1, &variance, &dv, 1, &elsewhere, d, AG_STRICT);
    for (int64_t j = 0; j < 4; j++) ck_assert_double_eq_tol(ag_element(d[0], j), 1, 1e-12); /* -2/N sum(z - M - ½) */
    ag_vjp(1, &y, &g, 1, &at.centred, d, AG_STRICT);
    ag_vjp(1, &at.centred, d, 1, &at.mean, d + 1, AG_STRICT);
    expect_near(d[1], 4, f.dmean, CLOSED_FORM, 0.1);
    ck_assert_str_eq(ag_label_of(at.mean), "mean");
    ck_assert_str_eq(ag_label_of(at.variance), "variance");
}
END_TEST

static ag_tensor *normalise(void *context, int n, ag_tensor *const x[]) {
    ag_batchnorm layer = *(ag_batchnorm *)context;
    ck_assert_int_eq(n, 3);
    layer.gamma = x[1];
    layer.beta = x[2];
    return ag_sum(ag_sin(ag_batchnorm_apply(&layer, x[0], true)));
}

START_TEST(test_batchnorm_passes_gradcheck_twice_over) {
    static closed f;
    fill_closed(&f, 5, 3, 77);
    ag_batchnorm layer = layer_of(f.c, f.gamma, f.beta);
    ag_tensor *x[] = {f64(AG_SHAPE(5, 3), f.z), layer.gamma, layer.beta};
    ag_gradcheck_report report;
    for (int order = 1; order <= 2; order++)
        ck_assert_msg(ag_gradcheck(normalise, &layer, 3, x, &(ag_gradcheck_options){.order = order}, &report) == AG_OK,
                      "%s", report.message);
    expect_list(layer.running_mean, 0, 0, 0);
}
END_TEST

/* ---- Batch normalisation against PyTorch ---- */

/* PyTorch keeps the running unbiased variance, and we the biased one. Both start from 1, of which `kept` remains
 * after the steps; the rest is in the ratio (N−1)/N. */
static void expect_running_var(ag_tensor *x, const double theirs[3], double kept) {
    double ours[3];
    for (int j = 0; j < 3; j++) ours[j] = kept + (theirs[j] - kept) * 6 / 7;
    expect_near(x, 3, ours, ROUNDING, 1);
}

static void expect_training_step(const ag_batchnorm *layer, const double z_[21], const double g_[21],
                                 const double y_[21], const double dz[21], const double dgamma[3],
                                 const double dbeta[3]) {
    ag_tensor *z = f64(AG_SHAPE(7, 3), z_), *g = f64(AG_SHAPE(7, 3), g_), *y = ag_batchnorm_apply(layer, z, true);
    ag_tensor *x[] = {z, layer->gamma, layer->beta}, *d[3];
    ag_vjp(1, &y, &g, 3, x, d, AG_STRICT);
    expect_near(y, 21, y_, ROUNDING, 1);
    expect_near(d[0], 21, dz, ROUNDING, 1);
    expect_near(d[1], 3, dgamma, ROUNDING, 1);
    expect_near(d[2], 3, dbeta, ROUNDING, 1);
}

START_TEST(test_batchnorm_agrees_with_pytorch) {
    ag_batchnorm layer = layer_of(3, bn_gamma, bn_beta);
    layer.momentum = 0.75;
    layer.epsilon = 1e-3;
    ag_mark mark = ag_tape_mark(tape);
    expect_training_step(&layer, bn_z1, bn_g1, bn_y1, bn_dz1, bn_dgamma1, bn_dbeta1);
    expect_golden(layer.running_mean, bn_running_mean1);
    expect_running_var(layer.running_var, bn_running_var1, 0.75);
    ag_tape_rewind(tape, mark);
    expect_training_step(&layer, bn_z2, bn_g2, bn_y2, bn_dz2, bn_dgamma2, bn_dbeta2);
    expect_golden(layer.running_mean, bn_running_mean2);
    expect_running_var(layer.running_var, bn_running_var2, 0.75 * 0.75);
    ag_tape_rewind(tape, mark);

    ag_set(layer.running_var, bn_running_var2);
    ag_tensor *z = f64(AG_SHAPE(7, 3), bn_z2), *g = f64(AG_SHAPE(7, 3), bn_g2),
              *y = ag_batchnorm_apply(&layer, z, false);
    ag_tensor *x[] = {z, layer.gamma, layer.beta}, *d[3];
    ag_vjp(1, &y, &g, 3, x, d, AG_STRICT);
    expect_golden(y, bn_eval_y);
    expect_golden(d[0], bn_eval_dz);
    expect_golden(d[1], bn_eval_dgamma);
    expect_golden(d[2], bn_eval_dbeta);
    expect_golden(layer.running_mean, bn_running_mean2);
    expect_golden(layer.running_var, bn_running_var2);
}
END_TEST

START_TEST(test_batchnorm_running_statistics_carry_no_gradient) {
    ag_batchnorm layer = layer_of(3, bn_gamma, bn_beta);
    ag_tensor *z = ag_parameter(tape, AG_F64, AG_SHAPE(7, 3), bn_z1), *dz;
    ag_batchnorm_apply(&layer, z, true);
    ag_tensor *y = ag_sum(ag_batchnorm_apply(&layer, f64(AG_SHAPE(7, 3), bn_z2), false));
    ck_assert(!ag_requires_grad(layer.running_mean) && !ag_requires_grad(layer.running_var));
    ck_assert_int_eq(ag_vjp(1, &y, NULL, 1, &z, &dz, AG_STRICT), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "");
}
END_TEST

START_TEST(test_batchnorm_of_one_sample_is_beta) {
    ag_batchnorm layer = layer_of(3, bn_gamma, bn_beta);
    ag_tensor *z = f64(AG_SHAPE(1, 3), bn_z1), *y = ag_batchnorm_apply(&layer, z, true), *dz;
    expect_golden(y, bn_beta);
    ag_grad(ag_sum(y), 1, &z, &dz);
    expect_list(dz, 0, 0, 0);
    expect_shape(ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(0, 3)), false), AG_SHAPE(0, 3));
}
END_TEST

START_TEST(test_batchnorm_in_f32) {
    ag_batchnorm layer;
    ag_batchnorm_init(&layer, tape, AG_F32, 4);
    ag_tensor *y = ag_batchnorm_apply(&layer, ag_add_scalar(scattered(tape, AG_F32, AG_SHAPE(256, 4), 0), 100), true);
    ag_tensor *mean = ag_mean_over(y, AG_AXES(0), false), *var = ag_var_over(y, AG_AXES(0), 0, false);
    for (int64_t j = 0; j < 4; j++) {
        ck_assert_double_le(fabs(ag_element(mean, j)), 1e-4);
        ck_assert_double_eq_tol(ag_element(var, j), 1, 1e-3);
    }
    ck_assert_int_eq(ag_dtype_of(y), AG_F32);
}
END_TEST

START_TEST(test_batchnorm_refuses) {
    ag_batchnorm layer;
    ag_batchnorm_nodes at;
    ck_assert_int_eq(ag_batchnorm_init(&layer, tape, AG_F64, 0), AG_ERR_RANGE);
    ck_assert(layer.gamma && ag_is_nil(layer.gamma) && ag_is_nil(layer.running_var));
    expect_error(tape, AG_ERR_RANGE, "batchnorm_init", "0 channels", "test_nn.c:");
    ck_assert_int_eq(ag_batchnorm_init(NULL, tape, AG_F64, 3), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "batchnorm_init");
    ck_assert_int_eq(ag_batchnorm_init(&layer, tape, AG_I64, 3), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "");
    ck_assert_int_eq(ag_batchnorm_init(&layer, tape, AG_F64, 3), AG_OK);

    ck_assert(ag_is_nil(ag_batchnorm_apply_nodes(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(5, 4)), true, &at)));
    ck_assert(at.mean && ag_is_nil(at.mean) && at.normalised && ag_is_nil(at.normalised));
    expect_error(tape, AG_ERR_SHAPE, "batchnorm_apply", "(5,4)", "test_nn.c:");
    ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(3)), true);
    expect_error(tape, AG_ERR_SHAPE, "batchnorm_apply", "(3)");
    ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(0, 3)), true);
    expect_error(tape, AG_ERR_SHAPE, "no samples");
    ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F32, AG_SHAPE(2, 3)), true);
    expect_error(tape, AG_ERR_DTYPE, "");
    ag_batchnorm_apply(&layer, NULL, true);
    expect_error(tape, AG_ERR_NULL, "NULL");
    ag_batchnorm_apply(NULL, ag_zeros(tape, AG_F64, AG_SHAPE(2, 3)), true);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    layer.momentum = 1.5;
    ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(2, 3)), true);
    expect_error(tape, AG_ERR_RANGE, "momentum");
    layer.momentum = 0.9, layer.epsilon = NAN;
    ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(2, 3)), false);
    expect_error(tape, AG_ERR_RANGE, "epsilon");
    layer.epsilon = 1e-5;
    ag_tensor *z = ag_zeros(tape, AG_F64, AG_SHAPE(2, 3)), *variance = layer.running_var;
    ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F32, AG_SHAPE(2, 3)), false);
    expect_error(tape, AG_ERR_DTYPE, "batchnorm_apply", "dtypes f32 and f64 differ", "gamma");
    layer.running_var = ag_ones(tape, AG_F64, AG_SHAPE(3));
    ag_batchnorm_apply(&layer, z, true); /* nor is the mean changed */
    expect_error(tape, AG_ERR_TAPE, "batchnorm_apply", "the running variance must be a variable", "test_nn.c:");
    ag_batchnorm_apply(&layer, z, false);
    expect_ok(tape);
    layer.running_var = NULL;
    ag_batchnorm_apply(&layer, z, false);
    expect_error(tape, AG_ERR_NULL, "batchnorm_apply", "NULL");
    layer.running_var = ag_variable(tape, AG_F64, AG_SHAPE(1, 3), (double[]){1, 1, 1});
    ag_batchnorm_apply(&layer, z, true);
    expect_error(tape, AG_ERR_SHAPE, "batchnorm_apply", "the running variance must be (C)");
    layer.running_var = variance;
    expect_list(layer.running_mean, 0, 0, 0);
    expect_list(layer.running_var, 1, 1, 1);
}
END_TEST

/* ---- Losses ---- */

static void expect_loss(ag_tensor *loss, ag_tensor *s, double value, int64_t n, const double ds[]) {
    ag_tensor *got;
    expect_shape(loss, AG_SCALAR);
    expect_near(loss, 1, &value, ROUNDING, 1);
    ag_grad(loss, 1, &s, &got);
    expect_near(got, n, ds, ROUNDING, 1);
}

START_TEST(test_cross_entropy_agrees_with_pytorch) {
    ag_tensor *s = f64(AG_SHAPE(6, 4), scores), *l = i64(6, labels);
    expect_loss(ag_cross_entropy(s, l), s, cross_entropy[0], 24, cross_entropy_ds);
}
END_TEST

START_TEST(test_cross_entropy_is_safe_for_any_scores) {
    ag_tensor *s = f64(AG_SHAPE(2, 3), (double[]){1e308, -1e308, 0, -1e300, -1e300, -1e300}),
              *l = i64(2, (int64_t[]){0, 2});
    ag_tensor *ds;
    ag_grad(ag_cross_entropy(s, l), 1, &s, &ds);
    expect_near(ag_cross_entropy(s, l), 1, ((double[]){log(3) / 2}), 2, 0);
    expect_near(ds, 6, ((double[]){0, 0, 0, 1. / 6, 1. / 6, -1. / 3}), ROUNDING, 1);
    ck_assert(isnan(ag_item(ag_cross_entropy(ag_zeros(tape, AG_F64, AG_SHAPE(0, 3)), i64(0, NULL)))));
}
END_TEST

START_TEST(test_hinge_agrees_with_pytorch) {
    ag_tensor *s = f64(AG_SHAPE(6, 4), scores), *l = i64(6, labels);
    expect_loss(ag_hinge(s, l), s, hinge[0], 24, hinge_ds);
    ag_tensor *clear = f64(AG_SHAPE(2, 3), (double[]){5, 1, 0, -3, 2, 0.5});
    expect_list(ag_hinge(clear, i64(2, (int64_t[]){0, 1})), 0);
}
END_TEST

START_TEST(test_binary_cross_entropy_and_mse_agree_with_pytorch) {
    ag_tensor *s = f64(AG_SHAPE(8), binary_scores), *t = f64(AG_SHAPE(8), binary_targets);
    expect_loss(ag_binary_cross_entropy(s, t), s, binary[0], 8, binary_ds);
    ag_tensor *ds;
    ag_grad(ag_mse(s, t), 1, &s, &ds);
    expect_near(ag_mse(s, t), 1, mse, ROUNDING, 1);
    expect_near(ds, 8, mse_ds, ROUNDING, 1);
}
END_TEST

typedef ag_tensor *labelled_loss(ag_tensor *scores, ag_tensor *labels);

START_TEST(test_losses_with_labels_refuse) {
    labelled_loss *const loss[] = {(ag_cross_entropy), (ag_hinge), (ag_accuracy)};
    const char *const name[] = {"cross_entropy", "hinge", "accuracy"};
    ag_tensor *s = f64(AG_SHAPE(6, 4), scores), *l = i64(6, labels);
    for (int i = 0; i < 3; i++) {
        ck_assert(ag_is_nil(loss[i](s, i64(5, labels))));
        expect_error(tape, AG_ERR_SHAPE, name[i], "(6,4)", "i64 (5)");
        loss[i](f64(AG_SHAPE(6), scores), l);
        expect_error(tape, AG_ERR_SHAPE, name[i]);
        loss[i](s, ag_unsqueeze(l, 1));
        expect_error(tape, AG_ERR_SHAPE, name[i], "(6,1)");
        loss[i](s, ag_cast(l, AG_F64));
        expect_error(tape, AG_ERR_DTYPE, name[i], "i64");
        loss[i](s, NULL);
        expect_error(tape, AG_ERR_NULL, name[i]);
        loss[i](NULL, l);
        expect_error(tape, AG_ERR_NULL, name[i]);
    }
    ag_cross_entropy(s, i64(5, labels));
    expect_error(tape, AG_ERR_SHAPE, "test_nn.c:");
    ag_cross_entropy(ag_zeros(tape, AG_F64, AG_SHAPE(6, 0)), l);
    expect_error(tape, AG_ERR_SHAPE, "test_nn.c:");
}
END_TEST

START_TEST(test_labels_out_of_range_are_an_error) {
    labelled_loss *const loss[] = {(ag_cross_entropy), (ag_hinge)};
    const int64_t bad[] = {4, -1, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 8; i++) {
        int64_t wrong[6];
        memcpy(wrong, labels, sizeof wrong);
        wrong[3] = bad[i / 2];
        ag_tensor *value = loss[i % 2](f64(AG_SHAPE(6, 4), scores), i64(6, wrong));
        expect_ok(tape);
        ck_assert(isnan(ag_item(value)));
        char said[40];
        snprintf(said, sizeof said, "label %lld at [3]", (long long)bad[i / 2]);
        expect_error(tape, AG_ERR_RANGE, i % 2 ? "hinge: x i64 (6)" : "cross_entropy: x i64 (6)", said, "4 scores");
    }
}
END_TEST

START_TEST(test_losses_with_targets_refuse) {
    ag_tensor *s = f64(AG_SHAPE(8), binary_scores), *t = f64(AG_SHAPE(8, 1), binary_targets);
    ag_mse(s, t);
    expect_error(tape, AG_ERR_SHAPE, "mse", "(8)", "(8,1)", "test_nn.c:");
    ag_binary_cross_entropy(s, t);
    expect_error(tape, AG_ERR_SHAPE, "binary_cross_entropy", "(8)", "(8,1)", "test_nn.c:");
    ag_mse(s, ag_cast(s, AG_F32));
    expect_error(tape, AG_ERR_DTYPE, "");
    ag_mse(s, NULL);
    expect_error(tape, AG_ERR_NULL, "mse");
    ag_binary_cross_entropy(NULL, s);
    expect_error(tape, AG_ERR_NULL, "binary_cross_entropy");
}
END_TEST

START_TEST(test_accuracy_counts) {
    ag_tensor *s = f64(AG_SHAPE(4, 3), (double[]){1, 2, 3, 3, 2, 1, 1, 3, 2, 5, 5, 5});
    expect_list(ag_accuracy(s, i64(4, (int64_t[]){2, 0, 1, 0})), 1);
    expect_list(ag_accuracy(s, i64(4, (int64_t[]){2, 1, 1, 9})), 0.5);
    ag_tensor *dx;
    ag_tensor *p = ag_parameter_from(s);
    ck_assert_int_ne(
        ag_vjp(1, (ag_tensor *[]){ag_accuracy(p, i64(4, (int64_t[]){2, 1, 1, 9}))}, NULL, 1, &p, &dx, AG_STRICT),
        AG_OK);
    ag_clear_error(tape);
}
END_TEST

/* ---- Optimisers ---- */

static ag_tensor *bowl_gradient(ag_tensor *p) {
    ag_tensor *loss =
        ag_sum(ag_scale(ag_mul(f64(AG_SHAPE(4), bowl_a), ag_square(ag_sub(p, f64(AG_SHAPE(4), bowl_b)))), 0.5));
    ag_tensor *dp;
    ag_grad(loss, 1, &p, &dp);
    return dp;
}

static ag_status step_sgd(void *sgd, ag_tensor *const dp[]) { return ag_sgd_step(sgd, dp); }
static ag_status step_rmsprop(void *rmsprop, ag_tensor *const dp[]) { return ag_rmsprop_step(rmsprop, dp); }
static ag_status step_adam(void *adam, ag_tensor *const dp[]) { return ag_adam_step(adam, dp); }

/* Five steps against PyTorch's path; the tape is rewound after each, as in a training loop. */
static void expect_path(ag_tensor *p, ag_status (*step)(void *, ag_tensor *const[]), void *optimiser,
                        const double path[20]) {
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 5; i++) {
        ag_tensor *dp = bowl_gradient(p);
        ck_assert_int_eq(step(optimiser, &dp), AG_OK);
        if (i % 2) expect_near(p, 4, path + 4 * i, ROUNDING, 1);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        expect_near(p, 4, path + 4 * i, ROUNDING, 1);
    }
}

START_TEST(test_sgd_agrees_with_pytorch) {
    for (int with_momentum = 0; with_momentum < 2; with_momentum++) {
        ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(4), bowl_start);
        ag_slot slot;
        ag_sgd sgd;
        ck_assert_int_eq(ag_sgd_init(&sgd, 1, &p, &slot, 0.1, with_momentum ? 0.9 : 0), AG_OK);
        if (with_momentum) sgd.decay = 0.25;
        expect_path(p, step_sgd, &sgd, with_momentum ? path_momentum : path_sgd);
    }
}
END_TEST

START_TEST(test_rmsprop_agrees_with_pytorch) {
    for (int with_momentum = 0; with_momentum < 2; with_momentum++) {
        ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(4), bowl_start);
        ag_slot slot;
        ag_rmsprop rmsprop;
        ck_assert_int_eq(ag_rmsprop_init(&rmsprop, 1, &p, &slot), AG_OK);
        if (with_momentum) rmsprop.momentum = 0.75, rmsprop.decay = 0.25;
        else rmsprop.rate = 0.05, rmsprop.beta = 0.9, rmsprop.epsilon = 1e-6;
        expect_path(p, step_rmsprop, &rmsprop, with_momentum ? path_rmsprop_momentum : path_rmsprop);
    }
}
END_TEST

START_TEST(test_adam_agrees_with_pytorch) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(4), bowl_start);
    ag_slot slot;
    ag_adam adam;
    ck_assert_int_eq(ag_adam_init(&adam, 1, &p, &slot), AG_OK);
    adam.rate = 0.05, adam.beta1 = 0.8, adam.beta2 = 0.95, adam.epsilon = 1e-6;
    expect_path(p, step_adam, &adam, path_adam);
    ck_assert_int_eq(adam.steps, 5);
}
END_TEST

START_TEST(test_adam_with_decay_agrees_with_pytorch) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(4), bowl_start);
    ag_slot slot;
    ag_adam adam;
    ck_assert_int_eq(ag_adam_init(&adam, 1, &p, &slot), AG_OK);
    adam.rate = 0.05, adam.decay = 0.125;
    expect_path(p, step_adam, &adam, path_adamw);
}
END_TEST

START_TEST(test_optimisers_take_what_backward_found) {
    ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}),
                      ag_parameter(tape, AG_F64, AG_SCALAR, &(double){3})};
    ag_slot slots[2];
    ag_sgd sgd;
    ck_assert_int_eq(ag_sgd_init(&sgd, 2, p, slots, 0.5, 0), AG_OK);
    ag_backward(ag_sum(ag_mul(p[0], p[1]))); /* d = (3, 3), 3 */
    ck_assert_int_eq(ag_sgd_step(&sgd, NULL), AG_OK);
    expect_list(p[0], -0.5, 0.5);
    expect_list(p[1], 1.5);
}
END_TEST

START_TEST(test_sgd_without_momentum_remembers_nothing) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2});
    ag_slot slot;
    ag_sgd sgd;
    int64_t live = ag_tape_memory(tape).live;
    ck_assert_int_eq(ag_sgd_init(&sgd, 1, &p, &slot, 1, 0), AG_OK);
    ck_assert_int_eq(ag_tape_memory(tape).live, live);
    sgd.momentum = 0.9;
    ck_assert_int_eq(ag_sgd_step(&sgd, &p), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "sgd_step", "momentum 0.9", "test_nn.c:");
    expect_list(p, 1, 2);
    sgd.momentum = 0;
    ck_assert_int_eq(ag_sgd_step(&sgd, &p), AG_OK);
    expect_list(p, 0, 0);
}
END_TEST

START_TEST(test_a_refused_step_changes_nothing) {
    ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}),
                      ag_parameter(tape, AG_F64, AG_SHAPE(1), &(double){3})};
    ag_tensor *good = f64(AG_SHAPE(2), (double[]){1, 1}), *dp[] = {good, good};
    ag_slot slots[2];
    ag_adam adam;
    ag_sgd sgd;
    ck_assert_int_eq(ag_adam_init(&adam, 2, p, slots), AG_OK);
    ck_assert_int_eq(ag_adam_step(&adam, dp), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "adam_step", "(1)", "(2)", "parameter 1", "test_nn.c:");
    dp[1] = ag_ones(tape, AG_F32, AG_SHAPE(1));
    ck_assert_int_eq(ag_adam_step(&adam, dp), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "adam_step");
    dp[1] = NULL;
    ck_assert_int_eq(ag_adam_step(&adam, dp), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "adam_step");
    ck_assert_int_eq(adam.steps, 0);
    ck_assert_int_eq(ag_sgd_init(&sgd, 2, p, slots, 1, 0.5), AG_OK);
    ck_assert_int_eq(ag_sgd_step(&sgd, dp), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "sgd_step");
    ag_rmsprop rmsprop;
    ck_assert_int_eq(ag_rmsprop_init(&rmsprop, 2, p, slots), AG_OK);
    ck_assert_int_eq(ag_rmsprop_step(&rmsprop, dp), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "rmsprop_step");
    expect_list(p[0], 1, 2);
    expect_list(p[1], 3);
    expect_list(slots[0].state[0], 0, 0);
    ck_assert(ag_tape_set_recording(tape, true));
}
END_TEST

START_TEST(test_optimisers_refuse) {
    ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SCALAR, &(double){1}), ag_scalar(tape, AG_F64, 1)};
    ag_slot slots[2];
    ag_adam adam;
    ag_sgd sgd;
    ck_assert_int_eq(ag_adam_init(&adam, 2, p, slots), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "adam_init", "number 1", "test_nn.c:");
    ck_assert_int_eq(ag_sgd_init(&sgd, 2, p, slots, 1, 0.5), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "sgd_init");
    ag_tape *other = ag_tape_new();
    p[1] = ag_parameter(other, AG_F64, AG_SCALAR, &(double){1});
    ck_assert_int_eq(ag_adam_init(&adam, 2, p, slots), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "adam_init");
    ag_tape_free(other);
}
END_TEST

/* The status is returned, and the message, with the caller's line, is on the tape or, without a tape, on the thread. */
#define REFUSES(t, call, status, ...)                                                                                  \
    do {                                                                                                               \
        ck_assert_int_eq(call, status);                                                                                \
        expect_error(t, status, __VA_ARGS__, "test_nn.c:");                                                            \
        expect_ok(tape);                                                                                               \
        ag_clear_error(NULL);                                                                                          \
    } while (0)

START_TEST(test_optimisers_refuse_what_is_missing) {
    ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SCALAR, &(double){1}), NULL}, *g = ag_scalar(tape, AG_F64, 1);
    ag_slot slots[2];
    ag_adam adam;
    ag_sgd sgd;
    ag_rmsprop rmsprop;
    REFUSES(tape, ag_adam_init(NULL, 1, p, slots), AG_ERR_NULL, "adam_init", "the optimiser is NULL");
    REFUSES(NULL, ag_adam_init(&adam, 1, NULL, slots), AG_ERR_NULL, "adam_init", "the list of 1 parameters is NULL");
    REFUSES(NULL, ag_adam_step(&adam, NULL), AG_ERR_RANGE, "adam_step", "not made by its init");
    REFUSES(tape, ag_adam_init(&adam, 2, p, slots), AG_ERR_NULL, "adam_init", "number 1", "NULL");
    REFUSES(tape, ag_adam_step(&adam, &g), AG_ERR_NIL, "adam_step", "slot 0", "nil");
    REFUSES(NULL, ag_sgd_init(&sgd, 0, p, slots, 1, 0), AG_ERR_RANGE, "sgd_init", "0 parameters");
    REFUSES(NULL, ag_sgd_step(&sgd, NULL), AG_ERR_RANGE, "sgd_step", "not made by its init");
    REFUSES(NULL, ag_sgd_step(NULL, NULL), AG_ERR_NULL, "sgd_step", "the optimiser is NULL");
    REFUSES(tape, ag_rmsprop_init(NULL, 1, p, slots), AG_ERR_NULL, "rmsprop_init", "the optimiser is NULL");
    REFUSES(NULL, ag_rmsprop_init(&rmsprop, -1, p, slots), AG_ERR_RANGE, "rmsprop_init", "-1 parameters");
    REFUSES(NULL, ag_rmsprop_step(&rmsprop, NULL), AG_ERR_RANGE, "rmsprop_step", "not made by its init");
    REFUSES(NULL, ag_rmsprop_step(NULL, NULL), AG_ERR_NULL, "rmsprop_step", "the optimiser is NULL");
    ck_assert_int_eq(ag_adam_init(&adam, 1, p, slots), AG_OK);
    ck_assert_int_eq(ag_rmsprop_init(&rmsprop, 1, p, slots), AG_OK);
    adam.slots = NULL;
    REFUSES(tape, ag_adam_step(&adam, &g), AG_ERR_NULL, "adam_step", "slots are NULL");
    rmsprop.n = 0;
    REFUSES(NULL, ag_rmsprop_step(&rmsprop, &g), AG_ERR_RANGE, "rmsprop_step", "n is 0");
    memset(&sgd, 0xA5, sizeof sgd); /* never initialised */
    sgd.n = 1;
    REFUSES(tape, ag_sgd_step(&sgd, &g), AG_ERR_RANGE, "sgd_step", "not made by its init");
    sgd = (ag_sgd){.n = 1};
    REFUSES(tape, ag_sgd_step(&sgd, &g), AG_ERR_RANGE, "sgd_step", "not made by its init");
}
END_TEST

START_TEST(test_optimisers_refuse_parameters_that_are_none) {
    ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SCALAR, &(double){1}),
                      ag_parameter(tape, AG_F64, AG_SCALAR, &(double){2})};
    ag_slot slots[2];
    ag_adam adam;
    ag_sgd sgd;
    ag_tensor *twice[] = {p[0], p[0]}, *g[] = {ag_scalar(tape, AG_F64, 1), ag_scalar(tape, AG_F64, 1)};
    REFUSES(tape, ag_adam_init(&adam, 2, twice, slots), AG_ERR_RANGE, "adam_init", "parameter 1 is in the list twice");
    ag_tensor *made[] = {p[0], ag_square(p[1])};
    REFUSES(tape, ag_sgd_init(&sgd, 2, made, slots, 1, 0), AG_ERR_GRADIENT, "sgd_init", "number 1 is not a parameter");
    ag_tensor *variable[] = {p[0], ag_variable(tape, AG_F64, AG_SCALAR, &(double){2})};
    REFUSES(tape, ag_sgd_init(&sgd, 2, variable, slots, 1, 0), AG_ERR_GRADIENT, "sgd_init",
            "number 1 is not a parameter");
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *gone[] = {p[0], ag_parameter(tape, AG_F64, AG_SCALAR, &(double){2})};
    ck_assert_int_eq(ag_adam_init(&adam, 2, gone, slots), AG_OK);
    ag_tape_rewind(tape, mark);
    REFUSES(tape, ag_adam_init(&adam, 2, gone, slots), AG_ERR_TAPE, "adam_init", "number 1", "rewind");
    ck_assert_int_eq(ag_adam_init(&adam, 2, p, slots), AG_OK);
    mark = ag_tape_mark(tape);
    ag_tensor *lost = ag_scalar(tape, AG_F64, 1);
    ag_tape_rewind(tape, mark);
    REFUSES(tape, ag_adam_step(&adam, (ag_tensor *[]){g[0], lost}), AG_ERR_TAPE, "gradient of parameter 1", "rewind");
    ag_tape *other = ag_tape_new();
    REFUSES(tape, ag_adam_step(&adam, (ag_tensor *[]){g[0], ag_scalar(other, AG_F64, 1)}), AG_ERR_TAPE, "adam_step");
    slots[1].parameter = ag_parameter(other, AG_F64, AG_SCALAR, &(double){2});
    REFUSES(tape, ag_adam_step(&adam, g), AG_ERR_TAPE, "adam_step", "parameter 1 is on another tape than the first");
    slots[1].parameter = p[1];
    ag_tape_free(other);
    ag_tensor *moment = slots[1].state[1];
    slots[1].state[1] = NULL;
    REFUSES(tape, ag_adam_step(&adam, g), AG_ERR_NULL, "adam_step", "second state 1");
    slots[1].state[1] = g[0];
    REFUSES(tape, ag_adam_step(&adam, g), AG_ERR_TAPE, "adam_step", "second state 1 is not a variable");
    slots[1].state[1] = moment;
    slots[1].parameter = NULL;
    REFUSES(tape, ag_adam_step(&adam, g), AG_ERR_NULL, "adam_step", "slot 1", "NULL");
    slots[1].parameter = p[1];
    ck_assert_int_eq(adam.steps, 0);
    ck_assert_int_eq(ag_adam_step(&adam, g), AG_OK);
    ck_assert_int_eq(adam.steps, 1);
}
END_TEST

/* Each number of each optimiser is invalid in turn; a later valid step is as if nothing had happened. */
START_TEST(test_optimisers_refuse_numbers_out_of_bounds) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), *g = ag_ones(tape, AG_F64, AG_SHAPE(2));
    ag_slot s[3];
    ag_sgd sgd;
    ag_rmsprop rmsprop;
    ag_adam adam;
    REFUSES(tape, ag_sgd_init(&sgd, 1, &p, s, -1, 0), AG_ERR_RANGE, "sgd_init", "the rate is -1");
    REFUSES(tape, ag_sgd_init(&sgd, 1, &p, s, NAN, 0), AG_ERR_RANGE, "sgd_init", "the rate is");
    REFUSES(tape, ag_sgd_init(&sgd, 1, &p, s, 1, INFINITY), AG_ERR_RANGE, "sgd_init", "the momentum is inf");
    ag_sgd_init(&sgd, 1, &p, s, 0.5, 0.5);
    ag_rmsprop_init(&rmsprop, 1, &p, s + 1);
    ag_adam_init(&adam, 1, &p, s + 2);
    enum { SIZE, PART, OVER };
    const struct {
        double *number;
        int bounds, of;
        const char *said;
    } all[] = {{&sgd.rate, SIZE, 0, "the rate is"},       {&sgd.momentum, SIZE, 0, "the momentum is"},
               {&sgd.decay, SIZE, 0, "the decay is"},     {&rmsprop.rate, SIZE, 1, "the rate is"},
               {&rmsprop.beta, PART, 1, "the beta is"},   {&rmsprop.epsilon, OVER, 1, "the epsilon is"},
               {&rmsprop.decay, SIZE, 1, "the decay is"}, {&rmsprop.momentum, SIZE, 1, "the momentum is"},
               {&adam.rate, SIZE, 2, "the rate is"},      {&adam.beta1, PART, 2, "the beta1 is"},
               {&adam.beta2, PART, 2, "the beta2 is"},    {&adam.decay, SIZE, 2, "the decay is"},
               {&adam.epsilon, OVER, 2, "the epsilon is"}};
    const double bad[] = {NAN, INFINITY, -INFINITY, -1, -1e-300, 1, 1.5, 0};
    int64_t nodes = ag_tape_memory(tape).nodes;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int k = 0; k < (all[i].bounds == SIZE ? 5 : all[i].bounds == PART ? 7 : 8); k++) {
            if (all[i].bounds == OVER && (k == 5 || k == 6)) continue;
            double right = *all[i].number;
            *all[i].number = bad[k];
            const char *name = all[i].of == 0 ? "sgd_step" : all[i].of == 1 ? "rmsprop_step" : "adam_step";
            REFUSES(tape,
                    all[i].of == 0   ? ag_sgd_step(&sgd, &g)
                    : all[i].of == 1 ? ag_rmsprop_step(&rmsprop, &g)
                                     : ag_adam_step(&adam, &g),
                    AG_ERR_RANGE, name, all[i].said, "is wanted");
            *all[i].number = right;
        }
    adam.steps = -1;
    REFUSES(tape, ag_adam_step(&adam, &g), AG_ERR_RANGE, "adam_step", "steps is -1");
    adam.steps = 0;
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ck_assert(ag_tape_set_recording(tape, true));
    ck_assert_int_eq(ag_sgd_step(&sgd, &g), AG_OK);
    expect_list(p, 0.5, 1.5);
}
END_TEST

/* After any number of steps, up to the maximum, where the factors are 1. */
START_TEST(test_adam_counts_to_the_end) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SCALAR, &(double){1}), *g = ag_scalar(tape, AG_F64, 1);
    ag_slot slot;
    ag_adam adam;
    ag_adam_init(&adam, 1, &p, &slot);
    for (int64_t steps = INT64_MAX - 1, i = 0; i < 3; i++) {
        adam.steps = steps + (i > 0);
        adam.epsilon = 1e-300;
        ag_set(slot.state[0], &(double){1});
        ag_set(slot.state[1], &(double){1});
        ag_set(p, &(double){1});
        ck_assert_int_eq(ag_adam_step(&adam, &g), AG_OK);
        expect_item(p, 1 - 1e-3);
        ck_assert(adam.steps == INT64_MAX && ag_adam_steps(&adam) == INT64_MAX);
    }
    ck_assert(ag_adam_steps(NULL) == 0);
}
END_TEST

START_TEST(test_what_optimisers_remember_has_names) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SCALAR, &(double){1}), *g = ag_scalar(tape, AG_F64, 2);
    ag_slot slot;
    ag_sgd sgd;
    ag_rmsprop rmsprop;
    ag_adam adam;
    ag_sgd_init(&sgd, 1, &p, &slot, 0.1, 0.5);
    ag_sgd_step(&sgd, &g);
    expect_item(ag_sgd_velocity(&sgd, 0), 2);
    ag_rmsprop_init(&rmsprop, 1, &p, &slot);
    rmsprop.beta = 0.5;
    rmsprop.momentum = 0.5;
    ag_rmsprop_step(&rmsprop, &g);
    expect_item(ag_rmsprop_mean_square(&rmsprop, 0), 2);
    expect_near(ag_rmsprop_velocity(&rmsprop, 0), 1, (double[]){sqrt(2)}, 1e9, 0);
    ag_adam_init(&adam, 1, &p, &slot);
    adam.beta1 = adam.beta2 = 0.5;
    ag_adam_step(&adam, &g);
    expect_item(ag_adam_first_moment(&adam, 0), 1);
    expect_item(ag_adam_second_moment(&adam, 0), 2);
    ck_assert(ag_is_nil(ag_adam_first_moment(&adam, 1)));
    expect_error(tape, AG_ERR_RANGE, "adam_first_moment", "parameter 1 is out of range", "has 1", "test_nn.c:");
    ck_assert(ag_is_nil(ag_rmsprop_velocity(&rmsprop, -1)));
    expect_error(tape, AG_ERR_RANGE, "rmsprop_velocity", "parameter -1 is out of range");
    ag_sgd_init(&sgd, 1, &p, &slot, 0.1, 0);
    ck_assert(ag_is_nil(ag_sgd_velocity(&sgd, 0)));
    expect_error(tape, AG_ERR_RANGE, "sgd_velocity", "keeps no such state");
    ck_assert(ag_is_nil(ag_adam_second_moment(NULL, 0)));
    expect_error(NULL, AG_ERR_NULL, "adam_second_moment", "NULL");
    ck_assert(ag_is_nil(ag_rmsprop_mean_square(&(ag_rmsprop){0}, 0)));
    expect_error(NULL, AG_ERR_RANGE, "rmsprop_mean_square", "not made by its init");
}
END_TEST

START_TEST(test_clipping_scales_all_gradients_together) {
    ag_tensor *g[] = {f64(AG_SHAPE(2), (double[]){3, 4}), f64(AG_SCALAR, (double[]){12})},
              *norm = ag_clip_norm(2, g, 6.5);
    expect_list(norm, 13);
    double factor = 6.5 / (13 + 1e-6);
    expect_near(g[0], 2, ((double[]){3 * factor, 4 * factor}), ROUNDING, 1);
    expect_near(g[1], 1, (double[]){12 * factor}, ROUNDING, 1);
    expect_near(ag_clip_norm(2, g, 7), 1, (double[]){13 * factor}, ROUNDING, 1); /* short enough: unchanged */
    expect_near(g[1], 1, (double[]){12 * factor}, ROUNDING, 1);
    ag_tensor *zero = ag_zeros(tape, AG_F64, AG_SHAPE(3));
    expect_list(ag_clip_norm(1, &zero, 1), 0);
    expect_list(zero, 0, 0, 0);
    const double bad[] = {0, -1, NAN};
    for (int i = 0; i < 3; i++) {
        ck_assert(ag_is_nil(ag_clip_norm(2, g, bad[i])));
        expect_error(tape, AG_ERR_RANGE, "clip_norm", "test_nn.c:");
    }
    ag_tensor *mixed[] = {g[0], ag_cast(g[1], AG_F32)}, *first = mixed[0], *whole = ag_cast(g[0], AG_I64);
    ck_assert(ag_is_nil(ag_clip_norm(2, mixed, 1)) && mixed[0] == first);
    expect_error(tape, AG_ERR_DTYPE, "clip_norm", "gradient 1 is f32", "(2)", "test_nn.c:");
    ag_clip_norm(1, &whole, 1);
    expect_error(tape, AG_ERR_DTYPE, "clip_norm", "gradient 0 is i64");
    ag_clip_norm(0, g, 1);
    expect_error(NULL, AG_ERR_NULL, "clip_norm");
    ag_clip_norm(1, NULL, 1);
    expect_error(NULL, AG_ERR_NULL, "clip_norm");
    g[1] = NULL;
    ag_clip_norm(2, g, 1);
    expect_error(tape, AG_ERR_NULL, "clip_norm", "NULL");
}
END_TEST

/* ---- A whole step ---- */

static ag_status whole_step(ag_tape *t) {
    ag_linear in, out;
    ag_batchnorm norm;
    ag_slot slots[6];
    ag_adam adam;
    ag_linear_init(&in, t, AG_F32, 5, 4);
    ag_batchnorm_init(&norm, t, AG_F32, 4);
    ag_linear_init(&out, t, AG_F32, 4, 3);
    ag_tensor *p[] = {in.weight, in.bias, norm.gamma, norm.beta, out.weight, out.bias}, *dp[6];
    ag_adam_init(&adam, 6, p, slots);
    ag_mark mark = ag_tape_mark(t);
    double first = 0, last = 0;
    for (int i = 0; i < 20 && ag_tape_status(t) == AG_OK; i++) {
        ag_tensor *x = ag_uniform(t, AG_F32, AG_SHAPE(8, 5), -1, 1),
                  *y = ag_from(t, AG_I64, AG_SHAPE(8), (int64_t[8]){0, 1, 2, 1});
        ag_tape_seed(t, 3);
        ag_tensor *h = ag_dropout(ag_relu(ag_batchnorm_apply(&norm, ag_linear_apply(&in, x), true)), 0.1, true);
        ag_tensor *loss = ag_cross_entropy(ag_linear_apply(&out, h), y);
        ag_grad(loss, 6, p, dp);
        adam.rate = 0.05;
        ag_adam_step(&adam, dp);
        last = ag_item(loss);
        if (i == 1) first = last;
        ag_tape_rewind(t, mark);
    }
    if (ag_tape_status(t) == AG_OK) ck_assert_double_lt(last, 0.5 * first);
    return ag_tape_status(t);
}

START_TEST(test_every_failing_allocation_of_training_is_an_error) { with_each_allocation_failing(whole_step); }
END_TEST

START_TEST(test_what_is_recorded_has_the_callers_line) {
    ag_linear layer;
    ag_linear_init(&layer, tape, AG_F64, 2, 2);
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(3, 2));
    int here = __LINE__ + 1, line;
    ag_tensor *y = ag_linear_apply(&layer, x);
    ck_assert(strstr(ag_place_of(y, &line), "test_nn.c"));
    ck_assert_int_eq(line, here);
    ck_assert(strstr(ag_place_of(ag_input(y, 0), &line), "test_nn.c"));
    ck_assert_int_eq(line, here);
    ag_tensor *p[] = {layer.weight, layer.bias}, *dp[2];
    ag_slot slots[2];
    ag_adam adam;
    ag_adam_init(&adam, 2, p, slots);
    ag_grad(ag_mean(ag_square(y)), 2, p, dp);
    here = __LINE__ + 1;
    ag_adam_step(&adam, dp);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++) {
            ck_assert(strstr(ag_place_of(slots[i].next[k], &line), "test_nn.c"));
            ck_assert_int_eq(line, here);
        }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("nn");
    TCase *layers = tape_group(suite, "layers");
    tcase_add_test(layers, test_linear_is_a_product_and_a_sum);
    tcase_add_test(layers, test_linear_gradients_are_the_affine_layers);
    tcase_add_test(layers, test_linear_begins_within_its_bound);
    tcase_add_test(layers, test_linear_refuses);
    tcase_add_test(layers, test_dropout_keeps_the_mean);
    tcase_add_test(layers, test_dropout_repeats_with_the_seed_and_only_then);
    tcase_add_test(layers, test_dropout_of_nothing_is_an_error);
    tcase_add_test(layers, test_dropout_gradient_goes_where_the_value_went);
    tcase_add_test(layers, test_dropout_refuses);
    TCase *batchnorm = tape_group(suite, "batchnorm");
    tcase_add_test(batchnorm, test_batchnorm_gradients_are_the_closed_forms);
    tcase_add_test(batchnorm, test_batchnorm_mean_is_one_node_with_two_uses);
    tcase_add_test(batchnorm, test_batchnorm_passes_gradcheck_twice_over);
    tcase_add_test(batchnorm, test_batchnorm_agrees_with_pytorch);
    tcase_add_test(batchnorm, test_batchnorm_running_statistics_carry_no_gradient);
    tcase_add_test(batchnorm, test_batchnorm_of_one_sample_is_beta);
    tcase_add_test(batchnorm, test_batchnorm_in_f32);
    tcase_add_test(batchnorm, test_batchnorm_refuses);
    TCase *losses = tape_group(suite, "losses");
    tcase_add_test(losses, test_cross_entropy_agrees_with_pytorch);
    tcase_add_test(losses, test_cross_entropy_is_safe_for_any_scores);
    tcase_add_test(losses, test_hinge_agrees_with_pytorch);
    tcase_add_test(losses, test_binary_cross_entropy_and_mse_agree_with_pytorch);
    tcase_add_test(losses, test_losses_with_labels_refuse);
    tcase_add_test(losses, test_labels_out_of_range_are_an_error);
    tcase_add_test(losses, test_losses_with_targets_refuse);
    tcase_add_test(losses, test_accuracy_counts);
    TCase *optimisers = tape_group(suite, "optimisers");
    tcase_add_test(optimisers, test_sgd_agrees_with_pytorch);
    tcase_add_test(optimisers, test_rmsprop_agrees_with_pytorch);
    tcase_add_test(optimisers, test_clipping_scales_all_gradients_together);
    tcase_add_test(optimisers, test_adam_agrees_with_pytorch);
    tcase_add_test(optimisers, test_adam_with_decay_agrees_with_pytorch);
    tcase_add_test(optimisers, test_optimisers_take_what_backward_found);
    tcase_add_test(optimisers, test_sgd_without_momentum_remembers_nothing);
    tcase_add_test(optimisers, test_a_refused_step_changes_nothing);
    tcase_add_test(optimisers, test_optimisers_refuse);
    tcase_add_test(optimisers, test_optimisers_refuse_what_is_missing);
    tcase_add_test(optimisers, test_optimisers_refuse_parameters_that_are_none);
    tcase_add_test(optimisers, test_optimisers_refuse_numbers_out_of_bounds);
    tcase_add_test(optimisers, test_adam_counts_to_the_end);
    tcase_add_test(optimisers, test_what_optimisers_remember_has_names);
    TCase *whole = tape_group(suite, "whole");
    tcase_add_test(whole, test_every_failing_allocation_of_training_is_an_error);
    tcase_add_test(whole, test_what_is_recorded_has_the_callers_line);
    return run_suite(suite);
}
