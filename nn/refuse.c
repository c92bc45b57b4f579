/* refuse -- failing with the public interface alone: by an operation that refuses all inputs
 *
 * Such an operation is never recorded, so it may live on the stack; its attributes hold the message. ag_apply
 * reports invalid inputs (NULL, nil, rewound, of two tapes) before it calls `infer`. */
#include "nn/refuse.h"
#include "autograd/tape/format.h"

#include <stdarg.h>
#include <string.h>

bool ag__real(const ag_tensor *x) { return ag_dtype_of(x) == AG_F32 || ag_dtype_of(x) == AG_F64; }
bool ag__is_variable(const ag_tensor *x) { return ag_op_of(x) && strcmp(ag_op_of(x)->name, "variable") == 0; }

bool ag__has_shape(const ag_tensor *x, const ag_shape *shape) {
    bool same = ag_rank(x) == shape->rank;
    for (int i = 0; same && i < shape->rank; i++) same = ag_extent(x, i) == shape->extent[i];
    return same;
}

typedef struct complaint {
    ag_status status;
    char text[200];
} complaint;

static bool complain(ag_infer *r) {
    const complaint *c = r->attributes;
    return ag_reject(r, c->status, "%s", c->text);
}

/* Never called: complain() refuses first. */
static bool compute_nothing(const ag_call *call) { return ag_call_fail(call, AG_ERR_NIL, "has no value"); }

static ag_op refusal(const char *name, ag_kind kind) {
    return (ag_op){.name = name,
                   .kind = kind,
                   .arity = -1, /* a source's is not asked for */
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
    ag_op op = refusal(name, AG_KIND_OPAQUE);
    return ag_apply(&op, n, x, &c, sizeof c);
}

/* Without a tape ag_apply_source returns the nil without a tape, and raises an error of its own, which ours
 * replaces. */
static ag_tensor *refuse_on(ag_tape *tape, const char *name, const complaint *c) {
    ag_op op = refusal(name, AG_KIND_SOURCE);
    ag_tensor *nil = ag_apply_source(&op, tape, AG_F64, AG_SCALAR, c, sizeof *c);
    if (!tape) ag_reject(&(ag_infer){.op = &op}, c->status, "%s", c->text);
    return nil;
}

ag_tensor *ag__refuse_on(ag_tape *tape, const char *name, ag_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    complaint c = write_complaint(status, format, args);
    va_end(args);
    return refuse_on(tape, name, &c);
}

ag_tensor *ag__no_layer(const char *name, ag_tensor *x) {
    return ag__refuse(name, 1, &x, AG_ERR_NULL, "the layer is NULL");
}

ag_tensor *ag__init_wrong(const char *name, const void *layer, ag_tape *tape, ag_dtype dtype, bool good,
                          const char *format, ...) {
    if (!layer) return ag__refuse_on(tape, name, AG_ERR_NULL, "the layer is NULL");
    if (!tape) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    if (dtype != AG_F32 && dtype != AG_F64)
        return ag__refuse_on(tape, name, AG_ERR_DTYPE, "the dtype must be f32 or f64, not %s", ag_dtype_name(dtype));
    if (good) return NULL;
    va_list args;
    va_start(args, format);
    complaint c = write_complaint(AG_ERR_RANGE, format, args);
    va_end(args);
    return refuse_on(tape, name, &c);
}

ag_tensor *ag__dtype_wrong(const char *name, ag_tensor *x, ag_tensor *part) {
    ag_tensor *const pair[] = {x, part};
    const char *dtype = ag_dtype_name(ag_dtype_of(x));
    if (!part) return NULL;
    if (ag_dtype_of(x) != ag_dtype_of(part))
        return ag__refuse(name, 2, pair, AG_ERR_DTYPE, "dtypes %s and %s differ", dtype,
                          ag_dtype_name(ag_dtype_of(part)));
    return ag__real(x) ? NULL : ag__refuse(name, 2, pair, AG_ERR_DTYPE, "the dtype %s is not supported", dtype);
}

ag_tensor *ag__linear_wrong(const char *name, const ag_linear *layer, ag_tensor *x, int64_t in) {
    ag_tensor *const all[] = {x, layer->weight, layer->bias}, *nil = NULL;
    const int64_t out = ag_extent(all[1], 1);
    if (ag_rank(x) < 2 || ag_rank(all[1]) != 2 || ag_extent(all[1], 0) != in)
        return ag__refuse(name, 2, all, AG_ERR_SHAPE,
                          "the input must be (…,N,in) and the weight (in,out), for their matmul");
    if (all[2] && (ag_rank(all[2]) != 1 || ag_extent(all[2], 0) != out))
        return ag__refuse(name, 3, all, AG_ERR_SHAPE, "the bias must be (%lld), or NULL", (long long)out);
    for (int i = 1; !nil && i < 3; i++) nil = ag__dtype_wrong(name, x, all[i]);
    return nil;
}

/* ---- Indices ---- */

/* Attributes of the check: how many things there are, and the words for index and things. */
typedef struct range {
    int64_t count;
    char index[16], things[16];
} range;

static bool range_infer(ag_infer *r) { return r->shape = ag_shape_of(r->x[0]), true; }

/* The indices of element `number`, as "1,2". */
static const char *indices_of(char to[AG__EXTENTS], const ag_array *x, int64_t number) {
    int64_t at[AG_MAX_RANK];
    for (int i = x->rank; i-- > 0; number /= x->shape[i]) at[i] = number % x->shape[i];
    return ag__format_extents(to, x->rank, at);
}

static bool range_eval(const ag_call *call) {
    const range *r = call->attributes;
    const int64_t *x = call->x[0].data;
    int64_t *y = call->y.data;
    for (int64_t i = 0; i < call->y.size; i++) {
        char indices[AG__EXTENTS];
        if ((uint64_t)(y[i] = x[i]) < (uint64_t)r->count) continue;
        return ag_call_fail(call, AG_ERR_RANGE, "%s %lld at [%s] is out of range: there are %lld %s, from 0 on",
                            r->index, (long long)x[i], indices_of(indices, &call->x[0], i), (long long)r->count,
                            r->things);
    }
    return true;
}

#define RANGE(NAME)                                                                                                    \
    {                                                                                                                  \
        .name = NAME, .notation = "{0}", .kind = AG_KIND_OPAQUE, .arity = 1, .attribute_bytes = sizeof(range),         \
        .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_CONTIGUOUS, .infer = range_infer, .eval = range_eval                 \
    }

ag_tensor *ag__indices_in_range(ag__indices what, ag_tensor *index, int64_t count) {
    static const struct {
        ag_op op;
        const char *index, *things;
    } of[] = {[AG__EMBEDDING] = {RANGE("embedding_apply"), "index", "rows"},
              [AG__CROSS_ENTROPY] = {RANGE("cross_entropy"), "label", "scores"},
              [AG__NLL] = {RANGE("nll"), "label", "classes"},
              [AG__HINGE] = {RANGE("hinge"), "label", "scores"},
              [AG__CTC] = {RANGE("ctc"), "label", "classes"},
              [AG__CTC_LENGTHS] = {RANGE("ctc"), "length", "lengths"},
              [AG__RNN_LENGTHS] = {RANGE("rnn_apply"), "length", "lengths"},
              [AG__UNPOOL] = {RANGE("max_unpool"), "index", "elements"}};
    range r = {.count = count};
    ag__format(r.index, sizeof r.index, "%s", of[what].index);
    ag__format(r.things, sizeof r.things, "%s", of[what].things);
    return ag_apply(&of[what].op, 1, &index, &r, sizeof r);
}
