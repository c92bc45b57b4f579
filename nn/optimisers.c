/* optimisers -- stochastic gradient descent with momentum, RMSProp, Adam; and clipping of gradients
 *
 * A step has three parts: it checks its arguments, records the next value of every parameter and state, and assigns
 * all of them, joined with each other. So a step that fails while it is recorded changes nothing, and one that
 * cannot be carried out later is lost as a whole. p is a parameter, g its gradient. */
#include "autograd/tape/format.h"
#include "nn/variables.h"

#include <math.h>

/* ---- What they have in common ---- */

/* The mark that an init leaves in its struct: a step refuses a struct of another kind, or one never initialised. */
enum { SGD = 0x5367641, RMSPROP, ADAM, GROUP };

typedef struct optimiser {
    const char *name; /* of the call */
    int n;
    ag_slot *slots;
    int states; /* variables a parameter that a step assigns */
} optimiser;

/* NULL if the lists are not NULL or empty; else nil, of the parameters' tape if there is one. */
static ag_tensor *lists_wrong(const char *name, const void *own, int n, ag_tensor *const parameters[]) {
    ag_tape *tape = n >= 1 && parameters ? ag_tape_of(parameters[0]) : NULL;
    if (!own) return ag__refuse_on(tape, name, AG_ERR_NULL, "the optimiser is NULL");
    if (n < 1) return ag__refuse_on(NULL, name, AG_ERR_RANGE, "%d parameters: at least 1 is wanted", n);
    if (!parameters) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the list of %d parameters is NULL", n);
    return NULL;
}

/* One slot a parameter, each with as many variables as there are names; all nil after an error, so that a step does
 * nothing, and no variable is left. Without an array for them they are the tape's, as long as the optimiser's state
 * is. */
static ag_status open_slots(const char *name, int n, ag_tensor *const parameters[], ag_slot **given,
                            const char *const names[2]) {
    const int states = !names[0] ? 0 : !names[1] ? 1 : 2;
    int line;
    const char *file = ag_caller(&line);
    ag_tensor *nil = ag__list_wrong(name, "parameter", n, parameters, ag__is_parameter, AG_ERR_GRADIENT,
                                    "is not a parameter: ag_parameter makes one");
    if (!nil && !*given) *given = ag_tape_alloc(ag_tape_of(parameters[0]), (size_t)n * sizeof **given);
    ag_slot *slots = *given;
    if (!slots) return ag__at(file, line, nil ? nil : parameters[0]);
    const ag_mark before = nil ? (ag_mark){0} : ag_tape_mark(ag_tape_of(parameters[0]));
    for (int i = 0; i < n; i++) slots[i] = (ag_slot){.parameter = nil ? nil : parameters[i], .state = {nil, nil}};
    for (int i = 0; i < n && !nil; i++)
        for (int k = 0; k < states && !nil; k++) {
            ag_tensor *p = parameters[i], *zeros = ag_zeros(ag_tape_of(p), ag_dtype_of(p), ag_shape_of(p));
            ag_tensor *v = ag__variable_for(p, zeros, names[k]);
            slots[i].state[k] = v;
            if (ag_is_nil(v)) nil = v;
        }
    for (int i = 0; i < n && nil; i++) slots[i] = (ag_slot){.parameter = nil, .state = {nil, nil}};
    if (nil && before.tape) ag_tape_rewind(ag_tape_of(parameters[0]), before);
    return ag__at(file, line, nil ? nil : states ? slots[n - 1].state[0] : parameters[0]);
}

/* NULL if the struct was made by its init; else nil, after an error. Gradients are read only if n says that there
 * are parameters. */
