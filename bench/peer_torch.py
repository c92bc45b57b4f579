"""PyTorch, doing the benchmark's rows on command.

Reads commands, one a line, and answers each with a number. "check ROW 0" sets the row up, does it once, and returns a
number that depends on all results; "run ROW N" does it N times, and returns the seconds; "peak ROW 0" returns the peak
of the allocated bytes meanwhile, above those allocated before, and needs count.c preloaded. The arguments are the
number of threads, and --clock or --cpu: whether seconds are the clock's or the processor's.
"""

import ctypes
import gc
import math
import re
import sys
import time

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"not installed: {error}")
    sys.exit(0)


def hashes(n, stream):
    """The same as in inputs.c."""
    z = ((np.uint64(stream) << np.uint64(32)) + np.arange(1, n + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(40)


def noise(shape, stream, scale=1.0):
    values = (hashes(int(np.prod(shape)), stream).astype(np.float64) * 2.0**-23 - 1) * scale
    dtype = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
    return torch.from_numpy(values.astype(dtype).reshape(shape))


def labels(n, stream, classes):
    return torch.from_numpy((hashes(n, stream) % np.uint64(classes)).astype(np.int64))


def weigh(*tensors):
    """A number that changes with misplaced and wrong elements, as in inputs.c."""
    total = 0.0
    for t in tensors:
        flat = t.detach().double().flatten()
        heavy = flat * (1 + torch.arange(flat.numel()) % 7)
        size = float(heavy.abs().sum())
        total += math.log(size) + float(heavy.sum()) / size if size > 0 else size
    return total


# A row is a function that does its work once and returns its results, for `weigh`; or that and a second, which checks.


def ops(length):
    x = noise((8,), 1).requires_grad_()
    a = noise((8,), 2).requires_grad_()
    b = noise((8,), 3).requires_grad_()

    def work():
        y = x
        for i in range(length):
            y = y * a if i % 3 == 0 else y + b if i % 3 == 1 else torch.tanh(y)
        return torch.autograd.grad(y.sum(), (x, a, b))

    return work


def mlp(widths, batch, norm):
    modules = []
    for i, (m, n) in enumerate(zip(widths, widths[1:])):
        linear = torch.nn.Linear(m, n)
        with torch.no_grad():
            linear.weight.copy_(noise((m, n), 10 + i, (3 / m) ** 0.5).t())
            linear.bias.zero_()
        modules.append(linear)
        if i < len(widths) - 2:
            modules += ([torch.nn.BatchNorm1d(n)] if norm else []) + [torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules)
    return training(model, noise((batch, widths[0]), 1), labels(batch, 2, widths[-1]), 0.01)


def training(model, x, t, rate):
    optimiser = torch.optim.SGD(model.parameters(), lr=rate)

    def squares():
        return sum(float(p.detach().double().square().sum()) for p in model.parameters())

    def work():
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss.item()

    def check():
        before = squares()
        work(), work()
        return work() + squares() - before

    return work, check


def batchnorm(n, c):
    x, g = noise((n, c), 1, 2.0).requires_grad_(), noise((n, c), 2)
    gamma, beta = noise((c,), 3).requires_grad_(), noise((c,), 4).requires_grad_()
    mean, var = torch.zeros(c), torch.ones(c)

    def work():
        y = F.batch_norm(x, mean, var, gamma, beta, training=True)
        return y, *torch.autograd.grad(y, (x, gamma, beta), g)

    return work


def layer_norm(n, c):
    x, g = noise((n, c), 1, 2.0).requires_grad_(), noise((n, c), 2)
    gamma, beta = noise((c,), 3).requires_grad_(), noise((c,), 4).requires_grad_()

    def work():
        y = F.layer_norm(x, (c,), gamma, beta)
        return y, *torch.autograd.grad(y, (x, gamma, beta), g)

    return work


def groupnorm(places, c, images=1):
    x, g = (noise((images, places, c), i, scale).transpose(1, 2).contiguous() for i, scale in ((1, 2.0), (2, 1.0)))
    gamma, beta = noise((c,), 3).requires_grad_(), noise((c,), 4).requires_grad_()
    x.requires_grad_()

    def work():
        y = F.group_norm(x, min(c, 32), gamma, beta)
        dx, *rest = torch.autograd.grad(y, (x, gamma, beta), g)
        return y.transpose(1, 2), dx.transpose(1, 2), *rest

    return work


def softmax(n, c):
    x, g = noise((n, c), 1, 4.0).requires_grad_(), noise((n, c), 2)

    def work():
        y = F.softmax(x, -1)
        return y, *torch.autograd.grad(y, x, g)

    return work


def gates(n, c):
    x, g, state = noise((n, 4 * c), 1, 2.0).requires_grad_(), noise((n, c), 2), noise((n, c), 3)

    def work():
        keep, add, change, out = x.chunk(4, 1)
        new = torch.sigmoid(keep) * state + torch.sigmoid(add) * torch.tanh(change)
        y = torch.sigmoid(out) * torch.tanh(new)
        return y, *torch.autograd.grad(y, x, g)

    return work


def cross_entropy(n, c):
    s, t = noise((n, c), 1, 4.0).requires_grad_(), labels(n, 2, c)

    def work():
        loss = F.cross_entropy(s, t)
        (ds,) = torch.autograd.grad(loss, s)
        loss.item()
        return loss, ds

    return work


def gelu(n):
    x, g = noise((n,), 1, 4.0).requires_grad_(), noise((n,), 2)

    def work():
        y = F.gelu(x, approximate="tanh")
        return y, *torch.autograd.grad(y, x, g)

    return work


def chain(n):
    x, g = noise((n,), 1).requires_grad_(), noise((n,), 2)

    def work():
        y = x
        for _ in range(5):
            y = torch.tanh((y * 1.5 + 0.25) * y)
        return y, *torch.autograd.grad(y, x, g)

    return work


class Block(torch.nn.Module):
    def __init__(self, c, h):
        super().__init__()
        self.h = h
        self.qkv, self.proj = torch.nn.Linear(c, 3 * c), torch.nn.Linear(c, c)
        self.widen, self.narrow = torch.nn.Linear(c, 4 * c), torch.nn.Linear(4 * c, c)
        self.norm1, self.norm2 = torch.nn.LayerNorm(c), torch.nn.LayerNorm(c)
        for i, linear in enumerate((self.qkv, self.proj, self.widen, self.narrow)):
            m, n = linear.in_features, linear.out_features
            linear.weight.data = noise((m, n), 10 + 2 * i, m**-0.5).t().contiguous()
            linear.bias.data = noise((n,), 11 + 2 * i, 0.1)
        for i, norm in enumerate((self.norm1, self.norm2)):
            norm.weight.data, norm.bias.data = noise((c,), 20 + 2 * i), noise((c,), 21 + 2 * i)

    def attention(self, x):
        b, t, c = x.shape
        q, k, v = (a.view(b, t, self.h, c // self.h).transpose(1, 2) for a in self.qkv(x).split(c, dim=2))
        a = F.softmax((q @ k.transpose(-2, -1)) * (c // self.h) ** -0.5, dim=-1)
        return self.proj((a @ v).transpose(1, 2).reshape(b, t, c))

    def forward(self, x):
        h = x + self.attention(self.norm1(x))
        return h + self.narrow(F.gelu(self.widen(self.norm2(h)), approximate="tanh"))


def transformer(b=8, t=64, c=128, h=4):
    block = Block(c, h)
    x, g = noise((b, t, c), 1).requires_grad_(), noise((b, t, c), 2)
    inputs = (x, *block.parameters())

    def work():
        y = block(x)
        dx = torch.autograd.grad(y, inputs, g)
        return y, *(d.t() if d.dim() == 2 else d for d in dx)

    return work


class Layer(torch.nn.Module):
    """A block of GPT-2, whose parameters begin with these streams."""

    def __init__(self, c, h, stream):
        super().__init__()
        self.block = Block(c, h)
        self.h = h
        linears = (self.block.qkv, self.block.proj, self.block.widen, self.block.narrow)
        for i, linear in enumerate(linears):
            m, n = linear.in_features, linear.out_features
            linear.weight.data = noise((m, n), stream + 2 * i, m**-0.5).t().contiguous()
            linear.bias.data = noise((n,), stream + 2 * i + 1, 0.1)
        for i, norm in enumerate((self.block.norm1, self.block.norm2)):
            norm.weight.data = noise((c,), stream + 10 + 2 * i)
            norm.bias.data = noise((c,), stream + 11 + 2 * i, 0.1)
        self.listed = [p for linear in linears for p in (linear.weight, linear.bias)]
        self.listed += [p for norm in (self.block.norm1, self.block.norm2) for p in (norm.weight, norm.bias)]

    def forward(self, x, hidden):
        b, t, c = x.shape
        z = self.block.norm1(x)
        q, k, v = (a.view(b, t, self.h, c // self.h).transpose(1, 2) for a in self.block.qkv(z).split(c, dim=2))
        a = ((q @ k.transpose(-2, -1)) * (c // self.h) ** -0.5).masked_fill(hidden, float("-inf"))
        x = x + self.block.proj((F.softmax(a, dim=-1) @ v).transpose(1, 2).reshape(b, t, c))
        return x + self.block.narrow(F.gelu(self.block.widen(self.block.norm2(x)), approximate="tanh"))


def gpt2(b=4, t=64, v=1024, c=256, h=4, layers=4):
    tokens, places = (torch.nn.Parameter(noise((n, c), i, 0.1)) for n, i in ((v, 1), (t, 2)))
    blocks = [Layer(c, h, 100 * (i + 1)) for i in range(layers)]
    gamma, beta = torch.nn.Parameter(noise((c,), 3)), torch.nn.Parameter(noise((c,), 4, 0.1))
    inputs = (tokens, places, *(p for block in blocks for p in block.listed), gamma, beta)
    ids = labels(b * (t + 1), 5, v)
    index, after = ids[: b * t].view(b, t), ids[b : b + b * t]
    hidden = torch.ones(t, t, dtype=torch.bool).triu(1)

    def work():
        x = F.embedding(index, tokens) + places
        for block in blocks:
            x = block(x, hidden)
        loss = F.cross_entropy((F.layer_norm(x, (c,), gamma, beta) @ tokens.t()).view(b * t, v), after)
        dx = torch.autograd.grad(loss, inputs)
        return loss, dx[0], dx[1], *(d.t() if d.dim() == 2 else d for d in dx[2:])

    return work


def lstm(steps=100, batch=16, width=128):
    cell = torch.nn.LSTMCell(width, width)
    cell.weight_ih.data = noise((width, 4 * width), 10, width**-0.5).t().contiguous()
    cell.weight_hh.data = noise((width, 4 * width), 11, width**-0.5).t().contiguous()
    cell.bias_ih.data = noise((4 * width,), 12, width**-0.5)
    cell.bias_hh.data = torch.zeros(4 * width)
    x, g = noise((steps, batch, width), 1), noise((steps, batch, width), 2)
    inputs = (cell.weight_ih, cell.weight_hh, cell.bias_ih)

    def work():
        h = c = torch.zeros(batch, width)
        all_h = []
        for x_t in x:
            h, c = cell(x_t, (h, c))
            all_h.append(h)
        y = torch.stack(all_h)
        dx = torch.autograd.grad(y, inputs, g)
        return y, *(d.t() if d.dim() == 2 else d for d in dx)

    return work


def lenet(batch=64):
    conv1, conv2 = torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.Conv2d(6, 16, 5)
    linears = [torch.nn.Linear(m, n) for m, n in ((400, 120), (120, 84), (84, 10))]
    for i, conv in enumerate((conv1, conv2)):
        k, c, h, w = conv.weight.shape
        weight = noise((h, w, c, k), 10 + i, (3 / (c * h * w)) ** 0.5)
        conv.weight.data, conv.bias.data = weight.permute(3, 2, 0, 1).contiguous(), torch.zeros(k)
    for i, linear in enumerate(linears):
        n, m = linear.weight.shape
        weight = noise((m, n), 20 + i, (3 / m) ** 0.5)
        if i == 0:  # channels are the last axis of ours, and the first here
            weight = weight.view(5, 5, 16, n).permute(2, 0, 1, 3).reshape(m, n)
        linear.weight.data, linear.bias.data = weight.t().contiguous(), torch.zeros(n)
    relu, pool = torch.nn.ReLU(), torch.nn.MaxPool2d(2)
    first, second, third = linears
    model = torch.nn.Sequential(
        conv1, relu, pool, conv2, relu, pool, torch.nn.Flatten(), first, relu, second, relu, third
    )
    return training(model, noise((batch, 1, 28, 28), 1), labels(batch, 2, 10), 0.05)


def conv(kind, axes, side, c_in, c_out, window, batch=8):
    twice = kind == "t"
    last = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}[axes]
    first = (0, axes + 1, *range(1, axes + 1))  # channels to the place where PyTorch has them
    back = (0, *range(2, axes + 2), 1)

    def image(side, channels, stream):
        return noise((batch, *[side] * axes, channels), stream).permute(first).contiguous(memory_format=last)

    x, g = image(side, c_in, 1).requires_grad_(), image(side << twice, c_out, 2)
    groups = c_in if kind == "dw" else 1
    weight = noise((*[window] * axes, (c_out if twice else c_in) // groups, c_in if twice else c_out), 3)
    weight = weight.permute(axes + 1, axes, *range(axes)).contiguous(memory_format=last).requires_grad_()
    bias = noise((c_out,), 4).requires_grad_()
    forward = getattr(F, f"conv_transpose{axes}d" if twice else f"conv{axes}d")
    options = {"stride": 2, "padding": (window - 2) // 2} if twice else {"padding": window // 2}

    def work():
        y = forward(x, weight, bias, groups=groups, **options)
        dx, dw, db = torch.autograd.grad(y, (x, weight, bias), g)
        return y.permute(back), dx.permute(back), dw.permute(*range(2, axes + 2), 1, 0), db

    return work


def adam(tensors, n):
    gradients = noise((tensors, n), 1)
    parameters = [torch.nn.Parameter(torch.zeros(n)) for _ in range(tensors)]
    for p, g in zip(parameters, gradients):
        p.grad = g
    optimiser = torch.optim.Adam(parameters, lr=0.001, foreach=True)

    def work():
        optimiser.step()

    def check():
        work(), work(), work()
        return weigh(*parameters)

    return work, check


def images(form, number, step):
    """Images pooled, or resampled to an edge."""
    x = noise((16, 56, 56, 64), 1).permute(0, 3, 1, 2).requires_grad_()
    modes = {"nearest": "nearest", "linear": "bilinear", "corners": "bilinear", "cubic": "bicubic"}

    def result():
        if form == "max":
            return F.max_pool2d(x, number, step)
        if form == "avg":
            return F.avg_pool2d(x, number, step)
        corners = None if form == "nearest" else form == "corners"
        return F.interpolate(x, (number, number), mode=modes[form], align_corners=corners)

    n, c, h, w = result().shape
    g = noise((n, h, w, c), 2).permute(0, 3, 1, 2)

    def work():
        y = result()
        return y, *torch.autograd.grad(y, x, g)

    return work, lambda: weigh(*(t.permute(0, 2, 3, 1).contiguous() for t in work()))


def matmul_batch():
    a, b = noise((256, 32, 64), 0), noise((256, 64, 32), 1)
    return lambda: (torch.matmul(a, b),)


def normalise(n, c):
    x, g = noise((n, c), 1, 4.0).requires_grad_(), noise((n, c), 2)

    def work():
        y = x / x.square().sum(-1, keepdim=True).sqrt()
        return y, *torch.autograd.grad(y, x, g)

    return work


def slices(n, c):
    x, g = noise((n, c), 1, 4.0).requires_grad_(), noise((n, c), 2)

    def work():
        a, b, d = x[:, 0:1], x[:, 1:2], x[:, 2:3]
        y = torch.cat((a * b, b * d, d * a), 1)
        return y, *torch.autograd.grad(y, x, g)

    return work


def gather(n, c):
    x, index = noise((n, c), 1), labels(n, 2, n)
    return lambda: (torch.index_select(x, 0, index),)


def scatter(n, c):
    x, index = noise((n, c), 1), labels(n, 2, n)
    return lambda: (torch.zeros(n, c).index_add_(0, index, x),)


def indexing(kind):
    image = (32, 56, 56, 64) if kind == "pad_nhwc" else (32, 64, 56, 56)
    shape = {"select_rows": (100000, 64), "add_rows": (100000, 64), "select_columns": (2000, 1000), "take": (2000, 1000),
             "scatter": (2000, 1000), "add_along": (2000, 1000), "add_across": (2000, 1000), "pairs": (2000, 2000), "add_pairs": (2000, 2000), "roll_rows": (4096, 1024),
             "roll_columns": (4096, 1024), "one_hot": (64,), "tril": (2048, 2048), "masked_select": (2048, 2048),
             "stack_first": (512, 1024), "stack_last": (512, 1024), "tile": (1024, 1024), "repeat": (1024, 1024),
             "turn": (1024, 1024), "linspace": (1024, 1024), "distinct": (1000,)}.get(kind, image)
    count = {"select_rows": 100000, "add_rows": 100000, "select_columns": 1000, "take": 2000000, "scatter": 2000000,
             "add_along": 2000000, "add_across": 2000000,
             "pairs": 1000000, "add_pairs": 1000000, "one_hot": 100000, "distinct": 100000}.get(kind, 1)
    limit = shape[1] if kind in ("select_columns", "take", "scatter", "add_along") else shape[0]
    x, i, j = noise(shape, 1), labels(count, 2, limit), labels(count, 3, limit)
    if kind in ("take", "scatter", "add_along", "add_across"):
        i = i.view(shape)
    mask, zeros = x > 0, lambda: torch.zeros_like(x)
    work = {
        "pad_nhwc": lambda: F.pad(x, (0, 0, 1, 1, 1, 1)),
        "pad_nchw": lambda: F.pad(x, (1, 1, 1, 1)),
        "pad_reflect": lambda: F.pad(x, (2, 2, 2, 2), mode="reflect"),
        "select_rows": lambda: torch.index_select(x, 0, i),
        "select_columns": lambda: torch.index_select(x, 1, i),
        "take": lambda: torch.gather(x, 1, i),
        "pairs": lambda: x[i, j],
        "add_rows": lambda: zeros().index_add_(0, i, x),
        "add_pairs": lambda: zeros().index_put_((i, j), torch.ones(()), accumulate=True),
        "scatter": lambda: zeros().scatter_(1, i, x),
        "add_along": lambda: zeros().scatter_add_(1, i, x),
        "add_across": lambda: zeros().scatter_add_(0, i, x),
        "roll_rows": lambda: torch.roll(x, 100, 0),
        "roll_columns": lambda: torch.roll(x, 100, 1),
        "one_hot": lambda: F.one_hot(i, 64),
        "tril": lambda: torch.tril(x),
        "stack_first": lambda: torch.stack([x] * 8, 0),
        "stack_last": lambda: torch.stack([x] * 8, -1),
        "tile": lambda: torch.tile(x, (2, 2)),
        "repeat": lambda: torch.repeat_interleave(x, 3, 0),
        "turn": lambda: x.t().contiguous(),
        "linspace": lambda: torch.linspace(-1, 2, x.numel()),
        "distinct": lambda: torch.unique(i, return_inverse=True)[1],
        "masked_select": lambda: torch.masked_select(x, mask),
    }[kind]
    return lambda: (work(),)


# Rows of linear algebra: a function and the shapes of its operands, forward and backward.


def einsum(text):
    return lambda *x: torch.einsum(text, *x)


def turned_qr(a):
    q, r = torch.linalg.qr(a)
    return r @ q


def whole_svd(a):
    u, s, vt = torch.linalg.svd(a)
    return (u @ vt) * s.unsqueeze(-1)


LINALG = {
    "einsum_small": (einsum("ij,jk->ik"), (8, 8), (8, 8)),
    "einsum_batch": (einsum("bij,bjk->bik"), (64, 64, 64), (64, 64, 64)),
    "einsum_scores": (einsum("bthd,bshd->bhts"), (8, 64, 8, 32), (8, 64, 8, 32)),
    "einsum_turned": (einsum("jib,kj->bik"), (128, 64, 32), (96, 128)),
    "einsum_rows": (einsum("bi,bi->b"), (4096, 256), (4096, 256)),
    "einsum_outer": (einsum("bi,bj->bij"), (64, 128), (64, 128)),
    "einsum_bilinear": (einsum("bi,oij,bj->bo"), (64, 64), (32, 64, 64), (64, 64)),
    "einsum_chain": (einsum("ij,jk,kl->il"), (256, 256), (256, 256), (256, 4)),
    "einsum_trace": (einsum("bii->b"), (64, 128, 128)),
    "einsum_tiny": (einsum("bij,bjk->bik"), (10000, 2, 2), (10000, 2, 2)),
    "einsum_reversed": (einsum("abcd,dcba->"), (20, 21, 22, 23), (23, 22, 21, 20)),
    "solve_256": (torch.linalg.solve, (256, 256), (256, 16)),
    "solve_batch": (torch.linalg.solve, (1000, 8, 8), (1000, 8, 1)),
    "inverse_256": (torch.linalg.inv, (256, 256)),
    "cholesky_256": (lambda a: torch.linalg.cholesky(a @ a.mT), (256, 256)),
    "det_64": (torch.linalg.det, (64, 64)),
    "det_400": (torch.linalg.det, (400, 400)),
    "matrix_exp_64": (torch.matrix_exp, (64, 64)),
    "qr_128": (turned_qr, (128, 128)),
    "eigvalsh_128": (lambda a: torch.linalg.eigvalsh(a @ a.mT), (128, 128)),
    "svdvals_128": (torch.linalg.svdvals, (128, 128)),
    "svd_3": (whole_svd, (1000, 3, 3)),
    "fft_64": (lambda a: torch.view_as_real(torch.fft.fft(torch.view_as_complex(a))), (64, 2)),
    "fft_64_many": (lambda a: torch.view_as_real(torch.fft.fft(torch.view_as_complex(a))), (1000, 64, 2)),
    "rfft_64": (lambda a: torch.view_as_real(torch.fft.rfft(a)), (64,)),
    "fft_4096": (lambda a: torch.view_as_real(torch.fft.fft(torch.view_as_complex(a))), (64, 4096, 2)),
    "rfft_4096": (lambda a: torch.view_as_real(torch.fft.rfft(a)), (64, 4096)),
}


def linalg(name):
    call, *shapes = LINALG[name]
    regular = not name.startswith(("einsum", "fft", "rfft"))
    x = [noise(shape, i + 1, 1 / shape[-1] if regular and i == 0 else 1.0) for i, shape in enumerate(shapes)]
    if regular:
        x[0] = x[0] + torch.eye(shapes[0][-1])
    x = [v.requires_grad_() for v in x]
    g = noise(tuple(call(*x).shape), 9)

    def work():
        y = call(*x)
        return *torch.autograd.grad(y, x, g), y

    return work


# Elementwise operations alone: the call, the number of inputs, and what they are: the middle ± the width.
CATALOGUE = {
    "exp2": (torch.exp2, 1, 0, 4), "log2": (torch.log2, 1, 3, 2), "log10": (torch.log10, 1, 3, 2),
    "cbrt": (lambda x: torch.pow(x, 1 / 3), 1, 3, 2), "tan": (torch.tan, 1, 0, 4), "asin": (torch.asin, 1, 0, 0.9),
    "acos": (torch.acos, 1, 0, 0.9), "atan": (torch.atan, 1, 0, 4), "atan2": (torch.atan2, 2, 0, 4),
    "sinh": (torch.sinh, 1, 0, 4), "cosh": (torch.cosh, 1, 0, 4), "asinh": (torch.asinh, 1, 0, 4),
    "acosh": (torch.acosh, 1, 4, 2.5), "atanh": (torch.atanh, 1, 0, 0.9), "expm1": (torch.expm1, 1, 0, 4),
    "log1p": (torch.log1p, 1, 3, 3), "pow": (torch.pow, 2, 2, 1.5),
    "floor": (torch.floor, 1, 0, 4), "ceil": (torch.ceil, 1, 0, 4), "round": (torch.round, 1, 0, 4),
    "trunc": (torch.trunc, 1, 0, 4), "frac": (torch.frac, 1, 0, 4), "reciprocal": (torch.reciprocal, 1, 3, 2),
    "fmod": (torch.fmod, 2, 3, 2), "remainder": (torch.remainder, 2, 3, 2),
    "floor_divide": (lambda a, b: torch.div(a, b, rounding_mode="floor"), 2, 3, 2),
    "hypot": (torch.hypot, 2, 0, 4), "copysign": (torch.copysign, 2, 0, 4), "lerp": (torch.lerp, 3, 0, 2),
    "xlogy": (torch.xlogy, 2, 3, 2), "xlog1py": (torch.special.xlog1py, 2, 3, 2), "logaddexp": (torch.logaddexp, 2, 0, 4),
    "sinc": (torch.sinc, 1, 3, 2), "digamma": (torch.digamma, 1, 10, 9.5),
    "polygamma": (lambda x: torch.special.polygamma(1, x), 1, 10, 9.5),
    "gammainc": (torch.special.gammainc, 2, 10, 9.5), "gammaincc": (torch.special.gammaincc, 2, 10, 9.5),
    "logical_and": (torch.logical_and, 2, 0, 4), "logical_not": (torch.logical_not, 1, 0, 4),
    "isnan": (torch.isnan, 1, 0, 4), "isfinite": (torch.isfinite, 1, 0, 4), "nan_to_num": (torch.nan_to_num, 1, 0, 4),
    "less_scalar": (lambda x: x < 0.25, 1, 0, 4), "clamp_min": (lambda x: torch.clamp(x, min=0.25), 1, 0, 4),
    "clamp_between": (torch.clamp, 3, 0, 4),
    "softplus": (F.softplus, 1, 0, 4), "logsigmoid": (F.logsigmoid, 1, 0, 4), "silu": (F.silu, 1, 0, 4),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), 1, 0, 4), "mish": (F.mish, 1, 0, 4),
    "softsign": (F.softsign, 1, 0, 4), "logit": (torch.logit, 1, 0.5, 0.45),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.125), 1, 0, 4), "prelu": (lambda x, w: torch.where(x > 0, x, x * w), 2, 0, 4),
    "elu": (lambda x: F.elu(x, 1.5), 1, 0, 4), "selu": (F.selu, 1, 0, 4), "celu": (lambda x: F.celu(x, 0.5), 1, 0, 4),
    "hardtanh": (F.hardtanh, 1, 0, 4), "hardsigmoid": (F.hardsigmoid, 1, 0, 4), "hardswish": (F.hardswish, 1, 0, 4),
    "softshrink": (F.softshrink, 1, 0, 4),
}


def one(name, backward):
    call, inputs, middle, width = CATALOGUE[name]
    n = 4 << 20
    x = [noise((n,), i + 1, width) + middle for i in range(inputs)]
    g = noise((n,), inputs + 1)
    if not backward:
        return lambda: (call(*x),)
    x = [v.requires_grad_() for v in x]

    def work():
        y = call(*x)
        return y, *torch.autograd.grad(y, x, g)

    return work


def reductions(name):
    """Forward, and if the name ends so, backward too."""
    name, both = name.removesuffix("_both"), name.endswith("_both")
    factors = name.startswith(("prod", "cumprod"))
    x = noise((4096, 1024), 1)
    x = (1 + x / 1024 if factors else x).requires_grad_(both)

    def kinds():
        return (x.abs() * 1000).long()

    call = {
        "prod_rows": lambda: x.prod(1),
        "prod_columns": lambda: x.prod(0),
        "std_rows": lambda: x.std(1),
        "std_all": lambda: x.std(),
        "norm_rows": lambda: torch.linalg.vector_norm(x, 2, 1),
        "norm_columns": lambda: torch.linalg.vector_norm(x, 2, 0),
        "norm_all": lambda: torch.linalg.vector_norm(x, 2),
        "norm1_rows": lambda: torch.linalg.vector_norm(x, 1, 1),
        "norm3_rows": lambda: torch.linalg.vector_norm(x, 3, 1),
        "norm_inf_rows": lambda: torch.linalg.vector_norm(x, math.inf, 1),
        "logsumexp_all": lambda: x.logsumexp((0, 1)),
        "nansum_rows": lambda: x.nansum(1),
        "nanmean_rows": lambda: x.nanmean(1),
        "median_rows": lambda: x.quantile(0.5, 1),
        "median_all": lambda: (x.flatten().kthvalue(x.numel() // 2)[0] + x.flatten().kthvalue(x.numel() // 2 + 1)[0]) / 2,
        "quantile_rows": lambda: x.quantile(0.3, 1),
        "argmin_rows": lambda: x.argmin(1),
        "argmin_64": lambda: x.view(-1, 64).argmin(1),
        "argmin_columns": lambda: x.argmin(0),
        "argmin_all": lambda: x.argmin(),
        "count_nonzero_all": lambda: x.count_nonzero(),
        "all_rows": lambda: (x < 2).all(1),
        "any_all": lambda: (x > 2).any(),
        "cumsum_rows": lambda: x.cumsum(1),
        "cumsum_columns": lambda: x.cumsum(0),
        "cumsum_flat": lambda: x.flatten().cumsum(0),
        "cumprod_rows": lambda: x.cumprod(1),
        "cumprod_columns": lambda: x.cumprod(0),
        "cumprod_flat": lambda: x.flatten().cumprod(0),
        "cummax_rows": lambda: x.cummax(1)[0],
        "cummax_columns": lambda: x.cummax(0)[0],
        "cummax_16x4": lambda: x.view(-1, 16, 4).cummax(1)[0],
        "cumsum_16x4": lambda: x.view(-1, 16, 4).cumsum(1),
        "logcumsumexp_rows": lambda: x.logcumsumexp(1),
        "logcumsumexp_columns": lambda: x.logcumsumexp(0),
        "diff_rows": lambda: x.diff(1, 1),
        "sort_rows": lambda: torch.sort(x, dim=1, stable=True)[0],
        "sort_columns": lambda: torch.sort(x, dim=0, stable=True)[0],
        "sort_flat": lambda: torch.sort(x.flatten(), dim=0, stable=True)[0],
        "argsort_rows": lambda: torch.sort(x, dim=1, descending=True, stable=True)[1],
        "topk_rows": lambda: x.topk(10, 1)[0],
        "topk_half_rows": lambda: x.topk(512, 1)[0],
        "searchsorted_all": lambda: torch.searchsorted(x[0].sort()[0], x),
        "histogram_all": lambda: torch.histc(x, 100, -1, 1),
        "bincount_all": lambda: torch.bincount(kinds().flatten(), minlength=1001),
        "unique_all": lambda: torch.unique(kinds()),
    }[name]
    if not both:
        return lambda: (call(),)
    g = noise(tuple(call().shape), 2)

    def work():
        y = call()
        return y, torch.autograd.grad(y, x, g)[0]

    return work


def sampling(kind, parameter):
    x = torch.full((1 << 20,), parameter)
    return lambda: torch._standard_gamma(x) if kind == "gamma" else torch.poisson(x)


def make(name):
    if name.startswith("linalg_"):
        return linalg(name.removeprefix("linalg_"))
    if m := re.fullmatch(r"one_(\w+?)(_both)?", name):
        return one(m[1], m[2] is not None)
    if m := re.fullmatch(r"ops(\d+)", name):
        return ops(int(m[1]))
    if m := re.fullmatch(r"mlp(\d+)(bn)?", name):
        wide = m[1] == "784"
        return mlp((784, 256, 256, 10) if wide else (64, 64, 64, 10), 128 if wide else 32, m[2] is not None)
    if m := re.fullmatch(r"(batchnorm|cross_entropy|gates|groupnorm|layer_norm|softmax)_(\d+)x(\d+)", name):
        return globals()[m[1]](int(m[2]), int(m[3]))
    if m := re.fullmatch(r"(?:group|instance)norm_(\d+)x(\d+)x(\d+)", name):
        return groupnorm(int(m[2]), int(m[3]), int(m[1]))
    if m := re.fullmatch(r"(gelu|chain)_(\d+)M", name):
        return globals()[m[1]](int(m[2]) << 20)
    if m := re.fullmatch(r"narrow_(softmax|normalise|slices|gather|scatter)_(\d+)", name):
        rows = 100000 if m[1] == "softmax" or m[2] == "64" else 1000000
        return globals()[m[1]](rows, int(m[2]))
    if m := re.fullmatch(r"indexing_(\w+)", name):
        return indexing(m[1])
    if m := re.fullmatch(r"conv(dw|t|)(1|3|)d?_(\d+)_(\d+)to(\d+)_(\d+)[x\d]*", name):
        return conv(m[1], int(m[2] or 2), *(int(n) for n in m.groups()[2:]))
    if m := re.fullmatch(r"images_([a-z]+)_(\d+)_?(\d*)", name):
        return images(m[1], int(m[2]), int(m[3] or 0))
    if m := re.fullmatch(r"reductions_(\w+)", name):
        return reductions(m[1])
    if m := re.fullmatch(r"sampling_(gamma|poisson)_([\d.]+)", name):
        return sampling(m[1], float(m[2]))
    if m := re.fullmatch(r"adam_(\d+)M", name):
        return adam(int(m[1]), 1000000)
    if name in ("gpt2", "lenet", "lstm", "matmul_batch", "transformer"):
        return globals()[name]()
    raise KeyError(name)


def build(name):
    """A function that does the row, and one that does it and returns a number that depends on all results."""
    torch.set_default_dtype(torch.float64 if name.endswith("_f64") else torch.float32)
    made = make(name.removesuffix("_f64"))
    return made if isinstance(made, tuple) else (made, lambda: weigh(*made()))


def peak(name):
    work, _ = build(name.removesuffix("_memory"))
    for _ in range(8):
        work()
    count = ctypes.CDLL(None)
    count.bench_live.restype = count.bench_peak.restype = ctypes.c_longlong
    gc.collect()
    before = count.bench_live()
    count.bench_forget_peak()
    work()
    return count.bench_peak() - before


def run(work, repetitions, clock):
    start = clock()
    for _ in range(repetitions):
        work()
    return clock() - start


def main():
    torch.set_num_threads(int(sys.argv[1]))
    print("0", flush=True)
    clock = time.process_time if sys.argv[2] == "--cpu" else time.perf_counter
    current = None
    for line in sys.stdin:
        command, name, repetitions = line.split()
        try:
            if command == "peak":
                answer = peak(name)
            else:
                if command == "check" or name != current:
                    current, (work, check) = name, build(name)
                answer = check() if command == "check" else run(work, int(repetitions), clock)
            print(answer, flush=True)
        except Exception as error:  # any error is this row's alone
            print(f"{name}: {type(error).__name__}: {error}".replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
