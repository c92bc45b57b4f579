/* linalg -- what needs no LAPACK: triangles, elimination, Cholesky's factorisation, the matrix exponential
 *
 * The elimination of a matrix is a node of its own, `lu`, (…,m,n+1): l without its unit diagonal, and u, and behind
 * them a column that tells which row of a each row was. What needs it (solve, inverse, det, slogdet) has a and lu as
 * inputs: lu's elements are computed with, and a gets the cotangent. So a gradient eliminates nothing again. */
#include "ops/linalg.h"
#include "ops/dense.h"
#include "ops/matrices.h"
#include "ops/rules.h"

#include <float.h>
#include <math.h>
#include <string.h>

static int64_t rows_of(const ag_array *x) { return x->shape[x->rank - 2]; }
static int64_t columns_of(const ag_array *x) { return x->shape[x->rank - 1]; }

static double element_of(const ag_array *x, const void *item, int64_t i, int64_t j) {
    return ag__get_element(x->dtype, item, i * x->stride[x->rank - 2] + j * x->stride[x->rank - 1]);
}

static double cube(int64_t n) { return (double)n * (double)n * (double)n; }

/* The inputs, whose leading axes are broadcast to each other, and a vector b as a column. False, after an error, if
 * they cannot be. */
static bool operands(const char *name, ag_tensor *x[2], bool *vector, ag_tensor **nil) {
    ag_shape leading;
    ag_tensor *const given[2] = {x[0], x[1]};
    if (!ag__usable_matrices(name, 2, x, true, nil)) return false;
    *vector = ag_rank(x[1]) == 1;
    const int64_t n = ag_extent(x[0], -1), b = ag_rank(x[1]) > 0 ? ag_extent(x[1], *vector ? 0 : -2) : -1;
    if (b < 0) *nil = ag__fail(name, 2, given, AG_ERR_SHAPE, "b must have an axis or more");
    else if (b != n)
        *nil = ag__fail(name, 2, given, AG_ERR_SHAPE, "b must have %lld rows, not %lld", (long long)n, (long long)b);
    else {
        if (*vector) x[1] = ag_unsqueeze(x[1], 1);
        if (ag_is_nil(*nil = x[1])) return false;
        if (ag__common_leading(x[0], x[1], &leading)) {
            x[1] = ag__with_leading(x[1], &leading);
            x[0] = ag__with_leading(x[0], &leading);
            return !ag_is_nil(*nil = x[0]);
        }
        *nil = ag__fail(name, 2, given, AG_ERR_SHAPE, "the leading axes cannot be broadcast to each other");
    }
    return false;
}

/* From infer: input i has the rank, the leading axes and the rows of the first one. */
static bool goes_with_first(const ag_infer *r, int i) {
    const ag__layout *a = r->x[0]->layout, *b = r->x[i]->layout;
    return (b->rank == a->rank && memcmp(a->extent, b->extent, (size_t)(a->rank - 1) * sizeof(int64_t)) == 0) ||
           ag_reject(r, AG_ERR_SHAPE, "input %d does not fit the first one", i);
}

/* ---- Triangles ---- */

typedef struct triangle { /* the attributes: 0 or 1 */
    int64_t upper, unit, strong;
} triangle;

/* In a solution by cotangents b, which are strong: a column that is 0 in b is 0 in y, whatever a is. Returns whether
 * all are. */
static bool clear_columns(const ag_array *b, const void *item, ag_dtype dtype, void *y) {
    const int64_t n = rows_of(b), k = columns_of(b);
    int64_t zeros = 0;
    for (int64_t j = 0; j < k; j++) {
        int64_t i = 0;
        while (i < n && element_of(b, item, i, j) == 0) i++;
        if (i < n) continue;
        for (i = 0; i < n; i++) ag__put_element(dtype, y, i * k + j, 0);
        zeros++;
    }
    return zeros == k;
}

static bool solve_triangular_infer(ag_infer *r) {
    const triangle *t = r->attributes;
    if (t->upper >> 1 || t->unit >> 1 || t->strong >> 1)
        return ag_reject(r, AG_ERR_RANGE, "the attributes must be 0 or 1");
    if (!ag__is_matrix(r, true) || !goes_with_first(r, 1)) return false;
    r->shape = ag_shape_of(r->x[1]);
    return true;
}

/* The first 0 on a diagonal, or AG__DONE. */
static int64_t zero_on_diagonal(const ag_array *x, const void *item, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (element_of(x, item, i, i) == 0) return i;
    return AG__DONE;
}

/* Whether no matrix has a 0 on its diagonal, where nothing is solved for: of those without elements, or broadcast,
 * there may be too many to look at each. If one has, it is *item, and the row *wrong. */
static bool none_is_singular(const ag_call *call, const ag_array *a, int64_t *item, int64_t *wrong) {
    const int64_t n = rows_of(&call->y);
    int64_t count = n > 0 && ag__items(&call->y, 2) > 0;
    for (int j = 0; j < a->rank - 2 && n > 0; j++) count *= a->stride[j] == 0 ? 1 : a->shape[j];
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, apart = 1;
        *item = 0;
        for (int j = a->rank - 3; j >= 0; apart *= a->shape[j--]) {
            if (a->stride[j] == 0) continue;
            *item += rest % a->shape[j] * apart;
            rest /= a->shape[j];
        }
        *wrong = zero_on_diagonal(a, ag__item(a, 2, *item), n);
        if (*wrong != AG__DONE) return false;
    }
    return true;
}

