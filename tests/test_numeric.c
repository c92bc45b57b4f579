/* test_numeric -- remainders of numbers of every size, fma without an instruction for it, gradients at kinks and of NaN, bits,
 * and what is refused */
#include "autograd/tape/fma.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MANY = 3001 };

/* ---- Remainders are exact ---- */

static uint64_t state = 1;
static uint64_t random_bits(void) { /* splitmix64 */
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Any bits, or numbers near each other, or multiples. */
static double some_number(ag_dtype dtype) {
    const uint64_t bits = random_bits(), kind = random_bits() % 4;
    const uint32_t narrow = (uint32_t)bits;
    double wide;
    float f;
    memcpy(&wide, &bits, sizeof wide);
    memcpy(&f, &narrow, sizeof f);
    if (kind == 0) return dtype == AG_F32 ? (double)f : wide;
    if (kind == 1) return (double)((int64_t)(bits % 41) - 20);
    return ldexp((double)(int64_t)bits, (int)(bits % 40) - 70);
}

static void fill(ag_dtype dtype, double *x) {
    for (int i = 0; i < MANY; i++) x[i] = dtype == AG_F32 ? (double)(float)some_number(dtype) : some_number(dtype);
}

static double moved(double r, double b) { return r != 0 && (r < 0) != (b < 0) ? r + b : r; }
static double in_dtype(ag_dtype dtype, double x) { return dtype == AG_F32 ? (double)(float)x : x; }

START_TEST(remainders) {
    static double a[MANY], b[MANY];
    const ag_dtype dtype = _i ? AG_F32 : AG_F64;
    fill(dtype, a), fill(dtype, b);
    ag_tensor *x = tensor_of(tape, dtype, AG_SHAPE(MANY), a), *y = tensor_of(tape, dtype, AG_SHAPE(MANY), b);
    ag_tensor *f = ag_fmod(x, y), *r = ag_remainder(x, y), *q = ag_floor_divide(x, y);
    for (int i = 0; i < MANY; i++) {
        const double rest = fmod(a[i], b[i]), want = in_dtype(dtype, moved(rest, b[i]));
        ck_assert_msg(near_value(dtype, ag_element(f, i), rest, 0, 0), "fmod(%a, %a)", a[i], b[i]);
        ck_assert_msg(near_value(dtype, ag_element(r, i), want, 0, 0), "remainder(%a, %a)", a[i], b[i]);
        if (!(fabs(a[i] / b[i]) < 1e6)) continue;
        ck_assert_msg(ag_element(q, i) == rint((a[i] - moved(rest, b[i])) / b[i]), "floor_divide(%a, %a)", a[i], b[i]);
    }
    expect_ok(tape);
}
END_TEST

/* Rounding a − r, and its quotient, may each be off by half of one, if quotients have no fractions. */
START_TEST(large_quotients) {
    const double a[] = {0x1.0fffffffe9d02p+2, -0x1.0fffffffe9d02p+2, 0x1p52, 7},
                 b[] = {0x1.179be6c771355p-50, 0x1.179be6c771355p-50, 3, 0x1p-1074};
    ag_tensor *q = ag_floor_divide(ag_from(tape, AG_F64, AG_SHAPE(4), a), ag_from(tape, AG_F64, AG_SHAPE(4), b));
    expect_list(q, 4381043320260169, -4381043320260170, 1501199875790165, INFINITY);
    const float narrow = 0x1.10fd18p+9F, by = 0x1.8809dap-14F;
    ag_tensor *x = ag_from(tape, AG_F32, AG_SCALAR, &narrow), *y = ag_from(tape, AG_F32, AG_SCALAR, &by);
    expect_item(ag_floor_divide(x, y), 5841249);
}
END_TEST

START_TEST(whole_remainders) {
    const int64_t a[] = {7, -7, 7, -7, INT64_MIN, 5, 0, INT64_MAX, INT64_MIN}, b[] = {3, 3, -3, -3, -1, 0, 0, -2, 10};
    ag_tensor *x = ag_from(tape, AG_I64, AG_SHAPE(9), a), *y = ag_from(tape, AG_I64, AG_SHAPE(9), b);
    expect_list(ag_fmod(x, y), 1, -1, 1, -1, 0, 0, 0, 1, -8);
    expect_list(ag_remainder(x, y), 1, 2, -2, -1, 0, 0, 0, -1, 2);
    const int64_t want[] = {2, -3, -3, 2, INT64_MIN, 0, 0, -4611686018427387904, -922337203685477581};
    const int64_t *q = ag_data(ag_floor_divide(x, y));
    ck_assert_ptr_nonnull(q);
    for (int i = 0; i < 9; i++) ck_assert_int_eq(q[i], want[i]);
}
END_TEST

/* ---- a·b + c without an instruction for it has the bits of C's ---- */

#if AG__EMULATES_FMA
static bool same_bits(double a, double b) { return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b)); }

