#!/usr/bin/env python3
"""mutate -- whether the tests notice a wrong vjp or infer: mutate.py [OPTION...] BUILD [FILE...]

Changes one spot at a time of each vjp and each infer in ops/, and of what they call in their file; compiles that file,
links it with the tests, and runs them until one fails. A mutant that no test notices lives. One whose object code is
the original's is no mutant. One that cannot be noticed is listed in mutants.txt with the reason, and must live.

    --jobs N       so many at a time (1)
    --table FILE   write the result to FILE as a table
    --only TEXT    those whose description contains TEXT
    --list         only list them

BUILD is a build folder with the tests, up to date. FILE is one of ops/, all if none is given. Exits with 1 if a mutant
lives that is not listed, or a listed one does not."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
KNOWN = ROOT / "tests/mutants.txt"

# The tests that look at operations, those first that find most in least time.
PROGRAMS = ["ops", "special", "activation", "reduce", "shape", "linalg", "grad", "kinks", "errors", "tensordot", "matmul", "narrow",
            "sums", "transforms", "formula", "systems_1", "systems_2", "systems_3", "nn", "layers", "losses", "memory", "ends"]
SECONDS = 60  # after which a mutant has hung

TOKEN = re.compile(
    r"""(?P<skip>\s+|/\*.*?\*/|//[^\n]*|\#(?:[^\n\\]|\\.)*)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|"""
    r"""(?P<name>[A-Za-z_]\w*)|(?P<number>0[xX][0-9a-fA-F.]+(?:[pP][-+]?\d+)?[uUlLfF]*|\d+\.?\d*(?:[eE][-+]?\d+)?[uUlLfF]*)|"""
    r"""(?P<mark><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""", re.S)

OPERATORS = {"+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["*"], "<": ["<=", ">"], "<=": ["<", ">"], ">": [">=", "<"],
             ">=": [">", "<"], "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"], "&": ["|"], "|": ["&"],
             "<<": [">>"], ">>": ["<<"], "+=": ["-="], "-=": ["+="], "++": ["--"], "--": ["++"], "!": [""]}
OTHERS = {"ag_add": "ag_sub", "ag_sub": "ag_add", "true": "false", "false": "true", "ag_maximum": "ag_minimum",
          "ag_minimum": "ag_maximum", "ag_less": "ag_less_equal", "ag_less_equal": "ag_less", "ag_sin": "ag_cos", "ag_cos": "ag_sin"}
# Of these, one operand alone is the operation without its other factor.
FACTORS = {"ag_mul", "ag_scale", "ag__slope_mul", "ag_strong_mul", "ag_div", "ag__slope_div", "ag_strong_div", "ag_div_scalar",
           "ag_add_scalar", "ag_neg", "ag_matmul"}
SWAPS = {"ag_sub", "ag_div", "ag_matmul", "ag__slope_div", "ag_strong_div", "ag_less", "ag_less_equal", "ag_greater", "ag_pow",
         "ag_transpose", "ag_where"}


class Token:
    def __init__(self, match):
        self.kind, self.text, self.start, self.end = match.lastgroup, match.group(), match.start(), match.end()


def tokens_of(text):
    return [t for t in map(Token, TOKEN.finditer(text)) if t.kind != "skip"]


def closing(tokens, i):
    """The token that closes the parenthesis or brace at i."""
    depth, open_, close = 0, tokens[i].text, {"(": ")", "{": "}", "[": "]"}[tokens[i].text]
    for k in range(i, len(tokens)):
        depth += (tokens[k].text == open_) - (tokens[k].text == close)
        if depth == 0:
            return k
    raise ValueError(f"{open_} is not closed")


def arguments(tokens, i):
    """The first and last tokens of each argument of the call whose parenthesis is at i."""
    end, first, found, depth = closing(tokens, i), i + 1, [], 0
    for k in range(i + 1, end + 1):
        if depth == 0 and (tokens[k].text == "," or k == end):
            if first < k:
                found.append((first, k - 1))
            first = k + 1
        depth += (tokens[k].text in "([{") - (tokens[k].text in ")]}")
    return found


