/* losses -- what training makes small, and accuracy
 *
 * A loss is the mean over the batch: a 0-d tensor, ready for ag_grad. The form that ends in `_with` takes options:
 * another reduction, weights, and what few losses have. N are samples, C classes; scores are what a last layer gives,
 * before a softmax or a sigmoid. Values and gradients are right for any finite scores, and finite if they are within
 * range. The mean of no losses is NaN, their sum 0; a gradient by tensors without elements has none, and that of
 * ignored samples is 0. Losses have gradients by all their real inputs, targets included, of any order. */
#ifndef AG_NN_LOSSES_H
#define AG_NN_LOSSES_H

#include "autograd/autograd.h"

/* ag_loss_reduction -- what becomes of the losses: their mean; their sum; nothing: each one; their sum divided by the
 * extent of their first axis */
typedef enum ag_loss_reduction { AG_LOSS_MEAN, AG_LOSS_SUM, AG_LOSS_NONE, AG_LOSS_BATCH_MEAN } ag_loss_reduction;

/* ag_loss_options -- the options of all losses; all zero, or NULL, is the usual form. One that a loss has no use for is
 * refused: AG_ERR_RANGE */
typedef struct ag_loss_options {
    ag_loss_reduction reduction;
    ag_tensor *weights;       /* factors of the losses, broadcast to them; NULL: 1. A loss whose weight is 0 counts for
                                 * nothing, even if it is infinite or NaN. A mean is still divided by the number */
    ag_tensor *class_weights; /* cross_entropy, nll, hinge: (C), factors by label; the mean of the first two is divided
                                 * by the sum of the labels' factors */
    ag_tensor *positive_weight; /* binary_cross_entropy: the factor of t, broadcast to the scores */
    double smoothing;           /* cross_entropy: this part of each target is spread evenly over all classes */
    bool ignores;               /* cross_entropy, nll: samples with label `ignored` are left out, */
    int64_t ignored;            /* of the mean's divisor too */
    bool log_target;            /* kl_divergence: the target is a logarithm too */
    bool full;                  /* poisson_nll, gaussian_nll: with the terms that are constant to the input */
    bool rates;                 /* poisson_nll: the input is a rate, not its logarithm */
    bool swap; /* triplet_margin: the negative's distance to the anchor or to the positive, whichever is less */
    bool zero_infinity; /* ctc: a loss that would be infinite is 0 */
} ag_loss_options;

/* ---- Losses of classes ---- */

/* ag_cross_entropy -- mean of logsumexp(s) − s[label] over the last axis: softmax and negative log-likelihood in one.
 * Value and gradient are right to a few units in the last place for any finite scores, as are those of ag_hinge
 * Shape:  scores (…,C), labels (…) -> ()
 * Dtype:  scores real; labels i64, 0 <= label < C
 * Grad:   s̄ = (softmax(s) − onehot(labels))/N
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for a label out of range
 * Source: torch.nn.functional.cross_entropy */
AG_API ag_tensor *ag_cross_entropy(ag_tensor *scores, ag_tensor *labels);

/* ag_cross_entropy_with -- the same along any axis, of labels or of probabilities t, then Σ −t·log_softmax(s)
 * The mean over probabilities is divided by the number of samples, whatever class weights they have.
 * Shape:  scores (…,C,…), labels (…) or probabilities (…,C,…) -> (), or (…) unreduced
 * Dtype:  scores real; labels i64, 0 <= label < C, or probabilities of the scores' dtype
 * Grad:   s̄ = softmax(s)·Σ t − t, times weights
 * Errors: as ag_cross_entropy; AG_ERR_AXIS; AG_ERR_RANGE unless 0 <= smoothing <= 1; options that do not fit
 * Source: torch.nn.functional.cross_entropy */
AG_API ag_tensor *ag_cross_entropy_with(ag_tensor *scores, ag_tensor *targets, int axis,
                                        const ag_loss_options *options);

/* ag_nll -- mean of −log_p[label] over the last axis: as cross-entropy, of what ag_log_softmax gives
 * Shape:  log_p (…,C), labels (…) -> ()
 * Dtype:  log_p real; labels i64, 0 <= label < C
 * Grad:   −1/N at the labels
 * Errors: as ag_cross_entropy
 * Source: torch.nn.functional.nll_loss */
