/* source -- constants and random numbers
 *
 * Random numbers are a function of a counter: those of block i of draw d under seed s are philox(key s, counter (i,
 * d)). So any thread can make any part of them, and an element does not depend on how many are made with it. */
#include "autograd/tape/limits.h"
#include "autograd/tape/philox.h"
#include "ops/rules.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Constants ---- */

static bool full_infer(ag_infer *r) {
    double value = *(const double *)r->attributes;
    r->shape = AG_SCALAR; /* one element is stored, which ag_full broadcasts */
    if (ag__fits(value, r->dtype)) return true;
    return ag_reject(r, AG_ERR_RANGE, "%s cannot hold %g", ag_dtype_name(r->dtype), value);
}

static bool full_eval(const ag_call *call) {
    ag__put_element(call->y.dtype, call->y.data, 0, *(const double *)call->attributes);
    return true;
}

const ag_op ag__op_full = {.name = "full",
                           .notation = "{d0}",
                           .kind = AG_KIND_SOURCE,
                           .flags = AG_OP_CONSTANT,
                           .attribute_bytes = sizeof(double),
                           .infer = full_infer,
                           .eval = full_eval};

ag_tensor *ag_full(ag_tape *tape, ag_dtype dtype, ag_shape shape, double value) {
    ag_tensor *one = ag_apply_source(&ag__op_full, tape, dtype, shape, &value, sizeof value);
    return shape.rank == 0 || ag_is_nil(one) ? one : ag__broadcast(one, &shape);
}

ag_tensor *ag_zeros(ag_tape *tape, ag_dtype dtype, ag_shape shape) { return ag_full(tape, dtype, shape, 0); }

ag_tensor *ag_ones(ag_tape *tape, ag_dtype dtype, ag_shape shape) { return ag_full(tape, dtype, shape, 1); }

ag_tensor *ag_scalar(ag_tape *tape, ag_dtype dtype, double value) { return ag_full(tape, dtype, AG_SCALAR, value); }

AG__SHORT static ag_tensor *full_like(const char *name, ag_tensor *x, double value) {
    ag_tensor *nil;
    if (!ag__inputs_usable(name, 1, &x, &nil)) return nil;
    return ag_full(ag_tape_of(x), ag_dtype_of(x), ag_shape_of(x), value);
}

ag_tensor *ag_full_like(ag_tensor *x, double value) { return full_like("full_like", x, value); }

ag_tensor *ag_zeros_like(ag_tensor *x) { return full_like("zeros_like", x, 0); }

ag_tensor *ag_ones_like(ag_tensor *x) { return full_like("ones_like", x, 1); }

/* ---- Progressions ---- */

static const int64_t most_steps = INT64_MAX / 16;
static const double most_whole = 0x1p53; /* integers up to it are exact */

/* Element i of n is start + i·step for i < half, and stop − (n−1−i)·step from there on: so both ends are exact. */
typedef struct progression {
    double start, step, stop;
    int64_t half;
} progression;

static bool is_whole(double x) { return fabs(x) <= most_whole && floor(x) == x; }

AG__SHORT static bool arange_infer(ag_infer *r) {
    const progression *p = r->attributes;
    const double most = r->dtype == AG_F32 ? (double)FLT_MAX : DBL_MAX;
    if (r->dtype == AG_BOOL) return ag_reject(r, AG_ERR_DTYPE, "needs i64, f32 or f64, not bool");
    if (!(fabs(p->start) <= most) || !(fabs(p->stop) <= most) || !(fabs(p->step) <= DBL_MAX))
        return ag_reject(r, AG_ERR_RANGE, "%g, %g and %g must be finite in %s", p->start, p->stop, p->step,
                         ag_dtype_name(r->dtype));
    const double last = p->start + p->step * (double)r->shape.extent[0];
    if (r->dtype != AG_I64 || (is_whole(p->start) && is_whole(p->step) && fabs(last) <= most_whole)) return true;
    return ag_reject(r, AG_ERR_RANGE, "%g and %g must be integers, here and at the end", p->start, p->step);
}

