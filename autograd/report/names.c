/* names -- what nodes are called in a report
 *
 * A node is called by its label, by its role (y, x), or by a letter and a number. Numbers are given when a name is
 * first written. Invariant: no two nodes are written alike: labels that are there several times have numbers too, and
 * no name that is made up is a label. */
#include "autograd/report/term.h"
#include "autograd/tape/format.h"

#include <inttypes.h>
#include <string.h>

enum { LONGEST_LABEL = 60 };

/* ---- Distinguishing names ---- */

static uint32_t hash(const char *s) {
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

/* The index of a label in the hash table, 0 … label_room−1, which is never full. */
static uint32_t slot_of(const ag__formulas *f, const char *label) {
    uint32_t i = hash(label) & (f->label_room - 1);
    while (f->labels[i] && strcmp(ag__about(f->labels[i])->label, label) != 0) i = (i + 1) & (f->label_room - 1);
    return i;
}

static bool is_label(const ag__formulas *f, const char *s) { return f->labels && f->labels[slot_of(f, s)] != NULL; }

/* "x" or "y" for those of an explanation, if they have no label and no other node has that one. */
static const char *role(const ag__formulas *f, const ag_tensor *t) {
    const char *name = t == f->y ? "y" : t == f->x ? "x" : NULL;
    return name && !is_label(f, name) ? name : NULL;
}

static const char *letter(const ag_tensor *t, int *which) {
    static const char *const letters[] = {"t", "c", "v", "p"};
    const ag_tensor *v = t->flags & AG__READ ? t->input[0] : t;
    *which = v->flags & AG__PARAMETER ? 3 : v->flags & AG__VARIABLE ? 2 : v->flags & AG__LEAF ? 1 : 0;
    return letters[*which];
}

/* The number that distinguishes t from others of its name, from 1. */
uint32_t ag__number_of(ag__formulas *f, const ag_tensor *t) {
    uint32_t *n = &f->entry[t->id].number;
    if (*n) return *n;
    if (ag__has_label(t)) return *n = ++f->copies[slot_of(f, ag__about(t)->label)];
    int which;
    char name[1 + AG__EXTENTS];
    name[0] = *letter(t, &which);
    do {
        *n = ++f->counters[which];
        ag__format_extents(name + 1, 1, &(int64_t){*n});
    } while (is_label(f, name));
    return *n;
}

/* ---- Writing ---- */

static void enqueue(ag__formulas *f, const ag_tensor *t) {
    bool wanted = f->entry[t->id].part || !(t->flags & AG__LEAF);
    if (!wanted || f->entry[t->id].next || t == f->y || t == f->x || (f->brief && ag__has_label(t))) return;
    f->wanted += !f->entry[t->id].part;
    f->entry[t->id].next = t->id + 1;
    if (f->last) f->entry[f->last - 1].next = t->id + 1;
    else f->first = t->id + 1;
    f->last = t->id + 1;
}

static bool is_plain(const char *s) {
    for (; *s; s++)
        if (!ag__in_word(*s) && *s != '.') return false;
    return true;
}

static void put_label(const ag__formulas *f, ag__text *t, const char *s) {
    static const ag__escape escapes[] = {AG__PLAIN, AG__LATEX, AG__XML};
    static const char *const odd[][2] = {{"\"", "\""}, {"\\text{", "}"}, {"<mtext>", "</mtext>"}};
    static const char *const even[][2] = {{"", ""}, {"\\mathrm{", "}"}, {"<mi>", "</mi>"}};
    const char *const *around = (is_plain(s) ? even : odd)[f->style];
    bool letter_alone = f->style == AG_STYLE_LATEX && s[1] == 0 && is_plain(s);
    if (!letter_alone) ag__put(t, around[0]);
    ag__put_escaped(t, s, strlen(s), LONGEST_LABEL, escapes[f->style]);
    if (!letter_alone) ag__put(t, around[1]);
}

void ag__put_name(ag__formulas *f, ag__text *t, const ag_tensor *x) {
    x = ag__canonical(x);
    const char *name = ag__has_label(x) ? NULL : role(f, x);
    if (name) {
        put_label(f, t, name);
        return;
    }
    uint32_t n = ag__number_of(f, x);
    enqueue(f, x);
    if (ag__has_label(x)) {
        if (n > 1) ag__put(t, f->style == AG_STYLE_MATHML ? "<msup>" : f->style == AG_STYLE_LATEX ? "{" : "");
        put_label(f, t, ag__about(x)->label);
        if (n == 1) return;
        if (f->style == AG_STYLE_MATHML) ag__putf(t, "<mrow><mo>(</mo><mn>%" PRIu32 "</mn><mo>)</mo></mrow></msup>", n);
        else ag__putf(t, f->style == AG_STYLE_LATEX ? "^{(%" PRIu32 ")}}" : "#%" PRIu32, n);
        return;
    }
    int which;
    const char *first = letter(x, &which);
    if (f->style == AG_STYLE_TEXT) ag__put(t, first), ag__put_whole(t, n);
    else if (f->style == AG_STYLE_LATEX) ag__putf(t, "%s_{%" PRIu32 "}", first, n);
    else ag__putf(t, "<msub><mi>%s</mi><mn>%" PRIu32 "</mn></msub>", first, n);
}

/* ---- All labels ---- */

/* Collect all labels, so that no generated name equals one. */
bool ag__list_labels(ag__formulas *f) {
    uint32_t labels = 0;
    size_t room = 16;
    if (!f->tape->labels) return true;
    for (uint32_t id = 0; id < f->tape->count; id++) labels += ag__has_label(ag__node(f->tape, id));
    while (room / 2 < labels) room *= 2;
    f->labels =
        room > UINT32_MAX ? NULL : ag__resize(f->tape, NULL, 0, ag__times(room, sizeof *f->labels + sizeof *f->copies));
    if (!f->labels) return false;
    memset(f->labels, 0, room * (sizeof *f->labels + sizeof *f->copies));
    f->copies = (uint32_t *)(f->labels + room);
    f->label_room = (uint32_t)room;
    for (uint32_t id = 0; id < f->tape->count; id++) {
        const ag_tensor *t = ag__node(f->tape, id);
        if (!ag__has_label(t)) continue;
        uint32_t slot = slot_of(f, ag__about(t)->label);
        if (!f->labels[slot]) f->labels[slot] = t;
    }
    return true;
}
