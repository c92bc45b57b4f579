/* matmul -- products of matrices, vectors and tensors
 *
 * Large products are divided among the tape's threads; elements have the same bits for any number of them. The products
 * that have a name, and ag_einsum, which has all of them, are composed of ag_matmul and ag_tensordot, of elementwise
 * products and of sums, so their gradients follow from the graph.
 *
 * Errors do not grow with the number of terms. The largest of up to a million, in ε·Σ|a·b| as in reduce.h:
 *     Units of sums: matmul 2.5, tensordot 2.5; */
#ifndef AG_OPS_MATMUL_H
#define AG_OPS_MATMUL_H

#include "autograd/types.h"

/* ag_matmul -- the matrix product y = a·b over the last two axes; transposed and sliced operands are not copied first
 * In builds with BLIS, which are not the default, a large product of f64 may end the process when out of memory.
 * A vector a is a row, a vector b a column, and the result does not have the axis that they lack.
 * Shape:  a (…,m,k), b (…,k,n) -> (…,m,n); leading axes broadcast. a (k) -> (…,n); b (k) -> (…,m); both -> ()
 * Dtype:  real
 * Grad:   ā = ȳ·bᵀ,  b̄ = aᵀ·ȳ
 * Errors: AG_ERR_SHAPE if k differs, leading axes do not fit, or an operand has no axis; AG_ERR_DTYPE
 * Source: numpy.matmul */
AG_API ag_tensor *ag_matmul(ag_tensor *a, ag_tensor *b);

/* ag_strong_matmul -- y = a·b over the last two axes, where a 0 of a times anything is 0, infinity and NaN too
 * So weights that leave something out do: attention uses it below a mask. It costs a look at the elements of y.
 * Shape:  a (…,m,k), b (…,k,n) -> (…,m,n); leading axes broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·bᵀ,  b̄ = aᵀ·ȳ, where a 0 of aᵀ times anything is 0 as well
 * Errors: AG_ERR_SHAPE if k differs, leading axes do not fit, or there are fewer than two axes; AG_ERR_DTYPE
 * Source: as ag_strong_mul */
AG_API ag_tensor *ag_strong_matmul(ag_tensor *a, ag_tensor *b);

/* ag_tensordot -- y[…,…] = Σ a[…,k…]·b[k…,…] over the last `axes` axes of a, which are the first of b
 * Views are not copied first, whatever their strides: a convolution is such a product of the windows of an image.
 * Shape:  a (m…,k…), b (k…,n…) -> (m…,n…)
 * Dtype:  real
 * Grad:   ā = ȳ·bᵀ over n…,  b̄ = aᵀ·ȳ over m…, where ᵀ exchanges the groups of axes
 * Errors: AG_ERR_AXIS if a or b has fewer axes; AG_ERR_SHAPE if k… differ, or for too many axes; AG_ERR_DTYPE
 * Source: numpy.tensordot with a number of axes */
AG_API ag_tensor *ag_tensordot(ag_tensor *a, ag_tensor *b, int axes);

/* ag_tensordot_over -- y[…,…] = Σ a[…k…]·b[…k…] over any axes of a and as many of b, in pairs; composed
 * Shape:  a, b -> the other axes of a in their order, then those of b
 * Dtype:  real
 * Grad:   as ag_tensordot
 * Errors: AG_ERR_AXIS, also for two lists of different lengths; AG_ERR_SHAPE if k… differ, or for too many axes;
 *         AG_ERR_DTYPE
 * Source: numpy.tensordot with two lists of axes */
AG_API ag_tensor *ag_tensordot_over(ag_tensor *a, ag_tensor *b, ag_axes axes_a, ag_axes axes_b);

/* ag_einsum -- a sum of products that a text describes: "bij,bjk->bik" is a batch of matrix products; composed
 * Each operand's axes have letters, upper and lower case being different ones, and operands are separated by commas. An
 * axis whose letter is behind the arrow stays, at that place; the others are summed over. Without an arrow those stay
 * whose letter occurs once, in alphabetical order, A–Z first. A letter twice in an operand is its diagonal. "..."
 * stands for any axes in front, between or behind, which broadcast, and come first without an arrow. An axis of
 * extent 1 broadcasts to others of its letter. Spaces mean nothing. Example: ag_einsum("bij,bjk->bik", 2, x).
 * Operands are multiplied in pairs, in the order that takes the fewest multiplications for up to 7 of them, beyond
 * that in one that keeps intermediate results small. Sums over an axis of one operand are taken first.
 * Shape:  x[i] as the text says -> as the text says
 * Dtype:  i64 or real, the same for all
 * Grad:   x̄[i] = einsum of ȳ and the other x, from the graph
 * Errors: AG_ERR_SHAPE for a text that cannot be read, with the place in it, or does not fit the shapes, or if an
 *         intermediate result would have more than 8 axes, or more elements than can be counted; AG_ERR_NULL;
 *         AG_ERR_DTYPE; AG_ERR_RANGE unless 1 <= n <= 32
 * Source: numpy.einsum; the order as in opt_einsum (Smith and Gray, 2018) */
