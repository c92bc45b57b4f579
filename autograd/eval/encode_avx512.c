/* encode_avx512 -- vectors of 512 bits, by AVX-512 (F, BW, DQ and VL)
 *
 * Register 31 is scratch. A comparison's result is in a mask register, and becomes a vector only when an instruction
 * needs it as one: choices, products with zero, and bools in memory do not. Others get a mask register when a truth
 * value or the nonzero elements of a vector are first used as a mask. Mask register 7 has the elements of the last,
 * partial vector, of which no memory beyond is read or written. */
#include "autograd/eval/encode_x86.h"

#if AG__X86_64

#include <string.h>

enum { SCRATCH = 31, VECTOR = 64, TAIL = 7 };
enum { XMM, YMM, ZMM };                                       /* ag__length */
enum { BOOLS = 0, ZEROS = 16, CONSTANTS = 24, CONSTANT = 8 }; /* in the pool: 16 bytes of 1, 8 of 0, the constants */

/* ---- Encoding ---- */

typedef struct evex {
    uint8_t map, prefix, opcode, length;
    bool wide; /* W */
    int8_t reg, vvvv;
    uint8_t unit;     /* bytes that short offsets count in; 0: the whole vector */
    bool broadcast;   /* the operand is one element in memory, for all lanes */
    uint8_t mask;     /* 0: none */
    bool zeros;       /* where the mask has none; otherwise what was there */
    int8_t immediate; /* −1: none */
    ag__operand o;
} evex;

static unsigned bit(int number, int k) { return (unsigned)number >> k & 1; }

static void put(ag__writer *w, evex e) {
    const int rm = e.o.reg >= 0 ? e.o.reg : e.o.base < 0 ? 0 : e.o.base, index = e.o.index < 0 ? 0 : e.o.index;
    const unsigned x = e.o.reg >= 0 ? bit(rm, 4) : bit(index, 3);
    const int unit = e.broadcast ? e.wide ? 8 : 4 : e.unit ? e.unit : 16 << e.length;
    ag__put_byte(w, 0x62);
    ag__put_byte(w, (bit(e.reg, 3) ^ 1) << 7 | (x ^ 1) << 6 | (bit(rm, 3) ^ 1) << 5 | (bit(e.reg, 4) ^ 1) << 4 | e.map);
    ag__put_byte(w, (unsigned)e.wide << 7 | (unsigned)(~e.vvvv & 15) << 3 | 1 << 2 | e.prefix);
    ag__put_byte(w, (unsigned)e.zeros << 7 | (unsigned)e.length << 5 | (unsigned)e.broadcast << 4 |
                        (bit(e.vvvv, 4) ^ 1) << 3 | (unsigned)e.mask);
    ag__put_byte(w, e.opcode);
    ag__modrm(w, e.reg, e.o, e.immediate >= 0, unit);
    if (e.immediate >= 0) ag__put_byte(w, (unsigned)e.immediate);
}

static evex form(unsigned map, unsigned prefix, unsigned opcode, int length, bool wide, int reg, ag__operand o) {
    return (evex){.map = (uint8_t)map,
                  .prefix = (uint8_t)prefix,
                  .opcode = (uint8_t)opcode,
                  .length = (uint8_t)length,
                  .wide = wide,
                  .reg = (int8_t)reg,
                  .o = o,
                  .immediate = -1};
}

/* y <- op(a, b) of a code with an entry in the table. */
static evex coded(const ag__writer *w, int code, bool wide, int y, int a, ag__operand b) {
    const ag__encoding *c = &ag__encodings[code];
    evex e = form(c->map, c->prefix[wide], c->opcode[wide], ag__length(w, wide), wide, y, b);
    e.vvvv = (int8_t)a;
    if (c->immediate) e.immediate = (int8_t)c->value;
    return e;
}

static evex move(int length, bool wide, bool in, int reg, ag__operand o) {
    return form(AG__MAP_0F, wide ? AG__P_66 : AG__P_NONE, in ? 0x10 : 0x11, length, wide, reg, o);
}

