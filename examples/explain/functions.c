/* functions -- the functions of expressions: the library's operations and losses
 *
 * Operations of one or two tensors, and of a tensor and a number, are taken from the list of operations.
 *
 * Invariant: parameters of the text and slots of the call correspond by number. */
#include "examples/explain/explain.h"
#include "nn/nn.h"
#include "ops/list.h"

#include <string.h>

/* ---- The contents of slots */

static ag_tensor *tensor(const call *c, int i) { return c->slots[i].tensor; }

static double real(const call *c, int i, double otherwise) {
    return c->slots[i].given ? c->slots[i].number : otherwise;
}

static int64_t whole(const call *c, int i, int64_t otherwise) {
    return c->slots[i].given ? c->slots[i].whole[0] : otherwise;
}

static int axis(const call *c, int i, int otherwise) { return (int)whole(c, i, otherwise); }

static bool flag(const call *c, int i) { return c->slots[i].given && c->slots[i].number != 0; }

static ag_axes axes(const call *c, int i) {
    ag_axes result = {c->slots[i].given ? c->slots[i].count : -1, {0}};
    for (int k = 0; k < c->slots[i].count; k++) result.axis[k] = (int)c->slots[i].whole[k];
    return result;
}

static ag_shape shape(const call *c, int i) {
    ag_shape result = {c->slots[i].count, {0}};
    memcpy(result.extent, c->slots[i].whole, sizeof result.extent);
    return result;
}

/* ---- Functions with options */

