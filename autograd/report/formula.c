/* formula -- the recorded expression of a tensor as text, LaTeX or MathML
 *
 * Three steps, none of which recurses over the graph. One reverse scan counts how often each node is needed. One
 * forward scan makes a term of each from its operation's notation; the constructors of sums, products and powers keep
 * them in a simple form. A term is used in one place and moves there, unless its node has a name: then the term is
 * kept as a part, and the name stands for it. What has grown long is named, so terms are small, and writing them, which
 * does recurse, stays shallow. Numbers of names are given when they are first written. */
#include "autograd/report/report.h"
#include "autograd/tape/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONG = 30, DEEPEST_NOTATION = 40, LONGEST_NOTATION = 1000, LONGEST_LABEL = 60, DEFAULT_LINES = 100 };

typedef enum kind {
    NUMBER,
    NAME,
    COTANGENT,
    WORD,
    SUM,
    PRODUCT,
    MATMUL,
    POWER,
    FENCE,
    TRANSPOSED,
    CALL,
    PREFIX,
    RELATION,
    SHAPE,
    AXES
} kind;

enum { BELOW = 1, SCALAR = 2, SUBSCRIPT = 4 };

typedef struct ag__term term;
typedef ag__formulas formulas;

/* Children are a list: `first`, then each one's `next`. In a product a number that is not 1 comes first, and
 * divisors, which are flagged BELOW, last. */
struct ag__term {
    uint8_t kind, flags;
    uint16_t length; /* of `text` */
    uint32_t size;   /* how many terms it is made of */
    term *first, *next;
    union {
        double number;
        const char *text; /* of the notation */
        const ag_tensor *node;
    } is;
};

/* Terms stay where they are: a block that is full is followed by another. */
enum { IN_BLOCK = 100 };

struct ag__block {
    struct ag__block *before;
    uint32_t used;
    term term[IN_BLOCK];
};

/* ---- Making terms ---- */

static bool new_block(formulas *f) {
    struct ag__block *b = ag__resize(f->tape, NULL, 0, sizeof *b);
    if (!b) return false;
    b->before = f->block;
    b->used = 0;
    f->block = b;
    return true;
}

/* Where there is no memory, a term that gets into no list: the formula has failed then, and is not written. */
static term *new_term(formulas *f, kind what) {
    f->failed = f->failed || (f->block->used == IN_BLOCK && !new_block(f));
    term *x = f->failed ? f->none : &f->block->term[f->block->used++];
    *x = (term){.kind = f->failed ? NUMBER : (uint8_t)what, .size = 1};
    return x;
}

static term *number(formulas *f, double a) {
    term *x = new_term(f, NUMBER);
    x->is.number = a;
    return x;
}

static term *node_term(formulas *f, kind what, const ag_tensor *t) {
    term *x = new_term(f, what);
    x->is.node = t;
    return x;
}

/* x, or a copy where it may already stand in a list. */
static term *again(formulas *f, term *x) {
    if (x->kind != NAME && x->kind != NUMBER && x->kind != COTANGENT) return x;
    term *copy = new_term(f, NUMBER);
    *copy = *x;
    copy->next = 0;
    return copy;
}

/* A list under construction. */
typedef struct list {
    term *first, *last;
    uint32_t size;
} list;

static void append(formulas *f, list *l, term *x) {
    if (!x || x == f->none) return;
    if (l->first) l->last->next = x;
    else l->first = x;
    x->next = 0;
    l->last = x;
    l->size += x->size;
}

static term *with_children(formulas *f, kind what, const list *l) {
    term *x = new_term(f, what);
    x->first = l->first;
    x->size += l->size;
    return x;
}

static term *with_child(formulas *f, kind what, term *child) {
    list l = {0};
    append(f, &l, child);
    return with_children(f, what, &l);
}

static bool is_number(const term *x, double a) { return x->kind == NUMBER && x->is.number == a; }

typedef struct parts {
    double coefficient;
    list above, below;
} parts;

static void multiply(formulas *f, parts *p, term *x, bool below);

static void multiply_number(formulas *f, parts *p, term *x, bool below) {
    double a = x->is.number, product = p->coefficient * a;
    if (signbit(a) && a != 0) {
        p->coefficient = -p->coefficient;
        product = p->coefficient * -a;
        x->is.number = a = -a;
    }
    bool exact = a != 0 && isfinite(product) && fma(p->coefficient, a, -product) == 0;
    if (a == 1) return;
    if (!below && exact) p->coefficient = product;
    else append(f, below ? &p->below : &p->above, x);
}

static void multiply(formulas *f, parts *p, term *x, bool below) {
    bool split = x->kind == PRODUCT;
    for (term *c = x->first; below && split && c; c = c->next) split = !(c->flags & BELOW);
    if (x->kind == NUMBER) multiply_number(f, p, x, below);
    else if (!split) {
        x->flags = (uint8_t)((x->flags & ~BELOW) | (below ? BELOW : 0));
        append(f, below ? &p->below : &p->above, x);
    } else {
        for (term *c = x->first, *next; c; c = next) {
            next = c->next;
            multiply(f, p, c, below || c->flags & BELOW);
        }
    }
}

static term *product_of(formulas *f, parts *p) {
    for (term *c = p->below.first; c; c = c->next) c->flags |= BELOW;
    if (!p->above.first && !p->below.first) return number(f, p->coefficient);
    if (p->coefficient == 1 && p->above.first == p->above.last && !p->below.first) return p->above.first;
    list l = {0};
    if (p->coefficient != 1) append(f, &l, number(f, p->coefficient));
    if (p->above.first) {
        term *last = p->above.last;
        if (l.first) l.last->next = p->above.first;
        else l.first = p->above.first;
        l.last = last;
        l.size += p->above.size;
    }
    if (p->below.first) {
        if (l.first) l.last->next = p->below.first;
        else l.first = p->below.first;
        l.size += p->below.size;
    }
    return with_children(f, PRODUCT, &l);
}

static term *product(formulas *f, term *a, term *b, bool divide) {
    parts p = {.coefficient = 1};
    multiply(f, &p, a, false);
    multiply(f, &p, b, divide);
    return product_of(f, &p);
}

static term *negative(formulas *f, term *x) { return product(f, number(f, -1), x, false); }

