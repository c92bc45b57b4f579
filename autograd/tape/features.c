/* features -- see features.h */
#include "autograd/tape/features.h"

#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
#include <cpuid.h>
#include <stdint.h>

unsigned ag__processor;

/* Vectors of 32 bytes: the system keeps registers 1 and 2 of a thread; of 64: 5, 6 and 7 too. */
enum { KEEPS_32 = 0x6, KEEPS_64 = 0xe6 };

static uint32_t kept_by_system(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

unsigned ag__features_of(uint32_t first, uint32_t kept, uint32_t more, uint32_t far) {
    unsigned found = AG__HAS_AVX;
    if (!all(first, bit_AVX) || !all(kept, KEEPS_32)) return 0;
    if (all(more, bit_AVX2)) found |= AG__HAS_AVX2;
    if (all(first, bit_FMA)) found |= AG__HAS_FMA;
    if (all(first, bit_FMA | bit_F16C | bit_MOVBE) && all(more, bit_AVX2 | bit_BMI | bit_BMI2) && all(far, bit_LZCNT))
        found |= AG__HAS_LEVEL_3;
    if (all(kept, KEEPS_64) && all(more, bit_AVX512F)) {
        found |= AG__HAS_AVX512F;
        if (all(more, bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL)) found |= AG__HAS_AVX512;
        if (found & AG__HAS_LEVEL_3 && found & AG__HAS_AVX512 && all(more, bit_AVX512CD)) found |= AG__HAS_LEVEL_4;
    }
    return found;
}

/* The first of all constructors that a program may have: they and C++'s initialisers may use the library. */
enum { FIRST = 101 };

__attribute__((constructor(FIRST))) static void find_features(void) {
    unsigned a, b, c, d, first, more = 0, far = 0;
    if (!__get_cpuid(1, &a, &b, &first, &d) || !all(first, bit_OSXSAVE)) return;
    if (!__get_cpuid_count(7, 0, &a, &more, &c, &d)) more = 0;
    if (!__get_cpuid(0x80000001, &a, &b, &far, &d)) far = 0;
    ag__processor = ag__features_of(first, kept_by_system(), more, far);
}
#endif
