/* autograd -- reverse-mode automatic differentiation over tensors, in C
 *
 * This header is the guided tour; read it from top to bottom. It includes the operations, a header per family.
 *
 *      1  Types              2  The tape              3  Tensors: making, reading, changing
 *      4  Gradients          5  Operations            6  Checking
 *      7  Seeing the graph   8  Explaining            9  Jacobians and products with them
 *     10  Profiling         11  Your own operations  12  Where an error points
 *
 * A whole program, which fits a line through four points:
 *
 *     #include <autograd/autograd.h>
 *     #include <stdio.h>
 *     int main(void) {
 *         double xs[] = {1, 2, 3, 4}, ys[] = {3, 5, 7, 9}, zero = 0;
 *         ag_tape *tape = ag_tape_new();
 *         ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SCALAR, &zero),
 *                           ag_parameter(tape, AG_F64, AG_SCALAR, &zero)};
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
 * It prints `y = 2 x + 1`. Operations are recorded when they are called, and computed when a value is read (ag_item).
 *
 * In the comments below: a, b, x are inputs, y is the output, a bar marks a cotangent (x̄ is dL/dx), m, n, k are
 * extents, … stands for any leading axes, and "element" counts in row-major order. "real" means f32 or f64. Two
 * inputs of one operation have one dtype, unless its comment says otherwise; nothing is converted silently. An
 * operation broadcasts its inputs as NumPy does where its line says "broadcast".
 *
 * Errors stick to the tape (section 2): an operation that fails returns an inert nil tensor, never NULL, and
 * everything after it on that tape does too, so one check at the end of a chain is enough. A call with several results
 * gives all of them, or all nil. A function that returns an ag_status returns the tape's. Besides the errors that its
 * comment lists, each function may give AG_ERR_NULL (a NULL argument), AG_ERR_TAPE (tensors of two tapes, or a tensor
 * that a rewind has released: see ag_tensor), AG_ERR_NIL (the result of an earlier failure that has been cleared) and
 * AG_ERR_MEMORY. Most functions are also macros of their own names that note the caller's location: section 12.
 *
 * A message has the function's name, its inputs with dtype (unless that is f64) and shape, what is wrong, and the
 * caller's location: "matmul: a (3,4) and b (5,6): inner axes 4 and 5 differ [train.c:42]". An input is named by its
 * label or, without one, by a letter: x if it is the only one, else a, b, c, d in the order of the arguments. A short
 * form of another function (ag_zeros of ag_full), and one that ends in _with or _over, may have the other's name. What
 * is found in the data, as an index out of range, is said of the operation that was recorded, of whose inputs only
 * those are listed that a caller can give. */
#ifndef AUTOGRAD_H
#define AUTOGRAD_H

/* ==================================================== 1. Types ==================================================== */

#include "autograd/types.h"

/* ================================================== 2. The tape =================================================== */

/* ag_tape_new -- a new, empty tape, in one block of 32 kB with the memory for its first nodes; NULL when out of memory
 * Errors: none; every function accepts that NULL, and those that need a tape fail: see ag_tape_error(NULL) */
AG_API ag_tape *ag_tape_new(void);

/* ag_tape_new_with -- the same, with every byte taken from `allocator` (copied; NULL is the default one)
 * Errors: none; returns NULL as ag_tape_new does */
AG_API ag_tape *ag_tape_new_with(const ag_allocator *allocator);

/* ag_tape_free -- release the tape and everything on it; NULL is ignored
 * With the default allocator a block of 32 kB is kept for the next tape, one in a process
 * Errors: AG_ERR_TAPE from within code that the tape is calling (an operation's infer, eval or vjp, a function that is
 *         being checked, its allocator): the error sticks to the tape, and nothing is released */
AG_API void ag_tape_free(ag_tape *tape);

/* ag_tape_mark -- the present end of the tape
 * Errors: AG_ERR_MEMORY; the mark is then invalid, and ag_tape_rewind refuses it */
AG_API ag_mark ag_tape_mark(ag_tape *tape);

/* ag_tape_rewind -- release everything recorded since the mark, and keep its memory for the next recordings
 * Pending assignments are carried out first, in the variables' own memory unless a remaining tensor holds the old
 * value. The mark stays valid; marks made after it do not. Rewinding works on a tape in error too, and then also closes
 * the scopes that were opened since the mark.
 * Errors: AG_ERR_TAPE for a mark of another tape or one that was rewound; for a scope that was opened since the mark
 *         and is still open; within an eval; within an infer, a vjp or a function that is being checked, for a mark
 *         made before it was called; the errors of evaluating an assignment (the tape is rewound all the same, and the
 *         variable keeps its old value) */
AG_API ag_status ag_tape_rewind(ag_tape *tape, ag_mark mark);

/* ag_mark_valid -- whether a rewind to the mark is possible: what was recorded before it is all there
 * Errors: none; false for a mark without tape */
AG_API bool ag_mark_valid(ag_mark mark);

/* ag_tape_status -- the first failure on this tape since it was made or cleared; AG_OK if none
 * Errors: none; for NULL, the last failure on this thread that had no tape */
AG_API ag_status ag_tape_status(const ag_tape *tape);

/* ag_tape_error -- that failure in words, with operation, shapes and the caller's location; "" if none; never NULL
 * The place is always the same: printf("%g %s", ag_item(x), ag_tape_error(tape)) shows an error of ag_item, whichever
 * of the two C calls first. The text lasts until ag_clear_error or ag_tape_free.
 * Errors: none */
AG_API const char *ag_tape_error(const ag_tape *tape);

