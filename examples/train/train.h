/* train -- the parts of ag-train: options.c reads the command line; text.c grows texts and complains; table.c reads CSV;
 * data.c makes samples of files; model.c reads a model's line, and builds and applies it; model_file.c keeps what is
 * trained; judge.c applies a model to samples and counts; history.c keeps an epoch's readings; fit.c trains; page.c writes
 * the report; train.c is the program. Each uses only those before it. */
#ifndef EXAMPLES_TRAIN_H
#define EXAMPLES_TRAIN_H

#include "autograd/autograd.h"
#include "io/io.h"
#include "nn/nn.h"

#include <stdio.h>

/* ---- Complaints: the program ends with 2 for a command that cannot be understood, with 1 for files and training ---- */

#ifdef __GNUC__
#define LIKE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define LIKE_PRINTF(text, first)
#endif

/* The first complaint is printed, and kept as the program's result; all return false. */
bool complain(const char *format, ...) LIKE_PRINTF(1, 2); /* files, data, training */
bool misuse(const char *format, ...) LIKE_PRINTF(1, 2);   /* the command */
/* About a place in a text of the command's, with a caret below it. */
bool misuse_at(const char *what, const char *text, size_t at, const char *format, ...) LIKE_PRINTF(4, 5);
int result(void);
bool fine(ag_tape *tape); /* false after complaining of the tape's error */

/* Memory that is there, or the program ends. */
void *memory(void *p, size_t count, size_t bytes);

/* A text that grows. */
typedef struct text {
    char *bytes;
    size_t used, room;
} text;

void put(text *t, const char *format, ...) LIKE_PRINTF(2, 3);
void put_bytes(text *t, const char *bytes, size_t n);
void put_html(text *t, const char *s); /* with <, > and their like escaped */

char *copied(const char *s);

/* Control characters as question marks, at most 40 bytes; valid until the eighth call after. */
const char *shown(const char *s);

/* The whole file, with a NUL behind it; NULL after a complaint. */
char *read_file(const char *path, size_t *bytes);
/* Beside the file, then renamed; "-" is standard output. */
bool write_file(const char *path, const text *t);

/* ---- Options ---- */

typedef enum command { TRAIN, EVALUATE, PREDICT } command;
typedef enum loss_kind { BY_TARGET, CROSS_ENTROPY, BINARY, HINGE, MSE } loss_kind;
typedef enum optimiser_kind { ADAM, SGD, RMSPROP } optimiser_kind;
typedef enum header_kind { GUESS, HEADER, NO_HEADER } header_kind;

typedef struct options {
    command command;
    const char *model;  /* its line; for evaluate and predict its file */
    const char *data;   /* a file */
    const char *labels; /* a file; NULL: in `data` */
    const char *target, *inputs, *ignore, *words;
    header_kind header;
    char separator;
    loss_kind loss;
    optimiser_kind optimiser;
    double rate, momentum, decay, clip, validation, dropout;
    ag_schedule_kind schedule;
    long epochs, batch, seed, patience, warmup, threads;
    bool raw, resume, quiet, probabilities;
    const char *output, *checkpoint, *log, *html;
} options;

/* False if there is nothing to do: help was printed, or there was a complaint. */
bool read_options(options *o, int argc, char **argv);

/* ---- Tables ---- */

typedef struct table {
    char *bytes; /* that the cells are in */
    const char *path;
    int64_t rows, columns;
    const char **cell;  /* rows × columns */
    int64_t *line;      /* of each row */
    const char **names; /* of the columns; NULL: there is no header */
} table;

bool read_table(table *t, const options *o);
bool is_number(const char *cell, double *value);
int64_t column_named(const table *t, const char *name); /* or with that number, from 1 on; −1: there is none */

/* ---- Samples ---- */

