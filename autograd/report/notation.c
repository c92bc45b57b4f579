/* notation -- an operation's notation, read as a term
 *
 * A notation is a formula with places for the inputs, the attributes and the shape: its grammar is in
 * docs/adding-an-op.md. It may be a user's, so it is first read for trial. An invalid one counts as none, and the
 * node is written as a call. Invariant: nothing here recurses over the graph; the depth of a notation is bounded. */
#include "autograd/report/term.h"
#include "autograd/tape/basis.h"

#include <stdatomic.h>
#include <string.h>

enum { DEEPEST_NOTATION = 40, LONGEST_NOTATION = 1000 };

/* ---- About a node ---- */

/* NULL: it has none. */
static const char *notation_of(const ag_tensor *t) {
    if (!t->op->notation_of) return t->op->notation;
    ag__closed former = ag__close(t->tape, AG__NOTATION, t->op->name);
    const char *notation = t->op->notation_of(t);
    ag__reopen(t->tape, former);
    return notation;
}

bool ag__is_transparent(const ag_tensor *t) {
    const char *notation = notation_of(t);
    return notation && strcmp(notation, "{0}") == 0;
}

/* A version that still has its variable's value is written as the variable. */
const ag_tensor *ag__canonical(const ag_tensor *t) {
    return t->flags & AG__READ && t->buffer && t->buffer == t->input[0]->buffer ? t->input[0] : t;
}

/* The number of an input or an attribute, which stops at 999. */
static int index_at(const char *s) {
    int n = 0;
    while (*s >= '0' && *s <= '9' && n < 100) n = 10 * n + (*s++ - '0');
    return n;
}

/* How often a notation mentions input i; NULL: once. */
uint32_t ag__mentions(const char *notation, int i) {
    uint32_t n = !notation;
    for (const char *s = notation; s && (s = strchr(s, '{')) != NULL; s++)
        n += s[1] == '*' || (s[1] >= '0' && s[1] <= '9' && index_at(s + 1) == i);
    return n;
}

uint32_t ag__mentions_below(const char *notation, int i) {
    uint32_t n = 0;
    for (const char *s = notation; s && (s = strstr(s, "{^")) != NULL; s++) n += index_at(s + 2) == i;
    return n;
}

/* The axes of a reduction as bits; 0: not a reduction. */
uint32_t ag__reduced_axes(const ag_tensor *t) {
    ag_axes_set set = {0};
    if (t->op->kind == AG_KIND_REDUCTION && t->attribute_bytes == sizeof set)
        memcpy(&set, ag__attributes(t), sizeof set);
    return set.mask;
}

/* ---- Reading ---- */

/* The parser of one notation; `wrong`: it is invalid. */
typedef struct parser {
    ag__formulas *f;
    const ag_tensor *t;
    const char *s;
    int depth;
    bool wrong;
    bool rehearsing; /* only to check the notation: there are no operands yet */
} parser;

static ag__term *expression(parser *p, int level);

static bool accept(parser *p, const char *token) {
    const char *s = p->s;
    while (*s == ' ') s++;
    p->s = s;
    while (*token)
        if (*s++ != *token++) return false;
    p->s = s;
    return true;
}

static void expect(parser *p, const char *token) {
    if (!accept(p, token)) p->wrong = true;
}

static ag__term *wrong(parser *p) {
    p->wrong = true;
    return ag__term_number(p->f, 0);
}

static bool is_scalar(const ag__formulas *f, const ag_tensor *t) {
    uint8_t narrow = f->entry[t->id].narrow;
    for (int i = 0; i < t->layout->rank; i++)
        if (t->layout->extent[t->layout->rank - 1 - i] != 1 && !(narrow & 1u << i)) return false;
    return true;
}

/* Broadcasting is written except between elements. */
static bool says_broadcast(const ag__formulas *f, const ag_tensor *t, const ag_tensor *x) {
    return f->entry[x->id].narrow && t->op->kind != AG_KIND_ELEMENTWISE && !ag__is_transparent(t);
}

