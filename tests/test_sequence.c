/* test_sequence -- layers as one value: against PyTorch, modes, names, errors, tables, rewinds; parts and their times */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/sequence.h"
#include "tests/support.h"

static const double ROUNDING = 256;

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

/* ---- Models ---- */

static ag_status build_images(ag_sequence *m, ag_tape *t, ag_dtype dtype) {
    ag_sequence_init(m, t, dtype, "net");
    ag_sequence_conv2d(m, 3, 4, 3, 1, 1, NULL);
    ag_sequence_batchnorm(m, 4, NULL);
    ag_sequence_function(m, "relu", ag_relu);
    ag_sequence_max_pool2d(m, 2, 2);
    ag_sequence *inner = ag_sequence_residual(m, "block");
    ag_sequence_conv2d(inner, 4, 4, 3, 1, 1, NULL);
    ag_sequence_function(inner, "tanh", ag_tanh);
    ag_sequence_avg_pool2d(m, 2, 1);
    ag_sequence_flatten(m);
    ag_sequence_dropout(m, 0);
    ag_sequence_linear(m, 8, 5, &(ag_layer_options){.name = "scores"});
    ag_sequence *last = ag_sequence_nested(m, NULL);
    ag_sequence_layernorm(last, 5, NULL);
    ag_sequence_function(last, "sigmoid", ag_sigmoid);
    return ag_tape_status(t);
}

static ag_status build_text(ag_sequence *m, ag_tape *t, ag_dtype dtype) {
    ag_sequence_init(m, t, dtype, NULL);
    ag_sequence_embedding(m, 7, 6, NULL);
    ag_sequence_lstm(m, 6, 6, NULL);
    ag_sequence_attention(m, 6, 2, true, NULL);
    ag_sequence *inner = ag_sequence_residual(m, NULL);
    ag_sequence_layernorm(inner, 6, NULL);
    ag_sequence_linear(inner, 6, 8, NULL);
    ag_sequence_function(inner, "tanh", ag_tanh);
    ag_sequence_linear(inner, 8, 6, NULL);
    ag_sequence_linear(m, 6, 7, NULL);
    return ag_tape_status(t);
}

static void set_parameters(const ag_sequence *m, const double **from) {
    for (int64_t i = 0; i < m->count; i++) {
        const ag_layer *l = ag_sequence_at(m, i);
        ag_tensor *v;
        if (l->nested) set_parameters(l->nested, from);
        for (int k = 0; l->kind->variable && (v = l->kind->variable(l->state, k)) != NULL; k++) {
            if (!ag_requires_grad(v)) continue;
            ag_set(v, *from);
            *from += ag_size(v);
        }
    }
}

/* The output, and the gradients of all parameters in order. */
static void expect_like_pytorch(const ag_sequence *m, ag_tensor *x, const double y_[], const double g_[],
                                const double dp[], int64_t count) {
    ag_list p = ag_parameters(tape, NULL);
    ag_tensor *y = ag_sequence_apply(m, x), *dx[40], *flat[40];
    ag_tensor *g = ag_from(tape, AG_F64, ag_shape_of(y), g_);
    expect_ok(tape);
    ck_assert_int_le(p.n, 40);
    expect_near(y, ag_size(y), y_, ROUNDING, 1);
    ck_assert_int_eq(ag_vjp(1, &y, &g, p.n, p.x, dx, AG_STRICT), AG_OK);
    for (int i = 0; i < p.n; i++) flat[i] = ag_reshape(dx[i], AG_SHAPE(ag_size(dx[i])));
    expect_near(ag_concat(p.n, flat, 0), count, dp, ROUNDING, 4);
}

START_TEST(a_network_for_images_agrees_with_pytorch) {
    ag_sequence m;
    const double *from = images_p;
    ck_assert_int_eq(build_images(&m, tape, AG_F64), AG_OK);
    set_parameters(&m, &from);
    ck_assert_ptr_eq(from, images_p + COUNT(images_p));
    const ag_batchnorm *norm = ag_sequence_at(&m, 1)->state;
    ag_set(norm->running_mean, images_running_mean);
    ag_set(norm->running_var, images_running_var);
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(3, 6, 4, 3), images_x);
    ck_assert(m.training);
    m.training = false;
    expect_like_pytorch(&m, x, images_eval_y, images_eval_g, images_eval_dp, COUNT(images_eval_dp));
    expect_list(norm->running_mean, images_running_mean[0], images_running_mean[1], images_running_mean[2],
                images_running_mean[3]);
    m.training = true;
    expect_like_pytorch(&m, x, images_train_y, images_train_g, images_train_dp, COUNT(images_train_dp));
    ck_assert_double_ne(ag_element(norm->running_mean, 0), images_running_mean[0]);
}
END_TEST

