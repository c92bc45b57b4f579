"""Does what docs/adding-an-op.md says, in a copy of the tree: test_adding.py COMPILER...

The page's own operation stands in examples/softplus.c as shown, and works with a kernel too. Another one joins the library.

Each block of the page that is introduced by "in `FILE`, behind `TEXT`:" is inserted in that file behind the line with that
text, and what the page says follows from it is looked for. Then its derivative is made wrong, and its formula, and
tests must fail."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = "docs/adding-an-op.md"
TARGETS = ["examples/softplus", "tests/test_ops", "tests/test_functions", "tests/test_random", "examples/explain/ag-explain"]


def blocks(page):
    """(file, text that the line before has, what is inserted), in the order of the page."""
    section = page[page.index("## Into the library"):]
    pieces = re.split(r"^```\w*\n", section, flags=re.M)
    found = []
    for text, block in zip(pieces[::2], pieces[1::2]):
        places = re.findall(r"`([\w/.]+)`,\s+behind\s+`([^`]+)`", text)
        if not places:
            sys.exit(f"{PAGE} does not say where this belongs:\n{block}")
        found.append((*places[-1], block))
    return found


def walk(page, program):
    """What the first part of the page shows stands in its program; but for a kernel, which is returned."""
    parts = page[: page.index("## Other kinds")].split("\n## ")
    shown = [block for part in parts[1:5] for block in re.findall(r"^```c\n(.*?)^```", part, flags=re.S | re.M)]
    kernel = shown.pop(1)
    for block in shown:
        if block not in program:
            sys.exit(f"examples/softplus.c has not what {PAGE} shows of it:\n{block}")
    return kernel


def with_kernel(program, kernel):
    """The program with a kernel in place of its formula."""
    program, formulas = re.subn(r'^#include "examples/softplus_formula.h"\n', "#include <math.h>\n", program, flags=re.M)
    program, entries = re.subn(r"AG_FORMULA\(softplus\)", ".block = {[AG_F64] = softplus_f64}", program)
    program, places = re.subn(r"^#include <stdio.h>\n", lambda found: f"{found.group()}\n{kernel}", program, flags=re.M)
    if (formulas, entries, places) != (1, 1, 1):
        sys.exit("examples/softplus.c has another formula than it had")
    return program


def insert(tree, file, behind, text):
    path = tree / file
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at = [i for i, line in enumerate(lines) if behind in line]
    if len(at) != 1:
        sys.exit(f"{PAGE}: {len(at)} lines of {file} have {behind!r}")
    lines.insert(at[0] + 1, text)
    path.write_text("".join(lines), encoding="utf-8")


def run(command, cwd, **environment):
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace")
    return done.returncode, done.stdout


def expect(command, cwd, **environment):
    status, output = run(command, cwd, **environment)
    if status != 0:
        sys.exit(f"{shlex.join(map(str, command))} failed:\n{output[-6000:]}")
    return output


def contains(what, output, pattern):
    if not re.search(pattern, output):
        sys.exit(f"{what} has no {pattern!r}:\n{output[-3000:]}")


def not_source(folder, names):
    """What a copy of the tree can do without: build folders, wherever they are, and what tools leave."""
    return [name for name in names if name in (".git", "build", "__pycache__") or pathlib.Path(folder, name, "meson-private").exists()]


class Scratch:
    def __init__(self, folder, compiler):
        self.tree, self.build = folder / "tree", folder / "build"
        shutil.copytree(ROOT, self.tree, ignore=not_source)
        self.meson = shlex.split(os.environ.get("MESONINTROSPECT", "meson introspect"))[:-1]
        self.compiler = compiler

    def make(self):
        if not self.build.exists():
            options = ["-Dbuildtype=plain", "-Doptimization=1", "-Dtests=enabled", "-Dexamples=enabled", "-Dwerror=true"]
            expect([*self.meson, "setup", self.build, *options], self.tree, CC=shlex.join(self.compiler))
        expect(["ninja", "-j2", *TARGETS], self.build)

    def tests(self, name):
        cases, case_output = run(["tests/test_ops", "--only", name], self.build)
        sweep, sweep_output = run(["tests/test_functions"], self.build, AG_TEST_SMALL="1")
        return cases or sweep, case_output + sweep_output


def fails_when(scratch, name, file, right, wrong, pattern):
    path = scratch.tree / file
    text = path.read_text(encoding="utf-8")
    if text.count(right) != 1:
        sys.exit(f"{file} has {right!r} {text.count(right)} times")
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    scratch.make()
    status, output = scratch.tests(name)
    if status == 0:
        sys.exit(f"with {wrong!r} for {right!r} in {file} the tests of {name} pass")
    contains("the failed tests", output, pattern)
    path.write_text(text, encoding="utf-8")


def main():
    page, softplus = (ROOT / PAGE).read_text(encoding="utf-8"), (ROOT / "examples/softplus.c").read_text(encoding="utf-8")
    text = (ROOT / "examples/softplus_formula.h").read_text(encoding="utf-8").replace('"examples/', '"')
    added, kernel = blocks(page), walk(page, softplus + text)
    name = re.search(r"X\(UNARY, (\w+)\)", "".join(text for _, _, text in added)).group(1)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Scratch(pathlib.Path(folder), sys.argv[1:])
        for file, behind, text in added:
            insert(scratch.tree, file, behind, text)
        (scratch.tree / "examples/softplus.c").write_text(with_kernel(softplus, kernel), encoding="utf-8")
        scratch.make()
        expect([sys.executable, "tests/check_tree.py"], scratch.tree)
        contains("softplus with a kernel", expect(["examples/softplus"], scratch.build), r"agrees with finite differences")
        status, output = scratch.tests(name)
        if status != 0:
            sys.exit(output[-6000:])
        contains("test_ops", output, r"100%: Checks: [5-9]\d")
        contains("a random program", expect(["tests/test_random", "--programs", "600", "--print"], scratch.build), rf"= ag_{name}\(")
        explain = scratch.build / "examples/explain/ag-explain"
        contains("--functions", expect([explain, "--functions"], scratch.build), rf"(?m)^{name} +x$")
        contains("ag-explain", expect([explain, f"{name}(x)", "x:0.5", "--of", "x"], scratch.build), r"== check\npassed")
        slope = "ag_mul(ag_rsub_scalar(1, x), ag_add_scalar(x, 1))"
        fails_when(scratch, name, "ops/unary.c", slope, slope.replace("(1, x)", "(2, x)"),
                   r"gradients_equal_finite_differences_at_both_orders")
        fails_when(scratch, name, "ops/unary.c", slope, "ag_rsub_scalar(1, ag_square(x))", r"slopes_of_f32_are_near")
        fails_when(scratch, name, "ops/unary_formulas.h", "ABS(x), y = MUL(K(0.5)", "ABS(x), y = MUL(K(0.500001)",
                   r"functions_are_exact_over_their_range")
    lines = sum(text.count("\n") for file, _, text in added if file.startswith("ops/"))
    print(f"{name}: {lines} lines in {len({file for file, _, _ in added if file.startswith('ops/')})} files of ops/")


main()
