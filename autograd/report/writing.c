/* writing -- terms as text, LaTeX or MathML
 *
 * Invariant: parentheses stand where the order of operations would otherwise be another, and nowhere else. */
#include "autograd/report/term.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void ag__put3(const ag__writing *w, const char *text, const char *latex, const char *mathml) {
    ag__put(w->t, w->style == AG_STYLE_TEXT ? text : w->style == AG_STYLE_LATEX ? latex : mathml);
}

/* How tightly a term holds together. */
enum { LOOSE, OF_SUM, OF_SIGN, OF_PRODUCT, OF_PREFIX, OF_POWER, TIGHT };

static int tightness(const ag__term *t) {
    switch (t->kind) {
    case AG__TERM_RELATION: return LOOSE;
    case AG__TERM_SUM: return OF_SUM;
    case AG__TERM_NUMBER: return signbit(t->is.number) ? OF_SIGN : TIGHT;
    case AG__TERM_PRODUCT:
        return t->first->kind == AG__TERM_NUMBER && signbit(t->first->is.number) ? OF_SIGN : OF_PRODUCT;
    case AG__TERM_MATMUL: return OF_PRODUCT;
    case AG__TERM_PREFIX: return OF_SIGN;
    case AG__TERM_POWER:
    case AG__TERM_TRANSPOSED: return OF_POWER;
    default: return TIGHT;
    }
}

static void put_within(const ag__writing *w, ag__term *x, int least) {
    bool loose = tightness(x) < least;
    if (loose) ag__put3(w, "(", "\\left(", "<mrow><mo>(</mo>");
    ag__put_term(w, x);
    if (loose) ag__put3(w, ")", "\\right)", "<mo>)</mo></mrow>");
}

/* The sign is written separately. */
static void put_magnitude(const ag__writing *w, double a) {
    char s[AG__NUMBER];
    if (!isfinite(a)) {
        if (isnan(a)) ag__put3(w, "NaN", "\\mathrm{NaN}", "<mi>NaN</mi>");
        else ag__put3(w, "∞", "\\infty", "<mi>∞</mi>");
        return;
    }
    char *e = strchr(ag__number(s, 6, fabs(a)), 'e');
    bool scaled = e && w->style == AG_STYLE_LATEX;
    if (e) *e++ = 0;
    ag__put3(w, "", "", "<mn>");
    if (!scaled || strcmp(s, "1") != 0) ag__put(w->t, s);
    if (scaled) ag__putf(w->t, strcmp(s, "1") ? " \\cdot 10^{%d}" : "10^{%d}", atoi(e));
    else if (e) ag__putf(w->t, "e%d", atoi(e));
    ag__put3(w, "", "", "</mn>");
}

static void put_number(const ag__writing *w, double a) {
    if (signbit(a)) ag__put3(w, "−", "-", "<mo>−</mo>");
    put_magnitude(w, a);
}

static void put_integer(const ag__writing *w, int64_t n) {
    ag__put3(w, "", "", "<mn>");
    ag__put_whole(w->t, n);
    ag__put3(w, "", "", "</mn>");
}

static void put_axes(const ag__writing *w, const ag_tensor *t) {
    uint32_t mask = ag__reduced_axes(t);
    bool first = true;
    for (int i = 0; i < AG_MAX_RANK; i++) {
        if (!(mask & 1u << i)) continue;
        if (!first) ag__put3(w, ",", ",", "<mo>,</mo>");
        put_integer(w, i);
        first = false;
    }
}

static void put_shape(const ag__writing *w, const ag_tensor *t) {
    ag__put3(w, "(", "(", "<mrow><mo>(</mo>");
    for (int i = 0; i < t->layout->rank; i++) {
        if (i) ag__put3(w, ",", ",", "<mo>,</mo>");
        put_integer(w, t->layout->extent[i]);
    }
    ag__put3(w, ")", ")", "<mo>)</mo></mrow>");
}

static void put_sum(const ag__writing *w, ag__term *x) {
    ag__put3(w, "", "", "<mrow>");
    for (ag__term *c = x->first; c; c = c->next) {
        bool first = c == x->first, minus = tightness(c) == OF_SIGN && c->kind != AG__TERM_PREFIX;
        if (first || !minus) {
            if (!first) ag__put3(w, " + ", " + ", "<mo>+</mo>");
            put_within(w, c, OF_SIGN);
            continue;
        }
        ag__put3(w, " − ", " - ", "<mo>−</mo>");
        double *a = c->kind == AG__TERM_NUMBER ? &c->is.number : &c->first->is.number;
        *a = -*a;
        put_within(w, c, OF_SIGN);
        *a = -*a;
    }
    ag__put3(w, "", "", "</mrow>");
}