static ag_tensor *struct_wrong(const char *name, const void *own, int n, const ag_slot slots[], bool made,
                               ag_tensor *const dp[]) {
    if (!own) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the optimiser is NULL");
    ag_tape *tape = n >= 1 && dp ? ag_tape_of(dp[0]) : NULL;
    if (!made)
        return ag__refuse_on(tape, name, AG_ERR_RANGE, "the optimiser was not made by its init, or its init failed");
    if (n < 1) return ag__refuse_on(NULL, name, AG_ERR_RANGE, "the optimiser's n is %d: 1 or more is wanted", n);
    if (!slots) return ag__refuse_on(tape, name, AG_ERR_NULL, "the optimiser's slots are NULL");
    return NULL;
}

/* NULL if a number lies within its bounds; else nil, after an error. */
static ag_tensor *number_wrong(ag_tape *tape, const char *name, const char *what, double value, bool good,
                               const char *wanted) {
    return good ? NULL : ag__refuse_on(tape, name, AG_ERR_RANGE, "the %s is %g: %s is wanted", what, value, wanted);
}

static ag_tensor *size_wrong(ag_tape *tape, const char *name, const char *what, double value) {
    return number_wrong(tape, name, what, value, value >= 0 && isfinite(value), "a finite number of 0 or more");
}

static ag_tensor *part_wrong(ag_tape *tape, const char *name, const char *what, double value) {
    return number_wrong(tape, name, what, value, value >= 0 && value < 1, "a number of 0 or more and less than 1");
}

static ag_tensor *epsilon_wrong(ag_tape *tape, const char *name, double value) {
    return number_wrong(tape, name, "epsilon", value, value > 0 && isfinite(value), "a finite number over 0");
}

static ag_tensor *group_wrong(const char *name, int i, const ag_slot *slot) {
    char what[80];
    ag_tape *tape = ag_tape_of(slot->parameter);
    if (slot->group->made != GROUP)
        return ag__refuse(name, 1, &slot->parameter, AG_ERR_RANGE,
                          "the group of parameter %d was not made by its init, or its init failed", i);
    ag__format(what, sizeof what, "rate of the group of parameter %d", i);
    ag_tensor *nil = size_wrong(tape, name, what, slot->group->rate);
    ag__format(what, sizeof what, "decay of the group of parameter %d", i);
    return nil ? nil : size_wrong(tape, name, what, slot->group->decay);
}

/* NULL if slots and gradients are what a step needs; else nil, after an error. */
static ag_tensor *step_wrong(const optimiser *o, ag_tensor *const dp[]) {
    ag_tensor *first = o->slots[0].parameter, *nil = NULL;
    for (int i = 0; i < o->n && !nil; i++) {
        ag_slot *slot = &o->slots[i];
        ag_tensor *p = slot->parameter;
        if (!ag__is_parameter(p))
            nil = ag__refuse_number(o->name, "slot", i, p ? p : first, p, AG_ERR_GRADIENT, "holds no parameter");
        else if (ag_tape_of(p) != ag_tape_of(first))
            nil =
                ag__refuse_number(o->name, "parameter", i, first, p, AG_ERR_TAPE, "is on another tape than the first");
        for (int k = 0; k < o->states && !nil; k++) {
            nil = ag__unlike(o->name, k ? "second state" : "state", i, p, slot->state[k]);
            if (!nil && ag_op_of(slot->state[k]) != ag_op_of(p))
                nil = ag__refuse_number(o->name, k ? "second state" : "state", i, p, slot->state[k], AG_ERR_TAPE,
                                        "is not a variable");
        }
        if (!nil && slot->group) nil = group_wrong(o->name, i, slot);
        if (!nil && dp && !ag_is_frozen(p)) nil = ag__unlike(o->name, "gradient of parameter", i, p, dp[i]);
    }
    return nil;
}

/* The gradient of parameter i, given by the caller or found by ag_backward. */
static ag_tensor *gradient_of(const optimiser *o, ag_tensor *const dp[], int i) {
    return dp ? dp[i] : ag_gradient(o->slots[i].parameter);
}

