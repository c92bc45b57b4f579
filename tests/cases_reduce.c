/* cases_reduce -- reductions, cumulative operations, sorting
 *
 * See case_rows.h. */
#include "ops/rules.h"

#include "tests/case_rows.h"

#include <math.h>

static ag_tensor *recurrence(ag_tensor *a, ag_tensor *b, int64_t axis, int64_t backwards) {
    const int64_t attributes[3] = {axis, backwards, 0};
    return ag_apply(&ag__op_recur, 2, (ag_tensor *[]){a, b}, attributes, sizeof attributes);
}

static ag_tensor *ties(ag_tensor *x, ag_tensor *y) { return ag_apply(&ag__op_ties, 2, (ag_tensor *[]){x, y}, NULL, 0); }

static ag_tensor *shares_of(ag_tensor *const x[], int64_t strong) {
    return ag_apply(&ag__op_shares, 3, x, &strong, sizeof strong);
}

static ag_tensor *index_of_cummax(ag_tensor *x) {
    ag_tensor *index;
    ag_cummax_indices(x, 1, &index);
    return index;
}
static ag_tensor *index_of_cummin(ag_tensor *x) {
    ag_tensor *index;
    ag_cummin_indices(x, -1, &index);
    return index;
}
static ag_tensor *index_of_topk(ag_tensor *x) {
    ag_tensor *index;
    ag_topk_along(x, 2, 0, false, &index);
    return index;
}

static ag_tensor *inverse_of_unique(ag_tensor *x) {
    ag_tensor *inverse;
    ag_unique(x, &inverse, NULL);
    return inverse;
}

static const double shares[] = {0, 0.3, 1};

