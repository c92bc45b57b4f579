/* explain -- how a gradient comes about: uses and their contributions, paths, and the backward scan step by step
 *
 * One backward scan is observed. Each contribution of a node to an input is a use of that input, kept with the
 * node's cotangent: the explanation shows what the scan recorded, and computes nothing a second way. Only the
 * contribution of a path through a node of several uses is recorded anew, by the same VJPs. When the text is
 * complete, the tape is restored. */
#include "autograd/report/formula.h"
#include "autograd/report/report.h"
#include "autograd/tape/format.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DEEPEST = 32,
    LONGEST_STRETCH = 16,
    LONGEST_PATH = (DEEPEST + 1) * LONGEST_STRETCH,
    DEFAULT_LINES = 100,
    DEFAULT_VALUES = 8
};

/* t, with cotangent g, contributes c, which may be NULL, to its input i. */
typedef struct use {
    ag_tensor *t, *g, *c;
    uint32_t next;    /* 1 + the next use of the same tensor, which is younger; 0: none */
    uint32_t earlier; /* earlier contributions to that input */
    int i;
} use;

/* The uses of a node, summed up. */
typedef struct used {
    uint32_t first;        /* 1 + the oldest use */
    uint32_t count, given; /* uses, and those with a contribution */
    double paths;          /* to y */
} used;

typedef struct report {
    const char *name; /* of the call */
    ag_tape *tape;
    ag_explain_options o;
    ag_tensor *y, *ybar;
    ag__formulas f;
    ag__text t;
    use *use;
    uint32_t count, room;
    used *used; /* of each node older than y */
    uint32_t used_room;
    uint32_t path[LONGEST_PATH]; /* uses, from x onwards */
    int length;
    int place[DEEPEST + 1]; /* 2.1.3 */
    int lines;              /* left to write */
    int64_t left_out;
} report;

/* ---- Watching ---- */

static bool out_of_memory(const report *r) {
    ag__fail_on(r->tape, r->name, AG_ERR_MEMORY, "out of memory (%u uses)", r->count);
    return false;
}

static bool make_room(report *r) {
    if (r->count < r->room) return true;
    uint32_t room = ag__more_room(r->room, (uint64_t)r->room + 64);
    size_t bytes = ag__times(room, sizeof(use));
    use *more = room ? ag__resize(r->tape, r->use, r->room * sizeof *more, bytes) : NULL;
    if (!more) return out_of_memory(r);
    r->use = more;
    r->room = room;
    return true;
}

/* The uses of a version are its variable's. */
static void pass_on(report *r, const ag_tensor *version) {
    used *from = &r->used[version->id], *to = &r->used[version->input[0]->id];
    uint32_t last = from->first;
    while (last && r->use[last - 1].next) last = r->use[last - 1].next;
    if (last) r->use[last - 1].next = to->first, to->first = from->first;
    to->count += from->count;
    to->paths += from->paths;
}

static bool note_use(void *context, ag_tensor *t, ag_tensor *g, int i, ag_tensor *c) {
    report *r = context;
    if (t->flags & AG__READ) {
        pass_on(r, t);
        return true;
    }
    if (!make_room(r)) return false;
    used *to = &r->used[t->input[i]->id];
    r->use[r->count] = (use){.t = t, .g = g, .c = c, .next = to->first, .earlier = to->given, .i = i};
    to->first = ++r->count;
    to->count++;
    to->given += c != NULL;
    to->paths += r->used[t->id].paths;
    return true;
}

/* ---- Pieces of text ---- */

/* The most lines of each kind. */
static int limit(const ag_explain_options *o) { return o->lines ? o->lines : DEFAULT_LINES; }

static void put(report *r, const char *s) { ag__put(&r->t, s); }

/* ,"name": */
static void put_key(report *r, const char *name) {
    if (r->t.used && !strchr("{[", r->t.bytes[r->t.used - 1])) put(r, ",");
    ag__putf(&r->t, "\"%s\":", name);
}

static void put_count(report *r, const char *name, double n) {
    put_key(r, name);
    ag__put_value(&r->t, n, true);
}

