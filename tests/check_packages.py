"""Programs come by the library in each way that README.md names: check_packages.py WAY BUILD NM COMPILER...

A project of a few lines is made for each way, from a folder with a space in its name, and the program that the header opens with is
built and run there. WAY is one of:

    pkg-config   from an installed tree that was moved: the shared library, the static one, and everything static
    abi          packages/abi.py finds no change in the library itself, and each of those that break programs
    cmake        find_package there: each target, components, versions, `cmake --find-package`; another program in C++
    cmake-build  the library as CMakeLists.txt builds and installs it: its symbols, its bits and the suite's results are
                 those of meson's build
    subproject   FetchContent and add_subdirectory
    install      packages/install.py, below $DESTDIR: a program runs by it, and uninstalling leaves nothing behind
    wrap         meson, by the wrap and the archive that packages/dist.py writes

BUILD is meson's build folder, with the tests."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HELLO = ROOT / "examples/hello.c"
MESON = [sys.executable, "-m", "mesonbuild.mesonmain"]
PRINTS = "y = 2 x + 1\n"


def skip(why):
    print(why)
    sys.exit(77)


def attempt(*command, **more):
    more["env"] = {**os.environ, **more.get("env", {})}
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def run(*command, **more):
    done = attempt(*command, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout[-6000:]}")
    return done.stdout


def expect(what, printed, wanted=PRINTS):
    if printed != wanted:
        sys.exit(f"{what}: it prints {printed!r}, and not {wanted!r}")
    print(what)


def install(build, folder):
    """The build's installed tree, under another prefix than it was configured for."""
    run(*MESON, "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder / "first")
    (where,) = (path.parent for path in (folder / "first").rglob("include") if (path / "autograd-0").exists())
    return where.rename(folder / "another place")


def find(folder, pattern):
    found = sorted(folder.rglob(pattern))
    if not found:
        sys.exit(f"{folder} has no {pattern}")
    return found[0]


# ---- pkg-config


def packages_needed(there):
    """Of the .pc file in that folder."""
    text = (there / "autograd.pc").read_text(encoding="utf-8")
    return re.findall(r"[\w-]+", "".join(re.findall(r"^Requires\.private:(.*)", text, flags=re.M)))


def pkg_config(build, folder, compiler, nm):
    if not shutil.which("pkg-config"):
        skip("there is no pkg-config")
    prefix = install(build, folder)
    there = find(prefix, "autograd.pc").parent
    program = folder / "hello"
    loaded = [name for name in packages_needed(there) if name.startswith(("fftw", "lapack"))]
    if loaded:
        sys.exit(f"autograd.pc asks for what is loaded at run time: {' '.join(loaded)}")

    def compile_and_run(what, *more, flags=()):
        moved = "--define-variable=prefix=" + str(prefix).replace(" ", "\\ ")
        asked = run("pkg-config", moved, "--cflags", "--libs", *flags, "autograd", env={"PKG_CONFIG_PATH": str(there)})
        words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|\S)+", asked)]
        run(*compiler, HELLO, "-o", program, *more, *words)
        expect(what, run(program, env={"LD_LIBRARY_PATH": str(there.parent)}))
        return attempt("ldd", program).stdout

    if "libautograd.so.0" not in compile_and_run("pkg-config"):
        sys.exit("pkg-config: the program is not linked with the shared library")
    find(prefix, "libautograd.so").unlink()
    if "libautograd" in compile_and_run("pkg-config --static", flags=["--static"]):
        sys.exit("pkg-config --static: the program is linked with the shared library")
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }", encoding="utf-8")
    needed = packages_needed(there)
    libraries = run("pkg-config", "--static", "--libs", *needed).split() if needed else []
    if attempt(*compiler, "-static", empty, "-o", program, *libraries).returncode == 0:
        compile_and_run("pkg-config --static, with the C library", "-static", flags=["--static"])


# ---- CMake

FIND = """
cmake_minimum_required(VERSION 3.21)
project(user C {languages})
set(BUILD_SHARED_LIBS {shared})
find_package(autograd {asked})
if(NOT autograd_FOUND)
  message(FATAL_ERROR "none: ${{autograd_NOT_FOUND_MESSAGE}}${{autograd_CONSIDERED_VERSIONS}}")
endif()
add_executable(hello {source})
target_link_libraries(hello PRIVATE {target})
"""

