"""Checks what the source tree promises: check_tree.py [--self-test | --draw] [ROOT]

Which folder may use what, and that the page on design draws it so; that public declarations have their comments, macros
and tests; that operations, sources, files and tests are listed where they must be; that the library takes memory in one place
and never prints or exits. With --self-test each rule is shown a tree that breaks it, and must say so, but not in a quick run.
With --draw it prints the drawing of the folders for the page on design."""

import functools
import importlib.util
import os
import pathlib
import re
import sys

import sizes
from dependencies import Uses, circles, declared, without_comments, words

LIBRARY = ["autograd", "io", "nn", "ops"]

# Functions that return a tensor and are no operations: they have an Errors line, but no Shape, Dtype, Grad and Source.
NOT_OPERATIONS = set("""
    ag_adopt
    ag_adam_first_moment ag_adam_second_moment ag_apply ag_apply_source ag_from ag_gradient ag_hessian ag_hvp ag_input ag_jacobian ag_keep ag_label ag_located
    ag_ones ag_parameter ag_parameter_from ag_part_of ag_rmsprop_mean_square ag_rmsprop_velocity ag_scalar ag_sgd_velocity ag_tape_set_part ag_variable ag_variable_from ag_wrap ag_zero_vjp ag_zeros
""".split())

FORBIDDEN_CALLS = "malloc calloc realloc free aligned_alloc posix_memalign strdup strndup abort exit _Exit assert " \
    "printf puts putchar perror vprintf".split()

# The locale has a say in these, which are called in one file.
LOCALE_CALLS = "snprintf vsnprintf sprintf vsprintf fprintf vfprintf strtod strtof strtold atof sscanf fscanf setlocale " \
    "localeconv isalpha isalnum isspace isupper islower tolower toupper".split()

ALLOWED_CALLS = {("autograd/tape/memory.c", name) for name in ("aligned_alloc", "free", "malloc")}

# Each folder uses only itself and those of lower numbers.
LEVEL = {
    "autograd/tape": 0, "autograd/eval": 1, "ops": 2, "autograd/diff": 3, "autograd/report": 4, "nn": 5, "io": 5, "examples": 6,
}

# The engine's basis: what it records and evaluates by itself, though ops/ defines it.
BASIS = {"ag__broadcast", "ag__op_contiguous", "ag__combine_rows", "ag__takes_parts", "ag__eval_by_parts", "ag__has_rows",
         "ag__rows_usable", "ag__rows_bytes", "ag__eval_rows", "ag__is_listed"}

# These folders show what public headers are enough for.
PUBLIC_IS_ENOUGH = {
    "nn": r"autograd/((autograd|formulas_begin|formulas_end|functions)\.h|tape/(ahead|format|philox)\.h)|nn/\w+\.h",
    "examples": r"autograd/(autograd|formulas_begin|formulas_end|functions)\.h|nn/nn\.h|io/io\.h|ops/list\.h|examples/((explain|train)/)?\w+\.h",
}


