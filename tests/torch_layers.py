"""The functions of tests/random_layers.c in PyTorch, in the same order: see there, and test_torch.py."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F


class Digits:
    """The digits of a number: next(n) is the next one, 0 to n − 1."""

    def __init__(self, number):
        self.left = number

    def next(self, n):
        self.left, digit = divmod(self.left, n)
        return digit


def cycle(shape, first, step, m):
    return ((first + torch.arange(math.prod(shape)) * step) % m).reshape(shape)


def spread(shape, first, dtype):
    turns = (first + np.arange(math.prod(shape)) + 1).astype(np.float64) * 0.6180339887498949
    return torch.from_numpy(turns - np.floor(turns) - 0.5).to(dtype).reshape(shape)


def taken(x, shape, first):
    shape = list(shape)
    flat = x.reshape(-1)[cycle([math.prod(shape)], first, 1, x.numel())]
    return flat.reshape(shape[::-1]).permute(list(range(len(shape)))[::-1]) if first % 2 else flat.reshape(shape)


def some(x, shape, first):
    y = taken(x, shape, first)
    return y / (1 + torch.abs(y)) + 0.4 * spread(shape, first, x.dtype)


def any_kind(x, shape, first):
    return some(x, shape, first) if x.is_floating_point() else taken(x, shape, first)


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def positive(x):
    return sigmoid(x) + 0.25


def joined(*parts):
    return torch.cat([p.reshape(-1) for p in parts])


# ---- Losses ----

CLASSES, IGNORED = 3, 1


def reduced(losses, how, divisor=None):
    if how == 2:
        return losses
    total = torch.sum(losses)
    count = divisor if divisor is not None else losses.numel()
    return total if how == 1 else total / losses.shape[0] if how == 3 else total / count


def signs(x, shape, first):
    return 1 - 2 * (cycle(shape, first, 5, 7) < 3).to(x.dtype)


def without(shape, axis):
    return shape[:axis] + shape[axis + 1 :]


def loss_of_classes(a, b, way, d, how):
    shape = [CLASSES, CLASSES] if d.next(2) else [CLASSES, CLASSES, CLASSES]
    axis, first = d.next(len(shape)), d.next(6)
    places = without(shape, axis)
    x, labels = some(a, shape, first), cycle(places, first, 5, CLASSES)
    factors = positive(some(b, [CLASSES], first + 1)) if d.next(2) else torch.ones(CLASSES, dtype=a.dtype)
    has_weights = d.next(3) == 0
    weights = positive(some(b, places if d.next(2) else [1], first + 2)) if has_weights else 1
    smoothing = 0.125 if way < 2 and d.next(2) else 0
    kept = torch.ones(places, dtype=torch.bool)
    if way not in (1, 2) and d.next(2):
        d.next(2)  # whether the ignored label is one of the classes
        kept = labels != IGNORED
    x = x.movedim(axis, -1)
    hot = F.one_hot(labels, CLASSES).to(a.dtype)
    log_p = torch.log_softmax(x, -1)
    if way == 0:
        target = hot * (1 - smoothing) + smoothing / CLASSES
        losses = torch.where(kept, -torch.sum(target * factors * log_p, -1), 0)
        return reduced(losses * weights, how, torch.sum(torch.where(kept, factors[labels], 0)))
    if way == 1:
        target = torch.softmax(some(b, shape, first + 3), axis).movedim(axis, -1)
        target = target * (1 - smoothing) + smoothing / CLASSES
        return reduced(-torch.sum(target * factors * log_p, -1) * weights, how)
    if way == 2:
        terms = torch.relu(x - torch.sum(x * hot, -1, True) + 0.75) * (1 - hot)
        power = 1 + d.next(2)
        return reduced(torch.sum(terms**power, -1) * factors[labels] * weights, how)
    losses = torch.where(kept, -torch.sum(hot * factors * log_p, -1), 0)
    return reduced(losses * weights, how, torch.sum(torch.where(kept, factors[labels], 0)))


def distance(a, b, p):
    return torch.linalg.vector_norm(a - b + 1e-6, p, -1)


def loss(a, b, number):
    d = Digits(number)
    how, way = d.next(4), d.next(22)
    if way < 6:
        return loss_of_classes(a, b, way % 4, d, how)
    n = 2 if d.next(10) else 0
    shape = [2 * n, 3] if d.next(2) else [n, 3, 2]
    first = d.next(6)
    x, t = some(a, shape, first), some(b, shape, first + 1)
    places = shape[:-1] if 18 <= way <= 19 else shape
    has_weights = d.next(3) == 0
    weights = positive(some(b, places if d.next(2) else [1], first + 2)) if has_weights else 1
    yes, also = d.next(2), d.next(2)
    kind, p = dict(reduction="none"), sigmoid(t)
    if way == 6:
        factor = positive(some(a, [shape[-1]], first + 3)) if yes else 1
        y = -factor * p * F.logsigmoid(x) - (1 - p) * F.logsigmoid(-x)
    elif way == 7:
        q = sigmoid(x)
        y = -p * torch.log(q) - (1 - p) * torch.log(1 - q)
    elif way == 8:
        wrong = p * sigmoid(-x) + (1 - p) * sigmoid(x)
        alpha = 0.25 * p + 0.75 * (1 - p) if yes else 1
        y = alpha * wrong ** (2 if also else 1.5) * (-p * F.logsigmoid(x) - (1 - p) * F.logsigmoid(-x))
    elif way == 9:
        y = torch.relu(0.5 - signs(x, shape, first) * x)
    elif way == 10:
        y = -F.logsigmoid(signs(x, shape, first) * x)
    elif way == 11:
        y = F.mse_loss(x, t, **kind)
    elif way == 12:
        y = torch.abs(x - t)
    elif way in (13, 14):
        delta = 0.5 if way == 13 else 0.25 * yes
        e = torch.abs(x - t)
        y = torch.where(e <= delta, e * e / 2, delta * (e - delta / 2))
        y = y if way == 13 else y / delta if yes else e
    elif way == 15:
        log_q, log_t = torch.log_softmax(x, -1), torch.log_softmax(t, -1)
        y = torch.exp(log_t) * (log_t - log_q)
    elif way == 16:
        v, z = positive(x) if also else x, 3 * positive(t)
        y = v - z * torch.log(v + 1e-8) if also else torch.exp(v) - z * v
        more = z * torch.log(z) - z + 0.5 * torch.log(2 * math.pi * z)
        y = y + torch.where(z > 1, more, 0) if yes else y
    elif way == 17:
        v = positive(some(b, shape if also else [shape[-1]], first + 3))
        y = 0.5 * (torch.log(v) + (x - t) ** 2 / v) + (0.5 * math.log(2 * math.pi) if yes else 0)
    elif way == 18:
        c = F.cosine_similarity(x, t, -1)
        y = torch.where(signs(x, places, first) > 0, 1 - c, torch.relu(c - 0.25))
    elif way == 19:
        other, power = some(a, shape, first + 3), 2 if also else 3
        far = distance(x, other, power)
        y = torch.relu(distance(x, t, power) - (torch.minimum(far, distance(t, other, power)) if yes else far) + 1)
    elif way == 20:
        return F.cosine_similarity(x, t, -2 if also else -1) if yes else distance(x, t, [1, 2, 3, math.inf][first % 4])
    elif yes:
        v = positive(x)
        y = torch.where(signs(x, shape, first) > 0, v, torch.relu(0.75 - v))
    else:
        y = torch.relu(-signs(x, shape, first) * (x - t) + 0.25)
    return reduced(y * weights, how)


# ---- Images: channels last, as the library has them ----


def image_shape(axes, samples):
    return {1: [samples, 7, 4], 2: [samples, 5, 4, 4], 3: [int(samples > 0), 3, 4, 3, 4]}[axes]


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def to_same(n, reach, step):
    total = max(0, (-(-n // step) - 1) * step + reach - n)
    return total // 2, total - total // 2


def in_front(x):
    return x.movedim(-1, 1)


def padded(x, margins, value=0.0):
    """Of the axes behind the first two."""
    return F.pad(x, [m for pair in reversed(margins) for m in pair], value=value)


def correlated(x, w, o):
    """x (N,L…,C), weight (KL…,C/G,K)."""
    axes, stride, dilation, margins, groups = o
    w = w.permute([axes + 1, axes] + list(range(axes))).contiguous()
    y = CONV[axes](padded(in_front(x), margins).contiguous(), w, stride=stride, dilation=dilation, groups=groups)
    return y.movedim(1, -1)


def convolved(a, b, axes, samples, first, d):
    shape = image_shape(axes, samples)
    transposed, groups, more = d.next(2), 1 << d.next(3), 1 + d.next(2)
    d.next(4)
    window, stride, dilation, margins = [], [], [], []
    for i in range(axes):
        window.append(1 + d.next(2))
        stride.append(d.next(3))
        dilation.append(1 + d.next(2))
        margins.append((d.next(2), d.next(2)))
    same = d.next(4) == 0
    stride = [1] * axes if stride[0] == 0 else stride
    for i in range(1, axes):
        stride[i] = stride[i] or stride[i - 1]
    channels = 4 * more if transposed else 4
    x = some(a, shape, first)
    w = some(b, window + [channels // groups, 4 if transposed else 4 * more], first + 1)
    bias = some(b, [4 * more], first + 2) if d.next(2) else 0
    reach = [(k - 1) * e + 1 for k, e in zip(window, dilation)]
    extents = shape[1:-1]
    if not transposed:
        if same:
            margins = [to_same(n, r, s) for n, r, s in zip(extents, reach, stride)]
        return correlated(x, w, (axes, stride, dilation, margins, groups)) + bias
    if same:
        out = [n * s for n, s in zip(extents, stride)]
        margins = [to_same(n, r, s) for n, r, s in zip(out, reach, stride)]
    else:
        more_of = [int(stride[0] > 1 and stride[i] != 1 and d.next(2)) for i in range(axes)]
        out = [(n - 1) * s - m[0] - m[1] + r + p for n, s, m, r, p in zip(extents, stride, margins, reach, more_of)]
    z = torch.zeros([shape[0]] + out + [channels], dtype=a.dtype, requires_grad=True)
    y = correlated(z, w, (axes, stride, dilation, margins, groups))
    return torch.autograd.grad(y, z, x, create_graph=True)[0] + bias


def windows_of(x, sizes, stride, dilation, margins, value):
    """x (N,C,L…) as (N,C,OL…,elements of a window)."""
    y = padded(x, margins, value)
    axes = len(sizes)
    for i in range(axes):
        reach = (sizes[i] - 1) * dilation[i] + 1
        y = y.unfold(2 + i, reach, stride[i])[..., :: dilation[i]]
    return y.reshape(list(y.shape[: 2 + axes]) + [math.prod(sizes)])


def pooled(x, axes, way, d):
    step, whole = d.next(3), d.next(2)
    sizes = [2 + d.next(2)]
    sizes = sizes + [2] * (axes - 1) if whole else sizes * axes
    dilation = [1 + d.next(2)] * axes if sizes[0] == 2 else [1] * axes
    margins = [(d.next(2), d.next(2)) for _ in range(axes)]
    ceil, alone = d.next(2), way == 2 and d.next(2)
    same = d.next(4) == 0
    stride = [step] * axes if step else sizes
    x = in_front(x)
    extents = list(x.shape[2:])
    real = torch.ones_like(x)
    counted = padded(real, margins, 1.0 if not alone else 0.0)
    reach = [(k - 1) * e + 1 for k, e in zip(sizes, dilation)]
    if same:
        margins = [to_same(n, r, s) for n, r, s in zip(extents, reach, stride)]
        counted = padded(real, margins, 0.0 if alone else 1.0)
    more = [(0, 0)] * axes
    if ceil and not same:
        over = [n + m[0] + m[1] - r for n, m, r in zip(extents, margins, reach)]
        begin = [-(-o // s) * s for o, s in zip(over, stride)]  # of a window for what is left over, unless within padding
        more = [(0, b - o if b < n + m[0] else 0) for b, o, n, m in zip(begin, over, extents, margins)]
    every = [(m[0], m[1] + e[1]) for m, e in zip(margins, more)]
    if way < 2:
        y = windows_of(x, sizes, stride, dilation, every, -math.inf)
        best = torch.amax(y, -1)
        if way == 0:
            return best.movedim(1, -1)
        places = torch.arange(math.prod(extents)).reshape([1, 1] + extents).broadcast_to(x.shape).to(torch.float64)
        at = windows_of(places, sizes, stride, dilation, every, -1)
        at = torch.amax(torch.where(y == best.unsqueeze(-1), at, -1), -1).to(torch.int64)
        flat = torch.zeros(list(x.shape[:2]) + [math.prod(extents)], dtype=x.dtype)
        flat = torch.scatter_add(flat, 2, torch.flatten(at, 2), torch.flatten(best**2, 2))
        return joined(best.movedim(1, -1), flat.reshape(x.shape).movedim(1, -1))
    y = windows_of(x, sizes, stride, dilation, every, 0.0)
    if way == 2:
        n = windows_of(padded(counted, more), sizes, stride, dilation, [(0, 0)] * axes, 0.0)
        return (torch.sum(y, -1) / torch.sum(n, -1)).movedim(1, -1)
    return torch.linalg.vector_norm(y, [1, 2, 3, math.inf][d.next(4)], -1).movedim(1, -1)


def cubic(t):
    t, a = torch.abs(t), -0.75
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0))


def beyond(i, n, how, align):
    """Whole places outside of an image: where they are within it."""
    if how == 1:
        return torch.clamp(i, 0, n - 1)
    if how == 2 and align:
        turn = max(1, 2 * (n - 1))
        i = torch.remainder(i, turn)
        return torch.where(i > n - 1, turn - i, i) if n > 1 else torch.zeros_like(i)
    if how == 2:
        i = torch.remainder(i, 2 * n)
        return torch.where(i > n - 1, 2 * n - 1 - i, i)
    return i


def along(places, n, mode):
    """For each place of a row of n: pairs of whole places and weights."""
    if mode == 0:
        return [(torch.round(places.detach()), torch.ones_like(places))]
    low = torch.floor(places.detach())
    steps, weight = ((0, 1), lambda t: 1 - torch.abs(t)) if mode == 1 else ((-1, 0, 1, 2), cubic)
    return [(low + s, weight(places - low - s)) for s in steps]


def grid_sampled(x, grid, mode, how, align):
    x = in_front(x)
    extents = x.shape[2:]
    axes = len(extents)
    pieces = []
    for i, n in enumerate(extents):
        g = grid[..., axes - 1 - i]
        place = (g + 1) / 2 * (n - 1) if align else ((g + 1) * n - 1) / 2
        if how == 1 and mode != 2:
            place = torch.clamp(place, 0, n - 1)
        if how == 2 and mode != 2:
            low, span = (0, n - 1) if align else (-0.5, n)
            place = torch.abs(place - low)
            turns = torch.floor(place.detach() / span) if span else 0
            rest = place - turns * span
            place = torch.where(turns % 2 == 0, rest, span - rest) + low
            place = torch.clamp(place, 0, n - 1)
        pieces.append([(beyond(k, n, how, align), w) for k, w in along(place, n, mode)])
    total = 0
    batch = torch.arange(x.shape[0]).reshape([-1] + [1] * axes).broadcast_to(grid.shape[:-1])
    for combination in itertools.product(*pieces):
        inside, weight, index = True, 1, []
        for (k, w), n in zip(combination, extents):
            inside = inside & (k >= 0) & (k <= n - 1)
            weight = weight * w
            index.append(torch.clamp(k, 0, n - 1).to(torch.int64))
        picked = x.movedim(1, -1)[tuple([batch] + index)]
        total = total + picked * torch.where(inside, weight, 0).unsqueeze(-1)
    return total


def interpolated(x, extents, mode, align):
    y = x
    for i, m in enumerate(extents):
        n = x.shape[1 + i]
        k = torch.arange(m, dtype=torch.float64)
        if mode == 0:
            parts = [(torch.floor(k * n / m), torch.ones_like(k))]
        elif mode == 3:
            parts = [(torch.floor((k + 0.5) * n / m), torch.ones_like(k))]
        else:
            place = k * (n - 1) / max(1, m - 1) if align else (k + 0.5) * n / m - 0.5
            place = torch.clamp(place, 0, n - 1) if mode == 1 else place
            parts = along(place, n, mode)
        shape = [1] * y.dim()
        shape[1 + i] = m
        y = sum(torch.index_select(y, 1 + i, torch.clamp(at, 0, n - 1).to(torch.int64)) * w.to(x.dtype).reshape(shape)
                for at, w in parts)
    return y


def adaptive(x, extents, f):
    for i, m in enumerate(extents):
        n = x.shape[1 + i]
        parts = [torch.narrow(x, 1 + i, k * n // m, -(-(k + 1) * n // m) - k * n // m) for k in range(m)]
        x = torch.cat([f(p, 1 + i, True) for p in parts], 1 + i)
    return x


def shuffled(x, r, back):
    n, extents, c = x.shape[0], list(x.shape[1:-1]), x.shape[-1]
    axes = len(extents)
    if back:
        y = x.reshape([n] + [e for k in extents for e in (k // r, r)] + [c])
        order = [0] + [1 + 2 * i for i in range(axes)] + [1 + 2 * axes] + [2 + 2 * i for i in range(axes)]
        return y.permute(order).reshape([n] + [e // r for e in extents] + [c * r**axes])
    y = x.reshape([n] + extents + [c // r**axes] + [r] * axes)
    order = [0] + [k for i in range(axes) for k in (1 + i, 2 + axes + i)] + [1 + axes]
    return y.permute(order).reshape([n] + [e * r for e in extents] + [c // r**axes])


def image(a, b, number):
    d = Digits(number)
    way, axes, first = d.next(12), 1 + d.next(3), d.next(6)
    samples = 2 if d.next(10) else 0
    if way < 4:
        return convolved(a, b, axes, samples, first, d)
    x = some(a, image_shape(axes, samples), first)
    if way < 8:
        return pooled(x, axes, way - 4, d)
    count = axes if d.next(2) else 1
    extents = [1 + d.next(5) for _ in range(count)]
    extents = extents if count == axes else extents * axes
    yes, which = d.next(2), d.next(4)
    if way == 8:
        return adaptive(x, extents, torch.amax if yes else torch.mean)
    if way == 9:
        return interpolated(x, extents, which, which in (1, 2) and yes)
    if way == 10:
        places = {1: [samples, 3, 1], 2: [samples, 3, 2, 2], 3: [int(samples > 0), 2, 2, 2, 3]}[axes]
        mode = which % 2 + (axes == 2 and which == 2)
        return grid_sampled(x, some(b, places, first + 1), mode, d.next(3), yes)
    if which == 0:
        return (torch.amax if yes else torch.mean)(x, list(range(1, 1 + axes)))
    if which == 1:
        x = in_front(some(a, image_shape(2, samples), first))
        size, step = (2, 1) if yes else (3, 2)
        y = windows_of(x, [size] * 2, [step] * 2, [1, 1], [(0, 0)] * 2, 0.0)
        return (torch.amax(y, -1) if yes else torch.mean(y, -1)).movedim(1, -1)
    x = some(a, [samples, 4, 8] if axes == 1 else [samples, 2, 4, 8], first)
    return shuffled(x, 2, not yes)


# ---- Normalisation ----


def batch_normalised(z, gamma, beta, d):
    training, nodes = d.next(3) > 0, d.next(3) == 0
    mean, var = (0.5 * beta).detach(), (gamma**2).detach()
    shift = beta if d.next(3) else 0
    axes = list(range(z.dim() - 1))
    m, v = (torch.mean(z, axes), torch.var(z, axes, correction=0)) if training else (mean, var)
    y = (z - m) / torch.sqrt(v + 1e-2) * gamma + shift
    if training:
        mean, var = (0.75 * mean + 0.25 * m).detach(), (0.75 * var + 0.25 * v).detach()
    return joined(y, mean, var, z - m if nodes else y)


def centred(x, axes, keep=True):
    m = torch.mean(x, axes, True)
    return m, x - m, torch.mean((x - m) ** 2, axes, True)


def normalised(a, b, number):
    d = Digits(number)
    way, rank, first = d.next(7), 2 + d.next(3), d.next(6)
    n = 0 if way > 1 and way != 5 and d.next(8) == 0 else 2
    shape = {2: [2 * n, 4], 3: [n, 3, 4], 4: [n, 3, 2, 4]}[rank]
    z, gamma, beta = some(a, shape, first), positive(some(b, [4], first + 1)), some(b, [4], first + 2)
    given, many = d.next(3), d.next(rank)
    z = z if given else z + 100
    if way < 2:
        return batch_normalised(z, gamma, beta, d)
    shift = beta if given else 0
    if way == 2:
        m, c, v = centred(z, list(range(rank - max(1, many), rank)))
        y = c / torch.sqrt(v + 1e-2) * gamma + shift
        return y if d.next(2) else joined(y, m, v)
    if way == 3:
        groups = 1 << d.next(3)
        y = z.reshape(shape[:-1] + [groups, 4 // groups])
        _, c, v = centred(y, list(range(1, rank - 1)) + [rank])
        return (c / torch.sqrt(v + 1e-2)).reshape(shape) * (gamma if many else 1) + shift
    if way == 4:
        return z / torch.sqrt(torch.mean(z * z, -1, True) + 1e-2) * (gamma if d.next(3) else 1)
    if way == 5:
        g = positive(some(b, [shape[many]], first + 1)).reshape([-1 if i == many else 1 for i in range(rank)])
        return g * z / torch.sqrt(torch.sum(z * z, [i for i in range(rank) if i != many], True))
    _, c, v = centred(z, [many, 0] if many else [-1])
    return c / torch.sqrt(v + 1e-2)


# ---- Sequences ----

SAMPLES, STEPS, FEATURES, HIDDEN = 2, 3, 2, 2


def cell_step(cell, x, h, c, part):
    wx, wh, bias, hidden_bias = part
    if cell < 2:
        s = x @ wx + h @ wh + bias
        return (torch.tanh(s) if cell == 0 else torch.relu(s)), c
    if cell == 2:
        sx, sh = x @ wx + bias, h @ wh
        n = h.shape[1]
        r, z = sigmoid(sx[:, :n] + sh[:, :n]), sigmoid(sx[:, n : 2 * n] + sh[:, n : 2 * n])
        new = torch.tanh(sx[:, 2 * n :] + r * (sh[:, 2 * n :] + hidden_bias))
        return (1 - z) * new + z * h, c
    i, f, g, o = torch.chunk(x @ wx + h @ wh + bias, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * torch.tanh(g)
    return sigmoid(o) * torch.tanh(c), c


def recurrent(a, b, first, d):
    cell, layers, both = d.next(4), max(1, d.next(3)), d.next(2)
    g, directions = [1, 1, 3, 4][cell], 1 + both
    parts, bias = layers * directions, d.next(3)
    weights = []
    for i in range(parts):
        n = FEATURES if i < directions else HIDDEN * directions
        weights.append((some(b, [n, g * HIDDEN], first + i), some(b, [HIDDEN, g * HIDDEN], first + i + 2),
                        some(b, [g * HIDDEN], first + i + 1) if bias else 0,
                        some(a, [HIDDEN], first + i) if bias and cell == 2 else 0))
    x = some(a, [SAMPLES, STEPS, FEATURES], first)
    lengths = cycle([SAMPLES], first, 1 + first % 2, STEPS + 1) if d.next(2) else torch.full([SAMPLES], STEPS)
    h = c = torch.zeros([parts, SAMPLES, HIDDEN], dtype=a.dtype)
    if d.next(2):
        h = some(a, [parts, SAMPLES, HIDDEN], first + 1)
        c = some(a, [parts, SAMPLES, HIDDEN], first + 2) if cell == 3 else c
    last_h, last_c = [], []
    for layer in range(layers):
        sides = []
        for way in range(directions):
            k = layer * directions + way
            hs, cs, row = h[k], c[k], [None] * STEPS
            for t in reversed(range(STEPS)) if way else range(STEPS):
                alive = (t < lengths).unsqueeze(1)
                nh, nc = cell_step(cell, x[:, t], hs, cs, weights[k])
                hs, cs = torch.where(alive, nh, hs), torch.where(alive, nc, cs)
                row[t] = torch.where(alive, nh, 0)
            sides.append(torch.stack(row, 1))
            last_h.append(hs)
            last_c.append(cs)
        x = torch.cat(sides, 2)
    return joined(x, torch.stack(last_h), *([torch.stack(last_c)] if cell == 3 else []))


def sees(b, dtype, heads, t, s, first, d):
    """Whether queries see keys, and what is added to the scores."""
    visible, more = torch.ones([1, 1, t, s], dtype=torch.bool), 0
    if d.next(3) == 0:
        visible = visible & torch.tril(torch.ones([t, s], dtype=torch.bool))
    which = d.next(4)
    if which == 1:
        visible = visible & (cycle([t, s], first, 3, 5) < 3)
    if which == 2:
        more = some(b, [heads, t, s], first + 3)
    if which == 3:
        visible = visible & (cycle([SAMPLES, 1, 1, s], first, 2, 5) < 3)
    return visible, more


def attention(q, k, v, visible, more, scale):
    times = q.shape[1] // k.shape[1]
    k, v = torch.repeat_interleave(k, times, 1), torch.repeat_interleave(v, times, 1)
    scores = scale * (q @ k.transpose(-1, -2)) + more
    most = torch.amax(torch.where(visible, scores.detach(), -math.inf), -1, True)
    e = torch.where(visible, torch.exp(scores - torch.where(torch.isfinite(most), most, 0)), 0)
    total = torch.sum(e, -1, True)
    return (e / torch.where(total > 0, total, 1)) @ v


def attended(a, b, first, d):
    heads, groups, t, s = 2, 1 + d.next(2), 3, 2 + d.next(3)
    visible, more = sees(b, a.dtype, heads, t, s, first, d)
    scale = 0.75 if d.next(2) else 1 / math.sqrt(2)
    q, k = some(a, [SAMPLES, heads, t, 2], first), some(b, [SAMPLES, groups, s, 2], first + 1)
    return attention(q, k, some(a, [SAMPLES, groups, s, 3], first + 2), visible, more, scale)


def rotary(x, positions, base, halves):
    n = x.shape[-1]
    angle = positions.to(torch.float64).unsqueeze(-1) * base ** (-2 * torch.arange(n // 2, dtype=torch.float64) / n)
    c, s = torch.cos(angle).to(x.dtype), torch.sin(angle).to(x.dtype)
    p, q = (x[..., : n // 2], x[..., n // 2 :]) if halves else (x[..., ::2], x[..., 1::2])
    p, q = p * c - q * s, p * s + q * c
    return torch.cat([p, q], -1) if halves else torch.stack([p, q], -1).flatten(-2)


def attention_layer(a, b, first, d):
    groups, memory = 1 + d.next(2), d.next(2)
    t, s, c = 3, 2 if memory else 3, 3 if memory else 4
    bias = some(b, [4], first + 3) if d.next(2) else 0
    query, output = some(b, [4, 4], first), some(b, [4, 4], first + 3)
    key, value = some(b, [c, 2 * groups], first + 1), some(b, [c, 2 * groups], first + 2)
    visible, more = sees(b, a.dtype, 2, t, s, first, d)
    turns = not memory and d.next(2)
    x = some(a, [SAMPLES, t, 4], first)
    z = some(a, [SAMPLES, s, c], first + 1) if memory else x

    def heads(y, n):
        return y.reshape(SAMPLES, -1, n, 2).transpose(1, 2)

    q, k = heads(x @ query + bias, 2), heads(z @ key, groups)
    if turns:
        q, k = rotary(q, torch.arange(t), 100, TURNS_HALVES), rotary(k, torch.arange(s), 100, TURNS_HALVES)
    y = attention(q, k, heads(z @ value, groups), visible, more, 1 / math.sqrt(2))
    return y.transpose(1, 2).reshape(SAMPLES, t, 4) @ output + bias


TURNS_HALVES = False


def spelled(a, first, d):
    T, N, C, S = 4, 2, 3, 2
    how, finite, blank = d.next(4), d.next(2), d.next(3)
    labels = cycle([N, S], first, 1 + d.next(2), C - 1)
    labels = labels + (labels >= blank)
    steps = cycle([N], 3, 1, T + 1) if d.next(2) else torch.full([N], T)
    counts = cycle([N], first, 1, S + 1) if d.next(2) else torch.full([N], S)
    log_p = torch.log_softmax(some(a, [T, N, C], first), -1)
    losses = []
    for i in range(N):
        word = [int(v) for v in labels[i, : int(counts[i])]]
        total = None
        for path in itertools.product(range(C), repeat=int(steps[i])):
            merged = [v for v, _ in itertools.groupby(path)]
            if [v for v in merged if v != blank] == word:
                way = sum(log_p[t, i, v] for t, v in enumerate(path)) + torch.zeros([], dtype=a.dtype)
                total = way if total is None else torch.logaddexp(total, way)
        infinite = torch.full([], 0.0 if finite else math.inf, dtype=a.dtype)
        losses.append(infinite if total is None else -total)
    losses = torch.stack(losses)
    return torch.mean(losses / torch.clamp(counts, min=1)) if how == 0 else reduced(losses, how)


def sequence(a, b, number):
    d = Digits(number)
    way, first, yes = d.next(10), d.next(6), d.next(2)
    if way < 3:
        return recurrent(a, b, first, d)
    if way < 5:
        return attended(a, b, first, d)
    if way == 5:
        return attention_layer(a, b, first, d)
    if way == 6:
        return spelled(a, first, d)
    if way == 7:
        return rotary(some(a, [2, 3, 4], first), cycle([3], first, 2, 7) if d.next(2) else torch.arange(3), 100, yes)
    if way == 8:
        rows = some(a, [5, 3], first)[cycle([2, 3], first, 3, 5)]
        return rows @ some(b, [3, 2], first + 1) + (some(b, [2], first) if yes else 0)
    part = some(b, [2, 8], first), some(b, [2, 8], first + 1), some(b, [8], first + 2) if yes else 0, 0
    h = c = torch.zeros([3, 2], dtype=a.dtype)
    for i in range(2):
        h, c = cell_step(3, some(a, [3, 2], first + i), h, c, part)
    return joined(h, c)


# ---- Indices and masks ----


def items_of(which):
    rows = cycle([3], which, 2, 5).numpy() - 2
    column, pair = cycle([2, 1], which, 1, 3).numpy(), cycle([2], which, 1, 2).numpy()
    mask, both = cycle([3], which, 2, 5).numpy() < 2, cycle([3, 4], which, 5, 7).numpy() < 3
    return [np.s_[rows, :, :], np.s_[:, rows, ::-1], np.s_[rows, rows, :], np.s_[column, rows, :],
            np.s_[pair, :, pair], np.s_[-1, rows, None, :], np.s_[1, :, pair], np.s_[mask, 1::2, :], np.s_[both, :],
            np.s_[..., None, 0], np.s_[:0:-1, ..., pair], np.s_[-2:, 3:1:-2, None, -2]][which]


def put(x, at, values, how):
    """Values at places of x, as numbers in row-major order; the last of several counts."""
    flat, at, values = x.reshape(-1), at.reshape(-1), values.reshape(-1)
    if how == 1:
        return torch.index_add(flat, 0, at, values).reshape(x.shape)
    if how > 1:
        return torch.scatter_reduce(flat, 0, at, values, "amax" if how == 2 else "amin").reshape(x.shape)
    from_where = torch.full([x.numel()], -1)
    for k, place in enumerate(at.tolist()):
        from_where[place] = k
    if len(at) == 0:
        return x.clone()
    return torch.where(from_where < 0, flat, values[torch.clamp(from_where, min=0)]).reshape(x.shape)


def mask_of(shape, first):
    return cycle(shape, first, 3, 5) < 3


def indexed(a, b, number):
    d = Digits(number)
    if a.numel() == 0 or b.numel() == 0 or a.dtype != b.dtype:
        return a.detach()
    way, first, which = d.next(12), d.next(6), d.next(12)
    shape = [3, 4, 2]
    x = any_kind(a, shape, first)
    numbers = torch.arange(24).reshape(shape)
    at = torch.from_numpy(np.ascontiguousarray(numbers.numpy()[items_of(which)]))
    if way < 3:
        return x.reshape(-1)[at]
    how = lambda: (d.next(4), 0)[a.dtype == torch.bool]
    if way < 6:
        places = list(at.shape)
        if d.next(3) == 0 and places:
            places[0] = 1
        way_to_put = how()
        return put(x, at, any_kind(b, places, first + 1).broadcast_to(at.shape), way_to_put)
    axis = d.next(3)
    few = list(shape)
    few[axis] = 3
    if d.next(2):
        few[(axis + 1) % 3] = 1
    index = cycle(few, first, 3, 4) - 2
    index = torch.where(index < 0, index + shape[axis], index)
    whole = [3 if i == axis else shape[i] for i in range(3)]
    if way < 8:
        way_to_put = how()
        at = torch.gather(numbers, axis, index.broadcast_to(whole))
        return put(x, at, any_kind(b, few, first + 1).broadcast_to(whole), way_to_put)
    if way < 11:
        mask = mask_of([4, 1] if d.next(2) else [2, 3, 4, 2] if way == 9 else shape, first)
        if way == 8:
            return torch.where(mask, torch.ones([], dtype=x.dtype), x)
        if way == 9:
            return torch.broadcast_to(x, mask.shape if mask.dim() > 3 else shape)[mask.broadcast_to(shape) if mask.dim() < 3 else mask]
        mask = mask.broadcast_to(shape)
        nth = torch.clamp(torch.cumsum(mask.reshape(-1), 0) - 1, min=0).reshape(shape)
        return torch.where(mask, any_kind(b, [25], first + 1)[nth], x)
    counts = cycle([shape[axis]], first, 2, 3)
    if d.next(2):
        return torch.repeat_interleave(x, counts, axis)
    return torch.gather(x, axis, index.broadcast_to(whole))


# ---- Arranged ----


def arranged(a, b, number):
    d = Digits(number)
    if a.numel() == 0 or b.numel() == 0 or a.dtype != b.dtype:
        return a.detach()
    way, first, which, yes = d.next(23), d.next(6), d.next(4), d.next(2)
    x, z, row = any_kind(a, [2, 3, 4], first), any_kind(b, [2, 3, 4], first + 1), any_kind(b, [4], first + 2)
    pair = [x, z][: 1 + yes]
    numbers = torch.arange(24).reshape(2, 3, 4).numpy()
    if way in (15, 16):
        kind = (which + way) % 4
        margins = [(0, 0), (1, yes), (which, 1 + yes)]
        if kind == 0:
            return constant(x, margins)
        at = np.pad(numbers, margins, ["", "reflect", "edge", "wrap"][kind])
        return x.reshape(-1)[torch.from_numpy(at)]
    moves = [
        lambda: torch.movedim(x, [0, -1], [1, 0] if which % 2 else [-1, 0]),
        lambda: torch.swapaxes(x, which % 3, -1),
        lambda: torch.flatten(x, yes, yes + which % 2),
        lambda: x.reshape([2, 3, 2, 2] if yes else [2, 3, 1, 2, 2]),
        lambda: torch.rot90(x, which - 1, [0, 2] if yes else [1, 0]),
        lambda: torch.stack(pair, which - 1),
        lambda: (torch.hstack if which % 2 else torch.vstack)(pair),
        lambda: torch.dstack(pair if yes else [row, row]),
        lambda: joined(torch.split(x, 2, 2)[which % 2], torch.split(x, 2, 2)[0]),
        lambda: torch.cat(torch.split(x, [1, 0, 3], -1)[::-1], -1),
        lambda: torch.narrow(x, 1, *[(0, 1), (1, 1)][which % 2]) if yes else torch.split(x, 2, 1)[which % 2],
        lambda: row.broadcast_to(x.shape),
        lambda: joined(*torch.meshgrid(row, any_kind(a, [3], first), indexing="xy" if yes else "ij")),
        lambda: torch.roll(x, [which - 2, 1], [-1, 0] if yes else [1, 0]),
        lambda: x.repeat([1, 2, 1] if yes else [2, 1, 1, 2]),
        None,
        None,
        lambda: torch.diagonal(x, which - 2, 0 if yes else 2, 1),
        lambda: torch.diag_embed(x if yes else row, which - 1, 0, -1),
        lambda: torch.triu(x, which - 2),
        lambda: torch.diff(x, which % 3, yes - 2),
        lambda: row.broadcast_to(x.shape),
        lambda: torch.from_numpy(np.eye(2, 3, which - 2)).to(x.dtype),
    ]
    return moves[way]()


def constant(x, margins):
    """Ones around x."""
    shape = [n + m[0] + m[1] for n, m in zip(x.shape, margins)]
    at = torch.from_numpy(np.pad(np.arange(x.numel()).reshape(x.shape), margins, constant_values=-1))
    inner = x.reshape(-1)[torch.clamp(at, min=0)]
    return torch.where(at < 0, torch.ones(shape, dtype=x.dtype), inner)


# ---- Products ----

TEXTS = ["ij,jk->ik", "ij,kj", "...j,jk->...k", "ij,ij->", "ij,jk,kl->il", "ii->i", "ij->ji", "ij,k->kij"]


def multiplied(a, b, number):
    d = Digits(number)
    way, first, which, yes = d.next(17), d.next(6), d.next(8), d.next(2)
    x, z, row = some(a, [3, 3], first), some(b, [3, 3], first + 1), some(b, [3], first + 2)
    cube, norm = some(a, [2, 3, 3], first + 3), ["backward", "ortho", "forward"][which % 3]
    if way < 3:
        n = 3 if which == 4 else 1 if 4 < which < 7 else 2
        return torch.einsum(TEXTS[which], *[x, row if which == 7 else z, x][:n])
    if way >= 14:
        pairs = torch.view_as_complex(some(b, [3, 4, 2], first).contiguous())
        if way == 14:
            return torch.view_as_real(torch.fft.fftn(pairs, dim=[-1, 0], norm=norm) if yes else
                                      torch.fft.ifftn(pairs, dim=[1], norm=norm))
        if way == 15:
            return torch.view_as_real(torch.fft.rfftn(cube, dim=[0, 2] if yes else [-1, -3], norm=norm))
        axes = [0, 1] if yes else [0]
        n = which or 2 * (pairs.shape[axes[-1]] - 1)
        return torch.fft.irfftn(pairs, s=[-1, n] if yes else [n], dim=axes, norm=norm) if not yes else \
            torch.fft.irfft(torch.fft.ifft(pairs, dim=0, norm=norm), n, dim=1, norm=norm)
    return [
        lambda: torch.tensordot(cube, x, ([1, 2], [1, 0]) if yes else ([2], [0])),
        lambda: torch.tensordot(cube if yes else row, x if which % 2 else row, ([-1], [0])),
        lambda: torch.sum(x * z),
        lambda: torch.tensordot(cube, row if yes else x, ([-1], [-1])),
        lambda: torch.outer(x.reshape(-1), row),
        lambda: torch.kron(row.contiguous(), (x if yes else row).contiguous()),
        lambda: torch.linalg.cross(*torch.broadcast_tensors(cube, row if yes else z), dim=-1),
        lambda: torch.sum(torch.diagonal(cube, 0, -2, -1), -1) if yes else
        torch.sum(torch.diagonal(cube, which % 3 - 1, 2, 0), -1),
        lambda: torch.linalg.matrix_power(x, which % 4),
        lambda: torch.matmul(row if which % 2 else cube, row if yes else x),
        lambda: torch.tril(x) @ z,
    ][way - 3]()


# ---- Reductions of some elements ----


def middles(y, q):
    """The element at place q·(n − 1) of the order, or between two."""
    ordered, n = torch.sort(y, dim=-1, stable=True)[0], y.shape[-1]
    place = q * (n - 1)
    low = int(place)
    part = place - low
    return ordered[..., low] * (1 - part) + ordered[..., min(low + 1, n - 1)] * part


def norm_of(y, p):
    return torch.linalg.vector_norm(y, p, -1)


def variance_where(y, m, correction):
    n = torch.sum(m, -1, True).to(y.dtype)
    mean = torch.sum(torch.where(m, y, 0), -1, True) / n
    squares = torch.sum(torch.where(m, (y - mean) ** 2, 0), -1)
    return squares / torch.clamp(n.squeeze(-1) - correction, min=0)


def root(x):
    return torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, 1)), torch.where(x == 0, 0 * x, x))


def reduced_of(x, axes, every, number, flat):
    """flat(y) has the axes that are reduced as the last one."""
    way, rank = int(abs(number)) % 20, x.dim()
    last = max(axes, default=-1)
    some_of = last >= 0 and x.shape[last] <= 512
    mask = mask_of([x.shape[last]] + [1] * (rank - last - 1), way % 3) if some_of else x < 100
    y, m, correction = flat(x), flat(mask.broadcast_to(x.shape)), way % 2 * 0.5
    if way == 1:
        return torch.stack([middles(y, q) for q in [0, 0.3, 0.5, 1]]) if rank < 8 else middles(y, 0.3)
    table = {
        0: lambda: middles(y, 0.5 if every else 0.3),
        2: lambda: torch.sum(torch.where(m, y, 0), -1) / torch.sum(m, -1),
        3: lambda: torch.prod(torch.where(m, y, 1), -1),
        4: lambda: variance_where(y, m, correction),
        5: lambda: variance_where(y, m, correction),
        6: lambda: root(variance_where(y, m, 0)),
        7: lambda: torch.amax(torch.cat([torch.where(m, y, -math.inf), torch.full_like(y[..., :1], -1.5)], -1), -1),
        8: lambda: torch.amin(torch.cat([torch.where(m, y, math.inf), torch.full_like(y[..., :1], 0.5)], -1), -1),
        9: lambda: torch.sum(y * positive(y / (1 + torch.abs(y))), -1) / torch.sum(positive(y / (1 + torch.abs(y))), -1),
        10: lambda: norm_of(y, 3),
        11: lambda: norm_of(y, 1),
        12: lambda: norm_of(y, math.inf),
        13: lambda: torch.amax(y, -1) - torch.amin(y, -1),
        14: lambda: torch.sum(torch.where(m, y, 0), -1),
        15: lambda: variance_where(y, m, correction),
        18: lambda: torch.logsumexp(y, -1),
        19: lambda: root(variance_where(y, torch.ones_like(m), 0)) if every else
        torch.amax(torch.where(m, y, -math.inf), -1) + torch.where(torch.any(m, -1), 0.0, math.nan),
    }
    return table[way]()


def over(x, axes, f):
    """f along the axes as if they were one, at the end."""
    rest = [i for i in range(x.dim()) if i not in axes]
    order = rest + sorted(axes)
    y = x.permute(order)
    z = f(y.reshape([x.shape[i] for i in rest] + [-1]))
    return z.reshape(y.shape).permute([order.index(i) for i in range(x.dim())])
