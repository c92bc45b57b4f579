"""The guide "PyTorch to this": both sides of each row of its tables, compared: pytorch.py HEADERS LIBRARY COMPILER...

Ours are compiled and run always, and must record no error; they are compared where there is PyTorch. LIBRARY is the shared one."""

import pathlib
import re
import sys

import programs

GUIDE = pathlib.Path(__file__).resolve().parent.parent / "docs/guides/pytorch.md"

SHOW = """
#include <io/io.h>
#include <nn/nn.h>
#include <stdio.h>
static void show(int row, ag_tensor *x) {
    printf("%d %d", row, ag_rank(x));
    for (int axis = 0; axis < ag_rank(x); axis++) printf(" %d", (int)ag_extent(x, axis));
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.17g", ag_element(x, i));
    printf("%s\\n", ag_tape_error(ag_tape_of(x)));
}
"""


def split(cell):
    """Statements, and the value."""
    *statements, value = cell.split("; ")
    return "".join(statement + "; " for statement in statements), value


def rows(text):
    return re.findall(r"^\| `([^`]*)` \| `([^`]*)` \|$", text, flags=re.M)


def ours(text, table, arguments):
    prelude = re.search(r"```c\n(.*?)```", text, flags=re.S)[1]
    calls = "".join("{ %s show(%d, %s); }\n" % (split(c)[0], number, split(c)[1]) for number, (_, c) in enumerate(table))
    program = f"{SHOW}int main(void) {{\n{prelude}(void)w, (void)labels;\n{calls}ag_tape_free(tape);\n}}\n"
    headers, library, *compiler = arguments
    library = pathlib.Path(library).resolve()
    output, fault = programs.printed(program, pathlib.Path(headers).resolve(), [library, f"-Wl,-rpath,{library.parent}"], compiler)
    if fault:
        sys.exit(fault)
    return output.splitlines()


def theirs(text, table):
    try:
        import torch  # noqa: F401
    except ImportError:
        return None
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, flags=re.S)[1], names)
    values = []
    for python, _ in table:
        own = dict(names)
        statements, value = split(python)
        exec(statements, own)
        values.append(eval(value, own))
    return values


def main():
    text = GUIDE.read_text(encoding="utf-8")
    table, failures = rows(text), 0
    count = len(re.findall(r"^\| (?!PyTorch)", text, flags=re.M))
    if count != len(table) or count < 60:
        sys.exit(f"{count} rows, of which {len(table)} have the form of a row")
    lines, values = ours(text, table, sys.argv[1:]), theirs(text, table)
    if len(lines) != len(table):
        sys.exit(f"{len(lines)} values of {len(table)} rows")
    for number, ((python, c), line) in enumerate(zip(table, lines)):
        row, rank, *rest = line.split()
        try:
            shape, elements = [int(x) for x in rest[: int(rank)]], [float(x) for x in rest[int(rank) :]]
        except ValueError:
            print(f"{c}: {line}")
            failures += 1
            continue
        if values is not None:
            want = values[number].detach()
            near = len(elements) == want.numel() and all(abs(x - y) <= 1e-9 * max(1, abs(y)) for x, y in zip(elements, want.double().flatten().tolist()))
            squeezed = [n for n in shape if n != 1], [n for n in want.shape if n != 1]
            if not near or (squeezed[0] != squeezed[1] and "jacobian" not in python):
                print(f"{python} is {want}, and {c} is {shape}: {elements}")
                failures += 1
    print(f"{len(table)} rows, {failures} with faults" + ("" if values is not None else "; there is no PyTorch to compare with"))
    sys.exit(failures > 0)


main()
