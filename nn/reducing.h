/* reducing -- what all losses have in common: their checks, their options, and what becomes of the losses of a batch */
#ifndef AG_NN_REDUCING_H
#define AG_NN_REDUCING_H

#include "nn/refuse.h"

/* Options that only some losses take; the others are everyone's. In the order of the names in reducing.c. */
enum {
    AG__CLASS_WEIGHTS = 1,
    AG__POSITIVE_WEIGHT = 2,
    AG__SMOOTHING = 4,
    AG__IGNORES = 8,
    AG__LOG_TARGET = 16,
    AG__FULL = 32,
    AG__RATES = 64,
    AG__SWAP = 128,
    AG__ZERO_INFINITY = 256
};

typedef struct ag__loss ag__loss;

/* A number that a loss takes, and its limits. */
typedef struct ag__loss_number {
    const char *name;
    double least, most;
} ag__loss_number;

/* A kind of loss: its inputs, of which bit i of `whole` says that x[i] is i64, and the options that it takes. */
typedef struct ag__loss_kind {
    const char *name;
    int n;
    unsigned whole, takes;
    int vectors; /* so many inputs have one shape, the others the same without the last axis; 0: all have one shape */
    ag__loss_number number[2];
    ag_tensor *(*losses)(const ag__loss *l); /* not reduced */
} ag__loss_kind;

/* A call of it. */
struct ag__loss {
    const ag__loss_kind *kind;
    int n;
    ag_tensor *x[4];
    double number[2];
    ag_loss_options o;
    ag_tensor *nil; /* after an error */
};

/* Check, compute and reduce. */
ag_tensor *ag__loss_of(const ag__loss_kind *kind, ag_tensor *const x[], double number, double second,
                       const ag_loss_options *options);

/* The checks, for losses that do it themselves. Each returns true if all is well; else l->nil is set, after an error.
 * The first: no input is NULL or nil, reals have one dtype, the others i64, the options are taken and valid; they are
 * copied. The second: the weights fit losses of this shape, and the third: so many classes. The last: the numbers are
 * within their limits. */
bool ag__loss_begins(ag__loss *l, const ag_loss_options *options);
bool ag__loss_weights_fit(ag__loss *l, ag_shape losses);
bool ag__loss_class_weights_fit(ag__loss *l, int64_t classes);
bool ag__loss_numbers_fit(ag__loss *l);

bool ag__loss_refused(ag__loss *l, ag_status status, const char *message);

/* Whether x is broadcast to this shape. */
bool ag__broadcasts_to(const ag_tensor *x, ag_shape shape);

ag_shape ag__without_axis(ag_shape shape, int axis);

/* The losses, weighted and reduced. With `divisor`, of the losses' shape, a mean is divided by its sum. */
ag_tensor *ag__loss_reduced(const ag__loss *l, ag_tensor *losses, ag_tensor *divisor);

/* A constant of x's tape and dtype. */
ag_tensor *ag__number_like(const ag_tensor *x, double number);

#endif
