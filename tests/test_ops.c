/* test_ops -- every operation by the table of cases, and tests beyond the table
 *
 *     test_ops --list         prints the cases and their inputs, for golden.py
 *     test_ops --only NAME    runs the cases of that name alone
 *
 * A table test runs once for each case; its failures begin with the case's name. */
#include "autograd/trace.h"
#include "tests/case_rows.h"
#include "tests/lacking.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden_case {
    const char *name, *variant;
    ag_dtype dtype;
    uint64_t checksum;
    ag_dtype ydtype;
    ag_shape shape;
    int start, ny, ndx; /* in the family's values: outputs, then gradients */
} golden_case;

#include "tests/golden/ops_activation.h"
#include "tests/golden/ops_basic.h"
#include "tests/golden/ops_linalg.h"
#include "tests/golden/ops_random.h"
#include "tests/golden/ops_reduce.h"
#include "tests/golden/ops_shape.h"
#include "tests/golden/ops_special.h"

/* The golden values of a family, in the order of CASE_FAMILIES; cases end with a name that is NULL. */
typedef struct golden_family {
    const golden_case *cases;
    const double *values;
} golden_family;

#define GOLDEN(name) {golden_cases_##name, golden_values_##name},
static const golden_family golden[] = {CASE_FAMILIES(GOLDEN)};
#undef GOLDEN

static const ag_dtype dtypes[] = {AG_BOOL, AG_I64, AG_F32, AG_F64};

/* The next dtype from d on that the case is run for; AG_DTYPES after the last. */
static ag_dtype accepted_from(const op_case *c, int d) {
    while (d < AG_DTYPES && !case_accepts(c, (ag_dtype)d)) d++;
    return (ag_dtype)d;
}

static double floor_of(const op_case *c) { return c->flags & REORDERS ? 4 : 0; }

/* ---- The table against the op list ---- */

static bool reaches(const ag_tensor *y, const char *op) {
    const ag_op *own = ag_op_of(y);
    if (own && strcmp(own->name, op) == 0) return true;
    for (int i = 0; i < ag_inputs(y); i++)
        if (reaches(ag_input(y, i), op)) return true;
    return false;
}

START_TEST(the_case_records_its_operation) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS];
    for (ag_dtype d = accepted_from(&c, 0); c.op && d < AG_DTYPES; d = accepted_from(&c, (int)d + 1)) {
        case_inputs(&c, d, tape, x);
        ag_tensor *y = case_call(&c, tape, d, x);
        expect_ok(tape);
        ck_assert_msg(reaches(y, c.op), "%s: no %s is recorded", case_title(&c, d), c.op);
    }
}
END_TEST

static bool has_case(const char *op) {
    for (int i = 0; i < case_count(); i++) {
        op_case c = case_at(i);
        if (c.op && strcmp(c.op, op) == 0) return true;
    }
    return false;
}

START_TEST(every_operation_has_a_case) {
    ck_assert_int_ge(ag_op_count(), 50);
    for (int i = 0; i < ag_op_count(); i++)
        ck_assert_msg(has_case(ag_op_at(i)->name) || case_is_left_out(ag_op_at(i)->name),
                      "%s has no row in a family of cases", ag_op_at(i)->name);
    ck_assert_ptr_null(ag_op_at(ag_op_count()));
    ck_assert_ptr_null(ag_op_at(-1));
}
END_TEST

START_TEST(every_operation_has_a_gradient_or_says_that_it_has_none) {
    for (int i = 0; i < ag_op_count(); i++) {
        const ag_op *op = ag_op_at(i);
        bool none = op->flags & AG_OP_NOT_DIFFERENTIABLE, source = op->kind == AG_KIND_SOURCE;
        ck_assert_msg(source || none == !op->vjp, "%s: vjp and AG_OP_NOT_DIFFERENTIABLE exclude each other", op->name);
        ck_assert_msg(source ? op->arity == 0 : op->arity != 0, "%s: arity %d", op->name, op->arity);
    }
}
END_TEST

static bool has_block(const ag_op *op) {
    for (int d = 0; d < AG_DTYPES; d++)
        if (op->block[d] || op->trace[d]) return true;
    return false;
}

START_TEST(every_operation_has_what_its_kind_needs) {
    for (int i = 0; i < ag_op_count(); i++) {
        const ag_op *op = ag_op_at(i);
        bool whole = op->kind == AG_KIND_ELEMENTWISE ? has_block(op)
                     : op->kind == AG_KIND_REDUCTION ? op->reduction != NULL
                     : op->kind == AG_KIND_VIEW      ? op->infer != NULL
                                                     : op->eval != NULL;
        ck_assert_msg(whole, "%s has no function that evaluates it", op->name);
        for (int k = 0; k < i; k++) ck_assert_str_ne(ag_op_at(k)->name, op->name);
    }
}
END_TEST

/* ---- Values and gradients against NumPy and PyTorch ---- */

static const golden_case *golden_of(const op_case *c, ag_dtype d, const double **values) {
    for (size_t f = 0; f < sizeof golden / sizeof *golden; f++) {
        for (const golden_case *g = golden[f].cases; g->name; g++) {
            if (g->dtype != d || strcmp(g->name, c->name) != 0 || strcmp(g->variant, c->variant) != 0) continue;
            ck_assert_msg(g->checksum == case_checksum(c, d), "%s has other inputs now: run golden.py",
                          case_title(c, d));
            *values = golden[f].values + g->start;
            return g;
        }
    }
    ck_abort_msg("%s has no golden values: run golden.py", case_title(c, d));
    return NULL;
}

START_TEST(values_are_golden) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS];
    for (ag_dtype d = accepted_from(&c, 0); d < AG_DTYPES; d = accepted_from(&c, (int)d + 1)) {
        if (c.flags & NO_GOLDEN) break;
        const double *want;
        const golden_case *g = golden_of(&c, d, &want);
        expecting(case_title(&c, d));
        case_inputs(&c, d, tape, x);
        ag_tensor *y = case_call(&c, tape, d, x);
        expect_shape(y, g->shape);
        ck_assert_msg(ag_dtype_of(y) == g->ydtype, "%s gives %s", case_title(&c, d), ag_dtype_name(ag_dtype_of(y)));
        expect_near(y, g->ny, want, c.ulps, floor_of(&c));
    }
}
END_TEST

/* The inputs by which a case can be differentiated: those of the case's dtype. */
static int free_inputs(const op_case *c, ag_tensor *const x[], ag_tensor *chosen[CASE_INPUTS]) {
    int n = 0;
    for (int i = 0; i < c->n; i++)
        if (c->x[i].domain != INDEX && c->x[i].domain != MASK) chosen[n++] = x[i];
    return n;
}

static ag_tensor *cotangent_for(ag_tensor *y) {
    double w[CASE_ELEMENTS];
    for (int64_t j = 0; j < ag_size(y); j++) w[j] = case_cotangent(j);
    return tensor_of(ag_tape_of(y), ag_dtype_of(y), ag_shape_of(y), w);
}

/* Cotangents of the free inputs; how many. */
static int gradients(const op_case *c, ag_tensor *y, ag_tensor *const x[], ag_tensor *dx[CASE_INPUTS]) {
    ag_tensor *w = cotangent_for(y), *by[CASE_INPUTS];
    int n = free_inputs(c, x, by);
    ag_vjp(1, &y, &w, n, by, dx, 0);
    return n;
}

/* There is no convention for the slope at NaN, nor near overflow, where the order of factors decides. */
static bool defined_at(double x) { return !isnan(x) && (isinf(x) || fabs(x) < 1e300); }

static void expect_near_element(const op_case *c, ag_tensor *x, int64_t k, double want) {
    double got = ag_element(x, k);
    ck_assert_msg(near_value(AG_F64, got, want, c->ulps + 4, 4),
                  "%s: element %" PRId64 " of the gradient is %.17g, not %.17g", case_title(c, AG_F64), k, got, want);
}

START_TEST(gradients_are_golden) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS], *dx[CASE_INPUTS];
    if (!(c.flags & (GRAD | SUBGRAD)) || c.flags & NO_GOLDEN || !case_accepts(&c, AG_F64)) return;
    const double *values;
    const golden_case *g = golden_of(&c, AG_F64, &values);
    const double *want = values + g->ny;
    expecting(case_title(&c, AG_F64));
    case_inputs(&c, AG_F64, tape, x);
    int n = gradients(&c, case_call(&c, tape, AG_F64, x), x, dx);
    expect_ok(tape);
    for (int i = 0; i < n; i++) {
        bool special = c.x[0].domain == SPECIAL;
        for (int64_t k = 0; k < ag_size(dx[i]); k++)
            if (!special || defined_at(ag_element(x[0], k))) expect_near_element(&c, dx[i], k, want[k]);
        want += ag_size(dx[i]);
    }
    ck_assert_int_eq(want - values, g->ny + g->ndx);
}
END_TEST

/* ---- Gradients against finite differences, first and second order ---- */

typedef struct checked_call {
    const op_case *c;
    ag_tensor *const *x;
} checked_call;

static ag_tensor *call_checked(void *context, int n, ag_tensor *const x[]) {
    const checked_call *call = context;
    ag_tensor *all[CASE_INPUTS] = {NULL};
    int next = 0;
    for (int i = 0; i < call->c->n; i++) {
        bool fixed = call->c->x[i].domain == INDEX || call->c->x[i].domain == MASK;
        all[i] = fixed || next == n ? call->x[i] : x[next++];
    }
    return case_call(call->c, ag_tape_of(call->x[0]), AG_F64, all);
}

