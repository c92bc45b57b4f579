/* test_refusals -- operations, layers, metrics, datasets and schedules refuse each argument that does not fit, one at a time
 *
 * All else of a call is right, so that each part of a condition decides alone; the message says what was wrong, and the
 * same call without the fault goes well. */
#include "autograd_config.h"
#include "nn/nn.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ag_tensor *f32(int rank, int64_t a, int64_t b, int64_t c) {
    return scattered(tape, AG_F32, (ag_shape){rank, {a, b, c}}, 1);
}
static ag_tensor *wholes(int64_t n) { return ag_zeros(tape, AG_I64, AG_SHAPE(n)); }
static ag_tensor *nil_of(ag_tape *t) {
    ag_tensor *nil = ag_reshape(ag_scalar(t, AG_F64, 0), AG_SHAPE(7));
    ag_clear_error(t);
    return nil;
}

static void refused_at(int line, ag_tape *t, ag_status status, const char *text) {
    ck_assert_msg(ag_tape_status(t) == status && strstr(ag_tape_error(t), text),
                  "line %d: status %d, \"%s\" for \"%s\"", line, (int)ag_tape_status(t), ag_tape_error(t), text);
    ag_clear_error(t);
}
#define REFUSED(call, status, text) ((void)(call), refused_at(__LINE__, tape, status, text))
#define REFUSED_APART(call, status, text) ((void)(call), refused_at(__LINE__, NULL, status, text))
#define ACCEPTED(call) ((void)(call), ck_assert_msg(ag_tape_status(tape) == AG_OK, "%s", ag_tape_error(tape)))

/* ---- Attention and positions ---- */

static ag_tensor *scaled_dot(ag_tensor *q, ag_tensor *k, ag_tensor *v, ag_tensor *mask, double dropout, double scale) {
    return ag_scaled_dot_attention(q, k, v, &(ag_attention_options){.mask = mask, .dropout = dropout, .scale = scale});
}

START_TEST(attention) {
    static const char shapes[] = "(…,H,T,D), (…,G,S,D) and (…,G,S,E) are wanted";
    ag_tape *other = ag_tape_new();
    ag_tensor *q = f32(3, 4, 3, 2), *k = f32(3, 2, 5, 2), *none = NULL;
    ACCEPTED(scaled_dot(q, k, k, none, 0, 0));
    REFUSED(scaled_dot(f32(2, 3, 2, 0), k, k, none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(q, f32(2, 5, 2, 0), k, none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(q, k, f32(2, 5, 2, 0), none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(q, f32(3, 3, 5, 2), f32(3, 3, 5, 2), none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(q, k, f32(3, 1, 5, 2), none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(q, f32(3, 0, 5, 2), f32(3, 0, 5, 2), none, 0, 0), AG_ERR_SHAPE, shapes);
    ACCEPTED(scaled_dot(f32(3, 0, 3, 2), f32(3, 0, 5, 2), f32(3, 0, 5, 2), none, 0, 0));
    REFUSED(scaled_dot(q, f32(3, 2, 5, 3), k, none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(q, k, f32(3, 2, 4, 2), none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(q, f32(3, 2, 0, 2), f32(3, 2, 0, 2), none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(f32(3, 4, 3, 0), f32(3, 2, 5, 0), k, none, 0, 0), AG_ERR_SHAPE, shapes);
    REFUSED(scaled_dot(ag_cast(q, AG_I64), k, k, none, 0, 0), AG_ERR_DTYPE, "all must be f32");
    REFUSED(scaled_dot(q, ag_cast(k, AG_F64), k, none, 0, 0), AG_ERR_DTYPE, "all must be f32");
    REFUSED(scaled_dot(q, k, ag_cast(k, AG_F64), none, 0, 0), AG_ERR_DTYPE, "all must be f32");
    REFUSED(scaled_dot(q, k, k, none, -0.5, 0), AG_ERR_RANGE, "dropout -0.5");
    REFUSED(scaled_dot(q, k, k, none, 1, 0), AG_ERR_RANGE, "dropout 1");
    REFUSED(scaled_dot(q, k, k, none, 0, (double)INFINITY), AG_ERR_RANGE, "scale inf");
    REFUSED(scaled_dot(q, k, k, nil_of(tape), 0, 0), AG_ERR_NIL, "b nil");
    REFUSED(scaled_dot(q, k, k, ag_zeros(other, AG_F32, AG_SCALAR), 0, 0), AG_ERR_TAPE,
            "second input is on another tape");
    REFUSED(scaled_dot(q, k, k, ag_zeros(tape, AG_F32, AG_SHAPE(1, 4, 3, 5)), 0, 0), AG_ERR_SHAPE,
            "cannot be broadcast");
    REFUSED(scaled_dot(q, k, k, f32(2, 3, 4, 0), 0, 0), AG_ERR_SHAPE, "cannot be broadcast");
    REFUSED(scaled_dot(q, k, k, ag_zeros(tape, AG_F64, AG_SHAPE(3, 5)), 0, 0), AG_ERR_DTYPE, "the mask must be bool");
    ag_tape_free(other);
}
END_TEST

START_TEST(attention_layers) {
    ag_attention layer, wrong;
    ag_tensor *x = f32(3, 2, 3, 4);
    ag_attention_init(&layer, tape, AG_F32, 4, 2);
    ACCEPTED(ag_attention_apply(&layer, x, false));
    REFUSED(ag_attention_apply(&layer, f32(2, 3, 4, 0), false), AG_ERR_SHAPE, "the input must be (N,T,C)");
    REFUSED(ag_attention_apply(&layer, f32(3, 2, 3, 5), false), AG_ERR_SHAPE, "the input must be (N,T,C)");
    REFUSED(ag_attention_apply(&layer, f32(3, 2, 0, 4), false), AG_ERR_SHAPE, "the input must be (N,T,C)");
    wrong = layer, wrong.query.weight = f32(1, 4, 0, 0);
    REFUSED(ag_attention_apply(&wrong, x, false), AG_ERR_SHAPE, "the input must be (N,T,C)");
    wrong = layer, wrong.key.weight = f32(2, 4, 6, 0);
    REFUSED(ag_attention_apply(&wrong, x, false), AG_ERR_RANGE, "heads cannot divide C");
    wrong = layer, wrong.value.weight = f32(2, 4, 0, 0);
    REFUSED(ag_attention_apply(&wrong, x, false), AG_ERR_RANGE, "heads cannot divide C");
    wrong = layer, wrong.value.weight = f32(2, 5, 4, 0);
    REFUSED(ag_attention_apply(&wrong, x, false), AG_ERR_SHAPE, "the input must be (N,T,C)");
    wrong = layer, wrong.heads = 0;
    REFUSED(ag_attention_apply(&wrong, x, false), AG_ERR_RANGE, "0 heads");
    wrong = layer, wrong.heads = 3;
    REFUSED(ag_attention_apply(&wrong, x, false), AG_ERR_RANGE, "3 heads");
    wrong = layer, wrong.query.weight = f32(2, 4, 6, 0), wrong.heads = 3, wrong.groups = 2;
    REFUSED(ag_attention_apply(&wrong, x, false), AG_ERR_RANGE, "3 heads, 2 groups");
    wrong = layer, wrong.query.weight = wrong.key.weight = f32(2, 4, 2, 0);
    const ag_attention_options turned = {.rotary = 10};
    ACCEPTED(ag_attention_apply_with(&layer, x, NULL, &turned));
    REFUSED(ag_attention_apply_with(&wrong, x, NULL, &turned), AG_ERR_RANGE, "rotary base 10");
    REFUSED(ag_attention_apply_with(&layer, x, NULL, &(ag_attention_options){.rotary = -1}), AG_ERR_RANGE, "base -1");
    REFUSED(ag_attention_apply_with(&layer, x, NULL, &(ag_attention_options){.rotary = 0.5}), AG_ERR_RANGE, "base 0.5");
    REFUSED(ag_attention_apply_with(&layer, x, f32(3, 1, 3, 4), NULL), AG_ERR_SHAPE, "one number of sequences");
    static const ag_attention_sizes sizes[] = {
        {.features = 4, .heads = 0},
        {.features = 0, .heads = 1},
        {.features = 5, .heads = 2},
        {.features = 4, .heads = 4, .groups = -1},
        {.features = 4, .heads = 4, .groups = 3},
        {.features = 4, .heads = 4, .memory = -1},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        REFUSED(ag_attention_init_sizes(&wrong, tape, AG_F32, &sizes[i], NULL), AG_ERR_RANGE, "cannot be divided");
        ck_assert(ag_is_nil(wrong.query.weight) && ag_is_nil(wrong.output.weight));
    }
    REFUSED(ag_attention_init(NULL, tape, AG_F32, 4, 2), AG_ERR_NULL, "attention_init");
}
END_TEST

START_TEST(positions) {
    ag_tape *other = ag_tape_new();
    ag_tensor *x = f32(2, 3, 4, 0);
    ACCEPTED(ag_rotary(x, wholes(3), 100, false));
    REFUSED(ag_rotary(f32(1, 4, 0, 0), NULL, 100, false), AG_ERR_SHAPE, "x must be (…,T,D)");
    REFUSED(ag_rotary(f32(2, 3, 0, 0), NULL, 100, false), AG_ERR_SHAPE, "x must be (…,T,D)");
    REFUSED(ag_rotary(x, NULL, (double)INFINITY, false), AG_ERR_RANGE, "the base is inf");
    REFUSED(ag_rotary(x, nil_of(tape), 100, false), AG_ERR_NIL, "b nil");
    REFUSED(ag_rotary(x, ag_zeros(other, AG_I64, AG_SHAPE(3)), 100, false), AG_ERR_TAPE,
            "second input is on another tape");
    ck_assert_int_eq(ag_tape_status(other), AG_OK);
    REFUSED(ag_sinusoidal_positions(tape, AG_F32, -1, 4), AG_ERR_SHAPE, "(-1,4) is no shape");
    REFUSED(ag_sinusoidal_positions(tape, AG_F32, 4, -1), AG_ERR_SHAPE, "(4,-1) is no shape");
    REFUSED(ag_sinusoidal_positions(tape, AG_F32, INT64_MAX / 32, 4), AG_ERR_SHAPE, "is no shape");
    ag_tape_free(other);
}
END_TEST

/* ---- Metrics ---- */

START_TEST(metrics) {
    ag_tape *other = ag_tape_new();
    ag_tensor *scores = f32(2, 3, 4, 0), *labels = wholes(3), *line = f32(1, 3, 0, 0), *nil = nil_of(tape);
    ag_topk topk = {.k = 2};
    ag_confusion confusion;
    ag_auc auc;
    ag_confusion_init(&confusion, tape, 4);
    ag_auc_init(&auc, tape, 10);
    ACCEPTED(ag_topk_add(&topk, scores, labels));
    REFUSED(ag_topk_add(&topk, scores, nil), AG_ERR_NIL, "b nil");
    REFUSED(ag_topk_add(&topk, scores, ag_zeros(other, AG_I64, AG_SHAPE(3))), AG_ERR_TAPE,
            "second input is on another tape");
    REFUSED(ag_topk_add(&topk, line, labels), AG_ERR_SHAPE, "scores must be (N,C)");
    REFUSED(ag_topk_add(&topk, scores, ag_zeros(tape, AG_I64, AG_SHAPE(3, 1))), AG_ERR_SHAPE, "scores must be (N,C)");
    REFUSED(ag_topk_add(&topk, scores, wholes(4)), AG_ERR_SHAPE, "scores must be (N,C)");
    REFUSED(ag_topk_add(&topk, scores, ag_add_scalar(labels, -1)), AG_ERR_RANGE, "label -1 at [0]");
    REFUSED(ag_topk_add(&topk, scores, ag_add_scalar(labels, 4)), AG_ERR_RANGE, "label 4 at [0]");

    ACCEPTED(ag_confusion_add(&confusion, scores, labels));
    REFUSED(ag_confusion_add(&confusion, labels, ag_zeros(tape, AG_I64, AG_SHAPE(3, 1))), AG_ERR_SHAPE, "labels (N)");
    REFUSED(ag_confusion_add(&confusion, scores, ag_zeros(tape, AG_I64, AG_SHAPE(3, 1))), AG_ERR_SHAPE, "labels (N)");
    REFUSED(ag_confusion_add(&confusion, scores, wholes(2)), AG_ERR_SHAPE, "labels (N)");
    REFUSED(ag_confusion_add(&confusion, labels, wholes(2)), AG_ERR_SHAPE, "labels (N)");
    REFUSED(ag_confusion_add(&confusion, labels, line), AG_ERR_DTYPE, "must be i64");
    REFUSED_APART(ag_confusion_class(&confusion, -1), AG_ERR_RANGE, "class -1 is out of range");
    REFUSED_APART(ag_confusion_class(&confusion, 4), AG_ERR_RANGE, "class 4 is out of range");
    ag_confusion broken = confusion;
    broken.classes = 0;
    REFUSED_APART(ag_confusion_class(&broken, 0), AG_ERR_RANGE, "not made by its init");
    broken = confusion, broken.counts = NULL;
    REFUSED_APART(ag_confusion_class(&broken, 0), AG_ERR_RANGE, "not made by its init");

    ACCEPTED(ag_auc_add(&auc, line, labels));
    REFUSED(ag_auc_add(&auc, scores, labels), AG_ERR_SHAPE, "scores and labels must be (N)");
    REFUSED(ag_auc_add(&auc, line, ag_zeros(tape, AG_I64, AG_SHAPE(3, 1))), AG_ERR_SHAPE,
            "scores and labels must be (N)");
    REFUSED(ag_auc_add(&auc, line, wholes(2)), AG_ERR_SHAPE, "scores and labels must be (N)");
    ag_auc bad = auc;
    bad.samples = -1;
    REFUSED_APART(ag_auc_value(&bad), AG_ERR_RANGE, "not made by its init");
    bad = auc, bad.samples = 11;
    REFUSED_APART(ag_auc_value(&bad), AG_ERR_RANGE, "not made by its init");
    bad = auc, bad.kept = NULL;
    REFUSED_APART(ag_auc_value(&bad), AG_ERR_RANGE, "not made by its init");
    ag_tape_free(other);
}
END_TEST

/* ---- Normalisation ---- */

START_TEST(normalisation) {
    ag_batchnorm batch, b;
    ag_layernorm layer, l;
    ag_groupnorm group, g;
    ag_tensor *x = f32(2, 5, 4, 0), *wide = f32(2, 1, 4, 0);
    ag_batchnorm_init(&batch, tape, AG_F32, 4);
    ag_layernorm_init(&layer, tape, AG_F32, 4);
    ag_groupnorm_init(&group, tape, AG_F32, 4, 2);
    ACCEPTED(ag_batchnorm_apply(&batch, x, true));
    b = batch, b.gamma = NULL;
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_NULL, "b NULL");
    b = batch, b.gamma = wide;
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_SHAPE, "the input must be (N,…,C)");
    b = batch, b.gamma = f32(1, 3, 0, 0);
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_SHAPE, "the input must be (N,…,C)");
    b = batch, b.beta = wide;
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_SHAPE, "beta must be (C)");
    b = batch, b.beta = f32(1, 3, 0, 0);
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_SHAPE, "beta must be (C)");
    b = batch, b.momentum = -1;
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_RANGE, "momentum -1");
    b = batch, b.momentum = 2;
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_RANGE, "momentum 2");
    b = batch, b.running_mean = wide;
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_SHAPE, "the running mean must be (C)");
    b = batch, b.running_var = f32(1, 3, 0, 0);
    REFUSED(ag_batchnorm_apply(&b, x, true), AG_ERR_SHAPE, "the running variance must be (C)");
    ACCEPTED(ag_layernorm_apply(&layer, x));
    l = layer, l.axes = -1;
    REFUSED(ag_layernorm_apply(&l, x), AG_ERR_RANGE, "-1 axes");
    l = layer, l.axes = 3;
    REFUSED(ag_layernorm_apply(&l, x), AG_ERR_RANGE, "3 axes");
    ACCEPTED(ag_groupnorm_apply(&group, x));
    g = group, g.groups = 0;
    REFUSED(ag_groupnorm_apply(&g, x), AG_ERR_RANGE, "0 groups cannot divide C");
    g = group, g.groups = 3;
    REFUSED(ag_groupnorm_apply(&g, x), AG_ERR_RANGE, "3 groups cannot divide C");
    REFUSED(ag_groupnorm_init(&g, tape, AG_F32, 0, 1), AG_ERR_RANGE, "groupnorm");
    REFUSED(ag_groupnorm_init(&g, tape, AG_F32, 4, 0), AG_ERR_RANGE, "groupnorm");
    g = group, g.gamma = NULL;
    REFUSED(ag_groupnorm_apply(&g, f32(1, 4, 0, 0)), AG_ERR_SHAPE, "x f32 (4): the input must be (N,…,C)");
    REFUSED(ag_groupnorm_init(NULL, tape, AG_F32, 4, 2), AG_ERR_NULL, "groupnorm_init");
    REFUSED(ag_rmsnorm_init(NULL, tape, AG_F32, 4), AG_ERR_NULL, "rmsnorm_init");
    ag_rmsnorm root;
    ag_rmsnorm_init(&root, tape, AG_F32, 4);
    ACCEPTED(ag_rmsnorm_apply(&root, x));
    REFUSED(ag_rmsnorm_apply(&root, f32(2, 5, 3, 0)), AG_ERR_SHAPE, "the input must be (…,C)");
    REFUSED(ag_rmsnorm_apply(&root, ag_cast(x, AG_I64)), AG_ERR_DTYPE, "the dtype i64");
    root.epsilon = -1;
    REFUSED(ag_rmsnorm_apply(&root, x), AG_ERR_RANGE, "-1");
    REFUSED(ag_normalise(nil_of(tape), AG_AXES(0), 1e-5), AG_ERR_NIL, "nil");
    ACCEPTED(ag_weight_norm(x, f32(1, 4, 0, 0), 1));
    REFUSED(ag_weight_norm(x, wide, 1), AG_ERR_SHAPE, "g must be (4)");
    REFUSED(ag_weight_norm(x, f32(1, 5, 0, 0), 1), AG_ERR_SHAPE, "g must be (4)");
}
END_TEST

