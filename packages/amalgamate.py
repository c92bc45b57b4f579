"""Writes the library as two files, autograd.c and autograd.h: amalgamate.py FOLDER

    cc -O2 train.c autograd.c -lm -lpthread

builds a program with it, and nothing more is needed. Each source file of meson.build follows the others, with its headers where they
are first included; autograd.h is all public headers. Names that several files use for different things get the file's name before
them: a file's own functions, variables, types and enumeration constants, wherever they are meant, and not members of the same
name. Macros of a file end with it."""

import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PUBLIC = ["autograd/autograd.h", "nn/nn.h", "io/io.h"]
EACH_TIME = {"autograd/formulas_begin.h", "autograd/formulas_end.h", "autograd/functions.h", "autograd/tape/replay_lanes.h", "autograd/tape/words.h", "ops/dense_kernels.h", "ops/product_tile.h", "ops/product_vector.h"}
DOMAINS = 5  # that a text of formulas is compiled for at most, including itself for each

CONFIG = """\
/* -DAG_BLIS, -DAG_FFTW, -DAG_LAPACK, -DAG_PNG and -DAG_ZLIB use these libraries: link -lblis, -lpng, -lz.
 * FFTW and LAPACK are loaded when something first needs them: link -ldl where the C library has dlopen there.
 * -DAG_HAVE_THREADS=0 makes no threads. valgrind is told which memory has been taken back, if its headers are there:
 * -DAG_HAVE_MEMCHECK=0 does not. */
#ifdef AG_BLIS
#define AG_HAVE_BLIS 1
#else
#define AG_HAVE_BLIS 0
#endif
#ifdef AG_FFTW
#define AG_HAVE_FFTW 1
#else
#define AG_HAVE_FFTW 0
#endif
#ifdef AG_LAPACK
#define AG_HAVE_LAPACK 1
#else
#define AG_HAVE_LAPACK 0
#endif
#ifdef AG_PNG
#define AG_HAVE_PNG 1
#else
#define AG_HAVE_PNG 0
#endif
#ifdef AG_ZLIB
#define AG_HAVE_ZLIB 1
#else
#define AG_HAVE_ZLIB 0
#endif
#ifndef AG_BLIS_HEADER_NESTED
#if defined __has_include
#if __has_include(<blis/blis.h>)
#define AG_BLIS_HEADER_NESTED 1
#endif
#endif
#endif
#ifndef AG_BLIS_HEADER_NESTED
#define AG_BLIS_HEADER_NESTED 0
#endif
#ifndef AG_HAVE_THREADS
#define AG_HAVE_THREADS 1
#endif
#ifndef AG_HAVE_MEMCHECK
#if defined __has_include
#if __has_include(<valgrind/memcheck.h>) && __has_include(<valgrind/helgrind.h>)
#define AG_HAVE_MEMCHECK 1
#endif
#endif
#endif
#ifndef AG_HAVE_MEMCHECK
#define AG_HAVE_MEMCHECK 0
#endif
#ifndef AG_HAVE_TARGETS
#if defined __GNUC__ && defined __x86_64__ && defined __ELF__
#define AG_HAVE_TARGETS 1
#else
#define AG_HAVE_TARGETS 0
#endif
#endif
#ifndef AG_TINY_LIMITS
#define AG_TINY_LIMITS 0
#endif
#ifndef AG_COLLIDE
#define AG_COLLIDE 0
#endif
"""

