/* losses -- the mean over a batch of how wrong something is
 *
 * N samples, C classes; s are scores, t are targets. */
#include "nn/refuse.h"

/* Whether scores are (N,C) and labels N of i64; if not, *nil is what the loss returns. What ag_gather would say of
 * such a pair is about an index that the caller has never seen. */
static bool labels_fit(const char *name, ag_tensor *scores, ag_tensor *labels, ag_tensor **nil) {
    ag_tensor *const x[] = {scores, labels};
    *nil = NULL;
    if (ag_rank(scores) != 2 || ag_rank(labels) != 1 || ag_extent(scores, 0) != ag_extent(labels, 0))
        *nil = ag__refuse(name, 2, x, AG_ERR_SHAPE, "scores (N,C) and labels (N) are wanted");
    else if (ag_dtype_of(labels) != AG_I64) *nil = ag__refuse(name, 2, x, AG_ERR_DTYPE, "labels are to be i64");
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

ag_tensor *ag_cross_entropy(ag_tensor *scores, ag_tensor *labels) {
    ag_tensor *nil;
    if (!labels_fit("cross_entropy", scores, labels, &nil)) return nil;
    return ag_mean(ag_sub(ag_logsumexp(scores, 1, true), at_labels(scores, labels)));
}

/* ln(1 + e^s) = m + ln(e^(s−m) + e^(−m)) with m = max(s, 0) held constant: neither exponential overflows. The usual
 * max(s, 0) + ln(1 + e^−|s|) is as safe, but has a kink at 0, where its gradient would come out as 0 and not as ½. */
static ag_tensor *softplus(ag_tensor *s) {
    ag_tensor *m = ag_stop_gradient(ag_maximum_scalar(s, 0));
    return ag_add(m, ag_log(ag_add(ag_exp(ag_sub(s, m)), ag_exp(ag_neg(m)))));
}

ag_tensor *ag_binary_cross_entropy(ag_tensor *scores, ag_tensor *targets) {
    ag_tensor *const x[] = {scores, targets};
    if (!same_shape(scores, targets))
        return ag__refuse("binary_cross_entropy", 2, x, AG_ERR_SHAPE, "the shapes of scores and targets differ");
    return ag_mean(ag_sub(softplus(scores), ag_mul(targets, scores)));
}

ag_tensor *ag_hinge(ag_tensor *scores, ag_tensor *labels) {
    ag_tensor *nil;
    if (!labels_fit("hinge", scores, labels, &nil)) return nil;
    ag_tensor *margins = ag_relu(ag_add_scalar(ag_sub(scores, at_labels(scores, labels)), 1)); /* N C */
    /* The label's own margin is s − s + 1, which is 1 exactly, and whose two gradients cancel. */
    return ag_mean(ag_add_scalar(ag_sum_over(margins, AG_AXES(1), false), -1));
}

ag_tensor *ag_mse(ag_tensor *x, ag_tensor *target) {
    ag_tensor *const in[] = {x, target};
    if (!same_shape(x, target))
        return ag__refuse("mse", 2, in, AG_ERR_SHAPE, "the shapes differ, and nothing is broadcast here");
    return ag_mean(ag_square(ag_sub(x, target)));
}

ag_tensor *ag_accuracy(ag_tensor *scores, ag_tensor *labels) {
    ag_tensor *nil;
    if (!labels_fit("accuracy", scores, labels, &nil)) return nil;
    return ag_mean(ag_cast(ag_equal(ag_argmax(scores, 1, false), labels), AG_F64));
}
