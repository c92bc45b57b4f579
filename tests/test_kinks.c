/* test_kinks -- gradients where a slope is infinite, NaN or undefined: masked elements, ties, zeros, NaN
 *
 * Every case of the table shows that elements that are not chosen have no influence, with inputs of every kind and
 * at three orders. A table here gives the slopes at kinks. */
#include "autograd/eval/compile.h"
#include "nn/nn.h"
#include "ops/lapack.h"
#include "ops/product.h"
#include "ops/rules.h"
#include "tests/cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST(dtype) ((dtype) == AG_F32 ? 0x1p-149 : 0x1p-1074)

/* ---- Elements that are not chosen ---- */

/* The fillings of the case's real inputs; the first leaves them unchanged. A matrix that would be NaN or an error
 * whatever it is multiplied by, even 0, is not filled. */
enum { FILLS = 6 };
static const double fills[FILLS] = {1, NAN, INFINITY, -INFINITY, 0, -1};

static int filled_inputs(const op_case *c, ag_dtype d, int fill, ag_tensor *x[], ag_tensor *free_x[]) {
    int n = 0;
    case_inputs(c, d, tape, x);
    for (int i = 0; i < c->n; i++) {
        if (c->x[i].domain == INDEX || c->x[i].domain == MASK) continue;
        const bool stays = i == 0 && c->flags & (isfinite(fills[fill]) ? INVERTS | FACTORS : FACTORS);
        if (fill > 0 && !stays) x[i] = ag_contiguous(ag_full(tape, d, ag_shape_of(x[i]), fills[fill]));
        free_x[n++] = x[i];
    }
    return n;
}

/* Σ over all of scattered weights times their elements. */
static ag_tensor *weighed(int n, ag_tensor *const t[]) {
    ag_tensor *sum = NULL;
    for (int i = 0; i < n; i++) {
        ag_tensor *part = ag_sum(ag_mul(t[i], scattered(tape, ag_dtype_of(t[i]), ag_shape_of(t[i]), 7)));
        sum = sum ? ag_add(sum, part) : part;
    }
    return sum;
}

static void expect_zeros(const char *what, int order, int n, ag_tensor *const d[]) {
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < ag_size(d[i]); k++)
            ck_assert_msg(ag_element(d[i], k) == 0, "%s, order %d: element %d of gradient %d is %g", what, order,
                          (int)k, i, ag_element(d[i], k));
}

static bool has_gradient(const op_case *c, ag_dtype d) {
    return c->flags & (GRAD | SUBGRAD) && case_accepts(c, d) &&
           strncmp(c->name, "cast", 4) != 0; /* they have another dtype */
}

/* The case's output is chosen nowhere: its inputs get zeros, and the gradients of these are zeros. The scale makes
 * cotangents of second order that are not zero. */
START_TEST(what_is_not_chosen_has_no_influence_at_any_order) {
    op_case c = case_at(_i);
    for (int k = 0; k < 2 * FILLS; k++) {
        ag_dtype d = k % 2 ? AG_F32 : AG_F64;
        if ((k / 2 + _i) % by_length(FILLS, 3, 1) != 0 || !has_gradient(&c, d)) continue;
        ag_tensor *x[CASE_INPUTS], *by[CASE_INPUTS + 1], *g[CASE_INPUTS + 1];
        int n = filled_inputs(&c, d, k / 2, x, by);
        ag_tensor *y = case_call(&c, tape, d, x), *one = by[n] = ag_parameter_from(ag_ones(tape, d, AG_SCALAR));
        ag_tensor *never = ag_less(ag_scalar(tape, d, 1), ag_scalar(tape, d, 0));
        ag_tensor *at = ag_sum(ag_mul(ag_where(never, y, ag_broadcast_to(one, ag_shape_of(y))), one));
        for (int order = 1; order <= (c.flags & TWICE ? 2 : 3); order++) {
            ck_assert_int_eq(ag_grad(at, n + 1, by, g), AG_OK);
            expect_zeros(case_title(&c, d), order, n, g);
            at = ag_add(weighed(n, g), ag_square(g[n]));
        }
        expect_ok(tape);
    }
}
END_TEST

/* Cotangents that are 0 and declared as strong. */
START_TEST(zeros_that_are_handed_in_as_strong_stay_zeros) {
    op_case c = case_at(_i);
    for (int k = 0; k < 2 * FILLS; k++) {
        ag_dtype d = k % 2 ? AG_F32 : AG_F64;
        if ((k / 2 + _i) % by_length(FILLS, 3, 1) != 0 || !has_gradient(&c, d)) continue;
        ag_tensor *x[CASE_INPUTS], *by[CASE_INPUTS], *g[CASE_INPUTS];
        int n = filled_inputs(&c, d, k / 2, x, by);
        ag_tensor *y = case_call(&c, tape, d, x), *zero = ag_zeros(tape, d, ag_shape_of(y));
        ck_assert_int_eq(ag_vjp(1, &y, &zero, n, by, g, AG_STRONG), AG_OK);
        expect_zeros(case_title(&c, d), 1, n, g);
    }
}
END_TEST

/* Whether t, among the nodes from `first` on, is made by a choice: below one only cotangents are. */
static bool is_cotangent(const ag_tensor *t, uint32_t first) {
    if (t->id < first || !ag_op_of(t)) return false;
    if (strcmp(ag_op_of(t)->name, "where") == 0) return true;
    for (int i = 0; i < ag_inputs(t); i++)
        if (is_cotangent(ag_input(t, i), first)) return true;
    return false;
}

static bool is_named(const ag_tensor *t, const char *name) {
    return ag_op_of(t) && strcmp(ag_op_of(t)->name, name) == 0;
}

/* The products among the nodes from `first` on: plain without a choice; else strong in the operand that
 * is the cotangent, and in no other. How many there are. */
static int expect_products(const op_case *c, uint32_t first, bool chosen) {
    int n = 0;
    for (uint32_t id = first; id < tape->count; id++) {
        const ag_tensor *t = ag__node(tape, id);
        const bool dot = is_named(t, "strong_tensordot"), strong = dot || is_named(t, "strong_matmul");
        n += chosen ? strong : is_named(t, "matmul") || is_named(t, "tensordot");
        if (!strong) continue;
        const int64_t operands = ((const int64_t *)ag_attributes(t))[dot]; /* behind the number of axes */
        ck_assert_msg(chosen && (operands == 1 || operands == 2) && is_cotangent(ag_input(t, (int)operands - 1), first),
                      "%s, %s: strong operands %d", case_title(c, AG_F64), chosen ? "chosen" : "without a choice",
                      (int)operands);
    }
    return n;
}

