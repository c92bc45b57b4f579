/* test_plain -- derivatives of functions in plain C: right ones pass, wrong ones fail at the element that is wrong
 *
 * Each function is a struct of callbacks, in f64 and f32 by one template of text; a `slip` in the context makes one
 * element of one derivative wrong. */
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { N = 4, M = 3 };

typedef struct slip {
    int64_t at; /* element of the gradient, or of the Hessian, that is wrong; -1: none */
    double factor;
    bool leave_out, overrun, in_hessian;
    int64_t calls;
} slip;

static void err(const slip *s, bool hessian, ag_dtype dtype, void *to, int64_t count) {
    if (s->at >= 0 && s->in_hessian == hessian) {
        double right = element_at(dtype, to, s->at);
        element_put(dtype, to, s->at, s->leave_out ? NAN : right * s->factor);
    }
    if (s->overrun && s->in_hessian == hessian) element_put(dtype, to, count, 1);
}

/* y[j] = Σ_i sin(j+1 + x[i])·x[(i+1) mod N], and of one output, y = Σ_i x[i]²·x[(i+1) mod N]. */
#define FUNCTIONS(T, DTYPE, SUFFIX)                                                                                    \
    static void value_##SUFFIX(void *context, const void *from, void *to) {                                            \
        const T *x = from;                                                                                             \
        T *y = to;                                                                                                     \
        ((slip *)context)->calls++;                                                                                    \
        *y = 0;                                                                                                        \
        for (int i = 0; i < N; i++) *y += x[i] * x[i] * x[(i + 1) % N];                                                \
    }                                                                                                                  \
    static void gradient_##SUFFIX(void *context, const void *from, const void *ybar, void *to) {                       \
        const T *x = from;                                                                                             \
        T *g = to;                                                                                                     \
        ck_assert(*(const T *)ybar == 1);                                                                              \
        for (int i = 0; i < N; i++) g[i] = 2 * x[i] * x[(i + 1) % N] + x[(i + N - 1) % N] * x[(i + N - 1) % N];        \
        err(context, false, DTYPE, g, N);                                                                              \
    }                                                                                                                  \
    static void hessian_##SUFFIX(void *context, const void *from, const void *ybar, void *to) {                        \
        const T *x = from;                                                                                             \
        T *h = to;                                                                                                     \
        ck_assert(*(const T *)ybar == 1);                                                                              \
        for (int i = 0; i < N * N; i++) h[i] = 0;                                                                      \
        for (int i = 0; i < N; i++) {                                                                                  \
            h[i * N + i] = 2 * x[(i + 1) % N];                                                                         \
            h[i * N + (i + 1) % N] += 2 * x[i];                                                                        \
            h[(i + 1) % N * N + i] += 2 * x[i];                                                                        \
        }                                                                                                              \
        err(context, true, DTYPE, h, N *N);                                                                            \
    }                                                                                                                  \
    static void values_##SUFFIX(void *context, const void *from, void *to) {                                           \
        const T *x = from;                                                                                             \
        ((slip *)context)->calls++;                                                                                    \
        for (int j = 0; j < M; j++) {                                                                                  \
            T sum = 0;                                                                                                 \
            for (int i = 0; i < N; i++) sum += (T)sin((double)x[i] + j + 1) * x[(i + 1) % N];                          \
            ((T *)to)[j] = sum;                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
    /* A slip at j·N + i is one of dy[j]/dx[i]. */                                                                    \
    static void pullback_##SUFFIX(void *context, const void *from, const void *ybar, void *to) {                       \
        const T *x = from, *g = ybar;                                                                                  \
        const slip *s = context;                                                                                       \
        for (int i = 0; i < N; i++) {                                                                                  \
            T sum = 0;                                                                                                 \
            for (int j = 0; j < M; j++) {                                                                              \
                T slope = (T)cos((double)x[i] + j + 1) * x[(i + 1) % N] + (T)sin((double)x[(i + N - 1) % N] + j + 1);  \
                sum += g[j] * slope * (s->at == j * N + i ? (T)s->factor : 1);                                         \
            }                                                                                                          \
            ((T *)to)[i] = sum;                                                                                        \
        }                                                                                                              \
    }

