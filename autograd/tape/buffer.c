/* buffer -- reference-counted blocks for values
 *
 * Small blocks are a header and its data, cut from slabs. Their sizes are rounded up to classes, four to each power of
 * two; a freed block waits in its class's list. The others are the heap's. Under AddressSanitizer and valgrind every
 * block has a gap behind the requested bytes, which is poisoned. */
#include "autograd/tape/tape.h"

#include <string.h>

enum {
    SMALL_HEADER = AG__SMALL_HEADER, /* data of small blocks: aligned to 16 */
    HEAP_HEADER = 64,                /* of others: to 64 */
    SMALLEST = AG__SMALLEST,         /* bytes of class 0, header included */
    LARGEST_SMALL = 2048,
    LARGEST_SLAB = 256 * 1024,
    HUGE_SLAB = 8 * 1024 * 1024 /* of pages of another kind, if there are many values */
};

static const size_t MOST = sizeof(size_t) > 4 ? (size_t)(UINT64_C(1) << 46) : (size_t)1 << 30; /* the largest request */

_Static_assert(sizeof(ag__buffer) <= SMALL_HEADER, "a block's header must fit");

/* Bytes of a class, header included: (4 + c mod 4)/4 · SMALLEST · 2^(c/4). */
static inline size_t class_bytes(unsigned c) { return (size_t)(4 + c % 4) << (c / 4) << 4; }

static inline unsigned class_of(size_t bytes) {
    if (bytes <= SMALLEST) return 0;
    size_t units = (bytes + SMALLEST / 4 - 1) / (SMALLEST / 4) - 1; /* >= 4 */
    unsigned log2 = 0;
#ifdef __GNUC__
    log2 = 29u - (unsigned)__builtin_clz((unsigned)units); /* a loop's end is hardly foreseen */
#else
    for (size_t u = units / 8; u != 0; u >>= 1) log2++;
#endif
    return log2 * 4 + (unsigned)(units >> log2) - 3;
}

_Static_assert(SMALLEST == 4 << 4 && LARGEST_SMALL == 4 << (AG__CLASSES - 1) / 4 << 4, "the last class is the largest");

static inline bool is_in_heap(const ag__buffer *b) { return b->size_class == AG__IN_HEAP; }

static size_t header_bytes(const ag__buffer *b) { return is_in_heap(b) ? HEAP_HEADER : SMALL_HEADER; }

/* Header included. */
static size_t block_bytes(const ag__buffer *b) {
    return is_in_heap(b) ? ag__heap_bytes(b) : class_bytes(b->size_class);
}

static void add_slab(ag_tape *tape, void *p, size_t bytes) {
    ag__slab *slab = p;
    *slab = (ag__slab){.next = tape->slabs, .capacity = bytes - SMALLEST};
    tape->slabs = slab;
}

void ag__buffers_begin(ag_tape *tape, void *slab) { add_slab(tape, slab, AG__FIRST_SLAB); }

/* A new slab, which is larger; the rest of the old one is wasted. */
static bool another_slab(ag_tape *tape) {
    size_t size = 2 * (tape->slabs->capacity + SMALLEST);
    const size_t most = tape->memory.live < 2 * HUGE_SLAB ? LARGEST_SLAB : HUGE_SLAB;
    if (size > most) size = most;
    void *slab = ag__resize(tape, NULL, 0, size);
    if (slab) add_slab(tape, slab, size);
    return slab != NULL;
}

/* Before giving up, free what waits for others. */
AG__NEVER_INLINE static bool add_any_slab(ag_tape *tape) {
    if (another_slab(tape)) return true;
    ag__heap_trim(tape);
    return another_slab(tape);
}

static ag__buffer *small_block(ag_tape *tape, unsigned c) {
    ag__buffer *b = tape->free_list[c];
    if (b) {
        tape->free_list[c] = b->next, ag__fetch(b->data);
    } else {
        const size_t bytes = class_bytes(c);
        if (tape->slabs->capacity - tape->slabs->used < bytes && !add_any_slab(tape)) return NULL;
        b = (ag__buffer *)(void *)((char *)tape->slabs + SMALLEST + tape->slabs->used);
        tape->slabs->used += bytes;
    }
    *b = (ag__buffer){.data = (char *)b + SMALL_HEADER, .refs = 1, .size_class = (uint16_t)c};
    return b;
}