static int64_t solve_triangular_one(const ag_call *call, int64_t i, char *memory) {
    const triangle *t = call->attributes;
    const ag_array *a = &call->x[0], *y = &call->y;
    const int64_t n = rows_of(y), k = columns_of(y);
    const ag__dense d = ag__dense_in(y->dtype, n, n, memory);
    void *x = ag__item(y, 2, i);
    const void *item = ag__item(a, 2, i);
    const ag_array *b = &call->x[1];
    if (t->strong && clear_columns(b, ag__item(b, 2, i), y->dtype, x)) return AG__DONE;
    const int64_t zero = t->unit ? AG__DONE : zero_on_diagonal(a, item, n);
    if (zero != AG__DONE) return zero;
    ag__copy_item(b, i, false, x, k);
    ag__solve_triangle(&d, n, item, a->stride[a->rank - 2], a->stride[a->rank - 1], !t->upper, t->unit, k, x, k);
    if (t->strong) clear_columns(b, ag__item(b, 2, i), y->dtype, x);
    return AG__DONE;
}

static bool solve_triangular_eval(const ag_call *call) {
    const triangle *t = call->attributes;
    const int64_t n = rows_of(&call->y), k = columns_of(&call->y);
    int64_t item, wrong;
    const bool good = call->y.size == 0
                          ? t->unit || t->strong || none_is_singular(call, &call->x[0], &item, &wrong)
                          : ag__each_item(call, ag__items(&call->y, 2), (double)n * (double)n * (double)k,
                                          ag__dense_bytes(call->y.dtype, n, n, k), solve_triangular_one, &item, &wrong);
    return good || ag__fail_item(call, AG_ERR_SINGULAR, item, wrong, "is singular: there is a 0 on its diagonal");
}

static ag_tensor *record_triangular(ag_tensor *a, ag_tensor *b, bool upper, bool unit, bool strong) {
    const triangle t = {upper, unit, strong};
    return ag_apply(&ag__op_solve_triangular, 2, (ag_tensor *[]){a, b}, &t, sizeof t);
}

/* a⁻¹·g in a vjp, for a triangle a: columns of g that are 0 stay 0, whatever a is. */
static ag_tensor *solve_slope(ag_tensor *a, ag_tensor *g, bool upper, bool unit) {
    return record_triangular(a, g, upper, unit, !ag__is_weak(g));
}

static ag_tensor *solve_triangular_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const triangle *t = ag_attributes(y);
    ag_tensor *b = solve_slope(ag__turned(ag_input(y, 0)), g, !t->upper, t->unit);
    if (i == 1) return b;
    ag_tensor *a = ag_neg(ag__outer(b, y, t->strong)); /* (…,n,k)·(…,n,k)ᵀ -> (…,n,n) */
    return t->upper ? ag_triu(a, t->unit) : ag_tril(a, -t->unit);
}

const ag_op ag__op_solve_triangular = {.name = "solve_triangular",
                                       .kind = AG_KIND_OPAQUE,
                                       .arity = 2,
                                       .attribute_bytes = sizeof(triangle),
                                       .infer = solve_triangular_infer,
                                       .eval = solve_triangular_eval,
                                       .vjp = solve_triangular_vjp};

ag_tensor *ag_solve_triangular(ag_tensor *a, ag_tensor *b, bool upper, bool unit) {
    ag_tensor *nil, *x[2] = {a, b};
    bool vector;
    if (!operands("solve_triangular", x, &vector, &nil)) return nil;
    ag_tensor *y = record_triangular(x[0], x[1], upper, unit, false);
    return vector ? ag__squeeze(y, &AG_AXES(-1)) : y;
}

/* ---- Elimination ---- */

static bool lu_infer(ag_infer *r) {
    if (!ag__is_matrix(r, false)) return false;
    const int64_t m = ag_extent(r->x[0], -2);
    if (m > (r->x[0]->dtype == AG_F32 ? INT64_C(1) << FLT_MANT_DIG : INT64_C(1) << DBL_MANT_DIG))
        return ag_reject(r, AG_ERR_SHAPE, "%lld rows are too many to be numbered in this dtype", (long long)m);
    r->shape.extent[r->shape.rank - 1]++;
    return true;
}

static int64_t lu_one(const ag_call *call, int64_t i, char *memory) {
    const ag_array *y = &call->y;
    const int64_t m = rows_of(y), n = columns_of(y) - 1;
    const ag__dense d = ag__dense_in(y->dtype, m, ag__lesser(m, n), memory);
    char *a = ag__item(y, 2, i);
    ag__copy_item(&call->x[0], i, false, a, n + 1);
    for (int64_t row = 0; row < m; row++) ag__put_element(y->dtype, a, row * (n + 1) + n, (double)row);
    if (n > 0) ag__lu(&d, m, n, a, n + 1, n + 1);
    return AG__DONE;
}

static bool lu_eval(const ag_call *call) {
    const int64_t m = rows_of(&call->y), n = columns_of(&call->y) - 1;
    int64_t item, wrong;
    return m == 0 || ag__each_item(call, ag__items(&call->y, 2), (double)m * (double)n * (double)ag__lesser(m, n),
                                   ag__dense_bytes(call->y.dtype, m, ag__lesser(m, n), n), lu_one, &item, &wrong);
}

ag_tensor *ag__over_upper(ag_tensor *x, ag_tensor *u) { return ag__turned(solve_slope(u, ag__turned(x), true, false)); }

static ag_tensor *unit_lower(ag_tensor *x, int64_t n) { return ag_add(ag_tril(x, -1), ag__identity(x, n)); }

