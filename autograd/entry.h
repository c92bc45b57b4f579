/* entry -- your own operations: an operation is a table entry, the descriptor ag_op
 *
 * The library's own operations are entries of the same form, with no privileges: docs/adding-an-op.md walks through
 * one. An entry is static and constant; nodes keep a pointer to it. */
#ifndef AG_ENTRY_H
#define AG_ENTRY_H

#include "autograd/types.h"

/* ag_kind -- how an operation's output elements depend on its input elements; the evaluator plans by it */
typedef enum ag_kind {
    AG_KIND_SOURCE,      /* no inputs, such as random numbers: give `eval` */
    AG_KIND_ELEMENTWISE, /* y[i] = f(a[i], b[i], …), of at most 8 inputs: give `trace`, `block` or both */
    AG_KIND_REDUCTION,   /* y = a fold over some axes: give `reduction` */
    AG_KIND_VIEW,        /* y consists of elements of its one input: `infer` gives strides and offset */
    AG_KIND_CONTRACTION, /* a product: give `eval` */
    AG_KIND_OPAQUE       /* anything else: give `eval` */
} ag_kind;

/* ag_infer -- the argument of `infer`, the one place where an operation's inputs are validated
 * On entry dtype is that of the last input, and shape that of the first. The shape is final for an elementwise
 * operation, whose inputs are broadcast already, and for a reduction. A source has the dtype and shape that were asked
 * for. */
typedef struct ag_infer {
    const ag_op *op;
    int n;
    ag_tensor *const *x;
    const void *attributes;      /* the caller's bytes, not validated; aligned for any number */
    size_t attribute_bytes;      /* their number: not fewer than the entry asks for */
    ag_dtype dtype;              /* of the output */
    ag_shape shape;              /* of the output */
    int64_t stride[AG_MAX_RANK]; /* views: in elements of the input's buffer; may be 0 or negative */
    int64_t offset;              /* views: first element, in elements of the input's buffer */
    ag_tape *tape;
} ag_infer;

/* ag_array -- elements in memory; stride in elements */
typedef struct ag_array {
    void *data;
    ag_dtype dtype;
    int rank;
    int64_t size;
    const int64_t *shape;
    const int64_t *stride;
} ag_array;

/* ag_call -- the argument of `eval`: strided inputs, and a contiguous row-major output, not initialised, to fill */
typedef struct ag_call {
    const ag_tensor *node;
    const void *attributes;
    int n;
    const ag_array *x;
    ag_array y;
    int threads;     /* that it may use; the result must not depend on them */
    bool accumulate; /* with AG_OP_ACCUMULATES: y holds values; add the result to them */
} ag_call;

/* ag_block -- y[i] = f(x[0][i], x[1][i], …) for 0 <= i < n, all contiguous; y may be one of the x
 * It is called for one part of the elements after another, by several threads at once, some of which have stacks of one
 * megabyte. A child process that it forks may only exec. */
typedef void ag_block(int64_t n, void *y, const void *const x[], const void *attributes);

/* ag_reduction -- a fold: associative and commutative up to rounding, over elements of one dtype */
typedef struct ag_reduction {
    double identity; /* the fold of no elements; −inf and inf are the ends of i64 */
    void (*fold[AG_DTYPES])(int64_t n, void *y, const void *x);    /* y[0] = fold of x[0…n), n >= 1 */
    void (*combine[AG_DTYPES])(int64_t n, void *y, const void *x); /* y[i] = y[i] ∘ x[i] */
    void (*finish[AG_DTYPES])(int64_t n, void *y, int64_t count);  /* y[i] from the fold of `count` elements; or NULL */
    const ag_op *join; /* the elementwise operation equal to `combine`, with its `neutral`; or NULL */
} ag_reduction;

/* ag_trace -- the formula of an elementwise operation while it is recorded, value by value: autograd/trace.h */
typedef struct ag_trace ag_trace;

/* ag_traced -- a value of a trace; valid in the trace that made it */
typedef struct ag_traced {
    uint32_t index, trace;
} ag_traced;

/* ag_trace_function -- records how an element of y is computed from those of the inputs, x[0], x[1], …, and returns it
 * It computes nothing, may be called at any time, any number of times, and records the same each time. Where there is
 * no machine code, `block` runs, or if that is NULL the recorded steps, one after the other, with the same bits: so a
 * block only saves time, for small tensors and where machine code cannot be made. It also runs where the trace is
 * invalid; without one ag_apply refuses an invalid trace. autograd/formulas_begin.h makes both of one text. */
typedef ag_traced ag_trace_function(ag_trace *t, const ag_traced x[]);

/* ag_domain -- where an operation is finite and has a derivative: above < x < below, or anywhere if both are 0 */
typedef struct ag_domain {
    float above, below;
    bool nonzero; /* and x != 0 */
} ag_domain;

/* ag_op -- the descriptor; fields that do not apply are NULL or 0
 * It must not change or move while a tape exists that it was recorded on, rewound or not: tapes remember operations by
 * the addresses of their descriptors. The library has over 200 of them: so numbers are no wider than they need be. */