/* ag_clear_error -- forget the failure; the tape can be used again as if the failed calls had not been made; random
 * numbers that they have drawn are not drawn again, and a function of several operations that ran out of memory or met
 * a limit, or any that was refused a value on an eager tape, or a sequence of which a later layer refuses what the
 * earlier ones give, may leave some of their tensors, until a rewind
 * Errors: none */
AG_API void ag_clear_error(ag_tape *tape);

/* ag_status_name -- "AG_ERR_SHAPE" for AG_ERR_SHAPE; "AG_ERR_?" for an invalid status
 * Errors: none */
AG_API const char *ag_status_name(ag_status status);

/* ag_tape_set_eager -- compute each value when it is recorded (to step through a program); returns the former setting
 * Errors: none; false for a NULL tape */
AG_API bool ag_tape_set_eager(ag_tape *tape, bool eager);

/* ag_tape_set_recording -- while false, what calls return is and stays constant to later gradients ("no grad"), also
 * where a call has nothing to do. An ag_grad in between still differentiates what was recorded in between. Returns the
 * former setting, to be restored.
 * Errors: none; false for a NULL tape */
AG_API bool ag_tape_set_recording(ag_tape *tape, bool recording);

/* ag_tape_set_threads -- the most threads that evaluate this tape, up to 1024; returns the number in force
 * 0 is the default: the environment variable AG_THREADS, or else OMP_NUM_THREADS, or else the processors that the
 * process may use, by its affinity and its control group, counted when a tape first needs the number and by each call
 * with 0. The calling thread is one of them; the library makes the others when they are first needed, shares them among
 * all tapes, and does without where the system gives none. Signals go to the program's own threads. A child of fork has
 * threads of its own. Results have the same bits for any number: all threads round as the calling one does.
 * Errors: none; a negative number changes nothing; 0 for a NULL tape */
AG_API int ag_tape_set_threads(ag_tape *tape, int threads);

/* ag_evaluator -- how values are computed
 * Fused: regions of operations, strip by strip in cache. Reference: one operation at a time with plain loops, to test
 * the fused evaluator against and to debug with. Automatic: fused, except graphs too small for a plan to pay, or small
 * and not seen before; results are those of the fused evaluator, to the last bit. */
typedef enum ag_evaluator { AG_EVALUATOR_AUTOMATIC, AG_EVALUATOR_FUSED, AG_EVALUATOR_REFERENCE } ag_evaluator;

/* ag_tape_set_evaluator -- choose how this tape's values are computed; returns the former choice
 * A new tape's is automatic, unless the environment variable AG_EVAL is "fused" or "reference". The fused evaluator
 * makes machine code unless AG_COMPILE is "0" or AG_ISA "none"; AG_ISA ("avx512", "avx2", "neon") chooses instructions
 * that the processor has, rather than the widest of these. Values have the same bits.
 * Errors: none; an invalid evaluator changes nothing; AG_EVALUATOR_AUTOMATIC for a NULL tape */
AG_API ag_evaluator ag_tape_set_evaluator(ag_tape *tape, ag_evaluator evaluator);

/* ag_tape_seed -- restart the tape's random numbers; the same program then draws the same ones
 * Errors: none */
AG_API void ag_tape_seed(ag_tape *tape, uint64_t seed);

/* ag_tape_memory -- how much memory the tape holds
 * Errors: none; all zero for NULL */
AG_API ag_memory ag_tape_memory(const ag_tape *tape);

/* ag_tape_trim -- give recycled memory that is not in use back to the allocator, except that of small values
 * The memory of rewound tensors goes too: their handles must not be used any more.
 * Errors: AG_ERR_TAPE from within an eval or the allocator */
AG_API void ag_tape_trim(ag_tape *tape);

/* ag_tape_limit -- how much a tape may hold, and how long it may take from now on; 0: no limit
 * What goes beyond fails with AG_ERR_LIMIT, and changes nothing: `bytes` as ag_tape_memory counts what is held, `nodes`
 * tensors recorded and not rewound, `seconds` of time until a call records or evaluates no more (recording looks at the
 * clock once in 128 tensors). The error can be cleared and the tape be rewound; its time is over until limits are set
 * again. An evaluation stops before its next step: a step is a region of operations, a product or a factorisation, and
 * is not interrupted. Memory that BLIS, LAPACK and FFTW take, machine code and the stacks of threads are not counted.
 * Errors: AG_ERR_RANGE for a negative number or NaN; AG_ERR_TAPE within code that the tape is calling; AG_ERR_NULL: the
 *         limits stay as they are */
AG_API ag_status ag_tape_limit(ag_tape *tape, int64_t bytes, int64_t nodes, double seconds);

/* ag_tape_interrupt -- stop the evaluation under way, or the next call that evaluates, with AG_ERR_LIMIT
 * It may be called by a signal handler, and by any thread while the tape exists. Variables keep the values that they
 * had, or all get the next ones. ag_clear_error forgets it.
 * Errors: none; NULL is ignored */
AG_API void ag_tape_interrupt(ag_tape *tape);

/* ag_tape_alloc -- memory of the tape's own: zeros, aligned to 8 bytes, until a rewind past the present position
 * It holds what belongs to a model beside its tensors. NULL after an error.
 * Errors: AG_ERR_TAPE within an eval */
AG_API void *ag_tape_alloc(ag_tape *tape, size_t bytes);

/* ===================================== 3. Tensors: making, reading, changing ====================================== */

/* ag_from -- a constant with a copy of `data`, row-major; a bool is true unless its byte is 0
 * Errors: AG_ERR_NULL for NULL data (unless the shape has no elements), AG_ERR_SHAPE, AG_ERR_DTYPE */
AG_API ag_tensor *ag_from(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data);

