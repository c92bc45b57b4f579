/* random -- random numbers: whole ones, orders, choices, and those of distributions whose parameters are tensors
 *
 * All follow from the tape's seed and the number of the draw alone, as ag_uniform and ag_normal (ops/source.h) do: they
 * have the same bits for any number of threads. Each call draws anew; ag_tape_seed repeats the draws.
 *
 * ag_draw_… makes a number for each element of its parameters, which are broadcast to each other and have one dtype;
 * ag_full makes a parameter of any shape from a number. Where a parameter is invalid, NaN included, the number is NaN.
 * A number that is continuous in its parameters has gradients by them: those of the same draw, its random bits held.
 * Each is finite, and computed from at least 24 random bits in f32, 53 in f64. */
#ifndef AG_OPS_RANDOM_H
#define AG_OPS_RANDOM_H

#include "autograd/types.h"

/* ---- Whole numbers, orders, choices ---- */

/* ag_randint -- independent whole numbers, low <= y < high, all equally probable
 * Shape:  () -> shape
 * Dtype:  i64
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE; AG_ERR_RANGE unless low < high
 * Source: torch.randint; D. Lemire, Fast random integer generation in an interval (2019) */
AG_API ag_tensor *ag_randint(ag_tape *tape, ag_shape shape, int64_t low, int64_t high);

/* ag_permutation -- 0, 1, … n−1 in random order
 * Shape:  () -> (n)
 * Dtype:  i64
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE for n < 0
 * Source: torch.randperm; R. Durstenfeld, Algorithm 235: Random permutation (1964); a long one in parts, as by C. Rao,
 *         Generation of random permutations of given number of elements using random sampling numbers (1961) */
AG_API ag_tensor *ag_permutation(ag_tape *tape, int64_t n);

/* ag_shuffle -- x in a random order along an axis: whole rows for axis 0
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, in the former order
 * Errors: AG_ERR_AXIS
 * Source: numpy.random.Generator.permutation */
AG_API ag_tensor *ag_shuffle(ag_tensor *x, int axis);

/* ag_multinomial -- `count` indices of each row, as probable as the row's weights say, which need not add up to 1
 * Without replacement those of a row differ, as if drawn one after the other from what is left.
 * Shape:  weights (…,C) -> (…,count)
 * Dtype:  weights real -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for count < 0 or, without replacement, count > C; when evaluated,
 *         for a weight that is negative or not finite, and for a row with fewer positive weights than it takes
 * Source: torch.multinomial; Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006) */
AG_API ag_tensor *ag_multinomial(ag_tensor *weights, int64_t count, bool replacement);

/* ---- Numbers of discrete distributions ---- */

/* ag_draw_bernoulli -- 1 with probability p, else 0
 * Shape:  p (…) -> (…)
 * Dtype:  real
 * Grad:   a constant
 * Errors: AG_ERR_DTYPE
 * Source: torch.bernoulli */
AG_API ag_tensor *ag_draw_bernoulli(ag_tensor *p);

/* ag_draw_binomial -- how many of n, a whole number, happen, each with probability p
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.binomial; W. Hörmann, The generation of binomial random variates (1993) */
AG_API ag_tensor *ag_draw_binomial(ag_tensor *n, ag_tensor *p);

/* ag_draw_poisson -- how many events there are of a rate, 0 or more
 * Shape:  rate (…) -> (…)
 * Dtype:  real
 * Grad:   not differentiable
 * Errors: AG_ERR_DTYPE
 * Source: torch.poisson; W. Hörmann, The transformed rejection method for generating Poisson random variables (1993) */
AG_API ag_tensor *ag_draw_poisson(ag_tensor *rate);

/* ---- Numbers of continuous distributions ---- */

/* ag_draw_normal -- mean + std·z, z of the standard normal distribution, for std >= 0
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ȳ by the mean, ȳ·z by std
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.distributions.Normal.rsample */
AG_API ag_tensor *ag_draw_normal(ag_tensor *mean, ag_tensor *std);

