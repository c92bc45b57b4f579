"""golden_special -- special functions: the calls of NumPy, SciPy and PyTorch that cases of this family are compared with

See golden.py. A call takes PyTorch's tensors, gives one, and goes through autograd where the case has a gradient."""
import numpy as np
import scipy.special
import torch


def with_slope(f, slope):
    """f(x), with a gradient by the slope's formula where PyTorch has none, or another at the ends."""
    return lambda x: slope(x).detach() * x if x.requires_grad else f(x)


def cbrt(x):
    return torch.from_numpy(np.asarray(np.cbrt(x.detach().numpy())))


def scipy_of(f):
    """SciPy's function in f64, rounded: PyTorch's are of few digits, or wrong for negative x."""
    return lambda x: torch.from_numpy(np.asarray(f(x.detach().numpy().astype(np.float64)))).to(x.dtype)


def polygamma(n):
    return scipy_of(lambda x: scipy.special.polygamma(n, x))


DIGAMMA = scipy_of(scipy.special.digamma)


def lbeta(a, b):
    if not a.requires_grad:
        values = scipy.special.betaln(a.numpy().astype(np.float64), b.numpy().astype(np.float64))
        apart = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)  # SciPy has limits at some poles
        apart = torch.where(torch.maximum(a, b).isinf() & (torch.minimum(a, b) > 0), torch.full_like(apart, -np.inf), apart)
        return torch.where((torch.minimum(a, b) > 0), torch.from_numpy(np.asarray(values)).to(a.dtype), apart)
    both = DIGAMMA(a + b)
    return (DIGAMMA(a) - both).detach() * a + (DIGAMMA(b) - both).detach() * b


def angle_slope(a, b):
    infinite = torch.isinf(a) & ~torch.isnan(b) & ~torch.isinf(b) | torch.isinf(b) & ~torch.isnan(a) & ~torch.isinf(a)
    r = torch.hypot(a, b)
    return torch.where(infinite, torch.zeros((), dtype=a.dtype), b / r / r)


CALLS = {
    "acos": torch.acos,
    "acosh": with_slope(torch.acosh, lambda x: 1 / (torch.sqrt(x - 1) * torch.sqrt(x + 1))),
    "asin": torch.asin,
    "asinh": torch.asinh,
    "atan": torch.atan,
    "atan2": torch.atan2,
    "atanh": torch.atanh,
    "cbrt": with_slope(cbrt, lambda x: 1 / (3 * cbrt(x) ** 2)),
    "cosh": torch.cosh,
    "digamma": with_slope(DIGAMMA, polygamma(1)),
    "erf": torch.erf,
    "erfc": torch.erfc,
    "exp2": torch.exp2,
    "lbeta": lbeta,
    "lgamma": with_slope(torch.lgamma, DIGAMMA),
    "log10": torch.log10,
    "log2": torch.log2,
    "sinh": torch.sinh,
    "tan": torch.tan,
    "angle_slope": angle_slope,
    "conic_slope": with_slope(lambda x: 1 / ((1 - x) * (1 + x)), lambda x: 2 * x / ((1 - x) * (1 + x)) ** 2),
    "gaussian": lambda x: torch.exp(-x * x),
    "polygamma": with_slope(polygamma(2), polygamma(3)),
    "root_slope": lambda x: 1 / torch.hypot(x, torch.ones_like(x)),
}