/* ag_wrap -- the same without the copy: `data` is borrowed, and must stay unchanged until the tensor is rewound
 * It must be aligned for its dtype, and each bool be 0 or 1.
 * Errors: as ag_from; AG_ERR_RANGE for data that is not aligned */
AG_API ag_tensor *ag_wrap(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data);

/* ag_adopt -- the same as ag_wrap, but the tape owns `data` from now on: it calls release(context) once, when the last
 * tensor that needs it is rewound, or with ag_tape_free. `release` must not use the tape
 * After an error the data is still the caller's.
 * Errors: as ag_wrap; AG_ERR_NULL if release is NULL */
AG_API ag_tensor *ag_adopt(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data,
                           void (*release)(void *context), void *context);

/* ag_variable -- state that ag_assign and ag_set can change (running statistics, an optimiser's moments); copies `data`
 * An operation uses the value that the variable has when the operation is recorded.
 * Errors: as ag_from */
AG_API ag_tensor *ag_variable(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data);

/* ag_parameter -- a variable that requires gradients: ag_backward differentiates by it; real dtypes only
 * Errors: as ag_from */
AG_API ag_tensor *ag_parameter(ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *data);

/* ag_variable_from -- a variable that begins with the value of x, which is evaluated now
 * Errors: as ag_eval */
AG_API ag_tensor *ag_variable_from(ag_tensor *x);

/* ag_parameter_from -- a parameter that begins with the value of x, as in ag_parameter_from(ag_normal(…))
 * Errors: as ag_eval; AG_ERR_DTYPE unless x is real */
AG_API ag_tensor *ag_parameter_from(ag_tensor *x);

/* ag_label -- name a tensor in errors, graphs, reports and files; the text is copied; returns x
 * Within a scope the name begins with the scope's.
 * Errors: AG_ERR_MEMORY */
AG_API ag_tensor *ag_label(ag_tensor *x, const char *label);

/* ag_scope -- until ag_scope_end, labels get the prefix "name.", behind those of the scopes that are open already
 *
 *     ag_scope(tape, "encoder");
 *     for (int i = 0; i < 4; i++) {
 *         ag_scope_at(tape, "layer", i);
 *         ag_linear_init(&layer[i], tape, AG_F32, 64, 64);      the weight is "encoder.layer.2.weight"
 *         ag_scope_end(tape);
 *     }
 *     ag_scope_end(tape);
 *
 * `name` is UTF-8 without control characters, is copied, and may have points in it. A scope that is refused, also by a
 * tape in error, is to be ended as any other; only its labels have no prefix.
 * Errors: AG_ERR_RANGE for any other name, and for prefixes of more than 65000 bytes in all; AG_ERR_TAPE within an
 *         operation's infer, eval or vjp */
AG_API ag_status ag_scope(ag_tape *tape, const char *name);

/* ag_scope_at -- the same with a number behind the name: the prefix is "name.number."
 * Errors: as ag_scope; AG_ERR_RANGE for number < 0 */
AG_API ag_status ag_scope_at(ag_tape *tape, const char *name, int64_t number);

/* ag_scope_end -- close the scope opened last
 * Errors: AG_ERR_TAPE if none is open; within an operation's infer, eval or vjp; within a function that is being
 *         checked, for a scope opened before */
AG_API ag_status ag_scope_end(ag_tape *tape);

/* ag_tape_set_part -- what is recorded from here on belongs to a part of a model; returns the former part
 * `part` is a labelled tensor that stands for it. Errors begin with its label, gradients belong to the part of the
 * operation that they are of, and a profile adds up the times of each: ag_profile_part. NULL stands for no part, and so
 * does a tensor that is rewound, nil or of another tape. A part ends with its tensor.
 * Errors: none; NULL for a NULL tape */
AG_API ag_tensor *ag_tape_set_part(ag_tape *tape, ag_tensor *part);

/* ag_part_of -- the part that x belongs to; NULL if none
 * Errors: none */
AG_API ag_tensor *ag_part_of(const ag_tensor *x);

/* ag_eval -- compute x now, and the values that pending assignments need; if x is a variable, carry out its assignment
 * Errors: those that its operations find in the data (AG_ERR_RANGE for an index), AG_ERR_MEMORY */
AG_API ag_status ag_eval(ag_tensor *x);

/* ag_eval_all -- compute several tensors of one tape in one sweep
 * Errors: as ag_eval */
AG_API ag_status ag_eval_all(int n, ag_tensor *const x[]);

/* ag_data -- evaluate x and return its elements, contiguous and row-major; NULL after an error
 * The pointer is valid until x is rewound; a variable's, until it gets another value. It is not NULL for a tensor
 * without elements.
 * Errors: as ag_eval */
AG_API const void *ag_data(ag_tensor *x);

/* ag_item -- evaluate x, which has one element, and return it; NaN after an error
 * Errors: as ag_eval; AG_ERR_SHAPE unless there is exactly one element */
AG_API double ag_item(ag_tensor *x);

/* ag_element -- evaluate x and return one element by its row-major number; NaN after an error
 * Errors: as ag_eval; AG_ERR_RANGE */
AG_API double ag_element(ag_tensor *x, int64_t number);

/* ag_keep -- keep the value of x, once computed, until its rewind; returns x
 * Without this a value may be released after its last use, and be recomputed when it is read, unless it was itself
 * evaluated or read (ag_eval, ag_data, ag_item).
 * Errors: none */
AG_API ag_tensor *ag_keep(ag_tensor *x);

