"""ag-explain on the command line: its output, the errors and their carets, and the page that it writes.

    test_cli.py PROGRAM

Values are compared with Python's own arithmetic. The page is parsed; test_page.py
loads it."""

import html.parser
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
failures = []


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=120)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(holds, *what):
    if not holds:
        failures.append(what)
        print("FAILED:", *what)


# ---- Values and gradients


def numbers(text):
    return [float(x) for x in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|-?nan|-?inf", text)]


def results(*arguments):
    status, out, err = run(*arguments)
    check(status == 0, arguments, status, err)
    value = re.search(r"== value\n\([\d,]*\) (.*)", out)
    gradients = dict(re.findall(r"^by (\w+) \([\d,]*\) = (.*)", out, flags=re.M))
    return numbers(value.group(1)) if value else [], {name: numbers(text) for name, text in gradients.items()}, out


def near(found, expected):
    return len(found) == len(expected) and all(abs(a - b) <= 2e-5 * max(abs(b), 1e-3) for a, b in zip(found, expected))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def sigmoid_gradient(x):
    return sigmoid(x) * (1 - sigmoid(x))


VALUES = [  # expression, inputs, value, gradients
    ("x*x", ["x:3"], [9], {"x": [6]}),
    ("-x**2", ["x:3"], [-9], {"x": [-6]}),
    ("2**x", ["x:3"], [8], {"x": [8 * math.log(2)]}),
    ("2**3**x", ["x:1"], [8], {"x": [8 * math.log(2) * 3 * math.log(3)]}),
    ("x**-1", ["x:4"], [0.25], {"x": [-1 / 16]}),
    ("1 - x - 2", ["x:5"], [-6], {"x": [-1]}),
    ("8/x/2", ["x:2"], [2], {"x": [-1]}),
    ("(x + 1)*(x - 1)", ["x:[2,3]"], [3, 8], {"x": [4, 6]}),
    ("sigmoid(x)", ["x:[-1,2]"], [sigmoid(-1), sigmoid(2)], {"x": [sigmoid_gradient(-1), sigmoid_gradient(2)]}),
    ("mean(tanh(x))", ["x:[0.5,1]"], [(math.tanh(0.5) + math.tanh(1)) / 2],
     {"x": [(1 - math.tanh(0.5) ** 2) / 2, (1 - math.tanh(1) ** 2) / 2]}),
    ("sum(a @ b)", ["a:[[1,2],[3,4]]", "b:[[5],[6]]"], [56], {"a": [5, 6, 5, 6], "b": [4, 6]}),
    ("sum(a.T @ a)", ["a:[[1,2]]"], [9], {"a": [6, 6]}),
    ("sum(where(x > 0, x, 0.1*x))", ["x:[-1,2]"], [1.9], {"x": [0.1, 1]}),
    ("sum(max(x, axis=1))", ["x:[[1,2],[4,3]]"], [6], {"x": [0, 1, 1, 0]}),
    ("sum(x, axis=(0,1))", ["x:[[1,2],[4,3]]"], [10], {"x": [1, 1, 1, 1]}),
    ("var(x)", ["x:[1,2,6]"], [14 / 3], {"x": [-4 / 3, -2 / 3, 2]}),
    ("sum(concat(x, 2*x, axis=0))", ["x:[1,2]"], [9], {"x": [3, 3]}),
    ("sum(slice(x, 0, start=1)**2)", ["x:[1,2,3]"], [13], {"x": [0, 4, 6]}),
    ("sum(gather(x, int([2, 2]))*[1, 10])", ["x:[1,2,3]"], [33], {"x": [0, 0, 11]}),
    ("z = x*2; z**2", ["x:3"], [36], {"x": [24], "z": [12]}),
    ("k = 3; k*x", ["x:2"], [6], {"x": [3]}),
    ("sum(x*[1/2, -1, +2e0])", ["x:[1,1,1]"], [1.5], {"x": [0.5, -1, 2]}),
    ("sum(float(x > 1)*x)", ["x:[1,2]"], [2], {"x": [0, 1]}),
    ("sum(clamp(x, -1, 1))", ["x:[-2,0.5]"], [-0.5], {"x": [0, 1]}),
    ("α*exp(α)", ["α:1"], [math.e], {"α": [2 * math.e]}),
    ("cross_entropy(s, int([1]))", ["s:[[0,0]]"], [math.log(2)], {"s": [0.5, -0.5]}),
    ("hinge(s, int([1, 0]))", ["s:[[0,0],[9,1]]"], [0.5], {"s": [0.5, -0.5, 0, 0]}),
    ("binary_cross_entropy(z, [1, 0])", ["z:[0,2]"], [(math.log(2) + math.log(1 + math.exp(2))) / 2], {"z": [-0.25, sigmoid(2) / 2]}),
    ("mse(x, [1, 2])", ["x:[2,4]"], [2.5], {"x": [1, 2]}),
    ("logsumexp(x)", ["x:[0,0]"], [math.log(2)], {"x": [0.5, 0.5]}),
    ("sum(leaky_relu(x, 0.1)) + sum(silu(x)*0)", ["x:[-2,3]"], [2.8], {"x": [0.1, 1]}),
    ("sum_where(x, x > 1) + quantile(x, 0.5)", ["x:[1,2,6]"], [10], {"x": [0, 2, 1]}),
    ("max_where(x, x > 1, axis=0, initial=3)", ["x:[1,2,6]"], [6], {"x": [0, 0, 1]}),
    ("sum(hstack(x, 2*x))", ["x:[1,2]"], [9], {"x": [3, 3]}),
    ("det(a)", ["a:[[4,2],[2,3]]"], [8], {"a": [3, -2, -2, 4]}),
    ("sum(solve(a, [8, 8]))", ["a:[[4,2],[2,3]]"], [3], {"a": [-0.125, -0.25, -0.25, -0.5]}),
    ("sum(diagonal(a, 1)) + matrix_trace(a)", ["a:[[4,2],[2,3]]"], [9], {"a": [1, 1, 0, 1]}),
    ("sum(masked_fill(x, x > 1, 5))", ["x:[0,2]"], [5], {"x": [1, 0]}),
    ("sum(reshape(x, (2, -1)), axis=0)*[1,2]", ["x:[1,2,3,4]"], [4, 12], {"x": [1, 2, 1, 2]}),
]


def check_values():
    for expression, inputs, value, gradients in VALUES:
        found, found_gradients, out = results(expression, *inputs)
        check(near(found, value), expression, "is", found, "not", value)
        for name, expected in gradients.items():
            check(near(found_gradients.get(name, []), expected), expression, "by", name, found_gradients.get(name), "not", expected)
        check("\npassed: " in out, expression, "has no verdict")


def check_reports():
    out = run("mean(x)", "x=[2,3]")[1]
    check(run("mean(x)", "x=[2,3]", "--seed", "1")[1] == out, "the seed is 1")
    check(run("mean(x)", "x=[2,3]", "--seed", "2")[1] != out, "another seed")
    check("used 2 times" in run("x*x", "x:3")[1], "x*x uses x twice")
    out = run("sum(x)", "x=[3]")[1]
    check("by x (3) =" in out and "x (3) is used" in out and "(3,)" not in out, "shapes are written in one way", out)
    out = run("x**3", "x:2", "--order", "2", "--trace")[1]
    check("the Hessian by x (1,1) = [[12]]" in out and "order 2" in out, "--order 2", out)
    check("The backward pass from" in out, "--trace", out)
    check(run("1 + 2", "--trace")[0] == 0, "nothing to trace")
    check("[column:9]" in run("1 + 2 + exp(x)", "x:0")[1], "places are columns")
    out = run("--builtin", "batchnorm", "--depth", "1", "--of", "M")[1]
    check("zero to rounding" in out and "by Z " not in out, "batchnorm by M", out)
    check("agrees" in out or "The gradient is the same" in out, "batchnorm by M", out)
    status, out, _ = run("--list")
    names = re.findall(r"^(\w+)$", out, flags=re.M)
    check(status == 0 and "batchnorm" in names and len(names) >= 7, "--list", out)
    for name in names:
        status, out, err = run("--builtin", name)
        check(status == 0 and "\npassed: " in out, name, status, err)
    check(run("--help")[0] == 0 and "usage: ag-explain" in run("--help")[1], "--help")


def check_outside():
    """Where NaN and infinity begin, if that is outside an operation's domain."""
    for words, said in ((("log(x)*2", "x:[0.5,-0.5]"), "log [column:1]: input 0 is -0.5; a number above 0 is wanted"),
                        (("h = x*2; x/h", "x:[1,0]"), "div [column:11]: input 1 is 0; a number other than 0 is wanted"),
                        (("log1p(exp(x)) + log1p(x)", "x:-2"), "log1p [column:17]: input 0 is -2; a number above -1 is wanted"),
                        (("x**2 + sqrt(x*x)", "x:-1"), None), (("log(x) - log(x)", "x:inf"), None)):
        out = run(*words)[1]
        check(said in out if said else "is wanted" not in out, words, out)


# What an expression can write: tensors, one or several, and numbers, axes, shapes; its tape and dtype are understood.
WRITTEN = re.compile(r"(ag_tensor \*\w+|(ag_tensor \*const|int64_t|int|double|bool|ag_axes|ag_shape|ag_dtype|ag_tape \*) ?\w+(\[\])?)$")
EXPLAIN = pathlib.Path(__file__).resolve().parent.parent / "examples/explain/explain.h"
MOST = int(re.search(r"MAX_SLOTS = (\d+)", EXPLAIN.read_text(encoding="utf-8")).group(1))  # parameters of a function


def expressible(name, headers):
    """Whether an expression can write the arguments: no text, no options of a type of their own, no place for a second result."""
    parameters = re.search(rf"^AG_API [^;]*?\bag_{name}\(([^;]*)\);", headers, flags=re.M | re.S).group(1)
    each = [" ".join(one.split()) for one in parameters.split(",")]
    return len(each) <= MOST + len({"ag_tape *tape", "ag_dtype dtype"} & set(each)) and all(map(WRITTEN.match, each))


def check_functions():
    """Every operation in the headers can be called, except those that operators or options stand for, or that draw numbers."""
    root = pathlib.Path(__file__).resolve().parent.parent
    paths = [path for path in sorted((root / "ops").glob("*.h")) if path.name != "random.h"]
    headers = "".join(path.read_text(encoding="utf-8") for path in paths)
    shaped = re.findall(r"/\* ag_(\w+) -- (?:(?!\*/).)*?\n \* Grad:", headers, flags=re.S)
    check("exp" in shaped, "ops/*.h declare no operations", shaped)
    listed = {line.split()[0] for line in run("--functions")[1].splitlines() if line.strip()}
    for name in shaped:
        if not name.endswith("_over") and name != "cast" and expressible(name, headers):
            check(name in listed, "ag_" + name, "cannot be called")
    out = run("maximum_scalar(x, 2) + rdiv_scalar(3, x)", "x:4", "--of", "x")[1]
    check("() 4.75\n" in out and "\npassed: " in out, "operations of a number", out)
    for name in re.findall(r"ag_tensor \*ag_(\w+)\(ag_tensor \*\w+, ag_tensor \*\w+\);", (root / "nn/losses.h").read_text(encoding="utf-8")):
        check(name in listed or name == "accuracy", "ag_" + name, "cannot be called")


# ---- The JSON, and the page that lists its members

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "explain.md"


def tables():
    """For each table in the page: a member's name, and the names in its description."""
    result = []
    for table in re.findall(r"\| member \| \|\n\|---\|---\|\n((?:\|.*\|\n)+)", PAGE.read_text(encoding="utf-8")):
        rows = [row.strip("|").split(" | ", 1) for row in table.splitlines()]
        names = [(re.findall(r"`(\w+)`", first), set(re.findall(r"`(\w+)`", second))) for first, second in rows]
        result.append({name: said for firsts, said in names for name in firsts})
    return result


def check_members(of, found, expected, optional=()):
    found, expected = set(found), set(expected)
    check(found <= expected, of, "members that the page does not list:", sorted(found - expected))
    check(expected - found <= set(optional), of, "members that do not occur:", sorted(expected - found))
    return found


def check_json():
    node, explain, use, trace, step = tables()
    seen = set()

    def uses(found):
        for one in found:
            seen.update(check_members("use", one, use, ["uses"]))
            for through in one["through"]:
                check_members("through", through, set(node) - {"name"} | use["through"])
            check(one["zero"] in (False, "exact", "rounding"), "zero is", one["zero"])
            uses(one.get("uses", []))

    def where(found):
        for part in found["where"]:
            check_members("where", part, node.keys() | explain["where"])

    check(json.loads(run("1 + 2", "--json", "--trace")[1]) == {"explain": [], "trace": None, "passed": True}, "no inputs")
    for arguments in [("--builtin", "batchnorm", "--depth", "2"), ("x = w*w; sum(x*1e308*1e308)", "w:[1,2]"),
                      ("y = exp(x)*x; y", "x=[3]", "--of", "y"), ("--builtin", "network", "--depth", "1")]:
        status, out, err = run(*arguments, "--trace", "--json")
        data = json.loads(out, parse_constant=lambda text: check(False, "JSON has", text))
        check(list(data) == ["explain", "trace", "passed"], "members of the whole", list(data))
        for found in data["explain"]:
            itself = found["x"]["id"] == found["y"]["id"]
            optional = ["sum", "gradient", "difference", "allowed", "agrees"] if itself else []
            seen.update(check_members("explain", found, explain, optional))
            check(not itself or not set(optional) & set(found), "y by itself has a sum")
            for name in ("y", "x"):
                check_members("node", found[name], node)
            for name in ("sum", "gradient"):
                check_members(name, found.get(name, explain[name]), explain[name])
            uses(found["uses"])
            where(found)
        found = data["trace"]
        check_members("trace", found, trace)
        check_members("node", found["y"], node)
        where(found)
        for one in found["steps"]:
            check_members("step", one, node.keys() | step.keys())
            check_members("cotangent", one["cotangent"], step["cotangent"])
            for hand in one["hands"]:
                check_members("hands", hand, step["hands"])
        for one in found["gradients"]:
            check_members("gradients", one, node.keys() | trace["gradients"])
    check(use.keys() | explain.keys() == seen, "never seen", (use.keys() | explain.keys()) - seen)


# ---- Malformed expressions: the position of the caret, and a piece of the message

DEEP = "(" * 100 + "x" + ")" * 100
BAD = [  # arguments, the one that is shown, the position of the caret in it, words
    (["x +"], 0, 3, "ends"),
    ([""], 0, 0, "ends"),
    (["x y", "x:1"], 0, 2, "operator"),
    (["(x", "x:1"], 0, 2, "ends"),
    (["x)", "x:1"], 0, 1, "not )"),
    (["x + * 2", "x:1"], 0, 4, "a value"),
    (["x // 2", "x:1"], 0, 3, "a value"),
    (["x $ 2", "x:1"], 0, 2, "$"),
    (["x € 2", "x:1"], 0, 2, "operator"),
    (["x < 1 < 2", "x:1"], 0, 6, "chained"),
    (["x.S", "x:1"], 0, 1, "only T can follow"),
    (["2x", "x:1"], 0, 1, "missing"),
    (["1e", "x:1"], 0, 1, "exponent"),
    (["1e999*x", "x:1"], 0, 0, "too large"),
    (["sigmod(x)", "x:1"], 0, 0, "did you mean sigmoid?"),
    (["α + sigmod(x)", "α:1", "x:1"], 0, 4, "sigmoid"),
    (["exp + x", "x:1"], 0, 0, "is a function"),
    (["exp()", "x:1"], 0, 0, "needs x"),
    (["exp(x, x)", "x:1"], 0, 7, "at most 1"),
    (["sum(x, axs=0)", "x=[2]"], 0, 7, "no parameter axs"),
    (["sum(x, axis=0, axis=1)", "x=[2]"], 0, 20, "twice"),
    (["sum(x, axis=0.5)", "x=[2]"], 0, 12, "whole"),
    (["sum(x, axis=0, True)", "x=[2]"], 0, 15, "follows"),
    (["sum(x, axis=3)", "x=[2]"], 0, 0, "axis"),
    (["x @ w", "x=[2,3]", "w=[2,3]"], 0, 2, "inner axes"),
    (["1 + (x + w)", "x=[2]", "w=[3]"], 0, 7, "add"),
    (["α*2 + hinge(x, int([0, 7]))", "x:[[1,2],[3,4]]", "α:1"], 0, 6, "out of range"),
    (["x + u", "x:1"], 0, 4, "u has no value"),
    (["x + " + 31 * "u" + "ĉu", "x:1"], 0, 4, 31 * "u" + "ĉu:[1,2]"),
    (["x = 2; x", "x:1"], 0, 0, "has a value already"),
    (["z = z + x", "x:1"], 0, 4, "no value"),
    (["x > 1", "x:1"], 0, 2, "bool"),
    ([DEEP, "x:1"], 0, 61, "nested"),
    (["-" * 5000 + "x", "x:1"], 0, 61, "nested"),
    (["sum(broadcast_to(x, [1000, 1000]))", "x:1"], 0, 4, "elements"),
    (["sum([[1,2],[3]]*x)", "x:1"], 0, 11, "1 elements"),
    (["sum([[1,2],3]*x)", "x:1"], 0, 11, "lists"),
    (["x^2", "x:1"], 0, 1, "x**2 is a power"),
    (["x", "x=2"], 1, 2, "shape"),
    (["x", "x=[[1,2]]"], 1, 3, "x:[[1,2],[3,4]]"),
    (["x", "x=[2,0]"], 1, 5, "extent"),
    (["x", "x=[100,100]"], 1, 7, "4096"),
    (["x", "x=[99999999999999999999]"], 1, 3, "4096"),
    (["x", "x:[1,2"], 1, 6, "ends"),
    (["x", "x:[[1],[2,3]]"], 1, 7, "2 elements"),
    (["x", "x:[]"], 1, 2, "empty"),
    (["x", "x:[y]"], 1, 3, "numbers"),
    (["x", "x"], 1, 1, "after the name"),
    (["x", "=2"], 1, 0, "NAME"),
    (["x", "x:1", "x:2"], 2, 0, "twice"),
    (["x", "x:1", "w:2"], 2, 0, "does not use w"),
    (["x", "x:1", "--depth", "99"], 3, 0, "between"),
    (["x", "x:1", "--seed", "-1"], 3, 0, "between"),
    (["x", "x:1", "--of", "q"], 3, 0, "no real value"),
    (["x", "x:1", "--html"], 2, 6, "needs a value"),
    (["--nonsense"], 0, 0, "no such option"),
    (["--builtin", "nothing"], 1, 0, "no such example"),
    (["x" * 64, "x:1"], 0, 0, "longer"),
]


def check_bad():
    for arguments, shown, place, words in BAD:
        status, out, err = run(*arguments)
        lines = err.splitlines()
        check(status == 2 and out == "" and len(lines) == 3, arguments[:3], status, err)
        if len(lines) != 3:
            continue
        check(words in lines[0], arguments[0][:40], "lacks", repr(words), err)
        at, text = lines[2].index("^") - 2, lines[1][2:]
        if text.startswith("…"):
            at += place - 60 - 1
        check(at == place, arguments[0][:40], "caret at", at, "not", place, err)
        check(text.strip("…")[:20] in arguments[shown], arguments[0][:40], "shows", text)
    for arguments in ([b"\xff\xfe"], [b"x", b"x:\xc0\x80"], [b"x\x1b[31m"], ["x\u202ey".encode()], [b"x" * 20000], []):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=60)
        check(done.returncode == 2 and done.stderr.startswith(b"ag-explain: ") and b"\x1b" not in done.stderr, arguments, done)


