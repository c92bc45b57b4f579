/* cases_basic -- arithmetic, comparisons, sums, views, products, and what is made of them
 *
 * See case_rows.h. */
#include "ops/resizing.h"

#include "tests/case_rows.h"

#include <math.h>

static const ag_axes no_axes = {0, {0}};

/* softmax and its like are composed with it. */
static ag_tensor *below_one(ag_tensor *v, ag_tensor *e) {
    return ag_apply(&ag__op_below_one, 2, (ag_tensor *[]){v, e}, NULL, 0);
}
static ag_tensor *from_one(ag_tensor *v, ag_tensor *e) {
    return ag_apply(&ag__op_from_one, 2, (ag_tensor *[]){v, e}, NULL, 0);
}

/* The gradients of these are recorded with it. */
static ag_tensor *slope_of(ag_tensor *y) {
    ag_tensor *inner = ag_input(y, 0), *ones = ag_ones(ag_tape_of(y), ag_dtype_of(y), ag_shape_of(y)), *dx;
    ag_vjp(1, &y, &ones, 1, &inner, &dx, 0);
    return dx;
}
static ag_tensor *tanh_slope(ag_tensor *x) { return slope_of(ag_tanh(x)); }
static ag_tensor *sigmoid_slope(ag_tensor *x) { return slope_of(ag_sigmoid(x)); }

/* relu's gradient is recorded as this. */
static ag_tensor *relu_backward(ag_tensor *x, ag_tensor *g) {
    ag_tensor *y = ag_relu(ag_broadcast_to(x, ag_shape_of(ag_add(x, g)))), *dx;
    ag_tensor *wide = ag_broadcast_to(g, ag_shape_of(y)), *inner = ag_input(y, 0);
    ag_vjp(1, &y, &wide, 1, &inner, &dx, 0);
    return dx;
}

static ag_tensor *resized_back(ag_tensor *x) {
    const ag__resizing r = {.axes = 2, .mode = AG_CUBIC, .adjoint = 1, .from = {2, 4}, .to = {3, 2}};
    return ag_apply(&ag__op_interpolate, 1, &x, &r, sizeof r);
}

static ag_tensor *strong_a(ag_tensor *a, ag_tensor *b) { return ag_strong_matmul(a, b); }
static ag_tensor *strong_b(ag_tensor *a, ag_tensor *b) { return ag__slope_matmul(a, b, 0, 2); }
static ag_tensor *strong_both(ag_tensor *a, ag_tensor *b) { return ag__slope_matmul(a, b, 0, 3); }

static ag_tensor *strong_dot(ag_tensor *a, ag_tensor *b, int64_t axes, int64_t strong) {
    return ag_apply(&ag__op_strong_tensordot, 2, (ag_tensor *[]){a, b}, (int64_t[]){axes, strong}, 2 * sizeof(int64_t));
}

/* clang-format off */
CALL(tensordot_0, ag_tensordot(x[0], x[1], 0))
CALL(tensordot_1, ag_tensordot(x[0], x[1], 1))
CALL(tensordot_2, ag_tensordot(x[0], x[1], 2))
CALL(strong_tensordot_1, strong_dot(x[0], x[1], 1, 1))
CALL(strong_tensordot_2, strong_dot(x[0], x[1], 2, 2))
CALL(strong_tensordot_both, strong_dot(x[0], x[1], 1, 3))
CALL(full_3, ag_full(t, d, AG_SHAPE(2, 3), 3))
CALL(full_1, ag_full(t, d, AG_SHAPE(2, 0), 1))
CALL(zeros_23, ag_zeros(t, d, AG_SHAPE(2, 3)))
CALL(ones_23, ag_ones(t, d, AG_SHAPE(2, 3)))
CALL(scalar_1, ag_scalar(t, d, 1))
CALL(arange_7, ag_arange(t, d, 7))
CALL(arange_0, ag_arange(t, d, 0))
CALL(uniform_45, ag_uniform(t, d, AG_SHAPE(4, 5), -1, 3))
CALL(normal_45, ag_normal(t, d, AG_SHAPE(4, 5), 1, 2))

CALL(add_scalar_3, ag_add_scalar(x[0], 3))
CALL(rsub_scalar_3, ag_rsub_scalar(3, x[0]))
CALL(scale_3, ag_scale(x[0], 3))
CALL(scale_0, ag_scale(x[0], 0))
CALL(div_scalar_3, ag_div_scalar(x[0], 3))
CALL(rdiv_scalar_3, ag_rdiv_scalar(3, x[0]))
CALL(pow_scalar_half, ag_pow_scalar(x[0], 0.5))
CALL(pow_scalar_2, ag_pow_scalar(x[0], 2))
CALL(pow_scalar_3, ag_pow_scalar(x[0], 3))
CALL(pow_scalar_1, ag_pow_scalar(x[0], 1))
CALL(pow_scalar_0, ag_pow_scalar(x[0], 0))
CALL(pow_scalar_m1, ag_pow_scalar(x[0], -1))
CALL(pow_scalar_m2, ag_pow_scalar(x[0], -2))
CALL(pow_scalar_third, ag_pow_scalar(x[0], 1.0 / 3))
CALL(maximum_scalar_1, ag_maximum_scalar(x[0], 1))
CALL(minimum_scalar_1, ag_minimum_scalar(x[0], 1))
CALL(clamp_1, ag_clamp(x[0], -1, 0.5))
CALL(where, ag_where(x[0], x[1], x[2]))
CALL(cast_bool, ag_cast(x[0], AG_BOOL))
CALL(cast_i64, ag_cast(x[0], AG_I64))
CALL(cast_f32, ag_cast(x[0], AG_F32))
CALL(cast_f64, ag_cast(x[0], AG_F64))

