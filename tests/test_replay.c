/* test_replay -- operations that have a trace and no kernel
 *
 * They must be what the same operations with kernels are, bit for bit: computed alone and with others, small and large,
 * by every evaluator, with machine code and without. tests/test_compile.c compares the steps of each operation. */
#include "autograd/tape/limits.h"
#include "autograd/tape/tape.h"
#include "tests/replay_formulas.h"
#include "tests/support.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "examples/softplus_formula.h"

static ag_tensor *by_sigmoid(ag_tensor *y, ag_tensor *g, int i) { return ag_strong_mul(g, ag_sigmoid(ag_input(y, i))); }

static const ag_op soft_op = {
    .name = "soft", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA_TRACE(soft), .vjp = by_sigmoid};
static const ag_op kernel_op = {
    .name = "soft", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA(softplus), .vjp = by_sigmoid};

static ag_tensor *soft(ag_tensor *x) { return ag_apply(&soft_op, 1, &x, NULL, 0); }
static ag_tensor *by_kernel(ag_tensor *x) { return ag_apply(&kernel_op, 1, &x, NULL, 0); }

/* ---- The same as with kernels ---- */

static const int64_t lengths[] = {0, 1, 2, 7, 8, 9, 63, 255, 256, 257, 1023, 1024, 1025, 5000, 20000, 100003};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

/* With specials, subnormals and both signs. */
static ag_tensor *numbers(ag_dtype dtype, int64_t n) {
    static const double special[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1e-40, -87.5, 88.8, 710, -746, 1e30};
    double *x = malloc((size_t)(n ? n : 1) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < n; i++) x[i] = i % 7 == 3 ? special[i / 7 % 11] : 30 * scatter((uint64_t)i);
    ag_tensor *y = tensor_of(tape, dtype, AG_SHAPE(n), x);
    free(x);
    return y;
}

static void compare_all(void) {
    for (ag_dtype dtype = AG_F32; dtype <= AG_F64; dtype++)
        for (int i = 0; i < LENGTHS; i++) {
            ag_mark mark = ag_tape_mark(tape);
            ag_tensor *x = numbers(dtype, lengths[i]);
            expect_same(soft(x), by_kernel(x));
            expect_same(ag_add_scalar(soft(soft(x)), 1), ag_add_scalar(by_kernel(by_kernel(x)), 1));
            expect_ok(tape);
            ag_tape_rewind(tape, mark);
        }
}

START_TEST(as_kernels) {
    if (small_run() && (_i + _i / 4) % 2) return;
    static const ag_evaluator evaluators[] = {AG_EVALUATOR_AUTOMATIC, AG_EVALUATOR_FUSED, AG_EVALUATOR_REFERENCE};
    const struct ag__isa *best = tape->isa;
    ag_tape_set_evaluator(tape, evaluators[_i / 4]);
    if (_i % 2) tape->isa = NULL;
    ag_tape_set_threads(tape, 1 + _i / 2 % 2);
    for (int again = 0; again < 4; again++) compare_all(); /* plans are made again, with machine code */
    tape->isa = best;
}
END_TEST

START_TEST(strided_inputs) {
    ag_tensor *x = ag_permute(scattered(tape, AG_F32, AG_SHAPE(70, 3, 50), 1), AG_AXES(2, 0, 1));
    ag_tensor *part = ag_slice(x, 1, 69, -1, -2),
              *wide = ag_broadcast_to(scattered(tape, AG_F32, AG_SHAPE(1, 9), 3), AG_SHAPE(40, 9));
    expect_same(soft(x), by_kernel(x));
    expect_same(soft(part), by_kernel(part));
    expect_same(soft(wide), by_kernel(wide));
    expect_ok(tape);
}
END_TEST

static ag_tensor *checked(void *context, int n, ag_tensor *const x[]) { return (void)context, (void)n, soft(x[0]); }

START_TEST(gradients) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(5), 1);
    ag_gradcheck_report report;
    ag_gradcheck(checked, NULL, 1, &x, &(ag_gradcheck_options){.order = 2}, &report);
    ck_assert_msg(report.passed, "%s", report.message);
}
END_TEST

/* ---- Values that do not vary, whole numbers, bools ---- */

