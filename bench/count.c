/* count -- preloaded into a process, counts its allocated bytes and their peak
 *
 * Each function calls the one it replaces, and adds or subtracts malloc_usable_size. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* glibc exports these besides the replaced names, so no symbol has to be looked up. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *p);

long long bench_live(void);
long long bench_peak(void);
void bench_forget_peak(void);

static _Atomic long long live, peak;

static void *taken(void *p) {
    if (!p) return p;
    long long now = atomic_fetch_add(&live, (long long)malloc_usable_size(p)) + (long long)malloc_usable_size(p);
    long long most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now)) {
    }
    return p;
}

static void given_back(void *p) {
    if (p) atomic_fetch_sub(&live, (long long)malloc_usable_size(p));
}

void *malloc(size_t bytes) { return taken(__libc_malloc(bytes)); }
void *calloc(size_t n, size_t bytes) { return taken(__libc_calloc(n, bytes)); }
void *memalign(size_t alignment, size_t bytes) { return taken(__libc_memalign(alignment, bytes)); }
void *aligned_alloc(size_t alignment, size_t bytes) { return taken(__libc_memalign(alignment, bytes)); }

int posix_memalign(void **p, size_t alignment, size_t bytes) {
    void *y = memalign(alignment, bytes);
    if (!y) return ENOMEM;
    *p = y;
    return 0;
}

void *realloc(void *p, size_t bytes) {
    long long before = p ? (long long)malloc_usable_size(p) : 0;
    void *y = __libc_realloc(p, bytes);
    if (y || bytes == 0) atomic_fetch_sub(&live, before);
    return taken(y);
}

void free(void *p) {
    given_back(p);
    __libc_free(p);
}

long long bench_live(void) { return atomic_load(&live); }
long long bench_peak(void) { return atomic_load(&peak); }
void bench_forget_peak(void) { atomic_store(&peak, atomic_load(&live)); }