/* Products in gradients are plain without a choice, and show what is not finite. Below one it is the cotangent's zeros
 * that are strong, not those of the other operand. The gradients of other factorisations by LAPACK have choices of their
 * own, and what Cholesky's has accepted is finite. */
START_TEST(products_are_strong_below_a_choice_by_the_cotangent_alone) {
    op_case c = case_at(_i);
    int count[2];
    if (!has_gradient(&c, AG_F64) || !c.op || strncmp(c.op, "strong_", 7) == 0) return;
    if (c.flags & LAPACK && strcmp(c.op, "qr") != 0) return;
    for (int chosen = 0; chosen < 2; chosen++) {
        ag_tensor *x[CASE_INPUTS], *by[CASE_INPUTS], *g[CASE_INPUTS];
        const int n = filled_inputs(&c, AG_F64, 0, x, by);
        ag_tensor *y = case_call(&c, tape, AG_F64, x), *zero = ag_zeros(tape, AG_F64, ag_shape_of(y));
        if (!ag_op_of(y) || strcmp(ag_op_of(y)->name, c.op) != 0) return; /* what follows may be a choice */
        if (chosen) y = ag_where(ag_equal(zero, zero), y, zero);
        const uint32_t first = tape->count;
        ck_assert_int_eq(ag_grad(ag_sum(ag_square(y)), n, by, g), AG_OK);
        count[chosen] = expect_products(&c, first, chosen);
    }
    ck_assert_msg(c.flags & FACTORS || count[0] == count[1], "%s: of %d products %d are strong", c.name, count[0],
                  count[1]);
}
END_TEST

/* How many products are strong in the first operand, the second, both: in the gradient of y, below a choice or without. */
static void count_strong(ag_tensor *y, ag_tensor *by, bool chosen, int count[4]) {
    ag_tensor *zero = ag_zeros(tape, AG_F64, ag_shape_of(y)), *g;
    if (chosen) y = ag_where(ag_equal(zero, zero), y, zero);
    const uint32_t first = tape->count;
    ck_assert_int_eq(ag_grad(ag_sum(ag_square(y)), 1, &by, &g), AG_OK);
    for (uint32_t id = first; id < tape->count; id++)
        if (is_named(ag__node(tape, id), "strong_matmul")) count[*(const int64_t *)ag_attributes(ag__node(tape, id))]++;
}

/* A solution by strong zeros has strong zeros itself; and least squares' solutions are in their gradients as they are. */
START_TEST(solutions_are_strong_where_they_must_be) {
    ag_tensor *a = ag_parameter_from(tensor_of(tape, AG_F64, AG_SHAPE(2, 2), (double[]){3, 1, 1, 4})),
              *b = ag_ones(tape, AG_F64, AG_SHAPE(2, 1));
    for (int chosen = 0; chosen < 2; chosen++) {
        int count[4] = {0}, squares[4] = {0};
        const int64_t strong[] = {0, 0, 1};
        ag_tensor *y = ag_apply(&ag__op_solve_triangular, 2, (ag_tensor *[]){a, b}, strong, sizeof strong);
        count_strong(y, a, chosen, count);
        ck_assert(count[1] == 0 && count[2] == !chosen && count[3] == chosen);
        if (!ag__has_lapack()) continue;
        count_strong(ag_lstsq(a, b, -1), a, chosen, squares);
        ck_assert(squares[1] == 0 && squares[2] == 2 * chosen && squares[3] == 3 * chosen);
    }
}
END_TEST

/* Every other element is chosen: its gradient has the same bits as without the others. */
START_TEST(what_is_chosen_is_as_without_the_choice) {
    op_case c = case_at(_i);
    if (!(c.flags & ELEMENTWISE) || c.n != 1 || c.x[0].rank == 0) return;
    for (int k = 0; k < 2; k++) {
        ag_dtype d = k ? AG_F32 : AG_F64;
        if (!has_gradient(&c, d)) continue;
        ag_tensor *x[CASE_INPUTS], *alone, *chosen;
        case_inputs(&c, d, tape, x);
        ag_shape shape = ag_shape_of(x[0]);
        double odd[CASE_ELEMENTS];
        for (int64_t i = 0; i < ag_size(x[0]); i++) odd[i] = (double)(i % 2);
        ag_tensor *mask = tensor_of(tape, AG_BOOL, shape, odd), *w = scattered(tape, d, shape, 3);
        ag_tensor *y = case_call(&c, tape, d, x);
        ag_grad(ag_sum(ag_mul(w, y)), 1, x, &alone);
        ag_grad(ag_sum(ag_mul(w, ag_where(mask, y, ag_scalar(tape, d, 0)))), 1, x, &chosen);
        for (int64_t i = 0; i < ag_size(x[0]); i++) {
            double got = ag_element(chosen, i), want = odd[i] != 0 ? ag_element(alone, i) : 0;
            ck_assert_msg(near_value(d, got, want, 0, 0), "%s: element %d is %g, not %g", case_title(&c, d), (int)i,
                          got, want);
        }
    }
}
END_TEST

static void expect_gradient(ag_tensor *y, ag_tensor *x, int64_t n, const double want[]) {
    ag_tensor *dx;
    ck_assert_int_eq(ag_grad(ag_sum(y), 1, &x, &dx), AG_OK);
    expect_near(dx, n, want, 8, 0);
}

