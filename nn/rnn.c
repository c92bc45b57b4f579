/* rnn -- recurrent layers over whole sequences
 *
 * N samples, T steps, C features in, H hidden ones; g gates lie side by side. The products of all inputs with the input
 * weight are one product; each step adds that of the state. A sample that has ended keeps its state by a choice, so
 * that what lies beyond its end does not matter. */
#include "autograd/tape/format.h"
#include "nn/along.h"
#include "nn/making.h"

#include <math.h>

enum { MOST_GATES = 4 };

static int64_t gates_of(ag_cell cell) { return cell == AG_CELL_LSTM ? 4 : cell == AG_CELL_GRU ? 3 : 1; }

static int directions_of(const ag_rnn *l) { return l->bidirectional ? 2 : 1; }

/* ---- Making ---- */

static ag_rnn_part make_part(ag__making *m, const ag_rnn *l, int64_t in) {
    const int64_t h = l->hidden, g = gates_of(l->cell);
    const ag_initial usual = {ag_init_uniform, 1 / sqrt((double)h)}, weight = m->options.weight;
    const ag_initial inner = m->options.hidden.make ? m->options.hidden : weight;
    ag_rnn_part part = {.hidden_bias = NULL};
    part.input_weight = ag__make_parameter(m, "input_weight", &AG_SHAPE(in, g * h), weight, usual);
    part.hidden_weight = ag__make_parameter(m, "hidden_weight", &AG_SHAPE(h, g * h), inner, usual);
    part.bias = ag__make_bias(m, "bias", g * h);
    if (l->cell == AG_CELL_GRU) part.hidden_bias = ag__make_bias(m, "hidden_bias", h);
    return part;
}

static void make_parts(ag__making *m, ag_rnn *l) {
    char number[24];
    const int directions = directions_of(l);
    for (int64_t i = 0; l->parts && i < l->layers; i++) {
        ag__format(number, sizeof number, "%lld", (long long)i);
        ag_scope(m->tape, number);
        for (int d = 0; d < directions; d++) {
            if (d == 1) ag_scope(m->tape, "reverse");
            l->parts[i * directions + d] = make_part(m, l, i == 0 ? l->in : directions * l->hidden);
            if (d == 1) ag_scope_end(m->tape);
        }
        ag_scope_end(m->tape);
    }
}

ag_status ag_rnn_init(ag_rnn *layer, ag_tape *tape, ag_dtype dtype, const ag_rnn *sizes,
                      const ag_layer_options *options) {
    static const ag_rnn none = {.in = 0};
    ag_rnn l = sizes ? *sizes : none;
    if (l.layers == 0) l.layers = 1;
    const bool good = l.in >= 1 && l.hidden >= 1 && l.hidden <= INT64_MAX / MOST_GATES / 2 && l.layers >= 1 &&
                      l.layers <= INT32_MAX && l.cell <= AG_CELL_LSTM && l.dropout >= 0 && l.dropout < 1;
    ag_tensor *nil = ag__init_wrong("rnn_init", layer, tape, dtype, good,
                                    "%lld inputs, %lld hidden features, %lld layers, dropout %g, cell %d: each number "
                                    "must be at least 1, the dropout from 0 to below 1, and the cell an ag_cell",
                                    (long long)l.in, (long long)l.hidden, (long long)l.layers, l.dropout, (int)l.cell);
    if (layer) *layer = (ag_rnn){.parts = NULL};
    if (nil) return ag_eval(nil);
    ag__making m = ag__make("rnn_init", tape, dtype, options);
    m.last = ag_scalar(tape, dtype, 0); /* nil if memory for the parts is lacking */
    l.parts = ag_tape_alloc(tape, (size_t)(l.layers * directions_of(&l)) * sizeof *l.parts);
    make_parts(&m, &l);
    ag_status status = ag__made(&m, 0, NULL); /* after an error, memory of the parts has gone too */
    if (status == AG_OK) *layer = l;
    return status;
}

/* ---- Checks ---- */

/* NULL if the parameters are those of a part with `in` features; else nil, after an error. */
static ag_tensor *part_wrong(const ag_rnn *l, ag_tensor *x, const ag_rnn_part *p, int64_t in) {
    static const char name[] = "rnn_apply";
    const int64_t h = l->hidden, g = gates_of(l->cell);
    ag_tensor *const all[] = {x, p->input_weight, p->hidden_weight, p->bias, p->hidden_bias};
    const ag_shape shapes[] = {{0}, AG_SHAPE(in, g * h), AG_SHAPE(h, g * h), AG_SHAPE(g * h), AG_SHAPE(h)};
    for (int i = 1; i < 5; i++) {
        ag_tensor *const both[] = {x, all[i]};
        if (!all[i] && i > 2) continue;
        if (!ag__has_shape(all[i], &shapes[i]))
            return ag__refuse(name, 2, both, AG_ERR_SHAPE, "a parameter has not the shape that the layer's sizes say");
        ag_tensor *nil = ag__dtype_wrong(name, x, all[i]);
        if (nil) return nil;
    }
    return NULL;
}