/* A number whose exponent is near `middle`, at times with runs of zeros or ones, which make ties. */
static double near_exponent(int middle, int spread) {
    static const double ends[] = {0, -0.0, INFINITY, -INFINITY, NAN, DBL_MAX, 0x1p-1074, DBL_MIN};
    const uint64_t kind = random_bits() % 64, sparse = random_bits() & random_bits() & random_bits();
    uint64_t bits = random_bits();
    if (kind < 8) return ends[kind];
    if (kind < 24) bits = kind % 2 ? sparse : bits & ~(UINT64_MAX >> (bits % 60));
    const double x =
        ldexp(1 + (double)(bits >> 12) * 0x1p-52, middle + (int)(random_bits() % (uint64_t)spread) - spread / 2);
    return kind % 2 ? x : -x;
}

/* Close to −a·b, or to half a unit of it, at times. */
static double addend(double a, double b, double other) {
    const uint64_t kind = random_bits() % 16;
    int exponent;
    if (kind == 0) return -a * b;
    if (kind == 1) return nextafter(-a * b, random_bits() % 2 ? INFINITY : -(double)INFINITY);
    if (kind > 3 || !isfinite(a * b)) return other;
    frexp(a * b, &exponent);
    return ldexp(kind == 2 ? 1 : -1, exponent - 52 - (int)(random_bits() % 4));
}

/* C's, except of a product alone: musl's, to 1.2.3, loses the sign of one that underflows. */
static double fma_by_c(double a, double b, double c) { return c == 0 && a != 0 && b != 0 ? a * b : fma(a, b, c); }

START_TEST(emulated_fma_rounds_once) {
    static const int middle[][2] = {{0, 0},      {0, -1022}, {-511, -1022}, {-540, -1060},
                                    {511, 1020}, {500, 900}, {-450, -900}};
    const int which = _i, spread = 4 + 116 * (which % 2);
    for (int64_t i = 0; i < by_length(3000, 40000, 1000000); i++) {
        const double a = near_exponent(middle[which / 2][0], spread), b = near_exponent(middle[which / 2][0], spread),
                     c = addend(a, b, near_exponent(middle[which / 2][1], spread)), want = fma_by_c(a, b, c);
        ck_assert_msg(same_bits(ag__emulated_fma(a, b, c), want), "%a·%a + %a: %a, not %a", a, b, c,
                      ag__emulated_fma(a, b, c), want);
        ck_assert_msg(same_bits(ag__fma(a, b, c), want), "%a·%a + %a: not %a", a, b, c, want);
        const float x = (float)ldexp(a, which == 4 ? 450 : 0), y = (float)ldexp(b, which == 4 ? 450 : 0),
                    z = (float)addend((double)x, (double)y, ldexp(c, which == 4 ? 900 : 0)), whole = fmaf(x, y, z);
        ck_assert_msg(same_bits((double)ag__emulated_fmaf(x, y, z), (double)whole), "%a·%a + %a: %a, not %a", (double)x,
                      (double)y, (double)z, (double)ag__emulated_fmaf(x, y, z), (double)whole);
        ck_assert_msg(same_bits((double)ag__fmaf(x, y, z), (double)whole), "%a·%a + %a: not %a", (double)x, (double)y,
                      (double)z, (double)whole);
    }
}
END_TEST
#endif

/* ---- Bits ---- */

START_TEST(bits) {
    const int64_t a[] = {12, -1, INT64_MIN, 1, -8, 5, -5}, b[] = {10, 255, -1, 63, 1, 64, -1};
    ag_tensor *x = ag_from(tape, AG_I64, AG_SHAPE(7), a), *y = ag_from(tape, AG_I64, AG_SHAPE(7), b);
    const int64_t *all[] = {ag_data(ag_bitwise_and(x, y)), ag_data(ag_bitwise_or(x, y)), ag_data(ag_bitwise_xor(x, y)),
                            ag_data(ag_bitwise_not(x)),    ag_data(ag_left_shift(x, y)), ag_data(ag_right_shift(x, y))};
    const int64_t right[] = {0, -1, -1, 0, -4, 0, -1}, left[] = {12288, 0, 0, INT64_MIN, -16, 0, 0};
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(all[0][i], a[i] & b[i]);
        ck_assert_int_eq(all[1][i], a[i] | b[i]);
        ck_assert_int_eq(all[2][i], a[i] ^ b[i]);
        ck_assert_int_eq(all[3][i], ~a[i]);
        ck_assert_int_eq(all[4][i], left[i]);
        ck_assert_int_eq(all[5][i], right[i]);
    }
}
END_TEST

