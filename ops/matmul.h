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

#endif
