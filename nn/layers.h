/* layers -- linear, embedding, dropout, convolution and pooling of images, the LSTM cell, attention
 *
 * A layer is a struct of handles, which the tape owns: nothing is to be freed, and nothing is hidden. Its parameters
 * and its state are recorded when it is initialised, so initialise before the mark that a loop rewinds to; an init that
 * fails leaves no tensor behind. They are labelled by their names in the struct ("weight", "running_mean"), behind
 * the layer's name, if it has one, and the names of the open scopes. */
#ifndef AG_NN_LAYERS_H
#define AG_NN_LAYERS_H

#include "autograd/autograd.h"
#include "nn/initialisers.h"

/* ag_linear -- y = x·w + b; both are parameters. A layer whose bias (or beta) is NULL has none: ag_linear_init_with
 * and its like make such layers if the options say so, with the same weights from the same seed */
typedef struct ag_linear {
    ag_tensor *weight; /* (in,out) */
    ag_tensor *bias;   /* (out); NULL: none */
} ag_linear;

/* ag_linear_init -- a layer with random weights, uniform within ±√(6/in), and bias 0
 * This scale keeps the size of values through many layers of relu.
 * Errors: AG_ERR_RANGE unless in and out are at least 1; as ag_uniform
 * Source: He et al., Delving Deep into Rectifiers (2015), section 2.2 */
AG_API ag_status ag_linear_init(ag_linear *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out);

/* ag_linear_init_with -- the same with options: a name, no bias, other initialisers
 * Errors: as ag_linear_init; those of the initialisers; AG_ERR_SHAPE, AG_ERR_DTYPE and AG_ERR_NIL for one that returns
 *         another tensor than it is asked for; AG_ERR_RANGE for a name as ag_scope */
AG_API ag_status ag_linear_init_with(ag_linear *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                                     const ag_layer_options *options);

/* ag_linear_apply -- y = x·w + b over the last axis
 * Shape:  x (…,N,in) -> (…,N,out)
 * Dtype:  real, that of the layer
 * Grad:   x̄ = ȳ·wᵀ,  w̄ = xᵀ·ȳ,  b̄ = Σ_N ȳ
 * Errors: AG_ERR_SHAPE unless x is (…,N,in); AG_ERR_DTYPE
 * Source: torch.nn.Linear, whose weight is the transpose */
AG_API ag_tensor *ag_linear_apply(const ag_linear *layer, ag_tensor *x);

/* ag_embedding -- a table of learnt rows */
typedef struct ag_embedding {
    ag_tensor *weight; /* (V,C), a parameter */
} ag_embedding;

/* ag_embedding_init -- a table of V = count rows of C = features normal random numbers, of mean 0 and deviation 1
 * Errors: AG_ERR_RANGE unless count and features are at least 1; as ag_normal
 * Source: torch.nn.Embedding */
AG_API ag_status ag_embedding_init(ag_embedding *layer, ag_tape *tape, ag_dtype dtype, int64_t count, int64_t features);

/* ag_embedding_init_with -- the same with options: a name, another initialiser
 * Errors: as ag_embedding_init and ag_linear_init_with */
AG_API ag_status ag_embedding_init_with(ag_embedding *layer, ag_tape *tape, ag_dtype dtype, int64_t count,
                                        int64_t features, const ag_layer_options *options);

/* ag_embedding_apply -- the rows that the index names
 * Shape:  index (…) -> (…,C)
 * Dtype:  index i64, 0 <= index < V -> that of the layer
 * Grad:   row v of w̄ is the sum of ȳ wherever the index is v
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: torch.nn.functional.embedding */
AG_API ag_tensor *ag_embedding_apply(const ag_embedding *layer, ag_tensor *index);

