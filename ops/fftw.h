/* fftw -- Fourier transforms of arrays in memory by FFTW, if it is there */
#ifndef AG_FFTW_H
#define AG_FFTW_H

#include "autograd/tape/op.h"

enum { AG__COMPLEX, AG__TO_HALF, AG__FROM_HALF }; /* kinds: complex; real to half a spectrum; half a spectrum to real */

/* The attributes of a transform, over the axes of `mask`; pairs of real and imaginary part are no axis of their own.
 * Of the last two kinds there is one axis. */
typedef struct ag__transform {
    double scale; /* of the sum */
    int64_t kind;
    int64_t mask;
    int64_t forward; /* 1: e^(−2πi·jk/n); 0: e^(2πi·jk/n) */
    int64_t n;       /* real elements along the axis, where there is half a spectrum */
} ag__transform;

/* Whether this build knows FFTW, and it can be loaded: to be asked before the others are called. */
bool ag__has_fftw(void);

/* y = the transform of x, both contiguous and not empty, of these complex or, on the real side, real extents;
 * unscaled. False if FFTW has no plan for it. */
bool ag__fftw(ag_dtype dtype, const ag__transform *t, int rank, const int64_t *x_extent, const void *x,
              const int64_t *y_extent, void *y);

/* Whether an address is as FFTW's fastest code wants it; results may differ in the last place where it is not. */
bool ag__fftw_aligned(const void *p);

#endif
