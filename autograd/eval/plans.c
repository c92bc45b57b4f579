/* plans -- plans that are found again
 *
 * A plan made for the same structure is reused: the structure's hash only finds candidates, and its words are compared.
 *
 * Planning costs as much as some ten evaluations of small tensors. So tiny chunks are never planned, and small ones
 * only when their structure recurs; until then the reference evaluator runs them, with the same bits: a plan of
 * small tensors keeps the order of additions (`exact`). The kept plans have a bounded number of bytes. Regularly
 * used plans are not evicted by more structures than there is room for. */
#include "autograd/eval/plans.h"
#include "autograd/eval/planning.h"
#include "autograd/tape/hash.h"

enum {
    BUCKETS = AG__LIMIT(256, 4),
    OFTEN = 3,                     /* visits after which a structure is expected to recur, */
    VERY_OFTEN = AG__LIMIT(64, 5), /* and so often that a plan that saves little is made */
    NO_ROOM = 255,                 /* in place of the visits: its plan had no room */
    PATIENCE = AG__LIMIT(256, 64), /* chunks after which an unused plan may be dropped */
    MARGIN = AG__LIMIT(16, 2),
    LATEST = AG__LIMIT(16, 2)
};

typedef struct cached {
    ag__plan plan;       /* first, so that the address of the plan is that of its entry */
    struct cached *next; /* of the same bucket */
    uint64_t hash;       /* of its structure */
    ag__numbers structure;
    size_t bytes;
    uint64_t used, interval; /* the last use, and its distance from the one before, in chunks */
    uint32_t uses;           /* how often */
    bool kept;               /* else it is used once */
} cached;

struct ag__plans {
    cached *bucket[BUCKETS];
    cached *latest[LATEST];  /* of these, by the number of words of their structures; NULL: none */
    size_t bytes;            /* of the plans in the buckets */
    uint64_t clock;          /* chunks so far */
    ag__structure present;   /* of the chunk that was taken last */
    uint64_t seen[AG__SEEN]; /* a hash, with the number of visits as its last byte */
};

static struct ag__plans *plans_of(ag_tape *tape) {
    struct ag__plans *all = tape->plans;
    if (all || !(all = ag__resize(tape, NULL, 0, sizeof *all))) return all;
    memset(all, 0, sizeof *all);
    return tape->plans = all;
}

ag__structure *ag__structure_of(ag_tape *tape) {
    struct ag__plans *all = plans_of(tape);
    return all ? &all->present : NULL;
}

static void forget(ag_tape *tape, cached *p) {
    ag__plan_clear(tape, &p->plan);
    ag__list_free(tape, &p->structure.any);
    ag__resize(tape, p, sizeof *p, 0);
}

/* ---- Recurring structures ---- */

static const uint64_t VISITS = UINT8_MAX;

static uint64_t *seen_at(struct ag__plans *all, uint64_t hash) { return &all->seen[(hash >> 8) % AG__SEEN]; }

/* The visits of a chunk with this hash, including this one: at most `enough`, and fewer if others came between. If its
 * plan had no room, counting restarts after some time. */
static unsigned times_seen(struct ag__plans *all, uint64_t hash, unsigned enough) {
    uint64_t *seen = seen_at(all, hash);
    if ((*seen ^ hash) & ~VISITS) *seen = hash & ~VISITS;
    uint64_t count = *seen & VISITS;
    if (count < enough) return (unsigned)(++*seen & VISITS);
    if (count > enough && (--*seen & VISITS) == enough) *seen &= ~VISITS;
    return count > enough ? 1 : enough;
}

/* ---- Room ---- */

/* Whether the plan has been unused for more than twice its former interval. */
static bool is_stale(const cached *p, uint64_t now) {
    uint64_t usual = p->uses > 1 ? 2 * p->interval + MARGIN : PATIENCE;
    return now - p->used > usual;
}

static cached **longest_unused(struct ag__plans *all) {
    cached **oldest = NULL;
    for (int i = 0; i < BUCKETS; i++)
        for (cached **p = &all->bucket[i]; *p; p = &(*p)->next)
            if (is_stale(*p, all->clock) && (!oldest || (*p)->used < (*oldest)->used)) oldest = p;
    return oldest;
}

/* The latest one with as many words. */
static cached **latest(struct ag__plans *all, const ag__numbers *words) { return &all->latest[words->count % LATEST]; }

static cached *take_out(struct ag__plans *all, cached **at) {
    cached *p = *at, **known = latest(all, &p->structure);
    *at = p->next;
    if (*known == p) *known = NULL;
    all->bytes -= p->bytes;
    p->kept = false;
    return p;
}

/* Make room for this many bytes by dropping stale plans; false if that is not enough. */
static bool make_room(ag_tape *tape, size_t bytes) {
    struct ag__plans *all = tape->plans;
    while (all->bytes + bytes > AG__PLAN_BYTES) {
        cached **at = bytes > AG__PLAN_BYTES ? NULL : longest_unused(all);
        if (!at) return false;
        forget(tape, take_out(all, at));
    }
    return true;
}