/* Whether a step changes it; if not, that is noted. */
static bool is_trained(ag_slot *slot) {
    slot->next[0] = NULL;
    return !ag_is_frozen(slot->parameter);
}

static double rate_of(const ag_slot *slot, double common) { return slot->group ? slot->group->rate : common; }
static double decay_of(const ag_slot *slot, double common) { return slot->group ? slot->group->decay : common; }

/* Assign all together. On a tape in error nothing is assigned, and the error gets the caller's location. */
static ag_status assign_all(const optimiser *o) {
    ag_tensor *first = NULL;
    ag_status status = ag_tape_status(ag_tape_of(o->slots[0].parameter));
    if (status != AG_OK) return ag_eval(o->slots[0].parameter);
    for (int i = 0; i < o->n; i++) {
        ag_slot *slot = &o->slots[i];
        ag_tensor *p = slot->parameter;
        if (!slot->next[0]) continue;
        status = first ? ag_assign_with(p, slot->next[0], first) : ag_assign(p, slot->next[0]);
        if (!first) first = p;
        for (int k = 0; k < o->states; k++) status = ag_assign_with(slot->state[k], slot->next[k + 1], first);
    }
    return status;
}

/* ---- SGD ---- */

static ag_tensor *sgd_numbers_wrong(ag_tape *tape, const char *name, const ag_sgd *sgd) {
    ag_tensor *nil = size_wrong(tape, name, "rate", sgd->rate);
    if (!nil) nil = size_wrong(tape, name, "momentum", sgd->momentum);
    return nil ? nil : size_wrong(tape, name, "decay", sgd->decay);
}

ag_status ag_sgd_init(ag_sgd *sgd, int n, ag_tensor *const parameters[], ag_slot slots[], double rate,
                      double momentum) {
    static const char name[] = "sgd_init";
    const ag_sgd made = {.n = n, .slots = slots, .rate = rate, .momentum = momentum, .made = SGD};
    ag_tensor *nil = lists_wrong(name, sgd, n, parameters);
    if (!nil) nil = sgd_numbers_wrong(ag_tape_of(parameters[0]), name, &made);
    if (sgd) *sgd = nil ? (ag_sgd){.n = n > 0 ? n : 0} : made;
    const char *const states[2] = {momentum != 0 ? "sgd.velocity" : NULL, NULL};
    return nil ? ag_eval(nil) : open_slots(name, n, parameters, &sgd->slots, states);
}

static ag_tensor *sgd_wrong(const char *name, const ag_sgd *sgd, ag_tensor *const dp[]) {
    ag_tensor *nil = struct_wrong(name, sgd, sgd ? sgd->n : 0, sgd ? sgd->slots : NULL, sgd && sgd->made == SGD, dp);
    if (nil) return nil;
    ag_tensor *p = sgd->slots[0].parameter;
    if ((nil = sgd_numbers_wrong(ag_tape_of(p), name, sgd)) != NULL) return nil;
    if (sgd->momentum != 0 && ag__is_parameter(p) && !sgd->slots[0].state[0])
        return ag__refuse(name, 1, &p, AG_ERR_RANGE,
                          "momentum %g: it must stay 0, because it was 0 at first and there is no velocity",
                          sgd->momentum);
    return step_wrong(&(optimiser){name, sgd->n, sgd->slots, sgd->momentum != 0}, dp);
}

static void sgd_next(const ag_sgd *sgd, ag_slot *slot, ag_tensor *g) {
    ag_tensor *p = slot->parameter;
    double rate = rate_of(slot, sgd->rate), decay = decay_of(slot, sgd->decay);
    if (decay != 0) g = ag_add(g, ag_scale(p, decay));
    ag_tensor *v = g;
    if (sgd->momentum != 0) v = ag_add(ag_scale(slot->state[0], sgd->momentum), g);
    slot->next[0] = ag_sub(p, ag_scale(v, rate));
    slot->next[1] = v;
}

