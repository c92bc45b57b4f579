/* spectral -- QR, eigenvalues and singular values by LAPACK, and what is made of them
 *
 * A factorisation is one node, whose rows are its vectors: qr (…,k,m+n) has q's columns and r, eigh (…,n,n+1) the
 * eigenvectors and their eigenvalues, svd (…,k,m+1+n) the columns of u, the singular values and the columns of v.
 * The parts are views of it. lstsq has a and its svd as inputs: the svd's elements are computed with, and a gets the
 * cotangent. */
#include "ops/dense.h"
#include "ops/lapack.h"
#include "ops/linalg.h"
#include "ops/matrices.h"
#include "ops/rules.h"

#include <float.h>
#include <math.h>
#include <string.h>

static int64_t rows_of(const ag_array *x) { return x->shape[x->rank - 2]; }
static int64_t columns_of(const ag_array *x) { return x->shape[x->rank - 1]; }

static size_t square_bytes(ag_dtype dtype, int64_t m, int64_t n) {
    return ag__rounded(ag__times((uint64_t)m, ag__times((uint64_t)n, ag_dtype_size(dtype))), 64);
}

static bool lapack_infer(const ag_infer *r, bool square) {
    if (!ag__is_matrix(r, square)) return false;
    if (!ag__has_lapack()) return ag_reject(r, AG_ERR_LIBRARY, "there is no LAPACK, which computes it");
    const int64_t m = ag_extent(r->x[0], -2), n = ag_extent(r->x[0], -1);
    return ag__lapack_takes(m, n) || ag_reject(r, AG_ERR_SHAPE, "the matrices are too large for LAPACK");
}

static bool is_finite(ag_dtype dtype, int64_t n, const void *x) {
    return dtype == AG_F32 ? ag__finite_f32(n, x) : ag__finite_f64(n, x);
}

enum { NOT_FINITE = -3 };

static bool report(const ag_call *call, bool good, int64_t item, int64_t wrong) {
    if (good) return true;
    return ag__fail_item(call, AG_ERR_SINGULAR, item, wrong,
                         wrong == NOT_FINITE ? "has NaN or infinity"
                                             : "is one for which LAPACK's iteration does not converge");
}

static ag_tensor *squeeze_last(ag_tensor *x) { return ag__squeeze(x, &AG_AXES(-1)); }

/* The values of a factorisation, which are behind as many columns as a has rows. Where no gradient is wanted it has an
 * attribute, and zeros in place of vectors. */
static ag_tensor *values_of(const char *name, const ag_op *op, ag_tensor *a, bool square) {
    ag_tensor *nil;
    if (!ag__usable_matrices(name, 1, &a, square, &nil)) return nil;
    const int64_t at = ag_extent(a, -2), alone = 1;
    ag_tensor *y = ag_apply(op, 1, &a, &alone, ag_requires_grad(a) ? 0 : sizeof alone);
    return squeeze_last(ag__columns(y, at, at + 1));
}

static bool has_vectors(const ag_tensor *y) { return y->attribute_bytes == 0; }

/* y, or the same with vectors. */
static ag_tensor *with_vectors(ag_tensor *y) {
    ag_tensor *a = ag_input(y, 0);
    return has_vectors(y) ? y : ag_apply(y->op, 1, &a, NULL, 0);
}

/* ---- QR ---- */

static bool qr_infer(ag_infer *r) {
    if (!lapack_infer(r, false)) return false;
    const int64_t m = ag_extent(r->x[0], -2), n = ag_extent(r->x[0], -1);
    r->shape.extent[r->shape.rank - 2] = ag__lesser(m, n);
    r->shape.extent[r->shape.rank - 1] = m + n;
    return true;
}