AG_API ag_tensor *ag_nll(ag_tensor *log_p, ag_tensor *labels);

/* ag_nll_with -- the same along any axis
 * Shape:  log_p (…,C,…), labels (…) -> (), or (…) unreduced
 * Dtype:  log_p real; labels i64, 0 <= label < C
 * Grad:   −1/N at the labels, times weights
 * Errors: as ag_cross_entropy_with
 * Source: torch.nn.functional.nll_loss */
AG_API ag_tensor *ag_nll_with(ag_tensor *log_p, ag_tensor *labels, int axis, const ag_loss_options *options);

/* ag_hinge -- mean of Σ_j max(0, s[j] − s[label] + 1) for j ≠ label: the multiclass support vector loss
 * Shape:  scores (…,C), labels (…) -> ()
 * Dtype:  scores real; labels i64, 0 <= label < C
 * Grad:   s̄[i,j] = 1/N where j ≠ label and its term is over 0;  s̄[i,label] = −(the number of those)/N
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for a label out of range
 * Source: Weston and Watkins, Support vector machines for multi-class pattern recognition (1999) */
AG_API ag_tensor *ag_hinge(ag_tensor *scores, ag_tensor *labels);

/* ag_hinge_with -- the same along any axis, of Σ_j max(0, s[j] − s[label] + margin)^power
 * Shape:  scores (…,C,…), labels (…) -> (), or (…) unreduced
 * Dtype:  scores real; labels i64, 0 <= label < C
 * Grad:   s̄[j] = power·(…)^(power−1) where a term is over 0; s̄[label] is the negative sum of these
 * Errors: as ag_cross_entropy_with; AG_ERR_RANGE unless the margin is finite and power is 1 or 2
 * Source: torch.nn.functional.multi_margin_loss, times C */
AG_API ag_tensor *ag_hinge_with(ag_tensor *scores, ag_tensor *labels, int axis, double margin, int power,
                                const ag_loss_options *options);

/* ---- Losses of two classes ---- */

/* ag_binary_cross_entropy -- mean of ln(1 + e^s) − t·s for scores s before the sigmoid
 * Shape:  scores (…), targets of the same shape -> ()
 * Dtype:  real; targets the same, between 0 and 1
 * Grad:   s̄ = (sigmoid(s) − t)/n
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.binary_cross_entropy_with_logits */
AG_API ag_tensor *ag_binary_cross_entropy(ag_tensor *scores, ag_tensor *targets);

/* ag_binary_cross_entropy_with -- the same with options
 * Shape:  scores (…), targets of the same shape -> (), or (…) unreduced
 * Dtype:  real; targets the same, between 0 and 1
 * Grad:   s̄ = (sigmoid(s) − t)/n, times weights
 * Errors: as ag_binary_cross_entropy; options that do not fit
 * Source: torch.nn.functional.binary_cross_entropy_with_logits */
AG_API ag_tensor *ag_binary_cross_entropy_with(ag_tensor *scores, ag_tensor *targets, const ag_loss_options *options);

/* ag_binary_nll -- mean of −t·ln p − (1−t)·ln(1−p) for probabilities p, after the sigmoid; no logarithm below −100
 * Scores lose nothing to rounding: prefer ag_binary_cross_entropy. A p outside of 0 … 1 gives NaN.
 * Shape:  p (…), targets of the same shape -> ()
 * Dtype:  real; targets the same, between 0 and 1
 * Grad:   p̄ = (p − t)/(p·(1−p))/n, and 0 from a logarithm below −100
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.binary_cross_entropy */
AG_API ag_tensor *ag_binary_nll(ag_tensor *p, ag_tensor *targets);

/* ag_binary_nll_with -- the same with options
 * Shape:  p (…), targets of the same shape -> (), or (…) unreduced
 * Dtype:  real; targets the same, between 0 and 1
 * Grad:   as ag_binary_nll, times weights
 * Errors: as ag_binary_nll; options that do not fit
 * Source: torch.nn.functional.binary_cross_entropy */
AG_API ag_tensor *ag_binary_nll_with(ag_tensor *p, ag_tensor *targets, const ag_loss_options *options);

