/* fused -- forward and backward in as few sweeps as there can be, written by hand: the limit for what is composed
 *
 * Compiled for the very machine (-O3 -march=native, multiply-adds contracted), which a library could not be. Results
 * that are too large for the caches are written past them. */
#include "bench.h"

#include <math.h>
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

enum { STRIP = 1024, SMALL = 1 << 15 }; /* what has fewer than SMALL elements is left to one thread */

/* ---- Pieces ---- */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* y ← x past the caches; both aligned to 32 bytes or copied in the ordinary way. */
static void stream(int64_t n, float *restrict y, const float *restrict x) {
#ifdef __AVX__
    if (((uintptr_t)y | (uintptr_t)x) % 32 == 0 && n % 8 == 0) {
        for (int64_t i = 0; i < n; i += 8) _mm256_stream_ps(y + i, _mm256_load_ps(x + i));
        return;
    }
#endif
    memcpy(y, x, (size_t)n * sizeof *y);
}

/* e^x for |x| < 87: 2^n·e^r with |r| <= ln 2/2 and the series of e^r to the sixth power, within 2 units of the last
 * place; what lies beyond is cut off there. */
static inline float exp_f32(float x) {
    const float round = 0x1.8p23f;
    x = x > -87 ? x : -87;
    x = x < 87 ? x : 87;
    float shifted = x * 1.44269504f + round, n = shifted - round;
    float r = x - n * 0.693145752f - n * 1.42860677e-6f;
    float p = 1.f / 720;
    p = p * r + 1.f / 120;
    p = p * r + 1.f / 24;
    p = p * r + 1.f / 6;
    p = p * r + 0.5f;
    p = p * r + 1;
    p = p * r + 1;
    int32_t bits;
    float power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (int32_t)((uint32_t)bits << 23) + 0x3f800000;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* ---- GELU, y = x·s with s = 1/(1 + e^(−2u)), u = √(2/π)·(x + 0.044715·x³): x̄ = ȳ·(s + x·s·(1−s)·2u') ---- */

static void gelu_strip(int64_t n, const float *restrict x, const float *restrict g, float *restrict y,
                       float *restrict dx) {
    const float a = 2 * 0.797884561f, b = a * 0.044715f;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float x2 = x[i] * x[i], u = x[i] * (a + b * x2), du = a + 3 * b * x2;
        float s = 1 / (1 + exp_f32(-u));
        y[i] = x[i] * s;
        dx[i] = g[i] * (s + x[i] * s * (1 - s) * du);
    }
}

void fused_gelu_step(int64_t n, const float *x, const float *g, float *y, float *dx, int threads) {
    (void)threads;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i += STRIP) {
        _Alignas(64) float y_strip[STRIP], dx_strip[STRIP];
        int64_t m = least(STRIP, n - i);
        gelu_strip(m, x + i, g + i, y_strip, dx_strip);
        stream(m, y + i, y_strip);
        stream(m, dx + i, dx_strip);
    }
}

/* ---- Cross-entropy: a row at a time, in first-level cache ---- */

static float maximum(int64_t n, const float *x) {
    float m = x[0];
#pragma omp simd reduction(max : m)
    for (int64_t i = 0; i < n; i++) m = x[i] > m ? x[i] : m;
    return m;
}

/* y ← e^(x−m); returns the sum. */
static float exponentials(int64_t n, const float *restrict x, float m, float *restrict y) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        y[i] = exp_f32(x[i] - m);
        sum += y[i];
    }
    return sum;
}

static void scale(int64_t n, float *x, float a) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) x[i] *= a;
}

double fused_cross_entropy_step(int64_t n, int64_t c, const float *x, const int64_t *labels, float *dx, int threads) {
    double loss = 0;
    (void)threads;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : loss)
    for (int64_t i = 0; i < n; i++) {
        const float *scores = x + i * c;
        float *out = dx + i * c, m = maximum(c, scores), sum = exponentials(c, scores, m, out);
        loss += (double)(m + logf(sum) - scores[labels[i]]);
        scale(c, out, 1 / (sum * (float)n));
        out[labels[i]] -= 1 / (float)n;
    }
    return loss / (double)n;
}

/* ---- Batchnorm ---- */

