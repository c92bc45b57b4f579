"""Every public macro compiles without a warning, in the user's language: check_macros.py STANDARD COMPILER [OPTION...]

A program is made from the public headers: each macro that notes the caller's place stands in a function with the parameters
of the function it is named after, and each other macro stands alone. It is compiled with the warnings that a strict user
has. A second one, which needs no library, is run: it looks at what the macros for shapes and axes write. A compiler that
does not know the standard is skipped."""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = (ROOT / "meson.build").read_text(encoding="utf-8")
HEADERS = re.findall(r"'([\w/]+\.h)'", re.search(r"^public_headers = \{(.*?)^\}", BUILD, flags=re.M | re.S).group(1))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Wshadow"]
CPP_WARNINGS = ["-Wold-style-cast", "-Wconversion", "-Wsign-conversion", "-Wnon-virtual-dtor", "-Wcast-qual"]

# How macros are used that are no functions; every one with arguments has a line here.
EXAMPLES = {
    "AG_SHAPE": """
        ag_shape some_shape(int i, size_t z, int64_t n) {
            ag_shape s = AG_SHAPE(2, 3);
            if (i > 7) s = AG_SHAPE(n, z);
            if (i > 5) return s;
            s = i ? AG_SHAPE(i, n + 1) : AG_SHAPE(n, 2 * n, AG_F64);
            return i < 0 ? s : AG_SHAPE(1, 2, 3, 4, 5, 6, 7, n);
        }
        ag_tensor *a_shape_among_arguments(ag_tape *tape, int n) {
            return ag_add(ag_zeros(tape, AG_F32, AG_SHAPE(n, 1)), ag_ones(tape, AG_F32, AG_SCALAR));
        }""",
    "AG_AXES": """
        ag_tensor *some_axes(ag_tensor *x, int i) {
            ag_axes axes = i ? AG_AXES(0, -1) : AG_ALL_AXES;
            return ag_sum_over(ag_max_over(x, AG_AXES(i), true), axes, false);
        }""",
}
RUN = """
#include <autograd/autograd.h>
int main(void) {
    int64_t n = 7;
    int i = -1;
    ag_shape shape = AG_SHAPE(2, n + 1, i), scalar = AG_SCALAR, full = AG_SHAPE(1, 2, 3, 4, 5, 6, 7, 8);
    ag_axes axes = AG_AXES(0, i), all = AG_ALL_AXES;
    if (shape.rank != 3 || shape.extent[0] != 2 || shape.extent[1] != 8 || shape.extent[2] != -1) return 1;
    if (shape.extent[3] != 0 || shape.extent[AG_MAX_RANK - 1] != 0) return 2;
    if (scalar.rank != 0 || full.rank != AG_MAX_RANK || full.extent[AG_MAX_RANK - 1] != 8) return 3;
    if (axes.count != 2 || axes.axis[0] != 0 || axes.axis[1] != -1 || axes.axis[2] != 0) return 4;
    return all.count == -1 ? 0 : 5;
}
"""


def declarations(text):
    """Of each public function, by its name, the parameters as they are written."""
    found = {}
    for declaration in re.findall(r"^AG_API ([^;]*);", text, flags=re.M):
        match = re.search(r"\b(ag_\w+)\s*\((.*)\)", " ".join(declaration.split()))
        found[match.group(1)] = match.group(2)
    return found


def call(name, parameters):
    names = [re.search(r"(\w+)(\[\])?$", p.strip()).group(1) for p in parameters.split(",")]
    return f"void use_{name}({parameters}) {{ {name}({', '.join(names)}); }}"


def program():
    text = "".join((ROOT / header).read_text(encoding="utf-8") for header in HEADERS)
    functions = declarations(text)
    guards = set(re.findall(r"^#ifndef (\w+_H)$", text, flags=re.M))
    lines = [f"#include <{header}>" for header in HEADERS if not header.startswith("ops/")]
    macros = dict(re.findall(r"^#define (\w+)(\(?)", text, flags=re.M))
    for name, takes in macros.items():
        if name in functions:
            lines.append(call(name, functions[name]))
        elif takes:
            lines.append(EXAMPLES[name])
        elif name not in guards | {"AG_API", "AG_LINKAGE"}:
            lines.append(f"void use_{name}(void) {{ (void)({name}); }}")
    return "\n".join(lines) + "\n", len(macros)


def namesakes(folder):
    """A program's own headers, found first, of the names that the library's have in ops/: no matter to autograd.h."""
    (folder / "ops").mkdir()
    for header in HEADERS:
        if header.startswith("ops/"):
            (folder / header).write_text(f"#error {header} of the program\n", encoding="utf-8")


def main():
    standard, compiler, *options = sys.argv[1:]
    cpp = "++" in standard
    command = [compiler, *options, "-x", "c++" if cpp else "c", f"-std={standard}"]
    command += WARNINGS + (CPP_WARNINGS if cpp else [])
    with tempfile.TemporaryDirectory() as folder:
        command += ["-I", folder, "-I", str(ROOT)]
        namesakes(pathlib.Path(folder))
        source, binary = pathlib.Path(folder, "use.c"), pathlib.Path(folder, "use")
        source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
        if subprocess.run([*command, source, "-o", binary], capture_output=True).returncode:
            print(f"{compiler} does not know {standard}")
            return 77
        text, count = program()
        source.write_text(text, encoding="utf-8")
        if subprocess.run([*command, "-c", source, "-o", binary]).returncode:
            return 1
        source.write_text(RUN, encoding="utf-8")
        if subprocess.run([*command, source, "-o", binary]).returncode:
            return 1
        wrong = subprocess.run([binary]).returncode
        print(f"{count} macros as {standard}" + (f", of which some write something else: {wrong}" if wrong else ""))
        return 1 if wrong else 0


sys.exit(main())
