/* convolution -- convolutions over one to three spatial axes, and their adjoints
 *
 * x is (N,L…,C): N samples, spatial axes, C channels; windows of K… elements slide over it to O… positions; K channels
 * come out. Channels are the last axis: a window's rows are then contiguous, a convolution is one product whose result
 * needs no reordering, and biases and normalisations broadcast by themselves. */
#include "nn/along.h"
#include "nn/making.h"
#include "nn/sliding.h"

#include <math.h>

static const ag_conv_options plain = {.groups = 0};

/* A call: its tensors, and its numbers as they are used. */
typedef struct convolution {
    const char *name;
    ag_tensor *x, *w, *b;
    ag__sliding s;
    int64_t groups, longer[AG_SPACE];
    bool same, transposed;
} convolution;

/* ---- Checks ---- */

static ag_tensor *refuse_shape(const convolution *c, bool biased, const char *why) {
    ag_tensor *const all[] = {c->x, c->w, c->b};
    return ag__refuse(c->name, biased ? 3 : 2, all, AG_ERR_SHAPE, "%s", why);
}

/* NULL if x, weight and bias have shapes that belong together; else nil, after an error. */
static ag_tensor *shapes_wrong(const convolution *c) {
    ag_tensor *const both[] = {c->x, c->w};
    const int n = c->s.axes, axis = c->transposed ? n + 1 : n;
    const int64_t g = c->groups, in = ag_extent(c->x, n + 1), of_group = ag_extent(c->w, n);
    if (g < 1 || g > INT32_MAX)
        return ag__refuse(c->name, 2, both, AG_ERR_RANGE, "%lld groups: at least 1 is wanted, and less than 2³¹",
                          (long long)g);
    if (of_group > INT64_MAX / g || ag_extent(c->w, n + 1) % g != 0 ||
        in != (c->transposed ? 1 : g) * ag_extent(c->w, axis))
        return ag__refuse(c->name, 2, both, AG_ERR_SHAPE,
                          "%lld channels do not fit a weight (…,C,K) whose K of %lld are in %lld groups, each of %lld",
                          (long long)in, (long long)ag_extent(c->w, n + 1), (long long)g, (long long)of_group);
    const int64_t out = c->transposed ? of_group * g : ag_extent(c->w, n + 1);
    if (c->b && (ag_rank(c->b) != 1 || ag_extent(c->b, 0) != out))
        return refuse_shape(c, true, "the bias must have an element for each channel that comes out, or be NULL");
    ag_tensor *nil = ag__dtype_wrong(c->name, c->x, c->w);
    return nil ? nil : ag__dtype_wrong(c->name, c->x, c->b);
}

/* The same of what output_padding and `same` say; "same" becomes padding. */
static ag_tensor *lengths_wrong(convolution *c) {
    ag_tensor *const both[] = {c->x, c->w};
    for (int i = 0; i < c->s.axes; i++) {
        const int64_t more = c->longer[i], s = c->s.stride[i], d = c->s.dilation[i], reach = ag__reach(&c->s, i);
        if (c->transposed ? more < 0 || more >= (s > d ? s : d) || (c->same && more > 0) : more != 0)
            return ag__refuse(c->name, 2, both, AG_ERR_RANGE,
                              "output padding %lld on axis %d: it belongs to transposed convolutions, without `same`, "
                              "and must be less than the stride or the dilation",
                              (long long)more, i + 1);
        if (!c->same) continue;
        if (!c->transposed) ag__pad_to_same(&c->s, i, ag_extent(c->x, i + 1));
        else c->s.before[i] = reach > s ? (reach - s) / 2 : 0;
        if (!c->transposed) continue;
        c->s.after[i] = reach > s ? reach - s - c->s.before[i] : 0;
        c->longer[i] = s > reach ? s - reach : 0;
    }
    return NULL;
}

