/* explain -- what the parts of an explanation share: the report that is being written, and the uses that it shows */
#ifndef AG_EXPLAIN_H
#define AG_EXPLAIN_H

#include "autograd/report/formula.h"
#include "autograd/report/report.h"

enum { AG__DEEPEST = 32, AG__LONGEST_STRETCH = 16, AG__LONGEST_PATH = (AG__DEEPEST + 1) * AG__LONGEST_STRETCH };

/* A use of a tensor: it is input i of node t, which has cotangent g and contributes c; NULL: it contributes nothing. */
typedef struct ag__use {
    ag_tensor *t, *g, *c;
    uint32_t next;    /* 1 + the next use of the same tensor, which is younger; 0: none */
    uint32_t earlier; /* earlier contributions to that input */
    int i;
} ag__use;

/* The uses of a node, summed up. */
typedef struct ag__used {
    uint32_t first;        /* 1 + the oldest use */
    uint32_t count, given; /* uses, and those with a contribution */
    double paths;          /* to y */
} ag__used;

typedef struct ag__report {
    const char *name; /* of the call */
    ag_tape *tape;
    ag_explain_options o;
    ag_tensor *y, *ybar;
    ag__formulas f;
    ag__text t;
    ag__use *use;
    uint32_t count, room;
    ag__used *used; /* of each node older than y */
    uint32_t used_room;
    uint32_t path[AG__LONGEST_PATH]; /* uses, from x onwards */
    int length;
    int number[AG__DEEPEST + 1]; /* of the line, as in 2.1.3 */
    int lines;                   /* left to write */
    int64_t left_out;
} ag__report;

/* ---- uses.c ---- */

bool ag__report_out_of_memory(const ag__report *r); /* raises the error; false */
bool ag__report_options_valid(ag__report *r, const ag_explain_options *options);
int ag__report_lines(const ag__report *r); /* the most of each kind */
/* Runs the backward scan for the gradients dx, notes all uses, and opens the formulas. */
bool ag__report_observe(ag__report *r, int n, ag_tensor *const x[], ag_tensor *dx[]);
/* Restores the tape, and frees everything but the text, which it returns; "" after an error. */
const char *ag__report_finish(ag__report *r, const ag__snapshot *before);

/* ---- phrases.c: text at the end of the report ---- */

void ag__say(ag__report *r, const char *s);
void ag__say_key(ag__report *r, const char *name); /* of a JSON field */
void ag__say_count(ag__report *r, const char *name, double n);
void ag__say_name(ag__report *r, const ag_tensor *x); /* in JSON a string of plain text, for any style of formulas */
void ag__say_term(ag__report *r, struct ag__term *x);
void ag__say_shape(ag__report *r, const ag_tensor *x);
void ag__say_location(ag__report *r, const ag_tensor *x); /* " [train.c:42]" */
void ag__say_op(ag__report *r, const ag_tensor *x);
void ag__say_json_name(ag__report *r, const ag_tensor *x);
void ag__say_json_fields(ag__report *r, const ag_tensor *x);                 /* of a node, for between braces */
void ag__say_json_node(ag__report *r, const char *name, const ag_tensor *x); /* a field: the node and its name */
void ag__say_parts(ag__report *r);                                           /* the parts of formulas with a name */

/* x + the contribution of u, which has ∂y/∂t in place of t's cotangent, unless t is y. */
struct ag__term *ag__add_use(ag__report *r, struct ag__term *x, const ag_tensor *c, const ag__use *u);

double *ag__values_of(ag_tensor *x, ag__buffer **memory); /* in memory of the report; NULL after an error */
double ag__norm_of(const double *a, int64_t n);
/* The norm, and the values if there are few. */
void ag__say_values(ag__report *r, const ag_tensor *like, const double *a);

/* ---- agreement.c ---- */

/* Whether c, with the values a, is zero exactly or to rounding. */
void ag__say_zero(ag__report *r, ag_tensor *c, const double *a);
/* The sum of all contributions to x, compared with its gradient. */
bool ag__say_sum(ag__report *r, ag_tensor *x, ag_tensor *dx);

#endif