/* ā without the rows' exchanges, from c, l and u in one, and its cotangent. With M = l₁⁻¹·dâ₁·u₁⁻¹ for the square
 * part of k = min(m,n): dl₁ = l₁·(M below), du₁ = (M on and above)·u₁; beside it, du₂ = l₁⁻¹·dâ₂ − (M below)·u₂; or
 * beneath it, dl₂ = dâ₂·u₁⁻¹ − l₂·(M on and above). */
static ag_tensor *eliminated_cotangent(ag_tensor *c, ag_tensor *g, int64_t m, int64_t n) {
    const int64_t k = ag__lesser(m, n);
    ag_tensor *c1 = ag__columns(ag__rows(c, 0, k), 0, k), *g1 = ag__columns(ag__rows(g, 0, k), 0, k);
    ag_tensor *below = ag__slope_matmul(ag__turned(unit_lower(c1, k)), ag_tril(g1, -1), 2, 0);
    ag_tensor *above = ag__slope_matmul(ag_triu(g1, 0), ag__turned(ag_triu(c1, 0)), 1, 0), *rest = NULL;
    if (n > k) {
        ag_tensor *u2 = ag__columns(c, k, n), *g2 = ag__columns(g, k, n);
        below = ag_sub(below, ag__slope_matmul(g2, ag__turned(u2), 1, 0));
        rest = solve_slope(ag__turned(c1), g2, true, true);
    } else if (m > k) {
        ag_tensor *l2 = ag__rows(c, k, m), *g2 = ag__rows(g, k, m);
        above = ag_sub(above, ag__slope_matmul(ag__turned(l2), g2, 2, 0));
        rest = ag__over_upper(g2, c1);
    }
    ag_tensor *middle = ag_add(ag_tril(below, -1), ag_triu(above, 0));
    ag_tensor *a1 = ag__over_upper(solve_slope(ag__turned(c1), middle, true, true), c1);
    return rest ? ag_concat(2, (ag_tensor *[]){a1, rest}, n > k ? -1 : -2) : a1;
}

/* Row i of l·u is row `index` i of a. */
static ag_tensor *lu_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const int64_t m = ag_extent(y, -2), n = ag_extent(y, -1) - 1;
    ag_tensor *a = eliminated_cotangent(ag__columns(y, 0, n), ag__columns(g, 0, n), m, n);
    ag_tensor *index = ag_cast(ag__columns(y, n, n + 1), AG_I64);
    ag_tensor *zero = ag_zeros(ag_tape_of(y), ag_dtype_of(y), ag_shape_of(ag_input(y, i)));
    return ag_scatter_add(zero, index, a, -2);
}

const ag_op ag__op_lu = {.name = "lu",
                         .kind = AG_KIND_OPAQUE,
                         .arity = 1,
                         .flags = AG__INNER,
                         .infer = lu_infer,
                         .eval = lu_eval,
                         .vjp = lu_vjp};

static ag_tensor *lu_of(ag_tensor *a) { return ag_apply(&ag__op_lu, 1, &a, NULL, 0); }

ag_status ag_lu(ag_tensor *a, ag_tensor **p, ag_tensor **l, ag_tensor **u) {
    ag_tensor **const places[] = {l, u, p};
    const ag_status status = ag__begin_results("lu", a, false, 3, places);
    if (status != AG_OK) return status;
    const int64_t m = ag_extent(a, -2), n = ag_extent(a, -1), k = m < n ? m : n;
    ag_tensor *y = lu_of(a), *c = ag__columns(y, 0, n);
    ag_tensor *lower = ag_tril(ag__columns(c, 0, k), -1), *line = ag_arange(ag_tape_of(y), ag_dtype_of(y), m);
    ag_tensor *one = ag__identity(y, m), *from = ag_transpose(ag__columns(y, n, n + 1), -2, -1);
    *l = ag_add(lower, ag__columns(one, 0, k));
    *u = ag_triu(ag__rows(c, 0, k), 0);
    *p = ag_cast(ag_equal(ag_unsqueeze(line, 1), from), ag_dtype_of(y)); /* (m,1) = (…,1,m) */
    return ag__end_results(3, places);
}

/* ---- Equations ---- */

static int64_t row_number(const ag_array *lu, const void *item, int64_t i, int64_t n) {
    const double row = element_of(lu, item, i, n);
    return row >= 0 && row < (double)n ? (int64_t)row : -1;
}

enum { NO_PERMUTATION = -2 };

/* The attribute of solve: a is turned; b has strong zeros. */
enum { TURNED = 1, STRONG = 2 };

/* y = l⁻¹·(rows of b), then u⁻¹·y; or, turned, z = l⁻ᵀ·(u⁻ᵀ·b), and then its rows, in `memory`. */
static int64_t solve_item(const ag_call *call, const ag_array *lu, const ag_array *b, int64_t i, int64_t how,
                          char *memory) {
    const ag_array *y = &call->y;
    const size_t size = ag_dtype_size(y->dtype);
    const int64_t n = rows_of(y), k = columns_of(y), row = lu->stride[lu->rank - 2], column = lu->stride[lu->rank - 1];
    const ag__dense d = ag__dense_in(y->dtype, n, n, memory);
    const void *item = ag__item(lu, 2, i);
    char *to = ag__item(y, 2, i), *z = memory + ag__dense_bytes(y->dtype, n, n, k);
    const bool turned = how & TURNED, strong = how & STRONG;
    if (strong && clear_columns(b, ag__item(b, 2, i), y->dtype, to)) return AG__DONE;
    const int64_t zero = zero_on_diagonal(lu, item, n);
    if (zero != AG__DONE) return zero;
    if (b) ag__copy_item(b, i, false, z, k);
    else memset(z, 0, (size_t)(n * n) * size);
    for (int64_t j = 0; j < n && !b; j++) ag__put_element(y->dtype, z, j * n + j, 1);
    if (turned) {
        ag__solve_triangle(&d, n, item, column, row, true, false, k, z, k);
        ag__solve_triangle(&d, n, item, column, row, false, true, k, z, k);
    }
    for (int64_t j = 0; j < n; j++) {
        const int64_t from = row_number(lu, item, j, n);
        if (from < 0) return NO_PERMUTATION;
        const size_t bytes = (size_t)k * size;
        memcpy(to + (size_t)(turned ? from : j) * bytes, z + (size_t)(turned ? j : from) * bytes, bytes);
    }
    if (!turned) {
        ag__solve_triangle(&d, n, item, row, column, true, true, k, to, k);
        ag__solve_triangle(&d, n, item, row, column, false, false, k, to, k);
    }
    if (strong) clear_columns(b, ag__item(b, 2, i), y->dtype, to);
    return AG__DONE;
}