/* ag_dropout -- in training, each element 0 with probability p, else x/(1−p); otherwise x as it is
 * Each call draws anew: to differentiate numerically, call ag_tape_seed before each.
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(1−p) where x was kept, 0 elsewhere
 * Errors: AG_ERR_RANGE unless 0 <= p < 1; AG_ERR_DTYPE
 * Source: Srivastava et al., Dropout (2014), scaled in training as torch.nn.functional.dropout does */
AG_API ag_tensor *ag_dropout(ag_tensor *x, double p, bool training);

/* ag_conv2d -- parameters, and two numbers that may be changed. Channels are the last axis of an image: a window's
 * rows are then contiguous, and the convolution is one product of all windows with the weight */
typedef struct ag_conv2d {
    ag_tensor *weight; /* (KH,KW,C,K): rows and columns of the window, channels in, channels out */
    ag_tensor *bias;   /* (K); NULL: none */
    int64_t stride;    /* from one window to the next, in both directions; 1 */
    int64_t padding;   /* rows and columns of zeros on each side; 0 */
} ag_conv2d;

/* ag_conv2d_init -- a layer with windows of size × size, weights uniform within ±√(6/(in·size²)), and bias 0
 * Errors: AG_ERR_RANGE unless in, out and size are at least 1; as ag_uniform
 * Source: He et al., Delving Deep into Rectifiers (2015), section 2.2 */
AG_API ag_status ag_conv2d_init(ag_conv2d *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out, int64_t size);

/* ag_conv2d_init_with -- the same with options: a name, no bias, other initialisers
 * Errors: as ag_conv2d_init and ag_linear_init_with */
AG_API ag_status ag_conv2d_init_with(ag_conv2d *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                                     int64_t size, const ag_layer_options *options);

/* ag_conv2d_apply -- y[n,i,j,k] = b[k] + Σ x[n, i·stride+u, j·stride+v, c]·w[u,v,c,k] over u, v, c, of the padded x (a
 * cross-correlation)
 * Shape:  x (N,H,W,C) -> (N,OH,OW,K), OH = (H + 2·padding − KH)/stride + 1, OW likewise
 * Dtype:  real, that of the layer
 * Grad:   w̄ = windowsᵀ·ȳ,  x̄ = ȳ·wᵀ, folded,  b̄ = Σ ȳ
 * Errors: AG_ERR_SHAPE if channels differ or the window is larger than the padded image; AG_ERR_DTYPE; AG_ERR_RANGE
 *         unless stride >= 1 and 0 <= padding < 2³¹
 * Source: torch.nn.functional.conv2d, which has images (N,C,H,W) and a weight (K,C,KH,KW) */
AG_API ag_tensor *ag_conv2d_apply(const ag_conv2d *layer, ag_tensor *x);

/* ag_max_pool2d -- the largest element of each window of size × size, one every stride; whole windows only
 * Shape:  x (N,H,W,C) -> (N,(H−size)/stride+1,(W−size)/stride+1,C)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ at the largest element, split evenly if several are (PyTorch takes the first)
 * Errors: AG_ERR_SHAPE unless x is (N,H,W,C) and has a window; AG_ERR_RANGE unless size, stride >= 1; AG_ERR_DTYPE
 * Source: torch.nn.functional.max_pool2d */
AG_API ag_tensor *ag_max_pool2d(ag_tensor *x, int64_t size, int64_t stride);

/* ag_avg_pool2d -- the mean of each window of size × size, one every stride; whole windows only
 * Shape:  x (N,H,W,C) -> (N,(H−size)/stride+1,(W−size)/stride+1,C)
 * Dtype:  real
 * Grad:   x̄ = ȳ/size², added where windows overlap
 * Errors: AG_ERR_SHAPE unless x is (N,H,W,C) and has a window; AG_ERR_RANGE unless size, stride >= 1; AG_ERR_DTYPE
 * Source: torch.nn.functional.avg_pool2d */
AG_API ag_tensor *ag_avg_pool2d(ag_tensor *x, int64_t size, int64_t stride);