/* ag_assign -- give variable `v` the value of x from here on; operations already recorded keep the old one
 * The assignment is carried out when the variable is read, at the latest by the rewind. Gradients end at the variable:
 * none flows on into what x was computed from, and one by v adds up over all values that it had. To differentiate
 * through an update, go on with x itself.
 * Errors: AG_ERR_SHAPE and AG_ERR_DTYPE if they differ, AG_ERR_TAPE if v is not a variable */
AG_API ag_status ag_assign(ag_tensor *v, ag_tensor *x);

/* ag_assign_with -- the same, joined with the pending assignment of variable `other`, and with those it is joined with
 * All of them are carried out, or none, when out of memory or when one of the values is an error.
 * Errors: as ag_assign, also for `other` */
AG_API ag_status ag_assign_with(ag_tensor *v, ag_tensor *x, ag_tensor *other);

/* ag_set -- give variable `v` a value from memory, at once; operations already recorded keep the old one
 * `data` is row-major, in the variable's dtype, and copied.
 * Errors: AG_ERR_NULL, AG_ERR_TAPE if v is not a variable, AG_ERR_MEMORY */
AG_API ag_status ag_set(ag_tensor *v, const void *data);

/* ag_values_given -- the number of values that variable v has been assigned or set, without assignments that failed
 * A number that has become smaller says that values were lost. 0 if v is not a variable.
 * Errors: none */
AG_API int64_t ag_values_given(const ag_tensor *v);

/* ag_list -- n variables in the order of recording; the array is the tape's until a rewind past the present position */
typedef struct ag_list {
    int n;
    ag_tensor **x;
} ag_list;

/* ag_parameters -- the tape's parameters: all, for NULL, or those of one part of the program
 * The part "encoder" is what has that name, or a longer one that begins with "encoder.". A parameter without label is
 * in no part; it is in the list of all, but cannot be saved.
 *
 *     ag_list model = ag_state(tape, NULL), p = ag_parameters(tape, NULL);
 *     ag_adam_init(&adam, p.n, p.x, NULL);                      its moments are state too: made after `model`
 *     …
 *     ag_save("model.safetensors", model.n, model.x, NULL);
 *
 * Errors: AG_ERR_RANGE for two of one name (both are located), AG_ERR_TAPE within an eval; the list is then empty */
AG_API ag_list ag_parameters(ag_tape *tape, const char *part);

/* ag_state -- the same of all variables: parameters, running statistics, an optimiser's moments, and data that is held
 * in variables: ask for the model's part then, or hold it in constants
 * Errors: as ag_parameters */
AG_API ag_list ag_state(ag_tape *tape, const char *part);

/* ag_is_nil -- whether x is NULL or the inert result of a failure
 * Errors: none */
AG_API bool ag_is_nil(const ag_tensor *x);

/* ag_tape_of -- the tape that x is recorded on; NULL if x has none
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

/* ag_extent -- the extent of one axis, negative ones counted from the end; 0 if the axis is out of range
 * Errors: none */
AG_API int64_t ag_extent(const ag_tensor *x, int axis);

/* ag_size -- the number of elements of x; 0 for nil
 * Errors: none */
AG_API int64_t ag_size(const ag_tensor *x);

/* ag_label_of -- the label of x; "" without one
 * Errors: none */
AG_API const char *ag_label_of(const ag_tensor *x);

/* ag_place_of -- the file where x was recorded, and the line through `line` (may be NULL); "" and 0 if unknown
 * Errors: none */
AG_API const char *ag_place_of(const ag_tensor *x, int *line);

/* ag_dtype_size -- bytes per element; 0 for an invalid dtype
 * Errors: none */
AG_API size_t ag_dtype_size(ag_dtype dtype);

/* ag_dtype_name -- "f32" for AG_F32; "?" for an invalid dtype
 * Errors: none */
AG_API const char *ag_dtype_name(ag_dtype dtype);

/* ================================================== 4. Gradients ================================================== */

/* A gradient is itself recorded: read it, use it in further operations, draw it, differentiate it again. Only real
 * tensors carry one: a tensor that depends on x through bool or i64 alone (a comparison, ag_argmax) counts as
 * independent.
 *
 * Elements that are not chosen have no influence on gradients of any order. Below a choice, which is any operation that
 * may hide an infinite or NaN element (ag_where, ag_relu, ag_max, a slice, but also a division or ag_tanh), a cotangent
 * of 0 contributes 0, whatever the local slope is: ag_where(ag_greater(x, zero), ag_log(x), x) has the gradients of the
 * branch that is chosen. This holds for matrix products too. Elsewhere 0·inf is NaN in a gradient: the output is then
 * infinite or NaN as well, or a slope is infinite where it is not, as that of ag_sqrt of a sum of squares that are 0
 * (ag_norm, ag_std and ag_hypot have the gradient 0 there). */

/* ag_grad -- dx[i] = dy/dx[i] for a y of one element (ag_vjp takes any); zeros where y does not depend on x[i]
 * Shape:  dx[i] has the shape of x[i]
 * Dtype:  y and each x[i] real; dx[i] as x[i]
 * Errors: AG_ERR_SHAPE unless y has one element, AG_ERR_DTYPE, AG_ERR_RANGE for n < 0, AG_ERR_GRADIENT for an
 *         operation that is not differentiable; every dx[i] is then nil */
AG_API ag_status ag_grad(ag_tensor *y, int n, ag_tensor *const x[], ag_tensor *dx[]);

