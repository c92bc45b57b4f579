"""golden_shape -- rearranging, padding, indexing, constructors: the calls of NumPy and PyTorch that cases are compared with

See golden.py. NumPy rearranges the numbers of elements, and PyTorch takes the elements of these numbers, so that its autograd
gives the gradient."""
import numpy as np
import torch


def numbered(x):
    return np.arange(x.numel()).reshape(tuple(x.shape))


def taken(values, numbers):
    numbers = np.asarray(numbers)
    return values[torch.from_numpy(np.ascontiguousarray(numbers).reshape(-1).astype(np.int64))].reshape(numbers.shape)


def by_numpy(rearrange):
    """x, rearranged."""
    return lambda x: taken(x.reshape(-1), rearrange(numbered(x)))


def joined(rearrange):
    """Several tensors, numbered one after the other."""

    def call(*x):
        starts = np.cumsum([0] + [v.numel() for v in x])
        return taken(torch.cat([v.reshape(-1) for v in x]), rearrange(*[numbered(v) + s for v, s in zip(x, starts)]))

    return call


def filled(rearrange, value=0):
    """x, and a value where the number is −1."""

    def call(x):
        return taken(torch.cat([x.reshape(-1), torch.tensor([value]).to(x.dtype)]), rearrange(numbered(x)))

    return call


def padded(before_after, value=0):
    return filled(lambda n: np.pad(n, before_after, constant_values=-1), value)


def copied(before_after, mode):
    return by_numpy(lambda n: np.pad(n, before_after, mode=mode))


def cropped(n):
    return np.pad(n[:-1, :, 1:], [(2, 0), (0, 0), (0, 2)], constant_values=-1)


def triangle(f, offset):
    return filled(lambda n: f(n + 1, offset) - 1)


def embedded(offset, axis0, axis1):
    def place(n):
        k, wide = n.shape[-1], n.shape[-1] + abs(offset)
        full = np.full(n.shape[:-1] + (wide, wide), -1)
        for i in range(k):
            full[..., i - min(offset, 0), i + max(offset, 0)] = n[..., i]
        return np.moveaxis(full, (-2, -1), (axis0, axis1))

    return filled(place)


def integers(index):
    return index.numpy()


def indexed(at):
    """x[at(…)] of NumPy, by tensors of indices or a mask."""
    return lambda x, *index: taken(x.reshape(-1), numbered(x)[at(*[integers(i) for i in index])])


def put(at):
    """NumPy's assignment, with the last of several values in one place."""

    def call(x, *rest):
        index, values = rest[:-1], rest[-1]
        numbers = numbered(x)
        numbers[at(*[integers(i) for i in index])] = numbered(values) + x.numel()
        return taken(torch.cat([x.reshape(-1), values.reshape(-1)]), numbers)

    return call


def along(x, index, axis):
    shape = [index.shape[k] if k == axis % x.dim() else x.shape[k] for k in range(x.dim())]
    return index.expand(shape)


def put_along(axis):
    def call(x, index, values):
        wide = along(x, torch.broadcast_tensors(index, values)[0], axis)
        numbers = numbered(x)
        np.put_along_axis(numbers, wide.numpy(), np.broadcast_to(numbered(values), tuple(wide.shape)) + x.numel(), axis)
        return taken(torch.cat([x.reshape(-1), values.reshape(-1)]), numbers)

    return call


def add_along(axis):
    def call(x, index, values):
        wide = along(x, torch.broadcast_tensors(index, values)[0], axis)
        return x.scatter_add(axis, wide, values.expand(wide.shape))

    return call


def reduced(axis, how):
    def call(x, index, values):
        wide = along(x, index, axis)
        return x.scatter_reduce(axis, wide, values.expand(wide.shape), how)

    return call


def add_at(x, index, values):
    return x.index_put((torch.arange(x.shape[0])[:, None], index), values.expand(x.shape[0], -1), accumulate=True)


def masked_scatter(x, mask, source):
    numbers = numbered(x)
    wide = np.broadcast_to(mask.numpy(), numbers.shape)
    numbers[wide] = numbered(source).reshape(-1)[: int(wide.sum())] + x.numel()
    return taken(torch.cat([x.reshape(-1), source.reshape(-1)]), numbers)


def grid(which, indexing):
    """PyTorch wants lists of one dtype, and the last one is a mask."""
    return lambda *x: torch.meshgrid(*x[:-1], x[-1].to(x[0].dtype), indexing=indexing)[which]