/* The usual guards. */
START_TEST(guards_hold) {
    for (int k = 0; k < 2; k++) {
        ag_dtype d = k ? AG_F32 : AG_F64;
        ag_tensor *x = tensor_of(tape, d, AG_SHAPE(3), (double[]){-1, 0, 4}), *zero = ag_scalar(tape, d, 0);
        ag_tensor *above = ag_greater(x, zero), *root = ag_sqrt(x), *ln = ag_log(x);
        expect_gradient(ag_where(above, ln, zero), x, 3, (double[]){0, 0, 0.25});
        expect_gradient(ag_mul(ag_where(above, root, zero), x), x, 3, (double[]){0, 0, 3});
        expect_gradient(ag_where(above, ag_div(ln, root), x), x, 3, (double[]){1, 1, (1 - log(4.) / 2) / 8});
        expect_gradient(ag_where(above, ag_pow_scalar(x, -1.5), x), x, 3, (double[]){1, 1, -1.5 * pow(4, -2.5)});
        expect_gradient(ag_where(above, ag_pow(x, x), x), x, 3, (double[]){1, 1, 256 * (1 + log(4.))});
        expect_gradient(ag_where(above, ag_where(ag_less(x, ag_scalar(tape, d, 1)), ln, root), zero), x, 3,
                        (double[]){0, 0, 0.25});
        expect_gradient(ag_maximum(ag_scale(x, 2), ag_where(above, ln, ag_scalar(tape, d, -9))), x, 3,
                        (double[]){2, 2, 2});
        expect_gradient(ag_slice(ln, 0, 2, 3, 1), x, 3, (double[]){0, 0, 0.25});
        expect_gradient(ag_gather(root, tensor_of(tape, AG_I64, AG_SHAPE(1), (double[]){2}), 0), x, 3,
                        (double[]){0, 0, 0.25});
        expect_gradient(ag_max(ln), x, 3, (double[]){NAN, NAN, NAN}); /* the slope at a NaN is unknown */
        expect_gradient(ag_relu(ag_rdiv_scalar(-1, ag_square(x))), x, 3, (double[]){0, 0, 0});
        expect_gradient(ag_clamp(ag_rdiv_scalar(1, ag_square(x)), -2, 0.5), x, 3, (double[]){0, 0, -2 / 64.});
        expect_gradient(ag_square(ag_sqrt(ag_square(x))), x, 3, (double[]){-2, 0, 8});
        expect_gradient(ag_rdiv_scalar(1, ag_add_scalar(ag_exp(ag_scale(x, -1e6)), 1)), x, 3, (double[]){0, 2.5e5, 0});
        expect_ok(tape);
    }
}
END_TEST

/* A row of length 0 stays unchanged; the norm's slope there is 0/0. */
START_TEST(vectors_are_normalised_unless_they_have_no_length) {
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(2, 2), (double[]){0, 0, 3, 4});
    ag_tensor *norm = ag_sqrt(ag_sum_over(ag_square(x), AG_AXES(1), true)), *zero = ag_scalar(tape, AG_F64, 0);
    ag_tensor *unit = ag_where(ag_greater(norm, zero), ag_div(x, norm), x),
              *w = scattered(tape, AG_F64, AG_SHAPE(2, 2), 1);
    double a = scatter(1), b = scatter(2), c = scatter(3), e = scatter(4), along = (3 * c + 4 * e) / 125;
    expect_gradient(ag_mul(unit, w), x, 4, (double[]){a, b, c / 5 - 3 * along, e / 5 - 4 * along});
}
END_TEST

/* ---- Products ---- */

/* Rows of x that are NaN and not chosen: the weight's gradient is that of the other rows. */
static void expect_rows_left_out(ag_dtype d, int64_t m, int64_t k, int64_t n, double bad) {
    ag_tensor *dirty, *clean, *w = scattered(tape, d, AG_SHAPE(k, n), 5), *dx[2], *dw[2];
    double *values = malloc((size_t)(m * k) * sizeof *values), *rows = malloc((size_t)m * sizeof *rows);
    for (int64_t i = 0; i < m; i++) rows[i] = (double)(i % 3 != 1);
    for (int64_t i = 0; i < m * k; i++) values[i] = rows[i / k] != 0 ? scatter((uint64_t)i) : 0;
    clean = tensor_of(tape, d, AG_SHAPE(m, k), values);
    for (int64_t i = 0; i < m * k; i++) values[i] = rows[i / k] != 0 ? values[i] : bad;
    dirty = tensor_of(tape, d, AG_SHAPE(m, k), values);
    ag_tensor *mask = tensor_of(tape, AG_BOOL, AG_SHAPE(m, 1), rows), *zero = ag_scalar(tape, d, 0);
    for (int i = 0; i < 2; i++) {
        ag_tensor *x = i ? dirty : clean, *by[] = {x, w}, *g[2];
        ag_grad(ag_sum(ag_square(ag_where(mask, ag_matmul(x, w), zero))), 2, by, g);
        dx[i] = g[0], dw[i] = g[1];
    }
    double *want = malloc((size_t)(m * k + k * n) * sizeof *want);
    for (int64_t i = 0; i < m * k; i++) want[i] = ag_element(dx[0], i);
    expect_near(dx[1], m * k, want, 64, 1);
    for (int64_t i = 0; i < k * n; i++) want[i] = ag_element(dw[0], i);
    expect_near(dw[1], k * n, want, 64, (double)m);
    expect_ok(tape);
    free(values), free(rows), free(want);
}

START_TEST(rows_that_are_not_chosen_have_no_influence_on_weights) {
    static const int64_t sizes[][3] = {{3, 1, 1},   {3, 2, 5}, {7, 4, 3},      {40, 30, 20},
                                       {20, 40, 1}, {1, 5, 4}, {300, 260, 270}};
    const double bad[] = {NAN, INFINITY, -INFINITY};
    int n = small_run() ? 6 : 7;
    for (int i = 0; i < 6 * n; i++) {
        const int64_t *s = sizes[i / 6];
        ag_mark mark = ag_tape_mark(tape);
        expect_rows_left_out(i % 2 ? AG_F32 : AG_F64, s[0], s[1], s[2], bad[i / 2 % 3]);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* An infinite element of w, used by columns that are not chosen; a gradient that is the sum of two products;
 * batches. */
START_TEST(columns_that_are_not_chosen_have_no_influence_on_inputs) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2, 3, 2), 1), *dx;
    ag_tensor *w = tensor_of(tape, AG_F64, AG_SHAPE(2, 2), (double[]){1, INFINITY, 2, NAN});
    ag_tensor *first = tensor_of(tape, AG_BOOL, AG_SHAPE(2), (double[]){1, 0}), *zero = ag_scalar(tape, AG_F64, 0);
    ag_tensor *once = ag_where(first, ag_matmul(x, w), zero);
    ag_tensor *wide = ag_matmul(x, ag_contiguous(ag_broadcast_to(w, AG_SHAPE(2, 2, 2))));
    ag_grad(ag_add(ag_sum(once), ag_sum(ag_where(first, wide, zero))), 1, &x, &dx);
    expect_list(dx, 2, 4, 2, 4, 2, 4, 2, 4, 2, 4, 2, 4);
    ag_grad(ag_sum(ag_matmul(x, w)), 1, &x, &dx); /* all chosen: elements that are not finite show */
    ck_assert(isinf(ag_element(dx, 0)) && isnan(ag_element(dx, 1)));
    expect_ok(tape);
}
END_TEST

