/* encode_aarch64 -- A64 machine code: vectors of 128 bits by Advanced SIMD, and the loop around them
 *
 * The code follows AAPCS64. General registers: x0 is n, and later the rest of it; x1 the table of slots; x2 that of
 * attributes, in the loop the index of the vector's first element if an address is made from it; x3 the pool; x16, x17
 * scratch; the others hold addresses of slots: of all lanes, or of the next element, for loads and stores of vectors
 * take no index. x18 is the system's. Vector registers 30 and 31 are scratch; an operand from memory is in the latter.
 *
 * A vector has four elements, or two if some are of 64 bits; two of 32 bits are the lower half of a register. Of the
 * last, partial vector only elements of the slots are loaded and stored, two at once or one; the others are 0.
 *
 * Instructions: Arm Architecture Reference Manual for A-profile architecture, part C. */
#include "autograd/eval/encode.h"

#if AG__AARCH64

#include <string.h>

enum { SCRATCH = 30, OPERAND = 31, VECTOR = 16 }; /* vector registers; bytes */
enum { SAVED = 8 };                               /* from this vector register on, some have to be saved */

_Static_assert(VECTOR *AG__MOST_SPILLED < 4096, "a frame is less than a page, and an immediate value");

enum { N = 0, SLOTS = 1, ATTRIBUTES = 2, INDEX = 2, POOL = 3, X16 = 16, X17 = 17, FRAME = 29, LINK = 30, SP = 31 };

/* Registers for addresses of slots; the last ones have to be saved. */
static const int8_t base_registers[] = {4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                                        15, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28};
enum { BASES = sizeof base_registers, FREE_BASES = 12 };

typedef struct writer {
    const ag__machine *m;
    uint8_t *to;
    size_t at, room;
    size_t stub;  /* the subroutine of put_rarely */
    int vector;   /* its number in a round */
    int known;    /* the constant in vector register 31; −1: none */
    int used;     /* registers with addresses of slots */
    bool indexed; /* an address is made from the index */
    bool saves;   /* vector registers */
    bool tail;    /* less than a vector */
} writer;

/* ---- Words ---- */

static void put(writer *w, uint32_t word) {
    for (int i = 0; i < 4; i++, w->at++)
        if (w->at < w->room) w->to[w->at] = (uint8_t)(word >> 8 * i);
}

/* An instruction with registers in the places that nearly all have them in. */
static void put3(writer *w, uint32_t word, int d, int n, int m) {
    put(w, word | (uint32_t)m << 16 | (uint32_t)n << 5 | (uint32_t)d);
}

static void put2(writer *w, uint32_t word, int d, int n) { put3(w, word, d, n, 0); }

/* ---- General registers ---- */

static const uint32_t ADD_X = 0x91000000, SUB_X = 0xd1000000, SUBS_X = 0xf1000000;
enum { HIGH = 1 << 22 }; /* an immediate value times 4096 */

static void put_immediate(writer *w, uint32_t word, int d, int n, int32_t value) {
    put2(w, word | (uint32_t)value << 10, d, n);
}

/* The base, or register `near` with an address that is nearer: offsets are of 12 bits, in units of an access. */
static int near_enough(writer *w, int base, int32_t *offset, int log, int near) {
    if (*offset >> log < 4096) return base;
    put_immediate(w, ADD_X | HIGH, near, base, *offset >> 12);
    *offset &= 4095;
    return near;
}

static void load_general(writer *w, int reg, int base, int32_t offset) {
    base = near_enough(w, base, &offset, 3, reg);
    put_immediate(w, 0xf9400000, reg, base, offset >> 3); /* ldr reg, [base, offset] */
}

static void load_number(writer *w, int reg, uint64_t number) { /* movz, movk */
    for (uint32_t i = 0; i < 4; i++)
        put(w, (i ? 0xf2800000 : 0xd2800000) | i << 21 | (uint32_t)(number >> 16 * i & 0xffff) << 5 | (uint32_t)reg);
}

/* ---- Places ---- */

typedef struct place {
    int base;
    int32_t offset;
} place;

/* The logarithm of the bytes of a slot's element. */
static int log_bytes(const writer *w, int slot) {
    int dtype = w->m->slot[slot].dtype;
    return dtype == AG_BOOL ? 0 : dtype == AG_F32 ? 2 : 3;
}

/* The same of a vector of such elements. */
static int vector_log(const writer *w, int log) { return log + (w->m->lanes == 4 ? 2 : 1); }

