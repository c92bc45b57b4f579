/* along -- public functions of axes and shapes, for a single axis, where a set made at each call takes forty bytes more
 * of code, and for what is in memory, where a copy at each call takes sixteen */
#ifndef AG_NN_ALONG_H
#define AG_NN_ALONG_H

#define AG_NO_LOCATION
#include "nn/nn.h"

ag_tensor *ag__sum_along(ag_tensor *x, int axis, bool keepdims);
ag_tensor *ag__mean_along(ag_tensor *x, int axis, bool keepdims);
ag_tensor *ag__max_along(ag_tensor *x, int axis, bool keepdims);

/* x without this axis, of extent 1. */
ag_tensor *ag__squeezed(ag_tensor *x, int axis);

/* Part `number` of the columns of a matrix, each part `width` of them. */
ag_tensor *ag__nth(ag_tensor *x, int number, int64_t width);

ag_tensor *ag__reshape_to(ag_tensor *x, const ag_shape *shape);
ag_tensor *ag__reshape_like(ag_tensor *x, const ag_tensor *like);
ag_tensor *ag__broadcast_over(ag_tensor *x, const ag_shape *shape);
ag_tensor *ag__permute_by(ag_tensor *x, const ag_axes *order);
ag_tensor *ag__mean_of_axes(ag_tensor *x, const ag_axes *axes, bool keepdims);

#endif
