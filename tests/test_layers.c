/* test_layers -- layers for images and sequences: against PyTorch, against finite differences, and refused calls
 *
 * Images are N H W C. The golden values are f64, and their inputs exact in f32 too. */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/layers.h"
#include "tests/support.h"

static const double ROUNDING = 64;

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))
#define expect_golden(x, values) expect_near(x, COUNT(values), values, ROUNDING, 1)

static ag_tensor *f64(ag_shape shape, const double values[]) { return ag_from(tape, AG_F64, shape, values); }
static ag_tensor *parameter(ag_shape shape, const double v[]) { return ag_parameter(tape, AG_F64, shape, v); }

/* Both orders, for every element of x. */
static void expect_gradcheck(ag_function *f, void *context, int n, ag_tensor *const x[]) {
    ag_gradcheck_report report;
    for (int order = 1; order <= 2; order++)
        ck_assert_msg(ag_gradcheck(f, context, n, x, &(ag_gradcheck_options){.order = order}, &report) == AG_OK,
                      "%s %s", report.message, ag_tape_error(tape));
}

/* ---- Layer normalisation ---- */

static ag_layernorm golden_layernorm(void) {
    ag_layernorm layer;
    ck_assert_int_eq(ag_layernorm_init(&layer, tape, AG_F64, 5), AG_OK);
    ag_set(layer.gamma, ln_gamma);
    ag_set(layer.beta, ln_beta);
    layer.epsilon = 1e-3;
    return layer;
}

START_TEST(layernorm_agrees_with_pytorch) {
    ag_layernorm layer = golden_layernorm();
    ag_layernorm_nodes at;
    ag_tensor *z = f64(AG_SHAPE(2, 3, 5), ln_x), *g = f64(AG_SHAPE(2, 3, 5), ln_g);
    ag_tensor *y = ag_layernorm_apply_nodes(&layer, z, &at), *x[] = {z, layer.gamma, layer.beta, at.mean}, *d[4];
    ag_vjp(1, &y, &g, 4, x, d, AG_STRICT);
    expect_shape(y, AG_SHAPE(2, 3, 5));
    expect_golden(y, ln_y);
    expect_golden(d[0], ln_dx);
    expect_golden(d[1], ln_dgamma);
    expect_golden(d[2], ln_dbeta);
    expect_shape(at.mean, AG_SHAPE(2, 3, 1));
    expect_shape(at.variance, AG_SHAPE(2, 3, 1));
    expect_same(at.centred, ag_sub(z, at.mean));
    expect_same(y, ag_add(ag_mul(at.normalised, layer.gamma), layer.beta));
    ag_tensor *direct; /* the path through the variance is 0 */
    ag_vjp(1, &at.centred, (ag_tensor *[]){ag_mul(ag_mul(g, layer.gamma), ag_rsqrt(ag_add_scalar(at.variance, 1e-3)))},
           1, &at.mean, &direct, 0);
    ck_assert_double_le(ag_item(ag_max(ag_abs(ag_sub(d[3], direct)))), 1e-13);
    expect_ok(tape);
}
END_TEST

static ag_tensor *normalise(void *context, int n, ag_tensor *const x[]) {
    ag_layernorm layer = *(ag_layernorm *)context;
    ck_assert_int_eq(n, 3);
    layer.gamma = x[1];
    layer.beta = x[2];
    return ag_sum(ag_sin(ag_layernorm_apply(&layer, x[0])));
}

START_TEST(layernorm_passes_gradcheck_twice_over) {
    ag_layernorm layer = golden_layernorm();
    expect_gradcheck(normalise, &layer, 3, (ag_tensor *[]){f64(AG_SHAPE(2, 3, 5), ln_x), layer.gamma, layer.beta});
}
END_TEST

START_TEST(layernorm_takes_any_leading_axes) {
    ag_layernorm layer = golden_layernorm();
    ag_tensor *one = f64(AG_SHAPE(5), ln_x);
    expect_near(ag_layernorm_apply(&layer, one), 5, ln_y, ROUNDING, 1);
    expect_shape(ag_layernorm_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(0, 5))), AG_SHAPE(0, 5));
    ag_tensor *same = ag_layernorm_apply(&layer, ag_full(tape, AG_F64, AG_SHAPE(3, 5), 7)); /* no spread: beta */
    expect_same(same, ag_contiguous(ag_broadcast_to(f64(AG_SHAPE(5), ln_beta), AG_SHAPE(3, 5))));
    ag_layernorm single;
    ag_layernorm_init(&single, tape, AG_F32, 5);
    ag_tensor *y = ag_layernorm_apply(&single, scattered(tape, AG_F32, AG_SHAPE(4, 5), 3));
    ck_assert_int_eq(ag_dtype_of(y), AG_F32);
    ck_assert_double_le(fabs(ag_item(ag_mean(ag_square(y))) - 1), 1e-3);
    expect_ok(tape);
}
END_TEST