CALL(sum_over_none, ag_sum_over(x[0], no_axes, false))
CALL(sum_over_0, ag_sum_over(x[0], AG_AXES(0), false))
CALL(sum_over_1, ag_sum_over(x[0], AG_AXES(1), false))
CALL(sum_over_last, ag_sum_over(x[0], AG_AXES(-1), false))
CALL(sum_over_02_keep, ag_sum_over(x[0], AG_AXES(2, 0), true))
CALL(sum_over_all_keep, ag_sum_over(x[0], AG_ALL_AXES, true))
CALL(mean_over_1, ag_mean_over(x[0], AG_AXES(1), false))
CALL(mean_over_02_keep, ag_mean_over(x[0], AG_AXES(0, -1), true))
CALL(var_0, ag_var(x[0], 0))
CALL(var_1, ag_var(x[0], 1))
CALL(var_over_1, ag_var_over(x[0], AG_AXES(1), 1, false))
CALL(var_over_02_keep, ag_var_over(x[0], AG_AXES(0, 2), 0, true))
CALL(max_over_1, ag_max_over(x[0], AG_AXES(1), false))
CALL(max_over_02_keep, ag_max_over(x[0], AG_AXES(0, 2), true))
CALL(min_over_1, ag_min_over(x[0], AG_AXES(1), false))
CALL(min_over_02_keep, ag_min_over(x[0], AG_AXES(0, 2), true))
CALL(argmax_0, ag_argmax(x[0], 0, false))
CALL(argmax_1, ag_argmax(x[0], 1, false))
CALL(argmax_last_keep, ag_argmax(x[0], -1, true))

CALL(reshape_3, ag_reshape(x[0], AG_SHAPE(3, -1)))
CALL(reshape_222, ag_reshape(x[0], AG_SHAPE(2, 2, 3, 1)))
CALL(reshape_11, ag_reshape(x[0], AG_SHAPE(1, 1)))
CALL(reshape_0, ag_reshape(x[0], AG_SCALAR))
CALL(reshape_207, ag_reshape(x[0], AG_SHAPE(2, 0, 7)))
CALL(transpose_02, ag_transpose(x[0], 0, 2))
CALL(transpose_last, ag_transpose(x[0], -1, -2))
CALL(transpose_same, ag_transpose(x[0], 1, 1))
CALL(permute_201, ag_permute(x[0], AG_AXES(2, 0, 1)))
CALL(permute_negative, ag_permute(x[0], AG_AXES(-1, 0, -2)))
CALL(broadcast_to_234, ag_broadcast_to(x[0], AG_SHAPE(2, 3, 4)))
CALL(broadcast_to_03, ag_broadcast_to(x[0], AG_SHAPE(0, 3)))
CALL(slice_step, ag_slice(x[0], 1, 1, 6, 2))
CALL(slice_back, ag_slice(x[0], 1, -1, AG_END, -1))
CALL(slice_back_step, ag_slice(x[0], -1, 5, 0, -2))
CALL(slice_negative, ag_slice(x[0], 1, -5, -1, 1))
CALL(slice_cut, ag_slice(x[0], 1, -100, 100, 3))
CALL(slice_cut_back, ag_slice(x[0], 1, 100, -100, -3))
CALL(slice_none, ag_slice(x[0], 1, 4, 4, 1))
CALL(slice_wrong_way, ag_slice(x[0], 1, 5, 2, 1))
CALL(slice_ends, ag_slice(x[0], 0, AG_END, AG_END, 1))
CALL(slice_ends_back, ag_slice(x[0], 0, AG_END, AG_END, -1))
CALL(slice_huge_step, ag_slice(x[0], 1, 2, AG_END, INT64_MAX))
CALL(flip_0, ag_flip(x[0], 0))
CALL(flip_last, ag_flip(x[0], -1))
CALL(embed_step, ag_embed(x[0], 1, 9, 1, 2))
CALL(embed_back, ag_embed(x[0], 0, 6, 5, -3))
CALL(embed_none, ag_embed(x[0], 0, 3, 1, 1))
CALL(correlation_1, ag_correlation(x[0], x[1], 1, AG_SHAPE(4), AG_SHAPE(2), AG_SHAPE(1), AG_SHAPE(1)))
CALL(correlation_2, ag_correlation(x[0], x[1], 2, AG_SHAPE(3, 2), AG_SHAPE(1, 2), AG_SHAPE(2, 1), AG_SHAPE(1, 0)))
CALL(correlation_3,
     ag_correlation(x[0], x[1], 1, AG_SHAPE(2, 2, 2), AG_SHAPE(1, 1, 2), AG_SHAPE(1, 1, 1), AG_SHAPE(1, 0, 1)))
