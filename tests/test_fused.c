/* test_fused -- the fused evaluator's division of work, seen in a profile: the sweeps, their operations, and their
 * memory traffic
 *
 * Values are tested by test_random. */
#include "autograd/eval/chunk.h"
#include "autograd/eval/plan.h"
#include "autograd/eval/stream.h"
#include "nn/nn.h"
#include "tests/support.h"

#include <math.h>
#include <string.h>

/* ---- The profile ---- */

typedef struct work {
    int regions, products, operations;
    int64_t nodes, written;
} work;

static work evaluated(int n, ag_tensor *const y[]) {
    work w = {0};
    ag_profile_start(tape);
    ck_assert_int_eq(ag_eval_all(n, y), AG_OK);
    ag_profile_stop(tape);
    for (int i = 0; i < ag_profile_count(tape); i++) {
        ag_profile_entry e = ag_profile_at(tape, i);
        if (e.kind < AG_PROFILE_REGION) continue;
        *(e.kind == AG_PROFILE_REGION    ? &w.regions
          : e.kind == AG_PROFILE_PRODUCT ? &w.products
                                         : &w.operations) += (int)e.calls;
        w.nodes += e.nodes;
        w.written += e.bytes_written;
    }
    return w;
}

/* The first call in a test chooses the evaluator. */
static ag_tensor *matrix(int64_t rows, int64_t columns, int seed) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    return scattered(tape, AG_F32, AG_SHAPE(rows, columns), (uint64_t)seed * 1000);
}

/* ---- Regions ---- */

START_TEST(a_chain_is_one_sweep) {
    ag_tensor *x = matrix(40, 50, 1), *y = ag_tanh(ag_add_scalar(ag_mul(ag_scale(x, 2), x), 1));
    work w = evaluated(1, &y);
    ck_assert_int_eq(w.regions, 1);
    ck_assert_int_eq(w.operations, 0);
    ck_assert_int_eq(w.written, 40 * 50 * 4);
}
END_TEST

START_TEST(softmax_is_one_sweep_with_its_gradient) {
    ag_tensor *x = matrix(40, 300, 1), *g = matrix(40, 300, 2), *y = ag_softmax(x, 1), *all[2] = {y};
    ag_vjp(1, &y, &g, 1, &x, &all[1], 0);
    work w = evaluated(2, all);
    ck_assert_int_eq(w.regions, 1);
    ck_assert_int_le(w.written, 2 * 40 * 300 * 4 + 40 * 4);
}
END_TEST

START_TEST(so_is_softmax_over_a_middle_axis) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    for (int64_t inner = 10; inner <= 200; inner += 95) {
        ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(40, 40, inner), 1), *y = ag_softmax(x, 1), *all[2] = {y};
        ag_tensor *g = scattered(tape, AG_F32, AG_SHAPE(40, 40, inner), 2);
        ag_vjp(1, &y, &g, 1, &x, &all[1], 0);
        work w = evaluated(2, all);
        ck_assert_int_eq(w.regions, 1);
        ck_assert_int_le(w.written, 2 * 40 * 40 * inner * 4 + 40 * inner * 4);
    }
}
END_TEST

/* A region would gain nothing. */
START_TEST(a_fold_over_a_middle_axis_is_computed_alone) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *y = ag_sum_over(scattered(tape, AG_F32, AG_SHAPE(4, 40, 100), 1), AG_AXES(1), true);
    ck_assert_int_eq(evaluated(1, &y).operations, 1);
}
END_TEST

/* Every second sweep needs the result of the one before: mean, variance, the slopes of both. */
START_TEST(batchnorm_takes_five_sweeps) {
    ag_tensor *z = matrix(500, 300, 1), *g = matrix(500, 300, 2), *dz;
    ag_tensor *centred = ag_sub(z, ag_mean_over(z, AG_AXES(0), true));
    ag_tensor *variance = ag_mean_over(ag_square(centred), AG_AXES(0), true);
    ag_tensor *y = ag_mul(centred, ag_rsqrt(ag_add_scalar(variance, 1e-5)));
    ag_vjp(1, &y, &g, 1, &z, &dz, 0);
    work w = evaluated(2, (ag_tensor *[]){y, dz});
    int sweeps = 0;
    for (int i = 0; i < ag_profile_count(tape); i++)
        if (ag_profile_at(tape, i).elements == 500 * 300) sweeps += (int)ag_profile_at(tape, i).calls;
    ck_assert_int_le(sweeps, 5);
    ck_assert_int_lt(w.written, 3 * 500 * 300 * 4);
}
END_TEST

/* With a shift behind it: the slope of the mean is then made of sums that are there already. */
START_TEST(batchnorm_with_a_shift_takes_four_sweeps) {
    ag_tensor *z = matrix(500, 300, 1), *g = matrix(500, 300, 2), *b = matrix(1, 300, 3), *c = matrix(1, 300, 4), *d[3];
    ag_tensor *centred = ag_sub(z, ag_mean_over(z, AG_AXES(0), true));
    ag_tensor *variance = ag_mean_over(ag_square(centred), AG_AXES(0), true);
    ag_tensor *y = ag_add(ag_mul(ag_mul(centred, ag_rsqrt(ag_add_scalar(variance, 1e-5))), c), b);
    ag_vjp(1, &y, &g, 3, (ag_tensor *[]){z, c, b}, d, 0);
    evaluated(4, (ag_tensor *[]){y, d[0], d[1], d[2]});
    int sweeps = 0;
    for (int i = 0; i < ag_profile_count(tape); i++)
        if (ag_profile_at(tape, i).elements == 500 * 300) sweeps += (int)ag_profile_at(tape, i).calls;
    ck_assert_int_eq(sweeps, 4);
}
END_TEST

/* The sums of the backward pass do not wait for the variance: one sweep for the mean, one for all other sums, and one for
 * the results. */
START_TEST(batchnorm_as_a_layer_takes_three_sweeps) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_batchnorm norm;
    ag_batchnorm_init(&norm, tape, AG_F32, 300);
    ag_tensor *z = matrix(500, 300, 1), *g = matrix(500, 300, 2), *y = ag_batchnorm_apply(&norm, z, true), *d[3];
    ag_vjp(1, &y, &g, 3, (ag_tensor *[]){z, norm.gamma, norm.beta}, d, 0);
    work w = evaluated(4, (ag_tensor *[]){y, d[0], d[1], d[2]});
    int sweeps = 0;
    for (int i = 0; i < ag_profile_count(tape); i++)
        if (ag_profile_at(tape, i).elements == 500 * 300) sweeps += (int)ag_profile_at(tape, i).calls;
    ck_assert_int_eq(sweeps, 3);
    ck_assert_int_lt(w.written, 2 * 500 * 300 * 4 + 30 * 300 * 4);
}
END_TEST

/* Large operations with nothing in common run one after the other. */
START_TEST(only_what_belongs_together_is_one_large_sweep) {
    for (int large = 0; large < 2; large++) {
        int64_t rows = large ? 300 : 30;
        ag_tensor *x = matrix(rows, 200, 1), *z = matrix(rows, 200, 2), *c = matrix(1, 200, 3);
        ag_tensor *of_x = ag_exp(ag_mul(x, c)), *of_z = ag_tanh(ag_add(z, c)), *sum = ag_sum_over(z, AG_AXES(1), true);
        work w = evaluated(4, (ag_tensor *[]){of_x, of_z, ag_sub(z, sum), ag_neg(x)});
        ck_assert_int_eq(w.regions, 1 + large);
        expect_same(of_x, ag_exp(ag_mul(x, c)));
    }
}
END_TEST

