// Search in INDEX, which index.js has: entries [name, page, summary, kind, family]. Works from a file: nothing is fetched.
"use strict";

const box = document.getElementById("search"), list = document.getElementById("found"), root = document.body.dataset.root;

// How well an entry answers a word, smaller is better: its name, a part of the name, a word of the summary; else none.
function rank([name, , summary, , family], given) {
    const word = given.toLowerCase(), at = name.toLowerCase(), short = at.replace(/^ag_/, "");
    if (name === given) return -1;
    if (at === word || short === word) return 0;
    if (at.startsWith(word) || short.startsWith(word)) return 1;
    if (at.includes(word)) return 2;
    return `${summary} ${family}`.toLowerCase().includes(word) ? 3 : Infinity;
}

function search(text) {
    const words = text.split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    return INDEX.map((entry, i) => [words.reduce((sum, word) => sum + rank(entry, word), 0), entry[0].length, i])
        .filter(([badness]) => badness < Infinity)
        .sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2])
        .map(([, , i]) => INDEX[i]);
}

function show() {
    const found = search(box.value).slice(0, 30);
    list.replaceChildren(...found.map(([name, page, summary, kind], i) => {
        const item = document.createElement("li"), link = document.createElement("a"), small = document.createElement("small");
        link.href = root + page;
        link.textContent = name;
        small.textContent = summary || kind;
        link.classList.toggle("chosen", i === 0);
        link.append(small);
        item.append(link);
        return item;
    }));
    if (box.value.trim() && !found.length) list.textContent = "Nothing is called that.";
    list.hidden = !box.value.trim();
}

function choose(step) {
    const links = [...list.querySelectorAll("a")], now = links.findIndex(link => link.classList.contains("chosen"));
    const next = links[Math.min(links.length - 1, Math.max(0, now + step))];
    links.forEach(link => link.classList.toggle("chosen", link === next));
    if (next) next.scrollIntoView({ block: "nearest" });
}

box.addEventListener("input", show);
box.addEventListener("keydown", event => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        choose(event.key === "ArrowDown" ? 1 : -1);
        event.preventDefault();
    } else if (event.key === "Enter") list.querySelector("a.chosen")?.click();
    else if (event.key === "Escape") list.hidden = true;
});
document.addEventListener("click", event => { if (!event.target.closest(".search")) list.hidden = true; });
document.addEventListener("keydown", event => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
        box.focus();
        event.preventDefault();
    }
});
