#!/usr/bin/python3
"""Writes tests/golden/draws.h, large.h, poisson.h and distributions.h: quantities of distributions by mpmath, SciPy and PyTorch.

Needs them (Debian: python3-mpmath, python3-scipy, python3-torch). Run from anywhere; the result is committed, so that the tests need no
Python.
"""
import math
import pathlib

import mpmath
import scipy
import torch
from scipy import stats

mpmath.mp.dps = 60
out = []


def text(v):
    return "NAN" if math.isnan(v) else "-INFINITY" if v == -math.inf else "INFINITY" if v == math.inf else repr(v)


def put(name, values, type="double"):
    out.append(f"static const {type} {name}[] = {{")
    for i in range(0, len(values), 4):
        out.append("    " + ", ".join(text(float(v)) for v in values[i:i + 4]) + ",")
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


def moments():
    """A row for each family, parameters and x: ln of the density, mean, variance, entropy, distribution function; NaN: not compared."""
    none = math.nan
    kinds = [
        ("NORMAL", stats.norm, lambda m, s: dict(loc=m, scale=s), [(1, 2), (-3, 0.25)], [-1.5, 1, 30]),
        ("UNIFORM", stats.uniform, lambda a, b: dict(loc=a, scale=b - a), [(1, 3.5), (-2, -1)], [-1.5, 1, 2.25, 7]),
        ("EXPONENTIAL", stats.expon, lambda r: dict(scale=1 / r), [(2,), (0.25,)], [-1, 0, 0.75, 50]),
        ("LAPLACE", stats.laplace, lambda m, s: dict(loc=m, scale=s), [(1, 2), (-3, 0.25)], [-1.5, 1, 30]),
        ("CAUCHY", stats.cauchy, lambda m, s: dict(loc=m, scale=s), [(1, 2), (-3, 0.25)], [-150, 1, 30]),
        ("GUMBEL", stats.gumbel_r, lambda m, s: dict(loc=m, scale=s), [(1, 2), (-3, 0.25)], [-1.5, 1, 30]),
        ("GAMMA", stats.gamma, lambda a, r: dict(a=a, scale=1 / r), [(3, 2), (0.5, 0.25), (1, 1.5)], [-1, 0, 0.5, 20]),
        ("BETA", stats.beta, lambda a, b: dict(a=a, b=b), [(3, 2), (0.5, 0.25), (1, 1)], [-1, 0, 0.125, 0.75, 1, 1.5]),
        ("STUDENT", stats.t, lambda v, m, s: dict(df=v, loc=m, scale=s), [(5, 1, 2), (2.5, 0, 0.5)], [-1.5, 1, 30]),
        ("BERNOULLI", stats.bernoulli, lambda p: dict(p=p), [(0.25,), (0,), (1,)], [-1, 0, 0.5, 1, 2]),
        ("BINOMIAL", stats.binom, lambda n, p: dict(n=n, p=p), [(7, 0.25), (3, 0), (3, 1)], [-1, 0, 2, 2.5, 3, 8]),
        ("POISSON", stats.poisson, lambda r: dict(mu=r), [(2.5,), (40,)], [-1, 0, 3, 3.5, 41]),
    ]
    entropies = {"GUMBEL": torch.distributions.Gumbel, "STUDENT": torch.distributions.StudentT}
    for name in "Normal Uniform Exponential Laplace Cauchy Gamma Beta Bernoulli".split():
        entropies[name.upper()] = getattr(torch.distributions, name)
    rows, families = [], []
    for name, kind, arguments, parameters, xs in kinds:
        for p in parameters:
            frozen = kind(**arguments(*p))
            log_density = frozen.logpmf if hasattr(kind, "pmf") else frozen.logpdf
            has_moments = name != "CAUCHY"
            for x in xs:
                log_p = float(log_density(x))
                if name == "UNIFORM" and x == p[1]:
                    log_p = -math.inf
                rows += list(p) + [none] * (3 - len(p)) + [
                    x, log_p, frozen.mean() if has_moments else none, frozen.var() if has_moments else none,
                    entropies[name](*map(torch.DoubleTensor, ([v] for v in p))).entropy().item() if name in entropies else none,
                    frozen.cdf(x)]
                families.append("AG_DIST_" + name)
    out.append(f"static const int moment_families[] = {{{', '.join(families)}}};")
    put("moment_rows", rows)