static int64_t qr_one(const ag_call *call, int64_t i, char *memory) {
    const ag_array *y = &call->y;
    const int64_t m = rows_of(&call->x[0]), n = columns_of(&call->x[0]), k = ag__lesser(m, n);
    const size_t size = ag_dtype_size(y->dtype), row = (size_t)(m + n) * size;
    char *to = ag__item(y, 2, i), *a = memory;
    ag__copy_item(&call->x[0], i, true, a, m);
    if (!is_finite(y->dtype, m * n, a)) {
        for (int64_t j = 0; j < k * (m + n); j++) ag__put_element(y->dtype, to, j, (double)NAN);
        return AG__DONE;
    }
    const int64_t wrong =
        ag__qr(y->dtype, m, n, a, to + (size_t)m * size, m + n, memory + square_bytes(y->dtype, m, n));
    for (int64_t j = 0; j < k; j++) memcpy(to + (size_t)j * row, a + (size_t)(j * m) * size, (size_t)m * size);
    return wrong == 0 ? AG__DONE : wrong;
}

static bool qr_eval(const ag_call *call) {
    const int64_t m = rows_of(&call->x[0]), n = columns_of(&call->x[0]);
    int64_t item = 0, wrong = AG__DONE;
    if (call->y.size == 0) return true;
    const size_t bytes = ag__plus(square_bytes(call->y.dtype, m, n), ag__qr_bytes(call->y.dtype, m, n));
    const double work = 4 * (double)m * (double)n * (double)ag__lesser(m, n);
    const bool good = ag__each_item(call, ag__items(&call->y, 2), work, bytes, qr_one, &item, &wrong);
    return report(call, good, item, wrong);
}

/* For a of at least as many rows as columns: with M = r·r̄ᵀ − q̄ᵀ·q, ā = (q̄ + q·(the lower triangle of M,
 * mirrored))·r⁻ᵀ. */
static ag_tensor *tall_qr_cotangent(ag_tensor *qt, ag_tensor *r, ag_tensor *gqt, ag_tensor *gr) {
    ag_tensor *m = ag_sub(ag__slope_matmul(r, ag__turned(gr), 2, 0), ag__slope_matmul(gqt, ag__turned(qt), 1, 0));
    ag_tensor *inner = ag_add(ag__turned(gqt), ag__slope_matmul(ag__turned(qt), ag__mirrored(m), 2, 0));
    return ag__over_upper(inner, r);
}

/* A wide a is [x z] with x = q·u and r = [u qᵀ·z]. */
static ag_tensor *qr_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = ag_input(y, i);
    const int64_t m = ag_extent(a, -2), n = ag_extent(a, -1), k = ag__lesser(m, n);
    ag_tensor *qt = ag__columns(y, 0, m), *gqt = ag__columns(g, 0, m);
    ag_tensor *u = ag__columns(y, m, m + k), *gu = ag_triu(ag__columns(g, m, m + k), 0);
    if (m >= n) return tall_qr_cotangent(qt, u, gqt, gu);
    ag_tensor *z = ag__columns(a, m, n), *gw = ag__columns(g, m + k, m + n);
    ag_tensor *x = tall_qr_cotangent(qt, u, ag_add(gqt, ag__slope_matmul(gw, ag__turned(z), 1, 0)), gu);
    return ag_concat(2, (ag_tensor *[]){x, ag__slope_matmul(ag__turned(qt), gw, 2, 0)}, -1);
}

const ag_op ag__op_qr = {
    .name = "qr", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = qr_infer, .eval = qr_eval, .vjp = qr_vjp};

ag_status ag_qr(ag_tensor *a, ag_tensor **q, ag_tensor **r) {
    ag_tensor **const places[] = {q, r};
    const ag_status status = ag__begin_results("qr", a, false, 2, places);
    if (status != AG_OK) return status;
    ag_tensor *y = ag_apply(&ag__op_qr, 1, &a, NULL, 0);
    const int64_t m = ag_extent(a, -2);
    *q = ag__turned(ag__columns(y, 0, m));
    *r = ag__columns(y, m, AG_END);
    return ag__end_results(2, places);
}

/* ---- Eigenvalues ---- */

static bool eigh_infer(ag_infer *r) {
    if (!lapack_infer(r, true)) return false;
    r->shape.extent[r->shape.rank - 1]++;
    return true;
}