static void add(formulas *f, list *l, term *x) {
    if (is_number(x, 0)) return;
    if (x->kind != SUM) {
        append(f, l, x);
        return;
    }
    for (term *c = x->first, *next; c; c = next) {
        next = c->next;
        append(f, l, c);
    }
}

static term *sum(formulas *f, term *a, term *b) {
    list l = {0};
    add(f, &l, a);
    add(f, &l, b);
    if (!l.first) return number(f, 0);
    return l.first == l.last ? l.first : with_children(f, SUM, &l);
}

static term *power(formulas *f, term *x, term *exponent) {
    if (is_number(exponent, 1)) return x;
    if (exponent->kind == NUMBER && x->kind == POWER) { /* (a^p)^n = a^(p·n) for whole n */
        double n = exponent->is.number;
        term *inner = x->first->next;
        double p = inner->kind == NUMBER ? inner->is.number : NAN;
        if (n == nearbyint(n) && fabs(n) < 100 && fabs(p) < 100 && fma(p, n, -(p * n)) == 0) {
            inner->is.number = p * n;
            return is_number(inner, 1) ? x->first : x;
        }
    }
    list l = {0};
    append(f, &l, x);
    append(f, &l, exponent);
    return with_children(f, POWER, &l);
}

static term *transposed(formulas *f, term *x) {
    return x->kind == TRANSPOSED ? x->first : with_child(f, TRANSPOSED, x);
}

/* x without the number in front of it, which is multiplied into p. */
static term *without_number(formulas *f, parts *p, term *x) {
    term *first = x->kind == PRODUCT ? x->first : 0;
    if (!first || first->kind != NUMBER || first->flags & BELOW) return x;
    term *rest = first->next;
    multiply(f, p, first, false);
    if (!rest->next && !(rest->flags & BELOW)) return rest;
    x->first = rest;
    return x;
}

/* The same with what it is divided by, if that is a number. */
static term *without_numbers(formulas *f, parts *p, term *x) {
    x = without_number(f, p, x);
    if (x->kind != PRODUCT) return x;
    term *before = x->first, *last = before->next;
    while (last && last->next) before = last, last = last->next;
    if (!last || last->kind != NUMBER || !(last->flags & BELOW)) return x;
    before->next = 0;
    multiply(f, p, last, true);
    return before == x->first && !(before->flags & BELOW) ? before : x;
}

static term *matrix_product(formulas *f, term *a, term *b) {
    parts p = {.coefficient = 1};
    list l = {0};
    term *in[] = {a, b};
    for (int i = 0; i < 2; i++) {
        term *x = without_numbers(f, &p, in[i]);
        bool chain = x->kind == MATMUL;
        for (term *c = chain ? x->first : x, *next; c; c = next) {
            next = chain ? c->next : 0;
            append(f, &l, c);
        }
    }
    multiply(f, &p, with_children(f, MATMUL, &l), false);
    return product_of(f, &p);
}

/* An operator such as Σ; being linear, it lets a number pass to its front. */
static term *prefixed(formulas *f, term *operator_, term *x) {
    parts p = {.coefficient = 1};
    list l = {.first = operator_->first, .last = operator_->first};
    append(f, &l, without_number(f, &p, x));
    operator_->first = l.first;
    operator_->size += l.size;
    multiply(f, &p, operator_, false);
    return product_of(f, &p);
}

/* ---- Notations ---- */

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

/* A version that still holds its variable's value is that variable. */
static const ag_tensor *canonical(const ag_tensor *t) {
    return t->flags & AG__READ && t->buffer && t->buffer == t->input[0]->buffer ? t->input[0] : t;
}

/* How often the notation of t mentions its input i; NULL: each once. */
static uint32_t mentions(const char *notation, int i) {
    uint32_t n = !notation;
    for (const char *s = notation; s && (s = strchr(s, '{')) != NULL; s++)
        n += s[1] == '*' || (s[1] >= '0' && s[1] <= '9' && atoi(s + 1) == i);
    return n;
}

/* Reading one notation; `wrong` if it is none. */
typedef struct parser {
    formulas *f;
    const ag_tensor *t;
    const char *s;
    int depth;
    bool wrong;
    bool rehearsing; /* only to see whether it is one: operands are not there yet */
} parser;

static term *expression(parser *p, int level);

static bool accept(parser *p, const char *token) {
    while (*p->s == ' ') p->s++;
    size_t n = strlen(token);
    if (strncmp(p->s, token, n) != 0) return false;
    p->s += n;
    return true;
}

static void expect(parser *p, const char *token) {
    if (!accept(p, token)) p->wrong = true;
}

static term *wrong(parser *p) {
    p->wrong = true;
    return number(p->f, 0);
}

static bool is_scalar(const formulas *f, const ag_tensor *t) {
    uint8_t narrow = f->entry[t->id].narrow;
    for (int i = 0; i < t->layout->rank; i++)
        if (t->layout->extent[t->layout->rank - 1 - i] != 1 && !(narrow & 1u << i)) return false;
    return true;
}

/* Broadcasting goes without saying between elements, and nowhere else. */
static bool says_broadcast(const formulas *f, const ag_tensor *t, const ag_tensor *x) {
    return f->entry[x->id].narrow && t->op->kind != AG_KIND_ELEMENTWISE && !ag__is_transparent(t);
}

/* broadcast(x, (2,3)), of t's shape. */
static term *broadcast(formulas *f, const ag_tensor *t, term *x) {
    static const char name[] = "broadcast";
    list l = {0};
    append(f, &l, x);
    append(f, &l, node_term(f, SHAPE, t));
    term *y = with_children(f, CALL, &l);
    y->is.text = name;
    y->length = sizeof name - 1;
    return y;
}

static term *operand(parser *p, int i) {
    formulas *f = p->f;
    if (i < 0 || i >= p->t->arity) return wrong(p);
    if (p->rehearsing) return number(f, 2);
    const ag_tensor *x = canonical(p->t->input[i]);
    term *y = again(f, f->entry[x->id].built);
    y->flags = is_scalar(f, x) ? SCALAR : 0;
    if (!says_broadcast(f, p->t, x)) return y;
    return broadcast(f, x, y);
}

/* Number i of the attributes seen as elements of 8 bytes; NULL if there are fewer. */
static const void *attribute(const parser *p, int i, size_t bytes) {
    return i >= 0 && ((size_t)i + 1) * bytes <= p->t->attribute_bytes
               ? (const char *)ag__attributes(p->t) + (size_t)i * bytes
               : NULL;
}

