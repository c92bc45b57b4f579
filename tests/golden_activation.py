"""golden_activation -- activations, rounding, logic, bits: the calls of NumPy, SciPy and PyTorch that cases of this family are compared with

See golden.py. A call takes PyTorch's tensors, gives one, and goes through autograd where the case has a gradient."""
import numpy as np
import scipy.special
import torch
import torch.nn.functional as F


def numpys(function):
    return lambda *x: torch.from_numpy(np.asarray(function(*[v.detach().numpy() for v in x])))


def rounded(call):
    """In f64, rounded to the argument's dtype."""
    return lambda *x: call(*[v.double() for v in x]).to(x[0].dtype)


def quotient(name):
    """NumPy's for values; of whole numbers 0 by 0."""
    def call(a, b):
        with np.errstate(all="ignore"):
            return torch.from_numpy(np.asarray(getattr(np, name)(a.detach().numpy(), b.detach().numpy())))
    return call


def with_gradient(values, like):
    """The values of one call with the gradient of another."""
    def call(*x):
        if not any(v.requires_grad for v in x):
            return values(*x)
        return like(*x)
    return call


def after_broadcast(call):
    """PyTorch's gradient needs that."""
    return lambda *x: call(*[v.clone() for v in torch.broadcast_tensors(*x)])


def hypot(a, b):
    """With the gradient 0 at 0."""
    nothing = (a == 0) & (b == 0)
    return torch.where(nothing, 0 * a * b, torch.hypot(torch.where(nothing, torch.ones_like(a), a), b))


def logaddexp(a, b):
    y = numpys(np.logaddexp)(a, b)
    return torch.logaddexp(a, b) if a.requires_grad or b.requires_grad else y


def of_bits(name):
    return lambda *x: getattr(torch, name)(*x)


def shifted(name):
    return lambda a, b: torch.from_numpy(np.asarray(getattr(np, name)(a.numpy(), b.numpy())))


def clamped(x, low=None, high=None):
    return torch.clamp(x, min=low, max=high)


def between(x, low, high):
    """The bound that x is at has its gradient, also where both bounds are one number."""
    y = torch.where(x < low, low, x)
    return torch.where(high < y, high, y)


def lerp(a, b, w):
    """From the nearer end, as PyTorch, with products that are not rounded, nor overflow, before they are added."""
    wide = [v.double() for v in (a, b, w)]
    d = (b - a).double()
    return torch.where(w.abs() < 0.5, wide[0] + wide[2] * d, wide[1] + (w - 1).double() * d).to(a.dtype)


def sinc(x):
    """Exactly 0 at whole numbers."""
    if x.requires_grad:
        infinite = x.isinf()
        return torch.where(infinite, 0 * x.nan_to_num(), torch.sinc(torch.where(infinite, torch.ones_like(x), x)))
    return torch.where((x == torch.round(x)) & (x != 0), 0 * torch.nan_to_num(x, posinf=0, neginf=0), torch.sinc(x))


def softplus(x):
    return torch.nn.functional.softplus(x) if x.requires_grad else numpys(lambda v: np.maximum(v, 0) + np.log1p(np.exp(-np.abs(v))))(x)


CALLS = {
    "floor": torch.floor,
    "ceil": torch.ceil,
    "trunc": torch.trunc,
    "round": torch.round,
    "round ties": torch.round,
    "frac": torch.frac,
    "reciprocal": torch.reciprocal,
    "fmod": with_gradient(quotient("fmod"), torch.fmod),
    "remainder": with_gradient(quotient("remainder"), torch.remainder),
    "floor_divide": with_gradient(quotient("floor_divide"), lambda a, b: 0 * a * b),
    "hypot": rounded(torch.hypot),
    "hypot ties": rounded(hypot),
    "copysign": after_broadcast(torch.copysign),
    "copysign ties": after_broadcast(torch.copysign),
    "lerp": lerp,
    "xlogy": rounded(torch.xlogy),
    "xlogy ties": rounded(torch.xlogy),
    "xlog1py": rounded(torch.special.xlog1py),
    "logaddexp": rounded(logaddexp),
    "logaddexp ties": rounded(logaddexp),
    "sinc": rounded(sinc),

    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "logical_not": torch.logical_not,
    "isnan": torch.isnan,
    "isinf": torch.isinf,
    "isfinite": torch.isfinite,
    "nan_to_num": torch.nan_to_num,
    "nan_to_num_as": lambda x: torch.nan_to_num(x, 3, 4, -5),
    "equal_scalar": lambda x: x == 1,
    "not_equal_scalar": lambda x: x != 1,
    "less_scalar": lambda x: x < 1,
    "less_equal_scalar": lambda x: x <= 1,
    "greater_scalar": lambda x: x > 1,
    "greater_equal_scalar": lambda x: x >= 1,
    "clamp_min": lambda x: clamped(x, 1),
    "clamp_min ties": lambda x: clamped(x, 1),
    "clamp_max": lambda x: clamped(x, None, 1),
    "clamp_max ties": lambda x: clamped(x, None, 1),
    "clamp_between": after_broadcast(clamped),
    "clamp_between ties": between,
    "clamp_low": clamped,
    "clamp_low ties": clamped,
    "clamp_high": lambda x, high: clamped(x, None, high),
    "clamp_high ties": lambda x, high: clamped(x, None, high),
    "bitwise_and": of_bits("bitwise_and"),
    "bitwise_or": of_bits("bitwise_or"),
    "bitwise_xor": of_bits("bitwise_xor"),
    "bitwise_not": of_bits("bitwise_not"),
    "left_shift": shifted("left_shift"),
    "right_shift": shifted("right_shift"),

    "softplus": rounded(softplus),
    "softplus ties": rounded(softplus),
    "logsigmoid": rounded(F.logsigmoid),
    "silu": rounded(F.silu),
    "gelu": with_gradient(lambda x: (x.double() * torch.from_numpy(np.asarray(scipy.special.ndtr(x.double().numpy())))).to(x.dtype), F.gelu),
    "gelu_tanh": rounded(lambda x: F.gelu(x, approximate="tanh")),
    "mish": rounded(F.mish),
    "softsign": rounded(F.softsign),
    "softsign ties": rounded(F.softsign),
    "logit": rounded(torch.logit),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.125),
    "leaky_relu ties": lambda x: F.leaky_relu(x, 0.125),
    "prelu": lambda x, w: torch.where(x > 0, x, w * x),
    "prelu ties": lambda x, w: torch.where(x > 0, x, w * x),
    "elu": rounded(lambda x: F.elu(x, 1.5)),
    "elu ties": rounded(lambda x: F.elu(x, 1.5)),
    "selu": rounded(F.selu),
    "selu ties": rounded(F.selu),
    "celu": rounded(lambda x: F.celu(x, 0.5)),
    "hardtanh": lambda x: F.hardtanh(x, -1, 0.5),
    "hardtanh ties": lambda x: F.hardtanh(x, -1, 0.5),
    "hardsigmoid": lambda x: F.hardtanh(x + 3, 0, 6) / 6,
    "hardswish": lambda x: x * (F.hardtanh(x + 3, 0, 6) / 6),
    "softshrink": lambda x: x - torch.clamp(x, -0.5, 0.5),
    "softshrink ties": lambda x: F.softshrink(x, 1),
}
