#!/usr/bin/env python3
"""Writes docs/accuracy.md, and the lines of the headers, from what test_mpfr prints: accuracy.py FILE...

Each FILE has lines of `test_mpfr --points N`, also of several runs: for each function and measure the largest error is
taken, and the number of points is that of the longest run. With --claims, the lines for the headers are printed instead,
rounded up to a tenth."""

import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEASURES = ["f64", "f32", "slopes"]
HEADERS = ["elementwise", "special", "numeric", "activation"]
START, END = "<!-- the table: written by tests/accuracy.py -->", "<!-- its end -->"


def read(paths):
    found, sums = {}, []
    for path in paths:
        for line in pathlib.Path(path).read_text().splitlines():
            part = line.split("\t")
            if len(part) == 8:
                sums.append(part)
            if len(part) != 6 or part[1] not in MEASURES:
                continue
            name, measure, error, at, beside, points = part
            before = found.get((name, measure), (-1, "", "", 0))
            worst = (float(error), at, beside) if float(error) > before[0] else before[:3]
            found[name, measure] = worst + (max(int(points), before[3]),)
    return found, sums


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


def table(found, sums):
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
        lines += ["| " + " | ".join(part) + " |" for part in sums]
    return "\n".join(lines)


def main():
    arguments = [a for a in sys.argv[1:] if a != "--claims"]
    found, sums = read(arguments)
    if "--claims" in sys.argv:
        claims(found)
        return
    page = ROOT / "docs/accuracy.md"
    text = page.read_text()
    whole = re.escape(START) + ".*?" + re.escape(END)
    page.write_text(re.sub(whole, lambda m: f"{START}\n{table(found, sums)}\n{END}", text, flags=re.S))


if __name__ == "__main__":
    main()
