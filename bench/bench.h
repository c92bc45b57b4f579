/* bench -- what the rows and the program around them share
 *
 * A row is one piece of work. We do it, and each of its peers does it, in turn, in rounds: so that what disturbs the
 * machine disturbs all alike. Before anything is timed, each peer has to get the number that we get. */
#ifndef BENCH_H
#define BENCH_H

#include "autograd/autograd.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOST_PEERS = 4, MOST_ROWS = 160 };

typedef struct row row;

/* Who a peer is: a function in this program, a process that we talk to, or a plain number that is to be reached. */
typedef enum where { NOBODY, HERE, TORCH, BLIS_ALONE, FIGURE } where;

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
    bool (*setup)(const row *r, int threads);
    void (*work)(const row *r, int64_t repetitions);
    double (*measure)(const row *r); /* instead of `work`, for what is not a time */
    double (*check)(const row *r);   /* do it once, and give a number that stands for what came out; may be NULL */
    bool (*teardown)(const row *r);  /* false: something has failed meanwhile, so that the times mean nothing */
    peer peers[MOST_PEERS];
};

/* Each adds its rows and returns how many. */
int tape_rows(row *to);
int matmul_rows(row *to);
int training_rows(row *to);
int composed_rows(row *to);
int program_rows(row *to);

/* rows_matmul.c: a row's product by BLIS alone: the seconds that it took; for no repetitions, its number */
double matmul_blis_alone(const row *r, int threads, int64_t repetitions);

/* bench.c */
const char *program_path(void);

/* inputs.c */
double seconds_now(void); /* by the clock, or of this process's work after `seconds_of_work` */
void seconds_of_work(void);
void *room(int64_t bytes); /* zeroed, aligned to 64 bytes; ends the program if there is none */
void room_free(const void *p);
float *noise_f32(int64_t n, uint64_t stream, double scale); /* even between ±scale; peer_torch.py has the same */
double *noise_f64(int64_t n, uint64_t stream, double scale);
int64_t *noise_labels(int64_t n, uint64_t stream, int64_t classes);
double weigh_f32(const float *x, int64_t n); /* a sum that notices misplaced and wrong elements */
double weigh_f64(const double *x, int64_t n);
double weigh(ag_tensor *x);
bool fine(const ag_tape *tape); /* whether it has no error; else says which */

/* child.c: a process that does rows on command */
typedef struct child child;
child *child_torch(int threads, bool work); /* work: it counts as after `seconds_of_work` */
child *child_blis(int threads, bool work);
const char *child_absent(const child *c); /* why it is not there; NULL if it is */
double child_check(child *c, const char *name);
double child_run(child *c, const char *name, int64_t repetitions); /* seconds for all of them; NaN: it failed */
void children_end(void);

#endif