/* ag_lstm_cell -- a step of an LSTM; the four gates lie side by side, in the order i, f, g, o */
typedef struct ag_lstm_cell {
    ag_tensor *input_weight;  /* (C,4·H) */
    ag_tensor *hidden_weight; /* (H,4·H) */
    ag_tensor *bias;          /* (4·H), the sum of the two of torch.nn.LSTMCell; NULL: none */
} ag_lstm_cell;

/* ag_lstm_state -- the state between two steps; NULL, as in ag_lstm_state s = {0}, stands for zeros */
typedef struct ag_lstm_state {
    ag_tensor *hidden; /* (N,H) */
    ag_tensor *cell;   /* (N,H) */
} ag_lstm_state;

/* ag_lstm_cell_init -- a cell with weights uniform within ±1/√H, and bias 0; C = in, H = hidden
 * Errors: AG_ERR_RANGE unless in and hidden are at least 1; as ag_uniform
 * Source: torch.nn.LSTMCell */
AG_API ag_status ag_lstm_cell_init(ag_lstm_cell *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t hidden);

/* ag_lstm_cell_init_with -- the same with options: a name, no bias, other initialisers
 * `weight` is that of both weights, unless `hidden` says otherwise for the second; each is one matrix of four gates.
 * Errors: as ag_lstm_cell_init and ag_linear_init_with */
AG_API ag_status ag_lstm_cell_init_with(ag_lstm_cell *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t hidden,
                                        const ag_layer_options *options);

/* ag_lstm_cell_apply -- one step: (i f g o) = x·Wx + h·Wh + b, i f o through sigmoid and g through tanh; cell ← f·cell
 * + i·g;  hidden ← o·tanh(cell). `state` becomes the new one, whose hidden is returned; nil after an error
 * Shape:  x (N,C), state (N,H) -> (N,H)
 * Dtype:  real, that of the layer
 * Grad:   from the graph, through all recorded steps
 * Errors: AG_ERR_NULL, AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000); torch.nn.LSTMCell */
AG_API ag_tensor *ag_lstm_cell_apply(const ag_lstm_cell *layer, ag_tensor *x, ag_lstm_state *state);

/* ag_attention -- multi-head self-attention */
typedef struct ag_attention {
    ag_linear query, key, value, output; /* each (C,C) and (C) */
    int64_t heads;                       /* H; each has D = C/H of the features */
    int64_t groups; /* heads of keys and values, each for H/groups of queries; 0: H. nn/positions.h has more */
} ag_attention;

/* ag_attention_init -- a layer for C = features, divided among the heads; its four parts are made by ag_linear_init
 * Errors: AG_ERR_RANGE unless features >= 1 is a multiple of heads >= 1; as ag_uniform */
AG_API ag_status ag_attention_init(ag_attention *layer, ag_tape *tape, ag_dtype dtype, int64_t features, int64_t heads);

/* ag_attention_init_with -- the same with options: a name, no biases, other initialisers for each of its four parts
 * The parameters are labelled "query.weight", "query.bias", "key.weight" and so on, behind the name.
 * Errors: as ag_attention_init and ag_linear_init_with */
AG_API ag_status ag_attention_init_with(ag_attention *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                                        int64_t heads, const ag_layer_options *options);

/* ag_attention_apply -- y = softmax(q·kᵀ/√D)·v for each head over all positions of a sequence, the heads side by side
 * through `output`; with `causal` a position sees only itself and earlier ones
 * Shape:  x (N,T,C) -> (N,T,C)
 * Dtype:  real, that of the layer
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE unless x is (N,T,C) with T at least 1; AG_ERR_DTYPE; AG_ERR_RANGE if the heads do not divide C
 * Source: Vaswani et al., Attention Is All You Need (2017), section 3.2; torch.nn.MultiheadAttention */
AG_API ag_tensor *ag_attention_apply(const ag_attention *layer, ag_tensor *x, bool causal);

#endif
