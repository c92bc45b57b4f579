"""The page of ag-explain in a browser: its content, light and dark, wide and narrow, by pointer and by keyboard.

    test_page.py AG-EXPLAIN PAGE-LABELS

Drives a headless chromium through chromedriver, by the WebDriver protocol. Numbers on the page are compared
with closed forms, calculated here. Exits with 77, skipped, where one of the two programs is missing."""

import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of element references, by the protocol
ENTER, ESCAPE, TAB, SPACE = "\ue007", "\ue00c", "\ue004", " "
failures = []


def check(holds, *what):
    if not holds:
        failures.append(what)
        print("FAILED:", *what)


class Browser:
    """A session of chromedriver."""

    def __init__(self, driver, browser, folder):
        self.process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = ""
        for line in self.process.stdout:
            said += line
            started = re.search(r"successfully on port (\d+)", line)
            if started:
                break
        else:
            sys.exit("chromedriver does not start: " + said)
        self.url = f"http://127.0.0.1:{started[1]}/session"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + folder]
        wanted = {
            "goog:chromeOptions": {"binary": browser, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        try:
            self.url += "/" + self.post("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        except Exception:
            self.process.terminate()
            raise
        self.post("/url", {"url": "about:blank"})  # leave the browser's own first page, which makes requests of its own
        self.log("performance")

    def post(self, path, body, method="POST"):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=100) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()[:600]}") from None

    def close(self):
        try:
            self.post("", None, "DELETE")
        finally:
            self.process.terminate()
            self.process.wait()

    def run(self, script, *arguments):
        return self.post("/execute/sync", {"script": script, "args": arguments})

    def devtools(self, command, **parameters):
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind):
        return self.post("/se/log", {"type": kind})

    def open(self, path, scheme="light", width=1280):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.post("/url", {"url": path.as_uri()})

    def element(self, script, *arguments):
        return self.run("return " + script, *arguments)[ELEMENT]

    def point(self, element, *more):
        """By its position: chromedriver would scroll an element under the sticky parts at the window's edge."""
        x, y = self.run("const e=arguments[0];e.scrollIntoView({block:'center'});const b=e.getBoundingClientRect();"
                        "return [b.x+b.width/2,b.y+b.height/2].map(Math.round)", {ELEMENT: element})
        moves = [{"type": "pointerMove", "duration": 0, "x": x, "y": y}, *more]
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves}
        self.post("/actions", {"actions": [pointer]})

    def click(self, element):
        self.point(element, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def press(self, key):
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})


# ---- Reading a page

NODE = "[...document.querySelectorAll('.n')].find(g=>g.querySelector('text').textContent===arguments[0])"

INFO = """return Object.fromEntries([...document.querySelectorAll('#info dt')].map(
    t=>[t.textContent,[t.nextSibling.textContent,t.nextSibling.querySelectorAll('math').length]]))"""

BOXLESS = """const empty=[];let all=0;
document.querySelectorAll('math,mi,mn,mo,mtext,mfrac,msup,msub,msqrt,mtable,mtd').forEach(e=>{
    if(!e.textContent.replace(/[\\u2061-\\u2064\\s]/g,''))return;
    if(!e.checkVisibility())return;
    all++;const b=e.getBoundingClientRect();if(!(b.width>0&&b.height>0))empty.push(e.outerHTML.slice(0,80))});
return [all,empty]"""

FRACTIONS = """return [...document.querySelectorAll('mfrac')].filter(e=>e.checkVisibility()).map(e=>{
    const [a,b]=[...e.children].map(c=>c.getBoundingClientRect());return a.bottom<=b.top+1})"""

OVERFLOW = """const d=document.documentElement;return [d.scrollWidth,d.clientWidth,
    [...document.querySelectorAll('body *')].filter(e=>!e.closest('.wide,#info')&&!e.closest('defs')&&
        e.getBoundingClientRect().right>d.clientWidth+1).map(e=>e.outerHTML.slice(0,80))]"""

TABLE = """return [...document.querySelector('table').rows].slice(1).map(r=>[...r.cells].map(c=>c.textContent))"""

