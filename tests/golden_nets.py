#!/usr/bin/python3
"""Writes tests/golden/nets.h: the results of PyTorch, and its gradients, for the layers of tests/test_nets.c.

Needs PyTorch (Debian: python3-torch). Run from anywhere; the result is committed, so that the tests need no Python. Inputs and
cotangents are numbers of `scatter` in tests/support.c, which both sides make: input i of a case begins at number 1000·i, the
cotangent at 9000. A case's numbers are y, then the gradient of each input, row-major in the order of axes that ours have.
"""
import pathlib
import math
import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
out = []
MASK = 2**64 - 1


def scatter(i):
    z = (i + 1) * 0x9E3779B97F4A7C15 & MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return ((z ^ (z >> 31)) >> 53) / 1024 - 1


def scattered(shape, first):
    return torch.tensor([scatter(first + i) for i in range(math.prod(shape))]).reshape(shape)


def case(name, shapes, function):
    x = [scattered(shape, 1000 * i).requires_grad_() for i, shape in enumerate(shapes)]
    y = function(*x)
    d = torch.autograd.grad(y, x, scattered(y.shape, 9000), allow_unused=True)
    values = y.detach().flatten().tolist()
    for xi, di in zip(x, d):
        values += (torch.zeros_like(xi) if di is None else di).flatten().tolist()
    out.append(f"static const double {name}[] = {{ /* {' x '.join(map(str, y.shape))} */")
    for i in range(0, len(values), 6):
        out.append("    " + ", ".join(f"{v:.15g}" for v in values[i:i + 6]) + ",")
    out.append("};")