static int address_of(writer *w, int slot) {
    if (w->m->base[slot] >= 0) return w->m->base[slot];
    load_general(w, X16, SLOTS, 8 * slot);
    return X16;
}

static void add_index(writer *w, int d, int base, int index, int log) { /* add d, base, index, lsl log */
    put3(w, 0x8b000000 | (uint32_t)log << 10, d, base, index);
}

/* The elements that an instruction loads or stores. */
static place slot_part(writer *w, const ag__asm *i) {
    const int log = log_bytes(w, i->at), at = (w->vector + i->copy) * w->m->lanes;
    int base = address_of(w, i->at);
    if (w->m->slot[i->at].lanes) {
        uint32_t bits = 0;
        while (1 << (bits + 1) < AG__LANES) bits++;
        put2(w, 0x12000000 | bits << 10, X17, INDEX); /* and w17, w2, AG__LANES − 1 */
        add_index(w, X17, base, X17, log);
        return (place){X17, at % AG__LANES << log};
    }
    if (base == X16) add_index(w, X16, X16, INDEX, log);
    return (place){base, at << log};
}

/* A vector of a slot's lanes, outside the loop. */
static place lanes_part(writer *w, int slot, int vector) {
    return (place){address_of(w, slot), vector * w->m->lanes << log_bytes(w, slot)};
}

/* ---- Loads and stores ---- */

/* Vector register `reg` from memory or into it: 2^log bytes, of which the offset is a multiple; the others become 0. */
static void move(writer *w, bool in, int log, int reg, place p) {
    const uint32_t size = log == 4 ? 2u << 22 : (uint32_t)log << 30;
    const int base = near_enough(w, p.base, &p.offset, log, X16);
    put_immediate(w, 0x3d000000 | size | (uint32_t)in << 22, reg, base, p.offset >> log);
}

static uint32_t skip(int words, int bit) { /* tbz w0, bit: past so many words */
    return 0x36000000 | (uint32_t)bit << 19 | (uint32_t)(words + 1) << 5 | N;
}

/* As many elements of 2^log bytes as x0 says: one; or one, two or three of a vector of four. */
static void move_some(writer *w, bool in, int log, int reg, place p) {
    move(w, in, log, reg, p);
    if (w->m->lanes == 2) return;
    put(w, skip(4, 1));
    move(w, in, log + 1, reg, p);
    put(w, skip(2, 0));
    put_immediate(w, ADD_X, X16, p.base, p.offset + (2 << log));
    const uint32_t third = log == 0 ? 0x0d000800 : 0x4d008000; /* ld1 or st1 of element 2: bytes, words */
    put2(w, third | (uint32_t)in << 22, reg, X16);
}

static void move_elements(writer *w, bool in, int log, int reg, place p) {
    if (w->tail) move_some(w, in, log, reg, p);
    else move(w, in, vector_log(w, log), reg, p);
}

static void move_spilled(writer *w, bool in, int reg, int32_t at) { move(w, in, 4, reg, (place){SP, at}); }

/* The truth of bytes that are not 0, from the least elements of y. */
static void widen_bytes(writer *w, bool wide, int y) {
    put3(w, 0x0e208c00, y, y, y);        /* cmtst y.8b, y.8b, y.8b */
    put2(w, 0x0f08a400, y, y);           /* sxtl y.8h, y.8b */
    put2(w, 0x0f10a400, y, y);           /* sxtl y.4s, y.4h */
    if (wide) put2(w, 0x0f20a400, y, y); /* sxtl y.2d, y.2s */
}

static void load_element(writer *w, const ag__asm *i, int y) {
    move_elements(w, true, log_bytes(w, i->at), y, slot_part(w, i));
    if (i->truth) widen_bytes(w, i->wide, y);
}

static void load_single(writer *w, const ag__asm *i, int y) {
    load_general(w, X16, SLOTS, 8 * i->at);
    put2(w, i->truth ? 0x4d40c000 : i->wide ? 0x4d40cc00 : 0x4d40c800, y, X16); /* ld1r y, [x16] */
    if (i->truth) put3(w, 0x4e208c00, y, y, y);                                 /* cmtst y.16b, y.16b, y.16b */
}

