/* convolution -- convolution and pooling of images
 *
 * N images of H rows, W columns and C channels; windows of KH × KW slide over them to OH × OW positions; K channels
 * come out. Channels are the last axis: a window's rows are then contiguous, a convolution is one product whose
 * result needs no reordering, and biases and normalisations broadcast by themselves. */
#include "nn/making.h"

static const int64_t most_padding = INT32_MAX;

/* ---- Convolution ---- */

static ag_status init_conv2d(const char *name, ag_conv2d *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                             int64_t size, const ag_layer_options *options) {
    ag_tensor *nil = ag__init_wrong(name, layer, tape, dtype, in >= 1 && out >= 1 && size >= 1,
                                    "%lld channels in, %lld out, size %lld: each must be at least 1", (long long)in,
                                    (long long)out, (long long)size);
    if (nil) {
        if (layer) *layer = (ag_conv2d){.weight = nil, .bias = nil};
        return ag_eval(nil);
    }
    ag__making m = ag__make(name, tape, dtype, options);
    layer->weight = ag__make_parameter(&m, "weight", AG_SHAPE(size, size, in, out), m.options.weight, AG__HE);
    layer->bias = ag__make_bias(&m, "bias", AG_SHAPE(out));
    layer->stride = 1;
    layer->padding = 0;
    return ag__made(&m);
}

ag_status ag_conv2d_init(ag_conv2d *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out, int64_t size) {
    return init_conv2d("conv2d_init", layer, tape, dtype, in, out, size, NULL);
}

ag_status ag_conv2d_init_with(ag_conv2d *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out, int64_t size,
                              const ag_layer_options *options) {
    return init_conv2d("conv2d_init_with", layer, tape, dtype, in, out, size, options);
}

/* NULL if the layer fits x; else nil, after an error. */
static ag_tensor *what_is_wrong(const ag_conv2d *layer, ag_tensor *x) {
    static const char name[] = "conv2d_apply";
    if (!layer) return ag__refuse(name, 1, &x, AG_ERR_NULL, "the layer is NULL");
    ag_tensor *w = layer->weight, *const both[] = {x, w};
    int64_t p = layer->padding;
    if (ag_rank(x) != 4 || ag_rank(w) != 4 || ag_extent(x, 3) != ag_extent(w, 2))
        return ag__refuse(name, 2, both, AG_ERR_SHAPE,
                          "the input must be (N,H,W,C), with the C of the weight (KH,KW,C,K)");
    ag_tensor *bias = layer->bias, *const all[] = {x, w, bias};
    if (bias && (ag_rank(bias) != 1 || ag_extent(bias, 0) != ag_extent(w, 3)))
        return ag__refuse(name, 3, all, AG_ERR_SHAPE, "the bias must be (K), or NULL");
    if (layer->stride < 1 || p < 0 || p > most_padding)
        return ag__refuse(name, 2, both, AG_ERR_RANGE,
                          "stride %lld and padding %lld: stride >= 1 and 0 <= padding < 2³¹ are wanted",
                          (long long)layer->stride, (long long)p);
    for (int i = 0; i < 2; i++)
        if (ag_extent(w, i) < 1 || ag_extent(x, i + 1) + 2 * p < ag_extent(w, i))
            return ag__refuse(name, 2, both, AG_ERR_SHAPE, "a window of %lld does not fit on axis %d, padded to %lld",
                              (long long)ag_extent(w, i), i + 1, (long long)(ag_extent(x, i + 1) + 2 * p));
    return ag__dtype_wrong(name, "input", x, w);
}

/* Padded with zeros, before and after. */
static ag_tensor *padded(ag_tensor *x, int axis, int64_t padding) {
    return padding == 0 ? x : ag_embed(x, axis, ag_extent(x, axis) + 2 * padding, padding, 1);
}

/* The products of all windows and the weight: N OH OW K. Windows of one element are the image itself. */
static ag_tensor *convolved(ag_tensor *x, ag_tensor *w, int64_t stride) {
    ag_shape size = AG_SHAPE(ag_extent(w, 0), ag_extent(w, 1)), last = AG_SHAPE(ag_extent(w, 2), ag_extent(w, 3));
    if (size.extent[0] == 1 && size.extent[1] == 1 && stride == 1) return ag_tensordot(x, ag_reshape(w, last), 1);
    ag_tensor *windows = ag_windows(x, AG_AXES(1, 2), size, AG_SHAPE(stride, stride)); /* N OH OW C KH KW */
    return ag_tensordot(ag_permute(windows, AG_AXES(0, 1, 2, 4, 5, 3)), w, 3);
}

ag_tensor *ag_conv2d_apply(const ag_conv2d *layer, ag_tensor *x) {
    ag_tensor *nil = what_is_wrong(layer, x);
    if (nil) return nil;
    ag_tensor *in = padded(padded(x, 1, layer->padding), 2, layer->padding);
    ag_tensor *y = convolved(in, layer->weight, layer->stride);
    return layer->bias ? ag_add(y, layer->bias) : y;
}

/* ---- Pooling ---- */

static bool is_real(const ag_tensor *x) { return ag_dtype_of(x) == AG_F32 || ag_dtype_of(x) == AG_F64; }

/* The windows of x, and the axes to reduce. Windows side by side are x in another shape, and so is their gradient: N
 * OH size OW size C; others are N OH OW C size size. */
static ag_tensor *pools(const char *name, bool good, ag_tensor *x, int64_t size, int64_t stride, ag_axes *over) {
    if (!good && !ag_is_nil(x))
        return ag__refuse(name, 1, &x, AG_ERR_DTYPE, "the dtype %s is not supported", ag_dtype_name(ag_dtype_of(x)));
    if (ag_rank(x) != 4) return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "the input must be (N,H,W,C)");
    if (size < 1 || stride < 1)
        return ag__refuse(name, 1, &x, AG_ERR_RANGE, "size %lld and stride %lld: each must be at least 1",
                          (long long)size, (long long)stride);
    int64_t n = ag_extent(x, 0), h = ag_extent(x, 1), w = ag_extent(x, 2), c = ag_extent(x, 3);
    if (size > h || size > w)
        return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "a window of %lld by %lld is larger than the image, %lld by %lld",
                          (long long)size, (long long)size, (long long)h, (long long)w);
    *over = stride == size ? AG_AXES(2, 4) : AG_AXES(4, 5);
    if (stride != size) return ag_windows(x, AG_AXES(1, 2), AG_SHAPE(size, size), AG_SHAPE(stride, stride));
    int64_t oh = h / size, ow = w / size;
    ag_tensor *whole = ag_slice(ag_slice(x, 1, 0, oh * size, 1), 2, 0, ow * size, 1);
    return ag_reshape(whole, AG_SHAPE(n, oh, size, ow, size, c));
}

ag_tensor *ag_max_pool2d(ag_tensor *x, int64_t size, int64_t stride) {
    ag_axes over = {0};
    ag_tensor *windows = pools("max_pool2d", ag_dtype_of(x) != AG_BOOL, x, size, stride, &over);
    return ag_is_nil(windows) ? windows : ag_max_over(windows, over, false);
}

ag_tensor *ag_avg_pool2d(ag_tensor *x, int64_t size, int64_t stride) {
    ag_axes over = {0};
    ag_tensor *windows = pools("avg_pool2d", is_real(x), x, size, stride, &over);
    return ag_is_nil(windows) ? windows : ag_mean_over(windows, over, false);
}
