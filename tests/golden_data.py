#!/usr/bin/python3
"""Writes tests/golden/data.h: orders, splits and augmented images, computed as nn/data.h says, by a Philox of its own.

Needs Python alone. Run from anywhere; the result is committed."""
import fractions
import math
import pathlib

MASK = 2 ** 32 - 1
OF_SAMPLE, OF_ORDER, OF_SPLIT, OF_STREAM, OF_CLASSES = range(8, 13)
out = []


def philox(key, block, draw):
    """Two numbers of 64 bits. Philox4x32-10 as in Salmon et al. (2011), section 3.2 and table 2."""
    c = [block & MASK, block >> 32, draw & MASK, draw >> 32]
    k0, k1 = key & MASK, key >> 32
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k0, q & MASK, (p >> 32) ^ c[3] ^ k1, p & MASK]
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c[0] | c[1] << 32, c[2] | c[3] << 32


# Known answers: of the authors' library Random123, file kat_vectors.
assert philox(0, 0, 0) == (0xE169C58D6627E8D5, 0x9B00DBD8BC57AC4C)
assert philox(2 ** 64 - 1, 2 ** 64 - 1, 2 ** 64 - 1) == (0x41C83B0E408F276D, 0x6D5451FDA20BC7C6)


def below(bits, n):
    mask = (1 << (n - 1).bit_length()) - 1
    return next(i for i in (b & mask for b in bits) if i < n)


def stream(key, draw):
    block = 0
    while True:
        yield from philox(key, block, draw)
        block += 1


def shuffled(numbers, seed, purpose, epoch):
    numbers, bits = list(numbers), stream(seed, purpose << 60 | epoch)
    for i in range(len(numbers) - 1, 0, -1):
        j = below(bits, i + 1)
        numbers[i], numbers[j] = numbers[j], numbers[i]
    return numbers


def spread(order, classes, seed, epoch):
    order = sorted(order, key=lambda i: classes[i])
    kinds = sorted(set(classes[i] for i in order))
    turn = shuffled(range(len(kinds)), seed, OF_CLASSES, epoch)
    of = {k: [i for i in order if classes[i] == k] for k in kinds}
    due = [(fractions.Fraction(2 * j + 1, 2 * len(of[k])), turn[n], i) for n, k in enumerate(kinds) for j, i in enumerate(of[k])]
    return [i for _, _, i in sorted(due)]


def half_up(x):
    return math.floor(x + fractions.Fraction(1, 2))


def split(count, seed, shares, classes=None):
    """The part of each place."""
    places = shuffled(range(count), seed, OF_SPLIT, 0)
    groups = [places]
    if classes:
        groups = [[i for i in places if classes[i] == k] for k in sorted(set(classes))]
    part, dealt, total = [-1] * count, 0, fractions.Fraction(0)
    for k, share in enumerate(shares):
        total += share
        upto = half_up(count * total)
        wanted, left, seen, taken = upto - dealt, count - dealt, 0, 0
        for group in groups:
            free = [i for i in group if part[i] < 0]
            seen += len(free)
            most = half_up(fractions.Fraction(seen * wanted, left)) if left else 0
            for i in free[:most - taken]:
                part[i] = k
                taken += 1
        dealt = upto
    return part


def normal(key, draw, block):
    u, v = (b >> 11 for b in philox(key, block, draw))
    return math.sqrt(-2 * math.log((u + 1) * 2.0 ** -53)) * math.cos(2 * math.pi * v * 2.0 ** -53)


def put(name, numbers, kind="int64_t"):
    out.append(f"static const {kind} {name}[] = {{")
    for i in range(0, len(numbers), 10):
        out.append("    " + ", ".join(map(str, numbers[i:i + 10])) + ",")
    out.append("};")


def digest(numbers):
    """Of FNV-1a, a number at a time."""
    h = 0xCBF29CE484222325
    for n in numbers:
        h = (h ^ n) * 0x100000001B3 % 2 ** 64
    return h


def image(number):
    """5 rows of 4 pixels with 2 channels."""
    return [[[number * 100 + 8 * r + 2 * c + k for k in range(2)] for c in range(4)] for r in range(5)]


def draws(seed, epoch, number, use):
    key = philox(seed, number, OF_SAMPLE << 60 | epoch)[0]
    block = 0
    while True:
        yield philox(key, block, OF_STREAM << 60 | use)[0]
        block += 1


def changed(seed, epoch, number):
    """Shifted by up to 2 rows and 1 column, filled with -1; then turned round; then covered by a square of 3, with -2."""
    x = image(number)
    bits = draws(seed, epoch, number, 1)
    down, right = below(bits, 5) - 2, below(bits, 3) - 1
    x = [[x[r - down][c - right] if 0 <= r - down < 5 and 0 <= c - right < 4 else [-1, -1] for c in range(4)] for r in range(5)]
    bits = draws(seed, epoch, number, 2)
    if (next(bits) >> 11) * 2.0 ** -53 < 0.5:
        x = [row[::-1] for row in x]
    if (next(bits) >> 11) * 2.0 ** -53 < 0.25:
        x = x[::-1]
    bits = draws(seed, epoch, number, 3)
    row, column = below(bits, 5), below(bits, 4)
    for r in range(max(row - 1, 0), min(row + 2, 5)):
        for c in range(max(column - 1, 0), min(column + 2, 4)):
            x[r][c] = [-2, -2]
    return [v for row in x for pixel in row for v in pixel]


put("order_7", [i for e in range(3) for i in shuffled(range(7), 0, OF_ORDER, e)])
put("order_20", shuffled(range(20), 0x123456789ABCDEF0, OF_ORDER, 2 ** 33 + 5))
long = [digest(shuffled(range(n), 42, OF_ORDER, 3)) for n in (128, 129, 1000, 4097)]
put("order_digests", [f"UINT64_C({d})" for d in long], "uint64_t")
classes = [(i * i + 3 * i) % 7 % 4 * 10 - 5 for i in range(53)]
put("classes_53", classes)
put("spread_53", [i for e in range(2) for i in spread(shuffled(range(53), 9, OF_ORDER, e), classes, 9, e)])
put("spread_12", [i for e in range(2) for i in spread(shuffled(range(12), 9, OF_ORDER, e), [i % 3 for i in range(12)], 9, e)])
F = fractions.Fraction
put("split_53", split(53, 11, [F(1, 2), F(1, 4), F(1, 8)]))
put("split_53_classes", split(53, 11, [F(1, 2), F(1, 4), F(1, 4)], classes))
put("changed_images", [v for n in range(6) for v in changed(77, 4, n)])
key = philox(5, 3, OF_SAMPLE << 60 | 2)[0]
put("normals", [repr(normal(key, OF_STREAM << 60, b)) for b in range(8)], "double")
put("bits", [f"UINT64_C({philox(key, b, OF_STREAM << 60)[0]})" for b in range(4)], "uint64_t")
text = "/* Written by tests/golden_data.py. */\n" + "\n".join(out) + "\n"
pathlib.Path(__file__).resolve().parent.joinpath("golden/data.h").write_text(text)