HELLO_CPP = """
#include <autograd/autograd.h>
#include <cstdio>
int main() {
    ag_tape *tape = ag_tape_new();
    std::printf("%g\\n", ag_item(ag_sum(ag_ones(tape, AG_F64, AG_SHAPE(2, 3)))));
    ag_tape_free(tape);
}
"""


def need_cmake():
    found = attempt("cmake", "--version") if shutil.which("cmake") else None
    version = re.search(r"version (\d+)\.(\d+)", found.stdout) if found else None
    if not version or tuple(map(int, version.groups())) < (3, 21):
        skip("there is no CMake, or none from 3.21 on")


def configure(source, build, *options):
    launcher = shutil.which("ccache")
    more = [f"-DCMAKE_C_COMPILER_LAUNCHER={launcher}"] if launcher else []
    return attempt("cmake", "-G", "Ninja", "-S", source, "-B", build, *more, *options)


def compiler_option(compiler):
    return "-DCMAKE_C_COMPILER=" + [word for word in compiler if "ccache" not in word][0]


def cmake_project(folder, text, options, source=HELLO):
    (folder / "user").mkdir(exist_ok=True, parents=True)
    (folder / "user/CMakeLists.txt").write_text(text, encoding="utf-8")
    shutil.copy(source, folder / "user")
    return configure(folder / "user", folder / "user build", *options)


def find_packages(folder, prefix, compiler, what=""):
    build = folder / "user build"

    def project(asked, target, shared="ON", source="hello.c"):
        shutil.rmtree(build, ignore_errors=True)
        (folder / "hello.cpp").write_text(HELLO_CPP, encoding="utf-8")
        at = HELLO if source == "hello.c" else folder / source
        text = FIND.format(asked=asked, target=target, shared=shared, source=source, languages="CXX" if source != "hello.c" else "")
        return cmake_project(folder, text, [compiler_option(compiler), f"-DCMAKE_PREFIX_PATH={prefix}"], at)

    def found(asked, target, is_shared, **more):
        done = project(asked, target, **more)
        if done.returncode:
            sys.exit(f"find_package(autograd {asked}): {done.stdout}")
        run("cmake", "--build", build)
        linked = "libautograd" in attempt("ldd", build / "hello").stdout
        if linked != is_shared:
            sys.exit(f"find_package(autograd {asked}), {target}: the shared library is linked: {linked}")
        return run(build / "hello")

    def refused(asked, because):
        done = project(asked, "autograd::autograd")
        if done.returncode == 0 or because not in " ".join(done.stdout.split()):
            sys.exit(f"find_package(autograd {asked}) does not fail because of {because!r}:\n{done.stdout[-2000:]}")

    expect(f"{what}autograd::shared", found("0.1 REQUIRED", "autograd::shared", True))
    expect(f"{what}autograd::static", found("0.1 REQUIRED COMPONENTS static", "autograd::static", False))
    expect(f"{what}autograd::autograd, BUILD_SHARED_LIBS off", found("0...<1", "autograd::autograd", False, shared="OFF"))
    if shutil.which("c++"):
        printed = found("", "autograd::autograd", True, source="hello.cpp")
        expect(f"{what}autograd::autograd in C++", printed, "6\n")
    refused("9.0", "0.1.0")
    refused("1", "0.1.0")
    refused("0.0.1...<0.1.0", "0.1.0")
    find(prefix, "libautograd.a").rename(folder / "libautograd.a")
    refused("COMPONENTS static", "autograd::static is not installed")
    shutil.move(folder / "libautograd.a", find(prefix, "libautograd.so").parent)

    # Without a compiler CMake takes the first folder of this machine's for that of its libraries.
    ask = ["cmake", "--find-package", "-DNAME=autograd", "-DCOMPILER_ID=GNU", "-DLANGUAGE=C"]
    libraries = find(prefix, "libautograd.so").parent
    if libraries.parent.name == "lib":
        ask.append(f"-DCMAKE_C_LIBRARY_ARCHITECTURE={libraries.name}")
    answers = {mode: run(*ask, f"-DMODE={mode}", cwd=folder, env={"CMAKE_PREFIX_PATH": str(prefix)}) for mode in ("EXIST", "COMPILE", "LINK")}
    wanted = {"EXIST": "autograd found", "COMPILE": "/include/autograd-0", "LINK": "libautograd.so"}
    for mode, text in wanted.items():
        if text not in answers[mode]:
            sys.exit(f"cmake --find-package, MODE={mode}: {answers[mode]!r} has no {text!r}")
    print(f"{what}cmake --find-package")


