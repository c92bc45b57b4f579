/* sampling -- see sampling.h
 *
 * A sampler gives up after MOST attempts, of which hardly any number needs more than ten: the result is then the mode.
 * All is computed in f64, and rounded. Invalid parameters give NaN. */
#include "ops/sampling.h"
#include "autograd/tape/philox.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define AG_LAST_DOMAIN AG_DOMAIN_F64
#include "autograd/formulas_begin.h"

#include "autograd/functions.h"

#include "autograd/formulas_end.h"

#include "autograd/formulas_begin.h"

#include "autograd/functions.h"

#include "autograd/formulas_end.h"

enum { MOST = 100, WORK = 200 /* steps of a number, about */ };

/* ---- Functions, compiled for each kind of processor once ---- */

AG_BLOCK_KERNEL AG__NEVER_INLINE static double ln(double x) { return ag_fn_log_f64(x); }
AG_BLOCK_KERNEL AG__NEVER_INLINE static double e_to(double x) { return ag_fn_exp_f64(x); }

/* The rounding of 1 + x cancels in the quotient. */
static double ln_1_plus(double x) {
    const double u = 1 + x;
    return u == 1 ? x : ln(u) * (x / (u - 1));
}

/* ---- Random bits ---- */

void ag__next_bits(ag__bits *r) {
    ag__philox(r->seed, r->draw, r->block, r->word);
    r->block += UINT64_C(1) << 48;
}

ag__bits ag__bits_of(uint64_t seed, uint64_t draw, int64_t element) {
    return (ag__bits){.seed = seed, .draw = draw, .block = (uint64_t)element};
}

/* 0 < u < 1, of 32 bits. */
static double half(uint32_t w) { return ((double)w + 0.5) * 0x1p-32; }

double ag__unit(const uint32_t word[2]) {
    return ((double)(word[0] >> 5) * 0x1p26 + (double)(word[1] >> 6) + 1) * 0x1p-53;
}

double ag__ln(double x) { return ln(x); }

static bool key_infer(ag_infer *r) { return r->dtype = AG_I64, r->shape = AG_SHAPE(2), true; }

static bool key_eval(const ag_call *call) {
    memcpy(call->y.data, call->attributes, 2 * sizeof(uint64_t));
    return true;
}

const ag_op ag__op_random_key = {.name = "random_key",
                                 .kind = AG_KIND_SOURCE,
                                 .attribute_bytes = 2 * sizeof(uint64_t),
                                 .infer = key_infer,
                                 .eval = key_eval};

ag_tensor *ag__random_key(ag_tape *tape) {
    uint64_t seed_and_draw[2] = {0};
    if (tape) seed_and_draw[1] = ag__next_draw(tape, &seed_and_draw[0]);
    ag_tensor *key =
        ag_apply_source(&ag__op_random_key, tape, AG_I64, AG_SHAPE(2), seed_and_draw, sizeof seed_and_draw);
    if (!ag_is_nil(key)) ag__draw_taken(tape);
    return key;
}

/* ---- A number for each element of the parameters ---- */

typedef double sampler(const double p[2], ag__bits *r);

typedef struct sampling {
    const ag_call *call;
    sampler *sample;
} sampling;

static void sample_share(void *s_, int share, int shares) {
    const sampling *s = s_;
    const ag_call *call = s->call;
    const ag_array *y = &call->y;
    const double *attribute = ag_attributes(call->node); /* NULL: there is none */
    const uint64_t *k = call->x[call->n - 1].data;
    const int64_t end = ag__share_start(y->size, share + 1, shares);
    for (int64_t i = ag__share_start(y->size, share, shares); i < end; i++) {
        double p[2] = {0, attribute ? *attribute : 0};
        for (int j = 0; j < call->n - 1; j++) p[j] = ag__get_element(y->dtype, call->x[j].data, i);
        ag__bits r = ag__bits_of(k[0], k[1], i);
        ag__put_element(y->dtype, y->data, i, s->sample(p, &r));
    }
}

static bool sample_all(const ag_call *call, sampler *sample) {
    sampling s = {call, sample};
    ag__parallel(ag__worthwhile(call->y.size * WORK, call->threads), sample_share, &s);
    return true;
}

bool ag__is_key(const ag_tensor *x) { return ag_dtype_of(x) == AG_I64 && ag_rank(x) == 1 && ag_extent(x, 0) == 2; }