static int64_t eigh_one(const ag_call *call, int64_t item, char *memory) {
    const ag_array *y = &call->y;
    const ag_dtype t = y->dtype;
    const int64_t n = rows_of(y), ld = n + 1, size = (int64_t)ag_dtype_size(t);
    const bool vectors = has_vectors(call->node);
    char *a = ag__item(y, 2, item), *w = memory;
    ag__copy_item(&call->x[0], item, false, a, ld);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) { /* LAPACK's lower triangle is the upper one of rows */
            const double p = ag__get_element(t, a, i * ld + j), q = ag__get_element(t, a, j * ld + i);
            const double mean = p == q ? p : p / 2 + q / 2;
            if (!isfinite(mean)) return NOT_FINITE;
            ag__put_element(t, a, j * ld + i, mean);
        }
    const int64_t wrong = ag__eigh(t, n, a, ld, w, vectors, memory + square_bytes(t, 1, n));
    if (!vectors) memset(a, 0, (size_t)(n * ld * size));
    for (int64_t i = 0; i < n; i++) memcpy(a + (i * ld + n) * size, w + i * size, (size_t)size);
    return wrong == 0 ? AG__DONE : wrong;
}

static bool eigh_eval(const ag_call *call) {
    const int64_t n = rows_of(&call->y);
    int64_t item = 0, wrong = AG__DONE;
    if (call->y.size == 0) return true;
    const size_t bytes = ag__plus(square_bytes(call->y.dtype, 1, n), ag__eigh_bytes(call->y.dtype, n));
    const double work = 10 * (double)n * (double)n * (double)n;
    const bool good = ag__each_item(call, ag__items(&call->y, 2), work, bytes, eigh_one, &item, &wrong);
    return report(call, good, item, wrong);
}

/* Whether a place is on the diagonal of n×n. */
static ag_tensor *on_diagonal(const ag_tensor *x, int64_t n) { return ag_cast(ag__identity(x, n), AG_BOOL); }

/* (M − Mᵀ)/(λⱼ − λᵢ) for the places beside the diagonal, 0 on it; `gaps`: the denominators. Strong: where no vector
 * has a cotangent, it does not matter that gaps are 0. */
static ag_tensor *over_gaps(ag_tensor *m, ag_tensor *gaps) {
    ag_tensor *one = ag__identity(m, ag_extent(m, -1));
    return ag_strong_div(ag_sub(m, ag__turned(m)), ag_add(gaps, one));
}

/* ā = v·[w̄ on the diagonal, ½·(M − Mᵀ)ᵢⱼ/(wⱼ − wᵢ) beside it]·vᵀ, with M = vᵀ·v̄. */
static ag_tensor *eigh_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const int64_t n = ag_extent(ag_input(y, i), -1);
    y = with_vectors(y);
    ag_tensor *vt = ag__columns(y, 0, n), *w = ag__columns(y, n, n + 1), *gw = ag__columns(g, n, n + 1);
    ag_tensor *m = ag_matmul(vt, ag__turned(ag__columns(g, 0, n)));
    ag_tensor *beside = ag_scale(over_gaps(m, ag_sub(ag__turned(w), w)), 0.5);
    ag_tensor *inner = ag_where(on_diagonal(y, n), gw, beside);
    return ag_matmul(ag__turned(vt), ag_matmul(inner, vt));
}

const ag_op ag__op_eigh = {
    .name = "eigh", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = eigh_infer, .eval = eigh_eval, .vjp = eigh_vjp};

ag_status ag_eigh(ag_tensor *a, ag_tensor **w, ag_tensor **v) {
    ag_tensor **const places[] = {w, v};
    const ag_status status = ag__begin_results("eigh", a, true, 2, places);
    if (status != AG_OK) return status;
    ag_tensor *y = ag_apply(&ag__op_eigh, 1, &a, NULL, 0);
    const int64_t n = ag_extent(a, -1);
    *w = squeeze_last(ag__columns(y, n, n + 1));
    *v = ag__turned(ag__columns(y, 0, n));
    return ag__end_results(2, places);
}

