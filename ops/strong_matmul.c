/* strong_matmul -- matrix products with strong zeros: a 0 of the cotangent times infinity or NaN is 0
 *
 * A plain product differs only if a 0 meets an infinite or NaN element, and then the result is not finite either. So
 * the smaller of the result and the other operand is searched; usually all of it is finite, and the plain product is
 * the answer. Else the operands are copied with 0 in place of elements that are not finite, the copies are
 * multiplied, and the products of each such element with anything but strong zeros are added. Finite elements of the
 * result have the bits of a plain product. */
#include "autograd/eval/eval.h"
#include "ops/product.h"
#include "ops/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { A = 1, B = 2 }; /* bits of the attribute: the operands with strong zeros */

/* ---- Searching for elements that are not finite ---- */

/* Axes by falling stride, without those of extent 1 or stride 0; those that lie behind each other are one, so that a
 * narrow matrix is searched as a whole, transposed or not. */
typedef struct lines {
    int rank;
    int64_t extent[AG_MAX_RANK], stride[AG_MAX_RANK], count;
} lines;

static lines lines_of(const ag_array *x) {
    lines l = {.count = 1};
    for (int axis = 0; axis < x->rank; axis++) {
        int64_t e = x->shape[axis], s = x->stride[axis];
        if (e == 1 || s == 0) continue;
        int i = l.rank++;
        for (; i > 0 && llabs(l.stride[i - 1]) < llabs(s); i--)
            l.extent[i] = l.extent[i - 1], l.stride[i] = l.stride[i - 1];
        l.extent[i] = e, l.stride[i] = s;
        l.count *= e;
    }
    for (int i = l.rank - 1; i > 0; i--) {
        if (l.stride[i - 1] != l.extent[i] * l.stride[i]) continue;
        l.extent[i - 1] *= l.extent[i], l.stride[i - 1] = l.stride[i];
        for (int k = i; k < l.rank - 1; k++) l.extent[k] = l.extent[k + 1], l.stride[k] = l.stride[k + 1];
        l.rank--;
    }
    return l;
}

static bool line_is_finite(ag_dtype dtype, const void *x, int64_t n, int64_t stride) {
    const float *f = x;
    const double *d = x;
    if (stride == 1) return dtype == AG_F32 ? ag__finite_f32(n, f) : ag__finite_f64(n, d);
    bool finite = true;
    for (int64_t i = 0; i < n; i++)
        finite = finite && isfinite(dtype == AG_F32 ? (double)f[i * stride] : d[i * stride]);
    return finite;
}

static bool all_finite(const ag_array *x, const lines *l) {
    int64_t at[AG_MAX_RANK] = {0}, n = l->rank ? l->extent[l->rank - 1] : 1,
            step = l->rank ? l->stride[l->rank - 1] : 1;
    const int64_t bytes = (int64_t)ag_dtype_size(x->dtype);
    const char *from = x->data;
    if (x->size == 0) return true;
    for (;;) {
        if (!line_is_finite(x->dtype, from, n, step)) return false;
        int i = l->rank - 2;
        for (; i >= 0; i--) {
            int64_t by = ++at[i] < l->extent[i] ? 1 : 1 - l->extent[i];
            from += by * l->stride[i] * bytes;
            if (by == 1) break;
            at[i] = 0;
        }
        if (i < 0) return true;
    }
}

bool ag__all_finite(const ag_array *x) {
    const lines l = lines_of(x);
    return all_finite(x, &l);
}

/* ---- With elements that are not finite ---- */

static void add_at(const ag_array *y, int64_t i, double value) {
    if (y->dtype == AG_F32) ((float *)y->data)[i] += (float)value;
    else ((double *)y->data)[i] += value;
}

/* A row-major copy, in scratch memory. */
static bool packed(const ag_call *call, const ag_array *x, int64_t stride[AG_MAX_RANK], ag_array *copy) {
    *copy = *x;
    int64_t step = 1;
    for (int i = x->rank - 1; i >= 0; step *= x->shape[i--]) stride[i] = step;
    copy->stride = stride;
    copy->data = ag_call_scratch(call, ag__times((uint64_t)x->size, ag_dtype_size(x->dtype)));
    if (copy->data) ag__pack(copy->data, x, 0, x->size);
    return copy->data != NULL;
}

static void clear_what_is_not_finite(const ag_array *x) {
    float *f = x->data;
    double *d = x->data;
    for (int64_t i = 0; i < x->size; i++) {
        if (x->dtype == AG_F32 && !isfinite(f[i])) f[i] = 0;
        if (x->dtype == AG_F64 && !isfinite(d[i])) d[i] = 0;
    }
}

/* y[…,i,j] += a[…,i,k]·b[…,k,j] for every a that is not finite and every b that is not a strong zero; all three
 * packed. */
