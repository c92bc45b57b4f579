"""Functions leave wide vector registers: check_vectors.py OBJDUMP LIBRARY PROCESSOR

After a function that has used vectors of 32 or 64 bytes, each SSE instruction waits for their upper halves, unless the function
says that those are no longer needed (vzeroupper). GCC does that at the end of each such function, but not of those that it compiles
for size: a program's next thousands of instructions were up to seven times slower. So a file with hot loops that comes to be
compiled for size fails here. Those that may be are followed by ag__leave_vectors(), and are listed with the reason.

Kernels of formulas are for processors with AVX2, and known by the section that they are in: others run none of that. So no
function elsewhere calls one, which would be an illegal instruction there."""

import re
import subprocess
import sys

# By ag__leave_vectors(); names without what gcc and AG_KERNEL append to them.
FOLLOWED = {
    "by the evaluator, at the end of each call of an operation (compute.c)": """cholesky_block_f32 cholesky_block_f64 compare_f32
        compare_f64 compare_i64 find_bins gather_f32 gather_f64 lu_panel_f32 lu_panel_f64
        share_f32 share_f64 solve_triangle_f32 solve_triangle_f64 spread_f32 spread_f64""",
    "by axes.c itself": "f32_from_f64 f64_from_f32",
    "by dense_kernels.h itself": "lu_step_f32 lu_step_f64",
    "by gamma.c itself": "trigamma",
    "by replay.c itself": "run_narrow run_wide",
}


def skip(why):
    print(why)
    sys.exit(77)


objdump, library, processor = sys.argv[1:]
if processor != "x86_64":
    skip(f"{processor} has no such registers")
with open(library, "rb") as file:
    if any(mark in file.read() for mark in (b"__asan_", b"__ubsan_", b"__tsan_")):
        skip("a sanitizer's code is in the library")

text = subprocess.run([objdump, "-d", "--no-show-raw-insn", library], capture_output=True, text=True, check=True).stdout
allowed = set(" ".join(FOLLOWED.values()).split())
wide, wrong = 0, []
for name, body in re.findall(r"^[0-9a-f]+ <([^>\n]+)>:\n((?:.+\n)+)", text, flags=re.M):
    if not re.search(r"%[yz]mm\d", body) or "ret" not in body:
        continue
    wide += 1
    if "vzeroupper" not in body and re.sub(r"(_level_\d)?(\..*)?$", "", name) not in allowed:
        wrong.append(name)
for name in sorted(wrong):
    print(f"{name} uses wide vectors and does not leave them: compile its file for speed, or call ag__leave_vectors() after it")
print(f"{wide} functions with wide vectors")

sections = subprocess.run([objdump, "-h", library], capture_output=True, text=True, check=True).stdout
section = re.search(r" ag_kernels +(\w+) +(\w+)", sections)  # a library for one kind of processor has none
size, start = (int(number, 16) for number in section.groups()) if section else (0, 0)
kernels = range(start, start + size)
calls = 0
for address, name, body in re.findall(r"^([0-9a-f]+) <([^>\n]+)>:\n((?:.+\n)+)", text, flags=re.M):
    for to, called in re.findall(r"\t(?:call|j\w+) +([0-9a-f]+) <([^>+]+)>", body):
        if int(to, 16) in kernels:
            calls += 1
            if int(address, 16) not in kernels:
                print(f"{name} calls {called}, which is for processors with AVX2 alone: both belong in ag_kernels")
                wrong.append(name)
print(f"{calls} calls of kernels")
sys.exit(1 if wrong or not wide else 0)
