#!/usr/bin/env python3
"""mutate -- whether the tests notice a wrong vjp or infer: mutate.py [OPTION...] BUILD [FILE...]

Changes one spot at a time of each vjp and each infer, and of what they call in their file or, if its name is private to
the library, in ops/; and runs the tests until one fails. A mutant that no test notices lives. One that cannot be noticed is
listed in mutants.txt with the reason, and must live.

A function and all its mutants are compiled together, and a number chooses among them as it is called: so the library is
built once for all. The tests are linked with mutate_runner.c, which forks for each mutant. A first run of each test without
mutants says which functions it calls, and how long it takes; a second one, in a child, that it passes there. A mutant is
given only tests that call its function, quick ones first, and those that noticed other mutants of the function before any.

    --jobs N       so many at a time (2)
    --seconds S    tests for at most so long for each mutant (no limit)
    --table        write the result to docs/mutation.md, for all files
    --only TEXT    those whose description contains TEXT
    --today        those of one file, another each day
    --again        ask again about mutants that were noticed before, and listed ones that lived
    --known        ask about none, for a table of what is known
    --list         only list them

BUILD is a build folder with the tests, up to date. FILE has vjps or infers, all that have if none is given. Exits with 1 if a
mutant lives that is not listed, or a listed one does not."""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KNOWN = ROOT / "tests/mutants.txt"
PAGE = ROOT / "docs/mutation.md"
FOLDERS = ["ops", "nn", "autograd/tape", "autograd/diff"]

# The tests that look at operations.
PROGRAMS = """inference ops special reduce shape linalg kinks errors numeric tensordot matmul narrow sums transforms sequence attributes grad
ends exact memory sizes formula distributions draws nn layers losses nets initialisers gradcheck replay explain compile plain
systems_1 systems_2 systems_3 systems_4 systems_5""".split()

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
SWAPS = {"ag_sub", "ag_div", "ag_matmul", "ag__slope_div", "ag_strong_div", "ag_less", "ag_less_equal", "ag_greater", "ag_pow", "ag_where"}


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


# The parameters of the vjp that a rule makes, and what it declares.
RULES = {"AG_UNARY": "ag_tensor *x = y->input[0];", "AG_BINARY": "ag_tensor *a = y->input[0], *b = y->input[1];",
         "AG_WITH_NUMBER": "ag_tensor *x = y->input[0]; const double s = *(const double *)ag__attributes(y);"}


class Function:
    """A function or the vjp of a rule: its name, the tokens of its body, and of its head."""

    def __init__(self, name, first, end, head, rule=None):
        self.name, self.first, self.end, self.head, self.rule = name, first, end, head, rule


def functions(tokens):
    """The functions of a file and the rules of its operations, by name."""
    found, depth, k = {}, 0, 0
    while k < len(tokens):
        t = tokens[k]
        if t.text == "{" and depth == 0 and tokens[k - 1].text == ")":
            opened = next(i for i in range(k - 1, -1, -1) if tokens[i].text == "(" and closing(tokens, i) == k - 1)
            end, head = closing(tokens, k), opened - 1
            while head and (tokens[head - 1].kind == "name" or tokens[head - 1].text == "*"):
                head -= 1
            found[tokens[opened - 1].text] = Function(tokens[opened - 1].text, k + 1, end, (head, opened))
            k = end
        elif depth == 0 and t.text in RULES and tokens[k + 1].text == "(":
            cotangents = arguments(tokens, k + 1)[2:4 if t.text == "AG_BINARY" else 3]
            name = tokens[k + 2].text + "_vjp"
            found[name] = Function(name, cotangents[0][0], cotangents[-1][1] + 1, (k, cotangents), t.text)
            k = closing(tokens, k + 1)
        else:
            depth += (t.text == "{") - (t.text == "}")
        k += 1
    return found


def roots(source):
    """The vjps and infers of a file: what entries name. Macros of ops/ name more."""
    named = set(re.findall(r"\.(?:vjp|infer) = (\w+)", source.text))
    return [name for name in source.functions if name in named or
            source.file.startswith("ops/") and re.search(r"(_|^)(vjp|infer)$", name)]


