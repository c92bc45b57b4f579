/* assign -- leaves, variables, and reading values
 *
 * Values are immutable, variables are not: assigning gives a variable another buffer. Every use of a variable is
 * recorded as a use of its version, a `read` node that holds the buffer of that moment (or the assigned tensor, while
 * that is not computed), so what is recorded never changes. */
#include "autograd/eval/eval.h"

#include <math.h>
#include <string.h>

static ag_tensor *read_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)y;
    return i == 0 ? g : NULL;
}

const ag_op ag__op_constant = {.name = "constant", .kind = AG_KIND_SOURCE, .vjp = ag_zero_vjp};
const ag_op ag__op_variable = {.name = "variable", .kind = AG_KIND_SOURCE, .vjp = ag_zero_vjp};
const ag_op ag__op_read = {.name = "read",
                           .notation = "{1}",
                           .kind = AG_KIND_VIEW,
                           .flags = AG_OP_HIDES_NOTHING,
                           .arity = -1,
                           .vjp = read_vjp};

/* ---- Leaves ---- */

static size_t bytes_of(const ag_tensor *t) { return (size_t)t->layout->size * ag__bytes(t); }

static bool leaf_valid(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, const void *data) {
    const char *why;
    int64_t size = 0;
    if (!tape) ag__fail_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    else if (!ag__in_order(tape, name)) return false;
    else if ((unsigned)dtype >= AG_DTYPES) ag__fail_on(tape, name, AG_ERR_DTYPE, "%d is no dtype", (int)dtype);
    else if (!ag__shape_valid(shape, &size, &why)) ag__fail_on(tape, name, AG_ERR_SHAPE, "the shape has %s", why);
    else if (!data && size > 0)
        ag__fail_on(tape, name, AG_ERR_NULL, "the data is NULL, for %lld elements", (long long)size);
    else return true;
    return false;
}

static ag_tensor *out_of_memory(ag_tape *tape, const char *name, size_t bytes) {
    return ag__fail_on(tape, name, AG_ERR_MEMORY, "no memory for %zu bytes", bytes);
}

/* Append a leaf that holds `buffer`, whose reference it takes over. */
static ag_tensor *leaf(const ag_op *op, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, ag__buffer *buffer,
                       const void *attributes, size_t bytes) {
    const ag__layout *layout = buffer ? ag__layout_new(tape, shape, NULL) : NULL;
    ag_tensor *t = layout ? ag__record(op, tape, dtype, layout, 0, NULL, attributes, bytes) : NULL;
    if (!t || t->flags & AG__NIL) {
        ag__buffer_drop(tape, buffer);
        return ag__fail_on(tape, op->name, AG_ERR_MEMORY, "no memory to record another tensor");
    }
    t->buffer = buffer;
    t->flags |= AG__LEAF | AG__COMPUTED;
    return t;
}

static ag__buffer *filled(ag_tape *tape, const char *name, size_t bytes, const void *data) {
    ag__buffer *b = ag__buffer_new(tape, bytes);
    if (!b) out_of_memory(tape, name, bytes);
    else if (bytes) memcpy(b->data, data, bytes);
    return b;
}

static size_t shape_bytes(ag_dtype dtype, const ag_shape *shape) {
    int64_t size = 0;
    const char *why;
    ag__shape_valid(shape, &size, &why);
    return (size_t)size * ag_dtype_size(dtype);
}

/* A bool is one byte, 0 or 1: whatever else comes in counts as 1, so that kernels may rely on it. */
static void tidy_bools(ag_dtype dtype, ag__buffer *b, size_t bytes) {
    unsigned char *p = b->data;
    if (dtype == AG_BOOL)
        for (size_t i = 0; i < bytes; i++) p[i] = p[i] != 0;
}

/* A leaf with values of its own: those at data, or if data is NULL those in b, whose reference it takes over. */
static ag_tensor *own_leaf(const ag_op *op, const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape,
                           const void *data, ag__buffer *b) {
    size_t bytes = shape_bytes(dtype, shape);
    if (!b && !(b = filled(tape, name, bytes, data))) return tape->nil;
    tidy_bools(dtype, b, bytes);
    bool variable = op == &ag__op_variable;
    ag_tensor *t =
        leaf(op, tape, dtype, shape, b, &(ag__variable){.next = tape->variables}, variable ? sizeof(ag__variable) : 0);
    if (variable && !(t->flags & AG__NIL)) {
        t->flags |= AG__VARIABLE;
        tape->variables = ag__variable_of(t)->joined = ag__variable_of(t)->joiner = t;
    }
    return t;
}

static ag_tensor *copied_leaf(const ag_op *op, const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape,
                              const void *data) {
    return leaf_valid(name, tape, dtype, shape, data) ? own_leaf(op, name, tape, dtype, shape, data, NULL)
                                                      : ag__nil_of(tape);
}

