/* fit -- training: batches, steps, what is read of each epoch, checkpoints, an end in time
 *
 * Everything that the next epoch depends on is on the tape or among the numbers of a checkpoint, which is saved between
 * two epochs: so a run that is resumed comes to the same bits. The order of samples follows from seed and epoch alone. */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NUMBERS = 16, NORMS_IN_EPOCH = 8 };

typedef struct part {
    int64_t n;
    int64_t *which;
} part;

typedef struct trainer {
    model *m;
    description *d;
    const options *o;
    ag_tape *tape;
    samples *s;
    history *h;
    part training, validation;
    ag_list parameters;
    ag_tensor **dp;
    ag_adam adam;
    ag_sgd sgd;
    ag_rmsprop rmsprop;
    ag_schedule schedule;
    ag_stopping stopping;
    ag_loader loader;
    ag_run_log log;
    ag_progress progress;
    ag_mark mark;
    int64_t hash;  /* of data and options: a checkpoint belongs to one */
    double *value; /* of an epoch, a column each */
    double loss;   /* the sum of an epoch's, over samples */
    int64_t norms; /* of gradients, that were added up */
    judgement judged;
} trainer;

/* ---- Training and validation data */

static part part_of(const ag_dataset *dataset) {
    part p = {.n = ag_dataset_count(dataset)};
    p.which = memory(NULL, (size_t)p.n, sizeof *p.which);
    const int64_t *index = dataset->index ? ag_data(dataset->index) : NULL;
    for (int64_t i = 0; i < p.n; i++) p.which[i] = index ? index[i] : i;
    return p;
}

/* Each class is split by the same fraction. */
static bool split(trainer *t) {
    double fraction[2] = {1 - t->o->validation, t->o->validation};
    ag_dataset all, to[2];
    ag_split_options how = {.in_order = false};
    ag_tensor *number = ag_arange(t->tape, AG_I64, t->s->count);
    if (t->s->label) how.strata = ag_from(t->tape, AG_I64, AG_SHAPE(t->s->count), t->s->label);
    ag_dataset_tensors(&all, 1, &number);
    ag_dataset_split(to, t->tape, &all, 2, fraction, &how);
    if (!fine(t->tape)) return false;
    t->training = part_of(&to[0]);
    t->validation = part_of(&to[1]);
    return fine(t->tape) &&
           (t->training.n > 0 || complain("no sample is left to train with: --validation is too large"));
}

static ag_tensor *all_targets(const trainer *t) {
    const samples *s = t->s;
    if (s->y) return ag_wrap(t->tape, AG_F32, AG_SHAPE(s->count, s->targets), s->y);
    ag_tensor *label = ag_from(t->tape, AG_I64, AG_SHAPE(s->count), s->label);
    return t->d->loss == BINARY ? ag_cast(label, AG_F32) : label;
}

static bool open_loader(trainer *t) {
    ag_dataset all, training;
    ag_tensor *x = ag_wrap(t->tape, AG_F32, AG_SHAPE(t->s->count, t->s->inputs), t->s->x);
    ag_tensor *which = ag_from(t->tape, AG_I64, AG_SHAPE(t->training.n), t->training.which);
    ag_dataset_tensors(&all, 2, (ag_tensor *[]){x, all_targets(t)});
    ag_dataset_select(&training, &all, which);
    ag_loader_open(&t->loader, t->tape, &training, t->o->batch, NULL);
    return fine(t->tape);
}

/* ---- The state of training */

static void begin_optimiser(trainer *t) {
    const options *o = t->o;
    ag_list p = t->parameters;
    if (o->optimiser == ADAM) ag_adam_init(&t->adam, p.n, p.x, NULL);
    if (o->optimiser == SGD) ag_sgd_init(&t->sgd, p.n, p.x, NULL, o->rate, o->momentum);
    if (o->optimiser == RMSPROP) ag_rmsprop_init(&t->rmsprop, p.n, p.x, NULL);
    t->adam.decay = t->sgd.decay = t->rmsprop.decay = o->decay;
    t->rmsprop.momentum = o->momentum;
}