static ag_tensor *state_wrong(const ag_rnn *l, ag_tensor *x, ag_tensor *state) {
    ag_tensor *const both[] = {x, state};
    const ag_shape shape = AG_SHAPE(l->layers * directions_of(l), ag_extent(x, 0), l->hidden);
    if (!state) return NULL;
    if (!ag__has_shape(state, &shape))
        return ag__refuse("rnn_apply", 2, both, AG_ERR_SHAPE, "the state must be (%lld,%lld,%lld)",
                          (long long)shape.extent[0], (long long)shape.extent[1], (long long)shape.extent[2]);
    return ag__dtype_wrong("rnn_apply", x, state);
}

/* NULL if the layer fits x; else nil, after an error. */
static ag_tensor *what_is_wrong(const ag_rnn *l, ag_tensor *x, ag_tensor *lengths, const ag_rnn_state *state) {
    static const char name[] = "rnn_apply";
    if (!l || !l->parts || l->layers < 1)
        return ag__refuse(name, 1, &x, AG_ERR_NULL, "the layer or its parts are NULL");
    ag_tensor *const both[] = {x, lengths};
    const int directions = directions_of(l);
    if (ag_rank(x) != 3 || ag_extent(x, 2) != l->in || ag_extent(x, 1) < 1 || ag_extent(x, 1) > INT32_MAX)
        return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "the input must be (N,T,C), with the layer's C of %lld and T >= 1",
                          (long long)l->in);
    if (!(l->dropout >= 0 && l->dropout < 1))
        return ag__refuse(name, 1, &x, AG_ERR_RANGE, "dropout is %g: 0 <= dropout < 1 is wanted", l->dropout);
    ag_tensor *nil = NULL;
    for (int64_t i = 0; !nil && i < l->layers * directions; i++)
        nil = part_wrong(l, x, &l->parts[i], i < directions ? l->in : directions * l->hidden);
    if (!nil && state) nil = state_wrong(l, x, state->hidden);
    if (!nil && state && l->cell == AG_CELL_LSTM) nil = state_wrong(l, x, state->cell);
    if (nil || !lengths) return nil;
    if (!ag__has_shape(lengths, &AG_SHAPE(ag_extent(x, 0))))
        return ag__refuse(name, 2, both, AG_ERR_SHAPE, "the lengths must be (N)");
    if (ag_dtype_of(lengths) == AG_I64) return NULL;
    return ag__refuse(name, 2, both, AG_ERR_DTYPE, "the lengths must be i64, not %s",
                      ag_dtype_name(ag_dtype_of(lengths)));
}

/* ---- Steps ---- */

/* The state of one part: N H; NULL stands for zeros. */
typedef struct moment {
    ag_tensor *hidden, *cell;
} moment;

static ag_tensor *sum(ag_tensor *a, ag_tensor *b) { return b ? ag_add(a, b) : a; }

/* `in` and `from_hidden` are the products with the weights, N g·H; the latter may be NULL. */
static moment lstm(ag_tensor *in, ag_tensor *from_hidden, moment s, int64_t h) {
    ag_tensor *gates = sum(in, from_hidden);
    ag_tensor *enter = ag_sigmoid(ag__nth(gates, 0, h)), *forget = ag_sigmoid(ag__nth(gates, 1, h));
    ag_tensor *fresh = ag_tanh(ag__nth(gates, 2, h)), *out = ag_sigmoid(ag__nth(gates, 3, h));
    ag_tensor *cell = ag_mul(enter, fresh);
    if (s.cell) cell = ag_add(ag_mul(forget, s.cell), cell);
    return (moment){ag_mul(out, ag_tanh(cell)), cell};
}

/* (1 − z)·n + z·h = n + z·(h − n) */
static moment gru(ag_tensor *in, ag_tensor *from_hidden, moment s, int64_t h, ag_tensor *hidden_bias) {
    ag_tensor *part[3];
    for (int i = 0; i < 3; i++) part[i] = from_hidden ? ag__nth(from_hidden, i, h) : NULL;
    ag_tensor *reset = ag_sigmoid(sum(ag__nth(in, 0, h), part[0])), *keep = ag_sigmoid(sum(ag__nth(in, 1, h), part[1]));
    ag_tensor *inner = part[2] && hidden_bias ? ag_add(part[2], hidden_bias) : part[2] ? part[2] : hidden_bias;
    ag_tensor *fresh = ag_tanh(sum(ag__nth(in, 2, h), inner ? ag_mul(reset, inner) : NULL));
    ag_tensor *difference = s.hidden ? ag_sub(s.hidden, fresh) : ag_neg(fresh);
    return (moment){ag_add(fresh, ag_mul(keep, difference)), NULL};
}

