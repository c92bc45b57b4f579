/* term -- making terms: sums, products and powers in a simple form
 *
 * A term stands in one list and moves from there to the next, so the constructors take their arguments apart.
 * Invariant: without memory a constructor gives `none`, which gets into no list; the formula has then failed, and is
 * not written. */
#include "autograd/report/term.h"

#include <math.h>

/* Room for more terms; false: out of memory. */
static bool new_block(ag__formulas *f) {
    struct ag__term_slab *b = ag__resize(f->tape, NULL, 0, sizeof *b);
    if (!b) return false;
    b->before = f->block;
    b->used = 0;
    f->block = b;
    return true;
}

ag__term *ag__term_new(ag__formulas *f, ag__term_kind what) {
    f->failed = f->failed || (f->block->used == AG__TERMS_IN_BLOCK && !new_block(f));
    ag__term *x = f->failed ? f->none : &f->block->term[f->block->used++];
    x->kind = f->failed ? AG__TERM_NUMBER : (uint8_t)what;
    x->flags = 0, x->length = 0, x->size = 1;
    x->first = x->next = NULL;
    x->is.number = 0;
    return x;
}

ag__term *ag__term_number(ag__formulas *f, double a) {
    ag__term *x = ag__term_new(f, AG__TERM_NUMBER);
    x->is.number = a;
    return x;
}

ag__term *ag__term_of_node(ag__formulas *f, ag__term_kind what, const ag_tensor *t) {
    ag__term *x = ag__term_new(f, what);
    x->is.node = t;
    return x;
}

/* x, or a copy if it may be in a list already. */
ag__term *ag__term_again(ag__formulas *f, ag__term *x) {
    if (x->kind != AG__TERM_NAME && x->kind != AG__TERM_NUMBER && x->kind != AG__TERM_COTANGENT) return x;
    ag__term *copy = ag__term_new(f, AG__TERM_NUMBER);
    *copy = *x;
    copy->next = 0;
    return copy;
}

void ag__term_append(ag__formulas *f, ag__terms *l, ag__term *x) {
    if (!x || x == f->none) return;
    if (l->first) l->last->next = x;
    else l->first = x;
    x->next = 0;
    l->last = x;
    l->size += x->size;
}

ag__term *ag__term_with(ag__formulas *f, ag__term_kind what, const ag__terms *l) {
    ag__term *x = ag__term_new(f, what);
    x->first = l->first;
    x->size += l->size;
    return x;
}

ag__term *ag__term_around(ag__formulas *f, ag__term_kind what, ag__term *child) {
    ag__terms l = {0};
    ag__term_append(f, &l, child);
    return ag__term_with(f, what, &l);
}

static bool is_number(const ag__term *x, double a) { return x->kind == AG__TERM_NUMBER && x->is.number == a; }

typedef struct parts {
    double coefficient;
    ag__terms above, below;
} parts;

static void multiply(ag__formulas *f, parts *p, ag__term *x, bool below);

static void multiply_number(ag__formulas *f, parts *p, ag__term *x, bool below) {
    double a = x->is.number, product = p->coefficient * a;
    if (signbit(a) && a != 0) {
        p->coefficient = -p->coefficient;
        product = p->coefficient * -a;
        x->is.number = a = -a;
    }
    bool exact = a != 0 && isfinite(product) && fma(p->coefficient, a, -product) == 0;
    if (a == 1) return;
    if (!below && exact) p->coefficient = product;
    else ag__term_append(f, below ? &p->below : &p->above, x);
}

static void multiply(ag__formulas *f, parts *p, ag__term *x, bool below) {
    bool split = x->kind == AG__TERM_PRODUCT;
    for (ag__term *c = x->first; below && split && c; c = c->next) split = !(c->flags & AG__BELOW);
    if (x->kind == AG__TERM_NUMBER) multiply_number(f, p, x, below);
    else if (!split) {
        x->flags = (uint8_t)((x->flags & ~AG__BELOW) | (below ? AG__BELOW : 0));
        ag__term_append(f, below ? &p->below : &p->above, x);
    } else {
        for (ag__term *c = x->first, *next; c; c = next) {
            next = c->next;
            multiply(f, p, c, below || c->flags & AG__BELOW);
        }
    }
}

