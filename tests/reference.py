"""The manual pages: one for each public name, which mandoc finds nothing to say about: reference.py VERSION HEADER...

The pages are made anew, in a temporary folder. Names are compared with those that check_tree.py's way of reading headers finds,
references with the pages that exist, environment variables and families with the source text. What mandoc thinks is left out where
there is no mandoc."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import reference  # noqa: E402

# mandoc -Tlint on style: it wants NetBSD's names of systems, and the pages installed; text in UTF-8 has more bytes than columns.
ALLOWED = re.compile(r"STYLE: (operating system explicitly specified|referenced manual not found|input text line longer than 80 bytes)")

failures = []


def check(holds, *what):
    if not holds:
        failures.append(what)
        print("FAILED:", *what)


def declared_names(headers):
    """Read apart from docs/reference.py: functions, and types with a comment of their own."""
    for path in headers:
        if path.name in reference.NO_REFERENCE:
            continue
        text = path.read_text(encoding="utf-8")
        yield from re.findall(r"^AG_API [^;]*?\b(ag_\w+) ?\(", text, flags=re.M)
        yield from re.findall(r"^typedef (?:struct|enum) (ag_\w+)", text, flags=re.M)
        yield from re.findall(r"^typedef [^;{]*?\b(ag_\w+)\(", text, flags=re.M)


def check_links(made, names):
    for file, text in made.items():
        link = re.fullmatch(r"\.so man3/(\S+)\n", text)
        if link:
            check(link[1] in made and not made[link[1]].startswith(".so"), file, "links to", link[1])
        for name, section in re.findall(r"^(?:\.It )?\.?Xr \(?(?:\( )?(\S+) ([37])", text, flags=re.M):
            check(f"{name}.{section}" in made, file, "refers to", name)
    for name in names:
        text = made.get(f"{name}.3", "")
        text = made[text.split("/")[1].strip()] if text.startswith(".so") else text
        check(re.search(rf"^\.Nm {name}\b", text, flags=re.M), "no page is named", name)


def check_contents(made, found):
    for family in found.families:
        pages = [page for page in found.pages if page.family is family]
        check(family.examples or not pages or any(map(found.shown, pages)), f"{family.header}, {family.title}: no program in docs/reference shows it")
    sources = [path for folder in ("autograd", "ops", "nn", "io") for path in (ROOT / folder).rglob("*.c")]
    variables = {name for path in sources for name in re.findall(r'(?:getenv|number_in)\("([A-Z_]+)"', path.read_text(encoding="utf-8"))}
    said = set(re.findall(r"^\.It Ev (\w+)", made["autograd.7"], flags=re.M))
    check(variables <= said and said, "autograd.7 does not say all of", variables, "but", said)
    check({f"{page.name}" for page in found.pages} <= set(re.findall(r"^\.It Xr (\w+) 3", made["autograd.7"], flags=re.M)),
          "autograd.7 does not list", [page.name for page in found.pages if f".It Xr {page.name} 3" not in made["autograd.7"]])
    check("Shape\n" in made["ag_matmul.3"] and "(…,m,n)" in made["ag_matmul.3"], "ag_matmul.3 has no line Shape")


def check_lint(folder, made):
    mandoc = shutil.which("mandoc")
    if not mandoc:
        print("there is no mandoc: the form of the pages is not checked")
        return
    pages = sorted(name for name, text in made.items() if not text.startswith(".so"))
    said = subprocess.run([mandoc, "-Tlint", "-Wstyle", *pages], cwd=folder, capture_output=True, encoding="utf-8")
    lines = [line for line in (said.stdout + said.stderr).splitlines() if "mandoc.db" not in line and not ALLOWED.search(line)]
    check(not lines, *lines)
    rendered = subprocess.run([mandoc, "-Tutf8", "ag_matmul.3"], cwd=folder, capture_output=True, encoding="utf-8").stdout
    check("ā = ȳ·bᵀ" in re.sub(".\b", "", rendered), "the page of ag_matmul is not readable:", rendered)


def main():
    version, *headers = sys.argv[1:]
    headers = [pathlib.Path(header).resolve() for header in headers]
    names = set(declared_names(headers))
    found = reference.Reference(headers, ROOT)
    with tempfile.TemporaryDirectory() as folder:
        made = reference.pages(found, reference.date_of_changes(), version)
        check(not found.faults, *found.faults)
        check(set(made) == set(found.files()), "the list of files is not that of the pages")
        check(len(names) > 200, "only", len(names), "names")
        for name, text in made.items():
            pathlib.Path(folder, name).write_text(text, encoding="utf-8")
        check_links(made, names)
        check_contents(made, found)
        check_lint(folder, made)
    print(f"{len(made)} files for {len(names)} names, {len(failures)} faults")
    sys.exit(len(failures) > 0)


main()
