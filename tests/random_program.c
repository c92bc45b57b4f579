/* random_program -- see random_program.h: the table of calls; recording, inferring and printing */
#include "ops/rules.h"

#include "tests/random_program.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

void *claim(size_t bytes) {
    void *p = calloc(bytes ? bytes : 1, 1);
    if (!p) ck_abort_msg("out of memory");
    return p;
}

/* ---- The table ---- */

enum {
    REALS = 1 << AG_F32 | 1 << AG_F64,
    NUMBERS = REALS | 1 << AG_I64,
    ALL = NUMBERS | 1 << AG_BOOL,
    WHOLE = 1 << AG_I64,
    MASK = 1 << AG_BOOL,
    DOUBLES = 1 << AG_F64
};

#define CALL(sig, member, function)                                                                                    \
#function, sig, { .member = function }

/* clang-format off */
#define PLAIN {{.modest = false}}, NULL

/* Those that an entry tells all about. */
#define FORM_UNARY(name) {CALL(SIG_X, x, ag_##name), 0, KIND_UNARY, {{.modest = false}}, &ag__op_##name},
#define FORM_BINARY(name) {CALL(SIG_AB, ab, ag_##name), 0, KIND_BINARY, {{.modest = false}}, &ag__op_##name},
#define FORM_NUMBER(name) {CALL(SIG_X_S, x_s, ag_##name), 0, KIND_SCALAR, {{.modest = false}}, &ag__op_##name},
#define FORM_NUMBER_FIRST(name) {CALL(SIG_S_X, s_x, ag_##name), 0, KIND_SCALAR, {{.modest = false}}, &ag__op_##name},
#define FORM_INNER(name)
#define FORM_OTHER(name)
#define FORM(kind, name) FORM_##kind(name)

