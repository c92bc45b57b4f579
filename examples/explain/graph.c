/* graph -- the graph of a value and its gradients, drawn in layers
 *
 * The drawing has all forward operations and, of the backward pass, their gradients and values with several users. Other
 * backward operations are part of the node that they lead to, and have rows in the table. Forward operations are above
 * those of the backward pass, each in a layer under its inputs. A node's value goes to lower layers through points, one
 * a layer and shared by all users, so that lines join only neighbouring layers. Points of a layer are ordered by the
 * positions of their neighbours, in a few sweeps up and down, and then moved towards them as far as there is room. */
#include "examples/explain/explain.h"

#include <string.h>

enum {
    MAX_DRAWN = 300,
    MAX_LINKS = 1200,
    MAX_POINTS = 6000,
    MAX_LINES = 8000,
    WIDTH = 116,
    HEIGHT = 38,
    LAYER = 70,
    SWEEPS = 24
};

typedef struct node {
    ag_tensor *tensor, *gradient;
    bool backward, hidden;
    int of;           /* the node whose gradient it is; −1 if none */
    int layer, reach; /* the last layer that its points run through */
    int point;        /* its own; those below it follow */
} node;

typedef struct point {
    int node, layer;
    double x, sum;
    int count;
    bool through;
} point;

/* From a node to one computed from it, or from a point to one in the next layer. */
typedef struct line {
    int from, to;
} line;

typedef struct picture {
    int nodes, forward, links, points, lines, layers, y;
    bool full; /* there are too many nodes to draw */
    node node[MAX_DRAWN];
    line link[MAX_LINKS];
    point point[MAX_POINTS];
    line line[MAX_LINES];
    int order[MAX_POINTS];
} picture;

/* ---- Nodes */

static const char *op_name(const ag_tensor *x) { return ag_op_of(x) ? ag_op_of(x)->name : "?"; }

/* The variable itself, for a value that was read from it. */
static int inputs_of(const ag_tensor *x) { return strcmp(op_name(x), "read") == 0 ? 0 : ag_inputs(x); }

static bool has_label(const ag_tensor *x) { return *ag_label_of(x) != 0; }

static int find(const picture *g, const ag_tensor *x) {
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i].tensor == x) return i;
    return -1;
}

/* Depth first, inputs before their users. */
static void collect(picture *g, ag_tensor *root, bool backward) {
    struct {
        ag_tensor *x;
        int next;
    } stack[MAX_DRAWN];
    int depth = 0;
    if (find(g, root) >= 0) return;
    stack[depth].x = root, stack[depth++].next = 0;
    while (depth > 0) {
        ag_tensor *x = stack[depth - 1].x;
        if (stack[depth - 1].next < inputs_of(x)) {
            ag_tensor *from = ag_input(x, stack[depth - 1].next++);
            if (find(g, from) >= 0) continue;
            g->full = g->full || depth == MAX_DRAWN;
            if (g->full) return;
            stack[depth].x = from, stack[depth++].next = 0;
            continue;
        }
        depth--;
        g->full = g->full || g->nodes == MAX_DRAWN;
        if (g->full) return;
        if (find(g, x) < 0) g->node[g->nodes++] = (node){.tensor = x, .backward = backward, .of = -1};
    }
}

/* The result's name in explanations: its label, or y unless another value has that name. */
static const char *name_of_result(const picture *g) {
    if (has_label(g->node[g->y].tensor)) return ag_label_of(g->node[g->y].tensor);
    for (int i = 0; i < g->forward; i++)
        if (strcmp(ag_label_of(g->node[i].tensor), "y") == 0) return "";
    return "y";
}

/* With a label, formulas have ∂L/∂M in place of its expression. */
static void label_gradient(picture *g, int i) {
    char label[2 * NAME_BYTES + 16];
    const node *n = &g->node[i];
    if (n->of < 0 || inputs_of(n->tensor) == 0 || !has_label(g->node[n->of].tensor)) return;
    snprintf(label, sizeof label, "∂%.*s/∂%.*s", NAME_BYTES, name_of_result(g), NAME_BYTES,
             ag_label_of(g->node[n->of].tensor));
    ag_label(n->tensor, label);
}

