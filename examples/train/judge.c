/* judge -- a model applied to samples: its outputs, and how good they are */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AT_A_TIME = 1024 };

/* ---- Losses */

ag_tensor *loss_of(const description *d, ag_tensor *scores, ag_tensor *target) {
    if (d->loss == CROSS_ENTROPY) return ag_cross_entropy(scores, target);
    if (d->loss == HINGE) return ag_hinge(scores, target);
    if (d->loss == BINARY) return ag_binary_cross_entropy(ag_reshape(scores, ag_shape_of(target)), target);
    return ag_mse(scores, target);
}

int64_t class_of(const description *d, const float *output, int64_t outputs) {
    int64_t best = 0;
    if (d->loss == BINARY) return output[0] > 0;
    for (int64_t k = 1; k < outputs; k++)
        if (output[k] > output[best]) best = k;
    return best;
}

/* ---- One batch after the other */

/* The targets of n samples, as loss_of takes them. */
static ag_tensor *targets_of(const description *d, ag_tape *tape, const samples *s, int64_t n, const int64_t *which) {
    if (d->loss == MSE) {
        float *y = memory(NULL, (size_t)(n * s->targets), sizeof *y);
        for (int64_t i = 0; i < n; i++)
            memcpy(y + i * s->targets, s->y + which[i] * s->targets, (size_t)s->targets * sizeof *y);
        ag_tensor *x = ag_from(tape, AG_F32, AG_SHAPE(n, s->targets), y);
        free(y);
        return x;
    }
    int64_t *label = memory(NULL, (size_t)n, sizeof *label);
    for (int64_t i = 0; i < n; i++) label[i] = s->label[which[i]];
    ag_tensor *x = ag_from(tape, AG_I64, AG_SHAPE(n), label);
    free(label);
    return d->loss == BINARY ? ag_cast(x, AG_F32) : x;
}

static ag_tensor *inputs_of(ag_tape *tape, const samples *s, int64_t n, const int64_t *which) {
    float *x = memory(NULL, (size_t)(n * s->inputs), sizeof *x);
    for (int64_t i = 0; i < n; i++)
        memcpy(x + i * s->inputs, s->x + which[i] * s->inputs, (size_t)s->inputs * sizeof *x);
    ag_tensor *t = ag_from(tape, AG_F32, AG_SHAPE(n, s->inputs), x);
    free(x);
    return t;
}

/* Metrics while batches are added. */
typedef struct counting {
    judgement *j;
    model *m;
    const description *d;
    ag_tape *tape;
    const samples *s;
    ag_confusion confusion;
    ag_auc auc;
    ag_regression *target; /* one for each */
} counting;

static bool is_judged(const counting *c) { return c->s->label || c->s->y; }

static void begin(counting *c) {
    judgement *j = c->j;
    if (c->s->label) ag_confusion_init(&c->confusion, c->tape, c->d->classes);
    if (c->s->label && c->d->loss == BINARY) ag_auc_init(&c->auc, c->tape, j->count);
    if (!c->s->y) return;
    c->target = memory(NULL, (size_t)c->s->targets, sizeof *c->target);
    memset(c->target, 0, (size_t)c->s->targets * sizeof *c->target);
}

static void count_classes(counting *c, ag_tensor *scores, ag_tensor *target) {
    if (c->d->loss != BINARY) {
        ag_confusion_add(&c->confusion, scores, target);
        return;
    }
    ag_tensor *label = ag_cast(target, AG_I64), *score = ag_reshape(scores, ag_shape_of(label));
    ag_tensor *zero = ag_zeros(c->tape, AG_F32, AG_SCALAR);
    ag_confusion_add(&c->confusion, ag_cast(ag_greater(score, zero), AG_I64), label);
    ag_auc_add(&c->auc, score, label);
}

/* Column k in its own units. */
static ag_tensor *in_units(const counting *c, ag_tensor *x, int64_t k) {
    ag_tensor *y = ag_cast(ag_slice(x, 1, k, k + 1, 1), AG_F64);
    return c->d->target_scale ? ag_add_scalar(ag_scale(y, c->d->target_scale[k]), c->d->target_mean[k]) : y;
}