def read_tree(root):
    tree = {}
    for folder in LIBRARY + ["examples", "tests"]:
        for path in sorted(pathlib.Path(root, folder).rglob("*")):
            if path.suffix in (".c", ".h", ".build") or path.name == "meson.build":
                tree[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    for name in [".clang-format", "autograd/autograd.hpp", "meson.build", "docs/design.md"]:
        tree[name] = pathlib.Path(root, name).read_text(encoding="utf-8")
    return tree


@functools.cache
def headers_installed(build):
    block = re.search(r"^public_headers = \{(.*?)^\}", build, flags=re.M | re.S).group(1)
    return re.findall(r"'([\w/]+\.h)'", block)


def script(name):
    """A script of autograd/ as a module."""
    made = importlib.util.spec_from_file_location(name, pathlib.Path(__file__).resolve().parent.parent / f"autograd/{name}.py")
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


@functools.cache
def made_macros(folder, texts):
    return script("located").located(folder, texts)


@functools.cache
def made_functions(text, texts):
    return script("hpp").completed(text, texts)


def public_headers(tree):
    return headers_installed(tree["meson.build"])


def in_folders(tree, folders, suffix=(".c", ".h")):
    return {path: text for path, text in tree.items() if path.split("/")[0] in folders and path.endswith(suffix)}


# ---- Public declarations


class Declaration:
    def __init__(self, path, line, comment, text):
        self.path, self.line, self.comment, self.text = path, line, comment, text
        self.function = text.startswith("AG_API")
        call = re.search(r"\b(ag_\w+)\s*\(", text)
        struct = re.search(r"\b(?:struct|enum)\s+(ag_\w+)", text)
        plain = re.search(r"(ag_\w+);", text)
        if self.function or (call and not struct):
            self.name = call.group(1)
        else:
            self.name = (struct or plain).group(1)
        self.result = text[: text.index(self.name)] if self.function else ""

    def says(self, word):
        found = re.search(r"^ \* %s:\s*(.*)" % word, self.comment, flags=re.M)
        return found.group(1).rstrip(" */") if found else None


def declarations(tree):
    found = []
    for path in public_headers(tree):
        text = tree[path]
        for match in re.finditer(r"^(AG_API|typedef|struct ag_\w+ \{)[^;{]*[;{]", text, flags=re.M):
            before = text[: match.start()].rstrip()
            start = before.rfind("/*")
            comment = before[start:] if before.endswith("*/") and start >= 0 else ""
            found.append(Declaration(path, text.count("\n", 0, match.start()) + 1, comment, " ".join(match.group(0).split())))
    return found


# ---- The rules: each yields what is wrong


def includes(tree):
    for path, text in in_folders(tree, LIBRARY + ["examples"]).items():
        for name in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, flags=re.M):
            if re.fullmatch(r"(blis/)?blis\.h", name):
                if path != "ops/blis.c":
                    yield f"{path} includes {name}: only ops/blis.c knows BLIS"
            elif name in ("lapacke.h", "fftw3.h"):
                if path != {"lapacke.h": "ops/lapack.c", "fftw3.h": "ops/fftw.c"}[name]:
                    yield f"{path} includes {name}, which one file of ops/ knows"
            elif path == "autograd/autograd.h" and name.startswith("../ops/"):
                if name.removeprefix("../") not in public_headers(tree):
                    yield f"{path} includes {name}, which is not public"
            elif re.match(r"(autograd|ops|nn|io|examples|tests|bench)/|autograd_config", name):
                allowed = PUBLIC_IS_ENOUGH.get(path.split("/")[0], ".*")
                if not re.fullmatch(allowed, name) or name.startswith(("tests/", "bench/")):
                    yield f"{path} includes {name}, which is not for {path.split('/')[0]}/"
            elif '"' + name + '"' in text:
                yield f'{path} includes "{name}" without its folder'


# ---- Which folder uses which


@functools.cache
def uses_of(items):
    return Uses(dict(items))


def uses(tree):
    return uses_of(tuple(in_folders(tree, LIBRARY + ["examples"]).items()))


def folder_of(tree, path):
    """The public headers of the engine and of its operations are no folder's: every file has them."""
    if path in public_headers(tree) and path.startswith(("autograd/", "ops/")) or path == "autograd/located.h":
        return "public"
    return "examples" if path.startswith("examples/") else path.rsplit("/", 1)[0]


def comes_before(folder, other):
    return folder == other or LEVEL[folder] < LEVEL[other]


def order(tree):
    found = uses(tree)
    for path, names in found.includes.items():
        own = folder_of(tree, path)
        for name in names:
            other = folder_of(tree, name)
            if path in public_headers(tree) and name not in public_headers(tree) and not name.endswith("/located.h"):
                yield f"{path} includes {name}, which is not public"
            elif own != "public" and own not in LEVEL:
                yield f"{path} is in none of the folders that have an order"
            elif other != "public" and not comes_before(other, own):
                yield f"{path} includes {name}: {other}/ does not come before {own}/"
    for path, names in found.symbols.items():
        own = folder_of(tree, path)
        for name in sorted(names - BASIS):
            other = folder_of(tree, found.definition[name])
            if not comes_before(other, own):
                yield f"{path} uses {name}, which {found.definition[name]} defines: {other}/ does not come before {own}/"
    used = {name for path, names in found.symbols.items() for name in names if folder_of(tree, path) in ("autograd/tape", "autograd/eval")}
    for name in sorted(BASIS - used):
        yield f"check_tree.py: {name} is no basis of the engine any more"


def in_circles(tree):
    """Within ops/ only private names count: the VJP of a sum is a broadcast and that of a broadcast a sum, by their public names."""
    found = uses(tree)
    public = {d.name for d in declarations(tree) if d.function}
    arrows = {path: set(names) for path, names in found.includes.items()}
    for path, names in found.symbols.items():
        free = BASIS | public if path.startswith("ops/") else BASIS
        arrows[path] |= {found.definition[name] for name in names - free}
    for circle in circles(arrows):
        for path in circle:
            yield f"{path} is one of a circle: {' '.join(circle)}"