static int64_t solve_one(const ag_call *call, int64_t i, char *memory) {
    return solve_item(call, &call->x[1], &call->x[2], i, *(const int64_t *)call->attributes, memory);
}

static int64_t inverse_one(const ag_call *call, int64_t i, char *memory) {
    return solve_item(call, &call->x[1], NULL, i, 0, memory);
}

static bool solve_all(const ag_call *call, bool strong, int64_t (*one)(const ag_call *, int64_t, char *)) {
    const int64_t n = rows_of(&call->y), k = columns_of(&call->y);
    const size_t own = ag__times((uint64_t)n, ag__times((uint64_t)k, ag_dtype_size(call->y.dtype)));
    int64_t item, wrong;
    const bool good = call->y.size == 0
                          ? strong || none_is_singular(call, &call->x[1], &item, &wrong)
                          : ag__each_item(call, ag__items(&call->y, 2), (double)n * (double)n * (double)k,
                                          ag__plus(ag__dense_bytes(call->y.dtype, n, n, k), ag__rounded(own, 64)), one,
                                          &item, &wrong);
    return good ||
           ag__fail_item(call, AG_ERR_SINGULAR, item, wrong,
                         wrong == NO_PERMUTATION ? "has been eliminated otherwise" : "is singular: a pivot is 0");
}

static bool solve_eval(const ag_call *call) {
    return solve_all(call, *(const int64_t *)call->attributes & STRONG, solve_one);
}
static bool inverse_eval(const ag_call *call) { return solve_all(call, false, inverse_one); }

/* Inputs a (…,n,n), lu (…,n,n+1). */
static bool has_lu(const ag_infer *r) {
    return ag__is_matrix(r, true) && goes_with_first(r, 1) &&
           (ag_extent(r->x[1], -1) == ag_extent(r->x[0], -1) + 1 ||
            ag_reject(r, AG_ERR_SHAPE, "input 1 does not fit the first one"));
}

static bool inverse_infer(ag_infer *r) { return has_lu(r); }

static bool solve_infer(ag_infer *r) {
    if (*(const int64_t *)r->attributes >> 2) return ag_reject(r, AG_ERR_RANGE, "the attribute must be 0 to 3");
    if (!has_lu(r) || !goes_with_first(r, 2)) return false;
    r->shape = ag_shape_of(r->x[2]);
    return true;
}

static ag_tensor *record_solve(ag_tensor *a, ag_tensor *lu, ag_tensor *b, int64_t how) {
    return ag_apply(&ag__op_solve, 3, (ag_tensor *[]){a, lu, b}, &how, sizeof how);
}

/* a·y = b, or aᵀ·y = b. */
static ag_tensor *solve_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const int64_t former = *(const int64_t *)ag_attributes(y), turned = former & TURNED;
    if (i == 1) return NULL;
    const int64_t how = (turned ? 0 : TURNED) | (ag__is_weak(g) ? 0 : STRONG);
    ag_tensor *b = record_solve(ag_input(y, 0), ag_input(y, 1), g, how);
    if (i == 2) return b;
    ag_tensor *a = ag_neg(ag__outer(b, y, former & STRONG));
    return turned ? ag__turned(a) : a;
}

static ag_tensor *inverse_vjp(ag_tensor *y, ag_tensor *g, int i) {
    if (i == 1) return NULL;
    return ag_neg(ag__slope_matmul(ag__slope_matmul(ag__turned(y), g, 2, 0), ag__turned(y), 1, 0));
}

const ag_op ag__op_solve = {.name = "solve",
                            .kind = AG_KIND_OPAQUE,
                            .arity = 3,
                            .attribute_bytes = sizeof(int64_t),
                            .flags = AG_OP_TIED,
                            .infer = solve_infer,
                            .eval = solve_eval,
                            .vjp = solve_vjp};

const ag_op ag__op_inverse = {.name = "inverse",
                              .notation = "{0}^(-1)",
                              .kind = AG_KIND_OPAQUE,
                              .arity = 2,
                              .flags = AG_OP_TIED,
                              .infer = inverse_infer,
                              .eval = inverse_eval,
                              .vjp = inverse_vjp};

ag_tensor *ag_solve(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil, *x[2] = {a, b};
    bool vector;
    if (!operands("solve", x, &vector, &nil)) return nil;
    ag_shape leading = ag_shape_of(x[0]);
    leading.rank -= 2;
    ag_tensor *y = record_solve(x[0], ag__with_leading(lu_of(a), &leading), x[1], 0);
    return vector ? ag__squeeze(y, &AG_AXES(-1)) : y;
}

