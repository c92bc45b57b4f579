#!/usr/bin/python3
"""Writes tests/golden/nn.h, layers.h and sequence.h: the results of PyTorch for the layers, losses and optimisers of nn/.

Needs PyTorch (Debian: python3-torch). Run from anywhere; the result is committed, so that the tests need no Python.
"""
import pathlib
import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(20)
out = []


def rounded(*shape):
    """Numbers that are short in decimal and exact in binary: multiples of 1/64."""
    return (torch.randn(*shape) * 64).round() / 64


def put(name, tensor):
    values = tensor.detach().flatten().tolist()
    kind = "int64_t" if tensor.dtype == torch.int64 else "double"
    out.append(f"static const {kind} {name}[] = {{ /* {' x '.join(map(str, tensor.shape)) or '1'} */")
    for i in range(0, len(values), 4):
        out.append("    " + ", ".join(repr(v) for v in values[i:i + 4]) + ",")
    out.append("};")


def batchnorm():
    layer = torch.nn.BatchNorm1d(3, eps=1e-3, momentum=0.25)
    with torch.no_grad():
        layer.weight.copy_(rounded(3)), layer.bias.copy_(rounded(3))
    put("bn_gamma", layer.weight), put("bn_beta", layer.bias)
    for step in (1, 2):
        z, g = rounded(7, 3) * step + step, rounded(7, 3)
        z.requires_grad_()
        y = layer(z)
        dz, dgamma, dbeta = torch.autograd.grad(y, (z, layer.weight, layer.bias), g)
        for name, value in (("z", z), ("g", g), ("y", y), ("dz", dz), ("dgamma", dgamma), ("dbeta", dbeta),
                            ("running_mean", layer.running_mean), ("running_var", layer.running_var)):
            put(f"bn_{name}{step}", value)
    layer.eval()
    y = layer(z)
    dz, dgamma, dbeta = torch.autograd.grad(y, (z, layer.weight, layer.bias), g)
    for name, value in (("y", y), ("dz", dz), ("dgamma", dgamma), ("dbeta", dbeta)):
        put(f"bn_eval_{name}", value)


def losses():
    s, labels = rounded(6, 4) * 3, torch.tensor([2, 0, 3, 1, 1, 0])
    s[4] = torch.tensor([1000.0, -1000.0, 999.0, 0.0])
    s.requires_grad_()
    put("scores", s), put("labels", labels)
    for name, loss in (("cross_entropy", F.cross_entropy(s, labels)),
                       ("hinge", F.multi_margin_loss(s, labels) * 4)):  # PyTorch divides by the number of classes
        put(name, loss), put(f"{name}_ds", torch.autograd.grad(loss, s)[0])
    s = torch.tensor([0.0, 0.0, 1.5, -2.25, 800.0, -800.0, 3.0, -0.125], requires_grad=True)
    t = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.25, 0.5])
    put("binary_scores", s), put("binary_targets", t)
    for name, loss in (("binary", F.binary_cross_entropy_with_logits(s, t)), ("mse", F.mse_loss(s, t))):
        put(name, loss), put(f"{name}_ds", torch.autograd.grad(loss, s)[0])


def optimisers():
    """Five steps down ½·Σ a·(p − b)²."""
    start, a, b = rounded(4), rounded(4).abs() + 0.5, rounded(4)
    put("bowl_start", start), put("bowl_a", a), put("bowl_b", b)
    for name, make in (("sgd", lambda p: torch.optim.SGD(p, lr=0.1)),
                       ("momentum", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.25)),
                       ("adam", lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-6)),
                       ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.05, alpha=0.9, eps=1e-6)),
                       ("rmsprop_momentum", lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.75, weight_decay=0.25)),
                       ("adamw", lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.125))):
        p = start.clone().requires_grad_()
        optimiser, path = make([p]), []
        for _ in range(5):
            optimiser.zero_grad()
            (a * (p - b) ** 2 / 2).sum().backward()
            optimiser.step()
            path.append(p.detach().clone())
        put(f"path_{name}", torch.stack(path))


def with_gradients(prefix, y, x, names):
    """y, a cotangent for it, and the gradients of x."""
    g = rounded(*y.shape)
    put(f"{prefix}_y", y), put(f"{prefix}_g", g)
    for name, dx in zip(names, torch.autograd.grad(y, x, g)):
        put(f"{prefix}_d{name}", dx)


