/* positions -- sequences of positions: attention, rotary and sinusoidal positions, recurrent layers */
#ifndef AG_NN_POSITIONS_H
#define AG_NN_POSITIONS_H

#include "nn/layers.h"

/* ---- Attention ---- */

/* ag_attention_options -- how queries see keys; all zero, or NULL, is each query every key */
typedef struct ag_attention_options {
    ag_tensor *mask; /* bool, true where a query may see a key, or real, added to the scores, where −∞ hides; broadcast
                      * to (…,H,T,S), so (T,S), or (N,1,1,S) for keys that are padding; NULL: none */
    bool causal;     /* query t sees keys 0 … t only */
    bool training;  /* whether there is dropout */
    double dropout; /* the part of the weights that is dropped */
    double scale;   /* of the scores; 0: 1/√D */
    double rotary;  /* a layer's queries and keys get rotary positions of this base, as 10000; 0: none */
} ag_attention_options;

/* ag_scaled_dot_attention -- y = softmax(scale·q·kᵀ + mask)·v over S keys, for each of T queries
 * Hidden keys have the weight 0, whatever they and their values are: NaN there reaches neither y nor gradients. A query
 * that sees no key gives 0. There may be fewer heads G of keys and values than H of queries: each is for H/G heads.
 * Shape:  q (…,H,T,D), k (…,G,S,D), v (…,G,S,E) -> (…,H,T,E), where G divides H
 * Dtype:  real, the same for all; the mask bool, or the same
 * Grad:   from the graph; 0 at what is hidden
 * Errors: AG_ERR_SHAPE unless shapes are as above, of 3 to 7 axes, with S >= 1, and for a mask that cannot be
 *         broadcast; AG_ERR_DTYPE; AG_ERR_RANGE unless 0 <= dropout < 1 and scale is finite, and for `rotary`
 * Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.1; Ainslie et al., GQA (2023);
 *         torch.nn.functional.scaled_dot_product_attention, where a query without keys gives NaN */
AG_API ag_tensor *ag_scaled_dot_attention(ag_tensor *q, ag_tensor *k, ag_tensor *v,
                                          const ag_attention_options *options);

/* ag_attention_sizes -- of a layer whose keys and values come from elsewhere, or that has fewer of them than heads */
typedef struct ag_attention_sizes {
    int64_t features; /* C, in and out */
    int64_t heads;    /* H, which divides C */
    int64_t groups;   /* G heads of keys and values, which divides H; 0: H */
    int64_t memory;   /* features of that which is attended to; 0: C */
} ag_attention_sizes;

/* ag_attention_init_sizes -- as ag_attention_init_with; key and value have weights (memory,G·C/H)
 * Errors: AG_ERR_RANGE unless sizes are positive and heads divide features, and groups heads; as ag_linear_init_with */
AG_API ag_status ag_attention_init_sizes(ag_attention *layer, ag_tape *tape, ag_dtype dtype,
                                         const ag_attention_sizes *sizes, const ag_layer_options *options);

/* ag_attention_apply_with -- multi-head attention of x to `memory`, or to x itself if that is NULL
 * Shape:  x (N,T,C), memory (N,S,M) -> (N,T,C); the mask is broadcast to (N,H,T,S)
 * Dtype:  real, that of the layer
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE unless x and memory fit each other and the layer; AG_ERR_DTYPE; AG_ERR_RANGE if the layer's
 *         heads and groups do not divide its features, and for options as above; for a rotary base below 1
 * Source: as ag_attention_apply */
AG_API ag_tensor *ag_attention_apply_with(const ag_attention *layer, ag_tensor *x, ag_tensor *memory,
                                          const ag_attention_options *options);

/* ---- Positions ---- */

/* ag_rotary -- each pair of features (a,b) of x turned by the angle position·base^(−2i/D), for pair i
 * Products of two rows then depend on the difference of their positions. Pairs are neighbours, or, with `halves`,
 * feature i and feature D/2 + i. The angles are computed in f64.
 * Shape:  x (…,T,D), D even; positions broadcast to (…,T), or NULL for 0, 1, … T−1
 * Dtype:  x real; positions i64 or real
 * Grad:   x̄ = ȳ, turned back
 * Errors: AG_ERR_SHAPE unless D is even and positions fit, and beyond 7 axes; AG_ERR_DTYPE; AG_ERR_RANGE unless
 *         base >= 1
 * Source: Su et al., RoFormer (2021), section 3.2.2; halves as in GPT-NeoX */
AG_API ag_tensor *ag_rotary(ag_tensor *x, ag_tensor *positions, double base, bool halves);

