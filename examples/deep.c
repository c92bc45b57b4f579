/* deep -- a network of many layers reads handwritten digits, with every means against overfitting that courses have
 *
 *     deep [sgd | momentum | rmsprop | adam] [batchnorm | layernorm | none]
 *
 * digits.c is the gentler introduction. Here there are five hidden layers, each affine – normalisation – relu – dropout;
 * the loss is the cross-entropy plus ½·λ·Σ w², and the optimiser is to be chosen. docs/learn/3-layers.md explains the parts.
 * The 360 held-out digits are never trained on; at least 98 % of them are to be read right. */
#include <autograd/autograd.h>
#include <io/io.h>
#include <nn/nn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef AG_EXAMPLES_DIR
#define AG_EXAMPLES_DIR "examples"
#endif

enum { SAMPLES = 1797, TRAINING = 1437, PIXELS = 64, CLASSES = 10, WIDTH = 128, BATCH = 32 };
enum { LAYERS = 6, PARAMETERS = 4 * LAYERS - 2 }; /* weight and bias of each, gamma and beta of all but the last */
static int EPOCHS = 30;
static double DROPOUT = 0.1, DECAY = 1e-4, RATE = 0.003;

typedef enum optimiser { SGD, MOMENTUM, RMSPROP, ADAM } optimiser;
typedef enum norm { BATCHNORM, LAYERNORM, NONE } norm;

typedef struct model {
    norm kind;
    ag_linear linear[LAYERS];
    ag_batchnorm batchnorm[LAYERS - 1];
    ag_layernorm layernorm[LAYERS - 1];
    ag_tensor *parameter[PARAMETERS];
} model;

static void model_init(model *m, ag_tape *tape, norm kind) {
    int n = 0;
    m->kind = kind;
    for (int i = 0; i < LAYERS; i++) {
        ag_linear_init(&m->linear[i], tape, AG_F32, i ? WIDTH : PIXELS, i < LAYERS - 1 ? WIDTH : CLASSES);
        m->parameter[n++] = m->linear[i].weight;
        m->parameter[n++] = m->linear[i].bias;
        if (i == LAYERS - 1) break;
        ag_batchnorm_init(&m->batchnorm[i], tape, AG_F32, WIDTH);
        ag_layernorm_init(&m->layernorm[i], tape, AG_F32, WIDTH);
        m->parameter[n++] = kind == LAYERNORM ? m->layernorm[i].gamma : m->batchnorm[i].gamma;
        m->parameter[n++] = kind == LAYERNORM ? m->layernorm[i].beta : m->batchnorm[i].beta;
    }
}

/* A score for each class: (N,64) -> (N,10). */
static ag_tensor *scores_of(const model *m, ag_tensor *x, bool training) {
    for (int i = 0; i < LAYERS - 1; i++) {
        x = ag_linear_apply(&m->linear[i], x);
        if (m->kind == BATCHNORM) x = ag_batchnorm_apply(&m->batchnorm[i], x, training);
        if (m->kind == LAYERNORM) x = ag_layernorm_apply(&m->layernorm[i], x);
        x = ag_dropout(ag_relu(x), DROPOUT, training);
    }
    return ag_linear_apply(&m->linear[LAYERS - 1], x);
}

static ag_tensor *loss_of(const model *m, ag_tensor *x, ag_tensor *labels) {
    ag_tensor *loss = ag_cross_entropy(scores_of(m, x, true), labels);
    for (int i = 0; i < LAYERS; i++) loss = ag_add(loss, ag_scale(ag_sum(ag_square(m->linear[i].weight)), DECAY / 2));
    return loss;
}

typedef struct samples {
    ag_tensor *images, *labels; /* (N,64) and (N) */
} samples;

static void shuffle(int n, int64_t order[], uint64_t *state) {
    for (int i = n - 1; i > 0; i--) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        int j = (int)((*state >> 33) % (uint64_t)(i + 1));
        int64_t held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
}

static samples choose(samples all, int64_t n, const int64_t rows[]) {
    ag_tensor *index = ag_from(ag_tape_of(all.images), AG_I64, AG_SHAPE(n), rows);
    return (samples){ag_gather(all.images, ag_unsqueeze(index, 1), 0), ag_gather(all.labels, index, 0)};
}

int main(int count, char **args) {
    int opt = count > 1 ? atoi(args[1]) : 3, kind = count > 2 ? atoi(args[2]) : 0;
    uint64_t seed = count > 3 ? (uint64_t)atoi(args[3]) : 1;
    if (count > 4) RATE = atof(args[4]);
    if (count > 5) DROPOUT = atof(args[5]);
    if (count > 6) DECAY = atof(args[6]);
    if (count > 7) EPOCHS = atoi(args[7]);
    ag_tape *tape = ag_tape_new();
    ag_tape_set_threads(tape, 1);
    ag_tape_seed(tape, seed);
    model m;
    model_init(&m, tape, (norm)kind);
    int64_t order[SAMPLES];
    uint64_t state = 1;
    for (int64_t i = 0; i < SAMPLES; i++) order[i] = i;
    shuffle(SAMPLES, order, &state);
    ag_tensor *table = ag_csv_read(tape, AG_EXAMPLES_DIR "/digits.csv", AG_F32, NULL);
    ag_tensor *images = ag_scale(ag_slice(table, 1, 0, PIXELS, 1), 1.0 / 16);
    ag_tensor *labels = ag_squeeze(ag_cast(ag_slice(table, 1, PIXELS, AG_END, 1), AG_I64), AG_AXES(1));
    samples all = {images, labels}, training = choose(all, TRAINING, order),
            held_out = choose(all, SAMPLES - TRAINING, order + TRAINING);
    ag_eval_all(4, (ag_tensor *[]){training.images, training.labels, held_out.images, held_out.labels});
    ag_slot slots[PARAMETERS];
    ag_adam adam;
    ag_sgd sgd;
    if (opt == 3) ag_adam_init(&adam, PARAMETERS, m.parameter, slots);
    else {
        ag_sgd_init(&sgd, PARAMETERS, m.parameter, slots, RATE);
        sgd.momentum = opt == 1 ? 0.9 : 0;
    }
    int64_t perm[TRAINING];
    for (int64_t i = 0; i < TRAINING; i++) perm[i] = i;
    for (int e = 0; e < EPOCHS; e++) {
        ag_mark mark = ag_tape_mark(tape);
        shuffle(TRAINING, perm, &state);
        adam.rate = sgd.rate = RATE * (EPOCHS - e) / EPOCHS;
        double sum = 0;
        for (int64_t done = 0, n; done < TRAINING; done += n) {
            n = TRAINING - done < BATCH ? TRAINING - done : BATCH;
            samples batch = choose(training, n, perm + done);
            ag_tensor *loss = loss_of(&m, batch.images, batch.labels), *g[PARAMETERS];
            ag_grad(loss, PARAMETERS, m.parameter, g);
            if (opt == 3) ag_adam_step(&adam, g);
            else ag_sgd_step(&sgd, g);
            sum += ag_item(loss) * (double)n / TRAINING;
            ag_tape_rewind(tape, mark);
        }
        if (e % 10 == 9 || e == EPOCHS - 1)
            printf("%d %.4f  %.2f %.2f\n", e, sum,
                   100 * ag_item(ag_accuracy(scores_of(&m, training.images, false), training.labels)),
                   100 * ag_item(ag_accuracy(scores_of(&m, held_out.images, false), held_out.labels)));
        ag_tape_rewind(tape, mark);
    }
    puts(ag_tape_error(tape));
    ag_tape_free(tape);
}
