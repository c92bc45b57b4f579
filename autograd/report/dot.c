/* dot -- the recorded graph as a Graphviz file
 *
 * The nodes that y[…] depend on are marked in one reverse scan of the tape, and written in the order of recording. A
 * use of a variable is recorded as a use of its version; here both are one node, drawn as the variable, and numbered
 * if the variable has had several values. All text of the user (labels, names of operations and files) passes
 * through put_escaped. */
#include "autograd/report/report.h"
#include "autograd/report/text.h"
#include "autograd/tape/file.h"
#include "autograd/tape/format.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { FEW = 8 };

/* A node that is drawn. */
typedef struct drawn {
    ag_tensor *t;
    ag_tensor *gradient; /* dy/dt, if asked for */
    uint32_t same;       /* index in the list of the first version with this value, which alone is drawn */
    uint32_t before;     /* of a version: 1 + the index of the variable's version before it */
    uint32_t version;    /* 1, 2, … */
    uint32_t versions;   /* of its variable; only on the first version */
    uint32_t first;      /* of a version: the first one of its variable */
    uint32_t region;     /* 1, 2, …; 0: none */
    bool output, leads_to_first, was_scanned, was_computed;
} drawn;

typedef struct picture {
    ag_tape *tape;
    const ag_dot_options *options;
    int n;
    ag_tensor **y;   /* versions in place of variables */
    uint32_t high;   /* nodes 0 … high−1 may be needed */
    uint32_t *where; /* of node i: 1 + its index in the list; 0: not drawn */
    drawn *node;
    uint32_t count, room;
    unsigned kinds; /* bit i: a node of look i is drawn */
    FILE *file;
} picture;

/* ---- The nodes to draw ---- */

/* The first input that an edge comes from: a version's edge comes from the assigned tensor alone. */
static int first_edge(const ag_tensor *t) { return t->flags & AG__READ ? 1 : 0; }

/* One scan is enough: inputs are older than what uses them, so each node is marked before its turn. */
static uint32_t mark(const picture *p, int n, ag_tensor *const y[], uint32_t bit) {
    uint32_t count = 0, waiting = 0;
    for (int i = 0; i < n; i++) {
        waiting += !(p->where[y[i]->id] & bit);
        p->where[y[i]->id] |= bit;
    }
    for (uint32_t id = p->high; waiting > 0;) {
        if (!(p->where[--id] & bit)) continue;
        const ag_tensor *t = ag__node(p->tape, id);
        waiting--;
        count++;
        for (int i = first_edge(t); i < t->arity; i++) {
            uint32_t *input = &p->where[t->input[i]->id];
            waiting += !(*input & bit);
            *input |= bit;
        }
    }
    return count;
}

static bool no_memory(const picture *p) {
    ag__fail_on(p->tape, "write_dot", AG_ERR_MEMORY, "out of memory (%u nodes)", p->high);
    return false;
}

static bool list_nodes(picture *p, ag_tensor *const y[]) {
    p->y = ag__resize(p->tape, NULL, 0, ag__times((uint64_t)p->n, sizeof *p->y));
    if (!p->y) return no_memory(p);
    for (int i = 0; i < p->n; i++)
        if (!(p->y[i] = ag__current(y[i]))) return false;
    for (int i = 0; i < p->n; i++) p->high = p->y[i]->id >= p->high ? p->y[i]->id + 1 : p->high;
    p->where = ag__resize(p->tape, NULL, 0, ag__times(p->high, sizeof *p->where));
    if (!p->where) return no_memory(p);
    memset(p->where, 0, p->high * sizeof *p->where);
    mark(p, 1, p->y, 2);
    p->room = mark(p, p->n, p->y, 1);
    p->node = ag__resize(p->tape, NULL, 0, ag__times(p->room, sizeof *p->node));
    if (!p->node) return no_memory(p);
    for (uint32_t id = 0; id < p->high; id++) {
        if (!p->where[id]) continue;
        p->node[p->count] = (drawn){.t = ag__node(p->tape, id), .same = p->count, .leads_to_first = p->where[id] & 2};
        p->node[p->count].was_scanned = (p->node[p->count].t->flags & AG__SCANNED) != 0;
        p->where[id] = ++p->count;
    }
    for (int i = 0; i < p->n; i++) p->node[p->where[p->y[i]->id] - 1].output = true;
    return true;
}

