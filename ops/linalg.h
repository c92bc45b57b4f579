/* linalg -- linear algebra: equations, inverses, determinants, factorisations
 *
 * Each function takes the matrices of the last two axes; the axes in front of them, up to 6, are a batch, and
 * broadcast where there are two operands. Gradients are operations, so there are those of any order; they follow
 * Giles, Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic Differentiation (2008), Murray
 * (2016) for Cholesky's factorisation, Walter and Lehmann (2010) for QR, and Townsend, Differentiating the Singular
 * Value Decomposition (2016).
 *
 * What is only known when values are computed is an error then, as where NumPy raises LinAlgError: AG_ERR_SINGULAR,
 * with the operation and the matrix's place in the batch. Matrices that are nearly singular have results that are as
 * inexact as their condition number says; there is no warning.
 *
 * QR, eigenvalues, singular values and what is made of them are computed by LAPACK: ag_qr, ag_eigh, ag_eigvalsh,
 * ag_svd, ag_svdvals, ag_pinv, ag_lstsq, ag_matrix_rank, and ag_matrix_norm of the kinds 2, −2 and nuclear. It is
 * loaded when first needed; where it is not there, these are refused with AG_ERR_LIBRARY. The others are the library's
 * own. LAPACK may use threads of its own, as its vendor decides: its bits may then depend on their number, and on the
 * processor. It allocates nothing, but some vendors' libraries do, and may end the process if that fails.
 *
 * A result that is not chosen, as by ag_where, has no influence on a gradient, whatever it was computed from; but two
 * kinds of functions have an error or NaN there, and want a choice between matrices instead, such as ag_solve(
 * ag_where(good, a, identity), b). Equations, inverses, determinants, ag_lu and ag_qr: AG_ERR_SINGULAR where a matrix
 * is singular. ag_cholesky, ag_matrix_exp, ag_eigh, ag_svd and what is made of these: NaN or AG_ERR_SINGULAR also
 * where it is not finite; ag_matrix_exp NaN also where its exponential is not.
 *
 * Where eigenvalues meet, or singular values, the derivative of single vectors does not exist, and their gradient has
 * infinities or NaN, as in PyTorch; near there it is large. A gradient of the values alone, or of what does not
 * depend on the choice of vectors, such as v·f(w)·vᵀ computed by ag_matrix_exp or ag_pinv, is fine. Signs of vectors
 * are LAPACK's choice. */
#ifndef AG_OPS_LINALG_H
#define AG_OPS_LINALG_H

#include "autograd/types.h"

/* ag_solve -- x with a·x = b, by Gaussian elimination with row exchanges
 * Shape:  a (…,n,n), b (…,n,k) -> (…,n,k); b (n) -> (…,n); leading axes broadcast
 * Dtype:  real
 * Grad:   b̄ = a⁻ᵀ·x̄,  ā = −b̄·xᵀ, with the same elimination
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_SINGULAR when evaluated, if a pivot is 0
 * Source: numpy.linalg.solve, of version 2 */
AG_API ag_tensor *ag_solve(ag_tensor *a, ag_tensor *b);

/* ag_solve_triangular -- x with a·x = b for a triangular a, of which nothing else is read; `unit`: nor its diagonal,
 * which is 1
 * Shape:  a (…,n,n), b (…,n,k) -> (…,n,k); b (n) -> (…,n); leading axes broadcast
 * Dtype:  real
 * Grad:   b̄ = a⁻ᵀ·x̄,  ā = −b̄·xᵀ in the triangle
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_SINGULAR when evaluated, if there is a 0 on the diagonal
 * Source: torch.linalg.solve_triangular */
AG_API ag_tensor *ag_solve_triangular(ag_tensor *a, ag_tensor *b, bool upper, bool unit);

/* ag_inverse -- y = a⁻¹; ag_solve is faster and more exact where the inverse is only multiplied
 * Shape:  a (…,n,n) -> (…,n,n)
 * Dtype:  real
 * Grad:   ā = −yᵀ·ȳ·yᵀ
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_SINGULAR when evaluated, if a pivot is 0
 * Source: numpy.linalg.inv */
AG_API ag_tensor *ag_inverse(ag_tensor *a);

/* ag_det -- y = the determinant; 1 of a matrix without rows. Products on the way neither overflow nor vanish
 * Shape:  a (…,n,n) -> (…)
 * Dtype:  real
 * Grad:   ā = ȳ·the matrix of cofactors, exact for singular a too; its own derivative, by det a·a⁻ᵀ, is not:
 *         AG_ERR_SINGULAR
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.linalg.det; cofactors by elimination with complete pivoting */
AG_API ag_tensor *ag_det(ag_tensor *a);

