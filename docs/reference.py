"""Makes manual pages (mdoc) of the public headers' comments: reference.py [--list] --version V FOLDER HEADER...

A page describes a name and those that extend it: ag_adam has ag_adam_init and ag_adam_step. `man NAME` finds each public function
and type, as its own page or as a link (.so) to the page that has it; autograd.7 is the overview, made from autograd.7.in. The order
and the titles of the families are those of the headers, their examples the programs in docs/reference/. With --list the names of the
files are printed, with --headers those of the headers that are installed, and nothing is written. It needs nothing but Python."""

import collections
import functools
import pathlib
import re
import sys
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
WIDTH = 118  # a comment's line that could have taken the next word ends a paragraph
TAGS = ("Shape", "Dtype", "Grad", "Errors", "Source")

# Headers without functions: text that a formula's author includes, described where operations are added.
NO_REFERENCE = {"formulas_begin.h", "formulas_end.h", "functions.h"}

Entry = collections.namedtuple("Entry", "name kind summary body tags code")
Macro = collections.namedtuple("Macro", "name text")


@functools.cache
def words_of(program):
    return set(re.findall(r"\w+", program))


class Family:
    """A header, or a numbered section of one, or one between lines such as ---- Functions ----."""

    def __init__(self, header, title, prose=""):
        self.header, self.title, self.prose = header, title, prose
        self.entries, self.macros, self.examples = [], [], []

    @property
    def id(self):
        return re.sub(r"[^a-z0-9]+", "-", f"{pathlib.Path(self.header).stem} {self.title}".lower()).strip("-")


class Page:
    """An entry with those whose names extend its own."""

    def __init__(self, name):
        self.name, self.entries, self.macros, self.family, self.summary = name, [], [], None, ""

    def add(self, family, entry):
        self.entries.append(entry)
        if entry.name == self.name:
            self.family, self.summary = family, entry.summary


# ---- Headers


def comment_text(comment):
    """The lines of a comment without its marks."""
    text = re.sub(r"\*/$", "", comment.strip()).removeprefix("/*")
    return [re.sub(r"^ ?\* ?", "", line).rstrip() if i else line.strip() for i, line in enumerate(text.split("\n"))]


def wrapped(line, following):
    return following and len(line) + 4 + len(following.split()[0]) > WIDTH


def paragraphs(lines):
    """Text in paragraphs; what is indented stays as it is, a list of lines."""
    done, literal, start = [], [], True
    for i, line in enumerate(lines):
        if re.match(r" {4}", line) or (literal and not line):
            literal.append(line)
            continue
        if literal:
            done.append([part for part in literal])
            literal, start = [], True
        if not line:
            start = True
        elif start or not done:
            done.append(line)
            start = False
        else:
            done[-1] += ("" if wrapped(lines[i - 1], line) or not re.search(r"[^.:;,]$", lines[i - 1]) else ".") + " " + line
    if literal:
        done.append(literal)
    for block in done:
        while isinstance(block, list) and block and not block[-1]:
            block.pop()
    return done


def described(comment, name):
    """Of a comment of the fixed form: summary, paragraphs, tags."""
    lines = comment_text(comment)
    lines[0] = re.sub(r"^.*? -- ", "", lines[0])
    indent = len(f"/* {name} -- ")
    summary, tags, rest, tag = [], {}, [], None
    for line in lines:
        found = re.match(r"(%s): *(.*)" % "|".join(TAGS), line)
        if found:
            tag = found[1]
            tags[tag] = found[2]
        elif tag and line.startswith("  "):
            tags[tag] += " " + line.strip()
        elif line or not tag:
            tag = None
            rest.append(line)
    while rest:
        line = rest.pop(0)
        shown = line if summary else " " * (indent - 3) + line
        summary.append(line)
        if not rest or not wrapped(shown, rest[0]):
            break
    text = " ".join(summary)
    cut = re.search(r"(?<![A-Z.])\. (?=[A-Z])", text)
    if cut:
        rest.insert(0, text[cut.end() :])
        text = text[: cut.start()]
    return text.rstrip(".").strip(), paragraphs(rest), tags


