/* model -- a line of text as a network
 *
 *     model = shape {item}            shape = SIZE ["x" SIZE ["x" SIZE]]
 *     item  = SIZE | "bn" | "ln" | "relu" | "tanh" | "gelu" | "sigmoid" | "flatten" | "dropout" NUMBER |
 *             "conv" SIZE ["x" SIZE] SIZE | "pool" SIZE | "avgpool" SIZE | "lstm" SIZE
 *
 * with blanks or dashes between words. Shapes are followed while the line is read, so that a complaint can point to
 * the word that does not fit; a model that was read can be built and applied, if there is memory. */
#include "examples/train/train.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FEATURES = 1 << 20, MOST_WEIGHTS = 1 << 28, MOST_IN_SAMPLE = 1 << 26 };

typedef struct parser {
    model *m;
    const char *line;
    const char *path;  /* of the file that the line is from; NULL: the command has it */
    size_t at, length; /* of the present word */
    ag_shape shape;    /* of a sample, so far */
    int64_t weights;
} parser;

static bool wrong(const parser *p, const char *problem) {
    if (p->path) return complain("%s is damaged: its model, column %zu: %s", p->path, p->at + 1, problem);
    return misuse_at("the model", p->line, p->at, "%s", problem);
}

static bool ends_word(char c) { return c == 0 || c == ' ' || c == '-' || c == '\t'; }

/* Goes to the next word; false at the end. */
static bool next_word(parser *p) {
    p->at += p->length;
    while (p->line[p->at] && ends_word(p->line[p->at])) p->at++;
    for (p->length = 0; !ends_word(p->line[p->at + p->length]); p->length++) continue;
    return p->length > 0;
}

static bool is_word(const parser *p, const char *word) {
    return p->length == strlen(word) && memcmp(p->line + p->at, word, p->length) == 0;
}

/* A size at s, with at most 7 digits; *s is moved behind it. */
static bool read_size(const char **s, const char *end, int64_t most, int64_t *size) {
    int digits = 0;
    for (*size = 0; *s < end && **s >= '0' && **s <= '9'; ++*s)
        if (digits++ < 8) *size = 10 * *size + (**s - '0');
    return digits > 0 && digits < 8 && *size >= 1 && *size <= most;
}

/* One to `most` sizes with x in between; returns their number, 0: the word is something else. */
static int read_sizes(const parser *p, int most, int64_t size[]) {
    const char *s = p->line + p->at, *end = s + p->length;
    int n = 0;
    while (n < most && read_size(&s, end, MOST_FEATURES, &size[n])) {
        n++;
        if (s == end) return n;
        if (*s++ != 'x') return 0;
    }
    return 0;
}

static bool wanted_size(parser *p, const char *problem, int64_t *size) {
    return (next_word(p) && read_sizes(p, 1, size) == 1) || wrong(p, problem);
}

static int64_t size_of(const ag_shape *shape) {
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++)
        n *= shape->extent[i]; /* each is at most 2²⁰, and the product was looked at */
    return n;
}

/* ---- Layers: each looks at the shape that comes in, and gives the one that goes out */

static bool add(parser *p, layer l, ag_shape out, int64_t weights) {
    model *m = p->m;
    if (m->layers == MOST_LAYERS) return wrong(p, "there are too many layers");
    for (int64_t i = 0, n = 1; i < out.rank; i++, n *= out.extent[i - 1])
        if (n > MOST_IN_SAMPLE / out.extent[i]) return wrong(p, "a sample becomes too large here");
    if ((p->weights += weights) > MOST_WEIGHTS) return wrong(p, "the model has more than 2^28 weights here");
    l.in = p->shape;
    l.out = p->shape = out;
    m->layer[m->layers++] = l;
    return true;
}

static bool is_image(const parser *p) { return p->shape.rank == 3; }

static bool add_linear(parser *p, int64_t size) {
    if (p->shape.rank != 1) return wrong(p, "a linear layer takes a row of numbers: flatten is wanted before it");
    int64_t in = p->shape.extent[0];
    return add(p, (layer){.kind = LINEAR, .size = size}, AG_SHAPE(size), in * size + size);
}

