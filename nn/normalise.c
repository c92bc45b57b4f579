/* normalise -- batch, layer, group, RMS and weight normalisation
 *
 * C channels or features are the last axis; gamma and beta are (C) everywhere. Everything is composed of operations;
 * nothing here has backward code. */
#include "nn/along.h"
#include "nn/making.h"

static ag_tensor *biased(ag_tensor *x, ag_tensor *bias) { return bias ? ag_add(x, bias) : x; }
static ag_tensor *scaled(ag_tensor *x, ag_tensor *gamma) { return gamma ? ag_mul(x, gamma) : x; }

/* The mean over axes, which keep extent 1: `near`, held constant, plus the mean of x − near. The mean of equal
 * elements is then exact, and the error of others is relative to their spread, however far from 0 they are. The
 * gradient is that of a mean. */
static ag_tensor *mean_about(ag_tensor *x, const ag_axes *axes, ag_tensor *near) {
    near = ag_stop_gradient(near);
    return ag_add(ag__mean_of_axes(ag_sub(x, near), axes, true), near);
}

/* NULL if x is (…,C) of `least` axes or more, with gamma and beta of (C), each of which may be NULL, and of x's dtype;
 * else nil, after an error. */
static ag_tensor *scale_wrong(const char *name, ag_tensor *x, int least, ag_tensor *gamma, ag_tensor *beta) {
    ag_tensor *const with[][2] = {{x, gamma}, {x, beta}};
    const int64_t c = ag_extent(x, -1);
    if (ag_rank(x) < least || (gamma && (ag_rank(gamma) != 1 || ag_extent(gamma, 0) != c)))
        return ag__refuse(name, gamma ? 2 : 1, with[0], AG_ERR_SHAPE,
                          least < 2 ? "the input must be (…,C), with the layer's C"
                                    : "the input must be (N,…,C), with the layer's C");
    if (beta && (ag_rank(beta) != 1 || ag_extent(beta, 0) != c))
        return ag__refuse(name, 2, with[1], AG_ERR_SHAPE, "beta must be (C), or NULL");
    ag_tensor *nil = ag__dtype_wrong(name, x, gamma);
    return nil ? nil : ag__dtype_wrong(name, x, beta);
}

static ag_tensor *epsilon_wrong(const char *name, ag_tensor *x, double epsilon) {
    if (epsilon >= 0) return NULL;
    return ag__refuse(name, 1, &x, AG_ERR_RANGE, "epsilon is %g: 0 or more is wanted", epsilon);
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
    const ag_shape shape = AG_SHAPE(channels);
    layer->gamma = ag__make_parameter(&m, "gamma", &shape, m.options.weight, AG__ONES);
    layer->beta = ag__make_bias(&m, "beta", channels);
    layer->running_mean = ag__make_variable(&m, "running_mean", &shape, 0);
    layer->running_var = ag__make_variable(&m, "running_var", &shape, 1);
    layer->momentum = 0.9;
    layer->epsilon = 1e-5;
    return ag__made(&m, AG__HANDLES(&layer->gamma, &layer->beta, &layer->running_mean));
}

ag_status ag_batchnorm_init(ag_batchnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels) {
    return init_batchnorm("batchnorm_init", layer, tape, dtype, channels, NULL);
}

ag_status ag_batchnorm_init_with(ag_batchnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels,
                                 const ag_layer_options *options) {
    return init_batchnorm("batchnorm_init_with", layer, tape, dtype, channels, options);
}

/* NULL if both running statistics can be used and, in training, assigned; else nil, after an error. */
static ag_tensor *statistics_wrong(const char *name, const ag_batchnorm *layer, ag_tensor *z, bool training) {
    ag_tensor *const running[] = {layer->running_mean, layer->running_var};
    for (int i = 0; i < 2; i++) {
        ag_tensor *const x[] = {z, running[i]};
        const char *what = i ? "running variance" : "running mean";
        if (ag_rank(x[1]) != 1 || ag_extent(x[1], 0) != ag_extent(z, -1))
            return ag__refuse(name, 2, x, AG_ERR_SHAPE, "the %s must be (C)", what);
        ag_tensor *nil = ag__dtype_wrong(name, z, x[1]);
        if (nil) return nil;
        if (training && !ag__is_variable(x[1]))
            return ag__refuse(name, 2, x, AG_ERR_TAPE, "the %s must be a variable: training assigns it", what);
    }
    return NULL;
}

