/* distributions -- see distributions.h
 *
 * Each family is a line of a table: what its parameters must be, and a function for each quantity, of parameters that
 * are checked, and NaN where they are invalid. A term with a factor that may be 0 (x in x·ln p, a − 1 in (a − 1)·ln x)
 * is a strong product: 0 there, whatever the logarithm is. */
#include "nn/along.h"
#include "nn/refuse.h"

#include <math.h>
#include <string.h>

/* A call: x, the parameters, and those of the q of a divergence, with the families. */
typedef struct about {
    const char *name;
    ag_tensor *x, *a, *b, *c, *qa, *qb;
    ag_family p, q;
} about;

typedef ag_tensor *quantity(const about *d);

static const double LOG_2_PI = 1.83787706640934548356, LOG_PI = 1.14472988584940017414, PI_F64 = 3.14159265358979323846,
                    EULER = 0.57721566490153286061;

static ag_tensor *number(const about *d, double x) { return ag_scalar(ag_tape_of(d->a), ag_dtype_of(d->a), x); }
static ag_tensor *none(const about *d) { return number(d, (double)NAN); }

/* y inside, `outside` elsewhere; NaN where x or a parameter is. */
static ag_tensor *within_or(const about *d, ag_tensor *inside, ag_tensor *y, double outside) {
    ag_tensor *other = number(d, outside), *const all[] = {d->x, d->a, d->b, d->qa, d->qb};
    for (int i = 0; i < 5; i++)
        if (all[i]) other = ag_where(ag_equal(all[i], all[i]), other, none(d));
    return ag_where(inside, y, other);
}

static ag_tensor *infinity(const about *d) {
    return within_or(d, ag_scalar(ag_tape_of(d->a), AG_BOOL, 0), number(d, 0), (double)INFINITY);
}

/* The logarithm of a density. */
static ag_tensor *within(const about *d, ag_tensor *inside, ag_tensor *log_p) {
    return within_or(d, inside, log_p, -(double)INFINITY);
}

static ag_tensor *both(ag_tensor *s, ag_tensor *t) { return ag_where(s, t, s); }
static ag_tensor *from(const about *d, double low) { return ag_less_equal(number(d, low), d->x); }

static ag_tensor *is_whole(const about *d) {
    ag_tensor *cut = ag_cast(ag_cast(d->x, AG_I64), ag_dtype_of(d->x));
    return both(from(d, 0), ag_equal(cut, d->x));
}

static ag_tensor *sum_last(ag_tensor *x) { return ag__sum_along(x, -1, false); }
static ag_tensor *sum3(ag_tensor *x, ag_tensor *y, ag_tensor *z) { return ag_add(ag_add(x, y), z); }
static ag_tensor *less_one(ag_tensor *x) { return ag_add_scalar(x, -1); }
static ag_tensor *half(ag_tensor *x) { return ag_scale(x, 0.5); }
static ag_tensor *complement(ag_tensor *p) { return ag_rsub_scalar(1, p); }
static ag_tensor *log_1_minus(ag_tensor *p) { return ag_log1p(ag_neg(p)); }

static ag_tensor *first(const about *d) { return d->a; }
static ag_tensor *no_number(const about *d) { return ag_add(none(d), ag_scale(d->a, 0)); }

/* ---- What does not cancel ----
 *
 * Logarithms of Γ of large numbers are far larger than what is left of their sums and differences. So from FAR on the
 * large parts of Stirling's formula, ln Γ(x) = (x − ½)·ln x − x + ½·ln 2π + S(x), are taken together by hand, as in
 * C. Loader (2000), Fast and accurate computation of binomial probabilities. S is a polynomial in 1/x, and so are its
 * slopes, whatever the order. */

static const double HALF_LOG_2_PI = 0.91893853320467274178;
enum { FAR = 20, TERMS = 5 };

static ag_tensor *is_far(ag_tensor *x) { return ag_less(ag_scalar(ag_tape_of(x), ag_dtype_of(x), FAR), x); }

/* Numerators and denominators, from that of the largest power down. */
typedef int16_t fraction[2];
static const fraction of_stirling[TERMS] = {{1, 1188}, {-1, 1680}, {1, 1260}, {-1, 360}, {1, 12}};

/* A polynomial, each coefficient times one more than twice its power if `steep`. */
static ag_tensor *polynomial(const fraction *c, bool steep, ag_tensor *x) {
    ag_tensor *y = NULL;
    for (int k = 0;; k++) {
        const double number = c[k][0] * (steep ? 2 * (TERMS - k) - 1 : 1) / (double)c[k][1];
        y = y ? ag_add_scalar(y, number) : ag_scale(x, number);
        if (k == TERMS - 1) return y;
        if (k > 0) y = ag_mul(y, x);
    }
}

/* Σ c·x^(1 − 2k), k = 1, 2, …, or the negative of its slope: S of Stirling's, for x > FAR. */
static ag_tensor *series(const fraction *c, bool steep, ag_tensor *x) {
    ag_tensor *r = ag_rdiv_scalar(1, x), *v = ag_square(r);
    return ag_mul(steep ? v : r, polynomial(c, steep, v));
}
static ag_tensor *stirling_rest(ag_tensor *x) { return series(of_stirling, false, x); }

/* The part of an entropy that is of a series f: f(x) − (x + s)·f′(x) + s/(2x) + ½ + ½·ln 2π. */
static ag_tensor *entropy_by(const fraction *c, double s, ag_tensor *x) {
    ag_tensor *steep = ag_mul(ag_add_scalar(x, s), series(c, true, x));
    return ag_add_scalar(sum3(series(c, false, x), steep, ag_rdiv_scalar(0.5 * s, x)), 0.5 + HALF_LOG_2_PI);
}

/* S(x), and −S′(x) = ln x − ψ(x) − 1/(2x). */
static ag_tensor *stirling(ag_tensor *x) {
    ag_tensor *large = ag_add_scalar(ag_mul(ag_add_scalar(x, -0.5), ag_log(x)), HALF_LOG_2_PI);
    return ag_where(is_far(x), stirling_rest(x), ag_sub(ag_add(ag_lgamma(x), x), large));
}
static ag_tensor *stirling_slope(ag_tensor *x) {
    ag_tensor *near = ag_sub(ag_sub(ag_log(x), ag_digamma(x)), ag_rdiv_scalar(0.5, x));
    return ag_where(is_far(x), series(of_stirling, true, x), near);
}

/* r² − 1 */
static ag_tensor *above_one(ag_tensor *r) { return ag_mul(less_one(r), ag_add_scalar(r, 1)); }

/* r − 1 − ln r: the rounding of a quotient r counts for nothing near 1, where both have it. */
static ag_tensor *excess(ag_tensor *r) { return ag_sub(less_one(r), ag_log(r)); }

/* x·ln(x/m) + m − x for x, m >= 0. */
static ag_tensor *deviance_by(ag_tensor *x, ag_tensor *m, ag_tensor *log_m) {
    ag_tensor *more = ag_sub(m, x), *far = ag_add(more, ag_strong_mul(x, ag_sub(ag_log(x), log_m)));
    return ag_where(ag_less(ag_abs(more), half(x)), ag_mul(x, excess(ag_div(m, x))), far);
}
static ag_tensor *deviance(ag_tensor *x, ag_tensor *m) { return deviance_by(x, m, ag_log(m)); }

