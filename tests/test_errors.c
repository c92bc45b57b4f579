/* test_errors -- everything that a caller can do wrong, and the errors
 *
 * Each refusal is checked for its status, for the pieces of its message that say what was wrong, for the line of the
 * call, and for having changed nothing: no new node remains, and older ones are intact. */
#include "autograd/tape/utf8.h"
#include "tests/support.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static ag_tensor *x, *m, *v; /* (3): 1 2 3; (2,3): 1…6; a variable, 5 */
static int64_t nodes_before;

static void open_inputs(void) {
    x = tensor_of(tape, AG_F64, AG_SHAPE(3), (double[]){1, 2, 3});
    m = tensor_of(tape, AG_F64, AG_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    v = ag_variable(tape, AG_F64, AG_SCALAR, (double[]){5});
    ag_item(ag_add_scalar(v, 1)); /* v now has a version: no call below needs to record one */
}

static void remember(void) { nodes_before = ag_tape_memory(tape).nodes; }

static void check_refusal(int line, ag_tape *t, ag_status status, va_list pieces) {
    char place[40];
    const char *text = ag_tape_error(t);
    snprintf(place, sizeof place, "test_errors.c:%d]", line);
    if (ag_tape_status(t) != status)
        ck_abort_msg("line %d: wanted %s, found %s: \"%s\"", line, ag_status_name(status),
                     ag_status_name(ag_tape_status(t)), text);
    for (const char *piece = va_arg(pieces, const char *); piece; piece = va_arg(pieces, const char *))
        if (!strstr(text, piece)) ck_abort_msg("line %d: \"%s\" is not in \"%s\"", line, piece, text);
    if (!strstr(text, place)) ck_abort_msg("line %d: the location is not in \"%s\"", line, text);
    if (ag_tape_memory(tape).nodes != nodes_before) ck_abort_msg("line %d: nodes of a failed call remain", line);
    ag_clear_error(t);
    expect_list(x, 1, 2, 3);
    expect_list(m, 1, 2, 3, 4, 5, 6);
    expect_item(v, 5);
    expect_ok(tape);
}

/* A call that returns a tensor, and raises its error on `tape`; on_nothing: on no tape. */
static void refused_at(int line, ag_tape *t, ag_tensor *y, ag_status status, ...) {
    if (!y || !ag_is_nil(y)) ck_abort_msg("line %d: not nil", line);
    va_list pieces;
    va_start(pieces, status);
    check_refusal(line, t, status, pieces);
    va_end(pieces);
}
#define refused(call, ...) (remember(), refused_at(__LINE__, tape, (call), __VA_ARGS__, (const char *)NULL))
#define refused_on_nothing(call, ...) (remember(), refused_at(__LINE__, NULL, (call), __VA_ARGS__, (const char *)NULL))

/* The same for calls that return the status. */
static void failed_at(int line, ag_tape *t, ag_status returned, ag_status status, ...) {
    if (returned != status)
        ck_abort_msg("line %d: it returns %s, not %s", line, ag_status_name(returned), ag_status_name(status));
    va_list pieces;
    va_start(pieces, status);
    check_refusal(line, t, status, pieces);
    va_end(pieces);
}
#define failed(call, ...) (remember(), failed_at(__LINE__, tape, (call), __VA_ARGS__, (const char *)NULL))

/* ---- Shapes, dtypes and data of tensors made from memory ---- */

static const ag_shape nine = {9, {1, 1, 1, 1, 1, 1, 1, 1}}, minus = {-1, {0}}, negative = {2, {3, -2}},
                      overflow = {2, {INT64_C(1) << 32, INT64_C(1) << 32}}, most = {1, {INT64_MAX}},
                      hidden = {3, {INT64_MAX, 0, INT64_MAX}}, lowest = {1, {INT64_MIN}};

typedef ag_tensor *make(ag_dtype dtype, ag_shape shape);
static double data[8];
static ag_tensor *make_from(ag_dtype d, ag_shape s) { return ag_from(tape, d, s, data); }
static ag_tensor *make_wrap(ag_dtype d, ag_shape s) { return ag_wrap(tape, d, s, data); }
static ag_tensor *make_variable(ag_dtype d, ag_shape s) { return ag_variable(tape, d, s, data); }
static ag_tensor *make_parameter(ag_dtype d, ag_shape s) { return ag_parameter(tape, d, s, data); }
static ag_tensor *make_full(ag_dtype d, ag_shape s) { return ag_full(tape, d, s, 0); }
static ag_tensor *make_zeros(ag_dtype d, ag_shape s) { return ag_zeros(tape, d, s); }
static ag_tensor *make_ones(ag_dtype d, ag_shape s) { return ag_ones(tape, d, s); }
static ag_tensor *make_uniform(ag_dtype d, ag_shape s) { return ag_uniform(tape, d, s, 0, 1); }
static ag_tensor *make_normal(ag_dtype d, ag_shape s) { return ag_normal(tape, d, s, 0, 1); }

static const struct {
    const char *name;
    make *call;
} makers[] = {{"from", make_from},           {"wrap", make_wrap},       {"variable", make_variable},
              {"parameter", make_parameter}, {"full", make_full},       {"zeros", make_zeros},
              {"ones", make_ones},           {"uniform", make_uniform}, {"normal", make_normal}};
enum { MAKERS = sizeof makers / sizeof *makers };

/* zeros and ones report errors as full */
static void expect_maker(ag_tensor *y, int i, ag_status status, const char *piece) {
    const char *text = ag_tape_error(tape);
    ck_assert_msg(y && ag_is_nil(y), "%s: not nil", makers[i].name);
    ck_assert_msg(strstr(text, makers[i].name) == text || strstr(text, "full") == text, "%s: \"%s\"", makers[i].name,
                  text);
    expecting(makers[i].name);
    expect_error(tape, status, piece, "test_errors.c:");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes_before);
}

START_TEST(makers_check_shapes_and_dtypes) {
    make *call = makers[_i].call;
    remember();
    expect_maker(call(AG_F64, nine), _i, AG_ERR_SHAPE, "9");
    expect_maker(call(AG_F64, minus), _i, AG_ERR_SHAPE, "-1");
    expect_maker(call(AG_F64, negative), _i, AG_ERR_SHAPE, "-2");
    expect_maker(call(AG_F64, overflow), _i, AG_ERR_SHAPE, "4294967296");
    expect_maker(call(AG_F64, most), _i, AG_ERR_SHAPE, "9223372036854775807");
    expect_maker(call(AG_F32, hidden), _i, AG_ERR_SHAPE, "9223372036854775807");
    expect_maker(call(AG_F64, lowest), _i, AG_ERR_SHAPE, "-9223372036854775808");
    expect_maker(call(AG_DTYPES, AG_SHAPE(2)), _i, AG_ERR_DTYPE, "4");
    expect_maker(call((ag_dtype)99, AG_SHAPE(2)), _i, AG_ERR_DTYPE, "99");
    if (strcmp(makers[_i].name, "parameter") == 0 || strcmp(makers[_i].name, "uniform") == 0 ||
        strcmp(makers[_i].name, "normal") == 0)
        expect_maker(call(AG_I64, AG_SHAPE(2)), _i, AG_ERR_DTYPE, "i64");
    ck_assert(!ag_is_nil(call(AG_F64, AG_SHAPE(2))));
}
END_TEST

START_TEST(data_must_be_there_and_aligned) {
    refused(ag_from(tape, AG_F64, AG_SHAPE(3), NULL), AG_ERR_NULL, "from", "NULL", "3");
    refused(ag_wrap(tape, AG_F32, AG_SCALAR, NULL), AG_ERR_NULL, "wrap", "NULL");
    refused(ag_variable(tape, AG_I64, AG_SHAPE(1), NULL), AG_ERR_NULL, "variable", "NULL");
    refused(ag_parameter(tape, AG_F64, AG_SHAPE(2, 2), NULL), AG_ERR_NULL, "parameter", "NULL", "4");
    refused(ag_wrap(tape, AG_F64, AG_SHAPE(2), (char *)data + 1), AG_ERR_RANGE, "wrap", "aligned");
    ck_assert(!ag_is_nil(ag_from(tape, AG_F64, AG_SHAPE(3, 0), NULL)));
    ck_assert(!ag_is_nil(ag_wrap(tape, AG_F64, AG_SHAPE(0), NULL)));
    ck_assert(!ag_is_nil(ag_parameter(tape, AG_F64, AG_SHAPE(0), NULL)));
    ck_assert_ptr_nonnull(ag_data(ag_wrap(tape, AG_F64, AG_SHAPE(0), NULL)));
}
END_TEST