/* Random graphs over three large matrices, more or less connected. */
START_TEST(large_graphs_agree_with_the_reference) {
    enum { NODES = 40, LEAVES = 3 };
    uint64_t draw = (uint64_t)_i * 1000;
    ag_tensor *all[2][NODES];
    for (int fused = 0; fused < 2; fused++) {
        uint64_t at = draw;
        for (int i = 0; i < NODES; i++) {
            int a = (int)fabs(scatter(at++) * 1e6) % (i + 1), b = (int)fabs(scatter(at++) * 1e6) % (i + 1);
            ag_tensor **t = all[fused], *x = t[a < i ? a : 0],
                      *y = t[b < i && b % LEAVES == a % LEAVES ? b : a % LEAVES];
            int what = (int)fabs(scatter(at++) * 1e6) % 7;
            t[i] = i < LEAVES  ? matrix(170, 200, i + 1)
                   : what == 0 ? ag_sub(x, ag_max_over(x, AG_AXES(1), true))
                   : what == 1 ? ag_mul(ag_sum_over(y, AG_AXES(0), true), x)
                   : what == 2 ? ag_tanh(ag_transpose(ag_transpose(x, 0, 1), 0, 1))
                   : what == 3 ? ag_exp(ag_neg(ag_abs(x)))
                   : what == 4 ? ag_sub(x, y)
                   : what == 5 ? ag_minimum(x, y)
                               : ag_tanh(ag_mul(x, y));
        }
        ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        ck_assert_int_eq(ag_eval_all(12, all[fused] + NODES - 12), AG_OK);
    }
    for (int i = NODES - 12; i < NODES; i++) expect_same(all[1][i], all[0][i]);
}
END_TEST

/* A region over the rows' elements may rematerialise a value of one element a row, but as one element a row. */
START_TEST(a_value_for_each_row_is_not_taken_for_one_of_each_element) {
    static const int64_t columns[] = {2, 4, 8, 300};
    ag_dtype dtype = _i / 4 % 2 ? AG_F64 : AG_F32;
    int64_t rows = 4097;
    ag_tensor *d[2];
    for (int fused = 0; fused < 2; fused++) {
        ag_tensor *w = scattered(tape, dtype, _i < 8 ? AG_SHAPE(rows, 1) : AG_SHAPE(rows), 0), *y;
        ag_tensor *a = scattered(tape, dtype, AG_SHAPE(rows, columns[_i % 4]), 5000);
        y = ag_add(ag_sum(ag_square(w)), ag_sum(ag_mul(_i < 8 ? w : ag_unsqueeze(w, 1), a)));
        ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        ag_vjp(1, &y, NULL, 1, &w, &d[fused], 0);
        ck_assert_int_eq(ag_eval(d[fused]), AG_OK);
    }
    expect_same(d[1], d[0]);
}
END_TEST

/* The same for the first elements of a value, if there are as many as rows. */
START_TEST(first_elements_are_not_taken_for_rows) {
    ag_tensor *y[2];
    for (int fused = 0; fused < 2; fused++) {
        int64_t rows = 3000, columns = 32;
        ag_tensor *twice = ag_scale(matrix(rows, columns, 1), 2);
        ag_tensor *z = ag_mul(twice, ag_sum_over(twice, AG_AXES(0), true));
        ag_tensor *part = ag_slice(ag_reshape(twice, AG_SHAPE(-1)), 0, 0, rows, 1);
        y[fused] = ag_add(ag_sum_over(z, AG_AXES(1), false), part);
        ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        ck_assert_int_eq(ag_eval(y[fused]), AG_OK);
    }
    expect_same(y[1], y[0]);
}
END_TEST

/* The sum of everything has another order in a region of rows than in one without. If it were released and computed
 * again, no element would equal its maximum. */
START_TEST(a_sum_of_everything_is_computed_once) {
    ag_tensor *d[2];
    for (int fused = 0; fused < 2; fused++) {
        ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(3000, 20), (uint64_t)_i * 70000), *b = matrix(1, 20, 3);
        ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        ag_tensor *e = ag_exp(x), *most = ag_max_over(ag_mean(e), (ag_axes){0}, true);
        ck_assert_int_eq(ag_eval(most), AG_OK);
        ag_tensor *y = ag_add(ag_mul(e, b), most);
        ag_grad(ag_sum(y), 1, &x, &d[fused]);
        ck_assert_int_eq(ag_eval_all(2, (ag_tensor *[]){y, d[fused]}), AG_OK);
    }
    const float *got = ag_data(d[1]), *want = ag_data(d[0]);
    for (int i = 0; i < 60000; i++) ck_assert_double_lt(fabs((double)got[i] - (double)want[i]), 1e-5);
}
END_TEST

/* Rows that are interleaved read a tensor that is broadcast over some of the axes before, in and after the columns: the
 * second operand has the extents of the first, or 1. */
START_TEST(interleaved_rows_read_what_is_broadcast_over_some_axes) {
    enum { AXES = 5 };
    static const int64_t all[][AXES] = {{3, 5, 7, 2, 10}, {2, 9, 12, 4, 16}, {4, 3, 5, 1, 70}, {2, 2, 300, 3, 5}};
    const ag_dtype dtype = _i % 2 ? AG_F64 : AG_F32;
    const int64_t *extent = all[_i / 2];
    for (int ones = 0; ones < 1 << AXES; ones++) {
        ag_shape shape = {AXES, {extent[0], extent[1], extent[2], extent[3], extent[4]}}, some = shape;
        for (int i = 0; i < AXES; i++)
            if (ones >> i & 1) some.extent[i] = 1;
        ag_tensor *x = ag_keep(ag_uniform(tape, dtype, shape, -1, 1)),
                  *b = ag_keep(ag_uniform(tape, dtype, some, -1, 1));
        ag_tensor *y[2], *d[2];
        ck_assert_int_eq(ag_eval(x) + ag_eval(b), AG_OK);
        for (int k = 0; k < 2; k++) {
            ag_tape_set_evaluator(tape, k ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
            y[k] = ag_softmax(ag_mul(x, b), 2);
            ck_assert_int_eq(ag_grad(ag_sum(ag_square(y[k])), 1, &x, &d[k]), AG_OK);
            ck_assert_int_eq(ag_eval_all(2, (ag_tensor *[]){y[k], d[k]}), AG_OK);
        }
        expect_same(y[0], y[1]);
        expect_same(d[0], d[1]);
    }
}
END_TEST

/* Rows that are wider than the first cache, with what goes down the columns, are computed part by part: the same bits,
 * with any number of rows and of threads. */
START_TEST(parts_of_wide_rows_are_as_whole_rows) {
    static const int64_t rows[] = {1, 15, 16, 17, 80};
    static const int64_t columns[] = {AG__LONG_ROW / 4, 1000, 1024, 1030, 2048, 2049, 4096, 4100, 9000};
    enum { COLUMNS = sizeof columns / sizeof *columns, WAYS = 3 };
    const ag_dtype dtype = _i % 2 ? AG_F64 : AG_F32;
    const int64_t n = rows[_i / 2 / COLUMNS], m = columns[_i / 2 % COLUMNS];
    ag_tensor *y[WAYS], *d[WAYS][3], *x[3], *mean;
    x[0] = ag_keep(ag_uniform(tape, dtype, AG_SHAPE(n, m), -1, 1));
    x[1] = ag_keep(ag_uniform(tape, dtype, AG_SHAPE(m), 1, 2));
    x[2] = ag_keep(ag_uniform(tape, dtype, AG_SHAPE(m), -1, 1));
    ck_assert_int_eq(ag_eval_all(3, x), AG_OK);
    for (int k = 0; k < WAYS; k++) {
        ag_tape_set_evaluator(tape, k ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        ag_tape_set_threads(tape, k ? k : 1);
        mean = ag_mean_over(x[0], AG_AXES(0), true);
        y[k] = ag_add(ag_mul(ag_square(ag_sub(x[0], mean)), x[1]), x[2]);
        ck_assert_int_eq(ag_grad(ag_sum(ag_mul(y[k], y[k])), 3, x, d[k]), AG_OK);
        ck_assert_int_eq(ag_eval_all(4, (ag_tensor *[]){y[k], d[k][0], d[k][1], d[k][2]}), AG_OK);
    }
    for (int k = 1; k < WAYS; k++) {
        expect_same(y[0], y[k]);
        for (int i = 0; i < 3; i++) expect_same(d[0][i], d[k][i]);
    }
}
END_TEST

/* Slices of matrices, also with their rows in another order, are read where they are; and a variable is not written over
 * while rows of it are still to be read. */
START_TEST(slices_are_read_where_they_are) {
    static const int64_t rows[] = {1, 2, 17}, columns[] = {100, 130, 250, 300, 1024, 2048, 4100};
    enum { COLUMNS = sizeof columns / sizeof *columns, WAYS = 3, RESULTS = 5 };
    const ag_dtype dtype = _i % 2 ? AG_F64 : AG_F32;
    const int64_t n = rows[_i / 2 / COLUMNS], m = columns[_i / 2 % COLUMNS];
    ag_tensor *x = ag_keep(ag_uniform(tape, dtype, AG_SHAPE(n, 2 * m + 3), -1, 1)), *y[WAYS][RESULTS];
    ck_assert_int_eq(ag_eval(x), AG_OK);
    for (int k = 0; k < WAYS; k++) {
        ag_tape_set_evaluator(tape, k ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        ag_tape_set_threads(tape, k ? k : 1);
        ag_tensor *a = ag_slice(x, 1, 0, m, 1), *b = ag_slice(x, 1, m + 1, 2 * m + 1, 1), *c = ag_flip(a, 0);
        ag_tensor *v = ag_variable_from(ag_slice(x, 1, 3, m + 3, 1)), **to = y[k];
        to[0] = ag_mul(ag_sub(b, a), ag_sigmoid(c));
        to[1] = ag_sum_over(ag_square(ag_add(c, b)), AG_AXES(0), false);
        to[2] = ag_sub(ag_mul(a, b), ag_max_over(b, AG_AXES(1), true));
        ck_assert_int_eq(ag_grad(ag_sum(ag_mul(to[0], to[2])), 1, &x, &to[3]), AG_OK);
        ck_assert_int_eq(ag_eval_all(4, to), AG_OK);
        ag_assign(v, ag_add(ag_mul(v, b), ag_flip(v, 0)));
        to[4] = ag_keep(ag_scale(v, 2));
        ck_assert_int_eq(ag_eval(to[4]), AG_OK);
    }
    for (int k = 1; k < WAYS; k++)
        for (int i = 0; i < RESULTS; i++) expect_same(y[0][i], y[k][i]);
}
END_TEST

/* A user's operation is fused like the library's. */
static void twice_f32(int64_t n, void *y_, const void *const x_[], const void *attributes) {
    (void)attributes;
    float *y = y_;
    const float *x = x_[0];
    for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];
}
static ag_tensor *twice_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_scale(g, 2); }
static const ag_op twice = {
    .name = "twice", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F32] = twice_f32}, .vjp = twice_vjp};