static void add_batch(counting *c, ag_tensor *scores, int64_t n, const int64_t *which) {
    ag_tensor *target = targets_of(c->d, c->tape, c->s, n, which);
    c->j->loss += (double)n * ag_item(loss_of(c->d, scores, target));
    if (c->s->label) count_classes(c, scores, target);
    for (int64_t k = 0; c->s->y && k < c->s->targets; k++)
        ag_regression_add(&c->target[k], in_units(c, scores, k), in_units(c, target, k));
}

/* The model is not trained here, so nothing is recorded for gradients. */
static bool run(counting *c, const int64_t *which) {
    judgement *j = c->j;
    int64_t outputs = c->m->outputs;
    bool recording = ag_tape_set_recording(c->tape, false);
    ag_mark mark = ag_tape_mark(c->tape);
    for (int64_t i = 0, n; i < j->count && ag_tape_status(c->tape) == AG_OK; i += n, ag_tape_rewind(c->tape, mark)) {
        n = j->count - i < AT_A_TIME ? j->count - i : AT_A_TIME;
        ag_tensor *scores = apply_model(c->m, inputs_of(c->tape, c->s, n, which + i), false);
        const float *output = ag_data(scores);
        if (output) memcpy(j->output + i * outputs, output, (size_t)(n * outputs) * sizeof *output);
        if (is_judged(c)) add_batch(c, scores, n, which + i);
    }
    ag_tape_set_recording(c->tape, recording);
    return fine(c->tape);
}

static void end_classes(counting *c) {
    judgement *j = c->j;
    size_t n = (size_t)c->d->classes;
    j->confusion = memory(NULL, n * n, sizeof *j->confusion);
    memcpy(j->confusion, c->confusion.counts, n * n * sizeof *j->confusion);
    j->of_class = memory(NULL, n, sizeof *j->of_class);
    for (size_t i = 0; i < n; i++) j->of_class[i] = ag_confusion_class(&c->confusion, (int64_t)i);
    j->accuracy = ag_confusion_accuracy(&c->confusion);
    j->f1 = ag_confusion_average(&c->confusion, AG_MACRO).f1;
    if (c->d->loss == BINARY) j->auc = ag_auc_value(&c->auc);
}

/* Means over the targets. */
static void end_reals(counting *c) {
    judgement *j = c->j;
    double n = (double)c->s->targets;
    j->mean_square = j->mean_error = j->r_squared = 0;
    for (int64_t k = 0; k < c->s->targets; k++) {
        j->mean_square += ag_regression_mse(&c->target[k]) / n;
        j->mean_error += ag_regression_mae(&c->target[k]) / n;
        j->r_squared += ag_regression_r2(&c->target[k]) / n;
    }
}

bool judge(judgement *j, model *m, const description *d, ag_tape *tape, const samples *s, int64_t n,
           const int64_t *which) {
    *j = (judgement){.count = n, .accuracy = NAN, .f1 = NAN, .auc = NAN, .mean_error = NAN, .r_squared = NAN};
    counting c = {.j = j, .m = m, .d = d, .tape = tape, .s = s};
    ag_mark mark = ag_tape_mark(tape);
    int64_t *all = which ? NULL : memory(NULL, (size_t)n, sizeof *all);
    for (int64_t i = 0; all && i < n; i++) all[i] = i;
    j->output = memory(NULL, (size_t)(n * m->outputs), sizeof *j->output);
    begin(&c);
    bool good = fine(tape) && run(&c, all ? all : which);
    j->loss = is_judged(&c) ? j->loss / (double)n : (double)NAN;
    if (good && s->label) end_classes(&c);
    if (good && s->y) end_reals(&c);
    ag_tape_rewind(tape, mark);
    free(c.target);
    free(all);
    return good && fine(tape);
}

void forget(judgement *j) {
    free(j->output);
    free(j->confusion);
    free(j->of_class);
    *j = (judgement){0};
}

/* ---- As text */

static void print_confusion(FILE *file, const judgement *j, const description *d) {
    int width = 6;
    for (int64_t i = 0; i < d->classes; i++) {
        int n = (int)strlen(d->class[i]);
        width = n > width && n < 16 ? n : width;
    }
    fprintf(file, "\nconfusion: a row a true class, a column a predicted one\n%*s", width, "");
    for (int64_t k = 0; k < d->classes; k++) fprintf(file, " %*.*s", width, width, shown(d->class[k]));
    for (int64_t i = 0; i < d->classes; i++) {
        fprintf(file, "\n%*.*s", width, width, shown(d->class[i]));
        for (int64_t k = 0; k < d->classes; k++)
            fprintf(file, " %*lld", width, (long long)j->confusion[i * d->classes + k]);
    }
    fputc('\n', file);
}

