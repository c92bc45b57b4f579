/* page -- the report as one HTML file, which loads nothing; its script is for hovering alone
 *
 * Invariant: text from outside goes through put_escaped; formulas are MathML, whose text the library has escaped. */
#include "examples/explain/explain.h"

#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6675;--paper:#fff;--panel:#f3f5f8;--edge:#c9d0da;"
    "--forward:#e3edfb;--forward-edge:#3b6fb6;--back:#fdeadf;--back-edge:#b8622a;--good:#1e7d43;--bad:#b3261e}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e3e8ef;--soft:#9aa5b4;--paper:#14181e;--panel:#1e242d;--edge:#"
    "3b4553;"
    "--forward:#1c3150;--forward-edge:#7fb0f0;--back:#472a18;--back-edge:#eb9c66;--good:#67cf8f;--bad:#ff8a80}}\n"
    "body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\n"
    "h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1rem 0 "
    ".3rem}\n"
    "code,pre,td,.v,svg{font-family:ui-monospace,monospace;font-size:.85rem}\n"
    "pre{background:var(--panel);padding:.7rem;border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "table{border-collapse:collapse;overflow-wrap:normal}th,td{text-align:left;vertical-align:top;padding:.2rem .7rem "
    ".2rem 0;"
    "border-bottom:1px solid var(--edge)}\n"
    ".wide{overflow-x:auto;overflow-y:hidden;padding-bottom:.4rem}.v,.soft{color:var(--soft)}.v{overflow-wrap:anywhere}"
    "\n"
    ".good{color:var(--good)}.bad{color:var(--bad)}.good,.bad{font-weight:600}\n"
    ".uses{border-left:2px solid var(--edge);margin:.3rem 0 .3rem .4rem;padding-left:.9rem}"
    ".use{margin:.5rem "
    "0}.why{margin-top:1.4rem}summary{cursor:pointer}math{font-size:1.1em}math,mtable{math-style:normal}"
    "mtd{text-align:left}math[display=block]{width:max-content;margin:.4rem 0}b,code{unicode-bidi:isolate}\n"
    ".key span{padding:.1rem .5rem;border-radius:4px;border:1px solid;margin-right:.5rem}"
    ".key .f{background:var(--forward);border-color:var(--forward-edge)}"
    ".key .b{background:var(--back);border-color:var(--back-edge)}\n"
    "#info{position:sticky;bottom:0;background:var(--panel);border:1px solid var(--edge);border-radius:6px;"
    "padding:.5rem .8rem;margin:.5rem 0;max-height:14rem;overflow:auto}"
    "#info dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem;margin:0}"
    "#info "
    "dd{margin:0;min-width:0;overflow-x:auto;overflow-y:hidden;font-family:ui-monospace,monospace;font-size:.85rem;"
    "overflow-wrap:anywhere}@media(max-width:40rem){#info dl{grid-template-columns:1fr}}\n"
    "#graph{display:block;margin:auto}"
    ".n rect{fill:var(--forward);stroke:var(--forward-edge)}.n.back rect{fill:var(--back);stroke:var(--back-edge);"
    "stroke-dasharray:4 2}.n.result rect{stroke-width:3}.n{cursor:pointer;outline:none}"
    ".n text{text-anchor:middle;fill:var(--ink);font-size:13px}.n .s{font-size:10px;fill:var(--soft)}"
    ".n:hover rect,.n:focus rect,.n.on rect{stroke-width:3;filter:brightness(1.08)}"
    ".n[aria-pressed] rect{stroke:var(--ink)}\n"
    ".e{fill:none;stroke:var(--forward-edge);stroke-width:1.2;opacity:.75}.e.b{stroke:var(--back-edge)}"
    ".e.a{stroke-dasharray:3 3;opacity:.45}.e.on{stroke-width:2.6;opacity:1}#tip path{fill:var(--soft)}\n";

static const char script[] =
    "(function(){var info=document.getElementById('info'),pinned=null;if(!info)return;\n"
    "function mark(list,name,on){list.forEach(function(e){e.classList.toggle(name,on)})}\n"
    "function show(g){var row=document.getElementById('node'+g.dataset.node),dl=document.createElement('dl');\n"
    "var heads=row.parentNode.rows[0].cells;for(var "
    "i=0;i<heads.length;i++){if(!row.cells[i].hasChildNodes())continue;\n"
    "var t=document.createElement('dt'),d=document.createElement('dd');t.textContent=heads[i].textContent;\n"
    "d.append(...row.cells[i].cloneNode(true).childNodes);dl.append(t,d)}\n"
    "info.replaceChildren(dl);mark(document.querySelectorAll('.on'),'on',false);\n"
    "mark([g,...document.querySelectorAll('.e[data-from=\"'+g.dataset.node+'\"]')],'on',true)}\n"
    "function pin(g){if(pinned)pinned.removeAttribute('aria-pressed');pinned=g;\n"
    "if(g){g.setAttribute('aria-pressed','true');show(g)}}\n"
    "document.querySelectorAll('.n').forEach(function(g){function look(){if(!pinned)show(g)}\n"
    "function press(){pin(pinned===g?null:g)}\n"
    "g.addEventListener('mouseenter',look);g.addEventListener('focus',look);g.addEventListener('click',press);\n"
    "g.addEventListener('keydown',function(e){if(e.key==='Enter'||e.key===' '){e.preventDefault();press()}})});\n"
    "document.addEventListener('keydown',function(e){if(e.key==='Escape')pin(null)})})();\n";

void put_escaped(FILE *file, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&': fputs("&amp;", file); break;
        case '<': fputs("&lt;", file); break;
        case '>': fputs("&gt;", file); break;
        case '"': fputs("&quot;", file); break;
        case '\'': fputs("&#39;", file); break;
        default: fputc(*text, file);
        }
    }
}