static bool sample_infer(ag_infer *r) {
    r->dtype = ag_dtype_of(r->x[0]), r->shape = ag_shape_of(r->x[0]);
    for (int i = 0; i < r->n - 1; i++) {
        if (ag_dtype_of(r->x[i]) != r->dtype || !ag__is_real((int)r->dtype))
            return ag_reject(r, AG_ERR_DTYPE, "parameters must be f32 or f64, and of one dtype");
        if (ag_rank(r->x[i]) != r->shape.rank || ag_size(r->x[i]) != ag_size(r->x[0]))
            return ag_reject(r, AG_ERR_SHAPE, "parameters must have one shape");
    }
    return ag__is_key(r->x[r->n - 1]) || ag_reject(r, AG_ERR_DTYPE, "the last input must be a key, i64 (2)");
}

#define SAMPLER(NAME, ARITY, ...)                                                                                      \
    { .name = NAME, .kind = AG_KIND_OPAQUE, .arity = ARITY, .infer = sample_infer, __VA_ARGS__ }

/* ---- Gamma ---- */

/* v = (1 + c·z)³, z normal, is accepted so that d·v is distributed as gamma numbers of shape d + 1/3. The normal number
 * is that of a point in the unit circle. A shape below 1 is that of shape + 1, times u^(1/shape). p[1]: whether the
 * logarithm is wanted. */
static double gamma_number(const double p[2], ag__bits *r) {
    const bool logarithm = p[1] != 0;
    double a = p[0], log_boost = 0, v = 1;
    if (!(a > 0 && a <= DBL_MAX)) return (double)NAN;
    if (a < 1) {
        ag__next_bits(r);
        log_boost = ln(ag__unit(r->word)) / a;
        a += 1;
    }
    const double d = a - 1. / 3, c = 1 / sqrt(9 * d);
    for (int i = 0; i < MOST; i++) {
        ag__next_bits(r);
        const double s = 2 * half(r->word[0]) - 1, t = 2 * half(r->word[1]) - 1, q = s * s + t * t;
        if (q >= 1) continue;
        const double z2 = -2 * ln(q) * (s / q * s), root = 1 + c * copysign(sqrt(z2), s), u = ag__unit(&r->word[2]);
        if (root <= 0) continue;
        const double cube = root * root * root;
        if (u < 1 - 0.0331 * z2 * z2 || ln(u) < 0.5 * z2 + d * (1 - cube + ln(cube))) {
            v = cube;
            break;
        }
    }
    return logarithm ? ln(d) + ln(v) + log_boost : d * v * e_to(log_boost);
}

/* Never less than the smallest normal number: a logarithm of it is finite. */
static bool gamma_eval(const ag_call *call) {
    const bool logarithm = *(const double *)call->attributes != 0, narrow = call->y.dtype == AG_F32;
    sample_all(call, gamma_number);
    for (int64_t i = 0; i < call->y.size && !logarithm; i++) {
        const double least = narrow ? (double)FLT_MIN : DBL_MIN, y = ag__get_element(call->y.dtype, call->y.data, i);
        if (y < least) ag__put_element(call->y.dtype, call->y.data, i, least);
    }
    return true;
}

static ag_tensor *gamma_vjp(ag_tensor *y, ag_tensor *g, int i) {
    if (i > 0) return NULL;
    ag_tensor *const x[] = {y->input[0], y};
    return ag__slope_mul(g, ag_apply(&ag__op_gamma_slope, 2, x, ag__attributes(y), sizeof(double)));
}

const ag_op ag__op_draw_gamma = SAMPLER("draw_gamma", 2, .attribute_bytes = sizeof(double), .flags = AG_OP_CONTIGUOUS,
                                        .eval = gamma_eval, .vjp = gamma_vjp);

ag_tensor *ag__gamma_numbers(ag_tensor *shape, bool logarithm) {
    const double attribute = logarithm;
    ag_tensor *const x[] = {shape, ag__random_key(ag_tape_of(shape))};
    return ag_apply(&ag__op_draw_gamma, 2, x, &attribute, sizeof attribute);
}

/* ---- The slope of a gamma number by its shape a, the probability of a smaller one held ----
 *
 * With F the distribution and f the density of the number x it is −(∂F/∂a)/f. Let L be the integral of f up to x, and U
 * that beyond, both divided by x·f(x). Then the slope of ln x is −(ln x − ψ(a))·L − ∂L/∂a or, the same,
 * (ln x − ψ(a))·U + ∂U/∂a: below a the first and beyond it the second has no terms that cancel. (M. Figurnov et al.,
 * Implicit Reparameterization Gradients, 2018, differentiate the same series and fraction.) */

