/* random_program -- programs as data: lists of calls that can be generated, recorded, printed and made smaller
 *
 * A line of a program is a call with all its arguments; its operands are the numbers of earlier lines. A seed
 * determines the program, so it is enough to reproduce a failure. */
#ifndef TESTS_RANDOM_PROGRAM_H
#define TESTS_RANDOM_PROGRAM_H

#include <stdio.h>

#include "autograd/autograd.h"

enum { MOST_OPERANDS = 8, MOST_LINES = 256 };

/* Zeroed memory that the caller frees; out of memory, ends the test. (ck_assert writes to a file at each call: too
 * slow here.) */
void *claim(size_t bytes);

/* ---- Calls ---- */

/* The arguments of a call, in their order: t the tape, d a dtype, a list of tensors, and so on. */
typedef enum signature {
    /* leaves: their elements follow from line->data and line->domain */
    SIG_LEAF,  /* (t, d, shape, elements) */
    SIG_TD_S,  /* (t, d, scalar) */
    SIG_TD_N,  /* (t, d, number) */
    SIG_TDS,   /* (t, d, shape) */
    SIG_TDS_S, /* (t, d, shape, scalar) */
    SIG_TDS_SS,
    /* operations */
    SIG_X,
    SIG_AB,
    SIG_ABC,
    SIG_LIST, /* (n, list) */
    SIG_X_S,
    SIG_S_X,
    SIG_X_SS,
    SIG_X_DTYPE,
    SIG_X_SHAPE,
    SIG_X_AXES,
    SIG_X_AXES_2, /* and two shapes, each with an extent for each axis */
    SIG_X_AXES_KEEP,
    SIG_X_AXES_S_KEEP,
    SIG_X_N,      /* a number */
    SIG_X_N_AXIS, /* and number[1], the axis */
    SIG_X_AXIS,   /* number[0] is the axis, here and below */
    SIG_X_AXIS_AXIS,
    SIG_X_AXIS_KEEP,
    SIG_X_AXIS_3N, /* three numbers behind the axis */
    SIG_AB_AXIS,
    SIG_ABC_AXIS,
    SIG_LIST_AXIS,
    SIG_GRADIENT, /* ag_vjp or ag_jvp of operand 0 by operand 1, with a vector from line->data */
    /* statements, which have no value */
    SIG_ASSIGN, /* variable operand 0 becomes operand 1 */
    SIG_KEEP,
    SIG_LOOK,      /* operand 0 is evaluated at this point, and is a result */
    SIG_RECORDING, /* off or on, by line->keep */
    SIG_FREEZE,    /* parameter operand 0, or no longer, by line->keep */
    SIG_OUTPUT     /* operand 0 is a result, and is differentiated if it is real */
} signature;

/* The operands for which the result is neither NaN nor an overflow: those in a domain, and not large. */
typedef struct need {
    ag_domain domain;
    bool modest;
} need;

#define ANYTHING_GOES                                                                                                  \
    (need) { .modest = false }
#define MODEST                                                                                                         \
    (need) { .modest = true }

/* The purposes for which a call is drawn. */
typedef enum kind {
    KIND_NONE, /* not drawn by itself */
    KIND_UNARY,
    KIND_BINARY,
    KIND_SCALAR,
    KIND_COMPARE,
    KIND_REDUCTION,
    KIND_ALONG,
    KIND_SOURCE,
    KIND_LAYER,
    KINDS
} kind;

typedef union callee {
    ag_tensor *(*leaf)(ag_tape *, ag_dtype, ag_shape, const void *);
    ag_tensor *(*td_s)(ag_tape *, ag_dtype, double);
    ag_tensor *(*td_n)(ag_tape *, ag_dtype, int64_t);
    ag_tensor *(*tds)(ag_tape *, ag_dtype, ag_shape);
    ag_tensor *(*tds_s)(ag_tape *, ag_dtype, ag_shape, double);
    ag_tensor *(*tds_ss)(ag_tape *, ag_dtype, ag_shape, double, double);
    ag_tensor *(*x)(ag_tensor *);
    ag_tensor *(*ab)(ag_tensor *, ag_tensor *);
    ag_tensor *(*abc)(ag_tensor *, ag_tensor *, ag_tensor *);
    ag_tensor *(*list)(int, ag_tensor *const[]);
    ag_tensor *(*x_s)(ag_tensor *, double);
    ag_tensor *(*s_x)(double, ag_tensor *);
    ag_tensor *(*x_ss)(ag_tensor *, double, double);
    ag_tensor *(*x_dtype)(ag_tensor *, ag_dtype);
    ag_tensor *(*x_shape)(ag_tensor *, ag_shape);
    ag_tensor *(*x_axes)(ag_tensor *, ag_axes);
    ag_tensor *(*x_axes_2)(ag_tensor *, ag_axes, ag_shape, ag_shape);
    ag_tensor *(*x_axes_keep)(ag_tensor *, ag_axes, bool);
    ag_tensor *(*x_axes_s_keep)(ag_tensor *, ag_axes, double, bool);
    ag_tensor *(*x_n)(ag_tensor *, int64_t);
    ag_tensor *(*x_n_axis)(ag_tensor *, int64_t, int);
    ag_tensor *(*x_axis)(ag_tensor *, int);
    ag_tensor *(*x_axis_axis)(ag_tensor *, int, int);
    ag_tensor *(*x_axis_keep)(ag_tensor *, int, bool);
    ag_tensor *(*x_axis_3n)(ag_tensor *, int, int64_t, int64_t, int64_t);
    ag_tensor *(*ab_axis)(ag_tensor *, ag_tensor *, int);
    ag_tensor *(*abc_axis)(ag_tensor *, ag_tensor *, ag_tensor *, int);
    ag_tensor *(*list_axis)(int, ag_tensor *const[], int);
} callee;

