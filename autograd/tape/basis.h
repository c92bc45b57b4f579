/* basis -- the operations that the engine itself records
 *
 * They are defined in ops/ like all others; the engine knows no other operation by name. */
#ifndef AG_BASIS_H
#define AG_BASIS_H

#include "autograd/tape/op.h"

extern const ag_op ag__op_contiguous; /* copies a shared value before a variable takes it over */

/* Elementwise inputs of different shapes are broadcast by ag_broadcast_to, which ops/shape.h declares. */

#endif
