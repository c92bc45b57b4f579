/* matmul -- matrix products
 *
 * Large products are divided among the tape's threads; elements have the same bits for any number of them. */
#ifndef AG_OPS_MATMUL_H
#define AG_OPS_MATMUL_H

#include "autograd/types.h"

/* ag_matmul -- y = a·b over the last two axes; transposed and sliced operands are not copied first
 * In builds with BLIS, which are not the default, a large product of f64 may end the process when out of memory.
 * Shape:  a (…,m,k), b (…,k,n) -> (…,m,n); leading axes broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·bᵀ,  b̄ = aᵀ·ȳ
 * Errors: AG_ERR_SHAPE if k differs, leading axes do not fit, or there are fewer than two axes; AG_ERR_DTYPE
 * Source: numpy.matmul */
AG_API ag_tensor *ag_matmul(ag_tensor *a, ag_tensor *b);

/* ag_tensordot -- y[…,…] = Σ a[…,k…]·b[k…,…] over the last `axes` axes of a, which are the first of b
 * Views are not copied first, whatever their strides: a convolution is such a product of the windows of an image.
 * Shape:  a (m…,k…), b (k…,n…) -> (m…,n…)
 * Dtype:  real
 * Grad:   ā = ȳ·bᵀ over n…,  b̄ = aᵀ·ȳ over m…, where ᵀ exchanges the groups of axes
 * Errors: AG_ERR_AXIS if a or b has fewer axes; AG_ERR_SHAPE if k… differ, or for too many axes; AG_ERR_DTYPE
 * Source: numpy.tensordot with a number of axes */
AG_API ag_tensor *ag_tensordot(ag_tensor *a, ag_tensor *b, int axes);

#endif
