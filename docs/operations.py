"""Makes docs/operations.md of the public headers' comments: operations.py [--check]; --peers reads the names of NumPy, SciPy and PyTorch anew

A row is a function that records tensors: what it computes, its gradient, and the names under which NumPy, SciPy, PyTorch, JAX, ggml and
kann have it. A name is shown where the peer has it (docs/peers.txt) and the Source of the comment gives it, or one of the customary
spellings. --check says whether the page is what this makes of the headers. It needs nothing but Python."""

import argparse
import collections
import importlib
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE, NAMES = HERE / "operations.md", HERE / "peers.txt"
sys.path.insert(0, str(HERE))
import reference  # noqa: E402

# The names of a peer are looked up in these of its modules, in this order.
PEERS = {
    "NumPy, SciPy": ["numpy", "numpy.linalg", "numpy.fft", "scipy.special", "scipy.linalg"],
    "PyTorch": ["torch", "torch.nn.functional", "torch.linalg", "torch.special", "torch.fft", "torch.nn", "torch.distributions"],
    "JAX": ["jax.numpy", "jax.nn", "jax.numpy.linalg", "jax.numpy.fft", "jax.scipy.special", "jax.scipy.linalg", "jax.random", "jax.lax"],
    "ggml": ["ggml", "ggml without gradient"],
    "kann": ["kann"],
}

# Other spellings of a function's name, without ag_.
SPELLINGS = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "mul": "multiply mul_mat", "sub": "subtract", "div": "divide true_divide", "neg": "negative", "pow": "power",
    "clamp": "clip", "concat": "concatenate cat", "permute": "transpose", "expand_as": "broadcast_to", "lgamma": "gammaln",
    "lbeta": "betaln", "digamma": "psi", "sigmoid": "expit sigm", "logsigmoid": "log_sigmoid", "softsign": "soft_sign",
    "hardtanh": "hard_tanh", "hardsigmoid": "hard_sigmoid hardsigmoid", "hardswish": "hard_swish", "var": "var", "gather": "take_along_axis get_rows",
    "take_along_axis": "gather", "index_select": "take get_rows", "matmul": "mul_mat", "scale": "multiply scale", "solve_triangular": "triangular_solve",
    "inverse": "inv", "det": "det", "cholesky": "cholesky", "repeat_interleave": "repeat", "tile": "repeat", "chunk": "array_split",
    "movedim": "moveaxis", "transpose": "swapaxes", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "equal": "eq",
    "not_equal": "ne", "square": "sqr", "sign": "sgn", "mean": "avg", "unsqueeze": "expand_dims", "cross_entropy": "cross_entropy_loss ce_softmax",
    "conv2d": "im2col", "max_pool2d": "pool_2d max2d", "conv1d": "im2col", "layer_norm": "norm", "rms_norm": "rms_norm", "contiguous": "cont", "broadcast_to": "repeat", "dropout": "dropout",
    "log10": "log10", "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift", "matrix_exp": "expm", "logaddexp": "logaddexp",
    "binary_cross_entropy_with_logits": "ce_sigm", "slice": "view split", "softmax": "soft_max", "stack": "stack", "rope": "rope", "rotary": "rope",
    "interpolate": "upscale", "polygamma": "polygamma", "round": "rint around", "rdiv_scalar": "reciprocal", "surprisal": "nll_loss",
}


def peers():
    """The names of each module."""
    modules = collections.OrderedDict()
    for line in NAMES.read_text().splitlines():
        if line.startswith("["):
            module = modules.setdefault(line.strip("[]"), set())
        elif line and not line.startswith("#"):
            module |= set(line.split())
    return modules


def read_peers():
    """The file, with the names of the installed modules read anew."""
    modules, text = peers(), NAMES.read_text()
    opening = text[: text.index("[")]
    for name in PEERS["NumPy, SciPy"] + PEERS["PyTorch"]:
        module = importlib.import_module(name)
        modules[name] = {n for n in dir(module) if not n.startswith("_") and callable(getattr(module, n))}
    out = [opening.rstrip("\n")]
    for name, names in modules.items():
        out += ["", f"[{name}]"] + reference.textwrap.wrap(" ".join(sorted(names)), 118)
    NAMES.write_text("\n".join(out) + "\n")