FUNCTIONS(double, AG_F64, f64)
FUNCTIONS(float, AG_F32, f32)

static const ag_dtype reals[] = {AG_F64, AG_F32};

static ag_c_functions one_output(ag_dtype dtype, slip *s) {
    if (dtype == AG_F64) return (ag_c_functions){s, AG_F64, N, 0, value_f64, gradient_f64, hessian_f64};
    return (ag_c_functions){s, AG_F32, N, 1, value_f32, gradient_f32, hessian_f32};
}

static ag_c_functions several_outputs(ag_dtype dtype, slip *s) {
    if (dtype == AG_F64) return (ag_c_functions){s, AG_F64, N, M, values_f64, pullback_f64, NULL};
    return (ag_c_functions){s, AG_F32, N, M, values_f32, pullback_f32, NULL};
}

/* A point as both dtypes have it. */
static const void *point(ag_dtype dtype, uint64_t first) {
    static double x[8];
    for (int i = 0; i < N; i++) element_put(dtype, x, i, scatter(first + (uint64_t)i) + 0.001);
    return x;
}

static ag_gradcheck_report report;

static ag_status check_at(const ag_c_functions *f, const void *x, ag_gradcheck_options options) {
    return ag_gradcheck_c(tape, f, x, &options, &report);
}

static void passes(int line, ag_status status, int64_t checked, int64_t kinks) {
    if (status != AG_OK || !report.passed || report.checked != checked || report.kinks != kinks)
        ck_abort_msg("line %d: %s, %lld checked, %lld kinks: %s", line, ag_status_name(status),
                     (long long)report.checked, (long long)report.kinks, report.message);
    expect_ok(tape);
}
#define PASSES(status, checked, kinks) passes(__LINE__, status, checked, kinks)

static void fails(int line, ag_status status, const char *says) {
    if (status != AG_ERR_GRADIENT || report.passed || report.guilty || !strstr(report.message, says))
        ck_abort_msg("line %d: %s: \"%s\" is not in \"%s\"", line, ag_status_name(status), says, report.message);
    expect_ok(tape);
}
#define FAILS(status, says) fails(__LINE__, status, says)

/* ---- Right and wrong derivatives ---- */

START_TEST(right_derivatives_pass) {
    for (int d = 0; d < 2; d++)
        for (uint64_t first = 0; first < 100; first++) {
            slip s = {.at = -1};
            ag_c_functions f = one_output(reals[d], &s), many = several_outputs(reals[d], &s);
            PASSES(check_at(&f, point(reals[d], 7 * first), (ag_gradcheck_options){.seed = first}), 2 * N, 0);
            ck_assert_int_eq(report.order, 2);
            PASSES(check_at(&f, point(reals[d], 7 * first), (ag_gradcheck_options){.order = 1}), N, 0);
            ck_assert_int_eq(report.order, 1);
            PASSES(check_at(&many, point(reals[d], 7 * first), (ag_gradcheck_options){.seed = first}), N, 0);
            PASSES(check_at(&many, point(reals[d], 7 * first), (ag_gradcheck_options){.directions = 3}), 3, 0);
        }
}
END_TEST

START_TEST(a_wrong_element_is_named) {
    for (int d = 0; d < 2; d++)
        for (int64_t i = 0; i < N; i++) {
            slip s = {.at = i, .factor = -1};
            ag_c_functions f = one_output(reals[d], &s);
            char name[20] = "is wrong: x[0]: ";
            name[12] = (char)('0' + i);
            FAILS(check_at(&f, point(reals[d], 3), (ag_gradcheck_options){0}), name);
            ck_assert_int_eq(report.element, i);
            ck_assert_int_eq(report.order, 1);
            ck_assert_double_eq_tol(report.expected, -report.got, 0.01 * fabs(report.got));
            s.factor = d ? 1.02 : 1.00002; /* a small mistake is one too */
            FAILS(check_at(&f, point(reals[d], 3), (ag_gradcheck_options){0}), name);
            s.factor = d ? 1.0001 : 1.00000001; /* and less than the tolerance is none */
            PASSES(check_at(&f, point(reals[d], 3), (ag_gradcheck_options){0}), 2 * N, 0);
        }
}
END_TEST

