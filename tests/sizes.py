#!/usr/bin/env python3
"""sizes -- whether the tests meet sizes below, at and above each constant that divides work: sizes.py [OPTION...] FOLDER

Copies the sources into FOLDER/source, where each comparison with such a constant also notes how its two sides compare; builds
the library and the tests there; runs them, and prints a table: for each constant and evaluator whether what is compared with it
was less, one less, equal, one more and more; and which pairs of constants were reached on one tape. What was not met is a hole.

The constants are those of autograd/tape/limits.h, those that AG__LIMIT makes elsewhere, those made of these, and those listed in
MORE. A constant that stands in several comparisons has a line for all of them; --sites has one for each. check_tree.py asks this
file whether a number that chooses between ways is none of them.

    --setup        only copy and build
    --run A,B,...  the test programs to run (those whose names follow); all that test the library if not given
    --table        only print the table of what was run before
    --sites        a line for each comparison
    --jobs N       so many at a time (2)

Exits with 1 if there is a hole that KNOWN does not explain."""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = re.compile(r"\b(AG__\w+)\s+=\s")
INLINE = re.compile(r"AG__LIMIT\([^()]*\)")
ENUMERATION = re.compile(r"\benum\s*\w*\s*\{([^}]*)\}")
ENUMERATOR = re.compile(r"\b([A-Z]\w*)\s*=\s*((?:[^,()]|\((?:[^()]|\([^()]*\))*\))*)")
EVALUATORS = ["fused", "reference", "automatic"]

# Constants beside AG__LIMIT, that are no smaller in a build with --tiny: classes of sizes, entries of caches, rounds; what chooses
# between formulas, or between graphs that are recorded; what is refused.
MORE = {
    "autograd/eval/allot.c": ["LEAST"],
    "autograd/eval/compile.c": ["AG__MOST_SPILLED"],
    "autograd/eval/encode_aarch64.c": ["FREE_BASES"],
    "autograd/eval/encode_x86.c": ["PART", "SAVED"],
    "autograd/eval/folds.c": ["MOST_ALTERNATE"],
    "autograd/eval/plans.c": ["OFTEN"],
    "autograd/eval/rows.c": ["SOME", "MOST_KNOWN"],
    "autograd/eval/runs.c": ["FEWEST_STEPS", "MANY_REGISTERS"],
    "autograd/eval/settle.c": ["SOME_USES"],
    "autograd/tape/ahead.c": ["AG__MOST_MAKERS"],
    "autograd/tape/buffer.c": ["SMALLEST", "SMALL", "LARGEST_SMALL", "HUGE_SLAB"],
    "autograd/tape/heap.c": ["LEAST", "LEAST_SPAN", "LARGEST_GROWTH", "MOST_TRIED", "LARGE", "MANY", "FEW", "MOST_OTHERS", "LITTLE"],
    "autograd/tape/layout.c": ["FEW"],
    "autograd/tape/memory.c": ["LARGEST_SLAB", "HUGE_PAGES", "HUGE_SLAB"],
    "autograd/tape/node.c": ["AG__FETCHED"],
    "autograd/tape/record.c": ["FEW", "MOST_ATTRIBUTES"],
    "autograd/tape/replay.c": ["FRAME"],
    "autograd/tape/threads.c": ["MOST_UNITS", "MOST_WORKERS"],
    "autograd/tape/tracing.c": ["MOST"],
    "nn/convolution.c": ["FEW"],
    "nn/kinds.c": ["DEEPEST"],
    "nn/loader.c": ["MOST_AUGMENTATIONS", "AG__MOST_AHEAD", "AG__MOST_MAKERS"],
    "nn/normalise.c": ["FEW", "LEAST_ALONE", "LEAST_OF_MANY", "LEAST_TOGETHER", "WIDE"],
    "ops/arith.c": ["MOST"],
    "ops/at.c": ["MOST_ITEMS"],
    "ops/copying.c": ["LEAST_ROW"],
    "ops/count.c": ["MOST_BINS"],
    "ops/einsum.c": ["FEW", "LETTERS", "MOST"],
    "ops/factor.c": ["DEEPEST", "LATEST"],
    "ops/gamma.c": ["FEW", "MOST_ORDER"],
    "ops/items.c": ["MOST_ITEMS"],
    "ops/product.c": ["LEAST", "LITTLE", "MOST", "SHORT_ROW"],
    "ops/statistics.c": ["MOST"],
}

