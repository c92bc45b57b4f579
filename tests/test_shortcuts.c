/* test_shortcuts -- calls that have nothing to do, or little, beside the same calls with something to do
 *
 * Where an attribute or an extent is special (no axes, one tensor, an extent of 1 or 0, exponent 0, no padding) the
 * library often takes another way. It must differ in nothing but its work: what is refused, and by which name, the dtype,
 * what depends on what, and when the value is taken. */
#include "nn/nn.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 3, COLUMNS = 2, ELEMENTS = ROWS * COLUMNS };

/* ---- Calls of a tensor (3,2) ---- */

static const ag_axes none;
static bool usable; /* x: else it is handed on as it is, for the call itself to refuse */

static ag_tensor *part(ag_tensor *x, int axis, int64_t n) { return usable ? ag_slice(x, axis, 0, n, 1) : x; }
static ag_tensor *shaped(ag_tensor *x, ag_shape shape) { return usable ? ag_reshape(x, shape) : x; }
static ag_tensor *image(ag_tensor *x) { return usable ? ag_unsqueeze(x, 0) : x; }
static ag_tensor *turned(ag_tensor *x) { return usable ? ag_transpose(x, 0, 1) : x; }
static ag_tensor *number(ag_tensor *x, double value) { return usable ? ag_full_like(x, value) : x; }
static ag_tensor *one_of(ag_tensor *x) { return shaped(part(part(x, 0, 1), 1, 1), AG_SCALAR); }
static ag_tensor *all_true(ag_shape shape) { return ag_ones(tape, AG_BOOL, shape); }

static ag_tensor *joined(ag_tensor *(*join)(int n, ag_tensor *const x[], int axis), int n, ag_tensor *x) {
    return join(n, (ag_tensor *[]){x, x}, -1);
}
static ag_tensor *stacked(ag_tensor *(*join)(int n, ag_tensor *const x[]), int n, ag_tensor *x) {
    return join(n, (ag_tensor *[]){x, x});
}
static ag_tensor *divided(ag_status (*divide)(ag_tensor *x, int axis, int n, ag_tensor *y[]), int n, ag_tensor *x) {
    ag_tensor *y[2] = {NULL};
    divide(x, -1, n, y);
    return y[0];
}
static ag_tensor *first_of_broadcast(int n, ag_tensor *x) {
    ag_tensor *y[2] = {NULL};
    ag_broadcast_tensors(n, (ag_tensor *[]){x, x}, y);
    return y[0];
}
static ag_tensor *itself(ag_tensor *x) { return x; }
static ag_tensor *in_sequence(ag_tensor *(*of)(ag_tensor *x), ag_tensor *x) {
    ag_sequence model;
    ag_sequence_init(&model, tape, AG_F64, NULL);
    if (of) ag_sequence_function(&model, "function", of);
    return ag_sequence_apply(&model, x);
}
static ag_tensor *largest(ag_tensor *x, int64_t k) { return ag_topk_along(x, k, -1, true, &(ag_tensor *){NULL}); }
static ag_tensor *quantiles(ag_tensor *x, int n) {
    return ag_quantiles_over(x, AG_AXES(0), n, (double[]){0.5, 0.25}, false);
}
static ag_tensor *padded(ag_tensor *x, int64_t n, ag_padding how, double value) {
    return ag_pad_with(x, AG_AXES(-1), AG_SHAPE(n), AG_SHAPE(0), how, value);
}
static ag_tensor *summed(const char *text, int n, ag_tensor *x) { return ag_einsum(text, n, (ag_tensor *[]){x, x}); }

enum {
    SAME = 1, /* the special call returns the elements of x, and their cotangents */
    FLAT = 2  /* its result does not depend on x, though it may require gradients */
};