def layernorm():
    x, gamma, beta = rounded(2, 3, 5) * 2, rounded(5), rounded(5)
    for name, value in (("x", x), ("gamma", gamma), ("beta", beta)):
        put(f"ln_{name}", value.requires_grad_())
    with_gradients("ln", F.layer_norm(x, (5,), gamma, beta, eps=1e-3), (x, gamma, beta), ("x", "gamma", "beta"))


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1)


def convolutions():
    """Images whose last axis is channels, and a weight of rows, columns, channels in, channels out."""
    x = rounded(2, 5, 6, 3).requires_grad_()
    put("images", x)
    for name, kernel, stride, padding in (("conv", (3, 2), 1, 0), ("conv_stride", (3, 3), 2, 1), ("conv_point", (1, 1), 2, 0)):
        w, b = rounded(*kernel, 3, 4).requires_grad_(), rounded(4).requires_grad_()
        put(f"{name}_w", w), put(f"{name}_b", b)
        y = F.conv2d(channels_first(x), w.permute(3, 2, 0, 1), b, stride, padding)
        with_gradients(name, channels_last(y), (x, w, b), ("x", "w", "b"))
    x = torch.randperm(180).reshape(2, 5, 6, 3).double() / 8  # all different
    put("pooled_images", x.requires_grad_())
    for name, size, stride in (("apart", 2, 2), ("overlapping", 3, 1), ("gaps", 2, 3)):
        for kind, pool in (("max", F.max_pool2d), ("avg", F.avg_pool2d)):
            with_gradients(f"{kind}_{name}", channels_last(pool(channels_first(x), size, stride)), (x,), ("x",))


def recurrent():
    """Three steps of a cell, from a state; one bias stands for the two of PyTorch."""
    cell = torch.nn.LSTMCell(3, 4)
    with torch.no_grad():
        for p in cell.parameters():
            p.copy_(rounded(*p.shape))
        cell.bias_hh.zero_()
    put("lstm_wx", cell.weight_ih.T), put("lstm_wh", cell.weight_hh.T), put("lstm_b", cell.bias_ih)
    x, h, c, g = rounded(3, 2, 3), rounded(2, 4), rounded(2, 4), rounded(2, 4)
    start = [v.requires_grad_() for v in (x, h, c)]
    for name, value in zip("xhc", start):
        put(f"lstm_{name}", value)
    for step in range(3):
        h, c = cell(x[step], (h, c))
    put("lstm_h3", h), put("lstm_c3", c), put("lstm_g", g)
    for name, d in zip(("x", "h", "c", "wx", "wh", "b"), torch.autograd.grad(
            (h, c), start + [cell.weight_ih, cell.weight_hh, cell.bias_ih], (g, g * 2))):
        put(f"lstm_d{name}", d.T if name in ("wx", "wh") else d)


def attention():
    layer = torch.nn.MultiheadAttention(6, 2, batch_first=True)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(rounded(*p.shape) / 2)
    put("attention_w", torch.stack([w.T for w in layer.in_proj_weight.chunk(3)] + [layer.out_proj.weight.T]))
    put("attention_b", torch.stack(list(layer.in_proj_bias.chunk(3)) + [layer.out_proj.bias]))
    x, g = rounded(2, 5, 6).requires_grad_(), rounded(2, 5, 6)
    put("attention_x", x), put("attention_g", g)
    mask = torch.ones(5, 5).triu(1).bool()
    for name, m in (("attention", None), ("causal", mask)):
        y = layer(x, x, x, attn_mask=m, need_weights=False)[0]
        dx, dw, db = torch.autograd.grad(y, (x, layer.in_proj_weight, layer.in_proj_bias), g)
        put(f"{name}_y", y), put(f"{name}_dx", dx)
        put(f"{name}_dw", torch.stack([w.T for w in dw.chunk(3)])), put(f"{name}_db", db)


