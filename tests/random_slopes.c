/* random_slopes -- see random_slopes.h
 *
 * What the library holds constant for a gradient is constant on the line too: its value at the point is put in its place.
 * An assigned value moves with its variable. Central differences at two steps settle nearly all slopes; the others are
 * left to ag_gradcheck, which climbs a ladder of steps and knows kinks: the program is then a function of its leaves.
 * Invariant: a run on the line draws the random numbers of the run at the point. */
#include "tests/random_slopes.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LEAVES = 6, MOST_REAL = 8, ORDERS = 2, STEPS = 4 };

/* Elements of leaves, for ag_gradcheck, which may look at each. */
enum { MOST_ELEMENTS = 2000 };

/* Tolerances, of the sum of the magnitudes of a slope's parts and of what it is of. Where a gradient is steeper than STEEP, and
 * the leaves are about 1, a kink may be nearer than any step that shows a difference. */
static const double TIGHT = 1e-7, NOISE = 1e-11, STEEP = 1e5;

slope_tally slope_totals;

/* A program in f64, at a point. */
typedef struct line_through {
    program p;
    ag_tape *tape;
    ag_mark start;
    int leaves, leaf[MOST_LEAVES]; /* their numbers */
    double *gradient[ORDERS][MOST_LEAVES];
    double *held[MOST_LINES]; /* values at the point: of lines that are constant, and of what a line assigns */
    bool constant[MOST_LINES];
} line_through;

/* ---- In f64 ---- */

/* Values that are no functions of others to gradients; random numbers among them. */
static bool holds_still(const line *l) {
    const callee *f = &l->form->call;
    return l->form->signature == SIG_X && (f->x == ag_stop_gradient || f->x == user_drawn ||
                                           f->x == ag_draw_bernoulli || f->x == user_distinct || f->x == user_picked);
}

static bool is_real(const line *l) { return l->y_dtype == AG_F64; }

/* A variable that is given several values has a gradient that is the sum over them: one by its last value differs. A frozen
 * parameter moves, but nothing moves with it. */
static bool differentiates_assigned(const program *p) {
    for (int i = 0; i < p->count; i++) {
        if (p->line[i].form->signature == SIG_FREEZE) return true;
        if (p->line[i].form->signature != SIG_GRADIENT) continue;
        for (int k = 0; k < p->count; k++)
            if (p->line[k].form->signature == SIG_ASSIGN && p->line[k].x[0] == p->line[i].x[1]) return true;
    }
    return false;
}

/* Equal numbers and those beyond measure would be kinks: leaves have others. */
static bool in_f64(program *p) {
    for (int i = 0; i < p->count; i++) {
        line *l = &p->line[i];
        if (l->dtype == AG_F32) l->dtype = AG_F64;
        if (l->form->signature == SIG_LEAF && l->dtype == AG_F64 && (l->domain == TIES || l->domain == SPECIAL))
            l->domain = ORDINARY;
    }
    bool narrow = false;
    p->order = p->size == SMALL ? 2 : p->order > 1 ? p->order : 1;
    if (!program_infer(p) || differentiates_assigned(p)) return false;
    for (int i = 0; i < p->count; i++) narrow = narrow || (line_has_value(&p->line[i]) && p->line[i].y_dtype == AG_F32);
    return !narrow;
}

/* ---- The point ---- */

static void see_gradient(void *context, const char *what, ag_dtype dtype, int64_t size, const void *bytes) {
    line_through *t = context;
    const bool second = strncmp(what, "second", 6) == 0;
    int number;
    if (dtype != AG_F64 || sscanf(what, second ? "second gradient by v%d" : "gradient by v%d", &number) != 1) return;
    if (!second) t->leaf[t->leaves++] = number;
    int k = 0;
    while (k < t->leaves && t->leaf[k] != number) k++;
    if (k == t->leaves) return;
    double *copy = t->gradient[second][k] = claim((size_t)size * sizeof *copy);
    memcpy(copy, bytes, (size_t)size * sizeof *copy);
}

static void hold(line_through *t, int i, ag_tensor *x) {
    const void *data = ag_data(x);
    if (!data) return;
    t->held[i] = claim((size_t)ag_size(x) * sizeof(double));
    memcpy(t->held[i], data, (size_t)ag_size(x) * sizeof(double));
}

