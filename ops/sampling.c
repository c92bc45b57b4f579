/* sampling -- see sampling.h
 *
 * A sampler gives up after MOST attempts, of which hardly any number needs more than ten: the result is then the mode.
 * All is computed in f64, and rounded. Invalid parameters give NaN. */
#include "ops/sampling.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/philox.h"
#include "ops/incomplete.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MOST = 100, WORK = 200 /* steps of a number, about */ };

/* ---- Random bits ---- */

#define ATTEMPT (UINT64_C(1) << 48) /* blocks from one attempt to the next */

void ag__next_bits(ag__bits *r) {
    for (int k = 0; k < 4 && r->first; k++) r->word[k] = r->first[k * AG__PHILOX_LANES];
    if (!r->first) ag__philox(r->seed, r->draw, r->block, r->word);
    r->first = NULL;
    r->block += ATTEMPT;
}

ag__bits ag__bits_of(uint64_t seed, uint64_t draw, int64_t element) {
    return (ag__bits){.seed = seed, .draw = draw, .block = (uint64_t)element};
}

/* 0 < u < 1, of 32 bits. */
static double half(uint32_t w) { return ((double)w + 0.5) * 0x1p-32; }

double ag__unit(const uint32_t word[2]) {
    return ((double)(word[0] >> 5) * 0x1p26 + (double)(word[1] >> 6) + 1) * 0x1p-53;
}

static bool key_infer(ag_infer *r) { return r->dtype = AG_I64, r->shape = AG_SHAPE(2), true; }

static bool key_eval(const ag_call *call) {
    memcpy(call->y.data, call->attributes, 2 * sizeof(uint64_t));
    return true;
}

