/* size -- arithmetic on sizes in bytes that never wraps around
 *
 * A size that cannot be represented is SIZE_MAX, and stays so under addition and multiplication: no allocation of it
 * succeeds. So a size is computed in one expression, and only the allocation is checked. */
#ifndef AG_SIZE_H
#define AG_SIZE_H

#include <stddef.h>
#include <stdint.h>

static inline size_t ag__plus(size_t a, size_t b) { return a > SIZE_MAX - b ? SIZE_MAX : a + b; }

/* So many things of so many bytes. The number has 64 bits where sizes have 32, too: that of a view's elements may
 * exceed them. */
static inline size_t ag__times(uint64_t n, size_t bytes) {
    return bytes != 0 && n > SIZE_MAX / bytes ? SIZE_MAX : (size_t)n * bytes;
}

/* bytes rounded up to a multiple of `unit`, a power of two. */
static inline size_t ag__rounded(size_t bytes, size_t unit) {
    return bytes > SIZE_MAX - (unit - 1) ? SIZE_MAX : (bytes + unit - 1) & ~(unit - 1);
}

/* The next capacity of a list that has `room` entries and needs `least`: at least twice as many; 0 if it overflows. */
static inline uint32_t ag__more_room(uint32_t room, uint64_t least) {
    uint64_t twice = 2 * (uint64_t)room, wanted = twice > least ? twice : least;
    return wanted <= UINT32_MAX ? (uint32_t)wanted : least <= UINT32_MAX ? UINT32_MAX : 0;
}

/* The lesser of two numbers of elements. */
static inline int64_t ag__lesser(int64_t a, int64_t b) { return a < b ? a : b; }

#endif
