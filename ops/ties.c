/* ties -- how many elements are as large as the largest of them, which the gradients of extremes divide by
 *
 * Where whole rows or columns are reduced, a comparison and a sum are one pass of a region. Elsewhere, as in windows,
 * the comparison would be stored first, and takes more memory than all else. */
#include "ops/rules.h"

#include <string.h>

typedef struct counting {
    int rank, shared; /* two axes at least; the one that threads divide: the first that is not counted; −1: none */
    int64_t extent[AG_MAX_RANK], x[AG_MAX_RANK], y[AG_MAX_RANK], n[AG_MAX_RANK]; /* strides in elements; 0: counted */
    ag_dtype dtype;
    const char *from, *like;
    char *to;
} counting;

/* The two innermost loops. */
#define COUNT(name, type)                                                                                              \
    AG_BLOCK_KERNEL(void, name, (const counting *c, const void *x_, const void *y_, void *n_), (c, x_, y_, n_)) {      \
        const int k = c->rank - 1;                                                                                     \
        const int64_t m = c->extent[k], fx = c->x[k], fy = c->y[k], fn = c->n[k];                                      \
        const type *x = x_, *y = y_;                                                                                   \
        type *n = n_;                                                                                                  \
        for (int64_t i = 0; i < c->extent[k - 1]; i++, x += c->x[k - 1], y += c->y[k - 1], n += c->n[k - 1]) {         \
            if (fx == 1 && fy == 1 && fn == 1) {                                                                       \
                AG_SIMD                                                                                                \
                for (int64_t j = 0; j < m; j++) n[j] += (type)(x[j] == y[j]);                                          \
            } else {                                                                                                   \
                for (int64_t j = 0; j < m; j++) n[j * fn] += (type)(x[j * fx] == y[j * fy]);                           \
            }                                                                                                          \
        }                                                                                                              \
    }
COUNT(count_f32, float)
COUNT(count_f64, double)

/* Elements `from` to `end` of the shared axis, all of the others. */
static void count(const counting *c, int axis, int64_t from, int64_t end, const char *x, const char *y, char *n) {
    const int64_t bytes = (int64_t)ag_dtype_size(c->dtype);
    if (axis == c->rank - 2) {
        (c->dtype == AG_F32 ? count_f32 : count_f64)(c, x, y, n);
        return;
    }
    const bool shared = axis == c->shared;
    for (int64_t i = shared ? from : 0; i < (shared ? end : c->extent[axis]); i++)
        count(c, axis + 1, from, end, x + i * c->x[axis] * bytes, y + i * c->y[axis] * bytes,
              n + i * c->n[axis] * bytes);
}

static void count_share(void *c_, int i, int n) {
    const counting *c = c_;
    const int64_t all = c->extent[c->shared];
    count(c, 0, ag__share_start(all, i, n), ag__share_start(all, i + 1, n), c->from, c->like, c->to);
}

static void add_axis(counting *c, int64_t extent, int64_t x, int64_t y, int64_t n) {
    const int k = c->rank++;
    c->extent[k] = extent, c->x[k] = x, c->y[k] = y, c->n[k] = n;
    if (n != 0 && extent > 1 && c->shared < 0) c->shared = k;
}

static bool ties_eval(const ag_call *call) {
    const ag_array *x = &call->x[0], *y = &call->x[1], *n = &call->y;
    counting c = {.shared = -1, .dtype = x->dtype, .from = x->data, .like = y->data, .to = n->data};
    if (n->size > 0) memset(n->data, 0, (size_t)n->size * ag_dtype_size(n->dtype));
    if (x->size == 0) return true;
    for (int i = x->rank; i < 2; i++) add_axis(&c, 1, 0, 0, 0);
    for (int i = 0; i < x->rank; i++) {
        const bool counted = y->shape[i] == 1;
        add_axis(&c, x->shape[i], x->stride[i], counted ? 0 : y->stride[i], counted ? 0 : n->stride[i]);
    }
    const bool divides = c.shared >= 0 && c.shared < c.rank - 2;
    const int threads = divides ? ag__worthwhile(x->size, call->threads) : 1;
    if (!divides) count(&c, 0, 0, 0, c.from, c.like, c.to);
    else ag__parallel((int)ag__lesser(threads, c.extent[c.shared]), count_share, &c);
    return true;
}

static bool ties_infer(ag_infer *r) {
    const ag_shape x = r->shape, y = ag_shape_of(r->x[1]);
    if (ag_dtype_of(r->x[0]) != r->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "dtypes %s and %s differ", ag_dtype_name(ag_dtype_of(r->x[0])),
                         ag_dtype_name(r->dtype));
    if (r->dtype != AG_F32 && r->dtype != AG_F64)
        return ag_reject(r, AG_ERR_DTYPE, "the dtype %s is not supported", ag_dtype_name(r->dtype));
    bool fits = x.rank == y.rank;
    for (int i = 0; i < x.rank && fits; i++) fits = y.extent[i] == x.extent[i] || y.extent[i] == 1;
    if (!fits) return ag_reject(r, AG_ERR_SHAPE, "the extents of the second must be 1, or those of the first");
    r->shape = y;
    return true;
}

const ag_op ag__op_ties = {.name = "ties",
                           .notation = "ties({0}, {1})",
                           .kind = AG_KIND_OPAQUE,
                           .arity = 2,
                           .infer = ties_infer,
                           .vjp = ag_zero_vjp,
                           .eval = ties_eval};
