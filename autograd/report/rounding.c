/* rounding -- bounds on the rounding errors of computed values
 *
 * A running error analysis, recorded beside the graph in the graph's own operations: e(y) = Σ |∂y/∂x|·e(x) + ε·|y|,
 * where a sum rounds once for each element. Elementwise derivatives come from the operation's own VJP with a
 * cotangent of ones; views and sums act on errors as on values. Leaves are exact. It is meant for cancellation
 * within one layer: worst cases multiply from layer to layer until they mean nothing, so errors start afresh at
 * products, at unknown operations, and where the analysis stops. The bound is then too small, which is safe for its
 * only use: to say that a result may be 0. Errors start afresh at slopes such as tanh's too (AG_OP_TIED), which is
 * written as 1 − y², but computed without that cancellation. */
#include "autograd/report/report.h"

#include <float.h>
#include <math.h>

enum { MOST = 96, MOST_TERMS = 128 /* that one sum adds in sequence; more are added in pairs */ };

/* Nodes in ascending order, and their errors; NULL: no error. */
typedef struct analysis {
    ag_tensor *node[MOST], *error[MOST];
    int count;
} analysis;

static int find(const analysis *a, const ag_tensor *t) {
    for (int i = 0; i < a->count; i++)
        if (a->node[i] == t) return i;
    return -1;
}

static void insert(analysis *a, ag_tensor *t) {
    if (a->count == MOST || find(a, t) >= 0) return;
    int i = a->count++;
    for (; i > 0 && a->node[i - 1]->id > t->id; i--) a->node[i] = a->node[i - 1];
    a->node[i] = t;
}

static bool is_looked_into(const ag_tensor *t) { return !(t->flags & AG__READ) && t->op->kind != AG_KIND_CONTRACTION; }

/* Nodes that c depends on, the youngest first; `done` nodes from the end have been looked into. */
static void gather(analysis *a, ag_tensor *c) {
    insert(a, c);
    for (int done = 0; done < a->count; done++) {
        ag_tensor *t = a->node[a->count - 1 - done];
        for (int i = 0; i < t->arity && is_looked_into(t) && a->count + t->arity <= MOST; i++)
            if (ag__is_real(t->input[i]->dtype)) insert(a, t->input[i]);
    }
}

static double epsilon_of(const ag_tensor *t) { return t->dtype == AG_F32 ? (double)FLT_EPSILON : DBL_EPSILON; }

static ag_tensor *plus(ag_tensor *a, ag_tensor *b) { return !a ? b : !b ? a : ag_add(a, b); }

static ag_tensor *same_op(const ag_tensor *t, ag_tensor *const x[]) {
    return ag_apply(t->op, t->arity, x, ag__attributes(t), t->attribute_bytes);
}

static ag_tensor *elementwise_error(ag_tensor *t, ag_tensor *const e[]) {
    ag_tensor *error = ag_scale(ag_abs(t), epsilon_of(t));
    for (int i = 0; i < t->arity; i++) {
        if (!e[i]) continue;
        ag_tensor *ones = ag_ones(t->tape, (ag_dtype)t->dtype, ag__layout_shape(t->layout));
        ag_tensor *slope = t->op->vjp ? ag__vjp_of(t, ones, i) : NULL;
        if (slope && slope->dtype == t->dtype) error = ag_add(error, ag_mul(ag_abs(slope), e[i]));
    }
    return error;
}

/* The error of a product: of its own multiplications, and of each factor, times the others. */
static ag_tensor *factors_error(ag_tensor *t, ag_tensor *e) {
    const ag_axes_set *set = ag_attributes(t);
    const double n = fmin((double)t->input[0]->layout->size / fmax(1, (double)t->layout->size), MOST_TERMS);
    ag_tensor *error = ag_scale(ag_abs(t), n * epsilon_of(t));
    ag_tensor *slope = e ? ag__vjp_of(t, ag_ones(t->tape, (ag_dtype)t->dtype, ag__layout_shape(t->layout)), 0) : NULL;
    ag_axes axes = {0, {0}};
    for (int i = 0; i < t->input[0]->layout->rank; i++)
        if (set->mask & 1u << i) axes.axis[axes.count++] = i;
    return slope ? ag_add(error, ag_sum_over(ag_mul(ag_abs(slope), e), axes, set->keepdims)) : error;
}

/* The error of a reduction that begins with 0 or 1, a sum or a product; the others choose one of their inputs. */
static ag_tensor *reduction_error(ag_tensor *t, ag_tensor *e) {
    if (t->op->reduction && t->op->reduction->identity == 1) return factors_error(t, e);
    ag_tensor *error = e ? same_op(t, &e) : NULL, *x = t->input[0];
    if (!t->op->reduction || t->op->reduction->identity != 0 || t->layout->size == 0) return error;
    double n = fmin((double)x->layout->size / (double)t->layout->size, MOST_TERMS);
    ag_tensor *size = ag_abs(x);
    return plus(error, ag_scale(same_op(t, &size), n * epsilon_of(t)));
}

static ag_tensor *product_error(ag_tensor *t) {
    ag_tensor *x[] = {ag_abs(t->input[0]), ag_abs(t->input[1])};
    double sizes = (double)t->input[0]->layout->size * (double)t->input[1]->layout->size;
    double n = sqrt(sizes / fmax(1, (double)t->layout->size));
    return ag_scale(same_op(t, x), fmin(n, MOST_TERMS) * epsilon_of(t));
}

static ag_tensor *error_of(const analysis *a, ag_tensor *t) {
    enum { FEW = 8 };
    ag_tensor *e[FEW] = {NULL};
    bool known = is_looked_into(t) && t->arity <= FEW;
    if (t->arity == 0 || t->flags & AG__READ) return NULL;
    for (int i = 0; i < t->arity && known; i++) {
        if (!ag__is_real(t->input[i]->dtype)) continue;
        int k = find(a, t->input[i]);
        known = k >= 0;
        if (known) e[i] = a->error[k];
    }
    if (known && t->op->kind == AG_KIND_VIEW && t->arity == 1) return e[0] ? same_op(t, e) : NULL;
    if (known && t->op->kind == AG_KIND_ELEMENTWISE && !(t->op->flags & AG_OP_TIED)) return elementwise_error(t, e);
    if (known && t->op->kind == AG_KIND_REDUCTION) return reduction_error(t, e[0]);
    if (t->op->kind == AG_KIND_CONTRACTION && t->arity == 2) return product_error(t);
    return ag_scale(ag_abs(t), epsilon_of(t));
}

ag_tensor *ag__rounding_of(ag_tensor *c) {
    analysis a = {.count = 0};
    gather(&a, c);
    for (int i = 0; i < a.count; i++) a.error[i] = error_of(&a, a.node[i]);
    return a.error[a.count - 1];
}