static moment next_of(const ag_rnn *l, const ag_rnn_part *p, ag_tensor *in, moment s) {
    ag_tensor *from_hidden = s.hidden ? ag_matmul(s.hidden, p->hidden_weight) : NULL;
    if (l->cell == AG_CELL_LSTM) return lstm(in, from_hidden, s, l->hidden);
    if (l->cell == AG_CELL_GRU) return gru(in, from_hidden, s, l->hidden, p->hidden_bias);
    ag_tensor *y = sum(in, from_hidden);
    return (moment){l->cell == AG_CELL_TANH ? ag_tanh(y) : ag_relu(y), NULL};
}

/* `next` if a sample goes on; else what it was. */
static ag_tensor *chosen(ag_tensor *goes_on, ag_tensor *next, ag_tensor *before) {
    if (!goes_on || !next) return next;
    return ag_where(goes_on, next, before ? before : ag_scalar(ag_tape_of(next), ag_dtype_of(next), 0));
}

/* One layer in one direction: N T C -> N T H; *s becomes the last state. */
static ag_tensor *run(const ag_rnn *l, const ag_rnn_part *p, ag_tensor *x, ag_tensor *lengths, bool reverse,
                      moment *s) {
    ag_tape *tape = ag_tape_of(x);
    const int64_t n = ag_extent(x, 0), steps = ag_extent(x, 1), width = gates_of(l->cell) * l->hidden;
    ag_tensor *in = sum(ag_matmul(x, p->input_weight), p->bias); /* N T g·H */
    ag_tensor **all = ag_tape_alloc(tape, (size_t)steps * sizeof *all);
    for (int64_t i = 0; all && i < steps; i++) {
        const int64_t t = reverse ? steps - 1 - i : i;
        ag_tensor *now = ag__reshape_to(ag_slice(in, 1, t, t + 1, 1), &AG_SHAPE(n, width));
        ag_tensor *goes_on = lengths ? ag_less(ag_scalar(tape, AG_I64, (double)t), lengths) : NULL; /* N 1 */
        const moment next = next_of(l, p, now, *s);
        *s = (moment){chosen(goes_on, next.hidden, s->hidden), chosen(goes_on, next.cell, s->cell)};
        all[t] = ag_unsqueeze(chosen(goes_on, s->hidden, NULL), 1);
    }
    return all ? ag_concat((int)steps, all, 1) : ag_neg(x); /* nil: the tape is out of memory */
}

/* Number i of a state of all parts. */
static ag_tensor *of_part(ag_tensor *state, int64_t i) {
    return state ? ag__squeezed(ag_slice(state, 0, i, i + 1, 1), 0) : NULL;
}

/* The states of all parts as one: hidden or cell. */
static ag_tensor *joined(ag_tape *tape, int64_t n, const moment s[], bool cell) {
    ag_tensor **all = ag_tape_alloc(tape, (size_t)n * sizeof *all);
    for (int64_t i = 0; all && i < n; i++) all[i] = ag_unsqueeze(cell ? s[i].cell : s[i].hidden, 0);
    return all ? ag_concat((int)n, all, 0) : ag_neg(s[0].hidden);
}

ag_tensor *ag_rnn_apply(const ag_rnn *layer, ag_tensor *x, ag_tensor *lengths, ag_rnn_state *state, bool training) {
    ag_tensor *nil = what_is_wrong(layer, x, lengths, state);
    const ag_rnn_state first = state ? *state : (ag_rnn_state){NULL, NULL};
    if (state) *state = (ag_rnn_state){nil, nil};
    if (nil) return nil;
    const int directions = directions_of(layer);
    const int64_t parts = layer->layers * directions;
    ag_tape *tape = ag_tape_of(x);
    moment *s = ag_tape_alloc(tape, (size_t)parts * sizeof *s);
    if (!s) x = ag_neg(x); /* nil: the tape is out of memory */
    if (lengths) lengths = ag_unsqueeze(ag__indices_in_range(AG__RNN_LENGTHS, lengths, ag_extent(x, 1) + 1), 1);
    for (int64_t i = 0; s && i < parts; i += directions) {
        ag_tensor *both[2];
        if (i > 0 && layer->dropout > 0) x = ag_dropout(x, layer->dropout, training);
        for (int d = 0; d < directions; d++) {
            const ag_rnn_part *p = &layer->parts[i + d];
            s[i + d] =
                (moment){of_part(first.hidden, i + d), layer->cell == AG_CELL_LSTM ? of_part(first.cell, i + d) : NULL};
            both[d] = run(layer, p, x, lengths, d == 1, &s[i + d]);
        }
        x = directions == 2 ? ag_concat(2, both, 2) : both[0];
    }
    if (!state) return x;
    if (!ag_is_nil(x)) {
        ag_tensor *last = state->hidden = joined(tape, parts, s, false);
        if (layer->cell == AG_CELL_LSTM) last = state->cell = joined(tape, parts, s, true);
        if (ag_is_nil(last)) x = last;
    }
    if (ag_is_nil(x)) *state = (ag_rnn_state){x, x};
    return x;
}
