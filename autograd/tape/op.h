/* op -- for operations, beside the public descriptor: errors in constructors, axes, and the kernel macros */
#ifndef AG_OP_H
#define AG_OP_H

#ifndef AG_NO_LOCATION
#define AG_NO_LOCATION
#endif
#include "autograd/autograd.h"
#include "autograd/tape/features.h"
#include "autograd/tape/fma.h"
#include "autograd/tape/size.h"
#include "autograd_config.h"

#include <math.h>

/* Hardly ever called: what leads to a call is out of the way of other code, so that the processor's cache of
 * instructions holds more of that. */
#ifdef __GNUC__
#define AG__RARE __attribute__((cold))
#else
#define AG__RARE
#endif

/* Once for a whole operation: short rather than fast. A public function, whose line begins with its type, has the mark
 * on a declaration before. */
#define AG__SHORT AG__RARE

/* Fail in a constructor, before anything is recorded: the message follows the operation's name and the inputs'
 * shapes, as with ag_reject. Any x may be NULL or nil. Returns nil. */
ag_tensor *ag__fail(const char *name, int n, ag_tensor *const x[], ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 5, 6), returns_nonnull, cold))
#endif
    ;

/* The same without inputs, on a tape, which may be NULL. */
ag_tensor *ag__fail_on(ag_tape *tape, const char *name, ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 4, 5), returns_nonnull, cold))
#endif
    ;

/* Whether there can be a tensor of the shape, the result of the call `name` of x[…]; if not, *nil is set, after
 * an error. */
bool ag__shape_fits(const char *name, int n, ag_tensor *const x[], const ag_shape *shape, ag_tensor **nil);

/* Whether a constructor may read x[…]: none NULL, nil or stale, all on one tape, which is not in error. If not, *nil
 * is set, after an error (or an earlier one). Constructors that only call ag_apply need not check. */
bool ag__inputs_usable(const char *name, int n, ag_tensor *const x[], ag_tensor **nil);

/* 0 <= result < rank for −rank <= axis < rank; −1 otherwise. */
int ag__axis(int axis, int rank);

/* These axes of x as a bit mask, with negative ones and AG_ALL_AXES resolved. False if one is out of range or given
 * twice, or their number is invalid: *nil is set, after an error of the constructor `name`. */
bool ag__axes_mask(const char *name, ag_tensor *x, const ag_axes *axes, uint32_t *mask, ag_tensor **nil);

/* A number unique among the tape's draws since its seed was set, and that seed; it counts as used once it is
 * recorded. */
uint64_t ag__next_draw(const ag_tape *tape, uint64_t *seed);
void ag__draw_taken(ag_tape *tape);

enum { AG__MOST_INPUTS = 8, AG__MOST_BYTES = 8 }; /* of an elementwise operation; of an element */

/* A flag beside the public ones: functions record this operation for others, as whose input a message leaves it out. */
#define AG__INNER 32768u

static inline bool ag__is_real(int dtype) { return dtype == AG_F32 || dtype == AG_F64; }

/* Whether elements of this dtype are accepted by an elementwise operation: there is a kernel, or a trace. */
static inline bool ag__accepts(const ag_op *op, int dtype) { return op->block[dtype] || op->trace[dtype]; }

/* Whether real s has a value in dtype (i64: an integer in range; bool: 0 or 1). */
bool ag__fits(double s, ag_dtype dtype);

/* Element i of `data`, as a real number. */
double ag__get_element(ag_dtype dtype, const void *data, int64_t i);

/* The nearest i64 towards 0; of NaN 0. The smallest double that is too large is 2⁶³, since 2⁶³ − 1 is no double.
 * −2⁶³ is one. */
static inline int64_t ag__whole_near(double s) {
    if (s != s) return 0;
    return s >= 0x1p63 ? INT64_MAX : s < -0x1p63 ? INT64_MIN : (int64_t)s;
}

/* Real s as element i of `data`: in i64 the nearest that there is towards 0, in bool whether it is not 0. */
void ag__put_element(ag_dtype dtype, void *data, int64_t i, double s);