/* NULL if a transposed convolution has a result; else nil, after an error. */
static ag_tensor *adjoint_wrong(const convolution *c) {
    ag_tensor *const both[] = {c->x, c->w};
    for (int i = 0; i < c->s.axes; i++) {
        const int64_t n = ag_extent(c->x, i + 1), padding = c->s.before[i] + c->s.after[i];
        if (n < 1 || c->s.size[i] < 1 || n - 1 > INT64_MAX / 4 / c->s.stride[i] ||
            (n - 1) * c->s.stride[i] + ag__reach(&c->s, i) + c->longer[i] <= padding)
            return ag__refuse(c->name, 2, both, AG_ERR_SHAPE,
                              "axis %d, with stride %lld, a window of %lld and padding %lld, leaves no or too many "
                              "elements",
                              i + 1, (long long)c->s.stride[i], (long long)c->s.size[i], (long long)padding);
    }
    return NULL;
}

/* NULL if the convolution, whose numbers become those that are used, can be recorded; else nil, after an error. */
static ag_tensor *what_is_wrong(convolution *c, const ag_conv_options *o) {
    ag_tensor *const both[] = {c->x, c->w};
    const int n = ag_rank(c->x) - 2;
    int64_t size[AG_SPACE] = {0};
    if (n < 1 || n > AG_SPACE || ag_rank(c->w) != n + 2)
        return refuse_shape(
            c, false, "the input must be (N,L,C), (N,H,W,C) or (N,D,H,W,C), and the weight (…,C,K) of as many axes");
    for (int i = 0; i < n; i++) size[i] = ag_extent(c->w, i);
    c->s = ag__sliding_of(n, size, o->stride, o->dilation, o->padding);
    c->groups = o->groups == 0 ? 1 : o->groups;
    c->same = o->same;
    for (int i = 0; i < AG_SPACE; i++) c->longer[i] = i < n ? o->output_padding[i] : 0;
    ag_tensor *nil = shapes_wrong(c);
    if (!nil) nil = ag__sliding_wrong(c->name, 2, both, &c->s);
    if (!nil) nil = lengths_wrong(c);
    if (nil) return nil;
    return c->transposed ? adjoint_wrong(c) : ag__windows_wrong(c->name, 2, both, &c->s);
}

/* ---- Products ---- */

/* N O… C K… · K… C K -> N O… K */
static ag_tensor *window_product(const convolution *c, ag_tensor *windows, ag_tensor *w) {
    const int n = c->s.axes;
    ag_axes order = {.count = 2 * n + 2};
    for (int i = 0; i <= n; i++) order.axis[i] = i;
    for (int i = 0; i < n; i++) order.axis[n + 1 + i] = n + 2 + i;
    order.axis[2 * n + 1] = n + 1;
    return ag_tensordot(ag__permute_by(windows, &order), w, n + 1);
}

/* N L… K · K… C K -> N L… K… C */
static ag_tensor *adjoint_product(const convolution *c, ag_tensor *x, ag_tensor *w) {
    ag_axes order = {.count = c->s.axes + 2};
    for (int i = 0; i < order.count; i++) order.axis[i] = i == 0 ? c->s.axes + 1 : i - 1;
    return ag_tensordot(x, ag__permute_by(w, &order), 1);
}

/* Whether each channel has a group of its own. */
static bool is_depthwise(const convolution *c) { return c->groups > 1 && ag_extent(c->w, c->s.axes) == 1; }

static ag_shape numbers_of(const convolution *c, const int64_t list[]) {
    ag_shape shape = {.rank = c->s.axes};
    for (int i = 0; i < shape.rank; i++) shape.extent[i] = list[i];
    return shape;
}

static ag_shape strides_of(const convolution *c) { return numbers_of(c, c->s.stride); }
static ag_shape dilations_of(const convolution *c) { return numbers_of(c, c->s.dilation); }