ag_status ag_sgd_step(ag_sgd *sgd, ag_tensor *const dp[]) {
    ag_tensor *nil = sgd_wrong("sgd_step", sgd, dp);
    if (nil) return ag_eval(nil);
    const optimiser o = {"sgd_step", sgd->n, sgd->slots, sgd->momentum != 0};
    ag_tape *tape = ag_tape_of(sgd->slots[0].parameter);
    bool recording = ag_tape_set_recording(tape, false);
    for (int i = 0; i < sgd->n; i++)
        if (is_trained(&sgd->slots[i])) sgd_next(sgd, &sgd->slots[i], gradient_of(&o, dp, i));
    ag_status status = assign_all(&o);
    ag_tape_set_recording(tape, recording);
    return status;
}

/* ---- RMSProp ---- */

ag_status ag_rmsprop_init(ag_rmsprop *rmsprop, int n, ag_tensor *const parameters[], ag_slot slots[]) {
    static const char name[] = "rmsprop_init";
    ag_tensor *nil = lists_wrong(name, rmsprop, n, parameters);
    if (rmsprop) *rmsprop = (ag_rmsprop){.n = n > 0 ? n : 0};
    if (nil) return ag_eval(nil);
    *rmsprop = (ag_rmsprop){.n = n, .slots = slots, .rate = 1e-2, .beta = 0.99, .epsilon = 1e-8, .made = RMSPROP};
    static const char *const states[2] = {"rmsprop.mean_square", "rmsprop.velocity"};
    return open_slots(name, n, parameters, &rmsprop->slots, states);
}

static ag_tensor *rmsprop_wrong(const char *name, const ag_rmsprop *r, ag_tensor *const dp[]) {
    ag_tensor *nil = struct_wrong(name, r, r ? r->n : 0, r ? r->slots : NULL, r && r->made == RMSPROP, dp);
    if (nil) return nil;
    ag_tape *tape = ag_tape_of(r->slots[0].parameter);
    if (!nil) nil = size_wrong(tape, name, "rate", r->rate);
    if (!nil) nil = part_wrong(tape, name, "beta", r->beta);
    if (!nil) nil = epsilon_wrong(tape, name, r->epsilon);
    if (!nil) nil = size_wrong(tape, name, "momentum", r->momentum);
    if (!nil) nil = size_wrong(tape, name, "decay", r->decay);
    return nil ? nil : step_wrong(&(optimiser){name, r->n, r->slots, r->momentum != 0 ? 2 : 1}, dp);
}

static void rmsprop_next(const ag_rmsprop *rmsprop, ag_slot *slot, ag_tensor *g) {
    ag_tensor *p = slot->parameter;
    double rate = rate_of(slot, rmsprop->rate), decay = decay_of(slot, rmsprop->decay);
    if (decay != 0) g = ag_add(g, ag_scale(p, decay));
    ag_tensor *v = ag_add(ag_scale(slot->state[0], rmsprop->beta), ag_scale(ag_square(g), 1 - rmsprop->beta));
    ag_tensor *u = ag_div(g, ag_add_scalar(ag_sqrt(v), rmsprop->epsilon));
    if (rmsprop->momentum != 0) u = ag_add(ag_scale(slot->state[1], rmsprop->momentum), u);
    slot->next[0] = ag_sub(p, ag_scale(u, rate));
    slot->next[1] = v;
    slot->next[2] = u;
}

ag_status ag_rmsprop_step(ag_rmsprop *rmsprop, ag_tensor *const dp[]) {
    ag_tensor *nil = rmsprop_wrong("rmsprop_step", rmsprop, dp);
    if (nil) return ag_eval(nil);
    const optimiser o = {"rmsprop_step", rmsprop->n, rmsprop->slots, rmsprop->momentum != 0 ? 2 : 1};
    ag_tape *tape = ag_tape_of(rmsprop->slots[0].parameter);
    bool recording = ag_tape_set_recording(tape, false);
    for (int i = 0; i < rmsprop->n; i++)
        if (is_trained(&rmsprop->slots[i])) rmsprop_next(rmsprop, &rmsprop->slots[i], gradient_of(&o, dp, i));
    ag_status status = assign_all(&o);
    ag_tape_set_recording(tape, recording);
    return status;
}