enum { ROWS = 5, INNER = 4, COLUMNS = 6 };

/* y = a·b by each of the three strong products, against plain loops. */
static void expect_strong_products(const double a[ROWS * INNER], const double b[INNER * COLUMNS]) {
    double want[ROWS * COLUMNS];
    for (int strong = 1; strong <= 3; strong++) {
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            want[i] = 0;
            for (int k = 0; k < INNER; k++) {
                double s = a[i / COLUMNS * INNER + k], t = b[k * COLUMNS + i % COLUMNS];
                bool zero = (strong & 1 && s == 0) || (strong & 2 && t == 0);
                want[i] += zero ? 0 : s * t;
            }
        }
        ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(ROWS, INNER), a),
                  *y = tensor_of(tape, AG_F64, AG_SHAPE(INNER, COLUMNS), b);
        expect_near(ag__slope_matmul(x, y, 0, strong), ROWS * COLUMNS, want, 8, 1);
        ag_tensor *turned = ag_contiguous(ag_transpose(y, 0, 1)),
                  *rows = scattered(tape, AG_F64, AG_SHAPE(ROWS, COLUMNS), 9);
        ag_tensor *sum = ag_add(ag__slope_matmul(x, ag_transpose(turned, 0, 1), 0, strong), rows);
        for (int i = 0; i < ROWS * COLUMNS; i++) want[i] += scatter((uint64_t)i + 9);
        expect_near(sum, ROWS * COLUMNS, want, 8, 1);
    }
}

/* Infinite, NaN and 0 everywhere; or few infinite elements, so that their infinite products show in the sum. */
START_TEST(strong_products_are_sums_of_strong_terms) {
    static const double some[] = {1, 0, -2, NAN, 3, INFINITY, 0, 0.5, -INFINITY, -1, 0};
    double a[ROWS * INNER], b[INNER * COLUMNS];
    for (int i = 0; i < ROWS * INNER; i++) a[i] = i % 3 ? scatter((uint64_t)i) : some[i / 3 % 11];
    for (int i = 0; i < INNER * COLUMNS; i++) b[i] = i % 4 ? scatter((uint64_t)i + 50) : some[(i / 4 + 4) % 11];
    expect_strong_products(a, b);
    for (int i = 0; i < ROWS * INNER; i++) a[i] = i % INNER == 1 ? (double)INFINITY : fabs(scatter((uint64_t)i));
    for (int i = 0; i < INNER * COLUMNS; i++)
        b[i] = i / COLUMNS == 1 && i % 3 ? (double)(i % 3 == 1 ? INFINITY : -INFINITY) : scatter((uint64_t)i + 50);
    expect_strong_products(a, b);
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(2, 2));
    for (int64_t strong = 0; strong <= 4; strong += 4) {
        ag_apply(&ag__op_strong_matmul, 2, (ag_tensor *[]){x, x}, &strong, sizeof strong);
        expect_error(tape, AG_ERR_RANGE, "strong_matmul", "the attribute is");
    }
}
END_TEST

/* An operand is searched element by element, wherever it lies: axes in another order, with gaps, backwards, repeated. */
START_TEST(no_infinity_is_overlooked) {
    enum { ROOM = 200, START = 90 };
    static const int64_t layout[][6] = {
        /* extents, strides */
        {2, 3, 4, 12, 4, 1}, {4, 3, 2, 1, 4, 12},  {3, 2, 4, 4, 12, 1},    {2, 3, 4, 13, 4, 1},  {2, 3, 4, 15, 5, 1},
        {2, 3, 4, 24, 8, 2}, {2, 3, 4, -12, 4, 1}, {2, 3, 4, -12, -4, -1}, {2, 3, 4, 0, 4, 1},   {2, 1, 4, 4, 7, 1},
        {1, 1, 1, 5, 5, 5},  {2, 3, 4, 8, 2, 20},  {5, 1, 3, 3, 0, 1},     {3, 4, 2, 8, -2, -1}, {6, 0, 2, 2, 2, 1}};
    for (size_t l = 0; l < sizeof layout / sizeof *layout; l++)
        for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
            const int64_t *extent = layout[l], *stride = layout[l] + 3, size = extent[0] * extent[1] * extent[2];
            float narrow[ROOM] = {0};
            double wide[ROOM] = {0};
            bool within[ROOM] = {false};
            for (int64_t i = 0; i < extent[0]; i++)
                for (int64_t j = 0; j < extent[1]; j++)
                    for (int64_t k = 0; k < extent[2]; k++)
                        within[START + i * stride[0] + j * stride[1] + k * stride[2]] = true;
            const ag_array x = {
                dtype == AG_F32 ? (void *)&narrow[START] : &wide[START], (ag_dtype)dtype, 3, size, extent, stride};
            for (int i = 0; i < ROOM; i++) {
                narrow[i] = (float)INFINITY, wide[i] = (double)NAN;
                ck_assert_msg(ag__all_finite(&x) == !within[i], "layout %d, place %d", (int)l, i);
                narrow[i] = 0, wide[i] = 0;
            }
        }
}
END_TEST

/* In the gradients of strong products, too, only zeros of the cotangent and of the same operands are strong. */
START_TEST(gradients_of_strong_products_are_strong_in_the_same_operands) {
    for (int64_t strong = 1; strong <= 3; strong++)
        for (int dot = 0; dot < 2; dot++) {
            ag_tensor *x[2], *g = ag_full(tape, AG_F64, AG_SHAPE(1, 1), INFINITY), *dx[2];
            for (int i = 0; i < 2; i++) x[i] = ag_parameter_from(ag_zeros(tape, AG_F64, AG_SHAPE(1, 1)));
            const int64_t attributes[] = {1, strong};
            ag_tensor *y = dot ? ag_apply(&ag__op_strong_tensordot, 2, x, attributes, sizeof attributes)
                               : ag_apply(&ag__op_strong_matmul, 2, x, &strong, sizeof strong);
            ck_assert_int_eq(ag_vjp(1, &y, &g, 2, x, dx, 0), AG_OK);
            ck_assert(strong & 2 ? ag_item(dx[0]) == 0 : isnan(ag_item(dx[0])));
            ck_assert(strong & 1 ? ag_item(dx[1]) == 0 : isnan(ag_item(dx[1])));
        }
}
END_TEST

