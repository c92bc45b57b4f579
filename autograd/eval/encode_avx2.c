/* encode_avx2 -- vectors of 256 bits, by AVX2 and FMA
 *
 * Register 15 is scratch. The last, partial vector is loaded and stored through a mask of all bits or none in each
 * element, or by way of the frame for bools, which have no such masks. */
#include "autograd/eval/encode_x86.h"

#if AG__X86_64

enum { SCRATCH = 15, VECTOR = 32 };
enum { ONES = 0, ZEROS = VECTOR, CONSTANTS = 2 * VECTOR };                   /* in the pool */
enum { MASK = 0, WIDE_MASK = VECTOR, BOOLS = 2 * VECTOR, OWN = 3 * VECTOR }; /* in the frame */

static unsigned high(int reg) { return reg >= 8; }

enum { W1 = 1 << 7 }; /* beside a prefix, not in the first map */

/* reg <- vvvv op o, of 256 bits if `full`. */
static void vex(ag__writer *w, unsigned map, unsigned prefix, unsigned opcode, bool full, int reg, int vvvv,
                ag__operand o, int trailing) {
    unsigned x = high(o.index), b = high(o.reg >= 0 ? o.reg : o.base);
    unsigned rest = (unsigned)(~vvvv & 15) << 3 | (unsigned)full << 2 | prefix;
    if (map == AG__MAP_0F && !x && !b) {
        ag__put_byte(w, 0xc5);
        ag__put_byte(w, (high(reg) ^ 1) << 7 | rest);
    } else {
        ag__put_byte(w, 0xc4);
        ag__put_byte(w, (high(reg) ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | map);
        ag__put_byte(w, rest);
    }
    ag__put_byte(w, opcode);
    ag__modrm(w, reg, o, trailing, 1);
}

/* Whether vectors of such elements fill 256 bits. */
static bool full(const ag__writer *w, bool wide) { return ag__length(w, wide) > 0; }

static void move(ag__writer *w, bool in, bool whole, int reg, ag__operand o) {
    vex(w, AG__MAP_0F, AG__P_NONE, in ? 0x10 : 0x11, whole, reg, 0, o, 0);
}

static ag__operand constant(int32_t number) { return ag__in_pool(CONSTANTS + VECTOR * number); }

/* ---- Loads and stores ---- */

/* Copy rdi bytes between a slot and the frame. */
static void copy_bools(ag__writer *w, const ag__asm *i, bool in) {
    ag__operand o = ag__slot_part(w, i);
    ag__put_bytes(w, 2, "\x57\x56"); /* push rdi, push rsi */
    ag__general(w, 0x8d, in ? AG__RSI : AG__RDI, o);
    if (in) ag__put_bytes(w, 2, "\x89\xf9"); /* mov ecx, edi */
    else ag__general(w, 0x8b, AG__RCX, ag__in_frame(8));
    ag__general(w, 0x8d, in ? AG__RDI : AG__RSI, ag__in_frame(BOOLS + 16));
    ag__put_bytes(w, 4, "\xf3\xa4\x5e\x5f"); /* rep movsb, pop rsi, pop rdi */
}

static void truth_from_bytes(ag__writer *w, bool wide, int y, ag__operand from) {
    vex(w, AG__MAP_0F38, AG__P_66, wide ? 0x32 : 0x31, full(w, wide), y, 0, from, 0);
    vex(w, wide ? AG__MAP_0F38 : AG__MAP_0F, AG__P_66, wide ? 0x37 : 0x66, full(w, wide), y, y, ag__in_pool(ZEROS), 0);
}

static void load_element(ag__writer *w, const ag__asm *i, int y) {
    if (i->truth && w->tail) copy_bools(w, i, true);
    if (w->tail && !i->truth) move(w, true, true, y, ag__in_frame(i->wide ? WIDE_MASK : MASK));
    ag__operand o = i->truth && w->tail ? ag__in_frame(BOOLS) : ag__slot_part(w, i);
    if (i->truth) truth_from_bytes(w, i->wide, y, o);
    else if (w->tail) vex(w, AG__MAP_0F38, AG__P_66, i->wide ? 0x2d : 0x2c, full(w, i->wide), y, y, o, 0);
    else move(w, true, full(w, i->wide), y, o);
}

static void load_single(ag__writer *w, bool wide, bool truth, int y, int slot) {
    ag__general(w, 0x8b, AG__RAX, ag__at_base(AG__RSI, 8 * slot));
    vex(w, AG__MAP_0F38, AG__P_66, truth ? 0x78 : wide ? 0x19 : 0x18, true, y, 0, ag__at_base(AG__RAX, 0), 0);
    if (truth)
        vex(w, wide ? AG__MAP_0F38 : AG__MAP_0F, AG__P_66, wide ? 0x37 : 0x66, true, y, y, ag__in_pool(ZEROS), 0);
}

static void load_attribute(ag__writer *w, bool wide, int y, int attributes, int k) {
    ag__general(w, 0x8b, AG__RAX, ag__at_base(AG__RDX, 8 * attributes));
    if (wide) {
        vex(w, AG__MAP_0F38, AG__P_66, 0x19, true, y, 0, ag__at_base(AG__RAX, 8 * k), 0);
    } else {
        vex(w, AG__MAP_0F, AG__P_F2, 0x5a, false, SCRATCH, SCRATCH, ag__at_base(AG__RAX, 8 * k), 0);
        vex(w, AG__MAP_0F38, AG__P_66, 0x18, true, y, 0, ag__in_register(SCRATCH), 0);
    }
}

static void load_whole_attribute(ag__writer *w, const ag__asm *i, int y) {
    ag__load_whole_attribute(w, i);
    ag__put_bytes(w, 5, "\xc4\x61\xf9\x6e\xf9");                                   /* vmovq xmm15, rcx */
    vex(w, AG__MAP_0F38, AG__P_66, 0x59, true, y, 0, ag__in_register(SCRATCH), 0); /* vpbroadcastq */
}

static void load(ag__writer *w, const ag__asm *i, int y) {
    switch (i->place) {
    case AG__IN_FRAME: move(w, true, true, y, ag__in_frame(i->at)); break;
    case AG__IN_POOL: move(w, true, true, y, constant(i->at)); break;
    case AG__IN_SLOT: load_element(w, i, y); break;
    case AG__IN_LANES: move(w, true, full(w, i->wide), y, ag__lanes_part(w, i->at, i->k)); break;
    case AG__IN_SINGLE: load_single(w, i->wide, i->truth, y, i->at); break;
    case AG__IN_ATTRIBUTES_WHOLE: load_whole_attribute(w, i, y); break;
    default: load_attribute(w, i->wide, y, i->at, i->k); break;
    }
}

/* Bytes 0 and 1 from a truth value, packed into the scratch register's low end: words, bytes (twice for elements of
 * 64 bits, whose halves are words), and |−1| = 1. */
static void bytes_from_truth(ag__writer *w, bool wide, int a) {
    int upper = a;
    if (full(w, wide)) {
        vex(w, AG__MAP_0F3A, AG__P_66, 0x39, true, a, 0, ag__in_register(SCRATCH), 1); /* vextracti128 */
        ag__put_byte(w, 1);
        upper = SCRATCH;
    }
    vex(w, AG__MAP_0F, AG__P_66, 0x6b, false, SCRATCH, a, ag__in_register(upper), 0); /* vpackssdw */
    for (int i = 0; i < 1 + wide; i++)
        vex(w, AG__MAP_0F, AG__P_66, 0x63, false, SCRATCH, SCRATCH, ag__in_register(SCRATCH), 0); /* vpacksswb */
    vex(w, AG__MAP_0F38, AG__P_66, 0x1c, false, SCRATCH, 0, ag__in_register(SCRATCH), 0);         /* vpabsb */
}

static void store_bytes(ag__writer *w, ag__operand to) {
    if (w->m->lanes == 8) vex(w, AG__MAP_0F, AG__P_66, 0xd6, false, SCRATCH, 0, to, 0); /* vmovq */
    else vex(w, AG__MAP_0F, AG__P_66, 0x7e, false, SCRATCH, 0, to, 0);                  /* vmovd */
}

static void store(ag__writer *w, const ag__asm *i) {
    if (i->truth) bytes_from_truth(w, i->wide, i->a);
    else if (w->tail) move(w, true, true, SCRATCH, ag__in_frame(i->wide ? WIDE_MASK : MASK));
    ag__operand o = i->truth && w->tail ? ag__in_frame(BOOLS) : ag__slot_part(w, i);
    if (i->truth) store_bytes(w, o);
    else if (w->tail) vex(w, AG__MAP_0F38, AG__P_66, i->wide ? 0x2f : 0x2e, full(w, i->wide), i->a, SCRATCH, o, 0);
    else if (w->m->slot[i->at].past) vex(w, AG__MAP_0F, AG__P_NONE, AG__STREAM, full(w, i->wide), i->a, 0, o, 0);
    else move(w, false, full(w, i->wide), i->a, o);
    if (i->truth && w->tail) copy_bools(w, i, false);
}

/* ---- Arithmetic ---- */

static ag__operand last_operand(ag__writer *w, const ag__asm *i) {
    if (i->b >= 0) return ag__in_register(i->b);
    if (i->place == AG__IN_FRAME) return ag__in_frame(i->at);
    if (i->place == AG__IN_POOL) return constant(i->at);
    if (!w->tail) return ag__slot_part(w, i);
    load(w, i, SCRATCH);
    return ag__in_register(SCRATCH);
}

static void select(ag__writer *w, const ag__asm *i) {
    vex(w, AG__MAP_0F3A, AG__P_66, i->wide ? 0x4b : 0x4a, full(w, i->wide), i->y, i->a, last_operand(w, i), 1);
    ag__put_byte(w, (unsigned)i->k << 4);
}

static void widen_truth(ag__writer *w, const ag__asm *i) {
    vex(w, AG__MAP_0F38, AG__P_66, 0x25, true, i->y, 0, last_operand(w, i), 0); /* vpmovsxdq */
}

static void narrow_truth(ag__writer *w, const ag__asm *i) {
    vex(w, AG__MAP_0F3A, AG__P_66, 0x39, true, i->b, 0, ag__in_register(SCRATCH), 1);
    ag__put_byte(w, 1);
    vex(w, AG__MAP_0F, AG__P_NONE, 0xc6, false, i->y, i->b, ag__in_register(SCRATCH), 1); /* vshufps: the even halves */
    ag__put_byte(w, 0x88);
}

/* Half of a vector's lanes, of those of half a vector, or of a quarter change places with the other half. */
static void turn(ag__writer *w, const ag__asm *i) {
    const int bytes = i->k * (i->wide ? 8 : 4);
    const ag__operand b = ag__in_register(i->b);
    if (bytes == 16) vex(w, AG__MAP_0F3A, AG__P_66, 0x06, true, i->y, i->b, b, 1); /* vperm2f128 */
    else vex(w, AG__MAP_0F3A, AG__P_66, 0x04, full(w, i->wide), i->y, 0, b, 1);    /* vpermilps */
    ag__put_byte(w, bytes == 16 ? 0x01 : bytes == 8 ? 0x4e : 0xb1);
}

static void finish(ag__writer *w, const ag__asm *i) { /* vmovss, vmovsd */
    vex(w, AG__MAP_0F, i->wide ? AG__P_F2 : AG__P_F3, 0x11, false, i->a, 0, ag__single_part(w, i->at), 0);
}

static void compute_fma(ag__writer *w, const ag__asm *i) {
    unsigned prefix = AG__P_66 | (i->wide ? W1 : 0);
    vex(w, AG__MAP_0F38, prefix, i->k, full(w, i->wide), i->y, i->a, last_operand(w, i), 0);
}

/* y <- a op b where a is not 0, 0 elsewhere. */
static void compute_strong(ag__writer *w, const ag__asm *i) {
    const ag__encoding *e = &ag__encodings[i->code], *unequal = &ag__encodings[AG_TRACE_NOT_EQUAL],
                       *both = &ag__encodings[AG_TRACE_AND];
    bool whole = full(w, i->wide);
    unsigned prefix = e->prefix[i->wide];
    vex(w, AG__MAP_0F, prefix, e->opcode[i->wide], whole, SCRATCH, i->a, last_operand(w, i), 0);
    vex(w, AG__MAP_0F, prefix, unequal->opcode[i->wide], whole, i->y, i->a, ag__in_pool(ZEROS), 1);
    ag__put_byte(w, unequal->value);
    vex(w, AG__MAP_0F, prefix, both->opcode[i->wide], whole, i->y, i->y, ag__in_register(SCRATCH), 0);
}

static void compute_rarely(ag__writer *w, const ag__asm *i) {
    ag__operand truth = ag__in_register(i->b); /* vmovmskps, vmovmskpd */
    vex(w, AG__MAP_0F, i->wide ? AG__P_66 : AG__P_NONE, 0x50, full(w, i->wide), AG__RAX, 0, truth, 0);
    ag__put_rarely(w, i);
}

static void compute(ag__writer *w, const ag__asm *i) {
    const ag__encoding *e = &ag__encodings[i->code];
    bool whole = full(w, i->wide) || i->code == AG__WIDEN;
    ag__operand b = last_operand(w, i);
    int reg = e->form == AG__SHIFT ? e->value : i->y;
    int vvvv = e->form == AG__SHIFT ? i->y : e->form == AG__UNARY ? 0 : i->a;
    vex(w, e->map, e->prefix[i->wide], e->opcode[i->wide], whole, reg, vvvv, b, e->immediate);
    if (e->form == AG__SHIFT) ag__put_byte(w, i->k);
    else if (e->immediate) ag__put_byte(w, e->value);
}

static void instruction(ag__writer *w, const ag__asm *i) {
    switch (i->code) {
    case AG__LOAD: load(w, i, i->y); break;
    case AG__SPILL: move(w, false, true, i->a, ag__in_frame(i->at)); break;
    case AG__STORE: store(w, i); break;
    case AG__SELECT: select(w, i); break;
    case AG__WIDEN_TRUTH: widen_truth(w, i); break;
    case AG__NARROW_TRUTH: narrow_truth(w, i); break;
    case AG__TURN: turn(w, i); break;
    case AG__START: move(w, false, full(w, i->wide), i->a, ag__lanes_part(w, i->at, i->k)); break;
    case AG__FINISH: finish(w, i); break;
    case AG_TRACE_FMA: compute_fma(w, i); break;
    case AG__RARELY: compute_rarely(w, i); break;
    case AG_TRACE_STRONG_MUL:
    case AG_TRACE_STRONG_DIV: compute_strong(w, i); break;
    default: compute(w, i); break;
    }
}

/* ---- For the loop ---- */

static void pool(ag__writer *w) {
    for (int i = 0; i < VECTOR; i++) ag__put_byte(w, 0xff);
    for (int i = 0; i < VECTOR; i++) ag__put_byte(w, 0);
    for (int i = 0; i < w->m->constants; i++)
        for (int k = 0; k < VECTOR / 4; k++)
            ag__put_word(w, (int64_t)(w->m->pool[i] >> (w->m->pool_wide[i] ? k % 2 * 32 : 0) & 0xffffffff));
}

static void begin(ag__writer *w) { (void)w; }

static void move_lanes(ag__writer *w, bool in, bool wide, int reg, ag__operand o) {
    move(w, in, full(w, wide), reg, o);
}

/* The masks, from the border between the pool's ones and zeros. */
static void begin_tail(ag__writer *w) {
    ag__general(w, 0x8d, AG__RAX, ag__in_pool(ZEROS));
    ag__put_bytes(w, 6, "\x48\x89\xf9\x48\xf7\xd9"); /* mov rcx, rdi; neg rcx */
    for (int wide = 0; wide < 2; wide++) {
        move(w, true, true, SCRATCH, (ag__operand){-1, AG__RAX, AG__RCX, (int8_t)(2 + wide), 0});
        move(w, false, true, SCRATCH, ag__in_frame(wide ? WIDE_MASK : MASK));
        if (w->m->lanes == 8) break;
    }
}

static void masks(ag__writer *w, bool in, int32_t at) { (void)w, (void)in, (void)at; }

static size_t assemble(const ag__machine *m, uint8_t *to, size_t room, size_t *entry) {
    static const ag__vectors vectors = {pool, begin, instruction, move_lanes, begin_tail, masks};
    return ag__assemble_x86(m, &vectors, to, room, entry);
}

static bool runs(void) { return ag__processor_has(AG__HAS_AVX2 | AG__HAS_FMA); }

const ag__isa ag__isa_avx2 = {"avx2", VECTOR, 15, OWN, false, false, runs, assemble};

#endif
