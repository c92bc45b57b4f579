/* random_layers -- layers, losses, indices, masks and rearrangements for random programs: of small tensors whose elements
 * are those at hand, with options from the digits of a number
 *
 * tests/test_torch.py has the same in the same order, case by case. See random_program.h. */
#include "nn/nn.h"
#include "ops/fftw.h"

#include "tests/random_program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The next digit, 0 to n − 1, of the number that is left. */
static int next(int *digits, int n) {
    int digit = *digits % n;
    *digits /= n;
    return digit;
}

static int64_t elements(const ag_shape *shape) {
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++) n *= shape->extent[i];
    return n;
}

/* Integers (first + k·step) mod m. */
static ag_tensor *cycle(ag_tape *t, ag_shape shape, int64_t first, int64_t step, int64_t m) {
    int64_t number[512];
    for (int64_t k = 0; k < elements(&shape); k++) number[k] = (first + k * step) % m;
    return ag_from(t, AG_I64, shape, number);
}

/* Between −½ and ½, no two equal. */
static ag_tensor *spread(ag_tape *t, ag_dtype dtype, ag_shape shape, int64_t first) {
    double number[512];
    for (int64_t k = 0; k < elements(&shape); k++) {
        double turns = (double)(first + k + 1) * 0.6180339887498949;
        number[k] = turns - floor(turns) - 0.5;
    }
    return ag_cast(ag_from(t, AG_F64, shape, number), dtype);
}

/* A tensor of that shape from the elements of x, again and again; a view with turned axes for an odd `first`. */
static ag_tensor *taken(ag_tensor *x, ag_shape shape, int first) {
    ag_shape turned = shape;
    ag_axes order = {.count = shape.rank};
    for (int i = 0; i < shape.rank; i++) {
        turned.extent[i] = shape.extent[first % 2 ? shape.rank - 1 - i : i];
        order.axis[i] = first % 2 ? shape.rank - 1 - i : i;
    }
    ag_tensor *flat = ag_reshape(x, AG_SHAPE(-1));
    ag_tensor *index = cycle(ag_tape_of(x), AG_SHAPE(elements(&shape)), first, 1, ag_size(x));
    return ag_permute(ag_reshape(ag_index_select(flat, index, 0), turned), order);
}

/* The same between −1.2 and 1.2, no two elements equal. */
static ag_tensor *some(ag_tensor *x, ag_shape shape, int first) {
    ag_tensor *offset = ag_scale(spread(ag_tape_of(x), ag_dtype_of(x), shape, first), 0.4);
    return ag_add(ag_softsign(taken(x, shape, first)), offset);
}

static ag_tensor *positive(ag_tensor *x) { return ag_add_scalar(ag_sigmoid(x), 0.25); }

static ag_tensor *joined(int n, ag_tensor *const x[]) {
    ag_tensor *flat[8];
    for (int i = 0; i < n; i++) flat[i] = ag_reshape(x[i], AG_SHAPE(-1));
    return ag_concat(n, flat, 0);
}

/* ---- Losses ---- */

enum { CLASSES = 3, IGNORED = 1 };

static ag_tensor *signs_of(ag_tensor *x, ag_shape shape, int first) {
    ag_tensor *number = cycle(ag_tape_of(x), shape, first, 5, 7);
    return ag_add_scalar(ag_scale(ag_cast(ag_less_scalar(number, 3), ag_dtype_of(x)), -2), 1);
}

static ag_shape without(ag_shape shape, int axis) {
    for (int i = axis; i + 1 < shape.rank; i++) shape.extent[i] = shape.extent[i + 1];
    shape.rank--;
    return shape;
}

static ag_tensor *loss_of_classes(ag_tensor *a, ag_tensor *b, int way, int digits, ag_loss_options *o) {
    ag_tape *t = ag_tape_of(a);
    const ag_shape shape = next(&digits, 2) ? AG_SHAPE(CLASSES, CLASSES) : AG_SHAPE(CLASSES, CLASSES, CLASSES);
    const int axis = next(&digits, shape.rank), first = next(&digits, 6);
    const ag_shape places = without(shape, axis);
    ag_tensor *x = some(a, shape, first), *labels = cycle(t, places, first, 5, CLASSES);
    if (next(&digits, 2)) o->class_weights = positive(some(b, AG_SHAPE(CLASSES), first + 1));
    if (!next(&digits, 3)) o->weights = positive(some(b, next(&digits, 2) ? places : AG_SHAPE(1), first + 2));
    if (way < 2 && next(&digits, 2)) o->smoothing = 0.125;
    if (way != 1 && way != 2) o->ignores = next(&digits, 2), o->ignored = o->ignores && next(&digits, 2) ? IGNORED : 0;
    if (o->ignores && !o->ignored) { /* as it marks padding */
        o->ignored = -100;
        labels = ag_where(ag_equal_scalar(labels, IGNORED), ag_full(t, AG_I64, AG_SCALAR, -100), labels);
    }
    switch (way) {
    case 0: return ag_cross_entropy_with(x, labels, axis, o);
    case 1: return ag_cross_entropy_with(x, ag_softmax(some(b, shape, first + 3), axis), axis - shape.rank, o);
    case 2: return ag_hinge_with(x, labels, axis, 0.75, 1 + next(&digits, 2), o);
    default: return ag_nll_with(ag_log_softmax(x, axis), labels, axis - shape.rank, o);
    }
}

