/* bench -- shared by the rows and the program around them
 *
 * A row is one piece of work. We and each of its peers do it in turn, in rounds, so that disturbances of the machine
 * affect all alike. Before anything is timed, each peer must get the number that we get. */
#ifndef BENCH_H
#define BENCH_H

#include "autograd/autograd.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOST_PEERS = 4, MOST_ROWS = 600, MOST_ROUNDS = 200 };

typedef struct row row;

/* The kinds of peers: a function in this program, a process that we talk to (PyTorch, or this program with other
 * kernels), a streaming copy of the bytes that the row must move, or a plain number to reach. */
typedef enum where { NOBODY, HERE, TORCH, TORCH_MEMORY, OURSELVES, COPY, FIGURE } where;

typedef struct peer {
    const char *name;
    where where;
    double limit;                                    /* ours ÷ theirs must be at most this; 0: no limit */
    double figure;                                   /* FIGURE: theirs */
    void (*work)(const row *r, int64_t repetitions); /* HERE */
    double (*check)(const row *r);                   /* HERE: like the row's; NULL: nothing to compare */
    bool (*present)(void);                           /* HERE, OURSELVES; NULL: always */
} peer;

struct row {
    char name[40];
    const char *what;              /* one line */
    const char *unit;              /* "s", "B" or "calls" */
    const char *each;              /* given for each of these: "node" and the like; "" for a repetition */
    double (*count)(const row *r); /* how many of these a repetition does, after `setup`; NULL: 1 */
    int64_t size[6];               /* the row's own numbers: extents and the like */
    int64_t moved; /* bytes that must be read from memory or written, if nothing is cached; 0: not given */
    bool once;     /* for one number of threads only: they make no difference */
    bool (*setup)(const row *r, int threads);
    void (*work)(const row *r, int64_t repetitions);
    double (*measure)(const row *r); /* instead of `work`, for a row that is not a time */
    double (*check)(const row *r);   /* does it once, and returns a number that depends on all results; may be NULL */
    bool (*teardown)(const row *r);  /* false: something has failed, so that the times mean nothing */
    peer peers[MOST_PEERS];
};

/* Each adds its rows and returns how many. */
int bundle_rows(row *to);
int catalogue_rows(row *to);
int composed_rows(row *to);
int convolution_rows(row *to);
int gpt2_rows(row *to);
int images_rows(row *to);
int indexing_rows(row *to);
int lenet_rows(row *to);
int linalg_rows(row *to);
int lstm_rows(row *to);
int matmul_rows(row *to);
void openblas_threads(int threads); /* if OpenBLAS is there; in rows_matmul.c */
int narrow_rows(row *to);
int optimiser_rows(row *to);
int program_rows(row *to);
int reduction_rows(row *to);
int sampling_rows(row *to);
int structure_rows(row *to);
int tape_rows(row *to);
int training_rows(row *to);
int transformer_rows(row *to);

/* Called by structure_rows and by tape_rows */
int changing_rows(row *to);
int scalar_rows(row *to);

/* bench.c */
const char *program_path(void);

/* run.c: one row, our side and its peers' */
typedef struct side {
    const peer *peer; /* NULL: we */
    bool absent;      /* not installed */
    bool failed;
    bool wrong; /* its number differs from ours */
    int64_t repetitions;
    int rounds;
    double sample[MOST_ROUNDS]; /* in the row's unit, each divided by its count; ascending after the run */
} side;

typedef struct outcome {
    const row *row;
    int threads;
    int sides;
    side side[1 + MOST_PEERS]; /* ours first */
} outcome;

typedef struct settings {
    int threads[2]; /* the numbers of threads to run with; 0: no second one */
    int rounds;
    double round_seconds; /* of a round, for each side */
    bool cpu;             /* the processor's time, not the clock's */
    const char *json;     /* NULL: none */
} settings;

void run_row(const row *r, int threads, const settings *how, outcome *out);

/* report.c */
void print_heading(const settings *how);
void print_result(const outcome *out);
void print_row(const row *r); /* describes it, without running it */
bool write_json(const char *path, int n, const outcome *results);

/* inputs.c */
double seconds_now(void); /* by the clock or, after `seconds_of_work`, of this process's work */
void seconds_of_work(void);
void *room(int64_t bytes); /* zeroed, aligned to 64 bytes; out of memory, ends the program */
void room_free(const void *p);
float *noise_f32(int64_t n, uint64_t stream, double scale); /* uniform between ±scale; the same as in peer_torch.py */
double *noise_f64(int64_t n, uint64_t stream, double scale);
int64_t *noise_labels(int64_t n, uint64_t stream, int64_t classes);
double weigh_f32(const float *x, int64_t n); /* a number that changes with misplaced and wrong elements */
double weigh_f64(const double *x, int64_t n);
double weigh(ag_tensor *x);
double squares(int n, ag_tensor *const x[]); /* the sum of their squares; f32 */
bool fine(const ag_tape *tape);              /* whether it has no error; else prints it */
ag_tensor *noise_parameter(ag_tape *tape, ag_shape shape, uint64_t stream, double scale);
void copy_bytes(int threads, int64_t moved, int64_t repetitions); /* reads half of `moved`, and writes the other half */
ag_tape *new_tape(const row *r, int threads);                     /* for a row that measures memory, it is counted */
/* The peak of the tape's bytes during a step, without set-up and recycled memory, less these tensors */
double peak_above(const row *r, void (*steps)(const row *, int64_t), ag_tape *tape, int n, ag_tensor *const kept[]);

/* fused.c: written by hand. Each does forward and backward, of n rows of c elements */
typedef struct fused_batchnorm {
    int64_t n, c;
    const void *x, *g, *gamma, *beta;
    void *y, *dx, *dgamma, *dbeta, *running_mean, *running_var;
    double momentum, epsilon;
} fused_batchnorm;
void fused_batchnorm_step_f32(const fused_batchnorm *b, int threads);
void fused_batchnorm_step_f64(const fused_batchnorm *b, int threads);
void fused_gelu_step_f32(int64_t n, const void *x, const void *g, void *y, void *dx, int threads);
void fused_gelu_step_f64(int64_t n, const void *x, const void *g, void *y, void *dx, int threads);
double fused_cross_entropy_step_f32(int64_t n, int64_t c, const void *x, const int64_t *labels, void *dx, int threads);
double fused_cross_entropy_step_f64(int64_t n, int64_t c, const void *x, const int64_t *labels, void *dx, int threads);

/* child.c: a process that runs rows on command */
typedef struct child child;
child *child_torch(int threads, bool work);               /* work: it measures as after `seconds_of_work` */
child *child_torch_memory(void);                          /* it counts its allocated bytes */
child *child_ourselves(int threads, const char *kernels); /* this program, with AG_KERNELS set to that */
const char *child_absent(const child *c);                 /* why it is absent; NULL: it is not */
double child_check(child *c, const char *name);
double child_run(child *c, const char *name, int64_t repetitions); /* seconds for all repetitions; NaN: it failed */
double child_peak(child *c, const char *name);                     /* peak bytes above those that it keeps */
void children_end(void);

#endif
