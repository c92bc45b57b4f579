/* functions -- the functions of expressions: the library's operations and losses
 *
 * Operations of one or two tensors, and of a tensor and a number, are taken from the list of operations.
 *
 * Invariant: parameters of the text and slots of the call correspond by number. */
#include "examples/explain/explain.h"
#include "nn/nn.h"
#include "ops/list.h"

#include <math.h>
#include <string.h>

/* ---- The contents of slots */

static ag_tensor *tensor(const call *c, int i) { return c->slots[i].tensor; }

static double real(const call *c, int i, double otherwise) {
    return c->slots[i].given ? c->slots[i].number : otherwise;
}

static int64_t whole(const call *c, int i, int64_t otherwise) {
    return c->slots[i].given ? c->slots[i].whole[0] : otherwise;
}

static int axis(const call *c, int i, int otherwise) { return (int)whole(c, i, otherwise); }

static bool flag(const call *c, int i) { return c->slots[i].given && c->slots[i].number != 0; }

static ag_axes axes(const call *c, int i) {
    ag_axes result = {c->slots[i].given ? c->slots[i].count : -1, {0}};
    for (int k = 0; k < c->slots[i].count; k++) result.axis[k] = (int)c->slots[i].whole[k];
    return result;
}

static ag_shape shape(const call *c, int i) {
    ag_shape result = {c->slots[i].count, {0}};
    memcpy(result.extent, c->slots[i].whole, sizeof result.extent);
    return result;
}

/* ---- Functions with options */