# Where the constants are, and what is asked for each node.
NOT_NOTED = {"autograd/tape/limits.h", "autograd/tape/node.h", "autograd/tape/tape.h"}

# Holes that have a reason: (constant, relation or "" for all) -> the reason.
KNOWN = {
    ("AG__NUMBERS", "more"): "a number without room is not counted",
    ("autograd/tape/heap.c: MOST_TRIED", "more"): "a search ends there",
    ("AG__COUNTED", "equal"): "2^24 elements folded into one; in a build with --tiny test_limits has 64",
    ("AG__COUNTED", "more"): "2^24 elements folded into one; in a build with --tiny test_limits has 65",
    ("AG__MOST_IN_RUN", "equal"): "a region has about AG__MOST_MEMBERS nodes, which are fewer; with --tiny they are more",
    ("AG__MOST_IN_RUN", "more"): "a region has about AG__MOST_MEMBERS nodes, which are fewer; with --tiny they are more",
    ("AG__ROWS_STRIPS", "less"): "a product of AG__WORTH_ROWS bytes has as many elements",
    ("AG__PLAN_BYTES", "equal"): "a sum of the bytes of dozens of plans, which follow from their structures: each test would search for it",
    ("autograd/eval/allot.c: LEAST", "less"): "values that are written past the caches are larger; with --tiny some are not",
    ("autograd/eval/allot.c: LEAST", "equal"): "values that are written past the caches are larger; with --tiny some are not",
    ("autograd/eval/interpret.c: MOST_ASKED", "more"): "no more are asked for",
    ("autograd/eval/encode_aarch64.c: FREE_BASES", ""): "this build is for x86-64",
    ("autograd/eval/runs.c: MANY_REGISTERS", "equal"): "instruction sets have 16 registers, or 32",
    ("autograd/tape/ahead.c: AG__MOST_MAKERS", "more"): "a loader of more is refused",
    ("autograd/tape/buffer.c: HUGE_SLAB", "equal"): "a sum of the bytes of all values of a tape",
    ("autograd/tape/heap.c: FEW", "more"): "a search ends there",
    ("autograd/tape/memory.c: HUGE_SLAB", "equal"): "the bytes of slabs, which are no multiple of it",
    ("nn/kinds.c: DEEPEST", "more"): "a sequence that deep is refused",
    ("ops/arith.c: MOST", "more"): "a search ends there",
    ("ops/factor.c: DEEPEST", "more"): "a search ends there",
    ("ops/product.c: LEAST", ""): "how large the processor's second-level cache is",
    ("ops/product.c: MOST", ""): "how large the processor's second-level cache is",
    ("ops/blis.c: LARGE", ""): "this build is without BLIS",
    ("ops/blis.c: SHORT", ""): "this build is without BLIS",
    ("ops/blis.c: THIN", ""): "this build is without BLIS",
    ("autograd/tape/threads.c: MOST_UNITS", ""): "test_pool has that many in children, whose notes are lost",
    ("autograd/tape/threads.c: MOST_WORKERS", ""): "test_pool has that many in children, whose notes are lost",
}

# Constants of limits.h that nothing is compared with -> the reason.
NOT_COMPARED = {
    "AG__RECENT_REGIONS": "the places of a table: which sizes share one depends on their hashes, and `./dev test --collide` has all share one",
    "AG__SEEN": "the places of a table: which structures share one depends on their hashes, and `./dev test --collide` has all share one",
    "AG__ROW_STEP": "it divides a constant: a part of a row has a multiple of it",
    "AG__DOWN_LESS": "a weight: what it divides is compared with AG__STEPS_A_THREAD",
}