static term *word(parser *p, const char *s, size_t length, kind what) {
    term *x = new_term(p->f, what);
    x->is.text = s;
    x->length = (uint16_t)length;
    return x;
}

/* A place for something of the node, after its brace; all inputs are put into `inputs`. */
static term *place(parser *p, list *inputs) {
    const char *s = p->s, *end = strchr(s, '}');
    if (!end) return wrong(p);
    p->s = end + 1;
    const void *a;
    double d;
    int64_t n;
    if (*s == '*' && inputs) {
        for (int i = 0; i < p->t->arity; i++) append(p->f, inputs, operand(p, i));
        return NULL;
    }
    if (*s >= '0' && *s <= '9') return operand(p, atoi(s));
    if (strncmp(s, "shape}", 6) == 0) return node_term(p->f, SHAPE, p->t);
    if (strncmp(s, "axes}", 5) == 0) return node_term(p->f, AXES, p->t);
    if (strncmp(s, "size}", 5) == 0) return number(p->f, (double)p->t->layout->size);
    if (strncmp(s, "dtype}", 6) == 0) {
        const char *name = ag_dtype_name((ag_dtype)p->t->dtype);
        return word(p, name, strlen(name), WORD);
    }
    if (*s == 'd' && (a = attribute(p, atoi(s + 1), sizeof d)) != NULL) return memcpy(&d, a, sizeof d), number(p->f, d);
    if (*s == 'i' && (a = attribute(p, atoi(s + 1), sizeof n)) != NULL)
        return memcpy(&n, a, sizeof n), number(p->f, (double)n);
    return wrong(p);
}

static bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static void arguments(parser *p, list *l, const char *end) {
    if (accept(p, end)) return;
    do {
        bool all = accept(p, "{*}");
        if (all) p->s -= 2;
        append(p->f, l, all ? place(p, l) : expression(p, 0));
    } while (accept(p, ","));
    expect(p, end);
}

/* The axes of a reduction as bits; 0 if it is none. */
static uint32_t axes_of(const ag_tensor *t) {
    ag_axes_set set = {0};
    if (t->op->kind == AG_KIND_REDUCTION && t->attribute_bytes == sizeof set)
        memcpy(&set, ag__attributes(t), sizeof set);
    return set.mask;
}

static bool takes_all(const ag_tensor *t) {
    return t->arity == 0 || axes_of(t) == (1u << t->input[0]->layout->rank) - 1;
}

/* σ(…), max_{axes}(…), Σ_{axes} …, e */
static term *named(parser *p) {
    formulas *f = p->f;
    const char *s = p->s;
    size_t length = 0;
    list l = {0};
    while (in_word(s[length]) && strncmp(s + length, "_{", 2) != 0) length++;
    bool dtype = length == 0 && strncmp(s, "{dtype}", 7) == 0;
    if (dtype) s = ag_dtype_name((ag_dtype)p->t->dtype), length = strlen(s), p->s += 7;
    else p->s += length;
    if (length == 0 || length > 200) return wrong(p);
    term *sub = strncmp(p->s, "_{", 2) == 0 ? (p->s += 2, place(p, NULL)) : NULL;
    if (sub && !(sub->kind == AXES && takes_all(p->t))) sub->flags = SUBSCRIPT, append(f, &l, sub);
    if (*p->s == '(') {
        accept(p, "(");
        arguments(p, &l, ")");
        term *x = with_children(f, CALL, &l);
        x->is.text = s;
        x->length = (uint16_t)length;
        return x;
    }
    term *x = word(p, s, length, *p->s == ' ' && (p->s[1] == '{' || p->s[1] == '(') ? PREFIX : WORD);
    x->first = l.first;
    x->size += l.size;
    return x->kind == PREFIX ? prefixed(f, x, expression(p, 2)) : x;
}

/* Whatever the locale. */
static term *decimal(parser *p) {
    double a = 0, tenths = 0;
    const char *s = p->s;
    for (; (*s >= '0' && *s <= '9') || (*s == '.' && tenths == 0); s++) {
        if (*s == '.') tenths = 1;
        else a = 10 * a + (*s - '0'), tenths *= 10;
    }
    if (s == p->s) return wrong(p);
    p->s = s;
    return number(p->f, tenths > 0 ? a / tenths : a);
}

static term *atom(parser *p) {
    term *x;
    if (++p->depth > DEEPEST_NOTATION) return wrong(p);
    if (accept(p, "(")) {
        x = expression(p, 0);
        expect(p, ")");
    } else if (accept(p, "|")) {
        x = with_child(p->f, FENCE, expression(p, 1));
        expect(p, "|");
    } else if (accept(p, "√")) {
        x = power(p->f, atom(p), number(p->f, 0.5));
    } else if (strncmp(p->s, "{dtype}(", 8) == 0 || (in_word(*p->s) && !(*p->s >= '0' && *p->s <= '9'))) {
        x = named(p);
    } else if (accept(p, "{")) {
        x = place(p, NULL);
    } else {
        x = decimal(p);
    }
    p->depth--;
    return x;
}

static term *raised(parser *p) {
    term *x = atom(p);
    for (;;) {
        if (accept(p, "^")) {
            bool minus = accept(p, "-");
            term *exponent = atom(p);
            x = power(p->f, x, minus ? negative(p->f, exponent) : exponent);
        } else if (accept(p, "'")) x = transposed(p->f, x);
        else return x;
    }
}

static term *factors(parser *p, term *a, term *b, bool divide) {
    uint8_t flags = p->t->layout->size == 1 ? SCALAR : 0;
    a->flags |= flags;
    b->flags |= flags;
    return product(p->f, a, b, divide);
}

