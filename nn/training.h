/* training -- what goes on around an optimiser's step: rates that change, gradients that add up, averages of weights,
 * and an end in time
 *
 * All of it is plain structs. Numbers that have to outlast a run are public fields, and tensors are variables on the
 * tape with labels of their own, so that a checkpoint can hold both.
 *
 *     ag_schedule schedule = {AG_SCHEDULE_COSINE, .rate = 1e-3, .warmup = 100, .steps = 2000};
 *     …
 *     adam.rate = ag_schedule_rate(&schedule, step); */
#ifndef AG_NN_TRAINING_H
#define AG_NN_TRAINING_H

#include "autograd/autograd.h"

/* ag_kept -- a variable of the model, and another one of its shape that is kept for it
 * The array of them, one for each variable, is the caller's, and then must last as long as what it is given to; or, for
 * NULL, the tape's. The label of what is kept has a word before the variable's: "average.encoder.weight". */
typedef struct ag_kept {
    ag_tensor *variable;
    ag_tensor *value;
    ag_tensor *next[2]; /* inside a step: the next values of both, this one's first */
} ag_kept;

/* ---- Rates that follow the step ---- */

/* ag_schedule_kind -- how the rate follows t, the number of steps since the warm-up ended */
typedef enum ag_schedule_kind {
    AG_SCHEDULE_CONSTANT,    /* rate */
    AG_SCHEDULE_STEP,        /* rate·factor^⌊t/every⌋ */
    AG_SCHEDULE_EXPONENTIAL, /* rate·factor^t */
    AG_SCHEDULE_COSINE,      /* least + (rate − least)·(1 + cos(π·t/T))/2, T being steps − warmup; then least */
    AG_SCHEDULE_ONE_CYCLE    /* by half a cosine up to rate, by another one down; then the last rate */
} ag_schedule_kind;

/* ag_schedule -- a rate as a function of the step alone; fields that a kind does not use are 0 */
typedef struct ag_schedule {
    ag_schedule_kind kind;
    double rate;    /* after the warm-up; for one cycle the highest; 0 or more */
    double factor;  /* of step and exponential; 0 or more */
    int64_t every;  /* of step; 1 or more */
    double least;   /* of cosine; 0 or more */
    int64_t steps;  /* of cosine and one cycle: all steps, the warm-up included; more than it */
    int64_t warmup; /* the steps of the warm-up, in which the rate rises linearly from start·rate to rate; 0: none */
    double start;   /* 0 to 1; with 0, step 0 changes nothing */
    double rise;    /* of one cycle: the part of the steps in which the rate rises; 0 means 0.3; less than 1 */
    double divisor; /* of one cycle: it begins at rate/divisor; 0 means 25; 1 or more */
    double final_divisor; /* of one cycle: it ends at rate/(divisor·final_divisor); 0 means 1e4; 1 or more */
    double low_momentum;  /* of one cycle: where the rate is highest; 0 means 0.85; less than 1 */
    double high_momentum; /* of one cycle: where it begins and ends; 0 means 0.95; less than 1 */
} ag_schedule;

/* ag_schedule_rate -- the rate of a step, counted from 0: give it to the optimiser before that step
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a step below 0, an invalid kind, a number out of its bounds, a warm-up of one
 *         cycle, which is one itself: the result is then NaN, which optimisers refuse
 * Source: StepLR, ExponentialLR, CosineAnnealingLR, OneCycleLR, LinearLR and then these, of torch.optim.lr_scheduler;
 *         past the end CosineAnnealingLR would rise again, and OneCycleLR fail */
AG_API double ag_schedule_rate(const ag_schedule *schedule, int64_t step);

/* ag_schedule_momentum -- the momentum, or Adam's beta1, of a step of one cycle: it falls while the rate rises
 * Errors: as ag_schedule_rate; AG_ERR_RANGE for another kind
 * Source: Smith and Topin, Super-convergence (2018), in the form of OneCycleLR */
AG_API double ag_schedule_momentum(const ag_schedule *schedule, int64_t step);

/* ---- Rates that follow a loss ---- */

/* ag_plateau -- a rate that falls when a value has not improved for long; made by ag_plateau_init
 * A value improves on the best if it is less than best − least, with least = improvement·|best|. NaN improves on
 * nothing, and anything else on NaN. */
