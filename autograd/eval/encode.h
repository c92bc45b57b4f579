/* encode -- instructions on vector registers, and the machine code of a loop over them
 *
 * compile.c gives it straight-line instructions with assigned registers; the first ones run once, the others once
 * per vector. An instruction set describes itself (ag__isa): compile.c reads from that how long vectors are and how
 * many registers they have, and nothing else depends on the processor. */
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

/* A program that compiles this encoder for another processor, to look at its bytes, has AG__AARCH64 defined. */
#ifndef AG__AARCH64
#if defined __aarch64__ && defined __AARCH64EL__ && defined __LP64__ && defined __GNUC__ && defined __linux__
#define AG__AARCH64 1
#else
#define AG__AARCH64 0
#endif
#endif

#define AG__MACHINE_CODE (AG__X86_64 || AG__AARCH64)

/* Codes beside those of ag_trace_code. */
enum {
    AG__SELECT = AG_TRACE_CODES, /* a ? b : c of a truth value a */
    AG__SHIFT_LEFT,
    AG__SHIFT_RIGHT,
    AG__LOAD,  /* a register from memory */
    AG__SPILL, /* a register into the frame */
    AG__STORE, /* a register into a slot */
    AG__COPY,
    AG__WIDEN,         /* f32 to f64 */
    AG__NARROW,        /* f64 to f32 */
    AG__WIDEN_TRUTH,   /* a truth value of 32 bits to one of 64 */
    AG__NARROW_TRUTH,  /* the other way */
    AG__AND_NOT,       /* ~a & b */
    AG__RARELY,        /* y, but where b is true call(a, k) */
    AG__WHOLE_EQUAL,   /* of i64: a == b, */
    AG__WHOLE_GREATER, /* a > b, */
    AG__WHOLE_MUL,     /* a·b; only if isa->whole, as what follows, */
    AG__FROM_WHOLE,    /* to f64, */
    AG__NARROW_WHOLE,  /* to f32, */
    AG__TO_WHOLE,      /* from f64, towards 0; INT64_MIN of what is less, and anything of what is more, or NaN */
    AG__LOW_MUL,       /* the product of the lower 32 bits, without signs; only without isa->whole */
    AG__SCALE,         /* a·2^⌊b⌋, rounded once; only if isa->scales */
    AG__TURN,          /* lanes k … 2k − 1 first; behind them any lanes */
    AG__START,         /* a register into a vector of a slot's lanes, outside the loop */
    AG__FINISH,        /* a register's first element into a slot's one */
    AG__ELEMENT,       /* values of compile.c that are not instructions: element i of a slot, */
    AG__SINGLE,        /* the one element of a slot, */
    AG__LANES_OF,      /* a vector of the lanes of a slot, after the loop, */
    AG__ATTRIBUTE,     /* a number of the attributes, */
    AG__CONSTANT,      /* a number */
    AG__CODES
};

/* The place of a value in memory. */
enum {
    AG__NO_PLACE,
    AG__IN_FRAME,           /* at: offset in the frame */
    AG__IN_POOL,            /* at: number of the constant */
    AG__IN_SLOT,            /* at: slot, element i */
    AG__IN_LANES,           /* at: slot, k: which vector of its lanes */
    AG__IN_SINGLE,          /* at: slot, its one element */
    AG__IN_ATTRIBUTES,      /* at: index in the table, k: which double, */
    AG__IN_ATTRIBUTES_WHOLE /* which becomes i64 */
};

/* Registers are numbered from 0. Register AG__FOLD_REGISTER + i stands for the vector's part of the lanes of fold i,
 * and those AG__MOST_FOLDS apart for the parts of vectors in lockstep; these take the last registers. */
enum { AG__MOST_REGISTERS = 32, AG__FOLD_REGISTER = 64, AG__NO_REGISTER = -1, AG__MOST_FOLDS = 3 };

/* Vectors that the frame has room for. */
enum { AG__MOST_SPILLED = 126 };

/* Forms of AG_TRACE_FMA, which writes its result over an operand: y <- y·b + a, y <- a·y + b, y <- a·b + y; and what is
 * added to a form for the summand or the product to be taken negative. */