static ag_tensor *record_inverse(ag_tensor *a, ag_tensor *lu) {
    return ag_apply(&ag__op_inverse, 2, (ag_tensor *[]){a, lu}, NULL, 0);
}

ag_tensor *ag_inverse(ag_tensor *a) {
    ag_tensor *nil;
    return ag__usable_matrices("inverse", 1, &a, true, &nil) ? record_inverse(a, lu_of(a)) : nil;
}

ag_tensor *ag_matrix_power(ag_tensor *a, int64_t n) {
    ag_tensor *nil, *y = NULL;
    if (!ag__usable_matrices("matrix_power", 1, &a, true, &nil)) return nil;
    if (n == 0) return ag_where(ag_scalar(ag_tape_of(a), AG_BOOL, 0), a, ag__identity(a, ag_extent(a, -1)));
    if (n < 0) a = ag_inverse(a);
    for (uint64_t k = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;; a = ag_matmul(a, a)) {
        if (k & 1) y = y ? ag_matmul(y, a) : a;
        k >>= 1;
        if (k == 0) return ag__reshape_as(y, y); /* not a variable itself */
    }
}

/* ---- Determinants ---- */

/* A product as mantissa·2^exponent, with the mantissa's magnitude from √½ to √2. */
typedef struct scaled {
    double mantissa;
    int64_t exponent;
} scaled;

static void multiply_scaled(scaled *p, double by) {
    int exponent;
    p->mantissa = frexp(p->mantissa * by, &exponent); /* by may be the smallest number: the mantissa is near 1 */
    p->exponent += exponent;
    if (fabs(p->mantissa) < 0.70710678118654752440) p->mantissa *= 2, p->exponent--;
}

static double value_of(const scaled *p) {
    const int64_t e = p->exponent;
    return ldexp(p->mantissa, e > 4000 ? 4000 : e < -4000 ? -4000 : (int)e);
}

/* Whether row numbers are an odd permutation, by its cycles; −1: they are none. */
static int is_odd(const ag_array *lu, const void *item, int64_t n, char *seen) {
    int odd = 0;
    memset(seen, 0, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i, steps = 0; !seen[j]; steps++) {
            seen[j] = 1;
            j = row_number(lu, item, j, n);
            if (j < 0) return -1;
            if (steps > 0) odd ^= 1;
        }
    }
    return odd;
}

static bool determinant(const ag_call *call, int64_t i, char *memory, scaled *det) {
    const ag_array *lu = &call->x[1];
    const int64_t n = rows_of(lu);
    const void *item = ag__item(lu, 2, i);
    const int odd = is_odd(lu, item, n, memory);
    *det = (scaled){odd ? -1 : 1, 0};
    for (int64_t j = 0; j < n; j++) {
        const double d = element_of(lu, item, j, j);
        if (d == 0 || !isfinite(d)) { /* then no exponent is right */
            det->mantissa *= d;
            det->exponent = 0;
            if (d == 0) break;
        } else if (isfinite(det->mantissa)) {
            multiply_scaled(det, d);
        } else if (d < 0) {
            det->mantissa = -det->mantissa;
        }
    }
    return odd >= 0;
}

static int64_t det_one(const ag_call *call, int64_t i, char *memory) {
    scaled det;
    if (!determinant(call, i, memory, &det)) return NO_PERMUTATION;
    ag__put_element(call->y.dtype, call->y.data, i, value_of(&det));
    return AG__DONE;
}

static int64_t slogdet_one(const ag_call *call, int64_t i, char *memory) {
    scaled det;
    if (!determinant(call, i, memory, &det)) return NO_PERMUTATION;
    const double m = det.mantissa, sign = m > 0 ? 1 : m < 0 ? -1 : m;
    ag__put_element(call->y.dtype, call->y.data, 2 * i, sign);
    ag__put_element(call->y.dtype, call->y.data, 2 * i + 1,
                    log(fabs(m)) + (double)det.exponent * 0.69314718055994530942);
    return AG__DONE;
}

static bool determine(const ag_call *call, int64_t (*one)(const ag_call *, int64_t, char *)) {
    const int64_t n = rows_of(&call->x[1]);
    int64_t item, wrong;
    return ag__each_item(call, ag__items(&call->x[1], 2), (double)n, ag__rounded((size_t)n, 64), one, &item, &wrong) ||
           ag__fail_item(call, AG_ERR_SINGULAR, item, wrong, "has been eliminated otherwise");
}

static bool det_eval(const ag_call *call) { return determine(call, det_one); }
static bool slogdet_eval(const ag_call *call) { return determine(call, slogdet_one); }

static bool det_infer(ag_infer *r) {
    if (!has_lu(r)) return false;
    r->shape.rank -= 2;
    return true;
}

static bool slogdet_infer(ag_infer *r) {
    if (!has_lu(r)) return false;
    r->shape.extent[--r->shape.rank - 1] = 2;
    return true;
}

/* A number for each matrix, as a matrix of one. */
static ag_tensor *as_matrix(ag_tensor *x) { return ag_unsqueeze(ag_unsqueeze(x, -1), -1); }

static ag_tensor *det_vjp(ag_tensor *y, ag_tensor *g, int i) {
    if (i == 1) return NULL;
    ag_tensor *a = ag_input(y, 0), *cofactors = ag_apply(&ag__op_cofactor, 1, &a, NULL, 0);
    return ag__slope_mul(ag__broadcast_as(as_matrix(g), cofactors), cofactors);
}

