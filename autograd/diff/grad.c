/* grad -- the backward scan
 *
 * The tape is in topological order, so one scan forward finds which nodes lie between the inputs and the outputs
 * (active), and one scan in reverse gives each of them its cotangent, which is complete by then, because every
 * reader is younger. The VJPs record, so the result is a graph like any other. If anything fails, the recorded nodes
 * are released. */
#include "autograd/diff/diff.h"

#include <string.h>

typedef struct scan {
    const char *name; /* of the call */
    ag_tape *tape;
    uint32_t low, high;    /* nodes low … high−1 can be active */
    ag_tensor **cotangent; /* of node low + i; NULL: none yet */
    bool *outer;           /* of a scan within a scan: the outer scan's marks */
    bool *chosen;          /* of node low + i: whether a choice lies between it and an output */
    uint8_t *parts;        /* of node low + i: see accumulate; and whether its cotangent is asked for */
    ag__buffer *memory;
    const ag__watch *watch; /* or NULL */
} scan;

static inline ag_tensor **cotangent_of(const scan *s, const ag_tensor *t) { return &s->cotangent[t->id - s->low]; }

/* ---- The nodes between inputs and outputs ---- */

/* A node that was recorded while recording is off is constant to later gradients, not to those asked for now. */
static inline bool carries_gradient(const ag_tensor *t) {
    if (t->flags & AG__DETACHED && t->id < t->tape->off_since) return false;
    if (t->flags & AG__FROZEN && t->flags & AG__READ) return false;
    return ag__is_real(t->dtype) && t->op->vjp != ag_zero_vjp;
}

static inline bool is_active(const scan *s, const ag_tensor *t) { return t->flags & AG__ACTIVE && t->id >= s->low; }

/* A VJP may itself differentiate: the outer scan's marks are saved, and restored later. */
static AG__RARE void exchange_marks(const scan *s) {
    for (uint32_t id = s->low; s->outer && id < s->high; id++) {
        ag_tensor *t = ag__node(s->tape, id);
        bool active = t->flags & AG__ACTIVE;
        t->flags = (uint16_t)(s->outer[id - s->low] ? t->flags | AG__ACTIVE : t->flags & ~AG__ACTIVE);
        s->outer[id - s->low] = active;
    }
}

/* In `parts`: whether the cotangent is a sum, and how many of its terms, up to two, have an entry that says how several
 * are added up. WANTED: it is a result, and there may be others that are made of it. */
enum { WANTED = 8, IS_SUM = 4, TERMS = 3, SEVERAL = 2 };

static void mark_active(const scan *s, int nx, ag_tensor *const x[]) {
    const uint32_t ahead = ag__fetched_from(s->tape); /* of few nodes none is fetched */
    for (int i = 0; i < nx; i++)
        if (x[i]->id >= s->low && x[i]->id < s->high) x[i]->flags |= AG__ACTIVE, s->parts[x[i]->id - s->low] = WANTED;
    for (uint32_t id = s->low; id < s->high; id++) {
        ag_tensor *t = ag__node(s->tape, id);
        if (s->high - id > ahead) ag__fetch(ag__node(s->tape, id + AG__FETCHED));
        bool active = false;
        for (int i = 0, n = ag__differentiable_inputs(t); i < n; i++) active |= is_active(s, t->input[i]);
        if (active && carries_gradient(t)) t->flags |= AG__ACTIVE;
    }
}

/* Remove the marks of nodes before `high`, at which a scan has stopped. */
static void unmark(const scan *s, uint32_t high) {
    for (uint32_t id = s->low; id < high; id++) ag__node(s->tape, id)->flags &= (uint16_t)~AG__ACTIVE;
}

/* ---- Passing cotangents to inputs ---- */

