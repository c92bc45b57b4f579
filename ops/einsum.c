/* einsum -- sums of products that a text describes
 *
 * The text is read into lists of labels, one for each axis: letters, and behind these the axes that "..." stands for,
 * counted from the last. A set of labels is a bit mask. Then each operand is brought into a form in which a label
 * occurs once and is needed by another operand or by the result; two operands at a time are replaced by their
 * product, until one is left; and its axes are put in order. Everything is checked before anything is recorded. */
#include "autograd/tape/utf8.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

enum { LETTERS = 52, LABELS = LETTERS + AG_MAX_RANK, MOST = 32, FEW = 7 };

typedef struct axes { /* labels of axes, in order */
    int count;
    uint8_t label[AG_MAX_RANK];
} axes;

typedef struct einsum {
    const char *text;
    int n; /* operands */
    ag_tensor *const *given;
    ag_tensor *x[MOST];
    axes in[MOST], out;
    int64_t extent[LABELS]; /* −1: the label does not occur */
    ag_tensor *nil;
} einsum;

/* The first axis of a label; −1: there is none. */
static int axis_of(const axes *a, int label) {
    for (int i = 0; i < a->count; i++)
        if (a->label[i] == label) return i;
    return -1;
}

/* ---- Reading the text ---- */

/* A failure at a place of the text; false. */
static bool fail_at(einsum *e, const char *at, const char *why, const char *what) {
    char text[AG__SHOWN];
    e->nil = ag__fail("einsum", e->n, e->given, AG_ERR_SHAPE, "%s%s at character %d of %s", why, what,
                      (int)(at - e->text) + 1, ag__shown(text, e->text));
    return false;
}

static bool fail_letter(einsum *e, const char *at, const char *why, char letter) {
    return fail_at(e, at, why, (char[]){letter, 0});
}

static int label_of(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1; }

static char letter_of(int label) { return (char)(label < 26 ? 'A' + label : 'a' + label - 26); }

static const char *skip_spaces(const char *at) {
    while (*at == ' ') at++;
    return at;
}

/* Labels of the axes of an operand or of the result, up to a comma, an arrow or the end. `dots` is how many axes
 * "..." stands for; place[i] is where the label of axis i was read. */
static bool read_labels(einsum *e, const char **from, axes *a, int *dots_at, const char *place[AG_MAX_RANK]) {
    *a = (axes){0};
    *dots_at = -1;
    for (const char *at = skip_spaces(*from);; at = skip_spaces(at)) {
        *from = at;
        if (*at == 0 || *at == ',' || (*at == '-' && at[1] == '>')) return true;
        const int label = label_of(*at);
        if (*at == '.') {
            if (at[1] != '.' || at[2] != '.') return fail_at(e, at, "\"...\" is incomplete", "");
            if (*dots_at >= 0) return fail_at(e, at, "\"...\" is there twice", "");
            *dots_at = a->count;
            at += 3;
        } else if (label < 0) {
            return fail_at(e, at, "neither a letter nor \"...\" nor a comma nor \"->\"", "");
        } else if (a->count == AG_MAX_RANK) {
            return fail_at(e, at, "more than 8 axes", "");
        } else {
            place[a->count] = at++;
            a->label[a->count++] = (uint8_t)label;
        }
    }
}

/* Put the labels of `dots` axes at dots_at. */
static void insert_dots(axes *a, int dots_at, int dots) {
    memmove(a->label + dots_at + dots, a->label + dots_at, (size_t)(a->count - dots_at));
    for (int i = 0; i < dots; i++) a->label[dots_at + i] = (uint8_t)(LABELS - dots + i);
    a->count += dots;
}

static bool extents_differ(einsum *e, const char *at, int label, int64_t has, int64_t before) {
    char text[AG__SHOWN], name[] = {label < LETTERS ? letter_of(label) : '.', 0};
    e->nil = ag__fail("einsum", e->n, e->given, AG_ERR_SHAPE,
                      "%s has %lld elements at character %d of %s, and %lld before", label < LETTERS ? name : "\"...\"",
                      (long long)has, (int)(at - e->text) + 1, ag__shown(text, e->text), (long long)before);
    return false;
}