class Source:
    def __init__(self, file):
        self.file, self.text = file, (ROOT / file).read_text()
        self.tokens = tokens_of(self.text)
        self.functions = functions(self.tokens)
        self.chosen = []

    def called(self, name):
        f = self.functions[name]
        return [t.text for t in self.tokens[f.first:f.end] if t.kind == "name" and not t.text.startswith("ag__op_")]


# The numbers of the mutants of a file begin a multiple of this behind the others', so that a change of one moves no other's.
APART_BY = 1000


def sources():
    """The files with vjps or infers, and in each the names of what is changed."""
    found = [Source(os.path.relpath(p, ROOT)) for folder in FOLDERS for p in sorted((ROOT / folder).glob("*.c"))]
    private = {name: s for s in found if s.file.startswith("ops/") for name in s.functions if name.startswith("ag__")}
    todo = [(s, name) for s in found for name in roots(s)]
    while todo:
        s, name = todo.pop()
        if name in s.chosen:
            continue
        s.chosen.append(name)
        for other in s.called(name):
            if other in s.functions and not re.match(r"ag_[^_]", other):  # public functions record operations of their own
                todo.append((s, other))
            elif other in private:
                todo.append((private[other], other))
    for s in found:
        s.chosen.sort(key=lambda name: s.functions[name].first)
    return [s for s in found if s.chosen]


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


def spots(source, name):
    """Each change of a function: its first and last character, and what is there instead."""
    text, tokens, f = source.text, source.tokens, source.functions[name]
    for k in range(f.first, f.end):
        t, changes = tokens[k], []
        if t.kind == "name" and k + 1 < f.end and tokens[k + 1].text == "(":
            changes += calls(text, tokens, k)
        if t.text in OTHERS:
            changes.append((t.start, t.end, OTHERS[t.text]))
        elif t.kind == "number":
            if tokens[k - 1].text + t.text + tokens[k + 1].text != "{0}":  # the usual form of an initialiser without elements
                changes += [(t.start, t.end, n) for n in numbers(t)]
        elif t.text == "-" and not is_binary(tokens, k):
            changes.append((t.start, t.end, " "))
        elif t.text in OPERATORS and (t.text == "!" or t.text in ("++", "--") or is_binary(tokens, k)):
            if not (t.text in "*&" and (is_pointer(tokens, k) or not is_binary(tokens, k))):
                changes += [(t.start, t.end, o) for o in OPERATORS[t.text]]
        yield from changes


class Mutant:
    def __init__(self, source, function, start, end, new, number):
        text, f = source.text, source.functions[function]
        self.source, self.file, self.function, self.number = source, source.file, function, number
        self.start, self.end, self.new = start, end, new
        self.line = text.count("\n", 0, start) + 1
        begin, stop = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        squeezed = lambda s: " ".join(s.split())
        self.text = f"{self.file}: {function}: {squeezed(text[begin:stop])} | {squeezed(text[start:end])} | {squeezed(new)}"
        same = text[begin:start].count(text[start:end])
        self.text += f" | {same + 1}" if same else ""
        tokens = source.tokens
        self.key = hashlib.sha1((self.text + text[tokens[f.first].start:tokens[f.end - 1].end]).encode()).hexdigest()

    def changed(self, a, b):
        """The text between two characters, changed if the spot is there."""
        text = self.source.text
        return text[a:self.start] + self.new + text[self.end:b] if a <= self.start < b else text[a:b]


def parameters(tokens, opened):
    """The names of a function's parameters, whose parenthesis is at opened."""
    names = []
    for a, b in arguments(tokens, opened):
        words = [k for k in range(a, b + 1) if tokens[k].kind == "name"]
        pointer = next((k for k in range(a, b) if tokens[k].text == "(" and tokens[k + 1].text == "*"), None)
        array = next((k for k in range(a, b + 1) if tokens[k].text == "["), None)
        if pointer is not None:
            names.append(tokens[pointer + 2].text)
        elif array is not None:
            names.append(tokens[array - 1].text)
        elif not (a == b and tokens[a].text == "void"):
            names.append(tokens[words[-1]].text)
    return names


