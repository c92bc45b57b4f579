/* contract -- products and sums by their names: dot, inner, outer, kron, cross, trace
 *
 * Each checks its inputs before it records anything, so that an invalid call is reported under the name that was
 * called. */
#include "ops/rules.h"

/* Whether `name` is defined for a and b, of one dtype, which is real, or i64 if `integers`; if not, *nil is set,
 * after an error. */
static bool usable_pair(const char *name, ag_tensor *a, ag_tensor *b, bool integers, ag_tensor **nil) {
    ag_tensor *const in[] = {a, b};
    if (!ag__inputs_usable(name, 2, in, nil)) return false;
    if (a->dtype == b->dtype && (ag__is_real(a->dtype) || (integers && a->dtype == AG_I64))) return true;
    *nil = ag__fail(name, 2, in, AG_ERR_DTYPE,
                    integers ? "both must be i64, f32 or f64, and the same" : "both must be f32, or both f64");
    return false;
}

static ag_tensor *differ(const char *name, ag_tensor *a, ag_tensor *b, int64_t m, int64_t n) {
    return ag__fail(name, 2, (ag_tensor *[]){a, b}, AG_ERR_SHAPE, "inner axes %lld and %lld differ", (long long)m,
                    (long long)n);
}

static bool ranks_fit(const char *name, ag_tensor *a, ag_tensor *b, int rank, ag_tensor **nil) {
    if (rank <= AG_MAX_RANK) return true;
    *nil = ag__fail(name, 2, (ag_tensor *[]){a, b}, AG_ERR_SHAPE, "the result would have %d axes, not 0 to %d", rank,
                    AG_MAX_RANK);
    return false;
}

static ag_tensor *ravel(ag_tensor *x) { return ag__reshape(x, &AG_SHAPE(-1)); }

/* x with one axis first, the others in their order. */
static ag_tensor *with_first(ag_tensor *x, int axis) {
    ag_axes order = {.count = 1, .axis = {axis}};
    for (int i = 0; i < ag_rank(x); i++)
        if (i != axis) order.axis[order.count++] = i;
    return ag__permute(x, &order);
}

/* The last axis of a with one of b. */
static ag_tensor *product_along(const char *name, ag_tensor *a, ag_tensor *b, int axis) {
    ag_tensor *nil;
    const int64_t m = ag_extent(a, -1), n = ag_extent(b, axis);
    if (m != n) return differ(name, a, b, m, n);
    if (!ranks_fit(name, a, b, ag_rank(a) + ag_rank(b) - 2, &nil)) return nil;
    ag_shape shape = ag_shape_of(a);
    shape.rank--;
    for (int i = 0; i < ag_rank(b); i++)
        if (i != axis) shape.extent[shape.rank++] = ag_extent(b, i);
    if (!ag__shape_fits(name, 2, (ag_tensor *[]){a, b}, &shape, &nil)) return nil;
    return ag_tensordot(a, with_first(b, axis), 1);
}

ag_tensor *ag_dot(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil;
    if (!usable_pair("dot", a, b, false, &nil)) return nil;
    if (ag_rank(a) == 0 || ag_rank(b) == 0) return ag_mul(a, b);
    return product_along("dot", a, b, ag_rank(b) == 1 ? 0 : ag_rank(b) - 2);
}

ag_tensor *ag_inner(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil;
    if (!usable_pair("inner", a, b, false, &nil)) return nil;
    if (ag_rank(a) == 0 || ag_rank(b) == 0) return ag_mul(a, b);
    return product_along("inner", a, b, ag_rank(b) - 1);
}

ag_tensor *ag_vdot(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil;
    if (!usable_pair("vdot", a, b, false, &nil)) return nil;
    if (ag_size(a) != ag_size(b))
        return ag__fail("vdot", 2, (ag_tensor *[]){a, b}, AG_ERR_SHAPE, "%lld and %lld elements differ",
                        (long long)ag_size(a), (long long)ag_size(b));
    return ag_tensordot(ravel(a), ravel(b), 1);
}

static ag_tensor *too_large(const char *name, ag_tensor *a, ag_tensor *b) {
    return ag__fail(name, 2, (ag_tensor *[]){a, b}, AG_ERR_SHAPE,
                    "the result would have more elements than can be counted");
}

ag_tensor *ag_outer(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil;
    if (!usable_pair("outer", a, b, true, &nil)) return nil;
    if ((double)ag_size(a) * (double)ag_size(b) >= 0x1p59) return too_large("outer", a, b);
    return ag_mul(ag_unsqueeze(ravel(a), 1), ravel(b));
}