def listed_files(tree):
    """Of each file that the page on design lists its number in the list, which a header and a source of one name share."""
    lines = tree["docs/design.md"].split("\n## The files\n", 1)[-1].split("\n## ", 1)[0].splitlines()
    folder, listed, number = "", [], 0
    name = r"\w+\.(?:\[ch\]|\w+)"
    for line in lines:
        parts = re.fullmatch(rf"    (  )?(\w+/ )? *({name}(?:, {name})*) +\S.*", line)
        if not parts:
            continue
        if parts.group(2):
            folder = ("autograd/" if parts.group(1) else "") + parts.group(2).rstrip(" ")
        for file in parts.group(3).split(", "):
            number += 1
            both = [file.replace("[ch]", "h"), file.replace("[ch]", "c")] if "[ch]" in file else [file]
            listed += [(folder + one, number) for one in both]
    return listed


def files(tree):
    listed = [path for path, _ in listed_files(tree)]
    there = set(in_folders(tree, LIBRARY, (".c", ".h")))
    for path in sorted(there - set(listed)):
        yield f"docs/design.md does not list {path}"
    for path in sorted(set(listed)):
        if path.endswith((".c", ".h")) and path not in there:
            yield f"docs/design.md lists {path}, which is not there"
        if listed.count(path) > 1:
            yield f"docs/design.md lists {path} {listed.count(path)} times"


def in_order(tree):
    """The engine's files use those that the page on design lists above them."""
    found, place = uses(tree), dict(reversed(listed_files(tree)))
    for path in place:
        own = path.rsplit("/", 1)[0]
        if own in ("autograd/tape", "autograd/eval", "autograd/diff", "autograd/report"):
            used = {found.definition[name] for name in found.symbols.get(path, ())} | set(found.includes.get(path, ()))
            for other in sorted(used):
                if other.rsplit("/", 1)[0] == own and place.get(other, 0) > place[path]:
                    yield f"docs/design.md lists {path} above {other}, which it uses"


def definitions(tree):
    found = uses(tree)
    for name, path in found.undefined.items():
        yield f"{path} declares {name}, which no file defines, or in a form that dependencies.py does not know"
    for path in in_folders(tree, LIBRARY, ".h"):
        own = folder_of(tree, path)
        for name in sorted(declared(without_comments(tree[path])) - BASIS) if own != "public" else ():
            other = folder_of(tree, found.definition.get(name, path))
            if other != own:
                yield f"{path} declares {name}, which is defined in {other}/"


def arrows_down(tree):
    """Of each pair of folders of which the first uses the second and comes after it: whether more than public functions."""
    found, public, arrows = uses(tree), {d.name for d in declarations(tree) if d.function}, {}
    for path in found.includes:
        own = folder_of(tree, path)
        used = [(name, name not in public_headers(tree)) for name in found.includes[path]]
        used += [(found.definition[name], name not in public) for name in found.symbols.get(path, set()) - BASIS]
        for name, more in used:
            other = folder_of(tree, name)
            if other != own and own in LEVEL and other in LEVEL and comes_before(other, own):
                arrows[own, other] = more or arrows.get((own, other), False)
    return arrows


def draw(tree):
    arrows, rows = arrows_down(tree), list(reversed(LEVEL))
    for row, folder in enumerate(rows):
        cells = ["▽▼"[arrows[user, folder]] if (user, folder) in arrows else "│" for user in rows[:row]] + ["●"]
        yield f"    {folder:<18}" + "   ".join(cells)


def drawing(tree):
    """The page on design draws each folder's arrows below its ●: ▽ uses public functions only, ▼ more."""
    lines = tree["docs/design.md"].split("\n## The folders\n", 1)[-1].split("\n## ", 1)[0].splitlines()
    lines = [line for line in lines if re.match(r"    \S.*●$", line)]
    start = {line.split()[0]: line.index("●") for line in lines}
    if list(start) != list(reversed(LEVEL)):
        yield f"docs/design.md draws the folders {' '.join(start)}, and not {' '.join(reversed(LEVEL))}"
    drawn = {}
    for user, column in start.items():
        for line in lines:
            if line[column : column + 1] in ("▽", "▼"):
                drawn[user, line.split()[0]] = line[column] == "▼"
    actual, words_for = arrows_down(tree), {None: "no arrow", False: "▽", True: "▼"}
    for user, used in sorted(set(drawn) | set(actual)):
        there, wanted = drawn.get((user, used)), actual.get((user, used))
        if there != wanted:
            yield f"docs/design.md draws {words_for[there]} from {user} to {used}, and should draw {words_for[wanted]}: see --draw"


# ---- What public declarations promise


def comments(tree):
    for d in declarations(tree):
        if not re.match(r"/\* %s -- \S" % d.name, d.comment):
            yield f"{d.path}:{d.line}: {d.name} has no comment that opens with '/* {d.name} -- '"


