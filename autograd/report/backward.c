/* backward -- the backward scan step by step: whose turn it is, its cotangent, its contributions to its inputs */
#include "autograd/report/explain.h"

#include <inttypes.h>

/* The cotangent of a node: the sum of its uses' contributions, in the order of the scan, and its values. */
static bool put_given(ag__report *r, const ag_tensor *t, ag_tensor *g) {
    ag__buffer *memory;
    const double *a = ag__values_of(g, &memory);
    if (!a) return false;
    struct ag__term *x = NULL;
    for (uint32_t u = r->used[t->id].first; u; u = r->use[u - 1].next)
        if (r->use[u - 1].c) x = ag__add_use(r, x, r->use[u - 1].c, &r->use[u - 1]);
    ag__say_term(r, x ? x : ag__add_formula(&r->f, NULL, g, NULL, NULL));
    if (!r->o.json) ag__say(r, ", ");
    ag__say_values(r, t, a);
    ag__buffer_drop(r->tape, memory);
    return true;
}

static void put_visit(ag__report *r, const ag_tensor *t, int number) {
    uint32_t uses = r->used[t->id].count;
    if (r->o.json) {
        ag__say(r, number > 1 ? ",{" : "{");
        ag__say_json_fields(r, t);
        ag__say_json_name(r, t);
        ag__say_count(r, "uses", uses);
        ag__say_key(r, "cotangent");
        ag__say(r, "{");
        return;
    }
    ag__putf(&r->t, "\n%d  node %" PRIu32 ", ", number, t->id);
    ag__say_op(r, t);
    ag__say(r, " = ");
    ag__say_name(r, t);
    ag__say_location(r, t);
    if (uses == 1) ag__say(r, ", whose only use is done");
    else if (uses) ag__putf(&r->t, ", all of whose %" PRIu32 " uses are done", uses);
    ag__say(r, "\n   cotangent ");
}

static void put_hand(ag__report *r, const ag__use *h, bool first) {
    const ag_tensor *x = h->t->input[h->i];
    if (r->o.json) {
        ag__say(r, first ? "{" : ",{");
        ag__say_count(r, "input", h->i);
        ag__say_count(r, "id", x->id);
        ag__say_count(r, "earlier", h->earlier);
    } else {
        ag__putf(&r->t, "\n   to input %d, node %" PRIu32 " = ", h->i, x->id);
        ag__say_name(r, x);
        ag__say(r, ": ");
    }
    if (h->c) ag__say_term(r, ag__add_use(r, NULL, h->c, h));
    else ag__say(r, r->o.json ? ",\"formula\":\"0\"" : "nothing");
    if (r->o.json) ag__say(r, "}");
    else if (h->c && h->earlier) ag__putf(&r->t, ", added to %" PRIu32 " earlier", h->earlier);
    else if (h->c) ag__say(r, ", the first to arrive");
}

/* Uses are in the order of the scan, so those of one node are adjacent. Returns the first of the next node. */
static uint32_t put_step(ag__report *r, uint32_t u, int number) {
    const ag__use *first = &r->use[u];
    put_visit(r, first->t, number);
    if (!put_given(r, first->t, first->g)) return r->count;
    if (r->o.json) ag__say(r, "}"), ag__say_key(r, "hands"), ag__say(r, "[");
    for (; u < r->count && r->use[u].t == first->t; u++) put_hand(r, &r->use[u], &r->use[u] == first);
    if (r->o.json) ag__say(r, "]}");
    return u;
}

static bool put_steps(ag__report *r) {
    uint32_t u = 0, more = 0;
    for (int n = 1; u < r->count && r->lines > 0 && r->tape->status == AG_OK; r->lines--) u = put_step(r, u, n++);
    for (; u < r->count; u++) more += u + 1 == r->count || r->use[u].t != r->use[u + 1].t;
    if (r->o.json) ag__say(r, "]"), ag__say_count(r, "more_steps", more);
    else if (more) ag__putf(&r->t, "\n… and %" PRIu32 " more steps", more);
    return r->tape->status == AG_OK;
}

