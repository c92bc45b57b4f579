"""PyTorch, doing the benchmark's rows on command.

Reads "check ROW" (set the row up, do it once, answer with a number that stands for what came out) and "run ROW N" (do
it N times, answer with the seconds that took), one a line. The arguments are the number of threads, and --clock or
--cpu: whether seconds are the clock's or the processor's.
"""

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
    """inputs.c has the same."""
    z = ((np.uint64(stream) << np.uint64(32)) + np.arange(1, n + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(40)


def noise(shape, stream, scale=1.0):
    values = (hashes(int(np.prod(shape)), stream).astype(np.float64) * 2.0**-23 - 1) * scale
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def labels(n, stream, classes):
    return torch.from_numpy((hashes(n, stream) % np.uint64(classes)).astype(np.int64))


def weigh(*tensors):
    """A sum that notices misplaced and wrong elements."""
    total = 0.0
    for t in tensors:
        flat = t.detach().double().flatten()
        total += float((flat * (1 + torch.arange(flat.numel()) % 7)).sum())
    return total


# A row is a function that does its work once and returns what came out, for `weigh`.


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
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    x, t = noise((batch, widths[0]), 1), labels(batch, 2, widths[-1])

    def work():
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        optimiser.step()
        return (torch.tensor(loss.item()),)

    return work


def batchnorm(n, c):
    x, g = noise((n, c), 1, 2.0).requires_grad_(), noise((n, c), 2)
    gamma, beta = noise((c,), 3).requires_grad_(), noise((c,), 4).requires_grad_()
    mean, var = torch.zeros(c), torch.ones(c)

    def work():
        y = F.batch_norm(x, mean, var, gamma, beta, training=True)
        return torch.autograd.grad(y, (x, gamma, beta), g)

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
        return torch.autograd.grad(F.gelu(x, approximate="tanh"), x, g)

    return work


def chain(n):
    x, g = noise((n,), 1).requires_grad_(), noise((n,), 2)

    def work():
        y = x
        for _ in range(5):
            y = torch.tanh((y * 1.5 + 0.25) * y)
        return torch.autograd.grad(y, x, g)

    return work


def build(name):
    if name == "ops1000":
        return ops(1000)
    if m := re.fullmatch(r"mlp(\d+)(bn)?", name):
        wide = m[1] == "784"
        return mlp((784, 256, 256, 10) if wide else (64, 64, 64, 10), 128 if wide else 32, m[2] is not None)
    if m := re.fullmatch(r"batchnorm_(\d+)x(\d+)", name):
        return batchnorm(int(m[1]), int(m[2]))
    if m := re.fullmatch(r"cross_entropy_(\d+)x(\d+)", name):
        return cross_entropy(int(m[1]), int(m[2]))
    if m := re.fullmatch(r"(gelu|chain)_(\d+)M", name):
        return globals()[m[1]](int(m[2]) << 20)
    raise KeyError(name)


def check(work, name):
    """A network's third loss: it is right only if the gradients and two updates were."""
    for _ in range(3 if name.startswith("mlp") else 1):
        result = work()
    return weigh(*result)


def run(work, repetitions, clock):
    start = clock()
    for _ in range(repetitions):
        work()
    return clock() - start


def main():
    torch.set_num_threads(int(sys.argv[1]))
    print("0", flush=True)
    clock = time.process_time if sys.argv[2] == "--cpu" else time.perf_counter
    current, work = None, None
    for line in sys.stdin:
        command, name, *rest = line.split()
        try:
            if command == "check" or name != current:
                current, work = name, build(name)
            print(check(work, name) if command == "check" else run(work, int(rest[0]), clock), flush=True)
        except Exception as error:  # whatever it is, it is this row's alone
            print(f"{name}: {type(error).__name__}: {error}".replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
