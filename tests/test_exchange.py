"""The library's tensors in PyTorch and NumPy by DLPack, and images against code that shares nothing with it: test_exchange.py LIBRARY

LIBRARY is the shared library, which is called through ctypes. PyTorch and NumPy are left out where they are not installed, and
the output says so."""

import ctypes
import os
import struct
import sys
import tempfile
import unittest
import zlib

try:
    import numpy
except ImportError:
    numpy = None
    print("NumPy is not installed: it is left out")
try:
    import torch
    import torch.utils.dlpack
except ImportError:
    torch = None
    print("PyTorch is not installed: it is left out")

ag = ctypes.CDLL(sys.argv.pop(1))
BOOL, I64, F32, F64 = range(4)
TYPES = {BOOL: ctypes.c_ubyte, I64: ctypes.c_int64, F32: ctypes.c_float, F64: ctypes.c_double}


class Shape(ctypes.Structure):
    _fields_ = [("rank", ctypes.c_int), ("extent", ctypes.c_int64 * 8)]


for name in """ag_tape_new ag_tape_error ag_from ag_data ag_read ag_image_read ag_from_dlpack ag_to_dlpack ag_transpose ag_exp ag_shape_of
               ag_arange""".split():
    getattr(ag, name).restype = ctypes.c_void_p
ag.ag_tape_error.restype = ctypes.c_char_p
ag.ag_shape_of.restype = Shape
ag.ag_size.restype = ctypes.c_int64

capsule_new = ctypes.pythonapi.PyCapsule_New
capsule_new.restype, capsule_new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
capsule_pointer.restype, capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
capsule_rename = ctypes.pythonapi.PyCapsule_SetName
capsule_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]

P = ctypes.c_void_p


class Tape(unittest.TestCase):
    def setUp(self):
        self.tape = P(ag.ag_tape_new())
        self.addCleanup(ag.ag_tape_free, self.tape)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def tensor(self, dtype, extents, values):
        shape = Shape(len(extents), (ctypes.c_int64 * 8)(*extents))
        return P(ag.ag_from(self.tape, dtype, shape, (TYPES[dtype] * len(values))(*values)))

    def values(self, x):
        self.assertEqual(ag.ag_tape_error(self.tape), b"")
        shape = ag.ag_shape_of(x)
        data = ctypes.cast(P(ag.ag_data(x)), ctypes.POINTER(TYPES[ag.ag_dtype_of(x)]))
        return list(shape.extent[: shape.rank]), data[: ag.ag_size(x)]


@unittest.skipUnless(torch, "PyTorch is not installed")
class PyTorch(Tape):
    def given(self, t):
        """A tensor of PyTorch's, as one of ours that shares its memory."""
        capsule = torch.utils.dlpack.to_dlpack(t)
        managed = capsule_pointer(capsule, b"dltensor")
        capsule_rename(capsule, b"used_dltensor")
        return P(ag.ag_from_dlpack(self.tape, P(managed)))

    def taken(self, x):
        return torch.utils.dlpack.from_dlpack(capsule_new(ag.ag_to_dlpack(x), b"dltensor", None))

    def test_given(self):
        t = torch.arange(12, dtype=torch.float32).reshape(3, 4)
        for u in [t, t.T, t[1:, ::2], t.to(torch.float64), t.to(torch.int64), t.to(torch.int32), t.to(torch.float16), t.to(torch.bfloat16),
                  t.to(torch.uint8), t[0, 0], t[:0], t.expand(2, 3, 4)]:
            extents, values = self.values(self.given(u))
            self.assertEqual(extents, list(u.shape))
            self.assertEqual(values, u.to(torch.float64).flatten().tolist())
        self.assertEqual(ag.ag_data(self.given(t)), t.data_ptr())

    def test_taken(self):
        x = P(ag.ag_arange(self.tape, F32, ctypes.c_int64(6000)))
        t = self.taken(x)
        self.assertEqual(t.data_ptr(), ag.ag_data(x))
        self.assertEqual(t.tolist(), list(range(6000)))
        y = self.tensor(I64, [2, 3], [1, 2, 3, 4, 5, 6])
        u = self.taken(P(ag.ag_transpose(y, 0, 1)))
        self.assertEqual(u.tolist(), [[1, 4], [2, 5], [3, 6]])

    def test_outlasts_the_tape(self):
        tape = P(ag.ag_tape_new())
        t = self.taken(P(ag.ag_exp(P(ag.ag_arange(tape, F64, ctypes.c_int64(9000))))))
        ag.ag_tape_free(tape)
        want = torch.arange(9000, dtype=torch.float64).exp()
        self.assertTrue(torch.allclose(t, want, rtol=1e-14, atol=0, equal_nan=True))


