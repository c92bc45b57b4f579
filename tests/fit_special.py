#!/usr/bin/env python3
"""fit_special -- the polynomials of ops/special_formulas.h, ops/gamma_formulas.h, gamma.c and incomplete.c: minimax fits by Remez's algorithm

    python3 tests/fit_special.py [NAME...]

Prints the table of each, the highest power first, and its largest error as a power of 2, relative to the function that it is
a part of. Coefficients are rounded to f32 or f64 one after the other, the lowest power first, as long as that pays, and the
others are fitted anew to what is left. Needs mpmath, but only to make the tables anew."""
import struct
import sys

import mpmath
from mpmath import mp, mpf

mp.dps = 50
TINY = mpf(10) ** -35


def rounded(x, width):
    return mpf(float(x)) if width == 64 else mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def values(c, x):
    return sum(v * x ** k for k, v in c.items())


def extremes(error, count):
    """Places of extremes of alternating sign, the largest ones."""
    found, last = [], 0
    for j in range(1, len(error)):
        if (error[j] > 0) != (error[last] > 0):
            found.append(last)
            last = j
        elif abs(error[j]) > abs(error[last]):
            last = j
    found.append(last)
    while len(found) > count:
        if len(found) == count + 1:
            del found[0 if abs(error[found[0]]) < abs(error[found[-1]]) else -1]
        else:
            k = min(range(len(found) - 1), key=lambda i: max(abs(error[found[i]]), abs(error[found[i + 1]])))
            del found[k:k + 2]
    return found


def remez(xs, target, weight, powers):
    n, size = len(powers), len(xs) - 1
    at = [round(size * i / n) for i in range(n + 1)]
    for _ in range(20):
        a, b = mpmath.matrix(n + 1, n + 1), mpmath.matrix(n + 1, 1)
        for i, j in enumerate(at):
            for k, p in enumerate(powers):
                a[i, k] = xs[j] ** p
            a[i, n], b[i] = (-1) ** i / weight[j], target[j]
        solved = mpmath.lu_solve(a, b)
        c = {p: solved[k] for k, p in enumerate(powers)}
        error = [w * (values(c, x) - t) for x, t, w in zip(xs, target, weight)]
        found = extremes(error, n + 1)
        if len(found) <= n or found == at or max(map(abs, error)) < abs(solved[n]) * mpf("1.002"):
            break
        at = found
    return c


def fit(f, weight, n, low, high, width):
    size = max(500, 30 * n)
    middle, half = (mpf(low) + mpf(high)) / 2, (mpf(high) - mpf(low)) / 2
    xs = [middle - half * mpmath.cos(mp.pi * (j + mpf(1) / 2) / size) for j in range(size)]
    target = [f(x if abs(x) > TINY else TINY) for x in xs]
    weights = [weight(x if abs(x) > TINY else TINY, t) for x, t in zip(xs, target)]
    best = None
    for alone in (0, 1, 2, 3, 5, n):
        fixed = {}
        while len(fixed) < n:
            left = [t - values(fixed, x) for x, t in zip(xs, target)]
            c = remez(xs, left, weights, range(len(fixed), n))
            for p in list(c) if len(fixed) >= alone else [len(fixed)]:
                fixed[p] = rounded(c[p], width)
        error = max(abs(w * (values(fixed, x) - t)) for x, t, w in zip(xs, target, weights))
        if best is None or error < best[0]:
            best = (error, fixed)
    return best


# ---- The functions ----

LOG2, LOG10 = mpmath.log(2), mpmath.log(10)
TWO_OVER_ROOT_PI = 2 / mpmath.sqrt(mp.pi)


def odd(f):
    """f(√w)/√w − 1, divided by w."""
    return lambda w: (f(mpmath.sqrt(w)) / mpmath.sqrt(w) - 1) / w


def log_rest(base):
    return lambda f: (mpmath.log1p(f) - f) / f ** 2 / base


def erf_rest(w):
    return (mpmath.erf(mpmath.sqrt(w)) / mpmath.sqrt(w) - TWO_OVER_ROOT_PI) / w


def erfcx(x):
    if x < 60:
        return mpmath.exp(x * x) * mpmath.erfc(x)
    total, term, k = mpf(0), mpf(1), 0
    while abs(term) > mpf(10) ** -45:
        total, k = total + term, k + 1
        term *= -(2 * k - 1) / (2 * x * x)
    return total / (x * mpmath.sqrt(mp.pi))