NOT_ASKED = "?"
NOT_INLINED = "__attribute__((noipa, used)) "


class Schema:
    """A file with all mutants of its functions in it, which ag__mutant chooses."""

    def __init__(self, source, mutants, places):
        self.source, self.mutants, self.places = source, mutants, places
        self.lines = {}  # of the mutants, in the file that is written

    def write(self, path):
        source, out, at = self.source, ["extern int ag__mutant;\nextern unsigned char ag__reached[];\n"], 0
        self.lines = {}
        for name in source.chosen:
            f, tokens = source.functions[name], source.tokens
            own = [m for m in self.mutants if m.function == name]
            start = tokens[f.head[0]].start
            out.append(source.text[at:start])
            at = (self.rule if f.rule else self.function)(out, f, own)
        out.append(source.text[at:])
        path.write_text("".join(out))

    def note(self, out, mutant, text):
        self.lines[mutant] = (sum(piece.count("\n") for piece in out) + 1, text.count("\n"))
        out.append(text)

    def function(self, out, f, own):
        tokens, text = self.source.tokens, self.source.text
        head, opened = f.head
        type_ = " ".join(t.text for t in tokens[head:opened - 1] if t.text not in ("static", "inline", "AG_API", "extern"))
        close = closing(tokens, opened)
        params = text[tokens[opened].start:tokens[close].end]
        body = tokens[close + 1].start, tokens[f.end].end
        whole = text[tokens[head].start:tokens[close].end]
        out.append(whole + ";\n")
        for m in [None] + own:
            number = m.number if m else 0
            one = f"{NOT_INLINED}static {type_} {f.name}__{number}{params}" + (m.changed(*body) if m else text[body[0]:body[1]]) + "\n"
            self.note(out, m, one)
        args, returns = ", ".join(parameters(tokens, opened)), type_ != "void"
        cases = "".join(f" case {m.number}: " + (f"return {f.name}__{m.number}({args});" if returns else
                                                 f"{f.name}__{m.number}({args}); return;") for m in own)
        cases += "" if own else " case -1: break;"
        out.append(whole + f" {{ ag__reached[{self.places[f.name]}] = 1; switch (ag__mutant) {{{cases} }} ")
        out.append(text[tokens[close + 1].end:body[1]] + "\n")
        return body[1]

    def rule(self, out, f, own):
        tokens, text = self.source.tokens, self.source.text
        k, cotangents = f.head
        spans = [(tokens[a].start, tokens[b].end) for a, b in cotangents]
        for m in [None] + own:
            bars = [m.changed(*s) if m else text[s[0]:s[1]] for s in spans]
            value = bars[0] if len(bars) == 1 else f"i == 0 ? ({bars[0]}) : ({bars[1]})"
            self.note(out, m, f"{NOT_INLINED}static ag_tensor *{f.name}__{m.number if m else 0}(ag_tensor *y, ag_tensor *g, int i) "
                      f"{{ {RULES[f.rule]} return (void)y, (void)g, (void)i, ({value}); }}\n")
        cases = "".join(f"ag__mutant == {m.number} ? {f.name}__{m.number}(y, g, i) : " for m in own)
        bars = [f"(ag__reached[{self.places[f.name]}] = 1, {cases}({text[a:b]}))" for a, b in spans]
        out.append(text[tokens[k].start:spans[0][0]] + bars[0])
        for (_, before), (after, _), bar in zip(spans, spans[1:], bars[1:]):
            out.append(text[before:after] + bar)
        return spans[-1][1]