/* The extents of an operand's labels agree with those of the same label. */
static bool note_extents(einsum *e, int k, const char *start, int dots_at, int dots, const char *const place[]) {
    const axes *a = &e->in[k];
    for (int i = 0; i < a->count; i++) {
        const int label = a->label[i], first = axis_of(a, label);
        const int64_t has = ag_extent(e->x[k], i), own = ag_extent(e->x[k], first), other = e->extent[label];
        const char *at = label >= LETTERS ? start : place[dots_at >= 0 && i >= dots_at + dots ? i - dots : i];
        if (has != own) return extents_differ(e, at, label, has, own);
        if (other >= 0 && has != other && has != 1 && other != 1) return extents_differ(e, at, label, has, other);
        if (other < 0 || other == 1) e->extent[label] = has;
    }
    return true;
}

static bool read_operand(einsum *e, int k, const char **at, int *most_dots) {
    const char *start = skip_spaces(*at), *place[AG_MAX_RANK];
    const int rank = ag_rank(e->x[k]);
    char text[AG__SHOWN];
    int dots_at;
    if (!read_labels(e, at, &e->in[k], &dots_at, place)) return false;
    const int letters = e->in[k].count, dots = dots_at < 0 ? 0 : rank - letters;
    if (letters > rank || (dots_at < 0 && letters < rank)) {
        e->nil = ag__fail("einsum", e->n, e->given, AG_ERR_SHAPE,
                          "operand %d has %d axes, and %d letters from character %d of %s on", k, rank, letters,
                          (int)(start - e->text) + 1, ag__shown(text, e->text));
        return false;
    }
    if (dots_at >= 0) insert_dots(&e->in[k], dots_at, dots);
    if (dots > *most_dots) *most_dots = dots;
    return note_extents(e, k, start, dots_at, dots, place);
}

/* Without an arrow: the axes of "...", then the labels that occur once. */
static bool imply_output(einsum *e, const char *end, int dots) {
    int count[LABELS] = {0};
    for (int k = 0; k < e->n; k++)
        for (int i = 0; i < e->in[k].count; i++) count[e->in[k].label[i]]++;
    e->out = (axes){0};
    insert_dots(&e->out, 0, dots);
    for (int label = 0; label < LETTERS; label++) {
        if (count[label] != 1) continue;
        if (e->out.count == AG_MAX_RANK) return fail_at(e, end, "the result would have more than 8 axes", "");
        e->out.label[e->out.count++] = (uint8_t)label;
    }
    return true;
}

static bool read_output(einsum *e, const char *at, int dots) {
    const char *place[AG_MAX_RANK], *start = at;
    int dots_at;
    uint64_t seen = 0;
    if (!read_labels(e, &at, &e->out, &dots_at, place)) return false;
    if (*at != 0) return fail_at(e, at, "something is behind the result", "");
    for (int i = 0; i < e->out.count; i++) {
        const int label = e->out.label[i];
        if (e->extent[label] < 0) return fail_letter(e, place[i], "no operand has the result's ", *place[i]);
        if (seen & UINT64_C(1) << label) return fail_letter(e, place[i], "the result has twice ", *place[i]);
        seen |= UINT64_C(1) << label;
    }
    if (dots_at < 0 && dots > 0) return fail_at(e, start, "the result lacks the axes of \"...\"", "");
    if (e->out.count + dots > AG_MAX_RANK) return fail_at(e, start, "the result would have more than 8 axes", "");
    if (dots_at >= 0) insert_dots(&e->out, dots_at, dots);
    return true;
}

static bool read_text(einsum *e) {
    const char *at = e->text;
    int dots = 0;
    for (int i = 0; i < LABELS; i++) e->extent[i] = -1;
    for (int k = 0; k < e->n; k++) {
        if (!read_operand(e, k, &at, &dots)) return false;
        if (k + 1 < e->n) {
            if (*at != ',') return fail_at(e, at, "an operand is missing", "");
            at++;
        }
    }
    if (*at == ',') return fail_at(e, at, "there are more operands than tensors", "");
    return *at == 0 ? imply_output(e, at, dots) : read_output(e, at + 2, dots);
}

/* ---- Sets of labels ---- */

static uint64_t set_of(const axes *a) {
    uint64_t set = 0;
    for (int i = 0; i < a->count; i++) set |= UINT64_C(1) << a->label[i];
    return set;
}

static int members(uint64_t set) {
    int n = 0;
    for (; set; set &= set - 1) n++;
    return n;
}

