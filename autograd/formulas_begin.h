/* formulas_begin -- begins the text of elementwise formulas, which is compiled once for each domain
 *
 * A formula is written once, in a file of its own:
 *
 *     #include <autograd/formulas_begin.h>
 *
 *     MAP1(softsign, x) { return DIV(x, ADD(ABS(x), K(1))); }
 *
 *     #include <autograd/formulas_end.h>
 *     #if AG_FORMULAS_AGAIN
 *     #include "softsign_formula.h"
 *     #endif
 *
 * which is this file, softsign_formula.h, that includes itself. A program includes it once, and gives its entry
 * `AG_FORMULA(softsign)`. The text is compiled for f32 and f64, where its words are C's operators and the kernel is a
 * plain loop over them, and for the recorder, where each word adds a step to a trace (autograd/trace.h) that machine
 * code is made of. Both give the same bits, if the compiler keeps to IEEE 754: no -ffast-math, and -ffp-contract=off
 * where it is told to use a processor's fused multiply-adds (-march=native). FMA is such an instruction in machine
 * code, and in kernels that are compiled for a processor that has it; in others it is a call of C's fma, which is right
 * and slow.
 *
 * The text is C, from C99 on; in a program of C++ it belongs in a file of C. Macros of the program that have the name
 * of a word below are out of sight within the text, and valid again after it.
 *
 * Types: V is an element, B its bits as an unsigned integer, T a truth value.
 *
 *     MAP1(f, x) … MAP3(f, a, b, c)   y[i] = f of one to three inputs: V f(V a, …) follows
 *     MAP1_1(f, x, p) … MAP3_1        the same with numbers from the attributes, doubles: MAPn_k has the first k
 *                                     (the entry says so: .attribute_bytes = k * sizeof(double))
 *     PREDICATE2(f, a, b)             y is bool: T f(V a, V b) follows
 *     CHOICE3(f, t, a, b)             the first input is bool: V f(T t, V a, V b) follows
 *     FN(V, f, V x, …)                a function that formulas of this text and of later ones may CALL(f, x, …)
 *     K(number) W(bits)               a constant, and one of bits
 *     BY_WIDTH(narrow, wide)          anything, for f32 and f64; K2 and W2 are K and W of that
 *     ADD SUB MUL DIV NEG ABS SQRT    arithmetic; ROUND: to the nearest integer, the even one of two
 *     FMA(a, b, c)                    a·b + c, rounded once: a step of its own
 *     MAX(a, b) MIN(a, b)             a > b ? a : b, and a < b ? a : b: b where one is NaN
 *     STRONG_MUL STRONG_DIV           a == 0 ? 0 : a·b, and a / b
 *     LT LE EQ NE                     comparisons, of elements
 *     SEL(t, a, b)                    t ? a : b
 *     RARELY(t, f, x, j, y)           t ? f(x, j) : y, f being an ag_rare_function, where t hardly ever holds
 *     SCALED(y, p, n)                 y, which is p·2^n for a whole n, rounded once: by an instruction that does this
 *     AND OR XOR NOT                  of truth values; all except NOT also of bits, but not of one with the other
 *     BITS(x) FLOAT(b)                an element's bits, and the element that has them
 *     BADD BSUB SHL(b, n) SHR(b, n)   whole numbers modulo 2^32 or 2^64; n is a constant, from 0 to below their width
 *     INTEGER(b)                      f32 only: the number that bits b are as an int32_t
 *     IS_REAL IS_BOOL                 for #if: f32, f64 or the recorder; bool
 *     IS_NARROW IS_WIDE IS_TRACE      for #if: f32 or the recorder; f64 or the recorder; the recorder
 *
 * After `#define AG_LAST_DOMAIN AG_DOMAIN_I64`, before this is included, the text is compiled for i64 as well, and
 * after `#define AG_LAST_DOMAIN AG_DOMAIN_BOOL` for bool too. There, `#if IS_REAL` and `#if !IS_BOOL` exclude invalid
 * formulas. autograd/functions.h has e^x, ln x and others for CALL.
 *
 * After `#define AG_ONLY_TRACE` it is compiled for the recorder alone, which serves all dtypes:
 * AG_FORMULA_TRACE(softsign), in the entry, instead of AG_FORMULA. Such an operation has no kernels, and its code is a
 * fraction of the size. Large tensors are computed by machine code, and small ones, or all if there is none, by the
 * recorded steps, one by one.
 *
 * Elements, bits and truth values are not converted to each other: only BITS, FLOAT, INTEGER and SEL do that. Where the
 * text leaves it to C (bits that are compared, an element added to a truth value), the recorder refuses the formula: it
 * is valid, and no machine code is made of it.
 *
 * Words are functions in the recorder and mostly operators elsewhere: they are evaluated in any order, and an
 * operand that is not chosen may be evaluated or not. So a formula has no side effects, and no control flow that
 * depends on an element. */