CALLS = {
    "expand_as": lambda x, like: x.expand_as(like),
    "movedim one": lambda x: torch.movedim(x, 0, -1),
    "movedim two": lambda x: torch.movedim(x, (3, 0), (0, 2)),
    "swapaxes": lambda x: torch.swapaxes(x, 0, -1),
    "movedim middle": lambda x: torch.movedim(x, 1, -1),
    "movedim 8": lambda x: torch.movedim(x, (-1, 2), (1, 7)),
    "flatten": lambda x: torch.flatten(x),
    "flatten scalar": lambda x: torch.flatten(x),
    "flatten some": lambda x: torch.flatten(x, 1, 2),
    "flatten 8": lambda x: torch.flatten(x, 1, 2),
    "flatten nothing": lambda x: torch.flatten(x, 1, 2),
    "unflatten": lambda x: x.unflatten(1, (2, -1)),
    "unflatten last": lambda x: x.unflatten(-1, (3, 1, 2)),
    "rot90 one": lambda x: torch.rot90(x, 1, (0, 1)),
    "rot90 two": lambda x: torch.rot90(x, 2, (0, 1)),
    "rot90 three": lambda x: torch.rot90(x, -1, (2, 0)),
    "rot90 four": lambda x: torch.rot90(x, -8, (0, 1)),
    "stack first": joined(lambda *n: np.stack(n, 0)),
    "stack last": joined(lambda *n: np.stack(n, -1)),
    "stack scalars": joined(lambda *n: np.stack(n, -1)),
    "stack nothing": joined(lambda *n: np.stack(n, -1)),
    "hstack lists": joined(lambda *n: np.hstack(n)),
    "hstack": joined(lambda *n: np.hstack(n)),
    "vstack": joined(lambda *n: np.vstack(n)),
    "dstack": joined(lambda *n: np.dstack(n)),
    "dstack matrices": joined(lambda *n: np.dstack(n)),
    "split": lambda x: torch.split(x, 2, 1)[2],
    "split sizes": lambda x: torch.split(x, [1, 0, 5], 1)[2],
    "chunk": lambda x: torch.chunk(x, 3, -1)[2],
    "chunk none": lambda x: x[:0],
    "meshgrid ij": grid(1, "ij"),
    "meshgrid xy": grid(0, "xy"),
    "broadcast_tensors": lambda *x: torch.broadcast_tensors(*x)[1],
    "roll one": by_numpy(lambda n: np.roll(n, 1, 0)),
    "roll back": by_numpy(lambda n: np.roll(n, -9, 1)),
    "roll nothing": by_numpy(lambda n: np.roll(n, 1, 0)),
    "roll_over": by_numpy(lambda n: np.roll(n, (1, -1), (0, 2))),
    "tile both": lambda x: torch.tile(x, (2, 3)),
    "tile more": lambda x: torch.tile(x, (2, 1, 2)),
    "tile less": lambda x: torch.tile(x, (2,)),
    "tile none": lambda x: torch.tile(x, (2, 0)),
    "tile eight axes": lambda x: torch.tile(x, (2, 1, 1, 1, 1, 1, 1, 3)),
    "repeat": lambda x: x.repeat(3, 1, 2),
    "repeat_interleave": lambda x: torch.repeat_interleave(x, 3, 0),
    "repeat_interleave eight axes": lambda x: torch.repeat_interleave(x, 2, 2),
    "repeat_interleave_by": lambda x, c: torch.repeat_interleave(x, c, 1),
    "pad two axes": padded([(0, 0), (1, 0), (2, 1), (0, 0)]),
    "pad all": padded([(1, 0), (0, 2)]),
    "pad crop": filled(cropped),
    "pad one": padded([(1, 1), (1, 1)], 1),
    "pad nothing": padded([(2, 0), (1, 0)]),
    "pad only": lambda x: x.clone(),
    "pad special": padded([(0, 0), (1, 0), (2, 1)]),
    "pad reflect": copied([(0, 0), (1, 2), (2, 0)], "reflect"),
    "pad replicate": copied([(0, 0), (1, 3), (2, 4)], "edge"),
    "pad circular": copied([(0, 0), (1, 2), (3, 2)], "wrap"),
    "pad far": copied([(7, 8), (0, 0)], "reflect"),
    "at slices": by_numpy(lambda n: n[1:, ..., ::-2]),
    "at three slices": by_numpy(lambda n: n[::-1, 1:3, :2]),
    "diagonal": by_numpy(lambda n: np.diagonal(n, 0, 0, 1)),
    "diagonal above": by_numpy(lambda n: np.diagonal(n, 1, -2, -1)),
    "diagonal below": by_numpy(lambda n: np.diagonal(n, -1, 2, 0)),
    "diagonal none": by_numpy(lambda n: np.diagonal(n, 4, 0, 1)),
    "diag_embed": embedded(0, -2, -1),
    "diag_embed above": embedded(2, 0, 2),
    "diag_embed below": embedded(-1, 1, 0),
    "diag of a list": embedded(1, 0, 1),
    "diag of a matrix": by_numpy(lambda n: np.diag(n, -1)),
    "eye": lambda d: torch.from_numpy(np.eye(3, 4, 1)).to(d),
    "eye none": lambda d: torch.from_numpy(np.eye(3, 2, -3)).to(d),
    "tril": triangle(np.tril, 0),
    "tril below": triangle(np.tril, -1),
    "tril special": triangle(np.tril, 0),
    "triu above": triangle(np.triu, 1),
    "triu all": triangle(np.triu, -100),
    "arange_with": lambda d: torch.arange(2, 10, 3, dtype=d),
    "arange_with down": lambda d: torch.arange(5, -3, -2, dtype=d),
    "arange_with empty": lambda d: torch.arange(5, 5, 1, dtype=d),
    "arange_with tenths": lambda d: torch.arange(-1, 1, 0.3, dtype=torch.float64).to(d),
    "linspace": lambda d: torch.linspace(-1, 2, 7, dtype=torch.float64).to(d),
    "linspace one": lambda d: torch.linspace(3, 4, 1, dtype=d),
    "linspace none": lambda d: torch.linspace(3, 4, 0, dtype=d),
    "logspace": lambda d: torch.from_numpy(np.logspace(-2, 3, 5)).to(d),
    "at integer": lambda x: x[1],
    "at mixed": by_numpy(lambda n: n[-1, None, ..., ::2, None]),
    "at rest": lambda x: x[..., 0],
    "index rows": indexed(lambda i: i),
    "index of a scalar": indexed(lambda i: i),
    "index middle": indexed(lambda i, j: (slice(None), i, j)),
    "index apart": indexed(lambda i, j: (i, slice(None, None, -1), j, None)),
    "index integer apart": indexed(lambda i: (-1, slice(None), i)),
    "index integer beside": indexed(lambda i: (slice(1, None), 1, i)),
    "index mask": indexed(lambda m: (m, slice(None))),
    "index nothing": indexed(lambda i: i),
    "at_with": indexed(lambda i: (Ellipsis, i, slice(1, None))),
    "index_put set": put(lambda i: i),
    "index_put twice": put(lambda i: i),
    "index_put add": add_at,
    "index_put max": lambda x, i, v: reduced(1, "amax")(x, i.expand(2, -1), v),
    "index_put slices": put(lambda: (slice(None, None, -2), 1, None)),
    "index_put all": lambda x, v: x + v,
    "put_at": put(lambda i: (i, slice(1, None))),
    "put_at mask": put(lambda m: m),
    "index_select first": lambda x, i: x.index_select(0, i),
    "index_select last": lambda x, i: x.index_select(-1, i),
    "index_select nothing": lambda x, i: x.index_select(0, i),
    "index_add first": lambda x, i, s: x.index_add(0, i, s),
    "index_add middle": lambda x, i, s: x.index_add(1, i, s),
    "take_along_axis": lambda x, i: x.gather(0, i),
    "take_along_axis middle": lambda x, i: x.gather(1, along(x, i, 1)),
    "put_along_axis set": put_along(1),
    "put_along_axis add": add_along(0),
    "scatter": put_along(0),
    "scatter twice": put_along(0),
    "scatter_max": reduced(1, "amax"),
    "scatter_max ties": reduced(1, "amax"),
    "scatter_max special": reduced(1, "amax"),
    "scatter_min": reduced(0, "amin"),
    "scatter_min ties": reduced(0, "amin"),
    "zeros_like": torch.zeros_like,
    "ones_like": torch.ones_like,
    "full_like": lambda x: torch.full_like(x, 3),
    "nonzero": torch.nonzero,
    "masked_fill": lambda x, m: x.masked_fill(m, 1),
    "masked_select": torch.masked_select,
    "masked_scatter": masked_scatter,
    "one_hot": lambda i: torch.nn.functional.one_hot(i, 4),
    "one_hot nothing": lambda i: torch.zeros(0, 2, 4, dtype=torch.int64),
}
