/* factor -- sums of cotangents, from which factors are taken out
 *
 * Σ g·c is c·Σ g where c is the same along the axes that are summed over, and Σ (u + v) is Σ u + Σ v. Normalising
 * has several such sums of one cotangent, of which each would be another sweep: and the later ones would wait for
 * factors that the earlier ones give. So a sum is taken apart if one of its parts has been recorded shortly
 * before, and at most one has not. The result may be rounded otherwise, within the same bound: (n + 4)·ε·Σ |g·c|. */
#include "ops/reduce.h"
#include "ops/rules.h"
#include "ops/shape.h"

/* How deep a cotangent is taken apart, and the latest nodes among which sums are sought. */
enum { DEEPEST = 8, LATEST = 64 };

typedef struct apart {
    const ag_op *broadcast;
    uint32_t mask; /* of the axes */
    int there;     /* sums that are recorded already, */
    int missing;   /* and that are not */
    int sums;      /* those recorded lately, the newest first */
    ag_tensor *sum[LATEST];
} apart;

/* Whether later gradients see t as they would see what is recorded now. */
static bool is_alike(const ag_tensor *t) {
    return !(t->flags & AG__DETACHED) || (!t->tape->recording && t->id >= t->tape->off_since);
}

/* ---- The parts ---- */

/* The value that is broadcast to t, with extent 1 along the axes; NULL: t is no such value. */
static ag_tensor *constant_in(const apart *s, ag_tensor *t) {
    const int rank = t->layout->rank;
    for (ag_tensor *x = t; x->op == s->broadcast && is_alike(x) && (x->flags & AG__IMPLIED || ag__is_unheld(x));) {
        x = x->input[0];
        const int more = rank - x->layout->rank;
        bool constant = true;
        for (int i = more; i < rank; i++)
            constant = constant && (!(s->mask & 1u << i) || x->layout->extent[i - more] == 1);
        if (constant) return x;
    }
    return NULL;
}

typedef struct form { /* of a node that is linear in its parts */
    int first, parts; /* numbers of the inputs that are parts */
    ag_tensor *factor;
} form;

static form form_of(const apart *s, const ag_tensor *t) {
    const ag_op *op = t->op;
    form f = {0};
    if (!is_alike(t) || !ag__is_unheld(t)) return f;
    if (op == &ag__op_neg || op == &ag__op_scale || op == &ag__op_div_scalar) f.parts = 1;
    else if (op == &ag__op_add || op == &ag__op_sub) f.parts = 2;
    else if (op == &ag__op_mul || op == &ag__op_strong_mul || op == &ag__op_div || op == &ag__op_strong_div) {
        bool product = op == &ag__op_mul || op == &ag__op_strong_mul;
        if (!(f.factor = constant_in(s, t->input[1])) && product) f.factor = constant_in(s, t->input[0]), f.first = 1;
        f.parts = f.factor != NULL;
    }
    return f;
}

/* Only the running scan's: of a sum that the user has, a gradient by it would see what is made of it here. */
static void find_sums(apart *s, const ag_tape *tape) {
    const uint32_t from = tape->scan_from, oldest = tape->count - from > LATEST ? tape->count - LATEST : from;
    for (uint32_t id = tape->count; id-- > oldest;) {
        ag_tensor *y = ag__node(tape, id);
        if (y->op != &ag__op_sum || y->flags & AG__STALE || !is_alike(y)) continue;
        if (((const ag_axes_set *)ag__attributes(y))->mask == s->mask) s->sum[s->sums++] = y;
    }
}

/* The sum of t, if it is one of the latest nodes. */
static ag_tensor *sum_of(const apart *s, const ag_tensor *t) {
    for (int i = 0; i < s->sums; i++)
        if (s->sum[i]->input[0] == t) return s->sum[i];
    return NULL;
}

/* Whether a part of t has been summed, at most `depth` nodes below it. */
static bool is_summed(const apart *s, const ag_tensor *t, int depth) {
    form f = form_of(s, t);
    bool summed = sum_of(s, t) != NULL;
    for (int i = 0; i < f.parts && depth > 0 && !summed; i++) summed = is_summed(s, t->input[f.first + i], depth - 1);
    return summed;
}

/* A sum of two is taken apart only if it has such a part: else it would be two sums more. */
static form form_taken(const apart *s, const ag_tensor *t, int depth) {
    form f = form_of(s, t);
    bool taken = depth > 0 && !sum_of(s, t) && (f.parts == 1 || is_summed(s, t, depth));
    return taken ? f : (form){0};
}

static void count_parts(apart *s, const ag_tensor *t, int depth) {
    form f = form_taken(s, t, depth);
    for (int i = 0; i < f.parts && s->missing < 2; i++) count_parts(s, t->input[f.first + i], depth - 1);
    if (f.parts == 0) ++*(sum_of(s, t) ? &s->there : &s->missing);
}

/* ---- The sum ---- */

static ag_axes axes_of(uint32_t mask) {
    ag_axes axes = {0};
    for (int i = 0; i < AG_MAX_RANK; i++)
        if (mask & 1u << i) axes.axis[axes.count++] = i;
    return axes;
}

/* The sum of t itself, of extent 1 along the axes. */
static ag_tensor *whole_sum(const apart *s, ag_tensor *t) {
    ag_tensor *y = sum_of(s, t);
    if (!y) return ag_sum_over(t, axes_of(s->mask), true);
    ag_shape shape = ag_shape_of(t);
    for (int i = 0; i < shape.rank; i++)
        if (s->mask & 1u << i) shape.extent[i] = 1;
    return ag_rank(y) == shape.rank ? y : ag__reshape(y, &shape);
}

static ag_tensor *sum_of_parts(const apart *s, ag_tensor *t, int depth) {
    form f = form_taken(s, t, depth);
    if (f.parts == 0) return whole_sum(s, t);
    ag_tensor *x[2] = {f.factor, f.factor};
    for (int i = f.first; i < f.first + f.parts; i++) x[i] = sum_of_parts(s, t->input[i], depth - 1);
    return ag_apply(t->op, t->arity, x, ag_attributes(t), t->attribute_bytes);
}

ag_tensor *ag__sum_of_cotangents(const ag_op *broadcast, ag_tensor *g, ag_axes axes, bool keepdims) {
    apart s;
    s.broadcast = broadcast, s.mask = 0, s.there = 0, s.missing = 0, s.sums = 0;
    for (int i = 0; i < axes.count; i++) s.mask |= 1u << axes.axis[i];
    if (g->layout->size > 0 && form_of(&s, g).parts > 0) find_sums(&s, g->tape); /* nothing times infinity is 0 */
    if (s.sums > 0) count_parts(&s, g, DEEPEST);
    if (s.there == 0 || s.missing > 1) return ag__sum(g, &axes, keepdims);
    ag_tensor *y = sum_of_parts(&s, g, DEEPEST);
    if (g->readers == 0 && g->flags & AG__GRADIENT) ag__forgo(g);
    return keepdims ? y : ag__squeeze(y, &axes);
}
