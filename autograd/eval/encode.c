/* encode -- x86-64 machine code with AVX2, and the loop around it
 *
 * The code follows the System V calling convention. General registers: rdi is n, and later the rest of it; rsi the
 * table of slots; rdx the table of attributes, in the loop the index of the vector's first element; rax and rcx
 * scratch; the others hold addresses of slots. Vector register 15 is scratch. The last, partial vector is loaded and
 * stored through a mask, or by way of the frame for bools, which masks do not support.
 *
 * Opcodes: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2. */
#include "autograd/eval/encode.h"

#if AG__X86_64

#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, SCRATCH = 15 };
enum { MASK = 0, WIDE_MASK = 32, BOOLS = 64 }; /* in the frame */
enum { MASKS = 7 };                            /* mask registers 1 to 7; 0 means no mask */

typedef struct writer {
    const ag__machine *m;
    uint8_t *to;
    size_t at, room;
    int vector;           /* its number in a round */
    bool tail;            /* less than a vector */
    int8_t masked[MASKS]; /* the vector register whose nonzero lanes a mask register marks; −1: none */
    int next_mask;
    uint16_t has_mask; /* a bit for each vector register that a mask register may mark */
} writer;

/* ---- Bytes ---- */

static void byte(writer *w, unsigned b) {
    if (w->at < w->room) w->to[w->at] = (uint8_t)b;
    w->at++;
}

static void bytes(writer *w, int n, const char *b) {
    for (int i = 0; i < n; i++) byte(w, (unsigned char)b[i]);
}

static void word(writer *w, int64_t value) {
    for (int i = 0; i < 4; i++) byte(w, (unsigned)(value >> 8 * i) & 0xff);
}

/* ---- Operands ---- */

typedef struct operand {
    int reg;   /* −1: memory */
    int base;  /* −1: the pool */
    int index; /* −1: none */
    int scale; /* logarithm */
    int32_t offset;
} operand;

static operand in_register(int reg) { return (operand){.reg = reg, .index = -1}; }
static operand in_pool(int32_t at) { return (operand){-1, -1, -1, 0, at}; }
static operand at_base(int base, int32_t offset) { return (operand){-1, base, -1, 0, offset}; }
static operand in_frame(int32_t at) { return at_base(RSP, at); }

/* The ModRM byte with its SIB byte and offset; `trailing` bytes of the instruction follow. A short offset takes a
 * byte. */
static void modrm(writer *w, int reg, operand o, int trailing, bool short_offset) {
    unsigned r = (unsigned)(reg & 7) << 3;
    if (o.reg >= 0) {
        byte(w, 0xc0 | r | (unsigned)(o.reg & 7));
        return;
    }
    if (o.base < 0) { /* relative to the next instruction */
        byte(w, 0x05 | r);
        word(w, (int64_t)o.offset - (int64_t)w->at - 4 - trailing);
        return;
    }
    unsigned base = (unsigned)(o.base & 7), mode = short_offset && o.offset >= -128 && o.offset < 128 ? 0x40 : 0x80;
    if (o.offset == 0 && base != RBP) mode = 0;
    bool sib = o.index >= 0 || base == RSP;
    byte(w, mode | r | (sib ? 4u : base));
    if (sib) byte(w, (unsigned)o.scale << 6 | (o.index >= 0 ? (unsigned)(o.index & 7) : 4u) << 3 | base);
    if (mode == 0x40) byte(w, (unsigned)o.offset & 0xff);
    if (mode == 0x80) word(w, o.offset);
}

static unsigned high(int reg) { return reg >= 8; }

/* An instruction on 64-bit general registers. */
static void general(writer *w, unsigned opcode, int reg, operand o) {
    byte(w, 0x48 | high(reg) << 2 | high(o.index) << 1 | high(o.reg >= 0 ? o.reg : o.base));
    byte(w, opcode);
    modrm(w, reg, o, 0, true);
}

/* ---- Vector instructions ---- */

enum { MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3 };
enum { P_NONE, P_66, P_F3, P_F2, W1 = 1 << 7 }; /* W1: beside a prefix, not in the first map */

