"""ag-train on the command line: what it trains, resumes, predicts and reports, and what it says of commands and files with faults.

    test_train.py PROGRAM DIGITS

Its numbers are compared with Python's own arithmetic on its predictions. Files of tensors are written here, byte by byte."""

import csv
import gzip
import html.parser
import json
import math
import os
import pathlib
import random
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import time

PROGRAM, DIGITS = map(os.path.abspath, sys.argv[1:3])
failures = []


def run(*arguments, **more):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=120, **more)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(holds, *what):
    if not holds:
        failures.append(what)
        print("FAILED:", *what)


def trained(*arguments):
    status, out, err = run("train", *arguments)
    check(status == 0, arguments, status, err)
    return out


def reading(out, name):
    found = re.findall(rf"^{name} +(\S+)$", out, flags=re.M)
    return float(found[-1]) if found else math.nan


def column(text, k=0):
    return [row[k] for row in csv.reader(text.splitlines())][1:]


# ---- Data


def line_csv(path, rows=300, header=True):
    """y = 3·a − 2·b + 5 with a little noise, and a column of words."""
    draw = random.Random(1)
    with open(path, "w", encoding="utf-8") as out:
        if header:
            out.write('a,"b, the second",word,y\n')
        for i in range(rows):
            a, b = draw.uniform(-10, 10), draw.gauss(100, 5)
            out.write(f'{a},{b},"w{i}",{3 * a - 2 * b + 5 + draw.gauss(0, 0.1)}\n')


def rings_csv(path, rows=400, wrong=0.0):
    """Two classes by name, of which one surrounds the other; some of the names may be wrong."""
    draw = random.Random(2)
    with open(path, "w", encoding="utf-8") as out:
        out.write("x,y,kind\n")
        for i in range(rows):
            angle, radius = draw.uniform(0, 2 * math.pi), (1 if i % 2 else 3) + draw.gauss(0, 0.2)
            out.write(f"{radius * math.cos(angle)},{radius * math.sin(angle)},{'in' if (i % 2 == 1) != (draw.random() < wrong) else 'out'}\n")


def idx(path, numbers, *shape):
    data = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(numbers)
    pathlib.Path(path).write_bytes(gzip.compress(data) if str(path).endswith(".gz") else data)


def npy(kind, shape, numbers):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    code = {"<f8": "d", "<i8": "q"}[kind]
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(numbers)}{code}", *numbers)


def safetensors_of(path):
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


# ---- What is learnt


def check_digits():
    model, page, log = "digits.safetensors", "digits.html", "digits.jsonl"
    began = time.monotonic()
    out = trained("64-128 bn relu-10", DIGITS, "-o", model, "--epochs", 8, "--html", page, "--log", log, "--seed", 3)
    took = time.monotonic() - began
    check(reading(out, "accuracy") >= 0.92, "digits, held out", reading(out, "accuracy"))
    print(f"digits: {reading(out, 'accuracy')} held out, in {took:.1f} s")
    rows = list(csv.reader(open(DIGITS, encoding="utf-8")))
    status, out, err = run("evaluate", model, DIGITS)
    check(status == 0 and reading(out, "accuracy") >= 0.97 and reading(out, "samples") == len(rows), out, err)
    status, said, err = run("predict", model, DIGITS, "--probabilities")
    table = list(csv.DictReader(said.splitlines()))
    right = sum(row["y"] == is_[-1] for row, is_ in zip(table, rows))
    check(status == 0 and len(table) == len(rows), "predictions", len(table), err)
    check(abs(right / len(rows) - reading(out, "accuracy")) < 1e-5, "predictions and evaluation differ")
    loss = -sum(math.log(float(row[is_[-1]])) for row, is_ in zip(table, rows)) / len(rows)
    check(abs(loss - reading(out, "loss")) < 1e-4 * loss + 1e-5, "the loss of the probabilities", loss, reading(out, "loss"))
    check(all(abs(sum(float(row[str(k)]) for k in range(10)) - 1) < 1e-5 for row in table), "probabilities add up to 1")
    f1 = [float(x) for x in re.findall(r"^[0-9]  .* (0\.\d+|1\.0+) +\d+$", out, flags=re.M)]
    check(len(f1) == 10 and abs(sum(f1) / 10 - reading(out, "mean F1")) < 1e-4, "F1", f1, reading(out, "mean F1"))
    confusion = [[int(n) for n in line.split()[1:]] for line in out.split("predicted one\n")[1].splitlines()[1:]]
    check(sum(confusion[k][k] for k in range(10)) == right and sum(map(sum, confusion)) == len(rows), confusion)
    check_page(page)
    records = [json.loads(line) for line in open(log, encoding="utf-8")]
    check([r["step"] for r in records] == list(range(1, 9)), "the log's steps")
    check(records[-1]["loss"] < records[0]["loss"] / 3 and records[-1]["gradient layer.0.weight"] > 0, records[-1])
    check_file(model)


