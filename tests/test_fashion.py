"""The example fashion, on pictures made here: test_fashion.py FASHION SCRIPT, or test_fashion.py --data FASHION SCRIPT on the
first thousands of those of Debian's package, if it is there.

It learns, writes what it says, and is killed and interrupted: resumed, it ends with the same bits. NumPy, if there is a Python
that has it, makes the same predictions."""

import gzip
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

SIDE, CLASSES, SKIP = 28, 10, 77
PACKAGE = "/usr/share/datasets/fashion-mnist"
failures = 0


def check(holds, what, output=""):
    global failures
    if not holds:
        failures += 1
        print(f"not so: {what}\n{output}")


def picture(label, numbers):
    """A bright bar, whose place is the class, in noise."""
    rows = [[numbers.randrange(80) for _ in range(SIDE)] for _ in range(SIDE)]
    for i in range(2 + 2 * label, 6 + 2 * label):
        for k in range(4 + numbers.randrange(4), 20 + numbers.randrange(4)):
            rows[i][k] = 150 + numbers.randrange(100)
    return bytes(v for row in rows for v in row)


def write(folder, name, n, side=SIDE):
    numbers = random.Random(n)
    labels = [i * 7 % CLASSES for i in range(n)]
    images = struct.pack(">IIII", 0x803, n, side, side) + b"".join(picture(label, numbers)[: side * side] for label in labels)
    with gzip.open(folder / f"{name}-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(images)  # for NumPy: the program may have been built without zlib, and takes those that are not packed
    (folder / f"{name}-images-idx3-ubyte").write_bytes(images)
    (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, n) + bytes(labels))


def start(program, *arguments, threads="1"):
    environment = dict(os.environ, AG_THREADS=threads)
    return subprocess.Popen([program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def run(program, *arguments, threads="1"):
    process = start(program, *arguments, threads=threads)
    output = process.communicate()[0]
    return process.returncode, output


def accuracy(output):
    found = re.search(r"Test accuracy ([\d.]+) %", output)
    return float(found.group(1)) if found else 0


def with_numpy():
    for python in [sys.executable, "/usr/bin/python3"]:
        if subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode == 0:
            return python
    return None


def same_predictions(script, model, data, n):
    python = with_numpy()
    if not python:
        print("no Python here has NumPy: the script was not run")
        return
    found = subprocess.run([python, script, model, data], capture_output=True, text=True)
    check(f"{n} of {n} predictions are the same" in found.stdout, "NumPy predicts the same", found.stdout + found.stderr)


def start_and_end(program, options, out, how):
    """In the middle of an epoch: the third checkpoint is that of step 100, and an epoch has 43. On a machine with other work
    a run may have finished before the signal comes."""
    for _ in range(10):
        shutil.rmtree(out, ignore_errors=True)
        process = start(program, out, *options)
        while process.poll() is None and not list(out.glob("checkpoint.000003*")):
            time.sleep(0.001)
        process.send_signal(how)
        output = process.communicate()[0]
        if process.returncode != 0:
            break
    return process, output


def end_early(program, options, out, whole, how):
    """Then go on, and compare."""
    process, output = start_and_end(program, options, out, how)
    check(process.returncode not in (0, None), f"ended by {how.name}", output)
    check(not (out / "model.npz").exists(), "it had not finished")
    if how == signal.SIGINT:
        check("Interrupted after step" in output and process.returncode == 1, "Ctrl-C leaves a checkpoint", output)
    code, output = run(program, out, *options, "--resume", threads="2")
    check(code == 0, "it goes on", output)
    check((out / "model.npz").read_bytes() == whole, f"the same bits after {how.name}", output)
    lines = (out / "log.csv").read_text().splitlines()
    check([line.split(",")[1] for line in lines] == ["epoch", "1", "2", "3", "4", "5", "6"], "a record for each epoch", "\n".join(lines))


def on_pictures_made_here(program, script, folder):
    data, out = folder / "data", folder / "out"
    data.mkdir()
    write(data, "train", 720)
    write(data, "t10k", 200)
    options = ["--data", data, "--epochs", 6, "--batch", 16, "--quiet"]
    code, output = run(program, out, *options)
    check(code == 0 and accuracy(output) >= 90, "it learns", output)
    check(len(re.findall(r"^ +\d+ +[\d.]+ +[\d.]+ % +[\d.]+ s$", output, flags=re.M)) == 6, "a line for each epoch", output)
    check(re.search(r"^  T-shirt( +\d+){10} +[\d.]+ % +[\d.]+ %$", output, flags=re.M), "a row for each class", output)
    check((out / "curves.svg").read_text().startswith("<svg"), "a picture of the curves")
    image = next((out / name for name in ["wrong.png", "wrong.pgm"] if (out / name).exists()), None)
    check(image and image.read_bytes()[:4] in (b"\x89PNG", b"P5\n6"), "a picture of mistakes", str(image))
    check(len(list(out.glob("checkpoint.*"))) == 2, "two checkpoints are kept")
    same_predictions(script, out / "model.npz", data, 200)
    whole = (out / "model.npz").read_bytes()
    for how in [signal.SIGKILL, signal.SIGINT]:
        end_early(program, options, folder / how.name, whole, how)
    code, output = run(program, out, *options, "--resume")  # of one that has finished
    check(code == 0 and (out / "model.npz").read_bytes() == whole, "resumed at the end, it only tests", output)


def on_mistakes(program, folder):
    small = folder / "small"
    small.mkdir()
    for name in ["train", "t10k"]:
        write(small, name, 10, side=20)
    for arguments, code, text in [
        ([folder / "x", folder / "y"], 2, "usage:"),
        ([folder / "x", "--epochs", "0"], 2, "--epochs 0 is not understood"),
        ([folder / "x", "--epochs", "two"], 2, "usage:"),
        ([folder / "x", "--nothing"], 2, "--nothing  is not understood"),
        ([folder / "none" / "x"], 1, "No such file or directory"),
        ([folder / "x", "--data", folder], 1, "train-images-idx3-ubyte.gz"),
        ([folder / "x", "--data", small], 1, "not of 28 x 28 pixels"),
        ([folder / "x", "--data", folder / "data", "--batch", "1000"], 1, "loader_open"),
    ]:
        found, output = run(program, *arguments)
        check(found == code and text in output, f"{arguments}: {code}, '{text}'", f"{found}: {output}")


def main():
    program, script = sys.argv[-2:]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if "--data" not in sys.argv:
            on_pictures_made_here(program, script, folder)
            on_mistakes(program, folder)
        elif not pathlib.Path(PACKAGE).exists():
            print("there are no pictures: install dataset-fashion-mnist")
            sys.exit(SKIP)
        else:
            code, output = run(program, folder / "out", "--samples", 6000, "--epochs", 1, "--quiet", threads="2")
            if code and "built without zlib" in output:
                print("the pictures are packed, and the library was built without zlib")
                sys.exit(SKIP)
            check(code == 0 and accuracy(output) >= 75, "it learns", output)
            same_predictions(script, folder / "out" / "model.npz", PACKAGE, 10000)
    sys.exit(failures > 0)


main()
