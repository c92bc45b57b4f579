/* sequence -- layers one behind the other, as a value: built at run time, applied by one call
 *
 *     ag_sequence model;
 *     ag_sequence_init(&model, tape, AG_F32, NULL);
 *     ag_sequence_linear(&model, 64, 128, NULL);
 *     ag_sequence_batchnorm(&model, 128, NULL);
 *     ag_sequence_function(&model, "relu", ag_relu);
 *     ag_sequence_dropout(&model, 0.5);
 *     ag_sequence_linear(&model, 128, 10, &(ag_layer_options){.name = "scores"});
 *     …
 *     ag_tensor *loss = ag_cross_entropy(ag_sequence_apply(&model, x), labels);
 *     …
 *     model.training = false;
 *
 * A layer's name is its number, 0, 1, …, or that of its options, behind the sequence's name and those of the open
 * scopes: above, "0.weight" and "scores.weight" are labels. Errors of a layer begin with its whole name. A sequence
 * belongs to the tape, with all of its layers, so make it before the mark that a loop rewinds to. */
#ifndef AG_NN_SEQUENCE_H
#define AG_NN_SEQUENCE_H

#include "nn/images.h"
#include "nn/layers.h"
#include "nn/normalise.h"
#include "nn/positions.h"

/* ag_layer_kind -- a kind of layer, yours or the library's: static and constant */
typedef struct ag_layer_kind {
    const char *name;                                              /* "linear" */
    ag_tensor *(*apply)(void *state, ag_tensor *x, bool training); /* y, recorded; nil after an error */
    ag_tensor *(*variable)(void *state, int i); /* its variable number i; NULL beyond the last; may be NULL: none */
} ag_layer_kind;

/* ag_layer -- a layer of a sequence; what `state` points to may be changed: a weight, a stride */
typedef struct ag_layer {
    const ag_layer_kind *kind;
    void *state;      /* an ag_linear for the kind "linear", an ag_sequence for "sequence" and "residual", … */
    const char *name; /* "encoder.0", whole */
    ag_tensor *part;  /* a tensor of this name: see ag_tape_set_part */
    ag_shape shape;   /* of its latest output */
    bool applied;     /* there was one */
    struct ag_sequence *nested; /* the state of a "sequence" or "residual"; else NULL */
    struct ag_layer *next;
} ag_layer;

/* ag_sequence -- the model, or a part of one */
typedef struct ag_sequence {
    bool training; /* what dropout and batch normalisation do, in nested sequences too: true at first */
    ag_tape *tape;
    ag_dtype dtype;   /* of its parameters */
    const char *name; /* NULL: none */
    int64_t count;    /* of its layers */
    ag_layer *first, *last;
    int depth;    /* of nesting */
    ag_mark mark; /* behind all that it consists of */
} ag_sequence;

/* ag_sequence_init -- a sequence without layers, which changes nothing; its layers' names begin with `name`, or NULL
 * Errors: AG_ERR_DTYPE unless dtype is real; AG_ERR_RANGE for a name as ag_scope */
AG_API ag_status ag_sequence_init(ag_sequence *model, ag_tape *tape, ag_dtype dtype, const char *name);

/* ag_sequence_apply -- the output of the last layer, each having taken that of the one before
 * Shape:  as the layers
 * Dtype:  as the layers
 * Grad:   from the graph
 * Errors: those of the layers, behind the layer's name; running statistics of layers before that one are assigned all
 *         the same; AG_ERR_TAPE for a sequence that a rewind has released
 * Source: torch.nn.Sequential */
AG_API ag_tensor *ag_sequence_apply(const ag_sequence *model, ag_tensor *x);

/* ag_sequence_at -- layer i; NULL if there is none
 * Errors: none */
AG_API ag_layer *ag_sequence_at(const ag_sequence *model, int64_t i);

/* ag_sequence_table -- the layers as text, a line each: name, kind, output, parameters
 * The output is that of the latest application. If the tape has a profile, milliseconds of a pass, forward and back,
 * and the bytes that the forward pass has stored, are added: see ag_profile_part. The text is the tape's, as in section
 * 10 of autograd.h: print it wherever you like.
 * Errors: AG_ERR_TAPE as ag_sequence_apply */
AG_API const char *ag_sequence_table(const ag_sequence *model);

/* Each of the following adds a layer at the end. Layers with parameters take options; NULL stands for the usual ones.
 * After an error the sequence is as it was. */

/* ag_sequence_linear -- as ag_linear
 * Errors: as ag_linear_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_linear(ag_sequence *model, int64_t in, int64_t out, const ag_layer_options *options);

/* ag_sequence_conv2d -- as ag_conv2d, for images (N,H,W,C)
 * Errors: as ag_conv2d_init_with; AG_ERR_RANGE unless stride >= 1 and 0 <= padding < 2³¹, and for a name */
AG_API ag_status ag_sequence_conv2d(ag_sequence *model, int64_t in, int64_t out, int64_t size, int64_t stride,
                                    int64_t padding, const ag_layer_options *options);