START_TEST(gradients_equal_finite_differences_at_both_orders) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS], *by[CASE_INPUTS];
    if (!(c.flags & GRAD) || !case_accepts(&c, AG_F64) || strcmp(c.variant, "empty") == 0) return;
    case_inputs(&c, AG_F64, tape, x);
    int n = free_inputs(&c, x, by);
    checked_call call = {&c, x};
    for (int order = 1; order <= 2; order++) {
        ag_gradcheck_options options = {.order = order, .kinks_fail = true};
        ag_gradcheck_report report;
        ag_status status = ag_gradcheck(call_checked, &call, n, by, &options, &report);
        ck_assert_msg(status == AG_OK && report.passed, "%s, order %d: %s %s %s", case_title(&c, AG_F64), order,
                      ag_status_name(status), report.message, ag_tape_error(tape));
        int64_t elements = 0;
        for (int i = 0; i < n; i++) elements += ag_size(by[i]);
        if (ag_size(case_call(&c, tape, AG_F64, x)) == 0) elements = 0;
        ck_assert_msg(report.checked >= elements, "%s, order %d: %" PRId64 " checked of %" PRId64,
                      case_title(&c, AG_F64), order, report.checked, elements);
        ck_assert_int_eq(report.kinks, 0);
        expect_ok(tape);
    }
}
END_TEST

START_TEST(f32_is_f64_rounded) {
    op_case c = case_at(_i);
    ag_tensor *narrow[CASE_INPUTS], *wide[CASE_INPUTS];
    if ((c.dtypes & REAL) != REAL || c.flags & NO_GOLDEN || (c.n && c.x[0].domain == SPECIAL) ||
        strcmp(c.variant, "special") == 0)
        return;
    case_inputs(&c, AG_F32, tape, narrow);
    case_inputs(&c, AG_F64, tape, wide);
    ag_tensor *y = case_call(&c, tape, AG_F64, wide);
    double want[CASE_ELEMENTS];
    for (int64_t i = 0; i < ag_size(y); i++) want[i] = ag_element(y, i);
    expecting(case_title(&c, AG_F32));
    expect_near(case_call(&c, tape, AG_F32, narrow), ag_size(y), want, c.ulps + 1, floor_of(&c));
}
END_TEST

/* ---- The same elements in other layouts ---- */

enum { PLACES = 6 };

static const char *const place_names[PLACES] = {"transposed", "stepped", "flipped", "inside", "all of these", "packed"};

/* Calls visit for each index of the shape, row-major. */
static bool next_index(const ag_shape *shape, int64_t index[AG_MAX_RANK]) {
    for (int k = shape->rank - 1; k >= 0; k--) {
        if (++index[k] < shape->extent[k]) return true;
        index[k] = 0;
    }
    return false;
}

/* The larger tensor that a place cuts x from, and the index of an element in it. */
static void base_shape(int place, const ag_shape *shape, ag_shape *base) {
    *base = *shape;
    int last = shape->rank - 1;
    if (place == 0 || place == 4)
        for (int k = 0; k <= last; k++) base->extent[k] = shape->extent[last - k];
    if (place == 1) base->extent[last] = 2 * shape->extent[last] + 1;
    if (place == 3) base->extent[0] = shape->extent[0] + 2;
    if (place == 4) base->extent[0] = 3 * base->extent[0] + 2;
}

static int64_t base_place(int place, const ag_shape *shape, const ag_shape *base, const int64_t index[]) {
    int64_t at[AG_MAX_RANK] = {0}, flat = 0;
    int last = shape->rank - 1;
    for (int k = 0; k <= last; k++) at[k] = place == 0 || place == 4 ? index[last - k] : index[k];
    if (place == 1) at[last] = 2 * at[last] + 1;
    if (place == 2) at[0] = shape->extent[0] - 1 - at[0];
    if (place == 3) at[0] += 1;
    if (place == 4) at[0] = 3 * (shape->extent[last] - at[0]) - 1;
    for (int k = 0; k <= last; k++) flat = flat * base->extent[k] + at[k];
    return flat;
}

static ag_tensor *cut(int place, ag_tensor *base) {
    ag_axes reversed = {ag_rank(base), {0}};
    for (int k = 0; k < reversed.count; k++) reversed.axis[k] = reversed.count - 1 - k;
    if (place == 0) return ag_permute(base, reversed);
    if (place == 1) return ag_slice(base, -1, 1, AG_END, 2);
    if (place == 2) return ag_flip(base, 0);
    if (place == 3) return ag_slice(base, 0, 1, -1, 1);
    if (place == 4) return ag_permute(ag_slice(base, 0, -3, AG_END, -3), reversed);
    return base;
}

/* A view equal to x, with garbage around its elements. */
static ag_tensor *placed(ag_tensor *x, int place) {
    ag_shape shape = ag_shape_of(x), base;
    if (shape.rank == 0) return x;
    base_shape(place, &shape, &base);
    int64_t size = shape_size(&base), index[AG_MAX_RANK] = {0};
    double *values = malloc((size_t)(size + 1) * sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (int64_t i = 0; i < size; i++) values[i] = -77;
    for (int64_t i = 0; i < ag_size(x); i++, next_index(&shape, index))
        values[base_place(place, &shape, &base, index)] = ag_element(x, i);
    ag_tensor *view = cut(place, tensor_of(ag_tape_of(x), ag_dtype_of(x), base, values));
    free(values);
    return view;
}

static void expect_equal_in_place(const op_case *c, ag_dtype d, ag_tensor *const x[], int place) {
    static char title[128];
    snprintf(title, sizeof title, "%s, %s", case_title(c, d), place_names[place]);
    expecting(title);
    ag_tensor *moved[CASE_INPUTS];
    for (int i = 0; i < c->n; i++) {
        moved[i] = placed(x[i], place);
        expect_same(moved[i], x[i]);
    }
    ag_tensor *y = case_call(c, tape, d, x), *z = case_call(c, tape, d, moved);
    if (!(c->flags & REORDERS)) {
        expect_same(z, y);
        return;
    }
    double want[CASE_ELEMENTS];
    for (int64_t i = 0; i < ag_size(y); i++) want[i] = ag_element(y, i);
    expect_shape(z, ag_shape_of(y));
    expect_near(z, ag_size(y), want, c->ulps, 4);
}

START_TEST(strides_make_no_difference) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS];
    for (ag_dtype d = accepted_from(&c, 0); c.n && d < AG_DTYPES; d = accepted_from(&c, (int)d + 1)) {
        case_inputs(&c, d, tape, x);
        for (int place = 0; place < PLACES; place++) expect_equal_in_place(&c, d, x, place);
    }
}
END_TEST

START_TEST(gradients_of_views_are_those_of_copies) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS], *moved[CASE_INPUTS], *dx[CASE_INPUTS], *dmoved[CASE_INPUTS];
    if (!(c.flags & (GRAD | SUBGRAD)) || !case_accepts(&c, AG_F64)) return;
    case_inputs(&c, AG_F64, tape, x);
    int n = gradients(&c, case_call(&c, tape, AG_F64, x), x, dx);
    for (int place = 0; place < PLACES; place++) {
        for (int i = 0; i < c.n; i++) moved[i] = placed(x[i], place);
        gradients(&c, case_call(&c, tape, AG_F64, moved), moved, dmoved);
        expecting(case_title(&c, AG_F64));
        for (int i = 0; i < n; i++) {
            double want[CASE_ELEMENTS];
            for (int64_t k = 0; k < ag_size(dx[i]); k++) want[k] = ag_element(dx[i], k);
            expect_near(dmoved[i], ag_size(dx[i]), want, c.ulps + 4, 4);
        }
    }
}
END_TEST

START_TEST(broadcasting_is_copying) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS], *copy[CASE_INPUTS];
    for (ag_dtype d = accepted_from(&c, 0); c.flags & ELEMENTWISE && d < AG_DTYPES; d = accepted_from(&c, (int)d + 1)) {
        case_inputs(&c, d, tape, x);
        ag_tensor *y = case_call(&c, tape, d, x);
        for (int i = 0; i < c.n; i++) copy[i] = ag_contiguous(ag_broadcast_to(x[i], ag_shape_of(y)));
        expecting(case_title(&c, d));
        expect_same(y, case_call(&c, tape, d, copy));
    }
}
END_TEST

START_TEST(eager_tapes_give_the_same_bits) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS], *dx[CASE_INPUTS], *edx[CASE_INPUTS];
    for (ag_dtype d = accepted_from(&c, 0); d < AG_DTYPES; d = accepted_from(&c, (int)d + 1)) {
        bool grad = c.flags & (GRAD | SUBGRAD) && (d == AG_F32 || d == AG_F64);
        case_inputs(&c, d, tape, x);
        ag_tape_seed(tape, 5);
        ag_tensor *y = case_call(&c, tape, d, x);
        int n = grad && ag_dtype_of(y) == d ? gradients(&c, y, x, dx) : 0;
        ck_assert(!ag_tape_set_eager(tape, true));
        ag_tape_seed(tape, 5);
        ag_tensor *e = case_call(&c, tape, d, x);
        if (n) gradients(&c, e, x, edx);
        ck_assert(ag_tape_set_eager(tape, false));
        expecting(case_title(&c, d));
        expect_same(y, e);
        for (int i = 0; i < n; i++) expect_same(dx[i], edx[i]);
    }
}
END_TEST

/* ---- Invalid inputs, which every operation must refuse in the same way ---- */

/* The called function: "sum" of "sum_over 0,2 kept"; the two forms of a reduction have one name. */
static const char *call_name(const op_case *c) {
    static char name[40];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(c->name, " "), c->name);
    char *over = strstr(name, "_over");
    if (over) *over = 0;
    return name;
}

/* Cases of several calls: any of them may refuse. */
static bool is_chain(const op_case *c) {
    static const char *const chains[] = {"gate", "contiguous", "tanh_slope", "sigmoid_slope"};
    for (int i = 0; i < 4; i++)
        if (strcmp(c->name, chains[i]) == 0) return true;
    return false;
}

/* These broadcast before they check further; those nodes stay on the tape. */
static bool leaves_nodes(const op_case *c) { return is_chain(c) || strncmp(c->name, "scatter_add", 11) == 0; }