/* ---- Adam ---- */

ag_status ag_adam_init(ag_adam *adam, int n, ag_tensor *const parameters[], ag_slot slots[]) {
    static const char name[] = "adam_init";
    ag_tensor *nil = lists_wrong(name, adam, n, parameters);
    if (adam) *adam = (ag_adam){.n = n > 0 ? n : 0};
    if (nil) return ag_eval(nil);
    *adam =
        (ag_adam){.n = n, .slots = slots, .rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .made = ADAM};
    static const char *const states[2] = {"adam.first_moment", "adam.second_moment"};
    return open_slots(name, n, parameters, &adam->slots, states);
}

static ag_tensor *adam_wrong(const char *name, const ag_adam *adam, ag_tensor *const dp[]) {
    ag_tensor *nil =
        struct_wrong(name, adam, adam ? adam->n : 0, adam ? adam->slots : NULL, adam && adam->made == ADAM, dp);
    if (nil) return nil;
    ag_tape *tape = ag_tape_of(adam->slots[0].parameter);
    if (!nil) nil = size_wrong(tape, name, "rate", adam->rate);
    if (!nil) nil = part_wrong(tape, name, "beta1", adam->beta1);
    if (!nil) nil = part_wrong(tape, name, "beta2", adam->beta2);
    if (!nil) nil = epsilon_wrong(tape, name, adam->epsilon);
    if (!nil) nil = size_wrong(tape, name, "decay", adam->decay);
    if (!nil && adam->steps < 0)
        nil = ag__refuse_on(tape, name, AG_ERR_RANGE, "steps is %lld: 0 or more is wanted", (long long)adam->steps);
    for (int i = 0; i < adam->n && !nil; i++)
        if (adam->slots[i].missed < 0 || adam->slots[i].missed > adam->steps)
            nil = ag__refuse_on(tape, name, AG_ERR_RANGE, "parameter %d missed %lld steps, and there were %lld", i,
                                (long long)adam->slots[i].missed, (long long)adam->steps);
    return nil ? nil : step_wrong(&(optimiser){name, adam->n, adam->slots, 2}, dp);
}

/* A step that could not be carried out (out of memory, say) does not count: its values were lost. A parameter that it
 * changed, the first, is the witness. */
int64_t ag_adam_steps(ag_adam *adam) {
    if (!adam || adam->made != ADAM || adam->n < 1 || !adam->slots) return 0;
    int witness = 0;
    while (witness < adam->n && !adam->slots[witness].next[0]) witness++;
    if (witness == adam->n) return adam->counted = adam->steps;
    int64_t before = adam->steps;
    ag__steps_made(&adam->steps, &adam->counted, &adam->values, adam->slots[witness].state[0]);
    for (int i = 0; i < adam->n; i++)
        if (!adam->slots[i].next[0]) adam->slots[i].missed -= before - adam->steps;
    return adam->steps;
}

/* The moments begin at 0 and are too small at first, by the factors unbias1 and unbias2: 1 − beta^t after t steps. */
static void adam_next(const ag_adam *adam, ag_slot *slot, ag_tensor *g, double t) {
    ag_tensor *p = slot->parameter;
    double rate = rate_of(slot, adam->rate), decay = decay_of(slot, adam->decay);
    double unbias1 = 1 - pow(adam->beta1, t), unbias2 = 1 - pow(adam->beta2, t);
    ag_tensor *m = ag_add(ag_scale(slot->state[0], adam->beta1), ag_scale(g, 1 - adam->beta1));
    ag_tensor *v = ag_add(ag_scale(slot->state[1], adam->beta2), ag_scale(ag_square(g), 1 - adam->beta2));
    ag_tensor *spread = ag_add_scalar(ag_sqrt(ag_div_scalar(v, unbias2)), adam->epsilon);
    ag_tensor *step = ag_div(ag_scale(m, rate / unbias1), spread);
    ag_tensor *decayed = decay != 0 ? ag_scale(p, 1 - rate * decay) : p;
    slot->next[0] = ag_sub(decayed, step);
    slot->next[1] = m;
    slot->next[2] = v;
}

