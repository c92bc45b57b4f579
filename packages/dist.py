"""Packs the source into an archive, with a wrap for meson beside it: dist.py FOLDER [--any] [--url URL]

FOLDER gets autograd-VERSION.tar.gz, the same bytes for the same commit, and autograd.wrap, which names it with its hash. A
project with the wrap in subprojects/ and the archive in subprojects/packagefiles/ finds autograd by
dependency('autograd'); with --url, where the archive is to be downloaded from, the wrap alone is enough. The files are those
that git tracks, as they were committed; --any packs them as they are, and new ones too."""

import argparse
import gzip
import hashlib
import io
import pathlib
import re
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WRAP = """\
[wrap-file]
directory = {name}
{url}source_filename = {name}.tar.gz
source_hash = {hash}

[provide]
dependency_names = autograd
"""


def git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def version():
    return re.search(r"^  version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"), flags=re.M).group(1)


def files(any_state):
    if any_state:
        listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return sorted({path for path in listed.split("\0") if path and (ROOT / path).exists()})
    changed = git("status", "--porcelain")
    if changed:
        sys.exit(f"dist: not everything is committed:\n{changed}")
    return sorted(filter(None, git("ls-files", "-z").split("\0")))


def archive(name, paths, time):
    """The bytes depend on the files and the time alone."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in paths:
            entry = tar.gettarinfo(ROOT / path, f"{name}/{path}")
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = time
            entry.mode = 0o755 if entry.mode & 0o100 else 0o644
            with open(ROOT / path, "rb") as file:
                tar.addfile(entry, file if entry.isreg() else None)
    return gzip.compress(packed.getvalue(), mtime=time)


def make(folder, any_state=False, url=""):
    name = f"autograd-{version()}"
    data = archive(name, files(any_state), int(git("log", "-1", "--format=%ct")))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.tar.gz").write_bytes(data)
    source = f"source_url = {url}\n" if url else ""
    wrap = WRAP.format(name=name, url=source, hash=hashlib.sha256(data).hexdigest())
    (folder / "autograd.wrap").write_text(wrap, encoding="utf-8")
    return folder / f"{name}.tar.gz", folder / "autograd.wrap"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--any", action="store_true")
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    for path in make(options.folder, options.any, options.url):
        print(path)


if __name__ == "__main__":
    main()