static void load_attribute(writer *w, const ag__asm *i, int y) {
    load_general(w, X16, ATTRIBUTES, 8 * i->at);
    move(w, true, 3, y, (place){X16, 8 * i->k});
    if (i->place == AG__IN_ATTRIBUTES_WHOLE) {
        put2(w, 0x9e780000, X16, y); /* fcvtzs x16, y */
        put2(w, 0x4e080c00, y, X16); /* dup y.2d, x16 */
    } else if (i->wide) {
        put2(w, 0x4e080400, y, y); /* dup y.2d, y.d[0] */
    } else {
        put2(w, 0x1e624000, y, y); /* fcvt y (s), y (d) */
        put2(w, 0x4e040400, y, y); /* dup y.4s, y.s[0] */
    }
}

static void load(writer *w, const ag__asm *i, int y) {
    switch (i->place) {
    case AG__IN_FRAME: move_spilled(w, true, y, i->at); break;
    case AG__IN_POOL: move(w, true, 4, y, (place){POOL, VECTOR * i->at}); break;
    case AG__IN_SLOT: load_element(w, i, y); break;
    case AG__IN_LANES: move(w, true, vector_log(w, i->wide ? 3 : 2), y, lanes_part(w, i->at, i->k)); break;
    case AG__IN_SINGLE: load_single(w, i, y); break;
    default: load_attribute(w, i, y); break;
    }
}

/* Bytes 0 and 1 from a truth value: its elements become shorter, and what is left of each byte is one bit. */
static void narrow_truth(writer *w, bool wide, int a) {
    w->known = -1;
    if (wide) put2(w, 0x0ea12800, OPERAND, a);        /* xtn v31.2s, a.2d */
    put2(w, 0x0e612800, OPERAND, wide ? OPERAND : a); /* xtn v31.4h, a.4s */
    put2(w, 0x0e212800, OPERAND, OPERAND);            /* xtn v31.8b, v31.8h */
    put2(w, 0x2f090400, OPERAND, OPERAND);            /* ushr v31.8b, v31.8b, 7 */
}

static void store(writer *w, const ag__asm *i) {
    if (i->truth) narrow_truth(w, i->wide, i->a);
    move_elements(w, false, log_bytes(w, i->at), i->truth ? OPERAND : i->a, slot_part(w, i));
}

/* After the loop: store the single element of a slot. */
static void store_single(writer *w, const ag__asm *i) {
    if (i->place == AG__IN_POOL) load_general(w, X17, POOL, VECTOR * i->at);
    else load_general(w, X17, SP, i->at);
    load_general(w, X16, SLOTS, 8 * i->k);
    if (i->truth) put2(w, 0x12000000, X17, X17);                                  /* and w17, w17, 1 */
    put2(w, i->truth ? 0x39000000 : i->wide ? 0xf9000000 : 0xb9000000, X17, X16); /* strb, str [x16] */
}

/* ---- Arithmetic ---- */

enum { NOTHING, BINARY, SWAPPED, UNARY };

/* How codes are encoded, for vectors of two elements of 32 bits if `sized`. */
typedef struct encoding {
    uint32_t word;
    uint8_t form;
    bool sized;
} encoding;

enum { WIDE = 1 << 22, FULL = 1 << 30 };

