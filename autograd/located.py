"""Makes FOLDER_located.h from a folder's public headers: located.py HEADER...

A function gets a macro of its own name if it takes or returns tensors, or takes a tape, and can fail or record: if the line
Errors of its comment says anything but "none". The macros have to come after all declarations."""

import re
import sys

TEXT = """\
/* located -- each function as a macro of its own name, which adds where it is called
 *
 * Made by autograd/located.py. Section 12 of autograd/autograd.h says what for. */
#ifndef AG_NO_LOCATION

{}
#endif
"""


def functions(text):
    """Of each public function: its name, its result's type, its parameters, and what its comment says of errors."""
    for comment, declaration in re.findall(r"(/\*(?:(?!\*/).)*\*/)\nAG_API ([^;]*);", text, flags=re.S):
        result, name, parameters = re.fullmatch(r"(.*?)(\bag_\w+) ?\((.*)\).*", " ".join(declaration.split())).groups()
        errors = re.search(r"^ \* Errors: *([^*\n]*)", comment, flags=re.M)
        yield name, result, parameters, errors.group(1).strip() if errors else "none"


def macro(name, result, parameters, errors):
    """After the call if it records a tensor, so that nested calls each get their own line; before it otherwise."""
    about = re.search(r"\bag_(tensor|tape) \*", result + parameters)
    if not about or re.match(r"none\b(?! of its own)", errors):
        return None
    if result == "ag_tensor *":
        return f"#define {name}(...) ag_located({name}(__VA_ARGS__), __FILE__, __LINE__)\n"
    return f"#define {name}(...) (ag_here(__FILE__, __LINE__), {name}(__VA_ARGS__))\n"


def macros(text):
    return "".join(filter(None, (macro(*function) for function in functions(text))))


def main():
    texts = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    print(TEXT.format("".join(map(macros, texts))), end="")


if __name__ == "__main__":
    main()
