/* deep -- a network of many layers reads handwritten digits, with the means against overfitting that courses teach
 *
 *     deep [sgd | momentum | rmsprop | adam] [batchnorm | layernorm | plain]
 *
 * digits.c is the gentler introduction. This one has five hidden layers, each affine – normalisation – relu –
 * dropout; the loss is the cross-entropy plus ½·λ·Σ w², and the optimiser is an argument. docs/learn/3-layers.md has
 * the parts. The 360 held-out digits are never trained on; at least 98 % of them must be read right. */
#include <autograd/autograd.h>
#include <nn/nn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/data.h"

enum { LAYERS = 6, WIDTH = 128, BATCH = 32, EPOCHS = 25 };
enum { PARAMETERS = 4 * LAYERS - 2 }; /* weight and bias of each layer, gamma and beta of all but the last */

static const double DROPOUT = 0.2, LAMBDA = 1e-4, GOOD_ENOUGH = 0.98;

/* ---- The model ---- */

typedef enum norm_kind { BATCHNORM, LAYERNORM, PLAIN, NORMS } norm_kind;
static const char *const norm_names[] = {"batchnorm", "layernorm", "plain"};

typedef struct model {
    norm_kind norm;
    ag_linear linear[LAYERS];
    ag_batchnorm batchnorm[LAYERS - 1];
    ag_layernorm layernorm[LAYERS - 1];
    ag_tensor *parameter[PARAMETERS];
    int parameters;
} model;

static void add_parameters(model *m, ag_tensor *a, ag_tensor *b) {
    m->parameter[m->parameters++] = a;
    m->parameter[m->parameters++] = b;
}

static void model_init(model *m, ag_tape *tape, norm_kind norm) {
    *m = (model){.norm = norm};
    for (int i = 0; i < LAYERS; i++) {
        ag_linear_init(&m->linear[i], tape, AG_F32, i ? WIDTH : DIGITS_PIXELS, i < LAYERS - 1 ? WIDTH : DIGITS_CLASSES);
        add_parameters(m, m->linear[i].weight, m->linear[i].bias);
        if (i == LAYERS - 1) break;
        ag_batchnorm_init(&m->batchnorm[i], tape, AG_F32, WIDTH);
        ag_layernorm_init(&m->layernorm[i], tape, AG_F32, WIDTH);
        if (norm == BATCHNORM) add_parameters(m, m->batchnorm[i].gamma, m->batchnorm[i].beta);
        if (norm == LAYERNORM) add_parameters(m, m->layernorm[i].gamma, m->layernorm[i].beta);
    }
}

/* A score for each class: (N,64) -> (N,10). */
static ag_tensor *scores_of(const model *m, ag_tensor *x, bool training) {
    for (int i = 0; i < LAYERS - 1; i++) {
        x = ag_linear_apply(&m->linear[i], x);
        if (m->norm == BATCHNORM) x = ag_batchnorm_apply(&m->batchnorm[i], x, training);
        if (m->norm == LAYERNORM) x = ag_layernorm_apply(&m->layernorm[i], x);
        x = ag_dropout(ag_relu(x), DROPOUT, training);
    }
    return ag_linear_apply(&m->linear[LAYERS - 1], x);
}

static ag_tensor *loss_of(const model *m, samples batch) {
    ag_tensor *loss = ag_cross_entropy(scores_of(m, batch.images, true), batch.labels);
    for (int i = 0; i < LAYERS; i++) loss = ag_add(loss, ag_scale(ag_sum(ag_square(m->linear[i].weight)), LAMBDA / 2));
    return loss;
}

static double accuracy(const model *m, samples s) {
    return ag_item(ag_accuracy(scores_of(m, s.images, false), s.labels));
}

/* ---- The optimiser ---- */

typedef enum rule_kind { SGD, MOMENTUM, RMSPROP, ADAM, RULES } rule_kind;
static const char *const rule_names[] = {"sgd", "momentum", "rmsprop", "adam"};
static const double rates[] = {0.1, 0.02, 0.001, 0.002};

typedef struct optimiser {
    rule_kind rule;
    ag_sgd sgd;
    ag_rmsprop rmsprop;
    ag_adam adam;
    ag_slot slots[PARAMETERS];
} optimiser;