START_TEST(layernorm_refuses) {
    ag_layernorm layer;
    ag_layernorm_nodes at;
    ck_assert_int_eq(ag_layernorm_init(&layer, tape, AG_F64, 0), AG_ERR_RANGE);
    ck_assert(layer.gamma && ag_is_nil(layer.gamma) && ag_is_nil(layer.beta));
    expect_error(tape, AG_ERR_RANGE, "layernorm_init", "0 features", "test_layers.c:");
    ck_assert_int_eq(ag_layernorm_init(&layer, tape, AG_BOOL, 3), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "");
    ck_assert_int_eq(ag_layernorm_init(NULL, tape, AG_F64, 3), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    ck_assert_int_eq(ag_layernorm_init(&layer, NULL, AG_F64, 3), AG_ERR_NULL);
    ag_clear_error(NULL);
    layer = golden_layernorm();
    ag_tensor *y = ag_layernorm_apply_nodes(&layer, ag_ones(tape, AG_F64, AG_SHAPE(5, 4)), &at);
    ck_assert(ag_is_nil(y) && at.mean && ag_is_nil(at.mean) && ag_is_nil(at.normalised));
    expect_error(tape, AG_ERR_SHAPE, "layernorm_apply", "(5,4)", "gamma (5)", "test_layers.c:");
    ag_layernorm_apply(&layer, ag_ones(tape, AG_F64, AG_SCALAR));
    expect_error(tape, AG_ERR_SHAPE, "layernorm_apply");
    ag_layernorm_apply(&layer, ag_ones(tape, AG_F32, AG_SHAPE(5)));
    expect_error(tape, AG_ERR_DTYPE, "f32", "f64");
    ag_layernorm_apply(&layer, NULL);
    expect_error(tape, AG_ERR_NULL, "layernorm_apply");
    ag_layernorm_apply(NULL, layer.gamma);
    expect_error(tape, AG_ERR_NULL, "layernorm_apply", "the layer is NULL");
    layer.epsilon = NAN;
    ag_layernorm_apply(&layer, layer.gamma);
    expect_error(tape, AG_ERR_RANGE, "epsilon");
    ag_layernorm empty = {.epsilon = 0};
    ag_layernorm_apply(&empty, layer.gamma);
    expect_error(tape, AG_ERR_NULL, "NULL");
}
END_TEST

/* ---- Convolution ---- */

static ag_conv2d golden_conv(ag_shape shape, const double w[], const double b[], int64_t stride, int64_t padding) {
    return (ag_conv2d){parameter(shape, w), parameter(AG_SHAPE(4), b), stride, padding};
}

static void expect_convolution(const ag_conv2d *layer, ag_shape shape, const double y_[], const double g_[],
                               const double dx[], const double dw[], const double db[]) {
    ag_tensor *in = f64(AG_SHAPE(2, 5, 6, 3), images), *g = f64(shape, g_), *y = ag_conv2d_apply(layer, in);
    ag_tensor *x[] = {in, layer->weight, layer->bias}, *d[3];
    expect_shape(y, shape);
    expect_near(y, shape_size(&shape), y_, ROUNDING, 4);
    ag_vjp(1, &y, &g, 3, x, d, AG_STRICT);
    expect_near(d[0], ag_size(in), dx, ROUNDING, 4);
    expect_near(d[1], ag_size(layer->weight), dw, ROUNDING, 16);
    expect_near(d[2], 4, db, ROUNDING, 16);
    expect_ok(tape);
}

/* Windows of one element are the image itself; with a step of 2 they are every other element. */
START_TEST(convolutions_of_points) {
    ag_conv2d every = golden_conv(AG_SHAPE(1, 1, 3, 4), conv_point_w, conv_point_b, 1, 0), other = every;
    other.stride = 2;
    ag_tensor *x = f64(AG_SHAPE(2, 5, 6, 3), images), *y = ag_conv2d_apply(&every, x), *z = ag_conv2d_apply(&other, x);
    expect_shape(y, AG_SHAPE(2, 5, 6, 4));
    expect_shape(z, AG_SHAPE(2, 3, 3, 4));
    ag_tensor *some = ag_slice(ag_slice(y, 1, 0, AG_END, 2), 2, 0, AG_END, 2);
    for (int64_t i = 0; i < ag_size(z); i++) ck_assert_double_eq_tol(ag_element(some, i), ag_element(z, i), 1e-12);
}
END_TEST

START_TEST(convolutions_agree_with_pytorch) {
    ag_conv2d plain = golden_conv(AG_SHAPE(3, 2, 3, 4), conv_w, conv_b, 1, 0);
    ag_conv2d strided = golden_conv(AG_SHAPE(3, 3, 3, 4), conv_stride_w, conv_stride_b, 2, 1);
    ag_conv2d point = golden_conv(AG_SHAPE(1, 1, 3, 4), conv_point_w, conv_point_b, 2, 0);
    expect_convolution(&plain, AG_SHAPE(2, 3, 5, 4), conv_y, conv_g, conv_dx, conv_dw, conv_db);
    expect_convolution(&strided, AG_SHAPE(2, 3, 3, 4), conv_stride_y, conv_stride_g, conv_stride_dx, conv_stride_dw,
                       conv_stride_db);
    expect_convolution(&point, AG_SHAPE(2, 3, 3, 4), conv_point_y, conv_point_g, conv_point_dx, conv_point_dw,
                       conv_point_db);
}
END_TEST

static ag_tensor *convolve(void *context, int n, ag_tensor *const x[]) {
    ag_conv2d layer = *(ag_conv2d *)context;
    ck_assert_int_eq(n, 3);
    layer.weight = x[1];
    layer.bias = x[2];
    return ag_sum(ag_sin(ag_conv2d_apply(&layer, x[0])));
}

START_TEST(convolutions_pass_gradcheck_twice_over) {
    ag_conv2d layer = golden_conv(AG_SHAPE(2, 2, 1, 4), conv_stride_w, conv_stride_b, 2, 1);
    ag_tensor *x[] = {f64(AG_SHAPE(1, 3, 4, 1), images), layer.weight, layer.bias};
    for (; layer.stride > 0; layer.stride--) expect_gradcheck(convolve, &layer, 3, x);
}
END_TEST

/* Written out in seven loops, in f32, for images that are views. */
START_TEST(convolutions_of_views_are_those_of_copies) {
    ag_conv2d layer;
    ag_tape_seed(tape, 3);
    ck_assert_int_eq(ag_conv2d_init(&layer, tape, AG_F32, 2, 3, 3), AG_OK);
    ag_tensor *turned = scattered(tape, AG_F32, AG_SHAPE(3, 2, 7, 6), 1); /* N C W H */
    ag_tensor *x = ag_flip(ag_permute(turned, AG_AXES(0, 3, 2, 1)), 2);   /* N H W C */
    ag_tensor *y = ag_conv2d_apply(&layer, x), *same = ag_conv2d_apply(&layer, ag_contiguous(x)), *dx, *dsame;
    expect_same(y, same);
    expect_shape(y, AG_SHAPE(3, 4, 5, 3));
    const float *w = ag_data(layer.weight), *in = ag_data(x), *out = ag_data(y);
    for (int n = 0; n < 3; n++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 5; j++)
                for (int k = 0; k < 3; k++) {
                    double sum = 0;
                    for (int u = 0; u < 3; u++)
                        for (int v = 0; v < 3; v++)
                            for (int c = 0; c < 2; c++)
                                sum += (double)in[((n * 6 + i + u) * 7 + j + v) * 2 + c] *
                                       (double)w[((u * 3 + v) * 2 + c) * 3 + k];
                    ck_assert_double_eq_tol((double)out[((n * 4 + i) * 5 + j) * 3 + k], sum, 1e-5);
                }
    ag_grad(ag_sum(ag_square(y)), 1, &x, &dx);
    ag_tensor *copy = ag_contiguous(x);
    ag_grad(ag_sum(ag_square(ag_conv2d_apply(&layer, copy))), 1, &copy, &dsame);
    expect_same(dx, dsame);
}
END_TEST

START_TEST(convolutions_of_no_images) {
    ag_conv2d layer = golden_conv(AG_SHAPE(3, 2, 3, 4), conv_w, conv_b, 1, 0);
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(0, 5, 6, 3)), *of[] = {x, layer.weight}, *d[2];
    ag_tensor *y = ag_conv2d_apply(&layer, x);
    expect_shape(y, AG_SHAPE(0, 3, 5, 4));
    ag_grad(ag_sum(y), 2, of, d);
    expect_shape(d[0], AG_SHAPE(0, 5, 6, 3));
    expect_item(ag_max(ag_abs(d[1])), 0);
    expect_shape(ag_max_pool2d(x, 2, 2), AG_SHAPE(0, 2, 3, 3));
    expect_shape(ag_avg_pool2d(x, 2, 1), AG_SHAPE(0, 4, 5, 3));
    expect_ok(tape);
}
END_TEST

START_TEST(convolutions_begin_within_their_bound) {
    ag_conv2d layer, again;
    ag_tape_seed(tape, 5);
    ck_assert_int_eq(ag_conv2d_init(&layer, tape, AG_F32, 6, 40, 5), AG_OK);
    ag_tape_seed(tape, 5);
    ck_assert_int_eq(ag_conv2d_init(&again, tape, AG_F32, 6, 40, 5), AG_OK);
    expect_same(layer.weight, again.weight);
    expect_shape(layer.weight, AG_SHAPE(5, 5, 6, 40));
    expect_shape(layer.bias, AG_SHAPE(40));
    double bound = sqrt(6.0 / 150), most = ag_item(ag_max(ag_abs(layer.weight)));
    ck_assert(most <= bound && most > 0.99 * bound);
    ck_assert(layer.stride == 1 && layer.padding == 0);
    ck_assert(ag_requires_grad(layer.weight) && ag_requires_grad(layer.bias));
}
END_TEST