/* The factors of one side. A matrix product among numbers, and Σ at the end, need no parentheses. */
static void put_factors(const ag__writing *w, ag__term *first, uint8_t below, bool open_end) {
    int tensors = 0;
    ag__term *last = NULL;
    for (ag__term *c = first; c; c = c->next) {
        if ((c->flags & AG__BELOW) != below) continue;
        tensors += c->kind != AG__TERM_NUMBER && !(c->flags & AG__SCALAR);
        last = c;
    }
    ag__term *before = NULL;
    for (ag__term *t = first; t; t = t->next) {
        if ((t->flags & AG__BELOW) != below) continue;
        bool alone = t->kind == AG__TERM_NUMBER && fabs(t->is.number) == 1 && t != last && !before;
        if (before) {
            bool plain = before->kind == AG__TERM_NUMBER || t->kind == AG__TERM_NUMBER ||
                         (before->flags | t->flags) & AG__SCALAR;
            if (plain) ag__put3(w, "·", " \\cdot ", "<mo>⋅</mo>");
            else ag__put3(w, "⊙", " \\odot ", "<mo>⊙</mo>");
        }
        if (alone) { /* −1 is a sign */
            if (signbit(t->is.number)) ag__put3(w, "−", "-", "<mo>−</mo>");
            continue;
        }
        bool free =
            (t->kind == AG__TERM_MATMUL && tensors == 1) || (t->kind == AG__TERM_PREFIX && t == last && open_end);
        if (t->kind == AG__TERM_NUMBER && !before) put_number(w, t->is.number);
        else put_within(w, t, free ? OF_SIGN : OF_PREFIX);
        before = t;
    }
}

static void put_product(const ag__writing *w, ag__term *x) {
    ag__term *first = x->first;
    int above = 0, below = 0;
    for (ag__term *c = first; c; c = c->next) *(c->flags & AG__BELOW ? &below : &above) += 1;
    const ag__term *number = first->kind == AG__TERM_NUMBER && !(first->flags & AG__BELOW) ? first : NULL;
    bool minus = number && signbit(number->is.number), sign_only = number && fabs(number->is.number) == 1;
    ag__put3(w, "", "", "<mrow>");
    if (minus && below) ag__put3(w, "", "-", "<mo>−</mo>");
    if (below) ag__put3(w, "", "\\frac{", "<mfrac><mrow>");
    if (minus && below && w->style != AG_STYLE_TEXT) first->is.number = -number->is.number;
    if (above == 0 || (above == 1 && sign_only)) ag__put3(w, minus ? "−1" : "1", "1", "<mn>1</mn>");
    else put_factors(w, first, 0, below == 0 || w->style != AG_STYLE_TEXT);
    if (minus && below && w->style != AG_STYLE_TEXT) first->is.number = -first->is.number;
    if (below) {
        ag__put3(w, below > 1 ? "/(" : "/", "}{", "</mrow><mrow>");
        put_factors(w, first, AG__BELOW, w->style != AG_STYLE_TEXT);
        ag__put3(w, below > 1 ? ")" : "", "}", "</mrow></mfrac>");
    }
    ag__put3(w, "", "", "</mrow>");
}

static void put_power(const ag__writing *w, ag__term *x) {
    ag__term *base = x->first, *exponent = base->next;
    double n = exponent->kind == AG__TERM_NUMBER ? exponent->is.number : NAN;
    bool halves = 2 * n == nearbyint(2 * n) && n != nearbyint(n) && fabs(n) < 100;
    if (n == 0.5) {
        ag__put3(w, "√", "\\sqrt{", "<msqrt>");
        put_within(w, base, w->style == AG_STYLE_TEXT ? TIGHT : LOOSE);
        ag__put3(w, "", "}", "</msqrt>");
        return;
    }
    ag__put3(w, "", "{", "<msup><mrow>");
    put_within(w, base, TIGHT);
    if (w->style == AG_STYLE_TEXT && (n == 2 || n == 3)) {
        ag__put(w->t, n == 2 ? "²" : "³");
        return;
    }
    bool tight = tightness(exponent) == TIGHT && !halves;
    ag__put3(w, tight ? "^" : "^(", "}^{", "</mrow><mrow>");
    if (halves) {
        put_number(w, 2 * n);
        ag__put3(w, "/2", "/2", "<mo>/</mo><mn>2</mn>");
    } else ag__put_term(w, exponent);
    ag__put3(w, tight ? "" : ")", "}", "</mrow></msup>");
}

/* A word, by its own name in LaTeX if it has one there. */
static void put_word(const ag__writing *w, const ag__term *t) {
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
    ag__put3(w, "", "", t->kind == AG__TERM_PREFIX || t->kind == AG__TERM_RELATION ? "<mo>" : "<mi>");
    ag__put_escaped(w->t, s, t->length, SIZE_MAX, w->style == AG_STYLE_MATHML ? AG__XML : AG__PLAIN);
    ag__put3(w, "", "", t->kind == AG__TERM_PREFIX || t->kind == AG__TERM_RELATION ? "</mo>" : "</mi>");
}

