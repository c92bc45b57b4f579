/* given -- public functions of shapes and axes, for those that are in memory */
#include "ops/rules.h"

ag_tensor *ag__reshape(ag_tensor *x, const ag_shape *shape) { return ag_reshape(x, *shape); }
ag_tensor *ag__reshape_as(ag_tensor *x, const ag_tensor *like) { return ag_reshape(x, ag_shape_of(like)); }
ag_tensor *ag__broadcast_as(ag_tensor *x, const ag_tensor *like) { return ag_broadcast_to(x, ag_shape_of(like)); }
ag_tensor *ag__squeeze(ag_tensor *x, const ag_axes *axes) { return ag_squeeze(x, *axes); }
ag_tensor *ag__permute(ag_tensor *x, const ag_axes *axes) { return ag_permute(x, *axes); }
ag_tensor *ag__sum(ag_tensor *x, const ag_axes *axes, bool keepdims) { return ag_sum_over(x, *axes, keepdims); }
ag_tensor *ag__max(ag_tensor *x, const ag_axes *axes, bool keepdims) { return ag_max_over(x, *axes, keepdims); }
ag_tensor *ag__min(ag_tensor *x, const ag_axes *axes, bool keepdims) { return ag_min_over(x, *axes, keepdims); }

ag_tensor *ag__number_as(const ag_tensor *x, double number) { return ag_scalar(ag_tape_of(x), ag_dtype_of(x), number); }
ag_tensor *ag__zeros_as(const ag_tensor *x) { return ag_zeros(ag_tape_of(x), ag_dtype_of(x), ag_shape_of(x)); }