ag_tensor *user_loss(ag_tensor *a, ag_tensor *b, int digits) {
    if (ag_size(a) == 0 || ag_size(b) == 0) return ag_neg(a);
    ag_loss_options o = {.reduction = (ag_loss_reduction)next(&digits, 4)};
    const int way = next(&digits, 22);
    if (way < 6) return loss_of_classes(a, b, way % 4, digits, &o);
    const int n = next(&digits, 10) ? 2 : 0;
    const ag_shape shape = next(&digits, 2) ? AG_SHAPE(2 * n, 3) : AG_SHAPE(n, 3, 2);
    const int first = next(&digits, 6);
    ag_tensor *x = some(a, shape, first), *t = some(b, shape, first + 1);
    ag_shape places = way < 18 || way > 19 ? shape : without(shape, shape.rank - 1);
    if (!next(&digits, 3)) o.weights = positive(some(b, next(&digits, 2) ? places : AG_SHAPE(1), first + 2));
    const int yes = next(&digits, 2), also = next(&digits, 2);
    switch (way) {
    case 6:
        if (yes) o.positive_weight = positive(some(a, AG_SHAPE(shape.extent[shape.rank - 1]), first + 3));
        return ag_binary_cross_entropy_with(x, ag_sigmoid(t), &o);
    case 7: return ag_binary_nll_with(ag_sigmoid(x), ag_sigmoid(t), &o);
    case 8: return ag_focal_with(x, ag_sigmoid(t), yes ? 0.25 : -1, also ? 2 : 1.5, &o);
    case 9: return ag_binary_hinge_with(x, signs_of(x, shape, first), 0.5, &o);
    case 10: return ag_soft_margin_with(x, signs_of(x, shape, first), &o);
    case 11: return ag_mse_with(x, t, &o);
    case 12: return ag_l1_with(x, t, &o);
    case 13: return ag_huber_with(x, t, 0.5, &o);
    case 14: return ag_smooth_l1_with(x, t, yes ? 0.25 : 0, &o);
    case 15:
        o.log_target = yes;
        return ag_kl_divergence_with(ag_log_softmax(x, -1), yes ? ag_log_softmax(t, -1) : ag_softmax(t, -1), &o);
    case 16:
        o.full = yes, o.rates = also;
        return ag_poisson_nll_with(also ? positive(x) : x, ag_scale(positive(t), 3), &o);
    case 17: {
        const ag_shape few = also ? shape : AG_SHAPE(shape.extent[shape.rank - 1]);
        o.full = yes;
        return ag_gaussian_nll_with(x, t, positive(some(b, few, first + 3)), &o);
    }
    case 18: return ag_cosine_embedding_with(x, t, signs_of(x, places, first), 0.25, &o);
    case 19: o.swap = yes; return ag_triplet_margin_with(x, t, some(a, shape, first + 3), 1, also ? 2 : 3, &o);
    case 20: {
        const double powers[] = {1, 2, 3, INFINITY};
        return yes ? ag_cosine_similarity(x, t, also ? -2 : -1) : ag_pairwise_distance(x, t, powers[first % 4]);
    }
    default: break;
    }
    return yes ? ag_hinge_embedding_with(positive(x), signs_of(x, shape, first), 0.75, &o)
               : ag_margin_ranking_with(x, t, signs_of(x, shape, first), 0.25, &o);
}

/* ---- Images ---- */

/* So many samples, at most. */
static ag_shape image_shape(int axes, int samples) {
    if (axes == 1) return AG_SHAPE(samples, 7, 4);
    return axes == 2 ? AG_SHAPE(samples, 5, 4, 4) : AG_SHAPE(samples > 0, 3, 4, 3, 4);
}

