/* fft -- discrete Fourier transforms as they are recorded: each is linear, and its gradient its adjoint, which is
 * again a transform
 *
 * Between n real numbers and their half spectrum each complex number stands for two, except the first and, for an
 * even n, the last: the adjoints have weights. */
#include "ops/fftw.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

/* ---- Evaluation ---- */

/* The extents without the pairs; on the real side there are none. */
static int complex_rank(const ag__transform *t, const ag_array *x) { return x->rank - (t->kind != AG__TO_HALF); }

static void scale_all(const ag_array *y, double by) {
    float *f = y->data;
    double *d = y->data;
    for (int64_t i = 0; i < y->size && y->dtype == AG_F32; i++) f[i] = (float)((double)f[i] * by);
    for (int64_t i = 0; i < y->size && y->dtype == AG_F64; i++) d[i] *= by;
}

/* x is contiguous. An address that is not aligned would get other code, and perhaps other bits. */
static bool transform_eval(const ag_call *call) {
    const ag__transform *t = call->attributes;
    const ag_array *x = &call->x[0], *y = &call->y;
    const void *from = x->data;
    if (y->size == 0) return true;
    if (!ag__fftw_aligned(from)) {
        const size_t bytes = (size_t)x->size * ag_dtype_size(x->dtype);
        void *copy = ag_call_scratch(call, bytes);
        if (!copy) return false;
        from = memcpy(copy, from, bytes);
    }
    void *to = y->data;
    const size_t bytes = (size_t)y->size * ag_dtype_size(y->dtype);
    if (!ag__fftw_aligned(to) && !(to = ag_call_scratch(call, bytes))) return false;
    if (!ag__fftw(y->dtype, t, complex_rank(t, x), x->shape, from, y->shape, to))
        return ag_call_fail(call, AG_ERR_LIBRARY, "FFTW cannot plan this transform");
    if (to != y->data) memcpy(y->data, to, bytes);
    if (t->scale != 1) scale_all(y, t->scale);
    return true;
}

/* ---- Recording ---- */

static bool transform_infer(ag_infer *r) {
    const ag__transform *t = r->attributes;
    const ag__layout *x = r->x[0]->layout;
    const int rank = x->rank - (t->kind != AG__TO_HALF);
    if (!ag__is_real(r->x[0]->dtype))
        return ag_reject(r, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(r->dtype));
    if (rank < 0 || (t->kind != AG__TO_HALF && x->extent[rank] != 2))
        return ag_reject(r, AG_ERR_SHAPE, "needs complex numbers: a last axis of 2 elements");
    if (t->kind < AG__COMPLEX || t->kind > AG__FROM_HALF || t->forward >> 1 || t->mask < 0 || t->mask >> rank ||
        (t->kind != AG__COMPLEX && (t->mask == 0 || t->mask & (t->mask - 1) || t->n < 1)))
        return ag_reject(r, AG_ERR_RANGE, "the attributes are no transform of %d axes", rank);
    if (!ag__has_fftw()) return ag_reject(r, AG_ERR_LIBRARY, "there is no FFTW, which computes it");
    for (int axis = 0; axis < rank; axis++) {
        const int64_t e = x->extent[axis], wanted = t->kind == AG__TO_HALF ? t->n : t->n / 2 + 1;
        if (!(t->mask >> axis & 1)) continue;
        if (e == 0) return ag_reject(r, AG_ERR_SHAPE, "axis %d has no elements", axis);
        if (t->kind == AG__COMPLEX) continue;
        if (e != wanted)
            return ag_reject(r, AG_ERR_SHAPE, "axis %d has %lld elements, not %lld", axis, (long long)e,
                             (long long)wanted);
        r->shape.extent[axis] = t->kind == AG__TO_HALF ? t->n / 2 + 1 : t->n;
    }
    if (t->kind == AG__TO_HALF && rank == AG_MAX_RANK)
        return ag_reject(r, AG_ERR_SHAPE, "the result would have %d axes, not 0 to %d", rank + 1, AG_MAX_RANK);
    if (t->kind == AG__TO_HALF) r->shape.extent[r->shape.rank++] = 2;
    if (t->kind == AG__FROM_HALF) r->shape.rank--;
    return true;
}

