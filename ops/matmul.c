/* matmul -- matrix products as they are recorded: leading axes are broadcast, and joined where that gives one
 * product */
#include "ops/matrices.h"
#include "ops/product.h"
#include "ops/rules.h"

static ag_tensor *matmul_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = ag_input(y, 0), *b = ag_input(y, 1);
    return i == 0 ? ag__slope_matmul(g, ag_transpose(b, -2, -1), 1, 0)  /* (…,m,n)·(…,k,n)ᵀ -> (…,m,k) */
                  : ag__slope_matmul(ag_transpose(a, -2, -1), g, 2, 0); /* (…,m,k)ᵀ·(…,m,n) -> (…,k,n) */
}

const ag_op ag__op_matmul = {.name = "matmul",
                             .notation = "{0} @ {1}",
                             .kind = AG_KIND_CONTRACTION,
                             .arity = 2,
                             .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
                             .infer = ag__matmul_infer,
                             .eval = ag__matmul_eval,
                             .vjp = matmul_vjp};

/* Whether all axes but the last can be viewed as one. */
static bool rows_in_line(const ag__layout *a) {
    const int64_t *stride = ag__strides(a);
    int64_t inner = 0, extent = 1; /* of the inner axes, joined */
    for (int i = a->rank - 2; i >= 0; i--) {
        if (a->extent[i] == 1) continue;
        if (extent > 1 && stride[i] != inner * extent) return false;
        if (extent == 1) inner = stride[i];
        extent *= a->extent[i];
    }
    return true;
}

/* (…,m,k)·(k,n) as one product (…·m,k)·(k,n), whose b̄ then needs no sum over the leading axes. */
static ag_tensor *matmul_in_line(ag_tensor *a, ag_tensor *b) {
    ag_shape shape = ag_shape_of(a), y_shape = shape;
    const char *why;
    int64_t rows = 1, size;
    y_shape.extent[shape.rank - 1] = ag_extent(b, 1);
    if (!ag__shape_valid(&y_shape, &size, &why)) /* where one extent is 0, the product may be */
        return ag__fail("matmul", 2, (ag_tensor *[]){a, b}, AG_ERR_SHAPE, "the result would have %s", why);
    for (int i = 0; i < shape.rank - 1; i++) rows *= shape.extent[i];
    ag_tensor *lines = ag__reshape(a, &AG_SHAPE(rows, shape.extent[shape.rank - 1]));
    ag_tensor *y = ag_apply(&ag__op_matmul, 2, (ag_tensor *[]){lines, b}, NULL, 0);
    return ag__reshape(y, &y_shape);
}

/* A vector as a row or a column, whose axis the result does not have. */
static ag_tensor *matmul_vectors(ag_tensor *a, ag_tensor *b) {
    const bool row = a->layout->rank == 1, column = b->layout->rank == 1;
    ag_tensor *y = ag_matmul(row ? ag_unsqueeze(a, 0) : a, column ? ag_unsqueeze(b, 1) : b);
    if (row && column) return ag__squeeze(y, &AG_ALL_AXES);
    return ag_squeeze(y, row ? AG_AXES(-2) : AG_AXES(-1));
}

ag_tensor *ag_matmul(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil, *in[2] = {a, b};
    ag_shape leading;
    if (!ag__inputs_usable("matmul", 2, in, &nil)) return nil;
    const ag__layout *p = a->layout, *q = b->layout;
    const int64_t k = p->rank > 0 ? p->extent[p->rank - 1] : -1;
    if ((p->rank == 1 || q->rank == 1) && p->rank > 0 && q->rank > 0 && a->dtype == b->dtype && ag__is_real(a->dtype) &&
        q->extent[q->rank == 1 ? 0 : q->rank - 2] == k)
        return matmul_vectors(a, b);
    bool fits = p->rank >= 2 && q->rank >= 2 && p->extent[p->rank - 1] == q->extent[q->rank - 2] &&
                a->dtype == b->dtype && ag__is_real(a->dtype);
    if (fits && q->rank == 2 && p->rank > 2 && rows_in_line(p)) return matmul_in_line(a, b);
    if (fits && (p->rank > 2 || q->rank > 2) && ag__common_leading(a, b, &leading)) {
        in[0] = ag__with_leading(a, &leading);
        in[1] = ag__with_leading(b, &leading);
    }
    return ag_apply(&ag__op_matmul, 2, in, NULL, 0);
}

/* Leading axes are broadcast as those of matmul. The attribute names the operand whose zeros are strong: the first. */
ag_tensor *ag_strong_matmul(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil, *in[2] = {a, b};
    ag_shape leading;
    const int64_t strong = 1;
    if (!ag__inputs_usable("strong_matmul", 2, in, &nil)) return nil;
    const ag__layout *p = a->layout, *q = b->layout;
    if (p->rank >= 2 && q->rank >= 2 && p->extent[p->rank - 1] == q->extent[q->rank - 2] && a->dtype == b->dtype &&
        ag__is_real(a->dtype) && ag__common_leading(a, b, &leading)) {
        in[0] = ag__with_leading(a, &leading);
        in[1] = ag__with_leading(b, &leading);
    }
    return ag_apply(&ag__op_strong_matmul, 2, in, &strong, sizeof strong);
}
