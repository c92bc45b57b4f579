/* explain -- how a gradient comes about: the paths along which y depends on x, and their contributions
 *
 * The explanation shows what the observed scan recorded, and computes nothing a second way. Only the contribution of a
 * path through a node of several uses is recorded anew, by the same VJPs. */
#include "autograd/report/explain.h"

#include <inttypes.h>

/* ---- Paths ---- */

static bool has_one_use(const ag__report *r, const ag_tensor *t) { return t != r->y && r->used[t->id].count == 1; }

static const ag__use *use_at(const ag__report *r, int k) { return &r->use[r->path[k]]; }

static ag_tensor *end_of_path(const ag__report *r) { return use_at(r, r->length - 1)->t; }

/* Extends the path while its end has a single use: with depth 0 through broadcasts and copies, else up to the next
 * named node. */
static void extend(ag__report *r) {
    for (int k = 0; k < AG__LONGEST_STRETCH - 1; k++) {
        ag_tensor *t = end_of_path(r);
        bool stop = r->o.depth == 0 ? !ag__is_transparent(t) : ag__about(t)->label && *ag__about(t)->label;
        if (stop || !has_one_use(r, t)) return;
        r->path[r->length++] = r->used[t->id].first - 1;
    }
}

/* The contribution to x along the path; NULL if there is none, nil after an error. */
static ag_tensor *contribution(const ag__report *r) {
    ag_tensor *c = use_at(r, r->length - 1)->c;
    bool all = true; /* the node's whole cotangent */
    for (int k = r->length - 2; k >= 0 && c && !(c->flags & AG__NIL); k--) {
        const ag__use *u = use_at(r, k);
        all = all && has_one_use(r, u->t);
        c = all ? u->c : ag__vjp_of(u->t, c, u->i);
    }
    return c;
}

/* "mul (broadcast) → square → V" */
static void put_way(ag__report *r, int from) {
    bool repeated = false;
    for (int k = from, shown = 0; k < r->length; k++) {
        const ag_tensor *t = use_at(r, k)->t;
        if (ag__is_transparent(t) && k + 1 < r->length) {
            repeated = true;
            continue;
        }
        if (shown++) ag__say(r, " → ");
        ag__say_op(r, t);
        if (repeated) ag__say(r, " (broadcast)");
        repeated = false;
    }
    ag__say(r, " = ");
    ag__say_name(r, end_of_path(r));
    ag__say_location(r, use_at(r, from)->t);
}

static void put_json_way(ag__report *r, int from) {
    ag__say_key(r, "through");
    ag__say(r, "[");
    for (int k = from; k < r->length; k++) {
        ag__say(r, k > from ? ",{" : "{");
        ag__say_json_fields(r, use_at(r, k)->t);
        ag__say_count(r, "input", use_at(r, k)->i);
        ag__say(r, "}");
    }
    ag__say(r, "]");
    ag__say_json_name(r, end_of_path(r));
}

static void indent(ag__report *r, int level) {
    ag__say(r, "\n");
    for (int i = 0; i < level; i++) ag__say(r, "    ");
}

/* The path's own line: its contribution. */
static bool put_contribution(ag__report *r, ag_tensor *c, int level) {
    ag__buffer *memory;
    double *a = c ? ag__values_of(c, &memory) : NULL;
    if (c && !a) return false;
    if (!r->o.json) indent(r, level + 1);
    if (!c) {
        ag__say(r, r->o.json ? ",\"formula\":\"0\",\"norm\":0,\"values\":null,\"zero\":\"exact\",\"rounding\":0"
                             : "nothing: it is locally constant");
        return true;
    }
    ag__say_term(r, ag__add_use(r, NULL, c, use_at(r, r->length - 1)));
    if (!r->o.json) indent(r, level + 1);
    ag__say_values(r, c, a);
    ag__say_zero(r, c, a);
    ag__buffer_drop(r->tape, memory);
    return r->tape->status == AG_OK;
}

static bool put_uses(ag__report *r, const ag_tensor *v, int level);