/* ag_sequence_conv -- as ag_conv, for sequences, images and volumes, transposed or not
 * Errors: as ag_conv_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_conv(ag_sequence *model, int64_t in, int64_t out, ag_shape size,
                                  const ag_conv_options *options, bool transposed,
                                  const ag_layer_options *layer_options);

/* ag_sequence_groupnorm -- as ag_groupnorm
 * Errors: as ag_groupnorm_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_groupnorm(ag_sequence *model, int64_t channels, int64_t groups,
                                       const ag_layer_options *options);

/* ag_sequence_rmsnorm -- as ag_rmsnorm
 * Errors: as ag_rmsnorm_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_rmsnorm(ag_sequence *model, int64_t features, const ag_layer_options *options);

/* ag_sequence_rnn -- as ag_rnn, from a state of zeros: x (N,T,C) -> (N,T,directions·H)
 * Errors: as ag_rnn_init; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_rnn(ag_sequence *model, const ag_rnn *sizes, const ag_layer_options *options);

/* ag_sequence_max_pool -- as ag_max_pool; the numbers are looked at when it is applied
 * Errors: none of its own */
AG_API ag_status ag_sequence_max_pool(ag_sequence *model, ag_shape size, const ag_pool_options *options);

/* ag_sequence_avg_pool -- as ag_avg_pool; the numbers are looked at when it is applied
 * Errors: none of its own */
AG_API ag_status ag_sequence_avg_pool(ag_sequence *model, ag_shape size, const ag_pool_options *options);

/* ag_sequence_interpolate -- as ag_interpolate; the numbers are looked at when it is applied
 * Errors: none of its own */
AG_API ag_status ag_sequence_interpolate(ag_sequence *model, ag_shape extents, ag_interpolation mode,
                                         bool align_corners);

/* ag_sequence_batchnorm -- as ag_batchnorm, over all axes but the last: of (N,C), and of images (N,H,W,C)
 * Errors: as ag_batchnorm_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_batchnorm(ag_sequence *model, int64_t channels, const ag_layer_options *options);

/* ag_sequence_layernorm -- as ag_layernorm
 * Errors: as ag_layernorm_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_layernorm(ag_sequence *model, int64_t features, const ag_layer_options *options);

/* ag_sequence_embedding -- as ag_embedding
 * Errors: as ag_embedding_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_embedding(ag_sequence *model, int64_t count, int64_t features,
                                       const ag_layer_options *options);

/* ag_sequence_lstm -- an ag_lstm_cell from step to step, from a state of zeros: x (N,T,C) -> all hidden states (N,T,H)
 * Errors: as ag_lstm_cell_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_lstm(ag_sequence *model, int64_t in, int64_t hidden, const ag_layer_options *options);

/* ag_sequence_attention -- as ag_attention
 * Errors: as ag_attention_init_with; AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_attention(ag_sequence *model, int64_t features, int64_t heads, bool causal,
                                       const ag_layer_options *options);

/* ag_sequence_dropout -- as ag_dropout
 * Errors: AG_ERR_RANGE unless 0 <= p < 1 */
AG_API ag_status ag_sequence_dropout(ag_sequence *model, double p);

/* ag_sequence_max_pool2d -- as ag_max_pool2d
 * Errors: AG_ERR_RANGE unless size and stride are at least 1 */
AG_API ag_status ag_sequence_max_pool2d(ag_sequence *model, int64_t size, int64_t stride);

/* ag_sequence_avg_pool2d -- as ag_avg_pool2d
 * Errors: AG_ERR_RANGE unless size and stride are at least 1 */
AG_API ag_status ag_sequence_avg_pool2d(ag_sequence *model, int64_t size, int64_t stride);

/* ag_sequence_flatten -- each sample in one row: x (N,…) -> (N,M)
 * Errors: none of its own */
AG_API ag_status ag_sequence_flatten(ag_sequence *model);

/* ag_sequence_function -- any function of one tensor: an activation such as ag_relu, or yours. `kind` is for the table
 * Errors: AG_ERR_NULL */
AG_API ag_status ag_sequence_function(ag_sequence *model, const char *kind, ag_tensor *(*function)(ag_tensor *x));

/* ag_sequence_nested -- a sequence as a layer, which is returned empty: add to it. NULL after an error
 * Its layers' names begin with its own: "net.encoder.0".
 * Errors: AG_ERR_RANGE for a name that another layer has, and for more than 64 sequences within each other */
AG_API ag_sequence *ag_sequence_nested(ag_sequence *model, const char *name);

/* ag_sequence_residual -- the same for x + f(x), f being the sequence that is returned
 * Errors: as ag_sequence_nested */
AG_API ag_sequence *ag_sequence_residual(ag_sequence *model, const char *name);

/* ag_sequence_add -- a layer of your own kind. `bytes` of `state` are copied; with 0 bytes the pointer itself is kept.
 * To have its variables named as the library's, initialise them in a scope of the layer's name, or with such options.
 * Errors: AG_ERR_NULL, AG_ERR_RANGE for a name that another layer has */
AG_API ag_status ag_sequence_add(ag_sequence *model, const ag_layer_kind *kind, const char *name, void *state,
                                 size_t bytes);

#endif