static void put_truth(report *r, const char *name, bool truth) {
    put_key(r, name);
    put(r, truth ? "true" : "false");
}

static void put_roughly(report *r, double a) {
    char s[AG__NUMBER];
    put(r, ag__number(s, 2, a));
}

/* The text between these two becomes a JSON string. */
static void quote(report *r, ag__text *outer) {
    if (!r->o.json) return;
    put(r, "\"");
    *outer = r->t;
    r->t = (ag__text){.tape = r->tape};
}

static void unquote(report *r, const ag__text *outer) {
    if (!r->o.json) return;
    ag__text inner = r->t;
    r->t = *outer;
    ag__put_escaped(&r->t, inner.bytes, inner.used, SIZE_MAX, AG__JSON);
    put(r, "\"");
    r->t.failed |= inner.failed;
    if (inner.bytes) ag__resize(r->tape, inner.bytes, inner.room, 0);
}

/* In JSON a string of plain text, whatever the formulas' style. */
static void put_name(report *r, const ag_tensor *x) {
    ag__text outer;
    ag_style style = r->f.style;
    r->f.style = AG_STYLE_TEXT;
    quote(r, &outer);
    ag__put_name(&r->f, &r->t, x);
    unquote(r, &outer);
    r->f.style = style;
}

static void put_term(report *r, struct ag__term *x) {
    ag__text outer;
    if (r->o.json) put_key(r, "formula");
    quote(r, &outer);
    ag__put_formula(&r->f, &r->t, x, true);
    unquote(r, &outer);
}

/* The contribution of u + x, with ∂y/∂t in place of t's cotangent; that of y is as it is. */
static struct ag__term *add_formula(report *r, struct ag__term *x, const ag_tensor *c, const use *u) {
    return ag__add_formula(&r->f, x, c, u->t == r->y ? NULL : u->g, u->t);
}

static void put_shape(report *r, const ag_tensor *x) {
    char extents[AG__EXTENTS];
    ag__putf(&r->t, r->o.json ? "[%s]" : " (%s)", ag__format_extents(extents, x->layout->rank, x->layout->extent));
}

/* " [train.c:42]" */
static void put_place(report *r, const ag_tensor *x) {
    if (!x->file) return;
    const char *base = strrchr(x->file, '/') ? strrchr(x->file, '/') + 1 : x->file;
    put(r, " [");
    ag__put_escaped(&r->t, base, strlen(base), 60, AG__PLAIN);
    ag__putf(&r->t, ":%d]", x->line);
}

static void put_op(report *r, const ag_tensor *x) {
    const char *name = x->flags & AG__PARAMETER ? "parameter" : x->op->name;
    ag__put_escaped(&r->t, name, strlen(name), 60, AG__PLAIN);
}

static void put_json_name(report *r, const ag_tensor *x) {
    put_key(r, "name");
    put_name(r, x);
}

/* The fields of a node, inside braces. */
static void put_node(report *r, const ag_tensor *x) {
    put_count(r, "id", x->id);
    put_key(r, "op");
    ag__put_json(&r->t, x->flags & AG__PARAMETER ? "parameter" : x->op->name);
    put_key(r, "label");
    ag__put_json(&r->t, x->label ? x->label : "");
    put_key(r, "dtype");
    ag__put_json(&r->t, ag_dtype_name((ag_dtype)x->dtype));
    put_key(r, "shape");
    put_shape(r, x);
    put_key(r, "file");
    ag__put_json(&r->t, x->file ? x->file : "");
    put_count(r, "line", x->line);
}

/* ---- Values ---- */

static double norm_of(const double *a, int64_t n) {
    double largest = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i])) return NAN;
        largest = fmax(largest, fabs(a[i]));
    }
    if (largest == 0 || isinf(largest)) return largest;
    for (int64_t i = 0; i < n; i++) sum += (a[i] / largest) * (a[i] / largest);
    return largest * sqrt(sum);
}