enum { AG__FMA_132 = 0x98, AG__FMA_213 = 0xa8, AG__FMA_231 = 0xb8, AG__FMA_LESS = 2, AG__FMA_NEGATIVE = 4 };

/* Whether the last form alone is one instruction, and not with a negative summand. */
enum { AG__FMA_ONTO_SUM = AG__AARCH64 };

typedef struct ag__asm {
    uint8_t code;
    bool wide;    /* operands of 64 bits */
    bool truth;   /* AG__LOAD and AG__STORE: of a truth value */
    uint8_t copy; /* number of the vector in lockstep */
    int8_t y, a;  /* result and first operand */
    int8_t b;     /* last operand; AG__NO_REGISTER: in memory, at `place` */
    uint8_t place;
    uint16_t
        k; /* select: the condition's register; shifts: the distance; attributes: the number; FMA: its form; rarely: the
              function's argument; after the loop: slot */
    int32_t at;
    ag_rare_function *call;
} ag__asm;

typedef struct ag__machine {
    const struct ag__isa *isa;
    const ag__asm *instruction;
    /* Numbers of instructions: before the loop; in it, for several vectors at once or with folds in registers, or 0;
     * in it, for one vector; after it, for the folds of lanes; and stores of single elements. */
    int before, ahead, loop, join, after;
    int ways;                  /* vectors at once */
    int folds;                 /* with lanes in registers in the first loop */
    const uint16_t *fold_slot; /* of each: the slot of its lanes before and after */
    int lanes; /* elements a vector: elements of 64 bits fill it, or those of 32 if there are no others */
    int slots;
    const ag__code_slot *slot;
    int8_t *base;         /* per slot; scratch */
    int32_t frame;        /* bytes; the instructions use those from isa->frame on */
    const uint64_t *pool; /* the constants */
    const bool *pool_wide;
    int constants;
    /* For AG__RARELY: registers are one after the other in memory; what = y << 16 | a << 21 | wide << 26 | k << 27,
     * and a bit for each of the first 16 lanes that f is to be called for. */
    void (*call_each)(char *registers, uint32_t what, ag_rare_function *f, uint32_t bytes_of_each);
} ag__machine;

/* An instruction set. Truth values are vectors of all bits or none, as far as others can see. */
typedef struct ag__isa {
    const char *name;   /* as AG_ISA has it */
    int vector;         /* bytes */
    int registers;      /* that instructions may name */
    int frame;          /* bytes of the frame that the encoder uses itself */
    bool whole;         /* it multiplies and converts i64 */
    bool scales;        /* by powers of 2 */
    bool (*runs)(void); /* whether processor and system have it */
    /* Write pool and code to `to`, which is aligned to 64 bytes and has `room` bytes. Returns the bytes needed, which
     * may be more: nothing is written beyond. *entry is the offset of the first instruction. */
    size_t (*assemble)(const ag__machine *m, uint8_t *to, size_t room, size_t *entry);
} ag__isa;

#if AG__X86_64
extern const ag__isa ag__isa_avx512, ag__isa_avx2;
#endif
#if AG__AARCH64
extern const ag__isa ag__isa_neon;
#endif

/* ---- For encoders ---- */

/* The register with a vector's part of a fold's lanes. */
static inline int8_t ag__lane_register(const ag__machine *m, int fold, int vector) {
    int vectors = AG__LANES / m->lanes;
    return (int8_t)(m->isa->registers - (m->folds - fold) * vectors + vector);
}

/* The register that `reg` stands for, in an instruction on vector number `vector` of a round. */
static inline int8_t ag__actual(const ag__machine *m, int8_t reg, int vector) {
    int lanes = reg - AG__FOLD_REGISTER, fold = lanes % AG__MOST_FOLDS, copy = lanes / AG__MOST_FOLDS;
    return lanes < 0 ? reg : ag__lane_register(m, fold, vector + copy);
}

static inline bool ag__has_rarely(const ag__machine *m) {
    bool any = false;
    for (int i = 0; i < m->before + m->ahead + m->loop; i++) any = any || m->instruction[i].code == AG__RARELY;
    return any;
}

#endif
