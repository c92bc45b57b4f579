/* random_bound -- see random_bound.h */
#include "tests/random_bound.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/report/report.h"
#include "tests/random_program.h"
#include "tests/support.h"

enum { DRAWS = 4, SAFETY = 8, STRIP = AG__STRIP };

unsigned loose_classes = LOOSE_PRODUCT_SUMS | LOOSE_WHOLE_SUMS;

bool loosen(const char *names) {
    static const struct {
        const char *name;
        unsigned classes;
    } known[] = {{"product_sums", LOOSE_PRODUCT_SUMS},
                 {"whole_sums", LOOSE_WHOLE_SUMS},
                 {"products", LOOSE_PRODUCTS},
                 {"sums", LOOSE_SUMS},
                 {"functions", LOOSE_FUNCTIONS},
                 {"arithmetic", LOOSE_ARITHMETIC},
                 {"all", 63}};
    if (strcmp(names, "none") == 0) {
        loose_classes = 0;
        return true;
    }
    while (*names) {
        size_t length = strcspn(names, ","), count = sizeof known / sizeof *known, i = 0;
        while (i < count && (strlen(known[i].name) != length || strncmp(known[i].name, names, length) != 0)) i++;
        if (i == count) return false;
        loose_classes |= known[i].classes;
        names += length + (names[length] == ',');
    }
    return true;
}

/* ---- Classes ---- */

static bool is_named(const ag_tensor *t, const char *const names[], int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(t->op->name, names[i]) == 0) return true;
    return false;
}
#define NAMED(t, ...)                                                                                                  \
    is_named(t, (const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)))

/* Matrix products, and additions at indices: they sum many terms, and in a sum start from the other summand. */
static bool is_product(const ag_tensor *t) { return (t->op->flags & AG_OP_ACCUMULATES) != 0; }

/* The largest number of terms summed in an element. */
static int64_t terms_of(const ag_tensor *t) {
    if (t->op->kind != AG_KIND_CONTRACTION) return ag_size(t->input[t->arity - 1]) + 1;
    int64_t axes = NAMED(t, "tensordot", "strong_tensordot") ? *(const int64_t *)ag_attributes(t) : 1, n = 1;
    for (int i = 1; i <= axes; i++) n *= ag_extent(t->input[0], -i);
    return n;
}

/* How many products are summed in each element of t, including the other summand; 0: t is not a product, nor a sum
 * with one. */
static int64_t products_in(const ag_tensor *t, const int64_t *of) {
    if (is_product(t)) return terms_of(t) + 1;
    return NAMED(t, "add") ? of[t->input[0]->id] + of[t->input[1]->id] : 0;
}

static unsigned class_of_reduction(const ag_tensor *t) {
    bool whole = t->layout->size == 1 && t->input[0]->layout->size > STRIP;
    return NAMED(t, "max", "min") ? 0 : whole ? LOOSE_SUMS | LOOSE_WHOLE_SUMS : LOOSE_SUMS;
}

static unsigned class_of(const ag_tensor *t, const int64_t *products) {
    if (!ag__is_real(t->dtype)) return 0;
    if (is_product(t)) return LOOSE_PRODUCTS;
    if (products[t->id] && (is_product(t->input[0]) || is_product(t->input[1])))
        return LOOSE_PRODUCT_SUMS | LOOSE_ARITHMETIC;
    if (t->op->kind == AG_KIND_REDUCTION) return class_of_reduction(t);
    if (t->op->kind != AG_KIND_ELEMENTWISE) return 0;
    if (!(t->op->flags & AG_OP_CHEAP)) return LOOSE_FUNCTIONS | LOOSE_ARITHMETIC;
    return NAMED(t, "abs", "neg", "maximum", "minimum", "where", "sign", "relu", "clamp", "gate", "below_one",
                 "from_one")
               ? 0
               : LOOSE_ARITHMETIC;
}

/* ---- Dependents ---- */

/* The value assigned to version `t` of a variable; NULL: none, it has its initial value. */
static ag_tensor *assigned_to(const graph *g, const ag_tensor *t) {
    ag_tensor *found = NULL;
    for (int i = 0; i < g->assignments; i++)
        if (g->assignment[i].variable == t->input[0] && g->assignment[i].at <= t->id) found = g->assignment[i].value;
    return found;
}

static int64_t *count_products(const graph *g) {
    int64_t *products = claim(g->tape->count * sizeof *products);
    for (uint32_t id = 0; id < g->tape->count; id++) products[id] = products_in(ag__node(g->tape, id), products);
    return products;
}