START_TEST(numbers_must_fit) {
    refused(ag_full(tape, AG_I64, AG_SHAPE(2), 1.5), AG_ERR_RANGE, "full", "1.5", "i64");
    refused(ag_full(tape, AG_I64, AG_SHAPE(2), 0x1p63), AG_ERR_RANGE, "full", "i64");
    refused(ag_full(tape, AG_I64, AG_SHAPE(2), NAN), AG_ERR_RANGE, "full", "nan");
    refused(ag_scalar(tape, AG_BOOL, 2), AG_ERR_RANGE, "2", "bool");
    refused(ag_arange(tape, AG_F64, -1), AG_ERR_SHAPE, "arange", "-1", "negative");
    refused(ag_arange(tape, AG_F64, INT64_MAX), AG_ERR_SHAPE, "arange");
    refused(ag_arange(tape, AG_BOOL, 2), AG_ERR_DTYPE, "arange", "bool");
    refused(ag_uniform(tape, AG_F64, AG_SHAPE(2), 1, 0), AG_ERR_RANGE, "uniform", "1", "0");
    refused(ag_uniform(tape, AG_F64, AG_SHAPE(2), 0, INFINITY), AG_ERR_RANGE, "uniform", "inf");
    refused(ag_uniform(tape, AG_F64, AG_SHAPE(2), NAN, 1), AG_ERR_RANGE, "uniform", "nan");
    refused(ag_normal(tape, AG_F64, AG_SHAPE(2), 0, -1), AG_ERR_RANGE, "normal", "-1");
    refused(ag_normal(tape, AG_F64, AG_SHAPE(2), INFINITY, 1), AG_ERR_RANGE, "normal", "inf");
    ag_tensor *ints = ag_arange(tape, AG_I64, 3);
    refused(ag_add_scalar(ints, 0.5), AG_ERR_RANGE, "add_scalar", "0.5", "i64");
    refused(ag_rsub_scalar(0.5, ints), AG_ERR_RANGE, "rsub_scalar", "0.5");
    refused(ag_scale(ints, NAN), AG_ERR_RANGE, "scale", "nan");
    refused(ag_maximum_scalar(ints, 1e30), AG_ERR_RANGE, "maximum_scalar", "1e+30");
    refused(ag_minimum_scalar(ints, INFINITY), AG_ERR_RANGE, "minimum_scalar", "inf");
    refused(ag_clamp(x, 1, 0), AG_ERR_RANGE, "clamp", "1", "0");
    refused(ag_clamp(x, NAN, 0), AG_ERR_RANGE, "clamp", "nan");
    ck_assert(!ag_is_nil(ag_full(tape, AG_F32, AG_SHAPE(2), NAN)) &&
              !ag_is_nil(ag_full(tape, AG_F32, AG_SHAPE(2), 1e300)));
}
END_TEST

/* ---- Operations ---- */

START_TEST(shapes_must_broadcast) {
    ag_tensor *four = ag_zeros(tape, AG_F64, AG_SHAPE(4)),
              *wide = ag_zeros(tape, AG_F64, AG_SHAPE(1, 1, 1, 1, 1, 1, INT64_C(1) << 40, 1));
    ag_tensor *high = ag_zeros(tape, AG_F64, AG_SHAPE(INT64_C(1) << 40)), *mask = ag_less(x, x),
              *no = ag_less(four, four);
    refused(ag_add(x, four), AG_ERR_SHAPE, "add", "(3)", "(4)", "axis -1");
    refused(ag_less(m, four), AG_ERR_SHAPE, "less", "(2,3)", "(4)", "3", "4");
    /* composed, or a comparison with its sides exchanged: the name and the order are the caller's */
    refused(ag_greater(m, four), AG_ERR_SHAPE, "greater: a (2,3) and b (4): axis -1: the extents 3 and 4");
    refused(ag_greater_equal(m, four), AG_ERR_SHAPE, "greater_equal: a (2,3) and b (4)");
    refused(ag_prelu(m, four), AG_ERR_SHAPE, "prelu: a (2,3) and b (4)");
    refused(ag_masked_fill(m, no, 1), AG_ERR_SHAPE, "masked_fill: a (2,3) and b bool (4)");
    refused(ag_masked_select(m, no), AG_ERR_SHAPE, "masked_select: a (2,3) and b bool (4)");
    refused(ag_where(mask, x, four), AG_ERR_SHAPE, "where", "(4)");
    refused(ag_add(wide, high), AG_ERR_SHAPE, "add", "1099511627776");
}
END_TEST

START_TEST(products_must_fit) {
    refused(ag_matmul(m, m), AG_ERR_SHAPE, "matmul", "(2,3)", "3", "2");
    refused(ag_matmul(x, m), AG_ERR_SHAPE, "matmul", "(3)", "inner axes 3 and 2");
    refused(ag_matmul(v, m), AG_ERR_SHAPE, "matmul", "()");
    ag_tensor *two = ag_zeros(tape, AG_F64, AG_SHAPE(2, 4, 3)), *three = ag_zeros(tape, AG_F64, AG_SHAPE(3, 3, 2));
    refused(ag_matmul(two, three), AG_ERR_SHAPE, "matmul", "(2,4,3)", "(3,3,2)");
    refused(ag_matmul(three, x), AG_ERR_SHAPE, "matmul", "(3,3,2)", "(3)", "inner axes 2 and 3");
    ag_tensor *ints = ag_zeros(tape, AG_I64, AG_SHAPE(2, 2)), *single = ag_zeros(tape, AG_F32, AG_SHAPE(3, 2));
    refused(ag_matmul(ints, ints), AG_ERR_DTYPE, "matmul", "i64");
    refused(ag_matmul(m, single), AG_ERR_DTYPE, "matmul", "f32", "f64");
    ag_tensor *wide = ag_zeros(tape, AG_F64, AG_SHAPE(INT64_C(1) << 40, 1)),
              *high = ag_zeros(tape, AG_F64, AG_SHAPE(1, INT64_C(1) << 40));
    refused(ag_matmul(wide, high), AG_ERR_SHAPE, "matmul", "1099511627776");
}
END_TEST

START_TEST(axes_must_be_there_once) {
    refused(ag_sum_over(m, AG_AXES(2), false), AG_ERR_AXIS, "sum", "2", "(2,3)");
    refused(ag_sum_over(m, AG_AXES(-3), false), AG_ERR_AXIS, "sum", "-3");
    refused(ag_sum_over(m, AG_AXES(0, -2), false), AG_ERR_AXIS, "sum", "twice");
    refused(ag_sum_over(m, ((ag_axes){9, {0}}), false), AG_ERR_AXIS, "sum");
    refused(ag_sum_over(m, ((ag_axes){-2, {0}}), false), AG_ERR_AXIS, "sum");
    refused(ag_mean_over(m, AG_AXES(INT_MAX), true), AG_ERR_AXIS, "mean");
    refused(ag_var_over(m, AG_AXES(INT_MIN), 0, true), AG_ERR_AXIS, "var");
    refused(ag_max_over(m, AG_AXES(2), true), AG_ERR_AXIS, "max", "2");
    refused(ag_min_over(m, AG_AXES(0, 0), true), AG_ERR_AXIS, "min", "twice");
    refused(ag_argmax(m, 2, false), AG_ERR_AXIS, "argmax", "2");
    refused(ag_argmax(v, 0, false), AG_ERR_AXIS, "argmax");
    refused(ag_transpose(m, 0, 2), AG_ERR_AXIS, "transpose", "2");
    refused(ag_transpose(m, -3, 1), AG_ERR_AXIS, "transpose", "-3");
    refused(ag_permute(m, AG_AXES(0)), AG_ERR_AXIS, "permute");
    refused(ag_permute(m, AG_AXES(1, 1)), AG_ERR_AXIS, "permute", "1");
    refused(ag_permute(m, AG_AXES(0, 1, 2)), AG_ERR_AXIS, "permute");
    refused(ag_slice(m, 2, 0, 1, 1), AG_ERR_AXIS, "slice", "2");
    refused(ag_flip(m, -3), AG_ERR_AXIS, "flip", "-3");
    refused(ag_embed(m, 2, 5, 0, 1), AG_ERR_AXIS, "embed", "2");
    refused(ag_squeeze(m, AG_AXES(2)), AG_ERR_AXIS, "squeeze", "2");
    refused(ag_unsqueeze(m, 3), AG_ERR_AXIS, "unsqueeze", "3");
    refused(ag_unsqueeze(m, -4), AG_ERR_AXIS, "unsqueeze", "-4");
    refused(ag_concat(2, ((ag_tensor *[]){m, m}), 2), AG_ERR_AXIS, "concat", "2");
    refused(ag_softmax(m, 2), AG_ERR_AXIS, "softmax", "2");
    refused(ag_log_softmax(m, -3), AG_ERR_AXIS, "log_softmax", "-3");
    refused(ag_logsumexp(m, 2, true), AG_ERR_AXIS, "logsumexp", "2");
    refused(ag_logcumsumexp(m, 2), AG_ERR_AXIS, "logcumsumexp", "2");
    ag_tensor *one = ag_zeros(tape, AG_F64, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1));
    refused(ag_median_over(one, (ag_axes){0, {0}}, false), AG_ERR_AXIS, "median", "no axis is given");
    ag_tensor *index = ag_zeros(tape, AG_I64, AG_SHAPE(2, 1));
    refused(ag_gather(m, index, 2), AG_ERR_AXIS, "gather", "2");
    refused(ag_scatter_add(m, index, m, -3), AG_ERR_AXIS, "scatter_add", "-3");
}
END_TEST