def divergences():
    """A row for each family and two pairs of parameters; the vectors of the others are put by name."""
    D = torch.distributions
    t = lambda *v: [torch.tensor(float(x), dtype=torch.float64) for x in v]
    kinds = [
        ("NORMAL", D.Normal, [((1, 2), (0.5, 1.5)), ((0, 1), (0, 1))]),
        ("UNIFORM", D.Uniform, [((1, 2), (0.5, 2.5)), ((0, 2), (1, 3))]),
        ("EXPONENTIAL", D.Exponential, [((2,), (0.75,))]),
        ("LAPLACE", D.Laplace, [((1, 2), (0.5, 1.5)), ((0, 1), (-3, 2))]),
        ("GAMMA", D.Gamma, [((3, 2), (0.5, 1.5)), ((0.25, 1), (7, 0.5))]),
        ("BETA", D.Beta, [((3, 2), (0.5, 1.5)), ((0.25, 1), (7, 0.5))]),
        ("BERNOULLI", D.Bernoulli, [((0.25,), (0.5,)), ((0,), (0.25,)), ((0.5,), (1,))]),
        ("POISSON", D.Poisson, [((2.5,), (4,)), ((1,), (1,))]),
        ("CAUCHY", D.Cauchy, [((1, 2), (0.5, 1.5)), ((0, 1), (-30, 2))]),
        ("GUMBEL", D.Gumbel, [((1, 2), (0.5, 1.5)), ((0, 1), (-3, 2))]),
        ("BINOMIAL", D.Binomial, [((5, 0.25), (5, 0.5)), ((3, 0.25), (2, 0.25))]),
    ]
    rows, families, others = [], [], []
    for name, kind, pairs in kinds:
        for p, q in pairs:
            value = D.kl_divergence(kind(*t(*p)), kind(*t(*q))).item()
            rows += list(p) + [math.nan] * (2 - len(p)) + list(q) + [math.nan] * (2 - len(q)) + [value]
            families.append("AG_DIST_" + name)
            others.append("AG_DIST_" + name)
    at = {"NORMAL": (0.5, 1.5), "UNIFORM": (0.25, 0.75), "EXPONENTIAL": (0.75,), "LAPLACE": (0.5, 1.5), "GUMBEL": (0.5, 1.5), "GAMMA": (2.5, 1.5),
          "BETA": (2.5, 1.5), "BERNOULLI": (0.25,), "POISSON": (2.5,)}
    pairs = [(p, q, at[p], at[q]) for p in at for q in at if p != q]
    pairs += [("UNIFORM", q, (-0.5, 1.5), at[q]) for q in ("EXPONENTIAL", "GAMMA", "BETA", "NORMAL")]
    pairs += [("BETA", "UNIFORM", at["BETA"], (-0.5, 1.5)), ("UNIFORM", "GAMMA", (0, 2), at["GAMMA"]), ("UNIFORM", "BETA", (0, 1), at["BETA"])]
    of = lambda name, v: getattr(D, name.title())(*t(*v), **({"validate_args": False} if name == "UNIFORM" else {}))
    for p, q, a, b in pairs:
        try:
            value = D.kl_divergence(of(p, a), of(q, b)).item()
        except NotImplementedError:
            continue
        rows += list(a) + [math.nan] * (2 - len(a)) + list(b) + [math.nan] * (2 - len(b)) + [value]
        families.append("AG_DIST_" + p), others.append("AG_DIST_" + q)
    out.append(f"static const int divergence_families[] = {{{', '.join(families)}}};")
    out.append(f"static const int divergence_others[] = {{{', '.join(others)}}};")
    put("divergence_rows", rows)