#ifndef AG_FORMULAS_ONCE
#define AG_FORMULAS_ONCE

#include "autograd/trace.h"

#include <float.h>
#include <math.h>
#include <string.h>

#ifdef __cplusplus
#error "formulas are C: put them, and the entries that have them, into a file of C"
#endif
#if defined __FAST_MATH__ || (defined __FINITE_MATH_ONLY__ && __FINITE_MATH_ONLY__) || defined __ASSOCIATIVE_MATH__ || \
    defined __RECIPROCAL_MATH__
#error "formulas need IEEE arithmetic: do not compile with -ffast-math, nor with any part of it that changes results"
#endif
#if defined FLT_EVAL_METHOD && FLT_EVAL_METHOD != 0 &&                                                                 \
    FLT_EVAL_METHOD != 16 /* 16: only _Float16 is computed as float */
#error "formulas need floats that are computed as floats: compile with -fexcess-precision=fast, or with -mfpmath=sse"
#endif

/* AG_FORMULA(softsign), in an entry, gives it kernels of f32 and f64, and the trace; AG_FORMULA_I64 everything for i64
 * as well, AG_FORMULA_ANY for bool too. */
#define AG_FORMULA(name)                                                                                               \
    .block = {[AG_F32] = name##_f32, [AG_F64] = name##_f64}, .trace = {[AG_F32] = name##_trace, [AG_F64] = name##_trace}
#define AG_FORMULA_I64(name)                                                                                           \
    .block = {[AG_I64] = name##_i64, [AG_F32] = name##_f32, [AG_F64] = name##_f64},                                    \
    .trace = {[AG_I64] = name##_trace, [AG_F32] = name##_trace, [AG_F64] = name##_trace}
#define AG_FORMULA_ANY(name)                                                                                           \
    .block = {[AG_BOOL] = name##_bool, [AG_I64] = name##_i64, [AG_F32] = name##_f32, [AG_F64] = name##_f64},           \
    .trace = {[AG_BOOL] = name##_trace, [AG_I64] = name##_trace, [AG_F32] = name##_trace, [AG_F64] = name##_trace}

/* The trace alone, without kernels: they save time where tensors are small or there is no machine code, and cost a few
 * kilobytes each. Formulas have nothing else after `#define AG_ONLY_TRACE`, or between `#if IS_TRACE` and `#endif`. */
#define AG_FORMULA_TRACE(name) .trace = {[AG_F32] = name##_trace, [AG_F64] = name##_trace}
#define AG_FORMULA_TRACE_I64(name) .trace = {[AG_I64] = name##_trace, [AG_F32] = name##_trace, [AG_F64] = name##_trace}
#define AG_FORMULA_TRACE_ANY(name)                                                                                     \
    .trace = {[AG_BOOL] = name##_trace, [AG_I64] = name##_trace, [AG_F32] = name##_trace, [AG_F64] = name##_trace}

/* These go before kernels, at their ends, and before their loops, whose iterations are independent. */
#ifndef AG_FORMULA_KERNEL
#define AG_FORMULA_KERNEL
#endif
#ifndef AG_FORMULA_END
#define AG_FORMULA_END
#endif
#ifndef AG_FORMULA_LOOP
#if defined __clang__
#define AG_FORMULA_LOOP _Pragma("clang loop vectorize(assume_safety)")
#elif defined __GNUC__
#define AG_FORMULA_LOOP _Pragma("GCC ivdep")
#else
#define AG_FORMULA_LOOP
#endif
#endif

#if defined __GNUC__
#define AG__INLINE static inline __attribute__((always_inline, unused))
#define AG__RECORDING static __attribute__((cold, unused))
#define AG__MAYBE_UNUSED __attribute__((unused))
#else
#define AG__INLINE static inline
#define AG__RECORDING static inline
#define AG__MAYBE_UNUSED
#endif

#define AG__PASTE_(a, b, c) a##b##c
#define AG__PASTE(a, b, c) AG__PASTE_(a, b, c)

/* In this order. */
#define AG_DOMAIN_F32 1
#define AG_DOMAIN_F64 2
#define AG_DOMAIN_TRACE 3
#define AG_DOMAIN_I64 4
#define AG_DOMAIN_BOOL 5

#endif

#if defined AG_ONLY_TRACE && !defined AG_DOMAIN
#undef AG_LAST_DOMAIN
#define AG_DOMAIN AG_DOMAIN_TRACE
#endif
#ifndef AG_LAST_DOMAIN
#define AG_LAST_DOMAIN AG_DOMAIN_TRACE
#endif
#ifndef AG_DOMAIN
#define AG_DOMAIN AG_DOMAIN_F32
#endif

/* ---- The program's own macros of these names, which formulas_end.h makes valid again ---- */

#if defined __GNUC__ || defined _MSC_VER
#pragma push_macro("MAP1")
#pragma push_macro("MAP1_1")
#pragma push_macro("MAP1_2")
#pragma push_macro("MAP2")
#pragma push_macro("MAP2_1")
#pragma push_macro("MAP2_2")
#pragma push_macro("MAP2_4")
#pragma push_macro("MAP3")
#pragma push_macro("MAP3_1")
#pragma push_macro("PREDICATE2")
#pragma push_macro("CHOICE3")
#pragma push_macro("FN")
#pragma push_macro("CALL")
#pragma push_macro("V")
#pragma push_macro("B")
#pragma push_macro("T")
#pragma push_macro("K")
#pragma push_macro("K2")
#pragma push_macro("W")
#pragma push_macro("W2")
#pragma push_macro("ADD")
#pragma push_macro("SUB")
#pragma push_macro("MUL")
#pragma push_macro("DIV")
#pragma push_macro("FMA")
#pragma push_macro("MAX")
#pragma push_macro("MIN")
#pragma push_macro("STRONG_MUL")
#pragma push_macro("STRONG_DIV")
#pragma push_macro("NEG")
#pragma push_macro("ABS")
#pragma push_macro("SQRT")
#pragma push_macro("ROUND")
#pragma push_macro("LT")
#pragma push_macro("LE")
#pragma push_macro("EQ")
#pragma push_macro("NE")
#pragma push_macro("SEL")
#pragma push_macro("RARELY")
#pragma push_macro("SCALED")
#pragma push_macro("AND")
#pragma push_macro("OR")
#pragma push_macro("XOR")
#pragma push_macro("NOT")
#pragma push_macro("BITS")
#pragma push_macro("FLOAT")
#pragma push_macro("BADD")
#pragma push_macro("BSUB")
#pragma push_macro("SHL")
#pragma push_macro("SHR")
#pragma push_macro("INTEGER")
#pragma push_macro("IS_REAL")
#pragma push_macro("IS_NARROW")
#pragma push_macro("IS_WIDE")
#pragma push_macro("BY_WIDTH")
#pragma push_macro("IS_BOOL")
#pragma push_macro("IS_TRACE")
#endif
#undef MAP1
#undef MAP1_1
#undef MAP1_2
#undef MAP2
#undef MAP2_1
#undef MAP2_2
#undef MAP2_4
#undef MAP3
#undef MAP3_1
#undef PREDICATE2
#undef CHOICE3
#undef FN
#undef CALL
#undef V
#undef B
#undef T
#undef K
#undef K2
#undef W
#undef W2
#undef ADD
#undef SUB
#undef MUL
#undef DIV
#undef FMA
#undef MAX
#undef MIN
#undef STRONG_MUL
#undef STRONG_DIV
#undef NEG
#undef ABS
#undef SQRT
#undef ROUND
#undef LT
#undef LE
#undef EQ
#undef NE
#undef SEL
#undef RARELY
#undef SCALED
#undef AND
#undef OR
#undef XOR
#undef NOT
#undef BITS
#undef FLOAT
#undef BADD
#undef BSUB
#undef SHL
#undef SHR
#undef INTEGER
#undef IS_REAL
#undef IS_NARROW
#undef IS_WIDE
#undef BY_WIDTH
#undef IS_BOOL
#undef IS_TRACE

/* ---- The domain's types ---- */

#if AG_DOMAIN == AG_DOMAIN_F32
#define AG__SUFFIX _f32
#define V float
#define B uint32_t
#elif AG_DOMAIN == AG_DOMAIN_F64
#define AG__SUFFIX _f64
#define V double
#define B uint64_t
#elif AG_DOMAIN == AG_DOMAIN_TRACE
#define AG__SUFFIX _trace
#elif AG_DOMAIN == AG_DOMAIN_I64
#define AG__SUFFIX _i64
#define V int64_t
#else
#define AG__SUFFIX _bool
#define V uint8_t
#endif

#define IS_TRACE (AG_DOMAIN == AG_DOMAIN_TRACE)
#define IS_NARROW (AG_DOMAIN == AG_DOMAIN_F32 || IS_TRACE)
#define IS_WIDE (AG_DOMAIN == AG_DOMAIN_F64 || IS_TRACE)
#define IS_REAL (AG_DOMAIN <= AG_DOMAIN_TRACE)
#define IS_BOOL (AG_DOMAIN == AG_DOMAIN_BOOL)

#define AG__KERNEL_NAME(name) AG__PASTE(, name, AG__SUFFIX)   /* of the kernel, or of the trace */
#define AG__AT_NAME(name) AG__PASTE(name, _at, AG__SUFFIX)    /* of the formula, for one element */
#define AG__FN_NAME(name) AG__PASTE(ag_fn_, name, AG__SUFFIX) /* of a function */

#define MAP1(name, a) AG__MAP(V, V, name, (AG__T V a), AG__X(0, V), (AG__A AG__AT_X(0)))
#define MAP1_1(name, a, p) AG__MAP(V, V, name, (AG__T V a, V p), AG__X(0, V) AG__P(0), (AG__A AG__AT_X(0), AG__AT_P(0)))
#define MAP1_2(name, a, p, q)                                                                                          \
    AG__MAP(V, V, name, (AG__T V a, V p, V q), AG__X(0, V) AG__P(0) AG__P(1),                                          \
            (AG__A AG__AT_X(0), AG__AT_P(0), AG__AT_P(1)))
#define MAP2(name, a, b)                                                                                               \
    AG__MAP(V, V, name, (AG__T V a, V b), AG__X(0, V) AG__X(1, V), (AG__A AG__AT_X(0), AG__AT_X(1)))
#define MAP2_1(name, a, b, p)                                                                                          \
    AG__MAP(V, V, name, (AG__T V a, V b, V p), AG__X(0, V) AG__X(1, V) AG__P(0),                                       \
            (AG__A AG__AT_X(0), AG__AT_X(1), AG__AT_P(0)))
#define MAP2_2(name, a, b, p, q)                                                                                       \
    AG__MAP(V, V, name, (AG__T V a, V b, V p, V q), AG__X(0, V) AG__X(1, V) AG__P(0) AG__P(1),                         \
            (AG__A AG__AT_X(0), AG__AT_X(1), AG__AT_P(0), AG__AT_P(1)))
#define MAP2_4(name, a, b, p, q, r, s)                                                                                 \
    AG__MAP(V, V, name, (AG__T V a, V b, V p, V q, V r, V s),                                                          \
            AG__X(0, V) AG__X(1, V) AG__P(0) AG__P(1) AG__P(2) AG__P(3),                                               \
            (AG__A AG__AT_X(0), AG__AT_X(1), AG__AT_P(0), AG__AT_P(1), AG__AT_P(2), AG__AT_P(3)))
#define MAP3(name, a, b, c)                                                                                            \
    AG__MAP(V, V, name, (AG__T V a, V b, V c), AG__X(0, V) AG__X(1, V) AG__X(2, V),                                    \
            (AG__A AG__AT_X(0), AG__AT_X(1), AG__AT_X(2)))
#define MAP3_1(name, a, b, c, p)                                                                                       \
    AG__MAP(V, V, name, (AG__T V a, V b, V c, V p), AG__X(0, V) AG__X(1, V) AG__X(2, V) AG__P(0),                      \
            (AG__A AG__AT_X(0), AG__AT_X(1), AG__AT_X(2), AG__AT_P(0)))
#define PREDICATE2(name, a, b)                                                                                         \
    AG__MAP(uint8_t, T, name, (AG__T V a, V b), AG__X(0, V) AG__X(1, V), (AG__A AG__AT_X(0), AG__AT_X(1)))
#define CHOICE3(name, t, a, b)                                                                                         \
    AG__MAP(V, V, name, (AG__T T t, V a, V b), AG__X(0, uint8_t) AG__X(1, V) AG__X(2, V),                              \
            (AG__A AG__AT_X(0), AG__AT_X(1), AG__AT_X(2)))

#if IS_TRACE

/* ---- The recorder ---- */

#define V ag_traced
#define B ag_traced
#define T ag_traced

#define AG__T ag_trace *ag__t AG__MAYBE_UNUSED,
#define AG__A ag__t,
#define AG__X(k, type)
#define AG__P(k)
#define AG__AT_X(k) x[k]
#define AG__AT_P(k) ag_trace_attribute(ag__t, k)
#define AG__MAP(stored, result, name, parameters, arrays, call)                                                        \
    AG__RECORDING ag_traced AG__AT_NAME(name) parameters;                                                              \
    AG__RECORDING ag_traced AG__KERNEL_NAME(name)(ag_trace * ag__t, const ag_traced x[]) {                             \
        return AG__AT_NAME(name) call;                                                                                 \
    }                                                                                                                  \
    AG__RECORDING ag_traced AG__AT_NAME(name) parameters

#define FN(result, name, ...) AG__RECORDING result AG__FN_NAME(name)(AG__T __VA_ARGS__)
#define CALL(name, ...) AG__FN_NAME(name)(ag__t, __VA_ARGS__)

#define BY_WIDTH(narrow, wide) (ag_trace_is_narrow(ag__t) ? (narrow) : (wide))
#define K(number) ag_trace_number(ag__t, number)
#define K2(narrow, wide) ag_trace_number_by_width(ag__t, narrow, wide)
#define W(bits) ag_trace_bits(ag__t, bits)

#define ADD(a, b) ag_trace_binary(ag__t, AG_TRACE_ADD, a, b)
#define SUB(a, b) ag_trace_binary(ag__t, AG_TRACE_SUB, a, b)
#define MUL(a, b) ag_trace_binary(ag__t, AG_TRACE_MUL, a, b)
#define DIV(a, b) ag_trace_binary(ag__t, AG_TRACE_DIV, a, b)
#define FMA(a, b, c) ag_trace_fma(ag__t, a, b, c)
#define MAX(a, b) ag_trace_binary(ag__t, AG_TRACE_MAX, a, b)
#define MIN(a, b) ag_trace_binary(ag__t, AG_TRACE_MIN, a, b)
#define STRONG_MUL(a, b) ag_trace_binary(ag__t, AG_TRACE_STRONG_MUL, a, b)
#define STRONG_DIV(a, b) ag_trace_binary(ag__t, AG_TRACE_STRONG_DIV, a, b)
#define NEG(a) ag_trace_unary(ag__t, AG_TRACE_NEG, a)
#define ABS(a) ag_trace_unary(ag__t, AG_TRACE_ABS, a)
#define SQRT(a) ag_trace_unary(ag__t, AG_TRACE_SQRT, a)
#define ROUND(a) ag_trace_unary(ag__t, AG_TRACE_ROUND, a)

#define LT(a, b) ag_trace_binary(ag__t, AG_TRACE_LESS, a, b)
#define LE(a, b) ag_trace_binary(ag__t, AG_TRACE_LESS_EQUAL, a, b)
#define EQ(a, b) ag_trace_binary(ag__t, AG_TRACE_EQUAL, a, b)
#define NE(a, b) ag_trace_binary(ag__t, AG_TRACE_NOT_EQUAL, a, b)
#define SEL(t, a, b) ag_trace_select(ag__t, t, a, b)
#define RARELY(t, f, x, j, y) ag_trace_rarely(ag__t, t, f, x, j, y)
#define SCALED(y, p, n) ag_trace_scaled(ag__t, y, p, n)
#define AND(a, b) ag_trace_binary(ag__t, AG_TRACE_AND, a, b)
#define OR(a, b) ag_trace_binary(ag__t, AG_TRACE_OR, a, b)
#define XOR(a, b) ag_trace_binary(ag__t, AG_TRACE_XOR, a, b)
#define NOT(a) ag_trace_unary(ag__t, AG_TRACE_NOT, a)

#define BITS(x) ag_trace_unary(ag__t, AG_TRACE_TO_BITS, x)
#define FLOAT(b) ag_trace_unary(ag__t, AG_TRACE_FROM_BITS, b)
#define BADD(a, b) ag_trace_binary(ag__t, AG_TRACE_BITS_ADD, a, b)
#define BSUB(a, b) ag_trace_binary(ag__t, AG_TRACE_BITS_SUB, a, b)
#define AG__PLACES(n) ((n) < 0 || (n) > 63 ? 64 : (n)) /* 64 is refused */
#define SHL(b, n) ag_trace_shift(ag__t, b, AG__PLACES(n))
#define SHR(b, n) ag_trace_shift(ag__t, b, -AG__PLACES(n))
#define INTEGER(b) ag_trace_unary(ag__t, AG_TRACE_INTEGER, b)

#else

/* ---- C ---- */

#define T bool

#define AG__T
#define AG__A
#define AG__X(k, type) const type *x##k = (const type *)x_[k];
#define AG__P(k) const V p##k = (V)((const double *)p_)[k];
#define AG__AT_X(k) x##k[i]
#define AG__AT_P(k) p##k
#define AG__MAP(stored, result, name, parameters, arrays, call)                                                        \
    AG__INLINE result AG__AT_NAME(name) parameters;                                                                    \
    AG_FORMULA_KERNEL static void AG__KERNEL_NAME(name)(int64_t n, void *y_, const void *const x_[], const void *p_) { \
        stored *y = (stored *)y_;                                                                                      \
        arrays(void) p_;                                                                                               \
        AG_FORMULA_LOOP                                                                                                \
        for (int64_t i = 0; i < n; i++) y[i] = AG__AT_NAME(name) call;                                                 \
        AG_FORMULA_END                                                                                                 \
    }                                                                                                                  \
    AG__INLINE result AG__AT_NAME(name) parameters

#define FN(result, name, ...) AG__INLINE result AG__FN_NAME(name)(__VA_ARGS__)
#define CALL(name, ...) AG__FN_NAME(name)(__VA_ARGS__)

#if AG_DOMAIN == AG_DOMAIN_F64
#define BY_WIDTH(narrow, wide) (wide)
#elif AG_DOMAIN == AG_DOMAIN_F32
#define BY_WIDTH(narrow, wide) (narrow)
#endif
#if IS_REAL
#define K(number) ((V)(double)(number)) /* as the recorder has it */
#else
#define K(number) ((V)(number))
#endif

#define LT(a, b) ((a) < (b))
#define LE(a, b) ((a) <= (b))
#define EQ(a, b) ((a) == (b))
#define NE(a, b) ((a) != (b))
#define SEL(t, a, b) ((t) ? (a) : (b))
#define AND(a, b) ((a) & (b))
#define OR(a, b) ((a) | (b))
#define XOR(a, b) ((a) ^ (b))
#define NOT(a) (!(a))

#define MAX(a, b) CALL(max, a, b)
#define MIN(a, b) CALL(min, a, b)

#if IS_REAL
#define W(bits) ((B)(bits))
#define RARELY(t, f, x, j, y) ((t) ? (V)f((double)(x), j) : (y))
#define SCALED(y, p, n) (y)
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define DIV(a, b) ((a) / (b))
#define STRONG_MUL(a, b) CALL(strong_mul, a, b)
#define STRONG_DIV(a, b) CALL(strong_div, a, b)
#define NEG(a) (-(a))
#define BITS(x) CALL(bits, x)
#define FLOAT(b) CALL(number, b)
#define BADD(a, b) ((B)((a) + (b)))
#define BSUB(a, b) ((B)((a) - (b)))
#define SHL(b, n) ((B)((b) << (n)))
#define SHR(b, n) ((b) >> (n))
#if IS_WIDE
#define ABS(a) fabs(a)
#define FMA(a, b, c) fma(a, b, c)
#define SQRT(a) sqrt(a)
#define ROUND(a) rint(a)
#else
#define ABS(a) fabsf(a)
#define FMA(a, b, c) fmaf(a, b, c)
#define SQRT(a) sqrtf(a)
#define ROUND(a) rintf(a)
#define INTEGER(b) ((V)(int32_t)(b))
#endif
#elif !IS_BOOL /* i64 wraps around in two's complement */
#define ADD(a, b) ((V)((uint64_t)(a) + (uint64_t)(b)))
#define SUB(a, b) ((V)((uint64_t)(a) - (uint64_t)(b)))
#define MUL(a, b) ((V)((uint64_t)(a) * (uint64_t)(b)))
#define NEG(a) ((V)(0 - (uint64_t)(a)))
#define ABS(a) CALL(abs, a)
#endif

#endif

#if !IS_TRACE
#define K2(narrow, wide) K(BY_WIDTH(narrow, wide))
#endif
#define W2(narrow, wide) W(BY_WIDTH(narrow, wide))

/* ---- Words that are more than an operator, in each domain of C once ---- */

#if (AG_DOMAIN == AG_DOMAIN_F32 && !defined AG__WORDS_F32) || (AG_DOMAIN == AG_DOMAIN_F64 && !defined AG__WORDS_F64)
#if IS_WIDE
#define AG__WORDS_F64
#else
#define AG__WORDS_F32
#endif
FN(B, bits, V x) {
    B b;
    memcpy(&b, &x, sizeof b);
    return b;
}
FN(V, number, B b) {
    V x;
    memcpy(&x, &b, sizeof x);
    return x;
}
FN(V, max, V a, V b) { return a > b ? a : b; }
FN(V, min, V a, V b) { return a < b ? a : b; }
FN(V, strong_mul, V a, V b) { return a == 0 ? 0 : a * b; }
FN(V, strong_div, V a, V b) { return a == 0 ? 0 : a / b; }
#elif AG_DOMAIN == AG_DOMAIN_I64 && !defined AG__WORDS_I64
#define AG__WORDS_I64
FN(V, max, V a, V b) { return a > b ? a : b; }
FN(V, min, V a, V b) { return a < b ? a : b; }
FN(V, abs, V a) { return a < 0 ? NEG(a) : a; }
#endif
