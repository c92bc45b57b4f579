/* recurrent -- a cell of long short-term memory
 *
 * N samples, C features in, H hidden ones. All four gates come out of one product with the input and one with the
 * hidden state, side by side in the order i, f, g, o. */
#include "nn/along.h"
#include "nn/making.h"

#include <math.h>

enum { GATES = 4 };

static ag_status init_lstm_cell(const char *name, ag_lstm_cell *layer, ag_tape *tape, ag_dtype dtype, int64_t in,
                                int64_t hidden, const ag_layer_options *options) {
    ag_tensor *nil = ag__init_wrong(name, layer, tape, dtype, in >= 1 && hidden >= 1 && hidden <= INT64_MAX / GATES,
                                    "%lld inputs and %lld hidden features: each must be from 1 to 2⁶¹ − 1",
                                    (long long)in, (long long)hidden);
    if (nil) {
        if (layer) *layer = (ag_lstm_cell){nil, nil, nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    const ag_initial usual = {ag_init_uniform, 1 / sqrt((double)hidden)}, weight = m.options.weight;
    const ag_initial inner = m.options.hidden.make ? m.options.hidden : weight;
    layer->input_weight = ag__make_parameter(&m, "input_weight", &AG_SHAPE(in, GATES * hidden), weight, usual);
    layer->hidden_weight = ag__make_parameter(&m, "hidden_weight", &AG_SHAPE(hidden, GATES * hidden), inner, usual);
    layer->bias = ag__make_bias(&m, "bias", GATES * hidden);
    return ag__made(&m, AG__HANDLES(&layer->input_weight, &layer->hidden_weight));
}

ag_status ag_lstm_cell_init(ag_lstm_cell *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t hidden) {
    return init_lstm_cell("lstm_cell_init", layer, tape, dtype, in, hidden, NULL);
}

ag_status ag_lstm_cell_init_with(ag_lstm_cell *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t hidden,
                                 const ag_layer_options *options) {
    return init_lstm_cell("lstm_cell_init_with", layer, tape, dtype, in, hidden, options);
}

/* NULL if the layer and its state fit x; else nil, after an error. */
static ag_tensor *what_is_wrong(const ag_lstm_cell *layer, ag_tensor *x, const ag_lstm_state *state) {
    static const char name[] = "lstm_cell_apply";
    if (!layer || !state) return ag__refuse(name, 1, &x, AG_ERR_NULL, "the layer or its state is NULL");
    ag_tensor *const all[] = {x, layer->input_weight, layer->hidden_weight, state->hidden, state->cell};
    int64_t n = ag_extent(x, 0), h = ag_extent(all[2], 0);
    bool fits = ag_rank(x) == 2 && ag_rank(all[1]) == 2 && ag_rank(all[2]) == 2;
    fits = fits && ag_extent(x, 1) == ag_extent(all[1], 0);
    fits = fits && ag_extent(all[1], 1) / GATES == h && ag_extent(all[2], 1) / GATES == h;
    if (!fits)
        return ag__refuse(name, 3, all, AG_ERR_SHAPE, "the input must be (N,C), and the weights (C,4·H) and (H,4·H)");
    ag_tensor *const biased[] = {all[1], layer->bias};
    if (layer->bias && (ag_rank(biased[1]) != 1 || ag_extent(biased[1], 0) / GATES != h))
        return ag__refuse(name, 2, biased, AG_ERR_SHAPE, "the bias must be (4·H), or NULL");
    for (int i = 3; i < 5; i++)
        if (all[i] && (ag_rank(all[i]) != 2 || ag_extent(all[i], 0) != n || ag_extent(all[i], 1) != h))
            return ag__refuse(name, 2, (ag_tensor *const[]){x, all[i]}, AG_ERR_SHAPE, "the state must be (%lld,%lld)",
                              (long long)n, (long long)h);
    ag_tensor *nil = ag__dtype_wrong(name, x, layer->bias);
    for (int i = 1; i < 5 && !nil; i++) nil = ag__dtype_wrong(name, x, all[i]);
    return nil;
}

ag_tensor *ag_lstm_cell_apply(const ag_lstm_cell *layer, ag_tensor *x, ag_lstm_state *state) {
    ag_tensor *nil = what_is_wrong(layer, x, state);
    if (nil) {
        if (state) *state = (ag_lstm_state){nil, nil};
        return nil;
    }
    int64_t n = ag_extent(x, 0), h = ag_extent(layer->hidden_weight, 0);
    ag_tensor *gates = ag_matmul(x, layer->input_weight); /* N 4·H */
    if (layer->bias) gates = ag_add(gates, layer->bias);
    if (state->hidden) gates = ag_add(gates, ag_matmul(state->hidden, layer->hidden_weight));
    ag_tensor *in = ag_sigmoid(ag__nth(gates, 0, h)), *forget = ag_sigmoid(ag__nth(gates, 1, h)); /* N H */
    ag_tensor *fresh = ag_tanh(ag__nth(gates, 2, h)), *out = ag_sigmoid(ag__nth(gates, 3, h));
    ag_tensor *cell = state->cell ? state->cell : ag_zeros(ag_tape_of(x), ag_dtype_of(x), AG_SHAPE(n, h));
    cell = ag_label(ag_add(ag_mul(forget, cell), ag_mul(in, fresh)), "cell");
    ag_tensor *hidden = ag_label(ag_mul(out, ag_tanh(cell)), "hidden");
    *state = (ag_lstm_state){hidden, ag_is_nil(hidden) ? hidden : cell}; /* both, or both nil */
    return hidden;
}
