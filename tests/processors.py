"""The tests on every processor and by every compiler, as a table: processors.py [--programs A,B,… | --all | --bits | --list | --page] [--more] [--small] [ROW...]

Each row is built in a folder of its own, and its test programs run, under qemu where the processor is another one. What came
of it is kept in build/processors/ROW.json, a program at a time, so that a run can be continued or repeated in part. At the end
docs/processors.md is written, of all results that are there. `./dev processors` installs what is needed and calls this."""

import argparse
import collections
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(TOP, "build", "processors")
PAGE = os.path.join(TOP, "docs", "processors.md")

# What says most about a processor or a compiler: each operation and its gradient, sums, files, random programs.
CHOSEN = [
    *["header", "errors", "ops", "reduce", "shape", "special", "linalg", "exact", "nets"],
    *["file", "files", "io", "checkpoint", "exchange", "random"],
]
ARGUMENTS = {"mpfr": sorted(glob.glob(os.path.join(TOP, "ops", "*.h")))}
FEWER = {"random": ["--programs", "100"]}  # for what is slow, where not all is asked for
LIMIT = 1800  # seconds that a program may take

Row = collections.namedtuple("Row", "name text cross options environment wrapper build", defaults=[None, [], {}, None, None])
O2 = ["--buildtype=debugoptimized"]


def optimised(level, *more):
    return [f"-Doptimization={level}", "-Ddebug=false", *more]


def by(compiler, level, flags="", more=()):
    """With assertions where one would debug, and without, as in a release, where one would not."""
    checked = ["-Db_ndebug=false"] if level in "01" else []
    options = optimised(level, *checked, *more) + ([f"-Dc_args={flags}"] if flags else [])
    return {"options": options, "environment": {"CC": compiler}}


# name, text, the processor of tests/cross, options of meson, environment, a wrapper around each program, another row's build
ROWS = [
    Row("x86-64", "x86-64, as it is: AVX-512 if it has that", options=[*O2, "-Dwerror=true"]),
    Row("avx2", "the same, `AG_ISA=avx2 AG_KERNELS=avx2`", environment={"AG_ISA": "avx2", "AG_KERNELS": "avx2"}, build="x86-64"),
    Row("none", "the same, `AG_ISA=none AG_KERNELS=plain`", environment={"AG_ISA": "none", "AG_KERNELS": "plain"}, build="x86-64"),
    Row("haswell", "x86-64 with AVX2 alone (qemu, Haswell)", wrapper=["qemu-x86_64-static", "-cpu", "Haswell"], build="x86-64"),
    Row("nehalem", "x86-64 without AVX (qemu, Nehalem)", wrapper=["qemu-x86_64-static", "-cpu", "Nehalem"], build="x86-64"),
    Row("i386", "32-bit x86 with SSE2 (what `-m32` makes)", cross="i386", options=O2),
    Row("aarch64", "64-bit Arm (qemu)", cross="aarch64", options=O2),
    Row("armhf", "32-bit Arm (qemu)", cross="armhf", options=O2),
    Row("riscv64", "64-bit RISC-V (qemu)", cross="riscv64", options=O2),
    Row("s390x", "s390x, big-endian (qemu)", cross="s390x", options=O2),
    Row("musl", "x86-64 with musl as C library", cross="musl", options=O2),
    Row(
        "bare",
        "without LAPACK, FFTW, libpng, zlib and threads",
        options=optimised("2", *(f"-D{name}=disabled" for name in ["lapack", "fftw", "png", "zlib", "threads"])),
    ),
    Row("threadless", "without threads", options=optimised("2", "-Dthreads=disabled")),
    Row("blis", "with BLIS", options=optimised("2", "-Dblis=enabled")),
    Row("amalgamation", "from the one file autograd.c", options=optimised("2", "-Damalgamation=true")),
    Row("gcc-O0", "gcc -O0", **by("gcc", "0")),
    Row("gcc-O1", "gcc -O1", **by("gcc", "1")),
    Row("gcc-O3", "gcc -O3", **by("gcc", "3")),
    Row("gcc-lto", "gcc -O2 -flto", **by("gcc", "2", more=["-Db_lto=true"])),
    Row("gcc-enums-chars", "gcc -O0 -fshort-enums -funsigned-char", **by("gcc", "0", "-fshort-enums -funsigned-char")),
    Row("clang-O0", "clang -O0", **by("clang", "0")),
    Row("clang-O1", "clang -O1", **by("clang", "1")),
    Row("clang-O2", "clang -O2", **by("clang", "2")),
    Row("clang-O3", "clang -O3", **by("clang", "3")),
    Row("clang-lto", "clang -O2 -flto", **by("clang", "2", more=["-Db_lto=true", "-Dc_link_args=-fuse-ld=lld"])),
]
BY_NAME = {row.name: row for row in ROWS}
FLAGS = {"BLIS": "BLIS", "LAPACK": "LAPACK", "FFTW": "FFTW", "PNG": "libpng", "ZLIB": "zlib", "THREADS": "threads"}
CLOSING = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)
FAILING = re.compile(r"^\S+:\d+:[FE]:.*$", re.MULTILINE)
LEFT_OUT = re.compile(r"^(?:Skipped: (\d+), (.*)|(.*): skipped)$", re.MULTILINE)