static ag_tensor *slogdet_vjp(ag_tensor *y, ag_tensor *g, int i) {
    if (i == 1) return NULL;
    ag_tensor *inverse = ag__turned(record_inverse(ag_input(y, 0), ag_input(y, 1)));
    ag_tensor *by_log = ag_unsqueeze(ag__columns(g, 1, 2), -1); /* (…,1,1) */
    return ag__slope_mul(ag__broadcast_as(by_log, inverse), inverse);
}

const ag_op ag__op_det = {.name = "det",
                          .notation = "det({0})",
                          .kind = AG_KIND_OPAQUE,
                          .arity = 2,
                          .flags = AG_OP_TIED,
                          .infer = det_infer,
                          .eval = det_eval,
                          .vjp = det_vjp};

const ag_op ag__op_slogdet = {.name = "slogdet",
                              .notation = "slogdet({0})",
                              .kind = AG_KIND_OPAQUE,
                              .arity = 2,
                              .flags = AG_OP_TIED,
                              .infer = slogdet_infer,
                              .eval = slogdet_eval,
                              .vjp = slogdet_vjp};

ag_tensor *ag_det(ag_tensor *a) {
    ag_tensor *nil;
    if (!ag__usable_matrices("det", 1, &a, true, &nil)) return nil;
    return ag_apply(&ag__op_det, 2, (ag_tensor *[]){a, lu_of(a)}, NULL, 0);
}

ag_status ag_slogdet(ag_tensor *a, ag_tensor **sign, ag_tensor **logabsdet) {
    ag_tensor **const places[] = {sign, logabsdet};
    const ag_status status = ag__begin_results("slogdet", a, true, 2, places);
    if (status != AG_OK) return status;
    ag_tensor *y = ag_apply(&ag__op_slogdet, 2, (ag_tensor *[]){a, lu_of(a)}, NULL, 0);
    *sign = ag_stop_gradient(ag__squeeze(ag__columns(y, 0, 1), &AG_AXES(-1)));
    *logabsdet = ag__squeeze(ag__columns(y, 1, 2), &AG_AXES(-1));
    return ag__end_results(2, places);
}

/* ---- Cofactors ----
 *
 * a = P·L·D·W·Q with unit triangles L and W, which have inverses whatever a is. The adjugate is
 * ±Qᵀ·W⁻¹·adj(D)·L⁻¹·Pᵀ, where an element of adj(D) is the product of the other pivots; the cofactors are its
 * transpose. */

static void multiply_by_pivot(scaled *p, double d) {
    if (d == 0 || !isfinite(d) || p->mantissa == 0 || !isfinite(p->mantissa)) p->mantissa *= d;
    else multiply_scaled(p, d);
}

/* others[i] = ±Π a[j,j] over j ≠ i, by the products behind i. */
static void set_others(int64_t n, const ag_dtype dtype, const void *a, double sign, void *others, scaled *behind) {
    scaled before = {sign, 0}, after = {1, 0};
    for (int64_t i = n - 1; i >= 0; i--) {
        behind[i] = after;
        multiply_by_pivot(&after, ag__get_element(dtype, a, i * (n + 1)));
    }
    for (int64_t i = 0; i < n; i++) {
        const scaled p = {before.mantissa * behind[i].mantissa, before.exponent + behind[i].exponent};
        ag__put_element(dtype, others, i, p.mantissa == 0 || !isfinite(p.mantissa) ? p.mantissa : value_of(&p));
        multiply_by_pivot(&before, ag__get_element(dtype, a, i * (n + 1)));
    }
}

/* y[row[i],column[j]] = (L⁻ᵀ·adj(D)·W⁻ᵀ)[i,j]: of diag(others)·W⁻ᵀ, a lower triangle, L⁻ᵀ takes the combinations. */
static int64_t cofactor_one(const ag_call *call, int64_t item, char *memory) {
    const ag_array *y = &call->y;
    const int64_t n = rows_of(y);
    const size_t each = ag_dtype_size(y->dtype), square = ag__rounded((size_t)(n * n) * each, 64);
    const ag__dense d = ag__dense_in(y->dtype, n, n, memory);
    char *a = memory + ag__dense_bytes(y->dtype, n, n, n), *z = a + square, *others = z + square;
    int64_t *row = (int64_t *)(void *)(others + ag__rounded((size_t)n * 8, 64)), *column = row + n;
    ag__copy_item(&call->x[0], item, false, a, n);
    const bool even = ag__lu_complete(y->dtype, n, a, row, column);
    set_others(n, y->dtype, a, even ? 1 : -1, others, (scaled *)(void *)(column + n));
    ag__unit_rows(y->dtype, n, a); /* w = d⁻¹·u; where a pivot is 0, so is all that is left */
    memset(z, 0, (size_t)(n * n) * each);
    for (int64_t i = 0; i < n; i++) ag__put_element(y->dtype, z, i * (n + 1), 1);
    ag__solve_triangle(&d, n, a, 1, n, true, true, n, z, n); /* w⁻ᵀ */
    ag__scale_rows(y->dtype, n, z, others);
    ag__solve_triangle(&d, n, a, 1, n, false, true, n, z, n); /* l⁻ᵀ·that */
    ag__place(y->dtype, n, ag__item(y, 2, item), row, column, z);
    return AG__DONE;
}

