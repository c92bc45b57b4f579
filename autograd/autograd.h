/* autograd -- reverse-mode automatic differentiation over tensors, in C
 *
 * This header is the guided tour; read it from top to bottom.
 *
 *      1  Types              2  The tape            3  Tensors: making, reading, changing
 *      4  Gradients          5  Arithmetic          6  Comparisons and choice
 *      7  Functions          8  Reductions          9  Shapes and views
 *     10  Products          11  Indexing           12  Composed functions
 *     13  Checking          14  Seeing the graph   15  Your own operations
 *     16  Explaining        17  Jacobians and products with them
 *     18  Profiling
 *
 * A whole program, which fits a line through four points:
 *
 *     #include <autograd/autograd.h>
 *     #include <stdio.h>
 *     int main(void) {
 *         double xs[] = {1, 2, 3, 4}, ys[] = {3, 5, 7, 9}, zero = 0;
 *         ag_tape *tape = ag_tape_new();
 *         ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SCALAR, &zero), ag_parameter(tape, AG_F64, AG_SCALAR, &zero)};
 *         ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(4), xs), *y = ag_from(tape, AG_F64, AG_SHAPE(4), ys), *dp[2];
 *         for (ag_mark mark = ag_tape_mark(tape); ag_tape_status(tape) == AG_OK;) {
 *             ag_tensor *loss = ag_mean(ag_square(ag_sub(ag_add(ag_mul(p[0], x), p[1]), y)));
 *             ag_grad(loss, 2, p, dp);
 *             for (int i = 0; i < 2; i++) ag_assign(p[i], ag_sub(p[i], ag_scale(dp[i], 0.1)));
 *             if (ag_item(loss) < 1e-20) break;
 *             ag_tape_rewind(tape, mark);
 *         }
 *         printf("y = %g x + %g%s\n", ag_item(p[0]), ag_item(p[1]), ag_tape_error(tape));
 *         ag_tape_free(tape);
 *     }
 *
 * It prints `y = 2 x + 1`. Operations are recorded when called and computed when somebody looks (ag_item).
 *
 * In the comments below: a, b, x are inputs, y is the output, a bar marks a cotangent (x̄ is dL/dx), m, n, k are
 * extents, … stands for any leading axes, and "element" counts in row-major order. "real" means f32 or f64. Two
 * inputs of one operation have one dtype, unless it is said otherwise; nothing is converted silently. Every
 * operation broadcasts its inputs as NumPy does where its line says "broadcast".
 *
 * Errors stick to the tape (section 2): an operation that fails returns an inert nil tensor, never NULL, and
 * everything after it on that tape does too, so one check at the end of a chain is enough. What returns an ag_status
 * returns the tape's. Beyond what a function lists, each may give AG_ERR_NULL (a NULL argument), AG_ERR_TAPE (tensors
 * of two tapes, or a tensor that a rewind has released: see ag_tensor), AG_ERR_NIL (the result of an earlier failure that has been
 * cleared) and AG_ERR_MEMORY. Most functions are also macros of their own names that note the caller's file and line: see
 * located.h. */
#ifndef AUTOGRAD_H
#define AUTOGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined __GNUC__
#define AG_API __attribute__((visibility("default")))
#else
#define AG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* =================================================== 1. Types =================================================== */

#define AG_VERSION "0.1.0"
#define AG_MAX_RANK 8

/* ag_tape -- the context: owns every tensor recorded on it; tapes share nothing, so one per thread needs no lock */
typedef struct ag_tape ag_tape;

/* ag_tensor -- a recorded value; a handle that its tape owns, valid until the tape is rewound past it or freed
 * A rewound handle is refused (AG_ERR_TAPE) until a tensor is recorded in its place: the n-th tensor after a rewind takes the
 * place, and becomes the handle, of the n-th that was released. With the environment variable AG_CHECK set to "1" tapes
 * leave places vacant, up to 262144 at a time, so that a handle that was kept by mistake is found. */
typedef struct ag_tensor ag_tensor;

/* ag_op -- an operation: a table entry; see section 15 */
typedef struct ag_op ag_op;

/* ag_dtype -- the type of a tensor's elements; bool is one byte, 0 or 1 */
typedef enum ag_dtype { AG_BOOL, AG_I64, AG_F32, AG_F64, AG_DTYPES } ag_dtype;

/* ag_status -- what became of a call; the first failure sticks to the tape */
typedef enum ag_status {
    AG_OK,
    AG_ERR_NULL,     /* an argument is NULL that must not be */
    AG_ERR_SHAPE,    /* shapes, ranks or extents do not fit, or overflow */
    AG_ERR_DTYPE,    /* a dtype is not accepted here, or two differ */
    AG_ERR_AXIS,     /* an axis is out of range or given twice */
    AG_ERR_RANGE,    /* an index, a label or a number is out of range */
    AG_ERR_TAPE,     /* another tape's tensor, a rewound tensor, a stale mark */
    AG_ERR_NIL,      /* the nil result of an earlier failure */
    AG_ERR_GRADIENT, /* a gradient that does not exist, or is asked for wrongly */
    AG_ERR_MEMORY,   /* out of memory */
    AG_ERR_FILE      /* a file cannot be read or written, or holds something else than it should */
} ag_status;

/* ag_shape -- extents, outermost first; a by-value type that AG_SHAPE(2, 3) and AG_SCALAR write */
typedef struct ag_shape {
    int rank;
    int64_t extent[AG_MAX_RANK];
} ag_shape;

/* ag_axes -- axes, as a set or in order; negative ones count from the end; AG_AXES(0, -1) and AG_ALL_AXES write it */
typedef struct ag_axes {
    int count; /* -1: all of them */
    int axis[AG_MAX_RANK];
} ag_axes;

/* ag_mark -- a position on a tape, to rewind to */
typedef struct ag_mark {
    const ag_tape *tape;
    uint32_t index;
    uint64_t serial;
} ag_mark;

/* ag_allocator -- where a tape takes its memory; resize(ctx, p, old, new) is alloc for p = NULL and free for new = 0,
 * returns memory aligned to 64 bytes or NULL, and leaves p alone when it fails. It can look at the tape that calls it, which
 * refuses everything else: AG_ERR_TAPE */
typedef struct ag_allocator {
    void *(*resize)(void *ctx, void *p, size_t old_bytes, size_t new_bytes);
    void *ctx;
} ag_allocator;

/* ag_memory -- what a tape holds; bytes */
typedef struct ag_memory {
    int64_t nodes;     /* tensors recorded and not rewound */
    int64_t held;      /* taken from the allocator and not given back */
    int64_t live;      /* in values that some tensor still holds */
    int64_t peak_held; /* the most that held and live have been */
    int64_t peak_live;
    int64_t allocations; /* how often the allocator was asked for memory: constant in a steady loop */
    int64_t node_bytes;  /* in nodes, with their inputs, attributes, shapes and labels */
    int64_t plan_bytes;  /* in plans of the fused evaluator */
    int64_t peak_node_bytes;
    int64_t peak_plan_bytes;
} ag_memory;

#ifndef __cplusplus
#define AG_SHAPE(...) ((ag_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define AG_SCALAR ((ag_shape){0, {0}})
#define AG_AXES(...) ((ag_axes){(int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), {__VA_ARGS__}})
#define AG_ALL_AXES ((ag_axes){-1, {0}})
#else
#define AG_SHAPE(...) ag_cpp_shape(__VA_ARGS__)
#define AG_SCALAR (ag_shape{0, {0}})
#define AG_AXES(...) ag_cpp_axes(__VA_ARGS__)
#define AG_ALL_AXES (ag_axes{-1, {0}})
#endif

/* ================================================= 2. The tape ================================================== */

/* ag_tape_new -- a new, empty tape; NULL if there is no memory for it
 * Errors: none; every function accepts that NULL, and what needs a tape then fails: see ag_tape_error(NULL) */
AG_API ag_tape *ag_tape_new(void);

/* ag_tape_new_with -- the same, with every byte taken from `allocator` (copied; NULL is the default one)
 * Errors: none; returns NULL as ag_tape_new does */
AG_API ag_tape *ag_tape_new_with(const ag_allocator *allocator);

/* ag_tape_free -- release the tape and everything on it; NULL is ignored
 * Errors: AG_ERR_TAPE from within code that the tape is calling (an operation's infer, eval or vjp, a function that is
 *         being checked, its allocator): that sticks to the tape, and nothing is released */
AG_API void ag_tape_free(ag_tape *tape);

/* ag_tape_mark -- the present end of the tape
 * Errors: AG_ERR_MEMORY; the mark then rewinds to nothing and is refused */
AG_API ag_mark ag_tape_mark(ag_tape *tape);

/* ag_tape_rewind -- release everything recorded since the mark, and keep its memory for what comes next; assignments that
 * are pending are carried out first, in the variables' own memory where nothing that stays holds their old values; the
 * mark stays valid, marks made after it do not
 * Errors: AG_ERR_TAPE for a mark of another tape or one that was rewound; within an eval, and within an infer, a vjp or a
 *         function that is being checked for a mark that was made before it was called; whatever evaluating an assignment
 *         gives (the tape is rewound all the same, and the variable keeps its old value). Rewinding works on a tape in
 *         error too */
AG_API ag_status ag_tape_rewind(ag_tape *tape, ag_mark mark);

/* ag_tape_status -- the first failure on this tape since it was made or cleared; AG_OK if none
 * Errors: none; for NULL, the last failure on this thread that had no tape to stick to */
AG_API ag_status ag_tape_status(const ag_tape *tape);

/* ag_tape_error -- that failure in words, with operation, shapes and the caller's line; "" if none; never NULL
 * Errors: none; the text is the tape's and lasts until ag_clear_error or ag_tape_free */