/* ---- Recurrent layers ---- */

START_TEST(recurrent) {
    ag_lstm_cell cell, c;
    ag_tensor *x = f32(2, 3, 4, 0);
    ag_lstm_cell_init(&cell, tape, AG_F32, 4, 5);
    ACCEPTED(ag_lstm_cell_apply(&cell, x, &(ag_lstm_state){0}));
    REFUSED(ag_lstm_cell_apply(&cell, f32(1, 4, 0, 0), &(ag_lstm_state){0}), AG_ERR_SHAPE, "the input must be (N,C)");
    c = cell, c.input_weight = f32(1, 4, 0, 0);
    REFUSED(ag_lstm_cell_apply(&c, x, &(ag_lstm_state){0}), AG_ERR_SHAPE, "the input must be (N,C)");
    c = cell, c.hidden_weight = f32(1, 5, 0, 0);
    REFUSED(ag_lstm_cell_apply(&c, x, &(ag_lstm_state){0}), AG_ERR_SHAPE, "the input must be (N,C)");
    c = cell, c.input_weight = f32(2, 4, 24, 0);
    REFUSED(ag_lstm_cell_apply(&c, x, &(ag_lstm_state){0}), AG_ERR_SHAPE, "the input must be (N,C)");
    c = cell, c.hidden_weight = f32(2, 5, 24, 0);
    REFUSED(ag_lstm_cell_apply(&c, x, &(ag_lstm_state){0}), AG_ERR_SHAPE, "the input must be (N,C)");
    c = cell, c.bias = f32(2, 1, 20, 0);
    REFUSED(ag_lstm_cell_apply(&c, x, &(ag_lstm_state){0}), AG_ERR_SHAPE, "the bias must be (4·H)");
    c = cell, c.bias = f32(1, 24, 0, 0);
    REFUSED(ag_lstm_cell_apply(&c, x, &(ag_lstm_state){0}), AG_ERR_SHAPE, "the bias must be (4·H)");
    REFUSED(ag_lstm_cell_apply(&cell, x, &(ag_lstm_state){f32(1, 5, 0, 0), NULL}), AG_ERR_SHAPE, "the state must be");
    REFUSED(ag_lstm_cell_apply(&cell, x, &(ag_lstm_state){f32(2, 2, 5, 0), NULL}), AG_ERR_SHAPE, "the state must be");
    REFUSED(ag_lstm_cell_apply(&cell, x, &(ag_lstm_state){NULL, f32(2, 3, 4, 0)}), AG_ERR_SHAPE, "the state must be");
}
END_TEST