/* The call has failed, recorded nothing, and names itself or the operation. */
static void expect_refused(const op_case *c, ag_dtype d, ag_tensor *y, ag_tape *t, ag_status status, const char *piece,
                           int64_t nodes) {
    expecting(case_title(c, d));
    const char *text = ag_tape_error(t);
    ck_assert_ptr_nonnull(y);
    ck_assert_msg(ag_is_nil(y), "%s: not nil", case_title(c, d));
    ck_assert_msg(is_chain(c) || strstr(text, call_name(c)) == text || (c->op && strstr(text, c->op) == text),
                  "%s: the message does not begin with the call's name: \"%s\"", case_title(c, d), text);
    expect_error(t, status, piece);
    ck_assert_msg(leaves_nodes(c) || ag_tape_memory(tape).nodes == nodes, "%s: %" PRId64 " nodes of a failed call stay",
                  case_title(c, d), ag_tape_memory(tape).nodes - nodes);
}

START_TEST(wrong_dtypes_are_refused) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS];
    for (int d = 0; d < AG_DTYPES && !(c.flags & LENIENT); d++) {
        if (case_accepts(&c, (ag_dtype)d)) continue;
        case_inputs(&c, (ag_dtype)d, tape, x);
        int64_t nodes = ag_tape_memory(tape).nodes;
        ag_tensor *y = case_call(&c, tape, (ag_dtype)d, x);
        expect_refused(&c, (ag_dtype)d, y, tape, AG_ERR_DTYPE, ag_dtype_name((ag_dtype)d), nodes);
    }
}
END_TEST

START_TEST(two_dtypes_are_refused) {
    op_case c = case_at(_i);
    ag_tensor *x[CASE_INPUTS], *other[CASE_INPUTS];
    int last = c.n - 1;
    if (c.n < 2 || c.x[last].domain == INDEX || c.x[last].domain == MASK) return;
    for (ag_dtype d = accepted_from(&c, 0); d < AG_DTYPES; d = accepted_from(&c, (int)d + 1)) {
        ag_dtype e = d == AG_F64 ? AG_F32 : AG_F64;
        case_inputs(&c, d, tape, x);
        case_inputs(&c, e, tape, other);
        x[last] = other[last];
        int64_t nodes = ag_tape_memory(tape).nodes;
        ag_tensor *y = case_call(&c, tape, d, x);
        expect_refused(&c, d, y, tape, AG_ERR_DTYPE, ag_dtype_name(e), nodes);
    }
}
END_TEST

static ag_dtype some_dtype(const op_case *c) { return case_accepts(c, AG_F64) ? AG_F64 : accepted_from(c, 0); }

START_TEST(null_is_refused) {
    op_case c = case_at(_i);
    ag_dtype d = some_dtype(&c);
    ag_tensor *x[CASE_INPUTS];
    case_inputs(&c, d, tape, x);
    for (int i = 0; i < c.n; i++) {
        ag_tensor *kept = x[i];
        x[i] = NULL;
        int64_t nodes = ag_tape_memory(tape).nodes;
        ag_tensor *y = case_call(&c, tape, d, x);
        ag_tape *failed = c.n == 1 ? NULL : tape;
        expect_refused(&c, d, y, failed, AG_ERR_NULL, "NULL", nodes);
        expect_ok(tape);
        x[i] = kept;
    }
    if (c.n == 0) {
        ag_tensor *y = case_call(&c, NULL, d, x);
        expect_refused(&c, d, y, NULL, AG_ERR_NULL, "NULL", ag_tape_memory(tape).nodes);
    }
}
END_TEST

START_TEST(nil_is_refused) {
    op_case c = case_at(_i);
    ag_dtype d = some_dtype(&c);
    ag_tensor *x[CASE_INPUTS];
    case_inputs(&c, d, tape, x);
    ag_tensor *nil = ag_from(tape, AG_F64, AG_SHAPE(-1), NULL);
    ag_clear_error(tape);
    for (int i = 0; i < c.n; i++) {
        ag_tensor *kept = x[i];
        x[i] = nil;
        int64_t nodes = ag_tape_memory(tape).nodes;
        ag_tensor *y = case_call(&c, tape, d, x);
        expect_refused(&c, d, y, tape, AG_ERR_NIL, "", nodes);
        x[i] = kept;
    }
    expect_ok(tape);
    ck_assert(!ag_is_nil(case_call(&c, tape, d, x)));
}
END_TEST

START_TEST(tensors_of_another_tape_are_refused) {
    op_case c = case_at(_i);
    ag_dtype d = some_dtype(&c);
    if (is_chain(&c) || strncmp(c.name, "greater", 7) == 0) return; /* recorded with exchanged inputs */
    ag_tape *stranger = ag_tape_new();
    ag_tensor *x[CASE_INPUTS], *strange[CASE_INPUTS];
    case_inputs(&c, d, tape, x);
    case_inputs(&c, d, stranger, strange);
    for (int i = 1; i < c.n; i++) {
        ag_tensor *kept = x[i];
        x[i] = strange[i];
        int64_t nodes = ag_tape_memory(tape).nodes;
        ag_tensor *y = case_call(&c, tape, d, x);
        expect_refused(&c, d, y, tape, AG_ERR_TAPE, "tape", nodes);
        x[i] = kept;
    }
    expect_ok(stranger);
    ag_tape_free(stranger);
}
END_TEST

START_TEST(rewound_tensors_are_refused) {
    op_case c = case_at(_i);
    ag_dtype d = some_dtype(&c);
    ag_tensor *x[CASE_INPUTS], *gone[CASE_INPUTS];
    if (under_asan() || under_valgrind()) return; /* which report the use themselves: see test_memory */
    case_inputs(&c, d, tape, x);
    ag_mark mark = ag_tape_mark(tape);
    case_inputs(&c, d, tape, gone);
    ag_tape_rewind(tape, mark);
    for (int i = 0; i < c.n; i++) {
        ag_tensor *kept = x[i];
        x[i] = gone[i];
        int64_t nodes = ag_tape_memory(tape).nodes;
        ag_tensor *y = case_call(&c, tape, d, x);
        expect_refused(&c, d, y, tape, AG_ERR_TAPE, "rewound", nodes);
        x[i] = kept;
    }
}
END_TEST

START_TEST(calls_on_a_failed_tape_are_inert) {
    op_case c = case_at(_i);
    ag_dtype d = some_dtype(&c);
    ag_tensor *x[CASE_INPUTS];
    case_inputs(&c, d, tape, x);
    ag_reshape(ag_scalar(tape, AG_F64, 0), AG_SHAPE(7));
    char first[640];
    snprintf(first, sizeof first, "%s", ag_tape_error(tape));
    int64_t nodes = ag_tape_memory(tape).nodes;
    ag_tensor *y = case_call(&c, tape, d, x);
    ck_assert(y && ag_is_nil(y));
    ck_assert_str_eq(ag_tape_error(tape), first);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ck_assert_ptr_null(ag_data(y));
    ck_assert(isnan(ag_item(y)));
    ck_assert_str_eq(ag_tape_error(tape), first);
    expect_error(tape, AG_ERR_SHAPE, "reshape");
}
END_TEST

START_TEST(shapes_that_do_not_broadcast_are_refused) {
    op_case c = case_at(_i);
    ag_dtype d = some_dtype(&c);
    ag_tensor *x[CASE_INPUTS];
    if (!(c.flags & ELEMENTWISE) || c.n < 2 || *c.variant || strcmp(c.name, "gate") == 0) return;
    case_inputs(&c, d, tape, x);
    for (int i = 0; i < c.n; i++) {
        ag_tensor *kept = x[i];
        x[i] = ag_zeros(tape, case_dtype(&c, d, i), AG_SHAPE(5, 7));
        int64_t nodes = ag_tape_memory(tape).nodes;
        ag_tensor *y = case_call(&c, tape, d, x);
        expect_refused(&c, d, y, tape, AG_ERR_SHAPE, "(5,7)", nodes);
        x[i] = kept;
    }
}
END_TEST

/* ---- Failing allocations ---- */

/* A run of a case on a tape of the ledger; returns whether it succeeded. Evaluated, *y0 is the first output element. */
static bool live_once(ledger *l, const op_case *c, ag_dtype d, double *y0, bool evaluated) {
    ag_tape *t = ag_tape_new_with(&l->allocator);
    if (!t) return false;
    ag_tensor *x[CASE_INPUTS], *dx[CASE_INPUTS];
    case_inputs(c, d, t, x);
    ag_tensor *y = case_call(c, t, d, x);
    if (evaluated) ag_eval(y);
    if (c->flags & (GRAD | SUBGRAD) && ag_tape_status(t) == AG_OK && ag_dtype_of(y) == d) {
        int n = gradients(c, y, x, dx);
        if (evaluated) ag_eval_all(n, dx);
    }
    if (evaluated && ag_tape_status(t) == AG_OK) *y0 = ag_size(y) ? ag_element(y, 0) : 0;
    ag_status status = ag_tape_status(t);
    if (status != AG_OK && status != AG_ERR_MEMORY) ck_abort_msg("%s: %s", case_title(c, d), ag_tape_error(t));
    ag_tape_free(t);
    return status == AG_OK;
}

START_TEST(every_allocation_may_fail) {
    op_case c = case_at(_i);
    ag_dtype d = some_dtype(&c);
    double want = 0, got = 0;
    ledger l;
    ledger_open(&l);
    ck_assert(live_once(&l, &c, d, &want, true));
    ledger_close(&l);
    for (int64_t k = 1;; k++) {
        ledger_open(&l);
        l.fail_at = k;
        bool done = live_once(&l, &c, d, &got, true);
        ledger_close(&l);
        if (done) ck_assert(near_value(AG_F64, got, want, 0, 0));
        if (!l.failed) break;
        ck_assert_int_lt(k, 1000);
    }
}
END_TEST

/* Requests of the library fail, also where it has memory: each of a recording; of evaluations, those that no case before
 * has made at the same place. */