START_TEST(extents_must_fit) {
    ag_tensor *none = ag_zeros(tape, AG_F64, AG_SHAPE(2, 0)),
              *one = ag_zeros(tape, AG_F64, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1)),
              *pairs = ag_zeros(tape, AG_F64, AG_SHAPE(2, 2)), *more = ag_zeros(tape, AG_F64, AG_SHAPE(3, 2));
    refused(ag_reshape(m, AG_SHAPE(4)), AG_ERR_SHAPE, "reshape", "(2,3)", "4");
    refused(ag_reshape(m, AG_SHAPE(-1, 4)), AG_ERR_SHAPE, "reshape", "6", "-1");
    refused(ag_reshape(m, AG_SHAPE(-1, -1)), AG_ERR_SHAPE, "reshape", "-1");
    refused(ag_reshape(m, AG_SHAPE(-2, -3)), AG_ERR_SHAPE, "reshape", "-2");
    refused(ag_reshape(none, AG_SHAPE(-1, 0)), AG_ERR_SHAPE, "reshape", "-1");
    refused(ag_reshape(m, nine), AG_ERR_SHAPE, "reshape", "9");
    refused(ag_reshape(m, overflow), AG_ERR_SHAPE, "reshape");
    refused(ag_reshape(m, AG_SHAPE(-1, INT64_MAX, 2)), AG_ERR_SHAPE, "reshape");
    refused(ag_broadcast_to(m, AG_SHAPE(3)), AG_ERR_SHAPE, "broadcast_to", "(2,3)");
    refused(ag_broadcast_to(m, AG_SHAPE(2, 4)), AG_ERR_SHAPE, "broadcast_to", "3", "4");
    refused(ag_broadcast_to(m, AG_SHAPE(INT64_MAX, 2, 3)), AG_ERR_SHAPE, "broadcast_to");
    refused(ag_broadcast_to(x, negative), AG_ERR_SHAPE, "broadcast_to", "-2");
    refused(ag_squeeze(m, AG_AXES(0)), AG_ERR_SHAPE, "squeeze", "2");
    refused(ag_unsqueeze(one, 0), AG_ERR_SHAPE, "unsqueeze", "8");
    refused(ag_complex(one, one), AG_ERR_SHAPE, "complex", "9 axes");
    refused(ag_complex_mul(pairs, more), AG_ERR_SHAPE, "complex_mul", "axis -2 has 2 and 3 elements");
    refused(ag_average_over(m, pairs, AG_AXES(0), false), AG_ERR_SHAPE, "average_over");
    refused(ag_max(none), AG_ERR_SHAPE, "max", "(2,0)");
    refused(ag_min_over(none, AG_AXES(1), false), AG_ERR_SHAPE, "min", "(2,0)");
    refused(ag_argmax(none, 1, false), AG_ERR_SHAPE, "argmax", "(2,0)");
    refused(ag_softmax(none, 1), AG_ERR_SHAPE, "softmax", "(2,0)");
    refused(ag_log_softmax(none, -1), AG_ERR_SHAPE, "log_softmax");
    refused(ag_logsumexp(none, 1, false), AG_ERR_SHAPE, "logsumexp");
    refused(ag_concat(2, ((ag_tensor *[]){m, x}), 0), AG_ERR_SHAPE, "concat", "(2,3)", "(3)");
    refused(ag_concat(2, ((ag_tensor *[]){m, none}), 0), AG_ERR_SHAPE, "concat", "(2,0)", "3", "0");
    ag_tensor *wide = ag_broadcast_to(ag_scalar(tape, AG_BOOL, 1), AG_SHAPE(INT64_C(1) << 58)),
              *many[] = {wide, wide, wide, wide, wide, wide};
    refused(ag_concat(6, many, 0), AG_ERR_SHAPE, "concat");
    ag_tensor *two[2], *crossed[] = {ag_unsqueeze(wide, 0), ag_unsqueeze(wide, 1)};
    failed(ag_broadcast_tensors(2, crossed, two), AG_ERR_SHAPE, "broadcast_tensors", "the result would have");
    failed(ag_meshgrid(2, many, false, two), AG_ERR_SHAPE, "meshgrid", "the result would have");
    ag_tensor *index = ag_zeros(tape, AG_I64, AG_SHAPE(2)), *rows = ag_zeros(tape, AG_I64, AG_SHAPE(2, 2));
    refused(ag_gather(m, index, 0), AG_ERR_SHAPE, "gather", "(2,3)", "(2)", "ag_index_select");
    refused(ag_gather(m, rows, 0), AG_ERR_SHAPE, "gather", "(2,2)");
    refused(ag_scatter_add(m, rows, m, 0), AG_ERR_SHAPE, "scatter_add", "(2,2)");
    refused(ag_scatter_add(m, index, x, 0), AG_ERR_SHAPE, "scatter_add");
    ag_max_over(none, AG_AXES(0), false); /* (0): an empty result, though the axis has no elements */
    expect_ok(tape);
}
END_TEST

START_TEST(slices_and_their_gradients_must_fit) {
    refused(ag_slice(m, 0, 0, 1, 0), AG_ERR_RANGE, "slice", "step");
    refused(ag_embed(x, 0, 5, 0, 0), AG_ERR_RANGE, "embed", "step");
    refused(ag_embed(x, 0, 2, 0, 1), AG_ERR_RANGE, "embed", "3", "2");
    refused(ag_embed(x, 0, 5, 3, 1), AG_ERR_RANGE, "embed", "3");
    refused(ag_embed(x, 0, 5, -1, 1), AG_ERR_RANGE, "embed", "-1");
    refused(ag_embed(x, 0, 5, 1, -1), AG_ERR_RANGE, "embed");
    refused(ag_embed(x, 0, 5, INT64_MAX, INT64_MAX), AG_ERR_RANGE, "embed");
    refused(ag_embed(x, 0, 5, 0, INT64_MIN), AG_ERR_RANGE, "embed");
    remember();
    ck_assert(ag_is_nil(ag_embed(x, 0, -5, 0, 1)));
    ck_assert(ag_tape_status(tape) == AG_ERR_SHAPE || ag_tape_status(tape) == AG_ERR_RANGE);
    ag_clear_error(tape);
    ck_assert(ag_is_nil(ag_embed(x, 0, INT64_MAX, 0, 1)));
    ag_clear_error(tape);
    for (int64_t step = -2; step <= 2; step++) /* Python clamps everything to the axis */
        for (int k = 0; k < 25 && step; k++) {
            int64_t ends[] = {INT64_MAX, INT64_MIN + 1, AG_END, -4, 7};
            ck_assert(!ag_is_nil(ag_slice(x, 0, ends[k / 5], ends[k % 5], step * (k % 2 ? 1 : INT64_C(1) << 61))));
        }
    expect_ok(tape);
}
END_TEST

