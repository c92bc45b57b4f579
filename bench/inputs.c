/* inputs -- the same numbers for us and our peers, without a file: element i of stream s is a hash of both */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#include <sys/resource.h>
#include <time.h>

static bool of_work;

void seconds_of_work(void) { of_work = true; }

static double seconds_by(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Only children that have ended count; the peers' processes have not. */
static double seconds_of_children(void) {
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

double seconds_now(void) {
    return of_work ? seconds_by(CLOCK_PROCESS_CPUTIME_ID) + seconds_of_children() : seconds_by(CLOCK_MONOTONIC);
}

/* As the library does for its own memory. */
static void prefer_huge_pages(void *p, size_t bytes) {
#ifdef MADV_HUGEPAGE
    enum { LEAST = 4 << 20, PAGE = 4096 };
    uintptr_t first = ((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1),
              end = ((uintptr_t)p + bytes) & ~(uintptr_t)(PAGE - 1);
    if (bytes >= LEAST) madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

void *room(int64_t bytes) {
    size_t rounded = ((size_t)bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, rounded);
    if (!p) {
        fprintf(stderr, "bench: out of memory (%lld bytes)\n", (long long)bytes);
        exit(2);
    }
    prefer_huge_pages(p, rounded);
    return memset(p, 0, rounded);
}

void room_free(const void *p) { free((void *)(uintptr_t)p); }

/* Sebastiano Vigna's splitmix64, with the counter as its state. */
static uint64_t hash(uint64_t stream, int64_t i) {
    uint64_t z = ((stream << 32) + (uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 24 bits, so that f32 holds it. */
static double noise(uint64_t stream, int64_t i) { return (double)(hash(stream, i) >> 40) * 0x1p-23 - 1; }

float *noise_f32(int64_t n, uint64_t stream, double scale) {
    float *x = room(n * (int64_t)sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(noise(stream, i) * scale);
    return x;
}

double *noise_f64(int64_t n, uint64_t stream, double scale) {
    double *x = room(n * (int64_t)sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = noise(stream, i) * scale;
    return x;
}

int64_t *noise_labels(int64_t n, uint64_t stream, int64_t classes) {
    int64_t *x = room(n * (int64_t)sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (int64_t)((hash(stream, i) >> 40) % (uint64_t)classes);
    return x;
}

/* The logarithm makes each of several tensors count, whatever its size; the other term has the signs. */
static double weighed(double plain, double size) { return size > 0 ? log(size) + plain / size : size; }

double weigh_f64(const double *x, int64_t n) {
    double plain = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        plain += x[i] * (double)(1 + i % 7);
        size += fabs(x[i]) * (double)(1 + i % 7);
    }
    return weighed(plain, size);
}

double weigh_f32(const float *x, int64_t n) {
    double plain = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        plain += (double)x[i] * (double)(1 + i % 7);
        size += fabs((double)x[i]) * (double)(1 + i % 7);
    }
    return weighed(plain, size);
}

double weigh(ag_tensor *x) {
    const void *data = ag_data(x);
    if (!data) return NAN;
    return ag_dtype_of(x) == AG_F32 ? weigh_f32(data, ag_size(x)) : weigh_f64(data, ag_size(x));
}

double squares(int n, ag_tensor *const x[]) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const float *data = ag_data(x[i]);
        for (int64_t k = 0; data && k < ag_size(x[i]); k++) sum += (double)data[k] * (double)data[k];
    }
    return sum;
}

bool fine(const ag_tape *tape) {
    if (ag_tape_status(tape) == AG_OK) return true;
    fprintf(stderr, "bench: %s\n", ag_tape_error(tape));
    return false;
}

ag_tensor *noise_parameter(ag_tape *tape, ag_shape shape, uint64_t stream, double scale) {
    int64_t n = 1;
    for (int i = 0; i < shape.rank; i++) n *= shape.extent[i];
    float *data = noise_f32(n, stream, scale);
    ag_tensor *p = ag_parameter(tape, AG_F32, shape, data);
    room_free(data);
    return p;
}

void copy_bytes(int threads, int64_t moved, int64_t repetitions) {
    static char *from, *to;
    static int64_t size;
    int64_t half = moved / 2;
    if (half > size) {
        room_free(from), room_free(to);
        from = room(half), to = room(half);
        size = half;
    }
    (void)threads; /* without OpenMP */
    for (int64_t k = 0; k < repetitions; k++) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int i = 0; i < threads; i++) {
            int64_t start = half * i / threads, end = half * (i + 1) / threads;
            memcpy(to + start, from + start, (size_t)(end - start));
        }
    }
}

/* ---- Tapes and their memory ---- */

static struct { int64_t live, peak; } counted;

/* An ag_allocator whose peak can be reset; a tape's own cannot. */
static void *count_resize(void *ctx, void *p, size_t old_bytes, size_t new_bytes) {
    (void)ctx;
    void *y = new_bytes ? aligned_alloc(64, (new_bytes + 63) / 64 * 64) : NULL;
    if (new_bytes && !y) return NULL;
    if (y && p) memcpy(y, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    free(p);
    counted.live += (int64_t)new_bytes - (p ? (int64_t)old_bytes : 0);
    if (counted.live > counted.peak) counted.peak = counted.live;
    return y;
}

ag_tape *new_tape(const row *r, int threads) {
    counted.live = counted.peak = 0;
    ag_tape *tape = r->measure ? ag_tape_new_with(&(ag_allocator){count_resize, NULL}) : ag_tape_new();
    ag_tape_set_threads(tape, threads);
    return tape;
}

double peak_above(const row *r, void (*steps)(const row *, int64_t), ag_tape *tape, int n, ag_tensor *const kept[]) {
    enum { FIRST = 8 }; /* plans and memory are as they stay after a few */
    steps(r, FIRST);
    ag_tape_trim(tape);
    counted.peak = counted.live;
    steps(r, 1);
    double bytes = (double)counted.peak;
    for (int i = 0; i < n; i++) bytes -= (double)ag_size(kept[i]) * (double)ag_dtype_size(ag_dtype_of(kept[i]));
    return fine(tape) ? bytes : NAN;
}
