/* matrices -- see matrices.h */
#include "ops/matrices.h"
#include "autograd/eval/eval.h"
#include "autograd/tape/format.h"
#include "ops/product.h"
#include "ops/rules.h"

#include <string.h>

/* ---- Recording ---- */

static ag_shape with_leading(const ag_tensor *x, const ag_shape *leading) {
    ag_shape shape = *leading;
    for (int i = -2; i < 0; i++) shape.extent[shape.rank++] = ag_extent(x, i);
    return shape;
}

bool ag__common_leading(const ag_tensor *a, const ag_tensor *b, ag_shape *leading) {
    const ag__layout *p = a->layout, *q = b->layout;
    leading->rank = (p->rank > q->rank ? p->rank : q->rank) - 2;
    for (int i = 0; i < leading->rank; i++) {
        const int j = p->rank - 2 - leading->rank + i, k = q->rank - 2 - leading->rank + i;
        const int64_t e = j < 0 ? 1 : p->extent[j], f = k < 0 ? 1 : q->extent[k];
        if (e != f && e != 1 && f != 1) return false;
        leading->extent[i] = e == 1 ? f : e;
    }
    const char *why;
    const ag_shape with_a = with_leading(a, leading), with_b = with_leading(b, leading);
    return ag__shape_valid(&with_a, &(int64_t){0}, &why) && ag__shape_valid(&with_b, &(int64_t){0}, &why);
}

ag_tensor *ag__with_leading(ag_tensor *x, const ag_shape *leading) {
    const ag_shape shape = with_leading(x, leading);
    return ag__broadcast(x, &shape);
}

bool ag__usable_matrices(const char *name, int n, ag_tensor *const x[], bool square, ag_tensor **nil) {
    if (!ag__inputs_usable(name, n, x, nil)) return false;
    const ag__layout *a = x[0]->layout;
    for (int i = 0; i < n; i++)
        if (!ag__is_real(x[0]->dtype) || x[i]->dtype != x[0]->dtype) {
            *nil = n == 1 ? ag__fail(name, n, x, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(x[0]->dtype))
                          : ag__fail(name, n, x, AG_ERR_DTYPE, "both must be f32, or both f64");
            return false;
        }
    if (a->rank < 2) *nil = ag__fail(name, n, x, AG_ERR_SHAPE, "needs two axes or more");
    else if (square && a->extent[a->rank - 1] != a->extent[a->rank - 2])
        *nil = ag__fail(name, n, x, AG_ERR_SHAPE, "needs square matrices, not of %lld rows and %lld columns",
                        (long long)a->extent[a->rank - 2], (long long)a->extent[a->rank - 1]);
    else return true;
    return false;
}

/* Each result is nil if t is. The location that the call was given is that of what it recorded, and of its error. */
static ag_status leave(ag_tensor *t, int n, ag_tensor **const y[]) {
    int line;
    const char *file = ag__here_file(&line);
    for (int i = 0; ag_is_nil(t) && i < n; i++)
        if (y[i]) *y[i] = t;
    return ag__leave(ag_tape_of(t), file, line);
}

ag_status ag__begin_results(const char *name, ag_tensor *a, bool square, int n, ag_tensor **const y[]) {
    ag_tensor *nil;
    for (int i = 0; i < n; i++)
        if (!y[i]) return leave(ag__fail(name, 1, &a, AG_ERR_NULL, "a place for a result is NULL"), n, y);
    return ag__usable_matrices(name, 1, &a, square, &nil) ? AG_OK : leave(nil, n, y);
}

ag_status ag__end_results(int n, ag_tensor **const y[]) { return leave(*y[n - 1], n, y); }

bool ag__is_matrix(const ag_infer *r, bool square) {
    const ag__layout *a = r->x[0]->layout;
    for (int i = 0; i < r->n; i++)
        if (!ag__is_real(r->x[0]->dtype) || r->x[i]->dtype != r->x[0]->dtype)
            return ag_reject(r, AG_ERR_DTYPE, r->n == 1 ? "needs f32 or f64" : "all must be f32, or all f64");
    if (a->rank < 2) return ag_reject(r, AG_ERR_SHAPE, "needs two axes or more");
    return !square || a->extent[a->rank - 1] == a->extent[a->rank - 2] ||
           ag_reject(r, AG_ERR_SHAPE, "needs square matrices, not of %lld rows and %lld columns",
                     (long long)a->extent[a->rank - 2], (long long)a->extent[a->rank - 1]);
}

