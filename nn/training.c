/* training -- sums of gradients, and averages of weights: variables that follow others
 *
 * A call records what the kept values become and assigns all of them joined with each other, so that what cannot be
 * carried out is lost as a whole, and then does not count. */
#include "nn/exact.h"
#include "nn/variables.h"

#include <math.h>

/* The marks that the inits leave in their structs. */
enum { ACCUMULATOR = 0x616363, AVERAGE };

/* NULL if the struct was made by its init, and what it keeps is still there; else nil, after an error. */
static ag_tensor *struct_wrong(const char *name, const void *own, bool made, int n, const ag_kept kept[]) {
    if (!own) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the struct is NULL");
    if (!made)
        return ag__refuse_on(NULL, name, AG_ERR_RANGE, "the struct was not made by its init, or its init failed");
    if (n < 1) return ag__refuse_on(NULL, name, AG_ERR_RANGE, "n is %d: 1 or more is wanted", n);
    if (!kept) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the array of what is kept is NULL");
    return ag__kept_wrong(name, n, kept);
}

static ag_tensor *none_wrong(const char *name, int n) {
    return n >= 1 ? NULL : ag__refuse_on(NULL, name, AG_ERR_RANGE, "%d variables: at least 1 is wanted", n);
}

/* ---- Gradients of several batches ---- */

ag_status ag_accumulator_init(ag_accumulator *s, int n, ag_tensor *const parameters[], ag_kept kept[]) {
    static const char name[] = "accumulator_init";
    ag_tensor *nil = none_wrong(name, n);
    if (!nil) nil = ag__open_wrong(name, s, n, parameters, true);
    if (s) *s = (ag_accumulator){0};
    if (nil) return ag_eval(nil);
    ag_tape *tape = ag_tape_of(parameters[0]);
    int line;
    const char *file = ag_caller(&line);
    const ag_mark before = ag_tape_mark(tape);
    if (file) ag_here(file, line);
    ag_status status = ag__open_kept(n, parameters, &kept, true, "sum");
    if (status != AG_OK) return status;
    ag_tensor *weight = ag__variable_for(parameters[0], ag_zeros(tape, AG_F64, AG_SCALAR), "sum_weight");
    if (!ag_is_nil(weight)) *s = (ag_accumulator){.n = n, .kept = kept, .weight = weight, .made = ACCUMULATOR};
    else ag_tape_rewind(tape, before);
    return ag__at(file, line, weight);
}

static ag_tensor *accumulator_wrong(const char *name, const ag_accumulator *s) {
    ag_tensor *nil = struct_wrong(name, s, s && s->made == ACCUMULATOR, s ? s->n : 0, s ? s->kept : NULL);
    if (nil) return nil;
    ag_tensor *first = s->kept[0].value;
    if (ag_is_nil(s->weight) || ag_tape_of(s->weight) != ag_tape_of(first) || !ag__is_variable(s->weight) ||
        ag_rank(s->weight) != 0 || ag_dtype_of(s->weight) != AG_F64)
        return ag__refuse(name, 1, &first, AG_ERR_RANGE, "the weight is not a variable of f64 () on the same tape");
    return s->batches >= 0 ? NULL
                           : ag__refuse(name, 1, &first, AG_ERR_RANGE, "batches is %lld: 0 or more is wanted",
                                        (long long)s->batches);
}

static ag_tensor *add_wrong(const char *name, const ag_accumulator *s, ag_tensor *const dp[], double weight) {
    ag_tensor *nil = accumulator_wrong(name, s);
    if (!nil && !(weight > 0 && isfinite(weight)))
        nil = ag__refuse(name, 1, &s->kept[0].value, AG_ERR_RANGE, "the weight is %g: a finite number over 0 is wanted",
                         weight);
    for (int i = 0; !nil && dp && i < s->n; i++)
        nil = ag__unlike(name, "gradient of parameter", i, s->kept[i].variable, dp[i]);
    for (int i = 0; !nil && !dp && i < s->n; i++)
        if (!ag__is_parameter(s->kept[i].variable))
            nil = ag__refuse_number(name, "variable", i, s->kept[i].variable, s->kept[i].variable, AG_ERR_GRADIENT,
                                    "is not a parameter: ag_backward finds no gradient of it");
    return nil;
}

