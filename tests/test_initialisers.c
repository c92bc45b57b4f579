/* test_initialisers -- how parameters begin: moments, bounds, orthogonality; options of layers; refused calls */
#include "nn/nn.h"

#include <math.h>
#include <string.h>

#include "tests/support.h"

static const ag_dtype reals[] = {AG_F32, AG_F64};

static ag_initialiser *const all[] = {
    ag_init_he_uniform,       ag_init_he_normal, ag_init_xavier_uniform, ag_init_xavier_normal, ag_init_orthogonal,
    ag_init_truncated_normal, ag_init_normal,    ag_init_uniform,        ag_init_constant,      ag_init_zeros};
enum { ALL = sizeof all / sizeof *all };

static double largest(ag_tensor *x) { return ag_item(ag_max(ag_abs(x))); }
static double mean(ag_tensor *x) { return ag_item(ag_mean(ag_cast(x, AG_F64))); }
static double moment(ag_tensor *x, int power) { return ag_item(ag_mean(ag_pow_scalar(ag_cast(x, AG_F64), power))); }

/* ---- Moments: 60000 numbers, whose means are within five of their deviations ---- */

/* The mean is 0, the variance as said, and the fourth moment `kurtosis` times its square. */
static void expect_moments(ag_tensor *x, double variance, double kurtosis) {
    double n = (double)ag_size(x), v = moment(x, 2), k = moment(x, 4) / (variance * variance);
    ck_assert_double_le(fabs(mean(x)), 5 * sqrt(variance / n));
    ck_assert_double_le(fabs(v / variance - 1), 5 * sqrt((kurtosis - 1) / n));
    ck_assert_double_le(fabs(k - kurtosis), 5 * 12 / sqrt(n));
}

START_TEST(rules_by_fans_have_their_moments) {
    const ag_dtype dtype = reals[_i];
    const ag_shape matrix = AG_SHAPE(200, 300), window = AG_SHAPE(5, 4, 30, 100); /* fans 200, 300; 600, 2000 */
    const double UNIFORM = 1.8, NORMAL = 3;
    ag_tensor *u = ag_init_he_uniform(tape, dtype, matrix, 0);
    expect_moments(u, 2. / 200, UNIFORM);
    ck_assert_double_le(largest(u), sqrt(6. / 200));
    ck_assert_double_ge(largest(u), 0.999 * sqrt(6. / 200));
    expect_moments(ag_init_he_uniform(tape, dtype, window, 2), 4 * 2. / 600, UNIFORM);
    expect_moments(ag_init_he_normal(tape, dtype, matrix, 1), 2. / 200, NORMAL);
    expect_moments(ag_init_he_normal(tape, dtype, window, 0.5), 0.25 * 2. / 600, NORMAL);
    u = ag_init_xavier_uniform(tape, dtype, matrix, 0);
    expect_moments(u, 2. / 500, UNIFORM);
    ck_assert_double_le(largest(u), sqrt(6. / 500));
    expect_moments(ag_init_xavier_uniform(tape, dtype, window, 0), 2. / 2600, UNIFORM);
    expect_moments(ag_init_xavier_normal(tape, dtype, matrix, 0), 2. / 500, NORMAL);
    expect_moments(ag_init_xavier_normal(tape, dtype, window, 3), 9 * 2. / 2600, NORMAL);
    expect_moments(ag_init_normal(tape, dtype, matrix, 0), 1, NORMAL);
    expect_moments(ag_init_uniform(tape, dtype, matrix, 0.5), 0.25 / 3, UNIFORM);
    expect_ok(tape);
}
END_TEST

/* Within ±2 a normal variable has the variance 1 − 4φ(2)/(2Φ(2) − 1) and the fourth moment 3 − 28φ(2)/(2Φ(2) − 1); a
 * quarter of it is beyond the quartile of (1/4 + Φ(−2)/2), 0.6407446…. */
