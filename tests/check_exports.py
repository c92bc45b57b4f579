"""The shared library exports the public ag_ names and nothing else: check_exports.py NM LIBRARY"""

import re
import subprocess
import sys

nm, library = sys.argv[1:]
if sys.platform == "darwin":
    options, public = ["-gU"], re.compile(r"_ag_[a-z]\w*")
else:
    options, public = ["-D", "--defined-only"], re.compile(r"ag_[a-z]\w*")

listing = subprocess.run([nm, *options, library], check=True, capture_output=True, text=True).stdout
names = [line.split()[-1] for line in listing.splitlines()]
strangers = [name for name in names if not public.fullmatch(name)]

for name in strangers:
    print(f"{library} exports {name}, which is not public")
if not names:
    print(f"{library} exports nothing")
sys.exit(bool(strangers) or not names)
