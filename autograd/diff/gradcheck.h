/* gradcheck -- the parts of a gradient check: recordings of the function, its point, the ladder, comparing, blame */
#ifndef AG_GRADCHECK_H
#define AG_GRADCHECK_H

#include "autograd/diff/diff.h"

typedef enum ag__verdict {
    AG__AGREES,
    AG__KINK,
    AG__DIFFERS,
    AG__UNRESOLVED,
    AG__NOT_FINITE,
    AG__NO_POINT
} ag__verdict;

/* The result of checking one element or direction. */
typedef struct ag__finding {
    ag__verdict verdict;
    int order, input;
    int64_t element, direction; /* element −1: along a direction */
    double expected, got, ratio;
    double low, high;  /* at a kink: the one-sided slopes */
    bool kink, rough;  /* rough: there are kinks near */
    const char *words; /* the problem, where there are no numbers to compare; or NULL */
} ag__finding;

/* One x[i]. */
typedef struct ag__check_input {
    ag_tensor *tensor; /* that f is given: x[i] if that is a variable, else a temporary variable */
    bool own;          /* it is x[i], and the next two are restored */
    ag__buffer *buffer;
    ag_tensor *version;
    int64_t size;
    double *at, *tried, *gradient, *direction;
    double *rounding;     /* how far the gradient moves when the inputs are rounded otherwise */
    int64_t finite;       /* how many elements are finite */
    double typical, norm; /* their mean magnitude, and the root of their sum of squares */
    double steepest;      /* the largest element of the gradient */
} ag__check_input;

/* The arithmetic of the checked function. */
typedef struct ag__precision {
    double epsilon;
    double relative[2];      /* tolerances at orders 1 and 2 */
    double negligible;       /* beside the output's size */
    double first, second;    /* steps to look at before the ladder, as parts of ag__probe.near; second and half of it */
    double bottom[2];        /* of a ladder, as parts of ag__probe.widest and .near */
    double nudge;            /* inputs are moved by this part, up and down, to see the effect of rounding */
    double (*round)(double); /* to the nearest number */
} ag__precision;

/* Memory for the time of a check. */
typedef struct ag__check_block {
    struct ag__check_block *next;
    size_t bytes;
} ag__check_block;

typedef struct ag__check {
    ag_tape *tape;
    ag_function *f;
    void *context;
    int n;
    ag_tensor *const *x;
    ag_gradcheck_options options;
    const ag__precision *precision;
    bool (*acquit)(struct ag__check *c); /* whether every operation by itself is right; NULL: this is one by itself */
    int64_t few; /* with random directions: inputs up to this size are still checked element by element */

    ag__check_input *input;
    ag_tensor **given, **out, **ybar, **dx; /* n each */
    ag_tensor **all;                        /* 2·n */
    ag_tensor *y;                           /* f's output in the last recording */
    ag__check_block *blocks;
    ag__position start, position; /* before and after the temporary variables */
    uint32_t marks;
    uint64_t draws;
    bool recording, sandbox;

    int order;               /* being checked */
    bool searched, innocent; /* whether all operations have been checked at that order, and are right */
    double relative;         /* tolerance, at that order */
    bool shaped;             /* f has been called, and its output had this shape */
    ag_shape shape;
    double *cotangent; /* of f's output */
    int64_t m;         /* outputs of the checked function: f's output, or its gradients in sequence */
    double *w;         /* they are contracted with w */
    double *base, *up, *down, *up_before, *down_before; /* m each */
    bool *moved;                                        /* m: which of them moved at any step of a ladder */
    double magnitude;                                   /* Σ |w·base| */

    ag__finding worst, failed;
    int64_t checked, kinks;
    ag_gradcheck_report *report;
} ag__check;

/* A line through the point. */
typedef struct ag__probe {
    int input;
    int64_t element, direction;
    double near;   /* a small part of this is a good step if the function is well scaled */
    double widest; /* no step needs to exceed this */
    double got;
    double rounding; /* the output's change by rounding the moved elements, */
    double unsure;   /* and the change of `got` by rounding */
} ag__probe;