/* k·ln m − m − ln Γ(a), a = k + 1. */
static ag_tensor *of_count(ag_tensor *k, ag_tensor *a, ag_tensor *m, ag_tensor *log_m) {
    ag_tensor *far = sum3(deviance_by(k, m, log_m), half(ag_log(k)), ag_add_scalar(stirling_rest(k), HALF_LOG_2_PI));
    return ag_where(is_far(k), ag_neg(far), ag_sub(ag_sub(ag_strong_mul(k, log_m), m), ag_lgamma(a)));
}

/* The logarithm of the probability that of n = k + l it are k, each with the probability p, and `more`, for k, l > FAR;
 * else y. */
static ag_tensor *of_counts(ag_tensor *k, ag_tensor *l, ag_tensor *p, ag_tensor *more, ag_tensor *y) {
    ag_tensor *n = ag_add(k, l), *log_n = ag_log(n), *left, *right;
    left = deviance_by(k, ag_mul(n, p), ag_add(log_n, ag_log(p)));
    right = deviance_by(l, ag_mul(n, complement(p)), ag_add(log_n, log_1_minus(p)));
    ag_tensor *large = ag_add_scalar(half(ag_sub(log_n, ag_add(ag_log(k), ag_log(l)))), -HALF_LOG_2_PI);
    ag_tensor *rest = ag_sub(stirling_rest(n), ag_add(stirling_rest(k), stirling_rest(l)));
    return ag_where(is_far(ag_minimum(k, l)), ag_sub(sum3(large, rest, more), ag_add(left, right)), y);
}

/* The entropy of gamma numbers of this shape, a + ln Γ(a) + (1 − a)·ψ(a). */
static ag_tensor *entropy_of_shape(ag_tensor *a) {
    ag_tensor *near = sum3(a, ag_lgamma(a), ag_mul(complement(a), ag_digamma(a)));
    return ag_where(is_far(a), ag_add(entropy_by(of_stirling, -1, a), half(ag_log(a))), near);
}

/* The entropy of shares, of parts that add up to n, from the sum of those of their shapes; y where n is not large. */
static ag_tensor *less_shape(ag_tensor *n, double others, ag_tensor *sum, ag_tensor *y) {
    ag_tensor *whole = ag_add(entropy_of_shape(n), ag_scale(ag_digamma(n), others));
    return ag_where(is_far(n), ag_sub(sum, whole), y);
}

/* ln Γ(b) − ln Γ(a) − (b − a)·ψ(a), less b·ln(b/a) + a − b. */
static ag_tensor *bow(ag_tensor *a, ag_tensor *b) {
    ag_tensor *steep = ag_mul(ag_sub(b, a), stirling_slope(a));
    return sum3(ag_sub(stirling(b), stirling(a)), steep, half(excess(ag_div(b, a))));
}

static ag_tensor *shape_part(ag_tensor *r, ag_tensor *a, ag_tensor *b) {
    return ag_add(deviance(b, ag_mul(r, a)), bow(a, b));
}

/* (x − location)/scale */
static ag_tensor *standard(const about *d) { return ag_div(ag_sub(d->x, d->a), d->b); }

/* ---- Normal ---- */

static ag_tensor *normal_log_prob(const about *d) {
    return ag_sub(ag_add_scalar(ag_scale(ag_square(standard(d)), -0.5), -0.5 * LOG_2_PI), ag_log(d->b));
}
static ag_tensor *normal_sample(const about *d) { return ag_draw_normal(d->a, d->b); }
static ag_tensor *normal_variance(const about *d) { return ag_square(d->b); }
static ag_tensor *normal_cdf(const about *d) { return ag_ndtr(standard(d)); }
static ag_tensor *normal_entropy(const about *d) { return ag_add_scalar(ag_log(d->b), 0.5 + 0.5 * LOG_2_PI); }

/* ½·(r² − 1 − ln r²) + ½·m², of the quotient r of the deviations and the distance m of the means. */
static ag_tensor *normal_divergence(const about *d) {
    ag_tensor *r = ag_div(d->b, d->qb), *m = ag_div(ag_sub(d->a, d->qa), d->qb);
    return ag_sub(half(ag_add(above_one(r), ag_square(m))), ag_log(r));
}

/* ---- Uniform ---- */

static ag_tensor *width(const about *d) { return ag_sub(d->b, d->a); }
static ag_tensor *uniform_log_prob(const about *d) {
    return within(d, both(ag_less_equal(d->a, d->x), ag_less(d->x, d->b)), ag_neg(ag_log(width(d))));
}
static ag_tensor *uniform_sample(const about *d) { return ag_draw_uniform(d->a, d->b); }
static ag_tensor *uniform_mean(const about *d) { return ag_add(half(d->a), half(d->b)); }
static ag_tensor *uniform_variance(const about *d) { return ag_div_scalar(ag_square(width(d)), 12); }
static ag_tensor *uniform_entropy(const about *d) { return ag_log(width(d)); }
static ag_tensor *uniform_cdf(const about *d) { return ag_clamp(ag_div(ag_sub(d->x, d->a), width(d)), 0, 1); }
static ag_tensor *uniform_divergence(const about *d) {
    ag_tensor *inside = both(ag_less_equal(d->qa, d->a), ag_less_equal(d->b, d->qb));
    ag_tensor *y = ag_log(ag_div(ag_sub(d->qb, d->qa), width(d)));
    return ag_where(inside, y, ag_add(ag_scale(y, 0), number(d, (double)INFINITY)));
}

/* ---- Exponential ---- */

static ag_tensor *exponential_log_prob(const about *d) {
    return within(d, from(d, 0), ag_sub(ag_log(d->a), ag_mul(d->a, d->x)));
}
static ag_tensor *exponential_sample(const about *d) { return ag_draw_exponential(d->a); }
static ag_tensor *exponential_mean(const about *d) { return ag_rdiv_scalar(1, d->a); }
static ag_tensor *exponential_variance(const about *d) { return ag_square(exponential_mean(d)); }
static ag_tensor *exponential_entropy(const about *d) { return complement(ag_log(d->a)); }
static ag_tensor *exponential_cdf(const about *d) {
    ag_tensor *inside = ag_clamp(d->x, 0, (double)INFINITY);
    return ag_neg(ag_expm1(ag_neg(ag_mul(d->a, inside))));
}
static ag_tensor *exponential_divergence(const about *d) { return excess(ag_div(d->qa, d->a)); }

/* ---- Laplace ---- */