AG_API const char *ag_tape_error(const ag_tape *tape);

/* ag_clear_error -- forget the failure; the tape can be used again as if the failed calls had not been made
 * Errors: none */
AG_API void ag_clear_error(ag_tape *tape);

/* ag_status_name -- "AG_ERR_SHAPE" for AG_ERR_SHAPE; "AG_ERR_?" for no status
 * Errors: none */
AG_API const char *ag_status_name(ag_status status);

/* ag_tape_set_eager -- compute each value when it is recorded (to step through a program); returns the former setting
 * Errors: none; false for a NULL tape */
AG_API bool ag_tape_set_eager(ag_tape *tape, bool eager);

/* ag_tape_set_recording -- with false, what is recorded until it is true again is from then on constant to gradients ("no
 * grad"); an ag_grad in between still differentiates what was recorded in between. Returns the former setting, to be put back
 * Errors: none; false for a NULL tape */
AG_API bool ag_tape_set_recording(ag_tape *tape, bool recording);

/* ag_tape_set_threads -- on how many threads at most this tape is evaluated, up to 1024; 0 is the default: what the
 * environment variable AG_THREADS says, or else OMP_NUM_THREADS, or else the processors that the process may use, by its
 * affinity and its control group. The calling thread is one of them; the others are the library's, shared by all tapes, made
 * when they are first needed, and left out where the system gives none. Signals go to the program's own threads. A child of
 * fork has threads of its own. Results are the same bits for any number. Returns the number in force
 * Errors: none; a negative number changes nothing; 0 for a NULL tape */
AG_API int ag_tape_set_threads(ag_tape *tape, int threads);

/* ag_evaluator -- how values are computed: fused, regions of operations strip by strip in cache; or by the reference, one
 * operation at a time with plain loops, which is what the other is tested against and what to debug with; or
 * automatically: fused, but by the reference what is too small for a plan to pay, or small and not seen before. Results
 * are those of the fused evaluator, to the last bit */
typedef enum ag_evaluator { AG_EVALUATOR_AUTOMATIC, AG_EVALUATOR_FUSED, AG_EVALUATOR_REFERENCE } ag_evaluator;

/* ag_tape_set_evaluator -- choose how this tape's values are computed; returns the former choice. A new tape's is automatic,
 * unless the environment variable AG_EVAL is "fused" or "reference"; it makes machine code unless AG_COMPILE is "0"
 * Errors: none; what is no evaluator changes nothing; AG_EVALUATOR_AUTOMATIC for a NULL tape */
AG_API ag_evaluator ag_tape_set_evaluator(ag_tape *tape, ag_evaluator evaluator);

/* ag_tape_seed -- restart the tape's random numbers; the same program then draws the same ones
 * Errors: none */
AG_API void ag_tape_seed(ag_tape *tape, uint64_t seed);

/* ag_tape_memory -- how much memory the tape holds
 * Errors: none; all zero for NULL */
AG_API ag_memory ag_tape_memory(const ag_tape *tape);

/* ag_tape_trim -- give recycled memory that nothing uses at present back to the allocator, except what small values had
 * With it goes that of rewound tensors: their handles must not be used any more
 * Errors: AG_ERR_TAPE from within an eval or the allocator */
AG_API void ag_tape_trim(ag_tape *tape);

/* ==================================== 3. Tensors: making, reading, changing ===================================== */

/* ag_from -- a constant with a copy of `data`, row-major; a bool is true unless its byte is 0
 * Errors: AG_ERR_NULL for NULL data (unless the shape has no elements), AG_ERR_SHAPE, AG_ERR_DTYPE */
AG_API ag_tensor *ag_from(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data);

/* ag_wrap -- the same without the copy: `data` is borrowed, aligned for its dtype, each bool 0 or 1, and must stay as it
 * is until the tensor is rewound
 * Errors: as ag_from; AG_ERR_RANGE for data that is not aligned */
AG_API ag_tensor *ag_wrap(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data);

/* ag_variable -- state that ag_assign and ag_set can change (running statistics, an optimiser's moments); copies `data`.
 * Whatever uses it uses the value that it has then
 * Errors: as ag_from */
AG_API ag_tensor *ag_variable(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data);

/* ag_parameter -- a variable that requires gradients: what ag_backward differentiates by; real dtypes only
 * Errors: as ag_from */
AG_API ag_tensor *ag_parameter(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data);

/* ag_variable_from -- a variable that begins with the value of x, which is evaluated now
 * Errors: as ag_eval */
AG_API ag_tensor *ag_variable_from(ag_tensor *x);

/* ag_parameter_from -- a parameter that begins with the value of x, as in ag_parameter_from(ag_normal(…))
 * Errors: as ag_eval; AG_ERR_DTYPE unless x is real */
AG_API ag_tensor *ag_parameter_from(ag_tensor *x);

/* ag_full -- every element is `value`; stored once whatever the shape
 * Shape:  () -> shape
 * Dtype:  any; f32 rounds `value`, to infinity if it is too large
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless `value` is 0 or 1 for bool, an integer within range for i64
 * Source: numpy.full */
AG_API ag_tensor *ag_full(ag_tape *tape, ag_dtype dtype, ag_shape shape, double value);

/* ag_zeros -- ag_full with 0
 * Errors: as ag_full */
AG_API ag_tensor *ag_zeros(ag_tape *tape, ag_dtype dtype, ag_shape shape);

/* ag_ones -- ag_full with 1
 * Errors: as ag_full */
AG_API ag_tensor *ag_ones(ag_tape *tape, ag_dtype dtype, ag_shape shape);

/* ag_scalar -- a 0-d constant
 * Errors: as ag_full */
AG_API ag_tensor *ag_scalar(ag_tape *tape, ag_dtype dtype, double value);

/* ag_arange -- 0, 1, … n-1
 * Shape:  () -> (n)
 * Dtype:  i64, f32 or f64
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE for n < 0; AG_ERR_DTYPE
 * Source: numpy.arange */
AG_API ag_tensor *ag_arange(ag_tape *tape, ag_dtype dtype, int64_t n);

/* ag_uniform -- independent random numbers, low <= y < high (or both equal); a new draw at every call, repeatable by
 * ag_tape_seed
 * Shape:  () -> shape
 * Dtype:  real
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless low <= high and both are finite in the dtype
 * Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011): Philox4x32-10, keyed by seed and draw */
AG_API ag_tensor *ag_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double low, double high);

/* ag_normal -- independent normal random numbers with this mean and standard deviation
 * Shape:  () -> shape
 * Dtype:  real
 * Grad:   a constant
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE unless both are finite in the dtype and std >= 0
 * Source: Box and Muller (1958) on the numbers of ag_uniform */
AG_API ag_tensor *ag_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double mean, double std);

/* ag_label -- name a tensor in errors, graphs and reports; the text is copied; returns x
 * Errors: AG_ERR_MEMORY */
AG_API ag_tensor *ag_label(ag_tensor *x, const char *label);

/* ag_eval -- compute x now; also what pending assignments need, and if x is a variable, its assignment
 * Errors: what its operations find in the data (AG_ERR_RANGE for an index), AG_ERR_MEMORY */
AG_API ag_status ag_eval(ag_tensor *x);

/* ag_eval_all -- compute several tensors of one tape in one sweep
 * Errors: as ag_eval */
AG_API ag_status ag_eval_all(int n, ag_tensor *const x[]);

/* ag_data -- evaluate x and show its elements, contiguous and row-major; valid until x is rewound, and for a variable
 * until it is given another value; NULL after an error, not NULL for a tensor without elements
 * Errors: as ag_eval */
AG_API const void *ag_data(ag_tensor *x);

/* ag_item -- evaluate x, which has one element, and return it; NaN after an error
 * Errors: as ag_eval; AG_ERR_SHAPE unless there is exactly one element */
AG_API double ag_item(ag_tensor *x);

/* ag_element -- evaluate x and return one element by its row-major number; NaN after an error
 * Errors: as ag_eval; AG_ERR_RANGE */
AG_API double ag_element(ag_tensor *x, int64_t number);

/* ag_keep -- keep the value of x, once computed, until its rewind; returns x. Otherwise it may be released after its last
 * use, and be computed once more when asked for, unless it was itself evaluated or read (ag_eval, ag_data, ag_item)
 * Errors: none of its own */
AG_API ag_tensor *ag_keep(ag_tensor *x);

/* ag_assign -- give variable `v` the value of x from here on; what is already recorded keeps the old one. Carried out
 * when somebody looks, at the latest with the rewind
 * Errors: AG_ERR_SHAPE and AG_ERR_DTYPE if they differ, AG_ERR_TAPE if v is no variable */
AG_API ag_status ag_assign(ag_tensor *v, ag_tensor *x);

/* ag_assign_with -- the same, joined with what variable `other` has been assigned and not yet been given, and with what that
 * is joined with: all of these are carried out, or, when memory lacks or one of the values is an error, none
 * Errors: as ag_assign, also for `other` */
AG_API ag_status ag_assign_with(ag_tensor *v, ag_tensor *x, ag_tensor *other);

/* ag_set -- give variable `v` a value from memory, row-major and copied, in its own dtype, at once; what is already
 * recorded keeps the old one
 * Errors: AG_ERR_NULL, AG_ERR_TAPE if v is no variable, AG_ERR_MEMORY */
AG_API ag_status ag_set(ag_tensor *v, const void *data);

/* ag_values_given -- how often variable v has been assigned or set a value, but for assignments that could not be carried
 * out: when it is less than it was, values were lost; 0 for what is no variable
 * Errors: none */
AG_API int64_t ag_values_given(const ag_tensor *v);

/* ag_is_nil -- whether x is NULL or the inert result of a failure
 * Errors: none */
