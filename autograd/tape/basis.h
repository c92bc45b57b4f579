/* basis -- the operations that the engine records by itself
 *
 * They are defined in ops/, as all others are; the engine knows them by these names, and no other operation by any. */
#ifndef AG_BASIS_H
#define AG_BASIS_H

#include "autograd/tape/op.h"

extern const ag_op ag__op_contiguous; /* copies what shows another's memory, before a variable takes it over */

/* Elementwise inputs of different shapes are broadcast by ag_broadcast_to, which ops/shape.h declares. */

#endif
