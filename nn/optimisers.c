/* optimisers -- stochastic gradient descent with momentum, RMSProp, Adam; and clipping of gradients
 *
 * A step has two halves: first every parameter's and state's next value is recorded, then all of them are assigned. So
 * a step that fails while it is recorded changes nothing. p is a parameter, g its gradient. */
#include "nn/refuse.h"

#include <math.h>

/* ---- What they have in common ---- */

static bool is_parameter(const ag_tensor *p) { return ag_requires_grad(p) && ag_inputs(p) == 0; }

/* Whether these are parameters of one tape; if not, nil. */
static ag_tensor *what_is_wrong(const char *name, int n, ag_tensor *const parameters[]) {
    for (int i = 0; i < n; i++) {
        ag_tensor *p = parameters[i], *const pair[] = {parameters[0], p};
        if (!is_parameter(p)) return ag__refuse(name, 1, &p, AG_ERR_GRADIENT, "number %d is no parameter", i);
        if (ag_tape_of(p) != ag_tape_of(pair[0])) return ag__refuse(name, 2, pair, AG_ERR_TAPE, "two tapes");
    }
    return NULL;
}

/* One slot a parameter, each with `states` variables of zeros; all nil after an error, so that a step does nothing. */
static ag_status open_slots(const char *name, int n, ag_tensor *const parameters[], ag_slot slots[], int states) {
    ag_tensor *nil = what_is_wrong(name, n, parameters);
    for (int i = 0; i < n; i++) {
        ag_tensor *p = nil ? nil : parameters[i];
        slots[i] = (ag_slot){.parameter = p, .state = {nil, nil}};
        for (int k = 0; k < states && !nil; k++)
            slots[i].state[k] = ag_variable_from(ag_zeros(ag_tape_of(p), ag_dtype_of(p), ag_shape_of(p)));
    }
    return nil || states ? ag_eval(slots[n - 1].state[0]) : ag_tape_status(ag_tape_of(parameters[0]));
}

/* Without parameters there is no tape to fail on; the status alone says so. */
static ag_status lists_usable(int n, ag_tensor *const parameters[], const ag_slot slots[]) {
    return !parameters || !slots ? AG_ERR_NULL : n < 1 ? AG_ERR_RANGE : AG_OK;
}

static bool alike(const ag_tensor *p, const ag_tensor *g, ag_status *status) {
    *status = AG_ERR_SHAPE;
    if (ag_rank(p) != ag_rank(g)) return false;
    for (int i = 0; i < ag_rank(p); i++)
        if (ag_extent(p, i) != ag_extent(g, i)) return false;
    *status = AG_ERR_DTYPE;
    return ag_dtype_of(p) == ag_dtype_of(g);
}

/* The gradient of number i as the caller gave it, or as ag_backward found it; nil if it is not as its parameter. */
static ag_tensor *gradient_of(const char *name, ag_slot *slot, ag_tensor *const dp[], int i) {
    ag_tensor *g = dp ? dp[i] : ag_gradient(slot->parameter), *const pair[] = {slot->parameter, g};
    ag_status status;
    return alike(slot->parameter, g, &status)
               ? g
               : ag__refuse(name, 2, pair, status, "parameter %d and its gradient differ", i);
}

/* On a tape in error ag_assign changes nothing, and reports the error with the caller's place. */
static ag_status assign_all(int n, ag_slot slots[], int states) {
    ag_status status = AG_OK;
    for (int i = 0; i < n; i++) {
        status = ag_assign(slots[i].parameter, slots[i].next[0]);
        for (int k = 0; k < states; k++) status = ag_assign(slots[i].state[k], slots[i].next[k + 1]);
    }
    return status;
}

/* ---- SGD ---- */

ag_status ag_sgd_init(ag_sgd *sgd, int n, ag_tensor *const parameters[], ag_slot slots[], double rate,
                      double momentum) {
    ag_status status = sgd ? lists_usable(n, parameters, slots) : AG_ERR_NULL;
    if (sgd) *sgd = (ag_sgd){.n = status == AG_OK ? n : 0, .slots = slots, .rate = rate, .momentum = momentum};
    return status == AG_OK ? open_slots("sgd_init", n, parameters, slots, momentum != 0) : status;
}

static void sgd_next(const ag_sgd *sgd, ag_slot *slot, ag_tensor *g) {
    ag_tensor *p = slot->parameter;
    if (sgd->decay != 0) g = ag_add(g, ag_scale(p, sgd->decay));
    ag_tensor *v = g;
    if (sgd->momentum != 0 && !slot->state[0])
        v = ag__refuse("sgd_step", 1, &p, AG_ERR_RANGE, "momentum %g: it was 0 at first", sgd->momentum);
    else if (sgd->momentum != 0) v = ag_add(ag_scale(slot->state[0], sgd->momentum), g);
    slot->next[0] = ag_sub(p, ag_scale(v, sgd->rate));
    slot->next[1] = v;
}

ag_status ag_sgd_step(ag_sgd *sgd, ag_tensor *const dp[]) {
    if (!sgd || sgd->n < 1) return AG_ERR_NULL;
    ag_tape *tape = ag_tape_of(sgd->slots[0].parameter);
    bool recording = ag_tape_set_recording(tape, false);
    for (int i = 0; i < sgd->n; i++) sgd_next(sgd, &sgd->slots[i], gradient_of("sgd_step", &sgd->slots[i], dp, i));
    ag_status status = assign_all(sgd->n, sgd->slots, sgd->momentum != 0 ? 1 : 0);
    ag_tape_set_recording(tape, recording);
    return status;
}

/* ---- RMSProp ---- */

