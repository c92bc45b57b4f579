/* fma -- a·b + c, rounded once, where the processor that is compiled for has no instruction for it
 *
 * C's library sets the rounding mode for each fma there: an exponential of f64, which has fifteen, takes microseconds.
 * clang, which cannot make vector code of loops that call this, has C's all the same. */
#ifndef AG_TAPE_FMA_H
#define AG_TAPE_FMA_H

#if defined __FMA__ || defined __aarch64__ || defined __riscv_flen || defined __s390__ || defined __powerpc__ ||       \
    defined __ARM_FEATURE_FMA || !defined __GNUC__ || defined __clang__
#define AG__EMULATES_FMA 0
#else
#define AG__EMULATES_FMA 1
#endif

/* The instruction is used if the processor that runs this has it after all; but not by the two that emulate it. */
double ag__fma(double a, double b, double c);
float ag__fmaf(float a, float b, float c);

double ag__emulated_fma(double a, double b, double c);
float ag__emulated_fmaf(float a, float b, float c);

#endif
