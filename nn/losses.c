/* losses -- means over a batch of a loss a sample
 *
 * N samples, C classes; s are scores, t are targets. */
#include "nn/refuse.h"

/* Whether scores are (N,C) and labels (N) of i64; if not, *nil is set, after an error. They are checked here because
 * the error of ag_gather would name an index that the caller has never seen. */
static bool labels_fit(const char *name, ag_tensor *scores, ag_tensor *labels, ag_tensor **nil) {
    ag_tensor *const x[] = {scores, labels};
    *nil = NULL;
    if (ag_rank(scores) != 2 || ag_rank(labels) != 1 || ag_extent(scores, 0) != ag_extent(labels, 0))
        *nil = ag__refuse(name, 2, x, AG_ERR_SHAPE, "scores must be (N,C) and labels (N)");
    else if (ag_dtype_of(labels) != AG_I64) *nil = ag__refuse(name, 2, x, AG_ERR_DTYPE, "labels must be i64");
    return !*nil;
}

static bool same_shape(ag_tensor *a, ag_tensor *b) {
    if (ag_is_nil(a) || ag_is_nil(b) || ag_rank(a) != ag_rank(b)) return false;
    for (int i = 0; i < ag_rank(a); i++)
        if (ag_extent(a, i) != ag_extent(b, i)) return false;
    return true;
}

/* Each sample's score at its label: N C -> N 1. */
static ag_tensor *at_labels(ag_tensor *scores, ag_tensor *labels) {
    return ag_gather(scores, ag_unsqueeze(labels, 1), 1);
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

ag_tensor *ag_cross_entropy(ag_tensor *scores, ag_tensor *labels) {
    ag_tensor *nil;
    if (!labels_fit("cross_entropy", scores, labels, &nil)) return nil;
    labels = ag__indices_in_range(AG__CROSS_ENTROPY, labels, ag_extent(scores, 1));
    return average(ag_surprisal(scores, ag_unsqueeze(labels, 1), 1));
}

/* ln(1 + e^s) − t·s equals (1 − t)·s + ln(1 + e^−s). On its own side of 0 each is a sum of terms that are not
 * negative, with an exponential of at most 1; where they meet, their derivatives agree. */
ag_tensor *ag_binary_cross_entropy(ag_tensor *scores, ag_tensor *targets) {
    ag_tensor *const x[] = {scores, targets};
    if (!same_shape(scores, targets))
        return ag__refuse("binary_cross_entropy", 2, x, AG_ERR_SHAPE, "the shapes of scores and targets differ");
    ag_tape *tape = ag_tape_of(scores);
    ag_dtype dtype = ag_dtype_of(scores);
    ag_tensor *zero = ag_scalar(tape, dtype, 0), *one = ag_scalar(tape, dtype, 1), *over = ag_less(zero, scores);
    ag_tensor *linear = ag_mul(ag_sub(ag_where(over, one, zero), targets), scores);
    ag_tensor *away = ag_mul(ag_where(over, ag_neg(one), one), scores); /* −|s| */
    return average(ag_add(linear, ag_log1p(ag_exp(away))));
}

/* N C, true where the class is the sample's label. Class numbers are exact as reals, which machine code compares. */
static ag_tensor *is_label(ag_tensor *scores, ag_tensor *labels) {
    enum { MOST_F32 = 1 << 24 };
    int64_t classes = ag_extent(scores, 1);
    ag_dtype dtype = classes > MOST_F32 ? AG_F64 : ag_dtype_of(scores);
    return ag_equal(ag_cast(ag_unsqueeze(labels, 1), dtype), ag_arange(ag_tape_of(scores), dtype, classes));
}

/* a − b + 1, rounded about once; a is broadcast to b. Knuth's two-sum gives the rounding error of a − b, which is
 * added where it matters, as a constant to gradients. */
static ag_tensor *one_more(ag_tensor *a, ag_tensor *b) {
    ag_tensor *u = ag_stop_gradient(a), *v = ag_stop_gradient(b), *d = ag_sub(u, v), *minus_v = ag_sub(d, u);
    ag_tensor *lost = ag_sub(ag_sub(u, ag_sub(d, minus_v)), ag_add(v, minus_v));
    ag_tensor *zero = ag_scalar(ag_tape_of(a), ag_dtype_of(a), 0), *four = ag_scalar(ag_tape_of(a), ag_dtype_of(a), 4);
    return ag_add(ag_add_scalar(ag_sub(a, b), 1), ag_where(ag_less(ag_abs(d), four), lost, zero));
}

ag_tensor *ag_hinge(ag_tensor *scores, ag_tensor *labels) {
    ag_tensor *nil;
    if (!labels_fit("hinge", scores, labels, &nil)) return nil;
    labels = ag__indices_in_range(AG__HINGE, labels, ag_extent(scores, 1));
    ag_tensor *margins = ag_relu(one_more(scores, at_labels(scores, labels))); /* N C */
    ag_tensor *zero = ag_scalar(ag_tape_of(scores), ag_dtype_of(scores), 0);
    return average(ag_sum_over(ag_where(is_label(scores, labels), zero, margins), AG_AXES(1), false));
}

ag_tensor *ag_mse(ag_tensor *x, ag_tensor *target) {
    ag_tensor *const in[] = {x, target};
    if (!same_shape(x, target))
        return ag__refuse("mse", 2, in, AG_ERR_SHAPE, "the shapes must be equal: nothing is broadcast here");
    return ag_mean(ag_square(ag_sub(x, target)));
}

ag_tensor *ag_accuracy(ag_tensor *scores, ag_tensor *labels) {
    ag_tensor *nil;
    if (!labels_fit("accuracy", scores, labels, &nil)) return nil;
    return ag_mean(ag_cast(ag_equal(ag_argmax(scores, 1, false), labels), AG_F64));
}