/* reg <- vvvv op o, of 256 bits if `full`. */
static void vex(writer *w, unsigned map, unsigned prefix, unsigned opcode, bool full, int reg, int vvvv, operand o,
                int trailing) {
    unsigned x = high(o.index), b = high(o.reg >= 0 ? o.reg : o.base);
    unsigned rest = (unsigned)(~vvvv & 15) << 3 | (unsigned)full << 2 | prefix;
    if (map == MAP_0F && !x && !b) {
        byte(w, 0xc5);
        byte(w, (high(reg) ^ 1) << 7 | rest);
    } else {
        byte(w, 0xc4);
        byte(w, (high(reg) ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | map);
        byte(w, rest);
    }
    byte(w, opcode);
    modrm(w, reg, o, trailing, true);
}

/* The same by AVX-512; with a mask, zeros where its bits are not set. Offsets of a byte would be scaled: they take a
 * word. */
static void evex(writer *w, unsigned prefix, unsigned opcode, bool full, bool wide, int reg, int vvvv, operand o,
                 int mask, int trailing) {
    unsigned x = high(o.index), b = high(o.reg >= 0 ? o.reg : o.base);
    byte(w, 0x62);
    byte(w, (high(reg) ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | 1 << 4 | MAP_0F);
    byte(w, (unsigned)wide << 7 | (unsigned)(~vvvv & 15) << 3 | 1 << 2 | prefix);
    byte(w, (unsigned)(mask > 0) << 7 | (unsigned)full << 5 | 1 << 3 | (unsigned)mask);
    byte(w, opcode);
    modrm(w, reg, o, trailing, false);
}

enum form { UNARY, BINARY, SHIFT, SELECT };

/* How codes are encoded; opcode[1] and prefix[1] for elements of 64 bits. */
typedef struct encoding {
    uint8_t form, map, prefix[2], opcode[2];
    bool immediate;
    uint8_t value; /* of the immediate byte; shifts: the opcode's extension */
} encoding;

static const encoding encodings[AG__CODES] = {
    [AG_TRACE_ADD] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x58, 0x58}, false, 0},
    [AG_TRACE_SUB] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x5c, 0x5c}, false, 0},
    [AG_TRACE_MUL] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x59, 0x59}, false, 0},
    [AG_TRACE_DIV] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x5e, 0x5e}, false, 0},
    [AG_TRACE_MAX] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x5f, 0x5f}, false, 0},
    [AG_TRACE_MIN] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x5d, 0x5d}, false, 0},
    [AG_TRACE_SQRT] = {UNARY, MAP_0F, {P_NONE, P_66}, {0x51, 0x51}, false, 0},
    [AG_TRACE_ROUND] = {UNARY, MAP_0F3A, {P_66, P_66}, {0x08, 0x09}, true, 8},
    [AG_TRACE_LESS] = {BINARY, MAP_0F, {P_NONE, P_66}, {0xc2, 0xc2}, true, 0x11},
    [AG_TRACE_LESS_EQUAL] = {BINARY, MAP_0F, {P_NONE, P_66}, {0xc2, 0xc2}, true, 0x12},
    [AG_TRACE_EQUAL] = {BINARY, MAP_0F, {P_NONE, P_66}, {0xc2, 0xc2}, true, 0x00},
    [AG_TRACE_NOT_EQUAL] = {BINARY, MAP_0F, {P_NONE, P_66}, {0xc2, 0xc2}, true, 0x04},
    [AG__SELECT] = {SELECT, MAP_0F3A, {P_66, P_66}, {0x4a, 0x4b}, true, 0},
    [AG_TRACE_AND] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x54, 0x54}, false, 0},
    [AG_TRACE_OR] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x56, 0x56}, false, 0},
    [AG_TRACE_XOR] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x57, 0x57}, false, 0},
    [AG_TRACE_BITS_ADD] = {BINARY, MAP_0F, {P_66, P_66}, {0xfe, 0xd4}, false, 0},
    [AG_TRACE_BITS_SUB] = {BINARY, MAP_0F, {P_66, P_66}, {0xfa, 0xfb}, false, 0},
    [AG__SHIFT_LEFT] = {SHIFT, MAP_0F, {P_66, P_66}, {0x72, 0x73}, true, 6},
    [AG__SHIFT_RIGHT] = {SHIFT, MAP_0F, {P_66, P_66}, {0x72, 0x73}, true, 2},
    [AG_TRACE_INTEGER] = {UNARY, MAP_0F, {P_NONE, P_NONE}, {0x5b, 0x5b}, false, 0},
    [AG_TRACE_STRONG_MUL] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x59, 0x59}, false, 0},
    [AG_TRACE_STRONG_DIV] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x5e, 0x5e}, false, 0},
    [AG__AND_NOT] = {BINARY, MAP_0F, {P_NONE, P_66}, {0x55, 0x55}, false, 0},
    [AG__COPY] = {UNARY, MAP_0F, {P_NONE, P_66}, {0x10, 0x10}, false, 0},
    [AG__WIDEN] = {UNARY, MAP_0F, {P_NONE, P_NONE}, {0x5a, 0x5a}, false, 0},
    [AG__NARROW] = {UNARY, MAP_0F, {P_66, P_66}, {0x5a, 0x5a}, false, 0},
    [AG__WIDEN_TRUTH] = {UNARY, MAP_0F38, {P_66, P_66}, {0x25, 0x25}, false, 0},
};

