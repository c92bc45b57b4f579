/* test_reduce -- reductions, scans, sorting and counting against plain loops: any shape, stride, axes, ties, NaN
 *
 * Shapes cross the limits at which tensors are cut into pieces (autograd/tape/limits.h). */
#include "autograd/autograd.h"
#include "autograd/tape/limits.h"
#include "ops/rules.h"
#include "tests/support.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 14 };

/* ---- Data ---- */

static uint64_t state;

/* From 0 to n−1. */
static int64_t draw(int64_t n) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((state >> 33) % (uint64_t)n);
}

static double chosen(const double *of, int64_t n) { return of[draw(n)]; }
#define CHOSEN(...) chosen((const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

typedef enum values { PLAIN, SMALL, SPECIALS, TIED } values;

static double value_of(values v, ag_dtype d) {
    if (d == AG_BOOL) return (double)draw(2);
    if (d == AG_I64 || v == TIED) return (double)(draw(7) - 3);
    if (v == SMALL) return (double)(draw(2001) - 1000) / 512;
    if (v == SPECIALS && draw(4) == 0) return CHOSEN(NAN, INFINITY, -INFINITY, -0.0, 0.0, FLT_MIN, 3);
    return (double)(draw(1 << 20) - (1 << 19)) / (1 << 16);
}

/* A view of `shape`, contiguous or not, with random elements. */
static ag_tensor *viewed(ag_tape *t, ag_dtype d, ag_shape shape, values v) {
    static double numbers[4 * MOST];
    ag_shape base = shape;
    const int way = shape.rank > 0 ? (int)draw(5) : 0, axis = shape.rank > 0 ? (int)draw(shape.rank) : 0;
    const int other = shape.rank > 0 ? (int)draw(shape.rank) : 0;
    if (way == 1) base.extent[axis] = shape.extent[other], base.extent[other] = shape.extent[axis];
    if (way == 3) base.extent[axis] = 2 * shape.extent[axis] + 1;
    if (way == 4 && draw(2)) base.extent[axis] = 1;
    const int64_t n = shape_size(&base);
    ck_assert_int_le(n, 4 * MOST);
    for (int64_t i = 0; i < n; i++) numbers[i] = value_of(v, d);
    ag_tensor *x = tensor_of(t, d, base, numbers);
    if (way == 1) return ag_transpose(x, axis, other);
    if (way == 2) return ag_flip(x, axis);
    if (way == 3) return ag_slice(x, axis, 1, AG_END, 2);
    return ag_broadcast_to(x, shape);
}

/* (outer, n, inner), with inner or outer left out at times. */
static ag_shape three(int *axis) {
    int64_t n =
        (int64_t)CHOSEN(0, 1, 2, 3, 5, 7, 16, 31, 32, 33, 40, 41, 63, 64, 65, 80, 81, 100, 257, 1023, 1024, 1025, 2100);
    int64_t inner = (int64_t)CHOSEN(1, 1, 1, 2, 3, 4, 5, 7, 8, 9, 40, 1030);
    int64_t outer = (int64_t)CHOSEN(1, 2, 3, 5, 33, 40, 70);
    while (n * inner > MOST) inner = (inner + 1) / 2;
    while (n * inner * outer > MOST) outer = (outer + 1) / 2;
    *axis = 1;
    return AG_SHAPE(outer, n, inner);
}

static const char *text_of(ag_shape s, ag_dtype d) {
    static char text[80];
    snprintf(text, sizeof text, "(%d,%d,%d) %s", (int)s.extent[0], (int)s.extent[1], (int)s.extent[2],
             ag_dtype_name(d));
    return text;
}

static void read(ag_tensor *x, double *to) {
    const void *data = ag_data(x);
    ck_assert_msg(data || ag_size(x) == 0, "%s", ag_tape_error(tape));
    for (int64_t i = 0; i < ag_size(x); i++) to[i] = element_at(ag_dtype_of(x), data, i);
}

/* ---- Scans ---- */

typedef enum scan { SUM, PROD, MAX, MIN, SCANS } scan;
static ag_tensor *(*const scans[SCANS])(ag_tensor *, int) = {ag_cumsum, ag_cumprod, ag_cummax, ag_cummin};

static long double step(scan s, ag_dtype d, long double a, long double b) {
    if (d == AG_I64 && s == SUM) return (long double)(int64_t)((uint64_t)(int64_t)a + (uint64_t)(int64_t)b);
    if (d == AG_I64 && s == PROD) return (long double)(int64_t)((uint64_t)(int64_t)a * (uint64_t)(int64_t)b);
    if (s == SUM) return a + b;
    if (s == PROD) return a * b;
    return isnan(a) || isnan(b) ? (long double)NAN : s == MAX ? (a > b ? a : b) : (a < b ? a : b);
}

static bool near_enough(ag_dtype d, scan s, double got, long double want, long double size, int64_t k) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (d == AG_I64 || s == MAX || s == MIN || isinf(want)) return got == (double)want; /* read as double, too */
    const long double unit = d == AG_F32 ? 0x1p-23L : 0x1p-52L * (long double)(k + 2);
    const long double tiny = d == AG_F32 ? 0x1p-148L : 0x1p-1073L;
    return fabsl((long double)got - want) <= unit * (s == SUM ? size : fabsl(want)) + tiny;
}

START_TEST(scans_are_plain_loops) {
    static double x[MOST], y[MOST];
    state = (uint64_t)_i + 1;
    for (int round = 0; round < by_length(4, 15, 40); round++) {
        int axis;
        const ag_dtype d = (ag_dtype)draw(AG_DTYPES);
        const scan s = (scan)draw(SCANS);
        const ag_shape shape = three(&axis);
        ag_tensor *in = viewed(tape, d, shape, (values)draw(4)), *out = scans[s](in, axis);
        const ag_dtype to = d == AG_BOOL ? AG_I64 : d;
        ck_assert_int_eq((int)ag_dtype_of(out), (int)to);
        read(in, x), read(out, y);
        const int64_t n = shape.extent[1], inner = shape.extent[2];
        for (int64_t o = 0; o < shape.extent[0]; o++)
            for (int64_t i = 0; i < inner; i++) {
                long double so_far = 0, size = 0;
                for (int64_t k = 0; k < n; k++) {
                    const int64_t at = (o * n + k) * inner + i;
                    so_far = k == 0 ? (long double)x[at] : step(s, to, so_far, (long double)x[at]);
                    if (s == PROD && to == AG_F64 && fabsl(so_far) > (long double)DBL_MAX)
                        so_far = copysignl(INFINITY, so_far);
                    size += fabsl((long double)x[at]);
                    long double want = so_far;
                    if (to == AG_F32 && !isinf(want) && fabsl(want) >= 0x1.ffffffp127L)
                        want = copysignl(INFINITY, want);
                    ck_assert_msg(near_enough(to, s, y[at], want, size, k), "scan %d of %s at %d: %g, not %Lg", (int)s,
                                  text_of(shape, d), (int)at, y[at], want);
                }
            }
        ag_clear_error(tape);
    }
}
END_TEST

/* Neither of 0 and −0 is larger: the first stays, whatever way a shape is scanned. */
START_TEST(of_equal_extremes_the_first_stays) {
    static const int64_t extent[] = {2, 3, 7, 40, 64, 68, 100, 129, 1028, 2500};
    enum { SIZES = sizeof extent / sizeof *extent };
    static double x[MOST], y[MOST];
    state = (uint64_t)_i + 1;
    for (int k = 0; k < SIZES * 6; k++) {
        const ag_dtype d = k % 2 ? AG_F32 : AG_F64;
        const int64_t n = extent[k / 6], inner = (const int64_t[]){1, 3, 20}[k % 3];
        if (n * inner > MOST) continue;
        for (int64_t i = 0; i < n * inner; i++) x[i] = draw(2) ? 0.0 : -0.0;
        if (n > 1500 && inner == 1) x[1400] = NAN;
        for (scan s = MAX; s <= MIN; s++) {
            read(scans[s](tensor_of(tape, d, AG_SHAPE(n, inner), x), 0), y);
            for (int64_t i = 0; i < n * inner && !isnan(x[i]); i++)
                ck_assert_msg(signbit(y[i]) == signbit(x[i % inner]), "scan %d, (%d,%d): element %d", (int)s, (int)n,
                              (int)inner, (int)i);
        }
    }
}
END_TEST

/* A sum that begins with 0 would make it of −0: sums of −0 are −0, whatever way a shape is scanned or folded. In both
 * directions, with and without the element itself. */
START_TEST(sums_of_negative_zeros_are_negative_zeros) {
    static const int64_t n[] = {1, 2, 7, 32, 64, 70, 300}, inner[] = {1, 2, 3, 4, 5, 8, 12, 40};
    enum { LENGTHS = sizeof n / sizeof *n, WIDTHS = sizeof inner / sizeof *inner, OUTER = 9 };
    static double x[OUTER * 300 * 40], y[OUTER * 300 * 40];
    for (int i = 0; i < (int)(sizeof x / sizeof *x); i++) x[i] = -0.0;
    for (int k = 0; k < LENGTHS * WIDTHS; k++)
        for (int64_t way = 0; way < 8; way++) {
            const ag_shape shape = AG_SHAPE(OUTER, n[k / WIDTHS], inner[k % WIDTHS]);
            const int64_t attributes[] = {1, way & 1, way >> 1 & 1};
            ag_tensor *in = tensor_of(tape, way & 4 ? AG_F32 : AG_F64, shape, x);
            read(ag_apply(&ag__op_cumsum, 1, &in, attributes, sizeof attributes), y);
            for (int64_t i = 0; i < ag_size(in); i++) ck_assert_msg(signbit(y[i]), "scan %d of %d", (int)way, k);
            for (int axis = 0; axis < 3; axis++) {
                ag_tensor *sum = ag_sum_over(in, AG_AXES(axis), false);
                read(sum, y);
                for (int64_t i = 0; i < ag_size(sum); i++) ck_assert_msg(signbit(y[i]), "axis %d of %d", axis, k);
            }
            ag_clear_error(tape);
        }
}
END_TEST

/* A product that leaves the range comes back where the order of multiplications brings it back, and nowhere else. */
START_TEST(products_are_taken_in_order_at_the_ends_of_the_range) {
    enum { N = 3000 };
    static double x[N], y[N];
    for (int way = 0; way < 5; way++) {
        double product = 1;
        for (int k = 0; k < N; k++)
            x[k] = way == 0 ? (k % 2 ? 0x1p-600 : 0x1p600) : way == 1 ? 0x1p-30 : way == 2 ? 0x1p30 : 1.0625;
        if (way == 3) x[100] = 0, x[101] = 0x1p-700;
        if (way == 4) x[5] = 0, x[2000] = INFINITY;
        read(ag_cumprod(tensor_of(tape, AG_F64, AG_SHAPE(N), x), 0), y);
        for (int k = 0; k < N; k++) {
            product *= x[k];
            const bool same =
                isnan(product) ? isnan(y[k]) : fabs(y[k] - product) <= 1e-12 * fabs(product) || y[k] == product;
            ck_assert_msg(same || (fabs(product) < 1e-290 && fabs(y[k] - product) < 1e-290), "%d, %d: %g, not %g", way,
                          k, y[k], product);
        }
    }
}
END_TEST