START_TEST(windows_must_fit) {
    ag_tensor *w = ag_windows(m, AG_AXES(1), AG_SHAPE(2), AG_SHAPE(1)); /* (2,2,2) */
    ag_tensor *five = ag_zeros(tape, AG_F64, AG_SHAPE(1, 1, 1, 1, 1)), *none = ag_zeros(tape, AG_F64, AG_SHAPE(2, 0));
    ag_tensor *narrow = ag_zeros(tape, AG_F64, AG_SHAPE(2, 1, 0));
    refused(ag_windows(m, AG_AXES(1), AG_SHAPE(4), AG_SHAPE(1)), AG_ERR_RANGE, "windows", "(2,3)", "of 4", "axis 1");
    refused(ag_windows(m, AG_AXES(1), AG_SHAPE(0), AG_SHAPE(1)), AG_ERR_RANGE, "windows", "window of 0");
    refused(ag_windows(m, AG_AXES(1), AG_SHAPE(INT64_MIN), AG_SHAPE(1)), AG_ERR_RANGE, "windows");
    refused(ag_windows(m, AG_AXES(1), AG_SHAPE(2), AG_SHAPE(0)), AG_ERR_RANGE, "windows", "step 0");
    refused(ag_windows(m, AG_AXES(1), AG_SHAPE(2), AG_SHAPE(-1)), AG_ERR_RANGE, "windows", "step -1");
    refused(ag_windows(none, AG_AXES(1), AG_SHAPE(1), AG_SHAPE(1)), AG_ERR_RANGE, "windows", "extent 0");
    refused(ag_windows(m, AG_AXES(2), AG_SHAPE(1), AG_SHAPE(1)), AG_ERR_AXIS, "windows", "axis 2");
    refused(ag_windows(m, AG_AXES(-3), AG_SHAPE(1), AG_SHAPE(1)), AG_ERR_AXIS, "windows", "axis -3");
    refused(ag_windows(m, AG_AXES(1, -1), AG_SHAPE(1, 1), AG_SHAPE(1, 1)), AG_ERR_AXIS, "windows", "once");
    refused(ag_windows(m, AG_AXES(0, 1), AG_SHAPE(1), AG_SHAPE(1, 1)), AG_ERR_SHAPE, "windows", "1 extents", "2 axes");
    refused(ag_windows(m, AG_AXES(0), AG_SHAPE(1), AG_SCALAR), AG_ERR_SHAPE, "windows", "0 steps");
    refused(ag_windows(m, AG_ALL_AXES, AG_SHAPE(1), AG_SHAPE(1)), AG_ERR_SHAPE, "windows", "2 axes");
    refused(ag_windows(m, (ag_axes){-2, {0}}, AG_SHAPE(1), AG_SHAPE(1)), AG_ERR_SHAPE, "windows");
    refused(ag_windows(m, AG_AXES(0, 1, 0), AG_SHAPE(1, 1, 1), AG_SHAPE(1, 1, 1)), AG_ERR_SHAPE, "windows", "3 of 2");
    ag_shape four = AG_SHAPE(1, 1, 1, 1);
    refused(ag_windows(five, AG_AXES(0, 1, 2, 3), four, four), AG_ERR_SHAPE, "windows", "at most 8");
    refused(ag_fold(w, AG_AXES(1), AG_SHAPE(4), AG_SHAPE(1)), AG_ERR_SHAPE, "fold", "(2,2,2)", "4 has 3 windows of 2");
    refused(ag_fold(w, AG_AXES(1), AG_SHAPE(3), AG_SHAPE(2)), AG_ERR_SHAPE, "fold", "3 has 1 windows");
    refused(ag_fold(w, AG_AXES(1), AG_SHAPE(1), AG_SHAPE(1)), AG_ERR_RANGE, "fold", "extent 1");
    refused(ag_fold(w, AG_AXES(1), AG_SHAPE(-3), AG_SHAPE(1)), AG_ERR_RANGE, "fold", "extent -3");
    refused(ag_fold(w, AG_AXES(1), AG_SHAPE(3), AG_SHAPE(0)), AG_ERR_RANGE, "fold", "step 0");
    refused(ag_fold(w, AG_AXES(2), AG_SHAPE(3), AG_SHAPE(1)), AG_ERR_AXIS, "fold", "axis 2");
    refused(ag_fold(w, AG_AXES(0, 1), AG_SHAPE(3, 3), AG_SHAPE(1, 1)), AG_ERR_SHAPE, "fold", "2 of 1");
    refused(ag_fold(w, AG_ALL_AXES, AG_SHAPE(3), AG_SHAPE(1)), AG_ERR_SHAPE, "fold", "1 of 2");
    refused(ag_fold(w, AG_AXES(1), AG_SHAPE(3, 3), AG_SHAPE(1)), AG_ERR_SHAPE, "fold", "2 extents");
    refused(ag_fold(w, (ag_axes){INT_MIN, {0}}, AG_SHAPE(3), AG_SHAPE(1)), AG_ERR_SHAPE, "fold");
    refused(ag_fold(w, (ag_axes){INT_MAX, {0}}, AG_SHAPE(3), AG_SHAPE(1)), AG_ERR_SHAPE, "fold");
    refused(ag_fold(narrow, AG_AXES(1), AG_SHAPE(3), AG_SHAPE(1)), AG_ERR_RANGE, "fold");
    ag_tensor *wide = ag_broadcast_to(x, AG_SHAPE(INT64_C(1) << 40, 3));
    refused(ag_windows(wide, AG_AXES(0), AG_SHAPE(INT64_C(1) << 39), AG_SHAPE(1)), AG_ERR_SHAPE, "windows");
}
END_TEST

START_TEST(dtypes_must_fit) {
    ag_tensor *mask = ag_less(x, x), *ints = ag_arange(tape, AG_I64, 3), *single = ag_cast(x, AG_F32),
              *rows = ag_zeros(tape, AG_I64, AG_SHAPE(1, 3));
    refused(ag_where(x, x, x), AG_ERR_DTYPE, "where", "bool", "f64");
    refused(ag_where(mask, x, single), AG_ERR_DTYPE, "where", "f32", "f64");
    refused(ag_cast(x, AG_DTYPES), AG_ERR_DTYPE, "cast", "4");
    char seven[16]; /* which is another number where enumerations are short */
    snprintf(seven, sizeof seven, "dtype %d", (int)(ag_dtype)-7);
    refused(ag_cast(x, (ag_dtype)-7), AG_ERR_DTYPE, "cast", seven);
    refused(ag_gather(x, x, 0), AG_ERR_DTYPE, "gather", "i64", "f64");
    refused(ag_gather(x, mask, 0), AG_ERR_DTYPE, "gather", "i64", "bool");
    refused(ag_scatter_add(x, x, x, 0), AG_ERR_DTYPE, "scatter_add", "i64");
    refused(ag_scatter_add(x, ints, single, 0), AG_ERR_DTYPE, "scatter_add", "f32");
    refused(ag_concat(2, ((ag_tensor *[]){x, single}), 0), AG_ERR_DTYPE, "concat", "f32", "f64");
    refused(ag_add(x, single), AG_ERR_DTYPE, "add", "f32", "f64");
    refused(ag_equal(x, ints), AG_ERR_DTYPE, "equal", "i64", "f64");
    refused(ag_greater(x, ints), AG_ERR_DTYPE, "greater: a (", "dtypes f64 and i64 differ");
    refused(ag_exp(ints), AG_ERR_DTYPE, "exp", "i64");
    refused(ag_div(ints, ints), AG_ERR_DTYPE, "div", "i64");
    refused(ag_var(ints, 0), AG_ERR_DTYPE, "var", "i64");
    refused(ag_softmax(rows, 1), AG_ERR_DTYPE, "softmax", "i64");
    refused(ag_bincount(ints, mask, 3), AG_ERR_DTYPE, "bincount", "f64, not bool");
    refused(ag_repeat_interleave_by(x, x, 0), AG_ERR_DTYPE, "repeat_interleave_by", "i64, not f64");
    refused(ag_argmax(mask, 0, false), AG_ERR_DTYPE, "argmax", "bool");
}
END_TEST

START_TEST(lists_must_be_lists) {
    refused_on_nothing(ag_concat(1, NULL, 0), AG_ERR_NULL, "concat", "NULL");
    refused_on_nothing(ag_concat(0, NULL, 0), AG_ERR_RANGE, "concat", "0");
    refused_on_nothing(ag_concat(-1, ((ag_tensor *[]){x}), 0), AG_ERR_RANGE, "concat", "-1");
    refused(ag_concat(3, ((ag_tensor *[]){x, NULL, x}), 0), AG_ERR_NULL, "concat", "NULL");
    refused_on_nothing(ag_stack(1, NULL, 0), AG_ERR_NULL, "stack", "the inputs are NULL");
    refused_on_nothing(ag_stack(0, ((ag_tensor *[]){x}), 0), AG_ERR_RANGE, "stack", "0 tensors are given");
}
END_TEST

