"""Makes a folder's located.h from its public headers: located.py LOCATED HEADER...

The build runs this whenever a header has changed, and LOCATED is written only if it says something else now. It is kept in the
tree, so that a program can be compiled against a checkout, without any build folder.

A function gets a macro of its own name if it takes or returns tensors, a tape, or a struct of the library's (but for what an
operation is called with), and can fail or record: if the line Errors of its comment says anything but "none". The macros have to
come after all declarations."""

import pathlib
import re
import sys

TEXT = """\
/* located -- each function as a macro of its own name, which adds where it is called
 *
 * Made by autograd/located.py from the public headers, by every build. Section 12 of autograd/autograd.h says why. */
#ifndef {0}
#define {0}
#ifndef AG_NO_LOCATION
/* clang-format off */

{1}
#endif
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
    about = re.search(r"\bag_(?!infer|call)\w+ \*", result + parameters)
    if not about or re.match(r"none\b(?! of its own)", errors):
        return None
    if result == "ag_tensor *":
        return f"#define {name}(...) ag_located({name}(__VA_ARGS__), __FILE__, __LINE__)\n"
    return f"#define {name}(...) (ag_here(__FILE__, __LINE__), {name}(__VA_ARGS__))\n"


def macros(text):
    return "".join(filter(None, (macro(*function) for function in functions(text))))


def located(folder, texts):
    return TEXT.format(f"AG_{folder.upper()}_LOCATED_H", "".join(map(macros, texts)))


def main():
    target, *headers = map(pathlib.Path, sys.argv[1:])
    text = located(target.parent.name, [header.read_text(encoding="utf-8") for header in headers])
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        part = target.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(target)


if __name__ == "__main__":
    main()