struct ag_op {
    const char *name;
    ag_kind kind : 8;
    signed arity : 24;        /* −1: any number, at least one */
    uint16_t attribute_bytes; /* the fewest: ag_apply refuses fewer, and more than 65535. May be 0 for a reduction */
    uint16_t flags;
    bool (*infer)(ag_infer *r);        /* validate, set shape and dtype; may be NULL for elementwise and reduction.
                                        * Report errors with ag_reject and return false */
    ag_block *block[AG_DTYPES];        /* elementwise: by the dtype of the last input, which is accepted if there is
                                        * this or `trace` */
    const ag_reduction *reduction;     /* reduction; attributes are then the ag_axes_set below */
    bool (*eval)(const ag_call *call); /* contraction and opaque; report with ag_call_fail and return false */
    ag_tensor *(*vjp)(ag_tensor *y, ag_tensor *g, int i); /* x̄[i] from cotangent g, recorded; NULL: no contribution */
    double neutral;                                       /* with AG_OP_NEUTRAL: the identity element */
    ag_trace_function *trace[AG_DTYPES]; /* elementwise: the same as `block`, bit for bit; one of them may be NULL */
    const char *notation;                /* how ag_formula writes y: section 8 of autograd.h; NULL: name(inputs) */
    const char *(*notation_of)(const ag_tensor *y); /* the same where it depends on attributes; may return NULL */
    /* The sum of n > 1 results of one shape, and of `rest` if that is not NULL, recorded in a better form than their
     * additions: for cotangents with several contributions by operations of this kind. NULL: ag_add */
    ag_tensor *(*sum)(int n, ag_tensor *const y[], ag_tensor *rest);
    ag_domain domain[2]; /* elementwise: of the first two inputs, whatever the attributes */
};

/* Flags */
#define AG_OP_NOT_DIFFERENTIABLE 1u /* on purpose: `vjp` is NULL, and a gradient through a real y is refused */
#define AG_OP_PREDICATE 2u          /* elementwise: the output is bool whatever the inputs */
#define AG_OP_CONTIGUOUS 4u         /* eval needs contiguous inputs, and gets copies of those that are not */
#define AG_OP_ACCUMULATES 8u        /* eval adds its result to the values of y if the call says so */
#define AG_OP_CHEAP 16u             /* elementwise: rematerialising an element costs less than storing it */
#define AG_OP_NEUTRAL 32u           /* y = x where the other input, or the attribute (a double), is `neutral` */
#define AG_OP_COMMUTES 64u          /* f(a, b) = f(b, a) */
#define AG_OP_INVOLUTION 128u       /* f(f(x)) = x for one f and the same attributes */
#define AG_OP_CONSTANT 256u         /* every element is the attribute, a double */
#define AG_OP_SCALAR 512u           /* elementwise: the attribute is a double that its dtype must be able to hold */
#define AG_OP_HIDES_NOTHING 1024u   /* no choice: all elements are used, and an infinite or NaN one shows in y */
#define AG_OP_TIED 2048u   /* one input is a function of another: finite differences by one alone are invalid */
#define AG_OP_ADDS 4096u   /* elementwise: y = a + b; a product among its inputs may add itself to the other input */
#define AG_OP_COPIES 8192u /* elementwise: y = a, whose elements may be copied in any order */

/* ag_axes_set -- a reduction's attributes: bit i of `mask` for axis i */
typedef struct ag_axes_set {
    uint32_t mask;
    bool keepdims;
} ag_axes_set;

/* ag_apply -- record an operation; `attributes` are copied, and must not hold pointers
 * Elementwise inputs are broadcast to each other first. Attributes may be compared byte by byte: zero their padding.
 * Errors: those that the operation's infer reports; AG_ERR_SHAPE and AG_ERR_DTYPE for elementwise inputs that do not
 *         fit; AG_ERR_RANGE for a wrong number of inputs or bytes of attributes, a view beyond its input, an entry
 *         without a field that its kind needs, or with an invalid trace and no block */
AG_API ag_tensor *ag_apply(const ag_op *op, int n, ag_tensor *const x[], const void *attributes, size_t bytes);

/* ag_apply_source -- record an operation without inputs
 * Errors: as ag_apply */
AG_API ag_tensor *ag_apply_source(const ag_op *op, ag_tape *tape, ag_dtype dtype, ag_shape shape,
                                  const void *attributes, size_t bytes);

/* ag_op_of -- the operation that computes x; NULL for nil
 * Errors: none */
AG_API const ag_op *ag_op_of(const ag_tensor *x);

/* ag_inputs -- the number of inputs of x; 0 for nil
 * Errors: none */
AG_API int ag_inputs(const ag_tensor *x);

/* ag_input -- input i of x; NULL if there is none
 * It may be a broadcast that x has made of what it was given: gradients that were recorded before it was first read
 * may be computed from that, not from the broadcast.
 * Errors: none */
AG_API ag_tensor *ag_input(const ag_tensor *x, int i);

/* ag_attributes -- the attributes of x; NULL if none
 * Errors: none */
AG_API const void *ag_attributes(const ag_tensor *x);

/* ag_zero_vjp -- the vjp of an operation that is locally constant: it contributes nothing
 * Errors: none */
AG_API ag_tensor *ag_zero_vjp(ag_tensor *y, ag_tensor *g, int i);

/* ag_reject -- from infer: fail with a message, after the operation's name and its inputs' shapes; returns false
 * Errors: the one given */
AG_API bool ag_reject(const ag_infer *r, ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4), cold))
#endif
    ;

/* ag_call_fail -- from eval: the same; may be called from several threads
 * Errors: the one given */
AG_API bool ag_call_fail(const ag_call *call, ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4), cold))
#endif
    ;

/* ag_call_scratch -- from eval: memory until eval returns, aligned to 64 bytes and not initialised, or NULL
 * Call it from one thread only.
 * Errors: AG_ERR_MEMORY */
AG_API void *ag_call_scratch(const ag_call *call, size_t bytes);

/* ag_op_count -- the number of the library's operations, without leaves and other parts of the engine
 * Errors: none */
AG_API int ag_op_count(void);

/* ag_op_at -- operation i, 0 <= i < ag_op_count(); NULL for any other i
 * Errors: none */
AG_API const ag_op *ag_op_at(int i);

#endif