/* A cumulative sum stays the same at an element that is 0, and does not fall at one that is not negative. */
START_TEST(cumulative_sums_of_no_negative_numbers_do_not_fall) {
    static double x[MOST], y[MOST];
    state = 5;
    for (int d = AG_F32; d <= AG_F64; d++) {
        for (int k = 0; k < MOST; k++) x[k] = draw(3) ? 0 : (double)draw(1 << 24) / 3;
        ag_tensor *in = tensor_of(tape, (ag_dtype)d, AG_SHAPE(MOST), x);
        read(in, x), read(ag_cumsum(in, 0), y);
        for (int k = 1; k < MOST; k++) ck_assert_msg(x[k] == 0 ? y[k] == y[k - 1] : y[k] >= y[k - 1], "at %d", k);
    }
}
END_TEST

/* Elements whose sum is too large, behind one of the other sign: with that, no sum is. In both directions, with and
 * without the element itself. */
START_TEST(cumulative_sums_do_not_overflow_in_between) {
    enum { N = 203 };
    static double x[N], y[N];
    for (int64_t way = 0; way < 4; way++)
        for (int at = 0; at < 8; at++) {
            const int64_t backwards = way & 1, exclusive = way >> 1, attributes[] = {0, backwards, exclusive};
            for (int k = 0; k < N; k++) x[k] = 0;
            x[at] = x[at + 100] = -1.5e308, x[at + 1] = x[at + 101] = 1.5e308, x[at + 2] = x[at + 102] = 1.5e308;
            x[at + 3] = x[at + 103] = -1.5e308;
            ag_tensor *in = tensor_of(tape, AG_F64, AG_SHAPE(N), x);
            read(ag_apply(&ag__op_cumsum, 1, &in, attributes, sizeof attributes), y);
            double sum = 0;
            for (int k = 0; k < N; k++) {
                const int j = backwards ? N - 1 - k : k;
                const double before = sum;
                sum += x[j];
                ck_assert_msg(y[j] == (exclusive ? before : sum), "way %d, element %d: %g", (int)way, j, y[j]);
            }
        }
}
END_TEST

/* Σ_k g[k]·Π_{i≤k, i≠j} x[i]: the cotangent of element j. */
static double cumprod_gradient(const double *x, const double *g, int64_t n, int64_t inner, int64_t j) {
    double sum = 0, product = 1;
    for (int64_t k = 0; k < n; k++) {
        if (k != j) product *= x[k * inner];
        if (k >= j) sum += g[k * inner] * product;
    }
    return sum;
}

static void gradient_of(ag_tensor *y, ag_tensor *x, double *g, double *x_bar) {
    const ag_shape shape = ag_shape_of(y);
    for (int64_t i = 0; i < ag_size(y); i++) g[i] = scatter((uint64_t)i);
    ag_tensor *cotangent = tensor_of(tape, ag_dtype_of(y), shape, g), *dx;
    ck_assert_int_eq(ag_vjp(1, &y, &cotangent, 1, &x, &dx, 0), AG_OK);
    read(dx, x_bar);
}

START_TEST(gradients_of_scans_are_plain_loops) {
    static double x[MOST], y[MOST], g[MOST], x_bar[MOST];
    state = (uint64_t)_i + 1000;
    for (int round = 0; round < 12; round++) {
        int axis;
        const scan s = (scan)draw(SCANS);
        ag_shape shape = three(&axis);
        if (s == PROD && shape.extent[1] > 100) shape.extent[1] = 1 + draw(100);
        ag_tensor *in = viewed(tape, AG_F64, shape, s == SUM ? PLAIN : draw(2) ? TIED : SMALL);
        ag_tensor *out = scans[s](in, axis);
        read(in, x), read(out, y);
        gradient_of(out, in, g, x_bar);
        const int64_t n = shape.extent[1], inner = shape.extent[2];
        for (int64_t o = 0; o < shape.extent[0] && n > 0; o++)
            for (int64_t i = 0; i < inner; i++)
                for (int64_t j = 0; j < n; j++) {
                    const int64_t first = o * n * inner + i, at = first + j * inner;
                    double want = 0, size = 1;
                    if (s == PROD) want = cumprod_gradient(x + first, g + first, n, inner, j);
                    for (int64_t k = j; k < n && s != PROD; k++) {
                        if (s != SUM && y[first + k * inner] != x[at]) break;
                        if (s != SUM && k > j && x[first + k * inner] == x[at]) break; /* the last one has it */
                        want += g[first + k * inner], size += fabs(g[first + k * inner]);
                    }
                    ck_assert_msg(fabs(x_bar[at] - want) <= 1e-13 * size + 1e-11 * fabs(want),
                                  "scan %d of %s at %d: %g, not %g", (int)s, text_of(shape, AG_F64), (int)at, x_bar[at],
                                  want);
                }
    }
}
END_TEST

/* Along an axis of extent 1 a scan is its input, and a gradient its cotangent, however many axes there are. */
START_TEST(scans_of_single_elements) {
    static const int64_t extents[][2] = {{3000, 1}, {1, 3000}, {70, 9}, {3, 1100}};
    for (int k = 0; k < 4; k++)
        for (int s = 0; s < SCANS; s++)
            for (int d = AG_F32; d <= AG_F64; d++) {
                const ag_shape shape = AG_SHAPE(extents[k][0], 1, extents[k][1]);
                ag_tensor *x = ag_parameter_from(scattered(tape, (ag_dtype)d, shape, 1)), *dx;
                ag_tensor *y = scans[s](x, 1), *g = scattered(tape, (ag_dtype)d, shape, 2);
                ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &x, &dx, 0), AG_OK);
                expect_same(y, x);
                expect_same(dx, g);
            }
}
END_TEST

/* ln Σ e^x in long double, relative to the largest. */
static long double log_sum(const double *x, int64_t n, int64_t by) {
    long double m = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++)
        m = isnan(x[k * by]) || isnan(m) ? (long double)NAN : fmaxl(m, (long double)x[k * by]);
    if (isinf(m) || isnan(m)) return m;
    bool left_out = false;
    for (int64_t k = 0; k < n; k++) {
        if ((long double)x[k * by] == m && !left_out) left_out = true;
        else sum += expl((long double)x[k * by] - m);
    }
    return m + log1pl(sum);
}

START_TEST(logarithms_of_cumulative_sums_are_exact) {
    static double x[MOST], y[MOST];
    state = (uint64_t)_i + 300;
    for (int round = 0; round < 20; round++) {
        int axis;
        ag_shape shape = three(&axis);
        if (shape.extent[1] > 65) shape.extent[1] = 65, shape.extent[0] = 2;
        ag_tensor *in = viewed(tape, AG_F64, shape, round % 2 ? SPECIALS : PLAIN);
        if (round % 3 == 0) in = ag_scale(in, 100);
        read(in, x), read(ag_logcumsumexp(in, 1), y);
        const int64_t n = shape.extent[1], inner = shape.extent[2];
        for (int64_t at = 0; at < ag_size(in); at++) {
            const int64_t k = at / inner % n, first = at - k * inner;
            const long double want = log_sum(x + first, k + 1, inner);
            const bool same = isnan(want) ? isnan(y[at])
                                          : (long double)y[at] == want ||
                                                fabsl((long double)y[at] - want) <=
                                                    1e-15L * fmaxl(fabsl(want), fabsl((long double)x[first])) + 1e-320L;
            ck_assert_msg(same, "%s at %d: %.17g, not %.17Lg", text_of(shape, AG_F64), (int)at, y[at], want);
        }
    }
    expect_near(ag_logcumsumexp(tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){0, -80, -800}), 0), 3,
                ((double[]){0, exp(-80), exp(-80)}), 2, 0);
    expect_list(ag_logcumsumexp(tensor_of(tape, AG_F64, AG_SHAPE(4), (double[]){-INFINITY, -INFINITY, 2, INFINITY}), 0),
                -INFINITY, -INFINITY, 2, INFINITY);
    ag_tensor *far = ag_parameter(tape, AG_F64, AG_SHAPE(3), (double[]){1, INFINITY, 2}), *d; /* as the headers say */
    ag_grad(ag_logsumexp(far, 0, false), 1, &far, &d);
    expect_list(d, 0, 0, 0);
    ag_grad(ag_sum(ag_logcumsumexp(far, 0)), 1, &far, &d);
    expect_list(d, 1, 0, 0);
}
END_TEST

static ag_tensor *log_of_cumulative_sum(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_logcumsumexp(x[0], 0);
}

/* ---- Products ---- */

static double product_without(const double *x, const int64_t *at, int64_t n, int64_t i, int64_t j) {
    double y = 1;
    for (int64_t k = 0; k < n; k++)
        if (k != i && k != j) y *= x[at[k]];
    return y;
}

/* Random axes of random views, with no zero, one, two or three. */
START_TEST(gradients_of_products_are_plain_loops) {
    static double x[MOST], g[MOST], x_bar[MOST];
    state = (uint64_t)_i + 77;
    for (int round = 0; round < 30; round++) {
        const ag_shape shape = AG_SHAPE(1 + draw(4), draw(5), 1 + draw(4), 1 + draw(5));
        ag_axes axes = {0, {0}};
        for (int i = 0; i < 4; i++)
            if (draw(2)) axes.axis[axes.count++] = draw(2) ? i : i - 4;
        ag_tensor *in = viewed(tape, AG_F64, shape, draw(2) ? SMALL : TIED), *out = ag_prod_over(in, axes, draw(2));
        read(in, x), gradient_of(out, in, g, x_bar);
        unsigned mask = 0;
        for (int i = 0; i < axes.count; i++) mask |= 1u << (axes.axis[i] < 0 ? axes.axis[i] + 4 : axes.axis[i]);
        for (int64_t at = 0; at < ag_size(in); at++) {
            int64_t others[400], n = 0, mine = 0, output = 0, rest[4], r = at;
            for (int i = 3; i >= 0; r /= shape.extent[i--]) rest[i] = r % shape.extent[i];
            for (int64_t b = 0; b < ag_size(in); b++) {
                int64_t place[4], s = b;
                bool same = true;
                for (int i = 3; i >= 0; s /= shape.extent[i--]) place[i] = s % shape.extent[i];
                for (int i = 0; i < 4; i++) same = same && (mask & 1u << i || place[i] == rest[i]);
                if (same && b == at) mine = n;
                if (same) others[n++] = b;
            }
            for (int i = 0; i < 4; i++)
                if (!(mask & 1u << i)) output = output * shape.extent[i] + rest[i];
            const double want = g[output] * product_without(x, others, n, mine, mine);
            ck_assert_msg(fabs(x_bar[at] - want) <= 1e-12 * fabs(want), "at %d: %g, not %g", (int)at, x_bar[at], want);
        }
    }
}
END_TEST

static ag_tensor *product(void *context, int n, ag_tensor *const x[]) { return (void)context, (void)n, ag_prod(x[0]); }
static ag_tensor *products(void *context, int n, ag_tensor *const x[]) {
    return (void)context, (void)n, ag_cumprod(x[0], 0);
}