CALL(correlation_back, ag_correlation_transposed(x[0], x[1], 1, AG_SHAPE(5), AG_SHAPE(2), AG_SHAPE(1), AG_SHAPE(1)))
CALL(depthwise_1, ag_depthwise(x[0], x[1], AG_SHAPE(4), AG_SHAPE(2), AG_SHAPE(1), AG_SHAPE(1)))
CALL(depthwise_2, ag_depthwise(x[0], x[1], AG_SHAPE(3, 2), AG_SHAPE(1, 2), AG_SHAPE(2, 1), AG_SHAPE(1, 0)))
CALL(depthwise_3, ag_depthwise(x[0], x[1], AG_SHAPE(2, 2, 2), AG_SHAPE(1, 1, 2), AG_SHAPE(1, 1, 1), AG_SHAPE(1, 0, 1)))
CALL(resized_linear, ag_interpolate(x[0], AG_SHAPE(5, 2), AG_LINEAR, false))
CALL(resized_corners, ag_interpolate(x[0], AG_SHAPE(4, 7), AG_LINEAR, true))
CALL(resized_cubic, ag_interpolate(x[0], AG_SHAPE(3, 5), AG_CUBIC, false))
CALL(resized_nearest, ag_interpolate(x[0], AG_SHAPE(4, 2, 2), AG_NEAREST, false))
CALL(resized_exact, ag_interpolate(x[0], AG_SHAPE(7), AG_NEAREST_EXACT, false))
CALL(depthwise_back, ag_depthwise_transposed(x[0], x[1], AG_SHAPE(5), AG_SHAPE(2), AG_SHAPE(1), AG_SHAPE(1)))
CALL(windows_1, ag_windows(x[0], AG_AXES(1), AG_SHAPE(3), AG_SHAPE(1)))
CALL(windows_step, ag_windows(x[0], AG_AXES(-2), AG_SHAPE(3), AG_SHAPE(2)))
CALL(windows_apart, ag_windows(x[0], AG_AXES(0), AG_SHAPE(2), AG_SHAPE(3)))
CALL(windows_12, ag_windows(x[0], AG_AXES(1, 2), AG_SHAPE(2, 3), AG_SHAPE(1, 2)))
CALL(windows_21, ag_windows(x[0], AG_AXES(2, 1), AG_SHAPE(3, 2), AG_SHAPE(1, 2)))
CALL(windows_all, ag_windows(x[0], AG_ALL_AXES, AG_SHAPE(2, 2), AG_SHAPE(2, 2)))
CALL(windows_four, ag_windows(x[0], AG_ALL_AXES, AG_SHAPE(2, 1, 2, 1), AG_SHAPE(1, 1, 1, 1)))
CALL(windows_huge, ag_windows(x[0], AG_AXES(1), AG_SHAPE(6), AG_SHAPE(INT64_MAX)))
CALL(windows_none, ag_windows(x[0], no_axes, AG_SCALAR, AG_SCALAR))
CALL(fold_1, ag_fold(x[0], AG_AXES(1), AG_SHAPE(6), AG_SHAPE(1)))
CALL(fold_step, ag_fold(x[0], AG_AXES(-2), AG_SHAPE(8), AG_SHAPE(2)))
CALL(fold_apart, ag_fold(x[0], AG_AXES(0), AG_SHAPE(6), AG_SHAPE(3)))
CALL(fold_12, ag_fold(x[0], AG_AXES(1, 2), AG_SHAPE(3, 5), AG_SHAPE(1, 2)))
CALL(fold_21, ag_fold(x[0], AG_AXES(2, 1), AG_SHAPE(4, 5), AG_SHAPE(1, 2)))
CALL(fold_all, ag_fold(x[0], AG_ALL_AXES, AG_SHAPE(4, 5), AG_SHAPE(2, 2)))
CALL(fold_huge, ag_fold(x[0], AG_AXES(1), AG_SHAPE(6), AG_SHAPE(INT64_MAX)))
CALL(squeeze_all, ag_squeeze(x[0], AG_ALL_AXES))
CALL(squeeze_last, ag_squeeze(x[0], AG_AXES(-1)))
CALL(unsqueeze_0, ag_unsqueeze(x[0], 0))
CALL(unsqueeze_last, ag_unsqueeze(x[0], -1))
CALL(unsqueeze_1, ag_unsqueeze(x[0], 1))
CALL(contiguous, ag_contiguous(ag_transpose(x[0], 0, 1)))
CALL(concat_1, ag_concat(3, x, 1))
CALL(concat_last, ag_concat(2, x, -1))
CALL(concat_one, ag_concat(1, x, 0))
CALL(concat_0, ag_concat(3, x, 0))

CALL(gather_0, ag_gather(x[0], x[1], 0))
CALL(gather_1, ag_gather(x[0], x[1], 1))
CALL(gather_last, ag_gather(x[0], x[1], -1))
CALL(scatter_add_0, ag_scatter_add(x[0], x[1], x[2], 0))
CALL(scatter_add_1, ag_scatter_add(x[0], x[1], x[2], 1))
CALL(logsumexp_1, ag_logsumexp(x[0], 1, false))
CALL(logsumexp_0_keep, ag_logsumexp(x[0], 0, true))
CALL(surprisal_1, ag_surprisal(x[0], x[1], 1))
CALL(softmax_0, ag_softmax(x[0], 0))
CALL(softmax_last, ag_softmax(x[0], -1))
CALL(log_softmax_0, ag_log_softmax(x[0], 0))
CALL(log_softmax_last, ag_log_softmax(x[0], -1))

/* ---- The table ---- */

