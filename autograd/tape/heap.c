/* heap -- memory for values that are not small
 *
 * A block is a header and its data. Blocks lie next to each other in spans, which alone are allocated: a block that is
 * freed joins its free neighbours, and a request takes the smallest free block in which it fits, and leaves the rest.
 * Where none is large enough, spans without a block in use are given back before another one is allocated.
 *
 * A rewind after which larger blocks were wanted than there are gives these back too, as does the first one after which
 * much less was used than there is; and the next span has room for all that was in use at once: so after a few
 * steps a steady loop stays within one span, and calls no allocator. Invariant: no two free blocks are neighbours, and
 * each free block is in the list of its class.
 *
 * Between two rewinds a loop asks for the same blocks each time. So these are noted; when two rounds were equal, and
 * places that are found with all of them known take less memory, the blocks of the next ones are put there. */
#include "autograd/tape/hash.h"
#include "autograd/tape/placing.h"

#include <stdatomic.h>
#include <string.h>

enum {
    HEADER = 64,  /* of a block, and of a span: data is aligned to a cache line */
    LEAST = 2048, /* bytes of the smallest block that is asked for */
    LEAST_SPAN = 16 * 1024,
    LARGEST_GROWTH = 1024 * 1024,
    MOST_TRIED =
        32, /* free blocks of a class: among thousands a search for the best one would take longer than a step */
    /* A loop over many arrays would use the same few lines of the first-level cache for all, and a load would wait for
     * a store to the same place in another page, if large blocks followed each other at whole pages. */
    LARGE = 64 * 1024,
    APART = 256
};

struct ag__span {
    struct ag__span *next;
    size_t bytes; /* with this header */
    atomic_uint users;
};

struct ag__block {
    ag__buffer buffer; /* first, so that a buffer's address is that of its block; a free one has no references */
    size_t bytes;      /* with this header */
    size_t before;     /* of the block before it in its span; 0: it is the first */
    struct ag__span *span;
    struct ag__block *previous; /* in the list of free blocks of its class, whose next is the buffer's */
    uint32_t number;            /* of its request */
};

typedef struct ag__block block;
typedef struct ag__span span;

_Static_assert(sizeof(block) <= HEADER && sizeof(span) <= HEADER, "headers must fit");

static block *block_of(const ag__buffer *b) { return (block *)(uintptr_t)b; }
static block *next_of(const block *b) { return block_of(b->buffer.next); }
static bool is_free(const block *b) { return b->buffer.refs == 0; }

static block *first_in(const span *s) { return (block *)((uintptr_t)s + HEADER); }
static bool is_vacant(const span *s) { return is_free(first_in(s)) && first_in(s)->bytes == s->bytes - HEADER; }

/* The neighbours of b; NULL: it is the first, or the last. */
static block *before(const block *b) { return b->before ? (block *)((uintptr_t)b - b->before) : NULL; }
static block *after(const block *b) {
    uintptr_t end = (uintptr_t)b + b->bytes;
    return end < (uintptr_t)b->span + b->span->bytes ? (block *)end : NULL;
}

/* ---- Free blocks ---- */

/* Four classes to each power of two. What is left of a block may be too small for any: it is free, but in no list. */
static unsigned class_of(size_t bytes) {
    unsigned log2 = 0;
    for (size_t u = bytes / (2 * LEAST); u != 0; u >>= 1) log2++;
    return 4 * log2 + (unsigned)(bytes / (LEAST / 4) >> log2) - 4;
}

static void link(ag_tape *tape, block *b) {
    ag__heap *heap = &tape->heap;
    b->buffer.refs = 0;
    ag__poison(tape, (char *)b + HEADER, b->bytes - HEADER);
    if (b->bytes < LEAST) return;
    unsigned c = class_of(b->bytes);
    block *first = heap->free[c];
    b->buffer.next = first ? &first->buffer : NULL;
    b->previous = NULL;
    if (first) first->previous = b;
    heap->free[c] = b;
}