static ag_tensor *do_sum(const call *c) { return ag_sum_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_mean(const call *c) { return ag_mean_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_max(const call *c) { return ag_max_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_min(const call *c) { return ag_min_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_var(const call *c) { return ag_var_over(tensor(c, 0), axes(c, 1), real(c, 2, 0), flag(c, 3)); }
static ag_tensor *do_prod(const call *c) { return ag_prod_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_std(const call *c) { return ag_std_over(tensor(c, 0), axes(c, 1), real(c, 2, 0), flag(c, 3)); }
static ag_tensor *do_norm(const call *c) { return ag_norm_over(tensor(c, 0), axes(c, 1), real(c, 2, 2), flag(c, 3)); }
static ag_tensor *do_median(const call *c) { return ag_median_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_all(const call *c) { return ag_all_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_any(const call *c) { return ag_any_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_cumsum(const call *c) { return ag_cumsum(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_cumprod(const call *c) { return ag_cumprod(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_cummax(const call *c) { return ag_cummax(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_cummin(const call *c) { return ag_cummin(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_logcumsumexp(const call *c) { return ag_logcumsumexp(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_diff(const call *c) { return ag_diff(tensor(c, 0), 1, axis(c, 1, -1)); }
static ag_tensor *do_sort(const call *c) { return ag_sort(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_argsort(const call *c) { return ag_argsort(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_argmin(const call *c) { return ag_argmin(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_argmax(const call *c) { return ag_argmax(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_logsumexp(const call *c) { return ag_logsumexp(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_surprisal(const call *c) { return ag_surprisal(tensor(c, 0), tensor(c, 1), axis(c, 2, -1)); }
static ag_tensor *do_softmax(const call *c) { return ag_softmax(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_log_softmax(const call *c) { return ag_log_softmax(tensor(c, 0), axis(c, 1, -1)); }

static ag_tensor *do_where(const call *c) { return ag_where(tensor(c, 0), tensor(c, 1), tensor(c, 2)); }
static ag_tensor *do_clamp(const call *c) { return ag_clamp(tensor(c, 0), real(c, 1, 0), real(c, 2, 0)); }
static ag_tensor *do_int(const call *c) { return ag_cast(tensor(c, 0), AG_I64); }
static ag_tensor *do_float(const call *c) { return ag_cast(tensor(c, 0), AG_F64); }

static ag_tensor *do_reshape(const call *c) { return ag_reshape(tensor(c, 0), shape(c, 1)); }
static ag_tensor *do_broadcast_to(const call *c) { return ag_broadcast_to(tensor(c, 0), shape(c, 1)); }
static ag_tensor *do_tensordot(const call *c) { return ag_tensordot(tensor(c, 0), tensor(c, 1), (int)whole(c, 2, 1)); }
static ag_tensor *do_transpose(const call *c) { return ag_transpose(tensor(c, 0), axis(c, 1, -2), axis(c, 2, -1)); }
static ag_tensor *do_permute(const call *c) { return ag_permute(tensor(c, 0), axes(c, 1)); }
static ag_tensor *do_flip(const call *c) { return ag_flip(tensor(c, 0), axis(c, 1, 0)); }
static ag_tensor *do_squeeze(const call *c) { return ag_squeeze(tensor(c, 0), axes(c, 1)); }
static ag_tensor *do_unsqueeze(const call *c) { return ag_unsqueeze(tensor(c, 0), axis(c, 1, 0)); }
static ag_tensor *do_slice(const call *c) {
    return ag_slice(tensor(c, 0), axis(c, 1, 0), whole(c, 2, AG_END), whole(c, 3, AG_END), whole(c, 4, 1));
}
static ag_tensor *do_embed(const call *c) {
    return ag_embed(tensor(c, 0), axis(c, 1, 0), whole(c, 2, 0), whole(c, 3, 0), whole(c, 4, 1));
}
static ag_tensor *do_windows(const call *c) { return ag_windows(tensor(c, 0), axes(c, 1), shape(c, 2), shape(c, 3)); }
static ag_tensor *do_fold(const call *c) { return ag_fold(tensor(c, 0), axes(c, 1), shape(c, 2), shape(c, 3)); }
static ag_tensor *do_concat(const call *c) { return ag_concat(c->more, c->tensors, axis(c, 0, 0)); }

static ag_tensor *do_gather(const call *c) { return ag_gather(tensor(c, 0), tensor(c, 1), axis(c, 2, 0)); }
static ag_tensor *do_scatter_add(const call *c) {
    return ag_scatter_add(tensor(c, 0), tensor(c, 1), tensor(c, 2), axis(c, 3, 0));
}

static ag_tensor *do_index_select(const call *c) { return ag_index_select(tensor(c, 0), tensor(c, 1), axis(c, 2, 0)); }
static ag_tensor *do_take_along_axis(const call *c) {
    return ag_take_along_axis(tensor(c, 0), tensor(c, 1), axis(c, 2, 0));
}
static ag_tensor *do_scatter(const call *c) {
    return ag_scatter(tensor(c, 0), tensor(c, 1), tensor(c, 2), axis(c, 3, 0));
}
static ag_tensor *do_scatter_max(const call *c) {
    return ag_scatter_max(tensor(c, 0), tensor(c, 1), tensor(c, 2), axis(c, 3, 0));
}
static ag_tensor *do_one_hot(const call *c) { return ag_one_hot(tensor(c, 0), whole(c, 1, 0), AG_F64); }
static ag_tensor *do_stack(const call *c) { return ag_stack(c->more, c->tensors, axis(c, 0, 0)); }
static ag_tensor *do_flatten(const call *c) { return ag_flatten(tensor(c, 0), axis(c, 1, 0), axis(c, 2, -1)); }
static ag_tensor *do_roll(const call *c) { return ag_roll(tensor(c, 0), whole(c, 1, 1), axis(c, 2, 0)); }
static ag_tensor *do_tile(const call *c) { return ag_tile(tensor(c, 0), shape(c, 1)); }
static ag_tensor *do_pad(const call *c) { return ag_pad(tensor(c, 0), axes(c, 1), shape(c, 2), shape(c, 3)); }
static ag_tensor *do_diag(const call *c) { return ag_diag(tensor(c, 0), whole(c, 1, 0)); }
static ag_tensor *do_tril(const call *c) { return ag_tril(tensor(c, 0), whole(c, 1, 0)); }
static ag_tensor *do_triu(const call *c) { return ag_triu(tensor(c, 0), whole(c, 1, 0)); }
static ag_tensor *do_eye(const call *c) {
    return ag_eye(c->tape, AG_F64, whole(c, 0, 0), whole(c, 1, whole(c, 0, 0)), whole(c, 2, 0));
}
static ag_tensor *do_linspace(const call *c) {
    return ag_linspace(c->tape, AG_F64, real(c, 0, 0), real(c, 1, 0), whole(c, 2, 0));
}

static ag_tensor *do_zeros(const call *c) { return ag_zeros(c->tape, AG_F64, shape(c, 0)); }
static ag_tensor *do_ones(const call *c) { return ag_ones(c->tape, AG_F64, shape(c, 0)); }
static ag_tensor *do_full(const call *c) { return ag_full(c->tape, AG_F64, shape(c, 0), real(c, 1, 0)); }
static ag_tensor *do_arange(const call *c) { return ag_arange(c->tape, AG_F64, whole(c, 0, 0)); }
static ag_tensor *do_uniform(const call *c) {
    return ag_uniform(c->tape, AG_F64, shape(c, 0), real(c, 1, 0), real(c, 2, 1));
}
static ag_tensor *do_normal(const call *c) {
    return ag_normal(c->tape, AG_F64, shape(c, 0), real(c, 1, 0), real(c, 2, 1));
}

/* ---- The table */

static const function functions[] = {
    {"all", "x axis%? keepdims!?", NULL, NULL, do_all},
    {"any", "x axis%? keepdims!?", NULL, NULL, do_any},
    {"arange", "n%", NULL, NULL, do_arange},
    {"argmax", "x axis%? keepdims!?", NULL, NULL, do_argmax},
    {"argmin", "x axis%? keepdims!?", NULL, NULL, do_argmin},
    {"argsort", "x axis%? descending!?", NULL, NULL, do_argsort},
    {"binary_cross_entropy", "scores targets", NULL, ag_binary_cross_entropy, NULL},
    {"broadcast_to", "x shape%", NULL, NULL, do_broadcast_to},
    {"clamp", "x low# high#", NULL, NULL, do_clamp},
    {"concat", "axis%? *", NULL, NULL, do_concat},
    {"contiguous", "x", ag_contiguous, NULL, NULL},
    {"cross_entropy", "scores labels", NULL, ag_cross_entropy, NULL},
    {"cummax", "x axis%?", NULL, NULL, do_cummax},
    {"cummin", "x axis%?", NULL, NULL, do_cummin},
    {"cumprod", "x axis%?", NULL, NULL, do_cumprod},
    {"cumsum", "x axis%?", NULL, NULL, do_cumsum},
    {"diag", "x offset%?", NULL, NULL, do_diag},
    {"diff", "x axis%?", NULL, NULL, do_diff},
    {"embed", "x axis% n% start%? step%?", NULL, NULL, do_embed},
    {"eye", "m% n%? offset%?", NULL, NULL, do_eye},
    {"flatten", "x first%? last%?", NULL, NULL, do_flatten},
    {"flip", "x axis%?", NULL, NULL, do_flip},
    {"float", "x", NULL, NULL, do_float},
    {"fold", "x axis% extent% step%", NULL, NULL, do_fold},
    {"full", "shape% value#", NULL, NULL, do_full},
    {"gather", "x index axis%?", NULL, NULL, do_gather},
    {"greater", "a b", NULL, ag_greater, NULL},
    {"greater_equal", "a b", NULL, ag_greater_equal, NULL},
    {"hinge", "scores labels", NULL, ag_hinge, NULL},
    {"index_select", "x index axis%?", NULL, NULL, do_index_select},
    {"int", "x", NULL, NULL, do_int},
    {"linspace", "start# stop# n%", NULL, NULL, do_linspace},
    {"log_softmax", "x axis%?", NULL, NULL, do_log_softmax},
    {"logcumsumexp", "x axis%?", NULL, NULL, do_logcumsumexp},
    {"logsumexp", "x axis%? keepdims!?", NULL, NULL, do_logsumexp},
    {"matmul", "a b", NULL, ag_matmul, NULL},
    {"max", "x axis%? keepdims!?", NULL, NULL, do_max},
    {"mean", "x axis%? keepdims!?", NULL, NULL, do_mean},
    {"median", "x axis%? keepdims!?", NULL, NULL, do_median},
    {"min", "x axis%? keepdims!?", NULL, NULL, do_min},
    {"mse", "x target", NULL, ag_mse, NULL},
    {"norm", "x axis%? p#? keepdims!?", NULL, NULL, do_norm},
    {"normal", "shape% mean#? std#?", NULL, NULL, do_normal},
    {"one_hot", "index n%", NULL, NULL, do_one_hot},
    {"ones", "shape%", NULL, NULL, do_ones},
    {"pad", "x axis% before% after%", NULL, NULL, do_pad},
    {"permute", "x order%", NULL, NULL, do_permute},
    {"prod", "x axis%? keepdims!?", NULL, NULL, do_prod},
    {"reshape", "x shape%", NULL, NULL, do_reshape},
    {"roll", "x shift% axis%?", NULL, NULL, do_roll},
    {"scatter", "x index source axis%?", NULL, NULL, do_scatter},
    {"scatter_add", "x index source axis%?", NULL, NULL, do_scatter_add},
    {"scatter_max", "x index source axis%?", NULL, NULL, do_scatter_max},
    {"slice", "x axis%? start%? stop%? step%?", NULL, NULL, do_slice},
    {"softmax", "x axis%?", NULL, NULL, do_softmax},
    {"sort", "x axis%? descending!?", NULL, NULL, do_sort},
    {"squeeze", "x axis%?", NULL, NULL, do_squeeze},
    {"stack", "axis%? *", NULL, NULL, do_stack},
    {"std", "x axis%? correction#? keepdims!?", NULL, NULL, do_std},
    {"stop_gradient", "x", ag_stop_gradient, NULL, NULL},
    {"sum", "x axis%? keepdims!?", NULL, NULL, do_sum},
    {"surprisal", "x index axis%?", NULL, NULL, do_surprisal},
    {"take_along_axis", "x index axis%?", NULL, NULL, do_take_along_axis},
    {"tensordot", "a b axes%?", NULL, NULL, do_tensordot},
    {"tile", "x times%", NULL, NULL, do_tile},
    {"transpose", "x axis0%? axis1%?", NULL, NULL, do_transpose},
    {"tril", "x offset%?", NULL, NULL, do_tril},
    {"triu", "x offset%?", NULL, NULL, do_triu},
    {"uniform", "shape% low#? high#?", NULL, NULL, do_uniform},
    {"unsqueeze", "x axis%", NULL, NULL, do_unsqueeze},
    {"var", "x axis%? correction#? keepdims!?", NULL, NULL, do_var},
    {"where", "condition a b", NULL, NULL, do_where},
    {"windows", "x axis% size% step%", NULL, NULL, do_windows},
    {"zeros", "shape%", NULL, NULL, do_zeros},
};

/* Operations of a tensor and a number. */
#define DO_NUMBER(name)                                                                                                \
    static ag_tensor *do_##name(const call *c) { return ag_##name(tensor(c, 0), real(c, 1, 0)); }
#define DO_NUMBER_FIRST(name)                                                                                          \
    static ag_tensor *do_##name(const call *c) { return ag_##name(real(c, 0, 0), tensor(c, 1)); }
#define DO_UNARY(name)
#define DO_BINARY(name)
#define DO_INNER(name)
#define DO_OTHER(name)
#define DO(kind, name) DO_##kind(name)
AG_OPS(DO)

#define LINE_UNARY(name) {#name, "x", ag_##name, NULL, NULL},
#define LINE_BINARY(name) {#name, "a b", NULL, ag_##name, NULL},
#define LINE_NUMBER(name) {#name, "x s#", NULL, NULL, do_##name},
#define LINE_NUMBER_FIRST(name) {#name, "s# x", NULL, NULL, do_##name},
#define LINE_INNER(name)
#define LINE_OTHER(name)
#define LINE(kind, name) LINE_##kind(name)

static const function plain[] = {AG_OPS(LINE)};

enum { WITH_OPTIONS = sizeof functions / sizeof *functions, PLAIN = sizeof plain / sizeof *plain };

static const function *any_function(int i) { return i < WITH_OPTIONS ? &functions[i] : &plain[i - WITH_OPTIONS]; }

int function_count(void) { return WITH_OPTIONS + PLAIN; }

/* Alphabetical. */
const function *function_at(int i) {
    for (int k = 0; k < function_count(); k++) {
        int before = 0;
        for (int j = 0; j < function_count(); j++) before += strcmp(any_function(j)->name, any_function(k)->name) < 0;
        if (before == i) return any_function(k);
    }
    return NULL;
}

const function *find_function(const char *name) {
    for (int i = 0; i < function_count(); i++)
        if (strcmp(any_function(i)->name, name) == 0) return any_function(i);
    return NULL;
}

ag_tensor *call_function(const function *f, const call *c) {
    return f->one ? f->one(tensor(c, 0)) : f->two ? f->two(tensor(c, 0), tensor(c, 1)) : f->any(c);
}

/* ---- Misspelt names */

static int smaller(int a, int b) { return a < b ? a : b; }

/* The Levenshtein distance, row by row. */
static int distance(const char *a, const char *b) {
    int row[NAME_BYTES + 1], m = (int)strlen(a), n = (int)strlen(b);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; i <= m; i++) {
        int corner = row[0]++;
        for (int j = 1; j <= n; j++) {
            int changed = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            row[j] = smaller(changed, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

const char *nearest_function(const char *name) {
    const char *best = NULL;
    int least = strlen(name) > 4 ? 3 : 2;
    for (int i = 0; i < function_count(); i++) {
        int d = distance(name, any_function(i)->name);
        if (d < least) least = d, best = any_function(i)->name;
    }
    return best;
}