/* broadcast(x, (2,3)), of t's shape. */
ag__term *ag__term_broadcast(ag__formulas *f, const ag_tensor *t, ag__term *x) {
    static const char name[] = "broadcast";
    ag__terms l = {0};
    ag__term_append(f, &l, x);
    ag__term_append(f, &l, ag__term_of_node(f, AG__TERM_SHAPE, t));
    ag__term *y = ag__term_with(f, AG__TERM_CALL, &l);
    y->is.text = name;
    y->length = sizeof name - 1;
    return y;
}

static ag__term *operand_of(parser *p, const ag_tensor *t, int i) {
    ag__formulas *f = p->f;
    if (i < 0 || i >= t->arity) return wrong(p);
    if (p->rehearsing) return ag__term_number(f, 2);
    const ag_tensor *x = ag__canonical(t->input[i]);
    ag__term *y = ag__term_again(f, f->entry[x->id].built);
    y->flags = is_scalar(f, x) ? AG__SCALAR : 0;
    if (!says_broadcast(f, p->t, x)) return y;
    return ag__term_broadcast(f, x, y);
}

static ag__term *operand(parser *p, int i) { return operand_of(p, p->t, i); }

/* The first input of input i. */
static ag__term *operand_below(parser *p, int i) {
    if (i < 0 || i >= p->t->arity) return wrong(p);
    return operand_of(p, ag__canonical(p->t->input[i]), 0);
}

/* Attribute i, as elements of 8 bytes; NULL beyond. */
static const void *attribute(const parser *p, int i, size_t bytes) {
    return i >= 0 && ((size_t)i + 1) * bytes <= p->t->attribute_bytes
               ? (const char *)ag__attributes(p->t) + (size_t)i * bytes
               : NULL;
}

static ag__term *word(parser *p, const char *s, size_t length, ag__term_kind what) {
    ag__term *x = ag__term_new(p->f, what);
    x->is.text = s;
    x->length = (uint16_t)length;
    return x;
}

/* A placeholder, after its brace; {*} appends all inputs to `inputs`. */
static ag__term *place(parser *p, ag__terms *inputs) {
    const char *s = p->s, *end = strchr(s, '}');
    if (!end) return wrong(p);
    p->s = end + 1;
    const void *a;
    double d;
    int64_t n;
    if (*s == '*' && inputs) {
        for (int i = 0; i < p->t->arity; i++) ag__term_append(p->f, inputs, operand(p, i));
        return NULL;
    }
    if (*s >= '0' && *s <= '9') return operand(p, index_at(s));
    if (*s == '^') return operand_below(p, index_at(s + 1));
    if (strncmp(s, "shape}", 6) == 0) return ag__term_of_node(p->f, AG__TERM_SHAPE, p->t);
    if (strncmp(s, "axes}", 5) == 0) return ag__term_of_node(p->f, AG__TERM_AXES, p->t);
    if (strncmp(s, "size}", 5) == 0) return ag__term_number(p->f, (double)p->t->layout->size);
    if (strncmp(s, "dtype}", 6) == 0) {
        const char *name = ag_dtype_name((ag_dtype)p->t->dtype);
        return word(p, name, strlen(name), AG__TERM_WORD);
    }
    if (*s == 'd' && (a = attribute(p, index_at(s + 1), sizeof d)) != NULL)
        return memcpy(&d, a, sizeof d), ag__term_number(p->f, d);
    if (*s == 'i' && (a = attribute(p, index_at(s + 1), sizeof n)) != NULL)
        return memcpy(&n, a, sizeof n), ag__term_number(p->f, (double)n);
    return wrong(p);
}

bool ag__in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static void arguments(parser *p, ag__terms *l, const char *end) {
    if (accept(p, end)) return;
    do {
        bool all = accept(p, "{*}");
        if (all) p->s -= 2;
        ag__term_append(p->f, l, all ? place(p, l) : expression(p, 0));
    } while (accept(p, ","));
    expect(p, end);
}