def code_at(text, start):
    """A declaration to its end, over the braces of a struct or an enum."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if text[i] == ";" and depth == 0:
            return text[start : i + 1]
    raise SystemExit("a declaration without an end: " + text[start : start + 60])


def entry_name(code):
    flat = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    if "{" in flat:
        return re.search(r"(?:struct|enum) (ag_\w+)", flat)[1]
    plain = re.search(r"typedef (?:struct|enum) ag_\w+ (ag_\w+);", flat)
    return plain[1] if plain else re.search(r"\b(ag_\w+)\s*\(", flat)[1]


def parse(header, text):
    """The families of a header, in its order."""
    text = re.sub(r"^#(?:ifdef __cplusplus|else)\n.*?^#(?:else|endif).*?$", "", text, flags=re.M | re.S)
    opening = re.match(r"/\*.*?\*/", text, flags=re.S)[0]
    families = [Family(header, described(opening, pathlib.Path(header).stem)[0], opening)]
    pattern = re.compile(
        r"^/\* (?P<bar>[=-]{4,}) (?P<title>.*?) [=-]{4,} \*/$|(?P<comment>^/\*.*?\*/)"
        r"|^(?P<code>AG_API|typedef|struct ag_\w+ \{)|^#define (?P<macro>AG_(?!API|LINKAGE|_)\w+?)(?P<define>(?<!_H)[( ].*)$", re.M | re.S)
    comment, place = "", len(opening)
    while found := pattern.search(text, place):
        place = found.end()
        if found["title"]:
            families.append(Family(header, re.sub(r"^\d+\. ", "", found["title"])))
        elif found["comment"]:
            if comment and not comment.startswith("/* ag_"):
                families[-1].prose += "\n" + comment
            comment = found["comment"]
            continue
        elif found["macro"]:
            line_end = text.index("\n", found.start())
            place = line_end
            line = text[found.start() : line_end]
            if not line.endswith("\\"):
                families[-1].macros.append((Macro(found["macro"], line), len(families[-1].entries)))
            continue
        else:
            code = code_at(text, found.start())
            place = found.start() + len(code)
            name = entry_name(code)
            kind = "function" if code.startswith("AG_API") else "type"
            if not re.match(r"/\* %s -- " % name, comment):
                comment = ""
                continue
            known = [entry for family in families for entry in family.entries if entry.name == name]
            if not known:
                families[-1].entries.append(Entry(name, kind, *described(comment, name), code))
        if comment and not comment.startswith("/* ag_") and found["title"]:
            families[-2].prose += "\n" + comment
        comment = ""
    return families


class Reference:
    def __init__(self, headers, root):
        self.families, self.pages, self.page_of = [], [], {}
        self.faults = []  # the build goes on; tests/reference.py does not
        for path in dict.fromkeys(headers):
            if path.name not in NO_REFERENCE:
                self.families += parse(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        forward = {}  # a type that another header defines is described where it is defined
        for family in self.families:
            for entry in family.entries:
                forward[entry.name] = (family, entry) if entry.name not in forward or "{" in entry.code else forward[entry.name]
        for family in self.families:
            family.entries = [entry for entry in family.entries if forward[entry.name] == (family, entry)]
        self.make_pages()
        self.examples()

    def make_pages(self):
        for header in dict.fromkeys(family.header for family in self.families):
            mine = [(family, entry) for family in self.families if family.header == header for entry in family.entries]
            names = {entry.name for _, entry in mine}
            pages = {}
            for family, entry in mine:
                parts = entry.name.split("_")
                owner = next(name for name in ("_".join(parts[:i]) for i in range(2, len(parts) + 1)) if name in names)
                page = pages.setdefault(owner, Page(owner))
                page.add(family, entry)
                self.page_of[entry.name] = page
            self.pages += pages.values()
        for family in self.families:
            for macro, number in family.macros:
                said = [e for e in family.entries if re.search(r"\b%s\b" % macro.name, " ".join([e.summary, str(e.body), str(e.tags)]))]
                near = said or family.entries[max(0, number - 1) :]
                if near:
                    self.page_of[near[0].name].macros.append(macro)
                    self.page_of[macro.name] = self.page_of[near[0].name]

    def examples(self):
        for path in sorted((HERE / "reference").glob("*.c")):
            text = path.read_text(encoding="utf-8")
            families = [f for f in self.families if f.entries and text.startswith((f"/* {f.header}: ", f"/* {f.header}, {f.title}: "))]
            if families:
                start = f"/* {families[0].header}" + (f", {families[0].title}: " if ", " + families[0].title in text else ": ")
                families[0].examples.append((path.stem, *example("/* " + text.removeprefix(start))))
            else:
                self.faults.append(f"{path.name} does not begin with a family: /* HEADER, TITLE: …")

    def shown(self, page):
        """The examples that use what a page describes, those of its own family first."""
        names = {entry.name for entry in page.entries}
        others = [e for family in self.families if family is not page.family for e in family.examples]
        return [example for example in page.family.examples + others if names & words_of(example[1])]

    def files(self):
        """Each manual page's file, and the page that it links to, if it is a link."""
        names = {}
        for page in self.pages:
            for entry in page.entries:
                names[f"{entry.name}.3"] = None if entry.name == page.name else page.name
        return {"autograd.7": None, **names}