/* ---- Gradients at kinks, and of NaN ---- */

static ag_tensor *maximum_0(ag_tensor *x) { return ag_maximum_scalar(x, 0); }
static ag_tensor *clamp_01(ag_tensor *x) { return ag_clamp(x, 0, 1); }
static ag_tensor *clamp_min_0(ag_tensor *x) { return ag_clamp_min(x, 0); }
static ag_tensor *clamp_low_0(ag_tensor *x) { return ag_clamp_low(x, ag_scalar(tape, AG_F64, 0)); }
static ag_tensor *hardtanh_01(ag_tensor *x) { return ag_hardtanh(x, 0, 1); }
static ag_tensor *leaky(ag_tensor *x) { return ag_leaky_relu(x, 0.125); }
static ag_tensor *learned(ag_tensor *x) { return ag_prelu(x, ag_scalar(tape, AG_F64, 0.125)); }
static ag_tensor *elu_2(ag_tensor *x) { return ag_elu(x, 2); }
static ag_tensor *celu_2(ag_tensor *x) { return ag_celu(x, 2); }
static ag_tensor *shrink(ag_tensor *x) { return ag_softshrink(x, 0); }

/* The slope at x, PyTorch's. */
static const struct {
    ag_tensor *(*f)(ag_tensor *x);
    double x, slope;
} kinks[] = {
    {ag_relu, 0, 0},
    {maximum_0, 0, 0.5},
    {clamp_01, 0, 1},
    {clamp_01, 1, 1},
    {clamp_min_0, 0, 1},
    {clamp_low_0, 0, 1},
    {hardtanh_01, 0, 0},
    {hardtanh_01, 1, 0},
    {leaky, 0, 0.125},
    {learned, 0, 0.125},
    {elu_2, 0, 2},
    {celu_2, 0, 1},
    {shrink, 0, 0},
    {ag_hardsigmoid, -3, 0},
    {ag_hardsigmoid, 3, 0},
    {ag_hardswish, -3, 0},
    {ag_hardswish, 3, 1},
    {ag_softplus, 0, 0.5},
    {ag_softsign, 0, 1},
    {ag_abs, 0, 0},
    {ag_sinc, 0, 0},
    {ag_frac, 2, 1},
    {ag_floor, 2, 0},
    {ag_nan_to_num, INFINITY, 0},
    {ag_nan_to_num, NAN, 0},
    {ag_relu, NAN, NAN},
    {maximum_0, NAN, NAN},
    {clamp_01, NAN, NAN},
    {clamp_min_0, NAN, NAN},
    {clamp_low_0, NAN, NAN},
    {hardtanh_01, NAN, NAN},
    {leaky, NAN, NAN},
    {learned, NAN, NAN},
    {elu_2, NAN, NAN},
    {celu_2, NAN, NAN},
    {ag_softplus, NAN, NAN},
    {ag_hardswish, NAN, NAN},
    {ag_hardsigmoid, NAN, NAN},
    {ag_softsign, NAN, NAN},
    {ag_logit, 2, NAN},
};

START_TEST(slopes) {
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SCALAR, &kinks[_i].x), *dx;
    ck_assert_int_eq(ag_grad(kinks[_i].f(x), 1, &x, &dx), AG_OK);
    ck_assert_msg(near_value(AG_F64, ag_item(dx), kinks[_i].slope, 0, 0), "kink %d: %g", _i, ag_item(dx));
}
END_TEST

START_TEST(slopes_of_two) {
    const double zero = 0;
    ag_tensor *x[] = {ag_parameter(tape, AG_F64, AG_SCALAR, &zero), ag_parameter(tape, AG_F64, AG_SCALAR, &zero)},
              *dx[2];
    ag_grad(ag_hypot(x[0], x[1]), 2, x, dx);
    expect_item(dx[0], 0), expect_item(dx[1], 0);
    ag_grad(ag_xlogy(x[0], x[1]), 2, x, dx);
    expect_item(dx[0], 0), expect_item(dx[1], 0);
    ag_grad(ag_logaddexp(x[0], x[1]), 2, x, dx);
    expect_item(dx[0], 0.5), expect_item(dx[1], 0.5);
    expect_ok(tape);
}
END_TEST