def vectors():
    D = torch.distributions
    t = lambda v: torch.tensor(v, dtype=torch.float64)
    scores, others = t([[0.5, -1, 2], [0, 0, 0]]), t([[1, 0.25, -0.5], [1, 2, 3]])
    p, q = D.Categorical(logits=scores), D.Categorical(logits=others)
    for name, v in (("scores", scores), ("others", others), ("log_prob", p.log_prob(torch.tensor([2, 1]))),
                    ("entropy", p.entropy()), ("divergence", D.kl_divergence(p, q))):
        put("categorical_" + name, v.flatten().tolist())
    a, b, x = t([0.5, 2, 3]), t([1.5, 1, 0.25]), t([[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]])
    p, q = D.Dirichlet(a), D.Dirichlet(b)
    for name, v in (("a", a), ("b", b), ("x", x), ("log_prob", p.log_prob(x)), ("mean", p.mean), ("variance", p.variance),
                    ("entropy", p.entropy()), ("divergence", D.kl_divergence(p, q))):
        put("dirichlet_" + name, v.flatten().tolist())
    m, n = t([1, -2, 0.5]), t([0, 1, 0.25])
    l, k = t([[2, 0, 0], [0.5, 1.5, 0], [-1, 0.25, 0.75]]), t([[1, 0, 0], [-0.25, 2, 0], [0.5, 1, 1.25]])
    p, q = D.MultivariateNormal(m, scale_tril=l), D.MultivariateNormal(n, scale_tril=k)
    x = t([[1, 1, 1], [0, -3, 2]])
    for name, v in (("m", m), ("n", n), ("l", l), ("k", k), ("x", x), ("log_prob", p.log_prob(x)), ("variance", p.variance),
                    ("entropy", p.entropy()), ("divergence", D.kl_divergence(p, q))):
        put("multi_normal_" + name, v.flatten().tolist())


# ---- Large or nearly equal arguments, where the terms of a formula are far larger than their sum ----

def logs_of_shares(scores):
    total = mpmath.log(sum(map(mpmath.exp, scores)))
    return [x - total for x in scores]


def dirichlet_divergence(a, b):
    excess = [mpmath.psi(0, x) - mpmath.psi(0, sum(a)) for x in a]
    return log_of_betas(b) - log_of_betas(a) + sum((x - y) * e for x, y, e in zip(a, b, excess))


def log_of_betas(a):
    return sum(map(mpmath.loggamma, a)) - mpmath.loggamma(sum(a))


def bernoulli_divergence(p, q):
    return sum(x * mpmath.log(x / y) if x else 0 for x, y in ((p, q), (1 - p, 1 - q)))


def categorical_divergence(a, b):
    return sum(mpmath.exp(x) * (x - y) for x, y in zip(logs_of_shares(a), logs_of_shares(b)))


def power(x, y):
    return x * mpmath.log(y) if x else mpmath.mpf(0)