static inline bool accumulate(const scan *s, const ag_tensor *x, ag_tensor *g) {
    ag_tensor **sum = cotangent_of(s, x);
    uint8_t *parts = &s->parts[x->id - s->low];
    if (g->op->sum && (*parts & TERMS) < SEVERAL) ++*parts;
    if (*sum) {
        g = ag_add(*sum, g);
        if (*parts & IS_SUM && !(g->flags & AG__NIL)) g->flags |= AG__CONTINUES;
        *parts |= IS_SUM;
    }
    *sum = g;
    return !(g->flags & AG__NIL);
}

/* The terms of such a sum, in their order; returns how many. NULL: only that. */
static int terms_of(ag_tensor *sum, ag_tensor **term) {
    int n = 2;
    for (const ag_tensor *t = sum; t->flags & AG__CONTINUES; t = t->input[0]) n++;
    for (int i = n; term && i-- > 1; sum = sum->input[0]) {
        term[i] = sum->input[1];
        if (i == 1) term[0] = sum->input[0];
    }
    return n;
}

static bool forgo_unread(ag_tensor *t) {
    if (t->readers > 0 || !(t->flags & AG__GRADIENT)) return false;
    ag__forgo(t);
    return true;
}

/* The sum, and those of its n terms that nothing else reads, need not be computed: nor kept what they are made of. */
static void forgo_sum(ag_tensor *sum, int n, ag_tensor *const term[]) {
    for (int i = n; i-- > 1 && forgo_unread(sum); sum = sum->input[0]) forgo_unread(term[i]);
    forgo_unread(term[0]);
}

/* The same sum with all results of the first such operation added up as its entry says; unchanged out of memory. */
static ag_tensor *added_up(ag_tensor *sum) {
    ag_tensor *former = sum;
    int n = terms_of(sum, NULL), same = 0;
    ag__buffer *memory = ag__buffer_new(sum->tape, ag__times(2 * (uint64_t)n, sizeof sum));
    if (!memory) return sum;
    ag_tensor **term = memory->data, **chosen = term + n;
    const ag_op *op = NULL;
    terms_of(sum, term);
    for (int i = 0; i < n; i++) {
        if (!op && term[i]->op->sum && ag__is_unheld(term[i])) op = term[i]->op;
        if (op && term[i]->op == op && ag__is_unheld(term[i])) chosen[same++] = term[i];
    }
    if (same > 1) {
        ag_tensor *rest = NULL;
        for (int i = 0; i < n; i++)
            if (term[i]->op != op || !ag__is_unheld(term[i])) rest = rest ? ag_add(rest, term[i]) : term[i];
        sum = op->sum(same, chosen, rest);
        if (sum != former) forgo_sum(former, n, term);
    }
    ag__buffer_drop(sum->tape, memory);
    return sum;
}

static bool contribution_valid(const ag_tensor *t, int i, const ag_tensor *c) {
    const ag_tensor *x = t->input[i];
    if (c->flags & AG__NIL) return false;
    if (c->flags & AG__STALE) {
        ag__fail(t->op->name, t->arity, t->input, AG_ERR_TAPE, "the vjp for input %d returned a rewound tensor", i);
        return false;
    }
    if (c->tape != t->tape) {
        ag__fail(t->op->name, t->arity, t->input, AG_ERR_TAPE, "the vjp for input %d returned another tape's tensor",
                 i);
        return false;
    }
    if (c->dtype == x->dtype && ag__layouts_equal(c->layout, x->layout)) return true;
    ag_tensor *pair[] = {(ag_tensor *)(uintptr_t)x, (ag_tensor *)(uintptr_t)c};
    ag__fail(t->op->name, 2, pair, AG_ERR_GRADIENT,
             "the vjp for input %d must return a cotangent (the second of these) with the shape and dtype of the input "
             "(the first)",
             i);
    return false;
}

static inline bool is_valid(const ag_tensor *t, int i, const ag_tensor *c) {
    const ag_tensor *x = t->input[i];
    bool plainly = !(c->flags & (AG__NIL | AG__STALE)) && c->layout == x->layout && c->dtype == x->dtype;
    return (plainly && c->tape == x->tape) || contribution_valid(t, i, c);
}

