#!/usr/bin/python3
"""Writes tests/golden/losses.h: the values and gradients of PyTorch for the losses of nn/losses.h.

Needs PyTorch (Debian: python3-torch). Run from anywhere; the result is committed, so that the tests need no Python. A case is a
loss of some of the shared inputs: each loss, their mean, and the gradients of the mean by those inputs that are real.
"""
import pathlib
import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(5)
out = []


def rounded(*shape):
    """Numbers that are short in decimal and exact in binary: multiples of 1/64."""
    return (torch.randn(*shape) * 64).round() / 64


def put(name, tensor):
    values = torch.as_tensor(tensor).detach().flatten().tolist()
    kind = "int64_t" if torch.as_tensor(tensor).dtype == torch.int64 else "double"
    out.append(f"static const {kind} {name}[] = {{")
    for i in range(0, len(values), 4):
        out.append("    " + ", ".join("INFINITY" if v == float("inf") else repr(v) for v in values[i:i + 4]) + ",")
    out.append("};")


N, C = 4, 3
score = rounded(N, C) * 3
part = torch.tensor([0., 1, .25, 1, 0, 0, .5, 1, 1, 0, .75, 0]).reshape(N, C)  # targets from 0 to 1
sign = torch.tensor([1., -1, 1, 1, -1, -1, 1, -1, 1, -1, -1, 1]).reshape(N, C)
signs = torch.tensor([1., -1, -1, 1])
chance = ((torch.rand(N, C) * 62 + 1).round() / 64)
number, other, third = rounded(N, C) * 2, rounded(N, C) * 2, rounded(N, C) * 2
variance = rounded(N, C).abs() + 0.125
variance[1, 1] = 0.0
row = torch.tensor([[.5, .25, .25], [0, .75, .25], [1, 0, 0], [.125, .375, .5]])  # each a distribution
log_row = F.log_softmax(rounded(N, C), -1)
count = torch.tensor([0., 1, 2, 7, 3, 0, 1, 12, 5, 4, 0, 2]).reshape(N, C)
rate = rounded(N, C).abs() + 0.25
label = torch.tensor([2, 0, 1, 2])
class_weight = torch.tensor([0.5, 2, 1.25])
positive = torch.tensor([0.5, 3, 1])
for name in ("score part sign signs chance number other third variance row log_row count rate label class_weight "
             "positive").split():
    put("in_" + name, globals()[name])

cube = rounded(2, C, 5) * 2  # classes along axis 1
cube_label = torch.tensor([2, 0, 1, 2, 1, 0, -7, 1, -7, 2]).reshape(2, 5)
put("in_cube", cube), put("in_cube_label", cube_label)


def case(name, loss, *inputs, by=3):
    """loss(reduction, *inputs), with the gradients by the first few inputs."""
    x = [v.clone().requires_grad_(v.is_floating_point() and i < by) for i, v in enumerate(inputs)]
    mean = loss("mean", *x)
    put(name + "_each", loss("none", *x)), put(name + "_mean", mean)
    real = [v for v in x if v.requires_grad]
    for i, d in enumerate(torch.autograd.grad(mean, real, allow_unused=True)):
        put(f"{name}_d{i}", torch.zeros_like(real[i]) if d is None else d)


def focal(s, t, alpha, gamma, reduction):
    """As in torchvision.ops.sigmoid_focal_loss."""
    p = torch.sigmoid(s)
    wrong = 1 - (p * t + (1 - p) * (1 - t))
    losses = F.binary_cross_entropy_with_logits(s, t, reduction="none") * wrong ** gamma
    if alpha >= 0:
        losses = (alpha * t + (1 - alpha) * (1 - t)) * losses
    return losses.mean() if reduction == "mean" else losses


def cosine_embedding(reduction, a, b, t):
    """As PyTorch's, which adds 1e-12 to squares where its cosine_similarity does not."""
    c = F.cosine_similarity(a, b)
    losses = torch.where(t > 0, 1 - c, (c + 0.25).relu())
    return losses.mean() if reduction == "mean" else losses


case("cross_entropy", lambda r, s, t: F.cross_entropy(s, t, reduction=r), score, label)
case("cross_entropy_smoothed", lambda r, s, t: F.cross_entropy(s, t, class_weight, label_smoothing=0.125, reduction=r), score, label)
case("cross_entropy_cube", lambda r, s, t: F.cross_entropy(s, t, class_weight, ignore_index=-7, reduction=r), cube, cube_label)
case("cross_entropy_cube_smoothed",
     lambda r, s, t: F.cross_entropy(s, t, class_weight, ignore_index=-7, label_smoothing=0.25, reduction=r), cube, cube_label)
case("cross_entropy_probabilities",
     lambda r, s, t: F.cross_entropy(s, t, class_weight, label_smoothing=0.125, reduction=r), score, row, by=2)