static const encoding encodings[AG__CODES] = {
    [AG_TRACE_ADD] = {0x0e20d400, BINARY, true},         /* fadd */
    [AG_TRACE_SUB] = {0x0ea0d400, BINARY, true},         /* fsub */
    [AG_TRACE_MUL] = {0x2e20dc00, BINARY, true},         /* fmul */
    [AG_TRACE_DIV] = {0x2e20fc00, BINARY, true},         /* fdiv */
    [AG_TRACE_STRONG_MUL] = {0x2e20dc00, BINARY, true},  /* the same, */
    [AG_TRACE_STRONG_DIV] = {0x2e20fc00, BINARY, true},  /* where a is not 0 */
    [AG_TRACE_MAX] = {0x2ea0e400, BINARY, true},         /* fcmgt, to choose by */
    [AG_TRACE_MIN] = {0x2ea0e400, SWAPPED, true},        /* fcmgt */
    [AG_TRACE_LESS] = {0x2ea0e400, SWAPPED, true},       /* fcmgt */
    [AG_TRACE_LESS_EQUAL] = {0x2e20e400, SWAPPED, true}, /* fcmge */
    [AG_TRACE_EQUAL] = {0x0e20e400, BINARY, true},       /* fcmeq */
    [AG_TRACE_NOT_EQUAL] = {0x0e20e400, BINARY, true},   /* fcmeq, and its opposite */
    [AG_TRACE_AND] = {0x4e201c00, BINARY, false},        /* and */
    [AG_TRACE_OR] = {0x4ea01c00, BINARY, false},         /* orr */
    [AG_TRACE_XOR] = {0x6e201c00, BINARY, false},        /* eor */
    [AG__AND_NOT] = {0x4e601c00, SWAPPED, false},        /* bic */
    [AG_TRACE_BITS_ADD] = {0x0ea08400, BINARY, true},    /* add */
    [AG_TRACE_BITS_SUB] = {0x2ea08400, BINARY, true},    /* sub */
    [AG_TRACE_SQRT] = {0x2ea1f800, UNARY, true},         /* fsqrt */
    [AG_TRACE_ROUND] = {0x0e218800, UNARY, true},        /* frintn */
    [AG_TRACE_INTEGER] = {0x0e21d800, UNARY, true},      /* scvtf */
    [AG__WIDEN] = {0x0e617800, UNARY, false},            /* fcvtl y.2d, b.2s */
    [AG__NARROW] = {0x0e616800, UNARY, false},           /* fcvtn y.2s, b.2d */
    [AG__WIDEN_TRUTH] = {0x0f20a400, UNARY, false},      /* sxtl y.2d, b.2s */
    [AG__NARROW_TRUTH] = {0x0ea12800, UNARY, false},     /* xtn y.2s, b.2d */
    [AG__WHOLE_EQUAL] = {0x6ee08c00, BINARY, false},     /* cmeq y.2d */
    [AG__WHOLE_GREATER] = {0x4ee03400, BINARY, false},   /* cmgt y.2d */
    [AG__FROM_WHOLE] = {0x4e61d800, UNARY, false},       /* scvtf y.2d */
    [AG__TO_WHOLE] = {0x4ee1b800, UNARY, false},         /* fcvtzs y.2d */
};

static bool is_full(const writer *w, bool wide) { return wide || w->m->lanes == 4; }

/* An instruction on elements of 32 bits, as one on those that the vector has. */
static uint32_t sized(const writer *w, uint32_t word, bool wide) {
    return word | (wide ? WIDE : 0) | (is_full(w, wide) ? FULL : 0);
}

static void copy(writer *w, int y, int b) { put3(w, 0x4ea01c00, y, b, b); } /* mov y.16b, b.16b */

/* y <- truth ? a : b */
static void choose(writer *w, int y, int truth, int a, int b) {
    if (y == a && y != truth) {
        put3(w, 0x6ee01c00, y, b, truth); /* bif */
    } else if (y == b && y != truth) {
        put3(w, 0x6ea01c00, y, a, truth); /* bit */
    } else {
        if (y != truth) copy(w, y, truth);
        put3(w, 0x6e601c00, y, a, b); /* bsl */
    }
}

/* The last operand's register; from memory it is loaded. Vectors in lockstep have the same constants. */
static int last_operand(writer *w, const ag__asm *i) {
    if (i->b >= 0) return i->b;
    const int constant = i->place == AG__IN_POOL ? i->at : -1;
    if (constant < 0 || constant != w->known) load(w, i, OPERAND);
    w->known = constant;
    return OPERAND;
}

static void compute_coded(writer *w, const ag__asm *i, int y, int b) {
    const encoding *e = &encodings[i->code];
    const uint32_t word = e->sized ? sized(w, e->word, i->wide) : e->word;
    if (e->form == UNARY) put2(w, word, y, b);
    else if (e->form == SWAPPED) put3(w, word, y, b, i->a);
    else put3(w, word, y, i->a, b);
}

static void compute(writer *w, const ag__asm *i) { compute_coded(w, i, i->y, last_operand(w, i)); }

/* The instruction on one operand that a bitwise one with this constant is, which then need not be read; 0: none. */
static uint32_t of_constant(const writer *w, const ag__asm *i) {
    const uint64_t sign = i->wide ? UINT64_C(1) << 63 : UINT64_C(1) << 31;
    if (i->b >= 0 || i->place != AG__IN_POOL) return 0;
    const uint64_t bits = w->m->pool[i->at];
    if (i->code == AG_TRACE_AND) return bits == sign - 1 ? sized(w, 0x0ea0f800, i->wide) : 0; /* fabs */
    if (bits == sign) return sized(w, 0x2ea0f800, i->wide);                                   /* fneg */
    return bits == sign - 1 + sign ? 0x6e205800 : 0;                                          /* mvn */
}

static void compute_bits(writer *w, const ag__asm *i) {
    const uint32_t word = of_constant(w, i);
    if (word) put2(w, word, i->y, i->a);
    else compute(w, i);
}

