/* interpolate -- images with other extents */
#ifndef AG_OPS_INTERPOLATE_H
#define AG_OPS_INTERPOLATE_H

#include "autograd/types.h"

/* ag_interpolation -- how a number between the places of elements is found */
typedef enum ag_interpolation {
    AG_NEAREST,      /* the element at ⌊i·n/m⌋ or, for ag_grid_sample, the nearest one, the even one of two */
    AG_LINEAR,       /* of the two next to it along each axis: bilinear, trilinear */
    AG_CUBIC,        /* of four along each axis, by Keys' polynomial with a = −0.75: bicubic */
    AG_NEAREST_EXACT /* the element at ⌊(i + ½)·n/m⌋, the nearest one, the upper of two; for ag_interpolate alone */
} ag_interpolation;

/* ag_interpolate -- an image with these spatial extents
 * Element i of m is at (i+½)·n/m − ½ of n elements or, with align_corners, at i·(n−1)/(m−1), so that the ends fall
 * together; elements beyond the ends are those at the ends. Places are computed in f64.
 * Shape:  x (N,L…,C) -> (N,extents…,C), with one extent for each spatial axis, or a single one for all
 * Dtype:  real
 * Grad:   x̄ = ȳ times the weights, added where an element is used
 * Errors: AG_ERR_SHAPE unless x has one to three spatial axes, of at least one element; AG_ERR_RANGE unless extents >=
 *         1 and the mode is one of the above, and for align_corners with the nearest ones; AG_ERR_DTYPE
 * Source: torch.nn.functional.interpolate, with size */
AG_API ag_tensor *ag_interpolate(ag_tensor *x, ag_shape extents, ag_interpolation mode, bool align_corners);

#endif
