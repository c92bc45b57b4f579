"""golden_special -- special functions: the calls of NumPy, SciPy and PyTorch that cases of this family are compared with

See golden.py. A call takes PyTorch's tensors, gives one, and goes through autograd where the case has a gradient."""
import math

import mpmath
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


def scipy_of_and(f, slope):
    return with_slope(scipy_of(f), scipy_of(slope))


def log_ndtr(x):
    """SciPy's is wrong for huge numbers."""
    with np.errstate(all="ignore"):
        return np.where(np.abs(x) > 1e8, np.where(x > 0, -0.0, -x * x / 2), scipy.special.log_ndtr(x))


DIGAMMA = scipy_of(scipy.special.digamma)


def lbeta(a, b):
    """SciPy's of f64; but ∞ with a positive number is NaN there, as are two huge ones, NaN not always, and a tiny number ∞."""
    if not a.requires_grad:
        p, q = a.numpy().astype(np.float64), b.numpy().astype(np.float64)
        y = np.where(np.isnan(p) | np.isnan(q), np.nan, scipy.special.betaln(p, q))
        with np.errstate(all="ignore"):  # Stirling's series begins with this
            huge = -p * np.log1p(q / p) - q * np.log1p(p / q)
        y = np.where(np.isnan(y) & (np.minimum(p, q) > 1e100), huge, y)
        y = np.where(np.isposinf(np.maximum(p, q)) & (np.minimum(p, q) > 0), -np.inf, y)
        small = (np.isposinf(y) | np.isnan(y) & (np.maximum(p, q) < 1)) & (np.minimum(p, q) > 0)  # its Γ overflows, and the logarithm of 1/p + 1/q does not
        with np.errstate(all="ignore"):
            y = np.where(small, np.logaddexp(-np.log(p), -np.log(q)), y)
            beside = np.isposinf(y) & (np.maximum(p, q) > 0) & (np.maximum(p, q) < 1e-300) & (np.minimum(p, q) != np.floor(np.minimum(p, q)))
            y = np.where(beside, -np.log(np.maximum(p, q)), y)
        return torch.from_numpy(np.asarray(y)).to(a.dtype)
    both = DIGAMMA(a + b)
    return (DIGAMMA(a) - both).detach() * a + (DIGAMMA(b) - both).detach() * b


ERFCX = scipy_of(scipy.special.erfcx)


def erfcx_derivative(n):
    """By the recurrence, which is good enough where n is small and x is not large."""
    def values(x):
        w = [scipy.special.erfcx(x)]
        w.append(2 * x * w[0] - 2 / np.sqrt(np.pi))
        for k in range(1, n):
            w.append(2 * x * w[k] + 2 * k * w[k - 1])
        far = (-1.0) ** n * math.factorial(n) / np.sqrt(np.pi) / x ** (n + 1)
        return np.where(x > 1e4, far, np.where(x == -np.inf, (-1.0) ** n * np.inf, w[n]))
    return scipy_of(values)


def mills(x):
    with np.errstate(all="ignore"):
        return np.where(x < 0, np.sqrt(2 / np.pi) / scipy.special.erfcx(-x / np.sqrt(2)), np.exp(-x * x / 2) / np.sqrt(2 * np.pi) / scipy.special.ndtr(x))


def mills_rest(x, y):
    with np.errstate(all="ignore"):
        far = -1 / x + 2 / x ** 3 - 10 / x ** 5
        below = np.where(x == -np.inf, 0, np.where(x < -1000, -1 / x, np.where(x < -50, far, x + mills(x))))
        return np.where(x < -0.71875, below, x + y)


