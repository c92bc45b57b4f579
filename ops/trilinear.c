/* trilinear -- see trilinear.h
 *
 * Invariant: attributes that infer has accepted describe three shapes that belong together, and sums and products of
 * their numbers do not overflow. */
#include "ops/trilinear.h"
#include "ops/list.h"
#include "ops/rules.h"

#include <string.h>

enum { X = AG__X, W = AG__W, G = AG__G };

/* Whether the numbers, which may be any bytes, are of a convolution; if not, an error. */
static bool numbers_accepted(const ag_infer *r, const ag__trilinear *d, bool dense) {
    if (d->axes < 1 || d->axes > AG__SPACE || d->output < X || d->output > G || d->strong < 0 ||
        d->strong >= 1 << AG__ROLES || d->strong >> d->output & 1 || d->groups < 0 || d->groups > INT32_MAX ||
        (d->groups > 0) != dense)
        return ag_reject(r, AG_ERR_RANGE, "the attributes are out of range");
    for (int i = 0; i < d->axes; i++) {
        if (d->stride[i] < 1 || d->dilation[i] < 1 || d->before[i] < 0 || d->dilation[i] > INT32_MAX ||
            d->before[i] > INT32_MAX || d->size[i] > INT32_MAX)
            return ag_reject(
                r, AG_ERR_RANGE,
                "stride %lld, dilation %lld and padding %lld of axis %d: 1, 1 and 0 are the least, and 2³¹ "
                "is too much",
                (long long)d->stride[i], (long long)d->dilation[i], (long long)d->before[i], i + 1);
        if (d->size[i] < 1 || d->in[i] < 0 || d->in[i] > INT64_MAX / 8 || d->places[i] < 0 ||
            d->places[i] > (INT64_MAX / 8) / d->stride[i])
            return ag_reject(r, AG_ERR_RANGE, "%lld windows of %lld and an extent of %lld on axis %d are out of range",
                             (long long)d->places[i], (long long)d->size[i], (long long)d->in[i], i + 1);
    }
    return true;
}

/* The numbers that the shapes of all three share: samples, and the channels of x and of g. */
typedef struct common {
    int64_t n, in, out;
} common;

static common common_of(const ag_infer *r, const ag__trilinear *d) {
    const ag_tensor *first = r->x[0], *second = r->x[1];
    const int64_t last = ag_extent(second, -1);
    if (d->output != X) return (common){ag_extent(first, 0), ag_extent(first, -1), last};
    common c = {ag_extent(second, 0), last, last};
    if (d->groups > 0) { /* the first is w; more channels than can be counted fit no w */
        const int64_t of_group = ag_extent(first, (int)d->axes);
        c.in = of_group > INT64_MAX / d->groups ? 0 : of_group * d->groups;
    }
    return c;
}

/* The shape of a tensor in this role: (n,…,c); (…,c) or (…,c of a group,k) for the weight. */
static ag_shape shape_in(const ag__trilinear *d, int role, common c) {
    ag_shape s = {0};
    if (role != W) s.extent[s.rank++] = c.n;
    for (int i = 0; i < d->axes; i++) s.extent[s.rank++] = role == X ? d->in[i] : role == W ? d->size[i] : d->places[i];
    if (role == W && d->groups > 0) s.extent[s.rank++] = c.in / d->groups;
    s.extent[s.rank++] = role == X ? c.in : c.out;
    return s;
}

static bool has_shape(const ag_tensor *x, const ag_shape *shape) {
    bool same = x->layout->rank == shape->rank;
    for (int i = 0; same && i < shape->rank; i++) same = x->layout->extent[i] == shape->extent[i];
    return same;
}

static bool shapes_wrong(const ag_infer *r, const ag__trilinear *d) {
    return ag_reject(r, AG_ERR_SHAPE,
                     d->groups ? "(N,L…,C) and (K…,C/G,K) are wanted, or (N,O…,K) with the places of windows, "
                                 "and channels that are multiples of the groups"
                               : "(N,L…,C) and (K…,C) are wanted, or (N,O…,C) with the places of windows");
}

bool ag__trilinear_infer(ag_infer *r, bool dense) {
    const ag__trilinear *d = r->attributes;
    if (!ag__is_real(r->x[0]->dtype) || r->x[0]->dtype != r->x[1]->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "both must be f32, or both f64");
    if (!numbers_accepted(r, d, dense)) return false;
    const common c = common_of(r, d);
    bool fits = d->groups == 0 ? c.in == c.out : c.in % d->groups == 0 && c.out % d->groups == 0;
    for (int role = 0, i = 0; fits && role < AG__ROLES; role++) {
        const ag_shape shape = shape_in(d, role, c);
        if (role == d->output) r->shape = shape;
        else fits = has_shape(r->x[i++], &shape);
    }
    return fits || shapes_wrong(r, d);
}

/* The roles' tensors, without the output's. */
static ag_tensor *record(const ag_op *op, const ag__trilinear *d, ag_tensor *const of[AG__ROLES]) {
    ag_tensor *in[AG__ROLES];
    for (int role = 0, i = 0; role < AG__ROLES; role++)
        if (role != d->output) in[i++] = of[role];
    return ag_apply(op, 2, in, d, sizeof *d);
}

/* Input i becomes the output, and the cotangent takes the output's place. */
ag_tensor *ag__trilinear_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag__trilinear d = *(const ag__trilinear *)ag_attributes(y);
    ag_tensor *of[AG__ROLES] = {NULL};
    int wanted = X;
    for (int role = 0, k = 0; role < AG__ROLES; role++) {
        if (role == d.output) continue;
        if (k == i) wanted = role;
        of[role] = ag_input(y, k++);
    }
    of[d.output] = g;
    d.strong &= ~(INT64_C(1) << wanted);
    if (!ag__is_weak(g)) d.strong |= 1 << d.output;
    d.output = wanted;
    return record(ag_op_of(y), &d, of);
}

ag_tensor *ag__trilinear_record(const ag_op *op, const char *name, bool dense, bool transposed, ag_tensor *x,
                                ag_tensor *w, int64_t groups, const ag_shape *extents, const ag_shape *stride,
                                const ag_shape *dilation, const ag_shape *before) {
    ag_tensor *nil, *const both[] = {x, w};
    if (!ag__inputs_usable(name, 2, both, &nil)) return nil;
    const int axes = ag_rank(x) - 2;
    if (axes < 1 || axes > AG__SPACE || ag_rank(w) != axes + 1 + dense || stride->rank != axes ||
        dilation->rank != axes || before->rank != axes)
        return ag__fail(name, 2, both, AG_ERR_SHAPE, "(N,L…,C) and %s are wanted, and numbers for one to three axes",
                        dense ? "(K…,C/G,K)" : "(K…,C)");
    ag__trilinear d = {.axes = axes, .output = transposed ? X : G, .groups = groups};
    for (int i = 0; i < axes; i++) {
        const int64_t own = ag_extent(x, i + 1), other = i < extents->rank ? extents->extent[i] : 0;
        d.in[i] = transposed ? other : own, d.places[i] = transposed ? own : other, d.size[i] = ag_extent(w, i);
        d.stride[i] = stride->extent[i], d.dilation[i] = dilation->extent[i], d.before[i] = before->extent[i];
    }
    return record(op, &d, transposed ? (ag_tensor *[]){NULL, w, x} : (ag_tensor *[]){x, w, NULL});
}