static ag_tensor *laplace_log_prob(const about *d) {
    return ag_neg(ag_add(ag_abs(standard(d)), ag_log(ag_scale(d->b, 2))));
}
static ag_tensor *laplace_sample(const about *d) { return ag_draw_laplace(d->a, d->b); }
static ag_tensor *laplace_variance(const about *d) { return ag_scale(ag_square(d->b), 2); }
static ag_tensor *laplace_entropy(const about *d) { return ag_add_scalar(ag_log(ag_scale(d->b, 2)), 1); }
static ag_tensor *laplace_cdf(const about *d) {
    ag_tensor *z = standard(d), *below = ag_less(z, number(d, 0)), *part;
    part = half(ag_exp(ag_where(below, z, ag_neg(z))));
    return ag_where(below, part, complement(part));
}
static ag_tensor *laplace_divergence(const about *d) {
    ag_tensor *distance = ag_abs(ag_sub(d->a, d->qa)), *r = ag_div(d->b, d->qb);
    ag_tensor *less = ag_neg(ag_div(distance, d->b)), *near = ag_add(ag_mul(r, ag_expm1(less)), less_one(r));
    ag_tensor *y = ag_where(ag_less(number(d, -1), less), near, less_one(ag_mul(r, ag_exp(less))));
    return ag_sub(ag_add(y, ag_div(distance, d->qb)), ag_log(r));
}

/* ---- Cauchy ---- */

static ag_tensor *cauchy_log_prob(const about *d) {
    return ag_neg(sum3(ag_log1p(ag_square(standard(d))), ag_log(d->b), number(d, LOG_PI)));
}
static ag_tensor *cauchy_sample(const about *d) { return ag_draw_cauchy(d->a, d->b); }
static ag_tensor *cauchy_entropy(const about *d) { return ag_log(ag_scale(d->b, 4 * PI_F64)); }
/* d²/4st, of the scales. */
static ag_tensor *quarter(const about *d, ag_tensor *x) {
    return ag_mul(half(ag_div(x, d->b)), half(ag_div(x, d->qb)));
}
/* ln((s + t)² + m²) − ln 4st, of the scales and the distance of the locations. */
static ag_tensor *cauchy_divergence(const about *d) {
    ag_tensor *m = ag_sub(d->a, d->qa), *between = ag_hypot(ag_add(d->b, d->qb), m);
    ag_tensor *near = ag_add(quarter(d, ag_sub(d->b, d->qb)), quarter(d, m));
    ag_tensor *far = sum3(ag_scale(ag_log(half(between)), 2), ag_neg(ag_log(d->b)), ag_neg(ag_log(d->qb)));
    return ag_where(ag_less(near, number(d, 1)), ag_log1p(near), far);
}
static ag_tensor *cauchy_cdf(const about *d) {
    return ag_div_scalar(ag_atan2(number(d, 1), ag_neg(standard(d))), PI_F64);
}

/* ---- Gumbel ---- */

/* −z − e^−z − ln scale; the limit keeps −∞ from meeting ∞. */
static ag_tensor *gumbel_log_prob(const about *d) {
    ag_tensor *z = ag_clamp(standard(d), -1e30, (double)INFINITY);
    return ag_neg(sum3(z, ag_exp(ag_neg(z)), ag_log(d->b)));
}
static ag_tensor *gumbel_sample(const about *d) { return ag_draw_gumbel(d->a, d->b); }
static ag_tensor *gumbel_mean(const about *d) { return ag_add(d->a, ag_scale(d->b, EULER)); }
static ag_tensor *gumbel_variance(const about *d) { return ag_scale(ag_square(d->b), PI_F64 * PI_F64 / 6); }
static ag_tensor *gumbel_entropy(const about *d) { return ag_add_scalar(ag_log(d->b), 1 + EULER); }
static ag_tensor *gumbel_cdf(const about *d) { return ag_exp(ag_neg(ag_exp(ag_neg(standard(d))))); }

/* With r the quotient of the scales and m the distance of the locations: m − ln r + γ·(r − 1) + e^−m·Γ(r + 1) − 1. */
static ag_tensor *gumbel_divergence(const about *d) {
    ag_tensor *r = ag_div(d->b, d->qb), *m = ag_div(ag_sub(d->a, d->qa), d->qb), *log_r = ag_log(r);
    ag_tensor *log = ag_where(ag_less(r, number(d, 0.5)), ag_lgamma(ag_add_scalar(r, 1)), ag_add(ag_lgamma(r), log_r));
    return sum3(ag_expm1(ag_sub(log, m)), ag_sub(m, log_r), ag_scale(less_one(r), EULER));
}

/* ---- Gamma ---- */

static ag_tensor *gamma_log_prob(const about *d) {
    ag_tensor *log_b = ag_log(d->b), *log_m = ag_add(log_b, ag_log(d->x));
    ag_tensor *y = of_count(less_one(d->a), d->a, ag_mul(d->b, d->x), log_m);
    return within(d, from(d, 0), ag_add(y, log_b));
}
static ag_tensor *gamma_sample(const about *d) { return ag_draw_gamma(d->a, d->b); }
static ag_tensor *gamma_mean(const about *d) { return ag_div(d->a, d->b); }
static ag_tensor *gamma_variance(const about *d) { return ag_div(gamma_mean(d), d->b); }
static ag_tensor *gamma_entropy(const about *d) { return ag_sub(entropy_of_shape(d->a), ag_log(d->b)); }
static ag_tensor *gamma_cdf(const about *d) {
    return ag_gammainc(d->a, ag_mul(d->b, ag_clamp(d->x, 0, (double)INFINITY)));
}
static ag_tensor *gamma_divergence(const about *d) { return shape_part(ag_div(d->qb, d->b), d->a, d->qa); }

/* ---- Beta ---- */

/* The slope of y by x. That of ln B(a, b) by a is ψ(a) − ψ(a + b), but without cancellation. */
static ag_tensor *slope(ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx;
    return ag_grad(ag_sum(y), 1, &x, &dx), dx;
}

static ag_tensor *beta_log_prob(const about *d) {
    ag_tensor *k = less_one(d->a), *l = less_one(d->b), *left = ag_strong_mul(k, ag_log(d->x));
    ag_tensor *near = ag_sub(ag_add(left, ag_strong_mul(l, log_1_minus(d->x))), ag_lbeta(d->a, d->b));
    ag_tensor *y = of_counts(k, l, d->x, ag_log(ag_add(k, d->b)), near);
    return within(d, both(from(d, 0), ag_less_equal(d->x, number(d, 1))), y);
}
static ag_tensor *beta_sample(const about *d) { return ag_draw_beta(d->a, d->b); }
static ag_tensor *beta_mean(const about *d) { return ag_div(d->a, ag_add(d->a, d->b)); }
static ag_tensor *beta_variance(const about *d) {
    ag_tensor *sum = ag_add(d->a, d->b);
    return ag_div(ag_mul(ag_div(d->a, sum), ag_div(d->b, sum)), ag_add_scalar(sum, 1));
}
static ag_tensor *beta_entropy(const about *d) {
    ag_tensor *n = ag_add(d->a, d->b), *far = ag_add(entropy_of_shape(d->a), entropy_of_shape(d->b));
    ag_tensor *y = ag_lbeta(d->a, d->b), *left = ag_mul(less_one(d->a), slope(y, d->a));
    return less_shape(n, 1, far, ag_sub(ag_sub(y, left), ag_mul(less_one(d->b), slope(y, d->b))));
}
static ag_tensor *beta_cdf(const about *d) { return ag_betainc(d->a, d->b, ag_clamp(d->x, 0, 1)); }
static ag_tensor *beta_divergence(const about *d) {
    ag_tensor *y = ag_lbeta(d->a, d->b), *left = ag_mul(ag_sub(d->a, d->qa), slope(y, d->a));
    ag_tensor *near = sum3(ag_sub(ag_lbeta(d->qa, d->qb), y), left, ag_mul(ag_sub(d->b, d->qb), slope(y, d->b)));
    ag_tensor *n = ag_add(d->a, d->b), *qn = ag_add(d->qa, d->qb), *r = ag_div(qn, n);
    ag_tensor *far = ag_add(shape_part(r, d->a, d->qa), shape_part(r, d->b, d->qb));
    return ag_where(is_far(n), ag_sub(far, bow(n, qn)), near);
}