def functions(tokens):
    """The functions of a file and the rules of its operations: the name, and the tokens of its body."""
    found, depth, k = {}, 0, 0
    while k < len(tokens):
        t = tokens[k]
        if t.text == "{" and depth == 0 and tokens[k - 1].text == ")":
            opened = next(i for i in range(k - 1, -1, -1) if tokens[i].text == "(" and closing(tokens, i) == k - 1)
            end = closing(tokens, k)
            found[tokens[opened - 1].text] = (k + 1, end)
            k = end
        elif depth == 0 and t.text in ("AG_UNARY", "AG_BINARY", "AG_WITH_NUMBER") and tokens[k + 1].text == "(":
            cotangents = arguments(tokens, k + 1)[2:4 if t.text == "AG_BINARY" else 3]
            found[tokens[k + 2].text + "_vjp"] = (cotangents[0][0], cotangents[-1][1] + 1)
            k = closing(tokens, k + 1)
        else:
            depth += (t.text == "{") - (t.text == "}")
        k += 1
    return found


def looked_at(tokens):
    """The vjps and infers, and what they call in their file."""
    found = functions(tokens)
    chosen = [name for name in found if re.search(r"(_|^)(vjp|infer)$", name)]
    for name in chosen:
        a, b = found[name]
        chosen += [t.text for t in tokens[a:b] if t.text in found and t.text not in chosen and not t.text.startswith("ag_op")]
    return {name: found[name] for name in dict.fromkeys(chosen)}


def calls(text, tokens, k):
    """The changes of a call: without a factor, with operands swapped, of another function."""
    name, found = tokens[k].text, []
    args = [text[tokens[a].start:tokens[b].end] for a, b in arguments(tokens, k + 1)]
    start, end = tokens[k].start, tokens[closing(tokens, k + 1)].end
    if name in FACTORS and args:
        found.append((start, end, args[0]))
        if len(args) == 2 and name in ("ag_mul", "ag__slope_mul", "ag_strong_mul"):
            found.append((start, end, args[1]))
    if name in SWAPS and len(args) >= 2:
        found.append((start, end, f"{name}({', '.join(args[:-2] + [args[-1], args[-2]])})"))
    return found


def numbers(token):
    if not re.fullmatch(r"\d+", token.text):
        return [("(%s + 1)" % token.text)] if re.fullmatch(r"[\d.]+", token.text) else []
    n = int(token.text)
    return [str(n + 1)] + ([str(n - 1)] if n else [])


def is_binary(tokens, k):
    """Whether an operator has a left operand: a sign and an address have none."""
    before = tokens[k - 1]
    return before.kind in ("number", "text") or before.text in (")", "]") or (before.kind == "name" and before.text != "return")


def is_pointer(tokens, k):
    """Whether * is part of a type."""
    return tokens[k + 1].text in (")", "*", ",", "const") or re.match(r"ag_|const|void|char|int\d*|double|float|size_t|bool", tokens[k - 1].text)


def spots(text):
    """Each change: the function, first and last character, and what is there instead."""
    tokens = tokens_of(text)
    for name, (first, end) in looked_at(tokens).items():
        for k in range(first, end):
            t, changes = tokens[k], []
            if t.kind == "name" and k + 1 < end and tokens[k + 1].text == "(":
                changes += calls(text, tokens, k)
            if t.text in OTHERS:
                changes.append((t.start, t.end, OTHERS[t.text]))
            elif t.kind == "number":
                changes += [(t.start, t.end, n) for n in numbers(t)]
            elif t.text == "-" and not is_binary(tokens, k):
                changes.append((t.start, t.end, " "))
            elif t.text in OPERATORS and (t.text == "!" or t.text in ("++", "--") or is_binary(tokens, k)):
                if not (t.text in "*&" and (is_pointer(tokens, k) or not is_binary(tokens, k))):
                    changes += [(t.start, t.end, o) for o in OPERATORS[t.text]]
            for change in changes:
                yield (name,) + change


class Mutant:
    def __init__(self, file, text, function, start, end, new):
        self.file, self.function, self.new = file, function, new
        self.changed = text[:start] + new + text[end:]
        self.line = text.count("\n", 0, start) + 1
        begin, stop = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        squeezed = lambda s: " ".join(s.split())
        self.text = f"{file}: {function}: {squeezed(text[begin:stop])} | {squeezed(text[start:end])} | {squeezed(new)}"
        same = text[begin:start].count(text[start:end])
        self.text += f" | {same + 1}" if same else ""