static void begin_stopping(trainer *t) {
    ag_list state = ag_state(t->tape, "layer");
    ag_stopping_init(&t->stopping, state.n, state.x, NULL);
    t->stopping.patience = t->o->patience;
}

static uint64_t mixed(uint64_t hash, const void *data, size_t bytes) {
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ p[i]) * UINT64_C(1099511628211);
    return hash;
}

/* FNV-1a of what the weights depend on, but not of the number of epochs, unless the rate follows it. */
static int64_t hash_of(const trainer *t) {
    const options *o = t->o;
    double numbers[] = {(double)o->batch,
                        o->rate,
                        o->momentum,
                        o->decay,
                        o->clip,
                        o->validation,
                        (double)o->seed,
                        (double)o->optimiser,
                        (double)o->schedule,
                        (double)o->warmup,
                        (double)o->patience,
                        o->schedule == AG_SCHEDULE_CONSTANT ? 0 : (double)o->epochs,
                        (double)t->d->loss};
    uint64_t hash = mixed(UINT64_C(14695981039346656037), o->model, strlen(o->model));
    hash = mixed(hash, numbers, sizeof numbers);
    hash = mixed(hash, t->s->x, (size_t)(t->s->count * t->s->inputs) * sizeof *t->s->x);
    if (t->s->label) hash = mixed(hash, t->s->label, (size_t)t->s->count * sizeof *t->s->label);
    if (t->s->y) hash = mixed(hash, t->s->y, (size_t)(t->s->count * t->s->targets) * sizeof *t->s->y);
    return (int64_t)(hash >> 1);
}

static int numbers_of(trainer *t, int64_t *hash, ag_number number[MOST_NUMBERS]) {
    int n = 0;
    number[n++] = (ag_number){"hash", hash, NULL};
    number[n++] = (ag_number){"loader.epoch", &t->loader.epoch, NULL};
    number[n++] = (ag_number){"loader.batch", &t->loader.batch, NULL};
    if (t->o->optimiser == ADAM) number[n++] = (ag_number){"adam.steps", &t->adam.steps, NULL};
    if (!t->o->patience) return n;
    number[n++] = (ag_number){"stopping.best", NULL, &t->stopping.best};
    number[n++] = (ag_number){"stopping.best_step", &t->stopping.best_step, NULL};
    number[n++] = (ag_number){"stopping.steps", &t->stopping.steps, NULL};
    number[n++] = (ag_number){"stopping.waited", &t->stopping.waited, NULL};
    return n;
}

static bool resume(trainer *t) {
    ag_number number[MOST_NUMBERS];
    int64_t hash = t->hash;
    int n = numbers_of(t, &hash, number);
    int64_t loaded = ag_checkpoint_load(t->tape, t->o->checkpoint, n, number, NULL, NULL);
    if (!fine(t->tape)) return false;
    if (hash != t->hash)
        return complain("checkpoint %lld of %s is of other data, or of other options", (long long)loaded,
                        t->o->checkpoint);
    if (!t->o->quiet && loaded) printf("resumed after %lld epochs\n", (long long)t->loader.epoch);
    if (!t->o->quiet && !loaded) printf("there is no checkpoint yet: training begins\n");
    return true;
}

static bool save_checkpoint(trainer *t) {
    enum { KEPT = 2 };
    ag_number number[MOST_NUMBERS];
    int n = numbers_of(t, &t->hash, number);
    if (t->o->checkpoint) ag_checkpoint_save(t->tape, t->o->checkpoint, n, number, KEPT);
    return fine(t->tape);
}

/* ---- Readings of an epoch */

enum { EPOCH, LOSS, RATE };

static bool has_validation(const trainer *t) { return t->validation.n > 0; }

/* The gradients' columns are the last. */
static int first_norm(const trainer *t) { return t->h->columns - t->parameters.n; }