def run(command, log, **more):
    return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=TOP, **more).returncode


def folder_of(row):
    row = BY_NAME[row.build or row.name]
    if row.cross == row.name:
        return os.path.join("build", f"cross-{row.name}")  # which ./dev test --cross has too
    return os.path.join("build", "test" if row.name == "x86-64" else f"processors/{row.name}")


def cross_lines(row):
    """The lines of the cross file that name a compiler or a wrapper."""
    with open(os.path.join(TOP, f"build/cross/{row.cross}.ini"), encoding="utf-8") as file:
        return file.read()


def known(folder, programs):
    """Those of the programs that this build has: one needs wrapped calls of a 64-bit C library, one MPFR."""
    with open(os.path.join(TOP, folder, "build.ninja"), encoding="utf-8") as file:
        text = file.read()
    return [name for name in programs if f"build tests/test_{name}: " in text]


def build(row, programs):
    """Configures and builds; the last lines of the log if that fails."""
    row = BY_NAME[row.build or row.name]
    folder, environment = folder_of(row), {**os.environ, **row.environment}
    path = os.path.join(RESULTS, f"{row.name}.log")
    with open(path, "w", encoding="utf-8") as log:
        options = ["-Dtests=enabled", "-Dbench=disabled", "-Dexamples=disabled", "-Dman=false", *row.options]
        if row.cross:
            failed = run(["tests/cross", row.cross], log)
            options.append(f"--cross-file=build/cross/{row.cross}.ini")
            environment.pop("CC", None)
            if failed:
                return "Check could not be built for it"
        if not os.path.exists(os.path.join(TOP, folder, "build.ninja")):
            shutil.rmtree(os.path.join(TOP, folder), ignore_errors=True)
            if run(["meson", "setup", folder, *options], log, env=environment):
                return "could not be configured"
        targets = ["tests/bits", "tests/carry", *(f"tests/test_{name}" for name in known(folder, programs))]
        if run(["ninja", "-j", "1", "-k", "0", "-C", folder, *targets], log):
            log.flush()
            with open(path, encoding="utf-8") as text:
                errors = [line.strip() for line in text if "error:" in line or "Error" in line or "undefined reference" in line]
            return "; ".join(errors[:3]) or "could not be built"
    return ""


def wrapper_of(row):
    if row.wrapper or not row.cross:
        return row.wrapper or []
    found = re.search(r"^exe_wrapper = \[(.*)\]$", cross_lines(row), re.MULTILINE)
    return re.findall(r"'([^']*)'", found[1]) if found else []


def try_program(row, name, everything, small):
    command = [*wrapper_of(row), os.path.join(TOP, folder_of(row), "tests", f"test_{name}"), *ARGUMENTS.get(name, [])]
    state = ["ninja", "-n", "-C", folder_of(row), f"tests/test_{name}"]
    if "no work to do" not in subprocess.run(state, capture_output=True, text=True, cwd=TOP).stdout:
        return {"problem": "could not be built"}  # and what is there may be older
    environment = {"AG_THREADS": "2", "CK_FORK": "no", "AG_EVAL": "fused", **os.environ, **row.environment}
    if small:
        environment["AG_TEST_SMALL"] = "1"
    fewer = [] if everything else FEWER.get(name, [])
    command += fewer
    begin = time.time()
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL, cwd=TOP, timeout=LIMIT, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"took more than {LIMIT} s"}
    closing = CLOSING.findall(done.stdout)
    result = {"seconds": round(time.time() - begin, 1), "checks": 0, "failed": 0, "failures": FAILING.findall(done.stdout)}
    for checks, failures, errors in closing:
        result["checks"] += int(checks)
        result["failed"] += int(failures) + int(errors)
    result["how"] = " ".join(["`AG_TEST_SMALL=1`"] * small + [f"`{' '.join(fewer)}`"] * bool(fewer))
    result["skipped"] = [found[0] for found in LEFT_OUT.finditer(done.stdout)]
    left_out = done.returncode == 77 and result["skipped"] and not result["failed"]  # as a whole, which is not a pass either
    if not left_out and (not closing or (done.returncode and not result["failed"])):
        result["problem"] = f"ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-300:]}"
    return result