/* Level 0: relations; 1: sums; 2: products. */
static term *expression(parser *p, int level) {
    static const char *const tokens[] = {"<=", "<", ">=", ">", "!=", "="};
    static const char *const signs[] = {"≤", "<", "≥", ">", "≠", "="};
    formulas *f = p->f;
    if (level == 3) return raised(p);
    p->depth++;
    bool minus = level > 0 && accept(p, "-");
    term *x = expression(p, level + 1);
    if (minus) x = negative(f, x);
    list l = {0};
    for (bool more = true; more && !p->wrong;) {
        more = false;
        if (level == 0) {
            for (size_t i = 0; i < sizeof tokens / sizeof *tokens && !more; i++) {
                if (!(more = accept(p, tokens[i]))) continue;
                if (!l.first) append(f, &l, x);
                append(f, &l, word(p, signs[i], strlen(signs[i]), WORD));
                append(f, &l, expression(p, 1));
            }
        } else if (level == 1) {
            if (accept(p, "+")) x = sum(f, x, expression(p, 2)), more = true;
            else if (accept(p, "-")) x = sum(f, x, negative(f, expression(p, 2))), more = true;
        } else if (accept(p, "*")) x = factors(p, x, raised(p), false), more = true;
        else if (accept(p, "/")) x = factors(p, x, raised(p), true), more = true;
        else if (accept(p, "@")) x = matrix_product(f, x, raised(p)), more = true;
    }
    p->depth--;
    return l.first ? with_children(f, RELATION, &l) : x;
}

static term *call_of(parser *p) {
    list l = {0};
    for (int i = 0; i < p->t->arity; i++) append(p->f, &l, operand(p, i));
    term *x = with_children(p->f, CALL, &l);
    x->is.text = p->t->op->name;
    size_t length = strlen(p->t->op->name);
    x->length = (uint16_t)(length < 200 ? length : 200);
    return x;
}

/* ---- What tells names apart ---- */

static bool has_label(const ag_tensor *t) { return t->label && *t->label; }

