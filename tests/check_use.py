"""A program writes one #include, however it comes by the library: check_use.py BUILD LIBRARY INCLUDES PKGCONFIG COMPILER...

The program that the header opens with is built and run against the build folder as README.md says, and against an installed tree,
through pkg-config if that is there; LIBRARY is the static library, INCLUDES and PKGCONFIG are where headers and .pc file are
installed. As a subproject the library is configured, and the program is compiled."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HELLO = ROOT / "examples/hello.c"
MESON = [sys.executable, "-m", "mesonbuild.mesonmain"]
PROJECT = """
project('user', 'c')
executable('hello', 'hello.c', dependencies: dependency('autograd', fallback: 'autograd'))
"""


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(what, folder, compiler, *flags, **more):
    program = folder / "hello"
    run(*compiler, HELLO, "-o", program, *flags)
    printed = run(program, **more)
    if printed != "y = 2 x + 1\n":
        sys.exit(f"{what}: it prints {printed!r}")
    print(what)


def installed(folder, build_folder, includes, pkgconfig, compiler, library):
    run(*MESON, "install", "-C", build_folder, "--no-rebuild", "--quiet", "--destdir", folder)
    there = pathlib.Path(str(folder) + str(includes))
    build("installed", folder, compiler, "-I", there, library, "-lm", "-pthread")
    if shutil.which("pkg-config"):
        at = pathlib.Path(str(folder) + str(pkgconfig))
        asks = {**os.environ, "PKG_CONFIG_PATH": str(at), "PKG_CONFIG_SYSROOT_DIR": str(folder)}
        flags = run("pkg-config", "--cflags", "--libs", "autograd", env=asks).split()
        build("through pkg-config", folder, compiler, *flags, env={**os.environ, "LD_LIBRARY_PATH": str(at.parent)})


def subproject(folder):
    (folder / "subprojects").mkdir()
    (folder / "subprojects/autograd").symlink_to(ROOT)
    (folder / "meson.build").write_text(PROJECT, encoding="utf-8")
    shutil.copy(HELLO, folder / "hello.c")
    run(*MESON, "setup", folder / "build", folder)
    targets = run("ninja", "-C", folder / "build", "-t", "targets", "all")
    objects = [line.split(":")[0] for line in targets.splitlines() if line.startswith("hello.p/")]
    run("ninja", "-C", folder / "build", *objects)
    print("as a subproject")


def main():
    build_folder, library, includes, pkgconfig, *compiler = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        build("in the build folder", folder, compiler, "-I", ROOT, library, "-lm", "-pthread")
        installed(folder, build_folder, includes, pkgconfig, compiler, library)
        subproject(folder)


main()