def first(x):
    """Channels to the place where PyTorch has them."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def of_images(f):
    return lambda x, *rest: last(f(first(x), *rest))


def kernel(w):
    """Rows, columns, channels in, channels out, to PyTorch's order; a transposed convolution's likewise."""
    return w.movedim(-1, 0).movedim(-1, 1)


def convolutions():
    def conv(axes, transposed=False, **options):
        forward = getattr(F, f"conv_transpose{axes}d" if transposed else f"conv{axes}d")
        return lambda x, w, b: last(forward(first(x), kernel(w), b, **options))

    case("conv1d", [(2, 7, 3), (3, 3, 2), (2,)], conv(1, stride=2, padding=1))
    case("conv2d", [(1, 5, 6, 4), (3, 2, 2, 6), (6,)],
         conv(2, stride=(1, 2), padding=(2, 1), dilation=(2, 1), groups=2))
    case("conv_depthwise", [(1, 4, 5, 3), (2, 3, 1, 6), (6,)], conv(2, groups=3, padding=(0, 1)))
    case("conv_same", [(1, 5, 2), (4, 2, 2), (2,)], conv(1, padding="same"))
    case("conv3d", [(1, 3, 4, 3, 2), (2, 2, 2, 2, 3), (3,)], conv(3, stride=(1, 2, 1), padding=(0, 1, 0)))
    case("convt1d", [(2, 4, 3), (3, 2, 3), (2,)], conv(1, True, stride=2, padding=1, output_padding=1))
    case("convt2d", [(1, 3, 3, 4), (3, 2, 3, 4), (6,)],
         conv(2, True, stride=(2, 1), padding=(1, 0), output_padding=(1, 1), dilation=(1, 2), groups=2))
    case("convt3d", [(1, 2, 2, 2, 2), (2, 2, 2, 3, 2), (3,)], conv(3, True, stride=2))


def poolings():
    case("max_pool", [(2, 6, 5, 2)], of_images(lambda x: F.max_pool2d(x, 3, 2, 1)))
    case("max_pool_ceil", [(1, 8, 2)], of_images(lambda x: F.max_pool1d(x, 3, 3, 1, 2, ceil_mode=True)))
    case("max_pool3d", [(1, 4, 3, 5, 2)], of_images(lambda x: F.max_pool3d(x, 2, 2, 1)))
    case("avg_pool", [(1, 5, 6, 2)], of_images(lambda x: F.avg_pool2d(x, (3, 2), (2, 3), 1, ceil_mode=True)))
    case("avg_pool_within", [(1, 5, 6, 2)],
         of_images(lambda x: F.avg_pool2d(x, (3, 2), (2, 3), 1, ceil_mode=True, count_include_pad=False)))
    case("lp_pool", [(1, 6, 2)], of_images(lambda x: F.lp_pool1d(x, 2, 3, 2)))
    case("adaptive_max", [(1, 7, 5, 2)], of_images(lambda x: F.adaptive_max_pool2d(x, (3, 2))))
    case("adaptive_avg", [(1, 7, 2, 2)], of_images(lambda x: F.adaptive_avg_pool2d(x, (3, 5))))
    case("unpool", [(1, 4, 6, 2)],
         of_images(lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)))


def resampling():
    for name, options in (("linear", {}), ("aligned", {"align_corners": True})):
        case(f"bilinear_{name}", [(1, 4, 3, 2)],
             of_images(lambda x: F.interpolate(x, (3, 7), mode="bilinear", **options)))
        case(f"bicubic_{name}", [(1, 4, 5, 1)],
             of_images(lambda x: F.interpolate(x, (7, 3), mode="bicubic", **options)))
        case(f"trilinear_{name}", [(1, 2, 3, 2, 1)],
             of_images(lambda x: F.interpolate(x, (3, 2, 4), mode="trilinear", **options)))
    case("nearest", [(1, 4, 3, 2)], of_images(lambda x: F.interpolate(x, (6, 2), mode="nearest")))
    case("nearest_exact", [(1, 4, 3, 2)], of_images(lambda x: F.interpolate(x, (7, 2), mode="nearest-exact")))
    case("shuffled", [(1, 2, 3, 8)], of_images(lambda x: F.pixel_shuffle(x, 2)))
    case("unshuffled", [(1, 4, 6, 2)], of_images(lambda x: F.pixel_unshuffle(x, 2)))
    for mode in ("bilinear", "nearest"):
        for beyond in ("zeros", "border", "reflection"):
            for align in (False, True):
                case(f"grid_{mode}_{beyond}_{int(align)}", [(1, 3, 4, 2), (1, 4, 3, 2)],
                     lambda x, g: last(F.grid_sample(first(x), g * 2.5, mode, beyond, align)))
    for beyond in ("zeros", "border", "reflection"):
        for align in (False, True):
            case(f"grid_bicubic_{beyond}_{int(align)}", [(1, 3, 4, 2), (1, 4, 3, 2)],
                 lambda x, g: last(F.grid_sample(first(x), g * 1.25, "bicubic", beyond, align)))
    case("grid_volume", [(1, 2, 3, 3, 2), (1, 2, 2, 2, 3)],
         lambda x, g: last(F.grid_sample(first(x), g * 1.5, "bilinear", "zeros", False)))


def normalisation():
    for name, shape in (("rows", (4, 3)), ("sequence", (2, 4, 3)), ("image", (2, 2, 3, 3)), ("volume", (1, 2, 2, 2, 3))):
        case(f"batch_{name}", [shape, (3,), (3,)],
             lambda x, w, b: last(F.batch_norm(first(x), None, None, w, b, True, 0, 1e-3)) if x.dim() > 2 else
             F.batch_norm(x, None, None, w, b, True, 0, 1e-3))
    case("group_norm", [(2, 2, 3, 4), (4,), (4,)], lambda x, w, b: last(F.group_norm(first(x), 2, w, b, 1e-3)))
    case("instance_norm", [(2, 2, 3, 2), (2,), (2,)],
         lambda x, w, b: last(F.instance_norm(first(x), None, None, w, b, True, 0, 1e-3)))
    case("layer_norm_2", [(2, 3, 4), (4,), (4,)], lambda x, w, b: F.layer_norm(x, (3, 4), None, None, 1e-3) * w + b)
    case("rms_norm", [(3, 5), (5,)], lambda x, w: x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-3) * w)
    case("weight_norm", [(2, 3, 4), (4,)], lambda v, g: torch._weight_norm(v, g.reshape(1, 1, 4), 2))


def attention():
    def attend(q, k, v, seen=None, added=None):
        if k.shape[1] != q.shape[1]:
            k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if added is not None:
            scores = scores + added
        if seen is not None:
            scores = scores.masked_fill(~seen, -math.inf)
        return torch.softmax(scores, -1) @ v

    shapes = [(2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3)]
    case("attend", shapes, attend)
    case("attend_causal", shapes, lambda q, k, v: attend(q, k, v, torch.ones(3, 5).tril().bool()))
    seen = torch.tensor([[1, 1, 0, 1, 0], [1, 0, 0, 0, 0]]).bool().reshape(2, 1, 1, 5)
    case("attend_mask", shapes, lambda q, k, v: attend(q, k, v, seen))
    case("attend_added", shapes + [(3, 5)], lambda q, k, v, added: attend(q, k, v, None, added))
    case("attend_groups", [(1, 4, 3, 2), (1, 2, 5, 2), (1, 2, 5, 3)], attend)

    def cross(x, memory, wq, wk, wv, wo):
        split = lambda y: y.reshape(*y.shape[:2], -1, 2).transpose(1, 2)
        y = attend(split(x @ wq), split(memory @ wk), split(memory @ wv))
        return y.transpose(1, 2).flatten(2) @ wo

    case("cross", [(2, 3, 4), (2, 5, 3), (4, 4), (3, 2), (3, 2), (4, 4)], cross)

    def rotary(x, halves):
        d = x.shape[-1]
        angle = torch.arange(x.shape[-2])[:, None] * 10000.0 ** (-2 * torch.arange(d // 2) / d)
        pairs = torch.complex(*(x[..., :d // 2], x[..., d // 2:]) if halves else (x[..., ::2], x[..., 1::2]))
        turned = pairs * torch.polar(torch.ones_like(angle), angle)
        return torch.cat((turned.real, turned.imag), -1) if halves else torch.view_as_real(turned).flatten(-2)

    case("rotary", [(2, 3, 4)], lambda x: rotary(x, False))
    case("rotary_halves", [(2, 3, 4)], lambda x: rotary(x, True))


def recurrent():
    """Two layers in both directions, three samples, four steps."""
    lengths = torch.tensor([4, 1, 3])

    def of(kind, gates, masked, **options):
        layer = kind(2, 3, 2, batch_first=True, bidirectional=True, **options)

        def f(x, h, c, *w):
            named = {}
            each = 4 if gates == 3 else 3
            for i in range(4):
                suffix = f"_l{i // 2}" + ("_reverse" if i % 2 else "")
                wi, wh, b, *inner = w[each * i:each * (i + 1)]
                other = torch.zeros(gates * 3)
                if inner:
                    other = torch.cat((other[:6], inner[0]))
                named.update({"weight_ih" + suffix: wi.T, "weight_hh" + suffix: wh.T, "bias_ih" + suffix: b,
                              "bias_hh" + suffix: other})
            if masked:
                x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, True, False)
            flat = [named[name] for name in layer._flat_weights_names]
            layer._flat_weights = flat
            for name, value in named.items():
                del layer._parameters[name]
                layer._parameters[name] = torch.nn.Parameter(value)
                layer.__dict__[name] = value
            layer._flat_weights = flat
            y, state = layer(x, (h, c) if gates == 4 else h)
            if masked:
                y = torch.nn.utils.rnn.pad_packed_sequence(y, True, total_length=4)[0]
            state = state if gates == 4 else (state, torch.zeros_like(state))
            return torch.cat([y.flatten()] + [s.flatten() for s in state])

        shapes = [(3, 4, 2), (4, 3, 3), (4, 3, 3)]
        for i in range(4):
            shapes += [(2 if i < 2 else 6, gates * 3), (3, gates * 3), (gates * 3,)] + ([(3,)] if gates == 3 else [])
        return shapes, f

    for name, kind, gates, options in (("tanh", torch.nn.RNN, 1, {}), ("relu", torch.nn.RNN, 1, {"nonlinearity": "relu"}),
                                       ("gru", torch.nn.GRU, 3, {}), ("lstm", torch.nn.LSTM, 4, {})):
        case(f"rnn_{name}", *of(kind, gates, True, **options))


convolutions(), poolings(), resampling(), normalisation(), attention(), recurrent()
head = [f"/* Written by tests/golden_nets.py with PyTorch {torch.__version__}: do not edit. */",
        "#ifndef TESTS_GOLDEN_NETS_H", "#define TESTS_GOLDEN_NETS_H", ""]
text = "\n".join(head + out + ["", "#endif", ""])
(pathlib.Path(__file__).parent / "golden" / "nets.h").write_text(text)