const ag_op ag__op_random_key = {.name = "random_key",
                                 .kind = AG_KIND_SOURCE,
                                 .flags = AG__INNER,
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
typedef void sampler_of_lots(const ag__bits *of, int n, const uint32_t *word, const double *x, double *y);

/* normals: each number begins with a normal one. */
typedef struct sampling {
    const ag_call *call;
    sampler *sample;
    sampler_of_lots *sample_lots; /* of one parameter, in place of `sample`; may be NULL */
    bool normals;
} sampling;

enum { LOT = AG__PHILOX_LANES, GROUP = AG__PHILOX_GROUP, FEW_WORDS = AG__LIMIT(8, 2) };

/* Block `start` and those behind it, side by side. */
static void make_words(const ag__bits *of, int64_t n, uint32_t word[AG__PHILOX_WORDS]) {
    uint32_t one[4];
    if (n > FEW_WORDS) ag__philox_batch(of->seed, of->draw, of->block, word);
    for (int64_t i = 0; i < n && n <= FEW_WORDS; i++) {
        ag__philox(of->seed, of->draw, of->block + (uint64_t)i, one);
        for (int k = 0; k < 4; k++) word[k * LOT + i] = one[k];
    }
}

/* Numbers at … at+n−1. */
static void sample_lot(const sampling *s, int64_t at, int64_t n) {
    const ag_call *call = s->call;
    const ag_array *y = &call->y;
    const double *attribute = ag_attributes(call->node); /* NULL: there is none */
    const uint64_t *key = call->x[call->n - 1].data;
    const int64_t bytes = (int64_t)ag_dtype_size(y->dtype);
    uint32_t word[AG__PHILOX_WORDS] = {0};
    double x[2][LOT] = {{0}}, normal[AG__PHILOX_WORDS / 2], result[LOT];
    ag__bits of = ag__bits_of(key[0], key[1], at);
    make_words(&of, n, word);
    if (s->normals) {
        ag__normals_f64(0, 1, (int)(n + GROUP - 1) / GROUP, word, normal);
        of.block += ATTEMPT;
        make_words(&of, n, word);
    }
    for (int j = 0; j < call->n - 1; j++) ag__widen(y->dtype, n, x[j], (const char *)call->x[j].data + at * bytes);
    if (s->sample_lots) s->sample_lots(&of, (int)n, word, x[0], result);
    ag__bits r = of;
    for (int64_t i = 0; i < n && s->sample; i++) {
        const double p[2] = {x[0][i], attribute ? *attribute : x[1][i]};
        r.block = of.block + (uint64_t)i;
        r.first = word + i;
        if (s->normals) r.normal = normal[i];
        result[i] = s->sample(p, &r);
    }
    if (y->dtype == AG_F32) ag__narrow(n, (float *)y->data + at, result);
    else memcpy((double *)y->data + at, result, (size_t)n * sizeof *result);
}

static void sample_share(void *s_, int share, int shares) {
    const sampling *s = s_;
    const int64_t end = ag__share_start(s->call->y.size, share + 1, shares);
    for (int64_t at = ag__share_start(s->call->y.size, share, shares), n; at < end; at += n) {
        n = ag__lesser(end - at, LOT);
        sample_lot(s, at, n);
    }
}

static bool sample_with(sampling s) {
    ag__parallel(ag__worthwhile(s.call->y.size * WORK, s.call->threads), sample_share, &s);
    return true;
}

static bool sample_all(const ag_call *call, sampler *sample) {
    return sample_with((sampling){.call = call, .sample = sample});
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

/* v = (1 + c·z)³, z normal, is accepted so that d·v is distributed as gamma numbers of shape d + 1/3. All normal
 * numbers but the first are those of points in the unit circle. A shape below 1 is that of shape + 1, times
 * u^(1/shape). p[1]: whether the logarithm is wanted. */
static double gamma_number(const double p[2], ag__bits *r) {
    const bool logarithm = p[1] != 0;
    double a = p[0], log_boost = 0, v = 1, z = r->normal;
    if (!(a > 0 && a <= DBL_MAX)) return (double)NAN;
    ag__next_bits(r);
    if (a < 1) {
        log_boost = ag__ln(ag__unit(&r->word[2])) / a;
        a += 1;
    }
    const double d = a - 1. / 3, c = 1 / sqrt(9 * d);
    double u = ag__unit(r->word);
    for (int i = 0; i < MOST; i++) {
        const double z2 = z * z, root = 1 + c * z, cube = root * root * root;
        if (root > 0 && (u < 1 - 0.0331 * z2 * z2 || ag__ln(u) < 0.5 * z2 + d * (1 - cube + ag__ln(cube)))) {
            v = cube;
            break;
        }
        double s, q;
        do {
            ag__next_bits(r);
            const double t = 2 * half(r->word[1]) - 1;
            s = 2 * half(r->word[0]) - 1, q = s * s + t * t;
        } while (q >= 1 && ++i < MOST);
        z = q < 1 ? s * sqrt(-2 * ag__ln(q) / q) : 0;
        u = ag__unit(&r->word[2]);
    }
    if (logarithm) return ag__ln(d) + ag__ln(v) + log_boost;
    return log_boost < 0 ? d * v * ag__e_to(log_boost) : d * v;
}

static bool gamma_eval(const ag_call *call) {
    return sample_with((sampling){.call = call, .sample = gamma_number, .normals = true});
}

static ag_tensor *gamma_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *const x[] = {y->input[0], y};
    return (void)i, ag__slope_mul(g, ag_apply(&ag__op_gamma_slope, 2, x, ag__attributes(y), sizeof(double)));
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
 * With F the distribution and f the density of the number x it is −(∂F/∂a)/f (M. Figurnov et al., Implicit
 * Reparameterization Gradients, 2018). That of the logarithm of a number, S(a, ln x), has itself the slope
 * −(ln x − ψ(a)) − (a − x)·S by ln x; that by a is computed in incomplete.c. */

typedef double slope(double a, double x, double log_x, double rounding);

static void slopes(ag_dtype dtype, int64_t n, void *y, const void *const x[], const void *logarithm, slope *f) {
    const double rounding = dtype == AG_F32 ? 0x1p-28 : 0x1p-54;
    const bool of_log = *(const double *)logarithm != 0;
    for (int64_t i = 0; i < n; i++) {
        const double a = ag__get_element(dtype, x[0], i), v = ag__get_element(dtype, x[1], i),
                     log_x = of_log ? v : ag__ln(v);
        const bool valid = a > 0 && a <= DBL_MAX && log_x <= DBL_MAX;
        const double s = valid ? f(a, of_log ? ag__e_to(v) : v, log_x, rounding) : (double)NAN;
        ag__put_element(dtype, y, i, of_log ? s : v * s);
    }
}

static void gamma_slope_f32(int64_t n, void *y, const void *const x[], const void *logarithm) {
    slopes(AG_F32, n, y, x, logarithm, ag__gamma_log_slope);
}
static void gamma_slope_f64(int64_t n, void *y, const void *const x[], const void *logarithm) {
    slopes(AG_F64, n, y, x, logarithm, ag__gamma_log_slope);
}
static void gamma_bend_f32(int64_t n, void *y, const void *const x[], const void *logarithm) {
    slopes(AG_F32, n, y, x, logarithm, ag__gamma_log_bend);
}
static void gamma_bend_f64(int64_t n, void *y, const void *const x[], const void *logarithm) {
    slopes(AG_F64, n, y, x, logarithm, ag__gamma_log_bend);
}

AG_ELEMENTWISE(gamma_bend, 2, NULL, .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_TIED, .attribute_bytes = sizeof(double),
               .block = {[AG_F32] = gamma_bend_f32, [AG_F64] = gamma_bend_f64});

static ag_tensor *gamma_slope_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *a = y->input[0], *v = y->input[1];
    const bool of_log = *(const double *)ag__attributes(y) != 0;
    if (i == 0) return ag__slope_mul(g, ag_apply(&ag__op_gamma_bend, 2, y->input, ag__attributes(y), sizeof(double)));
    ag_tensor *log_x = of_log ? v : ag_log(v), *x = of_log ? ag_exp(v) : v, *s = of_log ? y : ag_div(y, v);
    ag_tensor *by_log = ag_sub(ag_mul(ag_sub(x, a), s), ag_sub(log_x, ag_digamma(a)));
    return ag__slope_mul(g, of_log ? by_log : ag_add(s, by_log));
}

AG_ELEMENTWISE(gamma_slope, 2, NULL, .flags = AG_OP_TIED, .attribute_bytes = sizeof(double), .vjp = gamma_slope_vjp,
               .block = {[AG_F32] = gamma_slope_f32, [AG_F64] = gamma_slope_f64});

/* ---- Poisson ----
 *
 * Numbers are made side by side, in vectors; those that are rejected move together, and are tried again. */

typedef void kernel(int groups, const double *rate, const uint32_t *word, double *k);

/* Rates below 10: the first k whose probabilities, added up from that of 0 on, exceed a uniform number. */
static void by_addition(int groups, const double *rate, const uint32_t *word, double *k) {
    enum { END = 200 };
    const int n = groups * GROUP;
    double p[LOT], rest[LOT];
    AG_SIMD for (int i = 0; i < n; i++) p[i] = -rate[i], k[i] = 0;
    ag__each(&ag__op_exp, n, p);
    AG_SIMD for (int i = 0; i < n; i++) rest[i] = ag__unit_f64(word[i], word[LOT + i]) + 0x1p-53 - p[i];
    for (int step = 1, left = 0; step < END; step++) {
        while (left < n && !(rest[left] > 0)) left++;
        if (left == n) return;
        const double part = 1. / step;
        AG_SIMD for (int i = 0; i < n; i++) {
            p[i] *= rate[i] * part;
            k[i] += rest[i] > 0 ? 1 : 0;
            rest[i] -= p[i];
        }
    }
}

/* ⌊x⌋, of which a compiler makes vectors on any processor: numbers from 2^52 on have no fractions, and a smaller one
 * has none left after 2^52 is added. */
static inline double whole(double x) {
    const double far = copysign(0x1p52, x), y = x + far - far, less = y > x ? y - 1 : y;
    return fabs(x) < 0x1p52 ? less : x;
}

/* From 10 on, by transformed rejection (see below); −1: rejected. A candidate's probability is e^−(E + D)/√(2πk), with
 * Stirling's error E of k! and the deviance D = k·ln(k/rate) + rate − k, a series where k is near the rate. */
static void by_rejection(int groups, const double *rate, const uint32_t *word, double *y) {
    const int n = groups * GROUP;
    static const double error_of[10] = {0, /* without √(2πk) */
                                        0.0810614667953272582,
                                        0.0413406959554092941,
                                        0.0276779256849983391,
                                        0.0207906721037650931,
                                        0.0166446911898211922,
                                        0.0138761288230707480,
                                        0.0118967099458917701,
                                        0.0104112652619720965,
                                        0.00925546218271273292};
    double x[2 * LOT], slack[LOT], error[LOT], by[LOT];
    AG_SIMD for (int i = 0; i < n; i++) {
        const double m = rate[i], b = 0.931 + 2.53 * sqrt(m), a = -0.059 + 0.02483 * b;
        const double at = ag__unit_f64(word[i], word[LOT + i]) + 0x1p-53 - 0.5, us = 0.5 - fabs(at);
        const double least = ag__unit_f64(word[2 * LOT + i], word[3 * LOT + i]) + 0x1p-53;
        const double k = whole((2 * a / us + b) * at + m + 0.43), root = k > 0 ? 2.50662827463100050 * sqrt(k) : 1;
        const double sure = us >= 0.07 && least <= 0.9277 - 3.6224 / (b - 2) ? (double)INFINITY : 0;
        slack[i] = us < 0.013 && least > us ? -(double)INFINITY : sure;
        by[i] = (k - m) / m;
        x[i] = 1 + by[i];
        x[n + i] = least * (1.1239 + 1.1328 / (b - 3.4)) * (us * us / (a + b * (us * us))) * root;
        y[i] = k;
    }
    for (int i = 0; i < n; i++) error[i] = y[i] >= 0 && y[i] < 10 ? error_of[(int)y[i]] : 0;
    ag__each(&ag__op_log, 2 * n, x);
    AG_SIMD for (int i = 0; i < n; i++) {
        const double m = rate[i], k = y[i], d = by[i], r = 1 / k, z = r * r;
        const double far = (1. / 12 - z * (1. / 360 - z * (1. / 1260 - z * (1. / 1680 - z / 1188)))) * r;
        const double near = m * d * d * (1. / 2 - d * (1. / 6 - d * (1. / 12 - d / 20)));
        const double deviance = fabs(d) < 0x1p-13 ? near : (k > 0 ? k * x[i] * (d / (1 + d - 1)) : 0) + m - k;
        const double left = slack[i] - (x[n + i] + (k < 10 ? error[i] : far) + deviance);
        y[i] = k >= 0 && left >= 0 ? k : -1;
    }
}

/* The numbers of those places of a lot whose rates are from `low` to below `high`, or to the largest number. */
static void poisson_range(const ag__bits *of, int n, const uint32_t *word, const double *rate, double low, double high,
                          kernel *make, double *y) {
    int place[LOT], left = 0;
    for (int i = 0; i < n; i++)
        if (rate[i] >= low && rate[i] < high && rate[i] <= DBL_MAX) place[left++] = i;
    for (uint64_t attempt = 0; left > 0 && attempt < MOST; attempt++) {
        uint32_t words[AG__PHILOX_WORDS] = {0}, one[4];
        double rates[LOT] = {0}, k[LOT];
        const bool all = left == n && attempt == 0 && n % GROUP == 0;
        for (int j = 0; j < left && !all; j++) {
            const int i = place[j];
            rates[j] = rate[i];
            if (attempt > 0) ag__philox(of->seed, of->draw, of->block + (uint64_t)i + attempt * ATTEMPT, one);
            for (int w = 0; w < 4; w++) words[w * LOT + j] = attempt > 0 ? one[w] : word[w * LOT + i];
        }
        make((left + GROUP - 1) / GROUP, all ? rate : rates, all ? word : words, k);
        int again = 0;
        for (int j = 0; j < left; j++) {
            const int i = place[j];
            y[i] = k[j];
            place[again] = i; /* without a branch, of which a processor could not foresee the direction */
            again += k[j] < 0;
        }
        left = again;
    }
    while (left-- > 0) y[place[left]] = floor(rate[place[left]]);
}

static void poisson_numbers(const ag__bits *of, int n, const uint32_t *word, const double *rate, double *y) {
    for (int i = 0; i < n; i++) y[i] = (double)NAN;
    poisson_range(of, n, word, rate, 0, 10, by_addition, y);
    poisson_range(of, n, word, rate, 10, (double)INFINITY, by_rejection, y);
}

/* ---- Binomial ---- */

static const double LOG_2_PI = 1.83787706640934548356;

static double log_binomial(double k, double n, double p, double q) {
    if (k == 0) return n * ag__ln_1_plus(-p);
    if (k == n) return n * ag__ln(p);
    return ag__stirling_error(n) - ag__stirling_error(k) - ag__stirling_error(n - k) - ag__deviance(k, n * p) -
           ag__deviance(n - k, n * q) - 0.5 * (LOG_2_PI + ag__ln(k) + ag__ln_1_plus(-k / n));
}

/* A hat for transformed rejection (W. Hörmann, The transformed rejection method, 1993): numbers in steps of
 * (2a/us + b)·u + centre. */
typedef struct hat {
    double a, b, centre, sure, scale;
} hat;

/* A candidate, and the number that its probability must exceed: 0 for one that is sure; −1 if there is none. */
static double candidate(const hat *h, ag__bits *r, double *least) {
    ag__next_bits(r);
    const double u = ag__unit(r->word) - 0.5, v = half(r->word[2]), us = 0.5 - fabs(u);
    if (us <= 0) return -1;
    const double k = floor((2 * h->a / us + h->b) * u + h->centre);
    *least = 0;
    if (us >= 0.07 && v <= h->sure) return k;
    if (us < 0.013 && v > us) return -1;
    *least = v * h->scale / (h->a / (us * us) + h->b);
    return k;
}

/* The first k whose probabilities, added up from that of 0 on, exceed u. */
static double by_inversion(double u, double p, double odds, double n) {
    double k = 0, rest = u - p;
    while (rest > 0 && k < 200 && k < n) {
        k++;
        p *= (n - k + 1) / k * odds;
        rest -= p;
    }
    return k;
}

/* For p <= ½. */
static double few_of(double n, double p, ag__bits *r) {
    const double q = 1 - p, mean = n * p, deviation = sqrt(mean * q);
    if (mean < 10) {
        ag__next_bits(r);
        return by_inversion(ag__unit(r->word), ag__e_to(n * ag__ln_1_plus(-p)), p / q, n);
    }
    const double b = 1.15 + 2.53 * deviation, mode = floor((n + 1) * p);
    const hat h = {-0.0873 + 0.0248 * b + 0.01 * p, b, mean + 0.5, 0.92 - 4.2 / b, (2.83 + 5.1 / b) * deviation};
    for (int i = 0; i < MOST; i++) {
        double least;
        const double k = candidate(&h, r, &least);
        if (k >= 0 && k <= n && (least == 0 || ag__ln(least) <= log_binomial(k, n, p, q) - log_binomial(mode, n, p, q)))
            return k;
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
    const double rate = 0.5 * (a + sqrt(a * a + 4)), beyond = ag__e_to(-rate * (b - a));
    *t = fmin(b, a - ag__ln(1 - ag__unit(word) * (1 - beyond)) / rate);
    return ag__unit(word + 2) <= ag__e_to(-0.5 * (*t - rate) * (*t - rate));
}

/* The same from a <= ¼ to b >= |a|: uniform numbers, or normal ones if there is room for most of them. */
static bool in_middle(double a, double b, const uint32_t word[4], double *t) {
    if (b - a < 2) {
        *t = a + (b - a) * ag__unit(word);
        return ag__unit(word + 2) <= ag__e_to(-0.5 * *t * *t);
    }
    const double s = 2 * half(word[0]) - 1, u = 2 * half(word[1]) - 1, q = s * s + u * u;
    if (q >= 1) return false;
    *t = s * sqrt(-2 * ag__ln(q) / q);
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

static bool poisson_eval(const ag_call *call) {
    return sample_with((sampling){.call = call, .sample_lots = poisson_numbers});
}
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
