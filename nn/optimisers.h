/* optimisers -- stochastic gradient descent with momentum, RMSProp, Adam; and clipping of gradients
 *
 * A step is ordinary recorded arithmetic and assignments, carried out at the latest with the rewind: all of them or,
 * out of memory, none. An optimiser's state is variables on the tape; their handles live in an array, one ag_slot a
 * parameter. For NULL the tape provides it; an array that the caller provides must last as long as the optimiser. A
 * state's label is its own name before its parameter's: "adam.first_moment.layer.weight"; without label if that has
 * none. The numbers of the struct (the rate above all) may be changed between steps, within their bounds. A step that
 * is refused raises an error on the tape and changes nothing. An init that fails leaves no tensor on the tape, and an
 * optimiser that every step refuses. Frozen parameters (ag_freeze) and their state stay as they are; their gradients
 * are not looked at, and may be NULL. */
#ifndef AG_NN_OPTIMISERS_H
#define AG_NN_OPTIMISERS_H

#include "autograd/autograd.h"

/* ag_group -- parameters with a rate and a decay of their own, in place of their optimiser's; made by ag_group_init */
typedef struct ag_group {
    int n;
    struct ag_slot *slots; /* the optimiser's, all of them: the group's are those that point to it */
    double rate;           /* as given; 0 or more */
    double decay;          /* of the weights; 0 */
    unsigned made;         /* inside: what its init leaves to know it by */
} ag_group;

/* ag_slot -- one parameter of an optimiser, and its state */
typedef struct ag_slot {
    ag_tensor *parameter;
    /* Variables of the parameter's shape. SGD: velocity; RMSProp: mean square, velocity; Adam: first moment, second
     * moment. NULL: not used. */
    ag_tensor *state[2];
    const ag_group *group; /* NULL: none */
    /* Adam: steps that were taken while the parameter was frozen. A checkpoint has to hold it if there were any. */
    int64_t missed;
    ag_tensor *next[3]; /* inside a step: the next values of parameter and state; NULL: it is frozen */
} ag_slot;

/* ag_sgd -- stochastic gradient descent; made by ag_sgd_init */
typedef struct ag_sgd {
    int n;
    ag_slot *slots;
    double rate;     /* as given; 0 or more */
    double momentum; /* the part of the velocity that a step keeps; as given; 0 or more */
    double decay;    /* of the weights: adds decay·p to the gradient, which is L2 regularisation; 0 */
    unsigned made;   /* inside: what its init leaves to know it by */
} ag_sgd;

/* ag_sgd_init -- stochastic gradient descent of n parameters; with momentum 0 there is no state
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for n < 1, a parameter listed twice, a number out of its bounds; AG_ERR_GRADIENT
 *         for a tensor that is not a parameter, AG_ERR_TAPE for two tapes */
AG_API ag_status ag_sgd_init(ag_sgd *sgd, int n, ag_tensor *const parameters[], ag_slot slots[], double rate,
                             double momentum);

/* ag_sgd_step -- g = dp + decay·p;  v ← momentum·v + g;  p ← p − rate·v
 * `dp` holds the n gradients in the order of the parameters; NULL takes what ag_backward has found.
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE and AG_ERR_TAPE if a gradient is not as its parameter; AG_ERR_RANGE for a struct
 *         that its init has not made, a number out of its bounds, a momentum that was 0 at first; then no parameter is
 *         changed
 * Source: Polyak's heavy ball, in the form of torch.optim.SGD */
AG_API ag_status ag_sgd_step(ag_sgd *sgd, ag_tensor *const dp[]);

/* ag_sgd_velocity -- v of parameter i, a variable
 * Errors: AG_ERR_NULL; AG_ERR_RANGE if there is no such parameter, or if momentum was 0 at first */
AG_API ag_tensor *ag_sgd_velocity(const ag_sgd *sgd, int i);

/* ag_rmsprop -- RMSProp; made by ag_rmsprop_init */
typedef struct ag_rmsprop {
    int n;
    ag_slot *slots;
    double rate;     /* 0.01; 0 or more */
    double beta;     /* the part of the mean square that a step keeps; 0.99; 0 or more, less than 1 */
    double epsilon;  /* 1e-8; over 0 */
    double momentum; /* the part of the velocity that a step keeps; 0 */
    double decay;    /* of the weights: adds decay·p to the gradient; 0 */
    unsigned made;   /* inside: what its init leaves to know it by */
} ag_rmsprop;

/* ag_rmsprop_init -- RMSProp over n parameters
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for n < 1 and a parameter listed twice; AG_ERR_GRADIENT for a tensor that is not
 *         a parameter, AG_ERR_TAPE for two tapes */
AG_API ag_status ag_rmsprop_init(ag_rmsprop *rmsprop, int n, ag_tensor *const parameters[], ag_slot slots[]);

/* ag_rmsprop_step -- g = dp + decay·p;  v ← beta·v + (1−beta)·g²;  u ← momentum·u + g/(√v + epsilon);  p ← p − rate·u
 * `dp` holds the n gradients in the order of the parameters; NULL takes what ag_backward has found.
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE and AG_ERR_TAPE if a gradient is not as its parameter; AG_ERR_RANGE for a struct
 *         that its init has not made and a number out of its bounds; then no parameter is changed
 * Source: Tieleman and Hinton, lecture 6.5 (2012), in the form of torch.optim.RMSprop */
AG_API ag_status ag_rmsprop_step(ag_rmsprop *rmsprop, ag_tensor *const dp[]);

/* ag_rmsprop_mean_square -- v of parameter i, a variable
 * Errors: AG_ERR_NULL; AG_ERR_RANGE if there is no such parameter */
