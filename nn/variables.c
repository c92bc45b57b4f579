/* variables -- lists of variables that are given values together, and what is kept for each */
#include "nn/variables.h"
#include "autograd/tape/format.h"

#include <string.h>

bool ag__is_parameter(const ag_tensor *x) { return (ag_requires_grad(x) && ag_inputs(x) == 0) || ag_is_frozen(x); }

/* ---- What is refused ---- */

ag_tensor *ag__refuse_number(const char *name, const char *what, int i, ag_tensor *beside, ag_tensor *x,
                             ag_status status, const char *why) {
    char which[80];
    ag_tensor *const pair[] = {beside, x};
    ag__format(which, sizeof which, "%s, %s %d", name, what, i);
    if (!x) return ag__refuse_on(ag_tape_of(beside), which, AG_ERR_NULL, "it is NULL");
    if (ag_is_nil(x)) return ag__refuse(which, 1, &x, status, "it is nil");
    const bool together = beside != x && ag_tape_of(beside) == ag_tape_of(x); /* inputs of one call are on one tape */
    return ag__refuse(name, together ? 2 : 1, pair, status, "%s %d %s", what, i, why);
}

ag_tensor *ag__list_wrong(const char *name, const char *what, int n, ag_tensor *const x[],
                          bool (*good)(const ag_tensor *), ag_status status, const char *why) {
    for (int i = 0; i < n; i++) {
        if (!good(x[i])) return ag__refuse_number(name, "number", i, x[i] ? x[i] : x[0], x[i], status, why);
        if (ag_tape_of(x[i]) != ag_tape_of(x[0]))
            return ag__refuse_number(name, what, i, x[0], x[i], AG_ERR_TAPE, "is on another tape than the first");
        for (int k = 0; k < i; k++)
            if (x[k] == x[i]) return ag__refuse_number(name, what, i, x[i], x[i], AG_ERR_RANGE, "is in the list twice");
    }
    return NULL;
}

static bool same_shape(const ag_tensor *a, const ag_tensor *b) {
    if (ag_rank(a) != ag_rank(b)) return false;
    for (int i = 0; i < ag_rank(a); i++)
        if (ag_extent(a, i) != ag_extent(b, i)) return false;
    return true;
}

ag_tensor *ag__unlike(const char *name, const char *what, int i, ag_tensor *v, ag_tensor *x) {
    if (ag_is_nil(x)) return ag__refuse_number(name, what, i, v, x, AG_ERR_NIL, "");
    if (ag_tape_of(x) != ag_tape_of(v))
        return ag__refuse_number(name, what, i, v, x, AG_ERR_TAPE, "is on another tape than its parameter");
    if (!same_shape(v, x))
        return ag__refuse_number(name, what, i, v, x, AG_ERR_SHAPE,
                                 "does not have the shape of its parameter, the first");
    if (ag_dtype_of(x) != ag_dtype_of(v))
        return ag__refuse_number(name, what, i, v, x, AG_ERR_DTYPE,
                                 "does not have the dtype of its parameter, the first");
    return NULL;
}

/* ---- What is kept for each ---- */

static const char NO_VARIABLE[] = "is not a variable";

ag_tensor *ag__kept_wrong(const char *name, int n, const ag_kept kept[]) {
    ag_tensor *first = n > 0 ? kept[0].variable : NULL, *nil = NULL;
    for (int i = 0; i < n && !nil; i++) {
        ag_tensor *v = kept[i].variable, *k = kept[i].value;
        if (!ag__is_variable(v)) nil = ag__refuse_number(name, "number", i, v ? v : first, v, AG_ERR_TAPE, NO_VARIABLE);
        else if (ag_tape_of(v) != ag_tape_of(first))
            nil = ag__refuse_number(name, "variable", i, first, v, AG_ERR_TAPE, "is on another tape than the first");
        else if ((nil = ag__unlike(name, "what is kept of number", i, v, k)) == NULL && !ag__is_variable(k))
            nil = ag__refuse_number(name, "what is kept of number", i, v, k, AG_ERR_TAPE, NO_VARIABLE);
    }
    return nil;
}

