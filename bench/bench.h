/* bench -- what the rows and the program around them share
 *
 * A row is one piece of work. We do it, and each of its peers does it, in turn, in rounds: so that what disturbs the
 * machine disturbs all alike. Before anything is timed, each peer has to get the number that we get. */
#ifndef BENCH_H
#define BENCH_H

#include "autograd/autograd.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOST_PEERS = 4, MOST_ROWS = 240, MOST_ROUNDS = 200 };

typedef struct row row;

/* Who a peer is: a function in this program, a process that we talk to, a streaming copy of as many bytes as the row
 * has to move, or a plain number that is to be reached. */
typedef enum where { NOBODY, HERE, TORCH, TORCH_MEMORY, COPY, FIGURE } where;

typedef struct peer {
    const char *name;
    where where;
    double limit;                                    /* ours ÷ theirs is to be at most that; 0: nothing is asked */
    double figure;                                   /* FIGURE: theirs */
    void (*work)(const row *r, int64_t repetitions); /* HERE */
    double (*check)(const row *r);                   /* HERE: as the row's; NULL: nothing to compare */
    bool (*present)(void);                           /* HERE: NULL if it always is */
} peer;

struct row {
    char name[40];
    const char *what;              /* one line */
    const char *unit;              /* "s", "B" or "calls" */
    const char *each;              /* what it is given for: "node" and the like; "" for a repetition */
    double (*count)(const row *r); /* how many of these a repetition does, after `setup`; NULL: one */
    int64_t size[4];               /* the row's own numbers: extents and the like */
    int64_t moved;                 /* bytes that must come from memory or go there, if nothing is kept; 0: not said */
    bool once;                     /* not for each number of threads: they make no difference */
    bool (*setup)(const row *r, int threads);
    void (*work)(const row *r, int64_t repetitions);
    double (*measure)(const row *r); /* instead of `work`, for what is not a time */
    double (*check)(const row *r);   /* do it once, and give a number that stands for what came out; may be NULL */
    bool (*teardown)(const row *r);  /* false: something has failed meanwhile, so that the times mean nothing */
    peer peers[MOST_PEERS];
};

/* Each adds its rows and returns how many. */
int composed_rows(row *to);
int lenet_rows(row *to);
int lstm_rows(row *to);
int matmul_rows(row *to);
int optimiser_rows(row *to);
int program_rows(row *to);
int structure_rows(row *to);
int tape_rows(row *to);
int training_rows(row *to);
int transformer_rows(row *to);

/* bench.c */
const char *program_path(void);

/* run.c: one row, ours and its peers' */
typedef struct side {
    const peer *peer; /* NULL: we */
    bool absent;      /* not installed */
    bool failed;
    bool wrong; /* gets another number than we */
    int64_t repetitions;
    int rounds;
    double sample[MOST_ROUNDS]; /* in the row's unit, for each of what it counts; ascending when the row has run */
} side;

typedef struct outcome {
    const row *row;
    int threads;
    int sides;
    side side[1 + MOST_PEERS]; /* we first */
} outcome;

typedef struct settings {
    int threads[2]; /* how many threads, one number after the other; 0: no second one */
    int rounds;
    double round_seconds; /* that a round is to take each side */
    bool cpu;             /* the processor's time, not the clock's */
    const char *json;     /* NULL: none */
} settings;

void run_row(const row *r, int threads, const settings *how, outcome *out);

/* report.c */
void print_heading(const settings *how);
void print_result(const outcome *out);
void print_row(const row *r); /* what it is, without running it */
bool write_json(const char *path, int n, const outcome *results);

/* inputs.c */
double seconds_now(void); /* by the clock, or of this process's work after `seconds_of_work` */
void seconds_of_work(void);
void *room(int64_t bytes); /* zeroed, aligned to 64 bytes; ends the program if there is none */
void room_free(const void *p);
float *noise_f32(int64_t n, uint64_t stream, double scale); /* even between ±scale; peer_torch.py has the same */
double *noise_f64(int64_t n, uint64_t stream, double scale);
int64_t *noise_labels(int64_t n, uint64_t stream, int64_t classes);
double weigh_f32(const float *x, int64_t n); /* a number that changes with misplaced and wrong elements */
double weigh_f64(const double *x, int64_t n);
double weigh(ag_tensor *x);
double squares(int n, ag_tensor *const x[]); /* their sum; f32 */
bool fine(const ag_tape *tape);              /* whether it has no error; else says which */
ag_tensor *noise_parameter(ag_tape *tape, ag_shape shape, uint64_t stream, double scale);
void copy_bytes(int threads, int64_t moved, int64_t repetitions); /* reads half of `moved`, and writes the other */
ag_tape *new_tape(const row *r, int threads);                     /* of a row that measures: its memory is counted */
/* The most bytes that the tape held during a step, set-up and recycled memory not counted, less these tensors */
double peak_above(const row *r, void (*steps)(const row *, int64_t), ag_tape *tape, int n, ag_tensor *const kept[]);

/* fused.c: what can be had by hand. Each does forward and backward, of n rows of c elements, in f32 */
typedef struct fused_batchnorm {
    int64_t n, c;
    const float *x, *g, *gamma, *beta;
    float *y, *dx, *dgamma, *dbeta, *running_mean, *running_var;
    double momentum, epsilon;
} fused_batchnorm;
void fused_batchnorm_step(const fused_batchnorm *b, int threads);
void fused_gelu_step(int64_t n, const float *x, const float *g, float *y, float *dx, int threads);
double fused_cross_entropy_step(int64_t n, int64_t c, const float *x, const int64_t *labels, float *dx, int threads);

/* child.c: a process that does rows on command */
typedef struct child child;
child *child_torch(int threads, bool work); /* work: it counts as after `seconds_of_work` */
child *child_torch_memory(void);            /* it counts the bytes that it has allocated */
const char *child_absent(const child *c);   /* why it is not there; NULL if it is */
double child_check(child *c, const char *name);
double child_run(child *c, const char *name, int64_t repetitions); /* seconds for all of them; NaN: it failed */
double child_peak(child *c, const char *name);                     /* bytes, the most above what it keeps */
void children_end(void);

#endif
