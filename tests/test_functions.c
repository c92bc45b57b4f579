/* test_functions -- functions of one argument over f32: the error in units of the last place
 *
 * The reference is C's function of double, or, if C has none, the operation's own f64, whose values the table of cases
 * checks. The slopes of f32 are measured against those of f64: a derivative in which digits cancel shows there.
 *
 * The tests check every 1021st bit pattern, four million. `test_functions --all` checks all 2^32, in a quarter of an
 * hour, and prints the largest error of each function. */
#include "tests/cases.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EACH = 1 << 16, SOME = 1021 };

/* The largest that was found is 5.2, of rsqrt: its slope has three times the error of y, and three roundings. */
static const double SLOPE_UNITS = 5.5;

/* In units of the last place of the f32 next to `want`; infinite where one is NaN or infinite and the other is
 * not, or a 0 has the wrong sign. */
static double error_of(float got, double want) {
    float near = fabsf((float)want);
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (isinf(near)) return got == (float)want ? 0 : INFINITY;
    if (near == 0 && !signbit(got) != !signbit(want)) return INFINITY;
    double unit = (double)nextafterf(near, INFINITY) - (double)near;
    return isfinite(got) ? fabs((double)got - want) / unit : INFINITY;
}

typedef struct finding {
    double error;
    float x;
} finding;

/* EACH bit patterns from `first` on, `step` apart; returns how many there are. */
static int patterns(uint64_t first, uint64_t step, float x[EACH]) {
    int n = 0;
    for (; n < EACH && first + (uint64_t)n * step <= UINT32_MAX; n++) {
        uint32_t bits = (uint32_t)(first + (uint64_t)n * step);
        memcpy(&x[n], &bits, sizeof bits);
    }
    return n;
}

/* The same; of gelu's slope, which has a zero at which no digit may be right, relative to ¼; of the gamma family below 0, where it has zeros at which no digit may be right: relative to the size of
 * what its reflection adds up, |x|·ln|x| for ln Γ and ln|x| for its slope. */
static double error_at(const real_function *f, float x, float got, double exact, bool is_slope) {
    const bool is_lgamma = strcmp(f->name, "lgamma") == 0;
    if (strcmp(f->name, "gelu") == 0 && is_slope && fabs(exact) < 0.25)
        return fabs((double)got - exact) / ((double)FLT_EPSILON / 8);
    if (!(x < 0) || !(is_lgamma || strcmp(f->name, "digamma") == 0)) return error_of(got, exact);
    const double distance = fabs((double)x), size = 1 + log1p(distance) * (is_lgamma && !is_slope ? distance : 1);
    const double error = error_of(got, exact), scaled = fabs((double)got - exact) / (size * (double)FLT_EPSILON);
    return scaled < error ? scaled : error;
}

/* Without values every one of them is wrong. */
static void look(const real_function *f, uint64_t first, uint64_t step, finding *worst) {
    static float x[EACH];
    int n = patterns(first, step, x);
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *narrow = ag_wrap(tape, AG_F32, AG_SHAPE(n), x);
    const float *y = ag_data(f->call(narrow));
    const double *own = f->narrow ? NULL : ag_data(f->call(ag_cast(narrow, AG_F64)));
    for (int i = 0; i < n; i++) {
        double error = error_at(f, x[i], y ? y[i] : NAN, own ? own[i] : f->narrow ? f->narrow((double)x[i]) : 0, false);
        if (!(error <= worst->error)) *worst = (finding){error, x[i]};
    }
    ag_tape_rewind(tape, mark);
}

static finding worst_of(const real_function *f, uint64_t step) {
    finding worst = {0, 0};
    for (uint64_t first = 0; first <= UINT32_MAX; first += EACH * step) {
        if (first % (EACH * step << 10) == 0) be_patient();
        look(f, first, step, &worst);
    }
    return worst;
}