/* Nested brackets, one level an axis; in JSON one list, beside the shape. */
static void put_elements(report *r, const ag__layout *l, const double *a) {
    for (int64_t i = 0; i < l->size; i++) {
        int64_t inner = 1;
        int closing = 0, opening = 0;
        for (int k = l->rank - 1; k >= 0; k--) {
            inner *= l->extent[k];
            opening += i % inner == 0;
            closing += i > 0 && i % inner == 0;
        }
        if (r->o.json) opening = closing = 0;
        for (int k = 0; k < closing; k++) put(r, "]");
        put(r, i ? ", " : "");
        for (int k = 0; k < opening; k++) put(r, "[");
        ag__put_value(&r->t, a[i], r->o.json);
    }
    for (int k = 0; k < l->rank && !r->o.json; k++) put(r, l->size ? "]" : "");
}

/* The norm, and the values if there are few. */
static void put_values(report *r, const ag_tensor *like, const double *a) {
    const ag__layout *l = like->layout;
    bool few = l->size > 0 && l->size <= r->o.values;
    if (r->o.json) put_key(r, "norm");
    else put(r, "norm ");
    ag__put_value(&r->t, norm_of(a, l->size), r->o.json);
    if (r->o.json) put_key(r, "values");
    if (r->o.json && !few) put(r, "null");
    if (!few) return;
    put(r, r->o.json ? "[" : ", value ");
    put_elements(r, l, a);
    if (r->o.json) put(r, "]");
}

/* The values of x, in memory of the report; NULL after an error. */
static double *values_of(ag_tensor *x, ag__buffer **memory) {
    *memory = NULL;
    return ag__evaluate(x->tape, 1, &x) ? ag__elements(x, memory) : NULL;
}

/* ---- Zero, and zero to rounding ---- */

typedef enum zero { NOT_ZERO, ZERO, ZERO_TO_ROUNDING } zero;

/* Whether each element is within the rounding errors of 0; `bound` is the largest of these. If they are unknown, for
 * any reason, it is not called zero. */
static zero zero_of(report *r, ag_tensor *c, const double *a, double *bound) {
    int64_t n = c->layout->size;
    double norm = norm_of(a, n);
    *bound = 0;
    if (norm == 0 || !isfinite(norm)) return norm == 0 ? ZERO : NOT_ZERO;
    ag__position place = ag__position_now(r->tape);
    ag__buffer *memory = NULL;
    ag_tensor *error = ag__rounding_of(c);
    const double *e = error && !(error->flags & AG__NIL) ? values_of(error, &memory) : NULL;
    bool within = e != NULL;
    for (int64_t i = 0; i < n && e; i++) {
        within = within && fabs(a[i]) <= e[i];
        *bound = fmax(*bound, e[i]);
    }
    ag__buffer_drop(r->tape, memory);
    ag__truncate(r->tape, &place);
    ag_clear_error(r->tape);
    return within ? ZERO_TO_ROUNDING : NOT_ZERO;
}

static void put_zero(report *r, zero z, double bound) {
    static const char *const words[] = {"", "exact", "rounding"};
    if (r->o.json) {
        put_key(r, "zero");
        if (z == NOT_ZERO) put(r, "false");
        else ag__put_json(&r->t, words[z]);
        put_key(r, "rounding");
        ag__put_value(&r->t, bound, true);
    } else if (z == ZERO) put(r, ": exactly zero");
    else if (z == ZERO_TO_ROUNDING) {
        put(r, ": zero to rounding, which may leave ");
        put_roughly(r, bound);
        put(r, " of the terms that cancel");
    }
}

/* ---- Paths ---- */

static bool has_one_use(const report *r, const ag_tensor *t) { return t != r->y && r->used[t->id].count == 1; }

static const use *use_at(const report *r, int k) { return &r->use[r->path[k]]; }

static ag_tensor *end_of_path(const report *r) { return use_at(r, r->length - 1)->t; }

/* Follow the path to the next named node while there is only one way: always through broadcasts and copies and,
 * unfolded, through anything. */
static void extend(report *r) {
    for (int k = 0; k < LONGEST_STRETCH - 1; k++) {
        ag_tensor *t = end_of_path(r);
        bool stop = r->o.depth == 0 ? !ag__is_transparent(t) : t->label && *t->label;
        if (stop || !has_one_use(r, t)) return;
        r->path[r->length++] = r->used[t->id].first - 1;
    }
}