static uint32_t hash(const char *s) {
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

/* The place of a label in the table; 0 … label_room−1, which is never full. */
static uint32_t slot_of(const formulas *f, const char *label) {
    uint32_t i = hash(label) & (f->label_room - 1);
    while (f->labels[i] && strcmp(f->labels[i]->label, label) != 0) i = (i + 1) & (f->label_room - 1);
    return i;
}

static bool is_label(const formulas *f, const char *s) { return f->labels[slot_of(f, s)] != NULL; }

/* x and y of an explanation, if they have no label and nothing else has that. */
static const char *role(const formulas *f, const ag_tensor *t) {
    const char *name = t == f->y ? "y" : t == f->x ? "x" : NULL;
    return name && !is_label(f, name) ? name : NULL;
}

static const char *letter(const ag_tensor *t, int *which) {
    static const char *const letters[] = {"t", "c", "v", "p"};
    const ag_tensor *v = t->flags & AG__READ ? t->input[0] : t;
    *which = v->flags & AG__PARAMETER ? 3 : v->flags & AG__VARIABLE ? 2 : v->flags & AG__LEAF ? 1 : 0;
    return letters[*which];
}

/* The number that tells t from others of its name; from 1. */
static uint32_t number_of(formulas *f, const ag_tensor *t) {
    uint32_t *n = &f->entry[t->id].number;
    if (*n) return *n;
    if (has_label(t)) return *n = ++f->copies[slot_of(f, t->label)];
    int which;
    char name[20];
    const char *first = letter(t, &which);
    do {
        *n = ++f->counters[which];
        ag__format(name, sizeof name, "%s%" PRIu32, first, *n);
    } while (is_label(f, name));
    return *n;
}

/* ---- The terms of a graph ---- */

/* What is not looked into: it is a name whatever it hangs on. */
static bool is_named(const formulas *f, const ag_tensor *t) {
    return t == f->given || t == f->x || t == f->y || t->flags & AG__LEAF || f->entry[t->id].part ||
           (has_label(t) ? f->brief : f->entry[t->id].number);
}

/* The same where x is what is to be written. */
static bool stands_for_itself(const formulas *f, const ag_tensor *t, const ag_tensor *x) {
    return t != x ? is_named(f, t) : t == f->given || t->flags & AG__LEAF;
}

/* The notation of t; NULL if it has none, or what it has is none. */
static const char *sound_notation(formulas *f, const ag_tensor *t) {
    const char *notation = notation_of(t);
    parser p = {.f = f, .t = t, .s = notation, .rehearsing = true};
    if (!notation) return NULL;
    uint32_t used = f->block->used;
    struct ag__block *block = f->block;
    if (strlen(notation) <= LONGEST_NOTATION) expression(&p, 0);
    if (block == f->block) block->used = used;
    f->entry[t->id].odd = p.wrong || *p.s;
    return f->entry[t->id].odd ? NULL : notation;
}

/* Count how often the nodes that x is written with are needed; returns the first of them. */
static uint32_t count_uses(formulas *f, const ag_tensor *x) {
    uint32_t waiting = 1, id = x->id + 1;
    f->entry[x->id].uses = 1;
    while (waiting > 0) {
        if (!f->entry[--id].uses) continue;
        const ag_tensor *t = ag__node(f->tape, id);
        waiting--;
        if (stands_for_itself(f, t, x)) continue;
        const char *notation = sound_notation(f, t);
        for (int i = 0; i < t->arity; i++) {
            uint8_t *uses = &f->entry[canonical(t->input[i])->id].uses;
            uint32_t n = mentions(notation, i);
            waiting += n && !*uses;
            *uses = (uint8_t)(*uses + n > 2 ? 2 : *uses + n);
        }
    }
    return id;
}

/* Axes, from the last, along which what is written for t is narrower than t. */
static uint8_t narrow_axes(const formulas *f, const ag_tensor *t) {
    unsigned narrow = 0;
    if (t->op->kind == AG_KIND_ELEMENTWISE && t->arity > 0) {
        narrow = 0xFF;
        for (int i = 0; i < t->arity; i++) narrow &= f->entry[canonical(t->input[i])->id].narrow;
    } else if (t->op->kind == AG_KIND_VIEW && ag__is_transparent(t)) {
        const ag_tensor *x = canonical(t->input[0]);
        const ag__layout *from = x->layout, *to = t->layout;
        narrow = f->entry[x->id].narrow;
        for (int i = 0; i < to->rank; i++)
            if (to->extent[to->rank - 1 - i] != 1 &&
                (i >= from->rank || from->extent[from->rank - 1 - i] != to->extent[to->rank - 1 - i]))
                narrow |= 1u << i;
    }
    return (uint8_t)narrow;
}

/* A number on the tape is written as such, and what is given as the cotangent that it is. */
static term *leaf_term(formulas *f, const ag_tensor *t) {
    if (t == f->given) return node_term(f, COTANGENT, f->receiver);
    bool nameless = !has_label(t) && !f->entry[t->id].number && t != f->x && t != f->y;
    if (t->op != &ag__op_constant || t->layout->size != 1 || !ag__is_real(t->dtype) || !nameless)
        return node_term(f, NAME, t);
    return number(f, ag__get_element((ag_dtype)t->dtype, ag__values(t), 0));
}

static term *term_of(formulas *f, const ag_tensor *t) {
    parser p = {.f = f, .t = t, .s = f->entry[t->id].odd ? NULL : notation_of(t)};
    return p.s ? expression(&p, 0) : call_of(&p);
}

/* Whether t is to have a name, its term being x. */
static bool deserves_name(const formulas *f, const ag_tensor *t, term *x) {
    bool plain = x->kind == NAME || x->kind == NUMBER || x->kind == COTANGENT;
    return has_label(t) || x->size > LONG || (f->entry[t->id].uses > 1 && !plain);
}

/* x, the term of t, with what goes without saying elsewhere: that it is repeated. */
static term *whole(formulas *f, const ag_tensor *t, term *x) {
    if (!f->entry[t->id].narrow) return x;
    f->entry[t->id].narrow = 0;
    return broadcast(f, t, x);
}

/* The term of x, whatever its own name. */
static term *build(formulas *f, const ag_tensor *x) {
    uint32_t low = count_uses(f, x);
    for (uint32_t id = low; id <= x->id && !f->failed; id++) {
        if (!f->entry[id].uses) continue;
        const ag_tensor *t = ag__node(f->tape, id);
        bool named = stands_for_itself(f, t, x);
        term *y = named ? leaf_term(f, t) : term_of(f, t);
        f->entry[id].narrow = named ? 0 : narrow_axes(f, t);
        if (!named && t != x && deserves_name(f, t, y)) {
            f->entry[id].part = whole(f, t, y);
            f->wanted++;
            y = node_term(f, NAME, t);
        }
        f->entry[id].built = y;
        if (has_label(t) && t != f->given) number_of(f, t); /* the older first */
    }
    for (uint32_t id = low; id <= x->id; id++) f->entry[id].uses = 0;
    return f->failed ? f->none : f->entry[x->id].built;
}

/* ---- Names ---- */

static void enqueue(formulas *f, const ag_tensor *t) {
    bool wanted = f->entry[t->id].part || !(t->flags & AG__LEAF);
    if (!wanted || f->entry[t->id].next || t == f->y || t == f->x || (f->brief && has_label(t))) return;
    f->wanted += !f->entry[t->id].part;
    f->entry[t->id].next = t->id + 1;
    if (f->last) f->entry[f->last - 1].next = t->id + 1;
    else f->first = t->id + 1;
    f->last = t->id + 1;
}

static bool is_plain(const char *s) {
    for (; *s; s++)
        if (!in_word(*s) && *s != '.') return false;
    return true;
}

static void put_label(const formulas *f, ag__text *t, const char *s) {
    static const ag__escape escapes[] = {AG__PLAIN, AG__LATEX, AG__XML};
    static const char *const odd[][2] = {{"\"", "\""}, {"\\text{", "}"}, {"<mtext>", "</mtext>"}};
    static const char *const even[][2] = {{"", ""}, {"\\mathrm{", "}"}, {"<mi>", "</mi>"}};
    const char *const *around = (is_plain(s) ? even : odd)[f->style];
    bool letter_alone = f->style == AG_STYLE_LATEX && s[1] == 0 && is_plain(s);
    if (!letter_alone) ag__put(t, around[0]);
    ag__put_escaped(t, s, strlen(s), LONGEST_LABEL, escapes[f->style]);
    if (!letter_alone) ag__put(t, around[1]);
}

void ag__put_name(formulas *f, ag__text *t, const ag_tensor *x) {
    x = canonical(x);
    const char *name = has_label(x) ? NULL : role(f, x);
    if (name) {
        put_label(f, t, name);
        return;
    }
    uint32_t n = number_of(f, x);
    enqueue(f, x);
    if (has_label(x)) {
        if (n > 1) ag__put(t, f->style == AG_STYLE_MATHML ? "<msup>" : f->style == AG_STYLE_LATEX ? "{" : "");
        put_label(f, t, x->label);
        if (n == 1) return;
        if (f->style == AG_STYLE_MATHML) ag__putf(t, "<mrow><mo>(</mo><mn>%" PRIu32 "</mn><mo>)</mo></mrow></msup>", n);
        else ag__putf(t, f->style == AG_STYLE_LATEX ? "^{(%" PRIu32 ")}}" : "#%" PRIu32, n);
        return;
    }
    int which;
    const char *first = letter(x, &which);
    if (f->style == AG_STYLE_TEXT) ag__putf(t, "%s%" PRIu32, first, n);
    else if (f->style == AG_STYLE_LATEX) ag__putf(t, "%s_{%" PRIu32 "}", first, n);
    else ag__putf(t, "<msub><mi>%s</mi><mn>%" PRIu32 "</mn></msub>", first, n);
}

/* ---- Writing ---- */

typedef struct writer {
    formulas *f;
    ag__text *t;
    ag_style style;
} writer;

static void put3(const writer *w, const char *text, const char *latex, const char *mathml) {
    ag__put(w->t, w->style == AG_STYLE_TEXT ? text : w->style == AG_STYLE_LATEX ? latex : mathml);
}

/* How tightly a term holds together. */
enum { LOOSE, OF_SUM, OF_SIGN, OF_PRODUCT, OF_PREFIX, OF_POWER, TIGHT };

static int tightness(const term *t) {
    switch (t->kind) {
    case RELATION: return LOOSE;
    case SUM: return OF_SUM;
    case NUMBER: return signbit(t->is.number) ? OF_SIGN : TIGHT;
    case PRODUCT: return t->first->kind == NUMBER && signbit(t->first->is.number) ? OF_SIGN : OF_PRODUCT;
    case MATMUL: return OF_PRODUCT;
    case PREFIX: return OF_SIGN;
    case POWER:
    case TRANSPOSED: return OF_POWER;
    default: return TIGHT;
    }
}

static void put_term(const writer *w, term *x);

static void put_within(const writer *w, term *x, int least) {
    bool loose = tightness(x) < least;
    if (loose) put3(w, "(", "\\left(", "<mrow><mo>(</mo>");
    put_term(w, x);
    if (loose) put3(w, ")", "\\right)", "<mo>)</mo></mrow>");
}

/* The sign is written by itself. */
static void put_magnitude(const writer *w, double a) {
    char s[AG__NUMBER];
    if (!isfinite(a)) {
        if (isnan(a)) put3(w, "NaN", "\\mathrm{NaN}", "<mi>NaN</mi>");
        else put3(w, "∞", "\\infty", "<mi>∞</mi>");
        return;
    }
    char *e = strchr(ag__number(s, 6, fabs(a)), 'e');
    bool scaled = e && w->style == AG_STYLE_LATEX;
    if (e) *e++ = 0;
    put3(w, "", "", "<mn>");
    if (!scaled || strcmp(s, "1") != 0) ag__put(w->t, s);
    if (scaled) ag__putf(w->t, strcmp(s, "1") ? " \\cdot 10^{%d}" : "10^{%d}", atoi(e));
    else if (e) ag__putf(w->t, "e%d", atoi(e));
    put3(w, "", "", "</mn>");
}

static void put_number(const writer *w, double a) {
    if (signbit(a)) put3(w, "−", "-", "<mo>−</mo>");
    put_magnitude(w, a);
}

static void put_integer(const writer *w, long long n) {
    ag__putf(w->t, w->style == AG_STYLE_MATHML ? "<mn>%lld</mn>" : "%lld", n);
}

static void put_axes(const writer *w, const ag_tensor *t) {
    uint32_t mask = axes_of(t);
    bool first = true;
    for (int i = 0; i < AG_MAX_RANK; i++) {
        if (!(mask & 1u << i)) continue;
        if (!first) put3(w, ",", ",", "<mo>,</mo>");
        put_integer(w, i);
        first = false;
    }
}

static void put_shape(const writer *w, const ag_tensor *t) {
    put3(w, "(", "(", "<mrow><mo>(</mo>");
    for (int i = 0; i < t->layout->rank; i++) {
        if (i) put3(w, ",", ",", "<mo>,</mo>");
        put_integer(w, t->layout->extent[i]);
    }
    put3(w, ")", ")", "<mo>)</mo></mrow>");
}

static void put_sum(const writer *w, term *x) {
    put3(w, "", "", "<mrow>");
    for (term *c = x->first; c; c = c->next) {
        bool first = c == x->first, minus = tightness(c) == OF_SIGN && c->kind != PREFIX;
        if (first || !minus) {
            if (!first) put3(w, " + ", " + ", "<mo>+</mo>");
            put_within(w, c, OF_SIGN);
            continue;
        }
        put3(w, " − ", " - ", "<mo>−</mo>");
        double *a = c->kind == NUMBER ? &c->is.number : &c->first->is.number;
        *a = -*a;
        put_within(w, c, OF_SIGN);
        *a = -*a;
    }
    put3(w, "", "", "</mrow>");
}

/* The factors of one side. A matrix product may stand among numbers without parentheses, and Σ at the end. */
static void put_factors(const writer *w, term *first, uint8_t below, bool open_end) {
    int tensors = 0;
    term *last = NULL;
    for (term *c = first; c; c = c->next) {
        if ((c->flags & BELOW) != below) continue;
        tensors += c->kind != NUMBER && !(c->flags & SCALAR);
        last = c;
    }
    term *before = NULL;
    for (term *t = first; t; t = t->next) {
        if ((t->flags & BELOW) != below) continue;
        bool alone = t->kind == NUMBER && fabs(t->is.number) == 1 && t != last && !before;
        if (before) {
            bool plain = before->kind == NUMBER || t->kind == NUMBER || (before->flags | t->flags) & SCALAR;
            if (plain) put3(w, "·", " \\cdot ", "<mo>⋅</mo>");
            else put3(w, "⊙", " \\odot ", "<mo>⊙</mo>");
        }
        if (alone) { /* −1 is a sign */
            if (signbit(t->is.number)) put3(w, "−", "-", "<mo>−</mo>");
            continue;
        }
        bool free = (t->kind == MATMUL && tensors == 1) || (t->kind == PREFIX && t == last && open_end);
        if (t->kind == NUMBER && !before) put_number(w, t->is.number);
        else put_within(w, t, free ? OF_SIGN : OF_PREFIX);
        before = t;
    }
}

static void put_product(const writer *w, term *x) {
    term *first = x->first;
    int above = 0, below = 0;
    for (term *c = first; c; c = c->next) *(c->flags & BELOW ? &below : &above) += 1;
    const term *number = first->kind == NUMBER && !(first->flags & BELOW) ? first : NULL;
    bool minus = number && signbit(number->is.number), sign_only = number && fabs(number->is.number) == 1;
    put3(w, "", "", "<mrow>");
    if (minus && below) put3(w, "", "-", "<mo>−</mo>");
    if (below) put3(w, "", "\\frac{", "<mfrac><mrow>");
    if (minus && below && w->style != AG_STYLE_TEXT) first->is.number = -number->is.number;
    if (above == 0 || (above == 1 && sign_only)) put3(w, minus ? "−1" : "1", "1", "<mn>1</mn>");
    else put_factors(w, first, 0, below == 0 || w->style != AG_STYLE_TEXT);
    if (minus && below && w->style != AG_STYLE_TEXT) first->is.number = -first->is.number;
    if (below) {
        put3(w, below > 1 ? "/(" : "/", "}{", "</mrow><mrow>");
        put_factors(w, first, BELOW, w->style != AG_STYLE_TEXT);
        put3(w, below > 1 ? ")" : "", "}", "</mrow></mfrac>");
    }
    put3(w, "", "", "</mrow>");
}

static void put_power(const writer *w, term *x) {
    term *base = x->first, *exponent = base->next;
    double n = exponent->kind == NUMBER ? exponent->is.number : NAN;
    bool halves = 2 * n == nearbyint(2 * n) && n != nearbyint(n) && fabs(n) < 100;
    if (n == 0.5) {
        put3(w, "√", "\\sqrt{", "<msqrt>");
        put_within(w, base, w->style == AG_STYLE_TEXT ? TIGHT : LOOSE);
        put3(w, "", "}", "</msqrt>");
        return;
    }
    put3(w, "", "{", "<msup><mrow>");
    put_within(w, base, TIGHT);
    if (w->style == AG_STYLE_TEXT && (n == 2 || n == 3)) {
        ag__put(w->t, n == 2 ? "²" : "³");
        return;
    }
    bool tight = tightness(exponent) == TIGHT && !halves;
    put3(w, tight ? "^" : "^(", "}^{", "</mrow><mrow>");
    if (halves) {
        put_number(w, 2 * n);
        put3(w, "/2", "/2", "<mo>/</mo><mn>2</mn>");
    } else put_term(w, exponent);
    put3(w, tight ? "" : ")", "}", "</mrow></msup>");
}

/* What has a name of its own in LaTeX. */
static void put_word(const writer *w, const term *t) {
    static const char *const own[] = {"ln", "cos", "sin", "tanh", "max", "min", "exp"};
    static const char *const greek[][2] = {{"σ", "\\sigma"}, {"Σ", "\\sum"}};
    char s[201];
    memcpy(s, t->is.text, t->length);
    s[t->length] = 0;
    if (w->style == AG_STYLE_LATEX) {
        for (size_t i = 0; i < sizeof greek / sizeof *greek; i++)
            if (strcmp(s, greek[i][0]) == 0) {
                ag__put(w->t, greek[i][1]);
                return;
            }
        bool known = t->length == 1;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) known = known || strcmp(s, own[i]) == 0;
        ag__put(w->t, t->length == 1 ? "" : known ? "\\" : "\\operatorname{");
        ag__put_escaped(w->t, s, t->length, SIZE_MAX, AG__LATEX);
        if (!known) ag__put(w->t, "}");
        return;
    }
    put3(w, "", "", t->kind == PREFIX || t->kind == RELATION ? "<mo>" : "<mi>");
    ag__put_escaped(w->t, s, t->length, SIZE_MAX, w->style == AG_STYLE_MATHML ? AG__XML : AG__PLAIN);
    put3(w, "", "", t->kind == PREFIX || t->kind == RELATION ? "</mo>" : "</mi>");
}