/* Numbers the versions in the order of recording, each linked to its variable's version before it. The variable
 * itself is not drawn: its entry of `where` holds the latest version. */
static void number_versions(picture *p) {
    for (uint32_t i = 0; i < p->count; i++) {
        drawn *d = &p->node[i];
        if (!(d->t->flags & AG__READ)) continue;
        uint32_t *latest = &p->where[d->t->input[0]->id];
        d->before = *latest;
        d->first = *latest ? p->node[*latest - 1].first : i;
        for (uint32_t k = d->before; k && d->same == i; k = p->node[k - 1].before)
            if (d->t->buffer && p->node[k - 1].t->buffer == d->t->buffer) d->same = p->node[k - 1].same;
        if (d->same == i) d->version = ++p->node[d->first].versions;
        *latest = i + 1;
    }
}

/* ---- Text ---- */

/* Text inside an HTML-like label; markup, control characters and invalid UTF-8 are replaced. */
static void put_escaped(FILE *f, const char *text, size_t most) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t shown = 0; *s; shown++) {
        int n = ag__utf8_length(s);
        if (shown == most) {
            fputs("…", f);
            return;
        }
        const char *other = ag__escaped((char)*s, AG__XML);
        if (other) fputs(other, f);
        else if (*s == '\\') fputs("&#92;", f);
        else if (*s == '\n' || *s == '\t') fputc(' ', f);
        else if (n == 0 || *s < 0x20 || *s == 0x7F) fputs("\xEF\xBF\xBD", f); /* U+FFFD */
        else fwrite(s, 1, (size_t)n, f);
        s += n ? n : 1;
    }
}

static void put_shape(FILE *f, const ag__layout *l) {
    char extents[AG__EXTENTS];
    ag__print(f, "(%s)", ag__format_extents(extents, l->rank, l->extent));
}

static void put_elements(FILE *f, ag_dtype dtype, const void *data, int64_t size) {
    fputs(size == 1 ? "" : "[", f);
    for (int64_t i = 0; i < size; i++) ag__print(f, i ? ", %.4g" : "%.4g", ag__get_element(dtype, data, i));
    fputs(size == 1 ? "" : "]", f);
}

static void put_range(FILE *f, ag_dtype dtype, const void *data, int64_t size) {
    double low = INFINITY, high = -INFINITY, sum = 0;
    int64_t nans = 0;
    for (int64_t i = 0; i < size; i++) {
        double a = ag__get_element(dtype, data, i);
        if (isnan(a)) nans++;
        else low = fmin(low, a), high = fmax(high, a), sum += a;
    }
    if (dtype == AG_BOOL) ag__print(f, "%.0f of %" PRId64 " hold", sum, size);
    else if (nans < size) ag__print(f, "%.4g … %.4g, mean %.4g", low, high, sum / (double)(size - nans));
    if (nans) ag__print(f, nans < size ? ", %" PRId64 " NaN" : "%" PRId64 " NaN", nans);
}

static void put_value(FILE *f, const char *before, ag_tensor *t) {
    const void *data = ag_data(t);
    if (!data || t->layout->size == 0) return;
    ag__print(f, "%s", before);
    (t->layout->size <= FEW ? put_elements : put_range)(f, (ag_dtype)t->dtype, data, t->layout->size);
    fputs("</FONT>", f);
}

/* ---- Nodes ---- */

typedef enum look { PARAMETER, VARIABLE, CONSTANT, FORWARD, BACKWARD, LOOKS } look;

static const struct {
    const char *name, *shape, *style, *fill, *line;
} looks[LOOKS] = {
    [PARAMETER] = {"parameter", "box", "filled", "#ffe08a", "#a67c00"},
    [VARIABLE] = {"variable", "box", "filled", "#fff4cf", "#a67c00"},
    [CONSTANT] = {"constant", "ellipse", "filled", "#eeeeee", "#888888"},
    [FORWARD] = {"operation", "box", "rounded,filled", "#d6e8ff", "#2b6cb0"},
    [BACKWARD] = {"backward operation", "box", "filled,dashed", "#ffdce4", "#b83260"},
};

