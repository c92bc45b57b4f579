/* formula -- the formulas of a report, and the names that they share */
#ifndef AG_FORMULA_H
#define AG_FORMULA_H

#include "autograd/eval/eval.h"
#include "autograd/report/text.h"

/* A term (term.h). Children are a list: `first`, then each one's `next`. In a product a number that is not 1 comes
 * first, and divisors, which are flagged AG__BELOW, last. */
typedef struct ag__term {
    uint8_t kind, flags;
    uint16_t length; /* of `text` */
    uint32_t size;   /* number of its terms */
    struct ag__term *first, *next;
    union {
        double number;
        const char *text; /* of the notation */
        const ag_tensor *node;
    } is;
} ag__term;

/* Terms never move: a full block is followed by another. It is below 1 kB, which allocators give soonest. */
enum { AG__TERMS_IN_BLOCK = AG__LIMIT(28, 2) };

struct ag__term_slab {
    struct ag__term_slab *before;
    uint32_t used;
    ag__term term[AG__TERMS_IN_BLOCK];
};

/* A report's knowledge of a node. */
typedef struct ag__entry {
    uint32_t number;        /* distinguishes equal names; 0: not named yet */
    struct ag__term *part;  /* the term that its name stands for; NULL: none yet */
    struct ag__term *built; /* scratch of one formula: its term there */
    uint32_t next;          /* in the queue of parts to write: 1 + the next; 1 + itself: the last; 0: not in it */
    uint8_t uses;           /* scratch of one formula */
    bool odd;               /* its notation is invalid */
    uint8_t narrow;         /* bit i: the written value is broadcast along axis i from the end */
} ag__entry;

/* The names and parts of one report. A formula refers to parts by name; ag__next_part returns those still to be
 * written. */
typedef struct ag__formulas {
    ag_tape *tape;
    ag_style style;
    bool brief;       /* labelled parts are not written out */
    bool failed;      /* out of memory */
    ag__entry *entry; /* `few`, or allocated */
    uint32_t room;
    struct ag__term_slab *block; /* of terms, the last of them */
    struct ag__term *none;       /* the term that stands for all others once memory has run out */
    uint32_t first, last;        /* of the queue, 1 + node */
    uint32_t wanted;             /* named parts that are not written yet */
    uint32_t counters[4];        /* of made-up names */
    const ag_tensor **labels;    /* hash table, NULL if there are no labels: a tensor with each, */
    uint32_t *copies;            /* and how many of that label have been named */
    uint32_t label_room;
    const ag_tensor *y, *x;            /* of an explanation: named y and x if they have no label */
    const ag_tensor *given, *receiver; /* of one formula: a cotangent that is written ∂y/∂receiver; NULL: none */
    ag__entry few[16];
    struct ag__term_slab first_terms; /* the first block: most formulas need no other */
} ag__formulas;

bool ag__formulas_open(ag__formulas *f, ag_tape *tape, ag_style style, bool brief);
void ag__formulas_close(ag__formulas *f);
void ag__put_name(ag__formulas *f, ag__text *t, const ag_tensor *x);
/* The term of t, whatever its own name, plus the term x, unless that is NULL. In it g, unless NULL, is the cotangent
 * of `receiver`. */
struct ag__term *ag__add_formula(ag__formulas *f, struct ag__term *x, const ag_tensor *t, const ag_tensor *g,
                                 const ag_tensor *receiver);
/* Write a term; `alone`: in MathML, with the element around it. */
void ag__put_formula(ag__formulas *f, ag__text *t, struct ag__term *x, bool alone);
void ag__give_name(ag__formulas *f, const ag_tensor *t); /* it is written by name even if it is a number or a part */
/* The next named part that is not written yet; NULL: none. */
const ag_tensor *ag__next_part(ag__formulas *f);
bool ag__is_transparent(const ag_tensor *t); /* changes no element, and is written like its input */

#endif