ag_tensor *ag_eigvalsh(ag_tensor *a) { return values_of("eigvalsh", &ag__op_eigh, a, true); }

/* ---- Singular values ---- */

static bool svd_infer(ag_infer *r) {
    if (!lapack_infer(r, false)) return false;
    const int64_t m = ag_extent(r->x[0], -2), n = ag_extent(r->x[0], -1);
    r->shape.extent[r->shape.rank - 2] = ag__lesser(m, n);
    r->shape.extent[r->shape.rank - 1] = m + 1 + n;
    return true;
}

static int64_t svd_one(const ag_call *call, int64_t item, char *memory) {
    const ag_array *y = &call->y;
    const ag_dtype t = y->dtype;
    const int64_t m = rows_of(&call->x[0]), n = columns_of(&call->x[0]), k = ag__lesser(m, n), ld = m + 1 + n;
    const size_t size = ag_dtype_size(t);
    const bool vectors = has_vectors(call->node);
    char *to = ag__item(y, 2, item), *a = memory, *s = a + square_bytes(t, m, n);
    ag__copy_item(&call->x[0], item, false, a, n);
    if (!is_finite(t, m * n, a)) return NOT_FINITE;
    if (!vectors) memset(to, 0, (size_t)(k * ld) * size);
    const int64_t wrong =
        ag__svd(t, m, n, a, vectors ? to : NULL, s, to + (size_t)(m + 1) * size, ld, s + square_bytes(t, 1, k));
    for (int64_t i = 0; i < k; i++) memcpy(to + (size_t)(i * ld + m) * size, s + (size_t)i * size, size);
    return wrong == 0 ? AG__DONE : wrong;
}

static bool svd_eval(const ag_call *call) {
    const ag_dtype t = call->y.dtype;
    const int64_t m = rows_of(&call->x[0]), n = columns_of(&call->x[0]), k = ag__lesser(m, n);
    int64_t item = 0, wrong = AG__DONE;
    if (call->y.size == 0) return true;
    const size_t bytes = ag__plus(ag__plus(square_bytes(t, m, n), square_bytes(t, 1, k)), ag__svd_bytes(t, m, n));
    const double work = 20 * (double)m * (double)n * (double)k;
    const bool good = ag__each_item(call, ag__items(&call->y, 2), work, bytes, svd_one, &item, &wrong);
    return report(call, good, item, wrong);
}

/* With P = uᵀ·ū, Q = vᵀ·v̄ and F = 1/(sⱼ² − sᵢ²):
 * ā = u·[(F∘(P − Pᵀ))·s + s·(F∘(Q − Qᵀ)), s̄ on the diagonal]·vᵀ + (ū − u·P)·s⁻¹·vᵀ + u·s⁻¹·(v̄ᵀ − Qᵀ·vᵀ). */
static ag_tensor *svd_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = ag_input(y, i);
    const int64_t m = ag_extent(a, -2), n = ag_extent(a, -1), k = ag__lesser(m, n);
    y = with_vectors(y);
    ag_tensor *ut = ag__columns(y, 0, m), *s = ag__columns(y, m, m + 1), *vt = ag__columns(y, m + 1, m + 1 + n);
    ag_tensor *gut = ag__columns(g, 0, m), *gs = ag__columns(g, m, m + 1), *gvt = ag__columns(g, m + 1, m + 1 + n);
    ag_tensor *st = ag__turned(s), *gaps = ag_mul(ag_sub(st, s), ag_add(st, s));
    ag_tensor *pt = ag_matmul(gut, ag__turned(ut)), *qt = ag_matmul(gvt, ag__turned(vt)); /* Pᵀ, Qᵀ */
    ag_tensor *by_u = ag_mul(over_gaps(ag__turned(pt), gaps), st), *by_v = ag_mul(s, over_gaps(ag__turned(qt), gaps));
    ag_tensor *inner = ag_where(on_diagonal(y, k), gs, ag_add(by_u, by_v));
    ag_tensor *right = ag_matmul(inner, vt); /* (…,k,n) */
    if (n > k) right = ag_add(right, ag_strong_div(ag_sub(gvt, ag_matmul(qt, vt)), s));
    ag_tensor *whole = ag_matmul(ag__turned(ut), right);
    if (m <= k) return whole;
    ag_tensor *left = ag_strong_div(ag_sub(gut, ag_matmul(pt, ut)), s); /* (…,k,m) */
    return ag_add(whole, ag_matmul(ag__turned(left), vt));
}