enum { FEW = AG__LIMIT(64, 3), CACHE = AG__LIMIT(64 * 1024, 100) }; /* elements that FFTW takes at once; bytes */

/* FFTW is slow along an axis of many elements that fall onto few lines of a cache, as those a power of two apart do: so
 * such an axis changes places with the last one, by views, and the evaluation makes the copy. */
static ag_tensor *record(ag_tensor *x, const ag__transform *t) {
    const ag_op *op = t->kind == AG__COMPLEX ? &ag__op_fft : t->kind == AG__TO_HALF ? &ag__op_rfft : &ag__op_irfft;
    const int last = ag_rank(x) - 1 - (t->kind != AG__TO_HALF);
    ag__transform part = *t;
    int64_t rest = t->mask;
    uint64_t apart = 2 * sizeof(float);
    for (int axis = last; axis >= 0; axis--) {
        const uint64_t n = (uint64_t)ag_extent(x, axis), lines = apart & (0 - apart); /* x may be nil by now */
        apart *= n;
        if (axis == last || !(rest >> axis & 1) || n <= FEW || n * lines <= CACHE) continue;
        part.mask = INT64_C(1) << last;
        x = ag_transpose(x, axis, last);
        x = ag_transpose(ag_apply(op, 1, &x, &part, sizeof part), axis, last);
        if (rest == INT64_C(1) << axis) return x;
        part.scale = 1;
        rest ^= INT64_C(1) << axis;
    }
    part.mask = rest;
    return ag_apply(op, 1, &x, &part, sizeof part);
}

static int axis_of(const ag__transform *t) {
    int axis = 0;
    while (t->mask >> axis > 1) axis++;
    return axis;
}

/* 1 for the elements of a half spectrum that stand for themselves, and `others` for those that stand for two; of x's
 * dtype, with one axis for pairs and for each axis behind the transformed one. */
static ag_tensor *weights(const ag_tensor *x, const ag__transform *t, int behind, double others) {
    const bool even = t->n % 2 == 0;
    const int64_t m = t->n / 2 + 1;
    ag_tensor *more = ag_full(ag_tape_of(x), ag_dtype_of(x), AG_SHAPE(1 + even), 1 - others);
    ag_tensor *w = ag_add_scalar(ag_embed(more, 0, m, 0, even ? m - 1 : 1), others);
    while (behind-- > 0) w = ag_unsqueeze(w, -1);
    return w;
}

static ag_tensor *transform_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag__transform t = *(const ag__transform *)ag_attributes(y);
    (void)i;
    t.forward = !t.forward;
    if (t.kind == AG__COMPLEX) return record(g, &t);
    if (t.kind == AG__TO_HALF) {
        t.kind = AG__FROM_HALF;
        return record(ag_mul(g, weights(g, &t, ag_rank(g) - 1 - axis_of(&t), 0.5)), &t);
    }
    t.kind = AG__TO_HALF;
    ag_tensor *x = record(g, &t);
    return ag_mul(x, weights(x, &t, ag_rank(x) - 1 - axis_of(&t), 2));
}

const ag_op ag__op_fft = {.name = "fft",
                          .kind = AG_KIND_OPAQUE,
                          .arity = 1,
                          .attribute_bytes = sizeof(ag__transform),
                          .flags = AG_OP_CONTIGUOUS | AG_OP_HIDES_NOTHING,
                          .infer = transform_infer,
                          .eval = transform_eval,
                          .vjp = transform_vjp};

const ag_op ag__op_rfft = {.name = "rfft",
                           .kind = AG_KIND_OPAQUE,
                           .arity = 1,
                           .attribute_bytes = sizeof(ag__transform),
                           .flags = AG_OP_CONTIGUOUS | AG_OP_HIDES_NOTHING,
                           .infer = transform_infer,
                           .eval = transform_eval,
                           .vjp = transform_vjp};