def check_cut():
    """Every prefix of a valid expression gives a result or a message, never a crash."""
    whole = "z = x.T @ (w**-2); p = softmax(z, axis=-1); -sum(p*[[1,0],[0,1]], axis=[0,1], keepdims=True)/2"
    for n in range(0, len(whole), 2):
        status = run(whole[:n], "x:[[1,2]]", "w:[[1,2]]")[0]
        check(status in (0, 2), "cut", whole[:n], status)


UNUSUAL = ["7**999", "-7**999", "(7**999 - 7**999)", "1.7e308", "-1.7e308", "5e-324", "-1e-310", "0"]


def check_unusual():
    """For any numbers it ends, and names an input that is not finite."""
    for name in ("abs", "exp", "log", "mean", "relu", "rsqrt", "sigmoid", "softmax", "sqrt", "square", "tanh", "var"):
        for value in UNUSUAL:
            status, out, err = run(f"sum({name}(x + w))", f"x:[1,{value},-2]", "w:3", "--order", "2")
            check(status in (0, 1) and "== check" in out, "unusual", name, value, status, err)
            check("7**999" not in value or 'cannot be checked: input 0 "x" at [1] is' in out, "unusual", name, value, out)


# ---- The page

VOID = {"meta", "link", "br", "hr", "img"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.count, self.text = [], [], {}, ""

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "action", "data") and value != "data:,":
                self.wrong.append((tag, name, value))
            if name.startswith("on"):
                self.wrong.append((tag, name, value))
            if re.search(r"https?:|//", value or "") and name != "xmlns":
                self.wrong.append((tag, name, value))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(("end of", tag))

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            if re.search(r"https?:|url\((?!#)|@import|innerHTML|eval", data):
                self.wrong.append((self.open[-1], "loads or writes something"))
        else:
            self.text += data