/* Its name, the special call, the usual one. */
#define CALLS                                                                                                          \
    CALL(reshape, SAME, ag_reshape(x, AG_SHAPE(3, 2)), ag_reshape(x, AG_SHAPE(6)))                                     \
    CALL(broadcast_to, SAME, ag_broadcast_to(x, AG_SHAPE(3, 2)), ag_broadcast_to(x, AG_SHAPE(2, 3, 2)))                \
    CALL(expand_as, SAME, ag_expand_as(x, x), ag_expand_as(part(x, 0, 1), x))                                          \
    CALL(permute, SAME, ag_permute(x, AG_AXES(0, 1)), ag_permute(x, AG_AXES(1, 0)))                                    \
    CALL(transpose, SAME, ag_transpose(x, -1, -1), ag_transpose(x, -1, -2))                                            \
    CALL(swapaxes, SAME, ag_swapaxes(x, -1, -1), ag_swapaxes(x, -1, -2))                                               \
    CALL(movedim, SAME, ag_movedim(x, AG_AXES(-1), AG_AXES(-1)), ag_movedim(x, AG_AXES(-1), AG_AXES(-2)))              \
    CALL(movedim_none, SAME, ag_movedim(x, none, none), ag_movedim(x, AG_AXES(-1), AG_AXES(-2)))                       \
    CALL(slice, SAME, ag_slice(x, -1, 0, AG_END, 1), ag_slice(x, -1, 1, AG_END, 1))                                    \
    CALL(flip, 0, ag_flip(part(x, -1, 1), -1), ag_flip(x, -1))                                                         \
    CALL(at, SAME, ag_at(x, "..."), ag_at(x, "1:"))                                                                    \
    CALL(index, SAME, ag_index(x, 0, NULL), ag_index(x, AG_ITEMS(AG_AT(0))))                                           \
    CALL(concat, SAME, joined(ag_concat, 1, x), joined(ag_concat, 2, x))                                               \
    CALL(stack, 0, joined(ag_stack, 1, x), joined(ag_stack, 2, x))                                                     \
    CALL(hstack, SAME, stacked(ag_hstack, 1, x), stacked(ag_hstack, 2, x))                                             \
    CALL(vstack, SAME, stacked(ag_vstack, 1, x), stacked(ag_vstack, 2, x))                                             \
    CALL(dstack, 0, stacked(ag_dstack, 1, x), stacked(ag_dstack, 2, x))                                                \
    CALL(split, SAME, divided(ag_split, 1, x), divided(ag_split, 2, x))                                                \
    CALL(chunk, SAME, divided(ag_chunk, 1, x), divided(ag_chunk, 2, x))                                                \
    CALL(broadcast_tensors, SAME, first_of_broadcast(1, x), first_of_broadcast(2, x))                                  \
    CALL(pad, SAME, padded(x, 0, AG_PAD_CONSTANT, 1), padded(x, 1, AG_PAD_CONSTANT, 1))                                \
    CALL(pad_half, SAME, padded(x, 0, AG_PAD_CONSTANT, 0.5), padded(x, 1, AG_PAD_CONSTANT, 0.5))                       \
    CALL(pad_copies, SAME, padded(x, 0, AG_PAD_REFLECT, 0), padded(x, 1, AG_PAD_REFLECT, 0))                           \
    CALL(pad_unknown, SAME, padded(x, 0, (ag_padding)9, 0), padded(x, 1, (ag_padding)9, 0))                            \
    CALL(pad_no_axes, SAME, ag_pad(x, none, AG_SCALAR, AG_SCALAR), ag_pad(x, AG_AXES(0), AG_SHAPE(1), AG_SHAPE(0)))    \
    CALL(roll, SAME, ag_roll(x, 0, -1), ag_roll(x, 1, -1))                                                             \
    CALL(roll_over, SAME, ag_roll_over(x, AG_SCALAR, none), ag_roll_over(x, AG_SHAPE(1), AG_AXES(-1)))                 \
    CALL(rot90, SAME, ag_rot90(x, 4, AG_AXES(-2, -1)), ag_rot90(x, 1, AG_AXES(-2, -1)))                                \
    CALL(repeat_interleave, SAME, ag_repeat_interleave(x, 1, -1), ag_repeat_interleave(x, 2, -1))                      \
    CALL(repeat_never, 0, ag_repeat_interleave(x, 0, -1), ag_repeat_interleave(x, 2, -1))                              \
    CALL(tile, SAME, ag_tile(x, AG_SCALAR), ag_tile(x, AG_SHAPE(2)))                                                   \
    CALL(tile_never, 0, ag_tile(x, AG_SHAPE(0, 1)), ag_tile(x, AG_SHAPE(2, 1)))                                        \
    CALL(repeat, SAME, ag_repeat(x, AG_SHAPE(1, 1)), ag_repeat(x, AG_SHAPE(2, 1)))                                     \
    CALL(diff, SAME, ag_diff(x, 0, -1), ag_diff(x, 1, -1))                                                             \
    CALL(diff_of_all, 0, ag_diff(x, 9, -1), ag_diff(x, 1, -1))                                                         \
    CALL(squeeze, SAME, ag_squeeze(x, none), ag_squeeze(part(x, -1, 1), AG_AXES(-1)))                                  \
    CALL(flatten, SAME, ag_flatten(x, -1, -1), ag_flatten(x, -2, -1))                                                  \
    CALL(unflatten, SAME, ag_unflatten(x, -1, AG_SHAPE(-1)), ag_unflatten(x, -1, AG_SHAPE(-1, 1)))                     \
    CALL(windows, SAME, ag_windows(x, none, AG_SCALAR, AG_SCALAR),                                                     \
         ag_windows(x, AG_AXES(0), AG_SHAPE(2), AG_SHAPE(1)))                                                          \
    CALL(fold, SAME, ag_fold(x, none, AG_SCALAR, AG_SCALAR), ag_fold(x, AG_AXES(0), AG_SHAPE(4), AG_SHAPE(1)))         \
    CALL(embed, SAME, ag_embed(x, 0, 3, 0, 1), ag_embed(x, 0, 4, 0, 1))                                                \
    CALL(contiguous, SAME, ag_contiguous(x), ag_contiguous(turned(x)))                                                 \
    CALL(sum, 0, ag_sum_over(x, none, false), ag_sum_over(x, AG_AXES(0), false))                                       \
    CALL(mean, 0, ag_mean_over(x, none, false), ag_mean_over(x, AG_AXES(0), false))                                    \
    CALL(max, SAME, ag_max_over(x, none, false), ag_max_over(x, AG_AXES(0), false))                                    \
    CALL(prod, 0, ag_prod_over(x, none, false), ag_prod_over(x, AG_AXES(0), false))                                    \
    CALL(all, 0, ag_all_over(x, none, false), ag_all_over(x, AG_AXES(0), false))                                       \
    CALL(argmax, 0, ag_argmax_over(x, none, false), ag_argmax_over(x, AG_AXES(0), false))                              \
    CALL(logsumexp, 0, ag_logsumexp_over(x, none, false), ag_logsumexp_over(x, AG_AXES(0), false))                     \
    CALL(softmax, 0, ag_softmax_over(x, none), ag_softmax_over(x, AG_AXES(0)))                                         \
    CALL(norm_0, 0, ag_norm_over(x, AG_AXES(0), 0, false), ag_norm_over(x, AG_AXES(0), 3, false))                      \
    CALL(norm_1, 0, ag_norm_over(x, AG_AXES(0), 1, false), ag_norm_over(x, AG_AXES(0), 3, false))                      \
    CALL(norm_2, 0, ag_norm_over(x, AG_AXES(0), 2, false), ag_norm_over(x, AG_AXES(0), 3, false))                      \
    CALL(norm_most, 0, ag_norm_over(x, AG_AXES(0), HUGE_VAL, false), ag_norm_over(x, AG_AXES(0), 3, false))            \
    CALL(norm_none, 0, ag_norm_over(x, none, 3, false), ag_norm_over(x, AG_AXES(0), 3, false))                         \
    CALL(var, 0, ag_var_over(x, none, 0, false), ag_var_over(x, AG_AXES(0), 0, false))                                 \
    CALL(std, 0, ag_std_over(x, none, 0, false), ag_std_over(x, AG_AXES(0), 0, false))                                 \
    CALL(median, 0, ag_median_over(x, none, false), ag_median_over(x, AG_AXES(0), false))                              \
    CALL(ptp, 0, ag_ptp_over(x, none, false), ag_ptp_over(x, AG_AXES(0), false))                                       \
    CALL(nansum, 0, ag_nansum(x, none, false), ag_nansum(x, AG_AXES(0), false))                                        \
    CALL(normalise, 0, ag_normalise(x, none, 1), ag_normalise(x, AG_AXES(0), 1))                                       \
    CALL(quantiles, 0, quantiles(x, 1), quantiles(x, 2))                                                               \
    CALL(quantile, 0, ag_quantile_over(x, AG_AXES(0), 0, false), ag_quantile_over(x, AG_AXES(0), 0.3, false))          \
    CALL(einsum, SAME, summed("...->...", 1, x), summed("...i->...", 1, x))                                            \
    CALL(einsum_one, SAME, summed("...i->...i", 1, x), summed("...i,...i->...i", 2, x))                                \
    CALL(scale, SAME, ag_scale(x, 1), ag_scale(x, 2))                                                                  \
    CALL(scale_0, 0, ag_scale(x, 0), ag_scale(x, 2))                                                                   \
    CALL(add_scalar, 0, ag_add_scalar(x, 0), ag_add_scalar(x, 2))                                                      \
    CALL(div_scalar, SAME, ag_div_scalar(x, 1), ag_div_scalar(x, 2))                                                   \
    CALL(pow_0, FLAT, ag_pow_scalar(x, 0), ag_pow_scalar(x, 1.5))                                                      \
    CALL(pow_1, SAME, ag_pow_scalar(x, 1), ag_pow_scalar(x, 1.5))                                                      \
    CALL(pow_2, 0, ag_pow_scalar(x, 2), ag_pow_scalar(x, 1.5))                                                         \
    CALL(pow_by_0, 0, ag_pow(x, number(x, 0)), ag_pow(x, number(x, 1)))                                                \
    CALL(pow_inverse, 0, ag_pow_scalar(x, -1), ag_pow_scalar(x, 1.5))                                                  \
    CALL(polygamma, 0, ag_polygamma(0, x), ag_polygamma(1, x))                                                         \
    CALL(clamp, SAME, ag_clamp(x, -HUGE_VAL, HUGE_VAL), ag_clamp(x, 0, 1))                                             \
    CALL(clamp_min, SAME, ag_clamp_min(x, -HUGE_VAL), ag_clamp_min(x, 1))                                              \
    CALL(dropout, SAME, ag_dropout(x, 0, true), ag_dropout(x, 0.5, true))                                              \
    CALL(no_training, SAME, ag_dropout(x, 0.5, false), ag_dropout(x, 0.5, true))                                       \
    CALL(tril, SAME, ag_tril(x, 9), ag_tril(x, 0))                                                                     \
    CALL(shuffle, 0, ag_shuffle(part(x, 0, 1), 0), ag_shuffle(x, 0))                                                   \
    CALL(cumsum, 0, ag_cumsum(part(x, 0, 1), 0), ag_cumsum(x, 0))                                                      \
    CALL(logcumsumexp, 0, ag_logcumsumexp(part(x, 0, 0), 0), ag_logcumsumexp(x, 0))                                    \
    CALL(sort, 0, ag_sort(part(x, 0, 1), 0, false), ag_sort(x, 0, false))                                              \
    CALL(topk_none, 0, largest(x, 0), largest(x, 1))                                                                   \
    CALL(topk_all, 0, largest(x, 2), largest(x, 1))                                                                    \
    CALL(masked_select, 0, ag_masked_select(x, all_true(AG_SCALAR)), ag_masked_select(x, all_true(AG_SHAPE(3, 2))))    \
    CALL(matrix_power_0, 0, ag_matrix_power(part(x, 0, 2), 0), ag_matrix_power(part(x, 0, 2), 2))                      \
    CALL(matrix_power_1, 0, ag_matrix_power(part(x, 0, 2), 1), ag_matrix_power(part(x, 0, 2), 2))                      \
    CALL(dot, 0, ag_dot(one_of(x), x), ag_dot(x, turned(x)))                                                           \
    CALL(inner, 0, ag_inner(one_of(x), x), ag_inner(x, x))                                                             \
    CALL(tensordot, 0, ag_tensordot(x, x, 0), ag_tensordot(x, x, 2))                                                   \
    CALL(kron, 0, ag_kron(one_of(x), x), ag_kron(x, x))                                                                \
    CALL(cross, 0, ag_cross(part(x, 1, 0), part(x, 1, 0), 0), ag_cross(x, x, 0))                                       \
    CALL(matrix_trace, 0, ag_matrix_trace_over(x, 9, 0, 1), ag_matrix_trace_over(x, 0, 0, 1))                          \
    CALL(diag_embed, 0, ag_diag_embed(part(x, 1, 0), 0, 0, 1), ag_diag_embed(x, 0, 0, 1))                              \
    CALL(diag_above, 0, ag_diag_embed(part(x, 1, 0), 2, 0, 1), ag_diag_embed(x, 2, 0, 1))                              \
    CALL(diagonal, 0, ag_diagonal(x, 9, 0, 1), ag_diagonal(x, 0, 0, 1))                                                \
    CALL(max_where, 0, ag_max_where(part(x, 0, 0), usable ? all_true(AG_SHAPE(0, 2)) : x, AG_AXES(0), 0, false),       \
         ag_max_where(x, usable ? all_true(AG_SHAPE(3, 2)) : x, AG_AXES(0), 0, false))                                 \
    CALL(fft, 0, ag_fft_over(x, none, AG_FFT_BACKWARD), ag_fft_over(x, AG_AXES(0), AG_FFT_BACKWARD))                   \
    CALL(pixel_shuffle, 0, ag_pixel_shuffle(image(x), 1), ag_pixel_shuffle(image(x), 2))                               \
    CALL(pixel_unshuffle, 0, ag_pixel_unshuffle(image(x), 1), ag_pixel_unshuffle(image(x), 3))                         \
    CALL(interpolate, 0, ag_interpolate(image(x), AG_SHAPE(3), AG_LINEAR, false),                                      \
         ag_interpolate(image(x), AG_SHAPE(4), AG_LINEAR, false))                                                      \
    CALL(sequence, SAME, in_sequence(NULL, x), in_sequence((ag_contiguous), x))                                        \
    CALL(sequence_of_nothing, SAME, in_sequence(itself, x), in_sequence((ag_contiguous), x))                           \
    CALL(max_pool, 0, ag_max_pool(image(x), AG_SHAPE(1), NULL), ag_max_pool(image(x), AG_SHAPE(2), NULL))              \
    CALL(avg_pool, 0, ag_avg_pool(image(x), AG_SHAPE(1), NULL), ag_avg_pool(image(x), AG_SHAPE(2), NULL))              \
    CALL(lp_pool, 0, ag_lp_pool(image(x), HUGE_VAL, AG_SHAPE(2), NULL), ag_lp_pool(image(x), 2, AG_SHAPE(2), NULL))    \
    CALL(adaptive_max, 0, ag_adaptive_max_pool(image(x), AG_SHAPE(3)), ag_adaptive_max_pool(image(x), AG_SHAPE(2)))    \
    CALL(adaptive_avg, 0, ag_adaptive_avg_pool(image(x), AG_SHAPE(3)), ag_adaptive_avg_pool(image(x), AG_SHAPE(2)))

