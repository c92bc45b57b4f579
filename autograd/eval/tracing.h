/* tracing -- the formulas of elementwise operations, recorded value by value
 *
 * An operation's `trace` is run with a recorder, and what it computes from its inputs is appended to a list, of which compile.c
 * makes values. A value's operands are before it. The values of one operation after the other are in one list; each
 * trace ends with its result, or has failed. */
#ifndef AG_TRACING_H
#define AG_TRACING_H

#include "autograd/eval/eval.h"
#include "autograd/trace.h"

/* Codes beside those of ag_trace_code. */
enum {
    AG__TRACE_INPUT = AG_TRACE_CODES, /* k: which */
    AG__TRACE_NUMBER,                 /* bits: a double */
    AG__TRACE_BITS,                   /* bits */
    AG__TRACE_ATTRIBUTE,              /* k: which */
    AG__TRACE_SELECT,                 /* x[0] ? x[1] : x[2] */
    AG__TRACE_SHIFT,                  /* k places to the left, or −k to the right */
    AG__TRACE_CONVERT,                /* an element of the output's dtype */
    AG__TRACE_RESULT                  /* x[0] is what the trace has returned */
};

enum { AG__MOST_TRACED = 1 << 14 }; /* values of a list */

typedef struct ag__traced {
    uint8_t code, operands;
    uint8_t need; /* how many registers it takes to compute it, about */
    int16_t k;
    uint16_t x[3];
    int32_t value; /* compile.c's; −1: none yet */
    uint64_t bits;
} ag__traced;

struct ag_trace {
    ag_tape *tape;
    ag__traced *value;
    int count, room;
    uint32_t number;  /* of the trace, which its values carry; never 0 */
    bool narrow;      /* elements are of 32 bits */
    bool failed;      /* it makes no sense, or memory is lacking: nothing is recorded any more */
    bool not_a_float; /* narrow, and a number was rounded */
};

/* Append op's trace for this dtype and n inputs, at most 8, and its result; where it makes no sense t->failed is set. Before the first
 * t is zero but for its tape, and the number of the trace before. */
void ag__trace(ag_trace *t, const ag_op *op, ag_dtype dtype, int n, bool narrow);

/* Give the list back. */
void ag__trace_free(ag_trace *t);

#endif