START_TEST(a_users_operation_fuses) {
    ag_tensor *x = matrix(30, 70, 1), *y = ag_exp(ag_apply(&twice, 1, (ag_tensor *[]){ag_neg(x)}, NULL, 0));
    work w = evaluated(1, &y);
    ck_assert_int_eq(w.regions + w.operations, 1);
    ck_assert_int_eq(w.written, 30 * 70 * 4);
}
END_TEST

/* ---- Past the caches ---- */

START_TEST(a_copy_past_the_caches_changes_nothing_else) {
    _Alignas(64) char from[512], to[512], wanted[512];
    for (size_t i = 0; i < sizeof from; i++) from[i] = (char)(i * 7 + 1);
    for (size_t begin = 0; begin < 130; begin++)
        for (size_t n = 0; n < 300; n++) {
            const char *x = from + (begin * 5 + n) % 67;
            memset(to, 0, sizeof to);
            memset(wanted, 0, sizeof wanted);
            memcpy(wanted + begin, x, n);
            ag__copy_past(to + begin, x, n, 0);
            ag__copied_past();
            ck_assert_mem_eq(to, wanted, sizeof to);
        }
}
END_TEST

static int sent_past, ran_backwards, by_kernels;

static int64_t no_time(void) { return 0; }
static void not_counted(ag_tape *t, int64_t nodes, int64_t since) { (void)t, (void)nodes, (void)since; }
static void node_not_counted(ag_tensor *t, int64_t since) { (void)t, (void)since; }

static void count_sent(const ag__chunk *c, const ag__plan *plan, const ag__plan_step *step, int64_t since) {
    (void)c, (void)since;
    if (step->kind != AG__STEP_REGION) return;
    const ag__region *r = &plan->regions.at[step->what];
    ran_backwards += r->backwards;
    sent_past += (int)r->streams;
    for (uint32_t k = 0; k < r->count; k++) {
        uint8_t does = plan->instructions.at[r->begin + k].does;
        sent_past += does == AG__PUT_PAST;
        by_kernels += does == AG__MAP;
    }
}

/* How many values are written past the caches while y is computed; 0 on a processor that cannot. */
static int sent_past_by(int n, ag_tensor *const y[]) {
    static const ag__observer observer = {.now = no_time,
                                          .computed = node_not_counted,
                                          .step = count_sent,
                                          .planned = not_counted,
                                          .evaluated = not_counted};
    sent_past = ran_backwards = by_kernels = 0;
    tape->observer = &observer;
    tape->profiling = true;
    ck_assert_int_eq(ag_eval_all(n, y), AG_OK);
    tape->profiling = false;
    tape->observer = NULL;
    return sent_past;
}

static ag_tensor *stored(ag_shape shape) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *x = ag_keep(ag_uniform(tape, AG_F32, shape, 0, 1));
    ck_assert_int_eq(ag_eval(x), AG_OK);
    return x;
}

START_TEST(what_more_than_the_caches_is_moved_with_is_sent_past_them) {
    int64_t n = AG__PAST_CACHES / (2 * (int64_t)sizeof(float)) - 1 + _i;
    ag_tensor *y = ag_tanh(ag_exp(stored(AG_SHAPE(n))));
    ck_assert_int_eq(sent_past_by(1, &y), _i >= 1 && ag__can_copy_past());
}
END_TEST

/* The result of a product is not read again, so its tanh is written over it. */
START_TEST(what_is_written_over_an_input_is_not_sent_past_the_caches) {
    int64_t rows = AG__PAST_CACHES / (2 * 64 * (int64_t)sizeof(float));
    ag_tensor *y = ag_tanh(ag_matmul(stored(AG_SHAPE(rows, 2)), stored(AG_SHAPE(2, 64))));
    ck_assert_int_eq(sent_past_by(1, &y), 0);
}
END_TEST

/* Two values of different sizes, each of which is read by a product: at once, or after the other one is computed. */
START_TEST(what_is_soon_read_is_not_sent_past_the_caches) {
    int64_t rows = AG__PAST_CACHES / 8 * 3 / (8 * (int64_t)sizeof(float));
    ag_tensor *x[2] = {stored(AG_SHAPE(rows, 8)), stored(AG_SHAPE(rows + 1, 8))}, *w = stored(AG_SHAPE(8, 1)), *y[2],
              *z[2];
    for (int i = 0; i < 2; i++) {
        y[i] = ag_tanh(x[i]);
        if (_i == 0) z[i] = ag_matmul(y[i], w);
    }
    for (int i = 0; i < 2 && _i == 1; i++) z[i] = ag_matmul(y[i], w);
    ck_assert_int_eq(sent_past_by(2, z), _i == 1 && ag__can_copy_past() ? 2 : 0);
}
END_TEST

/* Three sweeps over x: the second begins where the first has ended, and the third where the second has. */
START_TEST(sweeps_over_one_value_alternate) {
    int64_t rows = AG__PAST_LEAST / (64 * (int64_t)sizeof(float)) - 1 + _i;
    ag_tensor *x = stored(AG_SHAPE(rows, 64)), *centred = ag_sub(x, ag_mean_over(x, AG_AXES(0), true));
    ag_tensor *y = ag_div(centred, ag_mean_over(ag_square(centred), AG_AXES(0), true));
    sent_past_by(1, &y);
    ck_assert_int_eq(ran_backwards, _i);
}
END_TEST

/* Rows that begin within a line, several rows a strip, rows longer than a strip, and lines that machine code writes. */
START_TEST(what_is_sent_past_the_caches_arrives) {
    static const int64_t all_columns[] = {1000, 999, 4099, 17, 1024, 264, 4112, 16};
    const ag_dtype dtype = _i % 2 ? AG_F64 : AG_F32;
    const int64_t columns = all_columns[_i], bytes = dtype == AG_F64 ? 8 : 4;
    const int64_t rows = AG__PAST_CACHES / (2 * columns * bytes) + 3;
    ag_tensor *y[2], *x = scattered(tape, dtype, AG_SHAPE(rows, columns), 0);
    ag_tensor *c = scattered(tape, dtype, AG_SHAPE(columns), 5000);
    for (int fused = 0; fused < 2; fused++) {
        ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        y[fused] = ag_mul(ag_add(x, c), x);
        int sent = sent_past_by(1, &y[fused]);
        ck_assert_int_eq(sent, fused && ag__can_copy_past());
    }
    expect_same(y[1], y[0]);
}
END_TEST

/* Interleaved rows, of which a strip may have so few that it does not begin with a line. What is subtracted is stored,
 * because a gradient may need it. */