/* ---- Slopes at kinks ---- */

static ag_tensor *maximum_0(ag_tensor *x) { return ag_maximum(x, ag_scalar(tape, ag_dtype_of(x), 0)); }
static ag_tensor *minimum_0(ag_tensor *x) { return ag_minimum(x, ag_scalar(tape, ag_dtype_of(x), 0)); }
static ag_tensor *maximum_of_0(ag_tensor *x) { return ag_maximum(ag_scalar(tape, ag_dtype_of(x), 0), x); }
static ag_tensor *maximum_nan(ag_tensor *x) { return ag_maximum(x, ag_scalar(tape, ag_dtype_of(x), NAN)); }
static ag_tensor *maximum_scalar_0(ag_tensor *x) { return ag_maximum_scalar(x, 0); }
static ag_tensor *minimum_scalar_0(ag_tensor *x) { return ag_minimum_scalar(x, 0); }
static ag_tensor *maximum_scalar_nan(ag_tensor *x) { return ag_maximum_scalar(x, NAN); }
static ag_tensor *minimum_scalar_nan(ag_tensor *x) { return ag_minimum_scalar(x, NAN); }
static ag_tensor *clamp_above_0(ag_tensor *x) { return ag_clamp(x, 0, (double)INFINITY); }
static ag_tensor *clamp_below_0(ag_tensor *x) { return ag_clamp(x, -(double)INFINITY, 0); }
static ag_tensor *clamp_at_0(ag_tensor *x) { return ag_clamp(x, 0, 0); }
static ag_tensor *pow_0(ag_tensor *x) { return ag_pow_scalar(x, 0); }
static ag_tensor *pow_half(ag_tensor *x) { return ag_pow_scalar(x, 0.5); }
static ag_tensor *pow_1(ag_tensor *x) { return ag_pow_scalar(x, 1); }
static ag_tensor *pow_2(ag_tensor *x) { return ag_pow_scalar(x, 2); }
static ag_tensor *pow_minus_1(ag_tensor *x) { return ag_pow_scalar(x, -1); }
static ag_tensor *pow_of_0(ag_tensor *x) { return ag_pow(ag_scalar(tape, ag_dtype_of(x), 0), x); }
static ag_tensor *pow_to_0(ag_tensor *x) { return ag_pow(x, ag_scalar(tape, ag_dtype_of(x), 0)); }
static ag_tensor *pow_itself(ag_tensor *x) { return ag_pow(x, x); }
static ag_tensor *by_log1p(ag_tensor *x, double b) {
    return ag_xlog1py(x, ag_full(tape, ag_dtype_of(x), AG_SCALAR, b));
}
static ag_tensor *by_log_of_0(ag_tensor *x) { return by_log1p(x, -1); }
static ag_tensor *by_log_of_half(ag_tensor *x) { return by_log1p(x, -0.5); }
static ag_tensor *by_log_of_1h(ag_tensor *x) { return by_log1p(x, 0.5); }
static ag_tensor *one_over(ag_tensor *x) { return ag_rdiv_scalar(1, x); }
static ag_tensor *over_itself(ag_tensor *x) { return ag_div(x, x); }
static ag_tensor *max_of_one(ag_tensor *x) { return ag_max_over(ag_unsqueeze(x, 1), AG_AXES(1), false); }
static ag_tensor *min_with_0(ag_tensor *x) {
    ag_tensor *pair[] = {ag_unsqueeze(x, 1), ag_zeros(tape, ag_dtype_of(x), AG_SHAPE(ag_size(x), 1))};
    return ag_min_over(ag_concat(2, pair, 1), AG_AXES(1), false);
}
static ag_tensor *max_with_0(ag_tensor *x) {
    ag_tensor *pair[] = {ag_unsqueeze(x, 1), ag_zeros(tape, ag_dtype_of(x), AG_SHAPE(ag_size(x), 1))};
    return ag_max_over(ag_concat(2, pair, 1), AG_AXES(1), false);
}

enum { PLACES = 5 }; /* of x: */
static const double places[PLACES] = {NAN, -0.0, 0, 2, -2};

typedef struct kink {
    const char *name;
    ag_tensor *(*f)(ag_tensor *x);
    double slope[PLACES]; /* as in PyTorch, except for NaN */
} kink;

/* At 0 relu has the slope of its left side, a maximum with 0 the mean of both sides, clamp that of its inside. */
#define LN_2 0x1.62e42fefa39efp-1
#define LN_1H 0x1.9f323ecbf984cp-2 /* ln 1.5 */
static const kink kinks[] = {
    /*                                       NaN    -0    0     2     -2 */
    {"relu", ag_relu, {NAN, 0, 0, 1, 0}},
    {"maximum(x, 0)", maximum_0, {NAN, .5, .5, 1, 0}},
    {"maximum(0, x)", maximum_of_0, {NAN, .5, .5, 1, 0}},
    {"maximum_scalar(x, 0)", maximum_scalar_0, {NAN, .5, .5, 1, 0}},
    {"clamp(x, 0, inf)", clamp_above_0, {NAN, 1, 1, 1, 0}},
    {"minimum(x, 0)", minimum_0, {NAN, .5, .5, 0, 1}},
    {"minimum_scalar(x, 0)", minimum_scalar_0, {NAN, .5, .5, 0, 1}},
    {"clamp(x, -inf, 0)", clamp_below_0, {NAN, 1, 1, 0, 1}},
    {"clamp(x, 0, 0)", clamp_at_0, {NAN, 1, 1, 0, 0}},
    {"maximum(x, NaN)", maximum_nan, {NAN, NAN, NAN, NAN, NAN}},
    {"maximum_scalar(x, NaN)", maximum_scalar_nan, {NAN, NAN, NAN, NAN, NAN}},
    {"minimum_scalar(x, NaN)", minimum_scalar_nan, {NAN, NAN, NAN, NAN, NAN}},
    {"max(x)", max_of_one, {NAN, 1, 1, 1, 1}},
    {"max(x, 0)", max_with_0, {NAN, .5, .5, 1, 0}},
    {"min(x, 0)", min_with_0, {NAN, .5, .5, 0, 1}},
    {"abs", ag_abs, {NAN, 0, 0, 1, -1}},
    {"sign", ag_sign, {0, 0, 0, 0, 0}},
    {"sqrt", ag_sqrt, {NAN, -INFINITY, INFINITY, 0x1.6a09e667f3bcdp-2, NAN}},
    {"rsqrt", ag_rsqrt, {NAN, INFINITY, -INFINITY, -0x1.6a09e667f3bcdp-3, NAN}},
    {"log", ag_log, {NAN, -INFINITY, INFINITY, .5, -.5}},
    {"1/x", one_over, {NAN, -INFINITY, -INFINITY, -.25, -.25}},
    {"x/x", over_itself, {NAN, NAN, NAN, 0, 0}},
    {"x^0", pow_0, {0, 0, 0, 0, 0}},
    {"x^0.5", pow_half, {NAN, INFINITY, INFINITY, 0x1.6a09e667f3bcdp-2, NAN}},
    {"x^1", pow_1, {1, 1, 1, 1, 1}},
    {"x^2", pow_2, {NAN, 0, 0, 4, -4}},
    {"x^-1", pow_minus_1, {NAN, -INFINITY, -INFINITY, -.25, -.25}},
    {"pow(0, x)", pow_of_0, {NAN, 0, 0, 0, -INFINITY}},
    {"pow(x, 0)", pow_to_0, {0, 0, 0, 0, 0}},
    {"xlog1py(x, -1)", by_log_of_0, {-INFINITY, 0, 0, -INFINITY, -INFINITY}},
    {"xlog1py(x, -0.5)", by_log_of_half, {-LN_2, -LN_2, -LN_2, -LN_2, -LN_2}},
    {"xlog1py(x, 0.5)", by_log_of_1h, {LN_1H, LN_1H, LN_1H, LN_1H, LN_1H}},
    {"pow(x, x)", pow_itself, {NAN, 0, 0, 0x1.b17217f7d1cf8p+2, NAN}},
};
enum { KINKS = (int)(sizeof kinks / sizeof *kinks) };