/* The name and its subscript; returns the first argument. */
static term *put_head(const writer *w, term *x) {
    term *sub = x->first;
    if (!sub || !(sub->flags & SUBSCRIPT)) {
        put_word(w, x);
        return sub;
    }
    put3(w, "", "", "<msub>");
    put_word(w, x);
    put3(w, "_", "_{", "<mrow>");
    put_term(w, sub);
    put3(w, "", "}", "</mrow></msub>");
    return sub->next;
}

static void put_call(const writer *w, term *x) {
    put3(w, "", "", "<mrow>");
    term *c = put_head(w, x);
    put3(w, "(", "\\left(", "<mo>(</mo>");
    for (; c; c = c->next) {
        put_term(w, c);
        if (c->next) put3(w, ", ", ", ", "<mo>,</mo>");
    }
    put3(w, ")", "\\right)", "<mo>)</mo></mrow>");
}

static void put_relation(const writer *w, term *x) {
    static const char *const signs[][2] = {{"≤", " \\le "}, {"≥", " \\ge "}, {"≠", " \\ne "}};
    put3(w, "", "", "<mrow>");
    bool sign = false;
    for (term *c = x->first; c; c = c->next, sign = !sign) {
        if (!sign) {
            put_within(w, c, OF_SUM);
            continue;
        }
        const char *latex = NULL;
        for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
            if (memcmp(c->is.text, signs[i][0], c->length) == 0) latex = signs[i][1];
        put3(w, " ", "", "<mo>");
        if (latex && w->style == AG_STYLE_LATEX) ag__put(w->t, latex);
        else ag__put_escaped(w->t, c->is.text, c->length, SIZE_MAX, w->style == AG_STYLE_MATHML ? AG__XML : AG__PLAIN);
        put3(w, " ", "", "</mo>");
    }
    put3(w, "", "", "</mrow>");
}