/* ---- Student: a is the freedom, b the location, c the scale ---- */

/* Whether the freedom v is so large that a series serves. */
static ag_tensor *has_much(const about *d) { return is_far(half(half(d->a))); }
static const fraction of_student[TERMS] = {{31, 36}, {-17, 112}, {1, 20}, {-1, 24}, {1, 4}};

/* ½·ln v + ln B(½, v/2) */
static ag_tensor *student_factor(const about *d) {
    ag_tensor *near = ag_add(half(ag_log(d->a)), ag_lbeta(number(d, 0.5), half(d->a)));
    return ag_where(has_much(d), ag_add_scalar(series(of_student, false, d->a), HALF_LOG_2_PI), near);
}

/* ½·(v + 1)·ln(1 + u), u = z²/v; for a small u ln(1 + u) is u less u·w − w³·(⅔ + ⅖w² + …), w = u/(2 + u). */
static ag_tensor *student_tail(const about *d, ag_tensor *z) {
    static const fraction c[TERMS] = {{2, 11}, {2, 9}, {2, 7}, {2, 5}, {2, 3}};
    ag_tensor *square = ag_square(z), *u = ag_div(square, d->a), *w = ag_div(u, ag_add_scalar(u, 2));
    ag_tensor *more = half(ag_add_scalar(d->a, 1)), *ww = ag_square(w);
    ag_tensor *bend = ag_mul(w, ag_sub(u, ag_mul(ww, polynomial(c, false, ww))));
    ag_tensor *far = ag_sub(half(ag_add(square, u)), ag_mul(more, bend));
    return ag_where(ag_less(u, number(d, 1. / 16)), far, ag_mul(more, ag_log1p(u)));
}

static ag_tensor *student_log_prob(const about *d) {
    ag_tensor *z = ag_div(ag_sub(d->x, d->b), d->c);
    return ag_neg(sum3(student_tail(d, z), student_factor(d), ag_log(d->c)));
}
static ag_tensor *student_sample(const about *d) { return ag_add(d->b, ag_mul(d->c, ag_draw_student(d->a))); }
static ag_tensor *student_mean(const about *d) {
    return ag_where(ag_less(number(d, 1), d->a), ag_add(d->b, ag_scale(d->c, 0)), none(d));
}
static ag_tensor *student_variance(const about *d) {
    ag_tensor *y = ag_mul(ag_square(d->c), ag_div(d->a, ag_add_scalar(d->a, -2)));
    ag_tensor *beyond = ag_where(ag_less(number(d, 1), d->a), number(d, (double)INFINITY), none(d));
    return ag_where(ag_less(number(d, 2), d->a), y, beyond);
}
static ag_tensor *student_entropy(const about *d) {
    ag_tensor *h = half(d->a), *more = half(ag_add_scalar(d->a, 1));
    ag_tensor *near = ag_sub(student_factor(d), ag_mul(more, slope(ag_lbeta(number(d, 0.5), h), h)));
    return ag_add(ag_where(has_much(d), entropy_by(of_student, 1, d->a), near), ag_log(d->c));
}

/* I(w; v/2, v/2) for z <= 0, with w = ½·(1 + z/r) and r = √(z² + v), written without cancellation. */
static ag_tensor *student_cdf(const about *d) {
    ag_tensor *z = ag_div(ag_sub(d->x, d->b), d->c), *below = ag_less(z, number(d, 0)), *size, *root = ag_sqrt(d->a);
    size = ag_where(below, ag_neg(z), z);
    ag_tensor *r = ag_hypot(z, root), *w = half(ag_mul(ag_div(root, r), ag_div(root, ag_add(r, size))));
    ag_tensor *h = half(d->a), *tail = ag_betainc(h, h, w);
    return ag_where(below, tail, complement(tail));
}

/* ---- Bernoulli and binomial ---- */

/* x·ln p + (n − x)·ln(1 − p) */
static ag_tensor *of_two(ag_tensor *x, ag_tensor *others, ag_tensor *p) {
    return ag_add(ag_strong_mul(x, ag_log(p)), ag_strong_mul(others, log_1_minus(p)));
}

static ag_tensor *bernoulli_log_prob(const about *d) {
    ag_tensor *inside = both(is_whole(d), ag_less_equal(d->x, number(d, 1)));
    return within(d, inside, of_two(d->x, complement(d->x), d->a));
}
static ag_tensor *bernoulli_sample(const about *d) { return ag_draw_bernoulli(d->a); }
static ag_tensor *bernoulli_variance(const about *d) { return ag_mul(d->a, complement(d->a)); }
static ag_tensor *bernoulli_entropy(const about *d) { return ag_neg(of_two(d->a, complement(d->a), d->a)); }
static ag_tensor *bernoulli_cdf(const about *d) {
    ag_tensor *zero = number(d, 0), *one = number(d, 1), *known = ag_where(ag_equal(d->x, d->x), zero, none(d));
    ag_tensor *y = ag_where(from(d, 1), one, ag_where(from(d, 0), complement(d->a), zero));
    return sum3(y, known, ag_scale(d->a, 0));
}
static ag_tensor *bernoulli_divergence(const about *d) {
    ag_tensor *no = deviance(complement(d->a), complement(d->qa));
    return ag_add(deviance(d->a, d->qa), no);
}

static ag_tensor *binomial_log_prob(const about *d) {
    ag_tensor *others = ag_sub(d->a, d->x), *more = ag_add_scalar(d->a, 1), *zero = number(d, 0);
    ag_tensor *ways = ag_add(ag_log(more), ag_lbeta(ag_add_scalar(d->x, 1), ag_add_scalar(others, 1)));
    ag_tensor *one_way = ag_equal(ag_minimum(d->x, others), zero);
    ag_tensor *y = ag_sub(of_two(d->x, others, d->b), ag_where(one_way, zero, ways));
    return within(d, both(is_whole(d), ag_less_equal(d->x, d->a)), of_counts(d->x, others, d->b, zero, y));
}
static ag_tensor *binomial_sample(const about *d) { return ag_draw_binomial(d->a, d->b); }
static ag_tensor *binomial_mean(const about *d) { return ag_mul(d->a, d->b); }
static ag_tensor *binomial_variance(const about *d) { return ag_mul(binomial_mean(d), complement(d->b)); }

