/* along -- see along.h */
#include "nn/along.h"

ag_tensor *ag__sum_along(ag_tensor *x, int axis, bool keepdims) { return ag_sum_over(x, AG_AXES(axis), keepdims); }
ag_tensor *ag__mean_along(ag_tensor *x, int axis, bool keepdims) { return ag_mean_over(x, AG_AXES(axis), keepdims); }
ag_tensor *ag__max_along(ag_tensor *x, int axis, bool keepdims) { return ag_max_over(x, AG_AXES(axis), keepdims); }
ag_tensor *ag__squeezed(ag_tensor *x, int axis) { return ag_squeeze(x, AG_AXES(axis)); }

ag_tensor *ag__nth(ag_tensor *x, int number, int64_t width) {
    return ag_slice(x, 1, number * width, (number + 1) * width, 1);
}

ag_tensor *ag__reshape_to(ag_tensor *x, const ag_shape *shape) { return ag_reshape(x, *shape); }
ag_tensor *ag__reshape_like(ag_tensor *x, const ag_tensor *like) { return ag_reshape(x, ag_shape_of(like)); }
ag_tensor *ag__broadcast_over(ag_tensor *x, const ag_shape *shape) { return ag_broadcast_to(x, *shape); }
ag_tensor *ag__permute_by(ag_tensor *x, const ag_axes *order) { return ag_permute(x, *order); }
ag_tensor *ag__mean_of_axes(ag_tensor *x, const ag_axes *axes, bool keepdims) {
    return ag_mean_over(x, *axes, keepdims);
}
