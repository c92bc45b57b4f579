"""Tensors in files, against readers and writers that share nothing with the library: test_files.py COPY_TENSORS

COPY_TENSORS copies a file's tensors into another. Files of every kind are made here, by hand and by NumPy, and what becomes
of them is read by tensor_files.py, by NumPy, by PyTorch and by the package safetensors. The last three are left out where
they are not installed, and the output says so."""

import gzip
import os
import struct
import shlex
import subprocess
import sys
import tempfile
import unittest
import zlib

import tensor_files

try:
    import numpy
except ImportError:
    numpy = None
    print("NumPy is not installed: it is left out")
try:
    import torch
except ImportError:
    torch = None
    print("PyTorch is not installed: it is left out")
try:
    import safetensors.numpy
except ImportError:
    safetensors = None
    print("the package safetensors is not installed: it is left out")

COPY = [*shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")), sys.argv.pop(1)]  # another processor's is run by qemu
if os.access("/dev/shm", os.W_OK):
    tempfile.tempdir = "/dev/shm"  # where syncing a file takes no time

NUMPY_DTYPES = {"BOOL": "|b1", "I64": "<i8", "F32": "<f4", "F64": "<f8"}

# dtype in the file, and how an element is packed; the library's dtype, and how that is packed; elements.
KINDS = [
    ("BOOL", "?", "BOOL", "?", [True, False]),
    ("U8", "B", "I64", "q", [0, 1, 255]),
    ("I8", "b", "I64", "q", [0, -128, 127]),
    ("U16", "H", "I64", "q", [0, 65535]),
    ("I16", "h", "I64", "q", [-32768, 32767]),
    ("U32", "I", "I64", "q", [0, 4294967295]),
    ("I32", "i", "I64", "q", [-2147483648, 2147483647]),
    ("U64", "Q", "I64", "q", [0, 2**63 - 1]),
    ("I64", "q", "I64", "q", [-(2**63), 2**63 - 1]),
    ("F16", "e", "F32", "f", [0.0, -0.0, 1.5, 65504.0, 2.0**-24, float("inf"), -float("inf")]),
    ("F32", "f", "F32", "f", [0.0, -0.0, 1.1754943508222875e-38, 3.4028234663852886e38, float("inf")]),
    ("F64", "d", "F64", "d", [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, -float("inf")]),
]


def copy(source, target, *options):
    done = subprocess.run([*COPY, *options, source, target], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{source} to {target}: {done.stdout}{done.stderr}")


def packs():
    """Whether the library was built with zlib."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "a.safetensors"), os.path.join(folder, "a.npz")
        tensor_files.write_safetensors(source, {"x": ("F32", (1,), bytes(4))})
        return "without zlib" not in subprocess.run([*COPY, "--pack", source, target], capture_output=True, text=True).stdout


PACKS = packs()


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)


class ByHand(Folder):
    def expected(self):
        """A file with tensors of every kind, and what they have to become."""
        given, wanted = {}, {}
        for dtype, code, own, own_code, elements in KINDS:
            name = f"layer.{dtype} \u03bb\U0001d6fc \"quoted\\"
            given[name] = (dtype, (1, len(elements)), b"".join(struct.pack("<" + code, e) for e in elements))
            wanted[name] = (own, (1, len(elements)), b"".join(struct.pack("<" + own_code, e) for e in elements))
        given["bf16"], wanted["bf16"] = ("BF16", (2,), b"\x80\x3f\xc1\xff"), ("F32", (2,), b"\0\0\x80\x3f\0\0\xc1\xff")
        given["scalar"] = wanted["scalar"] = ("F64", (), struct.pack("<d", 2.5))
        given["none"] = wanted["none"] = ("F32", (3, 0, 2), b"")
        given["deep"] = wanted["deep"] = ("I64", (1,) * 7 + (2,), struct.pack("<qq", 1, 2))
        tensor_files.write_safetensors(self.path("a.safetensors"), given)
        return wanted

    def test_safetensors(self):
        wanted = self.expected()
        copy(self.path("a.safetensors"), self.path("b.safetensors"))
        self.assertEqual(tensor_files.read_safetensors(self.path("b.safetensors")), wanted)
        copy(self.path("b.safetensors"), self.path("c.safetensors"))
        self.assertEqual(tensor_files.read_safetensors(self.path("c.safetensors")), wanted)

    def test_npz(self):
        wanted = {name: (NUMPY_DTYPES[dtype], shape, data) for name, (dtype, shape, data) in self.expected().items()}
        for options in [[], ["--pack"]] if PACKS else [[]]:
            copy(self.path("a.safetensors"), self.path("b.npz"), *options)
            self.assertEqual(tensor_files.read_npz(self.path("b.npz")), wanted)
            copy(self.path("b.npz"), self.path("c.npz"))
            self.assertEqual(tensor_files.read_npz(self.path("c.npz")), wanted)

    def test_idx(self):
        labels = b"\0\0\x08\x01" + struct.pack(">I", 300) + bytes(i % 251 for i in range(300))
        wanted = {"x": ("I64", (300,), b"".join(struct.pack("<q", i % 251) for i in range(300)))}
        with open(self.path("labels"), "wb") as file:
            file.write(labels)
        with gzip.open(self.path("labels.gz"), "wb") as file:
            file.write(labels)
        for name in ["labels", "labels.gz"] if PACKS else ["labels"]:
            copy(self.path(name), self.path("b.safetensors"))
            self.assertEqual(tensor_files.read_safetensors(self.path("b.safetensors")), wanted)


class Golden(unittest.TestCase):
    """What test_files.c wrote into golden/files, and writes again on every processor, byte for byte."""

    WRITTEN = {
        "f32": ("F32", (2, 3), struct.pack("<6I", 0x80000000, 1, 0x7F800001, 0xFFC12345, 0x3DCCCCCD, 0x7F7FFFFF)),
        "f64": ("F64", (5,), struct.pack("<5Q", 1 << 63, 1, 0x7FF0000000000001, 0xFFF8123456789ABC, 0x3FB999999999999A)),
        "i64 gr\u00f6\u00dfe": ("I64", (2, 1, 2), struct.pack("<4q", -(2**63), 2**63 - 1, -2, 258)),
        "bool": ("BOOL", (3,), b"\1\0\1"),
    }

    @staticmethod
    def path(name):
        return os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "files", name)

    def test_tensors(self):
        self.assertEqual(tensor_files.read_safetensors(self.path("written.safetensors")), self.WRITTEN)
        wanted = {name: (NUMPY_DTYPES[dtype], shape, data) for name, (dtype, shape, data) in self.WRITTEN.items()}
        self.assertEqual(tensor_files.read_npz(self.path("written.npz")), wanted)
        with open(self.path("written.npy"), "rb") as file:
            self.assertEqual(tensor_files.read_npy(file.read()), wanted["f64"])
        with open(self.path("written.raw"), "rb") as file:
            self.assertEqual(file.read(), wanted["i64 gr\u00f6\u00dfe"][2])

    def test_checkpoint(self):
        found = tensor_files.read_safetensors(self.path("written.000001.safetensors"))
        self.assertEqual({name: found[name] for name in ["f32", "f64"]}, {name: self.WRITTEN[name] for name in ["f32", "f64"]})
        self.assertEqual(found["number.epoch"], ("I64", (), struct.pack("<q", -7)))
        self.assertEqual(found["random.seed"], ("I64", (), b"\xff" * 8))


class Checkpoints(Folder):
    def test_what_is_in_one(self):
        given = {"layer.w": ("F32", (2, 3), struct.pack("<6f", *range(6))), "layer.n": ("I64", (), struct.pack("<q", 5))}
        tensor_files.write_safetensors(self.path("a.safetensors"), given)
        copy(self.path("a.safetensors"), self.path("run"), "--checkpoint")
        numbers = {"epoch": ("I64", "q", -7), "rate": ("F64", "d", 0.1)}
        wanted = {f"number.{name}": (dtype, (), struct.pack("<" + code, n)) for name, (dtype, code, n) in numbers.items()}
        wanted |= {"random.seed": ("I64", (), b"\xff" * 8), "random.draws": ("I64", (), struct.pack("<q", 1))}
        self.assertEqual(tensor_files.read_safetensors(self.path("run.000001.safetensors")), given | wanted)

    def test_checksum(self):
        tensor_files.write_safetensors(self.path("a.safetensors"), {"w": ("F64", (3,), bytes(24))})
        copy(self.path("a.safetensors"), self.path("run"), "--checkpoint")
        metadata = tensor_files.read_metadata(self.path("run.000001.safetensors"))
        self.assertEqual(sorted(metadata), ["checkpoint", "crc32"])
        with open(self.path("run.000001.safetensors"), "rb") as file:
            data = file.read()
        digits = metadata["crc32"].encode()
        self.assertEqual(data.count(digits), 1)
        self.assertEqual(int(digits, 16), zlib.crc32(data.replace(digits, b"00000000")))


@unittest.skipUnless(numpy, "NumPy is not installed")
class ByNumPy(Folder):
    DTYPES = "?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"
    SHAPES = (), (1,), (5,), (0,), (3, 4), (4, 0, 2), (2, 3, 4), (1, 2, 1, 2, 1, 2, 1, 3), (2100,)

    def arrays(self):
        """Bits without order, in every dtype, shape, order of bytes and order of axes."""
        random = numpy.random.default_rng(1)
        for dtype in self.DTYPES:
            for shape in self.SHAPES:
                bits = random.integers(0, 256, (*shape, numpy.dtype(dtype).itemsize), dtype="u1")
                array = bits[..., 0] > 127 if dtype == "?" else bits.view(dtype).reshape(shape)
                if dtype == "u8":
                    array = array >> numpy.uint64(1)
                array = numpy.asarray(array)
                yield array
                yield numpy.asfortranarray(array)
                yield array.astype(array.dtype.newbyteorder(">"))
                yield array.T

    @staticmethod
    def converted(array):
        kind = array.dtype.kind
        own = {"b": "?", "i": "<i8", "u": "<i8"}.get(kind, "<f8" if array.dtype.itemsize == 8 else "<f4")
        return array.astype(own)

    def expect_same(self, got, want):
        self.assertEqual(got.dtype, want.dtype)
        self.assertEqual(got.shape, want.shape)
        if want.dtype == "<f4":  # astype may make a NaN quiet, copying does not
            nan = numpy.isnan(want)
            self.assertTrue((numpy.isnan(got) == nan).all())
            got, want = numpy.where(nan, 0, got), numpy.where(nan, 0, want)
        self.assertEqual(numpy.ascontiguousarray(got).tobytes(), numpy.ascontiguousarray(want).tobytes())

    def test_npy(self):
        for array in list(self.arrays())[::7]:
            numpy.save(self.path("a.npy"), array)
            copy(self.path("a.npy"), self.path("b.npy"))
            self.expect_same(numpy.load(self.path("b.npy")), self.converted(array))

    def test_npz(self):
        arrays = {f"a{i} \u03bb": array for i, array in enumerate(self.arrays())}
        ways = [(numpy.savez, []), (numpy.savez_compressed, []), (numpy.savez, ["--pack"])]
        for save, options in ways if PACKS else ways[:1]:
            save(self.path("a.npz"), **arrays)
            copy(self.path("a.npz"), self.path("b.npz"), *options)
            with numpy.load(self.path("b.npz")) as got:
                self.assertEqual(got.files, list(arrays))
                for name in got.files:
                    self.expect_same(got[name], self.converted(arrays[name]))

    def test_bits(self):
        for dtype in ["f4", "f8"]:
            bits = numpy.random.default_rng(2).integers(0, 256, (1000, numpy.dtype(dtype).itemsize), dtype="u1")
            bits[::3, -1] = 0xFF  # NaN with every payload, many of them signalling
            bits[::3, -2] |= 0xF0
            numpy.savez(self.path("a.npz"), x=bits.view(dtype))
            copy(self.path("a.npz"), self.path("b.npz"))
            copy(self.path("b.npz"), self.path("c.safetensors"))
            with numpy.load(self.path("b.npz")) as got:
                self.assertEqual(got["x"].tobytes(), bits.tobytes())
            self.assertEqual(tensor_files.read_safetensors(self.path("c.safetensors"))["x"][2], bits.tobytes())

    def test_what_is_refused(self):
        refused = [
            (numpy.array([{}, "a"], dtype=object), "objects"),
            (numpy.array([1j]), "complex"),
            (numpy.array(["a"]), "no numbers"),
            (numpy.array([b"a"]), "no numbers"),
            (numpy.zeros(2, dtype="M8[s]"), "no numbers"),
            (numpy.zeros(2, dtype=[("a", "f4"), ("b", "i4")]), "records"),
            (numpy.zeros((1,) * 9), "more than 8 axes"),
            (numpy.array([2**64 - 1], dtype="u8"), "does not fit i64"),
        ]
        for array, problem in refused:
            numpy.save(self.path("a.npy"), array, allow_pickle=True)
            done = subprocess.run([*COPY, self.path("a.npy"), self.path("b.npy")], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn(problem, done.stdout)


@unittest.skipUnless(torch, "PyTorch is not installed")
class ByPyTorch(Folder):
    """Debian has no package of safetensors for it: tensor_files.py finds the bytes, which PyTorch makes tensors of."""

    DTYPES = {"bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64"}
    DTYPES |= {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}

    def tensors(self):
        """Numbers that every dtype has, and for reals the bits of random ones, with infinities and NaN."""
        torch.manual_seed(1)
        for name in self.DTYPES:
            dtype = getattr(torch, name)
            for shape in [(), (5,), (0, 3), (2, 3, 4), (700,)]:
                x = torch.randn(shape).mul(40).abs().to(dtype)
                if dtype.is_floating_point and x.numel() > 3:
                    x.view(-1)[:3] = torch.tensor([float("nan"), float("-inf"), -0.0])
                yield f"{name} {list(shape)}", x

    @staticmethod
    def bytes_of(x):
        return bytes(x.contiguous().view(-1).view(torch.uint8).tolist()) if x.numel() else b""

    def read(self, path):
        kinds = {kind: getattr(torch, name) for name, kind in self.DTYPES.items()}
        found = {}
        for name, (kind, shape, data) in tensor_files.read_safetensors(path).items():
            flat = torch.frombuffer(bytearray(data), dtype=kinds[kind]) if data else torch.empty(0, dtype=kinds[kind])
            found[name] = flat.reshape(shape)
        return found

    def test_both_ways(self):
        given = dict(self.tensors())
        kinds = {name: self.DTYPES[str(x.dtype).split(".")[1]] for name, x in given.items()}
        tensor_files.write_safetensors(
            self.path("a.safetensors"), {name: (kinds[name], x.shape, self.bytes_of(x)) for name, x in given.items()}
        )
        copy(self.path("a.safetensors"), self.path("b.safetensors"))
        copy(self.path("b.safetensors"), self.path("run"), "--checkpoint")
        for path in ["b.safetensors", "run.000001.safetensors"]:
            got = self.read(self.path(path))
            for name, x in given.items():
                own = x if x.dtype in (torch.bool, torch.float64) else x.float() if x.is_floating_point() else x.long()
                self.assertEqual(got[name].dtype, own.dtype, name)
                self.assertEqual(got[name].shape, own.shape, name)
                self.assertTrue(torch.allclose(got[name], own, rtol=0, atol=0, equal_nan=True), name)

    def test_a_state_dict(self):
        """The weights of a model of PyTorch's, through .npz and back into it."""
        if not numpy:
            self.skipTest("NumPy is not installed")
        model, other = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
        numpy.savez(self.path("a.npz"), **{name: x.numpy() for name, x in model.state_dict().items()})
        copy(self.path("a.npz"), self.path("b.npz"))
        with numpy.load(self.path("b.npz")) as got:
            other.load_state_dict({name: torch.from_numpy(got[name]) for name in got.files})
        x = torch.randn(4, 5)
        self.assertTrue(torch.equal(model(x), other(x)))


@unittest.skipUnless(numpy and safetensors, "the package safetensors is not installed")
class BySafetensors(Folder):
    def test_both_ways(self):
        given = {"w": numpy.arange(6, dtype="f4").reshape(2, 3), "n": numpy.array([1, -1]), "h": numpy.ones(3, "f2")}
        safetensors.numpy.save_file(given, self.path("a.safetensors"))
        copy(self.path("a.safetensors"), self.path("b.safetensors"))
        got = safetensors.numpy.load_file(self.path("b.safetensors"))
        self.assertEqual(sorted(got), sorted(given))
        for name, array in given.items():
            numpy.testing.assert_array_equal(got[name], array)


if __name__ == "__main__":
    unittest.main()