/* The count stays at its maximum, where the factors have long been 1. */
static void count_step(ag_adam *adam) {
    if (adam->steps == INT64_MAX) return;
    adam->steps++;
    for (int i = 0; i < adam->n; i++) adam->slots[i].missed += !adam->slots[i].next[0];
}

ag_status ag_adam_step(ag_adam *adam, ag_tensor *const dp[]) {
    ag_tensor *nil = adam_wrong("adam_step", adam, dp);
    if (nil) return ag_eval(nil);
    const optimiser o = {"adam_step", adam->n, adam->slots, 2};
    ag_tape *tape = ag_tape_of(adam->slots[0].parameter);
    bool recording = ag_tape_set_recording(tape, false);
    double t = (double)ag_adam_steps(adam) + 1;
    int witness = -1;
    for (int i = 0; i < adam->n; i++) {
        ag_slot *slot = &adam->slots[i];
        if (!is_trained(slot)) continue;
        adam_next(adam, slot, gradient_of(&o, dp, i), t - (double)slot->missed);
        if (witness < 0) witness = i;
    }
    ag_status status = assign_all(&o);
    if (status == AG_OK) count_step(adam);
    adam->counted = adam->steps;
    if (witness >= 0) adam->values = ag_values_given(adam->slots[witness].state[0]);
    ag_tape_set_recording(tape, recording);
    return status;
}

/* ---- State ---- */

static ag_tensor *state_of(const char *name, bool made, int n, const ag_slot *slots, int i, int k) {
    if (!made || !slots) return ag__refuse_on(NULL, name, AG_ERR_RANGE, "the optimiser was not made by its init");
    if (i < 0 || i >= n)
        return ag__refuse_on(n > 0 ? ag_tape_of(slots[0].parameter) : NULL, name, AG_ERR_RANGE,
                             "parameter %d is out of range: the optimiser has %d", i, n);
    ag_tensor *p = slots[i].parameter;
    return slots[i].state[k] ? slots[i].state[k]
                             : ag__refuse(name, 1, &p, AG_ERR_RANGE, "the optimiser keeps no such state");
}

ag_tensor *ag_sgd_velocity(const ag_sgd *sgd, int i) {
    return sgd ? state_of("sgd_velocity", sgd->made == SGD, sgd->n, sgd->slots, i, 0)
               : ag__refuse_on(NULL, "sgd_velocity", AG_ERR_NULL, "the optimiser is NULL");
}

ag_tensor *ag_rmsprop_mean_square(const ag_rmsprop *rmsprop, int i) {
    return rmsprop ? state_of("rmsprop_mean_square", rmsprop->made == RMSPROP, rmsprop->n, rmsprop->slots, i, 0)
                   : ag__refuse_on(NULL, "rmsprop_mean_square", AG_ERR_NULL, "the optimiser is NULL");
}

ag_tensor *ag_rmsprop_velocity(const ag_rmsprop *rmsprop, int i) {
    return rmsprop ? state_of("rmsprop_velocity", rmsprop->made == RMSPROP, rmsprop->n, rmsprop->slots, i, 1)
                   : ag__refuse_on(NULL, "rmsprop_velocity", AG_ERR_NULL, "the optimiser is NULL");
}