static double elements(const einsum *e, uint64_t set) {
    double n = 1;
    for (int label = 0; label < LABELS; label++)
        if (set & UINT64_C(1) << label) n *= (double)e->extent[label];
    return n;
}

/* The labels of operands other than p and q, and of the result. */
static uint64_t needed_elsewhere(const einsum *e, int p, int q) {
    uint64_t set = set_of(&e->out);
    for (int k = 0; k < e->n; k++)
        if (k != p && k != q) set |= set_of(&e->in[k]);
    return set;
}

/* ---- One operand ---- */

static void remove_axis(axes *a, int i) {
    memmove(a->label + i, a->label + i + 1, (size_t)(a->count - i - 1));
    a->count--;
}

/* Labels that it has twice become its diagonals. */
static void take_diagonals(einsum *e, int k) {
    axes *a = &e->in[k];
    for (int i = 0; i < a->count; i++)
        for (int j = a->count - 1; j > i; j--) {
            if (a->label[j] != a->label[i]) continue;
            const uint8_t label = a->label[i];
            e->x[k] = ag_diagonal(e->x[k], 0, i, j);
            remove_axis(a, j);
            remove_axis(a, i);
            a->label[a->count++] = label;
            i = -1; /* its place is another one now */
            break;
        }
}

/* An axis of extent 1 whose label is longer elsewhere is left out. */
static void leave_out_short(einsum *e, int k) {
    axes *a = &e->in[k];
    ag_axes left_out = {0};
    for (int i = 0; i < a->count; i++)
        if (ag_extent(e->x[k], i) == 1 && e->extent[a->label[i]] != 1) left_out.axis[left_out.count++] = i;
    if (left_out.count > 0) e->x[k] = ag__squeeze(e->x[k], &left_out);
    for (int i = left_out.count - 1; i >= 0; i--) remove_axis(a, left_out.axis[i]);
}

/* Sum over what nothing else needs. */
static void sum_alone(einsum *e, int k) {
    axes *a = &e->in[k];
    ag_axes summed = {0};
    const uint64_t needed = needed_elsewhere(e, k, k);
    for (int i = 0; i < a->count; i++)
        if (!(needed & UINT64_C(1) << a->label[i])) summed.axis[summed.count++] = i;
    if (summed.count > 0) e->x[k] = ag__sum(e->x[k], &summed, false);
    for (int i = summed.count - 1; i >= 0; i--) remove_axis(a, summed.axis[i]);
}

static ag_tensor *in_order(ag_tensor *x, const axes *from, const axes *to) {
    ag_axes order = {.count = to->count};
    for (int i = 0; i < to->count; i++) order.axis[i] = axis_of(from, to->label[i]);
    return ag__permute(x, &order);
}

/* ---- Two operands ---- */

/* The labels of a product's operands: of both and of the result, of one alone, of both and summed over. */
typedef struct groups {
    axes both, left, right, summed;
} groups;

static void append(axes *a, const axes *more) {
    memcpy(a->label + a->count, more->label, (size_t)more->count);
    a->count += more->count;
}

static axes joined(const axes *a, const axes *b, const axes *c) {
    axes all = *a;
    append(&all, b);
    append(&all, c);
    return all;
}

static groups groups_of(const axes *p, const axes *q, uint64_t needed) {
    groups g = {0};
    for (int i = 0; i < p->count; i++) {
        const bool common = axis_of(q, p->label[i]) >= 0, stays = needed & UINT64_C(1) << p->label[i];
        axes *to = !common ? &g.left : stays ? &g.both : &g.summed;
        to->label[to->count++] = p->label[i];
    }
    for (int i = 0; i < q->count; i++)
        if (axis_of(p, q->label[i]) < 0) g.right.label[g.right.count++] = q->label[i];
    return g;
}

static void add_extents(const einsum *e, ag_shape *shape, const axes *a, bool ones) {
    for (int i = 0; i < a->count; i++) shape->extent[shape->rank++] = ones ? 1 : e->extent[a->label[i]];
}

static void add_joined(const einsum *e, ag_shape *shape, const axes *a) {
    int64_t n = 1;
    for (int i = 0; i < a->count; i++) n *= e->extent[a->label[i]];
    shape->extent[shape->rank++] = n;
}

