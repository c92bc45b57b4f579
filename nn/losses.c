/* losses -- of classes, of two classes, of numbers
 *
 * N samples, C classes; s are scores, t are targets. A loss checks its inputs and options before it records anything:
 * ag__loss_begins. Classes are brought to the last axis, which is a view. */
#include "nn/along.h"
#include "nn/reducing.h"

#include <float.h>
#include <math.h>

/* ---- Classes ---- */

/* Scores of classes, and the samples' labels. */
typedef struct labelled {
    ag__loss loss;
    int64_t classes;
    ag_tensor *scores;  /* …,C */
    ag_tensor *labels;  /* …,1; 0 where the sample is ignored */
    ag_tensor *ignored; /* …; NULL: none */
    ag_tensor *factor;  /* …: the class weight of the label, 0 where ignored; NULL: 1 */
} labelled;

static ag_tensor *classes_last(ag_tensor *x, int axis) {
    ag_axes order = {.count = ag_rank(x)};
    for (int i = 0, k = 0; i < order.count; i++)
        if (i != axis) order.axis[k++] = i;
    order.axis[order.count - 1] = axis;
    return axis == order.count - 1 ? x : ag__permute_by(x, &order);
}

/* Whether there are classes along *axis, which becomes non-negative, and targets and weights fit. Labels are checked
 * here because the error of ag_gather would name an index that the caller has never seen. */
static bool fits(labelled *of, int *axis, const ag_loss_options *options) {
    ag__loss *l = &of->loss;
    const int rank = ag_rank(l->x[0]);
    if (!ag__loss_begins(l, options)) return false;
    if (*axis < -rank || *axis >= rank) {
        l->nil = ag__refuse(l->kind->name, 2, l->x, rank ? AG_ERR_AXIS : AG_ERR_SHAPE,
                            "axis %d, of the classes, is out of range for rank %d", *axis, rank);
        return false;
    }
    *axis += *axis < 0 ? rank : 0;
    of->classes = ag_extent(l->x[0], *axis);
    const ag_shape shape = ag_shape_of(l->x[0]), samples = ag__without_axis(shape, *axis);
    if (!ag__has_shape(l->x[1], l->kind->whole ? &samples : &shape))
        return ag__loss_refused(l, AG_ERR_SHAPE,
                                l->kind->whole ? "labels must have the shape of the scores without the axis of classes"
                                               : "probabilities must have the shape of the scores");
    if (of->classes == 0) return ag__loss_refused(l, AG_ERR_SHAPE, "there are no classes");
    return ag__loss_weights_fit(l, samples) && ag__loss_class_weights_fit(l, of->classes);
}

/* Each sample's element at its label. */
static ag_tensor *at_labels(const labelled *of, ag_tensor *x) { return ag__squeezed(ag_gather(x, of->labels, -1), -1); }

static ag_tensor *zero_if_ignored(const labelled *of, ag_tensor *x) {
    return of->ignored ? ag_where(of->ignored, ag__number_like(x, 0), x) : x;
}

static ag_tensor *factors_of(const labelled *of) {
    ag_tensor *weights = of->loss.o.class_weights, *labels = of->labels;
    if (!weights && !of->ignored) return NULL;
    if (!weights) weights = ag_full(ag_tape_of(labels), ag_dtype_of(of->scores), AG_SHAPE(of->classes), 1);
    ag_tensor *flat = ag_gather(weights, ag__reshape_to(labels, &AG_SHAPE(ag_size(labels))), 0);
    return zero_if_ignored(of, ag__reshape_like(flat, of->loss.x[1]));
}

static void take_labels(labelled *of, ag__indices kind) {
    ag_tensor *labels = of->loss.x[1];
    if (of->loss.o.ignores) {
        ag_tensor *none = ag_zeros(ag_tape_of(labels), AG_I64, AG_SCALAR);
        of->ignored = ag_equal(labels, ag_from(ag_tape_of(labels), AG_I64, AG_SCALAR, &of->loss.o.ignored));
        labels = ag_where(of->ignored, none, labels);
    }
    of->labels = ag_unsqueeze(ag__indices_in_range(kind, labels, of->classes), -1);
    of->factor = factors_of(of);
}

static ag_tensor *times_factor(const labelled *of, ag_tensor *losses) {
    return of->factor ? ag_strong_mul(of->factor, losses) : losses;
}

