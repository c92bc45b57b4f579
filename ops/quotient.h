/* quotient -- kernels of remainders and whole quotients */
#ifndef AG_QUOTIENT_H
#define AG_QUOTIENT_H

#include "autograd/tape/op.h"

/* n elements from those of a and b; y is elsewhere. */
typedef void ag__quotients(int64_t n, void *y, const void *a, const void *b);

ag__quotients ag__rests_f32, ag__rests_f64, ag__rests_i64;    /* with the sign of a */
ag__quotients ag__moved_f32, ag__moved_f64, ag__moved_i64;    /* with the sign of b */
ag__quotients ag__floors_f32, ag__floors_f64, ag__floors_i64; /* ⌊a/b⌋ */

#endif