WHYS = """return [...document.querySelectorAll('.why')].map(w=>({
    name:w.querySelector('summary bdi,summary b').textContent,
    uses:[...w.querySelector('.uses').children].map(u=>u.querySelector(':scope>.v').textContent),
    sum:[...w.querySelectorAll('.v')].at(-1).textContent,
    verdict:[...w.querySelectorAll('.good,.bad')].at(-1).textContent}))"""

# Colours as sRGB, relative luminance and contrast as WCAG 2 defines them
CONTRAST = """function light(c){const v=c.match(/[\\d.]+/g).slice(0,3).map(x=>x/255)
        .map(x=>x<=0.04045?x/12.92:((x+0.055)/1.055)**2.4);return 0.2126*v[0]+0.7152*v[1]+0.0722*v[2]}
function contrast(a,b){a=light(a);b=light(b);return (Math.max(a,b)+0.05)/(Math.min(a,b)+0.05)}
const paper=getComputedStyle(document.body).backgroundColor,found=[];
document.querySelectorAll('body,p,.soft,.v,.good,td,summary').forEach(e=>
    found.push([e.tagName+'.'+e.className,contrast(getComputedStyle(e).color,paper)]));
document.querySelectorAll('.n').forEach(g=>g.querySelectorAll('text').forEach(t=>found.push(['node',
    contrast(getComputedStyle(t).fill,getComputedStyle(g.querySelector('rect')).fill)])));
return [light(paper),found.filter(x=>x[1]<4.5)]"""


def numbers(text):
    return [float(x) for x in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text)]


def values(amount):
    """The values of "norm 1.2, value [3, 4] zero to rounding, ..." """
    found = re.search(r"value ([\[\]\d.,e+ -]*)", amount)
    return numbers(found[1]) if found else None


def near(found, expected, tolerance=1e-5):
    scale = max(map(abs, expected), default=0)
    return len(found) == len(expected) and all(abs(a - b) <= tolerance * max(abs(b), scale) for a, b in zip(found, expected))


def quiet(browser, path):
    """The console is empty, and only the page was requested."""
    said = browser.log("browser")
    check(not said, path.name, "the console says", said[:3])
    asked = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    urls = {x["params"]["request"]["url"] for x in asked if x["method"] == "Network.requestWillBeSent"}
    check(path.as_uri() in urls, path.name, "requests are not seen", urls)
    check(all(url == path.as_uri() or url.startswith("data:") for url in urls), path.name, "asks for", urls)


def look(browser, path):
    """Properties of any page, in either scheme and at any width."""
    for scheme, width in [("light", 1280), ("dark", 1280), ("light", 400), ("dark", 400)]:
        browser.open(path, scheme, width)
        at = (path.name, scheme, width)
        browser.run("document.querySelectorAll('details').forEach(d=>d.open=true)")
        whole, visible, beyond = browser.run(OVERFLOW)
        check(whole <= visible and not beyond, *at, "overflows:", whole, "of", visible, beyond[:3])
        drawn, empty = browser.run(BOXLESS)
        check(drawn > 20 and not empty, *at, "formulas without a box:", drawn, empty[:3])
        check(all(browser.run(FRACTIONS)), *at, "a numerator is not above its denominator")
        paper, faint = browser.run(CONTRAST)
        check((paper > 0.8) == (scheme == "light") and not faint, *at, "colours:", paper, faint[:5])
        quiet(browser, path)


def show(browser, name):
    browser.point(browser.element(NODE, name))
    return browser.run(INFO)


def check_node(browser, name, value, gradient, words):
    info = show(browser, name)
    check(near(numbers(info["value"][0]), value), name, "has value", info, "not", value)
    check(near(numbers(info["gradient"][0]), gradient), name, "has gradient", info, "not", gradient)
    check(info.get("formula", [""])[0].replace(" ", "") == words, name, "is", info.get("formula"), "not", words)
    check("formula" not in info or info["formula"][1] == 1, name, "the formula is no MathML", info)


def check_sums(browser):
    """Each gradient is the sum of the contributions of its paths, and equals the one in the table."""
    table = {row[0]: numbers(row[3]) for row in browser.run(TABLE)}
    whys = browser.run(WHYS)
    check(len(whys) == len(table) - 1, "explained are", [why["name"] for why in whys], "not", list(table))
    for why in whys:
        gradient = table[why["name"].removeprefix("The gradient by ")]
        uses = [values(use) for use in why["uses"]]
        total = [sum(column) for column in zip(*uses)]
        check(near(total, gradient, 2e-5), why["name"], "paths", uses, "do not add up to", gradient)
        check(near(values(why["sum"]), gradient), why["name"], "sum", why["sum"], "is not", gradient)
        check(why["verdict"] == "It is the gradient.", why["name"], why["verdict"])