START_TEST(indices_are_checked_when_they_are_used) {
    int64_t bad[] = {0, 3, -1, INT64_MIN, INT64_MAX};
    for (int i = 1; i < 5; i++) {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)bad[i]);
        ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){bad[0], bad[i]});
        ag_tensor *y = ag_gather(x, index, 0), *z = ag_scatter_add(x, index, ag_slice(x, 0, 0, 2, 1), 0);
        expect_ok(tape);
        ck_assert_int_eq(ag_eval(ag_sum(y)), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "gather", number, "3", "test_errors.c:");
        ck_assert_ptr_null(ag_data(z));
        expect_error(tape, AG_ERR_RANGE, "scatter_add", number, "3", "test_errors.c:");
    }
    expect_list(x, 1, 2, 3);
}
END_TEST

/* ---- Errors stick ---- */

START_TEST(the_first_error_wins) {
    ag_tensor *first = ag_add(x, ag_zeros(tape, AG_F64, AG_SHAPE(4)));
    char text[640];
    snprintf(text, sizeof text, "%s", ag_tape_error(tape));
    ag_tensor *chain = ag_exp(ag_matmul(ag_transpose(first, 5, 6), m)),
              *fresh = ag_from(tape, AG_F64, AG_SHAPE(-5), NULL), *dx;
    ck_assert(chain && ag_is_nil(chain) && fresh && ag_is_nil(fresh));
    ck_assert_int_eq(ag_eval(x), AG_ERR_SHAPE);
    ck_assert_int_eq(ag_assign(v, x), AG_ERR_SHAPE);
    ck_assert_int_eq(ag_set(v, NULL), AG_ERR_SHAPE);
    ck_assert_int_eq(ag_grad(chain, 1, &x, &dx), AG_ERR_SHAPE);
    ck_assert(dx && ag_is_nil(dx));
    ck_assert_int_eq(ag_backward(chain), AG_ERR_SHAPE);
    ck_assert(isnan(ag_item(chain)) && isnan(ag_element(x, 0)) && ag_data(x) == NULL);
    ck_assert_str_eq(ag_tape_error(tape), text);
    ag_clear_error(tape);
    ck_assert_str_eq(ag_tape_error(tape), "");
    ag_clear_error(tape);
    expect_list(x, 1, 2, 3);
    refused(ag_exp(chain), AG_ERR_NIL, "exp", "nil");
    refused(ag_add(x, first), AG_ERR_NIL, "add", "second", "nil");
    expect_item(v, 5);
}
END_TEST

/* Arguments of one call are computed in any order. */
START_TEST(a_text_shows_the_error_that_comes_after_it_was_asked_for) {
    const char *text = ag_tape_error(tape);
    ck_assert_str_eq(text, "");
    ag_item(ag_ones(tape, AG_F64, AG_SHAPE(2)));
    ck_assert(strstr(text, "item: x (2)") == text);
    ck_assert_ptr_eq(ag_tape_error(tape), text);
    ag_clear_error(tape);
    ck_assert_str_eq(text, "");
    text = ag_tape_error(NULL);
    ag_clear_error(NULL);
    ck_assert_str_eq(text, "");
    ag_ones(NULL, AG_F64, AG_SCALAR);
    ck_assert(strstr(text, "full: the tape is NULL") == text);
    ag_clear_error(NULL);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(nothing_is_half_done) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SCALAR, (double[]){2}), *loss = ag_square(p), *dp[2],
              *by[2] = {p, NULL};
    ag_backward(loss);
    expect_item(ag_gradient(p), 4);
    failed(ag_grad(loss, 2, by, dp), AG_ERR_NULL, "grad", "NULL");
    ck_assert(ag_is_nil(dp[0]) && ag_is_nil(dp[1]));
    failed(ag_backward(x), AG_ERR_SHAPE, "backward", "3");
    expect_item(ag_gradient(p), 4);
    ag_tensor *mixed = ag_add(loss, ag_cast(ag_cast(loss, AG_I64), AG_F64));
    remember();
    ck_assert(ag_backward(mixed) == AG_OK || ag_tape_status(tape) == AG_ERR_GRADIENT);
    ag_clear_error(tape);
}
END_TEST

/* ---- Reading and changing ---- */

START_TEST(reading_is_checked) {
    remember();
    ck_assert(isnan(ag_item(x)));
    expect_error(tape, AG_ERR_SHAPE, "item", "3", "test_errors.c:");
    ck_assert(isnan(ag_item(ag_zeros(tape, AG_F64, AG_SHAPE(0)))));
    expect_error(tape, AG_ERR_SHAPE, "item", "0");
    ck_assert(isnan(ag_element(x, 3)));
    expect_error(tape, AG_ERR_RANGE, "element", "3", "test_errors.c:");
    ck_assert(isnan(ag_element(x, -1)));
    expect_error(tape, AG_ERR_RANGE, "element", "-1");
    ck_assert(isnan(ag_element(x, INT64_MIN)));
    expect_error(tape, AG_ERR_RANGE, "element");
    expect_list(x, 1, 2, 3);
}
END_TEST

START_TEST(tapes_are_not_mixed) {
    ag_tape *other = ag_tape_new();
    ag_tensor *y = ag_scalar(other, AG_F64, 1), *both[] = {x, y}, *dx[2], *loss = ag_sum(x);
    failed(ag_eval_all(2, both), AG_ERR_TAPE, "eval_all", "second", "another tape");
    failed(ag_assign(v, y), AG_ERR_TAPE, "assign", "another tape");
    failed(ag_grad(loss, 2, both, dx), AG_ERR_TAPE, "grad", "another tape");
    ag_tensor *many[] = {x, x, y};
    refused(ag_concat(3, many, 0), AG_ERR_TAPE, "concat", "another tape");
    failed(ag_vjp(1, &loss, &y, 1, &x, dx, 0), AG_ERR_TAPE, "vjp", "another tape");
    expect_ok(other);
    ag_tape_free(other);
}
END_TEST

/* ---- Gradients ---- */

/* The call's status is never AG_OK after a failure, whichever tensor had another tape. */
START_TEST(mixed_lists_are_refused) {
    ag_tape *other = ag_tape_new();
    ag_tensor *far = ag_ones(other, AG_F64, AG_SCALAR), *mixed[] = {x, ag_full(tape, AG_I64, AG_SCALAR, 1)}, *dx[2];
    ag_tensor *partly[] = {NULL, x};
    ck_assert_int_eq(ag_grad(far, 2, mixed, dx), AG_ERR_TAPE);
    expect_error(other, AG_ERR_TAPE, "another tape", "test_errors.c:");
    ck_assert_int_eq(ag_write_dot("/nonexistent/x", 2, partly, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "write_dot", "test_errors.c:");
    expect_ok(tape);
    ag_tape_free(other);
}
END_TEST

START_TEST(gradients_must_exist) {
    ag_tensor *dx[2], *ints = ag_cast(x, AG_I64), *loss = ag_sum(ag_square(x)), *wide = ag_square(x),
                      *none[] = {x, ints};
    failed(ag_grad(wide, 1, &x, dx), AG_ERR_SHAPE, "grad", "3 elements, and one is wanted", "ag_sum", "ag_vjp");
    ag_tensor *squares = ag_square(ag_parameter_from(m));
    failed(ag_backward(squares), AG_ERR_SHAPE, "backward", "6 elements, and one is wanted", "ag_vjp");
    failed(ag_vjp(1, &wide, NULL, 1, &x, dx, 0), AG_ERR_SHAPE, "vjp", "3", "needs a cotangent");
    ck_assert(ag_is_nil(dx[0]));
    ag_tensor *int_loss = ag_sum(ints);
    failed(ag_grad(int_loss, 1, &x, dx), AG_ERR_DTYPE, "grad", "i64");
    failed(ag_grad(loss, 2, none, dx), AG_ERR_DTYPE, "grad", "i64", "1");
    failed(ag_grad(loss, 1, NULL, dx), AG_ERR_NULL, "grad", "inputs");
    failed(ag_grad(loss, 1, &x, NULL), AG_ERR_NULL, "grad", "results");
    failed(ag_vjp(0, NULL, NULL, 1, &x, dx, 0), AG_ERR_RANGE, "vjp", "0");
    failed(ag_vjp(1, NULL, NULL, 1, &x, dx, 0), AG_ERR_NULL, "vjp", "outputs");
    failed(ag_grad(loss, -1, &x, dx), AG_ERR_RANGE, "grad", "-1");
    ag_tensor *short_bar = ag_zeros(tape, AG_F64, AG_SHAPE(2)), *single = ag_zeros(tape, AG_F32, AG_SHAPE(3));
    failed(ag_vjp(1, &wide, &short_bar, 1, &x, dx, 0), AG_ERR_SHAPE, "vjp", "(2)", "(3)");
    failed(ag_vjp(1, &wide, &single, 1, &x, dx, 0), AG_ERR_DTYPE, "vjp", "f32");
    failed(ag_vjp(1, &loss, NULL, 1, &m, dx, AG_STRICT), AG_ERR_GRADIENT, "vjp", "depends");
    ck_assert(ag_is_nil(dx[0]));
    failed(ag_backward(loss), AG_ERR_GRADIENT, "backward", "parameter");
    refused(ag_gradient(x), AG_ERR_GRADIENT, "gradient", "parameter");
    refused(ag_gradient(v), AG_ERR_GRADIENT, "gradient", "parameter");
    ck_assert_int_eq(ag_grad(loss, 0, NULL, NULL), AG_OK);
}
END_TEST

static void copy_block(int64_t n, void *y, const void *const in[], const void *attributes) {
    (void)attributes;
    memmove(y, in[0], (size_t)n * sizeof(double));
}

static const ag_op op_refuses = {.name = "refuses",
                                 .kind = AG_KIND_ELEMENTWISE,
                                 .arity = 1,
                                 .flags = AG_OP_NOT_DIFFERENTIABLE,
                                 .block = {[AG_F64] = copy_block}};

START_TEST(what_is_not_differentiable_says_so) {
    char place[40];
    int line = __LINE__ + 1;
    ag_tensor *y = ag_label(ag_apply(&op_refuses, 1, &x, NULL, 0), "stair"), *loss = ag_sum(y), *dx;
    ag_tensor *beside = ag_sum(ag_add(x, ag_stop_gradient(y)));
    remember();
    snprintf(place, sizeof place, "test_errors.c:%d]", line);
    ck_assert_int_eq(ag_grad(loss, 1, &x, &dx), AG_ERR_GRADIENT);
    ck_assert(ag_is_nil(dx));
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes_before);
    expect_error(tape, AG_ERR_GRADIENT, "refuses", "not differentiable", place);
    ck_assert_int_eq(ag_grad(beside, 1, &x, &dx), AG_OK);
    expect_list(dx, 1, 1, 1);
    ag_tensor *chosen = ag_sum(ag_where(ag_less(x, ag_scale(x, 2)), x, ag_neg(x)));
    ck_assert_int_eq(ag_grad(chosen, 1, &x, &dx), AG_OK); /* comparisons in between are allowed */
    expect_list(dx, 1, 1, 1);
}
END_TEST