START_TEST(recurrent_layers) {
    static const ag_rnn good = {.in = 2, .hidden = 3, .layers = 1, .cell = AG_CELL_LSTM};
    ag_rnn sizes[] = {good, good, good, good, good, good, good, good}, layer, wrong;
    sizes[0].in = 0, sizes[1].hidden = 0, sizes[2].hidden = INT64_MAX / 8 + 1, sizes[3].layers = -1;
    sizes[4].layers = (int64_t)INT32_MAX + 1, sizes[5].cell = (ag_cell)(AG_CELL_LSTM + 1), sizes[6].dropout = -0.5;
    sizes[7].dropout = 1;
    for (int i = 0; i < 8; i++) {
        REFUSED(ag_rnn_init(&wrong, tape, AG_F32, &sizes[i], NULL), AG_ERR_RANGE, "each number must be at least 1");
        ck_assert_ptr_null(wrong.parts);
    }
    REFUSED(ag_rnn_init(&wrong, tape, AG_F32, NULL, NULL), AG_ERR_RANGE, "0 inputs");
    REFUSED(ag_rnn_init(NULL, tape, AG_F32, &good, NULL), AG_ERR_NULL, "rnn_init");
    ag_tensor *x = f32(3, 2, 4, 2);
    ag_rnn_state state = {NULL, NULL};
    ACCEPTED(ag_rnn_init(&layer, tape, AG_F32, &good, NULL));
    ACCEPTED(ag_rnn_apply(&layer, x, NULL, NULL, false));
    REFUSED(ag_rnn_apply(NULL, x, NULL, NULL, false), AG_ERR_NULL, "the layer or its parts are NULL");
    wrong = layer, wrong.parts = NULL;
    REFUSED(ag_rnn_apply(&wrong, x, NULL, NULL, false), AG_ERR_NULL, "the layer or its parts are NULL");
    wrong = layer, wrong.layers = 0;
    REFUSED(ag_rnn_apply(&wrong, x, NULL, NULL, false), AG_ERR_NULL, "the layer or its parts are NULL");
    wrong = layer, wrong.dropout = 1;
    REFUSED(ag_rnn_apply(&wrong, x, NULL, NULL, false), AG_ERR_RANGE, "dropout is 1");
    wrong.dropout = -1;
    REFUSED(ag_rnn_apply(&wrong, x, NULL, NULL, false), AG_ERR_RANGE, "dropout is -1");
    REFUSED(ag_rnn_apply(&layer, f32(2, 4, 2, 0), NULL, NULL, false), AG_ERR_SHAPE, "the input must be (N,T,C)");
    REFUSED(ag_rnn_apply(&layer, f32(3, 2, 4, 3), NULL, NULL, false), AG_ERR_SHAPE, "the input must be (N,T,C)");
    REFUSED(ag_rnn_apply(&layer, f32(3, 2, 0, 2), NULL, NULL, false), AG_ERR_SHAPE, "the input must be (N,T,C)");
    const ag_shape endless = AG_SHAPE(0, (int64_t)INT32_MAX + 1, 2);
    REFUSED(ag_rnn_apply(&layer, ag_zeros(tape, AG_F32, endless), NULL, NULL, false), AG_ERR_SHAPE, "(N,T,C)");
    state.hidden = f32(3, 1, 2, 4);
    REFUSED(ag_rnn_apply(&layer, x, NULL, &state, false), AG_ERR_SHAPE, "the state must be (1,2,3)");
    state.hidden = NULL, state.cell = f32(3, 1, 2, 4);
    REFUSED(ag_rnn_apply(&layer, x, NULL, &state, false), AG_ERR_SHAPE, "the state must be (1,2,3)");
    ag_sequence m;
    ag_sequence_init(&m, tape, AG_F32, "m");
    ag_sequence_lstm(&m, 2, 3, NULL);
    ACCEPTED(ag_sequence_apply(&m, x));
    REFUSED(ag_sequence_apply(&m, f32(2, 4, 2, 0)), AG_ERR_SHAPE, "the input must be (N,T,C)");
    REFUSED(ag_sequence_apply(&m, f32(3, 2, 0, 2)), AG_ERR_SHAPE, "the input must be (N,T,C)");
    REFUSED(ag_sequence_apply(&m, f32(3, 2, 4, 3)), AG_ERR_SHAPE, "the input must be (N,T,C)");
}
END_TEST

/* ---- Parts of layers ---- */

/* Layers begin with their handles; `part` are those that are changed. */
typedef struct parted {
    const char *name; /* of the function that applies it */
    ag_tensor *(*apply)(const void *layer);
    void *layer;
    ag_tensor **part;
    int parts;
    bool any_dtype;
} parted;

static ag_tensor *input3(void) { return f32(3, 2, 3, 4); }
static ag_tensor *image4(void) { return scattered(tape, AG_F32, AG_SHAPE(1, 3, 3, 4), 2); }
static ag_tensor *apply_linear(const void *l) { return ag_linear_apply(l, input3()); }
static ag_tensor *apply_embedding(const void *l) { return ag_embedding_apply(l, wholes(3)); }
static ag_tensor *apply_conv(const void *l) { return ag_conv_apply(l, image4()); }
static ag_tensor *apply_conv2d(const void *l) { return ag_conv2d_apply(l, image4()); }
static ag_tensor *apply_attention(const void *l) { return ag_attention_apply(l, input3(), true); }
static ag_tensor *apply_memory(const void *l) { return ag_attention_apply_with(l, input3(), f32(3, 2, 5, 4), NULL); }
static ag_tensor *apply_batchnorm(const void *l) { return ag_batchnorm_apply(l, input3(), true); }
static ag_tensor *apply_layernorm(const void *l) { return ag_layernorm_apply(l, input3()); }
static ag_tensor *apply_groupnorm(const void *l) { return ag_groupnorm_apply(l, image4()); }
static ag_tensor *apply_rmsnorm(const void *l) { return ag_rmsnorm_apply(l, input3()); }
static ag_tensor *apply_rnn(const void *l) { return ag_rnn_apply(l, input3(), NULL, NULL, false); }
static ag_tensor *apply_cell(const void *l) {
    ag_lstm_state state = {f32(2, 3, 5, 0), f32(2, 3, 5, 0)};
    return ag_lstm_cell_apply(l, f32(2, 3, 4, 0), &state);
}

/* A released handle whose slot is taken again by the tensor number `skipped` that is recorded. */
static ag_tensor *released(ag_tensor *x, int skipped) {
    const ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < skipped; i++) ag_scalar(tape, AG_F32, 0);
    ag_tensor *twin = ag_parameter(tape, ag_dtype_of(x), ag_shape_of(x), ag_data(x));
    ag_tape_rewind(tape, mark);
    return twin;
}

static void refuse_part(const parted *p, int i, ag_tensor *wrong, const char *what) {
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *right = p->part[i];
    p->part[i] = wrong;
    p->apply(p->layer);
    p->part[i] = right;
    const char *text = ag_tape_error(tape), *name = strstr(text, p->name);
    ck_assert_msg(ag_tape_status(tape) != AG_OK && name && name[strlen(p->name)] == ':', "%s, part %d, %s: \"%s\"",
                  p->name, i, what, text);
    ag_clear_error(tape);
    ag_tape_rewind(tape, mark);
}

START_TEST(parts_of_layers) {
    enum { SKIPPED = 60 };
    ag_tape *other = ag_tape_new();
    ag_tensor *foreign = ag_zeros(other, AG_F32, AG_SCALAR), *nil = nil_of(tape);
    ag_linear linear;
    ag_embedding embedding;
    ag_conv conv;
    ag_conv2d conv2d;
    ag_attention many;
    ag_batchnorm batchnorm;
    ag_layernorm layernorm;
    ag_groupnorm groupnorm;
    ag_rmsnorm rmsnorm;
    ag_rnn rnn;
    ag_lstm_cell cell;
    ag_linear_init(&linear, tape, AG_F32, 4, 3);
    ag_embedding_init(&embedding, tape, AG_F32, 4, 3);
    ag_conv_init(&conv, tape, AG_F32, 4, 3, AG_SHAPE(2, 2), NULL);
    ag_conv2d_init(&conv2d, tape, AG_F32, 4, 3, 2);
    ag_attention_init(&many, tape, AG_F32, 4, 2);
    ag_batchnorm_init(&batchnorm, tape, AG_F32, 4);
    ag_layernorm_init(&layernorm, tape, AG_F32, 4);
    ag_groupnorm_init(&groupnorm, tape, AG_F32, 4, 2);
    ag_rmsnorm_init(&rmsnorm, tape, AG_F32, 4);
    ag_rnn_init(&rnn, tape, AG_F32, &(ag_rnn){.in = 4, .hidden = 3, .layers = 1, .cell = AG_CELL_GRU}, NULL);
    ag_lstm_cell_init(&cell, tape, AG_F32, 4, 5);
    const parted all[] = {
        {"linear_apply", apply_linear, &linear, &linear.weight, 2, false},
        {"embedding_apply", apply_embedding, &embedding, &embedding.weight, 1, true},
        {"conv_apply", apply_conv, &conv, &conv.weight, 2, false},
        {"conv2d_apply", apply_conv2d, &conv2d, &conv2d.weight, 2, false},
        {"attention_apply", apply_attention, &many, &many.query.weight, 8, false},
        {"attention_apply_with", apply_memory, &many, &many.query.weight, 8, false},
        {"batchnorm_apply", apply_batchnorm, &batchnorm, &batchnorm.gamma, 4, false},
        {"layernorm_apply", apply_layernorm, &layernorm, &layernorm.gamma, 2, false},
        {"groupnorm_apply", apply_groupnorm, &groupnorm, &groupnorm.gamma, 2, false},
        {"rmsnorm_apply", apply_rmsnorm, &rmsnorm, &rmsnorm.gamma, 1, false},
        {"rnn_apply", apply_rnn, &rnn, &rnn.parts[0].input_weight, 4, false},
        {"lstm_cell_apply", apply_cell, &cell, &cell.input_weight, 3, false},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const parted *p = &all[k];
        ACCEPTED(p->apply(p->layer));
        for (int i = 0; i < p->parts; i++) {
            ck_assert(!ag_is_nil(p->part[i]));
            refuse_part(p, i, nil, "nil");
            refuse_part(p, i, foreign, "of another tape");
            refuse_part(p, i, ag_unsqueeze(p->part[i], 0), "with one axis more");
            if (!p->any_dtype) refuse_part(p, i, ag_cast(p->part[i], AG_F64), "of another dtype");
            for (int skipped = 0; skipped < SKIPPED; skipped++)
                refuse_part(p, i, released(p->part[i], skipped), "released");
        }
    }
    ag_tape_free(other);
}
END_TEST

START_TEST(clipped_gradients) {
    ag_tape *other = ag_tape_new();
    ag_tensor *right[] = {f32(2, 2, 3, 0), f32(1, 3, 0, 0)}, *g[2];
    ag_tensor *const wrong[] = {ag_zeros(other, AG_F32, AG_SHAPE(3)), ag_cast(right[1], AG_F64), nil_of(tape), NULL,
                                released(right[1], 0)};
    static const ag_status status[] = {AG_ERR_TAPE, AG_ERR_DTYPE, AG_ERR_NIL, AG_ERR_NULL, AG_ERR_TAPE};
    for (int i = 0; i < 5; i++) {
        g[0] = right[0], g[1] = wrong[i];
        REFUSED(ag_clip_norm(2, g, 1), status[i], "clip_norm: a");
        REFUSED(ag_clip_value(2, g, 1), status[i], "clip_value: a");
        ck_assert(g[0] == right[0] && g[1] == wrong[i]);
    }
    ag_tape_free(other);
}
END_TEST

/* ---- Messages that name what was given, and nothing else ---- */

