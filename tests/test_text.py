"""The example text, on the poem within it: test_text.py TEXT

It learns, and writes the same with any number of threads and evaluator; ended in the middle and begun again, too. Wrong options
and files are refused."""

import gzip
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

SMALL = "--builtin --context 24 --features 48 --heads 2 --layers 1 --batch 8 --length 120 --quiet".split()
failures = 0


def check(holds, what, output=""):
    global failures
    if not holds:
        failures += 1
        print(f"not so: {what}\n{output}")


def start(program, *arguments, **environment):
    return subprocess.Popen([program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, **environment))


def run(program, *arguments, **environment):
    process = start(program, *arguments, **environment)
    output, errors = process.communicate()
    return process.returncode, output, errors.decode()


def without_times(output):
    return re.sub(rb" +[0-9.]+ s\n", b"\n", output)


def last_bits(output):
    return float(re.findall(rb"^ +\d+ +([0-9.]+) ", output, flags=re.M)[-1])


def written(output):
    return re.sub(rb"^( +\d+ +[0-9.]+ +\S+ +[0-9.]+ s\n)*", b"", output.split(b"   training\n", 1)[-1])


def learning(program):
    """150 steps: chance is 5.5 bits a byte, the frequencies of letters alone 4.5."""
    code, first, errors = run(program, *SMALL, "--steps", 150, AG_THREADS="1", AG_EVAL="automatic")
    check(code == 0 and errors == "", "it ends well", errors)
    check(last_bits(first) < 3.6, "it has learnt in 150 steps", first.decode(errors="replace"))
    check(len(written(first)) == 122, "it writes 120 bytes", first.decode(errors="replace"))
    check(re.search(rb"\nall +33885\n", first) and re.search(rb"\ntext.positions  positions  \(1,24,48\) +1152\n", first), "it shows its layers", first.decode())
    for environment in {"AG_THREADS": "2"}, {"AG_EVAL": "fused"}, {"AG_EVAL": "reference"}:
        again = run(program, *SMALL, "--steps", 150, **environment)[1]
        check(without_times(again) == without_times(first), f"the same with {environment}", again.decode(errors="replace"))
    other = run(program, *SMALL, "--steps", 150, "--seed", 2)[1]
    check(written(other) != written(first), "another seed writes something else")


def drawing(program, folder):
    """Of one model, at several temperatures."""
    state = ["--state", folder / "drawing", "--steps", 120]
    texts = [written(run(program, *SMALL, *state, "--temperature", t, "--prompt", "He took")[1]) for t in (0, 0, 0.8, 0.8, 50)]
    check(texts[0] == texts[1] and texts[2] == texts[3], "the same model and seed write the same")
    check(len({*texts}) == 3 and all(t.startswith(b"\nHe took") for t in texts), "temperatures differ", texts)
    check(len(set(texts[4])) > len(set(texts[0])), "a high temperature writes more different bytes", texts)


def interrupted(program, folder):
    whole = run(program, *SMALL, "--steps", 400)[1]
    state = [*SMALL, "--steps", 400, "--state", folder / "run"]
    process = start(program, *state)
    for line in process.stdout:
        if line.startswith(b"     100 "):
            break
    process.send_signal(signal.SIGINT)
    process.communicate()
    check(process.returncode == 0, "Ctrl-C ends training well", process.returncode)
    numbers = sorted(file.name for file in folder.glob("run.*.safetensors"))
    check(1 <= len(numbers) <= 2, "it leaves a checkpoint", numbers)
    code, resumed, errors = run(program, *state)
    check(code == 0 and written(resumed) == written(whole), "what is resumed writes the same", errors + resumed.decode(errors="replace"))
    code, _, errors = run(program, *SMALL, "--steps", 400, "--state", folder / "run", "--layers", 2)
    check(code == 1 and "text.see.1" in errors, "another model's state is refused", errors)


def refusing(program, folder):
    text = folder / "short.txt"
    text.write_bytes(b"abc")
    for arguments, code, message in (
        (["--heads", 3], 2, "the features are not a multiple of the heads"),
        (["--steps", 0], 2, "--steps 0 is not understood"),
        (["--steps"], 2, "--steps  is not understood"),
        (["--temperature", -1], 2, "--temperature -1 is not understood"),
        (["--temperature", "nan"], 2, "--temperature nan is not understood"),
        (["one", "two"], 2, "two  is not understood"),
        ([text], 1, "3 bytes are too few for a context of 64"),
        ([folder / "none"], 1, "none cannot be opened"),
        ([folder], 1, "cannot be"),
        (["--builtin", "--prompt", "#"], 1, "the prompt has the byte 0x23, which is not in the text"),
    ):
        got, output, errors = run(program, *arguments)
        check(got == code and message in errors and not output, f"{arguments} is refused", (got, errors))
    packed = folder / "packed.gz"
    packed.write_bytes(gzip.compress(bytes(range(97, 123)) * 40))
    code, output, errors = run(program, packed, *SMALL[1:], "--steps", 2)
    check(code == 0 and b"1040 bytes, 26 different ones" in output or b"26 different" not in output, "a packed file is read", errors)
    packed.write_bytes(packed.read_bytes()[:-12])
    code, output, errors = run(program, packed, *SMALL[1:], "--steps", 2)
    check(code == 1 and "cannot be read" in errors or b"26 different" not in output, "a damaged one is not", errors)


def main():
    program = sys.argv[1]
    learning(program)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        drawing(program, folder)
        interrupted(program, folder)
        refusing(program, folder)
    return failures > 0


sys.exit(main())
