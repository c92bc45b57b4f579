/* random -- numbers of distributions, composed of uniform, normal and gamma ones
 *
 * Parameters are checked, broadcast to each other, and made NaN where they are invalid. */
#include "ops/sampling.h"

#include <float.h>
#include <math.h>

/* A call: its parameters, broadcast to each other. */
typedef struct drawing {
    const char *name;
    int n;
    ag_tensor *x[4];
    ag_tape *tape;
    ag_dtype dtype;
    ag_shape shape;
    ag_tensor *nil; /* after an error */
} drawing;

static bool fail(drawing *d, ag_status status, const char *message) {
    d->nil = ag__fail(d->name, d->n, d->x, status, "%s", message);
    return false;
}

static bool begin(drawing *d) {
    int clash;
    int64_t extents[2];
    if (!ag__inputs_usable(d->name, d->n, d->x, &d->nil)) return false;
    d->tape = ag_tape_of(d->x[0]), d->dtype = ag_dtype_of(d->x[0]);
    for (int i = 0; i < d->n; i++)
        if (ag_dtype_of(d->x[i]) != d->dtype || !ag__is_real((int)d->dtype))
            return fail(d, AG_ERR_DTYPE,
                        d->n > 1 ? "parameters must be f32 or f64, and of one dtype" : "needs f32 or f64");
    if (!ag__common_shape(d->n, d->x, &d->shape, &clash, extents))
        return fail(d, AG_ERR_SHAPE, "parameters cannot be broadcast to each other");
    if (!ag__shape_fits(d->name, d->n, d->x, &d->shape, &d->nil)) return false;
    for (int i = 0; i < d->n; i++) {
        d->x[i] = ag__broadcast(d->x[i], &d->shape);
        if (ag_is_nil(d->x[i])) return d->nil = d->x[i], false;
    }
    return true;
}

#define BEGIN(call, ...)                                                                                               \
    drawing d = {.name = call, .x = {__VA_ARGS__}, .n = sizeof((ag_tensor *[]){__VA_ARGS__}) / sizeof(ag_tensor *)};   \
    if (!begin(&d)) return d.nil

static ag_tensor *number(const drawing *d, double x) { return ag_scalar(d->tape, d->dtype, x); }

/* x, NaN where it is less than 0, or with `strict` not more. */
static ag_tensor *from_zero(const drawing *d, ag_tensor *x, bool strict) {
    ag_tensor *zero = number(d, 0);
    return ag_where(strict ? ag_less(zero, x) : ag_less_equal(zero, x), x, number(d, (double)NAN));
}

static ag_tensor *normal(const drawing *d) { return ag_normal(d->tape, d->dtype, d->shape, 0, 1); }

/* 0 < u < 1: neither its logarithm nor that of 1 − u is infinite. */
static ag_tensor *uniform(const drawing *d) {
    return ag_uniform(d->tape, d->dtype, d->shape, d->dtype == AG_F32 ? 0x1p-25 : 0x1p-54, 1);
}

static ag_tensor *exponential(const drawing *d) { return ag_neg(ag_log1p(ag_neg(uniform(d)))); }

/* location + scale·z */
static ag_tensor *placed(const drawing *d, ag_tensor *z) {
    return ag_add(d->x[0], ag_mul(from_zero(d, d->x[1], false), z));
}

ag_tensor *ag_draw_bernoulli(ag_tensor *p) {
    BEGIN("draw_bernoulli", p);
    ag_tensor *y = ag_cast(ag_less(uniform(&d), p), d.dtype);
    return ag_where(ag_less_equal(ag_abs(ag_add_scalar(p, -0.5)), number(&d, 0.5)), y, number(&d, (double)NAN));
}

ag_tensor *ag_draw_binomial(ag_tensor *n, ag_tensor *p) {
    BEGIN("draw_binomial", n, p);
    return ag__binomial_numbers(d.x[0], d.x[1]);
}

ag_tensor *ag_draw_poisson(ag_tensor *rate) {
    BEGIN("draw_poisson", rate);
    return ag__poisson_numbers(rate);
}

