/* along -- see along.h */
#include "nn/along.h"

ag_tensor *ag__sum_along(ag_tensor *x, int axis, bool keepdims) { return ag_sum_over(x, AG_AXES(axis), keepdims); }
ag_tensor *ag__mean_along(ag_tensor *x, int axis, bool keepdims) { return ag_mean_over(x, AG_AXES(axis), keepdims); }
ag_tensor *ag__max_along(ag_tensor *x, int axis, bool keepdims) { return ag_max_over(x, AG_AXES(axis), keepdims); }
ag_tensor *ag__squeezed(ag_tensor *x, int axis) { return ag_squeeze(x, AG_AXES(axis)); }
