/* words -- begins a text of the library's own formulas, as autograd/formulas_begin.h does that of a program's
 *
 * The words mean the same, but the recorder's are short calls: a step is known by its number alone, the trace is the
 * one that the thread records, and a constant that is a float is not recorded before it is used. So the code that
 * records a formula is half as large. What a program may get wrong is not checked here: steps are those of the trace,
 * and exist. */
#include "autograd/formulas_begin.h"

#ifndef AG_WORDS_H
#define AG_WORDS_H

/* A value of the trace that this thread records: the number of a step, from 1 on, or a constant, which becomes a step
 * where it is used, as the bits of a float: those are 0, or no number of a step. */
typedef struct ag__word {
    uint32_t step;
} ag__word;

/* How a program's recorder knows it. */
ag_traced ag__word_traced(ag__word a);

bool ag__word_is_narrow(void);
ag__word ag__word_number(double number);
ag__word ag__word_number_by_width(double narrow, double wide);
ag__word ag__word_float_or_number(ag__word narrow, double wide);
ag__word ag__word_by_width(ag__word narrow, ag__word wide);
ag__word ag__word_bits(uint64_t bits);
ag__word ag__word_bits_by_width(uint32_t narrow, uint64_t wide);
ag__word ag__word_attribute(int k);

ag__word ag__word_add(ag__word a, ag__word b);
ag__word ag__word_sub(ag__word a, ag__word b);
ag__word ag__word_mul(ag__word a, ag__word b);
ag__word ag__word_div(ag__word a, ag__word b);
ag__word ag__word_fma(ag__word a, ag__word b, ag__word c);
ag__word ag__word_max(ag__word a, ag__word b);
ag__word ag__word_min(ag__word a, ag__word b);
ag__word ag__word_strong_mul(ag__word a, ag__word b);
ag__word ag__word_strong_div(ag__word a, ag__word b);
ag__word ag__word_neg(ag__word a);
ag__word ag__word_abs(ag__word a);
ag__word ag__word_sqrt(ag__word a);
ag__word ag__word_round(ag__word a);

ag__word ag__word_less(ag__word a, ag__word b);
ag__word ag__word_less_equal(ag__word a, ag__word b);
ag__word ag__word_equal(ag__word a, ag__word b);
ag__word ag__word_not_equal(ag__word a, ag__word b);
ag__word ag__word_select(ag__word truth, ag__word a, ag__word b);
ag__word ag__word_scaled(ag__word y, ag__word p, ag__word n);
ag__word ag__word_rarely(ag__word truth, ag_rare_function *f, ag__word x, int j, ag__word y);
ag__word ag__word_and(ag__word a, ag__word b);
ag__word ag__word_or(ag__word a, ag__word b);
ag__word ag__word_xor(ag__word a, ag__word b);
ag__word ag__word_not(ag__word a);

ag__word ag__word_to_bits(ag__word x);
ag__word ag__word_from_bits(ag__word b);
ag__word ag__word_bits_add(ag__word a, ag__word b);
ag__word ag__word_bits_sub(ag__word a, ag__word b);
ag__word ag__word_shift(ag__word b, int places);
ag__word ag__word_integer(ag__word b);

/* A constant by its bits. */
#define AG__WORD_FLOAT(x)                                                                                              \
    ((union {                                                                                                          \
         float number;                                                                                                 \
         ag__word word;                                                                                                \
     }){x}                                                                                                             \
         .word)

/* The functions of autograd/functions.h are recorded by code that words.c has; elsewhere they are inline forms. */
#ifndef AG__RECORDS_FUNCTIONS
#define AG__RECORDS_FUNCTIONS inline
#endif

/* Whether the text of a number is a constant that is a float, and not a subnormal one: a constant itself. */
#if defined __GNUC__
#define AG__IS_A_FLOAT(number)                                                                                         \
    __builtin_choose_expr(__builtin_constant_p(number),                                                                \
                          (double)(float)(number) == (double)(number) &&                                               \
                              ((number) == 0 || (number) >= FLT_MIN || (number) <= -FLT_MIN),                          \
                          false)
#else
#define AG__IS_A_FLOAT(number) false
#endif

#endif

#if IS_TRACE