static ag_tensor *do_sum(const call *c) { return ag_sum_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_mean(const call *c) { return ag_mean_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_max(const call *c) { return ag_max_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_min(const call *c) { return ag_min_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_var(const call *c) { return ag_var_over(tensor(c, 0), axes(c, 1), real(c, 2, 0), flag(c, 3)); }
static ag_tensor *do_prod(const call *c) { return ag_prod_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_std(const call *c) { return ag_std_over(tensor(c, 0), axes(c, 1), real(c, 2, 0), flag(c, 3)); }
static ag_tensor *do_norm(const call *c) { return ag_norm_over(tensor(c, 0), axes(c, 1), real(c, 2, 2), flag(c, 3)); }
static ag_tensor *do_median(const call *c) { return ag_median_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_all(const call *c) { return ag_all_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_any(const call *c) { return ag_any_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_cumsum(const call *c) { return ag_cumsum(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_cumprod(const call *c) { return ag_cumprod(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_cummax(const call *c) { return ag_cummax(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_cummin(const call *c) { return ag_cummin(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_logcumsumexp(const call *c) { return ag_logcumsumexp(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_diff(const call *c) { return ag_diff(tensor(c, 0), 1, axis(c, 1, -1)); }
static ag_tensor *do_sort(const call *c) { return ag_sort(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_argsort(const call *c) { return ag_argsort(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_argmin(const call *c) { return ag_argmin(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_argmax(const call *c) { return ag_argmax(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_logsumexp(const call *c) { return ag_logsumexp(tensor(c, 0), axis(c, 1, -1), flag(c, 2)); }
static ag_tensor *do_surprisal(const call *c) { return ag_surprisal(tensor(c, 0), tensor(c, 1), axis(c, 2, -1)); }
static ag_tensor *do_softmax(const call *c) { return ag_softmax(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_log_softmax(const call *c) { return ag_log_softmax(tensor(c, 0), axis(c, 1, -1)); }

static ag_tensor *do_where(const call *c) { return ag_where(tensor(c, 0), tensor(c, 1), tensor(c, 2)); }
static ag_tensor *do_clamp(const call *c) { return ag_clamp(tensor(c, 0), real(c, 1, 0), real(c, 2, 0)); }
static ag_tensor *do_int(const call *c) { return ag_cast(tensor(c, 0), AG_I64); }
static ag_tensor *do_float(const call *c) { return ag_cast(tensor(c, 0), AG_F64); }

static ag_tensor *do_reshape(const call *c) { return ag_reshape(tensor(c, 0), shape(c, 1)); }
static ag_tensor *do_broadcast_to(const call *c) { return ag_broadcast_to(tensor(c, 0), shape(c, 1)); }
static ag_tensor *do_tensordot(const call *c) { return ag_tensordot(tensor(c, 0), tensor(c, 1), (int)whole(c, 2, 1)); }
static ag_tensor *do_transpose(const call *c) { return ag_transpose(tensor(c, 0), axis(c, 1, -2), axis(c, 2, -1)); }
static ag_tensor *do_permute(const call *c) { return ag_permute(tensor(c, 0), axes(c, 1)); }
static ag_tensor *do_flip(const call *c) { return ag_flip(tensor(c, 0), axis(c, 1, 0)); }
static ag_tensor *do_squeeze(const call *c) { return ag_squeeze(tensor(c, 0), axes(c, 1)); }
static ag_tensor *do_unsqueeze(const call *c) { return ag_unsqueeze(tensor(c, 0), axis(c, 1, 0)); }
static ag_tensor *do_slice(const call *c) {
    return ag_slice(tensor(c, 0), axis(c, 1, 0), whole(c, 2, AG_END), whole(c, 3, AG_END), whole(c, 4, 1));
}
static ag_tensor *do_embed(const call *c) {
    return ag_embed(tensor(c, 0), axis(c, 1, 0), whole(c, 2, 0), whole(c, 3, 0), whole(c, 4, 1));
}
static ag_tensor *do_windows(const call *c) { return ag_windows(tensor(c, 0), axes(c, 1), shape(c, 2), shape(c, 3)); }
static ag_tensor *do_fold(const call *c) { return ag_fold(tensor(c, 0), axes(c, 1), shape(c, 2), shape(c, 3)); }
static ag_tensor *do_concat(const call *c) { return ag_concat(c->more, c->tensors, axis(c, 0, 0)); }

static ag_tensor *do_gather(const call *c) { return ag_gather(tensor(c, 0), tensor(c, 1), axis(c, 2, 0)); }
static ag_tensor *do_scatter_add(const call *c) {
    return ag_scatter_add(tensor(c, 0), tensor(c, 1), tensor(c, 2), axis(c, 3, 0));
}

static ag_tensor *do_index_select(const call *c) { return ag_index_select(tensor(c, 0), tensor(c, 1), axis(c, 2, 0)); }
static ag_tensor *do_take_along_axis(const call *c) {
    return ag_take_along_axis(tensor(c, 0), tensor(c, 1), axis(c, 2, 0));
}
static ag_tensor *do_scatter(const call *c) {
    return ag_scatter(tensor(c, 0), tensor(c, 1), tensor(c, 2), axis(c, 3, 0));
}
static ag_tensor *do_scatter_max(const call *c) {
    return ag_scatter_max(tensor(c, 0), tensor(c, 1), tensor(c, 2), axis(c, 3, 0));
}
static ag_tensor *do_one_hot(const call *c) { return ag_one_hot(tensor(c, 0), whole(c, 1, 0), AG_F64); }
static ag_tensor *do_stack(const call *c) { return ag_stack(c->more, c->tensors, axis(c, 0, 0)); }
static ag_tensor *do_flatten(const call *c) { return ag_flatten(tensor(c, 0), axis(c, 1, 0), axis(c, 2, -1)); }
static ag_tensor *do_polygamma(const call *c) { return ag_polygamma((int)whole(c, 1, 1), tensor(c, 0)); }
static ag_tensor *do_roll(const call *c) { return ag_roll(tensor(c, 0), whole(c, 1, 1), axis(c, 2, 0)); }
static ag_tensor *do_tile(const call *c) { return ag_tile(tensor(c, 0), shape(c, 1)); }
static ag_tensor *do_pad(const call *c) { return ag_pad(tensor(c, 0), axes(c, 1), shape(c, 2), shape(c, 3)); }
static ag_tensor *do_diag(const call *c) { return ag_diag(tensor(c, 0), whole(c, 1, 0)); }
static ag_tensor *do_tril(const call *c) { return ag_tril(tensor(c, 0), whole(c, 1, 0)); }
static ag_tensor *do_triu(const call *c) { return ag_triu(tensor(c, 0), whole(c, 1, 0)); }
static ag_tensor *do_eye(const call *c) {
    return ag_eye(c->tape, AG_F64, whole(c, 0, 0), whole(c, 1, whole(c, 0, 0)), whole(c, 2, 0));
}
static ag_tensor *do_linspace(const call *c) {
    return ag_linspace(c->tape, AG_F64, real(c, 0, 0), real(c, 1, 0), whole(c, 2, 0));
}

static ag_tensor *do_leaky_relu(const call *c) { return ag_leaky_relu(tensor(c, 0), real(c, 1, 0)); }
static ag_tensor *do_elu(const call *c) { return ag_elu(tensor(c, 0), real(c, 1, 1)); }
static ag_tensor *do_celu(const call *c) { return ag_celu(tensor(c, 0), real(c, 1, 1)); }
static ag_tensor *do_hardtanh(const call *c) { return ag_hardtanh(tensor(c, 0), real(c, 1, -1), real(c, 2, 1)); }
static ag_tensor *do_softshrink(const call *c) { return ag_softshrink(tensor(c, 0), real(c, 1, 0)); }
static ag_tensor *do_movedim(const call *c) { return ag_movedim(tensor(c, 0), axes(c, 1), axes(c, 2)); }
static ag_tensor *do_swapaxes(const call *c) { return ag_swapaxes(tensor(c, 0), axis(c, 1, 0), axis(c, 2, 0)); }
static ag_tensor *do_unflatten(const call *c) { return ag_unflatten(tensor(c, 0), axis(c, 1, 0), shape(c, 2)); }
static ag_tensor *do_rot90(const call *c) { return ag_rot90(tensor(c, 0), whole(c, 1, 1), axes(c, 2)); }
static ag_tensor *do_repeat(const call *c) { return ag_repeat(tensor(c, 0), shape(c, 1)); }
static ag_tensor *do_repeat_interleave(const call *c) {
    return ag_repeat_interleave(tensor(c, 0), whole(c, 1, 1), axis(c, 2, 0));
}
static ag_tensor *do_repeat_interleave_by(const call *c) {
    return ag_repeat_interleave_by(tensor(c, 0), tensor(c, 1), axis(c, 2, 0));
}
static ag_tensor *do_diagonal(const call *c) {
    return ag_diagonal(tensor(c, 0), whole(c, 1, 0), axis(c, 2, -2), axis(c, 3, -1));
}
static ag_tensor *do_diag_embed(const call *c) {
    return ag_diag_embed(tensor(c, 0), whole(c, 1, 0), axis(c, 2, -2), axis(c, 3, -1));
}
static ag_tensor *do_histogram(const call *c) {
    return ag_histogram(tensor(c, 0), whole(c, 1, 0), real(c, 2, 0), real(c, 3, 0));
}
static ag_tensor *do_histogram_between(const call *c) {
    return ag_histogram_between(tensor(c, 0), tensor(c, 1), tensor(c, 2));
}
static ag_tensor *do_bincount(const call *c) { return ag_bincount(tensor(c, 0), tensor(c, 1), whole(c, 2, 0)); }
static ag_tensor *do_fft(const call *c) { return ag_fft(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_ifft(const call *c) { return ag_ifft(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_rfft(const call *c) { return ag_rfft(tensor(c, 0), axis(c, 1, -1)); }
static ag_tensor *do_irfft(const call *c) { return ag_irfft(tensor(c, 0), whole(c, 1, 0), axis(c, 2, -1)); }
static ag_tensor *do_index_add(const call *c) {
    return ag_index_add(tensor(c, 0), tensor(c, 1), tensor(c, 2), axis(c, 3, 0));
}
static ag_tensor *do_scatter_min(const call *c) {
    return ag_scatter_min(tensor(c, 0), tensor(c, 1), tensor(c, 2), axis(c, 3, 0));
}
static ag_tensor *do_masked_fill(const call *c) { return ag_masked_fill(tensor(c, 0), tensor(c, 1), real(c, 2, 0)); }
static ag_tensor *do_masked_scatter(const call *c) {
    return ag_masked_scatter(tensor(c, 0), tensor(c, 1), tensor(c, 2));
}
static ag_tensor *do_solve_triangular(const call *c) {
    return ag_solve_triangular(tensor(c, 0), tensor(c, 1), flag(c, 2), flag(c, 3));
}
static ag_tensor *do_matrix_power(const call *c) { return ag_matrix_power(tensor(c, 0), whole(c, 1, 1)); }
static ag_tensor *do_lstsq(const call *c) { return ag_lstsq(tensor(c, 0), tensor(c, 1), real(c, 2, -1)); }
static ag_tensor *do_pinv(const call *c) { return ag_pinv(tensor(c, 0), real(c, 1, -1)); }
static ag_tensor *do_matrix_rank(const call *c) { return ag_matrix_rank(tensor(c, 0), real(c, 1, -1)); }
static ag_tensor *do_nan_to_num_as(const call *c) {
    return ag_nan_to_num_as(tensor(c, 0), real(c, 1, 0), real(c, 2, 0), real(c, 3, 0));
}
static ag_tensor *do_clamp_min(const call *c) { return ag_clamp_min(tensor(c, 0), real(c, 1, 0)); }
static ag_tensor *do_clamp_max(const call *c) { return ag_clamp_max(tensor(c, 0), real(c, 1, 0)); }
static ag_tensor *do_clamp_between(const call *c) { return ag_clamp_between(tensor(c, 0), tensor(c, 1), tensor(c, 2)); }
static ag_tensor *do_cross(const call *c) { return ag_cross(tensor(c, 0), tensor(c, 1), axis(c, 2, -1)); }
static ag_tensor *do_lerp(const call *c) { return ag_lerp(tensor(c, 0), tensor(c, 1), tensor(c, 2)); }
static ag_tensor *do_betainc(const call *c) { return ag_betainc(tensor(c, 0), tensor(c, 1), tensor(c, 2)); }
static ag_tensor *do_searchsorted(const call *c) { return ag_searchsorted(tensor(c, 0), tensor(c, 1), flag(c, 2)); }
static ag_tensor *do_full_like(const call *c) { return ag_full_like(tensor(c, 0), real(c, 1, 0)); }
static ag_tensor *do_arange_with(const call *c) {
    return ag_arange_with(c->tape, AG_F64, real(c, 0, 0), real(c, 1, 0), real(c, 2, 1));
}
static ag_tensor *do_logspace(const call *c) {
    return ag_logspace(c->tape, AG_F64, real(c, 0, 0), real(c, 1, 0), whole(c, 2, 0), real(c, 3, 10));
}
static ag_tensor *do_quantile(const call *c) {
    return ag_quantile_over(tensor(c, 0), axes(c, 2), real(c, 1, 0), flag(c, 3));
}
static ag_tensor *do_sum_where(const call *c) {
    return ag_sum_where(tensor(c, 0), tensor(c, 1), axes(c, 2), flag(c, 3));
}
static ag_tensor *do_prod_where(const call *c) {
    return ag_prod_where(tensor(c, 0), tensor(c, 1), axes(c, 2), flag(c, 3));
}
static ag_tensor *do_mean_where(const call *c) {
    return ag_mean_where(tensor(c, 0), tensor(c, 1), axes(c, 2), flag(c, 3));
}
static ag_tensor *do_var_where(const call *c) {
    return ag_var_where(tensor(c, 0), tensor(c, 1), axes(c, 2), real(c, 3, 0), flag(c, 4));
}
static ag_tensor *do_std_where(const call *c) {
    return ag_std_where(tensor(c, 0), tensor(c, 1), axes(c, 2), real(c, 3, 0), flag(c, 4));
}
static ag_tensor *do_max_where(const call *c) {
    return ag_max_where(tensor(c, 0), tensor(c, 1), axes(c, 2), real(c, 3, -INFINITY), flag(c, 4));
}
static ag_tensor *do_min_where(const call *c) {
    return ag_min_where(tensor(c, 0), tensor(c, 1), axes(c, 2), real(c, 3, INFINITY), flag(c, 4));
}
static ag_tensor *do_nansum(const call *c) { return ag_nansum(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_nanprod(const call *c) { return ag_nanprod(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_nanmean(const call *c) { return ag_nanmean(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_nanmax(const call *c) { return ag_nanmax(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_nanmin(const call *c) { return ag_nanmin(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_nanvar(const call *c) { return ag_nanvar(tensor(c, 0), axes(c, 1), real(c, 2, 0), flag(c, 3)); }
static ag_tensor *do_nanstd(const call *c) { return ag_nanstd(tensor(c, 0), axes(c, 1), real(c, 2, 0), flag(c, 3)); }
static ag_tensor *do_hstack(const call *c) { return ag_hstack(c->more, c->tensors); }
static ag_tensor *do_vstack(const call *c) { return ag_vstack(c->more, c->tensors); }
static ag_tensor *do_dstack(const call *c) { return ag_dstack(c->more, c->tensors); }
static ag_tensor *do_count_nonzero(const call *c) {
    return ag_count_nonzero_over(tensor(c, 0), axes(c, 1), flag(c, 2));
}
static ag_tensor *do_ptp(const call *c) { return ag_ptp_over(tensor(c, 0), axes(c, 1), flag(c, 2)); }
static ag_tensor *do_matrix_trace(const call *c) {
    return ag_matrix_trace_over(tensor(c, 0), whole(c, 1, 0), axis(c, 2, -2), axis(c, 3, -1));
}

static ag_tensor *do_zeros(const call *c) { return ag_zeros(c->tape, AG_F64, shape(c, 0)); }
static ag_tensor *do_ones(const call *c) { return ag_ones(c->tape, AG_F64, shape(c, 0)); }
static ag_tensor *do_full(const call *c) { return ag_full(c->tape, AG_F64, shape(c, 0), real(c, 1, 0)); }
static ag_tensor *do_arange(const call *c) { return ag_arange(c->tape, AG_F64, whole(c, 0, 0)); }
static ag_tensor *do_uniform(const call *c) {
    return ag_uniform(c->tape, AG_F64, shape(c, 0), real(c, 1, 0), real(c, 2, 1));
}
static ag_tensor *do_normal(const call *c) {
    return ag_normal(c->tape, AG_F64, shape(c, 0), real(c, 1, 0), real(c, 2, 1));
}

/* ---- The table */

static const function functions[] = {
    {"all", "x axis%? keepdims!?", NULL, NULL, do_all},
    {"any", "x axis%? keepdims!?", NULL, NULL, do_any},
    {"arange", "n%", NULL, NULL, do_arange},
    {"arange_with", "start# stop# step#", NULL, NULL, do_arange_with},
    {"argmax", "x axis%? keepdims!?", NULL, NULL, do_argmax},
    {"argmin", "x axis%? keepdims!?", NULL, NULL, do_argmin},
    {"argsort", "x axis%? descending!?", NULL, NULL, do_argsort},
    {"betainc", "a b x", NULL, NULL, do_betainc},
    {"binary_cross_entropy", "scores targets", NULL, ag_binary_cross_entropy, NULL},
    {"binary_nll", "p targets", NULL, ag_binary_nll, NULL},
    {"bincount", "x weights n%", NULL, NULL, do_bincount},
    {"broadcast_to", "x shape%", NULL, NULL, do_broadcast_to},
    {"celu", "x alpha#?", NULL, NULL, do_celu},
    {"cholesky", "x", ag_cholesky, NULL, NULL},
    {"clamp", "x low# high#", NULL, NULL, do_clamp},
    {"clamp_between", "x low high", NULL, NULL, do_clamp_between},
    {"clamp_max", "x high#", NULL, NULL, do_clamp_max},
    {"clamp_min", "x low#", NULL, NULL, do_clamp_min},
    {"complex", "re im", NULL, ag_complex, NULL},
    {"complex_abs", "x", ag_complex_abs, NULL, NULL},
    {"complex_conj", "x", ag_complex_conj, NULL, NULL},
    {"complex_mul", "a b", NULL, ag_complex_mul, NULL},
    {"concat", "axis%? *", NULL, NULL, do_concat},
    {"contiguous", "x", ag_contiguous, NULL, NULL},
    {"count_nonzero", "x axis%? keepdims!?", NULL, NULL, do_count_nonzero},
    {"cross", "a b axis%?", NULL, NULL, do_cross},
    {"cross_entropy", "scores labels", NULL, ag_cross_entropy, NULL},
    {"cummax", "x axis%?", NULL, NULL, do_cummax},
    {"cummin", "x axis%?", NULL, NULL, do_cummin},
    {"cumprod", "x axis%?", NULL, NULL, do_cumprod},
    {"cumsum", "x axis%?", NULL, NULL, do_cumsum},
    {"det", "x", ag_det, NULL, NULL},
    {"diag", "x offset%?", NULL, NULL, do_diag},
    {"diag_embed", "x offset%? axis0%? axis1%?", NULL, NULL, do_diag_embed},
    {"diagonal", "x offset%? axis0%? axis1%?", NULL, NULL, do_diagonal},
    {"diff", "x axis%?", NULL, NULL, do_diff},
    {"dot", "a b", NULL, ag_dot, NULL},
    {"dstack", "*", NULL, NULL, do_dstack},
    {"eigvalsh", "x", ag_eigvalsh, NULL, NULL},
    {"elu", "x alpha#?", NULL, NULL, do_elu},
    {"embed", "x axis% n% start%? step%?", NULL, NULL, do_embed},
    {"expand_as", "x like", NULL, ag_expand_as, NULL},
    {"eye", "m% n%? offset%?", NULL, NULL, do_eye},
    {"fft", "x axis%?", NULL, NULL, do_fft},
    {"flatten", "x first%? last%?", NULL, NULL, do_flatten},
    {"flip", "x axis%?", NULL, NULL, do_flip},
    {"float", "x", NULL, NULL, do_float},
    {"fold", "x axis% extent% step%", NULL, NULL, do_fold},
    {"frac", "x", ag_frac, NULL, NULL},
    {"full", "shape% value#", NULL, NULL, do_full},
    {"full_like", "x value#", NULL, NULL, do_full_like},
    {"gammainc", "a x", NULL, ag_gammainc, NULL},
    {"gammaincc", "a x", NULL, ag_gammaincc, NULL},
    {"gather", "x index axis%?", NULL, NULL, do_gather},
    {"gelu_tanh", "x", ag_gelu_tanh, NULL, NULL},
    {"greater", "a b", NULL, ag_greater, NULL},
    {"greater_equal", "a b", NULL, ag_greater_equal, NULL},
    {"hardsigmoid", "x", ag_hardsigmoid, NULL, NULL},
    {"hardswish", "x", ag_hardswish, NULL, NULL},
    {"hardtanh", "x low#? high#?", NULL, NULL, do_hardtanh},
    {"hinge", "scores labels", NULL, ag_hinge, NULL},
    {"histogram", "x bins% low# high#", NULL, NULL, do_histogram},
    {"histogram_between", "x edges weights", NULL, NULL, do_histogram_between},
    {"hstack", "*", NULL, NULL, do_hstack},
    {"ifft", "x axis%?", NULL, NULL, do_ifft},
    {"index_add", "x index source axis%?", NULL, NULL, do_index_add},
    {"index_select", "x index axis%?", NULL, NULL, do_index_select},
    {"inner", "a b", NULL, ag_inner, NULL},
    {"int", "x", NULL, NULL, do_int},
    {"inverse", "x", ag_inverse, NULL, NULL},
    {"irfft", "x n%? axis%?", NULL, NULL, do_irfft},
    {"kl_divergence", "log_q p", NULL, ag_kl_divergence, NULL},
    {"kron", "a b", NULL, ag_kron, NULL},
    {"l1", "x target", NULL, ag_l1, NULL},
    {"leaky_relu", "x slope#", NULL, NULL, do_leaky_relu},
    {"lerp", "a b w", NULL, NULL, do_lerp},
    {"linspace", "start# stop# n%", NULL, NULL, do_linspace},
    {"log_softmax", "x axis%?", NULL, NULL, do_log_softmax},
    {"logcumsumexp", "x axis%?", NULL, NULL, do_logcumsumexp},
    {"logsigmoid", "x", ag_logsigmoid, NULL, NULL},
    {"logspace", "start# stop# n% base#?", NULL, NULL, do_logspace},
    {"logsumexp", "x axis%? keepdims!?", NULL, NULL, do_logsumexp},
    {"lstsq", "a b rcond#?", NULL, NULL, do_lstsq},
    {"masked_fill", "x mask value#", NULL, NULL, do_masked_fill},
    {"masked_scatter", "x mask source", NULL, NULL, do_masked_scatter},
    {"masked_select", "x mask", NULL, ag_masked_select, NULL},
    {"matmul", "a b", NULL, ag_matmul, NULL},
    {"matrix_exp", "x", ag_matrix_exp, NULL, NULL},
    {"matrix_power", "a n%", NULL, NULL, do_matrix_power},
    {"matrix_rank", "a rcond#?", NULL, NULL, do_matrix_rank},
    {"matrix_trace", "x offset%? axis0%? axis1%?", NULL, NULL, do_matrix_trace},
    {"max", "x axis%? keepdims!?", NULL, NULL, do_max},
    {"max_where", "x mask axis%? initial#? keepdims!?", NULL, NULL, do_max_where},
    {"mean", "x axis%? keepdims!?", NULL, NULL, do_mean},
    {"mean_where", "x mask axis%? keepdims!?", NULL, NULL, do_mean_where},
    {"median", "x axis%? keepdims!?", NULL, NULL, do_median},
    {"min", "x axis%? keepdims!?", NULL, NULL, do_min},
    {"min_where", "x mask axis%? initial#? keepdims!?", NULL, NULL, do_min_where},
    {"mish", "x", ag_mish, NULL, NULL},
    {"movedim", "x source% destination%", NULL, NULL, do_movedim},
    {"mse", "x target", NULL, ag_mse, NULL},
    {"nan_to_num", "x", ag_nan_to_num, NULL, NULL},
    {"nan_to_num_as", "x nan# high# low#", NULL, NULL, do_nan_to_num_as},
    {"nanmax", "x axis%? keepdims!?", NULL, NULL, do_nanmax},
    {"nanmean", "x axis%? keepdims!?", NULL, NULL, do_nanmean},
    {"nanmin", "x axis%? keepdims!?", NULL, NULL, do_nanmin},
    {"nanprod", "x axis%? keepdims!?", NULL, NULL, do_nanprod},
    {"nanstd", "x axis%? correction#? keepdims!?", NULL, NULL, do_nanstd},
    {"nansum", "x axis%? keepdims!?", NULL, NULL, do_nansum},
    {"nanvar", "x axis%? correction#? keepdims!?", NULL, NULL, do_nanvar},
    {"nll", "log_p labels", NULL, ag_nll, NULL},
    {"nonzero", "x", ag_nonzero, NULL, NULL},
    {"norm", "x axis%? p#? keepdims!?", NULL, NULL, do_norm},
    {"normal", "shape% mean#? std#?", NULL, NULL, do_normal},
    {"one_hot", "index n%", NULL, NULL, do_one_hot},
    {"ones", "shape%", NULL, NULL, do_ones},
    {"ones_like", "x", ag_ones_like, NULL, NULL},
    {"outer", "a b", NULL, ag_outer, NULL},
    {"pad", "x axis% before% after%", NULL, NULL, do_pad},
    {"permute", "x order%", NULL, NULL, do_permute},
    {"pinv", "a rcond#?", NULL, NULL, do_pinv},
    {"poisson_nll", "x target", NULL, ag_poisson_nll, NULL},
    {"prelu", "x slope", NULL, ag_prelu, NULL},
    {"polygamma", "x n%?", NULL, NULL, do_polygamma},
    {"prod", "x axis%? keepdims!?", NULL, NULL, do_prod},
    {"prod_where", "x mask axis%? keepdims!?", NULL, NULL, do_prod_where},
    {"ptp", "x axis%? keepdims!?", NULL, NULL, do_ptp},
    {"quantile", "x q# axis%? keepdims!?", NULL, NULL, do_quantile},
    {"reciprocal", "x", ag_reciprocal, NULL, NULL},
    {"repeat", "x times%", NULL, NULL, do_repeat},
    {"repeat_interleave", "x times% axis%?", NULL, NULL, do_repeat_interleave},
    {"repeat_interleave_by", "x counts axis%?", NULL, NULL, do_repeat_interleave_by},
    {"reshape", "x shape%", NULL, NULL, do_reshape},
    {"rfft", "x axis%?", NULL, NULL, do_rfft},
    {"roll", "x shift% axis%?", NULL, NULL, do_roll},
    {"rot90", "x times%? axis%", NULL, NULL, do_rot90},
    {"scatter", "x index source axis%?", NULL, NULL, do_scatter},
    {"scatter_add", "x index source axis%?", NULL, NULL, do_scatter_add},
    {"scatter_max", "x index source axis%?", NULL, NULL, do_scatter_max},
    {"scatter_min", "x index source axis%?", NULL, NULL, do_scatter_min},
    {"searchsorted", "sorted x right!?", NULL, NULL, do_searchsorted},
    {"selu", "x", ag_selu, NULL, NULL},
    {"silu", "x", ag_silu, NULL, NULL},
    {"slice", "x axis%? start%? stop%? step%?", NULL, NULL, do_slice},
    {"soft_margin", "scores signs", NULL, ag_soft_margin, NULL},
    {"softmax", "x axis%?", NULL, NULL, do_softmax},
    {"softshrink", "x threshold#", NULL, NULL, do_softshrink},
    {"solve", "a b", NULL, ag_solve, NULL},
    {"solve_triangular", "a b upper!? unit!?", NULL, NULL, do_solve_triangular},
    {"sort", "x axis%? descending!?", NULL, NULL, do_sort},
    {"squeeze", "x axis%?", NULL, NULL, do_squeeze},
    {"stack", "axis%? *", NULL, NULL, do_stack},
    {"std", "x axis%? correction#? keepdims!?", NULL, NULL, do_std},
    {"std_where", "x mask axis%? correction#? keepdims!?", NULL, NULL, do_std_where},
    {"stop_gradient", "x", ag_stop_gradient, NULL, NULL},
    {"strong_matmul", "a b", NULL, ag_strong_matmul, NULL},
    {"sum", "x axis%? keepdims!?", NULL, NULL, do_sum},
    {"sum_where", "x mask axis%? keepdims!?", NULL, NULL, do_sum_where},
    {"surprisal", "x index axis%?", NULL, NULL, do_surprisal},
    {"svdvals", "x", ag_svdvals, NULL, NULL},
    {"swapaxes", "x axis0% axis1%", NULL, NULL, do_swapaxes},
    {"take_along_axis", "x index axis%?", NULL, NULL, do_take_along_axis},
    {"tensordot", "a b axes%?", NULL, NULL, do_tensordot},
    {"tile", "x times%", NULL, NULL, do_tile},
    {"transpose", "x axis0%? axis1%?", NULL, NULL, do_transpose},
    {"tril", "x offset%?", NULL, NULL, do_tril},
    {"triu", "x offset%?", NULL, NULL, do_triu},
    {"unflatten", "x axis% extents%", NULL, NULL, do_unflatten},
    {"uniform", "shape% low#? high#?", NULL, NULL, do_uniform},
    {"unsqueeze", "x axis%", NULL, NULL, do_unsqueeze},
    {"var", "x axis%? correction#? keepdims!?", NULL, NULL, do_var},
    {"var_where", "x mask axis%? correction#? keepdims!?", NULL, NULL, do_var_where},
    {"vdot", "a b", NULL, ag_vdot, NULL},
    {"vstack", "*", NULL, NULL, do_vstack},
    {"where", "condition a b", NULL, NULL, do_where},
    {"windows", "x axis% size% step%", NULL, NULL, do_windows},
    {"zeros", "shape%", NULL, NULL, do_zeros},
    {"zeros_like", "x", ag_zeros_like, NULL, NULL},
};

/* Operations of a tensor and a number. */
#define DO_NUMBER(name)                                                                                                \
    static ag_tensor *do_##name(const call *c) { return ag_##name(tensor(c, 0), real(c, 1, 0)); }
#define DO_NUMBER_FIRST(name)                                                                                          \
    static ag_tensor *do_##name(const call *c) { return ag_##name(real(c, 0, 0), tensor(c, 1)); }
#define DO_UNARY(name)
#define DO_BINARY(name)
#define DO_INNER(name)
#define DO_OTHER(name)
#define DO(kind, name) DO_##kind(name)
AG_OPS(DO)

#define LINE_UNARY(name) {#name, "x", ag_##name, NULL, NULL},
#define LINE_BINARY(name) {#name, "a b", NULL, ag_##name, NULL},
#define LINE_NUMBER(name) {#name, "x s#", NULL, NULL, do_##name},
#define LINE_NUMBER_FIRST(name) {#name, "s# x", NULL, NULL, do_##name},
#define LINE_INNER(name)
#define LINE_OTHER(name)
#define LINE(kind, name) LINE_##kind(name)

static const function plain[] = {AG_OPS(LINE)};

enum { WITH_OPTIONS = sizeof functions / sizeof *functions, PLAIN = sizeof plain / sizeof *plain };

static const function *any_function(int i) { return i < WITH_OPTIONS ? &functions[i] : &plain[i - WITH_OPTIONS]; }

int function_count(void) { return WITH_OPTIONS + PLAIN; }

/* Alphabetical. */
const function *function_at(int i) {
    for (int k = 0; k < function_count(); k++) {
        int before = 0;
        for (int j = 0; j < function_count(); j++) before += strcmp(any_function(j)->name, any_function(k)->name) < 0;
        if (before == i) return any_function(k);
    }
    return NULL;
}

const function *find_function(const char *name) {
    for (int i = 0; i < function_count(); i++)
        if (strcmp(any_function(i)->name, name) == 0) return any_function(i);
    return NULL;
}

ag_tensor *call_function(const function *f, const call *c) {
    return f->one ? f->one(tensor(c, 0)) : f->two ? f->two(tensor(c, 0), tensor(c, 1)) : f->any(c);
}

/* ---- Misspelt names */

static int smaller(int a, int b) { return a < b ? a : b; }

/* The Levenshtein distance, row by row. */
static int distance(const char *a, const char *b) {
    int row[NAME_BYTES + 1], m = (int)strlen(a), n = (int)strlen(b);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; i <= m; i++) {
        int corner = row[0]++;
        for (int j = 1; j <= n; j++) {
            int changed = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            row[j] = smaller(changed, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

const char *nearest_function(const char *name) {
    const char *best = NULL;
    int least = strlen(name) > 4 ? 3 : 2;
    for (int i = 0; i < function_count(); i++) {
        int d = distance(name, any_function(i)->name);
        if (d < least) least = d, best = any_function(i)->name;
    }
    return best;
}
