#!/usr/bin/env python3
"""golden_exact -- derivatives and losses in 700 decimal digits, rounded to f64

    python3 tests/golden_exact.py > tests/golden/exact.h

Needs only Python. The formulas are those of textbooks: with so many digits cancellation does not matter. Inputs are
exact in f32 if they are in its range."""
import decimal
import itertools
import struct
from decimal import Decimal as D

decimal.getcontext().prec = 700
decimal.getcontext().Emax = decimal.MAX_EMAX
decimal.getcontext().Emin = decimal.MIN_EMIN


def f32(x):
    """The nearest f32, or x itself beyond its range."""
    if not 1e-38 < abs(x) < 3.4e38:
        return x
    return struct.unpack("f", struct.pack("f", x))[0]


# ---- Functions of one argument: the first three derivatives ----

def sigmoid(x):
    s = 1 / (1 + (-x).exp())
    d = s * (1 - s)
    return d, d * (1 - 2 * s), d * (1 - 6 * d)


def tanh(x):
    e = (2 * x).exp()
    t = (e - 1) / (e + 1)
    d = 1 - t * t
    return d, -2 * t * d, d * (6 * t * t - 2)


def power(s):
    return lambda x: (s * x ** (s - 1), s * (s - 1) * x ** (s - 2), s * (s - 1) * (s - 2) * x ** (s - 3))


def arctan_of_inverse(n):
    total, term, k = D(0), 1 / D(n), 1
    while abs(term) > D("1e-710"):
        total += term / k if k % 4 == 1 else -term / k
        term, k = term / n ** 2, k + 2
    return total


PI = 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))  # Machin (1706)


def sine(u):
    total, term, k = D(0), u, 1
    while term and abs(term) > D("1e-710") * abs(u):
        total += term
        term, k = -term * u * u / ((k + 1) * (k + 2)), k + 2
    return total


def sinc(x):
    u = PI * x
    s, c = sine(u), sine(u + PI / 2)
    return (PI * (c - s / u) / u, PI ** 2 * (2 * (s / u - c) / u - s) / u,
            PI ** 3 * (6 * (c - s / u) / u ** 2 + 3 * s / u - c) / u)


TAILS = [1e-30, 1e-9, 1e-4, 0.01, 0.1, 0.3, 0.54, 0.56, 0.63, 1, 2, 3, 5, 8.5, 9.5, 12, 14, 16, 17.5, 18.5, 20, 30, 40, 43,
         51, 60, 80, 87, 90, 100, 103, 200, 350, 372, 500, 700, 740]
REALS = TAILS + [-x for x in TAILS]
POSITIVE = [1e-300, 1e-38, 1e-30, 1e-12, 1e-4, 0.3, 0.9999, 1, 1.0001, 7, 1e4, 1e12, 1e30, 1e38, 1e300]
FUNCTIONS = {
    "sigmoid": (sigmoid, REALS),
    "tanh": (tanh, REALS),
    "exp": (lambda x: (x.exp(),) * 3, REALS),
    "expm1": (lambda x: (x.exp(),) * 3, REALS),
    "log": (lambda x: (1 / x, -1 / x ** 2, 2 / x ** 3), POSITIVE),
    "log1p": (lambda x: (1 / (1 + x), -1 / (1 + x) ** 2, 2 / (1 + x) ** 3), POSITIVE + [-0.5, -0.9990234375, -1e-9]),
    "sqrt": (power(D("0.5")), POSITIVE),
    "rsqrt": (power(D("-0.5")), POSITIVE),
    "reciprocal": (power(D(-1)), POSITIVE + [-3, -1e-12, -1e12]),
    "sinc": (sinc, [1e-30, 1e-9, 1e-4, 0.01, 0.1, 0.2, 0.25, 0.28125, 0.3125, -0.1, -0.3125]),
    "sinc far": (sinc, [0.328125, 0.4375, 0.5, 0.75, 1, 1.25, 1.75, 2.75, -0.4375, -2.25]),
    "pow 2.5": (power(D("2.5")), POSITIVE),
    "pow -0.75": (power(D("-0.75")), POSITIVE),
}

# ---- Losses ----

OFFSETS = [0, 3, -1000, 2.0 ** 20, -(2.0 ** 23), 2.0 ** 100, 2.0 ** 127]
GAPS = [(0, 0, 0), (0, 0, -1), (1, 0.5, -2), (0.25, 0, -8), (0, -12, -12.5), (0, -17, -30), (0, -40, -60), (0, -80, -86),
        (0, -100, -2), (0, -300, -690), (5e8, 0, -1), (2.0 ** 127, 0, -(2.0 ** 126))]