#undef V
#undef B
#undef T
#define V ag__word
#define B ag__word
#define T ag__word

#undef AG__T
#undef AG__A
#undef AG__AT_X
#undef AG__AT_P
#undef AG__MAP
#define AG__T
#define AG__A
#define AG__AT_X(k) ((ag__word){x[k].index + 1})
#define AG__AT_P(k) ag__word_attribute(k)
#define AG__MAP(stored, result, name, parameters, arrays, call)                                                        \
    AG__RECORDING ag__word AG__AT_NAME(name) parameters;                                                               \
    AG__RECORDING ag_traced AG__KERNEL_NAME(name)(ag_trace * ag__t AG__MAYBE_UNUSED, const ag_traced x[]) {            \
        return ag__word_traced(AG__AT_NAME(name) call);                                                                \
    }                                                                                                                  \
    AG__RECORDING ag__word AG__AT_NAME(name) parameters

#undef FN
#undef CALL
#define FN(result, name, ...) AG__RECORDS_FUNCTIONS result AG__FN_NAME(name)(__VA_ARGS__)
#define CALL(name, ...) AG__FN_NAME(name)(__VA_ARGS__)

#undef BY_WIDTH
#undef K
#undef K2
#undef W
#undef W2
#define BY_WIDTH(narrow, wide) (ag__word_is_narrow() ? (narrow) : (wide))
#define K(number) (AG__IS_A_FLOAT(number) ? AG__WORD_FLOAT((float)(number)) : ag__word_number(number))
#define K2(narrow, wide)                                                                                               \
    (!AG__IS_A_FLOAT(narrow) ? ag__word_number_by_width(narrow, wide)                                                  \
     : AG__IS_A_FLOAT(wide)  ? ag__word_by_width(AG__WORD_FLOAT((float)(narrow)), AG__WORD_FLOAT((float)(wide)))       \
                             : ag__word_float_or_number(AG__WORD_FLOAT((float)(narrow)), wide))
#define W(bits) ag__word_bits(bits)
#define W2(narrow, wide) ag__word_bits_by_width(narrow, wide)

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
#define ADD(a, b) ag__word_add(a, b)
#define SUB(a, b) ag__word_sub(a, b)
#define MUL(a, b) ag__word_mul(a, b)
#define DIV(a, b) ag__word_div(a, b)
#define FMA(a, b, c) ag__word_fma(a, b, c)
#define MAX(a, b) ag__word_max(a, b)
#define MIN(a, b) ag__word_min(a, b)
#define STRONG_MUL(a, b) ag__word_strong_mul(a, b)
#define STRONG_DIV(a, b) ag__word_strong_div(a, b)
#define NEG(a) ag__word_neg(a)
#define ABS(a) ag__word_abs(a)
#define SQRT(a) ag__word_sqrt(a)
#define ROUND(a) ag__word_round(a)

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
#define LT(a, b) ag__word_less(a, b)
#define LE(a, b) ag__word_less_equal(a, b)
#define EQ(a, b) ag__word_equal(a, b)
#define NE(a, b) ag__word_not_equal(a, b)
#define SEL(t, a, b) ag__word_select(t, a, b)
#define RARELY(t, f, x, j, y) ag__word_rarely(t, f, x, j, y)
#define SCALED(y, p, n) ag__word_scaled(y, p, n)
#define AND(a, b) ag__word_and(a, b)
#define OR(a, b) ag__word_or(a, b)
#define XOR(a, b) ag__word_xor(a, b)
#define NOT(a) ag__word_not(a)

#undef BITS
#undef FLOAT
#undef BADD
#undef BSUB
#undef SHL
#undef SHR
#undef INTEGER
#define BITS(x) ag__word_to_bits(x)
#define FLOAT(b) ag__word_from_bits(b)
#define BADD(a, b) ag__word_bits_add(a, b)
#define BSUB(a, b) ag__word_bits_sub(a, b)
#define SHL(b, n) ag__word_shift(b, AG__PLACES(n))
#define SHR(b, n) ag__word_shift(b, -AG__PLACES(n))
#define INTEGER(b) ag__word_integer(b)

#include "autograd/functions.h"

#undef FN
#define FN(result, name, ...) AG__RECORDING result AG__FN_NAME(name)(__VA_ARGS__)

#endif