const ag_op ag__op_irfft = {.name = "irfft",
                            .kind = AG_KIND_OPAQUE,
                            .arity = 1,
                            .attribute_bytes = sizeof(ag__transform),
                            .flags = AG_OP_CONTIGUOUS,
                            .infer = transform_infer,
                            .eval = transform_eval,
                            .vjp = transform_vjp};

/* Whether `name` can transform x along these axes, of which there are none for pairs; they become not negative, and
 * a set. */
static bool usable(const char *name, ag_tensor *x, bool pairs, ag_axes *axes, ag_fft_norm norm, int64_t *mask,
                   ag_tensor **nil) {
    if (!ag__inputs_usable(name, 1, &x, nil)) return false;
    const int rank = ag_rank(x) - pairs;
    *mask = 0;
    if (!ag__is_real((int)ag_dtype_of(x))) {
        *nil = ag__fail(name, 1, &x, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(ag_dtype_of(x)));
        return false;
    }
    if (rank < 0 || (pairs && ag_extent(x, -1) != 2)) {
        *nil = ag__fail(name, 1, &x, AG_ERR_SHAPE, "needs complex numbers: a last axis of 2 elements");
        return false;
    }
    if (axes->count == -1) {
        axes->count = rank;
        for (int i = 0; i < rank; i++) axes->axis[i] = i;
    }
    if (axes->count < 0 || axes->count > rank) {
        *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "%d axes are given: 0 to %d are wanted", axes->count, rank);
        return false;
    }
    for (int i = 0; i < axes->count; i++) {
        const int axis = ag__axis(axes->axis[i], rank);
        if (axis < 0 || *mask >> axis & 1) {
            *nil = ag__fail(name, 1, &x, AG_ERR_AXIS,
                            axis < 0 ? "axis %d is out of range for %d axes" : "axis %d is given twice", axes->axis[i],
                            rank);
            return false;
        }
        axes->axis[i] = axis;
        *mask |= INT64_C(1) << axis;
    }
    if ((unsigned)norm <= AG_FFT_FORWARD) return true;
    *nil = ag__fail(name, 1, &x, AG_ERR_RANGE, "there is no norm %d", (int)norm);
    return false;
}

static double scale_of(double n, ag_fft_norm norm, bool forward) {
    if (norm == AG_FFT_ORTHO) return 1 / sqrt(n);
    return (norm == AG_FFT_FORWARD) == forward ? 1 / n : 1;
}

/* Elements along the first `count` of these axes. */
static double elements(ag_tensor *x, const ag_axes *axes, int count) {
    double n = 1;
    for (int i = 0; i < count; i++) n *= (double)ag_extent(x, axes->axis[i]);
    return n;
}

static ag_tensor *complex_transform(const char *name, ag_tensor *x, ag_axes *axes, ag_fft_norm norm, bool forward) {
    ag_tensor *nil;
    int64_t mask;
    if (!usable(name, x, true, axes, norm, &mask, &nil)) return nil;
    const double scale = scale_of(elements(x, axes, axes->count), norm, forward);
    return record(x, &(ag__transform){scale, AG__COMPLEX, mask, forward, 0});
}

ag_tensor *ag_fft(ag_tensor *x, int axis) { return complex_transform("fft", x, &AG_AXES(axis), AG_FFT_BACKWARD, true); }
ag_tensor *ag_ifft(ag_tensor *x, int axis) {
    return complex_transform("ifft", x, &AG_AXES(axis), AG_FFT_BACKWARD, false);
}
ag_tensor *ag_fft_over(ag_tensor *x, ag_axes axes, ag_fft_norm norm) {
    return complex_transform("fft", x, &axes, norm, true);
}
ag_tensor *ag_ifft_over(ag_tensor *x, ag_axes axes, ag_fft_norm norm) {
    return complex_transform("ifft", x, &axes, norm, false);
}

/* The same; the last of the axes, between real numbers and half a spectrum, is not in the set. */
static bool half_usable(const char *name, ag_tensor *x, bool pairs, ag_axes *axes, ag_fft_norm norm, int64_t *mask,
                        int *last, ag_tensor **nil) {
    if (!usable(name, x, pairs, axes, norm, mask, nil)) return false;
    if (axes->count == 0) {
        *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "an axis is wanted");
        return false;
    }
    *last = axes->axis[axes->count - 1];
    *mask &= ~(INT64_C(1) << *last);
    return true;
}

