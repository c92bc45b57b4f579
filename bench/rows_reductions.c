/* rows_reductions -- reductions, scans, sorting and counting of four million elements, forward, and forward and backward
 *
 * x has 4096 rows of 1024. Where factors are multiplied, they are near 1. A copy of as many bytes as are read and written
 * stands beside each row: PyTorch's plain reductions take no longer, and no others can take much less. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 4096, COLUMNS = 1024, SIZE = ROWS * COLUMNS, FLOAT = sizeof(float) };

typedef ag_tensor *function(ag_tensor *x);

#define FUNCTION(name, expression)                                                                                     \
    static ag_tensor *name(ag_tensor *x) { return expression; }
static ag_tensor *flat(ag_tensor *x) { return ag_reshape(x, AG_SHAPE(-1)); }
static ag_tensor *kinds(ag_tensor *x) { return ag_cast(ag_scale(ag_abs(x), 1000), AG_I64); }

FUNCTION(prod_rows, ag_prod_over(x, AG_AXES(1), false))
FUNCTION(prod_columns, ag_prod_over(x, AG_AXES(0), false))
FUNCTION(std_rows, ag_std_over(x, AG_AXES(1), 1, false))
FUNCTION(std_all, ag_std(x, 1))
FUNCTION(norm_rows, ag_norm_over(x, AG_AXES(1), 2, false))
FUNCTION(norm_columns, ag_norm_over(x, AG_AXES(0), 2, false))
FUNCTION(norm_all, ag_norm(x, 2))
FUNCTION(norm1_rows, ag_norm_over(x, AG_AXES(1), 1, false))
FUNCTION(norm3_rows, ag_norm_over(x, AG_AXES(1), 3, false))
FUNCTION(norm_inf_rows, ag_norm_over(x, AG_AXES(1), (double)INFINITY, false))
FUNCTION(logsumexp_all, ag_logsumexp_over(x, AG_ALL_AXES, false))
FUNCTION(nansum_rows, ag_nansum(x, AG_AXES(1), false))
FUNCTION(nanmean_rows, ag_nanmean(x, AG_AXES(1), false))
FUNCTION(median_rows, ag_median_over(x, AG_AXES(1), false))
FUNCTION(median_all, ag_median(x))
FUNCTION(quantile_rows, ag_quantile_over(x, AG_AXES(1), 0.3, false))
FUNCTION(argmin_rows, ag_argmin(x, 1, false))
FUNCTION(argmin_64, ag_argmin(ag_reshape(x, AG_SHAPE(-1, 64)), 1, false))
FUNCTION(argmin_columns, ag_argmin(x, 0, false))
FUNCTION(argmin_all, ag_argmin_over(x, AG_ALL_AXES, false))
FUNCTION(count_nonzero_all, ag_count_nonzero(x))
FUNCTION(all_rows, ag_all_over(ag_less(x, ag_scalar(ag_tape_of(x), AG_F32, 2)), AG_AXES(1), false))
FUNCTION(any_all, ag_any(ag_less(ag_scalar(ag_tape_of(x), AG_F32, 2), x)))
FUNCTION(cumsum_rows, ag_cumsum(x, 1))
FUNCTION(cumsum_columns, ag_cumsum(x, 0))
FUNCTION(cumsum_flat, ag_cumsum(flat(x), 0))
FUNCTION(cumprod_rows, ag_cumprod(x, 1))
FUNCTION(cumprod_columns, ag_cumprod(x, 0))
FUNCTION(cumprod_flat, ag_cumprod(flat(x), 0))
FUNCTION(cummax_rows, ag_cummax(x, 1))
FUNCTION(cummax_columns, ag_cummax(x, 0))
FUNCTION(cummax_16x4, ag_cummax(ag_reshape(x, AG_SHAPE(-1, 16, 4)), 1))
FUNCTION(cumsum_16x4, ag_cumsum(ag_reshape(x, AG_SHAPE(-1, 16, 4)), 1))
FUNCTION(logcumsumexp_rows, ag_logcumsumexp(x, 1))
FUNCTION(logcumsumexp_columns, ag_logcumsumexp(x, 0))
FUNCTION(diff_rows, ag_diff(x, 1, 1))
FUNCTION(sort_rows, ag_sort(x, 1, false))
FUNCTION(sort_columns, ag_sort(x, 0, false))
FUNCTION(sort_flat, ag_sort(flat(x), 0, false))
FUNCTION(argsort_rows, ag_argsort(x, 1, true))
FUNCTION(topk_rows, ag_topk_along(x, 10, 1, true, NULL))
FUNCTION(topk_half_rows, ag_topk_along(x, COLUMNS / 2, 1, true, NULL))
FUNCTION(searchsorted_all,
         ag_searchsorted(ag_sort(ag_reshape(ag_slice(x, 0, 0, 1, 1), AG_SHAPE(-1)), 0, false), x, false))
FUNCTION(histogram_all, ag_histogram(x, 100, -1, 1))
FUNCTION(bincount_all, ag_bincount(kinds(x), NULL, 1001))
FUNCTION(unique_all, ag_unique(kinds(x), NULL, NULL))

static const struct {
    const char *name;
    function *call;
    bool differentiable, factors, as_large; /* the result, as x */
} functions[] = {
    {"prod_rows", prod_rows, true, true, false},
    {"prod_columns", prod_columns, true, true, false},
    {"std_rows", std_rows, true, false, false},
    {"std_all", std_all, true, false, false},
    {"norm_rows", norm_rows, true, false, false},
    {"norm_columns", norm_columns, true, false, false},
    {"norm_all", norm_all, true, false, false},
    {"norm1_rows", norm1_rows, true, false, false},
    {"norm3_rows", norm3_rows, true, false, false},
    {"norm_inf_rows", norm_inf_rows, true, false, false},
    {"logsumexp_all", logsumexp_all, true, false, false},
    {"nansum_rows", nansum_rows, true, false, false},
    {"nanmean_rows", nanmean_rows, true, false, false},
    {"median_rows", median_rows, true, false, false},
    {"median_all", median_all, true, false, false},
    {"quantile_rows", quantile_rows, true, false, false},
    {"argmin_rows", argmin_rows, false, false, false},
    {"argmin_64", argmin_64, false, false, false},
    {"argmin_columns", argmin_columns, false, false, false},
    {"argmin_all", argmin_all, false, false, false},
    {"count_nonzero_all", count_nonzero_all, false, false, false},
    {"all_rows", all_rows, false, false, false},
    {"any_all", any_all, false, false, false},
    {"cumsum_rows", cumsum_rows, true, false, true},
    {"cumsum_columns", cumsum_columns, true, false, true},
    {"cumsum_flat", cumsum_flat, true, false, true},
    {"cumprod_rows", cumprod_rows, true, true, true},
    {"cumprod_columns", cumprod_columns, true, true, true},
    {"cumprod_flat", cumprod_flat, false, true, true},
    {"cummax_rows", cummax_rows, true, false, true},
    {"cummax_columns", cummax_columns, true, false, true},
    {"cummax_16x4", cummax_16x4, true, false, true},
    {"cumsum_16x4", cumsum_16x4, true, false, true},
    {"logcumsumexp_rows", logcumsumexp_rows, true, false, true},
    {"logcumsumexp_columns", logcumsumexp_columns, true, false, true},
    {"diff_rows", diff_rows, true, false, true},
    {"sort_rows", sort_rows, true, false, true},
    {"sort_columns", sort_columns, true, false, true},
    {"sort_flat", sort_flat, true, false, true},
    {"argsort_rows", argsort_rows, false, false, true},
    {"topk_rows", topk_rows, true, false, false},
    {"topk_half_rows", topk_half_rows, true, false, false},
    {"searchsorted_all", searchsorted_all, false, false, false},
    {"histogram_all", histogram_all, false, false, false},
    {"bincount_all", bincount_all, false, false, false},
    {"unique_all", unique_all, false, false, false},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static struct {
    ag_tape *tape;
    ag_mark mark;
    float *x, *g;
    ag_tensor *in, *cotangent;
} s;

/* size: the function, whether backward too */
static bool set_up(const row *r, int threads) {
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    s.x = noise_f32(SIZE, 1, 1), s.g = noise_f32(SIZE, 2, 1);
    for (int64_t i = 0; functions[r->size[0]].factors && i < SIZE; i++) s.x[i] = 1 + s.x[i] / 1024;
    s.in = ag_parameter(s.tape, AG_F32, AG_SHAPE(ROWS, COLUMNS), s.x);
    ag_mark before = ag_tape_mark(s.tape);
    const ag_shape shape = ag_shape_of(functions[r->size[0]].call(s.in));
    ag_tape_rewind(s.tape, before);
    s.cotangent = r->size[1] ? ag_wrap(s.tape, AG_F32, shape, s.g) : NULL;
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    const bool good = fine(s.tape);
    ag_tape_free(s.tape);
    room_free(s.x), room_free(s.g);
    return good;
}

static double once(const row *r, bool weighed) {
    ag_tensor *all[2] = {functions[r->size[0]].call(s.in)}, *y = all[0];
    const int n = r->size[1] ? 2 : 1;
    double sum = 0;
    if (n == 2) ag_vjp(1, &y, &s.cotangent, 1, &s.in, &all[1], 0);
    ag_eval_all(n, all);
    for (int i = 0; weighed && i < n; i++) sum += weigh(ag_cast(all[i], AG_F64));
    if (weighed && !fine(s.tape)) sum = (double)NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) once(r, false);
}

static double check(const row *r) { return once(r, true); }

int reduction_rows(row *to) {
    int n = 0;
    for (int i = 0; i < FUNCTIONS; i++)
        for (int backward = 0; backward <= functions[i].differentiable; backward++) {
            to[n] = (row){.what = backward ? "forward and backward" : "forward",
                          .unit = "s",
                          .each = "",
                          .size = {i, backward},
                          .moved = (int64_t)SIZE * FLOAT *
                                   (1 + functions[i].as_large + (backward ? 1 + functions[i].as_large : 0)),
                          .setup = set_up,
                          .work = work,
                          .check = check,
                          .teardown = tear_down,
                          .peers = {{.name = "torch", .where = TORCH, .limit = 0.7}, {.name = "copy", .where = COPY}}};
            snprintf(to[n++].name, sizeof to->name, "reductions_%s%s", functions[i].name, backward ? "_both" : "");
        }
    return n;
}
