/* sliding -- windows that slide over the spatial axes of x (N,…,C), for convolution and pooling
 *
 * Numbers come from users: each is below 2³¹, so that their sums with an extent do not overflow, and products are
 * looked at before they are taken. */
#include "nn/sliding.h"

static const int64_t most = INT32_MAX;

/* Axis i of a list in which 0 stands for the axis before, and `usual` at first. */
static int64_t given(const int64_t list[], int i, int64_t usual) {
    while (i >= 0 && list[i] == 0) i--;
    return i < 0 ? usual : list[i];
}

ag__sliding ag__sliding_of(int axes, const int64_t size[], const int64_t stride[], const int64_t dilation[],
                           const int64_t padding[][2]) {
    ag__sliding s = {.axes = axes};
    for (int i = 0; i < axes; i++) {
        s.size[i] = size[i];
        s.stride[i] = given(stride, i, 1);
        s.dilation[i] = given(dilation, i, 1);
        s.before[i] = padding[i][0];
        s.after[i] = padding[i][1];
    }
    return s;
}

int64_t ag__reach(const ag__sliding *s, int axis) { return (s->size[axis] - 1) * s->dilation[axis] + 1; }

void ag__pad_to_same(ag__sliding *s, int axis, int64_t n) {
    const int64_t step = s->stride[axis], places = n / step + (n % step > 0);
    const int64_t needed = n < 1 ? 0 : (places - 1) * step + ag__reach(s, axis), all = needed > n ? needed - n : 0;
    s->before[axis] = all / 2;
    s->after[axis] = all - all / 2;
}

static bool in_range(int64_t x, int64_t least) { return x >= least && x <= most; }

ag_tensor *ag__sliding_wrong(const char *name, int n, ag_tensor *const x[], const ag__sliding *s) {
    for (int i = 0; i < s->axes; i++) {
        if (s->stride[i] < 1 || !in_range(s->before[i], 0) || !in_range(s->after[i], 0))
            return ag__refuse(
                name, n, x, AG_ERR_RANGE,
                "stride %lld and padding %lld, %lld on axis %d: stride >= 1 and 0 <= padding < 2³¹ are wanted",
                (long long)s->stride[i], (long long)s->before[i], (long long)s->after[i], i + 1);
        if (!in_range(s->dilation[i], 1) || s->size[i] > most)
            return ag__refuse(name, n, x, AG_ERR_RANGE,
                              "dilation %lld of a window of %lld on axis %d: dilation >= 1 is wanted, each below 2³¹",
                              (long long)s->dilation[i], (long long)s->size[i], i + 1);
    }
    return NULL;
}

ag_tensor *ag__windows_wrong(const char *name, int n, ag_tensor *const x[], const ag__sliding *s) {
    for (int i = 0; i < s->axes; i++) {
        const int64_t own = ag_extent(x[0], i + 1), padding = s->before[i] + s->after[i];
        if (s->size[i] < 1 || ag__reach(s, i) > own + padding)
            return ag__refuse(
                name, n, x, AG_ERR_SHAPE, "a window of %lld does not fit on axis %d, which has %lld with padding",
                (long long)(s->size[i] < 1 ? s->size[i] : ag__reach(s, i)), i + 1, (long long)(own + padding));
    }
    return NULL;
}

ag_tensor *ag__padded(ag_tensor *x, const ag__sliding *s, double value) {
    ag_axes axes = {.count = s->axes};
    ag_shape before = {.rank = s->axes}, after = before;
    for (int i = 0; i < s->axes; i++) {
        axes.axis[i] = i + 1;
        before.extent[i] = s->before[i], after.extent[i] = s->after[i];
    }
    return ag_pad_with(x, axes, before, after, AG_PAD_CONSTANT, value);
}

ag_tensor *ag__windows_over(ag_tensor *x, const ag__sliding *s) {
    ag_axes axes = {.count = s->axes};
    ag_shape reach = {.rank = s->axes}, step = {.rank = s->axes};
    for (int i = 0; i < s->axes; i++) {
        axes.axis[i] = i + 1;
        reach.extent[i] = ag__reach(s, i);
        step.extent[i] = s->stride[i];
    }
    ag_tensor *y = ag_windows(x, axes, reach, step);
    for (int i = 0; i < s->axes; i++)
        if (s->dilation[i] > 1) y = ag_slice(y, s->axes + 2 + i, 0, AG_END, s->dilation[i]);
    return y;
}

ag_tensor *ag__image_wrong(const char *name, bool good, ag_tensor *x, ag_shape *extents) {
    const int axes = ag_rank(x) - 2;
    if (!good && !ag_is_nil(x))
        return ag__refuse(name, 1, &x, AG_ERR_DTYPE, "the dtype %s is not supported", ag_dtype_name(ag_dtype_of(x)));
    if (axes < 1 || axes > AG_SPACE)
        return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "the input must be (N,L,C), (N,H,W,C) or (N,D,H,W,C)");
    if (extents->rank != axes && extents->rank != 1)
        return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "%d extents are given for %d spatial axes", extents->rank, axes);
    for (int i = extents->rank; i < axes; i++) extents->extent[i] = extents->extent[0];
    extents->rank = axes;
    return NULL;
}

ag_tensor *ag__extents_wrong(const char *name, bool good, ag_tensor *x, ag_shape *extents) {
    ag_tensor *nil = ag__image_wrong(name, good, x, extents);
    for (int i = 0; !nil && i < extents->rank; i++) {
        if (extents->extent[i] < 1 || extents->extent[i] > INT32_MAX)
            nil = ag__refuse(name, 1, &x, AG_ERR_RANGE, "extent %lld on axis %d: 1 to 2³¹ − 1 is wanted",
                             (long long)extents->extent[i], i + 1);
        else if (ag_extent(x, i + 1) < 1 || ag_extent(x, i + 1) > INT32_MAX)
            nil = ag__refuse(name, 1, &x, AG_ERR_SHAPE, "axis %d must have 1 to 2³¹ − 1 elements", i + 1);
    }
    return nil;
}
