#!/usr/bin/env python3
"""Random programs in PyTorch: the same values, gradients, and gradients of gradients.

    test_torch.py TEST_RANDOM [--programs N] [--seed S] [--only EXTENT] [--verbose]

TEST_RANDOM writes programs as JSON (tests/random_json.c); each call is carried out by PyTorch in the same dtypes, and
differentiated by PyTorch's own rules. Results have to agree to rounding: to TOLERANCE of the largest element, or, where
a program is ill-conditioned, to what a disturbance of every step by NOISE changes. Programs with calls that PyTorch does
not have are left out, and counted. Exits with 77 where PyTorch is missing.
"""

import argparse
import collections
import json
import math
import multiprocessing
import resource
import subprocess
import sys
import warnings

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"there is no PyTorch: {missing}")
    sys.exit(77)

import torch_layers

warnings.filterwarnings("ignore")

DTYPES = {"bool": torch.bool, "i64": torch.int64, "f32": torch.float32, "f64": torch.float64}
ARRAYS = {"bool": np.bool_, "i64": np.int64, "f32": np.float32, "f64": np.float64}
TOLERANCE = {"f64": 1e-12, "f32": 1e-5}
TINY = {"f64": 1e-13, "f32": 1e-5}  # of the largest result, and 1
NOISE = {torch.float64: 2.0**-46, torch.float32: 2.0**-18}
SAFETY = 16  # of the largest change by NOISE
NOISES = 24  # disturbed runs, for a bound: a step may be met by few of them
MEMORY = 6 << 30  # of a process
CHUNK = 100
COMPARISONS = ("ag_equal", "ag_not_equal", "ag_less", "ag_greater", "ag_logical_")
END = -(2**63)


class Unmapped(Exception):
    """PyTorch does not have it."""


# ---- The calls: f(x: operands, l: the line) ----

CALLS = {}


def call(*names):
    def add(f):
        for name in names:
            CALLS[name] = f
        return f

    return add


def unary(name, f):
    CALLS["ag_" + name] = lambda x, l: f(x[0])


def binary(name, f):
    CALLS["ag_" + name] = lambda x, l: f(x[0], x[1])


def cbrt(x):
    return torch.sign(x) * torch.abs(x) ** (1 / 3)


def ndtr(x):
    return torch.erfc(-x / math.sqrt(2)) / 2


def sinc(x):
    """PyTorch's own slope loses digits near 0."""
    z, near, term = (math.pi * x) ** 2, torch.ones_like(x), torch.ones_like(x)
    for k in range(1, 16):
        term = -term * torch.where(torch.abs(x) < 0.5, z, 0) / (2 * k * (2 * k + 1))
        near = near + term
    turns = torch.round(x).detach()
    far = torch.sin(math.pi * (x - turns)) * (1 - 2 * torch.remainder(turns, 2))
    return torch.where(torch.abs(x) < 0.5, near, far / (math.pi * torch.where(torch.abs(x) < 0.5, 1, x)))


class Digamma(torch.autograd.Function):
    """PyTorch's own slope has nine digits."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return torch.digamma(x)

    @staticmethod
    def backward(context, g):
        (x,) = context.saved_tensors
        low = x < 0.5
        two = torch.full_like(x, 2)
        high = torch.special.zeta(two, torch.where(low, 1 - x, x))
        return g * torch.where(low, (math.pi / torch.sin(math.pi * torch.where(low, x, 0.25))) ** 2 - high, high)


class Lgamma(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return torch.lgamma(x)

    @staticmethod
    def backward(context, g):
        return g * Digamma.apply(context.saved_tensors[0])


def sigmoid(x):
    e = torch.exp(torch.where(x < 0, x, -x))
    return torch.where(x < 0, e, 1) / (1 + e)


def tanh(x):
    """PyTorch's own slope, 1 − y², has no digits where y is nearly 1."""
    size = torch.where(x < 0, -x, x)
    e = torch.exp(-2 * size)
    near = -torch.expm1(-2 * torch.where(size < 0.5, size, 0))  # whose own slope, y + 1, is no better far away
    y = torch.where(size < 0.5, near, 1 - e) / (1 + e)
    return torch.where(x < 0, -y, y)


def power(a, b):
    """PyTorch's slope by a is 0 where b is 0, as ours, but so is the slope of that by b."""
    a, b = torch.broadcast_tensors(a, b)
    smooth = (b == 0) & (a > 0)
    return torch.where(smooth, torch.exp(b * torch.log(torch.where(smooth, a, 1))), torch.pow(torch.where(smooth, 1, a), b))


def softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))


for name in """abs acos acosh asin asinh atan atanh bitwise_not ceil cos cosh erf erfc erfinv exp exp2 expm1 floor
        isfinite isinf isnan log log10 log1p log2 logical_not logit neg relu round rsqrt sin
        sinh sqrt square tan trunc""".split():
    unary(name, getattr(torch, name))
for name in "erfcx log_ndtr ndtri".split():
    unary(name, getattr(torch.special, name))
unary("sign", lambda x: torch.where(torch.isnan(x), x, torch.sign(x)) if x.is_floating_point() else torch.sign(x))
unary("cbrt", cbrt)
unary("ndtr", ndtr)
unary("gelu", F.gelu)
unary("digamma", Digamma.apply)
unary("lgamma", Lgamma.apply)
unary("sigmoid", sigmoid)
unary("sinc", sinc)
unary("softplus", softplus)
unary("tanh", tanh)
unary("softsign", lambda x: x / (1 + torch.abs(x)))
unary("contiguous", torch.clone)
unary("stop_gradient", torch.Tensor.detach)
unary("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"))
unary("nan_to_num", torch.nan_to_num)
unary("sum", torch.sum)
unary("mean", lambda x: torch.mean(x if x.is_floating_point() else x.to(torch.float64)))
unary("max", torch.amax)
unary("min", torch.amin)
for name in """add atan2 bitwise_and bitwise_or bitwise_xor copysign div hypot logaddexp logical_and logical_or logical_xor
        maximum minimum mul sub xlogy matmul lerp""".split():
    binary(name, getattr(torch, name))