BOUNDARIES = {"&&", "||", "?", ":", "=", ";", "{", "}", ",", "return", "<", ">", "<=", ">=", "==", "!=", "+=", "-=", "|=", "&=",
              "/=", "*=", "!"}
COMPARISONS = {"<", ">", "<=", ">=", "=="}
TOKEN = re.compile(
    r"""(?P<skip>\s+|/\*.*?\*/|//[^\n]*|(?<=\n)[ \t]*\#(?:[^\n\\]|\\.)*|^\#[^\n]*)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|"""
    r"""(?P<name>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|"""
    r"""(?P<mark><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""", re.S)


def tokens_of(text):
    """(text, start, end) of what is not blank, comment or directive."""
    return [(m.group(), m.start(), m.end()) for m in TOKEN.finditer(text) if m.lastgroup != "skip"]


def constants_of(text):
    """(name, value) of the enumerations in a text, the values as they are written."""
    bodies = ENUMERATION.findall(re.sub(r"/\*.*?\*/", "", text, flags=re.S))
    return [pair for body in bodies for pair in ENUMERATOR.findall(body)]


def names_of(path, text, shared):
    own, limits = set(MORE.get(path, [])), {"AG__LIMIT", *shared}
    for name, value in constants_of(text):
        if limits & set(re.findall(r"\w+", value)):
            own.add(name)
            limits.add(name)
    return {**{name: name for name in shared}, **{name: f"{path}: {name}" for name in own}}


def not_listed(path, text):
    """(name, value) of the numbers above 8 that something is compared with, and that are no limits."""
    numbers = {name: value for name, value in constants_of(text)
               if re.fullmatch(r"[\s\d<*()+-]+", value) and eval(value) > 8 and name not in MORE.get(path, [])}
    sites = []
    if numbers:
        note_comparisons(path, text, {name: name for name in numbers}, sites)
    compared = {name for name, place in sites if re.search(r"[<>]|: lesser", re.sub("->|<<", "", place))}
    return [(name, value) for name, value in numbers.items() if name in compared]


def operand_before(tokens, at):
    """The first token of the operand that ends before token `at`."""
    depth, i = 0, at - 1
    while i >= 0:
        t = tokens[i][0]
        if t in ")]":
            depth += 1
        elif t in "([":
            if depth == 0:
                break
            depth -= 1
        elif depth == 0 and t in BOUNDARIES:
            break
        i -= 1
    return i + 1


def operand_after(tokens, at):
    """The last token of the operand that begins after token `at`."""
    depth, i = 0, at + 1
    while i < len(tokens):
        t = tokens[i][0]
        if t in "([":
            depth += 1
        elif t in ")]":
            if depth == 0:
                break
            depth -= 1
        elif depth == 0 and t in BOUNDARIES:
            break
        i += 1
    return i - 1


def left_out(tokens):
    """Which tokens are in enumerations, assertions, the size of an array, or the header of a loop."""
    out, depth, opened = [False] * len(tokens), 0, []
    for i, (t, _, _) in enumerate(tokens):
        if t in ("_Static_assert", "for") or (t == "enum" and tokens[min(i + 2, len(tokens) - 1)][0] != ")"):
            opened.append([depth, t, False])
        if t in "([{":
            depth += 1
            for o in opened:
                o[2] = True
        elif t in ")]}":
            depth -= 1
        out[i] = any(o[1] != "for" for o in opened)
        if any(o[1] == "for" for o in opened) and not out[i]:
            out[i] = "for"
        opened = [o for o in opened if not (o[2] and depth == o[0])]
    return out


