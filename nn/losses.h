/* losses -- what training makes small, and accuracy
 *
 * Each is the mean over the batch: a 0-d tensor, ready for ag_grad; NaN for a batch of no samples. */
#ifndef AG_NN_LOSSES_H
#define AG_NN_LOSSES_H

#include "autograd/autograd.h"

/* ag_cross_entropy -- mean over N of logsumexp(s_i) − s_i[label_i]: softmax and negative log-likelihood in one. Value
 * and gradient are right to a few units in the last place for any finite scores, as are those of the next two losses
 * Shape:  scores (N,C), labels (N) -> ()
 * Dtype:  scores real; labels i64, 0 <= label < C
 * Grad:   s̄ = (softmax(s) − onehot(labels))/N
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for a label out of range
 * Source: torch.nn.functional.cross_entropy */
AG_API ag_tensor *ag_cross_entropy(ag_tensor *scores, ag_tensor *labels);

/* ag_binary_cross_entropy -- mean of ln(1 + e^s) − t·s for scores s before the sigmoid
 * Shape:  scores (…), targets of the same shape -> ()
 * Dtype:  real; targets the same, between 0 and 1
 * Grad:   s̄ = (sigmoid(s) − t)/n
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.binary_cross_entropy_with_logits */
AG_API ag_tensor *ag_binary_cross_entropy(ag_tensor *scores, ag_tensor *targets);

/* ag_hinge -- mean over N of Σ_j max(0, s_i[j] − s_i[label_i] + 1) for j ≠ label_i: the multiclass support vector loss
 * Shape:  scores (N,C), labels (N) -> ()
 * Dtype:  scores real; labels i64, 0 <= label < C
 * Grad:   s̄[i,j] = 1/N where j ≠ label and its term is over 0;  s̄[i,label] = −(the number of those)/N
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for a label out of range
 * Source: Weston and Watkins, Support vector machines for multi-class pattern recognition (1999) */
AG_API ag_tensor *ag_hinge(ag_tensor *scores, ag_tensor *labels);

/* ag_mse -- mean of (x − target)²
 * Shape:  x (…), target of the same shape (nothing is broadcast here: it would hide a mistake) -> ()
 * Dtype:  real
 * Grad:   x̄ = 2·(x − target)/n
 * Errors: AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE
 * Source: torch.nn.functional.mse_loss */
AG_API ag_tensor *ag_mse(ag_tensor *x, ag_tensor *target);

/* ag_accuracy -- the part of the samples whose largest score is at the label
 * Shape:  scores (N,C), labels (N) -> ()
 * Dtype:  scores real; labels i64 -> f64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; a label out of range counts as a miss
 * Source: sklearn.metrics.accuracy_score */
AG_API ag_tensor *ag_accuracy(ag_tensor *scores, ag_tensor *labels);

#endif
