/* formula -- the recorded expression of a tensor as text, LaTeX or MathML
 *
 * Three steps, none of which recurses over the graph: build.c makes terms of nodes, with what their notations say
 * (notation.c), in a simple form (term.c); names.c names what is long or needed several times; writing.c writes. Here
 * is what reports ask for, and ag_formula. */
#include "autograd/report/term.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

enum { DEFAULT_LINES = 100 };

/* ---- For the reports ---- */

/* The entries in memory of their own; NULL: they are `few`. */
static ag__entry *allocated(ag__formulas *f) { return f->entry == f->few ? NULL : f->entry; }

static bool more_entries(ag__formulas *f) {
    uint32_t room = ag__more_room(f->tape->count / 8 * 5, (uint64_t)f->tape->count + 64);
    size_t bytes = ag__times(room, sizeof(ag__entry));
    ag__entry *former = allocated(f),
              *more = room ? ag__resize(f->tape, former, former ? f->room * sizeof *more : 0, bytes) : NULL;
    if (!more) return false;
    if (!former) memcpy(more, f->few, sizeof f->few);
    memset(more + f->room, 0, (room - f->room) * sizeof *more);
    f->entry = more, f->room = room;
    return true;
}

static bool make_room(ag__formulas *f) {
    if (f->room < f->tape->count && !more_entries(f)) f->failed = true;
    return !f->failed;
}

bool ag__formulas_open(ag__formulas *f, ag_tape *tape, ag_style style, bool brief) {
    memset(f, 0, offsetof(ag__formulas, first_terms));
    f->tape = tape, f->style = style, f->brief = brief;
    f->entry = f->few, f->room = sizeof f->few / sizeof *f->few;
    f->block = &f->first_terms;
    f->block->before = NULL, f->block->used = 1;
    f->none = f->block->term;
    if (make_room(f) && ag__list_labels(f)) return true;
    ag__formulas_close(f);
    return false;
}

void ag__formulas_close(ag__formulas *f) {
    for (struct ag__term_slab *b = f->block, *before; b && b->before; b = before) {
        before = b->before;
        ag__resize(f->tape, b, sizeof *b, 0);
    }
    if (allocated(f)) ag__resize(f->tape, f->entry, f->room * sizeof *f->entry, 0);
    if (f->labels) ag__resize(f->tape, f->labels, f->label_room * (sizeof *f->labels + sizeof *f->copies), 0);
    f->block = NULL, f->entry = NULL, f->labels = NULL;
}

ag__term *ag__add_formula(ag__formulas *f, ag__term *x, const ag_tensor *t, const ag_tensor *g,
                          const ag_tensor *receiver) {
    if (!make_room(f)) return 0;
    f->given = g;
    f->receiver = receiver;
    ag__term *y = ag__build_term(f, t);
    f->given = NULL;
    return x ? ag__term_sum(f, y, x) : y;
}

void ag__put_formula(ag__formulas *f, ag__text *t, ag__term *x, bool alone) {
    ag__writing w = {f, t, f->style};
    if (f->failed) return;
    if (alone) ag__put3(&w, "", "", "<math xmlns=\"http://www.w3.org/1998/Math/MathML\">");
    ag__put_term(&w, x);
    if (alone) ag__put3(&w, "", "", "</math>");
}

void ag__give_name(ag__formulas *f, const ag_tensor *t) {
    if (make_room(f) && !ag__has_label(t)) ag__number_of(f, t);
}

const ag_tensor *ag__next_part(ag__formulas *f) {
    if (!f->first) return NULL;
    const ag_tensor *t = ag__node(f->tape, f->first - 1);
    uint32_t next = f->entry[t->id].next;
    f->first = next == t->id + 1 ? 0 : next;
    if (!f->first) f->last = 0;
    f->wanted--;
    if (!f->entry[t->id].part && make_room(f)) {
        ag__term *x = ag__build_term(f, t);
        f->entry[t->id].part = ag__whole_term(f, t, x);
    }
    return f->failed ? NULL : t;
}

/* ---- ag_formula ---- */

static void put_line(const ag__writing *w, const ag_tensor *x, ag__term *y, bool named, bool alone) {
    ag__put3(w, "", "", alone ? "" : "<mtr><mtd>");
    if (named) ag__put_name(w->f, w->t, x);
    if (named) ag__put3(w, " = ", alone ? " = " : " &= ", alone ? "<mo>=</mo>" : "</mtd><mtd><mo>=</mo></mtd><mtd>");
    else if (!alone) ag__put3(w, "", "&", "</mtd><mtd></mtd><mtd>");
    ag__put_term(w, y);
    ag__put3(w, "", "", alone ? "" : "</mtd></mtr>");
}

/* y is the term of x, so it is known by now whether there are parts. */
static void put_lines(const ag__writing *w, const ag_tensor *x, ag__term *y, int lines) {
    ag__formulas *f = w->f;
    bool alone = f->wanted == 0;
    const ag_tensor *part;
    f->entry[x->id].next = x->id + 1; /* x is not a part of itself */
    ag__put3(w, "", alone ? "" : "\\begin{aligned} ",
             "<math xmlns=\"http://www.w3.org/1998/Math/MathML\" display=\"block\">");
    ag__put3(w, "", "", alone ? "" : "<mtable>");
    put_line(w, x, y, ag__has_label(x), alone);
    for (int i = 0; i < lines && (part = ag__next_part(f)) != NULL; i++) {
        ag__put3(w, i ? "\n        " : "\n  where ", " \\\\ ", "");
        put_line(w, part, f->entry[part->id].part, true, false);
    }
    if (f->wanted) {
        ag__put3(w, "\n        … ", " \\\\ &\\text{… ", "<mtr><mtd></mtd><mtd></mtd><mtd><mtext>… ");
        ag__putf(w->t, "%" PRIu32 " more", f->wanted);
        ag__put3(w, "", "}", "</mtext></mtd></mtr>");
    }
    ag__put3(w, "", alone ? "" : " \\end{aligned}", alone ? "</math>" : "</mtable></math>");
}

const char *ag_formula(ag_tensor *x, const ag_formula_options *options) {
    static const char name[] = "formula";
    int line;
    const char *file = ag__here_file(&line), *result = "";
    ag_formula_options o = options ? *options : (ag_formula_options){0};
    ag__formulas f;
    ag_tape *tape = ag_tape_of(x);
    if (!ag__usable(name, x))
        ;
    else if ((unsigned)o.style > AG_STYLE_MATHML || o.lines < 0)
        ag__fail(name, 1, &x, AG_ERR_RANGE, "style %d, %d lines", (int)o.style, o.lines);
    else if (!ag__formulas_open(&f, tape, o.style, o.brief))
        ag__fail(name, 1, &x, AG_ERR_MEMORY, "out of memory (the names of %u nodes)", tape->count);
    else {
        char first[400];
        ag__text text = {.tape = tape, .lent = first, .bytes = first, .room = sizeof first};
        ag__term *y = ag__build_term(&f, x);
        if (!f.failed) put_lines(&(ag__writing){&f, &text, o.style}, x, y, o.lines ? o.lines : DEFAULT_LINES);
        text.failed |= f.failed;
        ag__formulas_close(&f);
        result = ag__text_finish(&text, name);
    }
    ag__leave(tape, file, line);
    return result;
}
