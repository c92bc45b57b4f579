/* metrics -- how good predictions are, added up over batches exactly
 *
 * A metric is a struct that each batch is added to; its value may be read at any time. Any division of the samples into
 * batches gives the same bits, because what is added up has no rounding: counts are integers, sums of real numbers are
 * ag_exact, and a sample's own contribution depends on nothing else. Only the value is rounded.
 *
 *     ag_topk top = {.k = 5};
 *     for (…; ag_tape_rewind(tape, mark)) ag_topk_add(&top, model(batch), labels);
 *     printf("%g\n", ag_topk_value(&top));
 *
 * Adding a batch evaluates it. A batch that is refused is not added at all, not even in part. */
#ifndef AG_NN_METRICS_H
#define AG_NN_METRICS_H

#include "autograd/autograd.h"

/* ag_exact -- a sum of numbers and products of two that is never rounded: Σ word[i]·2^(32·i − 2240)
 * All zero, it is 0. */
typedef struct ag_exact {
    int64_t word[140];
    int64_t added; /* parts of words since carries were propagated */
} ag_exact;

/* ---- Labels ---- */

/* ag_topk -- the part of the samples whose label is among the k largest scores; begins as {.k = 5}
 * NaN counts as largest, and of equal scores those of lower classes come first, as for ag_argmax: so k = 1 is the
 * accuracy. */
typedef struct ag_topk {
    int64_t k; /* 1 or more, at most the number of classes */
    int64_t hits, samples;
} ag_topk;

/* ag_topk_add -- add a batch: scores (N,C), real, and labels (N), i64
 * Errors: AG_ERR_NULL, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for k < 1 or k > C, and a label out of range; as
 *         ag_eval */
AG_API ag_status ag_topk_add(ag_topk *topk, ag_tensor *scores, ag_tensor *labels);

/* ag_topk_value -- hits/samples; NaN without samples
 * Errors: none; NaN for NULL */
AG_API double ag_topk_value(const ag_topk *topk);

/* ag_confusion -- how many samples of each class were taken for each class; made by ag_confusion_init */
typedef struct ag_confusion {
    int64_t classes;
    int64_t *counts; /* (classes,classes), a row for each label and a column for each prediction; the tape's */
    int64_t samples;
    unsigned made; /* inside: what its init leaves to know it by */
} ag_confusion;

/* ag_confusion_init -- no samples yet; the counts last until the tape is rewound past this call
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for classes < 1, or more than their counts could be addressed for; AG_ERR_MEMORY */
AG_API ag_status ag_confusion_init(ag_confusion *confusion, ag_tape *tape, int64_t classes);

/* ag_confusion_add -- add a batch: scores (N,C), real, of which ag_argmax is the prediction, or predictions (N), i64;
 * and labels (N), i64
 * Errors: AG_ERR_NULL, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for a struct that its init has not made, and for a
 *         label or a prediction out of range; as ag_eval */
AG_API ag_status ag_confusion_add(ag_confusion *confusion, ag_tensor *predictions, ag_tensor *labels);

/* ag_prf -- precision, recall and F1, each 0 where it would be 0/0; and the number of samples with that label */
typedef struct ag_prf {
    double precision; /* of those taken for the class, the part that is */
    double recall;    /* of those in the class, the part taken for it */
    double f1;        /* 2·precision·recall/(precision + recall) */
    int64_t support;
} ag_prf;

/* ag_averaging -- how classes are averaged */
typedef enum ag_averaging {
    AG_MICRO,   /* all samples alike: precision, recall and F1 are the accuracy */
    AG_MACRO,   /* all classes alike, also those without samples */
    AG_WEIGHTED /* by support */
} ag_averaging;

/* ag_confusion_class -- of one class against the others
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made, and if there is no such class; then all
 *         is NaN */
AG_API ag_prf ag_confusion_class(const ag_confusion *confusion, int64_t class_number);

/* ag_confusion_average -- over all classes; 0 without samples
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made, and an invalid averaging: all is NaN
 * Source: sklearn.metrics.precision_recall_fscore_support with all classes as labels, and zero_division = 0 */
AG_API ag_prf ag_confusion_average(const ag_confusion *confusion, ag_averaging how);

/* ag_confusion_accuracy -- the part of the samples on the diagonal; NaN without samples
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made: NaN */
AG_API double ag_confusion_accuracy(const ag_confusion *confusion);