static void put_matrix_product(const writer *w, term *x) {
    put3(w, "", "", "<mrow>");
    for (term *c = x->first; c; c = c->next) {
        put_within(w, c, OF_PREFIX);
        if (c->next) put3(w, "·", " \\cdot ", "<mo>⋅</mo>");
    }
    put3(w, "", "", "</mrow>");
}

static void put_around(const writer *w, term *x) {
    term *c = x->first;
    if (x->kind == FENCE) {
        put3(w, "|", "\\left|", "<mrow><mo>|</mo>");
        put_term(w, c);
        put3(w, "|", "\\right|", "<mo>|</mo></mrow>");
    } else {
        put3(w, "", "{", "<msup><mrow>");
        put_within(w, c, TIGHT);
        put3(w, "ᵀ", "}^{\\top}", "</mrow><mo>⊤</mo></msup>");
    }
}

static void put_cotangent(const writer *w, const ag_tensor *t) {
    put3(w, "∂", "\\frac{\\partial ", "<mfrac><mrow><mi>∂</mi>");
    ag__put_name(w->f, w->t, w->f->y);
    put3(w, "/∂", "}{\\partial ", "</mrow><mrow><mi>∂</mi>");
    ag__put_name(w->f, w->t, t);
    put3(w, "", "}", "</mrow></mfrac>");
}

static void put_term(const writer *w, term *x) {
    switch (x->kind) {
    case NUMBER: put_number(w, x->is.number); break;
    case NAME: ag__put_name(w->f, w->t, x->is.node); break;
    case COTANGENT: put_cotangent(w, x->is.node); break;
    case WORD: put_word(w, x); break;
    case AXES: put_axes(w, x->is.node); break;
    case SHAPE: put_shape(w, x->is.node); break;
    case SUM: put_sum(w, x); break;
    case PRODUCT: put_product(w, x); break;
    case MATMUL: put_matrix_product(w, x); break;
    case POWER: put_power(w, x); break;
    case CALL: put_call(w, x); break;
    case RELATION: put_relation(w, x); break;
    case PREFIX:
        put3(w, "", "", "<mrow>");
        x = put_head(w, x);
        put3(w, " ", " ", "");
        put_within(w, x, OF_PRODUCT);
        put3(w, "", "", "</mrow>");
        break;
    default: put_around(w, x);
    }
}

/* ---- For the reports ---- */

static bool make_room(formulas *f) {
    if (f->room < f->tape->count || f->room == 0) {
        uint32_t room = ag__more_room(f->tape->count / 8 * 5, (uint64_t)f->tape->count + 64);
        size_t bytes = ag__times(room, sizeof(ag__entry));
        ag__entry *more = room ? ag__resize(f->tape, f->entry, f->room * sizeof *more, bytes) : NULL;
        if (more) memset(more + f->room, 0, (room - f->room) * sizeof *more);
        else f->failed = true;
        if (more) f->entry = more, f->room = room;
    }
    return !f->failed;
}

