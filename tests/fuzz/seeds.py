"""The fuzz targets' seeds: tests/fuzz/seeds/TARGET.seeds, an input a line, in hexadecimal digits.

    seeds.py make                     the first section of each file, the inputs that are written here
    seeds.py unpack TARGET FOLDER     each input as a file, for a fuzzer to begin with
    seeds.py pack TARGET FOLDER [N]   the second section: of the files that a fuzzer has kept, the shortest, up to N bytes in all
    seeds.py fault TARGET FILE TEXT   append an input that showed a fault, with a line about it
    seeds.py words TARGET FILE        a dictionary for libFuzzer and AFL++: words that inputs of the target are made of

A line that begins with # is about those below it."""

import gzip
import hashlib
import io
import pathlib
import random
import re
import struct
import sys
import zipfile
import zlib

HERE = pathlib.Path(__file__).parent / "seeds"
MADE, FOUND, FAULTS = "# written by seeds.py", "# kept by a fuzzer", "# faults"
LONGEST = 400  # bytes of an input that is kept


def npy(descr, shape, data, fortran=False, version=1):
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    start = 10 if version == 1 else 12
    header += b" " * (-(start + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + data


def npz(members, packed):
    to = io.BytesIO()
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as z:
        for name, data in members.items():
            z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return to.getvalue()


def zip64(archive):
    """The same archive with an end of 64 bits, whose numbers the usual end does not have."""
    body, end = archive[:-22], archive[-22:]
    count, size, at = struct.unpack("<HII", end[10:20])
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, at)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, len(body), 1)
    return body + record + locator + end[:8] + struct.pack("<HHIIH", 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)


def headed(text, body=b"", length=None):
    """A file of safetensors with any header."""
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def safetensors(tensors, metadata=""):
    at, entries, body = 0, [], b""
    for name, (dtype, shape, data) in tensors.items():
        entries.append(f'"{name}":{{"dtype":"{dtype}","shape":{list(shape)},"data_offsets":[{at},{at + len(data)}]}}')
        at, body = at + len(data), body + data
    header = ("{" + ",".join(([f'"__metadata__":{{{metadata}}}'] if metadata else []) + entries) + "}").encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + body