/* The gradients by all nodes, in one backward pass; the nodes it records are the backward ones. */
static void differentiate(picture *g, const report *r) {
    ag_tensor *x[MAX_DRAWN], *dx[MAX_DRAWN];
    int number[MAX_DRAWN], n = 0;
    for (int i = 0; i < g->nodes; i++)
        if (ag_requires_grad(g->node[i].tensor)) number[n] = i, x[n++] = g->node[i].tensor;
    ag_tensor *y = r->y, *ones = r->ones;
    if (n == 0 || ag_vjp(1, &y, &ones, n, x, dx, 0) != AG_OK) return;
    for (int k = 0; k < n; k++) g->node[number[k]].gradient = dx[k];
    for (int k = 0; k < n; k++)
        if (inputs_of(x[k]) == 0) collect(g, dx[k], true);
    for (int k = n; k-- > 0;) {
        int i = find(g, dx[k]);
        if (i < g->forward) continue;
        node *found = &g->node[i];
        if (found->of < 0 || (!has_label(g->node[found->of].tensor) && has_label(x[k]))) found->of = number[k];
    }
    for (int i = g->forward; i < g->nodes; i++) label_gradient(g, i);
}

/* ---- Links */

static bool link_to(picture *g, int from, int to) {
    for (int i = 0; i < g->links; i++)
        if (g->link[i].from == from && g->link[i].to == to) return true;
    if (g->links == MAX_LINKS) return false;
    g->link[g->links++] = (line){from, to};
    return true;
}

/* Whether node i is a step on the way to its only user. */
static bool is_helper(const picture *g, int i) {
    int users = 0;
    for (int j = i + 1; j < g->nodes; j++)
        for (int k = 0; k < inputs_of(g->node[j].tensor); k++)
            if (ag_input(g->node[j].tensor, k) == g->node[i].tensor) users++;
    return g->node[i].backward && g->node[i].of < 0 && users == 1 && inputs_of(g->node[i].tensor) > 0;
}

/* Links of a helper become links of its user. */
static bool link_all(picture *g) {
    for (int i = 0; i < g->nodes; i++) {
        g->node[i].hidden = is_helper(g, i);
        for (int k = 0; k < inputs_of(g->node[i].tensor); k++) {
            int from = find(g, ag_input(g->node[i].tensor, k));
            if (!g->node[from].hidden && !link_to(g, from, i)) return false;
            for (int j = g->node[from].hidden ? g->links : 0; j-- > 0;) {
                if (g->link[j].to != from) continue;
                line moved = g->link[j];
                g->link[j] = g->link[--g->links];
                if (!link_to(g, moved.from, i)) return false;
            }
        }
    }
    return true;
}

/* ---- Layers and points */

static int max(int a, int b) { return a > b ? a : b; }

/* Whether node i has no input in its own pass, and so can move down. */
static bool can_sink(const picture *g, int i) {
    for (int k = 0; k < g->links; k++)
        if (g->link[k].to == i && (!g->node[i].backward || g->node[g->link[k].from].backward)) return false;
    return true;
}

/* Moves such a node down to the layer before its first user; every node's points reach to its last user. */
static void sink(picture *g) {
    for (int i = g->nodes; i-- > 0;) {
        node *n = &g->node[i];
        int first = g->layers;
        for (int k = 0; k < g->links; k++) {
            if (g->link[k].from != i) continue;
            int user = g->node[g->link[k].to].layer;
            if (user < first) first = user;
            n->reach = max(n->reach, user - 1);
        }
        if (can_sink(g, i) && first < g->layers) n->layer = first - 1;
    }
}

static void layer(picture *g) {
    for (int i = 0; i < g->nodes; i++) {
        node *n = &g->node[i];
        n->layer = n->backward ? g->node[g->y].layer + 1 : 0;
        for (int k = 0; k < g->links; k++)
            if (g->link[k].to == i) n->layer = max(n->layer, g->node[g->link[k].from].layer + 1);
        if (!n->hidden) g->layers = max(g->layers, n->layer + 1);
    }
    sink(g);
}

static bool add_point(picture *g, int number, int at, bool through) {
    if (g->points == MAX_POINTS) return false;
    g->point[g->points] = (point){.node = number, .layer = at, .x = g->points, .through = through};
    g->points++;
    return true;
}

static bool join(picture *g, int from, int to) {
    for (int i = 0; i < g->lines; i++)
        if (g->line[i].from == from && g->line[i].to == to) return true;
    if (g->lines == MAX_LINES) return false;
    g->line[g->lines++] = (line){from, to};
    return true;
}

static bool place(picture *g) {
    for (int i = 0; i < g->nodes; i++) {
        node *n = &g->node[i];
        n->point = g->points;
        if (n->hidden) continue;
        for (int at = n->layer; at <= max(n->layer, n->reach); at++)
            if (!add_point(g, i, at, at > n->layer)) return false;
    }
    for (int i = 0; i < g->links; i++) {
        const node *from = &g->node[g->link[i].from], *to = &g->node[g->link[i].to];
        int last = from->point + to->layer - 1 - from->layer;
        for (int p = from->point; p < last; p++)
            if (!join(g, p, p + 1)) return false;
        if (!join(g, last, to->point)) return false;
    }
    return true;
}

