/* chunk -- nodes of the tape that are planned together: numbered, and their structure written down */
#include "autograd/eval/chunk.h"
#include "autograd/tape/hash.h"

typedef struct numbering {
    ag__chunk *c;
    ag__structure *s;
    ag__list_maker maker;
} numbering;

/* ---- The structure, in words ----
 *
 * Room is made for a tensor at a time; `at` is where its next word goes. */

enum { MOST_FIXED = 12 + 4 * AG_MAX_RANK }; /* words of a tensor, besides its attributes */

static void put_bytes(uint32_t **at, const void *from, size_t bytes) {
    size_t words = (bytes + 3) / 4;
    if (words == 0) return;
    (*at)[words - 1] = 0;
    memcpy(*at, from, bytes);
    *at += words;
}

static inline uint32_t *first_layout(ag__structure *s, const ag__layout *l) {
    return &s->first_layout[l->hash % AG__STRUCTURE_BUCKETS];
}

/* Number a layout that has no number yet: with that of an equal one or, written down, one of its own. */
static bool put_new_layout(numbering *n, const ag__layout *l, uint32_t **at) {
    ag__structure *s = n->s;
    if (!AG__ROOM(&n->maker, &s->layouts, 1)) return false;
    const ag__known_layout *list = s->layouts.at;
    uint32_t fresh = s->layouts.count, *first = first_layout(s, l), equal = *first;
    while (equal && !ag__layouts_same(list[equal - 1].layout, l)) equal = list[equal - 1].next;
    ag__known_layout known = {l, equal ? list[equal - 1].number : s->distinct++, *first};
    s->layouts.at[s->layouts.count++] = known;
    *first = fresh + 1;
    ((ag__layout *)(uintptr_t)l)->number = fresh;
    *(*at)++ = known.number;
    if (equal) return true;
    *(*at)++ = (uint32_t)l->rank;
    put_bytes(at, l->extent, 2 * (size_t)l->rank * sizeof(int64_t));
    return true;
}

/* False if out of memory. */
static inline bool put_layout(numbering *n, const ag__layout *l, uint32_t **at) {
    const ag__known_layout *known = n->s->layouts.at;
    if (l->number >= n->s->layouts.count || known[l->number].layout != l) return put_new_layout(n, l, at);
    *(*at)++ = known[l->number].number;
    return true;
}

static inline uint32_t *first_number(ag__structure *s, uint64_t bits) {
    return &s->first_number[ag__mix(1, bits) >> 32 & (AG__STRUCTURE_BUCKETS - 1)];
}

/* The index of a number among the chunk's distinct ones; AG__NUMBERS if it is new and there is no room. */
static inline uint32_t which_number(ag__structure *s, uint64_t bits) {
    uint32_t *first = first_number(s, bits), at = *first;
    while (at && s->number[at - 1].bits != bits) at = s->number[at - 1].next;
    if (at) return at - 1;
    if (s->numbers == AG__NUMBERS) return AG__NUMBERS;
    s->number[s->numbers] = (ag__known_number){bits, *first};
    *first = s->numbers + 1;
    return s->numbers++;
}

/* Numbers without room are written out, and so are equal ones. */
static inline void put_number(ag__structure *s, uint64_t bits, uint32_t **at) {
    uint32_t which = which_number(s, bits);
    *(*at)++ = which;
    if (which == AG__NUMBERS) memcpy(*at, &bits, sizeof bits), *at += 2;
}

static inline uint64_t bits_of(const void *number) {
    uint64_t bits;
    memcpy(&bits, number, sizeof bits);
    return bits;
}

/* The identity elements of most operations: each chunk's numbers begin with them, so that they need not be put. */
static const double usual_identity[] = {0, -0.0, 1};

static void begin_numbers(ag__structure *s) {
    s->numbers = 0;
    for (size_t i = 0; i < sizeof usual_identity / sizeof *usual_identity; i++)
        which_number(s, bits_of(&usual_identity[i]));
}

static inline bool is_usual(uint64_t bits) {
    return bits == bits_of(&usual_identity[0]) || bits == bits_of(&usual_identity[1]) ||
           bits == bits_of(&usual_identity[2]);
}

/* Planning compares the numbers of elementwise operations and constants with each other and with identity elements,
 * so these are put among the numbers too. */