/* The running of vjps, which are the user's code: present nodes must stay meanwhile. What it records belongs to the
 * line of the operation that it differentiates, as it does to its part. */
typedef struct calling {
    ag__position floor;
    ag__within within; /* this and the rest: as they were before */
    ag__about_node fresh;
    uint32_t unplaced;
    bool weak;
} calling;

AG__NEVER_INLINE static void begin_calls(calling *call, ag_tape *tape) {
    call->floor = ag__position_now(tape);
    call->within = ag__enter(tape, AG__VJP, "", &call->floor);
    call->fresh = tape->fresh;
    call->unplaced = tape->unplaced;
    call->weak = tape->weak;
}

AG__NEVER_INLINE static void end_calls(const calling *call, ag_tape *tape) {
    ag__return(tape, call->within);
    tape->unplaced = call->unplaced;
    tape->fresh.file = call->fresh.file;
    tape->fresh.line = call->fresh.line;
    tape->weak = call->weak;
}

/* Products may be weak where t is not below a choice. */
static inline void begin_node(ag_tape *tape, const ag_tensor *t, const ag__about_node *about, bool weak) {
    tape->inside.name = t->op->name;
    tape->weak = weak;
    tape->fresh.file = about->file;
    tape->fresh.line = about->line;
    if (about->file) tape->unplaced = tape->count;
}

static inline ag_tensor *call_vjp(calling *call, ag_tensor *t, ag_tensor *g, int i) {
    call->floor.count = t->tape->count;
    call->floor.slab = t->tape->slab;
    call->floor.used = t->tape->slab ? t->tape->slab->used : 0;
    return t->op->vjp(t, g, i);
}

static bool refuse_contribution(const ag_tensor *t, const char *why) {
    if (t->tape->status == AG_OK) ag__fail(t->op->name, t->arity, t->input, AG_ERR_GRADIENT, "%s", why);
    ag__locate(t->tape, ag__about(t)->file, ag__about(t)->line);
    return false;
}

static inline bool hand_down(const scan *s, calling *call, ag_tensor *t, const ag__about_node *about) {
    ag_tape *tape = s->tape;
    ag_tensor **sum = cotangent_of(s, t);
    uint8_t *parts = &s->parts[t->id - s->low];
    const bool chosen = s->chosen[t->id - s->low], chooses = chosen || !(t->op->flags & AG_OP_HIDES_NOTHING);
    begin_node(tape, t, about, !chosen);
    if ((*parts & TERMS) >= SEVERAL) *sum = added_up(*sum);
    ag_tensor *g = *sum;
    if (g->flags & AG__NIL) return false;
    t->flags |= AG__SCANNED;
    for (int i = 0, n = ag__differentiable_inputs(t); i < n; i++) {
        ag_tensor *x = t->input[i];
        if (!is_active(s, x)) continue;
        if (!t->op->vjp) return refuse_contribution(t, "the operation is not differentiable");
        x->flags |= AG__SCANNED;
        s->chosen[x->id - s->low] |= chooses;
        if (*parts & WANTED) *parts ^= WANTED, g = *sum = ag__as_result(g);
        if (g->flags & AG__NIL) return false;
        ag_tensor *c = call_vjp(call, t, g, i);
        if ((c && (!is_valid(t, i, c) || !accumulate(s, x, c))) || tape->status != AG_OK)
            return refuse_contribution(t, "the vjp returned nil");
        if (s->watch && !s->watch->step(s->watch->context, t, g, i, c)) return false;
    }
    return true;
}