/* A new block of so many bytes, of which some are used; NULL: none. */
static inline ag__buffer *counted(ag_tape *tape, ag__buffer *b, size_t bytes, size_t header, size_t used) {
    if (!b) return NULL;
    ag__unpoison(tape, b->data, used);
    ag__poison(tape, (char *)b->data + used, bytes - header - used);
    ag__count_live(tape, (int64_t)bytes);
    return b;
}

static ag__buffer *counted_of_heap(ag_tape *tape, ag__buffer *b, size_t used) {
    return counted(tape, b, b ? ag__heap_bytes(b) : 0, HEAP_HEADER, used);
}

/* Whether so many bytes, with the gap behind them, are in a small block. */
static bool is_small(size_t all) { return all <= LARGEST_SMALL - SMALL_HEADER; }

ag__buffer *ag__buffer_new(ag_tape *tape, size_t bytes) {
    if (bytes > MOST) return NULL;
    const size_t all = bytes + tape->gap;
    if (!is_small(all)) return counted_of_heap(tape, ag__heap_new(tape, all), bytes);
    const unsigned c = class_of(all + SMALL_HEADER);
    return counted(tape, small_block(tape, c), class_bytes(c), SMALL_HEADER, bytes);
}

ag__buffer *ag__buffer_new_apart(ag_tape *tape, size_t bytes) {
    return bytes > MOST ? NULL : counted_of_heap(tape, ag__heap_new_apart(tape, bytes + tape->gap), bytes);
}

ag__buffer *ag__buffer_new_lasting(ag_tape *tape, size_t bytes) {
    const bool is_apart = bytes <= MOST && !is_small(bytes + tape->gap);
    return is_apart ? ag__buffer_new_apart(tape, bytes) : ag__buffer_new(tape, bytes);
}

ag__buffer *ag__buffer_wrap(ag_tape *tape, const void *data) {
    ag__buffer *b = ag__buffer_new(tape, 0);
    if (!b) return NULL;
    b->data = (void *)(uintptr_t)data;
    return b;
}

void ag__buffer_set_owner(ag__buffer *b, ag__owner owner) { memcpy((char *)b + header_bytes(b), &owner, sizeof owner); }

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
    if (b->adopted) memcpy(&owner, (const char *)b + header_bytes(b), sizeof owner);
    return owner;
}

ag__span *ag__buffer_span(const ag__buffer *b) { return is_in_heap(b) ? ag__heap_span(b) : NULL; }

/* The user's code, which must not use the tape, whose nodes are about to change. */
static void release(ag_tape *tape, ag__owner owner) {
    ag__closed former = ag__close(tape, AG__ALLOCATOR, "the release of adopted memory");
    owner.release(owner.context);
    ag__reopen(tape, former);
}

void ag__buffer_drop(ag_tape *tape, ag__buffer *b) {
    if (!b || --b->refs != 0) return;
    const ag__owner owner = ag__buffer_owner(b);
    ag__count_live(tape, -(int64_t)block_bytes(b));
    if (is_in_heap(b)) {
        ag__heap_drop(tape, b);
    } else {
        unsigned c = b->size_class;
        ag__poison(tape, (char *)b + SMALL_HEADER, class_bytes(c) - SMALL_HEADER);
        ag__buffer_put(tape, b, c);
    }
    if (owner.release) release(tape, owner);
}

/* The tape ends: every block has been dropped, or is lent. */
void ag__buffers_free(ag_tape *tape) {
    if (tape->heap.spans || tape->heap.rounds) ag__heap_free(tape);
    for (ag__slab *s = tape->slabs, *next; s; s = next) {
        next = s->next;
        if (!ag__is_home(tape, s)) ag__resize(tape, s, s->capacity + SMALLEST, 0);
    }
    tape->slabs = NULL;
}