def normal(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def ndtri_slope(p):
    """The density's reciprocal as a quotient that has its digits where p is small."""
    with np.errstate(all="ignore"):
        y, q = scipy.special.ndtri(p), np.minimum(p, 1 - p)
        return np.where(q == 0, np.inf, np.sqrt(np.pi / 2) * scipy.special.erfcx(np.abs(y) / np.sqrt(2)) / q)


def angle_slope(a, b):
    infinite = torch.isinf(a) & ~torch.isnan(b) & ~torch.isinf(b) | torch.isinf(b) & ~torch.isnan(a) & ~torch.isinf(a)
    r = torch.hypot(a, b)
    return torch.where(infinite, torch.zeros((), dtype=a.dtype), b / r / r)


def by_mpmath(f):
    """f of numbers, with 40 digits; NaN where it fails, and outside of the domain."""
    def one(dtype, *v):
        if any(map(math.isnan, v)):
            return math.nan
        with mpmath.workdps(40):
            return float(f(*map(mpmath.mpf, v)))
    return lambda *x: torch.tensor(np.vectorize(one, otypes=[float])(x[0].dtype, *(v.detach().double().numpy() for v in torch.broadcast_tensors(*x))), dtype=x[0].dtype)


def with_slopes(f, *slopes):
    """As with_slope, of several arguments."""
    return lambda *x: sum(s(*x).detach() * v for s, v in zip(slopes, x)) if any(v.requires_grad for v in x) else f(*x)


def scipy_of_several(f):
    return lambda *x: torch.from_numpy(np.asarray(f(*(v.detach().numpy().astype(np.float64) for v in x)))).to(x[0].dtype)


def at_ends(f, at=lambda *v: mpmath.mpf(0)):
    """A density or derivative of I(x; a, b) or P(a, x), `f`, which is `at` where these are constant, and NaN outside."""
    def g(*v):
        *p, x = v
        end = 1 if len(v) == 3 else mpmath.inf
        if min(v) < 0 or x > end or mpmath.inf == (min(p) if len(v) == 3 else min(v)) or len(v) == 3 and max(p) == 0:
            return mpmath.nan
        if not 0 < x < end:
            return at(*v)
        return f(*p, x) if max(p) < mpmath.inf else mpmath.mpf(0)
    return by_mpmath(g)


def by_difference(f, i):
    """The derivative of f by argument i, of a difference with 80 digits."""
    def g(*v):
        with mpmath.workdps(80):
            h = v[i] * mpmath.mpf(10) ** -25
            moved = lambda s: f(*v[:i], v[i] + s, *v[i + 1:])
            return (moved(h) - moved(-h)) / (2 * h)
    return at_ends(g)


def tail(a, x):
    return -mpmath.gammainc(a, x, mpmath.inf, regularized=True) if x > a + 1 else mpmath.gammainc(a, 0, x, regularized=True)


def betainc(a, b, x):
    """SciPy's; where a or b is 0 or ∞, the limits, as in its later versions."""
    y, some = scipy.special.betainc(np.maximum(a, 1e-290), np.maximum(b, 1e-290), x), ~((a == 0) & (b == 0) | np.isinf(a) & np.isinf(b)) & (a >= 0) & (b >= 0) & (x >= 0) & (x <= 1)
    y = np.where(some & ((a == 0) | np.isinf(b)), 1.0, np.where(some & ((b == 0) | np.isinf(a)), 0.0, y))
    return np.where(some & ((x == 0) | (x == 1)), x, np.where(some, y, np.nan))


def at_end(p, other=1):
    return mpmath.inf if p < 1 else other if p == 1 else 0


def gamma_density(a, x):
    return x ** (a - 1) * mpmath.exp(-x) * mpmath.rgamma(a)


def beta_density(a, b, x):
    return x ** (a - 1) * (1 - x) ** (b - 1) * mpmath.exp(mpmath.loggamma(a + b)) * mpmath.rgamma(a) * mpmath.rgamma(b) if a and b else mpmath.mpf(0)


def unless_nan(f, tiny):
    """SciPy's P(∞, NaN) and P(NaN, 0) are 0, and all is for a tiny a."""
    return scipy_of_several(lambda a, x: np.where(np.isnan(a) | np.isnan(x), np.nan, np.where((a > 0) & (a < 1e-290) & (x > 0) & (x < np.inf), tiny(a, x), f(a, x))))


GAMMAINC = unless_nan(scipy.special.gammainc, lambda a, x: 1)
GAMMAINCC = unless_nan(scipy.special.gammaincc, lambda a, x: a * scipy.special.exp1(x))
GAMMA_SLOPE = by_difference(tail, 0)
BETA_SLOPES = [by_difference(lambda a, b, x: mpmath.betainc(a, b, 0, x, regularized=True), i) for i in (0, 1)]
GAMMA_DENSITY = at_ends(gamma_density, lambda a, x: 0 if x else at_end(a))
BETA_DENSITY = at_ends(beta_density, lambda a, b, x: at_end(b, a) if x else at_end(a, b))

def psi(n, x, dtype):
    """The derivative of order n of the digamma function, also at poles and infinities, rounded."""
    sign = 1 if n % 2 else -1
    if math.isnan(x) or n == 0 and (x == -math.inf or x < 0 and x == math.floor(x)):
        return math.nan
    if x == math.inf:
        return 0 if n else math.inf
    if x <= 0 and (x == -math.inf or x == math.floor(x)):
        return sign * math.copysign(math.inf, x) if n == 0 else sign * math.inf
    with mpmath.workdps(40), np.errstate(over="ignore"):
        return float(dtype(mpmath.psi(n, mpmath.mpf(x))))


def each(f):
    """f of numbers and the dtype."""
    def of_tensors(*x):
        v = [t.detach().numpy() for t in torch.broadcast_tensors(*x)]
        return torch.tensor(np.vectorize(lambda *w: f(*map(float, w), v[0].dtype.type), otypes=[float])(*v), dtype=x[0].dtype)
    return of_tensors


def digamma_step(n):
    """ψ(n, a) − ψ(n, a + b) with all digits for a, b > 0, and the limit for a = ∞; elsewhere the difference of the two, a + b being rounded."""
    def f(a, b, both, dtype):
        if not (0 < a < math.inf and 0 < b < math.inf):
            return 0 if a == math.inf and 0 < b < math.inf else psi(n, a, dtype) - psi(n, both, dtype)
        with mpmath.workdps(800):
            return float(mpmath.psi(n, mpmath.mpf(a)) - mpmath.psi(n, mpmath.mpf(a) + mpmath.mpf(b)))
    return lambda a, b: each(f)(a, b, a + b)


def digamma_step_with_slopes(n):
    return with_slopes(digamma_step(n), digamma_step(n + 1), lambda a, b: -each(lambda x, dtype: psi(n + 1, x, dtype))(a + b))


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
    "erfcx": with_slope(ERFCX, erfcx_derivative(1)),
    "erfcx_derivative": with_slope(erfcx_derivative(2), erfcx_derivative(3)),
    "erfcx_slope": with_slope(erfcx_derivative(1), erfcx_derivative(2)),
    "erfinv": scipy_of_and(scipy.special.erfinv, lambda x: np.sqrt(np.pi) / 2 * np.exp(scipy.special.erfinv(x) ** 2)),
    "erfinv_slope": scipy_of_and(lambda x: np.sqrt(np.pi) / 2 * np.exp(scipy.special.erfinv(x) ** 2),
                                 lambda x: np.pi / 2 * scipy.special.erfinv(x) * np.exp(2 * scipy.special.erfinv(x) ** 2)),
    "exp2": torch.exp2,
    "log_ndtr": scipy_of_and(log_ndtr, mills),
    "mills": scipy_of_and(mills, lambda x: np.where(mills(x) == 0, 0, -mills(x) * mills_rest(x, mills(x)))),
    "mills_rest": lambda x, y: x + y if x.requires_grad else scipy_of(lambda v: mills_rest(v, y.double().numpy()))(x),
    "ndtr": scipy_of_and(scipy.special.ndtr, normal),
    "ndtri": scipy_of_and(scipy.special.ndtri, ndtri_slope),
    "ndtri_slope": scipy_of_and(ndtri_slope, lambda x: scipy.special.ndtri(x) * ndtri_slope(x) ** 2),
    "lbeta": lbeta,
    "lbeta_bend": digamma_step_with_slopes(1),
    "lbeta_slope": digamma_step_with_slopes(0),
    "lgamma": with_slope(torch.lgamma, DIGAMMA),
    "log10": torch.log10,
    "log2": torch.log2,
    "sinh": torch.sinh,
    "tan": torch.tan,
    "gammainc": with_slopes(GAMMAINC, GAMMA_SLOPE, GAMMA_DENSITY),
    "gammaincc": with_slopes(GAMMAINCC, lambda a, x: -GAMMA_SLOPE(a, x), lambda a, x: -GAMMA_DENSITY(a, x)),
    "gamma_density": with_slopes(GAMMA_DENSITY, at_ends(lambda a, x: gamma_density(a, x) * (mpmath.log(x) - mpmath.digamma(a))),
                                 at_ends(lambda a, x: gamma_density(a, x) * ((a - 1) / x - 1))),
    "betainc": with_slopes(scipy_of_several(betainc), *BETA_SLOPES, BETA_DENSITY),
    "beta_density": with_slopes(BETA_DENSITY,
                                at_ends(lambda a, b, x: beta_density(a, b, x) * (mpmath.log(x) - mpmath.digamma(a) + mpmath.digamma(a + b))),
                                at_ends(lambda a, b, x: beta_density(a, b, x) * (mpmath.log1p(-x) - mpmath.digamma(b) + mpmath.digamma(a + b))),
                                at_ends(lambda a, b, x: beta_density(a, b, x) * ((a - 1) / x - (b - 1) / (1 - x)))),
    "angle_slope": angle_slope,
    "conic_slope": with_slope(lambda x: 1 / ((1 - x) * (1 + x)), lambda x: 2 * x / ((1 - x) * (1 + x)) ** 2),
    "gaussian": lambda x: torch.exp(-x * x),
    "polygamma": with_slope(polygamma(2), polygamma(3)),
    "root_slope": lambda x: 1 / torch.hypot(x, torch.ones_like(x)),
}
