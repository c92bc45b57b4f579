"""Installs the library, and takes it away again: install.py install BUILD | uninstall PREFIX

`install` puts what meson's folder BUILD has installed into its prefix, below $DESTDIR if that is set. It leaves a list of the
files and of the folders that it made, share/autograd/installed.txt, so that `uninstall` needs no build folder, removes what a
later or an earlier version has left, and leaves nothing behind. A file that is to be installed elsewhere than below the prefix
is refused."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

LIST = "share/autograd/installed.txt"


def fail(text):
    sys.exit(f"install: {text}")


def below(prefix):
    """The prefix in $DESTDIR."""
    destdir = os.environ.get("DESTDIR", "")
    return pathlib.Path(destdir, *prefix.parts[1:]) if destdir else prefix


def read_list(root):
    """Files, and folders, whose names end in /; of what is above the prefix only folders are listed, as ../ and ../../."""
    path = root / LIST
    if not path.exists():
        return [], []
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        parts = pathlib.PurePosixPath(line).parts if line.endswith("/") else (*pathlib.PurePosixPath(line).parts, ".")
        if not line or line.startswith("/") or ".." in parts and set(parts) != {".."}:
            fail(f"{path} names {line!r}, which is not below {root}")
    return [line for line in lines if not line.endswith("/")], [line for line in lines if line.endswith("/")]


def depth(folder):
    return sum(-1 if part == ".." else 1 for part in pathlib.PurePosixPath(folder).parts)


def remove(root, files, folders):
    for name in files:
        (root / name).unlink(missing_ok=True)
    for name in sorted(folders, key=depth, reverse=True):
        path = pathlib.Path(os.path.normpath(root / name)) # a folder above is found when the root itself is gone
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def missing_folders(root, files):
    """Those that installing will make: below the root, the root itself (./), and above it."""
    made = {str(parent) for name in files for parent in pathlib.PurePosixPath(name).parents}
    made |= {"/".join([".."] * (i + 1)) for i, parent in enumerate(root.parents) if not parent.exists()}
    return sorted(f"{folder}/" for folder in made if not (root / folder).exists())


def planned(build, prefix):
    listed = subprocess.run(["meson", "introspect", "--installed", build], check=True, capture_output=True, text=True).stdout
    files = [LIST]
    for path in map(pathlib.Path, json.loads(listed).values()):
        if not path.is_relative_to(prefix):
            fail(f"{path} is not below the prefix {prefix}")
        files.append(path.relative_to(prefix).as_posix())
    return files


def with_aliases(root, files):
    """And the symbolic links of a shared library, of which meson's list says nothing."""
    more = set(files)
    for name in files:
        path = root / name
        if ".so." in path.name or path.suffix == ".dylib":
            for other in path.parent.glob(path.name.split(".")[0] + ".*"):
                if other.is_symlink() and other.resolve() == path.resolve():
                    more.add(other.relative_to(root).as_posix())
    return sorted(more)


def hint(prefix, files):
    """The linker of programs finds a new library in the system's folders once its cache has been made anew."""
    if os.environ.get("DESTDIR") or not shutil.which("ldconfig"):
        return
    (folder,) = {str((prefix / name).parent) for name in files if pathlib.Path(name).name.startswith("libautograd.so")} or {""}
    known = subprocess.run(["ldconfig", "-v", "-N", "-X"], capture_output=True, text=True).stdout
    if f"\n{folder}:" in "\n" + known:
        print("Programs find the shared library once root has run ldconfig.")
    else:
        settings = {"PKG_CONFIG_PATH": f"{folder}/pkgconfig", "LD_LIBRARY_PATH": folder, "CMAKE_PREFIX_PATH": str(prefix)}
        print("Programs find the library with\n  " + " ".join(f"{name}={shlex.quote(text)}" for name, text in settings.items()))


def install(build):
    options = json.loads((pathlib.Path(build) / "meson-info/intro-buildoptions.json").read_text(encoding="utf-8"))
    prefix = pathlib.Path(next(option["value"] for option in options if option["name"] == "prefix"))
    root = below(prefix)
    files = planned(build, prefix)
    old_files, old_folders = read_list(root)
    folders = sorted({*old_folders, *missing_folders(root, files)})
    command = ["meson", "install", "-C", build, "--no-rebuild", "--quiet"]
    if subprocess.run(command).returncode:
        remove(root, set(files) - set(old_files), folders)
        fail(f"{root} cannot be written; what was written is removed")
    files = with_aliases(root, files)
    (root / LIST).parent.mkdir(parents=True, exist_ok=True)
    (root / LIST).write_text("".join(f"{name}\n" for name in [*files, *folders]), encoding="utf-8")
    remove(root, set(old_files) - set(files), [])
    print(f"{len(files)} files are installed in {root}")
    hint(prefix, files)


def uninstall(prefix):
    root = below(pathlib.Path(prefix))
    files, folders = read_list(root)
    if not files:
        fail(f"there is no {root / LIST}: nothing was installed there by ./dev install")
    remove(root, files, folders)
    left = [name for name in files if (root / name).exists()]
    if left:
        fail(f"{root} still has {' '.join(left)}")
    print(f"{len(files)} files are removed from {root}")


def main():
    what, where = sys.argv[1:]
    {"install": install, "uninstall": uninstall}[what](where)


main()
