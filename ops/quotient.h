/* quotient -- kernels of remainders and whole quotients */
#ifndef AG_QUOTIENT_H
#define AG_QUOTIENT_H

#include "autograd/tape/op.h"

ag_block ag__fmod_i64, ag__fmod_f32, ag__fmod_f64;
ag_block ag__remainder_i64, ag__remainder_f32, ag__remainder_f64;
ag_block ag__floor_divide_i64, ag__floor_divide_f32, ag__floor_divide_f64;

#endif