/* A mean is divided by the sum of the factors. */
static ag_tensor *reduced(const labelled *of, ag_tensor *losses) {
    return ag__loss_reduced(&of->loss, times_factor(of, losses), of->factor);
}

/* Part ε of each target is spread over all classes: (1 − ε)·(−ln p[label]) + ε/C·Σ −ln p. With class weights w the
 * terms of the sum have each its own. */
static ag_tensor *smoothed(const labelled *of, ag_tensor *log_p) {
    const double e = of->loss.o.smoothing;
    ag_tensor *all = of->loss.o.class_weights ? ag_mul(log_p, of->loss.o.class_weights) : log_p;
    ag_tensor *spread = zero_if_ignored(of, ag_scale(ag__sum_along(all, -1, false), -e / (double)of->classes));
    ag_tensor *own = times_factor(of, ag_scale(at_labels(of, log_p), e - 1));
    return ag__loss_reduced(&of->loss, ag_add(own, spread), of->factor);
}

static ag_tensor *cross_entropy_losses(const labelled *of) {
    if (of->loss.o.smoothing > 0) return smoothed(of, ag_log_softmax(of->scores, -1));
    return reduced(of, ag__squeezed(ag_surprisal(of->scores, of->labels, -1), -1));
}

static ag_tensor *nll_losses(const labelled *of) { return reduced(of, ag_neg(at_labels(of, of->scores))); }

/* …,C, true where the class is the sample's label. Class numbers are exact as reals, which machine code compares. */
static ag_tensor *is_label(const labelled *of) {
    enum { MOST_F32 = 1 << 24 };
    ag_dtype dtype = of->classes > MOST_F32 ? AG_F64 : ag_dtype_of(of->scores);
    return ag_equal(ag_cast(of->labels, dtype), ag_arange(ag_tape_of(of->scores), dtype, of->classes));
}

/* a − b + margin, rounded about once; b is broadcast to a. Knuth's two-sum gives the rounding error of a − b, which is
 * added where it matters, as a constant to gradients. */
static ag_tensor *difference_and(ag_tensor *a, ag_tensor *b, double margin) {
    ag_tensor *u = ag_stop_gradient(a), *v = ag_stop_gradient(b), *d = ag_sub(u, v), *minus_v = ag_sub(d, u);
    ag_tensor *lost = ag_sub(ag_sub(u, ag_sub(d, minus_v)), ag_add(v, minus_v));
    ag_tensor *near = ag_less(ag_abs(d), ag__number_like(a, 4 * fabs(margin)));
    return ag_add(ag_add_scalar(ag_sub(a, b), margin), ag_where(near, lost, ag__number_like(a, 0)));
}

static ag_tensor *hinge_losses(const labelled *of) {
    ag_tensor *own = ag_gather(of->scores, of->labels, -1);
    ag_tensor *over = ag_relu(difference_and(of->scores, own, of->loss.number[0])); /* …,C */
    if (of->loss.number[1] == 2) over = ag_square(over);
    ag_tensor *terms = ag_where(is_label(of), ag__number_like(over, 0), over);
    return ag__loss_reduced(&of->loss, times_factor(of, ag__sum_along(terms, -1, false)), NULL);
}

/* Σ −t·ln p, where t of 0 counts for nothing. */
static ag_tensor *losses_of_probabilities(const labelled *of, ag_tensor *t) {
    const double e = of->loss.o.smoothing;
    if (e > 0) t = ag_add_scalar(ag_scale(t, 1 - e), e / (double)of->classes);
    if (of->loss.o.class_weights) t = ag_mul(t, of->loss.o.class_weights);
    ag_tensor *terms = ag_strong_mul(t, ag_log_softmax(of->scores, -1));
    return ag__loss_reduced(&of->loss, ag_neg(ag__sum_along(terms, -1, false)), NULL);
}