START_TEST(strips_within_a_line_arrive_too) {
    const ag_dtype dtype = _i % 2 ? AG_F64 : AG_F32;
    const int64_t inner = 8 << _i / 2, step = AG_TINY_LIMITS ? 1 : 19;
    for (int64_t columns = 2; columns < 40; columns += step) {
        const ag_mark mark = ag_tape_mark(tape);
        const int64_t groups = AG__PAST_CACHES / (columns * inner * 4) + 2;
        ag_tensor *x = ag_parameter_from(scattered(tape, dtype, AG_SHAPE(groups, columns, inner), 0)), *y[2], *dx[2];
        for (int fused = 0; fused < 2; fused++) {
            ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
            y[fused] = ag_var_over(x, AG_AXES(1), 0, false);
            ck_assert_int_eq(ag_eval(y[fused]), AG_OK);
            ag_grad(ag_sum(y[fused]), 1, &x, &dx[fused]);
            ck_assert_int_eq(ag_eval(dx[fused]), AG_OK);
        }
        expect_same(y[1], y[0]);
        expect_same(dx[1], dx[0]);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- Machine code for more than fits ---- */

/* So many values that all must wait, and then their sum, the last ones first. */
static ag_tensor *sum_of_waiting(ag_tensor *x, int n) {
    enum { MOST = 500 };
    ag_tensor *value[MOST], *sum = x;
    for (int i = 0; i < n; i++) value[i] = ag_add(x, ag_scalar(ag_tape_of(x), ag_dtype_of(x), i + .5));
    for (int i = n; i-- > 0;) sum = ag_scale(ag_add(sum, value[i]), i % 2 ? .5 : .75);
    return sum;
}

/* If registers and the frame do not suffice for all operations of a region, they are several pieces. */
START_TEST(operations_that_are_too_many_for_one_piece_of_code_are_several) {
    static const int waiting[] = {20, 100, 140, 200, 300, 500};
    const ag_dtype dtype = _i % 2 ? AG_F64 : AG_F32;
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *x = ag_keep(ag_uniform(tape, dtype, AG_SHAPE(AG__AT_ONCE + 7), -1, 1));
    ck_assert_int_eq(ag_eval(x), AG_OK);
    ag_tensor *y = sum_of_waiting(x, waiting[_i / 2]);
    sent_past_by(1, &y);
    if (tape->compile) ck_assert_int_le(by_kernels, 1); /* one that is left over */
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    expect_same(y, sum_of_waiting(x, waiting[_i / 2]));
}
END_TEST

/* ---- Nodes that are not computed ---- */

START_TEST(equal_nodes_are_computed_once) {
    ag_tensor *x = matrix(30, 40, 1), *y = ag_add(ag_exp(ag_neg(x)), ag_exp(ag_neg(x)));
    ck_assert_int_eq(evaluated(1, &y).nodes, 3);
}
END_TEST

/* A product of two that a later region needs is rematerialised, unless that reads elements that are far apart. */
static int64_t nodes_with(ag_tensor *x, ag_tensor *other) {
    ag_tensor *product = ag_mul(x, other), *y = ag_exp(ag_mul(product, ag_sum(product)));
    return evaluated(1, &y).nodes;
}

START_TEST(what_reads_a_transpose_is_not_computed_again) {
    enum { SIDE = 96, STORED = 4, TWICE = 5 };
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(SIDE, SIDE), 0);
    ag_tensor *wide = scattered(tape, AG_F64, AG_SHAPE(SIDE, 8 * SIDE), 7), *row = ag_slice(x, 0, 0, 1, 1);
    ck_assert_int_eq(nodes_with(x, ag_slice(wide, 1, 0, SIDE, 1)), TWICE);
    ck_assert_int_eq(nodes_with(x, ag_slice(wide, 1, 0, 2 * SIDE, 2)), TWICE);
    ck_assert_int_eq(nodes_with(x, ag_flip(x, 1)), TWICE);
    ck_assert_int_eq(nodes_with(x, ag_transpose(row, 0, 1)), TWICE);
    ck_assert_int_eq(nodes_with(x, ag_transpose(x, 0, 1)), STORED);
    ck_assert_int_eq(nodes_with(x, ag_slice(wide, 1, AG_END, AG_END, -8)), STORED);
}
END_TEST

START_TEST(what_changes_nothing_is_not_computed) {
    ag_tensor *x = matrix(30, 40, 1), *one = ag_ones(tape, AG_F32, AG_SHAPE(40)), *e = ag_exp(x);
    ag_tensor *y = ag_tanh(ag_neg(ag_neg(ag_scale(ag_mul(e, one), 1))));
    ck_assert_int_eq(evaluated(1, &y).nodes, 2);
}
END_TEST

START_TEST(zero_is_added_where_it_matters) {
    float minus_zero = -0.0f;
    ag_tensor *x = ag_from(tape, AG_F32, AG_SCALAR, &minus_zero);
    ck_assert(ag_item(ag_rdiv_scalar(1, ag_add_scalar(ag_neg(ag_neg(x)), 0))) > 0);
    ck_assert(ag_item(ag_rdiv_scalar(1, ag_neg(ag_neg(ag_scale(x, 1))))) < 0);
}
END_TEST

/* ---- Products ---- */

START_TEST(products_add_themselves_up) {
    ag_tensor *sum = ag_matmul(matrix(80, 90, 0), matrix(90, 70, 1));
    for (int i = 1; i < 5; i++) sum = ag_add(sum, ag_matmul(matrix(80, 90, 2 * i), matrix(90, 70, 2 * i + 1)));
    work w = evaluated(1, &sum);
    ck_assert_int_eq(w.products, 5);
    ck_assert_int_eq(w.regions, 0);
}
END_TEST

/* ---- Memory ---- */

/* A flag marks an addition, also a user's. */
static void plus_f32(int64_t n, void *y_, const void *const x_[], const void *attributes) {
    (void)attributes;
    float *y = y_;
    const float *a = x_[0], *b = x_[1];
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}
static void minus_f32(int64_t n, void *y_, const void *const x_[], const void *attributes) {
    (void)attributes;
    float *y = y_;
    const float *a = x_[0], *b = x_[1];
    for (int64_t i = 0; i < n; i++) y[i] = a[i] - b[i];
}
static void opposite_f32(int64_t n, void *y_, const void *const x_[], const void *attributes) {
    (void)attributes;
    float *y = y_;
    const float *x = x_[0];
    for (int64_t i = 0; i < n; i++) y[i] = -x[i];
}
static const ag_op plus[] = {
    {.name = "plus", .kind = AG_KIND_ELEMENTWISE, .arity = 2, .block = {[AG_F32] = plus_f32}, .flags = AG_OP_ADDS},
    {.name = "plus", .kind = AG_KIND_ELEMENTWISE, .arity = 2, .block = {[AG_F32] = plus_f32}}};

START_TEST(products_add_themselves_in_a_users_addition) {
    for (int i = 0; i < 2; i++) {
        ag_tensor *x[] = {ag_matmul(matrix(80, 90, 0), matrix(90, 70, 1)),
                          ag_matmul(matrix(80, 90, 2), matrix(90, 70, 3))};
        ag_tensor *sum = ag_apply(&plus[i], 2, x, NULL, 0);
        work w = evaluated(1, &sum);
        ck_assert_int_eq(w.products, 2);
        ck_assert_int_eq(w.regions, i);
    }
}
END_TEST

/* An impossible flag is ignored: here a bool's elements would be copied as those of f32. */
static void is_not_zero(int64_t n, void *y_, const void *const x_[], const void *attributes) {
    (void)attributes;
    bool *y = y_;
    const float *x = x_[0];
    for (int64_t i = 0; i < n; i++) y[i] = x[i] < 0 || x[i] > 0;
}
static const ag_op no_copy = {.name = "no_copy",
                              .kind = AG_KIND_ELEMENTWISE,
                              .arity = 1,
                              .block = {[AG_F32] = is_not_zero},
                              .flags = AG_OP_PREDICATE | AG_OP_COPIES | AG_OP_NOT_DIFFERENTIABLE};

START_TEST(a_flag_that_cannot_be_true_is_not_believed) {
    ag_tensor *x = ag_transpose(matrix(30, 40, 1), 0, 1), *y = ag_apply(&no_copy, 1, &x, NULL, 0);
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    ck_assert_int_eq(ag_dtype_of(y), AG_BOOL);
    for (int64_t i = 0; i < 1200; i++) ck_assert(ag_element(y, i) == (ag_element(x, i) != 0));
}
END_TEST

/* An involution is one for equal attributes, and of one input; an identity element is compared with an attribute that is
 * there. */
static void from_number_f32(int64_t n, void *y_, const void *const x_[], const void *attributes) {
    const float *x = x_[0], number = attributes ? (float)*(const double *)attributes : 0;
    float *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] = number - x[i];
}
static const ag_op from_number = {.name = "from_number",
                                  .kind = AG_KIND_ELEMENTWISE,
                                  .arity = 1,
                                  .attribute_bytes = sizeof(double),
                                  .block = {[AG_F32] = from_number_f32},
                                  .flags = AG_OP_INVOLUTION};