/* The Hessian of a product has the products of all but two, and 0 on its diagonal. */
START_TEST(second_derivatives_of_products_are_right_with_any_number_of_zeros) {
    enum { N = 6 };
    for (int zeros = 0; zeros <= 4; zeros++) {
        double x[N] = {1.5, -0.75, 2, 0.5, -1.25, 3}, h[N * N];
        const int64_t at[N] = {0, 1, 2, 3, 4, 5};
        for (int k = 0; k < zeros; k++) x[k * 5 % N] = 0;
        ag_tensor *in = tensor_of(tape, AG_F64, AG_SHAPE(N), x);
        read(ag_hessian(ag_prod(in), in), h);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                const double want = i == j ? 0 : product_without(x, at, N, i, j);
                ck_assert_msg(fabs(h[i * N + j] - want) <= 1e-14 * fabs(want), "%d zeros, %d, %d: %g, not %g", zeros, i,
                              j, h[i * N + j], want);
            }
        for (int way = 0; way < 2; way++) {
            ag_gradcheck_report report;
            ag_tensor *var = ag_variable(tape, AG_F64, AG_SHAPE(N), x);
            ag_gradcheck(way ? products : product, NULL, 1, &var, &(ag_gradcheck_options){.order = 2}, &report);
            ck_assert_msg(report.passed, "%s", report.message);
        }
    }
}
END_TEST

/* ---- Sorting ---- */

static bool before(double a, double b) { return a < b || (isnan(b) && !isnan(a)); }

/* A stable sort of indices by insertion. */
static void order_of(const double *x, int64_t n, int64_t by, bool down, int64_t *at) {
    for (int64_t i = 0; i < n; i++) {
        int64_t j = i;
        for (; j > 0 && (down ? before(x[at[j - 1] * by], x[i * by]) : before(x[i * by], x[at[j - 1] * by])); j--)
            at[j] = at[j - 1];
        at[j] = i;
    }
}

static bool same_bits(double a, double b) { return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0; }

START_TEST(sorting_is_a_stable_sort_by_insertion) {
    static double x[MOST], y[MOST], at[MOST], first[MOST], first_at[MOST];
    static int64_t order[MOST];
    state = (uint64_t)_i + 9000;
    for (int round = 0; round < by_length(3, 8, 20); round++) {
        int axis;
        const ag_dtype d = (ag_dtype)draw(AG_DTYPES);
        const bool down = draw(2);
        ag_shape shape = three(&axis);
        ag_tensor *in = viewed(tape, d, shape, (values)draw(4)), *index;
        const int64_t n = shape.extent[1], inner = shape.extent[2], k = draw(n + 1);
        read(in, x), read(ag_sort(in, 1, down), y), read(ag_argsort(in, -2, down), at);
        ag_tensor *top = ag_topk_along(in, k, 1, down, &index);
        read(top, first), read(index, first_at);
        for (int64_t o = 0; o < shape.extent[0]; o++)
            for (int64_t i = 0; i < inner; i++) {
                const int64_t start = o * n * inner + i;
                order_of(x + start, n, inner, down, order);
                for (int64_t j = 0; j < n; j++) {
                    const int64_t place = start + j * inner, top_place = (o * k + j) * inner + i;
                    const double want = x[start + order[j] * inner];
                    ck_assert_msg((int64_t)at[place] == order[j], "index of %s at %d: %g, not %d", text_of(shape, d),
                                  (int)place, at[place], (int)order[j]);
                    ck_assert_msg(same_bits(y[place], want), "%s at %d: %g, not %g", text_of(shape, d), (int)place,
                                  y[place], want);
                    if (j >= k) continue;
                    ck_assert_msg((int64_t)first_at[top_place] == order[j], "index of %d of %s at %d: %g, not %d",
                                  (int)k, text_of(shape, d), (int)j, first_at[top_place], (int)order[j]);
                    ck_assert(same_bits(first[top_place], want));
                }
            }
        expect_ok(tape);
    }
}
END_TEST

/* The cotangent of a sorted element belongs to where it comes from. */
START_TEST(gradients_of_sorting_go_through_the_permutation) {
    static double x[MOST], g[MOST], x_bar[MOST];
    static int64_t order[MOST];
    state = 4;
    for (int way = 0; way < 4; way++) {
        const bool down = way % 2, top = way >= 2;
        const int64_t n = 300, inner = 3, k = top ? 40 : n;
        ag_tensor *in = viewed(tape, AG_F64, AG_SHAPE(2, n, inner), TIED);
        ag_tensor *out = top ? ag_topk_along(in, k, 1, down, NULL) : ag_sort(in, 1, down);
        read(in, x), gradient_of(out, in, g, x_bar);
        for (int64_t o = 0; o < 2; o++)
            for (int64_t i = 0; i < inner; i++) {
                order_of(x + o * n * inner + i, n, inner, down, order);
                for (int64_t j = 0; j < n; j++)
                    ck_assert(x_bar[(o * n + order[j]) * inner + i] == (j < k ? g[(o * k + j) * inner + i] : 0));
            }
    }
}
END_TEST

START_TEST(searching_counts_what_comes_before) {
    static double x[MOST], sorted[MOST], y[MOST];
    state = (uint64_t)_i + 60;
    for (int round = 0; round < 30; round++) {
        const ag_dtype d = (ag_dtype)(1 + draw(3));
        const int64_t rows = 1 + draw(4), n = draw(70), m = draw(40);
        const bool right = draw(2), shared = draw(2);
        ag_tensor *in = viewed(tape, d, AG_SHAPE(rows, m), (values)draw(4));
        ag_tensor *line = viewed(tape, d, shared ? AG_SHAPE(n) : AG_SHAPE(rows, n), (values)draw(4));
        ag_tensor *of = ag_sort(line, -1, false);
        read(in, x), read(of, sorted), read(ag_searchsorted(of, in, right), y);
        for (int64_t i = 0; i < rows * m; i++) {
            const double *row = sorted + (shared ? 0 : i / m * n);
            int64_t count = 0;
            for (int64_t k = 0; k < n; k++) count += right ? !before(x[i], row[k]) : before(row[k], x[i]);
            ck_assert_msg((int64_t)y[i] == count, "%g among %d: %g, not %d", x[i], (int)n, y[i], (int)count);
        }
    }
}
END_TEST

/* ---- Extremes ---- */

START_TEST(indices_over_any_axes_are_those_of_plain_loops) {
    static double x[MOST], y[MOST], z[MOST];
    state = (uint64_t)_i + 500;
    for (int round = 0; round < 30; round++) {
        const ag_dtype d = (ag_dtype)(1 + draw(3));
        const ag_shape shape = AG_SHAPE(1 + draw(5), 1 + draw(40), 1 + draw(6));
        const unsigned mask = (unsigned)draw(8);
        ag_axes axes = {0, {0}};
        for (int i = 0; i < 3; i++)
            if (mask & 1u << i) axes.axis[axes.count++] = i;
        ag_tensor *in = viewed(tape, d, shape, (values)draw(4));
        const bool keep = draw(2);
        ag_tensor *most = ag_argmax_over(in, mask == 7 ? AG_ALL_AXES : axes, keep),
                  *least = ag_argmin_over(in, axes, keep);
        expect_shape(most, ag_shape_of(ag_sum_over(in, axes, keep)));
        read(in, x), read(most, y), read(least, z);
        static double best[2][MOST];
        static int64_t seen[MOST];
        memset(seen, 0, sizeof seen);
        for (int64_t at = 0; at < ag_size(in); at++) {
            int64_t rest[3], r = at, output = 0;
            for (int i = 2; i >= 0; r /= shape.extent[i--]) rest[i] = r % shape.extent[i];
            for (int i = 0; i < 3; i++)
                if (!(mask & 1u << i)) output = output * shape.extent[i] + rest[i];
            const int64_t number = seen[output]++;
            for (int way = 0; way < 2; way++) {
                double *b = &best[way][output];
                const bool better = number == 0 || (!isnan(*b) && (isnan(x[at]) || (way ? x[at] < *b : x[at] > *b)));
                if (better) *b = x[at];
                static int64_t where[2][MOST];
                if (better) where[way][output] = number;
                if (at + 1 == ag_size(in))
                    for (int64_t k = 0; k < ag_size(most); k++)
                        ck_assert_msg((int64_t)(way ? z : y)[k] == where[way][k], "%s: %g, not %d", text_of(shape, d),
                                      (way ? z : y)[k], (int)where[way][k]);
            }
        }
    }
}
END_TEST

/* Few columns: each is searched by itself; of equal elements the first counts, and a NaN before all. */
START_TEST(few_columns_are_searched_one_by_one) {
    enum { WIDEST = 10, LONGEST = 3000 };
    static const int64_t extents[] = {1, 2, 31, 32, 33, 100, 128, 129, 1023, 1024, 1025, LONGEST};
    enum { EXTENTS = sizeof extents / sizeof *extents };
    static double elements[LONGEST * WIDEST];
    const ag_dtype d = (ag_dtype[]){AG_F32, AG_F64, AG_I64}[_i % 3];
    for (int e = 0; e < EXTENTS; e++)
        for (int64_t columns = 1; columns <= WIDEST; columns++) {
            const int64_t n = extents[e];
            for (int64_t k = 0; k < n * columns; k++) elements[k] = (double)(k * 7919 % 101 - 50);
            if (d != AG_I64 && columns > 2) elements[n / 2 * columns + 1] = elements[(n - 1) * columns + 1] = NAN;
            ag_tensor *x = tensor_of(tape, d, AG_SHAPE(n, columns), elements);
            ag_tensor *turned = ag_transpose(ag_contiguous(ag_transpose(x, 0, 1)), 0, 1);
            ag_tensor *apart = ag_slice(ag_contiguous(ag_embed(x, 1, 2 * columns, 0, 2)), 1, 0, 2 * columns, 2);
            ag_tensor *of[] = {x, turned, apart};
            for (int layout = 0; layout < 3; layout++)
                for (int least = 0; least < 2; least++) {
                    ag_tensor *y = least ? ag_argmin(of[layout], 0, false) : ag_argmax(of[layout], 0, false);
                    for (int64_t c = 0; c < columns; c++) {
                        int64_t best = 0;
                        for (int64_t k = 1; k < n; k++) {
                            const double a = elements[best * columns + c], b = elements[k * columns + c];
                            if ((least ? b < a : b > a) || (isnan(b) && !isnan(a))) best = k;
                        }
                        ck_assert_msg(ag_element(y, c) == (double)best, "%d of %d columns, %d rows, layout %d", (int)c,
                                      (int)columns, (int)n, layout);
                    }
                }
        }
    expect_ok(tape);
}
END_TEST

START_TEST(the_least_integers_have_no_opposite) {
    const int64_t x[] = {3, INT64_MIN, INT64_MAX, INT64_MIN + 1};
    ag_tensor *in = ag_from(tape, AG_I64, AG_SHAPE(4), x);
    expect_item(ag_argmin(in, 0, false), 1);
    expect_item(ag_argmax(in, 0, false), 2);
    expect_item(ag_argsort(ag_slice(in, 0, 1, 2, 1), 0, true), 0);
    expect_list(ag_argsort(in, 0, false), 1, 3, 0, 2);
    expect_list(ag_argsort(in, 0, true), 2, 0, 3, 1);
}
END_TEST

/* ---- Norms and deviations ---- */

/* The squares of numbers below 1 that are multiples of 2^-10, and the sum of thousands of them, are exact. */
static double norm_of(const double *x, int64_t n, int64_t by, double scale) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (x[i * by] / scale) * (x[i * by] / scale);
    return sqrt(sum) * scale;
}

