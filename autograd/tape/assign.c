/* assign -- giving variables other values, and holding parameters constant */
#include "autograd/tape/basis.h"
#include "autograd/tape/tape.h"

bool ag__is_changeable(const char *name, ag_tensor *v) {
    if (!ag__usable(name, v)) return false;
    if (!(v->flags & AG__VARIABLE))
        ag__fail(name, 1, &v, AG_ERR_TAPE, "only a variable or a parameter can be given another value");
    else if (v->tape->evaluating)
        ag__fail(name, 1, &v, AG_ERR_TAPE, "an operation that is being evaluated cannot change a variable");
    else return true;
    return false;
}

/* A variable takes over a whole buffer that is not shared: a view or a shared value is copied. */
static ag_tensor *own_value(ag_tensor *x) {
    x = ag__current(x);
    if (!x || (x->op->kind != AG_KIND_VIEW && x->op->kind != AG_KIND_SOURCE)) return x;
    ag_tensor *copy = ag_apply(&ag__op_contiguous, 1, &x, NULL, 0);
    return copy->flags & AG__NIL ? NULL : copy;
}

static bool assignable(const char *name, ag_tensor *v, ag_tensor *x) {
    ag_tensor *both[] = {v, x}, *nil;
    if (!ag__inputs_usable(name, 2, both, &nil) || !ag__is_changeable(name, v)) return false;
    if (!ag__layouts_equal(v->layout, x->layout))
        ag__fail(name, 2, both, AG_ERR_SHAPE, "the value must have the variable's shape");
    else if (v->dtype != x->dtype)
        ag__fail(name, 2, both, AG_ERR_DTYPE, "dtypes %s and %s differ", ag_dtype_name((ag_dtype)v->dtype),
                 ag_dtype_name((ag_dtype)x->dtype));
    else return true;
    return false;
}

/* On an eager tape whatever may fail comes first: an assignment that fails is not made, not even later. */
static void assign(const char *name, ag_tensor *v, ag_tensor *x, ag_tensor *other) {
    if (!assignable(name, v, x) || v->tape->sandbox || !(x = own_value(x))) return;
    ag_tape *tape = v->tape;
    if (tape->on_record && !x->buffer && !tape->on_record(tape, x)) return;
    ag__set_next_value(v, x, other);
    if (tape->on_record) ag__commit_assignments(tape);
}

ag_status ag_assign(ag_tensor *v, ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    assign("assign", v, x, NULL);
    ag_tape *tape = v && v->tape ? v->tape : x ? x->tape : NULL;
    return ag__leave(tape, file, line);
}

ag_status ag_assign_with(ag_tensor *v, ag_tensor *x, ag_tensor *other) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tensor *all[] = {v, x, other}, *nil;
    if (ag__inputs_usable("assign_with", 3, all, &nil) && ag__is_changeable("assign_with", other))
        assign("assign_with", v, x, other);
    ag_tape *tape = NULL;
    for (int i = 0; i < 3 && !tape; i++) tape = all[i] ? all[i]->tape : NULL;
    return ag__leave(tape, file, line);
}

static void set(ag_tensor *v, const void *data) {
    if (!ag__is_changeable("set", v)) return;
    if (!data && v->layout->size > 0) {
        ag__fail("set", 1, &v, AG_ERR_NULL, "the data is NULL: %lld elements are wanted", (long long)v->layout->size);
        return;
    }
    if (v->tape->sandbox) return;
    ag__buffer *value = ag__buffer_with(v->tape, "set", (ag_dtype)v->dtype, v->layout->size, data, true);
    if (value) ag__set_value(v, value);
}

ag_status ag_set(ag_tensor *v, const void *data) {
    int line;
    const char *file = ag__here_file(&line);
    set(v, data);
    return ag__leave(v ? v->tape : NULL, file, line);
}

/* ---- Freezing ---- */

/* The next use of the parameter is recorded as one of another version: what is there already stays as it is. */
static void freeze(ag_tensor *p, bool frozen) {
    ag__variable *state = ag__variable_of(p);
    if (!(p->flags & AG__FROZEN) == !frozen) return;
    p->flags = (uint16_t)(frozen ? (p->flags | AG__FROZEN) & ~AG__REQUIRES : (p->flags & ~AG__FROZEN) | AG__REQUIRES);
    state->version = NULL;
}

ag_status ag_freeze(ag_tensor *p, bool frozen) {
    int line;
    const char *file = ag__here_file(&line);
    if (ag__usable("freeze", p)) {
        if (!(p->flags & AG__PARAMETER)) ag__fail("freeze", 1, &p, AG_ERR_GRADIENT, "it is not a parameter");
        else if (ag__is_changeable("freeze", p)) freeze(p, frozen);
    }
    return ag__leave(p ? p->tape : NULL, file, line);
}