static bool cofactor_eval(const ag_call *call) {
    const int64_t n = rows_of(&call->y);
    const size_t square = ag__rounded(ag__times((uint64_t)n, ag__times((uint64_t)n, ag_dtype_size(call->y.dtype))), 64);
    const size_t bytes =
        ag__plus(ag__plus(ag__dense_bytes(call->y.dtype, n, n, n), ag__times(2, square)),
                 ag__plus(ag__rounded((size_t)n * 8, 64), ag__rounded((size_t)n * (16 + sizeof(scaled)), 64)));
    int64_t item, wrong;
    return n == 0 || ag__each_item(call, ag__items(&call->y, 2), cube(n), bytes, cofactor_one, &item, &wrong);
}

static bool square_infer(ag_infer *r) { return ag__is_matrix(r, true); }

/* y = det a·w with w = a⁻ᵀ: dy = ⟨y, da⟩·w − w·daᵀ·y. */
static ag_tensor *cofactor_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *w = ag__turned(ag_inverse(ag_input(y, i)));
    ag_tensor *inner = ag__sum(ag__slope_mul(g, w), &AG_AXES(-2, -1), true);
    return ag_sub(ag__slope_mul(inner, y), ag__slope_matmul(y, ag__slope_matmul(ag__turned(g), w, 1, 0), 2, 0));
}

const ag_op ag__op_cofactor = {.name = "cofactor",
                               .kind = AG_KIND_OPAQUE,
                               .arity = 1,
                               .infer = square_infer,
                               .eval = cofactor_eval,
                               .vjp = cofactor_vjp};

/* ---- Cholesky's factorisation ---- */

/* a = (x + xᵀ)/2, of which the upper triangle is factored; y is its transpose. */
static int64_t cholesky_one(const ag_call *call, int64_t item, char *memory) {
    const ag_array *y = &call->y;
    const int64_t n = rows_of(y);
    const ag__dense d = ag__dense_in(y->dtype, n, n, memory);
    char *a = memory + ag__dense_bytes(y->dtype, n, n, n);
    void *to = ag__item(y, 2, item);
    ag__copy_item(&call->x[0], item, false, a, n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const double p = ag__get_element(y->dtype, a, i * n + j), q = ag__get_element(y->dtype, a, j * n + i);
            const double mean = p == q ? p : p / 2 + q / 2;
            ag__put_element(y->dtype, a, i * n + j, mean);
            ag__put_element(y->dtype, a, j * n + i, mean);
        }
    const int64_t failed = ag__cholesky(&d, n, a, n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            ag__put_element(y->dtype, to, i * n + j, j <= i ? ag__get_element(y->dtype, a, j * n + i) : 0);
    return failed < 0 ? AG__DONE : failed;
}

static bool cholesky_eval(const ag_call *call) {
    const int64_t n = rows_of(&call->y);
    const size_t square = ag__times((uint64_t)n, ag__times((uint64_t)n, ag_dtype_size(call->y.dtype)));
    int64_t item, wrong;
    return n == 0 ||
           ag__each_item(call, ag__items(&call->y, 2), cube(n) / 3,
                         ag__plus(ag__dense_bytes(call->y.dtype, n, n, n), ag__rounded(square, 64)), cholesky_one,
                         &item, &wrong) ||
           ag__fail_item(call, AG_ERR_SINGULAR, item, wrong, "is not positive definite");
}

static ag_tensor *cholesky_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *lt = ag__turned(y), *s = ag__mirrored(ag_matmul(lt, ag_tril(g, 0)));
    ag_tensor *left = solve_slope(lt, s, true, false); /* l⁻ᵀ·S */
    return (void)i, ag_scale(solve_slope(lt, ag__turned(left), true, false), 0.5);
}

const ag_op ag__op_cholesky = {.name = "cholesky",
                               .kind = AG_KIND_OPAQUE,
                               .arity = 1,
                               .infer = square_infer,
                               .eval = cholesky_eval,
                               .vjp = cholesky_vjp};

ag_tensor *ag_cholesky(ag_tensor *a) { return ag_apply(&ag__op_cholesky, 1, &a, NULL, 0); }

/* ---- The matrix exponential ---- */

/* The coefficients of the numerators of degree 13 and 7, and the largest norms for which these are right to the last
 * place of f64 and of f32 (N. Higham, The scaling and squaring method for the matrix exponential revisited, 2005). */
static const double pade_13[] = {64764752532480000,
                                 32382376266240000,
                                 7771770303897600,
                                 1187353796428800,
                                 129060195264000,
                                 10559470521600,
                                 670442572800,
                                 33522128640,
                                 1323241920,
                                 40840800,
                                 960960,
                                 16380,
                                 182,
                                 1};
/* Times 13/8: the relative distance of f32 to the next is larger at 17297280. */
static const double pade_7[] = {28108080, 14054040, 3243240, 450450, 40950, 2457, 91, 1.625};
static double most_norm(ag_dtype dtype) { return dtype == AG_F32 ? 3.925724783138660 : 5.371920351148152; }

/* The largest sum of magnitudes of a column; not finite if an element is not. */
static double norm_of(ag_dtype dtype, const void *a, int64_t n) {
    double norm = 0;
    for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += fabs(ag__get_element(dtype, a, i * n + j));
        if (!(sum <= norm)) norm = sum;
        if (!isfinite(norm)) break;
    }
    return norm;
}

/* y = Σ c[i]·x[i] + c0·1 over three matrices, or that added to y. */
static void combine(ag_dtype dtype, int64_t n, void *y, char *const x[3], const double c[3], double c0, bool add) {
    ag__combine_three(dtype, n * n, y, (const void *[]){x[0], x[1], x[2]}, c, add);
    for (int64_t i = 0; i < n; i++) ag__put_element(dtype, y, i * (n + 1), ag__get_element(dtype, y, i * (n + 1)) + c0);
}

