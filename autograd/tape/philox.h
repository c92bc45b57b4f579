/* philox -- random bits as a function of a seed and a counter: Philox4x32-10
 *
 * Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011). The key is the seed; the counter of 128 bits is
 * (block, draw). The tape's random operations number their draws from 0 on; those of nn/random.c have the highest bit
 * set. */
#ifndef AG_PHILOX_H
#define AG_PHILOX_H

#include "autograd/tape/op.h"

enum { AG__PHILOX_ROUNDS = 10 }; /* as the paper recommends */

/* The blocks start … start+lanes−1: word j of all blocks, then word j+1 of all. */
AG__ALWAYS_INLINE void ag__philox(uint64_t seed, uint64_t draw, uint64_t start, uint32_t lanes, uint32_t word[]) {
    uint32_t *w0 = word, *w1 = word + lanes, *w2 = word + 2 * lanes, *w3 = word + 3 * lanes;
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (uint32_t i = 0; i < lanes; i++) {
        w0[i] = (uint32_t)(start + i);
        w1[i] = (uint32_t)((start + i) >> 32);
        w2[i] = (uint32_t)draw;
        w3[i] = (uint32_t)(draw >> 32);
    }
    for (int round = 0; round < AG__PHILOX_ROUNDS; round++) {
        AG_SIMD for (uint32_t i = 0; i < lanes; i++) {
            const uint64_t p = UINT64_C(0xd2511f53) * w0[i], q = UINT64_C(0xcd9e8d57) * w2[i];
            const uint32_t v1 = w1[i], v3 = w3[i];
            w0[i] = (uint32_t)(q >> 32) ^ v1 ^ key0;
            w1[i] = (uint32_t)q;
            w2[i] = (uint32_t)(p >> 32) ^ v3 ^ key1;
            w3[i] = (uint32_t)p;
        }
        key0 += UINT32_C(0x9e3779b9);
        key1 += UINT32_C(0xbb67ae85);
    }
}

#endif