START_TEST(convolutions_refuse) {
    ag_conv2d layer;
    const int64_t bad[][3] = {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {-1, 1, 1}};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ag_conv2d_init(&layer, tape, AG_F64, bad[i][0], bad[i][1], bad[i][2]), AG_ERR_RANGE);
        ck_assert(layer.weight && ag_is_nil(layer.weight) && ag_is_nil(layer.bias));
        expect_error(tape, AG_ERR_RANGE, "conv2d_init", "at least 1", "test_layers.c:");
    }
    ck_assert_int_eq(ag_conv2d_init(&layer, tape, AG_F64, 3, 4, INT64_MAX), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "");
    ck_assert_int_eq(ag_conv2d_init(NULL, tape, AG_F64, 3, 4, 2), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    ck_assert_int_eq(ag_conv2d_init(&layer, NULL, AG_F64, 3, 4, 2), AG_ERR_NULL);
    ag_clear_error(NULL);
    ag_tensor *x = f64(AG_SHAPE(2, 5, 6, 3), images);
    layer = golden_conv(AG_SHAPE(3, 2, 3, 4), conv_w, conv_b, 1, 0);
    ck_assert(ag_is_nil(ag_conv2d_apply(&layer, ag_permute(x, AG_AXES(0, 3, 1, 2)))));
    expect_error(tape, AG_ERR_SHAPE, "conv2d_apply", "(2,3,5,6)", "(3,2,3,4)", "(N,H,W,C)", "test_layers.c:");
    ag_conv2d_apply(&layer, ag_reshape(x, AG_SHAPE(10, 6, 3)));
    expect_error(tape, AG_ERR_SHAPE, "conv2d_apply");
    ag_conv2d_apply(&layer, ag_slice(x, 1, 0, 2, 1));
    expect_error(tape, AG_ERR_SHAPE, "conv2d_apply", "a window of 3", "axis 1", "2");
    ag_conv2d_apply(&layer, ag_cast(x, AG_F32));
    expect_error(tape, AG_ERR_DTYPE, "conv2d_apply", "dtypes f32 and f64 differ");
    ag_conv2d_apply(&layer, NULL);
    expect_error(tape, AG_ERR_NULL, "conv2d_apply");
    ag_conv2d_apply(NULL, x);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    const int64_t wrong[][2] = {{0, 0}, {-2, 0}, {1, -1}, {1, INT64_MAX}};
    for (int i = 0; i < 4; i++) {
        layer.stride = wrong[i][0], layer.padding = wrong[i][1];
        ag_conv2d_apply(&layer, x);
        expect_error(tape, AG_ERR_RANGE, "conv2d_apply", "stride", "padding");
    }
    layer = (ag_conv2d){ag_zeros(tape, AG_F64, AG_SHAPE(0, 2, 3, 4)), layer.bias, 1, 0};
    ag_conv2d_apply(&layer, x);
    expect_error(tape, AG_ERR_SHAPE, "a window of 0");
    ag_conv2d empty = {.stride = 1};
    ag_conv2d_apply(&empty, x);
    expect_error(tape, AG_ERR_NULL, "NULL");
}
END_TEST

/* ---- Pooling ---- */

typedef ag_tensor *pooling(ag_tensor *x, int64_t size, int64_t stride);

static void expect_pooling(pooling *pool, int64_t size, int64_t stride, ag_shape shape, const double y_[],
                           const double g_[], const double dx_[]) {
    ag_tensor *x = f64(AG_SHAPE(2, 5, 6, 3), pooled_images), *y = pool(x, size, stride), *g = f64(shape, g_), *dx;
    expect_shape(y, shape);
    expect_near(y, shape_size(&shape), y_, ROUNDING, 1);
    ag_vjp(1, &y, &g, 1, &x, &dx, AG_STRICT);
    expect_near(dx, ag_size(x), dx_, ROUNDING, 1);
    expect_ok(tape);
}

START_TEST(pooling_agrees_with_pytorch) {
    ag_shape apart = AG_SHAPE(2, 2, 3, 3), over = AG_SHAPE(2, 3, 4, 3), gaps = AG_SHAPE(2, 2, 2, 3);
    expect_pooling((ag_max_pool2d), 2, 2, apart, max_apart_y, max_apart_g, max_apart_dx);
    expect_pooling((ag_avg_pool2d), 2, 2, apart, avg_apart_y, avg_apart_g, avg_apart_dx);
    expect_pooling((ag_max_pool2d), 3, 1, over, max_overlapping_y, max_overlapping_g, max_overlapping_dx);
    expect_pooling((ag_avg_pool2d), 3, 1, over, avg_overlapping_y, avg_overlapping_g, avg_overlapping_dx);
    expect_pooling((ag_max_pool2d), 2, 3, gaps, max_gaps_y, max_gaps_g, max_gaps_dx);
    expect_pooling((ag_avg_pool2d), 2, 3, gaps, avg_gaps_y, avg_gaps_g, avg_gaps_dx);
}
END_TEST

static ag_tensor *pool_both(void *context, int n, ag_tensor *const x[]) {
    const int64_t *numbers = context;
    ck_assert_int_eq(n, 1);
    return ag_add(ag_square(ag_max_pool2d(x[0], numbers[0], numbers[1])),
                  ag_square(ag_avg_pool2d(x[0], numbers[0], numbers[1])));
}

START_TEST(pooling_passes_gradcheck_twice_over) {
    int64_t numbers[][2] = {{2, 2}, {2, 1}, {1, 2}, {3, 3}};
    ag_tensor *x = f64(AG_SHAPE(1, 5, 4, 2), pooled_images);
    for (int i = 0; i < 4; i++) expect_gradcheck(pool_both, numbers[i], 1, &x);
}
END_TEST

START_TEST(pooling_without_overlap_copies_nothing) {
    ag_tensor *x = f64(AG_SHAPE(2, 5, 6, 3), pooled_images), *y = ag_max_pool2d(x, 2, 2), *in = y;
    for (int i = 0; i < 3; i++) in = ag_input(in, 0);
    ck_assert_str_eq(ag_op_of(ag_input(y, 0))->name, "reshape");
    ck_assert_ptr_eq(in, x);
    ag_tensor *even = ag_ones(tape, AG_F64, AG_SHAPE(1, 2, 2, 1)), *dx; /* ties share */
    ag_grad(ag_sum(ag_max_pool2d(even, 2, 2)), 1, &even, &dx);
    expect_list(dx, 0.25, 0.25, 0.25, 0.25);
}
END_TEST

START_TEST(pooling_refuses) {
    pooling *const pool[] = {(ag_max_pool2d), (ag_avg_pool2d)};
    const char *const name[] = {"max_pool2d", "avg_pool2d"};
    ag_tensor *x = f64(AG_SHAPE(2, 5, 6, 3), images);
    for (int i = 0; i < 2; i++) {
        ck_assert(ag_is_nil(pool[i](x, 0, 1)));
        expect_error(tape, AG_ERR_RANGE, name[i], "size 0");
        pool[i](x, 2, -1);
        expect_error(tape, AG_ERR_RANGE, name[i], "stride -1");
        pool[i](x, 6, 6);
        expect_error(tape, AG_ERR_SHAPE, name[i], "a window of 6", "5 with padding", "(2,5,6,3)");
        pool[i](ag_reshape(x, AG_SHAPE(10, 6, 3)), 2, 2);
        expect_error(tape, AG_ERR_SHAPE, name[i], "(N,H,W,C)");
        pool[i](NULL, 2, 2);
        expect_error(NULL, AG_ERR_NULL, name[i]);
    }
    ag_avg_pool2d(ag_cast(x, AG_I64), 2, 2);
    expect_error(tape, AG_ERR_DTYPE, "i64", "test_layers.c:");
    ag_max_pool2d(ag_cast(x, AG_BOOL), 2, 2);
    expect_error(tape, AG_ERR_DTYPE, "bool", "test_layers.c:");
}
END_TEST

/* ---- Embedding ---- */

START_TEST(an_embedding_gathers_rows_and_adds_their_gradients) {
    const double table[] = {0, 1, 10, 11, 20, 21, 30, 31};
    ag_embedding layer = {parameter(AG_SHAPE(4, 2), table)};
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(2, 3), (int64_t[]){3, 0, 3, 1, 3, 0}), *dw;
    ag_tensor *y = ag_embedding_apply(&layer, index), *g = f64(AG_SHAPE(2, 3, 2), images);
    expect_shape(y, AG_SHAPE(2, 3, 2));
    expect_list(y, 30, 31, 0, 1, 30, 31, 10, 11, 30, 31, 0, 1);
    ag_vjp(1, &y, &g, 1, &layer.weight, &dw, AG_STRICT);
    const double *v = images;
    expect_list(dw, v[2] + v[10], v[3] + v[11], v[6], v[7], 0, 0, v[0] + v[4] + v[8], v[1] + v[5] + v[9]);
    expect_list(ag_embedding_apply(&layer, ag_scalar(tape, AG_I64, 2)), 20, 21);
    expect_shape(ag_embedding_apply(&layer, ag_zeros(tape, AG_I64, AG_SHAPE(0))), AG_SHAPE(0, 2));
    expect_ok(tape);
}
END_TEST

