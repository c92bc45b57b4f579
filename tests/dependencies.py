"""Which file of the library uses which, read from the source text

A file uses another by including it, and by naming what the other defines: a function, or an object, with external linkage.
All of these are called ag_… and are defined at the left margin. What a header's macros and inline functions name is used by
the source files that use these, but for macros of a function's own name, which note who calls it; and a header without a guard
is part of the files that include it.

The text says the same whatever the build: with options on or off, for any compiler. Names that are declared and whose definition
is not found are listed in `undefined`, so that a definition in a form that this does not know is noticed."""

import functools
import re

POINTER = r"^(?!static\b|extern\b|typedef\b)[\w ]+\(\*(ag_\w+)\)\("
MADE_BY_MACRO = r"^AG_[A-Z0-9_]+\(\s*(ag_\w+)"


LEXEME = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", flags=re.S)


@functools.cache
def without_comments(text):
    """Nor what stands in quotes."""
    return LEXEME.sub(lambda found: " " if found.group(0)[0] == "/" else found.group(0)[0] * 2, text)


@functools.cache
def words(text):
    return frozenset(re.findall(r"\w+", text))


@functools.cache
def directives(code):
    """The text without its directives; and of each macro, by its name, what it stands for, with the parameters."""
    macros = {}
    for name, body in re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:\\\n|[^\n])*)", code, flags=re.M):
        macros[name] = macros.get(name, "") + " " + body
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", "", code, flags=re.M), macros


@functools.cache
def outline(code):
    """What stands outside of braces and parentheses: (text, where its pairs were, which are left as {} and ())."""
    kept, bodies, open_at, depth = [], [], 0, 0
    for at, c in enumerate(code):
        if c in "({":
            if depth == 0:
                kept.append(c)
                open_at = at
            depth += 1
        elif c in ")}" and depth:
            depth -= 1
            if depth == 0:
                kept.append(c)
                bodies.append(code[open_at + 1 : at])
        elif depth == 0:
            kept.append(c)
    return "".join(kept), bodies


FUNCTION = re.compile(r"(?:^|(?<=[;})]))([\w\s*]*?)\b(\w+)\(\)\s*(?:__attribute__\(\)\s*)*\{\}")
PROTOTYPE = re.compile(r"(?:^|(?<=[;})]))([\w\s*]*?)\b(ag_\w+)\(\)\s*(?:__attribute__\(\)\s*)*;")
OBJECT = re.compile(r"(?:^|(?<=[;})]))((?:[\w\s*]|_Alignas\(\))*?)\b(ag_\w+)\s*(?:\[[^\]]*\])*\s*(?==|;)")


@functools.cache
def defined(code):
    """The names with external linkage that a source file defines."""
    plain, _ = directives(code)
    text, _ = outline(plain)
    names = {name for before, name in FUNCTION.findall(text) if "static" not in before.split() and name.startswith("ag_")}
    for before, name in OBJECT.findall(text):
        if before.strip() and not set(before.split()) & {"static", "extern", "typedef", "return"}:
            names.add(name)
    names |= set(re.findall(POINTER, plain, flags=re.M))
    return names | set(re.findall(MADE_BY_MACRO, plain, flags=re.M))


@functools.cache
def declared(code):
    """The functions, and the operations, that a header declares."""
    text, _ = outline(directives(code)[0])
    names = {name for before, name in PROTOTYPE.findall(text) if before.strip() and "typedef" not in before.split()}
    for line in re.findall(r"\bextern\s+(?:const\s+)?\w+\s+([^;()]*);", text):
        names |= set(re.findall(r"ag_\w+", line))
    return names | set(re.findall(r"^extern .*\(\*(ag_\w+)\)", code, flags=re.M))


@functools.cache
def provided(code):
    """Of each macro and inline function of a header, the names in its body."""
    plain, macros = directives(code)
    text, bodies = outline(plain)
    found = {name: words(body) for name, body in macros.items()}
    for match in FUNCTION.finditer(text):
        body = bodies[len(re.findall(r"[{(]", text[: match.end()])) - 1]
        found[match.group(2)] = found.get(match.group(2), frozenset()) | words(body)
    return found


@functools.cache
def included(text):
    return tuple(name.removeprefix("../") for name in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, flags=re.M))


@functools.cache
def bodies_in(headers):
    """Of each macro and inline function of these headers, given as a set of codes, the names in its body."""
    bodies = {}
    for code in headers:
        for name, body in provided(code).items():
            bodies[name] = bodies.get(name, frozenset()) | body
    return bodies


@functools.cache
def named_by(code, headers, templates, functions):
    """The names in a source file, and in what it uses of these headers: all in the templates; not in macros of functions."""
    bodies, named = bodies_in(headers), set(words(code)).union(*map(words, templates))
    waiting = list(named)
    while waiting:
        name = waiting.pop()
        for more in bodies.get(name, frozenset()) - named if name not in functions else ():
            named.add(more)
            waiting.append(more)
    return named


class Uses:
    """Of a tree (its files' texts by their paths): definition[name], the path of the file that has it; symbols[path], the
    names that a source file uses of others; includes[path], the files of the tree that a file includes; undefined."""

    def __init__(self, tree):
        code = {path: without_comments(text) for path, text in tree.items() if path.endswith((".c", ".h"))}
        sources = [path for path in code if path.endswith(".c")]
        headers = [path for path in code if path.endswith(".h")]
        self.includes = {path: [name for name in included(tree[path]) if name in code] for path in code}
        self.definition = {name: path for path in sources for name in defined(code[path])}
        self.undefined = {
            name: path for path in headers for name in declared(code[path])
            if name not in self.definition and name not in provided(code[path])
        }
        templates = {path for path in headers if not re.search(r"^#ifndef \w+_H$", tree[path], flags=re.M)}
        functions = frozenset(self.definition)
        self.symbols = {}
        for path in sources:
            of = self.all_included(path)
            named = named_by(code[path], frozenset(code[header] for header in of),
                             frozenset(code[header] for header in of & templates), functions)
            self.symbols[path] = {name for name in named & functions if self.definition[name] != path}

    def all_included(self, path):
        found, waiting = set(), [path]
        while waiting:
            for name in set(self.includes[waiting.pop()]) - found:
                found.add(name)
                waiting.append(name)
        return found


def circles(arrows):
    """The sets of two or more files that all use each other, sorted: strongly connected components, by Tarjan's algorithm."""
    number, low, stack, found = {}, {}, [], []

    def visit(start):
        waiting = [(start, iter(sorted(arrows.get(start, ()))))]
        number[start] = low[start] = len(number)
        stack.append(start)
        while waiting:
            at, rest = waiting[-1]
            for to in rest:
                if to not in number:
                    number[to] = low[to] = len(number)
                    stack.append(to)
                    waiting.append((to, iter(sorted(arrows.get(to, ())))))
                    break
                if to in stack:
                    low[at] = min(low[at], number[to])
            else:
                waiting.pop()
                if waiting:
                    low[waiting[-1][0]] = min(low[waiting[-1][0]], low[at])
                if low[at] == number[at]:
                    circle = stack[stack.index(at):]
                    del stack[stack.index(at):]
                    if len(circle) > 1:
                        found.append(sorted(circle))

    for path in sorted(arrows):
        if path not in number:
            visit(path)
    return sorted(found)