/* Whether vectors of such elements fill 256 bits. */
static bool full(const writer *w, bool wide) { return wide || w->m->lanes == 8; }

static void move_in(writer *w, bool whole, int y, operand from) { vex(w, MAP_0F, P_NONE, 0x10, whole, y, 0, from, 0); }
static void move_out(writer *w, bool whole, int a, operand to) { vex(w, MAP_0F, P_NONE, 0x11, whole, a, 0, to, 0); }

/* ---- Slots ---- */

static int log_bytes(const writer *w, int slot) {
    int dtype = w->m->slot[slot].dtype;
    return dtype == AG_BOOL ? 0 : dtype == AG_F32 ? 2 : 3;
}

/* The register with a slot's address; rax if it has none of its own. */
static int address(writer *w, int slot) {
    if (w->m->base[slot] >= 0) return w->m->base[slot];
    general(w, 0x8b, RAX, at_base(RSI, 8 * slot));
    return RAX;
}

static operand element(writer *w, const ag__asm *i) {
    int scale = log_bytes(w, i->at), index = RDX, at = (w->vector + i->copy) * w->m->lanes;
    if (w->m->slot[i->at].lanes) {
        bytes(w, 4, "\x89\xd1\x83\xe1"); /* mov ecx, edx; and ecx, AG__LANES − 1 */
        byte(w, AG__LANES - 1);
        index = RCX;
        at %= AG__LANES;
    }
    return (operand){-1, address(w, i->at), index, scale, at << scale};
}

/* Copy rdi bytes between a slot and the frame. */
static void copy_bools(writer *w, const ag__asm *i, bool in) {
    operand o = element(w, i);
    bytes(w, 2, "\x57\x56"); /* push rdi, push rsi */
    general(w, 0x8d, in ? RSI : RDI, o);
    if (in) bytes(w, 2, "\x89\xf9"); /* mov ecx, edi */
    else general(w, 0x8b, RCX, in_frame(8));
    general(w, 0x8d, in ? RDI : RSI, in_frame(BOOLS + 16));
    bytes(w, 4, "\xf3\xa4\x5e\x5f"); /* rep movsb, pop rsi, pop rdi */
}

/* ---- Loads and stores ---- */

static void truth_from_bytes(writer *w, bool wide, int y, operand from) {
    vex(w, MAP_0F38, P_66, wide ? 0x32 : 0x31, full(w, wide), y, 0, from, 0);
    vex(w, wide ? MAP_0F38 : MAP_0F, P_66, wide ? 0x37 : 0x66, full(w, wide), y, y, in_pool(AG__POOL_ZEROS), 0);
}

static void load_element(writer *w, const ag__asm *i, int y) {
    if (i->truth && w->tail) copy_bools(w, i, true);
    if (w->tail && !i->truth) move_in(w, true, y, in_frame(i->wide ? WIDE_MASK : MASK));
    operand o = i->truth && w->tail ? in_frame(BOOLS) : element(w, i);
    if (i->truth) truth_from_bytes(w, i->wide, y, o);
    else if (w->tail) vex(w, MAP_0F38, P_66, i->wide ? 0x2d : 0x2c, full(w, i->wide), y, y, o, 0);
    else move_in(w, full(w, i->wide), y, o);
}

