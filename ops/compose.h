/* compose -- functions composed of other operations: softmax and its like
 *
 * Their gradients follow from the graph. Values and gradients are right to a few units in the last place for any finite
 * x, also where a softmax is nearly 0 or 1, except for the sum at the end of ag_logsumexp.
 *
 * Errors, as in reduce.h: of softmax in ε·y·(1 + m − x) with m the largest x, for the exponent m − x is rounded; of
 * log_softmax in ε·(1 + |y|):
 *     Units of sums: softmax 2, log_softmax 1.5; */
#ifndef AG_OPS_COMPOSE_H
#define AG_OPS_COMPOSE_H

#include "autograd/types.h"

/* ag_logsumexp -- y = ln Σ e^x along an axis; −inf where all x are
 * Shape:  x (…,n,…) -> (…) without the axis, or with extent 1 in its place
 * Dtype:  real
 * Grad:   x̄ = ȳ·softmax(x); 0 where y is infinite
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if the axis has no elements
 * Source: scipy.special.logsumexp */
AG_API ag_tensor *ag_logsumexp(ag_tensor *x, int axis, bool keepdims);

/* ag_softmax -- y = e^x / Σ e^x along an axis, safe for any finite x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = y·(ȳ − Σ ȳ·y)
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if the axis has no elements
 * Source: torch.softmax */
AG_API ag_tensor *ag_softmax(ag_tensor *x, int axis);

/* ag_log_softmax -- y = x − logsumexp(x) along an axis, safe for any finite x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ − softmax(x)·Σ ȳ
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if the axis has no elements
 * Source: torch.log_softmax */
AG_API ag_tensor *ag_log_softmax(ag_tensor *x, int axis);

/* ag_logsumexp_over -- y = ln Σ e^x over `axes`; −inf where all x are
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   x̄ = ȳ·softmax(x); 0 where y is infinite
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if an axis has no elements
 * Source: scipy.special.logsumexp */
AG_API ag_tensor *ag_logsumexp_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_softmax_over -- y = e^x / Σ e^x over `axes`, safe for any finite x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = y·(ȳ − Σ ȳ·y)
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if an axis has no elements
 * Source: scipy.special.softmax */
AG_API ag_tensor *ag_softmax_over(ag_tensor *x, ag_axes axes);

/* ag_log_softmax_over -- y = x − logsumexp(x) over `axes`, safe for any finite x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ − softmax(x)·Σ ȳ
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if an axis has no elements
 * Source: scipy.special.log_softmax */
AG_API ag_tensor *ag_log_softmax_over(ag_tensor *x, ag_axes axes);

/* ag_surprisal -- y = −ln softmax(x) along an axis, only of the elements that ag_gather would choose by this index
 * Shape:  x (…,m,…), index (…,n,…) of the same rank -> (…,n,…)
 * Dtype:  x real; index i64, 0 <= index < m
 * Grad:   x̄ = softmax(x)·Σ ȳ, minus ȳ at the chosen elements
 * Errors: as ag_log_softmax and ag_gather
 * Source: torch.nn.functional.cross_entropy, before it takes the mean */
AG_API ag_tensor *ag_surprisal(ag_tensor *x, ag_tensor *index, int axis);

#endif
