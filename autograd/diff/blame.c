/* blame -- which recorded operation makes a gradient wrong
 *
 * The function is recorded again, and each operation between its inputs and its output is checked by itself, at the
 * values that it had. The oldest one that fails is guilty; one whose gradient is 0 by definition only if no other
 * is. */
#include "autograd/diff/gradcheck.h"

#include <math.h>

/* ---- The guilty operation ---- */

enum { FROM = 1, NEEDED = 2, CHECK_BY_ELEMENT = 64, CHECK_DIRECTIONS = 3 };

static unsigned char *path_of(const ag__search *s, const ag_tensor *t) { return &s->path[t->id - s->low]; }

/* Nodes that depend on an input, and that an output depends on. */
static void find_paths(const ag__search *s) {
    const ag__check *c = s->c;
    for (int i = 0; i < c->n; i++) *path_of(s, c->given[i]) |= FROM;
    for (uint32_t id = s->low; id < s->end; id++) {
        const ag_tensor *t = ag__node(c->tape, id);
        for (int i = 0, n = ag__differentiable_inputs(t); i < n; i++)
            if (t->input[i]->id >= s->low) *path_of(s, t) |= *path_of(s, t->input[i]) & FROM;
    }
    for (int i = 0; i < ag__check_outputs(c); i++)
        if (c->out[i]->id >= s->low) *path_of(s, c->out[i]) |= NEEDED;
    if (c->y->id >= s->low) *path_of(s, c->y) |= NEEDED; /* at second order a VJP may not use its output */
    for (uint32_t id = s->end; id-- > s->low;) {
        const ag_tensor *t = ag__node(c->tape, id);
        if (!(*path_of(s, t) & NEEDED)) continue;
        for (int i = 0, n = ag__differentiable_inputs(t); i < n; i++)
            if (t->input[i]->id >= s->low) *path_of(s, t->input[i]) |= NEEDED;
    }
}

void ag__check_forgive(const ag__check *c) {
    const ag_status status = c->tape->status;
    if (!ag__is_passing(status)) ag_clear_error(c->tape);
}

/* One recorded operation alone: its f64 inputs are x, the others as recorded. */
typedef struct replay {
    const ag_tensor *node;
    ag_tensor **in;
} replay;

static ag_tensor *replayed(void *context, int n, ag_tensor *const x[]) {
    const replay *r = context;
    const ag_tensor *t = r->node;
    (void)n;
    for (int i = 0, k = 0; i < t->arity; i++) r->in[i] = t->input[i]->dtype == AG_F64 ? x[k++] : t->input[i];
    return ag_apply(t->op, t->arity, r->in, t->attribute_bytes ? ag__attributes(t) : NULL, t->attribute_bytes);
}

static bool worth_checking(const ag_tensor *t) {
    return t->arity > 0 && !(t->flags & AG__READ) && t->dtype == AG_F64 && t->op->vjp && !(t->op->flags & AG_OP_TIED);
}

/* Whether a node's own VJP (with order 2: that and its gradient) is wrong, at its recorded values. */
static bool node_wrong(ag__search *s, ag_tensor *t, int order, ag__finding *found) {
    ag__check *whole = s->c;
    ag__check c = {.tape = whole->tape,
                   .f = replayed,
                   .options = whole->options,
                   .precision = whole->precision,
                   .few = CHECK_BY_ELEMENT};
    ag_tensor **x = ag__check_room(whole, t->arity, sizeof *x);
    replay r = {t, ag__check_room(whole, t->arity, sizeof *r.in)};
    if (!x || !r.in) return false;
    for (int i = 0; i < t->arity; i++)
        if (t->input[i]->dtype == AG_F64) x[c.n++] = t->input[i];
    if (c.n == 0) return false;
    c.x = x;
    c.context = &r;
    c.options.order = order;
    c.options.directions = CHECK_DIRECTIONS;
    c.options.absolute = 0;
    c.options.kinks_fail = false;
    uint32_t marks = c.tape->mark_count;
    bool differs = ag__check_open(&c) && !ag__check_compare(&c) && c.tape->status == AG_OK &&
                   (c.failed.verdict == AG__DIFFERS || (c.failed.verdict == AG__NOT_FINITE && !isfinite(c.failed.got)));
    ag__check_close(&c, marks, false);
    ag__check_forgive(&c);
    *found = c.failed;
    for (int i = 0, k = 0; differs && i < t->arity; i++) /* from its number among the f64 inputs to that among all */
        if (t->input[i]->dtype == AG_F64 && k++ == c.failed.input) found->input = i;
    return differs;
}