static void print_classes(FILE *file, const judgement *j, const description *d) {
    fprintf(file, "\nclass             precision    recall        F1   samples\n");
    for (int64_t i = 0; i < d->classes; i++) {
        const ag_prf *c = &j->of_class[i];
        fprintf(file, "%-16s  %9.4f %9.4f %9.4f %9lld\n", shown(d->class[i]), c->precision, c->recall, c->f1,
                (long long)c->support);
    }
}

void print_judgement(FILE *file, const judgement *j, const description *d) {
    enum { MOST_SHOWN = 20 };
    fprintf(file, "samples   %lld\nloss      %.6g\n", (long long)j->count, j->loss);
    if (j->confusion) fprintf(file, "accuracy  %.6g\nmean F1   %.6g\n", j->accuracy, j->f1);
    else
        fprintf(file, "mean square error    %.6g\nmean absolute error  %.6g\nR²        %.6g\n", j->mean_square,
                j->mean_error, j->r_squared);
    if (d->loss == BINARY) fprintf(file, "ROC AUC   %.6g\n", j->auc);
    if (j->confusion && d->classes <= MOST_SHOWN) print_classes(file, j, d), print_confusion(file, j, d);
}

/* ---- Predictions as CSV */

static void put_cell(text *t, const char *before, const char *s) {
    bool quoted = strpbrk(s, ",\"\r\n") || *s == ' ' || (*s && s[strlen(s) - 1] == ' ');
    put(t, "%s", before);
    if (!quoted) put(t, "%s", s);
    if (quoted) put_bytes(t, "\"", 1);
    for (; quoted && *s; s++) put_bytes(t, s, 1), put_bytes(t, s, *s == '"');
    if (quoted) put_bytes(t, "\"", 1);
}

static void put_probabilities(text *t, const description *d, const float *output, int64_t outputs) {
    double sum = 0, most = output[class_of(d, output, outputs)];
    if (d->loss == BINARY) {
        double p = 1 / (1 + exp(-output[0]));
        put(t, ",%.9g,%.9g", 1 - p, p);
        return;
    }
    for (int64_t k = 0; k < outputs; k++) sum += exp(output[k] - most);
    for (int64_t k = 0; k < outputs; k++) put(t, ",%.9g", exp(output[k] - most) / sum);
}

static void put_row(text *t, const model *m, const description *d, const options *o, const float *output) {
    if (d->classes > 0) {
        put_cell(t, "", d->class[class_of(d, output, m->outputs)]);
        if (o->probabilities) put_probabilities(t, d, output, m->outputs);
    }
    for (int64_t k = 0; d->classes == 0 && k < m->outputs; k++) {
        double value = output[k];
        if (d->target_scale) value = value * d->target_scale[k] + d->target_mean[k];
        put(t, k ? ",%.9g" : "%.9g", value);
    }
    put(t, "\n");
}

/* Names of the targets or, without names, y1, y2, …; for classes the probabilities have theirs. */
static void put_header(text *t, const description *d, const options *o) {
    for (int64_t k = 0; k < d->targets; k++) {
        char number[32];
        snprintf(number, sizeof number, d->targets == 1 ? "y" : "y%lld", (long long)k + 1);
        put_cell(t, k ? "," : "", d->named ? d->target[k] : number);
    }
    for (int64_t k = 0; o->probabilities && k < d->classes; k++) put_cell(t, ",", d->class[k]);
    put(t, "\n");
}

bool write_predictions(const judgement *j, const model *m, const description *d, const options *o) {
    text t = {0};
    if (o->probabilities && (d->classes == 0 || d->loss == HINGE))
        return complain("--probabilities: the model gives none");
    put_header(&t, d, o);
    for (int64_t i = 0; i < j->count; i++) put_row(&t, m, d, o, j->output + i * m->outputs);
    bool good = write_file(o->output ? o->output : "-", &t);
    free(t.bytes);
    return good;
}