def comment_lines(tree):
    for d in declarations(tree):
        if not d.function:
            continue
        words = re.findall(r"^ \* (Shape|Dtype|Grad|Errors|Source):", d.comment, flags=re.M)
        is_operation = "ag_tensor *" in d.result and d.name not in NOT_OPERATIONS
        if is_operation and words != ["Shape", "Dtype", "Grad", "Errors", "Source"]:
            yield f"{d.path}:{d.line}: {d.name} has the lines {words}"
        if not is_operation and "Errors" not in words:
            yield f"{d.path}:{d.line}: {d.name} has no Errors line"
        for word in words:
            if not d.says(word):
                yield f"{d.path}:{d.line}: {d.name} says nothing behind {word}:"


def located(tree):
    """The macros are those that autograd/located.py makes, and come at the end of what a program includes."""
    for path in public_headers(tree):
        for name in re.findall(r"^#define (ag_\w+)\(", tree[path], flags=re.M):
            yield f"{path} writes the macro {name}, which autograd/located.py makes"
        if re.search(r"^AG_API", tree[path], flags=re.M):
            folder = path.split("/")[0].replace("ops", "autograd")
            if not re.search(r'\n#include "%s/located\.h"\n\n#endif\n$' % folder, tree[f"{folder}/{folder}.h"]):
                yield f"{folder}/{folder}.h does not end with {folder}/located.h"
    for folder in ["autograd", "io", "nn"]:
        headers = [path for path in public_headers(tree) if path.split("/")[0].replace("ops", "autograd") == folder]
        if tree[f"{folder}/located.h"] != made_macros(folder, tuple(tree[path] for path in headers)):
            yield f"{folder}/located.h is not what autograd/located.py makes: configure the build anew"
    headers = sorted(path for path in public_headers(tree) if not path.startswith("io/"))
    if tree["autograd/autograd.hpp"] != made_functions(tree["autograd/autograd.hpp"], tuple(tree[path] for path in headers)):
        yield "autograd/autograd.hpp is not what autograd/hpp.py makes: configure the build anew"


def calls(tree):
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(FORBIDDEN_CALLS))
    for path, text in in_folders(tree, LIBRARY).items():
        code = without_comments(text)
        for name in sorted(set(pattern.findall(code))):
            if (path, name) not in ALLOWED_CALLS:
                yield f"{path} calls {name}"
        if re.search(r"\b(stdout|stderr)\b", code):
            yield f"{path} writes to the standard streams"


def locale(tree):
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(LOCALE_CALLS))
    for path, text in in_folders(tree, LIBRARY).items():
        for name in sorted(set(pattern.findall(without_comments(text)))):
            if path != "autograd/tape/format.c":
                yield f"{path} calls {name}, which the locale changes: autograd/tape/format.h has what stands for it"


def lists(tree):
    pattern = re.compile(r"[\w>.-]+(?:\.|->)at \+")
    for path, text in in_folders(tree, ["autograd"], (".c", ".h")).items():
        for found in pattern.findall(without_comments(re.sub(r"#define AG__FROM.*", "", text))):
            yield f"{path}: '{found}' adds to NULL where the list is empty: AG__FROM does not"


# Elements that are taken for unsigned words: by a cast, by a parameter without type, or in a template by size.
AS_WORDS = re.compile(r"\((?:const )?uint(?:32|64)_t \*\)\((?:const )?void \*\)|\buint(?:32|64)_t \*(?:const )?\w+ = \w+_[,;]|"
                      r"^[A-Z_]+\(\w+_[48], [^)\n]*\buint(?:32|64)_t\b", flags=re.M)


def aliasing(tree):
    """A compiler may take it that a float is not changed through a pointer to a word, nor read."""
    for path, text in in_folders(tree, LIBRARY).items():
        for found in AS_WORDS.finditer(without_comments(text)):
            yield f"{path}: '{found.group(0)}' reads elements as words: ag__word_4 and ag__word_8 may"


def listed_ops(tree):
    return re.findall(r"^\s*X\((\w+), (\w+)\)", tree["ops/list.h"], flags=re.M)


def op_list(tree):
    listed = [name for _, name in listed_ops(tree)]
    defined = {}
    for path, text in in_folders(tree, ["ops"], ".c").items():
        code = without_comments(text)
        for name in re.findall(r"^(?:static )?const ag_op (?:ag__op_)?(\w+)\s*=|^AG_(?:UNARY|BINARY|WITH_NUMBER|COMPARISON|ELEMENTWISE)\((\w+), ", code, flags=re.M):
            defined["".join(name)] = path
    if listed != sorted(listed) or len(listed) != len(set(listed)):
        yield "ops/list.h is not alphabetical, or names an operation twice"
    for name in sorted(set(defined) - set(listed)):
        yield f"{defined[name]}: {name} is not in ops/list.h"
    for name in sorted(set(listed) - set(defined)):
        yield f"ops/list.h: {name} is defined nowhere in ops/"