OPENING = """\
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#define AG_NO_LOCATION
#include "autograd.h"

{config}
/* The bits of results are those of IEEE arithmetic: no fused multiply-adds that the text does not have. Giving up errno and traps
 * changes no result, and lets loops that call exp and its like become vector code. */
#if defined __clang__
#define AG_SIMD _Pragma("clang loop vectorize(assume_safety)")
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wpass-failed" /* that a loop may become vector code does not mean that it must */
#elif defined __GNUC__
#define AG_SIMD _Pragma("GCC ivdep")
#pragma GCC optimize("fp-contract=off", "no-math-errno", "no-trapping-math", "tree-vectorize", "vect-cost-model=dynamic")
#endif
#ifndef AG_SIMD
#define AG_SIMD
#endif
#define AG_SIMD_MOST(most)
#if defined __GNUC__
#define AG_AMALGAMATION_HIDDEN _Pragma("GCC visibility push(hidden)")
#define AG_AMALGAMATION_VISIBLE _Pragma("GCC visibility pop")
#else
#define AG_AMALGAMATION_HIDDEN
#define AG_AMALGAMATION_VISIBLE
#endif
#if defined __GNUC__ && !defined __clang__ && defined __OPTIMIZE__
#define AG_AMALGAMATION_SMALL _Pragma("GCC push_options") _Pragma("GCC optimize(\\"Os\\", \\"no-tree-vectorize\\")")
#define AG_AMALGAMATION_FAST _Pragma("GCC pop_options")
#else
#define AG_AMALGAMATION_SMALL
#define AG_AMALGAMATION_FAST
#endif
AG_AMALGAMATION_HIDDEN
"""

# ---- The lists of meson.build


def sources():
    """The source files, and those of them that are compiled for size."""
    build = (ROOT / "meson.build").read_text(encoding="utf-8")
    lists = {name: re.findall(r"'([\w/]+\.c)'", text) for name, text in re.findall(r"^(\w+)_sources = files\(\n(.*?)^\)", build, flags=re.M | re.S)}
    small = {path for name in ("small", "io", "nn") for path in lists[name]}
    return sorted(path for each in lists.values() for path in each) + ["ops/blis.c"], small


# ---- Including


def visible(line):
    """The line that includes a header of the system, whose functions are not hidden."""
    return f"AG_AMALGAMATION_VISIBLE\n{line}AG_AMALGAMATION_HIDDEN\n" if "<" in line else line


class Includer:
    def __init__(self, done=(), hidden=False):
        self.done = set(done)
        self.hidden = hidden  # the text's own functions are
        self.nested = []

    def resolve(self, name, path):
        beside = (ROOT / path).parent / name
        found = beside if beside.exists() and not (ROOT / name).exists() else ROOT / name
        return found.resolve().relative_to(ROOT).as_posix() if found.exists() else None

    def text(self, path):
        """A file with what it includes; "" for a header that is there already."""
        again = self.nested.count(path)
        if path not in EACH_TIME and path in self.done and not again:
            return ""
        if again == DOMAINS:
            return '#error "a text of formulas is included too often"\n'
        self.done.add(path)
        self.nested.append(path)
        out = []
        for line in (ROOT / path).read_text(encoding="utf-8").splitlines(keepends=True):
            included = re.match(r'\s*#\s*include\s+["<]([\w./]+)[">]', line)
            target = self.resolve(included.group(1), path) if included else None
            if included and included.group(1) == "autograd_config.h":
                continue
            out.append(self.text(target) if target else visible(line) if included and self.hidden else line)
        self.nested.pop()
        return "".join(out)


# ---- Names

# Functions of the C library and of POSIX, whose headers another file includes.
LIBC = set("""abs access close connect div exp floor free index link listen log open pause pipe raise read remove rename round select send
    signal sleep sync time truncate unlink wait write""".split())

TOKEN = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[A-Za-z_]\w*|\.?\d[\w.]*|->|\.\.\.|\s+|.""", re.S)
KEYWORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Bool _Atomic _Thread_local
    _Static_assert _Alignas bool""".split())


def significant(tokens):
    """Indices of the tokens that are neither blanks nor comments, directives left out."""
    line_start, skipping, out = True, False, []
    for i, token in enumerate(tokens):
        if token.isspace():
            if "\n" in token:
                skipping = skipping and i > 0 and tokens[i - 1] == "\\"
                line_start = not skipping
            continue
        if token.startswith(("/*", "//")):
            continue
        if line_start and token == "#":
            skipping = True
        line_start = False
        if not skipping:
            out.append(i)
    return out