static void optimiser_init(optimiser *o, rule_kind rule, const model *m) {
    o->rule = rule;
    if (rule == RMSPROP) ag_rmsprop_init(&o->rmsprop, m->parameters, m->parameter, o->slots);
    else if (rule == ADAM) ag_adam_init(&o->adam, m->parameters, m->parameter, o->slots);
    else ag_sgd_init(&o->sgd, m->parameters, m->parameter, o->slots, 0, rule == MOMENTUM ? 0.9 : 0);
}

/* The rate falls from the given one to 0 as `done` goes from 0 to 1. */
static void optimiser_step(optimiser *o, ag_tensor *const gradient[], double done) {
    o->sgd.rate = o->rmsprop.rate = o->adam.rate = rates[o->rule] * (1 - done);
    if (o->rule == RMSPROP) ag_rmsprop_step(&o->rmsprop, gradient);
    else if (o->rule == ADAM) ag_adam_step(&o->adam, gradient);
    else ag_sgd_step(&o->sgd, gradient);
}

/* ---- Training ---- */

static double train_epoch(const model *m, optimiser *o, samples training, int epoch, uint64_t *state) {
    ag_tape *tape = ag_tape_of(training.images);
    ag_mark mark = ag_tape_mark(tape);
    int64_t order[DIGITS_TRAINING];
    double sum = 0;
    for (int64_t i = 0; i < DIGITS_TRAINING; i++) order[i] = i;
    shuffle(DIGITS_TRAINING, order, state);
    for (int64_t at = 0, n; at < DIGITS_TRAINING; at += n) {
        ag_tensor *gradient[PARAMETERS];
        n = DIGITS_TRAINING - at < BATCH ? DIGITS_TRAINING - at : BATCH;
        ag_tensor *loss = loss_of(m, samples_at(training, n, order + at));
        ag_grad(loss, m->parameters, m->parameter, gradient);
        optimiser_step(o, gradient, (double)epoch / EPOCHS);
        sum += ag_item(loss) * (double)n;
        ag_tape_rewind(tape, mark);
    }
    return sum / DIGITS_TRAINING;
}

static bool train(ag_tape *tape, rule_kind rule, norm_kind norm) {
    static model m;
    static optimiser o;
    samples training, held_out;
    uint64_t state = 2;
    model_init(&m, tape, norm);
    optimiser_init(&o, rule, &m);
    digits_read(tape, &training, &held_out);
    printf("== %s, %s\n", rule_names[rule], norm_names[norm]);
    for (int epoch = 0; epoch < EPOCHS && ag_tape_status(tape) == AG_OK; epoch++) {
        double loss = train_epoch(&m, &o, training, epoch, &state);
        if (epoch % 8 == 0) printf("epoch %2d   loss %.2f\n", epoch + 1, loss);
    }
    double score = accuracy(&m, held_out);
    printf("training   %.1f %%\nheld out   %.1f %%\n", 100 * accuracy(&m, training), 100 * score);
    return score >= GOOD_ENOUGH;
}

static int choice(const char *word, int n, const char *const names[]) {
    int i = 0;
    while (i < n && strcmp(word, names[i]) != 0) i++;
    return i;
}

int main(int count, char *arguments[]) {
    rule_kind rule = count > 1 ? (rule_kind)choice(arguments[1], RULES, rule_names) : ADAM;
    norm_kind norm = count > 2 ? (norm_kind)choice(arguments[2], NORMS, norm_names) : BATCHNORM;
    if (rule == RULES || norm == NORMS) {
        printf("usage: deep [sgd | momentum | rmsprop | adam] [batchnorm | layernorm | plain]\n");
        return EXIT_FAILURE;
    }
    ag_tape *tape = ag_tape_new();
    ag_tape_set_threads(tape, 1); /* the matrices are small */
    bool good = train(tape, rule, norm);
    if (ag_tape_status(tape) != AG_OK) printf("%s\n", ag_tape_error(tape));
    good = good && ag_tape_status(tape) == AG_OK;
    ag_tape_free(tape);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