static const ag_op minus = {.name = "minus",
                            .kind = AG_KIND_ELEMENTWISE,
                            .arity = 2,
                            .block = {[AG_F32] = minus_f32},
                            .flags = AG_OP_INVOLUTION};
static const ag_op nothing_neutral = {.name = "nothing_neutral",
                                      .kind = AG_KIND_ELEMENTWISE,
                                      .arity = 1,
                                      .block = {[AG_F32] = opposite_f32},
                                      .flags = AG_OP_NEUTRAL};
static const ag_op nothing_constant = {.name = "nothing_constant",
                                       .kind = AG_KIND_ELEMENTWISE,
                                       .arity = 1,
                                       .block = {[AG_F32] = opposite_f32},
                                       .flags = AG_OP_CONSTANT};

START_TEST(flags_need_what_they_are_about) {
    ag_tensor *x = matrix(30, 40, 1), *y = x, *z = x;
    for (double number = 1; number < 4; number++) y = ag_apply(&from_number, 1, &y, &number, sizeof number);
    for (int i = 0; i < 2; i++) z = ag_apply(&minus, 2, (ag_tensor *[]){z, x}, NULL, 0);
    ag_tensor *w = ag_apply(&nothing_neutral, 1, &x, NULL, 0);
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ck_assert_int_eq(ag_eval_all(3, (ag_tensor *[]){y, z, w}), AG_OK);
    for (int64_t i = 0; i < 1200; i++) {
        float e = (float)ag_element(x, i);
        ck_assert(ag_element(y, i) == (double)(3 - (2 - (1 - e))));
        ck_assert(ag_element(z, i) == (double)(e - e - e) && ag_element(w, i) == (double)-e);
    }
    ag_apply(&nothing_constant, 1, &x, NULL, 0);
    expect_error(tape, AG_ERR_RANGE, "nothing_constant", "0 bytes: at least 8 are wanted");
}
END_TEST

START_TEST(a_new_value_takes_the_place_of_its_gradient) {
    enum { N = 100 * 1000 };
    ag_tensor *w = NULL, *x = matrix(1000, 20, 1), *dw;
    w = ag_parameter_from(ag_full(tape, AG_F32, AG_SHAPE(100, 1000), 1));
    ag_mark mark = ag_tape_mark(tape);
    int64_t most = 0;
    for (int i = 0; i < 5; i++) {
        ag_tensor *loss = ag_sum(ag_matmul(w, x));
        ag_grad(loss, 1, &w, &dw);
        ag_assign(w, ag_sub(w, ag_scale(dw, 1e-3)));
        ag_item(loss);
        most = ag_tape_memory(tape).live;
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_lt(most, 3 * N * 4); /* the old value and the new one, rounded up, and small blocks */
}
END_TEST

/* x·2 is stored for the product alone: the sum computes it again. */
START_TEST(a_value_is_dropped_after_the_last_step_that_reads_it) {
    enum { N = 400 };
    ag_tensor *x = matrix(N, N, 1), *y = ag_scale(x, 2), *p = ag_matmul(y, matrix(N, 1, 2));
    const int64_t before = ag_tape_memory(tape).live;
    ag_tensor *z = ag_tanh(ag_add(y, p));
    ck_assert_int_eq(ag_eval(z), AG_OK);
    const int64_t most = ag_tape_memory(tape).peak_live - before;
    ck_assert_msg(most < (int64_t)(N * N * sizeof(float)) * 3 / 2, "%lld bytes", (long long)most);
}
END_TEST

/* A product and a view of it, which another operation reads as well; the region reads both. */
enum { SHOWN = 200, VIEWS = 7 };

static ag_tensor *view_of_product(ag_tensor *p, int way) {
    switch (way) {
    case 0: return ag_reshape(ag_reshape(p, AG_SHAPE(SHOWN * SHOWN)), AG_SHAPE(SHOWN, SHOWN));
    case 1: return ag_transpose(p, 0, 1);
    case 2: return ag_flip(p, 0);
    case 3: return ag_broadcast_to(ag_slice(p, 0, 1, 2, 1), AG_SHAPE(SHOWN, SHOWN));
    case 4: return ag_broadcast_to(ag_slice(p, 1, 1, 2, 1), AG_SHAPE(SHOWN, SHOWN));
    case 5: return ag_broadcast_to(ag_slice(ag_slice(p, 1, 1, 2, 1), 0, 1, 2, 1), AG_SHAPE(SHOWN, SHOWN));
    default: return ag_reshape(ag_flip(ag_reshape(p, AG_SHAPE(SHOWN * SHOWN)), 0), AG_SHAPE(SHOWN, SHOWN));
    }
}

/* `first`: what the region reads first. */
static ag_tensor *of_product_and_view(ag_tensor *p, ag_tensor *view, bool first) {
    ag_tensor *most = ag_cast(ag_argmax_over(view, AG_ALL_AXES, false), AG_F32);
    ag_tensor *a = ag_mul(view, most), *b = ag_tanh(p);
    return first ? ag_add(ag_scale(a, 0.5), b) : ag_add(ag_exp(ag_scale(b, 0.5)), a);
}

START_TEST(a_value_that_is_shown_is_written_over_only_if_all_are_read_in_its_order) {
    const int way = _i / 4;
    ag_tensor *x = matrix(SHOWN, SHOWN, 1), *w = matrix(SHOWN, SHOWN, 2), *y[2], *view[2];
    for (int fused = 0; fused < 2; fused++) {
        ag_tape_set_evaluator(tape, fused ? AG_EVALUATOR_FUSED : AG_EVALUATOR_REFERENCE);
        ag_tape_set_threads(tape, 1 + 3 * fused * (way > 0)); /* each thread reads what it needs once by itself */
        ag_tensor *p = ag_matmul(x, w);
        view[fused] = view_of_product(p, way);
        y[fused] = of_product_and_view(p, view[fused], _i % 2);
        ag_tensor *asked[] = {y[fused], view[fused]};
        const int64_t before = ag_tape_memory(tape).live;
        ag_tape_reset_peaks(tape);
        ck_assert_int_eq(ag_eval_all(1 + _i / 2 % 2, asked), AG_OK);
        const double values = (double)(ag_tape_memory(tape).peak_live - before) / (SHOWN * SHOWN * sizeof(float));
        const bool over = fused && tape->compile && way == 0 && _i / 2 % 2 == 0; /* a kernel sees its own operands */
        if (way == 0 && usual_pieces(1)) ck_assert_msg(over ? values < 1.5 : values > 1.9, "%g", values);
    }
    expect_same(y[0], y[1]);
    expect_same(view[0], view[1]);
}
END_TEST

/* ---- Variables ---- */

enum { SIDE = 150 };

static ag_tensor *variable(double value) {
    return ag_variable_from(ag_full(tape, AG_F64, AG_SHAPE(SIDE, SIDE), value));
}

static void expect_all(ag_tensor *x, double value) {
    const double *data = ag_data(x);
    for (int i = 0; i < SIDE * SIDE; i++) ck_assert_msg(data && data[i] == value, "%s", ag_tape_error(tape));
}

static ag_mark fused_mark(void) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    return ag_tape_mark(tape);
}

START_TEST(an_update_is_written_in_place) {
    on_one_thread(tape);
    ag_tensor *v = variable(1), *w = variable(2);
    ag_mark mark = fused_mark();
    for (int i = 0; i < 5; i++) {
        const void *before = ag_data(v);
        ag_tape_rewind(tape, mark);
        int64_t most = ag_tape_memory(tape).peak_live;
        ag_assign(v, ag_add_scalar(ag_scale(v, 2), 1));
        ag_assign(w, ag_sub(w, ag_mul(ag_exp(w), v)));
        ag_tape_rewind(tape, mark);
        ck_assert_ptr_eq(ag_data(v), before);
        if (i > 0) ck_assert_int_eq(ag_tape_memory(tape).peak_live, most);
    }
    expect_all(v, 63);
    expect_ok(tape);
}
END_TEST