static ag_tensor *convolved(ag_tensor *a, ag_tensor *b, int axes, int samples, int first, int digits) {
    const ag_shape shape = image_shape(axes, samples);
    const int transposed = next(&digits, 2), groups = 1 << next(&digits, 3), more = 1 + next(&digits, 2);
    ag_conv_options o = {.groups = next(&digits, 4) || groups > 1 ? groups : 0};
    ag_shape window = {.rank = axes + 2};
    for (int i = 0; i < axes; i++) {
        window.extent[i] = 1 + next(&digits, 2);
        o.stride[i] = next(&digits, 3);
        o.dilation[i] = 1 + next(&digits, 2);
        o.padding[i][0] = next(&digits, 2), o.padding[i][1] = next(&digits, 2);
    }
    o.same = next(&digits, 4) == 0;
    if (o.stride[0] == 0) memset(o.stride, 0, sizeof o.stride);
    const int64_t channels = transposed ? 4 * more : 4;
    window.extent[axes] = channels / groups, window.extent[axes + 1] = transposed ? 4 : 4 * more;
    ag_tensor *x = some(a, shape, first), *w = some(b, window, first + 1);
    ag_tensor *bias = next(&digits, 2) ? some(b, AG_SHAPE(4 * more), first + 2) : NULL;
    for (int i = 0; i < axes && transposed && !o.same; i++)
        o.output_padding[i] = o.stride[0] > 1 && o.stride[i] != 1 && next(&digits, 2);
    return (transposed ? ag_convolve_transposed : ag_convolve)(x, w, bias, &o);
}

static ag_tensor *pooled(ag_tensor *x, int axes, int way, int digits) {
    ag_pool_options o = {.stride = {next(&digits, 3)}};
    ag_shape size = {.rank = next(&digits, 2) ? axes : 1};
    size.extent[0] = 2 + next(&digits, 2);
    for (int i = 1; i < size.rank; i++) size.extent[i] = 2;
    o.dilation[0] = size.extent[0] == 2 ? 1 + next(&digits, 2) : 0;
    for (int i = 0; i < axes; i++) o.padding[i][0] = next(&digits, 2), o.padding[i][1] = next(&digits, 2);
    o.ceil = next(&digits, 2);
    o.without_padding = way == 2 && next(&digits, 2);
    o.same = next(&digits, 4) == 0;
    if (o.same) o.ceil = false;
    ag_tensor *index = NULL, *y[2];
    switch (way) {
    case 0: return ag_max_pool(x, size, &o);
    case 1: {
        ag_shape extents = {.rank = axes};
        for (int i = 0; i < axes; i++) extents.extent[i] = ag_extent(x, 1 + i);
        y[0] = ag_max_pool_indices(x, size, &o, &index);
        y[1] = ag_max_unpool(ag_square(y[0]), index, extents);
        return joined(2, y);
    }
    case 2: return ag_avg_pool(x, size, &o);
    default: {
        const double powers[] = {1, 2, 3, INFINITY};
        return ag_lp_pool(x, powers[next(&digits, 4)], size, &o);
    }
    }
}

ag_tensor *user_image(ag_tensor *a, ag_tensor *b, int digits) {
    if (ag_size(a) == 0 || ag_size(b) == 0) return ag_neg(a);
    const int way = next(&digits, 12), axes = 1 + next(&digits, 3), first = next(&digits, 6);
    const int samples = next(&digits, 10) ? 2 : 0;
    if (way < 4) return convolved(a, b, axes, samples, first, digits);
    ag_tensor *x = some(a, image_shape(axes, samples), first);
    if (way < 8) return pooled(x, axes, way - 4, digits);
    ag_shape extents = {.rank = next(&digits, 2) ? axes : 1};
    for (int i = 0; i < extents.rank; i++) extents.extent[i] = 1 + next(&digits, 5);
    const int yes = next(&digits, 2), which = next(&digits, 4);
    switch (way) {
    case 8: return yes ? ag_adaptive_max_pool(x, extents) : ag_adaptive_avg_pool(x, extents);
    case 9: return ag_interpolate(x, extents, (ag_interpolation)which, (which == 1 || which == 2) && yes);
    case 10: {
        const ag_shape places = axes == 1   ? AG_SHAPE(samples, 3, 1)
                                : axes == 2 ? AG_SHAPE(samples, 3, 2, 2)
                                            : AG_SHAPE(samples > 0, 2, 2, 2, 3);
        return ag_grid_sample(x, some(b, places, first + 1), (ag_interpolation)(which % 2 + (axes == 2 && which == 2)),
                              (ag_beyond)next(&digits, 3), yes);
    }
    default: break;
    }
    if (which == 0) return yes ? ag_global_max_pool(x) : ag_global_avg_pool(x);
    if (which == 1)
        return yes ? ag_max_pool2d(some(a, image_shape(2, samples), first), 2, 1)
                   : ag_avg_pool2d(some(a, image_shape(2, samples), first), 3, 2);
    x = some(a, axes == 1 ? AG_SHAPE(samples, 4, 8) : AG_SHAPE(samples, 2, 4, 8), first);
    return yes ? ag_pixel_shuffle(x, 2) : ag_pixel_unshuffle(x, 2);
}

/* ---- Normalisation ---- */