/* (both…,left…,summed…)·(both…,summed…,right…) with the groups of three joined to one axis each. */
static ag_tensor *by_matmul(const einsum *e, ag_tensor *p, ag_tensor *q, const groups *g) {
    ag_shape a = {0}, b = {0}, y = {0};
    add_extents(e, &a, &g->both, false), add_joined(e, &a, &g->left), add_joined(e, &a, &g->summed);
    add_extents(e, &b, &g->both, false), add_joined(e, &b, &g->summed), add_joined(e, &b, &g->right);
    add_extents(e, &y, &g->both, false), add_extents(e, &y, &g->left, false), add_extents(e, &y, &g->right, false);
    return ag__reshape(ag_matmul(ag__reshape(p, &a), ag__reshape(q, &b)), &y);
}

/* (both…,left…,1…,summed…)·(both…,1…,right…,summed…), summed. */
static ag_tensor *by_elements(const einsum *e, ag_tensor *p, ag_tensor *q, const groups *g) {
    ag_shape a = {0}, b = {0};
    add_extents(e, &a, &g->both, false), add_extents(e, &a, &g->left, false), add_extents(e, &a, &g->right, true);
    add_extents(e, &b, &g->both, false), add_extents(e, &b, &g->left, true), add_extents(e, &b, &g->right, false);
    ag_axes summed = {0};
    for (int i = 0; i < g->summed.count; i++) summed.axis[summed.count++] = a.rank + i;
    add_extents(e, &a, &g->summed, false), add_extents(e, &b, &g->summed, false);
    ag_tensor *y = ag_mul(ag__reshape(p, &a), ag__reshape(q, &b));
    return summed.count > 0 ? ag__sum(y, &summed, false) : y;
}

/* How two operands are multiplied. Integers have no products of matrices: elementwise ones are summed. */
typedef enum way { BY_TENSORDOT, BY_MATMUL, BY_ELEMENTS } way;

static way way_of(const einsum *e, const groups *g) {
    enum { WIDE = 8 }; /* numbers of either operand, from which on the product of a column and a row is quicker */
    const double left = elements(e, set_of(&g->left)), right = elements(e, set_of(&g->right));
    const bool outer = g->both.count > 0 && left >= WIDE && right >= WIDE;
    const bool dots = g->both.count > 0 && g->left.count + g->right.count == 0;
    const bool plain = g->summed.count == 0 ? !outer : dots;
    if (plain || !ag__is_real((int)ag_dtype_of(e->given[0]))) return BY_ELEMENTS;
    return g->both.count == 0 ? BY_TENSORDOT : BY_MATMUL;
}

/* How many axes the operands of the product have at most on the way. */
static int rank_of(const einsum *e, const groups *g) {
    const int both = g->both.count, left = g->left.count, right = g->right.count;
    const int result = both + left + right + (way_of(e, g) == BY_ELEMENTS ? g->summed.count : 0);
    return way_of(e, g) == BY_MATMUL && both + 2 > result ? both + 2 : result;
}

/* Replace operand p by its product with q. The operand with the result's next axis comes first. */
static void multiply(einsum *e, int p, int q) {
    const uint64_t needed = needed_elsewhere(e, p, q);
    groups g = groups_of(&e->in[p], &e->in[q], needed);
    const axes swapped = g.right;
    ag_tensor *a = e->x[p], *b = e->x[q], *y;
    axes in_a = e->in[p], in_b = e->in[q];
    for (int i = 0; i < e->out.count; i++) {
        if (axis_of(&g.both, e->out.label[i]) >= 0) continue;
        if (axis_of(&g.right, e->out.label[i]) >= 0) {
            a = e->x[q], b = e->x[p];
            in_a = e->in[q], in_b = e->in[p];
            g.right = g.left, g.left = swapped;
        }
        break;
    }
    const axes order_a = joined(&g.both, &g.left, &g.summed);
    const bool elements_too = way_of(e, &g) == BY_ELEMENTS;
    const axes order_b = elements_too ? joined(&g.both, &g.right, &g.summed) : joined(&g.both, &g.summed, &g.right);
    a = in_order(a, &in_a, &order_a);
    b = in_order(b, &in_b, &order_b);
    /* A dot product of elements that are not next to each other would read them one by one, and store them. */
    const bool dot = g.both.count + g.left.count + g.right.count == 0;
    const bool apart = dot && !(a->layout->contiguous && b->layout->contiguous);
    if (elements_too || apart) y = by_elements(e, a, b, &g);
    else if (way_of(e, &g) == BY_TENSORDOT) y = ag_tensordot(a, b, g.summed.count);
    else y = by_matmul(e, a, b, &g);
    e->x[p] = y;
    e->in[p] = joined(&g.both, &g.left, &g.right);
}