static look look_of(const ag_tensor *t) {
    const ag_tensor *v = t->flags & AG__READ ? t->input[0] : t;
    if (v->flags & AG__PARAMETER) return PARAMETER;
    if (v->flags & AG__VARIABLE) return VARIABLE;
    if (t->flags & AG__GRADIENT) return BACKWARD;
    return t->arity == 0 ? CONSTANT : FORWARD;
}

/* The attributes that are shown: the axes of a reduction, the number of a scalar form. */
static void put_attributes(FILE *f, const ag_tensor *t) {
    if (t->op->kind == AG_KIND_REDUCTION && t->attribute_bytes == sizeof(ag_axes_set)) {
        ag_axes_set set;
        const char *before = " over ";
        memcpy(&set, ag__attributes(t), sizeof set);
        for (int i = 0; i < AG_MAX_RANK; i++)
            if (set.mask & 1u << i) ag__print(f, "%s%d", before, i), before = ",";
    } else if (t->op->kind == AG_KIND_ELEMENTWISE && t->attribute_bytes == sizeof(double)) {
        double s;
        memcpy(&s, ag__attributes(t), sizeof s);
        ag__print(f, " %.6g", s);
    }
}

static void put_title(const picture *p, const drawn *d) {
    const ag_tensor *t = d->t;
    look kind = look_of(t);
    bool labelled = ag__about(t)->label && *ag__about(t)->label,
         leaf = kind == PARAMETER || kind == VARIABLE || t->op == &ag__op_constant;
    const char *name = leaf ? looks[kind].name : *t->op->name ? t->op->name : "?";
    FILE *f = p->file;
    fputs("<B>", f);
    put_escaped(f, leaf && labelled ? ag__about(t)->label : name, 60);
    if (t->flags & AG__READ && p->node[d->first].versions > 1) ag__print(f, " #%" PRIu32, d->version);
    fputs("</B>", f);
    if (!leaf) put_attributes(f, t);
    if (!leaf && labelled) {
        fputs("<BR/><I>", f);
        put_escaped(f, ag__about(t)->label, 60);
        fputs("</I>", f);
    }
}

static void put_place(FILE *f, const ag_tensor *t) {
    if (!ag__about(t)->file) return;
    fputs("<BR/><FONT POINT-SIZE=\"8\" COLOR=\"#777777\">", f);
    size_t length = strlen(ag__about(t)->file);
    if (length > 60) fputs("…", f);
    put_escaped(f, length > 60 ? ag__about(t)->file + length - 60 : ag__about(t)->file, 60);
    ag__print(f, ":%d</FONT>", ag__about(t)->line);
}

/* Opens the cluster, or opens it again: Graphviz joins clusters of the same name. */
static void open_region(FILE *f, uint32_t region) {
    ag__print(f,
              " subgraph cluster_%" PRIu32 " {label=\"region %" PRIu32 "\"; labeljust=l; fontsize=9; style=rounded; "
              "color=\"#777777\"; bgcolor=\"#f7f7f7\";\n",
              region, region);
}

static void put_node(picture *p, const drawn *d) {
    ag_tensor *t = d->t;
    FILE *f = p->file;
    look kind = look_of(t);
    p->kinds |= 1u << kind;
    if (d->region) open_region(f, d->region);
    ag__print(f, "  n%" PRIu32 " [shape=%s, style=\"%s\", fillcolor=\"%s\", color=\"%s\"%s%s, label=<", t->id,
              looks[kind].shape, looks[kind].style, looks[kind].fill, looks[kind].line,
              d->output ? ", penwidth=2.5" : "",
              p->options->regions && t->op->kind == AG_KIND_CONTRACTION ? ", peripheries=2" : "");
    put_title(p, d);
    ag__print(f, "<BR/><FONT POINT-SIZE=\"9\" COLOR=\"#444444\">%s ", ag_dtype_name((ag_dtype)t->dtype));
    put_shape(f, t->layout);
    fputs("</FONT>", f);
    if (p->options->values || (t->arity == 0 && t->layout->size == 1 && t->buffer))
        put_value(f, "<BR/><FONT POINT-SIZE=\"9\">", t);
    if (d->gradient) put_value(f, "<BR/><FONT POINT-SIZE=\"9\" COLOR=\"#b83260\">dy: ", d->gradient);
    if (p->options->places) put_place(f, t);
    fputs(d->region ? ">];}\n" : ">];\n", f);
}