static bool add_conv(parser *p) {
    int64_t window[2], channels;
    if (!is_image(p)) return wrong(p, "conv takes an image: the model's first word is rows x columns [x channels]");
    int n = next_word(p) ? read_sizes(p, 2, window) : 0;
    if (n == 0 || (n == 2 && window[0] != window[1])) return wrong(p, "the size of conv's windows is wanted, like 3x3");
    if (window[0] % 2 == 0 || window[0] > 99) return wrong(p, "the windows must have an odd size below 100");
    if (!wanted_size(p, "the number of conv's channels is wanted, like 16", &channels)) return false;
    ag_shape out = AG_SHAPE(p->shape.extent[0], p->shape.extent[1], channels);
    int64_t weights = window[0] * window[0] * p->shape.extent[2]; /* for a channel out */
    if (weights > MOST_WEIGHTS / channels) return wrong(p, "the model has more than 2^28 weights here");
    return add(p, (layer){.kind = CONV, .size = channels, .window = window[0]}, out, weights * channels);
}

static bool add_pool(parser *p, layer_kind kind) {
    int64_t window;
    if (!is_image(p)) return wrong(p, "pooling takes an image: the model's first word is rows x columns [x channels]");
    if (!wanted_size(p, "the size of the windows is wanted, like 2", &window)) return false;
    int64_t rows = p->shape.extent[0] / window, columns = p->shape.extent[1] / window;
    if (rows < 1 || columns < 1) return wrong(p, "the windows are larger than the image");
    return add(p, (layer){.kind = kind, .window = window}, AG_SHAPE(rows, columns, p->shape.extent[2]), 0);
}

static bool add_lstm(parser *p) {
    int64_t size;
    if (!is_image(p)) return wrong(p, "lstm takes a sequence: the model's first word is steps x features");
    if (!wanted_size(p, "the number of lstm's features is wanted, like 64", &size)) return false;
    int64_t in = p->shape.extent[1] * p->shape.extent[2];
    if (in > MOST_FEATURES) return wrong(p, "the sequence has too many features");
    return add(p, (layer){.kind = LSTM, .size = size}, AG_SHAPE(size), 4 * size * (in + size + 1));
}

static bool add_dropout(parser *p) {
    char number[16];
    double rate;
    bool there = next_word(p) && p->length < sizeof number;
    if (there) memcpy(number, p->line + p->at, p->length);
    number[there ? p->length : 0] = 0;
    if (!is_number(number, &rate) || rate < 0 || rate >= 1)
        return wrong(p, "a number from 0 to 0.99 is wanted, like 0.2");
    return add(p, (layer){.kind = DROPOUT, .rate = rate}, p->shape, 0);
}

static bool add_item(parser *p) {
    static const struct {
        const char *name;
        layer_kind kind;
    } plain[] = {{"relu", RELU}, {"tanh", TANH}, {"gelu", GELU}, {"sigmoid", SIGMOID}};
    int64_t size, last = p->shape.extent[p->shape.rank - 1];
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is_word(p, plain[i].name)) return add(p, (layer){.kind = plain[i].kind}, p->shape, 0);
    if (read_sizes(p, 1, &size) == 1) return add_linear(p, size);
    if (is_word(p, "bn")) return add(p, (layer){.kind = BATCHNORM, .size = last}, p->shape, 2 * last);
    if (is_word(p, "ln")) return add(p, (layer){.kind = LAYERNORM, .size = last}, p->shape, 2 * last);
    if (is_word(p, "flatten")) return add(p, (layer){.kind = FLATTEN}, AG_SHAPE(size_of(&p->shape)), 0);
    if (is_word(p, "dropout")) return add_dropout(p);
    if (is_word(p, "conv")) return add_conv(p);
    if (is_word(p, "pool")) return add_pool(p, MAX_POOL);
    if (is_word(p, "avgpool")) return add_pool(p, AVG_POOL);
    if (is_word(p, "lstm")) return add_lstm(p);
    return wrong(p, "a size is wanted, or bn, ln, relu, tanh, gelu, sigmoid, dropout, conv, pool, avgpool, flatten, "
                    "lstm");
}

/* The first word; an image without channels has one. */
static bool read_shape(parser *p) {
    int64_t size[3];
    int n = next_word(p) ? read_sizes(p, 3, size) : 0;
    if (n == 0) return wrong(p, "the number of inputs is wanted, like 64, or the shape of an image, like 28x28");
    if (n > 1 && size[0] > MOST_IN_SAMPLE / size[1]) return wrong(p, "a sample is too large");
    if (n > 2 && size[0] * size[1] > MOST_IN_SAMPLE / size[2]) return wrong(p, "a sample is too large");
    p->shape = n == 1 ? AG_SHAPE(size[0]) : AG_SHAPE(size[0], size[1], n == 2 ? 1 : size[2]);
    return true;
}

