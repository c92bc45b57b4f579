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

/* The first of all constructors that a program may have: they and C++'s initialisers may use the library. */
enum { FIRST = 101 };

__attribute__((constructor(FIRST))) static void find_features(void) {
    unsigned a, b = 0, c = 0, d, more, far = 0, found = AG__HAS_AVX;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !all(c, bit_OSXSAVE | bit_AVX)) return;
    const unsigned first = c;
    const uint32_t kept = kept_by_system();
    if (!all(kept, KEEPS_32)) return;
    if (!__get_cpuid_count(7, 0, &a, &b, &more, &d)) b = 0;
    if (!__get_cpuid(0x80000001, &a, &d, &far, &more)) far = 0;
    if (all(b, bit_AVX2)) found |= AG__HAS_AVX2;
    if (all(first, bit_FMA)) found |= AG__HAS_FMA;
    if (all(first, bit_FMA | bit_F16C | bit_MOVBE) && all(b, bit_AVX2 | bit_BMI | bit_BMI2) && all(far, bit_LZCNT))
        found |= AG__HAS_LEVEL_3;
    if (all(kept, KEEPS_64) && all(b, bit_AVX512F)) {
        found |= AG__HAS_AVX512F;
        if (all(b, bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL)) found |= AG__HAS_AVX512;
        if (found & AG__HAS_LEVEL_3 && found & AG__HAS_AVX512 && all(b, bit_AVX512CD)) found |= AG__HAS_LEVEL_4;
    }
    ag__processor = found;
}
#endif