/* All that is needed to apply a model, besides its weights: how its samples were made. */
typedef struct description {
    text model; /* its line */
    loss_kind loss;
    int64_t inputs, targets, classes;  /* the number of names; classes: 0 for reals */
    int64_t input_names, target_names; /* that there are */
    char **input, **target, **class;
    char **word; /* of each input: NULL for a number; else it is 1 where the column has this word, and 0 elsewhere */
    bool named;  /* the columns had names */
    double *mean, *scale; /* of the inputs: one each, or one for all */
    int64_t statistics;   /* how many of those */
    double *target_mean, *target_scale;
} description;

typedef struct samples {
    int64_t count, inputs, targets;
    float *x; /* count × inputs */
    float *y; /* count × targets, of reals */
    int64_t *label;
    ag_shape shape; /* of a sample, in files of tensors; rank 0: not known */
} samples;

/* With the description of a model, as it wants them; else (d->inputs = 0) the description is made. Without a target for
 * `predict` if there is none. */
bool read_samples(samples *s, description *d, const options *o, bool with_target, int64_t outputs);
void measure(description *d, const samples *s, int64_t n, const int64_t *which); /* of these, mean and scale */
void standardise(samples *s, const description *d);
const char *loss_name(loss_kind loss);
void forget_description(description *d);
void forget_samples(samples *s);

/* ---- Models ---- */

typedef enum layer_kind {
    LINEAR,
    BATCHNORM,
    LAYERNORM,
    CONV,
    MAX_POOL,
    AVG_POOL,
    FLATTEN,
    LSTM,
    DROPOUT,
    RELU,
    TANH,
    GELU,
    SIGMOID
} layer_kind;

typedef struct layer {
    layer_kind kind;
    int64_t size, window; /* features out; of a window */
    double rate;          /* of dropout */
    ag_shape in, out;     /* of a sample */
} layer;

enum { MOST_LAYERS = 200 };

typedef struct model {
    int64_t inputs, outputs;
    ag_shape shape; /* of a sample */
    int layers;
    layer layer[MOST_LAYERS];
    ag_sequence network;
} model;

bool parse_model(model *m, const char *line, const char *path); /* `path`: of the file that has the line, or NULL */
bool build_model(model *m, ag_tape *tape);
bool print_model(model *m, ag_tape *tape);                     /* a table of its layers */
ag_tensor *apply_model(model *m, ag_tensor *x, bool training); /* x (N,inputs) -> (N,outputs) */

bool save_model(const description *d, ag_tape *tape, const char *path);
bool load_model(model *m, description *d, ag_tape *tape, const char *path);

/* ---- Judging ---- */

typedef struct judgement {
    int64_t count;
    double loss;                               /* as training sees it: of reals that are standardised */
    double accuracy, f1, auc;                  /* of classes; f1 is the mean of theirs; auc is of two classes */
    double mean_square, mean_error, r_squared; /* of reals, in their own units */
    int64_t *confusion;                        /* classes × classes: true by predicted; NULL for reals */
    ag_prf *of_class;
    float *output; /* count × outputs */
} judgement;

ag_tensor *loss_of(const description *d, ag_tensor *scores, ag_tensor *target);
/* The samples are those of `which`, or all for NULL. */
bool judge(judgement *j, model *m, const description *d, ag_tape *tape, const samples *s, int64_t n,
           const int64_t *which);
int64_t class_of(const description *d, const float *output, int64_t outputs);
void forget(judgement *j);
void print_judgement(FILE *file, const judgement *j, const description *d);
bool write_predictions(const judgement *j, const model *m, const description *d, const options *o);

/* ---- Training ---- */

/* Readings of each epoch: columns are curves. */
typedef struct history {
    int64_t epochs, room;
    int columns;
    char **name;
    double *value; /* epochs × columns */
} history;

void add_column(history *h, const char *name);
void add_epoch(history *h, const double value[]);
void forget_history(history *h);
bool read_history(history *h, const char *path, int64_t epochs); /* from a log of JSON Lines */

bool fit(model *m, description *d, ag_tape *tape, samples *s, const options *o, history *h, judgement *validation);

bool write_page(const char *path, const description *d, const options *o, const history *h, const judgement *j,
                ag_tape *tape);

#endif
