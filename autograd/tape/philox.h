/* philox -- random bits as a function of a seed and a counter: Philox4x32-10; normal numbers made of them
 *
 * Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011). The key is the seed; the counter of 128 bits is
 * (block, draw). The tape's random operations number their draws from 0 on; those of nn/random.c have the highest bit
 * set. */
#ifndef AG_PHILOX_H
#define AG_PHILOX_H

#include "autograd/tape/op.h"

enum {
    AG__PHILOX_LANES = 64,                   /* blocks of 128 bits computed side by side, */
    AG__PHILOX_WORDS = 4 * AG__PHILOX_LANES, /* their words of 32 bits, */
    AG__PHILOX_GROUP = 8                     /* and pairs of f64 that are made of them at a time */
};

/* Block `block` of a draw. */
void ag__philox(uint64_t seed, uint64_t draw, uint64_t block, uint32_t word[4]);

/* The blocks from `start` on: word j of all blocks, then word j+1 of all. */
void ag__philox_batch(uint64_t seed, uint64_t draw, uint64_t start, uint32_t word[AG__PHILOX_WORDS]);

/* 0 <= u < 1 with 24 or 53 random bits, by way of int32_t, which vector units can convert. */
AG__ALWAYS_INLINE float ag__unit_f32(uint32_t w) { return (float)(int32_t)(w >> 8) * 0x1p-24f; }
AG__ALWAYS_INLINE double ag__unit_f64(uint32_t high, uint32_t low) {
    return ((double)(int32_t)(high >> 5) * 0x1p26 + (double)(int32_t)(low >> 6)) * 0x1p-53;
}

/* Normal numbers of a batch: as many f32 as there are words; of f64 `groups` times AG__PHILOX_GROUP pairs, the second
 * ones of which are behind the first of all AG__PHILOX_LANES. */
void ag__normals_f32(double mean, double std, const uint32_t word[AG__PHILOX_WORDS], float y[AG__PHILOX_WORDS]);
void ag__normals_f64(double mean, double std, int groups, const uint32_t word[AG__PHILOX_WORDS],
                     double y[AG__PHILOX_WORDS / 2]);

#endif
