/* random_check -- see random_check.h */
#include "tests/random_check.h"
#include "autograd/eval/compile.h"
#include "autograd/report/report.h"
#include "tests/random_bound.h"
#include "tests/support.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_RESULTS = 512,
    MOST_X = 6,
    MOST_Y = 8,
    WHAT = 48,
    MOST_FAILURES = 100,
    MOST_ROOM = 256 * 1024,
    USES_UNTIL_CODE = 3,
    EVALUATIONS_REMEMBERED = 15
};

/* ---- One run ---- */

typedef struct result {
    char what[WHAT];
    ag_dtype dtype;
    int64_t size;
    void *bytes;
    const void *shown; /* the pointer that ag_data returned, if it must stay valid */
    ag_tensor *node;   /* on the run's tape */
} result;

typedef struct setting {
    const char *name;
    ag_evaluator evaluator;
    int threads;
    bool eager;
    const char *isa; /* of machine code; NULL: the default, as where AG_ISA or AG_COMPILE is set */
    bool strided;    /* leaves are views with other strides, of the same values */
} setting;

typedef struct run {
    const program *p;
    setting setting;
    ledger ledger;
    ag_tape *tape;
    ag_tensor *value[MOST_LINES];
    ag_mark mark;
    ag_memory at_mark;
    graph graph;
    int count;
    result result[MOST_RESULTS];
    bool retry;   /* an operation that fails out of memory is repeated */
    int64_t room; /* −1; else: bytes left for small values before the allocator is called, and fails once */
    bool again;   /* recording ran out of memory: run the body again */
    char trouble[REPORT];
} run;

double planted_flaw;