/* The running statistics are constant, and so is what they become. */
static ag_tensor *batch_normalised(ag_tensor *z, ag_tensor *gamma, ag_tensor *beta, int digits) {
    const bool training = next(&digits, 3), nodes = next(&digits, 3) == 0;
    ag_tensor *mean = ag_variable_from(user_constant(ag_scale(beta, 0.5)));
    ag_tensor *var = ag_variable_from(user_constant(ag_square(gamma)));
    const ag_batchnorm layer = {gamma, next(&digits, 3) ? beta : NULL, mean, var, 0.75, 1e-2};
    ag_batchnorm_nodes inner;
    ag_tensor *y =
        nodes ? ag_batchnorm_apply_nodes(&layer, z, training, &inner) : ag_batchnorm_apply(&layer, z, training);
    ag_tensor *all[] = {y, user_constant(mean), user_constant(var), nodes ? inner.centred : y};
    return joined(4, all);
}

ag_tensor *user_normalised(ag_tensor *a, ag_tensor *b, int digits) {
    if (ag_size(a) == 0 || ag_size(b) == 0) return ag_neg(a);
    const int way = next(&digits, 7), rank = 2 + next(&digits, 3), first = next(&digits, 6);
    const int n = way > 1 && way != 5 && next(&digits, 8) == 0 ? 0 : 2;
    const ag_shape shape = rank == 2 ? AG_SHAPE(2 * n, 4) : rank == 3 ? AG_SHAPE(n, 3, 4) : AG_SHAPE(n, 3, 2, 4);
    ag_tensor *z = some(a, shape, first), *gamma = positive(some(b, AG_SHAPE(4), first + 1));
    ag_tensor *beta = some(b, AG_SHAPE(4), first + 2);
    const int with = next(&digits, 3), many = next(&digits, rank);
    if (with == 0) z = ag_add_scalar(z, 100); /* near each other, far from 0 */
    switch (way) {
    case 0:
    case 1: return batch_normalised(z, gamma, beta, digits);
    case 2: {
        const ag_layernorm layer = {gamma, with ? beta : NULL, 1e-2, many};
        ag_layernorm_nodes inner;
        if (next(&digits, 2)) return ag_layernorm_apply(&layer, z);
        ag_tensor *y = ag_layernorm_apply_nodes(&layer, z, &inner), *all[] = {y, inner.mean, inner.variance};
        return joined(3, all);
    }
    case 3: {
        const ag_groupnorm layer = {many ? gamma : NULL, with ? beta : NULL, 1 << next(&digits, 3), 1e-2};
        return ag_groupnorm_apply(&layer, z);
    }
    case 4: {
        const ag_rmsnorm layer = {next(&digits, 3) ? gamma : NULL, 1e-2};
        return ag_rmsnorm_apply(&layer, z);
    }
    case 5:
        return ag_weight_norm(z, positive(some(b, AG_SHAPE(shape.extent[many]), first + 1)),
                              many - next(&digits, 2) * rank);
    default: return ag_normalise(z, many ? AG_AXES(many, 0) : AG_AXES(-1), 1e-2);
    }
}

/* ---- Sequences ---- */

enum { SAMPLES = 2, STEPS = 3, FEATURES = 2, HIDDEN = 2 };

static ag_tensor *recurrent(ag_tensor *a, ag_tensor *b, int first, int digits) {
    static const int gates[] = {1, 1, 3, 4};
    ag_rnn_part part[4];
    ag_rnn layer = {.cell = (ag_cell)next(&digits, 4), .in = FEATURES, .hidden = HIDDEN, .parts = part};
    layer.layers = next(&digits, 3) < 2 ? 1 : 2;
    layer.bidirectional = next(&digits, 2);
    const int directions = 1 + layer.bidirectional, parts = (int)layer.layers * directions;
    const int64_t g = gates[layer.cell];
    const bool bias = next(&digits, 3);
    for (int i = 0; i < parts; i++) {
        const int64_t in = i < directions ? FEATURES : HIDDEN * directions;
        part[i].input_weight = some(b, AG_SHAPE(in, g * HIDDEN), first + i);
        part[i].hidden_weight = some(b, AG_SHAPE(HIDDEN, g * HIDDEN), first + i + 2);
        part[i].bias = bias ? some(b, AG_SHAPE(g * HIDDEN), first + i + 1) : NULL;
        part[i].hidden_bias = bias && layer.cell == AG_CELL_GRU ? some(a, AG_SHAPE(HIDDEN), first + i) : NULL;
    }
    ag_tensor *x = some(a, AG_SHAPE(SAMPLES, STEPS, FEATURES), first), *lengths = NULL;
    if (next(&digits, 2)) lengths = cycle(ag_tape_of(a), AG_SHAPE(SAMPLES), first, 1 + first % 2, STEPS + 1);
    ag_rnn_state state = {0};
    if (next(&digits, 2)) state.hidden = some(a, AG_SHAPE(parts, SAMPLES, HIDDEN), first + 1);
    if (layer.cell == AG_CELL_LSTM && state.hidden) state.cell = some(a, AG_SHAPE(parts, SAMPLES, HIDDEN), first + 2);
    ag_tensor *y = ag_rnn_apply(&layer, x, lengths, &state, next(&digits, 2));
    ag_tensor *all[] = {y, state.hidden, state.cell};
    return joined(layer.cell == AG_CELL_LSTM ? 3 : 2, all);
}