START_TEST(a_network_for_sequences_agrees_with_pytorch) {
    ag_sequence m;
    const double *from = text_p;
    ck_assert_int_eq(build_text(&m, tape, AG_F64), AG_OK);
    set_parameters(&m, &from);
    ck_assert_ptr_eq(from, text_p + COUNT(text_p));
    ag_tensor *x = ag_from(tape, AG_I64, AG_SHAPE(2, 5), text_x);
    expect_like_pytorch(&m, x, text_eval_y, text_eval_g, text_eval_dp, COUNT(text_eval_dp));
    expect_like_pytorch(&m, x, text_train_y, text_train_g, text_train_dp, COUNT(text_train_dp));
}
END_TEST

static ag_tensor *apply_model(void *context, int n, ag_tensor *const x[]) {
    (void)n;
    return ag_sum(ag_sin(ag_sequence_apply(context, x[0])));
}

/* Its variables are among the inputs, and perturbed in place. */
START_TEST(a_sequence_passes_gradcheck_twice_over) {
    ag_sequence m;
    ag_sequence_init(&m, tape, AG_F64, NULL);
    ag_sequence_conv2d(&m, 2, 2, 2, 1, 0, NULL);
    ag_sequence_batchnorm(&m, 2, NULL);
    ag_sequence *inner = ag_sequence_residual(&m, "inner");
    ag_sequence_linear(inner, 2, 2, NULL);
    ag_sequence_function(inner, "tanh", ag_tanh);
    ag_sequence_flatten(&m);
    ag_sequence_linear(&m, 8, 2, NULL);
    m.training = _i;
    ag_list p = ag_parameters(tape, NULL);
    ag_tensor *x[9] = {scattered(tape, AG_F64, AG_SHAPE(2, 3, 3, 2), 7)};
    for (int i = 0; i < p.n; i++) x[1 + i] = p.x[i];
    ag_gradcheck_report report;
    for (int order = 1; order <= 2; order++)
        ck_assert_msg(ag_gradcheck(apply_model, &m, 1 + p.n, x, &(ag_gradcheck_options){.order = order}, &report) ==
                          AG_OK,
                      "%s %s", report.message, ag_tape_error(tape));
}
END_TEST

/* ---- Modes ---- */

START_TEST(one_field_switches_the_whole_model) {
    ag_sequence m;
    ag_sequence_init(&m, tape, AG_F32, NULL);
    ag_sequence *inner = ag_sequence_nested(&m, "inner"), *deeper = ag_sequence_residual(inner, "deeper");
    ag_sequence_dropout(deeper, 0.5);
    ag_sequence_batchnorm(inner, 3, NULL);
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(50, 3), 1);
    ag_tensor *running = ((ag_batchnorm *)ag_sequence_at(inner, 1)->state)->running_mean;
    m.training = false;
    ag_tensor *first = ag_sequence_apply(&m, x), *second = ag_sequence_apply(&m, x);
    expect_same(first, second);
    expect_list(running, 0, 0, 0);
    m.training = true;
    ag_tensor *third = ag_sequence_apply(&m, x), *fourth = ag_sequence_apply(&m, x);
    ck_assert_double_gt(ag_item(ag_max(ag_abs(ag_sub(third, fourth)))), 0);
    ck_assert_double_ne(ag_element(running, 0), 0);
    expect_ok(tape);
}
END_TEST

START_TEST(a_sequence_equals_its_layers) {
    const ag_dtype dtype = _i ? AG_F64 : AG_F32;
    ag_sequence m;
    ag_linear linear;
    ag_tape_seed(tape, 5);
    ag_sequence_init(&m, tape, dtype, NULL);
    ag_sequence_linear(&m, 4, 3, NULL);
    ag_sequence_function(&m, "relu", ag_relu);
    ag_tape_seed(tape, 5);
    ag_linear_init(&linear, tape, dtype, 4, 3);
    ag_tensor *x = scattered(tape, dtype, AG_SHAPE(5, 4), 3);
    expect_same(ag_sequence_apply(&m, x), ag_relu(ag_linear_apply(&linear, x)));
    expect_shape(ag_sequence_apply(&m, ag_zeros(tape, dtype, AG_SHAPE(0, 4))), AG_SHAPE(0, 3));
    ag_sequence empty;
    ck_assert_int_eq(ag_sequence_init(&empty, tape, dtype, NULL), AG_OK);
    ck_assert_ptr_eq((ag_sequence_apply)(&empty, x), x);
    double two = 2, three = 3; /* of a variable, its present value */
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SCALAR, &two), *present = ag_sequence_apply(&empty, v);
    ag_set(v, &three);
    expect_item(present, 2);
    expect_ok(tape);
}
END_TEST

/* ---- Layers of one's own ---- */