/* ag_focal -- mean of a·q^gamma·L: L the binary cross-entropy of s and t, q = t·σ(−s) + (1−t)·σ(s) how wrong it is, and
 * a = alpha·t + (1−alpha)·(1−t), or 1 for a negative alpha. 0.25 and 2 are usual
 * Shape:  scores (…), targets of the same shape -> ()
 * Dtype:  real; targets the same, between 0 and 1
 * Grad:   from the graph; that of q^gamma is 0 where q is below 1e-18 (f64: 1e-150)
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE; AG_ERR_RANGE unless alpha <= 1 and gamma >= 0 is finite
 * Source: Lin et al., Focal Loss for Dense Object Detection (2017); torchvision.ops.sigmoid_focal_loss */
AG_API ag_tensor *ag_focal(ag_tensor *scores, ag_tensor *targets, double alpha, double gamma);

/* ag_focal_with -- the same with options
 * Shape:  scores (…), targets of the same shape -> (), or (…) unreduced
 * Dtype:  real; targets the same, between 0 and 1
 * Grad:   as ag_focal, times weights
 * Errors: as ag_focal; options that do not fit
 * Source: torchvision.ops.sigmoid_focal_loss */
AG_API ag_tensor *ag_focal_with(ag_tensor *scores, ag_tensor *targets, double alpha, double gamma,
                                const ag_loss_options *options);

/* ag_binary_hinge -- mean of max(0, margin − y·s): the support vector loss of two classes; a margin of 1 is usual
 * Shape:  scores (…), signs of the same shape -> ()
 * Dtype:  real; signs the same, −1 or 1
 * Grad:   s̄ = −y/n where the term is over 0
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE; AG_ERR_RANGE unless the margin is finite
 * Source: Cortes and Vapnik, Support-vector networks (1995); sklearn.metrics.hinge_loss */
AG_API ag_tensor *ag_binary_hinge(ag_tensor *scores, ag_tensor *signs, double margin);

/* ag_binary_hinge_with -- the same with options
 * Shape:  scores (…), signs of the same shape -> (), or (…) unreduced
 * Dtype:  real; signs the same, −1 or 1
 * Grad:   as ag_binary_hinge, times weights
 * Errors: as ag_binary_hinge; options that do not fit
 * Source: as ag_binary_hinge */
AG_API ag_tensor *ag_binary_hinge_with(ag_tensor *scores, ag_tensor *signs, double margin,
                                       const ag_loss_options *options);

/* ag_soft_margin -- mean of ln(1 + e^(−y·s))
 * Shape:  scores (…), signs of the same shape -> ()
 * Dtype:  real; signs the same, −1 or 1
 * Grad:   s̄ = −y·σ(−y·s)/n
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.soft_margin_loss */
AG_API ag_tensor *ag_soft_margin(ag_tensor *scores, ag_tensor *signs);

/* ag_soft_margin_with -- the same with options
 * Shape:  scores (…), signs of the same shape -> (), or (…) unreduced
 * Dtype:  real; signs the same, −1 or 1
 * Grad:   as ag_soft_margin, times weights
 * Errors: as ag_soft_margin; options that do not fit
 * Source: torch.nn.functional.soft_margin_loss */
AG_API ag_tensor *ag_soft_margin_with(ag_tensor *scores, ag_tensor *signs, const ag_loss_options *options);

/* ---- Losses of numbers ---- */

/* ag_mse -- mean of (x − target)²
 * Shape:  x (…), target of the same shape (nothing is broadcast here: it would hide a mistake) -> ()
 * Dtype:  real
 * Grad:   x̄ = 2·(x − target)/n
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.mse_loss */
AG_API ag_tensor *ag_mse(ag_tensor *x, ag_tensor *target);

/* ag_mse_with -- the same with options
 * Shape:  x (…), target of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   x̄ = 2·(x − target)/n, times weights
 * Errors: as ag_mse; options that do not fit
 * Source: torch.nn.functional.mse_loss */
AG_API ag_tensor *ag_mse_with(ag_tensor *x, ag_tensor *target, const ag_loss_options *options);

/* ag_l1 -- mean of |x − target|
 * Shape:  x (…), target of the same shape -> ()
 * Dtype:  real
 * Grad:   x̄ = sign(x − target)/n, 0 where they are equal
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.l1_loss */
AG_API ag_tensor *ag_l1(ag_tensor *x, ag_tensor *target);