@unittest.skipUnless(numpy is not None and hasattr(numpy, "from_dlpack"), "NumPy is not installed")
class NumPy(Tape):
    def test_taken(self):
        x = P(ag.ag_arange(self.tape, F32, ctypes.c_int64(6000)))

        class Ours:
            def __dlpack__(self, **_):
                return capsule_new(ag.ag_to_dlpack(x), b"dltensor", None)

            def __dlpack_device__(self):
                return 1, 0

        a = numpy.from_dlpack(Ours())
        self.assertEqual(a.ctypes.data, ag.ag_data(x))
        self.assertTrue((a == numpy.arange(6000)).all())


# ---- PNG


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, *chunks, interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def decode(data):
    """Width, height, channels, depth and samples of a PNG file without a palette that is not interlaced."""
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, depth, colour, _, _, _ = struct.unpack(">IIBBBBB", body)
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    step = channels * depth // 8
    raw, row, out = zlib.decompress(packed), bytearray(width * step), bytearray()
    for y in range(height):
        line = raw[y * (len(row) + 1) : (y + 1) * (len(row) + 1)]
        new = bytearray(line[1:])
        for i in range(len(new)):
            a, b, c = (new[i - step] if i >= step else 0), row[i], (row[i - step] if i >= step else 0)
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            new[i] = (new[i] + [0, a, b, (a + b) // 2, paeth][line[0]]) & 255
        row = new
        out += row
    return width, height, channels, depth, list(out) if depth == 8 else list(struct.unpack(f">{len(out) // 2}H", out))


class Images(Tape):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.folder, "a.png").encode()
        if ag.ag_image_write(self.path, self.tensor(I64, [1, 1], [0])) != 0:
            error = ag.ag_tape_error(self.tape)
            ag.ag_clear_error(self.tape)
            self.assertIn(b"without libpng", error)
            self.skipTest("the library was built without libpng")

    def test_written(self):
        for channels in 1, 2, 3, 4:
            for most in 256, 65536:
                values = [(i * i * 7919 + 13 * i) % most for i in range(6 * 7 * channels)]
                values[3] = most - 1
                ag.ag_image_write(self.path, self.tensor(I64, [6, 7, channels], values))
                with open(self.path, "rb") as f:
                    self.assertEqual(decode(f.read()), (7, 6, channels, 8 if most == 256 else 16, values))

    def read(self, data):
        with open(self.path, "wb") as f:
            f.write(data)
        return self.values(P(ag.ag_image_read(self.tape, self.path, I64)))

    def test_read(self):
        palette, alpha = chunk(b"PLTE", bytes([9, 8, 7, 255, 0, 1])), chunk(b"tRNS", bytes([128]))
        self.assertEqual(self.read(png(2, 1, 8, 3, [b"\1\0"], palette)), ([1, 2, 3], [255, 0, 1, 9, 8, 7]))
        self.assertEqual(self.read(png(2, 1, 1, 3, [b"\x40"], palette, alpha)), ([1, 2, 4], [9, 8, 7, 128, 255, 0, 1, 255]))
        self.assertEqual(self.read(png(3, 1, 1, 0, [b"\xa0"])), ([1, 3, 1], [255, 0, 255]))
        self.assertEqual(self.read(png(3, 1, 2, 0, [b"\x6c"])), ([1, 3, 1], [85, 170, 255]))
        self.assertEqual(self.read(png(1, 2, 16, 2, [b"\0\1\2\3\xff\xff", bytes(6)])), ([2, 1, 3], [1, 515, 65535, 0, 0, 0]))
        self.assertEqual(self.read(png(1, 1, 8, 4, [b"\5\6"])), ([1, 1, 2], [5, 6]))
        # Adam7 of 2 by 2: passes 1 (1 pixel), 6 (1 pixel), 7 (a row of 2)
        rows = [bytes([1]), bytes([2]), bytes([3, 4])]
        self.assertEqual(self.read(png(2, 2, 8, 0, rows, interlace=1)), ([2, 2, 1], [1, 2, 3, 4]))

    def test_bombs(self):
        """A few bytes cannot say that they are a huge image."""
        with open(self.path, "wb") as f:
            f.write(png(2**31 - 1, 2**31 - 1, 16, 6, [b""]))
        ag.ag_image_read(self.tape, self.path, F32)
        self.assertRegex(ag.ag_tape_error(self.tape), rb"image_read: .*a\.png: its 2147483647 rows of 17179869176 bytes")
        ag.ag_clear_error(self.tape)
        with open(self.path, "wb") as f:
            f.write(png(100000, 100000, 8, 0, [b""]))
        ag.ag_image_read(self.tape, self.path, F32)
        self.assertIn(b"its 100000 rows of 100000 bytes are more", ag.ag_tape_error(self.tape))


if __name__ == "__main__":
    unittest.main()
