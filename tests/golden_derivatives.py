#!/usr/bin/env python3
"""golden_derivatives -- special functions and their first three derivatives in 60 decimal digits, rounded to f64

    python3 tests/golden_derivatives.py > tests/golden/special.h

Needs mpmath, but only to make the file anew. Inputs are exact in f32 if they are in its range."""
import struct

import mpmath
from mpmath import mp, mpf

mp.dps = 60


def f32(x):
    """The nearest f32, or x itself beyond its range."""
    if not 1e-38 < abs(x) < 3.4e38:
        return x
    return struct.unpack("f", struct.pack("f", x))[0]


def power(x, s):
    return mpmath.power(x, s)


def derivatives(f):
    """By differences in so many digits that hundreds remain."""
    def all_of(x):
        with mpmath.workdps(400):
            return [f(x)] + [mpmath.diff(f, x, n, h=mpf(10) ** -100 * max(abs(x), mpf(10) ** -10)) for n in (1, 2, 3)]
    return all_of


def closed(*fs):
    return lambda x: [f(x) for f in fs]


def cbrt(x):
    s, a = mpmath.sign(x), abs(x)
    y = mpmath.cbrt(a)
    return [s * y, y / (3 * a), -2 * s * y / (9 * a ** 2), 10 * y / (27 * a ** 3)]


def log_to(b):
    c = mpmath.log(b)
    return closed(lambda x: mpmath.log(x) / c, lambda x: 1 / (c * x), lambda x: -1 / (c * x ** 2), lambda x: 2 / (c * x ** 3))


def exp2(x):
    c = mpmath.log(2)
    y = power(mpf(2), x)
    return [y, c * y, c ** 2 * y, c ** 3 * y]


def tan(x):
    t = mpmath.tan(x)
    d = 1 + t * t
    return [t, d, 2 * t * d, 2 * d * (1 + 3 * t * t)]


def asin(x):
    w = (1 - x) * (1 + x)
    r = mpmath.sqrt(w)
    return [mpmath.asin(x), 1 / r, x / r ** 3, (1 + 2 * x * x) / r ** 5]


def acos(x):
    return [mpmath.acos(x)] + [-d for d in asin(x)[1:]]


def atan(x):
    w = 1 + x * x
    return [mpmath.atan(x), 1 / w, -2 * x / w ** 2, (6 * x * x - 2) / w ** 3]


def asinh(x):
    r = mpmath.sqrt(1 + x * x)
    return [mpmath.asinh(x), 1 / r, -x / r ** 3, (2 * x * x - 1) / r ** 5]


def acosh(x):
    r = mpmath.sqrt((x - 1) * (x + 1))
    return [mpmath.acosh(x), 1 / r, -x / r ** 3, (2 * x * x + 1) / r ** 5]


def atanh(x):
    w = (1 - x) * (1 + x)
    return [mpmath.atanh(x), 1 / w, 2 * x / w ** 2, (6 * x * x + 2) / w ** 3]


def lgamma(x):
    y = mpmath.loggamma(x) if x > 0 else mpmath.log(abs(mpmath.gamma(x)))
    return [y] + [mpmath.polygamma(n, x) for n in range(3)]


def bell(x, sign):
    g = sign * 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x)
    return [g, -2 * x * g, (4 * x * x - 2) * g]


def erfcx(x):
    """By the continued fraction of repeated integrals where the terms of the recurrence would cancel."""
    if x < 20:
        with mpmath.workdps(400):
            w = [mpmath.exp(x * x) * mpmath.erfc(x)]
            w.append(2 * x * w[0] - 2 / mpmath.sqrt(mp.pi))
            for n in (1, 2):
                w.append(2 * x * w[n] + 2 * n * w[n - 1])
        return w
    r, w = mpf(0), []
    for n in range(300, -1, -1):
        r = 1 / (2 * x + 2 * (n + 1) * r)
        if n < 4:
            w.insert(0, r)
    y = [2 / mpmath.sqrt(mp.pi) * w[0]]
    for n in (1, 2, 3):
        y.append(-2 * n * w[n] * y[-1])
    return y


def density(x):
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mp.pi)