static ag_status add(ag_accumulator *s, ag_tensor *const dp[], double weight, bool more) {
    for (int i = 0; i < s->n; i++) {
        ag_kept *k = &s->kept[i];
        ag_tensor *g = dp ? dp[i] : ag_gradient(k->variable);
        if (weight != 1) g = ag_scale(g, weight);
        k->next[0] = more ? ag_add(k->value, g) : weight != 1 ? g : ag__kept_copy(g);
    }
    ag_tensor *total = more ? ag_add_scalar(s->weight, weight) : ag_scalar(ag_tape_of(s->weight), AG_F64, weight);
    ag_status status = ag_assign(s->weight, total);
    return status == AG_OK ? ag__assign_kept(s->n, s->kept, false, s->weight) : status;
}

ag_status ag_accumulator_add(ag_accumulator *s, ag_tensor *const dp[], double weight) {
    ag_tensor *nil = add_wrong("accumulator_add", s, dp, weight);
    if (nil) return ag_eval(nil);
    ag_tape *tape = ag_tape_of(s->weight);
    if (ag_tape_status(tape) != AG_OK) return ag_eval(s->weight);
    bool recording = ag_tape_set_recording(tape, false);
    ag_status status = add(s, dp, weight, ag_accumulator_batches(s) > 0);
    ag_tape_set_recording(tape, recording);
    if (status == AG_OK) ag__count(&s->batches);
    s->counted = s->batches;
    s->values = ag_values_given(s->weight);
    return status;
}

int64_t ag_accumulator_batches(ag_accumulator *s) {
    if (!s || s->made != ACCUMULATOR) return 0;
    return ag__steps_made(&s->batches, &s->counted, &s->values, s->weight);
}

static ag_status take(const char *name, ag_accumulator *s, ag_tensor *dp[], bool mean) {
    ag_tensor *nil = accumulator_wrong(name, s);
    if (!nil && !dp) nil = ag__refuse_on(ag_tape_of(s->weight), name, AG_ERR_NULL, "the list for gradients is NULL");
    if (!nil && ag_accumulator_batches(s) == 0)
        nil = ag__refuse_on(ag_tape_of(s->weight), name, AG_ERR_RANGE, "no batch was added since the last result");
    if (nil) {
        for (int i = 0; dp && s && s->made == ACCUMULATOR && i < s->n; i++) dp[i] = nil;
        return ag_eval(nil);
    }
    for (int i = 0; i < s->n; i++) {
        ag_tensor *sum = s->kept[i].value;
        dp[i] = mean ? ag_div(sum, ag_cast(s->weight, ag_dtype_of(sum))) : ag_stop_gradient(sum);
    }
    ag_tensor *last = dp[s->n - 1];
    for (int i = 0; i < s->n && ag_is_nil(last); i++) dp[i] = last;
    if (ag_is_nil(last)) return ag_eval(last);
    s->batches = s->counted = 0;
    return AG_OK;
}

ag_status ag_accumulator_sum(ag_accumulator *sum, ag_tensor *dp[]) { return take("accumulator_sum", sum, dp, false); }

ag_status ag_accumulator_mean(ag_accumulator *sum, ag_tensor *dp[]) { return take("accumulator_mean", sum, dp, true); }

/* ---- Averages of weights ---- */

