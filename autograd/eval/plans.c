/* plans -- chunks of the tape, and the plans that were made for them
 *
 * The nodes that an evaluation needs are taken in chunks. What a plan depends on is written down as a list of words, the
 * chunk's structure: operations, layouts, dtypes, attributes, wiring, and which values are wanted afterwards. A plan that was
 * made for the same structure serves again: its hash is only where to look, the words are compared. Of numbers it says which
 * are equal, and no more: a learning rate that decays is another one at each step, and a plan's programs read it anew.
 *
 * Planning costs as much as some ten evaluations of small tensors. So what is tiny is never planned, and what is small
 * only when its structure comes again; until then the reference evaluator runs it, whose results are the same bits: a
 * plan of small tensors does nothing in another order (`exact`). The plans that are kept have a bounded number of bytes.
 * Those that serve regularly are not driven out by more structures than there is room for. */
#include "autograd/eval/compile.h"
#include "autograd/eval/plan.h"
#include "autograd/tape/hash.h"

enum {
    BUCKETS = 256,
    OFTEN = 3,      /* visits, from which a structure is expected to come again */
    NO_ROOM = 255,  /* instead of them: its plan had no room */
    PATIENCE = 256, /* chunks after which a plan that never served again may go */
    MARGIN = 16
};

typedef struct numbered { /* a layout; equal ones have one number */
    const ag__layout *layout;
    uint32_t number, next; /* next: of the same bucket, plus 1; 0: none */
} numbered;

typedef struct distinct_number { /* that operations of the chunk were given; as bits, for 0 and −0 differ */
    uint64_t bits;
    uint32_t next; /* of the same bucket, plus 1; 0: none */
} distinct_number;

struct ag__plans {
    ag__plan *bucket[BUCKETS];
    size_t bytes;                   /* of the plans in the buckets */
    uint64_t clock;                 /* chunks so far */
    ag__list words;                 /* the present chunk's structure, */
    ag__list layouts;               /* its layouts, */
    uint32_t distinct;              /* how many different ones, */
    uint32_t first_layout[BUCKETS]; /* and the latest of each hash, plus 1 */
    uint32_t numbers;               /* its distinct numbers, */
    distinct_number number[AG__NUMBERS];
    uint32_t first_number[BUCKETS]; /* and the latest of each hash, plus 1 */
    uint64_t seen[AG__SEEN];        /* a hash, but for its last byte: how often it came */
};

static struct ag__plans *plans_of(ag_tape *tape) {
    struct ag__plans *all = tape->plans;
    if (all || !(all = ag__resize(tape, NULL, 0, sizeof *all))) return all;
    memset(all, 0, sizeof *all);
    return tape->plans = all;
}

/* ---- The structure, in words ----
 *
 * Room is made for a tensor at a time; `at` is where its next word goes. */

enum { MOST_FIXED = 12 + 4 * AG_MAX_RANK }; /* words of a tensor, besides its attributes and inputs */

static inline void put_words(uint32_t **at, const uint32_t *from, size_t n) {
    for (size_t i = 0; i < n; i++) (*at)[i] = from[i]; /* mostly one or two */
    *at += n;
}

static void put_bytes(uint32_t **at, const void *from, size_t bytes) {
    size_t words = (bytes + 3) / 4;
    if (words == 0) return;
    (*at)[words - 1] = 0;
    memcpy(*at, from, bytes);
    *at += words;
}

/* A layout that has no number yet gets that of an equal one; else one of its own, and is written down. */
static bool put_new_layout(const ag__chunk_nodes *c, const ag__layout *l, uint32_t **at) {
    struct ag__plans *all = c->tape->plans;
    if (!ag__list_grow(c->tape, &all->layouts, sizeof(numbered), 1)) return false;
    numbered *list = all->layouts.data;
    uint32_t fresh = all->layouts.count++, *first = &all->first_layout[l->hash % BUCKETS], equal = *first;
    while (equal && !ag__layouts_same(list[equal - 1].layout, l)) equal = list[equal - 1].next;
    list[fresh] = (numbered){l, equal ? list[equal - 1].number : all->distinct++, *first};
    *first = fresh + 1;
    ((ag__layout *)(uintptr_t)l)->number = fresh;
    *(*at)++ = list[fresh].number;
    if (equal) return true;
    *(*at)++ = (uint32_t)l->rank;
    put_bytes(at, l->extent, 2 * (size_t)l->rank * sizeof(int64_t));
    return true;
}