static void load_single(writer *w, bool wide, bool truth, int y, int slot) {
    general(w, 0x8b, RAX, at_base(RSI, 8 * slot));
    vex(w, MAP_0F38, P_66, truth ? 0x78 : wide ? 0x19 : 0x18, true, y, 0, at_base(RAX, 0), 0);
    if (truth) vex(w, wide ? MAP_0F38 : MAP_0F, P_66, wide ? 0x37 : 0x66, true, y, y, in_pool(AG__POOL_ZEROS), 0);
}

static void load_attribute(writer *w, bool wide, int y, int attributes, int k) {
    general(w, 0x8b, RAX, at_base(RDX, 8 * attributes));
    if (wide) {
        vex(w, MAP_0F38, P_66, 0x19, true, y, 0, at_base(RAX, 8 * k), 0);
    } else {
        vex(w, MAP_0F, P_F2, 0x5a, false, SCRATCH, SCRATCH, at_base(RAX, 8 * k), 0);
        vex(w, MAP_0F38, P_66, 0x18, true, y, 0, in_register(SCRATCH), 0);
    }
}

static void load(writer *w, const ag__asm *i, int y) {
    switch (i->place) {
    case AG__IN_FRAME: move_in(w, true, y, in_frame(i->at)); break;
    case AG__IN_POOL: move_in(w, true, y, in_pool(i->at)); break;
    case AG__IN_SLOT: load_element(w, i, y); break;
    case AG__IN_SINGLE: load_single(w, i->wide, i->truth, y, i->at); break;
    default: load_attribute(w, i->wide, y, i->at, i->k); break;
    }
}

/* Bytes 0 and 1 from a truth value, packed into the scratch register's low end: words, bytes (twice for elements of
 * 64 bits, whose halves are words), and |−1| = 1. */
static void bytes_from_truth(writer *w, bool wide, int a) {
    int upper = a;
    if (full(w, wide)) {
        vex(w, MAP_0F3A, P_66, 0x39, true, a, 0, in_register(SCRATCH), 1); /* vextracti128 */
        byte(w, 1);
        upper = SCRATCH;
    }
    vex(w, MAP_0F, P_66, 0x6b, false, SCRATCH, a, in_register(upper), 0); /* vpackssdw */
    for (int i = 0; i < 1 + wide; i++)
        vex(w, MAP_0F, P_66, 0x63, false, SCRATCH, SCRATCH, in_register(SCRATCH), 0); /* vpacksswb */
    vex(w, MAP_0F38, P_66, 0x1c, false, SCRATCH, 0, in_register(SCRATCH), 0);         /* vpabsb */
}

static void store_bytes(writer *w, operand to) {
    if (w->m->lanes == 8) vex(w, MAP_0F, P_66, 0xd6, false, SCRATCH, 0, to, 0); /* vmovq */
    else vex(w, MAP_0F, P_66, 0x7e, false, SCRATCH, 0, to, 0);                  /* vmovd */
}

static void store(writer *w, const ag__asm *i) {
    if (i->truth) bytes_from_truth(w, i->wide, i->a);
    else if (w->tail) move_in(w, true, SCRATCH, in_frame(i->wide ? WIDE_MASK : MASK));
    operand o = i->truth && w->tail ? in_frame(BOOLS) : element(w, i);
    if (i->truth) store_bytes(w, o);
    else if (w->tail) vex(w, MAP_0F38, P_66, i->wide ? 0x2f : 0x2e, full(w, i->wide), i->a, SCRATCH, o, 0);
    else move_out(w, full(w, i->wide), i->a, o);
    if (i->truth && w->tail) copy_bools(w, i, false);
}

/* After the loop: store the single element of a slot, by way of the scratch register. */
static void store_single(writer *w, const ag__asm *i) {
    move_in(w, true, SCRATCH, i->place == AG__IN_POOL ? in_pool(i->at) : in_frame(i->at));
    general(w, 0x8b, RAX, at_base(RSI, 8 * i->k));
    if (i->truth) {
        vex(w, MAP_0F38, P_66, 0x1c, false, SCRATCH, 0, in_register(SCRATCH), 0);
        vex(w, MAP_0F3A, P_66, 0x14, false, SCRATCH, 0, at_base(RAX, 0), 1); /* vpextrb */
        byte(w, 0);
    } else {
        vex(w, MAP_0F, i->wide ? P_F2 : P_F3, 0x11, false, SCRATCH, 0, at_base(RAX, 0), 0);
    }
}