/* Each channel as often as it has channels that come out. */
static ag_tensor *repeated(ag_tensor *x, int64_t times) {
    ag_shape shape = ag_shape_of(x), wide = shape;
    if (times == 1) return x;
    wide.extent[wide.rank++] = times;
    shape.extent[shape.rank - 1] *= times;
    return ag__reshape_to(ag__broadcast_over(ag_unsqueeze(x, -1), &wide), &shape);
}

/* The sum over the channels that `repeated` made of one. */
static ag_tensor *gathered_up(ag_tensor *y, int64_t times) {
    ag_shape shape = ag_shape_of(y);
    if (times == 1) return y;
    shape.extent[shape.rank - 1] /= times;
    shape.extent[shape.rank++] = times;
    return ag__sum_along(ag__reshape_to(y, &shape), -1, false);
}

/* Whether the windows are the elements of the image itself. */
static bool is_pointwise(const convolution *c) {
    for (int i = 0; i < c->s.axes; i++)
        if (c->s.size[i] > 1 || c->s.stride[i] > 1) return false;
    return c->groups == 1;
}

static ag_shape places_of(const convolution *c) {
    ag_shape places = {.rank = c->s.axes};
    for (int i = 0; i < places.rank; i++) {
        const int64_t all = ag_extent(c->x, i + 1) + c->s.before[i] + c->s.after[i];
        places.extent[i] = (all - ag__reach(&c->s, i)) / c->s.stride[i] + 1;
    }
    return places;
}

static ag_tensor *convolved_depthwise(const convolution *c) {
    const int n = c->s.axes;
    ag_shape places = places_of(c);
    ag_tensor *x = repeated(c->x, ag_extent(c->w, n + 1) / c->groups), *w = ag__squeezed(c->w, n);
    return ag_depthwise(x, w, places, strides_of(c), dilations_of(c), numbers_of(c, c->s.before));
}

/* With few channels more is gained by joining them with the places of a window than by reading these where they are;
 * not if they are in groups, which would be a product each. */
static bool has_channels(const convolution *c) {
    enum { FEW = 8 };
    return c->groups > 1 || (ag_extent(c->w, c->s.axes) >= FEW && ag_extent(c->w, c->s.axes + 1) >= FEW);
}

static ag_tensor *convolved(const convolution *c) {
    const int n = c->s.axes;
    const int64_t in = ag_extent(c->w, n), out = ag_extent(c->w, n + 1);
    if (is_depthwise(c)) return convolved_depthwise(c);
    if (has_channels(c) && !is_pointwise(c))
        return ag_correlation(c->x, c->w, c->groups, places_of(c), strides_of(c), dilations_of(c),
                              numbers_of(c, c->s.before));
    ag_tensor *x = ag__padded(c->x, &c->s, 0);
    if (is_pointwise(c)) return ag_tensordot(x, ag__reshape_to(c->w, &AG_SHAPE(in, out)), 1);
    return window_product(c, ag__windows_over(x, &c->s), c->w);
}

/* N L… C K…: the elements of each window. */
static ag_tensor *spread(const convolution *c) {
    const int n = c->s.axes;
    ag_axes order = {.count = 2 * n + 2};
    for (int i = 0; i <= n; i++) order.axis[i] = i;
    order.axis[n + 1] = 2 * n + 1;
    for (int i = 0; i < n; i++) order.axis[n + 2 + i] = n + 1 + i;
    return ag__permute_by(adjoint_product(c, c->x, c->w), &order);
}

/* The windows added up, without the padding, and longer at the end. */
static ag_tensor *folded(const convolution *c) {
    const int n = c->s.axes;
    ag_axes axes = {.count = n};
    ag_shape whole = {.rank = n};
    ag_tensor *y = spread(c);
    for (int i = 0; i < n; i++) {
        const int64_t s = c->s.stride[i], reach = ag__reach(&c->s, i);
        if (c->s.dilation[i] > 1) y = ag_embed(y, n + 2 + i, reach, 0, c->s.dilation[i]);
        axes.axis[i] = i + 1;
        whole.extent[i] = (ag_extent(c->x, i + 1) - 1) * s + reach + (c->longer[i] < s ? c->longer[i] : 0);
    }
    y = ag_fold(y, axes, whole, strides_of(c));
    for (int i = 0; i < n; i++) {
        const int64_t more = c->longer[i] < c->s.stride[i] ? 0 : c->longer[i], end = whole.extent[i] + more;
        if (more > 0) y = ag_embed(y, i + 1, end, 0, 1);
        y = ag_slice(y, i + 1, c->s.before[i], end - c->s.after[i], 1);
    }
    return y;
}

