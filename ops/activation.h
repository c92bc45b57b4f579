/* activation -- activations of networks, beside ag_relu, ag_sigmoid and ag_tanh
 *
 * At a kink the derivative is PyTorch's; where y is NaN, so is the gradient.
 *
 * Errors, in units of the last place: the largest found by MPFR in all of the domain (docs/accuracy.md), of slopes
 * in f64. Those of gelu are relative to ¼ beside its lowest point.
 *     Units of f64: gelu 2.2, logit 3, softplus 1.8, softsign 1.5;
 *     Units of f32: gelu 1.3, logit 2.9, softplus 1.6, softsign 1.5;
 *     Units of slopes: gelu 9, logit 1.9, softplus 1.4, softsign 3.5; */
#ifndef AG_OPS_ACTIVATION_H
#define AG_OPS_ACTIVATION_H

#include "autograd/types.h"

/* ---- Smooth ---- */

/* ag_softplus -- y = ln(1 + e^x)
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·σ(x)
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.softplus */
AG_API ag_tensor *ag_softplus(ag_tensor *x);

/* ag_logsigmoid -- y = ln σ(x) = −ln(1 + e^(−x))
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·σ(−x)
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.logsigmoid */
AG_API ag_tensor *ag_logsigmoid(ag_tensor *x);

/* ag_silu -- y = x·σ(x); also known as swish
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(σ(x) + y·(1 − σ(x)))
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.silu */
AG_API ag_tensor *ag_silu(ag_tensor *x);

/* ag_gelu -- y = x·Φ(x) = ½·x·erfc(−x/√2), with all digits where it is near 0; ag_gelu_tanh is an approximation of it
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(Φ(x) + x·φ(x)), with the density φ(x) = e^(−x²/2)/√(2π)
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.gelu */
AG_API ag_tensor *ag_gelu(ag_tensor *x);

/* ag_gelu_tanh -- y = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), which is ag_gelu to within 5e-4
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(s + y·(1 − s)·d), with s = σ(v), v = √(8/π)·(x + 0.044715·x³) and d = √(8/π)·(1 + 0.134145·x²)
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.gelu, approximate='tanh' */
AG_API ag_tensor *ag_gelu_tanh(ag_tensor *x);

/* ag_mish -- y = x·tanh(ln(1 + e^x))
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(t + x·σ(x)·(1 − t²)), with t = tanh(ln(1 + e^x))
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.mish */
AG_API ag_tensor *ag_mish(ag_tensor *x);

/* ag_softsign -- y = x/(1 + |x|)
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(1 + |x|)², NaN where y is
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.softsign */
AG_API ag_tensor *ag_softsign(ag_tensor *x);

/* ag_logit -- y = ln(x/(1 − x)), the inverse of ag_sigmoid; ±∞ at 1 and 0, NaN beyond
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(x·(1 − x)), NaN where y is
 * Errors: AG_ERR_DTYPE
 * Source: torch.logit */
AG_API ag_tensor *ag_logit(ag_tensor *x);

/* ---- One function above 0, another below ---- */

/* ag_leaky_relu -- y = x where x > 0, slope·x elsewhere
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x > 0, ȳ·slope where x <= 0, NaN where x is
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.leaky_relu, whose slope is 0.01 if it is not given */
AG_API ag_tensor *ag_leaky_relu(ag_tensor *x, double slope);

/* ag_prelu -- y = x where x > 0, slope·x elsewhere, with slopes that are learned
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   x̄ = ȳ where x > 0, ȳ·slope where x <= 0, NaN where x is;  of slope: ȳ·x where x <= 0, NaN where x is
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.nn.functional.prelu; here the slopes of channels are of the last axis */
AG_API ag_tensor *ag_prelu(ag_tensor *x, ag_tensor *slope);

/* ag_elu -- y = x where x > 0, alpha·(e^x − 1) elsewhere
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x > 0, ȳ·alpha·e^x elsewhere
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.elu, whose alpha is 1 if it is not given */
AG_API ag_tensor *ag_elu(ag_tensor *x, double alpha);

/* ag_selu -- y = scale·elu(x), with the scale and the alpha that keep mean 0 and variance 1
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·scale where x > 0, ȳ·scale·alpha·e^x elsewhere
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.selu */
AG_API ag_tensor *ag_selu(ag_tensor *x);

/* ag_celu -- y = x where x > 0, alpha·(e^(x/alpha) − 1) elsewhere
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x > 0, ȳ·e^(x/alpha) elsewhere
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE if alpha is 0
 * Source: torch.nn.functional.celu, whose alpha is 1 if it is not given */
AG_API ag_tensor *ag_celu(ag_tensor *x, double alpha);

/* ---- Lines ---- */

/* ag_hardtanh -- y = min(max(x, low), high), as ag_clamp, with another gradient at the ends
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where low < x < high, NaN where x is, 0 elsewhere
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE unless low <= high
 * Source: torch.nn.functional.hardtanh; of 0 and 6 it is relu6 */
AG_API ag_tensor *ag_hardtanh(ag_tensor *x, double low, double high);

/* ag_hardsigmoid -- y = min(max(x + 3, 0), 6)/6
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/6 where −3 < x < 3, NaN where x is, 0 elsewhere
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.hardsigmoid */
AG_API ag_tensor *ag_hardsigmoid(ag_tensor *x);

/* ag_hardswish -- y = x·min(max(x + 3, 0), 6)/6
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(x/3 + ½) where −3 < x < 3, ȳ from 3 on, 0 up to −3, NaN where x is
 * Errors: AG_ERR_DTYPE
 * Source: torch.nn.functional.hardswish */
AG_API ag_tensor *ag_hardswish(ag_tensor *x);

/* ag_softshrink -- y = x − min(max(x, −threshold), threshold)
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = 0 where |x| <= threshold, ȳ elsewhere, NaN where x is
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE unless threshold >= 0
 * Source: torch.nn.functional.softshrink, whose threshold is ½ if it is not given */
AG_API ag_tensor *ag_softshrink(ag_tensor *x, double threshold);

#endif
