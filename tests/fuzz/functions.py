"""Makes the table of public functions that the fuzz target `calls` calls: functions.py TARGET HEADER...

A function is in it if all its parameters are of the kinds below, and it gives a tensor or a status. What a parameter is, is
decided by bytes (tests/fuzz/calls.c); here only its kind counts. With no TARGET, "-", the functions that are left out are
printed instead, with the parameter that they are left out for."""

import pathlib
import re
import sys

KINDS = {
    "ag_tensor *": "tensor_argument(c)",
    "ag_tape *": "c->tape",
    "ag_axes": "feed_axes(c->f)",
    "ag_dtype": "(ag_dtype)(feed_below(c->f, 6) - 1)",
    "ag_shape": "shape_argument(c)",
    "bool": "feed_below(c->f, 2) != 0",
    "double": "feed_real(c->f)",
    "int": "(int)feed_number(c->f)",
    "int64_t": "feed_number(c->f)",
    "uint64_t": "(uint64_t)feed_number(c->f)",
    "const char *": "text_argument(c)",
    "const ag_loss_options *": "loss_argument(c)",
    "const ag_pool_options *": "pool_argument(c)",
    "const ag_conv_options *": "conv_argument(c)",
    "const ag_attention_options *": "attention_argument(c)",
    "const ag_distribution *": "distribution_argument(c)",
    "const ag_layer_options *": "NULL",
    "ag_sequence *": "&c->model",
    "const ag_sequence *": "&c->model",
}
ENUMS = "ag_averaging ag_beyond ag_fft_norm ag_interpolation ag_matrix_norm_kind ag_padding ag_put".split()
KINDS |= {name: f"({name})(feed_below(c->f, 7) - 1)" for name in ENUMS}

# A count is followed by the array that it counts.
COUNTED = {
    "ag_tensor *const []": ("ag_tensor *const *", "tensors_argument(c, &{count})"),
    "const double []": ("const double *", "reals_argument(c, &{count})"),
    "const int64_t []": ("const int64_t *", "numbers_argument(c, &{count})"),
    "const ag_subscript []": ("const ag_subscript *", "subscripts_argument(c, &{count})"),
}
OUTPUTS = {"ag_tensor **": "&c->second", "ag_tensor *[]": "c->many"}

# calls.c does these itself, they are of no tape, or their caller must do more: end a scope, hand over memory, own a handle's tape.
BY_HAND = """ag_adopt ag_apply ag_apply_source ag_csv_read ag_csv_write ag_eval_all ag_from ag_here ag_image_read ag_image_write
ag_load ag_located ag_sequence_init ag_tape_limit ag_parameter ag_profile_write ag_raw_read ag_raw_write ag_read ag_read_all ag_save ag_set ag_variable ag_vjp
ag_wrap ag_write_dot ag_zero_vjp""".split()


def parameters_of(text):
    """(type, name) of each; an array's type ends in []."""
    for p in text.split(", "):
        match = re.fullmatch(r"(.*?[ *])(\w+)(\[\])?", p)
        yield (match[1].strip() + (" []" if match[3] and match[1].strip()[-1] != "*" else "[]" if match[3] else ""), match[2]) if match else (p, "")


def normal(kind):
    return re.sub(r" ?\[\]$", " []", kind).replace("* []", "*[]").replace("*const[]", "*const []")


def lines_of(parameters):
    """The declarations of the arguments, in order; a KeyError for a kind that is not known."""
    lines = []
    outputs = any(normal(kind) == "ag_tensor *[]" for kind, _ in parameters)
    for i, (kind, name) in enumerate(parameters):
        kind, name = normal(kind), name + "_"
        counted = i + 1 < len(parameters) and normal(parameters[i + 1][0]) in COUNTED
        if kind in ("int", "int64_t") and counted:
            lines.append(f"{kind} {name} = 0;")
        elif kind in COUNTED:
            if i == 0 or normal(parameters[i - 1][0]) not in ("int", "int64_t"):
                raise KeyError(kind)
            declared, made = COUNTED[kind]
            count = parameters[i - 1][1] + "_"
            lines.append(f"int counted_{name} = 0;")
            lines.append(f"{declared}{name} = {made.format(count='counted_' + name)};")
            lines.append(f"{count} = counted_{name};")
        elif kind in OUTPUTS:
            lines.append("")
        elif outputs and name == "n_":
            lines.append("int n_ = feed_below(c->f, ROOM + 3) - 3;")
        else:
            lines.append(f"{kind}{'' if kind.endswith('*') else ' '}{name} = {KINDS[kind]};")
    return lines


def functions(texts):
    """name, what it gives, its parameters."""
    for text in texts:
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        for declaration in re.findall(r"^AG_API ([^;]*);", text, flags=re.M):
            match = re.fullmatch(r"(ag_tensor \*|ag_status )(ag_\w+)\((.*)\)", " ".join(declaration.split()))
            if match and match[2] not in BY_HAND:
                yield match[2], match[1].strip(), list(parameters_of(match[3]))


def made(name, gives, parameters):
    passed = [OUTPUTS.get(normal(kind), word + "_") for kind, word in parameters]
    call = f"({name})({', '.join(passed)})"
    body = [*filter(None, lines_of(parameters)), f"return {call};" if "tensor" in gives else f"{call};"]
    body += [] if "tensor" in gives else ["return NULL;"]
    return f"static ag_tensor *call_{name}(caller *c) {{\n" + "".join(f"    {line}\n" for line in body) + "}\n"


def tensors(parameters):
    """How many inputs an error may list: so many tensors are given; -1 if there may be more, in structs, lists or texts."""
    kinds = [normal(kind) for kind, _ in parameters]
    plain = all(kind in ("ag_tensor *", "ag_tape *") or not {"*", "["} & set(kind) for kind in kinds)
    return kinds.count("ag_tensor *") if plain else -1


def main():
    target, *headers = sys.argv[1:]
    paths = sorted(map(pathlib.Path, headers), key=lambda path: path.parts[-2:])
    texts, names, left = [], [], []
    for name, gives, parameters in functions(path.read_text(encoding="utf-8") for path in paths):
        try:
            texts.append(made(name, gives, parameters))
            names.append((name, tensors(parameters)))
        except KeyError as kind:
            left.append(f"{name}: {kind.args[0]}")
    if target == "-":
        print(f"{len(names)} functions; without:", *left, sep="\n")
        return
    table = "".join(f'    {{"{name[3:]}", call_{name}, {inputs}}},\n' for name, inputs in names)
    text = "/* made by tests/fuzz/functions.py */\n" + "".join(texts)
    text += f"static const callable callables[] = {{\n{table}}};\nenum {{ CALLABLES = {len(names)} }};\n"
    pathlib.Path(target).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