/* ---- Own operations ---- */

static bool infer_anything(ag_infer *r) { return (void)r, true; }
static bool infer_silence(ag_infer *r) { return (void)r, false; }
static bool infer_beyond(ag_infer *r) { return r->offset = 1, r->stride[0] = 1, true; }
static bool infer_huge(ag_infer *r) { return r->shape = most, true; }
static bool eval_fails(const ag_call *call) { return ag_call_fail(call, AG_ERR_RANGE, "number %d is odd", 7); }
static bool eval_silence(const ag_call *call) { return (void)call, false; }
static bool eval_greedy(const ag_call *call) { return ag_call_scratch(call, SIZE_MAX / 4) != NULL; }

static const ag_op
    op_no_name = {.kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = copy_block}},
    op_many = {.name = "many", .kind = AG_KIND_ELEMENTWISE, .arity = -1, .block = {[AG_F64] = copy_block}},
    op_of_none = {.name = "of_none", .kind = AG_KIND_ELEMENTWISE, .block = {[AG_F64] = copy_block}},
    op_scalar = {.name = "scalar",
                 .kind = AG_KIND_ELEMENTWISE,
                 .arity = 1,
                 .flags = AG_OP_SCALAR,
                 .block = {[AG_F64] = copy_block}},
    op_source = {.name = "source", .kind = AG_KIND_SOURCE, .attribute_bytes = 4, .eval = eval_fails},
    op_no_eval = {.name = "no_eval", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_anything},
    op_no_infer = {.name = "no_infer", .kind = AG_KIND_OPAQUE, .arity = 1, .eval = eval_fails},
    op_silent = {.name = "silent", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_silence, .eval = eval_fails},
    op_beyond = {.name = "beyond", .kind = AG_KIND_VIEW, .arity = 1, .infer = infer_beyond},
    op_huge = {.name = "huge", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_huge, .eval = eval_fails},
    op_fails = {.name = "fails", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_anything, .eval = eval_fails},
    op_mute = {.name = "mute", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_anything, .eval = eval_silence},
    op_greedy = {.name = "greedy", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_anything, .eval = eval_greedy},
    op_reduces_nothing = {.name = "nothing", .kind = AG_KIND_REDUCTION, .arity = 1};

START_TEST(descriptors_are_checked) {
    ag_tensor *two[] = {x, x}, *x9[] = {x, x, x, x, x, x, x, x, x};
    ag_axes_set beyond = {4, false};
    refused(ag_apply(NULL, 1, &x, NULL, 0), AG_ERR_NULL, "apply", "NULL");
    refused(ag_apply(&op_no_name, 1, &x, NULL, 0), AG_ERR_NULL, "apply", "NULL");
    refused_on_nothing(ag_apply(&op_refuses, 1, NULL, NULL, 0), AG_ERR_NULL, "refuses", "NULL");
    refused(ag_apply(&op_refuses, 1, &x, NULL, 8), AG_ERR_NULL, "refuses", "NULL");
    refused(ag_apply(&op_refuses, 2, two, NULL, 0), AG_ERR_RANGE, "refuses", "the number of inputs is 2: 1 is wanted");
    refused(ag_apply(&op_many, 9, x9, NULL, 0), AG_ERR_RANGE, "many", "the number of inputs is 9: 1 to 8 is wanted");
    refused(ag_apply(&op_of_none, 1, &x, NULL, 0), AG_ERR_RANGE, "of_none", "descriptor is 0: 1 to 8 is wanted, or -1");
    refused(ag_apply(&op_refuses, 1, two, x, SIZE_MAX), AG_ERR_RANGE, "refuses", "at most 65535 are wanted");
    refused(ag_apply(&op_scalar, 1, &x, two, 7), AG_ERR_RANGE, "scalar", "have 7 bytes: at least 8 are wanted");
    refused(ag_apply_source(&op_source, tape, AG_F64, AG_SCALAR, 0, 0), AG_ERR_RANGE, "source", "0 bytes: at least 4");
    refused(ag_apply(&op_no_eval, 1, &x, NULL, 0), AG_ERR_RANGE, "no_eval", "incomplete");
    refused(ag_apply(&op_no_infer, 1, &x, NULL, 0), AG_ERR_RANGE, "no_infer", "incomplete");
    refused(ag_apply(&op_silent, 1, &x, NULL, 0), AG_ERR_SHAPE, "silent", "refused");
    refused(ag_apply(&op_beyond, 1, &x, NULL, 0), AG_ERR_RANGE, "beyond", "reaches");
    refused(ag_apply(&op_huge, 1, &x, NULL, 0), AG_ERR_SHAPE, "huge");
    refused(ag_apply(&op_reduces_nothing, 1, &x, &beyond, sizeof beyond), AG_ERR_RANGE, "nothing", "incomplete");
    refused_on_nothing(ag_apply_source(&op_fails, NULL, AG_F64, AG_SCALAR, NULL, 0), AG_ERR_NULL, "fails", "is NULL");
    refused(ag_apply_source(&op_fails, tape, AG_F64, AG_SCALAR, NULL, 0), AG_ERR_RANGE, "fails", "incomplete");
    refused(ag_apply_source(NULL, tape, AG_F64, AG_SCALAR, NULL, 0), AG_ERR_NULL, "NULL");
}
END_TEST

START_TEST(failing_evaluations_are_reported) {
    ag_tensor *fails = ag_apply(&op_fails, 1, &x, NULL, 0), *mute = ag_apply(&op_mute, 1, &x, NULL, 0);
    ag_tensor *greedy = ag_apply(&op_greedy, 1, &x, NULL, 0);
    for (int i = 0; i < 2; i++) { /* at each evaluation */
        ck_assert_int_eq(ag_eval(fails), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "fails", "(3)", "number 7 is odd", "test_errors.c:");
        ck_assert_int_eq(ag_eval(mute), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "mute", "failed");
        ck_assert_int_eq(ag_eval(greedy), AG_ERR_MEMORY);
        expect_error(tape, AG_ERR_MEMORY, "greedy", "out of memory");
    }
    ag_tensor *sum = ag_add(fails, x), *both[] = {x, ag_sum(sum), ag_neg(x)};
    ck_assert_int_eq(ag_eval_all(3, both), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "fails");
    expect_list(both[2], -1, -2, -3);
    expect_list(x, 1, 2, 3);
}
END_TEST

