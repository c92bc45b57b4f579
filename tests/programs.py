"""The programs of the documentation: compiled, run, and compared with the output that stands beside them.

    programs.py [--write] HEADERS LIBRARY COMPILER...

LIBRARY is the shared one.
The programs are those of docs/reference/, whose last comment is what they print, and the blocks ```c of docs/guides/, of which each
is a whole program or, after <!-- part -->, a part that is only shown. A block ```text below a program is what it prints, and so
is one below a comment such as <!-- NAME: a title -->, of which it gets the part under "== a title". With --write that is put there,
which `./dev docs` does. Numbers may differ by rounding, or where "(numbers vary)" stands behind the title by any amount."""

import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

import learn

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = ["-std=c17", "-Wall", "-Wextra", "-Werror", "-O1"]

REFERENCE = re.compile(r"(?P<program>.*\n)/\* It prints:\n(?P<text>.*?) \*/\n", re.S)
GUIDE = re.compile(
    r"(?P<before><!-- [^\n]*? -->\n)?```c\n(?P<program>.*?)```\n(?:\n(?:(?!```|\n#).){1,400}?\n\n(?P<vary><!-- numbers vary -->\n)?```text\n(?P<text>.*?)```)?", re.S)


def printed(program, headers, library, compiler):
    """What a program prints, run in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "program.c").write_text(program, encoding="utf-8")
        made = subprocess.run([*compiler, *FLAGS, "-I", headers, "program.c", "-o", "program", *library], cwd=folder, capture_output=True, text=True)
        if made.returncode:
            return None, made.stdout + made.stderr
        run = subprocess.run(["./program"], cwd=folder, capture_output=True, encoding="utf-8", timeout=100)
        return (run.stdout, None) if run.returncode == 0 else (None, f"it ends with {run.returncode}\n{run.stdout}{run.stderr}")


def commented(text):
    return "".join(" * ".rstrip() + (" " + line if line else "") + "\n" for line in text.rstrip("\n").split("\n"))


class Place:
    """A program in a file, and the place of its output."""

    def __init__(self, path, match):
        self.path, self.program = path, match["program"]
        self.span, self.text = match.span("text"), match["text"]
        self.vary = bool(match.groupdict().get("vary"))

    def shown(self, output):
        return commented(output) if self.path.suffix == ".c" else output

    def fault(self, output):
        if not learn.same(self.text, self.shown(output), self.vary):
            return f"it prints\n{output}"
        return None


def places():
    for path in sorted((ROOT / "docs/reference").glob("*.c")):
        found = REFERENCE.fullmatch(path.read_text(encoding="utf-8"))
        if not found:
            sys.exit(f"{path.name} does not end with what it prints")
        yield Place(path, found)
    for path in sorted((ROOT / "docs/guides").glob("*.md")):
        for found in GUIDE.finditer(path.read_text(encoding="utf-8")):
            if found["before"] == "<!-- part -->\n":
                continue
            if found["text"] is None or "int main(" not in found["program"]:
                sys.exit(f"{path.name}: a block of C is no program with its output:\n{found['program'][:200]}")
            yield Place(path, found)


def write(done):
    for path in dict.fromkeys(place.path for place, _, _ in done):
        text = path.read_text(encoding="utf-8")
        for place, output, fault in sorted(done, key=lambda one: -one[0].span[0]):
            if place.path == path and not fault and place.fault(output):
                text = text[: place.span[0]] + place.shown(output) + text[place.span[1] :]
                print(f"{path.relative_to(ROOT)} is updated")
        path.write_text(text, encoding="utf-8")


def main():
    words = [word for word in sys.argv[1:] if word != "--write"]
    headers, library, *compiler = words
    headers, library = pathlib.Path(headers).resolve(), pathlib.Path(library).resolve()
    link = [library, f"-Wl,-rpath,{library.parent}", "-lm", "-pthread"]
    all_places = list(places())
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        outputs = pool.map(lambda place: printed(place.program, headers, link, compiler), all_places)
        done = [(place, output, fault) for place, (output, fault) in zip(all_places, outputs)]
    if "--write" in sys.argv:
        write(done)
    faults = 0
    for place, output, fault in done:
        fault = fault or ("--write" not in sys.argv and place.fault(output))
        if fault:
            faults += 1
            print(f"{place.path.relative_to(ROOT)}: {place.program.lstrip()[:60]!r}: {fault}\n./dev docs updates it, if that is right")
    print(f"{len(done)} programs, {faults} of them with faults")
    sys.exit(faults > 0 or not done)


if __name__ == "__main__":
    main()