/* ---- kron ---- */

/* The shape with leading axes of extent 1 up to `rank`. */
static ag_shape with_rank(ag_tensor *x, int rank) {
    ag_shape shape = {.rank = rank};
    const int more = rank - ag_rank(x);
    for (int i = 0; i < rank; i++) shape.extent[i] = i < more ? 1 : ag_extent(x, i - more);
    return shape;
}

/* Each element of an axis repeated `times`, in its place or as a whole, by one copy; the other axes as two. */
static ag_tensor *repeated(ag_tensor *x, int axis, int64_t times, bool each) {
    ag_shape shape = ag_shape_of(x);
    const int64_t n = shape.extent[axis];
    int64_t before = 1, behind = 1;
    if (times == 1) return x;
    for (int i = 0; i < axis; i++) before *= shape.extent[i];
    for (int i = axis + 1; i < shape.rank; i++) behind *= shape.extent[i];
    shape.extent[axis] = n * times;
    const ag_shape apart = each ? AG_SHAPE(before, n, 1, behind) : AG_SHAPE(before, 1, n, behind);
    const ag_shape all = each ? AG_SHAPE(before, n, times, behind) : AG_SHAPE(before, times, n, behind);
    return ag__reshape(ag__broadcast(ag__reshape(x, &apart), &all), &shape);
}

/* a (m,1,…), b (1,p,…), which takes twice the axes. */
static ag_tensor *kron_by_axes(ag_tensor *a, ag_tensor *b, const ag_shape *p, const ag_shape *q) {
    ag_shape wide_a = {.rank = 2 * p->rank}, wide_b = wide_a, y = {.rank = p->rank};
    for (int i = 0; i < p->rank; i++) {
        wide_a.extent[2 * i] = p->extent[i], wide_a.extent[2 * i + 1] = 1;
        wide_b.extent[2 * i] = 1, wide_b.extent[2 * i + 1] = q->extent[i];
        y.extent[i] = p->extent[i] * q->extent[i];
    }
    return ag__reshape(ag_mul(ag__reshape(a, &wide_a), ag__reshape(b, &wide_b)), &y);
}

/* Whether a tensor of p's extents beside q's has a size, as if those without elements had some. */
static bool has_size(const ag_shape *p, const ag_shape *q) {
    double size = 1;
    for (int i = 0; i < p->rank; i++) {
        const int64_t of_p = p->extent[i], of_q = q->extent[i];
        size *= (double)(of_p + !of_p) * (double)(of_q + !of_q);
    }
    return size < 0x1p59;
}

ag_tensor *ag_kron(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil;
    if (!usable_pair("kron", a, b, true, &nil)) return nil;
    const int rank = ag_rank(a) > ag_rank(b) ? ag_rank(a) : ag_rank(b);
    const ag_shape p = with_rank(a, rank), q = with_rank(b, rank);
    if (!has_size(&p, &q)) return too_large("kron", a, b);
    if (2 * rank <= AG_MAX_RANK) return kron_by_axes(a, b, &p, &q);
    a = ag__reshape(a, &p);
    b = ag__reshape(b, &q);
    for (int i = rank - 1; i >= 0; i--) {
        a = repeated(a, i, q.extent[i], true);
        b = repeated(b, i, p.extent[i], false);
    }
    return ag_mul(a, b);
}

/* ---- cross ---- */

/* x with element i of an axis of 3 where i−by was. */
static ag_tensor *turned(ag_tensor *x, int axis, int64_t by) {
    return ag_concat(2, (ag_tensor *[]){ag_slice(x, axis, by, AG_END, 1), ag_slice(x, axis, 0, by, 1)}, axis);
}

ag_tensor *ag_cross(ag_tensor *a, ag_tensor *b, int axis) {
    ag_tensor *nil, *const in[] = {a, b};
    ag_shape shape;
    if (!usable_pair("cross", a, b, true, &nil)) return nil;
    const int rank = ag_rank(a) > ag_rank(b) ? ag_rank(a) : ag_rank(b), at = ag__axis(axis, rank) - rank;
    if (ag__axis(axis, rank) < 0)
        return ag__fail("cross", 2, in, AG_ERR_AXIS, "axis %d is out of range for rank %d", axis, rank);
    if (ag_rank(a) < -at || ag_rank(b) < -at || ag_extent(a, at) != 3 || ag_extent(b, at) != 3)
        return ag__fail("cross", 2, in, AG_ERR_SHAPE, "both must have 3 elements along axis %d", axis);
    if (!ag__share_shape("cross", 2, in, &shape, &nil)) return nil;
    return ag_sub(ag_mul(turned(a, at, 1), turned(b, at, 2)), ag_mul(turned(a, at, 2), turned(b, at, 1)));
}