static void find_constants(line_through *t) {
    bool recording = true;
    for (int i = 0; i < t->p.count; i++) {
        const line *l = &t->p.line[i];
        if (l->form->signature == SIG_RECORDING) recording = l->keep;
        t->constant[i] =
            line_has_value(l) && l->form->signature != SIG_LEAF && is_real(l) && (!recording || holds_still(l));
    }
}

/* The program as it is, to hold what is constant. */
static bool hold_constants(line_through *t) {
    ag_tensor *value[MOST_LINES];
    const int prefix = program_prefix(&t->p);
    user_held.holds = true;
    user_held.next = 0;
    for (int i = 0; i < t->p.count && ag_tape_status(t->tape) == AG_OK; i++) {
        const line *l = &t->p.line[i];
        if (i == prefix) ag_tape_seed(t->tape, t->p.seed);
        value[i] = line_record(l, t->tape, value);
        if (l->form->signature == SIG_ASSIGN && is_real(&t->p.line[l->x[0]])) hold(t, i, value[l->x[0]]);
        if (t->constant[i]) hold(t, i, value[i]);
    }
    ag_tape_set_recording(t->tape, true);
    const bool good = ag_tape_status(t->tape) == AG_OK;
    ag_tape_rewind(t->tape, t->start);
    return good;
}

static bool find_point(line_through *t, const program *p, char *report) {
    memset(t, 0, sizeof *t);
    t->p = *p;
    t->tape = ag_tape_new();
    t->start = ag_tape_mark(t->tape);
    if (!in_f64(&t->p)) {
        slope_totals.unlike++;
        return false;
    }
    find_constants(t);
    if (show_results(&t->p, see_gradient, t, report) != AGREES || !hold_constants(t)) {
        slope_totals.untold++;
        return false;
    }
    return t->leaves > 0;
}

static void leave_point(line_through *t) {
    ag_tape_free(t->tape);
    wrapped_free();
    user_let_go();
    for (int k = 0; k < MOST_LEAVES; k++)
        for (int order = 0; order < ORDERS; order++) free(t->gradient[order][k]);
    for (int i = 0; i < MOST_LINES; i++) free(t->held[i]);
}

/* ---- A run elsewhere ---- */

static ag_tensor *constant_of(const line_through *t, const line *l, const double *data) {
    return ag_from(t->tape, AG_F64, l->y_shape, data);
}

static ag_tensor *leaf_of(const line_through *t, const line *l) {
    void *data = leaf_elements(l, l->dtype, &l->shape);
    ag_tensor *x = ag_from(t->tape, l->dtype, l->shape, data);
    free(data);
    return x;
}

/* The variable's next value: as far from that at the point as the variable is. */
static ag_tensor *moved(const line_through *t, int i, ag_tensor *const x[]) {
    const int variable = t->p.line[i].x[0];
    const line *l = &t->p.line[variable];
    int k = 0;
    while (k < t->leaves && t->leaf[k] != variable) k++;
    if (k == t->leaves) return constant_of(t, l, t->held[i]);
    return ag_add(constant_of(t, l, t->held[i]),
                  ag_sub(x[k], leaf_of(t, l))); /* at the point exactly what it is there */
}

/* The program with x in place of the leaves that it is differentiated by. */
static void run_with(const line_through *t, ag_tensor *const x[], ag_tensor *value[]) {
    const int prefix = program_prefix(&t->p);
    user_held.next = 0;
    for (int i = 0, k = 0; i < t->p.count && ag_tape_status(t->tape) == AG_OK; i++) {
        const line *l = &t->p.line[i];
        const bool assigns = l->form->signature == SIG_ASSIGN;
        if (i == prefix) ag_tape_seed(t->tape, t->p.seed);
        if (k < t->leaves && t->leaf[k] == i) value[i] = x[k++];
        else if (l->form->signature == SIG_LEAF) value[i] = leaf_of(t, l);
        else if (line_has_value(l)) value[i] = line_record(l, t->tape, value);
        if (t->constant[i]) value[i] = constant_of(t, l, t->held[i]);
        if (assigns && t->held[i]) value[l->x[0]] = moved(t, i, x);
        else if (assigns) value[l->x[0]] = value[l->x[1]];
    }
}

static ag_tensor *weights_of(const line_through *t, int number, ag_tensor *x) {
    const line l = cotangent_line(&t->p, number);
    ag_shape shape = ag_shape_of(x);
    void *data = leaf_elements(&l, AG_F64, &shape);
    ag_tensor *w = ag_from(t->tape, AG_F64, shape, data);
    free(data);
    return w;
}

