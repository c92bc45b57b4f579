/* random_shrink -- a program that fails, made smaller while it still fails
 *
 * Every change is tried on a copy, which must record without error and fail as before. These are repeated until none
 * helps: remove statements and unused lines; replace a value by an operand of the same shape, or by a constant, so
 * that its inputs become unused; shrink extents everywhere at once; simplify attributes. */
#include <string.h>

#include "tests/random_program.h"

enum { MOST_TRIALS = 6000 };

typedef struct shrinking {
    program *p;
    program_fails *fails;
    void *context;
    int trials;
} shrinking;

static program candidate;

/* Whether the candidate fails as well: then it is kept. */
static bool accepted(shrinking *s) {
    if (s->trials >= MOST_TRIALS || !program_infer(&candidate)) return false;
    s->trials++;
    if (!s->fails(s->context, &candidate)) return false;
    *s->p = candidate;
    return true;
}

static bool is_used(const program *p, int i) {
    for (int j = i + 1; j < p->count; j++)
        for (int k = 0; k < p->line[j].operands; k++)
            if (p->line[j].x[k] == i) return true;
    return false;
}

static void remove_line(program *p, int i) {
    memmove(&p->line[i], &p->line[i + 1], (size_t)(p->count - i - 1) * sizeof *p->line);
    p->count--;
    for (int j = i; j < p->count; j++)
        for (int k = 0; k < p->line[j].operands; k++) p->line[j].x[k] -= p->line[j].x[k] > i;
}

/* Replace operand x by `to`, from line `from` on. */
static void redirect(program *p, int from, int x, int to) {
    for (int j = from; j < p->count; j++)
        for (int k = 0; k < p->line[j].operands; k++)
            if (p->line[j].x[k] == x) p->line[j].x[k] = to;
}

static void remove_unused(program *p) {
    for (int i = p->count; i-- > 0;)
        if (line_has_value(&p->line[i]) && !is_used(p, i)) remove_line(p, i);
}

static bool equal_values(const line *a, const line *b) {
    if (!line_has_value(a) || !line_has_value(b) || a->y_dtype != b->y_dtype || a->y_shape.rank != b->y_shape.rank)
        return false;
    for (int i = 0; i < a->y_shape.rank; i++)
        if (a->y_shape.extent[i] != b->y_shape.extent[i]) return false;
    return true;
}

static bool try_flags(shrinking *s) {
    bool progress = false;
    while (s->p->order > 0) {
        candidate = *s->p;
        candidate.order--;
        if (!accepted(s)) break;
        progress = true;
    }
    for (int flag = 0; flag < 2; flag++) {
        candidate = *s->p;
        bool *b = flag == 0 ? &candidate.backward : &candidate.together;
        if (!*b) continue;
        *b = false;
        progress |= accepted(s);
    }
    return progress;
}

static bool try_without(shrinking *s) {
    bool progress = false;
    candidate = *s->p;
    remove_unused(&candidate);
    if (candidate.count < s->p->count) progress = accepted(s);
    for (int i = s->p->count; i-- > 0;) {
        if (i >= s->p->count || (line_has_value(&s->p->line[i]) && is_used(s->p, i))) continue;
        candidate = *s->p;
        remove_line(&candidate, i);
        progress |= accepted(s);
    }
    return progress;
}

static bool try_as_constant(shrinking *s, int i) {
    candidate = *s->p;
    const line *l = &s->p->line[i];
    line *c = &candidate.line[i];
    *c = (line){.form = form_named("ag_from"), .dtype = l->y_dtype, .shape = l->y_shape, .data = (uint64_t)i};
    if (l->y_dtype == AG_I64) c->domain = INDICES, c->number[1] = 1;
    remove_unused(&candidate);
    return accepted(s);
}

/* Replace line i's value by an earlier one, first by its own operands. */
static bool try_earlier_value(shrinking *s, int i) {
    const line *l = &s->p->line[i];
    for (int k = 0; k < l->operands; k++) {
        if (!equal_values(l, &s->p->line[l->x[k]])) continue;
        candidate = *s->p;
        redirect(&candidate, i + 1, i, l->x[k]);
        remove_line(&candidate, i);
        remove_unused(&candidate);
        if (accepted(s)) return true;
    }
    for (int j = 0; j < i; j++) {
        if (!equal_values(l, &s->p->line[j])) continue;
        candidate = *s->p;
        redirect(&candidate, i + 1, i, j);
        remove_line(&candidate, i);
        return accepted(s);
    }
    return false;
}