static ag_tensor *scale_by(void *state, ag_tensor *x, bool training) {
    return training ? ag_scale(x, *(double *)state) : ag_mul(x, x);
}
static ag_tensor *no_tensor(void *state, ag_tensor *x, bool training) {
    (void)state, (void)x, (void)training;
    return NULL;
}
static ag_tensor *own_variable(void *state, int i) { return i == 0 ? *(ag_tensor **)state : NULL; }
static ag_tensor *add_own(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_add(x, *(ag_tensor **)state);
}

START_TEST(layers_of_ones_own_are_like_the_others) {
    static const ag_layer_kind scaling = {"scaling", scale_by, NULL}, shift = {"shift", add_own, own_variable};
    static const ag_layer_kind broken = {"broken", no_tensor, NULL};
    ag_sequence m;
    double factor = 3;
    ag_tensor *own = ag_label(ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), "own.offset");
    ag_sequence_init(&m, tape, AG_F64, "m");
    ck_assert_int_eq(ag_sequence_add(&m, &scaling, NULL, &factor, sizeof factor), AG_OK);
    ck_assert_int_eq(ag_sequence_add(&m, &shift, "own", &own, sizeof own), AG_OK);
    ck_assert_int_eq(ag_sequence_add(&m, &scaling, NULL, &factor, 0), AG_OK);
    factor = 10; /* of the third alone */
    expect_list(ag_sequence_apply(&m, ag_ones(tape, AG_F64, AG_SHAPE(2))), 40, 50);
    m.training = false;
    expect_list(ag_sequence_apply(&m, ag_ones(tape, AG_F64, AG_SHAPE(2))), 4, 9);
    ck_assert(strstr(ag_sequence_table(&m), "m.own  shift    (2)              2\n"));
    ck_assert_int_eq(ag_sequence_add(&m, NULL, NULL, NULL, 0), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "m.3: sequence_add: the kind, its name or apply, or the state is NULL",
                 "test_sequence.c:");
    ck_assert_int_eq(ag_sequence_add(&m, &broken, "bad", NULL, 0), AG_OK);
    ck_assert(ag_is_nil(ag_sequence_apply(&m, ag_ones(tape, AG_F64, AG_SHAPE(2)))));
    expect_error(tape, AG_ERR_NIL, "m.bad: broken: the layer returned no tensor of this tape", "test_sequence.c:");
}
END_TEST

/* ---- Names ---- */

static void expect_label(const ag_tensor *x, const char *label) { ck_assert_str_eq(ag_label_of(x), label); }

START_TEST(names_are_numbers_or_given) {
    ag_sequence m;
    ck_assert_int_eq(build_images(&m, tape, AG_F32), AG_OK);
    static const char *const labels[] = {
        "net.0.weight",     "net.0.bias",        "net.1.gamma",     "net.1.beta",    "net.block.0.weight",
        "net.block.0.bias", "net.scores.weight", "net.scores.bias", "net.9.0.gamma", "net.9.0.beta"};
    ag_list p = ag_parameters(tape, NULL);
    ck_assert_int_eq(p.n, COUNT(labels));
    for (int i = 0; i < p.n; i++) expect_label(p.x[i], labels[i]);
    ck_assert_str_eq(ag_sequence_at(&m, 5)->name, "net.5");
    ck_assert_str_eq(ag_sequence_at(ag_sequence_at(&m, 9)->nested, 1)->name, "net.9.1");
    ck_assert_ptr_null(ag_sequence_at(&m, 10));
    ck_assert_ptr_null(ag_sequence_at(&m, -1));
    ck_assert_ptr_null(ag_sequence_at(NULL, 0));
    ck_assert_int_eq(ag_parameters(tape, "net.block").n, 2);
    int line = 0;
    ck_assert(strstr(ag_place_of(p.x[4], &line), "test_sequence.c") && line > 0);
    ag_sequence other;
    ag_scope(tape, "outer");
    ag_sequence_init(&other, tape, AG_F32, NULL);
    ag_sequence *inner = ag_sequence_nested(&other, "deep");
    ag_sequence_layernorm(inner, 2, NULL);
    ag_scope_end(tape);
    expect_label(((ag_layernorm *)ag_sequence_at(inner, 0)->state)->beta, "outer.deep.0.beta");
    ck_assert_str_eq(ag_sequence_at(inner, 0)->name, "outer.deep.0");
    expect_ok(tape);
}
END_TEST

/* ---- Errors ---- */

