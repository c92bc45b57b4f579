"""Every public macro compiles without a warning, in the user's language: check_macros.py STANDARD COMPILER [OPTION...]

A program is made from the public headers: each macro that notes the caller's location stands in a function with the parameters
of the function it is named after, and each other macro stands alone. It is compiled with the warnings that a strict user
has. A second one, which needs no library, is run: it looks at what the macros for shapes, axes and indices write. In C a third one
has formulas with every word that they may have. A compiler that
does not know the standard is skipped."""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LISTS = (ROOT / "meson.build").read_text(encoding="utf-8")
HEADERS = re.findall(r"'([\w/]+\.h)'", re.search(r"^public_headers = \{(.*?)^\}", LISTS, flags=re.M | re.S).group(1))
FORMULA_HEADERS = ["autograd/formulas_begin.h", "autograd/formulas_end.h", "autograd/functions.h"]
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
    "AG_AT": """
        ag_tensor *some_row(ag_tensor *x, int i, int64_t n) { return ag_index(x, AG_ITEMS(AG_AT(i), AG_AT(n), AG_ALL)); }""",
    "AG_RANGE": """
        ag_tensor *some_rows(ag_tensor *x, int i, int64_t n) {
            return ag_index(x, AG_ITEMS(AG_RANGE(i, n + 1, 2), AG_NEW, AG_REST, AG_RANGE(AG_END, AG_END, -1)));
        }""",
    "AG_BY": """
        ag_tensor *rows_by(ag_tensor *x, ag_tensor *index) {
            return ag_index_put(x, AG_ITEMS(AG_BY(index)), ag_index(x, AG_ITEMS(AG_BY(index))), AG_PUT_ADD);
        }""",
    "AG_SUBSCRIPT": """
        ag_subscript some_item(int i, int64_t n, ag_tensor *index) {
            return index ? AG_SUBSCRIPT(AG_ITEM_INDEX, 0, 0, 1, index) : AG_SUBSCRIPT(AG_ITEM_SLICE, i, n, 1, 0);
        }""",
    "AG_ITEMS": """
        int count_of_items(int n, const ag_subscript item[]) { return item ? n : 0; }
        int some_items(int i) { return count_of_items(AG_ITEMS(AG_AT(i), AG_ALL, AG_NEW, AG_REST)); }""",
}
# Formulas, in a file that includes itself, and the entries that have them; for i64 and bool as well.
FORMULAS = """
#define AG_LAST_DOMAIN AG_DOMAIN_BOOL
#include <autograd/formulas_begin.h>
#include <autograd/functions.h>
PREDICATE2(either, a, b) { return OR(AND(LT(a, b), NE(a, b)), XOR(LE(a, b), NOT(EQ(a, b)))); }
CHOICE3(choice, t, a, b) { return SEL(t, a, b); }
#if !IS_BOOL
MAP2(whole, a, b) { return SUB(ADD(ABS(a), MUL(b, NEG(a))), MAX(a, MIN(b, K(3)))); }
#endif
#if IS_REAL
FN(T, large, V x) { return LT(K2(16777216, 9007199254740992), ABS(x)); }
FN(V, other_sign, V x) { return FLOAT(XOR(BITS(x), W2(0x80000000, 0x8000000000000000))); }
MAP1(one, x) { return SEL(CALL(large, x), CALL(other_sign, x), x); }
MAP1_1(one_1, x, p) { return ROUND(DIV(SQRT(x), p)); }
MAP1_2(one_2, x, p, q) { return STRONG_MUL(x, STRONG_DIV(p, q)); }
MAP2_1(two_1, a, b, p) { return ADD(CALL(exp, a), MUL(CALL(log1p, b), p)); }
MAP2_2(two_2, a, b, p, q) { return ADD(MUL(a, p), MUL(b, q)); }
MAP2_4(two_4, a, b, p, q, r, s) { return ADD(ADD(MUL(a, p), MUL(b, q)), ADD(r, s)); }
FN(V, other_than, V x) { return RARELY(LT(x, K(0)), ag_far_sine, x, 1, x); }
MAP3(three, a, b, c) { return FMA(a, SCALED(MUL(b, K(2)), b, K(1)), CALL(other_than, c)); }
MAP3_1(three_1, a, b, c, p) { return FLOAT(BADD(BITS(ADD(a, ADD(b, p))), BSUB(SHL(SHR(BITS(c), 9), 9), W(1)))); }
FN(V, integer, V x) { return BY_WIDTH(INTEGER(BITS(x)), x); }
#endif
#include <autograd/formulas_end.h>
#if AG_FORMULAS_AGAIN
#include "formulas.h"
#endif
"""
ENTRIES = """
#include <autograd/autograd.h>
#include "formulas.h"
#define ENTRY(its, formula) const ag_op op_ ## its = {.name = #its, .kind = AG_KIND_ELEMENTWISE, .arity = 1, formula}
ENTRY(either, AG_FORMULA_ANY(either));
ENTRY(choice, AG_FORMULA_ANY(choice));
ENTRY(whole, AG_FORMULA_I64(whole));
ENTRY(either_traced, AG_FORMULA_TRACE_ANY(either));
ENTRY(whole_traced, AG_FORMULA_TRACE_I64(whole));
ENTRY(one_traced, AG_FORMULA_TRACE(one));
""" + "".join(f"ENTRY({name}, AG_FORMULA({name}));\n" for name in "one one_1 one_2 two_1 two_2 two_4 three three_1".split())
RUN = """
#include <autograd/autograd.h>
static bool as_written(int n, const ag_subscript item[]) {
    return n == 3 && item[0].start == 3 && item[1].kind == AG_ITEM_SLICE && item[2].kind == AG_ITEM_NEW;
}
int main(void) {
    int64_t n = 7;
    int i = -1;
    ag_shape shape = AG_SHAPE(2, n + 1, i), scalar = AG_SCALAR, full = AG_SHAPE(1, 2, 3, 4, 5, 6, 7, 8);
    ag_axes axes = AG_AXES(0, i), all = AG_ALL_AXES;
    if (shape.rank != 3 || shape.extent[0] != 2 || shape.extent[1] != 8 || shape.extent[2] != -1) return 1;
    if (shape.extent[3] != 0 || shape.extent[AG_MAX_RANK - 1] != 0) return 2;
    if (scalar.rank != 0 || full.rank != AG_MAX_RANK || full.extent[AG_MAX_RANK - 1] != 8) return 3;
    if (axes.count != 2 || axes.axis[0] != 0 || axes.axis[1] != -1 || axes.axis[2] != 0) return 4;
    if (all.count != -1) return 5;
    ag_subscript at = AG_AT(i), range = AG_RANGE(1, n, 2), whole = AG_ALL, item[] = {AG_NEW, AG_REST};
    if (at.kind != AG_ITEM_INTEGER || at.start != -1 || range.kind != AG_ITEM_SLICE || range.start != 1) return 6;
    if (range.stop != 7 || range.step != 2 || whole.start != AG_END || whole.stop != AG_END || whole.step != 1) return 7;
    if (item[0].kind != AG_ITEM_NEW || item[1].kind != AG_ITEM_REST || AG_BY(0).kind != AG_ITEM_INDEX) return 8;
    return as_written(AG_ITEMS(AG_AT(3), AG_ALL, AG_NEW)) ? 0 : 9;
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
    each = re.split(r",(?![^()]*\))", parameters) # a function's own parameters are in parentheses
    names = [re.search(r"\(\*(\w+)\)\(|(\w+)(?:\[\])?$", p.strip()).expand(r"\1\2") for p in each]
    return f"void use_{name}({parameters}) {{ {name}({', '.join(names)}); }}"


def program():
    located = ["autograd/located.h", "io/located.h", "nn/located.h"]
    paths = [ROOT / header for header in HEADERS + located if header not in FORMULA_HEADERS]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    functions = declarations(text)
    guards = set(re.findall(r"^#ifndef (\w+_H)$", text, flags=re.M))
    lines = [f"#include <{header}>" for header in HEADERS if not header.startswith("ops/") and header not in FORMULA_HEADERS]
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


def unused_words():
    """Of the words that formulas may have, those that FORMULAS and ENTRIES do without."""
    begin = (ROOT / FORMULA_HEADERS[0]).read_text(encoding="utf-8")
    words = set(re.findall(r"^#define ((?!AG__)[A-Z][A-Z0-9_]*)\(", begin, flags=re.M))
    return words - {"AG_FORMULA_KERNEL", "AG_FORMULA_LOOP"} - set(re.findall(r"\w+", FORMULAS + ENTRIES))


def own_macros():
    """A program whose own macros have the names of words: within formulas they are out of sight, and afterwards as before."""
    end = (ROOT / "autograd/formulas_end.h").read_text(encoding="utf-8")
    words = re.findall(r"^#undef ((?!AG_)\w+)", end, flags=re.M)
    before = "".join(f"#define {word} {number}\n" for number, word in enumerate(words))
    after = "".join(f"typedef char still_{word}[{word} == {number} ? 1 : -1];\n" for number, word in enumerate(words))
    return before + ENTRIES + after


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
        if unused_words():
            print("in no formula:", *sorted(unused_words()))
            return 1
        pathlib.Path(folder, "formulas.h").write_text(FORMULAS, encoding="utf-8")
        source.write_text(ENTRIES, encoding="utf-8")
        if not cpp and subprocess.run([*command, "-c", source, "-o", binary]).returncode:
            return 1
        for part in ["-ffast-math", "-ffinite-math-only"]:
            refused = subprocess.run([*command, part, "-c", source, "-o", binary], capture_output=True, text=True).stderr
            if not cpp and "IEEE arithmetic" not in refused:
                print(f"formulas are compiled with {part}")
                return 1
        if cpp and "formulas are C" not in subprocess.run([*command, "-c", source], capture_output=True, text=True).stderr:
            print("formulas in a file of C++ are not refused")
            return 1
        source.write_text(own_macros(), encoding="utf-8")
        if not cpp and subprocess.run([*command, "-c", source, "-o", binary]).returncode:
            return 1
        source.write_text(RUN, encoding="utf-8")
        if subprocess.run([*command, source, "-o", binary]).returncode:
            return 1
        wrong = subprocess.run([binary]).returncode
        print(f"{count} macros as {standard}" + (f", of which some write something else: {wrong}" if wrong else ""))
        return 1 if wrong else 0


sys.exit(main())