def note_comparisons(path, text, names, sites):
    tokens = tokens_of(text)
    out = left_out(tokens)
    edits = []
    for i, (t, start, _) in enumerate(tokens):
        if t not in COMPARISONS or out[i] is True or i == 0:
            continue
        first, last = operand_before(tokens, i), operand_after(tokens, i)
        if first >= i or last <= i:
            continue
        left, right = text[tokens[first][1]:tokens[i - 1][2]], text[tokens[i + 1][1]:tokens[last][2]]
        mine = [[names[w] for w, _, _ in part if w in names] for part in (tokens[first:i], tokens[i + 1:last + 1])]
        for k, side in enumerate((left, right)):
            inline = INLINE.findall(side)
            mine[k] += [f"{path}: {x}" for x in inline]
        if bool(mine[0]) == bool(mine[1]) or re.search(r"\+\+|--|[^=<>!]=[^=]|\"", left + right):
            continue
        value, limit = (right, left) if mine[0] else (left, right)
        if out[i] == "for" and re.fullmatch(r"\w+", value):
            continue  # a loop up to the constant
        chosen = "?" in limit
        if chosen and re.search(r"[<>]|[=!]=", limit.replace("->", "")):
            continue  # the constant stands in a condition there, which is a comparison of its own
        line = text.count("\n", 0, start) + 1
        met = ""
        for name in dict.fromkeys(mine[0] or mine[1]):
            sites.append((name, f"{path}:{line}: {left} {t} {right}"))
            when = f"({limit}) != {name.removeprefix(path + ': ')} ? (void)0 : " if chosen else ""
            met += f"({when}ag__met({len(sites) - 1}, (double)({value}), (double)({limit}))), "
        edits.append((tokens[first][1], f"({met}"))
        edits.append((tokens[i - 1][2], ")"))
    note_arguments(path, text, tokens, out, names, sites, edits)
    for at, extra in sorted(edits, key=lambda e: e[0], reverse=True):
        text = text[:at] + extra + text[at:]
    return text


def primary_before(tokens, at):
    """The first token of the name, call or parentheses that ends before token `at`."""
    i = at - 1
    while True:
        if tokens[i][0] in ")]":
            depth = 0
            while True:
                depth += (tokens[i][0] in ")]") - (tokens[i][0] in "([")
                if depth == 0:
                    break
                i -= 1
        before = tokens[i - 1][0]
        if before in (".", "->"):
            i -= 2
        elif tokens[i][0] in "([" and re.fullmatch(r"[A-Za-z_]\w*|[)\]]", before) and before not in ("return", "sizeof", "if"):
            i -= 1
        else:
            return i


def note_arguments(path, text, tokens, out, names, sites, edits):
    """The lesser of something and a constant; something divided by one."""
    def add(name, at, value, limit, shown):
        line = text.count("\n", 0, at) + 1
        sites.append((name, f"{path}:{line}: {shown}"))
        return f"ag__met({len(sites) - 1}, (double)({value}), (double)({limit}))"

    for i, (t, start, _) in enumerate(tokens):
        if out[i] is True or i == 0:
            continue
        if t == "/" and tokens[i + 1][0] in names and tokens[i - 1][0] not in ("(", ","):
            first = primary_before(tokens, i)
            value = text[tokens[first][1]:tokens[i - 1][2]]
            name = tokens[i + 1][0]
            whole = re.fullmatch(rf"\((.*) [+] {name} - 1\)", value, re.S)
            mine = whole.group(1) if whole else value
            if re.search(rf"\b({'|'.join(names)})\b|[+][+]|--|\"|^sizeof|^[0-9]", mine) or tokens[first - 1][0] in ("=", "sizeof") and "[" in mine:
                continue
            met = add(names[name], start, mine, name, f"{value} {t} {name}")
            edits.append((tokens[first][1], f"({met}, "))
            edits.append((tokens[i - 1][2], ")"))
        if t == "ag__lesser" and tokens[i + 1][0] == "(":
            depth, commas, k = 0, [], i + 1
            while True:
                depth += (tokens[k][0] in "([") - (tokens[k][0] in ")]")
                if depth == 0:
                    break
                if tokens[k][0] == "," and depth == 1:
                    commas.append(k)
                k += 1
            if len(commas) != 1:
                continue
            sides = [tokens[i + 2:commas[0]], tokens[commas[0] + 1:k]]
            mine = [[names[w] for w, _, _ in side if w in names] for side in sides]
            if bool(mine[0]) == bool(mine[1]):
                continue
            texts = [text[side[0][1]:side[-1][2]] for side in sides]
            value, limit = (texts[1], texts[0]) if mine[0] else texts
            met = add((mine[0] or mine[1])[0], start, value, limit, f"lesser({texts[0]}, {texts[1]})")
            edits.append((start, f"({met}, "))
            edits.append((tokens[k][2], ")"))


