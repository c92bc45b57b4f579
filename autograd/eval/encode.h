/* encode -- instructions on vector registers, and the machine code of a loop over them
 *
 * What compile.c hands on: a straight line of instructions with registers already assigned, of which the first ones run
 * once and the others once per vector. */
#ifndef AG_ENCODE_H
#define AG_ENCODE_H

#include "autograd/eval/compile.h"
#include "autograd/eval/plan.h"
#include "autograd/trace.h"

#if defined __x86_64__ && defined __GNUC__ && !defined _WIN32
#define AG__X86_64 1
#else
#define AG__X86_64 0
#endif

/* Codes beside those of ag_trace_code. */
enum {
    AG__SELECT = AG_TRACE_CODES, /* a ? b : c of a truth value a */
    AG__SHIFT_LEFT,
    AG__SHIFT_RIGHT,
    AG__LOAD,  /* a register from memory */
    AG__SPILL, /* a register into the frame */
    AG__STORE, /* a register into a slot */
    AG__COPY,
    AG__WIDEN,        /* f32 to f64 */
    AG__NARROW,       /* f64 to f32 */
    AG__WIDEN_TRUTH,  /* a truth value of 32 bits to one of 64 */
    AG__NARROW_TRUTH, /* the other way */
    AG__AND_NOT,      /* ~a & b */
    AG__ELEMENT,      /* values of compile.c that are no instructions: element i of a slot, */
    AG__SINGLE,       /* the one element of a slot, */
    AG__ATTRIBUTE,    /* a number of the attributes, */
    AG__CONSTANT,     /* a number */
    AG__CODES
};

/* Where in memory a value is. */
enum {
    AG__NO_PLACE,
    AG__IN_FRAME,     /* at: offset in the frame */
    AG__IN_POOL,      /* at: offset in the constants */
    AG__IN_SLOT,      /* at: slot, element i */
    AG__IN_SINGLE,    /* at: slot, its one element */
    AG__IN_ATTRIBUTES /* at: index in the table, k: which double */
};

/* Registers are 0 to 14; 15 is the encoder's own. Register AG__FOLD_REGISTER + i stands for the vector's part of the
 * lanes of fold i; what these take is at the end of the others. */
enum { AG__REGISTERS = 15, AG__FOLD_REGISTER = 32, AG__NO_REGISTER = -1, AG__MOST_FOLDS = 3 };

typedef struct ag__asm {
    uint8_t code;
    bool wide;    /* operands of 64 bits */
    bool truth;   /* AG__LOAD and AG__STORE: of a truth value */
    uint8_t copy; /* which of the vectors in lockstep a slot's elements belong to */
    int8_t y, a;  /* result and first operand */
    int8_t b;     /* last operand; AG__NO_REGISTER: in memory, at `place` */
    uint8_t place;
    uint16_t k; /* select: the register of the condition; shifts: how far; attributes: which; after the loop: slot */
    int32_t at;
} ag__asm;

typedef struct ag__machine {
    const ag__asm *instruction;
    /* How many there are of each: before the loop; in it, for several vectors at once or with folds in registers, or 0;
     * in it, for one vector; and after it, stores of single elements. */
    int before, ahead, loop, after;
    int ways;                  /* for how many at once */
    int folds;                 /* whose lanes are in registers in the loop that goes ahead */
    const uint16_t *fold_slot; /* of each: where its lanes are before and after */
    bool masks;                /* AVX-512's may be used */
    int lanes;                 /* elements a vector: 8, or 4 if there are elements of 64 bits */
    int slots;
    const ag__code_slot *slot;
    int8_t *base;         /* per slot; scratch */
    int32_t frame;        /* bytes; from AG__FRAME_START on they are the instructions' */
    const uint64_t *pool; /* what the constants are, each repeated to 32 bytes; the first are at AG__POOL_START */
    const bool *pool_wide;
    int constants;
} ag__machine;

/* Offsets in the pool of vectors of all bits set, and of none; and where the constants begin. In the frame, where the
 * instructions' part begins. */
enum { AG__POOL_ONES = 0, AG__POOL_ZEROS = 32, AG__POOL_START = 64, AG__FRAME_START = 96, AG__VECTOR = 32 };

/* A frame has no more bytes, lest it reach beyond the page that guards a stack without touching it. */
enum { AG__MOST_FRAME = 4096 - 64 }; /* what is saved beside it, and the call, belong to the page */

/* Write pool and code to `to`, which is aligned to 64 bytes and has `room` bytes. Returns how many there are, which may
 * be more: nothing is written beyond. *entry is the offset of the first instruction. */
size_t ag__assemble(const ag__machine *m, uint8_t *to, size_t room, size_t *entry);

#endif