static ag_attention_options attention_options(ag_tensor *a, int heads, int t, int s, int first, int *digits) {
    ag_attention_options o = {.causal = next(digits, 3) == 0};
    const int which = next(digits, 4);
    if (which == 1) o.mask = ag_less_scalar(cycle(ag_tape_of(a), AG_SHAPE(t, s), first, 3, 5), 3);
    if (which == 2) o.mask = some(a, AG_SHAPE(heads, t, s), first + 3);
    if (which == 3) /* the keys of padding */
        o.mask = ag_less_scalar(cycle(ag_tape_of(a), AG_SHAPE(SAMPLES, 1, 1, s), first, 2, 5), 3);
    return o;
}

static ag_tensor *attended(ag_tensor *a, ag_tensor *b, int first, int digits) {
    const int heads = 2, groups = 1 + next(&digits, 2), t = 3, s = 2 + next(&digits, 3);
    ag_attention_options o = attention_options(b, heads, t, s, first, &digits);
    if (next(&digits, 2)) o.scale = 0.75;
    ag_tensor *q = some(a, AG_SHAPE(SAMPLES, heads, t, 2), first),
              *k = some(b, AG_SHAPE(SAMPLES, groups, s, 2), first + 1);
    return ag_scaled_dot_attention(q, k, some(a, AG_SHAPE(SAMPLES, groups, s, 3), first + 2), &o);
}

static ag_tensor *attention_layer(ag_tensor *a, ag_tensor *b, int first, int digits) {
    const int groups = 1 + next(&digits, 2), memory = next(&digits, 2), t = 3, s = memory ? 2 : 3, c = memory ? 3 : 4;
    ag_tensor *bias = next(&digits, 2) ? some(b, AG_SHAPE(4), first + 3) : NULL;
    const ag_attention layer = {.query = {some(b, AG_SHAPE(4, 4), first), bias},
                                .key = {some(b, AG_SHAPE(c, 2 * groups), first + 1), NULL},
                                .value = {some(b, AG_SHAPE(c, 2 * groups), first + 2), NULL},
                                .output = {some(b, AG_SHAPE(4, 4), first + 3), bias},
                                .heads = 2,
                                .groups = groups};
    ag_attention_options o = attention_options(b, 2, t, s, first, &digits);
    if (!memory && next(&digits, 2)) o.rotary = 100;
    ag_tensor *x = some(a, AG_SHAPE(SAMPLES, t, 4), first);
    return ag_attention_apply_with(&layer, x, memory ? some(a, AG_SHAPE(SAMPLES, s, c), first + 1) : NULL, &o);
}

static ag_tensor *spelled(ag_tensor *a, int first, int digits) {
    enum { T = 4, N = 2, C = 3, S = 2 };
    ag_tape *t = ag_tape_of(a);
    ag_loss_options o = {.reduction = (ag_loss_reduction)next(&digits, 4)};
    o.zero_infinity = next(&digits, 2);
    const int blank = next(&digits, C);
    ag_tensor *labels = cycle(t, AG_SHAPE(N, S), first, 1 + next(&digits, 2), C - 1);
    labels = ag_add(labels, ag_cast(ag_greater_equal_scalar(labels, blank), AG_I64));
    ag_tensor *steps = next(&digits, 2) ? cycle(t, AG_SHAPE(N), 3, 1, T + 1) : NULL;
    ag_tensor *counts = next(&digits, 2) ? cycle(t, AG_SHAPE(N), first, 1, S + 1) : NULL;
    return ag_ctc_with(ag_log_softmax(some(a, AG_SHAPE(T, N, C), first), -1), labels, steps, counts, blank, &o);
}

ag_tensor *user_sequence(ag_tensor *a, ag_tensor *b, int digits) {
    if (ag_size(a) == 0 || ag_size(b) == 0) return ag_neg(a);
    const int way = next(&digits, 10), first = next(&digits, 6), yes = next(&digits, 2);
    ag_tape *t = ag_tape_of(a);
    if (way < 3) return recurrent(a, b, first, digits);
    if (way < 5) return attended(a, b, first, digits);
    if (way == 5) return attention_layer(a, b, first, digits);
    if (way == 6) return spelled(a, first, digits);
    if (way == 7) {
        ag_tensor *positions = next(&digits, 2) ? cycle(t, AG_SHAPE(3), first, 2, 7) : NULL;
        return ag_rotary(some(a, AG_SHAPE(2, 3, 4), first), positions, 100, yes);
    }
    if (way == 8) {
        const ag_embedding table = {some(a, AG_SHAPE(5, 3), first)};
        const ag_linear layer = {some(b, AG_SHAPE(3, 2), first + 1), yes ? some(b, AG_SHAPE(2), first) : NULL};
        return ag_linear_apply(&layer, ag_embedding_apply(&table, cycle(t, AG_SHAPE(2, 3), first, 3, 5)));
    }
    const ag_lstm_cell cell = {some(b, AG_SHAPE(2, 8), first), some(b, AG_SHAPE(2, 8), first + 1),
                               yes ? some(b, AG_SHAPE(8), first + 2) : NULL};
    ag_lstm_state state = {0};
    for (int i = 0; i < 2; i++) ag_lstm_cell_apply(&cell, some(a, AG_SHAPE(3, 2), first + i), &state);
    return joined(2, (ag_tensor *[]){state.hidden, state.cell});
}

