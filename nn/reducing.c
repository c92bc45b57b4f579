/* reducing -- see reducing.h */
#include "nn/reducing.h"

#include <math.h>

/* ---- Checks ---- */

bool ag__loss_refused(ag__loss *l, ag_status status, const char *message) {
    l->nil = ag__refuse(l->kind->name, l->n, l->x, status, "%s", message);
    return false;
}

static bool inputs_fit(ag__loss *l) {
    ag_dtype dtype = ag_dtype_of(l->x[0]);
    for (int i = 0; i < l->n; i++)
        if (ag_is_nil(l->x[i]) || ag_tape_of(l->x[i]) != ag_tape_of(l->x[0]))
            return ag__loss_refused(l, AG_ERR_TAPE, "the tensors must be of one tape");
    for (int i = 0; i < l->n; i++) {
        const bool whole = l->kind->whole >> i & 1;
        if (whole && ag_dtype_of(l->x[i]) != AG_I64)
            return ag__loss_refused(l, AG_ERR_DTYPE, l->n > 2 ? "all but the first must be i64" : "labels must be i64");
        if (!whole && (ag_dtype_of(l->x[i]) != dtype || (dtype != AG_F32 && dtype != AG_F64)))
            return ag__loss_refused(l, AG_ERR_DTYPE,
                                    l->kind->whole ? "the first must be f32 or f64" : "all must be f32, or all f64");
    }
    return true;
}

static unsigned given_in(const ag_loss_options *o) {
    const bool given[] = {o->class_weights, o->positive_weight, o->smoothing != 0, o->ignores,      o->log_target,
                          o->full,          o->rates,           o->swap,           o->zero_infinity};
    unsigned set = 0;
    for (unsigned i = 0; i < sizeof given / sizeof *given; i++) set |= (unsigned)given[i] << i;
    return set;
}

static bool options_fit(ag__loss *l) {
    static const char *const names[] = {"class_weights", "positive_weight", "smoothing", "ignores",      "log_target",
                                        "full",          "rates",           "swap",      "zero_infinity"};
    const unsigned extra = given_in(&l->o) & ~l->kind->takes;
    for (int i = 0; extra >> i; i++)
        if (extra >> i & 1) {
            l->nil = ag__refuse(l->kind->name, l->n, l->x, AG_ERR_RANGE, "there is no use for the option %s", names[i]);
            return false;
        }
    if (!(l->o.smoothing >= 0 && l->o.smoothing <= 1))
        return ag__loss_refused(l, AG_ERR_RANGE, "smoothing must be from 0 to 1");
    if ((unsigned)l->o.reduction > AG_LOSS_BATCH_MEAN)
        return ag__loss_refused(l, AG_ERR_RANGE, "the reduction is invalid");
    return true;
}

bool ag__loss_begins(ag__loss *l, const ag_loss_options *options) {
    if (options) l->o = *options;
    return inputs_fit(l) && options_fit(l);
}

bool ag__broadcasts_to(const ag_tensor *x, ag_shape shape) {
    const int more = shape.rank - ag_rank(x);
    if (more < 0) return false;
    for (int i = 0; i < ag_rank(x); i++)
        if (ag_extent(x, i) != 1 && ag_extent(x, i) != shape.extent[more + i]) return false;
    return true;
}

/* Whether an optional factor is a tensor of the losses' kind; its error names it and the losses' first input. */
static bool factor_fits(ag__loss *l, const char *name, ag_tensor *factor, const ag_shape *shape) {
    ag_tensor *const x[] = {l->x[0], factor};
    if (!factor) return true;
    if (ag_is_nil(factor) || ag_tape_of(factor) != ag_tape_of(l->x[0]) || ag_dtype_of(factor) != ag_dtype_of(l->x[0]))
        l->nil = ag__refuse(l->kind->name, 2, x, AG_ERR_DTYPE, "the option %s must have the dtype of the input", name);
    else if (!ag__broadcasts_to(factor, *shape))
        l->nil = ag__refuse(l->kind->name, 2, x, AG_ERR_SHAPE, "the option %s does not fit", name);
    return !l->nil;
}

bool ag__loss_weights_fit(ag__loss *l, ag_shape losses) {
    const ag_loss_options *o = &l->o;
    return factor_fits(l, "weights", o->weights, &losses) &&
           factor_fits(l, "positive_weight", o->positive_weight, &losses);
}