static ag_tensor *convolved_back(const convolution *c) {
    const int n = c->s.axes;
    ag_shape extents = {.rank = n};
    if (!is_depthwise(c) && !has_channels(c)) return folded(c);
    for (int i = 0; i < n; i++)
        extents.extent[i] = (ag_extent(c->x, i + 1) - 1) * c->s.stride[i] + ag__reach(&c->s, i) + c->longer[i] -
                            c->s.before[i] - c->s.after[i];
    if (!is_depthwise(c))
        return ag_correlation_transposed(c->x, c->w, c->groups, extents, strides_of(c), dilations_of(c),
                                         numbers_of(c, c->s.before));
    ag_tensor *w = ag__squeezed(c->w, n), *y = ag_depthwise_transposed(c->x, w, extents, strides_of(c), dilations_of(c),
                                                                       numbers_of(c, c->s.before));
    return gathered_up(y, ag_extent(c->w, n + 1) / c->groups);
}

static ag_tensor *convolve(convolution c, const ag_conv_options *options) {
    ag_tensor *nil = what_is_wrong(&c, options ? options : &plain);
    if (nil) return nil;
    ag_tensor *y = c.transposed ? convolved_back(&c) : convolved(&c);
    return c.b ? ag_add(y, c.b) : y;
}

ag_tensor *ag_convolve(ag_tensor *x, ag_tensor *weight, ag_tensor *bias, const ag_conv_options *options) {
    return convolve((convolution){.name = "convolve", .x = x, .w = weight, .b = bias}, options);
}

ag_tensor *ag_convolve_transposed(ag_tensor *x, ag_tensor *weight, ag_tensor *bias, const ag_conv_options *options) {
    return convolve((convolution){.name = "convolve_transposed", .x = x, .w = weight, .b = bias, .transposed = true},
                    options);
}

/* ---- Layers ---- */

/* NULL if a layer can be made; else nil, after an error. */
static ag_tensor *layer_wrong(const char *name, const ag_conv *layer, ag_tape *tape, ag_dtype dtype, int64_t in,
                              int64_t out, const ag_shape *size, int64_t groups) {
    bool good = in >= 1 && out >= 1 && size->rank >= 1 && size->rank <= AG_SPACE;
    for (int i = 0; good && i < size->rank; i++) good = size->extent[i] >= 1;
    good = good && groups >= 1 && in % groups == 0 && out % groups == 0;
    return ag__init_wrong(name, layer, tape, dtype, good,
                          "%lld channels in, %lld out, %lld groups, %d sizes: each number and size must be at least 1, "
                          "the sizes one to three, and the channels multiples of the groups",
                          (long long)in, (long long)out, (long long)groups, size->rank);
}