START_TEST(a_truncated_normal_variable_is_exactly_that) {
    const double inside = erf(sqrt(2)), density = exp(-2) / sqrt(2 * acos(-1));
    const double variance = 1 - 4 * density / inside, fourth = 3 - 28 * density / inside;
    ag_tensor *x = ag_init_truncated_normal(tape, reals[_i], AG_SHAPE(200, 300), 1);
    ck_assert_double_le(largest(x), 2);
    ck_assert_double_ge(largest(x), 1.998);
    expect_moments(x, variance, fourth / (variance * variance));
    const double quartile = 0.640744637276, n = 60000;
    ag_tensor *above = ag_greater(ag_cast(x, AG_F64), ag_scalar(tape, AG_F64, quartile));
    double share = mean(above), exact = 0.5 * (inside - erf(quartile / sqrt(2))) / inside;
    ck_assert_double_le(fabs(share - exact), 5 * sqrt(exact * (1 - exact) / n));
    ck_assert_double_le(largest(ag_init_truncated_normal(tape, reals[_i], AG_SHAPE(30), 0)), 0.04);
    expect_shape(ag_init_truncated_normal(tape, reals[_i], AG_SHAPE(0, 3), 1), AG_SHAPE(0, 3));
    expect_ok(tape);
}
END_TEST

/* ---- Orthogonal ---- */

static void expect_orthogonal(ag_dtype dtype, ag_shape shape, double gain) {
    ag_tensor *q = ag_init_orthogonal(tape, dtype, shape, gain);
    expect_shape(q, shape);
    ck_assert_int_eq(ag_dtype_of(q), dtype);
    int64_t columns = shape.extent[shape.rank - 1], rows = ag_size(q) / columns;
    ag_tensor *a = ag_cast(ag_reshape(q, AG_SHAPE(rows, columns)), AG_F64), *t = ag_transpose(a, 0, 1);
    ag_tensor *product = rows >= columns ? ag_matmul(t, a) : ag_matmul(a, t);
    int64_t n = rows < columns ? rows : columns;
    double square = gain == 0 ? 1 : gain * gain;
    ag_tensor *number = ag_arange(tape, AG_I64, n), *eye = ag_equal(ag_unsqueeze(number, 1), number);
    ag_tensor *error = ag_sub(product, ag_scale(ag_cast(eye, AG_F64), square));
    ck_assert_double_le(largest(error), square * (dtype == AG_F32 ? 4e-7 : 4e-15));
}

/* The operation of this name that y is computed by. */
static ag_tensor *node_of(ag_tensor *y, const char *name) {
    while (ag_op_of(y) && strcmp(ag_op_of(y)->name, name) != 0) y = ag_input(y, 0);
    ck_assert(ag_op_of(y));
    return y;
}

/* A program may record the operation again. */
START_TEST(only_a_matrix_of_f64_is_made_orthogonal) {
    ag_tensor *y = node_of(ag_init_orthogonal(tape, AG_F64, AG_SHAPE(3, 2), 1), "orthonormal");
    ag_tensor *x[] = {ag_zeros(tape, AG_F64, AG_SHAPE(2, 3, 2)), ag_zeros(tape, AG_F32, AG_SHAPE(3, 2))};
    for (int i = 0; i < 2; i++) {
        ck_assert(ag_is_nil(ag_apply(ag_op_of(y), 1, &x[i], NULL, 0)));
        ag_clear_error(tape);
    }
}
END_TEST

START_TEST(orthogonal_matrices_have_orthonormal_columns_or_rows) {
    const ag_dtype dtype = reals[_i];
    expect_orthogonal(dtype, AG_SHAPE(1, 1), 1);
    expect_orthogonal(dtype, AG_SHAPE(2, 2), 0);
    expect_orthogonal(dtype, AG_SHAPE(33, 33), 1);
    expect_orthogonal(dtype, AG_SHAPE(50, 7), 1.5);
    expect_orthogonal(dtype, AG_SHAPE(7, 50), 2);
    expect_orthogonal(dtype, AG_SHAPE(3, 3, 4, 8), 1);
    expect_orthogonal(dtype, AG_SHAPE(1, 9), 1);
    expect_shape(ag_init_orthogonal(tape, dtype, AG_SHAPE(0, 4), 1), AG_SHAPE(0, 4));
    expect_shape(ag_init_orthogonal(tape, dtype, AG_SHAPE(4, 0), 1), AG_SHAPE(4, 0));
    expect_ok(tape);
}
END_TEST

/* A uniform matrix's elements have mean 0 and variance 1/n, and so do its diagonal's: without the signs of Mezzadri, R
 * negative on its diagonal, the diagonal of Q would not have mean 0. */