/* Tensors and their weights: the sum is what gradients are of. */
typedef struct terms {
    int n;
    ag_tensor *x[MOST_REAL], *w[MOST_REAL];
} terms;

/* The real outputs and their cotangents. */
static terms outputs_of(const line_through *t, ag_tensor *const value[]) {
    terms y = {.n = 0};
    for (int i = 0; i < t->p.count && y.n < MOST_REAL; i++) {
        const line *l = &t->p.line[i];
        if (l->form->signature != SIG_OUTPUT || ag_dtype_of(value[l->x[0]]) != AG_F64) continue;
        y.x[y.n] = value[l->x[0]];
        y.w[y.n] = weights_of(t, y.n, y.x[y.n]);
        y.n++;
    }
    return y;
}

/* The gradients by the leaves, and theirs. */
static terms gradients_of(const line_through *t, ag_tensor *const x[], const terms *y) {
    terms d = {.n = t->leaves};
    if (ag_vjp(y->n, y->x, y->w, t->leaves, x, d.x, 0) != AG_OK) d.n = 0;
    for (int k = 0; k < d.n; k++) d.w[k] = weights_of(t, 100 + k, d.x[k]);
    return d;
}

/* Σ w·x; *size grows by how large the terms are, or could be where they cancel. */
static double sum_of(const terms *y, double *size) {
    double sum = 0;
    for (int i = 0; i < y->n; i++) {
        const double *x = ag_data(y->x[i]), *w = ag_data(y->w[i]);
        for (int64_t e = 0, n = ag_size(y->x[i]); x && w && e < n; e++) {
            sum += w[e] * x[e];
            *size += fabs(w[e]) * (fabs(x[e]) + 1);
        }
    }
    return sum;
}

/* Element e of the line's direction by leaf k. */
static double *direction_of(const line_through *t, int k) {
    const line *l = &t->p.line[t->leaf[k]], along = {.data = l->data ^ t->p.seed * 0x9E3779B97F4A7C15u};
    return leaf_elements(&along, AG_F64, &l->shape);
}

/* The leaves, `step` along the line. */
static void leaves_at(const line_through *t, double step, ag_tensor *x[]) {
    for (int k = 0; k < t->leaves; k++) {
        const line *l = &t->p.line[t->leaf[k]];
        double *data = leaf_elements(l, AG_F64, &l->shape), *v = direction_of(t, k);
        for (int64_t e = 0, n = shape_size(&l->shape); e < n; e++) data[e] += step * v[e];
        x[k] = (line_is_variable(l) ? ag_parameter : ag_from)(t->tape, AG_F64, l->shape, data);
        free(data);
        free(v);
    }
}

static bool has_second(const line_through *t) { return t->gradient[1][0] != NULL; }

/* The sums, at that place, that the program's gradients and their gradients are of, and the sums of their magnitudes. */
static bool sums_at(const line_through *t, double step, double sum[ORDERS], double size[ORDERS]) {
    ag_tensor *value[MOST_LINES] = {NULL}, *x[MOST_LEAVES];
    leaves_at(t, step, x);
    run_with(t, x, value);
    const terms y = outputs_of(t, value), d = has_second(t) ? gradients_of(t, x, &y) : (terms){.n = 0};
    sum[0] = sum_of(&y, &size[0]);
    sum[1] = sum_of(&d, &size[1]);
    const bool good = ag_tape_status(t->tape) == AG_OK;
    ag_clear_error(t->tape);
    ag_tape_rewind(t->tape, t->start);
    wrapped_free();
    return good;
}

/* ---- Slopes ---- */

/* A slope along the line by the gradients, the sum of its parts' magnitudes, its largest element, and what is known of it by
 * differences. */
typedef struct slope {
    double got, parts, steepest, expected, size;
    bool settled, finite;
} slope;

static slope slope_of(const line_through *t, int order) {
    slope s = {.finite = true};
    for (int k = 0; k < t->leaves; k++) {
        const line *l = &t->p.line[t->leaf[k]];
        double *v = direction_of(t, k);
        for (int64_t e = 0, n = shape_size(&l->shape); e < n; e++) {
            const double part = t->gradient[order][k][e] * v[e];
            s.got += part;
            s.parts += fabs(part);
            s.steepest = fmax(s.steepest, fabs(t->gradient[order][k][e]));
        }
        free(v);
    }
    s.finite = isfinite(s.parts);
    return s;
}

static bool near_enough(const slope *s, double rate) {
    return fabs(rate - s->got) <= TIGHT * s->parts + NOISE * s->size;
}