/* ag_l1_with -- the same with options
 * Shape:  x (…), target of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   as ag_l1, times weights
 * Errors: as ag_l1; options that do not fit
 * Source: torch.nn.functional.l1_loss */
AG_API ag_tensor *ag_l1_with(ag_tensor *x, ag_tensor *target, const ag_loss_options *options);

/* ag_huber -- mean of ½·d² where |d| <= delta and of delta·(|d| − ½·delta) beyond, d being x − target
 * Shape:  x (…), target of the same shape -> ()
 * Dtype:  real
 * Grad:   x̄ = min(max(d, −delta), delta)/n
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE; AG_ERR_RANGE unless delta > 0 is finite
 * Source: torch.nn.functional.huber_loss */
AG_API ag_tensor *ag_huber(ag_tensor *x, ag_tensor *target, double delta);

/* ag_huber_with -- the same with options
 * Shape:  x (…), target of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   as ag_huber, times weights
 * Errors: as ag_huber; options that do not fit
 * Source: torch.nn.functional.huber_loss */
AG_API ag_tensor *ag_huber_with(ag_tensor *x, ag_tensor *target, double delta, const ag_loss_options *options);

/* ag_smooth_l1 -- the Huber loss divided by its delta, here beta; for beta 0 that of ag_l1
 * Shape:  x (…), target of the same shape -> ()
 * Dtype:  real
 * Grad:   x̄ = min(max(d/beta, −1), 1)/n
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE; AG_ERR_RANGE unless beta >= 0 is finite
 * Source: torch.nn.functional.smooth_l1_loss */
AG_API ag_tensor *ag_smooth_l1(ag_tensor *x, ag_tensor *target, double beta);

/* ag_smooth_l1_with -- the same with options
 * Shape:  x (…), target of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   as ag_smooth_l1, times weights
 * Errors: as ag_smooth_l1; options that do not fit
 * Source: torch.nn.functional.smooth_l1_loss */
AG_API ag_tensor *ag_smooth_l1_with(ag_tensor *x, ag_tensor *target, double beta, const ag_loss_options *options);

/* ---- Losses of distributions ---- */

/* ag_kl_divergence -- mean over all elements of p·(ln p − log_q), 0 where p is 0: AG_LOSS_BATCH_MEAN is the divergence
 * Shape:  log_q (…), p of the same shape -> ()
 * Dtype:  real
 * Grad:   −p/n by log_q;  (ln p − log_q + 1)/n by p, and −log_q/n where p is 0
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.kl_div */
AG_API ag_tensor *ag_kl_divergence(ag_tensor *log_q, ag_tensor *p);

/* ag_kl_divergence_with -- the same with options; with log_target of e^p·(p − log_q)
 * Shape:  log_q (…), p of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   as ag_kl_divergence, times weights
 * Errors: as ag_kl_divergence; options that do not fit
 * Source: torch.nn.functional.kl_div */
AG_API ag_tensor *ag_kl_divergence_with(ag_tensor *log_q, ag_tensor *p, const ag_loss_options *options);

/* ag_poisson_nll -- mean of e^x − t·x, x being the logarithm of a rate: −ln of the probability of t, without ln t!
 * With `rates` of x − t·ln(x + 1e-8). With `full`, Stirling's t·ln t − t + ½·ln(2πt) is added where t > 1: both have
 * their digits together, however large they are and near each other.
 * Shape:  x (…), target of the same shape -> ()
 * Dtype:  real
 * Grad:   x̄ = (e^x − t)/n
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.poisson_nll_loss */
AG_API ag_tensor *ag_poisson_nll(ag_tensor *x, ag_tensor *target);

/* ag_poisson_nll_with -- the same with options
 * Shape:  x (…), target of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   as ag_poisson_nll, times weights
 * Errors: as ag_poisson_nll; options that do not fit
 * Source: torch.nn.functional.poisson_nll_loss */
AG_API ag_tensor *ag_poisson_nll_with(ag_tensor *x, ag_tensor *target, const ag_loss_options *options);