/* The style of an edge: of an assignment, within or into the backward pass, or ordinary. */
static const char *edge_style(const ag_tensor *from, const ag_tensor *to) {
    if (to->flags & AG__READ) return " [style=dotted, color=\"#a67c00\", label=\"assigned\"]";
    if (to->flags & AG__GRADIENT)
        return from->flags & AG__GRADIENT ? " [weight=4, color=\"#b83260\"]" : " [style=dashed, color=\"#c9a2b0\"]";
    return from->arity > 0 && !(from->flags & AG__READ) ? " [weight=4]" : ""; /* keeps the layout upright */
}

static void put_edges(const picture *p, const ag_tensor *t) {
    for (int i = first_edge(t); i < t->arity; i++) {
        const drawn *from = &p->node[p->node[p->where[t->input[i]->id] - 1].same];
        ag__print(p->file, "  n%" PRIu32 " -> n%" PRIu32 "%s;\n", from->t->id, t->id, edge_style(from->t, t));
    }
}

static void put_legend(const picture *p) {
    fputs("  legend [shape=plain, label=<<TABLE BORDER=\"0\" CELLBORDER=\"1\" CELLSPACING=\"3\" CELLPADDING=\"3\"><TR>",
          p->file);
    for (int i = 0; i < LOOKS; i++)
        if (p->kinds & 1u << i)
            ag__print(p->file, "<TD BGCOLOR=\"%s\" COLOR=\"%s\"%s>%s</TD>", looks[i].fill, looks[i].line,
                      strstr(looks[i].style, "rounded") ? " STYLE=\"ROUNDED\"" : "", looks[i].name);
    fputs("</TR></TABLE>>];\n", p->file);
}

static void put_graph(FILE *file, void *context) {
    picture *p = context;
    p->file = file;
    fputs("digraph autograd {\n"
          "  graph [charset=\"UTF-8\", rankdir=TB, nodesep=0.25, ranksep=0.3, fontname=\"Helvetica\", "
          "bgcolor=\"white\"];\n"
          "  node [fontname=\"Helvetica\", fontsize=11, margin=\"0.08,0.06\", height=0.3, width=0.3];\n"
          "  edge [fontname=\"Helvetica\", fontsize=8, color=\"#555555\", arrowsize=0.6];\n",
          p->file);
    for (uint32_t i = 0; i < p->count; i++)
        if (p->node[i].same == i) put_node(p, &p->node[i]);
    for (uint32_t i = 0; i < p->count; i++)
        if (p->node[i].same == i) put_edges(p, p->node[i].t);
    put_legend(p);
    fputs("}\n", p->file);
}

/* ---- Regions ---- */

/* Sets or removes the marks of an evaluation that computes all drawn nodes for the first time. */
static void mark_all(const picture *p, const ag__evaluation *e, bool on) {
    for (int i = 0; i < p->n; i++) on ? ag__mark_of(e, p->y[i])->live++ : ag__mark_of(e, p->y[i])->live--;
    for (uint32_t i = 0; i < p->count; i++) {
        drawn *d = &p->node[i];
        ag_tensor *t = d->t;
        if (t->flags & AG__LEAF) continue;
        if (on) d->was_computed = (t->flags & AG__COMPUTED) != 0;
        t->flags = (uint16_t)((t->flags & ~AG__COMPUTED) | (!on && d->was_computed ? AG__COMPUTED : 0));
        ag__mark_of(e, t)->needed = on;
        for (int k = 0; k < t->arity; k++) {
            ag__node_mark *of_input = ag__mark_of(e, t->input[k]);
            on ? of_input->live++ : of_input->live--;
        }
    }
}