static void add_from_a(const ag_array *a, const ag_array *b, const ag_array *y, bool strong) {
    int64_t m = a->shape[a->rank - 2], k = a->shape[a->rank - 1], n = b->shape[b->rank - 1];
    for (int64_t e = 0; e < a->size; e++) {
        double value = ag__get_element(a->dtype, a->data, e);
        if (isfinite(value)) continue;
        int64_t row = e / k, from = (row / m * k + e % k) * n;
        for (int64_t j = 0; j < n; j++) {
            double other = ag__get_element(b->dtype, b->data, from + j);
            if (!strong || other != 0) add_at(y, row * n + j, value * other);
        }
    }
}

/* y[…,i,j] += a[…,i,k]·b[…,k,j] for every b that is not finite and every finite a that is not a strong zero. */
static void add_from_b(const ag_array *a, const ag_array *b, const ag_array *y, bool strong) {
    int64_t m = a->shape[a->rank - 2], k = a->shape[a->rank - 1], n = b->shape[b->rank - 1];
    for (int64_t e = 0; e < b->size; e++) {
        double value = ag__get_element(b->dtype, b->data, e);
        if (isfinite(value)) continue;
        int64_t row = e / n, batch = row / k;
        for (int64_t i = 0; i < m; i++) {
            double other = ag__get_element(a->dtype, a->data, (batch * m + i) * k + row % k);
            if (isfinite(other) && (!strong || other != 0)) add_at(y, (batch * m + i) * n + e % n, other * value);
        }
    }
}

/* ---- Both ---- */

/* The plain product of other operands. The cast is allowed: the call is the engine's own. */
static bool product_of(const ag_call *call, const ag_array x[2]) {
    ag_call *own = (ag_call *)(uintptr_t)call;
    const ag_array *before = own->x;
    own->x = x;
    bool good = ag__matmul_eval(call);
    own->x = before;
    return good;
}

static bool strong_product(const ag_call *call, int64_t strong) {
    int64_t stride[4][AG_MAX_RANK];
    ag_array full[2], clean[2];
    for (int i = 0; i < 2; i++) {
        if (!packed(call, &call->x[i], stride[i], &full[i])) return false;
        if (!packed(call, &full[i], stride[2 + i], &clean[i])) return false;
        clear_what_is_not_finite(&clean[i]);
    }
    if (!product_of(call, clean)) return false;
    add_from_a(&full[0], &full[1], &call->y, strong & B);
    add_from_b(&full[0], &full[1], &call->y, strong & A);
    return true;
}

static bool met_are_finite(const ag_call *call, int64_t strong, const lines l[2]) {
    return (!(strong & B) || all_finite(&call->x[0], &l[0])) && (!(strong & A) || all_finite(&call->x[1], &l[1]));
}

bool ag__meets_finite(const ag_call *call) {
    const lines l[2] = {lines_of(&call->x[0]), lines_of(&call->x[1])};
    return met_are_finite(call, *(const int64_t *)call->attributes, l);
}

/* A product that is added to y would overwrite the sum before it is searched: then the other operand is searched. */
static bool strong_matmul_eval(const ag_call *call) {
    int64_t strong = *(const int64_t *)call->attributes;
    const lines l[2] = {lines_of(&call->x[0]), lines_of(&call->x[1])};
    int64_t met = (strong & B ? l[0].count : 0) + (strong & A ? l[1].count : 0);
    if (!call->accumulate && call->y.size < met) {
        if (!ag__matmul_eval(call)) return false;
        if (ag__all_finite(&call->y) || met_are_finite(call, strong, l)) return true;
    } else if (met_are_finite(call, strong, l)) {
        return ag__matmul_eval(call);
    }
    return strong_product(call, strong);
}

static bool strong_matmul_infer(ag_infer *r) {
    int64_t strong = *(const int64_t *)r->attributes;
    if (strong < A || strong > (A | B))
        return ag_reject(r, AG_ERR_RANGE, "the attribute is %lld: 1 (a), 2 (b) or 3 (both) is wanted",
                         (long long)strong);
    return ag__matmul_infer(r);
}

static ag_tensor *strong_matmul_vjp(ag_tensor *y, ag_tensor *g, int i) {
    int64_t strong = *(const int64_t *)ag_attributes(y);
    ag_tensor *a = ag_input(y, 0), *b = ag_input(y, 1);
    return i == 0 ? ag__slope_matmul(g, ag_transpose(b, -2, -1), A, strong & B)
                  : ag__slope_matmul(ag_transpose(a, -2, -1), g, B, strong & A);
}

const ag_op ag__op_strong_matmul = {.name = "strong_matmul",
                                    .notation = "{0} @ {1}",
                                    .kind = AG_KIND_CONTRACTION,
                                    .arity = 2,
                                    .attribute_bytes = sizeof(int64_t),
                                    .flags = AG_OP_ACCUMULATES,
                                    .infer = strong_matmul_infer,
                                    .eval = strong_matmul_eval,
                                    .vjp = strong_matmul_vjp};

ag_tensor *ag__slope_matmul(ag_tensor *a, ag_tensor *b, int64_t cotangent, int64_t strong) {
    if (!ag__is_weak(a)) strong |= cotangent;
    return strong ? ag_apply(&ag__op_strong_matmul, 2, (ag_tensor *[]){a, b}, &strong, sizeof strong) : ag_matmul(a, b);
}