START_TEST(errors_name_the_layer) {
    ag_sequence m;
    ck_assert_int_eq(build_images(&m, tape, AG_F64), AG_OK);
    ag_sequence_apply(&m, ag_ones(tape, AG_F64, AG_SHAPE(2, 6, 4, 2)));
    expect_error(tape, AG_ERR_SHAPE,
                 "net.0: conv2d_apply: a (2,6,4,2) and net.0.weight (3,3,3,4): the input must be (N,H,W,C), with the C "
                 "of the weight (KH,KW,C,K) [",
                 "test_sequence.c:");
    ag_sequence_apply(&m, ag_ones(tape, AG_F64, AG_SHAPE(2, 1, 1, 3)));
    expect_error(tape, AG_ERR_SHAPE,
                 "net.3: max_pool2d: x (2,1,1,4): a window of 2 does not fit on axis 1, which has 1 with "
                 "padding [",
                 "test_sequence.c:");
    ag_sequence_apply(&m, ag_ones(tape, AG_F64, AG_SHAPE(2, 6, 6, 3)));
    expect_error(tape, AG_ERR_SHAPE, "net.scores: linear_apply: ", "net.scores.weight (8,5)", "test_sequence.c:");
    ag_conv2d *conv = ag_sequence_at(ag_sequence_at(&m, 4)->nested, 0)->state;
    conv->stride = 2;
    ag_sequence_apply(&m, ag_ones(tape, AG_F64, AG_SHAPE(2, 6, 4, 3)));
    expect_error(tape, AG_ERR_SHAPE,
                 "net.block: residual: a (2,3,2,4) and b (2,2,1,4): x and f(x) must have one shape, to be added [",
                 "test_sequence.c:");
    ag_sequence_apply(&m, ag_ones(tape, AG_F32, AG_SHAPE(2, 6, 4, 3)));
    expect_error(tape, AG_ERR_DTYPE, "net.0: conv2d_apply", "f32", "test_sequence.c:");
    ag_zeros(tape, AG_F64, AG_SHAPE(-1));
    const char *message = ag_tape_error(tape);
    ck_assert_msg(strncmp(message, "full: ", 6) == 0 || strncmp(message, "zeros: ", 7) == 0, "%s", message);
}
END_TEST

START_TEST(errors_of_the_data_name_the_layer) {
    ag_sequence m;
    ck_assert_int_eq(build_text(&m, tape, AG_F64), AG_OK);
    ag_tensor *y = ag_sequence_apply(&m, ag_full(tape, AG_I64, AG_SHAPE(2, 3), 7));
    expect_ok(tape);
    ck_assert_int_eq(ag_eval(y), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "0: embedding_apply: ", "index 7 at [0,0] is out of range", "test_sequence.c:");
    ag_sequence_apply(&m, ag_full(tape, AG_I64, AG_SHAPE(2), 3));
    expect_error(tape, AG_ERR_SHAPE, "1: lstm_apply: ", "the input must be (N,T,C), with the layer's C and T >= 1");
    ag_sequence_apply(&m, ag_full(tape, AG_I64, AG_SHAPE(2, 0), 3));
    expect_error(tape, AG_ERR_SHAPE, "1: lstm_apply: ", "T >= 1");
}
END_TEST

/* Each is refused with its location, and leaves the sequence and the names of what follows as they are. */
START_TEST(what_cannot_be_added_is_refused) {
    ag_sequence m;
    ag_sequence_init(&m, tape, AG_F64, "m");
    ag_sequence_linear(&m, 2, 2, &(ag_layer_options){.name = "a"});
    ag_mark mark = ag_tape_mark(tape);
    int64_t nodes = ag_tape_memory(tape).nodes;
#define REFUSED(call, status, ...)                                                                                     \
    ck_assert_int_eq(call, status);                                                                                    \
    expect_error(tape, status, __VA_ARGS__, "test_sequence.c:");                                                       \
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes)
    REFUSED(ag_sequence_linear(&m, 0, 2, NULL), AG_ERR_RANGE, "m.1: linear_init_with: 0 inputs");
    REFUSED(ag_sequence_linear(&m, 2, 2, &(ag_layer_options){.name = "a"}), AG_ERR_RANGE,
            "sequence_linear: a layer of the sequence has the name \"a\" already");
    REFUSED(ag_sequence_conv2d(&m, 1, 1, 1, 0, 0, NULL), AG_ERR_RANGE, "sequence_conv2d: stride 0 and padding 0");
    REFUSED(ag_sequence_conv2d(&m, 1, 1, 1, 1, -1, NULL), AG_ERR_RANGE, "stride 1 and padding -1");
    REFUSED(ag_sequence_batchnorm(&m, 0, NULL), AG_ERR_RANGE, "m.1: batchnorm_init_with");
    REFUSED(ag_sequence_layernorm(&m, 0, NULL), AG_ERR_RANGE, "m.1: layernorm_init_with");
    REFUSED(ag_sequence_embedding(&m, 0, 1, NULL), AG_ERR_RANGE, "m.1: embedding_init_with");
    REFUSED(ag_sequence_lstm(&m, 1, 0, NULL), AG_ERR_RANGE, "m.1: lstm_cell_init_with");
    REFUSED(ag_sequence_attention(&m, 3, 2, false, NULL), AG_ERR_RANGE, "m.1: attention_init_with");
    REFUSED(ag_sequence_dropout(&m, 1), AG_ERR_RANGE, "m.1: sequence_dropout: p is 1: 0 <= p < 1 is wanted");
    REFUSED(ag_sequence_dropout(&m, NAN), AG_ERR_RANGE, "p is nan");
    REFUSED(ag_sequence_max_pool2d(&m, 0, 1), AG_ERR_RANGE, "sequence_max_pool2d: size 0 and stride 1");
    REFUSED(ag_sequence_avg_pool2d(&m, 1, 0), AG_ERR_RANGE, "sequence_avg_pool2d: size 1 and stride 0");
    REFUSED(ag_sequence_function(&m, NULL, ag_relu), AG_ERR_NULL, "the kind's name or the function is NULL");
    REFUSED(ag_sequence_function(&m, "relu", NULL), AG_ERR_NULL, "the kind's name or the function is NULL");
    ag_layer_options broken = {.bias = {ag_init_he_normal, 0}}; /* after the weight is there */
    REFUSED(ag_sequence_linear(&m, 2, 2, &broken), AG_ERR_SHAPE, "m.1: init_he_normal");
    ck_assert_ptr_null(ag_sequence_nested(&m, "a"));
    expect_error(tape, AG_ERR_RANGE, "sequence_nested: a layer of the sequence has the name \"a\" already");
    ck_assert_ptr_null(ag_sequence_residual(&m, "\n"));
    expect_error(tape, AG_ERR_RANGE, "");
    ck_assert(ag_mark_valid(mark));
    ck_assert_int_eq(m.count, 1);
    ck_assert_int_eq(ag_sequence_linear(&m, 2, 3, NULL), AG_OK);
    expect_label(((ag_linear *)ag_sequence_at(&m, 1)->state)->weight, "m.1.weight");
    ck_assert_int_eq(ag_parameters(tape, NULL).n, 4);
    expect_label(ag_label(ag_scalar(tape, AG_F64, 1), "free"), "free");
    expect_ok(tape);
}
END_TEST