const form forms[] = {
    AG_OPS(FORM)

    {CALL(SIG_LEAF, leaf, ag_from), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_LEAF, leaf, ag_wrap), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_LEAF, leaf, ag_variable), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_LEAF, leaf, ag_parameter), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_TD_S, td_s, ag_scalar), NUMBERS, KIND_SOURCE, PLAIN},
    {CALL(SIG_TD_N, td_n, ag_arange), NUMBERS, KIND_SOURCE, PLAIN},
    {CALL(SIG_TDS, tds, ag_zeros), ALL, KIND_SOURCE, PLAIN},
    {CALL(SIG_TDS, tds, ag_ones), ALL, KIND_SOURCE, PLAIN},
    {CALL(SIG_TDS_S, tds_s, ag_full), NUMBERS, KIND_SOURCE, PLAIN},
    {CALL(SIG_TDS_S, tds_s, user_ramp), REALS, KIND_SOURCE, PLAIN},
    {CALL(SIG_TDS_SS, tds_ss, ag_uniform), REALS, KIND_SOURCE, PLAIN},
    {CALL(SIG_TDS_SS, tds_ss, ag_normal), REALS, KIND_SOURCE, PLAIN},

    {CALL(SIG_X, x, ag_contiguous), ALL, KIND_UNARY, PLAIN},
    {CALL(SIG_X, x, ag_stop_gradient), ALL, KIND_UNARY, PLAIN},
    {CALL(SIG_X, x, user_softsign), REALS, KIND_UNARY, PLAIN},
    {CALL(SIG_X, x, user_opposite), REALS, KIND_UNARY, PLAIN},
    {CALL(SIG_X, x, user_reversed), REALS, KIND_UNARY, PLAIN},
    {CALL(SIG_X, x, user_running), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_X, x, user_flawed), DOUBLES, KIND_NONE, PLAIN},

    {CALL(SIG_X, x, user_drawn), REALS, KIND_UNARY, {{.domain = {.above = 0, .below = INFINITY}}}, NULL},
    {CALL(SIG_X, x, ag_draw_bernoulli), REALS, KIND_UNARY, {{.domain = {.above = 0, .below = 1}}}, NULL},
    {CALL(SIG_X, x, user_noisy), REALS, KIND_UNARY, {{.modest = true}}, NULL},
    {CALL(SIG_X_AXIS, x_axis, ag_shuffle), ALL, KIND_ALONG, PLAIN},

    {CALL(SIG_X, x, ag_sum), NUMBERS, KIND_NONE, PLAIN},
    {CALL(SIG_X, x, ag_mean), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_X, x, ag_max), NUMBERS, KIND_NONE, PLAIN},
    {CALL(SIG_X, x, ag_min), NUMBERS, KIND_NONE, PLAIN},
    {CALL(SIG_X_S, x_s, ag_var), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_sum_over), ALL, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_mean_over), ALL, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_max_over), NUMBERS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_min_over), NUMBERS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, user_log_sum), REALS, KIND_REDUCTION, {{.modest = true}}, NULL},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, user_product), REALS, KIND_REDUCTION, {{.domain = {.nonzero = true}}}, NULL},
    {CALL(SIG_X_AXES_S_KEEP, x_axes_s_keep, ag_var_over), REALS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_prod_over), NUMBERS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_all_over), ALL, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_any_over), ALL, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_argmin_over), NUMBERS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_median_over), ALL, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, ag_nanmean), REALS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, user_norm), REALS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_KEEP, x_axes_keep, user_positive_sum), REALS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_S_KEEP, x_axes_s_keep, ag_std_over), REALS, KIND_REDUCTION, PLAIN},
    {CALL(SIG_X_AXES_S_KEEP, x_axes_s_keep, user_reduced), REALS, KIND_REDUCTION, {{.modest = true}}, NULL},
    {CALL(SIG_X_AXIS, x_axis, ag_cumsum), ALL, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, ag_cumprod), NUMBERS, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, ag_cummax), NUMBERS, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, ag_cummin), NUMBERS, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, ag_logcumsumexp), REALS, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, user_searched), NUMBERS, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS_KEEP, x_axis_keep, ag_sort), ALL, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS_KEEP, x_axis_keep, ag_argsort), ALL, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS_KEEP, x_axis_keep, user_largest), ALL, KIND_ALONG, PLAIN},
    {CALL(SIG_X, x, user_histogram), NUMBERS, KIND_UNARY, PLAIN},
    {CALL(SIG_X, x, user_distinct), ALL, KIND_UNARY, PLAIN},
    {CALL(SIG_X, x, user_picked), ALL, KIND_UNARY, PLAIN},
    {CALL(SIG_X_AXIS_KEEP, x_axis_keep, ag_argmax), NUMBERS, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS_KEEP, x_axis_keep, ag_logsumexp), REALS, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, ag_softmax), REALS, KIND_ALONG, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, ag_log_softmax), REALS, KIND_ALONG, PLAIN},

    {CALL(SIG_AB, ab, user_join), REALS, KIND_BINARY, {{.modest = true}, {.modest = true}}, NULL},
    {CALL(SIG_AB, ab, ag_greater), ALL, KIND_COMPARE, PLAIN},
    {CALL(SIG_AB, ab, ag_greater_equal), ALL, KIND_COMPARE, PLAIN},
    {CALL(SIG_X, x, user_is_small), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_ABC, abc, ag_where), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_ABC, abc, user_blend), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_LIST, list, user_weighted), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_AB, ab, ag_matmul), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_AB, ab, user_dot), REALS, KIND_NONE, PLAIN},

    {CALL(SIG_X_SS, x_ss, ag_clamp), REALS, KIND_SCALAR, PLAIN},
    {CALL(SIG_X_SS, x_ss, ag_hardtanh), REALS, KIND_SCALAR, PLAIN},
    {CALL(SIG_X_S, x_s, ag_leaky_relu), REALS, KIND_SCALAR, PLAIN},
    {CALL(SIG_X_S, x_s, ag_elu), REALS, KIND_SCALAR, PLAIN},
    {CALL(SIG_X, x, ag_gelu_tanh), REALS, KIND_UNARY, PLAIN},
    {CALL(SIG_X, x, ag_nan_to_num), REALS, KIND_UNARY, PLAIN},
    {CALL(SIG_AB, ab, ag_prelu), REALS, KIND_BINARY, PLAIN},
    {CALL(SIG_ABC, abc, ag_lerp), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_ABC, abc, ag_clamp_between), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_ABC, abc, user_incomplete), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_X_DTYPE, x_dtype, ag_cast), ALL, KIND_NONE, PLAIN},

    {CALL(SIG_X_SHAPE, x_shape, ag_reshape), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_SHAPE, x_shape, ag_broadcast_to), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXES, x_axes, ag_permute), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXES, x_axes, ag_squeeze), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXIS_AXIS, x_axis_axis, ag_transpose), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, ag_flip), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, ag_unsqueeze), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, user_windows), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXIS, x_axis, user_linear), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXIS_3N, x_axis_3n, ag_slice), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXIS_3N, x_axis_3n, ag_embed), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXES_2, x_axes_2, ag_windows), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXES_2, x_axes_2, ag_fold), NUMBERS, KIND_NONE, PLAIN},
    {CALL(SIG_LIST_AXIS, list_axis, ag_concat), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_AXES_2, x_axes_2, ag_pad), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_SHAPE, x_shape, ag_tile), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X, x, user_corner), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X, x, user_depthwise), REALS, KIND_NONE, {{.modest = true}}, NULL},
    {CALL(SIG_X, x, user_resized), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_X, x, user_one_hot), WHOLE, KIND_NONE, PLAIN},
    {CALL(SIG_X_N, x_n, ag_diag), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_N, x_n, ag_tril), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_N_AXIS, x_n_axis, ag_roll), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_X_N_AXIS, x_n_axis, ag_repeat_interleave), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_AB_AXIS, ab_axis, ag_index_select), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_AB_AXIS, ab_axis, ag_take_along_axis), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_AB_AXIS, ab_axis, ag_gather), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_AB_AXIS, ab_axis, ag_tensordot), REALS, KIND_NONE, PLAIN},
    {CALL(SIG_AB_AXIS, ab_axis, user_loss), REALS, KIND_LAYER, {{.modest = true}, {.modest = true}}, NULL},
    {CALL(SIG_AB_AXIS, ab_axis, user_image), REALS, KIND_LAYER, {{.modest = true}, {.modest = true}}, NULL},
    {CALL(SIG_AB_AXIS, ab_axis, user_normalised), REALS, KIND_LAYER, {{.modest = true}, {.modest = true}}, NULL},
    {CALL(SIG_AB_AXIS, ab_axis, user_sequence), REALS, KIND_LAYER, {{.modest = true}, {.modest = true}}, NULL},
    {CALL(SIG_AB_AXIS, ab_axis, user_indexed), ALL, KIND_LAYER, {{.modest = true}, {.modest = true}}, NULL},
    {CALL(SIG_AB_AXIS, ab_axis, user_arranged), ALL, KIND_LAYER, {{.modest = true}, {.modest = true}}, NULL},
    {CALL(SIG_AB_AXIS, ab_axis, user_multiplied), REALS, KIND_LAYER, {{.modest = true}, {.modest = true}}, NULL},
    {CALL(SIG_ABC_AXIS, abc_axis, ag_scatter_add), NUMBERS, KIND_NONE, PLAIN},
    {CALL(SIG_ABC_AXIS, abc_axis, ag_scatter), ALL, KIND_NONE, PLAIN},
    {CALL(SIG_ABC_AXIS, abc_axis, ag_scatter_max), NUMBERS, KIND_NONE, PLAIN},
    {CALL(SIG_ABC_AXIS, abc_axis, ag_index_add), NUMBERS, KIND_NONE, PLAIN},

    {"ag_jvp", SIG_GRADIENT, {0}, REALS, KIND_NONE, PLAIN},
    {"ag_vjp", SIG_GRADIENT, {0}, REALS, KIND_NONE, PLAIN},
    {"ag_assign", SIG_ASSIGN, {0}, ALL, KIND_NONE, PLAIN},
    {"ag_keep", SIG_KEEP, {0}, ALL, KIND_NONE, PLAIN},
    {"ag_eval", SIG_LOOK, {0}, ALL, KIND_NONE, PLAIN},
    {"ag_tape_set_recording", SIG_RECORDING, {0}, ALL, KIND_NONE, PLAIN},
    {"ag_freeze", SIG_FREEZE, {0}, REALS, KIND_NONE, PLAIN},
    {"output", SIG_OUTPUT, {0}, ALL, KIND_NONE, PLAIN},
};
/* clang-format on */
const int form_count = sizeof forms / sizeof *forms;