static ag_tensor *look_up(void *context, int n, ag_tensor *const x[]) {
    ck_assert_int_eq(n, 1);
    return ag_sum(ag_sin(ag_embedding_apply(&(ag_embedding){x[0]}, context)));
}

START_TEST(an_embedding_passes_gradcheck_twice_over) {
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(5), (int64_t[]){3, 0, 3, 1, 3}), *w = f64(AG_SHAPE(4, 2), images);
    expect_gradcheck(look_up, index, 1, &w);
}
END_TEST

START_TEST(an_embedding_begins_normal) {
    ag_embedding layer;
    ck_assert_int_eq(ag_embedding_init(&layer, tape, AG_F32, 100, 50), AG_OK);
    expect_shape(layer.weight, AG_SHAPE(100, 50));
    ck_assert(ag_requires_grad(layer.weight));
    ck_assert_double_eq_tol(ag_item(ag_mean(layer.weight)), 0, 0.07);
    ck_assert_double_eq_tol(ag_item(ag_var(layer.weight, 0)), 1, 0.1);
}
END_TEST

START_TEST(an_embedding_refuses) {
    ag_embedding layer;
    ck_assert_int_eq(ag_embedding_init(&layer, tape, AG_F64, 0, 2), AG_ERR_RANGE);
    ck_assert(layer.weight && ag_is_nil(layer.weight));
    expect_error(tape, AG_ERR_RANGE, "embedding_init", "0 rows of 2", "test_layers.c:");
    ck_assert_int_eq(ag_embedding_init(&layer, tape, AG_I64, 3, 2), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "");
    ck_assert_int_eq(ag_embedding_init(NULL, tape, AG_F64, 3, 2), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    ck_assert_int_eq(ag_embedding_init(&layer, NULL, AG_F64, 3, 2), AG_ERR_NULL);
    ag_clear_error(NULL);
    ck_assert_int_eq(ag_embedding_init(&layer, tape, AG_F64, 3, 2), AG_OK);
    ag_embedding_apply(&layer, ag_ones(tape, AG_F64, AG_SHAPE(4)));
    expect_error(tape, AG_ERR_DTYPE, "embedding_apply", "i64", "test_layers.c:");
    ag_embedding_apply(&layer, ag_zeros(tape, AG_I64, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1)));
    expect_error(tape, AG_ERR_SHAPE, "embedding_apply", "7 axes");
    ag_embedding_apply(&layer, NULL);
    expect_error(tape, AG_ERR_NULL, "embedding_apply");
    ag_embedding_apply(NULL, ag_zeros(tape, AG_I64, AG_SHAPE(2)));
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    const int64_t bad[] = {3, -1};
    for (int i = 0; i < 2; i++) {
        ag_tensor *y = ag_embedding_apply(&layer, ag_from(tape, AG_I64, AG_SHAPE(1), &bad[i]));
        expect_ok(tape);
        ag_eval(y);
        expect_error(tape, AG_ERR_RANGE, "embedding_apply: x i64 (1)", i ? "index -1 at [0]" : "index 3 at [0]",
                     "3 rows", "test_layers.c:");
    }
    ag_tensor *pairs = ag_label(ag_from(tape, AG_I64, AG_SHAPE(2, 3), (int64_t[]){0, 1, 2, 0, 1, 7}), "words");
    ag_tensor *y = ag_embedding_apply(&layer, ag_transpose(pairs, 0, 1));
    ag_eval(y);
    expect_error(tape, AG_ERR_RANGE, "embedding_apply", "(3,2)", "index 7 at [2,1]", "3 rows");
    y = ag_embedding_apply(&layer, pairs);
    ag_eval(y);
    expect_error(tape, AG_ERR_RANGE, "embedding_apply: words i64 (2,3)", "index 7 at [1,2]");
    y = ag_embedding_apply(&layer, ag_scalar(tape, AG_I64, 7));
    ag_eval(y);
    expect_error(tape, AG_ERR_RANGE, "embedding_apply", "index 7 at []");
}
END_TEST

/* ---- Long short-term memory ---- */

static ag_lstm_cell golden_lstm(void) {
    return (ag_lstm_cell){parameter(AG_SHAPE(3, 16), lstm_wx), parameter(AG_SHAPE(4, 16), lstm_wh),
                          parameter(AG_SHAPE(16), lstm_b)};
}

static ag_tensor *place_of(ag_tensor *x, int64_t step) {
    return ag_squeeze(ag_slice(x, 0, step, step + 1, 1), AG_AXES(0));
}

START_TEST(lstm_agrees_with_pytorch) {
    ag_lstm_cell layer = golden_lstm();
    ag_tensor *x = f64(AG_SHAPE(3, 2, 3), lstm_x), *h = f64(AG_SHAPE(2, 4), lstm_h), *c = f64(AG_SHAPE(2, 4), lstm_c);
    ag_lstm_state state = {h, c};
    for (int step = 0; step < 3; step++)
        ck_assert_ptr_eq(ag_lstm_cell_apply(&layer, place_of(x, step), &state), state.hidden);
    expect_golden(state.hidden, lstm_h3);
    expect_golden(state.cell, lstm_c3);
    ag_tensor *g = f64(AG_SHAPE(2, 4), lstm_g), *y[] = {state.hidden, state.cell}, *ybar[] = {g, ag_scale(g, 2)}, *d[6];
    ag_vjp(2, y, ybar, 6, (ag_tensor *[]){x, h, c, layer.input_weight, layer.hidden_weight, layer.bias}, d, AG_STRICT);
    expect_golden(d[0], lstm_dx);
    expect_golden(d[1], lstm_dh);
    expect_golden(d[2], lstm_dc);
    expect_golden(d[3], lstm_dwx);
    expect_golden(d[4], lstm_dwh);
    expect_golden(d[5], lstm_db);
    expect_ok(tape);
}
END_TEST

START_TEST(lstm_begins_with_zeros) {
    ag_lstm_cell layer = golden_lstm();
    ag_tensor *x = f64(AG_SHAPE(2, 3), lstm_x), *zeros = ag_zeros(tape, AG_F64, AG_SHAPE(2, 4));
    ag_lstm_state none = {NULL, NULL}, state = {zeros, zeros};
    ag_tensor *y = ag_lstm_cell_apply(&layer, x, &none), *same = ag_lstm_cell_apply(&layer, x, &state);
    expect_near(ag_sub(y, same), 8, (double[8]){0}, ROUNDING, 1);
    expect_near(ag_sub(none.cell, state.cell), 8, (double[8]){0}, ROUNDING, 1);
    ck_assert_int_eq(ag_lstm_cell_init(&layer, tape, AG_F32, 5, 30), AG_OK);
    expect_shape(layer.input_weight, AG_SHAPE(5, 120));
    expect_shape(layer.hidden_weight, AG_SHAPE(30, 120));
    expect_shape(layer.bias, AG_SHAPE(120));
    double most = ag_item(ag_max(ag_abs(layer.hidden_weight))), bound = 1 / sqrt(30);
    ck_assert(most <= bound + 1e-7 && most > 0.99 * bound);
    ck_assert(ag_requires_grad(layer.input_weight) && ag_requires_grad(layer.bias));
}
END_TEST

static ag_tensor *two_steps(void *context, int n, ag_tensor *const x[]) {
    (void)context;
    ck_assert_int_eq(n, 5);
    ag_lstm_cell layer = {x[0], x[1], x[2]};
    ag_lstm_state state = {x[3], NULL};
    ag_lstm_cell_apply(&layer, place_of(x[4], 0), &state);
    return ag_add(ag_sum(ag_square(ag_lstm_cell_apply(&layer, place_of(x[4], 1), &state))), ag_sum(state.cell));
}

START_TEST(lstm_passes_gradcheck_twice_over) {
    ag_tensor *x[] = {f64(AG_SHAPE(2, 8), lstm_wx), f64(AG_SHAPE(2, 8), lstm_wh), f64(AG_SHAPE(8), lstm_b),
                      f64(AG_SHAPE(3, 2), lstm_h), f64(AG_SHAPE(2, 3, 2), lstm_x)};
    expect_gradcheck(two_steps, NULL, 5, x);
}
END_TEST

