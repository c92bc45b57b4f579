"""The Grad: lines of elementwise functions against the recorded gradients: check_gradients.py LIBRARY HEADER...

LIBRARY is the shared library, which is called through ctypes. Each function of tensors and numbers is recorded on scalars, and
ag_formula writes its gradient. That text and the header's are read by one grammar, as expressions with cases ("ȳ where x > 0, 0
elsewhere"), and both must have the value that the library computes, at places among which are the corners of every case. So a sign, a
factor or a case that either lacks is found, and another order of factors is none. A remark behind an expression must be one of
REMARKS, and what cannot be compared is in NOT_COMPARED, with the reason: nothing else is left out."""

import ctypes
import itertools
import math
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import reference  # noqa: E402

NOT_COMPARED = {
    "ag_cast": "it is between dtypes",
    "ag_where": "its condition is a bool",
    "ag_gammainc": "its slope by a has no closed form; the slopes are compared with numbers from elsewhere",
    "ag_gammaincc": "the same",
    "ag_betainc": "the same, by a and b",
}

# Remarks that do not say what the gradient is; "with t = …" and "with the density φ(x) = …" define a name.
REMARKS = re.compile(
    r"(to a few units in the last place .*|infinite at .*|neither of which overflows|which does not overflow|"
    r"without the cancellation .*|whose own slope .*|each 0 elsewhere|with the density .*)$"
)
CONSTANTS = {"ag_selu": {"scale": 1.0507009873554805, "alpha": 1.6732632423543772}}
PLACES = [-3.5, -3, -1.5, -1, -0.625, 0, 0.25, 0.5, 0.75, 1.5, 2.25, 3, 4.5, math.nan]
SPECIAL = {"ag_asin": [-0.5, 0.25, 0.9], "ag_acos": [-0.5, 0.25, 0.9], "ag_atanh": [-0.5, 0.25, 0.9], "ag_erfinv": [-0.5, 0.25, 0.9]}

# ---- Functions that texts name

NORMAL = statistics.NormalDist()


def polygamma(n, x):
    """By terms and the Euler–Maclaurin formula, of x > 0."""
    if x <= 0:
        raise ValueError
    if n == 0:
        low, x = sum(1 / (x + k) for k in range(30)), x + 30
        return math.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - low
    low, x = sum((x + k) ** -(n + 1) for k in range(30)), x + 30
    tail = x**-n / n + x ** -(n + 1) / 2 + (n + 1) * x ** -(n + 2) / 12 - (n + 1) * (n + 2) * (n + 3) * x ** -(n + 4) / 720
    return (-1) ** (n + 1) * math.factorial(int(n)) * (low + tail)