ag_tensor *ag_rfft_over(ag_tensor *x, ag_axes axes, ag_fft_norm norm) {
    ag_tensor *nil;
    int64_t mask;
    int last = 0;
    if (!half_usable("rfft", x, false, &axes, norm, &mask, &last, &nil)) return nil;
    const double n = elements(x, &axes, axes.count);
    if (n == 0) return ag__fail("rfft", 1, &x, AG_ERR_SHAPE, "an axis has no elements");
    ag_tensor *y =
        record(x, &(ag__transform){scale_of(n, norm, true), AG__TO_HALF, INT64_C(1) << last, 1, ag_extent(x, last)});
    return mask == 0 || ag_is_nil(y) ? y : record(y, &(ag__transform){1, AG__COMPLEX, mask, 1, 0});
}

ag_tensor *ag_rfft(ag_tensor *x, int axis) { return ag_rfft_over(x, AG_AXES(axis), AG_FFT_BACKWARD); }

/* So many of the first elements, or zeros behind them. */
static ag_tensor *resized(ag_tensor *x, int axis, int64_t m) {
    return ag_extent(x, axis) > m   ? ag_slice(x, axis, 0, m, 1)
           : ag_extent(x, axis) < m ? ag_embed(x, axis, m, 0, 1)
                                    : x;
}

ag_tensor *ag_irfft_over(ag_tensor *x, int64_t n, ag_axes axes, ag_fft_norm norm) {
    ag_tensor *nil;
    int64_t mask;
    int last = 0;
    if (!half_usable("irfft", x, true, &axes, norm, &mask, &last, &nil)) return nil;
    if (n == 0) n = 2 * (ag_extent(x, last) - 1);
    if (n < 1 || (double)n * (double)ag_size(x) >= 0x1p60)
        return ag__fail("irfft", 1, &x, AG_ERR_RANGE, "%lld real numbers cannot be made", (long long)n);
    const double all = (double)n * elements(x, &axes, axes.count - 1);
    if (all == 0 || ag_extent(x, last) == 0) return ag__fail("irfft", 1, &x, AG_ERR_SHAPE, "an axis has no elements");
    if (!ag__has_fftw()) return ag__fail("irfft", 1, &x, AG_ERR_LIBRARY, "there is no FFTW, which computes it");
    x = resized(x, last, n / 2 + 1);
    if (mask != 0) x = record(x, &(ag__transform){1, AG__COMPLEX, mask, 0, 0});
    return record(x, &(ag__transform){scale_of(all, norm, false), AG__FROM_HALF, INT64_C(1) << last, 0, n});
}

ag_tensor *ag_irfft(ag_tensor *x, int64_t n, int axis) { return ag_irfft_over(x, n, AG_AXES(axis), AG_FFT_BACKWARD); }

/* ---- Complex numbers ---- */

static bool are_complex(const char *name, int n, ag_tensor *const x[], bool real, ag_tensor **nil) {
    if (!ag__inputs_usable(name, n, x, nil)) return false;
    for (int i = 0; i < n; i++) {
        const ag_dtype d = ag_dtype_of(x[i]);
        if (d == AG_BOOL || (real && d == AG_I64) || d != ag_dtype_of(x[0]))
            *nil = ag__fail(name, n, x, AG_ERR_DTYPE,
                            real ? "needs f32 or f64" : "needs i64, f32 or f64, the same for all");
        else if (ag_rank(x[i]) == 0 || ag_extent(x[i], -1) != 2)
            *nil = ag__fail(name, n, x, AG_ERR_SHAPE, "needs complex numbers: a last axis of 2 elements");
        else continue;
        return false;
    }
    return true;
}

static ag_tensor *re(ag_tensor *x) { return ag_slice(x, -1, 0, 1, 1); }
static ag_tensor *im(ag_tensor *x) { return ag_slice(x, -1, 1, 2, 1); }

