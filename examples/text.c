/* text -- a small transformer learns from a text, byte by byte, and writes on from a prompt
 *
 *     text [FILE | --builtin] [--prompt TEXT] [--length N] [--temperature T] [--seed N] [--state PATH] [--steps N]
 *          [--context N] [--features N] [--heads N] [--layers N] [--batch N] [--quiet]
 *
 * Without FILE the text is the Jargon File 4.4.7, which Debian's package jargon-text has (1.5 MB of English). It is in
 * the public domain: the File itself says so, and the package's copyright file repeats it. --builtin takes a poem of
 * 1871 instead, which is in this program. Packed files (.gz) can be read if zlib was there.
 *
 * The model sees the last `context` bytes and gives a score for each byte that may come next. With --state the state of
 * training is in checkpoints PATH.000001.safetensors …: if there are any, it goes on from the last, and with the same
 * bits. The last tenth of the text is held out. Ctrl-C ends training after the step under way. Temperature 0 always
 * takes the likeliest byte; 1 draws as the model expects. bench/text_torch.py measures a step beside PyTorch's. */
#define _POSIX_C_SOURCE 200809L /* sigaction */
#include <autograd/autograd.h>
#include <errno.h>
#include <io/io.h>
#include <math.h>
#include <nn/nn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if HAVE_ZLIB
#include <zlib.h>
#endif

enum { BYTES = 256, EVERY = 100, KEPT = 2, HELD_OUT = 10, JUDGED = 64 };

#define JARGON "/usr/share/doc/jargon-text/jargon.txt.gz"

/* Lewis Carroll, Through the Looking-Glass (1871); the author died in 1898. */
static const char poem[] = "'Twas brillig, and the slithy toves\n      Did gyre and gimble in the wabe:\n"
                           "All mimsy were the borogoves,\n      And the mome raths outgrabe.\n\n"
                           "\"Beware the Jabberwock, my son!\n      The jaws that bite, the claws that catch!\n"
                           "Beware the Jubjub bird, and shun\n      The frumious Bandersnatch!\"\n\n"
                           "He took his vorpal sword in hand;\n      Long time the manxome foe he sought--\n"
                           "So rested he by the Tumtum tree\n      And stood awhile in thought.\n\n"
                           "And, as in uffish thought he stood,\n      The Jabberwock, with eyes of flame,\n"
                           "Came whiffling through the tulgey wood,\n      And burbled as it came!\n\n"
                           "One, two! One, two! And through and through\n      The vorpal blade went snicker-snack!\n"
                           "He left it dead, and with its head\n      He went galumphing back.\n\n"
                           "\"And hast thou slain the Jabberwock?\n      Come to my arms, my beamish boy!\n"
                           "O frabjous day! Callooh! Callay!\"\n      He chortled in his joy.\n";

typedef struct options {
    const char *file, *prompt, *state;
    int64_t length, seed, steps, context, features, heads, layers, batch;
    double temperature;
    bool builtin, quiet;
} options;

/* ---- The text ---- */

/* Bytes as numbers 0 … V−1, in the order of their codes. */
typedef struct text {
    unsigned char *byte;
    int64_t count, learnt; /* bytes before `learnt` are for training, the others are held out */
    int64_t *number;
    int number_of[BYTES]; /* −1: not in the text */
    unsigned char byte_of[BYTES];
    int vocabulary;
} text;

static size_t read_some(void *file, void *to, size_t room) {
#if HAVE_ZLIB
    const int n = gzread(file, to, (unsigned)room);
    return n > 0 ? (size_t)n : 0;
#else
    return fread(to, 1, room, file);
#endif
}

static bool failed_or_closed(void *file) {
#if HAVE_ZLIB
    int code;
    gzerror(file, &code);
    return gzclose(file) != Z_OK || (code != Z_OK && code != Z_STREAM_END);
#else
    const bool failed = ferror(file);
    return fclose(file) != 0 || failed;
#endif
}

/* A whole file, packed or not; NULL after a message. */
static unsigned char *read_file(const char *path, int64_t *count) {
    enum { SOME = 1 << 16 };
    unsigned char *all = NULL;
    size_t used = 0, n;
#if HAVE_ZLIB
    void *file = gzopen(path, "rb");
#else
    void *file = fopen(path, "rb");
#endif
    if (!file) return fprintf(stderr, "text: %s cannot be opened\n", path), NULL;
    do {
        unsigned char *more = realloc(all, used + SOME);
        n = more ? read_some(file, more + used, SOME) : 0;
        all = more ? more : all;
        used += n;
    } while (n > 0);
    if (failed_or_closed(file) || !all) {
        free(all);
        return fprintf(stderr, "text: %s cannot be read\n", path), NULL;
    }
    *count = (int64_t)used;
    return all;
}