AG_API bool ag_is_nil(const ag_tensor *x);

/* ag_tape_of -- the tape that x is recorded on; NULL if it has none
 * Errors: none */
AG_API ag_tape *ag_tape_of(const ag_tensor *x);

/* ag_dtype_of -- the dtype of x; AG_F64 for nil
 * Errors: none */
AG_API ag_dtype ag_dtype_of(const ag_tensor *x);

/* ag_shape_of -- the shape of x; rank 0 for nil
 * Errors: none */
AG_API ag_shape ag_shape_of(const ag_tensor *x);

/* ag_rank -- the number of axes of x; 0 for nil
 * Errors: none */
AG_API int ag_rank(const ag_tensor *x);

/* ag_extent -- the extent of one axis, negative ones counted from the end; 0 if there is no such axis
 * Errors: none */
AG_API int64_t ag_extent(const ag_tensor *x, int axis);

/* ag_size -- the number of elements of x; 0 for nil
 * Errors: none */
AG_API int64_t ag_size(const ag_tensor *x);

/* ag_label_of -- the label of x; "" if it has none
 * Errors: none */
AG_API const char *ag_label_of(const ag_tensor *x);

/* ag_place_of -- the source file where x was recorded, and its line through `line` (may be NULL); "" and 0 if unknown
 * Errors: none */
AG_API const char *ag_place_of(const ag_tensor *x, int *line);

/* ag_dtype_size -- bytes an element; 0 for no dtype
 * Errors: none */
AG_API size_t ag_dtype_size(ag_dtype dtype);

/* ag_dtype_name -- "f32" for AG_F32; "?" for no dtype
 * Errors: none */
AG_API const char *ag_dtype_name(ag_dtype dtype);

/* ================================================= 4. Gradients ================================================= */

/* A gradient is itself recorded: read it, use it in further operations, draw it, differentiate it again. Only real
 * tensors carry one: what depends on x through bool or i64 alone (a comparison, ag_argmax) does not depend on it here.
 *
 * What is not chosen has no influence on gradients of any order. Below a choice, that is behind anything in which an infinite
 * or NaN element may go unseen (ag_where, ag_relu, ag_max, a slice, but also a division or ag_tanh), a cotangent that is 0
 * contributes 0, whatever the local slope is: so ag_where(ag_greater(x, zero), ag_log(x), x) has the gradients that it should.
 * That holds for matrix products too. Elsewhere 0·inf is NaN in a gradient, but then the output is infinite or NaN as well. */

/* ag_grad -- dx[i] = dy/dx[i] for a y of one element (ag_vjp takes any); zeros where y does not depend on x[i]
 * Shape:  dx[i] has the shape of x[i]
 * Dtype:  y and each x[i] real; dx[i] as x[i]
 * Errors: AG_ERR_SHAPE unless y has one element, AG_ERR_DTYPE, AG_ERR_RANGE for n < 0, AG_ERR_GRADIENT for an
 *         operation that is not differentiable; every dx[i] is then nil */
AG_API ag_status ag_grad(ag_tensor *y, int n, ag_tensor *const x[], ag_tensor *dx[]);

/* ag_vjp -- vector-Jacobian products: dx[i] = Σ_j ȳ[j]·(dy[j]/dx[i]) for any number of outputs and inputs
 * ȳ = NULL, or ȳ[j] = NULL, stands for ones, and then y[j] must have one element. With AG_STRICT in `flags` an x[i]
 * that no y[j] depends on is an error rather than zeros. With AG_STRONG zeros in ȳ count as a choice: what is infinite or NaN
 * in elements with cotangent 0 has no influence.
 * Shape:  ȳ[j] as y[j]; dx[i] as x[i]
 * Dtype:  real; ȳ[j] as y[j]
 * Errors: as ag_grad; AG_ERR_SHAPE and AG_ERR_DTYPE for a ȳ[j] unlike its y[j]; AG_ERR_RANGE for ny < 1 */
AG_API ag_status ag_vjp(int ny, ag_tensor *const y[], ag_tensor *const ybar[], int nx, ag_tensor *const x[],
                        ag_tensor *dx[], unsigned flags);
#define AG_STRICT 1u
#define AG_STRONG 2u

/* ag_backward -- differentiate y, which has one element, by every parameter that it depends on; gradients add up over
 * calls until ag_zero_gradients or a rewind
 * Errors: as ag_grad; AG_ERR_GRADIENT if y depends on no parameter */
AG_API ag_status ag_backward(ag_tensor *y);

/* ag_gradient -- what ag_backward has found for parameter p; zeros if nothing
 * Errors: AG_ERR_GRADIENT if p is no parameter */
AG_API ag_tensor *ag_gradient(ag_tensor *p);

/* ag_zero_gradients -- forget what ag_backward has found on this tape
 * Errors: none */
AG_API void ag_zero_gradients(ag_tape *tape);

/* ag_requires_grad -- whether x depends on a parameter through operations that carry gradients
 * Errors: none */
AG_API bool ag_requires_grad(const ag_tensor *x);

/* ag_stop_gradient -- x, but constant to gradients
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   none flows to x, by definition
 * Errors: none of its own
 * Source: jax.lax.stop_gradient */
AG_API ag_tensor *ag_stop_gradient(ag_tensor *x);

/* ================================================ 5. Arithmetic ================================================= */

/* ag_add -- y = a + b
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ,  b̄ = ȳ
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.add */
AG_API ag_tensor *ag_add(ag_tensor *a, ag_tensor *b);

/* ag_sub -- y = a − b
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ,  b̄ = −ȳ
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.subtract */
AG_API ag_tensor *ag_sub(ag_tensor *a, ag_tensor *b);

/* ag_mul -- y = a·b, elementwise
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ·b,  b̄ = ȳ·a
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.multiply */
AG_API ag_tensor *ag_mul(ag_tensor *a, ag_tensor *b);

/* ag_div -- y = a / b; division by zero as in IEEE-754
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ/b,  b̄ = −ȳ·y/b
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.divide */
AG_API ag_tensor *ag_div(ag_tensor *a, ag_tensor *b);

/* ag_pow -- y = a^b, as C's pow
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·b·a^(b−1), 0 where b = 0;  b̄ = ȳ·y·ln a, 0 where a = 0 and b >= 0
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.pow, its subgradients included */
AG_API ag_tensor *ag_pow(ag_tensor *a, ag_tensor *b);

/* ag_maximum -- y = max(a, b); NaN if either is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ where a > b, ȳ/2 where a = b, NaN where y is;  b̄ likewise
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.maximum */
AG_API ag_tensor *ag_maximum(ag_tensor *a, ag_tensor *b);

/* ag_minimum -- y = min(a, b); NaN if either is
 * Shape:  broadcast
 * Dtype:  i64, f32 or f64
 * Grad:   ā = ȳ where a < b, ȳ/2 where a = b, NaN where y is;  b̄ likewise
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: torch.minimum */
AG_API ag_tensor *ag_minimum(ag_tensor *a, ag_tensor *b);

/* ag_neg -- y = −x
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = −ȳ
 * Errors: AG_ERR_DTYPE
 * Source: numpy.negative */
AG_API ag_tensor *ag_neg(ag_tensor *x);

/* ag_add_scalar -- y = x + s
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64; s is converted to it, as for all scalar forms
 * Grad:   x̄ = ȳ
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE for i64 unless s is an integer within range, as for all scalar forms
 * Source: numpy.add */
AG_API ag_tensor *ag_add_scalar(ag_tensor *x, double s);

/* ag_rsub_scalar -- y = s − x
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = −ȳ
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.subtract */
AG_API ag_tensor *ag_rsub_scalar(double s, ag_tensor *x);

/* ag_scale -- y = s·x
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = s·ȳ
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: numpy.multiply */
AG_API ag_tensor *ag_scale(ag_tensor *x, double s);

/* ag_div_scalar -- y = x / s
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/s
 * Errors: AG_ERR_DTYPE
 * Source: numpy.divide */
AG_API ag_tensor *ag_div_scalar(ag_tensor *x, double s);

/* ag_rdiv_scalar -- y = s / x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −ȳ·y/x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.divide */
AG_API ag_tensor *ag_rdiv_scalar(double s, ag_tensor *x);

/* ag_pow_scalar -- y = x^s, as C's pow
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·s·x^(s−1), 0 where s = 0
 * Errors: AG_ERR_DTYPE
 * Source: torch.pow */
AG_API ag_tensor *ag_pow_scalar(ag_tensor *x, double s);

/* ag_maximum_scalar -- y = max(x, s); NaN if either is
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ where x > s, ȳ/2 where x = s, NaN where y is
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: torch.maximum */
AG_API ag_tensor *ag_maximum_scalar(ag_tensor *x, double s);

/* ag_minimum_scalar -- y = min(x, s); NaN if either is
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ where x < s, ȳ/2 where x = s, NaN where y is
 * Errors: AG_ERR_DTYPE, AG_ERR_RANGE
 * Source: torch.minimum */
AG_API ag_tensor *ag_minimum_scalar(ag_tensor *x, double s);

/* ag_clamp -- y = min(max(x, low), high); a NaN x stays NaN
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where low <= x <= high, NaN where x is, 0 elsewhere
 * Errors: AG_ERR_DTYPE; AG_ERR_RANGE unless low <= high
 * Source: torch.clamp */
AG_API ag_tensor *ag_clamp(ag_tensor *x, double low, double high);

/* ========================================== 6. Comparisons and choice =========================================== */

/* ag_equal -- y = (a == b); comparisons with NaN are false, and true for ag_not_equal
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.equal */
AG_API ag_tensor *ag_equal(ag_tensor *a, ag_tensor *b);

