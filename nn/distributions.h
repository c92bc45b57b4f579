/* distributions -- densities, samples, moments and divergences of probability distributions
 *
 * A distribution is a family and its parameters, tensors that are broadcast to each other and to x:
 *
 *     ag_distribution d = {AG_DIST_GAMMA, {shape, rate}};
 *     ag_tensor *x = ag_draw(&d), *l = ag_log_prob(&d, x);
 *
 * Outside of a family's support the logarithm of a density is −∞, with the gradient 0. Where x or a parameter is NaN,
 * or a parameter is invalid, it is NaN, and so is all that depends on that: a sample, a mean, a divergence. Gradients
 * are of any order, from the graph, except those of samples: ops/random.h.
 *
 * Log-densities and entropies, and their first slopes, have their digits for large parameters and near a mode. Errors
 * found by mpmath for parameters from 0.001 to 1e8 (f32: 0.01 to 1e5), in roundings of the result or, where that is
 * more, of what a rounding of the arguments changes in it: values 70, slopes 200, Student's with a freedom below 0.01
 * 1000. Divergences are differences of terms that grow with the parameters, and lose the digits that these have in
 * common. */
#ifndef AG_NN_DISTRIBUTIONS_H
#define AG_NN_DISTRIBUTIONS_H

#include "autograd/autograd.h"

/* ag_family -- a kind of distribution, with its parameters and its support */
typedef enum ag_family {
    AG_DIST_NORMAL,       /* mean, std > 0: all numbers */
    AG_DIST_UNIFORM,      /* low < high: low <= x < high */
    AG_DIST_EXPONENTIAL,  /* rate > 0: x >= 0 */
    AG_DIST_LAPLACE,      /* location, scale > 0: all numbers */
    AG_DIST_CAUCHY,       /* location, scale > 0: all numbers */
    AG_DIST_GUMBEL,       /* location, scale > 0: all numbers */
    AG_DIST_GAMMA,        /* shape > 0, rate > 0: x >= 0 */
    AG_DIST_BETA,         /* a > 0, b > 0: 0 <= x <= 1 */
    AG_DIST_STUDENT,      /* freedom > 0, location, scale > 0: all numbers */
    AG_DIST_BERNOULLI,    /* 0 <= p <= 1: x is 0 or 1 */
    AG_DIST_BINOMIAL,     /* n = 0, 1, …, 0 <= p <= 1: x is whole, from 0 to n */
    AG_DIST_POISSON,      /* rate >= 0: x is whole, from 0 on */
    AG_DIST_CATEGORICAL,  /* scores (…,C), whose softmax is the probabilities: x is i64 (…), from 0 to C−1 */
    AG_DIST_DIRICHLET,    /* a (…,n) > 0: x (…,n) >= 0 with the sum 1, within 1e-6 (f32: 1e-4) */
    AG_DIST_MULTI_NORMAL, /* mean (…,n), lower triangular L (…,n,n) with the covariance L·Lᵀ: all x (…,n) */
    AG_DIST_FAMILIES
} ag_family;

/* ag_distribution -- a family and its parameters, in the order of its line above; the others NULL */
typedef struct ag_distribution {
    ag_family family;
    ag_tensor *parameter[3];
} ag_distribution;

/* ag_log_prob -- the logarithm of the density at x or, of whole numbers, of their probability
 * Shape:  x broadcast with the parameters; without the last axis where x is a vector
 * Dtype:  real, the same for x and the parameters; x i64 for AG_DIST_CATEGORICAL
 * Grad:   from the graph, by x and the parameters; 0 outside of the support
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for an invalid family
 * Source: torch.distributions.Distribution.log_prob; SciPy's logpdf and logpmf at the ends of a support */
AG_API ag_tensor *ag_log_prob(const ag_distribution *d, ag_tensor *x);

/* ag_draw -- a number, or a vector, for each element of the parameters; ops/random.h says how they are made
 * Shape:  that of the parameters, broadcast; (…) of scores (…,C)
 * Dtype:  that of the parameters; i64 for AG_DIST_CATEGORICAL
 * Grad:   of the continuous families, by the parameters, the random bits held
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for an invalid family
 * Source: torch.distributions.Distribution.rsample */
AG_API ag_tensor *ag_draw(const ag_distribution *d);

/* ag_distribution_mean -- the mean; NaN where there is none
 * Shape:  that of the parameters, broadcast
 * Dtype:  that of the parameters
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for an invalid family, and AG_DIST_CATEGORICAL
 * Source: torch.distributions.Distribution.mean */
AG_API ag_tensor *ag_distribution_mean(const ag_distribution *d);

/* ag_distribution_variance -- the variance, of each element of a vector; ∞ or NaN where there is none
 * Shape:  that of the parameters, broadcast
 * Dtype:  that of the parameters
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for an invalid family, and AG_DIST_CATEGORICAL
 * Source: torch.distributions.Distribution.variance */
AG_API ag_tensor *ag_distribution_variance(const ag_distribution *d);

/* ag_entropy -- −E ln p(x), in nats
 * Shape:  that of the parameters, broadcast; without the last axis where x is a vector, and of scores
 * Dtype:  that of the parameters
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for an invalid family, AG_DIST_BINOMIAL and AG_DIST_POISSON, whose
 *         entropies have no closed form
 * Source: torch.distributions.Distribution.entropy */
AG_API ag_tensor *ag_entropy(const ag_distribution *d);

/* ag_cdf -- the probability of a number up to x
 * Shape:  x broadcast with the parameters
 * Dtype:  real, the same for x and the parameters
 * Grad:   from the graph, by x and the parameters; by shape, a, b and freedom of the second order at most: ag_gammainc
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for an invalid family, AG_DIST_CATEGORICAL, AG_DIST_DIRICHLET and
 *         AG_DIST_MULTI_NORMAL
 * Source: torch.distributions.Distribution.cdf, scipy.stats */
AG_API ag_tensor *ag_cdf(const ag_distribution *d, ag_tensor *x);

/* ag_divergence -- the Kullback-Leibler divergence E ln(p(x)/q(x)) of two distributions, x being p's
 * They are of one family, or of two, wherever PyTorch has a closed form: q normal for any p that is continuous and has
 * a variance (AG_DIST_STUDENT not); q exponential, gamma, beta or uniform for continuous p with another support than
 * all numbers, AG_DIST_EXPONENTIAL and AG_DIST_GAMMA among each other, and AG_DIST_GUMBEL for some; Laplace for normal;
 * Poisson for Bernoulli. ∞ where p has numbers that q has not.
 * Shape:  that of the parameters of both, broadcast; without the last axis where x is a vector, and of scores
 * Dtype:  real, the same for all parameters
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for an invalid family, for two without a closed form, and for
 *         AG_DIST_STUDENT. NaN for AG_DIST_BINOMIAL where p's n is less than q's
 * Source: torch.distributions.kl_divergence */
AG_API ag_tensor *ag_divergence(const ag_distribution *p, const ag_distribution *q);

#endif