/* ---- Operations that misbehave ---- */

static ag_tensor *victim;
static ag_mark early;
static ag_status inside;

static bool eval_looks(const ag_call *call) {
    (void)call;
    return inside = ag_eval(victim), true; /* and hides its failure */
}
static bool eval_assigns(const ag_call *call) { return (void)call, inside = ag_set(victim, data), true; }
static bool eval_rewinds(const ag_call *call) { return inside = ag_tape_rewind(ag_tape_of(call->node), early), true; }
static ag_tensor *vjp_rewinds(ag_tensor *y, ag_tensor *g, int i) {
    (void)i;
    inside = ag_tape_rewind(ag_tape_of(y), early);
    return g;
}
static bool infer_other_dtype(ag_infer *r) { return r->dtype = AG_F32, r->stride[0] = 1, true; }
static bool infer_no_dtype(ag_infer *r) { return r->dtype = (ag_dtype)77, true; }
static bool infer_other_shape(ag_infer *r) { return r->shape.extent[0] = 2, true; }
static bool infer_fails_silently(ag_infer *r) { return ag_reject(r, AG_ERR_RANGE, "seven"), true; }

static const ag_op
    op_looks = {.name = "looks", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_anything, .eval = eval_looks},
    op_assigns = {.name = "assigns", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_anything, .eval = eval_assigns},
    op_rewinds = {.name = "rewinds", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_anything, .eval = eval_rewinds},
    op_vjp_rewinds = {.name = "vjp_rewinds",
                      .kind = AG_KIND_ELEMENTWISE,
                      .arity = 1,
                      .block = {[AG_F64] = copy_block},
                      .vjp = vjp_rewinds},
    op_recast = {.name = "recast", .kind = AG_KIND_VIEW, .arity = 1, .infer = infer_other_dtype},
    op_no_dtype = {.name = "no_dtype", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_no_dtype, .eval = eval_fails},
    op_reshapes = {.name = "reshapes",
                   .kind = AG_KIND_ELEMENTWISE,
                   .arity = 1,
                   .infer = infer_other_shape,
                   .block = {[AG_F64] = copy_block}},
    op_sly = {.name = "sly", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_fails_silently, .eval = eval_fails};

START_TEST(operations_cannot_pull_the_tape_from_under_themselves) {
    const ag_op *ops[] = {&op_looks, &op_assigns, &op_rewinds};
    for (int i = 0; i < 3; i++) {
        early = ag_tape_mark(tape);
        victim = i == 1 ? v : ag_add_scalar(x, 1);
        ag_tensor *y = ag_apply(ops[i], 1, &x, NULL, 0);
        ck_assert_ptr_null(ag_data(y));
        ck_assert_int_eq(inside, AG_ERR_TAPE);
        expect_error(tape, AG_ERR_TAPE, "being evaluated");
        expect_list(x, 1, 2, 3);
        expect_item(v, 5);
        expect_item(ag_sum(ag_add_scalar(x, 1)), 9);
    }
    ag_tensor *y = ag_sum(ag_apply(&op_vjp_rewinds, 1, &x, NULL, 0)), *dx;
    ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_ERR_TAPE);
    ck_assert_int_eq(inside, AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "tape_rewind", "within the vjp of vjp_rewinds");
    expect_item(y, 6);
    ck_assert_int_eq(ag_tape_rewind(tape, early), AG_OK);
}
END_TEST

START_TEST(what_infer_decides_is_checked) {
    refused(ag_apply(&op_recast, 1, &x, NULL, 0), AG_ERR_DTYPE, "recast", "view");
    refused(ag_apply(&op_no_dtype, 1, &x, NULL, 0), AG_ERR_DTYPE, "no_dtype", "77");
    refused(ag_apply(&op_reshapes, 1, &x, NULL, 0), AG_ERR_SHAPE, "reshapes", "shape");
    refused(ag_apply(&op_sly, 1, &x, NULL, 0), AG_ERR_RANGE, "sly", "seven");
}
END_TEST

/* ---- NULL everywhere ---- */

static ag_tensor *pass(void *context, int n, ag_tensor *const in[]) {
    return (void)context, (void)n, in ? in[0] : NULL;
}

#define null_error(call)                                                                                               \
    do {                                                                                                               \
        ag_clear_error(NULL);                                                                                          \
        (void)(call);                                                                                                  \
        expect_error(NULL, AG_ERR_NULL, "NULL", "test_errors.c:");                                                     \
    } while (0)