START_TEST(lstm_refuses) {
    ag_lstm_cell layer;
    const int64_t bad[][2] = {{0, 2}, {2, 0}, {2, -1}, {2, INT64_MAX}};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ag_lstm_cell_init(&layer, tape, AG_F64, bad[i][0], bad[i][1]), AG_ERR_RANGE);
        ck_assert(layer.bias && ag_is_nil(layer.bias) && ag_is_nil(layer.input_weight) &&
                  ag_is_nil(layer.hidden_weight));
        expect_error(tape, AG_ERR_RANGE, "lstm_cell_init", "test_layers.c:");
    }
    ck_assert_int_eq(ag_lstm_cell_init(NULL, tape, AG_F64, 2, 2), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    ck_assert_int_eq(ag_lstm_cell_init(&layer, NULL, AG_F64, 2, 2), AG_ERR_NULL);
    ag_clear_error(NULL);
    layer = golden_lstm();
    ag_tensor *x = f64(AG_SHAPE(2, 3), lstm_x), *h = f64(AG_SHAPE(2, 4), lstm_h);
    ag_lstm_state state = {h, h};
    ck_assert(ag_is_nil(ag_lstm_cell_apply(&layer, h, &state)));
    expect_error(tape, AG_ERR_SHAPE, "lstm_cell_apply", "(2,4)", "(3,16)", "(4,16)", "test_layers.c:");
    ck_assert(state.hidden && ag_is_nil(state.hidden) && ag_is_nil(state.cell));
    state = (ag_lstm_state){h, ag_slice(h, 0, 0, 1, 1)};
    ag_lstm_cell_apply(&layer, x, &state);
    expect_error(tape, AG_ERR_SHAPE, "lstm_cell_apply", "(1,4)", "must be (2,4)");
    state = (ag_lstm_state){x, h};
    ag_lstm_cell_apply(&layer, x, &state);
    expect_error(tape, AG_ERR_SHAPE, "lstm_cell_apply", "(2,4)");
    state = (ag_lstm_state){ag_cast(h, AG_F32), h};
    ag_lstm_cell_apply(&layer, x, &state);
    expect_error(tape, AG_ERR_DTYPE, "");
    state = (ag_lstm_state){h, h};
    ag_lstm_cell_apply(&layer, NULL, &state);
    expect_error(tape, AG_ERR_NULL, "lstm_cell_apply");
    ag_lstm_cell_apply(&layer, x, NULL);
    expect_error(tape, AG_ERR_NULL, "lstm_cell_apply", "state is NULL");
    ag_lstm_cell_apply(NULL, x, &state);
    expect_error(tape, AG_ERR_NULL, "lstm_cell_apply", "the layer");
    ck_assert(ag_is_nil(state.hidden));
    layer.hidden_weight = ag_ones(tape, AG_F64, AG_SHAPE(4, 12));
    state = (ag_lstm_state){h, h};
    ag_lstm_cell_apply(&layer, x, &state);
    expect_error(tape, AG_ERR_SHAPE, "lstm_cell_apply", "(4,12)");
}
END_TEST

/* ---- Attention ---- */

static ag_linear golden_part(int i) {
    return (ag_linear){parameter(AG_SHAPE(6, 6), attention_w + i * 36), parameter(AG_SHAPE(6), attention_b + i * 6)};
}

static ag_attention golden_attention(void) {
    return (ag_attention){golden_part(0), golden_part(1), golden_part(2), golden_part(3), 2, 0};
}

static void expect_attention(bool causal, const double y_[60], const double dx[60], const double dw[108],
                             const double db[18]) {
    ag_attention layer = golden_attention();
    const ag_linear *part[] = {&layer.query, &layer.key, &layer.value};
    ag_tensor *x = f64(AG_SHAPE(2, 5, 6), attention_x), *g = f64(AG_SHAPE(2, 5, 6), attention_g);
    ag_tensor *y = ag_attention_apply(&layer, x, causal), *of[7] = {x}, *d[7];
    for (int i = 0; i < 6; i++) of[i + 1] = i % 2 ? part[i / 2]->bias : part[i / 2]->weight;
    ag_vjp(1, &y, &g, 7, of, d, AG_STRICT);
    expect_shape(y, AG_SHAPE(2, 5, 6));
    expect_near(y, 60, y_, ROUNDING, 4);
    expect_near(d[0], 60, dx, ROUNDING, 4);
    for (int i = 0; i < 3; i++) {
        expect_near(d[1 + 2 * i], 36, dw + 36 * i, ROUNDING, 16);
        expect_near(d[2 + 2 * i], 6, db + 6 * i, ROUNDING, 16);
    }
    expect_ok(tape);
}

START_TEST(attention_agrees_with_pytorch) {
    expect_attention(false, attention_y, attention_dx, attention_dw, attention_db);
    expect_attention(true, causal_y, causal_dx, causal_dw, causal_db);
}
END_TEST

static ag_tensor *attend(void *context, int n, ag_tensor *const x[]) {
    ag_attention layer = golden_attention();
    ck_assert_int_eq(n, 2);
    layer.key.weight = x[1];
    return ag_sum(ag_sin(ag_attention_apply(&layer, x[0], *(bool *)context)));
}

START_TEST(attention_passes_gradcheck_twice_over) {
    ag_tensor *x[] = {f64(AG_SHAPE(1, 3, 6), attention_x), f64(AG_SHAPE(6, 6), attention_w)};
    for (int causal = 0; causal < 2; causal++) expect_gradcheck(attend, &(bool){causal}, 2, x);
}
END_TEST

START_TEST(causal_attention_does_not_look_ahead) {
    ag_attention layer = golden_attention();
    ag_tensor *x = f64(AG_SHAPE(2, 5, 6), attention_x), *y = ag_attention_apply(&layer, x, true), *dx;
    ag_grad(ag_sum(ag_square(ag_slice(y, 1, 0, 3, 1))), 1, &x, &dx);
    expect_item(ag_max(ag_abs(ag_slice(dx, 1, 3, AG_END, 1))), 0);
    ck_assert_double_gt(ag_item(ag_min(ag_sum_over(ag_abs(ag_slice(dx, 1, 0, 3, 1)), AG_AXES(2), false))), 0);
    expect_shape(ag_attention_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(0, 5, 6)), true), AG_SHAPE(0, 5, 6));
    ag_attention single;
    ck_assert_int_eq(ag_attention_init(&single, tape, AG_F32, 8, 4), AG_OK);
    ck_assert_int_eq(single.heads, 4);
    ag_tensor *z = ag_attention_apply(&single, scattered(tape, AG_F32, AG_SHAPE(2, 3, 8), 0), true);
    expect_shape(z, AG_SHAPE(2, 3, 8));
    ck_assert(isfinite(ag_item(ag_sum(z))));
}
END_TEST

START_TEST(attention_refuses) {
    ag_attention layer;
    const int64_t bad[][2] = {{6, 4}, {6, 0}, {6, -2}, {0, 1}, {-6, 2}};
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(ag_attention_init(&layer, tape, AG_F64, bad[i][0], bad[i][1]), AG_ERR_RANGE);
        ck_assert(layer.query.weight && ag_is_nil(layer.query.weight) && ag_is_nil(layer.output.bias));
        expect_error(tape, AG_ERR_RANGE, "attention_init", "features", "test_layers.c:");
    }
    ck_assert_int_eq(ag_attention_init(&layer, tape, AG_I64, 6, 2), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "test_layers.c:");
    ck_assert_int_eq(ag_attention_init(NULL, tape, AG_F64, 6, 2), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    ck_assert_int_eq(ag_attention_init(&layer, NULL, AG_F64, 6, 2), AG_ERR_NULL);
    ag_clear_error(NULL);
    layer = golden_attention();
    ag_tensor *x = f64(AG_SHAPE(2, 5, 6), attention_x);
    ck_assert(ag_is_nil(ag_attention_apply(&layer, ag_transpose(x, 1, 2), false)));
    expect_error(tape, AG_ERR_SHAPE, "attention_apply", "(2,6,5)", "(6,6)", "test_layers.c:");
    ag_attention_apply(&layer, ag_reshape(x, AG_SHAPE(10, 6)), false);
    expect_error(tape, AG_ERR_SHAPE, "attention_apply");
    ag_attention_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(2, 0, 6)), false);
    expect_error(tape, AG_ERR_SHAPE, "attention_apply", "(2,0,6)");
    ag_attention_apply(&layer, ag_cast(x, AG_F32), false);
    expect_error(tape, AG_ERR_DTYPE, "attention_apply", "dtypes f32 and f64 differ");
    ag_attention_apply(&layer, NULL, false);
    expect_error(tape, AG_ERR_NULL, "attention_apply");
    ag_attention_apply(NULL, x, false);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    layer.heads = 4;
    ag_attention_apply(&layer, x, false);
    expect_error(tape, AG_ERR_RANGE, "4 heads");
    layer.heads = 0;
    ag_attention_apply(&layer, x, false);
    expect_error(tape, AG_ERR_RANGE, "0 heads");
}
END_TEST

