/* placing -- places for blocks whose sizes and times are known */
#ifndef AG_PLACING_H
#define AG_PLACING_H

#include "autograd/tape/tape.h"

/* A block of memory that is taken and given back. */
typedef struct ag__stay {
    uint32_t units; /* of AG__PLACE bytes */
    uint32_t from, to;
} ag__stay;

enum { AG__PLACE = 64 };

/* Finds in `at` the place of each of n blocks, in units, so that no two that are there at one time overlap. Returns the
 * units of all, which are few; 0: out of memory, or too many. */
uint32_t ag__place_all(ag_tape *tape, uint32_t n, const ag__stay stay[], uint32_t at[]);

#endif