def is_name(token):
    return bool(re.match(r"[A-Za-z_]\w*$", token)) and token not in KEYWORDS


def file_scope_names(text):
    """The names that a source file gives to its own functions, variables, types, tags and enumeration constants."""
    tokens = TOKEN.findall(text)
    order = significant(tokens)
    words = [tokens[i] for i in order]
    names, depth, start = set(), 0, 0
    i = 0
    while i < len(words):
        word = words[i]
        if depth == 0 and word in ("struct", "union", "enum") and i + 1 < len(words):
            tag = words[i + 1] if is_name(words[i + 1]) else None
            brace = i + 1 + (tag is not None)
            if brace < len(words) and words[brace] == "{":
                if tag and not tag.startswith("ag"):
                    names.add(tag)
                end, level = brace + 1, 1
                fresh = True
                while level:
                    level += words[end] == "{"
                    level -= words[end] == "}"
                    if word == "enum" and level == 1 and fresh and is_name(words[end]):
                        names.add(words[end])
                    fresh = words[end] in ("{", ",") and level == 1
                    end += 1
                i = end
                if word == "enum" and words[brace + 1] not in "},":
                    first = words[brace + 1]
                    if is_name(first):
                        names.add(first)
                continue
        if word in "([{":
            if word == "{" and depth == 0:
                declared(words[start:i], names)
            depth += 1
        elif word in ")]}":
            depth -= 1
            if word == "}" and depth == 0 and not (i + 1 < len(words) and words[i + 1] in (";", ",", "=")) and words[start] != "typedef":
                start = i + 1
        elif word == ";" and depth == 0:
            declared(words[start:i], names)
            start = i + 1
        i += 1
    return {name for name in names if not name.startswith(("ag_", "ag__", "AG_"))}


def declared(words, names):
    """The name of one declaration at file scope, if it is the file's own."""
    if words and words[0] in ("AG_BLOCK_KERNEL", "AG_KERNEL"):
        names.add(words[words.index(",") + 1])
        return
    if not {"static", "typedef", "AG__ALWAYS_INLINE"} & set(words):
        return
    if words and words[0] == "_Static_assert":
        return
    depth, last = 0, None
    for i, word in enumerate(words):
        if word == "=" and depth == 0:
            break
        if word in "([{":
            inside = i + 2 < len(words) and word == "(" and depth == 0 and words[i + 1] == "*" and is_name(words[i + 2])
            if inside and last is None or inside and words[i - 1] in KEYWORDS:
                names.add(words[i + 2])
                return
            if word == "(" and depth == 0 and last and words[i - 1] != "__attribute__":
                names.add(last)
                return
            depth += 1
        elif word in ")]}":
            depth -= 1
        elif depth == 0 and is_name(word) and word != "__attribute__":
            last = word
        elif depth == 0 and word == ",":
            if last:
                names.add(last)
    if last:
        names.add(last)


def renamed(text, names, prefix):
    """The text with these names behind a prefix, except where they are members of a struct."""
    tokens = TOKEN.findall(text)
    solid = [i for i, t in enumerate(tokens) if not t.isspace() and not t.startswith(("/*", "//"))]
    braces = []  # True: of a struct or union
    brackets, included = 0, False
    for at, i in enumerate(solid):
        token = tokens[i]
        before = tokens[solid[at - 1]] if at else ""
        after = tokens[solid[at + 1]] if at + 1 < len(solid) else ""
        if token == "#":
            included = after == "include"
        elif included and "\n" in "".join(tokens[solid[at - 1] + 1 : i]):
            included = False
        brackets += (token == "[") - (token == "]")
        if token == "{":
            earlier = tokens[solid[at - 2]] if at > 1 else ""
            braces.append(before in ("struct", "union") or earlier in ("struct", "union"))
        elif token == "}" and braces:
            braces.pop()
        elif token in names and before not in (".", "->") and not included:
            declarator = after in ("[", ";", ",", ":", ")", "=") and before not in ("struct", "union", "enum")
            member = braces and braces[-1] and declarator and brackets == 0
            formula = before == "(" and tokens[solid[at - 2]].startswith("AG_FORMULA")
            if not member and not formula:
                tokens[i] = prefix + token
    return "".join(tokens)


