/* making -- a layer's parameters, named and begun as its options say
 *
 * All parameters are evaluated as they are made, so that none waits for a random number whose memory is rewound. */
#include "nn/making.h"

ag__making ag__make(const char *call, ag_tape *tape, ag_dtype dtype, const ag_layer_options *options) {
    ag__making m = {.call = call, .tape = tape, .dtype = dtype};
    if (options) m.options = *options;
    m.file = ag_caller(&m.line);
    if (ag_tape_status(tape) == AG_OK) m.before = ag_tape_mark(tape);
    if (m.options.name) ag_scope(tape, m.options.name);
    return m;
}

/* The value to begin with; an initialiser may be the user's, and wrong. */
static ag_tensor *first_value(const ag__making *m, const char *part, const ag_shape *shape, ag_initial initial) {
    ag_tensor *x = initial.make(m->tape, m->dtype, *shape, initial.number);
    if (ag_tape_status(m->tape) != AG_OK) return x;
    if (!x || ag_is_nil(x) || ag_tape_of(x) != m->tape)
        return ag__refuse_on(m->tape, m->call, AG_ERR_NIL, "the initialiser of %.40s returned no tensor of this tape",
                             part);
    if (!ag__has_shape(x, shape))
        return ag__refuse(m->call, 1, &x, AG_ERR_SHAPE,
                          "the initialiser of %.40s returned another shape than it was asked for", part);
    if (ag_dtype_of(x) != m->dtype)
        return ag__refuse(m->call, 1, &x, AG_ERR_DTYPE, "the initialiser of %.40s returned %s, and %s is wanted", part,
                          ag_dtype_name(ag_dtype_of(x)), ag_dtype_name(m->dtype));
    return x;
}

ag_tensor *ag__make_parameter(ag__making *m, const char *part, const ag_shape *shape, ag_initial initial,
                              ag_initial usual) {
    ag_tensor *x = first_value(m, part, shape, initial.make ? initial : usual);
    return m->last = ag_label(ag_parameter_from(x), part);
}

ag_tensor *ag__make_bias(ag__making *m, const char *part, int64_t extent) {
    if (m->options.unbiased) return NULL;
    return ag__make_parameter(m, part, &AG_SHAPE(extent), m->options.bias, (ag_initial){ag_init_zeros, 0});
}

ag_tensor *ag__make_variable(ag__making *m, const char *part, const ag_shape *shape, double value) {
    return m->last = ag_label(ag_variable_from(ag_full(m->tape, m->dtype, *shape, value)), part);
}

ag_status ag__made(const ag__making *m, int n, ag_tensor **const handle[]) {
    if (m->options.name) ag_scope_end(m->tape);
    if (m->before.tape && ag_tape_status(m->tape) != AG_OK) {
        ag_tape_rewind(m->tape, m->before);
        for (int i = 0; i < n; i++) *handle[i] = m->last;
    }
    if (m->file) ag_here(m->file, m->line);
    return ag_eval(m->last);
}