/* Values read before the rewind are as if the update had been made at once. */
START_TEST(an_update_that_waits_is_not_seen_to_wait) {
    ag_tensor *v = variable(1);
    ag_mark mark = fused_mark();
    ag_tensor *old = ag_scale(v, 10), *sum = ag_sum(v);
    ag_assign(v, ag_add_scalar(v, 1));
    ck_assert_double_eq(ag_item(sum), SIDE * SIDE);
    ck_assert_double_eq(ag_item(ag_sum(v)), 2 * SIDE * SIDE);
    expect_all(old, 10);
    expect_all(v, 2);
    ag_assign(v, ag_add_scalar(v, 1));
    ck_assert_double_eq(ag_item(ag_mean(old)), 10);
    ag_assign(v, ag_scale(v, 2));
    ck_assert_double_eq(ag_element(v, 7), 6);
    ag_assign(v, ag_scale(v, 2));
    ck_assert_double_eq(ag_item(ag_mean(ag_variable_from(v))), 12);
    ag_tape_rewind(tape, mark);
    expect_all(v, 12);
    expect_ok(tape);
}
END_TEST

/* Nodes that stay on the tape keep the values that they were recorded with. */
START_TEST(what_stays_keeps_the_old_value) {
    ag_tensor *v = variable(3);
    ag_tensor *old = ag_scale(v, 10);
    ag_mark mark = fused_mark();
    ag_assign(v, ag_add_scalar(v, 1));
    ag_tape_rewind(tape, mark);
    expect_all(v, 4);
    expect_all(old, 30);
    ag_tensor *seen = ag_square(v);
    mark = ag_tape_mark(tape);
    expect_all(seen, 16);
    ag_assign(v, ag_add(v, seen));
    ag_assign(v, ag_scale(v, 2));
    ag_tape_rewind(tape, mark);
    expect_all(v, 40);
    expect_all(seen, 16);
    expect_ok(tape);
}
END_TEST

/* Every next value is computed from the old values, whichever is written first. */
START_TEST(variables_change_places) {
    ag_tensor *a = variable(1), *b = variable(2), *c = variable(4);
    ag_mark mark = fused_mark();
    for (int i = 0; i < 6; i++) {
        ag_tensor *sum = ag_add_scalar(ag_sum_over(c, AG_AXES(0), true), 0);
        ag_tensor *next[3] = {ag_scale(b, 1.5), ag_add(ag_scale(c, 0.5), ag_mul(a, sum)), ag_add(a, b)};
        ag_assign(a, next[0]), ag_assign(b, next[1]), ag_assign(c, next[2]);
        ag_tape_rewind(tape, mark);
    }
    double x = 1, y = 2, z = 4;
    for (int i = 0; i < 6; i++) {
        double next[3] = {1.5 * y, 0.5 * z + x * (z * SIDE), x + y};
        x = next[0], y = next[1], z = next[2];
    }
    expect_near(ag_mean(a), 1, &x, 100, 0);
    expect_near(ag_mean(b), 1, &y, 100, 0);
    expect_near(ag_mean(c), 1, &z, 100, 0);
}
END_TEST

START_TEST(a_transposed_variable_is_not_overwritten_while_it_is_read) {
    ag_tensor *v = ag_variable_from(ag_reshape(ag_arange(tape, AG_F64, SIDE * SIDE), AG_SHAPE(SIDE, SIDE)));
    ag_mark mark = fused_mark();
    for (int i = 0; i < 4; i++) {
        ag_assign(v, ag_add(ag_scale(v, 2), ag_transpose(v, 0, 1)));
        ag_tape_rewind(tape, mark);
    }
    const double *data = ag_data(v);
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) /* 3^k on the symmetric part, 1 on the other */
            ck_assert_double_eq(data[i * SIDE + j], 40.5 * (i + j) * (SIDE + 1) + 0.5 * (i - j) * (SIDE - 1));
}
END_TEST

/* More operations on tensors of this shape than one region takes. */
static ag_tensor *many(ag_tensor *x) {
    for (int i = 0; i < 1200; i++) x = ag_scale(x, 0.99);
    return x;
}

START_TEST(a_region_may_read_what_an_earlier_one_replaces) {
    ag_tensor *u = variable(1), *v = variable(1), *w = variable(0);
    ag_mark mark = fused_mark();
    ag_tensor *doubled = ag_scale(v, 2); /* computed by both */
    ag_assign(v, ag_add(v, doubled));
    ag_assign(u, many(u));
    ag_assign(w, ag_scale(doubled, 10));
    ag_tape_rewind(tape, mark);
    expect_all(v, 3);
    expect_all(w, 20);
}
END_TEST

START_TEST(equal_values_of_two_regions_are_not_overwritten) {
    ag_tensor *v = variable(4), *w = variable(0), *root = variable(0), *small = variable(0);
    ag_mark mark = fused_mark();
    ag_tensor *one = ag_sqrt(v), *other = ag_sqrt(v), *last = many(v);
    ag_assign(root, other);
    ag_assign(small, last);
    ag_assign(w, ag_add(one, ag_maximum_scalar(last, 1)));
    ag_tape_rewind(tape, mark);
    expect_all(root, 2);
    expect_all(w, 3);
}
END_TEST

START_TEST(a_value_that_others_hold_is_not_overwritten) {
    ag_tensor *v = variable(1), *w = variable(0);
    ag_tensor *before = ag_keep(ag_scale(v, 2));
    ag_assign(v, before);
    ag_mark mark = fused_mark();
    ag_tensor *sum = ag_sum(v); /* of a version that shows `before` */
    ag_assign(v, ag_add_scalar(v, 1));
    ck_assert_double_eq(ag_item(sum), 2 * SIDE * SIDE);
    ag_tape_rewind(tape, mark);
    expect_all(v, 3);
    expect_all(before, 2);
    ag_tensor *doubled = ag_scale(v, 2);
    ag_assign(v, doubled);
    sum = ag_sum(v);
    ag_assign(w, doubled);
    ag_assign(v, ag_add_scalar(v, 1));
    ck_assert_double_eq(ag_item(sum), 6 * SIDE * SIDE);
    ag_tape_rewind(tape, mark);
    expect_all(v, 7);
    expect_all(w, 6);
}
END_TEST

static int evaluations;

static bool count_evaluation(const ag_call *call) {
    evaluations++;
    memcpy(call->y.data, call->x[0].data, (size_t)call->y.size * sizeof(double));
    return true;
}

static bool as_input(ag_infer *r) { return r->n == 1; }

static const ag_op counted_op = {.name = "counted",
                                 .kind = AG_KIND_OPAQUE,
                                 .arity = 1,
                                 .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_CONTIGUOUS,
                                 .infer = as_input,
                                 .eval = count_evaluation};

/* An update that is read before the rewind is not computed again with it. */
START_TEST(an_update_that_was_looked_at_is_made_once) {
    ag_tensor *v = variable(1), *w = variable(1);
    ag_mark mark = fused_mark();
    ag_assign(v, ag_add(v, ag_apply(&counted_op, 1, &w, NULL, 0)));
    ck_assert_double_eq(ag_item(ag_sum(v)), 2 * SIDE * SIDE);
    ag_assign(w, ag_apply(&counted_op, 1, &w, NULL, 0));
    ck_assert_double_eq(ag_item(ag_sum(w)), SIDE * SIDE);
    ag_tape_rewind(tape, mark);
    expect_all(v, 2);
    ck_assert_int_eq(evaluations, 2);
}
END_TEST

/* ---- Weights' gradients that are computed as the weights are updated ---- */

enum { IN = 500, OUT = 300, BATCH = 40 };

typedef struct weights {
    ag_tensor *v[3], *moment; /* two of one shape, and one that another product leads to */
    const float *x;
    ag_mark mark;
} weights;

static weights weights_open(ag_tape *t) {
    weights w = {.x = NULL};
    for (int i = 0; i < 3; i++)
        w.v[i] =
            ag_parameter_from(scattered(t, AG_F32, i < 2 ? AG_SHAPE(IN, OUT) : AG_SHAPE(OUT, OUT), 7 * (uint64_t)i));
    w.moment = ag_variable_from(ag_zeros(t, AG_F32, AG_SHAPE(IN, OUT)));
    w.mark = ag_tape_mark(t);
    return w;
}