static void unlink(ag__heap *heap, block *b) {
    if (b->bytes < LEAST) return;
    block *next = next_of(b);
    if (next) next->previous = b->previous;
    if (b->previous) b->previous->buffer.next = b->buffer.next;
    else heap->free[class_of(b->bytes)] = next;
}

/* The smallest block of at least these bytes among the first ones of a list; NULL if there is none. */
static block *best_of(block *first, size_t bytes) {
    block *found = NULL;
    int tried = 0;
    for (block *b = first; b && tried < MOST_TRIED && !(found && found->bytes == bytes); b = next_of(b), tried++)
        if (b->bytes >= bytes && (!found || b->bytes < found->bytes)) found = b;
    return found;
}

/* A free block of at least these bytes, about the smallest; NULL if none was found. */
static block *best(const ag__heap *heap, size_t bytes) {
    block *found = NULL;
    for (unsigned c = class_of(bytes); c < AG__HEAP_CLASSES && !found; c++) found = best_of(heap->free[c], bytes);
    return found;
}

/* Cut b down to these bytes. */
static void cut(ag_tape *tape, block *b, size_t bytes) {
    if (b->bytes == bytes) return;
    block *rest = (block *)((uintptr_t)b + bytes), *behind = after(b);
    ag__unpoison(tape, rest, HEADER);
    *rest = (block){.bytes = b->bytes - bytes, .before = bytes, .span = b->span};
    if (behind) behind->before = rest->bytes;
    b->bytes = bytes;
    link(tape, rest);
}

/* Add the block behind b to it. */
static void join(block *b) {
    b->bytes += after(b)->bytes;
    block *behind = after(b);
    if (behind) behind->before = b->bytes;
}

/* ---- Spans ---- */

/* A block of a round that is known. */
typedef struct place {
    uint32_t units, at; /* of AG__PLACE bytes; at: in `home`; AWAY: it outlasts the round, and is in another span */
    uint32_t left;      /* number of the block before it, as it is put there; NOBODY: none */
    bool taken;         /* it is there */
} place;

static const uint32_t AWAY = UINT32_MAX, NOBODY = UINT32_MAX;

struct ag__rounds {
    bool noted;     /* this one is: */
    ag__stay *stay; /* so far; */
    place *place;   /* or each one is known to have these; else NULL */
    uint32_t room, count;
    uint32_t now;          /* while it is noted, the time; else the number of the next request */
    uint64_t hash, former; /* of this round so far, and of the one before */
    int vain, turns;       /* rounds without success; loops that were noted */
    bool strayed;          /* this round is not the one that is known */
    span *home;            /* has the places; NULL: none yet, */
    size_t bytes;          /* of so many bytes */
};

typedef struct ag__rounds rounds;

_Static_assert((int)AG__PLACE == (int)HEADER, "a block begins at any place");

static void free_span(ag_tape *tape, span *s) {
    if (tape->heap.rounds && tape->heap.rounds->home == s) tape->heap.rounds->home = NULL;
    tape->heap.held -= s->bytes;
    ag__resize(tape, s, s->bytes, 0);
}

/* Give back the spans without a block in use; returns their bytes. */
static size_t give_back(ag_tape *tape) {
    size_t bytes = 0;
    for (span **at = &tape->heap.spans; *at;) {
        span *s = *at;
        if (!is_vacant(s)) {
            at = &s->next;
            continue;
        }
        bytes += s->bytes;
        *at = s->next;
        unlink(&tape->heap, first_in(s));
        free_span(tape, s);
    }
    return bytes;
}

/* A free block of these bytes or more, in a new span; NULL if out of memory. */
static block *new_span(ag_tape *tape, size_t bytes) {
    ag__heap *heap = &tape->heap;
    size_t all = ag__plus(bytes, HEADER);
    span *s = ag__resize(tape, NULL, 0, all);
    if (!s) return NULL;
    *s = (span){.next = heap->spans, .bytes = all};
    atomic_init(&s->users, 1);
    heap->spans = s;
    heap->held += all;
    block *b = first_in(s);
    *b = (block){.bytes = all - HEADER, .span = s};
    link(tape, b);
    return b;
}

