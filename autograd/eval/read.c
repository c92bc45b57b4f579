/* read -- values of tensors: computed, read, and taken over by variables */
#include "autograd/eval/eval.h"

#include <math.h>

/* ---- Reading values ---- */

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

/* The copy of a view is kept as long as the view, so that reading again costs nothing. */
static const void *packed_copy(ag_tensor *x) {
    enum { HEADER = 64 };
    for (ag__packed *p = x->flags & AG__PACKED ? x->tape->packed : NULL; p; p = p->next)
        if (p->tensor == x) return (char *)p + HEADER;
    ag__buffer *b = ag__buffer_new(x->tape, ag__plus(HEADER, ag__value_bytes(x)));
    if (!b) {
        ag__fail("data", 1, &x, AG_ERR_MEMORY, "out of memory (%zu bytes)", ag__value_bytes(x));
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

/* Element `at`, by its strides, without a copy. */
static double element(ag_tensor *x, int64_t at) {
    const ag__layout *l = x->layout;
    const int64_t *stride = ag__strides(l);
    int64_t offset = 0;
    for (int i = l->rank - 1; i >= 0; at /= l->extent[i--]) offset += at % l->extent[i] * stride[i];
    return ag__get_element((ag_dtype)x->dtype, ag__values(x), offset);
}

double ag_item(ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    if (ag__usable("item", x) && x->layout->size != 1)
        ag__fail("item", 1, &x, AG_ERR_SHAPE, "x has %lld elements: one is wanted", (long long)x->layout->size);
    else if (computed("item", x)) return element(x, 0);
    ag__leave(x ? x->tape : NULL, file, line);
    return NAN;
}

double ag_element(ag_tensor *x, int64_t at) {
    int line;
    const char *file = ag__here_file(&line);
    if (ag__usable("element", x) && (at < 0 || at >= x->layout->size))
        ag__fail("element", 1, &x, AG_ERR_RANGE, "element %lld is out of range: x has %lld", (long long)at,
                 (long long)x->layout->size);
    else if (computed("element", x)) return element(x, at);
    ag__leave(x ? x->tape : NULL, file, line);
    return NAN;
}

/* ---- Variables with the value of a tensor ---- */

/* A variable with the value of x; x need not be kept. */
static ag_tensor *variable_from(const char *name, ag_tensor *x) {
    ag_tape *tape = x->tape;
    ag_shape shape = ag_shape_of(x);
    if (!(x = ag__current(x)) || !ag__evaluate(tape, 1, &x)) return tape->nil;
    ag__buffer *b = ag__buffer_new_lasting(tape, ag__value_bytes(x));
    if (!b) return ag__fail_on(tape, name, AG_ERR_MEMORY, "out of memory (%zu bytes)", ag__value_bytes(x));
    ag_array from = ag__array_of(x);
    ag__pack(b->data, &from, 0, x->layout->size);
    ag__release_unneeded(x);
    return ag__variable_with(tape, (ag_dtype)x->dtype, &shape, b);
}

ag_tensor *ag_variable_from(ag_tensor *x) {
    ag_tensor *nil;
    return ag__inputs_usable("variable_from", 1, &x, &nil) ? variable_from("variable_from", x) : nil;
}

ag_tensor *ag_parameter_from(ag_tensor *x) {
    ag_tensor *nil;
    if (!ag__inputs_usable("parameter_from", 1, &x, &nil)) return nil;
    if (!ag__parameter_dtype("parameter_from", x->tape, (ag_dtype)x->dtype)) return x->tape->nil;
    return ag__as_parameter(variable_from("parameter_from", x));
}
