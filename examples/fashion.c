/* fashion -- a convolutional network learns to tell clothes apart, can be interrupted at any moment, and is used
 * elsewhere
 *
 *     fashion [FOLDER] [--data DIR] [--epochs N] [--batch N] [--seed N] [--samples N] [--resume] [--quiet]
 *
 * Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017) is 60000 pictures to train with and 10000 to test, of 28 × 28 pixels
 * and ten classes; --samples takes fewer to train with. Debian's package dataset-fashion-mnist has it, below
 * /usr/share/datasets; --data names another folder with files of these names, packed or not. FOLDER, "fashion" unless
 * given, is made, and gets
 *
 *     checkpoint.000001.safetensors …   the state of training, every hundred steps; --resume goes on from the last one
 *     log.csv, curves.svg               the course of training
 *     model.npz                         what has been learnt, which examples/fashion.py evaluates with NumPy
 *     wrong.png (or .pgm)               the test pictures that are taken for something else, a row for each class
 *
 * The network: twice a convolution of 3 × 3, the largest of 2 × 2 neighbours, batch normalisation and relu; then a
 * linear layer of 64 features with the same, and one of ten scores. Pictures are turned round at random while it
 * learns. The rate is one cycle of Adam's. Ctrl-C ends it after the step under way, with a checkpoint.
 * bench/fashion_torch.py measures the time of an epoch beside PyTorch's. */
#define _POSIX_C_SOURCE 200809L /* sigaction, mkdir */
#include <autograd/autograd.h>
#include <errno.h>
#include <io/io.h>
#include <nn/nn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SIDE = 28,
    CLASSES = 10,
    FEATURES = 64,
    HELD_OUT = 30, /* a part in so many of the training pictures is held out, to watch the training with */
    AT_ONCE = 500, /* pictures that are classified at a time */
    EVERY = 100,   /* steps between checkpoints */
    KEPT = 2,      /* checkpoints */
    MOST_EPOCHS = 100
};

static const char *const class_name[CLASSES] = {"T-shirt", "trousers", "pullover", "dress", "coat",
                                                "sandal",  "shirt",    "sneaker",  "bag",   "boot"};

/* ---- The model ---- */

/* Grey levels 0 … 255, with the mean 0 and the deviation 1, about. */
static ag_tensor *standardise(ag_tensor *x) { return ag_scale(ag_add_scalar(x, -73), 1.0 / 90); }

/* Pictures (N,28,28,1) to a score for each class, (N,10). A normalisation makes a bias before it superfluous. */
static void model_init(ag_sequence *model, ag_tape *tape) {
    static const int64_t channels[] = {1, 16, 32};
    static const char *const conv[] = {"conv.0", "conv.1"}, *const norm[] = {"norm.0", "norm.1"};
    ag_sequence_init(model, tape, AG_F32, "net");
    ag_sequence_function(model, "standardise", standardise);
    for (int i = 0; i < 2; i++) {
        const ag_layer_options options = {.name = conv[i], .unbiased = true};
        ag_sequence_conv2d(model, channels[i], channels[i + 1], 3, 1, 1, &options);
        ag_sequence_max_pool2d(model, 2, 2);
        ag_sequence_batchnorm(model, channels[i + 1], &(ag_layer_options){.name = norm[i]});
        ag_sequence_function(model, "relu", ag_relu);
    }
    ag_sequence_flatten(model);
    const ag_layer_options options = {.name = "hidden", .unbiased = true};
    ag_sequence_linear(model, SIDE / 4 * SIDE / 4 * channels[2], FEATURES, &options);
    ag_sequence_batchnorm(model, FEATURES, &(ag_layer_options){.name = "norm.2"});
    ag_sequence_function(model, "relu", ag_relu);
    ag_sequence_linear(model, FEATURES, CLASSES, &(ag_layer_options){.name = "scores"});
}

/* The table has the shapes of outputs once there is one; while it trains, that would change running statistics. */
static void print_model(ag_sequence *model, ag_tape *tape) {
    ag_mark mark = ag_tape_mark(tape);
    model->training = false;
    ag_sequence_apply(model, ag_zeros(tape, AG_F32, AG_SHAPE(1, SIDE, SIDE, 1)));
    printf("%s\n", ag_sequence_table(model));
    ag_tape_rewind(tape, mark);
    model->training = true;
}

/* ---- The data ---- */