START_TEST(norms_neither_overflow_nor_vanish_in_between) {
    static const struct {
        ag_dtype d;
        double scale;
    } cases[] = {{AG_F64, 1},       {AG_F64, 0x1p1010}, {AG_F64, 0x1p-1060}, {AG_F64, 0x1p-540}, {AG_F64, 0x1p505},
                 {AG_F32, 0x1p115}, {AG_F32, 0x1p-140}, {AG_F32, 0x1p-70},   {AG_F32, 0x1p58},   {AG_F32, 1}};
    static double x[MOST];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int way = 0; way < 4; way++) {
            const ag_dtype d = cases[c].d;
            const int64_t rows = way == 0   ? 1
                                 : way == 1 ? 40
                                            : 7,
                          columns = way == 0   ? 3000
                                    : way == 1 ? 70
                                    : way == 2 ? 2
                                               : 1;
            for (int64_t i = 0; i < rows * columns; i++) x[i] = scatter((uint64_t)i + 1) * cases[c].scale;
            ag_tensor *in = tensor_of(tape, d, AG_SHAPE(rows, columns), x);
            read(in, x);
            const double want = norm_of(x, rows * columns, 1, cases[c].scale),
                         one = norm_of(x, rows, columns, cases[c].scale), tiny = d == AG_F32 ? 0x1p-126 : 0x1p-1022;
            expect_near(ag_norm(in, 2), 1, (double[]){want}, 8, tiny);
            expect_near(ag_slice(ag_norm_over(in, AG_AXES(0), 2, false), 0, 0, 1, 1), 1, (double[]){one}, 8, tiny);
        }
    ag_tensor *huge = tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){3e300, 0, -4e300});
    expect_near(ag_norm(huge, 3), 1, (double[]){cbrt(27 + 64) * 1e300}, 8, 0);
    expect_near(ag_norm(ag_scale(huge, 1e-300), -2), 1, (double[]){0}, 0, 0);
    expect_item(ag_norm(huge, INFINITY), 4e300);
    expect_item(ag_norm(huge, -INFINITY), 0);
    expect_item(ag_norm(huge, 0), 2);
    expect_item(ag_norm(tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){-INFINITY, 1}), 2), INFINITY);
    expect_item(ag_norm(tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){NAN, 1}), 2), NAN);
    expect_item(ag_norm(tensor_of(tape, AG_F32, AG_SHAPE(1), (double[]){-3}), 2), 3);
    for (int k = 0; k < 4; k++) expect_item(ag_norm(ag_zeros(tape, AG_F64, AG_SHAPE(0)), (double[]){2, 1, 0, 3}[k]), 0);
}
END_TEST

/* At 0 and at equal elements the slope is 0, of any order. */
START_TEST(slopes_are_0_where_a_norm_or_deviation_is) {
    const double p[] = {0.5, 1, 1.5, 2, 3, INFINITY};
    ag_tensor *zeros = ag_full(tape, AG_F64, AG_SHAPE(3), 0), *equal = ag_full(tape, AG_F64, AG_SHAPE(3), 5), *dx, *y;
    for (int k = 0; k < 6; k++) {
        y = ag_norm(zeros, p[k]);
        ag_grad(y, 1, &zeros, &dx);
        expect_item(y, 0);
        expect_list(dx, 0, 0, 0);
    }
    for (int k = 0; k < 2; k++) {
        y = k ? ag_std_where(equal, ag_ones(tape, AG_BOOL, AG_SHAPE(3)), AG_ALL_AXES, 1, false) : ag_std(equal, 1);
        ag_grad(y, 1, &equal, &dx);
        expect_item(y, 0);
        expect_list(dx, 0, 0, 0);
    }
    ag_tensor *small = tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){3e-320, 4e-320});
    ag_grad(ag_norm(small, 2), 1, &small, &dx);
    expect_near(dx, 2, ((double[]){0.6, 0.8}), 1e13, 0);
}
END_TEST

/* ---- Masks ---- */

typedef ag_tensor *masked(ag_tensor *x, ag_tensor *mask);
static ag_tensor *sum_of(ag_tensor *x, ag_tensor *m) { return ag_sum_where(x, m, AG_ALL_AXES, false); }
static ag_tensor *prod_of(ag_tensor *x, ag_tensor *m) { return ag_prod_where(x, m, AG_ALL_AXES, false); }
static ag_tensor *mean_of(ag_tensor *x, ag_tensor *m) { return ag_mean_where(x, m, AG_ALL_AXES, false); }
static ag_tensor *var_of(ag_tensor *x, ag_tensor *m) { return ag_var_where(x, m, AG_ALL_AXES, 1, false); }
static ag_tensor *std_of(ag_tensor *x, ag_tensor *m) { return ag_std_where(x, m, AG_ALL_AXES, 0, false); }
static ag_tensor *max_of(ag_tensor *x, ag_tensor *m) { return ag_max_where(x, m, AG_ALL_AXES, -9, false); }
static ag_tensor *min_of(ag_tensor *x, ag_tensor *m) { return ag_min_where(x, m, AG_ALL_AXES, 9, false); }
static ag_tensor *nansum(ag_tensor *x, ag_tensor *m) { return (void)m, ag_nansum(x, AG_ALL_AXES, false); }
static ag_tensor *nanprod(ag_tensor *x, ag_tensor *m) { return (void)m, ag_nanprod(x, AG_ALL_AXES, false); }
static ag_tensor *nanmean(ag_tensor *x, ag_tensor *m) { return (void)m, ag_nanmean(x, AG_ALL_AXES, false); }
static ag_tensor *nanvar(ag_tensor *x, ag_tensor *m) { return (void)m, ag_nanvar(x, AG_ALL_AXES, 1, false); }
static ag_tensor *nanstd(ag_tensor *x, ag_tensor *m) { return (void)m, ag_nanstd(x, AG_ALL_AXES, 0, false); }
static ag_tensor *nanmax(ag_tensor *x, ag_tensor *m) { return (void)m, ag_nanmax(x, AG_ALL_AXES, false); }
static ag_tensor *nanmin(ag_tensor *x, ag_tensor *m) { return (void)m, ag_nanmin(x, AG_ALL_AXES, false); }

static masked *const masks[] = {sum_of, prod_of, mean_of, var_of, std_of, max_of, min_of,
                                nansum, nanprod, nanmean, nanvar, nanstd, nanmax, nanmin};

/* Elements that are left out are as if they were not there, in values and gradients of both orders, NaN too. */
START_TEST(what_a_mask_leaves_out_has_no_influence) {
    const double holds[] = {1, 0, 1, 1, 0, 1}, with[] = {1.5, NAN, -2, 0.5, NAN, 3}, without[] = {1.5, -2, 0.5, 3};
    ag_tensor *mask = tensor_of(tape, AG_BOOL, AG_SHAPE(6), holds), *all = ag_ones(tape, AG_BOOL, AG_SHAPE(4));
    for (size_t k = 0; k < sizeof masks / sizeof *masks; k++) {
        double h[36], want_h[16], dx[6], want_dx[4], value, want;
        ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(6), with), *z = tensor_of(tape, AG_F64, AG_SHAPE(4), without);
        ag_tensor *y = masks[k](x, mask), *plain = masks[k](z, all), *g, *plain_g;
        ag_grad(y, 1, &x, &g), ag_grad(plain, 1, &z, &plain_g);
        read(y, &value), read(plain, &want), read(g, dx), read(plain_g, want_dx);
        read(ag_hessian(y, x), h), read(ag_hessian(plain, z), want_h);
        const int place[] = {0, -1, 1, 2, -1, 3};
        ck_assert_msg(fabs(value - want) < 1e-14, "%d: %g, not %g", (int)k, value, want);
        for (int i = 0; i < 6; i++) {
            const double slope = place[i] < 0 ? 0 : want_dx[place[i]];
            ck_assert_msg(fabs(dx[i] - slope) < 1e-14, "slope of %d by %d: %g, not %g", (int)k, i, dx[i], slope);
            for (int j = 0; j < 6; j++) {
                const double second = place[i] < 0 || place[j] < 0 ? 0 : want_h[place[i] * 4 + place[j]];
                ck_assert_msg(fabs(h[i * 6 + j] - second) < 1e-13, "curvature of %d: %g, not %g", (int)k, h[i * 6 + j],
                              second);
            }
        }
    }
    expect_item(ag_nanmax(ag_full(tape, AG_F64, AG_SHAPE(2), NAN), AG_ALL_AXES, false), NAN);
    expect_item(ag_nanmean(ag_full(tape, AG_F32, AG_SHAPE(2), NAN), AG_ALL_AXES, false), NAN);
    expect_item(ag_max_where(ag_zeros(tape, AG_I64, AG_SHAPE(0)), ag_scalar(tape, AG_BOOL, 1), AG_ALL_AXES, 4, false),
                4);
}
END_TEST

START_TEST(averages_take_weights_along_an_axis) {
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    ag_tensor *w = tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){1, 3}),
              *v = tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){1, 0, 1});
    expect_list(ag_average_over(x, w, AG_AXES(0), false), 3.25, 4.25, 5.25);
    expect_list(ag_average_over(x, v, AG_AXES(-1), true), 2, 5);
    expect_item(ag_average_over(x, v, AG_ALL_AXES, false), 3.5);
}
END_TEST

/* ---- Bools and integers ---- */

START_TEST(bools_are_counted_as_numbers) {
    ag_tensor *b = tensor_of(tape, AG_BOOL, AG_SHAPE(2, 2), (double[]){1, 0, 1, 1});
    ag_tensor *i = tensor_of(tape, AG_I64, AG_SHAPE(4), (double[]){1, 0, 2, 4});
    ck_assert_int_eq((int)ag_dtype_of(ag_sum(b)), AG_I64);
    ck_assert_int_eq((int)ag_dtype_of(ag_mean(b)), AG_F64);
    expect_item(ag_sum(b), 3);
    expect_item(ag_mean(b), 0.75);
    expect_item(ag_mean(i), 1.75);
    expect_list(ag_mean_over(b, AG_AXES(0), false), 1, 0.5);
    expect_item(ag_prod(b), 0);
    expect_list(ag_cumsum(b, 1), 1, 1, 1, 2);
    expect_item(ag_count_nonzero(i), 3);
    expect_item(ag_count_nonzero(tensor_of(tape, AG_F32, AG_SHAPE(3), (double[]){NAN, -0.0, 2})), 2);
    expect_list(ag_all_over(b, AG_AXES(1), false), 0, 1);
    expect_item(ag_any(i), 1);
    expect_item(ag_all(ag_zeros(tape, AG_F64, AG_SHAPE(0))), 1);
    expect_item(ag_any(ag_zeros(tape, AG_F64, AG_SHAPE(0))), 0);
    expect_item(ag_all(tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){NAN, 1})), 1);
}
END_TEST

/* The fold of x[0…n) in the order of lanes; of zeros the latter counts, and NaN stays. */
static double in_lanes(int64_t n, const double *x, bool least) {
    double lane[AG__LANES];
    const int64_t width = n < AG__LANES ? n : AG__LANES;
    for (int64_t i = 0; i < n; i++) {
        double *a = &lane[i % AG__LANES], b = x[i];
        if (i < width || !((least ? *a < b : *a > b) || isnan(*a))) *a = b;
    }
    for (int64_t left = width; left > 1;) {
        const int64_t half = n < AG__LANES ? 1 : left / 2, from = n < AG__LANES ? width - left + 1 : half;
        for (int64_t l = 0; l < half; l++) {
            const double b = lane[l + from];
            if (!((least ? lane[l] < b : lane[l] > b) || isnan(lane[l]))) lane[l] = b;
        }
        left -= half;
    }
    return lane[0];
}

