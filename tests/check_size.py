"""The shared library is small: check_size.py STRIP LIBRARY

Stripped it has less than 400 kB, as gcc compiles it. A library built for a sanitizer is skipped."""

import os
import shutil
import subprocess
import sys
import tempfile

MOST_BYTES = 400_000

strip, library = sys.argv[1:]
with open(library, "rb") as file:
    if any(mark in file.read() for mark in (b"__asan_", b"__ubsan_", b"__tsan_")):
        print("a sanitizer's code is in the library: its size says nothing")
        sys.exit(77)

with tempfile.TemporaryDirectory() as folder:
    copy = shutil.copy(library, os.path.join(folder, "stripped"))
    subprocess.run([strip, "-x" if sys.platform == "darwin" else "--strip-unneeded", copy], check=True)
    size = os.path.getsize(copy)

print(f"{size} bytes of {MOST_BYTES}")
sys.exit(0 if size < MOST_BYTES else 1)