/* ag_vjp -- vector-Jacobian products: dx[i] = Σ_j ȳ[j]·(dy[j]/dx[i]) for any number of outputs and inputs
 * ȳ = NULL, or ȳ[j] = NULL, stands for ones, and then y[j] must have one element. With AG_STRICT in `flags` an x[i]
 * that no y[j] depends on is an error rather than zeros. With AG_STRONG zeros in ȳ count as a choice: infinite and NaN
 * slopes of elements with cotangent 0 have no influence.
 * Shape:  ȳ[j] as y[j]; dx[i] as x[i]
 * Dtype:  real; ȳ[j] as y[j]
 * Errors: as ag_grad; AG_ERR_SHAPE and AG_ERR_DTYPE for a ȳ[j] unlike its y[j]; AG_ERR_RANGE for ny < 1 */
AG_API ag_status ag_vjp(int ny, ag_tensor *const y[], ag_tensor *const ybar[], int nx, ag_tensor *const x[],
                        ag_tensor *dx[], unsigned flags);
#define AG_STRICT 1u
#define AG_STRONG 2u

/* ag_backward -- differentiate y, which has one element, by every parameter that it depends on and that is not frozen;
 * gradients add up over calls until ag_zero_gradients. A rewind takes back those found since its mark
 * Errors: as ag_grad; AG_ERR_GRADIENT if y depends on no parameter */
AG_API ag_status ag_backward(ag_tensor *y);

/* ag_gradient -- the gradient that ag_backward has found for parameter p; zeros if none
 * Errors: AG_ERR_GRADIENT if p is not a parameter */
AG_API ag_tensor *ag_gradient(ag_tensor *p);

/* ag_zero_gradients -- forget the gradients that ag_backward has found on this tape
 * Errors: none */
AG_API void ag_zero_gradients(ag_tape *tape);

/* ag_freeze -- hold parameter p constant, or no longer: what is recorded while it is frozen does not depend on it
 * So no gradient is computed for it, nor passed to it: ag_grad of what was recorded then, and ag_gradient, give zeros,
 * ag_backward and optimisers pass it over. What ag_backward has found before is there again when p is frozen no longer.
 * It is still a parameter of the model: ag_parameters lists it, and it can be given other values.
 * Errors: AG_ERR_GRADIENT if p is not a parameter; AG_ERR_TAPE within an eval */
AG_API ag_status ag_freeze(ag_tensor *p, bool frozen);

/* ag_is_frozen -- whether p is a parameter that is held constant
 * Errors: none */
AG_API bool ag_is_frozen(const ag_tensor *p);

/* ag_requires_grad -- whether x depends on a parameter through operations that carry gradients
 * Errors: none */
AG_API bool ag_requires_grad(const ag_tensor *x);

/* ================================================= 5. Operations ================================================== */

/* An operation records a tensor, and is declared in the header of its family. Where it changes nothing (a roll by 0, a
 * dropout that is off, the first power of a matrix) the result may be its input itself, or a variable's present value:
 * a label then names that, and a gradient by the result is one by the input. (The paths are relative because a program
 * may have a folder ops of its own.) */

/* Constants, ranges, random numbers */
#include "../ops/source.h"

/* Random whole numbers, orders, choices; numbers of distributions */
#include "../ops/random.h"

/* Arithmetic, comparisons and choice, functions: y[i] = f(a[i], b[i], …) */
#include "../ops/elementwise.h"

/* Special functions: other logarithms, trigonometric and hyperbolic functions and their inverses */
#include "../ops/special.h"

/* Rounding, remainders, functions of two numbers */
#include "../ops/numeric.h"

/* Truth values and bits, comparisons with a number, bounds */
#include "../ops/logic.h"

/* Activations of networks */
#include "../ops/activation.h"

/* Sums, products, means, variances, extremes, over all axes or some */
#include "../ops/reduce.h"

/* Norms, deviations, averages, medians; of chosen elements, and of those that are no NaN */
#include "../ops/statistics.h"

/* Sums, products and extremes up to each element of an axis; differences */
#include "../ops/scan.h"

/* Sorting, the largest elements, searching in sorted ones */
#include "../ops/sort.h"

/* Histograms, counts, distinct elements */
#include "../ops/count.h"

/* The same elements in another arrangement: views, windows, joining */
#include "../ops/shape.h"

/* Stacking, splitting, rolling, padding, repeating, diagonals */
#include "../ops/arrange.h"

/* Products of matrices and tensors, einsum */
#include "../ops/matmul.h"

/* Convolutions of each channel by itself */
#include "../ops/correlation.h"
#include "../ops/depthwise.h"

/* Images with other extents */
#include "../ops/interpolate.h"

/* Linear algebra: equations, determinants, factorisations */
#include "../ops/linalg.h"

/* Fourier transforms, complex numbers */
#include "../ops/fft.h"

/* Elements selected by index, and added at indices */
#include "../ops/index.h"

/* x[…] as in NumPy, read and written; masks */
#include "../ops/indexing.h"

/* Softmax and its like, composed of the operations above */
#include "../ops/compose.h"

/* ================================================== 6. Checking =================================================== */

/* ag_function -- a function of tensors to be checked: records on the inputs' tape and returns the output, a real tensor
 * of any shape; called many times, so it must compute the same each time */
typedef ag_tensor *ag_function(void *context, int n, ag_tensor *const x[]);

/* ag_gradcheck_options -- how to check; all zero, or NULL, is a good choice */
typedef struct ag_gradcheck_options {
    int order;       /* 1 (or 0): the gradient; 2: also the gradient of the gradient */
    int directions;  /* 0: every element; n: n random directions ⟨v, Jᵀw⟩ for each input */
    double relative; /* tolerance against the larger of |expected| and |got|; 0 means 1e-6, and 1e-5 at order 2 */
    double absolute; /* tolerance where both are tiny; 0: the effect of rounding, up to 1e-8 of the output's size */
    uint64_t seed;   /* of the directions and cotangents */
    bool kinks_fail; /* treat an element at a kink as a failure rather than as a kink */
} ag_gradcheck_options;

