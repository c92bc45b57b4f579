/* traffic -- what is written past the caches, and which regions run backwards
 *
 * A store to memory first reads the line that it changes, and then takes the place of other data in the caches. That is
 * worth it only if the value is read before so much else has been moved that it has left them again. So the bytes are
 * added up that the steps move, in the order in which they run, from where a value is written to the next step that
 * reads it, or to the last step.
 *
 * A sweep over more than a cache holds leaves its end there. So a region that reads what the sweep before has read, or
 * written, begins at that end. */
#include "autograd/eval/planning.h"
#include "autograd/eval/stream.h"

#include <string.h>

typedef struct traffic {
    ag__planner *p;
    uint64_t *before; /* bytes moved before step number k of those that run */
    uint32_t *reader; /* of each index: the number of the next step that reads it, plus 1; 0: none */
    uint32_t *seen;   /* of each index: the number of the latest step that has moved it, plus 1; 0: none */
    uint32_t *former; /* of step number k: the latest of these numbers before it, of large values that it reads */
} traffic;

static void count(void *t_, uint32_t k, uint32_t root) {
    const traffic *t = t_;
    size_t bytes = ag__value_bytes(ag__tensor_at(t->p, root));
    if (t->seen[root] == k + 1) return;
    if (bytes >= AG__PAST_LEAST && t->seen[root] > t->former[k]) t->former[k] = t->seen[root];
    t->seen[root] = k + 1;
    t->before[k + 1] += bytes;
}

static void note_reader(void *t, uint32_t k, uint32_t root) { ((const traffic *)t)->reader[root] = k + 1; }

/* The values that step number k stores. */
static void count_written(traffic *t, uint32_t k) {
    for (uint32_t i = t->p->drafts.at[t->p->plan->order.at[k]].first; i != AG__NONE; i = t->p->value[i].next)
        if (t->p->value[i].stored) count(t, k, i);
}

/* Other steps than regions run forwards. */
static void choose_direction(const traffic *t, uint32_t k) {
    const ag__planner *p = t->p;
    uint32_t s = p->plan->order.at[k], former = t->former[k] ? p->plan->order.at[t->former[k] - 1] : 0;
    if (!former || ag__step_at(p, s)->kind != AG__STEP_REGION) return;
    bool forwards = ag__step_at(p, former)->kind != AG__STEP_REGION || !ag__region_of(p, former)->backwards;
    ag__region_of(p, s)->backwards = forwards;
}

static void decide(const traffic *t, uint32_t k) {
    uint32_t steps = t->p->plan->order.count;
    for (uint32_t i = t->p->drafts.at[t->p->plan->order.at[k]].first; i != AG__NONE; i = t->p->value[i].next) {
        ag__value *v = &t->p->value[i];
        if (!v->stored || v->role != AG__ROLE_ELEMENT) continue;
        uint32_t until = t->reader[i] ? t->reader[i] - 1 : steps;
        v->past = ag__value_bytes(ag__tensor_at(t->p, i)) >= AG__PAST_LEAST &&
                  t->before[until] - t->before[k] >= AG__PAST_CACHES;
    }
}

/* Whether a region is so large that its values may be written past the caches. */
static bool is_any_large(const ag__planner *p) {
    int64_t most = 0;
    for (uint32_t i = 0; i < p->plan->regions.count; i++)
        if (p->plan->regions.at[i].size > most) most = p->plan->regions.at[i].size;
    return most >= AG__PAST_LEAST / (int64_t)AG__MOST_BYTES;
}

/* All zero. */
static uint32_t *numbers(ag__planner *p, uint32_t count) {
    uint32_t *n = ag__scratch_array(&p->scratch, count, sizeof *n);
    if (n) memset(n, 0, count * sizeof *n);
    return n;
}

void ag__traffic(ag__planner *p) {
    uint32_t steps = p->plan->order.count;
    traffic t = {.p = p};
    if (!is_any_large(p)) return;
    t.before = ag__scratch_array(&p->scratch, (size_t)steps + 1, sizeof *t.before);
    t.reader = numbers(p, p->c->count);
    t.seen = numbers(p, p->c->count);
    t.former = numbers(p, steps);
    p->maker.failed = !t.before || !t.reader || !t.seen || !t.former;
    if (p->maker.failed) return;
    t.before[0] = 0;
    for (uint32_t k = 0; k < steps; k++) {
        t.before[k + 1] = t.before[k];
        ag__each_read(p, k, count, &t);
        count_written(&t, k);
        choose_direction(&t, k);
    }
    for (uint32_t k = steps; k-- > 0 && ag__can_copy_past();) {
        decide(&t, k);
        ag__each_read(p, k, note_reader, &t);
    }
}