/* NULL if the layer fits z; else nil, after an error. */
static ag_tensor *what_is_wrong(const ag_batchnorm *layer, ag_tensor *z, bool training) {
    static const char name[] = "batchnorm_apply";
    if (!layer) return ag__no_layer(name, z);
    ag_tensor *const x[] = {z, layer->gamma};
    if (!layer->gamma) return ag__refuse(name, 2, x, AG_ERR_NULL, "gamma is NULL");
    ag_tensor *nil = scale_wrong(name, z, 2, layer->gamma, layer->beta);
    if (nil) return nil;
    if (training && ag_size(z) < 1)
        return ag__refuse(name, 2, x, AG_ERR_SHAPE, "a batch of no samples has no mean to train with");
    if (!(layer->momentum >= 0 && layer->momentum <= 1))
        return ag__refuse(name, 2, x, AG_ERR_RANGE, "the layer's momentum %g is not between 0 and 1", layer->momentum);
    nil = epsilon_wrong(name, z, layer->epsilon);
    return nil ? nil : statistics_wrong(name, layer, z, training);
}

/* N C -> 1 C. The first sample is near enough to the mean, and costs no further sweep. */
static ag_tensor *batch_mean(ag_tensor *z) {
    return ag_label(mean_about(z, &AG_AXES(0), ag_slice(z, 0, 0, 1, 1)), "mean");
}

/* N C -> 1 C */
static ag_tensor *batch_variance(ag_tensor *centred) {
    return ag_label(ag__mean_along(ag_square(centred), 0, true), "variance");
}

/* momentum·running + (1−momentum)·batch, 1 C -> C */
static ag_tensor *run_on(ag_tensor *running, ag_tensor *batch, double momentum) {
    ag_tensor *fresh = ag_scale(ag__squeezed(ag_stop_gradient(batch), 0), 1 - momentum);
    return ag_add(ag_scale(running, momentum), fresh);
}

/* Assign both running statistics or, on a tape in error, neither; the variance, then nil. */
static ag_tensor *run_both_on(const ag_batchnorm *layer, const ag_batchnorm_nodes *y) {
    ag_tensor *mean = run_on(layer->running_mean, y->mean, layer->momentum);
    ag_tensor *variance = run_on(layer->running_var, y->variance, layer->momentum);
    ag_assign(layer->running_mean, mean);
    ag_assign_with(layer->running_var, variance, layer->running_mean);
    return variance;
}

/* A running statistic as it is now: it may be assigned later. */
static ag_tensor *now(ag_tensor *running) { return ag__reshape_like(running, running); }

/* z (M,C) normalised, with the intermediate tensors if they are wanted. Without them gamma goes to the scale: the
 * backward pass then has the sums Σ g and Σ g·D alone, which do not wait for the variance, so that they are taken with
 * it in one sweep. */
static ag_tensor *normalise_batch(const ag_batchnorm *layer, ag_tensor *z, bool training, bool seen,
                                  ag_batchnorm_nodes *y) {
    y->mean = training ? batch_mean(z) : now(layer->running_mean);                 /* 1 C, or C */
    y->centred = ag_sub(z, y->mean);                                               /* M C */
    y->variance = training ? batch_variance(y->centred) : now(layer->running_var); /* as the mean */
    ag_tensor *scale = ag_rsqrt(ag_add_scalar(y->variance, layer->epsilon)), *out;
    if (seen) {
        y->normalised = ag_label(ag_mul(y->centred, scale), "normalised"); /* M C */
        out = scaled(y->normalised, layer->gamma);
    } else {
        out = ag_mul(y->centred, scaled(scale, layer->gamma));
    }
    out = biased(out, layer->beta);
    ag_tensor *last = training ? run_both_on(layer, y) : out;
    return ag_is_nil(last) ? last : out;
}