static evex broadcast(bool wide, int reg, ag__operand o) {
    evex e = form(AG__MAP_0F38, AG__P_66, wide ? 0x19 : 0x18, ZMM, wide, reg, o);
    e.unit = wide ? 8 : 4;
    return e;
}

/* A move of 16 bytes. */
static evex move_bytes(bool in, int reg, ag__operand o) {
    return form(AG__MAP_0F, AG__P_F2, in ? 0x6f : 0x7f, XMM, false, reg, o);
}

/* A move of 8 bytes; the others become 0. */
static evex move_half(bool in, int reg, ag__operand o) {
    evex e = form(AG__MAP_0F, AG__P_66, in ? 0x6e : 0x7e, XMM, true, reg, o);
    e.unit = 8;
    return e;
}

static evex masked(evex e, int mask) {
    e.mask = (uint8_t)mask;
    e.zeros = mask > 0;
    return e;
}

/* An instruction on mask registers, of 16 bits. */
static void on_masks(ag__writer *w, unsigned opcode, int y, int a, int b) {
    ag__put_byte(w, 0xc5);
    ag__put_byte(w, 0x80 | (unsigned)(~a & 15) << 3 | (a ? 4u : 0u));
    ag__put_byte(w, opcode);
    ag__put_byte(w, 0xc0 | (unsigned)y << 3 | (unsigned)b);
}

enum { K_AND = 0x41, K_OR = 0x45, K_XOR = 0x47, K_NOT = 0x44, K_MOVE = 0x90 }; /* the last two have no a */

/* ---- What mask registers hold ---- */

static void begin(ag__writer *w) {
    w->has_mask = w->only_masked = 0, w->next_mask = 0;
    memset(w->masked, -1, sizeof w->masked);
}

static int number_of_mask(const ag__writer *w, int reg) {
    for (int k = 0; k < AG__MASKS; k++)
        if (w->masked[k] == reg) return k + 1;
    return 0;
}

/* Make the bits of a vector that is known by its mask only. */
static void need_vector(ag__writer *w, int reg) {
    if (!(w->only_masked >> reg & 1)) return;
    int k = number_of_mask(w, reg);
    bool wide = w->masked_wide[k - 1];
    w->only_masked &= ~(1u << reg);
    put(w, form(AG__MAP_0F38, AG__P_F3, 0x38, ag__length(w, wide), wide, reg, ag__in_register(k))); /* vpmovm2d or q */
}

static void forget_mask(ag__writer *w, int reg) {
    if (!(w->has_mask >> reg & 1)) return;
    w->has_mask &= ~(1u << reg);
    w->only_masked &= ~(1u << reg);
    w->masked[number_of_mask(w, reg) - 1] = -1;
}

/* A mask register for vector register `reg`, which has none: one that is free, or else one that was taken long ago. */
static int take_mask(ag__writer *w, int reg, bool wide) {
    int k = number_of_mask(w, -1) - 1;
    if (k < 0) {
        k = w->next_mask;
        w->next_mask = (k + 1) % AG__MASKS;
        need_vector(w, w->masked[k]);
        forget_mask(w, w->masked[k]);
    }
    w->masked[k] = (int8_t)reg;
    w->masked_wide[k] = wide;
    w->has_mask |= 1u << reg;
    return k + 1;
}

/* The mask register of result y, which is a truth value and not a vector yet. */
static int result_mask(ag__writer *w, int y, bool wide) {
    forget_mask(w, y);
    int k = take_mask(w, y, wide);
    w->only_masked |= 1u << y;
    return k;
}

/* The mask register that marks where vector register `reg` is not 0. */
static int mask_of(ag__writer *w, int reg, bool wide) {
    if (w->has_mask >> reg & 1) return number_of_mask(w, reg);
    int k = take_mask(w, reg, wide);
    evex e = coded(w, AG_TRACE_NOT_EQUAL, wide, k, reg, ag__in_pool(ZEROS));
    e.broadcast = true;
    put(w, e);
    return k;
}