/* Small spans grow in number with what is held, so that there are not as many as blocks. */
static size_t growth(const ag__heap *heap) {
    size_t some = ag__rounded(heap->held / 8, HEADER);
    return some < LEAST_SPAN ? LEAST_SPAN : some > LARGEST_GROWTH ? LARGEST_GROWTH : some;
}

static block *grow(ag_tape *tape, size_t bytes) {
    ag__heap *heap = &tape->heap;
    size_t more = heap->next > growth(heap) ? heap->next : growth(heap);
    heap->next = 0;
    heap->grew = true;
    give_back(tape);
    block *b = bytes < more ? new_span(tape, more) : NULL;
    return b ? b : new_span(tape, bytes);
}

/* ---- The interface ---- */

/* Bytes of the block for so many of data; SIZE_MAX: too many. */
static size_t block_bytes(size_t bytes) {
    size_t all = ag__plus(bytes, HEADER);
    if (all >= LARGE) all = ag__plus(all, APART);
    all = ag__rounded(all, HEADER);
    return all < LEAST ? LEAST : all;
}

static ag__buffer *take(ag_tape *tape, block *b, size_t bytes) {
    ag__heap *heap = &tape->heap;
    unlink(heap, b);
    cut(tape, b, bytes);
    b->number = heap->first - 1; /* no request of this round */
    b->buffer = (ag__buffer){.data = (char *)b + HEADER, .refs = 1, .size_class = AG__IN_HEAP};
    heap->used += b->bytes;
    if (heap->used > heap->most) heap->most = heap->used;
    return &b->buffer;
}

/* A value that lasts is not put among those that come and go: the memory between would be of no use to larger ones. */
ag__buffer *ag__heap_new_apart(ag_tape *tape, size_t bytes) {
    size_t all = block_bytes(bytes);
    block *b = tape->heap.free[class_of(all)];
    for (int tried = 1; b && (b->bytes != all || !is_vacant(b->span)); tried++)
        b = tried < MOST_TRIED ? next_of(b) : NULL;
    if (!b) b = new_span(tape, all);
    if (!b && give_back(tape) > 0) b = new_span(tape, all);
    return b ? take(tape, b, all) : NULL;
}

/* ---- Rounds ---- */

static void forget(ag_tape *tape) {
    rounds *r = tape->heap.rounds;
    if (!r) return;
    tape->heap.first += r->count;
    if (r->stay) ag__resize(tape, r->stay, r->room * sizeof *r->stay, 0);
    if (r->place) ag__resize(tape, r->place, r->count * sizeof *r->place, 0);
    *r = (rounds){.turns = r->turns};
}

static void note_from_now_on(ag_tape *tape) {
    enum { MOST_TURNS = 8 };
    rounds *r = tape->heap.rounds;
    if (!r) {
        r = tape->heap.rounds = ag__resize(tape, NULL, 0, sizeof *r);
        if (r) *r = (rounds){.turns = 0};
    }
    if (r && r->turns++ < MOST_TURNS) r->noted = true;
}

static bool has_room(ag_tape *tape, rounds *r) {
    enum { FEW = 32, MANY = 2048 };
    if (r->count < r->room) return true;
    const uint32_t room = r->room ? 2 * r->room : FEW;
    ag__stay *stay = room > MANY ? NULL : ag__resize(tape, r->stay, r->room * sizeof *stay, room * sizeof *stay);
    if (stay) r->stay = stay, r->room = room;
    return stay;
}