# Constants that are chosen, and compared elsewhere: (file, the line that begins a function, what is noted there).
CHOSEN = [
    ("autograd/tape/node.c", "bool ag__slot(ag_tape *tape) {",
     [("AG__SEGMENTS_AT_ONCE", "tape->count / AG__SEGMENT >= AG__FEW_SEGMENTS", "tape->count / AG__SEGMENT - AG__FEW_SEGMENTS")]),
    ("ops/multiply.c", "static int64_t summed_at_a_time(const ag__product *p, int way) {",
     [("AG__DOT_F32", "way == AG__BY_DOTS && p->dtype == AG_F32", "p->k"), ("AG__DOT_F64", "way == AG__BY_DOTS && p->dtype == AG_F64", "p->k"),
      ("AG__STRIP", "way == AG__BY_LINES", "p->k"), ("AG__LONG_SUM", "way == AG__BY_TILES || way == AG__BY_PACKING", "p->k")]),
    ("ops/product.c", "static void start(running *r, const unit *u, const ag__product *p) {",
     [("AG__CHAIN_F32", "p->dtype == AG_F32", "p->k"), ("AG__CHAIN_F64", "p->dtype == AG_F64", "p->k"), ("AG__BLOCK", "true", "p->k")]),
    ("ops/product.c", "void ag__multiply_on(int u, const ag__product *p) {",
     [("SHORT_ROW", "true", "(double)(ag__lesser(p->k, AG__BLOCK) * units[u].row) / AG__BLOCK")]),
    ("nn/normalise.c", "    const int64_t c = groups * each, sample = places * c;",
     [("LEAST_ALONE", "n == 1", "sample"), ("LEAST_OF_MANY", "n > 1", "sample")]),
    ("ops/factor.c", "static form form_taken(const apart *s, const ag_tensor *t, int depth) {", [("DEEPEST", "true", "DEEPEST - depth")]),
    ("ops/shape.c", "    j.past = ag__goes_past(2 * y->size * bytes);",
     [("AG__JOINED", "true", "y->size / y->shape[0]"), ("AG__JOINED", "j.axis != 0", "y->size")]),
    ("ops/multiply.c", "static int64_t part_rows(const ag__product *p, int way) {", [("AG__PART_ROWS", "p->k > summed_at_a_time(p, way)", "p->m")]),
    ("ops/multiply.c", "static int64_t part_columns(const ag__product *p, int way) {",
     [("AG__PART_COLUMNS", "p->k > summed_at_a_time(p, way)", "p->n"),
      ("AG__PACKED_COLUMNS", "way == AG__BY_PACKING && p->k <= summed_at_a_time(p, way)", "p->n")]),
    ("ops/batch.c", "    const double work = work_of(&b->p), worth = least_work(b);",
     [("AG__LEAST_VECTOR", "worth == AG__LEAST_VECTOR", "work * (double)b->count / 2"),
      ("AG__LEAST_PRODUCT", "worth == AG__LEAST_PRODUCT", "work * (double)b->count / 2")]),
    ("autograd/eval/strips.c", "    c.piece = AG__ROWS_COPIED * (c.walk.rank > 0 ? c.walk.extent[c.walk.rank - 1] : 1);",
     [("AG__ROWS_COPIED", "c.piece >= AG__LEAST_COPIED", "(double)c.size / (double)(c.piece / AG__ROWS_COPIED)")]),
    ("autograd/eval/lower.c", "static AG__RARE void choose_tile(const ag__lowering *l, ag__region *r) {",
     [("AG__SLAB", "true", "r->inner * r->columns * element_of(l)")]),
    ("autograd/eval/lower.c", "    r->tile = r->inner;",
     [(name, f"code && bytes == {name} && r->form == AG__ROWS && r->inner == 1", "r->columns * element_of(l)")
      for name in ["AG__LONG_ROW", "AG__LONG_ROW_DOWN"]]),
    ("autograd/eval/interpret.c", "    const uint32_t cells = g->cells, rows = g->together;",
     [("AG__ROWS_TOGETHER", "rows == AG__ROWS_TOGETHER", "last - at->row")]),
    ("autograd/eval/region.c", "    const int64_t some = units_at_once(g);",
     [("AG__ROWS_STRIPS", "g->products > 0 && g->ahead == AG__ROWS_STRIPS * AG__STRIP", "(double)g->size / AG__STRIP")]),
    ("autograd/eval/runs.c", "    uint32_t end = k;\n    l->steps.count = 0;",
     [("AG__MOST_IN_RUN", "most == AG__MOST_IN_RUN", "l->body.count - k")]),
    ("autograd/eval/settle.c", "    const ag_tensor *t = ag__tensor_at(p, r);\n    const int64_t size = t->layout->size;",
     [(f"AG__{name}_CHAIN", f"!across && may_be_computed(p, r) && longest_chain(t) == AG__{name}_CHAIN",
       f"AG__{name}_CHAIN - *budget + cost_of(t, across)") for name in ["SHORT", "MEDIUM", "LONG"]]),
    ("autograd/eval/again.c", "    p->value[r].counted = true;\n    AG__APPEND(&p->maker, &p->asked, r);",
     [("AG__LONG_CHAIN", "true", "AG__LONG_CHAIN - *budget + ag__cost_across(t)")]),
]