/* fan_in of the weight's shape is that of the convolution; of a transposed one, C/G and K have changed places. */
static ag_status init_conv(const char *name, ag_conv *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                           ag_shape size, const ag_conv_options *options, bool transposed,
                           const ag_layer_options *layer_options) {
    const int64_t groups = options && options->groups ? options->groups : 1;
    ag_tensor *nil = layer_wrong(name, layer, tape, dtype, in, out, &size, groups);
    if (nil) {
        if (layer) *layer = (ag_conv){.weight = nil, .bias = nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, layer_options);
    ag_initial usual = AG__HE;
    if (transposed) usual.number = sqrt((double)out / (double)in);
    size.extent[size.rank] = (transposed ? out : in) / groups;
    size.extent[size.rank + 1] = transposed ? in : out;
    size.rank += 2;
    *layer = (ag_conv){.options = options ? *options : plain, .transposed = transposed};
    layer->weight = ag__make_parameter(&m, "weight", &size, m.options.weight, usual);
    layer->bias = ag__make_bias(&m, "bias", out);
    return ag__made(&m, AG__HANDLES(&layer->weight));
}

ag_status ag_conv_init(ag_conv *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out, ag_shape size,
                       const ag_conv_options *options) {
    return init_conv("conv_init", layer, tape, dtype, in, out, size, options, false, NULL);
}

ag_status ag_conv_init_with(ag_conv *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out, ag_shape size,
                            const ag_conv_options *options, bool transposed, const ag_layer_options *layer_options) {
    return init_conv("conv_init_with", layer, tape, dtype, in, out, size, options, transposed, layer_options);
}

ag_tensor *ag_conv_apply(const ag_conv *layer, ag_tensor *x) {
    if (!layer) return ag__no_layer("conv_apply", x);
    return convolve(
        (convolution){
            .name = "conv_apply", .x = x, .w = layer->weight, .b = layer->bias, .transposed = layer->transposed},
        &layer->options);
}

/* ---- Of images, with square windows ---- */

static ag_status init_conv2d(const char *name, ag_conv2d *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                             int64_t size, const ag_layer_options *options) {
    ag_tensor *nil = ag__init_wrong(name, layer, tape, dtype, in >= 1 && out >= 1 && size >= 1,
                                    "%lld channels in, %lld out, size %lld: each must be at least 1", (long long)in,
                                    (long long)out, (long long)size);
    if (nil) {
        if (layer) *layer = (ag_conv2d){.weight = nil, .bias = nil};
        return ag_eval(nil);
    }
    ag_conv general;
    ag_status status = init_conv(name, &general, tape, dtype, in, out, AG_SHAPE(size, size), NULL, false, options);
    *layer = (ag_conv2d){.weight = general.weight, .bias = general.bias, .stride = 1};
    return status;
}

ag_status ag_conv2d_init(ag_conv2d *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out, int64_t size) {
    return init_conv2d("conv2d_init", layer, tape, dtype, in, out, size, NULL);
}

ag_status ag_conv2d_init_with(ag_conv2d *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out, int64_t size,
                              const ag_layer_options *options) {
    return init_conv2d("conv2d_init_with", layer, tape, dtype, in, out, size, options);
}

ag_tensor *ag_conv2d_apply(const ag_conv2d *layer, ag_tensor *x) {
    static const char name[] = "conv2d_apply";
    if (!layer) return ag__no_layer(name, x);
    ag_tensor *const both[] = {x, layer->weight};
    const int64_t s = layer->stride, p = layer->padding;
    if (ag_rank(x) != 4 || ag_rank(both[1]) != 4 || ag_extent(x, 3) != ag_extent(both[1], 2))
        return ag__refuse(name, 2, both, AG_ERR_SHAPE,
                          "the input must be (N,H,W,C), with the C of the weight (KH,KW,C,K)");
    ag_tensor *bias = layer->bias, *const all[] = {x, both[1], bias};
    if (bias && (ag_rank(bias) != 1 || ag_extent(bias, 0) != ag_extent(both[1], 3)))
        return ag__refuse(name, 3, all, AG_ERR_SHAPE, "the bias must be (K), or NULL");
    if (s < 1 || p < 0 || p > INT32_MAX)
        return ag__refuse(name, 2, both, AG_ERR_RANGE,
                          "stride %lld and padding %lld: stride >= 1 and 0 <= padding < 2³¹ are wanted", (long long)s,
                          (long long)p);
    return convolve((convolution){.name = name, .x = x, .w = both[1], .b = bias},
                    &(ag_conv_options){.stride = {s}, .padding = {{p, p}, {p, p}}});
}