/* ---- Arithmetic ---- */

static operand last_operand(writer *w, const ag__asm *i) {
    if (i->b >= 0) return in_register(i->b);
    if (i->place == AG__IN_FRAME) return in_frame(i->at);
    if (i->place == AG__IN_POOL) return in_pool(i->at);
    if (!w->tail) return element(w, i);
    load(w, i, SCRATCH);
    return in_register(SCRATCH);
}

static void narrow_truth(writer *w, const ag__asm *i) {
    vex(w, MAP_0F3A, P_66, 0x39, true, i->b, 0, in_register(SCRATCH), 1);
    byte(w, 1);
    vex(w, MAP_0F, P_NONE, 0xc6, false, i->y, i->b, in_register(SCRATCH), 1); /* vshufps: the even halves */
    byte(w, 0x88);
}

static void compute(writer *w, const ag__asm *i) {
    const encoding *e = &encodings[i->code];
    bool whole = full(w, i->wide) || i->code == AG__WIDEN || i->code == AG__WIDEN_TRUTH;
    operand b = last_operand(w, i);
    int reg = e->form == SHIFT ? e->value : i->y;
    int vvvv = e->form == SHIFT ? i->y : e->form == UNARY ? 0 : i->a;
    vex(w, e->map, e->prefix[i->wide], e->opcode[i->wide], whole, reg, vvvv, b, e->immediate);
    if (e->form == SHIFT) byte(w, i->k);
    else if (e->form == SELECT) byte(w, (unsigned)i->k << 4);
    else if (e->immediate) byte(w, e->value);
}

/* The mask register that marks where vector register a is not 0. */
static int mask_of(writer *w, const ag__asm *i, bool whole) {
    for (int k = 0; k < MASKS; k++)
        if (w->masked[k] == i->a) return k + 1;
    int k = w->next_mask;
    w->next_mask = (k + 1) % MASKS;
    w->masked[k] = i->a;
    w->has_mask |= (uint16_t)(1u << i->a);
    evex(w, i->wide ? P_66 : P_NONE, 0xc2, whole, i->wide, k + 1, i->a, in_pool(AG__POOL_ZEROS), 0, 1);
    byte(w, encodings[AG_TRACE_NOT_EQUAL].value);
    return k + 1;
}

static void forget_mask(writer *w, int reg) {
    if (!(w->has_mask >> reg & 1)) return;
    w->has_mask &= (uint16_t) ~(1u << reg);
    for (int k = 0; k < MASKS; k++)
        if (w->masked[k] == reg) w->masked[k] = -1;
}

static void forget_masks(writer *w) {
    w->has_mask = 0;
    memset(w->masked, -1, sizeof w->masked);
}

static void compute_fma(writer *w, const ag__asm *i) {
    vex(w, MAP_0F38, P_66 | (i->wide ? W1 : 0), i->k, full(w, i->wide), i->y, i->a, last_operand(w, i), 0);
}

/* y <- a op b where a is not 0, 0 elsewhere. */
static void compute_strong(writer *w, const ag__asm *i) {
    const encoding *e = &encodings[i->code], *both = &encodings[AG_TRACE_AND];
    bool whole = full(w, i->wide);
    unsigned prefix = e->prefix[i->wide], opcode = e->opcode[i->wide];
    operand b = last_operand(w, i);
    if (w->m->masks) {
        evex(w, prefix, opcode, whole, i->wide, i->y, i->a, b, mask_of(w, i, whole), 0);
        return;
    }
    vex(w, MAP_0F, prefix, opcode, whole, SCRATCH, i->a, b, 0);
    vex(w, MAP_0F, prefix, 0xc2, whole, i->y, i->a, in_pool(AG__POOL_ZEROS), 1);
    byte(w, encodings[AG_TRACE_NOT_EQUAL].value);
    vex(w, MAP_0F, prefix, both->opcode[i->wide], whole, i->y, i->y, in_register(SCRATCH), 0);
}