class Residual(torch.nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.inner = torch.nn.Sequential(*layers)

    def forward(self, x):
        return x + self.inner(x)


class Last(torch.nn.Module):
    """Channels last, as our images are, before the pixels are put in a row."""

    def forward(self, x):
        return channels_last(x).flatten(1)


class Hidden(torch.nn.LSTM):
    def forward(self, x):
        return super().forward(x)[0]


class Causal(torch.nn.MultiheadAttention):
    def forward(self, x):
        mask = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
        return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]


def ours(layer, of):
    """The variables of a layer in our order and layout; `of` makes one of PyTorch's the tensor that is wanted."""
    if isinstance(layer, (torch.nn.Sequential, Residual)):
        return [v for inner in (layer.inner if isinstance(layer, Residual) else layer) for v in ours(inner, of)]
    if isinstance(layer, torch.nn.Linear):
        return [of(layer.weight).T, of(layer.bias)]
    if isinstance(layer, torch.nn.Conv2d):
        return [of(layer.weight).permute(2, 3, 1, 0), of(layer.bias)]
    if isinstance(layer, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)):
        return [of(layer.weight), of(layer.bias)]
    if isinstance(layer, torch.nn.Embedding):
        return [of(layer.weight)]
    if isinstance(layer, Hidden):
        return [of(layer.weight_ih_l0).T, of(layer.weight_hh_l0).T, of(layer.bias_ih_l0)]
    if isinstance(layer, Causal):
        pairs = zip(of(layer.in_proj_weight).chunk(3), of(layer.in_proj_bias).chunk(3))
        return [v for w, b in pairs for v in (w.T, b)] + [of(layer.out_proj.weight).T, of(layer.out_proj.bias)]
    return []


def model(prefix, layers, x, first):
    """Outputs in training and evaluation, and the gradients of all parameters in both, one after the other."""
    with torch.no_grad():
        for p in layers.parameters():
            p.copy_(rounded(*p.shape) / 2)
        for layer in layers.modules():
            if isinstance(layer, Hidden):
                layer.bias_hh_l0.zero_()
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.copy_(rounded(*layer.running_mean.shape))
                layer.running_var.copy_(rounded(*layer.running_var.shape).abs() + 0.5)
                put(f"{prefix}_running_mean", layer.running_mean), put(f"{prefix}_running_var", layer.running_var)
    put(f"{prefix}_x", x)
    put(f"{prefix}_p", torch.cat([v.flatten() for v in ours(layers, lambda p: p)]))
    for mode in ("eval", "train"):
        layers.train(mode == "train")
        y = layers(first(x))
        g = rounded(*y.shape)
        for p in layers.parameters():
            p.grad = None
        y.backward(g)
        put(f"{prefix}_{mode}_y", y), put(f"{prefix}_{mode}_g", g)
        put(f"{prefix}_{mode}_dp", torch.cat([v.flatten() for v in ours(layers, lambda p: p.grad)]))


def sequences():
    nn = torch.nn
    images = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        Residual(nn.Conv2d(4, 4, 3, padding=1), nn.Tanh()), nn.AvgPool2d(2, 1), Last(), nn.Dropout(0),
        nn.Linear(2 * 1 * 4, 5), nn.Sequential(nn.LayerNorm(5), nn.Sigmoid()))
    model("images", images, rounded(3, 6, 4, 3), channels_first)
    text = nn.Sequential(nn.Embedding(7, 6), Hidden(6, 6, batch_first=True), Causal(6, 2, batch_first=True),
                         Residual(nn.LayerNorm(6), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 6)), nn.Linear(6, 7))
    model("text", text, torch.tensor([[0, 3, 6, 1, 3], [5, 2, 0, 0, 4]]), lambda x: x)


def write(name):
    head = [f"/* Written by tests/golden_nn.py with PyTorch {torch.__version__}: do not edit. */",
            f"#ifndef TESTS_GOLDEN_{name.upper()}_H", f"#define TESTS_GOLDEN_{name.upper()}_H", "", "#include <stdint.h>", ""]
    text = "\n".join(head + out + ["", "#endif", ""])
    (pathlib.Path(__file__).parent / "golden" / f"{name}.h").write_text(text)
    out.clear()


batchnorm(), losses(), optimisers(), write("nn")
torch.manual_seed(21)
layernorm(), convolutions(), recurrent(), attention(), write("layers")
torch.manual_seed(22)
sequences(), write("sequence")
