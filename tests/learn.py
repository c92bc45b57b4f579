"""Puts the examples' real output into the pages of docs/learn, and into the README: learn.py [--check] FOLDER

FOLDER has the examples' programs. A page has blocks such as

    <!-- activations OUT: Sigmoid -->
    ```text
    ```

which get the part of the program's output under the line "== Sigmoid", up to an empty line. OUT stands for a folder to
write pictures to; those that the page shows are copied beside it. Blocks such as

    <!-- parts: the gradient by x: formula; why -->
    ```text
    $ ./dev explain 'x*x' x:3

get the output of that command or, with the first line, those parts of it. With --check nothing is written: it is an error
if a page differs from the output. Numbers may differ by rounding, as from one machine to another, and in a block with
"(numbers vary)" by any amount; so may pictures."""

import difflib
import functools
import math
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "learn"
PLACE = re.compile(r"<!-- (?!parts:)(?P<command>[^:>]+): (?P<part>.*?)(?P<vary> \(numbers vary\))? -->\n```text\n(?P<text>.*?)```", re.S)
EXPLAINED = re.compile(
    r"(?:<!-- parts: (?P<parts>[^\n]*) -->\n)?```text\n\$ \./dev explain (?P<command>[^\n]*)\n(?P<text>(?P<vary>).*?)```", re.S
)
COORDINATE = re.compile(r"(?<=[ ,'ML(>])-?\d+(?:\.\d+)?")
TRAINED = {"moons.svg", "words.svg"}  # pictures of the result of a training run
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


@functools.cache
def explained(folder, command):
    run = subprocess.run([pathlib.Path(folder, "explain", "ag-explain"), *shlex.split(command)], capture_output=True, encoding="utf-8")
    if run.returncode:
        sys.exit(f"./dev explain {command} failed:\n{run.stdout}{run.stderr}")
    return run.stdout


def parts_of(output, titles):
    if not titles:
        return output
    chunks = {chunk.split("\n")[0].removeprefix("== "): chunk.strip() for chunk in re.split(r"\n\n(?=== )", output)}
    for title in titles.split("; "):
        if title not in chunks:
            sys.exit(f'ag-explain printed no part "{title}"')
    return "\n\n".join(chunks[title] for title in titles.split("; ")) + "\n"


def same_number(a, b):
    if re.fullmatch(r"-?\d+", a) and re.fullmatch(r"-?\d+", b):
        return int(a) == int(b)
    return math.isclose(float(a), float(b), rel_tol=2e-3, abs_tol=1.5e-4)


def same(a, b, vary):
    if [part.split() for part in NUMBER.split(a)] != [part.split() for part in NUMBER.split(b)]:
        return False
    return vary or all(map(same_number, NUMBER.findall(a), NUMBER.findall(b)))


def same_picture(a, b, vary):
    """The text in them and, except for training runs, the position of each line to a pixel."""
    words = [[NUMBER.sub("", text) for text in re.findall(r"<text[^>]*>([^<]*)", picture)] for picture in (a, b)]
    if vary or words[0] != words[1]:
        return words[0] == words[1]
    near = all(abs(float(x) - float(y)) <= 1 for x, y in zip(COORDINATE.findall(a), COORDINATE.findall(b)))
    return near and COORDINATE.sub("", a) == COORDINATE.sub("", b)


def check_picture(page, name, out):
    old, new = [pathlib.Path(folder, name) for folder in (PAGES, out)]
    if not new.exists() or not old.exists():
        print(f"{page.name}: no program writes the picture {name}")
        return 1
    if same_picture(old.read_text(encoding="utf-8"), new.read_text(encoding="utf-8"), name in TRAINED):
        return 0
    print(f"{page.name}: the picture {name} is stale: ./dev docs updates it")
    return 1


def check(page, pattern, text, fresh):
    stale = 0
    for old, new in zip(pattern.finditer(text), pattern.finditer(fresh)):
        if not same(old["text"], new["text"], old["vary"]):
            print(f"{page.name}: {old['command']} is stale: ./dev docs updates it")
            print("".join(difflib.unified_diff(old["text"].splitlines(True), new["text"].splitlines(True), "page", "now")))
            stale += 1
    return stale


def main():
    folder = sys.argv[-1]
    places = stale = 0
    with tempfile.TemporaryDirectory() as out:
        for page in [*sorted(PAGES.glob("*.md")), ROOT / "README.md"]:
            text = page.read_text(encoding="utf-8")

            def fill(match):
                start = match[0][: match.start("text") - match.start()]
                return start + part_of(output_of(folder, match["command"], out), match["part"]) + "```"

            def explain(match):
                start = match[0][: match.start("text") - match.start()]
                return start + parts_of(explained(folder, match["command"]), match["parts"]) + "```"

            fresh = EXPLAINED.sub(explain, PLACE.sub(fill, text))
            commands = len(EXPLAINED.findall(text))
            places += len(PLACE.findall(text)) + commands
            if text.count("```text") != len(PLACE.findall(text)) + commands:
                print(f"{page.name}: a block of output has no program")
                stale += 1
            if not commands:
                print(f"{page.name}: a block has no command of ./dev explain")
                stale += 1
            for name in PICTURE.findall(text):
                if "--check" not in sys.argv:
                    shutil.copy(pathlib.Path(out, name), PAGES / name)
                stale += check_picture(page, name, out)
            if "--check" in sys.argv:
                stale += check(page, PLACE, text, fresh) + check(page, EXPLAINED, text, fresh)
            elif fresh != text:
                page.write_text(fresh, encoding="utf-8")
                print(f"{page.name} is updated")
    print(f"{places} blocks, {stale} of them stale")
    sys.exit(stale > 0 or places == 0)


if __name__ == "__main__":
    main()