unary("logical_not", torch.logical_not)
binary("equal", torch.eq)
binary("not_equal", torch.ne)
binary("less", torch.lt)
binary("less_equal", torch.le)
binary("greater", torch.gt)
binary("greater_equal", torch.ge)
binary("xlog1py", torch.special.xlog1py)
binary("lbeta", lambda a, b: Lgamma.apply(a) + Lgamma.apply(b) - Lgamma.apply(a + b))
binary("clamp_high", lambda x, high: torch.clamp(x, max=high))
binary("clamp_low", lambda x, low: torch.clamp(x, min=low))
binary("pow", power)
binary("strong_mul", torch.mul)
binary("strong_div", torch.div)
binary("prelu", lambda x, slope: torch.where(x > 0, x, slope * x))
CALLS["ag_lerp"] = lambda x, l: torch.lerp(*torch.broadcast_tensors(*x))
CALLS["ag_where"] = lambda x, l: torch.where(x[0], x[1], x[2])
CALLS["ag_clamp_between"] = lambda x, l: torch.clamp(x[0], min=x[1], max=x[2])


def whole(f):
    """Of whole numbers: 0 where the divisor is."""

    def result(x, l):
        a, b = x
        if a.is_floating_point():
            return f(a, b)
        by_zero = b == 0
        return torch.where(by_zero, torch.zeros_like(b), f(a, torch.where(by_zero, torch.ones_like(b), b)))

    return result


CALLS["ag_fmod"] = whole(torch.fmod)
CALLS["ag_remainder"] = whole(torch.remainder)
CALLS["ag_floor_divide"] = whole(lambda a, b: torch.div(a, b, rounding_mode="floor"))


@call("ag_left_shift")
def left_shift(x, l):
    a, b = torch.broadcast_tensors(*x)
    good = (b >= 0) & (b < 64)
    return torch.where(good, torch.bitwise_left_shift(a, torch.where(good, b, 0)), 0)


@call("ag_right_shift")
def right_shift(x, l):
    a, b = torch.broadcast_tensors(*x)
    good = (b >= 0) & (b < 64)
    return torch.bitwise_right_shift(a, torch.where(good, b, 63))


def number(name, f):
    CALLS["ag_" + name] = lambda x, l: f(x[0], scalar_of(x[0], l))


def scalar_of(x, l):
    s = l["scalar"][0]
    return int(s) if x.dtype == torch.int64 else float(np.float32(s)) if x.dtype == torch.float32 else s


def like(x, s):
    return torch.full((), s, dtype=x.dtype)


number("add_scalar", lambda x, s: x + s)
number("scale", lambda x, s: x * s)
number("div_scalar", lambda x, s: x / s)
number("rdiv_scalar", lambda x, s: s / x)
number("rsub_scalar", lambda x, s: s - x)
number("pow_scalar", lambda x, s: torch.pow(x, s))
number("maximum_scalar", lambda x, s: torch.maximum(x, like(x, s)))
number("minimum_scalar", lambda x, s: torch.minimum(x, like(x, s)))
number("equal_scalar", lambda x, s: x == s)
number("not_equal_scalar", lambda x, s: x != s)
number("less_scalar", lambda x, s: x < s)
number("less_equal_scalar", lambda x, s: x <= s)
number("greater_scalar", lambda x, s: x > s)
number("greater_equal_scalar", lambda x, s: x >= s)
number("leaky_relu", lambda x, s: torch.where(x > 0, x, s * x))
number("elu", lambda x, s: torch.where(x > 0, x, s * torch.expm1(torch.where(x > 0, 0, x))))
number("var", lambda x, s: torch.var(x.reshape(-1), 0, correction=int(s)))
CALLS["ag_clamp"] = lambda x, l: torch.clamp(x[0], *l["scalar"])
CALLS["ag_hardtanh"] = lambda x, l: F.hardtanh(x[0], *l["scalar"])


# Sources


def source(f):
    return lambda x, l: f(l, DTYPES[l["dtype"]])


CALLS["ag_scalar"] = source(lambda l, d: torch.tensor(l["scalar"][0], dtype=torch.float64).to(d))
CALLS["ag_arange"] = source(lambda l, d: torch.arange(l["number"][0]).to(d))
CALLS["ag_zeros"] = source(lambda l, d: torch.zeros(l["shape"], dtype=d))
CALLS["ag_ones"] = source(lambda l, d: torch.ones(l["shape"], dtype=d))
CALLS["ag_full"] = source(lambda l, d: torch.full(l["shape"], l["scalar"][0], dtype=torch.float64).to(d))


@call("user_ramp")
def ramp(x, l):
    steps = torch.arange(math.prod(l["shape"]), dtype=torch.float64) % 7
    return (l["scalar"][0] * steps).to(DTYPES[l["dtype"]]).reshape(l["shape"])


# Reductions


def axes_of(x, l):
    return list(range(x.dim())) if l["axes"] is None else [a % max(x.dim(), 1) for a in l["axes"]]


def reduction(name, f):
    """f(x, axes, keep), without a reduction where there are no axes to reduce."""
    CALLS[name] = lambda x, l: f(x[0], axes_of(x[0], l), l["keep"])