static void lack_in_turn(const op_case *c, ag_dtype d, double want, bool evaluated) {
    double got = 0;
    ledger l;
    for (bool failed = true; failed;) {
        ledger_open(&l);
        lack_once(evaluated);
        bool done = live_once(&l, c, d, &got, evaluated);
        failed = lack_end();
        ledger_close(&l);
        ck_assert(done || failed);
        if (done && evaluated) ck_assert(near_value(AG_F64, got, want, 0, 0));
    }
}

START_TEST(every_request_may_fail) {
    op_case c = case_at(_i);
    ag_dtype d = some_dtype(&c);
    double want = 0;
    ledger l;
    ledger_open(&l);
    ck_assert(live_once(&l, &c, d, &want, true));
    ledger_close(&l);
    lack_begin(0);
    lack_in_turn(&c, d, want, false);
    lack_in_turn(&c, d, want, true);
}
END_TEST

/* ---- Subgradients and limits, as the header states them ---- */

static ag_tensor *f64s(int64_t n, const double values[]) { return tensor_of(tape, AG_F64, AG_SHAPE(n), values); }
#define F64S(...) f64s((int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]){__VA_ARGS__})

static ag_tensor *slope(ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx, *loss = ag_sum(y);
    ag_grad(loss, 1, &x, &dx);
    return dx;
}

START_TEST(corners) {
    ag_tensor *x = F64S(-1, 0, -0.0, 2);
    expect_list(slope(ag_relu(x), x), 0, 0, 0, 1);
    expect_list(slope(ag_abs(x), x), -1, 0, 0, 1);
    expect_list(slope(ag_sign(x), x), 0, 0, 0, 0);
    expect_list(slope(ag_clamp(x, -1, 0), x), 1, 1, 1, 0);
    expect_list(slope(ag_maximum_scalar(x, 0), x), 0, 0.5, 0.5, 1);
    expect_list(slope(ag_minimum_scalar(x, 0), x), 1, 0.5, 0.5, 0);
    ag_tensor *zero = ag_zeros(tape, AG_F64, AG_SHAPE(4));
    expect_list(slope(ag_maximum(x, zero), x), 0, 0.5, 0.5, 1);
    expect_list(slope(ag_maximum(zero, x), x), 0, 0.5, 0.5, 1);
    expect_list(slope(ag_minimum(x, zero), x), 1, 0.5, 0.5, 0);
    expect_list(slope(ag_maximum(x, x), x), 1, 1, 1, 1);
}
END_TEST

START_TEST(ties_share_evenly) {
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(2, 3), (double[]){1, 3, 3, 2, 2, 2});
    expect_list(slope(ag_max(x), x), 0, 0.5, 0.5, 0, 0, 0);
    expect_list(slope(ag_max_over(x, AG_AXES(1), false), x), 0, 0.5, 0.5, 1.0 / 3, 1.0 / 3, 1.0 / 3);
    expect_list(slope(ag_max_over(x, AG_AXES(0), true), x), 0, 1, 1, 1, 0, 0);
    expect_list(slope(ag_min(x), x), 1, 0, 0, 0, 0, 0);
    expect_list(slope(ag_min_over(x, AG_AXES(1), true), x), 1, 0, 0, 1.0 / 3, 1.0 / 3, 1.0 / 3);
}
END_TEST

START_TEST(powers_at_zero) {
    ag_tensor *a = F64S(0, 0, 0, 2, -2), *b = F64S(0, 2, 1, 0, 3);
    ag_tensor *y = ag_pow(a, b);
    expect_list(y, 1, 0, 0, 1, -8);
    expect_list(slope(y, a), 0, 0, 1, 0, 12);
    expect_near(ag_slice(slope(y, b), 0, 0, 4, 1), 4, ((double[]){0, 0, 0, 0.69314718055994531}), 1, 0);
    ag_tensor *x = F64S(0, 1, -3);
    expect_list(slope(ag_pow_scalar(x, 0), x), 0, 0, 0);
    expect_list(slope(ag_pow_scalar(x, 1), x), 1, 1, 1);
    expect_list(slope(ag_pow_scalar(x, 2), x), 0, 2, -6);
    expect_list(slope(slope(ag_pow_scalar(x, 2), x), x), 2, 2, 2);
    expect_list(slope(slope(ag_pow_scalar(x, 1), x), x), 0, 0, 0);
}
END_TEST

START_TEST(what_where_does_not_choose_has_no_influence) {
    ag_tensor *x = F64S(0, 4), *chosen = ag_less(ag_zeros(tape, AG_F64, AG_SHAPE(2)), x);
    ag_tensor *y = ag_where(chosen, ag_scale(x, 3), F64S(NAN, NAN));
    expect_list(ag_where(chosen, x, ag_ones(tape, AG_F64, AG_SCALAR)), 1, 4);
    expect_list(slope(ag_where(chosen, x, F64S(INFINITY, NAN)), x), 0, 1);
    ck_assert(isnan(ag_element(y, 0)));
    expect_list(slope(y, x), 0, 3);
    ag_tensor *g = F64S(NAN, 2), *dx; /* a cotangent that is NaN stays on its own side */
    ag_vjp(1, &y, &g, 1, &x, &dx, 0);
    expect_list(dx, 0, 6);
}
END_TEST

START_TEST(limits_of_functions) {
    ag_tensor *x = F64S(-INFINITY, -1000, 0, 1000, INFINITY);
    expect_list(ag_sigmoid(x), 0, 0, 0.5, 1, 1);
    expect_list(ag_tanh(x), -1, -1, 0, 1, 1);
    expect_list(ag_exp(x), 0, 0, 1, INFINITY, INFINITY);
    expect_list(ag_expm1(x), -1, -1, 0, INFINITY, INFINITY);
    expect_list(ag_log(F64S(0, -1, 1, INFINITY)), -INFINITY, NAN, 0, INFINITY);
    expect_list(ag_log1p(F64S(-1, -2, 0, INFINITY)), -INFINITY, NAN, 0, INFINITY);
    expect_list(ag_rsqrt(F64S(0, 4, INFINITY)), INFINITY, 0.5, 0);
    expect_list(ag_div(F64S(1, -1, 0), F64S(0, 0, 0)), INFINITY, -INFINITY, NAN);
    expect_list(slope(ag_sigmoid(x), x), 0, 0, 0.25, 0, 0);
    expect_list(slope(ag_tanh(x), x), 0, 0, 1, 0, 0);
    expect_list(ag_clamp(F64S(NAN, 7), -1, 1), NAN, 1);
    expect_list(ag_relu(F64S(NAN, -7)), NAN, 0);
}
END_TEST

static void softmax_of(ag_dtype dtype, double large) {
    ag_tensor *x = tensor_of(tape, dtype, AG_SHAPE(3, 2), (double[]){large, large, -large, large, -large, -large});
    expect_list(ag_softmax(x, -1), 0.5, 0.5, 0, 1, 0.5, 0.5);
    ag_tensor *lse = ag_logsumexp(x, -1, false), *logs = ag_log_softmax(x, 1);
    ck_assert(isfinite(ag_element(lse, 0)) && isfinite(ag_element(lse, 2)));
    expect_near(ag_slice(logs, 0, 0, 1, 1), 2, ((double[]){-0.69314718055994531, -0.69314718055994531}), 1, 0);
    ag_tensor *dx = slope(ag_mul(logs, ag_cast(ag_arange(tape, AG_I64, 2), dtype)), x);
    expect_list(dx, -0.5, 0.5, 0, 0, -0.5, 0.5);
}

START_TEST(softmax_is_safe_for_any_finite_input) {
    softmax_of(AG_F64, 1e4);
    softmax_of(AG_F64, 1e307);
    softmax_of(AG_F32, 1e4);
    softmax_of(AG_F32, 0x1p126);
    ag_tensor *none = F64S(-INFINITY, -INFINITY), *one = F64S(-INFINITY, 3);
    expect_item(ag_logsumexp(none, 0, false), -INFINITY);
    expect_item(ag_logsumexp(one, 0, false), 3);
    expect_item(ag_logsumexp(F64S(INFINITY, 3), 0, false), INFINITY);
    expect_list(ag_softmax(one, 0), 0, 1);
    ck_assert(isnan(ag_item(ag_logsumexp(F64S(NAN, 3), 0, false))));
    expect_list(slope(ag_logsumexp(one, 0, false), one), 0, 1);
}
END_TEST

/* ---- Integers ---- */

static ag_tensor *i64s(int64_t n, const int64_t values[]) { return ag_from(tape, AG_I64, AG_SHAPE(n), values); }
#define I64S(...) i64s((int64_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})

static int64_t int_at(ag_tensor *x, int64_t i) {
    const int64_t *data = ag_data(x);
    ck_assert_msg(data != NULL, "%s", ag_tape_error(tape));
    return data[i];
}

START_TEST(integers_are_whole_and_wrap) {
    int64_t large = INT64_C(1) << 53;
    ag_tensor *a = I64S(INT64_MAX, large + 1, INT64_MIN), *one = I64S(1);
    ck_assert_int_eq(int_at(ag_add(a, one), 0), INT64_MIN);
    ck_assert_int_eq(int_at(ag_add(a, one), 1), large + 2);
    ck_assert_int_eq(int_at(ag_sub(a, one), 2), INT64_MAX);
    ck_assert_int_eq(int_at(ag_mul(a, I64S(2)), 0), -2);
    ck_assert_int_eq(int_at(ag_neg(a), 2), INT64_MIN);
    ck_assert_int_eq(int_at(ag_abs(a), 2), INT64_MIN);
    ck_assert_int_eq(int_at(ag_square(a), 0), 1);
    ck_assert_int_eq(int_at(ag_max(I64S(large, large + 1)), 0), large + 1);
    ck_assert_int_eq(int_at(ag_min(I64S(-large, -large - 1)), 0), -large - 1);
    ck_assert_int_eq(int_at(ag_max(I64S(INT64_MIN, INT64_MIN)), 0), INT64_MIN);
    ck_assert_int_eq(int_at(ag_min(I64S(INT64_MAX, INT64_MAX)), 0), INT64_MAX);
    ck_assert_int_eq(int_at(ag_sum(I64S(large, 1, 1, 1)), 0), large + 3);
    ck_assert_int_eq(int_at(ag_sum(I64S(INT64_MAX, 1)), 0), INT64_MIN);
    ck_assert_int_eq(int_at(ag_argmax(I64S(large, large + 1), 0, false), 0), 1);
    expect_list(ag_less(I64S(large), I64S(large + 1)), 1);
    expect_list(ag_equal(I64S(large), I64S(large + 1)), 0);
    ck_assert_int_eq(int_at(ag_add_scalar(a, 1), 1), large + 2);
    ck_assert_int_eq(int_at(ag_maximum_scalar(a, 5), 2), 5);
}
END_TEST