START_TEST(names_in_messages) {
    ag_tensor *x = f32(2, 2, 4, 0), *zeros = ag_zeros(tape, AG_F64, AG_SHAPE(2, 2)), *i = ag_cast(x, AG_I64);
    ag_tensor *b = ag_zeros(tape, AG_F64, AG_SHAPE(2, 3)), *line = f32(1, 4, 0, 0);
    REFUSED(ag_eval(ag_solve(zeros, b)), AG_ERR_SINGULAR, "solve: a (2,2) and b (2,3): the matrix is singular");
    REFUSED(ag_eval(ag_inverse(zeros)), AG_ERR_SINGULAR, "inverse: x (2,2): the matrix is singular");
    REFUSED(ag_eval(ag_multinomial(ag_full(tape, AG_F64, AG_SHAPE(3), -1), 2, true)), AG_ERR_RANGE,
            "multinomial: x (3): weight -1");
    REFUSED(ag_draw_poisson(i), AG_ERR_DTYPE, "draw_poisson: x i64 (2,4): needs f32 or f64 [");
    REFUSED(ag_draw_normal(i, i), AG_ERR_DTYPE, "parameters must be f32 or f64, and of one dtype");
    REFUSED(ag_pairwise_distance(x, line, 2), AG_ERR_SHAPE, "(4): the vectors must have one shape [");
    REFUSED(ag_cosine_embedding(x, x, x, 0), AG_ERR_SHAPE, "there must be a sign for each vector");
    REFUSED(ag_mse(x, i), AG_ERR_DTYPE, "all must be f32, or all f64 [");
    REFUSED(ag_cross_entropy(i, wholes(2)), AG_ERR_DTYPE, "the first must be f32 or f64");
    REFUSED(ag_normalise(x, AG_AXES(0), -1), AG_ERR_RANGE, "normalise: x f32 (2,4): epsilon is -1: 0 or more");
    REFUSED(ag_normalise(x, AG_AXES(2), 0), AG_ERR_AXIS, "normalise: x f32 (2,4): axis ");
    REFUSED(ag_normalise(x, AG_AXES(1, -1), 0), AG_ERR_AXIS, "normalise: x f32 (2,4): axis ");
    REFUSED(ag_normalise(x, (ag_axes){.count = -2}, 0), AG_ERR_AXIS, "normalise: ");
    REFUSED(ag_normalise(x, (ag_axes){.count = AG_MAX_RANK + 1}, 0), AG_ERR_AXIS, "normalise: ");
    REFUSED_APART(ag_normalise(NULL, AG_AXES(0), 0), AG_ERR_NULL, "normalise: x NULL");
    REFUSED(ag_weight_norm(x, ag_zeros(tape, AG_F64, AG_SHAPE(4)), 1), AG_ERR_DTYPE, "dtypes f32 and f64 differ");
    REFUSED_APART(ag_zeros_like(NULL), AG_ERR_NULL, "zeros_like: x NULL");
    REFUSED_APART(ag_ones_like(NULL), AG_ERR_NULL, "ones_like: x NULL");
    REFUSED(ag_eigvalsh(x), AG_ERR_SHAPE, "eigvalsh: x f32 (2,4)");
    REFUSED(ag_svdvals(line), AG_ERR_SHAPE, "svdvals: x f32 (4)");
    REFUSED(ag_assign(x, x), AG_ERR_TAPE, "only a variable or a parameter");
    REFUSED(ag_hessian(x, x), AG_ERR_SHAPE, "there are 8 elements: one is wanted");
}
END_TEST

/* ---- Layers that are made ---- */

static ag_tensor *strange;
static ag_tensor *strange_initial(ag_tape *t, ag_dtype dtype, ag_shape shape, double number) {
    (void)t, (void)dtype, (void)shape, (void)number;
    return strange;
}

START_TEST(made_layers) {
    ag_tape *other = ag_tape_new();
    ag_tensor *results[] = {NULL, nil_of(tape), ag_zeros(other, AG_F32, AG_SHAPE(4, 3))};
    ag_linear linear, l;
    ag_embedding table, e;
    ag_conv2d conv, c;
    ag_linear_init(&linear, tape, AG_F32, 4, 3);
    ag_embedding_init(&table, tape, AG_F32, 4, 3);
    ag_conv2d_init(&conv, tape, AG_F32, 2, 3, 1);
    for (int i = 0; i < 3; i++) {
        const ag_layer_options options = {.weight = {strange_initial, 0}};
        strange = results[i];
        REFUSED(ag_linear_init_with(&l, tape, AG_F32, 4, 3, &options), AG_ERR_NIL, "returned no tensor of this tape");
    }
    l = linear, l.bias = f32(2, 1, 3, 0);
    ACCEPTED(ag_linear_apply(&linear, f32(2, 5, 4, 0)));
    REFUSED(ag_linear_apply(&l, f32(2, 5, 4, 0)), AG_ERR_SHAPE, "the bias must be (3)");
    e = table, e.weight = f32(1, 4, 0, 0);
    ACCEPTED(ag_embedding_apply(&table, wholes(5)));
    REFUSED(ag_embedding_apply(&e, wholes(5)), AG_ERR_SHAPE, "the table be (V,C)");
    const ag_shape all = {.rank = AG_MAX_RANK, .extent = {1, 1, 1, 1, 1, 1, 1, 1}};
    REFUSED(ag_embedding_apply(&table, ag_zeros(tape, AG_I64, all)), AG_ERR_SHAPE, "the index must have at most");
    ag_tensor *image = ag_zeros(tape, AG_F32, AG_SHAPE(1, 3, 3, 2));
    c = conv, c.bias = f32(2, 1, 3, 0);
    ACCEPTED(ag_conv2d_apply(&conv, image));
    REFUSED(ag_conv2d_apply(&c, image), AG_ERR_SHAPE, "the bias must be (K)");
    const int64_t far = INT64_C(1) << 31;
    REFUSED(ag_max_pool(image, AG_SHAPE(far), NULL), AG_ERR_RANGE, "2147483648");
    REFUSED(ag_adaptive_max_pool(ag_zeros(tape, AG_F32, AG_SHAPE(0, far, 1)), AG_SHAPE(4)), AG_ERR_SHAPE,
            "axis 1 must have 1 to 2³¹ − 1 elements");
    REFUSED(ag_adaptive_max_pool(ag_zeros(tape, AG_F32, AG_SHAPE(1, 0, 1)), AG_SHAPE(4)), AG_ERR_SHAPE,
            "axis 1 must have 1 to 2³¹ − 1 elements");
    ag_tensor *row = f32(3, 1, 2, 1), *square = ag_zeros(tape, AG_F32, AG_SHAPE(1, 2, 2, 1));
    ACCEPTED(ag_max_unpool(row, ag_cast(row, AG_I64), AG_SHAPE(0))); /* no place is in it: an error once evaluated */
    REFUSED(ag_max_unpool(row, ag_cast(row, AG_I64), AG_SHAPE(-1)), AG_ERR_SHAPE, "are too large, or negative");
    REFUSED(ag_max_unpool(square, ag_cast(square, AG_I64), AG_SHAPE(INT64_MAX / 2, 3)), AG_ERR_SHAPE,
            "are too large, or negative");
    REFUSED(ag_pixel_unshuffle(ag_zeros(tape, AG_F32, AG_SHAPE(1, 0, INT64_C(1) << 58)), 1024), AG_ERR_SHAPE,
            "times the channels are too many");
    ag_tape_free(other);
}
END_TEST

/* ---- Datasets ---- */

START_TEST(datasets) {
    ag_dataset d, to[2], wrong;
    ag_tape *other = ag_tape_new();
    ag_tensor *x = f32(2, 6, 2, 0), *nil = nil_of(tape);
    ag_dataset_tensors(&d, 1, &x);
    ACCEPTED(ag_dataset_split(to, tape, &d, 2, (double[]){0.5, 0.5}, NULL));
    REFUSED(ag_dataset_split(to, tape, &d, 2, (double[]){-0.5, 0.5}, NULL), AG_ERR_RANGE, "fraction 0 is -0.5");
    REFUSED(ag_dataset_split(to, tape, &d, 2, (double[]){0.5, 1.5}, NULL), AG_ERR_RANGE, "fraction 1 is 1.5");
    REFUSED(ag_dataset_fold(NULL, &to[1], tape, &d, 2, 0, NULL), AG_ERR_NULL, "one of the two datasets is NULL");
    REFUSED(ag_dataset_fold(&to[0], NULL, tape, &d, 2, 0, NULL), AG_ERR_NULL, "one of the two datasets is NULL");
    REFUSED(ag_dataset_tensors(&wrong, 2, (ag_tensor *[]){x, NULL}), AG_ERR_NULL, "part 1 is NULL");
    REFUSED_APART(ag_dataset_tensors(&wrong, 2, (ag_tensor *[]){NULL, x}), AG_ERR_NULL, "part 0 is NULL");
    REFUSED(ag_dataset_split(to, tape, NULL, 2, (double[]){0.5, 0.5}, NULL), AG_ERR_NULL, "dataset_split");
    REFUSED(ag_dataset_fold(&to[0], &to[1], tape, NULL, 2, 0, NULL), AG_ERR_NULL, "dataset_fold");
    REFUSED(ag_dataset_select(NULL, &d, wholes(1)), AG_ERR_NULL, "the view is NULL");
    REFUSED(ag_dataset_select(to, NULL, wholes(1)), AG_ERR_NULL, "dataset_select");
    ck_assert_int_eq(ag_dataset_count(to), 0);
    ACCEPTED(ag_dataset_split(to, tape, &d, 2, (double[]){1, 0}, NULL));
    ck_assert_int_eq(ag_dataset_count(&to[0]), 6);
    ck_assert_int_eq(ag_dataset_count(&to[1]), 0);
    REFUSED(ag_dataset_tensors(&wrong, 2, (ag_tensor *[]){x, nil}), AG_ERR_NIL, "nil");
    REFUSED(ag_dataset_tensors(&wrong, 2, (ag_tensor *[]){x, ag_zeros(other, AG_F32, AG_SHAPE(6))}), AG_ERR_TAPE,
            "second input is on another tape");
    wrong = d, wrong.tensor[0] = f32(1, 6, 0, 0);
    REFUSED(ag_dataset_split(to, tape, &wrong, 1, (double[]){1}, NULL), AG_ERR_SHAPE, "does not consist of");
    wrong = d, wrong.tensor[0] = f32(2, 6, 3, 0);
    REFUSED(ag_dataset_split(to, tape, &wrong, 1, (double[]){1}, NULL), AG_ERR_SHAPE, "does not consist of");
    wrong = d, wrong.tensor[0] = f32(2, 5, 2, 0);
    REFUSED(ag_dataset_split(to, tape, &wrong, 1, (double[]){1}, NULL), AG_ERR_SHAPE, "does not consist of");
    wrong = d, wrong.tensor[0] = nil;
    REFUSED(ag_dataset_split(to, tape, &wrong, 1, (double[]){1}, NULL), AG_ERR_NIL, "nil");
    REFUSED_APART(ag_dataset_select(to, &d, NULL), AG_ERR_NULL, "list of places is NULL");
    REFUSED(ag_dataset_select(to, &d, nil), AG_ERR_NIL, "nil");
    REFUSED(ag_dataset_select(to, &d, ag_full(tape, AG_I64, AG_SHAPE(1), -1)), AG_ERR_RANGE,
            "-1 at [0] is out of range");
    REFUSED(ag_dataset_select(to, &d, ag_full(tape, AG_I64, AG_SHAPE(1), 6)), AG_ERR_RANGE, "6 at [0] is out of range");
    ag_tape_free(other);
}
END_TEST

