/* windows -- sliding windows over some axes, and fold, which adds overlapping windows up: each is the other's gradient
 *
 * Along a windowed axis element p·step + w·apart of the whole is element w of window p, which reaches over `size`. Both
 * operations have the same attributes, which give the axes and extents of the whole. Elements are apart in gradients of
 * windows that were sliced, as by a dilation: what lies between them is neither stored nor added. */
#include "autograd/eval/eval.h"
#include "autograd/tape/basis.h"
#include "ops/gathered.h"
#include "ops/shaping.h"
#include "ops/ties.h"

#include <string.h>

enum { MOST = AG_MAX_RANK / 2 }; /* windowed axes: each takes two axes of the windows' tensor */

typedef struct sliding {
    int64_t count, axis[MOST], size[MOST], step[MOST], extent[MOST], apart[MOST];
} sliding;

/* How many windows there are along windowed axis k; 0 if its numbers are invalid. */
static int64_t window_count(const sliding *s, int k) {
    if (s->apart[k] < 1 || s->apart[k] > s->size[k] || s->size[k] > s->extent[k] || s->step[k] < 1) return 0;
    return (s->extent[k] - s->size[k]) / s->step[k] + 1;
}

/* How many elements a window has. */
static int64_t width_of(const sliding *s, int k) { return (s->size[k] - 1) / s->apart[k] + 1; }

/* Whether the axes are among the first `rank`, each once, with at least one window each; if not, an error. */
static bool sliding_accepted(const ag_infer *r, const sliding *s, int rank) {
    uint32_t seen = 0;
    for (int k = 0; k < s->count; k++) {
        if (s->axis[k] < 0 || s->axis[k] >= rank || seen & 1u << s->axis[k])
            return ag_reject(r, AG_ERR_AXIS, "each axis must be given once");
        seen |= 1u << s->axis[k];
        if (window_count(s, k) == 0)
            return ag_reject(r, AG_ERR_RANGE, "a window of %lld, step %lld, does not fit on axis %lld with extent %lld",
                             (long long)s->size[k], (long long)s->step[k], (long long)s->axis[k],
                             (long long)s->extent[k]);
    }
    return true;
}