ag_tensor *ag_from(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data) {
    return copied_leaf(&ag__op_constant, "from", tape, dtype, &shape, data);
}

ag_tensor *ag_wrap(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data) {
    if (!leaf_valid("wrap", tape, dtype, &shape, data)) return ag__nil_of(tape);
    if ((uintptr_t)data % ag_dtype_size(dtype) != 0)
        return ag__fail_on(tape, "wrap", AG_ERR_RANGE, "the data is not aligned for %s", ag_dtype_name(dtype));
    static const int64_t nothing; /* data is not NULL even where there are no elements */
    return leaf(&ag__op_constant, tape, dtype, &shape, ag__buffer_wrap(tape, data ? data : &nothing), NULL, 0);
}

ag_tensor *ag_variable(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data) {
    return copied_leaf(&ag__op_variable, "variable", tape, dtype, &shape, data);
}

static ag_tensor *parameter(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, const void *data) {
    if (tape && tape->status == AG_OK && (unsigned)dtype < AG_DTYPES && !ag__is_real((int)dtype))
        return ag__fail_on(tape, name, AG_ERR_DTYPE, "a parameter is f32 or f64, not %s", ag_dtype_name(dtype));
    ag_tensor *t = copied_leaf(&ag__op_variable, name, tape, dtype, shape, data);
    if (!(t->flags & AG__NIL)) t->flags |= AG__PARAMETER | AG__REQUIRES;
    return t;
}

ag_tensor *ag_parameter(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data) {
    return parameter("parameter", tape, dtype, &shape, data);
}

/* A variable with the value of x, which is not kept for that. */
static ag_tensor *variable_from(const char *name, ag_tensor *x) {
    ag_tape *tape = x->tape;
    ag_shape shape = ag_shape_of(x);
    if (!(x = ag__current(x)) || !ag__evaluate(tape, 1, &x)) return tape->nil;
    ag__buffer *b = ag__buffer_new(tape, bytes_of(x));
    if (!b) return out_of_memory(tape, name, bytes_of(x));
    ag_array from = ag__array_of(x);
    ag__pack(b->data, &from, 0, x->layout->size);
    if (ag__may_release(&(ag__evaluation){.tape = tape}, x)) {
        ag__buffer_drop(tape, x->buffer);
        x->buffer = NULL;
    }
    return own_leaf(&ag__op_variable, name, tape, (ag_dtype)x->dtype, &shape, NULL, b);
}

ag_tensor *ag_variable_from(ag_tensor *x) {
    ag_tensor *nil;
    return ag__inputs_usable("variable_from", 1, &x, &nil) ? variable_from("variable_from", x) : nil;
}

ag_tensor *ag_parameter_from(ag_tensor *x) {
    ag_tensor *nil;
    if (!ag__inputs_usable("parameter_from", 1, &x, &nil)) return nil;
    if (!ag__is_real(x->dtype)) return parameter("parameter_from", x->tape, (ag_dtype)x->dtype, NULL, NULL);
    ag_tensor *t = variable_from("parameter_from", x);
    if (!(t->flags & AG__NIL)) t->flags |= AG__PARAMETER | AG__REQUIRES;
    return t;
}

/* ---- Changing variables ---- */

static bool is_variable(const char *name, ag_tensor *v) {
    if (!ag__usable(name, v)) return false;
    if (!(v->flags & AG__VARIABLE))
        ag__fail(name, 1, &v, AG_ERR_TAPE, "only a variable or a parameter can be given another value");
    else if (v->tape->evaluating)
        ag__fail(name, 1, &v, AG_ERR_TAPE, "an operation that is being evaluated cannot change a variable");
    else return true;
    return false;
}

/* The buffer that a variable takes over must be whole and its own: what shows other memory is copied. */
static ag_tensor *own_value(ag_tensor *x) {
    x = ag__current(x);
    if (!x || (x->op->kind != AG_KIND_VIEW && x->op->kind != AG_KIND_SOURCE)) return x;
    ag_tensor *copy = ag_apply(&ag__op_contiguous, 1, &x, NULL, 0);
    return copy->flags & AG__NIL ? NULL : copy;
}

static void leave_ring(ag_tensor *v) {
    ag__variable *state = ag__variable_of(v);
    ag__variable_of(state->joined)->joiner = state->joiner;
    ag__variable_of(state->joiner)->joined = state->joined;
    state->joined = state->joiner = v;
}

static void enter_ring(ag_tensor *v, ag_tensor *other) {
    ag__variable *state = ag__variable_of(v), *before = ag__variable_of(other);
    state->joined = before->joined;
    state->joiner = other;
    ag__variable_of(before->joined)->joiner = v;
    before->joined = v;
}