case("nll", lambda r, s, t: F.nll_loss(s, t, class_weight, reduction=r), log_row, label)
case("nll_cube", lambda r, s, t: F.nll_loss(s, t, ignore_index=-7, reduction=r), cube, cube_label)
case("hinge_squared", lambda r, s, t: C * F.multi_margin_loss(s, t, p=2, margin=0.75, weight=class_weight, reduction=r), score, label)
case("binary_weighted", lambda r, s, t: F.binary_cross_entropy_with_logits(s, t, pos_weight=positive, reduction=r), score, part)
case("binary_nll", lambda r, p, t: F.binary_cross_entropy(p, t, reduction=r), chance, part, by=1)
case("focal", lambda r, s, t: focal(s, t, 0.25, 2, r), score, part)
case("focal_plain", lambda r, s, t: focal(s, t, -1, 1.5, r), score, part)
case("soft_margin", lambda r, s, t: F.soft_margin_loss(s, t, reduction=r), score, sign, by=1)
case("l1", lambda r, s, t: F.l1_loss(s, t, reduction=r), number, other)
case("mse", lambda r, s, t: F.mse_loss(s, t, reduction=r), number, other)
case("huber", lambda r, s, t: F.huber_loss(s, t, delta=0.75, reduction=r), number, other)
case("smooth_l1", lambda r, s, t: F.smooth_l1_loss(s, t, beta=0.75, reduction=r), number, other)
case("kl_divergence", lambda r, s, t: F.kl_div(s, t, reduction=r), log_row, row.flip(0).clamp(0.0625, 1))
case("kl_divergence_log", lambda r, s, t: F.kl_div(s, t, reduction=r, log_target=True), log_row, log_row.flip(0))
case("poisson_nll", lambda r, s, t: F.poisson_nll_loss(s, t, reduction=r), number, count, by=1)
case("poisson_nll_rates", lambda r, s, t: F.poisson_nll_loss(s, t, log_input=False, full=True, reduction=r), rate, count, by=1)
case("gaussian_nll", lambda r, s, t, v: F.gaussian_nll_loss(s, t, v, full=True, reduction=r), number, other, variance, by=3)
case("hinge_embedding", lambda r, s, t: F.hinge_embedding_loss(s, t, 0.75, reduction=r), rate, sign, by=1)
case("cosine_embedding", cosine_embedding, number, other, signs, by=2)
case("triplet_margin", lambda r, a, p, n: F.triplet_margin_loss(a, p, n, 1.5, reduction=r), number, other, third)
case("triplet_margin_swapped", lambda r, a, p, n: F.triplet_margin_loss(a, p, n, 4.5, 3, swap=True, reduction=r), number, other, third)
case("margin_ranking", lambda r, a, b, t: F.margin_ranking_loss(a, b, t, 0.75, reduction=r), number, other, sign, by=2)
for p in (1, 3, float("inf")):
    y = F.pairwise_distance(number, other, p)
    put(f"distance_{p}", y)
a, b = number.clone().requires_grad_(), other.clone().requires_grad_()
similarity = F.cosine_similarity(a, b, dim=0)
put("similarity", similarity), put("similarity_d0", torch.autograd.grad(similarity.sum(), a)[0])

# CTC: padded labels, lengths of each sample, repeated labels, no labels, and a sequence too short for its labels.
T, N, C = 7, 5, 4
steps_score = rounded(T, N, C) * 2  # PyTorch's gradient by log_p is right only behind a log_softmax
labels = torch.tensor([[1, 1, 2], [3, 0, 0], [2, 3, 2], [0, 0, 0], [1, 1, 1]])
steps, counts = torch.tensor([7, 4, 5, 3, 4]), torch.tensor([3, 1, 3, 0, 3])
for name, v in (("score", steps_score), ("labels", labels), ("steps", steps), ("counts", counts)):
    put("ctc_" + name, v)
case("ctc", lambda r, s: F.ctc_loss(F.log_softmax(s, -1), labels, steps, counts, reduction=r, zero_infinity=True), steps_score)
put("ctc_infinite", F.ctc_loss(F.log_softmax(steps_score, -1), labels, steps, counts, reduction="none"))
whole = torch.tensor([[1, 3], [2, 2], [3, 1], [1, 2], [3, 3]])
put("ctc_whole_labels", whole)
case("ctc_whole", lambda r, s: F.ctc_loss(F.log_softmax(s, -1), whole, torch.full((N,), T), torch.full((N,), 2), reduction=r), steps_score)

path = pathlib.Path(__file__).parent / "golden/losses.h"
path.write_text(f"""/* Written by tests/golden_losses.py with PyTorch {torch.__version__}: do not edit. */
#ifndef TESTS_GOLDEN_LOSSES_H
#define TESTS_GOLDEN_LOSSES_H

#include <math.h>
#include <stdint.h>

""" + "\n".join(out) + "\n\n#endif\n")