bool parse_model(model *m, const char *line, const char *path) {
    parser p = {.m = m, .line = line, .path = path};
    memset(m, 0, sizeof *m);
    if (!read_shape(&p)) return false;
    m->shape = p.shape;
    m->inputs = size_of(&p.shape);
    while (next_word(&p))
        if (!add_item(&p)) return false;
    if (p.shape.rank != 1) return wrong(&p, "the model ends with an image: flatten and a number of outputs are wanted");
    m->outputs = p.shape.extent[0];
    for (int i = 0; i < m->layers; i++)
        if (m->layer[i].kind == LINEAR || m->layer[i].kind == CONV || m->layer[i].kind == LSTM) return true;
    return wrong(&p, "a number of outputs is wanted");
}

/* ---- The network */

/* x·Φ(x), by the usual approximation with tanh. */
static ag_tensor *gelu(ag_tensor *x) {
    const double root = 0.79788456080286535588; /* √(2/π) */
    ag_tensor *inner = ag_scale(ag_mul(x, ag_add_scalar(ag_scale(ag_square(x), 0.044715), 1)), root);
    return ag_scale(ag_mul(x, ag_add_scalar(ag_tanh(inner), 1)), 0.5);
}

/* An image's rows as the steps of a sequence: (N,H,W,C) -> (N,H,W·C). */
static ag_tensor *rows_as_steps(ag_tensor *x) {
    return ag_reshape(x, AG_SHAPE(ag_extent(x, 0), ag_extent(x, 1), ag_extent(x, 2) * ag_extent(x, 3)));
}

/* (N,T,H) -> (N,H) */
static ag_tensor *last_step(ag_tensor *x) {
    return ag_squeeze(ag_slice(x, 1, ag_extent(x, 1) - 1, AG_END, 1), AG_AXES(1));
}

static void add_lstm_to(ag_sequence *to, const layer *l) {
    ag_sequence_function(to, "rows", rows_as_steps);
    ag_sequence_lstm(to, l->in.extent[1] * l->in.extent[2], l->size, NULL);
    ag_sequence_function(to, "last", last_step);
}

static void build_layer(ag_sequence *to, const layer *l) {
    int64_t in = l->in.extent[l->in.rank - 1];
    switch (l->kind) {
    case LINEAR: ag_sequence_linear(to, in, l->size, NULL); break;
    case BATCHNORM: ag_sequence_batchnorm(to, l->size, NULL); break;
    case LAYERNORM: ag_sequence_layernorm(to, l->size, NULL); break;
    case CONV: ag_sequence_conv2d(to, in, l->size, l->window, 1, l->window / 2, NULL); break;
    case MAX_POOL: ag_sequence_max_pool2d(to, l->window, l->window); break;
    case AVG_POOL: ag_sequence_avg_pool2d(to, l->window, l->window); break;
    case FLATTEN: ag_sequence_flatten(to); break;
    case LSTM: add_lstm_to(to, l); break;
    case DROPOUT: ag_sequence_dropout(to, l->rate); break;
    case RELU: ag_sequence_function(to, "relu", ag_relu); break;
    case TANH: ag_sequence_function(to, "tanh", ag_tanh); break;
    case GELU: ag_sequence_function(to, "gelu", gelu); break;
    case SIGMOID: ag_sequence_function(to, "sigmoid", ag_sigmoid); break;
    }
}

bool build_model(model *m, ag_tape *tape) {
    ag_sequence_init(&m->network, tape, AG_F32, "layer");
    for (int i = 0; i < m->layers; i++) build_layer(&m->network, &m->layer[i]);
    return fine(tape);
}

ag_tensor *apply_model(model *m, ag_tensor *x, bool training) {
    const int64_t *e = m->shape.extent;
    m->network.training = training;
    return ag_sequence_apply(&m->network, m->shape.rank == 3 ? ag_reshape(x, AG_SHAPE(-1, e[0], e[1], e[2])) : x);
}

/* The shapes are known once the model has been applied. */
bool print_model(model *m, ag_tape *tape) {
    ag_mark mark = ag_tape_mark(tape);
    ag_eval(apply_model(m, ag_zeros(tape, AG_F32, AG_SHAPE(1, m->inputs)), false));
    const char *layers = ag_sequence_table(&m->network);
    if (fine(tape)) printf("%s\n", layers);
    ag_tape_rewind(tape, mark);
    return fine(tape);
}