static void compute_unequal(writer *w, const ag__asm *i) {
    compute(w, i);
    put2(w, 0x6e205800, i->y, i->y); /* mvn y.16b, y.16b */
}

static void compute_extreme(writer *w, const ag__asm *i) {
    const int b = last_operand(w, i), truth = i->y == i->a || i->y == b ? SCRATCH : i->y;
    compute_coded(w, i, truth, b);
    choose(w, i->y, truth, i->a, b);
}

static void compute_strong(writer *w, const ag__asm *i) {
    compute_coded(w, i, SCRATCH, last_operand(w, i));
    w->known = -1;
    put2(w, sized(w, 0x0ea0d800, i->wide), OPERAND, i->a); /* fcmeq v31, a, 0.0 */
    put3(w, 0x4e601c00, i->y, SCRATCH, OPERAND);           /* bic y, v30, v31 */
}

static void copy_operand(writer *w, const ag__asm *i) {
    if (i->b >= 0) copy(w, i->y, i->b);
    else load(w, i, i->y);
}

/* A product is added to what the register has, so that the other forms need a register for their sum. */
static void compute_fma(writer *w, const ag__asm *i) {
    const int b = last_operand(w, i), form = i->k & ~(AG__FMA_LESS | AG__FMA_NEGATIVE);
    const bool onto = form == AG__FMA_231;
    const int sum = onto ? i->y : form == AG__FMA_132 ? i->a : b, to = onto ? i->y : SCRATCH;
    const int factor = onto ? i->a : i->y, other = form == AG__FMA_213 ? i->a : b;
    if (i->k & AG__FMA_LESS) put2(w, sized(w, 0x2ea0f800, i->wide), to, sum); /* fneg */
    else if (!onto) copy(w, to, sum);
    const uint32_t word = i->k & AG__FMA_NEGATIVE ? 0x0ea0cc00 : 0x0e20cc00; /* fmls, fmla */
    put3(w, sized(w, word, i->wide), to, factor, other);
    if (!onto) copy(w, i->y, SCRATCH);
}

static void shift(writer *w, const ag__asm *i) {
    const uint32_t bits = i->wide ? 64 : 32, places = i->code == AG__SHIFT_LEFT ? bits + i->k : 2 * bits - i->k;
    const uint32_t word = i->code == AG__SHIFT_LEFT ? 0x0f005400 : 0x2f000400; /* shl, ushr */
    put2(w, word | (is_full(w, i->wide) ? FULL : 0) | places << 16, i->y, i->b);
}

/* Products of 32 bits: of the halves that are not alike, moved up, and the whole one of the lower halves. */
static void multiply_whole(writer *w, const ag__asm *i) {
    const int b = last_operand(w, i);
    w->known = -1;
    put2(w, 0x4ea00800, SCRATCH, b);             /* rev64 v30.4s, b.4s */
    put3(w, 0x4ea09c00, SCRATCH, SCRATCH, i->a); /* mul v30.4s, v30.4s, a.4s */
    put2(w, 0x6ea02800, SCRATCH, SCRATCH);       /* uaddlp v30.2d, v30.4s */
    put2(w, 0x4f605400, SCRATCH, SCRATCH);       /* shl v30.2d, v30.2d, 32 */
    put2(w, 0x0ea12800, OPERAND, b);             /* xtn v31.2s, b.2d */
    put2(w, 0x0ea12800, i->y, i->a);             /* xtn y.2s, a.2d */
    put3(w, 0x2ea08000, SCRATCH, i->y, OPERAND); /* umlal v30.2d, y.2s, v31.2s */
    copy(w, i->y, SCRATCH);
}

/* One by one, for by way of f64 they would be rounded twice. */
static void narrow_whole(writer *w, const ag__asm *i) {
    const int b = last_operand(w, i);
    w->known = -1;
    put2(w, 0x9e660000, X16, b);                 /* fmov x16, b.d[0] */
    put2(w, 0x4e183c00, X17, b);                 /* umov x17, b.d[1] */
    put2(w, 0x9e220000, SCRATCH, X16);           /* scvtf s30, x16 */
    put2(w, 0x9e220000, OPERAND, X17);           /* scvtf s31, x17 */
    put3(w, 0x0e803800, i->y, SCRATCH, OPERAND); /* zip1 y.2s, v30.2s, v31.2s */
}

static void turn(writer *w, const ag__asm *i) { /* ext y.16b, b.16b, b.16b, bytes */
    put3(w, 0x6e000000 | (uint32_t)(i->k * (i->wide ? 8 : 4)) << 11, i->y, i->b, i->b);
}