static void note(ag_tape *tape, block *b) {
    rounds *r = tape->heap.rounds;
    if (b->bytes / AG__PLACE > UINT32_MAX || !has_room(tape, r)) {
        forget(tape);
        return;
    }
    const uint32_t units = (uint32_t)(b->bytes / AG__PLACE);
    b->number = tape->heap.first + r->count;
    r->hash = ag__mix(r->hash, units);
    r->stay[r->count++] = (ag__stay){units, r->now++, UINT32_MAX};
}

static void note_drop(const ag__heap *heap, const block *b) {
    rounds *r = heap->rounds;
    const uint32_t number = b->number - heap->first;
    if (!r || number >= r->count) return;
    if (r->place) {
        r->place[number].taken = false;
    } else {
        r->stay[number].to = r->now++;
        r->hash = ag__mix(r->hash, ~(uint64_t)number);
    }
}

/* The span of a round's places. */
static span *home_of(ag_tape *tape, rounds *r) {
    if (r->home) return r->home;
    for (span *s = tape->heap.spans; s && !r->home; s = s->next)
        if (is_vacant(s) && s->bytes == r->bytes + HEADER) r->home = s;
    if (r->home) return r->home;
    give_back(tape);
    tape->heap.next = 0;
    block *b = new_span(tape, r->bytes);
    return r->home = b ? b->span : NULL;
}

/* The free block at a known place; NULL: something else is there. */
static block *free_at(ag_tape *tape, const rounds *r, const place *p) {
    block *first = first_in(r->home), *b = first;
    if (p->left != NOBODY) {
        const place *left = &r->place[p->left];
        b = left->taken ? after((block *)((uintptr_t)first + (uintptr_t)left->at * AG__PLACE)) : NULL;
    }
    if (!b || !is_free(b)) return NULL;
    const size_t gap = (uintptr_t)first + (uintptr_t)p->at * AG__PLACE - (uintptr_t)b;
    if (b->bytes < gap + (size_t)p->units * AG__PLACE) return NULL;
    if (gap == 0) return b;
    unlink(&tape->heap, b);
    cut(tape, b, gap);
    link(tape, b);
    return after(b);
}

static ag__buffer *new_anywhere(ag_tape *tape, size_t all) {
    block *b = best(&tape->heap, all);
    if (!b) b = grow(tape, all);
    return b ? take(tape, b, all) : NULL;
}

/* The number of the next request for these units; NOBODY: it is not one of the next few, but one more. */
static uint32_t find_request(rounds *r, size_t units) {
    enum { FEW = 8 };
    for (uint32_t i = r->now; i < r->count && i - r->now < FEW; i++)
        if (r->place[i].units == units) {
            r->strayed = r->strayed || i != r->now;
            r->now = i + 1;
            return i;
        }
    r->strayed = true;
    return NOBODY;
}

/* The next block of a round that is known. */
static ag__buffer *new_known(ag_tape *tape, size_t bytes, size_t all) {
    rounds *r = tape->heap.rounds;
    const uint32_t number = find_request(r, all / AG__PLACE);
    if (number == NOBODY) return new_anywhere(tape, all);
    place *p = &r->place[number];
    if (p->at == AWAY) return ag__heap_new_apart(tape, bytes);
    block *b = home_of(tape, r) ? free_at(tape, r, p) : NULL;
    p->taken = b, r->strayed = r->strayed || !b;
    ag__buffer *y = b ? take(tape, b, all) : new_anywhere(tape, all);
    if (y) block_of(y)->number = tape->heap.first + number;
    return y;
}

ag__buffer *ag__heap_new(ag_tape *tape, size_t bytes) {
    const rounds *r = tape->heap.rounds;
    const size_t all = block_bytes(bytes);
    if (r && r->place && !tape->heap.aside) return new_known(tape, bytes, all);
    ag__buffer *y = new_anywhere(tape, all);
    if (y && r && r->noted && !tape->heap.aside) note(tape, block_of(y));
    return y;
}

size_t ag__heap_bytes(const ag__buffer *b) { return block_of(b)->bytes; }

