/* encode_x86 -- x86-64 machine code: its bytes, and the loop around vector instructions
 *
 * The code follows the System V calling convention. General registers: rdi is n, and later the rest of it; rsi the
 * table of slots; rdx the table of attributes, in the loop the index of the vector's first element; rax and rcx
 * scratch; the others hold addresses of slots. The last vector register is scratch.
 *
 * Opcodes: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2. */
#include "autograd/eval/encode_x86.h"

#if AG__X86_64

#include <string.h>

/* ---- Bytes ---- */

void ag__put_byte(ag__writer *w, unsigned b) {
    if (w->at < w->room) w->to[w->at] = (uint8_t)b;
    w->at++;
}

void ag__put_bytes(ag__writer *w, int n, const char *b) {
    for (int i = 0; i < n; i++) ag__put_byte(w, (unsigned char)b[i]);
}

void ag__put_word(ag__writer *w, int64_t value) {
    for (int i = 0; i < 4; i++) ag__put_byte(w, (unsigned)(value >> 8 * i) & 0xff);
}

/* ---- Operands ---- */

void ag__modrm(ag__writer *w, int reg, ag__operand o, int trailing, int unit) {
    unsigned r = (unsigned)(reg & 7) << 3;
    if (o.reg >= 0) {
        ag__put_byte(w, 0xc0 | r | (unsigned)(o.reg & 7));
        return;
    }
    if (o.base < 0) { /* relative to the next instruction */
        ag__put_byte(w, 0x05 | r);
        ag__put_word(w, (int64_t)o.offset - (int64_t)w->at - 4 - trailing);
        return;
    }
    bool is_short = o.offset % unit == 0 && o.offset / unit >= -128 && o.offset / unit < 128;
    unsigned base = (unsigned)(o.base & 7), mode = is_short ? 0x40 : 0x80;
    if (o.offset == 0 && base != AG__RBP) mode = 0;
    bool sib = o.index >= 0 || base == AG__RSP;
    ag__put_byte(w, mode | r | (sib ? 4u : base));
    if (sib) ag__put_byte(w, (unsigned)o.scale << 6 | (o.index >= 0 ? (unsigned)(o.index & 7) : 4u) << 3 | base);
    if (mode == 0x40) ag__put_byte(w, (unsigned)(o.offset / unit) & 0xff);
    if (mode == 0x80) ag__put_word(w, o.offset);
}

static unsigned high(int reg) { return reg >= 8; }

void ag__general(ag__writer *w, unsigned opcode, int reg, ag__operand o) {
    if (reg == AG__RAX) w->known = -1;
    ag__put_byte(w, 0x48 | high(reg) << 2 | high(o.index) << 1 | high(o.reg >= 0 ? o.reg : o.base));
    ag__put_byte(w, opcode);
    ag__modrm(w, reg, o, 0, 1);
}

int ag__length(const ag__writer *w, bool wide) {
    int bytes = w->m->lanes * (wide ? 8 : 4);
    return bytes >= 64 ? 2 : bytes >= 32 ? 1 : 0;
}

/* ---- Slots ---- */

/* The logarithm of the bytes of a slot's element. */
static int log_bytes(const ag__writer *w, int slot) {
    int dtype = w->m->slot[slot].dtype;
    return dtype == AG_BOOL ? 0 : dtype == AG_F32 ? 2 : 3;
}

/* The register with a slot's address; rax if it has none of its own. */
static int address_of(ag__writer *w, int slot) {
    if (w->m->base[slot] >= 0) return w->m->base[slot];
    if (w->known != slot) ag__general(w, 0x8b, AG__RAX, ag__at_base(AG__RSI, 8 * slot));
    w->known = slot;
    return AG__RAX;
}

ag__operand ag__slot_part(ag__writer *w, const ag__asm *i) {
    int scale = log_bytes(w, i->at), index = AG__RDX, at = (w->vector + i->copy) * w->m->lanes;
    if (w->m->slot[i->at].lanes) {
        ag__put_bytes(w, 4, "\x89\xd1\x83\xe1"); /* mov ecx, edx; and ecx, AG__LANES − 1 */
        ag__put_byte(w, AG__LANES - 1);
        index = AG__RCX;
        at %= AG__LANES;
    }
    return (ag__operand){-1, (int8_t)address_of(w, i->at), (int8_t)index, (int8_t)scale, at << scale};
}