/* x is v's next value, in place of one that was assigned before; NULL: v stays what it is. */
static void set_pending(ag_tensor *v, ag_tensor *x) {
    ag__variable *state = ag__variable_of(v);
    v->tape->assignments += (uint32_t)(x != NULL) - (uint32_t)(state->pending != NULL);
    state->pending = x;
}

void ag__forget_assignment(ag_tensor *v) {
    leave_ring(v);
    set_pending(v, NULL);
}

static bool assignable(const char *name, ag_tensor *v, ag_tensor *x) {
    ag_tensor *both[] = {v, x}, *nil;
    if (!ag__inputs_usable(name, 2, both, &nil) || !is_variable(name, v)) return false;
    if (!ag__layouts_equal(v->layout, x->layout)) ag__fail(name, 2, both, AG_ERR_SHAPE, "a variable keeps its shape");
    else if (v->dtype != x->dtype)
        ag__fail(name, 2, both, AG_ERR_DTYPE, "dtypes %s and %s differ", ag_dtype_name((ag_dtype)v->dtype),
                 ag_dtype_name((ag_dtype)x->dtype));
    else return true;
    return false;
}

/* What is pending for v is replaced, and no longer joined with anything but `other`. */
static void assign(const char *name, ag_tensor *v, ag_tensor *x, ag_tensor *other) {
    if (!assignable(name, v, x) || v->tape->sandbox || !(x = own_value(x))) return;
    ag__variable *state = ag__variable_of(v);
    if (other != v) leave_ring(v);
    if (other && other != v && ag__variable_of(other)->pending) enter_ring(v, other);
    set_pending(v, x);
    state->version = NULL;
    state->values++;
    state->waiting++;
    if (x->id < v->tape->deferred) v->tape->deferred = x->id;
    if (v->tape->eager) ag__evaluate(v->tape, 0, NULL);
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
    if (ag__inputs_usable("assign_with", 3, all, &nil) && is_variable("assign_with", other))
        assign("assign_with", v, x, other);
    ag_tape *tape = NULL;
    for (int i = 0; i < 3 && !tape; i++) tape = all[i] ? all[i]->tape : NULL;
    return ag__leave(tape, file, line);
}

static void commit(ag_tensor *v) {
    ag__variable *state = ag__variable_of(v);
    ag__buffer *old = v->buffer;
    v->buffer = state->pending->buffer;
    v->buffer->refs++;
    ag__buffer_drop(v->tape, old);
    set_pending(v, NULL);
    state->waiting = 0;
}

/* What follows w in a ring from which what was before w has been taken. */
static ag_tensor *next_of(const ag_tensor *w) {
    ag_tensor *next = ag__variable_of(w)->joined;
    return next == w ? NULL : next;
}

/* What follows w in a whole ring that began at v. */
static ag_tensor *next_from(const ag_tensor *w, const ag_tensor *v) {
    ag_tensor *next = ag__variable_of(w)->joined;
    return next == v ? NULL : next;
}

/* Whether all that is pending in v's ring has been computed. */
static bool ring_computed(const ag_tensor *v) {
    for (const ag_tensor *w = v; w; w = next_from(w, v))
        if (ag__variable_of(w)->pending && !ag__variable_of(w)->pending->buffer) return false;
    return true;
}

static void commit_ring(ag_tensor *v) {
    for (ag_tensor *w = v, *next; w; w = next) {
        next = next_of(w);
        leave_ring(w);
        if (ag__variable_of(w)->pending) commit(w);
    }
}

/* The rings whose values have all been computed take them over, and fall apart. */
void ag__commit_assignments(ag_tape *tape) {
    for (ag_tensor *v = tape->assignments ? tape->variables : NULL; v; v = ag__variable_of(v)->next)
        if (ag__variable_of(v)->pending && ring_computed(v)) commit_ring(v);
}

void ag__give_up_assignment(ag_tensor *v) {
    for (ag_tensor *w = v, *next; w; w = next) {
        ag__variable *state = ag__variable_of(w);
        next = next_of(w);
        ag__forget_assignment(w);
        state->version = NULL;
        state->values -= state->waiting;
        state->waiting = 0;
    }
}

ag_tensor *ag__next_value(const ag_tensor *x) {
    return x->flags & AG__READ ? ag__variable_of(x->input[0])->pending : NULL;
}

static void set(ag_tensor *v, const void *data) {
    if (!is_variable("set", v)) return;
    size_t bytes = bytes_of(v);
    if (!data && bytes) {
        ag__fail("set", 1, &v, AG_ERR_NULL, "the data is NULL, for %lld elements", (long long)v->layout->size);
        return;
    }
    if (v->tape->sandbox) return;
    ag__buffer *b = filled(v->tape, "set", bytes, data), *old = v->buffer;
    if (!b) return;
    tidy_bools((ag_dtype)v->dtype, b, bytes);
    v->buffer = b;
    ag__buffer_drop(v->tape, old);
    ag__forget_assignment(v);
    ag__variable_of(v)->version = NULL;
    ag__variable_of(v)->values++;
    ag__variable_of(v)->waiting = 0;
}

