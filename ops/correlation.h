/* correlation -- convolutions without a copy of all windows, and their adjoints
 *
 * nn/images.h has convolutions with bias and all kinds of padding, which are composed of these. */
#ifndef AG_OPS_CORRELATION_H
#define AG_OPS_CORRELATION_H

#include "autograd/types.h"

/* ag_correlation -- y[n,i…,k] = Σ x[n, i·stride+u·dilation−before…, c]·w[u…,c,k] over u… and c, with 0 beyond x
 * Shapes of numbers have one for each of one to three axes L…. With G groups, group g of K/G channels sums over group
 * g of C/G channels only.
 * Shape:  x (N,L…,C), w (U…,C/G,K) -> (N,places…,K)
 * Dtype:  real
 * Grad:   x̄ = ȳ, by ag_correlation_transposed;  w̄[u…,c,k] = Σ x·ȳ
 * Errors: AG_ERR_SHAPE unless x and w are as above, and there is a number for each axis; AG_ERR_RANGE unless groups,
 *         stride, dilation and windows are at least 1, and extents, places and before at least 0; AG_ERR_DTYPE
 * Source: torch.nn.functional.conv2d */
AG_API ag_tensor *ag_correlation(ag_tensor *x, ag_tensor *w, int64_t groups, ag_shape places, ag_shape stride,
                                 ag_shape dilation, ag_shape before);

/* ag_correlation_transposed -- y[n, i·stride+u·dilation−before…, c] += x[n,i…,k]·w[u…,c,k]: the adjoint, without
 * elements that would be beyond y
 * Shape:  x (N,O…,K), w (U…,C/G,K) -> (N,extents…,C)
 * Dtype:  real
 * Grad:   x̄ = ȳ, by ag_correlation;  w̄[u…,c,k] = Σ ȳ·x
 * Errors: as ag_correlation
 * Source: torch.nn.functional.conv_transpose2d */
AG_API ag_tensor *ag_correlation_transposed(ag_tensor *x, ag_tensor *w, int64_t groups, ag_shape extents,
                                            ag_shape stride, ag_shape dilation, ag_shape before);

#endif