/* ag_slogdet -- the determinant's sign and the logarithm of its magnitude; 0 and −inf of a singular matrix
 * Shape:  a (…,n,n) -> sign (…), logabsdet (…)
 * Dtype:  real
 * Grad:   ā = logabsdet's cotangent·a⁻ᵀ; none by the sign
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_SINGULAR for the gradient, when evaluated
 * Source: numpy.linalg.slogdet */
AG_API ag_status ag_slogdet(ag_tensor *a, ag_tensor **sign, ag_tensor **logabsdet);

/* ag_cholesky -- the lower l, with positive diagonal, of l·lᵀ = (a + aᵀ)/2
 * Shape:  a (…,n,n) -> (…,n,n)
 * Dtype:  real
 * Grad:   ā = ½·l⁻ᵀ·S·l⁻¹, S the lower triangle of lᵀ·l̄, mirrored
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_SINGULAR when evaluated, if a is not positive definite, or has NaN
 * Source: numpy.linalg.cholesky; the symmetric part as in jax.numpy.linalg.cholesky */
AG_API ag_tensor *ag_cholesky(ag_tensor *a);

/* ag_lu -- a = p·l·u: a permutation, a unit lower triangle, an upper one; by Gaussian elimination with row exchanges
 * Shape:  a (…,m,n) -> p (…,m,m), l (…,m,k), u (…,k,n) for k = min(m,n)
 * Dtype:  real
 * Grad:   ā = p·l⁻ᵀ·[(lᵀ·l̄ below the diagonal) + (ū·uᵀ on and above it)]·u⁻ᵀ if m = n; none by p
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_SINGULAR for the gradient, when evaluated, if the first k columns or
 *         rows of u or l are singular
 * Source: scipy.linalg.lu; the gradient after de Hoog, Anderssen and Lukas (2011) */
AG_API ag_status ag_lu(ag_tensor *a, ag_tensor **p, ag_tensor **l, ag_tensor **u);

/* ag_matrix_power -- y = a·a·…·a, n times; the identity for n = 0; of the inverse for n < 0; composed
 * Shape:  a (…,m,m) -> (…,m,m)
 * Dtype:  real
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_SINGULAR when evaluated, for n < 0
 * Source: numpy.linalg.matrix_power */
AG_API ag_tensor *ag_matrix_power(ag_tensor *a, int64_t n);

/* ag_matrix_exp -- y = Σ aⁱ/i!, by scaling, a Padé approximant and squaring; NaN if an element is not finite
 * Shape:  a (…,n,n) -> (…,n,n)
 * Dtype:  real
 * Grad:   ā = the upper right part of exp [aᵀ ȳ; 0 aᵀ]
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: Higham, The Scaling and Squaring Method for the Matrix Exponential Revisited (2005); torch.matrix_exp */
AG_API ag_tensor *ag_matrix_exp(ag_tensor *a);

/* ag_qr -- a = q·r, with orthonormal columns of q and an upper triangle r; signs as LAPACK has them. NaN if an
 * element is not finite
 * Shape:  a (…,m,n) -> q (…,m,k), r (…,k,n) for k = min(m,n)
 * Dtype:  real
 * Grad:   ā = (q̄ + q·M)·r⁻ᵀ for m >= n, M the lower triangle of r·r̄ᵀ − q̄ᵀ·q, mirrored
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE, AG_ERR_LIBRARY; AG_ERR_SINGULAR for the gradient, when evaluated, if the first k
 *         columns are dependent
 * Source: numpy.linalg.qr; the gradient of wide matrices after Roberts and Roberts (2020) */
AG_API ag_status ag_qr(ag_tensor *a, ag_tensor **q, ag_tensor **r);

/* ag_eigh -- (a + aᵀ)/2 = v·diag(w)·vᵀ by eigenvalues w, the smallest first, and orthonormal eigenvectors v
 * Shape:  a (…,n,n) -> w (…,n), v (…,n,n), a vector in each column
 * Dtype:  real
 * Grad:   ā = v·[diag(w̄) + ½·(M − Mᵀ)/(wⱼ − wᵢ)]·vᵀ, M = vᵀ·v̄; symmetric; not finite where eigenvalues meet and v̄
 *         is not 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE, AG_ERR_LIBRARY; AG_ERR_SINGULAR when evaluated, if an element is not finite or
 *         the iteration does not converge
 * Source: numpy.linalg.eigh; the symmetric part as in jax.numpy.linalg.eigh */
AG_API ag_status ag_eigh(ag_tensor *a, ag_tensor **w, ag_tensor **v);

/* ag_eigvalsh -- the eigenvalues of (a + aᵀ)/2, the smallest first
 * Unless a requires a gradient, vectors are not computed: that takes half the time, and the last digits may differ.
 * Shape:  a (…,n,n) -> (…,n)
 * Dtype:  real
 * Grad:   ā = v·diag(w̄)·vᵀ, also where eigenvalues meet; its own derivative is not finite there
 * Errors: as ag_eigh
 * Source: numpy.linalg.eigvalsh */