/* ag_not_equal -- y = (a != b)
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.not_equal */
AG_API ag_tensor *ag_not_equal(ag_tensor *a, ag_tensor *b);

/* ag_less -- y = (a < b)
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.less */
AG_API ag_tensor *ag_less(ag_tensor *a, ag_tensor *b);

/* ag_less_equal -- y = (a <= b)
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.less_equal */
AG_API ag_tensor *ag_less_equal(ag_tensor *a, ag_tensor *b);

/* ag_greater -- y = (a > b), recorded as b < a
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.greater */
AG_API ag_tensor *ag_greater(ag_tensor *a, ag_tensor *b);

/* ag_greater_equal -- y = (a >= b), recorded as b <= a
 * Shape:  broadcast
 * Dtype:  any -> bool
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.greater_equal */
AG_API ag_tensor *ag_greater_equal(ag_tensor *a, ag_tensor *b);

/* ag_where -- y = a where condition holds, b elsewhere; what is not chosen has no influence, NaN included, on gradients
 * neither: section 4
 * Shape:  broadcast over all three
 * Dtype:  condition bool; a and b any, the same
 * Grad:   ā = ȳ where condition, 0 elsewhere;  b̄ the other way round
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: numpy.where */
AG_API ag_tensor *ag_where(ag_tensor *condition, ag_tensor *a, ag_tensor *b);

/* ag_cast -- y = x in another dtype; to bool: x != 0; real to i64: towards zero, NaN to 0, beyond the range to its ends
 * Shape:  x (…) -> (…)
 * Dtype:  any -> dtype
 * Grad:   x̄ = ȳ cast back, between real dtypes; none flows through the others
 * Errors: AG_ERR_DTYPE
 * Source: numpy.ndarray.astype; saturation as in Rust's `as` */
AG_API ag_tensor *ag_cast(ag_tensor *x, ag_dtype dtype);

/* ================================================= 7. Functions ================================================= */

/* ag_exp -- y = e^x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·y
 * Errors: AG_ERR_DTYPE
 * Source: numpy.exp */
AG_API ag_tensor *ag_exp(ag_tensor *x);

/* ag_log -- y = ln x; −inf at 0, NaN below
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.log */
AG_API ag_tensor *ag_log(ag_tensor *x);

/* ag_expm1 -- y = e^x − 1, right where x is near 0
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·e^x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.expm1 */
AG_API ag_tensor *ag_expm1(ag_tensor *x);

/* ag_log1p -- y = ln(1 + x), right where x is near 0; −inf at −1, NaN below
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(1 + x)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.log1p */
AG_API ag_tensor *ag_log1p(ag_tensor *x);

/* ag_sqrt -- y = √x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ/(2·y)
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sqrt */
AG_API ag_tensor *ag_sqrt(ag_tensor *x);

/* ag_rsqrt -- y = 1/√x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −½·ȳ·y³
 * Errors: AG_ERR_DTYPE
 * Source: torch.rsqrt */
AG_API ag_tensor *ag_rsqrt(ag_tensor *x);

/* ag_square -- y = x²
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = 2·ȳ·x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.square */
AG_API ag_tensor *ag_square(ag_tensor *x);

/* ag_abs -- y = |x|
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ·sign(x), 0 at 0
 * Errors: AG_ERR_DTYPE
 * Source: torch.abs */
AG_API ag_tensor *ag_abs(ag_tensor *x);

/* ag_sign -- y = −1, 0 or 1; NaN for NaN
 * Shape:  x (…) -> (…)
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = 0: locally constant
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sign */
AG_API ag_tensor *ag_sign(ag_tensor *x);

/* ag_sin -- y = sin x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·cos x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sin */
AG_API ag_tensor *ag_sin(ag_tensor *x);

/* ag_cos -- y = cos x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = −ȳ·sin x
 * Errors: AG_ERR_DTYPE
 * Source: numpy.cos */
AG_API ag_tensor *ag_cos(ag_tensor *x);

/* ag_tanh -- y = tanh x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·(1 − y²), to a few units in the last place also where y is nearly ±1
 * Errors: AG_ERR_DTYPE
 * Source: numpy.tanh */
AG_API ag_tensor *ag_tanh(ag_tensor *x);

/* ag_sigmoid -- y = 1/(1 + e^(−x))
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ·y·(1 − y), to a few units in the last place also where y is nearly 1
 * Errors: AG_ERR_DTYPE
 * Source: torch.sigmoid */
AG_API ag_tensor *ag_sigmoid(ag_tensor *x);

/* ag_relu -- y = max(x, 0); NaN stays NaN
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ where x > 0, NaN where x is, 0 elsewhere
 * Errors: AG_ERR_DTYPE
 * Source: torch.relu */
AG_API ag_tensor *ag_relu(ag_tensor *x);

/* Three ways to cut off what is below 0 have the same values and, at 0 itself, three slopes, as in PyTorch; the slope of a
 * NaN is not known, and neither are those after it:
 *
 *                                        x < 0   x = 0   x > 0   NaN
 *      ag_relu(x)                          0       0       1     NaN
 *      ag_maximum(x, 0)                    0       ½       1     NaN    ag_maximum_scalar too
 *      ag_clamp(x, 0, inf)                 0       1       1     NaN
 *      ag_abs(x)                          −1       0       1     NaN
 *      ag_sign(x)                          0       0       0      0     constant, as comparisons are
 *
 * Elements that tie share the slope of ag_max and ag_min. −0 and 0 are equal in all of these. */

/* ================================================ 8. Reductions ================================================= */

/* Each has a short form over all axes, to a 0-d tensor, and one over a set of axes: with keepdims those stay with
 * extent 1. Sums are pairwise, in an order that depends on shape and strides only. */

/* ag_sum -- y = Σ x over all elements; 0 for none
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, broadcast
 * Errors: AG_ERR_DTYPE
 * Source: numpy.sum */
AG_API ag_tensor *ag_sum(ag_tensor *x);

/* ag_sum_over -- y = Σ x over `axes`
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, broadcast
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.sum */
AG_API ag_tensor *ag_sum_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_mean -- y = (Σ x)/n over all n elements; NaN for none. It rounds: to subtract it from elements that are close together but
 * far from 0 may leave nothing of their differences. ag_var and the layers that normalise take care of that
 * Shape:  x (…) -> ()
 * Dtype:  real
 * Grad:   x̄ = ȳ/n, broadcast
 * Errors: AG_ERR_DTYPE
 * Source: numpy.mean */
AG_API ag_tensor *ag_mean(ag_tensor *x);

/* ag_mean_over -- y = (Σ x)/n over `axes`, n elements each
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   x̄ = ȳ/n, broadcast
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.mean */
AG_API ag_tensor *ag_mean_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_var -- y = Σ (x − mean x)²/max(0, n − correction) over all n elements: NaN or ∞ for n <= correction; composed, right also
 * for elements that are close together, and 0 for equal ones
 * Shape:  x (…) -> ()
 * Dtype:  real
 * Grad:   x̄ = 2·ȳ·(x − mean x)/(n − correction); falls out of the graph
 * Errors: AG_ERR_DTYPE
 * Source: torch.var, with its correction; the biased variance is correction 0 */
AG_API ag_tensor *ag_var(ag_tensor *x, double correction);

/* ag_var_over -- y = Σ (x − mean x)²/max(0, n − correction) over `axes`, n elements each; composed
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  real
 * Grad:   x̄ = 2·ȳ·(x − mean x)/(n − correction); falls out of the graph
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.var */
AG_API ag_tensor *ag_var_over(ag_tensor *x, ag_axes axes, double correction, bool keepdims);

/* ag_max -- y = the largest element; NaN if there is one
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, split evenly over the elements that equal y; NaN for all where y is NaN
 * Errors: AG_ERR_SHAPE if there is no element; AG_ERR_DTYPE
 * Source: torch.amax */
AG_API ag_tensor *ag_max(ag_tensor *x);

/* ag_max_over -- y = the largest element over `axes`; NaN if there is one
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, split evenly over the elements that equal y; NaN for all where y is NaN
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.amax */
AG_API ag_tensor *ag_max_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_min -- y = the smallest element; NaN if there is one
 * Shape:  x (…) -> ()
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, split evenly over the elements that equal y; NaN for all where y is NaN
 * Errors: AG_ERR_SHAPE if there is no element; AG_ERR_DTYPE
 * Source: torch.amin */
AG_API ag_tensor *ag_min(ag_tensor *x);

/* ag_min_over -- y = the smallest element over `axes`; NaN if there is one
 * Shape:  x (…) -> (…) without the axes, or with extent 1 in their place
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, split evenly over the elements that equal y; NaN for all where y is NaN
 * Errors: AG_ERR_SHAPE if an axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: torch.amin */
AG_API ag_tensor *ag_min_over(ag_tensor *x, ag_axes axes, bool keepdims);

/* ag_argmax -- y = where along `axis` the largest element is, the first if several; the first NaN if there is one
 * Shape:  x (…) -> (…) without the axis, or with extent 1 in its place
 * Dtype:  i64, f32 or f64 -> i64
 * Grad:   not differentiable
 * Errors: AG_ERR_SHAPE if the axis has no elements; AG_ERR_AXIS, AG_ERR_DTYPE
 * Source: numpy.argmax */
AG_API ag_tensor *ag_argmax(ag_tensor *x, int axis, bool keepdims);

/* ============================================= 9. Shapes and views ============================================== */

/* Views share their input's elements and copy nothing. What would change nothing (a reshape to the same shape, a slice of
 * everything) is not recorded: the result is x itself, or a variable's present value. */