/* The path of a file as it is, or else packed, as Debian has it, which needs a library with zlib. */
static void find_data(char path[4096], const char *folder, const char *name, const char *content) {
    snprintf(path, 4096, "%s/%s-%s-ubyte", folder, name, content);
    if (access(path, F_OK) != 0) snprintf(path, 4096, "%s/%s-%s-ubyte.gz", folder, name, content);
}

/* Images (N,28,28,1) of f32, 0 … 255, and labels (N) of i64. */
static bool read_pictures(ag_tape *tape, const char *folder, const char *name, ag_dataset *to) {
    char images[4096], labels[4096];
    find_data(images, folder, name, "images-idx3");
    find_data(labels, folder, name, "labels-idx1");
    ag_tensor *x = ag_read(tape, images, NULL, &(ag_read_options){.convert = true, .dtype = AG_F32});
    ag_tensor *part[] = {ag_unsqueeze(x, 3), ag_read(tape, labels, NULL, NULL)};
    if (ag_dataset_tensors(to, 2, part) == AG_OK && ag_extent(x, 1) == SIDE && ag_extent(x, 2) == SIDE) return true;
    if (ag_tape_status(tape) == AG_OK) fprintf(stderr, "%s: its pictures are not of 28 x 28 pixels\n", images);
    return false;
}

/* Adds all of a dataset to a confusion matrix, and notes the predictions, if asked for. */
static bool evaluate(ag_sequence *model, ag_tape *tape, const ag_dataset *d, ag_confusion *confusion,
                     int64_t predicted[]) {
    ag_loader loader;
    ag_tensor *batch[2];
    if (ag_loader_open(&loader, tape, d, AT_ONCE, &(ag_loader_options){.in_order = true}) != AG_OK) return false;
    ag_mark mark = ag_tape_mark(tape);
    model->training = false;
    for (int64_t done = 0, n; ag_loader_next(&loader, batch); done += n) {
        n = ag_extent(batch[0], 0);
        ag_tensor *best = ag_argmax(ag_sequence_apply(model, batch[0]), 1, false);
        ag_confusion_add(confusion, best, batch[1]);
        const int64_t *number = ag_data(best);
        if (number && predicted) memcpy(predicted + done, number, (size_t)n * sizeof *number);
        if (ag_tape_rewind(tape, mark) != AG_OK) break;
    }
    model->training = true;
    ag_loader_close(&loader);
    return ag_tape_status(tape) == AG_OK;
}

/* ---- Training ---- */

typedef struct options {
    const char *folder, *data;
    int64_t epochs, batch, seed, samples;
    bool resume, quiet;
} options;

/* All that a checkpoint has beside variables. Time is that of all runs. */
typedef struct training {
    const options *o;
    ag_tape *tape;
    ag_sequence model;
    ag_dataset all, part[2]; /* to train with, and held out */
    ag_loader loader;
    ag_adam adam;
    int64_t step, steps;
    double loss; /* the sum over the epoch's pictures */
    double seconds;
} training;

static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *in_folder(const options *o, const char *name, char path[4096]) {
    snprintf(path, 4096, "%s/%s", o->folder, name);
    return path;
}

enum { NUMBERS = 7 };

static void list_numbers(training *t, ag_number number[NUMBERS]) {
    const ag_number all[NUMBERS] = {{.name = "step", .integer = &t->step},
                                    {.name = "adam.steps", .integer = &t->adam.steps},
                                    {.name = "loader.seed", .integer = &t->loader.seed},
                                    {.name = "loader.epoch", .integer = &t->loader.epoch},
                                    {.name = "loader.batch", .integer = &t->loader.batch},
                                    {.name = "loss", .real = &t->loss},
                                    {.name = "seconds", .real = &t->seconds}};
    memcpy(number, all, sizeof all);
}

static ag_status save_state(training *t) {
    char path[4096];
    ag_number number[NUMBERS];
    list_numbers(t, number);
    return ag_checkpoint_save(t->tape, in_folder(t->o, "checkpoint", path), NUMBERS, number, KEPT);
}

static int64_t load_state(training *t) {
    char path[4096];
    ag_number number[NUMBERS];
    list_numbers(t, number);
    return ag_checkpoint_load(t->tape, in_folder(t->o, "checkpoint", path), NUMBERS, number, NULL, NULL);
}