ag_tensor *ag_adam_first_moment(const ag_adam *adam, int i) {
    return adam ? state_of("adam_first_moment", adam->made == ADAM, adam->n, adam->slots, i, 0)
                : ag__refuse_on(NULL, "adam_first_moment", AG_ERR_NULL, "the optimiser is NULL");
}

ag_tensor *ag_adam_second_moment(const ag_adam *adam, int i) {
    return adam ? state_of("adam_second_moment", adam->made == ADAM, adam->n, adam->slots, i, 1)
                : ag__refuse_on(NULL, "adam_second_moment", AG_ERR_NULL, "the optimiser is NULL");
}

/* ---- Groups ---- */

static int slot_of(int slots, const ag_slot slot[], const ag_tensor *p) {
    int i = 0;
    while (i < slots && slot[i].parameter != p) i++;
    return i;
}

static ag_tensor *group_init_wrong(const char *name, const ag_group *group, int slots, const ag_slot slot[], int n,
                                   ag_tensor *const parameters[], double rate) {
    ag_tape *tape = n >= 1 && parameters ? ag_tape_of(parameters[0]) : NULL;
    if (!group) return ag__refuse_on(tape, name, AG_ERR_NULL, "the group is NULL");
    if (n < 1) return ag__refuse_on(NULL, name, AG_ERR_RANGE, "%d parameters: at least 1 is wanted", n);
    if (!parameters) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the list of %d parameters is NULL", n);
    if (slots < 1) return ag__refuse_on(tape, name, AG_ERR_RANGE, "%d slots: at least 1 is wanted", slots);
    if (!slot) return ag__refuse_on(tape, name, AG_ERR_NULL, "the array of %d slots is NULL", slots);
    ag_tensor *nil = ag__list_wrong(name, "parameter", n, parameters, ag__is_parameter, AG_ERR_GRADIENT,
                                    "is not a parameter: ag_parameter makes one");
    for (int i = 0; i < n && !nil; i++)
        if (slot_of(slots, slot, parameters[i]) == slots)
            nil = ag__refuse_number(name, "parameter", i, parameters[i], parameters[i], AG_ERR_RANGE,
                                    "is not one of the optimiser's");
    return nil ? nil : size_wrong(tape, name, "rate", rate);
}

ag_status ag_group_init(ag_group *group, int slots, ag_slot slot[], int n, ag_tensor *const parameters[], double rate) {
    ag_tensor *nil = group_init_wrong("group_init", group, slots, slot, n, parameters, rate);
    if (group) *group = (ag_group){0};
    if (nil) return ag_eval(nil);
    *group = (ag_group){.n = slots, .slots = slot, .rate = rate, .made = GROUP};
    for (int i = 0; i < n; i++) slot[slot_of(slots, slot, parameters[i])].group = group;
    return AG_OK;
}

ag_status ag_group_freeze(ag_group *group, bool frozen) {
    static const char name[] = "group_freeze";
    ag_tensor *nil = NULL;
    if (!group) nil = ag__refuse_on(NULL, name, AG_ERR_NULL, "the group is NULL");
    else if (group->made != GROUP)
        nil = ag__refuse_on(NULL, name, AG_ERR_RANGE, "the group was not made by its init, or its init failed");
    if (nil) return ag_eval(nil);
    ag_status status = AG_OK;
    for (int i = 0; i < group->n && status == AG_OK; i++)
        if (group->slots[i].group == group) status = ag_freeze(group->slots[i].parameter, frozen);
    return status;
}

/* ---- Clipping ---- */

/* √Σ(scale·g)²/scale */
static ag_tensor *scaled_norm(int n, ag_tensor *const g[], double scale, ag_tensor **total) {
    *total = NULL;
    for (int i = 0; i < n; i++) {
        ag_tensor *sum = ag_sum(ag_square(scale == 1 ? g[i] : ag_scale(g[i], scale)));
        *total = *total ? ag_add(*total, sum) : sum;
    }
    return scale == 1 ? ag_sqrt(*total) : ag_scale(ag_sqrt(*total), 1 / scale);
}