/* ---- Rates ---- */

START_TEST(schedules) {
    const ag_schedule right = {.kind = AG_SCHEDULE_ONE_CYCLE, .rate = 1, .steps = 10};
    ag_schedule s;
    ck_assert(isfinite(ag_schedule_rate(&right, 3)));
    static const double hostile[] = {-1, 2, 0.5, INFINITY};
    for (int i = 0; i < 2; i++) {
        s = right, s.rise = hostile[i];
        REFUSED_APART(ag_schedule_rate(&s, 3), AG_ERR_RANGE, "rise is");
        s = right, s.low_momentum = hostile[i];
        REFUSED_APART(ag_schedule_rate(&s, 3), AG_ERR_RANGE, "low_momentum is");
        s = right, s.high_momentum = hostile[i];
        REFUSED_APART(ag_schedule_rate(&s, 3), AG_ERR_RANGE, "high_momentum is");
        s = (ag_schedule){.kind = AG_SCHEDULE_CONSTANT, .rate = 1, .warmup = 2, .start = hostile[i]};
        REFUSED_APART(ag_schedule_rate(&s, 3), AG_ERR_RANGE, "start is");
        s = right, s.divisor = hostile[2 + i];
        REFUSED_APART(ag_schedule_rate(&s, 3), AG_ERR_RANGE, "divisor is");
        s = right, s.final_divisor = hostile[2 + i];
        REFUSED_APART(ag_schedule_rate(&s, 3), AG_ERR_RANGE, "final_divisor is");
    }
    ag_plateau plateau, p;
    ag_plateau_init(&plateau, 1);
    p = plateau, p.factor = -1;
    REFUSED_APART(ag_plateau_rate(&p, 1), AG_ERR_RANGE, "factor is -1");
    p = plateau, p.factor = 1;
    REFUSED_APART(ag_plateau_rate(&p, 1), AG_ERR_RANGE, "factor is 1");
    p = plateau, p.difference = INFINITY;
    REFUSED_APART(ag_plateau_rate(&p, 1), AG_ERR_RANGE, "difference is inf");
    ag_kept kept[1];
    ag_tensor *v = ag_parameter_from(f32(1, 2, 0, 0));
    ag_stopping stopping, t;
    ag_stopping_init(&stopping, 1, &v, kept);
    t = stopping, t.kept = NULL;
    REFUSED_APART(ag_stopping_step(&t, 1), AG_ERR_NULL, "what is kept is NULL");
    t = stopping, t.patience = 0;
    REFUSED_APART(ag_stopping_step(&t, 1), AG_ERR_RANGE, "patience is 0");
    t = stopping, t.waited = -1;
    REFUSED_APART(ag_stopping_step(&t, 1), AG_ERR_RANGE, "waited is -1");
    t = stopping, t.n = -1;
    REFUSED_APART(ag_stopping_step(&t, 1), AG_ERR_RANGE, "n is -1");
    t = stopping, t.steps = -1;
    REFUSED_APART(ag_stopping_step(&t, 1), AG_ERR_RANGE, "steps is -1");
    REFUSED(ag_stopping_restore(&stopping), AG_ERR_RANGE, "there is no best value");
    REFUSED_APART(ag_stopping_restore(NULL), AG_ERR_NULL, "the struct is NULL");
    ag_tape *other = ag_tape_new();
    ag_tensor *foreign = ag_parameter_from(ag_zeros(other, AG_F32, AG_SHAPE(2)));
    ag_kept bad[2] = {kept[0], kept[0]};
    t = stopping, t.n = 2, t.kept = bad;
    bad[1].variable = foreign;
    REFUSED(ag_stopping_step(&t, 1), AG_ERR_TAPE, "variable 1 is on another tape than the first");
    bad[1].variable = f32(1, 2, 0, 0);
    REFUSED(ag_stopping_step(&t, 1), AG_ERR_TAPE, "is not a variable");
    bad[1] = kept[0], bad[1].value = f32(1, 2, 0, 0);
    REFUSED(ag_stopping_step(&t, 1), AG_ERR_TAPE, "is not a variable");
    bad[1].value = ag_parameter_from(f32(1, 3, 0, 0));
    REFUSED(ag_stopping_step(&t, 1), AG_ERR_SHAPE, "what is kept of number 1");
    bad[0].variable = NULL;
    REFUSED_APART(ag_stopping_step(&t, 1), AG_ERR_NULL, "number 0: it is NULL");
    ag_stopping nothing;
    ACCEPTED(ag_stopping_init(&nothing, 0, NULL, NULL));
    REFUSED_APART(ag_stopping_restore(&nothing), AG_ERR_RANGE, "there is no best value");
    ck_assert(!ag_stopping_step(&nothing, 1));
    ACCEPTED(ag_stopping_restore(&nothing));
    ag_tape_free(other);
}
END_TEST

/* ---- Optimisers, sums and averages ---- */

START_TEST(optimisers) {
    ag_tensor *v[] = {ag_parameter_from(f32(1, 2, 0, 0))}, *g[] = {f32(1, 2, 0, 0)};
    ag_slot slots[1];
    ag_kept kept[2][1];
    ag_adam adam, a;
    ag_accumulator sum, s;
    ag_average average, m;
    ag_sgd sgd;
    REFUSED(ag_sgd_init(NULL, 1, v, slots, 0.1, 0), AG_ERR_NULL, "sgd_init");
    REFUSED_APART(ag_sgd_init(&sgd, -1, v, slots, 0.1, 0), AG_ERR_RANGE, "-1");
    ck_assert_int_eq(sgd.n, 0);
    ag_adam_init(&adam, 1, v, slots);
    ACCEPTED(ag_adam_step(&adam, g));
    ck_assert_int_eq(ag_adam_steps(&adam), 1);
    ck_assert_int_eq(ag_adam_steps(NULL), 0);
    a = adam, a.made = 0;
    ck_assert_int_eq(ag_adam_steps(&a), 0);
    a = adam, a.n = 0;
    ck_assert_int_eq(ag_adam_steps(&a), 0);
    a = adam, a.slots = NULL;
    ck_assert_int_eq(ag_adam_steps(&a), 0);
    REFUSED_APART(ag_adam_step(NULL, g), AG_ERR_NULL, "adam_step");
    adam.slots[0].missed = -1;
    REFUSED(ag_adam_step(&adam, g), AG_ERR_RANGE, "parameter 0 missed -1 steps");
    adam.slots[0].missed = 9;
    REFUSED(ag_adam_step(&adam, g), AG_ERR_RANGE, "parameter 0 missed 9 steps");
    REFUSED_APART(ag_sgd_velocity(NULL, 0), AG_ERR_NULL, "the optimiser is NULL");
    REFUSED_APART(ag_rmsprop_mean_square(NULL, 0), AG_ERR_NULL, "the optimiser is NULL");
    REFUSED_APART(ag_rmsprop_velocity(NULL, 0), AG_ERR_NULL, "the optimiser is NULL");
    REFUSED_APART(ag_adam_first_moment(NULL, 0), AG_ERR_NULL, "the optimiser is NULL");
    a = adam, a.n = 0;
    REFUSED_APART(ag_adam_first_moment(&a, 0), AG_ERR_RANGE, "the optimiser has 0");

    ag_accumulator_init(&sum, 1, v, kept[0]);
    ACCEPTED(ag_accumulator_add(&sum, g, 1));
    s = sum, s.n = 0;
    REFUSED_APART(ag_accumulator_add(&s, g, 1), AG_ERR_RANGE, "n is 0");
    s = sum, s.kept = NULL;
    REFUSED_APART(ag_accumulator_add(&s, g, 1), AG_ERR_NULL, "what is kept is NULL");
    s = sum, s.weight = ag_scalar(tape, AG_F64, 1);
    REFUSED(ag_accumulator_add(&s, g, 1), AG_ERR_RANGE, "the weight is not a variable");
    s = sum, s.weight = ag_parameter_from(ag_zeros(tape, AG_F64, AG_SHAPE(1)));
    REFUSED(ag_accumulator_add(&s, g, 1), AG_ERR_RANGE, "the weight is not a variable");
    s = sum, s.weight = ag_parameter_from(ag_zeros(tape, AG_F32, AG_SCALAR));
    REFUSED(ag_accumulator_add(&s, g, 1), AG_ERR_RANGE, "the weight is not a variable");
    s = sum, s.weight = nil_of(tape);
    REFUSED(ag_accumulator_add(&s, g, 1), AG_ERR_RANGE, "the weight is not a variable");
    s = sum, s.batches = -1;
    REFUSED(ag_accumulator_add(&s, g, 1), AG_ERR_RANGE, "batches is -1");

    ag_average_init(&average, 1, v, kept[1]);
    ACCEPTED(ag_average_step(&average));
    ck_assert_int_eq(ag_average_steps(&average), 1);
    ck_assert_int_eq(ag_average_steps(NULL), 0);
    m = average, m.steps = INT64_MAX;
    ACCEPTED(ag_average_step(&m));
    ck_assert_int_eq(m.steps, INT64_MAX);
    m = average, m.made = 0;
    ck_assert_int_eq(ag_average_steps(&m), 0);
    m = average, m.n = 0;
    ck_assert_int_eq(ag_average_steps(&m), 0);
    m = average, m.kept = NULL;
    ck_assert_int_eq(ag_average_steps(&m), 0);
}
END_TEST

/* ---- Layers of a sequence ---- */

START_TEST(no_sequence) {
    const ag_rnn sizes = {.in = 2, .hidden = 2, .layers = 1};
    REFUSED_APART(ag_sequence_conv(NULL, 2, 2, AG_SHAPE(3), NULL, false, NULL), AG_ERR_NULL, "sequence_conv");
    REFUSED_APART(ag_sequence_conv2d(NULL, 2, 2, 3, 1, 1, NULL), AG_ERR_NULL, "sequence_conv2d");
    REFUSED_APART(ag_sequence_batchnorm(NULL, 2, NULL), AG_ERR_NULL, "sequence_batchnorm");
    REFUSED_APART(ag_sequence_groupnorm(NULL, 2, 1, NULL), AG_ERR_NULL, "sequence_groupnorm");
    REFUSED_APART(ag_sequence_rmsnorm(NULL, 2, NULL), AG_ERR_NULL, "sequence_rmsnorm");
    REFUSED_APART(ag_sequence_embedding(NULL, 2, 2, NULL), AG_ERR_NULL, "sequence_embedding");
    REFUSED_APART(ag_sequence_lstm(NULL, 2, 2, NULL), AG_ERR_NULL, "sequence_lstm");
    REFUSED_APART(ag_sequence_rnn(NULL, &sizes, NULL), AG_ERR_NULL, "sequence_rnn");
    REFUSED_APART(ag_sequence_attention(NULL, 2, 1, false, NULL), AG_ERR_NULL, "sequence_attention");
    REFUSED_APART(ag_sequence_max_pool2d(NULL, 2, 1), AG_ERR_NULL, "sequence_max_pool2d");
    REFUSED_APART(ag_sequence_nested(NULL, "inner"), AG_ERR_NULL, "sequence_nested");
}
END_TEST

