/* contract -- diagonals, for the files of products */
#ifndef AG_CONTRACT_H
#define AG_CONTRACT_H

#include "autograd/types.h"

/* x[…,i,i+offset], without the two axes, which are not negative and differ, and with their diagonal last: a view, of
 * a copy if matrices of these axes do not lie row by row. */
ag_tensor *ag__diagonal(ag_tensor *x, int64_t offset, int axis0, int axis1);

#endif