/* ---- Calls for rare elements ----
 *
 * A subroutine saves all registers that a function may change, calls the machine's `call_each`, which computes elements
 * there, and loads them again. It is before the entry, and called with `what` of call_each in w17 and the function in
 * x16. */

enum { KEPT_LINK = 16 * 8, KEPT_VECTORS = KEPT_LINK + 16, KEPT = KEPT_VECTORS + 32 * VECTOR };

static void put_pair(writer *w, uint32_t word, int log, int reg, int base, int32_t offset) {
    put2(w, word | (uint32_t)(offset >> log & 127) << 15 | (uint32_t)(reg + 1) << 10, reg, base);
}

static void move_kept(writer *w, bool in) {
    const uint32_t load = (uint32_t)in << 22;
    for (int r = 0; r < 16; r += 2) put_pair(w, 0xa9000000 | load, 3, r, SP, 8 * r); /* stp, ldp */
    for (int r = 0; r < 32; r += 2) put_pair(w, 0xad000000 | load, 4, r, SP, KEPT_VECTORS + VECTOR * r);
    put_immediate(w, 0xf9000000 | load, LINK, SP, KEPT_LINK / 8);
}

static void put_stub(writer *w) {
    uint64_t address = 0;
    memcpy(&address, &w->m->call_each, sizeof w->m->call_each);
    w->stub = w->at;
    put_immediate(w, SUB_X, SP, SP, KEPT);
    move_kept(w, false);
    put_immediate(w, ADD_X, 0, SP, KEPT_VECTORS);
    put3(w, 0x2a0003e0, 1, 0, X17);       /* mov w1, w17 */
    put3(w, 0xaa0003e0, 2, 0, X16);       /* mov x2, x16 */
    put(w, 0x52800000 | VECTOR << 5 | 3); /* mov w3, VECTOR */
    load_number(w, X16, address);
    put2(w, 0xd63f0000, 0, X16); /* blr x16 */
    move_kept(w, true);
    put_immediate(w, ADD_X, SP, SP, KEPT);
    put(w, 0xd65f03c0); /* ret */
}

/* The truth of all elements in x16: 16 bits of each of four, or 32 of each of two. Where it is not 0, one bit of each
 * goes into w17. */
static void compute_rarely(writer *w, const ag__asm *i) {
    const int lanes = w->m->lanes, places = 64 / lanes, bits = is_full(w, i->wide) ? OPERAND : i->b;
    const uint32_t what = (uint32_t)i->y | (uint32_t)i->a << 5 | (uint32_t)i->wide << 10 | (uint32_t)i->k << 11;
    uint64_t address = 0;
    memcpy(&address, &i->call, sizeof i->call);
    w->known = -1;
    if (bits == OPERAND) put2(w, i->wide ? 0x0ea12800 : 0x0e612800, OPERAND, i->b); /* xtn */
    put2(w, 0x9e660000, X16, bits);                                                 /* fmov x16, … */
    put(w, 0xb4000000 | (uint32_t)(1 + 1 + 2 * lanes - 1 + 4 + 1) << 5 | X16);      /* cbz x16, behind all */
    put(w, 0x52a00000 | what << 5 | X17);                                           /* mov w17, what << 16 */
    for (int k = 0; k < lanes; k++) {
        if (k) put2(w, 0xd340fc00 | (uint32_t)places << 16, X16, X16); /* lsr x16, x16, places */
        put2(w, 0x33000000 | (uint32_t)(32 - k) % 32 << 16, X17, X16); /* bfi w17, w16, k, 1 */
    }
    load_number(w, X16, address);
    put(w, 0x94000000 | ((uint32_t)((int64_t)w->stub - (int64_t)w->at) >> 2 & 0x3ffffff)); /* bl */
}

/* ---- All instructions ---- */