static ag_tensor *flattened(ag_tensor *x) {
    ag_sequence m;
    ag_sequence_init(&m, tape, AG_F32, "m");
    ag_sequence_flatten(&m);
    return ag_sequence_apply(&m, x);
}

static ag_tensor *foreign_layer(void *state, ag_tensor *x, bool training) {
    (void)state, (void)x, (void)training;
    return strange;
}

START_TEST(layers_of_a_sequence) {
    ag_tape *other = ag_tape_new();
    ag_sequence m;
    ag_sequence_init(&m, tape, AG_F32, "m");
    REFUSED(ag_sequence_conv2d(&m, 2, 2, 3, 0, 1, NULL), AG_ERR_RANGE, "stride 0");
    REFUSED(ag_sequence_conv2d(&m, 2, 2, 3, 1, -1, NULL), AG_ERR_RANGE, "padding -1");
    REFUSED(ag_sequence_conv2d(&m, 2, 2, 3, 1, INT64_C(1) << 31, NULL), AG_ERR_RANGE, "padding 2147483648");
    REFUSED(ag_sequence_max_pool2d(&m, 0, 1), AG_ERR_RANGE, "size 0");
    REFUSED(ag_sequence_max_pool2d(&m, 1, 0), AG_ERR_RANGE, "stride 0");
    static const ag_layer_kind none = {.name = "none"}, nameless = {.apply = foreign_layer},
                               foreign = {.name = "foreign", .apply = foreign_layer};
    REFUSED(ag_sequence_add(&m, NULL, "a", NULL, 0), AG_ERR_NULL, "the kind, its name or apply, or the state is NULL");
    REFUSED(ag_sequence_add(&m, &none, "a", NULL, 0), AG_ERR_NULL, "the kind, its name or apply, or the state is NULL");
    REFUSED(ag_sequence_add(&m, &nameless, "a", NULL, 0), AG_ERR_NULL, "the kind, its name or apply, or the state");
    REFUSED(ag_sequence_add(&m, &foreign, "a", NULL, 8), AG_ERR_NULL, "the kind, its name or apply, or the state");
    ck_assert_ptr_null(ag_sequence_at(&m, 0));
    ck_assert_ptr_null(ag_sequence_at(NULL, 0));
    ag_mark before = ag_tape_mark(tape);
    ACCEPTED(ag_sequence_add(&m, &foreign, "a", NULL, 0));
    ck_assert_ptr_nonnull(ag_sequence_at(&m, 0));
    ck_assert_ptr_null(ag_sequence_at(&m, -1));
    ck_assert_ptr_null(ag_sequence_at(&m, 1));
    ag_tensor *results[] = {NULL, nil_of(tape), ag_zeros(other, AG_F32, AG_SHAPE(4, 3))}, *x = f32(2, 3, 4, 0);
    for (int i = 0; i < 3; i++) {
        strange = results[i];
        REFUSED(ag_sequence_apply(&m, x), AG_ERR_NIL, "the layer returned no tensor of this tape");
    }
    strange = x;
    ACCEPTED(ag_sequence_apply(&m, x));
    ag_tape_rewind(tape, before);
    ck_assert_ptr_null(ag_sequence_at(&m, 0));
    ACCEPTED(flattened(f32(2, 3, 4, 0)));
    REFUSED(flattened(ag_scalar(tape, AG_F32, 1)), AG_ERR_SHAPE, "the input must be (N,…)");
    ag_tape_free(other);
}
END_TEST

/* ---- Losses ---- */

static ag_tensor *entropy(ag_tensor *x, ag_tensor *labels, ag_loss_options o) {
    return ag_cross_entropy_with(x, labels, 1, &o);
}

START_TEST(losses) {
    ag_tape *other = ag_tape_new();
    ag_tensor *x = f32(2, 3, 4, 0), *labels = wholes(3), *foreign = ag_zeros(other, AG_F32, AG_SHAPE(4));
    ACCEPTED(entropy(x, labels, (ag_loss_options){.class_weights = f32(1, 4, 0, 0)}));
    REFUSED(entropy(x, labels, (ag_loss_options){.class_weights = f32(1, 3, 0, 0)}), AG_ERR_SHAPE, "class_weights");
    REFUSED(entropy(x, labels, (ag_loss_options){.class_weights = f32(1, 1, 0, 0)}), AG_ERR_SHAPE, "class_weights");
    REFUSED(entropy(x, labels, (ag_loss_options){.class_weights = ag_scalar(tape, AG_F32, 1)}), AG_ERR_SHAPE,
            "class_weights");
    REFUSED(entropy(x, labels, (ag_loss_options){.class_weights = ag_zeros(tape, AG_F64, AG_SHAPE(4))}), AG_ERR_DTYPE,
            "class_weights");
    REFUSED(entropy(x, labels, (ag_loss_options){.class_weights = nil_of(tape)}), AG_ERR_NIL, "b nil");
    REFUSED(entropy(x, labels, (ag_loss_options){.class_weights = foreign}), AG_ERR_TAPE, "on another tape");
    REFUSED(entropy(x, labels, (ag_loss_options){.smoothing = -1}), AG_ERR_RANGE, "smoothing must be from 0 to 1");
    REFUSED(entropy(x, labels, (ag_loss_options){.smoothing = 2}), AG_ERR_RANGE, "smoothing must be from 0 to 1");
    ag_tensor *none = f32(2, 3, 0, 0);
    ACCEPTED(ag_cosine_similarity(x, x, 1));
    REFUSED(ag_cosine_similarity(x, x, 2), AG_ERR_AXIS, "axis 2 is out of range");
    REFUSED(ag_cosine_similarity(x, x, -3), AG_ERR_AXIS, "axis -3 is out of range");
    REFUSED(ag_cosine_similarity(x, f32(1, 4, 0, 0), 0), AG_ERR_AXIS, "out of range");
    REFUSED(ag_cosine_similarity(x, f32(2, 3, 3, 0), 0), AG_ERR_SHAPE, "vectors of one shape");
    REFUSED(ag_cosine_similarity(none, none, 1), AG_ERR_SHAPE, "vectors of one shape, with elements");
    ACCEPTED(ag_gaussian_nll(x, x, f32(2, 3, 1, 0)));
    REFUSED(ag_gaussian_nll(x, f32(2, 3, 1, 0), x), AG_ERR_SHAPE, "the target must have the shape of x");
    REFUSED(ag_gaussian_nll(x, x, f32(2, 2, 4, 0)), AG_ERR_SHAPE, "the variance one broadcast to it");
    REFUSED(ag_gaussian_nll(x, x, f32(3, 1, 3, 4)), AG_ERR_SHAPE, "the variance one broadcast to it");
    REFUSED(ag_gaussian_nll_with(x, x, x, &(ag_loss_options){.weights = f32(1, 3, 0, 0)}), AG_ERR_SHAPE, "weights");
    ag_tape_free(other);
}
END_TEST

/* ---- Operations ---- */

START_TEST(axes_and_extents) {
    ag_tensor *x = f32(2, 3, 4, 0), *y[3];
    const int64_t negative[] = {-1, 5};
    ACCEPTED(ag_movedim(x, AG_AXES(0), AG_AXES(1)));
    REFUSED(ag_movedim(x, AG_AXES(2), AG_AXES(1)), AG_ERR_AXIS, "movedim");
    REFUSED(ag_movedim(x, AG_AXES(0), AG_AXES(2)), AG_ERR_AXIS, "movedim");
    REFUSED(ag_movedim(x, (ag_axes){-1, {0}}, (ag_axes){-1, {0}}), AG_ERR_AXIS, "movedim");
    REFUSED(ag_rot90(x, 1, AG_AXES(0, 2)), AG_ERR_AXIS, "rot90");
    REFUSED(ag_roll_over(x, AG_SHAPE(1), AG_AXES(2)), AG_ERR_AXIS, "roll");
    REFUSED(ag_unflatten(x, 1, AG_SHAPE(-2, -2)), AG_ERR_SHAPE, "unflatten");
    REFUSED(ag_unflatten(x, 1, AG_SHAPE(0, 4)), AG_ERR_SHAPE, "unflatten");
    REFUSED(ag_unflatten(x, 1, AG_SHAPE(3, 2)), AG_ERR_SHAPE, "unflatten");
    REFUSED(ag_split_sizes(x, 1, 2, negative, y), AG_ERR_SHAPE, "split_sizes");
    REFUSED(ag_split_sizes(x, 1, 2, (int64_t[]){2, 2}, NULL), AG_ERR_NULL, "is NULL");
    REFUSED(ag_split(x, 1, 2, NULL), AG_ERR_NULL, "is NULL");
    REFUSED(ag_chunk(x, 1, 2, NULL), AG_ERR_NULL, "is NULL");
    ACCEPTED(ag_repeat_interleave_by(x, wholes(4), 1));
    REFUSED(ag_repeat_interleave_by(x, wholes(4), 2), AG_ERR_AXIS, "repeat_interleave_by");
    REFUSED(ag_repeat_interleave_by(x, wholes(3), 1), AG_ERR_SHAPE, "a count for each of the 4 elements");
    REFUSED(ag_repeat_interleave_by(x, ag_zeros(tape, AG_I64, AG_SHAPE(4, 1)), 1), AG_ERR_SHAPE, "a count for each");
    REFUSED(ag_repeat_interleave_by(x, ag_add_scalar(wholes(4), -1), 1), AG_ERR_RANGE, "count -1 at element 0");
    REFUSED(ag_diagonal(x, 0, 2, 1), AG_ERR_AXIS, "axes 2 and 1 are not two of 2");
    REFUSED(ag_diagonal(x, 0, 1, 2), AG_ERR_AXIS, "axes 1 and 2 are not two of 2");
    REFUSED(ag_diagonal(x, 0, 1, 1), AG_ERR_AXIS, "axes 1 and 1 are not two of 2");
    REFUSED(ag_diag_embed(x, 0, 3, 1), AG_ERR_AXIS, "axes 3 and 1 are not two of 3");
    REFUSED(ag_diag_embed(x, INT64_C(1) << 40, 0, 1), AG_ERR_SHAPE, "diag_embed");
    REFUSED(ag_diag_embed(x, -(INT64_C(1) << 40), 0, 1), AG_ERR_SHAPE, "diag_embed");
    REFUSED(ag_diag_embed(ag_zeros(tape, AG_F32, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1)), 0, 0, 1), AG_ERR_SHAPE,
            "diag_embed");
    REFUSED(ag_pad(x, AG_AXES(0), AG_SHAPE(-4), AG_SHAPE(9)), AG_ERR_RANGE, "pad");
    REFUSED(ag_pad(x, AG_AXES(0), AG_SHAPE(9), AG_SHAPE(-4)), AG_ERR_RANGE, "pad");
    REFUSED(ag_pad(x, AG_AXES(0), AG_SHAPE(-2), AG_SHAPE(-2)), AG_ERR_RANGE, "pad");
    REFUSED(ag_pad(x, AG_AXES(0), AG_SHAPE(INT64_MAX), AG_SHAPE(0)), AG_ERR_RANGE, "pad");
    REFUSED(ag_pad(x, AG_AXES(0), AG_SHAPE(0), AG_SHAPE(INT64_MAX)), AG_ERR_RANGE, "pad");
    REFUSED(ag_pad(x, AG_AXES(0), AG_SHAPE(0, 0), AG_SHAPE(0)), AG_ERR_SHAPE, "pad");
    REFUSED(ag_pad(x, AG_AXES(0), AG_SHAPE(0), AG_SHAPE(0, 0)), AG_ERR_SHAPE, "pad");
    REFUSED(ag_broadcast_to(x, (ag_shape){9, {1}}), AG_ERR_SHAPE, "broadcast_to");
    REFUSED(ag_diff(x, 1, 2), AG_ERR_AXIS, "axis 2 is out of range for rank 2");
    REFUSED(ag_cross(f32(1, 3, 0, 0), f32(2, 3, 2, 0), 0), AG_ERR_SHAPE, "both must have 3 elements");
    REFUSED(ag_cross(f32(2, 3, 2, 0), f32(1, 3, 0, 0), 0), AG_ERR_SHAPE, "both must have 3 elements");
    REFUSED(ag_cross(x, x, 1), AG_ERR_SHAPE, "both must have 3 elements");
    REFUSED(ag_cross(f32(2, 4, 3, 0), f32(2, 4, 2, 0), 1), AG_ERR_SHAPE, "both must have 3 elements");
    REFUSED(ag_cross(f32(2, 3, 2, 0), f32(2, 3, 4, 0), 0), AG_ERR_SHAPE, "cross: a f32 (3,2) and b f32 (3,4)");
    REFUSED(ag_cross(x, x, 2), AG_ERR_AXIS, "axis 2 is out of range for rank 2");
    REFUSED(ag_matrix_trace_over(x, 0, 2, 1), AG_ERR_AXIS, "axis 2 is out of range");
    REFUSED(ag_matrix_trace_over(x, 0, 0, 5), AG_ERR_AXIS, "axis 5 is out of range");
    REFUSED(ag_matrix_trace_over(x, 0, 1, 1), AG_ERR_AXIS, "axis 1 is given twice");
    REFUSED(ag_tensordot_over(x, x, AG_AXES(0), AG_AXES(2)), AG_ERR_AXIS, "tensordot");
    REFUSED(ag_tensordot_over(x, x, AG_AXES(2), AG_AXES(0)), AG_ERR_AXIS, "tensordot");
}
END_TEST