static bool number_bytes(text *t) {
    t->number = malloc((size_t)t->count * sizeof *t->number);
    if (!t->number) return fprintf(stderr, "text: out of memory\n"), false;
    for (int i = 0; i < BYTES; i++) t->number_of[i] = -1;
    for (int64_t i = 0; i < t->count; i++) t->number_of[t->byte[i]] = 0;
    for (int i = 0; i < BYTES; i++) {
        if (t->number_of[i] < 0) continue;
        t->byte_of[t->vocabulary] = (unsigned char)i;
        t->number_of[i] = t->vocabulary++;
    }
    for (int64_t i = 0; i < t->count; i++) t->number[i] = t->number_of[t->byte[i]];
    t->learnt = t->count - t->count / HELD_OUT;
    return true;
}

static bool read_text(const options *o, text *t) {
    if (o->builtin) {
        t->count = (int64_t)sizeof poem - 1;
        t->byte = malloc(sizeof poem);
        if (t->byte) memcpy(t->byte, poem, sizeof poem);
    } else t->byte = read_file(o->file, &t->count);
    if (!t->byte) return false;
    if (t->count - t->count / HELD_OUT <= o->context)
        return fprintf(stderr, "text: %lld bytes are too few for a context of %lld\n", (long long)t->count,
                       (long long)o->context),
               false;
    return number_bytes(t);
}

/* ---- The model ---- */

/* A layer of this program's own: a learnt vector for each position is added. */
typedef struct positions {
    ag_tensor *weight; /* (T,C) */
} positions;

static ag_tensor *add_positions(void *state, ag_tensor *x, bool training) {
    const positions *p = state;
    (void)training;
    return ag_add(x, ag_slice(p->weight, 0, 0, ag_extent(x, 1), 1));
}

static ag_tensor *variable_of_positions(void *state, int i) { return i == 0 ? ((positions *)state)->weight : NULL; }

/* x·Φ(x), by its usual approximation (Hendrycks and Gimpel, 2016). */
static ag_tensor *gelu(ag_tensor *x) {
    ag_tensor *inner = ag_scale(ag_add(x, ag_scale(ag_mul(x, ag_mul(x, x)), 0.044715)), 0.7978845608028654);
    return ag_scale(ag_mul(x, ag_add_scalar(ag_tanh(inner), 1)), 0.5);
}

/* Numbers (B,T) to scores of what comes next (B,T,V): Vaswani et al. (2017), with the normalisations first. What is
 * added to x begins small, the more layers the smaller, as in GPT-2. */
static void model_init(ag_sequence *model, ag_tape *tape, const options *o, int vocabulary) {
    static const ag_layer_kind kind = {"positions", add_positions, variable_of_positions};
    const int64_t c = o->features;
    const ag_initial small = {ag_init_truncated_normal, 0.02};
    const ag_layer_options in = {.weight = {ag_init_xavier_normal, 1}};
    const ag_layer_options out = {.weight = {ag_init_xavier_normal, 1 / sqrt(2 * (double)o->layers)}};
    positions places;
    ag_sequence_init(model, tape, AG_F32, "text");
    ag_sequence_embedding(model, vocabulary, c, &(ag_layer_options){.name = "bytes", .weight = small});
    ag_tensor *first = ag_init_truncated_normal(tape, AG_F32, AG_SHAPE(o->context, c), 0.02);
    places.weight = ag_label(ag_parameter_from(first), "text.positions.weight");
    ag_sequence_add(model, &kind, "positions", &places, sizeof places);
    for (int64_t i = 0; i < o->layers; i++) {
        char name[32];
        snprintf(name, sizeof name, "see.%lld", (long long)i);
        ag_sequence *see = ag_sequence_residual(model, name);
        ag_sequence_layernorm(see, c, NULL);
        ag_sequence_attention(see, c, o->heads, true, &in);
        snprintf(name, sizeof name, "think.%lld", (long long)i);
        ag_sequence *think = ag_sequence_residual(model, name);
        ag_sequence_layernorm(think, c, NULL);
        ag_sequence_linear(think, c, 4 * c, &in);
        ag_sequence_function(think, "gelu", gelu);
        ag_sequence_linear(think, 4 * c, c, &out);
    }
    ag_sequence_layernorm(model, c, &(ag_layer_options){.name = "norm"});
    ag_sequence_linear(model, c, vocabulary, &(ag_layer_options){.name = "scores", .weight = small});
}