static const op_case rows[] = {
    {"full", "full", ANYTHING - (1 << AG_BOOL), LENIENT, 0, BUILD(full_3), 0, {{0}}, ""},
    {"full one", "full", ANYTHING, LENIENT, 0, BUILD(full_1), 0, {{0}}, ""},
    {"zeros", "full", ANYTHING, 0, 0, BUILD(zeros_23), 0, {{0}}, ""},
    {"ones", "full", ANYTHING, 0, 0, BUILD(ones_23), 0, {{0}}, ""},
    {"scalar", "full", ANYTHING, 0, 0, BUILD(scalar_1), 0, {{0}}, ""},
    {"arange", "arange", NUMBER, 0, 0, BUILD(arange_7), 0, {{0}}, ""},
    {"arange none", "arange", NUMBER, 0, 0, BUILD(arange_0), 0, {{0}}, ""},
    {"uniform", "uniform", REAL, NO_GOLDEN, 0, BUILD(uniform_45), 0, {{0}}, ""},
    {"normal", "normal", REAL, NO_GOLDEN, 0, BUILD(normal_45), 0, {{0}}, ""},

    {"maximum ties", "maximum", NUMBER, SUBGRAD, 0, BINARY(ag_maximum), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},
    {"minimum ties", "minimum", NUMBER, SUBGRAD, 0, BINARY(ag_minimum), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},
    {"add_scalar", "add_scalar", NUMBER, ELEMENTWISE | GRAD, 0, BUILD(add_scalar_3), 1, {IN(ANY, 2, 3)}, ""},
    {"rsub_scalar", "rsub_scalar", NUMBER, ELEMENTWISE | GRAD, 0, BUILD(rsub_scalar_3), 1, {IN(ANY, 2, 3)}, ""},
    {"scale", "scale", NUMBER, ELEMENTWISE | GRAD, 0, BUILD(scale_3), 1, {IN(ANY, 2, 3)}, ""},
    {"scale 0", "scale", NUMBER, ELEMENTWISE | GRAD, 0, BUILD(scale_0), 1, {IN(ANY, 2, 3)}, ""},
    {"div_scalar", "div_scalar", REAL, ELEMENTWISE | GRAD, 0, BUILD(div_scalar_3), 1, {IN(ANY, 2, 3)}, ""},
    {"rdiv_scalar", "rdiv_scalar", REAL, ELEMENTWISE | GRAD, 1, BUILD(rdiv_scalar_3), 1, {IN(NONZERO, 2, 3)}, ""},
    {"pow_scalar 0.5", "pow_scalar", REAL, ELEMENTWISE | GRAD, 2, BUILD(pow_scalar_half), 1, {IN(POSITIVE, 2, 3)}, ""},
    {"pow_scalar 0.333", "pow_scalar", REAL, ELEMENTWISE | GRAD, 2, BUILD(pow_scalar_third), 1, {IN(POSITIVE, 2, 3)}, ""},
    {"pow_scalar 3", "pow_scalar", REAL, ELEMENTWISE | GRAD, 2, BUILD(pow_scalar_3), 1, {IN(NONZERO, 2, 3)}, ""},
    {"pow_scalar -1", "pow_scalar", REAL, ELEMENTWISE | GRAD, 2, BUILD(pow_scalar_m1), 1, {IN(NONZERO, 2, 3)}, ""},
    {"pow_scalar -2", "pow_scalar", REAL, ELEMENTWISE | GRAD, 2, BUILD(pow_scalar_m2), 1, {IN(NONZERO, 2, 3)}, ""},
    {"pow_scalar 2", "pow_scalar", REAL, ELEMENTWISE | GRAD, 2, BUILD(pow_scalar_2), 1, {IN(ANY, 2, 3)}, ""},
    {"pow_scalar 1", "pow_scalar", REAL, ELEMENTWISE | GRAD, 2, BUILD(pow_scalar_1), 1, {IN(ANY, 2, 3)}, ""},
    {"pow_scalar 0", "pow_scalar", REAL, ELEMENTWISE | GRAD, 2, BUILD(pow_scalar_0), 1, {IN(ANY, 2, 3)}, ""},
    {"maximum_scalar", "maximum_scalar", NUMBER, ELEMENTWISE | GRAD, 0, BUILD(maximum_scalar_1), 1, {IN(ANY, 2, 3)}, ""},
    {"maximum_scalar ties", "maximum_scalar", NUMBER, SUBGRAD, 0, BUILD(maximum_scalar_1), 1, {IN(TIES, 6)}, ""},
    {"minimum_scalar", "minimum_scalar", NUMBER, ELEMENTWISE | GRAD, 0, BUILD(minimum_scalar_1), 1, {IN(ANY, 2, 3)}, ""},
    {"minimum_scalar ties", "minimum_scalar", NUMBER, SUBGRAD, 0, BUILD(minimum_scalar_1), 1, {IN(TIES, 6)}, ""},
    {"clamp", "clamp", REAL, ELEMENTWISE | GRAD, 0, BUILD(clamp_1), 1, {IN(ANY, 2, 3)}, ""},
    {"clamp bounds", "clamp", REAL, SUBGRAD, 0, BUILD(clamp_1), 1, {IN(TIES, 6)}, ""},

    {"greater", "less", ANYTHING, ELEMENTWISE, 0, BINARY(ag_greater), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},
    {"greater_equal", "less_equal", ANYTHING, ELEMENTWISE, 0, BINARY(ag_greater_equal), 2, {IN(TIES, 3, 1), IN(TIES, 3)}, ""},
    {"where", "where", ANYTHING, ELEMENTWISE | GRAD, 0, BUILD(where), 3, {IN(MASK, 2, 3), IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"cast bool", "cast", ANYTHING - (1 << AG_BOOL), ELEMENTWISE | LENIENT, 0, BUILD(cast_bool), 1, {IN(TIES, 2, 3)}, ""},
    {"cast i64", "cast", ANYTHING - (1 << AG_I64), ELEMENTWISE | LENIENT, 0, BUILD(cast_i64), 1, {IN(ANY, 2, 3)}, ""},
    {"cast f32", "cast", ANYTHING - (1 << AG_F32), ELEMENTWISE | SUBGRAD | LENIENT, 0, BUILD(cast_f32), 1, {IN(ANY, 2, 3)}, ""},
    {"cast f64", "cast", ANYTHING - (1 << AG_F64), ELEMENTWISE | LENIENT, 0, BUILD(cast_f64), 1, {IN(ANY, 2, 3)}, ""},
    {"cast itself", NULL, 1 << AG_F64, GRAD | LENIENT, 0, BUILD(cast_f64), 1, {IN(ANY, 2, 3)}, ""},

    {"abs ties", "abs", NUMBER, SUBGRAD, 0, UNARY(ag_abs), 1, {IN(TIES, 6)}, ""},
    {"tanh_slope", "tanh_slope", REAL, ELEMENTWISE | GRAD, 5, UNARY(tanh_slope), 1, {IN(ANY, 2, 3)}, ""},
    {"sigmoid_slope", "sigmoid_slope", REAL, ELEMENTWISE | GRAD, 5, UNARY(sigmoid_slope), 1, {IN(ANY, 2, 3)}, ""},
    {"relu ties", "relu", REAL, SUBGRAD, 0, UNARY(ag_relu), 1, {IN(TIES, 6)}, ""},
    {"mul_both_strong", "mul_both_strong", REAL, ELEMENTWISE | GRAD | NO_GOLDEN, 0, BINARY(ag__mul_both_strong), 2, {IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"gate", "gate", REAL, ELEMENTWISE | GRAD, 0, BINARY(relu_backward), 2, {IN(NONZERO, 2, 3), IN(ANY, 2, 3)}, ""},
    {"below_one", "below_one", REAL, ELEMENTWISE | GRAD, 0, BINARY(below_one), 2, {IN(ANY, 2, 3), IN(NONZERO, 2, 3)}, ""},
    {"from_one", "from_one", REAL, ELEMENTWISE | GRAD, 0, BINARY(from_one), 2, {IN(ANY, 2, 3), IN(NONZERO, 2, 3)}, ""},
    {"stop_gradient", "stop_gradient", ANYTHING, ELEMENTWISE | SUBGRAD, 0, UNARY(ag_stop_gradient), 1, {IN(ANY, 2, 3)}, ""},

    {"sum", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, UNARY(ag_sum), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"sum scalar", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, UNARY(ag_sum), 1, {SCALAR(ANY)}, ""},
    {"sum nothing", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, UNARY(ag_sum), 1, {IN(ANY, 0, 3)}, ""},
    {"sum special", "sum", REAL, REORDERS | LENIENT, 2, UNARY(ag_sum), 1, {IN(SPECIAL, 5)}, ""},
    {"sum_over none", NULL, NUMBER, GRAD | REORDERS | LENIENT, 2, BUILD(sum_over_none), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"sum_over 0", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, BUILD(sum_over_0), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"sum_over 1", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, BUILD(sum_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"sum_over 1 of nothing", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, BUILD(sum_over_1), 1, {IN(ANY, 2, 0, 3)}, ""},
    {"sum_over 0 of nothing", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, BUILD(sum_over_0), 1, {IN(ANY, 2, 0, 3)}, ""},
    {"sum_over last", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, BUILD(sum_over_last), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"sum_over 0,2 kept", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, BUILD(sum_over_02_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"sum_over all kept", "sum", NUMBER, GRAD | REORDERS | LENIENT, 2, BUILD(sum_over_all_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"mean", "mean", REAL, GRAD | REORDERS | LENIENT, 2, UNARY(ag_mean), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"mean nothing", "mean", REAL, REORDERS | LENIENT, 2, UNARY(ag_mean), 1, {IN(ANY, 0)}, ""},
    {"mean_over 1", "mean", REAL, GRAD | REORDERS | LENIENT, 2, BUILD(mean_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"mean_over 0,2 kept", "mean", REAL, GRAD | REORDERS | LENIENT, 2, BUILD(mean_over_02_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"var 0", NULL, REAL, GRAD | REORDERS, 4, BUILD(var_0), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"var 1", NULL, REAL, GRAD | REORDERS, 4, BUILD(var_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"var_over 1", NULL, REAL, GRAD | REORDERS, 4, BUILD(var_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"var_over 0,2 kept", NULL, REAL, GRAD | REORDERS, 4, BUILD(var_over_02_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"max", "max", NUMBER, GRAD, 0, UNARY(ag_max), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"max ties", "max", NUMBER, SUBGRAD, 0, UNARY(ag_max), 1, {IN(TIES, 2, 6)}, ""},
    {"max special", "max", REAL, LENIENT, 0, UNARY(ag_max), 1, {IN(SPECIAL, 16)}, ""},
    {"max_over 1", "max", NUMBER, GRAD, 0, BUILD(max_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"max_over 1 ties", "max", NUMBER, SUBGRAD, 0, BUILD(max_over_1), 1, {IN(TIES, 2, 5, 4)}, ""},
    {"max_over 1 special", "max", REAL, LENIENT, 0, BUILD(max_over_1), 1, {IN(SPECIAL, 3, 4)}, ""},
    {"max_over 0,2 kept", "max", NUMBER, GRAD, 0, BUILD(max_over_02_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"min", "min", NUMBER, GRAD, 0, UNARY(ag_min), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"min ties", "min", NUMBER, SUBGRAD, 0, UNARY(ag_min), 1, {IN(TIES, 2, 6)}, ""},
    {"min special", "min", REAL, LENIENT, 0, UNARY(ag_min), 1, {IN(SPECIAL, 16)}, ""},
    {"min_over 1", "min", NUMBER, GRAD, 0, BUILD(min_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"min_over 1 special", "min", REAL, LENIENT, 0, BUILD(min_over_1), 1, {IN(SPECIAL, 3, 4)}, ""},
    {"min_over 0,2 kept", "min", NUMBER, GRAD, 0, BUILD(min_over_02_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"argmax 0", "argmax", NUMBER, 0, 0, BUILD(argmax_0), 1, {IN(TIES, 5, 4)}, ""},
    {"argmax 1", "argmax", NUMBER, 0, 0, BUILD(argmax_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"argmax last kept", "argmax", NUMBER, 0, 0, BUILD(argmax_last_keep), 1, {IN(TIES, 3, 5)}, ""},
    {"argmax special", "argmax", REAL, LENIENT, 0, BUILD(argmax_1), 1, {IN(SPECIAL, 3, 4)}, ""},

    {"reshape 3,-1", "reshape", ANYTHING, GRAD, 0, BUILD(reshape_3), 1, {IN(ANY, 2, 6)}, ""},
    {"reshape 2,2,3,1", "reshape", ANYTHING, GRAD, 0, BUILD(reshape_222), 1, {IN(ANY, 4, 3)}, ""},
    {"reshape from scalar", "reshape", ANYTHING, GRAD, 0, BUILD(reshape_11), 1, {SCALAR(ANY)}, ""},
    {"reshape to scalar", "reshape", ANYTHING, GRAD, 0, BUILD(reshape_0), 1, {IN(ANY, 1, 1, 1)}, ""},
    {"reshape nothing", "reshape", ANYTHING, GRAD, 0, BUILD(reshape_207), 1, {IN(ANY, 0, 4)}, ""},
    {"transpose 0,2", "permute", ANYTHING, GRAD, 0, BUILD(transpose_02), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"transpose last", "permute", ANYTHING, GRAD, 0, BUILD(transpose_last), 1, {IN(ANY, 2, 3)}, ""},
    {"transpose same", NULL, ANYTHING, GRAD, 0, BUILD(transpose_same), 1, {IN(ANY, 2, 3)}, ""},
    {"transpose nothing", "permute", ANYTHING, GRAD, 0, BUILD(transpose_last), 1, {IN(ANY, 2, 0, 3)}, ""},
    {"permute 2,0,1", "permute", ANYTHING, GRAD, 0, BUILD(permute_201), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"permute -1,0,-2", "permute", ANYTHING, GRAD, 0, BUILD(permute_negative), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"broadcast_to", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(broadcast_to_234), 1, {IN(ANY, 3, 1)}, ""},
    {"broadcast_to from scalar", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(broadcast_to_234), 1, {SCALAR(ANY)}, ""},
    {"broadcast_to nothing", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(broadcast_to_03), 1, {IN(ANY, 1, 3)}, ""},
    {"slice step", "slice", ANYTHING, GRAD, 0, BUILD(slice_step), 1, {IN(ANY, 2, 7)}, ""},
    {"slice back", "slice", ANYTHING, GRAD, 0, BUILD(slice_back), 1, {IN(ANY, 2, 7)}, ""},
    {"slice back step", "slice", ANYTHING, GRAD, 0, BUILD(slice_back_step), 1, {IN(ANY, 2, 7)}, ""},
    {"slice negative", "slice", ANYTHING, GRAD, 0, BUILD(slice_negative), 1, {IN(ANY, 2, 7, 2)}, ""},
    {"slice cut", "slice", ANYTHING, GRAD, 0, BUILD(slice_cut), 1, {IN(ANY, 2, 7)}, ""},
    {"slice cut back", "slice", ANYTHING, GRAD, 0, BUILD(slice_cut_back), 1, {IN(ANY, 2, 7)}, ""},
    {"slice none", "slice", ANYTHING, GRAD, 0, BUILD(slice_none), 1, {IN(ANY, 2, 7)}, ""},
    {"slice wrong way", "slice", ANYTHING, GRAD, 0, BUILD(slice_wrong_way), 1, {IN(ANY, 2, 7)}, ""},
    {"slice ends", NULL, ANYTHING, GRAD, 0, BUILD(slice_ends), 1, {IN(ANY, 3, 2)}, ""},
    {"slice ends back", "slice", ANYTHING, GRAD, 0, BUILD(slice_ends_back), 1, {IN(ANY, 3, 2)}, ""},
    {"slice huge step", "slice", ANYTHING, GRAD, 0, BUILD(slice_huge_step), 1, {IN(ANY, 2, 7)}, ""},
    {"slice of nothing", NULL, ANYTHING, GRAD, 0, BUILD(slice_cut_back), 1, {IN(ANY, 2, 0)}, ""},
    {"flip 0", "slice", ANYTHING, GRAD, 0, BUILD(flip_0), 1, {IN(ANY, 3, 2)}, ""},
    {"flip last", "slice", ANYTHING, GRAD, 0, BUILD(flip_last), 1, {IN(ANY, 2, 1, 3)}, ""},
    {"embed step", "embed", ANYTHING, GRAD, 0, BUILD(embed_step), 1, {IN(ANY, 2, 4, 2)}, ""},
    {"embed back", "embed", ANYTHING, GRAD, 0, BUILD(embed_back), 1, {IN(ANY, 2, 3)}, ""},
    {"embed nothing", "embed", ANYTHING, GRAD, 0, BUILD(embed_none), 1, {IN(ANY, 0, 3)}, ""},
    {"correlation 1", "correlation", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(correlation_1), 2, {IN(ANY, 2, 6, 3), IN(ANY, 3, 3, 2)}, ""},
    {"correlation 2", "correlation", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(correlation_2), 2, {IN(ANY, 2, 4, 5, 4), IN(ANY, 2, 3, 2, 2)}, ""},
    {"correlation 3", "correlation", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(correlation_3), 2, {IN(ANY, 1, 2, 3, 3, 2), IN(ANY, 2, 2, 2, 2, 1)}, ""},
    {"correlation transposed", "correlation", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(correlation_back), 2, {IN(ANY, 2, 2, 3), IN(ANY, 3, 2, 3)}, ""},
    {"correlation of nothing", "correlation", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(correlation_1), 2, {IN(ANY, 0, 6, 3), IN(ANY, 3, 3, 2)}, ""},
    {"correlation no terms", "correlation", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(correlation_1), 2, {IN(ANY, 2, 6, 0), IN(ANY, 3, 0, 2)}, ""},
    {"correlation no channels", "correlation", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(correlation_1), 2, {IN(ANY, 2, 6, 3), IN(ANY, 3, 3, 0)}, ""},
    {"interpolate linear", "interpolate", REAL, GRAD, 8, BUILD(resized_linear), 1, {IN(ANY, 2, 3, 4, 2)}, ""},
    {"interpolate corners", "interpolate", REAL, GRAD, 32, BUILD(resized_corners), 1, {IN(ANY, 1, 3, 4, 3)}, ""},
    {"interpolate cubic", "interpolate", REAL, GRAD, 256, BUILD(resized_cubic), 1, {IN(ANY, 1, 4, 3, 2)}, ""},
    {"interpolate nearest", "interpolate", REAL, GRAD, 0, BUILD(resized_nearest), 1, {IN(ANY, 1, 2, 3, 2, 2)}, ""},
    {"interpolate exact", "interpolate", REAL, GRAD, 0, BUILD(resized_exact), 1, {IN(ANY, 2, 5, 1)}, ""},
    {"interpolate transposed", "interpolate", REAL, GRAD | NO_GOLDEN, 0, UNARY(resized_back), 1, {IN(ANY, 2, 3, 2, 3)}, ""},
    {"interpolate no channels", "interpolate", REAL, GRAD | NO_GOLDEN, 0, BUILD(resized_linear), 1, {IN(ANY, 2, 3, 4, 0)}, ""},
    {"interpolate nothing", "interpolate", REAL, GRAD | NO_GOLDEN, 0, BUILD(resized_linear), 1, {IN(ANY, 0, 3, 4, 2)}, ""},
    {"depthwise 1", "depthwise", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(depthwise_1), 2, {IN(ANY, 2, 6, 3), IN(ANY, 3, 3)}, ""},
    {"depthwise 2", "depthwise", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(depthwise_2), 2, {IN(ANY, 2, 4, 5, 2), IN(ANY, 2, 3, 2)}, ""},
    {"depthwise 3", "depthwise", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(depthwise_3), 2, {IN(ANY, 1, 2, 3, 3, 2), IN(ANY, 2, 2, 2, 2)}, ""},
    {"depthwise transposed", "depthwise", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(depthwise_back), 2, {IN(ANY, 2, 2, 3), IN(ANY, 3, 3)}, ""},
    {"depthwise of nothing", "depthwise", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(depthwise_1), 2, {IN(ANY, 0, 6, 3), IN(ANY, 3, 3)}, ""},
    {"depthwise no channels", "depthwise", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(depthwise_1), 2, {IN(ANY, 2, 6, 0), IN(ANY, 3, 0)}, ""},
    {"windows 1", "windows", ANYTHING, GRAD, 2, BUILD(windows_1), 1, {IN(ANY, 2, 6)}, ""},
    {"windows step", "windows", ANYTHING, GRAD, 2, BUILD(windows_step), 1, {IN(ANY, 2, 8, 3)}, ""},
    {"windows apart", "windows", ANYTHING, GRAD, 0, BUILD(windows_apart), 1, {IN(ANY, 6, 2)}, ""},
    {"windows 1,2", "windows", ANYTHING, GRAD, 4, BUILD(windows_12), 1, {IN(ANY, 2, 3, 5, 2)}, ""},
    {"windows 2,1", "windows", ANYTHING, GRAD, 4, BUILD(windows_21), 1, {IN(ANY, 2, 5, 4)}, ""},
    {"windows all", "windows", ANYTHING, GRAD, 0, BUILD(windows_all), 1, {IN(ANY, 4, 5)}, ""},
    {"windows huge step", "windows", ANYTHING, GRAD, 0, BUILD(windows_huge), 1, {IN(ANY, 2, 6)}, ""},
    {"windows no axes", NULL, ANYTHING, GRAD, 0, BUILD(windows_none), 1, {IN(ANY, 2, 3)}, ""},
    {"windows of nothing", "windows", ANYTHING, GRAD, 0, BUILD(windows_1), 1, {IN(ANY, 0, 6, 2)}, ""},
    {"windows special", "windows", REAL, LENIENT, 0, BUILD(windows_1), 1, {IN(SPECIAL, 2, 8)}, ""},
    {"windows of four axes", "windows", ANYTHING, GRAD | NO_GOLDEN, 2, BUILD(windows_four), 1, {IN(ANY, 3, 2, 2, 1)}, ""},
    {"fold 1", "fold", NUMBER, GRAD, 2, BUILD(fold_1), 1, {IN(ANY, 2, 4, 3)}, ""},
    {"fold step", "fold", NUMBER, GRAD, 2, BUILD(fold_step), 1, {IN(ANY, 2, 3, 3, 3)}, ""},
    {"fold apart", "fold", NUMBER, GRAD, 0, BUILD(fold_apart), 1, {IN(ANY, 2, 2, 2)}, ""},
    {"fold 1,2", "fold", NUMBER, GRAD, 4, BUILD(fold_12), 1, {IN(ANY, 2, 2, 2, 2, 2, 3)}, ""},
    {"fold 2,1", "fold", NUMBER, GRAD, 4, BUILD(fold_21), 1, {IN(ANY, 2, 2, 2, 3, 2)}, ""},
    {"fold all", "fold", NUMBER, GRAD, 0, BUILD(fold_all), 1, {IN(ANY, 2, 2, 2, 2)}, ""},
    {"fold huge step", "fold", NUMBER, GRAD, 0, BUILD(fold_huge), 1, {IN(ANY, 2, 1, 6)}, ""},
    {"fold nothing", "fold", NUMBER, GRAD, 0, BUILD(fold_1), 1, {IN(ANY, 0, 4, 2, 3)}, ""},
    {"fold special", "fold", REAL, LENIENT, 2, BUILD(fold_1), 1, {IN(SPECIAL, 2, 4, 3)}, ""},
    {"squeeze all", "reshape", ANYTHING, GRAD, 0, BUILD(squeeze_all), 1, {IN(ANY, 1, 3, 1, 2)}, ""},
    {"squeeze last", "reshape", ANYTHING, GRAD, 0, BUILD(squeeze_last), 1, {IN(ANY, 1, 3, 1)}, ""},
    {"unsqueeze 0", "reshape", ANYTHING, GRAD, 0, BUILD(unsqueeze_0), 1, {IN(ANY, 2, 3)}, ""},
    {"unsqueeze last", "reshape", ANYTHING, GRAD, 0, BUILD(unsqueeze_last), 1, {SCALAR(ANY)}, ""},
    {"unsqueeze 1", "reshape", ANYTHING, GRAD, 0, BUILD(unsqueeze_1), 1, {IN(ANY, 2, 3)}, ""},
    {"contiguous", "contiguous", ANYTHING, GRAD, 0, BUILD(contiguous), 1, {IN(ANY, 2, 3)}, ""},
    {"concat 1", "concat", ANYTHING, GRAD, 0, BUILD(concat_1), 3, {IN(ANY, 2, 1, 2), IN(ANY, 2, 3, 2), IN(ANY, 2, 0, 2)}, ""},
    {"concat last", "concat", ANYTHING, GRAD, 0, BUILD(concat_last), 2, {IN(ANY, 2, 3), IN(ANY, 2, 2)}, ""},
    {"concat one", NULL, ANYTHING, GRAD, 0, BUILD(concat_one), 1, {IN(ANY, 2, 3)}, ""},
    {"concat 0", "concat", ANYTHING, GRAD, 0, BUILD(concat_0), 3, {IN(ANY, 2), IN(ANY, 1), IN(ANY, 3)}, ""},

    {"matmul", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 2, 4), IN(ANY, 4, 3)}, ""},
    {"matmul outer", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 3, 1), IN(ANY, 1, 4)}, ""},
    {"matmul inner", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 1, 5), IN(ANY, 5, 1)}, ""},
    {"matmul batch", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 2, 2, 3), IN(ANY, 2, 3, 2)}, ""},
    {"matmul broadcast", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 2, 1, 2, 3), IN(ANY, 3, 3, 2)}, ""},
    {"matmul one for all", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 3, 2, 3), IN(ANY, 3, 2)}, ""},
    {"strong_matmul a", "strong_matmul", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BINARY(strong_a), 2, {IN(ANY, 2, 4), IN(ANY, 4, 3)}, ""},
    {"strong_matmul b", "strong_matmul", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BINARY(strong_b), 2, {IN(ANY, 3, 2, 3), IN(ANY, 3, 3, 2)}, ""},
    {"strong_matmul both", "strong_matmul", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BINARY(strong_both), 2, {IN(ANY, 2, 4), IN(ANY, 4, 3)}, ""},
    {"tensordot 0", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_0), 2, {IN(ANY, 2, 3), IN(ANY, 4)}, ""},
    {"tensordot 1", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_1), 2, {IN(ANY, 2, 3, 2), IN(ANY, 2, 2, 2)}, ""},
    {"tensordot 2", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_2), 2, {IN(ANY, 2, 3, 2), IN(ANY, 3, 2, 2)}, ""},
    {"tensordot all", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_2), 2, {IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"strong_tensordot 1", "strong_tensordot", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(strong_tensordot_1), 2, {IN(ANY, 2, 3, 2), IN(ANY, 2, 2, 2)}, ""},
    {"strong_tensordot both", "strong_tensordot", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(strong_tensordot_both), 2, {IN(ANY, 2, 4), IN(ANY, 4, 3)}, ""},
    {"strong_tensordot 2", "strong_tensordot", REAL, GRAD | REORDERS | NO_GOLDEN, 4, BUILD(strong_tensordot_2), 2, {IN(ANY, 2, 3, 2), IN(ANY, 3, 2, 2)}, ""},
    {"tensordot no terms", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_2), 2, {IN(ANY, 2, 3, 0), IN(ANY, 3, 0, 2)}, ""},
    {"tensordot no rows", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_1), 2, {IN(ANY, 0, 2), IN(ANY, 2, 3)}, ""},
    {"matmul no inner", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 2, 0), IN(ANY, 0, 3)}, ""},
    {"matmul no rows", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 0, 2), IN(ANY, 2, 3)}, ""},
    {"matmul no batch", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 0, 2, 3), IN(ANY, 3, 2)}, ""},

    {"gather 0", "gather", ANYTHING, GRAD, 0, BUILD(gather_0), 2, {IN(ANY, 4, 3), INDICES(4, 5, 1)}, ""},
    {"gather 0 full", "gather", ANYTHING, GRAD, 0, BUILD(gather_0), 2, {IN(ANY, 4, 3), INDICES(4, 2, 3)}, ""},
    {"gather 1", "gather", ANYTHING, GRAD, 0, BUILD(gather_1), 2, {IN(ANY, 2, 3, 2), INDICES(3, 2, 4, 2)}, ""},
    {"gather last", "gather", ANYTHING, GRAD, 0, BUILD(gather_last), 2, {IN(ANY, 3, 4), INDICES(4, 3, 1)}, ""},
    {"gather nothing", "gather", ANYTHING, GRAD, 0, BUILD(gather_0), 2, {IN(ANY, 4, 3), INDICES(4, 0, 1)}, ""},
    {"scatter_add 0", "scatter_add", NUMBER, GRAD, 2, BUILD(scatter_add_0), 3, {IN(ANY, 4, 3), INDICES(4, 5, 1), IN(ANY, 5, 3)}, ""},
    {"scatter_add 0 full", "scatter_add", NUMBER, GRAD, 2, BUILD(scatter_add_0), 3, {IN(ANY, 2, 3), INDICES(2, 4, 3), IN(ANY, 4, 3)}, ""},
    {"scatter_add 1", "scatter_add", NUMBER, GRAD, 2, BUILD(scatter_add_1), 3, {IN(ANY, 2, 3), INDICES(3, 1, 4), IN(ANY, 2, 1)}, ""},
    {"scatter_add nothing", "scatter_add", NUMBER, GRAD, 2, BUILD(scatter_add_0), 3, {IN(ANY, 2, 3), INDICES(2, 0, 1), IN(ANY, 0, 3)}, ""},

    {"logsumexp 1", NULL, REAL, GRAD | REORDERS, 4, BUILD(logsumexp_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"logsumexp 0 kept", NULL, REAL, GRAD | REORDERS, 4, BUILD(logsumexp_0_keep), 1, {IN(ANY, 3, 4)}, ""},
    {"surprisal 1", NULL, REAL, GRAD | REORDERS, 6, BUILD(surprisal_1), 2, {IN(ANY, 2, 3, 2), INDICES(3, 2, 4, 2)}, ""},
    {"softmax 0", NULL, REAL, GRAD | REORDERS, 6, BUILD(softmax_0), 1, {IN(ANY, 3, 4)}, ""},
    {"softmax last", NULL, REAL, GRAD | REORDERS, 6, BUILD(softmax_last), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"softmax one", NULL, REAL, GRAD | REORDERS, 6, BUILD(softmax_last), 1, {IN(ANY, 3, 1)}, ""},
    {"softmax nothing", NULL, REAL, GRAD | REORDERS, 6, BUILD(softmax_last), 1, {IN(ANY, 0, 3)}, ""},
    {"log_softmax 0", NULL, REAL, GRAD | REORDERS, 6, BUILD(log_softmax_0), 1, {IN(ANY, 3, 4)}, ""},
    {"log_softmax last", NULL, REAL, GRAD | REORDERS, 6, BUILD(log_softmax_last), 1, {IN(ANY, 2, 3, 4)}, ""},
    {.name = NULL},
};
/* clang-format on */

/* ---- Listed operations ---- */

static const case_exception exceptions[] = {
    {"rsqrt", 2, 0}, {"sigmoid", 3, 0}, {"strong_div", 0, NO_GOLDEN}, {"strong_mul", 0, NO_GOLDEN},
    {"tanh", 3, 0},  {NULL, 0, 0}};

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double rsqrt(double x) { return 1 / sqrt(x); }
static long double sigmoid_l(long double x) { return 1 / (1 + expl(-x)); }
static long double rsqrt_l(long double x) { return 1 / sqrtl(x); }

static const case_reference references[] = {
    {"cos", 1, cos, cosl},         {"exp", 1, exp, expl},
    {"expm1", 1.5, expm1, expm1l}, {"log", 1, log, logl},
    {"log1p", 1, log1p, log1pl},   {"rsqrt", 1.5, rsqrt, rsqrt_l},
    {"sin", 1, sin, sinl},         {"sigmoid", 1.5, sigmoid, sigmoid_l},
    {"sqrt", 0.501, sqrt, sqrtl},  {"tanh", 1.5, tanh, tanhl},
    {NULL, 0, NULL, NULL},
};

const case_family cases_basic = {rows, exceptions, references};