/* Long rows, with NaN, ±0 and ±∞ anywhere. */
START_TEST(extremes_are_those_of_their_order) {
    static const int64_t extents[] = {1,
                                      3,
                                      AG__LANES - 1,
                                      AG__LANES,
                                      AG__LANES + 1,
                                      2 * AG__LANES - 1,
                                      2 * AG__LANES,
                                      2 * AG__LANES + 5,
                                      AG__STRIP - 1,
                                      AG__STRIP};
    static double x[2 * AG__STRIP];
    const ag_dtype d = _i ? AG_F64 : AG_F32;
    for (int e = 0; e < 10; e++)
        for (int round = 0; round < 60; round++) {
            const int64_t n = extents[e] > AG__STRIP ? AG__STRIP : extents[e], place = draw(n);
            const int kind = round % 6;
            for (int64_t i = 0; i < 2 * n; i++) {
                x[i] = kind == 1   ? CHOSEN(-0.0, 0.0)
                       : kind == 2 ? -INFINITY
                       : kind == 3 ? INFINITY
                                   : value_of(SMALL, d);
                if (kind == 4 && i % n == place) x[i] = NAN;
                if (kind == 5 && i % n == place) x[i] = i < n ? 0x1p80 : -0x1p80;
            }
            ag_tensor *row = tensor_of(tape, d, AG_SHAPE(2, n), x);
            for (int least = 0; least < 2; least++) {
                ag_tensor *y = least ? ag_min_over(row, AG_AXES(1), false) : ag_max_over(row, AG_AXES(1), false);
                for (int k = 0; k < 2; k++) {
                    const double is = ag_element(y, k), want = in_lanes(n, x + k * n, least);
                    ck_assert_msg((is == want && !signbit(is) == !signbit(want)) || (isnan(is) && isnan(want)),
                                  "%d elements of kind %d: %g, not %g", (int)n, kind, is, want);
                }
            }
            for (int64_t i = 0; i < n; i++) x[i] = -0.0;
            ck_assert(signbit(ag_item(ag_sum(tensor_of(tape, d, AG_SHAPE(n), x)))));
        }
    expect_ok(tape);
}
END_TEST

START_TEST(all_and_any_at_many_sizes) {
    static double x[MOST];
    for (int64_t n = 1; n < 5000; n = n * 3 / 2 + 1)
        for (int which = 0; which < 2; which++)
            for (int64_t odd = -1; odd < n; odd += 1 + n / 3) {
                for (int64_t i = 0; i < n; i++) x[i] = which ? i != odd : i == odd;
                ag_tensor *b = tensor_of(tape, AG_BOOL, AG_SHAPE(n), x);
                expect_item(which ? ag_all(b) : ag_any(b), which ? odd < 0 : odd >= 0);
                expect_item(ag_slice(which ? ag_all_over(ag_broadcast_to(b, AG_SHAPE(3, n)), AG_AXES(1), false)
                                           : ag_any_over(ag_broadcast_to(b, AG_SHAPE(3, n)), AG_AXES(1), false),
                                     0, 0, 1, 1),
                            which ? odd < 0 : odd >= 0);
            }
}
END_TEST

/* ---- Quantiles ---- */

START_TEST(quantiles_lie_between_neighbours) {
    static double x[MOST];
    static int64_t order[MOST];
    state = 21;
    for (int round = 0; round < 40; round++) {
        const int64_t n = 1 + draw(round % 2 ? 60 : 1500), rows = 1 + draw(4);
        const ag_dtype d = (ag_dtype)draw(AG_DTYPES);
        ag_tensor *in = viewed(tape, d, AG_SHAPE(rows, n), round % 5 == 0 ? SPECIALS : TIED);
        const double q[] = {0, (double)draw(1000) / 1000, 0.5, 1};
        double y[16], middle[4];
        read(in, x), read(ag_quantiles_over(in, AG_AXES(1), 4, q, false), y),
            read(ag_median_over(in, AG_AXES(1), true), middle);
        for (int64_t r = 0; r < rows; r++) {
            order_of(x + r * n, n, 1, false, order);
            for (int k = 0; k < 4; k++) {
                const double place = q[k] * (double)(n - 1), t = place - floor(place);
                const int64_t low = (int64_t)place, high = low + 1 < n ? low + 1 : low;
                const double a = x[r * n + order[low]], b = x[r * n + order[high]];
                const double want = isnan(x[r * n + order[n - 1]]) ? NAN
                                    : t == 0                       ? a
                                    : t < 0.5                      ? a + (b - a) * t
                                                                   : b - (b - a) * (1 - t);
                const double got = y[k * rows + r],
                             half = (x[r * n + order[(n - 1) / 2]] + x[r * n + order[n / 2]]) / 2;
                ck_assert_msg(isnan(want) ? isnan(got) : fabs(got - want) <= 2e-7 * fabs(want) || got == want,
                              "%g of %d: %g, not %g", q[k], (int)n, got, want);
                ck_assert(isnan(x[r * n + order[n - 1]])
                              ? isnan(middle[r])
                              : middle[r] == half || isnan(half) || fabs(middle[r] - half) < 1e-6);
            }
        }
    }
    expect_item(ag_median(ag_scalar(tape, AG_I64, 4)), 4);
    expect_item(ag_quantile(tensor_of(tape, AG_F64, AG_SHAPE(2, 2), (double[]){4, 1, 3, 2}), 0.25), 1.75);
}
END_TEST

/* Only a part of a long row is sorted, unless its samples are misleading: all kinds of rows, with NaN at either end. */
START_TEST(ranks_of_long_rows_are_those_of_their_order) {
    enum { N = 20000 };
    static double x[N], order[N], y[3], want[3], bar[N];
    for (int d = AG_F32; d < AG_DTYPES; d++)
        for (int kind = 0; kind < 7; kind++) {
            for (int64_t i = 0; i < N; i++) {
                const double noise = (double)(i * 25214903 % 19997) / 65536;
                x[i] = kind == 0 ? noise : kind == 1 ? (double)i : kind == 2 ? 1 : kind == 3 ? (double)(i % 3) : noise;
                if (kind == 4) x[i] = i * 7 % N < N / 2 + 300 ? noise - 100 : 1 + noise;
            }
            if (kind == 5) x[N - 1] = NAN;
            if (kind == 6) x[0] = NAN, x[1] = -INFINITY, x[2] = INFINITY;
            ag_tensor *in = tensor_of(tape, (ag_dtype)d, AG_SHAPE(N), x), *g = ag_ones(tape, (ag_dtype)d, AG_SHAPE(3));
            ag_tensor *at = ag_argsort(in, 0, false);
            read(in, x), read(at, order);
            for (int64_t rank = 0; rank < N; rank += rank == N / 2 ? N - N / 2 - 1 : rank == 0 ? 70 : N / 2 - 70) {
                const int64_t ranks[3] = {rank, rank + 1 < N ? rank + 1 : rank, N - 1};
                ag_tensor *out = ag__at_rank(in, rank), *dx;
                for (int k = 0; k < 3; k++) want[k] = x[(int64_t)order[ranks[k]]];
                ag_vjp(1, &out, &g, 1, &in, &dx, 0);
                read(out, y), read(dx, bar);
                for (int k = 0; k < 3; k++)
                    ck_assert_msg(same_bits(y[k], want[k]), "%s, kind %d, rank %d: %g, not %g",
                                  ag_dtype_name((ag_dtype)d), kind, (int)ranks[k], y[k], want[k]);
                for (int k = 0; k < 3; k++) bar[(int64_t)order[ranks[k]]]--;
                for (int64_t i = 0; i < N; i++) ck_assert(bar[i] == 0);
            }
        }
}
END_TEST

/* Most of a long row of f32 is only compared with a limit: all kinds of rows, for few elements and for many. */
START_TEST(the_first_of_long_rows_are_those_of_their_order) {
    enum { KINDS = 8, N = 1000 };
    static const int64_t count[] = {1, 10, 40, 41};
    static double x[N], order[N], at[N];
    for (int way = 0; way < 2 * KINDS * 4; way++) {
        const int kind = way % KINDS, down = way / KINDS % 2;
        const int64_t k = count[way / KINDS / 2], n = N - 13 * kind;
        for (int64_t i = 0; i < n; i++) {
            const double noise = (double)(i * 25214903 % 997) / 64 - 7;
            x[i] = kind == 1 ? 1 : kind == 2 ? (double)(i % 3) : kind == 3 ? (double)i : noise;
            if (kind == 4) x[i] = NAN;
            if (kind == 5 && i % 64 > 5) x[i] = NAN;
            if (kind == 6 && i % 9 == 0) x[i] = i % 2 ? INFINITY : -INFINITY;
            if (kind == 7 && i % 9 == 0) x[i] = NAN;
        }
        ag_tensor *in = tensor_of(tape, AG_F32, AG_SHAPE(n), x), *index;
        ag_topk_along(in, k, 0, down, &index);
        read(ag_argsort(in, 0, down), order), read(index, at);
        for (int64_t j = 0; j < k; j++)
            ck_assert_msg(at[j] == order[j], "kind %d, %d of %d, %d: %g, not %g", kind, (int)k, (int)n, (int)j, at[j],
                          order[j]);
    }
    expect_ok(tape);
}
END_TEST

/* ---- Counting ---- */

START_TEST(histograms_are_those_of_their_edges) {
    static double x[MOST], y[64], z[64], w[MOST];
    state = 33;
    for (int round = 0; round < 40; round++) {
        const ag_dtype d = (ag_dtype)(1 + draw(3));
        const int64_t n = draw(3000), bins = 1 + draw(40);
        const double low = (double)draw(9) - 6, high = low + (double)(1 + draw(40)) / (round % 2 ? 8 : 7);
        ag_tensor *in = viewed(tape, d, AG_SHAPE(n), (values)draw(4));
        double edges[65];
        int64_t want[64] = {0};
        for (int64_t k = 0; k <= bins; k++)
            edges[k] = k == bins ? high : low + (double)k * ((high - low) / (double)bins);
        read(in, x), read(ag_histogram(in, bins, low, high), y);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < bins; k++)
                want[k] += x[i] >= edges[k] && (x[i] < edges[k + 1] || (k + 1 == bins && x[i] == high));
        for (int64_t k = 0; k < bins; k++)
            ck_assert_msg((int64_t)y[k] == want[k], "bin %d of %d: %g, not %d", (int)k, (int)bins, y[k], (int)want[k]);
        if (d != AG_F64) continue;
        ag_tensor *e = tensor_of(tape, d, AG_SHAPE(bins + 1), edges),
                  *weights = scattered(tape, AG_F64, AG_SHAPE(n), 3);
        read(ag_histogram_between(in, e, NULL), z);
        for (int64_t k = 0; k < bins; k++) ck_assert((int64_t)z[k] == want[k]);
        read(ag_histogram_between(in, e, weights), z), read(weights, w);
        for (int64_t k = 0; k < bins; k++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += x[i] >= edges[k] && (x[i] < edges[k + 1] || (k + 1 == bins && x[i] == high)) ? w[i] : 0;
            ck_assert(fabs(sum - z[k]) < 1e-10);
        }
    }
}
END_TEST

