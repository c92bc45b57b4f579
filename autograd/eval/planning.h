/* planning -- the planner's scratch data, which is given up when the plan is made
 *
 * plan.c calls the others, each of which does one part:
 *
 *   equal.c   finds what need not be computed, for it is equal to something else
 *   divide.c  gives each node a step, in the order of recording
 *   split.c   divides large regions into parts that have nothing in common
 *   settle.c  decides what is stored, in reverse
 *   again.c   and what is dropped meanwhile
 *   by_rows.c which products need no buffer, because a region reads some rows at a time
 *   drop.c    when that is, and what is dropped for good though it has readers, which compute it themselves
 *   traffic.c what of that is written past the caches, and which regions run backwards
 *   alike.c   and how many regions are alike
 *   lower.c   makes a region's program; with runs.c, which makes it machine code, and allot.c, which finds its memory
 *   verify.c  checks such a program, in builds with assertions */
#ifndef AG_PLANNING_H
#define AG_PLANNING_H

#include "autograd/eval/chunk.h"
#include "autograd/eval/plan.h"

/* The part of a value in the region that computes it. */
typedef enum ag__role {
    AG__ROLE_NONE,
    AG__ROLE_ELEMENT, /* one for each of the region's elements */
    AG__ROLE_ROW,     /* one for each row */
    AG__ROLE_DOWN,    /* finished after the last strip: the fold of columns, */
    AG__ROLE_ALL,     /* of everything, */
    AG__ROLE_LONG     /* of rows that are longer than a strip */
} ag__role;

/* An index of the chunk. */
typedef struct ag__value {
    uint32_t leader;  /* index that stands for it: its own, or that of an equal value */
    uint32_t root;    /* of a view, the value that it shows; else its leader's */
    uint32_t step;    /* that makes it available; 0: there from the start */
    uint32_t next;    /* member of the same step */
    uint32_t program; /* step whose region computes it, or computes it again; the latest one */
    uint32_t cell;    /* of it in the latest program that it is in */
    uint32_t reader;  /* the first region, in time, that reads it; 0: none so far */
    uint32_t reads;   /* in the step whose reads were counted last, if it may be written over there */
    uint32_t late;    /* of a value of the forward pass: the first step of the backward pass that needs it; 0: none */
    uint32_t early;   /* and the last step of the forward pass; 0: none */
    uint32_t again;   /* step that computes it once more, before `late`; 0: none */
    uint8_t role;
    bool stored : 1;
    bool shown : 1;    /* it shows another's buffer, and is asked for */
    bool taken : 1;    /* written over by a sum */
    bool repeated : 1; /* it stands for others */
    bool stays : 1;    /* it must not be dropped and computed again */
    bool later : 1;    /* its own step does not store it: only the one that computes it again does */
    bool asked : 1;    /* scratch of settle.c: in its list of such values, */
    bool counted : 1;  /* and among what they are computed from */
    bool waits : 1;    /* for its step, until a reader is placed */
    bool past : 1;     /* to be written past the caches */
    bool by_rows : 1;  /* a product that has no buffer: its reader computes some rows at a time */
    bool passed : 1;   /* from one step of the forward pass to another, in memory */
    bool pinned : 1;   /* scratch of drop.c: it, or one that shows it, is wanted after the chunk; */
    bool viewed : 1;   /* another one shows it */
} ag__value;

/* A step. */
typedef struct ag__draft {
    uint64_t time;        /* when it runs; of two at one time, the one with the lower number first */
    uint32_t first, last; /* members, which are linked by `next` */
    uint32_t again; /* the first step to run before it that computes a value once more; that one's next; 0: none */
} ag__draft;

/* An index, while a region is split. */
typedef struct ag__split_part {
    uint32_t parent; /* leads to the part's first member */
    uint32_t reader; /* the first member that reads it, plus 1; 0: none yet */
    uint32_t step;   /* of the part whose first member it is */
} ag__split_part;

typedef struct ag__planner {
    ag__list_maker maker;
    ag__plan *plan;
    const ag__chunk *c;
    ag__value *value;
    AG__LIST(ag__draft) drafts;
    ag__split_part *part; /* NULL: none yet */
    uint32_t *table;      /* of the search for equal values: an index, or AG__NONE */
    uint32_t table_mask;
    ag__numbers own;                     /* nodes that a region computes, the last one first */
    ag__numbers asked;                   /* what these read: operands, */
    ag__numbers across;                  /* and of them, values of the forward pass that might be computed again */
    ag__numbers passed;                  /* and those that it has passed from step to step */
    ag__numbers clones;                  /* nodes of others that it rematerialises */
    uint32_t now;                        /* the step that is being settled */
    uint32_t recent[AG__RECENT_REGIONS]; /* step of the latest region of each size, by a hash of it */
    bool whole;                          /* make machine code also where it pays only later; else where */
    ag__showing *showing;                /* of each root: itself and those that show its buffer, if it is listed */
    uint32_t *alike;                     /* many regions are like this one; NULL: none is like many */
    ag__scratch scratch;                 /* has the arrays */
    struct ag__lowering *lowering;
} ag__planner;

/* ---- Looking things up ---- */