/* ---- Reading the explanation's JSON, known to be well formed */

static const char *skip_string(const char *j) {
    for (j++; *j && *j != '"'; j++)
        if (*j == '\\' && j[1]) j++;
    return *j ? j + 1 : j;
}

static const char *skip(const char *j) {
    int depth = 0;
    do {
        if (*j == '"') {
            j = skip_string(j);
            continue;
        }
        depth += (*j == '[' || *j == '{') - (*j == ']' || *j == '}');
        if (depth < 0) return j;
        j++;
    } while (*j && (depth > 0 || !strchr(",]}", *j)));
    return j;
}

static const char *space(const char *j) { return j + strspn(j, " \n"); }

static const char *field(const char *object, const char *name) {
    size_t n = strlen(name);
    const char *j = space(object + 1);
    while (*j == '"') {
        const char *value = space(skip_string(j));
        value = space(*value == ':' ? value + 1 : value);
        if (strncmp(j + 1, name, n) == 0 && j[n + 1] == '"') return value;
        j = space(skip(value));
        if (*j == ',') j = space(j + 1);
    }
    return "null";
}

/* The next element of an array, from its bracket or an element; NULL at the end. */
static const char *next(const char *j, bool first) {
    if (*j != '[' && first) return NULL;
    j = space(first ? j + 1 : skip(j));
    if (!first && *j == ',') j = space(j + 1);
    else if (!first) return NULL;
    return *j == ']' || !*j ? NULL : j;
}

/* Prints the text of a string, escaped again unless it is MathML. */
static void put_string(FILE *file, const char *j, bool markup) {
    if (*j != '"') return;
    for (j++; *j && *j != '"'; j++) {
        char c[2] = {*j, 0};
        if (*j == '\\' && *++j == 'u') {
            size_t digits = strspn(j + 1, "0123456789abcdefABCDEF");
            j += digits < 4 ? digits : 4;
            c[0] = '?';
        } else if (c[0] == '\\') c[0] = *j == 'n' || *j == 't' ? ' ' : *j;
        if (!*j) return;
        if (markup) fputs(c, file);
        else put_escaped(file, c);
    }
}

/* With six digits; NaN and infinities are strings. */
static void put_number(FILE *file, const char *j) {
    if (*j == '"') put_string(file, j, false);
    else fprintf(file, "%.6g", strtod(j, NULL));
}