START_TEST(functions_of_f32_are_within_their_units) {
    const real_function f = real_function_at(_i);
    finding worst = worst_of(&f, (uint64_t)by_length(1021, 4, 1) * SOME);
    ck_assert_msg(worst.error <= f.units, "%s(%a) is wrong by %g units of the last place", f.name, (double)worst.x,
                  worst.error);
}
END_TEST

/* ---- Slopes: those of f32 against those of f64 ---- */

static ag_tensor *slope(const real_function *f, ag_tensor *x) {
    ag_tensor *y = f->call(x), *ones = ag_ones(tape, ag_dtype_of(x), ag_shape_of(x)), *dx = NULL;
    ag_vjp(1, &y, &ones, 1, &x, &dx, 0);
    return dx;
}

/* Slopes that are normal numbers, and so small that no step on the way overflows. */
static void look_at_slopes(const real_function *f, uint64_t first, uint64_t step, finding *worst) {
    static float x[EACH];
    int n = patterns(first, step, x);
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *narrow = ag_wrap(tape, AG_F32, AG_SHAPE(n), x);
    const float *dx = ag_data(slope(f, narrow));
    const double *exact = ag_data(slope(f, ag_cast(narrow, AG_F64)));
    for (int i = 0; i < n; i++) {
        if (exact && !(isnormal((float)exact[i]) && fabs(exact[i]) <= (double)FLT_MAX / 4)) continue;
        double error = dx && exact ? error_at(f, x[i], dx[i], exact[i], true) : INFINITY;
        if (!(error <= worst->error)) *worst = (finding){error, x[i]};
    }
    ag_tape_rewind(tape, mark);
}

START_TEST(slopes_of_f32_are_near_those_of_f64) {
    const real_function f = real_function_at(_i);
    const uint64_t step = (uint64_t)by_length(1021, 16, 4) * SOME;
    finding worst = {0, 0};
    if (strcmp(f.name, "sinc") == 0) return; /* a difference that crosses 0, where no digit may be right */
    for (uint64_t first = 0; first <= UINT32_MAX; first += EACH * step) {
        if (first % (EACH * step << 10) == 0) be_patient();
        look_at_slopes(&f, first, step, &worst);
    }
    ck_assert_msg(worst.error <= SLOPE_UNITS, "the slope of %s(%a) is wrong by %g units of the last place", f.name,
                  (double)worst.x, worst.error);
}
END_TEST

/* ---- Errors ---- */

/* Only wrong values are counted as wrong. */
START_TEST(errors_are_in_units_of_the_last_place) {
    ck_assert_double_eq(error_of(1, 1), 0);
    ck_assert_double_eq(error_of(nextafterf(1, 2), 1), 1);
    ck_assert_double_eq(error_of(0x1p-149f, 0), 1);
    ck_assert(isinf(error_of(NAN, 1)) && isinf(error_of(1, NAN)) && isinf(error_of(INFINITY, 1)));
    ck_assert(isinf(error_of(0.0f, -0.0)) && error_of(-0.0f, -0.0) == 0);
    ck_assert(isinf(error_of(-INFINITY, INFINITY)) && error_of(INFINITY, 1e39) == 0 && error_of(NAN, NAN) == 0);
}
END_TEST

static int look_at_all(void) {
    bool good = true;
    tape = ag_tape_new();
    for (int i = 0; i < real_function_count(); i++) {
        const real_function f = real_function_at(i);
        finding worst = worst_of(&f, 1);
        printf("%-8s %.3f units of the last place, at %a\n", f.name, worst.error, (double)worst.x);
        fflush(stdout);
        good = good && worst.error <= f.units;
    }
    ag_tape_free(tape);
    return !good;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--all") == 0) return look_at_all();
    Suite *suite = suite_create("functions");
    TCase *range = tape_group(suite, "range");
    tcase_add_loop_test(range, functions_of_f32_are_within_their_units, 0, real_function_count());
    tcase_add_loop_test(range, slopes_of_f32_are_near_those_of_f64, 0, real_function_count());
    tcase_add_test(plain_group(suite, "errors"), errors_are_in_units_of_the_last_place);
    return run_suite(suite);
}