ag_tensor *ag__outer(ag_tensor *g, ag_tensor *y, bool strong) {
    return ag__slope_matmul(g, ag__turned(y), 1, strong ? 2 : 0);
}

ag_tensor *ag__mirrored(ag_tensor *x) { return ag_add(ag_tril(x, 0), ag__turned(ag_tril(x, -1))); }

/* ---- Evaluating ---- */

void *ag__item(const ag_array *x, int own, int64_t i) {
    int64_t offset = 0;
    for (int axis = x->rank - own - 1; axis >= 0; i /= x->shape[axis--]) offset += i % x->shape[axis] * x->stride[axis];
    return (char *)x->data + offset * (int64_t)ag_dtype_size(x->dtype);
}

int64_t ag__items(const ag_array *x, int own) {
    int64_t n = 1;
    for (int axis = 0; axis < x->rank - own; axis++) n *= x->shape[axis];
    return n;
}

void ag__copy_item(const ag_array *x, int64_t i, bool turned, void *to, int64_t ld) {
    const size_t size = ag_dtype_size(x->dtype);
    const int64_t bytes = (int64_t)size, *shape = x->shape + x->rank - 2, *stride = x->stride + x->rank - 2;
    if (shape[0] == 0 || shape[1] == 0) return;
    ag__copy_matrix(size, to, ld * bytes, ag__item(x, 2, i), stride[turned] * bytes, stride[!turned] * bytes,
                    shape[turned], shape[!turned]);
}

typedef struct fault { /* the first of a share */
    int64_t item, wrong;
} fault;

typedef struct each {
    const ag_call *call;
    int64_t count;
    int64_t (*one)(const ag_call *call, int64_t i, char *memory);
    char *memory;
    size_t bytes;
    fault *faults;
} each;

static void run(void *e_, int i, int n) {
    const each *e = e_;
    const int64_t end = ag__share_start(e->count, i + 1, n);
    for (int64_t k = ag__share_start(e->count, i, n); k < end; k++) {
        const int64_t wrong = e->one(e->call, k, e->memory + (size_t)i * e->bytes);
        if (wrong == AG__DONE) continue;
        e->faults[i] = (fault){k, wrong};
        return;
    }
}

bool ag__each_item(const ag_call *call, int64_t count, double work, size_t bytes,
                   int64_t (*one)(const ag_call *call, int64_t i, char *memory), int64_t *item, int64_t *wrong) {
    if (count == 0) return true;
    const double all = work * (double)count;
    int n = ag__worthwhile(all < 0x1p60 ? (int64_t)all : INT64_C(1) << 60, call->threads);
    if (n > count) n = (int)count;
    const size_t faults = ag__rounded((size_t)n * sizeof(fault), 64);
    char *memory = ag_call_scratch(call, ag__plus(faults, ag__times((uint64_t)n, bytes)));
    *wrong = AG__DONE;
    if (!memory) return false;
    each e = {call, count, one, memory + faults, bytes, (fault *)(void *)memory};
    for (int i = 0; i < n; i++) e.faults[i] = (fault){0, AG__DONE};
    ag__parallel(n, run, &e);
    for (int i = 0; i < n; i++) {
        if (e.faults[i].wrong == AG__DONE) continue;
        *item = e.faults[i].item;
        *wrong = e.faults[i].wrong;
        return false;
    }
    return true;
}

bool ag__fail_item(const ag_call *call, ag_status status, int64_t item, int64_t wrong, const char *what) {
    char places[AG__EXTENTS];
    int64_t index[AG_MAX_RANK] = {0};
    const ag_array *x = &call->x[0];
    if (wrong == AG__DONE) return false;
    for (int axis = x->rank - 3; axis >= 0; item /= x->shape[axis--]) index[axis] = item % x->shape[axis];
    if (x->rank == 2) return ag_call_fail(call, status, "the matrix %s", what);
    return ag_call_fail(call, status, "the matrix at [%s] %s", ag__format_extents(places, x->rank - 2, index), what);
}