/* Without `losses`: cross-entropy of probabilities, and what is no loss. */
static const struct {
    ag__loss_kind kind;
    ag__indices index;
    ag_tensor *(*losses)(const labelled *of);
} by_class[] = {
    {{.name = "cross_entropy", .n = 2, .whole = 2, .takes = AG__CLASS_WEIGHTS | AG__SMOOTHING | AG__IGNORES},
     AG__CROSS_ENTROPY,
     cross_entropy_losses},
    {{.name = "nll", .n = 2, .whole = 2, .takes = AG__CLASS_WEIGHTS | AG__IGNORES}, AG__NLL, nll_losses},
    {{.name = "hinge",
      .n = 2,
      .whole = 2,
      .takes = AG__CLASS_WEIGHTS,
      .number = {{"the margin", -FLT_MAX, FLT_MAX}, {"power", 1, 2}}},
     AG__HINGE,
     hinge_losses},
    {{.name = "cross_entropy", .n = 2, .takes = AG__CLASS_WEIGHTS | AG__SMOOTHING}, AG__CROSS_ENTROPY, NULL},
    {{.name = "accuracy", .n = 2, .whole = 2}, AG__CROSS_ENTROPY, NULL}};
enum { CROSS_ENTROPY, NLL, HINGE, OF_PROBABILITIES, ACCURACY };

static labelled labelled_of(int i, ag_tensor *scores, ag_tensor *targets) {
    return (labelled){.loss = {.kind = &by_class[i].kind, .n = 2, .x = {scores, targets}}};
}

static ag_tensor *loss_by_class(int i, ag_tensor *scores, ag_tensor *targets, int axis, double margin, int power,
                                const ag_loss_options *options) {
    labelled of = labelled_of(i, scores, targets);
    of.loss.number[0] = margin, of.loss.number[1] = power;
    if (!fits(&of, &axis, options) || !ag__loss_numbers_fit(&of.loss)) return of.loss.nil;
    of.scores = classes_last(scores, axis);
    if (!by_class[i].losses) return losses_of_probabilities(&of, classes_last(targets, axis));
    take_labels(&of, by_class[i].index);
    return by_class[i].losses(&of);
}

ag_tensor *ag_cross_entropy_with(ag_tensor *scores, ag_tensor *targets, int axis, const ag_loss_options *options) {
    const ag_dtype dtype = ag_dtype_of(targets);
    const bool labels = dtype == AG_I64 || dtype != ag_dtype_of(scores);
    return loss_by_class(labels ? CROSS_ENTROPY : OF_PROBABILITIES, scores, targets, axis, 0, 1, options);
}

ag_tensor *ag_cross_entropy(ag_tensor *scores, ag_tensor *labels) {
    return loss_by_class(CROSS_ENTROPY, scores, labels, -1, 0, 1, NULL);
}

ag_tensor *ag_nll_with(ag_tensor *log_p, ag_tensor *labels, int axis, const ag_loss_options *options) {
    return loss_by_class(NLL, log_p, labels, axis, 0, 1, options);
}

ag_tensor *ag_nll(ag_tensor *log_p, ag_tensor *labels) { return ag_nll_with(log_p, labels, -1, NULL); }

ag_tensor *ag_hinge_with(ag_tensor *scores, ag_tensor *labels, int axis, double margin, int power,
                         const ag_loss_options *options) {
    return loss_by_class(HINGE, scores, labels, axis, margin, power, options);
}

ag_tensor *ag_hinge(ag_tensor *scores, ag_tensor *labels) { return ag_hinge_with(scores, labels, -1, 1, 1, NULL); }

ag_tensor *ag_accuracy(ag_tensor *scores, ag_tensor *labels) {
    labelled of = labelled_of(ACCURACY, scores, labels);
    int axis = -1;
    if (!fits(&of, &axis, NULL)) return of.loss.nil;
    return ag_mean(ag_cast(ag_equal(ag_argmax(scores, -1, false), labels), AG_F64));
}

/* ---- Two classes ---- */

/* ln(1 + e^s) − t·s equals (1 − t)·s + ln(1 + e^−s). On its own side of 0 each is a sum of terms that are not
 * negative, with an exponential of at most 1; where they meet, their derivatives agree. With the factor w of t it is
 * (1 − t)·s + (1 + (w − 1)·t)·ln(1 + e^−s) on the right, and −w·t·s and the same times ln(1 + e^s) on the left. */
static ag_tensor *binary_losses(ag_tensor *s, ag_tensor *t, ag_tensor *w) {
    ag_tensor *zero = ag__number_like(s, 0), *one = ag__number_like(s, 1), *over = ag_less(zero, s);
    ag_tensor *slope = w ? ag_where(over, ag_sub(one, t), ag_neg(ag_mul(w, t))) : ag_sub(ag_where(over, one, zero), t);
    ag_tensor *away = ag_mul(ag_where(over, ag_neg(one), one), s); /* −|s| */
    ag_tensor *rest = ag_log1p(ag_exp(away));
    if (w) rest = ag_mul(rest, ag_add_scalar(ag_mul(ag_add_scalar(w, -1), t), 1));
    return ag_add(ag_mul(slope, s), rest);
}