bool ag__loss_class_weights_fit(ag__loss *l, int64_t classes) {
    ag_tensor *const x[] = {l->x[0], l->o.class_weights};
    if (!factor_fits(l, "class_weights", x[1], &AG_SHAPE(classes))) return false;
    if (!x[1] || (ag_rank(x[1]) == 1 && ag_size(x[1]) == classes)) return true;
    l->nil = ag__refuse(l->kind->name, 2, x, AG_ERR_SHAPE, "the option class_weights must have an element a class");
    return false;
}

static bool one_shape(ag__loss *l) {
    const ag_shape shape = ag_shape_of(l->x[0]);
    for (int i = 1; i < l->n; i++)
        if (!ag__has_shape(l->x[i], &shape))
            return ag__loss_refused(l, AG_ERR_SHAPE, "the shapes must be equal: nothing is broadcast here");
    return true;
}

ag_shape ag__without_axis(ag_shape shape, int axis) {
    shape.rank--;
    for (int i = axis; i < shape.rank; i++) shape.extent[i] = shape.extent[i + 1];
    return shape;
}

/* Vectors are along the last axis. */
static bool vectors_fit(ag__loss *l) {
    const ag_shape shape = ag_shape_of(l->x[0]);
    if (shape.rank == 0 || shape.extent[shape.rank - 1] == 0)
        return ag__loss_refused(l, AG_ERR_SHAPE, "the vectors have no elements");
    const ag_shape number = ag__without_axis(shape, shape.rank - 1);
    for (int i = 1; i < l->n; i++)
        if (!ag__has_shape(l->x[i], i < l->kind->vectors ? &shape : &number))
            return ag__loss_refused(l, AG_ERR_SHAPE,
                                    i < l->kind->vectors ? "the vectors must have one shape"
                                                         : "there must be a sign for each vector");
    return ag__loss_weights_fit(l, number);
}

bool ag__loss_numbers_fit(ag__loss *l) {
    for (int i = 0; i < 2 && l->kind->number[i].name; i++) {
        const ag__loss_number *n = &l->kind->number[i];
        if (l->number[i] >= n->least && l->number[i] <= n->most) continue;
        l->nil = ag__refuse(l->kind->name, l->n, l->x, AG_ERR_RANGE, "%s is %g: from %g to %g is wanted", n->name,
                            l->number[i], n->least, n->most);
        return false;
    }
    return true;
}

ag_tensor *ag__loss_of(const ag__loss_kind *kind, ag_tensor *const x[], double number, double second,
                       const ag_loss_options *options) {
    ag__loss l = {.kind = kind, .n = kind->n, .number = {number, second}};
    for (int i = 0; i < kind->n; i++) l.x[i] = x[i];
    if (!ag__loss_begins(&l, options)) return l.nil;
    if (!(kind->vectors ? vectors_fit(&l) : one_shape(&l) && ag__loss_weights_fit(&l, ag_shape_of(l.x[0]))))
        return l.nil;
    return ag__loss_numbers_fit(&l) ? ag__loss_reduced(&l, kind->losses(&l), NULL) : l.nil;
}

/* ---- Reductions ---- */

ag_tensor *ag__number_like(const ag_tensor *x, double number) {
    return ag_scalar(ag_tape_of(x), ag_dtype_of(x), number);
}

/* The factor that keeps the sum of x within range: a power of 2, which is exact unless x is about to underflow. */
static double share_of(ag_tensor *x) {
    double share = 1;
    for (int64_t n = ag_size(x); n > 1; n -= n / 2) share /= 2;
    return share;
}

/* The mean of x; its sum overflows only if the mean does. */
static ag_tensor *average(ag_tensor *x) {
    double share = share_of(x);
    return share == 1 ? ag_mean(x) : ag_scale(ag_mean(ag_scale(x, share)), 1 / share);
}

/* A weight of 0 is a strong zero: nothing of what it is multiplied by is left, in the gradient neither. */
ag_tensor *ag__loss_reduced(const ag__loss *l, ag_tensor *losses, ag_tensor *divisor) {
    if (l->o.weights) losses = ag_strong_mul(l->o.weights, losses);
    switch (l->o.reduction) {
    case AG_LOSS_NONE: return losses;
    case AG_LOSS_SUM: return ag_sum(losses);
    case AG_LOSS_BATCH_MEAN: return ag_div_scalar(ag_sum(losses), ag_rank(losses) ? (double)ag_extent(losses, 0) : 1);
    default: return divisor ? ag_div(average(losses), average(divisor)) : average(losses);
    }
}