static bool takes_all(const ag_tensor *t) {
    return t->arity == 0 || ag__reduced_axes(t) == (1u << t->input[0]->layout->rank) - 1;
}

/* σ(…), max_{axes}(…), Σ_{axes} …, e */
static ag__term *named(parser *p) {
    ag__formulas *f = p->f;
    const char *s = p->s;
    size_t length = 0;
    ag__terms l = {0};
    while (ag__in_word(s[length]) && strncmp(s + length, "_{", 2) != 0) length++;
    bool dtype = length == 0 && strncmp(s, "{dtype}", 7) == 0;
    if (dtype) s = ag_dtype_name((ag_dtype)p->t->dtype), length = strlen(s), p->s += 7;
    else p->s += length;
    if (length == 0 || length > 200) return wrong(p);
    ag__term *sub = strncmp(p->s, "_{", 2) == 0 ? (p->s += 2, place(p, NULL)) : NULL;
    if (sub && !(sub->kind == AG__TERM_AXES && takes_all(p->t)))
        sub->flags = AG__SUBSCRIPT, ag__term_append(f, &l, sub);
    if (*p->s == '(') {
        accept(p, "(");
        arguments(p, &l, ")");
        ag__term *x = ag__term_with(f, AG__TERM_CALL, &l);
        x->is.text = s;
        x->length = (uint16_t)length;
        return x;
    }
    ag__term *x =
        word(p, s, length, *p->s == ' ' && (p->s[1] == '{' || p->s[1] == '(') ? AG__TERM_PREFIX : AG__TERM_WORD);
    x->first = l.first;
    x->size += l.size;
    return x->kind == AG__TERM_PREFIX ? ag__term_prefixed(f, x, expression(p, 2)) : x;
}

/* A number, independent of the locale. */
static ag__term *decimal(parser *p) {
    double a = 0, tenths = 0;
    const char *s = p->s;
    for (; (*s >= '0' && *s <= '9') || (*s == '.' && tenths == 0); s++) {
        if (*s == '.') tenths = 1;
        else a = 10 * a + (*s - '0'), tenths *= 10;
    }
    if (s == p->s) return wrong(p);
    p->s = s;
    return ag__term_number(p->f, tenths > 0 ? a / tenths : a);
}

static ag__term *atom(parser *p) {
    ag__term *x;
    if (++p->depth > DEEPEST_NOTATION) return wrong(p);
    if (accept(p, "(")) {
        x = expression(p, 0);
        expect(p, ")");
    } else if (accept(p, "|")) {
        x = ag__term_around(p->f, AG__TERM_FENCE, expression(p, 1));
        expect(p, "|");
    } else if (accept(p, "√")) {
        x = ag__term_power(p->f, atom(p), ag__term_number(p->f, 0.5));
    } else if (strncmp(p->s, "{dtype}(", 8) == 0 || (ag__in_word(*p->s) && !(*p->s >= '0' && *p->s <= '9'))) {
        x = named(p);
    } else if (accept(p, "{")) {
        x = place(p, NULL);
    } else {
        x = decimal(p);
    }
    p->depth--;
    return x;
}

static ag__term *raised(parser *p) {
    ag__term *x = atom(p);
    for (;;) {
        if (accept(p, "^")) {
            bool minus = accept(p, "-");
            ag__term *exponent = atom(p);
            x = ag__term_power(p->f, x, minus ? ag__term_negative(p->f, exponent) : exponent);
        } else if (accept(p, "'")) x = ag__term_transposed(p->f, x);
        else return x;
    }
}

static ag__term *factors(parser *p, ag__term *a, ag__term *b, bool divide) {
    uint8_t flags = p->t->layout->size == 1 ? AG__SCALAR : 0;
    a->flags |= flags;
    b->flags |= flags;
    return ag__term_product(p->f, a, b, divide);
}