ag__operand ag__lanes_part(ag__writer *w, int slot, int vector) {
    return ag__at_base(address_of(w, slot), vector * w->m->lanes << log_bytes(w, slot));
}

ag__operand ag__single_part(ag__writer *w, int slot) { return ag__at_base(address_of(w, slot), 0); }

void ag__load_whole_attribute(ag__writer *w, const ag__asm *i) {
    ag__general(w, 0x8b, AG__RAX, ag__at_base(AG__RDX, 8 * i->at));
    ag__put_bytes(w, 4, "\xf2\x48\x0f\x2c"); /* cvttsd2si rcx, … */
    ag__modrm(w, AG__RCX, ag__at_base(AG__RAX, 8 * i->k), 0, 1);
}

/* After the loop: store the single element of a slot. */
static void store_single(ag__writer *w, const ag__asm *i) {
    const bool of_pool = i->place == AG__IN_POOL;
    if (of_pool) { /* mov ecx, … */
        ag__put_byte(w, 0x48), ag__put_byte(w, 0xb9);
        ag__put_word(w, (int64_t)w->m->pool[i->at] & UINT32_MAX);
        ag__put_word(w, (int64_t)(w->m->pool[i->at] >> 32));
    } else {
        ag__general(w, 0x8b, AG__RCX, ag__in_frame(i->at));
    }
    ag__general(w, 0x8b, AG__RAX, ag__at_base(AG__RSI, 8 * i->k));
    if (i->truth) ag__put_bytes(w, 5, "\x83\xe1\x01\x88\x08"); /* and ecx, 1; mov [rax], cl */
    else if (i->wide) ag__put_bytes(w, 3, "\x48\x89\x08");     /* mov [rax], rcx */
    else ag__put_bytes(w, 2, "\x89\x08");                      /* mov [rax], ecx */
}

/* ---- Vector instructions ---- */

const ag__encoding ag__encodings[AG__CODES] = {
    [AG_TRACE_ADD] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x58, 0x58}, false, 0},
    [AG_TRACE_SUB] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x5c, 0x5c}, false, 0},
    [AG_TRACE_MUL] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x59, 0x59}, false, 0},
    [AG_TRACE_DIV] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x5e, 0x5e}, false, 0},
    [AG_TRACE_MAX] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x5f, 0x5f}, false, 0},
    [AG_TRACE_MIN] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x5d, 0x5d}, false, 0},
    [AG_TRACE_SQRT] = {AG__UNARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x51, 0x51}, false, 0},
    [AG_TRACE_ROUND] = {AG__UNARY, AG__MAP_0F3A, {AG__P_66, AG__P_66}, {0x08, 0x09}, true, 8},
    [AG_TRACE_LESS] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0xc2, 0xc2}, true, 0x11},
    [AG_TRACE_LESS_EQUAL] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0xc2, 0xc2}, true, 0x12},
    [AG_TRACE_EQUAL] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0xc2, 0xc2}, true, 0x00},
    [AG_TRACE_NOT_EQUAL] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0xc2, 0xc2}, true, 0x04},
    [AG_TRACE_AND] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x54, 0x54}, false, 0},
    [AG_TRACE_OR] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x56, 0x56}, false, 0},
    [AG_TRACE_XOR] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x57, 0x57}, false, 0},
    [AG_TRACE_BITS_ADD] = {AG__BINARY, AG__MAP_0F, {AG__P_66, AG__P_66}, {0xfe, 0xd4}, false, 0},
    [AG_TRACE_BITS_SUB] = {AG__BINARY, AG__MAP_0F, {AG__P_66, AG__P_66}, {0xfa, 0xfb}, false, 0},
    [AG__SHIFT_LEFT] = {AG__SHIFT, AG__MAP_0F, {AG__P_66, AG__P_66}, {0x72, 0x73}, true, 6},
    [AG__SHIFT_RIGHT] = {AG__SHIFT, AG__MAP_0F, {AG__P_66, AG__P_66}, {0x72, 0x73}, true, 2},
    [AG_TRACE_INTEGER] = {AG__UNARY, AG__MAP_0F, {AG__P_NONE, AG__P_NONE}, {0x5b, 0x5b}, false, 0},
    [AG_TRACE_STRONG_MUL] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x59, 0x59}, false, 0},
    [AG_TRACE_STRONG_DIV] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x5e, 0x5e}, false, 0},
    [AG__AND_NOT] = {AG__BINARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x55, 0x55}, false, 0},
    [AG__COPY] = {AG__UNARY, AG__MAP_0F, {AG__P_NONE, AG__P_66}, {0x10, 0x10}, false, 0},
    [AG__WIDEN] = {AG__UNARY, AG__MAP_0F, {AG__P_NONE, AG__P_NONE}, {0x5a, 0x5a}, false, 0},
    [AG__NARROW] = {AG__UNARY, AG__MAP_0F, {AG__P_66, AG__P_66}, {0x5a, 0x5a}, false, 0},
    [AG__WHOLE_EQUAL] = {AG__BINARY, AG__MAP_0F38, {AG__P_66, AG__P_66}, {0x29, 0x29}, false, 0},
    [AG__WHOLE_GREATER] = {AG__BINARY, AG__MAP_0F38, {AG__P_66, AG__P_66}, {0x37, 0x37}, false, 0},
    [AG__WHOLE_MUL] = {AG__BINARY, AG__MAP_0F38, {AG__P_66, AG__P_66}, {0x40, 0x40}, false, 0},
    [AG__FROM_WHOLE] = {AG__UNARY, AG__MAP_0F, {AG__P_F3, AG__P_F3}, {0xe6, 0xe6}, false, 0},
    [AG__NARROW_WHOLE] = {AG__UNARY, AG__MAP_0F, {AG__P_NONE, AG__P_NONE}, {0x5b, 0x5b}, false, 0},
    [AG__TO_WHOLE] = {AG__UNARY, AG__MAP_0F, {AG__P_66, AG__P_66}, {0x7a, 0x7a}, false, 0},
    [AG__SCALE] = {AG__BINARY, AG__MAP_0F38, {AG__P_66, AG__P_66}, {0x2c, 0x2c}, false, 0},
    [AG__LOW_MUL] = {AG__BINARY, AG__MAP_0F, {AG__P_66, AG__P_66}, {0xf4, 0xf4}, false, 0},
};

