/* alike -- how many regions of a plan are alike: many are worth machine code at first sight
 *
 * A recurrent cell is a few regions, hundreds of times. They are found by a hash of a region's size, its operations and
 * their wiring. It decides about time only: that machine code serves several programs is found by comparing these. */
#include "autograd/eval/planning.h"
#include "autograd/tape/hash.h"

#include <string.h>

/* An operand that the region computes is told by how far before its reader that is; another, by its layout. */
static uint64_t hash_of_operand(const ag__planner *p, uint32_t s, uint32_t k, uint32_t x) {
    const uint32_t root = p->value[x].root;
    const ag_tensor *t = ag__tensor_at(p, x);
    const bool computed = !ag__is_outside(p, root) && p->value[root].program == s;
    return computed ? k - p->value[root].cell : ag__mix(t->layout->hash, t->dtype);
}

/* The region's program is marked. Numbers within it are where cells are noted when it is lowered. */
static uint64_t hash_of(const ag__planner *p, uint32_t s) {
    const ag__region *r = ag__region_of(p, s);
    uint64_t hash = ag__mix((uint64_t)r->size, r->computes);
    for (uint32_t k = 0; k < r->computes; k++) {
        const uint32_t i = p->plan->computed.at[r->compute + k];
        const ag_tensor *t = ag__tensor_at(p, i);
        p->value[i].cell = k;
        hash = ag__mix(hash, (uint64_t)(uintptr_t)t->op);
        hash = ag__mix(hash, (uint64_t)t->dtype << 1 | (p->value[i].stored && p->value[i].step == s));
        for (uint32_t x = ag__first_input(p, i); x < ag__end_input(p, i); x++)
            hash = ag__mix(hash, hash_of_operand(p, s, k, ag__leader_at(p, x)));
    }
    return hash;
}

typedef struct kinds { /* by regions */
    uint64_t *hash;
    uint32_t *kind, *count; /* the first region that is like this one; how many are like it */
    uint32_t *table, mask;  /* a region of each kind, plus 1, where its hash says or behind */
} kinds;

static uint32_t kind_of(const kinds *k, uint32_t r) {
    uint32_t at = (uint32_t)(k->hash[r] >> 20) & k->mask;
    while (k->table[at] && k->hash[k->table[at] - 1] != k->hash[r]) at = (at + 1) & k->mask;
    if (!k->table[at]) k->table[at] = r + 1;
    return k->table[at] - 1;
}

static bool take_arrays(ag__planner *p, kinds *k) {
    const size_t regions = p->plan->regions.count;
    size_t room = 16;
    while (room < 2 * regions) room *= 2;
    k->mask = (uint32_t)room - 1;
    k->hash = ag__scratch_array(&p->scratch, regions, sizeof *k->hash);
    k->kind = ag__scratch_array(&p->scratch, regions, sizeof *k->kind);
    k->count = ag__scratch_array(&p->scratch, regions, sizeof *k->count);
    k->table = ag__scratch_array(&p->scratch, room, sizeof *k->table);
    p->alike = ag__scratch_array(&p->scratch, regions, sizeof *p->alike);
    if (!k->hash || !k->kind || !k->count || !k->table || !p->alike) return false;
    memset(k->count, 0, regions * sizeof *k->count);
    memset(k->table, 0, room * sizeof *k->table);
    memset(p->alike, 0, regions * sizeof *p->alike);
    return true;
}

void ag__count_alike(ag__planner *p) {
    kinds k;
    if (!p->c->tape->compile || p->whole || p->plan->regions.count < AG__MANY_ALIKE) return;
    p->maker.failed = !take_arrays(p, &k);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t s = 1; s < p->plan->steps.count && !p->maker.failed; s++) {
            const uint32_t r = ag__step_at(p, s)->what;
            if (ag__step_at(p, s)->kind != AG__STEP_REGION) continue;
            if (pass > 0) {
                p->alike[r] = k.count[k.kind[r]];
                continue;
            }
            ag__mark_program(p, s);
            k.hash[r] = hash_of(p, s);
            k.kind[r] = kind_of(&k, r);
            k.count[k.kind[r]]++;
        }
}