def flat(x, axes, keep):
    """The axes as the last one, and the shape of what f makes of that."""
    rest = [i for i in range(x.dim()) if i not in axes]
    kept = [1 if i in axes else x.shape[i] for i in range(x.dim())]
    n = math.prod([x.shape[i] for i in sorted(axes)])
    y = x.permute(rest + sorted(axes)).reshape([x.shape[i] for i in rest] + [n])
    return y, (kept if keep else [x.shape[i] for i in rest])


def by_flat(name, f):
    def result(x, l):
        y, shape = flat(x[0], axes_of(x[0], l), l["keep"])
        return f(y, l).reshape(shape)

    CALLS[name] = result


def product(y):
    """The user's VJP divides by the elements."""
    if (y == 0).any():
        raise Unmapped("user_product, of a zero")
    return torch.prod(y, -1) / (y.shape[-1] + 1)


def middle(y):
    ordered, n = torch.sort(y, dim=-1, stable=True)[0], y.shape[-1]
    return (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2


by_flat("ag_sum_over", lambda y, l: torch.sum(y, -1))
by_flat("ag_mean_over", lambda y, l: torch.mean(y if y.is_floating_point() else y.to(torch.float64), -1))
by_flat("ag_max_over", lambda y, l: torch.amax(y, -1))
by_flat("ag_min_over", lambda y, l: torch.amin(y, -1))
by_flat("user_log_sum", lambda y, l: torch.logsumexp(y, -1))
by_flat("user_product", lambda y, l: product(y))
by_flat("ag_prod_over", lambda y, l: torch.prod(y, -1))
by_flat("ag_all_over", lambda y, l: torch.all(y != 0, -1))
by_flat("ag_any_over", lambda y, l: torch.any(y != 0, -1))
by_flat("ag_argmin_over", lambda y, l: first_extreme(y, torch.amin(y, -1, True)))
by_flat("ag_nanmean", lambda y, l: torch.nanmean(y, -1))
by_flat("user_norm", lambda y, l: torch.linalg.vector_norm(y, 2, -1))
by_flat("user_positive_sum", lambda y, l: torch.sum(torch.where(y > 0, y, 0), -1))
by_flat("ag_var_over", lambda y, l: torch.var(y, -1, correction=int(l["scalar"][0])))
by_flat("ag_std_over", lambda y, l: torch.std(y, -1, correction=int(l["scalar"][0])))


@call("ag_median_over")
def median(x, l):
    y, shape = flat(x[0], axes_of(x[0], l), l["keep"])
    return middle(y if y.is_floating_point() else y.to(torch.float64)).reshape(shape)


def first_extreme(y, best):
    n = torch.arange(y.shape[-1])
    return torch.amin(torch.where((y == best) | (y != y), n, y.shape[-1]), -1)  # of a NaN, if there is one


# Along an axis


def along(name, f):
    CALLS[name] = lambda x, l: f(x[0], l["number"][0] % max(x[0].dim(), 1), l["keep"])


def counts(x):
    return x.to(torch.int64) if x.dtype == torch.bool else x


def stable(x, axis, descending):
    return torch.sort(counts(x), stable=True, dim=axis, descending=descending)


def logcumsumexp(x, axis, keep):
    """The second slope of PyTorch's own is 0 where a cotangent is."""
    if x.numel() == 0 or x.dim() == 0:
        return torch.logcumsumexp(x, axis)
    most = torch.amax(x.detach(), axis, True)
    return most + torch.log(torch.cumsum(torch.exp(x - most), axis))


along("ag_cumsum", lambda x, axis, keep: torch.cumsum(x, axis))
along("ag_cumprod", lambda x, axis, keep: torch.cumprod(x, axis))
along("ag_cummax", lambda x, axis, keep: torch.cummax(counts(x), axis)[0])
along("ag_cummin", lambda x, axis, keep: torch.cummin(counts(x), axis)[0])
along("ag_logcumsumexp", logcumsumexp)
along("ag_softmax", lambda x, axis, keep: torch.softmax(x, axis))
along("ag_log_softmax", lambda x, axis, keep: torch.log_softmax(x, axis))
along("ag_logsumexp", lambda x, axis, keep: torch.logsumexp(x, axis, keep))
along("ag_argsort", lambda x, axis, keep: stable(x, axis, keep)[1])
along("ag_flip", lambda x, axis, keep: torch.flip(x, [axis]) if x.shape[axis] > 1 else x)


@call("ag_sort")
def sort(x, l):
    return stable(x[0], l["number"][0], l["keep"])[0].to(x[0].dtype)


@call("user_largest")
def largest(x, l):
    axis, k = l["number"][0], (x[0].shape[l["number"][0]] + 1) // 2
    return torch.narrow(stable(x[0], axis, l["keep"])[0], axis, 0, k).to(x[0].dtype)


@call("ag_argmax")
def argmax(x, l):
    axis = l["number"][0] % x[0].dim()
    y = x[0].movedim(axis, -1)
    y = first_extreme(y, torch.amax(y, -1, True))
    return y.unsqueeze(axis) if l["keep"] else y


@call("user_searched")
def searched(x, l):
    last = x[0].transpose(l["number"][0], -1).detach().contiguous()
    return torch.searchsorted(torch.sort(last, -1)[0].contiguous(), last, right=True)


@call("user_histogram")
def histogram(x, l):
    y = x[0].detach().to(torch.float64)
    y = y[(y >= -2) & (y <= 2)]
    return torch.histc(y, 5, -2, 2).to(torch.int64) if len(y) else torch.zeros(5, dtype=torch.int64)


# The tests' own

CALLS["user_softsign"] = CALLS["ag_softsign"]
CALLS["user_opposite"] = lambda x, l: -x[0]
CALLS["user_reversed"] = lambda x, l: torch.flip(x[0], list(range(x[0].dim())))
CALLS["user_running"] = lambda x, l: torch.cumsum(x[0], -1)
CALLS["user_join"] = lambda x, l: x[0] + x[1] + x[0] * x[1]
CALLS["user_is_small"] = lambda x, l: (x[0] < 0.5) & (x[0] > -0.5)
CALLS["user_blend"] = lambda x, l: x[0] + 0.25 * (x[1] - x[2])
CALLS["user_weighted"] = lambda x, l: sum(y / (j + 1) for j, y in enumerate(torch.broadcast_tensors(*x)))
CALLS["user_dot"] = lambda x, l: torch.sum(x[0] * x[1], -1)
CALLS["user_one_hot"] = lambda x, l: F.one_hot(x[0], 9).to(DTYPES["f32"])


@call("user_windows")
def user_windows(x, l):
    axis, n = l["number"][0] % x[0].dim(), x[0].shape[l["number"][0]]
    return torch.stack([torch.narrow(x[0], axis, 0, n - 1), torch.narrow(x[0], axis, 1, n - 1)])


@call("user_corner")
def corner(x, l):
    return x[0][1::2] if x[0].dim() == 1 else torch.flip(x[0], [0])[..., 1::2]


@call("user_depthwise")
def depthwise(x, l):
    n = x[0].numel()
    row = x[0].reshape(n)
    window = row[:3]
    y = F.conv1d(F.pad(row.reshape(1, 1, n), (1, 8)), window.reshape(1, 1, -1), dilation=2)[..., :n]
    return 2 * y.reshape(1, n, 1)


@call("user_resized")
def resized(x, l):
    n = x[0].numel()
    m = 2 * n + 1 if n % 2 else n - n // 3
    if m == n:
        return x[0].reshape(1, n, 1)
    i = torch.arange(m, dtype=torch.float64)
    place = i * (n - 1) / max(m - 1, 1) if n % 3 == 0 else ((i + 0.5) * n / m - 0.5).clamp(min=0)
    below = torch.floor(place)
    part = (place - below).to(x[0].dtype)
    row, low = x[0].reshape(n), below.to(torch.int64)
    y = row[low] * (1 - (place - below)).to(x[0].dtype) + row[(low + 1).clamp(max=n - 1)] * part
    return y.reshape(1, m, 1)


# Linear algebra


def matrix_of(x):
    n = 1
    while n < 4 and (n + 1) ** 2 <= x.numel():
        n += 1
    first = 0.25 * tanh(x.reshape(-1)[: n * n])
    first = torch.where(torch.abs(first) <= 1, first, 0)
    return first.reshape(n, n) + torch.diag(torch.arange(n, dtype=x.dtype) + 3), n


def joined(*parts):
    return torch.cat([p.reshape(-1) for p in parts])


def parts(z):
    return torch.stack((z.real, z.imag), -1)


@call("user_linear")
def linear(x, l):
    which = l["number"][0]
    if x[0].numel() == 0:
        return -x[0]
    a, n = matrix_of(x[0])
    b = a[..., :1]
    if which == 0:
        return torch.linalg.solve(a, b)
    if which == 1:
        return torch.linalg.solve_triangular(a, b, upper=n % 2 == 1, unitriangular=n % 3 == 0)
    if which == 2:
        return torch.linalg.inv(a)
    if which == 3:
        return 0.01 * torch.linalg.det(a)
    if which == 4:
        return joined(*torch.linalg.slogdet(a))
    if which == 7:
        return torch.matrix_exp(0.1 * a)
    if which == 6:
        return joined(*torch.linalg.lu(a))
    if which == 5:
        return torch.linalg.cholesky((a + a.T) / 2)
    if which == 8:
        return joined(*torch.linalg.qr(a))
    if which == 9:
        return joined(*torch.linalg.eigh((a + a.T) / 2))
    if which == 10:
        raise Unmapped("svd, whose vectors have any sign")
    if which == 11:
        return torch.linalg.pinv(a[:, : (n + 1) // 2]) @ b
    if which == 12:
        return parts(torch.fft.fft(torch.complex(a, b.expand(n, n)), dim=0))
    if which == 13:
        return parts(torch.fft.rfft(a, dim=-1))
    return torch.fft.irfft(torch.complex(a, b.expand(n, n)), 2 * n - 1, dim=0)


# Layers and functions of small tensors


def layer(name, f):
    CALLS[name] = lambda x, l: f(x[0], x[1], l["number"][0])


def of_elements(f):
    return lambda a, b, number: f(a, b, number) if a.numel() and b.numel() else -a


for name in "loss image normalised sequence multiplied".split():
    layer("user_" + name, of_elements(getattr(torch_layers, name)))
layer("user_indexed", torch_layers.indexed)
layer("user_arranged", torch_layers.arranged)


@call("user_reduced")
def reduced(x, l):
    axes, number = axes_of(x[0], l), l["scalar"][0]
    if int(abs(number)) % 20 in (16, 17):
        f = torch.softmax if int(abs(number)) % 20 == 16 else torch.log_softmax
        return torch_layers.over(x[0], axes, lambda y: f(y, -1))
    every = l["axes"] is None and not l["keep"]
    return torch_layers.reduced_of(x[0], axes, every, number, lambda y: flat(y, axes, False)[0]).reshape(l["y_shape"])


# Shapes and places; where nothing changes the result is x itself


def is_same(x, l):
    return list(x.shape) == l["y_shape"]


def reshaped(x, l):
    return x if is_same(x, l) else x.reshape(l["y_shape"])


def permuted(x, axes):
    return x if axes == sorted(axes) else x.permute(axes)


def transposed(x, i, j):
    return x if (i - j) % x.dim() == 0 else x.transpose(i, j)


CALLS["ag_cast"] = lambda x, l: cast(x[0], l["dtype"])
CALLS["ag_reshape"] = lambda x, l: reshaped(x[0], l)
CALLS["ag_broadcast_to"] = lambda x, l: x[0] if is_same(x[0], l) else x[0].broadcast_to(l["y_shape"])
CALLS["ag_permute"] = lambda x, l: permuted(x[0], axes_of(x[0], l))
CALLS["ag_squeeze"] = CALLS["ag_reshape"]
CALLS["ag_transpose"] = lambda x, l: transposed(x[0], l["number"][0], l["number"][1])
CALLS["ag_unsqueeze"] = lambda x, l: x[0].unsqueeze(l["number"][0])
CALLS["ag_concat"] = lambda x, l: torch.cat(x, l["number"][0]) if len(x) > 1 else x[0]  # which is the result itself
CALLS["ag_diag"] = lambda x, l: torch.diag(x[0], l["number"][0])
CALLS["ag_tril"] = lambda x, l: torch.tril(x[0], l["number"][0])
CALLS["ag_roll"] = lambda x, l: torch.roll(x[0], l["number"][0], l["number"][1])
CALLS["ag_repeat_interleave"] = lambda x, l: x[0] if l["number"][0] == 1 else torch.repeat_interleave(x[0], l["number"][0], l["number"][1])
CALLS["ag_tensordot"] = lambda x, l: torch.tensordot(x[0], x[1], l["number"][0])


def cast(x, dtype):
    if dtype == "bool":
        return x != 0
    if dtype == "i64" and x.is_floating_point():
        y = torch.nan_to_num(x.detach(), nan=0.0).to(torch.float64)
        y = torch.where(y >= 2.0**63, 0, torch.where(y < -(2.0**63), 0, y)).to(torch.int64)
        return torch.where(x >= 2.0**63, 2**63 - 1, torch.where(x < -(2.0**63), -(2**63), y))
    return x.clone() if x.dtype == DTYPES[dtype] else x.to(DTYPES[dtype])


@call("ag_tile")
def tile(x, l):
    return torch.tile(x[0], l["shape"])


def slice_index(n, start, stop, step):
    return list(range(n))[slice(None if start == END else start, None if stop == END else stop, step)]


@call("ag_slice")
def slice_of(x, l):
    axis, start, stop, step = l["number"]
    n = x[0].shape[axis]
    index = slice_index(n, start, stop, step)
    return x[0] if index == list(range(n)) else torch.index_select(x[0], axis, torch.tensor(index, dtype=torch.int64))


@call("ag_embed")
def embed(x, l):
    axis, n, start, step = l["number"]
    shape = list(x[0].shape)
    at = torch.arange(shape[axis]) * step + start
    shape[axis] = n
    return torch.zeros(shape, dtype=x[0].dtype).index_copy(axis % len(shape), at, x[0])


def end_axis(x, axes):
    return [a % x.dim() for a in axes]


@call("ag_windows")
def windows(x, l):
    y = x[0]
    for axis, size, step in zip(end_axis(x[0], l["axes"]), l["shape"], l["shape2"]):
        y = y.unfold(axis, size, step)
    return y


@call("ag_pad")
def pad(x, l):
    before, after = [0] * x[0].dim(), [0] * x[0].dim()
    for axis, b, a in zip(end_axis(x[0], l["axes"]), l["shape"], l["shape2"]):
        before[axis], after[axis] = b, a
    y = x[0]
    for axis in range(y.dim()):
        n = y.shape[axis]
        y = torch.narrow(y, axis, max(0, -before[axis]), n + min(0, before[axis]) + min(0, after[axis]))
        parts = [max(0, before[axis]), max(0, after[axis])]
        zeros = [torch.zeros([p if i == axis else e for i, e in enumerate(y.shape)], dtype=y.dtype) for p in parts]
        y = torch.cat([zeros[0], y, zeros[1]], axis)
    return y


@call("ag_fold")
def fold(x, l):
    """By axes: the windows' places are added one by one."""
    y = x[0]
    n = y.dim() - len(l["axes"])
    for axis, extent, step in reversed(list(zip([a % n for a in l["axes"]], l["shape"], l["shape2"]))):
        shape = list(y.shape[:-1])
        shape[axis] = extent
        places = torch.arange(y.shape[axis]) * step
        total = torch.zeros(shape, dtype=y.dtype)
        for w in range(y.shape[-1]):
            total = torch.index_add(total, axis, places + w, y[..., w])
        y = total
    return y


@call("ag_index_select")
def index_select(x, l):
    axis = l["number"][0] % x[0].dim()
    y = torch.index_select(x[0], axis, x[1].reshape(-1) % max(1, x[0].shape[axis]))
    return y.reshape(l["y_shape"])


def placed(x, index, axis, source=None):
    """Index and source with the extents of x along other axes."""
    shape = list(torch.broadcast_shapes(index.shape, source.shape)) if source is not None else list(index.shape)
    shape = [shape[i] if i == axis else x.shape[i] for i in range(x.dim())]
    index = index.broadcast_to(shape)
    index = torch.where(index < 0, index + x.shape[axis], index)
    return (index, source.broadcast_to(shape)) if source is not None else index


@call("ag_gather", "ag_take_along_axis")
def gather(x, l):
    axis = l["number"][0] % x[0].dim()
    return torch.gather(x[0], axis, placed(x[0], x[1], axis))


@call("ag_scatter_add")
def scatter_add(x, l):
    axis = l["number"][0] % x[0].dim()
    return torch.scatter_add(x[0], axis, *placed(x[0], x[1], axis, x[2]))


@call("ag_scatter")
def scatter(x, l):
    """The last one at a place counts, which PyTorch does not promise."""
    axis = l["number"][0] % x[0].dim()
    index, source = placed(x[0], x[1], axis, x[2])
    y = x[0].clone()  # without indices it is another tensor, too
    for i in range(index.shape[axis]):
        y = torch.scatter(y, axis, torch.narrow(index, axis, i, 1), torch.narrow(source, axis, i, 1))
    return y


@call("ag_scatter_max")
def scatter_max(x, l):
    axis = l["number"][0] % x[0].dim()
    index, source = placed(x[0], x[1], axis, x[2])
    return torch.scatter_reduce(x[0], axis, index, source, "amax")


@call("ag_index_add")
def index_add(x, l):
    axis = l["number"][0] % x[0].dim()
    index = x[1].reshape(-1) % max(1, x[0].shape[axis])
    shape = list(x[0].shape)
    shape[axis] = len(index)
    return torch.index_add(x[0], axis, index, x[2].broadcast_to(shape) if x[1].dim() else spread(x[2], axis, shape))


def spread(source, axis, shape):
    return source.unsqueeze(axis).broadcast_to(shape) if source.dim() >= len(shape) - axis else source.broadcast_to(shape)


# ---- A program ----


def array(text, dtype, shape):
    data = np.frombuffer(bytearray.fromhex(text), dtype=ARRAYS[dtype])
    return torch.from_numpy(data).to(DTYPES[dtype]).reshape(shape)


def unit(data, n):
    """Elements of leaves between −1 and 1, as random_program.c makes them."""
    with np.errstate(over="ignore"):
        z = (np.uint64(data) + np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return 2 * ((z >> np.uint64(11)).astype(np.float64) * 2.0**-53) - 1


class Program:
    """Runs a program; with noise, every real result is disturbed by it, backwards too."""

    def __init__(self, text, noise=None):
        self.p = text
        self.noise = noise
        self.value = []
        self.leaves = {}  # line: its versions
        self.results = {}
        self.recording = True
        self.between = {}  # while recording is off: what gradients asked for meanwhile go through
        self.frozen = set()
        self.looks = []
        self.drawn = {r["what"]: r for r in text["results"] if r["what"].startswith("drawn")}

    def leaf(self, i, x):
        x = x.detach().clone()
        if x.is_floating_point():
            x.requires_grad_(True)
        self.leaves.setdefault(i, []).append(x)
        return x

    def set_variable(self, i, x):
        """What is recorded while it is frozen does not depend on it."""
        self.value[i] = self.constant(x.detach().clone()) if i in self.frozen else x
        self.between.pop(i, None)

    @staticmethod
    def constant(y):
        """Even a constant may be what is differentiated by."""
        return y.requires_grad_(True) if y.is_floating_point() else y

    def disturbed(self, y):
        if self.noise is None or not y.is_floating_point():
            return y
        size, most = NOISE[y.dtype], float(torch.nan_to_num(y.detach()).abs().max()) if y.numel() else 0
        factor, more = (torch.from_numpy(self.noise.uniform(-1, 1, tuple(y.shape))).to(y.dtype) for _ in range(2))
        return y * (1 + size * factor) + size / 64 * most * more

    def decided(self, name, l, x, y):
        """With noise, comparisons of what may be equal but for rounding go either way: noise alone never makes it so."""
        sides = [s for s in x if s.is_floating_point()]
        if self.noise is None or y.dtype != torch.bool or not sides or not name.startswith(COMPARISONS):
            return y
        a, b = x[0].detach(), x[1].detach() if len(x) > 1 else l["scalar"][0] if name.endswith("_scalar") else 0
        if name.startswith("ag_logical") and len(x) > 1:
            near = torch.abs(a) <= NOISE[sides[0].dtype]
            near = near | (torch.abs(b) <= NOISE[sides[0].dtype])
        else:
            near = torch.abs(a - b) <= NOISE[sides[0].dtype] * (1 + torch.abs(a))
        return torch.where(near, torch.from_numpy(np.asarray(self.noise.uniform(-1, 1, tuple(y.shape)) > 0)), y)

    def cotangent(self, k, x, narrow):
        base, after = self.p["cotangents"]
        data = (base + k * ((after - base) % 2**64)) % 2**64
        w = unit(data, x.numel())
        w = w.astype(np.float32) if narrow else w
        return torch.from_numpy(w).to(x.dtype).reshape(x.shape)

    def by_versions(self, y, versions, g):
        """By a variable, over all values that it had: None if y does not depend on it."""
        found = torch.autograd.grad(y, versions, g, create_graph=True, allow_unused=True)
        found = [d for d in found if d is not None]
        return sum(found[1:], found[0]) if found else None

    def gradient(self, l, x):
        y, v = x
        like = v if l["call"] == "ag_jvp" else y
        g = array(l["data"], self.p["lines"][l["x"][l["call"] == "ag_jvp"]]["y_dtype"], like.shape)
        versions = self.leaves.get(l["x"][1], [v])
        if l["call"] == "ag_vjp":
            d = self.by_versions(y, versions, g)
            return torch.zeros_like(v) if d is None else d
        if y is v:
            return g
        u = torch.zeros_like(y, requires_grad=True)
        w = self.by_versions(y, versions, u)
        if w is None or not w.requires_grad:
            return torch.zeros_like(y)
        d = torch.autograd.grad(w, u, g, create_graph=True, allow_unused=True)[0]
        return torch.zeros_like(y) if d is None else d

    def line(self, i, l):
        name = l["call"]
        x = [self.between.get(k, self.value[k]) for k in l["x"]]
        if name in ("ag_from", "ag_wrap", "ag_variable", "ag_parameter"):
            return self.leaf(i, array(l["data"], l["dtype"], l["shape"]))
        if name == "ag_assign":
            self.set_variable(l["x"][0], self.leaf(l["x"][0], x[1]))
            return None
        if name == "ag_eval":
            self.looks.append((l["x"][0], x[0]))
            return None
        if name == "output" or name == "ag_keep":
            return None
        if name == "ag_freeze":
            (self.frozen.add if l["keep"] else self.frozen.discard)(l["x"][0])
            self.set_variable(l["x"][0], self.leaves[l["x"][0]][-1])
            return None
        if name == "ag_tape_set_recording":
            self.recording = l["keep"]
            self.between = {}
            return None
        if f"drawn v{i}" in self.drawn:
            return self.constant(array(self.drawn[f"drawn v{i}"]["data"], l["y_dtype"], l["y_shape"]))
        if name in ("ag_vjp", "ag_jvp"):
            return self.recorded(i, self.disturbed(self.gradient(l, x)))
        if name not in CALLS:
            raise Unmapped(name)
        y = CALLS[name](x, l)
        if list(y.shape) != l["y_shape"] or y.dtype != DTYPES[l["y_dtype"]]:
            raise AssertionError(f"{name} gives {y.dtype} {list(y.shape)}, not {l['y_dtype']} {l['y_shape']}")
        y = self.decided(name, l, x, y)
        if x and y is x[0] and self.recording:
            return y
        return self.recorded(i, self.disturbed(y))

    def recorded(self, i, y):
        """While recording is off, a result is constant later."""
        if y.is_floating_point() and not y.requires_grad:
            y = self.constant(y.detach())
        if self.recording:
            return y
        self.between[i] = y * 1 if y.is_floating_point() else y
        return self.constant(y.detach().clone())

    def grads(self, outputs, cotangents, numbers):
        """By each leaf: the sum over its versions."""
        versions = [v for i in numbers for v in self.leaves[i]]
        pairs = [(y, g) for y, g in zip(outputs, cotangents) if y.requires_grad]
        if not pairs:
            return [torch.zeros_like(self.leaves[i][0]) for i in numbers]
        found = torch.autograd.grad([y for y, _ in pairs], versions, [g for _, g in pairs], create_graph=True,
                                    allow_unused=True)
        result, k = [], 0
        for i in numbers:
            total = torch.zeros_like(self.leaves[i][0])
            for _ in self.leaves[i]:
                total = total if found[k] is None else total + found[k]
                k += 1
            result.append(total)
        return result

    def run(self):
        outputs = []
        for i, l in enumerate(self.p["lines"]):
            self.value.append(self.line(i, l))
            if l["call"] == "output":
                outputs.append(l["x"][0])
        for i in list(self.frozen):  # no longer, when gradients are asked for
            self.frozen.discard(i)
            self.set_variable(i, self.leaves[i][-1])
        outputs = [(v, self.value[v]) for v in outputs]
        dtypes = [l.get("y_dtype") for l in self.p["lines"]]
        expected = collections.defaultdict(list)
        for r in self.p["results"]:
            expected[r["what"].rsplit(" ", 1)[0]].append(r["what"])
        for v, y in outputs[:8]:
            self.results[f"output v{v}"] = y
        for k, (v, y) in enumerate(self.looks):
            self.results[f"look {k} at v{v}"] = y
        for i in self.leaves:
            self.results[f"variable v{i}"] = self.value[i]
        numbers = [int(w.rsplit(" v", 1)[1]) for w in expected["gradient by"]]
        if not numbers:
            return self.results
        real = [(v, y) for v, y in outputs if y.is_floating_point()][:8]
        cotangents = [self.cotangent(k, y, dtypes[v] == "f32") for k, (v, y) in enumerate(real)]
        first = self.grads([y for _, y in real], cotangents, numbers)
        for i, d in zip(numbers, first):
            self.results[f"gradient by v{i}"] = d
        if expected["second gradient by"]:
            cotangents = [self.cotangent(100 + k, d, dtypes[i] == "f32") for k, (i, d) in enumerate(zip(numbers, first))]
            second = self.grads(first, cotangents, numbers)
            for i, d in zip(numbers, second):
                self.results[f"second gradient by v{i}"] = d
        return self.results


# ---- Comparing ----


def apart(a, b):
    """The largest difference; infinite where one is NaN or infinite and the other is not."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    with np.errstate(all="ignore"):
        d = np.abs(a - b)[~same]
    return float("inf") if not np.isfinite(d).all() else float(d.max())


def flat_results(results):
    return {k: v.detach().numpy().reshape(-1).astype(np.float64) for k, v in results.items()}


def disagreements(p, results):
    bad, beyond = [], [0]
    largest = 1 + max((np.abs(v[np.isfinite(v)]).max(initial=0) for v in results.values()), default=0)
    for r in p["results"]:
        if r["what"].startswith("drawn"):
            continue
        got = np.frombuffer(bytes.fromhex(r["data"]), dtype=ARRAYS[r["dtype"]]).astype(np.float64)
        want = results[r["what"]]
        known = np.isfinite(want)
        if not known.all():
            beyond[0] += 1
        d = apart(got[known], want[known])
        finite = np.abs(want[known])
        most = finite.max() if finite.size else 0.0
        if d > TOLERANCE.get(r["dtype"], 0) * most + TINY.get(r["dtype"], 0) * largest:
            bad.append((r["what"], d, most, got, want))
    return bad, beyond[0]


def nearer_than_pytorch(p, bad):
    """What is further than PyTorch's f32 from the same in f64 throughout."""
    DTYPES["f32"] = torch.float64
    try:
        exact = flat_results(Program(p).run())
    finally:
        DTYPES["f32"] = torch.float32
    return [b for b in bad if not apart(b[3], exact[b[0]]) <= 2 * apart(b[4], exact[b[0]])]


def judge(p):
    """What disagrees beyond measure; how many results there are, took a measurement, are not finite in PyTorch."""
    results = flat_results(Program(p).run())
    bad, beyond = disagreements(p, results)
    far = len(bad)
    for k in range(NOISES):
        if not bad:
            break
        noisy = flat_results(Program(p, np.random.default_rng(k)).run())
        changes = {w: SAFETY * apart(noisy[w], results[w]) for w in results}
        bad = [b for b in bad if not b[1] <= changes[b[0]]]
    if bad and any(l["dtype"] == "f32" or l.get("y_dtype") == "f32" for l in p["lines"]):
        bad = nearer_than_pytorch(p, bad)
    return bad, len(p["results"]), far - len(bad), beyond


def calls_behind(p, what):
    """The calls that a result depends on."""
    v = int(what.rsplit("v", 1)[1].split()[0])
    wanted = {v} if what.startswith("output") else {l["x"][0] for l in p["lines"] if l["call"] == "output"}
    for i in range(len(p["lines"]) - 1, -1, -1):
        wanted |= set(p["lines"][i]["x"]) if i in wanted else set()
    return sorted({p["lines"][i]["call"] for i in wanted if p["lines"][i]["x"]})


def unlimited():
    """The writer may be built with sanitizers, which ask for more addresses than there is memory."""
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def judge_all(program, first, programs, extra):
    """Counts, reasons for which programs are left out, and seeds of those that disagree."""
    command = [program, "--json", "--seed", str(first), "--programs", str(programs)] + extra
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=unlimited)
    counts, unmapped, failures = collections.Counter(), collections.Counter(), []
    for text in writer.stdout:
        p = json.loads(text)
        counts["programs"] += 1
        looks = [r for r in p["results"] if r["what"].endswith(" on the way")]
        for k, r in enumerate(looks):  # a variable may be looked at again, after an assignment
            r["what"] = f"look {k} at {r['what'].split()[0]}"
        if p["wild"]:
            counts["wild"] += 1
            continue
        try:
            bad, results, measured, beyond = judge(p)
        except Unmapped as reason:
            unmapped[str(reason)] += 1
            continue
        except Exception as error:
            if isinstance(error, MemoryError) or any(w in str(error) for w in ("can't allocate memory", "bad_alloc")):
                unmapped["more memory than is allowed"] += 1
                continue
            if "integer multiplication overflow" in str(error):
                unmapped["PyTorch's diag beyond a matrix"] += 1
                continue
            failures.append(p["seed"])
            print(f"seed {p['seed']}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            continue
        counts.update(judged=1, results=results, measured=measured, beyond=beyond)
        if bad:
            failures.append(p["seed"])
            what, d, most, got, want = bad[0]
            at = int(np.argmax(np.where(np.isfinite(want), np.nan_to_num(np.abs(got - want), nan=np.inf), -1)))
            print(f"seed {p['seed']}: {what}: {got[at]!r} here, {want[at]!r} in PyTorch, element {at} of {len(got)}; "
                  f"largest {most:.3g}; {len(bad)} such results; of {' '.join(calls_behind(p, what))}", flush=True)
    if writer.wait() != 0:
        failures.append(first)
        print(f"from seed {first} on: the writer ends with {writer.returncode}")
    return counts, unmapped, failures


def in_a_child(writer, *arguments):
    torch.set_num_threads(1)
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, most))
    writer.send(judge_all(*arguments))


def judge_apart(program, first, programs, extra):
    """judge_all in a process of its own. What ends it, as lacking memory within PyTorch may, is left out."""
    reader, writer = multiprocessing.Pipe(False)
    child = multiprocessing.Process(target=in_a_child, args=(writer, program, first, programs, extra))
    child.start()
    writer.close()
    try:
        return reader.recv()
    except EOFError:
        if programs == 1:
            return collections.Counter(programs=1), collections.Counter(["that end PyTorch's process"]), []
        half = programs // 2
        one, other = (judge_apart(program, *part, extra) for part in ((first, half), (first + half, programs - half)))
        return one[0] + other[0], one[1] + other[1], one[2] + other[2]
    finally:
        child.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="small, medium, large or broad")
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts, unmapped, failures = collections.Counter(), collections.Counter(), []
    chunk = options.programs if options.only else CHUNK
    for done in range(0, options.programs, chunk):  # PyTorch keeps graphs of graphs: a process for so many programs
        more = judge_apart(options.program, options.seed + done, min(chunk, options.programs - done),
                           ["--only", options.only] if options.only else [])
        counts.update(more[0])
        unmapped.update(more[1])
        failures += more[2]
    print(f"{counts['programs']} programs, {counts['judged']} of them judged, {counts['results']} results, "
          f"{counts['measured']} within a measured bound, {counts['beyond']} with NaN or infinities in PyTorch, "
          f"{len(failures)} programs disagree")
    print(f"left out: {counts['wild']} with NaN and infinities;", "; ".join(f"{n} {w}" for w, n in unmapped.most_common()))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