START_TEST(sequences_refuse) {
    ag_sequence m, none = {.training = true};
    ck_assert_int_eq(ag_sequence_init(NULL, tape, AG_F64, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "sequence_init", "test_sequence.c:");
    ck_assert_int_eq(ag_sequence_init(&m, tape, AG_I64, NULL), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "sequence_init: the dtype must be f32 or f64, not i64", "test_sequence.c:");
    ck_assert_int_eq(ag_sequence_linear(&m, 1, 1, NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "sequence_linear: the sequence was not initialised", "test_sequence.c:");
    ck_assert_int_eq(ag_sequence_init(&m, tape, AG_F64, "a\nb"), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "");
    ck_assert_int_eq(ag_sequence_dropout(NULL, 0.5), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "sequence_dropout: the sequence is NULL", "test_sequence.c:");
    ck_assert(ag_is_nil(ag_sequence_apply(&none, ag_ones(tape, AG_F64, AG_SHAPE(2)))));
    expect_error(NULL, AG_ERR_NULL, "sequence_apply: the sequence was not initialised");
    ck_assert_str_eq(ag_sequence_table(&none), "");
    expect_error(NULL, AG_ERR_NULL, "sequence_table: the sequence was not initialised", "test_sequence.c:");
    ck_assert_int_eq(ag_sequence_init(&m, tape, AG_F64, NULL), AG_OK);
    ck_assert(ag_is_nil(ag_sequence_apply(&m, NULL))); /* on the model's tape, as for the layers themselves */
    expect_error(tape, AG_ERR_NULL, "sequence_apply: the input is NULL", "test_sequence.c:");
    ag_tape *other = ag_tape_new();
    ag_sequence_apply(&m, ag_ones(other, AG_F64, AG_SHAPE(2)));
    expect_error(other, AG_ERR_TAPE, "sequence_apply: ", "the input is on another tape than the sequence");
    ag_tape_free(other);
    ag_sequence *deep = &m;
    int depth = 0;
    for (ag_sequence *next; (next = ag_sequence_nested(deep, NULL)) != NULL; deep = next) depth++;
    ck_assert_int_eq(depth, 63);
    expect_error(tape, AG_ERR_RANGE, "sequence_nested: more than 64 sequences within each other", "test_sequence.c:");
    expect_shape(ag_sequence_apply(&m, ag_ones(tape, AG_F64, AG_SHAPE(2))), AG_SHAPE(2));
    expect_ok(tape);
}
END_TEST

/* Its memory is reused by then. */
START_TEST(a_rewound_sequence_is_refused) {
    ag_sequence m, early;
    ag_sequence_init(&early, tape, AG_F64, NULL);
    ag_sequence *inner = ag_sequence_nested(&early, "inner");
    ag_mark mark = ag_tape_mark(tape);
    build_images(&m, tape, AG_F64);
    ag_sequence_linear(inner, 2, 2, NULL);
    ag_tape_rewind(tape, mark);
    for (int i = 0; i < 2000; i++) ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2)), "some text that takes the place");
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(2, 2));
    ck_assert(ag_is_nil(ag_sequence_apply(&m, x)));
    expect_error(tape, AG_ERR_TAPE, "sequence_apply: a rewind has released layers of the sequence", "test_sequence.c:");
    ck_assert(ag_is_nil(ag_sequence_apply(&early, x)));
    expect_error(tape, AG_ERR_TAPE, "inner: sequence_apply: a rewind has released layers of the sequence");
    ck_assert_ptr_null(ag_sequence_at(&m, 0));
    ck_assert_str_eq(ag_sequence_table(&m), "");
    expect_error(tape, AG_ERR_TAPE, "sequence_table: a rewind has released layers of the sequence");
    ck_assert_int_eq(ag_sequence_linear(&m, 2, 2, NULL), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "sequence_linear: a rewind has released layers of the sequence");
}
END_TEST