/* ---- Random numbers: of (seed, step, draw) alone, so that a run that is resumed draws the same ---- */

static uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static double uniform(int64_t seed, int64_t step, int64_t draw) {
    const uint64_t golden = 0x9E3779B97F4A7C15u;
    return (double)(mixed(mixed(mixed((uint64_t)seed + golden) + (uint64_t)step + golden) + (uint64_t)draw + golden) >>
                    11) *
           0x1p-53;
}

/* ---- Training ---- */

typedef struct training {
    const options *o;
    const text *text;
    ag_tape *tape;
    ag_sequence model;
    ag_adam adam;
    int64_t step;
    double seconds;
    double judged; /* bits a byte of what is held out; NaN: there is too little */
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

/* The mean loss of n windows of the text, whose first bytes are given, in nats. */
static ag_tensor *loss_at(training *t, int64_t n, const int64_t start[], int64_t *window) {
    const int64_t length = t->o->context, v = t->text->vocabulary;
    for (int64_t i = 0; i < n; i++) {
        memcpy(window + i * length, t->text->number + start[i], (size_t)length * sizeof *window);
        memcpy(window + (n + i) * length, t->text->number + start[i] + 1, (size_t)length * sizeof *window);
    }
    ag_tensor *x = ag_from(t->tape, AG_I64, AG_SHAPE(n, length), window);
    ag_tensor *next = ag_from(t->tape, AG_I64, AG_SHAPE(n * length), window + n * length);
    ag_tensor *scores = ag_sequence_apply(&t->model, x);
    return ag_cross_entropy(ag_reshape(scores, AG_SHAPE(n * length, v)), next);
}

/* The held-out windows, evenly spread, one after the other. */
static double judge(training *t, ag_mark mark, int64_t *window) {
    const int64_t room = t->text->count - t->text->learnt - t->o->context - 1;
    double sum = 0;
    if (room < 0) return (double)NAN;
    t->model.training = false;
    for (int64_t i = 0; i < JUDGED; i++) {
        const int64_t start = t->text->learnt + room * i / (JUDGED - 1);
        sum += ag_item(loss_at(t, 1, &start, window));
        ag_tape_rewind(t->tape, mark);
    }
    t->model.training = true;
    return sum / JUDGED / log(2);
}

/* The loss before the step, in bits a byte. */
static double train_step(training *t, int64_t *start, int64_t *window) {
    const ag_schedule schedule = {AG_SCHEDULE_COSINE,         .rate = 2e-3, .least = 1e-4, .steps = t->o->steps,
                                  .warmup = t->o->steps / 20, .start = 0.1};
    for (int64_t i = 0; i < t->o->batch; i++)
        start[i] = (int64_t)(uniform(t->o->seed, t->step, i) * (double)(t->text->learnt - t->o->context));
    ag_tensor *loss = loss_at(t, t->o->batch, start, window);
    ag_list p = ag_parameters(t->tape, "text");
    ag_tensor **dp = ag_tape_alloc(t->tape, (size_t)p.n * sizeof *dp);
    if (!dp || ag_grad(loss, p.n, p.x, dp) != AG_OK) return (double)NAN;
    ag_clip_norm(p.n, dp, 1);
    t->adam.rate = ag_schedule_rate(&schedule, t->step);
    ag_adam_step(&t->adam, dp);
    return ag_item(loss) / log(2);
}

static ag_status save_state(training *t) {
    const ag_number number[] = {{.name = "step", .integer = &t->step},
                                {.name = "adam.steps", .integer = &t->adam.steps},
                                {.name = "seconds", .real = &t->seconds}};
    return t->o->state ? ag_checkpoint_save(t->tape, t->o->state, 3, number, KEPT) : ag_tape_status(t->tape);
}

static bool load_state(training *t) {
    const ag_number number[] = {{.name = "step", .integer = &t->step},
                                {.name = "adam.steps", .integer = &t->adam.steps},
                                {.name = "seconds", .real = &t->seconds}};
    if (!t->o->state) return true;
    return ag_checkpoint_load(t->tape, t->o->state, 3, number, NULL, NULL) >= 0;
}

static void report(training *t, ag_progress *progress, double bits) {
    ag_progress_hide(progress);
    printf("  %6lld  %10.4f  %8.4f  %9.1f s\n", (long long)t->step, bits, t->judged, t->seconds);
    fflush(stdout);
}

static void train(training *t, int64_t *start, int64_t *window) {
    ag_progress progress;
    ag_progress_begin(&progress, t->o->quiet ? NULL : stderr, t->o->steps, &(ag_progress_options){.first = t->step});
    printf("    step   bits/byte  held out   training\n");
    double sum = 0;
    int64_t summed = 0;
    ag_mark mark = ag_tape_mark(t->tape);
    for (double begun = now(), end; t->step < t->o->steps && !interrupted; begun = end) {
        const double bits = train_step(t, start, window);
        if (ag_tape_rewind(t->tape, mark) != AG_OK) break;
        end = now();
        t->seconds += end - begun;
        t->step++;
        sum += bits, summed++;
        ag_progress_update(&progress, t->step, 1, &(ag_reading){"bits/byte", bits});
        if (t->step % EVERY && t->step != t->o->steps && !interrupted) continue;
        t->judged = judge(t, mark, window);
        report(t, &progress, sum / (double)summed);
        sum = 0, summed = 0;
        if (save_state(t) != AG_OK) break;
        end = now();
    }
    ag_progress_end(&progress);
}

/* ---- Writing ---- */

/* The number of the next byte, drawn from e^(score/temperature), by one uniform number u. */
static int drawn(const float *score, int n, double temperature, double u) {
    double weight[BYTES], sum = 0;
    int best = 0;
    for (int i = 1; i < n; i++)
        if (score[i] > score[best]) best = i;
    if (temperature == 0) return best;
    for (int i = 0; i < n; i++) sum += weight[i] = exp(((double)score[i] - (double)score[best]) / temperature);
    u *= sum;
    for (int i = 0; i < n; i++)
        if ((u -= weight[i]) < 0) return i;
    return best;
}

/* The prompt, and what the model makes of it. */
static bool write_on(training *t, int64_t *window) {
    const int64_t room = t->o->context;
    const char *prompt = *t->o->prompt ? t->o->prompt : "\n";
    int64_t n = 0;
    ag_mark mark = ag_tape_mark(t->tape);
    for (const char *c = prompt; *c; c++) {
        if (n == room) memmove(window, window + 1, (size_t)--n * sizeof *window);
        window[n++] = t->text->number_of[(unsigned char)*c];
    }
    t->model.training = false;
    printf("\n%s", t->o->prompt);
    for (int64_t i = 0; i < t->o->length; i++) {
        ag_tensor *scores = ag_sequence_apply(&t->model, ag_from(t->tape, AG_I64, AG_SHAPE(1, n), window));
        const float *score = ag_data(ag_slice(scores, 1, n - 1, n, 1));
        if (!score) return false;
        const double u = uniform(t->o->seed, -1, i);
        const int next = drawn(score, t->text->vocabulary, t->o->temperature, u);
        if (ag_tape_rewind(t->tape, mark) != AG_OK) return false;
        putchar(t->text->byte_of[next]);
        fflush(stdout);
        if (n == room) memmove(window, window + 1, (size_t)--n * sizeof *window);
        window[n++] = next;
    }
    printf("\n");
    return true;
}

/* ---- The command line ---- */

static bool read_number(const char *from, int64_t least, int64_t most, int64_t *to) {
    char *end;
    errno = 0;
    const long long number = strtoll(from, &end, 10);
    *to = number;
    return end != from && !*end && errno == 0 && number >= least && number <= most;
}

static bool read_real(const char *from, double most, double *to) {
    char *end;
    *to = strtod(from, &end);
    return end != from && !*end && *to >= 0 && *to <= most;
}

static bool read_options(int count, char *argument[], options *o) {
    const struct {
        const char *name;
        int64_t *to, least, most;
    } number[] = {{"--length", &o->length, 0, INT64_MAX}, {"--seed", &o->seed, 0, INT64_MAX},
                  {"--steps", &o->steps, 1, 1000000000},  {"--context", &o->context, 1, 65536},
                  {"--features", &o->features, 1, 65536}, {"--heads", &o->heads, 1, 65536},
                  {"--layers", &o->layers, 1, 1000},      {"--batch", &o->batch, 1, 65536}};
    int given = 0;
    for (int i = 1; i < count; i++) {
        const char *name = argument[i], *value = i + 1 < count ? argument[i + 1] : NULL;
        bool known = true, two = true;
        if (strcmp(name, "--builtin") == 0) o->builtin = true, two = false;
        else if (strcmp(name, "--quiet") == 0) o->quiet = true, two = false;
        else if (strcmp(name, "--prompt") == 0 && value) o->prompt = value;
        else if (strcmp(name, "--state") == 0 && value) o->state = value;
        else if (strcmp(name, "--temperature") == 0 && value) known = read_real(value, 1000, &o->temperature);
        else if (name[0] != '-' && !given++) o->file = name, two = false;
        else {
            known = false;
            for (size_t k = 0; k < sizeof number / sizeof *number && value && !known; k++)
                known = strcmp(name, number[k].name) == 0 &&
                        read_number(value, number[k].least, number[k].most, number[k].to);
        }
        if (!known) return fprintf(stderr, "text: %s %s is not understood\n", name, value ? value : ""), false;
        i += two;
    }
    if (o->features % o->heads == 0) return true;
    return fprintf(stderr, "text: the features are not a multiple of the heads\n"), false;
}

static bool prompt_is_known(const options *o, const text *t) {
    const char *c = *o->prompt ? o->prompt : "\n";
    for (; *c; c++)
        if (t->number_of[(unsigned char)*c] < 0)
            return fprintf(stderr, "text: the prompt has the byte 0x%02x, which is not in the text\n",
                           (unsigned char)*c),
                   false;
    return true;
}

static void print_head(training *t, int64_t *window) {
    const char *name = t->o->builtin ? "Jabberwocky, a poem by Lewis Carroll (1871), in the public domain"
                       : strcmp(t->o->file, JARGON) == 0 ? "the Jargon File 4.4.7, in the public domain (" JARGON
                                                           ", of Debian's package jargon-text)"
                                                         : t->o->file;
    const int64_t start = 0;
    ag_mark mark = ag_tape_mark(t->tape);
    loss_at(t, 1, &start, window); /* the table has the shapes of outputs once there is one */
    printf("%lld bytes, %d different ones: %s\n\n%s\n", (long long)t->text->count, t->text->vocabulary, name,
           ag_sequence_table(&t->model));
    fflush(stdout);
    ag_tape_rewind(t->tape, mark);
}

static bool run(const options *o, const text *text_) {
    training t = {.o = o, .text = text_, .tape = ag_tape_new(), .judged = (double)NAN};
    int64_t *start = calloc((size_t)o->batch, sizeof *start);
    int64_t *window = calloc(2 * (size_t)o->batch * (size_t)o->context, sizeof *window);
    ag_tape_seed(t.tape, (uint64_t)o->seed);
    model_init(&t.model, t.tape, o, text_->vocabulary);
    ag_list p = ag_parameters(t.tape, "text");
    ag_adam_init(&t.adam, p.n, p.x, NULL);
    t.adam.beta2 = 0.99;
    if (!start || !window) fprintf(stderr, "text: out of memory\n");
    bool good = start && window && ag_tape_status(t.tape) == AG_OK && load_state(&t);
    if (good) {
        print_head(&t, window);
        train(&t, start, window);
        good = ag_tape_status(t.tape) == AG_OK && write_on(&t, window);
    }
    if (ag_tape_status(t.tape) != AG_OK) fprintf(stderr, "text: %s\n", ag_tape_error(t.tape));
    free(start);
    free(window);
    ag_tape_free(t.tape);
    return good;
}

int main(int count, char *argument[]) {
    options o = {.file = JARGON,
                 .prompt = "",
                 .length = 500,
                 .seed = 1,
                 .steps = 2000,
                 .context = 64,
                 .features = 128,
                 .heads = 4,
                 .layers = 3,
                 .batch = 16,
                 .temperature = 0.8};
    text t = {.byte = NULL};
    const struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND}; /* the second ends it */
    sigaction(SIGINT, &action, NULL);
    if (!read_options(count, argument, &o)) return 2;
    const bool good = read_text(&o, &t) && prompt_is_known(&o, &t) && run(&o, &t);
    free(t.byte);
    free(t.number);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
