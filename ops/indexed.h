/* indexed -- a table's elements at places that indices give: gathered, and added, put or compared there
 *
 * An element of the `other` array, which is read or written in step, has a place in the table: along some of the
 * table's axes its own, along the others that of an index. */
#ifndef AG_OPS_INDEXED_H
#define AG_OPS_INDEXED_H

#include "autograd/tape/op.h"

typedef struct ag__places {
    const ag_call *call;
    const ag_array *table, *other; /* x and y of a gather, y and the source of a scatter */
    uint32_t own;                  /* bit r: along axis r of the other the table has its own stride, */
    int64_t along[AG_MAX_RANK];    /* this one; 0 along other axes */
    int count;                     /* of indices: i64, of the other's rank, each extent the other's or 1, */
    const ag_array *index;
    int axis[AG_MAX_RANK]; /* and the table's axis that each is of */
    bool wraps;            /* negative ones count from the end */
} ag__places;

/* Each first checks every index, and returns false after an error. */
bool ag__gather_at(const ag__places *p);
/* y begins with x[0] of the call, or that is added to it: only for AG_PUT_ADD. */
bool ag__scatter_at(const ag__places *p, ag_put how);

/* How indices, inputs of an operation, are those of a table: the attributes of the operations in indexing.c. */
typedef struct ag__indexing {   /* bytes, so that any are valid; 0 beyond the ranks */
    uint8_t how;                /* ag_put */
    uint8_t unique;             /* no place is written twice */
    uint8_t rank;               /* of the result or source */
    uint8_t own[AG_MAX_RANK];   /* 1 + the table's axis, for each of the result's; 0: only indices have this one */
    uint8_t index[AG_MAX_RANK]; /* 1 + the number of the index, for each axis of the table; 0: the axis is its own */
} ag__indexing;

/* The operation that puts values so, or NULL after an error of the constructor `name`: x, values are inputs of it that
 * can be read. In indexing.c. */
const ag_op *ag__op_to_put(const char *name, ag_tensor *x, ag_tensor *values, ag_put how, ag_tensor **nil);

/* The same check of an index of this axis alone. */
bool ag__indices_fit(const ag_call *call, const ag_array *index, int axis, int64_t extent);

#endif
