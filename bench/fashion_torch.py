#!/usr/bin/python3
"""The time of an epoch of examples/fashion.c beside PyTorch's: fashion_torch.py FASHION [--threads N] [--rounds N] [--samples N]

The same network, batches and optimiser, on the same pictures, flipped as at random. Rounds are interleaved, so that both have what
else the machine does, and the fastest counts. Needs PyTorch (Debian: python3-torch), NumPy, and dataset-fashion-mnist."""
import argparse
import gzip
import os
import re
import subprocess
import tempfile
import time

import numpy
import torch
from torch import nn

DATA = "/usr/share/datasets/fashion-mnist"
BATCH = 128


def read(samples):
    pictures = gzip.open(f"{DATA}/train-images-idx3-ubyte.gz").read()[16:]
    labels = gzip.open(f"{DATA}/train-labels-idx1-ubyte.gz").read()[8:]
    x = torch.from_numpy(numpy.frombuffer(pictures, numpy.uint8).reshape(-1, 1, 28, 28)[:samples].astype(numpy.float32))
    return x, torch.from_numpy(numpy.frombuffer(labels, numpy.uint8)[:samples].astype(numpy.int64))


def network():
    def block(into, out):
        return [nn.Conv2d(into, out, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(out), nn.ReLU()]

    return nn.Sequential(*block(1, 16), *block(16, 32), nn.Flatten(), nn.Linear(7 * 7 * 32, 64, bias=False),
                         nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))


def epoch(model, optimiser, images, labels):
    start = time.perf_counter()
    order = torch.randperm(len(labels))
    for i in range(0, len(labels) - BATCH + 1, BATCH):
        rows = order[i:i + BATCH]
        x = images[rows]
        turned = torch.rand(BATCH) < 0.5
        x[turned] = x[turned].flip(3)
        loss = nn.functional.cross_entropy(model((x - 73) / 90), labels[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()
    return time.perf_counter() - start


def ours(program, threads, samples):
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([program, folder, "--epochs", "1", "--samples", str(samples), "--quiet", "--batch", str(BATCH)],
                             capture_output=True, text=True, check=True, env=dict(os.environ, AG_THREADS=str(threads)))
    return float(re.search(r"([\d.]+) s an epoch", run.stdout).group(1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=60000)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    images, labels = read(o.samples * 29 // 30)  # as many as ours trains with: it holds out a thirtieth
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.01)
    best = {"ours": float("inf"), "PyTorch": float("inf")}
    for _ in range(o.rounds):
        best["ours"] = min(best["ours"], ours(o.program, o.threads, o.samples))
        best["PyTorch"] = min(best["PyTorch"], epoch(model, optimiser, images, labels))
    each = len(labels) // BATCH
    print(f"{o.threads} threads (ours has another one, which makes batches), {each} batches of {BATCH}, the fastest of {o.rounds}:")
    for name, seconds in best.items():
        print(f"  {name:8} {seconds:6.2f} s an epoch, {1000 * seconds / each:5.1f} ms a batch")
    print(f"  ours takes {best['ours'] / best['PyTorch']:.2f} of PyTorch's time")


main()