START_TEST(slopes_at_kinks_are_these) {
    const kink *k = &kinks[_i];
    for (int i = 0; i < 2; i++) {
        ag_dtype d = i ? AG_F32 : AG_F64;
        ag_tensor *x = tensor_of(tape, d, AG_SHAPE(PLACES), places), *dx;
        ck_assert_int_eq(ag_grad(ag_sum(k->f(x)), 1, &x, &dx), AG_OK);
        for (int p = 0; p < PLACES; p++)
            ck_assert_msg(
                near_value(d, ag_element(dx, p), d == AG_F32 ? (double)(float)k->slope[p] : k->slope[p], 4, 0),
                "%s at %g in %s: %g, not %g", k->name, places[p], ag_dtype_name(d), ag_element(dx, p), k->slope[p]);
    }
}
END_TEST

/* The slope of relu and its like is constant on both sides, and NaN where it is unknown, at any order. */
START_TEST(of_a_nan_nothing_is_known_at_any_order) {
    static ag_tensor *(*const f[])(ag_tensor *) = {ag_relu,          maximum_0,     maximum_scalar_0, minimum_0,
                                                   minimum_scalar_0, clamp_above_0, max_with_0,       min_with_0};
    for (int i = 0; i < 16; i++) {
        ag_dtype d = i % 2 ? AG_F32 : AG_F64;
        ag_tensor *x = tensor_of(tape, d, AG_SHAPE(3), (double[]){NAN, 2, -2}), *at = f[i / 2](x);
        for (int order = 1; order <= 3; order++) {
            ck_assert_int_eq(ag_grad(ag_sum(at), 1, &x, &at), AG_OK);
            ck_assert_msg(isnan(ag_element(at, 0)), "function %d, order %d", i / 2, order);
            for (int k = 1; order > 1 && k < 3; k++) ck_assert_double_eq(ag_element(at, k), 0);
        }
    }
}
END_TEST

static ag_tensor *cubic_norm(ag_tensor *a, ag_tensor *b) {
    return ag_norm_over(ag_concat(2, (ag_tensor *[]){a, b}, 0), AG_ALL_AXES, 3, false);
}

/* A factor of 0 beside it does not hide it, at any order. */
START_TEST(a_zero_beside_a_nan_knows_nothing) {
    static const struct {
        const char *name;
        ag_tensor *(*call)(ag_tensor *a, ag_tensor *b);
    } functions[] = {{"hypot", (ag_hypot)}, {"xlogy", (ag_xlogy)}, {"xlog1py", (ag_xlog1py)}, {"norm", cubic_norm}};
    for (int i = 0; i < 4; i++)
        for (int d = AG_F32; d <= AG_F64; d++) {
            ag_tensor *x[] = {ag_zeros(tape, (ag_dtype)d, AG_SHAPE(1)), ag_full(tape, (ag_dtype)d, AG_SHAPE(1), NAN)},
                      *dx[2];
            ag_tensor *y = ag_sum(functions[i].call(x[0], x[1]));
            for (int order = 1; order <= 2; order++) {
                ag_grad(y, 2, x, dx);
                for (int k = 0; k < 2; k++)
                    ck_assert_msg(isnan(ag_item(dx[k])), "%s, order %d: gradient %d is %g", functions[i].name, order, k,
                                  ag_item(dx[k]));
                y = ag_sum(ag_add(dx[0], dx[1]));
            }
        }
    expect_ok(tape);
}
END_TEST

START_TEST(ties_of_extremes_share_and_a_nan_takes_all) {
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(2, 4), (double[]){3, 1, 3, 3, 1, NAN, 2, 0}), *dx;
    ag_grad(ag_sum(ag_max_over(x, AG_AXES(1), false)), 1, &x, &dx);
    expect_near(dx, 8, ((double[]){1 / 3., 0, 1 / 3., 1 / 3., NAN, NAN, NAN, NAN}), 1, 0);
    ag_grad(ag_sum(ag_min_over(x, AG_AXES(0), true)), 1, &x, &dx);
    expect_list(dx, 0, NAN, 0, 0, 1, NAN, 1, 1);
    ag_tensor *zeros = tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){-0.0, 0}); /* are equal */
    ag_grad(ag_max(zeros), 1, &zeros, &dx);
    expect_list(dx, 0.5, 0.5);
    ag_tensor *some = tensor_of(tape, AG_F64, AG_SHAPE(2, 3), (double[]){1, NAN, NAN, 2, 2, 1});
    expect_list(ag_argmax(some, 1, false), 1, 0);
}
END_TEST

/* ---- The same bits however it is computed ---- */