static void trouble(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void trouble(run *r, const char *format, ...) {
    if (*r->trouble) return;
    int n = snprintf(r->trouble, sizeof r->trouble, "%s: ", r->setting.name);
    va_list values;
    va_start(values, format);
    vsnprintf(r->trouble + n, sizeof r->trouble - (size_t)n, format, values);
    va_end(values);
}

/* Whether the error is that of the allocation made to fail: it is then cleared. */
static bool was_memory(run *r) {
    if (!r->retry || ag_tape_status(r->tape) != AG_ERR_MEMORY) return false;
    ag_clear_error(r->tape);
    return true;
}

static bool good(run *r) {
    if (was_memory(r)) r->again = true;
    if (ag_tape_status(r->tape) != AG_OK) trouble(r, "%s", ag_tape_error(r->tape));
    return !*r->trouble && !r->again;
}

/* Small values are cut from large slabs, so that the allocator is rarely called: this uses a slab up. */
static void leave_little_room(run *r) {
    ag__slab *slab = r->tape->slabs;
    ledger *l = &r->ledger;
    if (r->room < 0 || l->failed || !slab) return;
    size_t room = (size_t)r->room / 64 * 64; /* small values are aligned */
    if (slab->used + room < slab->capacity) slab->used = slab->capacity - room;
    l->fail_at = l->calls + 1;
}

static const void *data_despite(run *r, ag_tensor *x) {
    leave_little_room(r);
    const void *data = ag_data(x);
    return !data && was_memory(r) ? ag_data(x) : data;
}

static void capture(run *r, ag_tensor *x, ag_tensor *node, const char *what, int number) {
    if (!good(r)) return;
    const void *data = data_despite(r, x);
    if (!good(r)) return;
    if (r->count == MOST_RESULTS) ck_abort_msg("too many results");
    result *y = &r->result[r->count++];
    *y = (result){.dtype = ag_dtype_of(x), .size = ag_size(x), .node = node};
    snprintf(y->what, sizeof y->what, what, number);
    size_t bytes = (size_t)y->size * ag_dtype_size(y->dtype);
    y->bytes = claim(bytes);
    memcpy(y->bytes, data, bytes);
    if (!(x->flags & AG__VARIABLE)) y->shown = data;
}

/* The memory that ag_data returned lasts until the rewind. */
static bool shown_stays(const run *r, char *report) {
    for (int i = 0; i < r->count; i++) {
        const result *y = &r->result[i];
        if (!y->shown || memcmp(y->shown, y->bytes, (size_t)y->size * ag_dtype_size(y->dtype)) == 0) continue;
        snprintf(report, REPORT, "the memory that ag_data returned for %s was overwritten", y->what);
        return false;
    }
    return true;
}

static void forget_results(run *r) {
    for (int i = 0; i < r->count; i++) free(r->result[i].bytes);
    r->count = 0;
    r->graph.assignments = 0;
}

/* ---- Parts of a run ---- */

static void note_assignment(run *r, const line *l) {
    const ag_tensor *v = r->value[l->x[0]];
    if (ag_tape_status(r->tape) != AG_OK || r->setting.eager || r->graph.assignments == 512) return;
    r->graph.assignment[r->graph.assignments++] = (assigned){v, ag__variable_of(v)->pending, r->tape->count};
}

static void run_lines(run *r, int from, int to) {
    for (int i = from; i < to && good(r); i++) {
        const line *l = &r->p->line[i];
        r->value[i] = line_record(l, r->tape, r->value);
        if (l->form->signature == SIG_LOOK) capture(r, r->value[l->x[0]], r->value[l->x[0]], "v%d on the way", l->x[0]);
        if (l->form->signature == SIG_ASSIGN) note_assignment(r, l);
    }
    ag_tape_set_recording(r->tape, true);
    for (int i = 0; i < program_prefix(r->p) && i < to; i++)
        if (ag_is_frozen(r->value[i])) ag_freeze(r->value[i], false);
}

/* Whether leaf i can be another tensor: not where it is given values or frozen, or where ag_backward wants it. */
static bool replaceable(const program *p, int i) {
    const line *l = &p->line[i];
    if (l->form->signature != SIG_LEAF || (p->backward && line_is_variable(l))) return false;
    for (int k = 0; k < p->count; k++) {
        const signature s = p->line[k].form->signature;
        if ((s == SIG_ASSIGN || s == SIG_FREEZE) && p->line[k].x[0] == i) return false;
    }
    return true;
}

/* x as a view with other strides: of every second element, turned around, or turned, by its number. */
static ag_tensor *strided(ag_tensor *x, int number) {
    const int rank = ag_shape_of(x).rank;
    ag_tensor *pair[] = {x, ag_zeros(ag_tape_of(x), ag_dtype_of(x), ag_shape_of(x))};
    if (number % 3 == 0) return ag_squeeze(ag_slice(ag_stack(2, pair, rank), rank, 0, 1, 1), AG_AXES(rank));
    for (int i = 0; i < rank && number % 3 == 1; i++) x = ag_flip(x, i);
    x = ag_contiguous(rank > 1 ? ag_transpose(x, 0, rank - 1) : x);
    x = rank > 1 ? ag_transpose(x, 0, rank - 1) : x;
    for (int i = 0; i < rank && number % 3 == 1; i++) x = ag_flip(x, i);
    return x;
}

/* In place of variables there are then constants. */
static void make_strided(run *r) {
    for (int i = 0; i < program_prefix(r->p) && good(r); i++) {
        const line *l = &r->p->line[i];
        if (!replaceable(r->p, i) || ag_shape_of(r->value[i]).rank == AG_MAX_RANK) continue;
        void *data = leaf_elements(l, l->dtype, &l->shape);
        r->value[i] = strided(ag_from(r->tape, l->dtype, l->shape, data), i + (int)(r->p->seed / 32 % 3));
        free(data);
    }
}

static int find_outputs(run *r, bool real, int number[MOST_Y]) {
    int n = 0;
    for (int i = 0; i < r->p->count && n < MOST_Y; i++) {
        const line *l = &r->p->line[i];
        if (l->form->signature == SIG_OUTPUT && (!real || ag__is_real((int)ag_dtype_of(r->value[l->x[0]]))))
            number[n++] = l->x[0];
    }
    return n;
}

/* Real leaves; only parameters for ag_backward. */
static int find_leaves(run *r, bool parameters, int number[MOST_X]) {
    int n = 0;
    for (int i = 0; i < r->p->count && n < MOST_X; i++) {
        const line *l = &r->p->line[i];
        bool fits = parameters ? l->form->call.leaf == ag_parameter : l->form->signature == SIG_LEAF;
        if (fits && ag__is_real((int)l->dtype)) number[n++] = i;
    }
    return n;
}

line cotangent_line(const program *p, int number) { return (line){.data = p->seed * 977 + (uint64_t)number * 131}; }

static ag_tensor *weights(run *r, ag_dtype dtype, ag_shape shape, int number) {
    const line l = cotangent_line(r->p, number);
    void *data = leaf_elements(&l, dtype, &shape);
    ag_tensor *w = ag_from(r->tape, dtype, shape, data);
    free(data);
    return w;
}

/* Σ of all elements of all y, weighted, in f64. */
static ag_tensor *weighted_sum(run *r, int n, ag_tensor *const y[], int number) {
    ag_tensor *sum = NULL;
    for (int i = 0; i < n; i++) {
        ag_tensor *w = weights(r, ag_dtype_of(y[i]), ag_shape_of(y[i]), number + i);
        ag_tensor *term = ag_cast(ag_sum(ag_mul(y[i], w)), AG_F64);
        sum = sum ? ag_add(sum, term) : term;
    }
    return sum;
}

typedef struct gradients {
    int nx, number[MOST_X];
    ag_tensor *x[MOST_X], *first[MOST_X], *second[MOST_X];
    bool has_first, has_second;
} gradients;

static void record_backward(run *r, gradients *d, int ny, ag_tensor *const y[]) {
    ag_tensor *loss = weighted_sum(r, ny, y, 0);
    if (!ag_requires_grad(loss)) return;
    ag_backward(loss);
    for (int i = 0; i < d->nx; i++) d->first[i] = ag_gradient(d->x[i]);
    ag_zero_gradients(r->tape);
    d->has_first = true;
}

static void record_vjp(run *r, gradients *d, int ny, ag_tensor *const y[]) {
    ag_tensor *ybar[MOST_Y];
    for (int i = 0; i < ny; i++) ybar[i] = weights(r, ag_dtype_of(y[i]), ag_shape_of(y[i]), i);
    d->has_first = ag_vjp(ny, y, ybar, d->nx, d->x, d->first, 0) == AG_OK;
}

static void record_first(run *r, gradients *d) {
    int number[MOST_Y], ny = find_outputs(r, true, number);
    ag_tensor *y[MOST_Y];
    for (int i = 0; i < ny; i++) y[i] = r->value[number[i]];
    d->nx = find_leaves(r, r->p->backward, d->number);
    for (int i = 0; i < d->nx; i++) d->x[i] = r->value[d->number[i]];
    if (r->p->order < 1 || ny == 0 || d->nx == 0 || !good(r)) return;
    if (r->p->backward) record_backward(r, d, ny, y);
    else record_vjp(r, d, ny, y);
}

static void record_second(run *r, gradients *d) {
    if (r->p->order < 2 || !d->has_first || !good(r)) return;
    ag_tensor *sum = weighted_sum(r, d->nx, d->first, 100);
    d->has_second = ag_grad(sum, d->nx, d->x, d->second) == AG_OK;
}

static void capture_outputs(run *r) {
    int number[MOST_Y], n = find_outputs(r, false, number);
    for (int i = 0; i < n; i++) capture(r, r->value[number[i]], r->value[number[i]], "output v%d", number[i]);
}

static void capture_gradients(run *r, const gradients *d, bool second) {
    if (second ? !d->has_second : !d->has_first) return;
    ag_tensor *const *dx = second ? d->second : d->first;
    for (int i = 0; i < d->nx; i++)
        capture(r, dx[i], dx[i], second ? "second gradient by v%d" : "gradient by v%d", d->number[i]);
}

/* The last version of a variable stands for it: it has the variable's value. */
static void capture_variables(run *r) {
    for (int i = 0; i < r->p->count; i++) {
        if (!line_is_variable(&r->p->line[i])) continue;
        ag_tensor *node = r->value[i];
        for (int k = 0; k < r->graph.assignments; k++)
            if (r->graph.assignment[k].variable == r->value[i]) node = r->graph.assignment[k].value;
        capture(r, r->value[i], node, "variable v%d", i);
    }
}

static void evaluate_together(run *r, const gradients *d) {
    ag_tensor *all[MOST_Y + 2 * MOST_X];
    int number[MOST_Y], n = find_outputs(r, false, number);
    for (int i = 0; i < n; i++) all[i] = r->value[number[i]];
    for (int i = 0; d->has_first && i < d->nx; i++) all[n++] = d->first[i];
    for (int i = 0; d->has_second && i < d->nx; i++) all[n++] = d->second[i];
    if (!good(r)) return;
    leave_little_room(r);
    if (ag_eval_all(n, all) != AG_OK && was_memory(r)) ag_eval_all(n, all);
}

static void run_body(run *r) {
    gradients d = {0};
    int number[MOST_Y];
    user_flaw_shows = r->setting.evaluator == AG_EVALUATOR_FUSED ? planted_flaw : 0;
    ag_tape_seed(r->tape, r->p->seed);
    run_lines(r, program_prefix(r->p), r->p->count);
    if (!r->p->together && good(r) && find_outputs(r, false, number) > 0) capture_outputs(r);
    record_first(r, &d);
    if (!r->p->together) capture_gradients(r, &d, false);
    record_second(r, &d);
    if (r->p->together) {
        evaluate_together(r, &d);
        capture_outputs(r);
        capture_gradients(r, &d, false);
    }
    capture_gradients(r, &d, true);
    capture_variables(r);
    good(r);
    ag_tape_set_recording(r->tape, true);
    user_flaw_shows = 0;
}

/* ---- A whole run ---- */

static void choose_isa(ag_tape *t, const char *isa) {
    if (!isa || getenv("AG_ISA") || getenv("AG_COMPILE")) return;
    t->isa = ag__isa_of(isa);
    t->compile = t->isa != NULL;
}

static void run_open(run *r, const program *p, setting s) {
    memset(r, 0, sizeof *r);
    r->p = p;
    r->setting = s;
    r->room = -1;
    ledger_open(&r->ledger);
    r->tape = r->graph.tape = ag_tape_new_with(&r->ledger.allocator);
    ag_tape_set_evaluator(r->tape, s.evaluator);
    ag_tape_set_threads(r->tape, s.threads);
    ag_tape_set_eager(r->tape, s.eager);
    choose_isa(r->tape, s.isa);
    run_lines(r, 0, program_prefix(p));
    if (s.strided) make_strided(r);
    r->mark = ag_tape_mark(r->tape);
    r->at_mark = ag_tape_memory(r->tape);
}

static void run_close(run *r) {
    forget_results(r);
    ag_tape_free(r->tape);
    if (r->ledger.outstanding) trouble(r, "%lld bytes were not given back", (long long)r->ledger.outstanding);
}

/* Restore every variable. */
static void reset_variables(run *r) {
    for (int i = 0; i < program_prefix(r->p); i++) {
        const line *l = &r->p->line[i];
        if (!line_is_variable(l)) continue;
        void *data = leaf_elements(l, l->dtype, &l->shape);
        ag_set(r->value[i], data);
        free(data);
    }
}

static void rewind_body(run *r) {
    forget_results(r);
    r->again = false;
    if (ag_tape_rewind(r->tape, r->mark) != AG_OK && !was_memory(r)) good(r);
    reset_variables(r); /* two of them may have shared one value */
    if (was_memory(r)) reset_variables(r);
    ag_memory now = ag_tape_memory(r->tape);
    if (now.live != r->at_mark.live)
        trouble(r, "%lld bytes of values after the rewind, %lld before", (long long)now.live,
                (long long)r->at_mark.live);
    if (now.nodes != r->at_mark.nodes) trouble(r, "%lld nodes are left", (long long)(now.nodes - r->at_mark.nodes));
    good(r);
}

/* ---- Comparing ---- */

tally totals;

static bool same_element(const result *a, const result *b, int64_t i) {
    size_t bytes = ag_dtype_size(a->dtype);
    double u = element_at(a->dtype, a->bytes, i), v = element_at(b->dtype, b->bytes, i);
    return (isnan(u) && isnan(v)) ||
           memcmp((char *)a->bytes + (size_t)i * bytes, (char *)b->bytes + (size_t)i * bytes, bytes) == 0;
}

/* The first element that differs; −1: none. */
static int64_t first_difference(const result *a, const result *b) {
    if (memcmp(a->bytes, b->bytes, (size_t)a->size * ag_dtype_size(a->dtype)) == 0) return -1;
    for (int64_t i = 0; i < a->size; i++)
        if (!same_element(a, b, i)) return i;
    return -1;
}

/* The largest difference, and its element; infinite if only one is finite. */
static double distance(const result *a, const result *b, int64_t *at) {
    double most = -1;
    for (int64_t i = 0; i < a->size; i++) {
        if (same_element(a, b, i)) continue;
        double u = element_at(a->dtype, a->bytes, i), v = element_at(b->dtype, b->bytes, i);
        double d = isfinite(u) && isfinite(v) ? fabs(u - v) : INFINITY;
        if (d > most) most = d, *at = i;
    }
    return most;
}

static void describe(char *report, const run *a, const run *b, int i, int64_t at, const char *why) {
    const result *p = &a->result[i], *q = &b->result[i];
    double u = element_at(p->dtype, p->bytes, at), v = element_at(q->dtype, q->bytes, at);
    snprintf(report, REPORT, "%s, element %lld of %lld: %.17g (%a) %s, %.17g (%a) %s%s", p->what, (long long)at,
             (long long)p->size, u, u, a->setting.name, v, v, b->setting.name, why);
}

static bool results_alike(const run *a, const run *b, char *report) {
    if (a->count != b->count) {
        snprintf(report, REPORT, "%d results %s, %d %s", a->count, a->setting.name, b->count, b->setting.name);
        return false;
    }
    for (int i = 0; i < a->count; i++) {
        const result *p = &a->result[i], *q = &b->result[i];
        if (p->size == q->size && p->dtype == q->dtype && strcmp(p->what, q->what) == 0) continue;
        snprintf(report, REPORT, "%s %s is %s %s", p->what, a->setting.name, q->what, b->setting.name);
        return false;
    }
    return true;
}

static bool bitwise(const run *a, const run *b, char *report) {
    if (!results_alike(a, b, report)) return false;
    for (int i = 0; i < a->count; i++) {
        int64_t at = first_difference(&a->result[i], &b->result[i]);
        if (at < 0) continue;
        describe(report, a, b, i, at, "");
        return false;
    }
    totals.results += a->count;
    return true;
}

/* Results that differ must be loose, and within their bounds. `b` is the reference's run, its tape unchanged. */
static bool differences_bounded(const run *a, const run *b, int n, const int which[], char *report) {
    ag_tensor *node[MOST_RESULTS];
    bool loose[MOST_RESULTS];
    double bound[MOST_RESULTS];
    for (int i = 0; i < n; i++) node[i] = b->result[which[i]].node;
    find_loose(&b->graph, n, node, loose);
    for (int i = 0; i < n; i++)
        if (!loose[i]) {
            int at = which[i];
            describe(report, a, b, at, first_difference(&a->result[at], &b->result[at]),
                     ", which must be the same bits");
            return false;
        }
    if (!find_bounds(&b->graph, n, node, bound)) {
        snprintf(report, REPORT, "computing the graph again gives other values");
        return false;
    }
    for (int i = 0; i < n; i++) {
        int64_t at = 0;
        double far = distance(&a->result[which[i]], &b->result[which[i]], &at);
        char why[80];
        snprintf(why, sizeof why, ": %g apart, beyond %g", far, bound[i]);
        totals.beyond_measure += isinf(bound[i]);
        if (far > bound[i]) {
            describe(report, a, b, which[i], at, why);
            return false;
        }
        if (isfinite(bound[i]) && bound[i] > 0) totals.closest = fmax(totals.closest, far / bound[i]);
    }
    totals.within_bound += n;
    return true;
}

/* Whether a line is an operation for strided values alone: terms of a gradient are then added up in another order. */
static bool copies_what_is_strided(const program *p) {
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->line[i].form->name, "ag_contiguous") == 0) return true;
    return false;
}