const ag_op ag__op_svd = {
    .name = "svd", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = svd_infer, .eval = svd_eval, .vjp = svd_vjp};

ag_status ag_svd(ag_tensor *a, ag_tensor **u, ag_tensor **s, ag_tensor **vt) {
    ag_tensor **const places[] = {u, s, vt};
    const ag_status status = ag__begin_results("svd", a, false, 3, places);
    if (status != AG_OK) return status;
    ag_tensor *y = ag_apply(&ag__op_svd, 1, &a, NULL, 0);
    const int64_t m = ag_extent(a, -2);
    *u = ag__turned(ag__columns(y, 0, m));
    *s = squeeze_last(ag__columns(y, m, m + 1));
    *vt = ag__columns(y, m + 1, AG_END);
    return ag__end_results(3, places);
}

ag_tensor *ag_svdvals(ag_tensor *a) { return values_of("svdvals", &ag__op_svd, a, false); }

/* ---- Least squares ---- */

typedef struct least_squares { /* the attributes */
    double rcond;              /* singular values at most this part of the largest count as 0 */
    int64_t turned;            /* 1: y = (aᵀ)⁺·b */
} least_squares;

/* Inputs a (…,m,n), svd (…,k,m+1+n), b (…,m,p); or, turned, b (…,n,p). */
static bool lstsq_infer(ag_infer *r) {
    const least_squares *o = r->attributes;
    if (!ag__is_matrix(r, false)) return false;
    const ag__layout *a = r->x[0]->layout;
    const int64_t m = a->extent[a->rank - 2], n = a->extent[a->rank - 1];
    if (o->turned >> 1 || isnan(o->rcond)) return ag_reject(r, AG_ERR_RANGE, "the attributes are out of range");
    for (int i = 1; i < 3; i++) {
        const ag__layout *b = r->x[i]->layout;
        const int64_t rows = i == 1 ? ag__lesser(m, n) : o->turned ? n : m;
        if (b->rank != a->rank || memcmp(a->extent, b->extent, (size_t)(a->rank - 2) * sizeof(int64_t)) != 0 ||
            b->extent[a->rank - 2] != rows || (i == 1 && b->extent[a->rank - 1] != m + 1 + n))
            return ag_reject(r, AG_ERR_SHAPE, "input %d does not fit the first one", i);
    }
    r->shape = ag_shape_of(r->x[2]);
    r->shape.extent[r->shape.rank - 2] = o->turned ? m : n;
    return true;
}