/* Long enough for the loops over several vectors and for their remainders. */
START_TEST(machine_code_gives_the_kernels_bits) {
    enum { N = 40000 };
    for (int i = 0; i < 8; i++) {
        ag_dtype d = i & 1 ? AG_F32 : AG_F64;
        const char *isa = i & 2 ? "avx512" : "avx2";
        int64_t n = i & 4 ? N : N + 5;
        ag_tensor *y[2];
        ag_tape *own[2];
        for (int k = 0; k < 2; k++) {
            ag_tape *t = own[k] = ag_tape_new();
            if (k == 0) ag_tape_set_evaluator(t, AG_EVALUATOR_REFERENCE);
            else ag_tape_set_evaluator(t, AG_EVALUATOR_FUSED);
            if (t->isa) t->isa = ag__isa_of(isa);
            ag_tensor *g = ag_normal(t, d, AG_SHAPE(n), 0, 1), *s = ag_normal(t, d, AG_SHAPE(n), 0, 1);
            ag_tensor *zero = ag_scalar(t, d, 0), *dead = ag_less(g, zero), *bad = ag_less(s, zero);
            g = ag_where(dead, zero, g);
            s = ag_where(bad, ag_log(s), s); /* NaN */
            ag_tensor *p = ag_strong_mul(g, s), *q = ag_strong_div(ag_strong_mul(g, ag_strong_div(p, g)), s);
            y[k] = ag_add(ag_add(ag__mul_both_strong(p, q), ag_relu(ag_strong_mul(ag_neg(g), s))), ag_strong_mul(g, p));
            ag_eval(y[k]);
        }
        int64_t nan = 0, zeros = 0;
        for (int64_t k = 0; k < n; k++) {
            double a = ag_element(y[0], k), b = ag_element(y[1], k);
            bool same = isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
            ck_assert_msg(same, "element %d: %g and %g", (int)k, a, b);
            nan += isnan(a) != 0, zeros += a == 0;
        }
        ck_assert_int_gt(nan, n / 5);
        ck_assert_int_gt(zeros, n / 3);
        for (int k = 0; k < 2; k++) ag_tape_free(own[k]);
    }
}
END_TEST

/* ---- Normalisation of nearly equal elements ---- */

START_TEST(what_is_equal_is_normalised_to_beta) {
    static const double values[] = {100, 12345.678, 1e6 + .1, 7.3e8, -3.3e-5, 1e30};
    static const int64_t counts[] = {1, 2, 3, 7, 49, 1000, 4099};
    for (int i = 0; i < 6 * 7 * 2; i++) {
        ag_dtype d = i % 2 ? AG_F32 : AG_F64;
        int64_t n = counts[i / 2 % 7];
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *column = ag_contiguous(ag_full(tape, d, AG_SHAPE(n, 2), values[i / 14]));
        ag_tensor *row = ag_contiguous(ag_full(tape, d, AG_SHAPE(2, n), values[i / 14]));
        ag_batchnorm batch;
        ag_layernorm layer;
        ag_batchnorm_init(&batch, tape, d, 2);
        ag_layernorm_init(&layer, tape, d, n);
        ag_tensor *all[] = {ag_batchnorm_apply(&batch, column, true), ag_layernorm_apply(&layer, row), ag_var(row, 0),
                            ag_var_over(column, AG_AXES(0), 0, true)};
        for (int k = 0; k < 4; k++)
            for (int64_t e = 0; e < ag_size(all[k]); e++)
                ck_assert_msg(ag_element(all[k], e) == 0, "%d: %g of %d times %g", k, ag_element(all[k], e), (int)n,
                              values[i / 14]);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* One of a thousand elements is a unit in the last place above the others: it is √999 deviations above the mean, and
 * they are 1/√999 below. */
START_TEST(what_is_nearly_equal_is_normalised_as_far_as_its_mean_can_be_told) {
    enum { N = 1000 };
    double z[N];
    for (int i = 0; i < N; i++) z[i] = i == 500 ? 0x1p23 + 1 : 0x1p23;
    ag_tensor *row = tensor_of(tape, AG_F32, AG_SHAPE(1, N), z), *column = ag_transpose(row, 0, 1);
    ag_batchnorm batch;
    ag_layernorm layer;
    ag_batchnorm_init(&batch, tape, AG_F32, 1);
    ag_layernorm_init(&layer, tape, AG_F32, N);
    batch.epsilon = layer.epsilon = 0;
    ag_tensor *y[] = {ag_batchnorm_apply(&batch, column, true), ag_layernorm_apply(&layer, row)};
    for (int k = 0; k < 2; k++) {
        ck_assert_double_eq_tol(ag_element(y[k], 500), sqrt(999), 0.1);
        ck_assert_double_eq_tol(ag_element(y[k], 0), 0, 0.04);
    }
    ck_assert_double_eq_tol(ag_item(ag_var(row, 0)) * 1000, 0.999, 1e-5);
}
END_TEST

/* ---- Norms at the ends of the range ---- */

START_TEST(norms_that_can_be_represented_are_right) {
    for (int i = 0; i < 2; i++) {
        ag_dtype d = i ? AG_F32 : AG_F64;
        int last = d == AG_F32 ? 125 : 1021, first = d == AG_F32 ? -149 : -1074;
        for (int e = first; e <= last; e += d == AG_F32 ? 1 : 5) {
            ag_mark mark = ag_tape_mark(tape);
            double s = ldexp(1, e);
            ag_tensor *x[] = {tensor_of(tape, d, AG_SHAPE(2), (double[]){3 * s, 0}), tensor_of(tape, d, AG_SCALAR, &s)};
            x[1] = ag_scale(x[1], -4);
            ag_tensor *g[] = {x[0], x[1]}, *dx[2], *norm = ag_clip_norm(2, g, 1);
            ck_assert_msg(near_value(d, ag_item(norm), 5 * s, 2, 0), "2^%d: the norm is %g", e, ag_item(norm));
            ag_grad(norm, 2, x, dx);
            ck_assert_msg(near_value(d, ag_element(dx[0], 0), 0.6, 4, 0), "2^%d: the slope is %g", e,
                          ag_element(dx[0], 0));
            ck_assert_msg(near_value(d, ag_item(dx[1]), -0.8, 4, 0), "2^%d: the slope is %g", e, ag_item(dx[1]));
            double factor = fmin(1, 1 / (5 * s + 1e-6));
            ck_assert_msg(near_value(d, ag_element(g[0], 0), 3 * s * factor, 4, SMALLEST(d)), "2^%d: clipped to %g", e,
                          ag_element(g[0], 0));
            ag_tape_rewind(tape, mark);
        }
    }
}
END_TEST

START_TEST(the_slope_of_a_norm_at_0_is_0) {
    for (int i = 0; i < 2; i++) {
        ag_dtype d = i ? AG_F32 : AG_F64;
        ag_tensor *x[] = {ag_zeros(tape, d, AG_SHAPE(2)), ag_zeros(tape, d, AG_SCALAR)};
        ag_tensor *g[] = {x[0], x[1]}, *dx[2], *ddx[2], *norm = ag_clip_norm(2, g, 1);
        expect_item(norm, 0);
        ag_grad(norm, 2, x, dx);
        expect_list(dx[0], 0, 0);
        expect_list(dx[1], 0);
        ag_grad(ag_add(ag_sum(g[0]), g[1]), 2, x, ddx); /* factors are constant where nothing is clipped */
        expect_list(ddx[0], 1, 1);
        expect_list(ddx[1], 1);
    }
}
END_TEST

/* As in PyTorch's clip_grad_norm_. */
START_TEST(gradients_that_are_not_finite_are_not_hidden_by_clipping) {
    const double bad[] = {INFINITY, NAN};
    for (int i = 0; i < 4; i++) {
        ag_dtype d = i & 1 ? AG_F32 : AG_F64;
        ag_tensor *g[] = {tensor_of(tape, d, AG_SHAPE(2), (double[]){2, bad[i / 2]}), ag_ones(tape, d, AG_SHAPE(2))};
        ag_tensor *norm = ag_clip_norm(2, g, 1);
        expect_item(norm, bad[i / 2]);
        if (i / 2 == 0) {
            expect_list(g[0], 0, NAN);
            expect_list(g[1], 0, 0);
        } else {
            expect_list(g[0], NAN, NAN);
            expect_list(g[1], NAN, NAN);
        }
    }
}
END_TEST

/* x̄ of y with the cotangent (0, 2). */
static void expect_strong_slope(ag_tensor *y, ag_tensor *x) {
    ag_tensor *g = tensor_of(tape, ag_dtype_of(x), AG_SHAPE(2), (double[]){0, 2}), *dx;
    ag_vjp(1, &y, &g, 1, &x, &dx, 0);
    expect_list(dx, 0, INFINITY);
}

/* A factor that is infinite, or is so in the tensor's dtype, leaves a cotangent of 0 alone. */
START_TEST(factors_beyond_the_dtype_are_strong) {
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){1, 1}), *n = ag_cast(x, AG_F32);
    expect_strong_slope(ag_scale(x, (double)INFINITY), x);
    expect_strong_slope(ag_scale(n, (double)INFINITY), n);
    expect_strong_slope(ag_scale(n, 1e39), n);
    expect_strong_slope(ag_div_scalar(x, 0), x);
    expect_strong_slope(ag_div_scalar(n, 0), n);
    expect_strong_slope(ag_div_scalar(n, 1e-60), n);
    ag_cast(x, (ag_dtype)AG_DTYPES);
    expect_error(tape, AG_ERR_DTYPE, "cast: ", "the dtype 4 is invalid");
}
END_TEST