static const ag_op seven_op = {.name = "seven", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA_TRACE(seven)};
static const ag_op doubled_op = {.name = "doubled",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .arity = 1,
                                 .attribute_bytes = sizeof(double),
                                 AG_FORMULA_TRACE_I64(doubled)};
static const ag_op above_op = {.name = "above",
                               .kind = AG_KIND_ELEMENTWISE,
                               .arity = 1,
                               .attribute_bytes = sizeof(double),
                               AG_FORMULA_TRACE_I64(above)};
static const ag_op never_op = {
    .name = "never", .kind = AG_KIND_ELEMENTWISE, .arity = 2, .flags = AG_OP_PREDICATE, AG_FORMULA_TRACE_ANY(never)};
static const ag_op same_op = {.name = "same", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA_TRACE_ANY(same)};
static const ag_op bits_op = {
    .name = "bits", .kind = AG_KIND_ELEMENTWISE, .arity = 2, .trace = {[AG_I64] = bits_of_whole_trace}};

/* The elements are 0 to n − 1. */
static void uniform_values(ag_dtype dtype, int64_t n) {
    const double p = 1.5, whole = 5;
    ag_tensor *x = ag_cast(ag_arange(tape, AG_I64, n), dtype),
              *seven = dtype == AG_I64 ? x : ag_apply(&seven_op, 1, &x, NULL, 0);
    ag_tensor *doubled = ag_apply(&doubled_op, 1, &x, dtype == AG_I64 ? &whole : &p, sizeof p);
    ag_tensor *above = ag_apply(&above_op, 1, &x, dtype == AG_I64 ? &whole : &p, sizeof p);
    ag_tensor *never = ag_apply(&never_op, 2, (ag_tensor *[]){x, x}, NULL, 0),
              *same = ag_apply(&same_op, 1, &x, NULL, 0);
    expect_same(same, x);
    for (int64_t i = 0; i < n; i += n < 100 ? 1 : 997) {
        const double s = dtype == AG_I64 ? whole : p, v = (double)i;
        if (dtype != AG_I64) ck_assert_double_eq(ag_element(seven, i), 7);
        ck_assert_double_eq(ag_element(doubled, i), 2 * s);
        ck_assert_double_eq(ag_element(above, i), s < v ? (v - s) * (s - 3) : s);
        ck_assert_double_eq(ag_element(never, i), 0);
    }
}

START_TEST(values_that_do_not_vary) {
    for (ag_dtype dtype = AG_I64; dtype <= AG_F64; dtype++)
        for (int64_t n = 1; n < 100000; n *= 19) uniform_values(dtype, n);
    expect_ok(tape);
}
END_TEST

START_TEST(bits_of_whole_numbers) {
    const int64_t a[] = {0, -1, 5, INT64_MAX, INT64_MIN, 1, 2, 3, 1234567},
                  b[] = {3, -1, 9, 1, INT64_MIN, 0, 0, -7, 99};
    for (int64_t n = 9; n < 40000; n *= 60) {
        int64_t *x = malloc(2 * (size_t)n * sizeof *x);
        ck_assert_ptr_nonnull(x);
        for (int64_t i = 0; i < n; i++) x[i] = a[i % 9], x[n + i] = b[i % 9];
        ag_tensor *in[] = {ag_from(tape, AG_I64, AG_SHAPE(n), x), ag_from(tape, AG_I64, AG_SHAPE(n), x + n)};
        const int64_t *y = ag_data(ag_apply(&bits_op, 2, in, NULL, 0));
        ck_assert_ptr_nonnull(y);
        for (int64_t i = 0; i < n; i++) {
            const uint64_t u = (uint64_t)x[i];
            ck_assert_int_eq(y[i], ((x[i] & x[n + i]) | 12) ^ (int64_t)(u * (u + 1)));
        }
        free(x);
    }
    expect_ok(tape);
}
END_TEST

/* ---- Inputs of two dtypes ---- */

