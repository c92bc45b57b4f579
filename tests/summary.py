"""Adds up what a run of `meson test` did, in one line: summary.py [--record PAGE MODE] LOG-FOLDER [NAME...]

A Check program counts for the number of tests in its last line, any other test for one. A Check program that fails
although all its tests passed (it leaked, or crashed at its end) counts as one more failure. A line of its own names the
number of skipped tests. Each NAME must have run. With --record the run's results stand in PAGE between two comments, in
place of those of the last run, by suite; MODE is the way in which the tests were built."""

import collections
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

CLOSING = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)
LEFT_OUT = re.compile(r"^Skipped: (\d+), ", re.MULTILINE)
PLACE = re.compile(r"(<!-- the last long run: .*? -->\n).*?(<!-- its end -->)", re.DOTALL)

Count = collections.namedtuple("Count", "passed failed skipped")


def count_of(test):
    ok, text = test["result"] == "OK", test["stdout"] or ""
    closings = [tuple(map(int, found)) for found in CLOSING.findall(text)]
    bad = sum(failures + errors for _, failures, errors in closings)
    passed = sum(checks for checks, _, _ in closings) - bad
    skipped = sum(map(int, LEFT_OUT.findall(text)))
    if test["result"] == "SKIP":
        return Count(passed, bad, skipped + 1)
    return Count(passed + (ok and not closings), bad + (not ok and not bad), skipped)


def total(counts):
    return Count(*map(sum, zip(*counts))) if counts else Count(0, 0, 0)


def suite_of(test):
    """The first suite of "autograd:fused / test name", "autograd:long+source / test name"."""
    names = test["name"].split(" / ")[0].split(":")[-1].split("+") if " / " in test["name"] else ["other"]
    return "long" if "long" in names else names[0]


def table(tests, mode):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "no commit"
    suites = {}
    for test in tests:
        suites.setdefault(suite_of(test), []).append(test)
    began = min(test["starttime"] for test in tests)
    elapsed = max(test["starttime"] + test["duration"] for test in tests) - began
    when = datetime.datetime.fromtimestamp(began, datetime.timezone.utc).strftime("%Y-%m-%d")
    lines = [f"{when}, commit {commit}, `{mode}`, {platform.machine()} with {os.cpu_count()} processors, {elapsed:.0f} seconds:", "",
             "| suite | programs | passed | failed | skipped | seconds |", "|---|---:|---:|---:|---:|---:|"]
    for suite, of in sorted(suites.items()) + [("all", tests)]:
        counts = " | ".join(map(str, total([count_of(test) for test in of])))
        lines.append(f"| {suite} | {len(of)} | {counts} | {sum(test['duration'] for test in of):.0f} |")
    failed = sorted(test["name"] for test in tests if count_of(test).failed)
    return "\n".join(lines + ([f"\nFailed: {', '.join(failed)}"] if failed else [])) + "\n\n"


def record(page, mode, tests):
    text, places = PLACE.subn(lambda found: found[1] + "\n" + table(tests, mode) + found[2], page.read_text(encoding="utf-8"))
    if places != 1:
        sys.exit(f"{page} has {places} places for the last long run")
    page.write_text(text, encoding="utf-8")


def main():
    words = sys.argv[1:]
    page, mode = (pathlib.Path(words[1]), words[2]) if words[0] == "--record" else (None, "")
    folder, *names = words[3:] if page else words
    logs = pathlib.Path(folder).glob("testlog*.json")
    tests = [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
    passed, failed, skipped = total([count_of(test) for test in tests])
    ran = {test["name"].split(" / ")[-1] for test in tests}
    for name in names:
        if name not in ran:
            print(f"no test has the name {name}")
            failed += 1
    if page and tests:
        record(page, mode, tests)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(failed > 0 or not ran)


main()