static ag__term *product_of(ag__formulas *f, parts *p) {
    for (ag__term *c = p->below.first; c; c = c->next) c->flags |= AG__BELOW;
    if (!p->above.first && !p->below.first) return ag__term_number(f, p->coefficient);
    if (p->coefficient == 1 && p->above.first == p->above.last && !p->below.first) return p->above.first;
    ag__terms l = {0};
    if (p->coefficient != 1) ag__term_append(f, &l, ag__term_number(f, p->coefficient));
    if (p->above.first) {
        ag__term *last = p->above.last;
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
    return ag__term_with(f, AG__TERM_PRODUCT, &l);
}

ag__term *ag__term_product(ag__formulas *f, ag__term *a, ag__term *b, bool divide) {
    parts p = {.coefficient = 1};
    multiply(f, &p, a, false);
    multiply(f, &p, b, divide);
    return product_of(f, &p);
}

ag__term *ag__term_negative(ag__formulas *f, ag__term *x) {
    return ag__term_product(f, ag__term_number(f, -1), x, false);
}

static void add(ag__formulas *f, ag__terms *l, ag__term *x) {
    if (is_number(x, 0)) return;
    if (x->kind != AG__TERM_SUM) {
        ag__term_append(f, l, x);
        return;
    }
    for (ag__term *c = x->first, *next; c; c = next) {
        next = c->next;
        ag__term_append(f, l, c);
    }
}

ag__term *ag__term_sum(ag__formulas *f, ag__term *a, ag__term *b) {
    ag__terms l = {0};
    add(f, &l, a);
    add(f, &l, b);
    if (!l.first) return ag__term_number(f, 0);
    return l.first == l.last ? l.first : ag__term_with(f, AG__TERM_SUM, &l);
}

ag__term *ag__term_power(ag__formulas *f, ag__term *x, ag__term *exponent) {
    if (is_number(exponent, 1)) return x;
    if (exponent->kind == AG__TERM_NUMBER && x->kind == AG__TERM_POWER) { /* (a^p)^n = a^(p·n) for whole n */
        double n = exponent->is.number;
        ag__term *inner = x->first->next;
        double p = inner->kind == AG__TERM_NUMBER ? inner->is.number : NAN;
        if (n == nearbyint(n) && fabs(n) < 100 && fabs(p) < 100 && fma(p, n, -(p * n)) == 0) {
            inner->is.number = p * n;
            return is_number(inner, 1) ? x->first : x;
        }
    }
    ag__terms l = {0};
    ag__term_append(f, &l, x);
    ag__term_append(f, &l, exponent);
    return ag__term_with(f, AG__TERM_POWER, &l);
}

ag__term *ag__term_transposed(ag__formulas *f, ag__term *x) {
    return x->kind == AG__TERM_TRANSPOSED ? x->first : ag__term_around(f, AG__TERM_TRANSPOSED, x);
}

/* x without the number in front of it, which is multiplied into p. */
static ag__term *without_number(ag__formulas *f, parts *p, ag__term *x) {
    ag__term *first = x->kind == AG__TERM_PRODUCT ? x->first : 0;
    if (!first || first->kind != AG__TERM_NUMBER || first->flags & AG__BELOW) return x;
    ag__term *rest = first->next;
    multiply(f, p, first, false);
    if (!rest->next && !(rest->flags & AG__BELOW)) return rest;
    x->first = rest;
    return x;
}

/* The same with its divisor, if that is a number. */
static ag__term *without_numbers(ag__formulas *f, parts *p, ag__term *x) {
    x = without_number(f, p, x);
    if (x->kind != AG__TERM_PRODUCT) return x;
    ag__term *before = x->first, *last = before->next;
    while (last && last->next) before = last, last = last->next;
    if (!last || last->kind != AG__TERM_NUMBER || !(last->flags & AG__BELOW)) return x;
    before->next = 0;
    multiply(f, p, last, true);
    return before == x->first && !(before->flags & AG__BELOW) ? before : x;
}

ag__term *ag__term_matrix_product(ag__formulas *f, ag__term *a, ag__term *b) {
    parts p = {.coefficient = 1};
    ag__terms l = {0};
    ag__term *in[] = {a, b};
    for (int i = 0; i < 2; i++) {
        ag__term *x = without_numbers(f, &p, in[i]);
        bool chain = x->kind == AG__TERM_MATMUL;
        for (ag__term *c = chain ? x->first : x, *next; c; c = next) {
            next = chain ? c->next : 0;
            ag__term_append(f, &l, c);
        }
    }
    multiply(f, &p, ag__term_with(f, AG__TERM_MATMUL, &l), false);
    return product_of(f, &p);
}

/* An operator such as Σ; being linear, it lets a number pass to its front. */
ag__term *ag__term_prefixed(ag__formulas *f, ag__term *operator_, ag__term *x) {
    parts p = {.coefficient = 1};
    ag__terms l = {.first = operator_->first, .last = operator_->first};
    ag__term_append(f, &l, without_number(f, &p, x));
    operator_->first = l.first;
    operator_->size += l.size;
    multiply(f, &p, operator_, false);
    return product_of(f, &p);
}