# ---- Batch normalisation, by its closed forms

Z = [[1.1, -2.3], [3.2, 0.4], [-0.9, 1.6], [2.1, 4.2]]
G = [[0.3, -0.2], [0.1, 0.4], [-0.5, 0.2], [0.7, -0.6]]
BW = [1.2, 0.8]


def columns(a):
    return [[row[j] for row in a] for j in range(2)]


def mean(a):
    return sum(a) / len(a)


def check_batchnorm(browser, path):
    browser.open(path)
    m = [mean(z) for z in columns(Z)]
    v = [mean([(a - mu) ** 2 for a in z]) for z, mu in zip(columns(Z), m)]
    s = [(var + 1e-5) ** -0.5 for var in v]
    dv = [-0.5 * sum(g * w * (z - mu) * sd**3 for g, z in zip(gs, zs)) for gs, zs, w, mu, sd in zip(columns(G), columns(Z), BW, m, s)]
    dm = [-sum(g * w * sd for g in gs) for gs, w, sd in zip(columns(G), BW, s)]
    check_node(browser, "M", m, dm, "M=mean0(Z)")
    check_node(browser, "V", v, dv, "V=mean0(D2)")
    check_node(browser, "BW", BW, [sum(g * (z - mu) * sd for g, z in zip(gs, zs)) for gs, zs, mu, sd in zip(columns(G), columns(Z), m, s)], "")
    names = browser.run("return [...document.querySelectorAll('.n')].map(g=>g.querySelector('text').textContent)")
    for name in ["M", "D", "V", "NZ", "BZ", "Z", "BW", "Bb"]:
        check(f"∂L/∂{name}" in names, "no gradient by", name, "is drawn")
    info = show(browser, "∂L/∂M")
    check(near(numbers(info["value"][0]), dm) and "∂L/∂V" in info["formula"][0], "∂L/∂M", info)
    check_sums(browser)
    second = browser.run("""const w=[...document.querySelectorAll('.why')].find(w=>/by M$/.test(w.querySelector('summary').textContent));
        return [...w.querySelectorAll('.use')].filter(u=>/ = V:/.test(u.textContent.split('norm')[0]))
            .map(u=>u.querySelector(':scope>.v').textContent)""")
    check(second and all("zero to rounding" in x for x in second), "the mean's path through the variance:", second)
    quiet(browser, path)


# ---- An expression typed by hand, by pointer and by keyboard

TYPED = ["s = sigmoid(x*w + b); mean(s)", "x:[1,-2]", "w:[0.5,2]", "b:0.25"]


def marked(browser):
    return browser.run("return [...document.querySelectorAll('.n[aria-pressed=true],.n.on')].map(g=>g.querySelector('text').textContent)")


def check_typed(browser, path):
    browser.open(path)
    s = [1 / (1 + math.exp(-(x * w + 0.25))) for x, w in [(1, 0.5), (-2, 2)]]
    ds = [a * (1 - a) / 2 for a in s]
    check("Point at a node" in browser.run("return document.getElementById('info').textContent"), "the page says what to do")
    check_node(browser, "s", s, [0.5, 0.5], "s=σ(x⊙w+b)")
    check_node(browser, "x", [1, -2], [ds[0] * 0.5, ds[1] * 2], "")
    check_node(browser, "w", [0.5, 2], [ds[0], -2 * ds[1]], "")
    check_node(browser, "b", [0.25], [sum(ds)], "")
    check_sums(browser)

    browser.click(browser.element(NODE, "w"))
    check(show(browser, "s")["name"][0] == "w" and marked(browser) == ["w"], "a click does not fix w")
    browser.click(browser.element(NODE, "s"))
    check(show(browser, "x")["name"][0] == "s" and marked(browser) == ["s"], "a click does not go over to s")
    browser.click(browser.element(NODE, "s"))
    check(show(browser, "x")["name"][0] == "x", "a second click does not let go")

    browser.open(path)
    browser.run("document.activeElement.blur();window.scrollTo(0,0)")
    reached = []
    for _ in range(60):
        browser.press(TAB)
        name = browser.run("const e=document.activeElement;return e.matches('.n')?e.querySelector('text').textContent:null")
        if name:
            reached.append(name)
            check(browser.run(INFO)["name"][0] == name, "focus does not show", name)
        elif reached:
            break
    count = browser.run("return document.querySelectorAll('.n').length")
    check(len(reached) == count, "Tab reaches", reached, "of", count)
    for key in (ENTER, SPACE):
        browser.run(f"({NODE}).focus()", "w")
        browser.press(key)
        check(show(browser, "s")["name"][0] == "w", "a key does not fix w")
        browser.press(ESCAPE)
        check(show(browser, "x")["name"][0] == "x", "Escape does not let go")
        browser.run("document.activeElement.blur()")
    quiet(browser, path)