def erfcx_far(k):
    """erfcx(a)·(a + k) as a function of t = 1 − (2k + 1)/(a + k)."""
    def f(t):
        over = (1 - t) / (2 * k + 1)
        return erfcx(1 / over - k) / over if over > mpf(10) ** -15 else 1 / mpmath.sqrt(mp.pi)
    return f


def erfcx_slope_far(k):
    """−½·erfcx′(a)·(a + k)² as a function of t = 1 − (2k + 1)/(a + k)."""
    def f(t):
        over = (1 - t) / (2 * k + 1)
        if over < mpf(10) ** -15:
            return 1 / (2 * mpmath.sqrt(mp.pi))
        a = 1 / over - k
        if a < 40:
            return (1 / mpmath.sqrt(mp.pi) - a * erfcx(a)) / over ** 2
        r = mpf(0)  # the continued fraction of the ratios of repeated integrals
        for n in range(60, 0, -1):
            r = 1 / (2 * a + 2 * (n + 1) * r)
        return erfcx(a) * r / over ** 2
    return f


def erfinv_rest(w):
    return (mpmath.erfinv(mpmath.sqrt(w)) / mpmath.sqrt(w) - 1 / TWO_OVER_ROOT_PI) / w


def erfcinv_of_root(s):
    """The y with erfc y = e^(−s²)."""
    y = mpmath.sqrt(max(s * s - mpmath.log(max(1, mpmath.sqrt(mp.pi) * s)), mpf("0.2")))
    for _ in range(60):
        step = (mpmath.log(mpmath.erfc(y)) + s * s) * mpmath.erfc(y) * mpmath.exp(y * y) / TWO_OVER_ROOT_PI
        y += step
        if abs(step) < mpf(10) ** -40:
            break
    return y


def erfcinv_part(k, scale, shift):
    """The y of erfcinv_of_root by s, less 1, as a function of t = scale/(s + k) − shift."""
    def f(t):
        s = scale / (t + shift) - k
        return erfcinv_of_root(s) / s - 1
    return f


ROOT_OF_DIGAMMA = mpmath.findroot(mpmath.digamma, mpf("1.46"))


def lgamma_part(t):
    """Between the roots 1 and 2 and at them, without these; t is x − 3/2."""
    return mpmath.loggamma(t + mpf("1.5")) / ((t + mpf("0.5")) * (t - mpf("0.5")))


def digamma_part(t):
    x = t + mpf("1.5")
    return mpmath.digamma(x) / (x - ROOT_OF_DIGAMMA)


def sinpi_part(w):
    return mpmath.sinpi(mpmath.sqrt(w)) / (mp.pi * mpmath.sqrt(w))


def cotpi_part(w):
    d = mpmath.sqrt(w)
    return (mp.pi * d * mpmath.cospi(d) / mpmath.sinpi(d) - 1) / w


def trigamma_part(v):
    """What trigamma(z) is more than 1/z + 1/(2z²), times z³, for z = 1/√v."""
    return (mpmath.zeta(2, 1 / mpmath.sqrt(v)) - mpmath.sqrt(v) - v / 2) / (v * mpmath.sqrt(v)) if v > TINY else mpf(1) / 6


def artanh_part(q):
    """What (artanh r)/r is more than 1, over q = r²."""
    r = mpmath.sqrt(q)
    return (mpmath.atanh(r) / r - 1) / q if q > TINY else mpf(1) / 3


def part(w, t):
    return w


def relative(x, t):
    return 1 / t