def bits_of(row):
    """What tests/bits.c prints, of which each line is a result's name, dtype and hash."""
    command = [*wrapper_of(row), os.path.join(TOP, folder_of(row), "tests", "bits")]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=TOP, timeout=LIMIT, env={"AG_THREADS": "2", **os.environ, **row.environment}
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines()


def carry(row, *arguments):
    """The exit code and the output of tests/carry.c; None if it cannot run, or does not end."""
    command = [*wrapper_of(row), os.path.join(TOP, folder_of(row), "tests", "carry"), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, timeout=LIMIT, env={**os.environ, **row.environment})
    except (OSError, subprocess.TimeoutExpired):
        return None, ""
    return done.returncode, done.stdout


def carried_by(row):
    """Writes files, and has all rows that wrote some before read them, and this row theirs: who read whose, and faults."""
    mine = os.path.join(RESULTS, "files", row.name)
    shutil.rmtree(mine, ignore_errors=True)
    os.makedirs(mine)
    if carry(row, "write", mine)[0] != 0:
        shutil.rmtree(mine)
        return {"problem": "could not write files"}
    result = {"reads": [], "read by": [], "faults": []}
    for other in sorted(os.listdir(os.path.join(RESULTS, "files"))):
        for reader, writer, list_of in [(row, other, "reads"), (BY_NAME[other], row.name, "read by")]:
            code, text = carry(reader, "read", os.path.join(RESULTS, "files", writer))
            if code is not None:
                result[list_of].append(writer if list_of == "reads" else reader.name)
                result["faults"] += [f"{reader.name} reads {writer}'s: {cell(text)[:300]}"] if code else []
    result["bytes"] = {name: hashed(os.path.join(mine, name)) for name in sorted(os.listdir(mine))}
    return result


def hashed(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def features_of(row):
    """What of the optional libraries the build has."""
    try:
        with open(os.path.join(TOP, folder_of(row), "autograd_config.h"), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return []
    return [name for key, name in FLAGS.items() if f"#define AG_HAVE_{key} 1" in text]


def compiler_of(row):
    row = BY_NAME[row.build or row.name]
    compiler = row.environment.get("CC", "gcc")
    if row.cross:
        compiler = re.findall(r"'([^']*)'", re.search(r"^c = (.*)$", cross_lines(row), re.MULTILINE)[1])[-1]
    shown = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    return f"{'clang' if 'clang' in shown else 'gcc'} {re.search(r'[0-9]+[.][0-9]+[.][0-9]+', shown)[0]}"


def keep(path, result):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


def revision():
    """The commit that is built; with + if files differ from it, but for the page that this writes."""
    commit = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, cwd=TOP).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "--", ".", ":!docs/processors.md"], capture_output=True, text=True, cwd=TOP)
    return commit + "+" * bool(changed.stdout.strip())


def try_row(row, programs, everything, more, small):
    path = os.path.join(RESULTS, f"{row.name}.json")
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
    except OSError:
        result = {"programs": {}}
    if more:
        programs = [name for name in programs if name not in result["programs"]]
    if not programs and more:
        return
    print(f"{row.name}: building", flush=True)
    commit = revision()
    result["problem"] = build(row, programs)
    result["features"], result["compiler"], result["bits"] = features_of(row), compiler_of(row), bits_of(row)
    if result["problem"].startswith("could not be configured"):
        keep(path, result)
        return
    result["carried"] = carried_by(row)
    keep(path, result)
    for name in known(folder_of(row), programs):
        result["programs"][name] = found = {**try_program(row, name, everything, small), "commit": commit}
        print(f"{row.name}: {name}: {found.get('problem') or '{checks} checks, {failed} failed'.format(**found)}", flush=True)
        keep(path, result)


# ---- The page


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def same_bits(result, standard):
    """How many results are the same, and the names of others."""
    if not result.get("bits") or len(result["bits"]) != len(standard):
        return "not known", []
    pairs = list(zip(result["bits"], standard))
    others = [" ".join(mine.split()[:2]) for mine, its in pairs if mine != its]
    return f"{len(pairs) - len(others)} of {len(pairs)}", list(dict.fromkeys(others))