/* ---- Indices and masks: of any dtype ---- */

/* Items for a tensor (3,4,2), by their number. */
enum { ITEMS = 12 };

static int items_of(ag_tape *t, int which, ag_subscript item[4]) {
    ag_tensor *list = ag_sub(cycle(t, AG_SHAPE(3), which, 2, 5), ag_full(t, AG_I64, AG_SCALAR, 2)); /* −2 … 2 */
    ag_tensor *column = ag_reshape(cycle(t, AG_SHAPE(2), which, 1, 3), AG_SHAPE(2, 1));
    ag_tensor *mask = ag_less_scalar(cycle(t, AG_SHAPE(3), which, 2, 5), 2);
    ag_tensor *both = ag_less_scalar(cycle(t, AG_SHAPE(3, 4), which, 5, 7), 3),
              *pair = cycle(t, AG_SHAPE(2), which, 1, 2);
    const ag_subscript all = AG_ALL, rows[ITEMS][4] = {
                                         {AG_BY(list), all, all},
                                         {all, AG_BY(list), AG_RANGE(AG_END, AG_END, -1)},
                                         {AG_BY(list), AG_BY(list), all},
                                         {AG_BY(column), AG_BY(list), all},
                                         {AG_BY(pair), all, AG_BY(pair)},
                                         {AG_AT(-1), AG_BY(list), AG_NEW, all},
                                         {AG_AT(1), all, AG_BY(pair)},
                                         {AG_BY(mask), AG_RANGE(1, AG_END, 2), all},
                                         {AG_BY(both), all},
                                         {AG_REST, AG_NEW, AG_AT(0)},
                                         {AG_RANGE(AG_END, 0, -1), AG_REST, AG_BY(pair)},
                                         {AG_RANGE(-2, AG_END, 1), AG_RANGE(3, 1, -2), AG_NEW, AG_AT(-2)},
                                     };
    static const int count[ITEMS] = {3, 3, 3, 3, 3, 4, 3, 3, 2, 3, 3, 4};
    memcpy(item, rows[which], sizeof rows[which]);
    return count[which];
}

static ag_put way_to_put(const ag_tensor *x, int *digits) {
    const int way = next(digits, 4);
    return ag_dtype_of(x) == AG_BOOL ? AG_PUT_SET : (ag_put)way;
}

static ag_tensor *elements_for(ag_tensor *x, ag_shape shape, int first) {
    return ag_dtype_of(x) >= AG_F32 ? some(x, shape, first) : taken(x, shape, first);
}

static ag_tensor *mask_of(ag_tape *t, ag_shape shape, int first) {
    return ag_less_scalar(cycle(t, shape, first, 3, 5), 3);
}

ag_tensor *user_indexed(ag_tensor *a, ag_tensor *b, int digits) {
    if (ag_size(a) == 0 || ag_size(b) == 0 || ag_dtype_of(a) != ag_dtype_of(b)) return user_constant(a);
    ag_tape *t = ag_tape_of(a);
    const int way = next(&digits, 12), first = next(&digits, 6), which = next(&digits, ITEMS);
    ag_tensor *x = elements_for(a, AG_SHAPE(3, 4, 2), first);
    ag_subscript item[4];
    const int n = items_of(t, which, item);
    if (way < 3) return ag_index(x, n, item);
    if (way < 6) {
        ag_shape places = ag_shape_of(ag_index(x, n, item));
        if (next(&digits, 3) == 0 && places.rank) places.extent[0] = 1;
        return ag_index_put(x, n, item, elements_for(b, places, first + 1), way_to_put(x, &digits));
    }
    const int axis = next(&digits, 3);
    ag_shape few = AG_SHAPE(3, 4, 2);
    few.extent[axis] = 3;
    if (next(&digits, 2)) few.extent[(axis + 1) % 3] = 1;
    ag_tensor *index = ag_sub(cycle(t, few, first, 3, 4), ag_full(t, AG_I64, AG_SCALAR, 2)); /* −2 … 1 */
    switch (way) {
    case 6:
    case 7: return ag_put_along_axis(x, index, elements_for(b, few, first + 1), axis, way_to_put(x, &digits));
    case 8: return ag_masked_fill(x, mask_of(t, next(&digits, 2) ? AG_SHAPE(4, 1) : AG_SHAPE(3, 4, 2), first), 1);
    case 9: return ag_masked_select(x, mask_of(t, next(&digits, 2) ? AG_SHAPE(4, 1) : AG_SHAPE(2, 3, 4, 2), first));
    case 10:
        return ag_masked_scatter(x, mask_of(t, next(&digits, 2) ? AG_SHAPE(4, 1) : AG_SHAPE(3, 4, 2), first),
                                 elements_for(b, AG_SHAPE(25), first + 1));
    default: break;
    }
    ag_tensor *counts = cycle(t, AG_SHAPE(few.extent[axis] == 3 && axis ? axis == 1 ? 4 : 2 : 3), first, 2, 3);
    return next(&digits, 2) ? ag_repeat_interleave_by(x, counts, axis) : ag_take_along_axis(x, index, axis - 3);
}

