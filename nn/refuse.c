/* refuse -- failing with the public interface alone: an operation that nothing is good enough for
 *
 * Such an operation is never recorded, so it may live on the stack, and its attributes hold the complaint. Whatever is
 * wrong with the inputs themselves (NULL, nil, rewound, of two tapes) ag_apply reports before it asks `infer`. */
#include "nn/refuse.h"
#include "autograd/format.h"

#include <stdarg.h>

typedef struct complaint {
    ag_status status;
    char text[200];
} complaint;

static bool complain(ag_infer *r) {
    const complaint *c = r->attributes;
    return ag_reject(r, c->status, "%s", c->text);
}

/* Never comes to be called: complain() has always refused before. */
static bool compute_nothing(const ag_call *call) { return ag_call_fail(call, AG_ERR_NIL, "has no value"); }

static ag_op refusal(const char *name, ag_kind kind, int arity) {
    return (ag_op){.name = name,
                   .kind = kind,
                   .arity = arity,
                   .flags = AG_OP_NOT_DIFFERENTIABLE,
                   .infer = complain,
                   .eval = compute_nothing};
}

static complaint write_complaint(ag_status status, const char *format, va_list args) {
    complaint c = {.status = status};
    ag__format_list(c.text, sizeof c.text, format, args);
    return c;
}

ag_tensor *ag__refuse(const char *name, int n, ag_tensor *const x[], ag_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    complaint c = write_complaint(status, format, args);
    va_end(args);
    ag_op op = refusal(name, AG_KIND_OPAQUE, n);
    return ag_apply(&op, n, x, &c, sizeof c);
}

ag_tensor *ag__refuse_on(ag_tape *tape, const char *name, ag_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    complaint c = write_complaint(status, format, args);
    va_end(args);
    ag_op op = refusal(name, AG_KIND_SOURCE, 0);
    return ag_apply_source(&op, tape, AG_F64, AG_SCALAR, &c, sizeof c);
}
