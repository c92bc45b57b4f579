/* digits -- a network learns to read handwritten digits, in a few seconds
 *
 *     digits [OUTDIR]
 *
 * Read hello.c first. This is a small but whole project: read a data set, describe a model, check its gradients, train
 * it, test it on samples that it has never seen, and look at its mistakes. It writes to OUTDIR (by default the current
 * directory) loss.svg, the course of the training, and model.dot, the model's recorded graph up to its loss.
 *
 * The model is three linear layers, 64-128-64-10, with batch normalisation and relu after the first two. */
#define _POSIX_C_SOURCE 200809L /* isatty, mkdir */
#include <autograd/autograd.h>
#include <errno.h>
#include <io/io.h>
#include <math.h>
#include <nn/nn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "examples/plot.h"

#ifndef AG_EXAMPLES_DIR
#define AG_EXAMPLES_DIR "examples"
#endif

enum {
    SAMPLES = 1797,
    TRAINING = 1437, /* of them; the other 360 are held out */
    PIXELS = 64,     /* 8 x 8 */
    CLASSES = 10,
    LAYERS = 3,
    EPOCHS = 20,
    BATCH = 32,
    CHECKED_BATCH = 16,
    CHECKED_DIRECTIONS = 20,
    SHOWN = 6
};

static const double GOOD_ENOUGH = 0.96;

/* ---- The model ---- */

typedef struct model {
    ag_linear linear[LAYERS];
    ag_batchnorm norm[LAYERS - 1];
} model;

/* The parameters are "linear.0.weight" and so on; ag_parameters lists them. */
static void model_init(model *m, ag_tape *tape, ag_dtype dtype) {
    static const int64_t width[LAYERS + 1] = {PIXELS, 128, 64, CLASSES};
    for (int i = 0; i < LAYERS; i++) {
        ag_scope_at(tape, "linear", i);
        ag_linear_init(&m->linear[i], tape, dtype, width[i], width[i + 1]);
        ag_scope_end(tape);
    }
    for (int i = 0; i < LAYERS - 1; i++) {
        ag_scope_at(tape, "norm", i);
        ag_batchnorm_init(&m->norm[i], tape, dtype, width[i + 1]);
        ag_scope_end(tape);
    }
}

/* A score for each class: (N,64) -> (N,10). */
static ag_tensor *model_scores(const model *m, ag_tensor *x, bool training) {
    for (int i = 0; i < LAYERS - 1; i++) {
        ag_tensor *z = ag_linear_apply(&m->linear[i], x);
        x = ag_relu(ag_batchnorm_apply(&m->norm[i], z, training));
    }
    return ag_linear_apply(&m->linear[LAYERS - 1], x);
}

/* ---- The data ---- */

typedef struct samples {
    ag_tensor *images; /* (N,64), 0 for paper to 1 for ink */
    ag_tensor *labels; /* (N) */
} samples;

/* Fisher and Yates's shuffle, with a small generator of its own: the same order everywhere. */
static void shuffle(int64_t n, int64_t order[], uint64_t *state) {
    for (int64_t i = n - 1; i > 0; i--) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        int64_t j = (int64_t)((*state >> 33) % (uint64_t)(i + 1)), held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
}

/* The chosen rows of all samples. */
static samples choose(samples all, int64_t n, const int64_t rows[]) {
    ag_tensor *index = ag_from(ag_tape_of(all.images), AG_I64, AG_SHAPE(n), rows);
    return (samples){ag_gather(all.images, ag_unsqueeze(index, 1), 0), ag_gather(all.labels, index, 0)};
}

static void read_samples(ag_tape *tape, ag_dtype dtype, samples *training, samples *held_out) {
    int64_t order[SAMPLES];
    uint64_t state = 1;
    for (int64_t i = 0; i < SAMPLES; i++) order[i] = i;
    shuffle(SAMPLES, order, &state);

    /* A row is 64 grey levels from 0 to 16, and then the digit. */
    ag_tensor *table = ag_csv_read(tape, AG_EXAMPLES_DIR "/digits.csv", dtype, NULL);
    ag_tensor *images = ag_scale(ag_slice(table, 1, 0, PIXELS, 1), 1.0 / 16);
    ag_tensor *labels = ag_squeeze(ag_cast(ag_slice(table, 1, PIXELS, AG_END, 1), AG_I64), AG_AXES(1));
    samples all = {images, labels};
    *training = choose(all, TRAINING, order);
    *held_out = choose(all, SAMPLES - TRAINING, order + TRAINING);
    ag_eval_all(4, (ag_tensor *[]){training->images, training->labels, held_out->images, held_out->labels});
}

/* ---- Checking the gradients ---- */

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

typedef struct lesson {
    const model *model;
    samples batch;
} lesson;

/* x are the model's own parameters, so x is not used. */
static ag_tensor *loss_of(void *context, int n, ag_tensor *const x[]) {
    const lesson *l = context;
    (void)n, (void)x;
    return ag_cross_entropy(model_scores(l->model, l->batch.images, true), l->batch.labels);
}