def example(text):
    """A program of docs/reference/, and what it prints: its last comment."""
    program, printed = re.fullmatch(r"(.*?)\n/\* It prints:\n(.*?) \*/\n", text, flags=re.S).groups()
    return program, "".join(re.sub(r"^ \* ?", "", line) + "\n" for line in printed.rstrip("\n").split("\n"))


# ---- mdoc


def escaped(text):
    return text.replace("\\", "\\e")


def line_start(text):
    return ("\\&" if text[:1] in (".", "'") else "") + text


def line_of(text):
    return line_start(escaped(text))


def quoted(text):
    return '"%s"' % escaped(text).replace('"', "\\(dq")


class Mdoc:
    def __init__(self, reference, page=None):
        self.reference, self.page, self.lines = reference, page, []

    def put(self, *lines):
        self.lines += lines

    def text(self, text):
        """Running text: names of other pages become references, and each sentence begins a line."""
        pending = []
        for word in text.split():
            found = re.fullmatch(r"([(\[]?)(ag_\w+)((?:\(\))?)([.,;:)\]]*)", word)
            page = found and self.reference.page_of.get(found[2])
            if page and (page is not self.page or found[3]):
                self.flush(pending)
                opening = f"{found[1]} " if found[1] else ""
                macro = f".Fn {opening}{found[2]}" if page is self.page else f".Xr {opening}{found[2]} 3"
                self.put(macro + "".join(f" {mark}" for mark in found[4]))
            else:
                pending.append(word)
                if re.search(r"[^.]\.\)?$", word) and not re.fullmatch(r"\(?[A-Z]\.", word):
                    self.flush(pending)
        self.flush(pending)

    def flush(self, words):
        self.put(*map(line_of, textwrap.wrap(" ".join(words), 72, break_long_words=False, break_on_hyphens=False)))
        words.clear()

    def literal(self, lines):
        self.put(".Bd -literal -offset indent", *map(line_of, lines), ".Ed")

    def blocks(self, blocks, first=True):
        for block in blocks:
            if isinstance(block, list):
                self.literal([line.removeprefix("    ") for line in block])
            else:
                if not first:
                    self.put(".Pp")
                self.text(block)
            first = isinstance(block, list)

    def function(self, code):
        flat = re.sub(r"\s*\n\s*", " ", re.sub(r"#ifdef.*?#endif\n\s*", "", code, flags=re.S)).removeprefix("AG_API ")
        result, name, arguments = re.match(r"(.*?)(ag_\w+)\s*\((.*)\);$", re.sub(r"\)\s*;$", ");", flat)).groups()
        self.put(".Ft " + quoted(result.strip()), f".Fo {name}")
        self.put(*(".Fa " + quoted(argument.strip()) for argument in split_arguments(arguments)), ".Fc")

    def synopsis(self):
        self.put(".Sh SYNOPSIS", f".In {self.included()}")
        for entry in self.page.entries:
            if entry.kind == "function":
                self.function(entry.code)
            else:
                self.put(".Bd -literal", *map(line_of, entry.code.split("\n")), ".Ed")
        if self.page.macros:
            self.put(".Bd -literal", *(line_of(macro.text) for macro in self.page.macros), ".Ed")

    def included(self):
        folder = self.page.family.header.split("/")[0]
        return {"ops": "autograd/autograd.h"}.get(folder, f"{folder}/{folder}.h") if self.page.family.header != "autograd/trace.h" else "autograd/trace.h"

    def entry(self, entry, alone):
        if not alone:
            self.put(f".Ss {entry.name}")
        self.text(sentence(entry.summary))
        self.blocks(entry.body, first=False)
        tags = [tag for tag in TAGS if tag in entry.tags]
        if tags:
            self.put(".Bl -tag -width Errors")
            for tag in tags:
                self.put(f".It {tag}")
                self.text(entry.tags[tag])
            self.put(".El")

    def see_also(self):
        family = [p.name for p in self.reference.pages if p.family is self.page.family and p is not self.page]
        said = set(re.findall(r"\.Xr (ag_\w+) 3", "\n".join(self.lines)))
        at = [p.name for p in self.reference.pages if p.family is self.page.family].index(self.page.name)
        near = sorted(set(family[max(0, at - 6) : at + 6]) | (said & set(family)))
        self.put(".Sh SEE ALSO", *(f".Xr {name} 3 ," for name in near), ".Xr autograd 7")

    def man_page(self, date, version):
        page, alone = self.page, len(self.page.entries) == 1
        self.put(f'.\\" Made by docs/reference.py from {page.family.header}', f".Dd {date}", f".Dt {page.name.upper()} 3", f".Os autograd {version}", ".Sh NAME")
        names = [page.name] + [entry.name for entry in page.entries if entry.name != page.name]
        self.put(*(f".Nm {name} ," for name in names[:-1]), f".Nm {names[-1]}", ".Nd " + trimmed(page.summary))
        self.synopsis()
        self.put(".Sh DESCRIPTION")
        for entry in page.entries:
            self.entry(entry, alone)
        shown = self.reference.shown(page)
        if shown:
            _, program, printed = shown[0]
            self.put(".Sh EXAMPLES")
            self.literal(program.split("\n"))
            self.put("It prints:")
            self.literal(printed.rstrip("\n").split("\n"))
        self.see_also()
        return "\n".join(self.lines) + "\n"