/* ag_sinusoidal_positions -- y[t,2i] = sin(t·10000^(−2i/C)), y[t,2i+1] = cos of it: to be added to embeddings
 * Shape:  () -> (T,C)
 * Dtype:  real
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE for negative extents; AG_ERR_DTYPE
 * Source: Vaswani et al. (2017), section 3.5 */
AG_API ag_tensor *ag_sinusoidal_positions(ag_tape *tape, ag_dtype dtype, int64_t positions, int64_t features);

/* ---- Recurrent layers ---- */

/* ag_cell -- how a step makes the next hidden state of the input and the present one */
typedef enum ag_cell {
    AG_CELL_TANH, /* h' = tanh(x·Wx + h·Wh + b) */
    AG_CELL_RELU, /* h' = relu(x·Wx + h·Wh + b) */
    AG_CELL_GRU, /* (r z) = σ(x·Wx + h·Wh + b), n = tanh(x·Wx + b + r·(h·Wh + hidden_bias)), h' = (1 − z)·n + z·h */
    AG_CELL_LSTM /* as ag_lstm_cell_apply */
} ag_cell;

/* ag_rnn_part -- the parameters of one layer in one direction; g is 1, 3 for a GRU (r z n), 4 for an LSTM (i f g o)
 * They are the transposes of torch.nn.LSTM's and its like, with its gates in its order. Of its two biases, whose sum
 * matters, bias is that sum; a GRU's for n are apart: bias_ih and bias_hh. */
typedef struct ag_rnn_part {
    ag_tensor *input_weight;  /* (C,g·H) */
    ag_tensor *hidden_weight; /* (H,g·H) */
    ag_tensor *bias;          /* (g·H); NULL: none */
    ag_tensor *hidden_bias;   /* (H), of a GRU; NULL: none */
} ag_rnn_part;

/* ag_rnn -- recurrent layers, each over all steps; its last two numbers may be changed */
typedef struct ag_rnn {
    ag_cell cell;
    int64_t in, hidden; /* C, H */
    int64_t layers;     /* one upon the other; 0: 1 */
    bool bidirectional; /* each layer in both directions, whose hidden states are side by side */
    double dropout;     /* of what a layer hands to the next, in training */
    ag_rnn_part *parts; /* of layer l in direction d number l·directions + d; memory of the tape */
} ag_rnn;

/* ag_rnn_state -- of all layers and directions, (layers·directions,N,H); NULL, as in {0}, stands for zeros */
typedef struct ag_rnn_state {
    ag_tensor *hidden;
    ag_tensor *cell; /* of an LSTM */
} ag_rnn_state;

/* ag_rnn_init -- layers of these sizes, which are the fields of `sizes` but parts; weights as ag_lstm_cell_init
 * Parameters are labelled "0.input_weight" and so on by the layer, and "0.reverse.input_weight", behind the name.
 * Errors: AG_ERR_RANGE unless in, hidden, layers >= 1, a product of them with 4 is in range, cell is one of the above
 *         and 0 <= dropout < 1; as ag_linear_init_with */
AG_API ag_status ag_rnn_init(ag_rnn *layer, ag_tape *tape, ag_dtype dtype, const ag_rnn *sizes,
                             const ag_layer_options *options);

/* ag_rnn_apply -- the hidden states of the last layer at all steps
 * `state` is the one to begin with, and becomes the last one; NULL: zeros, and the last one is not wanted. With
 * `lengths` a sample ends after so many steps, from the first on: its state then stays as it is, hidden states beyond
 * are 0, and the reverse direction begins at its end. What x has beyond, NaN included, reaches nothing.
 * Shape:  x (N,T,C), lengths (N) or NULL -> (N,T,directions·H)
 * Dtype:  real, that of the layer; lengths i64, from 0 to T
 * Grad:   from the graph, through all steps
 * Errors: AG_ERR_SHAPE unless x is (N,T,C), with T >= 1, and lengths and state fit; AG_ERR_DTYPE; AG_ERR_NULL;
 *         AG_ERR_RANGE when evaluated, for a length out of range; `state` is then nil
 * Source: Elman (1990); Cho et al. (2014), with the reset gate behind the product; Hochreiter and Schmidhuber (1997);
 *         torch.nn.RNN, GRU and LSTM, where lengths are those of a packed sequence */
AG_API ag_tensor *ag_rnn_apply(const ag_rnn *layer, ag_tensor *x, ag_tensor *lengths, ag_rnn_state *state,
                               bool training);

#endif
