"""Editors find every public function where it is defined: check_ctags.py CTAGS SOURCE...

Universal Ctags reads the sources as they stand, without options of the project's own. Each function that a public header
declares has to be a function there, of one place; and where others than the editor look for it, as `git grep '^ag_tensor \\*ag_exp('`
does, the line begins with its type and has its name. Another ctags is skipped."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def declared():
    """The public functions, by the headers that meson.build installs."""
    build = (ROOT / "meson.build").read_text(encoding="utf-8")
    block = re.search(r"^public_headers = \{(.*?)^\}", build, flags=re.M | re.S).group(1)
    text = "".join((ROOT / path).read_text(encoding="utf-8") for path in re.findall(r"'([\w/]+\.h)'", block))
    return [re.search(r"\b(ag_\w+) ?\(", " ".join(found.split())).group(1) for found in re.findall(r"^AG_API ([^;]*);", text, flags=re.M)]


def main():
    ctags, *sources = sys.argv[1:]
    version = subprocess.run([ctags, "--version"], capture_output=True, text=True).stdout
    if "Universal Ctags" not in version:
        print(f"{ctags} is not Universal Ctags: nothing was checked")
        return 77
    command = [ctags, "--options=NONE", "-x", "--languages=C", "--kinds-C=f", "--_xformat=%N\t%F\t%n", *sources]
    places = {}
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        name, path, number = line.split("\t")
        places.setdefault(name, []).append((path, int(number)))
    names, wrong = declared(), 0
    for name in names:
        found = places.get(name, [])
        lines = [pathlib.Path(path).read_text(encoding="utf-8").splitlines()[number - 1] for path, number in found]
        if len(found) != 1:
            print(f"{name} is found at {len(found)} places: {found}")
            wrong += 1
        elif not re.match(r"[a-z][\w ]*[ *]%s\(" % name, lines[0]):
            print(f"{name} is defined on a line that does not begin with its type: {lines[0]}")
            wrong += 1
    print(f"{len(names)} functions, {wrong} not found where they are defined")
    return 1 if wrong or not names else 0


sys.exit(main())