class Bench:
    """Compiles and runs mutants, each in a folder of its own."""

    def __init__(self, build):
        self.build = build
        commands = json.loads((build / "compile_commands.json").read_text())
        self.compile = {}
        for c in commands:
            file = os.path.relpath((build / c["file"]).resolve(), ROOT)
            if file.startswith("ops/"):  # an object of the static library comes last
                self.compile[file] = [w for w in shlex.split(c["command"]) if w != "ccache"]
        self.programs = [p for p in PROGRAMS if (build / "tests" / f"test_{p}").exists()]
        self.link = {p: self.link_command(p) for p in self.programs}
        self.original = {}

    def link_command(self, program):
        lines = subprocess.run(["ninja", "-C", self.build, "-t", "commands", "-s", f"tests/test_{program}"], capture_output=True,
                               text=True, check=True).stdout.splitlines()
        return shlex.split(lines[-1])

    def object_of(self, file, text, folder):
        source, made = folder / pathlib.Path(file).name, folder / "mutant.o"
        source.write_text(text)
        command = list(self.compile[file])
        command[command.index("-o") + 1] = str(made)
        for flag in ("-MF", "-MQ"):
            if flag in command:
                command[command.index(flag) + 1] = str(folder / "depends")
        command = [c for c in command if c not in ("-g", "-g3")]
        command[-1] = str(source)
        command[1:1] = ["-iquote", str(ROOT / "ops"), "-w", "-g0", f"-ffile-prefix-map={folder}=."]
        done = subprocess.run(command, cwd=self.build, capture_output=True)
        return made if done.returncode == 0 else None

    def code(self, made):
        stripped = made.with_suffix(".stripped")
        subprocess.run(["strip", "-g", "-o", stripped, made], check=True)
        return stripped.read_bytes()

    def original_code(self, file):
        if file not in self.original:
            with tempfile.TemporaryDirectory() as folder:
                self.original[file] = self.code(self.object_of(file, (ROOT / file).read_text(), pathlib.Path(folder)))
        return self.original[file]

    def survives(self, program, made, folder):
        link = list(self.link[program])
        at = link.index("-o")
        mutated = str(folder / f"test_{program}")
        link[at + 1:at + 2] = [mutated, str(made)]
        subprocess.run(link, cwd=self.build, check=True, capture_output=True)
        own = {"CK_FORK": "no", "AG_THREADS": "1", "AG_TEST_SMALL": "1", "CK_DEFAULT_TIMEOUT": str(SECONDS)}
        try:
            return subprocess.run([mutated], cwd=self.build, env={**os.environ, **own}, capture_output=True,
                                  timeout=SECONDS, preexec_fn=limit_memory).returncode == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            os.unlink(mutated)

    def fate(self, mutant):
        """What became of it: the program that noticed, or "same", "no code", "lives"."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            made = self.object_of(mutant.file, mutant.changed, folder)
            if not made:
                return "no code"
            if self.code(made) == self.original_code(mutant.file):
                return "same"
            return next((p for p in self.programs if not self.survives(p, made, folder)), "lives")


def limit_memory():
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def known():
    """The mutants that no test can notice, and why: a line of the file each, the reason behind it on one of its own."""
    lines = KNOWN.read_text().splitlines() if KNOWN.exists() else []
    return [line for line in lines if line.startswith("ops/")]


def table(rows, path):
    out = ["| file | mutants | noticed | cannot be noticed | live |", "|---|---|---|---|---|"]
    total = [0, 0, 0, 0]
    for file, (noticed, equivalent, alive) in sorted(rows.items()):
        numbers = [noticed + equivalent + alive, noticed, equivalent, alive]
        total = [a + b for a, b in zip(total, numbers)]
        out.append(f"| {file} | " + " | ".join(map(str, numbers)) + " |")
    out.append("| all | " + " | ".join(map(str, total)) + " |")
    path.write_text("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("file", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--table", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    files = args.file or sorted(os.path.relpath(p, ROOT) for p in (ROOT / "ops").glob("*.c"))
    mutants = [m for file in files for text in [(ROOT / file).read_text()] for m in
               (Mutant(file, text, *spot) for spot in spots(text)) if args.only in m.text]
    if args.list:
        print("\n".join(m.text for m in mutants), f"\n{len(mutants)} mutants")
        return 0
    bench, listed, rows, wrong = Bench(args.build.resolve()), set(known()), {}, 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for mutant, fate in zip(mutants, pool.map(bench.fate, mutants)):
            row = rows.setdefault(mutant.file, [0, 0, 0])
            if fate in ("same", "no code"):
                continue
            lives, equivalent = fate == "lives", mutant.text in listed
            row[1 if lives and equivalent else 2 if lives else 0] += 1
            if lives != equivalent:
                wrong += 1
                print(f"{'lives' if lives else 'is listed, but noticed by ' + fate}: line {mutant.line}: {mutant.text}", flush=True)
    counts = [sum(row[k] for row in rows.values()) for k in range(3)]
    print(f"{sum(counts)} mutants: {counts[0]} noticed, {counts[1]} cannot be, {counts[2]} live")
    if args.table:
        table(rows, args.table)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
