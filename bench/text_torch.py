#!/usr/bin/python3
"""The time of a step of examples/text, beside PyTorch's: text_torch.py TEXT [--threads N] [--steps N] [--rounds N]

TEXT is the program, as build/release/examples/text. PyTorch has the same model (three layers of 128 features, four heads, a
context of 64, batches of 16), optimiser and clipping, written as one would: torch.nn.MultiheadAttention's fused kernel is given
the mask. The rounds alternate, and the fastest of each counts."""

import argparse
import gzip
import os
import pathlib
import re
import subprocess
import time

JARGON = "/usr/share/doc/jargon-text/jargon.txt.gz"
CONTEXT, FEATURES, HEADS, LAYERS, BATCH = 64, 128, 4, 3, 16


def ours(program, threads, steps):
    """Milliseconds a step, by what the program says of its training: without judging, and without reading the text."""
    environment = dict(os.environ, AG_THREADS=str(threads))
    command = [program, "--quiet", "--steps", str(steps), "--length", "0"]
    output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    return float(re.findall(rb"([0-9.]+) s\n", output)[-1]) * 1000 / steps


def theirs(threads, steps):
    import torch

    torch.set_num_threads(threads)
    data = torch.frombuffer(bytearray(gzip.open(JARGON).read()), dtype=torch.uint8).long()
    data = torch.unique(data, return_inverse=True)[1]

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.ModuleList(torch.nn.LayerNorm(FEATURES) for _ in range(2))
            self.attention = torch.nn.MultiheadAttention(FEATURES, HEADS, batch_first=True)
            self.think = torch.nn.Sequential(torch.nn.Linear(FEATURES, 4 * FEATURES), torch.nn.GELU("tanh"), torch.nn.Linear(4 * FEATURES, FEATURES))

        def forward(self, x):
            n = self.norm[0](x)
            x = x + self.attention(n, n, n, attn_mask=mask, need_weights=False)[0]
            return x + self.think(self.norm[1](x))

    mask = torch.ones(CONTEXT, CONTEXT).triu(1).bool()
    vocabulary = int(data.max()) + 1
    embedding, places = torch.nn.Embedding(vocabulary, FEATURES), torch.nn.Parameter(torch.zeros(CONTEXT, FEATURES))
    rest = torch.nn.Sequential(*(Block() for _ in range(LAYERS)), torch.nn.LayerNorm(FEATURES), torch.nn.Linear(FEATURES, vocabulary))
    parameters = [places, *embedding.parameters(), *rest.parameters()]
    adam = torch.optim.Adam(parameters, lr=2e-3, betas=(0.9, 0.99), foreach=True)
    start = time.perf_counter()
    for _ in range(steps):
        at = torch.randint(len(data) - CONTEXT - 1, (BATCH, 1)) + torch.arange(CONTEXT + 1)
        window = data[at]
        scores = rest(embedding(window[:, :-1]) + places)
        loss = torch.nn.functional.cross_entropy(scores.reshape(-1, vocabulary), window[:, 1:].reshape(-1))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1)
        adam.step()
        loss.item()
    return (time.perf_counter() - start) * 1000 / steps


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program", type=pathlib.Path)
    for name, default in (("threads", 1), ("steps", 60), ("rounds", 5)):
        options.add_argument(f"--{name}", type=int, default=default)
    o = options.parse_args()
    pairs = [(ours(o.program, o.threads, o.steps), theirs(o.threads, o.steps)) for _ in range(o.rounds)]
    best = [min(column) for column in zip(*pairs)]
    print(f"{o.threads} threads, {o.steps} steps, {o.rounds} rounds: {best[0]:.1f} ms a step here, {best[1]:.1f} ms in PyTorch, {best[0] / best[1]:.2f}")


main()