/* A copy is a value of its own where the input is strided, and else the input itself: gradients by it differ. */
static bool strides_change_gradients(const program *p) {
    bool differentiates = false;
    for (int i = 0; i < p->count; i++) differentiates |= p->line[i].form->signature == SIG_GRADIENT;
    return differentiates && copies_what_is_strided(p);
}

static bool has_only_numbers(const run *r) {
    for (int i = 0; i < r->count; i++) {
        const result *y = &r->result[i];
        for (int64_t k = 0; k < y->size; k++)
            if (!isfinite(element_at(y->dtype, y->bytes, k))) return false;
    }
    return true;
}

/* Sums of strided leaves may be in another order, in which others of infinities and zeros may meet. */
static bool agree(const run *a, const run *b, char *report) {
    const unsigned usual = loose_classes;
    int n = 0, which[MOST_RESULTS];
    if (!results_alike(a, b, report)) return false;
    if (a->setting.strided && a->p->wild && !(has_only_numbers(a) && has_only_numbers(b))) return true;
    if (a->setting.strided) loose_classes |= LOOSE_SUMS | LOOSE_PRODUCTS;
    if (a->setting.strided && copies_what_is_strided(a->p)) loose_classes |= LOOSE_ARITHMETIC;
    for (int i = 0; i < a->count; i++)
        if (first_difference(&a->result[i], &b->result[i]) >= 0) which[n++] = i;
    totals.results += a->count - n;
    const bool good = n == 0 || differences_bounded(a, b, n, which, report);
    loose_classes = usual;
    return good;
}