/* Squares overflow or underflow long before the norm does: then everything is scaled by a power of two, down or up,
 * as in Blue (1978). One sweep computes the three sums; those not chosen affect neither value nor gradients. */
static ag_tensor *norm_of(int n, ag_tensor *const g[]) {
    bool f32 = ag_dtype_of(g[0]) == AG_F32;
    ag_tape *tape = ag_tape_of(g[0]);
    ag_tensor *total, *least, *unused, *norm = scaled_norm(n, g, 1, &total);
    ag_tensor *large = scaled_norm(n, g, f32 ? 0x1p-80 : 0x1p-700, &unused);
    ag_tensor *small = scaled_norm(n, g, f32 ? 0x1p88 : 0x1p700, &least);
    small = ag_where(ag_greater_scalar(least, 0), small, least); /* at 0, where a root has no slope, the sum's is 0 */
    ag_tensor *low = ag_scalar(tape, ag_dtype_of(g[0]), f32 ? 0x1p-102 : 0x1p-900);
    ag_tensor *high = ag_scalar(tape, ag_dtype_of(g[0]), f32 ? 0x1p120 : 0x1p1000);
    return ag_where(ag_less(total, low), small, ag_where(ag_less(high, total), large, norm));
}

/* NULL if all have one real dtype, and are on one tape; else nil, after an error. */
static ag_tensor *dtypes_wrong(const char *name, int n, ag_tensor *const g[]) {
    for (int i = 0; i < n; i++) {
        ag_tensor *const pair[] = {g[0], g[i]};
        const ag_dtype dtype = ag_dtype_of(g[i]);
        const bool usable = !ag_is_nil(g[i]) && ag_tape_of(g[i]) == ag_tape_of(g[0]);
        if (usable && ag__real(g[i]) && dtype == ag_dtype_of(g[0])) continue;
        return ag__refuse(name, i ? 2 : 1, pair, AG_ERR_DTYPE,
                          "gradient %d is %s: f32 or f64 is wanted, the same for all", i, ag_dtype_name(dtype));
    }
    return NULL;
}

/* NULL if the list can be clipped; else nil, after an error. */
static ag_tensor *clip_wrong(const char *name, const char *what, int n, ag_tensor *const g[], double most) {
    if (n < 1 || !g) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the list of gradients is NULL or empty");
    if (!(most > 0))
        return ag__refuse(name, 1, g, AG_ERR_RANGE, "the largest %s is %g: a number over 0 is wanted", what, most);
    return dtypes_wrong(name, n, g);
}

ag_tensor *ag_clip_norm(int n, ag_tensor *g[], double most) {
    ag_tensor *nil = clip_wrong("clip_norm", "norm", n, g, most);
    if (nil) return nil;
    ag_tensor *norm = norm_of(n, g);
    ag_tensor *factor = ag_minimum_scalar(ag_rdiv_scalar(most, ag_add_scalar(norm, 1e-6)), 1);
    for (int i = 0; i < n; i++) g[i] = ag_mul(g[i], factor);
    for (int i = 0; i < n && ag_is_nil(g[n - 1]); i++) g[i] = g[n - 1]; /* all, or all nil */
    return ag_is_nil(g[n - 1]) ? g[n - 1] : norm;
}

ag_status ag_clip_value(int n, ag_tensor *g[], double most) {
    ag_tensor *nil = clip_wrong("clip_value", "value", n, g, most);
    if (nil) return ag_eval(nil);
    for (int i = 0; i < n; i++) g[i] = ag_clamp(g[i], -most, most);
    for (int i = 0; i < n && ag_is_nil(g[n - 1]); i++) g[i] = g[n - 1];
    return ag_is_nil(g[n - 1]) ? ag_eval(g[n - 1]) : AG_OK;
}