/* The contribution to x along the path; NULL: none; nil after an error. */
static ag_tensor *contribution(const report *r) {
    ag_tensor *c = use_at(r, r->length - 1)->c;
    bool all = true; /* the node's whole cotangent */
    for (int k = r->length - 2; k >= 0 && c && !(c->flags & AG__NIL); k--) {
        const use *u = use_at(r, k);
        all = all && has_one_use(r, u->t);
        c = all ? u->c : ag__vjp_of(u->t, c, u->i);
    }
    return c;
}

/* "mul (broadcast) → square → V" */
static void put_way(report *r, int from) {
    bool repeated = false;
    for (int k = from, shown = 0; k < r->length; k++) {
        const ag_tensor *t = use_at(r, k)->t;
        if (ag__is_transparent(t) && k + 1 < r->length) {
            repeated = true;
            continue;
        }
        if (shown++) put(r, " → ");
        put_op(r, t);
        if (repeated) put(r, " (broadcast)");
        repeated = false;
    }
    put(r, " = ");
    put_name(r, end_of_path(r));
    put_place(r, use_at(r, from)->t);
}

static void put_json_way(report *r, int from) {
    put_key(r, "through");
    put(r, "[");
    for (int k = from; k < r->length; k++) {
        put(r, k > from ? ",{" : "{");
        put_node(r, use_at(r, k)->t);
        put_count(r, "input", use_at(r, k)->i);
        put(r, "}");
    }
    put(r, "]");
    put_json_name(r, end_of_path(r));
}

static void indent(report *r, int level) {
    put(r, "\n");
    for (int i = 0; i < level; i++) put(r, "    ");
}

/* The path's own line: its contribution. */
static bool put_contribution(report *r, ag_tensor *c, int level) {
    ag__buffer *memory;
    double bound = 0, *a = c ? values_of(c, &memory) : NULL;
    if (c && !a) return false;
    if (!r->o.json) indent(r, level + 1);
    if (!c) {
        put(r, r->o.json ? ",\"formula\":\"0\",\"norm\":0,\"values\":null,\"zero\":\"exact\",\"rounding\":0"
                         : "nothing: it is locally constant");
        return true;
    }
    put_term(r, add_formula(r, NULL, c, use_at(r, r->length - 1)));
    if (!r->o.json) indent(r, level + 1);
    put_values(r, c, a);
    zero z = zero_of(r, c, a, &bound);
    ag__buffer_drop(r->tape, memory);
    put_zero(r, z, bound);
    return r->tape->status == AG_OK;
}

static bool put_uses(report *r, const ag_tensor *v, int level);

/* Use u, along the path so far. */
static bool put_use(report *r, uint32_t u, int level) {
    int from = r->length;
    r->path[r->length++] = u;
    extend(r);
    const ag_tensor *end = end_of_path(r);
    if (r->o.json) {
        put(r, r->place[level] > 1 ? ",{" : "{");
        put_json_way(r, from);
    } else {
        indent(r, level);
        for (int k = 0; k <= level; k++) ag__putf(&r->t, k ? ".%d" : "%d", r->place[k]);
        put(r, "  through ");
        put_way(r, from);
    }
    bool good = put_contribution(r, contribution(r), level);
    if (good && level < r->o.depth && end != r->y) good = put_uses(r, end, level + 1);
    if (r->o.json) put(r, "}");
    r->length = from;
    return good;
}

/* Each use of v, the end of the path. */
static bool put_uses(report *r, const ag_tensor *v, int level) {
    bool good = true;
    if (r->o.json) put_key(r, "uses"), put(r, "[");
    r->place[level] = 0;
    for (uint32_t u = r->used[v->id].first; u && r->lines > 0 && good; u = r->use[u - 1].next) {
        r->lines--;
        r->place[level]++;
        good = put_use(r, u - 1, level);
    }
    r->left_out += (int64_t)r->used[v->id].count - r->place[level];
    if (r->o.json) put(r, "]");
    return good;
}

/* ---- The sum ---- */