static inline void put_op(const ag_tensor *t, uint32_t **at) {
    memcpy(*at, &t->op, sizeof t->op);
    *at += sizeof t->op / sizeof **at;
}

/* Which of the chunk's distinct numbers this one is; AG__NUMBERS if it is another, and there is no room for more. */
static inline uint32_t which_number(struct ag__plans *all, uint64_t bits) {
    uint32_t *first = &all->first_number[ag__mix(1, bits) >> 32 & (BUCKETS - 1)], at = *first;
    while (at && all->number[at - 1].bits != bits) at = all->number[at - 1].next;
    if (at) return at - 1;
    if (all->numbers == AG__NUMBERS) return AG__NUMBERS;
    all->number[all->numbers] = (distinct_number){bits, *first};
    *first = all->numbers + 1;
    return all->numbers++;
}

/* Numbers for which there is no room are written out: what is equal to them is then written out as well. */
static inline void put_number(struct ag__plans *all, uint64_t bits, uint32_t **at) {
    uint32_t which = which_number(all, bits);
    *(*at)++ = which;
    if (which == AG__NUMBERS) memcpy(*at, &bits, sizeof bits), *at += 2;
}

static inline uint64_t bits_of(const void *number) {
    uint64_t bits;
    memcpy(&bits, number, sizeof bits);
    return bits;
}

/* Each chunk begins with the numbers that are neutral to most operations, so that these need not be put: see below. */
static const double usual_neutral[] = {0, -0.0, 1};

static void begin_numbers(struct ag__plans *all) {
    all->numbers = 0;
    memset(all->first_number, 0, sizeof all->first_number);
    for (size_t i = 0; i < sizeof usual_neutral / sizeof *usual_neutral; i++)
        which_number(all, bits_of(&usual_neutral[i]));
}

static inline bool is_usual(uint64_t bits) {
    return bits == bits_of(&usual_neutral[0]) || bits == bits_of(&usual_neutral[1]) ||
           bits == bits_of(&usual_neutral[2]);
}

/* What planning asks of an elementwise operation's number, or of a constant, is whether another is equal to it, and whether
 * it is neutral to an operation: so what is neutral is put among the numbers too. */
static inline void put_attributes(struct ag__plans *all, const ag_tensor *t, uint32_t **at) {
    bool elementwise = t->op->kind == AG_KIND_ELEMENTWISE, neutral = t->op->flags & AG_OP_NEUTRAL;
    *(*at)++ = t->attribute_bytes;
    if (neutral && !is_usual(bits_of(&t->op->neutral))) put_number(all, bits_of(&t->op->neutral), at);
    if (t->attribute_bytes == sizeof(double) && (elementwise || t->op->flags & AG_OP_CONSTANT))
        put_number(all, bits_of(ag__attributes(t)), at);
    else put_bytes(at, ag__attributes(t), t->attribute_bytes);
}

/* False for want of memory. */
static inline bool put_layout(const ag__chunk_nodes *c, const ag__layout *l, uint32_t **at) {
    const ag__list *list = &c->tape->plans->layouts;
    const numbered *known = list->data;
    if (l->number >= list->count || known[l->number].layout != l) return put_new_layout(c, l, at);
    *(*at)++ = known[l->number].number;
    return true;
}

/* Of a whole one also operation and attributes; of each, whether it begins where its buffer does. What follows can be
 * told from the first word. */
static inline bool put_tensor(const ag__chunk_nodes *c, const ag_tensor *t, bool outside, bool whole, uint32_t **at) {
    *(*at)++ = t->dtype | (uint32_t)(t->offset != 0) << 8 | (uint32_t)outside << 9 | (uint32_t)whole << 10 |
               (uint32_t)t->arity << 16;
    if (whole) {
        put_op(t, at);
        put_attributes(c->tape->plans, t, at);
    }
    return put_layout(c, t->layout, at);
}

