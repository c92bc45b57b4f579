/* memory -- every byte of the library comes from ag__resize
 *
 * The arena is above it: a list of slabs that inputs, attributes, layouts and labels are cut from in the order of
 * recording. Rewinding moves its end back and keeps the memory, so a steady loop allocates nothing. Invariant: slabs
 * before tape->slab are full or skipped, slabs after it are empty. */
#include "autograd/tape/tape.h"

#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#if defined __SANITIZE_ADDRESS__
#define HAVE_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#endif
#if AG_HAVE_MEMCHECK
#include <valgrind/memcheck.h>
#endif

/* An input takes 8 bytes of the arena: so there are fewer than 2^31 inputs, and counts of readers fit 32 bits. */
static const uint64_t MOST_ARENA = (UINT64_C(1) << 34) - 2 * 1024 * 1024;

enum { ALIGNMENT = 64, LARGEST_SLAB = 1024 * 1024, HUGE_PAGES = 4 * 1024 * 1024, HUGE_SLAB = 2 * HUGE_PAGES };

/* Rewound memory is poisoned until it is used again, so that a mistaken read is caught. */
void ag__poison_memory(const void *p, size_t bytes) {
#ifdef HAVE_ASAN
    ASAN_POISON_MEMORY_REGION(p, bytes);
#elif AG_HAVE_MEMCHECK
    VALGRIND_MAKE_MEM_NOACCESS(p, bytes);
#else
    (void)p, (void)bytes;
#endif
}

void ag__unpoison_memory(const void *p, size_t bytes) {
#ifdef HAVE_ASAN
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
#elif AG_HAVE_MEMCHECK
    VALGRIND_MAKE_MEM_UNDEFINED(p, bytes);
#else
    (void)p, (void)bytes;
#endif
}

uint16_t ag__gap(void) {
    enum { GAP = 64 };
#ifdef HAVE_ASAN
    return GAP;
#elif AG_HAVE_MEMCHECK
    return RUNNING_ON_VALGRIND ? GAP : 0;
#else
    return 0;
#endif
}

