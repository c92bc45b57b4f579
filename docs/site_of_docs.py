"""Makes the site of it all: site_of_docs.py FOLDER HEADER...

The pages of docs/, the README and the others at the top through cmark-gfm, the manual pages through mandoc, and an index of both
for a search that works from a file: no page takes anything from elsewhere. Every page is written from a file of the tree, under its
path, so links between files are links between pages."""

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import reference

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARKDOWN = ["cmark-gfm", "--unsafe", "-e", "table", "-e", "autolink"]  # the text is ours; its HTML is comments only

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="stylesheet" href="{root}site.css">
<script src="{root}index.js" defer></script>
<script src="{root}search.js" defer></script>
</head>
<body data-root="{root}">
<header>
<nav aria-label="Site"><a class="name" href="{root}index.html">autograd</a>
<a href="{root}learn.html">Learn</a> <a href="{root}guides.html">Guides</a> <a href="{root}reference/index.html">Reference</a>
<a href="{root}docs/guides/how-fast.html">Benchmarks</a></nav>
<div class="search" role="search"><input type="search" id="search" placeholder="Search" aria-label="Search functions, types and pages" autocomplete="off">
<ol id="found" hidden></ol></div>
</header>
<main>
{body}
</main>
</body>
</html>
"""

LISTS = {
    "learn.html": ("Learn", "Backpropagation derived by hand, and then by the library.", "docs/learn"),
    "guides.html": ("Guides", "One task each, with programs that are run by a test.", "docs/guides"),
}


def run(command, text):
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def slug(text):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", html.unescape(re.sub(r"<[^>]*>", "", text)).lower()).replace(" ", "-")


def sources():
    """The files of the tree that become pages."""
    top = [path for path in sorted(ROOT.glob("*.md"))]
    return [path.relative_to(ROOT).as_posix() for path in top + sorted((ROOT / "docs").rglob("*.md"))]


def page_of(path):
    return "index.html" if path == "README.md" else re.sub(r"\.md$", ".html", path) if path.endswith(".md") else path + ".html"


class Site:
    def __init__(self, folder, headers):
        self.folder, self.reference = pathlib.Path(folder), reference.Reference(headers, ROOT)
        self.version = re.search(r'AG_VERSION "(.*?)"', (ROOT / "autograd/types.h").read_text(encoding="utf-8"))[1]
        self.index = []  # [name, page, summary, kind, family]
        self.copied = set()

    def write(self, page, title, body):
        path = self.folder / page
        path.parent.mkdir(parents=True, exist_ok=True)
        root = "../" * page.count("/")
        path.write_text(PAGE.format(title=html.escape(title), root=root, body=body), encoding="utf-8")

    # ---- Markdown

    def link(self, source, target):
        """A link in a file of the tree, as one between pages; files that are no pages are shown as text."""
        if re.match(r"[a-z]+:|#", target):
            return target
        file, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(source), file))
        here = os.path.dirname(page_of(source))
        if path.endswith((".svg", ".png")):
            self.copied.add(path)
            return os.path.relpath(path, here or ".")
        if not path.endswith(".md") and (ROOT / path).is_file():
            self.listing(path)
        return os.path.relpath(page_of(path), here or ".") + (f"#{anchor}" if anchor else "")

    def listing(self, path):
        text = html.escape((ROOT / path).read_text(encoding="utf-8"))
        self.write(page_of(path), path, f"<h1>{html.escape(path)}</h1>\n<pre><code>{text}</code></pre>")

    def names(self, body):
        """Names of functions in code become links to their pages."""
        def linked(match):
            page = self.reference.page_of.get(match[1])
            return f'<code><a href="@REFERENCE@{page.name}.html#{match[1]}">{match[1]}</a></code>' if page else match[0]
        return re.sub(r"<code>((?:ag|AG)_\w+)</code>", linked, body)

    def article(self, source):
        text = (ROOT / source).read_text(encoding="utf-8")
        body = re.sub(r"<!--.*?-->\n?", "", run(MARKDOWN, text), flags=re.S)
        body = re.sub(r'(href|src)="([^"]*)"', lambda m: f'{m[1]}="{html.escape(self.link(source, html.unescape(m[2])))}"', body)
        seen = {}

        def heading(match):
            name = slug(match[2])
            seen[name] = seen.get(name, -1) + 1
            name += f"-{seen[name]}" if seen[name] else ""
            return f'<h{match[1]} id="{name}">{match[2]}</h{match[1]}>'

        body = re.sub(r"<h([1-6])>(.*?)</h\1>", heading, body, flags=re.S)
        body = re.sub(r"<table>.*?</table>", lambda m: f'<div class="wide">{m[0]}</div>', body, flags=re.S)
        body = self.names(body).replace("@REFERENCE@", os.path.relpath("reference", os.path.dirname(page_of(source)) or ".") + "/")
        title = html.unescape(re.sub(r"<[^>]*>", "", re.search(r"<h1[^>]*>(.*?)</h1>", body, flags=re.S)[1]))
        self.index.append([title, page_of(source), "", "page", ""])
        for name, text in re.findall(r'<h2 id="([^"]*)">(.*?)</h2>', body, flags=re.S):
            self.index.append([html.unescape(re.sub(r"<[^>]*>", "", text)), f"{page_of(source)}#{name}", title, "section", ""])
        self.write(page_of(source), title, body)
        first = re.search(r"</h1>\s*<p>(.*?)</p>", body, flags=re.S)
        return title, re.sub(r"<[^>]*>", "", first[1]) if first else ""

    def articles(self):
        about = {source: self.article(source) for source in sources()}
        for page, (title, text, folder) in LISTS.items():
            items = [s for s in about if s.startswith(folder + "/")]
            if page == "guides.html":
                items += ["docs/" + s + ".md" for s in
                          ("adding-an-op", "profiling", "explain", "security", "design", "testing", "accuracy", "mutation", "processors")]
                items += [s for s in about if "/" not in s and s != "README.md"]
            body = "".join(f'<dt><a href="{page_of(s)}">{html.escape(about[s][0])}</a></dt><dd>{about[s][1]}</dd>\n' for s in items)
            self.write(page, title, f"<h1>{title}</h1>\n<p>{text}</p>\n<dl class=\"list\">\n{body}</dl>")

    # ---- Manual pages

    def manual(self, name, text):
        body = run(["mandoc", "-Thtml", "-Ofragment,man=%N.%S.html"], text)
        body = re.sub(r'<table class="(?:head|foot)">.*?</table>', "", body, flags=re.S)

        def linked(match):
            page = self.reference.page_of.get(match[1])
            return f'href="{page.name}.html#{match[1]}"' if page else 'href="autograd.html"' if match[1] == "autograd" else None
        body = re.sub(r'<a class="Xr" href="([\w-]+)\.\d\.html">(.*?)</a>',
                      lambda m: f"<a class=\"Xr\" {linked(m)}>{m[2]}</a>" if linked(m) else m[2], body, flags=re.S)
        body = re.sub(r"<(/?)h([12])\b", lambda m: f"<{m[1]}h{int(m[2]) + 1}", body)
        page = self.reference.page_of.get(name)
        ids = set(re.findall(r' id="([^"]*)"', body))
        anchors = "".join(f'<span id="{e.name}"></span>' for e in page.entries if e.name not in ids) if page else ""
        anchors += "".join(f'<span id="{m.name}"></span>' for m in page.macros) if page else ""
        self.write(f"reference/{name}.html", name, f"<h1>{name}{anchors}</h1>\n{body}")

    def manuals(self):
        made = reference.pages(self.reference, reference.date_of_changes(), self.version)
        for name, text in made.items():
            if not text.startswith(".so"):
                self.manual(name.rpartition(".")[0], text)
        for page in self.reference.pages:
            for entry in page.entries:
                self.index.append([entry.name, f"reference/{page.name}.html#{entry.name}", entry.summary, entry.kind, page.family.title])
                for constant in re.findall(r"\bAG_[A-Z]\w+", entry.code) if "enum" in entry.code else ():
                    self.index.append([constant, f"reference/{page.name}.html#{entry.name}", entry.name, "constant", ""])
            for macro in page.macros:
                self.index.append([macro.name, f"reference/{page.name}.html#{macro.name}", "", "macro", ""])
        self.families()

    def families(self):
        parts = []
        for family in self.reference.families:
            pages = [page for page in self.reference.pages if page.family is family]
            if not pages:
                continue
            rows = "".join(f'<dt><a href="{p.name}.html">{p.name}</a></dt><dd>{html.escape(p.summary)}</dd>\n' for p in pages)
            shown = "".join(f"<details><summary>A program</summary><pre><code>{html.escape(program)}</code></pre>\n"
                            f"<p>It prints:</p><pre><code>{html.escape(printed)}</code></pre></details>\n" for _, program, printed in family.examples)
            title = family.title[:1].upper() + family.title[1:]
            parts.append(f'<section><h2 id="{family.id}">{html.escape(title)}</h2>\n<p class="soft">{family.header}</p>\n<dl class="names">\n{rows}</dl>\n{shown}</section>')
        self.write("reference/index.html", "Reference",
                   '<h1>Reference</h1>\n<p><a href="autograd.html">The overview</a> is also <code>man 7 autograd</code>, and each of these pages '
                   "<code>man NAME</code>.</p>\n" + "\n".join(parts))

    def make(self):
        self.manuals()
        self.articles()
        for path in self.copied:
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, target)
        for name in ("site.css", "search.js"):
            shutil.copy(ROOT / "docs/site" / name, self.folder / name)
        text = "const INDEX = " + json.dumps(self.index, ensure_ascii=False, indent=0) + ";\n"
        (self.folder / "index.js").write_text(text, encoding="utf-8")


def main():
    folder, *headers = sys.argv[1:]
    for tool in ("mandoc", MARKDOWN[0]):
        if not shutil.which(tool):
            sys.exit(f"site_of_docs.py needs {tool}")
    with tempfile.TemporaryDirectory(dir=pathlib.Path(folder).resolve().parent) as made:
        Site(made, [pathlib.Path(header).resolve() for header in headers]).make()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)


if __name__ == "__main__":
    main()