/* Where the words of t go, and as many as its inputs' numbers; NULL for want of memory. */
static inline uint32_t *room_for(const ag__chunk_nodes *c, const ag_tensor *t, uint32_t inputs) {
    ag__list *words = &c->tape->plans->words;
    uint32_t most = MOST_FIXED + inputs + (t->attribute_bytes + 3u) / 4;
    if (words->room - words->count < most && !ag__list_grow(c->tape, words, sizeof(uint32_t), most)) return NULL;
    return (uint32_t *)words->data + words->count;
}

static void end_words(const ag__chunk_nodes *c, const uint32_t *at) {
    ag__list *words = &c->tape->plans->words;
    words->count = (uint32_t)(at - (uint32_t *)words->data);
}

/* Of what is outside, only constants matter. */
static bool write_outside(const ag__chunk_nodes *c, const ag_tensor *t) {
    uint32_t *at = room_for(c, t, 0);
    if (!at || !put_tensor(c, t, true, t->op->flags & AG_OP_CONSTANT, &at)) return false;
    end_words(c, at);
    return true;
}

/* Of what is drawn, the operation without its attributes. */
static bool write_node(const ag__chunk_nodes *c, const ag_tensor *t, const uint32_t *in) {
    bool drawn = ag__is_drawn(t);
    uint32_t *at = room_for(c, t, t->arity);
    if (!at || !put_tensor(c, t, false, !drawn, &at)) return false;
    if (drawn) put_op(t, &at);
    put_words(&at, in, t->arity);
    end_words(c, at);
    return true;
}

static bool write_bits(const ag__chunk_nodes *c, const bool *bit) {
    ag__list *words = &c->tape->plans->words;
    if (!ag__list_grow(c->tape, words, sizeof(uint32_t), c->nodes / 32 + 1)) return false;
    uint32_t *at = (uint32_t *)words->data + words->count, bits = 0;
    for (uint32_t i = 0; i < c->nodes; i++) {
        bits = bits << 1 | bit[i];
        if (i % 32 == 31) *at++ = bits;
    }
    *at++ = bits;
    end_words(c, at);
    return true;
}

/* ---- Numbering ---- */

/* Whether the value is still wanted when all nodes of the chunk have run, but for a gradient: `first` of its readers there
 * had never run. */
static bool wanted_after(const ag_tensor *t, uint32_t uses, uint32_t first, uint32_t last) {
    if (t->id >= last) return t->live > uses;
    return t->live > uses || t->readers > first || t->flags & (AG__KEEP | AG__COMPUTED) || ag__is_whole_fold(t);
}

/* A value that is not kept any more, since its gradient never comes, is planned as one that is: a sum must not take
 * another order only because it has been computed a few times. */
static void find_wanted(ag__chunk_nodes *c, const uint32_t *firsts) {
    const uint32_t last = ag__goes_from(c->evaluation);
    for (uint32_t i = 0; i < c->nodes; i++) {
        const ag_tensor *t = c->table[i];
        bool wanted = wanted_after(t, c->uses[i], firsts[i], last), before = t->id < last;
        c->must[i] = wanted || (before && ag__may_await_gradient(t));
        c->kept[i] = wanted || (before && ag__awaits_gradient(t));
    }
}

/* The number of an input, in *to. */
static bool number_input(ag__chunk_nodes *c, ag_tensor *t, uint32_t *to) {
    *to = t->index;
    if (t->index < c->places && c->table[t->index] == t) return true;
    *to = t->index = c->places;
    c->table[c->places++] = t;
    return write_outside(c, t);
}

static bool number_inputs(ag__chunk_nodes *c, uint32_t i, uint32_t *firsts) {
    const ag_tensor *t = c->table[i];
    uint32_t *to = c->operand + c->first[i];
    c->first[i + 1] = c->first[i] + t->arity;
    for (int k = 0; k < t->arity; k++) {
        if (!number_input(c, t->input[k], &to[k])) return false;
        if (to[k] >= c->nodes) continue;
        c->uses[to[k]]++;
        firsts[to[k]] += !(t->flags & AG__COMPUTED);
    }
    return write_node(c, t, to);
}