/* The sums of all contributions to x and of their magnitudes, independent of the scan. */
static bool add_up(report *r, const ag_tensor *x, double *sum, double *magnitude) {
    int64_t n = x->layout->size;
    memset(sum, 0, (size_t)n * sizeof *sum);
    memset(magnitude, 0, (size_t)n * sizeof *magnitude);
    for (uint32_t u = r->used[x->id].first; u; u = r->use[u - 1].next) {
        ag__buffer *memory;
        if (!r->use[u - 1].c) continue;
        const double *a = values_of(r->use[u - 1].c, &memory);
        if (!a) return false;
        for (int64_t i = 0; i < n; i++) sum[i] += a[i], magnitude[i] += fabs(a[i]);
        ag__buffer_drop(r->tape, memory);
    }
    return true;
}

static void put_comparison(report *r, const ag_tensor *x, const double *sum, const double *magnitude,
                           const double *dx) {
    double difference = 0, allowed = 0, epsilon = x->dtype == AG_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    bool agrees = true;
    for (int64_t i = 0; i < x->layout->size; i++) {
        double d = fabs(sum[i] - dx[i]), most = (r->used[x->id].count + 1) * epsilon * magnitude[i];
        if (isnan(d)) d = (isnan(sum[i]) && isnan(dx[i])) || sum[i] == dx[i] ? 0 : INFINITY;
        agrees = agrees && (d == 0 || d <= most);
        difference = fmax(difference, d);
        if (isfinite(most)) allowed = fmax(allowed, most);
    }
    if (r->o.json) {
        put_key(r, "difference");
        ag__put_value(&r->t, difference, true);
        put_key(r, "allowed");
        ag__put_value(&r->t, allowed, true);
        put_truth(r, "agrees", agrees);
    } else if (difference == 0) put(r, "\nThe gradient is the same, to the last bit.");
    else {
        put(r, agrees ? "\nThe gradient agrees: the largest difference is "
                      : "\nThe gradient DIFFERS: the largest difference is ");
        put_roughly(r, difference);
        put(r, ", and rounding allows ");
        put_roughly(r, allowed);
        put(r, ".");
    }
}

static bool put_sum(report *r, ag_tensor *x, ag_tensor *dx) {
    size_t n = (size_t)x->layout->size;
    ag__buffer *memory = NULL, *both = ag__buffer_new(r->tape, ag__times(n, 2 * sizeof(double)));
    double *sum = both ? both->data : NULL, *d = sum ? values_of(dx, &memory) : NULL;
    bool good = sum ? d && add_up(r, x, sum, sum + n) : out_of_memory(r);
    if (good && r->o.json) {
        put_key(r, "sum");
        put(r, "{");
        put_values(r, x, sum);
        put(r, "}");
        put_key(r, "gradient");
        put(r, "{");
        put_values(r, x, d);
        put(r, "}");
    } else if (good) {
        put(r, "\nsum ");
        put_values(r, x, sum);
    }
    if (good) put_comparison(r, x, sum, sum + n, d);
    ag__buffer_drop(r->tape, memory);
    ag__buffer_drop(r->tape, both);
    return good;
}

/* ---- The named parts ---- */

static void put_parts(report *r) {
    const ag_tensor *part = NULL;
    bool any = false;
    r->lines = limit(&r->o);
    if (r->o.json) put_key(r, "where"), put(r, "[");
    for (; r->lines > 0 && (part = ag__next_part(&r->f)) != NULL; r->lines--) {
        put(r, r->o.json ? any ? ",{" : "{" : any ? "\n      " : "\nwhere ");
        any = true;
        if (r->o.json) put_node(r, part), put_json_name(r, part);
        else put_name(r, part), put(r, " = ");
        put_term(r, r->f.entry[part->id].part);
        if (r->o.json) put(r, "}");
    }
    if (r->o.json) put(r, "]"), put_count(r, "more_parts", r->f.wanted);
    else if (r->f.wanted) ag__putf(&r->t, "\n… and %" PRIu32 " more parts", r->f.wanted);
}

/* ---- Opening and closing ---- */