/* Sums over the rows of a strip of columns; the strip's w columns of row i begin at x + i·c. */

typedef struct columns {
    int64_t w;
    float mean[STRIP], inverse[STRIP]; /* inverse: 1/√(variance + epsilon) */
    float a[STRIP], b[STRIP];          /* y = a·x + b */
    float sum_g[STRIP], sum_gx[STRIP]; /* Σ g and Σ g·(x − mean)·inverse */
} columns;

static void clear(int64_t n, float *x) { memset(x, 0, (size_t)n * sizeof *x); }

/* Sums of x − x[0] and of its square: shifted, so that they cancel little. */
static void statistics(const fused_batchnorm *s, int64_t from, columns *k) {
    float *restrict sum = k->mean, *restrict square = k->inverse;
    const float *restrict first = s->x + from;
    clear(k->w, sum), clear(k->w, square);
    for (int64_t i = 0; i < s->n; i++) {
        const float *restrict x = s->x + i * s->c + from;
#pragma omp simd
        for (int64_t j = 0; j < k->w; j++) {
            float d = x[j] - first[j];
            sum[j] += d;
            square[j] += d * d;
        }
    }
}

static void finish_statistics(const fused_batchnorm *s, int64_t from, columns *k) {
    float n = (float)s->n, keep = (float)s->momentum, epsilon = (float)s->epsilon;
    for (int64_t j = 0; j < k->w; j++) {
        float d = k->mean[j] / n, variance = k->inverse[j] / n - d * d;
        k->mean[j] = s->x[from + j] + d;
        k->inverse[j] = 1 / sqrtf(variance + epsilon);
        k->a[j] = s->gamma[from + j] * k->inverse[j];
        k->b[j] = s->beta[from + j] - k->a[j] * k->mean[j];
        s->running_mean[from + j] = keep * s->running_mean[from + j] + (1 - keep) * k->mean[j];
        s->running_var[from + j] = keep * s->running_var[from + j] + (1 - keep) * variance;
    }
}

static void forward(const fused_batchnorm *s, int64_t from, columns *k) {
    float *restrict sum_g = k->sum_g, *restrict sum_gx = k->sum_gx;
    clear(k->w, sum_g), clear(k->w, sum_gx);
    for (int64_t i = 0; i < s->n; i++) {
        const float *restrict x = s->x + i * s->c + from, *restrict g = s->g + i * s->c + from;
        float *restrict y = s->y + i * s->c + from;
#pragma omp simd
        for (int64_t j = 0; j < k->w; j++) {
            y[j] = k->a[j] * x[j] + k->b[j];
            sum_g[j] += g[j];
            sum_gx[j] += g[j] * (x[j] - k->mean[j]);
        }
    }
}

/* dx = a·(g − Σg/n − x̂·Σ(g·x̂)/n) = a·g + b'·x + c' */
static void backward(const fused_batchnorm *s, int64_t from, columns *k) {
    float n = (float)s->n;
    for (int64_t j = 0; j < k->w; j++) {
        k->sum_gx[j] *= k->inverse[j];
        s->dgamma[from + j] = k->sum_gx[j];
        s->dbeta[from + j] = k->sum_g[j];
        k->sum_gx[j] *= -k->a[j] * k->inverse[j] / n;
        k->b[j] = -k->a[j] * k->sum_g[j] / n - k->sum_gx[j] * k->mean[j];
    }
    for (int64_t i = 0; i < s->n; i++) {
        const float *restrict x = s->x + i * s->c + from, *restrict g = s->g + i * s->c + from;
        float *restrict dx = s->dx + i * s->c + from;
#pragma omp simd
        for (int64_t j = 0; j < k->w; j++) dx[j] = k->a[j] * g[j] + k->sum_gx[j] * x[j] + k->b[j];
    }
}

void fused_batchnorm_step(const fused_batchnorm *s, int threads) {
    if (s->n * s->c < SMALL) threads = 1;
    int64_t strip = s->c / threads < STRIP ? (s->c + threads - 1) / threads : STRIP;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t from = 0; from < s->c; from += strip) {
        columns k;
        k.w = least(strip, s->c - from);
        statistics(s, from, &k);
        finish_statistics(s, from, &k);
        forward(s, from, &k);
        backward(s, from, &k);
    }
}