/* I(1 − p; n − k, k + 1) for k of 0 … n − 1. */
static ag_tensor *binomial_cdf(const about *d) {
    ag_tensor *k = ag_floor(ag_clamp(d->x, 0, (double)INFINITY)), *zero = number(d, 0), *one = number(d, 1);
    ag_tensor *inside = both(from(d, 0), ag_less(k, d->a)), *others = ag_where(inside, ag_sub(d->a, k), one);
    ag_tensor *y = ag_betainc(others, ag_add_scalar(ag_where(inside, k, zero), 1), complement(d->b));
    return ag_where(from(d, 0), within_or(d, inside, y, 1), within_or(d, inside, y, 0));
}

/* n times that of one; ∞ if p's n is more than q's, NaN if it is less, which has no closed form. */
static ag_tensor *binomial_divergence(const about *d) {
    ag_tensor *y = ag_mul(d->a, bernoulli_divergence(&(about){.a = d->b, .qa = d->qb}));
    return ag_where(ag_equal(d->a, d->qa), y, ag_where(ag_less(d->qa, d->a), infinity(d), none(d)));
}

/* ---- Poisson ---- */

static ag_tensor *poisson_log_prob(const about *d) {
    return within(d, is_whole(d), of_count(d->x, ag_add_scalar(d->x, 1), d->a, ag_log(d->a)));
}
static ag_tensor *poisson_sample(const about *d) { return ag_draw_poisson(d->a); }
static ag_tensor *poisson_cdf(const about *d) {
    ag_tensor *k = ag_floor(ag_clamp(d->x, 0, (double)INFINITY));
    return within_or(d, from(d, 0), ag_gammaincc(ag_add_scalar(k, 1), d->a), 0);
}
static ag_tensor *poisson_divergence(const about *d) { return deviance(d->a, d->qa); }

/* ---- Categorical: a are scores ---- */

static ag_tensor *categorical_log_prob(const about *d) {
    ag_tape *tape = ag_tape_of(d->x);
    ag_tensor *zero = ag_zeros(tape, AG_I64, AG_SCALAR),
              *count = ag_full(tape, AG_I64, AG_SCALAR, (double)ag_extent(d->a, -1));
    ag_tensor *inside = both(ag_less_equal(zero, d->x), ag_less(d->x, count));
    ag_tensor *index = ag_unsqueeze(ag_where(inside, d->x, zero), -1);
    ag_tensor *log_p = ag_neg(ag__squeezed(ag_surprisal(d->a, index, -1), -1));
    return ag_where(inside, log_p, number(d, -(double)INFINITY));
}
static ag_tensor *categorical_sample(const about *d) {
    return ag__squeezed(ag_multinomial(ag_softmax(d->a, -1), 1, true), -1);
}
static ag_tensor *categorical_entropy(const about *d) {
    return ag_neg(sum_last(ag_strong_mul(ag_softmax(d->a, -1), ag_log_softmax(d->a, -1))));
}
/* Each term is p·ln(p/q) + q − p. */
static ag_tensor *categorical_divergence(const about *d) {
    ag_tensor *p = ag_softmax(d->a, -1), *log = ag_sub(ag_log_softmax(d->a, -1), ag_log_softmax(d->qa, -1));
    ag_tensor *far = ag_add(ag_strong_mul(p, log), ag_sub(ag_softmax(d->qa, -1), p));
    ag_tensor *near = ag_mul(p, ag_add(ag_expm1(ag_neg(log)), log));
    return sum_last(ag_where(ag_less(ag_abs(log), number(d, 0.5)), near, far));
}

/* ---- Dirichlet ---- */

/* Σ ln Γ(a) − ln Γ(Σ a) */
static ag_tensor *log_of_betas(ag_tensor *a) { return ag_sub(sum_last(ag_lgamma(a)), ag_lgamma(sum_last(a))); }

static ag_tensor *dirichlet_log_prob(const about *d) {
    ag_tensor *lack = ag_abs(less_one(sum_last(d->x))), *least = ag_min_over(d->x, AG_AXES(-1), false);
    ag_tensor *sums = ag_less_equal(lack, number(d, ag_dtype_of(d->x) == AG_F32 ? 1e-4 : 1e-6));
    ag_tensor *log_p = ag_sub(sum_last(ag_strong_mul(less_one(d->a), ag_log(d->x))), log_of_betas(d->a));
    const about rows = {.x = least, .a = ag_add(sum_last(d->a), ag_scale(least, 0))};
    return within(&rows, both(ag_less_equal(number(d, 0), least), sums), log_p);
}
static ag_tensor *dirichlet_sample(const about *d) { return ag_draw_dirichlet(d->a); }
static ag_tensor *dirichlet_mean(const about *d) { return ag_div(d->a, ag__sum_along(d->a, -1, true)); }
static ag_tensor *dirichlet_variance(const about *d) {
    ag_tensor *mean = dirichlet_mean(d), *sum = ag__sum_along(d->a, -1, true);
    return ag_div(ag_mul(mean, complement(mean)), ag_add_scalar(sum, 1));
}
static ag_tensor *dirichlet_entropy(const about *d) {
    ag_tensor *n = ag__sum_along(d->a, -1, true), *excess_of = ag_sub(ag_digamma(d->a), ag_digamma(n));
    ag_tensor *near = ag_sub(log_of_betas(d->a), sum_last(ag_mul(less_one(d->a), excess_of)));
    return less_shape(ag__squeezed(n, -1), (double)ag_extent(d->a, -1) - 1, sum_last(entropy_of_shape(d->a)), near);
}
static ag_tensor *dirichlet_divergence(const about *d) {
    ag_tensor *n = ag__sum_along(d->a, -1, true), *qn = ag__sum_along(d->qa, -1, true);
    return ag_sub(sum_last(shape_part(ag_div(qn, n), d->a, d->qa)), ag__squeezed(bow(n, qn), -1));
}

/* ---- Multivariate normal: b is the factor L ---- */

static ag_tensor *column(ag_tensor *x) { return ag_unsqueeze(x, -1); }

/* L⁻¹·x for x (…,n,k), by forward substitution: the share of each row of the solution is taken from the rows below. */
static ag_tensor *solved(ag_tensor *l, ag_tensor *x) {
    const int64_t n = ag_extent(l, -1);
    ag_tensor **row = ag_tape_alloc(ag_tape_of(l), (size_t)n * sizeof *row), *rest = x;
    for (int64_t i = 0; row && i < n; i++) {
        ag_tensor *of_i = ag_slice(ag_slice(l, -1, i, i + 1, 1), -2, i, AG_END, 1); /* …,n−i,1 */
        row[i] = ag_div(ag_slice(rest, -2, 0, 1, 1), ag_slice(of_i, -2, 0, 1, 1));
        rest = ag_sub(ag_slice(rest, -2, 1, AG_END, 1), ag_mul(ag_slice(of_i, -2, 1, AG_END, 1), row[i]));
    }
    return row ? ag_concat((int)n, row, -2) : ag_add(l, x); /* nil, after the error */
}