/* Operand q is used up: the last one takes its place. */
static void drop(einsum *e, int q) {
    e->n--;
    e->x[q] = e->x[e->n];
    e->in[q] = e->in[e->n];
}

/* ---- The order of products ---- */

/* Whether so many elements can be counted; extents of 0 do not matter. */
static bool countable(const einsum *e, uint64_t set) {
    double n = 1;
    for (int label = 0; label < LABELS; label++)
        if (set & UINT64_C(1) << label && e->extent[label] > 0) n *= (double)e->extent[label];
    return n < 0x1p59;
}

/* Intermediate results of a pair have up to 8 axes, and elements that can be counted; others are impossible. */
static bool possible(const einsum *e, const axes *p, const axes *q, uint64_t needed) {
    const uint64_t all = set_of(p) | set_of(q);
    if (members(all & needed) > AG_MAX_RANK) return false;
    const groups g = groups_of(p, q, needed);
    return rank_of(e, &g) <= AG_MAX_RANK && countable(e, way_of(e, &g) == BY_ELEMENTS ? all : all & needed);
}

static axes axes_of(uint64_t set) {
    axes a = {0};
    for (int label = 0; label < LABELS && a.count < AG_MAX_RANK; label++)
        if (set & UINT64_C(1) << label) a.label[a.count++] = (uint8_t)label;
    return a;
}

/* For each set of operands: the labels of its product, the multiplications that it takes, one of its two halves. */
typedef struct table {
    uint64_t labels[1 << FEW];
    double cost[1 << FEW];
    uint8_t half[1 << FEW];
} table;

static void fill_table(const einsum *e, table *t) {
    const unsigned all = (1u << e->n) - 1;
    for (unsigned set = 1; set <= all; set++) {
        uint64_t inside = 0, outside = set_of(&e->out);
        for (int k = 0; k < e->n; k++) *(set & 1u << k ? &inside : &outside) |= set_of(&e->in[k]);
        t->labels[set] = set & (set - 1) ? inside & outside : inside;
        t->cost[set] = set & (set - 1) ? (double)INFINITY : 0;
        if (members(t->labels[set]) > AG_MAX_RANK) continue;
        for (unsigned half = (set - 1) & set; half > (set ^ half); half = (half - 1) & set) {
            const unsigned other = set ^ half;
            const double cost = t->cost[half] + t->cost[other] + elements(e, t->labels[half] | t->labels[other]);
            const axes p = axes_of(t->labels[half]), q = axes_of(t->labels[other]);
            if (!(cost < t->cost[set]) || !possible(e, &p, &q, outside)) continue;
            t->cost[set] = cost;
            t->half[set] = (uint8_t)half;
        }
    }
}

typedef struct pair {
    uint8_t p, q;
} pair;

/* The products of a set, each behind those of its halves. A product is at the place of its first operand. */
static void list_products(const table *t, unsigned set, pair *list, int *count) {
    unsigned stack[2 * FEW], done[FEW];
    int depth = 0, products = 0;
    stack[depth++] = set;
    while (depth > 0) { /* from the last product to the first */
        const unsigned s = stack[--depth];
        if (!(s & (s - 1))) continue;
        done[products++] = s;
        stack[depth++] = t->half[s];
        stack[depth++] = s ^ t->half[s];
    }
    for (*count = 0; products > 0;) {
        const unsigned s = done[--products], p = t->half[s], q = s ^ p;
        uint8_t a = 0, b = 0;
        while (!(p & 1u << a)) a++;
        while (!(q & 1u << b)) b++;
        list[(*count)++] = a < b ? (pair){a, b} : (pair){b, a};
    }
}

static bool no_order(einsum *e) {
    char text[AG__SHOWN];
    e->nil = ag__fail("einsum", e->n, e->given, AG_ERR_SHAPE,
                      "%s needs an intermediate result of more than %d axes, or of more elements than can be counted",
                      ag__shown(text, e->text), AG_MAX_RANK);
    return false;
}

/* The pair whose product is smallest, compared with its operands, and of these the one with the fewest
 * multiplications; false if there is none. */