static ag_tensor *unreal(const char *name, int n, ag_tensor *const v[]) {
    for (int i = 0; i < n; i++)
        if (ag_dtype_of(v[i]) != AG_F32 && ag_dtype_of(v[i]) != AG_F64)
            return ag__refuse_number(name, "variable", i, v[i], v[i], AG_ERR_DTYPE, "is not real");
    return NULL;
}

ag_tensor *ag__open_wrong(const char *name, const void *own, int n, ag_tensor *const variables[], bool real) {
    ag_tape *tape = n >= 1 && variables ? ag_tape_of(variables[0]) : NULL;
    if (!own) return ag__refuse_on(tape, name, AG_ERR_NULL, "the struct is NULL");
    if (n > 0 && !variables) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the list of %d variables is NULL", n);
    ag_tensor *nil = ag__list_wrong(name, "variable", n, variables, ag__is_variable, AG_ERR_TAPE, NO_VARIABLE);
    return nil ? nil : real ? unreal(name, n, variables) : NULL;
}

ag_tensor *ag__variable_for(const ag_tensor *v, ag_tensor *x, const char *word) {
    ag_tensor *kept = ag_variable_from(x);
    if (ag_is_nil(kept) || !*ag_label_of(v)) return kept;
    size_t room = strlen(word) + strlen(ag_label_of(v)) + 2;
    char *label = ag_tape_alloc(ag_tape_of(v), room);
    if (label) ag__format(label, room, "%s.%s", word, ag_label_of(v));
    return ag_label(kept, label);
}

ag_status ag__at(const char *file, int line, ag_tensor *x) {
    if (file) ag_here(file, line);
    return ag_eval(x);
}

ag_status ag__open_kept(int n, ag_tensor *const variables[], ag_kept **given, bool zeros, const char *word) {
    if (n == 0) return AG_OK;
    int line;
    const char *file = ag_caller(&line);
    if (!*given) *given = ag_tape_alloc(ag_tape_of(variables[0]), (size_t)n * sizeof **given);
    ag_kept *kept = *given;
    ag_tensor *nil = NULL;
    const ag_mark before = ag_tape_mark(ag_tape_of(variables[0]));
    for (int i = 0; i < n && kept && !nil; i++) {
        ag_tensor *v = variables[i];
        ag_tensor *x = zeros ? ag_zeros(ag_tape_of(v), ag_dtype_of(v), ag_shape_of(v)) : v;
        kept[i] = (ag_kept){.variable = v, .value = ag__variable_for(v, x, word)};
        if (ag_is_nil(kept[i].value)) nil = kept[i].value;
    }
    for (int i = 0; i < n && nil; i++) kept[i] = (ag_kept){nil, nil, {nil, nil}};
    if (nil) ag_tape_rewind(ag_tape_of(variables[0]), before);
    return ag__at(file, line, nil ? nil : variables[0]);
}

/* An elementwise operation for any dtype: to assign its result records nothing, so that cannot fail. */
ag_tensor *ag__kept_copy(ag_tensor *x) { return ag_where(ag_ones(ag_tape_of(x), AG_BOOL, AG_SCALAR), x, x); }

ag_status ag__copy_kept(int n, ag_kept kept[], bool back) {
    ag_status status = AG_OK;
    for (int i = 0; i < n && status == AG_OK; i++) {
        kept[i].next[back] = ag__kept_copy(back ? kept[i].value : kept[i].variable);
        status = ag_eval(kept[i].next[back]);
    }
    return status;
}

ag_status ag__assign_kept(int n, const ag_kept kept[], bool back, ag_tensor *other) {
    ag_status status = ag_tape_status(ag_tape_of(kept[0].value));
    if (status != AG_OK) return ag_eval(kept[0].value);
    for (int i = 0; i < n; i++) {
        ag_tensor *to = back ? kept[i].variable : kept[i].value;
        status = other ? ag_assign_with(to, kept[i].next[back], other) : ag_assign(to, kept[i].next[back]);
        if (!other) other = to;
    }
    return status;
}

int64_t ag__steps_made(int64_t *steps, int64_t *counted, int64_t *values, const ag_tensor *witness) {
    int64_t lost = *values - ag_values_given(witness);
    *values -= lost;
    if (lost > 0 && *steps == *counted) *steps -= lost < *steps ? lost : *steps;
    return *counted = *steps;
}