#define CALL(name, flags, nothing, something)                                                                          \
    static ag_tensor *call_##name(ag_tensor *x, bool special) { return special ? (nothing) : (something); }
CALLS
#undef CALL
#define CALL(name, flags, nothing, something) {#name, flags, call_##name},
static const struct {
    const char *name;
    unsigned flags;
    ag_tensor *(*of)(ag_tensor *x, bool special);
} calls[] = {CALLS};
#undef CALL
enum { COUNT = sizeof calls / sizeof *calls };

/* ---- Both ways ---- */

static const double usual[ELEMENTS] = {1, 2, 3, 4, 5, 7};

typedef enum kind { WHOLE, NIL, REWOUND, PARAMETER, KINDS } kind;

static ag_tensor *tensor(kind k, ag_dtype dtype) {
    usable = k == WHOLE || k == PARAMETER;
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 20 && k == REWOUND; i++) ag_scalar(tape, dtype, 0); /* what comes next is in their places */
    ag_tensor *x = tensor_of(tape, dtype, AG_SHAPE(ROWS, COLUMNS), usual);
    if (k == PARAMETER) return ag_parameter_from(x);
    if (k == REWOUND) ag_tape_rewind(tape, mark);
    if (k != NIL) return x;
    x = ag_reshape(x, AG_SHAPE(7));
    ag_clear_error(tape);
    return x;
}