typedef struct ag_plateau {
    double rate;        /* the present one */
    double factor;      /* of which the rate keeps this part; 0.1; 0 or more, less than 1 */
    double lowest;      /* the rate stays at or over it; 0 */
    double difference;  /* a smaller change of the rate is not made; 1e-8 */
    double improvement; /* 1e-4; 0 or more */
    bool absolute;      /* least = improvement */
    bool larger;        /* larger values are better: an improvement is over best + least */
    int64_t patience;   /* values without improvement that are borne; 10; 0 or more */
    int64_t cooldown;   /* values after a change that do not count as such; 0 */
    double best;        /* so far; NaN: none */
    int64_t waited;     /* values without improvement since the last one */
    int64_t cooling;    /* what is left of the cooldown */
    unsigned made;      /* inside: what its init leaves to know it by */
} ag_plateau;

/* ag_plateau_init -- begin at this rate
 * Errors: AG_ERR_NULL; AG_ERR_RANGE unless rate is finite and 0 or more */
AG_API ag_status ag_plateau_init(ag_plateau *plateau, double rate);

/* ag_plateau_rate -- plateau->rate after a value was seen: a loss, or with `larger` an accuracy, of an epoch say
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made and a number out of its bounds: the
 *         result is then NaN, and nothing is changed
 * Source: torch.optim.lr_scheduler.ReduceLROnPlateau, except that there a best below 0 lets worse values pass */
AG_API double ag_plateau_rate(ag_plateau *plateau, double value);

/* ---- Gradients of several batches ---- */

/* ag_accumulator -- gradients of small batches, added up to that of a large one; made by ag_accumulator_init
 * The sums are variables, so the tape can be rewound between batches, and memory does not grow with their number:
 *
 *     for (int i = 0; i < 4; i++, ag_tape_rewind(tape, mark)) {
 *         ag_grad(loss_of(batch(i)), n, p, dp);
 *         ag_accumulator_add(&sum, dp, 1);
 *     }
 *     ag_accumulator_mean(&sum, dp);
 *     ag_adam_step(&adam, dp); */
typedef struct ag_accumulator {
    int n;
    ag_kept *kept;     /* the sums, labelled "sum.…" */
    ag_tensor *weight; /* the sum of the weights, labelled "sum_weight.…" by the first; f64 () */
    /* Batches that were added since the last result. ag_accumulator_batches and the next call subtract those that a
     * rewind could not carry out. */
    int64_t batches;
    int64_t counted, values; /* inside: `batches` after the last call, and how many values `weight` had been given */
    unsigned made;           /* inside: what its init leaves to know it by */
} ag_accumulator;

/* ag_accumulator_init -- for the gradients of n parameters
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for n < 1 and a parameter listed twice; AG_ERR_TAPE for one that is not a variable,
 *         and for two tapes; AG_ERR_DTYPE unless all are real; then every call refuses the struct */
AG_API ag_status ag_accumulator_init(ag_accumulator *sum, int n, ag_tensor *const parameters[], ag_kept kept[]);

/* ag_accumulator_add -- add weight·dp[i] to each sum, or, after a result, begin the sums with it
 * If losses are means over a batch, the weight is 1 for batches of one size, or the number of samples in this one.
 * `dp` holds the n gradients in the order of the parameters; NULL takes what ag_backward has found.
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE and AG_ERR_TAPE if a gradient is not as its parameter; AG_ERR_RANGE for a struct
 *         that its init has not made, and unless weight is finite and over 0; then nothing is added */
AG_API ag_status ag_accumulator_add(ag_accumulator *sum, ag_tensor *const dp[], double weight);

/* ag_accumulator_sum -- dp[i] = Σ weight·dp[i] over the batches since the last result; the next batch begins anew
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made, and if no batch was added; every dp[i] is
 *         then nil */
AG_API ag_status ag_accumulator_sum(ag_accumulator *sum, ag_tensor *dp[]);

/* ag_accumulator_mean -- the same, divided by the sum of the weights
 * Errors: as ag_accumulator_sum */
AG_API ag_status ag_accumulator_mean(ag_accumulator *sum, ag_tensor *dp[]);