/* Few are looked up in a table, and many sorted. */
START_TEST(distinct_elements_of_many_are_those_of_their_order) {
    enum { N = 40000 };
    static double x[N], y[N], sorted[N], place[N], count[N];
    for (int d = AG_I64; d < AG_DTYPES; d++)
        for (int kinds = 1; kinds <= N; kinds = kinds < 1000 ? 31 * kinds : 16 * kinds + 500) {
            int64_t n = 0;
            for (int64_t i = 0; i < N; i++) x[i] = (double)(i * 7919 % kinds) - 30;
            if (d != AG_I64) x[7] = x[N / 2] = NAN, x[9] = INFINITY, x[10] = -INFINITY, x[11] = x[12] = -0.;
            ag_tensor *in = tensor_of(tape, (ag_dtype)d, AG_SHAPE(2, N / 2), x), *out = ag_unique(in, NULL, NULL);
            ag_tensor *inverse, *counts, *same = ag_unique(in, &inverse, &counts);
            read(ag_sort(ag_reshape(in, AG_SHAPE(N)), 0, false), sorted), read(out, y);
            for (int64_t i = 0; i < N; i++) {
                if (i > 0 && (sorted[i] == sorted[i - 1] || isnan(sorted[i - 1]))) continue;
                ck_assert(same_bits(y[n], sorted[i]));
                n++;
            }
            expect_shape(out, AG_SHAPE(n));
            read(same, sorted), read(inverse, place), read(counts, count);
            for (int64_t k = 0; k < n; k++) ck_assert(same_bits(y[k], sorted[k]));
            for (int64_t i = 0; i < N; i++) {
                const double at = y[(int64_t)place[i]];
                ck_assert(at == x[i] || (isnan(at) && isnan(x[i])));
                count[(int64_t)place[i]]--;
            }
            for (int64_t k = 0; k < n; k++) ck_assert(count[k] == 0);
        }
}
END_TEST

START_TEST(distinct_elements_are_counted) {
    static double x[MOST], y[MOST], at[MOST], count[MOST];
    state = 8;
    for (int round = 0; round < 30; round++) {
        const ag_dtype d = (ag_dtype)draw(AG_DTYPES);
        ag_tensor *in = viewed(tape, d, AG_SHAPE(draw(7), draw(60)), (values)(2 + draw(2))), *inverse, *counts;
        ag_tensor *out = ag_unique(in, &inverse, &counts);
        expect_shape(inverse, ag_shape_of(in));
        read(in, x), read(out, y), read(inverse, at), read(counts, count);
        const int64_t m = ag_size(out);
        for (int64_t k = 1; k < m; k++) ck_assert(before(y[k - 1], y[k]));
        for (int64_t i = 0; i < ag_size(in); i++) {
            const int64_t k = (int64_t)at[i];
            ck_assert(k >= 0 && k < m && (y[k] == x[i] || (isnan(y[k]) && isnan(x[i]))));
            count[k]--;
        }
        for (int64_t k = 0; k < m; k++) ck_assert(count[k] == 0);
    }
    ag_tensor *in = tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){2, 1, 2}), *dx;
    ag_grad(ag_sum(ag_unique(in, NULL, NULL)), 1, &in, &dx);
    expect_error(tape, AG_ERR_GRADIENT, "unique");
    expect_list(ag_bincount(tensor_of(tape, AG_I64, AG_SHAPE(4), (double[]){0, 2, 2, 3}), NULL, 5), 1, 0, 2, 1, 0);
    expect_list(ag_bincount(tensor_of(tape, AG_I64, AG_SHAPE(3), (double[]){0, 2, 2}),
                            tensor_of(tape, AG_F32, AG_SHAPE(3), (double[]){0.5, 1, 2}), 3),
                0.5, 0, 3);
}
END_TEST

/* ---- Threads, memory, errors ---- */

/* The weight of what is counted at a place has its cotangent. */
static ag_tensor *ties_of(ag_tensor *x, ag_tensor *y) {
    return ag_apply(&ag__op_ties, 2, (ag_tensor *[]){x, y}, NULL, 0);
}

/* Which axes are counted is said by the second tensor, which may be any view. */
START_TEST(ties_are_what_a_comparison_and_a_sum_count) {
    for (int round = 0; round < 200; round++) {
        const ag_dtype d = draw(2) ? AG_F32 : AG_F64;
        ag_shape shape = {.rank = (int)draw(6)};
        ag_axes axes = {.count = 0};
        int64_t n = 1;
        for (int i = 0; i < shape.rank; i++) {
            shape.extent[i] = (int64_t)CHOSEN(0, 1, 1, 2, 2, 3, 3, 4, 7, 8, 9, 17, 33);
            if (n * shape.extent[i] > MOST / 3) shape.extent[i] = 1;
            n *= shape.extent[i];
            if (draw(2) && shape.extent[i] > 0) axes.axis[axes.count++] = i;
        }
        ag_tensor *x = viewed(tape, d, shape, draw(3) ? TIED : SPECIALS), *y = ag_min_over(x, axes, true);
        if (draw(3) == 0 && shape.rank > 1) y = ag_transpose(ag_contiguous(ag_transpose(y, 0, -1)), 0, -1);
        ag_tape_set_threads(tape, 1 + (int)draw(3));
        expect_same(ties_of(x, y), ag_sum_over(ag_cast(ag_equal(x, y), d), axes, true));
    }
    expect_ok(tape);
}
END_TEST

static ag_tensor *shares_of(ag_tensor *x, ag_tensor *y, ag_tensor *g, int64_t strong) {
    return ag_apply(&ag__op_shares, 3, (ag_tensor *[]){x, y, g}, &strong, sizeof strong);
}

/* The same from operations that store what they compare. */
static ag_tensor *shares_by_parts(ag_tensor *x, ag_tensor *y, ag_tensor *g, bool strong) {
    ag_tensor *n = ties_of(x, y);
    return ag_where(ag_equal(x, y), strong ? ag_strong_div(g, n) : ag_div(g, n), ag__unknown(g, y));
}

static ag_shape some_shape(int least, int most, ag_axes *axes) {
    ag_shape shape = {.rank = least + (int)draw(most - least + 1)};
    int64_t n = 1;
    axes->count = 0;
    for (int i = 0; i < shape.rank; i++) {
        shape.extent[i] = (int64_t)CHOSEN(0, 1, 1, 2, 2, 3, 3, 4, 7, 8, 9, 17, 65);
        if (n * shape.extent[i] > MOST / 3) shape.extent[i] = 1;
        if (shape.extent[i] > 0) n *= shape.extent[i];
        if (draw(2) && shape.extent[i] > 0) axes->axis[axes->count++] = i;
    }
    return shape;
}

START_TEST(shares_are_what_a_comparison_and_a_quotient_give) {
    for (int round = 0; round < by_length(200, 600, 5000); round++) {
        const ag_mark mark = ag_tape_mark(tape);
        const ag_dtype d = draw(2) ? AG_F32 : AG_F64;
        const bool strong = draw(2);
        ag_axes axes;
        const ag_shape shape = some_shape(0, 5, &axes);
        ag_tensor *x = viewed(tape, d, shape, draw(3) ? TIED : SPECIALS), *y = ag_max_over(x, axes, true);
        ag_tensor *g = viewed(tape, d, ag_shape_of(y), draw(2) ? SPECIALS : SMALL);
        if (draw(3) == 0 && shape.rank > 1) y = ag_transpose(ag_contiguous(ag_transpose(y, 0, -1)), 0, -1);
        ag_tape_set_threads(tape, 1 + (int)draw(3));
        x = ag_parameter_from(x), y = ag_parameter_from(y), g = ag_parameter_from(g);
        ag_tensor *shares[] = {shares_of(x, y, g, strong), shares_by_parts(x, y, g, strong)}, *bar[2][3];
        expect_same(shares[0], shares[1]);
        ag_tensor *of[] = {x, y, g}, *h = viewed(tape, d, shape, draw(2) ? SPECIALS : SMALL);
        for (int k = 0; k < 2; k++) ck_assert_int_eq(ag_vjp(1, &shares[k], &h, 3, of, bar[k], 0), AG_OK);
        for (int k = 0; k < 3; k++) expect_same(bar[0][k], bar[1][k]);
        expect_ok(tape);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* Windows over some axes, their axes in some order, and an extreme over some of these. */
static ag_tensor *shares_in_windows(ag_tensor *x, ag_axes *over, ag_shape *size, ag_shape *step, ag_axes *back) {
    ag_axes order = {.count = 0};
    over->count = 0;
    for (int i = 0; i < ag_rank(x); i++)
        if (ag_extent(x, i) > 0 && draw(3)) over->axis[over->count++] = i;
    size->rank = step->rank = over->count;
    for (int k = 0; k < over->count; k++) {
        const int64_t most = ag_extent(x, over->axis[k]);
        size->extent[k] = 1 + (int64_t)draw(most < 4 ? most : 4);
        step->extent[k] = 1 + (int64_t)draw(3);
    }
    ag_tensor *windows = over->count ? ag_windows(x, *over, *size, *step) : x;
    const int rank = ag_rank(windows);
    const bool random = draw(3) == 0;
    order.count = back->count = rank;
    for (int i = 0; i < rank; i++) order.axis[i] = i;
    if (!random) /* the last axis of x behind those of a window */
        for (int i = ag_rank(x) - 1; i < rank; i++) order.axis[i] = i < rank - 1 ? i + 1 : ag_rank(x) - 1;
    for (int i = rank - 1; i > 0 && random; i--) {
        const int k = (int)draw(i + 1), a = order.axis[i];
        order.axis[i] = order.axis[k], order.axis[k] = a;
    }
    for (int i = 0; i < rank; i++) back->axis[order.axis[i]] = i;
    windows = ag_permute(windows, order);
    ag_axes reduced = {.count = 0};
    const unsigned usual =
        draw(2) ? 8 : 2; /* of so many axes all but one are reduced within windows, and one elsewhere */
    for (int i = 0; i < rank; i++)
        if (ag_extent(windows, i) > 0 && (order.axis[i] >= ag_rank(x) ? draw(usual) > 0 : draw(usual) == 0))
            reduced.axis[reduced.count++] = i;
    ag_tensor *y = ag_max_over(windows, reduced, true), *g = viewed(tape, ag_dtype_of(x), ag_shape_of(y), SMALL);
    return shares_of(windows, y, g, 0);
}

/* A sum with 0 reads them: so they are stored, and folded as any tensor is. */
START_TEST(shares_that_are_folded_need_not_be_stored) {
    for (int round = 0; round < by_length(200, 600, 5000); round++) {
        const ag_mark mark = ag_tape_mark(tape);
        ag_axes over, back, unused;
        ag_shape size, step, extent = {.rank = 0};
        const ag_shape shape = some_shape(1, 4, &unused);
        ag_tensor *x = viewed(tape, draw(2) ? AG_F32 : AG_F64, shape, draw(4) ? TIED : SPECIALS);
        ag_tensor *shares = shares_in_windows(x, &over, &size, &step, &back), *stored;
        for (int k = 0; k < over.count; k++) extent.extent[extent.rank++] = ag_extent(x, over.axis[k]);
        ag_tape_set_threads(tape, 1 + (int)draw(3));
        ag_tensor *folded = ag_fold(ag_permute(shares, back), over, extent, step);
        ag_data(folded);
        stored = ag_fold(ag_permute(ag_add_scalar(shares, 0), back), over, extent, step);
        ag_data(stored);
        expect_same(folded, stored);
        expect_ok(tape);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* Large enough for several threads: windows of 3, 2 apart, with channels that fill no vector; and one channel. */
START_TEST(ties_are_shared_in_windows) {
    const int64_t channels = _i ? 1 : 67;
    ag_tensor *all = scattered(tape, AG_F32, AG_SHAPE(3, 65, 65, channels), 7), *x, *dx[2];
    x = ag_parameter_from(ag_floor(ag_scale(all, 2)));
    ag_tensor *windows = ag_windows(x, AG_AXES(1, 2), AG_SHAPE(3, 3), AG_SHAPE(2, 2));
    windows = ag_permute(windows, AG_AXES(0, 1, 2, 4, 5, 3));
    ag_tensor *y = ag_max_over(windows, AG_AXES(3, 4), true), *g = ag_sin(ag_cumsum(ag_stop_gradient(y), 1));
    ag_tensor *hit = ag_cast(ag_equal(windows, y), AG_F32);
    ag_tensor *share = ag_div(hit, ag_sum_over(hit, AG_AXES(3, 4), true));
    ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &x, &dx[0], 0), AG_OK);
    ck_assert_int_eq(ag_vjp(1, (ag_tensor *[]){ag_sum(ag_mul(windows, ag_mul(share, g)))}, NULL, 1, &x, &dx[1], 0),
                     AG_OK);
    for (int threads = 1; threads < 4; threads++) {
        ag_tape_set_threads(tape, threads);
        ag_tensor *more;
        ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &x, &more, 0), AG_OK);
        expect_same(more, dx[0]);
    }
    const float *a = ag_data(dx[0]), *b = ag_data(dx[1]);
    ck_assert(a && b);
    for (int64_t i = 0; i < ag_size(x); i++) ck_assert_float_eq_tol(a[i], b[i], 1e-5f);
    expect_ok(tape);
}
END_TEST