/* ag_reshape -- the same elements, row-major, in another shape; one extent may be −1 and is then worked out; a view,
 * except that a view whose elements are not laid out suitably is copied first
 * Shape:  x (…) -> shape, of the same size
 * Dtype:  any
 * Grad:   x̄ = ȳ, reshaped back
 * Errors: AG_ERR_SHAPE
 * Source: numpy.reshape */
AG_API ag_tensor *ag_reshape(ag_tensor *x, ag_shape shape);

/* ag_transpose -- two axes exchanged; a view
 * Shape:  x (…,m,…,n,…) -> (…,n,…,m,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, transposed back
 * Errors: AG_ERR_AXIS
 * Source: numpy.swapaxes */
AG_API ag_tensor *ag_transpose(ag_tensor *x, int axis0, int axis1);

/* ag_permute -- axis i of y is axis order.axis[i] of x; a view
 * Shape:  x (…) -> (…) in another order
 * Dtype:  any
 * Grad:   x̄ = ȳ, permuted back
 * Errors: AG_ERR_AXIS unless each axis is there once
 * Source: numpy.transpose */
AG_API ag_tensor *ag_permute(ag_tensor *x, ag_axes order);

/* ag_broadcast_to -- x repeated along new leading axes and along axes of extent 1; a view
 * Shape:  x (…) -> shape
 * Dtype:  any
 * Grad:   x̄ = Σ ȳ over the repeated axes
 * Errors: AG_ERR_SHAPE
 * Source: numpy.broadcast_to */
AG_API ag_tensor *ag_broadcast_to(ag_tensor *x, ag_shape shape);

/* ag_slice -- elements start, start+step, … before stop along one axis; a negative step runs backwards, down to but
 * not including stop; start and stop count from the end if negative and are cut to the axis; AG_END for start is where
 * the axis begins and for stop where it ends, as the step sees it; a view
 * Shape:  x (…,n,…) -> (…,m,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ at the chosen places, 0 elsewhere
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE for step 0
 * Source: Python's slices */
AG_API ag_tensor *ag_slice(ag_tensor *x, int axis, int64_t start, int64_t stop, int64_t step);
#define AG_END INT64_MIN

/* ag_flip -- the order along one axis reversed: ag_slice(x, axis, −1, AG_END, −1); a view
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, flipped back
 * Errors: AG_ERR_AXIS
 * Source: numpy.flip */
AG_API ag_tensor *ag_flip(ag_tensor *x, int axis);

/* ag_embed -- zeros with x at start, start+step, … along one axis: what a slice's gradient is; here start does not count
 * from the end
 * Shape:  x (…,m,…) -> (…,n,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, sliced
 * Errors: AG_ERR_AXIS; AG_ERR_RANGE for step 0 or if not all of x lies in 0 … n−1; AG_ERR_SHAPE
 * Source: jax.numpy.zeros(…).at[…].set(x) */
AG_API ag_tensor *ag_embed(ag_tensor *x, int axis, int64_t n, int64_t start, int64_t step);

/* ag_windows -- sliding windows of `size` over `axes`, one every `step`, whole ones only: y[…,p,…,w] = x[…,p·step+w,…],
 * where the new axes w come last, in the order of `axes`; a view, however much the windows overlap. A slice of y along w
 * with a step dilates them
 * Shape:  x (…,n,…) -> (…,(n−size)/step+1,…,size)
 * Dtype:  any
 * Grad:   x̄ = ȳ, folded
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE beyond 8 axes, or unless there is a size and a step for each axis; AG_ERR_RANGE
 *         unless 1 <= size <= n and step >= 1
 * Source: numpy.lib.stride_tricks.sliding_window_view, with the step of torch.Tensor.unfold */
AG_API ag_tensor *ag_windows(ag_tensor *x, ag_axes axes, ag_shape size, ag_shape step);

/* ag_fold -- windows put back and added where they overlap: what the gradient of ag_windows is. y[…,i,…] is the sum of
 * x[…,p,…,w] over all p·step + w = i; `axes` are those of y, and `extent` how long it is along them
 * Shape:  x (…,m,…,size) -> (…,n,…) for m = (n−size)/step+1
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ, in windows
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE if an extent has another number of windows, or unless there is an extent and a step
 *         for each axis; AG_ERR_RANGE unless size >= 1, size <= n and step >= 1; AG_ERR_DTYPE
 * Source: torch.nn.functional.fold; overlap-add */
AG_API ag_tensor *ag_fold(ag_tensor *x, ag_axes axes, ag_shape extent, ag_shape step);

/* ag_squeeze -- axes of extent 1 taken out; AG_ALL_AXES takes out all that have it; a view
 * Shape:  x (…,1,…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, reshaped back
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE for an axis of another extent
 * Source: numpy.squeeze */
AG_API ag_tensor *ag_squeeze(ag_tensor *x, ag_axes axes);

/* ag_unsqueeze -- a new axis of extent 1, at place `axis` of the result; a view
 * Shape:  x (…) -> (…,1,…)
 * Dtype:  any
 * Grad:   x̄ = ȳ, reshaped back
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE beyond 8 axes
 * Source: numpy.expand_dims */
AG_API ag_tensor *ag_unsqueeze(ag_tensor *x, int axis);

/* ag_contiguous -- x with its elements copied into row-major order, unless they are
 * Shape:  x (…) -> (…)
 * Dtype:  any
 * Grad:   x̄ = ȳ
 * Errors: none of its own
 * Source: numpy.ascontiguousarray */
AG_API ag_tensor *ag_contiguous(ag_tensor *x);

/* ag_concat -- n tensors one after the other along an axis
 * Shape:  x[i] (…,m_i,…) -> (…,Σ m_i,…)
 * Dtype:  any
 * Grad:   x̄[i] = the slice of ȳ that x[i] became
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE if other extents differ, AG_ERR_DTYPE; AG_ERR_RANGE for n < 1
 * Source: numpy.concatenate */
AG_API ag_tensor *ag_concat(int n, ag_tensor *const x[], int axis);

/* ================================================= 10. Products ================================================= */

/* ag_matmul -- y = a·b over the last two axes; transposed and sliced operands are used where they are
 *
 * In builds with BLIS, which are not the default, the process may end where memory lacks within a large product of f64.
 *
 * Shape:  a (…,m,k), b (…,k,n) -> (…,m,n); leading axes broadcast
 * Dtype:  real
 * Grad:   ā = ȳ·bᵀ,  b̄ = aᵀ·ȳ
 * Errors: AG_ERR_SHAPE if k differs, leading axes do not fit, or there are fewer than two axes; AG_ERR_DTYPE
 * Source: numpy.matmul */
AG_API ag_tensor *ag_matmul(ag_tensor *a, ag_tensor *b);

/* ================================================= 11. Indexing ================================================= */

/* ag_gather -- y[i,j,k] = x[index[i,j,k],j,k] for axis 0, and so on; the index is broadcast to x along other axes, so
 * an index (n,1) gathers rows of a table (rows,columns)
 * Shape:  x (…,m,…), index (…,n,…) of the same rank -> (…,n,…)
 * Dtype:  x any; index i64, 0 <= index < m
 * Grad:   x̄ = scatter-add of ȳ into zeros
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: numpy.take_along_axis */
AG_API ag_tensor *ag_gather(ag_tensor *x, ag_tensor *index, int axis);

/* ag_scatter_add -- y = x, then y[index[i,j,k],j,k] += source[i,j,k] for axis 0, and so on, in row-major order; index
 * and source are broadcast to each other, and along other axes to x
 * Shape:  x (…,m,…), index (…,n,…), source (…,n,…) of the same rank -> (…,m,…)
 * Dtype:  x and source i64, f32 or f64; index i64, 0 <= index < m
 * Grad:   x̄ = ȳ;  source's = gather of ȳ
 * Errors: AG_ERR_AXIS, AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: torch.scatter_add */
AG_API ag_tensor *ag_scatter_add(ag_tensor *x, ag_tensor *index, ag_tensor *source, int axis);

/* ============================================ 12. Composed functions ============================================ */

/* These have no gradient of their own: it falls out of what they are composed of. Values and gradients are right to a few
 * units in the last place whatever the finite x, also where a softmax is nearly 0 or 1, but for the sum that ag_logsumexp
 * ends with. */

/* ag_logsumexp -- y = ln Σ e^x along an axis, −inf where all are
 * Shape:  x (…,n,…) -> (…) without the axis, or with extent 1 in its place
 * Dtype:  real
 * Grad:   x̄ = ȳ·softmax(x)
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if the axis has no elements
 * Source: scipy.special.logsumexp */
AG_API ag_tensor *ag_logsumexp(ag_tensor *x, int axis, bool keepdims);

/* ag_softmax -- y = e^x / Σ e^x along an axis, safe for any finite x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = y·(ȳ − Σ ȳ·y)
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if the axis has no elements
 * Source: torch.softmax */
AG_API ag_tensor *ag_softmax(ag_tensor *x, int axis);

/* ag_log_softmax -- y = x − logsumexp(x) along an axis, safe for any finite x
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   x̄ = ȳ − softmax(x)·Σ ȳ
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_SHAPE if the axis has no elements
 * Source: torch.log_softmax */
AG_API ag_tensor *ag_log_softmax(ag_tensor *x, int axis);

/* ag_surprisal -- y = −ln softmax(x) along an axis, at the places of an index only, which are chosen as by ag_gather
 * Shape:  x (…,m,…), index (…,n,…) of the same rank -> (…,n,…)
 * Dtype:  x real; index i64, 0 <= index < m
 * Grad:   x̄ = softmax(x)·Σ ȳ, less ȳ at the places of the index
 * Errors: as ag_log_softmax and ag_gather
 * Source: torch.nn.functional.cross_entropy, before it takes the mean */
AG_API ag_tensor *ag_surprisal(ag_tensor *x, ag_tensor *index, int axis);