/* The name and its subscript; returns the first argument. */
static ag__term *put_head(const ag__writing *w, ag__term *x) {
    ag__term *sub = x->first;
    if (!sub || !(sub->flags & AG__SUBSCRIPT)) {
        put_word(w, x);
        return sub;
    }
    ag__put3(w, "", "", "<msub>");
    put_word(w, x);
    ag__put3(w, "_", "_{", "<mrow>");
    ag__put_term(w, sub);
    ag__put3(w, "", "}", "</mrow></msub>");
    return sub->next;
}

static void put_call(const ag__writing *w, ag__term *x) {
    ag__put3(w, "", "", "<mrow>");
    ag__term *c = put_head(w, x);
    ag__put3(w, "(", "\\left(", "<mo>(</mo>");
    for (; c; c = c->next) {
        ag__put_term(w, c);
        if (c->next) ag__put3(w, ", ", ", ", "<mo>,</mo>");
    }
    ag__put3(w, ")", "\\right)", "<mo>)</mo></mrow>");
}

static void put_relation(const ag__writing *w, ag__term *x) {
    static const char *const signs[][2] = {{"≤", " \\le "}, {"≥", " \\ge "}, {"≠", " \\ne "}};
    ag__put3(w, "", "", "<mrow>");
    bool sign = false;
    for (ag__term *c = x->first; c; c = c->next, sign = !sign) {
        if (!sign) {
            put_within(w, c, OF_SUM);
            continue;
        }
        const char *latex = NULL;
        for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
            if (memcmp(c->is.text, signs[i][0], c->length) == 0) latex = signs[i][1];
        ag__put3(w, " ", "", "<mo>");
        if (latex && w->style == AG_STYLE_LATEX) ag__put(w->t, latex);
        else ag__put_escaped(w->t, c->is.text, c->length, SIZE_MAX, w->style == AG_STYLE_MATHML ? AG__XML : AG__PLAIN);
        ag__put3(w, " ", "", "</mo>");
    }
    ag__put3(w, "", "", "</mrow>");
}

static void put_matrix_product(const ag__writing *w, ag__term *x) {
    ag__put3(w, "", "", "<mrow>");
    for (ag__term *c = x->first; c; c = c->next) {
        put_within(w, c, OF_PREFIX);
        if (c->next) ag__put3(w, "·", " \\cdot ", "<mo>⋅</mo>");
    }
    ag__put3(w, "", "", "</mrow>");
}

static void put_around(const ag__writing *w, ag__term *x) {
    ag__term *c = x->first;
    if (x->kind == AG__TERM_FENCE) {
        ag__put3(w, "|", "\\left|", "<mrow><mo>|</mo>");
        ag__put_term(w, c);
        ag__put3(w, "|", "\\right|", "<mo>|</mo></mrow>");
    } else {
        ag__put3(w, "", "{", "<msup><mrow>");
        put_within(w, c, TIGHT);
        ag__put3(w, "ᵀ", "}^{\\top}", "</mrow><mo>⊤</mo></msup>");
    }
}

static void put_cotangent(const ag__writing *w, const ag_tensor *t) {
    ag__put3(w, "∂", "\\frac{\\partial ", "<mfrac><mrow><mi>∂</mi>");
    ag__put_name(w->f, w->t, w->f->y);
    ag__put3(w, "/∂", "}{\\partial ", "</mrow><mrow><mi>∂</mi>");
    ag__put_name(w->f, w->t, t);
    ag__put3(w, "", "}", "</mrow></mfrac>");
}

void ag__put_term(const ag__writing *w, ag__term *x) {
    switch (x->kind) {
    case AG__TERM_NUMBER: put_number(w, x->is.number); break;
    case AG__TERM_NAME: ag__put_name(w->f, w->t, x->is.node); break;
    case AG__TERM_COTANGENT: put_cotangent(w, x->is.node); break;
    case AG__TERM_WORD: put_word(w, x); break;
    case AG__TERM_AXES: put_axes(w, x->is.node); break;
    case AG__TERM_SHAPE: put_shape(w, x->is.node); break;
    case AG__TERM_SUM: put_sum(w, x); break;
    case AG__TERM_PRODUCT: put_product(w, x); break;
    case AG__TERM_MATMUL: put_matrix_product(w, x); break;
    case AG__TERM_POWER: put_power(w, x); break;
    case AG__TERM_CALL: put_call(w, x); break;
    case AG__TERM_RELATION: put_relation(w, x); break;
    case AG__TERM_PREFIX:
        ag__put3(w, "", "", "<mrow>");
        x = put_head(w, x);
        ag__put3(w, " ", " ", "");
        put_within(w, x, OF_PRODUCT);
        ag__put3(w, "", "", "</mrow>");
        break;
    default: put_around(w, x);
    }
}