ag_status ag_average_init(ag_average *a, int n, ag_tensor *const variables[], ag_kept kept[]) {
    static const char name[] = "average_init";
    ag_tensor *nil = none_wrong(name, n);
    if (!nil) nil = ag__open_wrong(name, a, n, variables, true);
    if (a) *a = (ag_average){0};
    if (nil) return ag_eval(nil);
    ag_status status = ag__open_kept(n, variables, &kept, false, "average");
    if (status == AG_OK) *a = (ag_average){.n = n, .kept = kept, .decay = 0.999, .made = AVERAGE};
    return status;
}

static ag_tensor *average_wrong(const char *name, const ag_average *a) {
    ag_tensor *nil = struct_wrong(name, a, a && a->made == AVERAGE, a ? a->n : 0, a ? a->kept : NULL);
    if (nil) return nil;
    ag_tensor *first = a->kept[0].value;
    if (!(a->decay >= 0 && a->decay <= 1))
        return ag__refuse(name, 1, &first, AG_ERR_RANGE, "the decay is %g: a number from 0 to 1 is wanted", a->decay);
    return a->steps >= 0
               ? NULL
               : ag__refuse(name, 1, &first, AG_ERR_RANGE, "steps is %lld: 0 or more is wanted", (long long)a->steps);
}

/* The part that the variables' values have in the next average; for decay = 1 the limit of the corrected one. */
static double weight_of(const ag_average *a, double t) {
    if (!a->corrected) return 1 - a->decay;
    return a->decay == 1 ? 1 / t : (1 - a->decay) / (1 - pow(a->decay, t));
}

static ag_status follow(ag_average *a) {
    double w = weight_of(a, (double)ag_average_steps(a) + 1);
    for (int i = 0; i < a->n; i++) {
        ag_kept *k = &a->kept[i];
        k->next[0] = w == 1 ? ag__kept_copy(k->variable) : ag_add(k->value, ag_scale(ag_sub(k->variable, k->value), w));
    }
    return ag__assign_kept(a->n, a->kept, false, NULL);
}

ag_status ag_average_step(ag_average *a) {
    static const char name[] = "average_step";
    ag_tensor *nil = average_wrong(name, a);
    if (!nil && a->swapped) /* they would be averaged with themselves */
        nil = ag__refuse(name, 1, &a->kept[0].variable, AG_ERR_RANGE,
                         "the variables have the averages' values: swap them back first");
    if (nil) return ag_eval(nil);
    ag_tape *tape = ag_tape_of(a->kept[0].value);
    if (ag_tape_status(tape) != AG_OK) return ag_eval(a->kept[0].value);
    bool recording = ag_tape_set_recording(tape, false);
    ag_status status = follow(a);
    ag_tape_set_recording(tape, recording);
    if (status == AG_OK) ag__count(&a->steps);
    a->counted = a->steps;
    a->values = ag_values_given(a->kept[0].value);
    return status;
}

int64_t ag_average_steps(ag_average *a) {
    if (!a || a->made != AVERAGE || a->n < 1 || !a->kept) return 0;
    return ag__steps_made(&a->steps, &a->counted, &a->values, a->kept[0].value);
}

static ag_status exchange(const ag_average *a) {
    ag_tape *tape = ag_tape_of(a->kept[0].value);
    bool recording = ag_tape_set_recording(tape, false);
    ag_status status = ag__copy_kept(a->n, a->kept, false);
    if (status == AG_OK) status = ag__copy_kept(a->n, a->kept, true);
    if (status == AG_OK) status = ag__assign_kept(a->n, a->kept, false, NULL);
    if (status == AG_OK) status = ag__assign_kept(a->n, a->kept, true, a->kept[0].value);
    ag_tape_set_recording(tape, recording);
    return status;
}

ag_status ag_average_swap(ag_average *a) {
    ag_tensor *nil = average_wrong("average_swap", a);
    if (nil) return ag_eval(nil);
    ag_average_steps(a);
    ag_status status = exchange(a);
    if (status == AG_OK) a->swapped = !a->swapped;
    a->values = ag_values_given(a->kept[0].value);
    return status;
}