/* The lower triangle of L, and the logarithm of its determinant. */
static ag_tensor *triangle(const about *d, ag_tensor *l, bool diagonal) {
    ag_tensor *at = ag_arange(ag_tape_of(l), AG_I64, ag_extent(l, -1)), *rows = ag_unsqueeze(at, 1);
    return ag_where(diagonal ? ag_equal(rows, at) : ag_less_equal(at, rows), l, number(d, 0));
}
static ag_tensor *log_determinant(const about *d, ag_tensor *l) {
    return sum_last(ag_log(sum_last(triangle(d, l, true))));
}

static ag_tensor *multi_normal_log_prob(const about *d) {
    ag_tensor *z = solved(d->b, column(ag_sub(d->x, d->a)));
    ag_tensor *square = ag_scale(ag_sum_over(ag_square(z), AG_AXES(-2, -1), false), -0.5);
    return ag_sub(ag_add_scalar(square, -0.5 * LOG_2_PI * (double)ag_extent(d->b, -1)), log_determinant(d, d->b));
}
static ag_tensor *multi_normal_sample(const about *d) {
    ag_tensor *z = ag_normal(ag_tape_of(d->a), ag_dtype_of(d->a), ag_shape_of(d->a), 0, 1);
    return ag_add(d->a, ag__squeezed(ag_matmul(triangle(d, d->b, false), column(z)), -1));
}
static ag_tensor *multi_normal_variance(const about *d) { return sum_last(ag_square(triangle(d, d->b, false))); }
static ag_tensor *multi_normal_entropy(const about *d) {
    return ag_add_scalar(log_determinant(d, d->b), 0.5 * (1 + LOG_2_PI) * (double)ag_extent(d->b, -1));
}
static ag_tensor *multi_normal_divergence(const about *d) {
    ag_tensor *m = solved(d->qb, triangle(d, d->b, false)), *z = solved(d->qb, column(ag_sub(d->qa, d->a)));
    ag_tensor *on = triangle(d, m, true), *r = sum_last(on), *off = ag_sub(m, on);
    ag_tensor *squares =
        ag_add(ag_sum_over(ag_square(off), AG_AXES(-2, -1), false), ag_sum_over(ag_square(z), AG_AXES(-2, -1), false));
    return ag_add(half(squares), sum_last(ag_sub(half(above_one(r)), ag_log(r))));
}

/* ---- The families ---- */

enum { LOG_PROB, SAMPLE, MEAN, VARIANCE, ENTROPY, CDF, DIVERGENCE, QUANTITIES };

/* The letters of the parameters: any number, one over 0 (+), 0 or more (0), a probability, or whole from 0 on (n); a
 * vector of any numbers (v), or of some over 0 (s); a matrix (m). For x: a number (.), a label (i), a vector (v). */
static const struct {
    char name[13], x, parameters[4];
    quantity *of[QUANTITIES];
} families[AG_DIST_FAMILIES] = {
    [AG_DIST_NORMAL] = {"normal",
                        '.',
                        ".+",
                        {normal_log_prob, normal_sample, first, normal_variance, normal_entropy, normal_cdf,
                         normal_divergence}},
    [AG_DIST_UNIFORM] = {"uniform",
                         '.',
                         ".<",
                         {uniform_log_prob, uniform_sample, uniform_mean, uniform_variance, uniform_entropy,
                          uniform_cdf, uniform_divergence}},
    [AG_DIST_EXPONENTIAL] = {"exponential",
                             '.',
                             "+",
                             {exponential_log_prob, exponential_sample, exponential_mean, exponential_variance,
                              exponential_entropy, exponential_cdf, exponential_divergence}},
    [AG_DIST_LAPLACE] = {"laplace",
                         '.',
                         ".+",
                         {laplace_log_prob, laplace_sample, first, laplace_variance, laplace_entropy, laplace_cdf,
                          laplace_divergence}},
    [AG_DIST_CAUCHY] = {"cauchy",
                        '.',
                        ".+",
                        {cauchy_log_prob, cauchy_sample, no_number, no_number, cauchy_entropy, cauchy_cdf,
                         cauchy_divergence}},
    [AG_DIST_GUMBEL] = {"gumbel",
                        '.',
                        ".+",
                        {gumbel_log_prob, gumbel_sample, gumbel_mean, gumbel_variance, gumbel_entropy, gumbel_cdf,
                         gumbel_divergence}},
    [AG_DIST_GAMMA] = {"gamma",
                       '.',
                       "++",
                       {gamma_log_prob, gamma_sample, gamma_mean, gamma_variance, gamma_entropy, gamma_cdf,
                        gamma_divergence}},
    [AG_DIST_BETA] = {"beta",
                      '.',
                      "++",
                      {beta_log_prob, beta_sample, beta_mean, beta_variance, beta_entropy, beta_cdf, beta_divergence}},
    [AG_DIST_STUDENT] = {"student",
                         '.',
                         "+.+",
                         {student_log_prob, student_sample, student_mean, student_variance, student_entropy,
                          student_cdf, NULL}},
    [AG_DIST_BERNOULLI] = {"bernoulli",
                           '.',
                           "p",
                           {bernoulli_log_prob, bernoulli_sample, first, bernoulli_variance, bernoulli_entropy,
                            bernoulli_cdf, bernoulli_divergence}},
    [AG_DIST_BINOMIAL] = {"binomial",
                          '.',
                          "np",
                          {binomial_log_prob, binomial_sample, binomial_mean, binomial_variance, NULL, binomial_cdf,
                           binomial_divergence}},
    [AG_DIST_POISSON] = {"poisson",
                         '.',
                         "0",
                         {poisson_log_prob, poisson_sample, first, first, NULL, poisson_cdf, poisson_divergence}},
    [AG_DIST_CATEGORICAL] = {"categorical",
                             'i',
                             "v",
                             {categorical_log_prob, categorical_sample, NULL, NULL, categorical_entropy, NULL,
                              categorical_divergence}},
    [AG_DIST_DIRICHLET] = {"dirichlet",
                           'v',
                           "s",
                           {dirichlet_log_prob, dirichlet_sample, dirichlet_mean, dirichlet_variance, dirichlet_entropy,
                            NULL, dirichlet_divergence}},
    [AG_DIST_MULTI_NORMAL] = {"multi_normal",
                              'v',
                              "vm",
                              {multi_normal_log_prob, multi_normal_sample, first, multi_normal_variance,
                               multi_normal_entropy, NULL, multi_normal_divergence}},
};

/* ---- Divergences of two families: −H(p) − E ln q ---- */

static ag_tensor *half_width(const about *d) { return ag_div(ag_sub(d->b, d->a), ag_add(d->b, d->a)); }

/* E ln x of numbers between a and b, m·(1 − h) and m·(1 + h). */
static ag_tensor *log_of_uniform(const about *d) {
    ag_tensor *h = half_width(d), *less = ag_xlog1py(complement(h), ag_neg(h)), *m;
    ag_tensor *more = ag_mul(ag_add_scalar(h, 1), ag_log1p(h));
    m = half(ag_add(d->a, d->b));
    return ag_add(ag_log(m), less_one(ag_div(ag_sub(more, less), ag_scale(h, 2))));
}

