/* attention -- scaled dot-product attention, and multi-head attention by it
 *
 * B sequences of T queries and S keys with C features, which H heads divide into D each; G heads of keys and values.
 * A weight that is hidden is 0 by a choice, and the product with the values has strong zeros: then nothing hidden
 * matters, to values or to gradients. */
#include "nn/along.h"
#include "nn/making.h"

#include <math.h>

static const ag_attention_options plain = {.mask = NULL};

/* ---- The layer ---- */

static ag_status init_attention(const char *name, ag_attention *layer, ag_tape *tape, ag_dtype dtype,
                                const ag_attention_sizes *sizes, const ag_layer_options *options) {
    const int64_t c = sizes->features, heads = sizes->heads, groups = sizes->groups ? sizes->groups : heads;
    const int64_t memory = sizes->memory ? sizes->memory : c;
    const bool good = heads >= 1 && c >= 1 && c % heads == 0 && groups >= 1 && heads % groups == 0 && memory >= 1;
    ag_tensor *nil = ag__init_wrong(name, layer, tape, dtype, good,
                                    "%lld features cannot be divided among %lld heads, of %lld groups", (long long)c,
                                    (long long)heads, (long long)groups);
    if (nil) {
        if (layer) *layer = (ag_attention){{nil, nil}, {nil, nil}, {nil, nil}, {nil, nil}, 0, 0};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    const int64_t seen = groups * (c / heads);
    const struct {
        const char *name;
        ag_linear *part;
        int64_t in, out;
    } parts[] = {{"query", &layer->query, c, c},
                 {"key", &layer->key, memory, seen},
                 {"value", &layer->value, memory, seen},
                 {"output", &layer->output, c, c}};
    for (int i = 0; i < 4; i++) {
        ag_layer_options of_part = m.options;
        of_part.name = parts[i].name;
        ag_linear_init_with(parts[i].part, tape, dtype, parts[i].in, parts[i].out, &of_part);
    }
    layer->heads = heads;
    layer->groups = groups;
    m.last = layer->output.weight;
    return ag__made(&m, AG__HANDLES(&layer->query.weight, &layer->query.bias, &layer->key.weight, &layer->key.bias,
                                    &layer->value.weight, &layer->value.bias));
}

ag_status ag_attention_init(ag_attention *layer, ag_tape *tape, ag_dtype dtype, int64_t features, int64_t heads) {
    const ag_attention_sizes sizes = {.features = features, .heads = heads};
    return init_attention("attention_init", layer, tape, dtype, &sizes, NULL);
}

ag_status ag_attention_init_with(ag_attention *layer, ag_tape *tape, ag_dtype dtype, int64_t features, int64_t heads,
                                 const ag_layer_options *options) {
    const ag_attention_sizes sizes = {.features = features, .heads = heads};
    return init_attention("attention_init_with", layer, tape, dtype, &sizes, options);
}

ag_status ag_attention_init_sizes(ag_attention *layer, ag_tape *tape, ag_dtype dtype, const ag_attention_sizes *sizes,
                                  const ag_layer_options *options) {
    const ag_attention_sizes none = {.features = 0};
    return init_attention("attention_init_sizes", layer, tape, dtype, sizes ? sizes : &none, options);
}

/* ---- Checks ---- */

/* NULL if q, k and v fit each other; else nil, after an error. */
static ag_tensor *shapes_wrong(const char *name, ag_tensor *const x[3]) {
    const int rank = ag_rank(x[0]);
    bool fit = rank >= 3 && rank < AG_MAX_RANK && ag_rank(x[1]) == rank && ag_rank(x[2]) == rank;
    for (int i = 0; fit && i < rank - 2; i++) fit = ag_extent(x[1], i) == ag_extent(x[2], i);
    for (int i = 0; fit && i < rank - 3; i++) fit = ag_extent(x[0], i) == ag_extent(x[1], i);
    const int64_t groups = ag_extent(x[1], -3);
    fit = fit && (groups == 0 ? ag_extent(x[0], -3) == 0 : ag_extent(x[0], -3) % groups == 0);
    fit = fit && ag_extent(x[0], -1) == ag_extent(x[1], -1) && ag_extent(x[1], -2) == ag_extent(x[2], -2);
    if (!fit || ag_extent(x[1], -2) < 1 || ag_extent(x[0], -1) < 1)
        return ag__refuse(
            name, 3, x, AG_ERR_SHAPE,
            "(…,H,T,D), (…,G,S,D) and (…,G,S,E) are wanted, where G divides H, and S and D are 1 or more");
    const ag_dtype dtype = ag_dtype_of(x[0]);
    if ((dtype == AG_F32 || dtype == AG_F64) && dtype == ag_dtype_of(x[1]) && dtype == ag_dtype_of(x[2])) return NULL;
    return ag__refuse(name, 3, x, AG_ERR_DTYPE, "all must be f32, or all f64");
}

/* NULL if the options fit scores of this shape; else nil, after an error. */
static ag_tensor *options_wrong(const char *name, ag_tensor *q, const ag_attention_options *o, ag_shape scores) {
    ag_tensor *mask = o->mask, *const both[] = {q, mask};
    if (!(o->dropout >= 0 && o->dropout < 1) || !isfinite(o->scale))
        return ag__refuse(name, 1, &q, AG_ERR_RANGE,
                          "dropout %g and scale %g: 0 <= dropout < 1 and a finite scale are wanted", o->dropout,
                          o->scale);
    if (!mask) return NULL;
    if (ag_is_nil(mask) || ag_tape_of(mask) != ag_tape_of(q))
        return ag__refuse(name, 2, both, AG_ERR_NIL, "the mask is no tensor of this tape");
    const int missing = scores.rank - ag_rank(mask);
    bool fits = missing >= 0;
    for (int i = 0; fits && i < ag_rank(mask); i++)
        fits = ag_extent(mask, i) == 1 || ag_extent(mask, i) == scores.extent[missing + i];
    if (!fits) return ag__refuse(name, 2, both, AG_ERR_SHAPE, "the mask cannot be broadcast to the scores, (…,H,T,S)");
    if (ag_dtype_of(mask) == AG_BOOL || ag_dtype_of(mask) == ag_dtype_of(q)) return NULL;
    return ag__refuse(name, 2, both, AG_ERR_DTYPE, "the mask must be bool, or of the dtype of the queries");
}

/* ---- Products ---- */

/* T S, true where a query would see a later key. */
static ag_tensor *later(ag_tape *tape, int64_t queries, int64_t keys) {
    ag_tensor *query = ag_arange(tape, AG_I64, queries), *key = ag_arange(tape, AG_I64, keys);
    return ag_less(ag_unsqueeze(query, 1), key);
}

/* The keys that a query may see, as bool, broadcast to the scores; NULL: all. */
static ag_tensor *visible(const ag_attention_options *o, ag_tape *tape, int64_t queries, int64_t keys) {
    ag_tensor *seen = o->mask;
    if (seen && ag_dtype_of(seen) != AG_BOOL)
        seen = ag_not_equal(seen, ag_scalar(tape, ag_dtype_of(seen), -(double)INFINITY));
    if (!o->causal) return seen;
    ag_tensor *hidden = later(tape, queries, keys);
    return ag_where(hidden, ag_scalar(tape, AG_BOOL, 0), seen ? seen : ag_scalar(tape, AG_BOOL, 1));
}

/* H … of q beside G … of k or v: … G H/G T D, or … G 1 S D for `times` 1. */
static ag_tensor *in_groups(ag_tensor *x, int64_t groups) {
    ag_shape shape = ag_shape_of(x);
    const int axis = shape.rank++ - 3;
    for (int i = shape.rank - 1; i > axis + 1; i--) shape.extent[i] = shape.extent[i - 1];
    shape.extent[axis + 1] = groups > 0 ? shape.extent[axis] / groups : 1;
    shape.extent[axis] = groups;
    return ag__reshape_to(x, &shape);
}

/* a·b for each head of a, where b may have fewer. */
static ag_tensor *heads_product(ag_tensor *a, ag_tensor *b, bool strong) {
    if (ag_is_nil(a) || ag_is_nil(b)) return ag_matmul(a, b); /* nil, without axes to be told apart */
    ag_shape shape = ag_shape_of(a);
    const int64_t groups = ag_extent(b, -3);
    const bool apart = groups != ag_extent(a, -3);
    if (apart) a = in_groups(a, groups), b = in_groups(b, groups);
    ag_tensor *y = strong ? ag_strong_matmul(a, b) : ag_matmul(a, b);
    shape.extent[shape.rank - 1] = ag_extent(b, -1);
    return apart ? ag__reshape_to(y, &shape) : y;
}

static ag_tensor *attend(const char *name, ag_tensor *q, ag_tensor *k, ag_tensor *v, const ag_attention_options *o) {
    ag_tensor *const all[] = {q, k, v};
    ag_tape *tape = ag_tape_of(q);
    const ag_dtype dtype = ag_dtype_of(q);
    ag_tensor *nil = shapes_wrong(name, all);
    if (nil) return nil;
    ag_shape shape = ag_shape_of(q); /* of the scores */
    shape.extent[shape.rank - 1] = ag_extent(k, -2);
    nil = options_wrong(name, q, o, shape);
    if (nil) return nil;
    const double scale = o->scale != 0 ? o->scale : 1 / sqrt((double)ag_extent(q, -1));
    ag_tensor *scores = heads_product(ag_scale(q, scale), ag_transpose(k, -2, -1), false);
    ag_tensor *seen = visible(o, tape, ag_extent(q, -2), ag_extent(k, -2));
    if (o->mask && ag_dtype_of(o->mask) != AG_BOOL) scores = ag_add(scores, o->mask);
    if (seen) scores = ag_where(seen, scores, ag_scalar(tape, dtype, -(double)INFINITY));
    ag_tensor *weights = ag_softmax(scores, -1);
    if (seen) weights = ag_where(seen, weights, ag_scalar(tape, dtype, 0));
    weights = ag_label(weights, "attention");
    if (o->training && o->dropout > 0) weights = ag_dropout(weights, o->dropout, true);
    return heads_product(weights, v, seen != NULL);
}

ag_tensor *ag_scaled_dot_attention(ag_tensor *q, ag_tensor *k, ag_tensor *v, const ag_attention_options *options) {
    static const char name[] = "scaled_dot_attention";
    ag_tensor *const all[] = {q, k, v};
    if (options && options->rotary != 0)
        return ag__refuse(name, 3, all, AG_ERR_RANGE, "rotary positions are a layer's option: use ag_rotary");
    return attend(name, q, k, v, options ? options : &plain);
}

/* B T C -> B H T D */
static ag_tensor *by_heads(const ag_linear *layer, ag_tensor *x, int64_t heads) {
    ag_tensor *y = ag_linear_apply(layer, x);
    ag_shape shape = AG_SHAPE(ag_extent(y, 0), ag_extent(y, 1), heads, ag_extent(y, 2) / heads);
    return ag__permute_by(ag__reshape_to(y, &shape), &AG_AXES(0, 2, 1, 3));
}

/* NULL if x goes into a layer's part, of (in,heads·each); else nil, after an error. */
static ag_tensor *part_wrong(const char *name, const ag_linear *part, ag_tensor *x, int64_t heads, int64_t each) {
    ag_tensor *const both[] = {x, part->weight};
    if (ag_rank(x) != 3 || ag_rank(both[1]) != 2 || ag_extent(x, 2) != ag_extent(both[1], 0) || ag_extent(x, 1) < 1)
        return ag__refuse(name, 2, both, AG_ERR_SHAPE, "the input must be (N,T,C), with the layer's C and T >= 1");
    const int64_t out = ag_extent(both[1], 1);
    if (heads < 1 || out % heads != 0 || out == 0 || (each > 0 && out / heads != each))
        return ag__refuse(name, 2, both, AG_ERR_RANGE, "the layer's %lld heads cannot divide C", (long long)heads);
    return NULL;
}

static ag_tensor *apply(const char *name, const ag_attention *layer, ag_tensor *x, ag_tensor *memory,
                        const ag_attention_options *o) {
    if (!layer) return ag__no_layer(name, x);
    ag_tensor *const both[] = {x, memory ? memory : x};
    const int64_t heads = layer->heads, groups = layer->groups ? layer->groups : heads;
    ag_tensor *nil = part_wrong(name, &layer->query, x, heads, 0);
    const int64_t d = nil ? 0 : ag_extent(layer->query.weight, 1) / heads;
    if (!nil) nil = part_wrong(name, &layer->key, both[1], groups, d);
    if (!nil) nil = part_wrong(name, &layer->value, both[1], groups, 0);
    if (nil) return nil;
    if (ag_extent(both[1], 0) != ag_extent(x, 0))
        return ag__refuse(name, 2, both, AG_ERR_SHAPE, "the input and the memory must have one number of sequences");
    if (heads % groups != 0 || o->rotary < 0 || (o->rotary > 0 && (!(o->rotary >= 1) || d % 2 != 0)))
        return ag__refuse(
            name, 2, both, AG_ERR_RANGE,
            "%lld heads, %lld groups, rotary base %g: the groups must divide the heads, and the base be 1 "
            "or more, for an even number of features a head, or 0",
            (long long)heads, (long long)groups, o->rotary);
    const uint64_t e = (uint64_t)(ag_extent(layer->value.weight, 1) / groups); /* unsigned, as it may be huge here */
    const ag_linear *const part[] = {&layer->query, &layer->key, &layer->value, &layer->output};
    for (int i = 0; i < 4; i++) {
        const int64_t in = i < 3 ? ag_extent(part[i]->weight, 0) : (int64_t)((uint64_t)heads * e);
        if ((nil = ag__linear_wrong(name, part[i], both[i == 1 || i == 2], in))) return nil;
    }
    ag_shape scores = AG_SHAPE(ag_extent(x, 0), heads, ag_extent(x, 1), ag_extent(both[1], 1));
    nil = options_wrong(name, x, o, scores);
    if (nil) return nil;
    ag_tensor *q = by_heads(&layer->query, x, heads), *k = by_heads(&layer->key, both[1], groups); /* B H T D */
    ag_tensor *v = by_heads(&layer->value, both[1], groups);
    if (o->rotary > 0) q = ag_rotary(q, NULL, o->rotary, false), k = ag_rotary(k, NULL, o->rotary, false);
    ag_tensor *seen = attend(name, q, k, v, o); /* B H T E */
    ag_shape side_by_side = AG_SHAPE(ag_extent(x, 0), ag_extent(x, 1), heads * ag_extent(seen, 3));
    return ag_linear_apply(&layer->output, ag__reshape_to(ag__permute_by(seen, &AG_AXES(0, 2, 1, 3)), &side_by_side));
}

ag_tensor *ag_attention_apply(const ag_attention *layer, ag_tensor *x, bool causal) {
    return apply("attention_apply", layer, x, NULL, &(ag_attention_options){.causal = causal});
}

ag_tensor *ag_attention_apply_with(const ag_attention *layer, ag_tensor *x, ag_tensor *memory,
                                   const ag_attention_options *options) {
    return apply("attention_apply_with", layer, x, memory, options ? options : &plain);
}
