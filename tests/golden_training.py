#!/usr/bin/python3
"""Writes tests/golden/training.h: rates, averages and sums of gradients by PyTorch.

Needs PyTorch (Debian: python3-torch). Run from anywhere; the result is committed, so that the tests need no Python.
"""
import pathlib
import warnings

import torch
from torch.optim import lr_scheduler as torch_schedules

warnings.simplefilter("ignore")
torch.set_default_dtype(torch.float64)
torch.manual_seed(20)
out = []


def literal(value):
    return {"nan": "NAN", "inf": "INFINITY"}.get(repr(value), repr(value))


def put(name, values):
    out.append(f"static const double {name}[] = {{")
    for i in range(0, len(values), 4):
        out.append("    " + ", ".join(literal(float(v)) for v in values[i:i + 4]) + ",")
    out.append("};")


def optimiser_of(rate):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def rates(rate, make, steps, what="lr"):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate, momentum=0.5)
    schedule, found = make(optimiser), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0][what])
        optimiser.step()
        schedule.step()
    return found


def schedules():
    warm = lambda o, n, after: torch_schedules.SequentialLR(
        o, [torch_schedules.LinearLR(o, start_factor=0.1, total_iters=n), after(o)], milestones=[n])
    put("rates_step", rates(0.5, lambda o: torch_schedules.StepLR(o, 3, 0.5), 12))
    put("rates_exponential", rates(0.5, lambda o: torch_schedules.ExponentialLR(o, 0.75), 12))
    put("rates_cosine", rates(0.5, lambda o: torch_schedules.CosineAnnealingLR(o, 10, 0.01), 11))
    put("rates_one_cycle", rates(0.02, lambda o: torch_schedules.OneCycleLR(o, 0.5, total_steps=20), 19)
        + [0.5 / 25 / 1e4])
    put("rates_other_cycle", rates(0.05, lambda o: torch_schedules.OneCycleLR(
        o, 0.5, total_steps=11, pct_start=0.5, div_factor=10, final_div_factor=100), 10) + [0.5 / 10 / 100])
    for name, options in (("momenta", {}), ("other_momenta", dict(base_momentum=0.5, max_momentum=0.9, pct_start=0.5))):
        put(name, rates(0.5, lambda o: torch_schedules.OneCycleLR(o, 0.5, total_steps=20, **options), 19, "momentum")
            + [options.get("max_momentum", 0.95)])
    put("rates_warm_constant", rates(0.5, lambda o: torch_schedules.LinearLR(o, start_factor=0.1, total_iters=4), 8))
    put("rates_warm_cosine", rates(0.5, lambda o: warm(
        o, 4, lambda o: torch_schedules.CosineAnnealingLR(o, 8, 0.01)), 13))
    put("rates_warm_step", rates(0.5, lambda o: warm(o, 4, lambda o: torch_schedules.StepLR(o, 3, 0.5)), 13))


def plateaus():
    losses = [5, 4, 4.5, 4.2, 4.1, 4.0, 3.9, 3.9, 3.9, float("nan"), 3.8999, 3.9, 4, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1, 1,
              float("inf"), 0.5, 0.5, 0.5, 0.4999, 0.5, 0.5, 0.5, 0.5]
    put("plateau_values", losses)
    for name, rate, options in (("plain", 0.5, dict(patience=2)),
                                ("cooled", 0.5, dict(patience=1, cooldown=3, factor=0.5, min_lr=0.1)),
                                ("absolute", 0.5, dict(patience=0, threshold=0.15, threshold_mode="abs", factor=0.5)),
                                ("larger", 0.5, dict(patience=2, mode="max", threshold=0.01, factor=0.25)),
                                ("tiny", 1.5e-8, dict(patience=0, factor=0.5))):
        optimiser = optimiser_of(rate)
        schedule, found = torch_schedules.ReduceLROnPlateau(optimiser, **options), []
        for loss in losses:
            schedule.step(loss)
            found.append(optimiser.param_groups[0]["lr"])
        put(f"plateau_{name}", found)


def averages():
    """Six steps of weights; after each, their plain mean, and their moving average that begins with the first."""
    path = (torch.randn(6, 3) * 64).round() / 64
    put("average_path", path.flatten().tolist())
    model = torch.nn.Linear(3, 1, bias=False)
    follow = lambda average, new, count: 0.75 * average + 0.25 * new
    for name, how in (("mean", None), ("moving", follow)):
        average, found = torch.optim.swa_utils.AveragedModel(model, avg_fn=how), []
        for weights in path:
            with torch.no_grad():
                model.weight.copy_(weights[None])
            average.update_parameters(model)
            found += average.module.weight.flatten().tolist()
        put(f"average_{name}", found)


def groups():
    """Six steps down ½·Σ a·(p − b)² for two parameters: the second has a rate and a decay of its own, or is left out of
    the third and fourth step."""
    a, b, start = ((torch.randn(2, 3) * 64).round() / 64 for _ in range(3))
    put("group_a", a.flatten()), put("group_b", b.flatten()), put("group_start", start.flatten())
    for name, make, options in (("sgd", torch.optim.SGD, dict(momentum=0.5)), ("rmsprop", torch.optim.RMSprop, dict(alpha=0.9)),
                                ("adam", torch.optim.AdamW, dict(betas=(0.8, 0.95)))):
        for frozen in (False, True):
            p, path = [row.clone().requires_grad_() for row in start], []
            optimiser = make([{"params": p[:1]}, {"params": p[1:], **({} if frozen else dict(lr=0.02, weight_decay=0.125))}],
                             lr=0.05, weight_decay=0.25, **options)
            for step in range(6):
                optimiser.zero_grad(set_to_none=True)
                p[1].requires_grad_(not (frozen and step in (2, 3)))
                sum((a[i].abs() * (p[i] - b[i]) ** 2 / 2).sum() for i in range(2)).backward()
                optimiser.step()
                path += p[0].tolist() + p[1].tolist()
            put(f"group_{name}_{'frozen' if frozen else 'apart'}", path)


def main():
    schedules(), plateaus(), averages(), groups()
    path = pathlib.Path(__file__).parent / "golden/training.h"
    head = [f"/* Written by tests/golden_training.py with PyTorch {torch.__version__}: do not edit. */",
            "#ifndef TESTS_GOLDEN_TRAINING_H", "#define TESTS_GOLDEN_TRAINING_H", "", "#include <math.h>", ""]
    path.write_text("\n".join(head + out + ["", "#endif", ""]))


if __name__ == "__main__":
    main()