/* ---- Positions of points */

static double half(const point *p) { return p->through ? 9 : WIDTH / 2.0 + 9; }

/* The mean position of each point's neighbours: those above for side < 0, below for side > 0, or both. */
static void look_around(picture *g, int side) {
    for (int i = 0; i < g->points; i++) g->point[i].sum = 0, g->point[i].count = 0;
    for (int i = 0; i < g->lines; i++) {
        point *a = &g->point[g->line[i].from], *b = &g->point[g->line[i].to];
        if (side <= 0) b->sum += a->x, b->count++;
        if (side >= 0) a->sum += b->x, a->count++;
    }
    for (int i = 0; i < g->points; i++) {
        point *p = &g->point[i];
        p->sum = p->count ? p->sum / p->count : p->x;
    }
}

/* The points of a layer in order, by insertion, so that equal ones keep theirs. */
static int members(picture *g, int at, bool by_neighbours) {
    int n = 0;
    for (int i = 0; i < g->points; i++) {
        const point *p = &g->point[i];
        if (p->layer != at) continue;
        int k = n++;
        for (; k > 0; k--) {
            const point *q = &g->point[g->order[k - 1]];
            if (by_neighbours ? q->sum <= p->sum : q->x <= p->x) break;
            g->order[k] = g->order[k - 1];
        }
        g->order[k] = i;
    }
    return n;
}

/* The mean of two arrangements: each point at its best position, pushed right by the points before it, or left by those
 * after it. Both have room for all. */
static void settle(picture *g, int n) {
    static double right[MAX_POINTS];
    for (int k = 0; k < n; k++) {
        const point *p = &g->point[g->order[k]];
        right[k] = p->sum;
        if (k) {
            double least = right[k - 1] + half(&g->point[g->order[k - 1]]) + half(p);
            if (right[k] < least) right[k] = least;
        }
    }
    double left = 0;
    for (int k = n; k-- > 0;) {
        point *p = &g->point[g->order[k]];
        double most = k + 1 < n ? left - half(&g->point[g->order[k + 1]]) - half(p) : p->sum;
        left = p->sum < most ? p->sum : most;
        p->x = (left + right[k]) / 2;
    }
}

static void arrange(picture *g) {
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int i = 0; i < g->layers; i++) {
            bool ordering = sweep < SWEEPS - 8, down = sweep % 2 == 0;
            look_around(g, !ordering ? 0 : down ? -1 : 1);
            settle(g, members(g, down ? i : g->layers - 1 - i, ordering));
        }
    double least = g->points ? g->point[0].x : 0;
    for (int i = 0; i < g->points; i++)
        if (g->point[i].x - half(&g->point[i]) < least) least = g->point[i].x - half(&g->point[i]);
    for (int i = 0; i < g->points; i++) g->point[i].x -= least;
}

/* ---- SVG */

/* A label, cut to `room` characters; −1: whole. */
static void put_label(FILE *file, const ag_tensor *x, int room) {
    char text[2 * NAME_BYTES + 24] = "";
    size_t n = 0;
    for (const char *c = ag_label_of(x); *c && n < 2 * NAME_BYTES + 16; c++) {
        bool begins = ((unsigned char)*c & 0xC0) != 0x80;
        if (begins && room-- == 0) {
            memcpy(text + n, "…", sizeof "…");
            break;
        }
        text[n++] = *c;
    }
    put_escaped(file, text);
}

/* The name of a node: its label, a number, or its operation. */
static bool put_name(FILE *file, const picture *g, int i, int room) {
    const node *n = &g->node[i];
    if (has_label(n->tensor)) put_label(file, n->tensor, room);
    else if (inputs_of(n->tensor) == 0 && ag_size(n->tensor) == 1) put_value(file, n->tensor, 1);
    else {
        fputs(op_name(n->tensor), file);
        return false;
    }
    return true;
}

static void put_details(FILE *file, const picture *g, int i, const char *separator) {
    const node *n = &g->node[i];
    put_shape(file, n->tensor);
    fputs(separator, file);
    put_value(file, n->tensor, 24);
    fputs(separator, file);
    if (n->gradient) put_value(file, n->gradient, 24);
    else fputs(n->backward ? "(backward)" : "none", file);
}

static void put_formula(FILE *file, ag_tensor *x) {
    if (x && inputs_of(x) > 0)
        fputs(ag_formula(x, &(ag_formula_options){.style = AG_STYLE_MATHML, .brief = true}), file);
}

