/* features -- what processor and system have, of instructions on vectors
 *
 * Found once, when the library is loaded. The compiler's own way to find it out takes several kB more. */
#ifndef AG_FEATURES_H
#define AG_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    AG__HAS_AVX = 1,
    AG__HAS_AVX2 = 2,
    AG__HAS_FMA = 4,
    AG__HAS_LEVEL_3 = 8, /* x86-64-v3: these, and instructions on bits and half floats that came with them */
    AG__HAS_AVX512F = 16,
    AG__HAS_AVX512 = 32, /* with BW, DQ and VL */
    AG__HAS_LEVEL_4 = 64 /* x86-64-v4 */
};

#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
extern unsigned ag__processor __attribute__((visibility("hidden"))); /* read in one instruction */
/* The features, from ecx of leaf 1 of cpuid, XCR0, ebx of leaf 7, and ecx of leaf 0x80000001. */
unsigned ag__features_of(uint32_t first, uint32_t kept, uint32_t more, uint32_t far);
static inline bool ag__processor_has(unsigned features) { return (ag__processor & features) == features; }
#else
static inline bool ag__processor_has(unsigned features) { return features == 0; }
#endif

#endif