START_TEST(orthogonal_matrices_are_uniform) {
    enum { N = 4, TIMES = 400 };
    double diagonal = 0, first = 0, square = 0;
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < TIMES; i++, ag_tape_rewind(tape, mark)) {
        const double *q = ag_data(ag_init_orthogonal(tape, AG_F64, AG_SHAPE(N, N), 1));
        for (int k = 0; k < N; k++) diagonal += q[k * N + k];
        first += q[0], square += q[0] * q[0];
    }
    ck_assert_double_le(fabs(diagonal / TIMES), 5 / sqrt(TIMES));
    ck_assert_double_le(fabs(first / TIMES), 5 * 0.5 / sqrt(TIMES));
    ck_assert_double_le(fabs(square / TIMES - 0.25), 5 * 0.25 / sqrt(TIMES));
}
END_TEST

/* ---- All of them ---- */

START_TEST(the_same_seed_gives_the_same_bits) {
    for (int i = 0; i < ALL; i++) {
        ag_tensor *x[3];
        for (int k = 0; k < 3; k++) {
            ag_tape_seed(tape, k == 2 ? 8 : 7);
            ag_tape_set_threads(tape, 1 + k % 2);
            x[k] = all[i](tape, reals[_i], AG_SHAPE(40, 70), 0.75);
        }
        expect_same(x[0], x[1]);
        bool constant = all[i] == ag_init_constant || all[i] == ag_init_zeros;
        ck_assert_int_eq(largest(ag_sub(x[0], x[2])) == 0, constant);
    }
    expect_item(ag_mean(ag_init_constant(tape, reals[_i], AG_SHAPE(3), 0.75)), 0.75);
    expect_item(ag_mean(ag_init_zeros(tape, reals[_i], AG_SHAPE(3), 0.75)), 0);
    expect_ok(tape);
}
END_TEST

START_TEST(initialisers_refuse) {
    static const char *const matrices[] = {"init_he_uniform", "init_he_normal", "init_xavier_uniform",
                                           "init_xavier_normal", "init_orthogonal"};
    for (int i = 0; i < ALL; i++) {
        ck_assert(ag_is_nil(all[i](NULL, AG_F64, AG_SHAPE(2, 2), 1)));
        expect_error(NULL, AG_ERR_NULL, "NULL");
        ck_assert(ag_is_nil(all[i](tape, AG_F64, AG_SHAPE(2, -1), 1)));
        expect_error(tape, AG_ERR_SHAPE, "");
        for (int rank = -3; rank <= 1 << 20; rank += 1 << 20) {
            ck_assert(ag_is_nil(all[i](tape, AG_F64, (ag_shape){.rank = rank}, 1)));
            expect_error(tape, AG_ERR_SHAPE, "");
        }
        if (i >= ALL - 2) continue;
        all[i](tape, AG_I64, AG_SHAPE(2, 2), 1);
        expect_error(tape, AG_ERR_DTYPE, "the dtype must be f32 or f64, not i64");
        for (int k = 0; k < 3; k++) {
            all[i](tape, AG_F64, AG_SHAPE(2, 2), k == 0 ? -1 : k == 1 ? NAN : INFINITY);
            expect_error(tape, AG_ERR_RANGE, "a finite one, 0 or more, is wanted");
        }
        if (i >= 5) continue;
        all[i](tape, AG_F64, AG_SHAPE(3), 1);
        expect_error(tape, AG_ERR_SHAPE, matrices[i], "a shape of 1 axes: inputs and outputs are wanted, two at least");
    }
    ag_init_orthogonal(tape, AG_F64, AG_SHAPE(3), 1);
    expect_error(tape, AG_ERR_SHAPE, "init_orthogonal", "test_initialisers.c:");
}
END_TEST

/* ---- Options of layers ---- */

static ag_tensor *sevens(ag_tape *t, ag_dtype dtype, ag_shape shape, double number) {
    return ag_full(t, dtype, shape, 7 + number);
}