static ag_traced lesser_chosen(ag_trace *t, const ag_traced x[]) {
    return ag_trace_select(t, ag_trace_binary(t, AG_TRACE_LESS, x[0], x[1]), x[2], x[3]);
}
static bool any_dtypes(ag_infer *r) { return (void)r, true; }
static const ag_op chosen_op = {.name = "chosen",
                                .kind = AG_KIND_ELEMENTWISE,
                                .arity = 4,
                                .infer = any_dtypes,
                                .trace = {[AG_F32] = lesser_chosen, [AG_F64] = lesser_chosen}};

/* The truth value of numbers of 64 bits chooses between those of 32, and the other way round. */
START_TEST(truths_of_another_width) {
    for (int from = AG_I64; from <= AG_F64; from++)
        for (ag_dtype to = AG_F32; to <= AG_F64; to++)
            for (int64_t n = 1; n < 40000; n = 13 * n + 1) {
                ag_tensor *x = ag_cast(ag_arange(tape, AG_I64, n), (ag_dtype)from), *y = ag_flip(x, 0);
                ag_tensor *a = numbers(to, n), *b = ag_neg(a);
                expect_same(ag_apply(&chosen_op, 4, (ag_tensor *[]){x, y, a, b}, NULL, 0),
                            ag_where(ag_less(x, y), a, b));
            }
    expect_ok(tape);
}
END_TEST

/* ---- What is wrong is refused as it is recorded ---- */

static ag_traced truth(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_LESS, x[0], x[0]); }
static ag_traced negative_truth(ag_trace *t, const ag_traced x[]) {
    return ag_trace_unary(t, AG_TRACE_NEG, truth(t, x));
}
static ag_traced truth_in_product(ag_trace *t, const ag_traced x[]) { return ag_trace_fma(t, truth(t, x), x[0], x[0]); }
static ag_traced chosen_by_number(ag_trace *t, const ag_traced x[]) { return ag_trace_select(t, x[0], x[0], x[0]); }
static ag_traced truth_or_number(ag_trace *t, const ag_traced x[]) {
    return ag_trace_select(t, truth(t, x), truth(t, x), x[0]);
}
static ag_traced shifted_truth(ag_trace *t, const ag_traced x[]) { return ag_trace_shift(t, truth(t, x), 1); }
static ag_traced bits_of_truth(ag_trace *t, const ag_traced x[]) {
    return ag_trace_unary(t, AG_TRACE_TO_BITS, truth(t, x));
}
static ag_traced number_negated(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_NOT, x[0]); }
static ag_traced number_and_truth(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_AND, x[0], truth(t, x));
}
static ag_traced rare_by_number(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, x[0], ag_far_sine, x[0], 0, x[0]);
}
static ag_traced beyond(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_ABS, x[1]); }
static ag_traced no_attribute(ag_trace *t, const ag_traced x[]) { return (void)x, ag_trace_attribute(t, 0); }
static ag_traced too_many(ag_trace *t, const ag_traced x[]) {
    ag_traced y = x[0];
    for (int i = 0; i < 100000; i++) y = ag_trace_unary(t, AG_TRACE_SQRT, y);
    return y;
}
/* Every square root waits until the last. */
static ag_traced all_at_once(ag_trace *t, const ag_traced x[]) {
    enum { MANY = 1000 };
    ag_traced root[MANY], y = x[0];
    for (int i = 0; i < MANY; i++) root[i] = y = ag_trace_unary(t, AG_TRACE_SQRT, y);
    for (int i = 0; i < MANY; i++) y = ag_trace_binary(t, AG_TRACE_ADD, y, root[i]);
    return y;
}

/* As many roots wait as there is room for, and one more. */
static int waiting;
static ag_traced some_at_once(ag_trace *t, const ag_traced x[]) {
    ag_traced root[1000], y = x[0];
    for (int i = 0; i < waiting; i++) root[i] = y = ag_trace_unary(t, AG_TRACE_SQRT, y);
    for (int i = 0; i < waiting; i++) y = ag_trace_binary(t, AG_TRACE_ADD, y, root[i]);
    return y;
}