def check_file(path):
    header, data = safetensors_of(path)
    check(header["layer.0.weight"]["shape"] == [64, 128] and header["layer.1.running_var"]["shape"] == [128], header)
    begin, end = header["description"]["data_offsets"]
    text = bytes(struct.unpack(f"<{(end - begin) // 8}q", data[begin:end])).decode()
    check("model 64-128 bn relu-10\n" in text and "class 9\n" in text and "loss cross-entropy\n" in text, text)


class Page(html.parser.HTMLParser):
    void = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            failures.append((tag, "ends and is not open"))


def check_page(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    page = Page(text)
    check(not page.open, "open at the end of the page:", page.open)
    names = [tag for tag, _ in page.tags]
    check(names.count("svg") == 4 and "script" not in names and "link" not in names, names)
    check(not any("src" in attributes or "href" in attributes for _, attributes in page.tags), "the page loads something")
    check("prefers-color-scheme:dark" in text and "norms of the gradients" in text and "1.weight" not in text.split("<svg")[0], path)
    check(len(re.findall(r"<td style=", text)) == 100, "the confusion matrix")


def numbers_of(path, name):
    header, data = safetensors_of(path)
    begin, end = header[name]["data_offsets"]
    return struct.unpack(f"<{(end - begin) // 8}d", data[begin:end])


def check_standardisation():
    """Mean and deviation of the training data, of which without validation all are."""
    with open("flat.csv", "w", encoding="utf-8") as out:
        draw = random.Random(8)
        rows = [(draw.uniform(0, 1), 5, draw.gauss(1000, 10), draw.gauss(-3, 2)) for _ in range(50)]
        out.write("a,b,c,y\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    columns = list(zip(*rows))
    mean = [sum(c) / 50 for c in columns]
    scale = [math.sqrt(sum((x - m) ** 2 for x in c) / 50) or 1 for c, m in zip(columns, mean)]
    trained("3-1", "flat.csv", "-o", "flat.safetensors", "--validation", 0, "--epochs", 1)
    for name, wanted in (("input.mean", mean[:3]), ("input.scale", scale[:3]), ("target.mean", mean[3:]), ("target.scale", scale[3:])):
        found = numbers_of("flat.safetensors", name)
        check(all(abs(a - b) <= 1e-5 * abs(b) for a, b in zip(found, wanted)) and len(found) == len(wanted), name, found, wanted)
    trained("3-1", "flat.csv", "-o", "raw.safetensors", "--raw", "--epochs", 1)
    check("input.mean" not in safetensors_of("raw.safetensors")[0], "--raw")


def check_reals():
    line_csv("line.csv")
    out = trained("2-1", "line.csv", "-o", "line.safetensors", "--ignore", "word", "--rate", 0.05, "--schedule", "cosine", "--epochs", 30)
    check(reading(out, "R²") > 0.9999, out)
    status, out, err = run("evaluate", "line.safetensors", "line.csv")
    check(status == 0 and reading(out, "mean square error") < 0.012, out, err)
    status, _, err = run("predict", "line.safetensors", "line.csv", "-o", "said.csv")
    said = [float(x) for x in column(pathlib.Path("said.csv").read_text())]
    rows = list(csv.DictReader(open("line.csv", encoding="utf-8")))
    errors = [y - float(row["y"]) for y, row in zip(said, rows)]
    check(status == 0 and len(said) == len(rows), err)
    check(abs(sum(e * e for e in errors) / len(errors) - reading(out, "mean square error")) < 1e-5, "mean square error")
    check(abs(sum(map(abs, errors)) / len(errors) - reading(out, "mean absolute error")) < 1e-5, "mean absolute error")
    # Columns by name, in any order, without a target
    with open("other.csv", "w", encoding="utf-8") as out:
        out.write('more,"b, the second",a\n' + "".join(f'x,{row["b, the second"]},{row["a"]}\n' for row in rows))
    os.symlink("elsewhere.csv", "link.csv")
    status, _, err = run("predict", "line.safetensors", "other.csv", "-o", "link.csv")
    check(status == 0 and os.path.islink("link.csv") and pathlib.Path("elsewhere.csv").exists(), "a link stays", err)
    status, text, err = run("predict", "line.safetensors", "other.csv")
    check(status == 0 and text == pathlib.Path("said.csv").read_text(), "columns by name", err)


def check_words():
    """A column of words is an input for each word; with a header, without, and in another order of columns."""
    draw, kinds = random.Random(9), {"red": 1, "green, dark": 5, "7 up": -3}
    rows = [(draw.uniform(-1, 1), draw.choice(list(kinds)), draw.choice([10, 20])) for _ in range(300)]
    lines = [f'{a},"{kind}",{code},{a + kinds[kind] + (code == 20) * 8}' for a, kind, code in rows]
    for name, header in (("words.csv", "a,colour,code,y\n"), ("plain.csv", "")):
        pathlib.Path(name).write_text(header + "\n".join(lines), encoding="utf-8")
        out = trained("6-1", name, "-o", "words.safetensors", "--words", "code" if header else "3", "--rate", 0.05, "--epochs", 40)
        check(reading(out, "R²") > 0.999, name, out)
        status, out, err = run("evaluate", "words.safetensors", name)
        check(status == 0 and reading(out, "R²") > 0.999, name, out, err)
    trained("6-1", "words.csv", "-o", "words.safetensors", "--words", "code", "--epochs", 3)
    status, said, err = run("predict", "words.safetensors", "words.csv")
    pathlib.Path("turned.csv").write_text("code,colour,a\n" + "".join(f'{code},"{kind}",{a}\n' for a, kind, code in rows), encoding="utf-8")
    status, turned, err = run("predict", "words.safetensors", "turned.csv")
    check(status == 0 and said == turned, "columns in another order", err)
    pathlib.Path("turned.csv").write_text("code,colour,a\n10,red,1\n10,blue,1\n", encoding="utf-8")
    status, _, err = run("predict", "words.safetensors", "turned.csv")
    check(status == 1 and 'line 3, column 2: "blue" is none of the words' in err, err)
    status, _, err = run("train", "6-1", "words.csv", "-o", "x.safetensors")
    check(status == 1 and "has 5 inputs, and the model 6" in err, err)
    pathlib.Path("many.csv").write_text("a,y\n" + "".join(f"w{i},{i}\n" for i in range(1001)), encoding="utf-8")
    status, _, err = run("train", "1-1", "many.csv", "-o", "x.safetensors")
    check(status == 1 and "1001 words" in err and "--ignore" in err, err)


def check_forms_of_tables():
    """Line ends, quotes, blanks, blank lines, a byte order mark, no line end at the end: the same samples."""
    plain = "a,b,kind\n" + "".join(f"{i},{i * i},{('in', 'out')[i % 2]}\n" for i in range(40))
    forms = [plain, plain.replace("\n", "\r\n"), "\ufeff" + plain, plain[:-1], plain.replace(",", " ,\t"), "\n\n" + plain.replace("\n", "\n \n"),
             re.sub(r"(\w+)", r'"\1"', plain), plain.replace(",", ";")]
    files = []
    for form in forms:
        pathlib.Path("form.csv").write_text(form, encoding="utf-8", newline="")
        trained("2-2", "form.csv", "-o", "form.safetensors", "--epochs", 1, *(["--separator", ";"] if form == forms[-1] else []))
        files.append(pathlib.Path("form.safetensors").read_bytes())
    check(len(set(files)) == 1, "forms of a table differ", [files[0] == file for file in files])


def check_two_targets_without_header():
    with open("two.csv", "w", encoding="utf-8") as out:
        draw = random.Random(3)
        for _ in range(200):
            a, b = draw.uniform(-1, 1), draw.uniform(-1, 1)
            out.write(f"{a};{a + b};{b};{1000 * (a - b)}\n")
    out = trained("2-2", "two.csv", "-o", "two.safetensors", "--separator", ";", "--target", "2,4", "--rate", 0.05)
    check(reading(out, "R²") > 0.999, out)
    status, out, err = run("predict", "two.safetensors", "two.csv", "--separator", ";", "--target", "2,4")
    check(status == 0 and out.startswith("y1,y2\n"), out[:20], err)


def check_two_classes():
    rings_csv("rings.csv")
    for options in (["--loss", "binary"], ["--optimiser", "rmsprop"], ["--optimiser", "sgd", "--rate", 0.1, "--clip", 1]):
        out = trained("2-16 tanh-1", "rings.csv", "-o", "rings.safetensors", "--rate", 0.01, "--epochs", 40, *options)
        check(reading(out, "accuracy") > 0.95, options, out)
    status, text, err = run("predict", "rings.safetensors", "rings.csv", "--probabilities")
    rows = list(csv.DictReader(text.splitlines()))
    check(status == 0 and all((row["kind"] == "out") == (float(row["out"]) > 0.5) for row in rows), err)
    with open("mixed.csv", "w", encoding="utf-8") as out:  # numbers come first, by value; then text
        kinds = ["9", "10", "1a", "b", "0.5", "00", "a1", "-3"]
        out.write("x,kind\n" + "".join(f"{i % 8},{kinds[i * 5 % 8]}\n" for i in range(160)))
    trained("1-16 relu-8", "mixed.csv", "-o", "mixed.safetensors", "--epochs", 2)
    status, text, err = run("predict", "mixed.safetensors", "mixed.csv", "--probabilities")
    check(text.splitlines()[0] == "kind,-3,00,0.5,9,10,1a,a1,b", text.splitlines()[0], err)
    out = trained("2-16 relu-2", "rings.csv", "-o", "hinge.safetensors", "--loss", "hinge", "--rate", 0.01, "--epochs", 30)
    check(reading(out, "accuracy") > 0.95, out)
    check(run("predict", "hinge.safetensors", "rings.csv", "--probabilities")[0] == 1, "hinge has no probabilities")


def check_tensors():
    """Images of a bar, upright or lying, as IDX, .npy and .npz."""
    draw, images, labels = random.Random(4), [], []
    for i in range(240):
        image, at = [draw.randrange(60) for _ in range(64)], draw.randrange(8)
        for k in range(8):
            image[8 * k + at if i % 2 else 8 * at + k] = 255
        images += image
        labels.append(i % 2)
    idx("images-idx3", images, 240, 8, 8)
    idx("labels-idx1", labels, 240)
    for model in ("8x8 conv 3x3 8 bn relu pool 2 flatten 2", "8x8 lstm 16 2", "8x8x1 conv 5 4 gelu avgpool 2 flatten ln dropout 0.1 2"):
        out = trained(model, "images-idx3", "--labels", "labels-idx1", "-o", "bars.safetensors", "--rate", 0.01, "--epochs", 15)
        check(reading(out, "accuracy") > 0.9, model, out)
        status, out, err = run("evaluate", "bars.safetensors", "images-idx3", "--labels", "labels-idx1")
        check(status == 0 and reading(out, "accuracy") > 0.95, model, out, err)
    idx("images-idx3.gz", images, 240, 8, 8)
    status, packed, err = run("evaluate", "bars.safetensors", "images-idx3.gz", "--labels", "labels-idx1")
    if "zlib" in err:
        print("a build without zlib: packed files are skipped")
    else:
        check(status == 0 and packed == out, "a packed file", err)
    pathlib.Path("images.npy").write_bytes(npy("<f8", (240, 64), images))
    pathlib.Path("labels.npy").write_bytes(npy("<i8", (240,), labels))
    trained("8x8 conv 3x3 4 relu pool 2 flatten 2", "images.npy", "--labels", "labels.npy", "-o", "npy.safetensors", "--epochs", 2)
    status, out, err = run("predict", "npy.safetensors", "images.npy")
    check(status == 0 and len(column(out)) == 240 and set(column(out)) <= {"0", "1"}, err)
    import zipfile
    with zipfile.ZipFile("bars.npz", "w") as file:
        file.writestr("x.npy", npy("<f8", (240, 8, 8), images))
        file.writestr("way.npy", npy("<i8", (240,), labels))
    trained("64-2", "bars.npz", "--target", "way", "-o", "npz.safetensors", "--epochs", 2)
    pathlib.Path("bar.csv").write_text("\n".join(",".join(map(str, images[64 * i : 64 * i + 64])) for i in range(3)), encoding="utf-8")
    status, out, err = run("predict", "npz.safetensors", "bar.csv")
    check(status == 0 and len(column(out)) == 3, "a table for a model of tensors", err)
    status, out, err = run("evaluate", "npz.safetensors", "bars.npz")
    check(status == 1 and "no tensor" in err, "a missing array", err)


# ---- Resuming


def check_resuming():
    rings_csv("rings.csv")
    for more in ([], ["--patience", 3], ["--optimiser", "sgd"], ["--optimiser", "rmsprop", "--momentum", 0.5]):
        command = ["2-16 bn relu dropout 0.2-2", "rings.csv", "--rate", 0.01, *more]
        whole, parts = ["-o", "whole.safetensors", "--log", "whole.jsonl"], ["-o", "parts.safetensors", "--log", "parts.jsonl"]
        for old in pathlib.Path(".").glob("run.*"):
            old.unlink()
        trained(*command, *whole, "--epochs", 9)
        trained(*command, *parts, "--epochs", 3, "--checkpoint", "run", "--resume")
        check(len(list(pathlib.Path(".").glob("run.*"))) == 2, "two checkpoints are kept")
        with open("parts.jsonl", "a", encoding="utf-8") as log:
            log.write('{"step":4,"loss":1}\n{"step":5,"lo')
        out = trained(*command, *parts, "--epochs", 9, "--checkpoint", "run", "--resume", "--html", "resumed.html")
        check("resumed after 3 epochs" in out, out)
        for a, b in (("whole.safetensors", "parts.safetensors"), ("whole.jsonl", "parts.jsonl")):
            check(pathlib.Path(a).read_bytes() == pathlib.Path(b).read_bytes(), more, b, "differs from a run in one piece")
    rings_csv("rings.csv", wrong=0.2)
    command = ["2-16 relu-2", "rings.csv", "--rate", 0.1, "--patience", 3, "-o"]
    whole = trained(*command, "whole.safetensors", "--epochs", 30)
    epochs = re.findall("^epoch.*$", whole, flags=re.M)
    for first in range(max(2, len(epochs) - 4), len(epochs)):
        for old in pathlib.Path(".").glob("run.*"):
            old.unlink()
        trained(*command, "parts.safetensors", "--epochs", first, "--checkpoint", "run")
        out = trained(*command, "parts.safetensors", "--epochs", 30, "--checkpoint", "run", "--resume")
        same = pathlib.Path("whole.safetensors").read_bytes() == pathlib.Path("parts.safetensors").read_bytes()
        check(same and re.findall("^epoch.*$", out, flags=re.M) == epochs[first:], "stopping in a resumed run", first, out)
    command, parts = ["2-16 relu-2", "rings.csv", "--rate", 0.1, "--patience", 3], ["-o", "parts.safetensors"]
    status, _, err = run("train", *command, *parts, "--epochs", 9, "--checkpoint", "run", "--resume", "--batch", 16)
    check(status == 1 and "other options" in err, "another batch", err)
    other = ["2-8 relu-2", "rings.csv", "-o", "parts.safetensors"]
    status, _, err = run("train", *other, "--checkpoint", "run", "--resume")
    check(status == 1 and err.startswith("ag-train: checkpoint_load: "), "another model", err)


def check_killed():
    """However often it is killed, in the end there are the same bits."""
    command = ["train", "64-32 relu-10", DIGITS, "--epochs", "6", "--quiet", "-o"]
    for old in pathlib.Path(".").glob("killed.*"):
        old.unlink()
    draw, kills = random.Random(5), 0
    began = time.monotonic()
    check(run(*command, "once.safetensors")[0] == 0, "a run in one piece")
    whole = time.monotonic() - began
    for _ in range(40):
        process = subprocess.Popen([PROGRAM, *command, "killed.safetensors", "--checkpoint", "killed.run", "--resume"])
        try:
            process.wait(timeout=whole * draw.uniform(0.1, 0.6))
            if kills > 2:
                break
            kills = 0  # it was too fast: once more from the beginning
            for old in pathlib.Path(".").glob("killed.*"):
                old.unlink()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    if process.returncode != 0 or not pathlib.Path("killed.safetensors").exists():
        check(run(*command, "killed.safetensors", "--checkpoint", "killed.run", "--resume")[0] == 0, "the last of the runs")
    print(f"killed {kills} times")
    same = pathlib.Path("once.safetensors").read_bytes() == pathlib.Path("killed.safetensors").read_bytes()
    check(same, f"after {kills} kills the weights are others")


def check_help():
    """The commands of --help work as they are shown."""
    shutil.copy(DIGITS, "digits.csv")
    shown = re.findall(r"^  ag-train (.*)$", run("--help")[1], flags=re.M)
    check(len(shown) == 3, shown)
    for command in shown:
        status, _, err = run(*shlex.split(command))
        check(status == 0, command, err)
    check(len(column(pathlib.Path("predictions.csv").read_text())) == 1797, "the predictions of --help")
    status, out, err = run("train", "28x28 conv 3x3 16 relu pool 2 conv 3x3 32 relu pool 2 flatten 10", "digits.csv", *GOOD)
    check(status == 1 and "64 inputs, and the model 784" in err, err)


def check_page_text():
    """Words from outside are text in the page."""
    name = "<b>&amp; 'x\".csv"
    with open(name, "w", encoding="utf-8") as out:
        out.write("x,y,kind\n" + "".join(f"{i},{-i},{('<i>&', 'b c')[i % 2]}\n" for i in range(40)))
    trained("2-2", name, "-o", "a.safetensors", "--epochs", 2, "--html", "a.html")
    text = pathlib.Path("a.html").read_text(encoding="utf-8")
    page = Page(text)
    check(not page.open and not {"b", "i"} & {tag for tag, _ in page.tags} and "&lt;i&gt;&amp;" in text, "tags of the data")


def check_stopping():
    rings_csv("rings.csv", wrong=0.2)
    out = trained("2-32 relu-32 relu-2", "rings.csv", "-o", "a.safetensors", "--rate", 0.05, "--epochs", 200, "--patience", 4)
    losses = [float(x) for x in re.findall(r"validation loss (\S+)", out)]
    check("ended: validation has not improved for 4 epochs" in out and len(losses) < 200, len(losses))
    check(losses.index(min(losses)) == len(losses) - 5, losses)
    check(abs(reading(out, "loss") - min(losses)) < 1e-5, "the best weights are kept")


def check_steadiness():
    """The same command, the same bytes; another seed, others. Any number of threads."""
    rings_csv("rings.csv")
    files = []
    for more in (["--threads", 1], ["--threads", 2], ["--seed", 2]):
        trained("2-16 dropout 0.1 relu-2", "rings.csv", "-o", "a.safetensors", "--epochs", 3, *more)
        files.append(pathlib.Path("a.safetensors").read_bytes())
    check(files[0] == files[1], "threads change the bits")
    check(files[0] != files[2], "the seed changes nothing")


def check_watching():
    rings_csv("rings.csv")
    status, out, err = run("train", "2-2", "rings.csv", "-o", "a.safetensors", "--quiet", "--epochs", 2)
    check((status, out, err) == (0, "", ""), "--quiet", out, err)
    status, out, err = run("train", "2-2", "rings.csv", "-o", "a.safetensors", "--epochs", 2, "--log", "a.csv")
    check(re.search(r"^100%  24/24  .*loss ", err, flags=re.M), err)
    rows = list(csv.DictReader(open("a.csv", encoding="utf-8")))
    check(len(rows) == 2 and float(rows[1]["gradient layer.0.weight"]) > 0, rows)


# ---- Commands and files with faults

GOOD = ["-o", "x.safetensors"]
WRONG_COMMANDS = [
    ([], "a command is missing"),
    (["fly"], "there is no command fly"),
    (["train"], "a model, such as"),
    (["train", "2-2"], "the data's file is missing"),
    (["train", "2-2", "rings.csv"], "-o FILE is missing"),
    (["evaluate"], "a model's file is missing"),
    (["evaluate", "a", "b", "-o", "c"], "it has no -o"),
    (["predict", "a", "b", "c"], "c is one argument too many"),
    (["evaluate", "a", "b", "--epochs", "3"], "--epochs is an option of train alone"),
    (["train", "2-2", "rings.csv", "--fast", *GOOD], "there is no option --fast"),
    (["train", "2-2", "rings.csv", "-o"], "-o needs a value"),
    (["train", "2-2", "rings.csv", "--epochs", "0", *GOOD], "a whole number from 1 to 1000000 is wanted"),
    (["train", "2-2", "rings.csv", "--epochs", "3x", *GOOD], "a whole number"),
    (["train", "2-2", "rings.csv", "--epochs", "99999999999999999999", *GOOD], "a whole number"),
    (["train", "2-2", "rings.csv", "--rate", "fast", *GOOD], "--rate fast: a number"),
    (["train", "2-2", "rings.csv", "--rate", "nan", *GOOD], "a number from 0"),
    (["train", "2-2", "rings.csv", "--validation", "1", *GOOD], "a number from 0 to 0.99"),
    (["train", "2-2", "rings.csv", "--optimiser", "lion", *GOOD], "one of these is wanted: adam sgd rmsprop"),
    (["train", "2-2", "rings.csv", "--separator", "12", *GOOD], "one character is wanted"),
    (["train", "2-2", "rings.csv", "--resume", *GOOD], "--resume needs --checkpoint"),
    (["train", "2-2", "rings.csv", "--patience", "3", "--validation", "0", *GOOD], "--patience needs validation"),
]

WRONG_MODELS = [  # the model, the column, and what is said
    ("", 1, "the number of inputs is wanted"),
    ("relu", 1, "the number of inputs is wanted"),
    ("0-2", 1, "the number of inputs is wanted"),
    ("2x-2", 1, "the number of inputs is wanted"),
    ("2x2x2x2 2", 1, "the number of inputs is wanted"),
    ("2", 2, "a number of outputs is wanted"),
    ("2 relu", 7, "a number of outputs is wanted"),
    ("2-16 bx-2", 6, "a size is wanted, or bn, ln"),
    ("2-16 re\x1blu-2", 6, "a size is wanted"),
    ("2-1.5", 3, "a size is wanted"),
    ("2-99999999", 3, "a size is wanted"),
    ("2-dropout", 10, "like 0.2"),
    ("2 dropout 1 2", 11, "like 0.2"),
    ("2 dropout 0.5e 2", 11, "like 0.2"),
    ("2 conv 3x3 4 2", 3, "conv takes an image"),
    ("4x4 conv 2 4 flatten 2", 10, "odd size"),
    ("4x4 conv 3x5 4 flatten 2", 10, "like 3x3"),
    ("4x4 conv 3", 11, "conv's channels"),
    ("4x4 pool 5 flatten 2", 10, "larger than the image"),
    ("4x4 2", 5, "flatten is wanted"),
    ("4x4 conv 3x3 4", 15, "ends with an image"),
    ("2 lstm 4 2", 3, "lstm takes a sequence"),
    ("4x4 lstm", 9, "lstm's features"),
    ("1000000x1000000 2", 1, "too large"),
    ("1000000-1000000-2", 9, "more than 2^28 weights"),
    ("4x4 conv 99 1000000 flatten 2", 13, "more than 2^28 weights"),
    ("10000x1000 conv 1 1000 flatten 2", 19, "too large here"),
    ("ü2-2", 1, "the number of inputs"),
]


def check_wrong_commands():
    rings_csv("rings.csv")
    for arguments, said in WRONG_COMMANDS:
        status, out, err = run(*arguments)
        check(status == 2 and said in err and err.startswith("ag-train: ") and not out, arguments, status, out, err)
    for model, place, said in WRONG_MODELS:
        status, out, err = run("train", model, "rings.csv", *GOOD)
        check(status == 2 and f"the model, column {place}: " in err and said in err and "\x1b" not in err, repr(model), status, err)
        check(err.splitlines()[-1].index("^") <= place + 1, repr(model), err)
    check(not pathlib.Path("x.safetensors").exists(), "a wrong command writes nothing")
    status, out, err = run("--help")
    check(status == 0 and "usage: ag-train train MODEL DATA" in out and not err, "--help")


FAULTS = [  # the table, options, and what is said
    ("", [], "has no rows"),
    ("\n\n", [], "has no rows"),
    ("x,y,kind\n", [], "has no rows"),
    ("x,y,kind\n1,2\n", [], "line 2: 2 cells, where the first line has 3"),
    ("x,y,kind\n1,2,in,4\n", [], "line 2: 4 cells"),
    ("x,y,kind\n1,2,in\n\n1,zwei,out\n", [], 'line 4, column 2 (y): "zwei" is no number'),
    ("x,y,kind\n1,2,in\n1,,out\n", [], "line 3, column 2 (y): nothing is no number"),
    ("x,y,kind\n1,2,in\n1,nan,out\n", [], '"nan" is no number'),
    ("x,y,kind\n1,2,in\n1,1e99,out\n", [], '"1e99" is no number that f32 can hold'),
    ("x,y,kind\n1,\"2,in\n1,1,out\n", [], "column 2: text in quotes that does not end"),
    ("x,y,kind\n1,\"2\"3,in\n1,1,out\n", [], "line 2, column 2: text behind the closing quote"),
    ("x,x,kind\n1,2,in\n1,1,out\n", [], "columns 1 and 2 have one name"),
    ("x,y,kind\n1,2,in\n1,2,in\n", [], "the target has 1 classes, and the model 2 outputs"),
    ("x,y,kind\n1,2,in\n1,2,\n", [], "a class without a name"),
    ("x,y,kind\n1,2,in\n1,2,out\n", ["--target", "sort"], "there is no column sort for --target"),
    ("x,y,kind\n1,2,in\n1,2,out\n", ["--target", "kind,kind"], "column kind is listed twice"),
    ("x,y,kind\n1,2,in\n1,2,out\n", ["--inputs", "kind"], "input and target at once"),
    ("x,y,kind\n1,2,in\n1,2,out\n", ["--ignore", "x,y"], "no column is left"),
    ("x,y,kind\n1,2,in\n1,2,out\n", ["--ignore", "x"], "has 1 inputs, and the model 2"),
    ("x,y,kind\n1,2,in\n1,2,out\n", ["--loss", "mse"], "the model has 2 outputs, and there are 1 targets"),
    ("x,y,kind\n1,2,in\n1,2,out\n", ["--loss", "binary"], "needs a model with one output"),
    ("x,y,kind\n1,2,in\n1,2\0,out\n", [], "line 3: a NUL byte"),
]


def check_wrong_data():
    for text, options, said in FAULTS:
        pathlib.Path("wrong.csv").write_text(text, encoding="utf-8")
        status, out, err = run("train", "2-2", "wrong.csv", *GOOD, *options)
        check(status == 1 and said in err and not out, repr(text), options, status, err)
    status, _, err = run("train", "2-2", "/nowhere.csv", *GOOD)
    check(status == 1 and "/nowhere.csv: No such file" in err, err)
    status, _, err = run("train", "2-2", ".", *GOOD)
    check(status == 1, "a folder", err)
    rings_csv("rings.csv")
    status, _, err = run("train", "2-2", "rings.csv", "-o", "/nowhere/x.safetensors", "--epochs", 1)
    check(status == 1 and "/nowhere/x.safetensors" in err, err)
    status, _, err = run("train", "2-2", "rings.csv", *GOOD, "--rate", "1e6", "--optimiser", "sgd", "--loss", "hinge", "--decay", "1e6")
    check(status == 1 and "a smaller --rate" in err, err)
    status, _, err = run("predict", "x.safetensors", "rings.csv")
    check(status == 1 and "x.safetensors" in err, "no model was written", err)


def check_wrong_models():
    """A model's file whose bytes are changed is refused, or gives numbers; it never crashes."""
    rings_csv("rings.csv")
    trained("2-4 bn relu-2", "rings.csv", "-o", "good.safetensors", "--epochs", 1)
    good, draw = pathlib.Path("good.safetensors").read_bytes(), random.Random(6)
    status, _, err = run("evaluate", "rings.csv", "rings.csv")
    check(status == 1 and "rings.csv" in err, err)
    codes = lambda text: struct.pack(f"<{len(text)}q", *text.encode())
    for old, new, said in (("targets 1", "targets 2", "is damaged"), ("inputs 2", "inputs 9", "ag-train"), ("ag-train 1", "ag-train 9", "not written by"),
                           ("loss cross", "loss fross", "not written by"), ("class in\n", "glass in\n", "not written by"), ("bn", "bx", "a size is wanted"),
                           ("2-4 bn relu-2", "2-5 bn relu-2", "layer.0"), ("2-4 bn relu-2", "2-4 bn relu-3", "contradicts itself")):
        pathlib.Path("bad.safetensors").write_bytes(good.replace(codes(old), codes(new)))
        status, _, err = run("evaluate", "bad.safetensors", "rings.csv")
        check(codes(old) in good and status == 1 and said in err, old, new, status, err)
    for i in range(45):
        data = bytearray(good)
        if i % 3 == 0:
            data = data[: draw.randrange(len(data))]
        else:
            for _ in range(draw.randrange(1, 4)):
                data[draw.randrange(len(data) if i % 3 == 1 else 1200)] = draw.randrange(256)
        pathlib.Path("bad.safetensors").write_bytes(data)
        status, _, err = run("evaluate", "bad.safetensors", "rings.csv")
        check(status in (0, 1) and (status == 0) == (err == ""), i, status, err)


def check_noise():
    """Any line and any table end in a model, or in a complaint of one line and perhaps a caret."""
    words = ["2", "-", " ", "x", "relu", "bn", "conv 3x3 4", "pool 2", "flatten", "dropout", "0.5", "lstm 3", "4x4", "\t", "é", "999999", "ln"]
    signs = 'x,y,kind\n"1.5 -e;in,out\r\n\n'
    draw = random.Random(int(os.environ.get("AG_TRAIN_SEED", 7)))
    for i in range(int(os.environ.get("AG_TRAIN_NOISE", 30))):
        model = "".join(draw.choice(words) for _ in range(draw.randrange(12)))
        status, _, err = run("train", model, "noise.csv" if i % 2 else "rings.csv", "-o", "noise.safetensors", "--epochs", 1, "--quiet")
        check(status in (0, 1, 2) and (status == 0) == (err == ""), repr(model), status, err)
        text = "x,y,kind\n" * draw.randrange(2) + "".join(draw.choice(signs) for _ in range(draw.randrange(60)))
        pathlib.Path("noise.csv").write_text(text, encoding="utf-8", newline="")
        status, _, err = run("train", "2-2", "noise.csv", "-o", "noise.safetensors", "--epochs", 1, "--quiet")
        check(status in (0, 1) and (status == 0) == (err == ""), repr(text), status, err)


def main():
    checks = [check_digits, check_standardisation, check_reals, check_words, check_forms_of_tables, check_two_targets_without_header, check_two_classes, check_tensors, check_resuming, check_killed,
              check_help, check_page_text, check_stopping, check_steadiness, check_watching, check_wrong_commands, check_wrong_data, check_wrong_models, check_noise]
    wanted = sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for one in checks:
            if not wanted or one.__name__ in wanted:
                began = time.monotonic()
                one()
                print(f"{one.__name__}: {time.monotonic() - began:.1f} s")
        os.chdir("/")
    print(f"{len(failures)} failures")
    sys.exit(bool(failures))


main()