/* `extents`: the sizes of windows over x or, if it folds, the extents that the windows x are folded into. */
AG__SHORT static ag_tensor *record(const ag_op *op, ag_tensor *x, const ag_axes *axes, const ag_shape *extents,
                                   const ag_shape *steps, bool folds) {
    ag_tensor *nil;
    sliding s;
    if (!ag__inputs_usable(op->name, 1, &x, &nil)) return nil;
    const int n = axes->count == -1 ? ag_rank(x) / (folds ? 2 : 1) : axes->count;
    if (n < 0 || n != extents->rank || n != steps->rank)
        return ag__fail(op->name, 1, &x, AG_ERR_SHAPE,
                        "%d extents and %d steps are given for %d axes: one of each for each axis is wanted",
                        extents->rank, steps->rank, n);
    const int rank = ag_rank(x) - (folds ? n : 0);
    if (n > rank || rank + n > AG_MAX_RANK || (axes->count == -1 && n < rank))
        return ag__fail(op->name, 1, &x, AG_ERR_SHAPE,
                        "%d of %d axes cannot have windows: the result may have at most %d axes", n, rank, AG_MAX_RANK);
    if (n == 0 && (!folds || ag_dtype_of(x) != AG_BOOL)) return ag__unchanged(x); /* infer refuses the other */
    memset(&s, 0, sizeof s);
    s.count = n;
    for (int k = 0; k < n; k++) {
        int a = ag__axis(axes->count == -1 ? k : axes->axis[k], rank);
        if (a < 0)
            return ag__fail(op->name, 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d", axes->axis[k], rank);
        s.axis[k] = a;
        s.size[k] = folds ? ag_extent(x, rank + k) : extents->extent[k];
        s.step[k] = steps->extent[k];
        s.apart[k] = 1;
        s.extent[k] = folds ? extents->extent[k] : ag_extent(x, a);
    }
    return ag_apply(op, 1, &x, &s, sizeof s);
}

/* ---- windows ---- */

static bool windows_infer(ag_infer *r) {
    const sliding *s = r->attributes;
    const ag__layout *x = r->x[0]->layout;
    if (s->count < 1 || s->count > MOST || s->count > AG_MAX_RANK - x->rank)
        return ag_reject(r, AG_ERR_SHAPE, "too many axes");
    if (!sliding_accepted(r, s, x->rank)) return false;
    memcpy(r->stride, ag__strides(x), (size_t)x->rank * sizeof(int64_t));
    for (int k = 0; k < s->count; k++) {
        int a = (int)s->axis[k], w = x->rank + k;
        if (s->extent[k] != x->extent[a])
            return ag_reject(r, AG_ERR_SHAPE, "the attributes' extents must be those of x");
        r->shape.extent[w] = width_of(s, k);
        r->stride[w] = r->stride[a] * s->apart[k];
        r->shape.extent[a] = window_count(s, k);
        if (r->shape.extent[a] > 1)
            r->stride[a] *= s->step[k]; /* with one window the step is unused, and may be too large */
    }
    r->shape.rank = x->rank + (int)s->count;
    r->offset = r->x[0]->offset;
    return true;
}

static ag_tensor *windows_vjp(ag_tensor *y, ag_tensor *g, int i) {
    sliding s = *(const sliding *)ag__attributes(y);
    for (int64_t step, k; ag__is_unheld(g) && (k = ag__spread_axis(g, &step) - y->layout->rank + s.count) >= 0;
         g = g->input[0])
        s.apart[k] *= step;
    return (void)i, ag_apply(&ag__op_fold, 1, &g, &s, sizeof s);
}

const ag_op ag__op_windows = {.name = "windows",
                              .kind = AG_KIND_VIEW,
                              .arity = 1,
                              .attribute_bytes = sizeof(sliding),
                              .infer = windows_infer,
                              .vjp = windows_vjp};

ag_tensor *ag_windows(ag_tensor *x, ag_axes axes, ag_shape size, ag_shape step) {
    return record(&ag__op_windows, x, &axes, &size, &step, false);
}

/* ---- fold ---- */

static bool fold_infer(ag_infer *r) {
    const sliding *s = r->attributes;
    if (r->dtype == AG_BOOL) return ag_reject(r, AG_ERR_DTYPE, "the dtype bool is not supported");
    if (s->count < 1 || s->count > MOST || s->count > r->shape.rank / 2)
        return ag_reject(r, AG_ERR_SHAPE, "too few axes");
    int rank = r->shape.rank - (int)s->count;
    if (!sliding_accepted(r, s, rank)) return false;
    for (int k = 0; k < s->count; k++) {
        int64_t *e = &r->shape.extent[s->axis[k]], size = r->shape.extent[rank + k];
        if (size != width_of(s, k) || *e != window_count(s, k))
            return ag_reject(r, AG_ERR_SHAPE, "extent %lld has %lld windows of %lld on axis %lld, not %lld of %lld",
                             (long long)s->extent[k], (long long)window_count(s, k), (long long)s->size[k],
                             (long long)s->axis[k], (long long)*e, (long long)size);
        *e = s->extent[k];
    }
    r->shape.rank = rank;
    return true;
}

/* The loops over x from the outermost in, without axes of extent 1, neighbouring axes joined. Whatever the strides
 * of x, the windows' elements are added to an element of y in the order of the windows. */
typedef struct adding {
    int rank;
    int64_t extent[AG_MAX_RANK], to[AG_MAX_RANK], from[AG_MAX_RANK]; /* strides in elements */
    bool apart[AG_MAX_RANK];                                         /* no two iterations add to one element */
} adding;

static void add_axis(adding *l, int64_t extent, int64_t to, int64_t from, bool apart) {
    if (extent == 1) return;
    int n = l->rank;
    bool joins = n > 0 && l->to[n - 1] == to * extent && l->from[n - 1] == from * extent;
    n -= joins;
    l->extent[n] = joins ? l->extent[n] * extent : extent;
    l->to[n] = to;
    l->from[n] = from;
    l->apart[n] = apart && (!joins || l->apart[n]);
    l->rank = n + 1;
}

/* Plain axes and axes of windows in their order, then the axes within a window, then the plain axes behind the last
 * windowed one: these are channels, which are contiguous. */
AG__SHORT static adding adding_of(const ag_call *call) {
    const sliding *s = call->attributes;
    const ag_array *x = &call->x[0], *y = &call->y;
    adding l = {0};
    int number[AG_MAX_RANK], last = 0;
    memset(number, -1, sizeof number);
    for (int k = 0; k < s->count; k++) {
        number[s->axis[k]] = k;
        if (s->axis[k] > last) last = (int)s->axis[k];
    }
    for (int i = 0; i <= last; i++) {
        int k = number[i];
        int64_t step = k < 0 || x->shape[i] == 1 ? 1 : s->step[k];
        add_axis(&l, x->shape[i], y->stride[i] * step, x->stride[i], k < 0 || s->size[k] <= s->step[k]);
    }
    for (int i = 0; i <= last; i++)
        if (number[i] >= 0)
            add_axis(&l, x->shape[y->rank + number[i]], y->stride[i] * s->apart[number[i]],
                     x->stride[y->rank + number[i]], true);
    for (int i = last + 1; i < y->rank; i++) add_axis(&l, x->shape[i], y->stride[i], x->stride[i], true);
    return l;
}

/* The two innermost loops: y[i·ti + j·tj] += x[i·fi + j·fj]. */
#define ADD_PLANE(name, ytype, xtype)                                                                                  \
    static void name(const adding *l, void *y_, const void *x_) {                                                      \
        const int r = l->rank;                                                                                         \
        const int64_t m = r > 1 ? l->extent[r - 2] : 1, n = r > 0 ? l->extent[r - 1] : 1;                              \
        const int64_t ti = r > 1 ? l->to[r - 2] : 0, fi = r > 1 ? l->from[r - 2] : 0;                                  \
        const int64_t tj = r > 0 ? l->to[r - 1] : 1, fj = r > 0 ? l->from[r - 1] : 1;                                  \
        ytype *y = y_;                                                                                                 \
        const xtype *x = x_;                                                                                           \
        for (int64_t i = 0; i < m; i++, y += ti, x += fi) {                                                            \
            if (tj == 1 && fj == 1) {                                                                                  \
                AG_SIMD                                                                                                \
                for (int64_t j = 0; j < n; j++) y[j] += (ytype)x[j];                                                   \
            } else {                                                                                                   \
                for (int64_t j = 0; j < n; j++) y[j * tj] += (ytype)x[j * fj];                                         \
            }                                                                                                          \
        }                                                                                                              \
    }
ADD_PLANE(add_plane_i64, uint64_t, uint64_t)
ADD_PLANE(add_plane_f32, float, float)
ADD_PLANE(add_plane_f64, double, double)
ADD_PLANE(add_plane_wide, double, float)

/* The function that adds a plane of elements, and their size. */
typedef struct adder {
    const adding *l;
    void (*plane)(const adding *l, void *y, const void *x);
    int64_t y_bytes, x_bytes;
    char *y;
    const char *x;
} adder;

static void add_all(const adder *a, int axis, char *y, const char *x) {
    const adding *l = a->l;
    if (axis >= l->rank - 2) {
        a->plane(l, y, x);
        return;
    }
    for (int64_t i = 0; i < l->extent[axis]; i++)
        add_all(a, axis + 1, y + i * l->to[axis] * a->y_bytes, x + i * l->from[axis] * a->x_bytes);
}

static void add_share(void *a_, int i, int n) {
    const adder *a = a_;
    const adding *l = a->l;
    const int64_t end = ag__share_start(l->extent[0], i + 1, n);
    for (int64_t k = ag__share_start(l->extent[0], i, n); k < end; k++)
        add_all(a, 1, a->y + k * l->to[0] * a->y_bytes, a->x + k * l->from[0] * a->x_bytes);
}

/* Whether many windows overlap on one element: then f32 is summed in f64, so that rounding errors do not add up. */
static bool crowded(const sliding *s, const ag_array *x) {
    double windows = 1;
    for (int k = 0; k < s->count; k++) {
        const int64_t over = (s->size[k] - 1) / s->step[k] + 1, count = x->shape[s->axis[k]];
        windows *= (double)(over < count ? over : count);
    }
    return windows > 2 * AG__ROWS_A_GROUP;
}

static adder adder_of(const ag_call *call, const adding *l) {
    const ag_dtype dtype = call->y.dtype;
    const bool wide = dtype == AG_F32 && crowded(call->attributes, &call->x[0]);
    adder a = {.l = l, .plane = add_plane_i64, .y = call->y.data, .x = call->x[0].data};
    if (dtype != AG_I64) a.plane = wide ? add_plane_wide : dtype == AG_F32 ? add_plane_f32 : add_plane_f64;
    a.x_bytes = (int64_t)ag_dtype_size(dtype);
    a.y_bytes = wide ? (int64_t)sizeof(double) : a.x_bytes;
    return a;
}

/* y, or memory for it in f64, becomes 0; false without memory. */
static bool begin(const ag_call *call, adder *a) {
    if (a->plane == add_plane_wide) a->y = ag_call_scratch(call, ag__times((uint64_t)call->y.size, sizeof(double)));
    if (a->y) memset(a->y, 0, (size_t)(call->y.size * a->y_bytes));
    return a->y != NULL;
}

static bool end(const ag_call *call, const adder *a) {
    const double *sum = (const double *)(const void *)a->y;
    for (int64_t i = 0; a->plane == add_plane_wide && i < call->y.size; i++) ((float *)call->y.data)[i] = (float)sum[i];
    return true;
}

/* No two threads write one element of y: they divide the outermost loop, if its iterations are apart. */
static int threads_for(const ag_call *call, const adding *l) {
    const int threads = ag__worthwhile(call->x[0].size, call->threads);
    return l->rank > 2 && l->apart[0] ? threads : 1;
}

static bool fold_eval(const ag_call *call) {
    const adding l = adding_of(call);
    adder a = adder_of(call, &l);
    if (!begin(call, &a)) return false;
    const int threads = threads_for(call, &l);
    if (threads > 1) ag__parallel(threads, add_share, &a);
    else if (call->x[0].size > 0) add_all(&a, 0, a.y, a.x);
    return end(call, &a);
}

/* ---- fold of a product ----
 *
 * The gradient of a convolution by the image folds a product whose rows are places and whose columns are what is within
 * a window. If the loops over places are the outer ones, some rows at a time are computed and added up: the additions
 * to an element have the same order. */

typedef struct folded_product {
    adder inner; /* loops over the columns of a row */
    const adding *l;
    ag__product p;
    int places;       /* loops over rows */
    int64_t together; /* rows that are computed at a time */
    int way;
    char *memory;
    size_t buffer, bytes; /* of each thread's memory: for rows; all of it */
} folded_product;

/* How many loops of l go over rows of the product, one after the other; -1: they do not, or not by themselves. */
static int loops_over_rows(const adding *l, const ag__product *p) {
    int n = 0;
    int64_t rows = 1;
    while (n < l->rank && l->from[n] >= p->n) n++;
    for (int i = n - 1; i >= 0; rows *= l->extent[i--])
        if (l->from[i] != rows * p->n) return -1;
    for (int i = n; i < l->rank; i++)
        if (l->from[i] < 0) return -1;
    return rows == p->m ? n : -1;
}

/* The place in y of row i. */
static char *row_in_y(const folded_product *f, int64_t i) {
    int64_t at = 0;
    for (int k = f->places - 1; k >= 0; i /= f->l->extent[k--]) at += i % f->l->extent[k] * f->l->to[k];
    return f->inner.y + at * f->inner.y_bytes;
}

static void fold_rows(const folded_product *f, char *memory, int64_t from, int64_t end) {
    const int64_t row = f->p.n * f->inner.x_bytes;
    for (int64_t i = from; i < end; i += f->together) {
        const int64_t m = ag__lesser(f->together, end - i);
        ag__product part = ag__part_of(&f->p, i, m, 0, f->p.n);
        part.y = memory;
        ag__multiply(&part, f->way, memory + f->buffer);
        for (int64_t r = 0; r < m; r++) add_all(&f->inner, 0, row_in_y(f, i + r), memory + r * row);
    }
}

static void fold_share(void *f_, int i, int n) {
    const folded_product *f = f_;
    const int64_t rows = f->p.m / f->l->extent[0];
    fold_rows(f, f->memory + (size_t)i * f->bytes, ag__share_start(f->l->extent[0], i, n) * rows,
              ag__share_start(f->l->extent[0], i + 1, n) * rows);
}

static bool fold_product(const ag_call *call, folded_product *f, const adding *l) {
    enum { FEW = AG__LIMIT(8, 2) };
    adding columns = {.rank = l->rank - f->places};
    for (int i = 0; i < columns.rank; i++) {
        columns.extent[i] = l->extent[f->places + i];
        columns.to[i] = l->to[f->places + i];
        columns.from[i] = l->from[f->places + i];
    }
    const int64_t row = f->p.n * f->inner.x_bytes, most = AG__GATHERED / 2 / row;
    f->l = l;
    f->inner.l = &columns;
    f->together = ag__lesser(f->p.m, most > FEW ? most : FEW);
    const ag__product part = ag__part_of(&f->p, 0, f->together, 0, f->p.n);
    f->buffer = (size_t)(f->together * row + 63) / 64 * 64;
    f->bytes = f->buffer + (ag__multiply_bytes(&part, f->way) + 63) / 64 * 64;
    const int threads = f->places > 0 && l->apart[0] ? (int)ag__lesser(threads_for(call, l), l->extent[0]) : 1;
    f->memory = ag_call_scratch(call, ag__times(f->bytes, (size_t)threads));
    if (!f->memory || !begin(call, &f->inner)) return false;
    if (threads > 1) ag__parallel(threads, fold_share, f);
    else fold_rows(f, f->memory, 0, f->p.m);
    return end(call, &f->inner);
}

/* ---- fold of shares ----
 *
 * The gradient of the extremes of windows folds the shares of their elements, which are added where they belong. */

static bool fold_shares(const ag_call *call, const ag_call *shares) {
    const sliding *s = call->attributes;
    const ag_array *x = &call->x[0], *y = &call->y;
    int64_t to[AG_MAX_RANK];
    uint32_t overlapping = 0, offsets = 0;
    memcpy(to, y->stride, (size_t)y->rank * sizeof *to);
    for (int k = 0; k < s->count; k++) {
        const int64_t a = s->axis[k];
        to[y->rank + k] = y->stride[a] * s->apart[k];
        if (x->shape[a] > 1) to[a] *= s->step[k];
        if (s->size[k] > s->step[k]) overlapping |= 1u << a, offsets |= 1u << (y->rank + k);
    }
    memset(y->data, 0, (size_t)y->size * ag_dtype_size(y->dtype));
    return ag__add_shares(shares, y->data, x, to, overlapping, offsets);
}

/* ---- fold of what is not stored ---- */

bool ag__takes_parts(const ag_op *op, const ag_op *product) {
    return op == &ag__op_fold &&
           (product == &ag__op_tensordot || product == &ag__op_strong_tensordot || product == &ag__op_shares);
}

/* The product, or the shares, are stored after all. The casts are allowed: the calls are the engine's own. */
static bool fold_stored(const ag_call *call, const ag_call *product, int64_t offset) {
    const size_t size = ag_dtype_size(product->y.dtype);
    ag_call *inner = (ag_call *)(uintptr_t)product;
    ag_array whole = call->x[0];
    inner->y.data = ag_call_scratch(call, ag__times((uint64_t)product->y.size, size));
    if (!inner->y.data || !product->node->op->eval(product)) return false;
    whole.data = (char *)inner->y.data + offset * (int64_t)size;
    ((ag_call *)(uintptr_t)call)->x = &whole;
    return fold_eval(call);
}

AG__SHORT bool ag__eval_by_parts(const ag_call *call, const ag_call *product, int64_t offset) {
    const adding l = adding_of(call);
    folded_product f = {.inner = adder_of(call, &l)};
    bool usable;
    if (product->node->op == &ag__op_shares)
        return (f.inner.plane != add_plane_wide && fold_shares(call, product)) || fold_stored(call, product, offset);
    if (!ag__tensordot_rows(call, product, &f.p, &usable)) return false;
    f.places = usable ? loops_over_rows(&l, &f.p) : -1;
    f.way = usable ? ag__way_of(&f.p) : 0;
    return usable && offset == 0 && f.places >= 0 ? fold_product(call, &f, &l) : fold_stored(call, product, offset);
}

static ag_tensor *fold_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)i, ag_apply(&ag__op_windows, 1, &g, ag_attributes(y), sizeof(sliding));
}

const ag_op ag__op_fold = {.name = "fold",
                           .kind = AG_KIND_OPAQUE,
                           .flags = AG_OP_HIDES_NOTHING,
                           .arity = 1,
                           .attribute_bytes = sizeof(sliding),
                           .infer = fold_infer,
                           .eval = fold_eval,
                           .vjp = fold_vjp};

ag_tensor *ag_fold(ag_tensor *x, ag_axes axes, ag_shape extent, ag_shape step) {
    return record(&ag__op_fold, x, &axes, &extent, &step, true);
}
