"""Makes the list of functions in autograd.hpp from the public headers: hpp.py AUTOGRAD_HPP HEADER...

The build runs this whenever a header has changed. A C function becomes a function of the namespace ag if it returns a tensor and
takes tensors, numbers, axes and shapes alone; a last parameter `keepdims` is false unless given. The others are written by hand in
autograd.hpp, or called as in C."""

import pathlib
import re
import sys

BEGIN, END = "// ---- Made by autograd/hpp.py from the C headers ----\n", "// ---- End of what is made ----\n"
TYPES = {
    "ag_tensor *": ("const operand &", "{}.get()"),
    "ag_axes": ("const axes &", "{}"),
    "ag_shape": ("const shape &", "{}"),
    "ag_dtype": ("dtype", "{}"),
    "bool": ("bool", "{}"),
    "double": ("double", "{}"),
    "int": ("int", "{}"),
    "int64_t": ("int64_t", "{}"),
}
WORDS = set("and and_eq bitand bitor compl not not_eq or or_eq xor xor_eq".split())  # C++ has these as operators
NOT_TYPES = {"shape": "extents", "axes": "over", "dtype": "to"}  # parameters that would hide a type
BY_HAND = {"ag_gradient", "ag_label", "ag_keep", "ag_located", "ag_apply", "ag_zero_vjp", "ag_variable_from", "ag_parameter_from"}


def parsed(declaration):
    """The name and the parameters (type, name) of a function that is made, or None."""
    match = re.fullmatch(r"ag_tensor \*(ag_\w+)\((.*)\)", " ".join(declaration.split()))
    if not match or match.group(1) in BY_HAND:
        return None
    parameters = [re.fullmatch(r"(.*?[ *])(\w+)", p).groups() for p in match.group(2).split(", ") if re.fullmatch(r"(.*?[ *])(\w+)", p)]
    parameters = [(kind.strip(), NOT_TYPES.get(name, name)) for kind, name in parameters]
    known = len(parameters) == match.group(2).count(", ") + 1 and all(kind in TYPES for kind, _ in parameters)
    return (match.group(1), parameters) if known and any("*" in kind for kind, _ in parameters) else None


def made(name, parameters):
    short = name.removeprefix("ag_")
    short += "_" if short in WORDS else ""
    first = next(n for kind, n in parameters if "*" in kind)
    given = [TYPES[kind][0] + ("" if TYPES[kind][0].endswith("&") else " ") + n for kind, n in parameters]
    if parameters[-1][1] == "keepdims":
        given[-1] += " = false"
    passed = [TYPES[kind][1].format(n) for kind, n in parameters]
    head = f"inline tensor {short}({', '.join(given)}) {{"
    body = f"return detail::made(({name})({', '.join(passed)}), {first});"
    line = f"{head} {body} }}\n"
    return line if len(line) <= 120 else f"{head}\n    {body}\n}}\n"


def functions(texts):
    for text in texts:
        for declaration in re.findall(r"^AG_API ([^;]*);", text, flags=re.M):
            function = parsed(declaration)
            if function:
                yield made(*function)


def completed(text, texts):
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + "".join(functions(texts)) + "\n" + END + rest.split(END)[1]


def main():
    target, *headers = map(pathlib.Path, sys.argv[1:])
    headers.sort(key=lambda path: path.parts[-2:])
    had = target.read_text(encoding="utf-8")
    text = completed(had, [header.read_text(encoding="utf-8") for header in headers])
    if text != had:
        part = target.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(target)


if __name__ == "__main__":
    main()
