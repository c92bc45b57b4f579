#!/usr/bin/env python3
"""Writes docs/accuracy.md, and the lines of the headers, from what test_mpfr prints: accuracy.py FILE...

Each FILE has lines of `test_mpfr --points N`, also of several runs: for each function and measure the largest error is
taken, and the number of points is that of the longest run. What none of them measures stays as the page has it. With
--claims, the lines for the headers are printed instead, rounded up to a tenth."""

import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEASURES = ["f64", "f32", "slopes"]
HEADERS = ["elementwise", "special", "numeric", "activation"]
START, END = "<!-- the table: written by tests/accuracy.py -->", "<!-- its end -->"


PARTS = "Parts up to "


def read(paths):
    found, sums, parts = {}, {}, {}
    for path in paths:
        for line in pathlib.Path(path).read_text().splitlines():
            part = line.split("\t")
            if len(part) == 8:
                sums[part[0], part[1]] = part[2:]
            if len(part) == 6 and part[1].startswith(PARTS):
                parts[part[0], part[1].removeprefix(PARTS)] = [f"{float(part[2]):.2g}", count(int(part[5]))]
            if len(part) != 6 or part[1] not in MEASURES:
                continue
            name, measure, error, at, beside, points = part
            before = found.get((name, measure), (-1, "", "", 0))
            worst = (float(error), at, beside) if float(error) > before[0] else before[:3]
            found[name, measure] = worst + (max(int(points), before[3]),)
    return found, sums, parts


def number(text):
    return int(text.replace(" ", ""))


def read_page(text):
    """What the table has now."""
    found, sums, parts = {}, {}, {}
    for line in re.search(re.escape(START) + "(.*?)" + re.escape(END), text, flags=re.S)[1].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 8 and cells[0] and cells[1] in MEASURES:
            sums[cells[0], cells[1]] = cells[2:]
        elif len(cells) == 4 and cells[0] and "-" not in cells[0]:
            parts[cells[0], cells[1]] = cells[2:]
        elif len(cells) == 8 and cells[0] and "-" not in cells[0] and not cells[0].startswith("n up to"):
            at = (cells[2].split(", ") if cells[2] else []) + ["0", "0"]
            for measure, error, points in zip(MEASURES, (cells[1], cells[4], cells[6]), (cells[3], cells[5], cells[7])):
                if error:
                    found[cells[0], measure] = (float(error), at[0], at[1], number(points))
    return found, sums, parts


def header_of(name):
    for header in HEADERS:
        if f"\n/* ag_{name} --" in (ROOT / f"ops/{header}.h").read_text():
            return header
    return None


def claims(found):
    for header in HEADERS:
        print(f"{header}.h")
        for measure in MEASURES:
            parts = [f"{name} {math.ceil(round(e[0], 3) * 10) / 10:g}" for (name, m), e in sorted(found.items())
                     if m == measure and header_of(name) == header]
            print(f"Units of {measure}: {', '.join(parts)};")


def count(points):
    return f"{points:,}".replace(",", " ")


def table(found, sums, parts):
    lines = ["| | f64 | at | points | f32 | points | slope, f64 | points |", "|---|---|---|---|---|---|---|---|"]
    for name in sorted({name for name, _ in found}):
        wide, narrow, slope = (found.get((name, m)) for m in MEASURES)
        at = ", ".join(f"{float(x):.6g}" for x in wide[1:3] if x != "0") if wide and wide[0] > 0 else ""
        cells = [f"{wide[0]:.2f}", at, count(wide[3])] if wide else ["", "", ""]
        cells += [f"{narrow[0]:.2f}", count(narrow[3])] if narrow else ["", ""]
        cells += [f"{slope[0]:.2f}", count(slope[3])] if slope else ["", ""]
        lines.append("| " + " | ".join([name] + cells) + " |")
    if sums:
        lines += ["", "Sums, products and norms of n terms, in ε·Σ|terms|:", "",
                  "| n up to | | 10 | 100 | 1000 | 10⁴ | 10⁵ | 10⁶ |", "|---|---|---|---|---|---|---|---|"]
        lines += ["| " + " | ".join([*key, *row]) + " |" for key, row in sums.items()]
    if parts:
        lines += ["", "Incomplete functions, of parameters from 0.001 to so much: errors relative to y.", "",
                  "| | up to | f64 | points |", "|---|---|---|---|"]
        lines += ["| " + " | ".join([*key, *row]) + " |" for key, row in parts.items()]
    return "\n".join(lines)


def main():
    measured = read([a for a in sys.argv[1:] if a != "--claims"])
    page = ROOT / "docs/accuracy.md"
    text = page.read_text()
    for was, now in zip(before := read_page(text), measured):
        was.update(now)
    if "--claims" in sys.argv:
        claims(before[0])
        return
    whole = re.escape(START) + ".*?" + re.escape(END)
    page.write_text(re.sub(whole, lambda m: f"{START}\n{table(*before)}\n{END}", text, flags=re.S))


if __name__ == "__main__":
    main()
