/* encode_x86 -- what machine code for x86-64 has in common, whichever vectors it uses
 *
 * Bytes, operands, instructions on general registers, and the loop. An ag__vectors has the vector instructions. */
#ifndef AG_ENCODE_X86_H
#define AG_ENCODE_X86_H

#include "autograd/eval/encode.h"

#if AG__X86_64

enum { AG__RAX, AG__RCX, AG__RDX, AG__RBX, AG__RSP, AG__RBP, AG__RSI, AG__RDI };
enum { AG__MASKS = 6 }; /* AVX-512's mask registers 1 to 6 that the code may choose; 7 is the last vector's */

typedef struct ag__writer {
    const ag__machine *m;
    const struct ag__vectors *vectors;
    uint8_t *to;
    size_t at, room;
    size_t stub; /* the subroutine of ag__put_rarely */
    int vector;  /* its number in a round */
    int known;   /* the slot whose address is in rax; −1: none's */
    bool tail;   /* less than a vector */

    /* A mask register holds the lanes of a vector register that are not 0. */
    int8_t masked[AG__MASKS]; /* the vector register; −1: none */
    bool masked_wide[AG__MASKS];
    int next_mask;
    uint32_t has_mask;    /* a bit for each vector register that a mask register marks, */
    uint32_t only_masked; /* and of these for those whose own bits are yet to be made */
} ag__writer;

typedef struct ag__operand { /* as small as a general register */
    int8_t reg;              /* −1: memory */
    int8_t base;             /* −1: the pool */
    int8_t index;            /* −1: none */
    int8_t scale;            /* logarithm */
    int32_t offset;
} ag__operand;

/* Vector instructions. */
typedef struct ag__vectors {
    void (*pool)(ag__writer *w);
    void (*begin)(ag__writer *w);                         /* a sequence of instructions, after which none is known */
    void (*instruction)(ag__writer *w, const ag__asm *i); /* with actual registers */
    void (*move)(ag__writer *w, bool in, bool wide, int reg, ag__operand o);
    void (*begin_tail)(ag__writer *w);                 /* rdi elements, less than a vector, are left */
    void (*masks)(ag__writer *w, bool in, int32_t at); /* mask registers from the frame, or into it; through rax */
} ag__vectors;

static inline ag__operand ag__in_register(int reg) { return (ag__operand){.reg = (int8_t)reg, .index = -1}; }
static inline ag__operand ag__in_pool(int32_t at) { return (ag__operand){-1, -1, -1, 0, at}; }
static inline ag__operand ag__at_base(int base, int32_t offset) {
    return (ag__operand){-1, (int8_t)base, -1, 0, offset};
}
static inline ag__operand ag__in_frame(int32_t at) { return ag__at_base(AG__RSP, at); }

void ag__put_byte(ag__writer *w, unsigned b);
void ag__put_bytes(ag__writer *w, int n, const char *b);
void ag__put_word(ag__writer *w, int64_t value); /* its low four bytes */

/* The ModRM byte with its SIB byte and offset; `trailing` bytes of the instruction follow. An offset that is a small
 * multiple of `unit` takes a byte. */
void ag__modrm(ag__writer *w, int reg, ag__operand o, int trailing, int unit);

/* An instruction on 64-bit general registers. */
void ag__general(ag__writer *w, unsigned opcode, int reg, ag__operand o);

/* The logarithm of a vector's bytes over 16, if elements are of 64 bits or of 32: 0, 1 or 2. */
int ag__length(const ag__writer *w, bool wide);

/* The elements that an instruction loads or stores. */
ag__operand ag__slot_part(ag__writer *w, const ag__asm *i);

/* A vector of a slot's lanes, outside the loop; a slot's one element. */
ag__operand ag__lanes_part(ag__writer *w, int slot, int vector);
ag__operand ag__single_part(ag__writer *w, int slot);

/* The rest of AG__RARELY, when eax has a bit for each lane whose truth is not 0. */
void ag__put_rarely(ag__writer *w, const ag__asm *i);

/* A number of the attributes into rcx, as i64. */
void ag__load_whole_attribute(ag__writer *w, const ag__asm *i);

size_t ag__assemble_x86(const ag__machine *m, const ag__vectors *vectors, uint8_t *to, size_t room, size_t *entry);

/* ---- Opcodes ---- */

enum { AG__MAP_0F = 1, AG__MAP_0F38 = 2, AG__MAP_0F3A = 3 };
enum { AG__P_NONE, AG__P_66, AG__P_F3, AG__P_F2 };
enum { AG__UNARY, AG__BINARY, AG__SHIFT };
enum { AG__STREAM = 0x2b }; /* vmovntps, vmovntpd: a store past the caches */

/* How codes are encoded; opcode[1] and prefix[1] for elements of 64 bits. */
typedef struct ag__encoding {
    uint8_t form, map, prefix[2], opcode[2];
    bool immediate;
    uint8_t value; /* of the immediate byte; shifts: the opcode's extension */
} ag__encoding;

extern const ag__encoding ag__encodings[AG__CODES]; /* map 0: it takes more than one instruction */

#endif
#endif
