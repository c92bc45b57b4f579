/* metrics -- counts over samples: labels among the largest scores, confusion, ranks; and the perplexity
 *
 * A batch is checked as a whole before anything is counted. N samples, C classes. */
#include "nn/exact.h"

#include <math.h>

/* The marks that the inits leave in their structs. */
enum { CONFUSION = 0x636f6e66, AUC };

/* ---- Batches ---- */

/* An error that was raised after an evaluation gets the location of the metric's caller. */
static ag_status refused(const char *file, int line, ag_tensor *nil) {
    ag_here(file, line);
    return ag_eval(nil);
}

static double number_at(ag_dtype dtype, const void *data, int64_t i) {
    return dtype == AG_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

/* NULL if labels of `most` classes are in range, after an evaluation; else nil, after an error. */
static ag_tensor *labels_wrong(const char *name, const char *what, ag_tensor *labels, int64_t most) {
    const int64_t *label = ag_data(labels);
    for (int64_t i = 0; label && i < ag_size(labels); i++)
        if (label[i] < 0 || label[i] >= most)
            return ag__refuse(name, 1, &labels, AG_ERR_RANGE,
                              "%s %lld at [%lld] is out of range: there are %lld classes, from 0 on", what,
                              (long long)label[i], (long long)i, (long long)most);
    return NULL;
}

/* NULL if both are there; else nil, after an error. */
static ag_tensor *pair_wrong(const char *name, const void *own, ag_tensor *x, ag_tensor *labels) {
    ag_tensor *const in[] = {x, labels};
    if (!own) return ag__refuse_on(ag_tape_of(x), name, AG_ERR_NULL, "the metric is NULL");
    if (ag_is_nil(x) || ag_is_nil(labels) || ag_tape_of(x) != ag_tape_of(labels))
        return ag__refuse(name, 2, in, AG_ERR_NIL, "there is nothing to add");
    return NULL;
}

/* NULL if scores are (N,C) and labels (N), with values in range; else nil, after an error. */
static ag_tensor *scores_wrong(const char *name, const void *own, ag_tensor *scores, ag_tensor *labels) {
    ag_tensor *const in[] = {scores, labels}, *nil = pair_wrong(name, own, scores, labels);
    if (nil) return nil;
    if (ag_rank(scores) != 2 || ag_rank(labels) != 1 || ag_extent(scores, 0) != ag_extent(labels, 0))
        return ag__refuse(name, 2, in, AG_ERR_SHAPE, "scores must be (N,C) and labels (N)");
    if (!ag__real(scores) || ag_dtype_of(labels) != AG_I64)
        return ag__refuse(name, 2, in, AG_ERR_DTYPE, "scores must be real and labels i64");
    if (ag_eval_all(2, in) != AG_OK) return ag__refuse(name, 2, in, AG_ERR_NIL, "there is nothing to add");
    return labels_wrong(name, "label", labels, ag_extent(scores, 1));
}

/* ---- Among the k largest ---- */

static bool comes_before(double a, int64_t i, double b, int64_t k) {
    if (isnan(a) || isnan(b)) return isnan(a) && (!isnan(b) || i < k);
    return a > b || (a == b && i < k);
}

/* The number of classes that come before the label of sample i. */
static int64_t rank_of(ag_dtype dtype, const void *scores, int64_t classes, int64_t i, int64_t label) {
    double own = number_at(dtype, scores, i * classes + label);
    int64_t rank = 0;
    for (int64_t k = 0; k < classes; k++)
        rank += comes_before(number_at(dtype, scores, i * classes + k), k, own, label);
    return rank;
}

ag_status ag_topk_add(ag_topk *t, ag_tensor *scores, ag_tensor *labels) {
    int line;
    const char *file = ag_caller(&line);
    static const char name[] = "topk_add";
    ag_tensor *nil = scores_wrong(name, t, scores, labels);
    int64_t classes = ag_extent(scores, 1);
    if (!nil && (t->k < 1 || t->k > classes))
        nil = ag__refuse(name, 2, (ag_tensor *[]){scores, labels}, AG_ERR_RANGE,
                         "k is %lld: 1 to %lld, the number of classes, is wanted", (long long)t->k, (long long)classes);
    if (nil) return refused(file, line, nil);
    const void *data = ag_data(scores);
    const int64_t *label = ag_data(labels);
    if (!data || !label) return ag_eval(data ? labels : scores);
    for (int64_t i = 0; i < ag_size(labels); i++) {
        if (rank_of(ag_dtype_of(scores), data, classes, i, label[i]) < t->k) ag__count(&t->hits);
        ag__count(&t->samples);
    }
    return AG_OK;
}

double ag_topk_value(const ag_topk *t) { return t && t->samples > 0 ? (double)t->hits / (double)t->samples : NAN; }

/* ---- Confusion ---- */

ag_status ag_confusion_init(ag_confusion *c, ag_tape *tape, int64_t classes) {
    static const char name[] = "confusion_init";
    ag_tensor *nil = NULL;
    if (!c) nil = ag__refuse_on(tape, name, AG_ERR_NULL, "the metric is NULL");
    else if (!tape) nil = ag__refuse_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    else if (classes < 1 || (uint64_t)classes > PTRDIFF_MAX / sizeof(int64_t) / (uint64_t)classes)
        nil = ag__refuse_on(tape, name, AG_ERR_RANGE, "%lld classes: 1 or more are wanted, whose counts fit in memory",
                            (long long)classes);
    if (c) *c = (ag_confusion){0};
    if (nil) return ag_eval(nil);
    int64_t *counts = ag_tape_alloc(tape, (size_t)classes * (size_t)classes * sizeof(int64_t));
    if (counts) *c = (ag_confusion){.classes = classes, .counts = counts, .made = CONFUSION};
    return ag_tape_status(tape);
}

static ag_tensor *confusion_wrong(const char *name, const ag_confusion *c) {
    if (!c) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the metric is NULL");
    if (c->made == CONFUSION && c->classes >= 1 && c->counts) return NULL;
    return ag__refuse_on(NULL, name, AG_ERR_RANGE, "the metric was not made by its init, or its init failed");
}

/* The predictions, (N) of i64, of scores or as they are; nil after an error. */
static ag_tensor *predicted(const char *name, const ag_confusion *c, ag_tensor *x, ag_tensor *labels) {
    ag_tensor *const in[] = {x, labels};
    if (ag_rank(x) == 2 && ag_rank(labels) == 1 && ag_extent(x, 0) == ag_extent(labels, 0)) {
        if (ag_extent(x, 1) != c->classes)
            return ag__refuse(name, 2, in, AG_ERR_SHAPE, "the scores are of %lld classes, and the metric has %lld",
                              (long long)ag_extent(x, 1), (long long)c->classes);
        if (!ag__real(x) || ag_dtype_of(labels) != AG_I64)
            return ag__refuse(name, 2, in, AG_ERR_DTYPE, "scores must be real and labels i64");
        ag_eval_all(2, in); /* a tape in error does not record the argmax */
        return ag_argmax(x, 1, false);
    }
    if (ag_rank(x) != 1 || ag_rank(labels) != 1 || ag_extent(x, 0) != ag_extent(labels, 0))
        return ag__refuse(name, 2, in, AG_ERR_SHAPE, "scores must be (N,C), or predictions (N), and labels (N)");
    if (ag_dtype_of(x) != AG_I64 || ag_dtype_of(labels) != AG_I64)
        return ag__refuse(name, 2, in, AG_ERR_DTYPE, "predictions and labels must be i64");
    return x;
}

ag_status ag_confusion_add(ag_confusion *c, ag_tensor *predictions, ag_tensor *labels) {
    int line;
    const char *file = ag_caller(&line);
    static const char name[] = "confusion_add";
    ag_tensor *nil = pair_wrong(name, c, predictions, labels);
    if (!nil) nil = confusion_wrong(name, c);
    ag_tensor *p = nil ? nil : predicted(name, c, predictions, labels), *const both[] = {p, labels};
    if (ag_is_nil(p)) return refused(file, line, p);
    ag_status status = ag_eval_all(2, both);
    if (status != AG_OK) return status;
    nil = labels_wrong(name, "label", labels, c->classes);
    if (!nil) nil = labels_wrong(name, "prediction", p, c->classes);
    if (nil) return refused(file, line, nil);
    const int64_t *taken = ag_data(p), *label = ag_data(labels);
    if (!taken || !label) return ag_eval(taken ? labels : p);
    for (int64_t i = 0; i < ag_size(labels); i++) {
        ag__count(&c->counts[label[i] * c->classes + taken[i]]);
        ag__count(&c->samples);
    }
    return AG_OK;
}

static double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

static int64_t right(const ag_confusion *c) {
    int64_t sum = 0;
    for (int64_t k = 0; k < c->classes; k++) sum += c->counts[k * c->classes + k];
    return sum;
}

/* F1 is from the counts: as a quotient of rounded quotients it would differ in its last digits. */
static ag_prf class_scores(const ag_confusion *c, int64_t k) {
    int64_t taken = 0, support = 0, hits = c->counts[k * c->classes + k];
    for (int64_t i = 0; i < c->classes; i++) {
        taken += c->counts[i * c->classes + k];
        support += c->counts[k * c->classes + i];
    }
    return (ag_prf){.precision = ratio((double)hits, (double)taken),
                    .recall = ratio((double)hits, (double)support),
                    .f1 = ratio(2 * (double)hits, (double)taken + (double)support),
                    .support = support};
}

ag_prf ag_confusion_class(const ag_confusion *c, int64_t k) {
    static const char name[] = "confusion_class";
    ag_tensor *nil = confusion_wrong(name, c);
    if (!nil && (k < 0 || k >= c->classes))
        nil = ag__refuse_on(NULL, name, AG_ERR_RANGE, "class %lld is out of range: there are %lld, from 0 on",
                            (long long)k, (long long)c->classes);
    return nil ? (ag_eval(nil), (ag_prf){NAN, NAN, NAN, 0}) : class_scores(c, k);
}

static ag_prf averaged(const ag_confusion *c, bool weighted) {
    ag_prf sum = {0};
    for (int64_t k = 0; k < c->classes; k++) {
        ag_prf one = class_scores(c, k);
        double weight = weighted ? (double)one.support : 1;
        sum.precision += weight * one.precision;
        sum.recall += weight * one.recall;
        sum.f1 += weight * one.f1;
    }
    double all = weighted ? (double)c->samples : (double)c->classes;
    return (ag_prf){ratio(sum.precision, all), ratio(sum.recall, all), ratio(sum.f1, all), c->samples};
}

ag_prf ag_confusion_average(const ag_confusion *c, ag_averaging how) {
    static const char name[] = "confusion_average";
    ag_tensor *nil = confusion_wrong(name, c);
    if (!nil && (unsigned)how > AG_WEIGHTED)
        nil = ag__refuse_on(NULL, name, AG_ERR_RANGE, "the averaging %d is invalid", (int)how);
    if (nil) return ag_eval(nil), (ag_prf){NAN, NAN, NAN, 0};
    if (how != AG_MICRO) return averaged(c, how == AG_WEIGHTED);
    double accuracy = ratio((double)right(c), (double)c->samples);
    return (ag_prf){accuracy, accuracy, accuracy, c->samples};
}

double ag_confusion_accuracy(const ag_confusion *c) {
    ag_tensor *nil = confusion_wrong("confusion_accuracy", c);
    if (nil) return ag_eval(nil), NAN;
    return c->samples > 0 ? (double)right(c) / (double)c->samples : NAN;
}

/* ---- Ranks of two classes ---- */

ag_status ag_auc_init(ag_auc *auc, ag_tape *tape, int64_t capacity) {
    static const char name[] = "auc_init";
    ag_tensor *nil = NULL;
    if (!auc) nil = ag__refuse_on(tape, name, AG_ERR_NULL, "the metric is NULL");
    else if (!tape) nil = ag__refuse_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    else if (capacity < 1 || capacity > INT32_MAX || (uint64_t)capacity > PTRDIFF_MAX / sizeof(ag_scored))
        nil = ag__refuse_on(tape, name, AG_ERR_RANGE, "room for %lld samples: 1 to 2147483647 is wanted",
                            (long long)capacity);
    if (auc) *auc = (ag_auc){0};
    if (nil) return ag_eval(nil);
    ag_scored *kept = ag_tape_alloc(tape, (size_t)capacity * sizeof *kept);
    if (kept) *auc = (ag_auc){.capacity = capacity, .kept = kept, .made = AUC};
    return ag_tape_status(tape);
}

static ag_tensor *auc_wrong(const char *name, const ag_auc *auc) {
    if (!auc) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the metric is NULL");
    if (auc->made == AUC && auc->kept && auc->samples >= 0 && auc->samples <= auc->capacity) return NULL;
    return ag__refuse_on(NULL, name, AG_ERR_RANGE, "the metric was not made by its init, or its init failed");
}

static ag_tensor *ranked_wrong(const char *name, const ag_auc *auc, ag_tensor *scores, ag_tensor *labels) {
    ag_tensor *const in[] = {scores, labels}, *nil = pair_wrong(name, auc, scores, labels);
    if (!nil) nil = auc_wrong(name, auc);
    if (nil) return nil;
    if (ag_rank(scores) != 1 || ag_rank(labels) != 1 || ag_extent(scores, 0) != ag_extent(labels, 0))
        return ag__refuse(name, 2, in, AG_ERR_SHAPE, "scores and labels must be (N)");
    if (!ag__real(scores) || (ag_dtype_of(labels) != AG_I64 && ag_dtype_of(labels) != AG_BOOL))
        return ag__refuse(name, 2, in, AG_ERR_DTYPE, "scores must be real and labels bool or i64");
    if (ag_size(scores) > auc->capacity - auc->samples)
        return ag__refuse(name, 2, in, AG_ERR_RANGE, "there is room for %lld samples, and %lld are there already",
                          (long long)auc->capacity, (long long)auc->samples);
    if (ag_eval_all(2, in) != AG_OK) return ag__refuse(name, 2, in, AG_ERR_NIL, "there is nothing to add");
    const void *data = ag_data(scores);
    for (int64_t i = 0; data && i < ag_size(scores); i++)
        if (isnan(number_at(ag_dtype_of(scores), data, i)))
            return ag__refuse(name, 2, in, AG_ERR_RANGE, "the score at [%lld] is NaN: it has no rank", (long long)i);
    return ag_dtype_of(labels) == AG_I64 ? labels_wrong(name, "label", labels, 2) : NULL;
}

ag_status ag_auc_add(ag_auc *auc, ag_tensor *scores, ag_tensor *labels) {
    int line;
    const char *file = ag_caller(&line);
    ag_tensor *nil = ranked_wrong("auc_add", auc, scores, labels);
    if (nil) return refused(file, line, nil);
    const void *data = ag_data(scores), *label = ag_data(labels);
    if (!data || !label) return ag_eval(data ? labels : scores);
    for (int64_t i = 0; i < ag_size(scores); i++) {
        bool positive = ag_dtype_of(labels) == AG_I64 ? ((const int64_t *)label)[i] != 0 : ((const bool *)label)[i];
        auc->kept[auc->samples++] = (ag_scored){number_at(ag_dtype_of(scores), data, i), positive};
    }
    return AG_OK;
}

/* Let element i sink until both of its children, at 2·i + 1 and 2·i + 2, are no larger. */
static void sink(ag_scored s[], int64_t i, int64_t n) {
    ag_scored x = s[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && s[child].score < s[child + 1].score) child++;
        if (s[child].score <= x.score) break;
        s[i] = s[child];
    }
    s[i] = x;
}