/* Prints a list in row-major order as nested lists of the shape. */
static void put_elements(FILE *file, const char *values, const char *shape) {
    long extent[AG_MAX_RANK], i = 0;
    int rank = 0;
    for (const char *j = next(shape, true); j && rank < AG_MAX_RANK; j = next(j, false))
        extent[rank++] = strtol(j, NULL, 10);
    for (const char *j = next(values, true); j; j = next(j, false), i++) {
        long block = 1;
        int opens = 0, closes = 0;
        for (int k = rank; k-- > 0;) {
            block *= extent[k];
            opens += i % block == 0;
            closes += (i + 1) % block == 0;
        }
        if (i) fputs(", ", file);
        while (opens-- > 0) fputc('[', file);
        put_number(file, j);
        while (closes-- > 0) fputc(']', file);
    }
}

/* ---- Paths */

static void put_through(FILE *file, const char *use) {
    const char *separator = "through ";
    for (const char *step = next(field(use, "through"), true); step; step = next(step, false)) {
        fputs(separator, file);
        fputs("<code>", file);
        put_string(file, field(step, "op"), false);
        fputs("</code>", file);
        separator = " → ";
    }
    fputs(" = <b>", file);
    put_string(file, field(use, "name"), false);
    fputs("</b>: ", file);
}

static void put_amount(FILE *file, const char *of, const char *shape) {
    fputs("<div class=\"v\">norm ", file);
    put_number(file, field(of, "norm"));
    if (*field(of, "values") != 'n') {
        fputs(", value ", file);
        put_elements(file, field(of, "values"), shape);
    }
    if (*field(of, "zero") == '"') {
        fputs(" <span class=\"good\">zero", file);
        fputs(strncmp(field(of, "zero"), "\"rounding", 9) == 0 ? " to rounding</span>, which may leave "
                                                               : "</span> exactly ",
              file);
        if (field(of, "zero")[1] == 'r') put_number(file, field(of, "rounding"));
    }
    fputs("</div>\n", file);
}

static void put_uses(FILE *file, const char *uses, const char *shape) {
    fputs("<div class=\"uses\">\n", file);
    for (const char *use = next(uses, true); use; use = next(use, false)) {
        const char *inner = field(use, "uses");
        bool folds = next(inner, true) != NULL;
        fputs(folds ? "<details class=\"use\" open><summary>" : "<div class=\"use\">", file);
        put_through(file, use);
        put_string(file, field(use, "formula"), true);
        fputs(folds ? "</summary>" : "", file);
        put_amount(file, use, shape);
        if (folds) put_uses(file, inner, shape);
        fputs(folds ? "</details>\n" : "</div>\n", file);
    }
    fputs("</div>\n", file);
}

static void put_where(FILE *file, const char *where) {
    const char *first = next(where, true);
    if (first) fputs("<div class=\"soft\">where", file);
    for (const char *at = first; at; at = next(at, false)) {
        fputs(" <span>", file);
        put_string(file, field(at, "name"), false);
        fputs(" = ", file);
        put_string(file, field(at, "formula"), true);
        fputs("</span>;", file);
    }
    if (first) fputs("</div>\n", file);
}

void put_paths(FILE *file, const char *json) {
    if (*json != '{') return;
    const char *shape = field(field(json, "x"), "shape");
    put_uses(file, field(json, "uses"), shape);
    long more = strtol(field(json, "more_uses"), NULL, 10);
    if (more > 0) fprintf(file, "<p>and %ld more uses</p>\n", more);
    fputs("<div>Their sum: ", file);
    put_amount(file, field(json, "sum"), shape);
    bool agrees = strncmp(field(json, "agrees"), "true", 4) == 0;
    fprintf(file, "<span class=\"%s\">%s</span></div>\n", agrees ? "good" : "bad",
            agrees ? "It is the gradient." : "It differs from the gradient.");
    put_where(file, field(json, "where"));
}

/* ---- The page */

static const char *mathml(ag_tensor *x) { return ag_formula(x, &(ag_formula_options){.style = AG_STYLE_MATHML}); }

