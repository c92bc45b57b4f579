"""The site: its links and anchors, its search, its looks in a browser: site.py HEADER...

Made anew in a temporary folder. Without mandoc or cmark-gfm it is skipped; without chromium all is checked but the search and the
widths, light and dark, in a browser: narrow, every page in a long run (AG_TEST_LONG=1), and else every fiftieth. With --pictures FOLDER pictures of some pages are left there, for people to look at."""

import base64
import html.parser
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import site_of_docs as site  # noqa: E402
import test_page  # noqa: E402

SHOWN = ["index.html", "learn.html", "docs/learn/2-batchnorm.html", "docs/guides/how-fast.html", "docs/guides/why-training-fails.html",
         "reference/index.html", "reference/ag_matmul.html", "reference/ag_batchnorm.html", "reference/autograd.html"]
failures = []


def check(holds, *what):
    if not holds:
        failures.append(what)
        print("FAILED:", *what)


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.ids, self.used, self.titles = [], set(), [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            check(values["id"] not in self.ids, "an id twice:", values["id"])
            self.ids.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        self.used += [values[name] for name in ("src", "srcset", "data", "poster") if name in values]
        self.used += [values["href"]] if tag == "link" else []
        self.titles += tag == "h1"


def check_links(folder):
    pages = {path.relative_to(folder).as_posix(): Page(path) for path in sorted(folder.rglob("*.html"))}
    for name, page in pages.items():
        check(page.titles == 1, name, "has", page.titles, "first headings")
        for link in page.links + page.used:
            if re.match(r"https?:", link):
                check(link not in page.used, name, "takes", link, "from elsewhere")
                continue
            file, _, anchor = link.partition("#")
            target = ((folder / name).parent / file).resolve() if file else folder / name
            check(target.is_file(), name, "links to", link)
            if anchor and target.suffix == ".html":
                at = target.relative_to(folder.resolve()).as_posix() if file else name
                check(anchor in pages[at].ids, name, "links to", link, "which has no such anchor")
    style = (folder / "site.css").read_text(encoding="utf-8")
    check("url(" not in style and "@import" not in style, "site.css takes something from elsewhere")
    return pages


def check_index(folder, pages, found):
    text = (folder / "index.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("const INDEX = ").rstrip().removesuffix(";"))
    for name, page, *_ in index:
        file, _, anchor = page.partition("#")
        check(file in pages and (not anchor or anchor in pages[file].ids), "the index has", name, "at", page)
    missing = set(found.page_of) - {entry[0] for entry in index}
    check(not missing and len(index) > 300, "the search does not know", missing)
    return [entry for entry in index if entry[3] in ("function", "type")]


OVERFLOW = """const d=document.documentElement;return [d.scrollWidth,d.clientWidth,[...document.querySelectorAll('main *')]
    .filter(e=>!e.closest('.wide,pre,.Bd,svg')&&e.checkVisibility()&&e.getBoundingClientRect().right>d.clientWidth+1)
    .map(e=>e.outerHTML.slice(0,100))]"""


def check_browser(folder, pages, names, pictures):
    narrow = sorted(pages)[:: 1 if os.environ.get("AG_TEST_LONG") else 50]
    with tempfile.TemporaryDirectory() as profile:
        browser = test_page.Browser(shutil.which("chromedriver"), shutil.which("chromium"), profile)
        try:
            for scheme in ("light", "dark"):
                for width in (400, 1280):
                    for name in SHOWN if scheme == "dark" or width > 400 else narrow:
                        look(browser, folder, name, scheme, width, pictures)
            browser.open(folder / "reference/ag_matmul.html", "light", 1280)
            missed = browser.run("return arguments[0].filter(([name,page])=>!search(name).slice(0,1).some(e=>e[0]===name&&e[1]===page))", names)
            check(not missed, "the search does not find first:", missed[:10])
            check(browser.run("return search('matrix product').some(e=>e[0]==='ag_matmul')"), "no product by its summary")
            box = browser.element("document.getElementById('search')")
            browser.click(box)
            for key in "batchnorm":
                browser.press(key)
            check(browser.run("return document.querySelector('#found a.chosen').firstChild.textContent") == "ag_batchnorm", "typing finds nothing")
            browser.press(test_page.ENTER)
            check(browser.run("return location.pathname").endswith("reference/ag_batchnorm.html"), "Enter does not open what was found")
            said = [entry for entry in browser.log("browser") if entry["level"] == "SEVERE"]
            check(not said, "the console says", said)
        finally:
            browser.close()


def look(browser, folder, name, scheme, width, pictures):
    browser.open(folder / name, scheme, width)
    all_width, shown, wide = browser.run(OVERFLOW)
    check(all_width <= shown and not wide, name, "overflows", shown, "by", all_width - shown, wide[:3])
    low = [entry for entry in browser.run(test_page.CONTRAST)[1] if entry[1] < 4.5]
    check(not low, name, scheme, "has too little contrast:", low[:5])
    if pictures and name in SHOWN:
        data = browser.devtools("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(pictures, f"{name.replace('/', '-')}-{scheme}-{width}.png").write_bytes(base64.b64decode(data))


def main():
    words = sys.argv[1:]
    pictures = words[words.index("--pictures") + 1] if "--pictures" in words else None
    headers = [pathlib.Path(word).resolve() for word in words if word.endswith(".h")]
    if not shutil.which("mandoc") or not shutil.which(site.MARKDOWN[0]):
        print("there is no mandoc, or no cmark-gfm: ./dev site installs them")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder).resolve()
        made = site.Site(folder, headers)
        made.make()
        pages = check_links(folder)
        names = check_index(folder, pages, made.reference)
        if shutil.which("chromium") and shutil.which("chromedriver"):
            check_browser(folder, pages, names, pictures)
        else:
            print("there is no chromium: search and looks are not checked")
    print(f"{len(pages)} pages, {len(failures)} faults")
    sys.exit(len(failures) > 0)


main()