static inline void put_attributes(ag__structure *s, const ag_tensor *t, uint32_t **at) {
    bool elementwise = t->op->kind == AG_KIND_ELEMENTWISE, has_identity = t->op->flags & AG_OP_NEUTRAL;
    *(*at)++ = t->attribute_bytes;
    if (has_identity && !is_usual(bits_of(&t->op->neutral))) put_number(s, bits_of(&t->op->neutral), at);
    if (t->attribute_bytes == sizeof(double) && (elementwise || t->op->flags & AG_OP_CONSTANT))
        put_number(s, bits_of(ag__attributes(t)), at);
    else put_bytes(at, ag__attributes(t), t->attribute_bytes);
}

_Static_assert((int)AG_DTYPES <= 4 && AG__GRADIENT > 16, "the parts of a tensor's first word lie apart");

/* A tensor. Of those outside the chunk, constants alone are written whole, with operation and attributes; random nodes
 * are written without their attributes. And whether it begins where its buffer does, and whether a backward scan has
 * recorded it. The first word says which others follow. False if out of memory. */
AG__NEVER_INLINE static bool write_tensor(numbering *n, const ag_tensor *t, bool outside) {
    ag__numbers *words = &n->s->words;
    const ag_op *op = t->op;
    const uint32_t most = MOST_FIXED + (t->attribute_bytes + 3u) / 4;
    const bool whole = outside ? op->flags & AG_OP_CONSTANT : !ag__is_drawn(t);
    if (words->any.room - words->count < most && !AG__ROOM(&n->maker, words, most)) return false;
    uint32_t *at = &words->at[words->count];
    const uint32_t backward = outside ? 0 : t->flags & AG__GRADIENT;
    *at++ = t->dtype | (uint32_t)(t->offset != 0) << 2 | (uint32_t)outside << 3 | (uint32_t)whole << 4 | backward |
            (uint32_t)t->arity << 16;
    if (whole || !outside) {
        memcpy(at, &op, sizeof op);
        at += sizeof op / sizeof *at;
    }
    if (whole) put_attributes(n->s, t, &at);
    if (!put_layout(n, t->layout, &at)) return false;
    words->count = (uint32_t)(at - words->at);
    return true;
}

static bool begin_words(numbering *n, uint32_t edges) {
    enum { FIRST = 3 };
    ag__structure *s = n->s;
    s->words.count = s->layouts.count = s->distinct = 0;
    begin_numbers(s);
    const uint32_t first[] = {n->c->nodes, edges, n->c->final};
    if (!AG__ROOM(&n->maker, &s->words, FIRST)) return false;
    memcpy(s->words.at, first, sizeof first);
    s->words.count = FIRST;
    return true;
}

void ag__structure_free(ag_tape *tape, ag__structure *s) {
    ag__list_free(tape, &s->words.any);
    ag__list_free(tape, &s->layouts.any);
}

/* ---- Numbering ---- */

/* Whether the value is still wanted after the chunk, for other reasons than a gradient to come. */
static bool wanted_after(const ag_tensor *t, uint32_t live, const ag__node_use *use, uint32_t last) {
    if (live > use->uses) return true;
    return t->id < last && (t->readers > use->firsts || t->flags & (AG__KEEP | AG__COMPUTED) || ag__is_whole_fold(t));
}

/* Write the indices of inputs down, and two bits of each node: whether its value is wanted after the chunk. A value
 * that is no longer kept, because no gradient is expected, is planned as if it were: a sum must not change its order
 * after a few evaluations. */
static bool end_words(numbering *n, uint32_t edges) {
    enum { EACH = 16 };
    const ag__chunk *c = n->c;
    const uint32_t nodes = c->nodes, last = ag__goes_from(c->evaluation);
    ag__numbers *words = &n->s->words;
    if (!AG__ROOM(&n->maker, words, edges + nodes / EACH + 1)) return false;
    uint32_t *at = &words->at[words->count], bits = 0;
    if (edges) memcpy(at, c->operand, edges * sizeof *at);
    at += edges;
    for (uint32_t i = 0; i < nodes; i++) {
        const ag_tensor *t = c->table[i];
        ag__node_use *use = &c->node[i];
        const bool wanted = wanted_after(t, ag__mark_of(c->evaluation, t)->live, use, last),
                   may = !wanted && t->id < last && ag__may_await_gradient(t);
        use->must = wanted || may;
        use->kept = wanted || (may && c->tape->in_vain < 2);
        bits = bits << 2 | (uint32_t)use->must << 1 | use->kept;
        if (i % EACH == EACH - 1) *at++ = bits;
    }
    *at++ = bits;
    words->count = (uint32_t)(at - words->at);
    return true;
}

