/* layers -- linear, embedding, dropout
 *
 * N samples, C features. Everything is composed of operations; nothing here has backward code. */
#include "nn/along.h"
#include "nn/making.h"

static ag_tensor *biased(ag_tensor *x, ag_tensor *bias) { return bias ? ag_add(x, bias) : x; }

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
    layer->weight = ag__make_parameter(&m, "weight", &AG_SHAPE(in, out), m.options.weight, AG__HE);
    layer->bias = ag__make_bias(&m, "bias", out);
    return ag__made(&m, AG__HANDLES(&layer->weight, &layer->bias));
}

ag_status ag_linear_init(ag_linear *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out) {
    return init_linear("linear_init", layer, tape, dtype, in, out, NULL);
}

ag_status ag_linear_init_with(ag_linear *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                              const ag_layer_options *options) {
    return init_linear("linear_init_with", layer, tape, dtype, in, out, options);
}

ag_tensor *ag_linear_apply(const ag_linear *layer, ag_tensor *x) {
    static const char name[] = "linear_apply";
    if (!layer) return ag__no_layer(name, x);
    ag_tensor *nil = ag__linear_wrong(name, layer, x, ag_extent(x, -1));
    return nil ? nil : biased(ag_matmul(x, layer->weight), layer->bias);
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
    layer->weight = ag__make_parameter(&m, "weight", &AG_SHAPE(count, features), m.options.weight, usual);
    return ag__made(&m, 0, NULL);
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
    if (!layer) return ag__no_layer(name, index);
    ag_tensor *const x[] = {index, layer->weight};
    ag_shape shape = ag_shape_of(index);
    if (ag_dtype_of(index) != AG_I64)
        return ag__refuse(name, 2, x, AG_ERR_DTYPE, "the index must be i64, not %s", ag_dtype_name(ag_dtype_of(index)));
    if (shape.rank == AG_MAX_RANK || ag_rank(x[1]) != 2)
        return ag__refuse(name, 2, x, AG_ERR_SHAPE, "the index must have at most %d axes, and the table be (V,C)",
                          AG_MAX_RANK - 1);
    shape.extent[shape.rank++] = ag_extent(x[1], 1);
    ag_tensor *sound = ag__indices_in_range(AG__EMBEDDING, index, ag_extent(x[1], 0));
    ag_tensor *rows = ag_gather(x[1], ag__reshape_to(sound, &AG_SHAPE(ag_size(index), 1)), 0); /* N C */
    return ag__reshape_to(rows, &shape);
}

/* ---- Dropout ---- */

ag_tensor *ag_dropout(ag_tensor *x, double p, bool training) {
    if (!(p >= 0 && p < 1)) return ag__refuse("dropout", 1, &x, AG_ERR_RANGE, "p is %g: 0 <= p < 1 is wanted", p);
    ag_tape *tape = ag_tape_of(x);
    ag_dtype dtype = ag_dtype_of(x);
    if (dtype != AG_F32 && dtype != AG_F64)
        return ag__refuse("dropout", 1, &x, AG_ERR_DTYPE, "the input must be f32 or f64, not %s", ag_dtype_name(dtype));
    if (ag_is_nil(x)) return ag__refuse("dropout", 1, &x, AG_ERR_NIL, "the input is nil");
    if (!training || p == 0) return ag__reshape_like(x, x); /* the present value, if x is a variable */
    ag_tensor *dropped = ag_less(ag_uniform(tape, dtype, ag_shape_of(x), 0, 1), ag_scalar(tape, dtype, p));
    return ag_where(dropped, ag_scalar(tape, dtype, 0), ag_scale(x, 1 / (1 - p)));
}