/* y[j] = base + (first + j·way)·step, rounded once; `way` is ±1. Of vectors of an int doubles are one instruction. */
AG_BLOCK_KERNEL(void, steps, (int n, double first, double way, double step, double base, double *y),
                (n, first, way, step, base, y)) {
    AG_SIMD for (int j = 0; j < n; j++) y[j] = fma(first + j * way, step, base);
}

static bool arange_eval(const ag_call *call) {
    const progression *p = call->attributes;
    const int64_t n = call->y.size;
    const bool wide = call->y.dtype == AG_F64;
    if (call->y.dtype == AG_I64) {
        const int64_t start = (int64_t)p->start, step = (int64_t)p->step;
        int64_t *y = call->y.data;
        for (int64_t i = 0; i < n; i++) y[i] = start + i * step;
        return true;
    }
    const bool whole = p->half >= n && is_whole(p->step);
    const double start = whole ? p->start + 0 : p->start; /* among whole numbers is no −0 */
    for (int64_t i = 0, some; i < n; i += some) {
        const bool lower = i < p->half;
        double strip[AG__STRIP], *to = wide ? (double *)call->y.data + i : strip;
        some = ag__lesser((lower ? ag__lesser(n, p->half) : n) - i, AG__STRIP);
        const double first = (double)(lower ? i : n - 1 - i), way = lower ? 1 : -1;
        steps((int)some, first, way, p->step * way, lower ? start : p->stop, to);
        if (!wide) ag__narrow(some, (float *)call->y.data + i, strip);
    }
    return true;
}

AG__SHORT static const char *arange_notation(const ag_tensor *y) {
    const progression *p = ag_attributes(y);
    return p->start == 0 && p->step == 1 ? "arange({size})" : "arange({size}, {d0}, {d1})";
}

const ag_op ag__op_arange = {.name = "arange",
                             .notation_of = arange_notation,
                             .kind = AG_KIND_SOURCE,
                             .attribute_bytes = sizeof(progression),
                             .infer = arange_infer,
                             .eval = arange_eval};

AG__SHORT static ag_tensor *progress(ag_tape *tape, ag_dtype dtype, int64_t n, progression p) {
    return ag_apply_source(&ag__op_arange, tape, dtype, AG_SHAPE(n), &p, sizeof p);
}

ag_tensor *ag_arange(ag_tape *tape, ag_dtype dtype, int64_t n) {
    return progress(tape, dtype, n, (progression){0, 1, 0, INT64_MAX});
}

/* NULL if there are n steps, of these numbers; else nil, after an error. */
AG__SHORT static ag_tensor *steps_wrong(ag_tape *tape, ag_dtype dtype, const progression *p, double n) {
    static const char name[] = "arange_with";
    const double start = p->start, stop = p->stop, step = p->step;
    if (step == 0) return ag__fail_on(tape, name, AG_ERR_RANGE, "step 0 leads nowhere");
    if (!(fabs(start) <= DBL_MAX) || !(fabs(stop) <= DBL_MAX) || !(fabs(step) <= DBL_MAX))
        return ag__fail_on(tape, name, AG_ERR_RANGE, "%g, %g and %g must be finite", start, stop, step);
    if (dtype == AG_I64 && !(is_whole(start) && is_whole(stop) && is_whole(step)))
        return ag__fail_on(tape, name, AG_ERR_RANGE, "%g, %g and %g must be integers up to 2^53", start, stop, step);
    if (n < (double)most_steps) return NULL;
    return ag__fail_on(tape, name, AG_ERR_SHAPE, "%g elements are more than can be counted", n);
}

ag_tensor *ag_arange_with(ag_tape *tape, ag_dtype dtype, double start, double stop, double step) {
    const double n = ceil((stop - start) / step);
    ag_tensor *nil = steps_wrong(tape, dtype, &(progression){.start = start, .step = step, .stop = stop}, n);
    if (nil) return nil;
    return progress(tape, dtype, n > 0 ? (int64_t)n : 0, (progression){start, step, 0, INT64_MAX});
}

