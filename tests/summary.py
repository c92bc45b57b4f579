"""Adds up what a run of `meson test` did, in one line: summary.py LOG-FOLDER [NAME...]

A Check program counts for the number of tests in its last line, any other test for one. A Check program that fails
although all its tests passed (it leaked, or crashed at its end) counts as one more failure. A line of its own names the
number of skipped tests. Each NAME must have run.
"""

import json
import pathlib
import re
import sys

CLOSING = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)
LEFT_OUT = re.compile(r"^Skipped: (\d+), ", re.MULTILINE)

folder, *names = sys.argv[1:]
passed = failed = skipped = 0
ran = set()

for log in pathlib.Path(folder).glob("testlog*.json"):
    for test in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
        ran.add(test["name"].split(" / ")[-1])
        ok, bad = test["result"] == "OK", 0
        closings = CLOSING.findall(test["stdout"] or "")
        for checks, failures, errors in (map(int, found) for found in closings):
            bad += failures + errors
            passed += checks - failures - errors
        skipped += sum(map(int, LEFT_OUT.findall(test["stdout"] or "")))
        failed += bad
        if test["result"] == "SKIP":
            skipped += 1
        elif not ok and not bad:
            failed += 1
        elif ok and not closings:
            passed += 1

for name in names:
    if name not in ran:
        print(f"no test has the name {name}")
        failed += 1

print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(failed > 0 or not ran)