/* How a call has ended: the status, and the words of its error up to the inputs. */
static ag_status ended(char to[80], ag_tensor *y) {
    const ag_status status = ag_tape_status(tape);
    const char *error = status != AG_OK ? ag_tape_error(tape) : "";
    snprintf(to, 80, "%.*s", (int)strcspn(error, ":"), error);
    ck_assert((status != AG_OK) == (!y || ag_is_nil(y)));
    ag_clear_error(tape);
    return status;
}

START_TEST(they_are_refused_alike) {
    for (int k = WHOLE; k < KINDS; k++)
        for (int d = AG_BOOL; d <= AG_F64; d++) {
            char special[80], other[80];
            if (k == PARAMETER && d < AG_F32) continue;
            ag_tensor *x = tensor((kind)k, (ag_dtype)d), *y = calls[_i].of(x, true);
            const ag_status status = ended(special, y);
            ag_tensor *z = calls[_i].of(x, false);
            const ag_status wanted = ended(other, z);
            ck_assert_msg(status == wanted && strcmp(special, other) == 0, "%s of %s, kind %d: \"%s\" %d, \"%s\" %d",
                          calls[_i].name, ag_dtype_name((ag_dtype)d), k, special, (int)status, other, (int)wanted);
            if (status != AG_OK) continue;
            ck_assert_int_eq(ag_dtype_of(y), ag_dtype_of(z));
            ck_assert_msg(ag_requires_grad(y) == ag_requires_grad(z), "%s", calls[_i].name);
        }
}
END_TEST