void find_loose(const graph *g, int n, ag_tensor *const y[], bool result[]) {
    int64_t *products = count_products(g);
    bool *loose = claim(g->tape->count * sizeof *loose);
    for (uint32_t id = 0; id < g->tape->count; id++) {
        const ag_tensor *t = ag__node(g->tape, id);
        loose[id] = (class_of(t, products) & loose_classes) != 0;
        if (t->flags & AG__READ) {
            const ag_tensor *value = assigned_to(g, t);
            loose[id] = value && loose[value->id];
        } else {
            for (int i = 0; i < t->arity; i++) loose[id] = loose[id] || loose[t->input[i]->id];
        }
    }
    for (int i = 0; i < n; i++) result[i] = loose[y[i]->id];
    free(products);
    free(loose);
}

/* ---- The graph once more, disturbed ---- */

typedef struct shadow {
    const graph *graph;
    ag_tape *tape;
    const int64_t *products;
    const bool *wanted;
    ag_tensor **of; /* of node id; NULL: not wanted */
    uint64_t random;
    bool disturbed;
} shadow;

static bool *mark_wanted(const graph *g, int n, ag_tensor *const y[]) {
    bool *wanted = claim(g->tape->count * sizeof *wanted);
    for (int i = 0; i < n; i++) wanted[y[i]->id] = true;
    for (uint32_t id = g->tape->count; id-- > 0;) {
        const ag_tensor *t = ag__node(g->tape, id);
        if (!wanted[id]) continue;
        if (t->flags & AG__READ) {
            const ag_tensor *value = assigned_to(g, t);
            if (value) wanted[value->id] = true;
        } else {
            for (int i = 0; i < t->arity; i++) wanted[t->input[i]->id] = true;
        }
    }
    return wanted;
}

static ag_tensor *copied(const shadow *s, ag_tensor *t) {
    return ag_from(s->tape, (ag_dtype)t->dtype, ag_shape_of(t), ag_data(t));
}

/* Node t on the shadow tape, undisturbed. A variable itself is read only by its versions. */
static ag_tensor *computed(const shadow *s, ag_tensor *t) {
    const void *attributes = t->attribute_bytes ? ag__attributes(t) : NULL;
    ag_tensor *value = t->flags & AG__READ ? assigned_to(s->graph, t) : NULL;
    if (value) return s->of[value->id];
    if (t->flags & (AG__READ | AG__LEAF)) return copied(s, t);
    if (t->arity == 0)
        return ag_apply_source(t->op, s->tape, (ag_dtype)t->dtype, ag_shape_of(t), attributes, t->attribute_bytes);
    ag_tensor **x = claim(t->arity * sizeof *x);
    for (int i = 0; i < t->arity; i++) x[i] = s->of[t->input[i]->id];
    ag_tensor *y = ag_apply(t->op, t->arity, x, attributes, t->attribute_bytes);
    free(x);
    return y;
}

static ag_tensor *magnitude(ag_tensor *x) { return ag_where(ag_isfinite(x), ag_abs(x), ag_zeros_like(x)); }

/* Node t, of at most three inputs, computed from the magnitudes of its real inputs, those that are finite. */
static ag_tensor *like(const shadow *s, const ag_tensor *t) {
    ag_tensor *x[3];
    for (int i = 0; i < t->arity; i++) {
        x[i] = s->of[t->input[i]->id];
        if (ag__is_real(t->input[i]->dtype)) x[i] = magnitude(x[i]);
    }
    return ag_apply(t->op, t->arity, x, t->attribute_bytes ? ag__attributes(t) : NULL, t->attribute_bytes);
}