START_TEST(layers_take_initialisers) {
    const ag_layer_options options = {.name = "part", .weight = {sevens, 1}, .bias = {ag_init_constant, 0.5}};
    ag_linear linear;
    ag_embedding embedding;
    ag_batchnorm batchnorm;
    ag_layernorm layernorm;
    ag_conv2d conv;
    ag_lstm_cell lstm;
    ag_attention attention;
    ck_assert_int_eq(ag_linear_init_with(&linear, tape, AG_F32, 2, 3, &options), AG_OK);
    ck_assert_int_eq(ag_embedding_init_with(&embedding, tape, AG_F32, 2, 3, &options), AG_OK);
    ck_assert_int_eq(ag_batchnorm_init_with(&batchnorm, tape, AG_F32, 2, &options), AG_OK);
    ck_assert_int_eq(ag_layernorm_init_with(&layernorm, tape, AG_F32, 2, &options), AG_OK);
    ck_assert_int_eq(ag_conv2d_init_with(&conv, tape, AG_F32, 2, 2, 1, &options), AG_OK);
    ck_assert_int_eq(ag_lstm_cell_init_with(&lstm, tape, AG_F32, 2, 1, &options), AG_OK);
    ck_assert_int_eq(ag_attention_init_with(&attention, tape, AG_F32, 2, 1, &options), AG_OK);
    ag_tensor *weights[] = {
        linear.weight,     embedding.weight,   batchnorm.gamma,        layernorm.gamma,        conv.weight,
        lstm.input_weight, lstm.hidden_weight, attention.query.weight, attention.output.weight};
    ag_tensor *biases[] = {linear.bias, batchnorm.beta, layernorm.beta, conv.bias, lstm.bias, attention.value.bias};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        expect_item(ag_min(weights[i]), 8);
        expect_item(ag_max(weights[i]), 8);
    }
    for (size_t i = 0; i < sizeof biases / sizeof *biases; i++) expect_item(ag_mean(biases[i]), 0.5);
    ag_layer_options recurrent = {.weight = {sevens, 0}, .hidden = {ag_init_orthogonal, 0}};
    ck_assert_int_eq(ag_lstm_cell_init_with(&lstm, tape, AG_F64, 2, 3, &recurrent), AG_OK);
    expect_item(ag_mean(lstm.input_weight), 7);
    ag_tensor *square = ag_matmul(lstm.hidden_weight, ag_transpose(lstm.hidden_weight, 0, 1));
    ck_assert_double_le(fabs(ag_item(ag_sum(square)) - 3), 1e-12);
    expect_ok(tape);
}
END_TEST

static void expect_label(const ag_tensor *x, const char *label) { ck_assert_str_eq(ag_label_of(x), label); }

START_TEST(layers_name_their_variables) {
    ag_batchnorm norm;
    ag_attention attention;
    ag_lstm_cell lstm;
    ck_assert_int_eq(ag_batchnorm_init(&norm, tape, AG_F64, 2), AG_OK);
    expect_label(norm.gamma, "gamma");
    expect_label(norm.beta, "beta");
    expect_label(norm.running_mean, "running_mean");
    expect_label(norm.running_var, "running_var");
    ag_scope(tape, "model");
    ck_assert_int_eq(ag_batchnorm_init_with(&norm, tape, AG_F64, 2, &(ag_layer_options){.name = "norm"}), AG_OK);
    ck_assert_int_eq(ag_attention_init_with(&attention, tape, AG_F64, 2, 1, &(ag_layer_options){.name = "0.see"}),
                     AG_OK);
    ck_assert_int_eq(ag_lstm_cell_init(&lstm, tape, AG_F64, 2, 2), AG_OK);
    ag_scope_end(tape);
    expect_label(norm.gamma, "model.norm.gamma");
    expect_label(norm.running_var, "model.norm.running_var");
    expect_label(attention.query.weight, "model.0.see.query.weight");
    expect_label(attention.output.bias, "model.0.see.output.bias");
    expect_label(lstm.input_weight, "model.input_weight");
    expect_label(lstm.hidden_weight, "model.hidden_weight");
    int line = 0;
    ck_assert(strstr(ag_place_of(attention.key.weight, &line), "test_initialisers.c") && line > 0);
    expect_ok(tape);
}
END_TEST

static ag_tensor *another_shape(ag_tape *t, ag_dtype dtype, ag_shape shape, double number) {
    (void)shape;
    return ag_full(t, dtype, AG_SHAPE(2), number);
}
static ag_tensor *another_dtype(ag_tape *t, ag_dtype dtype, ag_shape shape, double number) {
    return ag_full(t, dtype == AG_F64 ? AG_F32 : AG_F64, shape, number);
}
static ag_tensor *nothing(ag_tape *t, ag_dtype dtype, ag_shape shape, double number) {
    (void)t, (void)dtype, (void)shape, (void)number;
    return NULL;
}