static inline const ag_tensor *ag__tensor_at(const ag__planner *p, uint32_t i) { return p->c->table[i]; }
static inline bool ag__is_outside(const ag__planner *p, uint32_t i) { return i >= p->c->nodes; }
static inline ag__plan_step *ag__step_at(const ag__planner *p, uint32_t s) { return &p->plan->steps.at[s]; }

/* The inputs of node i: p->c->operand[k] for ag__first_input ≤ k < ag__end_input. */
static inline uint32_t ag__first_input(const ag__planner *p, uint32_t i) { return p->c->node[i].first; }
static inline uint32_t ag__end_input(const ag__planner *p, uint32_t i) { return p->c->node[i + 1].first; }
static inline const uint32_t *ag__inputs_of(const ag__planner *p, uint32_t i) {
    return p->c->operand + p->c->node[i].first;
}

/* The leader of p->c->operand[k], and its root. */
static inline uint32_t ag__leader_at(const ag__planner *p, uint32_t k) { return p->value[p->c->operand[k]].leader; }
static inline uint32_t ag__root_at(const ag__planner *p, uint32_t k) { return p->value[ag__leader_at(p, k)].root; }

/* ---- steps.c ---- */

/* Whether step s is of the backward pass: its first node is. */
bool ag__is_backward(const ag__planner *p, uint32_t s);

ag__region *ag__region_of(const ag__planner *p, uint32_t s); /* which step s runs */

/* Whether index i shows all elements of its root in their order: not a part, for from its place in memory it cannot be
 * told which they are. */
bool ag__shows_root(const ag__planner *p, uint32_t i);

/* Whether t is one element a row of the region, broadcast over the columns. */
bool ag__accept_sample(ag__region *r, int64_t rows, int64_t sample);
bool ag__spreads_rows(const ag_tensor *t, const ag__region *r);
bool ag__accept_sample(ag__region *r, int64_t rows, int64_t sample);

/* A further step, and one that is a further region; 0 if out of memory. */
uint32_t ag__step_new(ag__planner *p, ag__step_kind kind, uint32_t what);
uint32_t ag__step_region(ag__planner *p, ag__region region);
void ag__step_join(ag__planner *p, uint32_t s, uint32_t i); /* node i becomes a member of step s, the last one */
bool ag__step_after(const ag__planner *p, uint32_t a, uint32_t b);
/* List steps as they run. */
void ag__steps_order(ag__planner *p);
/* Calls `visit` for each value in memory that step number k of these reads; one may come several times. */
void ag__each_read(const ag__planner *p, uint32_t k, void (*visit)(void *context, uint32_t k, uint32_t root),
                   void *context);

/* ---- The parts ---- */

/* The earlier index that node i is equal to; AG__NONE: no such index, and i is entered in the table. */
uint32_t ag__equal_to(ag__planner *p, uint32_t i);

void ag__divide(ag__planner *p);
void ag__split(ag__planner *p);
void ag__settle(ag__planner *p); /* each region's nodes are then in `computed`, and marked in `program` */
void ag__read_by_rows(ag__planner *p);
void ag__drop(ag__planner *p);
void ag__traffic(ag__planner *p);
void ag__count_alike(ag__planner *p);

/* again.c: the step that is being settled (p->now; 0: what comes after the plan) needs leader x; and x is not released
 * before the end of that step. */
void ag__request(ag__planner *p, uint32_t x);
void ag__read_held(ag__planner *p, uint32_t x);

/* Between these the values that step s computes again are appended to `clones`, and its own to `computed`. */
void ag__begin_program(ag__planner *p, uint32_t s);
void ag__end_program(ag__planner *p, uint32_t s);

/* Before the region of step s is settled: which of its values are dropped and computed again; and when all are. */
void ag__compute_again(ag__planner *p, uint32_t s);
void ag__order_again(ag__planner *p);

/* The nodes of the program of step s are marked as such, in `program`. */
static inline void ag__mark_program(ag__planner *p, uint32_t s) {
    const ag__region *r = ag__region_of(p, s);
    for (uint32_t k = 0; k < r->computes; k++) p->value[p->plan->computed.at[r->compute + k]].program = s;
}

/* Operation t in cheap operations, where other than cheap ones are computed again too. In f64 none is that a
 * cache has: it takes longer than to read it there. */
static inline int ag__cost_across(const ag_tensor *t) {
    enum { NOT_CHEAP = 4 };
    if (t->op->flags & AG_OP_CHEAP) return 1;
    return t->dtype == AG_F64 && t->layout->size * 8 < AG__SECOND_LEVEL ? AG__LONG_CHAIN + 1 : NOT_CHEAP;
}

/* The program of the region of step s. What it takes to make one stays for the next. */
void ag__lower(ag__planner *p, uint32_t s);
void ag__lowering_free(ag__planner *p);

/* Whether that program is sound; if not, an error is raised. False if out of memory, too. */
#ifndef NDEBUG
bool ag__verify(const ag__planner *p, uint32_t s);
#endif

/* plan.c: all of it. False if out of memory; nothing is raised. */
bool ag__plan_make(ag__plan *plan, const ag__chunk *c, bool whole);

#endif
