#!/usr/bin/python3
"""Evaluates with NumPy what examples/fashion.c has learnt: fashion.py MODEL.npz [DIR], where DIR has the test pictures."""
import gzip, sys, numpy as np

m = np.load(sys.argv[1])
pictures = np.frombuffer(gzip.open((sys.argv[2:] + ["/usr/share/datasets/fashion-mnist"])[0] + "/t10k-images-idx3-ubyte.gz").read(), np.uint8, offset=16)
norm = lambda x, n: np.maximum((x - m[n + ".running_mean"]) / np.sqrt(m[n + ".running_var"] + np.float32(1e-5)) * m[n + ".gamma"] + m[n + ".beta"], 0)
def scores(x):
    for i in ["0", "1"]:
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (1, 2))
        x = norm(np.tensordot(windows, m[f"net.conv.{i}.weight"], ((4, 5, 3), (0, 1, 2))).reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).max((2, 4)), f"net.norm.{i}")
    return norm(x.reshape(len(x), -1) @ m["net.hidden.weight"], "net.norm.2") @ m["net.scores.weight"] + m["net.scores.bias"]
predictions = np.concatenate([scores((x.astype(np.float32) - 73) / 90).argmax(1) for x in pictures.reshape(-1, 100, 28, 28, 1)])
print((predictions == m["predictions"]).sum(), "of", len(predictions), "predictions are the same")