START_TEST(wrong_options_are_refused) {
    ag_linear layer;
    ag_layer_options options = {.name = "part", .weight = {another_shape, 0}};
    ck_assert_int_eq(ag_linear_init_with(&layer, tape, AG_F64, 3, 4, &options), AG_ERR_SHAPE);
    ck_assert(ag_is_nil(layer.weight));
    expect_error(tape, AG_ERR_SHAPE,
                 "linear_init_with: x (2): the initialiser of weight returned another shape than it was asked for",
                 "test_initialisers.c:");
    options.weight.make = another_dtype;
    ck_assert_int_eq(ag_linear_init_with(&layer, tape, AG_F64, 3, 4, &options), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "the initialiser of weight returned f32, and f64 is wanted",
                 "test_initialisers.c:");
    options.weight.make = nothing;
    ck_assert_int_eq(ag_linear_init_with(&layer, tape, AG_F64, 3, 4, &options), AG_ERR_NIL);
    expect_error(tape, AG_ERR_NIL, "the initialiser of weight returned no tensor of this tape", "test_initialisers.c:");
    options = (ag_layer_options){.bias = {ag_init_he_normal, 0}};
    ck_assert_int_eq(ag_linear_init_with(&layer, tape, AG_F64, 3, 4, &options), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "init_he_normal: a shape of 1 axes", "test_initialisers.c:");
    options = (ag_layer_options){.name = "a\nb"};
    ck_assert_int_eq(ag_linear_init_with(&layer, tape, AG_F64, 3, 4, &options), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "");
    ck_assert_int_eq(ag_linear_init(&layer, tape, AG_F64, 3, 4), AG_OK); /* no scope was left open */
    expect_label(layer.weight, "weight");
}
END_TEST

START_TEST(a_location_is_taken_once) {
    int line = 0;
    ag_here("somewhere.c", 12);
    ck_assert_str_eq(ag_caller(&line), "somewhere.c");
    ck_assert_int_eq(line, 12);
    ck_assert_ptr_null(ag_caller(NULL));
    ag_here("elsewhere.c", 13);
    ck_assert_str_eq(ag_caller(NULL), "elsewhere.c");
    ck_assert_ptr_null(ag_caller(&line));
}
END_TEST

/* ---- Failing allocations ---- */

static ag_status begin_all(ag_tape *t) {
    for (int i = 0; i < ALL; i++)
        if (ag_eval(all[i](t, AG_F32, AG_SHAPE(9, 5), 0.5)) != AG_OK) return ag_tape_status(t);
    ag_attention layer;
    return ag_attention_init_with(&layer, t, AG_F32, 4, 2,
                                  &(ag_layer_options){.name = "part", .weight = {ag_init_orthogonal, 0}});
}

START_TEST(every_failing_allocation_is_an_error) { with_each_allocation_failing(begin_all); }
END_TEST

int main(void) {
    Suite *suite = suite_create("initialisers");
    TCase *values = tape_group(suite, "values");
    tcase_add_loop_test(values, rules_by_fans_have_their_moments, 0, 2);
    tcase_add_loop_test(values, a_truncated_normal_variable_is_exactly_that, 0, 2);
    tcase_add_test(values, only_a_matrix_of_f64_is_made_orthogonal);
    tcase_add_loop_test(values, orthogonal_matrices_have_orthonormal_columns_or_rows, 0, 2);
    tcase_add_test(values, orthogonal_matrices_are_uniform);
    tcase_add_loop_test(values, the_same_seed_gives_the_same_bits, 0, 2);
    tcase_add_test(values, initialisers_refuse);
    TCase *options = tape_group(suite, "options");
    tcase_add_test(options, layers_take_initialisers);
    tcase_add_test(options, layers_name_their_variables);
    tcase_add_test(options, wrong_options_are_refused);
    tcase_add_test(options, a_location_is_taken_once);
    TCase *failing = plain_group(suite, "failing");
    tcase_add_test(failing, every_failing_allocation_is_an_error);
    return run_suite(suite);
}