/* The register with a vector's part of a fold's lanes. */
static int8_t lane_register(const writer *w, int fold, int vector) {
    int vectors = AG__LANES / w->m->lanes;
    return (int8_t)(AG__REGISTERS - (w->m->folds - fold) * vectors + vector);
}

static int8_t actual(const writer *w, int8_t reg) {
    return reg < AG__FOLD_REGISTER ? reg : lane_register(w, reg - AG__FOLD_REGISTER, w->vector);
}

static void instruction(writer *w, const ag__asm *from) {
    ag__asm i = *from;
    i.y = actual(w, i.y), i.a = actual(w, i.a), i.b = actual(w, i.b);
    switch (i.code) {
    case AG__LOAD: load(w, &i, i.y); break;
    case AG__SPILL: move_out(w, true, i.a, in_frame(i.at)); break;
    case AG__STORE: store(w, &i); break;
    case AG__NARROW_TRUTH: narrow_truth(w, &i); break;
    case AG_TRACE_FMA: compute_fma(w, &i); break;
    case AG_TRACE_STRONG_MUL:
    case AG_TRACE_STRONG_DIV: compute_strong(w, &i); break;
    default: compute(w, &i); break;
    }
    if (i.code != AG__SPILL && i.code != AG__STORE) forget_mask(w, i.y);
}

/* ---- The loop ---- */

/* Slots get the remaining general registers, in order of occurrence; returns how many do. */
static int assign_bases(const ag__machine *m) {
    static const int8_t free_registers[] = {8, 9, 10, 11, RBX, 12, 13, 14, 15};
    int used = 0;
    for (int s = 0; s < m->slots; s++) m->base[s] = -1;
    for (int i = m->before; i < m->before + m->ahead + m->loop && used < (int)sizeof free_registers; i++) {
        const ag__asm *in = &m->instruction[i];
        bool slot = in->code == AG__STORE || (in->b < 0 && in->place == AG__IN_SLOT);
        if (slot && m->base[in->at] < 0) m->base[in->at] = free_registers[used++];
    }
    return used;
}

static void run(writer *w, int first, int count) {
    forget_masks(w);
    for (int i = 0; i < count; i++) instruction(w, &w->m->instruction[first + i]);
}

static void pool(writer *w) {
    for (int i = 0; i < AG__VECTOR; i++) byte(w, 0xff);
    for (int i = 0; i < AG__VECTOR; i++) byte(w, 0);
    for (int i = 0; i < w->m->constants; i++)
        for (int k = 0; k < AG__VECTOR / 4; k++)
            word(w, (int64_t)(w->m->pool[i] >> (w->m->pool_wide[i] ? k % 2 * 32 : 0) & 0xffffffff));
}

enum { SAVED = 5 }; /* with this many addresses of slots rbx and r12 to r15 must be saved */

static void enter(writer *w, int used) {
    bytes(w, 4, "\xf3\x0f\x1e\xfa");         /* endbr64 */
    bytes(w, 6, "\x48\x85\xff\x7f\x01\xc3"); /* test rdi, rdi; if not positive, ret */
    bytes(w, 4, "\x55\x48\x89\xe5");         /* push rbp; mov rbp, rsp */
    if (used >= SAVED) bytes(w, 9, "\x53\x41\x54\x41\x55\x41\x56\x41\x57");
    bytes(w, 4, "\x48\x83\xe4\xe0"); /* and rsp, −32 */
    bytes(w, 3, "\x48\x81\xec");     /* sub rsp, … */
    word(w, w->m->frame);
    for (int s = 0; s < w->m->slots; s++)
        if (w->m->base[s] >= 0) general(w, 0x8b, w->m->base[s], at_base(RSI, 8 * s));
}

static void leave(writer *w, int used) {
    bytes(w, 3, "\xc5\xf8\x77");                                                             /* vzeroupper */
    if (used >= SAVED) bytes(w, 13, "\x48\x8d\x65\xd8\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5b"); /* lea rsp, [rbp − 40] */
    else bytes(w, 3, "\x48\x89\xec");                                                        /* mov rsp, rbp */
    bytes(w, 2, "\x5d\xc3");
}