START_TEST(values_that_wait) {
    enum { ROOM = 32 * 1024 / 64 }; /* groups of elements in scratch memory */
    int most = 0;
    ag_tensor *x = ag_ones(tape, AG_F32, AG_SHAPE(300));
    for (waiting = ROOM - 5; waiting <= ROOM + 5; waiting++) {
        ag_op op = {.name = "some", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .trace = {[AG_F32] = some_at_once}};
        ag_tensor *y = ag_apply(&op, 1, &x, NULL, 0);
        if (ag_is_nil(y)) {
            expect_error(tape, AG_ERR_RANGE, "some", "the trace is invalid");
        } else {
            ck_assert_int_eq(most, waiting == ROOM - 5 ? 0 : waiting - 1); /* nothing before it was refused */
            most = waiting;
            expect_same(y, ag_full(tape, AG_F32, AG_SHAPE(300), 1 + waiting));
        }
        ag_tape_free(tape), tape = ag_tape_new();
        x = ag_ones(tape, AG_F32, AG_SHAPE(300));
    }
    ck_assert(most > 0 && most < ROOM);
}
END_TEST

START_TEST(invalid_traces) {
    ag_trace_function *const wrong[] = {
        truth,         negative_truth, truth_in_product, chosen_by_number, truth_or_number,
        shifted_truth, bits_of_truth,  number_negated,   number_and_truth, rare_by_number,
        beyond,        no_attribute,   too_many,         all_at_once};
    ag_op op = {.name = "wrong", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .trace = {[AG_F32] = wrong[_i]}};
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(2, 3), 1), *y = ag_apply(&op, 1, &x, NULL, 0);
    ck_assert(ag_is_nil(y));
    expect_error(tape, AG_ERR_RANGE, "wrong: x f32 (2,3): of f32 there is no kernel, and the trace is invalid");
    op.block[AG_F32] = kernel_op.block[AG_F32];
    if (tape->avx2) ck_assert(!ag_is_nil(ag_apply(&op, 1, &x, NULL, 0))); /* without, the kernel is not used */
    expect_ok(tape);
}
END_TEST

static ag_traced root(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_SQRT, x[0]); }
static ag_traced half(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_MUL, x[0], ag_trace_number(t, 0.5));
}
static ag_traced too_large(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_ADD, x[0], ag_trace_number(t, 0x1p63));
}
static ag_traced product(ag_trace *t, const ag_traced x[]) { return ag_trace_fma(t, x[0], x[0], x[0]); }
static ag_traced shifted(ag_trace *t, const ag_traced x[]) { return ag_trace_shift(t, x[0], 1); }

START_TEST(invalid_traces_of_whole_numbers) {
    ag_trace_function *const wrong[] = {root, half, too_large, product, shifted};
    const ag_op op = {.name = "wrong", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .trace = {[AG_I64] = wrong[_i]}};
    ag_tensor *x = ag_arange(tape, AG_I64, 3);
    ck_assert(ag_is_nil(ag_apply(&op, 1, &x, NULL, 0)));
    expect_error(tape, AG_ERR_RANGE, "wrong: x i64 (3): of i64 there is no kernel, and the trace is invalid");
}
END_TEST

START_TEST(other_dtypes) {
    ag_tensor *x = scattered(tape, AG_I64, AG_SHAPE(3), 1);
    soft(x);
    expect_error(tape, AG_ERR_DTYPE, "soft", "the dtype i64 is not supported");
    const ag_op none = {.name = "none", .kind = AG_KIND_ELEMENTWISE, .arity = 1};
    ag_apply(&none, 1, &x, NULL, 0);
    expect_error(tape, AG_ERR_DTYPE, "none", "the dtype i64 is not supported");
}
END_TEST

static ag_status program(ag_tape *t) {
    ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(40, 50), 1), *y = soft(ag_sum_over(x, AG_AXES(1), false));
    const double p = 1;
    ag_tensor *z = ag_apply(&above_op, 1, &y, &p, sizeof p);
    ag_item(ag_sum(ag_mul(z, soft(y))));
    return ag_tape_status(t);
}

START_TEST(without_memory) { with_each_allocation_failing(program); }
END_TEST

/* The trace is recorded once for each dtype, whatever the number of calls. */
static int recorded;
static ag_traced counted(ag_trace *t, const ag_traced x[]) { return recorded++, ag_trace_unary(t, AG_TRACE_NEG, x[0]); }