static bool number(ag__chunk_nodes *c, uint32_t edges, uint32_t *firsts) {
    struct ag__plans *all = plans_of(c->tape);
    if (!all) return false;
    all->words.count = all->layouts.count = all->distinct = 0;
    memset(all->first_layout, 0, sizeof all->first_layout);
    begin_numbers(all);
    const uint32_t head[] = {c->nodes, edges};
    if (!ag__list_grow(c->tape, &all->words, sizeof(uint32_t), 2)) return false;
    memcpy(all->words.data, head, sizeof head);
    all->words.count = 2;
    c->first[0] = 0;
    for (uint32_t i = 0; i < c->nodes; i++)
        if (!number_inputs(c, i, firsts)) return false;
    find_wanted(c, firsts);
    return write_bits(c, c->must) && write_bits(c, c->kept);
}

bool ag__chunk_take(const ag__evaluation *e, uint32_t low, const ag__amount *amount, ag__chunk_nodes *c) {
    ag_tape *tape = e->tape;
    uint32_t nodes = amount->nodes, edges = amount->edges;
    size_t places = (size_t)nodes + edges, words = (size_t)nodes * 3 + 1 + edges;
    *c = (ag__chunk_nodes){.evaluation = e, .tape = tape, .nodes = nodes, .places = nodes};
    c->memory = ag__buffer_new(tape, places * sizeof(ag_tensor *) + words * sizeof(uint32_t) + 2 * (size_t)nodes);
    if (!c->memory) return false;
    c->exact = amount->work < (double)nodes * AG__AT_FIRST_SIGHT;
    c->table = c->memory->data;
    c->first = (uint32_t *)(c->table + places);
    c->operand = c->first + nodes + 1;
    c->uses = c->operand + edges;
    uint32_t *firsts = c->uses + nodes;
    c->must = (bool *)(firsts + nodes);
    c->kept = c->must + nodes;
    memset(c->uses, 0, 2 * (size_t)nodes * sizeof *c->uses);
    for (uint32_t id = low, i = 0; i < nodes; id++) {
        ag_tensor *t = ag__node(tape, id);
        if (t->flags & AG__NEEDED) c->table[t->index = i++] = t;
    }
    return number(c, edges, firsts);
}

void ag__chunk_drop(ag__chunk_nodes *c) {
    ag__buffer_drop(c->tape, c->memory);
    c->memory = NULL;
}

/* ---- Plans that were made ---- */

static void forget(ag_tape *tape, ag__plan *p) {
    ag__plan_clear(tape, p);
    ag__resize(tape, p, sizeof *p, 0);
}

static bool is_of(const ag__plan *p, const struct ag__plans *all, uint64_t hash) {
    return p->hash == hash && p->structure.count == all->words.count &&
           memcmp(p->structure.data, all->words.data, all->words.count * sizeof(uint32_t)) == 0;
}

static const uint64_t VISITS = UINT8_MAX;

static uint64_t *seen_at(struct ag__plans *all, uint64_t hash) { return &all->seen[(hash >> 8) % AG__SEEN]; }

/* Where the pointer to the plan of this structure is, or is to be put. */
static ag__plan **find(struct ag__plans *all, uint64_t hash) {
    ag__plan **p = &all->bucket[hash % BUCKETS];
    while (*p && !is_of(*p, all, hash)) p = &(*p)->next;
    return p;
}

/* How often a chunk of this hash has come, this time included: at most OFTEN, and less if others have come between. When
 * its plan had no room, that begins again after some time. */
static unsigned times_seen(struct ag__plans *all, uint64_t hash) {
    uint64_t *seen = seen_at(all, hash);
    if ((*seen ^ hash) & ~VISITS) *seen = hash & ~VISITS;
    uint64_t count = *seen & VISITS;
    if (count < OFTEN) return (unsigned)(++*seen & VISITS);
    if (count > OFTEN && (--*seen & VISITS) == OFTEN) *seen &= ~VISITS;
    return count > OFTEN ? 1 : OFTEN;
}

static ag__plan *make(const ag__chunk_nodes *c, bool whole) {
    ag__plan *p = ag__resize(c->tape, NULL, 0, sizeof *p);
    if (!p) return NULL;
    *p = (ag__plan){.used = 0};
    if (ag__plan_make(p, c, whole)) return p;
    ag__resize(c->tape, p, sizeof *p, 0);
    return NULL;
}