AG__SHORT ag_tensor *ag_linspace(ag_tape *tape, ag_dtype dtype, double start, double stop, int64_t n);
ag_tensor *ag_linspace(ag_tape *tape, ag_dtype dtype, double start, double stop, int64_t n) {
    const double parts = n > 1 ? (double)(n - 1) : 1, wide = stop - start;
    if (dtype != AG_F32 && dtype != AG_F64)
        return ag__fail_on(tape, "linspace", AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(dtype));
    const double step = fabs(wide) <= DBL_MAX ? wide / parts : stop / parts - start / parts;
    return progress(tape, dtype, n, (progression){start, step, stop, n > 1 ? n / 2 : n});
}

AG__SHORT ag_tensor *ag_logspace(ag_tape *tape, ag_dtype dtype, double start, double stop, int64_t n, double base);
ag_tensor *ag_logspace(ag_tape *tape, ag_dtype dtype, double start, double stop, int64_t n, double base) {
    if (dtype != AG_F32 && dtype != AG_F64)
        return ag__fail_on(tape, "logspace", AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(dtype));
    if (!(base > 0 && base <= DBL_MAX))
        return ag__fail_on(tape, "logspace", AG_ERR_RANGE, "the base is %g: a finite number above 0 is wanted", base);
    if (!tape) return ag__fail_on(NULL, "logspace", AG_ERR_NULL, "the tape is NULL");
    ag_tensor *exponent = ag_linspace(tape, AG_F64, start, stop, n);
    if (ag_is_nil(exponent)) return exponent;
    return ag_cast(ag_pow(ag_scalar(tape, AG_F64, base), exponent), dtype);
}

/* ---- Random bits ---- */

enum {
    WORDS = AG__PHILOX_WORDS, /* of a batch, */
    EACH_F32 = WORDS,         /* and its numbers: an f32 takes one word, */
    EACH_F64 = WORDS / 2,     /* an f64 two */
    WORK = 8                  /* steps a number, about */
};

typedef struct stream {   /* the attributes of a random operation */
    double first, second; /* low and high, or mean and std */
    uint64_t seed, draw;
} stream;

/* ---- From bits to numbers, a batch at a time ---- */

typedef void maker(const stream *s, const uint32_t word[WORDS], void *y);

typedef struct drawing {
    const ag_call *call;
    maker *make;
    int64_t each; /* elements of a batch */
} drawing;

static void draw_share(void *d_, int i, int n) {
    const drawing *d = d_;
    const stream *s = d->call->attributes;
    const ag_array *y = &d->call->y;
    const size_t bytes = ag_dtype_size(y->dtype);
    const int64_t batches = (y->size + d->each - 1) / d->each, end = ag__share_start(batches, i + 1, n);
    for (int64_t c = ag__share_start(batches, i, n); c < end; c++) {
        uint32_t word[WORDS];
        double made[EACH_F64];
        const int64_t start = c * d->each, count = y->size - start < d->each ? y->size - start : d->each;
        ag__philox_batch(s->seed, s->draw, (uint64_t)c * AG__PHILOX_LANES, word);
        d->make(s, word, made);
        memcpy((char *)y->data + (size_t)start * bytes, made, (size_t)count * bytes);
    }
}

static bool random_eval(const ag_call *call, maker *make, int64_t each) {
    drawing d = {call, make, each};
    ag__parallel(ag__worthwhile(call->y.size * WORK, call->threads), draw_share, &d);
    return true;
}

AG__SHORT static ag_tensor *apply_random(const ag_op *op, ag_tape *tape, ag_dtype dtype, const ag_shape *shape,
                                         double first, double second) {
    stream s = {first, second, 0, 0};
    if (tape) s.draw = ag__next_draw(tape, &s.seed);
    ag_tensor *y = ag_apply_source(op, tape, dtype, *shape, &s, sizeof s);
    if (!ag_is_nil(y)) ag__draw_taken(tape);
    return y;
}

AG__SHORT static bool random_infer(ag_infer *r) {
    const stream *s = r->attributes;
    const double most = r->dtype == AG_F32 ? (double)FLT_MAX : DBL_MAX;
    if (r->dtype != AG_F32 && r->dtype != AG_F64)
        return ag_reject(r, AG_ERR_DTYPE, "needs f32 or f64, not %s", ag_dtype_name(r->dtype));
    if (fabs(s->first) <= most && fabs(s->second) <= most) return true;
    return ag_reject(r, AG_ERR_RANGE, "%g and %g must both be finite in %s", s->first, s->second,
                     ag_dtype_name(r->dtype));
}