static void put_head(FILE *file, const report *r) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          file);
    put_escaped(file, r->title);
    fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
    put_escaped(file, r->title);
    fputs("</h1>\n", file);
    if (r->said) {
        fputs("<p>", file);
        put_escaped(file, r->said);
        fputs("</p>\n", file);
    }
    fputs("<pre>", file);
    for (const char *c = r->s->program.text; *c; c++) {
        char text[2] = {*c, 0};
        put_escaped(file, text);
        if (*c == ';' && c[1]) fputs("\n", file), c += c[1] == ' ';
    }
    fputs("</pre>\n", file);
}

static void put_check(FILE *file, const report *r) {
    const ag_gradcheck_report *c = &r->check;
    fprintf(file, "<p><span class=\"%s\">%s</span> %lld comparisons with finite differences, order %d",
            c->passed ? "good" : "bad",
            c->passed ? "The gradients are right:" : "The check fails:", (long long)c->checked, r->order);
    if (c->kinks) fprintf(file, ", %lld of them at a kink", (long long)c->kinks);
    fputs(".</p>\n", file);
    if (c->passed) return;
    fputs("<pre>", file);
    put_escaped(file, c->message);
    fputs("</pre>\n", file);
}

static void put_values(FILE *file, const report *r) {
    fputs("<h2>Value and gradients</h2>\n<div class=\"wide\"><table>\n<tr><th>name</th><th>shape</th><th>value</th>"
          "<th>gradient</th></tr>\n",
          file);
    for (int i = 0; i < r->named; i++) {
        fputs("<tr><td>", file);
        put_escaped(file, ag_label_of(r->x[i]));
        fputs("</td><td>", file);
        put_shape(file, r->x[i]);
        fputs("</td><td>", file);
        put_value(file, r->x[i], 64);
        fputs("</td><td>", file);
        put_value(file, r->dx[i], 64);
        fputs("</td></tr>\n", file);
    }
    const char *itself = ag_explain(r->y, r->y, &(ag_explain_options){.json = true});
    fputs("<tr><td><b>", file);
    put_string(file, *itself ? field(field(itself, "y"), "name") : itself, false); /* as explanations call it */
    fputs("</b>, the result</td><td>", file);
    put_shape(file, r->y);
    fputs("</td><td>", file);
    put_value(file, r->y, 64);
    fprintf(file, "</td><td>%s</td></tr>\n</table></div>\n", ag_size(r->y) == 1 ? "1" : "ones");
}

static void put_reasons(FILE *file, const report *r) {
    ag_explain_options o = {.json = true, .style = AG_STYLE_MATHML, .depth = r->depth ? r->depth : 3, .values = 24};
    fputs("<h2>Why each gradient is what it is</h2>\n<p class=\"soft\">Each use of a value contributes; the "
          "contributions add up. A use is followed to the next value that has a name or is used more than once.</p>\n",
          file);
    for (int i = 0; i < r->named; i++) {
        fputs("<details class=\"why\" open><summary><b>The gradient by <bdi>", file);
        put_escaped(file, ag_label_of(r->x[i]));
        fprintf(file, "</bdi></b></summary>\n<div class=\"wide\">%s</div>\n", mathml(r->dx[i]));
        fputs("<div class=\"wide\">", file);
        put_paths(file, ag_explain(r->y, r->x[i], &o));
        fputs("</div></details>\n", file);
    }
}

bool write_page(const report *r, const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) return false;
    put_head(file, r);
    put_check(file, r);
    fprintf(file, "<h2>Formula</h2>\n<div class=\"wide\">%s</div>\n", mathml(r->y));
    put_values(file, r);
    fputs("<h2>Graph</h2>\n<p class=\"key\"><span class=\"f\">forward</span><span class=\"b\">backward</span>"
          "Round ends: inputs and constants. Dashed lines: values that the backward pass uses. Steps of it that lead "
          "to one "
          "gradient alone are drawn as part of that.</p>\n",
          file);
    put_graph(file, r);
    put_reasons(file, r);
    fprintf(file, "<script>\n%s</script>\n</body>\n</html>\n", script);
    bool good = !ferror(file);
    return fclose(file) == 0 && good;
}