def sources(tree):
    named = set(re.findall(r"'(\w+/[\w/]+\.c)'", tree["meson.build"]))
    there = set(in_folders(tree, LIBRARY, ".c"))
    for path in sorted(there - named):
        yield f"{path} is not in meson.build"
    for path in sorted(named - there):
        yield f"meson.build names {path}, which is not there"
    for block in re.findall(r"^\w+_sources = files\((.*?)^\)", tree["meson.build"], flags=re.M | re.S):
        paths = re.findall(r"'([\w/]+\.c)'", block)
        if paths != sorted(paths):
            yield f"meson.build does not sort the list that begins with {paths[0]}"
    for variable, block in re.findall(r"^(check_\w+) = \[(.*?)\]", tree["tests/meson.build"], flags=re.M | re.S):
        programs = re.findall(r"'(\w+)'", block)
        if programs != sorted(set(programs)):
            yield f"tests/meson.build: {variable} is not sorted, or names a program twice"
    names = set(re.findall(r"^  '(\w+)',$", tree["tests/meson.build"], flags=re.M))
    for path in sorted(tree):
        test = re.fullmatch(r"tests/test_(\w+)\.c", path)
        if test and test.group(1) not in names:
            yield f"{path} is not in tests/meson.build"


def tests(tree):
    texts = in_folders(tree, ["tests"], ".c")
    for path, text in texts.items():
        added = words(" ".join(re.findall(r"tcase_add_\w+\(([^;]*)", text)))
        for name in re.findall(r"^START_TEST\((\w+)\)", text, flags=re.M):
            if name not in added:
                yield f"{path}: the test {name} is never run"
    plain = {"ag_" + name for kind, name in listed_ops(tree) if kind not in ("INNER", "OTHER")}  # which programs call
    called = words(without_comments("".join(texts.values()))) | plain
    for d in declarations(tree):
        if d.function and d.name not in called:
            yield f"{d.path}:{d.line}: no test calls {d.name}"
    rows = {"ag_" + name for kind, name in listed_ops(tree) if kind in ("UNARY", "BINARY")}  # which have a row
    families = [text for path, text in texts.items() if path.startswith("tests/cases_")]
    table = words(without_comments("".join(families))) | rows
    for path, text in texts.items():
        if path in ("tests/cases.c", "tests/random_program.c") and "AG_OPS(" not in text:
            yield f"{path} makes nothing of ops/list.h"
    for d in declarations(tree):
        is_operation = d.path.startswith("ops/") and "ag_tensor *" in d.result and d.name not in NOT_OPERATIONS
        if is_operation and d.name not in table:
            yield f"{d.path}:{d.line}: {d.name} has no row in tests/cases_*.c"


def openings(tree):
    for path, text in in_folders(tree, LIBRARY).items():
        name = path.split("/")[-1].rsplit(".", 1)[0]
        if not re.match(r"/\* [\w/]*%s -- \S" % name, text):
            yield f"{path} does not open with '/* {name} -- ' and its purpose"


# Turns that hide the subject, or use a word of everyday life for one of the field's: see "Words" in docs/design.md.
NOT_PLAIN = re.compile(
    r"/\* (?:What|Where|Of|By)\b|\blest\b|\bthereof\b|\bfor want of\b|\bno memory for\b|, which is none\b|\bif it is none\b|\bwhoever\b|"
    r"\b(no|some)body\b|\bbut for (?!rounding)"
)


