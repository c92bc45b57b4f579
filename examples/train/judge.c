/* judge -- a model applied to samples: its outputs, and how good they are */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AT_A_TIME = 1024 };

/* ---- Losses */

ag_dtype target_dtype(const description *d) { return d->loss == CROSS_ENTROPY || d->loss == HINGE ? AG_I64 : AG_F32; }

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

/* Outputs of all samples, and the sum of their losses. */
static bool run(judgement *j, model *m, const description *d, ag_tape *tape, const samples *s, const int64_t *which) {
    bool judged = s->label || s->y, recording = ag_tape_set_recording(tape, false);
    ag_mark mark = ag_tape_mark(tape);
    for (int64_t i = 0, n; i < j->count && ag_tape_status(tape) == AG_OK; i += n, ag_tape_rewind(tape, mark)) {
        n = j->count - i < AT_A_TIME ? j->count - i : AT_A_TIME;
        ag_tensor *scores = apply_model(m, inputs_of(tape, s, n, which + i), false);
        if (judged) j->loss += (double)n * ag_item(loss_of(d, scores, targets_of(d, tape, s, n, which + i)));
        const float *output = ag_data(scores);
        if (output) memcpy(j->output + i * m->outputs, output, (size_t)(n * m->outputs) * sizeof *output);
    }
    ag_tape_set_recording(tape, recording);
    return fine(tape);
}

/* ---- What comes out */

static void count_classes(judgement *j, const model *m, const description *d, const samples *s, const int64_t *which) {
    int64_t right = 0;
    j->confusion = memory(NULL, (size_t)(d->classes * d->classes), sizeof *j->confusion);
    memset(j->confusion, 0, (size_t)(d->classes * d->classes) * sizeof *j->confusion);
    for (int64_t i = 0; i < j->count; i++) {
        int64_t said = class_of(d, j->output + i * m->outputs, m->outputs), is = s->label[which[i]];
        j->confusion[is * d->classes + said]++;
        right += said == is;
    }
    j->accuracy = (double)right / (double)j->count;
}

/* R² is over all targets, each about its own mean. */
static void measure_errors(judgement *j, const description *d, const samples *s, const int64_t *which) {
    double absolute = 0, square = 0, total = 0;
    for (int64_t k = 0; k < s->targets; k++) {
        double mean = 0, scale = d->target_scale ? d->target_scale[k] : 1;
        for (int64_t i = 0; i < j->count; i++) mean += s->y[which[i] * s->targets + k] / (double)j->count;
        for (int64_t i = 0; i < j->count; i++) {
            double y = s->y[which[i] * s->targets + k], error = scale * (j->output[i * s->targets + k] - y);
            absolute += fabs(error);
            square += error * error;
            total += pow(scale * (y - mean), 2);
        }
    }
    j->mean_error = absolute / (double)(j->count * s->targets);
    j->r_squared = total > 0 ? 1 - square / total : NAN;
    j->mean_square = square / (double)(j->count * s->targets);
}

bool judge(judgement *j, model *m, const description *d, ag_tape *tape, const samples *s, int64_t n,
           const int64_t *which) {
    *j = (judgement){.count = n, .accuracy = NAN, .mean_error = NAN, .r_squared = NAN};
    int64_t *all = which ? NULL : memory(NULL, (size_t)n, sizeof *all);
    for (int64_t i = 0; all && i < n; i++) all[i] = i;
    if (all) which = all;
    j->output = memory(NULL, (size_t)(n * m->outputs), sizeof *j->output);
    bool good = run(j, m, d, tape, s, which);
    j->loss = s->label || s->y ? j->loss / (double)n : NAN;
    if (good && s->label) count_classes(j, m, d, s, which);
    if (good && s->y) measure_errors(j, d, s, which);
    free(all);
    return good;
}

void forget(judgement *j) {
    free(j->output);
    free(j->confusion);
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

void print_judgement(FILE *file, const judgement *j, const description *d) {
    enum { MOST_SHOWN = 20 };
    fprintf(file, "samples   %lld\nloss      %.6g\n", (long long)j->count, j->loss);
    if (j->confusion) fprintf(file, "accuracy  %.6g\n", j->accuracy);
    else
        fprintf(file, "mean square error    %.6g\nmean absolute error  %.6g\nR²        %.6g\n", j->mean_square,
                j->mean_error, j->r_squared);
    if (j->confusion && d->classes <= MOST_SHOWN) print_confusion(file, j, d);
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