START_TEST(casts_saturate) {
    ag_tensor *x = F64S(NAN, INFINITY, -INFINITY, 1e300, -1e300, 0x1p63, -0x1p63, -1.9, 1.9, 0x1.fffffffffffffp62);
    int64_t want[] = {0, INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN, -1, 1, INT64_MAX - 1023};
    ag_tensor *y = ag_cast(x, AG_I64);
    for (int i = 0; i < 10; i++) ck_assert_int_eq(int_at(y, i), want[i]);
    ag_tensor *z = ag_cast(ag_cast(x, AG_F32), AG_I64);
    for (int i = 0; i < 9; i++) ck_assert_int_eq(int_at(z, i), want[i]);
    expect_list(ag_cast(x, AG_BOOL), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    expect_list(ag_cast(F64S(0, -0.0, 0x1p-1074, NAN), AG_BOOL), 0, 0, 1, 1);
    expect_list(ag_cast(F64S(0x1p-1074, 1e300), AG_F32), 0, INFINITY);
    expect_list(ag_cast(I64S(INT64_MAX), AG_F64), 0x1p63);
    for (int i = 0; i < 4; i++) {
        ag_tensor *same = scattered(tape, dtypes[i], AG_SHAPE(9), 0);
        expect_same(ag_cast(same, dtypes[i]), same);
    }
    ag_tensor *dx = slope(ag_cast(ag_scale(ag_cast(x, AG_F32), 2), AG_F64), x);
    ck_assert_int_eq(ag_dtype_of(dx), AG_F64);
    expect_list(dx, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2);
}
END_TEST

/* ---- Functions over their whole range, against C's long double ---- */

/* Evenly; or, if low is positive, evenly in the logarithm, on both sides of 0. Outside its domain a function is NaN. */
static const struct {
    double low, high;
} ranges[] = {{-1, 1},  {-10, 10},     {-110, 110}, {-760, 760}, {1e-320, 1},
              {0.5, 2}, {1e-44, 1e38}, {1, 1e9},    {1e9, 1e30}, {1e30, 1e305}};
enum { RANGES = sizeof ranges / sizeof *ranges };

static double point(int range, int64_t i, int64_t n) {
    double low = ranges[range].low, high = ranges[range].high, t = (double)i / (double)(n - 1);
    return low > 0 ? (i % 4 == 3 ? -low : low) * pow(high / low, t) : low + (high - low) * t;
}

static void check_range(const real_function *f, ag_dtype d, int range, int64_t n) {
    double *values = malloc((size_t)n * sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (int64_t i = 0; i < n; i++) values[i] = d == AG_F32 ? (double)(float)point(range, i, n) : point(range, i, n);
    ag_tensor *y = f->call(tensor_of(tape, d, AG_SHAPE(n), values));
    const void *data = ag_data(y);
    ck_assert_msg(data != NULL, "%s", ag_tape_error(tape));
    for (int64_t i = 0; i < n; i++) {
        long double exact = f->wide(values[i]);
        double want = d == AG_F32 ? (double)(float)exact : (double)exact, got = element_at(d, data, i);
        if (!near_value(d, got, want, fmax(f->ulps, 1), 0))
            ck_abort_msg("%s(%.17g), %s: %.17g, not %.17g", f->name, values[i], ag_dtype_name(d), got, want);
    }
    free(values);
}

START_TEST(functions_are_exact_over_their_range) {
    const real_function f = real_function_at(_i);
    for (int range = 0; f.wide && range < RANGES; range++)
        for (int d = AG_F32; d <= AG_F64; d++) check_range(&f, (ag_dtype)d, range, by_length(501, 5003, 20011));
}
END_TEST

/* ---- Sines of huge numbers ---- */

/* Some of these are as near to a multiple of π/2 as numbers get. Values by mpmath, with 3000 bits. */
START_TEST(sines_of_huge_numbers) {
    static const double known[][3] = {
        {0x1p20, 0x1.526ccb2fc8656p-2, 0x1.e33ada92fe2aep-1},
        {0x1.0000000000001p20, 0x1.526ccb338edb1p-2, 0x1.e33ada9254f48p-1},
        {0x1.b951f1572eba5p+23, -0x1p+0, -0x1.f54f5227a4e84p-60},
        {0x1.7f90cee9f61a3p+61, 0x1.ffd3351d2f399p-1, 0x1.ac4c2eec1a84fp-6},
        {0x1.6ac5b262ca1ffp+849, 0x1p+0, -0x1.14ae72e6ba22fp-61},
        {0x1p1023, 0x1.205248cbdb760p-1, -0x1.a719f26c232bfp-1},
        {DBL_MAX, 0x1.452fc98b34e97p-8, -0x1.fffe62ecfab75p-1},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const double x = known[i][0], sine = known[i][1], cosine = known[i][2];
        for (int j = 0; j < 8; j++) { /* of x and −x, a quarter further each */
            const double want = j % 2 ? cosine : sine, turned = j & 2 ? -want : want;
            ck_assert(near_value(AG_F64, ag_far_sine(x, j), turned, 1, 0));
            ck_assert(near_value(AG_F64, ag_far_sine(-x, j), j % 2 ? turned : -turned, 1, 0));
        }
        ag_tensor *a = ag_scalar(tape, AG_F64, x);
        ck_assert(near_value(AG_F64, ag_item(ag_sin(a)), sine, 1, 0) &&
                  near_value(AG_F64, ag_item(ag_cos(a)), cosine, 1, 0));
    }
    ck_assert(isnan(ag_far_sine(INFINITY, 0)) && isnan(ag_far_sine(-(double)INFINITY, 1)) &&
              isnan(ag_far_sine(NAN, 2)));
}
END_TEST

/* ---- Powers of every kind of number ---- */

static const double extreme[] = {0,      -0.0,        1,           -1,          2,           -2,         3,
                                 -3,     0.5,         -0.5,        1.5,         INFINITY,    -INFINITY,  NAN,
                                 1e-40,  -1e-40,      1e-310,      -1e-310,     1e300,       -1e300,     3e38,
                                 -3e38,  16777215,    -16777215,   16777216,    0x1p53 - 1,  1 - 0x1p53, 0x1p53,
                                 0x1p30, 1 + 0x1p-23, 1 - 0x1p-24, 1 + 0x1p-52, 1 - 0x1p-53, 150,        -150,
                                 1025,   -1100,       0x1p-149,    0x1p-1074,   0x1p-126,    0x1p-1022,  -0x1p-64,
                                 0x1p64, -0x1p127,    7,           -7,          1.0 / 3,     0.75,       -100.5};
enum { EXTREMES = sizeof extreme / sizeof *extreme };

static double in_dtype(ag_dtype d, double x) { return d == AG_F32 ? (double)(float)x : x; }

/* aᵇ; its sign and its kind are not left to powl, as musl's takes large odd exponents of a negative number for even. */
static long double power_of(double a, double b) {
    const long double size = powl(fabs(a), b);
    if (!signbit(a) || isnan(a)) return size;
    const bool whole = isinf(b) || b == rint(b), odd = isfinite(b) && fabs(fmod(b, 2)) == 1;
    if (a != 0 && isfinite(a) && !whole) return NAN;
    return odd ? -size : size;
}

/* |got − aᵇ| in units of the last place, infinite for a number of another kind or sign. */
static double units_off(ag_dtype d, double got, double a, double b) {
    const long double want = power_of(a, b);
    const double nearest = d == AG_F32 ? (double)(float)want : (double)want, size = fabs(nearest);
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (!signbit(got) != !signbit(nearest)) return INFINITY;
    if (isinf(nearest)) return got == nearest ? 0 : INFINITY;
    const double next = d == AG_F32 ? (double)nextafterf((float)size, INFINITY) : nextafter(size, INFINITY);
    return (double)(fabsl(got - want) / ((long double)next - size));
}

static void expect_power(ag_tensor *y, int64_t i, double a, double b, const char *how) {
    const double got = ag_element(y, i), off = units_off(ag_dtype_of(y), got, a, b);
    ck_assert_msg(off <= 1.5, "%a^%a, %s, %s: %a is %g units off", a, b, ag_dtype_name(ag_dtype_of(y)), how, got, off);
}

START_TEST(powers_are_exact_over_their_range) {
    static const double exponents[] = {-3.5, -2, -1, -0.5, 0.25, 0.5, 1, 1.0 / 3, 2, 3, 7.25, 20};
    int64_t n = small_run() ? 201 : 3001;
    ag_dtype d = _i % 2 ? AG_F32 : AG_F64;
    for (int k = 0; k < 12; k++)
        for (int64_t i = 0; i < n; i++) {
            ag_mark mark = ag_tape_mark(tape);
            double low = d == AG_F32 ? 1e-3 : 1e-14;
            int64_t count = n - i < 777 ? n - i : 777;
            double values[777];
            for (int64_t j = 0; j < count; j++) {
                values[j] = low * pow(1 / low / low, (double)(i + j) / (double)n);
                if (d == AG_F32) values[j] = (double)(float)values[j];
            }
            ag_tensor *x = tensor_of(tape, d, AG_SHAPE(count), values),
                      *b = ag_full(tape, d, AG_SHAPE(1), exponents[k]);
            double s = ag_item(b);
            ag_tensor *y = ag_pow_scalar(x, s), *z = ag_pow(x, b);
            for (int64_t j = 0; j < count; j++) {
                expect_power(y, j, values[j], s, "by a number");
                expect_power(z, j, values[j], s, "by a constant");
            }
            i += count - 1;
            ag_tape_rewind(tape, mark);
        }
}
END_TEST

/* Each of them to the power of each, as C has it: element by element, by one number, and by a constant. */
START_TEST(powers_of_extremes_are_those_of_c) {
    const ag_dtype d = _i % 2 ? AG_F32 : AG_F64;
    ag_tensor *a = tensor_of(tape, d, AG_SHAPE(1, EXTREMES), extreme),
              *b = tensor_of(tape, d, AG_SHAPE(EXTREMES, 1), extreme);
    ag_tensor *all = ag_pow(a, b);
    for (int k = 0; k < EXTREMES; k++) {
        const double s = in_dtype(d, extreme[k]);
        ag_tensor *number = ag_pow_scalar(a, s), *constant = ag_pow(a, ag_scalar(tape, d, s));
        for (int i = 0; i < EXTREMES; i++) {
            const double x = in_dtype(d, extreme[i]);
            expect_power(all, k * EXTREMES + i, x, s, "by a tensor");
            expect_power(number, i, x, s, "by a number");
            expect_power(constant, i, x, s, "by a constant");
        }
    }
    if (d == AG_F32) expect_same(ag_pow_scalar(a, 1 + 0x1p-40), a); /* as an f32 the exponent is 1 */
}
END_TEST

/* Bases of every size, near 1 and negative, and exponents that lead to results of every size. */
START_TEST(powers_are_within_their_units) {
    enum { N = 4099 };
    static double a[N], b[N];
    const ag_dtype d = _i % 2 ? AG_F32 : AG_F64;
    const double lowest = d == AG_F32 ? -149 : -1074, highest = d == AG_F32 ? 127 : 1023,
                 digits = d == AG_F32 ? 22 : 50;
    for (int i = 0; i < N; i++) {
        const double u = (scatter((uint64_t)i) + 1) / 2, v = scatter((uint64_t)(i + N));
        a[i] = in_dtype(d, i % 3 == 0   ? exp2(lowest + u * (highest - lowest))
                           : i % 3 == 1 ? 1 + v * exp2(-u * digits)
                                        : -8 * u);
        b[i] = a[i] > 0 && a[i] != 1 ? scatter((uint64_t)(i + 2 * N)) * 1.01 * highest / log2(a[i]) : rint(60 * v);
        b[i] = in_dtype(d, b[i]);
    }
    ag_tensor *y = ag_pow(tensor_of(tape, d, AG_SHAPE(N), a), tensor_of(tape, d, AG_SHAPE(N), b));
    for (int i = 0; i < N; i++) expect_power(y, i, a[i], b[i], "by a tensor");
}
END_TEST

/* A constant that is known when a power is recorded has the gradients that it has as any other tensor. */
START_TEST(powers_by_a_constant_have_all_gradients) {
    static const double exponents[] = {2, 3, -1, -2, 0.5, -0.5, 1.25, 0, 1};
    for (int k = 0; k < 9; k++) {
        ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){0.75, 1.5, 4}), *g[2][2], *h[2][2];
        for (int known = 0; known < 2; known++) {
            ag_tensor *b =
                known ? ag_scalar(tape, AG_F64, exponents[k]) : tensor_of(tape, AG_F64, AG_SCALAR, &exponents[k]);
            ag_tensor *in[] = {x, b}, *y = ag_sum(ag_pow(x, b));
            ag_grad(y, 2, in, g[known]);
            ag_grad(ag_sum(ag_square(g[known][0])), 2, in, h[known]);
        }
        for (int i = 0; i < 2; i++)
            for (int64_t j = 0; j < (i ? 1 : 3); j++) {
                ck_assert(near_value(AG_F64, ag_element(g[1][i], j), ag_element(g[0][i], j), 8, 1));
                ck_assert(near_value(AG_F64, ag_element(h[1][i], j), ag_element(h[0][i], j), 8, 1));
            }
    }
    expect_ok(tape);
}
END_TEST