/* The status of a gradient that has to depend on x. */
static ag_status strict(ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx, *ones = ag_ones_like(y);
    const ag_status status = ag_vjp(1, &y, &ones, 1, &x, &dx, AG_STRICT);
    ag_clear_error(tape);
    return status;
}

START_TEST(their_results_depend_alike) {
    for (int d = AG_F32; d <= AG_F64; d++) {
        ag_tensor *x = tensor(PARAMETER, (ag_dtype)d), *y = calls[_i].of(x, true), *z = calls[_i].of(x, false);
        if (!ag_requires_grad(z)) continue;
        ck_assert_int_eq(ag_backward(ag_sum(y)), AG_OK);
        ck_assert_int_eq(strict(z, x), AG_OK);
        ck_assert_int_eq(strict(y, x), calls[_i].flags & FLAT ? AG_ERR_GRADIENT : AG_OK);
        ag_tape_set_recording(tape, false);
        y = calls[_i].of(x, true);
        ag_tape_set_recording(tape, true);
        ck_assert(!ag_requires_grad(y));
        ck_assert_int_eq(strict(y, x), AG_ERR_GRADIENT);
    }
}
END_TEST

START_TEST(their_results_stay) {
    const double others[ELEMENTS] = {8, 8, 9, 9, 8, 9};
    ag_tensor *x = tensor(WHOLE, AG_F64), *v = ag_variable_from(x);
    ag_tensor *y = calls[_i].of(v, true), *wanted = calls[_i].of(x, true);
    if (ag_tape_status(tape) != AG_OK) return; /* refused, as the test before shows */
    ag_set(v, others);
    expect_same(y, wanted);
    ag_tape_set_eager(tape, true);
    ag_set(v, usual);
    y = calls[_i].of(v, true);
    ag_set(v, others);
    expect_same(y, wanted);
    expect_ok(tape);
}
END_TEST