@functools.lru_cache(maxsize=None)
def turns(text):
    """Of a file: (line, words), one for each turn that can be said more plainly."""
    said = []
    for found in re.finditer(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', text, flags=re.S):
        words = re.sub(r"\s*\n\s*\*?\s*", " ", found.group(0))
        said += [(text.count("\n", 0, found.start()) + 1, turn.group(0).strip()) for turn in NOT_PLAIN.finditer(words)]
    return said


def plain(tree):
    for path, text in in_folders(tree, LIBRARY + ["examples", "tests"]).items():
        for line, turn in turns(text):
            yield f"{path}:{line}: '{turn}' can be said more plainly"


def out_of_memory(tree):
    """One form for all: the size or the thing that there was no memory for, in parentheses."""
    for path, text in in_folders(tree, LIBRARY).items():
        for found in re.finditer(r'AG_ERR_MEMORY,\s*"([^"]*)"', text):
            if not re.search(r"\bout of memory \(.+\)$", found.group(1)):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{path}:{line}: '{found.group(1)}' is not of the form 'out of memory (80 bytes)'"


def long_lines(tree):
    """clang-format leaves comments and texts as they are, whatever their length."""
    most = int(re.search(r"^ColumnLimit: (\d+)$", tree[".clang-format"], flags=re.M).group(1))
    for path, text in in_folders(tree, LIBRARY).items():
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > most:
                yield f"{path}:{number} has {len(line)} columns, of at most {most}"


DEFINED_ONCE = re.compile(r"^#define (\w+_H)$|^(?:typedef )?(?:struct|union|enum) (ag__\w+) \{|^\} (ag__\w+);|"
                          r"^typedef [^;{]*?\b(ag__\w+)\([^;]*\);|^typedef (?!(?:struct|union|enum) ag__)[^;{(]*?\b(ag__\w+);", flags=re.M)


def one_meaning(tree):
    """A guard or a private type has one home: the library is also compiled as one file."""
    homes = {}
    for path, text in in_folders(tree, LIBRARY).items():
        for found in DEFINED_ONCE.finditer(text):
            homes.setdefault(next(filter(None, found.groups())), set()).add(path)
    for name, paths in homes.items():
        if len(paths) > 1:
            yield f"{name} is defined in {' and '.join(sorted(paths))}"


def limits(tree):
    """What chooses between ways, or divides work, is small in a build with --tiny; or sizes.py counts what it meets all the same."""
    for path, text in in_folders(tree, LIBRARY).items():
        for name, value in sizes.not_listed(path, text) if path.startswith(("ops/", "autograd/eval/")) else []:
            yield f"{path}: {name} = {value.strip()} is compared with something: it is AG__LIMIT(…), or in MORE of tests/sizes.py"
    for path, line, _ in sizes.CHOSEN:
        if line not in tree[path]:
            yield f"{path} has no line, at which tests/sizes.py notes what is compared: {line.strip()}"


RULES = [one_meaning, includes, order, in_circles, files, in_order, definitions, drawing, comments, comment_lines, located, calls, locale, lists, aliasing, op_list, sources, tests, openings, plain, out_of_memory, long_lines, limits]


def violations(tree, rules=RULES):
    return {f"{rule.__name__}: {text}" for rule in rules for text in rule(tree)}


# ---- Each rule against a tree that breaks it


def replaced(path, old, new):
    def change(tree):
        if old not in tree[path]:
            raise SystemExit(f"self-test: {path} has no {old!r} any more")
        tree[path] = tree[path].replace(old, new, 1)
    return change


def appended(path, text):
    def change(tree):
        tree[path] = tree.get(path, "") + text
    return change


BREAKS = [
    ("one_meaning", appended("io/new.h", "#define AG_LIMITS_H\n")),
    ("one_meaning", appended("io/csv.c", "\nstruct ag__file_content {\n    int n;\n};\n")),
    ("one_meaning", appended("ops/reduce.c", "\ntypedef struct {\n    int n;\n} ag__layout;\n")),
    ("includes", replaced("autograd/autograd.h", '"../ops/reduce.h"', '"../ops/list.h"')),
    ("includes", appended("nn/layers.c", '\n#include "autograd/tape/tape.h"\n')),
    ("includes", appended("nn/losses.c", '\n#include "autograd/tape/op.h"\n')),
    ("includes", appended("ops/matmul.c", "\n#include <blis.h>\n")),
    ("includes", appended("ops/linalg.c", "\n#include <lapacke.h>\n")),
    ("includes", appended("ops/arith.c", '\n#include "list.h"\n')),
    ("includes", appended("examples/hello.c", "\n#include <autograd/tape/op.h>\n")),
    ("order", appended("autograd/eval/eval.c", '\n#include "ops/list.h"\n')),
    ("order", appended("autograd/new.h", "/* new -- nothing */\n#include <autograd/autograd.h>\n")),
    ("order", appended("io/csv.c", '\n#include "nn/nn.h"\n')),
    ("order", appended("nn/layers.c", '\n#include "io/io.h"\n')),
    ("order", appended("io/io.h", '\n#include "autograd/tape/tape.h"\n')),
    ("order", appended("autograd/tape/buffer.c", "\nstatic void f(ag_tensor *x) { ag_eval(x); }\n")),
    ("order", appended("autograd/eval/verify.c", "\nstatic ag_tensor *f(ag_tensor *x) { return ag_sum(x); }\n")),
    ("order", appended("ops/unary.c", "\nstatic const void *f(void) { return &ag_gradcheck; }\n")),
    ("order", appended("autograd/tape/tensor.c", "\nstatic int f(void) { return sizeof ag__op_fold; }\n")),
    ("order", appended("autograd/tape/hash.h", "\n#define AG__NEW(x) ag_item(x)\n"), appended("autograd/tape/layout.c", "\nstatic double f(ag_tensor *x) { return AG__NEW(x); }\n")),
    ("in_circles", appended("autograd/tape/size.h", '\n#include "autograd/tape/op.h"\n')),
    ("in_circles", appended("autograd/tape/format.c", "\nint ag__new(void) { return ag__processors(); }\n"), appended("autograd/tape/processors.c", "\nint f(void) { return ag__new(); }\n")),
    ("in_circles", appended("ops/windows.c", "\nvoid ag__new(void) { ag__unknown(NULL); }\n"), appended("ops/compare.c", "\nvoid f(void) { ag__new(); }\n")),
    ("files", replaced("docs/design.md", "                split.c  ", "                pieces.c ")),
    ("files", replaced("docs/design.md", "                reduce.[ch] ", "                reduce.c ")),
    ("files", replaced("docs/design.md", "                blis.c ", "                blis.c, batch.c ")),
    ("files", appended("nn/new.h", "/* new -- nothing */\n")),
    ("in_order", replaced("docs/design.md", "                dtype.c ", "                assign.c, dtype.c ")),
    ("in_order", appended("autograd/eval/chunk.c", "\nvoid f(ag__planner *p) { ag__split(p); }\n")),
    ("definitions", appended("autograd/tape/tape.h", "\nint ag__nowhere(void);\n")),
    ("definitions", appended("autograd/tape/size.h", "\nag_tensor *ag__unknown(ag_tensor *g, ag_tensor *y);\n")),
    ("definitions", appended("autograd/eval/eval.h", "\nextern const ag_op ag__op_constant, ag__op_fold;\n")),
    ("drawing", replaced("docs/design.md", "    io                ▽", "    io                │")),
    ("drawing", replaced("docs/design.md", "    autograd/eval     ▽   ▼", "    autograd/eval     ▽   ▽")),
    ("drawing", replaced("docs/design.md", "    nn  ", "    nm  ")),
    ("drawing", appended("nn/refuse.c", '\n#include "autograd/eval/eval.h"\n')),
    ("drawing", appended("io/csv.c", "\nstatic ag_tensor *f(ag_tensor *x) { return ag_hessian(x, x); }\n")),
    ("comments", replaced("ops/elementwise.h", "/* ag_exp -- ", "/* the exponential -- ")),
    ("comments", appended("io/io.h", "\nAG_API ag_status ag_new(ag_tape *tape);\n")),
    ("comments", replaced("autograd/types.h", "/* ag_axes -- ", "/* ")),
    ("comment_lines", replaced("ops/elementwise.h", " * Grad:   x̄ = ȳ·y\n", "")),
    ("comment_lines", replaced("ops/elementwise.h", " * Source: numpy.log */", " * Source: */")),
    ("comment_lines", replaced("autograd/autograd.h", " * Errors: none; all zero for NULL */", " */")),
    ("located", replaced("autograd/autograd.h", '#include "autograd/located.h"', "")),
    ("located", replaced("nn/nn.h", '#include "nn/located.h"', "")),
    ("located", replaced("autograd/located.h", "#define ag_exp(...)", "#define ag_expp(...)")),
    ("located", replaced("io/located.h", "__LINE__", "__COUNTER__")),
    ("located", replaced("autograd/autograd.hpp", "(ag_exp)", "(ag_log)")),
    ("located", replaced("ops/elementwise.h", "AG_API ag_tensor *ag_exp(", "AG_API ag_tensor *ag_exponential(")),
    ("located", replaced("io/io.h", "#include", "#define ag_csv_read(...) ag_csv_read(__VA_ARGS__)\n#include")),
    ("calls", appended("ops/reduce.c", "\nstatic void *f(void) { return malloc(8); }\n")),
    ("calls", appended("io/csv.c", "\nstatic void f(void) { exit(1); }\n")),
    ("calls", appended("nn/losses.c", '\nstatic void f(void) { printf("x"); }\n')),
    ("calls", appended("autograd/eval/tape.c", '\nstatic void f(void) { fputs("x", stderr); }\n')),
    ("locale", appended("autograd/report/report.c", '\nstatic void f(char *s) { snprintf(s, 9, "%g", 1.5); }\n')),
    ("locale", appended("io/csv.c", "\nstatic double f(const char *s) { return strtod(s, NULL); }\n")),
    ("lists", appended("autograd/eval/plan.c", "\nstatic uint32_t *f(ag__plan *p) { return p->holds.at + 2; }\n")),
    ("aliasing", replaced("ops/sort.c", "const ag__word_4 *x = x_;", "const uint32_t *x = x_;")),
    ("aliasing", replaced("ops/sort.c", "(ag__word_4 *)(void *)y", "(uint32_t *)(void *)y")),
    ("aliasing", replaced("autograd/eval/rows.c", "SPREAD(spread_8, ag__word_8)", "SPREAD(spread_8, uint64_t)")),
    ("op_list", replaced("ops/list.h", "X(UNARY, exp)", "")),
    ("op_list", appended("ops/unary.c", '\nconst ag_op ag__op_new = {.name = "new"};\n')),
    ("op_list", appended("ops/unary.c", '\nAG_UNARY(new, "new({0})", g, AG_FORMULA(new));\n')),
    ("op_list", replaced("ops/list.h", "X(UNARY, abs)", "X(UNARY, zero)")),
    ("sources", appended("ops/new.c", "/* new -- nothing */\n")),
    ("sources", replaced("meson.build", "'ops/arith.c',", "")),
    ("sources", replaced("meson.build", "'ops/arith.c',", "'ops/arith.c', 'ops/gone.c',")),
    ("sources", replaced("meson.build", "'ops/arith.c',", ""), replaced("meson.build", "'ops/compare.c',", "'ops/compare.c', 'ops/arith.c',")),
    ("sources", appended("tests/test_new.c", "")),
    ("sources", replaced("tests/meson.build", "check_below = [", "check_below = ['special', ")),
    ("tests", appended("tests/test_tape.c", "\nSTART_TEST(forgotten) {}\nEND_TEST\n")),
    ("tests", appended("io/io.h", "\n/* ag_new -- x\n * Errors: none */\nAG_API int ag_new(void);\n")),
    ("tests", replaced("tests/cases_basic.c", "ag_clamp", "ag_exp")),
    ("tests", replaced("tests/cases.c", "AG_OPS(", "NO_OPS(")),
    ("tests", replaced("ops/list.h", "X(UNARY, rsqrt)", "X(OTHER, rsqrt)")),
    ("openings", replaced("ops/arith.c", "/* arith -- ", "/* ")),
    ("limits", appended("ops/reduce.c", "\nenum { NEW = 40 };\nstatic bool f(int n) { return n < NEW; }\n")),
    ("limits", appended("autograd/eval/plan.c", "\nenum { NEW = 1 << 14 };\nstatic int64_t f(int64_t n) { return ag__lesser(n, NEW); }\n")),
    ("limits", replaced("autograd/eval/region.c", "some = units_at_once(g);", "other = units_at_once(g);")),
    ("long_lines", appended("ops/reduce.c", "/* " + 57 * "ȳ·" + "12345 */\n")),
    ("plain", appended("ops/reduce.c", "\n/* What y is. */\n")),
    ("plain", appended("ops/reduce.c", "\n/* Where x is 0, y is. */\n")),
    ("plain", appended("autograd/diff/grad.c", "\n/* Of each node. */\n")),
    ("plain", appended("ops/reduce.c", "\n/* x is copied, lest\n * it change. */\n")),
    ("plain", appended("autograd/diff/grad.c", "\n/* What goes up. */\n")),
    ("plain", appended("nn/losses.c", '\nstatic const char *why = "dtype %d, which is none";\n')),
    ("plain", appended("nn/losses.c", '\nstatic const char *why = "no memory for %zu bytes";\n')),
    ("out_of_memory", replaced("io/save.c", '"out of memory (', '"no room (')),
    ("out_of_memory", replaced("autograd/tape/leaf.c", '"out of memory (another tensor)"', '"out of memory for another tensor"')),
]


def self_test(tree):
    rules = {rule.__name__: rule for rule in RULES}
    before = {name: violations(tree, [rule]) for name, rule in rules.items()}
    print("\n".join(sorted(set().union(*before.values()))))
    missed = sum(map(len, before.values()))
    for number, (name, *changes) in enumerate(BREAKS):
        broken = dict(tree)
        for change in changes:
            change(broken)
        if not violations(broken, [rules[name]]) - before[name]:
            print(f"self-test: break {number}, of {name}, is not noticed")
            missed += 1
    untested = set(rules) - {name for name, *_ in BREAKS}
    for name in sorted(untested):
        print(f"self-test: nothing breaks {name}")
    return missed + len(untested)


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    tree = read_tree(arguments[0] if arguments else pathlib.Path(__file__).resolve().parent.parent)
    if "--draw" in sys.argv:
        failures = 0
        print("\n".join(draw(tree)))
    elif "--self-test" in sys.argv and not os.environ.get("AG_TEST_SMALL"):
        failures = self_test(tree)
        print(f"{failures} faults: of the tree, or of {len(BREAKS)} broken ones that are not noticed")
    else:
        found = sorted(violations(tree))
        failures = len(found)
        print("\n".join(found))
    sys.exit(failures > 0)


main()