/* ag_accumulator_batches -- how many batches were added since the last result and carried out
 * Errors: none; 0 for NULL and for a struct that its init has not made */
AG_API int64_t ag_accumulator_batches(ag_accumulator *sum);

/* ---- Averages of weights ---- */

/* ag_average -- a moving average of variables, to be used in their place; made by ag_average_init */
typedef struct ag_average {
    int n;
    ag_kept *kept; /* the averages, labelled "average.…" */
    double decay;  /* the part of the average that a step keeps; 0.999; 0 to 1 */
    /* Begin with the variables' values after the first step, and weigh all steps' values alike at first, as Adam does
     * with its moments: then decay = 1 is the mean of all. Without it the average begins with their values at init. */
    bool corrected;
    int64_t swapped; /* 1: the variables have the averages' values, and these theirs */
    /* Steps taken; ag_average_steps and the next call subtract those that a rewind could not carry out. */
    int64_t steps;
    int64_t counted, values; /* inside: `steps` after the last call, and how many values the first had been given */
    unsigned made;           /* inside: what its init leaves to know it by */
} ag_average;

/* ag_average_init -- the average of n variables, at first their present values
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for n < 1 and a variable listed twice; AG_ERR_TAPE for one that is none, and for
 *         two tapes; AG_ERR_DTYPE unless all are real; then every call refuses the struct */
AG_API ag_status ag_average_init(ag_average *average, int n, ag_tensor *const variables[], ag_kept kept[]);

/* ag_average_step -- a ← a + w·(v − a) after an optimiser's step; w = 1 − decay, or, corrected, with t = steps + 1,
 * w = (1 − decay)/(1 − decay^t)
 * Errors: AG_ERR_RANGE for a struct that its init has not made, a decay out of its bounds, and while swapped; then
 *         nothing is changed
 * Source: Polyak and Juditsky (1992); torch.optim.swa_utils.AveragedModel; the correction is Adam's */
AG_API ag_status ag_average_step(ag_average *average);

/* ag_average_swap -- exchange the variables' values and the averages, at once: to evaluate, and again to train on
 * Training goes on with the bits that it had.
 * Errors: AG_ERR_RANGE for a struct that its init has not made; AG_ERR_MEMORY; then nothing is exchanged */
AG_API ag_status ag_average_swap(ag_average *average);

/* ag_average_steps -- how many steps were taken and carried out, which average->steps becomes
 * Errors: none; 0 for NULL and for a struct that its init has not made */
AG_API int64_t ag_average_steps(ag_average *average);

/* ---- An end in time ---- */

/* ag_stopping -- when to end training: a value has not improved for long; made by ag_stopping_init
 * An improvement is one as ag_plateau has it. */
typedef struct ag_stopping {
    int n;
    ag_kept *kept;      /* the variables' values at the best step, labelled "best.…"; NULL if n = 0 */
    int64_t patience;   /* training ends at that many values in a row without improvement; 10; 1 or more */
    double improvement; /* 0; 0 or more */
    bool absolute;      /* true */
    bool larger;        /* larger values are better */
    double best;        /* so far; NaN: none */
    int64_t best_step;  /* its step, counted from 0; −1: none */
    int64_t steps;      /* values seen */
    int64_t waited;     /* values without improvement since the best */
    unsigned made;      /* inside: what its init leaves to know it by */
} ag_stopping;

/* ag_stopping_init -- watch a value, and keep the best values of n variables (a model's parameters and its running
 * statistics); n may be 0
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for n < 0 and a variable listed twice; AG_ERR_TAPE for one that is none, and for
 *         two tapes; then every call refuses the struct */
AG_API ag_status ag_stopping_init(ag_stopping *stopping, int n, ag_tensor *const variables[], ag_kept kept[]);

/* ag_stopping_step -- whether to end training, after a value was seen; if it is the best, keeps the variables' values
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made and a number out of its bounds;
 *         AG_ERR_MEMORY: the result is then true, and nothing is changed */
AG_API bool ag_stopping_step(ag_stopping *stopping, double value);

/* ag_stopping_restore -- give the variables the values of the best step, at once
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made, and if there is no best value yet;
 *         AG_ERR_MEMORY; then nothing is changed */
AG_API ag_status ag_stopping_restore(ag_stopping *stopping);

#endif
