/* depthwise -- convolutions of each channel by itself, and their adjoints
 *
 * nn/images.h has convolutions with padding and bias, which are composed of these where each channel has a group of its
 * own. */
#ifndef AG_OPS_DEPTHWISE_H
#define AG_OPS_DEPTHWISE_H

#include "autograd/types.h"

/* ag_depthwise -- y[n,i…,c] = Σ x[n, i·stride+u·dilation−before…, c]·w[u…,c] over u…, with 0 for elements beyond x
 * Shapes of numbers have one for each of one to three axes L….
 * Shape:  x (N,L…,C), w (K…,C) -> (N,places…,C)
 * Dtype:  real
 * Grad:   x̄ = ȳ, by ag_depthwise_transposed;  w̄[u…,c] = Σ x·ȳ
 * Errors: AG_ERR_SHAPE unless x and w are as above, and there is a number for each axis; AG_ERR_RANGE unless stride,
 *         dilation and windows are at least 1, and extents, places and before at least 0; AG_ERR_DTYPE
 * Source: torch.nn.functional.conv2d with as many groups as channels */
AG_API ag_tensor *ag_depthwise(ag_tensor *x, ag_tensor *w, ag_shape places, ag_shape stride, ag_shape dilation,
                               ag_shape before);

/* ag_depthwise_transposed -- y[n, i·stride+u·dilation−before…, c] += x[n,i…,c]·w[u…,c]: the adjoint, without elements
 * that would be beyond y
 * Shape:  x (N,O…,C), w (K…,C) -> (N,extents…,C)
 * Dtype:  real
 * Grad:   x̄ = ȳ, by ag_depthwise;  w̄[u…,c] = Σ x·ȳ
 * Errors: as ag_depthwise
 * Source: torch.nn.functional.conv_transpose2d with as many groups as channels */
AG_API ag_tensor *ag_depthwise_transposed(ag_tensor *x, ag_tensor *w, ag_shape extents, ag_shape stride,
                                          ag_shape dilation, ag_shape before);

#endif
