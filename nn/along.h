/* along -- public functions of a set of axes, for one: a set made at each call takes forty bytes more of code */
#ifndef AG_NN_ALONG_H
#define AG_NN_ALONG_H

#define AG_NO_LOCATION
#include "nn/nn.h"

ag_tensor *ag__sum_along(ag_tensor *x, int axis, bool keepdims);
ag_tensor *ag__mean_along(ag_tensor *x, int axis, bool keepdims);
ag_tensor *ag__max_along(ag_tensor *x, int axis, bool keepdims);

/* x without this axis, of extent 1. */
ag_tensor *ag__squeezed(ag_tensor *x, int axis);

#endif