/* The number of threads worth using for `work` elementary steps, at most `threads` or those of the tape; 1 for small
 * work. */
int ag__worthwhile(int64_t work, int threads);
int ag__worthwhile_on(ag_tape *tape, int64_t work);

/* Calls run(argument, i, n) for each i < n, each exactly once, on at most n threads; returns when all have returned.
 * The caller is one of the threads; with fewer than n, as in a call from a share, some run several. */
void ag__parallel(int n, void (*run)(void *argument, int i, int n), void *argument);

/* The beginning of share i of n, of `count` things; it ends where the next one begins. */
static inline int64_t ag__share_start(int64_t count, int i, int n) {
    const int64_t longer = count % n; /* this many shares have one more */
    return count / n * i + (i < longer ? i : longer);
}

/* Calls of fma and fmaf are the library's own: see fma.h. GCC still knows what they are, makes instructions of them in
 * what it compiles for processors that have them, and calls a form for several numbers in vector code for others. */
#if AG__EMULATES_FMA
#define AG__TEXT_OF(name) #name
#define AG__TEXT(name) AG__TEXT_OF(name)
#if defined __x86_64__ && defined __linux__
#define AG__FMA_OF_VECTORS __attribute__((simd("notinbranch")))
#else
#define AG__FMA_OF_VECTORS
#endif
extern __typeof__(fma) fma __asm__(AG__TEXT(__USER_LABEL_PREFIX__) "ag__fma") AG__FMA_OF_VECTORS;
extern __typeof__(fmaf) fmaf __asm__(AG__TEXT(__USER_LABEL_PREFIX__) "ag__fmaf") AG__FMA_OF_VECTORS;
#endif

/* Part of each function that calls it: so of one compiled for several processors. Never part of it: so that it is not
 * made larger by what is rare. */
#if defined __GNUC__
#define AG__ALWAYS_INLINE static inline __attribute__((always_inline, unused))
#define AG__NEVER_INLINE __attribute__((noinline))
#else
#define AG__ALWAYS_INLINE static inline
#define AG__NEVER_INLINE
#endif

#if AG_HAVE_TARGETS
#define AG__CHOOSES 1
static inline bool ag__has_avx2(void) { return ag__processor_has(AG__HAS_LEVEL_3); }
#else
#define AG__CHOOSES 0
static inline bool ag__has_avx2(void) { return true; }
#endif

/* Kernels, which are compiled for several kinds of processors; the results are the same bits for any.
 *
 *     AG_BLOCK_KERNEL(bool, is_so, (int64_t n, const float *x), (n, x)) { … }
 *
 * defines a static function of this type, name and parameters. It calls its form for the processor that runs it, with
 * these arguments. AG_KERNEL has a form for vectors of 64 bytes too. That for processors without AVX2, of which hardly
 * any are left, is small rather than fast. */
#if AG__CHOOSES
/* AG_SIMD asks for vector code even where code is to be small. Without GCC's optimisation of loops there is none. */
#if defined __clang__
#define AG__SMALL (cold, noinline)
#else
#define AG__SMALL (cold, noinline, optimize("no-tree-loop-optimize"))
#endif
#define AG__FORM(attributes, result, name, form, parameters, arguments)                                                \
    __attribute__(attributes) static result name##form parameters { return name##_anywhere arguments; }
#define AG__FORMS(result, name, parameters, arguments)                                                                 \
    AG__ALWAYS_INLINE result name##_anywhere parameters;                                                               \
    AG__FORM((target("arch=x86-64-v3")), result, name, _level_3, parameters, arguments)                                \
    AG__FORM(AG__SMALL, result, name, _level_1, parameters, arguments)
