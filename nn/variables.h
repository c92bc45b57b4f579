/* variables -- lists of variables that are given values together, and what is kept for each
 *
 * Optimisers, averages and their like check such lists alike. Functions that return a tensor return NULL if nothing is
 * wrong; else nil, after an error of the call `name`. */
#ifndef AG_NN_VARIABLES_H
#define AG_NN_VARIABLES_H

#include "nn/refuse.h"

bool ag__is_parameter(const ag_tensor *x);

/* An error because of tensor i of a list, which is called `what`; `beside` is a tensor that has a tape, or the same. */
ag_tensor *ag__refuse_number(const char *name, const char *what, int i, ag_tensor *beside, ag_tensor *x,
                             ag_status status, const char *why);

/* Whether all are distinct, of one tape, and `good`; if one is not good, the error has this status and reason. */
ag_tensor *ag__list_wrong(const char *name, const char *what, int n, ag_tensor *const x[],
                          bool (*good)(const ag_tensor *), ag_status status, const char *why);

/* Whether tensor i of a list has the tape, shape and dtype of variable v. */
ag_tensor *ag__unlike(const char *name, const char *what, int i, ag_tensor *v, ag_tensor *x);

/* Whether the values kept for n variables are still variables like them. */
ag_tensor *ag__kept_wrong(const char *name, int n, const ag_kept kept[]);

/* Whether the lists are there, and as ag__list_wrong says; `real`: whether all have to be real. */
ag_tensor *ag__open_wrong(const char *name, const void *own, int n, ag_tensor *const variables[], bool real);

/* A variable with the value of x, labelled as v with a word before it; or nil. */
ag_tensor *ag__variable_for(const ag_tensor *v, ag_tensor *x, const char *word);

/* ag_eval at the location that ag_caller has given. */
ag_status ag__at(const char *file, int line, ag_tensor *x);

/* Fill kept[], or, for NULL, an array of the tape's: with zeros, or copies. After an error all are nil, and no
 * variable is left. */
ag_status ag__open_kept(int n, ag_tensor *const variables[], ag_kept **kept, bool zeros, const char *word);

/* x itself, computed: unlike that of a variable, a constant or a view, its assignment cannot fail. */
ag_tensor *ag__kept_copy(ag_tensor *x);

/* The present values as the next ones, of what is kept or, `back`, of the variables; computed now, so that a failure
 * is known before anything is assigned. */
ag_status ag__copy_kept(int n, ag_kept kept[], bool back);

/* Give what is kept or, `back`, the variables their next values, joined with each other and, unless NULL, with `other`.
 * None is assigned if the tape is in error, as after a next value that could not be recorded. */
ag_status ag__assign_kept(int n, const ag_kept kept[], bool back, ag_tensor *other);

/* Steps without those whose values were lost: `*counted` was their number, and `*values` how many values `witness` had
 * been given, when the last one was made. */
int64_t ag__steps_made(int64_t *steps, int64_t *counted, int64_t *values, const ag_tensor *witness);

#endif