def idx(code, shape, data):
    return bytes([0, 0, code, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape) + data


def png(width, height, colour, depth, rows, extra=b"", interlace=0):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


F32 = struct.pack("<6f", 1, -2, 0.5, float("inf"), 3, 4)
MODEL = {
    "a": ("F32", (2, 3), F32),
    "b": ("F64", (), struct.pack("<d", 2.5)),
    "c": ("I64", (2,), struct.pack("<2q", 3, -4)),
    "d": ("BOOL", (3,), b"\1\0\1"),
}
STATE = MODEL | {
    "number.rate": ("F64", (), struct.pack("<d", 0.125)),
    "number.steps": ("I64", (), struct.pack("<q", 12)),
    "random.draws": ("I64", (), struct.pack("<q", 9)),
    "random.seed": ("I64", (), struct.pack("<q", 3)),
}


W = b'{"w":{"dtype":"F32","shape":'
HEADERS = [
    b'{"\\u12', b'{"\\ud83d', b'{"\\ud83d"', b'{"\\ud83dxx"', b'{"\\ud83d\\n"', b'{"\\ud83d\\u0041"', b'{"\\ud83d\\ue000"',
    b'{"\\ud83d\\uzz"', b'{"\\udc00"', b'{"a\\', b'{"a\\x"', b'{"a\\\0"', b'{"abc', b'{"\\u0041\\u00e9\\u20ac\\ud83d\\ude00":',
    b'{"w":{}}', b'{"w":{"dtype":"F32"}}', W + b"[1]}}", W + b"[1 2]}}", W + b"[-1]}}", W + b"[99999999999999999999]}}", W + b"[1", W + b"1}}",
    W + b'[1],"data_offsets":[0,18446744073709551615]},"v":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}',
    W + b'[1],"data_offsets":[4,0]}}', W + b'[1],"data_offsets":[0,4]}', W + b'[1],"data_offsets":[0,4]},}',
    b'{"__metadata__":{"k":1}}', b'{"__metadata__":{"k" "v"}}', b'{"__metadata__":{"k":"v"', b'{"__metadata__":1}', b"[]", b"{",
]


def palette():
    data = bytes([0, 0, 0, 255, 0, 0])
    return struct.pack(">I", len(data)) + b"PLTE" + data + struct.pack(">I", zlib.crc32(b"PLTE" + data))


def inputs():
    """target: inputs"""
    whole = npy("<f4", "(2, 3)", F32)
    tables = [b"1,2\n3,4.5\n", b"a,b,c\n1,2,3\r\n-1e3,inf, nan\n", b"\xef\xbb\xbf1;2\n\n3;4", b"9223372036854775807\n-9223372036854775808\n"]
    expressions = [
        "mean(sigmoid(x*w + b))\0x=[2,3]\0w=[3]\0b:0.5",
        "h = tanh(x@w); sum(h**2)\0x=[2,3]\0w:[[1,2],[3,4],[5,6]]",
        "cross_entropy(x, int([0,2]))\0x=[2,3]",
        "softmax(x, axis=-1)[0] + x.T\0x=[2,2]",
        "-x**-2/(1e3 - .5) >= 0\0x:-1.5",
        "sum(concat(x, [[1,0]], axis=0), axis=[0,1], keepdims=True)\0x=[1,2]",
    ]
    texts = ["0, :, ::-1, None", "..., 1:2", "%, ..., %", "-1", "1::2,", "newaxis,…"]
    products = ["ij,jk->ik", "ii->i", "...i,...i", "ab , bc->ac", "ijk->"]
    labels = ["<b>&amp;</b>", "a\"b\\", "\\end{x}{", "x\ny", "\xff\xc3", "日本語", "]]>", "x|y{0}"]
    return {
        "npy": [
            whole, npy(">i2", "(3,)", b"\0\1\0\2\xff\xff"), npy("|b1", "(2,)", b"\1\0"), npy("<f8", "()", bytes(8), version=2),
            npy("<f2", "(2, 1)", b"\0\x3c\0\xbc", fortran=True), npy("<u8", "(0, 5)", b""), gzip.compress(whole, mtime=0),
        ],
        "zip": [npz({"w.npy": whole, "b.npy": npy("|i1", "(2,)", b"\1\2")}, packed) for packed in (False, True)]
        + [zip64(npz({"w.npy": npy("|i1", "(2,)", b"\1\2")}, False)), zip64(npz({}, False))],
        "safetensors": [safetensors(MODEL), safetensors({"w": ("BF16", (2,), b"\x80\x3f\0\0")}, '"k":"v"'), safetensors({})]
        + [headed(text) for text in HEADERS]
        + [headed(b"{}", length=1 << 40), headed(b"{}", length=3), headed(b"{}", b"\0"), headed(b"", b"{}")],
        "idx": [
            idx(8, (2, 2), bytes(4)), idx(13, (1,), struct.pack(">f", 1.5)), idx(14, (), struct.pack(">d", 1)),
            idx(11, (2,), b"\0\1\xff\xff"), gzip.compress(idx(8, (3,), b"\1\2\3"), mtime=0),
        ],
        "csv": [bytes([lot]) + table for table in tables for lot in (64, 8, 40, 1)],
        "png": [
            png(2, 2, 0, 8, b"\0\1\2\0\3\4"), png(1, 1, 6, 16, b"\0" + bytes(8)), png(2, 1, 3, 1, b"\0\x40", palette()),
            png(3, 1, 2, 8, b"\0" + bytes(range(9)), interlace=1),
        ],
        "pnm": [
            b"P5 2 2 255\n\0\1\2\3", b"P6\n# c\n1 1\n65535\n\0\1\0\2\0\3", b"P2 2 1 9 3 4", b"P3 1 1 255 1 2 3", b"P4 9 1\n\xaa\x80",
            b"P1 2 2 1 0\n0 1", b"P7\nWIDTH 1\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + bytes(8),
        ],
        "raw": [bytes([lot, 2, 2, 3]) + bytes(range(48)) for lot in (11, 12, 0, 3, 19, 43, 75, 8, 10)],
        "load": [bytes([lot]) + safetensors(MODEL) for lot in (16, 0, 7)] + [b"\x0e" + npz({"a.npy": whole}, False)],
        "checkpoint": [
            bytes([lot]) + safetensors(STATE, '"checkpoint":"1","crc32":"00000000"') for lot in (0, 32, 15, 16)
        ],
        "dlpack": [bytes([20, 9, 2, 2, 3]) + bytes([203, 201] * 3), bytes([31, 3, 1, 4, 213]), bytes(3)],
        "expression": [e.encode() for e in expressions],
        "text": [bytes([1, n * 8]) + t.encode() for n, t in enumerate(texts)]
        + [bytes([0, 1, 0xFE, 0xFE]) + t.encode() for t in products]
        + [b"\7fused\0" + b"1\0" + b"0\0avx2\0" + b"2\0" + b"4,2"],
        "labels": [bytes([8 * n + n % 8, 5 * n]) + (label + "\0") .encode("latin-1" if n == 4 else "utf-8") * 3 for n, label in enumerate(labels)]
        + [bytes([n, 16 * n + 1]) + b"\1a\0b<\0c&\0d\"\0" for n in range(8)],
        **random_inputs(),
    }


def random_inputs():
    """Bytes without structure, for the targets whose bytes are decisions; a fuzzer's are better."""
    numbers = random.Random(1)
    sizes = {"attributes": 40, "encoder": 120, "calls": 200, "programs": 120, "misuse": 120}
    return {target: [numbers.randbytes(size) for _ in range(4)] for target, size in sizes.items()}


JSON = ['{"', '":', '"}', "[", "]", ",", ":", "\\u0041", "-1", "1e400", "null"]
TENSORS = JSON + ["dtype", "shape", "data_offsets", "__metadata__", "F32", "F64", "F16", "BF16", "I8", "I16", "I32", "I64", "U8", "U16",
                  "U32", "U64", "BOOL", "F8_E4M3", '"a"', '"b"', '"c"', '"d"']
WORDS = {
    "npy": [b"\x93NUMPY", b"\1\0", b"\2\0", b"\3\0", "'descr': ", "'fortran_order': ", "'shape': ", "True", "False", "(", ")", "(2, 3)", "<f4",
            ">f4", "<f8", ">f8", "<i8", "|b1", "|u1", "|i1", "<u2", ">i4", "<f2", "=f4", ", ", "}", "{", "L"],
    "zip": [b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"\x01\0", b"\xff\xff\xff\xff", b"\x2d\0", ".npy", b"\x08\0", b"\0\0"],
    "safetensors": TENSORS,
    "load": TENSORS,
    "checkpoint": TENSORS + ["checkpoint", "crc32", "number.rate", "number.steps", "random.draws", "random.seed", '"1"'],
    "idx": [b"\0\0\x08\1", b"\0\0\x09\1", b"\0\0\x0b\2", b"\0\0\x0c\1", b"\0\0\x0d\3", b"\0\0\x0e\1", b"\x1f\x8b\x08"],
    "csv": ["\r\n", "\n", ",", ";", "\t", '"', '""', "nan", "inf", "-inf", "NaN", "true", "1e308", "1e-320", "9223372036854775807", "0x10", "\xef\xbb\xbf"],
    "png": ["IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "sBIT", "bKGD", "tEXt", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0d", b"\1\0\0\0", b"\x10\6\0\0\1"],
    "pnm": ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "WIDTH ", "HEIGHT ", "DEPTH ", "MAXVAL ", "TUPLTYPE ", "ENDHDR\n", "RGB_ALPHA", "GRAYSCALE",
            "BLACKANDWHITE", "255", "65535", "# ", "\n"],
    "text": ["...", "::", ":", ",", "None", "newaxis", "%", "->", "ij", "ii", "-1", "auto", "fused", "reference", "avx512", "avx2", "neon", "none", "1,2",
             "9223372036854775807", b"\0"],
    "labels": ["<", ">", "&", "&amp;", "]]>", "<!--", "\\", "{", "}", "$", "^", "_", "%", "#", '"', "'", "|", "\n", b"\xe2\x80\xae", b"\xff",
               b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "</script>", b"\0", "−", "·"],
}