/* The gradients that the scan was for. */
static bool put_gradients(ag__report *r, int n, ag_tensor *const x[], ag_tensor *const dx[]) {
    int left = ag__report_lines(r);
    if (r->o.json) ag__say_key(r, "gradients"), ag__say(r, "[");
    for (int i = 0; i < n && left > 0; i++, left--) {
        if (r->o.json) {
            ag__say(r, i ? ",{" : "{");
            ag__say_json_fields(r, x[i]);
            ag__say_json_name(r, x[i]);
        } else {
            ag__say(r, "\n∂");
            ag__say_name(r, r->y);
            ag__say(r, "/∂");
            ag__say_name(r, x[i]);
            ag__say(r, " = ");
        }
        if (!put_given(r, x[i], dx[i])) return false;
        if (r->o.json) ag__say(r, "}");
    }
    if (r->o.json) ag__say(r, "]");
    return true;
}

static void put_trace_heading(ag__report *r) {
    if (r->o.json) {
        ag__say(r, "{");
        ag__say_json_node(r, "y", r->y);
        ag__say_key(r, "steps");
        ag__say(r, "[");
        return;
    }
    ag__say(r, "The backward pass from ");
    ag__say_name(r, r->y);
    ag__putf(&r->t,
             ", node %" PRIu32 ". Nodes are visited by falling number: whatever uses a node was recorded after it,\n"
             "so each node's cotangent is complete when its turn comes.",
             r->y->id);
}

static bool trace(ag__report *r, int n, ag_tensor *const x[], ag_tensor *dx[]) {
    if (!ag__report_observe(r, n, x, dx)) return false;
    for (int i = 0; i < n; i++) ag__give_name(&r->f, x[i]);
    put_trace_heading(r);
    if (!put_steps(r) || !put_gradients(r, n, x, dx)) return false;
    ag__say_parts(r);
    if (r->o.json) ag__say(r, "}");
    return true;
}

static void trace_to(ag__report *r, int n, ag_tensor *const x[]) {
    ag__buffer *memory = NULL;
    ag_tensor **p = NULL;
    if (n == 0) p = ag__parameters_before(r->y, &n, &memory), x = p;
    else if ((memory = ag__buffer_new(r->tape, ag__times((uint64_t)n, sizeof *p))) != NULL) p = memory->data;
    if (!p) ag__fail_on(r->tape, r->name, AG_ERR_MEMORY, "out of memory (%d gradients)", n);
    else trace(r, n, x, x == p ? p + n : p);
    ag__buffer_drop(r->tape, memory);
}

/* All inputs are looked at before anything is recorded: a released handle may then name what was. */
static bool trace_arguments_valid(ag__report *r, int n, ag_tensor *const x[]) {
    ag_tensor *nil;
    if (n < 0 || (n > 0 && !x))
        ag__fail(r->name, 1, &r->y, n < 0 ? AG_ERR_RANGE : AG_ERR_NULL, "%d inputs%s", n,
                 n < 0 ? "" : ", and no list of them");
    else if (n == 0 && !(r->y->flags & AG__REQUIRES))
        ag__fail(r->name, 1, &r->y, AG_ERR_GRADIENT, "it depends on no parameter");
    else return n == 0 || ag__inputs_usable(r->name, n, x, &nil);
    return false;
}

const char *ag_trace_backward(ag_tensor *y, int n, ag_tensor *const x[], const ag_explain_options *options) {
    int line;
    const char *file = ag__here_file(&line), *text = "";
    ag__report r = {.name = "trace_backward", .y = y};
    ag_tensor *nil, *both[] = {y, n > 0 && x ? x[0] : y};
    ag__snapshot before = {0};
    if (ag__inputs_usable(r.name, 2, both, &nil)) {
        r.tape = r.t.tape = y->tape;
        if (ag__report_options_valid(&r, options) && trace_arguments_valid(&r, n, x) &&
            ag__snapshot_take(&before, r.tape, r.name))
            trace_to(&r, n, x);
        text = ag__report_finish(&r, &before);
    }
    ag__leave(ag_tape_of(y) ? y->tape : ag_tape_of(both[1]), file, line);
    return text;
}