START_TEST(lists_and_texts) {
    ag_tensor *x = f32(2, 3, 4, 0), *many[33], *y[33], *nil = nil_of(tape);
    for (int i = 0; i < 33; i++) many[i] = wholes(2);
    REFUSED(ag_unflatten(x, 1, AG_SHAPE(-1, 0)), AG_ERR_SHAPE, "axis 1 with extent 4 has no such factors");
    REFUSED(ag_unflatten(x, 1, AG_SHAPE(INT64_MAX / 2, 4)), AG_ERR_SHAPE, "has no such factors");
    REFUSED(ag_unflatten(x, 1, (ag_shape){.rank = -1}), AG_ERR_SHAPE, "unflatten");
    ACCEPTED(ag_unflatten(f32(2, 3, 0, 0), 1, AG_SHAPE(5, -1)));
    REFUSED(ag_broadcast_tensors(2, many, NULL), AG_ERR_NULL, "the place for the results is NULL");
    REFUSED(ag_meshgrid(2, many, false, NULL), AG_ERR_NULL, "the place for the results is NULL");
    REFUSED(ag_meshgrid(9, many, true, y), AG_ERR_RANGE, "9 lists: at most 8 are wanted");
    REFUSED(ag_repeat_interleave_by(x, ag_full(tape, AG_I64, AG_SHAPE(4), 0x1p58), 1), AG_ERR_RANGE, "at element 1");
    REFUSED_APART(ag_einsum("i", 0, many), AG_ERR_RANGE, "1 to 32 operands are wanted");
    REFUSED_APART(ag_einsum("i", 33, many), AG_ERR_RANGE, "1 to 32 operands are wanted");
    REFUSED_APART(ag_einsum("i", 1, NULL), AG_ERR_NULL, "x is NULL");
    REFUSED(ag_einsum("a...,b->abcdefghi...", 2, many), AG_ERR_SHAPE, "einsum");
    ag_tensor *deep[] = {ag_zeros(tape, AG_F32, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, 2)), f32(1, 2, 0, 0), f32(1, 3, 0, 0)};
    REFUSED(ag_einsum("...,a,b->...ab", 3, deep), AG_ERR_SHAPE, "the result would have more than 8 axes");
    REFUSED(ag_at_with(x, "%", 33, many), AG_ERR_RANGE, "33 tensors: 0 to 32 are wanted");
    REFUSED(ag_at_with(x, "%", -1, many), AG_ERR_RANGE, "-1 tensors: 0 to 32 are wanted");
    REFUSED(ag_at_with(x, "%", 2, many), AG_ERR_RANGE, "a tensor too many is given");
    REFUSED(ag_at_with(x, "1x", 0, NULL), AG_ERR_RANGE, "a number must end");
    REFUSED(ag_at_with(x, "::0", 0, NULL), AG_ERR_RANGE, "a slice with step 0");
    REFUSED(ag_at(x, NULL), AG_ERR_NULL, "the text is NULL");
    REFUSED(ag_histogram_between(x, f32(1, 3, 0, 0), nil), AG_ERR_NIL, "histogram_between");
    REFUSED(ag_average_over(x, f32(1, 3, 0, 0), AG_AXES(1), false), AG_ERR_SHAPE, "average");
    ACCEPTED(ag_average_over(x, f32(1, 4, 0, 0), AG_AXES(1), false));
    ACCEPTED(ag_average_over(x, f32(1, 4, 0, 0), AG_AXES(0, 1), false));
    ck_assert_ptr_eq(ag_windows(x, (ag_axes){0}, (ag_shape){0}, (ag_shape){0}), x);
    REFUSED(ag_windows(nil, (ag_axes){0}, (ag_shape){0}, (ag_shape){0}), AG_ERR_NIL, "windows");
}
END_TEST

START_TEST(numbers) {
    static const double at_fault[] = {0.5, 0x1p60}, endless[] = {(double)INFINITY, (double)NAN};
    for (int i = 0; i < 2; i++) {
        REFUSED(ag_arange_with(tape, AG_I64, at_fault[0], 3, 1), AG_ERR_RANGE, "must be integers");
        REFUSED(ag_arange_with(tape, AG_I64, 0, at_fault[i] + 4, 1), AG_ERR_RANGE, "must be integers");
        REFUSED(ag_arange_with(tape, AG_I64, 0, 3, at_fault[0]), AG_ERR_RANGE, "must be integers");
        REFUSED(ag_arange_with(tape, AG_F64, endless[i], 3, 1), AG_ERR_RANGE, "must be finite");
        REFUSED(ag_arange_with(tape, AG_F64, 0, endless[i], 1), AG_ERR_RANGE, "must be finite");
        REFUSED(ag_arange_with(tape, AG_F64, 0, 3, endless[i]), AG_ERR_RANGE, "must be finite");
    }
    ag_tensor *edges = tensor_of(tape, AG_F32, AG_SHAPE(3), (double[]){0, 1, 2}), *x = f32(1, 5, 0, 0);
    ACCEPTED(ag_histogram_between(x, edges, NULL));
    REFUSED(ag_histogram_between(x, ag_cast(edges, AG_F64), NULL), AG_ERR_DTYPE, "histogram_between");
    REFUSED(ag_histogram_between(ag_cast(x, AG_BOOL), ag_cast(edges, AG_BOOL), NULL), AG_ERR_DTYPE,
            "histogram_between");
    REFUSED(ag_histogram_between(x, f32(2, 3, 1, 0), NULL), AG_ERR_SHAPE, "histogram_between");
    REFUSED(ag_histogram_between(x, f32(1, 1, 0, 0), NULL), AG_ERR_SHAPE, "histogram_between");
    REFUSED(ag_histogram_between(x, edges, f32(1, 4, 0, 0)), AG_ERR_SHAPE, "histogram_between");
    REFUSED(ag_histogram_between(nil_of(tape), edges, NULL), AG_ERR_NIL, "histogram_between");
    REFUSED(ag_bincount(wholes(3), NULL, -1), AG_ERR_SHAPE, "n is -1");
    REFUSED(ag_bincount(wholes(3), NULL, INT64_MAX), AG_ERR_SHAPE, "can be counted");
    REFUSED(ag_quantiles_over(x, AG_AXES(0), 1, NULL, false), AG_ERR_NULL, "q is NULL");
}
END_TEST

START_TEST(matrices) {
    ag_tensor *a = f32(2, 3, 3, 0), *one = ag_scalar(tape, AG_F32, 1), *empty = f32(2, 0, 3, 0);
    ACCEPTED(ag_solve(a, f32(1, 3, 0, 0)));
    REFUSED(ag_solve(a, one), AG_ERR_SHAPE, "b must have an axis or more");
    REFUSED(ag_solve(a, f32(1, 4, 0, 0)), AG_ERR_SHAPE, "b must have 3 rows, not 4");
#if AG_HAVE_LAPACK
    ACCEPTED(ag_lstsq(a, f32(1, 3, 0, 0), 0));
    REFUSED(ag_lstsq(a, one, 0), AG_ERR_SHAPE, "b must have an axis or more");
    REFUSED(ag_lstsq(a, a, (double)NAN), AG_ERR_RANGE, "lstsq");
    REFUSED(ag_pinv(a, (double)NAN), AG_ERR_RANGE, "pinv");
    REFUSED(ag_matrix_rank(a, (double)NAN), AG_ERR_RANGE, "matrix_rank");
    REFUSED(ag_qr(a, NULL, NULL), AG_ERR_NULL, "qr");
    REFUSED(ag_svd(a, NULL, NULL, NULL), AG_ERR_NULL, "svd");
    REFUSED(ag_matrix_norm(empty, AG_NORM_2, false), AG_ERR_SHAPE, "a matrix without elements has no such norm");
#endif
    REFUSED(ag_matrix_norm(empty, AG_NORM_1, false), AG_ERR_SHAPE, "a matrix without elements has no such norm");
    REFUSED(ag_matrix_norm(f32(2, 3, 0, 0), AG_NORM_1, false), AG_ERR_SHAPE,
            "a matrix without elements has no such norm");
    ACCEPTED(ag_matrix_norm(empty, AG_NORM_FROBENIUS, false));
    char none[32]; /* −1 is another number where enumerations are short */
    snprintf(none, sizeof none, "there is no kind %d", (int)(ag_matrix_norm_kind)-1);
    REFUSED(ag_matrix_norm(a, (ag_matrix_norm_kind)-1, false), AG_ERR_RANGE, none);
}
END_TEST

