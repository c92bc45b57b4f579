/* layers -- linear, embedding, dropout, batch and layer normalisation
 *
 * N samples, C features. Everything is composed of operations; nothing here has backward code. */
#include "nn/making.h"

#include <string.h>

static ag_tensor *biased(ag_tensor *x, ag_tensor *bias) { return bias ? ag_add(x, bias) : x; }

/* The mean along an axis, which keeps extent 1: `near`, held constant, plus the mean of x − near. The mean of equal
 * elements is then exact, and the error of others is relative to their spread, however far from 0 they are. The
 * gradient is that of a mean. */
static ag_tensor *mean_about(ag_tensor *x, int axis, ag_tensor *near) {
    near = ag_stop_gradient(near);
    return ag_add(ag_mean_over(ag_sub(x, near), AG_AXES(axis), true), near);
}

/* ---- Linear ---- */

static ag_status init_linear(const char *name, ag_linear *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                             const ag_layer_options *options) {
    ag_tensor *nil =
        ag__init_wrong(name, layer, tape, dtype, in >= 1 && out >= 1,
                       "%lld inputs and %lld outputs: each must be at least 1", (long long)in, (long long)out);
    if (nil) {
        if (layer) *layer = (ag_linear){nil, nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    layer->weight = ag__make_parameter(&m, "weight", AG_SHAPE(in, out), m.options.weight, AG__HE);
    layer->bias = ag__make_bias(&m, "bias", AG_SHAPE(out));
    return ag__made(&m);
}

ag_status ag_linear_init(ag_linear *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out) {
    return init_linear("linear_init", layer, tape, dtype, in, out, NULL);
}

ag_status ag_linear_init_with(ag_linear *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                              const ag_layer_options *options) {
    return init_linear("linear_init_with", layer, tape, dtype, in, out, options);
}

/* NULL if the layer fits x; else nil, after an error. The bias is checked here because the error of ag_add would
 * name a product that the caller has never seen. */
static ag_tensor *linear_wrong(const ag_linear *layer, ag_tensor *x) {
    static const char name[] = "linear_apply";
    if (!layer) return ag__refuse(name, 1, &x, AG_ERR_NULL, "the layer is NULL");
    ag_tensor *const all[] = {x, layer->weight, layer->bias};
    int64_t in = ag_extent(all[1], 0), out = ag_extent(all[1], 1);
    if (ag_rank(x) < 2 || ag_rank(all[1]) != 2 || ag_extent(x, -1) != in)
        return ag__refuse(name, 2, all, AG_ERR_SHAPE,
                          "the input must be (…,N,in) and the weight (in,out), for their matmul");
    if (layer->bias && (ag_rank(all[2]) != 1 || ag_extent(all[2], 0) != out))
        return ag__refuse(name, 3, all, AG_ERR_SHAPE, "the bias must be (%lld), or NULL", (long long)out);
    return ag__dtype_wrong(name, "input", x, layer->weight);
}

ag_tensor *ag_linear_apply(const ag_linear *layer, ag_tensor *x) {
    ag_tensor *nil = linear_wrong(layer, x);
    if (nil) return nil;
    return biased(ag_matmul(x, layer->weight), layer->bias);
}

/* ---- Embedding ---- */

static ag_status init_embedding(const char *name, ag_embedding *layer, ag_tape *tape, ag_dtype dtype, int64_t count,
                                int64_t features, const ag_layer_options *options) {
    ag_tensor *nil =
        ag__init_wrong(name, layer, tape, dtype, count >= 1 && features >= 1,
                       "%lld rows of %lld features: each must be at least 1", (long long)count, (long long)features);
    if (nil) {
        if (layer) *layer = (ag_embedding){nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    const ag_initial usual = {ag_init_normal, 1};
    layer->weight = ag__make_parameter(&m, "weight", AG_SHAPE(count, features), m.options.weight, usual);
    return ag__made(&m);
}

ag_status ag_embedding_init(ag_embedding *layer, ag_tape *tape, ag_dtype dtype, int64_t count, int64_t features) {
    return init_embedding("embedding_init", layer, tape, dtype, count, features, NULL);
}

ag_status ag_embedding_init_with(ag_embedding *layer, ag_tape *tape, ag_dtype dtype, int64_t count, int64_t features,
                                 const ag_layer_options *options) {
    return init_embedding("embedding_init_with", layer, tape, dtype, count, features, options);
}

ag_tensor *ag_embedding_apply(const ag_embedding *layer, ag_tensor *index) {
    static const char name[] = "embedding_apply";
    if (!layer) return ag__refuse(name, 1, &index, AG_ERR_NULL, "the layer is NULL");
    ag_tensor *const x[] = {index, layer->weight};
    ag_shape shape = ag_shape_of(index);
    if (ag_dtype_of(index) != AG_I64)
        return ag__refuse(name, 2, x, AG_ERR_DTYPE, "the index must be i64, not %s", ag_dtype_name(ag_dtype_of(index)));
    if (shape.rank == AG_MAX_RANK || ag_rank(x[1]) != 2)
        return ag__refuse(name, 2, x, AG_ERR_SHAPE, "the index must have at most %d axes, and the table be (V,C)",
                          AG_MAX_RANK - 1);
    shape.extent[shape.rank++] = ag_extent(x[1], 1);
    ag_tensor *sound = ag__indices_in_range(AG__EMBEDDING, index, ag_extent(x[1], 0));
    ag_tensor *rows = ag_gather(x[1], ag_reshape(sound, AG_SHAPE(ag_size(index), 1)), 0); /* N C */
    return ag_reshape(rows, shape);
}

/* ---- Dropout ---- */

ag_tensor *ag_dropout(ag_tensor *x, double p, bool training) {
    if (!(p >= 0 && p < 1)) return ag__refuse("dropout", 1, &x, AG_ERR_RANGE, "p is %g: 0 <= p < 1 is wanted", p);
    ag_tape *tape = ag_tape_of(x);
    ag_dtype dtype = ag_dtype_of(x);
    if (dtype != AG_F32 && dtype != AG_F64)
        return ag__refuse("dropout", 1, &x, AG_ERR_DTYPE, "the input must be f32 or f64, not %s", ag_dtype_name(dtype));
    if (ag_is_nil(x)) return ag__refuse("dropout", 1, &x, AG_ERR_NIL, "the input is nil");
    if (!training || p == 0) return ag_reshape(x, ag_shape_of(x)); /* the present value, if x is a variable */
    ag_tensor *dropped = ag_less(ag_uniform(tape, dtype, ag_shape_of(x), 0, 1), ag_scalar(tape, dtype, p));
    return ag_where(dropped, ag_scalar(tape, dtype, 0), ag_scale(x, 1 / (1 - p)));
}

/* ---- Batch normalisation ---- */

static ag_status init_batchnorm(const char *name, ag_batchnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels,
                                const ag_layer_options *options) {
    ag_tensor *nil = ag__init_wrong(name, layer, tape, dtype, channels >= 1, "%lld channels: at least 1 is wanted",
                                    (long long)channels);
    if (nil) {
        if (layer) *layer = (ag_batchnorm){.gamma = nil, .beta = nil, .running_mean = nil, .running_var = nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    const ag_shape shape = AG_SHAPE(1, channels);
    layer->gamma = ag__make_parameter(&m, "gamma", shape, m.options.weight, AG__ONES);
    layer->beta = ag__make_bias(&m, "beta", shape);
    layer->running_mean = ag__make_variable(&m, "running_mean", shape, 0);
    layer->running_var = ag__make_variable(&m, "running_var", shape, 1);
    layer->momentum = 0.9;
    layer->epsilon = 1e-5;
    return ag__made(&m);
}

ag_status ag_batchnorm_init(ag_batchnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels) {
    return init_batchnorm("batchnorm_init", layer, tape, dtype, channels, NULL);
}

ag_status ag_batchnorm_init_with(ag_batchnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels,
                                 const ag_layer_options *options) {
    return init_batchnorm("batchnorm_init_with", layer, tape, dtype, channels, options);
}

static bool is_variable(const ag_tensor *x) { return ag_op_of(x) && strcmp(ag_op_of(x)->name, "variable") == 0; }

/* NULL if both running statistics can be used and, in training, assigned; else nil, after an error. */
static ag_tensor *statistics_wrong(const char *name, const ag_batchnorm *layer, ag_tensor *z, bool training) {
    ag_tensor *const running[] = {layer->running_mean, layer->running_var};
    for (int i = 0; i < 2; i++) {
        ag_tensor *const x[] = {z, running[i]};
        const char *what = i ? "running variance" : "running mean";
        if (ag_rank(x[1]) != 2 || ag_extent(x[1], 0) != 1 || ag_extent(x[1], 1) != ag_extent(z, 1))
            return ag__refuse(name, 2, x, AG_ERR_SHAPE, "the %s must be (1,C)", what);
        ag_tensor *nil = ag__dtype_wrong(name, "input", z, x[1]);
        if (nil) return nil;
        if (training && !is_variable(x[1]))
            return ag__refuse(name, 2, x, AG_ERR_TAPE, "the %s must be a variable: training assigns it", what);
    }
    return NULL;
}

/* NULL if the layer fits z; else nil, after an error. */
static ag_tensor *what_is_wrong(const ag_batchnorm *layer, ag_tensor *z, bool training) {
    static const char name[] = "batchnorm_apply";
    if (!layer) return ag__refuse(name, 1, &z, AG_ERR_NULL, "the layer is NULL");
    ag_tensor *const x[] = {z, layer->gamma};
    if (ag_rank(z) != 2 || ag_extent(z, 1) != ag_extent(layer->gamma, 1))
        return ag__refuse(name, 2, x, AG_ERR_SHAPE, "the input must be (N,C), with the layer's C");
    ag_tensor *const shift[] = {z, layer->beta};
    if (layer->beta &&
        (ag_rank(shift[1]) != 2 || ag_extent(shift[1], 0) != 1 || ag_extent(shift[1], 1) != ag_extent(z, 1)))
        return ag__refuse(name, 2, shift, AG_ERR_SHAPE, "beta must be (1,C), or NULL");
    if (training && ag_extent(z, 0) < 1)
        return ag__refuse(name, 2, x, AG_ERR_SHAPE, "a batch of no samples has no mean to train with");
    if (!(layer->momentum >= 0 && layer->momentum <= 1))
        return ag__refuse(name, 2, x, AG_ERR_RANGE, "the layer's momentum %g is not between 0 and 1", layer->momentum);
    if (!(layer->epsilon >= 0))
        return ag__refuse(name, 2, x, AG_ERR_RANGE, "the layer's epsilon %g is not 0 or more", layer->epsilon);
    return statistics_wrong(name, layer, z, training);
}

/* N C -> 1 C. The first sample is near enough to the mean, and costs no further sweep. */
static ag_tensor *batch_mean(ag_tensor *z) { return ag_label(mean_about(z, 0, ag_slice(z, 0, 0, 1, 1)), "mean"); }

/* N C -> 1 C */
static ag_tensor *batch_variance(ag_tensor *centred) {
    return ag_label(ag_mean_over(ag_square(centred), AG_AXES(0), true), "variance");
}

/* momentum·running + (1−momentum)·batch */
static ag_tensor *run_on(ag_tensor *running, ag_tensor *batch, double momentum) {
    ag_tensor *fresh = ag_scale(ag_stop_gradient(batch), 1 - momentum);
    return ag_add(ag_scale(running, momentum), fresh);
}

/* Assign both running statistics or, on a tape in error, neither. */
static void run_both_on(const ag_batchnorm *layer, const ag_batchnorm_nodes *y) {
    ag_tensor *mean = run_on(layer->running_mean, y->mean, layer->momentum);
    ag_tensor *variance = run_on(layer->running_var, y->variance, layer->momentum);
    ag_assign(layer->running_mean, mean);
    ag_assign_with(layer->running_var, variance, layer->running_mean);
}

/* Without nodes gamma goes to the scale: the backward pass then has the sums Σ g and Σ g·D alone, which do not wait for
 * the variance, so that they are taken with it in one sweep. */
ag_tensor *ag_batchnorm_apply_nodes(const ag_batchnorm *layer, ag_tensor *z, bool training, ag_batchnorm_nodes *nodes) {
    ag_batchnorm_nodes unseen;
    ag_batchnorm_nodes *y = nodes ? nodes : &unseen;
    ag_tensor *nil = what_is_wrong(layer, z, training);
    if (nil) {
        *y = (ag_batchnorm_nodes){nil, nil, nil, nil};
        return nil;
    }
    y->mean = training ? batch_mean(z) : layer->running_mean;                 /* 1 C */
    y->centred = ag_sub(z, y->mean);                                          /* N C */
    y->variance = training ? batch_variance(y->centred) : layer->running_var; /* 1 C */
    ag_tensor *scale = ag_rsqrt(ag_add_scalar(y->variance, layer->epsilon));  /* 1 C */
    ag_tensor *scaled;                                                        /* N C */
    if (nodes) {
        y->normalised = ag_label(ag_mul(y->centred, scale), "normalised"); /* N C */
        scaled = ag_mul(y->normalised, layer->gamma);
    } else {
        scaled = ag_mul(y->centred, ag_mul(scale, layer->gamma));
    }
    ag_tensor *out = biased(scaled, layer->beta);
    if (training) run_both_on(layer, y);
    if (ag_is_nil(out)) *y = (ag_batchnorm_nodes){out, out, out, out};
    return out;
}

ag_tensor *ag_batchnorm_apply(const ag_batchnorm *layer, ag_tensor *z, bool training) {
    return ag_batchnorm_apply_nodes(layer, z, training, NULL);
}

/* ---- Layer normalisation ---- */

static ag_status init_layernorm(const char *name, ag_layernorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                                const ag_layer_options *options) {
    ag_tensor *nil = ag__init_wrong(name, layer, tape, dtype, features >= 1, "%lld features: at least 1 is wanted",
                                    (long long)features);
    if (nil) {
        if (layer) *layer = (ag_layernorm){.gamma = nil, .beta = nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    layer->gamma = ag__make_parameter(&m, "gamma", AG_SHAPE(features), m.options.weight, AG__ONES);
    layer->beta = ag__make_bias(&m, "beta", AG_SHAPE(features));
    layer->epsilon = 1e-5;
    return ag__made(&m);
}

ag_status ag_layernorm_init(ag_layernorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features) {
    return init_layernorm("layernorm_init", layer, tape, dtype, features, NULL);
}

ag_status ag_layernorm_init_with(ag_layernorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                                 const ag_layer_options *options) {
    return init_layernorm("layernorm_init_with", layer, tape, dtype, features, options);
}

/* … C -> … 1. A row is in the cache, so its mean costs less than a separate read of one element would. */
static ag_tensor *feature_mean(ag_tensor *z) {
    return ag_label(mean_about(z, -1, ag_mean_over(z, AG_AXES(-1), true)), "mean");
}

ag_tensor *ag_layernorm_apply_nodes(const ag_layernorm *layer, ag_tensor *z, ag_layernorm_nodes *nodes) {
    static const char name[] = "layernorm_apply";
    ag_layernorm_nodes unseen;
    ag_layernorm_nodes *y = nodes ? nodes : &unseen;
    ag_tensor *nil = NULL, *const x[] = {z, layer ? layer->gamma : NULL},
              *const shift[] = {z, layer ? layer->beta : NULL};
    if (!layer) nil = ag__refuse(name, 1, &z, AG_ERR_NULL, "the layer is NULL");
    else if (ag_rank(z) < 1 || ag_rank(x[1]) != 1 || ag_extent(z, -1) != ag_extent(x[1], 0))
        nil = ag__refuse(name, 2, x, AG_ERR_SHAPE, "the input must be (…,C), with the layer's C");
    else if (layer->beta && (ag_rank(shift[1]) != 1 || ag_extent(shift[1], 0) != ag_extent(z, -1)))
        nil = ag__refuse(name, 2, shift, AG_ERR_SHAPE, "beta must be (C), or NULL");
    else if (!(layer->epsilon >= 0))
        nil = ag__refuse(name, 2, x, AG_ERR_RANGE, "the layer's epsilon %g is not 0 or more", layer->epsilon);
    else nil = ag__dtype_wrong(name, "input", z, x[1]);
    if (nil) {
        *y = (ag_layernorm_nodes){nil, nil, nil, nil};
        return nil;
    }
    y->mean = feature_mean(z);                                                                  /* … 1 */
    y->centred = ag_sub(z, y->mean);                                                            /* … C */
    y->variance = ag_label(ag_mean_over(ag_square(y->centred), AG_AXES(-1), true), "variance"); /* … 1 */
    ag_tensor *scale = ag_rsqrt(ag_add_scalar(y->variance, layer->epsilon));                    /* … 1 */
    y->normalised = ag_label(ag_mul(y->centred, scale), "normalised");                          /* … C */
    ag_tensor *out = biased(ag_mul(y->normalised, layer->gamma), layer->beta);                  /* … C */
    if (ag_is_nil(out)) *y = (ag_layernorm_nodes){out, out, out, out};
    return out;
}

ag_tensor *ag_layernorm_apply(const ag_layernorm *layer, ag_tensor *z) {
    return ag_layernorm_apply_nodes(layer, z, NULL);
}