/* ---- One program ---- */

static const setting by_reference = {"by the reference", AG_EVALUATOR_REFERENCE, 1, false, NULL, false},
                     fused = {"fused", AG_EVALUATOR_FUSED, 1, false, NULL, false},
                     on_two_threads = {"fused, on two threads", AG_EVALUATOR_FUSED, 2, false, "avx2", false},
                     automatically = {"automatically", AG_EVALUATOR_AUTOMATIC, 1, false, NULL, false},
                     eagerly = {"fused, eagerly", AG_EVALUATOR_FUSED, 1, true, "none", false},
                     with_other_strides[] = {
                         {"by the reference, of other strides", AG_EVALUATOR_REFERENCE, 1, false, NULL, true},
                         {"fused, of other strides", AG_EVALUATOR_FUSED, 1, false, NULL, true}};

/* Programs with an even seed run until they are machine code: half of them of each instruction set. */
static setting again(uint64_t seed) {
    static const setting by_set[] = {
        {"fused again", AG_EVALUATOR_FUSED, 1, false, "avx512", false},
        {"fused again, by AVX2 if that is there", AG_EVALUATOR_FUSED, 1, false, "avx2", false}};
    return by_set[seed / 2 % 2];
}

/* Whether both must have the same bits: both by plans, or both by the reference. */
static bool alike(const run *a, const run *b) {
    if (a->setting.strided != b->setting.strided) return false;
    return (a->setting.evaluator == AG_EVALUATOR_REFERENCE) == (b->setting.evaluator == AG_EVALUATOR_REFERENCE);
}