START_TEST(a_wrong_output_is_named) {
    for (int d = 0; d < 2; d++)
        for (int64_t at = 0; at < M * N; at++) {
            slip s = {.at = at, .factor = 0.5};
            ag_c_functions f = several_outputs(reals[d], &s);
            char name[20] = "dy[0]/dx[0]: ";
            name[3] = (char)('0' + at / N);
            name[9] = (char)('0' + at % N);
            FAILS(check_at(&f, point(reals[d], 11), (ag_gradcheck_options){0}), name);
            ck_assert_int_eq(report.element, at % N);
            ck_assert_double_eq_tol(report.got, 0.5 * report.expected, 0.02 * fabs(report.expected));
        }
}
END_TEST

START_TEST(a_wrong_element_of_the_hessian_is_named) {
    for (int d = 0; d < 2; d++)
        for (int64_t at = 0; at < N * N; at++) {
            slip s = {.at = at, .factor = -1, .in_hessian = true};
            ag_c_functions f = one_output(reals[d], &s);
            const bool zero = (at / N + N - at % N) % N == 2; /* these are 0, and −0 is right */
            char name[20] = "H[0,0]: ";
            name[2] = (char)('0' + at / N);
            name[4] = (char)('0' + at % N);
            if (zero) PASSES(check_at(&f, point(reals[d], 5), (ag_gradcheck_options){0}), 2 * N, 0);
            else FAILS(check_at(&f, point(reals[d], 5), (ag_gradcheck_options){.order = 2}), name);
            ck_assert_int_eq(report.order, 2);
            PASSES(check_at(&f, point(reals[d], 5), (ag_gradcheck_options){.order = 1}), N, 0);
        }
}
END_TEST

START_TEST(elements_left_out_and_one_too_many_are_found) {
    for (int d = 0; d < 2; d++)
        for (int hessian = 0; hessian < 2; hessian++) {
            slip s = {.at = 2, .leave_out = true, .in_hessian = hessian};
            ag_c_functions f = one_output(reals[d], &s);
            FAILS(check_at(&f, point(reals[d], 0), (ag_gradcheck_options){0}), "is NaN or infinite");
            s = (slip){.at = -1, .overrun = true, .in_hessian = hessian};
            ck_assert_int_eq(check_at(&f, point(reals[d], 0), (ag_gradcheck_options){0}), AG_ERR_RANGE);
            ck_assert(!report.passed);
            expect_error(tape, AG_ERR_RANGE,
                         hessian ? "gradcheck_c: the function's hessian has written more than its 16 numbers"
                                 : "gradcheck_c: the function's gradient has written more than its 4 numbers",
                         "test_plain.c:");
        }
}
END_TEST

/* A callback that writes nothing: every number is NaN. */
static void nothing(void *context, const void *x, void *y) { (void)context, (void)x, (void)y; }

START_TEST(what_is_not_finite_cannot_be_checked) {
    slip s = {.at = -1};
    ag_c_functions f = one_output(AG_F64, &s);
    double x[N] = {1, NAN, 2, 3};
    FAILS(check_at(&f, x, (ag_gradcheck_options){0}), "cannot be checked: x[1] is NaN");
    x[1] = -INFINITY;
    FAILS(check_at(&f, x, (ag_gradcheck_options){0}), "cannot be checked: x[1] is −infinite");
    x[1] = 1;
    f.value = nothing;
    FAILS(check_at(&f, x, (ag_gradcheck_options){0}), "the function: its output has NaN or infinity");
    ck_assert_int_eq(report.input, -1);
}
END_TEST

