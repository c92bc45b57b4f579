/* fft -- discrete Fourier transforms, and products of complex numbers
 *
 * A complex tensor is a real one whose last axis has two elements, the real and the imaginary part: n complex
 * numbers have the shape (n,2). The axes that a transform is given are counted without that axis: −1 is the last one
 * of complex numbers, as it is the last one of real numbers.
 *
 * FFTW computes them, on one thread. It is loaded when first needed; where it is not there, they are refused with
 * AG_ERR_LIBRARY. FFTW calls malloc, and ends the process if that fails. A child of fork must not transform if another
 * thread of its parent was making a plan. */
#ifndef AG_OPS_FFT_H
#define AG_OPS_FFT_H

#include "autograd/types.h"

/* ag_fft_norm -- by what sums over n elements are divided. Backward: n in the inverse; forward: n in the transform;
 * ortho: √n in both */
typedef enum ag_fft_norm { AG_FFT_BACKWARD, AG_FFT_ORTHO, AG_FFT_FORWARD } ag_fft_norm;

/* ag_fft -- y[k] = Σ x[j]·e^(−2πi·jk/n) along one axis of n complex numbers
 * Shape:  x (…,n,…,2) -> (…,n,…,2)
 * Dtype:  real
 * Grad:   x̄ = n·ifft(ȳ): the transform's adjoint
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE unless the last axis has 2 elements and n > 0; AG_ERR_DTYPE, AG_ERR_LIBRARY
 * Source: numpy.fft.fft */
AG_API ag_tensor *ag_fft(ag_tensor *x, int axis);

/* ag_ifft -- y[j] = (1/n)·Σ x[k]·e^(2πi·jk/n) along one axis of n complex numbers: the inverse of ag_fft
 * Shape:  x (…,n,…,2) -> (…,n,…,2)
 * Dtype:  real
 * Grad:   x̄ = fft(ȳ)/n
 * Errors: as ag_fft
 * Source: numpy.fft.ifft */
AG_API ag_tensor *ag_ifft(ag_tensor *x, int axis);

/* ag_fft_over -- ag_fft along each of some axes: AG_AXES(-2, -1) for images
 * Shape:  x (…,2) -> (…,2)
 * Dtype:  real
 * Grad:   x̄ = the adjoint transform of ȳ
 * Errors: as ag_fft; AG_ERR_RANGE for another norm
 * Source: numpy.fft.fftn */
AG_API ag_tensor *ag_fft_over(ag_tensor *x, ag_axes axes, ag_fft_norm norm);

/* ag_ifft_over -- the inverse of ag_fft_over with the same norm
 * Shape:  x (…,2) -> (…,2)
 * Dtype:  real
 * Grad:   x̄ = the adjoint transform of ȳ
 * Errors: as ag_fft_over
 * Source: numpy.fft.ifftn */
AG_API ag_tensor *ag_ifft_over(ag_tensor *x, ag_axes axes, ag_fft_norm norm);

/* ag_rfft -- the first n/2+1 elements of ag_fft of real numbers, of which the others are the conjugates
 * Shape:  x (…,n,…) -> (…,n/2+1,…,2)
 * Dtype:  real
 * Grad:   x̄ = the adjoint transform of ȳ
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE for n = 0 and beyond 8 axes; AG_ERR_DTYPE, AG_ERR_LIBRARY
 * Source: numpy.fft.rfft */
AG_API ag_tensor *ag_rfft(ag_tensor *x, int axis);

/* ag_irfft -- n real numbers from their half spectrum: the inverse of ag_rfft; n = 0 stands for 2·(m−1)
 * Elements beyond n/2+1 are left out, and missing ones are 0. The imaginary parts of the first element, and of
 * element n/2 for an even n, do not count.
 * Shape:  x (…,m,…,2) -> (…,n,…)
 * Dtype:  real
 * Grad:   x̄ = the adjoint transform of ȳ
 * Errors: as ag_fft; AG_ERR_RANGE for n < 0, or n = 0 with m = 1
 * Source: numpy.fft.irfft */
AG_API ag_tensor *ag_irfft(ag_tensor *x, int64_t n, int axis);

/* ag_rfft_over -- ag_rfft along the last of some axes, then ag_fft along the others
 * Shape:  x (…) -> (…,2), with n/2+1 elements along the last of the axes
 * Dtype:  real
 * Grad:   x̄ = the adjoint transform of ȳ
 * Errors: as ag_rfft; AG_ERR_AXIS without axes; AG_ERR_RANGE for another norm
 * Source: numpy.fft.rfftn */
AG_API ag_tensor *ag_rfft_over(ag_tensor *x, ag_axes axes, ag_fft_norm norm);

/* ag_irfft_over -- the inverse of ag_rfft_over with the same axes and norm; n as in ag_irfft
 * Shape:  x (…,2) -> (…), with n elements along the last of the axes
 * Dtype:  real
 * Grad:   x̄ = the adjoint transform of ȳ
 * Errors: as ag_irfft; AG_ERR_AXIS without axes; AG_ERR_RANGE for another norm
 * Source: numpy.fft.irfftn */
AG_API ag_tensor *ag_irfft_over(ag_tensor *x, int64_t n, ag_axes axes, ag_fft_norm norm);

/* ag_complex -- complex numbers of real and imaginary parts; composed
 * Shape:  re, im broadcast to each other (…) -> (…,2)
 * Dtype:  i64 or real
 * Grad:   the parts of ȳ
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.complex */
AG_API ag_tensor *ag_complex(ag_tensor *re, ag_tensor *im);

/* ag_complex_mul -- y = a·b of complex numbers; composed
 * Shape:  a (…,2), b (…,2) -> (…,2); broadcast
 * Dtype:  i64 or real
 * Grad:   ā = ȳ·conj(b),  b̄ = ȳ·conj(a)
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.mul */
AG_API ag_tensor *ag_complex_mul(ag_tensor *a, ag_tensor *b);

/* ag_complex_conj -- the conjugate: the imaginary parts with the other sign; composed
 * Shape:  x (…,2) -> (…,2)
 * Dtype:  i64 or real
 * Grad:   x̄ = conj(ȳ)
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.conj */
AG_API ag_tensor *ag_complex_conj(ag_tensor *x);

/* ag_complex_abs -- y = √(re² + im²), without overflow in between; composed
 * Shape:  x (…,2) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·x/y, and 0 at 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.abs */
AG_API ag_tensor *ag_complex_abs(ag_tensor *x);

#endif