def same_files(result, standard):
    """How many of the files it writes have the bytes of the row x86-64's."""
    mine = result.get("carried", {}).get("bytes", {})
    theirs = standard.get("carried", {}).get("bytes", {})
    return f"{sum(theirs.get(name) == value for name, value in mine.items())} of {len(mine)}" if mine and theirs else "not known"


def commits_of(result):
    """The commits that programs ran on, with the number of programs where there are several."""
    counted = collections.Counter(p.get("commit", "unknown") for p in result["programs"].values())
    return ", ".join(f"{commit} ({n})" if len(counted) > 1 else commit for commit, n in counted.most_common())


def exchanged(results):
    """Who read whose files, and what went wrong."""
    pairs, faults = set(), []
    for name, result in results.items():
        found = result.get("carried", {})
        pairs |= {(name, other) for other in found.get("reads", [])} | {(other, name) for other in found.get("read by", [])}
        faults += found.get("faults", []) + ([f"{name}: {found['problem']}"] if "problem" in found else [])
    rows = [name for name in results if any(name in pair for pair in pairs)]
    missing = [f"{a} of {b}" for a in rows for b in rows if (a, b) not in pairs]
    return rows, len(pairs), missing, faults


def line_of(row, result, same, files):
    """A line of the table, and notes below it."""
    programs, notes = result["programs"], []
    good = [name for name, p in programs.items() if not p.get("problem") and not p["failed"] and p["checks"]]
    checks = sum(p.get("checks", 0) for p in programs.values())
    failed = sum(p.get("failed", 0) for p in programs.values())
    for name, p in programs.items():
        if p.get("problem"):
            notes.append(f"{row.name}, {name}: {cell(p['problem'])}")
        notes += [f"{row.name}, {name}: {cell(text)}" for text in p.get("failures", [])[:5]]
    if result["problem"] and not programs:
        notes.append(f"{row.name}: {cell(result['problem'])}")
    has = ", ".join(result["features"]) or "none"
    seconds = sum(p.get("seconds", 0) for p in programs.values())
    passed = f"{len(good)} of {len(programs)}"
    return f"| `{row.name}` | {row.text} | {result['compiler']} | {has} | {passed} | {checks} | {failed} | {same} | {files} | {seconds:.0f} | {commits_of(result)} |", notes


def skipped_in(results):
    """What programs say that they left out, with the rows."""
    said = collections.defaultdict(list)
    for name, result in results.items():
        for program, p in result["programs"].items():
            for text in p.get("skipped", []):
                said[f"{program}: {cell(text)}"].append(name)
    return [f"{text} ({', '.join(rows)})" for text, rows in said.items()]


def not_run_by(result, every):
    """The programs that a row has not run; where that is most of them, those that it has."""
    absent = [name for name in every if name not in result["programs"]]
    if len(absent) <= len(every) / 2:
        return ", ".join(absent)
    return "all but " + (", ".join(sorted(result["programs"])) or "the comparison of bits and files")


def all_programs():
    return sorted(os.path.basename(path)[5:-2] for path in glob.glob(os.path.join(TOP, "tests", "test_*.c")))


def bullets(lines, none):
    return "\n".join(f"- {line}" for line in lines) or none


def earlier_rows(results):
    """Rows of the present page of which there are no results here: (name, what passed, checks, failed, same bits, commits)."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    of_page = re.search(r"^Written by .*?\(([0-9-]{10}|on )", text, re.MULTILINE)
    of_page = "of " + of_page[1] if of_page and of_page[1] != "on " else "unknown"
    rows = []
    for line in text.splitlines():
        cells = [part.strip() for part in line.strip("|").split("|")]
        name = cells[0].strip("`")
        if not line.startswith("| `") or name in results:
            continue
        if len(cells) == 6:  # which an earlier page has taken over
            rows.append(cells)
        elif len(cells) >= 9:
            rows.append([cells[0], cells[4], cells[5], cells[6], cells[7], cells[10] if len(cells) > 10 else of_page])
    return [f"| {' | '.join(row)} |" for row in rows]


def write_page():
    results = {}
    for row in ROWS:
        try:
            with open(os.path.join(RESULTS, f"{row.name}.json"), encoding="utf-8") as file:
                results[row.name] = json.load(file)
        except OSError:
            pass
    lines, notes, others = [], [], collections.defaultdict(list)
    standard = results.get("x86-64", {}).get("bits", [])
    for name, result in results.items():
        same, different = same_bits(result, standard)
        line, more = line_of(BY_NAME[name], result, same, same_files(result, results.get("x86-64", {})))
        if different:
            others[", ".join(different)].append(f"`{name}`")
        lines.append(line)
        notes += more
    earlier = earlier_rows(results)
    absent = [f"`{row.name}`: {row.text}" for row in ROWS if row.name not in results and f"`{row.name}`" not in " ".join(earlier)]
    every, ran = all_programs(), {name for result in results.values() for name in result["programs"]}
    missing = collections.defaultdict(list)
    for name, result in results.items():
        missing[not_run_by(result, every)].append(f"`{name}`")
    not_run = [f"{', '.join(rows)}: {programs}" for programs, rows in missing.items() if programs]
    nowhere = [name for name in every if name not in ran]
    not_run += [f"in no row: {', '.join(nowhere)}"] if nowhere else []
    rows, pairs, unread, faults = exchanged(results)
    notes += faults
    fewer = collections.defaultdict(list)
    for name, result in results.items():
        for program, p in result["programs"].items():
            if p.get("how"):
                fewer[p["how"], name].append(program)
    fewer_lines = [f"`{name}`, with {how}: {', '.join(programs)}" for (how, name), programs in fewer.items()]
    many = len(every)
    fewer_lines = [line if line.count(",") < many / 2 else re.sub(": .*", ": all", line) for line in fewer_lines]
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(
            f"""# Processors and compilers