static bool is_mask(const ag__writer *w, int reg) { return reg >= 0 && w->only_masked >> reg & 1; }

/* ---- Loads and stores ---- */

static ag__operand constant(int32_t number) { return ag__in_pool(CONSTANTS + CONSTANT * number); }

static const ag__operand later = {-1, -1, -1, 0, 0};

static int tail_mask(const ag__writer *w) { return w->tail ? TAIL : 0; }

/* The truth of bytes in vector register y. */
static void truth_of_bytes(ag__writer *w, int y, bool wide) {
    int k = result_mask(w, y, wide);
    evex e = form(AG__MAP_0F38, AG__P_66, 0x26, XMM, false, k, ag__in_register(y)); /* vptestmb */
    e.vvvv = (int8_t)y;
    put(w, e);
}

static void load_element(ag__writer *w, const ag__asm *i, int y) {
    ag__operand o = ag__slot_part(w, i);
    if (!i->truth) {
        put(w, masked(move(ag__length(w, i->wide), i->wide, true, y, o), tail_mask(w)));
        return;
    }
    put(w, w->tail || w->m->lanes == 16 ? masked(move_bytes(true, y, o), tail_mask(w)) : move_half(true, y, o));
    truth_of_bytes(w, y, i->wide);
}

static void load_single(ag__writer *w, bool wide, bool truth, int y, int slot) {
    ag__general(w, 0x8b, AG__RAX, ag__at_base(AG__RSI, 8 * slot));
    evex e = broadcast(wide, y, ag__at_base(AG__RAX, 0));
    if (truth) e.opcode = 0x78, e.length = XMM, e.wide = false, e.unit = 1; /* vpbroadcastb */
    put(w, e);
    if (!truth) return;
    truth_of_bytes(w, y, wide);
    need_vector(w, y); /* what is loaded before the loop may stay in its register throughout */
}

static void load_attribute(ag__writer *w, bool wide, int y, int attributes, int k) {
    ag__general(w, 0x8b, AG__RAX, ag__at_base(AG__RDX, 8 * attributes));
    if (wide) {
        put(w, broadcast(true, y, ag__at_base(AG__RAX, 8 * k)));
        return;
    }
    evex e = form(AG__MAP_0F, AG__P_F2, 0x5a, XMM, true, SCRATCH, ag__at_base(AG__RAX, 8 * k)); /* vcvtsd2ss */
    e.vvvv = SCRATCH, e.unit = 8;
    put(w, e);
    put(w, broadcast(false, y, ag__in_register(SCRATCH)));
}

static void load_whole_attribute(ag__writer *w, const ag__asm *i, int y) {
    ag__load_whole_attribute(w, i);
    evex e = broadcast(true, y, ag__in_register(AG__RCX));
    e.opcode = 0x7c; /* vpbroadcastq */
    put(w, e);
}

static void load(ag__writer *w, const ag__asm *i, int y) {
    forget_mask(w, y);
    switch (i->place) {
    case AG__IN_FRAME: put(w, move(ZMM, false, true, y, ag__in_frame(i->at))); break;
    case AG__IN_POOL: put(w, broadcast(i->wide, y, constant(i->at))); break;
    case AG__IN_SLOT: load_element(w, i, y); break;
    case AG__IN_LANES: put(w, move(ag__length(w, i->wide), i->wide, true, y, ag__lanes_part(w, i->at, i->k))); break;
    case AG__IN_SINGLE: load_single(w, i->wide, i->truth, y, i->at); break;
    case AG__IN_ATTRIBUTES_WHOLE: load_whole_attribute(w, i, y); break;
    default: load_attribute(w, i->wide, y, i->at, i->k); break;
    }
}

static void spill(ag__writer *w, const ag__asm *i) {
    need_vector(w, i->a);
    put(w, move(ZMM, false, false, i->a, ag__in_frame(i->at)));
}