/* clang-format off */
CALL(shares_weak, shares_of(x, 0))
CALL(shares_strong, shares_of(x, 1))
CALL(prod_over_1, ag_prod_over(x[0], AG_AXES(1), false))
CALL(prod_over_02_keep, ag_prod_over(x[0], AG_AXES(2, 0), true))
CALL(all_over_1, ag_all_over(x[0], AG_AXES(1), false))
CALL(any_over_02_keep, ag_any_over(x[0], AG_AXES(0, -1), true))
CALL(argmin_1, ag_argmin(x[0], 1, false))
CALL(argmin_last_keep, ag_argmin(x[0], -1, true))
CALL(argmin_all, ag_argmin_over(x[0], AG_ALL_AXES, false))
CALL(argmax_all_keep, ag_argmax_over(x[0], AG_ALL_AXES, true))
CALL(argmax_02, ag_argmax_over(x[0], AG_AXES(0, 2), false))
CALL(norm_2, ag_norm(x[0], 2))
CALL(norm_1, ag_norm(x[0], 1))
CALL(norm_0, ag_norm(x[0], 0))
CALL(norm_3, ag_norm(x[0], 3))
CALL(norm_half, ag_norm(x[0], 0.5))
CALL(norm_minus, ag_norm(x[0], -1.5))
CALL(norm_inf, ag_norm(x[0], (double)INFINITY))
CALL(norm_minus_inf, ag_norm(x[0], -(double)INFINITY))
CALL(norm_over_1, ag_norm_over(x[0], AG_AXES(1), 2, false))
CALL(norm_over_02_keep, ag_norm_over(x[0], AG_AXES(0, 2), 2, true))
CALL(norm_3_over_02, ag_norm_over(x[0], AG_AXES(0, 2), 3, false))
CALL(std_0, ag_std(x[0], 0))
CALL(std_over_1, ag_std_over(x[0], AG_AXES(1), 1, false))
CALL(count_nonzero_over_1, ag_count_nonzero_over(x[0], AG_AXES(1), true))
CALL(ptp_over_1, ag_ptp_over(x[0], AG_AXES(1), false))
CALL(median_over_02, ag_median_over(x[0], AG_AXES(0, 2), true))
CALL(median_over_1, ag_median_over(x[0], AG_AXES(1), false))
CALL(quantile_3, ag_quantile(x[0], 0.3))
CALL(quantile_over_1, ag_quantile_over(x[0], AG_AXES(1), 0.7, false))
CALL(quantiles_over_02, ag_quantiles_over(x[0], AG_AXES(0, 2), 3, shares, false))
CALL(average_over_0, ag_average_over(x[0], x[1], AG_AXES(0), false))
CALL(average_all, ag_average_over(x[0], x[1], AG_ALL_AXES, true))
CALL(sum_where, ag_sum_where(x[0], x[1], AG_AXES(1), false))
CALL(prod_where, ag_prod_where(x[0], x[1], AG_AXES(0), true))
CALL(mean_where, ag_mean_where(x[0], x[1], AG_AXES(1), false))
CALL(var_where, ag_var_where(x[0], x[1], AG_AXES(1), 1, true))
CALL(std_where, ag_std_where(x[0], x[1], AG_ALL_AXES, 0, false))
CALL(max_where, ag_max_where(x[0], x[1], AG_AXES(1), -1, false))
CALL(min_where, ag_min_where(x[0], x[1], AG_AXES(1), 1, false))
CALL(nansum_1, ag_nansum(x[0], AG_AXES(1), false))
CALL(nanprod_1, ag_nanprod(x[0], AG_AXES(1), false))
CALL(nanmean_1, ag_nanmean(x[0], AG_AXES(1), false))
CALL(nanvar_1, ag_nanvar(x[0], AG_AXES(1), 0, false))
CALL(nanstd_1, ag_nanstd(x[0], AG_AXES(1), 0, false))
CALL(nanmax_1, ag_nanmax(x[0], AG_AXES(1), false))
CALL(nanmin_1, ag_nanmin(x[0], AG_AXES(1), false))
CALL(logsumexp_02, ag_logsumexp_over(x[0], AG_AXES(0, 2), false))
CALL(softmax_02, ag_softmax_over(x[0], AG_AXES(2, 0)))
CALL(log_softmax_all, ag_log_softmax_over(x[0], AG_ALL_AXES))
CALL(cumsum_0, ag_cumsum(x[0], 0))
CALL(cumsum_1, ag_cumsum(x[0], 1))
CALL(cumsum_last, ag_cumsum(x[0], -1))
CALL(cumprod_0, ag_cumprod(x[0], 0))
CALL(cumprod_1, ag_cumprod(x[0], 1))
CALL(cumprod_last, ag_cumprod(x[0], -1))
CALL(cummax_1, ag_cummax(x[0], 1))
CALL(cummin_0, ag_cummin(x[0], 0))
CALL(logcumsumexp_1, ag_logcumsumexp(x[0], 1))
CALL(diff_1, ag_diff(x[0], 1, 1))
CALL(diff_2, ag_diff(x[0], 2, -1))
CALL(recur_ahead, recurrence(x[0], x[1], 1, 0))
CALL(recur_back, recurrence(x[0], x[1], 1, 1))
CALL(sort_0, ag_sort(x[0], 0, false))
CALL(sort_down, ag_sort(x[0], -1, true))
CALL(argsort_1, ag_argsort(x[0], 1, false))
CALL(argsort_down, ag_argsort(x[0], 0, true))
CALL(topk_1, ag_topk_along(x[0], 2, 1, true, NULL))
CALL(searchsorted_left, ag_searchsorted(x[0], x[1], false))
CALL(searchsorted_right, ag_searchsorted(x[0], x[1], true))
CALL(histogram_5, ag_histogram(x[0], 5, -1, 1))
CALL(histogram_between, ag_histogram_between(x[0], x[1], NULL))
CALL(bincount_5, ag_bincount(x[0], NULL, 5))
CALL(unique, ag_unique(x[0], NULL, NULL))
CALL(distinct, ag_slice(ag_apply(&ag__op_distinct, 1, x, NULL, 0), 0, 0, 6, 1))