static double digamma(double x) {
    double sum = 0;
    for (; x < 10; x++) sum -= 1 / x;
    const double z = 1 / (x * x);
    const double tail =
        z * (1. / 12 - z * (1. / 120 - z * (1. / 252 - z * (1. / 240 - z * (1. / 132 - z * 691. / 32760)))));
    return sum + ln(x) - 0.5 / x - tail;
}

/* L = Σ c(n), c(n) = xⁿ/(a·(a+1)⋯(a+n)), each with the slope −c(n)·(1/a + h(n)), h(n) = 1/(a+1) + … + 1/(a+n). The
 * 1/a is that of ψ(a) = ψ(a+1) − 1/a. */
static double slope_by_series(double a, double x, double log_x, double rounding) {
    enum { TERMS = 1000 };
    double c = 1 / a, h = 0, sum = c, weighted = 0;
    for (int n = 1; n < TERMS; n++) {
        const double over = 1 / (a + n);
        c *= x * over;
        h += over;
        sum += c;
        weighted += c * h;
        if (c * h < weighted * rounding && c < sum * rounding) break;
    }
    return weighted - (log_x - digamma(a + 1)) * sum;
}

/* U = 1/(x+1−a − 1·(1−a)/(x+3−a − 2·(2−a)/(x+5−a − …))), by Lentz's method, with derivatives by a. */
static double slope_by_fraction(double a, double x, double log_x, double rounding) {
    enum { TERMS = 1000 };
    double b = x + 1 - a, c = 0x1p1000, c_a = 0, d = 1 / b, d_a = d * d, y = d, y_a = d_a;
    for (int n = 1; n < TERMS; n++) {
        const double p = -n * (n - a), below_d = p * d + (b += 2);
        c_a = -1 + n / c - p / c * (c_a / c);
        c = b + p / c;
        d_a = -(n * d + p * d_a - 1) / (below_d * below_d);
        d = 1 / below_d;
        const double factor = c * d, factor_a = c_a * d + c * d_a;
        y_a = y_a * factor + y * factor_a;
        y *= factor;
        if (fabs(factor - 1) < 4 * rounding && fabs(y * factor_a) < 4 * rounding * fabs(y_a)) break;
    }
    return (log_x - digamma(a)) * y + y_a;
}

static double polynomial(int n, const double c[], double x) {
    double y = 0;
    while (n-- > 0) y = y * x + c[n];
    return y;
}

/* A large a with x near it: the slope of x in powers of 1/a, whose coefficients are functions of d = x/a − 1 and follow
 * from one another by the slope's differential equation in x. The first is (1 + d)·ln(1 + d)/d. */
static double slope_near_large(double a, double x) {
    static const double one[] = {1. / 6,   1. / 12,   -1. / 30, 1. / 60,  -1. / 105,
                                 1. / 168, -1. / 252, 1. / 360, -1. / 495};
    static const double two[] = {1. / 60, 1. / 60, -1. / 210, 1. / 840, 0, -1. / 2520};
    static const double three[] = {-1. / 105, -1. / 840, 1. / 420};
    const double d = (x - a) / a, first = fabs(d) < 1e-8 ? 1 + 0.5 * d : (1 + d) * ln_1_plus(d) / d;
    const double rest = polynomial(9, one, d) + (polynomial(6, two, d) + polynomial(3, three, d) / a) / a;
    return (first + rest / a) / x;
}

/* The slope of ln x, to this rounding. */
static double log_slope(double a, double x, double log_x, double rounding) {
    if (!(a > 0) || !(log_x <= DBL_MAX)) return (double)NAN;
    if (a > 1000 && fabs(x - a) < 0.1 * a) return slope_near_large(a, x);
    return x <= a + 1 ? slope_by_series(a, x, log_x, rounding) : slope_by_fraction(a, x, log_x, rounding);
}

static void gamma_slopes(ag_dtype dtype, int64_t n, void *y, const void *const x[], bool logarithm) {
    const double rounding = dtype == AG_F32 ? 0x1p-28 : 0x1p-54;
    for (int64_t i = 0; i < n; i++) {
        const double a = ag__get_element(dtype, x[0], i), v = ag__get_element(dtype, x[1], i);
        ag__put_element(dtype, y, i,
                        logarithm ? log_slope(a, e_to(v), v, rounding) : v * log_slope(a, v, ln(v), rounding));
    }
}