lg, psi, ln = mpmath.loggamma, lambda x: mpmath.psi(0, x), mpmath.log
NEAR, NEARER = 1 + 2.0 ** -10, 1 + 2.0 ** -12
LARGE = [  # quantity, family, how many arguments are whole and have no slope, the formula, arguments that f32 has
    ("LOG_P", "GAMMA", 0, lambda x, a, b: a * ln(b) + (a - 1) * ln(x) - b * x - lg(a),
     [(1e6, 1e6, 1), (100010000, 1e8, 1), (250.5, 1e5, 400), (3, 1e5, 400), (22.5, 22, 1), (0.5, 1000, 1e5)]),
    ("LOG_P", "BETA", 0, lambda x, a, b: (a - 1) * ln(x) + (b - 1) * mpmath.log1p(-x) - log_of_betas((a, b)),
     [(0.5, 1e8, 1e8), (0.25, 1e5, 3e5), (0.125, 22, 140), (0.75, 1e5, 100)]),
    ("LOG_P", "STUDENT", 0, lambda x, v, m, s: -(v + 1) / 2 * mpmath.log1p(((x - m) / s) ** 2 / v) - ln(v) / 2 - log_of_betas((v / 2, mpmath.mpf(0.5))) - ln(s),
     [(1.5, 1e8, 0.5, 2), (1.5, 1e5, 0, 1), (3, 81, 1, 0.5), (40, 1e3, 0, 1)]),
    ("LOG_P", "BINOMIAL", 2, lambda x, n, p: lg(n + 1) - lg(x + 1) - lg(n - x + 1) + power(x, p) + power(n - x, 1 - p),
     [(5e7, 1e8, 0.5), (25000, 1e5, 0.25), (0, 12, 2.0 ** -20), (22, 100, 0.25), (30, 30, 0.9375)]),
    ("LOG_P", "POISSON", 1, lambda x, r: power(x, r) - r - lg(x + 1), [(1e8, 100010000), (1e5, 1e5), (21, 25), (1e6, 1000), (0, 2.0 ** -10)]),
    ("ENTROPY", "GAMMA", 0, lambda a, b: a - ln(b) + lg(a) + (1 - a) * psi(a), [(1e8, 1), (1e5, 2), (20.5, 1)]),
    ("ENTROPY", "BETA", 0, lambda a, b: log_of_betas((a, b)) - (a - 1) * psi(a) - (b - 1) * psi(b) + (a + b - 2) * psi(a + b),
     [(1e8, 1e8), (1e5, 3), (1e5, 2e5), (21, 30)]),
    ("ENTROPY", "STUDENT", 0, lambda v, m, s: ln(v) / 2 + log_of_betas((v / 2, mpmath.mpf(0.5))) + ln(s) + (v + 1) / 2 * (psi((v + 1) / 2) - psi(v / 2)),
     [(1e8, 0, 1), (1e5, 0, 2), (81, 0, 1)]),
    ("ENTROPY", "DIRICHLET", 0, lambda *a: log_of_betas(a) + (sum(a) - 3) * psi(sum(a)) - sum((x - 1) * psi(x) for x in a),
     [(1e8, 1e8, 1e8), (1e8, 0.5, 2), (1e5, 2e5, 30)]),
    ("DIVERGENCE", "NORMAL", 0, lambda m, s, n, t: ((s / t) ** 2 - 1 + ((m - n) / t) ** 2) / 2 - ln(s / t), [(0, 1, 0, NEAR), (1, 1, NEAR, NEARER)]),
    ("DIVERGENCE", "LAPLACE", 0, lambda m, s, n, t: s / t * mpmath.exp(-abs(m - n) / s) + abs(m - n) / t - 1 - ln(s / t), [(1, 1, 1, NEAR), (1, 1, NEAR, NEARER), (0, 1, 3, 2)]),
    ("DIVERGENCE", "CAUCHY", 0, lambda m, s, n, t: ln(((s + t) ** 2 + (m - n) ** 2) / (4 * s * t)), [(0, 1, 0, NEAR), (1, 1, NEAR, NEARER), (0, 1, 8, 2)]),
    ("DIVERGENCE", "GUMBEL", 0, lambda m, s, n, t: (m - n) / t - ln(s / t) + mpmath.euler * (s / t - 1) + mpmath.exp((n - m) / t) * mpmath.gamma(s / t + 1) - 1,
     [(0, 1, 0, NEAR), (1, 1, NEAR, NEARER), (0, 0.25, 0, 1)]),
    ("DIVERGENCE", "GAMMA", 0, lambda a, b, c, d: (a - c) * psi(a) - lg(a) + lg(c) + c * ln(b / d) + a * (d - b) / b,
     [(1e8, 1, 100010000, 1), (1e5, 2, 100096, 2), (1e5, 2, 100096, 2 * NEAR), (1e6, 1, 20, 3), (21, 3, 22, 3)]),
    ("DIVERGENCE", "BETA", 0, lambda a, b, c, d: dirichlet_divergence((a, b), (c, d)),
     [(1e8, 1e8, 100010000, 1e8), (1e5, 3, 100096, 3), (1e5, 2e5, 100096, 2e5), (21, 30, 21.5, 30)]),
    ("DIVERGENCE", "BERNOULLI", 0, bernoulli_divergence, [(0.25, 0.25 * NEAR), (0.75, 0.25)]),
    ("DIVERGENCE", "BINOMIAL", 1, lambda n, p, m, q: n * bernoulli_divergence(p, q), [(1e5, 0.25, 1e5, 0.25 * NEAR)]),
    ("DIVERGENCE", "POISSON", 0, lambda a, b: a * ln(a / b) + b - a, [(1e5, 100096), (3, 3 * NEAR), (1e5, 3)]),
    ("DIVERGENCE", "CATEGORICAL", 0, lambda *v: categorical_divergence(v[:3], v[3:]), [(0.5, -1, 2, 0.5, -1 + 2.0 ** -8, 2), (0, 1, 2, 9, -9, 0)]),
    ("DIVERGENCE", "DIRICHLET", 0, lambda *v: dirichlet_divergence(v[:3], v[3:]),
     [(1e8, 1e8, 3, 100010000, 1e8, 3), (1e5, 1e5, 2e5, 100096, 1e5, 2e5), (1e5, 0.25, 40, 100096, 0.5, 40)]),
    ("DIVERGENCE", "MULTI_NORMAL", 0, lambda m, s, n, t: ((s / t) ** 2 - 1 + ((m - n) / t) ** 2) / 2 - ln(s / t), [(1, 1, NEAR, NEARER)]),
]


