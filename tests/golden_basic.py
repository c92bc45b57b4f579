"""golden_basic -- arithmetic, comparisons, sums, views, products: the calls of PyTorch that cases are compared with

See golden.py."""
import itertools

import numpy as np
import torch

INT_MAX = 2**63 - 1


def saturating_int(x):
    """A real to i64: towards zero, NaN to 0, beyond the range to its ends."""
    if x.dtype == torch.bool:
        return x.long()
    whole = [0 if v != v else max(-2**63, min(INT_MAX, v)) for v in x.double().flatten().tolist()]
    return torch.tensor([int(v) for v in whole], dtype=torch.int64).reshape(x.shape)


def embed(x, axis, n, start, step):
    shape = list(x.shape)
    shape[axis] = n
    places = torch.tensor([start + step * i for i in range(x.shape[axis])], dtype=torch.int64)
    y = torch.zeros(shape, dtype=x.dtype)
    return y.index_copy(axis, places, x) if x.dtype.is_floating_point else _index_put(y, axis, places, x)


def resized(size, mode, **options):
    def call(x):
        y = torch.nn.functional.interpolate(x.movedim(-1, 1), size, mode=mode, **options)
        return y.movedim(1, -1)
    return call


def _index_put(y, axis, places, x):
    for i, place in enumerate(places.tolist()):
        y.select(axis, place).copy_(x.select(axis, i))
    return y


def python_slice(x, axis, start, stop, step):
    """Python's slice, which PyTorch lacks for negative steps."""
    chosen = list(range(x.shape[axis]))[slice(start, stop, step)]
    return x.index_select(axis, torch.tensor(chosen, dtype=torch.int64))


def along(x, index, axis):
    """The index, broadcast to x along other axes."""
    shape = [index.shape[k] if k == axis % x.dim() else x.shape[k] for k in range(x.dim())]
    return index.expand(shape)


def scatter_add(x, index, source, axis):
    wide = along(x, torch.broadcast_tensors(index, source)[0], axis)
    return x.scatter_add(axis, wide, source.expand(wide.shape))


def windows(x, axes, sizes, steps):
    """NumPy's sliding windows by PyTorch's unfold, which puts each new axis last."""
    for axis, size, step in zip(axes, sizes, steps):
        x = x.unfold(axis if axis >= 0 else axis + x.dim(), size, min(step, 1000))
    return x


def fold(x, axes, extents, steps):
    """Overlap-add, one element of a window after the other."""
    n = len(axes)
    axes = [a % (x.dim() - n) for a in axes]
    shape = list(x.shape[:-n])
    for a, e in zip(axes, extents):
        shape[a] = e
    y = torch.zeros(shape, dtype=x.dtype)
    for w in itertools.product(*[range(k) for k in x.shape[-n:]]):
        at = [slice(None)] * (x.dim() - n)
        for a, i, s in zip(axes, w, steps):
            at[a] = slice(i, i + s * (x.shape[a] - 1) + 1, min(s, 1000))
        part = torch.zeros(shape, dtype=x.dtype)
        part[tuple(at)] = x[(Ellipsis,) + w]
        y = y + part
    return y


def first_max(x, axis, keep):
    """NumPy's: the index of PyTorch's argmax is unspecified for equal elements."""
    y = torch.from_numpy(np.asarray(np.argmax(x.numpy(), axis)))
    return y.unsqueeze(axis) if keep else y


def plain_pow(x, s):
    """C's pow: for the exponent 0.5 PyTorch takes the square root, which differs at -0 and -inf."""
    return torch.pow(x, torch.full(tuple(x.shape) + (1,), s, dtype=x.dtype)[..., 0])


def all_axes_mean(x):
    return x.mean()