static bool find_regions(const picture *p) {
    if (p->tape->evaluating) { /* the marks are that evaluation's */
        ag__fail_on(p->tape, "write_dot", AG_ERR_TAPE, "an operation of the tape is being evaluated");
        return false;
    }
    ag__evaluation e = {.tape = p->tape, .when = AG__ALONE, .high = p->high};
    if (!ag__take_marks(&e)) return false;
    uint32_t *region = ag__resize(p->tape, NULL, 0, ag__times(p->high, sizeof *region));
    if (!region) return no_memory(p);
    memset(region, 0, p->high * sizeof *region);
    mark_all(p, &e, true);
    bool good = ag__plan_regions(&e, region);
    mark_all(p, &e, false);
    for (uint32_t i = 0; i < p->count; i++) /* a version is drawn as its variable, which is never computed */
        if (!(p->node[i].t->flags & AG__READ)) p->node[i].region = region[p->node[i].t->id];
    ag__resize(p->tape, region, p->high * sizeof *region, 0);
    return good || no_memory(p);
}

/* ---- Values and gradients ---- */

static bool evaluate_all(const picture *p, bool gradients) {
    for (uint32_t i = 0; i < p->count; i++) {
        ag_tensor *t = gradients ? p->node[i].gradient : p->node[i].t;
        if (t && !ag_data(t)) return false;
    }
    return true;
}

/* Records dy/dnode for all drawn nodes in one backward scan. */
static bool record_gradients(const picture *p) {
    ag_tensor **x = ag__resize(p->tape, NULL, 0, ag__times(2 * (uint64_t)p->count, sizeof *x));
    if (!x) return no_memory(p);
    ag_tensor **dx = x + p->count;
    int n = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->node[i].leads_to_first && ag__is_real(p->node[i].t->dtype)) x[n++] = p->node[i].t;
    bool good = ag_vjp(1, p->y, NULL, n, x, dx, 0) == AG_OK && ag_eval_all(n, dx) == AG_OK;
    for (int k = 0; good && k < n; k++) p->node[p->where[x[k]->id] - 1].gradient = dx[k];
    ag__resize(p->tape, x, 2 * (size_t)p->count * sizeof *x, 0);
    return good && evaluate_all(p, true);
}

/* Releases the nodes that were recorded here, and takes their marks off the forward nodes. */
static void forget(const picture *p, const ag__position *position) {
    for (uint32_t i = 0; p->node && i < p->count; i++)
        if (!p->node[i].was_scanned) p->node[i].t->flags &= (uint16_t)~AG__SCANNED;
    ag__truncate(p->tape, position);
}

/* ---- Public ---- */

static void draw(picture *p, ag_tensor *const y[], const char *path) {
    ag__position position = ag__position_now(p->tape);
    bool good = list_nodes(p, y);
    if (good) number_versions(p);
    if (p->options->regions) good = good && find_regions(p);
    if (p->options->values) good = good && evaluate_all(p, false);
    if (p->options->gradients) good = good && record_gradients(p);
    if (good) ag__write_file(p->tape, "write_dot", path, put_graph, p);
    forget(p, &position);
    if (p->y) ag__resize(p->tape, p->y, (size_t)p->n * sizeof *p->y, 0);
    if (p->node) ag__resize(p->tape, p->node, p->room * sizeof *p->node, 0);
    if (p->where) ag__resize(p->tape, p->where, p->high * sizeof *p->where, 0);
}

ag_status ag_write_dot(const char *path, int n, ag_tensor *const y[], const ag_dot_options *options) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tensor *nil;
    ag_tape *tape = NULL;
    for (int i = 0; y && i < n && !tape; i++) tape = ag_tape_of(y[i]);
    picture p = {.tape = tape, .options = options ? options : &(ag_dot_options){0}, .n = n};
    bool valid = false;
    if (!path || !y) ag__fail_on(tape, "write_dot", AG_ERR_NULL, "the %s is NULL", path ? "list of tensors" : "path");
    else if (n < 1) ag__fail_on(tape, "write_dot", AG_ERR_RANGE, "%d tensors", n);
    else valid = ag__inputs_usable("write_dot", n, y, &nil);
    if (!valid) return ag__leave(tape, file, line);
    draw(&p, y, path);
    return ag__leave(tape, file, line);
}