/* Rows and columns are counted by a sum, which is part of a region. */
START_TEST(ties_are_counted_within_other_axes) {
    static const struct {
        ag_shape shape;
        ag_axes axes;
        bool within;
    } of[] = {{{2, {2, 3}}, {1, {0}}, false},         {{2, {2, 3}}, {1, {1}}, false},
              {{2, {2, 3}}, {2, {0, 1}}, false},      {{2, {2, 3}}, {0, {0}}, false},
              {{3, {2, 3, 4}}, {1, {2}}, false},      {{3, {2, 3, 4}}, {1, {0}}, false},
              {{3, {2, 3, 4}}, {1, {1}}, true},       {{3, {2, 3, 4}}, {2, {0, 2}}, true},
              {{3, {2, 3, 4}}, {2, {1, 2}}, false},   {{3, {2, 3, 4}}, {2, {0, 1}}, false},
              {{3, {1, 3, 4}}, {1, {1}}, false},      {{3, {2, 3, 1}}, {1, {1}}, false},
              {{3, {2, 1, 3}}, {1, {1}}, false},      {{4, {2, 1, 3, 4}}, {1, {2}}, true},
              {{4, {2, 3, 1, 4}}, {2, {0, 3}}, true}, {{5, {2, 3, 2, 3, 2}}, {2, {1, 3}}, true}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        const ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = scattered(tape, AG_F64, of[i].shape, i), *dx;
        ag_grad(ag_sum(ag_max_over(x, of[i].axes, false)), 1, &x, &dx);
        ck_assert_msg((strstr(ag_formula(dx, NULL), "ties(") != NULL) == of[i].within, "%zu: %s", i,
                      ag_formula(dx, NULL));
        expect_ok(tape);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

START_TEST(ties_want_two_tensors_that_fit) {
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(2, 3));
    ties_of(x, ag_zeros(tape, AG_F64, AG_SHAPE(3)));
    expect_error(tape, AG_ERR_SHAPE, "ties: a (2,3) and b (3): the extents of the second must be 1");
    ties_of(x, ag_zeros(tape, AG_F64, AG_SHAPE(2, 2)));
    expect_error(tape, AG_ERR_SHAPE, "ties");
    ties_of(x, ag_zeros(tape, AG_F32, AG_SHAPE(2, 1)));
    expect_error(tape, AG_ERR_DTYPE, "ties");
    ties_of(ag_cast(x, AG_I64), ag_zeros(tape, AG_I64, AG_SHAPE(2, 1)));
    expect_error(tape, AG_ERR_DTYPE, "ties");
}
END_TEST

/* The share of the last of four elements, which is the largest. */
START_TEST(shares_of_strong_zeros_are_not_negative) {
    for (int strong = 0; strong < 2; strong++) {
        ag_tensor *x = ag_parameter_from(ag_reshape(ag_arange(tape, AG_F64, 16), AG_SHAPE(2, 2, 2, 2))), *dx;
        ag_tensor *y = ag_max_over(x, AG_AXES(1, 3), false), *g = ag_full(tape, AG_F64, AG_SHAPE(2, 2), -0.0);
        ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &x, &dx, strong ? AG_STRONG : 0), AG_OK);
        ck_assert(ag_element(dx, 15) == 0 && (signbit(ag_element(dx, 15)) == 0) == strong);
    }
}
END_TEST

START_TEST(shares_want_three_tensors_that_fit) {
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(2, 3)), *y = ag_zeros(tape, AG_F64, AG_SHAPE(2, 1));
    shares_of(x, y, ag_zeros(tape, AG_F64, AG_SHAPE(1, 1)), 0);
    expect_error(tape, AG_ERR_SHAPE,
                 "shares: a (2,3), b (2,1) and c (1,1): the extents of the second and the third differ");
    shares_of(x, ag_zeros(tape, AG_F64, AG_SHAPE(2, 2)), ag_zeros(tape, AG_F64, AG_SHAPE(2, 2)), 0);
    expect_error(tape, AG_ERR_SHAPE, "must be 1, or those of the first");
    shares_of(x, y, ag_zeros(tape, AG_F64, AG_SHAPE(2)), 0);
    expect_error(tape, AG_ERR_SHAPE, "must be 1, or those of the first");
    shares_of(x, y, ag_zeros(tape, AG_F32, AG_SHAPE(2, 1)), 0);
    expect_error(tape, AG_ERR_DTYPE, "shares");
    shares_of(ag_cast(x, AG_I64), ag_cast(y, AG_I64), ag_cast(y, AG_I64), 0);
    expect_error(tape, AG_ERR_DTYPE, "shares");
}
END_TEST

START_TEST(gradients_of_counts_go_to_the_weights) {
    ag_tensor *w = tensor_of(tape, AG_F64, AG_SHAPE(4), (double[]){1, 2, 3, 4}), *dw;
    ag_tensor *at = tensor_of(tape, AG_I64, AG_SHAPE(4), (double[]){2, 0, 2, 1}), *bins = ag_arange(tape, AG_F64, 3);
    ag_tensor *g = tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){10, 20, 30}), *y = ag_bincount(at, w, 3);
    expect_list(y, 2, 4, 4);
    ag_vjp(1, &y, &g, 1, &w, &dw, 0);
    expect_list(dw, 30, 10, 30, 20);
    y = ag_histogram_between(tensor_of(tape, AG_F64, AG_SHAPE(4), (double[]){0.5, 2, -1, NAN}), bins, w);
    g = tensor_of(tape, AG_F64, AG_SHAPE(2), (double[]){10, 20});
    expect_list(y, 1, 2);
    ag_vjp(1, &y, &g, 1, &w, &dw, 0);
    expect_list(dw, 10, 20, 0, 0);
}
END_TEST

static ag_tensor *everything(ag_tape *t, int64_t rows, int64_t columns) {
    ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(rows, columns), 11),
              *y = scattered(t, AG_F64, AG_SHAPE(rows, columns), 5);
    ag_tensor *parts[] = {ag_cumsum(x, 0),
                          ag_cumsum(x, 1),
                          ag_cumprod(ag_add_scalar(x, 1), 1),
                          ag_cummax(x, 1),
                          ag_sort(x, 1, true),
                          ag_cast(ag_argsort(x, 0, false), AG_F32),
                          ag_cast(ag_sort(y, 1, false), AG_F32),
                          ag_logcumsumexp(x, 1),
                          ag_topk_along(x, columns, 1, true, NULL),
                          ag_broadcast_to(ag_quantile_over(x, AG_AXES(1), 0.3, true), AG_SHAPE(rows, columns))};
    ag_tensor *sum = ag_concat(10, parts, 0), *dx;
    ag_grad(ag_sum(sum), 1, &x, &dx);
    ag_tensor *top = ag_topk_along(x, columns / 3, 1, false, NULL);
    ag_tensor *counts = ag_cast(ag_histogram(x, columns, -1, 1), AG_F32);
    return ag_concat(3,
                     (ag_tensor *[]){ag_concat(2, (ag_tensor *[]){sum, dx}, 0), ag_embed(top, 1, columns, 0, 1),
                                     ag_unsqueeze(counts, 0)},
                     0);
}

START_TEST(results_do_not_depend_on_the_number_of_threads) {
    static const int64_t shapes[][2] = {{70, 300}, {3, 7000}, {600, 40}};
    for (int k = 0; k < 3; k++) {
        ag_tape *t[3];
        ag_tensor *y[3];
        for (int i = 0; i < 3; i++) {
            t[i] = ag_tape_new();
            ag_tape_set_threads(t[i], i == 2 ? 5 : i + 1);
            y[i] = everything(t[i], shapes[k][0], shapes[k][1]);
            ck_assert(ag_data(y[i]));
        }
        expect_same(y[0], y[1]);
        expect_same(y[0], y[2]);
        for (int i = 0; i < 3; i++) ag_tape_free(t[i]);
    }
}
END_TEST

static ag_status all_of_it(ag_tape *t) {
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(3, 50), 1), *dx, *inverse, *counts;
    ag_tensor *y = ag_add(ag_prod(x), ag_add(ag_norm(x, 2), ag_add(ag_norm(x, 3), ag_add(ag_median(x), ag_std(x, 1)))));
    ag_tensor *z = ag_add(ag_cumprod(ag_cumsum(x, 1), 1),
                          ag_add(ag_cummax(x, 1), ag_add(ag_sort(x, 0, true), ag_logcumsumexp(x, 0))));
    ag_grad(ag_add(y, ag_sum(z)), 1, &x, &dx);
    ag_eval(dx);
    ag_eval(ag_histogram(x, 10, -1, 1));
    ag_eval(ag_topk_along(x, 3, 1, true, NULL));
    ag_eval(ag_unique(x, &inverse, &counts)), ag_eval(inverse), ag_eval(counts);
    ag_eval(ag_apply(&ag__op_distinct, 1, &x, NULL, 0));
    return ag_tape_status(t);
}

START_TEST(allocations_may_fail) { with_each_allocation_failing(all_of_it); }
END_TEST