static verdict failed(run *r, verdict v, char *report) {
    snprintf(report, REPORT, "%s", r->trouble);
    return v;
}

/* Run p on another tape and compare with r: with bounds if one is by the reference, else bit for bit. */
static verdict check_other(const program *p, const run *r, setting s, char *report) {
    static run other;
    run_open(&other, p, s);
    run_body(&other);
    totals.runs++;
    verdict v = *other.trouble             ? failed(&other, FAILS, report)
                : alike(r, &other)         ? bitwise(&other, r, report) ? AGREES : DIFFERS
                : agree(&other, r, report) ? AGREES
                                           : DIFFERS;
    if (v == AGREES && !shown_stays(&other, report)) v = DIFFERS;
    run_close(&other);
    return v == AGREES && *other.trouble ? failed(&other, LEAKS, report) : v;
}

/* Run p again on a tape that has run another program; its results must be those of `kept`, with bounds if that was
 * run by the reference. */
static verdict check_body(run *r, const program *p, const run *kept, char *report) {
    r->p = p;
    reset_variables(r);
    run_body(r);
    totals.runs++;
    if (*r->trouble) return failed(r, FAILS, report);
    verdict v = (alike(kept, r) ? bitwise(r, kept, report) : agree(r, kept, report)) ? AGREES : DIFFERS;
    if (v == AGREES && !shown_stays(r, report)) v = DIFFERS;
    rewind_body(r);
    return v == AGREES && *r->trouble ? failed(r, LEAKS, report) : v;
}