static void store(ag__writer *w, const ag__asm *i) {
    evex e;
    if (i->truth) {
        put(w, masked(move_bytes(true, SCRATCH, ag__in_pool(BOOLS)), mask_of(w, i->a, i->wide)));
        ag__operand o = ag__slot_part(w, i);
        e = w->tail || w->m->lanes == 16 ? move_bytes(false, SCRATCH, o) : move_half(false, SCRATCH, o);
    } else {
        const int length = ag__length(w, i->wide);
        e = move(length, i->wide, false, i->a, ag__slot_part(w, i));
        if (w->m->slot[i->at].past && !w->tail) e.opcode = AG__STREAM;
        if (w->m->slot[i->at].lanes && w->tail) { /* they are read soon: a part of a vector would not be passed on */
            evex some = move(length, i->wide, true, SCRATCH, ag__in_register(i->a));
            some.mask = TAIL;
            put(w, move(length, i->wide, true, SCRATCH, e.o));
            put(w, some);
            put(w, move(length, i->wide, false, SCRATCH, e.o));
            return;
        }
    }
    e.mask = (uint8_t)tail_mask(w);
    put(w, e);
}

/* ---- Arithmetic ---- */

/* Read the last operand from where it is. A partial vector is loaded first, and so is one of an instruction under a
 * mask: that would not be asked for before the mask is known. */
static void set_operand(ag__writer *w, evex *e, const ag__asm *i, bool waits) {
    if (i->b >= 0) {
        need_vector(w, i->b);
        e->o = ag__in_register(i->b);
    } else if (i->place == AG__IN_FRAME) {
        e->o = ag__in_frame(i->at);
    } else if (i->place == AG__IN_POOL) {
        e->o = constant(i->at);
        e->broadcast = true;
    } else if (!w->tail && !waits) {
        e->o = ag__slot_part(w, i);
    } else {
        load(w, i, SCRATCH);
        e->o = ag__in_register(SCRATCH);
    }
}

static void set_last(ag__writer *w, evex *e, const ag__asm *i) { set_operand(w, e, i, false); }

static void compute(ag__writer *w, const ag__asm *i) {
    const int form = ag__encodings[i->code].form;
    if (form == AG__BINARY) need_vector(w, i->a);
    evex e = coded(w, i->code, i->wide, i->y, form == AG__BINARY ? i->a : 0, later);
    set_last(w, &e, i);
    if (form == AG__SHIFT) e.reg = (int8_t)ag__encodings[i->code].value, e.vvvv = i->y, e.immediate = (int8_t)i->k;
    if (i->code == AG__WIDEN) e.length = (uint8_t)ag__length(w, true), e.unit = (uint8_t)(16 << ag__length(w, false));
    forget_mask(w, i->y);
    put(w, e);
}

static void compute_fma(ag__writer *w, const ag__asm *i) {
    evex e = form(AG__MAP_0F38, AG__P_66, i->k, ag__length(w, i->wide), i->wide, i->y, later);
    e.vvvv = i->a;
    set_last(w, &e, i);
    forget_mask(w, i->y);
    put(w, e);
}

static void compute_rarely(ag__writer *w, const ag__asm *i) {
    const int k = mask_of(w, i->b, i->wide);
    need_vector(w, i->a);
    /* kmovb or kmovw eax, …: a mask's bits beyond the lanes may be anything */
    ag__put_bytes(w, 3, i->wide ? "\xc5\xf9\x93" : "\xc5\xf8\x93");
    ag__put_byte(w, 0xc0 | (unsigned)k);
    forget_mask(w, i->y);
    ag__put_rarely(w, i);
}

static void compare(ag__writer *w, const ag__asm *i) {
    evex e = coded(w, i->code, i->wide, 0, i->a, later);
    set_last(w, &e, i);
    e.reg = (int8_t)result_mask(w, i->y, i->wide);
    put(w, e);
}

/* As if the register were two of them side by side. */
static void turn(ag__writer *w, const ag__asm *i) {
    need_vector(w, i->b);
    forget_mask(w, i->y);
    evex e = form(AG__MAP_0F3A, AG__P_66, 0x03, ag__length(w, i->wide), i->wide, i->y, ag__in_register(i->b));
    e.vvvv = i->b, e.immediate = (int8_t)i->k; /* valignd, valignq */
    put(w, e);
}