static bool options_valid(report *r, const ag_explain_options *options) {
    if (options) r->o = *options;
    ag_explain_options *o = &r->o;
    if ((unsigned)o->style > AG_STYLE_MATHML || o->depth < 0 || o->depth > DEEPEST || o->lines < 0 || o->values < -1) {
        ag__fail_on(r->tape, r->name, AG_ERR_RANGE, "style %d, depth %d, %d values, %d lines", (int)o->style, o->depth,
                    o->values, o->lines);
        return false;
    }
    r->lines = limit(o);
    if (o->values == 0) o->values = DEFAULT_VALUES;
    return true;
}

/* Run the observed scan, and make the names. */
static bool look(report *r, int n, ag_tensor *const x[], ag_tensor *dx[]) {
    r->used_room = r->tape->count;
    r->used = ag__resize(r->tape, NULL, 0, ag__times(r->used_room, sizeof *r->used));
    if (!r->used) return out_of_memory(r);
    memset(r->used, 0, r->used_room * sizeof *r->used);
    r->used[r->y->id].paths = 1;
    r->ybar = r->o.cotangent;
    if (!r->ybar && r->y->layout->size != 1)
        r->ybar = ag_ones(r->tape, (ag_dtype)r->y->dtype, ag__layout_shape(r->y->layout));
    ag__watch watch = {r, note_use};
    if (!ag__vjp_watched(r->name, r->y, r->ybar, n, x, dx, &watch)) return false;
    if (!ag__formulas_open(&r->f, r->tape, r->o.style, true)) return out_of_memory(r);
    r->f.y = r->y;
    return true;
}

/* Free everything but the text; "" after an error. */
static const char *finish(report *r, const ag__snapshot *before) {
    r->t.failed |= r->f.failed;
    ag__formulas_close(&r->f);
    if (r->use) ag__resize(r->tape, r->use, r->room * sizeof *r->use, 0);
    if (r->used) ag__resize(r->tape, r->used, r->used_room * sizeof *r->used, 0);
    ag__snapshot_restore(before, r->tape);
    return ag__text_finish(&r->t, r->name);
}

/* ---- ag_explain ---- */

static void put_heading(report *r, const ag_tensor *x) {
    const used *u = &r->used[x->id];
    put(r, "∂");
    put_name(r, r->y);
    put(r, "/∂");
    put_name(r, x);
    put(r, ": ");
    put_name(r, x);
    put_shape(r, x);
    if (x == r->y) put(r, " itself");
    else {
        if (u->count) ag__putf(&r->t, " is used %" PRIu32 " time%s", u->count, u->count == 1 ? "" : "s");
        else put(r, " is not used");
        put(r, " on the way to ");
        put_name(r, r->y);
        put_shape(r, r->y);
        if (u->count) put(r, ", along ");
        if (u->count) ag__put_value(&r->t, u->paths, false);
        if (u->count) put(r, u->paths == 1 ? " path" : " paths");
    }
    if (r->o.cotangent) {
        put(r, "; its cotangent is ");
        put_name(r, r->o.cotangent);
    } else if (r->ybar) put(r, "; its cotangent is all ones");
}

static void put_json_heading(report *r, const ag_tensor *x) {
    put(r, "{");
    put_key(r, "y");
    put(r, "{");
    put_node(r, r->y);
    put_json_name(r, r->y);
    put(r, "}");
    put_key(r, "x");
    put(r, "{");
    put_node(r, x);
    put_json_name(r, x);
    put(r, "}");
    put_key(r, "cotangent");
    if (r->o.cotangent) put_name(r, r->o.cotangent);
    else put(r, "\"1\"");
    put_key(r, "paths");
    ag__put_value(&r->t, r->used[x->id].paths, true);
}

static bool explain(report *r, ag_tensor *x) {
    ag_tensor *dx;
    if (!look(r, 1, &x, &dx)) return false;
    r->f.x = x;
    if (r->o.json) put_json_heading(r, x);
    else put_heading(r, x);
    if (!put_uses(r, x, 0)) return false;
    if (r->o.json) put_count(r, "more_uses", (double)r->left_out);
    else if (r->left_out) ag__putf(&r->t, "\n… and %" PRId64 " more uses", r->left_out);
    if (x != r->y && !put_sum(r, x, dx)) return false;
    put_parts(r);
    if (r->o.json) put(r, "}");
    return true;
}

