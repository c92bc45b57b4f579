/* buffer -- the pool of reference-counted blocks for values
 *
 * A block is a header and its data. Sizes are rounded up to classes, four to each power of two for small blocks, and
 * 16 for large ones; a freed block waits in its class's list. Small blocks are cut from slabs, large ones are
 * allocations of their own, and only those can be freed before the tape ends. Under AddressSanitizer and valgrind
 * every block has a gap behind the requested bytes, which is poisoned. */
#include "autograd/tape/tape.h"

#include <string.h>

enum {
    SMALL_HEADER = 32, /* data of small blocks: aligned to 32 */
    LARGE_HEADER = 64, /* data of large blocks: aligned to 64 */
    SMALLEST = 64,     /* bytes of class 0, header included */
    LARGEST_SMALL = 16 * 1024,
    LAST_SMALL = 32, /* its class */
    /* Bytes from which data begins at one of SHIFTS offsets behind the header, SHIFT apart: large blocks begin at
     * pages, and a loop over many would use the same few lines of the first-level cache for all. */
    SHIFTED = 64 * 1024,
    SHIFTS = 16,
    SHIFT = 256,
    SLAB = 256 * 1024
};

/* The largest request; with the header it may be one class more. */
static const size_t MOST = sizeof(size_t) > 4 ? (size_t)(UINT64_C(1) << 46) : (size_t)1 << 30;

_Static_assert(sizeof(ag__buffer) <= SMALL_HEADER, "a block's header must fit");
_Static_assert(LAST_SMALL + 16 * (46 - 14) + 1 < AG__CLASSES, "2^46 bytes and a header must have a class");

/* The sizes from `least` on, n to each power of two: number c is (n + c mod n)/n · least · 2^(c/n). */
static size_t number_bytes(size_t least, unsigned n, unsigned c) {
    return ag__times((uint64_t)(n + c % n) << (c / n), least / n);
}

static unsigned number_of(size_t least, unsigned n, size_t bytes) {
    if (bytes <= least) return 0;
    size_t units = (bytes + least / n - 1) / (least / n) - 1; /* >= n */
    unsigned log2 = 0;
    for (size_t u = units / (2 * n); u != 0; u >>= 1) log2++;
    return log2 * n + (unsigned)(units >> log2) - n + 1;
}

static bool is_small(unsigned c) { return c <= LAST_SMALL; }

/* Bytes of a class, header included. */
static size_t class_bytes(unsigned c) {
    return is_small(c) ? number_bytes(SMALLEST, 4, c) : number_bytes(LARGEST_SMALL, 16, c - LAST_SMALL);
}

static unsigned class_of(size_t bytes) {
    return bytes <= LARGEST_SMALL ? number_of(SMALLEST, 4, bytes) : LAST_SMALL + number_of(LARGEST_SMALL, 16, bytes);
}

static size_t header_bytes(unsigned c) {
    if (is_small(c)) return SMALL_HEADER;
    return class_bytes(c) < SHIFTED ? LARGE_HEADER : LARGE_HEADER + (SHIFTS - 1) * SHIFT;
}

/* The offset of a block's data, behind its header. */
static size_t data_offset(const ag__buffer *b) {
    return is_small(b->size_class) ? SMALL_HEADER : LARGE_HEADER + (size_t)b->shift * SHIFT;
}

/* A block from the present slab, or from a new one; the rest of the old one is wasted. */
static void *cut_from_slab(ag_tape *tape, size_t bytes) {
    ag__slab *slab = tape->slabs;
    if (!slab || slab->capacity - slab->used < bytes) {
        size_t size = slab ? SLAB : SLAB / 8; /* a small tape stays small */
        if (!(slab = ag__resize(tape, NULL, 0, size))) return NULL;
        *slab = (ag__slab){.next = tape->slabs, .capacity = size - SMALLEST};
        tape->slabs = slab;
    }
    void *p = (char *)slab + SMALLEST + slab->used;
    slab->used += bytes;
    return p;
}

static ag__buffer *fresh_block(ag_tape *tape, unsigned c) {
    size_t bytes = class_bytes(c);
    ag__buffer *b = is_small(c) ? cut_from_slab(tape, bytes) : ag__resize(tape, NULL, 0, bytes);
    if (!b && tape->held_free != 0) { /* before giving up, free the blocks of other classes */
        ag__buffers_trim(tape);
        b = is_small(c) ? cut_from_slab(tape, bytes) : ag__resize(tape, NULL, 0, bytes);
    }
    if (!b) return NULL;
    b->size_class = (uint16_t)c;
    b->shift = class_bytes(c) < SHIFTED ? 0 : tape->shifts++ % SHIFTS;
    return b;
}