/* t = s⁻¹·uᵀ·b, y = v·t; or with u and v exchanged. */
static int64_t lstsq_one(const ag_call *call, int64_t item, char *memory) {
    const least_squares *o = call->attributes;
    const ag_array *a = &call->x[0], *svd = &call->x[1], *b = &call->x[2], *y = &call->y;
    const int64_t m = rows_of(a), n = columns_of(a), k = rows_of(svd), p = columns_of(y),
                  size = (int64_t)ag_dtype_size(y->dtype);
    const int64_t row = svd->stride[svd->rank - 2], column = svd->stride[svd->rank - 1];
    const int64_t side = m > n ? m : n;
    const ag__dense d = ag__dense_in(y->dtype, side, side, memory);
    const char *rows = ag__item(svd, 2, item), *u = rows, *v = rows + (m + 1) * column * size;
    char *t = memory + ag__dense_bytes(y->dtype, side, side, p);
    double most = 0;
    for (int64_t i = 0; i < k; i++) {
        const double s = ag__get_element(y->dtype, rows, i * row + m * column);
        if (s > most) most = s;
    }
    ag__dense_product(&d, &(ag__product){.dtype = y->dtype,
                                         .m = k,
                                         .n = p,
                                         .k = o->turned ? n : m,
                                         .a = o->turned ? v : u,
                                         .a_row = row,
                                         .a_column = column,
                                         .b = ag__item(b, 2, item),
                                         .b_row = b->stride[b->rank - 2],
                                         .b_column = b->stride[b->rank - 1],
                                         .y = t,
                                         .y_row = p});
    for (int64_t i = 0; i < k; i++) {
        const double s = ag__get_element(y->dtype, rows, i * row + m * column);
        for (int64_t j = 0; j < p; j++)
            ag__put_element(y->dtype, t, i * p + j,
                            s > o->rcond * most ? ag__get_element(y->dtype, t, i * p + j) / s : 0);
    }
    ag__dense_product(&d, &(ag__product){.dtype = y->dtype,
                                         .m = o->turned ? m : n,
                                         .n = p,
                                         .k = k,
                                         .a = o->turned ? u : v,
                                         .a_row = column,
                                         .a_column = row,
                                         .b = t,
                                         .b_row = p,
                                         .b_column = 1,
                                         .y = ag__item(y, 2, item),
                                         .y_row = p});
    return AG__DONE;
}

static bool lstsq_eval(const ag_call *call) {
    const ag_array *y = &call->y;
    const int64_t m = rows_of(&call->x[0]), n = columns_of(&call->x[0]), side = m > n ? m : n, k = ag__lesser(m, n),
                  p = columns_of(y);
    int64_t item, wrong;
    if (y->size == 0) return true;
    if (k == 0) {
        memset(y->data, 0, (size_t)y->size * ag_dtype_size(y->dtype));
        return true;
    }
    return ag__each_item(call, ag__items(y, 2), 2 * (double)side * (double)k * (double)p,
                         ag__plus(ag__dense_bytes(y->dtype, side, side, p), square_bytes(y->dtype, k, p)), lstsq_one,
                         &item, &wrong);
}

static ag_tensor *record_lstsq(ag_tensor *y, ag_tensor *b, bool turned) {
    least_squares o = *(const least_squares *)ag_attributes(y);
    o.turned = turned;
    return ag_apply(&ag__op_lstsq, 3, (ag_tensor *[]){ag_input(y, 0), ag_input(y, 1), b}, &o, sizeof o);
}

/* For x = a⁺·b, z = (aᵀ)⁺·x̄ and r = b − a·x, and a of constant rank:
 * b̄ = z,  ā = −z·xᵀ + r·(a⁺·z)ᵀ + ((aᵀ)⁺·x)·(x̄ − aᵀ·z)ᵀ. */
static ag_tensor *lstsq_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const bool turned = ((const least_squares *)ag_attributes(y))->turned, strong = !ag__is_weak(g);
    if (i == 1) return NULL;
    ag_tensor *z = record_lstsq(y, g, !turned);
    if (i == 2) return z;
    ag_tensor *a = turned ? ag__turned(ag_input(y, 0)) : ag_input(y, 0);
    ag_tensor *r = ag_sub(ag_input(y, 2), ag__slope_matmul(a, y, 2, 0)),
              *rest = ag_sub(g, ag__slope_matmul(ag__turned(a), z, 2, 0));
    ag_tensor *first = ag__outer(z, y, strong), *second = ag__turned(ag__outer(record_lstsq(y, z, turned), r, strong));
    ag_tensor *third = ag__turned(ag__outer(rest, record_lstsq(y, y, !turned), strong));
    ag_tensor *by_a = ag_add(ag_sub(second, first), third);
    return turned ? ag__turned(by_a) : by_a;
}

const ag_op ag__op_lstsq = {.name = "lstsq",
                            .kind = AG_KIND_OPAQUE,
                            .arity = 3,
                            .attribute_bytes = sizeof(least_squares),
                            .flags = AG_OP_TIED,
                            .infer = lstsq_infer,
                            .eval = lstsq_eval,
                            .vjp = lstsq_vjp};