ag_status ag_rmsprop_init(ag_rmsprop *rmsprop, int n, ag_tensor *const parameters[], ag_slot slots[]) {
    ag_status status = rmsprop ? lists_usable(n, parameters, slots) : AG_ERR_NULL;
    if (rmsprop)
        *rmsprop =
            (ag_rmsprop){.n = status == AG_OK ? n : 0, .slots = slots, .rate = 1e-2, .beta = 0.99, .epsilon = 1e-8};
    return status == AG_OK ? open_slots("rmsprop_init", n, parameters, slots, 2) : status;
}

static void rmsprop_next(const ag_rmsprop *rmsprop, ag_slot *slot, ag_tensor *g) {
    ag_tensor *p = slot->parameter;
    if (rmsprop->decay != 0) g = ag_add(g, ag_scale(p, rmsprop->decay));
    ag_tensor *v = ag_add(ag_scale(slot->state[0], rmsprop->beta), ag_scale(ag_square(g), 1 - rmsprop->beta));
    ag_tensor *u = ag_div(g, ag_add_scalar(ag_sqrt(v), rmsprop->epsilon));
    if (rmsprop->momentum != 0) u = ag_add(ag_scale(slot->state[1], rmsprop->momentum), u);
    slot->next[0] = ag_sub(p, ag_scale(u, rmsprop->rate));
    slot->next[1] = v;
    slot->next[2] = u;
}

ag_status ag_rmsprop_step(ag_rmsprop *rmsprop, ag_tensor *const dp[]) {
    if (!rmsprop || rmsprop->n < 1) return AG_ERR_NULL;
    ag_tape *tape = ag_tape_of(rmsprop->slots[0].parameter);
    bool recording = ag_tape_set_recording(tape, false);
    for (int i = 0; i < rmsprop->n; i++)
        rmsprop_next(rmsprop, &rmsprop->slots[i], gradient_of("rmsprop_step", &rmsprop->slots[i], dp, i));
    ag_status status = assign_all(rmsprop->n, rmsprop->slots, rmsprop->momentum != 0 ? 2 : 1);
    ag_tape_set_recording(tape, recording);
    return status;
}

/* ---- Adam ---- */

ag_status ag_adam_init(ag_adam *adam, int n, ag_tensor *const parameters[], ag_slot slots[]) {
    ag_status status = adam ? lists_usable(n, parameters, slots) : AG_ERR_NULL;
    if (adam)
        *adam = (ag_adam){
            .n = status == AG_OK ? n : 0, .slots = slots, .rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    return status == AG_OK ? open_slots("adam_init", n, parameters, slots, 2) : status;
}

/* The moments begin at 0 and are too small at first, by the factors unbias1 and unbias2: after t steps, 1 − beta^t. */
static void adam_next(const ag_adam *adam, ag_slot *slot, ag_tensor *g, double unbias1, double unbias2) {
    ag_tensor *p = slot->parameter;
    ag_tensor *m = ag_add(ag_scale(slot->state[0], adam->beta1), ag_scale(g, 1 - adam->beta1));
    ag_tensor *v = ag_add(ag_scale(slot->state[1], adam->beta2), ag_scale(ag_square(g), 1 - adam->beta2));
    ag_tensor *spread = ag_add_scalar(ag_sqrt(ag_div_scalar(v, unbias2)), adam->epsilon);
    ag_tensor *step = ag_div(ag_scale(m, adam->rate / unbias1), spread);
    ag_tensor *decayed = adam->decay != 0 ? ag_scale(p, 1 - adam->rate * adam->decay) : p;
    slot->next[0] = ag_sub(decayed, step);
    slot->next[1] = m;
    slot->next[2] = v;
}

ag_status ag_adam_step(ag_adam *adam, ag_tensor *const dp[]) {
    if (!adam || adam->n < 1) return AG_ERR_NULL;
    ag_tape *tape = ag_tape_of(adam->slots[0].parameter);
    bool recording = ag_tape_set_recording(tape, false);
    double t = (double)(adam->steps + 1);
    double unbias1 = 1 - pow(adam->beta1, t), unbias2 = 1 - pow(adam->beta2, t);
    for (int i = 0; i < adam->n; i++) {
        ag_tensor *g = gradient_of("adam_step", &adam->slots[i], dp, i);
        adam_next(adam, &adam->slots[i], g, unbias1, unbias2);
    }
    ag_status status = assign_all(adam->n, adam->slots, 2);
    if (status == AG_OK) adam->steps++;
    ag_tape_set_recording(tape, recording);
    return status;
}

/* ---- Clipping ---- */

ag_tensor *ag_clip_norm(int n, ag_tensor *g[], double most) {
    static const char name[] = "clip_norm";
    if (n < 1 || !g) return ag__refuse_on(NULL, name, AG_ERR_NULL, "there are no gradients");
    if (!(most > 0)) return ag__refuse(name, 1, g, AG_ERR_RANGE, "the norm %g is not over 0", most);
    for (int i = 1; i < n; i++)
        if (!g[i]) return ag__refuse(name, 2, (ag_tensor *[]){g[0], NULL}, AG_ERR_NULL, "gradient %d is NULL", i);
    ag_tensor *total = ag_sum(ag_square(g[0]));
    for (int i = 1; i < n; i++) total = ag_add(total, ag_sum(ag_square(g[i])));
    ag_tensor *norm = ag_sqrt(total);
    ag_tensor *factor = ag_minimum_scalar(ag_rdiv_scalar(most, ag_add_scalar(norm, 1e-6)), 1);
    for (int i = 0; i < n; i++) g[i] = ag_mul(g[i], factor);
    return norm;
}