AG_API ag_tensor *ag_einsum(const char *text, int n, ag_tensor *const x[]);

/* ag_dot -- y[…,…,n] = Σ a[…,k]·b[…,k,n]: the last axis of a with the one before the last of b, or its only one;
 * composed
 * Shape:  a (…,k), b (…,k,n) -> (a's …,b's …,n); b (k) -> a's …; a 0-d operand multiplies the other one
 * Dtype:  real
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE if k differs or for too many axes; AG_ERR_DTYPE
 * Source: numpy.dot */
AG_API ag_tensor *ag_dot(ag_tensor *a, ag_tensor *b);

/* ag_vdot -- y = Σ a·b over all elements, in row-major order; composed
 * Shape:  a (…), b (…) of the same number of elements -> ()
 * Dtype:  real
 * Grad:   ā = ȳ·b,  b̄ = ȳ·a
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.vdot */
AG_API ag_tensor *ag_vdot(ag_tensor *a, ag_tensor *b);

/* ag_inner -- y[…,…] = Σ a[…,k]·b[…,k] over the last axes; composed
 * Shape:  a (…,k), b (…,k) -> (a's …,b's …); a 0-d operand multiplies the other one
 * Dtype:  real
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE if k differs or for too many axes; AG_ERR_DTYPE
 * Source: numpy.inner */
AG_API ag_tensor *ag_inner(ag_tensor *a, ag_tensor *b);

/* ag_outer -- y[i,j] = a[i]·b[j], of the elements in row-major order; composed
 * Shape:  a (…) of m elements, b (…) of n -> (m,n)
 * Dtype:  i64 or real
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE for too many elements; AG_ERR_DTYPE
 * Source: numpy.outer */
AG_API ag_tensor *ag_outer(ag_tensor *a, ag_tensor *b);

/* ag_kron -- y[i·p+k,…] = a[i,…]·b[k,…] along every axis, of p elements in b; the shorter shape gets leading axes;
 * composed
 * Shape:  a (m,…), b (p,…) -> (m·p,…)
 * Dtype:  i64 or real
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE for too many elements; AG_ERR_DTYPE
 * Source: numpy.kron */
AG_API ag_tensor *ag_kron(ag_tensor *a, ag_tensor *b);

/* ag_cross -- y = a × b, vectors along one axis of 3 elements; composed
 * Shape:  a (…,3,…), b (…,3,…) broadcast to each other -> (…,3,…); the axis is one of the result
 * Dtype:  i64 or real
 * Grad:   ā = b × ȳ,  b̄ = ȳ × a
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE unless both have 3 elements there; AG_ERR_DTYPE
 * Source: torch.linalg.cross */
AG_API ag_tensor *ag_cross(ag_tensor *a, ag_tensor *b, int axis);

/* ag_matrix_trace -- y = Σ x[…,i,i]: the sum of the diagonals of matrices; composed
 * Shape:  x (…,m,n) -> (…)
 * Dtype:  i64 or real
 * Grad:   x̄ = ȳ on the diagonal, 0 elsewhere
 * Errors: AG_ERR_SHAPE for fewer than two axes; AG_ERR_DTYPE
 * Source: numpy.linalg.trace */
AG_API ag_tensor *ag_matrix_trace(ag_tensor *x);

/* ag_matrix_trace_over -- y = Σ x[…,i,…,i+offset,…]: of the diagonals that two axes span, above the main one or
 * below; composed
 * Shape:  x (…,m,…,n,…) -> (…) without both axes
 * Dtype:  i64 or real
 * Grad:   x̄ = ȳ on the diagonal, 0 elsewhere
 * Errors: AG_ERR_AXIS, also for one axis twice; AG_ERR_DTYPE
 * Source: numpy.trace */
AG_API ag_tensor *ag_matrix_trace_over(ag_tensor *x, int64_t offset, int axis0, int axis1);

#endif
