/* closed -- see closed.h */
#include "tests/closed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Cases ---- */

enum { ROOM = 1 << 18 };

static double pool[ROOM];
static int64_t pool_used;
static uint64_t state;

void in_random_cases(int cases, void (*body)(void)) {
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < (small_run() ? 3 : cases); i++) {
        char name[40];
        snprintf(name, sizeof name, "case %d", i);
        expecting(name);
        state = 1000003u * (uint64_t)i + 17;
        pool_used = 0;
        body();
        expect_ok(tape);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    expecting("");
}

/* ---- Random numbers ---- */

static uint64_t next_bits(void) { /* splitmix64 */
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

double between(double low, double high) { return low + (high - low) * (double)(next_bits() >> 11) * 0x1p-53; }

int64_t whole(int64_t low, int64_t high) { return low + (int64_t)(next_bits() % (uint64_t)(high - low + 1)); }

bool coin(void) { return whole(0, 1); }

double *room(int64_t n) {
    double *all = pool + pool_used;
    ck_assert_int_le(pool_used + n, ROOM);
    pool_used += n;
    return memset(all, 0, (size_t)n * sizeof *all);
}

double *values(int64_t n, double low, double high) {
    double *all = room(n);
    for (int64_t i = 0; i < n; i++) all[i] = between(low, high);
    return all;
}

int64_t *labels(int64_t n, int64_t classes) {
    int64_t *all = (int64_t *)room(n);
    for (int64_t i = 0; i < n; i++) all[i] = whole(0, classes - 1);
    return all;
}

ag_shape any_shape(void) {
    ag_shape shape = {.rank = (int)whole(1, 4)};
    for (int i = 0; i < shape.rank; i++) shape.extent[i] = whole(1, 5);
    return shape;
}

/* ---- Matrices ---- */

double *product(int64_t m, int64_t k, int64_t n, const double *a, const double *b) {
    double *y = room(m * n);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t l = 0; l < k; l++) y[i * n + j] += a[i * k + l] * b[l * n + j];
    return y;
}

double *flipped(int64_t m, int64_t n, const double *a) {
    double *y = room(m * n);
    for (int64_t i = 0; i < m * n; i++) y[i % n * m + i / n] = a[i];
    return y;
}

double *column_sums(int64_t m, int64_t n, const double *a) {
    double *y = room(n);
    for (int64_t i = 0; i < m * n; i++) y[i % n] += a[i];
    return y;
}

double *row_sums(int64_t m, int64_t n, const double *a) {
    double *y = room(m);
    for (int64_t i = 0; i < m * n; i++) y[i / n] += a[i];
    return y;
}

double *map(int64_t n, double (*f)(double), const double *a) {
    double *y = room(n);
    for (int64_t i = 0; i < n; i++) y[i] = f(a[i]);
    return y;
}

double *hadamard(int64_t n, const double *a, const double *b) {
    double *y = room(n);
    for (int64_t i = 0; i < n; i++) y[i] = a[i] * b[i];
    return y;
}

double largest(int64_t n, const double *a) {
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(a[i]));
    return most;
}

/* ---- The engine ---- */

ag_tensor *constant_of(ag_shape shape, const double *data) { return ag_from(tape, AG_F64, shape, data); }

ag_tensor *parameter_of(ag_shape shape, const double *data) { return ag_parameter(tape, AG_F64, shape, data); }

void pull_back(ag_tensor *y, ag_tensor *ybar, int n, ag_tensor *const x[], ag_tensor *dx[]) {
    ck_assert_msg(ag_vjp(1, &y, &ybar, n, x, dx, AG_STRICT) == AG_OK, "%s", ag_tape_error(tape));
}

void expect_closed_at(const char *file, int line, ag_tensor *x, int64_t n, const double *want, double scale) {
    double ulps = 1e-10 * 0x1p52; /* the comparison counts units of 2^-52 */
    expect_near_at(file, line, x, n, want, ulps, scale / 1000);
}

void expect_zero_at(const char *file, int line, ag_tensor *x, int64_t n, double scale) {
    expect_near_at(file, line, x, n, room(n), 1e-13 * 0x1p52, scale);
}