static int8_t actual(const ag__writer *w, int8_t reg) { return ag__actual(w->m, reg, w->vector); }

static void run(ag__writer *w, int first, int count) {
    w->vectors->begin(w);
    w->known = -1;
    for (int k = 0; k < count; k++) {
        ag__asm i = w->m->instruction[first + k];
        i.y = actual(w, i.y), i.a = actual(w, i.a), i.b = actual(w, i.b);
        w->vectors->instruction(w, &i);
    }
}

/* ---- Calls for rare elements ----
 *
 * A subroutine saves all registers in memory, calls the machine's `call_each`, which computes elements there, and loads
 * them again. It is before the entry, and called with `what` of call_each in eax and the function in rcx. */

enum { MASK_BYTES = 64 };

static void put_address(ag__writer *w, uint64_t address) {
    ag__put_word(w, (int64_t)(address & UINT32_MAX));
    ag__put_word(w, (int64_t)(address >> 32));
}

static void put_stub(ag__writer *w) {
    const int vector = w->m->isa->vector, count = w->m->isa->registers + 1, masks = count * vector;
    const int32_t bytes = masks + 2 * MASK_BYTES;
    uint64_t address = 0;
    memcpy(&address, &w->m->call_each, sizeof w->m->call_each);
    w->stub = w->at;
    ag__put_bytes(w, 11, "\x57\x56\x52\x41\x50\x41\x51\x41\x52\x41\x53"); /* push rdi, rsi, rdx, r8 to r11 */
    ag__put_bytes(w, 6, "\x49\x89\xe3\x48\x81\xec");                      /* mov r11, rsp; sub rsp, … */
    ag__put_word(w, bytes);
    ag__put_bytes(w, 4, "\x48\x83\xe4\xc0");     /* and rsp, −64 */
    ag__put_bytes(w, 5, "\x89\xc6\x48\x89\xca"); /* mov esi, eax; mov rdx, rcx */
    ag__general(w, 0x89, 11, ag__in_frame(masks + MASK_BYTES));
    for (int r = 0; r < count; r++) w->vectors->move(w, false, true, r, ag__in_frame(r * vector));
    w->vectors->masks(w, false, masks);
    ag__put_bytes(w, 4, "\x48\x89\xe7\xb9"); /* mov rdi, rsp; mov ecx, … */
    ag__put_word(w, vector);
    ag__put_bytes(w, 2, "\x48\xb8"); /* mov rax, … */
    put_address(w, address);
    ag__put_bytes(w, 5, "\xc5\xf8\x77\xff\xd0"); /* vzeroupper; call rax */
    w->vectors->masks(w, true, masks);
    for (int r = 0; r < count; r++) w->vectors->move(w, true, true, r, ag__in_frame(r * vector));
    ag__general(w, 0x8b, 11, ag__in_frame(masks + MASK_BYTES));
    ag__put_bytes(w, 3, "\x4c\x89\xdc");                                      /* mov rsp, r11 */
    ag__put_bytes(w, 12, "\x41\x5b\x41\x5a\x41\x59\x41\x58\x5a\x5e\x5f\xc3"); /* pop all; ret */
}