/* ---- Without biases ---- */

/* A layer with biases and one without, of the same seed. With biases of 0 the two are the same function. */
typedef struct pair {
    ag_linear linear[2];
    ag_batchnorm batchnorm[2];
    ag_layernorm layernorm[2];
    ag_conv2d conv[2];
    ag_lstm_cell lstm[2];
    ag_attention attention[2];
} pair;

static void open_pair(pair *p, ag_dtype dtype) {
    for (int i = 0; i < 2; i++) {
        const ag_layer_options without = {.unbiased = i};
        ag_tape_seed(tape, 21);
        ck_assert_int_eq(ag_linear_init_with(&p->linear[i], tape, dtype, 4, 6, &without), AG_OK);
        ck_assert_int_eq(ag_batchnorm_init_with(&p->batchnorm[i], tape, dtype, 4, &without), AG_OK);
        ck_assert_int_eq(ag_layernorm_init_with(&p->layernorm[i], tape, dtype, 4, &without), AG_OK);
        ck_assert_int_eq(ag_conv2d_init_with(&p->conv[i], tape, dtype, 4, 3, 2, &without), AG_OK);
        ck_assert_int_eq(ag_lstm_cell_init_with(&p->lstm[i], tape, dtype, 4, 3, &without), AG_OK);
        ck_assert_int_eq(ag_attention_init_with(&p->attention[i], tape, dtype, 4, 2, &without), AG_OK);
    }
}

enum { PAIRS = 6 };

/* The result of layer `which` for x (3,4), and its parameters, the bias (if any) last. */
static ag_tensor *of_pair(pair *p, int which, int i, ag_tensor *x, ag_tensor *of[9], int *n, int *biases) {
    ag_lstm_state state = {NULL, NULL};
    ag_attention *a = &p->attention[i];
    ag_tensor *lists[PAIRS][9] = {
        {p->linear[i].weight, p->linear[i].bias},
        {p->batchnorm[i].gamma, p->batchnorm[i].beta},
        {p->layernorm[i].gamma, p->layernorm[i].beta},
        {p->conv[i].weight, p->conv[i].bias},
        {p->lstm[i].input_weight, p->lstm[i].hidden_weight, p->lstm[i].bias},
        {a->query.weight, a->key.weight, a->value.weight, a->output.weight, a->query.bias, a->key.bias, a->value.bias,
         a->output.bias},
    };
    *n = which == 4 ? 2 : which == 5 ? 4 : 1;
    *biases = which == 5 ? 4 : 1;
    memcpy(of, lists[which], sizeof lists[which]);
    switch (which) {
    case 0: return ag_linear_apply(&p->linear[i], x);
    case 1: return ag_batchnorm_apply(&p->batchnorm[i], x, true);
    case 2: return ag_layernorm_apply(&p->layernorm[i], x);
    case 3:
        return ag_conv2d_apply(&p->conv[i],
                               ag_reshape(ag_concat(3, (ag_tensor *[]){x, x, x}, 0), AG_SHAPE(1, 3, 3, 4)));
    case 4: ag_lstm_cell_apply(&p->lstm[i], x, &state); return ag_lstm_cell_apply(&p->lstm[i], ag_sin(x), &state);
    default: return ag_attention_apply(a, ag_unsqueeze(x, 0), true);
    }
}

START_TEST(layers_without_biases_are_those_with_biases_of_zero) {
    const ag_dtype dtypes[] = {AG_F32, AG_F64};
    pair p;
    open_pair(&p, dtypes[_i % 2]);
    int which = _i / 2, n, biases;
    ag_tensor *x = scattered(tape, dtypes[_i % 2], AG_SHAPE(3, 4), 5), *of[2][9], *y[2], *d[2][5];
    for (int i = 0; i < 2; i++) {
        y[i] = of_pair(&p, which, i, x, of[i], &n, &biases);
        for (int k = 0; k < biases; k++) ck_assert(i ? !of[i][n + k] : ag_requires_grad(of[i][n + k]));
        of[i][n] = x;
        ag_grad(ag_sum(ag_sin(y[i])), n + 1, of[i], d[i]);
    }
    expect_ok(tape);
    expect_same(ag_add_scalar(y[0], 0), ag_add_scalar(y[1], 0)); /* −0 + 0 is 0 */
    for (int k = 0; k <= n; k++) {
        expect_same(of[0][k], of[1][k]);
        expect_same(ag_add_scalar(d[0][k], 0), ag_add_scalar(d[1][k], 0));
        ck_assert_double_gt(ag_item(ag_max(ag_abs(d[1][k]))), 0);
    }
}
END_TEST

static ag_tensor *without_bias(void *context, int n, ag_tensor *const x[]) {
    const pair *p = ((void **)context)[0];
    int which = *(int *)((void **)context)[1];
    pair own = *p;
    ag_tensor *of[9];
    int parameters, biases;
    if (which == 0) own.linear[1].weight = x[1];
    else if (which == 1) own.batchnorm[1].gamma = x[1];
    else if (which == 2) own.layernorm[1].gamma = x[1];
    else if (which == 3) own.conv[1].weight = x[1];
    else if (which == 4) own.lstm[1].hidden_weight = x[1];
    else own.attention[1].key.weight = x[1];
    ck_assert_int_eq(n, 2);
    return ag_sum(ag_sin(of_pair(&own, which, 1, x[0], of, &parameters, &biases)));
}

START_TEST(layers_without_biases_pass_gradcheck_twice_over) {
    pair p;
    open_pair(&p, AG_F64);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(3, 4), 5), *of[9];
    int n, biases, which = _i;
    of_pair(&p, which, 1, x, of, &n, &biases);
    ag_tensor *in[] = {x, which == 4 || which == 5 ? of[1] : of[0]};
    expect_gradcheck(without_bias, (void *[]){&p, &which}, 2, in);
}
END_TEST