/* Heapsort: it takes no memory, and no arrangement makes it slow. */
static void sort(ag_scored s[], int64_t n) {
    for (int64_t i = n / 2; i-- > 0;) sink(s, i, n);
    for (int64_t i = n; i-- > 1;) {
        ag_scored last = s[i];
        s[i] = s[0], s[0] = last;
        sink(s, 0, i);
    }
}

/* Twice the number of pairs in which the positive score is larger, equal ones counting half; in 64 bits, because there
 * are fewer than 2^62 pairs. */
double ag_auc_value(ag_auc *auc) {
    ag_tensor *nil = auc_wrong("auc_value", auc);
    if (nil) return ag_eval(nil), NAN;
    sort(auc->kept, auc->samples);
    int64_t below = 0, positives = 0, twice = 0;
    for (int64_t i = 0, end; i < auc->samples; i = end) {
        int64_t count[2] = {0, 0};
        for (end = i; end < auc->samples && auc->kept[end].score == auc->kept[i].score; end++)
            count[auc->kept[end].positive]++;
        twice += count[1] * (2 * below + count[0]);
        below += count[0], positives += count[1];
    }
    return below && positives ? (double)twice / (2 * (double)below * (double)positives) : NAN;
}

/* ---- Perplexity ---- */

/* ln Σ_k e^(s_k) − s_label, without overflow; the sum is over the classes in order, whatever the batch. */
static double surprise_of(ag_dtype dtype, const void *scores, int64_t classes, int64_t i, int64_t label) {
    double most = -INFINITY, sum = 0, own = number_at(dtype, scores, i * classes + label);
    for (int64_t k = 0; k < classes; k++) {
        double s = number_at(dtype, scores, i * classes + k);
        if (isnan(s)) return NAN;
        most = s > most ? s : most;
    }
    if (isinf(most)) return most > 0 ? NAN : INFINITY;
    for (int64_t k = 0; k < classes; k++) sum += exp(number_at(dtype, scores, i * classes + k) - most);
    return log(sum) + (most - own);
}

ag_status ag_perplexity_add(ag_perplexity *p, ag_tensor *scores, ag_tensor *labels) {
    int line;
    const char *file = ag_caller(&line);
    ag_tensor *nil = scores_wrong("perplexity_add", p, scores, labels);
    if (nil) return refused(file, line, nil);
    const void *data = ag_data(scores);
    const int64_t *label = ag_data(labels);
    if (!data || !label) return ag_eval(data ? labels : scores);
    for (int64_t i = 0; i < ag_size(labels); i++) {
        double surprise = surprise_of(ag_dtype_of(scores), data, ag_extent(scores, 1), i, label[i]);
        ag__count(&p->samples);
        if (isfinite(surprise)) ag__exact_add(&p->surprise, surprise, false);
        else ag__count(isnan(surprise) ? &p->nan : &p->infinite);
    }
    return AG_OK;
}

double ag_perplexity_value(const ag_perplexity *p) {
    if (!p || p->samples < 1 || p->nan) return NAN;
    return p->infinite ? INFINITY : exp(ag__exact_mean(&p->surprise, p->samples));
}
