"""Compares what programs see of the library with an earlier state of it: abi.py [REF] | --files OLD NEW

A program that was built for the earlier state, by default the last tag, must run with this one: functions that are gone, and
parameters, results, enumerators and structs of public headers that have changed are errors; functions that were added are not.
Both are built with debug information, in build/abi, and compared by abidiff. With --files they are shared libraries that are there
already, each with a folder `include` beside it or above. Exit status: 0 compatible, 1 not, or not compared."""

import io
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPTIONS = ["--buildtype=debugoptimized", "--prefix=/", "--libdir=lib", "-Dbench=disabled", "-Dexamples=disabled", "-Dtests=disabled"]


def fail(text):
    sys.exit(f"abi: {text}")


def run(*command, **more):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        fail(f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}")
    return done.stdout


def last_tag():
    found = subprocess.run(["git", "describe", "--tags", "--abbrev=0"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        fail("there is no tag, so nothing was released that programs could have been built for; ./dev abi REF compares with any commit")
    return found.stdout.strip()


def sources(ref, folder):
    shutil.rmtree(folder, ignore_errors=True)
    archive = subprocess.run(["git", "archive", f"{ref}^{{commit}}"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        fail(f"{ref}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder)


def built(source, folder):
    """The shared library as it is installed, with its headers."""
    if not (folder / "build/build.ninja").exists():
        run("meson", "setup", folder / "build", source, *OPTIONS)
    run("ninja", "-C", folder / "build")
    shutil.rmtree(folder / "lib", ignore_errors=True)
    shutil.rmtree(folder / "include", ignore_errors=True)
    run("meson", "install", "-C", folder / "build", "--no-rebuild", "--quiet", "--destdir", folder)
    return folder / "lib/libautograd.so"


def headers(library):
    for folder in library.absolute().parents:
        if (folder / "include").is_dir():
            return folder / "include"
    fail(f"there is no folder 'include' above {library}")


def compare(old, new):
    """abidiff's bits: 1 an error, 2 misuse, 4 a change, 8 an incompatible one."""
    tool = shutil.which("abidiff")
    if not tool:
        fail("there is no abidiff: install abigail-tools")
    command = [tool, "--headers-dir1", headers(old), "--headers-dir2", headers(new), "--drop-private-types", old, new]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    print(done.stdout, end="")
    if done.returncode & 3:
        fail(f"abidiff fails: {done.stderr}")
    return not done.returncode & 8 and not incompatible(done.stdout)


def incompatible(report):
    """Changes that abidiff leaves to its reader: all but functions that were added."""
    counts = re.findall(r"^(\w+) changes summary: (\d+) Removed, (\d+) Changed", report, flags=re.M)
    return any(int(removed) or int(changed) for _, removed, changed in counts)


def main():
    if sys.argv[1:2] == ["--files"]:
        old, new = map(pathlib.Path, sys.argv[2:])
        what = f"{new} and {old}"
    else:
        (ref,) = sys.argv[1:] or [last_tag()]
        where = ROOT / "build/abi"
        commit = run("git", "rev-parse", "--verify", f"{ref}^{{commit}}", cwd=ROOT).strip()
        if not (where / commit / "source").exists():
            sources(commit, where / commit / "source")
        old, new = built(where / commit / "source", where / commit), built(ROOT, where / "now")
        what = f"this and {ref}"
    if not compare(old, new):
        print(f"{what} are not compatible")
        sys.exit(1)
    print(f"{what} are compatible")


main()