/* ag_gaussian_nll -- mean of ½·(ln v + (x − target)²/v), v the variance, but at least 1e-6
 * With `full`, ½·ln 2π is added. A negative variance gives NaN.
 * Shape:  x (…), target of the same shape, variance broadcast to it -> ()
 * Dtype:  real
 * Grad:   x̄ = (x − target)/v/n;  by the variance ½·(1/v − (x − target)²/v²)/n, also where it is less than 1e-6
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.nn.functional.gaussian_nll_loss */
AG_API ag_tensor *ag_gaussian_nll(ag_tensor *x, ag_tensor *target, ag_tensor *variance);

/* ag_gaussian_nll_with -- the same with options
 * Shape:  x (…), target of the same shape, variance broadcast to it -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   as ag_gaussian_nll, times weights
 * Errors: as ag_gaussian_nll; options that do not fit
 * Source: torch.nn.functional.gaussian_nll_loss */
AG_API ag_tensor *ag_gaussian_nll_with(ag_tensor *x, ag_tensor *target, ag_tensor *variance,
                                       const ag_loss_options *options);

/* ---- Losses of vectors and distances ---- */

/* ag_cosine_similarity -- Σ a·b/(max(|a|, 1e-8)·max(|b|, 1e-8)) along an axis; for vectors of any finite size
 * Shape:  a (…,n,…), b of the same shape -> (…)
 * Dtype:  real
 * Grad:   from the graph; 0 where both are 0
 * Errors: AG_ERR_SHAPE if the shapes differ, or for an axis without elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.nn.functional.cosine_similarity */
AG_API ag_tensor *ag_cosine_similarity(ag_tensor *a, ag_tensor *b, int axis);

/* ag_pairwise_distance -- (Σ |a − b + 1e-6|^p)^(1/p) over the last axis; p is at least 1 and may be infinite
 * Shape:  a (…,n), b of the same shape -> (…)
 * Dtype:  real
 * Grad:   from the graph; 0 for a distance of 0
 * Errors: AG_ERR_SHAPE if the shapes differ, or for an axis without elements; AG_ERR_DTYPE; AG_ERR_RANGE unless p >= 1
 * Source: torch.nn.functional.pairwise_distance */
AG_API ag_tensor *ag_pairwise_distance(ag_tensor *a, ag_tensor *b, double p);

/* ag_cosine_embedding -- mean of 1 − c where the sign is positive, else of max(0, c − margin), c being the cosine
 * similarity over the last axis
 * Shape:  a (…,n), b of the same shape, signs (…) -> ()
 * Dtype:  real
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless the margin is finite
 * Source: torch.nn.functional.cosine_embedding_loss, with the least lengths of ag_cosine_similarity */
AG_API ag_tensor *ag_cosine_embedding(ag_tensor *a, ag_tensor *b, ag_tensor *signs, double margin);

/* ag_cosine_embedding_with -- the same with options
 * Shape:  a (…,n), b of the same shape, signs (…) -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   from the graph
 * Errors: as ag_cosine_embedding; options that do not fit
 * Source: torch.nn.functional.cosine_embedding_loss */
AG_API ag_tensor *ag_cosine_embedding_with(ag_tensor *a, ag_tensor *b, ag_tensor *signs, double margin,
                                           const ag_loss_options *options);

/* ag_hinge_embedding -- mean of x where the sign is positive, else of max(0, margin − x); x are distances
 * Shape:  x (…), signs of the same shape -> ()
 * Dtype:  real
 * Grad:   x̄ = 1/n where the sign is positive, else −1/n where x < margin
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE; AG_ERR_RANGE unless the margin is finite
 * Source: torch.nn.functional.hinge_embedding_loss */
AG_API ag_tensor *ag_hinge_embedding(ag_tensor *x, ag_tensor *signs, double margin);

/* ag_hinge_embedding_with -- the same with options
 * Shape:  x (…), signs of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   as ag_hinge_embedding, times weights
 * Errors: as ag_hinge_embedding; options that do not fit
 * Source: torch.nn.functional.hinge_embedding_loss */
AG_API ag_tensor *ag_hinge_embedding_with(ag_tensor *x, ag_tensor *signs, double margin,
                                          const ag_loss_options *options);