def note_chosen(path, text, sites):
    for file, line, all_of in CHOSEN:
        if file != path:
            continue
        if line not in text:
            sys.exit(f"sizes.py: {file} has no line: {line}")
        notes = ""
        for name, when, value in all_of:
            sites.append((name if name.startswith("AG__") else f"{path}: {name}", f"{path}: {line.rstrip(' {;')}: {value}"))
            notes += f"\n    if ({when}) ag__met({len(sites) - 1}, (double)({value}), (double){name});"
        text = text.replace(line, line + notes, 1)
    return text


HEADER = """#ifndef AG_MET_H
#define AG_MET_H
#if defined __GNUC__ && !defined __ASSEMBLER__
void ag__met_one(int site, double value, double limit);
void ag__met_next(int evaluator);
static inline __attribute__((always_inline, unused)) void ag__met(int site, double value, double limit) { ag__met_one(site, value, limit); }
#endif
#endif
"""

SOURCE = """
#include "../met.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
enum {{ AG__SITES = {sites}, AG__CONSTANTS = {count} }};
static const unsigned short constant[AG__SITES] = {{{constants}}};
enum {{ EVALUATORS = 3 }}; /* automatic, fused, reference */
static unsigned char met[EVALUATORS][AG__SITES], now[AG__CONSTANTS], pair[EVALUATORS][AG__CONSTANTS][AG__CONSTANTS];
static int usual, current; /* the environment's; the latest tape's */
/* A new tape, of the usual evaluator (-1), or one that is given another. */
void ag__met_next(int evaluator) {{
    for (int i = 0; i < AG__CONSTANTS; i++)
        for (int k = 0; now[i] && k < AG__CONSTANTS; k++) pair[current][i][k] |= now[k];
    memset(now, 0, sizeof now);
    current = evaluator >= 0 && evaluator < EVALUATORS ? evaluator : usual;
}}
static void put(void) {{
    char path[500];
    const char *folder = getenv("AG_MET");
    if (!folder) return;
    ag__met_next(-1);
    snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
    FILE *f = fopen(path, "wb");
    if (!f) return;
    fwrite(met, 1, sizeof met, f);
    fwrite(pair, 1, sizeof pair, f);
    fclose(f);
}}
__attribute__((constructor)) static void begin(void) {{
    const char *evaluator = getenv("AG_EVAL");
    usual = current = !evaluator ? 0 : strcmp(evaluator, "fused") == 0 ? 1 : strcmp(evaluator, "reference") == 0 ? 2 : 0;
    atexit(put);
}}
void ag__met_one(int site, double value, double limit) {{
    met[current][site] |= value < limit ? value == limit - 1 ? 3 : 1 : value == limit ? 4 : value == limit + 1 ? 24 : 16;
    if (value >= limit) now[constant[site]] = 1;
}}
"""