def rows():
    """Three scores, exact in f32, whose differences are within the range of f64."""
    found = []
    for offset, gaps in itertools.product(OFFSETS, GAPS):
        for turn in range(3):
            row = tuple(f32(offset + gaps[(i + turn) % 3]) for i in range(3))
            if row not in found and max(abs(v) for v in row) < 3e38:
                found.append(row)
    return found


def cross_entropy(row):
    """The loss and its gradient for each label, and the Hessian, which is the same for all."""
    x = [D(v) for v in row]
    m = max(x)
    e = [(v - m).exp() if v - m > -100000 else D(0) for v in x]
    total = sum(e)
    p = [v / total for v in e]
    losses = [m - v + total.ln() for v in x]
    gradients = [p[j] - (i == j) for i in range(3) for j in range(3)]
    return losses + gradients + [p[i] * ((i == j) - p[j]) for i in range(3) for j in range(3)]


def binary(s, t):
    s, t = D(s), D(t)
    sigma = 1 / (1 + (-s).exp()) if abs(s) < 100000 else D(s > 0)
    loss = (1 + (-abs(s)).exp()).ln() if abs(s) < 100000 else D(0)
    return [max(s, 0) - t * s + loss, sigma - t, sigma * (1 - sigma)]


def hinge(row):
    x = [D(v) for v in row]
    out = []
    for i in range(3):
        over = [max(D(0), v - x[i] + 1) if j != i else D(0) for j, v in enumerate(x)]
        out.append((sum(over), [D(v > 0) if j != i else -D(sum(w > 0 for w in over)) for j, v in enumerate(over)]))
    return [loss for loss, _ in out] + [g for _, gradient in out for g in gradient]


MARGINS = [(1, 2.0 ** -27, 0), (1, 0.25, -0.5), (0.3, -0.7, -0.70001), (0.7, -0.3, -0.2999), (2.0 ** 27, 2.0 ** 27, 0),
           (2.0 ** 23 + 2, 2.0 ** 23 + 1, 2.0 ** 23), (-0.001, -1.0005, -1.001), (2.0 ** 127, -(2.0 ** 127), 0), (3, 2, 1.5),
           (-5e8, 1, 2.0 ** -30), (100.5, 99.5, 99.4999)]


def put(values):
    return ", ".join(repr(float(v)).replace("inf", "INFINITY") for v in values)


def main():
    print("/* Written by tests/golden_exact.py: do not edit. */\n#ifndef TESTS_GOLDEN_EXACT_H\n#define TESTS_GOLDEN_EXACT_H\n"
          "\n#include <math.h>\n\n/* At x, the first three derivatives. */\nstatic const struct {\n    const char *name;\n"
          "    double x, slope[3];\n} exact_slopes[] = {")
    for name, (f, points) in FUNCTIONS.items():
        for x in map(f32, points):
            print('    {"%s", %r, {%s}},' % (name, x, put(f(D(x)))))
    print("};\n\n/* Losses of three scores and their gradients, by label; and the Hessian of each. */\n"
          "static const struct {\n    double scores[3], loss[3], gradient[9], hessian[9];\n} exact_cross_entropy[] = {")
    for row in rows():
        all_of = cross_entropy(row)
        print("    {{%s},\n     {%s},\n     {%s},\n     {%s}}," % (put(row), put(all_of[:3]), put(all_of[3:12]), put(all_of[12:])))
    print("};\n\n/* The loss of a score and a target, and its first two derivatives. */\n"
          "static const struct {\n    double score, target, loss[3];\n} exact_binary[] = {")
    for s, t in itertools.product(map(f32, [0.0] + REALS + [5e8, -5e8, 2.0 ** 127, -(2.0 ** 127)]), (0, 0.25, 1)):
        print("    {%r, %r, {%s}}," % (s, t, put(binary(s, t))))
    print("};\n\n/* Losses of three scores and their gradients, by label. */\n"
          "static const struct {\n    double scores[3], loss[3], gradient[9];\n} exact_hinge[] = {")
    for row in (tuple(map(f32, r)) for r in MARGINS):
        all_of = hinge(row)
        print("    {{%s},\n     {%s},\n     {%s}}," % (put(row), put(all_of[:3]), put(all_of[3:])))
    print("};\n\n#endif")


main()