/* ---- tensordot with lists of axes ---- */

/* The axes of x that are not in the list, before or behind those of the list. */
static ag_tensor *grouped(ag_tensor *x, const ag_axes *listed, uint32_t mask, bool last) {
    ag_axes order = {0};
    for (int i = 0; i < ag_rank(x) && last; i++)
        if (!(mask & 1u << i)) order.axis[order.count++] = i;
    for (int i = 0; i < listed->count; i++) order.axis[order.count++] = listed->axis[i];
    for (int i = 0; i < ag_rank(x) && !last; i++)
        if (!(mask & 1u << i)) order.axis[order.count++] = i;
    return ag__permute(x, &order);
}

/* The axes, not negative, in order; and as a set. */
static bool resolved(ag_tensor *x, ag_axes *axes, uint32_t *mask, ag_tensor **nil) {
    if (!ag__axes_mask("tensordot", x, axes, mask, nil)) return false;
    const bool all = axes->count < 0;
    if (all) axes->count = ag_rank(x);
    for (int i = 0; i < axes->count; i++) axes->axis[i] = all ? i : ag__axis(axes->axis[i], ag_rank(x));
    return true;
}

ag_tensor *ag_tensordot_over(ag_tensor *a, ag_tensor *b, ag_axes axes_a, ag_axes axes_b) {
    ag_tensor *nil, *const in[] = {a, b};
    uint32_t mask_a, mask_b;
    if (!usable_pair("tensordot", a, b, false, &nil) || !resolved(a, &axes_a, &mask_a, &nil) ||
        !resolved(b, &axes_b, &mask_b, &nil))
        return nil;
    if (axes_a.count != axes_b.count)
        return ag__fail("tensordot", 2, in, AG_ERR_AXIS, "%d axes of a and %d of b are given: as many are wanted",
                        axes_a.count, axes_b.count);
    for (int i = 0; i < axes_a.count; i++) {
        const int p = axes_a.axis[i], q = axes_b.axis[i];
        if (ag_extent(a, p) != ag_extent(b, q))
            return ag__fail("tensordot", 2, in, AG_ERR_SHAPE, "axis %d of a has %lld elements, and axis %d of b %lld",
                            p, (long long)ag_extent(a, p), q, (long long)ag_extent(b, q));
    }
    if (!ranks_fit("tensordot", a, b, ag_rank(a) + ag_rank(b) - 2 * axes_a.count, &nil)) return nil;
    return ag_tensordot(grouped(a, &axes_a, mask_a, true), grouped(b, &axes_b, mask_b, false), axes_a.count);
}

/* ---- Traces ---- */

static ag_tensor *trace_of(const char *name, ag_tensor *x, int64_t offset, int axis0, int axis1) {
    if (ag_dtype_of(x) == AG_BOOL) return ag__fail(name, 1, &x, AG_ERR_DTYPE, "needs i64, f32 or f64, not bool");
    return ag__sum(ag_diagonal(x, offset, axis0, axis1), &AG_AXES(-1), false);
}

ag_tensor *ag_matrix_trace(ag_tensor *x) {
    ag_tensor *nil;
    if (!ag__inputs_usable("matrix_trace", 1, &x, &nil)) return nil;
    if (ag_rank(x) < 2) return ag__fail("matrix_trace", 1, &x, AG_ERR_SHAPE, "needs two axes or more");
    return trace_of("matrix_trace", x, 0, ag_rank(x) - 2, ag_rank(x) - 1);
}

ag_tensor *ag_matrix_trace_over(ag_tensor *x, int64_t offset, int axis0, int axis1) {
    ag_tensor *nil;
    if (!ag__inputs_usable("matrix_trace", 1, &x, &nil)) return nil;
    const int rank = ag_rank(x), p = ag__axis(axis0, rank), q = ag__axis(axis1, rank);
    if (p < 0 || q < 0)
        return ag__fail("matrix_trace", 1, &x, AG_ERR_AXIS, "axis %d is out of range for rank %d",
                        p < 0 ? axis0 : axis1, rank);
    if (p == q) return ag__fail("matrix_trace", 1, &x, AG_ERR_AXIS, "axis %d is given twice", axis1);
    return trace_of("matrix_trace", x, offset, p, q);
}