/* All labels there are, so that no name that is made up is one of them. */
static bool list_labels(formulas *f) {
    uint32_t labels = 0;
    size_t room = 16;
    for (uint32_t id = 0; id < f->tape->count; id++) labels += has_label(ag__node(f->tape, id));
    while (room / 2 < labels) room *= 2;
    f->labels =
        room > UINT32_MAX ? NULL : ag__resize(f->tape, NULL, 0, ag__times(room, sizeof *f->labels + sizeof *f->copies));
    if (!f->labels) return false;
    memset(f->labels, 0, room * (sizeof *f->labels + sizeof *f->copies));
    f->copies = (uint32_t *)(f->labels + room);
    f->label_room = (uint32_t)room;
    for (uint32_t id = 0; id < f->tape->count; id++) {
        const ag_tensor *t = ag__node(f->tape, id);
        if (!has_label(t)) continue;
        uint32_t slot = slot_of(f, t->label);
        if (!f->labels[slot]) f->labels[slot] = t;
    }
    return true;
}

bool ag__formulas_open(formulas *f, ag_tape *tape, ag_style style, bool brief) {
    *f = (formulas){.tape = tape, .style = style, .brief = brief};
    if (new_block(f)) {
        f->none = &f->block->term[f->block->used++];
        if (make_room(f) && list_labels(f)) return true;
    }
    ag__formulas_close(f);
    return false;
}

void ag__formulas_close(formulas *f) {
    for (struct ag__block *b = f->block, *before; b; b = before) {
        before = b->before;
        ag__resize(f->tape, b, sizeof *b, 0);
    }
    if (f->entry) ag__resize(f->tape, f->entry, f->room * sizeof *f->entry, 0);
    if (f->labels) ag__resize(f->tape, f->labels, f->label_room * (sizeof *f->labels + sizeof *f->copies), 0);
    f->block = NULL, f->entry = NULL, f->labels = NULL;
}

term *ag__add_formula(formulas *f, term *x, const ag_tensor *t, const ag_tensor *g, const ag_tensor *receiver) {
    if (!make_room(f)) return 0;
    f->given = g;
    f->receiver = receiver;
    term *y = build(f, t);
    f->given = NULL;
    return x ? sum(f, y, x) : y;
}

void ag__put_formula(formulas *f, ag__text *t, term *x, bool alone) {
    writer w = {f, t, f->style};
    if (f->failed) return;
    if (alone) put3(&w, "", "", "<math xmlns=\"http://www.w3.org/1998/Math/MathML\">");
    put_term(&w, x);
    if (alone) put3(&w, "", "", "</math>");
}

void ag__give_name(formulas *f, const ag_tensor *t) {
    if (make_room(f) && !has_label(t)) number_of(f, t);
}

const ag_tensor *ag__next_part(formulas *f) {
    if (!f->first) return NULL;
    const ag_tensor *t = ag__node(f->tape, f->first - 1);
    uint32_t next = f->entry[t->id].next;
    f->first = next == t->id + 1 ? 0 : next;
    if (!f->first) f->last = 0;
    f->wanted--;
    if (!f->entry[t->id].part && make_room(f)) {
        term *x = build(f, t);
        f->entry[t->id].part = whole(f, t, x);
    }
    return f->failed ? NULL : t;
}

/* ---- ag_formula ---- */

static void put_line(const writer *w, const ag_tensor *x, term *y, bool named, bool alone) {
    put3(w, "", "", alone ? "" : "<mtr><mtd>");
    if (named) ag__put_name(w->f, w->t, x);
    if (named) put3(w, " = ", alone ? " = " : " &= ", alone ? "<mo>=</mo>" : "</mtd><mtd><mo>=</mo></mtd><mtd>");
    else if (!alone) put3(w, "", "&", "</mtd><mtd></mtd><mtd>");
    put_term(w, y);
    put3(w, "", "", alone ? "" : "</mtd></mtr>");
}

/* y is the term of x: now it is known whether there are parts. */
static void put_lines(const writer *w, const ag_tensor *x, term *y, int lines) {
    formulas *f = w->f;
    bool alone = f->wanted == 0;
    const ag_tensor *part;
    f->entry[x->id].next = x->id + 1; /* no part of itself */
    put3(w, "", alone ? "" : "\\begin{aligned} ",
         "<math xmlns=\"http://www.w3.org/1998/Math/MathML\" display=\"block\">");
    put3(w, "", "", alone ? "" : "<mtable>");
    put_line(w, x, y, has_label(x), alone);
    for (int i = 0; i < lines && (part = ag__next_part(f)) != NULL; i++) {
        put3(w, i ? "\n        " : "\n  where ", " \\\\ ", "");
        put_line(w, part, f->entry[part->id].part, true, false);
    }
    if (f->wanted) {
        put3(w, "\n        … ", " \\\\ &\\text{… ", "<mtr><mtd></mtd><mtd></mtd><mtd><mtext>… ");
        ag__putf(w->t, "%" PRIu32 " more", f->wanted);
        put3(w, "", "}", "</mtext></mtd></mtr>");
    }
    put3(w, "", alone ? "" : " \\end{aligned}", alone ? "</math>" : "</mtable></math>");
}

const char *ag_formula(ag_tensor *x, const ag_formula_options *options) {
    static const char name[] = "formula";
    int line;
    const char *file = ag__here_file(&line), *result = "";
    ag_formula_options o = options ? *options : (ag_formula_options){0};
    formulas f;
    ag_tape *tape = ag_tape_of(x);
    if (!ag__usable(name, x))
        ;
    else if ((unsigned)o.style > AG_STYLE_MATHML || o.lines < 0)
        ag__fail(name, 1, &x, AG_ERR_RANGE, "style %d, %d lines", (int)o.style, o.lines);
    else if (!ag__formulas_open(&f, tape, o.style, o.brief))
        ag__fail(name, 1, &x, AG_ERR_MEMORY, "no memory for the names of %u nodes", tape->count);
    else {
        ag__text text = {.tape = tape};
        term *y = build(&f, x);
        if (!f.failed) put_lines(&(writer){&f, &text, o.style}, x, y, o.lines ? o.lines : DEFAULT_LINES);
        text.failed |= f.failed;
        ag__formulas_close(&f);
        result = ag__text_finish(&text, name);
    }
    ag__leave(tape, file, line);
    return result;
}