unsigned form_dtypes(const form *f) {
    unsigned dtypes = f->dtypes;
    for (int d = 0; f->op && d < AG_DTYPES; d++) dtypes |= (unsigned)ag__accepts(f->op, d) << d;
    return dtypes;
}

kind form_kind(const form *f) {
    const bool compares = f->op && f->op->flags & AG_OP_PREDICATE && f->signature == SIG_AB;
    return compares ? KIND_COMPARE : f->kind;
}

need form_need(const form *f, int i) { return f->op ? (need){.domain = f->op->domain[i]} : f->need[i]; }

const form *form_named(const char *name) {
    for (int i = 0; i < form_count; i++)
        if (strcmp(forms[i].name, name) == 0) return &forms[i];
    ck_abort_msg("unknown call %s", name);
    return NULL;
}

bool line_has_value(const line *l) { return l->form->signature < SIG_ASSIGN; }

bool line_is_variable(const line *l) { return l->form->call.leaf == ag_variable || l->form->call.leaf == ag_parameter; }

int program_prefix(const program *p) {
    int n = 0;
    while (n < p->count && p->line[n].form->signature == SIG_LEAF) n++;
    return n;
}

/* ---- Elements of leaves ---- */

static double special(double ordinary) {
    static const double values[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1, -1, FLT_MAX, -FLT_MAX, FLT_MIN / 4, 88.8};
    int n = (int)(sizeof values / sizeof *values), which = (int)((ordinary + 1) * 2 * n);
    return which < n ? values[which] : ordinary * 4;
}