typedef struct form {
    const char *name; /* of the C function, or of a statement */
    signature signature;
    callee call;
    unsigned dtypes; /* bit d: allowed for operands (the last one counts) or, without operands, for the value */
    kind kind;
    need need[2];
    const ag_op *op; /* whose entry tells all this; NULL: it stands here */
} form;

extern const form forms[];
extern const int form_count;

/* These three for all forms. */
unsigned form_dtypes(const form *f);
kind form_kind(const form *f);
need form_need(const form *f, int i); /* of operand i */

/* The form of that name, which must exist. */
const form *form_named(const char *name);

/* ---- Lines and programs ---- */

/* The elements of a leaf: between −1 and 1; small integers, many equal; between ¼ and 2; NaN, infinities, zeros of
 * both signs, the largest and the smallest among ordinary ones; integers from 0 to number[1] − 1. */
typedef enum domain { ORDINARY, TIES, POSITIVE, SPECIAL, INDICES, DOMAINS } domain;

typedef struct line {
    const form *form;
    int operands, x[MOST_OPERANDS];
    ag_dtype dtype; /* arguments */
    ag_shape shape, shape2;
    ag_axes axes;
    bool keep;
    int64_t number[4];
    double scalar[2];
    domain domain;
    uint64_t data;
    ag_dtype y_dtype; /* of the value, as program_infer found them */
    ag_shape y_shape;
} line;

/* Up to a few hundred elements; a few thousand; enough for several threads; or the evaluators' edge cases: rows by
 * columns, mixing tensors with an element for each, for each row, for each column and for all. */
typedef enum extent { SMALL, MEDIUM, LARGE, BROAD, EXTENTS } extent;

typedef struct program {
    uint64_t seed;
    int count;
    bool wild;     /* NaN and infinities occur */
    extent size;   /* of the largest tensors */
    bool together; /* everything is recorded and then evaluated at once, rather than outputs before gradients */
    bool backward; /* ag_backward by parameters rather than ag_vjp */
    int order;     /* of the gradients: 0, 1 or 2 */
    line line[MOST_LINES];
} program;

extent program_extent(uint64_t seed); /* of this seed's program */
void program_generate(program *p, uint64_t seed);

/* Shapes and dtypes of all values; false if the program cannot be recorded. */
bool program_infer(program *p);

/* Whether the line has a value; whether it is a variable, parameter or not. */
bool line_has_value(const line *l);
bool line_is_variable(const line *l);

/* The number of lines before the mark to which the program is rewound: leaves. */
int program_prefix(const program *p);

/* Carry out line i, with the values of the earlier ones. A statement is carried out too (ag_keep, ag_assign,
 * ag_tape_set_recording, ag_freeze), but the caller must evaluate a SIG_LOOK. NULL for a statement. */
ag_tensor *line_record(const line *l, ag_tape *t, ag_tensor *const value[]);

/* Elements of a leaf, in memory that the caller frees. */
void *leaf_elements(const line *l, ag_dtype dtype, const ag_shape *shape);

/* Frees the memory lent to ag_wrap, after the tapes are freed; false if it was written to. */
bool wrapped_free(void);

/* As C, as far as possible. */
void program_print(FILE *to, const program *p);
void shape_print(FILE *to, const ag_shape *shape);

/* As a line of JSON with all leaves, cotangents and results, for judges that are not of the library. False, and nothing
 * is written, if it cannot be run. Elements are their bytes in hexadecimal digits. */
bool program_json(FILE *to, const program *p);

/* A program like p, with other data, or a few other attributes, calls or operands. */
void program_vary(program *varied, const program *p, uint64_t seed);

/* Make a program smaller while `fails` says that it still fails; the smallest one remains. */
typedef bool program_fails(void *context, const program *p);
void program_shrink(program *p, program_fails *fails, void *context);