class Bench:
    """The library with all mutants in it, and the tests linked with that."""

    def __init__(self, build, found, mutants, folder, jobs):
        self.build, self.folder, self.jobs = build, folder, jobs
        self.folder.mkdir(parents=True, exist_ok=True)
        self.places = {(s.file, name): i * APART_BY + k for i, s in enumerate(found) for k, name in enumerate(s.chosen)}
        self.compile = {os.path.relpath((build / c["file"]).resolve(), ROOT):
                        [w for w in shlex.split(c["command"]) if w != "ccache"]
                        for c in json.loads((build / "compile_commands.json").read_text())}
        self.none = set()
        self.objects = []
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            changed = [s for s in found if any(m.source is s for m in mutants)]
            self.objects = list(pool.map(lambda s: self.compiled(s, [m for m in mutants if m.source is s]), changed))
        common = self.folder / "common.c"
        common.write_text(f"int ag__mutant, ag__places = {len(found) * APART_BY};\nunsigned char ag__reached[{len(found) * APART_BY}];\n")
        for name in (common, ROOT / "tests/mutate_runner.c"):
            self.objects.append(self.folder / (name.stem + ".o"))
            subprocess.run(["cc", "-O2", "-g", "-D_GNU_SOURCE", "-std=c17", "-c", name, "-o", self.objects[-1]], check=True)
        self.programs = [p for p in PROGRAMS if (build / "tests" / f"test_{p}").exists()]
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            self.tests = dict(zip(self.programs, pool.map(self.recorded, self.programs)))

    # As the suite runs under UndefinedBehaviorSanitizer and valgrind, too: an index outside its array is noticed, and a
    # variable without a value.
    CHECKED = ["-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]

    def command(self, file, source, made, more):
        command = list(self.compile[file])
        command[command.index("-o") + 1] = str(made)
        for flag in ("-MF", "-MQ"):
            if flag in command:
                command[command.index(flag) + 1] = str(made) + ".d"
        command = [c for c in command if not re.match(r"-W|-g", c)]
        command[-1] = str(source)
        command[1:1] = ["-iquote", str((ROOT / file).parent), "-w"]
        return command + ["-fdiagnostics-color=never"] + more

    def compiled(self, source, mutants):
        """The object of a file, without the mutants that do not compile."""
        stem = self.folder / source.file.replace("/", "_")[:-2]
        path, made, memo = stem.with_suffix(".c"), stem.with_suffix(".o"), stem.with_suffix(".json")
        schema = Schema(source, mutants, {name: self.places[source.file, name] for name in source.chosen})
        schema.write(path)
        digest = hashlib.sha1(" ".join(self.CHECKED).encode() + path.read_bytes() + b"".join(p.read_bytes() for p in headers())).hexdigest()
        known = json.loads(memo.read_text()) if memo.exists() else {}
        if known.get("digest") != digest or not made.exists():
            left = {m.key for m in self.build_one(schema, path, made)}
            known = {"digest": digest, "none": [m.key for m in mutants if m.key not in left]}
            memo.write_text(json.dumps(known))
        self.none |= set(known["none"])
        return made

    def build_one(self, schema, path, made):
        while True:
            done = subprocess.run(self.command(schema.source.file, path, made, self.CHECKED), cwd=self.build, capture_output=True, text=True)
            if done.returncode == 0:
                break
            wrong = [int(n) for n in re.findall(rf"{re.escape(path.name)}:(\d+):\d+: error", done.stderr)]
            bad = [m for m, (first, n) in schema.lines.items() if m and any(first <= w < first + n for w in wrong)]
            if not bad:
                sys.exit(f"{path} does not compile:\n{done.stderr[:3000]}")
            schema.mutants = [m for m in schema.mutants if m not in bad]
            schema.write(path)
        return schema.mutants

    def program(self, name):
        return self.folder / f"test_{name}"

    def recorded(self, name):
        """The tests of a program: what each calls, and how long it takes."""
        lines = subprocess.run(["ninja", "-C", self.build, "-t", "commands", "-s", f"tests/test_{name}"], capture_output=True,
                               text=True, check=True).stdout.splitlines()
        link = [w for w in shlex.split(lines[-1]) if "libcheck" not in w and "subunit" not in w]
        link[link.index("-o") + 1:link.index("-o") + 2] = [str(self.program(name))] + [str(o) for o in self.objects]
        subprocess.run(link, cwd=self.build, check=True, capture_output=True)
        own = self.build / "tests" / f"test_{name}.p"
        digest = hashlib.sha1(b"".join(p.read_bytes() for p in
                                       sorted(own.glob("*.o")) + sorted((self.build / "tests/libsupport.a.p").glob("*.o"))))
        digest.update(json.dumps([list(k) + [place] for k, place in self.places.items()] + [str(o) for o in self.objects]).encode())
        memo = self.folder / f"test_{name}.json"
        known = json.loads(memo.read_text()) if memo.exists() else {}
        if known.get("digest") != digest.hexdigest():
            done = subprocess.run([self.program(name)], cwd=self.build, env=environment("record"), capture_output=True, text=True)
            tests = [line.partition(":") for line in done.stdout.splitlines()]
            if not tests or tests[-1][0] != "end":
                print(f"test_{name} ends early without mutants", file=sys.stderr)
            names = [line[0].split() for line in tests if line[0] != "end"]
            places = [[int(p) for p in line[2].split()] for line in tests if line[0] != "end"]
            known = {"digest": digest.hexdigest(),
                     "tests": [[int(n[0]), n[1], int(n[2]), float(n[3]), p] for n, p in zip(names, places) if n[4] == "1"],
                     "failing": [f"{n[1]} {n[2]}" for n in names if n[4] != "1"]}
            memo.write_text(json.dumps(known))
            if known["failing"]:
                print(f"test_{name}: not used, as they fail without mutants: {', '.join(known['failing'][:9])}", file=sys.stderr)
        return known["tests"]


def headers():
    return sorted(p for folder in ("ops", "autograd", "nn") for p in (ROOT / folder).rglob("*.h"))


def environment(way, **more):
    return {**os.environ, "MUTATE": way, "AG_THREADS": "1", "AG_TEST_SMALL": "1", "CK_FORK": "no", **more}


class Judge:
    """A worker with a process of each program, which forks for each mutant."""

    def __init__(self, bench, seconds, say=False):
        self.bench, self.seconds, self.servers, self.say = bench, seconds, {}, say

    def ask(self, program, number, tests):
        """The test that noticed the mutant of this number, or None."""
        if program not in self.servers:
            env = environment("serve", **({"MUTATE_SECONDS": str(self.seconds)} if self.seconds else {}),
                              **({"MUTATE_SAY": "1"} if self.say else {}))
            self.servers[program] = subprocess.Popen([self.bench.program(program)], cwd=self.bench.build, env=env, text=True,
                                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        server = self.servers[program]
        line = " ".join([str(number)] + [f"{t[0]}:{int(t[3] * 10000) + 500}" for t in tests])
        server.stdin.write(line + "\n")
        server.stdin.flush()
        while True:
            answer = server.stdout.readline().split(" ", 1)
            if answer[0] == "#":
                continue
            if not answer[0]:
                raise RuntimeError(f"test_{program} has ended")
            n = int(answer[0])
            return None if n < 0 else (n, answer[1].strip())

    def close(self):
        for server in self.servers.values():
            server.stdin.close()
            server.wait()


class Hunt:
    def __init__(self, bench, mutants, seconds):
        self.bench, self.seconds = bench, seconds
        self.lock, self.local, self.judges = threading.Lock(), threading.local(), []
        for program in bench.tests:
            self.control(program)
        self.reaching = collections.defaultdict(list)  # a function: tests that call it, with their programs
        for program, tests in bench.tests.items():
            for t in tests:
                for place in t[4]:
                    self.reaching[place].append((program, t))
        self.good = collections.defaultdict(collections.Counter)  # a function: tests that noticed its mutants

    def control(self, program):
        """Leaves out tests of a program that fail in a child without any change: they would notice everything."""
        left, wrong = self.bench.tests[program], []
        while left:
            seen = self.judge().ask(program, 0, left)
            if not seen:
                break
            at = next(k for k, t in enumerate(left) if t[0] == seen[0])
            wrong.append(left[at])
            left = left[at + 1:]
        for t in wrong:
            self.bench.tests[program].remove(t)
        if wrong:
            print(f"test_{program}: not used, as they fail in a child: {', '.join(f'{t[1]} {t[2]}' for t in wrong[:9])}", file=sys.stderr)

    def judge(self):
        if not hasattr(self.local, "judge"):
            self.local.judge = Judge(self.bench, self.seconds)
            with self.lock:
                self.judges.append(self.local.judge)
        return self.local.judge

    def fate(self, mutant):
        """The test that noticed it as a text, or None, and the seconds it took."""
        start = time.monotonic()
        place = self.bench.places[mutant.file, mutant.function]
        reaching = self.reaching[place]
        with self.lock:
            best = [key for key, _ in self.good[place].most_common(40)]
        first = {key: t for p, t in reaching for key in [(p, t[0])] if key in best}
        batches = [(p, [first[p, n]]) for p, n in best]
        groups = collections.defaultdict(list)
        for p, t in reaching:
            if (p, t[0]) not in first:
                groups[p].append(t)
        for p, tests in groups.items():
            tests.sort(key=lambda t: t[3])
        # Quick tests of all programs, then the others.
        quick = [(p, [t for t in tests if t[3] < 0.02]) for p, tests in groups.items()]
        slow = [(p, [t for t in tests if t[3] >= 0.02]) for p, tests in groups.items()]
        cost = lambda batch: sum(t[3] for t in batch[1])
        batches += sorted(quick, key=cost) + sorted(slow, key=cost)
        spent = 0
        for p, tests in batches:
            if not tests:
                continue
            seen = self.judge().ask(p, mutant.number, tests)
            spent += sum(t[3] for t in tests)
            if seen:
                with self.lock:
                    self.good[place][p, seen[0]] += 1
                name = next(f"{t[1]} {t[2]}" for t in tests if t[0] == seen[0])
                return f"test_{p}: {name}: {seen[1]}", time.monotonic() - start
            if self.seconds and spent > self.seconds:
                break
        return None, time.monotonic() - start

    def close(self):
        for judge in self.judges:
            judge.close()


def known():
    """The mutants that no test can notice, and why: the line above theirs that begins with #."""
    found, reason = {}, ""
    for line in KNOWN.read_text().splitlines() if KNOWN.exists() else []:
        if line.startswith("#"):
            reason = line[1:].strip()
        elif line.strip():
            found[line.strip()] = reason
    return found


def blob(text):
    """Git's name of a file's content, which git rev-parse HEAD:FILE prints as well."""
    content = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()[:10]


def listed_by_reason(them):
    """Mutants below their reasons."""
    reasons, out = {}, []
    for m, reason in them:
        reasons.setdefault(reason, []).append(m)
    for reason, own in reasons.items():
        out += [reason, ""] + [f"- `{m.text.replace('`', '')}`" for m in own] + [""]
    return out


def page(rows, asked, equivalent, living, counts, tests):
    out = ["# Mutation", "",
           "Do the tests notice a wrong derivative? `tests/mutate.py` changes each vjp and each `infer` one spot at a time, and what they",
           "call: a sign, a factor left out, operands swapped, an axis or a number by one, a comparison, a constant. Each changed library is",
           "a mutant, and some test must fail with it. `./dev mutate` does this for all files or those named, and fails if a mutant lives that",
           "is not listed below. This page is written by `./dev mutate --table`.", "",
           "Left out are mutants that do not compile, and formulas of operations, whose values other tests compare.", "",
           f"{tests} tests took part. The source is Git's name of the file's content when it was asked (`git rev-parse HEAD:FILE`): a file with",
           "another name has changed since.", "",
           "| file | source | mutants | noticed | cannot be noticed | live | not asked yet |", "|---|---|---|---|---|---|---|"]
    for file, row in sorted(rows.items()):
        out.append(f"| `{file}` | {asked[file]} | {sum(row)} | {row[0]} | {row[1]} | {row[2]} | {row[3]} |")
    out += [f"| all | | {sum(counts)} | {counts[0]} | {counts[1]} | {counts[2]} | {counts[3]} |", ""]
    if living:
        out += ["## Those that live", ""] + listed_by_reason([(m, "No test has noticed these yet.") for m in living])
    out += ["## Those that cannot be noticed", "",
            "What such a mutant computes is the same, for the reason given. A change is written as the line of the source, what is changed in",
            "it, and into what. The list is `tests/mutants.txt`, and a mutant in it that a test does notice is an error.", ""]
    return "\n".join(out + listed_by_reason(equivalent)).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("file", nargs="*")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--today", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_intermixed_args()  # files also behind options
    if args.table and (args.file or args.today or args.only):
        parser.error("--table is for all files")
    found, mutants = sources(), []
    if args.today:
        args.file = [found[int(time.time()) // 86400 % len(found)].file]
    for i, s in enumerate(found):
        own = [(name, spot) for name in s.chosen for spot in spots(s, name)]
        mutants += [Mutant(s, name, *spot, i * APART_BY + k + 1) for k, (name, spot) in enumerate(own)
                    if not args.file or s.file in args.file]
    chosen = [m for m in mutants if args.only in m.text]
    if args.list:
        print("\n".join(m.text for m in chosen), f"\n{len(chosen)} mutants")
        return 0
    start = time.monotonic()
    build = args.build.resolve()
    bench = Bench(build, found, mutants, build / ("mutate-some" if args.file else "mutate"), args.jobs)
    print(f"compiled and recorded in {time.monotonic() - start:.0f} s: {len(mutants)} mutants, {len(bench.none)} that do not compile, "
          f"{sum(map(len, bench.tests.values()))} tests of {sum(t[3] for tests in bench.tests.values() for t in tests):.0f} s", flush=True)
    memo = bench.folder / "fates.json"
    fates = json.loads(memo.read_text()) if memo.exists() and not args.again else {}
    hunt = None if args.known else Hunt(bench, mutants, args.seconds)
    listed, wrong, rows, living, spent = known(), 0, {}, [], 0
    for text in sorted(listed.keys() - {m.text for m in mutants}) if not args.file else []:
        wrong += 1
        print(f"is listed, but there is no such change: {text}", flush=True)
    chosen = [m for m in chosen if m.key not in bench.none]
    def fate(m):
        known = fates.get(m.key)  # who noticed it, or None
        if known and bool(known[0]) != (m.text in listed):
            return known
        return (NOT_ASKED, 0) if args.known else hunt.fate(m)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for k, (m, (noticed, took)) in enumerate(zip(chosen, pool.map(fate, chosen))):
            row = rows.setdefault(m.file, [0, 0, 0, 0])
            row[3 if noticed == NOT_ASKED else 0 if noticed else 1 if m.text in listed else 2] += 1
            if noticed == NOT_ASKED:
                continue
            spent += took
            if not noticed and m.text not in listed:
                living.append(m)
            fates[m.key] = (noticed, took)
            if (m.text in listed) == bool(noticed):
                wrong += 1
                print(f"{'is listed, but noticed by ' + noticed if noticed else 'lives'}: line {m.line}: {m.text}", flush=True)
            if k % 50 == 0:
                memo.write_text(json.dumps(fates))
    memo.write_text(json.dumps(fates))
    if hunt:
        hunt.close()
    counts = [sum(row[k] for row in rows.values()) for k in range(4)]
    print(f"{sum(counts)} mutants: {counts[0]} noticed, {counts[1]} cannot be, {counts[2]} live, {counts[3]} were not asked, {spent:.0f} s")
    if args.table:
        equivalent = [(m, listed[m.text]) for m in chosen if m.text in listed]
        PAGE.write_text(page(rows, {s.file: blob(s.text) for s in found}, equivalent, living, counts, sum(map(len, bench.tests.values()))))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