/* The loss of a batch, before its step. */
static double train_on(training *t, ag_tensor *batch[2]) {
    static const ag_schedule cycle = {AG_SCHEDULE_ONE_CYCLE, .rate = 0.01, .rise = 0.25, .final_divisor = 100};
    ag_schedule schedule = cycle;
    schedule.steps = t->steps;
    ag_tensor *loss = ag_cross_entropy(ag_sequence_apply(&t->model, batch[0]), batch[1]);
    ag_backward(loss);
    t->adam.rate = ag_schedule_rate(&schedule, t->step);
    ag_adam_step(&t->adam, NULL);
    return ag_item(loss);
}

static double accuracy(training *t, const ag_dataset *d) {
    ag_confusion confusion;
    ag_mark mark = ag_tape_mark(t->tape);
    ag_confusion_init(&confusion, t->tape, CLASSES);
    const double right = evaluate(&t->model, t->tape, d, &confusion, NULL) ? ag_confusion_accuracy(&confusion) : 0;
    ag_tape_rewind(t->tape, mark);
    return right;
}

/* The end of an epoch: a record in the log, and a line. */
static void record_epoch(training *t, ag_run_log *log, ag_progress *progress) {
    const int64_t batches = ag_loader_batches(&t->loader);
    const ag_reading reading[] = {{"epoch", (double)t->loader.epoch},
                                  {"loss", t->loss / (double)batches},
                                  {"held_out", accuracy(t, &t->part[1])}};
    t->loss = 0;
    ag_run_log_write(log, t->step, 3, reading);
    ag_progress_hide(progress);
    if (ag_tape_status(t->tape) == AG_OK)
        printf("  %5d  %7.4f  %7.2f %%  %8.1f s\n", (int)reading[0].value, reading[1].value, 100 * reading[2].value,
               t->seconds);
    fflush(stdout);
    save_state(t);
}

/* One epoch, or what is left of it. */
static void train_epoch(training *t, ag_mark mark, ag_progress *progress) {
    ag_tensor *batch[2];
    for (double start = now(), end; !interrupted && ag_loader_next(&t->loader, batch); start = end) {
        const double loss = train_on(t, batch);
        if (ag_tape_rewind(t->tape, mark) != AG_OK) return;
        end = now();
        t->loss += loss;
        t->step++;
        t->seconds += end - start;
        if (t->step % EVERY == 0) {
            save_state(t);
            end = now();
        }
        ag_progress_update(progress, t->step, 1, &(ag_reading){"loss", loss});
    }
}

/* True when all epochs are done. */
static bool train(training *t) {
    char path[4096];
    ag_run_log log;
    ag_progress progress;
    const ag_run_log_options log_options = {.resume = t->o->resume, .step = t->step};
    if (ag_run_log_open(&log, t->tape, in_folder(t->o, "log.csv", path), &log_options) != AG_OK) return false;
    ag_progress_begin(&progress, t->o->quiet ? NULL : stderr, t->steps, &(ag_progress_options){.first = t->step});
    print_model(&t->model, t->tape);
    printf("  epoch     loss   held out    training\n");
    ag_mark mark = ag_tape_mark(t->tape);
    while (t->loader.epoch < t->o->epochs && ag_tape_status(t->tape) == AG_OK && !interrupted) {
        const int64_t epoch = t->loader.epoch;
        train_epoch(t, mark, &progress);
        if (t->loader.epoch > epoch) record_epoch(t, &log, &progress);
    }
    ag_progress_end(&progress);
    ag_run_log_close(&log);
    if (!interrupted || ag_tape_status(t->tape) != AG_OK || t->loader.epoch == t->o->epochs)
        return ag_tape_status(t->tape) == AG_OK;
    if (save_state(t) == AG_OK)
        printf("Interrupted after step %lld of %lld: --resume goes on.\n", (long long)t->step, (long long)t->steps);
    return false;
}

/* Initialised as a whole before the state is loaded: it has every variable. */
static bool set_up(training *t) {
    static ag_image_flip flip = {.horizontal = 0.5};
    static const ag_augmentation turned = {ag_augment_flip, &flip};
    const ag_loader_options loading = {.drop_last = true, .augmentations = 1, .augmentation = &turned};
    ag_tape_seed(t->tape, (uint64_t)t->o->seed);
    if (!read_pictures(t->tape, t->o->data, "train", &t->all)) return false;
    const double pictures = (double)ag_dataset_count(&t->all);
    const double used = t->o->samples > 0 && (double)t->o->samples < pictures ? (double)t->o->samples / pictures : 1;
    const double fraction[] = {used * (HELD_OUT - 1) / HELD_OUT, used / HELD_OUT};
    ag_dataset_split(t->part, t->tape, &t->all, 2, fraction, &(ag_split_options){.strata = t->all.tensor[1]});
    model_init(&t->model, t->tape);
    ag_list p = ag_parameters(t->tape, NULL);
    ag_adam_init(&t->adam, p.n, p.x, NULL);
    t->adam.decay = 0.01;
    ag_loader_open(&t->loader, t->tape, &t->part[0], t->o->batch, &loading);
    t->steps = ag_loader_batches(&t->loader) * t->o->epochs;
    return ag_tape_status(t->tape) == AG_OK && (!t->o->resume || load_state(t) >= 0);
}

