/* stream -- copies whose result is written past the caches
 *
 * A line is written whole, in vectors of 32 bytes: it then goes to memory without being read first. The parts of lines
 * at both ends are stored as usual, for their other parts may belong to other data. */
#include "autograd/eval/stream.h"
#include "autograd/tape/features.h"
#include "autograd/tape/limits.h"

#include <string.h>

#if defined __x86_64__ && defined __GNUC__

#include <immintrin.h>

bool ag__can_copy_past(void) { return ag__processor_has(AG__HAS_AVX); }

__attribute__((target("avx"))) void ag__copy_past(void *y_, const void *x_, size_t n, int64_t soon) {
    char *y = y_;
    const char *x = x_;
    size_t before = (size_t)(-(uintptr_t)y_ % AG__LINE), i = before < n ? before : n;
    memcpy(y, x, i);
    for (; i + AG__LINE <= n; i += AG__LINE) {
        _mm_prefetch((const char *)((uintptr_t)x + i + (uintptr_t)soon), _MM_HINT_T0);
        __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(x + i));
        __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(x + i + AG__LINE / 2));
        _mm256_stream_si256((__m256i *)(void *)(y + i), low);
        _mm256_stream_si256((__m256i *)(void *)(y + i + AG__LINE / 2), high);
    }
    memcpy(y + i, x + i, n - i);
}

void ag__copied_past(void) { _mm_sfence(); }

#else

bool ag__can_copy_past(void) { return false; }

void ag__copy_past(void *y, const void *x, size_t n, int64_t soon) { memcpy(y, x, n), (void)soon; }

void ag__copied_past(void) {}

#endif

#ifdef __GNUC__
#define PREFETCH(x) __builtin_prefetch((const void *)(x), 0, 2)
#else
#define PREFETCH(x) (void)(x)
#endif

void ag__ask_for(uintptr_t x, size_t bytes) {
    for (uintptr_t at = x & ~(uintptr_t)(AG__LINE - 1), end = x + bytes; at < end; at += AG__LINE) PREFETCH(at);
}