START_TEST(wrong_calls_say_what_is_wrong) {
    ag_tensor *m = ag_zeros(tape, AG_F64, AG_SHAPE(2, 3)), *none = ag_zeros(tape, AG_F64, AG_SHAPE(2, 0)), *i;
    ag_tensor *ints = ag_zeros(tape, AG_I64, AG_SHAPE(4)), *b = ag_zeros(tape, AG_BOOL, AG_SHAPE(2, 3));
#define REFUSED(call, status, text)                                                                                    \
    do {                                                                                                               \
        ck_assert(ag_is_nil(call));                                                                                    \
        expect_error(tape, status, text);                                                                              \
    } while (0)
    REFUSED(ag_prod_over(m, AG_AXES(2), false), AG_ERR_AXIS, "prod: x (2,3): axis 2 is out of range for rank 2");
    REFUSED(ag_all_over(m, AG_AXES(0, 0), false), AG_ERR_AXIS, "all: x (2,3): axis 0 is given twice");
    REFUSED(ag_argmin(m, -3, false), AG_ERR_AXIS, "argmin: x (2,3): axis -3 is out of range for rank 2");
    REFUSED(ag_argmin_over(none, AG_ALL_AXES, false), AG_ERR_SHAPE, "argmin: x (2,0): axis 1 has no elements");
    REFUSED(ag_argmax_over(b, AG_AXES(1), false), AG_ERR_DTYPE,
            "argmax: x bool (2,3): the dtype bool is not supported");
    REFUSED(ag_cumsum(m, 2), AG_ERR_AXIS, "cumsum: x (2,3): axis 2 is out of range for rank 2");
    REFUSED(ag_cumprod(ag_scalar(tape, AG_F64, 1), 0), AG_ERR_AXIS, "cumprod: x (): axis 0 is out of range for rank 0");
    REFUSED(ag_logcumsumexp(ints, 0), AG_ERR_DTYPE, "logcumsumexp: x i64 (4): needs f32 or f64, not i64");
    REFUSED(ag_diff(m, -1, 0), AG_ERR_RANGE, "diff: x (2,3): n is -1: 0 or more is wanted");
    REFUSED(ag_sort(m, 5, false), AG_ERR_AXIS, "sort: x (2,3): axis 5 is out of range for rank 2");
    REFUSED(ag_cummax_indices(m, 2, &i), AG_ERR_AXIS, "cummax_indices: x (2,3): axis 2 is out of range for rank 2");
    REFUSED(ag_cummin_indices(m, -3, &i), AG_ERR_AXIS, "cummin_indices: x (2,3): axis -3 is out of range for rank 2");
    REFUSED(ag_topk_along(m, 4, 1, true, &i), AG_ERR_RANGE, "topk_along: x (2,3): k is 4, and axis 1 has 3 elements");
    ck_assert(ag_is_nil(i));
    REFUSED(ag_searchsorted(m, ints, false), AG_ERR_DTYPE,
            "searchsorted: a (2,3) and b i64 (4): the dtypes f64 and i64 must be the same");
    REFUSED(ag_searchsorted(m, ag_transpose(none, 0, 1), false), AG_ERR_SHAPE,
            "the sorted tensor must have one axis, or the other's leading axes");
    REFUSED(ag_norm(ints, 2), AG_ERR_DTYPE, "norm: x i64 (4): needs f32 or f64, not i64");
    REFUSED(ag_norm(m, NAN), AG_ERR_RANGE, "norm: x (2,3): p is NaN");
    REFUSED(ag_norm(none, INFINITY), AG_ERR_SHAPE, "norm: x (2,0): an axis has no elements, and p is inf");
    REFUSED(ag_std(b, 0), AG_ERR_DTYPE, "std: x bool (2,3): needs f32 or f64, not bool");
    REFUSED(ag_median(none), AG_ERR_SHAPE, "median: x (2,0): an axis has no elements");
    REFUSED(ag_quantile(m, 1.5), AG_ERR_RANGE, "quantile: x (2,3): q is 1.5: 0 to 1 is wanted");
    REFUSED(ag_quantiles_over(m, AG_AXES(0), 0, (double[]){0}, false), AG_ERR_RANGE,
            "quantiles: x (2,3): n is 0: 1 to 64 is wanted");
    ag_tensor *eight = ag_reshape(m, AG_SHAPE(2, 1, 1, 1, 1, 1, 1, 3));
    const int64_t nodes = ag_tape_memory(tape).nodes;
    REFUSED(ag_quantiles_over(eight, AG_AXES(0), 1, (double[]){0}, true), AG_ERR_SHAPE,
            "quantiles: x (2,1,1,1,1,1,1,3): the result would have 9 axes");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ck_assert_int_eq(ag_rank(ag_quantiles_over(eight, AG_AXES(0), 1, (double[]){0}, false)), 8);
    REFUSED(ag_sum_where(m, m, AG_ALL_AXES, false), AG_ERR_DTYPE, "the mask must be bool, not f64");
    REFUSED(ag_mean_where(m, ag_zeros(tape, AG_BOOL, AG_SHAPE(4)), AG_ALL_AXES, false), AG_ERR_SHAPE,
            "the mask cannot be broadcast to the elements");
    REFUSED(ag_max_where(ints, ag_zeros(tape, AG_BOOL, AG_SHAPE(4)), AG_ALL_AXES, 0.5, false), AG_ERR_RANGE,
            "max_where: x i64 (4): i64 cannot hold 0.5");
    REFUSED(ag_average_over(m, ints, AG_ALL_AXES, false), AG_ERR_DTYPE, "the weights must be f64, not i64");
    REFUSED(ag_histogram(m, 0, 0, 1), AG_ERR_RANGE, "histogram: x (2,3): bins is 0: 1 to 1073741824 is wanted");
    REFUSED(ag_histogram(m, 3, 1, 1), AG_ERR_RANGE, "low is 1 and high is 1: two numbers, low < high, are wanted");
    REFUSED(ag_histogram(m, INT64_MAX, 0, 1), AG_ERR_RANGE, "histogram");
    REFUSED(ag_histogram(m, (1 << 30) + 1, 0, 1), AG_ERR_RANGE, "histogram");
    expect_shape(ag_histogram(m, 1 << 30, 0, 1), AG_SHAPE(1 << 30)); /* not evaluated */
    REFUSED(ag_histogram(m, 3, -1e308, 1e308), AG_ERR_RANGE, "low is -1e+308 and high is 1e+308");
    expect_shape(ag_histogram(m, 3, 1e308, 1.5e308), AG_SHAPE(3));
    REFUSED(ag_bincount(m, NULL, 3), AG_ERR_DTYPE, "bincount: x (2,3): needs i64, not f64");
    REFUSED(ag_bincount(ints, m, 3), AG_ERR_SHAPE, "the weights must have the shape of the elements");
    REFUSED(ag_histogram_between(m, m, NULL), AG_ERR_SHAPE, "the edges must be one axis of at least 2");
    ck_assert(!ag_data(ag_bincount(ag_add_scalar(ints, 7), NULL, 3)));
    expect_error(tape, AG_ERR_RANGE, "index 7 at element 0 is out of range for axis 0 with extent 3");
#undef REFUSED
}
END_TEST

START_TEST(gradients_of_logarithms_of_sums_are_finite_differences) {
    double x[] = {0.5, -1, 3, 2.5, -4, 3.25, 1};
    ag_gradcheck_report report;
    ag_tensor *var = ag_variable(tape, AG_F64, AG_SHAPE(7), x), *dx;
    ag_gradcheck(log_of_cumulative_sum, NULL, 1, &var, &(ag_gradcheck_options){.order = 2}, &report);
    ck_assert_msg(report.passed, "%s", report.message);
    ag_tensor *equal = ag_zeros(tape, AG_F64, AG_SHAPE(2));
    ag_grad(ag_sum(ag_slice(ag_logcumsumexp(equal, 0), 0, 1, 2, 1)), 1, &equal, &dx);
    expect_list(dx, 0.5, 0.5);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reduce");
    TCase *t = tape_group(suite, "scans");
    tcase_add_loop_test(t, scans_are_plain_loops, 0, 8);
    tcase_add_loop_test(t, of_equal_extremes_the_first_stays, 0, 2);
    tcase_add_test(t, sums_of_negative_zeros_are_negative_zeros);
    tcase_add_test(t, products_are_taken_in_order_at_the_ends_of_the_range);
    tcase_add_test(t, cumulative_sums_of_no_negative_numbers_do_not_fall);
    tcase_add_test(t, cumulative_sums_do_not_overflow_in_between);
    tcase_add_loop_test(t, gradients_of_scans_are_plain_loops, 0, 8);
    tcase_add_test(t, scans_of_single_elements);
    tcase_add_loop_test(t, logarithms_of_cumulative_sums_are_exact, 0, 3);
    tcase_add_test(t, gradients_of_logarithms_of_sums_are_finite_differences);
    t = tape_group(suite, "products");
    tcase_add_loop_test(t, gradients_of_products_are_plain_loops, 0, 4);
    tcase_add_test(t, second_derivatives_of_products_are_right_with_any_number_of_zeros);
    t = tape_group(suite, "sorting");
    tcase_add_loop_test(t, sorting_is_a_stable_sort_by_insertion, 0, 6);
    tcase_add_test(t, gradients_of_sorting_go_through_the_permutation);
    tcase_add_loop_test(t, searching_counts_what_comes_before, 0, 4);
    t = tape_group(suite, "extremes");
    tcase_add_loop_test(t, indices_over_any_axes_are_those_of_plain_loops, 0, 4);
    tcase_add_test(t, the_least_integers_have_no_opposite);
    tcase_add_loop_test(t, few_columns_are_searched_one_by_one, 0, 3);
    t = tape_group(suite, "norms, masks, quantiles");
    tcase_add_test(t, norms_neither_overflow_nor_vanish_in_between);
    tcase_add_test(t, slopes_are_0_where_a_norm_or_deviation_is);
    tcase_add_test(t, what_a_mask_leaves_out_has_no_influence);
    tcase_add_test(t, averages_take_weights_along_an_axis);
    tcase_add_test(t, bools_are_counted_as_numbers);
    tcase_add_loop_test(t, extremes_are_those_of_their_order, 0, 2);
    tcase_add_test(t, all_and_any_at_many_sizes);
    tcase_add_test(t, quantiles_lie_between_neighbours);
    tcase_add_test(t, ranks_of_long_rows_are_those_of_their_order);
    tcase_add_test(t, the_first_of_long_rows_are_those_of_their_order);
    t = tape_group(suite, "counting");
    tcase_add_test(t, histograms_are_those_of_their_edges);
    tcase_add_test(t, distinct_elements_are_counted);
    tcase_add_test(t, distinct_elements_of_many_are_those_of_their_order);
    tcase_add_test(t, ties_are_what_a_comparison_and_a_sum_count);
    tcase_add_test(t, shares_are_what_a_comparison_and_a_quotient_give);
    tcase_add_test(t, shares_that_are_folded_need_not_be_stored);
    tcase_add_loop_test(t, ties_are_shared_in_windows, 0, 2);
    tcase_add_test(t, ties_are_counted_within_other_axes);
    tcase_add_test(t, ties_want_two_tensors_that_fit);
    tcase_add_test(t, shares_of_strong_zeros_are_not_negative);
    tcase_add_test(t, shares_want_three_tensors_that_fit);
    tcase_add_test(t, gradients_of_counts_go_to_the_weights);
    t = plain_group(suite, "threads and memory");
    tcase_add_test(t, results_do_not_depend_on_the_number_of_threads);
    tcase_add_test(t, allocations_may_fail);
    t = tape_group(suite, "errors");
    tcase_add_test(t, wrong_calls_say_what_is_wrong);
    return run_suite(suite);
}