def probability(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def log_ndtr(x):
    with mpmath.workdps(200):
        p = probability(x) if x > -1e4 else density(x) * sum((-1) ** n * mpmath.fac2(2 * n - 1) / abs(x) ** (2 * n + 1) for n in range(30))
        m = density(x) / p
        s = x + m
        return [mpmath.log1p(-probability(-x)) if x > 0 else mpmath.log(p), m, -m * s, m * s * s - m * (1 - m * s)]


def gelu(x):
    p, q = density(x), probability(x)
    return [x * q, q + x * p, (2 - x * x) * p, x * (x * x - 4) * p]


def inverse(f, slope, guess):
    """The inverse of f, found by its logarithm where f is small; its slope is s(y) = 1/f′(y) with s′(y) = c·y·s(y)."""
    def all_of(x):
        c, s = slope
        with mpmath.workdps(100):
            y = guess(x)
            for _ in range(200):
                step = (x - f(y)) * s(y) if abs(y) < 1 else mpmath.log(x / f(y)) * f(y) * s(y)
                y += step
                if abs(step) < abs(y) * mpf(10) ** -80:
                    break
            d = s(y)
            return [y, d, c * y * d ** 2, c * d ** 3 * (1 + 2 * c * y * y)]
    return all_of


def ndtri(x):
    if x > 0.5:
        y = ndtri(1 - x)
        return [-y[0], y[1], -y[2], y[3]]
    guess = lambda p: (p - mpf("0.5")) * 2 if p > 0.1 else -mpmath.sqrt(-2 * mpmath.log(p * mpmath.sqrt(-mpmath.log(p)) * 3))
    return inverse(probability, (1, lambda y: 1 / density(y)), guess)(x)


def erfinv(x):
    """By ndtri(½ + x/2)/√2, in which x/2 is exact."""
    with mpmath.workdps(100):
        y, r = ndtri((1 - abs(x)) / 2), mpmath.sqrt(2)
        return [-mpmath.sign(x) * y[0] / r, y[1] / (2 * r), -mpmath.sign(x) * y[2] / (4 * r), y[3] / (8 * r)]


SIZES = [1e-30, 1e-9, 1e-4, 0.01, 0.1, 0.3, 0.54, 0.63, 0.9, 1, 1.1, 1.5, 2, 3, 5, 8.5, 12, 16, 20, 40, 60, 80, 87]
REALS = SIZES + [-x for x in SIZES]
WIDE = [100, 1e4, 1e8, 1e12, 1e30, 1e38, 1e100, 1e300]
ANYWHERE = REALS + WIDE + [-x for x in WIDE]
POSITIVE = [1e-300, 1e-38, 1e-30, 1e-12, 1e-4, 0.3, 0.7, 0.9999, 1, 1.0001, 1.4, 7, 1e4, 1e12, 1e30, 1e38, 1e300]
INSIDE = [1e-30, 1e-9, 1e-4, 0.01, 0.1, 0.3, 0.49, 0.51, 0.54, 0.7, 0.9, 0.99, 0.9999, 0.9999999]
INSIDE += [-x for x in INSIDE]
GAMMA = POSITIVE + [0.49, 0.5, 0.8, 1.46, 1.4616, 1.5, 2, 1.9999, 2.001, 3.7, 5, 7.9, 8, 11, 30, -1e-5, -0.25, -1.2, -6.75]
FUNCTIONS = {
    "acos": (acos, INSIDE),
    "acosh": (acosh, [1.0000001, 1.0001, 1.01, 1.1, 1.5, 2, 3, 10, 100] + WIDE),
    "asin": (asin, INSIDE),
    "asinh": (asinh, ANYWHERE),
    "atan": (atan, ANYWHERE),
    "atanh": (atanh, INSIDE),
    "cbrt": (cbrt, [x for v in POSITIVE if 1e-20 < v < 1e40 for x in (v, -v)] + [1e100, -1e-100]),
    "cosh": (closed(mpmath.cosh, mpmath.sinh, mpmath.cosh, mpmath.sinh), REALS + [700, -709]),
    "digamma": (lambda x: [mpmath.polygamma(n, x) for n in range(4)], GAMMA),
    "erf": (lambda x: [mpmath.erf(x)] + bell(x, 1), REALS),
    "erfc": (lambda x: [mpmath.erfc(x)] + bell(x, -1), REALS + [0.57, 0.65, 0.66, 9, 10, 15, 26]),
    "erfcx": (erfcx, [x for x in ANYWHERE if x > -9] + [0.49, 0.515, 0.516, -0.51, -0.52, 0.74, 0.76, -26]),
    "erfinv": (erfinv, INSIDE + [0.52, 0.521, 0.95, 0.999, 1 - 2.0 ** -24, 2.0 ** -22 - 1]),
    "exp2": (exp2, REALS + [127, -125, 1000, -1020]),
    "gelu": (gelu, [x for x in REALS if -36 < x] + [-0.7, -0.73, 0.71, 0.72, -8, -13, -14, -36.5]),
    "lgamma": (lgamma, GAMMA),
    "log10": (log_to(10), POSITIVE + [10, 100, 1000, 1e5, 1e8, 1e10]),
    "log2": (log_to(2), POSITIVE + [2, 0.5, 1024, 2.0 ** -100]),
    "log_ndtr": (log_ndtr, [x for x in REALS if x < 12] + [-0.7, -0.73, 0.71, 0.72, 12.5, 13, 37]),
    "ndtr": (lambda x: [probability(x), density(x), -x * density(x), (x * x - 1) * density(x)],
             [x for x in REALS if -37 < x] + [-0.7, -0.73, 0.71, 0.72, -13, -37]),
    "ndtri": (ndtri, [x for x in POSITIVE if x < 1] + [0.01, 0.1, 0.2, 0.239, 0.25, 0.26, 0.45, 0.499, 0.501, 0.6, 0.75, 0.77, 0.95, 0.99, 1 - 2.0 ** -24, 5e-324]),
    "sinh": (closed(mpmath.sinh, mpmath.cosh, mpmath.sinh, mpmath.cosh), REALS + [700, -709]),
    "tan": (tan, REALS + [0.78, 0.79, 1.57, 1.5707, 1.5708, 4.7, 100, 1e4, 1e6, 1.1e6, 1e7, 1e20, -1e30, 1e38, 1e300]),
}


def put(values):
    out = []
    for v in values:
        v = float(v)
        out.append(repr(v).replace("inf", "INFINITY"))
    return ", ".join(out)


def main():
    print("/* Written by tests/golden_derivatives.py: do not edit. */\n#ifndef TESTS_GOLDEN_SPECIAL_H\n#define TESTS_GOLDEN_SPECIAL_H\n"
          "\n#include <math.h>\n\n/* At x, the value and the first three derivatives. */\nstatic const struct {\n    const char *name;\n"
          "    double x, y[4];\n} exact_special[] = {")
    for name, (f, points) in FUNCTIONS.items():
        for x in map(f32, points):
            print('    {"%s", %r, {%s}},' % (name, float(x), put(f(mpf(x)))))
    print("};\n\n#endif")


main()
