/* trace -- the steps in which an elementwise operation's formula is recorded, for machine code
 *
 * Arithmetic is that of the element type, the dtype that `trace` is chosen by, and every step rounds. A truth value
 * is the result of a comparison, or an element of bool. Bits are unsigned integers of 32 or 64 bits, and a type of
 * their own. Formulas are not written in these by hand: autograd/formulas_begin.h has short names for them, which mean
 * plain C in the kernels. An invalid trace (a value of another trace, a sum of truth values or of bits, for which C may
 * have a meaning that machine code has not) is refused as a whole, and the kernels run. */
#ifndef AG_TRACE_H
#define AG_TRACE_H

#include "autograd/entry.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ag_trace_code -- the operation of a step on its operands a and b */
typedef enum ag_trace_code {
    AG_TRACE_ADD,        /* a + b */
    AG_TRACE_SUB,        /* a − b */
    AG_TRACE_MUL,        /* a·b */
    AG_TRACE_DIV,        /* a / b */
    AG_TRACE_MAX,        /* a > b ? a : b */
    AG_TRACE_MIN,        /* a < b ? a : b */
    AG_TRACE_STRONG_MUL, /* a == 0 ? 0 : a·b */
    AG_TRACE_STRONG_DIV, /* a == 0 ? 0 : a / b */
    AG_TRACE_LESS,       /* a < b, a truth value; of truth values as of 0 and 1, and so the next three */
    AG_TRACE_LESS_EQUAL, /* a <= b */
    AG_TRACE_EQUAL,      /* a == b */
    AG_TRACE_NOT_EQUAL,  /* a != b */
    AG_TRACE_AND,        /* a & b, of bits, or of truth values, and so the next two */
    AG_TRACE_OR,         /* a | b */
    AG_TRACE_XOR,        /* a ^ b */
    AG_TRACE_BITS_ADD,   /* a + b of bits, modulo 2^32 or 2^64 */
    AG_TRACE_BITS_SUB,   /* a − b of bits */
    AG_TRACE_NEG,        /* −a; this and what follows have one operand */
    AG_TRACE_ABS,        /* |a| */
    AG_TRACE_SQRT,       /* √a */
    AG_TRACE_ROUND,      /* the integer nearest to a, the even one of two */
    AG_TRACE_NOT,        /* not a, of a truth value */
    AG_TRACE_INTEGER,    /* f32 only: the number that bits a are as an int32_t */
    AG_TRACE_TO_BITS,    /* the bits of element a */
    AG_TRACE_FROM_BITS,  /* the element that has bits a; as the one before, not of i64 */
    AG_TRACE_FMA,        /* a·b + c, rounded once: only by ag_trace_fma */
    AG_TRACE_CODES
} ag_trace_code;

/* ag_trace_is_narrow -- whether elements are of 32 bits
 * Errors: none; an invalid trace is refused, here and below */
AG_API bool ag_trace_is_narrow(const ag_trace *t);

/* ag_trace_number -- a number as an element: f32 takes the nearest float
 * Errors: none */
AG_API ag_traced ag_trace_number(ag_trace *t, double number);

/* ag_trace_number_by_width -- ag_trace_number of the first where elements are of 32 bits, else of the second
 * Errors: none */
AG_API ag_traced ag_trace_number_by_width(ag_trace *t, double narrow, double wide);

/* ag_trace_bits -- a whole number as bits; of f32 the lower 32
 * Errors: none */
AG_API ag_traced ag_trace_bits(ag_trace *t, uint64_t bits);

/* ag_trace_attribute -- number k of the attributes, which are doubles, as an element. Machine code serves other
 * attributes too
 * Errors: none */
AG_API ag_traced ag_trace_attribute(ag_trace *t, int k);

/* ag_trace_unary -- a step of one operand
 * Errors: none */
AG_API ag_traced ag_trace_unary(ag_trace *t, ag_trace_code code, ag_traced a);

/* ag_trace_binary -- a step of two operands
 * Errors: none */
AG_API ag_traced ag_trace_binary(ag_trace *t, ag_trace_code code, ag_traced a, ag_traced b);

/* ag_trace_fma -- a·b + c, rounded once
 * Errors: none */
AG_API ag_traced ag_trace_fma(ag_trace *t, ag_traced a, ag_traced b, ag_traced c);

/* ag_trace_scaled -- y, whose steps make p·2^n for a whole number n, rounded once: machine code that has an instruction
 * for that uses it, with the same bits
 * Errors: none */
AG_API ag_traced ag_trace_scaled(ag_trace *t, ag_traced y, ag_traced p, ag_traced n);

/* ag_rare_function -- f(x, j) of one element, as a double, whatever the dtype is; no other memory, no other function
 * of this library */
typedef double ag_rare_function(double x, int j);

/* ag_trace_rarely -- truth ? f(x, j) : y, where truth holds for hardly any element: f is called for each of these, and
 * nothing is done for the others. j is from 0 to 31
 * Errors: none */
AG_API ag_traced ag_trace_rarely(ag_trace *t, ag_traced truth, ag_rare_function *f, ag_traced x, int j, ag_traced y);

/* ag_far_sine -- sin(x + j·π/2) for |x| >= 1, however large that is; a rare function
 * Errors: none */
AG_API double ag_far_sine(double x, int j);

/* ag_trace_select -- truth ? a : b
 * Errors: none */
AG_API ag_traced ag_trace_select(ag_trace *t, ag_traced truth, ag_traced a, ag_traced b);

/* ag_trace_shift -- bits a, `places` to the left, or −places to the right; zeros come in
 * Errors: none */
AG_API ag_traced ag_trace_shift(ag_trace *t, ag_traced a, int places);

/* ag_trace_convert -- a as an element of the output's dtype
 * Errors: none */
AG_API ag_traced ag_trace_convert(ag_trace *t, ag_traced a);

#ifdef __cplusplus
}
#endif

#endif