/* ag_triplet_margin -- mean of max(0, |anchor − positive| − |anchor − negative| + margin), by ag_pairwise_distance with
 * p = 2
 * Shape:  anchor (…,n), positive and negative of the same shape -> ()
 * Dtype:  real
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless the margin is finite
 * Source: torch.nn.functional.triplet_margin_loss */
AG_API ag_tensor *ag_triplet_margin(ag_tensor *anchor, ag_tensor *positive, ag_tensor *negative, double margin);

/* ag_triplet_margin_with -- the same with options, and distances of any p
 * Shape:  anchor (…,n), positive and negative of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   from the graph
 * Errors: as ag_triplet_margin and ag_pairwise_distance; options that do not fit
 * Source: torch.nn.functional.triplet_margin_loss */
AG_API ag_tensor *ag_triplet_margin_with(ag_tensor *anchor, ag_tensor *positive, ag_tensor *negative, double margin,
                                         double p, const ag_loss_options *options);

/* ag_margin_ranking -- mean of max(0, −y·(a − b) + margin): a is to be larger where the sign y is 1, smaller where −1
 * Shape:  a (…), b and signs of the same shape -> ()
 * Dtype:  real
 * Grad:   ā = −y/n where the term is over 0;  b̄ = −ā
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE; AG_ERR_RANGE unless the margin is finite
 * Source: torch.nn.functional.margin_ranking_loss */
AG_API ag_tensor *ag_margin_ranking(ag_tensor *a, ag_tensor *b, ag_tensor *signs, double margin);

/* ag_margin_ranking_with -- the same with options
 * Shape:  a (…), b and signs of the same shape -> (), or (…) unreduced
 * Dtype:  real
 * Grad:   as ag_margin_ranking, times weights
 * Errors: as ag_margin_ranking; options that do not fit
 * Source: torch.nn.functional.margin_ranking_loss */
AG_API ag_tensor *ag_margin_ranking_with(ag_tensor *a, ag_tensor *b, ag_tensor *signs, double margin,
                                         const ag_loss_options *options);

/* ---- Losses of sequences ---- */

/* ag_ctc -- connectionist temporal classification: −ln of the probability that T steps, once repetitions are merged and
 * blanks dropped, spell the labels. The mean is that of each loss divided by the number of its labels, or 1 if there
 * are none. A sequence too short for its labels has the loss ∞ and the gradient 0
 *
 * Sample i has steps[i] steps and counts[i] labels; what is beyond is padding, and may be anything. NULL: all of them.
 * Steps are the first axis, and what ag_rnn_apply gives is (N,T,…): ag_transpose(log_p, 0, 1) is between the two.
 * Shape:  log_p (T,N,C), labels (N,S), steps (N), counts (N) -> ()
 * Dtype:  log_p real, of ag_log_softmax; labels i64, 0 <= label < C; steps and counts i64
 * Grad:   −(the share of a label in the paths at a step, given the labels)/N; from the graph
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless 0 <= blank < C; AG_ERR_RANGE when evaluated, for a label out
 *         of range, and for a number of steps or labels over T or S
 * Source: Graves et al., Connectionist temporal classification (2006); torch.nn.functional.ctc_loss */
AG_API ag_tensor *ag_ctc(ag_tensor *log_p, ag_tensor *labels, ag_tensor *steps, ag_tensor *counts, int64_t blank);

/* ag_ctc_with -- the same with options
 * Shape:  log_p (T,N,C), labels (N,S), steps (N), counts (N) -> (), or (N) unreduced
 * Dtype:  log_p real, of ag_log_softmax; labels i64, 0 <= label < C; steps and counts i64
 * Grad:   as ag_ctc, times weights
 * Errors: as ag_ctc; options that do not fit
 * Source: torch.nn.functional.ctc_loss */
AG_API ag_tensor *ag_ctc_with(ag_tensor *log_p, ag_tensor *labels, ag_tensor *steps, ag_tensor *counts, int64_t blank,
                              const ag_loss_options *options);

/* ---- Accuracy ---- */

/* ag_accuracy -- the part of the samples whose largest score is at the label
 * Shape:  scores (…,C), labels (…) -> ()
 * Dtype:  scores real; labels i64 -> f64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; a label out of range counts as a miss
 * Source: sklearn.metrics.accuracy_score */
AG_API ag_tensor *ag_accuracy(ag_tensor *scores, ag_tensor *labels);

#endif
