/* kinds -- the kinds of layers that a sequence has functions for
 *
 * Each is an ag_layer_kind as a program's own are: it applies what layers.h has, and nothing here has backward code. */
#include "nn/adding.h"
#include "nn/along.h"

#include <string.h>

static const ag_layer_options none = {.name = NULL};

/* A layer's options in a sequence, where its name is a scope. */
static ag_layer_options without_name(const ag_layer_options *options) {
    ag_layer_options own = options ? *options : none;
    own.name = NULL;
    return own;
}

static const char *name_in(const ag_layer_options *options) { return options ? options->name : NULL; }

/* Variable i of n, some of which may be NULL. */
static ag_tensor *nth(int n, ag_tensor *const x[], int i) {
    for (int k = 0; k < n; k++)
        if (x[k] && i-- == 0) return x[k];
    return NULL;
}

/* The variables of layers that begin with two. */
static ag_tensor *first_two(void *state, int i) { return nth(2, state, i); }
#define BEGINS_WITH(layer, a, b)                                                                                       \
    _Static_assert(offsetof(layer, a) == 0 && offsetof(layer, b) == sizeof(ag_tensor *), "the variables of " #layer)
BEGINS_WITH(ag_linear, weight, bias);
BEGINS_WITH(ag_conv2d, weight, bias);
BEGINS_WITH(ag_conv, weight, bias);
BEGINS_WITH(ag_layernorm, gamma, beta);
BEGINS_WITH(ag_groupnorm, gamma, beta);

/* ---- Linear ---- */

static ag_tensor *apply_linear(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_linear_apply(state, x);
}

ag_status ag_sequence_linear(ag_sequence *model, int64_t in, int64_t out, const ag_layer_options *options) {
    static const ag_layer_kind kind = {"linear", apply_linear, first_two};
    ag__adding a = ag__adding_begin("sequence_linear", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_linear layer = {NULL, NULL};
    if (a.model) ag_linear_init_with(&layer, model->tape, model->dtype, in, out, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

/* ---- Convolution, pooling ---- */

static ag_tensor *apply_conv2d(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_conv2d_apply(state, x);
}

ag_status ag_sequence_conv2d(ag_sequence *model, int64_t in, int64_t out, int64_t size, int64_t stride, int64_t padding,
                             const ag_layer_options *options) {
    static const ag_layer_kind kind = {"conv2d", apply_conv2d, first_two};
    ag__adding a = ag__adding_begin("sequence_conv2d", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_conv2d layer = {.weight = NULL};
    if (a.model && (stride < 1 || padding < 0 || padding > INT32_MAX))
        ag__refuse_on(model->tape, "sequence_conv2d", AG_ERR_RANGE,
                      "stride %lld and padding %lld: stride >= 1 and 0 <= padding < 2³¹ are wanted", (long long)stride,
                      (long long)padding);
    if (a.model) ag_conv2d_init_with(&layer, model->tape, model->dtype, in, out, size, &own);
    layer.stride = stride;
    layer.padding = padding;
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

typedef struct pool {
    int64_t size, stride;
} pool;

static ag_tensor *apply_max_pool2d(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_max_pool2d(x, ((pool *)state)->size, ((pool *)state)->stride);
}

static ag_tensor *apply_avg_pool2d(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_avg_pool2d(x, ((pool *)state)->size, ((pool *)state)->stride);
}

static ag_status add_pool(const char *call, ag_sequence *model, const ag_layer_kind *kind, int64_t size,
                          int64_t stride) {
    ag__adding a = ag__adding_begin(call, model, NULL);
    if (a.model && (size < 1 || stride < 1))
        ag__refuse_on(model->tape, call, AG_ERR_RANGE, "size %lld and stride %lld: each must be at least 1",
                      (long long)size, (long long)stride);
    return ag__adding_end(&a, kind, &(pool){size, stride}, sizeof(pool));
}

ag_status ag_sequence_max_pool2d(ag_sequence *model, int64_t size, int64_t stride) {
    static const ag_layer_kind kind = {"max_pool2d", apply_max_pool2d, NULL};
    return add_pool("sequence_max_pool2d", model, &kind, size, stride);
}

ag_status ag_sequence_avg_pool2d(ag_sequence *model, int64_t size, int64_t stride) {
    static const ag_layer_kind kind = {"avg_pool2d", apply_avg_pool2d, NULL};
    return add_pool("sequence_avg_pool2d", model, &kind, size, stride);
}

static ag_tensor *apply_conv(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_conv_apply(state, x);
}

ag_status ag_sequence_conv(ag_sequence *model, int64_t in, int64_t out, ag_shape size, const ag_conv_options *options,
                           bool transposed, const ag_layer_options *layer_options) {
    static const ag_layer_kind kind = {"conv", apply_conv, first_two};
    ag__adding a = ag__adding_begin("sequence_conv", model, name_in(layer_options));
    ag_layer_options own = without_name(layer_options);
    ag_conv layer = {.weight = NULL};
    if (a.model) ag_conv_init_with(&layer, model->tape, model->dtype, in, out, size, options, transposed, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

/* The numbers of a pooling or an interpolation. */
typedef struct resizing {
    ag_shape size;
    ag_pool_options options;
    ag_interpolation mode;
    bool align_corners;
} resizing;

static ag_tensor *apply_max_pool(void *state, ag_tensor *x, bool training) {
    const resizing *l = state;
    (void)training;
    return ag_max_pool(x, l->size, &l->options);
}

static ag_tensor *apply_avg_pool(void *state, ag_tensor *x, bool training) {
    const resizing *l = state;
    (void)training;
    return ag_avg_pool(x, l->size, &l->options);
}

static ag_tensor *apply_interpolate(void *state, ag_tensor *x, bool training) {
    const resizing *l = state;
    (void)training;
    return ag_interpolate(x, l->size, l->mode, l->align_corners);
}

static ag_status add_resizing(const char *call, ag_sequence *model, const ag_layer_kind *kind, resizing layer) {
    ag__adding a = ag__adding_begin(call, model, NULL);
    return ag__adding_end(&a, kind, &layer, sizeof layer);
}

static const ag_pool_options usual_pool = {.ceil = false};

ag_status ag_sequence_max_pool(ag_sequence *model, ag_shape size, const ag_pool_options *options) {
    static const ag_layer_kind kind = {"max_pool", apply_max_pool, NULL};
    const resizing layer = {.size = size, .options = options ? *options : usual_pool};
    return add_resizing("sequence_max_pool", model, &kind, layer);
}

ag_status ag_sequence_avg_pool(ag_sequence *model, ag_shape size, const ag_pool_options *options) {
    static const ag_layer_kind kind = {"avg_pool", apply_avg_pool, NULL};
    const resizing layer = {.size = size, .options = options ? *options : usual_pool};
    return add_resizing("sequence_avg_pool", model, &kind, layer);
}

ag_status ag_sequence_interpolate(ag_sequence *model, ag_shape extents, ag_interpolation mode, bool align_corners) {
    static const ag_layer_kind kind = {"interpolate", apply_interpolate, NULL};
    const resizing layer = {.size = extents, .mode = mode, .align_corners = align_corners};
    return add_resizing("sequence_interpolate", model, &kind, layer);
}

/* ---- Normalisation, dropout ---- */

static ag_tensor *apply_batchnorm(void *state, ag_tensor *x, bool training) {
    return ag_batchnorm_apply(state, x, training);
}

static ag_tensor *variable_batchnorm(void *state, int i) {
    const ag_batchnorm *l = state;
    return nth(4, (ag_tensor *[]){l->gamma, l->beta, l->running_mean, l->running_var}, i);
}

ag_status ag_sequence_batchnorm(ag_sequence *model, int64_t channels, const ag_layer_options *options) {
    static const ag_layer_kind kind = {"batchnorm", apply_batchnorm, variable_batchnorm};
    ag__adding a = ag__adding_begin("sequence_batchnorm", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_batchnorm layer = {.gamma = NULL};
    if (a.model) ag_batchnorm_init_with(&layer, model->tape, model->dtype, channels, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

static ag_tensor *apply_layernorm(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_layernorm_apply(state, x);
}

ag_status ag_sequence_layernorm(ag_sequence *model, int64_t features, const ag_layer_options *options) {
    static const ag_layer_kind kind = {"layernorm", apply_layernorm, first_two};
    ag__adding a = ag__adding_begin("sequence_layernorm", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_layernorm layer = {.gamma = NULL};
    if (a.model) ag_layernorm_init_with(&layer, model->tape, model->dtype, features, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

static ag_tensor *apply_groupnorm(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_groupnorm_apply(state, x);
}

ag_status ag_sequence_groupnorm(ag_sequence *model, int64_t channels, int64_t groups, const ag_layer_options *options) {
    static const ag_layer_kind kind = {"groupnorm", apply_groupnorm, first_two};
    ag__adding a = ag__adding_begin("sequence_groupnorm", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_groupnorm layer = {.gamma = NULL};
    if (a.model) ag_groupnorm_init_with(&layer, model->tape, model->dtype, channels, groups, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

static ag_tensor *apply_rmsnorm(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_rmsnorm_apply(state, x);
}

static ag_tensor *variable_rmsnorm(void *state, int i) { return i == 0 ? ((ag_rmsnorm *)state)->gamma : NULL; }

ag_status ag_sequence_rmsnorm(ag_sequence *model, int64_t features, const ag_layer_options *options) {
    static const ag_layer_kind kind = {"rmsnorm", apply_rmsnorm, variable_rmsnorm};
    ag__adding a = ag__adding_begin("sequence_rmsnorm", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_rmsnorm layer = {.gamma = NULL};
    if (a.model) ag_rmsnorm_init_with(&layer, model->tape, model->dtype, features, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

static ag_tensor *apply_dropout(void *state, ag_tensor *x, bool training) {
    return ag_dropout(x, *(double *)state, training);
}

ag_status ag_sequence_dropout(ag_sequence *model, double p) {
    static const ag_layer_kind kind = {"dropout", apply_dropout, NULL};
    ag__adding a = ag__adding_begin("sequence_dropout", model, NULL);
    if (a.model && !(p >= 0 && p < 1))
        ag__refuse_on(model->tape, "sequence_dropout", AG_ERR_RANGE, "p is %g: 0 <= p < 1 is wanted", p);
    return ag__adding_end(&a, &kind, &p, sizeof p);
}

/* ---- Sequences of positions ---- */

static ag_tensor *apply_embedding(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ag_embedding_apply(state, x);
}

static ag_tensor *variable_embedding(void *state, int i) { return i == 0 ? ((ag_embedding *)state)->weight : NULL; }

ag_status ag_sequence_embedding(ag_sequence *model, int64_t count, int64_t features, const ag_layer_options *options) {
    static const ag_layer_kind kind = {"embedding", apply_embedding, variable_embedding};
    ag__adding a = ag__adding_begin("sequence_embedding", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_embedding layer = {NULL};
    if (a.model) ag_embedding_init_with(&layer, model->tape, model->dtype, count, features, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

/* N T C -> N T H */
static ag_tensor *apply_lstm(void *state, ag_tensor *x, bool training) {
    const ag_lstm_cell *cell = state;
    ag_tensor *const both[] = {x, cell->input_weight};
    (void)training;
    if (ag_rank(x) != 3 || ag_extent(x, 1) < 1 || ag_extent(x, 2) != ag_extent(both[1], 0))
        return ag__refuse("lstm_apply", 2, both, AG_ERR_SHAPE,
                          "the input must be (N,T,C), with the layer's C and T >= 1");
    int64_t n = ag_extent(x, 0), steps = ag_extent(x, 1), c = ag_extent(x, 2);
    ag_tensor **hidden = ag_tape_alloc(ag_tape_of(x), (size_t)steps * sizeof *hidden);
    ag_lstm_state s = {NULL, NULL};
    for (int64_t t = 0; hidden && t < steps; t++) {
        ag_tensor *now = ag__reshape_to(ag_slice(x, 1, t, t + 1, 1), &AG_SHAPE(n, c));
        hidden[t] = ag_unsqueeze(ag_lstm_cell_apply(cell, now, &s), 1);
    }
    if (!hidden || steps > INT32_MAX)
        return ag__refuse("lstm_apply", 2, both, AG_ERR_RANGE, "%lld steps are too many", (long long)steps);
    return ag_concat((int)steps, hidden, 1);
}

static ag_tensor *variable_lstm(void *state, int i) {
    const ag_lstm_cell *l = state;
    return nth(3, (ag_tensor *[]){l->input_weight, l->hidden_weight, l->bias}, i);
}

ag_status ag_sequence_lstm(ag_sequence *model, int64_t in, int64_t hidden, const ag_layer_options *options) {
    static const ag_layer_kind kind = {"lstm", apply_lstm, variable_lstm};
    ag__adding a = ag__adding_begin("sequence_lstm", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_lstm_cell layer = {NULL, NULL, NULL};
    if (a.model) ag_lstm_cell_init_with(&layer, model->tape, model->dtype, in, hidden, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

static ag_tensor *apply_rnn(void *state, ag_tensor *x, bool training) {
    return ag_rnn_apply(state, x, NULL, NULL, training);
}

static ag_tensor *variable_rnn(void *state, int i) {
    const ag_rnn *l = state;
    const int64_t parts = l->layers * (l->bidirectional ? 2 : 1);
    for (int64_t k = 0; k < parts; k++) {
        const ag_rnn_part *p = &l->parts[k];
        ag_tensor *const all[] = {p->input_weight, p->hidden_weight, p->bias, p->hidden_bias}, *found = nth(4, all, i);
        if (found) return found;
        for (int m = 0; m < 4; m++) i -= all[m] != NULL;
    }
    return NULL;
}

ag_status ag_sequence_rnn(ag_sequence *model, const ag_rnn *sizes, const ag_layer_options *options) {
    static const ag_layer_kind kind = {"rnn", apply_rnn, variable_rnn};
    ag__adding a = ag__adding_begin("sequence_rnn", model, name_in(options));
    ag_layer_options own = without_name(options);
    ag_rnn layer = {.parts = NULL};
    if (a.model) ag_rnn_init(&layer, model->tape, model->dtype, sizes, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

typedef struct attending {
    ag_attention layer; /* first, so that a program finds it at the state's address */
    bool causal;
} attending;

static ag_tensor *apply_attention(void *state, ag_tensor *x, bool training) {
    const attending *l = state;
    (void)training;
    return ag_attention_apply(&l->layer, x, l->causal);
}

static ag_tensor *variable_attention(void *state, int i) {
    const ag_attention *l = &((attending *)state)->layer;
    ag_tensor *const all[] = {l->query.weight, l->query.bias, l->key.weight,    l->key.bias,
                              l->value.weight, l->value.bias, l->output.weight, l->output.bias};
    return nth(8, all, i);
}

ag_status ag_sequence_attention(ag_sequence *model, int64_t features, int64_t heads, bool causal,
                                const ag_layer_options *options) {
    static const ag_layer_kind kind = {"attention", apply_attention, variable_attention};
    ag__adding a = ag__adding_begin("sequence_attention", model, name_in(options));
    ag_layer_options own = without_name(options);
    attending layer = {.causal = causal};
    if (a.model) ag_attention_init_with(&layer.layer, model->tape, model->dtype, features, heads, &own);
    return ag__adding_end(&a, &kind, &layer, sizeof layer);
}

/* ---- Without parameters ---- */

static ag_tensor *apply_flatten(void *state, ag_tensor *x, bool training) {
    (void)state, (void)training;
    int64_t m = 1;
    if (ag_rank(x) < 1) return ag__refuse("flatten", 1, &x, AG_ERR_SHAPE, "the input must be (N,…)");
    for (int i = 1; i < ag_rank(x); i++) m *= ag_extent(x, i);
    return ag__reshape_to(x, &AG_SHAPE(ag_extent(x, 0), m));
}

ag_status ag_sequence_flatten(ag_sequence *model) {
    static const ag_layer_kind kind = {"flatten", apply_flatten, NULL};
    ag__adding a = ag__adding_begin("sequence_flatten", model, NULL);
    return ag__adding_end(&a, &kind, NULL, 0);
}

typedef struct call {
    ag_tensor *(*function)(ag_tensor *x);
    ag_layer_kind kind;
} call;

static ag_tensor *apply_function(void *state, ag_tensor *x, bool training) {
    (void)training;
    return ((call *)state)->function(x);
}

/* The kind belongs to the layer: its name is the caller's. */
ag_status ag_sequence_function(ag_sequence *model, const char *kind, ag_tensor *(*function)(ag_tensor *x)) {
    ag__adding a = ag__adding_begin("sequence_function", model, NULL);
    call *own = NULL;
    if (a.model && (!kind || !function))
        ag__refuse_on(model->tape, "sequence_function", AG_ERR_NULL, "the kind's name or the function is NULL");
    if (a.model && kind) own = ag_tape_alloc(model->tape, sizeof *own + strlen(kind) + 1);
    if (own) *own = (call){function, {strcpy((char *)(own + 1), kind), apply_function, NULL}};
    return ag__adding_end(&a, own ? &own->kind : NULL, own, 0);
}

/* ---- Sequences within sequences ---- */

enum { DEEPEST = 64 };

static ag_tensor *apply_nested(void *state, ag_tensor *x, bool training) {
    return ag__sequence_run(state, x, training);
}

static ag_tensor *apply_residual(void *state, ag_tensor *x, bool training) {
    ag_tensor *y = ag__sequence_run(state, x, training), *const both[] = {x, y};
    bool same = ag_rank(x) == ag_rank(y);
    for (int i = 0; same && i < ag_rank(x); i++) same = ag_extent(x, i) == ag_extent(y, i);
    if (!same && !ag_is_nil(y))
        return ag__refuse("residual", 2, both, AG_ERR_SHAPE, "x and f(x) must have one shape, to be added");
    return ag_add(x, y);
}

/* An empty sequence within `model`, whose layers' names begin with its own; NULL out of memory. */
static ag_sequence *new_nested(ag_sequence *model, const char *name) {
    size_t before = model->name ? strlen(model->name) + 1 : 0;
    ag_sequence *inner = ag_tape_alloc(model->tape, sizeof *inner + before + strlen(name) + 1);
    if (!inner) return NULL;
    char *path = (char *)(inner + 1);
    if (before) strcat(strcpy(path, model->name), ".");
    strcpy(path + before, name);
    *inner = (ag_sequence){.training = true, .tape = model->tape, .dtype = model->dtype, .name = path};
    inner->depth = model->depth + 1;
    inner->mark = ag_tape_mark(model->tape);
    return inner;
}

static ag_sequence *add_nested(const char *caller, ag_sequence *model, const char *name, const ag_layer_kind *kind) {
    ag__adding a = ag__adding_begin(caller, model, name);
    ag_sequence *inner = NULL;
    if (a.model && model->depth + 1 >= DEEPEST)
        ag__refuse_on(model->tape, caller, AG_ERR_RANGE, "more than %d sequences within each other", DEEPEST);
    if (a.model) inner = new_nested(model, name ? name : a.number);
    if (ag__adding_end(&a, kind, inner, 0) != AG_OK) return NULL;
    return model->last->nested = inner;
}

ag_sequence *ag_sequence_nested(ag_sequence *model, const char *name) {
    static const ag_layer_kind kind = {"sequence", apply_nested, NULL};
    return add_nested("sequence_nested", model, name, &kind);
}

ag_sequence *ag_sequence_residual(ag_sequence *model, const char *name) {
    static const ag_layer_kind kind = {"residual", apply_residual, NULL};
    return add_nested("sequence_residual", model, name, &kind);
}