/* ---- Scores of two classes ---- */

/* ag_scored -- a sample's score, and whether it is positive */
typedef struct ag_scored {
    double score;
    bool positive;
} ag_scored;

/* ag_auc -- the area under the receiver operating characteristic; made by ag_auc_init
 * It is the probability that a positive sample's score is over a negative one's, equal scores counting half, and takes
 * all of the scores: they are kept. Of several classes each has one, with its scores and ag_equal(labels, class). */
typedef struct ag_auc {
    int64_t capacity;
    int64_t samples;
    ag_scored *kept; /* the tape's; sorted when the value is read */
    unsigned made;   /* inside: what its init leaves to know it by */
} ag_auc;

/* ag_auc_init -- room for `capacity` samples, until the tape is rewound past this call
 * Errors: AG_ERR_NULL; AG_ERR_RANGE unless 1 <= capacity < 2^31; AG_ERR_MEMORY */
AG_API ag_status ag_auc_init(ag_auc *auc, ag_tape *tape, int64_t capacity);

/* ag_auc_add -- add a batch: scores (N), real, larger for the positive class; labels (N), bool, or 0 and 1 of i64
 * Errors: AG_ERR_NULL, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for a struct that its init has not made, a score that
 *         is NaN, another label, and more samples than there is room for; as ag_eval */
AG_API ag_status ag_auc_add(ag_auc *auc, ag_tensor *scores, ag_tensor *labels);

/* ag_auc_value -- from counts of pairs, rounded once; NaN unless there are samples of both kinds
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made: NaN
 * Source: sklearn.metrics.roc_auc_score */
AG_API double ag_auc_value(ag_auc *auc);

/* ---- Numbers ---- */

/* ag_regression -- how far predicted numbers are from their targets; begins all zero */
typedef struct ag_regression {
    ag_exact absolute, squares;       /* Σ|x − t|, Σ(x − t)² */
    ag_exact targets, target_squares; /* Σt, Σt² */
    int64_t samples;                  /* elements */
    int64_t nan, infinite;            /* of those, x − t is NaN or infinite: they are in no sum */
    int64_t infinite_targets;
} ag_regression;

/* ag_regression_add -- add a batch of any shape, the same for both; each element is a sample
 * Errors: AG_ERR_NULL; AG_ERR_SHAPE if the shapes differ; AG_ERR_DTYPE unless both are real, of one dtype; as ag_eval
 */
AG_API ag_status ag_regression_add(ag_regression *regression, ag_tensor *x, ag_tensor *target);

/* ag_regression_mae -- the mean of |x − target|; NaN without samples, and if an error is NaN
 * Errors: none; NaN for NULL
 * Source: sklearn.metrics.mean_absolute_error */
AG_API double ag_regression_mae(const ag_regression *regression);

/* ag_regression_mse -- the mean of (x − target)²; likewise
 * Errors: none; NaN for NULL
 * Source: sklearn.metrics.mean_squared_error */
AG_API double ag_regression_mse(const ag_regression *regression);

/* ag_regression_r2 -- 1 − Σ(x − target)²/Σ(target − mean)², right to a few units in the last place of the quotient
 * also where the targets differ in their last digits only; if all are equal, 1 if they were all met, else 0; NaN for
 * fewer than two samples, and if an error is NaN or a target infinite
 * Errors: none; NaN for NULL
 * Source: sklearn.metrics.r2_score */
AG_API double ag_regression_r2(const ag_regression *regression);

/* ag_perplexity -- e to the mean of −ln softmax(scores)[label]; begins all zero
 * A sample's logarithm is computed in f64 whatever the dtype. */
typedef struct ag_perplexity {
    ag_exact surprise;     /* Σ of the logarithms, of those that are finite */
    int64_t samples;       /* labels, or words */
    int64_t nan, infinite; /* of those */
} ag_perplexity;

/* ag_perplexity_add -- add a batch: scores (N,C), real, and labels (N), i64
 * Errors: AG_ERR_NULL, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE for a label out of range; as ag_eval */
AG_API ag_status ag_perplexity_add(ag_perplexity *perplexity, ag_tensor *scores, ag_tensor *labels);

/* ag_perplexity_value -- 1 if every label was certain; NaN without samples
 * Errors: none; NaN for NULL */
AG_API double ag_perplexity_value(const ag_perplexity *perplexity);

#endif