/* ag_gradcheck_report -- the result, for the worst element or for the first that fails */
typedef struct ag_gradcheck_report {
    bool passed;
    int order;               /* of the derivative that is reported on */
    int input;               /* number of x[…]; −1: f's output is itself not finite, or too large */
    int64_t element;         /* number of its element; −1 for a random direction */
    double expected;         /* by finite differences */
    double got;              /* by the engine */
    double ratio;            /* |expected − got| over the tolerance; over 1 fails */
    int64_t checked;         /* elements or directions compared */
    int64_t kinks;           /* those at a kink, where any slope between the one-sided ones is right */
    const ag_tensor *guilty; /* the recorded node whose own VJP is wrong, valid until a rewind; or NULL */
    char message[640];       /* all of this in words */
} ag_gradcheck_report;

/* ag_gradcheck -- compare the engine's gradients of f at x with finite differences, signed, element by element
 * Each x[i] is an f64 tensor; a variable among them is itself perturbed, and restored, so that f may use it from
 * elsewhere. If a composed gradient is wrong, each recorded operation's own VJP is checked at the values it had, and
 * the wrong one is named with its label and location. Assignments that f makes are not carried out. A check fails where
 * x or the output at x is NaN or infinite, as there are no finite differences; the report says which is. `report` may
 * be NULL; after an error it holds only the message.
 * Errors: AG_ERR_DTYPE unless x and f's output are f64; AG_ERR_RANGE for n < 0 or options out of range; the errors of
 *         f; AG_ERR_GRADIENT if the check fails (the tape is not put in error, and stays usable) */
AG_API ag_status ag_gradcheck(ag_function *f, void *context, int n, ag_tensor *const x[],
                              const ag_gradcheck_options *options, ag_gradcheck_report *report);

/* ag_c_value -- a function in plain C: writes y from x; called many times, so it must compute the same each time */
typedef void ag_c_value(void *context, const void *x, void *y);

/* ag_c_derivative -- its derivative, derived by hand: writes `to` from x and from the cotangents ȳ of the outputs */
typedef void ag_c_derivative(void *context, const void *x, const void *ybar, void *to);

/* ag_c_functions -- a function in plain C and its derivatives, for ag_gradcheck_c
 * All numbers are float for AG_F32, double for AG_F64. An element that a callback leaves out counts as NaN. With one
 * output ȳ is 1, and need not be looked at. */
typedef struct ag_c_functions {
    void *context;             /* handed to each */
    ag_dtype dtype;            /* AG_F32 or AG_F64 */
    int64_t inputs, outputs;   /* the numbers of x, n, and of y, m; outputs = 0 stands for 1 */
    ag_c_value *value;         /* y[j] */
    ag_c_derivative *gradient; /* x̄[i] = Σ_j ȳ[j]·(dy[j]/dx[i]): for one output the gradient, else a backward pass */
    ag_c_derivative *hessian; /* H[i,k] = Σ_j ȳ[j]·d²y[j]/(dx[i]·dx[k]), n·n numbers; NULL: it is not checked */
} ag_c_functions;

/* ag_gradcheck_c -- compare derivatives that were derived by hand, of a function in plain C, with finite differences
 * It uses no operation of this library: the tape gives memory, and reports errors. The comparison is that of
 * ag_gradcheck, at x, which has f->inputs numbers. The gradient is checked and, if there is one and the options' order
 * is not 1, the Hessian. Where one of several outputs is wrong, the message names it. For AG_F32 the tolerance 0 means
 * 1e-3, and rounding is that of float. The report's input is 0, and its guilty operation NULL.
 * Errors: AG_ERR_NULL; AG_ERR_DTYPE; AG_ERR_RANGE for a number of inputs (over 30000 with a Hessian) or outputs out of
 *         range, options out of range, order 2 without a Hessian, a callback that writes more than its numbers;
 *         AG_ERR_MEMORY; AG_ERR_GRADIENT if the check fails (the tape is not put in error) */
AG_API ag_status ag_gradcheck_c(ag_tape *tape, const ag_c_functions *f, const void *x,
                                const ag_gradcheck_options *options, ag_gradcheck_report *report);

/* ============================================== 7. Seeing the graph =============================================== */

/* ag_dot_options -- the contents of the nodes; all false, or NULL, is shapes and labels */
typedef struct ag_dot_options {
    bool values;    /* evaluate, and show small tensors' elements and large ones' range */
    bool gradients; /* beside each node that y[0] depends on, show dy/dnode; y[0] has one element */
    bool places;    /* show locations: source file and line */
    bool regions;   /* frame the operations that the fused evaluator would compute in one sweep, if nothing were
                     * computed yet; number the frames in its order; give products double borders */
} ag_dot_options;

/* ag_write_dot -- write the graph that y[…] were computed from as a Graphviz file; backward nodes look different
 * The file is written whole or not at all, and keeps the mode of the one that it replaces. Links are followed; a
 * device, a pipe or an open descriptor (/dev/stdout) is written through.
 * Errors: AG_ERR_FILE; AG_ERR_RANGE for n < 1; with values or gradients, as ag_eval and ag_grad; AG_ERR_TAPE with
 *         regions from within an operation that is being evaluated */
AG_API ag_status ag_write_dot(const char *path, int n, ag_tensor *const y[], const ag_dot_options *options);

/* ================================================= 8. Explaining ================================================== */