ROOT = mpmath.sqrt(mpf(1) / 2)
# Name: the function, the weight of an error at x where the function is t, coefficients, interval, width.
FITS = {
    "log2_narrow": (log_rest(LOG2), lambda f, t: f ** 2 / mpmath.log1p(f) * LOG2, 9, ROOT - 1, 2 * ROOT - 1, 32),
    "log10_narrow": (log_rest(LOG10), lambda f, t: f ** 2 / mpmath.log1p(f) * LOG10, 9, ROOT - 1, 2 * ROOT - 1, 32),
    "cbrt_narrow": (lambda x: x ** (-mpf(1) / 3), lambda x, t: 1 / t, 5, ROOT, 2 * ROOT, 32),
    "cbrt_wide": (lambda x: x ** (-mpf(1) / 3), lambda x, t: 1 / t, 6, ROOT, 2 * ROOT, 64),
    "tan_narrow": (odd(mpmath.tan), lambda w, t: w / (1 + w * t), 7, 0, "0.69", 32),
    "tan_wide": (odd(mpmath.tan), part, 14, 0, "0.6173", 64),
    "asin_narrow": (odd(mpmath.asin), part, 5, 0, "0.25", 32),
    "asin_wide": (odd(mpmath.asin), part, 12, 0, "0.25", 64),
    "atan_narrow": (odd(mpmath.atan), part, 8, 0, 1, 32),
    "atan_wide": (odd(mpmath.atan), part, 19, 0, 1, 64),
    "sinh_narrow": (odd(mpmath.sinh), part, 3, 0, "0.1202", 32),
    "sinh_wide": (odd(mpmath.sinh), part, 6, 0, "0.1202", 64),
    "cosh_narrow": (lambda z: (mpmath.cosh(mpmath.sqrt(z)) - 1) / z, part, 3, 0, "0.1202", 32),
    "cosh_wide": (lambda z: (mpmath.cosh(mpmath.sqrt(z)) - 1) / z, part, 6, 0, "0.1202", 64),
    "erf_narrow": (erf_rest, lambda w, t: w / TWO_OVER_ROOT_PI, 4, 0, "0.25", 32),
    "erf_wide": (erf_rest, lambda w, t: w / TWO_OVER_ROOT_PI, 9, 0, "0.25", 64),
    "erfcx_narrow": (erfcx_far(mpf(2)), lambda t, y: 1 / y, 11, -1, 1, 32),
    "erfcx_wide": (erfcx_far(mpf(3)), lambda t, y: 1 / y, 23, -1, 1, 64),
    "erfcx_slope_narrow": (erfcx_slope_far(mpf(2)), relative, 12, -1, 1, 32),
    "erfcx_slope_wide": (erfcx_slope_far(mpf(3)), relative, 24, -1, 1, 64),
    "erfinv_narrow": (erfinv_rest, lambda w, t: w * TWO_OVER_ROOT_PI, 6, 0, "0.271", 32),
    "erfinv_wide": (erfinv_rest, lambda w, t: w * TWO_OVER_ROOT_PI, 14, 0, "0.271", 64),
    "erfcinv_narrow": (erfcinv_part(1, 6, mpf("2.25")), lambda t, y: 1 / (1 + y), 10, "-1.05", "1.025", 32),
    "erfcinv_wide": (erfcinv_part(1, 6, mpf("2.25")), lambda t, y: 1 / (1 + y), 21, "-1.05", "1.025", 64),
    "erfcinv_far_narrow": (erfcinv_part(3, 18, mpf("1.5625")), lambda t, y: 1 / (1 + y), 7, "-0.2", "1.01", 32),
    "erfcinv_far_wide": (erfcinv_part(3, 18, mpf("1.5625")), lambda t, y: 1 / (1 + y), 25, "-0.97", "1.01", 64),
    "lgamma_narrow": (lgamma_part, relative, 10, "-0.5", "0.5", 32),
    "lgamma_wide": (lgamma_part, relative, 21, "-0.5", "0.5", 64),
    "digamma_narrow": (digamma_part, relative, 10, "-0.5", "0.5", 32),
    "digamma_wide": (digamma_part, relative, 23, "-0.5", "0.5", 64),
    "artanh": (artanh_part, lambda q, t: mpmath.sqrt(q), 12, 0, "0.185", 64),
    "trigamma": (trigamma_part, part, 9, 0, "0.04", 64),
    "sinpi_narrow": (sinpi_part, relative, 5, 0, "0.25", 32),
    "sinpi_wide": (sinpi_part, relative, 9, 0, "0.25", 64),
    "cotpi_narrow": (cotpi_part, part, 7, 0, "0.25", 32),
    "cotpi_wide": (cotpi_part, part, 15, 0, "0.25", 64),
}


def hexadecimal(x):
    mantissa, exponent = float(x).hex().split("p")
    return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + "p" + exponent


def main():
    for name in sys.argv[1:] or FITS:
        error, c = fit(*FITS[name])
        print("%s, 2^%.1f: %s" % (name, mpmath.log(error, 2), ", ".join(hexadecimal(c[k]) for k in sorted(c, reverse=True))))


main()