/* ---- Tables ---- */

START_TEST(a_table_lists_layers) {
    ag_sequence m;
    build_images(&m, tape, AG_F32);
    ck_assert_str_eq(ag_sequence_table(&m), "layer        kind        output  parameters\n"
                                            "net.0        conv2d                     112\n"
                                            "net.1        batchnorm                    8\n"
                                            "net.2        relu\n"
                                            "net.3        max_pool2d\n"
                                            "net.block    residual                   148\n"
                                            "net.block.0  conv2d                     148\n"
                                            "net.block.1  tanh\n"
                                            "net.5        avg_pool2d\n"
                                            "net.6        flatten\n"
                                            "net.7        dropout\n"
                                            "net.scores   linear                      45\n"
                                            "net.9        sequence                    10\n"
                                            "net.9.0      layernorm                   10\n"
                                            "net.9.1      sigmoid\n"
                                            "all                                     323\n");
    ag_sequence_apply(&m, ag_ones(tape, AG_F32, AG_SHAPE(2, 6, 4, 3)));
    ck_assert_str_eq(ag_sequence_table(&m), "layer        kind        output     parameters\n"
                                            "net.0        conv2d      (2,6,4,4)         112\n"
                                            "net.1        batchnorm   (2,6,4,4)           8\n"
                                            "net.2        relu        (2,6,4,4)\n"
                                            "net.3        max_pool2d  (2,3,2,4)\n"
                                            "net.block    residual    (2,3,2,4)         148\n"
                                            "net.block.0  conv2d      (2,3,2,4)         148\n"
                                            "net.block.1  tanh        (2,3,2,4)\n"
                                            "net.5        avg_pool2d  (2,2,1,4)\n"
                                            "net.6        flatten     (2,8)\n"
                                            "net.7        dropout     (2,8)\n"
                                            "net.scores   linear      (2,5)              45\n"
                                            "net.9        sequence    (2,5)              10\n"
                                            "net.9.0      layernorm   (2,5)              10\n"
                                            "net.9.1      sigmoid     (2,5)\n"
                                            "all                                        323\n");
    ag_sequence other; /* columns are as wide as their characters, and control characters harmless */
    ag_sequence_init(&other, tape, AG_F32, "ž");
    ag_sequence_function(&other, "ř\n\x1b", ag_tanh);
    ag_sequence_linear(&other, 1, 1, NULL);
    ck_assert_str_eq(ag_sequence_table(&other), "layer  kind    output  parameters\n"
                                                "ž.0    ř  \n"
                                                "ž.1    linear                   2\n"
                                                "all                             2\n");
    expect_ok(tape);
}
END_TEST

static ag_status train(ag_sequence *m, ag_tape *t, int steps) {
    ag_list p = ag_parameters(t, NULL);
    ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(8, 6, 4, 3), 1), *dp[20];
    ag_mark mark = ag_tape_mark(t);
    for (int i = 0; i < steps && ag_tape_status(t) == AG_OK; i++, ag_tape_rewind(t, mark)) {
        ag_tensor *loss = ag_mean(ag_square(ag_sequence_apply(m, x)));
        ag_grad(loss, p.n, p.x, dp);
        for (int k = 0; k < p.n; k++) ag_assign(p.x[k], ag_sub(p.x[k], ag_scale(dp[k], 0.01)));
    }
    return ag_tape_status(t);
}

/* The seconds of a profile that are the layers' own, and of all steps. */
static double seconds_of_layers(const ag_sequence *m, double *steps) {
    double sum = *steps = 0;
    for (int64_t i = 0; i < m->count; i++) {
        ag_profile_share s = ag_profile_part(tape, ag_sequence_at(m, i)->name);
        sum += s.forward + s.backward;
    }
    for (int i = 0; i < ag_profile_count(tape); i++) {
        ag_profile_entry e = ag_profile_at(tape, i);
        if (e.kind >= AG_PROFILE_REGION) *steps += e.seconds;
    }
    return sum;
}