/* A variation of p on r's tape agrees with the reference. One that the reference refuses is skipped. A planted flaw is
 * looked for in p alone: in a variation it may be in a result that is not loose. */
static verdict check_variation(run *r, const program *p, char *report) {
    static program varied;
    static run reference;
    if (planted_flaw > 0) varied = *p;
    else program_vary(&varied, p, p->seed);
    run_open(&reference, &varied, by_reference);
    run_body(&reference);
    totals.runs++;
    verdict v = *reference.trouble ? AGREES : check_body(r, &varied, &reference, report);
    totals.variations += !*reference.trouble;
    run_close(&reference);
    return v;
}

/* A loop of p does not allocate in the end. Plans are dropped at first; the heap may then arrange itself anew a few times. */
static verdict check_loop(run *r, const program *p, const run *kept, char *report) {
    verdict v = AGREES;
    bool steady = false;
    for (int i = 0; v == AGREES && !steady; i++) {
        const int64_t calls = r->ledger.calls;
        v = check_body(r, p, kept, report);
        steady = i >= USES_UNTIL_CODE && r->ledger.calls == calls;
        if (v != AGREES || steady || i < 4 * USES_UNTIL_CODE) continue;
        snprintf(report, REPORT, "%lld allocations in a steady loop", (long long)(r->ledger.calls - calls));
        v = LEAKS;
    }
    return v;
}

/* A loop of more results than evaluations are remembered plans some anew each time. */
static bool may_loop(const run *kept) { return kept->count <= EVALUATIONS_REMEMBERED && !AG_TINY_LIMITS; }

/* On one tape, each time after a rewind: p for so many times, a variation and p again, and a loop of p. `kept` has p's
 * results. */