AG_API ag_tensor *ag_eigvalsh(ag_tensor *a);

/* ag_svd -- a = u·diag(s)·vt, with orthonormal columns of u and rows of vt, and s >= 0, the largest first
 * Shape:  a (…,m,n) -> u (…,m,k), s (…,k), vt (…,k,n) for k = min(m,n)
 * Dtype:  real
 * Grad:   after Townsend (2016), equation 26 on; not finite where singular values meet, or are 0 beside a side that
 *         is longer, and a vector has a cotangent
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE, AG_ERR_LIBRARY; AG_ERR_SINGULAR when evaluated, if an element is not finite or
 *         the iteration does not converge
 * Source: numpy.linalg.svd with full_matrices=False */
AG_API ag_status ag_svd(ag_tensor *a, ag_tensor **u, ag_tensor **s, ag_tensor **vt);

/* ag_svdvals -- the singular values, the largest first
 * They are computed without vectors when ag_eigvalsh is, and differ in the same way.
 * Shape:  a (…,m,n) -> (…,min(m,n))
 * Dtype:  real
 * Grad:   ā = u·diag(s̄)·vᵀ, also where singular values meet; its own derivative is not finite there
 * Errors: as ag_svd
 * Source: torch.linalg.svdvals */
AG_API ag_tensor *ag_svdvals(ag_tensor *a);

/* ag_lstsq -- the shortest x for which ‖a·x − b‖ is least; singular values of at most rcond times the largest count
 * as 0. rcond < 0 stands for max(m,n) units of the dtype's precision
 * Shape:  a (…,m,n), b (…,m,p) -> (…,n,p); b (m) -> (…,n); leading axes broadcast
 * Dtype:  real
 * Grad:   b̄ = (aᵀ)⁺·x̄,  ā by b̄, with the same singular values; for a of constant rank
 * Errors: AG_ERR_RANGE if rcond is NaN; AG_ERR_SHAPE, AG_ERR_DTYPE, AG_ERR_LIBRARY; AG_ERR_SINGULAR as ag_svd
 * Source: numpy.linalg.lstsq; the gradient after Golub and Pereyra (1973) */
AG_API ag_tensor *ag_lstsq(ag_tensor *a, ag_tensor *b, double rcond);

/* ag_pinv -- the pseudoinverse a⁺; rcond as in ag_lstsq, which is more exact where a⁺ is only multiplied
 * Shape:  a (…,m,n) -> (…,n,m)
 * Dtype:  real
 * Grad:   as ag_lstsq with b = 1
 * Errors: as ag_lstsq
 * Source: numpy.linalg.pinv, with the rcond of torch.linalg.pinv */
AG_API ag_tensor *ag_pinv(ag_tensor *a, double rcond);

/* ag_matrix_rank -- y = how many singular values are more than rcond times the largest; rcond as in ag_lstsq
 * Shape:  a (…,m,n) -> (…)
 * Dtype:  real -> i64
 * Grad:   not differentiable
 * Errors: as ag_lstsq
 * Source: numpy.linalg.matrix_rank */
AG_API ag_tensor *ag_matrix_rank(ag_tensor *a, double rcond);

/* ag_matrix_norm_kind -- Frobenius: √Σ x²; nuclear: the sum of the singular values, 2 the largest, −2 the smallest;
 * 1 the largest sum of magnitudes in a column, −1 the smallest; inf and −inf in a row */
typedef enum ag_matrix_norm_kind {
    AG_NORM_FROBENIUS,
    AG_NORM_NUCLEAR,
    AG_NORM_1,
    AG_NORM_MINUS_1,
    AG_NORM_2,
    AG_NORM_MINUS_2,
    AG_NORM_INF,
    AG_NORM_MINUS_INF
} ag_matrix_norm_kind;

/* ag_matrix_norm -- y = a norm of each matrix; composed
 * Shape:  x (…,m,n) -> (…), or (…,1,1) with keepdims
 * Dtype:  real
 * Grad:   from the graph; 0 by the Frobenius norm at 0; split evenly over equal extremes
 * Errors: AG_ERR_SHAPE, also for a norm other than the first two of no elements; AG_ERR_DTYPE; AG_ERR_RANGE for no
 *         kind; AG_ERR_LIBRARY and AG_ERR_SINGULAR as ag_svd for nuclear, 2 and −2
 * Source: numpy.linalg.norm with two axes */
AG_API ag_tensor *ag_matrix_norm(ag_tensor *x, ag_matrix_norm_kind kind, bool keepdims);

#endif