/* ================================================= 13. Checking ================================================= */

/* ag_function -- a function of tensors to be checked: records on the inputs' tape and returns the output, a real tensor
 * of any shape; called many times, so it must compute the same each time */
typedef ag_tensor *ag_function(void *context, int n, ag_tensor *const x[]);

/* ag_gradcheck_options -- how to check; all zero, or NULL, is a sound choice */
typedef struct ag_gradcheck_options {
    int order;       /* 1 (or 0): the gradient; 2: also the gradient of the gradient */
    int directions;  /* 0: every element; else so many random directions ⟨v, Jᵀw⟩ an input */
    double relative; /* tolerance against the larger of |expected| and |got|; 0 means 1e-6, and 1e-5 at order 2 */
    double absolute; /* tolerance where both are tiny; 0: what rounding explains, up to 1e-8 of the output's size */
    uint64_t seed;   /* of the directions and cotangents */
    bool kinks_fail; /* treat an element at a kink as a failure rather than as a kink */
} ag_gradcheck_options;

/* ag_gradcheck_report -- what was found, for the worst element or for the first that fails */
typedef struct ag_gradcheck_report {
    bool passed;
    int order;               /* of the derivative that is reported on */
    int input;               /* which x; −1: f's output is itself not finite, or too large */
    int64_t element;         /* which element of it; −1 for a random direction */
    double expected;         /* by finite differences */
    double got;              /* by the engine */
    double ratio;            /* |expected − got| over the tolerance; over 1 fails */
    int64_t checked;         /* elements or directions compared */
    int64_t kinks;           /* of them at a kink, where any slope between the one-sided ones is right */
    const ag_tensor *guilty; /* the recorded node whose own VJP is wrong, valid until a rewind; or NULL */
    char message[640];       /* all of this in words */
} ag_gradcheck_report;

/* ag_gradcheck -- compare the engine's gradients of f at x with finite differences, signed, element by element
 * Each x[i] is an f64 tensor; a variable among them is itself perturbed, and is put back, so that f may use it from
 * elsewhere. If a composed gradient is wrong, each recorded operation's own VJP is checked at the values it had,
 * and the guilty one is named with its label and line. Assignments that f makes are not carried out. Where x or the output
 * at x is NaN or infinite there are no finite differences: that fails, and the report says what is so.
 * Errors: AG_ERR_DTYPE unless x and f's output are f64; AG_ERR_RANGE for n < 0 or options out of range; what f gives;
 *         AG_ERR_GRADIENT if the check fails (the tape stays usable: it is not put in error). `report` may be NULL;
 *         after an error it holds nothing but the message */
AG_API ag_status ag_gradcheck(ag_function *f, void *context, int n, ag_tensor *const x[],
                              const ag_gradcheck_options *options, ag_gradcheck_report *report);

/* ============================================= 14. Seeing the graph ============================================= */

/* ag_dot_options -- what to write into the nodes; all false, or NULL, is shapes and labels */
typedef struct ag_dot_options {
    bool values;    /* evaluate, and show small tensors' elements and large ones' range */
    bool gradients; /* beside each node that y[0] depends on, show dy/dnode; y[0] has one element */
    bool places;    /* show source file and line */
    bool regions;   /* frame what the fused evaluator would compute in one sweep, with nothing computed before; number
                     * the frames in its order; products have double borders */
} ag_dot_options;

/* ag_write_dot -- write what y[…] were computed from as a Graphviz file; forward and backward nodes differ in looks
 * The file is written whole or not at all.
 * Errors: AG_ERR_FILE; AG_ERR_RANGE for n < 1; with values or gradients, as ag_eval and ag_grad; AG_ERR_TAPE with regions
 *         from within an operation that is being evaluated */
AG_API ag_status ag_write_dot(const char *path, int n, ag_tensor *const y[], const ag_dot_options *options);

/* =========================================== 15. Your own operations ============================================ */

/* The library's own operations are entries of this form and have nothing that yours lack: docs/adding-an-op.md
 * walks through one. An entry is static and constant; nodes keep a pointer to it. */

/* ag_kind -- how an operation's output elements hang from its input elements: what lets the evaluator plan */
typedef enum ag_kind {
    AG_KIND_SOURCE,      /* no inputs, such as random numbers: give `eval` */
    AG_KIND_ELEMENTWISE, /* y[i] = f(a[i], b[i], …), of at most 8 inputs: give `block` */
    AG_KIND_REDUCTION,   /* y = a fold over some axes: give `reduction` */
    AG_KIND_VIEW,        /* y shows elements of its one input: `infer` gives strides and offset */
    AG_KIND_CONTRACTION, /* a product: give `eval` */
    AG_KIND_OPAQUE       /* anything else: give `eval` */
} ag_kind;

/* ag_infer -- what `infer` sees and decides: the one place where an operation's inputs are validated.
 * On entry dtype is that of the last input, and shape that of the first; of an elementwise operation, whose inputs are
 * broadcast already, and of a reduction the shape is final; of a source both are those that were asked for */