static verdict check_repetition(const run *kept, const program *p, int uses, bool varied, bool loops, char *report) {
    static run r;
    verdict v = AGREES;
    run_open(&r, p, again(p->seed));
    for (int i = 0; v == AGREES && i < uses; i++) v = check_body(&r, p, kept, report);
    if (v == AGREES && varied) v = check_variation(&r, p, report);
    if (v == AGREES && varied) v = check_body(&r, p, kept, report);
    totals.with_code += r.tape->programs != NULL;
    if (v == AGREES && loops && may_loop(kept)) v = check_loop(&r, p, kept, report);
    run_close(&r);
    return v == AGREES && *r.trouble ? failed(&r, LEAKS, report) : v;
}

/* The reference at first, and a plan once it has recurred often enough: always the bits of a plan. */
static verdict check_automatic(const run *kept, const program *p, char *report) {
    enum { VISITS = 4 };
    static run r;
    verdict v = AGREES;
    run_open(&r, p, automatically);
    for (int i = 0; v == AGREES && i < VISITS; i++) v = check_body(&r, p, kept, report);
    run_close(&r);
    return v == AGREES && *r.trouble ? failed(&r, LEAKS, report) : v;
}

int64_t seen[1024];

static void count_operations(const ag_tape *t) {
    static const ag_op *last;
    static int last_index;
    for (uint32_t id = 0; id < t->count; id++) {
        const ag_op *op = ag__node(t, id)->op;
        if (op != last) {
            last = op;
            for (last_index = 0; last_index < ag_op_count() && ag_op_at(last_index) != op;) last_index++;
        }
        seen[last_index]++;
    }
}

static verdict check_fused(const program *p, const run *reference, char *report) {
    static run first;
    run_open(&first, p, fused);
    run_body(&first);
    totals.runs++;
    verdict v = *first.trouble ? failed(&first, FAILS, report) : agree(&first, reference, report) ? AGREES : DIFFERS;
    if (v == AGREES && !shown_stays(&first, report)) v = DIFFERS;
    if (v == AGREES) v = check_repetition(&first, p, p->seed % 2 ? 1 : USES_UNTIL_CODE, true, p->seed % 8 == 2, report);
    if (v == AGREES && (p->size == LARGE || p->seed % (p->size == BROAD ? 2 : 4) == 0))
        v = check_other(p, &first, on_two_threads, report);
    if (v == AGREES && p->seed % 2 == 1) v = check_automatic(&first, p, report);
    if (v == AGREES && p->seed % 8 == 1) v = check_other(p, reference, eagerly, report);
    if (v == AGREES && p->seed % 4 == 2) v = check_other(p, reference, with_other_strides[p->seed / 4 % 2], report);
    run_close(&first);
    return v == AGREES && *first.trouble ? failed(&first, LEAKS, report) : v;
}

verdict check_program(const program *p, char *report) {
    static run reference;
    *report = 0;
    run_open(&reference, p, by_reference);
    run_body(&reference);
    totals.runs++;
    verdict v = *reference.trouble ? failed(&reference, INVALID, report) : check_fused(p, &reference, report);
    count_operations(reference.tape);
    run_close(&reference);
    if (!wrapped_free() && v == AGREES) {
        snprintf(report, REPORT, "memory lent to ag_wrap was written to");
        v = DIFFERS;
    }
    return v;
}

/* Random numbers, and what other libraries do not have: constants to the rest of the program. */
static bool is_drawn(const line *l) {
    const callee *f = &l->form->call;
    return f->tds_ss == ag_uniform || f->tds_ss == ag_normal || f->x == user_drawn || f->x == ag_draw_bernoulli ||
           f->x == user_distinct || f->x == user_picked;
}

verdict show_results(const program *p, see_result *see, void *context, char *report) {
    static run r;
    run_open(&r, p, p->size == LARGE || p->seed % 4 == 0 ? on_two_threads : fused);
    run_body(&r);
    for (int i = 0; i < p->count; i++)
        if (is_drawn(&p->line[i])) capture(&r, r.value[i], r.value[i], "drawn v%d", i);
    for (int i = 0; i < r.count && !*r.trouble; i++)
        see(context, r.result[i].what, r.result[i].dtype, r.result[i].size, r.result[i].bytes);
    const verdict v = *r.trouble ? failed(&r, FAILS, report) : AGREES;
    run_close(&r);
    wrapped_free();
    return v;
}

/* ---- Failing allocations ---- */

/* Runs p with one failing allocation, in its first run or in the one that makes machine code: number k or, for k =
 * 0, the first of an evaluation that needs more than `room` for small values. False if no allocation failed. The
 * failed operation is repeated on the same tape, and the results must be those of `want`. */