static ag_tensor *binary_cross_entropy(const ag__loss *l) {
    return binary_losses(l->x[0], l->x[1], l->o.positive_weight);
}

static ag_tensor *binary_nll(const ag__loss *l) {
    ag_tensor *p = l->x[0], *t = l->x[1];
    ag_tensor *yes = ag_maximum_scalar(ag_log(p), -100), *no = ag_maximum_scalar(ag_log1p(ag_neg(p)), -100);
    return ag_neg(ag_add(ag_mul(t, yes), ag_mul(ag_rsub_scalar(1, t), no)));
}

/* q is kept from 0, where its power may be infinitely steep, by a number whose square has an inverse. Scores are kept
 * from where σ is flat: there its slope is 0, and that of the power may be so large a multiple of the loss that it is
 * not finite. */
static ag_tensor *focal(const ag__loss *l) {
    ag_tensor *s = l->x[0], *t = l->x[1], *other = ag_rsub_scalar(1, t);
    const bool narrow = ag_dtype_of(s) == AG_F32;
    const double alpha = l->number[0], least = narrow ? 1e-18 : 1e-150, most = narrow ? 104 : 745;
    ag_tensor *near = ag_clamp(s, -most, most);
    ag_tensor *wrong = ag_add(ag_mul(t, ag_sigmoid(ag_neg(near))), ag_mul(other, ag_sigmoid(near)));
    ag_tensor *q = ag_clamp(wrong, least, (double)INFINITY);
    ag_tensor *losses = ag_mul(ag_pow_scalar(q, l->number[1]), binary_losses(s, t, NULL));
    return alpha < 0 ? losses : ag_mul(losses, ag_add(ag_scale(t, alpha), ag_scale(other, 1 - alpha)));
}

/* The lack of the product of scores and signs to the margin. */
static ag_tensor *lack(const ag__loss *l, ag_tensor *scores, ag_tensor *signs) {
    return ag_relu(ag_rsub_scalar(l->number[0], ag_mul(signs, scores)));
}
static ag_tensor *binary_hinge(const ag__loss *l) { return lack(l, l->x[0], l->x[1]); }
static ag_tensor *margin_ranking(const ag__loss *l) { return lack(l, ag_sub(l->x[0], l->x[1]), l->x[2]); }

static ag_tensor *soft_margin(const ag__loss *l) {
    return binary_losses(ag_mul(l->x[1], l->x[0]), ag__number_like(l->x[0], 1), NULL);
}

static ag_tensor *hinge_embedding(const ag__loss *l) {
    ag_tensor *x = l->x[0], *positive = ag_less(ag__number_like(x, 0), l->x[1]);
    return ag_where(positive, x, ag_relu(ag_rsub_scalar(l->number[0], x)));
}

/* ---- Numbers ---- */

static ag_tensor *mse(const ag__loss *l) { return ag_square(ag_sub(l->x[0], l->x[1])); }
static ag_tensor *l1(const ag__loss *l) { return ag_abs(ag_sub(l->x[0], l->x[1])); }

/* c·(d − c/2) with c the difference d, limited: no square of a large number, and no kink at 0. */
static ag_tensor *huber(const ag__loss *l) {
    const double delta = l->number[0];
    ag_tensor *d = ag_sub(l->x[0], l->x[1]), *c = ag_clamp(d, -delta, delta);
    return ag_mul(c, ag_sub(d, ag_scale(c, 0.5)));
}

static ag_tensor *smooth_l1(const ag__loss *l) {
    return l->number[0] < FLT_MIN ? l1(l) : ag_div_scalar(huber(l), l->number[0]);
}

/* ---- Distributions ---- */

static ag_tensor *kl_divergence(const ag__loss *l) {
    ag_tensor *p = l->x[1], *log_p = p;
    if (l->o.log_target) p = ag_exp(log_p);
    ag_tensor *zero = ag__number_like(p, 0), *none = ag_equal(p, zero);
    if (l->o.log_target) return ag_mul(p, ag_where(none, zero, ag_sub(log_p, l->x[0])));
    return ag_strong_mul(p, ag_sub(ag_log(ag_where(none, ag__number_like(p, 1), p)), l->x[0]));
}