static const op_case rows[] = {
    {"sum bool", "sum", 1 << AG_BOOL, LENIENT, 0, UNARY(ag_sum), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"mean bool", "mean", 1 << AG_BOOL, LENIENT, 0, UNARY(ag_mean), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"mean i64", "mean", 1 << AG_I64, LENIENT, 2, UNARY(ag_mean), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"prod", "prod", NUMBER, GRAD | REORDERS | LENIENT, 6, UNARY(ag_prod), 1, {IN(ANY, 2, 3, 2)}, ""},
    {"prod scalar", "prod", NUMBER, GRAD | REORDERS | LENIENT, 0, UNARY(ag_prod), 1, {SCALAR(ANY)}, ""},
    {"prod nothing", "prod", NUMBER, GRAD | REORDERS | LENIENT, 0, UNARY(ag_prod), 1, {IN(ANY, 0, 3)}, ""},
    {"prod ties", "prod", NUMBER, GRAD | REORDERS | LENIENT, 0, UNARY(ag_prod), 1, {IN(TIES, 2, 3)}, ""},
    {"prod special", "prod", REAL, REORDERS | LENIENT, 2, UNARY(ag_prod), 1, {IN(SPECIAL, 2)}, ""},
    {"prod_over 1", "prod", NUMBER, GRAD | REORDERS | LENIENT, 4, BUILD(prod_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"prod_over 1 ties", "prod", NUMBER, GRAD | REORDERS | LENIENT, 0, BUILD(prod_over_1), 1, {IN(TIES, 2, 4, 3)}, ""},
    {"prod_over 0,2 kept", "prod", NUMBER, GRAD | REORDERS | LENIENT, 6, BUILD(prod_over_02_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"prod_over 1 of nothing", "prod", NUMBER, GRAD | REORDERS | LENIENT, 0, BUILD(prod_over_1), 1, {IN(ANY, 2, 0, 3)}, ""},

    {"all", "all", ANYTHING, 0, 0, UNARY(ag_all), 1, {IN(TIES, 2, 6)}, ""},
    {"all nothing", "all", ANYTHING, 0, 0, UNARY(ag_all), 1, {IN(TIES, 0)}, ""},
    {"all special", "all", REAL, LENIENT, 0, BUILD(all_over_1), 1, {IN(SPECIAL, 4, 4)}, ""},
    {"all_over 1", "all", ANYTHING, 0, 0, BUILD(all_over_1), 1, {IN(TIES, 4, 2, 3)}, ""},
    {"any", "any", ANYTHING, 0, 0, UNARY(ag_any), 1, {IN(TIES, 2, 6)}, ""},
    {"any nothing", "any", ANYTHING, 0, 0, UNARY(ag_any), 1, {IN(TIES, 0, 3)}, ""},
    {"any_over 0,2 kept", "any", ANYTHING, 0, 0, BUILD(any_over_02_keep), 1, {IN(TIES, 1, 6, 1)}, ""},

    {"argmin 1", "argmin", NUMBER, 0, 0, BUILD(argmin_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"argmin last kept", "argmin", NUMBER, 0, 0, BUILD(argmin_last_keep), 1, {IN(TIES, 3, 5)}, ""},
    {"argmin special", "argmin", REAL, LENIENT, 0, BUILD(argmin_1), 1, {IN(SPECIAL, 3, 5)}, ""},
    {"argmin all", "argmin", NUMBER, 0, 0, BUILD(argmin_all), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"argmax all kept", "argmax", NUMBER, 0, 0, BUILD(argmax_all_keep), 1, {IN(TIES, 2, 3, 4)}, ""},
    {"argmax 0,2", "argmax", NUMBER, 0, 0, BUILD(argmax_02), 1, {IN(ANY, 2, 3, 4)}, ""},

    {"norm 2", "norm", REAL, GRAD | REORDERS, 4, BUILD(norm_2), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"norm 2 of one", "norm", REAL, GRAD | REORDERS, 2, BUILD(norm_2), 1, {IN(ANY, 1)}, ""},
    {"norm special", "norm", REAL, REORDERS, 2, BUILD(norm_over_1), 1, {IN(SPECIAL, 8, 2)}, ""},
    {"norm 1", NULL, REAL, GRAD | REORDERS, 2, BUILD(norm_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"norm 0", NULL, REAL, REORDERS, 2, BUILD(norm_0), 1, {IN(TIES, 2, 3, 4)}, ""},
    {"norm 3", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_3), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"norm 0.5", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_half), 1, {IN(ANY, 2, 3)}, ""},
    {"norm -1.5", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_minus), 1, {IN(ANY, 2, 3)}, ""},
    {"norm inf", NULL, REAL, GRAD, 2, BUILD(norm_inf), 1, {IN(ANY, 2, 3)}, ""},
    {"norm -inf", NULL, REAL, GRAD, 2, BUILD(norm_minus_inf), 1, {IN(ANY, 2, 3)}, ""},
    {"norm_over 1", "norm", REAL, GRAD | REORDERS, 4, BUILD(norm_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"norm_over 0,2 kept", "norm", REAL, GRAD | REORDERS, 4, BUILD(norm_over_02_keep), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"norm 3 over 0,2", NULL, REAL, GRAD | REORDERS, 8, BUILD(norm_3_over_02), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"std 0", NULL, REAL, GRAD | REORDERS, 6, BUILD(std_0), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"std_over 1", NULL, REAL, GRAD | REORDERS, 6, BUILD(std_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"count_nonzero", NULL, ANYTHING, 0, 0, UNARY(ag_count_nonzero), 1, {IN(TIES, 2, 6)}, ""},
    {"count_nonzero_over 1", NULL, ANYTHING, 0, 0, BUILD(count_nonzero_over_1), 1, {IN(TIES, 2, 6)}, ""},
    {"ptp", NULL, NUMBER, GRAD, 0, UNARY(ag_ptp), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"ptp_over 1", NULL, NUMBER, GRAD, 0, BUILD(ptp_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"median", "argrank", REAL, GRAD | LENIENT, 0, UNARY(ag_median), 1, {IN(ANY, 5)}, ""},
    {"median_over 0,2 kept", NULL, REAL, GRAD | LENIENT, 0, BUILD(median_over_02), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"median special", NULL, REAL, LENIENT, 0, BUILD(median_over_1), 1, {IN(SPECIAL, 3, 5)}, ""},
    {"quantile", NULL, REAL, GRAD | LENIENT, 8, BUILD(quantile_3), 1, {IN(ANY, 2, 5)}, ""},
    {"quantile_over 1", NULL, REAL, GRAD | LENIENT, 8, BUILD(quantile_over_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"quantiles_over 0,2", NULL, REAL, GRAD | LENIENT, 8, BUILD(quantiles_over_02), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"average_over 0", NULL, REAL, GRAD | REORDERS, 6, BUILD(average_over_0), 2, {IN(ANY, 4, 3), IN(POSITIVE, 4)}, ""},
    {"average all kept", NULL, REAL, GRAD | REORDERS, 6, BUILD(average_all), 2, {IN(ANY, 4, 3), IN(POSITIVE, 3)}, ""},

    {"sum_where", NULL, REAL, GRAD | REORDERS | LENIENT, 2, BUILD(sum_where), 2, {IN(ANY, 2, 4, 3), IN(MASK, 4, 1)}, ""},
    {"prod_where", NULL, REAL, GRAD | REORDERS | LENIENT, 4, BUILD(prod_where), 2, {IN(ANY, 4, 3), IN(MASK, 4, 3)}, ""},
    {"mean_where", NULL, REAL, GRAD | REORDERS | LENIENT, 4, BUILD(mean_where), 2, {IN(ANY, 2, 4), IN(MASK, 2, 4)}, ""},
    {"var_where", NULL, REAL, GRAD | REORDERS, 6, BUILD(var_where), 2, {IN(ANY, 2, 4), IN(MASK, 2, 4)}, ""},
    {"std_where", NULL, REAL, GRAD | REORDERS, 6, BUILD(std_where), 2, {IN(ANY, 2, 4), IN(MASK, 4)}, ""},
    {"max_where", NULL, NUMBER, GRAD, 0, BUILD(max_where), 2, {IN(ANY, 2, 4), IN(MASK, 2, 4)}, ""},
    {"min_where", NULL, NUMBER, GRAD, 0, BUILD(min_where), 2, {IN(ANY, 2, 4), IN(MASK, 2, 4)}, ""},
    {"nansum special", NULL, REAL, REORDERS, 2, BUILD(nansum_1), 1, {IN(SPECIAL, 8, 2)}, ""},
    {"nanprod special", NULL, REAL, REORDERS, 2, BUILD(nanprod_1), 1, {IN(SPECIAL, 8, 2)}, ""},
    {"nanmean special", NULL, REAL, REORDERS, 2, BUILD(nanmean_1), 1, {IN(SPECIAL, 8, 2)}, ""},
    {"nanvar", NULL, REAL, GRAD | REORDERS, 6, BUILD(nanvar_1), 1, {IN(ANY, 2, 4)}, ""},
    {"nanstd", NULL, REAL, GRAD | REORDERS, 6, BUILD(nanstd_1), 1, {IN(ANY, 2, 4)}, ""},
    {"nanmax special", NULL, REAL, 0, 0, BUILD(nanmax_1), 1, {IN(SPECIAL, 8, 2)}, ""},
    {"nanmin special", NULL, REAL, 0, 0, BUILD(nanmin_1), 1, {IN(SPECIAL, 8, 2)}, ""},
    {"logsumexp 0,2", NULL, REAL, GRAD | REORDERS, 4, BUILD(logsumexp_02), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"softmax 0,2", NULL, REAL, GRAD | REORDERS, 6, BUILD(softmax_02), 1, {IN(ANY, 2, 3, 2)}, ""},
    {"log_softmax all", NULL, REAL, GRAD | REORDERS, 6, BUILD(log_softmax_all), 1, {IN(ANY, 3, 4)}, ""},

    {"cumsum 0", "cumsum", NUMBER, GRAD | LENIENT, 4, BUILD(cumsum_0), 1, {IN(ANY, 4, 3)}, ""},
    {"cumsum 1", "cumsum", NUMBER, GRAD | LENIENT, 4, BUILD(cumsum_1), 1, {IN(ANY, 2, 3, 10)}, ""},
    {"cumsum last", "cumsum", NUMBER, GRAD | LENIENT, 8, BUILD(cumsum_last), 1, {IN(ANY, 2, 70)}, ""},
    {"cumsum nothing", "cumsum", NUMBER, GRAD | LENIENT, 0, BUILD(cumsum_1), 1, {IN(ANY, 2, 0, 3)}, ""},
    {"cumsum special", "cumsum", REAL, LENIENT, 2, BUILD(cumsum_1), 1, {IN(SPECIAL, 8, 2)}, ""},
    {"cumsum bool", "cumsum", 1 << AG_BOOL, LENIENT, 0, BUILD(cumsum_last), 1, {IN(ANY, 3, 40)}, ""},
    {"cumprod 0", "cumprod", NUMBER, GRAD | LENIENT, 4, BUILD(cumprod_0), 1, {IN(ANY, 4, 3)}, ""},
    {"cumprod 1", "cumprod", NUMBER, GRAD | LENIENT, 4, BUILD(cumprod_1), 1, {IN(ANY, 2, 3, 9)}, ""},
    {"cumprod last", "cumprod", NUMBER, GRAD | LENIENT, 8, BUILD(cumprod_last), 1, {IN(ANY, 2, 8)}, ""},
    {"cumprod ties", "cumprod", NUMBER, GRAD | LENIENT, 0, BUILD(cumprod_last), 1, {IN(TIES, 2, 7)}, ""},
    {"cumprod special", "cumprod", REAL, LENIENT, 2, BUILD(cumprod_1), 1, {IN(SPECIAL, 8, 2)}, ""},
    {"cummax 1", "cummax", NUMBER, GRAD | LENIENT, 0, BUILD(cummax_1), 1, {IN(ANY, 2, 5, 3)}, ""},
    {"cummax ties", "cummax", NUMBER, SUBGRAD | LENIENT, 0, BUILD(cummax_1), 1, {IN(TIES, 3, 7)}, ""},
    {"cummax index", NULL, NUMBER, LENIENT, 0, UNARY(index_of_cummax), 1, {IN(TIES, 3, 7)}, ""},
    {"cummax index special", NULL, REAL, LENIENT, 0, UNARY(index_of_cummax), 1, {IN(SPECIAL, 3, 7)}, ""},
    {"cummin index", NULL, NUMBER, LENIENT, 0, UNARY(index_of_cummin), 1, {IN(TIES, 3, 7)}, ""},
    {"cummax special", "cummax", REAL, LENIENT, 0, BUILD(cummax_1), 1, {IN(SPECIAL, 3, 7)}, ""},
    {"cummin 0", "cummin", NUMBER, GRAD | LENIENT, 0, BUILD(cummin_0), 1, {IN(ANY, 6, 3)}, ""},
    {"cummin ties", "cummin", NUMBER, SUBGRAD | LENIENT, 0, BUILD(cummin_0), 1, {IN(TIES, 7, 2)}, ""},
    {"logcumsumexp 1", "recur", REAL, GRAD, 4, BUILD(logcumsumexp_1), 1, {IN(ANY, 2, 5, 2)}, ""},
    {"logcumsumexp special", NULL, REAL, 0, 2, BUILD(logcumsumexp_1), 1, {IN(SPECIAL, 5, 3)}, ""},
    {"diff 1", NULL, NUMBER, GRAD | LENIENT, 2, BUILD(diff_1), 1, {IN(ANY, 2, 5, 3)}, ""},
    {"diff 2", NULL, NUMBER, GRAD | LENIENT, 4, BUILD(diff_2), 1, {IN(ANY, 2, 5)}, ""},
    {"diff bool", NULL, 1 << AG_BOOL, LENIENT, 0, BUILD(diff_2), 1, {IN(ANY, 2, 5)}, ""},
    {"recur", "recur", REAL, GRAD, 4, BUILD(recur_ahead), 2, {IN(ANY, 2, 4, 3), IN(ANY, 2, 4, 3)}, ""},
    {"recur one", "recur", REAL, GRAD | NO_GOLDEN, 4, BUILD(recur_ahead), 2, {IN(ANY, 2, 1, 3), IN(ANY, 2, 1, 3)}, ""},
    {"recur back", "recur", REAL, GRAD, 4, BUILD(recur_back), 2, {IN(ANY, 3, 5), IN(ANY, 3, 5)}, ""},

    {"sort 0", "sort", ANYTHING, GRAD, 0, BUILD(sort_0), 1, {IN(ANY, 5, 3)}, ""},
    {"sort down", "sort", ANYTHING, GRAD, 0, BUILD(sort_down), 1, {IN(ANY, 2, 60)}, ""},
    {"sort ties", "sort", ANYTHING, SUBGRAD, 0, BUILD(sort_0), 1, {IN(TIES, 7, 2)}, ""},
    {"sort special", "sort", REAL, LENIENT, 0, BUILD(sort_0), 1, {IN(SPECIAL, 16)}, ""},
    {"argsort 1", "argsort", ANYTHING, 0, 0, BUILD(argsort_1), 1, {IN(ANY, 2, 50)}, ""},
    {"argsort down", "argsort", ANYTHING, 0, 0, BUILD(argsort_down), 1, {IN(TIES, 7, 2)}, ""},
    {"argsort special", "argsort", REAL, LENIENT, 0, BUILD(argsort_1), 1, {IN(SPECIAL, 2, 16)}, ""},
    {"topk", "argtopk", ANYTHING - (1 << AG_BOOL), GRAD | LENIENT, 0, BUILD(topk_1), 1, {IN(ANY, 2, 6, 2)}, ""},
    {"topk index", "argtopk", ANYTHING - (1 << AG_BOOL), LENIENT, 0, UNARY(index_of_topk), 1, {IN(ANY, 6, 2)}, ""},
    {"searchsorted", "searchsorted", NUMBER, LENIENT, 0, BUILD(searchsorted_left), 2, {IN(TIES, 2), IN(TIES, 2, 3)}, ""},
    {"searchsorted right", "searchsorted", NUMBER, LENIENT, 0, BUILD(searchsorted_right), 2, {IN(ANY, 2, 1), IN(ANY, 2, 3)}, ""},
    {"searchsorted special", "searchsorted", REAL, LENIENT, 0, BUILD(searchsorted_left), 2, {IN(TIES, 2), IN(SPECIAL, 16)}, ""},

    {"histogram", "histogram", NUMBER, 0, 0, BUILD(histogram_5), 1, {IN(ANY, 4, 10)}, ""},
    {"histogram special", "histogram", REAL, LENIENT, 0, BUILD(histogram_5), 1, {IN(SPECIAL, 16)}, ""},
    {"histogram_between", NULL, REAL, LENIENT, 0, BUILD(histogram_between), 2, {IN(ANY, 20), IN(TIES, 2)}, ""},
    {"bincount", NULL, 1 << AG_F64, LENIENT, 0, BUILD(bincount_5), 1, {INDICES(5, 3, 4)}, ""},
    {"unique", "unique", ANYTHING, LENIENT, 0, BUILD(unique), 1, {IN(TIES, 3, 4)}, ""},
    {"ties 1", "ties", REAL, GRAD, 0, BINARY(ties), 2, {IN(ANY, 2, 5, 3), IN(ANY, 2, 1, 3)}, ""},
    {"ties 0,2", "ties", REAL, SUBGRAD, 0, BINARY(ties), 2, {IN(TIES, 3, 2, 7), IN(TIES, 1, 2, 1)}, ""},
    {"ties special", "ties", REAL, 0, 0, BINARY(ties), 2, {IN(SPECIAL, 2, 8, 2), IN(SPECIAL, 2, 1, 2)}, ""},
    {"shares 1", "shares", REAL, GRAD, 0, BUILD(shares_weak), 3, {IN(ANY, 2, 5, 3), IN(ANY, 2, 1, 3), IN(ANY, 2, 1, 3)}, ""},
    {"shares 0,2", "shares", REAL, SUBGRAD, 0, BUILD(shares_strong), 3, {IN(TIES, 3, 2, 7), IN(TIES, 1, 2, 1), IN(ANY, 1, 2, 1)}, ""},
    {"shares special", "shares", REAL, 0, 0, BUILD(shares_weak), 3, {IN(SPECIAL, 2, 8, 2), IN(SPECIAL, 2, 1, 2), IN(SPECIAL, 2, 1, 2)}, ""},
    {"distinct", "distinct", ANYTHING, 0, 0, BUILD(distinct), 1, {IN(TIES, 3, 4)}, ""},
    {"unique inverse", NULL, ANYTHING, LENIENT, 0, UNARY(inverse_of_unique), 1, {IN(TIES, 3, 4)}, ""},
    {"unique special", "unique", REAL, LENIENT, 0, BUILD(unique), 1, {IN(SPECIAL, 16)}, ""},
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {{NULL, 0, 0}};

static const case_reference references[] = {{NULL, 0, NULL, NULL}};

const case_family cases_reduce = {rows, exceptions, references};