ag_status ag_set(ag_tensor *v, const void *data) {
    int line;
    const char *file = ag__here_file(&line);
    set(v, data);
    return ag__leave(v ? v->tape : NULL, file, line);
}

/* ---- Reading values ---- */

ag_tensor *ag_keep(ag_tensor *x) {
    if (x && !(x->flags & (AG__NIL | AG__STALE))) x->flags |= AG__KEEP;
    return x;
}

static bool computed(const char *name, ag_tensor *x) {
    if (!ag__usable(name, x)) return false;
    ag_keep(x);
    return ag__evaluate(x->tape, 1, &x);
}

static bool all_computed(int n, ag_tensor *const x[]) {
    ag_tensor *nil;
    if (n < 1) return true;
    if (!x) ag__fail_on(NULL, "eval_all", AG_ERR_NULL, "the list of tensors is NULL");
    if (!x || !ag__inputs_usable("eval_all", n, x, &nil)) return false;
    for (int i = 0; i < n; i++) ag_keep(x[i]);
    return ag__evaluate(x[0]->tape, n, x);
}

ag_status ag_eval(ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    computed("eval", x);
    return ag__leave(x ? x->tape : NULL, file, line);
}

ag_status ag_eval_all(int n, ag_tensor *const x[]) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tape *tape = NULL;
    for (int i = 0; x && i < n && !tape; i++) tape = ag_tape_of(x[i]);
    return all_computed(n, x) ? AG_OK : ag__leave(tape, file, line);
}

/* The copy of a view lives beside the view, so that asking again costs nothing and it lasts as long. */
static const void *packed_copy(ag_tensor *x) {
    enum { HEADER = 64 };
    for (ag__packed *p = x->flags & AG__PACKED ? x->tape->packed : NULL; p; p = p->next)
        if (p->tensor == x) return (char *)p + HEADER;
    ag__buffer *b = ag__buffer_new(x->tape, HEADER + bytes_of(x));
    if (!b) {
        ag__fail("data", 1, &x, AG_ERR_MEMORY, "no memory for %zu bytes", bytes_of(x));
        return NULL;
    }
    ag__packed *p = b->data;
    *p = (ag__packed){.next = x->tape->packed, .tensor = x, .buffer = b};
    x->tape->packed = p;
    x->flags |= AG__PACKED;
    ag_array from = ag__array_of(x);
    ag__pack((char *)p + HEADER, &from, 0, x->layout->size);
    return (char *)p + HEADER;
}

static const void *data_of(const char *name, ag_tensor *x) {
    if (!computed(name, x)) return NULL;
    return x->layout->contiguous ? ag__values(x) : packed_copy(x);
}

const void *ag_data(ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    const void *data = data_of("data", x);
    if (!data) ag__leave(x ? x->tape : NULL, file, line);
    return data;
}

static double number(ag_dtype dtype, const void *p) {
    switch (dtype) {
    case AG_BOOL: return *(const unsigned char *)p;
    case AG_I64: return (double)*(const int64_t *)p;
    case AG_F32: return *(const float *)p;
    default: return *(const double *)p;
    }
}

/* Element `at`, found by its strides: nothing is copied. */
static double element(ag_tensor *x, int64_t at) {
    const ag__layout *l = x->layout;
    const int64_t *stride = ag__strides(l);
    int64_t offset = 0;
    for (int i = l->rank - 1; i >= 0; at /= l->extent[i--]) offset += at % l->extent[i] * stride[i];
    return number((ag_dtype)x->dtype, (const char *)ag__values(x) + offset * (int64_t)ag__bytes(x));
}

double ag_item(ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    if (ag__usable("item", x) && x->layout->size != 1)
        ag__fail("item", 1, &x, AG_ERR_SHAPE, "there must be exactly one element, not %lld",
                 (long long)x->layout->size);
    else if (computed("item", x)) return element(x, 0);
    ag__leave(x ? x->tape : NULL, file, line);
    return NAN;
}

double ag_element(ag_tensor *x, int64_t at) {
    int line;
    const char *file = ag__here_file(&line);
    if (ag__usable("element", x) && (at < 0 || at >= x->layout->size))
        ag__fail("element", 1, &x, AG_ERR_RANGE, "there is no element %lld of %lld", (long long)at,
                 (long long)x->layout->size);
    else if (computed("element", x)) return element(x, at);
    ag__leave(x ? x->tape : NULL, file, line);
    return NAN;
}