def split_arguments(text):
    """At the commas that are in no parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def sentence(text):
    return text[:1].upper() + text[1:] + "." if re.match(r"[a-z-]+,? (?![=←])", text) else text + "."


def trimmed(text):
    """One line for NAME, without a mark at its end."""
    text = escaped(text.split("; ")[0] if len(text) > 90 else text)
    return re.sub(r"(?<!\w)$|(?<=²)$", r"\\&", re.sub(r"[.,;:]$", "", line_start(text)))


def overview(reference, date, version):
    """autograd.7.in, with a list of functions for each line .@ HEADER [TITLE], or of all families of a folder."""
    done = []
    for line in (HERE / "autograd.7.in").read_text(encoding="utf-8").splitlines():
        place = re.fullmatch(r"\.@ (\S+)(?: (.*))?", line)
        if place:
            done += family_list(reference, place[1], place[2])
        elif line in (".@nn", ".@io"):
            for family in reference.families:
                if family.header.startswith(line[2:] + "/") and family.entries:
                    done += [".Pp", line_of(sentence(family.title.split("; ")[0])), *family_list(reference, family.header, family.title)]
        elif line == ".@program":
            text = (HERE.parent / "examples/hello.c").read_text(encoding="utf-8")
            done += map(line_of, text[text.index("#include") :].rstrip("\n").split("\n"))
        elif line == ".@statuses":
            statuses = next(e.code for f in reference.families for e in f.entries if e.name == "ag_status")
            for name, text in re.findall(r"(AG_ERR_\w+),? +/\* (.*?) \*/", statuses):
                done += [f".It Dv {name}", line_of(text)]
        else:
            done.append(line.replace("@DATE@", date).replace("@VERSION@", version))
    return "\n".join(done) + "\n"


def family_list(reference, header, title):
    families = [f for f in reference.families if f.header == header and title in (None, f.title) and f.entries]
    if not families:
        reference.faults.append(f"autograd.7.in: there is no family {header} {title}")
    lines = [".Bl -tag -width Ds -compact"]
    for page in reference.pages:
        if page.family in families:
            writer = Mdoc(reference, page)
            writer.text(page.summary.split("; ")[0])
            lines += [f".It Xr {page.name} 3", *writer.lines]
    return lines + [".El"]


def pages(reference, date, version):
    """The text of each file."""
    done = {}
    for name, link in reference.files().items():
        if link:
            done[name] = f".so man3/{link}.3\n"
        elif name != "autograd.7":
            done[name] = Mdoc(reference, reference.page_of[name[:-2]]).man_page(date, version)
    done["autograd.7"] = overview(reference, date, version)
    return done


def date_of_changes():
    """The newest date in the list of changes, as mdoc wants it: the pages are the same for everybody who makes them."""
    months = "January February March April May June July August September October November December".split()
    found = re.search(r"\b(\d{4})-(\d\d)-(\d\d)\b", (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8"))
    return f"{months[int(found[2]) - 1]} {int(found[3])}, {found[1]}"


def headers_installed():
    """The public headers, as meson.build lists them."""
    block = re.search(r"^public_headers = \{(.*?)^\}", (HERE.parent / "meson.build").read_text(encoding="utf-8"), flags=re.M | re.S)
    return list(dict.fromkeys(re.findall(r"'([\w/]+\.h)'", block[1])))


def main():
    words = sys.argv[1:]
    if "--headers" in words:
        print("\n".join(headers_installed()))
        return
    listing = "--list" in words
    version = words[words.index("--version") + 1]
    rest = [word for i, word in enumerate(words) if not word.startswith("--") and words[i - 1] != "--version"]
    reference = Reference([pathlib.Path(header).resolve() for header in rest[1:]], HERE.parent)
    if listing:
        print("\n".join(reference.files()))
        return
    folder = pathlib.Path(rest[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(reference, date_of_changes(), version).items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