/* Whether the plan has waited for longer than it did before, twice over. */
static bool is_stale(const ag__plan *p, uint64_t now) {
    uint64_t usual = p->uses > 1 ? 2 * p->interval + MARGIN : PATIENCE;
    return now - p->used > usual;
}

static ag__plan **longest_unused(struct ag__plans *all) {
    ag__plan **oldest = NULL;
    for (int i = 0; i < BUCKETS; i++)
        for (ag__plan **p = &all->bucket[i]; *p; p = &(*p)->next)
            if (is_stale(*p, all->clock) && (!oldest || (*p)->used < (*oldest)->used)) oldest = p;
    return oldest;
}

/* Make room for so many bytes by forgetting what is stale; false if that is not enough. */
static bool make_room(ag_tape *tape, size_t bytes) {
    struct ag__plans *all = tape->plans;
    while (all->bytes + bytes > AG__PLAN_BYTES) {
        ag__plan **at = bytes > AG__PLAN_BYTES ? NULL : longest_unused(all), *p;
        if (!at) return false;
        p = *at;
        *at = p->next;
        all->bytes -= p->bytes;
        forget(tape, p);
    }
    return true;
}

/* Keep the plan together with its structure, if there is room. */
static void keep(ag_tape *tape, ag__plan *p, uint64_t hash) {
    struct ag__plans *all = tape->plans;
    size_t bytes = all->words.count * sizeof(uint32_t);
    p->bytes = ag__plan_trim(tape, p) + sizeof *p + bytes;
    if (!make_room(tape, p->bytes)) return;
    if (!ag__list_grow(tape, &p->structure, sizeof(uint32_t), all->words.count)) return;
    memcpy(p->structure.data, all->words.data, bytes);
    p->structure.count = all->words.count;
    ag__plan **at = &all->bucket[hash % BUCKETS];
    p->hash = hash;
    p->next = *at;
    p->kept = true;
    all->bytes += p->bytes;
    *at = p;
}

static void take_out(struct ag__plans *all, ag__plan **at) {
    ag__plan *p = *at;
    *at = p->next;
    all->bytes -= p->bytes;
    p->kept = false;
}

/* Planned once more, with machine code wherever that can be. */
static ag__plan *made_whole(const ag__chunk_nodes *c, ag__plan **at) {
    ag__plan *old = *at, *p = make(c, c->tape->compile);
    if (!p) return old;
    p->uses = old->uses, p->interval = old->interval, p->used = old->used;
    uint64_t hash = old->hash;
    take_out(c->tape->plans, at);
    forget(c->tape, old);
    keep(c->tape, p, hash);
    return p;
}

ag__plan *ag__plan_for(const ag__chunk_nodes *c) {
    ag_tape *tape = c->tape;
    struct ag__plans *all = tape->plans;
    uint64_t hash = ag__hash_words(all->words.data, all->words.count);
    ag__plan **at = find(all, hash), *p = *at;
    all->clock++;
    if (!p) {
        unsigned seen = c->exact && tape->evaluator == AG_EVALUATOR_AUTOMATIC ? times_seen(all, hash) : 0;
        if (seen > 0 && seen < OFTEN) return NULL;
        if (!(p = make(c, tape->compile && seen == OFTEN))) return NULL;
        p->used = all->clock;
        keep(tape, p, hash);
        if (seen && !p->kept) *seen_at(all, hash) |= NO_ROOM;
    } else if (p->uses + 1 >= OFTEN && tape->compile != p->whole) {
        p = made_whole(c, at);
    }
    p->interval = all->clock - p->used;
    p->used = all->clock;
    if (p->uses < UINT32_MAX) p->uses++;
    return p;
}

void ag__plan_done(ag_tape *tape, ag__plan *p) {
    if (!p->kept) forget(tape, p);
}

void ag__plans_free(ag_tape *tape) {
    struct ag__plans *all = tape->plans;
    if (!all) return;
    for (int i = 0; i < BUCKETS; i++)
        for (ag__plan *p = all->bucket[i], *next; p; p = next) {
            next = p->next;
            forget(tape, p);
        }
    ag__list_free(tape, &all->words, sizeof(uint32_t));
    ag__list_free(tape, &all->layouts, sizeof(numbered));
    ag__resize(tape, all, sizeof *all, 0);
    tape->plans = NULL;
}
