/* depthwise -- convolutions of each channel by itself, and their adjoints
 *
 * nn/images.h has convolutions with padding and bias, which are composed of these where each channel has a group of its
 * own. */
#ifndef AG_OPS_DEPTHWISE_H
#define AG_OPS_DEPTHWISE_H

#include "autograd/types.h"

/* ag_depthwise -- y[n,i…,c] = Σ x[n, i·stride+u·dilation…, c]·w[u…,c] over u…, whole windows only
 * Shape:  x (N,L…,C), w (K…,C) -> (N,O…,C) over one to three axes, O = (L − (K−1)·dilation − 1)/stride + 1
 * Dtype:  real
 * Grad:   x̄ = ȳ, by ag_depthwise_transposed;  w̄[u…,c] = Σ x·ȳ
 * Errors: AG_ERR_SHAPE unless x and w are as above, and there are a stride and a dilation for each axis; AG_ERR_RANGE
 *         unless each is at least 1 and a window fits; AG_ERR_DTYPE
 * Source: torch.nn.functional.conv2d with as many groups as channels */
AG_API ag_tensor *ag_depthwise(ag_tensor *x, ag_tensor *w, ag_shape stride, ag_shape dilation);

/* ag_depthwise_transposed -- y[n, i·stride+u·dilation…, c] += x[n,i…,c]·w[u…,c]: the adjoint, with these extents
 * Shape:  x (N,O…,C), w (K…,C) -> (N,extents…,C), where extents have O… places for windows
 * Dtype:  real
 * Grad:   x̄ = ȳ, by ag_depthwise;  w̄[u…,c] = Σ x·ȳ
 * Errors: as ag_depthwise; AG_ERR_SHAPE if the extents have another number of places
 * Source: torch.nn.functional.conv_transpose2d with as many groups as channels */
AG_API ag_tensor *ag_depthwise_transposed(ag_tensor *x, ag_tensor *w, ag_shape extents, ag_shape stride,
                                          ag_shape dilation);

#endif