# Cases that PyTorch calls by another name, or with other arguments: a case of any other name is torch's function of that name.
CALLS = {
    "full": lambda d: torch.full((2, 3), 3, dtype=d),
    "full one": lambda d: torch.full((2, 0), 1, dtype=d),
    "zeros": lambda d: torch.zeros(2, 3, dtype=d),
    "ones": lambda d: torch.ones(2, 3, dtype=d),
    "scalar": lambda d: torch.ones((), dtype=d),
    "arange": lambda d: torch.arange(7, dtype=d),
    "arange none": lambda d: torch.arange(0, dtype=d),
    "maximum ties": torch.maximum,
    "minimum ties": torch.minimum,
    "add_scalar": lambda x: x + 3,
    "rsub_scalar": lambda x: 3 - x,
    "scale": lambda x: x * 3,
    "scale 0": lambda x: x * 0,
    "div_scalar": lambda x: x / 3,
    "rdiv_scalar": lambda x: 3 / x,
    "pow_scalar 0.5": lambda x: plain_pow(x, 0.5),
    "pow_scalar 0.333": lambda x: plain_pow(x, 1 / 3),
    "pow_scalar 3": lambda x: torch.pow(x, 3),
    "pow_scalar -1": lambda x: torch.pow(x, -1),
    "pow_scalar -2": lambda x: torch.pow(x, -2),
    "pow_scalar 2": lambda x: torch.pow(x, 2),
    "pow_scalar 1": lambda x: torch.pow(x, 1),
    "pow_scalar 0": lambda x: torch.pow(x, 0),
    "maximum_scalar": lambda x: torch.maximum(x, torch.tensor(1, dtype=x.dtype)),
    "maximum_scalar ties": lambda x: torch.maximum(x, torch.tensor(1, dtype=x.dtype)),
    "minimum_scalar": lambda x: torch.minimum(x, torch.tensor(1, dtype=x.dtype)),
    "minimum_scalar ties": lambda x: torch.minimum(x, torch.tensor(1, dtype=x.dtype)),
    "clamp": lambda x: torch.clamp(x, -1, 0.5),
    "clamp bounds": lambda x: torch.clamp(x, -1, 0.5),
    "equal": torch.eq,
    "not_equal": torch.ne,
    "less": torch.lt,
    "less_equal": torch.le,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "cast bool": lambda x: x.bool(),
    "cast i64": saturating_int,
    "cast f32": lambda x: x.float(),
    "cast f64": lambda x: x.double(),
    "cast itself": lambda x: x.clone(),
    "log1p": lambda x: torch.log1p(x.clamp(max=1e30)) + torch.log(x.clamp(min=1e30) / 1e30),  # torch.log1p overflows too early
    "abs ties": torch.abs,
    "sign": lambda x: torch.where(x != x, x, torch.sign(x)),
    "relu ties": torch.relu,
    "tanh_slope": lambda x: 4 * torch.sigmoid(2 * x) * torch.sigmoid(-2 * x),
    "sigmoid_slope": lambda x: torch.sigmoid(x) * torch.sigmoid(-x),
    "below_one": lambda v, e: torch.where(e < 1, v, torch.zeros((), dtype=v.dtype)),
    "from_one": lambda v, e: torch.where(e < 1, torch.zeros((), dtype=v.dtype), v),
    "gate": lambda x, g: torch.where(x > 0, g, torch.where(x.isnan() & (g != 0), x, torch.zeros((), dtype=x.dtype))),
    "stop_gradient": lambda x: x.detach(),
    "sum scalar": torch.sum,
    "sum nothing": torch.sum,
    "sum special": torch.sum,
    "sum_over none": lambda x: x.clone(),
    "sum_over 0": lambda x: x.sum(0),
    "sum_over 1": lambda x: x.sum(1),
    "sum_over 1 of nothing": lambda x: x.sum(1),
    "sum_over 0 of nothing": lambda x: x.sum(0),
    "sum_over last": lambda x: x.sum(-1),
    "sum_over 0,2 kept": lambda x: x.sum((0, 2), keepdim=True),
    "sum_over all kept": lambda x: x.sum((0, 1, 2), keepdim=True),
    "mean": all_axes_mean,
    "mean nothing": all_axes_mean,
    "mean_over 1": lambda x: x.mean(1),
    "mean_over 0,2 kept": lambda x: x.mean((0, 2), keepdim=True),
    "var 0": lambda x: torch.var(x, (0, 1, 2), unbiased=False),
    "var 1": lambda x: torch.var(x, (0, 1, 2), unbiased=True),
    "var_over 1": lambda x: torch.var(x, 1, unbiased=True),
    "var_over 0,2 kept": lambda x: torch.var(x, (0, 2), unbiased=False, keepdim=True),
    "max": torch.amax,
    "max ties": torch.amax,
    "interpolate linear": resized((5, 2), "bilinear", align_corners=False),
    "interpolate corners": resized((4, 7), "bilinear", align_corners=True),
    "interpolate cubic": resized((3, 5), "bicubic", align_corners=False),
    "interpolate nearest": resized((4, 2, 2), "nearest"),
    "interpolate exact": resized((7,), "nearest-exact"),
    "max special": torch.amax,
    "max_over 1": lambda x: torch.amax(x, 1),
    "max_over 1 ties": lambda x: torch.amax(x, 1),
    "max_over 1 special": lambda x: torch.amax(x, 1),
    "max_over 0,2 kept": lambda x: torch.amax(x, (0, 2), keepdim=True),
    "min": torch.amin,
    "min ties": torch.amin,
    "min special": torch.amin,
    "min_over 1": lambda x: torch.amin(x, 1),
    "min_over 1 special": lambda x: torch.amin(x, 1),
    "min_over 0,2 kept": lambda x: torch.amin(x, (0, 2), keepdim=True),
    "argmax 0": lambda x: first_max(x, 0, False),
    "argmax 1": lambda x: first_max(x, 1, False),
    "argmax last kept": lambda x: first_max(x, -1, True),
    "argmax special": lambda x: first_max(x, 1, False),
    "reshape 3,-1": lambda x: x.reshape(3, -1),
    "reshape 2,2,3,1": lambda x: x.reshape(2, 2, 3, 1),
    "reshape from scalar": lambda x: x.reshape(1, 1),
    "reshape to scalar": lambda x: x.reshape(()),
    "reshape nothing": lambda x: x.reshape(2, 0, 7),
    "transpose 0,2": lambda x: x.transpose(0, 2),
    "transpose last": lambda x: x.transpose(-1, -2),
    "transpose same": lambda x: x.transpose(1, 1),
    "transpose nothing": lambda x: x.transpose(-1, -2),
    "permute 2,0,1": lambda x: x.permute(2, 0, 1),
    "permute -1,0,-2": lambda x: x.permute(-1, 0, -2),
    "broadcast_to": lambda x: x.expand(2, 3, 4),
    "broadcast_to from scalar": lambda x: x.expand(2, 3, 4),
    "broadcast_to nothing": lambda x: x.expand(0, 3),
    "slice step": lambda x: python_slice(x, 1, 1, 6, 2),
    "slice back": lambda x: python_slice(x, 1, -1, None, -1),
    "slice back step": lambda x: python_slice(x, -1, 5, 0, -2),
    "slice negative": lambda x: python_slice(x, 1, -5, -1, 1),
    "slice cut": lambda x: python_slice(x, 1, -100, 100, 3),
    "slice cut back": lambda x: python_slice(x, 1, 100, -100, -3),
    "slice none": lambda x: python_slice(x, 1, 4, 4, 1),
    "slice wrong way": lambda x: python_slice(x, 1, 5, 2, 1),
    "slice ends": lambda x: python_slice(x, 0, None, None, 1),
    "slice ends back": lambda x: python_slice(x, 0, None, None, -1),
    "slice huge step": lambda x: python_slice(x, 1, 2, None, INT_MAX),
    "slice of nothing": lambda x: python_slice(x, 1, 100, -100, -3),
    "flip 0": lambda x: x.flip(0),
    "flip last": lambda x: x.flip(-1),
    "embed step": lambda x: embed(x, 1, 9, 1, 2),
    "embed back": lambda x: embed(x, 0, 6, 5, -3),
    "embed nothing": lambda x: embed(x, 0, 3, 1, 1),
    "windows 1": lambda x: windows(x, [1], [3], [1]),
    "windows step": lambda x: windows(x, [-2], [3], [2]),
    "windows apart": lambda x: windows(x, [0], [2], [3]),
    "windows 1,2": lambda x: windows(x, [1, 2], [2, 3], [1, 2]),
    "windows 2,1": lambda x: windows(x, [2, 1], [3, 2], [1, 2]),
    "windows all": lambda x: windows(x, [0, 1], [2, 2], [2, 2]),
    "windows huge step": lambda x: windows(x, [1], [6], [INT_MAX]),
    "windows no axes": lambda x: x.clone(),
    "windows of nothing": lambda x: windows(x, [1], [3], [1]),
    "windows special": lambda x: windows(x, [1], [3], [1]),
    "fold 1": lambda x: fold(x, [1], [6], [1]),
    "fold step": lambda x: fold(x, [-2], [8], [2]),
    "fold apart": lambda x: fold(x, [0], [6], [3]),
    "fold 1,2": lambda x: fold(x, [1, 2], [3, 5], [1, 2]),
    "fold 2,1": lambda x: fold(x, [2, 1], [4, 5], [1, 2]),
    "fold all": lambda x: fold(x, [0, 1], [4, 5], [2, 2]),
    "fold huge step": lambda x: fold(x, [1], [6], [INT_MAX]),
    "fold nothing": lambda x: fold(x, [1], [6], [1]),
    "fold special": lambda x: fold(x, [1], [6], [1]),
    "squeeze all": lambda x: x.squeeze(),
    "squeeze last": lambda x: x.squeeze(-1),
    "unsqueeze 0": lambda x: x.unsqueeze(0),
    "unsqueeze last": lambda x: x.unsqueeze(-1),
    "unsqueeze 1": lambda x: x.unsqueeze(1),
    "contiguous": lambda x: x.transpose(0, 1).contiguous(),
    "concat 1": lambda *x: torch.cat(x, 1),
    "concat last": lambda *x: torch.cat(x, -1),
    "concat one": lambda *x: torch.cat(x, 0),
    "concat 0": lambda *x: torch.cat(x, 0),
    "matmul outer": torch.matmul,
    "matmul inner": torch.matmul,
    "matmul batch": torch.matmul,
    "matmul broadcast": torch.matmul,
    "matmul one for all": torch.matmul,
    "matmul no inner": torch.matmul,
    "matmul no rows": torch.matmul,
    "matmul no batch": torch.matmul,
    "tensordot 0": lambda a, b: torch.tensordot(a, b, 0),
    "tensordot 1": lambda a, b: torch.tensordot(a, b, 1),
    "tensordot 2": lambda a, b: torch.tensordot(a, b, 2),
    "tensordot all": lambda a, b: torch.tensordot(a, b, 2),
    "tensordot no terms": lambda a, b: torch.tensordot(a, b, 2),
    "tensordot no rows": lambda a, b: torch.tensordot(a, b, 1),
    "gather 0": lambda x, i: x.gather(0, along(x, i, 0)),
    "gather 0 full": lambda x, i: x.gather(0, along(x, i, 0)),
    "gather 1": lambda x, i: x.gather(1, along(x, i, 1)),
    "gather last": lambda x, i: x.gather(-1, along(x, i, -1)),
    "gather nothing": lambda x, i: x.gather(0, along(x, i, 0)),
    "scatter_add 0": lambda x, i, s: scatter_add(x, i, s, 0),
    "scatter_add 0 full": lambda x, i, s: scatter_add(x, i, s, 0),
    "scatter_add 1": lambda x, i, s: scatter_add(x, i, s, 1),
    "scatter_add nothing": lambda x, i, s: scatter_add(x, i, s, 0),
    "surprisal 1": lambda x, i: -x.log_softmax(1).gather(1, along(x, i, 1)),
    "logsumexp 1": lambda x: x.logsumexp(1),
    "logsumexp 0 kept": lambda x: x.logsumexp(0, keepdim=True),
    "softmax 0": lambda x: x.softmax(0),
    "softmax last": lambda x: x.softmax(-1),
    "softmax one": lambda x: x.softmax(-1),
    "softmax nothing": lambda x: x.softmax(-1),
    "log_softmax 0": lambda x: x.log_softmax(0),
    "log_softmax last": lambda x: x.log_softmax(-1),
}