/* Exponents that are known as they are recorded, whatever they are made of, have entries of their own. */
START_TEST(powers_by_known_numbers_have_entries) {
    static const double exponents[] = {2, 3, -1, -2, 0.5, -0.5};
    for (int k = 0; k < 12; k++) {
        const ag_dtype d = k % 2 ? AG_F32 : AG_F64;
        const double e = exponents[k / 2];
        ag_tensor *x = ag_full(tape, d, AG_SHAPE(3), 2), *other = ag_pow(x, ag_scalar(tape, d, 1.25));
        ck_assert_ptr_ne(ag_op_of(ag_pow_scalar(x, e)), ag_op_of(ag_pow_scalar(x, 1.25)));
        ag_tensor *b = ag_scalar(tape, d, e - 4);
        for (int i = 0; i < 8; i++) b = ag_add_scalar(b, 0.5);
        ck_assert_ptr_ne(ag_op_of(ag_pow(x, ag_broadcast_to(b, AG_SHAPE(3)))), ag_op_of(other));
        ck_assert_ptr_eq(ag_op_of(ag_pow(x, ag_add_scalar(b, 0))), ag_op_of(other)); /* too long to be followed */
        const bool near = ag_op_of(ag_pow(x, ag_scalar(tape, d, e * (1 + 1e-12)))) != ag_op_of(other);
        ck_assert_int_eq(near, d == AG_F32); /* where it is that number */
        ck_assert_int_eq(ag_grad(ag_sum(other), 1, &x, &b), AG_OK);
        ck_assert(!reaches(b, "where")); /* only an exponent of 0 needs a choice */
    }
    expect_ok(tape);
}
END_TEST

/* The slope of a^b by a and then by b is 1/a at b = 0, as long as that is finite; beyond, 1 is in the place of a. */
START_TEST(powers_by_zero_have_finite_mixed_slopes) {
    static const double at[][4] = {{0, 0x1p-1022, 1e-200, 2}, {0, 1e-40, 0x1p-126, 2}},
                        want[][4] = {{1, 0x1p1022, 1e200, 0.5}, {1, 1, 0x1p126, 0.5}};
    for (int k = 0; k < 2; k++) {
        ag_tensor *a = tensor_of(tape, k ? AG_F32 : AG_F64, AG_SHAPE(4), at[k]), *b = ag_zeros_like(a), *da, *dadb;
        b = ag_scale(b, 1); /* not known */
        ck_assert_int_eq(ag_grad(ag_sum(ag_pow(a, b)), 1, &a, &da), AG_OK);
        expect_list(da, 0, 0, 0, 0);
        ck_assert_int_eq(ag_grad(ag_sum(da), 1, &b, &dadb), AG_OK);
        expect_near(dadb, 4, want[k], 1, 0);
    }
}
END_TEST

/* ---- Sizes at the edges of strips, threads and blocks ---- */

static const int64_t sizes[] = {1, 2, 15, 16, 17, 1023, 1024, 1025, 4096, 5000};
enum { SIZES = sizeof sizes / sizeof *sizes };

START_TEST(elementwise_at_many_sizes) {
    int64_t n = sizes[_i % SIZES];
    ag_dtype d = dtypes[2 + _i / SIZES];
    ag_tensor *a = scattered(tape, d, AG_SHAPE(3, n), 0), *b = scattered(tape, d, AG_SHAPE(n), 9),
              *t = ag_transpose(a, 0, 1);
    ag_tensor *row = ag_add(ag_scale(a, 2), b), *column = ag_mul(t, ag_reshape(b, AG_SHAPE(n, 1))),
              *back = ag_sub(ag_flip(a, 1), b);
    const void *rows = ag_data(row), *columns = ag_data(column), *backs = ag_data(back);
    for (int64_t i = 0; i < 3 * n; i++) {
        double p = scatter((uint64_t)i), q = scatter(9 + (uint64_t)(i % n));
        double flipped = scatter((uint64_t)(i / n * n + n - 1 - i % n));
        bool right = element_at(d, rows, i) == 2 * p + q && element_at(d, columns, i % n * 3 + i / n) == p * q &&
                     element_at(d, backs, i) == flipped - q;
        if (!right) ck_abort_msg("%s (3,%" PRId64 "): element %" PRId64 " is wrong", ag_dtype_name(d), n, i);
    }
}
END_TEST

/* Numbers 0, 1, … in a large block, viewed with strides and broadcasting of all sorts: each element shows its
 * origin. */
