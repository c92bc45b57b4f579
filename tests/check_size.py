"""The shared library is small: check_size.py STRIP LIBRARY COMPILER VERSION PROCESSOR

Stripped it stays below a limit, which depends on the compiler: each major version that was measured has its own, a little
over what it makes. Others inline and unroll in their own ways, and are skipped; so is a library built for a sanitizer."""

import os
import shutil
import subprocess
import sys
import tempfile

# As `./dev test` builds it, for x86-64. Products of any size, which no other library computes, and of matrices and vectors,
# are 71 kB of it.
# gcc 12 was measured: a release build has 1,043 kB, less than 2^20 bytes, and this one, which has assertions, hardly more. 13 and
# 14 were not measured with today's kernels, and are skipped.
MOST_BYTES = {("gcc", 12): 1_052_000}


def skip(why):
    print(why)
    sys.exit(77)


strip, library, compiler, version, processor = sys.argv[1:]
limit = MOST_BYTES.get((compiler, int(version.split(".")[0])))
if processor != "x86_64" or not limit:
    skip(f"no limit was measured for {compiler} {version} and {processor}")
with open(library, "rb") as file:
    if any(mark in file.read() for mark in (b"__asan_", b"__ubsan_", b"__tsan_")):
        skip("a sanitizer's code is in the library: its size says nothing")

with tempfile.TemporaryDirectory() as folder:
    copy = shutil.copy(library, os.path.join(folder, "stripped"))
    subprocess.run([strip, "--strip-unneeded", copy], check=True)
    size = os.path.getsize(copy)

print(f"{size} bytes of {limit}, by {compiler} {version}")
sys.exit(0 if size < limit else 1)