/* A process that loses its processor in a step of no layer may take most of the time there: then it tries again. */
START_TEST(a_profile_is_divided_among_the_layers) {
    ag_sequence m;
    double sum, steps;
    int tries = 0;
    build_images(&m, tape, AG_F32);
    do {
        ag_profile_start(tape);
        ck_assert_int_eq(train(&m, tape, 5), AG_OK);
        ag_profile_stop(tape);
        sum = seconds_of_layers(&m, &steps);
    } while (sum < 0.5 * steps && ++tries < 20);
    ag_profile_share conv = ag_profile_part(tape, "net.0"), all = ag_profile_part(tape, "net"),
                     block = ag_profile_part(tape, "net.block"), inner = ag_profile_part(tape, "net.block.0"),
                     pool = ag_profile_part(tape, "net.3"), flat = ag_profile_part(tape, "net.6");
    ck_assert_int_eq(conv.passes, 5);
    ck_assert_int_ge(conv.bytes, 5 * 8 * 24 * 4 * 4);
    ck_assert(conv.forward > 0 && conv.backward > 0 && pool.forward > 0 && flat.forward == 0);
    ck_assert(block.forward > inner.forward && block.backward >= inner.backward && inner.backward > 0);
    ck_assert_double_le(fabs(sum - (all.forward + all.backward)), 1e-9);
    ck_assert_double_le(sum, steps); /* assignments and the loss are in no layer */
    ck_assert_double_ge(sum, 0.5 * steps);
    ck_assert_double_eq(ag_profile_part(tape, "net.b").forward, 0);
    ck_assert_double_eq(ag_profile_part(tape, NULL).forward, 0);
    ck_assert_double_eq(ag_profile_part(NULL, "net").forward, 0);
    const char *text = ag_sequence_table(&m);
    ck_assert_msg(strstr(text, "parameters  forward ms  backward ms   stored\n") != NULL, "%s", text);
    ck_assert(strstr(text, "kB\n") && strstr(text, "\nall "));
    expect_ok(tape);
}
END_TEST

/* One operation of the first part, three of the second, in one region. */
START_TEST(a_step_of_two_parts_is_divided_by_elements) {
    ag_tensor *a = ag_label(ag_scalar(tape, AG_F64, 0), "a"), *b = ag_label(ag_scalar(tape, AG_F64, 0), "a.b");
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(100, 100), 1), *y;
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_profile_start(tape);
    ag_tape_set_part(tape, a);
    y = ag_exp(x);
    ag_tape_set_part(tape, b);
    y = ag_tanh(ag_sin(ag_cos(y)));
    ag_tape_set_part(tape, NULL);
    ag_eval(y);
    ag_profile_share both = ag_profile_part(tape, "a"), second = ag_profile_part(tape, "a.b");
    ck_assert_double_gt(second.forward, 0);
    ck_assert_double_le(fabs(second.forward / both.forward - 0.75), 1e-12);
    ck_assert_int_eq(second.bytes, 80000);
    ck_assert_int_eq(both.bytes, 80000);
    ck_assert_int_eq(both.passes, 1);
    for (int i = 0; i < ag_profile_count(tape); i++)
        if (ag_profile_at(tape, i).kind == AG_PROFILE_REGION)
            ck_assert_double_le(fabs(ag_profile_at(tape, i).seconds - both.forward), 1e-12);
    expect_ok(tape);
}
END_TEST

/* ---- Parts ---- */

START_TEST(parts_begin_and_end) {
    ag_mark start = ag_tape_mark(tape);
    ag_tensor *part = ag_label(ag_scalar(tape, AG_F64, 0), "a"), *other = ag_label(ag_scalar(tape, AG_F64, 0), "b");
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), *dx;
    ck_assert_ptr_null(ag_tape_set_part(tape, part));
    ag_tensor *y = ag_tanh(x);
    ck_assert_ptr_eq(ag_part_of(y), part);
    ck_assert_ptr_eq(ag_tape_set_part(tape, other), part);
    ag_tensor *z = ag_sum(ag_exp(y));
    ck_assert_ptr_eq(ag_tape_set_part(tape, NULL), other);
    ck_assert_ptr_null(ag_part_of(ag_add(y, y)));
    ck_assert_ptr_null(ag_part_of(x));
    ck_assert_ptr_null(ag_part_of(NULL));
    ag_grad(z, 1, &x, &dx);
    ck_assert_ptr_eq(ag_part_of(dx), part); /* that of the operation whose gradient it is */
    ck_assert_ptr_null(ag_tape_set_part(tape, NULL));
    ag_tape_set_part(tape, part);
    ag_add(x, ag_ones(tape, AG_F64, AG_SHAPE(3)));
    expect_error(tape, AG_ERR_SHAPE, "a: add: ", "(2)", "(3)");
    ck_assert(ag_mark_valid(start));
    ag_mark late = ag_tape_mark(tape);
    ag_tape_rewind(tape, start);
    ck_assert(ag_mark_valid(start) && !ag_mark_valid(late) && !ag_mark_valid((ag_mark){NULL, 0, 0}));
    ck_assert_ptr_null(ag_tape_set_part(tape, part)); /* it has ended; and is no part any more */
    ck_assert_ptr_null(ag_tape_set_part(tape, NULL));
    ck_assert_ptr_null(ag_tape_set_part(NULL, part));
    ag_tape *elsewhere = ag_tape_new();
    ag_tape_set_part(tape, ag_scalar(elsewhere, AG_F64, 0));
    ck_assert_ptr_null(ag_tape_set_part(tape, NULL));
    ag_tape_free(elsewhere);
    expect_ok(tape);
}
END_TEST