/* Huge pages, if the system leaves that to the program: fewer faults, and fewer misses with many arrays. */
static void prefer_huge_pages(void *p, size_t bytes) {
#ifdef MADV_HUGEPAGE
    enum { PAGE = 4096 };
    uintptr_t first = ((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1),
              end = ((uintptr_t)p + bytes) & ~(uintptr_t)(PAGE - 1);
    madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

/* Aligned memory is cut from a larger block, and the byte before it says where: aligned_alloc gives back what it cuts
 * off, and takes four times as long. AddressSanitizer watches the ends of its own blocks. */
#ifdef HAVE_ASAN
static void *block_new(size_t bytes) { return aligned_alloc(ALIGNMENT, ag__rounded(bytes, ALIGNMENT)); }
static void block_free(void *p) { free(p); }
#else
static void *block_new(size_t bytes) {
    char *whole = malloc(bytes + ALIGNMENT);
    if (!whole) return NULL;
    char *p = whole + ALIGNMENT - (uintptr_t)whole % ALIGNMENT;
    p[-1] = (char)(p - whole);
    return p;
}

static void block_free(void *p) {
    if (p) free((char *)p - ((char *)p)[-1]);
}
#endif

static void *default_resize(void *ctx, void *p, size_t old_bytes, size_t new_bytes) {
    (void)ctx;
    void *q = new_bytes > 0 && new_bytes < PTRDIFF_MAX - ALIGNMENT ? block_new(new_bytes) : NULL;
    if (q && new_bytes >= HUGE_PAGES) prefer_huge_pages(q, new_bytes);
    if (q && p) memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    if (q || new_bytes == 0) block_free(p);
    return q;
}

const ag_allocator ag__default_allocator = {default_resize, NULL};

/* Machine code stores whole lines of values, and ends the process where they do not begin with one. So a new block of
 * the user's that is not aligned is given back. (Blocks that grow hold no values.) */
static void *if_aligned(ag_tape *tape, void *q, size_t bytes) {
    if ((uintptr_t)q % ALIGNMENT == 0) return q;
    tape->allocator.resize(tape->allocator.ctx, q, bytes, 0);
    tape->refused = AG__UNALIGNED;
    return NULL;
}

/* A user's allocator must not use the tape, which is about to change. */
static void *call_allocator(ag_tape *tape, void *p, size_t old_bytes, size_t new_bytes) {
    const ag_allocator *a = &tape->allocator;
    if (a->resize == default_resize) return default_resize(a->ctx, p, old_bytes, new_bytes);
    ag__closed former = ag__close(tape, AG__ALLOCATOR, "the allocator");
    void *q = a->resize(a->ctx, p, old_bytes, new_bytes);
    if (!p) q = if_aligned(tape, q, new_bytes);
    ag__reopen(tape, former);
    return q;
}

/* Whether new_bytes may take the place of fewer. */
static bool within_limit(ag_tape *tape, size_t new_bytes, size_t old_bytes) {
    tape->refused = AG__NOTHING;
    if (new_bytes > PTRDIFF_MAX) return false;
    const bool within = (int64_t)(new_bytes - old_bytes) <= tape->most_bytes - tape->memory.held;
    if (!within) tape->refused = AG__BYTES;
    return within;
}

void *ag__allocate_apart(ag_tape *tape, size_t bytes) {
    return within_limit(tape, bytes, 0) ? call_allocator(tape, NULL, 0, bytes) : NULL;
}

void *ag__resize(ag_tape *tape, void *p, size_t old_bytes, size_t new_bytes) {
    ag_memory *m = &tape->memory;
    if (new_bytes > old_bytes && !within_limit(tape, new_bytes, old_bytes)) return NULL;
    if (p && new_bytes == 0) ag__unpoison(tape, p, old_bytes); /* arena or slab: parts of it may be poisoned */
    if (new_bytes != 0) m->allocations++, tape->refused = AG__NOTHING;
    void *q = call_allocator(tape, p, old_bytes, new_bytes);
    if (!q && new_bytes != 0) return NULL;
    m->held += (int64_t)new_bytes - (int64_t)old_bytes;
    if (m->held > m->peak_held) m->peak_held = m->held;
    return q;
}

enum { SIZED_HEADER = 64 };

void *ag__allocate_sized(ag_tape *tape, size_t bytes) {
    size_t whole = ag__plus(bytes, SIZED_HEADER);
    char *p = ag__resize(tape, NULL, 0, whole);
    if (!p) return NULL;
    memcpy(p, &whole, sizeof whole);
    return p + SIZED_HEADER;
}

void ag__free_sized(ag_tape *tape, void *p) {
    size_t whole;
    if (!p) return;
    memcpy(&whole, (char *)p - SIZED_HEADER, sizeof whole);
    ag__resize(tape, (char *)p - SIZED_HEADER, whole, 0);
}

/* ---- The arena ---- */

static ag__slab *slab_in(ag_tape *tape, void *p, size_t bytes) {
    ag__slab *c = p;
    *c = (ag__slab){.capacity = bytes - sizeof(ag__slab)};
    ag__poison(tape, c + 1, c->capacity);
    return c;
}

void ag__arena_begin(ag_tape *tape, void *slab) { tape->first_slab = slab_in(tape, slab, AG__FIRST_SLAB); }

/* After one of `before` bytes, and some in all. */
static ag__slab *slab_new(ag_tape *tape, size_t least, size_t before, size_t all) {
    const size_t most = all < 2 * HUGE_SLAB ? LARGEST_SLAB : HUGE_SLAB;
    size_t bytes = before == 0 ? AG__FIRST_SLAB : before * 2 > most ? most : before * 2;
    size_t needed = ag__plus(least, sizeof(ag__slab));
    if (bytes < needed) bytes = needed;
    void *p = ag__resize(tape, NULL, 0, bytes);
    return p ? slab_in(tape, p, bytes) : NULL;
}

/* The next slab with room for `bytes`: an empty one, or a new one inserted before the empty ones. */
static ag__slab *next_slab(ag_tape *tape, size_t bytes) {
    ag__slab *now = tape->slab, *c = now ? now->next : tape->first_slab;
    if (now && now->before + now->used > MOST_ARENA) return NULL;
    if (c && c->capacity >= bytes) return c;
    ag__slab *fresh = slab_new(tape, bytes, now ? now->capacity : 0, now ? now->before : 0);
    if (!fresh) return NULL;
    fresh->next = c;
    *(now ? &now->next : &tape->first_slab) = fresh;
    return fresh;
}

void *ag__arena(ag_tape *tape, size_t bytes) {
    const size_t given = bytes;
    bytes = (bytes + 7) & ~(size_t)7;
    ag__slab *c = tape->slab;
    if (!c || c->capacity - c->used < bytes || bytes < given) {
        if (!(c = next_slab(tape, ag__rounded(given, 8)))) return NULL;
        c->before = tape->slab ? tape->slab->before + tape->slab->used : 0;
        tape->slab = c;
    }
    char *p = (char *)(c + 1) + c->used;
    c->used += bytes;
    ag__unpoison(tape, p, bytes);
    return p;
}

/* Move the end back to `used` bytes of `slab`; NULL: the beginning. */
void ag__arena_release(ag_tape *tape, ag__slab *slab, size_t used) {
    for (ag__slab *c = slab ? slab : tape->first_slab; c; c = c->next) {
        size_t keep = c == slab ? used : 0;
        ag__poison(tape, (char *)(c + 1) + keep, c->used - keep);
        c->used = keep;
        if (c == tape->slab) break;
    }
    tape->slab = slab;
}

int64_t ag__arena_bytes(const ag_tape *tape) {
    size_t used = tape->slab ? tape->slab->before + tape->slab->used : 0;
    return (int64_t)(used + tape->count * (sizeof(ag_tensor) + sizeof(ag__about_node)));
}

/* Free the empty slabs, but the tape's own. */
void ag__arena_trim(ag_tape *tape) {
    ag__slab **waiting = tape->slab ? &tape->slab->next : &tape->first_slab, *own = NULL;
    for (ag__slab *c = *waiting, *next; c; c = next) {
        next = c->next;
        if (ag__is_home(tape, c)) own = c, own->next = NULL;
        else ag__resize(tape, c, sizeof *c + c->capacity, 0);
    }
    *waiting = own;
}