def put(path, data):
    """Write the file unless it has these bytes already: what is not changed is not built again."""
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)


def copy_sources(folder):
    """Returns the constants' names and the sites (constant, place)."""
    source = folder / "source"
    shared = SHARED.findall((ROOT / "autograd/tape/limits.h").read_text())
    sites = []
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    for path in listed.split():
        to = source / path
        to.parent.mkdir(parents=True, exist_ok=True)
        noted = re.match(r"(autograd|ops|nn|io)/.*\.[ch]$", path) and path not in NOT_NOTED
        if not noted or "_formulas" in path or path.startswith("autograd/formulas"):
            put(to, (ROOT / path).read_bytes())
            shutil.copymode(ROOT / path, to)
            continue
        text = (ROOT / path).read_text(encoding="utf-8")
        text = note_comparisons(path, text, names_of(path, text, shared), sites)
        text = note_chosen(path, text, sites)
        if path == "autograd/eval/life.c":
            text = text.replace("ag_tape *ag_tape_new_with(const ag_allocator *allocator) {",
                                "ag_tape *ag_tape_new_with(const ag_allocator *allocator) {\n    ag__met_next(-1);")
            text = text.replace("    ag_evaluator former = tape->evaluator;", "    ag_evaluator former = tape->evaluator;\n    ag__met_next((int)evaluator);", 1)
        if path == "autograd/tape/threads.c": # what is met does not depend on the machine's load
            text = text.replace("    if (until == 0) return true;", "    if (until >= 0) return true;", 1)
        put(to, text.encode())
    names = sorted({name for name, _ in sites})
    numbers = ", ".join(str(names.index(name)) for name, _ in sites)
    put(source / "met.h", HEADER.encode())
    put(source / "autograd/met.c", SOURCE.format(constants=numbers, sites=len(sites), count=len(names)).encode())
    meson = (source / "meson.build").read_text()
    meson = meson.replace("  'autograd/diff/grad.c',\n", "  'autograd/diff/grad.c',\n  'autograd/met.c',\n", 1)
    meson = meson.replace("add_project_arguments(\n  '-D_DEFAULT_SOURCE',",
                          f"add_project_arguments(\n  '-include', '{source / 'met.h'}', '-w',\n  '-D_DEFAULT_SOURCE',", 1)
    put(source / "meson.build", meson.encode())
    with open(folder / "sites.txt", "w", encoding="utf-8") as out:
        for name, place in sites:
            out.write(f"{name}\t{' '.join(place.split())}\n")
    unused = {name for name in shared if name not in names}
    print(f"{len(names)} constants in {len(sites)} comparisons; without one, for a reason: {' '.join(sorted(unused & set(NOT_COMPARED)))}")
    if unused != set(NOT_COMPARED):
        sys.exit(f"sizes.py: not compared, or now compared after all: {' '.join(sorted(unused ^ set(NOT_COMPARED)))}")


def programs_in(build, wanted):
    text = subprocess.run(["meson", "introspect", "--tests", str(build)], capture_output=True, text=True, check=True).stdout
    for test in json.loads(text):
        env = test["env"]
        if "AG_EVAL" not in env or (wanted and test["name"] not in wanted):
            continue
        yield test["name"], env, test["cmd"]