static const double HALF_LOG_2_PI = 0.91893853320467274178;

/* In full with Stirling's t·ln t − t + ½·ln(2πt) for t > 1. With the rate m it is taken together with m − t·ln m, whose
 * digits cancel where they are near each other: t·(r − 1 − ln r), r = m/t. */
static ag_tensor *poisson_nll(const ag__loss *l) {
    const double least = l->o.rates ? 1e-8 : 0;
    ag_tensor *x = l->x[0], *t = l->x[1], *m = l->o.rates ? ag_add_scalar(x, least) : ag_exp(x);
    ag_tensor *losses = l->o.rates ? ag_sub(x, ag_mul(t, ag_log(m))) : ag_sub(m, ag_mul(t, x));
    if (!l->o.full) return losses;
    ag_tensor *one = ag__number_like(t, 1), *many = ag_less(one, t), *n = ag_where(many, t, one), *r = ag_div(m, n);
    ag_tensor *log_n = ag_log(n), *less = ag_add_scalar(r, -1), *near = ag_mul(n, ag_sub(less, ag_log(r)));
    ag_tensor *far = ag_add(losses, ag_mul(n, ag_add_scalar(log_n, -1)));
    ag_tensor *y = ag_where(ag_less(ag_abs(less), ag__number_like(r, 0.5)), ag_add_scalar(near, -least), far);
    return ag_where(many, ag_add(y, ag_add_scalar(ag_scale(log_n, 0.5), HALF_LOG_2_PI)), losses);
}

/* v is the variance plus a constant that brings it up to its least. */
static ag_tensor *gaussian_nll(const ag__loss *l) {
    ag_tensor *x = l->x[0], *variance = l->x[2], *zero = ag__number_like(x, 0);
    ag_tensor *below = ag_clamp(ag_rsub_scalar(1e-6, variance), 0, (double)INFINITY);
    below = ag_where(ag_less(variance, zero), ag__number_like(x, (double)NAN), below);
    ag_tensor *v = ag_add(variance, ag_stop_gradient(below));
    ag_tensor *losses = ag_scale(ag_add(ag_log(v), ag_div(ag_square(ag_sub(x, l->x[1])), v)), 0.5);
    return l->o.full ? ag_add_scalar(losses, HALF_LOG_2_PI) : losses;
}

/* ---- Vectors ---- */

/* The largest magnitude in a row, or 1 for a row of zeros, held constant: rows are divided by it so that their powers
 * neither overflow nor vanish. */
static ag_tensor *largest_in(ag_tensor *x, int axis) {
    ag_tensor *m = ag_stop_gradient(ag__max_along(ag_abs(x), axis, true));
    return ag_where(ag_equal(m, ag__number_like(m, 0)), ag__number_like(m, 1), m);
}

/* (Σ |x|^p)^(1/p) along the axis, which stays; its slope is 0 where it is 0. */
static ag_tensor *length_of(ag_tensor *x, int axis, double p) {
    ag_tensor *sizes = ag_abs(x), *zero = ag__number_like(x, 0);
    if (p == 1) return ag__sum_along(sizes, axis, true);
    if (p == (double)INFINITY) return ag__max_along(sizes, axis, true);
    ag_tensor *total = ag__sum_along(p == 2 ? ag_square(x) : ag_pow_scalar(sizes, p), axis, true);
    ag_tensor *none = ag_equal(total, zero), *inside = ag_where(none, ag__number_like(x, 1), total);
    return ag_where(none, zero, p == 2 ? ag_sqrt(inside) : ag_pow_scalar(inside, 1 / p));
}

static ag_tensor *distance(ag_tensor *a, ag_tensor *b, double p) {
    ag_tensor *d = ag_add_scalar(ag_sub(a, b), 1e-6), *m = largest_in(d, -1);
    return ag__squeezed(ag_mul(m, length_of(ag_div(d, m), -1, p)), -1);
}

static ag_tensor *pairwise_distance(const ag__loss *l) { return distance(l->x[0], l->x[1], l->number[0]); }

/* x/max(|x|, 1e-8). */
static ag_tensor *unit_of(ag_tensor *x) {
    ag_tensor *m = largest_in(x, -1), *scaled = ag_div(x, m);
    return ag_div(scaled, ag_maximum(length_of(scaled, -1, 2), ag_rdiv_scalar(1e-8, m)));
}