const char *ag_explain(ag_tensor *y, ag_tensor *x, const ag_explain_options *options) {
    int line;
    const char *file = ag__here_file(&line), *text = "";
    report r = {.name = "explain", .y = y};
    ag_tensor *nil, *both[] = {y, x};
    ag__snapshot before = {0};
    if (ag__inputs_usable(r.name, 2, both, &nil)) {
        r.tape = r.t.tape = y->tape;
        if (options_valid(&r, options) && ag__snapshot_take(&before, r.tape, r.name)) explain(&r, x);
        text = finish(&r, &before);
    }
    ag__leave(ag_tape_of(y) ? y->tape : ag_tape_of(x), file, line);
    return text;
}

/* ---- ag_trace_backward ---- */

/* The cotangent of a node: the sum of its uses' contributions, the first to come first, and the result. */
static bool put_given(report *r, const ag_tensor *t, ag_tensor *g) {
    ag__buffer *memory;
    const double *a = values_of(g, &memory);
    if (!a) return false;
    struct ag__term *x = NULL;
    for (uint32_t u = r->used[t->id].first; u; u = r->use[u - 1].next)
        if (r->use[u - 1].c) x = add_formula(r, x, r->use[u - 1].c, &r->use[u - 1]);
    put_term(r, x ? x : ag__add_formula(&r->f, NULL, g, NULL, NULL));
    if (!r->o.json) put(r, ", ");
    put_values(r, t, a);
    ag__buffer_drop(r->tape, memory);
    return true;
}

static void put_visit(report *r, const ag_tensor *t, int number) {
    uint32_t uses = r->used[t->id].count;
    if (r->o.json) {
        put(r, number > 1 ? ",{" : "{");
        put_node(r, t);
        put_json_name(r, t);
        put_count(r, "uses", uses);
        put_key(r, "cotangent");
        put(r, "{");
        return;
    }
    ag__putf(&r->t, "\n%d  node %" PRIu32 ", ", number, t->id);
    put_op(r, t);
    put(r, " = ");
    put_name(r, t);
    put_place(r, t);
    if (uses == 1) put(r, ", whose only use is done");
    else if (uses) ag__putf(&r->t, ", all of whose %" PRIu32 " uses are done", uses);
    put(r, "\n   cotangent ");
}

static void put_hand(report *r, const use *h, bool first) {
    const ag_tensor *x = h->t->input[h->i];
    if (r->o.json) {
        put(r, first ? "{" : ",{");
        put_count(r, "input", h->i);
        put_count(r, "id", x->id);
        put_count(r, "earlier", h->earlier);
    } else {
        ag__putf(&r->t, "\n   to input %d, node %" PRIu32 " = ", h->i, x->id);
        put_name(r, x);
        put(r, ": ");
    }
    if (h->c) put_term(r, add_formula(r, NULL, h->c, h));
    else put(r, r->o.json ? ",\"formula\":\"0\"" : "nothing");
    if (r->o.json) put(r, "}");
    else if (h->c && h->earlier) ag__putf(&r->t, ", added to %" PRIu32 " earlier", h->earlier);
    else if (h->c) put(r, ", the first to arrive");
}

/* Uses are in the order of the scan, so those of one node are adjacent. Returns the first of the next node. */
static uint32_t put_step(report *r, uint32_t u, int number) {
    const use *first = &r->use[u];
    put_visit(r, first->t, number);
    if (!put_given(r, first->t, first->g)) return r->count;
    if (r->o.json) put(r, "}"), put_key(r, "hands"), put(r, "[");
    for (; u < r->count && r->use[u].t == first->t; u++) put_hand(r, &r->use[u], &r->use[u] == first);
    if (r->o.json) put(r, "]}");
    return u;
}

