/* random_vary -- a program much like another, which must not get the other's plan
 *
 * The lines, their number and the part before the mark stay, except for the values of variables. */
#include <string.h>

#include "tests/random_program.h"
#include "tests/support.h"

static uint64_t state;

static int pick(int n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)n);
}

static void vary_data(program *p) {
    int prefix = program_prefix(p);
    for (int i = 0; i < p->count; i++)
        if (i >= prefix || line_is_variable(&p->line[i])) p->line[i].data += 1000003;
}

static void vary_scalar(line *l) {
    for (int i = 0; i < 2; i++) l->scalar[i] = l->scalar[i] == 0 ? 0.5 : l->scalar[i] * 1.25;
    if (l->y_dtype == AG_I64) l->scalar[0] = (double)(int64_t)l->scalar[0];
}

/* Another call of the same signature, if there is one. */
static void vary_form(line *l) {
    for (int tries = 0; tries < 30; tries++) {
        const form *f = &forms[pick(form_count)];
        if (f->signature == l->form->signature && form_kind(f) == form_kind(l->form) && f->kind != KIND_NONE)
            l->form = f;
    }
}

static bool alike(const line *a, const line *b) {
    if (!line_has_value(a) || a->y_dtype != b->y_dtype || a->y_shape.rank != b->y_shape.rank) return false;
    for (int i = 0; i < a->y_shape.rank; i++)
        if (a->y_shape.extent[i] != b->y_shape.extent[i]) return false;
    return true;
}

/* Another operand of the same shape. */
static void vary_wiring(program *p, int i) {
    line *l = &p->line[i];
    if (l->operands == 0 || l->form->signature == SIG_ASSIGN) return;
    int k = pick(l->operands), j = pick(i);
    if (alike(&p->line[j], &p->line[l->x[k]])) l->x[k] = j;
}

static void vary_order(line *l) {
    if (l->operands != 2 || l->form->signature == SIG_ASSIGN) return;
    int x = l->x[0];
    l->x[0] = l->x[1];
    l->x[1] = x;
}

static void vary_axes(line *l) {
    int rank = l->y_shape.rank ? l->y_shape.rank : 1;
    l->number[0] = pick(rank);
    for (int i = 0; i < l->axes.count; i++) l->axes.axis[i] = (l->axes.axis[i] + 1) % rank;
    if (l->form->signature != SIG_RECORDING && pick(2)) l->keep = !l->keep;
    if (pick(2) && l->number[1] > 0 && l->form->signature == SIG_X_AXIS_3N) l->number[1]--;
    if (pick(2) && l->form->signature == SIG_X_AXIS_3N) l->number[3] = -l->number[3];
}

static bool has_scalar(const line *l) {
    signature s = l->form->signature;
    return s == SIG_X_S || s == SIG_S_X || s == SIG_X_SS || s == SIG_X_AXES_S_KEEP || s == SIG_TD_S || s == SIG_TDS_S;
}

static void vary_line(program *p, int i, int how) {
    switch (how) {
    case 0:
        if (has_scalar(&p->line[i])) vary_scalar(&p->line[i]);
        break;
    case 1: vary_form(&p->line[i]); break;
    case 2: vary_wiring(p, i); break;
    case 3: vary_order(&p->line[i]); break;
    default: vary_axes(&p->line[i]); break;
    }
}

/* Elements of the largest value, or multiply-adds of the largest product, counting extents of 0 as 1: gradients may
 * be sums over them. */
static int64_t effort(const program *p) {
    int64_t most = 0;
    for (int i = 0; i < p->count; i++) {
        const line *l = &p->line[i];
        int64_t n = 1;
        if (!line_has_value(l)) continue;
        for (int k = 0; k < l->y_shape.rank; k++) n *= l->y_shape.extent[k] > 1 ? l->y_shape.extent[k] : 1;
        if (l->form->call.ab == ag_matmul) {
            const ag_shape *a = &p->line[l->x[0]].y_shape;
            n *= a->extent[a->rank - 1] > 1 ? a->extent[a->rank - 1] : 1;
        }
        most = n > most ? n : most;
    }
    return most;
}

/* Vary a line behind the prefix, if possible, so that results differ and the program can still be recorded. */
static void vary_some_line(program *p, int prefix) {
    static program changed;
    int how = pick(5);
    for (int tries = 0; tries < 30; tries++) {
        int i = prefix + pick(p->count - prefix);
        const line *before = &p->line[i], *after = &changed.line[i];
        if (before->form->signature < SIG_TD_N) continue;
        changed = *p;
        vary_line(&changed, i, how);
        if (memcmp(before, after, sizeof *before) == 0 || !program_infer(&changed)) continue;
        if (effort(&changed) > 4 * effort(p) + 1000) continue;
        *p = changed;
        return;
    }
}

void program_vary(program *varied, const program *p, uint64_t seed) {
    int prefix = program_prefix(p), changes;
    state = seed * 2 + 1;
    pick(2);
    *varied = *p;
    if (pick(2)) vary_data(varied);
    if (pick(3) == 0) varied->together = !varied->together;
    if (pick(3) == 0 && varied->order > 0) varied->order--;
    for (changes = prefix < p->count ? pick(4) : 0; changes > 0; changes--) vary_some_line(varied, prefix);
}
