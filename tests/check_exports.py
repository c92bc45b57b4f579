"""The shared library exports every public function, with a version, and nothing else: check_exports.py NM LIBRARY HEADER...

Versions are the linker's on ELF systems; elsewhere there are none."""

import pathlib
import re
import subprocess
import sys

nm, library, *headers = sys.argv[1:]
elf = pathlib.Path(library).read_bytes()[:4] == b"\x7fELF"
options = ["-D", "--defined-only"] if elf else ["-gU"]

listing = subprocess.run([nm, *options, library], check=True, capture_output=True, text=True).stdout
exports = [line.split()[-1] for line in listing.splitlines()]
if elf:
    versions = {name for name in exports if re.fullmatch(r"AUTOGRAD_[0-9.]+", name.split("@")[0])}
    pattern = re.compile(r"(ag_[a-z]\w*)@@(AUTOGRAD_[0-9.]+)")
else:
    versions = set()
    pattern = re.compile(r"_(ag_[a-z]\w*)")

found = {name: pattern.fullmatch(name) for name in exports if name not in versions}
public = set()
for header in headers:
    text = pathlib.Path(header).read_text(encoding="utf-8")
    public |= set(re.findall(r"^AG_API [^;(]*?\b(ag_\w+) ?\(", text, flags=re.M))

wrong = [f"{library} exports {name}, which is not public" + " or has no version" * elf for name, match in found.items() if not match]
named = {match.group(1) for match in found.values() if match}
wrong += [f"{library} does not export {name}" for name in sorted(public - named)]
wrong += [f"{library} exports {name}, which no public header declares" for name in sorted(named - public)]
if not public:
    wrong.append("the headers declare no functions")
print("\n".join(wrong) or f"{len(named)} functions, {'in ' + ' '.join(sorted(versions)) if elf else 'without versions'}")
sys.exit(bool(wrong))