Written by `./dev processors` (on {platform.machine()}); what it says is what ran. A row is one processor, C library
or compiler; `./dev processors ROW` runs it again, and `./dev test --cross ROW` runs the tests of a foreign processor. Other
processors are shown by qemu's user mode, where programs take ten to twenty times as long. Each program ran once, with two
threads, by the fused evaluator. There are {len(every)} programs. Compilers' rows of levels 0 and 1, and processors' rows, have
the library's assertions. The last column is the commit that
was built; + after it means that files differed.

| row | what | compiler | optional parts | programs that pass | checks | failed | same bits | same files | seconds | commit |
|---|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}

Same bits: of the results that tests/bits.c prints (every elementwise operation of one argument with its gradient, sums,
products, layers, a training step), how many have the bits of the row `x86-64`. Others:

{bullets([f"{', '.join(rows)}: {names}" for names, rows in others.items()], 'none.')}

Same files: tests/carry.c writes one content as safetensors, .npz, packed .npz, .npy of each dtype, raw elements, CSV, a
picture and a checkpoint; so many have the bytes that the row `x86-64` writes. {len(rows)} rows wrote and read: {pairs} of
{len(rows) ** 2} pairs of a reader and a writer were tried, and in each of them every bit was compared
(a build without zlib neither writes nor reads the packed file).

## What ran at small sizes

{bullets(fewer_lines, 'Nothing.')}

## Rows of earlier runs

Nothing of these has run since; their fewer programs are those that an older page lists.

| row | programs that pass | checks | failed | same bits | commit |
|---|---|---|---|---|---|
{chr(10).join(earlier)}

## What fails

{bullets(notes, 'Nothing.')}

## What is skipped

{bullets(skipped_in(results), 'Nothing says that it left anything out.')}
- Where an optional part is missing, its operations fail with an error that says so; the tests expect that error.
- `-m32` is the row `i386`: Debian's packages for `gcc -m32` cannot be installed beside cross compilers.

## What did not run

{bullets([f"row {line}" for line in absent] + not_run + [f"files: {text}" for text in unread], 'Nothing.')}
"""
        )


def main():
    parser = argparse.ArgumentParser(prog="processors.py")
    parser.add_argument("--all", action="store_true", help="all programs, not only the chosen ones")
    parser.add_argument("--bits", action="store_true", help="only the bits of results, without a program")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--page", action="store_true", help="only write the page, of what has run")
    parser.add_argument("--more", action="store_true", help="only programs that the row has not run yet")
    parser.add_argument("--programs", help="these programs, with commas")
    parser.add_argument("--small", action="store_true", help="with AG_TEST_SMALL=1")
    parser.add_argument("rows", nargs="*")
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in BY_NAME]
    if unknown:
        sys.exit(f"processors: there is no row {unknown[0]}: {', '.join(BY_NAME)}")
    if options.list:
        for row in ROWS:
            print(f"{row.name:18} {row.text}")
        return
    os.makedirs(RESULTS, exist_ok=True)
    programs = options.programs.split(",") if options.programs else all_programs() if options.all else CHOSEN
    if options.bits:
        programs = []
    os.nice(19)
    if not options.page:
        for name in options.rows or BY_NAME:
            try_row(BY_NAME[name], programs, options.all, options.more, options.small)
    write_page()


if __name__ == "__main__":
    main()