/* The part of the largest singular value that counts as 0: what is asked for, or rounding errors. */
static double cutoff(ag_tensor *a, double rcond) {
    const int64_t m = ag_extent(a, -2), n = ag_extent(a, -1);
    return rcond >= 0 ? rcond
                      : (double)(m > n ? m : n) * (ag_dtype_of(a) == AG_F32 ? (double)FLT_EPSILON : DBL_EPSILON);
}

/* Whether a build with LAPACK can take a under the name of the call: its factorisation would be refused under its
 * own. */
static bool lapack_can(const char *name, int count, ag_tensor *const x[], ag_tensor **nil) {
    if (!ag__has_lapack()) *nil = ag__fail(name, count, x, AG_ERR_LIBRARY, "there is no LAPACK, which computes it");
    else if (!ag__lapack_takes(ag_extent(x[0], -2), ag_extent(x[0], -1)))
        *nil = ag__fail(name, count, x, AG_ERR_SHAPE, "the matrices are too large for LAPACK");
    else return true;
    return false;
}

static bool rcond_fits(const char *name, int count, ag_tensor *const x[], double rcond, ag_tensor **nil) {
    if (!isnan(rcond)) return true;
    *nil = ag__fail(name, count, x, AG_ERR_RANGE, "rcond is NaN");
    return false;
}

static ag_tensor *least_squares_of(ag_tensor *a, ag_tensor *svd, ag_tensor *b, double rcond) {
    const least_squares o = {cutoff(a, rcond), 0};
    return ag_apply(&ag__op_lstsq, 3, (ag_tensor *[]){a, svd, b}, &o, sizeof o);
}

ag_tensor *ag_pinv(ag_tensor *a, double rcond) {
    ag_tensor *nil;
    if (!ag__usable_matrices("pinv", 1, &a, false, &nil) || !rcond_fits("pinv", 1, &a, rcond, &nil) ||
        !lapack_can("pinv", 1, &a, &nil))
        return nil;
    ag_shape leading = ag_shape_of(a);
    leading.rank -= 2;
    ag_tensor *one = ag__with_leading(ag__identity(a, ag_extent(a, -2)), &leading);
    return least_squares_of(a, ag_apply(&ag__op_svd, 1, &a, NULL, 0), one, rcond);
}

ag_tensor *ag_lstsq(ag_tensor *a, ag_tensor *b, double rcond) {
    ag_tensor *nil, *const x[] = {a, b};
    ag_shape leading;
    if (!ag__usable_matrices("lstsq", 2, x, false, &nil) || !rcond_fits("lstsq", 2, x, rcond, &nil) ||
        !lapack_can("lstsq", 2, x, &nil))
        return nil;
    const bool vector = ag_rank(b) == 1;
    const int64_t m = ag_extent(a, -2), has = ag_rank(b) == 0 ? -1 : ag_extent(b, vector ? 0 : -2);
    if (has < 0) return ag__fail("lstsq", 2, x, AG_ERR_SHAPE, "b must have an axis or more");
    if (has != m)
        return ag__fail("lstsq", 2, x, AG_ERR_SHAPE, "b must have %lld rows, not %lld", (long long)m, (long long)has);
    if (vector) b = ag_unsqueeze(b, 1);
    if (ag_is_nil(b)) return b;
    if (!ag__common_leading(a, b, &leading))
        return ag__fail("lstsq", 2, x, AG_ERR_SHAPE, "the leading axes cannot be broadcast to each other");
    ag_tensor *svd = ag__with_leading(ag_apply(&ag__op_svd, 1, &a, NULL, 0), &leading);
    ag_tensor *y = least_squares_of(ag__with_leading(a, &leading), svd, ag__with_leading(b, &leading), rcond);
    return vector ? squeeze_last(y) : y;
}

