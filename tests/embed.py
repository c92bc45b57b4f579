"""The guide "Put it into your program": each way is gone: embed.py BUILD PREFIX LIBDIR COMPILER...

The library is installed into a temporary folder, and the program of the guide is built there by the guide's own files and commands,
through pkg-config and CMake, and run. The projects that build the library from source are configured only. Without pkg-config or
CMake their ways are left out."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MESON = [sys.executable, "-m", "mesonbuild.mesonmain"]


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def section(text, title):
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, flags=re.M | re.S)[1]


def project(folder, text, title, program):
    """A folder with the files of a section, and the program."""
    at = folder / title.replace(" ", "-").replace(",", "")
    at.mkdir()
    (at / "train.c").write_text(program, encoding="utf-8")
    for name, content in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", section(text, title), flags=re.S):
        (at / name).write_text(content, encoding="utf-8")
    return at


def expect(way, output, wanted):
    if output != wanted:
        sys.exit(f"{way}: it prints {output!r}")
    print(way)


def main():
    build, prefix, libdir, *compiler = sys.argv[1:]
    text = (ROOT / "docs/guides/into-your-program.md").read_text(encoding="utf-8")
    program, wanted = re.search(r"```c\n(.*?)```.*?```text\n(.*?)```", text, flags=re.S).groups()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        stage = folder / "stage"
        run(*MESON, "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", stage)
        there = pathlib.Path(f"{stage}{prefix}")
        env = {**os.environ, "PKG_CONFIG_PATH": str(there / libdir / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(stage),
               "LD_LIBRARY_PATH": str(there / libdir), "CMAKE_PREFIX_PATH": str(there)}
        if shutil.which("pkg-config"):
            at = project(folder, text, "Installed, through pkg-config", program)
            command = re.search(r"```sh\n(.*?)```", section(text, "Installed, through pkg-config"), flags=re.S)[1]
            run("sh", "-c", re.sub(r"^cc ", " ".join(compiler) + " ", command), cwd=at, env=env)
            expect("through pkg-config", run(at / "train", env=env), wanted)
        at = project(folder, text, "With meson", program)
        (at / "subprojects").mkdir()
        (at / "subprojects/autograd").symlink_to(ROOT)
        run(*MESON, "setup", at / "build", at)
        print("with meson")
        if shutil.which("cmake"):
            at = project(folder, text, "With CMake, installed", program)
            run("cmake", "-S", at, "-B", at / "build", env=env)
            run("cmake", "--build", at / "build", env=env)
            expect("with CMake, installed", run(at / "build/train", env=env), wanted)
            at = project(folder, text, "With CMake, from source", program)
            (at / "autograd").symlink_to(ROOT)
            run("cmake", "-S", at, "-B", at / "build", env=os.environ)
            print("with CMake, from source")


main()
