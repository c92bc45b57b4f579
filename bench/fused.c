/* fused -- forward and backward in the fewest possible sweeps, written by hand: the limit for composed functions
 *
 * Compiled for this machine, in its widest vectors, with -ffast-math, which a library could not be; once for f32, and
 * once for f64 with -DFUSED_F64. What does not fit the caches is stored past them. Tried, and no faster on an AMD EPYC
 * with AVX2: strips of columns that fit the caches (the hardware prefetches whole rows, and the lines of a strip
 * collide in the caches); a second sweep that runs backwards over data that the first has left in them. */
#include "bench.h"

#include <math.h>
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num(void) { return 0; }
static int omp_get_num_threads(void) { return 1; }
#endif

#ifdef FUSED_F64
typedef double real;
#define NAMED(name) name##_f64
#else
typedef float real;
#define NAMED(name) name##_f32
#endif

/* One thread works on fewer elements than SMALL; results of at least LARGE bytes are stored past the caches. */
enum { STRIP = 1024, MOST_THREADS = 16, SMALL = 1 << 15, LARGE = 4 << 20 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* y ← a·x, stored past the caches where both are aligned. */
static void stream(int64_t n, real *restrict y, real a, const real *restrict x) {
    int64_t i = 0;
#ifdef __AVX__
    typedef real wide __attribute__((vector_size(32)));
    const int64_t width = (int64_t)(sizeof(wide) / sizeof a);
    if (((uintptr_t)y | (uintptr_t)x) % sizeof(wide) == 0)
        for (; i + width <= n; i += width)
            _mm256_stream_si256((__m256i *)(void *)(y + i), (__m256i)(a * *(const wide *)(const void *)(x + i)));
#endif
    for (; i < n; i++) y[i] = a * x[i];
}

#ifdef FUSED_F64
static inline real exponential(real x) { return exp(x); } /* the compiler makes it libmvec's, of many at a time */
#else
/* e^x, with x clamped to |x| < 87: 2^n·e^r with |r| <= ln 2/2, and the series of e^r to r^6; within 2 units in the
 * last place. */
static inline real exponential(real x) {
    x = fminf(fmaxf(x, -87), 87);
    float n = rintf(x * 1.44269504f), r = x - n * 0.693145752f - n * 1.42860677e-6f;
    float p = 1.f / 720;
    p = p * r + 1.f / 120;
    p = p * r + 1.f / 24;
    p = p * r + 1.f / 6;
    p = p * r + 0.5f;
    p = p * r + 1;
    p = p * r + 1;
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}
#endif

static inline real larger(real a, real b) { return a > b ? a : b; }

/* ---- GELU, y = x·s with s = 1/(1 + e^(−u)), u = 2·√(2/π)·(x + 0.044715·x³): x̄ = ȳ·(s + x·s·(1−s)·u') ---- */

static void gelu_strip(int64_t n, const real *restrict x, const real *restrict g, real *restrict y, real *restrict dx) {
    const real a = (real)(2 * 0.79788456080286536), b = (real)0.044715 * a;
    for (int64_t i = 0; i < n; i++) {
        real x2 = x[i] * x[i], u = x[i] * (a + b * x2), du = a + 3 * b * x2;
        real s = 1 / (1 + exponential(-u));
        y[i] = x[i] * s;
        dx[i] = g[i] * (s + x[i] * s * (1 - s) * du);
    }
}

void NAMED(fused_gelu_step)(int64_t n, const void *x_, const void *g_, void *y_, void *dx_, int threads) {
    const real *x = x_, *g = g_;
    real *y = y_, *dx = dx_;
    (void)threads; /* without OpenMP */
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i += STRIP) {
        _Alignas(64) real y_strip[STRIP], dx_strip[STRIP];
        int64_t m = least(STRIP, n - i);
        gelu_strip(m, x + i, g + i, y_strip, dx_strip);
        stream(m, y + i, 1, y_strip);
        stream(m, dx + i, 1, dx_strip);
    }
}

/* ---- Cross-entropy: a row at a time, in first-level cache ---- */

enum { LANES = 32 }; /* sums side by side, so that additions do not wait for each other */

static real maximum(int64_t n, const real *x) {
    real lane[LANES], m = x[0];
    int64_t i = 0;
    for (int j = 0; j < LANES; j++) lane[j] = m;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] = larger(lane[j], x[i + j]);
    for (; i < n; i++) m = larger(m, x[i]);
    for (int j = 0; j < LANES; j++) m = larger(m, lane[j]);
    return m;
}