/* |x| with a slope of 0.3 at 0. */
static void absolute(void *context, const void *x, void *y) {
    (void)context;
    *(double *)y = fabs(*(const double *)x);
}

static void slope_of_absolute(void *context, const void *x, const void *ybar, void *to) {
    double at = *(const double *)x;
    *(double *)to = *(const double *)ybar * (at > 0 ? 1 : at < 0 ? -1 : *(const double *)context);
}

START_TEST(kinks_are_kinks) {
    double slope = 0.3, x = 0;
    ag_c_functions f = {&slope, AG_F64, 1, 1, absolute, slope_of_absolute, NULL};
    PASSES(check_at(&f, &x, (ag_gradcheck_options){0}), 1, 1);
    FAILS(check_at(&f, &x, (ag_gradcheck_options){.kinks_fail = true}), "at a kink with slopes -1 to 1");
    slope = 1.5;
    FAILS(check_at(&f, &x, (ag_gradcheck_options){0}), "x[0]: expected");
    x = 2;
    PASSES(check_at(&f, &x, (ag_gradcheck_options){0}), 1, 0);
}
END_TEST

/* Σ softplus(x), in float and double, where rounding differs from element to element. */
static void softplus_f32(void *context, const void *from, void *y) {
    float sum = 0;
    for (int i = 0; i < *(const int *)context; i++) sum += log1pf(expf(((const float *)from)[i]));
    *(float *)y = sum;
}

static void sigmoid_f32(void *context, const void *from, const void *ybar, void *to) {
    for (int i = 0; i < *(const int *)context; i++)
        ((float *)to)[i] = *(const float *)ybar / (1 + expf(-((const float *)from)[i]));
}

START_TEST(rounding_of_f32_is_allowed_for) {
    int n = small_run() ? 10 : 200;
    float x[200];
    ag_c_functions f = {&n, AG_F32, n, 1, softplus_f32, sigmoid_f32, NULL};
    for (uint64_t trial = 0; trial < (small_run() ? 2 : 20); trial++) {
        for (int i = 0; i < n; i++) x[i] = (float)(6 * scatter(1000 * trial + (uint64_t)i));
        PASSES(check_at(&f, x, (ag_gradcheck_options){.seed = trial}), n, 0);
        PASSES(check_at(&f, x, (ag_gradcheck_options){.seed = trial, .directions = 4}), 4, 0);
    }
}
END_TEST

static void square(void *context, const void *x, void *y) {
    double at = *(const double *)x;
    (void)context;
    *(double *)y = at * at;
}

static void twice(void *context, const void *x, const void *ybar, void *to) {
    (void)context;
    *(double *)to = 2 * *(const double *)x * *(const double *)ybar;
}

START_TEST(tiny_and_huge_inputs_pass) {
    const double x[] = {1e-12, 1e8, -1e-120, 1e150, 0};
    ag_c_functions f = {NULL, AG_F64, 1, 1, square, twice, NULL};
    for (int i = 0; i < 5; i++) PASSES(check_at(&f, &x[i], (ag_gradcheck_options){0}), 1, 0);
}
END_TEST

START_TEST(tolerances_are_the_users) {
    slip s = {.at = 1, .factor = 1.1};
    ag_c_functions f = one_output(AG_F64, &s);
    FAILS(check_at(&f, point(AG_F64, 0), (ag_gradcheck_options){.relative = 0.05}), "x[1]");
    PASSES(check_at(&f, point(AG_F64, 0), (ag_gradcheck_options){.relative = 0.2}), 2 * N, 0);
    PASSES(check_at(&f, point(AG_F64, 0), (ag_gradcheck_options){.absolute = 10}), 2 * N, 0);
}
END_TEST

START_TEST(without_inputs_there_is_nothing_to_check) {
    ag_c_functions f = {NULL, AG_F64, 0, 1, square, twice, NULL};
    PASSES(check_at(&f, NULL, (ag_gradcheck_options){0}), 0, 0);
    ck_assert_str_eq(report.message, "there is no input to check");
}
END_TEST