/* The next index, of an input that has none. */
static bool number_outside(numbering *n, ag_tensor *t) {
    ag__chunk *c = n->c;
    ag__mark_of(c->evaluation, t)->index = c->count;
    c->table[c->count++] = t;
    return write_tensor(n, t, true);
}

/* Node number i, whose inputs' indices begin at `to`; returns their end, or NULL if out of memory. */
static inline uint32_t *number_inputs(numbering *n, uint32_t i, uint32_t *to) {
    ag__chunk *c = n->c;
    ag_tensor *const *const table = c->table;
    const ag__node_mark *const mark = c->evaluation->mark;
    const uint32_t nodes = c->nodes;
    const ag_tensor *t = table[i];
    const uint32_t first = !(t->flags & AG__COMPUTED);
    for (ag_tensor *const *x = t->input, *const *end = x + t->arity; x < end; x++, to++) {
        const uint32_t at = *to = mark[(*x)->id].index;
        if (at < nodes && table[at] == *x) {
            c->node[at].uses++;
            c->node[at].firsts += first;
        } else if (at >= c->count || table[at] != *x) {
            *to = c->count;
            if (!number_outside(n, *x)) return NULL;
        }
    }
    return write_tensor(n, t, false) ? to : NULL;
}

static bool number_nodes(numbering *n, uint32_t low) {
    ag__chunk *c = n->c;
    ag__node_mark *const mark = c->evaluation->mark;
    uint32_t *to = c->operand;
    for (uint32_t id = low, i = 0; i < c->nodes; id++) {
        if (!mark[id].needed) continue;
        c->table[i] = ag__node(c->tape, id);
        mark[id].index = i++;
    }
    for (uint32_t i = 0; i < c->nodes; i++) {
        c->node[i].first = (uint32_t)(to - c->operand);
        if (!(to = number_inputs(n, i, to))) return false;
    }
    return end_words(n, c->node[c->nodes].first = (uint32_t)(to - c->operand));
}

static bool take_arrays(ag__chunk *c, uint32_t edges) {
    const size_t tensors = ag__plus(ag__times(edges, sizeof *c->table), c->nodes * sizeof *c->table),
                 nodes = (c->nodes + (size_t)1) * sizeof *c->node;
    char *all =
        ag__scratch_array(&c->scratch, 1, ag__plus(tensors, ag__plus(ag__times(edges, sizeof *c->operand), nodes)));
    if (!all) return false;
    c->table = (void *)all;
    c->node = memset(all + tensors, 0, nodes);
    c->operand = (void *)(all + tensors + nodes);
    return true;
}

/* No bucket has an entry any more: there are fewer entries than buckets, mostly. */
static void clear_buckets(ag__structure *s) {
    for (uint32_t i = 0; i < s->layouts.count; i++) *first_layout(s, s->layouts.at[i].layout) = 0;
    for (uint32_t i = 0; i < s->numbers; i++) *first_number(s, s->number[i].bits) = 0;
}

bool ag__chunk_take(const ag__evaluation *e, uint32_t low, const ag__amount *amount, ag__structure *s, ag__chunk *c) {
    *c = (ag__chunk){.evaluation = e, .tape = e->tape, .nodes = amount->nodes, .count = amount->nodes};
    c->scratch.tape = e->tape;
    c->final = e->when == AG__FINAL;
    c->exact = amount->work < (double)amount->nodes * AG__AT_FIRST_SIGHT;
    c->little = amount->work < (double)amount->nodes * AG__SEVERAL;
    numbering n = {.c = c, .s = s, .maker = {.tape = e->tape}};
    if (!s || !take_arrays(c, amount->edges)) return false;
    const bool good = begin_words(&n, amount->edges) && number_nodes(&n, low);
    clear_buckets(s);
    return good;
}

void ag__chunk_drop(ag__chunk *c) { ag__scratch_drop(&c->scratch); }

uint32_t ag__chunk_measure(const ag__evaluation *e, uint32_t low, uint32_t high, ag__amount *amount) {
    *amount = (ag__amount){0};
    uint32_t id = low;
    for (; id < high && amount->nodes < AG__CHUNK; id++) {
        if (!e->mark[id].needed) continue;
        const ag_tensor *t = ag__node(e->tape, id);
        amount->nodes++;
        amount->edges += t->arity;
        amount->work += ag__work_of(t);
    }
    return id;
}