/* E ln x, of those families beside Gamma that have no numbers below 0: Beta is the third. */
static ag_tensor *mean_log(const about *d) {
    if (d->p == AG_DIST_UNIFORM) return log_of_uniform(d);
    if (d->p == AG_DIST_EXPONENTIAL) return ag_neg(ag_add_scalar(ag_log(d->a), EULER));
    return slope(ag_lbeta(d->a, d->b), d->a);
}

/* ln E e^((location − x)/scale), of a Gumbel distribution's; NULL where there is no closed form. */
static ag_tensor *log_mean_exp(const about *d) {
    ag_tensor *by = d->qb;
    switch (d->p) {
    case AG_DIST_NORMAL: return ag_add(ag_div(ag_sub(d->qa, d->a), by), half(ag_square(ag_div(d->b, by))));
    case AG_DIST_EXPONENTIAL: return ag_sub(ag_div(d->qa, by), ag_log1p(ag_rdiv_scalar(1, ag_mul(by, d->a))));
    case AG_DIST_GAMMA: return ag_sub(ag_div(d->qa, by), ag_mul(d->a, ag_log1p(ag_rdiv_scalar(1, ag_mul(by, d->b)))));
    case AG_DIST_UNIFORM: {
        ag_tensor *w = ag_div(width(d), by);
        return ag_add(ag_div(ag_sub(d->qa, d->a), by), ag_log(ag_div(ag_neg(ag_expm1(ag_neg(w))), w)));
    }
    default: return NULL;
    }
}

/* E |x − location| of normal numbers. */
static ag_tensor *mean_distance(const about *d) {
    ag_tensor *m = ag_sub(d->a, d->qa), *z = ag_div(m, ag_scale(d->b, 1.41421356237309504880));
    return ag_add(ag_mul(ag_scale(d->b, 0.79788456080286535588), ag_exp(ag_neg(ag_square(z)))), ag_mul(m, ag_erf(z)));
}

/* False if some numbers of p are never possible for q; for a uniform q, whose ends decide, *where says for which. */
static bool covered(const about *d, ag_tensor **where) {
    const bool on_half = d->q == AG_DIST_EXPONENTIAL || d->q == AG_DIST_GAMMA, unit = d->q == AG_DIST_BETA;
    ag_tensor *zero = number(d, 0), *one = number(d, 1);
    *where = NULL;
    if (!on_half && !unit && d->q != AG_DIST_UNIFORM) return d->p != AG_DIST_POISSON;
    if (d->p == AG_DIST_UNIFORM) {
        *where = ag_less_equal(zero, d->a);
        if (unit) *where = both(*where, ag_less_equal(d->b, one));
        return true;
    }
    if (d->q == AG_DIST_UNIFORM) *where = both(ag_less_equal(d->qa, zero), ag_less_equal(one, d->qb));
    return d->p == AG_DIST_BETA || (on_half && (d->p == AG_DIST_GAMMA || d->p == AG_DIST_EXPONENTIAL));
}

/* E ln q; NULL where it is not in closed form. */
static ag_tensor *mean_log_of_q(const about *d) {
    quantity *const *of = families[d->p].of;
    ag_tensor *a = d->qa, *b = d->qb, *e;
    switch (d->q) {
    case AG_DIST_NORMAL:
        if (d->p == AG_DIST_CAUCHY || d->p == AG_DIST_STUDENT) return NULL;
        e = ag_add(ag_square(ag_div(ag_sub(of[MEAN](d), a), b)), ag_div(of[VARIANCE](d), ag_square(b)));
        return ag_neg(sum3(half(e), ag_log(b), number(d, 0.5 * LOG_2_PI)));
    case AG_DIST_EXPONENTIAL: return ag_sub(ag_log(a), ag_mul(a, of[MEAN](d)));
    case AG_DIST_GAMMA:
        e = ag_sub(ag_mul(less_one(a), mean_log(d)), ag_mul(b, of[MEAN](d)));
        return ag_add(e, ag_sub(ag_mul(a, ag_log(b)), ag_lgamma(a)));
    case AG_DIST_BETA:
        e = log_of_uniform(&(about){.a = complement(d->b), .b = complement(d->a)});
        return ag_sub(ag_add(ag_mul(less_one(a), mean_log(d)), ag_mul(less_one(b), e)), ag_lbeta(a, b));
    case AG_DIST_UNIFORM: return ag_neg(ag_log(ag_sub(b, a)));
    case AG_DIST_GUMBEL:
        e = log_mean_exp(d);
        return e ? ag_neg(sum3(ag_div(ag_sub(of[MEAN](d), a), b), ag_exp(e), ag_log(b))) : NULL;
    case AG_DIST_LAPLACE:
        if (d->p != AG_DIST_NORMAL) return NULL;
        return ag_neg(ag_add(ag_div(mean_distance(d), b), ag_log(ag_scale(b, 2))));
    case AG_DIST_POISSON: return ag_sub(ag_strong_mul(d->a, ag_log(a)), a);
    default: return NULL;
    }
}

/* Families whose numbers can be those of another: continuous ones, or whole numbers. */
static bool comparable(ag_family p, ag_family q) {
    if (p == AG_DIST_POISSON) return q == AG_DIST_BERNOULLI || q == AG_DIST_BINOMIAL;
    if (q == AG_DIST_POISSON) return p == AG_DIST_BERNOULLI;
    return p <= AG_DIST_STUDENT && q <= AG_DIST_STUDENT;
}

static ag_tensor *divergence_of_two(const about *d) {
    ag_tensor *where, *infinite = infinity(d);
    if (!covered(d, &where)) return infinite;
    ag_tensor *e = mean_log_of_q(d);
    if (!e) return NULL;
    ag_tensor *y = ag_neg(ag_add(families[d->p].of[ENTROPY](d), e));
    return where ? ag_where(where, y, infinite) : y;
}

/* ---- Checks ---- */

enum { MOST = 7 }; /* x and the parameters of two */

/* The tensors of a call, each with its letter. */
typedef struct call {
    const char *name;
    int n;
    ag_tensor *x[MOST];
    char letter[MOST];
    ag_tensor *nil; /* after an error */
} call;

static bool refuse(call *c, ag_status status, const char *message) {
    c->nil = ag__refuse(c->name, c->n, c->x, status, "%s", message);
    return false;
}

static void add(call *c, ag_tensor *x, char letter) {
    c->x[c->n] = x;
    c->letter[c->n++] = letter;
}

/* The axes behind the batch. */
static int own_axes(char letter) { return letter == 'm' ? 2 : letter == 'v' || letter == 's' ? 1 : 0; }