void ag__put_rarely(ag__writer *w, const ag__asm *i) {
    enum { LENGTH = 5 + 10 + 5 };
    uint64_t address = 0;
    const uint32_t what = (uint32_t)i->y << 16 | (uint32_t)i->a << 21 | (uint32_t)i->wide << 26 | (uint32_t)i->k << 27;
    memcpy(&address, &i->call, sizeof i->call);
    w->known = -1;
    ag__put_bytes(w, 3, "\x85\xc0\x74"); /* test eax, eax; jz … */
    ag__put_byte(w, LENGTH);
    ag__put_byte(w, 0x0d); /* or eax, … */
    ag__put_word(w, (int64_t)what);
    ag__put_bytes(w, 2, "\x48\xb9"); /* mov rcx, … */
    put_address(w, address);
    ag__put_byte(w, 0xe8); /* call … */
    ag__put_word(w, (int64_t)w->stub - (int64_t)w->at - 4);
}

/* ---- The loop ---- */

/* Slots get the remaining general registers, in order of occurrence; returns how many do. */
static int assign_bases(const ag__machine *m) {
    static const int8_t free_registers[] = {8, 9, 10, 11, AG__RBX, 12, 13, 14, 15};
    int used = 0;
    for (int s = 0; s < m->slots; s++) m->base[s] = -1;
    for (int i = m->before; i < m->before + m->ahead + m->loop && used < (int)sizeof free_registers; i++) {
        const ag__asm *in = &m->instruction[i];
        bool slot = in->code == AG__STORE || (in->b < 0 && in->place == AG__IN_SLOT);
        if (slot && m->base[in->at] < 0) m->base[in->at] = free_registers[used++];
    }
    return used;
}

/* Take the frame. One that is larger than a page, less what is saved beside it, is touched on the way, so that it
 * cannot skip the page that guards a stack. */
static void take_frame(ag__writer *w) {
    enum { PART = 4096 - 64 };
    bool touched = w->m->frame > PART;
    for (int32_t rest = w->m->frame, part; rest > 0; rest -= part) {
        part = rest < PART ? rest : PART;
        ag__put_bytes(w, 3, "\x48\x81\xec"); /* sub rsp, … */
        ag__put_word(w, part);
        if (touched) ag__put_bytes(w, 4, "\x48\x85\x24\x24"); /* test [rsp], rsp */
    }
}

enum { SAVED = 5 }; /* with this many addresses of slots rbx and r12 to r15 must be saved */

static void enter(ag__writer *w, int used) {
    ag__put_bytes(w, 4, "\xf3\x0f\x1e\xfa");         /* endbr64 */
    ag__put_bytes(w, 6, "\x48\x85\xff\x7f\x01\xc3"); /* test rdi, rdi; if not positive, ret */
    ag__put_bytes(w, 4, "\x55\x48\x89\xe5");         /* push rbp; mov rbp, rsp */
    if (used >= SAVED) ag__put_bytes(w, 9, "\x53\x41\x54\x41\x55\x41\x56\x41\x57");
    ag__put_bytes(w, 3, "\x48\x83\xe4"); /* and rsp, −vector */
    ag__put_byte(w, (unsigned)-w->m->isa->vector & 0xff);
    take_frame(w);
    for (int s = 0; s < w->m->slots; s++)
        if (w->m->base[s] >= 0) ag__general(w, 0x8b, w->m->base[s], ag__at_base(AG__RSI, 8 * s));
}