/* The central slope of a step, and its limit by that of the step before, 8 times as long. */
static void note_level(slope *s, int level, double now, double *before) {
    s->finite = s->finite && isfinite(now);
    if (level > 0 && !s->settled) {
        s->expected = now + (now - *before) / 63;
        s->settled = near_enough(s, s->expected);
    }
    *before = now;
}

/* Smaller and smaller steps, until the slopes agree with the gradients. */
static bool climb_down(const line_through *t, int orders, slope s[]) {
    double before[ORDERS] = {0};
    bool settled = false;
    for (int i = 0; i < STEPS && !settled; i++) {
        const double step = ldexp(0x1p-10, -3 * i);
        double up[ORDERS], down[ORDERS], size[ORDERS] = {0};
        if (!sums_at(t, step, up, size) || !sums_at(t, -step, down, size)) return false;
        settled = i > 0;
        for (int k = 0; k < orders; k++) {
            s[k].size = size[k];
            note_level(&s[k], i, (up[k] - down[k]) / (2 * step), &before[k]);
            settled = settled && s[k].settled;
        }
    }
    return true;
}

/* ---- Where two steps do not settle it ---- */

static ag_tensor *as_function(void *context, int n, ag_tensor *const x[]) {
    const line_through *t = context;
    ag_tensor *value[MOST_LINES] = {NULL}, *sum = ag_scalar(t->tape, AG_F64, 0);
    (void)n;
    run_with(t, x, value);
    const terms y = outputs_of(t, value);
    for (int i = 0; i < y.n; i++) sum = ag_add(sum, ag_sum(ag_mul(y.x[i], y.w[i])));
    return sum;
}

/* The slope along the line of gradients d by the leaves. */
static double along(const line_through *t, ag_tensor *const d[]) {
    double got = 0;
    for (int k = 0; k < t->leaves; k++) {
        const double *a = ag_data(d[k]);
        double *v = direction_of(t, k);
        for (int64_t e = 0, n = ag_size(d[k]); a && e < n; e++) got += a[e] * v[e];
        free(v);
    }
    return got;
}

/* Whether the gradients of the program as a function are those of the program itself. */
static bool same_gradients(const line_through *t, ag_tensor *const x[], int orders, const slope s[]) {
    ag_tensor *value[MOST_LINES] = {NULL};
    run_with(t, x, value);
    terms y = outputs_of(t, value);
    bool same = true;
    for (int order = 0; order < orders && same; order++) {
        const terms d = gradients_of(t, x, &y);
        same = near_enough(&s[order], along(t, d.x)) && ag_tape_status(t->tape) == AG_OK;
        y = d;
    }
    return same;
}

/* Whether the numbers are too rough to say anything; those that are nearly within the tolerance are, as a wrong rule is not. */
static bool is_untold(const ag_gradcheck_report *r) {
    static const char *const reasons[] = {"cannot be resolved", "cannot be checked", "beside this point"};
    bool untold = r->ratio < 10;
    for (int i = 0; i < 3; i++) untold = untold || strstr(r->message, reasons[i]);
    return untold;
}

/* Whether ag_gradcheck finds the function right, `step` along the line. */
static bool passes_at(const line_through *t, double step, int orders, ag_gradcheck_report *found) {
    const ag_gradcheck_options options = {.order = orders, .directions = 2, .seed = t->p.seed};
    ag_tensor *x[MOST_LEAVES];
    leaves_at(t, step, x);
    const bool passes = ag_gradcheck(as_function, (void *)t, t->leaves, x, &options, found) == AG_OK;
    ag_clear_error(t->tape);
    ag_tape_rewind(t->tape, t->start);
    return passes;
}

static bool is_one_of(const line *l, int n, const char *const name[]) {
    bool found = false;
    for (int i = 0; i < n; i++) found = found || strcmp(l->form->name, name[i]) == 0;
    return found;
}

static bool has_beyond(ag_tensor *x, double most) {
    const double *data = ag_data(x);
    bool found = false;
    for (int64_t e = 0, n = ag_size(x); data && e < n && !found; e++) found = fabs(data[e]) >= most;
    return found;
}

/* Whether the line has steps or teeth so near to each other that differences see something else between them. */
static bool is_too_fine(const line *l, ag_tensor *y, ag_tensor *const value[]) {
    static const char *const whole[] = {"ag_floor", "ag_ceil", "ag_round", "ag_trunc"};
    static const char *const quotient[] = {"ag_floor_divide", "ag_remainder", "ag_fmod"};
    if (is_one_of(l, 4, whole)) return has_beyond(y, 0x1p50);
    return is_one_of(l, 3, quotient) && has_beyond(ag_div(value[l->x[0]], value[l->x[1]]), 0x1p20);
}