START_TEST(what_is_unchanged_is_so_to_the_bit) {
    const double strange[ELEMENTS] = {-0.0, NAN, INFINITY, -INFINITY, 0x1p-149, -1.5},
                 cotangents[ELEMENTS] = {0, NAN, INFINITY, -INFINITY, 1, -2}; /* of NaN nothing is known */
    for (int d = AG_BOOL; d <= AG_F64; d++) {
        const bool real = d == AG_F32 || d == AG_F64;
        usable = true;
        ag_tensor *x = tensor_of(tape, (ag_dtype)d, AG_SHAPE(ROWS, COLUMNS), real ? strange : usual), *dx;
        ag_tensor *y = calls[_i].of(x, true), *g;
        if (ag_tape_status(tape) != AG_OK) ag_clear_error(tape);
        else if (calls[_i].flags & SAME) expect_same(y, x);
        if (ag_is_nil(y) || !real || !(calls[_i].flags & SAME)) continue;
        g = tensor_of(tape, (ag_dtype)d, AG_SHAPE(ROWS, COLUMNS), cotangents);
        ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &x, &dx, 0), AG_OK);
        expect_same(dx, g);
    }
}
END_TEST

/* ---- What one of them must be ---- */

START_TEST(windows_of_no_axes_take_none) {
    ag_tensor *line = ag_zeros(tape, AG_F64, AG_SHAPE(3));
    ck_assert(ag_is_nil(ag_fold(line, AG_ALL_AXES, AG_SCALAR, AG_SCALAR)));
    expect_error(tape, AG_ERR_SHAPE, "fold: x (3): 0 of 1 axes cannot have windows");
    expect_item(ag_fold(ag_ones(tape, AG_F64, AG_SCALAR), AG_ALL_AXES, AG_SCALAR, AG_SCALAR), 1);
}
END_TEST

START_TEST(an_initial_value_stays_a_zero_with_its_sign) {
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(2, 0)), *mask = all_true(AG_SHAPE(2, 0));
    ck_assert(signbit(ag_element(ag_max_where(x, mask, AG_AXES(1), -0.0, false), 1)));
    ck_assert(signbit(ag_element(ag_min_where(x, mask, AG_AXES(1), -0.0, true), 1)));
    expect_list(ag_max_where(ag_zeros(tape, AG_I64, AG_SHAPE(2, 0)), mask, AG_AXES(1), -7, false), -7, -7);
}
END_TEST

START_TEST(functions_that_are_flat_have_the_slope_0) {
    const double odd[] = {0, NAN, INFINITY, -3};
    ag_tensor *x = tensor_of(tape, AG_F64, AG_SHAPE(2, 2), odd), *g = number(x, 5), *dx, *y = ag_norm(x, 0);
    usable = true;
    expect_item(y, 3);
    ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_OK);
    expect_list(dx, 0, 0, 0, 0);
    y = ag_matrix_power(x, 0);
    expect_list(y, 1, 0, 0, 1);
    g = number(x, INFINITY);
    ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &x, &dx, 0), AG_OK);
    expect_list(dx, 0, 0, 0, 0);
    expect_list(ag_diag_embed(ag_zeros(tape, AG_F64, AG_SHAPE(0)), -2, 0, 1), 0, 0, 0, 0);
    expect_list(ag_eye(tape, AG_F64, 1, 3, INT64_MIN), 0, 0, 0);
}
END_TEST