/* Level 0: relations; 1: sums; 2: products. */
static ag__term *expression(parser *p, int level) {
    static const char *const tokens[] = {"<=", "<", ">=", ">", "!=", "="};
    static const char *const signs[] = {"≤", "<", "≥", ">", "≠", "="};
    ag__formulas *f = p->f;
    if (level == 3) return raised(p);
    p->depth++;
    bool minus = level > 0 && accept(p, "-");
    ag__term *x = expression(p, level + 1);
    if (minus) x = ag__term_negative(f, x);
    ag__terms l;
    l.first = l.last = NULL, l.size = 0; /* one by one: of so few, code for size clears memory slowly */
    for (bool more = true; more && !p->wrong;) {
        while (*p->s == ' ') p->s++;
        more = false;
        if (*p->s == 0 || *p->s == ')' || *p->s == ',' || *p->s == '{') break;
        if (level == 0) {
            for (size_t i = 0; i < sizeof tokens / sizeof *tokens && !more; i++) {
                if (!(more = accept(p, tokens[i]))) continue;
                if (!l.first) ag__term_append(f, &l, x);
                ag__term_append(f, &l, word(p, signs[i], strlen(signs[i]), AG__TERM_WORD));
                ag__term_append(f, &l, expression(p, 1));
            }
        } else if (level == 1) {
            if (accept(p, "+")) x = ag__term_sum(f, x, expression(p, 2)), more = true;
            else if (accept(p, "-")) x = ag__term_sum(f, x, ag__term_negative(f, expression(p, 2))), more = true;
        } else if (accept(p, "*")) x = factors(p, x, raised(p), false), more = true;
        else if (accept(p, "/")) x = factors(p, x, raised(p), true), more = true;
        else if (accept(p, "@")) x = ag__term_matrix_product(f, x, raised(p)), more = true;
    }
    p->depth--;
    return l.first ? ag__term_with(f, AG__TERM_RELATION, &l) : x;
}

static ag__term *call_of(parser *p) {
    ag__terms l = {0};
    for (int i = 0; i < p->t->arity; i++) ag__term_append(p->f, &l, operand(p, i));
    ag__term *x = ag__term_with(p->f, AG__TERM_CALL, &l);
    x->is.text = p->t->op->name;
    size_t length = strlen(p->t->op->name);
    x->length = (uint16_t)(length < 200 ? length : 200);
    return x;
}

/* ---- A node's term ---- */

/* Listed operations, by their addresses, whose notations were valid and cannot become otherwise: they depend on
 * neither the attributes nor the graph. */
static _Atomic(const ag_op *) rehearsed[256];

static _Atomic(const ag_op *) *rehearsal_of(const ag_op *op) {
    return &rehearsed[(uintptr_t)op / sizeof *op % (sizeof rehearsed / sizeof *rehearsed)];
}

static bool stays_sound(const ag_tensor *t) {
    const ag_op *op = t->op;
    return !op->notation_of && op->arity >= 0 && t->attribute_bytes == op->attribute_bytes &&
           !strstr(op->notation, "{^") && ag__is_listed(op);
}

/* The notation of t; NULL if it has none, or an invalid one. */
const char *ag__sound_notation(ag__formulas *f, const ag_tensor *t) {
    _Atomic(const ag_op *) *rehearsal = rehearsal_of(t->op);
    if (atomic_load_explicit(rehearsal, memory_order_relaxed) == t->op) return t->op->notation;
    const char *notation = notation_of(t);
    parser p = {.f = f, .t = t, .s = notation, .rehearsing = true};
    if (!notation) return NULL;
    uint32_t used = f->block->used;
    struct ag__term_slab *block = f->block;
    if (strlen(notation) <= LONGEST_NOTATION) expression(&p, 0);
    if (block == f->block) block->used = used;
    f->entry[t->id].odd = p.wrong || *p.s;
    if (f->entry[t->id].odd) return NULL;
    if (stays_sound(t)) atomic_exchange_explicit(rehearsal, t->op, memory_order_relaxed);
    return notation;
}

ag__term *ag__term_of(ag__formulas *f, const ag_tensor *t) {
    parser p = {.f = f, .t = t, .s = f->entry[t->id].odd ? NULL : notation_of(t)};
    return p.s ? expression(&p, 0) : call_of(&p);
}
