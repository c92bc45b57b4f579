/* philox -- see philox.h */
#include "autograd/tape/philox.h"

#include <math.h>

/* ln, sine and cosine, of f32 and then of f64. */
#define AG_LAST_DOMAIN AG_DOMAIN_F64
#include "autograd/formulas_begin.h"

#include "autograd/functions.h"

#include "autograd/formulas_end.h"

#include "autograd/formulas_begin.h"

#include "autograd/functions.h"

#include "autograd/formulas_end.h"

enum { ROUNDS = 10, LANES = AG__PHILOX_LANES, WORDS = AG__PHILOX_WORDS }; /* rounds: as the paper recommends */

AG__ALWAYS_INLINE void blocks(uint64_t seed, uint64_t draw, uint64_t start, uint32_t lanes, uint32_t word[]) {
    uint32_t *w0 = word, *w1 = word + lanes, *w2 = word + 2 * lanes, *w3 = word + 3 * lanes;
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (uint32_t i = 0; i < lanes; i++) {
        w0[i] = (uint32_t)(start + i);
        w1[i] = (uint32_t)((start + i) >> 32);
        w2[i] = (uint32_t)draw;
        w3[i] = (uint32_t)(draw >> 32);
    }
    for (int round = 0; round < ROUNDS; round++) {
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

void ag__philox(uint64_t seed, uint64_t draw, uint64_t block, uint32_t word[4]) { blocks(seed, draw, block, 1, word); }

AG_BLOCK_KERNEL(void, batch, (uint64_t seed, uint64_t draw, uint64_t start, uint32_t word[WORDS]),
                (seed, draw, start, word)) {
    blocks(seed, draw, start, LANES, word);
}

/* Two uniform numbers, u in (0, 1] and v in [0, 1), give two normal ones: √(−2·ln u) times the cosine and the sine
 * of 2πv. For f32 u has 31 bits, so that the tails reach 6.6 rather than 5.8. */
AG_BLOCK_KERNEL(void, normals_f32, (double mean_, double std_, const uint32_t word[WORDS], float y[WORDS]),
                (mean_, std_, word, y)) {
    enum { PAIRS = WORDS / 2 };
    const float mean = (float)mean_, std = (float)std_;
    AG_SIMD for (int i = 0; i < PAIRS; i++) {
        const float u = (float)(int32_t)(word[i] >> 1) * 0x1p-31f + 0x1p-32f;
        const float radius = sqrtf(-2 * ag_fn_log_f32(u)), angle = 0x1.921fb6p2f * ag__unit_f32(word[PAIRS + i]);
        y[i] = mean + std * (radius * ag_fn_cos_near_f32(angle));
        y[PAIRS + i] = mean + std * (radius * ag_fn_sin_near_f32(angle));
    }
}

AG_BLOCK_KERNEL(void, normals_f64,
                (double mean, double std, int groups, const uint32_t word[WORDS], double y[WORDS / 2]),
                (mean, std, groups, word, y)) {
    for (int g = 0; g < groups; g++, word += AG__PHILOX_GROUP, y += AG__PHILOX_GROUP)
        AG_SIMD for (int i = 0; i < AG__PHILOX_GROUP; i++) {
            const double u = ag__unit_f64(word[i], word[LANES + i]) + 0x1p-53;
            const double radius = sqrt(-2 * ag_fn_log_f64(u));
            const double angle = 0x1.921fb54442d18p2 * ag__unit_f64(word[2 * LANES + i], word[3 * LANES + i]);
            y[i] = mean + std * (radius * ag_fn_cos_near_f64(angle));
            y[LANES + i] = mean + std * (radius * ag_fn_sin_near_f64(angle));
        }
}

void ag__philox_batch(uint64_t seed, uint64_t draw, uint64_t start, uint32_t word[WORDS]) {
    batch(seed, draw, start, word);
}

void ag__normals_f32(double mean, double std, const uint32_t word[WORDS], float y[WORDS]) {
    normals_f32(mean, std, word, y);
}

void ag__normals_f64(double mean, double std, int groups, const uint32_t word[WORDS], double y[WORDS / 2]) {
    normals_f64(mean, std, groups, word, y);
}