ag_tensor *ag_matrix_rank(ag_tensor *a, double rcond) {
    ag_tensor *nil;
    if (!ag__usable_matrices("matrix_rank", 1, &a, false, &nil) || !rcond_fits("matrix_rank", 1, &a, rcond, &nil) ||
        !lapack_can("matrix_rank", 1, &a, &nil))
        return nil;
    ag_tensor *s = ag_stop_gradient(ag_svdvals(a));
    if (ag_extent(s, -1) > 0) {
        ag_tensor *least = ag_scale(ag__max(s, &AG_AXES(-1), true), cutoff(a, rcond));
        s = ag_less(least, s);
    }
    return ag__sum(ag_cast(s, AG_I64), &AG_AXES(-1), false);
}

/* ---- Norms ---- */

/* √Σ x², relative to the largest magnitude, which is held constant: neither the squares nor their sum overflow or
 * vanish. 0 has the gradient 0. */
static ag_tensor *frobenius(ag_tensor *x) {
    ag_tape *t = ag_tape_of(x);
    ag_tensor *zero = ag_scalar(t, ag_dtype_of(x), 0), *one = ag_scalar(t, ag_dtype_of(x), 1);
    if (ag_extent(x, -1) == 0 || ag_extent(x, -2) == 0) return ag__sum(x, &AG_AXES(-2, -1), true);
    ag_tensor *most = ag_stop_gradient(ag__max(ag_abs(x), &AG_AXES(-2, -1), true));
    ag_tensor *is_zero = ag_equal(most, zero),
              *unit = ag_where(ag_less(most, ag_scalar(t, ag_dtype_of(x), (double)INFINITY)),
                               ag_where(is_zero, one, most), one);
    ag_tensor *sum = ag__sum(ag_square(ag_div(x, unit)), &AG_AXES(-2, -1), true);
    return ag_where(is_zero, zero, ag_mul(unit, ag_sqrt(ag_where(is_zero, one, sum))));
}

static ag_tensor *extreme(ag_tensor *x, const ag_axes *axes, bool largest) {
    return largest ? ag__max(x, axes, true) : ag__min(x, axes, true);
}

static ag_tensor *norm_of_values(ag_tensor *x, ag_matrix_norm_kind kind) {
    ag_tensor *s = ag_unsqueeze(ag_svdvals(x), -1); /* (…,k,1) */
    return kind == AG_NORM_NUCLEAR ? ag__sum(s, &AG_AXES(-2), true) : extreme(s, &AG_AXES(-2), kind == AG_NORM_2);
}

ag_tensor *ag_matrix_norm(ag_tensor *x, ag_matrix_norm_kind kind, bool keepdims) {
    ag_tensor *nil, *y;
    const bool by_values = kind == AG_NORM_NUCLEAR || kind == AG_NORM_2 || kind == AG_NORM_MINUS_2;
    const bool by_columns = kind == AG_NORM_1 || kind == AG_NORM_MINUS_1;
    if (!ag__usable_matrices("matrix_norm", 1, &x, false, &nil)) return nil;
    if ((unsigned)kind > AG_NORM_MINUS_INF)
        return ag__fail("matrix_norm", 1, &x, AG_ERR_RANGE, "there is no kind %d", (int)kind);
    if (by_values && !lapack_can("matrix_norm", 1, &x, &nil)) return nil;
    if (kind != AG_NORM_FROBENIUS && kind != AG_NORM_NUCLEAR && (ag_extent(x, -1) == 0 || ag_extent(x, -2) == 0))
        return ag__fail("matrix_norm", 1, &x, AG_ERR_SHAPE, "a matrix without elements has no such norm");
    if (kind == AG_NORM_FROBENIUS) y = frobenius(x);
    else if (by_values) y = norm_of_values(x, kind);
    else {
        const int summed = by_columns ? -2 : -1;
        ag_tensor *sums = ag__sum(ag_abs(x), &AG_AXES(summed), true);
        y = extreme(sums, &AG_AXES(-3 - summed), kind == AG_NORM_1 || kind == AG_NORM_INF);
    }
    return keepdims ? y : ag__squeeze(y, &AG_AXES(-2, -1));
}