/* A tensor without elements is there all the same, for ag_backward. */
#define DEPENDS(call) depends(x, call, #call)
static void depends(ag_tensor *x, ag_tensor *y, const char *call) {
    ck_assert_msg(ag_tape_status(tape) == AG_OK, "%s: %s", call, ag_tape_error(tape));
    ck_assert_msg(ag_requires_grad(y) && ag_backward(ag_sum(y)) == AG_OK, "%s", call);
    ck_assert_int_eq(ag_eval(ag_gradient(x)), AG_OK);
}

static ag_tensor *parameters(ag_shape shape) { return ag_parameter_from(ag_zeros(tape, AG_F64, shape)); }

START_TEST(results_depend_on_inputs_without_elements) {
    ag_tensor *x = parameters(AG_SHAPE(0, 3)), *at = ag_zeros(tape, AG_I64, AG_SHAPE(0));
    ag_tensor *rows = ag_zeros(tape, AG_I64, AG_SHAPE(0, 3)), *table = ag_zeros(tape, AG_F64, AG_SHAPE(2, 3));
    ag_tensor *no = ag_zeros(tape, AG_BOOL, AG_SCALAR), *line = ag_reshape(x, AG_SHAPE(0)), *both[] = {x, x};
    DEPENDS(ag_cross_entropy(x, at));
    DEPENDS(ag_hinge(x, at));
    DEPENDS(ag_mse(x, x));
    DEPENDS(ag_pairwise_distance(x, x, 2));
    DEPENDS(ag_softmax(x, -1));
    DEPENDS(ag_cumsum(x, 0));
    DEPENDS(ag_cummax(x, 0));
    DEPENDS(ag_logcumsumexp(x, 0));
    DEPENDS(ag_sort(x, 0, false));
    DEPENDS(ag_shuffle(x, 0));
    DEPENDS(ag_roll(x, 1, 0));
    DEPENDS(ag_diff(x, 1, 0));
    DEPENDS(ag_norm(x, 0));
    DEPENDS(ag_norm(x, 3));
    DEPENDS(ag_norm(x, -1));
    DEPENDS(ag_std(x, 0));
    DEPENDS(ag_mean(x));
    DEPENDS(ag_prod_over(x, AG_AXES(0), false));
    DEPENDS(ag_max_where(x, no, AG_ALL_AXES, 0, false));
    DEPENDS(ag_nanmean(x, AG_ALL_AXES, false));
    DEPENDS(ag_matmul(ag_transpose(x, 0, 1), x));
    DEPENDS(ag_tensordot(x, x, 2));
    DEPENDS(ag_kron(x, x));
    DEPENDS(ag_einsum("ij,ik->jk", 2, both));
    DEPENDS(ag_matrix_trace(x));
    DEPENDS(ag_diag(line, 0));
    DEPENDS(ag_diag(line, -2));
    DEPENDS(ag_diag_embed(ag_transpose(x, 0, 1), 1, 0, 2));
    DEPENDS(ag_embed(x, 0, 3, 0, 1));
    DEPENDS(ag_repeat(x, AG_SHAPE(2, 0)));
    DEPENDS(ag_masked_select(x, no));
    DEPENDS(ag_gather(x, rows, 0));
    DEPENDS(ag_index_select(x, at, 0));
    DEPENDS(ag_scatter_add(table, rows, x, 0));
    DEPENDS(ag_scatter(table, rows, x, 0));
    DEPENDS(ag_masked_scatter(table, no, x));
    DEPENDS(ag_repeat_interleave_by(x, at, 0));
    DEPENDS(ag_bincount(at, line, 3));
    DEPENDS(ag_dropout(x, 0.5, true));
    x = parameters(AG_SHAPE(0, 0));
    DEPENDS(ag_det(x));
    DEPENDS(ag_solve(x, ag_zeros(tape, AG_F64, AG_SHAPE(0, 2))));
    DEPENDS(ag_cholesky(x));
    DEPENDS(ag_matrix_exp(x));
    DEPENDS(ag_matrix_power(x, 0));
    DEPENDS(ag_matrix_norm(x, AG_NORM_FROBENIUS, false));
    x = parameters(AG_SHAPE(0, 4, 3));
    DEPENDS(ag_max_pool(x, AG_SHAPE(2), NULL));
    DEPENDS(ag_global_avg_pool(x));
    DEPENDS(ag_interpolate(x, AG_SHAPE(8), AG_LINEAR, false));
    DEPENDS(ag_pixel_shuffle(x, 3));
    DEPENDS(ag_convolve(x, ag_zeros(tape, AG_F64, AG_SHAPE(2, 3, 4)), NULL, NULL));
    DEPENDS(ag_ctc(x, ag_zeros(tape, AG_I64, AG_SHAPE(4, 1)), NULL, NULL, 0));
    x = parameters(AG_SHAPE(4, 0, 3));
    DEPENDS(ag_ctc(x, ag_zeros(tape, AG_I64, AG_SHAPE(0, 1)), NULL, NULL, 0));
    x = parameters(AG_SHAPE(5, 3)); /* of which nothing is taken */
    DEPENDS(ag_embedding_apply(&(ag_embedding){x}, at));
    DEPENDS(ag_slice(x, 0, 0, 0, 1));
    DEPENDS(ag_broadcast_to(x, AG_SHAPE(0, 5, 3)));
    DEPENDS(ag_diagonal(x, 9, 0, 1));
    DEPENDS(ag_matmul(ag_zeros(tape, AG_F64, AG_SHAPE(0, 5)), x));
    DEPENDS(ag_draw_normal(ag_broadcast_to(x, AG_SHAPE(0, 5, 3)), ag_ones(tape, AG_F64, AG_SCALAR)));
}
END_TEST