static void finish(ag__writer *w, const ag__asm *i) {
    need_vector(w, i->a);
    evex e = move(XMM, i->wide, false, i->a, ag__single_part(w, i->at)); /* vmovss, vmovsd */
    e.prefix = i->wide ? AG__P_F2 : AG__P_F3, e.unit = i->wide ? 8 : 4;
    put(w, e);
}

/* y <- a op b where a is not 0, 0 elsewhere. */
static void compute_strong(ag__writer *w, const ag__asm *i) {
    evex e = coded(w, i->code, i->wide, i->y, i->a, later);
    set_operand(w, &e, i, true);
    e = masked(e, mask_of(w, i->a, i->wide));
    forget_mask(w, i->y);
    put(w, e);
}

/* y <- k ? b : a by lanes. */
static void blend(ag__writer *w, const ag__asm *i, int k, int a, evex e) {
    evex y = form(AG__MAP_0F38, AG__P_66, 0x65, ag__length(w, i->wide), i->wide, i->y, e.o);
    y.vvvv = (int8_t)a, y.mask = (uint8_t)k, y.broadcast = e.broadcast;
    forget_mask(w, i->y);
    put(w, y);
}

static void select(ag__writer *w, const ag__asm *i) {
    evex e = {0};
    need_vector(w, i->a);
    set_operand(w, &e, i, true);
    blend(w, i, mask_of(w, i->k, i->wide), i->a, e);
}

/* y <- b where a is, 0 elsewhere. */
static void keep_where(ag__writer *w, const ag__asm *i) {
    evex e = move(ag__length(w, i->wide), i->wide, true, i->y, later);
    set_operand(w, &e, i, true);
    if (e.broadcast) e = broadcast(i->wide, i->y, e.o), e.length = (uint8_t)ag__length(w, i->wide);
    e = masked(e, mask_of(w, i->a, i->wide));
    forget_mask(w, i->y);
    put(w, e);
}

/* y <- 0 where a is, b elsewhere. */
static void drop_where(ag__writer *w, const ag__asm *i) {
    int from = i->b < 0 ? SCRATCH : i->b;
    if (i->b < 0) load(w, i, SCRATCH);
    else need_vector(w, i->b);
    blend(w, i, mask_of(w, i->a, i->wide), from, (evex){.o = ag__in_pool(ZEROS), .broadcast = true});
}

static bool is_all_ones(const ag__writer *w, const ag__asm *i) {
    uint64_t all = i->wide ? UINT64_MAX : UINT32_MAX;
    return i->b < 0 && i->place == AG__IN_POOL && w->m->pool[i->at] == all;
}

/* Truth values are joined as masks if both are masks. */
static void bitwise(ag__writer *w, const ag__asm *i) {
    static const uint8_t opcode[] = {K_AND, K_OR, K_XOR};
    const bool by_mask = is_mask(w, i->a);
    if (by_mask && i->code != AG__AND_NOT && is_mask(w, i->b)) {
        int a = mask_of(w, i->a, i->wide), b = mask_of(w, i->b, i->wide);
        on_masks(w, opcode[i->code - AG_TRACE_AND], result_mask(w, i->y, i->wide), a, b);
    } else if (by_mask && i->code == AG_TRACE_XOR && is_all_ones(w, i)) {
        int a = mask_of(w, i->a, i->wide);
        on_masks(w, K_NOT, result_mask(w, i->y, i->wide), 0, a);
    } else if (by_mask && i->code == AG_TRACE_AND) {
        keep_where(w, i);
    } else if (is_mask(w, i->b) && i->code == AG_TRACE_AND) {
        ag__asm other = *i;
        other.a = i->b, other.b = i->a;
        keep_where(w, &other);
    } else if (by_mask && i->code == AG__AND_NOT) {
        drop_where(w, i);
    } else {
        compute(w, i);
    }
}