/* ---- Errors ---- */

static void uses_the_tape(void *context, const void *x, void *y) {
    square(NULL, x, y);
    ag_eval(ag_ones(context, AG_F64, AG_SHAPE(10)));
}

static void uses_another(void *context, const void *x, void *y) {
    ag_tape *own = ag_tape_new();
    (void)context;
    *(double *)y = ag_item(ag_square(ag_scalar(own, AG_F64, *(const double *)x)));
    ag_tape_free(own);
}

START_TEST(callbacks_may_use_tapes) {
    double x = 3;
    int64_t nodes = ag_tape_memory(tape).nodes;
    ag_c_functions f = {tape, AG_F64, 1, 1, uses_another, twice, NULL};
    PASSES(check_at(&f, &x, (ag_gradcheck_options){0}), 1, 0);
    f.value = uses_the_tape;
    ck_assert_int_eq(check_at(&f, &x, (ag_gradcheck_options){0}), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "an operation that is being evaluated cannot evaluate its own tape");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
}
END_TEST

static void refused(ag_c_functions f, const void *x, ag_gradcheck_options options, ag_status status, const char *says) {
    int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert_int_eq(check_at(&f, x, options), status);
    ck_assert(!report.passed);
    ck_assert_ptr_nonnull(strstr(report.message, says));
    expect_error(tape, status, says, "test_plain.c:");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
}

START_TEST(arguments_are_checked) {
    slip s = {.at = -1};
    const ag_c_functions good = one_output(AG_F64, &s);
    const ag_gradcheck_options usual = {0};
    double x[N] = {1, 2, 3, 4};
    ag_c_functions f = good;
    f.value = NULL, refused(f, x, usual, AG_ERR_NULL, "gradcheck_c: the value is NULL"), f = good;
    f.gradient = NULL, refused(f, x, usual, AG_ERR_NULL, "gradcheck_c: the gradient is NULL"), f = good;
    refused(f, NULL, usual, AG_ERR_NULL, "gradcheck_c: x is NULL");
    f.dtype = AG_I64, refused(f, x, usual, AG_ERR_DTYPE, "gradcheck_c: dtype must be f32 or f64"), f = good;
    f.inputs = -1, refused(f, x, usual, AG_ERR_RANGE, "inputs must be between 0 and 30000"), f = good;
    f.inputs = 30001, refused(f, x, usual, AG_ERR_RANGE, "inputs must be between 0 and 30000"), f = good;
    f.outputs = -1, refused(f, x, usual, AG_ERR_RANGE, "outputs must be between 0 and 2147483647"), f = good;
    f.hessian = NULL, refused(f, x, (ag_gradcheck_options){.order = 2}, AG_ERR_RANGE, "order 2 needs a Hessian");
    refused(good, x, (ag_gradcheck_options){.order = 3}, AG_ERR_RANGE, "gradcheck_c: order must be 1 or 2");
    refused(good, x, (ag_gradcheck_options){.directions = -1}, AG_ERR_RANGE, "directions must not be negative");
    refused(good, x, (ag_gradcheck_options){.relative = NAN}, AG_ERR_RANGE, "the relative tolerance must be");
    ck_assert_int_eq(ag_gradcheck_c(tape, NULL, x, NULL, &report), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "gradcheck_c: the functions are NULL", "test_plain.c:");
    ck_assert_int_eq(ag_gradcheck_c(NULL, &good, x, NULL, NULL), AG_ERR_NULL);
    ck_assert_ptr_nonnull(strstr(ag_tape_error(NULL), "gradcheck_c: the tape is NULL"));
    ag_clear_error(NULL);
    ck_assert_int_eq(s.calls, 0);
}
END_TEST