/* The statistics that a layer has used: it may be trained later. */
START_TEST(running_statistics_are_those_of_the_call) {
    ag_batchnorm layer;
    ag_batchnorm_nodes nodes;
    ag_batchnorm_init(&layer, tape, AG_F64, COLUMNS);
    for (int recording = 0; recording < 2; recording++) {
        ag_tape_set_recording(tape, recording);
        ag_set(layer.running_mean, (double[]){3, 4});
        ag_set(layer.running_var, (double[]){5, 6});
        ag_batchnorm_apply_nodes(&layer, tensor(WHOLE, AG_F64), false, &nodes);
        ag_set(layer.running_mean, usual);
        ag_assign(layer.running_var, ag_zeros(tape, AG_F64, AG_SHAPE(COLUMNS)));
        expect_list(nodes.mean, 3, 4);
        expect_list(nodes.variance, 5, 6);
    }
    expect_ok(tape);
}
END_TEST

/* A broadcast on the way is not what the caller knows. */
START_TEST(results_beyond_counting_are_refused_by_the_call) {
    const int64_t much = INT64_C(1) << 30;
    ag_tensor *one = ag_ones(tape, AG_F64, AG_SCALAR), *y[2];
    ag_tensor *a = ag_broadcast_to(one, AG_SHAPE(much, 1, 2, 2)), *b = ag_broadcast_to(one, AG_SHAPE(1, much, 2, 2));
    ag_tensor *large = ag_broadcast_to(one, AG_SHAPE(much, much / 4)), *many[] = {large, large};
    const struct {
        const char *name;
        ag_tensor *(*of)(ag_tensor *a, ag_tensor *b);
    } pairs[] = {{"matmul: ", ag_matmul},   {"strong_matmul: ", ag_strong_matmul}, {"solve: ", ag_solve},
                 {"complex: ", ag_complex}, {"complex_mul: ", ag_complex_mul},     {"draw_normal: ", ag_draw_normal}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        y[0] = pairs[i].of(a, b);
        ck_assert(ag_is_nil(y[0]));
        expect_error(tape, AG_ERR_SHAPE, pairs[i].name);
    }
    ag_solve_triangular(a, b, true, false);
    expect_error(tape, AG_ERR_SHAPE, "solve_triangular: ");
    ag_stack(2, many, 0);
    expect_error(tape, AG_ERR_SHAPE, "stack: ", "can be counted");
    ag_pixel_shuffle(ag_zeros(tape, AG_F64, AG_SHAPE(1, INT64_C(1) << 50, 0)), 1 << 20);
    expect_error(tape, AG_ERR_SHAPE, "pixel_shuffle: ", "axis 1 is too long");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("shortcuts");
    TCase *both = tape_group(suite, "both ways");
    tcase_add_loop_test(both, they_are_refused_alike, 0, COUNT);
    tcase_add_loop_test(both, their_results_depend_alike, 0, COUNT);
    tcase_add_loop_test(both, their_results_stay, 0, COUNT);
    tcase_add_loop_test(both, what_is_unchanged_is_so_to_the_bit, 0, COUNT);
    TCase *one = tape_group(suite, "one");
    tcase_add_test(one, windows_of_no_axes_take_none);
    tcase_add_test(one, an_initial_value_stays_a_zero_with_its_sign);
    tcase_add_test(one, functions_that_are_flat_have_the_slope_0);
    tcase_add_test(one, results_depend_on_inputs_without_elements);
    tcase_add_test(one, running_statistics_are_those_of_the_call);
    tcase_add_test(one, results_beyond_counting_are_refused_by_the_call);
    return run_suite(suite);
}