typedef struct ag_infer {
    const ag_op *op;
    int n;
    ag_tensor *const *x;
    const void *attributes;      /* aligned for any number; any bytes that a caller gave */
    size_t attribute_bytes;      /* how many: not fewer than the entry asks for */
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

/* ag_call -- what `eval` sees: strided inputs, and a contiguous row-major output to be filled, whose memory is not
 * initialised */
typedef struct ag_call {
    const ag_tensor *node;
    const void *attributes;
    int n;
    const ag_array *x;
    ag_array y;
    int threads;     /* how many it may use; the result must not depend on it */
    bool accumulate; /* with AG_OP_ACCUMULATES: y holds values, to which the result is to be added */
} ag_call;

/* ag_block -- y[i] = f(x[0][i], x[1][i], …) for 0 <= i < n, all contiguous; y may be one of the x. Called for one part of the
 * elements after another, in several threads at once, some of which have stacks of no more than a megabyte; a child that it
 * forks may do nothing but exec */
typedef void ag_block(int64_t n, void *y, const void *const x[], const void *attributes);

/* ag_reduction -- a fold: associative and commutative up to rounding, over elements of one dtype */
typedef struct ag_reduction {
    double identity; /* the fold of no elements; −inf and inf are the ends of i64 */
    void (*fold[AG_DTYPES])(int64_t n, void *y, const void *x);    /* y[0] = fold of x[0…n), n >= 1 */
    void (*combine[AG_DTYPES])(int64_t n, void *y, const void *x); /* y[i] = y[i] ∘ x[i] */
    void (*finish[AG_DTYPES])(int64_t n, void *y, int64_t count);  /* y[i] from the fold of `count` elements; or NULL */
    const ag_op *join; /* the elementwise operation that `combine` is, with its `neutral`; or NULL */
} ag_reduction;

/* ag_micro_code -- what a step of a micro-program computes from its operands a, b and c
 * Arithmetic is the element type's, the dtype that `block` is chosen by; every step rounds by itself. A truth value is
 * what a comparison gives, and what a bool is. Steps on bits see elements as unsigned integers of 32 or 64 bits */
typedef enum ag_micro_code {
    AG_MICRO_END,         /* after the last step */
    AG_MICRO_CALL,        /* the micro-program `program`, of one input, applied to a */
    AG_MICRO_ATTRIBUTE,   /* number a of the attributes, which are doubles, as an element; a is no register here */
    AG_MICRO_CONVERT,     /* a as an element of the output's dtype; only as the last step */
    AG_MICRO_ADD,         /* a + b */
    AG_MICRO_SUB,         /* a − b */
    AG_MICRO_MUL,         /* a·b */
    AG_MICRO_DIV,         /* a / b */
    AG_MICRO_MAX,         /* a > b ? a : b */
    AG_MICRO_MIN,         /* a < b ? a : b */
    AG_MICRO_NEG,         /* −a */
    AG_MICRO_ABS,         /* |a| */
    AG_MICRO_SQRT,        /* √a */
    AG_MICRO_ROUND,       /* the integer nearest to a, the even one of two */
    AG_MICRO_LESS,        /* a < b, a truth value */
    AG_MICRO_LESS_EQUAL,  /* a <= b */
    AG_MICRO_EQUAL,       /* a == b */
    AG_MICRO_NOT_EQUAL,   /* a != b */
    AG_MICRO_SELECT,      /* a ? b : c, of a truth value a */
    AG_MICRO_AND,         /* a & b, of bits or truth values, and so the next three */
    AG_MICRO_OR,          /* a | b */
    AG_MICRO_XOR,         /* a ^ b */
    AG_MICRO_NOT,         /* ~a */
    AG_MICRO_BITS_ADD,    /* a + b of bits, modulo 2^32 or 2^64 */
    AG_MICRO_BITS_SUB,    /* a − b of bits */
    AG_MICRO_SHIFT_LEFT,  /* bits a << b; b is the number of places, no register */
    AG_MICRO_SHIFT_RIGHT, /* bits a >> b, zeros coming in */
    AG_MICRO_INTEGER,     /* f32 only: the number that bits a are as an int32_t */
    AG_MICRO_STRONG_MUL,  /* a == 0 ? 0 : a·b */
    AG_MICRO_STRONG_DIV,  /* a == 0 ? 0 : a / b */
    AG_MICRO_CODES
} ag_micro_code;

/* ag_micro -- a step of a micro-program: a kernel described step by step, so that it can become part of a loop of
 * machine code. Registers 0 … n−1 are the inputs, each step adds the next one, and the last is the result */
typedef struct ag_micro {
    unsigned char code;    /* an ag_micro_code */
    unsigned char a, b, c; /* registers, or one of the two below */
#ifdef __GNUC__
    __extension__ /* for C99, which has no members without a name */
#endif
        union {
        double value;
        const struct ag_micro *program; /* of AG_MICRO_CALL */
    };
} ag_micro;

#define AG_MICRO_VALUE 255 /* in place of a register: the step's `value` as an element */
#define AG_MICRO_WHOLE 254 /* in place of a register: the step's `value`, a whole number below 2^53, as bits */

/* ag_op -- the descriptor; what does not apply is NULL or 0. It stays as it is for as long as there are tapes that it was
 * recorded on, rewound or not: what they found out about an operation they remember by its descriptor */
struct ag_op {
    const char *name;
    ag_kind kind;
    int arity;              /* −1: any number, at least one */
    size_t attribute_bytes; /* that it takes at least: ag_apply refuses fewer. A reduction's need not be given */
    unsigned flags;
    bool (*infer)(ag_infer *r);        /* validate, decide shape and dtype; may be NULL for elementwise and reduction.
                                        * Report with ag_reject and return false */
    ag_block *block[AG_DTYPES];        /* elementwise: by the dtype of the last input; NULL: dtype not accepted */
    const ag_reduction *reduction;     /* reduction; attributes are then the ag_axes_set below */
    bool (*eval)(const ag_call *call); /* contraction and opaque; report with ag_call_fail and return false */
    ag_tensor *(*vjp)(ag_tensor *y, ag_tensor *g, int i); /* x̄[i] from cotangent g, recorded; NULL: no contribution */
    double neutral;                                       /* with AG_OP_NEUTRAL */
    const ag_micro *micro[AG_DTYPES]; /* elementwise: the same as `block`, bit for bit; NULL: only `block` serves */
    const char *notation;             /* how ag_formula writes y: section 16; NULL: name(inputs) */
    const char *(*notation_of)(const ag_tensor *y); /* the same where it hangs on attributes; may return NULL */
};

/* Flags */
#define AG_OP_NOT_DIFFERENTIABLE 1u /* said on purpose: `vjp` is NULL, and a gradient through a real y is refused */
#define AG_OP_PREDICATE 2u          /* elementwise: the output is bool whatever the inputs */
#define AG_OP_CONTIGUOUS 4u         /* eval wants its inputs contiguous, and gets copies of those that are not */
#define AG_OP_ACCUMULATES 8u        /* eval adds its result to what y holds if the call says so */
#define AG_OP_CHEAP 16u             /* elementwise: computing an element again costs less than storing it */
#define AG_OP_NEUTRAL 32u           /* y = x where the other input, or the attribute (a double), is `neutral` */
#define AG_OP_COMMUTES 64u          /* f(a, b) = f(b, a) */
#define AG_OP_INVOLUTION 128u       /* f(f(x)) = x */
#define AG_OP_CONSTANT 256u         /* every element is the attribute, a double */
#define AG_OP_SCALAR 512u           /* elementwise: the attribute is a double that its dtype must be able to hold */
#define AG_OP_HIDES_NOTHING                                                                                            \
    1024u                /* what depends on an infinite or NaN element is so too, and each is used: the
                                     * operation is no choice, and products below it need not be strong */
#define AG_OP_TIED 2048u /* one input is a function of another: differences by each alone mean nothing */
#define AG_OP_ADDS 4096u /* elementwise: y = a + b. A product among its inputs may add itself to the other one */
#define AG_OP_COPIES 8192u /* elementwise: y = a, whose elements may be copied in any order */

/* ag_axes_set -- a reduction's attributes: bit i of `mask` for axis i */
typedef struct ag_axes_set {
    uint32_t mask;
    bool keepdims;
} ag_axes_set;

/* ag_apply -- record an operation; `attributes` are copied, and hold no pointers
 * Elementwise inputs are broadcast to each other first. Attributes may be compared byte by byte: zero their padding.
 * Errors: what the operation's infer reports; AG_ERR_SHAPE and AG_ERR_DTYPE for elementwise inputs that do not fit;
 *         AG_ERR_RANGE for a wrong number of inputs or bytes of attributes, a view beyond its input, or an entry without
 *         what its kind needs */
AG_API ag_tensor *ag_apply(const ag_op *op, int n, ag_tensor *const x[], const void *attributes, size_t bytes);

/* ag_apply_source -- record an operation without inputs
 * Errors: as ag_apply */
AG_API ag_tensor *ag_apply_source(const ag_op *op, ag_tape *tape, ag_dtype dtype, ag_shape shape,
                                  const void *attributes, size_t bytes);

/* ag_op_of -- the operation that x is the result of; NULL for nil
 * Errors: none */
AG_API const ag_op *ag_op_of(const ag_tensor *x);

/* ag_inputs -- how many inputs x was computed from; 0 for nil
 * Errors: none */
AG_API int ag_inputs(const ag_tensor *x);

/* ag_input -- one of them; NULL if there is none of that number
 * Errors: none */
AG_API ag_tensor *ag_input(const ag_tensor *x, int i);

/* ag_attributes -- the attributes that x was recorded with; NULL if none
 * Errors: none */
AG_API const void *ag_attributes(const ag_tensor *x);

/* ag_zero_vjp -- the vjp of an operation that is locally constant: it contributes nothing
 * Errors: none */
AG_API ag_tensor *ag_zero_vjp(ag_tensor *y, ag_tensor *g, int i);

/* ag_strong_mul -- y = g·s, and 0 where g is 0, whatever s is: what a vjp multiplies its cotangent by a slope with
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ḡ = ȳ·s, 0 where ȳ is;  s̄ = ȳ·g, 0 where ȳ or g is
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: the strong zero of Moses and Churavy's Enzyme, at all orders */
AG_API ag_tensor *ag_strong_mul(ag_tensor *g, ag_tensor *s);

/* ag_strong_div -- y = g / b, and 0 where g is 0, whatever b is
 * Shape:  broadcast
 * Dtype:  real
 * Grad:   ḡ = ȳ/b, 0 where ȳ is;  b̄ = −ȳ·y/b, 0 where ȳ or y is
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE
 * Source: as ag_strong_mul */
AG_API ag_tensor *ag_strong_div(ag_tensor *g, ag_tensor *b);

/* ag_reject -- from infer: fail with a message, which is put after the operation's name and its inputs' shapes;
 * always returns false
 * Errors: the one given */
AG_API bool ag_reject(const ag_infer *r, ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* ag_call_fail -- from eval: the same; may be called from several threads
 * Errors: the one given */
AG_API bool ag_call_fail(const ag_call *call, ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* ag_call_scratch -- from eval: memory that lasts until eval returns, aligned to 64 bytes, not initialised; NULL, and an
 * error, if there is none; not from several threads
 * Errors: AG_ERR_MEMORY */
AG_API void *ag_call_scratch(const ag_call *call, size_t bytes);

/* ag_op_count -- how many operations the library has, leaves and other parts of the engine not counted
 * Errors: none */
AG_API int ag_op_count(void);

/* ag_op_at -- one of them, 0 <= i < ag_op_count(); NULL beyond
 * Errors: none */
AG_API const ag_op *ag_op_at(int i);

/* ================================================ 16. Explaining ================================================= */

/* What these return is text in UTF-8 that belongs to the tape and lasts until a rewind past it, as a label does; "" after an
 * error, never NULL. They leave nothing else on the tape, and no value that was there is lost; pending assignments
 * are carried out.
 *
 * How an operation is written is its entry's `notation`, a formula with places for what it depends on:
 *     {0} {1} … {*}            an input; all of them, with commas
 *     {d0} {i0} …              number 0 of the attributes seen as double, as int64_t
 *     {axes} {shape} {size} {dtype}   the axes of a reduction; the output's shape, number of elements, dtype
 *     + - * / @ ^ '            sum, elementwise product and quotient, matrix product, power, transpose
 *     < <= = != >= > | | √     relations, absolute value, square root
 *     ln(…)  max_{axes}(…)     a function, here with a subscript
 *     Σ_{axes} {0}             an operator that is linear in what follows: factors and signs may be moved before it
 * Parentheses are put where they are needed. So "{0} - {1}" is ag_sub's, and "{0}" alone is that of what changes no
 * element: views that repeat, and copies. */

/* ag_style -- how formulas are written: UTF-8 text; LaTeX for mathematics mode; MathML, a whole <math> element */
typedef enum ag_style { AG_STYLE_TEXT, AG_STYLE_LATEX, AG_STYLE_MATHML } ag_style;

/* ag_formula_options -- what of it to write; all zero, or NULL, is text with every part */
typedef struct ag_formula_options {
    ag_style style;
    bool brief; /* labelled parts are named, and not written out */
    int lines;  /* the most parts to write out; 0 means 100. What is left out is counted */
} ag_formula_options;

/* ag_formula -- the recorded expression of x, which may be a gradient: first x, then the parts that it names
 * A part has a name if it is labelled, used more than once, or long; several parts of one label are numbered, as in h#2.
 * Simplified only where that is exact in real numbers: x·1, x+0, −(−x), transposes of transposes; factors that are
 * numbers come first, divisors last.
 * Errors: AG_ERR_RANGE for options out of range */
AG_API const char *ag_formula(ag_tensor *x, const ag_formula_options *options);

/* ag_explain_options -- what to explain and how; all zero, or NULL, is text about each use of x */
typedef struct ag_explain_options {
    bool json;            /* JSON (RFC 8259) rather than text; docs/explain.md lists its members */
    ag_style style;       /* of the formulas */
    int depth;            /* how many times each use is unfolded into the uses of what it gives */
    int values;           /* the most elements a tensor may have to be shown whole; 0 means 8, −1 none */
    int lines;            /* the most uses, steps and parts to write; 0 means 100. What is left out is counted */
    ag_tensor *cotangent; /* ȳ, of y's shape and dtype; NULL: ones, which for several elements is the gradient of Σ y */
} ag_explain_options;

/* ag_explain -- why dy/dx is what it is: each use of x on the way to y, what it contributes, and their sum
 * A use is shown with its operation and the caller's line, the formula of its contribution as the backward pass
 * recorded it, with ∂y/∂r for the cotangent of what it gives, its norm and values. A contribution that rounding alone can
 * account for, by a bound on the errors of the terms that cancel in it, is said to be zero to rounding. Unfolded
 * (depth > 0), each use is followed to the next tensor that is labelled or used more than once, and so on.
 * Errors: AG_ERR_DTYPE unless both are real; AG_ERR_SHAPE and AG_ERR_DTYPE for a cotangent unlike y; AG_ERR_RANGE for
 *         options out of range; as ag_vjp and ag_eval */
AG_API const char *ag_explain(ag_tensor *y, ag_tensor *x, const ag_explain_options *options);

/* ag_trace_backward -- the backward pass from y to x[…], step by step: which node is visited, with which cotangent, and
 * which inputs it hands what to; with n = 0, to every parameter that y depends on
 * Errors: as ag_explain; AG_ERR_GRADIENT if n = 0 and y depends on no parameter */
AG_API const char *ag_trace_backward(ag_tensor *y, int n, ag_tensor *const x[], const ag_explain_options *options);

/* ===================================== 17. Jacobians and products with them ===================================== */

/* The Jacobian of y by x, J, has a row for each element of y and a column for each element of x, both in row-major
 * order: J[i,j] = dy[i]/dx[j]. A gradient is the transpose of a one-row Jacobian, ag_vjp is ȳᵀ·J, and the Jacobian of a
 * composed function is the product of its parts'. Everything here is recorded, and can be differentiated again; an x that y
 * does not depend on gives zeros. */

/* ag_jacobian -- J[i,j] = dy[i]/dx[j]: one vector-Jacobian product for each element of y, or of x if it has fewer
 * In the latter case each operation's vjp is itself differentiated, by its cotangent.
 * Shape:  y (…) of m elements, x (…) of n elements -> (m,n)
 * Dtype:  y and x real -> that of x
 * Errors: as ag_grad; AG_ERR_SHAPE if (m,n) is too large; AG_ERR_RANGE if both have over 65535 elements */
AG_API ag_tensor *ag_jacobian(ag_tensor *y, ag_tensor *x);

/* ag_hessian -- H[i,j] = d²y/(dx[i]·dx[j]): the Jacobian of the gradient, for a y of one element
 * Shape:  y of one element, x (…) of n elements -> (n,n)
 * Dtype:  y and x real -> that of x
 * Errors: as ag_jacobian; AG_ERR_SHAPE unless y has one element */
AG_API ag_tensor *ag_hessian(ag_tensor *y, ag_tensor *x);

/* ag_jvp -- Jacobian-vector products: dy[j] = Σ_i (dy[j]/dx[i])·ẋ[i] for any number of outputs and inputs
 * How y changes as x moves along ẋ. ẋ = NULL, or ẋ[i] = NULL, stands for ones, and then x[i] must have one element.
 * Composed as the vjp, by its cotangent, of the vjp: Jᵀ transposed is J. So it costs about two of them.
 * Shape:  ẋ[i] as x[i]; dy[j] as y[j]
 * Dtype:  real; ẋ[i] as x[i]
 * Errors: as ag_vjp; AG_ERR_SHAPE and AG_ERR_DTYPE for an ẋ[i] unlike its x[i]; every dy[j] is then nil */
AG_API ag_status ag_jvp(int ny, ag_tensor *const y[], int nx, ag_tensor *const x[], ag_tensor *const xdot[],
                        ag_tensor *dy[]);

/* ag_hvp -- a Hessian-vector product, H·v, without the Hessian: the vjp of the gradient with cotangent v
 * Shape:  y of one element, v as x -> that of x
 * Dtype:  real; v as x
 * Errors: as ag_grad; AG_ERR_SHAPE and AG_ERR_DTYPE for a v unlike x */
AG_API ag_tensor *ag_hvp(ag_tensor *y, ag_tensor *x, ag_tensor *v);

/* ================================================= 18. Profiling ================================================= */

/* A profile says what a tape ran: which regions of operations, products and other operations, how long each took, and
 * what it moved and computed: docs/profiling.md reads one. While none runs, it costs nothing. Steps of one structure share
 * an entry (the same operations and shapes, recorded at the same lines, with the same labels), so the steps of a
 * training loop add up.
 *
 *     ag_profile_start(tape);
 *     for (int step = 0; step < 100; step++) train(tape);
 *     ag_profile_stop(tape);
 *     puts(ag_profile_table(tape, 0));
 *
 * What returns text gives UTF-8 that belongs to the tape and lasts until a rewind past it, as a label does; "" after an
 * error, never NULL. */

/* ag_profile_kind -- what an entry is about; evaluations include the planning and the steps, which exclude each other */
typedef enum ag_profile_kind {
    AG_PROFILE_EVALUATION, /* whole evaluations, from ag_eval, ag_data and their like */
    AG_PROFILE_PLANNING,   /* finding or making the plans that the fused evaluator follows */
    AG_PROFILE_REGION,     /* elementwise operations and reductions, strip by strip in one sweep */
    AG_PROFILE_PRODUCT,    /* a contraction, also with the sum that it is added to */
    AG_PROFILE_OPERATION,  /* any other operation by itself; views cost nothing and are not reported */
    AG_PROFILE_OTHER       /* steps that there was no memory for, or that are beyond 16384 structures */
} ag_profile_kind;

/* ag_profile_entry -- steps of one structure; but for the texts and the last four, sums over all calls
 * Texts are never NULL, cut short where they are long, and last until the next ag_profile_start. */
typedef struct ag_profile_entry {
    ag_profile_kind kind;
    const char *operations; /* what is computed: "sub, square, mean×2" */
    const char *labels;     /* of what is computed */
    const char *inputs;     /* labels of what is read */
    const char *extent;     /* of a region "256x1024"; of a product "(128,784)·(784,256)" */
    const char *file;       /* of the first value stored, with its line; "" if it has none */
    int64_t calls;
    double seconds;
    int64_t nodes;         /* operations computed, those that a region computes again included */
    int64_t elements;      /* that a region goes over; of the output of an operation */
    int64_t bytes_read;    /* each element of an input once a call */
    int64_t bytes_written; /* of outputs in memory; what stays within a region is not counted */
    int64_t flops;   /* 2·m·n·k of a product; 1 an element of an elementwise operation, whichever, or a reduction */
    double shortest; /* seconds of the shortest call */
    bool backward;   /* a gradient recorded everything that is stored */
    int threads;     /* that the last call was divided over; of products and opaque operations, that it might use */
    int line;
} ag_profile_entry;

/* ag_profile_start -- begin a profile of what the tape evaluates; forgets the one before
 * Errors: AG_ERR_TAPE from within an operation that is being evaluated */
AG_API ag_status ag_profile_start(ag_tape *tape);

/* ag_profile_stop -- end it; what it found stays until the next one begins
 * Errors: as ag_profile_start */
AG_API ag_status ag_profile_stop(ag_tape *tape);

/* ag_profile_count -- how many entries the last profile has, or the one that is running
 * Errors: none; 0 for NULL and without a profile */
AG_API int ag_profile_count(const ag_tape *tape);

/* ag_profile_at -- one of them, 0 <= i < ag_profile_count(tape), those of most seconds first
 * Errors: none; all zero, with empty texts, beyond */
AG_API ag_profile_entry ag_profile_at(const ag_tape *tape, int i);

/* ag_profile_table -- the entries as text, a line each: the first `lines` of them, 40 for 0; the others are summed up
 * Shares are of the time of all evaluations; GB/s are bytes read and written.
 * Errors: AG_ERR_RANGE without a profile and for lines < 0 */
AG_API const char *ag_profile_table(ag_tape *tape, int lines);

/* ag_profile_write -- write the events of the profile, the latest 32768 of them, as a trace: JSON in the Trace Event
 * Format, which ui.perfetto.dev and chrome://tracing open. The file is written whole or not at all.
 * Errors: AG_ERR_FILE; AG_ERR_RANGE without a profile */
AG_API ag_status ag_profile_write(ag_tape *tape, const char *path);

/* ag_tape_memory_table -- what ag_tape_memory says, as text
 * Errors: AG_ERR_MEMORY */
AG_API const char *ag_tape_memory_table(ag_tape *tape);

/* ag_tape_reset_peaks -- have the peaks in ag_tape_memory begin again from what the tape holds now
 * Errors: none */
AG_API void ag_tape_reset_peaks(ag_tape *tape);

#ifdef __cplusplus
}

#include <type_traits>

template <typename To, typename From> constexpr To ag_cpp_whole(From number) {
    static_assert(std::is_integral<From>::value || std::is_enum<From>::value, "extents and axes are whole numbers");
    return static_cast<To>(number);
}

template <typename... Extents> constexpr ag_shape ag_cpp_shape(Extents... extents) {
    static_assert(sizeof...(extents) <= AG_MAX_RANK, "a shape has at most AG_MAX_RANK extents");
    return ag_shape{static_cast<int>(sizeof...(extents)), {ag_cpp_whole<int64_t>(extents)...}};
}

template <typename... Axes> constexpr ag_axes ag_cpp_axes(Axes... axes) {
    static_assert(sizeof...(axes) <= AG_MAX_RANK, "there are at most AG_MAX_RANK axes");
    return ag_axes{static_cast<int>(sizeof...(axes)), {ag_cpp_whole<int>(axes)...}};
}
#endif

#include "autograd/located.h"

#endif