def macros_ended(text):
    """#undef of each macro that a source file defines."""
    names = re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", text, flags=re.M)
    own = dict.fromkeys(n for n in names if not n.startswith(("AG_HAVE", "_")))
    return "".join(f"#undef {name}\n" for name in own)


# ---- The two files


def version():
    build = (ROOT / "meson.build").read_text(encoding="utf-8")
    number = re.search(r"version: '([^']*)'", build).group(1)
    try:
        commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = ""
    return number + (f", commit {commit}" if commit else "")


def notice(name, what):
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8").strip().replace("*/", "* /")
    return f"/* {name} -- {what}\n *\n * autograd {version()}. Made by packages/amalgamate.py from the library's source files.\n *\n" + "".join(
        f" * {line}".rstrip() + "\n" for line in licence.splitlines()) + " */\n"


def header():
    includer = Includer()
    body = "".join(includer.text(path) for path in PUBLIC)
    return notice("autograd.h", "all public headers of autograd") + "#ifndef AG_AMALGAMATION_H\n#define AG_AMALGAMATION_H\n\n" + body + "\n#endif\n", includer.done


def templates_of(text, path, includer):
    """The names in the templates that a source file includes, which are not renamed: the other files' are."""
    names = set()
    for name in re.findall(r'^\s*#\s*include\s+"([\w./]+)"', text, flags=re.M):
        target = includer.resolve(name, path)
        if target in EACH_TIME or (target and "_formulas" in target):
            tokens = TOKEN.findall((ROOT / target).read_text(encoding="utf-8"))
            names.update(tokens[i] for i in significant(tokens) if is_name(tokens[i]))
    return names


def source(done):
    includer, bodies = Includer(done, True), []
    paths, small = sources()
    for path in paths:
        own = []
        for line in (ROOT / path).read_text(encoding="utf-8").splitlines(keepends=True):
            if re.match(r"\s*#\s*define\s+(_POSIX_C_SOURCE|_GNU_SOURCE|_FILE_OFFSET_BITS)\b", line):
                continue
            own.append(line)
        bodies.append((path, "".join(own)))
    counted = collections.Counter(name for _, text in bodies for name in file_scope_names(text))
    out = [notice("autograd.c", "the whole of autograd"), OPENING.format(config=CONFIG)]
    for path, text in bodies:
        shared = {name for name in file_scope_names(text) if counted[name] > 1 or name in LIBC}
        shared -= templates_of(text, path, includer)
        text = renamed(text, shared, path.removesuffix(".c").replace("/", "_") + "_")
        lines = []
        for line in text.splitlines(keepends=True):
            included = re.match(r'\s*#\s*include\s+"([\w./]+)"', line)
            target = includer.resolve(included.group(1), path) if included else None
            system = re.match(r"\s*#\s*include\s+<", line)
            lines.append(includer.text(target) if target else visible(line) if system else line)
        body = "".join(lines) + macros_ended(text)
        if path == "ops/blis.c":
            body = f"#if AG_HAVE_BLIS\n{body}#endif\n"
        body = f"AG_AMALGAMATION_SMALL\n{body}AG_AMALGAMATION_FAST\n" if path in small else body
        out.append(f"\n/* ==== {path} ==== */\n\n{body}")
    out.append("AG_AMALGAMATION_VISIBLE\n")
    return "".join(out)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    text, done = header()
    (folder / "autograd.h").write_text(text, encoding="utf-8")
    (folder / "autograd.c").write_text(source(done), encoding="utf-8")


if __name__ == "__main__":
    main()
