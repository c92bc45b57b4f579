/* leaf -- constants, variables and parameters: nodes whose value comes from outside */
#include "autograd/tape/tape.h"

#include <string.h>

const ag_op ag__op_constant = {.name = "constant", .kind = AG_KIND_SOURCE, .vjp = ag_zero_vjp};
static const ag_op variable_entry = {.name = "variable", .kind = AG_KIND_SOURCE, .vjp = ag_zero_vjp};

/* The shapes of the last few layouts are known to be valid. */
static bool shape_valid(const ag_shape *shape, const ag__layout *known, int64_t *size, const char **why) {
    if (known) *size = known->size;
    return known || ag__shape_valid(shape, size, why);
}

/* `known`: the shape's layout, if it is among the last few; or NULL. */
static bool leaf_valid(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, const void *data,
                       int64_t *size, const ag__layout **known) {
    const char *why;
    *size = 0;
    if (!tape) ag__fail_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    else if (!ag__in_order(tape, name)) return false;
    else if ((unsigned)dtype >= AG_DTYPES) ag__fail_on(tape, name, AG_ERR_DTYPE, "the dtype %d is invalid", (int)dtype);
    else if (!shape_valid(shape, *known = ag__layout_known(tape, shape), size, &why))
        ag__fail_on(tape, name, AG_ERR_SHAPE, "the shape has %s", why);
    else if (!data && *size > 0)
        ag__fail_on(tape, name, AG_ERR_NULL, "the data is NULL: %lld elements are wanted", (long long)*size);
    else return true;
    return false;
}

/* Append a leaf with `buffer`, whose reference it takes over. */
static ag_tensor *leaf_with(const ag_op *op, ag_tape *tape, ag_dtype dtype, const ag__layout *layout,
                            ag__buffer *buffer, const void *attributes, size_t bytes) {
    ag_tensor *t = layout && buffer ? ag__record(op, tape, dtype, layout, 0, NULL, attributes, bytes) : NULL;
    if (!t || t->flags & AG__NIL) {
        ag__buffer_drop(tape, buffer);
        return ag__fail_on(tape, op->name, AG_ERR_MEMORY, "out of memory (another tensor)");
    }
    t->buffer = buffer;
    t->flags |= AG__LEAF | AG__COMPUTED;
    return t;
}

static ag_tensor *leaf(const ag_op *op, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, ag__buffer *buffer,
                       const void *attributes, size_t bytes) {
    const ag__layout *layout = buffer ? ag__layout_new(tape, shape, NULL) : NULL;
    return leaf_with(op, tape, dtype, layout, buffer, attributes, bytes);
}

/* A bool is one byte, 0 or 1: any other byte becomes 1, so that kernels may rely on it. */
static void tidy_bools(ag_dtype dtype, ag__buffer *b, size_t bytes) {
    unsigned char *p = b->data;
    if (dtype == AG_BOOL)
        for (size_t i = 0; i < bytes; i++) p[i] = p[i] != 0;
}

