"""golden_reduce -- reductions, cumulative operations, sorting: the calls of NumPy, SciPy and PyTorch that cases of this family are compared with

See golden.py. A call takes PyTorch's tensors, gives one, and goes through autograd where the case has a gradient."""
import math

import numpy as np
import torch


def by_numpy(f):
    """A call of NumPy, without a gradient."""
    def call(*x):
        with np.errstate(all="ignore"):
            return torch.from_numpy(np.asarray(f(*[v.detach().numpy() for v in x])))
    return call


def products(x, axes, keep):
    """PyTorch's product over one axis after the other, the last first."""
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def norm(x, p, axes=None, keep=False):
    axes = tuple(range(x.dim())) if axes is None else axes
    return torch.linalg.vector_norm(x, p, axes, keepdim=keep)


def joined(x, axes):
    """These axes as the last one."""
    kept = [a for a in range(x.dim()) if a not in axes]
    return x.permute(kept + list(axes)).reshape([x.shape[a] for a in kept] + [-1])


def quantile(x, q, axes, keep=False):
    y = torch.quantile(joined(x, axes), q, -1)
    for axis in sorted(axes) if keep else []:
        y = y.unsqueeze(axis)
    return y


def masked(f):
    """f of (elements, their dtype's mask of ones and zeros); PyTorch has no masks."""
    return lambda x, m: f(torch.where(m, x, torch.zeros((), dtype=x.dtype)), m.expand(x.shape).to(x.dtype))


def var(x, m, axis, correction, keep):
    n = m.sum(axis, keepdim=True)
    mean = (x * m).sum(axis, keepdim=True) / n
    v = (((x - mean) * m) ** 2).sum(axis, keepdim=True) / (n - correction).clamp(min=0)
    return v if keep else v.squeeze(axis) if axis is not None else v


def extreme(x, m, initial, largest):
    start = torch.full((), initial, dtype=x.dtype)
    y = torch.where(m, x, start)
    return torch.maximum(torch.amax(y, 1), start) if largest else torch.minimum(torch.amin(y, 1), start)


def recur(a, b, axis, back):
    y, n = [None] * a.shape[axis], a.shape[axis]
    for k in reversed(range(n)) if back else range(n):
        before = k + 1 if back else k - 1
        y[k] = b.select(axis, k)
        if 0 <= before < n:
            y[k] = y[k] + a.select(axis, before if back else k) * y[before]
    return torch.stack(y, axis)


def descending(x, axis):
    """A stable argsort; PyTorch's, which puts NaN first."""
    return torch.sort(x, dim=axis, descending=True, stable=True)


def ties(x, y, axes):
    """How many elements equal y."""
    return (x == y).sum(axes, keepdim=True).to(x.dtype)


def shares(x, y, g, axes):
    """Equal shares of g for the elements that equal y."""
    unknown = torch.where(y.isnan() & (g != 0), y * g, torch.zeros_like(g))
    return torch.where(x == y, g / ties(x, y, axes).clamp(min=1), unknown)


def distinct(x):
    """How many elements are distinct, and where each is first, in order of appearance: 6 numbers."""
    first = np.sort(np.unique(x, return_index=True)[1])
    return np.concatenate(([len(first)], first, np.zeros(5 - len(first), int)))


def logcumsumexp(x):
    """Without the NaN that PyTorch makes of infinities."""
    return by_numpy(lambda v: np.logaddexp.accumulate(v.astype(np.float64), 1).astype(v.dtype))(x)


def masked_prod(x, m):
    return torch.where(m, x, torch.ones((), dtype=x.dtype)).prod(0, keepdim=True)