/* Whether the cotangent that a suspect stops is not 0. (logsumexp rightly holds its largest element constant.) */
static bool matters(const ag__check *c, ag_tensor *t) {
    ag__position position = ag__position_now(c->tape);
    ag_tensor *g;
    double reached = 0, size = 0;
    if (t->layout->size && ag_vjp(ag__check_outputs(c), c->out, c->ybar, 1, &t, &g, 0) == AG_OK) {
        const double *a = ag_data(g), *y = ag_data(t);
        for (int64_t i = 0; a && y && i < t->layout->size; i++) {
            reached = fmax(reached, fabs(a[i]));
            size = fmax(size, fabs(y[i]));
        }
    }
    ag__check_forgive(c);
    ag__truncate(c->tape, &position);
    return !(reached * size <= 1e-10 * c->magnitude);
}

static bool is_suspect(const ag_tensor *t) { return t->op->vjp == ag_zero_vjp; }

/* Nodes that are not checked but reported. */
static bool told_of(ag__search *s, ag_tensor *t) {
    if (t->id < s->c->position.count) s->outside = s->outside ? s->outside : t;
    else if (t->flags & AG__DETACHED) s->detached = s->detached ? s->detached : t;
    else return false;
    return true;
}

/* Check each operation on a path, oldest first; true if one is guilty. */
static bool look(ag__search *s, int order) {
    for (uint32_t id = s->low; id < s->end && s->c->tape->status == AG_OK; id++) {
        ag_tensor *t = ag__node(s->c->tape, id);
        ag__finding found;
        if (s->path[id - s->low] != (FROM | NEEDED) || !worth_checking(t) || told_of(s, t)) continue;
        if (order == 2 && t->flags & AG__GRADIENT) continue;
        if (is_suspect(t) && s->suspect) continue;
        if (!node_wrong(s, t, order, &found) || (is_suspect(t) && !matters(s->c, t))) continue;
        *(is_suspect(t) ? &s->suspect : &s->guilty) = t;
        *(is_suspect(t) ? &s->suspicion : &s->found) = found;
        if (!is_suspect(t)) return true;
    }
    return false;
}

/* Record f again, and check its operations. */
static void search_recording(ag__search *s) {
    ag__check *c = s->c;
    if (!ag__check_record(c) || !ag__check_cotangents(c) || ag_eval_all(ag__check_outputs(c), c->out) != AG_OK) return;
    s->low = s->end = c->tape->count;
    for (int i = 0; i < c->n; i++) s->low = c->given[i]->id < s->low ? c->given[i]->id : s->low;
    s->path = ag__check_room(c, (int64_t)(s->end - s->low) + 1, 1);
    if (!s->path) return;
    find_paths(s);
    s->twice = !look(s, 1) && c->order == 2 && look(s, 2);
    s->complete = c->tape->status == AG_OK;
    if (s->guilty || !s->suspect || c->failed.verdict == AG__UNRESOLVED) return;
    s->guilty = s->suspect;
    s->found = s->suspicion;
}

bool ag__check_innocent(ag__check *c) {
    ag__search s = {.c = c};
    search_recording(&s);
    ag__check_forgive(c);
    ag__check_rewind(c, &c->position);
    return s.complete && !s.guilty && !s.outside && !s.detached;
}

/* The recording stays on the tape if a guilty operation is shown in it. */
void ag__check_accuse(ag__search *s) {
    ag__check *c = s->c;
    ag__check_put_back(c);
    for (int i = 0; i < c->n; i++) {
        ag__check_input *in = &c->input[i];
        if (!in->own && !ag__check_put(c, in, in->at)) return;
    }
    search_recording(s);
}