/* These functions return text in UTF-8 that belongs to the tape and lasts until a rewind past it, as a label does; ""
 * after an error, never NULL. They leave nothing else on the tape, and keep all values; pending assignments are carried
 * out.
 *
 * An operation is written by its entry's `notation`, a formula with these places for inputs and attributes:
 *     {0} {1} … {*}            an input; all of them, with commas
 *     {d0} {i0} …              number 0 of the attributes seen as double, as int64_t
 *     {axes} {shape} {size} {dtype}   the axes of a reduction; the output's shape, number of elements, dtype
 *     + - * / @ ^ '            sum, elementwise product and quotient, matrix product, power, transpose
 *     < <= = != >= > | | √     relations, absolute value, square root
 *     ln(…)  max_{axes}(…)     a function, here with a subscript
 *     Σ_{axes} {0}             an operator that is linear in what follows: factors and signs may be moved before it
 * Parentheses are added where they are needed. So "{0} - {1}" is the notation of ag_sub, and "{0}" alone that of
 * operations that change no element: views that repeat, and copies. */

/* ag_style -- how formulas are written: UTF-8 text; LaTeX for mathematics mode; MathML, a whole <math> element */
typedef enum ag_style { AG_STYLE_TEXT, AG_STYLE_LATEX, AG_STYLE_MATHML } ag_style;

/* ag_formula_options -- how to write a formula; all zero, or NULL, is text with every part */
typedef struct ag_formula_options {
    ag_style style;
    bool brief; /* labelled parts are named, and not written out */
    int lines;  /* the most parts to write out; 0 means 100. Parts left out are counted */
} ag_formula_options;

/* ag_formula -- the recorded expression of x, which may be a gradient: first x, then the parts that it names
 * A part has a name if it is labelled, used more than once, or long; several parts of one label are numbered, as in
 * h#2. It is simplified only where that is exact in real numbers: x·1, x+0, −(−x), transposes of transposes; factors
 * that are numbers come first, divisors last.
 * Errors: AG_ERR_RANGE for options out of range */
AG_API const char *ag_formula(ag_tensor *x, const ag_formula_options *options);

/* ag_explain_options -- how to explain; all zero, or NULL, is text about each use of x */
typedef struct ag_explain_options {
    bool json;            /* JSON (RFC 8259) rather than text; docs/explain.md lists its members */
    ag_style style;       /* of the formulas */
    int depth;            /* how many times each use is unfolded into the uses of its result */
    int values;           /* the most elements of a tensor that is shown whole; 0 means 8, −1 none */
    int lines;            /* the most uses, steps and parts to write; 0 means 100. Those left out are counted */
    ag_tensor *cotangent; /* ȳ, of y's shape and dtype; NULL: ones, which for several elements is the gradient of Σ y */
} ag_explain_options;

/* ag_explain -- why dy/dx has its value: each use of x on the way to y, its contribution, and their sum
 * A use is shown with its operation and the caller's location, the formula of its contribution as the backward pass
 * recorded it, with ∂y/∂r for the cotangent of its result r, its norm and values. A contribution is called zero to
 * rounding if rounding alone can account for it, by a bound on the errors of the terms that cancel in it. Unfolded
 * (depth > 0), each use is followed to the next tensor that is labelled or used more than once, and so on.
 * Errors: AG_ERR_DTYPE unless both are real; AG_ERR_SHAPE and AG_ERR_DTYPE for a cotangent unlike y; AG_ERR_RANGE for
 *         options out of range; as ag_vjp and ag_eval */
AG_API const char *ag_explain(ag_tensor *y, ag_tensor *x, const ag_explain_options *options);

/* ag_trace_backward -- the backward pass from y to x[…], step by step; with n = 0, to every parameter that y depends on
 * A step is a node that is visited, with its cotangent, and what it hands to each of its inputs.
 * Errors: as ag_explain; AG_ERR_GRADIENT if n = 0 and y depends on no parameter */
AG_API const char *ag_trace_backward(ag_tensor *y, int n, ag_tensor *const x[], const ag_explain_options *options);

/* ====================================== 9. Jacobians and products with them ======================================= */

/* The Jacobian of y by x, J, has a row for each element of y and a column for each element of x, both in row-major
 * order: J[i,j] = dy[i]/dx[j]. A gradient is the transpose of a one-row Jacobian, ag_vjp is ȳᵀ·J, and the Jacobian of a
 * composed function is the product of its parts'. All results are recorded, and can be differentiated again; an x that
 * y does not depend on gives zeros. */

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
 * It is how y changes as x moves along ẋ. ẋ = NULL, or ẋ[i] = NULL, stands for ones, and then x[i] must have one
 * element. It is composed as the vjp, by its cotangent, of the vjp, as Jᵀ transposed is J, and costs about two of them.
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

/* ================================================= 10. Profiling ================================================== */

/* A profile says what a tape ran: regions of operations, products and other operations, the time of each, and the bytes
 * and operations: docs/profiling.md reads one. A tape that is not profiled pays nothing for it. Steps of one structure
 * (the same operations and shapes, recorded at the same lines, with the same labels) share an entry, so the steps of a
 * training loop add up.
 *
 *     ag_profile_start(tape);
 *     for (int step = 0; step < 100; step++) train(tape);
 *     ag_profile_stop(tape);
 *     puts(ag_profile_table(tape, 0));
 *
 * Text is UTF-8 that belongs to the tape and lasts until a rewind past it, as a label does; "" after an error, never
 * NULL. */

/* ag_profile_kind -- the subject of an entry; evaluations include planning and steps, which exclude each other */
typedef enum ag_profile_kind {
    AG_PROFILE_EVALUATION, /* whole evaluations, from ag_eval, ag_data and their like */
    AG_PROFILE_PLANNING,   /* finding or making the fused evaluator's plans */
    AG_PROFILE_REGION,    /* elementwise operations and reductions, strip by strip; and products, some rows at a time */
    AG_PROFILE_PRODUCT,   /* a contraction, also with the sum that it is added to */
    AG_PROFILE_OPERATION, /* any other operation by itself; views cost nothing and are not reported */
    AG_PROFILE_OTHER      /* steps that were not told apart: out of memory, or beyond 16384 structures */
} ag_profile_kind;