/* Every place of an image is a sample. */
ag_tensor *ag_batchnorm_apply_nodes(const ag_batchnorm *layer, ag_tensor *z, bool training, ag_batchnorm_nodes *nodes) {
    ag_batchnorm_nodes unseen = {NULL, NULL, NULL, NULL}, *y = nodes ? nodes : &unseen;
    ag_tensor *nil = what_is_wrong(layer, z, training);
    if (nil) {
        *y = (ag_batchnorm_nodes){nil, nil, nil, nil};
        return nil;
    }
    const ag_shape shape = ag_shape_of(z);
    const int64_t c = ag_extent(z, -1);
    if (shape.rank > 2) z = ag__reshape_to(z, &AG_SHAPE(c > 0 ? ag_size(z) / c : 0, c));
    ag_tensor *out = normalise_batch(layer, z, training, nodes != NULL, y);
    if (shape.rank > 2) {
        out = ag__reshape_to(out, &shape);
        if (nodes) {
            y->centred = ag__reshape_to(y->centred, &shape);
            y->normalised = ag__reshape_to(y->normalised, &shape);
            if (ag_is_nil(y->normalised)) out = y->normalised;
        }
    }
    if (ag_is_nil(out)) *y = (ag_batchnorm_nodes){out, out, out, out};
    return out;
}

ag_tensor *ag_batchnorm_apply(const ag_batchnorm *layer, ag_tensor *z, bool training) {
    return ag_batchnorm_apply_nodes(layer, z, training, NULL);
}

/* ---- Over axes of each sample ---- */

/* The rounded mean itself is near. A row is in the cache, so it costs less than a read of one element would. */
static ag_tensor *mean_of(ag_tensor *x, const ag_axes *axes) {
    return mean_about(x, axes, ag__mean_of_axes(x, axes, true));
}

static ag_tensor *normalise_over(ag_tensor *x, const ag_axes *axes, double epsilon, ag_layernorm_nodes *y) {
    y->mean = ag_label(mean_of(x, axes), "mean");
    y->centred = ag_sub(x, y->mean);
    y->variance = ag_label(ag__mean_of_axes(ag_square(y->centred), axes, true), "variance");
    ag_tensor *scale = ag_rsqrt(ag_add_scalar(y->variance, epsilon));
    return y->normalised = ag_label(ag_mul(y->centred, scale), "normalised");
}

/* NULL if x is a tensor, and real; else nil, after an error. */
static ag_tensor *real_wrong(const char *name, ag_tensor *x) {
    if (ag__real(x) && !ag_is_nil(x)) return NULL;
    return ag__refuse(name, 1, &x, AG_ERR_DTYPE, "the dtype %s is not supported", ag_dtype_name(ag_dtype_of(x)));
}

/* NULL if x has these axes, and each is given once; else nil, after an error. */
static ag_tensor *axes_wrong(const char *name, ag_tensor *x, const ag_axes *axes) {
    const int rank = ag_rank(x);
    unsigned seen = 0;
    if (axes->count < -1 || axes->count > AG_MAX_RANK)
        return ag__refuse(name, 1, &x, AG_ERR_AXIS, "%d axes: 0 to %d are wanted", axes->count, AG_MAX_RANK);
    for (int i = 0; i < axes->count; i++) {
        const int axis = axes->axis[i];
        const unsigned bit = axis < -rank || axis >= rank ? 0 : 1u << (axis < 0 ? axis + rank : axis);
        if (!(bit & ~seen))
            return ag__refuse(name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d, or given twice", axis,
                              rank);
        seen |= bit;
    }
    return NULL;
}

ag_tensor *ag_normalise(ag_tensor *x, ag_axes axes, double epsilon) {
    static const char name[] = "normalise";
    ag_layernorm_nodes unseen;
    ag_tensor *nil = real_wrong(name, x);
    if (!nil) nil = axes_wrong(name, x, &axes);
    if (!nil) nil = epsilon_wrong(name, x, epsilon);
    return nil ? nil : normalise_over(x, &axes, epsilon, &unseen);
}