START_TEST(recorded_once) {
    const ag_op op = {
        .name = "counted", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .trace = {[AG_F32] = counted, [AG_F64] = counted}};
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    for (int i = 0; i < 10; i++) {
        ag_tensor *x = scattered(tape, i % 2 ? AG_F32 : AG_F64, AG_SHAPE(3), 1);
        ck_assert_double_eq(ag_element(ag_apply(&op, 1, &x, NULL, 0), 0), -ag_element(x, 0));
    }
    ck_assert_int_eq(recorded, 2);
    ag_tape_set_evaluator(tape, AG_EVALUATOR_AUTOMATIC); /* a single large node becomes machine code */
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(AG__AT_ONCE), 1);
    ck_assert_double_eq(ag_element(ag_apply(&op, 1, &x, NULL, 0), 0), -ag_element(x, 0));
    ck_assert_msg(!tape->isa || recorded > 2, "no machine code of one node");
}
END_TEST

/* ---- The library's are made once for all tapes ---- */

static int64_t allocations_of(ag_tensor *(*f)(ag_tensor *a, ag_tensor *b)) {
    ag_tape *t = ag_tape_new();
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(AG__FEW - 1), 1); /* too few for a plan */
    ag_data(f(x, x));
    expect_ok(t);
    const int64_t n = ag_tape_memory(t).allocations;
    ag_tape_free(t);
    return n;
}

START_TEST(made_once) {
    allocations_of(ag_lbeta), allocations_of(ag_add); /* both are replayed where there are no kernels */
    ck_assert_int_eq(allocations_of(ag_lbeta), allocations_of(ag_add));
}
END_TEST

/* Elementwise operations of f64 that have no kernel, each on its own tape, summed up. */
static void sums_of_all(double *sum) {
    for (int i = 0; i < ag_op_count(); i++) {
        const ag_op *op = ag_op_at(i);
        if (op->kind != AG_KIND_ELEMENTWISE || op->block[AG_F64] || !op->trace[AG_F64] || op->infer ||
            op->attribute_bytes || op->arity > 2)
            continue;
        const double values[] = {.3, .7, .2};
        ag_tape *t = ag_tape_new();
        ag_tensor *x = ag_from(t, AG_F64, AG_SHAPE(3), values),
                  *y = ag_apply(op, op->arity, (ag_tensor *[]){x, x}, NULL, 0);
        sum[i] = ag_item(ag_sum(ag_cast(y, AG_F64)));
        if (ag_tape_status(t) != AG_OK) sum[i] = -1e300;
        ag_tape_free(t);
    }
}

enum { MOST_OPS = 2000, THREADS = 4 };

static void *sums_in_thread(void *sum) { return sums_of_all(sum), NULL; }

/* All at once, in a process that has made none of them. */
START_TEST(made_by_threads) {
    static double sum[THREADS + 1][MOST_OPS];
    pthread_t thread[THREADS];
    ck_assert_int_le(ag_op_count(), MOST_OPS);
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, sums_in_thread, sum[i]), 0);
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    sums_of_all(sum[THREADS]);
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < ag_op_count(); k++) {
            ck_assert_msg(memcmp(&sum[i][k], &sum[THREADS][k], sizeof **sum) == 0, "%s", ag_op_at(k)->name);
            ck_assert_msg(sum[i][k] != -1e300, "%s", ag_op_at(k)->name);
        }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("replay");
    TCase *group = tape_group(suite, "values");
    tcase_add_loop_test(group, as_kernels, 0, 12);
    tcase_add_test(group, strided_inputs);
    tcase_add_test(group, gradients);
    tcase_add_test(group, values_that_do_not_vary);
    tcase_add_test(group, bits_of_whole_numbers);
    tcase_add_test(group, truths_of_another_width);
    tcase_add_test(group, recorded_once);
    group = tape_group(suite, "refused");
    tcase_add_loop_test(group, invalid_traces, 0, 14);
    tcase_add_test(group, values_that_wait);
    tcase_add_loop_test(group, invalid_traces_of_whole_numbers, 0, 5);
    tcase_add_test(group, other_dtypes);
    group = plain_group(suite, "memory");
    tcase_add_test(group, without_memory);
    tcase_add_test(group, made_once);
    tcase_add_test(group, made_by_threads);
    return run_suite(suite);
}
