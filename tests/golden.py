#!/usr/bin/env python3
"""golden -- the results of NumPy and PyTorch for the cases, family by family

    test_ops --list | python3 tests/golden.py FAMILY > tests/golden/ops_FAMILY.h

Reads each case with its inputs, and writes outputs for every dtype and, where a case has a gradient, the f64
gradients of sum(y * cotangent) by PyTorch's autograd. The calls are in golden_FAMILY.py; a case that no family names is
PyTorch's function of its own name, and belongs to the family "basic". Needs PyTorch 1.13 or newer, but only to make the file anew."""
import importlib
import sys

import numpy as np
import torch

FAMILIES = ["activation", "basic", "linalg", "random", "reduce", "shape", "special"]
CALLS = {family: importlib.import_module("golden_" + family).CALLS for family in FAMILIES}

DTYPES = {"f64": torch.float64, "f32": torch.float32, "i64": torch.int64, "bool": torch.bool}
NAMES = {dtype: "AG_" + name.upper() for name, dtype in DTYPES.items()}


def number(v):
    if v != v:
        return "NAN"
    if v in (float("inf"), float("-inf")):
        return "INFINITY" if v > 0 else "-INFINITY"
    if v == int(v) and abs(v) < 10000:
        return "-0.0" if v == 0 and str(v)[0] == "-" else str(int(v))
    text = float(v).hex()  # 0x1.8000000000000p+1
    mantissa, exponent = text.split("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + "p" + exponent.lstrip("+")


def numbers(values):
    text, line = "", "    "
    for item in [number(v) + "," for v in values]:
        if len(line) + len(item) > 118:
            text += line.rstrip() + "\n"
            line = "    "
        line += item + " "
    return text + line.rstrip() + "\n"


def read_cases(lines):
    case = None
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if fields[0] == "case":
            if case:
                yield case
            case = {"name": fields[1], "variant": fields[2], "dtype": fields[3], "grad": fields[4] == "1",
                    "checksum": fields[5], "x": []}
        elif fields[0] == "x":
            dtype = DTYPES[fields[1]]
            shape = [int(n) for n in fields[2].split(",")] if fields[2] else []
            values = [float.fromhex(v) for v in fields[3].split()]
            x = torch.tensor(values, dtype=torch.float64).reshape(shape)
            case["x"].append(x.to(dtype))
    if case:
        yield case


def family_of(name):
    return next((family for family in FAMILIES if name in CALLS[family]), "basic")


def call_of(name):
    call = CALLS[family_of(name)].get(name) or getattr(torch, name, None)
    if not call:
        sys.exit("PyTorch has no %s: a family must say what it is, or the case that nothing has it" % name)
    return call


def outputs(case):
    """The output, and the gradients of the inputs of the case's own real dtype."""
    call, x, own = call_of(case["name"]), case["x"], DTYPES[case["dtype"]]
    if not x:
        return call(own), []
    y = call(*x)
    if not case["grad"]:
        return y, []
    x = [v.clone().requires_grad_(v.dtype == own) for v in x]
    by = call(*x)
    w = torch.tensor([((j * 7 + 3) % 11 - 5) / 4 + 0.125 for j in range(by.numel())], dtype=torch.float64)
    loss = (by.double() * w.reshape(by.shape)).sum()
    leaves = [v for v in x if v.requires_grad]
    if not loss.requires_grad:
        return y, [torch.zeros_like(v) for v in leaves]
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return y, [torch.zeros_like(v) if g is None else g for v, g in zip(leaves, found)]


def main(family):
    torch.set_num_threads(1)
    out = sys.stdout
    out.write("/* golden/ops_%s -- what NumPy %s and PyTorch %s make of the cases; made by golden.py, not to be edited\n *\n"
              " * A case is its outputs, then the gradients of its real inputs, one after the other. */\n\n"
              % (family, np.__version__, torch.__version__.split("+")[0]))
    table, values = [], []
    for case in read_cases(sys.stdin):
        if family_of(case["name"]) != family:
            continue
        y, dx = outputs(case)
        start = len(values)
        values += [float(v) for v in y.flatten().tolist()]
        middle = len(values)
        for g in dx:
            values += g.flatten().tolist()
        shape = "{%d, {%s}}" % (y.dim(), ", ".join(str(n) for n in y.shape) or "0")
        table.append('    {"%s", "%s", AG_%s, 0x%su, %s, %s, %d, %d, %d},\n' % (
            case["name"], case["variant"], case["dtype"].upper(), case["checksum"], NAMES[y.dtype], shape, start,
            middle - start, len(values) - middle))
    out.write("static const double golden_values_%s[] = {\n" % family + numbers(values + [0]) + "};\n\n")
    out.write("static const golden_case golden_cases_%s[] = {\n" % family + "".join(table) + "    {.name = NULL},\n};\n")


if len(sys.argv) != 2 or sys.argv[1] not in FAMILIES:
    sys.exit("usage: golden.py %s" % "|".join(FAMILIES))
main(sys.argv[1])