static bool types_fit(call *c) {
    ag_tensor *real = c->x[c->letter[0] == 'i' ? 1 : 0];
    for (int i = 0; i < c->n; i++)
        if (ag_is_nil(c->x[i]) || ag_tape_of(c->x[i]) != ag_tape_of(c->x[0]))
            return refuse(c, AG_ERR_TAPE, "the tensors must be of one tape");
    const ag_dtype dtype = ag_dtype_of(real);
    for (int i = 0; i < c->n; i++)
        if (ag_dtype_of(c->x[i]) != (c->letter[i] == 'i' ? AG_I64 : dtype) || (dtype != AG_F32 && dtype != AG_F64))
            return refuse(c, AG_ERR_DTYPE,
                          c->letter[0] == 'i' ? "all must be f32, or all f64, and labels i64"
                                              : "all must be f32, or all f64");
    return true;
}

/* Put the extents of x's batch together with those so far; false if two clash. */
static bool join(ag_shape *batch, const ag_tensor *x, int own) {
    const int rank = ag_rank(x) - own, more = rank - batch->rank;
    for (int i = batch->rank; more > 0 && i-- > 0;) batch->extent[i + more] = batch->extent[i];
    for (int i = 0; i < more; i++) batch->extent[i] = 1;
    if (more > 0) batch->rank = rank;
    for (int i = 0; i < rank; i++) {
        int64_t *e = &batch->extent[batch->rank - rank + i];
        const int64_t f = ag_extent(x, i);
        if (*e == 1) *e = f;
        if (f != 1 && f != *e) return false;
    }
    return true;
}

/* Whether batches are broadcast to each other, and vectors and matrices have one extent; all then have one shape,
 * except for those axes. */
static bool shapes_fit(call *c) {
    ag_shape batch = {.rank = 0};
    int64_t extent = -1;
    for (int i = 0; i < c->n; i++) {
        const int own = own_axes(c->letter[i]);
        if (ag_rank(c->x[i]) < own) return refuse(c, AG_ERR_SHAPE, "vectors have one axis at least, and matrices two");
        for (int k = 1; k <= own; k++) {
            const int64_t e = ag_extent(c->x[i], -k);
            if (e == 0 || (extent >= 0 && e != extent))
                return refuse(c, AG_ERR_SHAPE, "vectors and matrices must have one extent, which is not 0");
            extent = e;
        }
        if (!join(&batch, c->x[i], own)) return refuse(c, AG_ERR_SHAPE, "the shapes cannot be broadcast to each other");
    }
    for (int i = 0; i < c->n; i++) {
        const int own = own_axes(c->letter[i]);
        ag_shape shape = batch;
        if (shape.rank + own > AG_MAX_RANK) return refuse(c, AG_ERR_SHAPE, "there are too many axes");
        for (int k = 0; k < own; k++) shape.extent[shape.rank++] = extent;
        c->x[i] = ag__broadcast_over(c->x[i], &shape);
    }
    return true;
}

/* A parameter, NaN where it is invalid. */
static ag_tensor *checked(ag_tensor *x, char letter, ag_tensor *before) {
    const about d = {.a = x, .x = x};
    switch (letter) {
    case '+':
    case 's': return ag_where(ag_less(number(&d, 0), x), x, none(&d));
    case '0': return ag_where(from(&d, 0), x, none(&d));
    case 'p': return ag_where(both(from(&d, 0), ag_less_equal(x, number(&d, 1))), x, none(&d));
    case 'n': return ag_where(is_whole(&d), x, none(&d));
    case '<': return ag_where(ag_less(before, x), x, none(&d));
    default: return x;
    }
}

static ag_tensor *no_divergence(ag_tape *tape, const ag_distribution *p, const ag_distribution *q) {
    return ag__refuse_on(tape, "divergence", AG_ERR_RANGE, "%s and %s have none in closed form",
                         families[p->family].name, families[q->family].name);
}

/* The quantity of p, at x and in relation to q, if these are not NULL. */
static ag_tensor *quantity_of(const char *name, int which, const ag_distribution *p, ag_tensor *x, bool at,
                              const ag_distribution *q) {
    call c = {.name = name};
    ag_tape *tape = p ? ag_tape_of(p->parameter[0]) : NULL;
    if (!p || (which == DIVERGENCE && !q)) return ag__refuse_on(tape, name, AG_ERR_NULL, "a distribution is NULL");
    if ((unsigned)p->family >= AG_DIST_FAMILIES || (q && (unsigned)q->family >= AG_DIST_FAMILIES))
        return ag__refuse_on(tape, name, AG_ERR_RANGE, "the family is invalid");
    const bool two = q && q->family != p->family;
    quantity *const compute = two ? divergence_of_two : families[p->family].of[which];
    if (!compute) return ag__refuse_on(tape, name, AG_ERR_RANGE, "%s has none", families[p->family].name);
    if (two && !comparable(p->family, q->family)) return no_divergence(tape, p, q);
    const char *letters = families[p->family].parameters, *others = q ? families[q->family].parameters : "";
    if (at) add(&c, x, families[p->family].x);
    for (int i = 0; letters[i]; i++) add(&c, p->parameter[i], letters[i]);
    for (int i = 0; others[i]; i++) add(&c, q->parameter[i], others[i]);
    if (!types_fit(&c)) return c.nil;
    const ag_mark start = two ? ag_tape_mark(tape) : (ag_mark){0};
    if (!shapes_fit(&c)) return c.nil;
    for (int i = at; i < c.n; i++) c.x[i] = checked(c.x[i], c.letter[i], i > 0 ? c.x[i - 1] : NULL);
    const int n = (int)strlen(letters);
    ag_tensor *const *a = c.x + at;
    const about d = {.x = at ? c.x[0] : NULL,
                     .a = a[0],
                     .b = n > 1 ? a[1] : NULL,
                     .c = n > 2 ? a[2] : NULL,
                     .qa = q ? a[n] : NULL,
                     .qb = strlen(others) > 1 ? a[n + 1] : NULL,
                     .p = p->family,
                     .q = q ? q->family : p->family};
    ag_tensor *y = compute(&d);
    if (y) return y;
    ag_tape_rewind(tape, start); /* of the two families some members have none */
    return no_divergence(tape, p, q);
}

ag_tensor *ag_log_prob(const ag_distribution *d, ag_tensor *x) {
    return quantity_of("log_prob", LOG_PROB, d, x, true, NULL);
}
ag_tensor *ag_draw(const ag_distribution *d) { return quantity_of("draw", SAMPLE, d, NULL, false, NULL); }
ag_tensor *ag_distribution_mean(const ag_distribution *d) {
    return quantity_of("distribution_mean", MEAN, d, NULL, false, NULL);
}
ag_tensor *ag_distribution_variance(const ag_distribution *d) {
    return quantity_of("distribution_variance", VARIANCE, d, NULL, false, NULL);
}
ag_tensor *ag_entropy(const ag_distribution *d) { return quantity_of("entropy", ENTROPY, d, NULL, false, NULL); }
ag_tensor *ag_cdf(const ag_distribution *d, ag_tensor *x) { return quantity_of("cdf", CDF, d, x, true, NULL); }
ag_tensor *ag_divergence(const ag_distribution *p, const ag_distribution *q) {
    return quantity_of("divergence", DIVERGENCE, p, NULL, false, q);
}