START_TEST(layers_without_biases_refuse) {
    const ag_layer_options without = {.unbiased = true};
    pair p;
    open_pair(&p, AG_F64);
    ck_assert_int_eq(ag_linear_init_with(&p.linear[1], tape, AG_F64, 0, 3, &without), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "linear_init_with", "0 inputs", "test_layers.c:");
    ck_assert(p.linear[1].bias && ag_is_nil(p.linear[1].bias));
    ck_assert_int_eq(ag_batchnorm_init_with(&p.batchnorm[1], tape, AG_F64, 0, &without), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "batchnorm_init_with", "0 channels", "test_layers.c:");
    ck_assert_int_eq(ag_layernorm_init_with(&p.layernorm[1], tape, AG_F64, -1, &without), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "layernorm_init_with", "-1 features", "test_layers.c:");
    ck_assert_int_eq(ag_conv2d_init_with(NULL, tape, AG_F64, 1, 1, 1, &without), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "conv2d_init_with", "the layer is NULL", "test_layers.c:");
    ck_assert_int_eq(ag_lstm_cell_init_with(&p.lstm[1], NULL, AG_F64, 1, 1, &without), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "lstm_cell_init_with", "the tape is NULL", "test_layers.c:");
    ck_assert_int_eq(ag_attention_init_with(&p.attention[1], tape, AG_F64, 5, 2, &without), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "attention_init_with", "5 features", "test_layers.c:");
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(3, 4), 5), *bias = ag_zeros(tape, AG_F64, AG_SHAPE(2));
    p.linear[0].bias = bias;
    ag_linear_apply(&p.linear[0], x);
    expect_error(tape, AG_ERR_SHAPE, "linear_apply", "(2)", "the bias must be (6), or NULL", "test_layers.c:");
    p.lstm[0].bias = bias;
    ag_lstm_cell_apply(&p.lstm[0], x, &(ag_lstm_state){NULL, NULL});
    expect_error(tape, AG_ERR_SHAPE, "lstm_cell_apply", "(2)", "the bias must be (4·H), or NULL");
    p.conv[0].bias = bias;
    ag_conv2d_apply(&p.conv[0], ag_zeros(tape, AG_F64, AG_SHAPE(1, 3, 3, 4)));
    expect_error(tape, AG_ERR_SHAPE, "conv2d_apply", "(2)", "the bias must be (K), or NULL");
}
END_TEST

/* ---- Errors in the caller's terms ---- */

/* The layer reports dtypes that differ, with shapes that the caller has seen. */
START_TEST(dtypes_are_refused_by_the_layer) {
    pair p;
    open_pair(&p, AG_F64);
    const ag_dtype wrong[] = {AG_F32, AG_I64, AG_BOOL};
    for (int i = 0; i < 3; i++) {
        ag_tensor *x = ag_zeros(tape, wrong[i], AG_SHAPE(3, 4)),
                  *image = ag_zeros(tape, wrong[i], AG_SHAPE(2, 3, 3, 4));
        ag_lstm_state state = {NULL, NULL};
        char said[60];
        snprintf(said, sizeof said, "dtypes %s and f64 differ", ag_dtype_name(wrong[i]));
        ck_assert(ag_is_nil(ag_linear_apply(&p.linear[0], x)));
        expect_error(tape, AG_ERR_DTYPE, "linear_apply", said, "(3,4)", "test_layers.c:");
        ck_assert(ag_is_nil(ag_batchnorm_apply(&p.batchnorm[0], x, true)));
        expect_error(tape, AG_ERR_DTYPE, "batchnorm_apply", said, "(3,4)", "test_layers.c:");
        ck_assert(ag_is_nil(ag_layernorm_apply(&p.layernorm[0], x)));
        expect_error(tape, AG_ERR_DTYPE, "layernorm_apply", said, "(3,4)", "test_layers.c:");
        ck_assert(ag_is_nil(ag_conv2d_apply(&p.conv[0], image)));
        expect_error(tape, AG_ERR_DTYPE, "conv2d_apply", said, "(2,3,3,4)", "test_layers.c:");
        ck_assert(ag_is_nil(ag_lstm_cell_apply(&p.lstm[0], x, &state)));
        expect_error(tape, AG_ERR_DTYPE, "lstm_cell_apply", said, "(3,4)", "test_layers.c:");
        ck_assert(ag_is_nil(ag_attention_apply(&p.attention[0], ag_unsqueeze(x, 0), true)));
        expect_error(tape, AG_ERR_DTYPE, "attention_apply", said, "(1,3,4)", "test_layers.c:");
        ck_assert(ag_is_nil(ag_avg_pool2d(image, 2, 2)) == (i > 0));
        if (i > 0) expect_error(tape, AG_ERR_DTYPE, "avg_pool2d", "(2,3,3,4)", ag_dtype_name(wrong[i]));
        if (i > 0) ag_linear_init(&p.linear[1], tape, wrong[i], 2, 2);
        if (i > 0)
            expect_error(tape, AG_ERR_DTYPE, "linear_init: the dtype must be f32 or f64, not", ag_dtype_name(wrong[i]));
    }
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(3, 4)), *single = ag_zeros(tape, AG_F32, AG_SHAPE(3, 3));
    ag_lstm_cell_apply(&p.lstm[0], x, &(ag_lstm_state){NULL, single});
    expect_error(tape, AG_ERR_DTYPE, "lstm_cell_apply", "dtypes f64 and f32 differ", "(3,3)", "test_layers.c:");
    ag_max_pool2d(ag_zeros(tape, AG_BOOL, AG_SHAPE(2, 4, 4, 1)), 2, 2);
    expect_error(tape, AG_ERR_DTYPE, "max_pool2d", "(2,4,4,1)", "bool");
    p.layernorm[0].beta = p.batchnorm[0].beta = ag_zeros(tape, AG_F64, AG_SHAPE(3));
    ag_layernorm_apply(&p.layernorm[0], x);
    expect_error(tape, AG_ERR_SHAPE, "layernorm_apply", "(3)", "beta must be (C), or NULL");
    ag_batchnorm_apply(&p.batchnorm[0], x, true);
    expect_error(tape, AG_ERR_SHAPE, "batchnorm_apply", "(3)", "beta must be (C), or NULL");
}
END_TEST

/* Nodes of the layers have the line of the program, which an error of their data names. */
START_TEST(nodes_are_at_the_callers_line) {
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(1, 1, 1)), *index = ag_full(tape, AG_I64, AG_SHAPE(1, 1, 1), 4);
    ag_data(ag_max_unpool(x, index, AG_SHAPE(4)));
    expect_error(tape, AG_ERR_RANGE, "max_unpool", "test_layers.c:");
}
END_TEST

/* ---- Whole networks ---- */

/* Two convolutions, pooling, a hidden layer: some steps on random images, by SGD. */
static ag_status train_images(ag_tape *t) {
    ag_conv2d first, second;
    ag_linear hidden, output;
    ag_conv2d_init(&first, t, AG_F32, 1, 3, 3);
    ag_conv2d_init(&second, t, AG_F32, 3, 4, 2);
    ag_linear_init(&hidden, t, AG_F32, 16, 8);
    ag_linear_init(&output, t, AG_F32, 8, 3);
    first.padding = 1;
    ag_tensor *p[] = {first.weight,  first.bias,  second.weight, second.bias,
                      hidden.weight, hidden.bias, output.weight, output.bias},
              *dp[8];
    ag_slot slots[8];
    ag_sgd sgd;
    ag_sgd_init(&sgd, 8, p, slots, 0.2, 0);
    ag_mark mark = ag_tape_mark(t);
    double start = 0, end = 0;
    for (int i = 0; i < 30 && ag_tape_status(t) == AG_OK; i++) {
        ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(6, 10, 10, 1), 0);
        ag_tensor *y = ag_from(t, AG_I64, AG_SHAPE(6), (int64_t[6]){0, 1, 2, 0, 1, 2});
        ag_tensor *h = ag_max_pool2d(ag_relu(ag_conv2d_apply(&first, x)), 2, 2);  /* 6 5 5 3 */
        ag_tensor *k = ag_avg_pool2d(ag_relu(ag_conv2d_apply(&second, h)), 2, 2); /* 6 2 2 4 */
        ag_tensor *flat = ag_relu(ag_linear_apply(&hidden, ag_reshape(k, AG_SHAPE(6, 16))));
        ag_tensor *loss = ag_cross_entropy(ag_linear_apply(&output, flat), y);
        ag_grad(loss, 8, p, dp);
        ag_sgd_step(&sgd, dp);
        end = ag_item(loss);
        if (i == 0) start = end;
        ag_tape_rewind(t, mark);
    }
    if (ag_tape_status(t) == AG_OK) ck_assert_double_lt(end, 0.5 * start);
    return ag_tape_status(t);
}