/* Whether all values at the point are numbers with slopes. What is not may be hidden by a choice there, and be anything
 * beside it. */
static bool has_slopes(const line_through *t) {
    ag_tensor *value[MOST_LINES] = {NULL}, *x[MOST_LEAVES];
    bool good = true;
    leaves_at(t, 0, x);
    run_with(t, x, value);
    for (int i = 0; i < t->p.count && good; i++) {
        if (!line_has_value(&t->p.line[i]) || !is_real(&t->p.line[i])) continue;
        const double *data = ag_data(value[i]);
        for (int64_t e = 0, n = ag_size(value[i]); data && e < n && good; e++) good = isfinite(data[e]);
        good = good && !is_too_fine(&t->p.line[i], value[i], value);
    }
    ag_clear_error(t->tape);
    ag_tape_rewind(t->tape, t->start);
    return good;
}

/* A program may be made to meet a kink: where x is what an assignment took from it, or itself less what was held constant.
 * Such a point has generic ones beside it. */
static verdict arbitrate(const line_through *t, int orders, const slope s[], char *report) {
    static ag_gradcheck_report found, beside;
    ag_tensor *x[MOST_LEAVES];
    leaves_at(t, 0, x);
    const bool same = same_gradients(t, x, orders, s);
    ag_clear_error(t->tape);
    ag_tape_rewind(t->tape, t->start);
    if (same && passes_at(t, 0, orders, &found)) {
        ++*(found.kinks > 0 ? &slope_totals.at_kinks : &slope_totals.by_gradcheck);
        return AGREES;
    }
    const int order = s[0].settled ? 1 : 0;
    snprintf(report, REPORT, "the slope of order %d is %.12g by differences, %.12g by the gradients: %s", order + 1,
             s[order].expected, s[order].got, same ? found.message : "as a function the program has other gradients");
    if (!same) return DIFFERS;
    if (is_untold(&found) || !has_slopes(t)) return INVALID;
    if (!passes_at(t, 0x1p-12, orders, &beside)) return DIFFERS;
    slope_totals.at_kinks++;
    return AGREES;
}

/* ---- Jacobian-vector products ---- */

/* Some real value of the program, which the user may hold: number −1 if there is none. */
static int held_value(const line_through *t, uint64_t draw, ag_tensor *const value[]) {
    int list[MOST_LINES], n = 0;
    for (int i = 0; i < t->p.count; i++)
        if (line_has_value(&t->p.line[i]) && is_real(&t->p.line[i]) && ag_size(value[i]) > 0) list[n++] = i;
    return n == 0 ? -1 : list[draw % (uint64_t)n];
}

/* A cotangent made by an operation that rules look through. */
static ag_tensor *made_cotangent(const line_through *t, ag_tensor *y) {
    ag_tensor *w = weights_of(t, 70, y);
    const int last = ag_rank(y) - 1;
    switch (last < 0 || ag_size(y) == 0 ? 0 : t->p.seed / 7 % 5) {
    case 0: return ag_neg(w);
    case 1: return ag_mul(w, ag_mean_over(w, AG_AXES(last), true));
    case 2: return ag_embed(ag_slice(w, last, 0, -1, 1), last, ag_extent(w, last), 1, 1);
    case 3: return ag_broadcast_to(ag_mean_over(w, AG_AXES(last), true), ag_shape_of(w));
    default: return ag_add(w, ag_square(w));
    }
}

/* The gradient of Σ x̄·ẋ by a cotangent ȳ[0], which is dy[0] whatever that was. */
static ag_tensor *by_cotangent(const line_through *t, terms y, ag_tensor *x, ag_tensor *v) {
    ag_tensor *back = NULL, *d = NULL, *held = y.w[0] = made_cotangent(t, y.x[0]);
    ag_vjp(y.n, y.x, y.w, 1, &x, &back, 0);
    ag_vjp(1, &back, &v, 1, &held, &d, 0);
    return d;
}

/* How far the gradient of Σ x̄·ẋ by ū, which is a result of the same call, is from u̇, where u depends on x, and y on u. A
 * cotangent that was given is no result of its own. */