/* A loss of all three, with an infinite input where the cotangent is 0 if `wild`; its gradients are in dw. */
static ag_tensor *weights_loss(ag_tape *t, const weights *w, bool wild, ag_tensor *dw[3]) {
    ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(BATCH, IN), 99), *y[2];
    ag_tensor *where = ag_less(ag_reshape(ag_arange(t, AG_F32, BATCH), AG_SHAPE(BATCH, 1)), ag_scalar(t, AG_F32, 3));
    if (wild) x = ag_where(where, ag_scalar(t, AG_F32, INFINITY), x);
    for (int i = 0; i < 2; i++) y[i] = ag_where(where, ag_scalar(t, AG_F32, 1), ag_matmul(x, w->v[i]));
    ag_tensor *loss = ag_mean(ag_square(ag_matmul(ag_relu(ag_sub(y[0], y[1])), w->v[2])));
    ag_grad(loss, 3, w->v, dw);
    return loss;
}

/* One by plain descent, one by a moment that has two readers of the gradient, one with decay. */
static void weights_update(const weights *w, ag_tensor *const dw[3]) {
    ag_tensor *m = ag_add(ag_scale(w->moment, 0.5), dw[1]);
    ag_assign(w->v[0], ag_sub(w->v[0], ag_scale(dw[0], 0.01)));
    ag_assign_with(w->moment, m, w->v[0]);
    ag_assign_with(w->v[1], ag_sub(w->v[1], ag_scale(ag_add(m, ag_square(dw[1])), 0.01)), w->v[0]);
    ag_assign_with(w->v[2], ag_sub(w->v[2], ag_scale(ag_add(dw[2], ag_scale(w->v[2], 0.1)), 0.01)), w->v[0]);
}

static void train_weights(ag_tape *t, const weights *w, int way) {
    ag_tensor *dw[3];
    for (int i = 0; i < 3; i++) {
        ag_tensor *loss = weights_loss(t, w, way % 2, dw);
        weights_update(w, dw);
        ag_item(loss);
        if (way & 2) ag_data(dw[0]); /* then it is no longer deferred */
        if (way & 4) ag_data(w->v[1]);
        ag_tape_rewind(t, w->mark);
    }
}

START_TEST(weights_are_updated_as_by_the_reference) {
    ag_tape *other = ag_tape_new();
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tape_set_evaluator(other, AG_EVALUATOR_REFERENCE);
    ag_tape_set_threads(tape, 1 + _i % 2);
    weights w = weights_open(tape), right = weights_open(other);
    train_weights(tape, &w, _i / 2);
    train_weights(other, &right, _i / 2);
    for (int i = 0; i < 3; i++) expect_same(w.v[i], right.v[i]);
    expect_same(w.moment, right.moment);
    ag_tape_free(other);
}
END_TEST

/* Only what they are computed from waits for the rewind. */
START_TEST(large_gradients_are_never_stored) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tape_set_threads(tape, 1);
    weights w = weights_open(tape);
    const int64_t before = ag_tape_memory(tape).live;
    train_weights(tape, &w, 0);
    const int64_t most = ag_tape_memory(tape).peak_live - before, gradient = IN * OUT * sizeof(float);
    ck_assert_msg(most < gradient, "%lld bytes", (long long)most);
}
END_TEST

/* A step during whose rewind allocation k fails, and all after it; 0: none does. The weights' first elements, and
 * whether they are the next ones. */
static bool step_with_failure(ledger *l, int64_t k, bool wild, float first[3]) {
    ledger_open(l);
    ag_tape *t = ag_tape_new_with(&l->allocator);
    ag_tape_set_evaluator(t, AG_EVALUATOR_FUSED);
    weights w = weights_open(t);
    ag_tensor *dw[3], *loss = weights_loss(t, &w, wild, dw);
    weights_update(&w, dw);
    ag_item(loss);
    l->fail_at = k ? l->calls + k : 0;
    l->fail_for_good = k > 0;
    bool good = ag_tape_rewind(t, w.mark) == AG_OK;
    ck_assert(good || (l->failed && ag_tape_status(t) == AG_ERR_MEMORY));
    ag_clear_error(t);
    l->fail_for_good = false, l->fail_at = 0;
    for (int i = 0; i < 3; i++) first[i] = *(const float *)ag_data(w.v[i]);
    ag_tape_free(t);
    return good;
}

/* Whichever allocation of the rewind fails: none of the weights is updated, or all are. */
START_TEST(a_rewind_without_memory_updates_no_weight) {
    ledger l;
    float right[2][3], found[3];
    ck_assert(step_with_failure(&l, 0, _i, right[1]));
    ck_assert(!step_with_failure(&l, 1, _i, right[0]));
    bool good = false;
    for (int64_t k = 1; !good || l.failed; k++) {
        good = step_with_failure(&l, k, _i, found);
        for (int i = 0; i < 3; i++) ck_assert_float_eq(found[i], right[good][i]);
        ledger_close(&l);
    }
    for (int i = 0; i < 3; i++) ck_assert_float_ne(right[0][i], right[1][i]);
}
END_TEST

/* Without rewinds, a value that is never read is computed all the same, and its inputs are released. */
START_TEST(updates_do_not_pile_up) {
    ag_tensor *average = variable(1), *latest = variable(1), *last = latest, *one = ag_scalar(tape, AG_F64, 1);
    fused_mark();
    int64_t live = 0;
    for (int i = 0; i < 20; i++) {
        ag_tensor *next = ag_broadcast_to(ag_apply(&counted_op, 1, &one, NULL, 0), AG_SHAPE(SIDE, SIDE));
        next = ag_contiguous(ag_add(next, ag_transpose(ag_contiguous(next), 0, 1)));
        ag_assign(average, ag_add(ag_scale(average, 0.5), next));
        last = ag_add(ag_scale(last, 0.5), next);
        ag_assign(latest, last);
        ck_assert_double_eq(ag_item(ag_sum(one)), 1);
        if (i == 3) live = ag_tape_memory(tape).live;
    }
    ck_assert_int_le(ag_tape_memory(tape).live, live + 8 * SIDE * SIDE);
    expect_near(ag_mean(average), 1, (double[]){ag_item(ag_mean(latest))}, 0, 0);
}
END_TEST

/* The sum of n powers of v, which takes n strips of scratch memory. */
static ag_tensor *powers(ag_tensor *v, int n) {
    ag_tensor *power[32];
    for (int i = 0; i < n; i++) power[i] = ag_pow_scalar(v, i + 1.5);
    for (int i = 1; i < n; i++) power[0] = ag_add(power[0], power[i]);
    return power[0];
}

/* Either all of several updates are made or none, whichever allocation of the rewind fails. */
START_TEST(a_rewind_without_memory_changes_nothing) {
    ledger l = {.failed = true};
    for (int64_t k = 1; l.failed; k++) {
        ledger_open(&l);
        tape = ag_tape_new_with(&l.allocator);
        ag_tensor *v[4];
        for (int i = 0; i < 4; i++) v[i] = ag_variable_from(ag_full(tape, AG_F64, AG_SHAPE(2000, 1 + i), 1));
        ag_tensor *flipped = ag_variable_from(ag_arange(tape, AG_F64, 3000));
        ag_mark mark = fused_mark();
        for (int i = 0; i < 4; i++) ag_assign(v[i], ag_add(powers(v[i], 8 * i + 1), v[i]));
        ag_assign(flipped, ag_flip(flipped, 0));
        l.fail_at = l.calls + k;
        l.fail_for_good = true;
        bool good = ag_tape_rewind(tape, mark) == AG_OK;
        ck_assert(good || (l.failed && ag_tape_status(tape) == AG_ERR_MEMORY));
        ag_clear_error(tape);
        l.fail_for_good = false, l.fail_at = 0;
        for (int i = 0; i < 4; i++) ck_assert_double_eq(ag_item(ag_mean(v[i])), good ? 8 * i + 2 : 1);
        ag_tape_free(tape);
        ledger_close(&l);
    }
    tape = NULL;
}
END_TEST