/* ---- Reductions of some elements ---- */

/* Some along the last of the axes, the first one among them: so that there is one everywhere. */
static ag_tensor *chosen_of(ag_tensor *x, ag_axes axes, int way) {
    const int rank = ag_rank(x);
    int last = axes.count < 0 ? rank - 1 : -1;
    for (int i = 0; i < axes.count; i++) {
        const int axis = axes.axis[i] < 0 ? axes.axis[i] + rank : axes.axis[i];
        last = axis > last ? axis : last;
    }
    if (last < 0 || ag_extent(x, last) > 512) return ag_less_scalar(x, 100);
    ag_shape shape = {.rank = rank - last, .extent = {ag_extent(x, last), 1, 1, 1, 1, 1, 1, 1}};
    return mask_of(ag_tape_of(x), shape, way % 3);
}

ag_tensor *user_reduced(ag_tensor *x, ag_axes axes, double number, bool keepdims) {
    ag_tape *t = ag_tape_of(x);
    const int way = (int)fabs(number) % 20, rank = ag_rank(x);
    const bool all = axes.count < 0 && !keepdims;
    ag_tensor *mask = chosen_of(x, axes, way);
    const double parts[] = {0, 0.3, 0.5, 1}, correction = way % 2 * 0.5;
    switch (way) {
    case 0: return all ? ag_median(x) : ag_quantile_over(x, axes, 0.3, keepdims);
    case 1:
        if (rank == AG_MAX_RANK) return ag_quantile_over(x, axes, 0.3, keepdims);
        return ag_quantiles_over(x, axes, 4, parts, keepdims);
    case 2: return ag_mean_where(x, mask, axes, keepdims);
    case 3: return ag_prod_where(x, mask, axes, keepdims);
    case 4:
    case 5: return ag_var_where(x, mask, axes, correction, keepdims);
    case 6: return ag_std_where(x, mask, axes, 0, keepdims);
    case 7: return ag_max_where(x, mask, axes, -1.5, keepdims);
    case 8: return ag_min_where(x, mask, axes, 0.5, keepdims);
    case 9: return ag_average_over(x, positive(ag_softsign(x)), axes, keepdims);
    case 10: return all ? ag_norm(x, 3) : ag_norm_over(x, axes, 3, keepdims);
    case 11: return ag_norm_over(x, axes, 1, keepdims);
    case 12: return ag_norm_over(x, axes, INFINITY, keepdims);
    case 13: return all ? ag_ptp(x) : ag_ptp_over(x, axes, keepdims);
    case 14: return ag_nansum(ag_where(mask, x, ag_scalar(t, ag_dtype_of(x), NAN)), axes, keepdims);
    case 15: return ag_nanvar(ag_where(mask, x, ag_scalar(t, ag_dtype_of(x), NAN)), axes, correction, keepdims);
    case 16: return ag_softmax_over(x, axes);
    case 17: return ag_log_softmax_over(x, axes);
    case 18: return ag_logsumexp_over(x, axes, keepdims);
    default:
        return all ? ag_std(x, 0) : ag_nanmax(ag_where(mask, x, ag_scalar(t, ag_dtype_of(x), NAN)), axes, keepdims);
    }
}

/* ---- Arranged: of any dtype ---- */