void ag__heap_drop(ag_tape *tape, ag__buffer *buffer) {
    block *b = block_of(buffer), *behind = after(b), *ahead = before(b);
    tape->heap.used -= b->bytes;
    note_drop(&tape->heap, b);
    if (behind && is_free(behind)) {
        unlink(&tape->heap, behind);
        join(b);
    }
    if (ahead && is_free(ahead)) {
        unlink(&tape->heap, ahead);
        join(ahead);
        b = ahead;
    }
    link(tape, b);
}

void ag__heap_trim(ag_tape *tape) {
    size_t bytes = give_back(tape);
    tape->heap.next = bytes < tape->heap.usual ? bytes : tape->heap.usual;
}

static bool are_several_vacant(const ag__heap *heap) {
    int n = 0;
    for (const span *s = heap->spans; s && n < 2; s = s->next) n += is_vacant(s);
    return n > 1;
}

static size_t vacant_bytes(const ag__heap *heap) {
    size_t bytes = 0;
    for (const span *s = heap->spans; s; s = s->next) bytes += is_vacant(s) ? s->bytes : 0;
    return bytes;
}

/* A sixteenth more than was in use at once, for gaps between blocks. */
static size_t little_more(size_t used) { return ag__rounded(used + used / 16, HEADER); }

/* Spans of which a step has used little, as large initial values leave them, are replaced: once, for later a smaller
 * step may be between larger ones. */
static void shrink(ag_tape *tape, size_t used, size_t ample) {
    ag__heap *heap = &tape->heap;
    if (heap->shrunk || !used || vacant_bytes(heap) <= ample + LEAST_SPAN) return;
    heap->shrunk = true;
    give_back(tape);
    heap->next = heap->usual = little_more(used);
}

/* ---- The end of a round ---- */

/* The block before each one, when it is put there. */
static void find_left(rounds *r) {
    for (uint32_t i = 0; i < r->count; i++) {
        place *p = &r->place[i];
        p->left = NOBODY;
        if (p->at == AWAY) continue;
        for (uint32_t k = 0; k < i; k++) {
            const place *q = &r->place[k];
            if (q->at == AWAY || q->at >= p->at || r->stay[k].to < r->stay[i].from) continue;
            if (p->left == NOBODY || q->at > r->place[p->left].at) p->left = k;
        }
    }
}

/* Places for the blocks of a round as it was noted, of those that end in it. False: out of memory, or none do. */
static bool find_places(ag_tape *tape, rounds *r) {
    const size_t bytes = r->count * sizeof(uint32_t);
    uint32_t *at = ag__resize(tape, NULL, 0, bytes);
    r->place = at ? ag__resize(tape, NULL, 0, r->count * sizeof *r->place) : NULL;
    for (uint32_t i = 0; i < r->count && r->place; i++) {
        const bool ends = r->stay[i].to != UINT32_MAX;
        r->place[i] = (place){r->stay[i].units, ends ? 0 : AWAY, NOBODY, false};
        if (!ends) r->stay[i].units = 0;
    }
    const uint32_t units = r->place ? ag__place_all(tape, r->count, r->stay, at) : 0;
    for (uint32_t i = 0; i < r->count && units; i++)
        if (r->place[i].at != AWAY) r->place[i].at = at[i];
    if (at) ag__resize(tape, at, bytes, 0);
    r->bytes = (size_t)units * AG__PLACE;
    return units;
}

/* The round before was equal to this one: from now on blocks are put at places, if that takes less memory. */
static void know(ag_tape *tape) {
    enum { LESS = 64 };
    rounds *r = tape->heap.rounds;
    const bool good = find_places(tape, r) && r->bytes + r->bytes / LESS < vacant_bytes(&tape->heap);
    if (!good) {
        forget(tape);
        return;
    }
    find_left(r);
    ag__resize(tape, r->stay, r->room * sizeof *r->stay, 0);
    r->stay = NULL, r->room = 0, r->noted = false, r->vain = 0, r->now = 0;
    give_back(tape);
    tape->heap.next = 0, tape->heap.usual = r->bytes;
}