CALLS = {
    "sum bool": torch.sum,
    "mean bool": by_numpy(np.mean),
    "mean i64": by_numpy(np.mean),
    "prod": torch.prod,
    "prod scalar": torch.prod,
    "prod nothing": torch.prod,
    "prod ties": torch.prod,
    "prod special": torch.prod,
    "prod_over 1": lambda x: x.prod(1),
    "prod_over 1 ties": lambda x: x.prod(1),
    "prod_over 0,2 kept": lambda x: products(x, (0, 2), True),
    "prod_over 1 of nothing": lambda x: x.prod(1),
    "all": by_numpy(np.all),
    "all nothing": by_numpy(np.all),
    "all special": by_numpy(lambda x: np.all(x, 1)),
    "all_over 1": by_numpy(lambda x: np.all(x, 1)),
    "any": by_numpy(np.any),
    "any nothing": by_numpy(np.any),
    "any_over 0,2 kept": by_numpy(lambda x: np.any(x, (0, 2), keepdims=True)),
    "argmin 1": by_numpy(lambda x: np.argmin(x, 1)),
    "argmin last kept": by_numpy(lambda x: np.argmin(x, -1, keepdims=True)),
    "argmin special": by_numpy(lambda x: np.argmin(x, 1)),
    "argmin all": by_numpy(np.argmin),
    "argmax all kept": by_numpy(lambda x: np.argmax(x).reshape((1,) * x.ndim)),
    "argmax 0,2": by_numpy(lambda x: np.argmax(x.transpose(1, 0, 2).reshape(x.shape[1], -1), 1)),
    "norm 2": lambda x: norm(x, 2),
    "norm 2 of one": lambda x: norm(x, 2),
    "norm special": by_numpy(lambda x: np.hypot(x[:, 0].astype(np.longdouble), x[:, 1].astype(np.longdouble)).astype(x.dtype)
                             + np.where(np.isnan(x).any(1), np.nan, 0).astype(x.dtype)),
    "norm 1": lambda x: norm(x, 1),
    "norm 0": lambda x: norm(x, 0),
    "norm 3": lambda x: norm(x, 3),
    "norm 0.5": lambda x: norm(x, 0.5),
    "norm -1.5": lambda x: norm(x, -1.5),
    "norm inf": lambda x: norm(x, math.inf),
    "norm -inf": lambda x: norm(x, -math.inf),
    "norm_over 1": lambda x: norm(x, 2, 1),
    "norm_over 0,2 kept": lambda x: norm(x, 2, (0, 2), True),
    "norm 3 over 0,2": lambda x: norm(x, 3, (0, 2)),
    "std 0": lambda x: x.std(unbiased=False),
    "std_over 1": lambda x: x.std(1, unbiased=True),
    "count_nonzero": torch.count_nonzero,
    "count_nonzero_over 1": lambda x: torch.count_nonzero(x, 1).unsqueeze(1),
    "ptp": lambda x: torch.amax(x, (0, 1, 2)) - torch.amin(x, (0, 1, 2)),
    "ptp_over 1": lambda x: torch.amax(x, 1) - torch.amin(x, 1),
    "median": torch.median,
    "median_over 0,2 kept": lambda x: quantile(x, 0.5, (0, 2), True),
    "median special": by_numpy(lambda x: np.median(x, 1)),
    "quantile": lambda x: torch.quantile(x, 0.3),
    "quantile_over 1": lambda x: torch.quantile(x, 0.7, 1),
    "quantiles_over 0,2": lambda x: quantile(x, torch.tensor([0, 0.3, 1], dtype=x.dtype), (0, 2)),
    "average_over 0": lambda x, w: (x * w[:, None]).sum(0) / w.sum(),
    "average all kept": lambda x, w: ((x * w).sum() / (w.sum() * len(x))).reshape(1, 1),
    "sum_where": masked(lambda x, m: x.sum(1)),
    "prod_where": masked_prod,
    "mean_where": masked(lambda x, m: x.sum(1) / m.sum(1)),
    "var_where": masked(lambda x, m: var(x, m, 1, 1, True)),
    "std_where": masked(lambda x, m: var(x.reshape(1, -1), m.reshape(1, -1), 1, 0, False)[0].sqrt()),
    "max_where": lambda x, m: extreme(x, m, -1, True),
    "min_where": lambda x, m: extreme(x, m, 1, False),
    "nansum special": by_numpy(lambda x: np.nansum(x, 1)),
    "nanprod special": by_numpy(lambda x: np.nanprod(x, 1)),
    "nanmean special": by_numpy(lambda x: np.nanmean(x, 1)),
    "nanvar": lambda x: x.var(1, unbiased=False),
    "nanstd": lambda x: x.std(1, unbiased=False),
    "nanmax special": by_numpy(lambda x: np.nanmax(x, 1)),
    "nanmin special": by_numpy(lambda x: np.nanmin(x, 1)),
    "logsumexp 0,2": lambda x: x.logsumexp((0, 2)),
    "softmax 0,2": lambda x: (x - x.logsumexp((0, 2), keepdim=True)).exp(),
    "log_softmax all": lambda x: x - x.logsumexp((0, 1)),
    "cumsum 0": lambda x: x.cumsum(0),
    "cumsum 1": lambda x: x.cumsum(1),
    "cumsum last": lambda x: x.cumsum(-1),
    "cumsum nothing": lambda x: x.cumsum(1),
    "cumsum special": lambda x: x.cumsum(1),
    "cumsum bool": lambda x: x.cumsum(-1),
    "cumprod 0": lambda x: x.cumprod(0),
    "cumprod 1": lambda x: x.cumprod(1),
    "cumprod last": lambda x: x.cumprod(-1),
    "cumprod ties": lambda x: x.cumprod(-1),
    "cumprod special": lambda x: x.cumprod(1),
    "cummax 1": lambda x: x.cummax(1)[0],
    "cummax ties": lambda x: x.cummax(1)[0],
    "cummax index": lambda x: x.cummax(1)[1],
    "cummax index special": lambda x: x.cummax(1)[1],
    "cummin index": lambda x: x.cummin(1)[1],
    "cummax special": lambda x: x.cummax(1)[0],
    "cummin 0": lambda x: x.cummin(0)[0],
    "cummin ties": lambda x: x.cummin(0)[0],
    "logcumsumexp 1": lambda x: torch.logcumsumexp(x, 1),
    "logcumsumexp special": logcumsumexp,
    "diff 1": lambda x: torch.diff(x, 1, 1),
    "diff 2": lambda x: torch.diff(x, 2, -1),
    "diff bool": by_numpy(lambda x: np.diff(x, 2, -1)),
    "recur": lambda a, b: recur(a, b, 1, False),
    "recur back": lambda a, b: recur(a, b, 1, True),
    "sort 0": lambda x: torch.sort(x, dim=0, stable=True)[0],
    "sort down": lambda x: descending(x, -1)[0],
    "sort ties": lambda x: torch.sort(x, dim=0, stable=True)[0],
    "sort special": by_numpy(lambda x: np.take(x, np.argsort(x, kind="stable"))),
    "argsort 1": by_numpy(lambda x: np.argsort(x, 1, kind="stable")),
    "argsort down": lambda x: descending(x, 0)[1],
    "argsort special": by_numpy(lambda x: np.argsort(x, 1, kind="stable")),
    "topk": lambda x: x.topk(2, 1)[0],
    "topk index": lambda x: x.topk(2, 0, largest=False)[1],
    "searchsorted": by_numpy(np.searchsorted),
    "searchsorted right": lambda s, x: torch.searchsorted(s, x, right=True),
    "searchsorted special": by_numpy(np.searchsorted),
    "histogram": by_numpy(lambda x: np.histogram(x, 5, (-1, 1))[0]),
    "histogram special": by_numpy(lambda x: np.histogram(x, 5, (-1, 1))[0]),
    "histogram_between": by_numpy(lambda x, e: np.histogram(x, e)[0]),
    "bincount": by_numpy(lambda x: np.bincount(x.ravel(), minlength=5)),
    "unique": by_numpy(np.unique),
    "ties 1": lambda x, y: ties(x, y, 1),
    "ties 0,2": lambda x, y: ties(x, y, (0, 2)),
    "ties special": lambda x, y: ties(x, y, 1),
    "shares 1": lambda x, y, g: shares(x, y, g, 1),
    "shares 0,2": lambda x, y, g: shares(x, y, g, (0, 2)),
    "shares special": lambda x, y, g: shares(x, y, g, 1),
    "distinct": by_numpy(distinct),
    "unique inverse": by_numpy(lambda x: np.unique(x, return_inverse=True)[1].reshape(x.shape)),
    "unique special": by_numpy(np.unique),
}