/* Keep the plan together with the present structure, if there is room. */
static void keep(ag_tape *tape, cached *p, uint64_t hash) {
    struct ag__plans *all = tape->plans;
    ag__list_maker m = {.tape = tape};
    const ag__numbers *words = &all->present.words;
    size_t bytes = words->count * sizeof *words->at;
    p->bytes = ag__plan_trim(tape, &p->plan) + sizeof *p + bytes;
    if (!make_room(tape, p->bytes) || !AG__ROOM(&m, &p->structure, words->count)) return;
    memcpy(p->structure.at, words->at, bytes);
    p->structure.count = words->count;
    cached **at = &all->bucket[hash % BUCKETS];
    p->hash = hash;
    p->next = *at;
    p->kept = true;
    all->bytes += p->bytes;
    *at = p;
}

/* ---- Finding and making ---- */

static bool is_of(const cached *p, const ag__numbers *words) {
    return p->structure.count == words->count &&
           memcmp(p->structure.at, words->at, words->count * sizeof *words->at) == 0;
}

/* The address of the pointer to the present structure's plan, or of the pointer to set. */
static cached **find(struct ag__plans *all, uint64_t hash) {
    cached **p = &all->bucket[hash % BUCKETS];
    while (*p && !((*p)->hash == hash && is_of(*p, &all->present.words))) p = &(*p)->next;
    return p;
}

static cached *make(const ag__chunk *c, bool whole) {
    cached *p = ag__resize(c->tape, NULL, 0, sizeof *p);
    if (!p) return NULL;
    *p = (cached){.used = 0};
    if (ag__plan_make(&p->plan, c, whole)) return p;
    ag__resize(c->tape, p, sizeof *p, 0);
    return NULL;
}

/* Plan again, with machine code wherever possible. */
static cached *made_whole(const ag__chunk *c, cached **at) {
    cached *old = *at, *p = make(c, c->tape->compile);
    if (!p) return old;
    p->uses = old->uses, p->interval = old->interval, p->used = old->used;
    uint64_t hash = old->hash;
    forget(c->tape, take_out(c->tape->plans, at));
    keep(c->tape, p, hash);
    return p;
}

/* NULL: not yet, or out of memory. */
static cached *made_first(const ag__chunk *c, uint64_t hash) {
    ag_tape *tape = c->tape;
    struct ag__plans *all = tape->plans;
    unsigned enough = c->little ? VERY_OFTEN : OFTEN, seen = 0;
    if (c->exact && tape->evaluator == AG_EVALUATOR_AUTOMATIC) seen = times_seen(all, hash, enough);
    if (seen > 0 && seen < enough) return NULL;
    cached *p = make(c, tape->compile && seen > 0);
    if (!p) return NULL;
    p->used = all->clock;
    keep(tape, p, hash);
    if (seen && !p->kept) *seen_at(all, hash) |= NO_ROOM;
    return p;
}

static bool is_to_be_whole(const ag__chunk *c, const cached *p) {
    return p->uses + 1 >= OFTEN && c->tape->compile != p->plan.whole;
}

/* A loop's plan, most of the time, is the latest one with as many words: then nothing is hashed. */
ag__plan *ag__plan_for(const ag__chunk *c) {
    struct ag__plans *all = c->tape->plans;
    const ag__numbers *words = &all->present.words;
    cached *p = *latest(all, words);
    all->clock++;
    if (!p || is_to_be_whole(c, p) || !is_of(p, words)) {
        uint64_t hash = ag__hash_words(words->at, words->count);
        cached **at = find(all, hash);
        p = *at;
        if (!p) p = made_first(c, hash);
        else if (is_to_be_whole(c, p)) p = made_whole(c, at);
        if (!p) return NULL;
        if (p->kept) *latest(all, words) = p;
    }
    p->interval = all->clock - p->used;
    p->used = all->clock;
    if (p->uses < UINT32_MAX) p->uses++;
    return &p->plan;
}

void ag__plan_done(ag_tape *tape, ag__plan *plan) {
    cached *p = (cached *)plan;
    if (!p->kept) forget(tape, p);
}

void ag__plans_free(ag_tape *tape) {
    struct ag__plans *all = tape->plans;
    for (int i = 0; i < BUCKETS; i++)
        for (cached *p = all->bucket[i], *next; p; p = next) {
            next = p->next;
            forget(tape, p);
        }
    ag__structure_free(tape, &all->present);
    ag__resize(tape, all, sizeof *all, 0);
    tape->plans = NULL;
}

/* ---- Only planning ---- */

static uint32_t number_regions(const ag__chunk *c, const ag__plan *plan, uint32_t number, uint32_t *region) {
    for (uint32_t s = 0; s < plan->steps.count; s++) {
        const ag__plan_step *step = &plan->steps.at[s];
        if (step->kind != AG__STEP_REGION && step->kind != AG__STEP_ADD) continue;
        const ag__step_member *member = AG__FROM(&plan->members, step->member);
        number++;
        for (uint32_t i = 0; i < step->members; i++) region[c->table[member[i].index]->id] = number;
    }
    return number;
}

bool ag__plan_regions(const ag__evaluation *e, uint32_t *region) {
    ag_tape *tape = e->tape;
    bool compile = tape->compile, good = true;
    uint32_t number = 0;
    tape->compile = false;
    for (uint32_t low = e->low, next; low < e->high && good; low = next) {
        ag__plan plan = {0};
        ag__chunk c;
        ag__amount amount;
        next = ag__chunk_measure(e, low, e->high, &amount);
        good = ag__chunk_take(e, low, &amount, ag__structure_of(tape), &c) && ag__plan_make(&plan, &c, false);
        if (good) number = number_regions(&c, &plan, number, region);
        ag__plan_clear(tape, &plan);
        ag__chunk_drop(&c);
    }
    tape->compile = compile;
    return good;
}