def page_of(folder, *arguments):
    path = os.path.join(folder, "page.html")
    status, out, err = run(*arguments, "--html", path)
    check(status == 0 and "Written: " in out, arguments, status, err)
    text = pathlib.Path(path).read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    check(not page.open and not page.wrong, arguments, "open", page.open, "wrong", page.wrong[:5])
    return text, page


def check_pages(folder):
    for name in ["sigmoid", "tanh", "relu", "affine", "softmax", "network", "batchnorm"]:
        text, page = page_of(folder, "--builtin", name)
        check(page.count.get("svg") == 1 and page.count.get("math", 0) >= 3, name, page.count)
        check(page.text.count("It is the gradient.") >= 1 and "It differs" not in page.text, name)
        check(re.search(r"∂\w*/∂\w", page.text), name, "shows no gradient nodes")
    check("zero to rounding" in page.text, "batchnorm's second path")
    check(re.search(r"NaN", page.text) is None, "batchnorm's page has NaN")
    text, page = page_of(folder, "sum(where(x < 1, x, 0*x)) + sum(where(x > 1, x, 0*x))", "x:[0,2]")
    check("<pre>sum(where(x &lt; 1, x, 0*x))" in text, "the expression is escaped")
    text, page = page_of(folder, "x" + " + 1"*400, "x:1")
    check("too many nodes" in page.text, "a long graph")
    status, _, err = run("x", "x:1", "--html", os.path.join(folder, "no", "page.html"))
    check(status == 1 and "cannot be written" in err, "a folder that is not there", status, err)


with tempfile.TemporaryDirectory() as temporary:
    check_values()
    check_reports()
    check_outside()
    check_functions()
    check_json()
    check_bad()
    check_cut()
    check_unusual()
    check_pages(temporary)
print(len(failures), "failures")
sys.exit(bool(failures))
