/* tracing -- the formula of an elementwise operation, recorded value by value
 *
 * An operation's `trace` runs with a recorder, and its steps become a list, from which
 * replay.c makes steps of an interpreter, and compile.c machine code.
 * Operands precede their results, and the trace's result is last, unless the trace has failed. */
#ifndef AG_TRACING_H
#define AG_TRACING_H

#include "autograd/tape/tape.h"
#include "autograd/trace.h"

/* Codes beside those of ag_trace_code. */
enum {
    AG__TRACE_INPUT = AG_TRACE_CODES, /* k: which */
    AG__TRACE_NUMBER,                 /* constant: a double */
    AG__TRACE_BITS,                   /* constant */
    AG__TRACE_ATTRIBUTE,              /* k: which */
    AG__TRACE_SELECT,                 /* x[0] ? x[1] : x[2] */
    AG__TRACE_RARELY,                 /* x[0] ? constant, a function, of x[1] and k : x[2] */
    AG__TRACE_SHIFT,                  /* k places to the left, or −k to the right */
    AG__TRACE_CONVERT,                /* an element of the output's dtype */
    AG__TRACE_SCALE,                  /* x[0]·2^x[1] for a whole x[1]; only if `scales` */
    AG__TRACE_RESULT                  /* x[0] is the trace's result */
};

enum { AG__MOST_TRACED = 1 << 14 }; /* values of a list */

typedef struct ag__traced {
    uint8_t code, operands;
    uint8_t need; /* about the number of registers to compute it */
    bool bits;    /* neither an element nor a truth value */
    int16_t k;
    uint16_t x[3];
    int32_t value; /* compile.c's; −1: none yet */
    uint64_t constant;
} ag__traced;

struct ag_trace {
    ag_tape *tape;
    ag__traced *value;
    int count, room;
    uint32_t number; /* of the trace, which its values carry; never 0 */
    bool narrow;     /* elements are of 32 bits */
    bool scales;     /* by an instruction */
    bool failed;     /* invalid, or out of memory: recording has stopped */
    bool no_memory;
    bool not_a_float; /* narrow, and a number was rounded */
};

/* Record op's formula for this dtype and n inputs, at most AG__MOST_INPUTS, replacing the former recording;
 * t->failed is set if it is invalid. At first t is zero except for its tape and the number of the previous trace. */
void ag__trace(ag_trace *t, const ag_op *op, ag_dtype dtype, int n, bool narrow);

/* The trace that this thread records; NULL: none. */
ag_trace *ag__recorded(void);

/* Free the list. */
void ag__trace_free(ag_trace *t);

#endif
