/* source -- tensors without inputs: constants, ranges, random numbers
 *
 * Tensors with elements of your own are made by ag_from and its like: autograd/autograd.h. */
#ifndef AG_OPS_SOURCE_H
#define AG_OPS_SOURCE_H

#include "autograd/types.h"

/* ag_full -- every element is `value`, which is stored once for any shape
 * Shape:  () -> shape
 * Dtype:  any; f32 rounds `value`, to infinity if it is too large
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless `value` is 0 or 1 for bool, an integer within range for i64
 * Source: numpy.full */
AG_API ag_tensor *ag_full(ag_tape *tape, ag_dtype dtype, ag_shape shape, double value);

/* ag_zeros -- ag_full with 0
 * Errors: as ag_full */
AG_API ag_tensor *ag_zeros(ag_tape *tape, ag_dtype dtype, ag_shape shape);

/* ag_ones -- ag_full with 1
 * Errors: as ag_full */
AG_API ag_tensor *ag_ones(ag_tape *tape, ag_dtype dtype, ag_shape shape);

/* ag_scalar -- a 0-d constant
 * Errors: as ag_full */
AG_API ag_tensor *ag_scalar(ag_tape *tape, ag_dtype dtype, double value);

/* ag_arange -- 0, 1, … n-1
 * Shape:  () -> (n)
 * Dtype:  i64, f32 or f64
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE for n < 0; AG_ERR_DTYPE
 * Source: numpy.arange */
AG_API ag_tensor *ag_arange(ag_tape *tape, ag_dtype dtype, int64_t n);

/* ag_arange_with -- start, start+step, … before stop
 * Element i is start + i·step, rounded once; there are ⌈(stop−start)/step⌉, or none.
 * Shape:  () -> (n)
 * Dtype:  i64, f32 or f64
 * Grad:   a constant
 * Errors: AG_ERR_DTYPE; AG_ERR_SHAPE for too many elements; AG_ERR_RANGE for step 0, or numbers that are not finite or,
 *         for i64, no integers up to 2^53
 * Source: numpy.arange */
AG_API ag_tensor *ag_arange_with(ag_tape *tape, ag_dtype dtype, double start, double stop, double step);

/* ag_linspace -- n numbers at equal distances from start to stop, both included; start alone for n = 1
 * Shape:  () -> (n)
 * Dtype:  real
 * Grad:   a constant
 * Errors: AG_ERR_DTYPE; AG_ERR_SHAPE for n < 0; AG_ERR_RANGE unless both are finite in the dtype
 * Source: numpy.linspace */
AG_API ag_tensor *ag_linspace(ag_tape *tape, ag_dtype dtype, double start, double stop, int64_t n);

/* ag_logspace -- base to the power of each number of ag_linspace
 * Shape:  () -> (n)
 * Dtype:  real
 * Grad:   a constant
 * Errors: as ag_linspace; AG_ERR_RANGE unless base > 0 is finite
 * Source: numpy.logspace */
AG_API ag_tensor *ag_logspace(ag_tape *tape, ag_dtype dtype, double start, double stop, int64_t n, double base);

/* ag_zeros_like -- ag_zeros of x's dtype and shape
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   a constant
 * Errors: none of its own
 * Source: numpy.zeros_like */
AG_API ag_tensor *ag_zeros_like(ag_tensor *x);

/* ag_ones_like -- ag_ones of x's dtype and shape
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   a constant
 * Errors: none of its own
 * Source: numpy.ones_like */
AG_API ag_tensor *ag_ones_like(ag_tensor *x);

/* ag_full_like -- ag_full of x's dtype and shape
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   a constant
 * Errors: AG_ERR_RANGE for a value that the dtype cannot hold
 * Source: numpy.full_like */
AG_API ag_tensor *ag_full_like(ag_tensor *x, double value);

/* ag_uniform -- independent random numbers, low <= y < high (or both equal); each call draws anew; ag_tape_seed repeats
 * the draws
 * Shape:  () -> shape
 * Dtype:  real
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless low <= high and both are finite in the dtype
 * Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011): Philox4x32-10, keyed by seed and
 *         draw */
AG_API ag_tensor *ag_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double low, double high);

/* ag_normal -- independent normal random numbers with this mean and standard deviation
 * Shape:  () -> shape
 * Dtype:  real
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless both are finite in the dtype and std >= 0
 * Source: Box and Muller (1958) on the numbers of ag_uniform */
AG_API ag_tensor *ag_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double mean, double std);

#endif