def build_and_run(folder, wanted, jobs, only_setup):
    build = folder / "build"
    if not (build / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(build), str(folder / "source"), "--buildtype=debugoptimized", "-Dtests=enabled",
                        "-Dbench=disabled", "-Dexamples=disabled", "-Dman=false"], check=True, stdout=subprocess.DEVNULL)
    tests = list(programs_in(build, wanted))
    targets = sorted({os.path.relpath(cmd[0], build) for _, _, cmd in tests})
    subprocess.run(["ninja", "-C", str(build), f"-j{jobs}", *targets], check=True, stdout=subprocess.DEVNULL)
    if only_setup:
        return
    met = folder / "met"
    met.mkdir(exist_ok=True)

    def run(test):
        name, env, cmd = test
        done = subprocess.run(cmd, env={**os.environ, **env, "AG_MET": str(met), "CK_FORK": "no", "AG_THREADS": "2"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return name, env["AG_EVAL"], done

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, evaluator, done in pool.map(run, tests):
            if done.returncode:
                print(f"{name} under {evaluator} ended with {done.returncode}: {done.stdout[-300:]}")


def read_met(folder, names, count):
    flags = {e: [0] * count for e in EVALUATORS}
    pairs = {e: set() for e in EVALUATORS}
    for file in sorted((folder / "met").iterdir()):
        data = file.read_bytes()
        if len(data) != 3 * (count + len(names) ** 2):
            continue
        for at, evaluator in enumerate(("automatic", "fused", "reference")):
            part = data[at * count:(at + 1) * count]
            flags[evaluator] = [a | b for a, b in zip(flags[evaluator], part)]
            matrix = data[3 * count + at * len(names) ** 2:][:len(names) ** 2]
            pairs[evaluator] |= {i for i, one in enumerate(matrix) if one}
    return flags, pairs


RELATIONS = {1: "less", 2: "one less", 4: "equal", 8: "one more", 16: "more"}


def marks(flags):
    return "".join("-" if not flags & bit else mark for bit, mark in zip(RELATIONS, "<,=.>"))


def print_table(folder, by_site):
    sites = [line.rstrip("\n").split("\t") for line in open(folder / "sites.txt", encoding="utf-8")]
    names = sorted({name for name, _ in sites})
    flags, pairs = read_met(folder, names, len(sites))
    lines = collections.OrderedDict()
    for i, (name, place) in enumerate(sites):
        key = place if by_site else name
        for e in EVALUATORS:
            lines.setdefault(key, dict.fromkeys(EVALUATORS, 0))[e] |= flags[e][i]
    holes = 0
    print("less <, one less ',', equal =, one more '.', more >")
    print(f"{'':58}" + "".join(f"{e:>11}" for e in EVALUATORS))
    for key in sorted(lines):
        every = 0
        for e in EVALUATORS:
            every |= lines[key][e]
        missing = [text for bit, text in RELATIONS.items() if not every & bit and bit in (1, 4, 16)]
        missing = [m for m in missing if (key, m) not in KNOWN and (key, "") not in KNOWN]
        holes += len(missing)
        print(f"{key[:58]:58}" + "".join(f"{marks(lines[key][e]):>11}" for e in EVALUATORS)
              + (f"   not: {', '.join(missing)}" if missing else ""))
    n = len(names)
    for e in EVALUATORS:
        reached = {(i // n, i % n) for i in pairs[e]}
        print(f"{e}: {sum(i < k for i, k in reached)} of {n * (n - 1) // 2} pairs of constants reached on one tape")
    print(f"{holes} holes")
    return holes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--run", default="")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--sites", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not options.table:
        copy_sources(folder)
        build_and_run(folder, set(filter(None, options.run.split(","))), options.jobs, options.setup)
    return not options.setup and print_table(folder, options.sites) > 0


if __name__ == "__main__":
    sys.exit(main())
