/* attention -- multi-head self-attention
 *
 * B sequences of T positions with C features, which H heads divide into D each. */
#include "nn/making.h"

#include <math.h>

static ag_status init_attention(const char *name, ag_attention *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                                int64_t heads, const ag_layer_options *options) {
    ag_tensor *nil =
        ag__init_wrong(name, layer, tape, dtype, heads >= 1 && features >= 1 && features % heads == 0,
                       "%lld features cannot be divided among %lld heads", (long long)features, (long long)heads);
    if (nil) {
        if (layer) *layer = (ag_attention){{nil, nil}, {nil, nil}, {nil, nil}, {nil, nil}, 0};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    ag_linear *const parts[] = {&layer->query, &layer->key, &layer->value, &layer->output};
    static const char *const names[] = {"query", "key", "value", "output"};
    for (int i = 0; i < 4; i++) {
        ag_layer_options of_part = m.options;
        of_part.name = names[i];
        ag_linear_init_with(parts[i], tape, dtype, features, features, &of_part);
    }
    layer->heads = heads;
    m.last = layer->output.weight;
    return ag__made(&m);
}

ag_status ag_attention_init(ag_attention *layer, ag_tape *tape, ag_dtype dtype, int64_t features, int64_t heads) {
    return init_attention("attention_init", layer, tape, dtype, features, heads, NULL);
}

ag_status ag_attention_init_with(ag_attention *layer, ag_tape *tape, ag_dtype dtype, int64_t features, int64_t heads,
                                 const ag_layer_options *options) {
    return init_attention("attention_init_with", layer, tape, dtype, features, heads, options);
}

/* B T C -> B H T D */
static ag_tensor *by_heads(const ag_linear *layer, ag_tensor *x, int64_t heads) {
    ag_tensor *y = ag_linear_apply(layer, x);
    ag_shape shape = AG_SHAPE(ag_extent(y, 0), ag_extent(y, 1), heads, ag_extent(y, 2) / heads);
    return ag_permute(ag_reshape(y, shape), AG_AXES(0, 2, 1, 3));
}

/* T T, true where a position would see a later one. */
static ag_tensor *later(ag_tape *tape, int64_t places) {
    ag_tensor *number = ag_arange(tape, AG_I64, places);
    return ag_less(ag_unsqueeze(number, 1), number);
}

ag_tensor *ag_attention_apply(const ag_attention *layer, ag_tensor *x, bool causal) {
    static const char name[] = "attention_apply";
    if (!layer) return ag__refuse(name, 1, &x, AG_ERR_NULL, "the layer is NULL");
    ag_tensor *const in[] = {x, layer->query.weight};
    int64_t heads = layer->heads, c = ag_extent(x, 2);
    if (ag_rank(x) != 3 || c != ag_extent(in[1], 0) || c != ag_extent(in[1], 1) || ag_extent(x, 1) < 1)
        return ag__refuse(name, 2, in, AG_ERR_SHAPE, "the input must be (B,T,C), with the layer's C and T >= 1");
    ag_tensor *nil = ag__dtype_wrong(name, "input", x, in[1]);
    if (nil) return nil;
    if (heads < 1 || c % heads != 0)
        return ag__refuse(name, 2, in, AG_ERR_RANGE, "the layer's %lld heads cannot divide C", (long long)heads);
    ag_tensor *q = by_heads(&layer->query, x, heads), *k = by_heads(&layer->key, x, heads); /* B H T D */
    ag_tensor *v = by_heads(&layer->value, x, heads);
    ag_tensor *scores = ag_matmul(ag_scale(q, 1 / sqrt((double)(c / heads))), ag_transpose(k, 2, 3)); /* B H T T */
    ag_tape *tape = ag_tape_of(x);
    if (causal)
        scores = ag_where(later(tape, ag_extent(x, 1)), ag_scalar(tape, ag_dtype_of(x), -(double)INFINITY), scores);
    ag_tensor *seen = ag_matmul(ag_label(ag_softmax(scores, 3), "attention"), v); /* B H T D */
    return ag_linear_apply(&layer->output, ag_reshape(ag_permute(seen, AG_AXES(0, 2, 1, 3)), ag_shape_of(x)));
}