static void leave(ag__writer *w, int used) {
    ag__put_bytes(w, 3, "\xc5\xf8\x77"); /* vzeroupper */
    if (used >= SAVED)
        ag__put_bytes(w, 13, "\x48\x8d\x65\xd8\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5b"); /* lea rsp, [rbp−40] */
    else ag__put_bytes(w, 3, "\x48\x89\xec");                                         /* mov rsp, rbp */
    ag__put_bytes(w, 2, "\x5d\xc3");
}

/* A jump if the flags say so; forward ones are completed by `target`. */
static size_t jump(ag__writer *w, unsigned condition) {
    ag__put_byte(w, 0x0f);
    ag__put_byte(w, condition);
    ag__put_word(w, 0);
    return w->at;
}

static void target(ag__writer *w, size_t jump_end, size_t to) {
    size_t at = w->at;
    w->at = jump_end - 4;
    ag__put_word(w, (int64_t)to - (int64_t)jump_end);
    w->at = at;
}

static void immediate(ag__writer *w, const char *instruction3, int value) { /* add or sub with a small number */
    ag__put_bytes(w, 3, instruction3);
    ag__put_byte(w, (unsigned)value);
}

enum { JLE = 0x8e, JG = 0x8f };

/* Load the folds' lanes into their registers, or store them. */
static void move_lanes(ag__writer *w, bool in) {
    int vectors = AG__LANES / w->m->lanes;
    w->known = -1;
    for (int f = 0; f < w->m->folds; f++)
        for (int v = 0; v < vectors; v++) {
            const int slot = w->m->fold_slot[f];
            const ag__operand o = ag__lanes_part(w, slot, v);
            w->vectors->move(w, in, w->m->slot[slot].dtype == AG_F64, ag__lane_register(w->m, f, v), o);
        }
}

/* A loop over `vectors` vectors a round, with the instructions from `first` on once for each vector, or for every
 * `at_once`, while so many elements are left. rdi is n before and after. */
static void rounds(ag__writer *w, int first, int count, int vectors, int at_once, bool folds) {
    int step = vectors * w->m->lanes;
    immediate(w, "\x48\x83\xef", step);  /* sub rdi, step */
    ag__put_bytes(w, 3, "\x48\x39\xfa"); /* cmp rdx, rdi */
    size_t skip = jump(w, JG);
    if (folds) move_lanes(w, true);
    while (w->at % 16) ag__put_byte(w, 0x90);
    size_t top = w->at;
    for (w->vector = 0; w->vector < vectors; w->vector += at_once) run(w, first, count);
    w->vector = 0;
    immediate(w, "\x48\x83\xc2", step); /* add rdx, step */
    ag__put_bytes(w, 3, "\x48\x39\xfa");
    target(w, jump(w, JLE), top);
    if (folds) move_lanes(w, false);
    target(w, skip, w->at);
    immediate(w, "\x48\x83\xc7", step); /* add rdi, step */
}

/* The last, partial vector. */
static void rest(ag__writer *w) {
    ag__put_bytes(w, 3, "\x48\x29\xd7"); /* sub rdi, rdx */
    size_t skip = jump(w, JLE);
    w->vectors->begin_tail(w);
    w->tail = true;
    run(w, w->m->before + w->m->ahead, w->m->loop);
    w->tail = false;
    target(w, skip, w->at);
}

size_t ag__assemble_x86(const ag__machine *m, const ag__vectors *vectors, uint8_t *to, size_t room, size_t *entry) {
    ag__writer w = {.m = m, .vectors = vectors, .to = to, .room = room};
    int used = assign_bases(m), ahead = m->before, loop = ahead + m->ahead;
    vectors->pool(&w);
    if (ag__has_rarely(m)) put_stub(&w);
    *entry = w.at;
    enter(&w, used);
    run(&w, 0, m->before);
    ag__put_bytes(&w, 2, "\x31\xd2"); /* xor edx, edx */
    if (m->folds) rounds(&w, ahead, m->ahead, AG__LANES / m->lanes, m->ways, true);
    else if (m->ahead) rounds(&w, ahead, m->ahead, m->ways, m->ways, false);
    else rounds(&w, loop, m->loop, m->loop <= 6 ? 4 : 2, 1, false);
    rounds(&w, loop, m->loop, 1, 1, false);
    rest(&w);
    run(&w, loop + m->loop, m->join);
    for (int i = 0; i < m->after; i++) store_single(&w, &m->instruction[loop + m->loop + m->join + i]);
    leave(&w, used);
    return w.at;
}

#endif