static void instruction(writer *w, const ag__asm *i) {
    switch (i->code) {
    case AG__LOAD: load(w, i, i->y); break;
    case AG__SPILL: move_spilled(w, false, i->a, i->at); break;
    case AG__STORE: store(w, i); break;
    case AG__START: move(w, false, vector_log(w, i->wide ? 3 : 2), i->a, lanes_part(w, i->at, i->k)); break;
    case AG__FINISH: move(w, false, i->wide ? 3 : 2, i->a, (place){address_of(w, i->at), 0}); break;
    case AG__COPY: copy_operand(w, i); break;
    case AG__SELECT: choose(w, i->y, i->k, last_operand(w, i), i->a); break;
    case AG__SHIFT_LEFT:
    case AG__SHIFT_RIGHT: shift(w, i); break;
    case AG__TURN: turn(w, i); break;
    case AG__RARELY: compute_rarely(w, i); break;
    case AG__WHOLE_MUL: multiply_whole(w, i); break;
    case AG__NARROW_WHOLE: narrow_whole(w, i); break;
    case AG_TRACE_FMA: compute_fma(w, i); break;
    case AG_TRACE_MAX:
    case AG_TRACE_MIN: compute_extreme(w, i); break;
    case AG_TRACE_STRONG_MUL:
    case AG_TRACE_STRONG_DIV: compute_strong(w, i); break;
    case AG_TRACE_NOT_EQUAL: compute_unequal(w, i); break;
    case AG_TRACE_AND:
    case AG_TRACE_XOR: compute_bits(w, i); break;
    default: compute(w, i); break;
    }
}

static void run(writer *w, int first, int count) {
    w->known = -1;
    for (int k = 0; k < count; k++) {
        ag__asm i = w->m->instruction[first + k];
        i.y = ag__actual(w->m, i.y, w->vector), i.a = ag__actual(w->m, i.a, w->vector);
        i.b = ag__actual(w->m, i.b, w->vector);
        instruction(w, &i);
    }
}

/* ---- The loop ---- */

static bool is_of_slot(const ag__asm *i) { return i->code == AG__STORE || (i->b < 0 && i->place == AG__IN_SLOT); }

/* Which registers the instructions need; slots get theirs in order of occurrence. */
static void survey(writer *w) {
    const ag__machine *m = w->m;
    const int end = m->before + m->ahead + m->loop;
    w->saves = m->folds > 0;
    for (int s = 0; s < m->slots; s++) m->base[s] = -1;
    for (int i = m->before; i < end; i++) {
        const ag__asm *in = &m->instruction[i];
        if (!is_of_slot(in)) continue;
        if (m->base[in->at] < 0 && w->used < BASES) m->base[in->at] = base_registers[w->used++];
        w->indexed = w->indexed || m->slot[in->at].lanes || m->base[in->at] < 0;
    }
    for (int i = 0; i < end + m->join; i++) w->saves = w->saves || m->instruction[i].y >= SAVED;
}

static void put_pool(writer *w) {
    for (int i = 0; i < w->m->constants; i++)
        for (int k = 0; k < VECTOR / 4; k++) put(w, (uint32_t)(w->m->pool[i] >> (w->m->pool_wide[i] ? k % 2 * 32 : 0)));
}

/* On the stack, from x29 on: that and the link register, then vector registers 8 to 15, whose lower halves are the
 * caller's, and x19 to x28; below, the frame. */
enum { STACK = 160, STACK_VECTORS = 16, STACK_BASES = 80 };

static void move_saved(writer *w, bool in) {
    const uint32_t load = (uint32_t)in << 22;
    for (int r = 0; w->saves && r < 8; r += 2) put_pair(w, 0x6d000000 | load, 3, 8 + r, SP, STACK_VECTORS + 8 * r);
    for (int r = 0; w->used > FREE_BASES && r < 10; r += 2)
        put_pair(w, 0xa9000000 | load, 3, 19 + r, SP, STACK_BASES + 8 * r);
}

enum { GREATER_EQUAL = 10, LESS = 11, GREATER = 12 };

static void branch_if(writer *w, unsigned condition, int words) {
    put(w, 0x54000000 | ((uint32_t)words & 0x7ffff) << 5 | condition);
}

static void branch(writer *w, int64_t words) { put(w, 0x14000000 | ((uint32_t)words & 0x3ffffff)); }

static void enter(writer *w) {
    put_immediate(w, SUBS_X, 31, N, 0); /* cmp x0, 0 */
    branch_if(w, GREATER, 2);
    put(w, 0xd65f03c0);                            /* ret */
    put_pair(w, 0xa9800000, 3, FRAME, SP, -STACK); /* stp x29, x30, [sp, −STACK]! */
    put_immediate(w, ADD_X, FRAME, SP, 0);
    move_saved(w, false);
    if (w->m->frame) put_immediate(w, SUB_X, SP, SP, w->m->frame);
    const uint32_t back = -(uint32_t)w->at;
    put(w, 0x10000000 | (back & 3) << 29 | (back >> 2 & 0x7ffff) << 5 | POOL); /* adr x3, the pool */
    for (int s = 0; s < w->m->slots; s++)
        if (w->m->base[s] >= 0) load_general(w, w->m->base[s], SLOTS, 8 * s);
}

