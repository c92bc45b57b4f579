/* placing -- places for blocks whose sizes and times are known
 *
 * Blocks are placed one after the other, each where it fits among those that are there already at some time of its own.
 * That takes little more than what is in use at once if the large ones and those that stay for long come first; which
 * of these orders is best depends on the program, so several are tried. In each, a block that ends at the top is then
 * placed earlier. */
#include "autograd/tape/placing.h"

#include <stdlib.h>
#include <string.h>

typedef struct placed { /* in a list by where they begin */
    uint32_t at, end, from, to, next;
} placed;

typedef struct turn { /* when a block is placed: the largest key first */
    uint64_t key;
    uint32_t block;
} turn;

typedef struct placing {
    uint32_t n;
    const ag__stay *stay;
    turn *turn;
    placed *list;       /* place of each turn; the first is number n's next */
    uint32_t *at, *try; /* of each block: the best so far, and the present ones */
} placing;

static int descending(const void *a, const void *b) {
    const turn *x = a, *y = b;
    if (x->key != y->key) return x->key > y->key ? -1 : 1;
    return x->block < y->block ? -1 : 1;
}

/* The smallest gap for s, or the first one, among those that are there at its time. Returns its beginning, and in
 * `before` the place after which it is listed. */
static uint32_t find_gap(const placing *p, const ag__stay *s, bool smallest, uint32_t *before) {
    uint32_t end = 0, found = UINT32_MAX, size = UINT32_MAX, last = p->n;
    for (uint32_t k = p->list[p->n].next; k != p->n; k = p->list[k].next) {
        const placed *q = &p->list[k];
        if (q->from >= s->to || s->from >= q->to) continue;
        if (q->at > end && q->at - end >= s->units && q->at - end < size) {
            found = end, size = q->at - end;
            if (!smallest) break;
        }
        if (q->end > end) end = q->end;
    }
    if (found == UINT32_MAX) found = end;
    for (; p->list[last].next != p->n && p->list[p->list[last].next].at < found;) last = p->list[last].next;
    *before = last;
    return found;
}

/* Place all in the order of turns; returns the units of all. */
static uint64_t place_in_turn(placing *p, bool smallest) {
    uint64_t top = 0;
    p->list[p->n].next = p->n;
    for (uint32_t k = 0; k < p->n; k++) {
        const uint32_t block = p->turn[k].block;
        const ag__stay *s = &p->stay[block];
        uint32_t before, at = find_gap(p, s, smallest, &before);
        if (at > UINT32_MAX - s->units) return UINT64_MAX;
        p->list[k] = (placed){at, at + s->units, s->from, s->to, p->list[before].next};
        p->list[before].next = k;
        p->try[block] = at;
        if (at + s->units > top) top = at + s->units;
    }
    return top;
}

/* Blocks that end at the top come first, in their present order. */
static void promote(placing *p, uint64_t top) {
    for (uint32_t k = 0; k < p->n; k++) {
        turn *t = &p->turn[k];
        const bool is_at_top = p->try[t->block] + (uint64_t)p->stay[t->block].units == top;
        t->key = (uint64_t)is_at_top << 32 | (p->n - k);
    }
    qsort(p->turn, p->n, sizeof *p->turn, descending);
}

static uint64_t key_of(const ag__stay *s, int order) {
    const uint64_t time = s->to - s->from;
    return order == 0 ? s->units : order == 1 ? s->units * time : order == 2 ? time : UINT32_MAX - s->from;
}

/* Try each order; of few blocks, each several times. */
static uint64_t try_all(placing *p) {
    enum { ORDERS = 4, MOST = 12, STEPS = 1 << 21 };
    const uint64_t times = STEPS / ((uint64_t)p->n * p->n + 1);
    uint64_t best = UINT64_MAX;
    for (int order = 0; order < ORDERS; order++) {
        for (uint32_t i = 0; i < p->n; i++) p->turn[i] = (turn){key_of(&p->stay[i], order), i};
        qsort(p->turn, p->n, sizeof *p->turn, descending);
        for (uint64_t k = 0; k == 0 || (k < times && k < MOST); k++) {
            const uint64_t top = place_in_turn(p, order > 0);
            if (top < best) best = top, memcpy(p->at, p->try, p->n * sizeof *p->at);
            promote(p, top);
        }
    }
    return best;
}

uint32_t ag__place_all(ag_tape *tape, uint32_t n, const ag__stay stay[], uint32_t at[]) {
    const size_t each = sizeof(turn) + sizeof(placed) + sizeof(uint32_t), bytes = ((size_t)n + 1) * each;
    char *memory = ag__resize(tape, NULL, 0, bytes);
    if (!memory) return 0;
    placing p = {.n = n, .stay = stay, .at = at, .turn = (turn *)(void *)memory};
    p.list = (placed *)(p.turn + n + 1);
    p.try = (uint32_t *)(p.list + n + 1);
    const uint64_t top = try_all(&p);
    ag__resize(tape, memory, bytes, 0);
    return top < UINT32_MAX ? (uint32_t)top : 0;
}