FUNCTIONS = {
    "ln": math.log, "log": math.log, "sin": math.sin, "cos": math.cos, "tan": math.tan, "sinh": math.sinh, "cosh": math.cosh,
    "tanh": math.tanh, "trunc": math.trunc, "floor": math.floor, "ceil": math.ceil, "sign": lambda x: x and x / abs(x),
    "σ": lambda x: 1 / (1 + math.exp(-x)), "φ": NORMAL.pdf, "Φ": lambda x: math.erfc(-x / math.sqrt(2)) / 2,
    "erf": math.erf, "erfc": math.erfc, "erfcx": lambda x: math.exp(x * x) * math.erfc(x), "ndtri": NORMAL.inv_cdf,
    "erfinv": lambda x: NORMAL.inv_cdf((x + 1) / 2) / math.sqrt(2), "digamma": lambda x: polygamma(0, x), "polygamma": polygamma,
    "arcsin": math.asin, "arccos": math.acos, "arctan": math.atan, "arctan2": math.atan2, "arsinh": math.asinh, "arcosh": math.acosh,
    "artanh": math.atanh, "hypot": math.hypot, "cbrt": lambda x: math.copysign(abs(x) ** (1 / 3), x), "copysign": math.copysign,
    "where": lambda c, a, b: a if c else b, "max": max, "min": min, "clamp": lambda x, a, b: min(max(x, a), b),
    # Operations without a notation, as their files have them.
    "bend": lambda v, x, w: v if x > 0 else w * v,
    "sinc_slope": lambda x: (math.cos(math.pi * x) - math.sin(math.pi * x) / (math.pi * x)) / (math.pi * x) if x else 0,
    "isfinite": math.isfinite, "round": round, "logical_or": lambda a, b: a or b,
    "logical_and": lambda a, b: a and b, "logical_not": lambda a: not a,
}
NUMBERS = {"½": 0.5, "¼": 0.25, "π": math.pi, "e": math.e, "∞": math.inf}
POWERS = {"²": 2, "³": 3, "⁴": 4}
RELATIONS = {"<": "<", ">": ">", "=": "==", "<=": "<=", "≤": "<=", ">=": ">=", "≥": ">=", "!=": "!=", "≠": "!="}
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?|<=|>=|!=|[½¼∞²³⁴√|()+\-−·*/^<>=≤≥≠,π]|[^\W\d²³⁴]\u0304?(?:[^\W²³⁴]|[#\u0304])*)")


class Unreadable(Exception):
    pass


class Reader:
    """An expression as one of Python, of the names in `names` and what FUNCTIONS has: by recursive descent."""

    def __init__(self, text, names):
        self.names, self.tokens, at = names, [], 0
        text = text.strip()
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                raise Unreadable(text)
            self.tokens.append(match[1])
            at = match.end()
        self.tokens.append("")
        self.at, self.bars = 0, 0

    def peek(self):
        return self.tokens[self.at]

    def take(self, *wanted):
        if self.peek() not in wanted:
            return None
        self.at += 1
        return self.tokens[self.at - 1]

    def need(self, token):
        if not self.take(token):
            raise Unreadable(f"{token!r} is wanted before {self.peek()!r} in {' '.join(self.tokens)}")

    def whole(self):
        out = self.condition()
        if self.peek():
            raise Unreadable(f"{self.peek()!r} in {' '.join(self.tokens)}")
        return out

    def condition(self):
        out = self.relation()
        while word := self.take("and", "or"):
            out = f"({out} {word} {self.relation()})"
        return out

    def relation(self):
        out, related = self.sum(), False
        while sign := self.take(*RELATIONS):
            out, related = f"{out} {RELATIONS[sign]} {self.sum()}", True
        return f"({out})" if related else out

    def sum(self):
        out = self.product()
        while sign := self.take("+", "-", "−"):
            out = f"({out} {'+' if sign == '+' else '-'} {self.product()})"
        return out

    def product(self):
        out = self.signed()
        while sign := self.take("·", "*", "/"):
            out = f"({out} {'/' if sign == '/' else '*'} {self.signed()})"
        return out

    def signed(self):
        return f"(-{self.signed()})" if self.take("-", "−") else self.power()

    def power(self):
        out = self.atom()
        while self.peek() in POWERS:
            out = f"({out} ** {POWERS[self.take(*POWERS)]})"
        return f"power({out}, {self.signed()})" if self.take("^") else out

    def atom(self):
        token = self.peek()
        self.at += 1
        if token == "(":
            out = self.condition()
            self.need(")")
            return out
        if token == "|":
            out = self.sum()
            self.need("|")
            return f"abs({out})"
        if token == "√":
            return f"sqrt({self.power()})"
        if re.match(r"\d", token):
            return f"{token}"
        if token in NUMBERS and token not in self.names:
            follows = self.peek() in self.names and token == "π"
            return f"({NUMBERS[token]!r} * {self.atom()})" if follows else repr(NUMBERS[token]).replace("inf", "inf")
        if token in self.names:
            return f"v[{token!r}]"
        if token not in FUNCTIONS:
            raise Unreadable(f"{token!r} in {' '.join(self.tokens)}")
        if not self.take("("):
            return f"f[{token!r}]({self.power()})"
        out = [self.condition()]
        while self.take(","):
            out.append(self.condition())
        self.need(")")
        return f"f[{token!r}]({', '.join(out)})"


def power(a, b):
    y = a**b
    if isinstance(y, complex):
        raise ValueError
    return y


def evaluated(code, values):
    return float(eval(code, {"v": values, "f": FUNCTIONS, "sqrt": math.sqrt, "abs": abs, "power": power, "inf": math.inf, "nan": math.nan}))


# ---- The header's text


def condition_of(text, value, names):
    """The condition behind "where" of a case with this value."""
    match = re.fullmatch(r"([\w\u0304]+)(?: or ([\w\u0304]+))? is", text)
    if match:
        test = "{0} != {0}" if value == "NaN" else "{0} == 0"
        return " or ".join(test.format(f"v[{n!r}]") for n in match.groups() if n)
    match = re.fullmatch(r"(\w+) is finite", text)
    return f"abs(v[{match[1]!r}]) < inf" if match else Reader(text, names).whole()


def case_of(text, names):
    """A case as condition and value in Python; None for a remark."""
    if REMARKS.match(text.strip()):
        return None
    text = re.sub(r"^(both|each) ", "", text.strip())
    forms = [(r"(.*) where (.*)", lambda m: condition_of(m[2], m[1], names)), (r"(.*) elsewhere", lambda m: "True"),
             (r"(.*) at 0", lambda m: "v['x'] == 0"), (r"(.*) from (\S+) on", lambda m: f"v['x'] >= {Reader(m[2], names).whole()}"),
             (r"(.*) up to (\S+)", lambda m: f"v['x'] <= {Reader(m[2], names).whole()}"), (r"(.*)", lambda m: "")]
    for form, condition in forms:
        match = re.fullmatch(form, text)
        if match:
            value = "nan" if match[1] == "NaN" else Reader(match[1], names).whole()
            return condition(match), value
    raise Unreadable(text)


def split_cases(text):
    """At the commas that are outside of parentheses."""
    parts, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def barred(name):
    return name + "\u0304"


def plain(text):
    """With a letter and its bar always as two characters."""
    return "".join({"ȳ": "y\u0304", "ā": "a\u0304", "ḡ": "g\u0304"}.get(c, c) for c in text)


def gradients_of(text, inputs):
    """The texts of the gradient by each input."""
    found, shared = {}, []
    for part in re.split(r";\s+|,\s{2,}", plain(text)):
        part = part.removesuffix(": locally constant")
        match = re.match(r"(?:(\w\u0304) =|of (\w+):)\s*(.*)", part)
        likewise = re.fullmatch(r"(\w)\u0304 likewise", part)
        if likewise:
            swapped = {inputs[0]: inputs[1], inputs[1]: inputs[0]}
            found[likewise[1]] = re.sub(r"\b[ab]\b(?!\u0304)", lambda m: swapped[m[0]], found[inputs[0]])
        elif match:
            found[match[1][0] if match[1] else match[2]] = match[3]
        else:
            shared.append(part)
    return {name: ", ".join([body] + shared) for name, body in found.items()}


class Stated:
    """What a header says of a gradient."""

    def __init__(self, text, names):
        self.cases, self.defined = [], []
        names = set(names)
        definitions = re.search(r", with (\w+ = .*)$", text)
        if definitions:
            text = text[: definitions.start()]
            for part in reversed(re.split(r", | and ", definitions[1])):
                name, _, body = part.partition(" = ")
                self.defined.append((name, Reader(body, names).whole()))
                names.add(name)
        for part in split_cases(text):
            case = case_of(part, names)
            if case:
                self.cases.append(case)

    @property
    def says_nan(self):
        return any(code == "nan" for condition, code in self.cases)

    def value(self, values):
        values = dict(values)
        for name, code in self.defined:
            values[name] = evaluated(code, values)
        for condition, code in sorted(self.cases, key=lambda case: case[1] != "nan"):
            if condition and eval(condition, {"v": values, "f": FUNCTIONS, "abs": abs, "inf": math.inf, "sqrt": math.sqrt, "power": power}):
                return evaluated(code, values)
        return next((evaluated(code, values) for condition, code in self.cases if not condition), 0.0)


# ---- The recorded text


class Parts(dict):
    """Values, and those of parts as they are asked for."""

    def __init__(self, values, defined):
        super().__init__(values)
        self.defined = defined

    def __missing__(self, name):
        self[name] = evaluated(self.defined[name], self)
        return self[name]


class Recorded:
    """What ag_formula writes: an expression, and its parts."""

    def __init__(self, text, names):
        first, *parts = [line.strip() for line in text.split("\n") if line.strip()]
        parts = [line.removeprefix("where ").strip().partition(" = ") for line in parts]
        parts = {name: body for name, _, body in parts if name not in names}
        names = set(names) | set(parts)
        self.defined = {name: Reader(body, names).whole() for name, body in parts.items()}
        name, equals, body = first.partition(" = ")
        own = equals and re.fullmatch(r"[\w#\u0304]+", name)
        self.code = f"v[{name.split('#')[0]!r}]" if own and name == body else Reader(body if own else first, names).whole()

    def value(self, values):
        return evaluated(self.code, Parts(values, self.defined))


# ---- The library

ag = ctypes.CDLL(sys.argv[1])
POINTER = ctypes.c_void_p
for returning in "ag_tape_new ag_scalar ag_parameter_from ag_label".split():
    getattr(ag, returning).restype = POINTER
for returning in "ag_formula ag_tape_error".split():
    getattr(ag, returning).restype = ctypes.c_char_p
ag.ag_item.restype = ctypes.c_double


class Call:
    """A function recorded on scalars, with labels, and its gradients from the cotangent ȳ."""

    def __init__(self, entry, values, cotangent):
        self.tape = POINTER(ag.ag_tape_new())
        self.inputs, arguments, numbers, self.values = {}, [], 0, {}
        for argument in parameters_of(entry):
            name = argument.split()[-1].lstrip("*")
            if argument.startswith("ag_tensor *"):
                self.inputs[name] = self.scalar(values[len(self.inputs)], name)
                arguments.append(self.inputs[name])
                self.values[name] = values[len(self.inputs) - 1]
            else:
                self.values[name] = 1 if argument.startswith("int") else 0.5 + numbers
                arguments.append(ctypes.c_int(1) if argument.startswith("int") else ctypes.c_double(0.5 + numbers))
                numbers += 1
        function = getattr(ag, entry.name)
        function.restype = POINTER
        self.y, self.ybar = POINTER(function(*arguments)), self.scalar(cotangent, barred("y"))
        ag.ag_label(self.y, b"y")
        self.values.update({"y": ag.ag_item(self.y), barred("y"): cotangent, **CONSTANTS.get(entry.name, {})})

    def scalar(self, value, name):
        x = POINTER(ag.ag_parameter_from(POINTER(ag.ag_scalar(self.tape, 3, ctypes.c_double(value)))))
        ag.ag_label(x, name.encode())
        return x

    def gradient(self, name):
        dx = POINTER()
        if ag.ag_vjp(1, ctypes.byref(self.y), ctypes.byref(self.ybar), 1, ctypes.byref(self.inputs[name]), ctypes.byref(dx), 0):
            sys.exit(f"{name}: {ag.ag_tape_error(self.tape).decode()}")
        return dx

    def text(self, name):
        return plain(ag.ag_formula(self.gradient(name), None).decode())

    def end(self):
        ag.ag_tape_free(self.tape)


def parameters_of(entry):
    return [p.strip() for p in re.search(r"%s\((.*?)\)" % entry.name, entry.code, re.S)[1].split(",")]


def entries():
    for family in reference.Reference([pathlib.Path(h).resolve() for h in sys.argv[2:]], ROOT).families:
        for entry in family.entries:
            if entry.kind == "function" and not entry.tags.get("Grad", "not").startswith("not"):
                yield entry


def near(a, b, relative):
    return math.isnan(a) and math.isnan(b) or a == b or abs(a - b) <= relative * max(abs(a), abs(b), 1e-3)


def compare(entry):
    """Differences, as sentences; and at how many places there was none."""
    inputs = [p.split("*")[-1] for p in parameters_of(entry) if p.startswith("ag_tensor *")]
    first = Call(entry, [0.75, 0.25, 0.5][: len(inputs)], 1.25)
    names, found = set(first.values), []
    texts = {n: first.text(n) for n in inputs}
    stated = gradients_of(entry.tags["Grad"], inputs)
    first.end()
    if set(stated) != set(inputs):
        return [f"{entry.name}: the header has gradients by {sorted(stated)}, and the function the inputs {inputs}"], 0
    says, recorded = ({n: kind(t[n], names) for n in inputs} for kind, t in ((Stated, stated), (Recorded, texts)))
    count = {n: 0 for n in inputs}
    for values in itertools.product(SPECIAL.get(entry.name, PLACES), repeat=len(inputs)):
        call = Call(entry, values, -1.25)
        for n in inputs:
            computed = ag.ag_item(call.gradient(n))
            for what, text, one in (("the header", stated[n], says[n]), ("the formula", texts[n], recorded[n])):
                if any(map(math.isnan, [*values, call.values["y"]])) and not (what == "the header" and one.says_nan):
                    continue
                try:
                    value = one.value(call.values)
                except (ValueError, ZeroDivisionError, OverflowError, statistics.StatisticsError):
                    continue
                count[n] += 1
                if not near(value, computed, 1e-9 if what == "the header" else 2e-5): # numbers in formulas have six digits
                    found.append(f"{entry.name} by {n} at {values}: {computed} is computed, and {what} gives {value}: {text}")
        call.end()
    found += [f"{entry.name} by {n}: compared at {k} places only" for n, k in count.items() if k < 3]
    return found[:3], sum(count.values())


def main():
    functions = places = 0
    failures = []
    for entry in entries():
        if entry.name in NOT_COMPARED:
            continue
        try:
            found, n = compare(entry)
        except Unreadable as error:
            found, n = [f"{entry.name}: cannot be read: {error}"], 0
        failures += found
        functions, places = functions + 1, places + n
    print(*failures, sep="\n")
    print(f"{functions} functions were compared at {places} places, and {len(NOT_COMPARED)} were not")
    sys.exit(bool(failures) or functions < 80)


main()
