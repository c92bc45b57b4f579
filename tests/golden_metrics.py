#!/usr/bin/python3
"""Writes tests/golden/metrics.h: metrics by scikit-learn, and exact sums and quotients by Python's fractions.

Needs scikit-learn (Debian: python3-sklearn). Run from anywhere; the result is committed, so that the tests need no Python.
"""
import fractions
import math
import pathlib

import numpy as np
import sklearn
from sklearn import metrics

draw = np.random.default_rng(20)
out = []


def put(name, values):
    values = np.asarray(values).flatten().tolist()
    kind = "int64_t" if all(isinstance(v, int) for v in values) else "double"
    out.append(f"static const {kind} {name}[] = {{")
    for i in range(0, len(values), 4):
        out.append("    " + ", ".join(repr(v) for v in values[i:i + 4]) + ",")
    out.append("};")


def classes():
    """Five classes, of which one is no sample's label and another is never predicted."""
    n, c = 41, 5
    labels = draw.choice([0, 1, 2, 4], n, p=[0.4, 0.3, 0.2, 0.1])
    scores = (draw.normal(size=(n, c)) * 64).round() / 64 + 2.0 * (np.arange(c) == labels[:, None])
    scores += np.arange(c) / 1024  # no two are equal
    scores[:, 4] -= 20
    put("class_labels", labels), put("class_scores", scores)
    put("top_k", [metrics.top_k_accuracy_score(labels, scores, k=k, labels=range(c)) for k in range(1, c)] + [1.0])
    predictions = scores.argmax(1)
    put("class_confusion", metrics.confusion_matrix(labels, predictions, labels=range(c)))
    for how in (None, "micro", "macro", "weighted"):
        found = metrics.precision_recall_fscore_support(labels, predictions, labels=range(c), average=how, zero_division=0)
        put(f"class_{how or 'each'}", np.array([np.asarray(part, float) for part in found[:3]]))
    put("class_accuracy", [metrics.accuracy_score(labels, predictions)])
    logarithms = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    put("class_perplexity", [math.exp(metrics.log_loss(labels, np.exp(logarithms), labels=range(c)))])


def ranks():
    labels = draw.integers(0, 2, 61)
    scores = (draw.normal(size=61) * 3 + labels).round() / 4  # with many ties
    put("rank_labels", labels), put("rank_scores", scores)
    put("rank_auc", [metrics.roc_auc_score(labels, scores), metrics.roc_auc_score(labels, -scores),
                     metrics.roc_auc_score(labels, np.zeros(61)), metrics.roc_auc_score(labels, labels)])


def exactly(x, t):
    """MAE, MSE and R² of the very numbers, rounded once."""
    x, t = ([fractions.Fraction(v) for v in values.tolist()] for values in (x, t))
    n, mean = len(t), sum(t) / len(t)
    squares = sum((a - b) ** 2 for a, b in zip(x, t))
    return [float(sum(abs(a - b) for a, b in zip(x, t)) / n), float(squares / n),
            float(1 - squares / sum((b - mean) ** 2 for b in t))]


def numbers():
    t = draw.normal(size=50)
    x = t + draw.normal(size=50) / 4
    put("number_x", x), put("number_t", t)
    put("number_sklearn", [metrics.mean_absolute_error(t, x), metrics.mean_squared_error(t, x), metrics.r2_score(t, x)])
    put("number_exact", exactly(x, t))
    hard = 1e10 + draw.integers(0, 4, 30) * 2.0 ** -19  # they differ in the last two bits
    near = hard + draw.integers(-1, 2, 30) * 2.0 ** -19
    put("hard_x", near), put("hard_t", hard), put("hard_exact", exactly(near, hard))
    wide = draw.normal(size=40) * 10.0 ** draw.integers(-280, 281, 40)
    far = wide * (1 + draw.normal(size=40) / 8)
    put("wide_x", far), put("wide_t", wide)
    x, t = ([fractions.Fraction(v) for v in values.tolist()] for values in (far, wide))
    squares, mean = sum((a - b) ** 2 for a, b in zip(x, t)), sum(t) / len(t)
    put("wide_exact", [float(sum(abs(a - b) for a, b in zip(x, t)) / 40),
                       float(1 - squares / sum((b - mean) ** 2 for b in t))])


def main():
    classes(), ranks(), numbers()
    head = [f"/* Written by tests/golden_metrics.py with scikit-learn {sklearn.__version__}: do not edit. */",
            "#ifndef TESTS_GOLDEN_METRICS_H", "#define TESTS_GOLDEN_METRICS_H", "", "#include <stdint.h>", ""]
    path = pathlib.Path(__file__).parent / "golden/metrics.h"
    path.write_text("\n".join(head + out + ["", "#endif", ""]))


if __name__ == "__main__":
    main()