ag_tensor *ag_draw_normal(ag_tensor *mean, ag_tensor *std) {
    BEGIN("draw_normal", mean, std);
    return placed(&d, normal(&d));
}

/* Rounding may lead out of the interval. */
ag_tensor *ag_draw_truncated_normal(ag_tensor *mean, ag_tensor *std, ag_tensor *low, ag_tensor *high) {
    BEGIN("draw_truncated_normal", mean, std, low, high);
    ag_tensor *scale = from_zero(&d, d.x[1], true), *a = ag_div(ag_sub(d.x[2], d.x[0]), scale);
    ag_tensor *z = ag__truncated_numbers(a, ag_div(ag_sub(d.x[3], d.x[0]), scale));
    return ag_minimum(d.x[3], ag_maximum(d.x[2], ag_add(d.x[0], ag_mul(scale, z))));
}

/* Not low + (high − low)·u, whose width may be over the largest number. */
ag_tensor *ag_draw_uniform(ag_tensor *low, ag_tensor *high) {
    BEGIN("draw_uniform", low, high);
    ag_tensor *u = uniform(&d), *y = ag_add(ag_mul(d.x[0], ag_rsub_scalar(1, u)), ag_mul(d.x[1], u));
    return ag_where(ag_less_equal(low, high), y, number(&d, (double)NAN));
}

ag_tensor *ag_draw_exponential(ag_tensor *rate) {
    BEGIN("draw_exponential", rate);
    return ag_div(exponential(&d), from_zero(&d, rate, true));
}

ag_tensor *ag_draw_laplace(ag_tensor *location, ag_tensor *scale) {
    BEGIN("draw_laplace", location, scale);
    ag_tensor *e = exponential(&d);
    return placed(&d, ag_where(ag_less(uniform(&d), number(&d, 0.5)), ag_neg(e), e));
}

ag_tensor *ag_draw_cauchy(ag_tensor *location, ag_tensor *scale) {
    BEGIN("draw_cauchy", location, scale);
    ag_tensor *above = normal(&d);
    return placed(&d, ag_div(above, normal(&d)));
}

ag_tensor *ag_draw_gumbel(ag_tensor *location, ag_tensor *scale) {
    BEGIN("draw_gumbel", location, scale);
    return placed(&d, ag_neg(ag_log(exponential(&d))));
}

/* Not 0, whose logarithm is infinite: at least the smallest normal number. */
static ag_tensor *over_zero(ag_tensor *x) {
    return ag_clamp_min(x, ag_dtype_of(x) == AG_F32 ? (double)FLT_MIN : DBL_MIN);
}

ag_tensor *ag_draw_gamma(ag_tensor *a, ag_tensor *rate) {
    BEGIN("draw_gamma", a, rate);
    return over_zero(ag_div(ag__gamma_numbers(d.x[0], false), from_zero(&d, d.x[1], true)));
}

ag_tensor *ag_draw_beta(ag_tensor *a, ag_tensor *b) {
    BEGIN("draw_beta", a, b);
    ag_tensor *log_x = ag__gamma_numbers(d.x[0], true);
    return ag_sigmoid(ag_sub(log_x, ag__gamma_numbers(d.x[1], true)));
}

ag_tensor *ag_draw_dirichlet(ag_tensor *a) {
    BEGIN("draw_dirichlet", a);
    if (d.shape.rank == 0 || d.shape.extent[d.shape.rank - 1] == 0)
        return fail(&d, AG_ERR_SHAPE, "an axis with elements is wanted"), d.nil;
    return over_zero(ag_softmax(ag__gamma_numbers(a, true), -1));
}

ag_tensor *ag_draw_student(ag_tensor *freedom) {
    BEGIN("draw_student", freedom);
    ag_tensor *half = ag_scale(freedom, 0.5), *z = normal(&d);
    return ag_mul(z, ag_exp(ag_scale(ag_sub(ag_log(half), ag__gamma_numbers(half, true)), 0.5)));
}
