/* build -- the terms of a graph
 *
 * One reverse scan counts how often each node is needed; one forward scan makes a term of each. A term is used in one
 * place and moves there, unless its node has a name: then the term is kept as a part, and the name stands for it. What
 * has grown long is named. Invariant: terms are small, so that writing them, which recurses, stays shallow. */
#include "autograd/report/term.h"

enum { LONG = 30 };

/* Whether t is written as a name, and not looked into. */
static bool is_named(const ag__formulas *f, const ag_tensor *t) {
    return t == f->given || t == f->x || t == f->y || t->flags & AG__LEAF || f->entry[t->id].part ||
           (ag__has_label(t) ? f->brief : f->entry[t->id].number);
}

/* The same, when x is being written. */
static bool stands_for_itself(const ag__formulas *f, const ag_tensor *t, const ag_tensor *x) {
    return t != x ? is_named(f, t) : t == f->given || t->flags & AG__LEAF;
}

/* Counts n more uses of t, two at most; whether they are the first. */
static bool uses_more(ag__formulas *f, const ag_tensor *t, uint32_t n) {
    uint8_t *uses = &f->entry[t->id].uses;
    const bool first = n && !*uses;
    *uses = (uint8_t)(*uses + n > 2 ? 2 : *uses + n);
    return first;
}

/* Count how often each node in the formula of x is needed; returns the first of them. */
static uint32_t count_uses(ag__formulas *f, const ag_tensor *x) {
    uint32_t waiting = 1, id = x->id + 1;
    f->entry[x->id].uses = 1;
    while (waiting > 0) {
        if (!f->entry[--id].uses) continue;
        const ag_tensor *t = ag__node(f->tape, id);
        waiting--;
        if (stands_for_itself(f, t, x)) continue;
        const char *notation = ag__sound_notation(f, t);
        for (int i = 0; i < t->arity; i++) {
            const ag_tensor *input = ag__canonical(t->input[i]);
            waiting += uses_more(f, input, ag__mentions(notation, i));
            if (input->arity > 0)
                waiting += uses_more(f, ag__canonical(input->input[0]), ag__mentions_below(notation, i));
        }
    }
    return id;
}

/* Axes, from the last, along which the written value is narrower than t. */
static uint8_t narrow_axes(const ag__formulas *f, const ag_tensor *t) {
    unsigned narrow = 0;
    if (t->op->kind == AG_KIND_ELEMENTWISE && t->arity > 0) {
        narrow = 0xFF;
        for (int i = 0; i < t->arity; i++) narrow &= f->entry[ag__canonical(t->input[i])->id].narrow;
    } else if (t->op->kind == AG_KIND_VIEW && ag__is_transparent(t)) {
        const ag_tensor *x = ag__canonical(t->input[0]);
        const ag__layout *from = x->layout, *to = t->layout;
        narrow = f->entry[x->id].narrow;
        for (int i = 0; i < to->rank; i++)
            if (to->extent[to->rank - 1 - i] != 1 &&
                (i >= from->rank || from->extent[from->rank - 1 - i] != to->extent[to->rank - 1 - i]))
                narrow |= 1u << i;
    }
    return (uint8_t)narrow;
}

/* A constant number is written as such, and the given cotangent as ∂y/∂receiver. */
static ag__term *leaf_term(ag__formulas *f, const ag_tensor *t) {
    if (t == f->given) return ag__term_of_node(f, AG__TERM_COTANGENT, f->receiver);
    bool nameless = !ag__has_label(t) && !f->entry[t->id].number && t != f->x && t != f->y;
    if (t->op != &ag__op_constant || t->layout->size != 1 || !ag__is_real(t->dtype) || !nameless)
        return ag__term_of_node(f, AG__TERM_NAME, t);
    return ag__term_number(f, ag__get_element((ag_dtype)t->dtype, ag__values(t), 0));
}

/* Whether t is to have a name, its term being x. */
static bool deserves_name(const ag__formulas *f, const ag_tensor *t, ag__term *x) {
    bool plain = x->kind == AG__TERM_NAME || x->kind == AG__TERM_NUMBER || x->kind == AG__TERM_COTANGENT;
    return ag__has_label(t) || x->size > LONG || (f->entry[t->id].uses > 1 && !plain);
}

/* x, the term of t, with what goes without saying elsewhere: that it is repeated. */
ag__term *ag__whole_term(ag__formulas *f, const ag_tensor *t, ag__term *x) {
    if (!f->entry[t->id].narrow) return x;
    f->entry[t->id].narrow = 0;
    return ag__term_broadcast(f, t, x);
}

/* The term of x, whatever its own name. */
ag__term *ag__build_term(ag__formulas *f, const ag_tensor *x) {
    uint32_t low = count_uses(f, x);
    for (uint32_t id = low; id <= x->id && !f->failed; id++) {
        if (!f->entry[id].uses) continue;
        const ag_tensor *t = ag__node(f->tape, id);
        bool named = stands_for_itself(f, t, x);
        ag__term *y = named ? leaf_term(f, t) : ag__term_of(f, t);
        f->entry[id].narrow = named ? 0 : narrow_axes(f, t);
        if (!named && t != x && deserves_name(f, t, y)) {
            f->entry[id].part = ag__whole_term(f, t, y);
            f->wanted++;
            y = ag__term_of_node(f, AG__TERM_NAME, t);
        }
        f->entry[id].built = y;
        if (ag__has_label(t) && t != f->given) ag__number_of(f, t); /* the older first */
    }
    for (uint32_t id = low; id <= x->id; id++) f->entry[id].uses = 0;
    return f->failed ? f->none : f->entry[x->id].built;
}