static ag_tensor *pair(ag_tensor *real, ag_tensor *imaginary) {
    return ag_concat(2, (ag_tensor *[]){real, imaginary}, -1);
}

static ag_tensor *axes_differ(const char *name, ag_tensor *const x[], int i, int64_t a, int64_t b) {
    return ag__fail(name, 2, x, AG_ERR_SHAPE, "axis -%d has %lld and %lld elements", i, (long long)a, (long long)b);
}

/* Broadcast to the other's shape by a view; the sum's shape is known, and its elements are not computed. */
ag_tensor *ag_complex(ag_tensor *real, ag_tensor *imaginary) {
    ag_tensor *nil, *const x[] = {real, imaginary};
    if (!ag__inputs_usable("complex", 2, x, &nil)) return nil;
    if (ag_dtype_of(real) == AG_BOOL || ag_dtype_of(real) != ag_dtype_of(imaginary))
        return ag__fail("complex", 2, x, AG_ERR_DTYPE, "needs i64, f32 or f64, the same for all");
    const int p = ag_rank(real), q = ag_rank(imaginary);
    ag_shape shape = {.rank = p > q ? p : q};
    if (shape.rank == AG_MAX_RANK)
        return ag__fail("complex", 2, x, AG_ERR_SHAPE, "the result would have %d axes, not 0 to %d", shape.rank + 1,
                        AG_MAX_RANK);
    for (int i = 1; i <= shape.rank; i++) {
        const int64_t a = i > p ? 1 : ag_extent(real, -i), b = i > q ? 1 : ag_extent(imaginary, -i);
        if (a != b && a != 1 && b != 1) return axes_differ("complex", x, i, a, b);
        shape.extent[shape.rank - i] = a == 1 ? b : a;
    }
    ag_shape pairs = shape;
    pairs.extent[pairs.rank++] = 2;
    if (!ag__shape_fits("complex", 2, x, &pairs, &nil)) return nil;
    return pair(ag_unsqueeze(ag__broadcast(real, &shape), -1), ag_unsqueeze(ag__broadcast(imaginary, &shape), -1));
}

ag_tensor *ag_complex_mul(ag_tensor *a, ag_tensor *b) {
    ag_tensor *nil, *const x[] = {a, b};
    ag_shape shape;
    if (!are_complex("complex_mul", 2, x, false, &nil)) return nil;
    for (int i = 2; i <= ag_rank(a) && i <= ag_rank(b); i++) {
        const int64_t e = ag_extent(a, -i), f = ag_extent(b, -i);
        if (e != f && e != 1 && f != 1) return axes_differ("complex_mul", x, i, e, f);
    }
    if (!ag__share_shape("complex_mul", 2, x, &shape, &nil)) return nil;
    return pair(ag_sub(ag_mul(re(a), re(b)), ag_mul(im(a), im(b))), ag_add(ag_mul(re(a), im(b)), ag_mul(im(a), re(b))));
}

ag_tensor *ag_complex_conj(ag_tensor *x) {
    ag_tensor *nil;
    return are_complex("complex_conj", 1, &x, false, &nil) ? pair(re(x), ag_neg(im(x))) : nil;
}

/* Relative to the larger magnitude, which is held constant. */
ag_tensor *ag_complex_abs(ag_tensor *x) {
    ag_tensor *nil;
    if (!are_complex("complex_abs", 1, &x, true, &nil)) return nil;
    ag_tensor *zero = ag__number_as(x, 0), *one = ag__number_as(x, 1), *infinite = ag__number_as(x, (double)INFINITY);
    ag_tensor *most = ag_stop_gradient(ag_maximum(ag_abs(re(x)), ag_abs(im(x)))), *is_zero = ag_equal(most, zero);
    ag_tensor *unit = ag_where(ag_less(most, infinite), ag_where(is_zero, one, most), one);
    ag_tensor *sum = ag_add(ag_square(ag_div(re(x), unit)), ag_square(ag_div(im(x), unit)));
    return ag__squeeze(ag_where(is_zero, zero, ag_mul(unit, ag_sqrt(ag_where(is_zero, one, sum)))), &AG_AXES(-1));
}