/* A jump if the flags say so; forward ones are completed by `here`. */
static size_t jump(writer *w, unsigned condition) {
    byte(w, 0x0f);
    byte(w, condition);
    word(w, 0);
    return w->at;
}

static void target(writer *w, size_t jump_end, size_t to) {
    size_t at = w->at;
    w->at = jump_end - 4;
    word(w, (int64_t)to - (int64_t)jump_end);
    w->at = at;
}

static void immediate(writer *w, const char *instruction3, int value) { /* add, sub or cmp with a small number */
    bytes(w, 3, instruction3);
    byte(w, (unsigned)value);
}

enum { JLE = 0x8e, JG = 0x8f };

/* Load the folds' lanes into their registers, or store them. */
static void move_lanes(writer *w, bool in) {
    int vectors = AG__LANES / w->m->lanes;
    for (int f = 0; f < w->m->folds; f++)
        for (int v = 0; v < vectors; v++) {
            int slot = w->m->fold_slot[f], base = address(w, slot);
            operand o = at_base(base, v * w->m->lanes << log_bytes(w, slot));
            (in ? move_in : move_out)(w, full(w, w->m->slot[slot].dtype == AG_F64), lane_register(w, f, v), o);
        }
}

/* A loop over `vectors` vectors a round, with the instructions from `first` on once for each vector, or for every
 * two, while so many elements are left. rdi is n before and after. */
static void rounds(writer *w, int first, int count, int vectors, int at_once, bool folds) {
    int step = vectors * w->m->lanes;
    immediate(w, "\x48\x83\xef", step); /* sub rdi, step */
    bytes(w, 3, "\x48\x39\xfa");        /* cmp rdx, rdi */
    size_t skip = jump(w, JG);
    if (folds) move_lanes(w, true);
    while (w->at % 16) byte(w, 0x90);
    size_t top = w->at;
    for (w->vector = 0; w->vector < vectors; w->vector += at_once) run(w, first, count);
    w->vector = 0;
    immediate(w, "\x48\x83\xc2", step); /* add rdx, step */
    bytes(w, 3, "\x48\x39\xfa");
    target(w, jump(w, JLE), top);
    if (folds) move_lanes(w, false);
    target(w, skip, w->at);
    immediate(w, "\x48\x83\xc7", step); /* add rdi, step */
}

/* The last, partial vector. */
static void rest(writer *w) {
    bytes(w, 3, "\x48\x29\xd7"); /* sub rdi, rdx */
    size_t skip = jump(w, JLE);
    general(w, 0x8d, RAX, in_pool(AG__POOL_ZEROS));
    bytes(w, 6, "\x48\x89\xf9\x48\xf7\xd9"); /* mov rcx, rdi; neg rcx */
    for (int wide = 0; wide < 2; wide++) {
        move_in(w, true, SCRATCH, (operand){-1, RAX, RCX, 2 + wide, 0});
        move_out(w, true, SCRATCH, in_frame(wide ? WIDE_MASK : MASK));
        if (w->m->lanes == 8) break;
    }
    w->tail = true;
    run(w, w->m->before + w->m->ahead, w->m->loop);
    w->tail = false;
    target(w, skip, w->at);
}

size_t ag__assemble(const ag__machine *m, uint8_t *to, size_t room, size_t *entry) {
    writer w = {.m = m, .to = to, .room = room};
    int used = assign_bases(m), ahead = m->before, loop = ahead + m->ahead;
    pool(&w);
    *entry = w.at;
    enter(&w, used);
    run(&w, 0, m->before);
    bytes(&w, 2, "\x31\xd2"); /* xor edx, edx */
    if (m->folds) rounds(&w, ahead, m->ahead, AG__LANES / m->lanes, 1, true);
    else if (m->ahead) rounds(&w, ahead, m->ahead, m->ways, m->ways, false);
    else rounds(&w, loop, m->loop, m->loop <= 6 ? 4 : 2, 1, false);
    rounds(&w, loop, m->loop, 1, 1, false);
    rest(&w);
    for (int i = 0; i < m->after; i++) store_single(&w, &m->instruction[loop + m->loop + i]);
    leave(&w, used);
    return w.at;
}

#endif