/* ag_profile_entry -- steps of one structure; all numbers but the last four are sums over all calls
 * Texts are never NULL, are shortened where they are long, and last until the next ag_profile_start. */
typedef struct ag_profile_entry {
    ag_profile_kind kind;
    const char *operations; /* that are computed: "sub, square, mean×2" */
    const char *labels;     /* of the tensors that are computed */
    const char *inputs;     /* labels of the tensors that are read */
    const char *extent;     /* "256x1024" for a region, "(128,784)·(784,256)" for a product */
    const char *file;       /* location of the first value stored, with `line`; "" if it has none */
    int64_t calls;
    double seconds;
    int64_t nodes;         /* operations computed, including those that a region rematerialises */
    int64_t elements;      /* of the region, or of the operation's output */
    int64_t bytes_read;    /* each element of an input once per call */
    int64_t bytes_written; /* outputs in memory; values that stay within a region are not counted */
    int64_t flops;         /* 2·m·n·k for a product; 1 per element of any elementwise operation or reduction */
    double shortest;       /* seconds of the shortest call */
    bool backward;         /* a gradient recorded everything that is stored */
    int threads;           /* of the last call; of products and opaque operations, the most it might use */
    int line;
} ag_profile_entry;

/* ag_profile_start -- begin a profile of the tape's evaluations; drops the previous one
 * Errors: AG_ERR_TAPE within an operation that is being evaluated */
AG_API ag_status ag_profile_start(ag_tape *tape);

/* ag_profile_stop -- end the profile; its entries stay until the next one begins
 * Errors: as ag_profile_start */
AG_API ag_status ag_profile_stop(ag_tape *tape);

/* ag_profile_count -- the number of entries of the profile that is running, or of the last one
 * Errors: none; 0 for NULL and without a profile */
AG_API int ag_profile_count(const ag_tape *tape);

/* ag_profile_at -- entry i, 0 <= i < ag_profile_count(tape), those of most seconds first
 * Errors: none; all zero, with empty texts, for any other i */
AG_API ag_profile_entry ag_profile_at(const ag_tape *tape, int i);

/* ag_profile_table -- the entries as text, a line each: the first `lines` of them, 40 for 0; the others are added up
 * Shares are of the time of all evaluations; GB/s are bytes read and written.
 * Errors: AG_ERR_RANGE without a profile and for lines < 0 */
AG_API const char *ag_profile_table(ag_tape *tape, int lines);

/* ag_profile_share -- the part of a profile that one part of a model has; a step of several parts is divided among them
 * by the numbers of elements that they compute */
typedef struct ag_profile_share {
    double forward, backward; /* seconds in all */
    int64_t passes;           /* calls of its forward step that was called most often */
    int64_t bytes;            /* that its forward steps have stored, in all passes */
} ag_profile_share;

/* ag_profile_part -- the sums over steps of the part "encoder", and of parts whose names begin with "encoder."
 * Errors: none; all zero without a profile, and for a NULL name */
AG_API ag_profile_share ag_profile_part(const ag_tape *tape, const char *part);

/* ag_profile_write -- write the profile's events, the latest 32768, as a trace
 * The format is JSON, the Trace Event Format, which ui.perfetto.dev and chrome://tracing open. The file is written as
 * by ag_write_dot.
 * Errors: AG_ERR_FILE; AG_ERR_RANGE without a profile */
AG_API ag_status ag_profile_write(ag_tape *tape, const char *path);

/* ag_tape_memory_table -- the numbers of ag_tape_memory, as text
 * Errors: AG_ERR_MEMORY */
AG_API const char *ag_tape_memory_table(ag_tape *tape);

/* ag_tape_reset_peaks -- set the peaks in ag_tape_memory to the present amounts
 * Errors: none */
AG_API void ag_tape_reset_peaks(ag_tape *tape);

/* ============================================ 11. Your own operations ============================================= */

/* The descriptor of an operation, recording with it, and the functions that its code may call */
#include "autograd/entry.h"

/* =========================================== 12. Where an error points ============================================ */

/* Every error and every recorded tensor has a location: its caller's file and line. Each function that records or can
 * fail is also a macro of its own name, which notes the location: after the call for functions that record a tensor, so
 * that nested calls each get their own line; before it for the others, so that such a call among the arguments of
 * another leaves the outer one without, as does one that evaluates something or assigns to variables (ag_nonzero,
 * ag_masked_select, ag_batchnorm_apply). A call through the function's address, or with AG_NO_LOCATION defined before
 * the library's headers are included, notes none; its tensors get the location of the next located call on their tape.
 * A library of layers uses this to give its caller's line. */

/* ag_located -- note this location for the nodes just recorded, or the error just raised, on the tape of x; returns x
 * `file` is not copied, here and below: it must last as long as the tape, as __FILE__ does.
 * Errors: none */
AG_API ag_tensor *ag_located(ag_tensor *x, const char *file, int line);

/* ag_here -- note this location for the call that follows on this thread
 * Errors: none */
AG_API void ag_here(const char *file, int line);

/* ag_caller -- take the location that ag_here noted, and its line through `line`; NULL without one
 * A function of several calls takes it first, so that none of them does, and calls ag_here with it before the last.
 * Errors: none */
AG_API const char *ag_caller(int *line);

/* The macros, generated from these headers when the library is configured; last */
#include "autograd/located.h"

#endif