AG_API ag_tensor *ag_rmsprop_mean_square(const ag_rmsprop *rmsprop, int i);

/* ag_rmsprop_velocity -- u of parameter i, a variable; stays 0 while momentum is
 * Errors: AG_ERR_NULL; AG_ERR_RANGE if there is no such parameter */
AG_API ag_tensor *ag_rmsprop_velocity(const ag_rmsprop *rmsprop, int i);

/* ag_adam -- Adam; made by ag_adam_init */
typedef struct ag_adam {
    int n;
    ag_slot *slots;
    double rate;    /* 0.001; 0 or more */
    double beta1;   /* the part of the first moment that a step keeps; 0.9; 0 or more, less than 1 */
    double beta2;   /* the part of the second moment that a step keeps; 0.999; likewise */
    double epsilon; /* 1e-8; over 0 */
    double decay;   /* of the weights, apart from the gradient (AdamW); 0 */
    /* Steps taken, at most INT64_MAX: the correction of the moments' bias needs it. ag_adam_steps and the next step
     * subtract those that a rewind could not carry out. */
    int64_t steps;
    int64_t counted,
        values;    /* inside: `steps` after the last step, and how many values the first moment had been given */
    unsigned made; /* inside: what its init leaves to know it by */
} ag_adam;

/* ag_adam_init -- Adam over n parameters
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for n < 1 and a parameter listed twice; AG_ERR_GRADIENT for a tensor that is not
 *         a parameter, AG_ERR_TAPE for two tapes */
AG_API ag_status ag_adam_init(ag_adam *adam, int n, ag_tensor *const parameters[], ag_slot slots[]);

/* ag_adam_step -- m ← beta1·m + (1−beta1)·dp;  v ← beta2·v + (1−beta2)·dp²;  with t = steps + 1,
 * p ← p − rate·(m/(1−beta1^t) / (√(v/(1−beta2^t)) + epsilon) + decay·p)
 * `dp` holds the n gradients in the order of the parameters; NULL takes what ag_backward has found.
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE and AG_ERR_TAPE if a gradient is not as its parameter; AG_ERR_RANGE for a struct
 *         that its init has not made and a number out of its bounds; then no parameter is changed
 * Source: Kingma and Ba, Adam (2015), algorithm 1; decay as in Loshchilov and Hutter (2019) */
AG_API ag_status ag_adam_step(ag_adam *adam, ag_tensor *const dp[]);

/* ag_adam_steps -- how many steps were taken and carried out, which adam->steps becomes
 * Errors: none; 0 for NULL and for a struct that ag_adam_init has not made */
AG_API int64_t ag_adam_steps(ag_adam *adam);

/* ag_adam_first_moment -- m of parameter i, a variable
 * Errors: AG_ERR_NULL; AG_ERR_RANGE if there is no such parameter */
AG_API ag_tensor *ag_adam_first_moment(const ag_adam *adam, int i);

/* ag_adam_second_moment -- v of parameter i, a variable
 * Errors: AG_ERR_NULL; AG_ERR_RANGE if there is no such parameter */
AG_API ag_tensor *ag_adam_second_moment(const ag_adam *adam, int i);

/* ag_group_init -- give n of an optimiser's parameters this rate, and no decay; the struct must last as long as it does
 * The list may be one by name. A parameter leaves the group that it was in.
 *
 *     ag_list encoder = ag_parameters(tape, "encoder");
 *     ag_group_init(&slow, adam.n, adam.slots, encoder.n, encoder.x, 1e-5);
 *
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for n < 1 or `slots` < 1, a rate out of its bounds, a parameter listed twice or not
 *         the optimiser's; AG_ERR_GRADIENT for a tensor that is not a parameter, AG_ERR_TAPE for two tapes; then no
 *         parameter is in the group */
AG_API ag_status ag_group_init(ag_group *group, int slots, ag_slot slot[], int n, ag_tensor *const parameters[],
                               double rate);

/* ag_group_freeze -- ag_freeze of each of the group's parameters
 * Errors: AG_ERR_NULL; AG_ERR_RANGE for a struct that its init has not made; as ag_freeze */
AG_API ag_status ag_group_freeze(ag_group *group, bool frozen);

/* ag_clip_value -- bring each element of n gradients into [−most, most]; NaN stays NaN
 * Errors: AG_ERR_NULL, also for n < 1; AG_ERR_RANGE unless most > 0; AG_ERR_DTYPE unless all are real, and one dtype;
 *         then all g[i] are unchanged, or nil
 * Source: torch.nn.utils.clip_grad_value_ */
AG_API ag_status ag_clip_value(int n, ag_tensor *g[], double most);

/* ag_clip_norm -- scale n gradients so that their common norm, of all their elements, is at most `most`: replaces each
 * g[i] by g[i]·min(1, most/(norm + 1e-6)), and returns the norm, which is right wherever the dtype can represent it.
 * NaN and infinity are not hidden: if an element is NaN, norm and all gradients are NaN; if one is infinite, the norm
 * is infinite, that element NaN, and the others 0. To skip such a step, look at the norm first
 * Shape:  g[i] (…) -> ()
 * Dtype:  real, one for all
 * Grad:   from the graph; that of the norm is 0 where all elements are 0
 * Errors: AG_ERR_NULL, also for n < 1; AG_ERR_RANGE unless most > 0; AG_ERR_DTYPE; then all g[i] are unchanged, or nil
 * Source: Pascanu et al. (2013), in the form of torch.nn.utils.clip_grad_norm_ */
AG_API ag_tensor *ag_clip_norm(int n, ag_tensor *g[], double most);

#endif