def value_and_slopes(f, v, held):
    found = [f(*v)]
    for i, x in enumerate(v):
        h = mpmath.mpf(10) ** -20 * (abs(x) or 1)
        moved = lambda s: f(*v[:i], x + s, *v[i + 1:])
        found.append(math.nan if i in held else mpmath.chop((moved(h) - moved(-h)) / (2 * h), 1e-30))
    return found


def conditioned(f, v, held):
    """The value and its slopes, each with how far it moves by a rounding of the arguments, over the size of that."""
    v, small = [mpmath.mpf(x) for x in v], mpmath.mpf(10) ** -12
    exact = value_and_slopes(f, v, held)
    moves = [mpmath.mpf(0)] * len(exact)
    for i, x in enumerate(v):
        if i in held or x == 0:
            continue
        near = value_and_slopes(f, v[:i] + [x * (1 + small)] + v[i + 1:], held)
        moves = [m + abs(y - z) / small for m, y, z in zip(moves, exact, near)]
    return [w for pair in zip(exact, moves) for w in pair]


def large():
    """A row for each: six arguments; the value and six slopes, each with its movement. NaN: not there."""
    rows, families, quantities = [], [], []
    for quantity, family, whole, f, points in LARGE:
        for v in points:
            held = {0, 2} if family == "BINOMIAL" and quantity == "DIVERGENCE" else set(range(whole))
            found = conditioned(f, v, held)
            rows += list(v) + [math.nan] * (6 - len(v)) + found + [math.nan] * (14 - len(found))
            families.append("AG_DIST_" + family), quantities.append({"LOG_P": 0, "ENTROPY": 2, "DIVERGENCE": 5}[quantity])
    out.append(f"static const int large_families[] = {{{', '.join(families)}}};")
    out.append(f"static const int large_quantities[] = {{{', '.join(map(str, quantities))}}};")
    put("large_rows", rows)


def poisson():
    """x, the target, whether x is a rate; the loss in full and its slope by x, each with its movement."""
    rows = []
    for t in (2, 5, 17, 1000, 1e5, 1e8):
        full = t * ln(mpmath.mpf(t)) - t + ln(2 * mpmath.pi * t) / 2
        for rates, xs in ((0, (math.log(t), math.log(t) + 2.0 ** -7, 1)), (1, (t, t * NEAR, 1))):
            for x in xs:
                x = float(torch.tensor(x, dtype=torch.float32))
                f = (lambda x: x - t * ln(x + mpmath.mpf(1e-8)) + full) if rates else (lambda x: mpmath.exp(x) - t * x + full)
                rows += [x, t, rates] + conditioned(f, [x], set())
    put("poisson_rows", rows)


def write(name, by):
    path = pathlib.Path(__file__).parent / f"golden/{name}.h"
    guard = f"TESTS_GOLDEN_{name.upper()}_H"
    path.write_text(f"/* Written by tests/golden_distributions.py with {by}: do not edit. */\n#ifndef {guard}\n#define {guard}\n\n"
                    "#include <math.h>\n#include <stdint.h>\n\n" + "\n".join(out) + "\n\n#endif\n")
    out.clear()


gamma_slopes(), write("draws", f"mpmath {mpmath.__version__}")
large(), write("large", f"mpmath {mpmath.__version__}")
poisson(), write("poisson", f"mpmath {mpmath.__version__}")
moments(), divergences(), vectors(), write("distributions", f"SciPy {scipy.__version__} and PyTorch {torch.__version__}")