/* The same if there are more operations than are planned together. */
START_TEST(a_long_rewind_without_memory_changes_nothing) {
    enum { LONG = 17000 };
    ledger l = {.failed = true};
    for (int64_t k = 1; l.failed; k += by_length(20, 3, 1)) {
        ledger_open(&l);
        tape = ag_tape_new_with(&l.allocator);
        ag_tensor *v = ag_variable_from(ag_ones(tape, AG_F64, AG_SHAPE(10)));
        ag_tensor *w = ag_variable_from(ag_ones(tape, AG_F64, AG_SHAPE(10)));
        ag_tensor *last = ag_variable_from(ag_ones(tape, AG_F64, AG_SHAPE(100 * 1000)));
        ag_square(last); /* stays, and may need the old value */
        ag_mark mark = fused_mark();
        ag_assign(v, ag_add_scalar(v, 1));
        ag_tensor *x = w;
        for (int i = 0; i < LONG; i++) x = ag_add_scalar(x, 1);
        ag_assign(w, x);
        ag_assign(last, ag_add_scalar(last, 1));
        l.fail_at = l.calls + k;
        l.fail_for_good = true;
        bool good = ag_tape_rewind(tape, mark) == AG_OK;
        ag_clear_error(tape);
        l.fail_for_good = false, l.fail_at = 0;
        ck_assert_double_eq(ag_element(v, 7), good ? 2 : 1);
        ck_assert_double_eq(ag_element(w, 7), good ? LONG + 1 : 1);
        ck_assert_double_eq(ag_element(last, 7), good ? 2 : 1);
        ag_tape_free(tape);
        ledger_close(&l);
    }
    tape = NULL;
}
END_TEST

/* A scattering, whatever its table is, may go on from a sum that is there: whole numbers have one result. */
START_TEST(scattered_onto_a_sum) {
    enum { M = 512, N = 256 }; /* enough work for a plan at first sight */
    const int64_t places[] = {M - 1, 0, M - 1};
    for (int kind = 0; kind < 3; kind++) {
        ag_tensor *x = ag_cast(ag_reshape(ag_arange(tape, AG_I64, M * N), AG_SHAPE(M, N)), AG_F64);
        ag_tensor *index = ag_reshape(ag_from(tape, AG_I64, AG_SHAPE(3), places), AG_SHAPE(3, 1));
        ag_tensor *table = ag_zeros(tape, AG_F64, AG_SHAPE(M, N));
        if (kind == 1) table = ag_scale(x, 3);
        if (kind == 2) table = ag_transpose(ag_scale(ag_reshape(x, AG_SHAPE(N, M)), 3), 0, 1);
        ag_tensor *product = ag_matmul(ag_cast(ag_eye(tape, AG_I64, M, M, 1), AG_F64), x); /* the next row */
        ag_tensor *y = ag_add(product, ag_scatter_add(table, index, ag_slice(x, 0, 0, 3, 1), 0));
        const double *got = ag_data(y);
        for (int r = 0; r < M; r++)
            for (int c = 0; c < N; c++) {
                double want = r < M - 1 ? (r + 1) * N + c : 0;
                want += kind == 0 ? 0 : kind == 1 ? 3 * (N * r + c) : 3 * (M * c + r);
                for (int k = 0; k < 3; k++) want += places[k] == r ? N * k + c : 0;
                if (got[N * r + c] != want) ck_abort_msg("%d: element (%d,%d) is %g", kind, r, c, got[N * r + c]);
            }
    }
    expect_ok(tape);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fused");
    TCase *regions = tape_group(suite, "regions");
    tcase_add_test(regions, a_chain_is_one_sweep);
    if (usual_pieces(1)) tcase_add_test(regions, softmax_is_one_sweep_with_its_gradient);
    if (usual_pieces(1)) tcase_add_test(regions, so_is_softmax_over_a_middle_axis);
    tcase_add_loop_test(regions, interleaved_rows_read_what_is_broadcast_over_some_axes, 0, 8);
    tcase_add_loop_test(regions, parts_of_wide_rows_are_as_whole_rows, 0, 90);
    tcase_add_loop_test(regions, slices_are_read_where_they_are, 0, 42);
    tcase_add_test(regions, a_fold_over_a_middle_axis_is_computed_alone);
    tcase_add_test(regions, batchnorm_takes_five_sweeps);
    if (usual_pieces(2)) {
        tcase_add_test(regions, batchnorm_with_a_shift_takes_four_sweeps);
        tcase_add_test(regions, batchnorm_as_a_layer_takes_three_sweeps);
    }
    tcase_add_test(regions, a_users_operation_fuses);
    if (usual_pieces(1)) tcase_add_test(regions, only_what_belongs_together_is_one_large_sweep);
    tcase_add_loop_test(regions, large_graphs_agree_with_the_reference, 0, 8);
    tcase_add_loop_test(regions, a_value_for_each_row_is_not_taken_for_one_of_each_element, 0, 12);
    tcase_add_loop_test(regions, a_sum_of_everything_is_computed_once, 0, 20);
    tcase_add_test(regions, first_elements_are_not_taken_for_rows);
    TCase *past = tape_group(suite, "past the caches");
    tcase_add_test(past, a_copy_past_the_caches_changes_nothing_else);
    tcase_add_loop_test(past, what_more_than_the_caches_is_moved_with_is_sent_past_them, 0, 2);
    tcase_add_test(past, what_is_written_over_an_input_is_not_sent_past_the_caches);
    if (usual_pieces(2)) tcase_add_loop_test(past, what_is_soon_read_is_not_sent_past_the_caches, 0, 2);
    if (usual_pieces(2)) tcase_add_loop_test(past, sweeps_over_one_value_alternate, 0, 2);
    tcase_add_loop_test(past, what_is_sent_past_the_caches_arrives, 0, 8);
    tcase_add_loop_test(past, strips_within_a_line_arrive_too, 0, 6);
    TCase *code = tape_group(suite, "code");
    tcase_add_loop_test(code, operations_that_are_too_many_for_one_piece_of_code_are_several, 0, 12);
    TCase *less = tape_group(suite, "not computed");
    tcase_add_test(less, equal_nodes_are_computed_once);
    tcase_add_test(less, what_reads_a_transpose_is_not_computed_again);
    tcase_add_test(less, what_changes_nothing_is_not_computed);
    tcase_add_test(less, zero_is_added_where_it_matters);
    TCase *rest = tape_group(suite, "products and memory");
    tcase_add_test(rest, products_add_themselves_up);
    tcase_add_test(rest, products_add_themselves_in_a_users_addition);
    tcase_add_test(rest, a_flag_that_cannot_be_true_is_not_believed);
    tcase_add_test(rest, flags_need_what_they_are_about);
    if (usual_pieces(1)) tcase_add_test(rest, a_value_is_dropped_after_the_last_step_that_reads_it);
    if (usual_pieces(4 * VIEWS))
        tcase_add_loop_test(rest, a_value_that_is_shown_is_written_over_only_if_all_are_read_in_its_order, 0,
                            4 * VIEWS);
    tcase_add_test(rest, a_new_value_takes_the_place_of_its_gradient);
    TCase *variables = tape_group(suite, "variables");
    tcase_add_test(variables, an_update_is_written_in_place);
    tcase_add_test(variables, an_update_that_waits_is_not_seen_to_wait);
    tcase_add_test(variables, what_stays_keeps_the_old_value);
    tcase_add_test(variables, variables_change_places);
    tcase_add_test(variables, a_transposed_variable_is_not_overwritten_while_it_is_read);
    tcase_add_test(variables, a_region_may_read_what_an_earlier_one_replaces);
    tcase_add_test(variables, equal_values_of_two_regions_are_not_overwritten);
    tcase_add_test(variables, a_value_that_others_hold_is_not_overwritten);
    tcase_add_test(variables, an_update_that_was_looked_at_is_made_once);
    tcase_add_test(variables, scattered_onto_a_sum);
    tcase_add_test(variables, updates_do_not_pile_up);
    tcase_add_loop_test(variables, weights_are_updated_as_by_the_reference, 0, 16);
    if (usual_pieces(1)) tcase_add_test(variables, large_gradients_are_never_stored);
    TCase *failing = plain_group(suite, "failing");
    tcase_add_test(failing, a_rewind_without_memory_changes_nothing);
    tcase_add_loop_test(failing, a_rewind_without_memory_updates_no_weight, 0, 2);
    tcase_add_test(failing, a_long_rewind_without_memory_changes_nothing);
    return run_suite(suite);
}
