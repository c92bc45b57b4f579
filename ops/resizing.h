/* resizing -- the numbers of the operation that gives images other extents */
#ifndef AG_OPS_RESIZING_H
#define AG_OPS_RESIZING_H

#include "ops/rules.h"

enum { AG__RESIZED = 3 /* spatial axes at most */ };

/* From x (N,from…,C) to (N,to…,C); the adjoint is from (N,to…,C) to (N,from…,C). The mode is an ag_interpolation. */
typedef struct ag__resizing {
    int64_t axes, mode, align, adjoint;
    int64_t from[AG__RESIZED], to[AG__RESIZED];
} ag__resizing;

#endif