static ag_tensor *refuse_backward(ag_tensor *y, ag_tensor *g, int i) {
    (void)y, (void)i;
    return ag_add(g, ag_ones(ag_tape_of(g), AG_F64, AG_SHAPE(3)));
}
static bool keep_shape(ag_infer *r) { return r != NULL; }
static bool copy(const ag_call *call) { return memcpy(call->y.data, call->x[0].data, (size_t)call->y.size * 8); }

START_TEST(errors_of_gradients_name_the_layer) {
    static const ag_op op = {.name = "own",
                             .kind = AG_KIND_OPAQUE,
                             .arity = 1,
                             .flags = AG_OP_CONTIGUOUS,
                             .infer = keep_shape,
                             .eval = copy,
                             .vjp = refuse_backward};
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), *dx;
    ag_tensor *part = ag_label(ag_scalar(tape, AG_F64, 0), "net.3");
    ag_tape_set_part(tape, part);
    ag_tensor *y = ag_apply(&op, 1, &x, NULL, 0);
    ag_tape_set_part(tape, NULL);
    ag_grad(ag_sum(y), 1, &x, &dx);
    expect_error(tape, AG_ERR_SHAPE, "net.3: add: ");
    ck_assert_ptr_null(ag_tape_set_part(tape, NULL));
}
END_TEST

/* ---- Failing allocations ---- */

static ag_status whole(ag_tape *t) {
    ag_sequence m, text;
    if (build_images(&m, t, AG_F32) != AG_OK || ag_profile_start(t) != AG_OK) return ag_tape_status(t);
    train(&m, t, 2);
    ag_sequence_table(&m);
    ag_profile_stop(t);
    ag_scope(t, "other");
    build_text(&text, t, AG_F32);
    ag_scope_end(t);
    return ag_eval(ag_sequence_apply(&text, ag_full(t, AG_I64, AG_SHAPE(2, 3), 4)));
}

/* A profile leaves out what does not fit in memory, without an error: that allocation's failure is not noticed. */
START_TEST(every_failing_allocation_is_an_error) {
    bool came_through = false;
    for (int64_t fail_at = 1; !came_through; fail_at++) {
        ledger l;
        ledger_open(&l);
        l.fail_at = fail_at;
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ck_assert(t || l.failed);
        bool good = t && whole(t) == AG_OK;
        if (t && !good) ck_assert_int_eq(ag_tape_status(t), AG_ERR_MEMORY);
        came_through = !l.failed;
        ck_assert(good || l.failed);
        ag_tape_free(t);
        ledger_close(&l);
        ag_clear_error(NULL);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sequence");
    TCase *values = tape_group(suite, "values");
    tcase_add_test(values, a_network_for_images_agrees_with_pytorch);
    tcase_add_test(values, a_network_for_sequences_agrees_with_pytorch);
    tcase_add_loop_test(values, a_sequence_passes_gradcheck_twice_over, 0, 2);
    tcase_add_test(values, one_field_switches_the_whole_model);
    tcase_add_loop_test(values, a_sequence_equals_its_layers, 0, 2);
    tcase_add_test(values, layers_of_ones_own_are_like_the_others);
    TCase *errors = tape_group(suite, "names and errors");
    tcase_add_test(errors, names_are_numbers_or_given);
    tcase_add_test(errors, errors_name_the_layer);
    tcase_add_test(errors, errors_of_the_data_name_the_layer);
    tcase_add_test(errors, what_cannot_be_added_is_refused);
    tcase_add_test(errors, sequences_refuse);
    tcase_add_test(errors, a_rewound_sequence_is_refused);
    TCase *tables = tape_group(suite, "tables and parts");
    tcase_add_test(tables, a_table_lists_layers);
    tcase_add_test(tables, a_profile_is_divided_among_the_layers);
    tcase_add_test(tables, a_step_of_two_parts_is_divided_by_elements);
    tcase_add_test(tables, parts_begin_and_end);
    tcase_add_test(tables, errors_of_gradients_name_the_layer);
    TCase *failing = plain_group(suite, "failing");
    tcase_add_test(failing, every_failing_allocation_is_an_error);
    return run_suite(suite);
}