/* The second derivative of sinc, by a series up to |x| = 1/π. */
START_TEST(curvature_of_sinc) {
    const double at[] = {0.125, 0.25, 0.3125},
                 want[] = {-0x1.91cca6bf713f4p+1, -0x1.59fde517c38ecp+1, -0x1.3227b9be888a4p+1};
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(3), at), *dx, *ddx;
    ag_grad(ag_sum(ag_sinc(x)), 1, &x, &dx);
    ag_grad(ag_sum(dx), 1, &x, &ddx);
    expect_near(ddx, 3, want, 4, 0);
}
END_TEST

/* ---- Large, small, and inverse ---- */

START_TEST(magnitudes) {
    const double a[] = {DBL_MAX / 2, 3e-320, 0, 3, -INFINITY, NAN}, b[] = {DBL_MAX / 2, 4e-320, 0, -4, NAN, 1};
    ag_tensor *h = ag_hypot(ag_from(tape, AG_F64, AG_SHAPE(6), a), ag_from(tape, AG_F64, AG_SHAPE(6), b));
    const double root[] = {DBL_MAX / 2 * sqrt(2), 5e-320, 0, 5, INFINITY, NAN};
    expect_near(h, 6, root, 1, 0);
    const float tiny[] = {0x1p-145F, -0x1p-149F}, beside[] = {0x1p-145F, 0};
    ag_tensor *low = ag_hypot(ag_from(tape, AG_F32, AG_SHAPE(2), tiny), ag_from(tape, AG_F32, AG_SHAPE(2), beside));
    expect_list(low, 23 * 0x1p-149, 0x1p-149);
    const double far[] = {-800, -40, 40, 800}, soft[] = {0, log1p(exp(-40)), 40, 800};
    expect_near(ag_softplus(ag_from(tape, AG_F64, AG_SHAPE(4), far)), 4, soft, 2, 0);
}
END_TEST

START_TEST(logit_is_the_inverse_of_sigmoid) {
    for (double x = -30; x < 30; x += 0.37) {
        ag_tensor *y = ag_logit(ag_sigmoid(ag_scalar(tape, AG_F64, x)));
        ck_assert_double_eq_tol(ag_item(y), x, 1e-15 * (1 + exp(x)));
    }
}
END_TEST

/* ---- Refused ---- */

START_TEST(refused) {
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(2, 3), 1), *whole = ag_arange(tape, AG_I64, 3);
    ag_silu(whole);
    expect_error(tape, AG_ERR_DTYPE, "silu", "needs f32 or f64, not i64");
    ag_prelu(x, scattered(tape, AG_F64, AG_SHAPE(3), 1));
    expect_error(tape, AG_ERR_DTYPE, "prelu", "dtypes f32 and f64 differ");
    ag_softshrink(x, -1);
    expect_error(tape, AG_ERR_RANGE, "softshrink", "the threshold is -1: at least 0 is wanted");
    ag_celu(x, 0);
    expect_error(tape, AG_ERR_RANGE, "celu", "alpha is 0");
    ag_hardtanh(x, 1, 0);
    expect_error(tape, AG_ERR_RANGE, "hardtanh", "low is 1 and high is 0");
    ag_clamp_min(x, NAN);
    expect_error(tape, AG_ERR_RANGE, "clamp_min", "the bound is NaN");
    ag_less_scalar(whole, 0.5);
    expect_error(tape, AG_ERR_RANGE, "less_scalar", "i64 cannot hold 0.5");
    ag_bitwise_and(x, x);
    expect_error(tape, AG_ERR_DTYPE, "bitwise_and", "the dtype f32 is not supported");
    ag_left_shift(ag_equal(whole, whole), ag_equal(whole, whole));
    expect_error(tape, AG_ERR_DTYPE, "left_shift", "the dtype bool is not supported");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("numeric");
    TCase *group = tape_group(suite, "values");
    tcase_add_loop_test(group, remainders, 0, 2);
#if AG__EMULATES_FMA
    tcase_add_loop_test(group, emulated_fma_rounds_once, 0, 14);
#endif
    tcase_add_test(group, large_quotients);
    tcase_add_test(group, whole_remainders);
    tcase_add_test(group, bits);
    tcase_add_test(group, magnitudes);
    tcase_add_test(group, logit_is_the_inverse_of_sigmoid);
    group = tape_group(suite, "slopes");
    tcase_add_loop_test(group, slopes, 0, sizeof kinks / sizeof *kinks);
    tcase_add_test(group, slopes_of_two);
    tcase_add_test(group, curvature_of_sinc);
    group = tape_group(suite, "refused");
    tcase_add_test(group, refused);
    return run_suite(suite);
}
