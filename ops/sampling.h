/* sampling -- random numbers whose distribution depends on tensors: the primitives behind ops/random.h
 *
 * An element's random bits are blocks of Philox: block i + 2^48·attempt of a draw for element i. So an element does not
 * depend on the others, on threads or on how many are made, and a sampler that rejects what it has made draws again. */
#ifndef AG_SAMPLING_H
#define AG_SAMPLING_H

#include "ops/rules.h"

/* ---- Random bits ---- */

typedef struct ag__bits {
    uint64_t seed, draw, block;
    uint32_t word[4];      /* of the last attempt */
    const uint32_t *first; /* of the first one, AG__PHILOX_LANES apart; NULL: not made yet */
    double normal;         /* another number, of samplers that ask for it */
} ag__bits;

ag__bits ag__bits_of(uint64_t seed, uint64_t draw, int64_t element);
void ag__next_bits(ag__bits *r);

/* 0 < u <= 1, of 53 bits. */
double ag__unit(const uint32_t word[2]);

/* ⌊n·w/2^64⌋ for the w of 64 bits: 0 … n−1; and the rest of that division, n·w mod 2^64. Where the rest is less than
 * 2^64 mod n, w is one too many for its number. */
AG__ALWAYS_INLINE uint64_t ag__below(uint32_t high, uint32_t low, uint64_t n, uint64_t *rest) {
    const uint64_t n0 = n & UINT32_MAX, n1 = n >> 32, last = n0 * low;
    const uint64_t mid = n1 * low + (last >> 32), top = n0 * high + (mid & UINT32_MAX);
    *rest = top << 32 | (last & UINT32_MAX);
    return n1 * high + (mid >> 32) + (top >> 32);
}

/* Seed and draw, i64 (2), as a tensor: it is the last input of random operations on tensors, which are then the same at
 * each step, so that a plan of them serves again. */
ag_tensor *ag__random_key(ag_tape *tape);
bool ag__is_key(const ag_tensor *x);

/* ---- A number for each element of the parameters, which have one shape ---- */

/* Gamma numbers of this shape parameter (rate 1), or their logarithms, which do not vanish where it is small. */
ag_tensor *ag__gamma_numbers(ag_tensor *shape, bool logarithm);

/* Whole numbers from 0 on. */
ag_tensor *ag__poisson_numbers(ag_tensor *rate);
ag_tensor *ag__binomial_numbers(ag_tensor *n, ag_tensor *p);

/* Standard normal numbers between these. */
ag_tensor *ag__truncated_numbers(ag_tensor *low, ag_tensor *high);

#endif
