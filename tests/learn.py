"""Puts the examples' real output into the pages of docs/learn: learn.py [--check] FOLDER

FOLDER has the examples' programs. A page has places such as

    <!-- activations OUT: Sigmoid -->
    ```text
    ```

which take the part of the program's output under the line "== Sigmoid", up to an empty line. OUT stands for a folder to
write pictures to; those that the page shows are copied beside it. With --check nothing is written: it is an error if a
page does not have what the programs print. Numbers may differ there as much as rounding lets them differ from one
machine to another, and at a place that says "(numbers vary)" as they like."""

import difflib
import functools
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PAGES = pathlib.Path(__file__).resolve().parent.parent / "docs" / "learn"
PLACE = re.compile(r"<!-- (?P<command>[^:>]+): (?P<part>.*?)(?P<vary> \(numbers vary\))? -->\n```text\n(?P<text>.*?)```", re.S)
PICTURE = re.compile(r"!\[[^\]]*\]\(([\w.-]+)\)")
NUMBER = re.compile(r"(?<![\w#])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@functools.cache
def output_of(folder, command, out):
    name, *words = command.split()
    arguments = [out if word == "OUT" else word for word in words]
    run = subprocess.run([pathlib.Path(folder, name), *arguments], capture_output=True, encoding="utf-8")
    if run.returncode:
        sys.exit(f"{command} failed:\n{run.stdout}{run.stderr}")
    return run.stdout


def part_of(output, title):
    for chunk in re.split(r"^(?=== )", output, flags=re.M):
        if re.match(rf"== {re.escape(title)}(  |\n)", chunk):
            return chunk.split("\n\n")[0].strip() + "\n"
    sys.exit(f'no program printed a part "{title}"')


def same_number(a, b):
    if re.fullmatch(r"-?\d+", a) and re.fullmatch(r"-?\d+", b):
        return int(a) == int(b)
    return math.isclose(float(a), float(b), rel_tol=2e-3, abs_tol=1.5e-4)


def same(a, b, vary):
    if [part.split() for part in NUMBER.split(a)] != [part.split() for part in NUMBER.split(b)]:
        return False
    return vary or all(map(same_number, NUMBER.findall(a), NUMBER.findall(b)))


def check(page, text, fresh):
    stale = 0
    for old, new in zip(PLACE.finditer(text), PLACE.finditer(fresh)):
        if not same(old["text"], new["text"], old["vary"]):
            print(f"{page.name}: {old['command']}: {old['part']} is stale; ./dev docs makes it anew")
            print("".join(difflib.unified_diff(old["text"].splitlines(True), new["text"].splitlines(True), "page", "now")))
            stale += 1
    return stale


def main():
    folder = sys.argv[-1]
    places = stale = 0
    with tempfile.TemporaryDirectory() as out:
        for page in sorted(PAGES.glob("*.md")):
            text = page.read_text(encoding="utf-8")

            def fill(match):
                start = match[0][: match.start("text") - match.start()]
                return start + part_of(output_of(folder, match["command"], out), match["part"]) + "```"

            fresh = PLACE.sub(fill, text)
            places += len(PLACE.findall(text))
            if text.count("```text") != len(PLACE.findall(text)):
                print(f"{page.name}: a block of output has no program")
                stale += 1
            for name in PICTURE.findall(text):
                if not pathlib.Path(out, name).exists() or not (PAGES / name).exists() and "--check" in sys.argv:
                    print(f"{page.name}: there is no picture {name}")
                    stale += 1
                elif "--check" not in sys.argv:
                    shutil.copy(pathlib.Path(out, name), PAGES / name)
            if "--check" in sys.argv:
                stale += check(page, text, fresh)
            elif fresh != text:
                page.write_text(fresh, encoding="utf-8")
                print(f"{page.name} was brought up to date")
    print(f"{places} places, {stale} not as they should be")
    sys.exit(stale > 0 or places == 0)


main()