/* ---- Results ---- */

static void print_confusion(const ag_confusion *c) {
    printf("\nTest pictures, a row for each class and a column for what they are taken for:\n\n%9s", "");
    for (int k = 0; k < CLASSES; k++) printf(" %8s", class_name[k]);
    printf("   precision  recall\n");
    for (int i = 0; i < CLASSES; i++) {
        const ag_prf prf = ag_confusion_class(c, i);
        printf("%9s", class_name[i]);
        for (int k = 0; k < CLASSES; k++) printf(" %8lld", (long long)c->counts[i * CLASSES + k]);
        printf("   %7.1f %% %5.1f %%\n", 100 * prf.precision, 100 * prf.recall);
    }
}

enum { SHOWN = 2, CELL = SHOWN * SIDE + 4, SHEET = CLASSES * CELL + 4 };

static void draw(float sheet[SHEET][SHEET], int row, int column, const float *picture) {
    for (int i = 0; i < SIDE; i++)
        for (int k = 0; k < SIDE; k++) sheet[row + i][column + k] = picture[i * SIDE + k] / 255;
}

/* The confusion matrix in pictures: the first four of each class that are taken for each other one. */
static ag_status draw_wrong(training *t, const ag_dataset *test, const int64_t predicted[]) {
    static float sheet[SHEET][SHEET];
    char path[4096];
    int drawn[CLASSES][CLASSES] = {0};
    const float *picture = ag_data(test->tensor[0]);
    const int64_t *label = ag_data(test->tensor[1]);
    for (int i = 0; i < SHEET; i++)
        for (int k = 0; k < SHEET; k++) sheet[i][k] = i % CELL < 2 || k % CELL < 2 || i / CELL == k / CELL ? 0.2f : 0;
    for (int64_t i = 0; i < test->samples; i++) {
        int *n = &drawn[label[i]][predicted[i]];
        if (label[i] == predicted[i] || *n == SHOWN * SHOWN) continue;
        draw(sheet, (int)label[i] * CELL + 4 + *n / SHOWN * SIDE, (int)predicted[i] * CELL + 4 + *n % SHOWN * SIDE,
             picture + i * SIDE * SIDE);
        ++*n;
    }
    ag_tensor *x = ag_from(t->tape, AG_F32, AG_SHAPE(SHEET, SHEET), sheet);
    ag_status status = ag_image_write(in_folder(t->o, "wrong.png", path), x);
    if (status == AG_ERR_FILE) { /* a build without libpng */
        ag_clear_error(t->tape);
        status = ag_image_write(in_folder(t->o, "wrong.pgm", path), x);
    }
    if (status == AG_OK) printf("\nThe mistakes, in the same order:  %s\n", path);
    return status;
}

/* The model's variables, without the optimiser's, and the predictions, under their names. */
static ag_status export_model(training *t, const ag_dataset *test, const int64_t predicted[]) {
    enum { MOST = 31 };
    char path[4096];
    ag_tensor *x[MOST + 1];
    const ag_list net = ag_state(t->tape, "net");
    const int n = net.n < MOST ? net.n : MOST;
    if (n > 0) memcpy(x, net.x, (size_t)n * sizeof *x);
    x[n] = ag_label(ag_from(t->tape, AG_I64, AG_SHAPE(test->samples), predicted), "predictions");
    ag_status status = ag_save(in_folder(t->o, "model.npz", path), n + 1, x, NULL);
    if (status == AG_OK) printf("The model, and its predictions:   %s\n", path);
    return status;
}