/* Marks are removed on the way: whether a node is active matters to its readers alone, and they are younger. */
static bool scan_nodes(const scan *s, calling *call) {
    bool placed = true;
    const uint32_t from = s->tape->count, fetched = ag__fetched_from(s->tape);
    for (uint32_t id = s->high; id-- > s->low;) {
        ag_tensor *t = ag__node(s->tape, id);
        if (!(t->flags & AG__ACTIVE)) continue;
        t->flags &= (uint16_t)~AG__ACTIVE;
        ag__fetch_before(t, id, fetched);
        if (!*cotangent_of(s, t)) continue;
        const ag__about_node *about = ag__about(t);
        ag__set_part(s->tape, about->part == AG__NO_PART ? NULL : ag__node(s->tape, about->part));
        placed = placed && about->file;
        if (hand_down(s, call, t, about)) continue;
        unmark(s, id);
        return false;
    }
    if (placed) s->tape->placed = (ag__interval){from, s->tape->count};
    return true;
}

static bool scan_back(const scan *s) {
    calling call;
    begin_calls(&call, s->tape);
    bool good = scan_nodes(s, &call);
    end_calls(&call, s->tape);
    return good;
}

/* ---- Cotangents of outputs and inputs ---- */

static ag_tensor *filled_like(const ag_tensor *x, double value) {
    ag_tensor *t = ag_full(x->tape, (ag_dtype)x->dtype, ag__layout_shape(x->layout), value);
    return t->flags & AG__NIL ? NULL : t;
}

/* A variable as an output is its value, as it is as an input of operations: its version, if it has been used. */
static ag_tensor *as_output(ag_tensor *y) {
    ag_tensor *t = y->flags & AG__VARIABLE ? ag__ready_version(y) : NULL;
    return t && !(t->flags & (AG__FROZEN | AG__DETACHED)) ? t : y;
}

static bool seed_outputs(const scan *s, int ny, ag_tensor *const y[], ag_tensor *const ybar[]) {
    for (int j = 0; j < ny; j++) {
        ag_tensor *to = as_output(y[j]);
        if (!is_active(s, to) || ag_is_frozen(y[j])) continue;
        ag_tensor *g = ybar && ybar[j] ? ag__current(ybar[j]) : filled_like(to, 1);
        if (!g || !accumulate(s, to, g)) return false;
    }
    return true;
}

static bool collect(const scan *s, int nx, ag_tensor *const x[], ag_tensor *dx[], unsigned flags) {
    for (int i = 0; i < nx; i++) {
        ag_tensor *g = x[i]->id >= s->low && x[i]->id < s->high ? *cotangent_of(s, x[i]) : NULL;
        if (!g && flags & AG_STRICT) {
            ag__fail(s->name, 1, &x[i], AG_ERR_GRADIENT, "no output depends on input %d", i);
            return false;
        }
        if (!g && !(g = filled_like(x[i], 0))) return false;
        const bool made_of = g->op->kind == AG_KIND_REDUCTION && g->readers > 0; /* another result, perhaps */
        dx[i] = made_of || !ag__is_unheld(g) ? ag__as_result(g) : g;
        if (dx[i]->flags & AG__NIL) return false;
    }
    return true;
}