ag__buffer *ag__buffer_with(ag_tape *tape, const char *name, ag_dtype dtype, int64_t size, const void *data,
                            bool lasts) {
    size_t bytes = ag__times((uint64_t)size, ag_dtype_size(dtype));
    ag__buffer *b = lasts ? ag__buffer_new_lasting(tape, bytes) : ag__buffer_new(tape, bytes);
    if (!b) ag__fail_on(tape, name, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    if (!b || bytes == 0) return b;
    memcpy(b->data, data, bytes);
    tidy_bools(dtype, b, bytes);
    return b;
}

ag_tensor *ag__constant_with(ag_tape *tape, ag_dtype dtype, const ag_shape *shape, ag__buffer *value) {
    return leaf(&ag__op_constant, tape, dtype, shape, value, NULL, 0);
}

ag_tensor *ag__variable_with(ag_tape *tape, ag_dtype dtype, const ag_shape *shape, ag__buffer *value) {
    ag__variable state = {.next = tape->variables};
    ag_tensor *t = leaf(&variable_entry, tape, dtype, shape, value, &state, sizeof state);
    if (t->flags & AG__NIL) return t;
    tidy_bools(dtype, value, ag__value_bytes(t));
    t->flags |= AG__VARIABLE;
    return tape->variables = ag__variable_of(t)->joined = ag__variable_of(t)->joiner = t;
}

static ag__buffer *copied(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, const void *data,
                          bool lasts, const ag__layout **known) {
    int64_t size;
    const bool valid = leaf_valid(name, tape, dtype, shape, data, &size, known);
    return valid ? ag__buffer_with(tape, name, dtype, size, data, lasts) : NULL;
}

ag_tensor *ag_from(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data) {
    const ag__layout *known;
    ag__buffer *value = copied("from", tape, dtype, &shape, data, false, &known);
    if (!value) return ag__nil_of(tape);
    if (!known) known = ag__layout_add(tape, &shape);
    return leaf_with(&ag__op_constant, tape, dtype, known, value, NULL, 0);
}

static bool borrowable(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, const void *data) {
    int64_t size;
    const ag__layout *known;
    if (!leaf_valid(name, tape, dtype, shape, data, &size, &known)) return false;
    if ((uintptr_t)data % ag_dtype_size(dtype) == 0) return true;
    ag__fail_on(tape, name, AG_ERR_RANGE, "the data must be aligned for %s", ag_dtype_name(dtype));
    return false;
}

static const int64_t nothing; /* for data that is NULL, without elements */

ag_tensor *ag_wrap(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data) {
    if (!borrowable("wrap", tape, dtype, &shape, data)) return ag__nil_of(tape);
    return leaf(&ag__op_constant, tape, dtype, &shape, ag__buffer_wrap(tape, data ? data : &nothing), NULL, 0);
}

ag_tensor *ag__adopt(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, const int64_t *stride,
                     const void *data, ag__owner owner) {
    if (!borrowable(name, tape, dtype, shape, data)) return ag__nil_of(tape);
    const ag__layout *layout = ag__layout_new(tape, shape, stride);
    ag__buffer *b = layout ? ag__buffer_adopt(tape, data ? data : &nothing) : NULL;
    ag_tensor *t = leaf_with(&ag__op_constant, tape, dtype, layout, b, NULL, 0);
    if (!(t->flags & AG__NIL)) ag__buffer_set_owner(b, owner);
    return t;
}

ag_tensor *ag_adopt(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data, void (*release)(void *),
                    void *context) {
    if (tape && !release) return ag__fail_on(tape, "adopt", AG_ERR_NULL, "the function that releases the data is NULL");
    return ag__adopt("adopt", tape, dtype, &shape, NULL, data, (ag__owner){release, context});
}

static ag_tensor *variable(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, const void *data) {
    const ag__layout *known;
    ag__buffer *value = copied(name, tape, dtype, shape, data, true, &known);
    return value ? ag__variable_with(tape, dtype, shape, value) : ag__nil_of(tape);
}

ag_tensor *ag_variable(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data) {
    return variable("variable", tape, dtype, &shape, data);
}

bool ag__parameter_dtype(const char *name, ag_tape *tape, ag_dtype dtype) {
    if (ag__is_real((int)dtype)) return true;
    ag__fail_on(tape, name, AG_ERR_DTYPE, "a parameter must be f32 or f64, not %s", ag_dtype_name(dtype));
    return false;
}

ag_tensor *ag__as_parameter(ag_tensor *v) {
    if (!(v->flags & AG__NIL)) v->flags |= AG__PARAMETER | AG__REQUIRES;
    return v;
}

ag_tensor *ag_parameter(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data) {
    bool known = tape && tape->status == AG_OK && (unsigned)dtype < AG_DTYPES;
    if (known && !ag__parameter_dtype("parameter", tape, dtype)) return tape->nil;
    return ag__as_parameter(variable("parameter", tape, dtype, &shape, data));
}