/* ---- Uniform ---- */

/* low + (high − low)·u, unless that width is infinite; clamped, as rounding may lead out of the interval. */
AG_BLOCK_KERNEL(void, uniform_f32, (const stream *s, const uint32_t word[WORDS], void *y_), (s, word, y_)) {
    const float low = (float)s->first, high = (float)s->second, width = (float)(s->second - s->first);
    const float first = (double)low < s->first ? nextafterf(low, INFINITY) : low;
    const float below = (double)high < s->second ? high : nextafterf(high, -INFINITY);
    const float last = below > first ? below : first;
    const bool wide = width > FLT_MAX;
    float *y = y_;
    AG_SIMD for (int i = 0; i < EACH_F32; i++) {
        const float u = ag__unit_f32(word[i]);
        float v = wide ? low * (1 - u) + high * u : low + width * u;
        v = v < first ? first : v;
        y[i] = v > last ? last : v;
    }
}
AG_BLOCK_KERNEL(void, uniform_f64, (const stream *s, const uint32_t word[WORDS], void *y_), (s, word, y_)) {
    const double low = s->first, high = s->second, width = high - low;
    const double below = nextafter(high, -(double)INFINITY), last = below > low ? below : low;
    const bool wide = width > DBL_MAX;
    double *y = y_;
    AG_SIMD for (int i = 0; i < EACH_F64; i++) {
        const double u = ag__unit_f64(word[i], word[EACH_F64 + i]);
        double v = wide ? low * (1 - u) + high * u : low + width * u;
        v = v < low ? low : v;
        y[i] = v > last ? last : v;
    }
}

static bool uniform_infer(ag_infer *r) {
    const stream *s = r->attributes;
    if (!random_infer(r)) return false;
    return s->first <= s->second ||
           ag_reject(r, AG_ERR_RANGE, "low is %g and high is %g: low <= high is wanted", s->first, s->second);
}

static bool uniform_eval(const ag_call *call) {
    return call->y.dtype == AG_F32 ? random_eval(call, uniform_f32, EACH_F32)
                                   : random_eval(call, uniform_f64, EACH_F64);
}

const ag_op ag__op_uniform = {.name = "uniform",
                              .notation = "uniform({d0}, {d1})",
                              .kind = AG_KIND_SOURCE,
                              .attribute_bytes = sizeof(stream),
                              .infer = uniform_infer,
                              .eval = uniform_eval};

ag_tensor *ag_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double low, double high) {
    return apply_random(&ag__op_uniform, tape, dtype, &shape, low, high);
}

/* ---- Normal ---- */

static void normal_f32(const stream *s, const uint32_t word[WORDS], void *y) {
    ag__normals_f32(s->first, s->second, word, y);
}
static void normal_f64(const stream *s, const uint32_t word[WORDS], void *y) {
    ag__normals_f64(s->first, s->second, AG__PHILOX_LANES / AG__PHILOX_GROUP, word, y);
}

static bool normal_infer(ag_infer *r) {
    const stream *s = r->attributes;
    if (!random_infer(r)) return false;
    return s->second >= 0 || ag_reject(r, AG_ERR_RANGE, "the standard deviation is %g: 0 or more is wanted", s->second);
}

static bool normal_eval(const ag_call *call) {
    return call->y.dtype == AG_F32 ? random_eval(call, normal_f32, EACH_F32) : random_eval(call, normal_f64, EACH_F64);
}

const ag_op ag__op_normal = {.name = "normal",
                             .notation = "normal({d0}, {d1})",
                             .kind = AG_KIND_SOURCE,
                             .attribute_bytes = sizeof(stream),
                             .infer = normal_infer,
                             .eval = normal_eval};

ag_tensor *ag_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double mean, double std) {
    return apply_random(&ag__op_normal, tape, dtype, &shape, mean, std);
}