/* Any other is an operation with a number in the gradient, too. */
START_TEST(factors_within_the_dtype_are_numbers) {
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), *dx;
    ag_tensor *y[] = {ag_scale(x, 3), ag_scale(x, 1e300), ag_div_scalar(x, 3), ag_div_scalar(x, 0x1p-1023)};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ag_grad(ag_sum(ag_square(y[i])), 1, &x, &dx), AG_OK);
        ck_assert_str_eq(ag_op_of(dx)->name, i < 2 ? "scale" : "div_scalar");
    }
}
END_TEST

/* An interval may be a single number. */
START_TEST(intervals_of_one_number_are_constant) {
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){0, 1, 2});
    expect_list(ag_clamp(x, 1, 1), 1, 1, 1);
    expect_list(ag_hardtanh(x, 1, 1), 1, 1, 1);
    expect_ok(tape);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kinks");
    TCase *choice = tape_group(suite, "choice");
    tcase_add_loop_test(choice, what_is_not_chosen_has_no_influence_at_any_order, 0, case_count());
    tcase_add_loop_test(choice, zeros_that_are_handed_in_as_strong_stay_zeros, 0, case_count());
    tcase_add_loop_test(choice, products_are_strong_below_a_choice_by_the_cotangent_alone, 0, case_count());
    tcase_add_test(choice, solutions_are_strong_where_they_must_be);
    tcase_add_loop_test(choice, what_is_chosen_is_as_without_the_choice, 0, case_count());
    tcase_add_test(choice, guards_hold);
    tcase_add_test(choice, vectors_are_normalised_unless_they_have_no_length);
    TCase *products = tape_group(suite, "products");
    tcase_add_test(products, rows_that_are_not_chosen_have_no_influence_on_weights);
    tcase_add_test(products, columns_that_are_not_chosen_have_no_influence_on_inputs);
    tcase_add_test(products, strong_products_are_sums_of_strong_terms);
    tcase_add_test(products, no_infinity_is_overlooked);
    tcase_add_test(products, gradients_of_strong_products_are_strong_in_the_same_operands);
    TCase *slopes = tape_group(suite, "slopes");
    tcase_add_loop_test(slopes, slopes_at_kinks_are_these, 0, KINKS);
    tcase_add_test(slopes, of_a_nan_nothing_is_known_at_any_order);
    tcase_add_test(slopes, a_zero_beside_a_nan_knows_nothing);
    tcase_add_test(slopes, ties_of_extremes_share_and_a_nan_takes_all);
    tcase_add_test(slopes, factors_beyond_the_dtype_are_strong);
    tcase_add_test(slopes, factors_within_the_dtype_are_numbers);
    tcase_add_test(slopes, intervals_of_one_number_are_constant);
    TCase *code = tape_group(suite, "code");
    tcase_add_test(code, machine_code_gives_the_kernels_bits);
    TCase *norms = tape_group(suite, "norms");
    tcase_add_test(norms, what_is_equal_is_normalised_to_beta);
    tcase_add_test(norms, what_is_nearly_equal_is_normalised_as_far_as_its_mean_can_be_told);
    tcase_add_test(norms, norms_that_can_be_represented_are_right);
    tcase_add_test(norms, the_slope_of_a_norm_at_0_is_0);
    tcase_add_test(norms, gradients_that_are_not_finite_are_not_hidden_by_clipping);
    return run_suite(suite);
}