static void count_live(ag_tape *tape, int64_t bytes) {
    ag_memory *m = &tape->memory;
    m->live += bytes;
    if (m->live > m->peak_live) m->peak_live = m->live;
}

ag__buffer *ag__buffer_new(ag_tape *tape, size_t bytes) {
    if (bytes > MOST) return NULL;
    size_t used = bytes;
    bytes += tape->gap;
    unsigned c = class_of(bytes + SMALL_HEADER);
    if (!is_small(c)) c = class_of(bytes + header_bytes(c));
    if (!is_small(c)) c = class_of(bytes + header_bytes(c)); /* it may be a larger class now */
    ag__buffer *b = tape->free_list[c];
    if (b) {
        tape->free_list[c] = b->next;
        if (!is_small(c)) tape->held_free -= (int64_t)class_bytes(c);
    } else if (!(b = fresh_block(tape, c))) {
        return NULL;
    }
    b->data = (char *)b + data_offset(b);
    b->refs = 1;
    b->adopted = false;
    ag__unpoison(tape, b->data, used);
    ag__poison(tape, (char *)b->data + used, class_bytes(c) - data_offset(b) - used);
    count_live(tape, (int64_t)class_bytes(c));
    return b;
}

ag__buffer *ag__buffer_new_apart(ag_tape *tape, size_t bytes) {
    return ag__buffer_new(tape, bytes > LARGEST_SMALL ? bytes : LARGEST_SMALL);
}

ag__buffer *ag__buffer_wrap(ag_tape *tape, const void *data) {
    ag__buffer *b = ag__buffer_new(tape, 0);
    if (!b) return NULL;
    b->data = (void *)(uintptr_t)data;
    return b;
}

void ag__buffer_set_owner(ag__buffer *b, ag__owner owner) { memcpy((char *)b + data_offset(b), &owner, sizeof owner); }

ag__buffer *ag__buffer_adopt(ag_tape *tape, const void *data) {
    ag__buffer *b = ag__buffer_new(tape, sizeof(ag__owner));
    if (!b) return NULL;
    ag__buffer_set_owner(b, (ag__owner){NULL, NULL});
    b->data = (void *)(uintptr_t)data;
    b->adopted = true;
    return b;
}

ag__owner ag__buffer_owner(const ag__buffer *b) {
    ag__owner owner = {NULL, NULL};
    if (b->adopted) memcpy(&owner, (const char *)b + data_offset(b), sizeof owner);
    return owner;
}

size_t ag__buffer_own_block(const ag__buffer *b) {
    const char *own = (const char *)b + data_offset(b);
    return is_small(b->size_class) || b->data != own ? 0 : class_bytes(b->size_class);
}

/* The user's code, which must not use the tape, whose nodes are about to change. */
static void release(ag_tape *tape, ag__owner owner) {
    ag__closed former = ag__close(tape, AG__ALLOCATOR, "the release of adopted memory");
    owner.release(owner.context);
    ag__reopen(tape, former);
}

void ag__buffer_drop(ag_tape *tape, ag__buffer *b) {
    if (!b || --b->refs != 0) return;
    const ag__owner owner = ag__buffer_owner(b);
    unsigned c = b->size_class;
    count_live(tape, -(int64_t)class_bytes(c));
    if (!is_small(c)) tape->held_free += (int64_t)class_bytes(c);
    ag__poison(tape, (char *)b + data_offset(b), class_bytes(c) - header_bytes(c));
    b->next = tape->free_list[c];
    tape->free_list[c] = b;
    if (owner.release) release(tape, owner);
}

/* Free the large blocks in the free lists. */
void ag__buffers_trim(ag_tape *tape) {
    for (unsigned c = 0; c < AG__CLASSES; c++) {
        if (is_small(c)) continue;
        for (ag__buffer *b = tape->free_list[c], *next; b; b = next) {
            next = b->next;
            ag__resize(tape, b, class_bytes(c), 0);
        }
        tape->free_list[c] = NULL;
    }
    tape->held_free = 0;
}

/* The tape ends: every block has been dropped. */
void ag__buffers_free(ag_tape *tape) {
    ag__buffers_trim(tape);
    for (ag__slab *s = tape->slabs, *next; s; s = next) {
        next = s->next;
        ag__resize(tape, s, s->capacity + SMALLEST, 0);
    }
    tape->slabs = NULL;
}