static bool check_without_memory(const program *p, int64_t k, int64_t room, const run *want, char *report) {
    static run r;
    run_open(&r, p, fused);
    for (int i = 1; p->seed % 2 && i < USES_UNTIL_CODE; i++) {
        run_body(&r);
        rewind_body(&r);
    }
    r.retry = true;
    if (k > 0) r.ledger.fail_at = r.ledger.calls + k;
    else r.room = room;
    run_body(&r);
    if (r.again) {
        rewind_body(&r);
        run_body(&r);
    }
    if (*r.trouble) snprintf(report, REPORT, "%s", r.trouble);
    else agree(&r, want, report); /* without memory for plans, the reference evaluator may have run */
    rewind_body(&r);
    bool reached = r.ledger.failed;
    run_close(&r);
    if (*r.trouble && !*report) snprintf(report, REPORT, "%s", r.trouble);
    wrapped_free();
    return reached;
}

verdict check_allocations(const program *p, char *report) {
    static run want;
    *report = 0;
    run_open(&want, p, by_reference);
    run_body(&want);
    verdict v = *want.trouble ? INVALID : AGREES;
    char why[REPORT];
    snprintf(why, sizeof why, "%s", want.trouble);
    int64_t step = want.ledger.calls / MOST_FAILURES + 1;
    for (int64_t k = 1; !*why && check_without_memory(p, k, 0, &want, why); k += step)
        if (*why) snprintf(report, REPORT, "when allocation %lld fails: %.1000s", (long long)k, why);
    for (int64_t room = (int64_t)(p->seed % 8) * 32; room < MOST_ROOM && !*why; room += 64 + room / 8) {
        if (!check_without_memory(p, 0, room, &want, why)) break;
        if (*why) snprintf(report, REPORT, "with room for %lld bytes: %.1000s", (long long)room, why);
    }
    if (v == AGREES && *why) v = FAILS;
    run_close(&want);
    wrapped_free();
    return v;
}

/* One failing allocation, by the program's seed: of any number, or the first that small values need. */
static verdict check_failure(const program *p, const run *want, char *report) {
    const uint64_t lot = p->seed * 0x9E3779B97F4A7C15u >> 32;
    if (lot % 4) check_without_memory(p, 1 + (int64_t)(lot / 4) % (2 * want->ledger.calls), 0, want, report);
    else check_without_memory(p, 0, (int64_t)(64 + 8 * (lot / 4 % 8)) << lot / 32 % 12, want, report);
    return *report ? FAILS : AGREES;
}

/* ---- One property ---- */

static bool reference_refuses(const program *p) {
    static run r;
    run_open(&r, p, by_reference);
    run_body(&r);
    const bool refuses = *r.trouble;
    run_close(&r);
    return refuses;
}

/* `kept` has p's results, by the reference or fused. */
static verdict check_against(const run *kept, const program *p, property which, char *report) {
    switch (which) {
    case BY_PLANS: return check_other(p, kept, fused, report);
    case AS_CODE: return check_repetition(kept, p, USES_UNTIL_CODE, false, false, report);
    case VARIED: return check_repetition(kept, p, 1, true, false, report);
    case LOOPED: return check_repetition(kept, p, 1, false, true, report);
    case ON_THREADS: return check_other(p, kept, on_two_threads, report);
    case AUTOMATICALLY: return check_automatic(kept, p, report);
    case EAGERLY: return check_other(p, kept, eagerly, report);
    case STRIDED:
        if (strides_change_gradients(p)) return AGREES;
        return check_other(p, kept, with_other_strides[p->seed / 4 % 2], report);
    default: return check_failure(p, kept, report);
    }
}

verdict check_property(const program *p, property which, char *report) {
    static run kept;
    const bool by_plans =
        which == AS_CODE || which == VARIED || which == LOOPED || which == ON_THREADS || which == AUTOMATICALLY;
    *report = 0;
    run_open(&kept, p, by_plans ? fused : by_reference);
    run_body(&kept);
    verdict v = *kept.trouble ? failed(&kept, !by_plans || reference_refuses(p) ? INVALID : FAILS, report)
                : shown_stays(&kept, report) ? check_against(&kept, p, which, report)
                                             : DIFFERS;
    run_close(&kept);
    if (v == AGREES && *kept.trouble) v = failed(&kept, LEAKS, report);
    if (!wrapped_free() && v == AGREES) {
        snprintf(report, REPORT, "memory lent to ag_wrap was written to");
        v = DIFFERS;
    }
    return v;
}
