/* term -- what formulas are made of, between the graph and the text
 *
 * A notation becomes terms (notation.c, by the constructors of term.c), those of a graph become one (build.c), and
 * terms become text (writing.c, which names.c gives names). */
#ifndef AG_TERM_H
#define AG_TERM_H

#include "autograd/report/formula.h"

typedef enum ag__term_kind {
    AG__TERM_NUMBER,
    AG__TERM_NAME,
    AG__TERM_COTANGENT,
    AG__TERM_WORD,
    AG__TERM_SUM,
    AG__TERM_PRODUCT,
    AG__TERM_MATMUL,
    AG__TERM_POWER,
    AG__TERM_FENCE,
    AG__TERM_TRANSPOSED,
    AG__TERM_CALL,
    AG__TERM_PREFIX,
    AG__TERM_RELATION,
    AG__TERM_SHAPE,
    AG__TERM_AXES
} ag__term_kind;

/* Flags: a divisor; of one element; the subscript of a name. */
enum { AG__BELOW = 1, AG__SCALAR = 2, AG__SUBSCRIPT = 4 };

/* A list under construction. */
typedef struct ag__terms {
    ag__term *first, *last;
    uint32_t size;
} ag__terms;

/* term.c */
ag__term *ag__term_new(ag__formulas *f, ag__term_kind what);
ag__term *ag__term_number(ag__formulas *f, double a);
ag__term *ag__term_of_node(ag__formulas *f, ag__term_kind what, const ag_tensor *t);
ag__term *ag__term_again(ag__formulas *f, ag__term *x); /* x, or a copy where it may already stand in a list */
void ag__term_append(ag__formulas *f, ag__terms *l, ag__term *x);
ag__term *ag__term_with(ag__formulas *f, ag__term_kind what, const ag__terms *children);
ag__term *ag__term_around(ag__formulas *f, ag__term_kind what, ag__term *child);
ag__term *ag__term_product(ag__formulas *f, ag__term *a, ag__term *b, bool divide);
ag__term *ag__term_negative(ag__formulas *f, ag__term *x);
ag__term *ag__term_sum(ag__formulas *f, ag__term *a, ag__term *b);
ag__term *ag__term_power(ag__formulas *f, ag__term *x, ag__term *exponent);
ag__term *ag__term_transposed(ag__formulas *f, ag__term *x);
ag__term *ag__term_matrix_product(ag__formulas *f, ag__term *a, ag__term *b);
/* An operator such as Σ; being linear, it lets a number pass to its front. */
ag__term *ag__term_prefixed(ag__formulas *f, ag__term *operator_, ag__term *x);

/* notation.c */
const char *ag__sound_notation(ag__formulas *f, const ag_tensor *t); /* NULL: none, or invalid */
uint32_t ag__mentions(const char *notation, int i);                  /* of input i; notation NULL: one of each */
/* Mentions of input i's first input, as {^i}: for the library's own notations, where that says the same and is what
 * is taught. */
uint32_t ag__mentions_below(const char *notation, int i);
/* t, or the variable whose version it is, if that still has the same value. */
const ag_tensor *ag__canonical(const ag_tensor *t);
uint32_t ag__reduced_axes(const ag_tensor *t); /* as bits; 0: not a reduction */
bool ag__in_word(char c);
/* The term of t, the terms of whose inputs have been built. */
ag__term *ag__term_of(ag__formulas *f, const ag_tensor *t);
/* broadcast(x, (2,3)), of t's shape. */
ag__term *ag__term_broadcast(ag__formulas *f, const ag_tensor *t, ag__term *x);

/* names.c */
static inline bool ag__has_label(const ag_tensor *t) { return ag__about(t)->label && *ag__about(t)->label; }
uint32_t ag__number_of(ag__formulas *f, const ag_tensor *t); /* that tells t from others of its name; from 1 */
bool ag__list_labels(ag__formulas *f);                       /* false: out of memory */

/* build.c */
ag__term *ag__build_term(ag__formulas *f, const ag_tensor *x); /* of x, whatever its own name */
/* x, the term of t, with what goes without saying elsewhere: that it is repeated. */
ag__term *ag__whole_term(ag__formulas *f, const ag_tensor *t, ag__term *x);

/* writing.c */
typedef struct ag__writing {
    ag__formulas *f;
    ag__text *t;
    ag_style style;
} ag__writing;

void ag__put3(const ag__writing *w, const char *text, const char *latex, const char *mathml);
void ag__put_term(const ag__writing *w, ag__term *x);

#endif
