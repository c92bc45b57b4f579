/* regression -- errors of predicted numbers, from exact sums */
#include "nn/exact.h"

#include <math.h>

static ag_tensor *batch_wrong(const ag_regression *r, ag_tensor *x, ag_tensor *target) {
    static const char name[] = "regression_add";
    ag_tensor *const in[] = {x, target};
    if (!r) return ag__refuse_on(ag_tape_of(x), name, AG_ERR_NULL, "the metric is NULL");
    if (ag_is_nil(x) || ag_is_nil(target)) return ag__refuse(name, 2, in, AG_ERR_NIL, "there is nothing to add");
    bool same = ag_rank(x) == ag_rank(target);
    for (int i = 0; same && i < ag_rank(x); i++) same = ag_extent(x, i) == ag_extent(target, i);
    if (!same) return ag__refuse(name, 2, in, AG_ERR_SHAPE, "the shapes must be equal: nothing is broadcast here");
    if (ag_dtype_of(x) != ag_dtype_of(target) || (ag_dtype_of(x) != AG_F32 && ag_dtype_of(x) != AG_F64))
        return ag__refuse(name, 2, in, AG_ERR_DTYPE, "f32 or f64 is wanted, the same for both");
    return NULL;
}

/* |x − t| and its square without any rounding: the larger less the smaller, and x² − 2·x·t + t². */
static void add_sample(ag_regression *r, double x, double t) {
    bool over = x > t;
    ag__count(&r->samples);
    if (isinf(t)) ag__count(&r->infinite_targets);
    if (isnan(x - t)) ag__count(&r->nan);
    else if (isinf(x) || isinf(t)) ag__count(&r->infinite);
    if (!isfinite(x) || !isfinite(t)) return;
    ag__exact_add(&r->absolute, x, !over);
    ag__exact_add(&r->absolute, t, over);
    ag__exact_add_product(&r->squares, x, x, false);
    ag__exact_add_product(&r->squares, x, t, true);
    ag__exact_add_product(&r->squares, x, t, true);
    ag__exact_add_product(&r->squares, t, t, false);
    ag__exact_add(&r->targets, t, false);
    ag__exact_add_product(&r->target_squares, t, t, false);
}

ag_status ag_regression_add(ag_regression *r, ag_tensor *x, ag_tensor *target) {
    ag_tensor *nil = batch_wrong(r, x, target);
    if (nil) return ag_eval(nil);
    ag_status status = ag_eval_all(2, (ag_tensor *[]){x, target});
    if (status != AG_OK) return status;
    const void *a = ag_data(x), *b = ag_data(target);
    if (!a || !b) return ag_eval(a ? target : x);
    for (int64_t i = 0; i < ag_size(x); i++) {
        if (ag_dtype_of(x) == AG_F32) add_sample(r, ((const float *)a)[i], ((const float *)b)[i]);
        else add_sample(r, ((const double *)a)[i], ((const double *)b)[i]);
    }
    return AG_OK;
}

static double mean_of(const ag_regression *r, size_t which) {
    const ag_exact *const sum[] = {&r->absolute, &r->squares};
    if (r->samples < 1 || r->nan) return NAN;
    return r->infinite ? INFINITY : ag__exact_mean(sum[which], r->samples);
}

double ag_regression_mae(const ag_regression *r) { return r ? mean_of(r, 0) : NAN; }
double ag_regression_mse(const ag_regression *r) { return r ? mean_of(r, 1) : NAN; }

/* n·Σ(t − mean)² = n·Σt² − (Σt)², which is exact, so that nothing is lost where the two nearly cancel. */
double ag_regression_r2(const ag_regression *r) {
    if (!r || r->samples < 2 || r->nan || r->infinite_targets) return NAN;
    if (r->infinite) return -INFINITY;
    ag_exact missed = {0}, spread = {0};
    ag__exact_add_scaled(&missed, &r->squares, (double)r->samples, false);
    ag__exact_add_scaled(&spread, &r->target_squares, (double)r->samples, false);
    ag__exact_add_square(&spread, &r->targets, true);
    double ratio = ag__exact_ratio(&missed, &spread);
    if (isfinite(ratio)) return 1 - ratio;
    return isnan(ratio) ? 1 : 0; /* 0/0, x/0 */
}