START_TEST(null_tapes) {
    ag_mark mark = ag_tape_mark(tape);
    ag_tape_free(NULL);
    (void)ag_tape_mark(NULL);
    ck_assert_int_eq(ag_tape_status(NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
    ck_assert_int_eq(ag_tape_status(NULL), AG_OK);
    ck_assert_str_eq(ag_tape_error(NULL), "");
    null_error(ag_tape_mark(NULL));
    null_error(ag_tape_rewind(NULL, mark));
    ck_assert(!ag_tape_set_eager(NULL, true) && !ag_tape_set_recording(NULL, false));
    ck_assert_int_eq(ag_tape_set_threads(NULL, 2), 0);
    ag_tape_seed(NULL, 1);
    ag_tape_trim(NULL);
    ag_zero_gradients(NULL);
    ag_memory none = ag_tape_memory(NULL);
    ck_assert(none.nodes == 0 && none.held == 0 && none.allocations == 0);
    null_error(ag_from(NULL, AG_F64, AG_SHAPE(3), data));
    null_error(ag_wrap(NULL, AG_F64, AG_SHAPE(3), data));
    null_error(ag_variable(NULL, AG_F64, AG_SHAPE(3), data));
    null_error(ag_parameter(NULL, AG_F64, AG_SHAPE(3), data));
    null_error(ag_full(NULL, AG_F64, AG_SHAPE(3), 1));
    null_error(ag_zeros(NULL, AG_F64, AG_SHAPE(3)));
    null_error(ag_ones(NULL, AG_F64, AG_SHAPE(3)));
    null_error(ag_scalar(NULL, AG_F64, 1));
    null_error(ag_arange(NULL, AG_F64, 1));
    null_error(ag_uniform(NULL, AG_F64, AG_SHAPE(3), 0, 1));
    null_error(ag_normal(NULL, AG_F64, AG_SHAPE(3), 0, 1));
    ag_tape *plain = ag_tape_new_with(NULL);
    ck_assert_ptr_nonnull(plain);
    ag_tape_free(plain);
    ag_allocator empty = {NULL, NULL};
    plain = ag_tape_new_with(&empty);
    ag_tape_free(plain);
}
END_TEST

START_TEST(null_tensors) {
    ag_tensor *dx = x, *nulls[2] = {NULL, NULL};
    null_error(ag_variable_from(NULL));
    null_error(ag_parameter_from(NULL));
    null_error(ag_label(NULL, "name"));
    null_error(ag_eval(NULL));
    null_error(ag_eval_all(2, nulls));
    null_error(ag_eval_all(2, NULL));
    null_error(ag_data(NULL));
    null_error(ag_item(NULL));
    null_error(ag_element(NULL, 0));
    null_error(ag_assign(NULL, NULL));
    null_error(ag_set(NULL, data));
    null_error(ag_grad(NULL, 1, nulls, &dx));
    ck_assert(dx && ag_is_nil(dx));
    null_error(ag_vjp(1, nulls, NULL, 1, nulls, &dx, 0));
    null_error(ag_backward(NULL));
    null_error(ag_gradient(NULL));
    null_error(ag_stop_gradient(NULL));
    null_error(ag_gradcheck(pass, NULL, 1, nulls, NULL, NULL));
    null_error(ag_write_dot("/nonexistent/graph.dot", 1, nulls, NULL));
    ck_assert_ptr_null(ag_keep(NULL));
    ck_assert(ag_is_nil(NULL));
    ck_assert_ptr_null(ag_tape_of(NULL));
    ck_assert_int_eq(ag_dtype_of(NULL), AG_F64);
    ck_assert_int_eq(ag_shape_of(NULL).rank, 0);
    ck_assert_int_eq(ag_rank(NULL), 0);
    ck_assert_int_eq(ag_extent(NULL, 0), 0);
    ck_assert_int_eq(ag_size(NULL), 0);
    ck_assert_str_eq(ag_label_of(NULL), "");
    ck_assert_str_eq(ag_place_of(NULL, NULL), "");
    ck_assert(!ag_requires_grad(NULL));
    ck_assert_ptr_null(ag_op_of(NULL));
    ck_assert_int_eq(ag_inputs(NULL), 0);
    ck_assert_ptr_null(ag_input(NULL, 0));
    ck_assert_ptr_null(ag_attributes(NULL));
    ck_assert_ptr_null(ag_located(NULL, "file.c", 1));
    ck_assert_ptr_null(ag_zero_vjp(NULL, NULL, 0));
    expect_ok(tape);
}
END_TEST

START_TEST(nil_tensors) {
    ag_tensor *nil = ag_exp(NULL), *own = ag_reshape(x, AG_SHAPE(5));
    ag_clear_error(NULL);
    ag_clear_error(tape);
    ag_tensor *nils[] = {nil, own};
    for (int i = 0; i < 2; i++) {
        ag_tensor *y = nils[i];
        ck_assert(ag_is_nil(y) && ag_rank(y) == 0 && ag_size(y) == 0 && ag_extent(y, 0) == 0 && ag_inputs(y) == 0);
        ck_assert(ag_shape_of(y).rank == 0 && ag_dtype_of(y) == AG_F64 && !ag_requires_grad(y) && !ag_op_of(y));
        ck_assert(!ag_input(y, 0) && !ag_attributes(y) && !*ag_label_of(y) && !*ag_place_of(y, NULL));
        ck_assert_ptr_eq(ag_tape_of(y), i ? tape : NULL);
        ck_assert_ptr_eq(ag_keep(y), y);
        ag_tape *t = i ? tape : NULL;
        ck_assert(ag_data(y) == NULL && isnan(ag_item(y)) && isnan(ag_element(y, 0)));
        expect_error(t, AG_ERR_NIL, "data", "nil", "test_errors.c:");
        ck_assert_int_eq(ag_eval(y), AG_ERR_NIL);
        expect_error(t, AG_ERR_NIL, "eval");
        ck_assert(ag_is_nil(ag_variable_from(y)) && ag_is_nil(ag_label(y, "name")));
        expect_error(t, AG_ERR_NIL, "variable_from");
        ck_assert_int_eq(ag_assign(v, y), AG_ERR_NIL);
        expect_error(tape, AG_ERR_NIL, "assign", "second");
        ck_assert_int_eq(ag_set(y, data), AG_ERR_NIL);
        expect_error(t, AG_ERR_NIL, "set");
        ag_tensor *dx, *loss = ag_sum(x);
        ck_assert_int_eq(ag_grad(loss, 1, &y, &dx), AG_ERR_NIL);
        expect_error(tape, AG_ERR_NIL, "grad");
        ck_assert_int_eq(ag_backward(y), AG_ERR_NIL);
        expect_error(t, AG_ERR_NIL, "backward");
        ck_assert_int_eq(ag_gradcheck(pass, NULL, 1, &y, NULL, NULL), AG_ERR_NIL);
        expect_error(t, AG_ERR_NIL, "gradcheck");
        ck_assert_int_eq(ag_write_dot("/nonexistent/graph.dot", 1, &y, NULL), AG_ERR_NIL);
        expect_error(t, AG_ERR_NIL, "write_dot");
    }
    expect_item(v, 5);
}
END_TEST

START_TEST(names_of_statuses) {
    ck_assert_str_eq(ag_status_name(AG_OK), "AG_OK");
    ck_assert_str_eq(ag_status_name(AG_ERR_NULL), "AG_ERR_NULL");
    ck_assert_str_eq(ag_status_name(AG_ERR_LIMIT), "AG_ERR_LIMIT");
    for (int s = 0; s <= AG_ERR_LIMIT; s++) ck_assert_str_ne(ag_status_name((ag_status)s), "AG_ERR_?");
    ck_assert_str_eq(ag_status_name((ag_status)(AG_ERR_LIMIT + 1)), "AG_ERR_?");
    ck_assert_str_eq(ag_status_name((ag_status)-1), "AG_ERR_?");
}
END_TEST

START_TEST(long_names_and_many_axes_fit_into_the_message) {
    char label[3000];
    memset(label, 'w', sizeof label);
    label[sizeof label - 1] = 0;
    ag_tensor *big = ag_label(ag_zeros(tape, AG_F32, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, INT64_C(1) << 50)), label);
    ck_assert_str_eq(ag_label_of(big), label);
    ck_assert(ag_is_nil(ag_add(big, big)) || ag_is_nil(ag_matmul(big, big)));
    ck_assert(ag_tape_status(tape) == AG_ERR_SHAPE && strlen(ag_tape_error(tape)) < 640);
    ck_assert(strstr(ag_tape_error(tape), "test_errors.c:") != NULL);
    ck_assert(strstr(ag_tape_error(tape), "inner axes 1125899906842624 and 1 differ") != NULL);
    ag_clear_error(tape);
    ag_tensor *many[100];
    for (int i = 0; i < 100; i++) many[i] = i < 99 ? x : m;
    refused(ag_concat(100, many, 0), AG_ERR_SHAPE, "concat", "more");
}
END_TEST

/* ---- */

/* A label may hold anything; what a message has of it, cut off or not, is UTF-8 without control characters. */
START_TEST(labels_are_shown_plainly) {
    char cut[130] = {0};
    for (int i = 0; i < 40; i++) memcpy(cut + 3 * i, "\xE2\x82\xAC", 3); /* 60 bytes end within a character */
    cut[0] = 'a', cut[1] = 'b', cut[2] = 'c', memmove(cut + 2, cut + 3, 118);
    const char *labels[] = {"\033[2Jx\n\r", "\xFF\xC3",
                            "\xC2\x9B"
                            "31m",
                            cut};
    for (int i = 0; i < 4; i++) {
        ag_tensor *a = ag_label(ag_zeros(tape, AG_F64, AG_SHAPE(2)), labels[i]),
                  *b = ag_zeros(tape, AG_F64, AG_SHAPE(3));
        ag_add(a, b);
        const char *text = ag_tape_error(tape);
        ck_assert_ptr_nonnull(strstr(text, "(2) and b (3)"));
        for (const char *c = text; *c; c++) ck_assert_msg((unsigned char)*c >= 0x20 && *c != 0x7F, "%s", text);
        ck_assert_ptr_null(ag__name_fault(text, strlen(text)));
        ag_clear_error(tape);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("errors");
    TCase *making = tape_group(suite, "making");
    tcase_add_checked_fixture(making, open_inputs, NULL);
    tcase_add_loop_test(making, makers_check_shapes_and_dtypes, 0, MAKERS);
    tcase_add_test(making, data_must_be_there_and_aligned);
    tcase_add_test(making, numbers_must_fit);
    TCase *operations = tape_group(suite, "operations");
    tcase_add_checked_fixture(operations, open_inputs, NULL);
    tcase_add_test(operations, shapes_must_broadcast);
    tcase_add_test(operations, products_must_fit);
    tcase_add_test(operations, axes_must_be_there_once);
    tcase_add_test(operations, extents_must_fit);
    tcase_add_test(operations, slices_and_their_gradients_must_fit);
    tcase_add_test(operations, windows_must_fit);
    tcase_add_test(operations, dtypes_must_fit);
    tcase_add_test(operations, lists_must_be_lists);
    tcase_add_test(operations, indices_are_checked_when_they_are_used);
    TCase *sticking = tape_group(suite, "sticking");
    tcase_add_test(sticking, labels_are_shown_plainly);
    tcase_add_checked_fixture(sticking, open_inputs, NULL);
    tcase_add_test(sticking, the_first_error_wins);
    tcase_add_test(sticking, a_text_shows_the_error_that_comes_after_it_was_asked_for);
    tcase_add_test(sticking, nothing_is_half_done);
    tcase_add_test(sticking, reading_is_checked);
    tcase_add_test(sticking, tapes_are_not_mixed);
    tcase_add_test(sticking, mixed_lists_are_refused);
    tcase_add_test(sticking, gradients_must_exist);
    tcase_add_test(sticking, what_is_not_differentiable_says_so);
    tcase_add_test(sticking, descriptors_are_checked);
    tcase_add_test(sticking, failing_evaluations_are_reported);
    tcase_add_test(sticking, operations_cannot_pull_the_tape_from_under_themselves);
    tcase_add_test(sticking, what_infer_decides_is_checked);
    TCase *nothing = tape_group(suite, "nothing");
    tcase_add_checked_fixture(nothing, open_inputs, NULL);
    tcase_add_test(nothing, null_tapes);
    tcase_add_test(nothing, null_tensors);
    tcase_add_test(nothing, nil_tensors);
    tcase_add_test(nothing, names_of_statuses);
    tcase_add_test(nothing, long_names_and_many_axes_fit_into_the_message);
    return run_suite(suite);
}
