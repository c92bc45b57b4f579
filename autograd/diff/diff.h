/* diff -- the backward scan and its observer */
#ifndef AG_DIFF_H
#define AG_DIFF_H

#include "autograd/tape/tape.h"

/* grad.c: ag_vjp, for the call `name`; false after an error, with every dx[i] nil. dx may be x. */
bool ag__vjp(const char *name, int ny, ag_tensor *const y[], ag_tensor *const ybar[], int nx, ag_tensor *const x[],
             ag_tensor *dx[], unsigned flags);

/* The cotangent g of t contributes c to its input i; c NULL: nothing. False ends the scan, after an error. */
typedef struct ag__watch {
    void *context;
    bool (*step)(void *context, ag_tensor *t, ag_tensor *g, int i, ag_tensor *c);
} ag__watch;

bool ag__vjp_watched(const char *name, ag_tensor *y, ag_tensor *ybar, int n, ag_tensor *const x[], ag_tensor *dx[],
                     const ag__watch *watch);
/* The parameters older than y, and room for their gradients behind them. */
ag_tensor **ag__parameters_before(const ag_tensor *y, int *n, ag__buffer **memory);
/* The contribution of t, whose cotangent is g, to its input i; NULL: none; nil after an error. */
ag_tensor *ag__vjp_of(ag_tensor *t, ag_tensor *g, int i);

#endif