START_TEST(a_tape_in_error_stays_so) {
    slip s = {.at = -1};
    ag_c_functions f = one_output(AG_F64, &s);
    ag_add(ag_ones(tape, AG_F64, AG_SHAPE(2)), ag_ones(tape, AG_F64, AG_SHAPE(3)));
    ck_assert_int_eq(check_at(&f, point(AG_F64, 0), (ag_gradcheck_options){0}), AG_ERR_SHAPE);
    ck_assert_int_eq(s.calls, 0);
    expect_error(tape, AG_ERR_SHAPE, "add:");
}
END_TEST

START_TEST(the_tape_is_left_as_it_was) {
    slip s = {.at = -1};
    ag_c_functions f = one_output(AG_F64, &s);
    ag_tensor *p = ag_parameter_from(ag_ones(tape, AG_F64, AG_SHAPE(2)));
    ag_mark mark = ag_tape_mark(tape);
    ag_tape_seed(tape, 5);
    double drawn = ag_item(ag_uniform(tape, AG_F64, AG_SCALAR, 0, 1));
    ag_tape_seed(tape, 5);
    int64_t nodes = ag_tape_memory(tape).nodes;
    for (int64_t at = -1; at < 2; at++) {
        s = (slip){.at = at, .factor = 2};
        ck_assert_int_eq(check_at(&f, point(AG_F64, 0), (ag_gradcheck_options){0}), at < 0 ? AG_OK : AG_ERR_GRADIENT);
        ck_assert_int_eq(ag_gradcheck_c(tape, &f, point(AG_F64, 0), NULL, NULL), at < 0 ? AG_OK : AG_ERR_GRADIENT);
        ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    }
    ck_assert_double_eq(ag_item(ag_uniform(tape, AG_F64, AG_SCALAR, 0, 1)), drawn);
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    expect_list(p, 1, 1);
}
END_TEST

/* Every allocation fails in turn. */
START_TEST(allocations_may_fail) {
    ag_tape *usual = tape;
    for (int64_t slips = -1; slips < 1; slips++)
        for (int64_t at = 1, failed = 1; failed; at++) {
            ledger l;
            ledger_open(&l);
            tape = ag_tape_new_with(&l.allocator);
            slip s = {.at = slips, .factor = 2};
            ag_c_functions f = one_output(slips < 0 ? AG_F64 : AG_F32, &s);
            l.fail_at = l.calls + at;
            ag_status status = check_at(&f, point(f.dtype, 0), (ag_gradcheck_options){0});
            failed = l.failed;
            l.fail_at = 0;
            if (status == AG_ERR_MEMORY) expect_error(tape, AG_ERR_MEMORY, "out of memory");
            else ck_assert_int_eq(status, slips < 0 ? AG_OK : AG_ERR_GRADIENT);
            expect_ok(tape);
            ag_tape_free(tape);
            ledger_close(&l);
        }
    tape = usual;
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plain");
    TCase *group = tape_group(suite, "derivatives");
    tcase_add_test(group, right_derivatives_pass);
    tcase_add_test(group, a_wrong_element_is_named);
    tcase_add_test(group, a_wrong_output_is_named);
    tcase_add_test(group, a_wrong_element_of_the_hessian_is_named);
    tcase_add_test(group, elements_left_out_and_one_too_many_are_found);
    tcase_add_test(group, what_is_not_finite_cannot_be_checked);
    tcase_add_test(group, kinks_are_kinks);
    tcase_add_test(group, rounding_of_f32_is_allowed_for);
    tcase_add_test(group, tiny_and_huge_inputs_pass);
    tcase_add_test(group, tolerances_are_the_users);
    tcase_add_test(group, without_inputs_there_is_nothing_to_check);
    TCase *errors = tape_group(suite, "errors");
    tcase_add_test(errors, callbacks_may_use_tapes);
    tcase_add_test(errors, arguments_are_checked);
    tcase_add_test(errors, a_tape_in_error_stays_so);
    tcase_add_test(errors, the_tape_is_left_as_it_was);
    tcase_add_test(errors, allocations_may_fail);
    return run_suite(suite);
}