ag_tensor *user_arranged(ag_tensor *a, ag_tensor *b, int digits) {
    if (ag_size(a) == 0 || ag_size(b) == 0 || ag_dtype_of(a) != ag_dtype_of(b)) return user_constant(a);
    const int way = next(&digits, 23), first = next(&digits, 6), which = next(&digits, 4), yes = next(&digits, 2);
    ag_tensor *x = elements_for(a, AG_SHAPE(2, 3, 4), first), *z = elements_for(b, AG_SHAPE(2, 3, 4), first + 1);
    ag_tensor *list = elements_for(b, AG_SHAPE(4), first + 2), *pair[] = {x, z}, *y[4];
    switch (way) {
    case 0: return ag_movedim(x, AG_AXES(0, -1), which % 2 ? AG_AXES(1, 0) : AG_AXES(-1, 0));
    case 1: return ag_swapaxes(x, which % 3, -1);
    case 2: return ag_flatten(x, yes, yes + which % 2);
    case 3: return ag_unflatten(x, 2, yes ? AG_SHAPE(2, -1) : AG_SHAPE(1, 2, 2));
    case 4: return ag_rot90(x, which - 1, yes ? AG_AXES(0, 2) : AG_AXES(1, 0));
    case 5: return ag_stack(1 + yes, pair, which - 1);
    case 6: return (which % 2 ? ag_hstack : ag_vstack)(1 + yes, pair);
    case 7: return yes ? ag_dstack(2, pair) : ag_dstack(2, (ag_tensor *[]){list, list});
    case 8: ag_split(x, 2, 2, y); return joined(2, (ag_tensor *[]){y[which % 2], y[0]});
    case 9:
        ag_split_sizes(x, -1, 3, (int64_t[]){1, 0, 3}, y);
        return ag_concat(3, (ag_tensor *[]){y[2], y[1], y[0]}, -1);
    case 10: ag_chunk(x, 1, 2 + yes, y); return y[which % 2];
    case 11: ag_broadcast_tensors(2, (ag_tensor *[]){x, list}, y); return y[1];
    case 12: ag_meshgrid(2, (ag_tensor *[]){list, elements_for(a, AG_SHAPE(3), first)}, yes, y); return joined(2, y);
    case 13: return ag_roll_over(x, AG_SHAPE(which - 2, 1), yes ? AG_AXES(-1, 0) : AG_AXES(1, 0));
    case 14: return ag_repeat(x, yes ? AG_SHAPE(1, 2, 1) : AG_SHAPE(2, 1, 1, 2));
    case 15:
    case 16:
        return ag_pad_with(x, AG_AXES(-1, 1), AG_SHAPE(which, 1), AG_SHAPE(1 + yes, yes),
                           (ag_padding)((which + way) % 4), (which + way) % 4 ? 0 : 1);
    case 17: return ag_diagonal(x, which - 2, yes ? 0 : 2, 1);
    case 18: return ag_diag_embed(yes ? x : list, which - 1, 0, -1);
    case 19: return ag_triu(x, which - 2);
    case 20: return ag_diff(x, which % 3, yes - 2);
    case 21: return ag_expand_as(list, x);
    default: return ag_eye(ag_tape_of(a), ag_dtype_of(a), 2, 3, which - 2);
    }
}

/* ---- Products ---- */

ag_tensor *user_multiplied(ag_tensor *a, ag_tensor *b, int digits) {
    if (ag_size(a) == 0 || ag_size(b) == 0) return ag_neg(a);
    static const char *const texts[] = {"ij,jk->ik",    "ij,kj", "...j,jk->...k", "ij,ij->",
                                        "ij,jk,kl->il", "ii->i", "ij->ji",        "ij,k->kij"};
    const int way = next(&digits, 17), first = next(&digits, 6), which = next(&digits, 8), yes = next(&digits, 2);
    ag_tensor *x = some(a, AG_SHAPE(3, 3), first), *z = some(b, AG_SHAPE(3, 3), first + 1),
              *list = some(b, AG_SHAPE(3), first + 2);
    ag_tensor *cube = some(a, AG_SHAPE(2, 3, 3), first + 3), *term[] = {x, which == 7 ? list : z, cube};
    switch (way) {
    case 0:
    case 1:
    case 2:
        if (which == 4) term[2] = x;
        return ag_einsum(texts[which], which == 4 ? 3 : which > 4 && which < 7 ? 1 : 2, term);
    case 3: return ag_tensordot_over(cube, x, yes ? AG_AXES(1, 2) : AG_AXES(-1), yes ? AG_AXES(1, 0) : AG_AXES(0));
    case 4: return ag_dot(yes ? cube : list, which % 2 ? x : list);
    case 5: return ag_vdot(x, z);
    case 6: return ag_inner(cube, yes ? list : x);
    case 7: return ag_outer(x, list);
    case 8: return ag_kron(list, yes ? x : list);
    case 9: return ag_cross(cube, yes ? list : z, -1);
    case 10: return yes ? ag_matrix_trace(cube) : ag_matrix_trace_over(cube, which % 3 - 1, 2, 0);
    case 11: return ag_matrix_power(x, which % 4);
    case 12: return ag_matmul(which % 2 ? list : cube, yes ? list : x);
    case 13: return ag_strong_matmul(ag_tril(x, 0), z);
    default: break;
    }
    if (!ag__has_fftw()) return x;
    const ag_fft_norm norm = (ag_fft_norm)(which % 3);
    ag_tensor *pairs = some(b, AG_SHAPE(3, 4, 2), first);
    switch (way) {
    case 14: return yes ? ag_fft_over(pairs, AG_AXES(-1, 0), norm) : ag_ifft_over(pairs, AG_AXES(1), norm);
    case 15: return ag_rfft_over(cube, yes ? AG_AXES(0, 2) : AG_AXES(-1, -3), norm);
    default: return ag_irfft_over(pairs, which, yes ? AG_AXES(0, 1) : AG_AXES(0), norm);
    }
}