static void name_columns(trainer *t) {
    history *h = t->h;
    add_column(h, "epoch");
    add_column(h, "loss");
    add_column(h, "rate");
    if (has_validation(t)) add_column(h, "validation loss");
    if (has_validation(t)) add_column(h, t->s->label ? "accuracy" : "R²");
    for (int i = 0; i < t->parameters.n; i++) {
        text name = {0};
        put(&name, "gradient %s", ag_label_of(t->parameters.x[i]));
        add_column(h, name.bytes);
        free(name.bytes);
    }
    t->value = memory(NULL, (size_t)h->columns, sizeof *t->value);
}

static bool open_log(trainer *t) {
    const options *o = t->o;
    bool lines = o->log && strlen(o->log) > 4 && strcmp(o->log + strlen(o->log) - 4, ".csv") != 0;
    ag_run_log_options how = {.resume = o->resume, .step = t->loader.epoch};
    if (!o->log) return true;
    ag_run_log_open(&t->log, t->tape, o->log, &how);
    return fine(t->tape) && (!lines || !o->resume || read_history(t->h, o->log, t->loader.epoch));
}

static bool write_log(trainer *t) {
    int n = t->h->columns - 1;
    ag_reading *reading = memory(NULL, (size_t)n, sizeof *reading);
    for (int i = 0; i < n; i++) reading[i] = (ag_reading){t->h->name[i + 1], t->value[i + 1]};
    if (t->o->log) ag_run_log_write(&t->log, t->loader.epoch, n, reading);
    free(reading);
    return fine(t->tape);
}

/* ---- Steps */

static double rate_of(const trainer *t, int64_t step) { return ag_schedule_rate(&t->schedule, step); }

static void take_step(trainer *t, double rate) {
    t->adam.rate = t->sgd.rate = t->rmsprop.rate = rate;
    if (t->o->optimiser == ADAM) ag_adam_step(&t->adam, t->dp);
    if (t->o->optimiser == SGD) ag_sgd_step(&t->sgd, t->dp);
    if (t->o->optimiser == RMSPROP) ag_rmsprop_step(&t->rmsprop, t->dp);
}

static void add_norms(trainer *t) {
    double *sum = t->value + first_norm(t);
    for (int i = 0; i < t->parameters.n; i++) sum[i] += ag_item(ag_sqrt(ag_sum(ag_square(t->dp[i]))));
    t->norms++;
}

static bool step(trainer *t, ag_tensor *const batch[2], int64_t number) {
    int64_t batches = ag_loader_batches(&t->loader), every = batches > NORMS_IN_EPOCH ? batches / NORMS_IN_EPOCH : 1;
    ag_tensor *loss = loss_of(t->d, apply_model(t->m, batch[0], true), batch[1]);
    ag_grad(loss, t->parameters.n, t->parameters.x, t->dp);
    if (number % batches % every == 0) add_norms(t);
    if (t->o->clip > 0) ag_clip_norm(t->parameters.n, t->dp, t->o->clip);
    t->value[RATE] = rate_of(t, number);
    take_step(t, t->value[RATE]);
    double value = ag_item(loss);
    t->loss += value * (double)ag_extent(batch[0], 0);
    ag_progress_update(&t->progress, number + 1, 1, &(ag_reading){"loss", value});
    ag_tape_rewind(t->tape, t->mark);
    if (!fine(t->tape)) return false;
    return isfinite(value) ||
           complain("the loss is %g in step %lld: a smaller --rate or --clip 1 may help", value, (long long)number + 1);
}

/* ---- Epochs */

static bool judge_epoch(trainer *t) {
    if (!has_validation(t)) return true;
    forget(&t->judged);
    if (!judge(&t->judged, t->m, t->d, t->tape, t->s, t->validation.n, t->validation.which)) return false;
    t->value[3] = t->judged.loss;
    t->value[4] = t->s->label ? t->judged.accuracy : t->judged.r_squared;
    return true;
}

static void print_epoch(trainer *t) {
    ag_progress_hide(&t->progress);
    if (t->o->quiet) return;
    printf("epoch %lld  loss %.6g", (long long)t->value[EPOCH], t->value[LOSS]);
    if (has_validation(t)) printf("  validation loss %.6g  %s %.4g", t->value[3], t->h->name[4], t->value[4]);
    printf("\n");
    fflush(stdout);
}