# ---- Hostile text

HOSTILE = ["</script><script>window.hit=1</script>", "<img src=x onerror='window.hit=1'>", "a&amp;\"b\"'c'&lt;]]>",
           "\u202egnp.\u2066exe", "__proto__", "</title></style></svg></math><b>", "{{1}}${1}`\\u0041", "-->"]


def check_labels(browser, path):
    browser.open(path)
    browser.run("document.querySelectorAll('details').forEach(d=>d.open=true)")
    check(browser.run("return window.hit===undefined&&document.scripts.length===1&&document.images.length===0"), "text became a script")
    check(browser.run("return document.querySelectorAll('style').length===1&&document.querySelectorAll('svg').length===1"), "markup")
    check(browser.run("return document.title") == browser.run("return document.querySelector('h1').textContent") == HOSTILE[0], "the title")
    check(browser.run("return document.querySelector('pre').textContent") == HOSTILE[0], "the expression")
    rows = [row[0] for row in browser.run(TABLE)]
    check(rows == [label for label in HOSTILE for _ in range(2)] + ['"-->", the result'], "labels in the table", rows)
    bold = browser.run("return [...document.querySelectorAll('.use b')].map(b=>b.textContent)")
    math_text = browser.run("return [...document.querySelectorAll('math mtext,math mi')].map(b=>b.textContent)")
    titles = browser.run("return [...document.querySelectorAll('.n title')].map(b=>b.textContent)")
    for label in HOSTILE[:-1]:
        check(any(label in text for text in bold), "not among the paths:", label, bold)
        check(label[:10] in " ".join(math_text), "not in a formula:", label)
        check(any(text.startswith(label + " =") for text in titles), "no node has it:", label)
    count = browser.run("return document.querySelectorAll('.n').length")
    for i in range(count):
        browser.point(browser.element("document.querySelectorAll('.n')[arguments[0]]", i))
    check(browser.run("return window.hit===undefined&&document.images.length===0"), "hovering made markup of text")
    loose = browser.run("return [...document.querySelectorAll('.use b,summary bdi,td,text,h1,pre,dd')].filter(e=>"
                        "!/isolate|plaintext/.test(getComputedStyle(e).unicodeBidi)&&getComputedStyle(e).display==='inline')"
                        ".map(e=>e.outerHTML.slice(0,60))")
    check(not loose, "direction of writing leaks out of", loose[:3])
    quiet(browser, path)


def main():
    driver = shutil.which("chromedriver")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not driver or not chromium:
        print("no chromedriver and chromium: ./dev test --browser installs them")
        sys.exit(77)
    program, labels = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = pathlib.Path(temporary)
        pages = {name: folder / (name + ".html") for name in ("batchnorm", "typed", "network", "labels")}
        for name, arguments in [("batchnorm", ["--builtin", "batchnorm"]), ("typed", TYPED), ("network", ["--builtin", "network"])]:
            subprocess.run([program, *arguments, "--html", pages[name]], check=True, capture_output=True, timeout=100)
        subprocess.run([labels, pages["labels"], HOSTILE[0], *HOSTILE], check=True, timeout=100)
        browser = Browser(driver, chromium, str(folder / "profile"))
        try:
            for path in pages.values():
                look(browser, path)
            check_batchnorm(browser, pages["batchnorm"])
            check_typed(browser, pages["typed"])
            check_labels(browser, pages["labels"])
        finally:
            browser.close()
    print(len(failures), "failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