def spellings(entry):
    own = entry.name.removeprefix("ag_")
    short = re.sub(r"_(over|scalar|all|at|axes|axis|with|of)$", "", own)
    names = [own, *SPELLINGS.get(own, "").split(), short, *SPELLINGS.get(short, "").split()]
    return list(dict.fromkeys(names))


def found_in(entry, modules, known):
    """The name under which one of the modules has the function, as it is written there."""
    source = entry.tags.get("Source", "")
    for module in modules:
        for name in re.findall(re.escape(module) + r"\.(\w+)", source):
            if name in known[module]:
                return module, name
    for name in spellings(entry):
        for module in modules:
            if name in known[module]:
                return module, name
    return None


def shown(found):
    if not found:
        return "—"
    module, name = found
    if module == "ggml without gradient":
        return f"`{name}` (no gradient)"
    if module in ("ggml", "kann"):
        return f"`{name}`"
    short = {"torch.nn.functional": "F", "numpy": "np", "jax.numpy": "jnp", "jax.scipy.special": "jax.scipy.special", "scipy.special": "special"}
    return f"`{short.get(module, module)}.{name}`"


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ").strip() or "—"


def is_operation(entry):
    return entry.kind == "function" and re.search(r"ag_tensor \*\s*%s\(" % entry.name, entry.code) is not None


def page():
    headers = sorted((ROOT / "ops").glob("*.h")) + sorted((ROOT / "nn").glob("*.h"))
    listed = reference.Reference([h for h in headers if "AG_API" in h.read_text(encoding="utf-8")], ROOT)
    known, used = peers(), set()
    out, counts = [], collections.Counter()
    for family in listed.families:
        entries = [e for e in family.entries if is_operation(e)]
        if not entries:
            continue
        out += ["", f"## {family.title[0].upper() + family.title[1:]}", "", f"`{family.header}`", "",
                "| | computes | gradient | " + " | ".join(PEERS) + " |", "|---|---|---|" + "---|" * len(PEERS)]
        for e in entries:
            names = [found_in(e, modules, known) for modules in PEERS.values()]
            used |= {n[1] for n in names if n}
            counts["all"] += 1
            for peer, name in zip(PEERS, names):
                counts[peer] += bool(name) and name[0] != "ggml without gradient"
            out.append(f"| `{e.name}` | {cell(e.summary)} | {cell(e.tags.get('Grad', ''))} | " + " | ".join(map(shown, names)) + " |")
    return out, counts, sorted(known["jax.numpy"] - used)


def text():
    rows, counts, missing = page()
    head = [
        "# Operations",
        "",
        "Every function that records a tensor, with its gradient, and what NumPy and SciPy, PyTorch, JAX, ggml and kann call it. This page is",
        "made of the headers by `docs/operations.py`; the peers' names are in `docs/peers.txt`, with where they are from. A dash says that no",
        "function of that name is there: often it can be composed. `np` is NumPy, `F` torch.nn.functional, `jnp` jax.numpy.",
        "",
        f"{counts['all']} functions; " + ", ".join(f"{peer} {counts[peer]}" for peer in PEERS) + " (ggml and kann: those with a gradient).",
    ]
    tail = ["", "## What NumPy's interface in JAX has beyond that", "",
            "Names of `jax.numpy` that no row above has. Many are not for tensors of numbers with gradients (dtypes, text, files, sets, polynomials),",
            "or are a line of composition; complex numbers are not here.", "",
            ", ".join(f"`{name}`" for name in missing) + "."]
    return "\n".join(head + rows + tail) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--peers", action="store_true")
    args = parser.parse_args()
    if args.peers:
        read_peers()
    made = text()
    if args.check:
        if PAGE.read_text(encoding="utf-8") != made:
            sys.exit("docs/operations.md is not what docs/operations.py makes of the headers: run ./dev docs")
        return
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