static ag_tensor *cosine_similarity(const ag__loss *l) {
    return ag__sum_along(ag_mul(unit_of(l->x[0]), unit_of(l->x[1])), -1, false);
}

static ag_tensor *cosine_embedding(const ag__loss *l) {
    ag_tensor *c = cosine_similarity(l), *positive = ag_less(ag__number_like(c, 0), l->x[2]);
    return ag_where(positive, ag_rsub_scalar(1, c), ag_relu(ag_add_scalar(c, -l->number[0])));
}

static ag_tensor *triplet_margin(const ag__loss *l) {
    const double p = l->number[1];
    ag_tensor *near = distance(l->x[0], l->x[1], p), *far = distance(l->x[0], l->x[2], p);
    if (l->o.swap) far = ag_minimum(far, distance(l->x[1], l->x[2], p));
    return ag_relu(ag_add_scalar(ag_sub(near, far), l->number[0]));
}

/* ---- All of these, by name ---- */

static const ag_loss_options unreduced = {.reduction = AG_LOSS_NONE};

#define MARGIN                                                                                                         \
    { "the margin", -FLT_MAX, FLT_MAX }
#define POWER                                                                                                          \
    { "p", 1, HUGE_VAL }

static const ag__loss_kind binary_cross_entropy_kind = {
    .name = "binary_cross_entropy", .n = 2, .losses = binary_cross_entropy, .takes = AG__POSITIVE_WEIGHT};
ag_tensor *ag_binary_cross_entropy_with(ag_tensor *scores, ag_tensor *targets, const ag_loss_options *options) {
    return ag__loss_of(&binary_cross_entropy_kind, (ag_tensor *[]){scores, targets}, 0, 0, options);
}
ag_tensor *ag_binary_cross_entropy(ag_tensor *scores, ag_tensor *targets) {
    return ag_binary_cross_entropy_with(scores, targets, NULL);
}

static const ag__loss_kind binary_nll_kind = {.name = "binary_nll", .n = 2, .losses = binary_nll};
ag_tensor *ag_binary_nll_with(ag_tensor *p, ag_tensor *targets, const ag_loss_options *options) {
    return ag__loss_of(&binary_nll_kind, (ag_tensor *[]){p, targets}, 0, 0, options);
}
ag_tensor *ag_binary_nll(ag_tensor *p, ag_tensor *targets) { return ag_binary_nll_with(p, targets, NULL); }

static const ag__loss_kind focal_kind = {
    .name = "focal", .n = 2, .losses = focal, .number = {{"alpha", -DBL_MAX, 1}, {"gamma", 0, FLT_MAX}}};
ag_tensor *ag_focal_with(ag_tensor *scores, ag_tensor *targets, double alpha, double gamma,
                         const ag_loss_options *options) {
    return ag__loss_of(&focal_kind, (ag_tensor *[]){scores, targets}, alpha, gamma, options);
}
ag_tensor *ag_focal(ag_tensor *scores, ag_tensor *targets, double alpha, double gamma) {
    return ag_focal_with(scores, targets, alpha, gamma, NULL);
}

static const ag__loss_kind binary_hinge_kind = {
    .name = "binary_hinge", .n = 2, .losses = binary_hinge, .number = {MARGIN}};
ag_tensor *ag_binary_hinge_with(ag_tensor *scores, ag_tensor *signs, double margin, const ag_loss_options *options) {
    return ag__loss_of(&binary_hinge_kind, (ag_tensor *[]){scores, signs}, margin, 0, options);
}
ag_tensor *ag_binary_hinge(ag_tensor *scores, ag_tensor *signs, double margin) {
    return ag_binary_hinge_with(scores, signs, margin, NULL);
}

static const ag__loss_kind soft_margin_kind = {.name = "soft_margin", .n = 2, .losses = soft_margin};
ag_tensor *ag_soft_margin_with(ag_tensor *scores, ag_tensor *signs, const ag_loss_options *options) {
    return ag__loss_of(&soft_margin_kind, (ag_tensor *[]){scores, signs}, 0, 0, options);
}
ag_tensor *ag_soft_margin(ag_tensor *scores, ag_tensor *signs) { return ag_soft_margin_with(scores, signs, NULL); }