/* ---- Operations of the tests' own, of each kind (random_ops.c) ---- */

ag_tensor *user_softsign(ag_tensor *x);                               /* elementwise, with a formula */
ag_tensor *user_incomplete(ag_tensor *a, ag_tensor *b, ag_tensor *c); /* within the domain */
ag_tensor *user_blend(ag_tensor *a, ag_tensor *b, ag_tensor *c);      /* elementwise, with a formula and an attribute */
ag_tensor *user_weighted(int n, ag_tensor *const x[]);                /* elementwise, of 1 to 8 inputs */
ag_tensor *user_is_small(ag_tensor *x);                               /* elementwise predicate */
ag_tensor *user_product(ag_tensor *x, ag_axes axes, bool keepdims);   /* reduction that finishes */
ag_tensor *user_log_sum(ag_tensor *x, ag_axes axes, bool keepdims);   /* reduction */
ag_tensor *user_opposite(ag_tensor *x);                               /* elementwise, its own inverse */
ag_tensor *user_join(ag_tensor *a, ag_tensor *b);                     /* elementwise, commutes */
ag_tensor *user_running(ag_tensor *x);                                /* opaque, wants contiguous input */
ag_tensor *user_dot(ag_tensor *a, ag_tensor *b); /* contraction of any strides, which accumulates */
ag_tensor *user_windows(ag_tensor *x, int axis); /* view whose elements overlap */
enum { LINEAR_WAYS = 15 };
ag_tensor *user_linear(ag_tensor *x, int which); /* a function of the matrix that x begins with (random_linear.c) */
ag_tensor *user_reversed(ag_tensor *x);          /* view with negative strides */
ag_tensor *user_corner(ag_tensor *x);            /* ag_at: slices of several axes */
ag_tensor *user_depthwise(ag_tensor *x);         /* ag_depthwise of a row */
ag_tensor *user_resized(ag_tensor *x);           /* a row with about two thirds of its elements, or twice as many */
ag_tensor *user_one_hot(ag_tensor *index);       /* ag_one_hot, of indices below 9 */
ag_tensor *user_linear(ag_tensor *x, int which); /* a function of the matrix that x begins with */

/* Layers and functions of small tensors of a's and b's elements (random_layers.c); the digits of a number are their options. */
ag_tensor *user_loss(ag_tensor *a, ag_tensor *b, int digits);
ag_tensor *user_image(ag_tensor *a, ag_tensor *b, int digits);
ag_tensor *user_normalised(ag_tensor *a, ag_tensor *b, int digits);
ag_tensor *user_sequence(ag_tensor *a, ag_tensor *b, int digits);
ag_tensor *user_indexed(ag_tensor *a, ag_tensor *b, int digits);
ag_tensor *user_arranged(ag_tensor *a, ag_tensor *b, int digits);
ag_tensor *user_multiplied(ag_tensor *a, ag_tensor *b, int digits);
enum { REDUCED_WAYS = 20 };
ag_tensor *user_reduced(ag_tensor *x, ag_axes axes, double number, bool keepdims); /* the number says which one */

/* Values that these functions hold constant to gradients. While values are held, each call has the value of the call of its number in the first
 * run, whatever it is given: a run sets user_held.next to 0. */
enum { MOST_HELD = 4 * MOST_LINES };
typedef struct held_values {
    bool holds;
    int64_t count, next;
    void *value[MOST_HELD];
} held_values;
extern held_values user_held;
ag_tensor *user_constant(ag_tensor *x);
void user_let_go(void); /* no values are held any more */

/* Calls of the library with options that have no place in a line. */
ag_tensor *user_norm(ag_tensor *x, ag_axes axes, bool keepdims);
ag_tensor *user_positive_sum(ag_tensor *x, ag_axes axes, bool keepdims);
ag_tensor *user_searched(ag_tensor *x, int axis);
ag_tensor *user_largest(ag_tensor *x, int axis, bool largest);
ag_tensor *user_histogram(ag_tensor *x);
ag_tensor *user_distinct(ag_tensor *x); /* the first results of the other operation of ag_unique */
ag_tensor *user_picked(ag_tensor *x);   /* by the operation of ag_unique, which computes at once */
ag_tensor *user_ramp(ag_tape *t, ag_dtype dtype, ag_shape shape, double step); /* source */
ag_tensor *user_drawn(ag_tensor *x); /* random numbers of all samplers that have no second gradient, constant */
ag_tensor *user_noisy(ag_tensor *x); /* random numbers with gradients by their mean and spread */
/* The identity, except that one element of each block is off by the fraction `user_flaw_shows`: for tests of the tests. */
ag_tensor *user_flawed(ag_tensor *x);
extern double user_flaw_shows;

#endif