def words_of(target):
    if target == "expression":
        root = HERE.parents[2]
        text = (root / "examples/explain/functions.c").read_text(encoding="utf-8")
        ops = "".join(path.read_text(encoding="utf-8") for path in sorted(root.glob("ops/*.c")))
        names = sorted(set(re.findall(r'"([a-z_0-9]+)"', text)) | set(re.findall(r'[.]name = "([a-z_0-9]+)"', ops)))
        return [f"{name}(" for name in names] + ["axis=", "keepdims=", "True", "None", "**", "@", "[", "]", "(", ")", ";", "=", ".T", "::", "-1", "1e308", b"\0",
                                                 "x=[2,3]", "w:[1,2]", "int(", ">=", "<="]
    return WORDS.get(target, [])


def words(target, file):
    listed = (word.encode() if isinstance(word, str) else word for word in words_of(target))
    text = "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in listed)
    pathlib.Path(file).write_text(text, encoding="utf-8")


def path_of(target):
    return HERE / f"{target}.seeds"


def sections(target):
    """The lines of each section."""
    found = {MADE: [], FOUND: [], FAULTS: []}
    section = MADE
    for line in path_of(target).read_text(encoding="utf-8").splitlines() if path_of(target).exists() else []:
        section = line if line in found else section
        found[section] += [] if line in found else [line]
    return found


def write(target, found):
    HERE.mkdir(exist_ok=True)
    text = "".join(f"{line}\n" for title, lines in found.items() if lines for line in [title, *lines])
    path_of(target).write_text(text, encoding="utf-8")


def make():
    for target, seeds in inputs().items():
        write(target, sections(target) | {MADE: [seed.hex() for seed in seeds]})


def unpack(target, folder):
    to = pathlib.Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    for lines in sections(target).values():
        for seed in (bytes.fromhex(line) for line in lines if not line.startswith("#")):
            (to / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


def pack(target, folder, most="2000"):
    found, room = sections(target), int(most)
    had = {line for section in (MADE, FAULTS) for line in found[section]}
    found[FOUND] = []
    for seed in sorted((p.read_bytes() for p in pathlib.Path(folder).iterdir()), key=lambda s: (len(s), s)):
        if 0 < len(seed) <= min(LONGEST, room) and seed.hex() not in had:
            found[FOUND].append(seed.hex())
            room -= len(seed)
    write(target, found)


def fault(target, file, text):
    found = sections(target)
    found[FAULTS] += [f"# {text}", pathlib.Path(file).read_bytes().hex()]
    write(target, found)


if __name__ == "__main__":
    {"make": make, "unpack": unpack, "pack": pack, "fault": fault, "words": words}[sys.argv[1]](*sys.argv[2:])