static bool put_steps(report *r) {
    uint32_t u = 0, more = 0;
    for (int n = 1; u < r->count && r->lines > 0 && r->tape->status == AG_OK; r->lines--) u = put_step(r, u, n++);
    for (; u < r->count; u++) more += u + 1 == r->count || r->use[u].t != r->use[u + 1].t;
    if (r->o.json) put(r, "]"), put_count(r, "more_steps", more);
    else if (more) ag__putf(&r->t, "\n… and %" PRIu32 " more steps", more);
    return r->tape->status == AG_OK;
}

/* The gradients that the scan was for. */
static bool put_gradients(report *r, int n, ag_tensor *const x[], ag_tensor *const dx[]) {
    int left = limit(&r->o);
    if (r->o.json) put_key(r, "gradients"), put(r, "[");
    for (int i = 0; i < n && left > 0; i++, left--) {
        if (r->o.json) {
            put(r, i ? ",{" : "{");
            put_node(r, x[i]);
            put_json_name(r, x[i]);
        } else {
            put(r, "\n∂");
            put_name(r, r->y);
            put(r, "/∂");
            put_name(r, x[i]);
            put(r, " = ");
        }
        if (!put_given(r, x[i], dx[i])) return false;
        if (r->o.json) put(r, "}");
    }
    if (r->o.json) put(r, "]");
    return true;
}

static void put_trace_heading(report *r) {
    if (r->o.json) {
        put(r, "{");
        put_key(r, "y");
        put(r, "{");
        put_node(r, r->y);
        put_json_name(r, r->y);
        put(r, "}");
        put_key(r, "steps");
        put(r, "[");
        return;
    }
    put(r, "The backward pass from ");
    put_name(r, r->y);
    ag__putf(&r->t,
             ", node %" PRIu32 ". Nodes are visited by falling number: whatever uses a node was recorded after it,\n"
             "so each node's cotangent is complete when its turn comes.",
             r->y->id);
}

static bool trace(report *r, int n, ag_tensor *const x[], ag_tensor *dx[]) {
    if (!look(r, n, x, dx)) return false;
    for (int i = 0; i < n; i++) ag__give_name(&r->f, x[i]);
    put_trace_heading(r);
    if (!put_steps(r) || !put_gradients(r, n, x, dx)) return false;
    put_parts(r);
    if (r->o.json) put(r, "}");
    return true;
}

static void trace_to(report *r, int n, ag_tensor *const x[]) {
    ag__buffer *memory = NULL;
    ag_tensor **p = NULL;
    if (n == 0) p = ag__parameters_before(r->y, &n, &memory), x = p;
    else if ((memory = ag__buffer_new(r->tape, ag__times((uint64_t)n, sizeof *p))) != NULL) p = memory->data;
    if (!p) ag__fail_on(r->tape, r->name, AG_ERR_MEMORY, "out of memory (%d gradients)", n);
    else trace(r, n, x, x == p ? p + n : p);
    ag__buffer_drop(r->tape, memory);
}

static bool trace_arguments_valid(report *r, int n, ag_tensor *const x[]) {
    if (n < 0 || (n > 0 && !x))
        ag__fail(r->name, 1, &r->y, n < 0 ? AG_ERR_RANGE : AG_ERR_NULL, "%d inputs%s", n,
                 n < 0 ? "" : ", and no list of them");
    else if (n == 0 && !(r->y->flags & AG__REQUIRES))
        ag__fail(r->name, 1, &r->y, AG_ERR_GRADIENT, "it depends on no parameter");
    else return true;
    return false;
}

const char *ag_trace_backward(ag_tensor *y, int n, ag_tensor *const x[], const ag_explain_options *options) {
    int line;
    const char *file = ag__here_file(&line), *text = "";
    report r = {.name = "trace_backward", .y = y};
    ag_tensor *nil, *both[] = {y, n > 0 && x ? x[0] : y};
    ag__snapshot before = {0};
    if (ag__inputs_usable(r.name, 2, both, &nil)) {
        r.tape = r.t.tape = y->tape;
        if (options_valid(&r, options) && trace_arguments_valid(&r, n, x) && ag__snapshot_take(&before, r.tape, r.name))
            trace_to(&r, n, x);
        text = finish(&r, &before);
    }
    ag__leave(ag_tape_of(y) ? y->tape : ag_tape_of(both[1]), file, line);
    return text;
}