START_TEST(copies_of_views_at_many_sizes) {
    static const int64_t extent[][3] = {{1, 1, 1}, {3, 17, 33},  {5, 64, 16}, {2, 130, 70},
                                        {7, 5, 3}, {1, 1, 2000}, {40, 1, 9},  {4, 6, 7}};
    static const int order[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    ag_dtype d = dtypes[_i % 4];
    const int64_t *e = extent[_i / 4], n = e[0] * e[1] * e[2];
    ag_tensor *number = ag_arange(tape, d == AG_BOOL ? AG_F64 : d, n);
    if (d == AG_BOOL) number = ag_less(ag_sin(number), ag_scalar(tape, AG_F64, 0));
    ag_tensor *x = ag_reshape(number, AG_SHAPE(e[0], e[1], e[2]));
    for (int k = 0; k < 6 * 8; k++) {
        const int *axis = order[k % 6], step = k / 6 % 2 ? -1 : 1, by = k / 12 % 2 ? 2 : 1, wide = k / 24 ? 3 : 1;
        ag_tensor *cut = ag_slice(ag_permute(x, AG_AXES(axis[0], axis[1], axis[2])), 1, AG_END, AG_END, step * by);
        ag_shape shape = {4, {ag_extent(cut, 0), ag_extent(cut, 1), ag_extent(cut, 2), wide}};
        ag_tensor *view = ag_broadcast_to(ag_unsqueeze(cut, 3), shape), *y = ag_contiguous(view);
        expect_item(ag_min(ag_cast(ag_equal(view, y), AG_I64)), 1); /* strip by strip */
        const void *data = ag_data(y);
        int64_t stride[3] = {e[1] * e[2], e[2], 1}, index[AG_MAX_RANK] = {0}, first = step < 0 ? e[axis[1]] - 1 : 0;
        for (int64_t i = 0; i < ag_size(y); i++, next_index(&shape, index)) {
            int64_t from = index[0] * stride[axis[0]] + (first + index[1] * step * by) * stride[axis[1]] +
                           index[2] * stride[axis[2]];
            double want = d == AG_BOOL ? sin((double)from) < 0 : d == AG_F32 ? (double)(float)from : (double)from;
            if (element_at(d, data, i) != want)
                ck_abort_msg("%s, view %d: element %d is wrong", ag_dtype_name(d), k, (int)i);
        }
    }
}
END_TEST

typedef struct reduced {
    double sum, max, min;
} reduced;

/* Reduces x over the axes of the mask, one element after the other; small integers, so that every order is exact. */
static void reduce_plainly(const double *x, const ag_shape *shape, unsigned mask, reduced *y) {
    int64_t index[AG_MAX_RANK] = {0}, out = 1;
    for (int k = 0; k < shape->rank; k++) out *= mask >> k & 1 ? 1 : shape->extent[k];
    for (int64_t j = 0; j < out; j++) y[j] = (reduced){0, -INFINITY, INFINITY};
    for (int64_t i = 0; i < shape_size(shape); i++, next_index(shape, index)) {
        int64_t j = 0;
        for (int k = 0; k < shape->rank; k++)
            if (!(mask >> k & 1)) j = j * shape->extent[k] + index[k];
        y[j] = (reduced){y[j].sum + x[i], fmax(y[j].max, x[i]), fmin(y[j].min, x[i])};
    }
}

static void check_reductions(ag_tensor *x, const reduced *want, unsigned mask, bool keep) {
    ag_axes axes = {0, {0}};
    int64_t count = 1;
    for (int k = 0; k < ag_rank(x); k++)
        if (mask >> k & 1) axes.axis[axes.count++] = k - (keep ? ag_rank(x) : 0), count *= ag_extent(x, k);
    ag_tensor *sum = ag_sum_over(x, axes, keep), *max = ag_max_over(x, axes, keep), *min = ag_min_over(x, axes, keep);
    ag_tensor *mean = ag_dtype_of(x) == AG_I64 ? NULL : ag_mean_over(x, axes, keep);
    ck_assert_int_eq(ag_rank(sum), keep ? ag_rank(x) : ag_rank(x) - axes.count);
    ck_assert_int_eq(ag_size(sum) * count, ag_size(x));
    for (int64_t j = 0; j < ag_size(sum); j++) {
        bool right =
            ag_element(sum, j) == want[j].sum && ag_element(max, j) == want[j].max && ag_element(min, j) == want[j].min;
        if (mean) right = right && near_value(ag_dtype_of(x), ag_element(mean, j), want[j].sum / (double)count, 1, 0);
        if (!right)
            ck_abort_msg("over axes %#x, %s: element %" PRId64 " is wrong", mask, ag_dtype_name(ag_dtype_of(x)), j);
    }
}

static const ag_shape reduced_shapes[] = {{3, {1, 1, 1}},    {3, {3, 1000, 1}}, {3, {1000, 3, 2}},
                                          {3, {17, 33, 65}}, {3, {2, 1, 2049}}, {3, {2049, 1, 2}}};

START_TEST(reductions_over_every_set_of_axes) {
    ag_shape shape = reduced_shapes[_i / 3], turned = {3, {shape.extent[2], shape.extent[0], shape.extent[1]}};
    ag_dtype d = dtypes[1 + _i % 3];
    int64_t n = shape_size(&shape), index[AG_MAX_RANK] = {0};
    double *values = malloc((size_t)n * sizeof *values), *moved = malloc((size_t)n * sizeof *moved);
    reduced *want = malloc((size_t)n * sizeof *want);
    ck_assert(values && moved && want);
    for (int64_t i = 0; i < n; i++, next_index(&shape, index)) {
        values[i] = floor(scatter((uint64_t)i) * 8);
        moved[(index[2] * shape.extent[0] + index[0]) * shape.extent[1] + index[1]] = values[i];
    }
    ag_tensor *x = tensor_of(tape, d, shape, values);
    ag_tensor *view = ag_permute(tensor_of(tape, d, turned, moved), AG_AXES(1, 2, 0));
    ag_tensor *half = ag_slice(x, 1, AG_END, AG_END, -1), *whole = ag_slice(half, 1, AG_END, AG_END, -1);
    for (unsigned mask = 0; mask < 8; mask++) {
        reduce_plainly(values, &shape, mask, want);
        check_reductions(x, want, mask, false);
        check_reductions(view, want, mask, true);
        check_reductions(whole, want, mask, mask & 1);
    }
    free(values);
    free(moved);
    free(want);
}
END_TEST

START_TEST(sums_are_pairwise) {
    int64_t n = small_run() ? 100000 : 4000000;
    float tenth = 0.1f;
    ag_tensor *x = ag_contiguous(ag_full(tape, AG_F32, AG_SHAPE(n), (double)tenth));
    double want = (double)tenth * (double)n;
    ck_assert_double_le(fabs(ag_item(ag_sum(x)) - want), 1e-6 * want);
    ck_assert_double_le(fabs(ag_item(ag_mean(x)) - (double)tenth), 1e-6 * 0.1);
    ag_tensor *columns = ag_reshape(x, AG_SHAPE(n / 4, 4));
    ck_assert_double_le(fabs(ag_element(ag_sum_over(columns, AG_AXES(0), false), 1) - want / 4), 1e-6 * want);
    ck_assert_double_le(fabs(ag_element(ag_sum_over(ag_transpose(columns, 0, 1), AG_AXES(1), false), 2) - want / 4),
                        1e-6 * want);
    ag_tensor *shifted = ag_add_scalar(scattered(tape, AG_F32, AG_SHAPE(4096), 0), 4096);
    double variance = ag_item(ag_var(shifted, 0)); /* two passes: a large mean costs no accuracy */
    ck_assert_double_le(fabs(variance - 1.0 / 3), 0.02);
}
END_TEST

/* ---- Products ---- */

static void check_product(ag_tensor *a, ag_tensor *b, const double *p, const double *q) {
    int64_t m = ag_extent(a, -2), k = ag_extent(a, -1), n = ag_extent(b, -1);
    ag_tensor *y = ag_matmul(a, b);
    const void *data = ag_data(y);
    ck_assert_msg(data != NULL, "%s", ag_tape_error(tape));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double want = 0;
            for (int64_t l = 0; l < k; l++) want += p[i * k + l] * q[l * n + j];
            double got = element_at(ag_dtype_of(y), data, i * n + j);
            if (got != want)
                ck_abort_msg("(%d,%d)·(%d,%d) %s: element (%d,%d) is %g, not %g", (int)m, (int)k, (int)k, (int)n,
                             ag_dtype_name(ag_dtype_of(y)), (int)i, (int)j, got, want);
        }
}

static const int64_t extents[] = {1, 2, 3, 5, 8, 17, 33, 64, 100};
enum { EXTENTS = sizeof extents / sizeof *extents };

START_TEST(products_of_many_shapes) {
    int64_t m = extents[_i];
    double *p = malloc(10000 * sizeof *p), *q = malloc(10000 * sizeof *q);
    ck_assert(p && q);
    for (uint64_t i = 0; i < 10000; i++) p[i] = floor(scatter(i) * 4), q[i] = floor(scatter(i + 77) * 4);
    for (int kk = _i % 2; kk < EXTENTS; kk += small_run() ? 4 : 1)
        for (int nn = 0; nn < EXTENTS; nn += small_run() ? 4 : 1)
            for (int d = AG_F32; d <= AG_F64; d++) {
                int64_t k = extents[kk], n = extents[nn];
                ag_mark mark = ag_tape_mark(tape);
                ag_tensor *a = tensor_of(tape, (ag_dtype)d, AG_SHAPE(m, k), p),
                          *b = tensor_of(tape, (ag_dtype)d, AG_SHAPE(k, n), q);
                int place = (kk + nn) % PLACES;
                check_product(a, b, p, q);
                if (m * n * k < 40000) check_product(placed(a, place), placed(b, (place * 5 + 1) % PLACES), p, q);
                ag_tape_rewind(tape, mark);
            }
    free(p);
    free(q);
}
END_TEST

START_TEST(products_of_broadcast_operands) {
    ag_tensor *row = F64S(1, 2, 3), *wide = ag_broadcast_to(row, AG_SHAPE(4, 3)),
              *ones = ag_ones(tape, AG_F64, AG_SHAPE(3, 2));
    expect_list(ag_matmul(wide, ones), 6, 6, 6, 6, 6, 6, 6, 6);
    expect_list(ag_matmul(ag_transpose(ones, 0, 1), ag_transpose(wide, 0, 1)), 6, 6, 6, 6, 6, 6, 6, 6);
    expect_list(ag_matmul(ag_ones(tape, AG_F64, AG_SHAPE(1, 3)), ag_flip(ag_unsqueeze(row, 1), 0)), 6);
    ag_tensor *y = ag_matmul(ag_full(tape, AG_F64, AG_SHAPE(2, 3), NAN), ag_zeros(tape, AG_F64, AG_SHAPE(3, 1)));
    expect_list(y, NAN, NAN);
}
END_TEST

/* ---- Ranks and random numbers ---- */