static bool try_values(shrinking *s) {
    bool progress = false;
    for (int i = s->p->count; i-- > 0;) {
        if (i >= s->p->count || !line_has_value(&s->p->line[i])) continue;
        bool leaf = s->p->line[i].form->signature == SIG_LEAF;
        progress |= (!leaf && try_as_constant(s, i)) || try_earlier_value(s, i);
    }
    return progress;
}

/* Without line i's operand k, of a list. */
static bool try_shorter_lists(shrinking *s) {
    bool progress = false;
    for (int i = 0; i < s->p->count; i++) {
        signature sig = s->p->line[i].form->signature;
        if ((sig != SIG_LIST && sig != SIG_LIST_AXIS) || s->p->line[i].operands < 2) continue;
        candidate = *s->p;
        candidate.line[i].operands--;
        progress |= accepted(s);
    }
    return progress;
}

static void replace_extent(int64_t *e, int64_t from, int64_t to) {
    if (*e == from) *e = to;
}

static void replace_everywhere(program *p, int64_t from, int64_t to) {
    for (int i = 0; i < p->count; i++) {
        line *l = &p->line[i];
        for (int k = 0; k < l->shape.rank; k++) replace_extent(&l->shape.extent[k], from, to);
        for (int k = 1; k < 4; k++) replace_extent(&l->number[k], from, to);
        if (l->form->signature == SIG_TD_N) replace_extent(&l->number[0], from, to);
    }
}

static bool try_extent(shrinking *s, int64_t e) {
    const int64_t smaller[] = {1, 2, 3, e / 2, e - 1};
    for (int i = 0; i < 5; i++) {
        if (smaller[i] >= e || smaller[i] < 1) continue;
        candidate = *s->p;
        replace_everywhere(&candidate, e, smaller[i]);
        if (accepted(s)) return true;
    }
    return false;
}

static bool try_extents(shrinking *s) {
    bool progress = false;
    for (int i = 0; i < s->p->count; i++)
        for (int k = 0; k < s->p->line[i].shape.rank; k++)
            if (s->p->line[i].shape.extent[k] > 1) progress |= try_extent(s, s->p->line[i].shape.extent[k]);
    return progress;
}

/* Remove a leading axis everywhere. Programs with axes then fail to record, and stay unchanged. */
static bool try_rank(shrinking *s) {
    candidate = *s->p;
    bool any = false;
    for (int i = 0; i < candidate.count; i++) {
        ag_shape *shape = &candidate.line[i].shape;
        if (shape->rank < 2 || shape->extent[0] != 1) continue;
        memmove(shape->extent, shape->extent + 1, (size_t)--shape->rank * sizeof *shape->extent);
        any = true;
    }
    return any && accepted(s);
}

static bool try_plain_line(shrinking *s, int i) {
    bool progress = false;
    for (int what = 0; what < 5; what++) {
        candidate = *s->p;
        line *l = &candidate.line[i];
        bool leaf = l->form->signature == SIG_LEAF;
        if (what == 0 && leaf && l->form != form_named("ag_from")) l->form = form_named("ag_from");
        else if (what == 1 && leaf && l->domain != ORDINARY && l->domain != INDICES) l->domain = ORDINARY;
        else if (what == 2 && l->keep && l->form->signature != SIG_RECORDING) l->keep = false;
        else if (what == 3 && l->scalar[0] != 0 && l->scalar[0] != 1 && l->scalar[0] != 2) l->scalar[0] = 2;
        else if (what == 4 && l->data > 255) l->data = (uint64_t)i;
        else continue;
        progress |= accepted(s);
    }
    return progress;
}

void program_shrink(program *p, program_fails *fails, void *context) {
    shrinking s = {.p = p, .fails = fails, .context = context};
    bool progress = true;
    while (progress && s.trials < MOST_TRIALS) {
        progress = try_flags(&s);
        progress |= try_without(&s);
        progress |= try_values(&s);
        progress |= try_shorter_lists(&s);
        progress |= try_extents(&s);
        progress |= try_rank(&s);
        for (int i = 0; i < p->count; i++) progress |= try_plain_line(&s, i);
    }
    program_infer(p);
}