/* 0 to 1, with all bits: sums and products of such numbers are rounded. */
static double unit(uint64_t i) {
    uint64_t z = (i + 1) * 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double element(const line *l, int64_t i) {
    double u = unit(l->data + (uint64_t)i), v = 2 * u - 1;
    switch (l->domain) {
    case TIES: return floor(v * 3);
    case POSITIVE: return 0.25 + (v + 1) * 0.875;
    case SPECIAL: return special(v);
    case INDICES: return floor(u * (double)l->number[1]);
    default: return v;
    }
}

void *leaf_elements(const line *l, ag_dtype dtype, const ag_shape *shape) {
    int64_t n = shape_size(shape);
    void *data = claim((size_t)n * ag_dtype_size(dtype));
    for (int64_t i = 0; i < n; i++) {
        double v = element(l, i);
        if (dtype == AG_I64 && l->domain != INDICES) v = isfinite(v) && fabs(v) < 100 ? floor(v * 8) : 0;
        element_put(dtype, data, i, dtype == AG_BOOL ? v > 0 : v);
    }
    return data;
}

/* ---- Recording ---- */

typedef struct wrapped {
    struct wrapped *next;
    void *data, *copy;
    size_t bytes;
} wrapped;

static wrapped *all_wrapped;

static void remember_wrapped(void *data, const line *l) {
    wrapped *w = claim(sizeof *w);
    size_t bytes = (size_t)shape_size(&l->shape) * ag_dtype_size(l->dtype);
    *w = (wrapped){all_wrapped, data, leaf_elements(l, l->dtype, &l->shape), bytes};
    all_wrapped = w;
}

bool wrapped_free(void) {
    bool untouched = true;
    for (wrapped *w = all_wrapped, *next; w; w = next) {
        next = w->next;
        untouched = untouched && memcmp(w->data, w->copy, w->bytes) == 0;
        free(w->data);
        free(w->copy);
        free(w);
    }
    all_wrapped = NULL;
    return untouched;
}

static ag_tensor *record_leaf(const line *l, ag_tape *t) {
    void *data = leaf_elements(l, l->dtype, &l->shape);
    ag_tensor *x = l->form->call.leaf(t, l->dtype, l->shape, data);
    if (l->form->call.leaf == ag_wrap) remember_wrapped(data, l);
    else free(data);
    return x;
}

/* The VJP of y by x with a cotangent, or the JVP with a tangent. */
static ag_tensor *record_gradient(const line *l, ag_tensor *y, ag_tensor *x) {
    bool forwards = strcmp(l->form->name, "ag_jvp") == 0;
    ag_tensor *like = forwards ? x : y, *d = NULL;
    ag_shape shape = ag_shape_of(like);
    void *data = leaf_elements(l, ag_dtype_of(like), &shape);
    ag_tensor *g = ag_from(ag_tape_of(y), ag_dtype_of(like), shape, data);
    free(data);
    if (forwards) ag_jvp(1, &y, 1, &x, &g, &d);
    else ag_vjp(1, &y, &g, 1, &x, &d, 0);
    return d;
}

static ag_tensor *record_source(const line *l, ag_tape *t) {
    const callee *f = &l->form->call;
    switch (l->form->signature) {
    case SIG_LEAF: return record_leaf(l, t);
    case SIG_TD_S: return f->td_s(t, l->dtype, l->scalar[0]);
    case SIG_TD_N: return f->td_n(t, l->dtype, l->number[0]);
    case SIG_TDS: return f->tds(t, l->dtype, l->shape);
    case SIG_TDS_S: return f->tds_s(t, l->dtype, l->shape, l->scalar[0]);
    default: return f->tds_ss(t, l->dtype, l->shape, l->scalar[0], l->scalar[1]);
    }
}

static ag_tensor *record_operation(const line *l, ag_tensor *const x[]) {
    const callee *f = &l->form->call;
    int axis = (int)l->number[0];
    switch (l->form->signature) {
    case SIG_X: return f->x(x[0]);
    case SIG_AB: return f->ab(x[0], x[1]);
    case SIG_ABC: return f->abc(x[0], x[1], x[2]);
    case SIG_LIST: return f->list(l->operands, x);
    case SIG_X_S: return f->x_s(x[0], l->scalar[0]);
    case SIG_S_X: return f->s_x(l->scalar[0], x[0]);
    case SIG_X_SS: return f->x_ss(x[0], l->scalar[0], l->scalar[1]);
    case SIG_X_DTYPE: return f->x_dtype(x[0], l->dtype);
    case SIG_X_SHAPE: return f->x_shape(x[0], l->shape);
    case SIG_X_AXES: return f->x_axes(x[0], l->axes);
    case SIG_X_AXES_KEEP: return f->x_axes_keep(x[0], l->axes, l->keep);
    case SIG_X_AXES_S_KEEP: return f->x_axes_s_keep(x[0], l->axes, l->scalar[0], l->keep);
    case SIG_X_AXES_2: return f->x_axes_2(x[0], l->axes, l->shape, l->shape2);
    case SIG_X_N: return f->x_n(x[0], l->number[0]);
    case SIG_X_N_AXIS: return f->x_n_axis(x[0], l->number[0], (int)l->number[1]);
    case SIG_X_AXIS: return f->x_axis(x[0], axis);
    case SIG_X_AXIS_AXIS: return f->x_axis_axis(x[0], axis, (int)l->number[1]);
    case SIG_X_AXIS_KEEP: return f->x_axis_keep(x[0], axis, l->keep);
    case SIG_X_AXIS_3N: return f->x_axis_3n(x[0], axis, l->number[1], l->number[2], l->number[3]);
    case SIG_AB_AXIS: return f->ab_axis(x[0], x[1], axis);
    case SIG_ABC_AXIS: return f->abc_axis(x[0], x[1], x[2], axis);
    case SIG_LIST_AXIS: return f->list_axis(l->operands, x, axis);
    default: return record_gradient(l, x[0], x[1]);
    }
}

ag_tensor *line_record(const line *l, ag_tape *t, ag_tensor *const value[]) {
    ag_tensor *x[MOST_OPERANDS] = {NULL};
    for (int i = 0; i < l->operands; i++) x[i] = value[l->x[i]];
    if (l->form->signature < SIG_X) return record_source(l, t);
    if (line_has_value(l)) return record_operation(l, x);
    if (l->form->signature == SIG_ASSIGN) ag_assign(x[0], x[1]);
    if (l->form->signature == SIG_KEEP) ag_keep(x[0]);
    if (l->form->signature == SIG_RECORDING) ag_tape_set_recording(t, l->keep);
    if (l->form->signature == SIG_FREEZE) ag_freeze(x[0], l->keep);
    return NULL;
}

bool program_infer(program *p) {
    ag_tape *t = ag_tape_new();
    ag_tensor *value[MOST_LINES];
    for (int i = 0; i < p->count && ag_tape_status(t) == AG_OK; i++) {
        line *l = &p->line[i];
        value[i] = line_record(l, t, value);
        if (!line_has_value(l)) continue;
        l->y_dtype = ag_dtype_of(value[i]);
        l->y_shape = ag_shape_of(value[i]);
    }
    bool good = ag_tape_status(t) == AG_OK;
    ag_tape_free(t);
    return good;
}

/* ---- Printing ---- */

static void print_list(FILE *to, const char *open, int n, const int64_t *numbers) {
    fputs(open, to);
    for (int i = 0; i < n; i++) fprintf(to, "%s%lld", i ? ", " : "", (long long)numbers[i]);
    fputs(")", to);
}

void shape_print(FILE *to, const ag_shape *shape) {
    if (shape->rank == 0) fputs("AG_SCALAR", to);
    else print_list(to, "AG_SHAPE(", shape->rank, shape->extent);
}

static void print_axes(FILE *to, const ag_axes *axes) {
    int64_t numbers[AG_MAX_RANK];
    for (int i = 0; i < axes->count; i++) numbers[i] = axes->axis[i];
    if (axes->count < 0) fputs("AG_ALL_AXES", to);
    else if (axes->count == 0) fputs("(ag_axes){0}", to);
    else print_list(to, "AG_AXES(", axes->count, numbers);
}

static void print_dtype(FILE *to, ag_dtype dtype) {
    static const char *const names[AG_DTYPES] = {"AG_BOOL", "AG_I64", "AG_F32", "AG_F64"};
    fputs(names[dtype], to);
}

static void print_operands(FILE *to, const line *l, const char *between) {
    for (int i = 0; i < l->operands; i++) fprintf(to, "%sv%d", i ? between : "", l->x[i]);
}

static void print_source(FILE *to, const line *l) {
    static const char *const domains[DOMAINS] = {"ordinary", "ties", "positive", "special", "indices"};
    fputs("tape, ", to);
    print_dtype(to, l->dtype);
    signature s = l->form->signature;
    if (s == SIG_LEAF || s >= SIG_TDS) {
        fputs(", ", to);
        shape_print(to, &l->shape);
    }
    if (s == SIG_LEAF && l->domain == INDICES)
        fprintf(to, ", indices(%llu, below %lld)", (unsigned long long)l->data, (long long)l->number[1]);
    else if (s == SIG_LEAF) fprintf(to, ", %s(%llu)", domains[l->domain], (unsigned long long)l->data);
    if (s == SIG_TD_N) fprintf(to, ", %lld", (long long)l->number[0]);
    if (s == SIG_TD_S || s == SIG_TDS_S || s == SIG_TDS_SS) fprintf(to, ", %.17g", l->scalar[0]);
    if (s == SIG_TDS_SS) fprintf(to, ", %.17g", l->scalar[1]);
}

static void print_number(FILE *to, int64_t number) {
    if (number == AG_END) fputs(", AG_END", to);
    else fprintf(to, ", %lld", (long long)number);
}

/* The arguments behind the operands. */
static void print_attributes(FILE *to, const line *l) {
    signature s = l->form->signature;
    int numbers = s == SIG_X_N || s == SIG_X_AXIS || s == SIG_X_AXIS_KEEP || s >= SIG_AB_AXIS ? 1
                  : s == SIG_X_AXIS_AXIS || s == SIG_X_N_AXIS                                 ? 2
                  : s == SIG_X_AXIS_3N                                                        ? 4
                                                                                              : 0;
    bool axes = s == SIG_X_AXES || s == SIG_X_AXES_2 || s == SIG_X_AXES_KEEP || s == SIG_X_AXES_S_KEEP;
    bool keep = s == SIG_X_AXES_KEEP || s == SIG_X_AXES_S_KEEP || s == SIG_X_AXIS_KEEP;
    if (s == SIG_X_DTYPE || s == SIG_X_SHAPE || axes) fputs(", ", to);
    if (s == SIG_X_DTYPE) print_dtype(to, l->dtype);
    if (s == SIG_X_SHAPE) shape_print(to, &l->shape);
    if (axes) print_axes(to, &l->axes);
    if (s == SIG_X_AXES_2) {
        fputs(", ", to);
        shape_print(to, &l->shape);
        fputs(", ", to);
        shape_print(to, &l->shape2);
    }
    if (s == SIG_X_S || s == SIG_X_SS || s == SIG_X_AXES_S_KEEP) fprintf(to, ", %.17g", l->scalar[0]);
    if (s == SIG_X_SS) fprintf(to, ", %.17g", l->scalar[1]);
    for (int i = 0; i < numbers; i++) print_number(to, l->number[i]);
    if (keep) fputs(l->keep ? ", true" : ", false", to);
}

static void print_operation(FILE *to, const line *l) {
    signature s = l->form->signature;
    bool list = s == SIG_LIST || s == SIG_LIST_AXIS;
    if (s == SIG_S_X) fprintf(to, "%.17g, ", l->scalar[0]);
    if (list) fprintf(to, "%d, {", l->operands);
    print_operands(to, l, ", ");
    if (list) fputs("}", to);
    if (s == SIG_GRADIENT) fprintf(to, ", ordinary(%llu)", (unsigned long long)l->data);
    else print_attributes(to, l);
}

static void print_line(FILE *to, const program *p, int i) {
    const line *l = &p->line[i];
    if (line_has_value(l)) fprintf(to, "    ag_tensor *v%d = ", i);
    else fputs("    ", to);
    fprintf(to, "%s(", l->form->name);
    if (l->form->signature < SIG_X) print_source(to, l);
    else if (line_has_value(l)) print_operation(to, l);
    else if (l->form->signature == SIG_RECORDING) fputs(l->keep ? "tape, true" : "tape, false", to);
    else print_operands(to, l, ", ");
    if (l->form->signature == SIG_FREEZE) fputs(l->keep ? ", true" : ", false", to);
    fputs(");", to);
    if (line_has_value(l)) {
        fprintf(to, " /* %s ", ag_dtype_name(l->y_dtype));
        print_list(to, "(", l->y_shape.rank, l->y_shape.extent);
        fputs(" */", to);
    }
    fputs("\n", to);
}

void program_print(FILE *to, const program *p) {
    fprintf(to, "    /* seed %llu%s; gradients to order %d by %s; %s */\n", (unsigned long long)p->seed,
            p->wild ? ", with NaN and infinities" : "", p->order, p->backward ? "ag_backward" : "ag_vjp",
            p->together ? "all evaluated at once" : "outputs evaluated before gradients are recorded");
    int prefix = program_prefix(p);
    for (int i = 0; i < p->count; i++) {
        if (i == prefix) fputs("    ag_mark mark = ag_tape_mark(tape);\n", to);
        print_line(to, p, i);
    }
}