/* A mask is the same for elements of any width. */
static void convert_truth(ag__writer *w, const ag__asm *i) {
    int from = i->b;
    if (from < 0) load(w, i, from = i->y);
    int k = mask_of(w, from, i->wide);
    on_masks(w, K_MOVE, result_mask(w, i->y, !i->wide), 0, k);
}

static void instruction(ag__writer *w, const ag__asm *i) {
    switch (i->code) {
    case AG__LOAD: load(w, i, i->y); break;
    case AG__SPILL: spill(w, i); break;
    case AG__STORE: store(w, i); break;
    case AG__SELECT: select(w, i); break;
    case AG__WIDEN_TRUTH:
    case AG__NARROW_TRUTH: convert_truth(w, i); break;
    case AG__TURN: turn(w, i); break;
    case AG__START: put(w, move(ag__length(w, i->wide), i->wide, false, i->a, ag__lanes_part(w, i->at, i->k))); break;
    case AG__FINISH: finish(w, i); break;
    case AG_TRACE_FMA: compute_fma(w, i); break;
    case AG__RARELY: compute_rarely(w, i); break;
    case AG_TRACE_STRONG_MUL:
    case AG_TRACE_STRONG_DIV: compute_strong(w, i); break;
    case AG__WHOLE_EQUAL:
    case AG__WHOLE_GREATER:
    case AG_TRACE_LESS:
    case AG_TRACE_LESS_EQUAL:
    case AG_TRACE_EQUAL:
    case AG_TRACE_NOT_EQUAL: compare(w, i); break;
    case AG_TRACE_AND:
    case AG_TRACE_OR:
    case AG_TRACE_XOR:
    case AG__AND_NOT: bitwise(w, i); break;
    default: compute(w, i); break;
    }
}

/* ---- For the loop ---- */

static void pool(ag__writer *w) {
    for (int i = BOOLS; i < ZEROS; i++) ag__put_byte(w, 1);
    for (int i = ZEROS; i < CONSTANTS; i++) ag__put_byte(w, 0);
    for (int i = 0; i < w->m->constants; i++) {
        ag__put_word(w, (int64_t)(w->m->pool[i] & UINT32_MAX));
        ag__put_word(w, (int64_t)(w->m->pool[i] >> 32));
    }
}

static void move_lanes(ag__writer *w, bool in, bool wide, int reg, ag__operand o) {
    put(w, move(ag__length(w, wide), wide, in, reg, o));
}

static void begin_tail(ag__writer *w) {
    ag__put_bytes(w, 2, "\x89\xf9");             /* mov ecx, edi */
    ag__put_bytes(w, 5, "\xb8\xff\xff\xff\xff"); /* mov eax, −1 */
    ag__put_bytes(w, 4, "\xd3\xe0\xf7\xd0");     /* shl eax, cl; not eax */
    ag__put_bytes(w, 4, "\xc5\xf8\x92\xf8");     /* kmovw k7, eax */
}

static void masks(ag__writer *w, bool in, int32_t at) {
    for (unsigned k = 1; k <= TAIL; k++) {
        if (in) ag__general(w, 0x8b, AG__RAX, ag__in_frame(at + 8 * (int32_t)k));
        ag__put_bytes(w, 3, in ? "\xc5\xf8\x92" : "\xc5\xf8\x93"); /* kmovw */
        ag__put_byte(w, 0xc0 | (in ? k << 3 : k));
        if (!in) ag__general(w, 0x89, AG__RAX, ag__in_frame(at + 8 * (int32_t)k));
    }
}

static size_t assemble(const ag__machine *m, uint8_t *to, size_t room, size_t *entry) {
    static const ag__vectors vectors = {pool, begin, instruction, move_lanes, begin_tail, masks};
    return ag__assemble_x86(m, &vectors, to, room, entry);
}

static bool runs(void) { return ag__processor_has(AG__HAS_AVX512); }

const ag__isa ag__isa_avx512 = {"avx512", VECTOR, 31, 0, true, true, runs, assemble};

#endif