/* A tape for this model; its matrices are so small that several threads would only wait for each other. */
static ag_tape *small_tape(uint64_t seed) {
    ag_tape *tape = ag_tape_new();
    ag_tape_set_threads(tape, 1);
    ag_tape_seed(tape, seed);
    return tape;
}

/* One parameter's gradient against finite differences: a weight, which has thousands of elements, along random
 * directions, the others by each element. */
static bool gradient_is_right(lesson *l, ag_tensor *parameter, ag_gradcheck_report *weights,
                              ag_gradcheck_report *rest) {
    const ag_gradcheck_options directions = {.directions = CHECKED_DIRECTIONS};
    bool is_weight = ag_size(parameter) > 500;
    ag_gradcheck_report *sum = is_weight ? weights : rest, one = {0};
    ag_gradcheck(loss_of, l, 1, &parameter, is_weight ? &directions : NULL, &one);
    if (!one.passed) printf("%s: %s\n", ag_label_of(parameter), one.message);
    sum->checked += one.checked;
    sum->kinks += one.kinks;
    sum->ratio = fmax(sum->ratio, one.ratio);
    return one.passed;
}

/* Every gradient of the model, in f64. */
static bool gradients_are_right(void) {
    ag_tape *tape = small_tape(2);
    model m;
    samples training, held_out;
    double start = seconds();
    model_init(&m, tape, AG_F64);
    read_samples(tape, AG_F64, &training, &held_out);
    lesson l = {.model = &m};
    l.batch.images = ag_slice(training.images, 0, 0, CHECKED_BATCH, 1);
    l.batch.labels = ag_slice(training.labels, 0, 0, CHECKED_BATCH, 1);

    ag_gradcheck_report weights = {0}, rest = {0};
    ag_list parameters = ag_parameters(tape, NULL);
    bool right = parameters.n > 0;
    for (int i = 0; i < parameters.n && right; i++) right = gradient_is_right(&l, parameters.x[i], &weights, &rest);
    right = right && ag_tape_status(tape) == AG_OK;

    printf("Gradients against finite differences, in f64: %s\n", right ? "they agree" : "NOT CONFIRMED");
    printf("  %lld single elements and %lld random directions compared (%lld at a kink of relu)\n",
           (long long)rest.checked, (long long)weights.checked, (long long)(rest.kinks + weights.kinks));
    printf("  the worst difference is %.2g of what is tolerated; %.2f s\n\n", fmax(weights.ratio, rest.ratio),
           seconds() - start);
    if (ag_tape_status(tape) != AG_OK) printf("%s\n", ag_tape_error(tape));
    ag_tape_free(tape);
    return right;
}

/* ---- Training ---- */

typedef struct history {
    double epoch[EPOCHS], loss[EPOCHS], training[EPOCHS], held_out[EPOCHS]; /* accuracies in per cent */
} history;

static double accuracy(const model *m, samples s) {
    return ag_item(ag_accuracy(model_scores(m, s.images, false), s.labels));
}

/* On a terminal, the progress of the epoch; the epoch's line then replaces it. */
static void show_progress(int epoch, int64_t done) {
    enum { BAR = 40 };
    char bar[BAR + 1] = {0};
    if (!isatty(STDOUT_FILENO)) return;
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)(BAR * done / TRAINING));
    printf("\r  %5d  [%s]", epoch + 1, bar);
    fflush(stdout);
}

/* One pass over the training samples in a new order; returns the mean loss. */
static double train_epoch(const model *m, ag_adam *adam, samples training, int epoch, uint64_t *state) {
    ag_tape *tape = ag_tape_of(training.images);
    ag_mark mark = ag_tape_mark(tape);
    int64_t order[TRAINING];
    double sum = 0;
    for (int64_t i = 0; i < TRAINING; i++) order[i] = i;
    shuffle(TRAINING, order, state);
    for (int64_t done = 0, n; done < TRAINING; done += n) {
        n = TRAINING - done < BATCH ? TRAINING - done : BATCH;
        samples batch = choose(training, n, order + done);
        ag_tensor *loss = ag_cross_entropy(model_scores(m, batch.images, true), batch.labels);
        ag_backward(loss);
        ag_adam_step(adam, NULL);
        sum += ag_item(loss) * (double)n;
        ag_tape_rewind(tape, mark);
        show_progress(epoch, done + n);
    }
    return sum / TRAINING;
}

static void train(const model *m, samples training, samples held_out, history *h) {
    ag_tape *tape = ag_tape_of(training.images);
    ag_list parameters = ag_parameters(tape, NULL);
    ag_adam adam;
    ag_adam_init(&adam, parameters.n, parameters.x, NULL);
    ag_mark mark = ag_tape_mark(tape);
    uint64_t state = 2;
    printf("  epoch     loss   training   held out   samples/s\n");
    for (int i = 0; i < EPOCHS; i++) {
        double start = seconds();
        adam.rate = 0.005 * (EPOCHS - i) / EPOCHS; /* ever smaller steps, to converge */
        h->epoch[i] = i + 1;
        h->loss[i] = train_epoch(m, &adam, training, i, &state);
        double speed = TRAINING / (seconds() - start);
        h->training[i] = 100 * accuracy(m, training);
        h->held_out[i] = 100 * accuracy(m, held_out);
        if (ag_tape_rewind(tape, mark) != AG_OK) return;
        if (isatty(STDOUT_FILENO)) printf("\r\033[K");
        printf("  %5d  %7.4f     %5.1f%%     %5.1f%%  %10.0f\n", i + 1, h->loss[i], h->training[i], h->held_out[i],
               speed);
    }
}

