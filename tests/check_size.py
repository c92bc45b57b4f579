"""The shared library is small and starts quickly: check_size.py STRIP LIBRARY PROGRAM

Stripped it has less than 400 kB; PROGRAM, which trains a small model, starts and ends in under 10 ms (the least of many
runs). A library built for a sanitizer or without optimization is skipped."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

MOST_BYTES, MOST_SECONDS, RUNS = 400_000, 0.010, 40

strip, library, program = sys.argv[1:]
with open(library, "rb") as file:
    if any(mark in file.read() for mark in (b"__asan_", b"__ubsan_", b"__tsan_")):
        print("a sanitizer's code is in the library: its size says nothing")
        sys.exit(77)

with tempfile.TemporaryDirectory() as folder:
    copy = shutil.copy(library, os.path.join(folder, "stripped"))
    subprocess.run([strip, "-x" if sys.platform == "darwin" else "--strip-unneeded", copy], check=True)
    size = os.path.getsize(copy)

best = float("inf")
for _ in range(RUNS):
    start = time.perf_counter()
    subprocess.run([program], check=True, stdout=subprocess.DEVNULL)
    best = min(best, time.perf_counter() - start)

print(f"stripped: {size} bytes of {MOST_BYTES}; {os.path.basename(program)}: {best * 1000:.1f} ms of {MOST_SECONDS * 1000:.0f}")
sys.exit(size >= MOST_BYTES or best >= MOST_SECONDS)