/* The size of the disturbance of each element of y, the shadow of node t; NULL: none. */
static ag_tensor *disturbance(const shadow *s, const ag_tensor *t, ag_tensor *y) {
    unsigned class = class_of(t, s->products), loose = loose_classes;
    double epsilon = t->dtype == AG_F32 ? 0x1p-23 : 0x1p-52, smallest = t->dtype == AG_F32 ? 0x1p-149 : 0x1p-1074;
    ag_tensor *a = t->arity > 0 ? s->of[t->input[0]->id] : NULL, *b = t->arity > 1 ? s->of[t->input[1]->id] : NULL;
    if (class & LOOSE_PRODUCTS && loose & (LOOSE_PRODUCTS | LOOSE_PRODUCT_SUMS))
        return ag_scale(like(s, t), epsilon * (double)(terms_of(t) + 2));
    if (!(class & loose)) return NULL;
    if (class & LOOSE_PRODUCT_SUMS)
        return ag_scale(ag_add(ag_abs(a), ag_abs(b)), epsilon * (double)(s->products[t->id] + 2));
    if (class & LOOSE_SUMS) {
        ag_tensor *size =
            ag_scale(NAMED(t, "sum", "mean") ? like(s, t) : ag_abs(y), epsilon * (double)(ag_size(a) + 1));
        /* A partial product below the normal numbers is rounded to a multiple of the smallest number. */
        return NAMED(t, "prod") ? ag_add_scalar(size, (double)ag_size(a) * smallest) : size;
    }
    ag_tensor *sum = ag_abs(y);
    for (int i = 0; i < t->arity && class & loose & LOOSE_ARITHMETIC; i++)
        if (ag_dtype_of(s->of[t->input[i]->id]) == t->dtype) sum = ag_add(sum, ag_abs(s->of[t->input[i]->id]));
    return ag_scale(sum, (class & LOOSE_FUNCTIONS ? 4 : 2) * epsilon);
}

static ag_tensor *disturbed(shadow *s, const ag_tensor *t, ag_tensor *y) {
    ag_tensor *size = s->disturbed && ag__is_real(t->dtype) ? disturbance(s, t, y) : NULL;
    if (!size) return y;
    const void *from = ag_data(y), *by = ag_data(size);
    if (!from || !by) return y;
    void *data = claim((size_t)ag_size(y) * ag_dtype_size(ag_dtype_of(y)));
    for (int64_t i = 0; i < ag_size(y); i++) {
        double v = element_at(ag_dtype_of(y), from, i), r = scatter(s->random++);
        const double most = element_at(ag_dtype_of(size), by, i);
        double moved = v + (r < 0 ? -1 : 1) * (0.5 + fabs(r) / 2) * most;
        if (isinf(most)) moved = isnan(v) ? 0 : NAN; /* finite terms overflow: which order does is not known */
        else if (!isfinite(moved)) moved = v;
        element_put(ag_dtype_of(y), data, i, moved);
    }
    y = ag_from(s->tape, ag_dtype_of(y), ag_shape_of(y), data);
    free(data);
    return y;
}

static void compute_shadow(shadow *s) {
    for (uint32_t id = 0; id < s->graph->tape->count; id++) {
        ag_tensor *t = ag__node(s->graph->tape, id);
        if (s->wanted[id]) s->of[id] = disturbed(s, t, computed(s, t));
    }
}

/* The largest difference of two elements; infinite where one is finite and the other is not. */
static double distance(ag_tensor *a, ag_tensor *b) {
    const void *p = ag_data(a), *q = ag_data(b);
    double most = 0;
    for (int64_t i = 0; p && q && i < ag_size(a); i++) {
        double u = element_at(ag_dtype_of(a), p, i), v = element_at(ag_dtype_of(b), q, i);
        if (u == v || (isnan(u) && isnan(v))) continue;
        most = isfinite(u) && isfinite(v) ? fmax(most, fabs(u - v)) : INFINITY;
    }
    return p && q ? most : INFINITY;
}

static void one_draw(shadow *s, int n, ag_tensor *const y[], double change[]) {
    s->tape = ag_tape_new();
    ag_tape_set_evaluator(s->tape, AG_EVALUATOR_REFERENCE);
    ag_tape_set_threads(s->tape, 1);
    s->of = claim(s->graph->tape->count * sizeof(ag_tensor *));
    compute_shadow(s);
    for (int i = 0; i < n; i++) change[i] = fmax(change[i], distance(y[i], s->of[y[i]->id]));
    free(s->of);
    ag_tape_free(s->tape);
}

bool find_bounds(const graph *g, int n, ag_tensor *const y[], double bound[]) {
    int64_t *products = count_products(g);
    bool *wanted = mark_wanted(g, n, y), same = true;
    shadow s = {.graph = g, .products = products, .wanted = wanted};
    for (int i = 0; i < n; i++) bound[i] = 0;
    one_draw(&s, n, y, bound);
    for (int i = 0; i < n; i++) same = same && bound[i] == 0;
    s.disturbed = true;
    for (int d = 0; d < DRAWS; d++) {
        s.random = (uint64_t)d << 40;
        one_draw(&s, n, y, bound);
    }
    for (int i = 0; i < n; i++) bound[i] *= SAFETY;
    free(products);
    free(wanted);
    return same;
}