/* ag_draw_truncated_normal -- mean + std·z, given that it is from low to high, either of which may be infinite, for
 * std > 0 and low <= high; exact however far out these are
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.nn.init.trunc_normal_; C. Robert, Simulation of truncated normal variables (1995) */
AG_API ag_tensor *ag_draw_truncated_normal(ag_tensor *mean, ag_tensor *std, ag_tensor *low, ag_tensor *high);

/* ag_draw_uniform -- low + (high − low)·u, 0 < u < 1, for low <= high; rounded, so that high is possible
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ȳ·(1 − u) by low, ȳ·u by high
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.distributions.Uniform.rsample */
AG_API ag_tensor *ag_draw_uniform(ag_tensor *low, ag_tensor *high);

/* ag_draw_exponential -- the time to an event of a rate, which is over 0
 * Shape:  rate (…) -> (…)
 * Dtype:  real
 * Grad:   −ȳ·y/rate
 * Errors: AG_ERR_DTYPE
 * Source: torch.distributions.Exponential.rsample */
AG_API ag_tensor *ag_draw_exponential(ag_tensor *rate);

/* ag_draw_laplace -- location ± scale·e, e exponential, either sign as probable, for scale >= 0
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ȳ by the location, ȳ·(±e) by the scale
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.distributions.Laplace.rsample */
AG_API ag_tensor *ag_draw_laplace(ag_tensor *location, ag_tensor *scale);

/* ag_draw_cauchy -- location + scale·z, z the quotient of two normal numbers, for scale >= 0
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ȳ by the location, ȳ·z by the scale
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.distributions.Cauchy.rsample */
AG_API ag_tensor *ag_draw_cauchy(ag_tensor *location, ag_tensor *scale);

/* ag_draw_gumbel -- location − scale·ln e, e exponential, for scale >= 0
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ȳ by the location, −ȳ·ln e by the scale
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.distributions.Gumbel.rsample */
AG_API ag_tensor *ag_draw_gumbel(ag_tensor *location, ag_tensor *scale);

/* ag_draw_gamma -- gamma numbers of shape parameter a and of a rate, both over 0; never 0
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   by a, the probability of a smaller number held: within 1e-13 of its value in f64. It has a second gradient;
 *         a third by a is refused. By the rate −ȳ·y/rate
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: Marsaglia and Tsang, A simple method for generating gamma variables (2000); Figurnov et al., Implicit
 *         Reparameterization Gradients (2018) */
AG_API ag_tensor *ag_draw_gamma(ag_tensor *a, ag_tensor *rate);

/* ag_draw_beta -- beta numbers of parameters a and b, both over 0: x/(x + y) of gamma numbers x and y
 * They are computed from logarithms, so that small parameters are as good as large ones.
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   as ag_draw_gamma
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.distributions.Beta.rsample, whose gradient is along another path with the same mean */
AG_API ag_tensor *ag_draw_beta(ag_tensor *a, ag_tensor *b);

/* ag_draw_dirichlet -- numbers over 0 that add up to 1 along the last axis: gamma numbers over their sum
 * Shape:  a (…,n) -> (…,n)
 * Dtype:  real
 * Grad:   as ag_draw_gamma
 * Errors: AG_ERR_DTYPE; AG_ERR_SHAPE without an axis, or if it has no elements
 * Source: torch.distributions.Dirichlet.rsample, as ag_draw_beta */
AG_API ag_tensor *ag_draw_dirichlet(ag_tensor *a);

/* ag_draw_student -- Student's t of so many degrees of freedom, over 0: a normal number over √(x/(freedom/2)) of a
 * gamma number x
 * Shape:  freedom (…) -> (…)
 * Dtype:  real
 * Grad:   as ag_draw_gamma
 * Errors: AG_ERR_DTYPE
 * Source: torch.distributions.StudentT.rsample */
AG_API ag_tensor *ag_draw_student(ag_tensor *freedom);

#endif