static bool set_up(scan *s, int ny, ag_tensor *const y[], int nx, ag_tensor *const x[], unsigned flags) {
    s->low = UINT32_MAX, s->high = 0;
    for (int i = 0; i < nx; i++) s->low = x[i]->id < s->low ? x[i]->id : s->low;
    for (int j = 0; j < ny; j++) {
        const uint32_t id = as_output(y[j])->id;
        s->high = id >= s->high ? id + 1 : s->high;
    }
    if (s->low > s->high) s->low = s->high;
    size_t nodes = s->high - s->low, bytes = ag__times(nodes, sizeof *s->cotangent + 2 + s->tape->in_gradient);
    if (!(s->memory = ag__buffer_new(s->tape, bytes))) {
        ag__fail_on(s->tape, s->name, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
        return false;
    }
    s->cotangent = memset(s->memory->data, 0, bytes);
    s->chosen = (bool *)(s->cotangent + nodes);
    s->parts = (uint8_t *)(s->chosen + nodes);
    if (flags & AG_STRONG || (s->tape->in_gradient && !s->tape->weak)) memset(s->chosen, true, nodes);
    if (s->tape->in_gradient) s->outer = s->chosen + 2 * nodes;
    return true;
}

/* The gradient of a variable is also looked up at its version; an input that is not used gets zeros. */
static bool differentiate(const char *name, ag_tape *tape, int ny, ag_tensor *const y[], ag_tensor *const ybar[],
                          int nx, ag_tensor *const x[], ag_tensor *dx[], unsigned flags, const ag__watch *watch) {
    scan s = {.name = name, .tape = tape, .watch = watch};
    if (!set_up(&s, ny, y, nx, x, flags)) return false;
    ag__position before = ag__position_now(tape);
    bool former = tape->in_gradient;
    const uint32_t from = tape->scan_from;
    ag_tensor *part = tape->part;
    tape->in_gradient = true;
    tape->scan_from = tape->count;
    exchange_marks(&s);
    mark_active(&s, nx, x);
    bool good = seed_outputs(&s, ny, y, ybar);
    if (!good) unmark(&s, s.high);
    good = good && scan_back(&s) && collect(&s, nx, x, dx, flags);
    exchange_marks(&s);
    tape->in_gradient = former;
    tape->scan_from = from;
    ag__set_part(tape, part);
    ag__buffer_drop(tape, s.memory);
    if (!good) ag__truncate(tape, &before);
    return good;
}

/* ---- Validation ---- */

/* Errors go to the tape of the call, also those of a NULL or nil without tape. */
static bool all_there(const char *name, const char *what, ag_tape *tape, int n, ag_tensor *const x[]) {
    if (tape && !ag__in_order(tape, name)) return false;
    for (int i = 0; i < n; i++) {
        if (x[i] && x[i]->tape) continue;
        if (x[i]) ag__fail_on(tape, name, AG_ERR_NIL, "%s %d is the nil result of an earlier error", what, i);
        else ag__fail_on(tape, name, AG_ERR_NULL, "%s %d is NULL", what, i);
        return false;
    }
    return true;
}

static bool real(const char *name, const char *what, ag_tape *tape, int n, ag_tensor *const x[]) {
    ag_tensor *nil;
    if (!all_there(name, what, tape, n, x) || !ag__inputs_usable(name, n, x, &nil)) return false;
    for (int i = 0; i < n; i++) {
        if (ag__is_real(x[i]->dtype)) continue;
        ag__fail(name, 1, &x[i], AG_ERR_DTYPE, "%s %d is not real: it has no gradient", what, i);
        return false;
    }
    return true;
}

/* Only ag_vjp takes cotangents, which the error tells callers of the others. */
static bool no_single(const char *name, ag_tensor *y, int j) {
    long long size = (long long)y->layout->size;
    if (strcmp(name, "vjp") == 0)
        ag__fail(name, 1, &y, AG_ERR_SHAPE, "output %d has %lld elements: it needs a cotangent", j, size);
    else
        ag__fail(name, 1, &y, AG_ERR_SHAPE,
                 "there are %lld elements, and one is wanted: make it one, say by ag_sum, or use ag_vjp, which takes a "
                 "cotangent",
                 size);
    return false;
}

static AG__RARE bool outputs_valid(const char *name, int ny, ag_tensor *const y[], ag_tensor *const ybar[]) {
    for (int j = 0; j < ny; j++) {
        ag_tensor *pair[] = {y[j], ybar ? ybar[j] : NULL};
        if (!pair[1]) {
            if (y[j]->layout->size == 1) continue;
            return no_single(name, y[j], j);
        }
        ag_tensor *nil;
        if (!ag__inputs_usable(name, 2, pair, &nil)) return false;
        if (pair[1]->dtype == y[j]->dtype && ag__layouts_equal(pair[1]->layout, y[j]->layout)) continue;
        ag__fail(name, 2, pair, pair[1]->dtype == y[j]->dtype ? AG_ERR_SHAPE : AG_ERR_DTYPE,
                 "cotangent %d must have the shape and dtype of its output", j);
        return false;
    }
    return true;
}

/* Checked before anything else about x[i], because errors belong on the tape of y. */
static bool one_tape(const char *name, ag_tensor *y, int n, ag_tensor *const x[]) {
    ag_tensor *nil;
    for (int i = 0; i < n; i++)
        if (!ag__inputs_usable(name, 2, (ag_tensor *[]){y, x[i]}, &nil)) return false;
    return true;
}

AG__SHORT static ag_tape *any_tape(int ny, ag_tensor *const y[], int nx, ag_tensor *const x[]) {
    for (int i = 0; y && i < ny; i++)
        if (ag_tape_of(y[i])) return y[i]->tape;
    for (int i = 0; x && i < nx; i++)
        if (ag_tape_of(x[i])) return x[i]->tape;
    return NULL;
}

static bool arguments_valid(const char *name, ag_tape *tape, int ny, ag_tensor *const y[], ag_tensor *const ybar[],
                            int nx, ag_tensor *const x[], ag_tensor *const dx[]) {
    if (nx < 0 || ny < 1) {
        ag__fail_on(tape, name, AG_ERR_RANGE, "%d outputs and %d inputs", ny, nx);
        return false;
    }
    if (!y || (nx > 0 && (!x || !dx))) {
        ag__fail_on(tape, name, AG_ERR_NULL, "the list of %s is NULL", !y ? "outputs" : !x ? "inputs" : "results");
        return false;
    }
    if (!real(name, "output", tape, ny, y) || !outputs_valid(name, ny, y, ybar)) return false;
    return nx == 0 ||
           (all_there(name, "input", tape, nx, x) && one_tape(name, y[0], nx, x) && real(name, "input", tape, nx, x));
}

static bool vjp(const char *name, int ny, ag_tensor *const y[], ag_tensor *const ybar[], int nx, ag_tensor *const x[],
                ag_tensor *dx[], unsigned flags, const ag__watch *watch) {
    ag_tape *tape = any_tape(ny, y, nx, x);
    if (arguments_valid(name, tape, ny, y, ybar, nx, x, dx)) {
        tape->scanned = true;
        tape->in_vain = 0;
        if (nx == 0 || differentiate(name, tape, ny, y, ybar, nx, x, dx, flags, watch)) return true;
    }
    for (int i = 0; dx && i < nx; i++) dx[i] = ag__nil_of(tape);
    return false;
}

/* dx may be the same array as x. */
bool ag__vjp(const char *name, int ny, ag_tensor *const y[], ag_tensor *const ybar[], int nx, ag_tensor *const x[],
             ag_tensor *dx[], unsigned flags) {
    return vjp(name, ny, y, ybar, nx, x, dx, flags, NULL);
}

bool ag__vjp_watched(const char *name, ag_tensor *y, ag_tensor *ybar, int n, ag_tensor *const x[], ag_tensor *dx[],
                     const ag__watch *watch) {
    return vjp(name, 1, &y, &ybar, n, x, dx, 0, watch);
}

AG__RARE ag_tensor *ag__vjp_of(ag_tensor *t, ag_tensor *g, int i) {
    bool former = t->tape->in_gradient;
    t->tape->in_gradient = true;
    calling call;
    begin_calls(&call, t->tape);
    begin_node(t->tape, t, ag__about(t), false);
    ag_tensor *c = t->op->vjp ? call_vjp(&call, t, g, i) : NULL;
    end_calls(&call, t->tape);
    t->tape->in_gradient = former;
    return (c && !contribution_valid(t, i, c)) || t->tape->status != AG_OK ? t->tape->nil : c;
}

/* ---- Public ---- */

ag_status ag_vjp(int ny, ag_tensor *const y[], ag_tensor *const ybar[], int nx, ag_tensor *const x[], ag_tensor *dx[],
                 unsigned flags) {
    int line;
    const char *file = ag__here_file(&line);
    return ag__vjp("vjp", ny, y, ybar, nx, x, dx, flags) ? AG_OK : ag__leave(any_tape(ny, y, nx, x), file, line);
}

ag_status ag_grad(ag_tensor *y, int n, ag_tensor *const x[], ag_tensor *dx[]) {
    int line;
    const char *file = ag__here_file(&line);
    return ag__vjp("grad", 1, &y, NULL, n, x, dx, 0) ? AG_OK : ag__leave(any_tape(1, &y, n, x), file, line);
}

static bool is_trained(const ag_tensor *v) { return (v->flags & (AG__PARAMETER | AG__FROZEN)) == AG__PARAMETER; }

AG__RARE ag_tensor **ag__parameters_before(const ag_tensor *y, int *n, ag__buffer **memory) {
    *n = 0;
    for (ag_tensor *v = y->tape->variables; v; v = ag__variable_of(v)->next) *n += v->id <= y->id && is_trained(v);
    *memory = ag__buffer_new(y->tape, ag__times(2 * (uint64_t)*n, sizeof(ag_tensor *)));
    if (!*memory) return NULL;
    ag_tensor **p = (*memory)->data;
    int i = 0;
    for (ag_tensor *v = y->tape->variables; v; v = ag__variable_of(v)->next)
        if (v->id <= y->id && is_trained(v)) p[i++] = v;
    return p;
}

static bool add_up(int n, ag_tensor *const p[], ag_tensor **dp) {
    for (int i = 0; i < n; i++) { /* all sums before any change: a failure changes nothing */
        ag_tensor *before = ag__variable_of(p[i])->gradient;
        if (before) dp[i] = ag_add(before, dp[i]);
        if (dp[i]->flags & AG__NIL) return false;
    }
    for (int i = 0; i < n; i++) {
        ag__variable *v = ag__variable_of(p[i]);
        v->sums = v->gradient ? v->sums + 1 : 0;
        v->gradient = dp[i];
    }
    return true;
}

static AG__RARE void backward(ag_tensor *y) {
    int n;
    ag__buffer *memory;
    if (!real("backward", "output", ag_tape_of(y), 1, &y) || !outputs_valid("backward", 1, &y, NULL)) return;
    if (!(y->flags & AG__REQUIRES)) {
        ag__fail("backward", 1, &y, AG_ERR_GRADIENT, "y depends on no parameter");
        return;
    }
    ag_tensor **p = ag__parameters_before(y, &n, &memory);
    if (!p) ag__fail("backward", 1, &y, AG_ERR_MEMORY, "out of memory (%d parameters)", n);
    else if (ag__vjp("backward", 1, &y, NULL, n, p, p + n, 0)) add_up(n, p, p + n);
    ag__buffer_drop(y->tape, memory);
}

ag_status ag_backward(ag_tensor *y) {
    int line;
    const char *file = ag__here_file(&line);
    backward(y);
    return ag__leave(ag_tape_of(y), file, line);
}

AG__RARE ag_tensor *ag_gradient(ag_tensor *p);
ag_tensor *ag_gradient(ag_tensor *p) {
    ag_tensor *nil;
    if (!ag__inputs_usable("gradient", 1, &p, &nil)) return nil;
    if (!(p->flags & AG__PARAMETER)) return ag__fail("gradient", 1, &p, AG_ERR_GRADIENT, "it is not a parameter");
    ag_tensor *g = p->flags & AG__FROZEN ? NULL : ag__variable_of(p)->gradient;
    return g ? g : ag_full(p->tape, (ag_dtype)p->dtype, ag__layout_shape(p->layout), 0);
}

void ag_zero_gradients(ag_tape *tape) {
    for (ag_tensor *v = tape ? tape->variables : NULL; v; v = ag__variable_of(v)->next)
        ag__variable_of(v)->gradient = NULL;
}