static ag_status draw_curves(training *t) {
    char path[4096];
    double column[3][MOST_EPOCHS];
    const ag_csv_options names = {.n = 3, .names = (const char *[]){"epoch", "loss", "held_out"}};
    ag_tensor *log = ag_csv_read(t->tape, in_folder(t->o, "log.csv", path), AG_F64, &names);
    const int n = (int)ag_extent(log, 0) < MOST_EPOCHS ? (int)ag_extent(log, 0) : MOST_EPOCHS;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) column[k][i] = ag_element(log, 3 * i + k);
    const ag_curve curve[] = {{"loss", n, column[0], column[1]}, {"held out, accuracy", n, column[0], column[2]}};
    const ag_curves_options words = {.title = "Fashion-MNIST", .x_label = "epoch"};
    ag_status status = ag_curves_write(t->tape, in_folder(t->o, "curves.svg", path), 2, curve, &words);
    if (status == AG_OK) printf("The course of the training:       %s\n", path);
    return status;
}

static bool test_model(training *t) {
    ag_dataset test;
    ag_confusion confusion;
    if (!read_pictures(t->tape, t->o->data, "t10k", &test)) return false;
    int64_t *predicted = calloc((size_t)test.samples + 1, sizeof *predicted);
    ag_confusion_init(&confusion, t->tape, CLASSES);
    bool good = predicted && evaluate(&t->model, t->tape, &test, &confusion, predicted);
    if (good) {
        print_confusion(&confusion);
        good = draw_wrong(t, &test, predicted) == AG_OK && export_model(t, &test, predicted) == AG_OK &&
               draw_curves(t) == AG_OK;
    }
    free(predicted);
    if (good)
        printf("\nTest accuracy %.2f %% after %lld epochs, %.2f s an epoch\n", 100 * ag_confusion_accuracy(&confusion),
               (long long)t->loader.epoch, t->seconds / (double)t->loader.epoch);
    return good;
}

/* ---- The command line ---- */

static bool read_number(const char *text, int64_t least, int64_t most, int64_t *to) {
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    *to = number;
    return end != text && !*end && errno == 0 && number >= least && number <= most;
}

static bool read_options(int count, char *argument[], options *o) {
    const struct {
        const char *name;
        int64_t *to, least, most;
    } number[] = {{"--epochs", &o->epochs, 1, MOST_EPOCHS},
                  {"--batch", &o->batch, 2, 100000},
                  {"--seed", &o->seed, 0, INT64_MAX},
                  {"--samples", &o->samples, 1, INT64_MAX}};
    int given = 0;
    for (int i = 1; i < count; i++) {
        const char *name = argument[i], *value = i + 1 < count ? argument[i + 1] : "";
        bool known = true, two = false;
        if (strcmp(name, "--resume") == 0) o->resume = true;
        else if (strcmp(name, "--quiet") == 0) o->quiet = true;
        else if (strcmp(name, "--data") == 0 && *value) o->data = value, two = true;
        else if (name[0] != '-' && !given++) o->folder = name;
        else known = false;
        for (int k = 0; k < 4 && !known && !two; k++)
            if ((two = strcmp(name, number[k].name) == 0))
                known = read_number(value, number[k].least, number[k].most, number[k].to);
        if (!known) return fprintf(stderr, "fashion: %s %s is not understood\n", name, two ? value : ""), false;
        i += two;
    }
    return true;
}

static bool run(const options *o) {
    training t = {.o = o, .tape = ag_tape_new()};
    const struct sigaction action = {.sa_handler = interrupt,
                                     .sa_flags = (int)SA_RESETHAND}; /* a second Ctrl-C ends it at once */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    bool good = set_up(&t) && train(&t) && test_model(&t);
    if (ag_tape_status(t.tape) != AG_OK) fprintf(stderr, "fashion: %s\n", ag_tape_error(t.tape));
    ag_loader_close(&t.loader);
    ag_tape_free(t.tape);
    return good;
}

int main(int count, char *argument[]) {
    options o = {
        .folder = "fashion", .data = "/usr/share/datasets/fashion-mnist", .epochs = 4, .batch = 128, .seed = 1};
    if (!read_options(count, argument, &o)) {
        fprintf(stderr,
                "usage: fashion [FOLDER] [--data DIR] [--epochs N] [--batch N] [--seed N] [--samples N] [--resume] "
                "[--quiet]\n");
        return 2;
    }
    if (mkdir(o.folder, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "fashion: %s: %s\n", o.folder, strerror(errno));
        return EXIT_FAILURE;
    }
    return run(&o) ? EXIT_SUCCESS : EXIT_FAILURE;
}