static bool end_epoch(trainer *t) {
    double *norm = t->value + first_norm(t);
    t->value[EPOCH] = (double)t->loader.epoch;
    t->value[LOSS] = t->loss / (double)t->training.n;
    for (int i = 0; i < t->parameters.n; i++) norm[i] /= (double)t->norms;
    if (!judge_epoch(t)) return false;
    add_epoch(t->h, t->value);
    print_epoch(t);
    return write_log(t);
}

static bool run_epoch(trainer *t) {
    int64_t number = t->loader.epoch * ag_loader_batches(&t->loader);
    ag_tensor *batch[2];
    for (int i = first_norm(t); i < t->h->columns; i++) t->value[i] = 0;
    t->loss = 0;
    t->norms = 0;
    while (ag_loader_next(&t->loader, batch))
        if (!step(t, batch, number++)) return false;
    return fine(t->tape) && end_epoch(t);
}

static bool run(trainer *t) {
    bool ended = t->o->patience && t->stopping.waited >= t->stopping.patience;
    while (t->loader.epoch < t->o->epochs && !ended) {
        if (!run_epoch(t)) return false;
        ended = t->o->patience && ag_stopping_step(&t->stopping, t->judged.loss);
        ag_tape_rewind(t->tape, t->mark);
        if (!fine(t->tape) || !save_checkpoint(t)) return false;
    }
    if (ended && !t->o->quiet)
        printf("ended: validation has not improved for %ld epochs; the weights are those of epoch %lld\n",
               t->o->patience, (long long)t->stopping.best_step + 1);
    if (t->o->patience && t->stopping.best_step >= 0) ag_stopping_restore(&t->stopping);
    return fine(t->tape);
}

/* ---- All of it */

static bool begin(trainer *t) {
    const options *o = t->o;
    t->hash = hash_of(t);
    if (!split(t)) return false;
    measure(t->d, t->s, t->training.n, t->training.which);
    if (o->raw) t->d->statistics = 0;
    standardise(t->s, t->d);
    if (!open_loader(t)) return false;
    t->parameters = ag_parameters(t->tape, "layer");
    t->dp = memory(NULL, (size_t)t->parameters.n, sizeof(ag_tensor *));
    int64_t steps = o->epochs * ag_loader_batches(&t->loader);
    t->schedule = (ag_schedule){.kind = o->schedule, .rate = o->rate, .steps = steps, .warmup = o->warmup};
    if (isnan(rate_of(t, 0))) return complain("the schedule: %s", ag_tape_error(NULL));
    begin_optimiser(t);
    if (o->patience) begin_stopping(t);
    name_columns(t);
    t->mark = ag_tape_mark(t->tape);
    return fine(t->tape) && (!o->resume || resume(t)) && open_log(t);
}

static void end(trainer *t) {
    ag_progress_end(&t->progress);
    ag_run_log_close(&t->log);
    ag_loader_close(&t->loader);
    free(t->training.which);
    free(t->validation.which);
    free(t->value);
    free(t->dp);
}

/* The last judgement is of the validation data or, without any, of the training data. */
static bool judge_at_last(trainer *t, judgement *j) {
    const part *p = has_validation(t) ? &t->validation : &t->training;
    forget(&t->judged);
    return judge(j, t->m, t->d, t->tape, t->s, p->n, p->which);
}

bool fit(model *m, description *d, ag_tape *tape, samples *s, const options *o, history *h, judgement *validation) {
    trainer t = {.m = m, .d = d, .o = o, .tape = tape, .s = s, .h = h};
    bool good = begin(&t);
    int64_t batches = ag_loader_batches(&t.loader);
    if (good) {
        ag_progress_options how = {.first = t.loader.epoch * batches};
        ag_progress_begin(&t.progress, o->quiet ? NULL : stderr, o->epochs * batches, &how);
        good = run(&t) && judge_at_last(&t, validation);
    }
    end(&t);
    return good && fine(tape);
}