/* The function at x + h·v and x − h·v. */
typedef struct ag__level {
    bool finite;
    double h;
    double slope;     /* central */
    double low, high; /* Σ over outputs of the smaller, and of the larger, one-sided slope */
    double gap;       /* high − low, */
    double mass;      /* and the sum of the magnitudes */
    double jump;      /* Σ |w|·|up − down| */
    double size;      /* Σ |w·y| over the outputs that moved */
    double noise;     /* bound on the rounding error of `slope` */
    bool still;       /* no output moved */
} ag__level;

/* The search for the guilty operation. */
typedef struct ag__search {
    ag__check *c;
    uint32_t low, end; /* nodes of the last recording are among low … end−1 */
    unsigned char *path;
    ag_tensor *guilty, *suspect; /* a suspect's gradient is 0 by definition */
    ag__finding found, suspicion;
    bool complete; /* every operation has been checked */
    bool twice;    /* the VJP is right, its own gradient is not */
    const ag_tensor *outside, *detached;
} ag__search;

/* recording.c */
void *ag__check_room(ag__check *c, int64_t count, size_t size); /* zeros, until the check is closed; NULL: an error */
double *ag__check_numbers(ag__check *c, int64_t count);
double ag__check_weight(uint64_t seed, uint64_t i); /* number i of a random sequence */
void ag__check_weights(const ag__check *c, uint64_t stream, int64_t count, double *w);
void ag__check_rewind(ag__check *c, const ag__position *position);
bool ag__check_record(ag__check *c); /* record the function again; c->out is its output */
bool ag__check_copy_out(int n, ag_tensor *const x[], double *to);
bool ag__check_put(ag__check *c, ag__check_input *in, const double *values);
/* The function at x + t·v; *moved is the step that was really made. */
bool ag__check_at(ag__check *c, const ag__probe *p, double t, double *y, double *moved);
bool ag__check_open(ag__check *c);
void ag__check_put_back(ag__check *c);                         /* every variable has its own value again */
void ag__check_close(ag__check *c, uint32_t marks, bool keep); /* keep: the last recording */

/* How many tensors the checked function gives. */
static inline int ag__check_outputs(const ag__check *c) { return c->order == 1 ? 1 : c->n; }

/* point.c */
bool ag__check_point(ag__check *c);
bool ag__check_cotangents(ag__check *c); /* record c->ybar, for c->out */

/* ladder.c: levels l[0] … l[n−1], of ever smaller steps */
enum { AG__LEVELS = 48 };

typedef struct ag__estimate {
    double value, error;
} ag__estimate;

/* One level: one-sided slopes from x, or from the level before if there is one. */
bool ag__take_level(ag__check *c, const ag__probe *p, double h, const ag__level *before, ag__level *l);
bool ag__take_ladder(ag__check *c, const ag__probe *p, ag__level l[], int *n);
ag__estimate ag__limit_of(int n, const ag__level l[]);
double ag__moving_size(const ag__check *c); /* Σ |w·y| at the point, of the outputs that have moved at any step */
void ag__estimate_noise(const ag__check *c, const ag__probe *p, double size, int n, ag__level l[]);
bool ag__gap_stays(const ag__level l[], int k);
/* Slopes on both sides of a kink, or of a jump. They return the tolerance beyond the slopes; −1: no kink. */
double ag__kink_between(int n, const ag__level l[], double error, double *low, double *high);
double ag__jump_between(const ag__check *c, int n, const ag__level l[], double *low, double *high);

/* check.c: true if everything agrees; else the tape is in error, or c->failed is the failure */
extern const ag__precision ag__precision_f64, ag__precision_f32;
bool ag__check_compare(ag__check *c);
bool ag__check_element(ag__check *c, int i, int64_t element, ag__finding *r); /* of input i, alone; false: an error */

/* gradcheck.c: the result in words */
typedef struct ag__check_text {
    char *to;
    size_t room, used;
} ag__check_text;

void ag__check_say(ag__check_text *t, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;
void ag__check_say_numbers(ag__check_text *t, const ag__finding *r);
bool ag__check_options_valid(ag_tape *tape, const char *name, const ag_gradcheck_options *o);

/* blame.c */
/* Clears an error of a part of the check. One of memory, or of a limit, stays: the check itself cannot go on. */
void ag__check_forgive(const ag__check *c);
bool ag__check_innocent(ag__check *c); /* whether every operation by itself is right */
void ag__check_accuse(ag__search *s);  /* the recording stays on the tape, with the guilty one if there is any */

#endif
