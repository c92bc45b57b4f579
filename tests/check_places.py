"""Every function that can fail says where it was called: check_places.py LIBRARY COMPILER...

LIBRARY is the shared one. A program calls each function that is also a macro, with NULL and zeros, on a line of its own; the error that it
then finds must name that line. The few that take all of this are listed."""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FAMILIES = ["autograd", "ops", "nn", "io"]
CONTENT = {"ag_tape_free", "ag_tape_trim", "ag_eval_all", "ag_run_log_close"}  # which accept them

PROGRAM = """
#include <io/io.h>
#include <nn/nn.h>
#include <stdio.h>
#include <string.h>
static void look(const char *name, int line) {
    char place[32];
    snprintf(place, sizeof place, "[use.c:%d]", line);
    if (*ag_tape_error(NULL) == 0) printf("%s fails not\\n", name);
    else if (!strstr(ag_tape_error(NULL), place)) printf("%s: not in line %d: %s\\n", name, line, ag_tape_error(NULL));
    ag_clear_error(NULL);
}
int main(void) {
"""


def argument(parameter):
    """Zero, as a parameter's type has it; a function is a pointer."""
    if re.search(r"[*\[(]", parameter) or re.match(r"ag_(function|c_value)\b", parameter):
        return "NULL"
    kind = re.sub(r"^const |\s*\w+$", "", parameter)
    return f"({kind}){{0}}"


def calls():
    texts = [path.read_text(encoding="utf-8") for family in FAMILIES for path in sorted((ROOT / family).glob("*.h"))]
    named = {name for text in texts for name in re.findall(r"^#define (ag_\w+)\(\.\.\.\)", text, flags=re.M)}
    for declaration in (one for text in texts for one in re.findall(r"^AG_API ([^;]*);", text, flags=re.M)):
        name, parameters = re.search(r"\b(ag_\w+)\s*\((.*)\)", " ".join(declaration.split())).groups()
        if name in named:
            given = [argument(p.strip()) for p in re.split(r",(?![^()]*\))", parameters)]
            yield name, f'    (void){name}({", ".join(given)}); look("{name}", __LINE__);\n'


def main():
    library, *compiler = sys.argv[1:]
    library = pathlib.Path(library).resolve()
    lines = dict(calls())
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "use.c").write_text(PROGRAM + "".join(lines.values()) + "}\n", encoding="utf-8")
        command = [*compiler, "-std=c17", "-w", "-I", ROOT, "use.c", "-o", "use", library, f"-Wl,-rpath,{library.parent}"]
        subprocess.run(command, cwd=folder, check=True)
        found = subprocess.run(["./use"], cwd=folder, check=True, capture_output=True, encoding="utf-8").stdout.splitlines()
    wrong = [line for line in found if line not in {f"{name} fails not" for name in CONTENT}]
    print("\n".join(wrong + [f"{len(lines)} functions, {len(wrong)} of which do not say where they fail"]))
    return bool(wrong)


sys.exit(main())
