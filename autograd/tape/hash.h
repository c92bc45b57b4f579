/* hash -- the mixing function of every hash table
 *
 * Equal hashes never mean equal keys: the keys are compared, or it does not matter (rounds of heap.c). The build option
 * `collide` makes all hashes equal, and every test must still pass. */
#ifndef AG_HASH_H
#define AG_HASH_H

#include "autograd_config.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* h, with v mixed in. */
static inline uint64_t ag__mix(uint64_t h, uint64_t v) {
#if AG_COLLIDE
    (void)v;
    return h & 0;
#else
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
#endif
}

/* The hash of n words: in four chains, because the multiplications of one chain wait for each other. */
static inline uint64_t ag__hash_words(const uint32_t *word, size_t n) {
    enum { CHAINS = 4, EACH = 2 };
    uint64_t h[CHAINS] = {n, 1, 2, 3}, v[CHAINS];
    for (; n >= CHAINS * EACH; n -= CHAINS * EACH, word += CHAINS * EACH) {
        memcpy(v, word, sizeof v);
        for (int i = 0; i < CHAINS; i++) h[i] = ag__mix(h[i], v[i]);
    }
    for (; n > 0; n--, word++) h[n % CHAINS] = ag__mix(h[n % CHAINS], *word);
    return ag__mix(ag__mix(ag__mix(h[0], h[1]), h[2]), h[3]);
}

#endif
