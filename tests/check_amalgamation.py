"""The library as one file: check_amalgamation.py [--build LIBRARY] COMPILER...

COMPILER and clang read autograd.c as C17 without a warning, and C++ its header; autograd.c finds valgrind's headers. With --build
gcc and clang do, as C17 and C23; the README's program is built with it by the command that the README has; and a program that
computes prints the same bits with it as with LIBRARY, the static library of the build, where COMPILER is that of both."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
BITS = r"""
#include "autograd.h"
#include <stdio.h>
#include <string.h>
static void put(const char *name, ag_tensor *x) {
    unsigned long long h = 1469598103934665603u;
    const unsigned char *p = ag_data(x);
    for (size_t i = 0, n = p ? (size_t)ag_size(x) * ag_dtype_size(ag_dtype_of(x)) : 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    printf("%s %llx %s\n", name, h, ag_tape_error(ag_tape_of(x)));
}
int main(void) {
    ag_tape *tape = ag_tape_new();
    for (int d = AG_F32; d <= AG_F64; d++) {
        ag_tensor *x = ag_parameter_from(ag_normal(tape, (ag_dtype)d, AG_SHAPE(257, 130), 0, 3));
        ag_tensor *w = ag_parameter_from(ag_uniform(tape, (ag_dtype)d, AG_SHAPE(130, 70), -1, 1));
        ag_tensor *h = ag_matmul(ag_tanh(x), w);
        ag_tensor *y = ag_mean(ag_mul(ag_sigmoid(h), ag_log1p(ag_exp(ag_sin(ag_add(h, ag_cos(h)))))));
        ag_tensor *in[] = {x, w}, *dx[2];
        ag_grad(ag_add(y, ag_var(ag_softmax(h, 1), 0)), 2, in, dx);
        put("x", x), put("h", h), put("y", y), put("dx", dx[0]), put("dw", dx[1]);
    }
    ag_tape_free(tape);
}
"""


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode or done.stderr:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def read_alone(folder, compiler):
    # gcc reads the file anew for each place that it judges the indentation of: 7 of 8 seconds, for what its parts have shown
    for command in compiler, ["clang"]:
        if shutil.which(command[0]):
            run(*command, "-std=c17", *WARNINGS, "-Wno-misleading-indentation", "-fsyntax-only", folder / "autograd.c")
    if shutil.which("c++"):
        run("c++", "-x", "c++", *WARNINGS, "-fsyntax-only", folder / "autograd.h")


def finds_valgrind(folder, compiler):
    """It tells valgrind where a build of the library does."""
    probe = folder / "probe.c"
    probe.write_text("#include <valgrind/memcheck.h>\n#ifdef NVALGRIND\n#error\n#endif\n", encoding="utf-8")
    there = subprocess.run([*compiler, "-fsyntax-only", probe], capture_output=True).returncode == 0
    if ("VALGRIND_MAKE_MEM_NOACCESS" in run(*compiler, "-E", "-dM", folder / "autograd.c")) != there:
        sys.exit(f"the headers of valgrind are {'' if there else 'not '}there, and autograd.c takes the opposite for true")


def build(folder, library, compiler):
    unit, whole = folder / "autograd.c", folder / "autograd.o"
    for program in "gcc", "clang":
        if shutil.which(program):
            for standard in "c17", "c2x":
                run(program, f"-std={standard}", *WARNINGS, "-fsyntax-only", unit)
                print(f"{program}, {standard}")
    hello = folder / "hello.c"
    hello.write_text((ROOT / "examples/hello.c").read_text(encoding="utf-8").replace("<autograd/autograd.h>", '"autograd.h"'), encoding="utf-8")
    run(*compiler, "-O2", "-c", unit, "-o", whole)
    run(*compiler, "-O2", hello, whole, "-lm", "-lpthread", "-o", folder / "hello")
    if run(folder / "hello") != "y = 2 x + 1\n":
        sys.exit("the README's program prints something else")
    bits = folder / "bits.c"
    bits.write_text(BITS, encoding="utf-8")
    run(*compiler, "-O2", bits, whole, "-lm", "-lpthread", "-o", folder / "one")
    run(*compiler, "-O2", f"-I{folder}", bits, library, "-lm", "-lpthread", "-o", folder / "many")
    one, many = run(folder / "one"), run(folder / "many")
    if one != many:
        sys.exit(f"the bits differ from those of {library}:\n{one}\n{many}")
    print("the same bits:", len(one.split("\n")) - 1, "tensors")


def main():
    library, compiler = (sys.argv[2], sys.argv[3:]) if sys.argv[1] == "--build" else (None, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run(sys.executable, ROOT / "packages/amalgamate.py", folder)
        if library:
            build(folder, library, compiler)
        else:
            read_alone(folder, compiler)
            finds_valgrind(folder, compiler)


main()