static void leave(writer *w) {
    if (w->m->frame) put_immediate(w, ADD_X, SP, SP, w->m->frame);
    move_saved(w, true);
    put_pair(w, 0xa8c00000, 3, FRAME, SP, STACK); /* ldp x29, x30, [sp], STACK */
    put(w, 0xd65f03c0);                           /* ret */
}

/* A jump unless the flags say so, to where `target` says: a conditional one may not reach that. */
static size_t jump_unless(writer *w, unsigned condition) {
    branch_if(w, condition, 2);
    branch(w, 0);
    return w->at - 4;
}

static void target(writer *w, size_t jump) {
    const size_t at = w->at;
    w->at = jump;
    branch(w, (int64_t)(at - jump) / 4);
    w->at = at;
}

/* Load the folds' lanes into their registers, or store them. */
static void move_lanes(writer *w, bool in) {
    for (int f = 0; f < w->m->folds; f++)
        for (int v = 0; v < AG__LANES / w->m->lanes; v++) {
            const int slot = w->m->fold_slot[f];
            move(w, in, vector_log(w, log_bytes(w, slot)), ag__lane_register(w->m, f, v), lanes_part(w, slot, v));
        }
}

static void advance(writer *w, int step) {
    for (int s = 0; s < w->m->slots; s++)
        if (w->m->base[s] >= 0 && !w->m->slot[s].lanes)
            put_immediate(w, ADD_X, w->m->base[s], w->m->base[s], step << log_bytes(w, s));
    if (w->indexed) put_immediate(w, ADD_X, INDEX, INDEX, step);
}

/* A loop over `vectors` vectors a round, with the instructions from `first` on once for each vector, or for every
 * `at_once`, while so many elements are left. x0 is what is left before and after. */
static void rounds(writer *w, int first, int count, int vectors, int at_once, bool folds) {
    const int step = vectors * w->m->lanes;
    put_immediate(w, SUBS_X, N, N, step);
    const size_t over = jump_unless(w, GREATER_EQUAL);
    if (folds) move_lanes(w, true);
    while (w->at % 16) put(w, 0xd503201f); /* nop */
    const size_t top = w->at;
    for (w->vector = 0; w->vector < vectors; w->vector += at_once) run(w, first, count);
    w->vector = 0;
    advance(w, step);
    put_immediate(w, SUBS_X, N, N, step);
    const int64_t back = ((int64_t)top - (int64_t)w->at) / 4;
    if (back > -(1 << 18)) {
        branch_if(w, GREATER_EQUAL, (int)back);
    } else {
        branch_if(w, LESS, 2);
        branch(w, back - 1);
    }
    if (folds) move_lanes(w, false);
    target(w, over);
    put_immediate(w, ADD_X, N, N, step);
}

/* The last, partial vector. */
static void rest(writer *w) {
    put_immediate(w, SUBS_X, 31, N, 0);
    const size_t over = jump_unless(w, GREATER);
    w->tail = true;
    run(w, w->m->before + w->m->ahead, w->m->loop);
    w->tail = false;
    target(w, over);
}

static size_t assemble(const ag__machine *m, uint8_t *to, size_t room, size_t *entry) {
    writer w = {.m = m, .to = to, .room = room};
    const int ahead = m->before, loop = ahead + m->ahead, done = loop + m->loop;
    survey(&w);
    put_pool(&w);
    if (ag__has_rarely(m)) put_stub(&w);
    *entry = w.at;
    enter(&w);
    run(&w, 0, m->before);
    if (w.indexed) put(&w, 0xd2800000 | INDEX); /* mov x2, 0 */
    if (m->folds) rounds(&w, ahead, m->ahead, AG__LANES / m->lanes, m->ways, true);
    else if (m->ahead) rounds(&w, ahead, m->ahead, m->ways, m->ways, false);
    else rounds(&w, loop, m->loop, m->loop <= 6 ? 4 : 2, 1, false);
    rounds(&w, loop, m->loop, 1, 1, false);
    rest(&w);
    run(&w, done, m->join);
    for (int i = 0; i < m->after; i++) store_single(&w, &m->instruction[done + m->join + i]);
    leave(&w);
    return w.at;
}

/* Every such processor has these instructions. */
static bool runs(void) { return true; }

const ag__isa ag__isa_neon = {
    .name = "neon", .vector = VECTOR, .registers = SCRATCH, .whole = true, .runs = runs, .assemble = assemble};

#endif