def cmake(build, folder, compiler, nm):
    need_cmake()
    find_packages(folder, install(build, folder), compiler)


def exported(nm, library):
    return sorted(line.split()[-1] for line in run(nm, "-D", "--defined-only", library).splitlines())


def settings(build):
    text = (build / "autograd_config.h").read_text(encoding="utf-8")
    return dict(re.findall(r"^#define (AG_\w+) (\d)$", text, flags=re.M))


def cmake_build(build, folder, compiler, nm):
    """Only where meson's build has the usual limits and no sanitizer: CMake's has no others."""
    need_cmake()
    made, prefix = build / "by CMake", folder / "a prefix" # compiled anew only where something has changed
    has = settings(build)
    if has["AG_TINY_LIMITS"] == "1" or has["AG_COLLIDE"] == "1":
        skip("CMakeLists.txt has no builds with tiny limits or equal hashes")
    options = [compiler_option(compiler), f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_BUILD_TYPE=Release"]
    options += [f"-DAUTOGRAD_{name}={has['AG_HAVE_' + name]}" for name in ("BLIS", "FFTW", "LAPACK", "PNG", "THREADS", "ZLIB")]
    done = configure(ROOT, made, *options)
    if done.returncode:
        sys.exit(done.stdout)
    if settings(made) != has:
        sys.exit(f"autograd_config.h has {settings(made)} in CMake's build, and {has} in meson's")
    run("cmake", "--build", made, "--parallel", "2")
    run("cmake", "--install", made)
    ours, theirs = exported(nm, build / "libautograd.so"), exported(nm, find(prefix, "libautograd.so"))
    if ours != theirs:
        sys.exit(f"CMake's library exports other symbols: {sorted(set(ours) ^ set(theirs))}")
    print(f"{len(theirs)} symbols, the same")

    program = folder / "bits"
    needed = run("pkg-config", "--static", "--libs-only-l", "autograd", env={"PKG_CONFIG_PATH": str(find(prefix, "autograd.pc").parent)}).split()[1:]
    outputs = []
    for library in (build / "libautograd.a", find(prefix, "libautograd.a")):
        run(*compiler, ROOT / "tests/bits.c", "-I", ROOT, library, *needed, "-pthread", "-o", program)
        outputs.append(run(program))
    expect(f"{outputs[0].count(chr(10))} results, the same bits", outputs[1], outputs[0])

    check = run("pkg-config", "--libs", "check").split()
    for name in ("exact", "nn", "compile", "io"):
        objects = [*(build / f"tests/test_{name}.p").glob("*.o"), build / "tests/libsupport.a"]
        run(*compiler, *objects, find(prefix, "libautograd.a"), *check, *needed, "-pthread", "-o", program)
        run(program, cwd=build)
        print(f"test_{name} passes")
    find_packages(folder, prefix, compiler, "installed by CMake: ")


INSIDE = """
cmake_minimum_required(VERSION 3.21)
project(user C)
if(FETCH)
  include(FetchContent)
  FetchContent_Declare(autograd SOURCE_DIR "{root}" OVERRIDE_FIND_PACKAGE)
  find_package(autograd REQUIRED)
else()
  add_subdirectory("{root}" _deps/autograd-build)
endif()
foreach(form autograd static shared)
  add_executable(hello_${{form}} hello.c)
  target_link_libraries(hello_${{form}} PRIVATE autograd::${{form}})
endforeach()
"""


def subproject(build, folder, compiler, nm):
    """One build folder for both: the second way compiles nothing that the first has compiled."""
    need_cmake()
    folder = build / "in a CMake project" # compiled anew only where something has changed
    for fetch, what in (("ON", "FetchContent"), ("OFF", "add_subdirectory")):
        done = cmake_project(folder, INSIDE.format(root=ROOT), [compiler_option(compiler), f"-DFETCH={fetch}", "-DCMAKE_BUILD_TYPE=Debug"])
        if done.returncode:
            sys.exit(f"{what}: {done.stdout}")
        run("cmake", "--build", folder / "user build", "--parallel", "2")
        for form in ("autograd", "static", "shared"):
            expect(f"{what}, autograd::{form}", run(folder / f"user build/hello_{form}"))
        shared = "libautograd" in attempt("ldd", folder / "user build/hello_autograd").stdout
        if shared:
            sys.exit(f"{what}: autograd::autograd is the shared library, though BUILD_SHARED_LIBS is not set")


# ---- Builds compared as programs see them


def shared_library(build, folder, compiler, exports=None, objects=(), without=()):
    """The build's objects linked anew, with others in place of some, and its headers."""
    parts = ("libautograd.so.0.1.0.p", "libforeign.a.p", "libsmall.a.p")
    theirs = [path for part in parts for path in (build / part).glob("*.o")]
    theirs = [path for path in theirs if path.name not in without]
    target = folder / "libautograd.so"
    run(*compiler, "-shared", "-o", target, *theirs, *objects, f"-Wl,--version-script={exports or ROOT / 'autograd/exports.map'}")
    for name in ("autograd", "io", "nn", "ops"):
        shutil.copytree(ROOT / name, folder / "include" / name, ignore=lambda _, names: [name for name in names if name.endswith((".c", ".py"))])
    return target


def changed_struct(build, folder, compiler, header, was, becomes, source):
    """The library, in which one source file was compiled with a changed header."""
    for name in ("autograd", "io", "nn", "ops"):
        shutil.copytree(ROOT / name, folder / name)
    text = (folder / header).read_text(encoding="utf-8")
    if text.count(was) != 1:
        sys.exit(f"{header} has {was!r} {text.count(was)} times")
    (folder / header).write_text(text.replace(was, becomes), encoding="utf-8")
    made = folder / "changed.o"
    run(*compiler, "-g", "-std=c17", "-fPIC", "-fvisibility=hidden", "-D_DEFAULT_SOURCE", "-I", folder, "-I", build, "-c", folder / source, "-o", made)
    return made, source.replace("/", "_") + ".o"


def abi(build, folder, compiler, nm):
    if not shutil.which("abidiff"):
        skip("there is no abidiff: install abigail-tools")
    if "debug_info" not in run("readelf", "-SW", build / "libautograd.so"):
        skip("this build has no debug information")
    old = folder / "old"
    old.mkdir()
    before = shared_library(build, old, compiler)

    def compare(what, compatible, pattern, **more):
        new = folder / what
        new.mkdir()
        if "change" in more:
            (new / "tree").mkdir()
            made, replaced = changed_struct(build, new / "tree", compiler, *more["change"])
            more = {"objects": [made], "without": [replaced]}
        after = shared_library(build, new, compiler, **more)
        done = attempt(sys.executable, ROOT / "packages/abi.py", "--files", before, after)
        if (done.returncode == 0) != compatible or not re.search(pattern, done.stdout):
            sys.exit(f"abi, {what}: {done.returncode}, and no {pattern!r} in\n{done.stdout[-4000:]}")
        print(f"{what}: {'compatible' if compatible else 'not compatible'}")

    compare("the same", True, r"are compatible")
    added, fewer = folder / "added.c", folder / "fewer.map"
    added.write_text('__attribute__((visibility("default"))) int ag_new(int x) { return x; }', encoding="utf-8")
    run(*compiler, "-g", "-fPIC", "-c", added, "-o", folder / "added.o")
    compare("an added function", True, r"1 Added.*\n(.*\n)*.*ag_new", objects=[folder / "added.o"])
    fewer.write_text("AUTOGRAD_0 { global: ag_[!_]*; local: ag_matmul; *; };", encoding="utf-8")
    compare("a removed function", False, r"\[D\].*ag_matmul", exports=fewer)
    types, memory = "autograd/types.h", "autograd/tape/settings.c"
    compare("a removed field", False, "allocations", change=(types, "    int64_t allocations;", "", memory))
    compare("an enumerator before others", False, "AG_I64.*from value '1' to '2'", change=(
        types, "AG_BOOL, AG_I64,", "AG_BOOL, AG_I32, AG_I64,", "autograd/tape/tensor.c"))


# ---- Installed and removed


def install_and_remove(build, folder, compiler, nm):
    script = [sys.executable, ROOT / "packages/install.py"]
    destdir = folder / "destination"
    destdir.mkdir()
    there = {"DESTDIR": str(destdir)}
    options = json.loads((build / "meson-info/intro-buildoptions.json").read_text(encoding="utf-8"))
    prefix = next(option["value"] for option in options if option["name"] == "prefix")
    root = pathlib.Path(f"{destdir}{prefix}")

    def uninstall():
        return attempt(*script, "uninstall", prefix, env=there)

    if uninstall().returncode == 0:
        sys.exit("what was never installed is uninstalled")
    run(*script, "install", build, env=there)
    program = folder / "hello"
    libraries = find(root, "libautograd.so").parent
    flags = ["-I", find(root, "autograd-0"), "-L", libraries, "-lautograd"]
    run(*compiler, HELLO, *flags, "-o", program)
    expect("installed", run(program, env={"LD_LIBRARY_PATH": str(libraries)}))

    listed = find(root, "installed.txt")
    former = libraries / "of an earlier version"
    former.write_text("", encoding="utf-8")
    listed.write_text(f"{listed.read_text(encoding='utf-8')}{former.relative_to(root)}\n", encoding="utf-8")
    run(*script, "install", build, env=there)
    if former.exists():
        sys.exit("a file of an earlier version is still there")
    other = root / "include/of another project.h"
    other.write_text("", encoding="utf-8")
    text = listed.read_text(encoding="utf-8")
    listed.write_text(text + "../of another project\n", encoding="utf-8")
    if uninstall().returncode == 0 or not listed.exists():
        sys.exit("a list that names a file elsewhere is followed")
    listed.write_text(text, encoding="utf-8")
    run(*script, "uninstall", prefix, env=there)
    if [path for path in root.rglob("*") if path.is_file()] != [other]:
        sys.exit(f"left behind, or removed: {sorted(root.rglob('*'))}")
    shutil.rmtree(destdir)
    run(*script, "install", build, env=there)
    run(*script, "uninstall", prefix, env=there)
    if destdir.exists():
        sys.exit(f"left behind: {sorted(destdir.rglob('*'))}")
    print("uninstalled: nothing is left")


# ---- meson

WRAPPED = """
project('user', 'c', default_options: ['buildtype=debug'])
executable('hello', 'hello.c', dependencies: dependency('autograd'))
"""


def wrap(build, folder, compiler, nm):
    if attempt("git", "rev-parse", "HEAD", cwd=ROOT).returncode:
        skip("this is no checkout of git, or it has no commit")
    spec = importlib.util.spec_from_file_location("dist", ROOT / "packages/dist.py")
    dist = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dist)
    user = folder / "user"
    archive, wrap_file = dist.make(folder / "dist", any_state=True)
    again, _ = dist.make(folder / "again", any_state=True)
    if archive.read_bytes() != again.read_bytes():
        sys.exit("two archives of the same files differ")
    (user / "subprojects/packagefiles").mkdir(parents=True)
    shutil.copy(wrap_file, user / "subprojects")
    shutil.copy(archive, user / "subprojects/packagefiles")
    (user / "meson.build").write_text(WRAPPED, encoding="utf-8")
    shutil.copy(HELLO, user)
    run(*MESON, "setup", user / "build", user, "--wrap-mode=forcefallback", env={"CC": " ".join(compiler)})
    run("ninja", "-C", user / "build", "-j2", env={"CCACHE_NOHASHDIR": "1"})
    expect("by a wrap", run(user / "build/hello"))


WAYS = {
    "abi": abi, "cmake": cmake, "cmake-build": cmake_build, "install": install_and_remove, "pkg-config": pkg_config, "subproject": subproject,
    "wrap": wrap,
}


def main():
    way, build, nm, *compiler = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="with a space ") as folder:
        WAYS[way](pathlib.Path(build), pathlib.Path(folder).resolve(), compiler, nm)


main()