static double by_result(const line_through *t, terms y, ag_tensor *x, ag_tensor *v, ag_tensor *u, double *size) {
    ag_tensor *in[] = {x, u}, *back[2] = {NULL}, *w = weights_of(t, 90, u), *unused;
    terms got = {.n = 1, .w = {w}}, want = got;
    if (x == u || ag_tape_status(t->tape) != AG_OK) return 0;
    if (ag_vjp(1, &u, &w, 1, &x, &unused, AG_STRICT) || ag_vjp(y.n, y.x, y.w, 2, in, back, AG_STRICT)) {
        ag_clear_error(t->tape);
        return 0;
    }
    for (int i = 0; i < y.n; i++)
        if (back[1] == y.w[i]) return 0;
    ag_jvp(1, &u, 1, &x, &v, want.x);
    ag_vjp(1, back, &v, 1, &back[1], got.x, 0);
    return sum_of(&got, size) - sum_of(&want, size);
}

/* Σ ȳ·(dy/dx·ẋ) is Σ x̄·ẋ for any x between leaves and outputs, also at kinks: the first is a gradient by cotangents. */
static bool is_adjoint(const line_through *t, char *report) {
    ag_tensor *value[MOST_LINES] = {NULL}, *leaf[MOST_LEAVES], *dy[MOST_REAL];
    leaves_at(t, 0, leaf);
    run_with(t, leaf, value);
    const terms y = outputs_of(t, value);
    const int number = held_value(t, t->p.seed, value);
    bool good = true;
    if (number >= 0 && y.n > 0) {
        terms back = {.n = 1, .x = {value[number]}, .w = {weights_of(t, 50, value[number])}}, ahead = y;
        ag_tensor *x = value[number];
        double size = 0, parts = 0;
        ag_vjp(y.n, y.x, y.w, 1, &x, back.x, 0);
        ag_jvp(y.n, y.x, 1, &x, back.w, dy);
        for (int i = 0; i < y.n; i++) ahead.x[i] = dy[i];
        const double by_vjp = sum_of(&back, &parts), by_jvp = sum_of(&ahead, &size);
        const terms first = {.n = 1, .x = {dy[0]}, .w = {ahead.w[0]}},
                    other = {.n = 1, .x = {by_cotangent(t, y, x, back.w[0])}, .w = {ahead.w[0]}};
        const int between = held_value(t, t->p.seed / 11, value);
        const double apart = sum_of(&first, &size) - sum_of(&other, &size),
                     astray = by_result(t, y, x, back.w[0], value[between], &size);
        const bool known = ag_tape_status(t->tape) == AG_OK && isfinite(by_vjp) && isfinite(parts + size);
        good = !known || fabs(by_vjp - by_jvp) + fabs(apart) + fabs(astray) <= TIGHT * (parts + size);
        slope_totals.adjoint += known;
        if (!good)
            snprintf(report, REPORT,
                     "v%d, by ag_jvp %.12g, by ag_vjp %.12g, by a cotangent %.12g less, by v%d's %.12g more", number,
                     by_jvp, by_vjp, apart, between, astray);
    }
    ag_clear_error(t->tape);
    ag_tape_rewind(t->tape, t->start);
    wrapped_free();
    return good;
}

static int64_t elements_of(const line_through *t) {
    int64_t n = 0;
    for (int k = 0; k < t->leaves; k++) n += shape_size(&t->p.line[t->leaf[k]].shape);
    return n;
}

static verdict check_point(const line_through *t, char *report) {
    const int orders = has_second(t) ? 2 : 1;
    slope s[ORDERS] = {{.size = 0}};
    for (int k = 0; k < orders; k++) s[k] = slope_of(t, k);
    bool good = climb_down(t, orders, s), settled = true;
    for (int k = 0; k < orders; k++) {
        good = good && s[k].finite && (s[k].settled || (s[k].steepest <= STEEP && elements_of(t) <= MOST_ELEMENTS));
        settled = settled && s[k].settled;
        slope_totals.slopes += s[k].settled;
    }
    const verdict v = !good ? INVALID : settled ? AGREES : arbitrate(t, orders, s, report);
    ++*(v == INVALID ? &slope_totals.untold : &slope_totals.judged);
    return v;
}

verdict check_slopes(const program *p, char *report) {
    static line_through t;
    *report = 0;
    verdict v = INVALID;
    if (find_point(&t, p, report)) {
        v = check_point(&t, report);
        if (v != DIFFERS && !is_adjoint(&t, report)) v = DIFFERS;
    }
    leave_point(&t);
    return v;
}