START_TEST(complex_numbers) {
    ag_tensor *x = f32(2, 3, 2, 0), *one = ag_scalar(tape, AG_F32, 1);
    ACCEPTED(ag_complex_mul(x, x));
    REFUSED(ag_complex_mul(x, one), AG_ERR_SHAPE, "needs complex numbers");
    REFUSED(ag_complex_mul(x, f32(2, 3, 3, 0)), AG_ERR_SHAPE, "needs complex numbers");
    REFUSED(ag_complex_mul(x, f32(2, 4, 2, 0)), AG_ERR_SHAPE, "axis -2 has 3 and 4 elements");
    REFUSED(ag_complex(f32(1, 3, 0, 0), f32(1, 4, 0, 0)), AG_ERR_SHAPE, "complex");
    REFUSED(ag_ifft_over(one, AG_AXES(0), AG_FFT_BACKWARD), AG_ERR_SHAPE, "needs complex numbers");
    REFUSED(ag_ifft_over(f32(2, 3, 3, 0), AG_AXES(0), AG_FFT_BACKWARD), AG_ERR_SHAPE, "needs complex numbers");
    REFUSED(ag_ifft_over(x, (ag_axes){-2, {0}}, AG_FFT_BACKWARD), AG_ERR_AXIS, "-2 axes are given");
    REFUSED(ag_ifft_over(x, AG_AXES(0, 1), AG_FFT_BACKWARD), AG_ERR_AXIS, "2 axes are given");
    REFUSED(ag_irfft_over(x, 4, AG_AXES(0), (ag_fft_norm)9), AG_ERR_RANGE, "irfft");
    REFUSED(ag_irfft_over(x, -1, AG_AXES(0), AG_FFT_BACKWARD), AG_ERR_RANGE, "-1 real numbers cannot be made");
    REFUSED(ag_irfft_over(x, INT64_C(1) << 60, AG_AXES(0), AG_FFT_BACKWARD), AG_ERR_RANGE, "cannot be made");
    REFUSED(ag_irfft_over(x, 4, (ag_axes){0, {0}}, AG_FFT_BACKWARD), AG_ERR_AXIS, "irfft");
    REFUSED(ag_irfft_over(f32(2, 0, 2, 0), 4, AG_AXES(0), AG_FFT_BACKWARD), AG_ERR_SHAPE, "an axis has no elements");
}
END_TEST

/* ---- Operations of one's own ---- */

/* The attributes of a view say all that its infer decides. */
typedef struct shown {
    int64_t dtype, rank, extent[2], stride[2], offset;
} shown;

static bool infer_shown(ag_infer *r) {
    const shown *s = r->attributes;
    r->dtype = (ag_dtype)s->dtype;
    r->shape = (ag_shape){(int)s->rank, {s->extent[0], s->extent[1]}};
    memcpy(r->stride, s->stride, sizeof s->stride);
    r->offset = s->offset;
    return true;
}

START_TEST(views_of_one_s_own) {
    const ag_op op = {
        .name = "own", .kind = AG_KIND_VIEW, .arity = 1, .attribute_bytes = sizeof(shown), .infer = infer_shown};
    const int64_t far = INT64_MAX / 16 + 1, wide = INT64_C(1) << 31;
    const shown inside[] = {{AG_F32, 1, {3}, {1}, 0},         {AG_F32, 1, {2}, {-2}, 2}, {AG_F32, 2, {3, 5}, {1, 0}, 0},
                            {AG_F32, 2, {0, 9}, {99, 99}, 0}, {AG_F32, 0, {0}, {0}, 2},  {AG_F32, 1, {wide}, {0}, 1}};
    const shown beyond[] = {
        {AG_F32, 1, {4}, {1}, 0},       {AG_F32, 1, {3}, {-1}, 1},       {AG_F32, 1, {2}, {1}, -1},
        {AG_F32, 1, {1}, {1}, far},     {AG_F32, 1, {2}, {far}, 0},      {AG_F32, 1, {2}, {-far}, 0},
        {AG_F32, 1, {wide}, {wide}, 0}, {AG_F32, 1, {wide}, {-wide}, 0}, {AG_F32, 0, {0}, {0}, 3}};
    ag_tensor *x = f32(1, 3, 0, 0), *none = f32(1, 0, 0, 0);
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        ACCEPTED(ag_apply(&op, 1, &x, &inside[i], sizeof *inside));
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
        REFUSED(ag_apply(&op, 1, &x, &beyond[i], sizeof *beyond), AG_ERR_RANGE, "the view reaches beyond its input");
    REFUSED(ag_apply(&op, 1, &none, &inside[4], sizeof *inside), AG_ERR_RANGE, "the view reaches beyond its input");
    const shown other = {AG_F64, 1, {3}, {1}, 0};
    REFUSED(ag_apply(&op, 1, &x, &other, sizeof other), AG_ERR_DTYPE, "a view must have the dtype of its input");
}
END_TEST

static bool infer_nothing(ag_infer *r) { return (void)r, true; }
static bool infer_longer(ag_infer *r) { return r->shape.extent[0]++, true; }
static bool infer_higher(ag_infer *r) { return r->shape.rank++, true; }
static void halve(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((int64_t *)y)[i] = ((const int64_t *const *)x)[0][i] / 2;
}
static void take_first(int64_t n, void *y, const void *x) { (void)n, *(int64_t *)y = *(const int64_t *)x; }

START_TEST(entries_of_one_s_own) {
    static const ag_reduction folds = {.fold = {[AG_I64] = take_first}};
    const ag_op own = {.name = "own",
                       .kind = AG_KIND_ELEMENTWISE,
                       .arity = 1,
                       .infer = infer_nothing,
                       .block = {[AG_I64] = halve}},
                nameless = {.kind = AG_KIND_ELEMENTWISE, .arity = 1};
    ag_op op = own;
    ag_tensor *x[] = {wholes(3), wholes(3)}, *real = f32(1, 3, 0, 0);
    const double half = 0.5;
    ACCEPTED(ag_apply(&op, 1, x, NULL, 0));
    REFUSED(ag_apply(&op, 1, &real, NULL, 0), AG_ERR_DTYPE, "own: x f32 (3): the dtype f32 is not supported");
    op.infer = infer_longer;
    REFUSED(ag_apply(&op, 1, x, NULL, 0), AG_ERR_SHAPE, "infer must not decide the shape");
    op.infer = infer_higher;
    REFUSED(ag_apply(&op, 1, x, NULL, 0), AG_ERR_SHAPE, "infer must not decide the shape");
    op = own, op.flags = AG_OP_SCALAR, op.attribute_bytes = sizeof half;
    REFUSED(ag_apply(&op, 1, x, &half, sizeof half), AG_ERR_RANGE, "i64 cannot hold 0.5");
    op = (ag_op){.name = "own", .kind = AG_KIND_REDUCTION, .arity = 1, .attribute_bytes = sizeof(ag_axes_set)};
    const ag_axes_set first = {.mask = 1};
    REFUSED(ag_apply(&op, 1, x, &first, sizeof first), AG_ERR_RANGE, "the operation's descriptor is incomplete");
    op.reduction = &folds;
    REFUSED(ag_apply(&op, 1, x, &first, sizeof first), AG_ERR_DTYPE, "the dtype i64 is not supported");
    op.arity = 2;
    REFUSED(ag_apply(&op, 2, x, &first, sizeof first), AG_ERR_RANGE, "the operation's descriptor is incomplete");
    op = own, op.kind = (ag_kind)(AG_KIND_OPAQUE + 9);
    REFUSED(ag_apply(&op, 1, x, NULL, 0), AG_ERR_RANGE, "the operation's descriptor is incomplete");
    REFUSED(ag_apply(NULL, 1, x, NULL, 0), AG_ERR_NULL, "apply");
    REFUSED(ag_apply(&nameless, 1, x, NULL, 0), AG_ERR_NULL, "apply");
    REFUSED(ag_apply(&own, 1, x, NULL, 8), AG_ERR_NULL, "own");
    REFUSED(ag_apply_source(NULL, tape, AG_F32, AG_SCALAR, NULL, 0), AG_ERR_NULL, "apply_source");
    REFUSED(ag_apply_source(&nameless, tape, AG_F32, AG_SCALAR, NULL, 0), AG_ERR_NULL, "apply_source");
    REFUSED(ag_apply_source(&own, tape, AG_F32, AG_SCALAR, NULL, 8), AG_ERR_NULL, "own");
    REFUSED_APART(ag_apply_source(&own, NULL, AG_F32, AG_SCALAR, NULL, 0), AG_ERR_NULL, "own");
}
END_TEST

/* Errors that are raised about nothing, or nothing whole. */
START_TEST(reasons_of_one_s_own) {
    const ag_infer none = {.op = NULL};
    const ag_op nameless = {.arity = 1};
    const ag_infer unnamed = {.op = &nameless, .tape = tape};
    ck_assert(!ag_reject(NULL, AG_ERR_RANGE, "no"));
    ACCEPTED(0);
    REFUSED_APART(ag_reject(&none, AG_ERR_RANGE, "it is %d", 7), AG_ERR_RANGE, "infer: it is 7");
    REFUSED(ag_reject(&unnamed, AG_ERR_RANGE, "it is %d", 8), AG_ERR_RANGE, "infer: it is 8");
    ck_assert(!ag_call_fail(NULL, AG_ERR_RANGE, "no"));
    ck_assert(!ag_call_fail(&(ag_call){.node = NULL}, AG_ERR_RANGE, "no"));
    ACCEPTED(0);
    REFUSED(ag_assign(NULL, f32(1, 3, 0, 0)), AG_ERR_NULL, "assign");
    REFUSED_APART(ag_assign(NULL, NULL), AG_ERR_NULL, "assign");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("refusals");
    TCase *t = tape_group(suite, "layers");
    tcase_add_test(t, attention);
    tcase_add_test(t, attention_layers);
    tcase_add_test(t, positions);
    tcase_add_test(t, normalisation);
    tcase_add_test(t, recurrent);
    tcase_add_test(t, recurrent_layers);
    tcase_add_test(t, parts_of_layers);
    tcase_add_test(t, clipped_gradients);
    tcase_add_test(t, names_in_messages);
    tcase_add_test(t, made_layers);
    t = tape_group(suite, "training");
    tcase_add_test(t, metrics);
    tcase_add_test(t, datasets);
    tcase_add_test(t, schedules);
    tcase_add_test(t, optimisers);
    tcase_add_test(t, no_sequence);
    tcase_add_test(t, layers_of_a_sequence);
    tcase_add_test(t, losses);
    t = tape_group(suite, "operations");
    tcase_add_test(t, axes_and_extents);
    tcase_add_test(t, lists_and_texts);
    tcase_add_test(t, numbers);
    tcase_add_test(t, matrices);
    tcase_add_test(t, complex_numbers);
    t = tape_group(suite, "one's own");
    tcase_add_test(t, views_of_one_s_own);
    tcase_add_test(t, entries_of_one_s_own);
    tcase_add_test(t, reasons_of_one_s_own);
    return run_suite(suite);
}