/* Use u, along the path so far. */
static bool put_use(ag__report *r, uint32_t u, int level) {
    int from = r->length;
    r->path[r->length++] = u;
    extend(r);
    const ag_tensor *end = end_of_path(r);
    if (r->o.json) {
        ag__say(r, r->number[level] > 1 ? ",{" : "{");
        put_json_way(r, from);
    } else {
        indent(r, level);
        for (int k = 0; k <= level; k++) ag__putf(&r->t, k ? ".%d" : "%d", r->number[k]);
        ag__say(r, "  through ");
        put_way(r, from);
    }
    bool good = put_contribution(r, contribution(r), level);
    if (good && level < r->o.depth && end != r->y) good = put_uses(r, end, level + 1);
    if (r->o.json) ag__say(r, "}");
    r->length = from;
    return good;
}

/* Each use of v, the end of the path. */
static bool put_uses(ag__report *r, const ag_tensor *v, int level) {
    bool good = true;
    if (r->o.json) ag__say_key(r, "uses"), ag__say(r, "[");
    r->number[level] = 0;
    for (uint32_t u = r->used[v->id].first; u && r->lines > 0 && good; u = r->use[u - 1].next) {
        r->lines--;
        r->number[level]++;
        good = put_use(r, u - 1, level);
    }
    r->left_out += (int64_t)r->used[v->id].count - r->number[level];
    if (r->o.json) ag__say(r, "]");
    return good;
}

/* ---- ag_explain ---- */

static void put_heading(ag__report *r, const ag_tensor *x) {
    const ag__used *u = &r->used[x->id];
    ag__say(r, "∂");
    ag__say_name(r, r->y);
    ag__say(r, "/∂");
    ag__say_name(r, x);
    ag__say(r, ": ");
    ag__say_name(r, x);
    ag__say_shape(r, x);
    if (x == r->y) ag__say(r, " itself");
    else {
        if (u->count) ag__putf(&r->t, " is used %" PRIu32 " time%s", u->count, u->count == 1 ? "" : "s");
        else ag__say(r, x->flags & AG__FROZEN ? " is frozen: it is not used" : " is not used");
        ag__say(r, " on the way to ");
        ag__say_name(r, r->y);
        ag__say_shape(r, r->y);
        if (u->count) ag__say(r, ", along ");
        if (u->count) ag__put_value(&r->t, u->paths, false);
        if (u->count) ag__say(r, u->paths == 1 ? " path" : " paths");
    }
    if (r->o.cotangent) {
        ag__say(r, "; its cotangent is ");
        ag__say_name(r, r->o.cotangent);
    } else if (r->ybar) ag__say(r, "; its cotangent is all ones");
}

static void put_json_heading(ag__report *r, const ag_tensor *x) {
    ag__say(r, "{");
    ag__say_json_node(r, "y", r->y);
    ag__say_json_node(r, "x", x);
    ag__say_key(r, "cotangent");
    if (r->o.cotangent) ag__say_name(r, r->o.cotangent);
    else ag__say(r, "\"1\"");
    ag__say_key(r, "paths");
    ag__put_value(&r->t, r->used[x->id].paths, true);
}

static bool explain(ag__report *r, ag_tensor *x) {
    ag_tensor *dx;
    if (!ag__report_observe(r, 1, &x, &dx)) return false;
    r->f.x = x;
    if (r->o.json) put_json_heading(r, x);
    else put_heading(r, x);
    if (!put_uses(r, x, 0)) return false;
    if (r->o.json) ag__say_count(r, "more_uses", (double)r->left_out);
    else if (r->left_out) ag__putf(&r->t, "\n… and %" PRId64 " more uses", r->left_out);
    if (x != r->y && !ag__say_sum(r, x, dx)) return false;
    ag__say_parts(r);
    if (r->o.json) ag__say(r, "}");
    return true;
}

const char *ag_explain(ag_tensor *y, ag_tensor *x, const ag_explain_options *options) {
    int line;
    const char *file = ag__here_file(&line), *text = "";
    ag__report r = {.name = "explain", .y = y};
    ag_tensor *nil, *both[] = {y, x};
    ag__snapshot before = {0};
    if (ag__inputs_usable(r.name, 2, both, &nil)) {
        r.tape = r.t.tape = y->tape;
        if (ag__report_options_valid(&r, options) && ag__snapshot_take(&before, r.tape, r.name)) explain(&r, x);
        text = ag__report_finish(&r, &before);
    }
    ag__leave(ag_tape_of(y) ? y->tape : ag_tape_of(x), file, line);
    return text;
}