static bool next_pair(const einsum *e, int *p, int *q) {
    double least = (double)INFINITY, least_work = (double)INFINITY;
    for (int i = 0; i < e->n; i++)
        for (int j = i + 1; j < e->n; j++) {
            const uint64_t needed = needed_elsewhere(e, i, j), a = set_of(&e->in[i]), b = set_of(&e->in[j]);
            if (!possible(e, &e->in[i], &e->in[j], needed)) continue;
            const double growth = elements(e, (a | b) & needed) - elements(e, a) - elements(e, b);
            const double work = elements(e, a | b);
            if (growth > least || (growth == least && work >= least_work)) continue;
            least = growth, least_work = work;
            *p = i, *q = j;
        }
    return least_work < (double)INFINITY;
}

/* The order of products, found on labels alone. Few operands keep their places; of many, the last one takes that of
 * q. */
static bool plan_few(const einsum *e, pair *list, int *count) {
    table t;
    const unsigned all = (1u << e->n) - 1;
    fill_table(e, &t);
    if (e->n > 1 && !(t.cost[all] < (double)INFINITY)) return false;
    list_products(&t, all, list, count);
    return true;
}

static bool plan_many(einsum e, pair *list, int *count) {
    for (*count = 0; e.n > 1;) {
        int p = 0, q = 0;
        if (!next_pair(&e, &p, &q)) return false;
        const groups g = groups_of(&e.in[p], &e.in[q], needed_elsewhere(&e, p, q));
        list[(*count)++] = (pair){(uint8_t)p, (uint8_t)q};
        e.in[p] = joined(&g.both, &g.left, &g.right);
        drop(&e, q);
    }
    return true;
}

/* ---- The whole ---- */

/* The labels that take_diagonals, leave_out_short and sum_alone will leave. */
static void reduce_labels(einsum *e) {
    for (int k = 0; k < e->n; k++) {
        uint64_t left = set_of(&e->in[k]);
        for (int i = 0; i < e->in[k].count; i++)
            if (ag_extent(e->x[k], i) == 1 && e->extent[e->in[k].label[i]] != 1)
                left &= ~(UINT64_C(1) << e->in[k].label[i]);
        e->in[k] = axes_of(left);
    }
    for (int k = 0; k < e->n; k++) e->in[k] = axes_of(set_of(&e->in[k]) & needed_elsewhere(e, k, k));
}

static bool plan(const einsum *e, pair *list, int *count) {
    einsum labels = *e;
    reduce_labels(&labels);
    return labels.n <= FEW ? plan_few(&labels, list, count) : plan_many(labels, list, count);
}

static ag_tensor *evaluate(einsum *e, const pair *list, int count) {
    const bool few = e->n <= FEW;
    for (int k = 0; k < e->n; k++) take_diagonals(e, k), leave_out_short(e, k);
    for (int k = 0; k < e->n; k++) sum_alone(e, k);
    for (int i = 0; i < count; i++) {
        multiply(e, list[i].p, list[i].q);
        if (few) e->in[list[i].q].count = 0;
        else drop(e, list[i].q);
    }
    return in_order(e->x[0], &e->in[0], &e->out);
}

static ag_tensor *fail_text(int n, ag_tensor *const x[], ag_status status, const char *why) {
    return ag__fail("einsum", n, x, status, "%s", why);
}

ag_tensor *ag_einsum(const char *text, int n, ag_tensor *const x[]) {
    einsum e = {.text = text, .n = n, .given = x};
    pair list[MOST];
    int count = 0;
    if (n < 1 || n > MOST || !x)
        return fail_text(0, NULL, x ? AG_ERR_RANGE : AG_ERR_NULL, x ? "1 to 32 operands are wanted" : "x is NULL");
    if (!ag__inputs_usable("einsum", n, x, &e.nil)) return e.nil;
    if (!text) return fail_text(n, x, AG_ERR_NULL, "the text is NULL");
    for (int k = 0; k < n; k++) {
        e.x[k] = x[k];
        if (ag_dtype_of(x[k]) == AG_BOOL || ag_dtype_of(x[k]) != ag_dtype_of(x[0]))
            return fail_text(n, x, AG_ERR_DTYPE, "all must be i64, f32 or f64, and the same");
    }
    if (!read_text(&e)) return e.nil;
    if (!plan(&e, list, &count)) return no_order(&e), e.nil;
    return evaluate(&e, list, count);
}