START_TEST(eight_axes) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2, 1, 2, 1, 2, 3, 1, 2), 0), *y = ag_add(x, ag_flip(x, 5));
    ag_tensor *back = ag_permute(ag_permute(y, AG_AXES(7, 6, 5, 4, 3, 2, 1, 0)), AG_AXES(7, 6, 5, 4, 3, 2, 1, 0));
    expect_same(back, y);
    expect_shape(ag_sum_over(x, AG_AXES(0, 2, 4, 6), false), AG_SHAPE(1, 1, 3, 2));
    expect_shape(ag_broadcast_to(x, AG_SHAPE(2, 3, 2, 3, 2, 3, 2, 2)), AG_SHAPE(2, 3, 2, 3, 2, 3, 2, 2));
    expect_same(slope(ag_mul(x, x), x), ag_scale(x, 2));
    ag_tensor *wide =
        ag_matmul(ag_reshape(x, AG_SHAPE(2, 1, 2, 1, 2, 1, 3, 2)), ag_reshape(x, AG_SHAPE(2, 1, 2, 1, 2, 1, 2, 3)));
    expect_shape(wide, AG_SHAPE(2, 1, 2, 1, 2, 1, 3, 3));
}
END_TEST

START_TEST(uniform_numbers_are_uniform) {
    int64_t n = 20000;
    for (int d = AG_F32; d <= AG_F64; d++) {
        ag_tensor *x = ag_uniform(tape, (ag_dtype)d, AG_SHAPE(n), -1, 3);
        ck_assert_double_ge(ag_item(ag_min(x)), -1);
        ck_assert_double_lt(ag_item(ag_max(x)), 3);
        ck_assert_double_le(fabs(ag_item(ag_mean(x)) - 1), 0.04);
        ck_assert_double_le(fabs(ag_item(ag_var(x, 1)) - 16.0 / 12), 0.04);
        ag_tensor *next = ag_mul(ag_slice(x, 0, 1, AG_END, 1), ag_slice(x, 0, 0, -1, 1));
        ck_assert_double_le(fabs(ag_item(ag_mean(next)) - 1), 0.08); /* neighbours are not correlated */
    }
    expect_list(ag_uniform(tape, AG_F64, AG_SHAPE(2), 5, 5), 5, 5);
}
END_TEST

START_TEST(normal_numbers_are_normal) {
    int64_t n = 20001;
    for (int d = AG_F32; d <= AG_F64; d++) {
        ag_tensor *x = ag_normal(tape, (ag_dtype)d, AG_SHAPE(n), 1, 2), *z = ag_scale(ag_add_scalar(x, -1), 0.5);
        ag_tensor *square = ag_square(z);
        ck_assert_double_le(fabs(ag_item(ag_mean(z))), 0.03);
        ck_assert_double_le(fabs(ag_item(ag_mean(square)) - 1), 0.05);
        ck_assert_double_le(fabs(ag_item(ag_mean(ag_mul(square, z)))), 0.15);
        ck_assert_double_le(fabs(ag_item(ag_mean(ag_square(square))) - 3), 0.4);
        ck_assert(isfinite(ag_item(ag_sum(x))));
        ag_tensor *far = ag_cast(ag_greater(ag_abs(z), ag_scalar(tape, (ag_dtype)d, 1.96)), AG_F64);
        ck_assert_double_le(fabs(ag_item(ag_mean(far)) - 0.05), 0.01);
    }
    expect_list(ag_normal(tape, AG_F64, AG_SHAPE(3), 5, 0), 5, 5, 5);
}
END_TEST

START_TEST(random_numbers_repeat_with_the_seed) {
    ag_tape_seed(tape, 42);
    ag_tensor *a = ag_uniform(tape, AG_F64, AG_SHAPE(100), 0, 1), *b = ag_uniform(tape, AG_F64, AG_SHAPE(100), 0, 1);
    ag_tensor *c = ag_normal(tape, AG_F32, AG_SHAPE(101), 0, 1);
    ag_tape_seed(tape, 42);
    ag_tensor *a2 = ag_uniform(tape, AG_F64, AG_SHAPE(100), 0, 1), *b2 = ag_uniform(tape, AG_F64, AG_SHAPE(100), 0, 1);
    ag_tensor *c2 = ag_normal(tape, AG_F32, AG_SHAPE(101), 0, 1);
    ag_eval(b2); /* in another order than the first draws */
    expect_same(a, a2);
    expect_same(b, b2);
    expect_same(c, c2);
    expect_item(ag_max(ag_cast(ag_equal(a, b), AG_I64)), 0);
    ag_tape_seed(tape, 43);
    expect_item(ag_max(ag_cast(ag_equal(a, ag_uniform(tape, AG_F64, AG_SHAPE(100), 0, 1)), AG_I64)), 0);
    ag_tape *other = ag_tape_new();
    ag_tape_seed(other, 42);
    expect_same(a, ag_uniform(other, AG_F64, AG_SHAPE(100), 0, 1));
    ag_tape_free(other);
}
END_TEST

/* ---- */

static void add_table_tests(Suite *suite, int first, int end) {
    TCase *table = tape_group(suite, "table");
    tcase_add_loop_test(table, the_case_records_its_operation, first, end);
    tcase_add_loop_test(table, values_are_golden, first, end);
    tcase_add_loop_test(table, gradients_are_golden, first, end);
    tcase_add_loop_test(table, gradients_equal_finite_differences_at_both_orders, first, end);
    tcase_add_loop_test(table, f32_is_f64_rounded, first, end);
    tcase_add_loop_test(table, strides_make_no_difference, first, end);
    tcase_add_loop_test(table, gradients_of_views_are_those_of_copies, first, end);
    tcase_add_loop_test(table, broadcasting_is_copying, first, end);
    tcase_add_loop_test(table, eager_tapes_give_the_same_bits, first, end);
    TCase *refusals = tape_group(suite, "refusals");
    tcase_add_loop_test(refusals, wrong_dtypes_are_refused, first, end);
    tcase_add_loop_test(refusals, two_dtypes_are_refused, first, end);
    tcase_add_loop_test(refusals, null_is_refused, first, end);
    tcase_add_loop_test(refusals, nil_is_refused, first, end);
    tcase_add_loop_test(refusals, tensors_of_another_tape_are_refused, first, end);
    tcase_add_loop_test(refusals, rewound_tensors_are_refused, first, end);
    tcase_add_loop_test(refusals, calls_on_a_failed_tape_are_inert, first, end);
    tcase_add_loop_test(refusals, shapes_that_do_not_broadcast_are_refused, first, end);
    tcase_add_loop_test(plain_group(suite, "memory"), every_allocation_may_fail, first, end);
    if (lack_stands_in()) tcase_add_loop_test(plain_group(suite, "requests"), every_request_may_fail, first, end);
    else printf("Skipped: %d, which need a library of several files\n", end - first);
}

/* The cases of one name, and the ranges of that function. */
static int run_only(const char *name) {
    int end = case_count(), first = 0;
    while (first < end && strcmp(case_at(first).name, name) != 0) first++;
    while (end > first && strcmp(case_at(end - 1).name, name) != 0) end--;
    if (first == end) return fprintf(stderr, "no case is named %s\n", name), 2;
    Suite *suite = suite_create("ops");
    add_table_tests(suite, first, end);
    TCase *range = tape_group(suite, "ranges");
    for (int i = 0; i < real_function_count(); i++)
        if (strcmp(real_function_at(i).name, name) == 0)
            tcase_add_loop_test(range, functions_are_exact_over_their_range, i, i + 1);
    return run_suite(suite);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--list") == 0) return case_list(), 0;
    if (argc > 2 && strcmp(argv[1], "--only") == 0) return run_only(argv[2]);
    Suite *suite = suite_create("ops");
    TCase *list = plain_group(suite, "list");
    tcase_add_test(list, every_operation_has_a_case);
    tcase_add_test(list, every_operation_has_a_gradient_or_says_that_it_has_none);
    tcase_add_test(list, every_operation_has_what_its_kind_needs);
    add_table_tests(suite, 0, case_count());
    TCase *corner = tape_group(suite, "corners");
    tcase_add_test(corner, corners);
    tcase_add_test(corner, ties_share_evenly);
    tcase_add_test(corner, powers_at_zero);
    tcase_add_test(corner, what_where_does_not_choose_has_no_influence);
    tcase_add_test(corner, limits_of_functions);
    tcase_add_test(corner, softmax_is_safe_for_any_finite_input);
    tcase_add_test(corner, integers_are_whole_and_wrap);
    tcase_add_test(corner, casts_saturate);
    TCase *range = tape_group(suite, "ranges");
    if (longer_doubles(real_function_count() + 6)) {
        tcase_add_loop_test(range, functions_are_exact_over_their_range, 0, real_function_count());
        tcase_add_loop_test(range, powers_are_exact_over_their_range, 0, 2);
        tcase_add_loop_test(range, powers_of_extremes_are_those_of_c, 0, 2);
        tcase_add_loop_test(range, powers_are_within_their_units, 0, 2);
    }
    tcase_add_test(range, powers_by_a_constant_have_all_gradients);
    tcase_add_test(range, powers_by_known_numbers_have_entries);
    tcase_add_test(range, powers_by_zero_have_finite_mixed_slopes);
    tcase_add_test(range, sines_of_huge_numbers);
    TCase *size = tape_group(suite, "sizes");
    tcase_add_loop_test(size, elementwise_at_many_sizes, 0, 2 * SIZES);
    tcase_add_loop_test(size, copies_of_views_at_many_sizes, 0, 4 * 8);
    tcase_add_loop_test(size, reductions_over_every_set_of_axes, 0, 3 * 6);
    tcase_add_test(size, sums_are_pairwise);
    tcase_add_loop_test(size, products_of_many_shapes, 0, EXTENTS);
    tcase_add_test(size, products_of_broadcast_operands);
    tcase_add_test(size, eight_axes);
    TCase *random = tape_group(suite, "random");
    tcase_add_test(random, uniform_numbers_are_uniform);
    tcase_add_test(random, normal_numbers_are_normal);
    tcase_add_test(random, random_numbers_repeat_with_the_seed);
    return run_suite(suite);
}