/* ---- Showing the result ---- */

static void print_images(int n, const int64_t which[], samples s, const int64_t *predicted) {
    static const char shade[] = " .:-=+*#%@";
    const float *pixel = ag_data(s.images);
    const int64_t *label = ag_data(s.labels);
    for (int row = 0; row < 8; row++, putchar('\n'))
        for (int i = 0; i < n; i++) {
            printf("  ");
            for (int column = 0; column < 8; column++) {
                char c = shade[(int)(pixel[which[i] * PIXELS + row * 8 + column] * 9 + 0.5f)];
                putchar(c), putchar(c); /* a character is about twice as high as it is wide */
            }
        }
    for (int i = 0; i < n; i++) {
        char text[40];
        bool right = predicted[which[i]] == label[which[i]];
        snprintf(text, sizeof text, right ? "read as %d" : "read as %d, is %d", (int)predicted[which[i]],
                 (int)label[which[i]]);
        printf("  %-16s", text);
    }
    putchar('\n');
}

/* The first few held-out digits, the last of them a misread one if there is any. */
static void show_predictions(const model *m, samples held_out) {
    int64_t which[SHOWN], n = ag_extent(held_out.labels, 0), wrong = 0;
    const int64_t *predicted = ag_data(ag_argmax(model_scores(m, held_out.images, false), 1, false));
    const int64_t *label = ag_data(held_out.labels);
    if (!predicted || !label) return;
    for (int64_t i = 0; i < SHOWN; i++) which[i] = i;
    for (int64_t i = n; i-- > 0;) {
        if (predicted[i] == label[i]) continue;
        wrong++;
        if (i >= SHOWN) which[SHOWN - 1] = i;
    }
    printf("\nSome held-out digits (%lld of %lld are misread):\n\n", (long long)wrong, (long long)n);
    print_images(SHOWN, which, held_out, predicted);
}

static bool write_loss(const char *path, const history *h) {
    plot_line loss[] = {{"training", EPOCHS, h->epoch, h->loss}};
    plot_line accuracies[] = {{"training", EPOCHS, h->epoch, h->training}, {"held out", EPOCHS, h->epoch, h->held_out}};
    plot_panel panels[] = {
        {.title = "Loss (cross-entropy)", .x_label = "epoch", .logarithmic = true, .lines = 1, .line = loss},
        {.title = "Accuracy", .x_label = "epoch", .y_unit = "%", .lines = 2, .line = accuracies},
    };
    if (plot_write(path, "Handwritten digits: 64-128-64-10 with batch normalisation", 2, panels)) return true;
    printf("%s: %s\n", path, strerror(errno));
    return false;
}

static bool write_files(const char *folder, const model *m, samples training, const history *h) {
    char plot[4096], graph[4096];
    snprintf(plot, sizeof plot, "%s/loss.svg", folder);
    snprintf(graph, sizeof graph, "%s/model.dot", folder);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        printf("%s: %s\n", folder, strerror(errno));
        return false;
    }
    ag_tensor *images = ag_label(ag_variable_from(ag_slice(training.images, 0, 0, BATCH, 1)), "images");
    ag_tensor *labels = ag_label(ag_variable_from(ag_slice(training.labels, 0, 0, BATCH, 1)), "labels");
    ag_tensor *loss = ag_label(ag_cross_entropy(model_scores(m, images, true), labels), "loss");
    if (ag_write_dot(graph, 1, &loss, NULL) != AG_OK || !write_loss(plot, h)) return false;
    printf("\nThe course of the training:   %s\nThe graph of the model:       %s\n", plot, graph);
    return true;
}

static bool learn(const char *folder) {
    double start = seconds();
    ag_tape *tape = small_tape(1);
    model m;
    samples training, held_out;
    history h = {0};
    model_init(&m, tape, AG_F32);
    read_samples(tape, AG_F32, &training, &held_out);
    train(&m, training, held_out, &h);
    double score = accuracy(&m, held_out);
    show_predictions(&m, held_out);
    bool written = write_files(folder, &m, training, &h), sound = ag_tape_status(tape) == AG_OK;

    if (sound) printf("\nHeld-out accuracy %.1f%% after %d epochs, %.1f s\n", 100 * score, EPOCHS, seconds() - start);
    else printf("%s\n", ag_tape_error(tape));
    ag_tape_free(tape);
    return sound && written && score >= GOOD_ENOUGH;
}

int main(int count, char *arguments[]) {
    const char *folder = count > 1 ? arguments[1] : ".";
    return gradients_are_right() && learn(folder) ? EXIT_SUCCESS : EXIT_FAILURE;
}