/* y ← e^(x−m); returns the sum. */
static real exponentials(int64_t n, const real *restrict x, real m, real *restrict y) {
    real lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += y[i + j] = exponential(x[i + j] - m);
    for (; i < n; i++) sum += y[i] = exponential(x[i] - m);
    for (int j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

double NAMED(fused_cross_entropy_step)(int64_t n, int64_t c, const void *x_, const int64_t *labels, void *dx_,
                                       int threads) {
    const real *x = x_;
    real *dx = dx_;
    double loss = 0;
    (void)threads;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : loss)
    for (int64_t i = 0; i < n; i++) {
        _Alignas(64) real strip[4 * STRIP];
        const real *scores = x + i * c;
        real *out = dx + i * c, *y = c <= 4 * STRIP ? strip : out;
        real m = maximum(c, scores), sum = exponentials(c, scores, m, y);
        loss += log((double)sum) + (double)(m - scores[labels[i]]);
        y[labels[i]] -= sum;
        stream(c, out, 1 / (sum * (real)n), y);
    }
    return loss / (double)n;
}

/* ---- Batchnorm, in two sweeps of both x and g, each thread over its rows ---- */

typedef struct layer { /* a fused_batchnorm */
    int64_t n, c;
    const real *x, *g, *gamma, *beta;
    real *y, *dx, *dgamma, *dbeta, *running_mean, *running_var;
    double momentum, epsilon;
} layer;

/* The sums are of x − x[0], so that they cancel little; with d = x − mean:
 *     y = a·x + b,  x̄ = a·g + c·x + d,  γ̄ = Σ g·d/√(variance + epsilon),  β̄ = Σ g */
typedef struct columns {
    int64_t from, w;
    _Alignas(64) real sum_x[STRIP], sum_xx[STRIP], sum_g[STRIP], sum_gx[STRIP], a[STRIP], b[STRIP], c[STRIP], d[STRIP];
} columns;

static columns of_thread[MOST_THREADS];

static inline void add_rows(const layer *s, columns *k, int64_t i, int rows) {
    const real *restrict first = s->x + k->from;
    const real *restrict x = first + i * s->c, *restrict g = s->g + i * s->c + k->from;
    for (int64_t j = 0; j < k->w; j++) {
        real sum_x = 0, sum_xx = 0, sum_g = 0, sum_gx = 0;
        for (int r = 0; r < rows; r++) {
            real d = x[r * s->c + j] - first[j], e = g[r * s->c + j];
            sum_x += d, sum_xx += d * d, sum_g += e, sum_gx += e * d;
        }
        k->sum_x[j] += sum_x, k->sum_xx[j] += sum_xx, k->sum_g[j] += sum_g, k->sum_gx[j] += sum_gx;
    }
}

static void add_all(const layer *s, columns *k, int64_t i, int64_t end) {
    for (int64_t j = 0; j < k->w; j++) k->sum_x[j] = k->sum_xx[j] = k->sum_g[j] = k->sum_gx[j] = 0;
    for (; i + 4 <= end; i += 4) add_rows(s, k, i, 4);
    for (; i < end; i++) add_rows(s, k, i, 1);
}

static void add_threads(columns *k, int threads) {
    for (int t = 1; t < threads; t++)
        for (int64_t j = 0; j < k->w; j++) {
            k->sum_x[j] += of_thread[t].sum_x[j], k->sum_xx[j] += of_thread[t].sum_xx[j];
            k->sum_g[j] += of_thread[t].sum_g[j], k->sum_gx[j] += of_thread[t].sum_gx[j];
        }
}

static void from_sums(const layer *s, columns *k) {
    real n = (real)s->n, keep = (real)s->momentum, epsilon = (real)s->epsilon;
    for (int64_t j = 0, i = k->from; j < k->w; j++, i++) {
        real shift = k->sum_x[j] / n, variance = k->sum_xx[j] / n - shift * shift, mean = s->x[i] + shift;
        real inverse = 1 / (real)sqrt((double)(variance + epsilon)), a = s->gamma[i] * inverse;
        s->dgamma[i] = (k->sum_gx[j] - shift * k->sum_g[j]) * inverse;
        s->dbeta[i] = k->sum_g[j];
        k->a[j] = a;
        k->b[j] = s->beta[i] - a * mean;
        k->c[j] = -a * inverse * s->dgamma[i] / n;
        k->d[j] = -a * s->dbeta[i] / n - k->c[j] * mean;
        s->running_mean[i] = keep * s->running_mean[i] + (1 - keep) * mean;
        s->running_var[i] = keep * s->running_var[i] + (1 - keep) * variance;
    }
}

static inline void write_strip(const columns *k, const real *restrict x, const real *restrict g, real *restrict y,
                               real *restrict dx) {
    for (int64_t j = 0; j < k->w; j++) {
        y[j] = k->a[j] * x[j] + k->b[j];
        dx[j] = k->a[j] * g[j] + k->c[j] * x[j] + k->d[j];
    }
}

static void write_rows(const layer *s, const columns *k, int64_t i, int64_t end) {
    _Alignas(64) real y_strip[STRIP], dx_strip[STRIP];
    bool large = s->n * s->c * (int64_t)sizeof(real) >= LARGE;
    for (; i < end; i++) {
        int64_t at = i * s->c + k->from;
        write_strip(k, s->x + at, s->g + at, large ? y_strip : s->y + at, large ? dx_strip : s->dx + at);
        if (!large) continue;
        stream(k->w, s->y + at, 1, y_strip);
        stream(k->w, s->dx + at, 1, dx_strip);
    }
}

static void strip_of_columns(const layer *s, int64_t from, int threads) {
    (void)threads;
#pragma omp parallel num_threads(threads)
    {
        int t = omp_get_thread_num(), all = omp_get_num_threads();
        int64_t start = s->n * t / all, end = s->n * (t + 1) / all;
        of_thread[t].from = from;
        of_thread[t].w = least(STRIP, s->c - from);
        add_all(s, &of_thread[t], start, end);
#pragma omp barrier
#pragma omp single
        {
            add_threads(of_thread, all);
            from_sums(s, of_thread);
        }
        write_rows(s, of_thread, start, end);
    }
}

void NAMED(fused_batchnorm_step)(const fused_batchnorm *b, int threads) {
    const layer s = {b->n,        b->c,      b->x,      b->g,     b->gamma,        b->beta,
                     b->y,        b->dx,     b->dgamma, b->dbeta, b->running_mean, b->running_var,
                     b->momentum, b->epsilon};
    if (s.n * s.c < SMALL) threads = 1;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    for (int64_t from = 0; from < s.c; from += STRIP) strip_of_columns(&s, from, threads);
}