static const ag__loss_kind mse_kind = {.name = "mse", .n = 2, .losses = mse};
ag_tensor *ag_mse_with(ag_tensor *x, ag_tensor *target, const ag_loss_options *options) {
    return ag__loss_of(&mse_kind, (ag_tensor *[]){x, target}, 0, 0, options);
}
ag_tensor *ag_mse(ag_tensor *x, ag_tensor *target) { return ag_mse_with(x, target, NULL); }

static const ag__loss_kind l1_kind = {.name = "l1", .n = 2, .losses = l1};
ag_tensor *ag_l1_with(ag_tensor *x, ag_tensor *target, const ag_loss_options *options) {
    return ag__loss_of(&l1_kind, (ag_tensor *[]){x, target}, 0, 0, options);
}
ag_tensor *ag_l1(ag_tensor *x, ag_tensor *target) { return ag_l1_with(x, target, NULL); }

static const ag__loss_kind huber_kind = {
    .name = "huber", .n = 2, .losses = huber, .number = {{"delta", FLT_MIN, FLT_MAX}}};
ag_tensor *ag_huber_with(ag_tensor *x, ag_tensor *target, double delta, const ag_loss_options *options) {
    return ag__loss_of(&huber_kind, (ag_tensor *[]){x, target}, delta, 0, options);
}
ag_tensor *ag_huber(ag_tensor *x, ag_tensor *target, double delta) { return ag_huber_with(x, target, delta, NULL); }

static const ag__loss_kind smooth_l1_kind = {
    .name = "smooth_l1", .n = 2, .losses = smooth_l1, .number = {{"beta", 0, FLT_MAX}}};
ag_tensor *ag_smooth_l1_with(ag_tensor *x, ag_tensor *target, double beta, const ag_loss_options *options) {
    return ag__loss_of(&smooth_l1_kind, (ag_tensor *[]){x, target}, beta, 0, options);
}
ag_tensor *ag_smooth_l1(ag_tensor *x, ag_tensor *target, double beta) {
    return ag_smooth_l1_with(x, target, beta, NULL);
}

static const ag__loss_kind kl_divergence_kind = {
    .name = "kl_divergence", .n = 2, .losses = kl_divergence, .takes = AG__LOG_TARGET};
ag_tensor *ag_kl_divergence_with(ag_tensor *log_q, ag_tensor *p, const ag_loss_options *options) {
    return ag__loss_of(&kl_divergence_kind, (ag_tensor *[]){log_q, p}, 0, 0, options);
}
ag_tensor *ag_kl_divergence(ag_tensor *log_q, ag_tensor *p) { return ag_kl_divergence_with(log_q, p, NULL); }

static const ag__loss_kind poisson_nll_kind = {
    .name = "poisson_nll", .n = 2, .losses = poisson_nll, .takes = AG__FULL | AG__RATES};
ag_tensor *ag_poisson_nll_with(ag_tensor *x, ag_tensor *target, const ag_loss_options *options) {
    return ag__loss_of(&poisson_nll_kind, (ag_tensor *[]){x, target}, 0, 0, options);
}
ag_tensor *ag_poisson_nll(ag_tensor *x, ag_tensor *target) { return ag_poisson_nll_with(x, target, NULL); }

static const ag__loss_kind hinge_embedding_kind = {
    .name = "hinge_embedding", .n = 2, .losses = hinge_embedding, .number = {MARGIN}};
ag_tensor *ag_hinge_embedding_with(ag_tensor *x, ag_tensor *signs, double margin, const ag_loss_options *options) {
    return ag__loss_of(&hinge_embedding_kind, (ag_tensor *[]){x, signs}, margin, 0, options);
}
ag_tensor *ag_hinge_embedding(ag_tensor *x, ag_tensor *signs, double margin) {
    return ag_hinge_embedding_with(x, signs, margin, NULL);
}

static const ag__loss_kind cosine_embedding_kind = {
    .name = "cosine_embedding", .n = 3, .losses = cosine_embedding, .vectors = 2, .number = {MARGIN}};
ag_tensor *ag_cosine_embedding_with(ag_tensor *a, ag_tensor *b, ag_tensor *signs, double margin,
                                    const ag_loss_options *options) {
    return ag__loss_of(&cosine_embedding_kind, (ag_tensor *[]){a, b, signs}, margin, 0, options);
}
ag_tensor *ag_cosine_embedding(ag_tensor *a, ag_tensor *b, ag_tensor *signs, double margin) {
    return ag_cosine_embedding_with(a, b, signs, margin, NULL);
}