static void put_line(FILE *file, const picture *g, const line *l) {
    const point *a = &g->point[l->from], *b = &g->point[l->to];
    double y1 = a->layer * LAYER + HEIGHT / 2.0 + (a->through ? 0 : HEIGHT / 2.0);
    double y2 = b->layer * LAYER + HEIGHT / 2.0 - (b->through ? 0 : HEIGHT / 2.0 + 4), middle = (y1 + y2) / 2;
    bool across = !g->node[a->node].backward && b->layer > g->node[g->y].layer;
    fprintf(file, "<path class=\"%s\" data-from=\"%d\"%s d=\"M%.0f %.0fC%.0f %.0f %.0f %.0f %.0f %.0f\"/>\n",
            across                      ? "e a"
            : g->node[a->node].backward ? "e b"
                                        : "e",
            a->node, b->through ? "" : " marker-end=\"url(#tip)\"", a->x, y1, a->x, middle, b->x, middle, b->x, y2);
}

static void put_node(FILE *file, const picture *g, int i) {
    const node *n = &g->node[i];
    double x = g->point[n->point].x, y = n->layer * LAYER;
    bool leaf = inputs_of(n->tensor) == 0;
    fprintf(file,
            "<g class=\"n%s%s%s\" role=\"button\" tabindex=\"0\" data-node=\"%d\" transform=\"translate(%.0f "
            "%.0f)\"><title>",
            n->backward ? " back" : "", leaf ? " leaf" : "", i == g->y ? " result" : "", i, x, y);
    put_name(file, g, i, -1);
    fprintf(file, " = %s ", op_name(n->tensor));
    put_details(file, g, i, "\n");
    fprintf(file, "</title><rect x=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/><text y=\"16\">", -WIDTH / 2, WIDTH,
            HEIGHT, leaf ? 18 : 4);
    bool named = put_name(file, g, i, 12);
    fputs("</text><text class=\"s\" y=\"31\">", file);
    if (named && !leaf) fprintf(file, "%s ", op_name(n->tensor));
    put_shape(file, n->tensor);
    fputs("</text></g>\n", file);
}

static void put_picture(FILE *file, const picture *g) {
    double width = 0;
    for (int i = 0; i < g->points; i++)
        if (g->point[i].x + half(&g->point[i]) > width) width = g->point[i].x + half(&g->point[i]);
    fprintf(file,
            "<svg id=\"graph\" role=\"group\" aria-label=\"the graph\" viewBox=\"-4 -4 %.0f %d\" width=\"%.0f\">\n"
            "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"4\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" "
            "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
            width + 8, g->layers * LAYER - LAYER + HEIGHT + 8, width + 8);
    for (int i = 0; i < g->lines; i++) put_line(file, g, &g->line[i]);
    for (int i = 0; i < g->nodes; i++)
        if (!g->node[i].hidden) put_node(file, g, i);
    fputs("</svg>\n", file);
}

static void put_table(FILE *file, const picture *g) {
    fputs("<details><summary>All nodes as a table</summary><div "
          "class=\"wide\"><table>\n<tr><th>name</th><th>operation</th>"
          "<th>shape</th><th>value</th><th>gradient</th><th>formula</th><th>the gradient’s formula</th></tr>\n",
          file);
    for (int i = 0; i < g->nodes; i++) {
        fprintf(file, "<tr id=\"node%d\"%s><td>", i, g->node[i].backward ? " class=\"back\"" : "");
        put_name(file, g, i, -1);
        fprintf(file, "</td><td>%s</td><td>", op_name(g->node[i].tensor));
        put_details(file, g, i, "</td><td>");
        fputs("</td><td>", file);
        put_formula(file, g->node[i].tensor);
        fputs("</td><td>", file);
        put_formula(file, g->node[i].gradient);
        fputs("</td></tr>\n", file);
    }
    fputs("</table></div></details>\n", file);
}

void put_graph(FILE *file, const report *r) {
    static picture g;
    memset(&g, 0, sizeof g);
    collect(&g, r->y, false);
    g.forward = g.nodes;
    g.y = find(&g, r->y);
    if (!g.full) differentiate(&g, r);
    g.full = g.full || !link_all(&g);
    if (!g.full) layer(&g);
    if (g.full || !place(&g)) {
        fputs("<p>The graph has too many nodes to be drawn here.</p>\n", file);
        return;
    }
    arrange(&g);
    fputs("<div>\n<div class=\"wide\">\n", file);
    put_picture(file, &g);
    fputs("</div>\n<div id=\"info\" aria-live=\"polite\">Point at a node to see its value, its gradient and their "
          "formulas; click it, or press Enter, to keep them here.</div>\n</div>\n",
          file);
    put_table(file, &g);
}
