/* equal -- nodes equal to an input or to an earlier value (common subexpressions), which are not computed
 *
 * Nodes are compared by operation, attributes, layout and the leaders of their inputs; a hash of these finds
 * candidates. */
#include "autograd/eval/planning.h"
#include "autograd/tape/hash.h"

/* Compared as bits, because x − 0 is x, but x − (−0) is not if x is −0. */
static bool is_constant(const ag__planner *p, uint32_t i, double value) {
    const ag_tensor *t = ag__tensor_at(p, p->value[i].root);
    return t->op->flags & AG_OP_CONSTANT && memcmp(ag__attributes(t), &value, sizeof value) == 0;
}

static bool same_attributes(const ag_tensor *a, const ag_tensor *b) {
    return a->attribute_bytes == b->attribute_bytes &&
           memcmp(ag__attributes(a), ag__attributes(b), a->attribute_bytes) == 0;
}

/* Whether the entry says so of the attribute, and it can be true. */
static bool has_neutral_attribute(const ag_tensor *t) {
    return t->op->flags & AG_OP_NEUTRAL && t->arity == 1 && t->attribute_bytes >= sizeof(double) &&
           *(const double *)ag__attributes(t) == t->op->neutral;
}

/* Whether f undoes f from x to its input, with the same attributes. */
static bool undoes(const ag__planner *p, const ag_tensor *f, uint32_t x) {
    if (!(f->op->flags & AG_OP_INVOLUTION) || f->arity != 1 || ag__is_outside(p, x)) return false;
    const ag_tensor *other = ag__tensor_at(p, x);
    return other->op == f->op && other->arity == 1 && same_attributes(f, other);
}

/* The input that node i only copies; AG__NONE if it computes something. */
static uint32_t copied_by(const ag__planner *p, uint32_t i) {
    const ag_tensor *t = ag__tensor_at(p, i);
    const uint32_t *in = ag__inputs_of(p, i);
    unsigned flags = t->op->flags;
    uint32_t x = t->arity ? p->value[in[0]].leader : AG__NONE;
    if (has_neutral_attribute(t)) return x;
    if (flags & AG_OP_NEUTRAL && t->arity == 2) {
        uint32_t y = p->value[in[1]].leader;
        if (is_constant(p, y, t->op->neutral)) return x;
        if (flags & AG_OP_COMMUTES && is_constant(p, x, t->op->neutral)) return y;
    }
    return undoes(p, t, x) ? p->value[ag__inputs_of(p, x)[0]].leader : AG__NONE;
}

/* A node that the user or a later evaluation reads may share another's buffer only if that has exactly its elements,
 * and belongs to the tape. */
static bool may_stand_for(const ag__planner *p, uint32_t i, uint32_t x) {
    if (x == AG__NONE) return false;
    const ag_tensor *a = ag__tensor_at(p, i), *b = ag__tensor_at(p, x);
    if (a->dtype != b->dtype || a->layout->size != b->layout->size || p->value[p->value[x].root].taken) return false;
    if (!b->layout->contiguous || b->offset != 0) return false; /* views of the node were recorded as of offset 0 */
    return !p->c->node[i].must || (!ag__is_outside(p, x) && p->value[x].root == x);
}

static bool are_equal(const ag__planner *p, uint32_t i, uint32_t j) {
    const ag_tensor *a = ag__tensor_at(p, i), *b = ag__tensor_at(p, j);
    const uint32_t *x = ag__inputs_of(p, i), *y = ag__inputs_of(p, j);
    if (a->op != b->op || a->arity != b->arity || a->dtype != b->dtype || a->offset != b->offset ||
        !ag__layouts_same(a->layout, b->layout) || p->value[j].taken || !same_attributes(a, b))
        return false;
    for (int k = 0; k < a->arity; k++)
        if (p->value[x[k]].leader != p->value[y[k]].leader) return false;
    return true;
}

static uint64_t hash_of(const ag__planner *p, uint32_t i) {
    const ag_tensor *t = ag__tensor_at(p, i);
    uint64_t bits, h = ag__mix((uintptr_t)t->op, (uint64_t)t->layout->size);
    for (int k = 0; k < t->arity; k++) h = ag__mix(h, p->value[ag__inputs_of(p, i)[k]].leader);
    if (t->attribute_bytes < sizeof bits) return h;
    memcpy(&bits, ag__attributes(t), sizeof bits);
    return ag__mix(h, bits);
}

/* An earlier node equal to i; else AG__NONE, and i is entered in the table. */
static uint32_t find(ag__planner *p, uint32_t i) {
    for (uint32_t at = (uint32_t)(hash_of(p, i) >> 20) & p->table_mask;; at = (at + 1) & p->table_mask) {
        uint32_t j = p->table[at];
        if (j == AG__NONE) {
            p->table[at] = i;
            return j;
        }
        if (are_equal(p, i, j)) return j;
    }
}

uint32_t ag__equal_to(ag__planner *p, uint32_t i) {
    uint32_t x = copied_by(p, i);
    if (may_stand_for(p, i, x)) return x;
    return ag__is_drawn(ag__tensor_at(p, i)) ? AG__NONE : find(p, i);
}