static const ag__loss_kind triplet_margin_kind = {.name = "triplet_margin",
                                                  .n = 3,
                                                  .losses = triplet_margin,
                                                  .vectors = 3,
                                                  .takes = AG__SWAP,
                                                  .number = {MARGIN, POWER}};
ag_tensor *ag_triplet_margin_with(ag_tensor *anchor, ag_tensor *positive, ag_tensor *negative, double margin, double p,
                                  const ag_loss_options *options) {
    return ag__loss_of(&triplet_margin_kind, (ag_tensor *[]){anchor, positive, negative}, margin, p, options);
}
ag_tensor *ag_triplet_margin(ag_tensor *anchor, ag_tensor *positive, ag_tensor *negative, double margin) {
    return ag_triplet_margin_with(anchor, positive, negative, margin, 2, NULL);
}

static const ag__loss_kind margin_ranking_kind = {
    .name = "margin_ranking", .n = 3, .losses = margin_ranking, .number = {MARGIN}};
ag_tensor *ag_margin_ranking_with(ag_tensor *a, ag_tensor *b, ag_tensor *signs, double margin,
                                  const ag_loss_options *options) {
    return ag__loss_of(&margin_ranking_kind, (ag_tensor *[]){a, b, signs}, margin, 0, options);
}
ag_tensor *ag_margin_ranking(ag_tensor *a, ag_tensor *b, ag_tensor *signs, double margin) {
    return ag_margin_ranking_with(a, b, signs, margin, NULL);
}

static const ag__loss_kind pairwise_distance_kind = {
    .name = "pairwise_distance", .n = 2, .vectors = 2, .losses = pairwise_distance, .number = {POWER}};
ag_tensor *ag_pairwise_distance(ag_tensor *a, ag_tensor *b, double p) {
    return ag__loss_of(&pairwise_distance_kind, (ag_tensor *[]){a, b}, p, 0, &unreduced);
}

/* The axis becomes the last one. */
static const ag__loss_kind cosine_similarity_kind = {
    .name = "cosine_similarity", .n = 2, .vectors = 2, .losses = cosine_similarity};
ag_tensor *ag_cosine_similarity(ag_tensor *a, ag_tensor *b, int axis) {
    ag_tensor *const x[] = {a, b};
    const int rank = ag_rank(a);
    if (axis < -rank || axis >= rank || ag_rank(b) != rank)
        return ag__refuse("cosine_similarity", 2, x, AG_ERR_AXIS, "axis %d is out of range", axis);
    axis += axis < 0 ? rank : 0;
    ag__loss l = {.kind = &cosine_similarity_kind, .n = 2, .x = {a, b}};
    if (!ag__loss_begins(&l, &unreduced)) return l.nil;
    const ag_shape shape = ag_shape_of(a);
    if (!ag__has_shape(b, &shape) || ag_extent(a, axis) == 0)
        return ag__refuse("cosine_similarity", 2, x, AG_ERR_SHAPE, "vectors of one shape, with elements, are wanted");
    return ag__loss_of(&cosine_similarity_kind, (ag_tensor *[]){classes_last(a, axis), classes_last(b, axis)}, 0, 0,
                       &unreduced);
}

static const ag__loss_kind gaussian_nll_kind = {.name = "gaussian_nll", .n = 3, .takes = AG__FULL};
ag_tensor *ag_gaussian_nll_with(ag_tensor *x, ag_tensor *target, ag_tensor *variance, const ag_loss_options *options) {
    ag__loss l = {.kind = &gaussian_nll_kind, .n = 3, .x = {x, target, variance}};
    if (!ag__loss_begins(&l, options)) return l.nil;
    const ag_shape shape = ag_shape_of(x);
    if (!ag__has_shape(target, &shape) || !ag__broadcasts_to(variance, shape))
        ag__loss_refused(&l, AG_ERR_SHAPE, "the target must have the shape of x, the variance one broadcast to it");
    else if (ag__loss_weights_fit(&l, shape)) return ag__loss_reduced(&l, gaussian_nll(&l), NULL);
    return l.nil;
}

ag_tensor *ag_gaussian_nll(ag_tensor *x, ag_tensor *target, ag_tensor *variance) {
    return ag_gaussian_nll_with(x, target, variance, NULL);
}
