/* matmul -- matrix products
 *
 * Large ones are divided over the tape's threads; an element of y has the same bits for any number of them. */
#ifndef AG_OPS_MATMUL_H
#define AG_OPS_MATMUL_H

#include "autograd/types.h"

/* ag_matmul -- y = a·b over the last two axes; transposed and sliced operands are not copied first
 *
 * In builds with BLIS, which is not the default, the process may end if a large product of f64 runs out of memory.
 *
 * Shape:  a (…,m,k), b (…,k,n) -> (…,m,n); leading axes broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·bᵀ,  b̄ = aᵀ·ȳ
 * Errors: AG_ERR_SHAPE if k differs, leading axes do not fit, or there are fewer than two axes; AG_ERR_DTYPE
 * Source: numpy.matmul */
AG_API ag_tensor *ag_matmul(ag_tensor *a, ag_tensor *b);

#endif