enum { SQUARES = 7 }; /* matrices of memory */

/* The approximant of a, whose norm is small, into m[0] = a: (v − u)⁻¹·(v + u), with u odd in a and v even. */
static void approximate(const ag__dense *d, int64_t n, char *const m[SQUARES]) {
    const ag_dtype t = d->dtype;
    char *a = m[0], *x[3] = {m[3], m[2], m[1]}, *u = m[4], *v = m[5], *high = m[6];
    ag__dense_multiply(d, n, n, n, m[1], a, a);       /* a² */
    ag__dense_multiply(d, n, n, n, m[2], m[1], m[1]); /* a⁴ */
    ag__dense_multiply(d, n, n, n, m[3], m[2], m[1]); /* a⁶ */
    const bool more = t != AG_F32;                    /* powers */
    const double *p = more ? pade_13 : pade_7;
    for (int odd = 1; odd >= 0; odd--) {
        if (more) {
            combine(t, n, high, x, (double[]){p[12 + odd], p[10 + odd], p[8 + odd]}, 0, false);
            ag__dense_multiply(d, n, n, n, v, x[0], high);
        }
        combine(t, n, v, x, (double[]){p[6 + odd], p[4 + odd], p[2 + odd]}, p[odd], more);
        if (odd) ag__dense_multiply(d, n, n, n, u, a, v);
    }
    char *const both_parts[3] = {v, u, u};
    combine(t, n, high, both_parts, (double[]){1, 1, 0}, 0, false);
    combine(t, n, v, both_parts, (double[]){1, -1, 0}, 0, false);
    const size_t row = (size_t)n * ag_dtype_size(t); /* rows of `high` go with those of v, which are exchanged */
    char *both = m[1];                               /* and the next matrix */
    for (int64_t i = 0; i < n; i++) {
        memcpy(both + (size_t)(2 * i) * row, v + (size_t)i * row, row);
        memcpy(both + (size_t)(2 * i + 1) * row, high + (size_t)i * row, row);
    }
    ag__lu(d, n, n, both, 2 * n, 2 * n);
    for (int64_t i = 0; i < n; i++) memcpy(a + (size_t)i * row, both + (size_t)(2 * i + 1) * row, row);
    ag__solve_triangle(d, n, both, 2 * n, 1, true, true, n, a, n);
    ag__solve_triangle(d, n, both, 2 * n, 1, false, false, n, a, n);
}

static int64_t matrix_exp_one(const ag_call *call, int64_t item, char *memory) {
    const ag_array *y = &call->y;
    const int64_t n = rows_of(y);
    const size_t bytes = (size_t)(n * n) * ag_dtype_size(y->dtype), square = ag__rounded(bytes, 64);
    const ag__dense d = ag__dense_in(y->dtype, n, n, memory);
    char *m[SQUARES], *to = ag__item(y, 2, item);
    m[0] = memory + ag__dense_bytes(y->dtype, n, n, n);
    for (int i = 1; i < SQUARES; i++) m[i] = m[i - 1] + square;
    m[2] = m[1] + bytes; /* those two in one piece */
    ag__copy_item(&call->x[0], item, false, m[0], n);
    const double norm = norm_of(y->dtype, m[0], n);
    int squarings = 0;
    if (!isfinite(norm)) {
        for (int64_t i = 0; i < n * n; i++) ag__put_element(y->dtype, to, i, (double)NAN);
        return AG__DONE;
    }
    if (norm > most_norm(y->dtype)) frexp(norm / most_norm(y->dtype), &squarings);
    combine(y->dtype, n, m[0], (char *[]){m[0], m[0], m[0]}, (double[]){ldexp(1, -squarings), 0, 0}, 0, false);
    approximate(&d, n, m);
    for (int i = 0; i < squarings; i++) {
        ag__dense_multiply(&d, n, n, n, m[3], m[0], m[0]);
        memcpy(m[0], m[3], bytes);
    }
    memcpy(to, m[0], bytes);
    return AG__DONE;
}

static bool matrix_exp_eval(const ag_call *call) {
    const int64_t n = rows_of(&call->y);
    const size_t square = ag__rounded(ag__times((uint64_t)n, ag__times((uint64_t)n, ag_dtype_size(call->y.dtype))), 64);
    int64_t item, wrong;
    return n == 0 || ag__each_item(call, ag__items(&call->y, 2), 8 * cube(n),
                                   ag__plus(ag__dense_bytes(call->y.dtype, n, n, n), ag__times(SQUARES, square)),
                                   matrix_exp_one, &item, &wrong);
}

static ag_tensor *matrix_exp_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *at = ag__turned(ag_input(y, i)), *zero = ag__zeros_as(y);
    ag_tensor *above = ag_concat(2, (ag_tensor *[]){at, g}, -1), *below = ag_concat(2, (ag_tensor *[]){zero, at}, -1);
    ag_tensor *whole = ag_matrix_exp(ag_concat(2, (ag_tensor *[]){above, below}, -2));
    const int64_t n = ag_extent(y, -1);
    return ag__columns(ag__rows(whole, 0, n), n, 2 * n);
}

const ag_op ag__op_matrix_exp = {.name = "matrix_exp",
                                 .notation = "exp({0})",
                                 .kind = AG_KIND_OPAQUE,
                                 .arity = 1,
                                 .infer = square_infer,
                                 .eval = matrix_exp_eval,
                                 .vjp = matrix_exp_vjp};

ag_tensor *ag_matrix_exp(ag_tensor *a) { return ag_apply(&ag__op_matrix_exp, 1, &a, NULL, 0); }