static ag_status init_layernorm(const char *name, ag_layernorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                                const ag_layer_options *options) {
    ag_tensor *nil = ag__init_wrong(name, layer, tape, dtype, features >= 1, "%lld features: at least 1 is wanted",
                                    (long long)features);
    if (nil) {
        if (layer) *layer = (ag_layernorm){.gamma = nil, .beta = nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    layer->gamma = ag__make_parameter(&m, "gamma", &AG_SHAPE(features), m.options.weight, AG__ONES);
    layer->beta = ag__make_bias(&m, "beta", features);
    layer->epsilon = 1e-5;
    layer->axes = 1;
    return ag__made(&m, AG__HANDLES(&layer->gamma));
}

ag_status ag_layernorm_init(ag_layernorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features) {
    return init_layernorm("layernorm_init", layer, tape, dtype, features, NULL);
}

ag_status ag_layernorm_init_with(ag_layernorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                                 const ag_layer_options *options) {
    return init_layernorm("layernorm_init_with", layer, tape, dtype, features, options);
}

/* NULL if the layer fits z; else nil, after an error. */
static ag_tensor *layernorm_wrong(const ag_layernorm *layer, ag_tensor *z) {
    static const char name[] = "layernorm_apply";
    if (!layer) return ag__no_layer(name, z);
    ag_tensor *const x[] = {z, layer->gamma};
    if (!layer->gamma) return ag__refuse(name, 2, x, AG_ERR_NULL, "gamma is NULL");
    ag_tensor *nil = scale_wrong(name, z, 1, layer->gamma, layer->beta);
    if (!nil) nil = epsilon_wrong(name, z, layer->epsilon);
    if (nil || (layer->axes >= 0 && layer->axes <= ag_rank(z))) return nil;
    return ag__refuse(name, 2, x, AG_ERR_RANGE, "the layer's %d axes are not 1 to %d", layer->axes, ag_rank(z));
}

ag_tensor *ag_layernorm_apply_nodes(const ag_layernorm *layer, ag_tensor *z, ag_layernorm_nodes *nodes) {
    ag_layernorm_nodes unseen, *y = nodes ? nodes : &unseen;
    ag_tensor *nil = layernorm_wrong(layer, z);
    if (nil) {
        *y = (ag_layernorm_nodes){nil, nil, nil, nil};
        return nil;
    }
    ag_axes last = {.count = layer->axes > 0 ? layer->axes : 1};
    for (int i = 0; i < last.count; i++) last.axis[i] = i - last.count;
    ag_tensor *out = biased(ag_mul(normalise_over(z, &last, layer->epsilon, y), layer->gamma), layer->beta);
    if (ag_is_nil(out)) *y = (ag_layernorm_nodes){out, out, out, out};
    return out;
}

ag_tensor *ag_layernorm_apply(const ag_layernorm *layer, ag_tensor *z) {
    return ag_layernorm_apply_nodes(layer, z, NULL);
}

/* ---- Groups of channels ---- */

static ag_status init_groupnorm(const char *name, ag_groupnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels,
                                int64_t groups, const ag_layer_options *options) {
    ag_tensor *nil =
        ag__init_wrong(name, layer, tape, dtype, channels >= 1 && groups >= 1 && channels % groups == 0,
                       "%lld channels cannot be divided into %lld groups", (long long)channels, (long long)groups);
    if (nil) {
        if (layer) *layer = (ag_groupnorm){.gamma = nil, .beta = nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    layer->gamma = ag__make_parameter(&m, "gamma", &AG_SHAPE(channels), m.options.weight, AG__ONES);
    layer->beta = ag__make_bias(&m, "beta", channels);
    layer->groups = groups;
    layer->epsilon = 1e-5;
    return ag__made(&m, AG__HANDLES(&layer->gamma));
}

ag_status ag_groupnorm_init(ag_groupnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels, int64_t groups) {
    return init_groupnorm("groupnorm_init", layer, tape, dtype, channels, groups, NULL);
}

ag_status ag_groupnorm_init_with(ag_groupnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels, int64_t groups,
                                 const ag_layer_options *options) {
    return init_groupnorm("groupnorm_init_with", layer, tape, dtype, channels, groups, options);
}

/* N P C with P and C replaced. */
static ag_tensor *with_last(ag_tensor *x, int64_t places, int64_t c) {
    ag_shape shape = ag_shape_of(x);
    shape.extent[1] = places;
    shape.extent[2] = c;
    return ag__reshape_to(x, &shape);
}

/* N P C -> N 1 C, with `apart` N K G C/(K·G): for each channel the mean over places and its group, in K parts. */
static ag_tensor *group_mean(ag_tensor *x, const ag_shape *apart) {
    ag_tensor *row = ag__mean_along(x, 1, true);
    const ag_shape shape = ag_shape_of(row);
    ag_tensor *of_group = ag__mean_of_axes(ag__reshape_to(row, apart), &AG_AXES(1, 3), true);
    return ag__reshape_to(ag_contiguous(ag__broadcast_over(of_group, apart)), &shape);
}

enum { FEW_CHANNELS = 8 }; /* below which columns are not folded side by side */

/* How many places count as one with as many times the channels, where these are few and there is more than one sample:
 * the columns of each sample are folded side by side if they are not few. */
static int64_t places_together(int64_t n, int64_t places, int64_t c) {
    enum { MOST = 128 };
    int64_t k = n > 1 && c < FEW_CHANNELS ? MOST / c : 1;
    while (k > 1 && places % k != 0) k--;
    return k * c < FEW_CHANNELS ? 1 : k;
}

/* N P C normalised, and scaled; K places count as one, with `apart` N K G C/G. Sums over places are sums of columns,
 * and each place reads the same row, which has an element for each channel. */
static ag_tensor *normalise_columns(const ag_groupnorm *layer, ag_tensor *x, const ag_shape *apart) {
    const int64_t k = apart->extent[1], c = ag_extent(x, 2);
    x = with_last(x, ag_extent(x, 1) / k, k * c);
    ag_tensor *near = ag_stop_gradient(group_mean(x, apart));
    ag_tensor *centred = ag_sub(x, ag_add(group_mean(ag_sub(x, near), apart), near));
    ag_tensor *scale = ag_rsqrt(ag_add_scalar(group_mean(ag_square(centred), apart), layer->epsilon));
    return ag_mul(centred, with_last(scaled(with_last(scale, k, c), layer->gamma), 1, k * c));
}

/* Whether that takes less time than rows: where there is much of a sample, or of all with rows that are not short, and
 * where groups are of hardly any channels. */
static bool by_columns(const ag_shape *apart) {
    enum { LEAST_ALONE = 1 << 10, LEAST_OF_MANY = 1 << 15, LEAST_TOGETHER = 1 << 17, WIDE = 64, FEW = 2 };
    enum { LEAST_OF_FEW = 1 << 11 };
    const int64_t n = apart->extent[0], places = apart->extent[1], groups = apart->extent[2], each = apart->extent[3];
    const int64_t c = groups * each, sample = places * c;
    const bool much = sample > (n == 1 ? LEAST_ALONE : LEAST_OF_MANY) || (c >= WIDE && n * sample >= LEAST_TOGETHER);
    if (places <= 1 || groups <= 1) return false;
    if (n > 1 && c < FEW_CHANNELS) return sample >= LEAST_OF_FEW && places_together(n, places, c) > 1;
    return each <= FEW || much;
}

/* N P G C/G normalised, and scaled. All elements of a group become neighbours, and a group a row: that takes a copy in
 * each direction, if there is more than one place and more than one group. */
static ag_tensor *normalise_rows(const ag_groupnorm *layer, ag_tensor *x, const ag_shape *shape) {
    const ag_axes order = AG_AXES(0, 2, 1, 3);
    ag_layernorm_nodes unseen;
    ag_tensor *rows = ag_contiguous(ag__permute_by(x, &order));
    ag_tensor *y = ag__permute_by(normalise_over(rows, &AG_AXES(2, 3), layer->epsilon, &unseen), &order);
    return scaled(ag__reshape_to(ag_contiguous(y), shape), layer->gamma);
}

ag_tensor *ag_groupnorm_apply(const ag_groupnorm *layer, ag_tensor *x) {
    static const char name[] = "groupnorm_apply";
    if (!layer) return ag__no_layer(name, x);
    const ag_shape shape = ag_shape_of(x);
    const int64_t c = ag_extent(x, -1), groups = layer->groups;
    ag_tensor *nil = real_wrong(name, x);
    if (!nil) nil = scale_wrong(name, x, 2, layer->gamma, layer->beta);
    if (!nil) nil = epsilon_wrong(name, x, layer->epsilon);
    if (nil) return nil;
    if (groups < 1 || c % groups != 0)
        return ag__refuse(name, 1, &x, AG_ERR_RANGE, "the layer's %lld groups cannot divide C", (long long)groups);
    int64_t places = 1;
    for (int i = 1; i < shape.rank - 1; i++) places *= shape.extent[i];
    ag_shape apart = AG_SHAPE(shape.extent[0], places, groups, c / groups);
    if (!by_columns(&apart)) return biased(normalise_rows(layer, ag__reshape_to(x, &apart), &shape), layer->beta);
    apart.extent[1] = places_together(shape.extent[0], places, c);
    ag_tensor *y = normalise_columns(layer, ag__reshape_to(x, &AG_SHAPE(shape.extent[0], places, c)), &apart);
    return biased(ag__reshape_to(y, &shape), layer->beta);
}

/* ---- By the size alone ---- */

static ag_status init_rmsnorm(const char *name, ag_rmsnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                              const ag_layer_options *options) {
    ag_tensor *nil = ag__init_wrong(name, layer, tape, dtype, features >= 1, "%lld features: at least 1 is wanted",
                                    (long long)features);
    if (nil) {
        if (layer) *layer = (ag_rmsnorm){.gamma = nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    layer->gamma = ag__make_parameter(&m, "gamma", &AG_SHAPE(features), m.options.weight, AG__ONES);
    layer->epsilon = 1e-6;
    return ag__made(&m, 0, NULL);
}

ag_status ag_rmsnorm_init(ag_rmsnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features) {
    return init_rmsnorm("rmsnorm_init", layer, tape, dtype, features, NULL);
}

ag_status ag_rmsnorm_init_with(ag_rmsnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                               const ag_layer_options *options) {
    return init_rmsnorm("rmsnorm_init_with", layer, tape, dtype, features, options);
}

ag_tensor *ag_rmsnorm_apply(const ag_rmsnorm *layer, ag_tensor *x) {
    static const char name[] = "rmsnorm_apply";
    if (!layer) return ag__no_layer(name, x);
    ag_tensor *nil = real_wrong(name, x);
    if (!nil) nil = scale_wrong(name, x, 1, layer->gamma, NULL);
    if (!nil) nil = epsilon_wrong(name, x, layer->epsilon);
    if (nil) return nil;
    ag_tensor *mean = ag__mean_along(ag_square(x), -1, true);
    return scaled(ag_mul(x, ag_rsqrt(ag_add_scalar(mean, layer->epsilon))), layer->gamma);
}

ag_tensor *ag_weight_norm(ag_tensor *v, ag_tensor *g, int axis) {
    static const char name[] = "weight_norm";
    ag_tensor *const both[] = {v, g};
    const int rank = ag_rank(v), kept = axis < 0 ? axis + rank : axis;
    ag_tensor *nil = real_wrong(name, v);
    if (nil) return nil;
    if (kept < 0 || kept >= rank)
        return ag__refuse(name, 2, both, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, rank);
    if (ag_rank(g) != 1 || ag_extent(g, 0) != ag_extent(v, kept))
        return ag__refuse(name, 2, both, AG_ERR_SHAPE, "g must be (%lld)", (long long)ag_extent(v, kept));
    nil = ag__dtype_wrong(name, v, g);
    if (nil) return nil;
    ag_axes others = {0};
    ag_shape along = {.rank = rank};
    for (int i = 0; i < rank; i++) {
        along.extent[i] = i == kept ? ag_extent(v, i) : 1;
        if (i != kept) others.axis[others.count++] = i;
    }
    ag_tensor *squares = ag_sum_over(ag_square(v), others, true);
    return ag_mul(v, ag_mul(ag__reshape_to(g, &along), ag_rsqrt(squares)));
}
