/* chunk -- nodes of the tape that are planned together: numbered, and their structure written down */
#include "autograd/eval/chunk.h"
#include "autograd/tape/hash.h"

typedef struct numbering {
    ag__chunk *c;
    ag__structure *s;
    ag__list_maker maker;
    uint32_t *firsts; /* of each node: the number of its uses by nodes that have not run */
} numbering;

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

/* Number a layout that has no number yet: with that of an equal one or, written down, one of its own. */
static bool put_new_layout(numbering *n, const ag__layout *l, uint32_t **at) {
    ag__structure *s = n->s;
    if (!AG__ROOM(&n->maker, &s->layouts, 1)) return false;
    const ag__known_layout *list = s->layouts.at;
    uint32_t fresh = s->layouts.count, *first = &s->first_layout[l->hash % AG__STRUCTURE_BUCKETS], equal = *first;
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

static inline void put_op(const ag_tensor *t, uint32_t **at) {
    memcpy(*at, &t->op, sizeof t->op);
    *at += sizeof t->op / sizeof **at;
}

/* The index of a number among the chunk's distinct ones; AG__NUMBERS if it is new and there is no room. */
static inline uint32_t which_number(ag__structure *s, uint64_t bits) {
    uint32_t *first = &s->first_number[ag__mix(1, bits) >> 32 & (AG__STRUCTURE_BUCKETS - 1)], at = *first;
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
    memset(s->first_number, 0, sizeof s->first_number);
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

/* A tensor; with `whole`, operation and attributes too; whether it begins where its buffer does, and whether a backward
 * scan has recorded it. The first word says which others follow. */
static inline bool put_tensor(numbering *n, const ag_tensor *t, bool outside, bool whole, uint32_t **at) {
    bool backward = !outside && t->flags & AG__GRADIENT;
    *(*at)++ = t->dtype | (uint32_t)(t->offset != 0) << 8 | (uint32_t)outside << 9 | (uint32_t)whole << 10 |
               (uint32_t)backward << 11 | (uint32_t)t->arity << 16;
    if (whole) {
        put_op(t, at);
        put_attributes(n->s, t, at);
    }
    return put_layout(n, t->layout, at);
}

/* Room for the words of t and its inputs' indices; NULL if out of memory. */
static inline uint32_t *room_for(numbering *n, const ag_tensor *t, uint32_t inputs) {
    ag__numbers *words = &n->s->words;
    uint32_t most = MOST_FIXED + inputs + (t->attribute_bytes + 3u) / 4;
    return AG__ROOM(&n->maker, words, most) ? &words->at[words->count] : NULL;
}

static inline void end_words(const numbering *n, const uint32_t *at) {
    n->s->words.count = (uint32_t)(at - n->s->words.at);
}

/* Constants alone are written whole, of the tensors outside the chunk. */
static bool write_outside(numbering *n, const ag_tensor *t) {
    uint32_t *at = room_for(n, t, 0);
    if (!at || !put_tensor(n, t, true, t->op->flags & AG_OP_CONSTANT, &at)) return false;
    end_words(n, at);
    return true;
}

/* Random operations are written without their attributes. */
static bool write_node(numbering *n, const ag_tensor *t, const uint32_t *in) {
    bool drawn = ag__is_drawn(t);
    uint32_t *at = room_for(n, t, t->arity);
    if (!at || !put_tensor(n, t, false, !drawn, &at)) return false;
    if (drawn) put_op(t, &at);
    put_words(&at, in, t->arity);
    end_words(n, at);
    return true;
}

/* Two bits of each node: whether its value is wanted after the chunk. */
static bool write_wanted(numbering *n) {
    enum { EACH = 16 };
    const ag__chunk *c = n->c;
    ag__numbers *words = &n->s->words;
    if (!AG__ROOM(&n->maker, words, c->nodes / EACH + 1)) return false;
    uint32_t *at = &words->at[words->count], bits = 0;
    for (uint32_t i = 0; i < c->nodes; i++) {
        bits = bits << 2 | (uint32_t)c->node[i].must << 1 | c->node[i].kept;
        if (i % EACH == EACH - 1) *at++ = bits;
    }
    *at++ = bits;
    end_words(n, at);
    return true;
}

static bool begin_words(numbering *n, uint32_t edges) {
    ag__structure *s = n->s;
    s->words.count = s->layouts.count = s->distinct = 0;
    memset(s->first_layout, 0, sizeof s->first_layout);
    begin_numbers(s);
    AG__APPEND(&n->maker, &s->words, n->c->nodes);
    AG__APPEND(&n->maker, &s->words, edges);
    AG__APPEND(&n->maker, &s->words, n->c->final);
    return !n->maker.failed;
}

void ag__structure_free(ag_tape *tape, ag__structure *s) {
    ag__list_free(tape, &s->words.any);
    ag__list_free(tape, &s->layouts.any);
}

/* ---- Numbering ---- */

/* Whether the value is still wanted after the chunk, for other reasons than a gradient to come: `first` of its
 * readers there have not run before. */
static bool wanted_after(const ag_tensor *t, uint32_t live, uint32_t uses, uint32_t first, uint32_t last) {
    if (t->id >= last) return live > uses;
    return live > uses || t->readers > first || t->flags & (AG__KEEP | AG__COMPUTED) || ag__is_whole_fold(t);
}

/* A value that is no longer kept, because no gradient is expected, is planned as if it were: a sum must not change
 * its order after a few evaluations. */
static void find_wanted(numbering *n) {
    const ag__chunk *c = n->c;
    const uint32_t last = ag__goes_from(c->evaluation);
    for (uint32_t i = 0; i < c->nodes; i++) {
        const ag_tensor *t = c->table[i];
        bool wanted = wanted_after(t, ag__mark_of(c->evaluation, t)->live, c->node[i].uses, n->firsts[i], last),
             before = t->id < last;
        c->node[i].must = wanted || (before && ag__may_await_gradient(t));
        c->node[i].kept = wanted || (before && ag__awaits_gradient(t));
    }
}

/* The index of an input, in *to. */
static bool number_input(numbering *n, ag_tensor *t, uint32_t *to) {
    ag__chunk *c = n->c;
    ag__node_mark *mark = ag__mark_of(c->evaluation, t);
    *to = mark->index;
    if (*to < c->count && c->table[*to] == t) return true;
    *to = mark->index = c->count;
    c->table[c->count++] = t;
    return write_outside(n, t);
}

static bool number_inputs(numbering *n, uint32_t i) {
    ag__chunk *c = n->c;
    const ag_tensor *t = c->table[i];
    uint32_t *to = c->operand + c->node[i].first;
    c->node[i + 1].first = c->node[i].first + t->arity;
    for (int k = 0; k < t->arity; k++) {
        if (!number_input(n, t->input[k], &to[k])) return false;
        if (to[k] >= c->nodes) continue;
        c->node[to[k]].uses++;
        n->firsts[to[k]] += !(t->flags & AG__COMPUTED);
    }
    return write_node(n, t, to);
}

static bool number_nodes(numbering *n, uint32_t low) {
    ag__chunk *c = n->c;
    ag__node_mark *const mark = c->evaluation->mark;
    c->node[0].first = 0;
    for (uint32_t id = low, i = 0; i < c->nodes; id++) {
        if (!mark[id].needed) continue;
        c->table[i] = ag__node(c->tape, id);
        mark[id].index = i++;
    }
    for (uint32_t i = 0; i < c->nodes; i++)
        if (!number_inputs(n, i)) return false;
    find_wanted(n);
    return true;
}

static bool take_arrays(numbering *n, uint32_t edges) {
    ag__chunk *c = n->c;
    const size_t nodes = c->nodes;
    c->table = ag__scratch_array(&c->scratch, nodes + edges, sizeof *c->table);
    c->operand = ag__scratch_array(&c->scratch, edges, sizeof *c->operand);
    c->node = ag__scratch_array(&c->scratch, nodes + 1, sizeof *c->node);
    n->firsts = ag__scratch_array(&c->scratch, nodes, sizeof *n->firsts);
    if (!c->table || !c->operand || !c->node || !n->firsts) return false;
    memset(c->node, 0, (nodes + 1) * sizeof *c->node);
    memset(n->firsts, 0, nodes * sizeof *n->firsts);
    return true;
}

bool ag__chunk_take(const ag__evaluation *e, uint32_t low, const ag__amount *amount, ag__structure *s, ag__chunk *c) {
    *c = (ag__chunk){.evaluation = e, .tape = e->tape, .nodes = amount->nodes, .count = amount->nodes};
    c->scratch.tape = e->tape;
    c->final = e->when == AG__FINAL;
    c->exact = amount->work < (double)amount->nodes * AG__AT_FIRST_SIGHT;
    c->little = amount->work < (double)amount->nodes * AG__SEVERAL;
    numbering n = {.c = c, .s = s, .maker = {.tape = e->tape}};
    return s && take_arrays(&n, amount->edges) && begin_words(&n, amount->edges) && number_nodes(&n, low) &&
           write_wanted(&n);
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