static void gamma_slope_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    gamma_slopes(AG_F32, n, y, x, *(const double *)attributes != 0);
}
static void gamma_slope_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    gamma_slopes(AG_F64, n, y, x, *(const double *)attributes != 0);
}

AG_ELEMENTWISE(gamma_slope, 2, NULL, .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_TIED, .attribute_bytes = sizeof(double),
               .block = {[AG_F32] = gamma_slope_f32, [AG_F64] = gamma_slope_f64});

/* ---- Poisson and binomial ---- */

/* ln k! − ln(√(2πk)·(k/e)^k), the error of Stirling's formula. */
static double stirling_error(double k) {
    static const double few[] = {0,
                                 0.08106146679532726,
                                 0.04134069595540929,
                                 0.02767792568499834,
                                 0.02079067210376509,
                                 0.01664469118982119,
                                 0.01387612882307075,
                                 0.01189670994589177,
                                 0.01041126526197209,
                                 0.009255462182712733};
    if (k < 10) return few[(int)k];
    const double z = 1 / (k * k);
    return (1. / 12 - z * (1. / 360 - z * (1. / 1260 - z / 1680))) / k;
}

/* k·ln(k/m) + m − k, which is small where k is near m, by C. Loader's series. */
static double deviance(double k, double m) {
    if (fabs(k - m) >= 0.1 * (k + m)) return k > 0 ? k * ln(k / m) + m - k : m;
    const double v = (k - m) / (k + m);
    double term = 2 * k * v, sum = (k - m) * v;
    for (int j = 1; j < 12; j++) sum += (term *= v * v) / (2 * j + 1);
    return sum;
}

static const double LOG_2_PI = 1.83787706640934548356;

static double log_poisson(double k, double rate) {
    return k > 0 ? -stirling_error(k) - deviance(k, rate) - 0.5 * (LOG_2_PI + ln(k)) : -rate;
}

static double log_binomial(double k, double n, double p, double q) {
    if (k == 0) return n * ln_1_plus(-p);
    if (k == n) return n * ln(p);
    return stirling_error(n) - stirling_error(k) - stirling_error(n - k) - deviance(k, n * p) - deviance(n - k, n * q) -
           0.5 * (LOG_2_PI + ln(k) + ln_1_plus(-k / n));
}

/* A hat for transformed rejection (W. Hörmann, The transformed rejection method, 1993): numbers in steps of
 * (2a/us + b)·u + centre. */
typedef struct hat {
    double a, b, centre, sure, log_scale;
} hat;

/* A candidate, and the logarithm that its probability must exceed: −∞ for one that is sure; −1 if there is none. */
static double candidate(const hat *h, ag__bits *r, double *least) {
    ag__next_bits(r);
    const double u = ag__unit(r->word) - 0.5, v = half(r->word[2]), us = 0.5 - fabs(u);
    if (us <= 0) return -1;
    const double k = floor((2 * h->a / us + h->b) * u + h->centre);
    *least = -(double)INFINITY;
    if (us >= 0.07 && v <= h->sure) return k;
    if (us < 0.013 && v > us) return -1;
    *least = ln(v) + h->log_scale - ln(h->a / (us * us) + h->b);
    return k;
}

/* The first k whose probabilities, added up from that of 0 on, exceed u; each is the one before times step(k). */
static double by_inversion(double u, double p, double odds, double n) {
    double k = 0, rest = u - p;
    while (rest > 0 && k < 200 && (n < 0 || k < n)) {
        k++;
        p *= n < 0 ? odds / k : (n - k + 1) / k * odds;
        rest -= p;
    }
    return k;
}

static double poisson_number(const double p[2], ag__bits *r) {
    const double rate = p[0];
    if (!(rate >= 0 && rate <= DBL_MAX)) return (double)NAN;
    if (rate < 10) {
        ag__next_bits(r);
        return by_inversion(ag__unit(r->word), e_to(-rate), rate, -1);
    }
    const double b = 0.931 + 2.53 * sqrt(rate);
    const hat h = {-0.059 + 0.02483 * b, b, rate + 0.43, 0.9277 - 3.6224 / (b - 2), ln(1.1239 + 1.1328 / (b - 3.4))};
    for (int i = 0; i < MOST; i++) {
        double least;
        const double k = candidate(&h, r, &least);
        if (k >= 0 && (least < -DBL_MAX || least <= log_poisson(k, rate))) return k;
    }
    return floor(rate);
}

