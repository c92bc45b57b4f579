"""Writes the files in tests/golden/files, which test_files.c reads: golden_files.py, with NumPy. Run it again and they are the
same, but for the dates that NumPy puts into zip files."""

import gzip
import os
import struct

import numpy

import tensor_files

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "files")
os.makedirs(folder, exist_ok=True)


def path(name):
    return os.path.join(folder, name)


values = numpy.arange(-3, 3).reshape(2, 3)
arrays = {
    "f64": values / 4,
    "f32": (values / 4).astype("f4"),
    "f16": (values / 4).astype("f2"),
    "i64": numpy.array([-(2**63), 2**63 - 1]),
    "u8": (values + 3).astype("u1"),
    "bool": values > 0,
    "none": numpy.zeros((0, 3), "f4"),
    "scalar": numpy.array(0.5),
    "gr\u00f6\u00dfe": values.astype("i2"),
}
numpy.savez(path("numpy.npz"), **arrays)
numpy.savez_compressed(path("numpy_packed.npz"), **arrays)
numpy.save(path("fortran_big_endian.npy"), numpy.asfortranarray(values / 4).astype(">f8"))
with open(path("version_2.npy"), "wb") as file:
    numpy.lib.format.write_array(file, values.astype("<i4"), version=(2, 0))

with open(path("images.idx.gz"), "wb") as file:
    images = b"\0\0\x08\x03" + struct.pack(">III", 2, 1, 3) + bytes([0, 1, 2, 3, 4, 255])
    file.write(gzip.compress(images, mtime=0))

tensor_files.write_safetensors(
    path("other.safetensors"),
    {
        "bf16": ("BF16", (2,), struct.pack("<HH", 0x3F80, 0xC040)),
        "f16": ("F16", (3,), struct.pack("<eee", 1, -0.5, 65504)),
        "gr\u00f6\u00dfe": ("I32", (), struct.pack("<i", -7)),
    },
)