/* Embedding, attention with a normalisation, a recurrent cell: which of three words came first, by RMSProp. */
static ag_status train_sequences(ag_tape *t) {
    ag_embedding words;
    ag_attention attention;
    ag_layernorm norm;
    ag_lstm_cell cell;
    ag_linear output;
    ag_tape_seed(t, 11);
    ag_embedding_init(&words, t, AG_F32, 3, 4);
    ag_attention_init(&attention, t, AG_F32, 4, 2);
    ag_layernorm_init(&norm, t, AG_F32, 4);
    ag_lstm_cell_init(&cell, t, AG_F32, 4, 6);
    ag_linear_init(&output, t, AG_F32, 6, 3);
    ag_tensor *p[] = {words.weight,
                      attention.value.weight,
                      attention.output.weight,
                      norm.gamma,
                      norm.beta,
                      cell.input_weight,
                      cell.hidden_weight,
                      cell.bias,
                      output.weight,
                      output.bias},
              *dp[10];
    ag_slot slots[10];
    ag_rmsprop rmsprop;
    ag_rmsprop_init(&rmsprop, 10, p, slots);
    ag_mark mark = ag_tape_mark(t);
    double start = 0, end = 0;
    for (int i = 0; i < 30 && ag_tape_status(t) == AG_OK; i++) {
        ag_tensor *text =
            ag_from(t, AG_I64, AG_SHAPE(6, 3), (int64_t[]){0, 1, 2, 1, 0, 2, 2, 2, 0, 0, 0, 1, 1, 2, 2, 2, 1, 1});
        ag_tensor *label = ag_reshape(ag_slice(text, 1, 0, 1, 1), AG_SHAPE(6));
        ag_tensor *x = ag_embedding_apply(&words, text); /* 6 3 4 */
        ag_tensor *y = ag_layernorm_apply(&norm, ag_add(x, ag_attention_apply(&attention, x, true)));
        ag_lstm_state state = {NULL, NULL};
        for (int step = 0; step < 3; step++)
            ag_lstm_cell_apply(&cell, ag_squeeze(ag_slice(y, 1, step, step + 1, 1), AG_AXES(1)), &state);
        ag_tensor *loss = ag_cross_entropy(ag_linear_apply(&output, state.hidden), label);
        ag_grad(loss, 10, p, dp);
        ag_clip_norm(10, dp, 5);
        ag_rmsprop_step(&rmsprop, dp);
        end = ag_item(loss);
        if (i == 0) start = end;
        ag_tape_rewind(t, mark);
    }
    if (ag_tape_status(t) == AG_OK) ck_assert_double_lt(end, 0.5 * start);
    return ag_tape_status(t);
}

START_TEST(a_convolutional_network_learns) { ck_assert_int_eq(train_images(tape), AG_OK); }
END_TEST

START_TEST(a_network_for_sequences_learns) { ck_assert_int_eq(train_sequences(tape), AG_OK); }
END_TEST

START_TEST(every_failing_allocation_is_an_error) {
    ag_status (*const train[])(ag_tape *) = {train_images, train_sequences};
    with_each_allocation_failing(train[_i]);
}
END_TEST

/* A part that a recurrent layer lacks is as if it were zero; the weight from hidden features may have its own beginning. */
START_TEST(parts_of_recurrent_layers) {
    const ag_rnn sizes = {.cell = AG_CELL_GRU, .in = 2, .hidden = 3, .layers = 1};
    const ag_layer_options inner = {.hidden = {ag_init_constant, 0.25}};
    ag_rnn layer, without;
    ck_assert_int_eq(ag_rnn_init(&layer, tape, AG_F64, &sizes, &inner), AG_OK);
    expect_same(layer.parts->hidden_weight, ag_full(tape, AG_F64, AG_SHAPE(3, 9), 0.25));
    ck_assert(ag_item(ag_var(layer.parts->input_weight, 0)) > 0);
    ag_rnn_part part = *layer.parts;
    part.hidden_bias = NULL;
    without = layer, without.parts = &part;
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2, 3, 2), 1),
              *state = scattered(tape, AG_F64, AG_SHAPE(1, 2, 3), 40);
    for (int given = 0; given < 2; given++) {
        ag_rnn_state a = {.hidden = given ? state : NULL}, b = a;
        ag_tensor *y = ag_rnn_apply(&layer, x, NULL, &a, false); /* its biases begin with zeros */
        expect_same(ag_rnn_apply(&without, x, NULL, &b, false), y);
        expect_same(b.hidden, a.hidden);
    }
    expect_ok(tape);
}
END_TEST

/* An image of one element has only that, wherever it is looked at. */
START_TEST(one_element_sampled) {
    ag_tensor *x = f64(AG_SHAPE(1, 1, 2), (double[]){5, -7});
    ag_tensor *grid = f64(AG_SHAPE(1, 4, 1), (double[]){-1, 0.25, 1, 9});
    ag_tensor *want = ag_broadcast_to(x, AG_SHAPE(1, 4, 2));
    for (int mode = 0; mode < 2; mode++)
        for (int align = 0; align < 2; align++)
            expect_same(ag_grid_sample(x, grid, mode ? AG_LINEAR : AG_NEAREST, AG_BEYOND_REFLECTION, align), want);
    expect_ok(tape);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("layers");
    TCase *norm = tape_group(suite, "layernorm");
    tcase_add_test(norm, layernorm_agrees_with_pytorch);
    tcase_add_test(norm, layernorm_passes_gradcheck_twice_over);
    tcase_add_test(norm, layernorm_takes_any_leading_axes);
    tcase_add_test(norm, layernorm_refuses);
    TCase *convolution = tape_group(suite, "convolution");
    tcase_add_test(convolution, convolutions_agree_with_pytorch);
    tcase_add_test(convolution, convolutions_of_points);
    tcase_add_test(convolution, convolutions_pass_gradcheck_twice_over);
    tcase_add_test(convolution, convolutions_of_views_are_those_of_copies);
    tcase_add_test(convolution, convolutions_of_no_images);
    tcase_add_test(convolution, convolutions_begin_within_their_bound);
    tcase_add_test(convolution, convolutions_refuse);
    TCase *pools = tape_group(suite, "pooling");
    tcase_add_test(pools, pooling_agrees_with_pytorch);
    tcase_add_test(pools, pooling_passes_gradcheck_twice_over);
    tcase_add_test(pools, pooling_without_overlap_copies_nothing);
    tcase_add_test(pools, pooling_refuses);
    TCase *sequences = tape_group(suite, "sequences");
    tcase_add_test(sequences, an_embedding_gathers_rows_and_adds_their_gradients);
    tcase_add_test(sequences, an_embedding_passes_gradcheck_twice_over);
    tcase_add_test(sequences, an_embedding_begins_normal);
    tcase_add_test(sequences, an_embedding_refuses);
    tcase_add_test(sequences, lstm_agrees_with_pytorch);
    tcase_add_test(sequences, lstm_begins_with_zeros);
    tcase_add_test(sequences, lstm_passes_gradcheck_twice_over);
    tcase_add_test(sequences, lstm_refuses);
    tcase_add_test(sequences, attention_agrees_with_pytorch);
    tcase_add_test(sequences, attention_passes_gradcheck_twice_over);
    tcase_add_test(sequences, causal_attention_does_not_look_ahead);
    tcase_add_test(sequences, attention_refuses);
    TCase *unbiased = tape_group(suite, "without biases");
    tcase_add_loop_test(unbiased, layers_without_biases_are_those_with_biases_of_zero, 0, 2 * PAIRS);
    tcase_add_loop_test(unbiased, layers_without_biases_pass_gradcheck_twice_over, 0, PAIRS);
    tcase_add_test(unbiased, layers_without_biases_refuse);
    tcase_add_test(unbiased, dtypes_are_refused_by_the_layer);
    tcase_add_test(unbiased, nodes_are_at_the_callers_line);
    TCase *whole = tape_group(suite, "whole");
    tcase_add_test(whole, a_convolutional_network_learns);
    tcase_add_test(whole, a_network_for_sequences_learns);
    tcase_add_test(whole, parts_of_recurrent_layers);
    tcase_add_test(whole, one_element_sampled);
    tcase_add_loop_test(whole, every_failing_allocation_is_an_error, 0, 2);
    return run_suite(suite);
}