/* For p <= ½. */
static double few_of(double n, double p, ag__bits *r) {
    const double q = 1 - p, mean = n * p, deviation = sqrt(mean * q);
    if (mean < 10) {
        ag__next_bits(r);
        return by_inversion(ag__unit(r->word), e_to(n * ln_1_plus(-p)), p / q, n);
    }
    const double b = 1.15 + 2.53 * deviation, mode = floor((n + 1) * p);
    const hat h = {-0.0873 + 0.0248 * b + 0.01 * p, b, mean + 0.5, 0.92 - 4.2 / b, ln((2.83 + 5.1 / b) * deviation)};
    const double most = log_binomial(mode, n, p, q);
    for (int i = 0; i < MOST; i++) {
        double least;
        const double k = candidate(&h, r, &least);
        if (k >= 0 && k <= n && (least < -DBL_MAX || least <= log_binomial(k, n, p, q) - most)) return k;
    }
    return mode;
}

static double binomial_number(const double x[2], ag__bits *r) {
    const double n = x[0], p = x[1];
    if (!(n >= 0 && n <= DBL_MAX && floor(n) == n && p >= 0 && p <= 1)) return (double)NAN;
    return p > 0.5 ? n - few_of(n, 1 - p, r) : few_of(n, p, r);
}

/* ---- Truncated normal ---- */

/* A standard normal number from a to b, 0 < a: from the exponential distribution between them whose rate fits best
 * (C. Robert, Simulation of truncated normal variables, 1995). */
static bool in_tail(double a, double b, const uint32_t word[4], double *t) {
    const double rate = 0.5 * (a + sqrt(a * a + 4)), beyond = e_to(-rate * (b - a));
    *t = fmin(b, a - ln(1 - ag__unit(word) * (1 - beyond)) / rate);
    return ag__unit(word + 2) <= e_to(-0.5 * (*t - rate) * (*t - rate));
}

/* The same from a <= ¼ to b >= |a|: uniform numbers, or normal ones if there is room for most of them. */
static bool in_middle(double a, double b, const uint32_t word[4], double *t) {
    if (b - a < 2) {
        *t = a + (b - a) * ag__unit(word);
        return ag__unit(word + 2) <= e_to(-0.5 * *t * *t);
    }
    const double s = 2 * half(word[0]) - 1, u = 2 * half(word[1]) - 1, q = s * s + u * u;
    if (q >= 1) return false;
    *t = s * sqrt(-2 * ln(q) / q);
    return *t >= a && *t <= b;
}

static double truncated_number(const double p[2], ag__bits *r) {
    if (!(p[0] <= p[1])) return (double)NAN;
    const bool mirrored = p[0] < -p[1];
    const double a = mirrored ? -p[1] : p[0], b = mirrored ? -p[0] : p[1];
    for (int i = 0; i < MOST && a < b && a < (double)INFINITY; i++) {
        double t;
        ag__next_bits(r);
        if (a > 0.25 ? in_tail(a, b, r->word, &t) : in_middle(a, b, r->word, &t)) return mirrored ? -t : t;
    }
    return mirrored ? -a : a;
}

static bool poisson_eval(const ag_call *call) { return sample_all(call, poisson_number); }
static bool binomial_eval(const ag_call *call) { return sample_all(call, binomial_number); }
static bool truncated_eval(const ag_call *call) { return sample_all(call, truncated_number); }

const ag_op ag__op_draw_poisson =
    SAMPLER("draw_poisson", 2, .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE, .eval = poisson_eval);
const ag_op ag__op_draw_binomial =
    SAMPLER("draw_binomial", 3, .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE, .eval = binomial_eval);

const ag_op ag__op_draw_truncated_normal =
    SAMPLER("draw_truncated_normal", 3, .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE, .eval = truncated_eval);

ag_tensor *ag__poisson_numbers(ag_tensor *rate) {
    return ag_apply(&ag__op_draw_poisson, 2, (ag_tensor *[]){rate, ag__random_key(ag_tape_of(rate))}, NULL, 0);
}

ag_tensor *ag__binomial_numbers(ag_tensor *n, ag_tensor *p) {
    return ag_apply(&ag__op_draw_binomial, 3, (ag_tensor *[]){n, p, ag__random_key(ag_tape_of(n))}, NULL, 0);
}

ag_tensor *ag__truncated_numbers(ag_tensor *low, ag_tensor *high) {
    return ag_apply(&ag__op_draw_truncated_normal, 3, (ag_tensor *[]){low, high, ag__random_key(ag_tape_of(low))}, NULL,
                    0);
}
