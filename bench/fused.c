/* fused -- forward and backward in the fewest possible sweeps, written by hand: the limit for composed functions
 *
 * Compiled for this machine, with -ffast-math, which a library could not be. Tried, and no faster on an AMD EPYC
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

enum { STRIP = 1024, MOST_THREADS = 16, SMALL = 1 << 15 }; /* one thread works on fewer elements than SMALL */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* y ← a·x, stored past the caches where both are aligned. */
static void stream(int64_t n, float *restrict y, float a, const float *restrict x) {
    int64_t i = 0;
#ifdef __AVX__
    __m256 wide = _mm256_set1_ps(a);
    if (((uintptr_t)y | (uintptr_t)x) % sizeof wide == 0)
        for (; i + 8 <= n; i += 8) _mm256_stream_ps(y + i, _mm256_mul_ps(wide, _mm256_load_ps(x + i)));
#endif
    for (; i < n; i++) y[i] = a * x[i];
}

/* e^x, with x clamped to |x| < 87: 2^n·e^r with |r| <= ln 2/2, and the series of e^r to r^6; within 2 units in the
 * last place. */
static inline float exp_f32(float x) {
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

/* ---- GELU, y = x·s with s = 1/(1 + e^(−u)), u = 2·√(2/π)·(x + 0.044715·x³): x̄ = ȳ·(s + x·s·(1−s)·u') ---- */

static void gelu_strip(int64_t n, const float *restrict x, const float *restrict g, float *restrict y,
                       float *restrict dx) {
    const float a = 2 * 0.797884561f, b = a * 0.044715f;
    for (int64_t i = 0; i < n; i++) {
        float x2 = x[i] * x[i], u = x[i] * (a + b * x2), du = a + 3 * b * x2;
        float s = 1 / (1 + exp_f32(-u));
        y[i] = x[i] * s;
        dx[i] = g[i] * (s + x[i] * s * (1 - s) * du);
    }
}

void fused_gelu_step(int64_t n, const float *x, const float *g, float *y, float *dx, int threads) {
    (void)threads; /* without OpenMP */
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i += STRIP) {
        _Alignas(64) float y_strip[STRIP], dx_strip[STRIP];
        int64_t m = least(STRIP, n - i);
        gelu_strip(m, x + i, g + i, y_strip, dx_strip);
        stream(m, y + i, 1, y_strip);
        stream(m, dx + i, 1, dx_strip);
    }
}

/* ---- Cross-entropy: a row at a time, in first-level cache ---- */

enum { LANES = 32 }; /* sums side by side, so that additions do not wait for each other */

static float maximum(int64_t n, const float *x) {
    float lane[LANES], m = x[0];
    int64_t i = 0;
    for (int j = 0; j < LANES; j++) lane[j] = m;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] = fmaxf(lane[j], x[i + j]);
    for (; i < n; i++) m = fmaxf(m, x[i]);
    for (int j = 0; j < LANES; j++) m = fmaxf(m, lane[j]);
    return m;
}

/* y ← e^(x−m); returns the sum. */
static float exponentials(int64_t n, const float *restrict x, float m, float *restrict y) {
    float lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += y[i + j] = exp_f32(x[i + j] - m);
    for (; i < n; i++) sum += y[i] = exp_f32(x[i] - m);
    for (int j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

double fused_cross_entropy_step(int64_t n, int64_t c, const float *x, const int64_t *labels, float *dx, int threads) {
    double loss = 0;
    (void)threads;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : loss)
    for (int64_t i = 0; i < n; i++) {
        _Alignas(64) float strip[4 * STRIP];
        const float *scores = x + i * c;
        float *out = dx + i * c, *y = c <= 4 * STRIP ? strip : out;
        float m = maximum(c, scores), sum = exponentials(c, scores, m, y);
        loss += (double)(m + logf(sum) - scores[labels[i]]);
        y[labels[i]] -= sum;
        stream(c, out, 1 / (sum * (float)n), y);
    }
    return loss / (double)n;
}

/* ---- Batchnorm, in two sweeps of both x and g, each thread over its rows ---- */

/* The sums are of x − x[0], so that they cancel little; with d = x − mean:
 *     y = a·x + b,  x̄ = a·g + c·x + d,  γ̄ = Σ g·d/√(variance + epsilon),  β̄ = Σ g */
typedef struct columns {
    int64_t from, w;
    _Alignas(64) float sum_x[STRIP], sum_xx[STRIP], sum_g[STRIP], sum_gx[STRIP], a[STRIP], b[STRIP], c[STRIP], d[STRIP];
} columns;

static columns of_thread[MOST_THREADS];

static inline void add_rows(const fused_batchnorm *s, columns *k, int64_t i, int rows) {
    const float *restrict first = s->x + k->from;
    const float *restrict x = first + i * s->c, *restrict g = s->g + i * s->c + k->from;
    for (int64_t j = 0; j < k->w; j++) {
        float sum_x = 0, sum_xx = 0, sum_g = 0, sum_gx = 0;
        for (int r = 0; r < rows; r++) {
            float d = x[r * s->c + j] - first[j], e = g[r * s->c + j];
            sum_x += d, sum_xx += d * d, sum_g += e, sum_gx += e * d;
        }
        k->sum_x[j] += sum_x, k->sum_xx[j] += sum_xx, k->sum_g[j] += sum_g, k->sum_gx[j] += sum_gx;
    }
}

static void add_all(const fused_batchnorm *s, columns *k, int64_t i, int64_t end) {
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

static void from_sums(const fused_batchnorm *s, columns *k) {
    float n = (float)s->n, keep = (float)s->momentum, epsilon = (float)s->epsilon;
    for (int64_t j = 0, i = k->from; j < k->w; j++, i++) {
        float shift = k->sum_x[j] / n, variance = k->sum_xx[j] / n - shift * shift, mean = s->x[i] + shift;
        float inverse = 1 / sqrtf(variance + epsilon), a = s->gamma[i] * inverse;
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

static void write_rows(const fused_batchnorm *s, const columns *k, int64_t i, int64_t end) {
    for (; i < end; i++) {
        const float *restrict x = s->x + i * s->c + k->from, *restrict g = s->g + i * s->c + k->from;
        float *restrict y = s->y + i * s->c + k->from, *restrict dx = s->dx + i * s->c + k->from;
        for (int64_t j = 0; j < k->w; j++) {
            y[j] = k->a[j] * x[j] + k->b[j];
            dx[j] = k->a[j] * g[j] + k->c[j] * x[j] + k->d[j];
        }
    }
}

static void strip_of_columns(const fused_batchnorm *s, int64_t from, int threads) {
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

void fused_batchnorm_step(const fused_batchnorm *s, int threads) {
    if (s->n * s->c < SMALL) threads = 1;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    for (int64_t from = 0; from < s->c; from += STRIP) strip_of_columns(s, from, threads);
}