/* A few rounds may be others, as those of a test between a training's; if there are more, it is another loop. */
static void end_known_round(ag_tape *tape) {
    enum { MOST_OTHERS = 2 };
    rounds *r = tape->heap.rounds;
    r->vain = r->strayed || r->now < r->count ? r->vain + 1 : 0;
    r->strayed = false, r->now = 0;
    for (uint32_t i = 0; i < r->count; i++) r->place[i].taken = false;
    if (tape->heap.grew) give_back(tape), tape->heap.next = 0;
    if (r->vain <= MOST_OTHERS) return;
    forget(tape);
    note_from_now_on(tape);
}

/* Rounds of one hash are taken as equal, without a comparison: the places are those of the last one, and a block is put
 * at its place only if that is free. */
static void end_noted_round(ag_tape *tape) {
    enum { MOST_VAIN = 8 };
    rounds *r = tape->heap.rounds;
    if (r->hash == r->former) {
        know(tape);
    } else if (++r->vain > MOST_VAIN) {
        forget(tape);
    } else {
        r->former = r->hash;
        r->hash = 0, r->now = 0, r->count = 0;
    }
}

static void end_round(ag_tape *tape) {
    enum { LITTLE = 64 * 1024 }; /* of which there is less to gain than what notes take */
    rounds *r = tape->heap.rounds;
    if (!r || !(r->noted || r->place)) {
        if (tape->heap.held >= LITTLE && (!r || tape->heap.grew)) note_from_now_on(tape);
    } else if (r->noted ? r->count > 0 : r->now > 0 || r->strayed) {
        tape->heap.first += r->count;
        if (r->noted) end_noted_round(tape);
        else end_known_round(tape);
    }
}

static void adapt(ag_tape *tape) {
    ag__heap *heap = &tape->heap;
    const size_t used = heap->most - heap->used, little = little_more(used),
                 ample = ag__rounded(used + used / 8, HEADER);
    if (heap->grew && used && heap->usual < ample) {
        heap->usual = heap->usual < little ? little : ample;
        if (!best(heap, heap->usual) && are_several_vacant(heap) && give_back(tape) > 0) heap->next = heap->usual;
    }
    if (!heap->grew) shrink(tape, used, ample);
}

/* The next span has a sixteenth more than was in use at once; an eighth more if that was not enough before. */
void ag__heap_settle(ag_tape *tape) {
    ag__heap *heap = &tape->heap;
    if (!heap->rounds || !heap->rounds->place) adapt(tape);
    end_round(tape);
    heap->grew = false;
    heap->most = heap->used;
}

/* ---- Memory that outlasts the tape ----
 *
 * A span's users are the tape and, once that ends, the loans of its blocks. */

ag__span *ag__heap_span(const ag__buffer *b) { return block_of(b)->span; }

void ag__span_use(ag__span *s) { atomic_fetch_add(&s->users, 1); }

void ag__span_leave(ag__span *s, const ag_allocator *a) {
    if (atomic_fetch_sub(&s->users, 1) == 1) a->resize(a->ctx, s, s->bytes, 0);
}

void ag__heap_free(ag_tape *tape) {
    forget(tape);
    if (tape->heap.rounds) ag__resize(tape, tape->heap.rounds, sizeof(rounds), 0);
    tape->heap.rounds = NULL;
    for (span *s = tape->heap.spans, *next; s; s = next) {
        next = s->next;
        size_t bytes = s->bytes;
        bool is_lent = atomic_load(&s->users) > 1; /* then another thread may free it, once the tape has left */
        if (is_lent) ag__unpoison(tape, (char *)s + HEADER, bytes - HEADER);
        if (atomic_fetch_sub(&s->users, 1) == 1) ag__resize(tape, s, bytes, 0);
    }
}