#define AG__CHOSEN(result, name, parameters, arguments)                                                                \
    AG__RETURNS_VOID                                                                                                   \
    AG__FORMS(result, name, parameters, arguments)                                                                     \
    static result name parameters { return ag__has_avx2() ? name##_level_3 arguments : name##_level_1 arguments; }     \
    AG__RETURNS_NONE AG__ALWAYS_INLINE result name##_anywhere parameters
#define AG__CHOSEN_OF_THREE(result, name, parameters, arguments)                                                       \
    AG__RETURNS_VOID                                                                                                   \
    AG__FORMS(result, name, parameters, arguments)                                                                     \
    AG__FORM((target("arch=x86-64-v4")), result, name, _level_4, parameters, arguments)                                \
    static result name parameters {                                                                                    \
        if (ag__processor_has(AG__HAS_LEVEL_4)) return name##_level_4 arguments;                                       \
        return ag__has_avx2() ? name##_level_3 arguments : name##_level_1 arguments;                                   \
    }                                                                                                                  \
    AG__RETURNS_NONE AG__ALWAYS_INLINE result name##_anywhere parameters
/* The result of a kernel of type void is returned like any other's. */
#define AG__RETURNS_VOID _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wpedantic\"")
#define AG__RETURNS_NONE _Pragma("GCC diagnostic pop")
#define AG_BLOCK_KERNEL(result, name, parameters, arguments) AG__CHOSEN(result, name, parameters, arguments)
#define AG_KERNEL(result, name, parameters, arguments) AG__CHOSEN_OF_THREE(result, name, parameters, arguments)
#else
#define AG_BLOCK_KERNEL(result, name, parameters, arguments) static result name parameters
#define AG_KERNEL(result, name, parameters, arguments) static result name parameters
#endif

/* After kernels that were compiled for size, to which GCC gives no end of this kind: the upper halves of vector
 * registers are as good as unused. Else each SSE instruction of the program that follows would wait for them. */
static inline void ag__leave_vectors(void) {
#if AG__CHOOSES && !defined __AVX__ /* there the callers may be using them */
    if (ag__processor_has(AG__HAS_AVX)) __asm__ volatile("vzeroupper");
#endif
}

/* Types whose values may be read and written in memory that holds another type: elements of 4 or 8 bytes as words, to
 * move them or to look at their bits. Without it the compiler may take a word for none of the floats stored before. */
#if defined __GNUC__
#define AG__MAY_ALIAS __attribute__((may_alias))
#else
#define AG__MAY_ALIAS
#endif
typedef uint32_t AG__MAY_ALIAS ag__word_4;
typedef uint64_t AG__MAY_ALIAS ag__word_8;

/* "These iterations are independent": y may be one of the x, element for element. */
#if !defined AG_SIMD && defined __GNUC__
#define AG_SIMD _Pragma("omp simd")
#elif !defined AG_SIMD
#define AG_SIMD
#endif

/* Before a loop of a few rounds whose number the compiler knows. */
#ifdef __GNUC__
#define AG__UNROLLED _Pragma("GCC unroll 8")
#else
#define AG__UNROLLED
#endif

/* The kernels of formulas (autograd/formulas_begin.h) are for processors with AVX2, where there is a choice: others run
 * the traces of such entries step by step. They are in a section of their own, by which they are known. */
#if AG__CHOOSES
#define AG_FORMULA_KERNEL __attribute__((target("arch=x86-64-v3"), section("ag_kernels")))
#ifdef __OPTIMIZE_SIZE__
#define AG_FORMULA_END __builtin_ia32_vzeroupper(); /* see ag__leave_vectors */
#endif
extern const char __start_ag_kernels[] __attribute__((visibility("hidden")));
extern const char __stop_ag_kernels[] __attribute__((visibility("hidden")));
static inline bool ag__needs_avx2(ag_block *block) {
    return (uintptr_t)block - (uintptr_t)__start_ag_kernels < (uintptr_t)(__stop_ag_kernels - __start_ag_kernels);
}
#else
#define AG_FORMULA_KERNEL
static inline bool ag__needs_avx2(ag_block *block) { return (void)block, false; }
#endif
#define AG_FORMULA_LOOP AG_SIMD

#endif
