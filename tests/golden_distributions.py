#!/usr/bin/python3
"""Writes tests/golden/distributions.h: quantities of distributions by mpmath and SciPy.

Needs mpmath and SciPy (Debian: python3-mpmath, python3-scipy). Run from anywhere; the result is committed, so that the tests need no
Python.
"""
import math
import pathlib

import mpmath

mpmath.mp.dps = 60
out = []


def put(name, values, type="double"):
    out.append(f"static const {type} {name}[] = {{")
    for i in range(0, len(values), 4):
        out.append("    " + ", ".join(repr(float(v)) for v in values[i:i + 4]) + ",")
    out.append("};")


def gamma_slope(a, x):
    """How fast x moves with a, the probability of a smaller number held: by a difference of 60 digits."""
    a, x = mpmath.mpf(a), mpmath.mpf(x)
    density = x ** (a - 1) * mpmath.exp(-x) / mpmath.gamma(a)
    h = a * mpmath.mpf(10) ** -20
    ends = (x, mpmath.inf) if x > a + 1 else (0, x)
    moved = mpmath.gammainc(a + h, *ends, regularized=True) - mpmath.gammainc(a - h, *ends, regularized=True)
    return moved / (2 * h) / density * (1 if x > a + 1 else -1)


def gamma_slopes():
    """a, x and the slope, from six deviations below the mean to six above it."""
    rows = []
    for a in (1e-3, 0.01, 0.1, 0.5, 0.99, 1, 1.5, 2.5, 7, 30, 100, 500, 999, 1001, 3000, 1e4, 1e6):
        for z in (-6, -3, -1, -0.3, 0, 0.3, 1, 3, 6):
            if a >= 0.5:
                x = a * (1 - 1 / (9 * a) + z / (3 * math.sqrt(a))) ** 3
                x = x if x > 0 else a * math.exp(z * 2)
            else:
                x = math.exp(z / a) if z < 0 else 0.1 + z
            if x > 1e-300:
                rows += [a, x, gamma_slope(a, x)]
    put("gamma_slope_rows", rows)


gamma_slopes()

path = pathlib.Path(__file__).parent / "golden/distributions.h"
path.write_text(f"""/* Written by tests/golden_distributions.py with mpmath {mpmath.__version__}: do not edit. */
#ifndef TESTS_GOLDEN_DISTRIBUTIONS_H
#define TESTS_GOLDEN_DISTRIBUTIONS_H

#include <math.h>
#include <stdint.h>

""" + "\n".join(out) + "\n\n#endif\n")
