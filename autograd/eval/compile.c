/* compile -- strip programs as machine code
 *
 * First the formulas of the steps' operations are recorded, and become one list of values without common
 * subexpressions; values that are uniform (the same for all elements) are separated from those that vary. Then values
 * get registers, in program order: uniform ones are computed before the loop and wait in registers or in the stack
 * frame, the others in the loop; when registers run out, the value that is needed last is spilled to the frame.
 * The instruction set's encoder makes machine code of that, in pages that are written once and then become executable.
 *
 * The loads and stores of a vector stay in the order of the steps, and a slot is not loaded after its last use;
 * vectors in flight have no common elements. So slots may share memory as compile.h says. */
#include "autograd/eval/encode.h"
#include "autograd/tape/hash.h"
#include "autograd/tape/tracing.h"

#include <string.h>

#if AG__MACHINE_CODE

#include <sys/mman.h>
#include <unistd.h>

enum { WIDE = 1, TRUTH = 2, WHOLE = 4 }; /* types: of 64 bits; a truth value, of all bits or none; i64 */
enum { NONE = UINT16_MAX, MOST_WAYS = 4 };

typedef struct value {
    uint8_t code, type, operands;
    bool varies;   /* from element to element */
    bool after;    /* computed after the loop, from lanes */
    bool needed;   /* by a store */
    bool hoisted;  /* uniform, and needed in the loop or after it */
    bool last;     /* hoisted, and stored after the loop */
    bool live;     /* scratch */
    uint8_t copy;  /* number of the vector in lockstep */
    uint8_t fold;  /* of a fold's lanes: number of the fold, from 1 */
    int8_t reg;    /* its present register, or AG__NO_REGISTER */
    uint8_t place; /* and in memory */
    uint16_t x[3];
    uint16_t next[3]; /* of each operand: the next use after this one */
    uint16_t use;     /* its next use, an index in the order; NONE: no longer needed */
    uint16_t uses;    /* in the loop */
    uint16_t k;       /* slot, number of an attribute, shift */
    int32_t at;       /* in `place`; index into the table of attributes */
    uint64_t bits;    /* of a constant */
} value;

typedef struct program {
    ag_trace trace;
    const ag__isa *isa;
    const ag__code_slot *slot;
    bool wide; /* there are elements of 64 bits */
    int lanes;
    value *value;                      /* room for a copy for each of the vectors in lockstep */
    uint16_t *order;                   /* of computation */
    int values, room, most_ways, ways; /* most_ways, ways: vectors that may be in lockstep, and that are */
    uint16_t *table;                   /* of values by content */
    unsigned table_mask;
    uint16_t *of_slot; /* the value that a step wrote there */
    uint64_t *pool;
    bool *pool_wide;
    int constants;
    int8_t *base; /* the encoder's */
    ag__asm *instruction;
    int instructions, instruction_room;
    uint16_t held[AG__MOST_REGISTERS];     /* the value in each */
    unsigned kept;                         /* a bit for each register whose value stays throughout the loop */
    int32_t frame, loop_frame, most_frame; /* its end; its end at the start of a loop; its maximum */
    int32_t vacant[AG__MOST_SPILLED];      /* offsets in it that are free again */
    int vacancies;
    int folds;
    uint16_t fold_slot[AG__MOST_FOLDS], lanes_of[AG__MOST_FOLDS]; /* the result's slot, and the value of the lanes */
    bool folding, failed, crowded; /* crowded: this many vectors in lockstep need too large a frame */
} program;

/* ---- Values ---- */

static int fail(program *p) { return p->failed = true, 0; }

static bool same(const value *a, const value *b) {
    return a->code == b->code && a->type == b->type && a->x[0] == b->x[0] && a->x[1] == b->x[1] && a->x[2] == b->x[2] &&
           a->k == b->k && a->at == b->at && a->bits == b->bits;
}

static unsigned hash_of(const value *v) {
    uint64_t h = v->code | (uint64_t)v->x[0] << 8 | (uint64_t)v->x[1] << 24 | (uint64_t)v->x[2] << 40;
    h = ag__mix(ag__mix(h, v->bits), (uint64_t)v->k << 32 | (uint32_t)v->at);
    return (unsigned)(h >> 32);
}

/* The index of this value, or of an equal one. */
static int value_of(program *p, const value *v) {
    unsigned i = hash_of(v) & p->table_mask;
    for (; p->table[i] != NONE; i = (i + 1) & p->table_mask)
        if (same(&p->value[p->table[i]], v)) return p->table[i];
    if (p->values == p->room || p->failed) return fail(p);
    p->value[p->values] = *v;
    p->value[p->values].reg = AG__NO_REGISTER;
    p->table[i] = (uint16_t)p->values;
    return p->values++;
}

static int constant(program *p, uint64_t bits, int wide) {
    if (!wide) bits &= UINT32_MAX;
    return value_of(p, &(value){.code = AG__CONSTANT, .type = (uint8_t)wide, .place = AG__IN_POOL, .bits = bits});
}

static int number(program *p, double number, int wide) {
    float narrow = (float)number;
    uint64_t bits = 0;
    if (wide) memcpy(&bits, &number, sizeof number);
    else memcpy(&bits, &narrow, sizeof narrow);
    return constant(p, bits, wide);
}

static int operation(program *p, int code, int type, int n, int a, int b, int c) {
    const value *v = p->value;
    bool varies = v[a].varies || (n > 1 && v[b].varies) || (n > 2 && v[c].varies);
    return value_of(p, &(value){.code = (uint8_t)code,
                                .type = (uint8_t)type,
                                .operands = (uint8_t)n,
                                .varies = varies,
                                .x = {(uint16_t)a, (uint16_t)b, (uint16_t)c}});
}

static int type_of(int dtype) { return dtype == AG_I64 ? WIDE | WHOLE : dtype == AG_F64 ? WIDE : 0; }

/* The value in a slot; a bool is read in this width. */
static int slot_value(program *p, int slot, int wide) {
    if (p->of_slot[slot] != NONE) return p->of_slot[slot];
    const ag__code_slot *s = &p->slot[slot];
    int type = s->dtype == AG_BOOL ? TRUTH | wide : type_of(s->dtype);
    return value_of(p, &(value){.code = s->one ? AG__SINGLE : AG__ELEMENT,
                                .type = (uint8_t)type,
                                .varies = !s->one,
                                .place = s->one ? AG__IN_SINGLE : AG__IN_SLOT,
                                .at = slot});
}

static int in_width(program *p, int a, int wide) { /* a truth value */
    if ((p->value[a].type & WIDE) == wide) return a;
    return operation(p, wide ? AG__WIDEN_TRUTH : AG__NARROW_TRUTH, TRUTH | wide, 1, a, 0, 0);
}

/* ---- Steps ---- */

static bool is_read(const value *v) { return v->code == AG__ELEMENT || v->code == AG__SINGLE; }
static bool is_truth(const program *p, int a) { return p->value[a].type & TRUTH; }
static bool is_whole(const program *p, int a) { return p->value[a].type & WHOLE; }
static bool is_constant(const program *p, int a, uint64_t bits) {
    return p->value[a].code == AG__CONSTANT && p->value[a].bits == bits;
}

static bool is_comparison(int code) { return code >= AG_TRACE_LESS && code <= AG_TRACE_NOT_EQUAL; }

static int whole_arithmetic(program *p, int code, int a, int b);

static int arithmetic(program *p, int code, int operands, int a, int b) {
    int type = p->value[a].type;
    if ((type & TRUTH) || (operands > 1 && p->value[b].type != type)) return fail(p);
    if (type & WHOLE) return whole_arithmetic(p, code, a, b);
    if (code == AG_TRACE_INTEGER && type & WIDE) return fail(p);
    if (is_comparison(code)) type |= TRUTH;
    return operation(p, code, type, operands, a, operands > 1 ? b : 0, 0);
}

static int bitwise(program *p, int code, int a, int b) {
    if (is_truth(p, a) != is_truth(p, b)) return fail(p);
    if (is_truth(p, a)) a = in_width(p, a, p->value[b].type & WIDE);
    int type = p->value[a].type;
    return type == p->value[b].type ? operation(p, code, type, 2, a, b, 0) : fail(p);
}

static int with_mask(program *p, int code, int a, uint64_t wide, uint64_t narrow) {
    int type = p->value[a].type, mask = constant(p, type & WIDE ? wide : narrow, type & WIDE);
    if (type & WHOLE) return whole_arithmetic(p, code, a, 0);
    if ((type & TRUTH) && code != AG_TRACE_NOT) return fail(p);
    return operation(p, code == AG_TRACE_ABS ? AG_TRACE_AND : AG_TRACE_XOR, type, 2, a, mask, 0);
}

static int opposite(program *p, int a) { return with_mask(p, AG_TRACE_NOT, a, UINT64_MAX, UINT32_MAX); }

/* A comparison of truth values: false < true. */
static int compared_truths(program *p, int code, int a, int b) {
    switch (code) {
    case AG_TRACE_LESS: return bitwise(p, AG_TRACE_AND, opposite(p, a), b);
    case AG_TRACE_LESS_EQUAL: return bitwise(p, AG_TRACE_OR, opposite(p, a), b);
    case AG_TRACE_EQUAL: return opposite(p, bitwise(p, AG_TRACE_XOR, a, b));
    default: return bitwise(p, AG_TRACE_XOR, a, b);
    }
}

/* If a is the negative of a computed value, that value, after `sign` has been turned over in *signs. An element of a
 * slot is not read again: its memory may have been overwritten since a was computed. */
static int without_sign(const program *p, int a, int sign, int *signs) {
    const value *v = &p->value[a];
    const uint64_t bits = v->type & WIDE ? UINT64_C(1) << 63 : UINT64_C(1) << 31;
    if (v->code != AG_TRACE_XOR || !is_constant(p, v->x[1], bits) || is_read(&p->value[v->x[0]])) return a;
    *signs ^= sign;
    return v->x[0];
}

/* Signs are part of the instruction, and cost nothing where they are part of each form. */
static int fused_product(program *p, int a, int b, int c) {
    const int type = p->value[a].type;
    if ((type & (TRUTH | WHOLE)) || p->value[b].type != type || p->value[c].type != type) return fail(p);
    int signs = 0;
    a = without_sign(p, a, AG__FMA_NEGATIVE, &signs), b = without_sign(p, b, AG__FMA_NEGATIVE, &signs);
    if (!AG__FMA_ONTO_SUM) c = without_sign(p, c, AG__FMA_LESS, &signs);
    const value *v = p->value;
    return value_of(p, &(value){.code = AG_TRACE_FMA,
                                .type = (uint8_t)type,
                                .operands = 3,
                                .varies = v[a].varies || v[b].varies || v[c].varies,
                                .x = {(uint16_t)a, (uint16_t)b, (uint16_t)c},
                                .k = (uint16_t)signs});
}

static int rarely(program *p, const ag__traced *traced, int truth, int x, int y) {
    const int type = p->value[x].type;
    if (!is_truth(p, truth) || (type & (TRUTH | WHOLE)) || p->value[y].type != type) return fail(p);
    truth = in_width(p, truth, type & WIDE);
    const value *v = p->value;
    return value_of(p, &(value){.code = AG__RARELY,
                                .type = (uint8_t)type,
                                .operands = 3,
                                .varies = v[truth].varies || v[x].varies || v[y].varies,
                                .x = {(uint16_t)truth, (uint16_t)x, (uint16_t)y},
                                .k = (uint16_t)traced->k,
                                .bits = traced->constant});
}

/* If one choice is zero, a mask is enough, and faster. */
static int choice(program *p, int a, int b, int c) {
    if (!is_truth(p, a)) return fail(p);
    if (is_truth(p, b)) b = in_width(p, b, p->value[c].type & WIDE);
    int type = p->value[b].type;
    if (type != p->value[c].type) return fail(p);
    if (p->value[a].code == AG__CONSTANT) return p->value[a].bits ? b : c;
    a = in_width(p, a, type & WIDE);
    if (is_constant(p, c, 0)) return operation(p, AG_TRACE_AND, type, 2, a, b, 0);
    if (is_constant(p, b, 0)) return operation(p, AG__AND_NOT, type, 2, a, c, 0);
    return operation(p, AG__SELECT, type, 3, a, b, c);
}

/* ---- Whole numbers ---- */

static int whole_number(program *p, int64_t number) {
    return value_of(
        p, &(value){.code = AG__CONSTANT, .type = WIDE | WHOLE, .place = AG__IN_POOL, .bits = (uint64_t)number});
}

static int wide_operation(program *p, int code, int a, int b) { return operation(p, code, WIDE, 2, a, b, 0); }
static int wide_shift(program *p, int code, int a) {
    return value_of(p, &(value){.code = (uint8_t)code,
                                .type = WIDE,
                                .operands = 1,
                                .varies = p->value[a].varies,
                                .x = {(uint16_t)a},
                                .k = 32});
}

/* a·b modulo 2^64: of the lower halves, and of the upper halves with the lower ones. */
static int whole_product(program *p, int a, int b) {
    if (p->isa->whole) return operation(p, AG__WHOLE_MUL, WIDE | WHOLE, 2, a, b, 0);
    int upper =
        wide_operation(p, AG_TRACE_BITS_ADD, wide_operation(p, AG__LOW_MUL, wide_shift(p, AG__SHIFT_RIGHT, a), b),
                       wide_operation(p, AG__LOW_MUL, a, wide_shift(p, AG__SHIFT_RIGHT, b)));
    int lower = wide_operation(p, AG__LOW_MUL, a, b);
    return operation(p, AG_TRACE_BITS_ADD, WIDE | WHOLE, 2, lower, wide_shift(p, AG__SHIFT_LEFT, upper), 0);
}

static int whole_greater(program *p, int a, int b) { return operation(p, AG__WHOLE_GREATER, WIDE | TRUTH, 2, a, b, 0); }

/* Every number equals itself, so that no choice is made for NaN. */
static int whole_equal(program *p, int a, int b, bool equal) {
    if (a == b)
        return value_of(
            p,
            &(value){.code = AG__CONSTANT, .type = WIDE | TRUTH, .place = AG__IN_POOL, .bits = equal ? UINT64_MAX : 0});
    int y = operation(p, AG__WHOLE_EQUAL, WIDE | TRUTH, 2, a, b, 0);
    return equal ? y : opposite(p, y);
}

static int whole_arithmetic(program *p, int code, int a, int b) {
    const int zero = whole_number(p, 0);
    switch (code) {
    case AG_TRACE_ADD: return operation(p, AG_TRACE_BITS_ADD, WIDE | WHOLE, 2, a, b, 0);
    case AG_TRACE_SUB: return operation(p, AG_TRACE_BITS_SUB, WIDE | WHOLE, 2, a, b, 0);
    case AG_TRACE_NEG: return operation(p, AG_TRACE_BITS_SUB, WIDE | WHOLE, 2, zero, a, 0);
    case AG_TRACE_MUL: return whole_product(p, a, b);
    case AG_TRACE_ABS: return choice(p, whole_greater(p, zero, a), whole_arithmetic(p, AG_TRACE_NEG, a, 0), a);
    case AG_TRACE_MAX: return choice(p, whole_greater(p, a, b), a, b);
    case AG_TRACE_MIN: return choice(p, whole_greater(p, b, a), a, b);
    case AG_TRACE_LESS: return whole_greater(p, b, a);
    case AG_TRACE_LESS_EQUAL: return opposite(p, whole_greater(p, a, b));
    case AG_TRACE_EQUAL: return whole_equal(p, a, b, true);
    case AG_TRACE_NOT_EQUAL: return whole_equal(p, a, b, false);
    default: return fail(p);
    }
}

/* The halves of a become numbers, as bits beside exponents: 2^52 + lower, and 2^84 + 2^63 + 2^32·upper, whose
 * difference from 2^84 + 2^63 + 2^52 is exact. So their sum is rounded once. */
static int f64_of_whole(program *p, int a) {
    if (p->isa->whole) return operation(p, AG__FROM_WHOLE, WIDE, 1, a, 0, 0);
    int lower = wide_operation(p, AG_TRACE_AND, a, constant(p, UINT32_MAX, WIDE));
    int upper =
        wide_operation(p, AG_TRACE_XOR, wide_shift(p, AG__SHIFT_RIGHT, a), constant(p, UINT64_C(1) << 31, WIDE));
    lower = wide_operation(p, AG_TRACE_OR, lower, constant(p, UINT64_C(0x433) << 52, WIDE));
    upper = wide_operation(p, AG_TRACE_OR, upper, constant(p, UINT64_C(0x453) << 52, WIDE));
    return wide_operation(p, AG_TRACE_ADD,
                          wide_operation(p, AG_TRACE_SUB, upper, number(p, 0x1p84 + 0x1p63 + 0x1p52, WIDE)), lower);
}

/* A number of less than 53 bits is an f64 first, without rounding. The last 11 bits of a larger one only decide which
 * way it is rounded: they become one bit. */
static int f32_of_whole(program *p, int a) {
    if (p->isa->whole) return operation(p, AG__NARROW_WHOLE, 0, 1, a, 0, 0);
    const int last = constant(p, 0x7ff, WIDE), others = constant(p, ~UINT64_C(0x7ff), WIDE);
    int any = wide_operation(p, AG_TRACE_BITS_ADD, wide_operation(p, AG_TRACE_AND, a, last), last);
    int rest = operation(p, AG_TRACE_AND, WIDE | WHOLE, 2, wide_operation(p, AG_TRACE_OR, a, any), others, 0);
    int below = whole_greater(p, whole_number(p, INT64_C(1) << 53), a);
    int above = whole_greater(p, a, whole_number(p, -(INT64_C(1) << 53)));
    int exact = choice(p, bitwise(p, AG_TRACE_AND, below, above), a, rest);
    return operation(p, AG__NARROW, 0, 1, f64_of_whole(p, exact), 0, 0);
}

/* The nearest i64 towards 0; of NaN 0. */
static int whole_of(program *p, int a) {
    if (!p->isa->whole) return fail(p);
    if (!(p->value[a].type & WIDE)) a = operation(p, AG__WIDEN, WIDE, 1, a, 0, 0);
    int y = operation(p, AG__TO_WHOLE, WIDE | WHOLE, 1, a, 0, 0);
    y = choice(p, arithmetic(p, AG_TRACE_LESS_EQUAL, 2, number(p, 0x1p63, WIDE), a), whole_number(p, INT64_MAX), y);
    return choice(p, arithmetic(p, AG_TRACE_EQUAL, 2, a, a), y, whole_number(p, 0));
}

/* ---- Conversions and attributes ---- */

static int converted(program *p, int a, int dtype) {
    int type = p->value[a].type, to = type_of(dtype), wide = to & WIDE;
    if (dtype == AG_BOOL) {
        int zero = type & WHOLE ? whole_number(p, 0) : constant(p, 0, type & WIDE);
        return type & TRUTH ? a : arithmetic(p, AG_TRACE_NOT_EQUAL, 2, a, zero);
    }
    if (type & TRUTH) {
        int one = to & WHOLE ? whole_number(p, 1) : number(p, 1, wide);
        return operation(p, AG_TRACE_AND, to, 2, in_width(p, a, wide), one, 0);
    }
    if (type == to) return a;
    if (to & WHOLE) return whole_of(p, a);
    if (type & WHOLE) return wide ? f64_of_whole(p, a) : f32_of_whole(p, a);
    return operation(p, wide ? AG__WIDEN : AG__NARROW, wide, 1, a, 0, 0);
}

static int attribute(program *p, const ag__code_step *s, int k, int wide) {
    if ((size_t)k >= s->op->attribute_bytes / sizeof(double)) return fail(p);
    const bool whole = s->dtype == AG_I64;
    return value_of(p, &(value){.code = AG__ATTRIBUTE,
                                .type = (uint8_t)(wide | (whole ? WHOLE : 0)),
                                .place = whole ? AG__IN_ATTRIBUTES_WHOLE : AG__IN_ATTRIBUTES,
                                .at = s->attributes,
                                .k = (uint16_t)k});
}

static int shift(program *p, int a, int places) {
    if (is_truth(p, a) || is_whole(p, a)) return fail(p);
    return value_of(p, &(value){.code = places < 0 ? AG__SHIFT_RIGHT : AG__SHIFT_LEFT,
                                .type = p->value[a].type,
                                .operands = 1,
                                .varies = p->value[a].varies,
                                .x = {(uint16_t)a},
                                .k = (uint16_t)(places < 0 ? -places : places)});
}

/* In a step of i64 it must be one. */
static int traced_number(program *p, const ag__traced *v, const ag__code_step *s, int wide) {
    double real;
    memcpy(&real, &v->constant, sizeof real);
    if (s->dtype != AG_I64) return number(p, real, wide);
    bool fits = real >= -0x1p63 && real < 0x1p63 && (double)(int64_t)real == real;
    return fits ? whole_number(p, (int64_t)real) : fail(p);
}

/* The value of a recorded step, whose operands have values already. */
static int value_of_traced(program *p, const ag__traced *v, const ag__code_step *s, int wide) {
    int x[3] = {0};
    for (int i = 0; i < v->operands; i++) x[i] = p->trace.value[v->x[i]].value;
    switch (v->code) {
    case AG__TRACE_INPUT: return slot_value(p, s->x[v->k], wide);
    case AG__TRACE_NUMBER: return traced_number(p, v, s, wide);
    case AG__TRACE_BITS: return constant(p, v->constant, wide);
    case AG__TRACE_ATTRIBUTE: return attribute(p, s, v->k, wide);
    case AG__TRACE_SELECT: return choice(p, x[0], x[1], x[2]);
    case AG__TRACE_RARELY: return rarely(p, v, x[0], x[1], x[2]);
    case AG__TRACE_SHIFT: return shift(p, x[0], v->k);
    case AG__TRACE_CONVERT: return converted(p, x[0], p->slot[s->y].dtype);
    case AG__TRACE_RESULT: return x[0];
    case AG_TRACE_FMA: return fused_product(p, x[0], x[1], x[2]);
    case AG__TRACE_SCALE: return arithmetic(p, AG__SCALE, 2, x[0], x[1]);
    case AG_TRACE_NEG: return with_mask(p, AG_TRACE_NEG, x[0], UINT64_C(1) << 63, UINT64_C(1) << 31);
    case AG_TRACE_ABS: return with_mask(p, AG_TRACE_ABS, x[0], INT64_MAX, INT32_MAX);
    case AG_TRACE_NOT: return is_truth(p, x[0]) ? opposite(p, x[0]) : fail(p);
    case AG_TRACE_TO_BITS: return is_truth(p, x[0]) || is_whole(p, x[0]) ? fail(p) : x[0];
    case AG_TRACE_FROM_BITS: return s->dtype == AG_I64 ? fail(p) : x[0];
    default: break;
    }
    if (v->code >= AG_TRACE_AND && v->code <= AG_TRACE_XOR) return bitwise(p, v->code, x[0], x[1]);
    if (is_comparison(v->code) && is_truth(p, x[0]) && is_truth(p, x[1]))
        return compared_truths(p, v->code, x[0], x[1]);
    return arithmetic(p, v->code, v->operands, x[0], x[1]);
}

/* The operand of v to compute next: of those not computed yet, the one that takes the most registers; −1: none. A
 * step without operands is not an instruction, and has its value at once. */
static int next_operand(program *p, const ag__traced *v, const ag__code_step *s, int wide) {
    int next = -1, most = -1;
    for (int i = 0; i < v->operands; i++) {
        ag__traced *x = &p->trace.value[v->x[i]];
        if (x->value >= 0) continue;
        if (x->operands == 0) x->value = value_of_traced(p, x, s, wide);
        else if (x->need > most) next = v->x[i], most = x->need;
    }
    return next;
}

/* The values that a step's result depends on, in an order that depends only on its trace, not on the order in which
 * a compiler evaluated arguments; other recorded steps are left out. */
static int evaluate(program *p, int result, const ag__code_step *s, int wide) {
    uint16_t *stack = p->order;
    int depth = 0;
    stack[depth++] = (uint16_t)result;
    while (depth > 0 && !p->failed) {
        ag__traced *v = &p->trace.value[stack[depth - 1]];
        int next = next_operand(p, v, s, wide);
        if (next >= 0) stack[depth++] = (uint16_t)next;
        else v->value = value_of_traced(p, v, s, wide), depth--;
    }
    return p->failed ? 0 : p->trace.value[result].value;
}

/* A bool has the width of the other inputs. */
static bool is_wide_step(const program *p, const ag__code_step *s) {
    return s->dtype == AG_F64 || s->dtype == AG_I64 || (s->dtype == AG_BOOL && p->wide);
}

static void trace_step(program *p, const ag__code_step *s) {
    p->trace.scales = p->isa->scales;
    ag__trace(&p->trace, s->op, (ag_dtype)s->dtype, s->n, !is_wide_step(p, s));
}

/* A user's trace may differ from the one that room was made for. */
static void add_step(program *p, const ag__code_step *s) {
    trace_step(p, s);
    if (p->trace.failed || p->trace.count > p->room) {
        p->failed = true;
        return;
    }
    int dtype = p->slot[s->y].dtype, y = evaluate(p, p->trace.count - 1, s, is_wide_step(p, s));
    const value *v = &p->value[y];
    if (is_read(v)) /* its memory may be overwritten before y's last use */
        v = &p->value[y = operation(p, AG__COPY, v->type, 1, y, 0, 0)];
    bool fits = dtype == AG_BOOL ? v->type & TRUTH : v->type == type_of(dtype);
    if (!fits || (v->varies && p->slot[s->y].one)) p->failed = true;
    p->of_slot[s->y] = (uint16_t)y;
    if (p->slot[s->y].out && !p->slot[s->y].one)
        value_of(
            p, &(value){
                   .code = AG__STORE, .type = v->type, .operands = 1, .varies = true, .x = {(uint16_t)y}, .at = s->y});
}

/* ---- Folds of lanes ---- */

/* The operation of a step, a fold's, on two other values. */
static int joined(program *p, const ag__code_step *s, int a, int b) {
    const uint16_t former[] = {p->of_slot[s->x[0]], p->of_slot[s->x[1]]};
    p->of_slot[s->x[0]] = (uint16_t)a, p->of_slot[s->x[1]] = (uint16_t)b;
    trace_step(p, s);
    const bool good = !p->trace.failed && p->trace.count <= p->room;
    const int y = good ? evaluate(p, p->trace.count - 1, s, is_wide_step(p, s)) : fail(p);
    p->of_slot[s->x[1]] = former[1], p->of_slot[s->x[0]] = former[0];
    return y;
}

/* The lanes of a step's result begin as the identity element. In the end halves are joined, those of the vectors and
 * then those of one, and the first lane is stored. */
static void join_lanes(program *p, const ag__code_step *s) {
    const int type = type_of(s->dtype), first = p->values;
    int part[AG__LANES], vectors = AG__LANES / p->lanes;
    if (s->x[0] == s->x[1]) fail(p);
    const int identity = number(p, s->op->neutral, type & WIDE);
    p->value[identity].needed = true;
    for (int v = 0; v < vectors; v++)
        part[v] = value_of(p, &(value){.code = AG__LANES_OF,
                                       .type = (uint8_t)type,
                                       .after = true,
                                       .place = AG__IN_LANES,
                                       .at = s->y,
                                       .k = (uint16_t)v});
    for (vectors /= 2; vectors > 0; vectors /= 2)
        for (int v = 0; v < vectors; v++) part[v] = joined(p, s, part[v], part[v + vectors]);
    for (int k = p->lanes / 2; k > 0; k /= 2) {
        const value half = {
            .code = AG__TURN, .type = (uint8_t)type, .operands = 1, .x = {(uint16_t)part[0]}, .k = (uint16_t)k};
        part[0] = joined(p, s, part[0], value_of(p, &half));
    }
    value_of(p, &(value){.code = AG__FINISH,
                         .type = (uint8_t)type,
                         .operands = 1,
                         .x = {(uint16_t)part[0], (uint16_t)identity},
                         .k = s->y,
                         .at = p->slot[s->y].result - 1});
    for (int i = first; i < p->values; i++)
        for (int k = 0; k < p->value[i].operands; k++) p->value[i].after |= p->value[p->value[i].x[k]].after;
}

/* ---- Uses ---- */

static bool is_leaf(const value *v) { return v->code >= AG__ELEMENT; }

typedef enum when { BEFORE, LOOP, AFTER } when;

static when time_of(const value *v) { return v->varies ? LOOP : v->after ? AFTER : BEFORE; }

/* List the values computed before the loop, in it or after it, for one vector or for several in lockstep; returns their
 * number. */
static int list(program *p, when now, int ways) {
    int n = 0;
    for (int i = 0; i < p->values; i++) {
        const value *v = &p->value[i];
        if (!v->needed || time_of(v) != now || is_leaf(v)) continue;
        for (int w = 0; w < ways; w++) p->order[n++] = (uint16_t)(i + w * p->values);
    }
    return n;
}

static bool is_single_out(const program *p, int slot) {
    return p->slot[slot].one && p->slot[slot].out && p->of_slot[slot] != NONE;
}

static void mark_needed(program *p, int slots) {
    for (int s = 0; s < slots; s++)
        if (is_single_out(p, s)) {
            value *v = &p->value[p->of_slot[s]];
            v->needed = v->hoisted = v->last = true;
        }
    for (int i = p->values - 1; i >= 0; i--) {
        value *v = &p->value[i];
        v->needed = v->needed || v->code == AG__STORE || v->code == AG__FINISH;
        for (int k = 0; v->needed && k < v->operands; k++) p->value[v->x[k]].needed = true;
    }
}

static void place_constants(program *p) {
    for (int i = 0; i < p->values; i++) {
        value *v = &p->value[i];
        if (v->code != AG__CONSTANT || !v->needed) continue;
        v->at = p->constants;
        p->pool[p->constants] = v->bits;
        p->pool_wide[p->constants++] = v->type & WIDE;
    }
}

/* Find the next use of every operand in this order. */
static void find_uses(program *p, int n) {
    for (int i = 0; i < p->ways * p->values; i++) p->value[i].use = NONE;
    for (int i = n - 1; i >= 0; i--) {
        value *v = &p->value[p->order[i]];
        for (int k = 0; k < v->operands; k++) v->next[k] = p->value[v->x[k]].use;
        for (int k = 0; k < v->operands; k++) p->value[v->x[k]].use = (uint16_t)i;
    }
}

/* The largest number of varying values alive at once, given enough registers. */
static int pressure(program *p, int n) {
    int live = 0, most = 0;
    for (int i = 0; i < n; i++) {
        value *v = &p->value[p->order[i]];
        for (int k = 0; k < v->operands; k++) {
            value *x = &p->value[v->x[k]];
            bool after = x->varies && v->next[k] != NONE;
            x->uses++;
            live += after - x->live;
            x->live = after;
        }
        v->live = v->code != AG__STORE;
        live += v->live;
        most = live > most ? live : most;
    }
    return most;
}

/* Copy the varying values for each of the other vectors in lockstep. */
static void make_twins(program *p) {
    int n = p->values;
    for (int i = n; i < p->ways * n; i++) {
        value twin = p->value[i % n];
        twin.copy = (uint8_t)(i / n);
        for (int k = 0; k < twin.operands; k++)
            if (p->value[twin.x[k]].varies) twin.x[k] = (uint16_t)(twin.x[k] + i / n * n);
        p->value[i] = twin;
    }
}

/* Find the folds into lanes: an output's slot whose value has lanes as an operand. */
static void find_folds(program *p, int slots) {
    for (int s = 0; s < slots; s++) {
        if (!p->slot[s].lanes || !p->slot[s].out || p->of_slot[s] == NONE) continue;
        value *y = &p->value[p->of_slot[s]];
        int lanes = NONE;
        for (int k = 0; k < y->operands; k++)
            if (p->value[y->x[k]].code == AG__ELEMENT && p->slot[p->value[y->x[k]].at].lanes) lanes = y->x[k];
        if (lanes == NONE || y->fold || p->folds == AG__MOST_FOLDS) {
            p->folds = 0;
            return;
        }
        p->fold_slot[p->folds] = (uint16_t)s;
        p->lanes_of[p->folds++] = (uint16_t)lanes;
        y->fold = (uint8_t)p->folds;
    }
}

/* ---- Registers ---- */

static void put(program *p, const ag__asm *i) {
    if (p->instructions == p->instruction_room) p->failed = true;
    else p->instruction[p->instructions++] = *i;
}

static void put_load(program *p, int reg, const value *v) {
    put(p, &(ag__asm){.code = AG__LOAD,
                      .wide = v->type & WIDE,
                      .truth = v->type & TRUTH,
                      .y = (int8_t)reg,
                      .b = AG__NO_REGISTER,
                      .place = v->place,
                      .at = v->at,
                      .copy = v->copy,
                      .k = v->k});
}

static void spill(program *p, int reg, value *v) {
    if (v->place == AG__IN_FRAME) return;
    v->place = AG__IN_FRAME;
    if (p->vacancies > 0) {
        v->at = p->vacant[--p->vacancies];
    } else {
        v->at = p->frame;
        p->frame += p->isa->vector;
        if (p->frame > p->most_frame) p->most_frame = p->frame;
    }
    put(p, &(ag__asm){.code = AG__SPILL, .a = (int8_t)reg, .b = AG__NO_REGISTER, .place = AG__IN_FRAME, .at = v->at});
}

/* Free registers and memory after the last use of v's operands. */
static void vacate(program *p, const value *v) {
    for (int k = 0; k < v->operands; k++) {
        value *x = &p->value[v->x[k]];
        if (!x->varies || x->use != NONE || x->place != AG__IN_FRAME) continue;
        x->place = AG__NO_PLACE;
        if (p->vacancies < AG__MOST_SPILLED) p->vacant[p->vacancies++] = x->at;
    }
}

static int free_register(const program *p) {
    for (int r = 0; r < p->isa->registers; r++)
        if (p->held[r] == NONE) return r;
    return AG__NO_REGISTER;
}

/* A register for value i: a free one, or that of the value needed last. That value is not an operand of the present
 * instruction, whose use is next, because two registers are reserved for operands from memory. */
static int take(program *p, int i) {
    int reg = free_register(p);
    if (reg == AG__NO_REGISTER) {
        for (int r = 0; r < p->isa->registers; r++)
            if (!(p->kept >> r & 1) && (reg < 0 || p->value[p->held[r]].use > p->value[p->held[reg]].use)) reg = r;
        value *v = &p->value[p->held[reg]];
        if (v->place == AG__NO_PLACE) spill(p, reg, v);
        v->reg = AG__NO_REGISTER;
    }
    p->held[reg] = (uint16_t)i;
    p->value[i].reg = (int8_t)reg;
    return reg;
}

static int8_t fetch(program *p, int i) {
    value *v = &p->value[i];
    if (v->reg < 0) put_load(p, take(p, i), v);
    return v->reg;
}

/* Whether operand k of v is better read from memory. */
static bool stays_in_memory(const program *p, const value *v, int k) {
    const value *x = &p->value[v->x[k]];
    if (x->reg >= 0) return false;
    if (x->place == AG__IN_FRAME || x->place == AG__IN_POOL) return true;
    bool once = v->next[k] == NONE || free_register(p) == AG__NO_REGISTER;
    return x->place == AG__IN_SLOT && !(x->type & TRUTH) && once;
}

static void fetch_last(program *p, ag__asm *in, const value *v, int k) {
    const value *x = &p->value[v->x[k]];
    if (stays_in_memory(p, v, k)) {
        in->b = AG__NO_REGISTER;
        in->place = x->place;
        in->at = x->at;
        in->copy = x->copy;
    } else {
        in->b = fetch(p, v->x[k]);
    }
}

static bool commutes(int code) {
    return code == AG_TRACE_ADD || code == AG_TRACE_MUL || code == AG_TRACE_EQUAL || code == AG_TRACE_NOT_EQUAL ||
           code == AG_TRACE_BITS_ADD || code == AG__WHOLE_EQUAL || code == AG__WHOLE_MUL || code == AG__LOW_MUL ||
           (code >= AG_TRACE_AND && code <= AG_TRACE_XOR);
}

/* Load operands into registers, except the last one if it may stay in memory. */
static void fetch_operands(program *p, ag__asm *in, const value *v) {
    bool only_registers =
        v->code == AG__SHIFT_LEFT || v->code == AG__SHIFT_RIGHT || v->code == AG__NARROW_TRUTH || v->code == AG__TURN;
    if (v->operands == 3) {
        in->k = (uint16_t)fetch(p, v->x[0]);
        in->a = fetch(p, v->x[2]);
        fetch_last(p, in, v, 1);
    } else if (v->operands == 2) {
        bool swap = commutes(v->code) && stays_in_memory(p, v, 0) && !stays_in_memory(p, v, 1);
        in->a = fetch(p, v->x[swap ? 1 : 0]);
        fetch_last(p, in, v, swap ? 0 : 1);
    } else if (only_registers) {
        in->k = v->k;
        in->b = fetch(p, v->x[0]);
    } else {
        fetch_last(p, in, v, 0);
    }
}

static void release_operands(program *p, const value *v) {
    for (int k = 0; k < v->operands; k++) {
        value *x = &p->value[v->x[k]];
        x->use = v->next[k];
        if (x->use != NONE || x->reg < 0 || x->reg >= AG__FOLD_REGISTER || p->kept >> x->reg & 1) continue;
        p->held[x->reg] = NONE;
        x->reg = AG__NO_REGISTER;
    }
}

/* Once stored, the value is in memory, and its register is free to take. */
static void put_store(program *p, const value *v) {
    value *x = &p->value[v->x[0]];
    bool truth = v->type & TRUTH;
    ag__asm in = {.code = AG__STORE, .wide = v->type & WIDE, .truth = truth, .at = v->at, .copy = v->copy};
    in.a = fetch(p, v->x[0]);
    in.b = AG__NO_REGISTER;
    put(p, &in);
    if (x->place == AG__NO_PLACE && !truth) x->place = AG__IN_SLOT, x->at = v->at;
    release_operands(p, v);
    vacate(p, v);
}

/* The operand of a fused product that is read from memory: the summand if it can be, else a factor; −1: none. */
static int fused_in_memory(const program *p, const value *v) {
    int k = 2;
    while (k >= 0 && !stays_in_memory(p, v, k)) k--;
    return k;
}

/* The register for v's result that was an operand's, which is not needed any more; else any. */
static int take_over(program *p, int i, const int8_t reg[3]) {
    for (int k = 2; k >= 0; k--) {
        if (reg[k] < 0 || reg[k] >= p->isa->registers || p->held[reg[k]] != NONE) continue;
        p->held[reg[k]] = (uint16_t)i;
        return p->value[i].reg = reg[k];
    }
    return take(p, i);
}

/* The lanes of a fold, or those of the vector of number `copy` in lockstep. */
static int8_t fold_register(int fold, int copy) { return (int8_t)(AG__FOLD_REGISTER + fold + AG__MOST_FOLDS * copy); }

/* Whether c of a·b + c is in a register that is free for the sum. */
static bool sum_is_free(const program *p, const value *v, int8_t reg) {
    return v->next[2] == NONE && reg >= 0 && reg < p->isa->registers && !(p->kept >> reg & 1);
}

/* a·b + c is written over one of its operands: one that is not needed any more, or a copy of c; a copy, which none of
 * them may be in the place of, if it can only be c. */
static void put_fused(program *p, int i) {
    const value *v = &p->value[i];
    int8_t reg[3];
    const int memory = fused_in_memory(p, v);
    for (int k = 0; k < 3; k++) reg[k] = k == memory ? AG__NO_REGISTER : fetch(p, v->x[k]);
    if (memory >= 0) reg[memory] = p->value[v->x[memory]].reg; /* it may be the same as another operand */
    const value *from = &p->value[v->x[memory < 0 ? 2 : memory]];
    ag__asm in = {
        .code = AG_TRACE_FMA, .wide = v->type & WIDE, .place = from->place, .at = from->at, .copy = from->copy};
    const bool other = AG__FMA_ONTO_SUM && !(p->folding && v->fold) && !sum_is_free(p, v, reg[2]);
    if (other) in.y = (int8_t)take(p, i);
    release_operands(p, v);
    if (p->folding && v->fold) in.y = p->value[i].reg = fold_register(v->fold - 1, v->copy);
    else if (!other) in.y = (int8_t)take_over(p, i, reg);
    if (in.y != reg[0] && in.y != reg[1] && in.y != reg[2]) {
        if (reg[2] < 0) put_load(p, in.y, from);
        else put(p, &(ag__asm){.code = AG__COPY, .wide = in.wide, .y = in.y, .b = reg[2]});
        reg[2] = in.y;
    }
    const int f = in.y == reg[0] ? 0 : 1; /* the factor that y replaces, if it does not replace c */
    const bool factor = reg[1 - f] >= 0, sum = in.y == reg[2];
    in.k = (uint16_t)(v->k + (sum ? AG__FMA_231 : factor ? AG__FMA_213 : AG__FMA_132));
    in.a = sum ? (reg[0] >= 0 ? reg[0] : reg[1]) : factor ? reg[1 - f] : reg[2];
    in.b = sum ? (reg[0] >= 0 ? reg[1] : reg[0]) : factor ? reg[2] : reg[1 - f];
    put(p, &in);
    vacate(p, v);
}

/* The elements that are called for are written over the others: over y, if that is not needed any more, or over a copy
 * of it in a register that none of the operands has. */
static void put_rarely(program *p, int i) {
    const value *v = &p->value[i];
    ag__asm in = {.code = AG__RARELY, .wide = v->type & WIDE, .k = v->k};
    memcpy(&in.call, &v->bits, sizeof in.call);
    in.b = fetch(p, v->x[0]), in.a = fetch(p, v->x[1]);
    const int8_t y = fetch(p, v->x[2]);
    const bool last = v->next[2] == NONE && y < p->isa->registers && !(p->kept >> y & 1) && v->x[2] != v->x[1];
    in.y = last ? y : (int8_t)take(p, i);
    if (!last) put(p, &(ag__asm){.code = AG__COPY, .wide = in.wide, .y = in.y, .b = y});
    put(p, &in);
    release_operands(p, v);
    p->held[in.y] = (uint16_t)i;
    p->value[i].reg = in.y;
    vacate(p, v);
}

static void put_value(program *p, int i) {
    const value *v = &p->value[i], *first = &p->value[v->x[0]];
    if (v->code == AG__FINISH) {
        put(p, &(ag__asm){.code = AG__FINISH, .wide = v->type & WIDE, .a = fetch(p, v->x[0]), .at = v->at});
        release_operands(p, v);
        return;
    }
    if (v->code == AG__STORE) {
        if (p->folding && p->slot[v->at].lanes) release_operands(p, v);
        else put_store(p, v);
        return;
    }
    if (v->code == AG_TRACE_FMA || v->code == AG__RARELY) {
        if (v->code == AG_TRACE_FMA) put_fused(p, i);
        else put_rarely(p, i);
        return;
    }
    ag__asm in = {.code = v->code,
                  .wide = (v->operands == 1 ? first : v)->type & WIDE}; /* the operand's width counts */
    fetch_operands(p, &in, v);
    release_operands(p, v);
    if (p->folding && v->fold) in.y = p->value[i].reg = fold_register(v->fold - 1, v->copy);
    else in.y = (int8_t)take(p, i);
    put(p, &in);
    vacate(p, v);
}

static void clear_registers(program *p) {
    for (int r = 0; r < p->isa->registers; r++) p->held[r] = NONE;
    for (int i = 0; i < p->ways * p->values; i++) p->value[i].reg = AG__NO_REGISTER;
}

/* Before the loop, lanes that are folded in the end get the identity element. */
static void start_lanes(program *p) {
    for (const value *f = p->value; f < p->value + p->values; f++) {
        if (f->code != AG__FINISH) continue;
        put_load(p, 0, &p->value[f->x[1]]);
        for (int v = 0; v < AG__LANES / p->lanes; v++)
            put(p, &(ag__asm){.code = AG__START, .wide = f->type & WIDE, .at = f->k, .k = (uint16_t)v});
    }
}

/* Compute the uniform values, and store those that the loop needs in the frame. */
static void put_before(program *p) {
    int n = list(p, BEFORE, 1);
    find_uses(p, n);
    clear_registers(p);
    for (int i = 0; i < n; i++) {
        value *v = &p->value[p->order[i]];
        put_value(p, p->order[i]);
        if (v->hoisted) spill(p, v->reg, v);
    }
    clear_registers(p);
}

/* The most used hoisted values stay in registers throughout the loop; other leaves go to the frame, and those that are
 * stored after the loop too: from where a leaf is, they could not be. */
static void keep(program *p, int registers) {
    for (; registers > 0; registers--) {
        int best = NONE;
        for (int i = 0; i < p->values; i++) {
            const value *v = &p->value[i];
            if (!v->varies && v->uses > 0 && v->reg < 0 && (best == NONE || v->uses > p->value[best].uses)) best = i;
        }
        if (best == NONE) break;
        p->kept |= 1u << take(p, best);
    }
    for (int i = 0; i < p->values; i++) {
        value *v = &p->value[i];
        const bool far = v->place >= AG__IN_SINGLE; /* from there it takes several instructions */
        if (v->varies || !v->hoisted || (v->reg >= 0 && !v->last) || !far) continue;
        put_load(p, p->isa->registers - 1, v);
        spill(p, p->isa->registers - 1, v);
    }
    for (int r = 0; r < p->isa->registers; r++)
        if (p->kept >> r & 1) put_load(p, r, &p->value[p->held[r]]);
}

/* The loop, for a vector or several; returns the number of its instructions. Only kept values are in registers
 * before. */
static int put_loop(program *p, int ways) {
    int n = list(p, LOOP, ways), before = p->instructions;
    p->frame = p->loop_frame;
    p->vacancies = 0;
    find_uses(p, n);
    for (int r = 0; r < p->isa->registers; r++)
        if (!(p->kept >> r & 1)) p->held[r] = NONE;
    for (int i = 0; i < p->ways * p->values; i++)
        if (p->value[i].varies) p->value[i].reg = AG__NO_REGISTER;
    for (int f = 0; p->folding && f < p->folds; f++)
        for (int w = 0; w < ways; w++) p->value[p->lanes_of[f] + w * p->values].reg = fold_register(f, w);
    for (int i = 0; i < n; i++) {
        p->value[p->order[i]].place = AG__NO_PLACE;
        put_value(p, p->order[i]);
    }
    return p->instructions - before;
}

/* The same with the lanes of folds in the last registers. */
static int put_folding_loop(program *p, int registers) {
    unsigned kept = p->kept;
    for (int r = p->isa->registers - registers; r < p->isa->registers; r++) {
        p->kept |= 1u << r;
        p->held[r] = p->lanes_of[0];
    }
    p->folding = true;
    int n = put_loop(p, p->ways);
    p->folding = false;
    p->kept = kept;
    return n;
}

/* After the loop, the folds of lanes; returns the number of instructions. */
static int put_joins(program *p) {
    const int n = list(p, AFTER, 1), before = p->instructions;
    p->kept = 0;
    find_uses(p, n);
    clear_registers(p);
    for (int i = 0; i < n; i++) put_value(p, p->order[i]);
    return p->instructions - before;
}

static void put_after(program *p, int slots) {
    for (int s = 0; s < slots; s++) {
        if (!is_single_out(p, s)) continue;
        const value *v = &p->value[p->of_slot[s]];
        put(p, &(ag__asm){.code = AG__STORE,
                          .wide = v->type & WIDE,
                          .truth = v->type & TRUTH,
                          .place = v->place,
                          .at = v->at,
                          .k = (uint16_t)s});
    }
}

static bool has_lanes(const program *p, int slots) {
    bool any = false;
    for (int s = 0; s < slots; s++) any = any || p->slot[s].lanes;
    return any;
}

static void call_each(char *registers, uint32_t what, ag_rare_function *f, uint32_t bytes) {
    char *y = registers + (what >> 16 & 31) * bytes, *a = registers + (what >> 21 & 31) * bytes;
    const int j = (int)(what >> 27);
    for (int lane = 0; lane < 16; lane++) {
        double x = 0;
        float narrow = 0;
        if (!(what >> lane & 1)) continue;
        if (what >> 26 & 1) {
            memcpy(&x, a + 8 * lane, sizeof x);
            x = f(x, j);
            memcpy(y + 8 * lane, &x, sizeof x);
        } else {
            memcpy(&narrow, a + 4 * lane, sizeof narrow);
            narrow = (float)f((double)narrow, j);
            memcpy(y + 4 * lane, &narrow, sizeof narrow);
        }
    }
}

/* Vectors in lockstep keep the processor busy where each value waits for the one before: two of them, or four if the
 * program is too long for the processor to overlap rounds. More of them run short of registers, and lose the gain to
 * loads and stores. The lanes of folds are in registers too if there is room, and one vector is worked on at a time or
 * as many as have all lanes. */
static ag__machine allocate(program *p, int slots) {
    enum { SHORT = AG__LIMIT(12, 4), LONG = AG__LIMIT(24, 12), SPARE = 2 };
    ag__machine m = {.isa = p->isa, .slots = slots, .slot = p->slot, .lanes = p->lanes};
    p->frame = p->most_frame = p->isa->frame;
    mark_needed(p, slots);
    find_folds(p, slots);
    place_constants(p);
    int n = list(p, LOOP, 1);
    p->ways = n <= SHORT ? 1 : n <= LONG ? 2 : MOST_WAYS;
    if (p->ways > p->most_ways) p->ways = p->most_ways;
    while (has_lanes(p, slots) && p->ways * p->lanes > AG__LANES)
        p->ways /= 2; /* otherwise two would add to the same lanes */
    m.ways = p->ways;
    make_twins(p);
    if (p->ways > 1) n = list(p, LOOP, p->ways);
    find_uses(p, n);
    for (int i = 0; i < p->values; i++)
        if (!p->value[i].varies && p->value[i].use != NONE) p->value[i].hoisted = true;
    int left = p->isa->registers - SPARE - pressure(p, n), lanes = p->folds * AG__LANES / p->lanes;
    bool whole = p->ways == 1 || p->ways * p->lanes == AG__LANES;
    if (whole && lanes <= left) m.folds = p->folds;
    put_before(p);
    start_lanes(p);
    keep(p, m.folds ? left - lanes : left);
    p->loop_frame = p->frame;
    m.before = p->instructions;
    if (m.folds) m.ahead = put_folding_loop(p, lanes);
    else if (p->ways > 1) m.ahead = put_loop(p, p->ways);
    m.loop = put_loop(p, 1);
    m.join = put_joins(p);
    const int done = p->instructions;
    put_after(p, slots);
    m.after = p->instructions - done;
    m.instruction = p->instruction;
    m.frame = p->most_frame;
    if (m.frame > AG__MOST_SPILLED * p->isa->vector) p->failed = p->crowded = true;
    m.fold_slot = p->fold_slot;
    m.base = p->base;
    m.pool = p->pool;
    m.pool_wide = p->pool_wide;
    m.constants = p->constants;
    m.call_each = call_each;
    return m;
}

/* ---- Pages ---- */

static void *map_pages(size_t bytes) {
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static bool seal_pages(void *pages, size_t bytes) { return mprotect(pages, bytes, PROT_READ | PROT_EXEC) == 0; }

static void unmap_pages(void *pages, size_t bytes) { munmap(pages, bytes); }

ag__pages ag__code_pages = {map_pages, seal_pages, unmap_pages};

/* ---- The tape's programs ---- */

enum { BUCKETS = AG__LIMIT(64, 2) };

typedef struct entry { /* a compiled program, and its pages; the slots follow the steps */
    struct entry *next, *next_by_code;
    uint64_t hash;
    ag__code *code;
    void *pages;
    size_t bytes, page_bytes;
    uint32_t uses;
    int steps, slots;
    ag__code_step step[];
} entry;

struct ag__programs {
    entry *bucket[BUCKETS], *by_code[BUCKETS];
    size_t mapped;
    uint32_t traces; /* traces recorded so far */
};

static const ag__code_slot *slots_of(const entry *e) { return (const ag__code_slot *)(e->step + e->steps); }

static uint64_t hash_program(int steps, const ag__code_step *step, int slots, const ag__code_slot *slot) {
    uint64_t h = (uint64_t)steps << 32 | (uint64_t)slots;
    for (const ag__code_step *s = step; s < step + steps; s++) {
        h = ag__mix(h, (uint64_t)(uintptr_t)s->op);
        h = ag__mix(h, (uint64_t)s->dtype | (uint64_t)s->n << 8 | (uint64_t)s->y << 16 | (uint64_t)s->attributes << 32);
        for (int i = 0; i < s->n; i++) h = ag__mix(h, s->x[i]);
    }
    for (int i = 0; i < slots; i++) {
        const ag__code_slot *s = &slot[i];
        h = ag__mix(h, (uint64_t)s->result << 8 | (uint64_t)s->dtype << 4 | (uint64_t)s->past << 3 |
                           (uint64_t)s->lanes << 2 | (uint64_t)s->one << 1 | s->out);
    }
    return h;
}

static bool same_step(const ag__code_step *a, const ag__code_step *b) {
    return a->op == b->op && a->dtype == b->dtype && a->n == b->n && a->y == b->y && a->attributes == b->attributes &&
           memcmp(a->x, b->x, a->n * sizeof *a->x) == 0;
}

static bool same_slot(const ag__code_slot *a, const ag__code_slot *b) {
    return a->dtype == b->dtype && a->one == b->one && a->out == b->out && a->lanes == b->lanes && a->past == b->past &&
           a->result == b->result;
}

static bool is_entry_of(const entry *e, uint64_t hash, int steps, const ag__code_step *step, int slots,
                        const ag__code_slot *slot) {
    bool equal = e->hash == hash && e->steps == steps && e->slots == slots;
    for (int i = 0; equal && i < steps; i++) equal = same_step(&e->step[i], &step[i]);
    for (int i = 0; equal && i < slots; i++) equal = same_slot(&slots_of(e)[i], &slot[i]);
    return equal;
}

static size_t page_bytes(void) {
    long bytes = sysconf(_SC_PAGESIZE);
    return bytes > 0 ? (size_t)bytes : 4096;
}

/* Write the code into pages of its own; their size is known after a first pass. Executable memory is never writable. */
static bool install(ag_tape *tape, const ag__machine *m, entry *e) {
    size_t entry_point, page = page_bytes(), size = m->isa->assemble(m, NULL, 0, &entry_point);
    e->page_bytes = (size + page - 1) / page * page;
    uint8_t *pages = ag__code_pages.map(e->page_bytes), *start;
    if (!pages) return false;
    m->isa->assemble(m, pages, e->page_bytes, &entry_point);
    __builtin___clear_cache((char *)pages, (char *)pages + e->page_bytes); /* of instructions, where that is another */
    if (!ag__code_pages.seal(pages, e->page_bytes)) {
        ag__code_pages.unmap(pages, e->page_bytes);
        return false;
    }
    start = pages + entry_point;
    memcpy(&e->code, &start, sizeof e->code);
    e->pages = pages;
    tape->programs->mapped += e->page_bytes;
    return true;
}

static bool has_dtype(const ag__code_step *step, const ag__code_slot *slot, int dtype) {
    bool has = slot[step->y].dtype == dtype;
    for (int i = 0; i < step->n; i++) has = has || slot[step->x[i]].dtype == dtype;
    return has;
}

/* The number of values that a recorded step may become, with constants and conversions between widths. */
static int values_in(const ag__traced *v, bool whole) {
    enum { MOST_OF_WHOLE = 32 };
    if (whole) return MOST_OF_WHOLE;
    switch (v->code) {
    case AG__TRACE_RESULT: return 2; /* a copy, and a store */
    case AG_TRACE_FMA: return 2;     /* a copy of its summand */
    case AG_TRACE_TO_BITS:
    case AG_TRACE_FROM_BITS: return 0;
    case AG__TRACE_CONVERT:
    case AG__TRACE_RARELY:
    case AG__TRACE_SELECT: return 3;
    case AG_TRACE_AND:
    case AG_TRACE_OR:
    case AG_TRACE_XOR:
    case AG_TRACE_NEG:
    case AG_TRACE_ABS:
    case AG_TRACE_NOT: return 2;
    default: return is_comparison(v->code) ? 4 : 1;
    }
}

/* A vector has no more lanes than there are. */
static int lanes_of(const program *p, int slots) {
    int lanes = p->isa->vector / (p->wide ? 8 : 4);
    return lanes > AG__LANES && has_lanes(p, slots) ? AG__LANES : lanes;
}

/* Measure the room needed, by recording each formula once; false if the program is too large or a formula is
 * invalid. */
static bool measure(program *p, int slots, int steps, const ag__code_step *step) {
    enum { MOST_VALUES = UINT16_MAX / MOST_WAYS, JOINS = 8 }; /* of the lanes of one vector, and a little more */
    p->room = 8;
    for (int i = 0; i < steps; i++)
        p->wide = p->wide || has_dtype(&step[i], p->slot, AG_F64) || has_dtype(&step[i], p->slot, AG_I64);
    p->lanes = lanes_of(p, slots);
    for (int i = 0; i < steps && p->room < MOST_VALUES && !p->trace.failed; i++) {
        trace_step(p, &step[i]);
        bool whole = has_dtype(&step[i], p->slot, AG_I64);
        int values = 0;
        for (int k = 0; k < p->trace.count; k++) values += values_in(&p->trace.value[k], whole);
        p->room += p->slot[step[i].y].result ? (AG__LANES / p->lanes + JOINS) * (values + 1) : values;
    }
    p->instruction_room = (2 + MOST_WAYS) * p->room;
    p->table_mask = 15;
    while (p->table_mask < (unsigned)p->room * 2) p->table_mask = p->table_mask * 2 + 1;
    return !p->trace.failed && p->room < MOST_VALUES;
}

static void *part(char *memory, size_t *used, size_t bytes) {
    void *p = memory ? memory + *used : NULL;
    *used += (bytes + 15) / 16 * 16;
    return p;
}

/* Divide up memory; returns the bytes needed. memory NULL: only that. */
static size_t lay_out(program *p, int slots, char *memory) {
    size_t n = (size_t)p->room, used = 0;
    p->value = part(memory, &used, MOST_WAYS * n * sizeof *p->value);
    p->instruction = part(memory, &used, (size_t)p->instruction_room * sizeof *p->instruction);
    p->table = part(memory, &used, ((size_t)p->table_mask + 1) * sizeof *p->table);
    p->order = part(memory, &used, MOST_WAYS * n * sizeof *p->order);
    p->of_slot = part(memory, &used, (size_t)slots * sizeof *p->of_slot);
    p->pool = part(memory, &used, n * sizeof *p->pool);
    p->pool_wide = part(memory, &used, n * sizeof *p->pool_wide);
    p->base = part(memory, &used, (size_t)slots * sizeof *p->base);
    return used;
}

static bool make_code(ag_tape *tape, program *p, entry *e) {
    size_t bytes = lay_out(p, e->slots, NULL);
    char *memory = ag__resize(tape, NULL, 0, bytes);
    if (!memory) return false;
    lay_out(p, e->slots, memory);
    p->value[0] = (value){0}; /* failures return this index */
    memset(p->table, 0xff, ((size_t)p->table_mask + 1) * sizeof *p->table);
    memset(p->of_slot, 0xff, (size_t)e->slots * sizeof *p->of_slot);
    for (int i = 0; i < e->steps && !p->failed; i++) add_step(p, &e->step[i]);
    for (int i = 0; i < e->steps && !p->failed; i++)
        if (p->slot[e->step[i].y].result) join_lanes(p, &e->step[i]);
    ag__machine m = {0};
    if (!p->failed) m = allocate(p, e->slots);
    bool good = !p->failed && install(tape, &m, e);
    ag__resize(tape, memory, bytes, 0);
    return good;
}

/* With fewer vectors in lockstep if the frame would be too large; but one alone waits at each step, so that many
 * operations are better in several programs. */
static bool compile(ag_tape *tape, entry *e) {
    ag_trace trace = {.tape = tape, .number = tape->programs->traces};
    bool good = false, again = true;
    for (int ways = MOST_WAYS; again; ways /= 2) {
        program p = {.trace = trace, .isa = tape->isa, .slot = slots_of(e), .most_ways = ways};
        good = measure(&p, e->slots, e->steps, e->step) && make_code(tape, &p, e);
        again = p.crowded && ways > (e->steps > AG__FEWEST_TRIED ? 2 : 1);
        trace = p.trace;
        trace.failed = false;
    }
    tape->programs->traces = trace.number;
    ag__trace_free(&trace);
    return good;
}

static entry **by_code(struct ag__programs *all, ag__code *code) {
    uintptr_t address;
    memcpy(&address, &code, sizeof address);
    return &all->by_code[address / 4096 % BUCKETS];
}

static ag__code *compile_new(ag_tape *tape, uint64_t hash, int steps, const ag__code_step *step, int slots,
                             const ag__code_slot *slot) {
    size_t bytes = sizeof(entry) + (size_t)steps * sizeof *step + (size_t)slots * sizeof *slot;
    entry *e = ag__resize(tape, NULL, 0, bytes), **bucket = &tape->programs->bucket[hash % BUCKETS];
    if (!e) return NULL;
    *e = (entry){.next = *bucket, .hash = hash, .bytes = bytes, .uses = 1, .steps = steps, .slots = slots};
    memcpy(e->step, step, (size_t)steps * sizeof *step);
    memcpy(e->step + steps, slot, (size_t)slots * sizeof *slot);
    if (!compile(tape, e)) {
        ag__resize(tape, e, bytes, 0);
        return NULL;
    }
    e->next_by_code = *by_code(tape->programs, e->code);
    *by_code(tape->programs, e->code) = *bucket = e;
    return e->code;
}

static void give_back(ag_tape *tape, entry *e) {
    struct ag__programs *all = tape->programs;
    entry **at = &all->bucket[e->hash % BUCKETS];
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    all->mapped -= e->page_bytes;
    ag__code_pages.unmap(e->pages, e->page_bytes);
    ag__resize(tape, e, e->bytes, 0);
}

/* ---- For the evaluator ---- */

/* Not all have an instruction for the nearest i64. */
bool ag__compilable(const ag_tape *tape, const ag__code_step *step, const ag__code_slot *slots) {
    bool to_whole = slots[step->y].dtype == AG_I64 && (step->dtype == AG_F32 || step->dtype == AG_F64);
    return tape->isa && step->op->trace[step->dtype] && (!to_whole || tape->isa->whole);
}

/* Used once more; NULL: there is none. */
static ag__code *find(struct ag__programs *all, uint64_t hash, int steps, const ag__code_step *step, int slots,
                      const ag__code_slot *slot) {
    for (entry *e = all->bucket[hash % BUCKETS]; e; e = e->next)
        if (is_entry_of(e, hash, steps, step, slots, slot) && e->uses < UINT32_MAX) return e->uses++, e->code;
    return NULL;
}

ag__code *ag__compile(ag_tape *tape, int steps, const ag__code_step *step, int slots, const ag__code_slot *slot) {
    if (!tape->compile || !tape->isa || slots > NONE) return NULL;
    for (int i = 0; i < steps; i++)
        if (!ag__compilable(tape, &step[i], slot)) return NULL;
    if (!tape->programs) {
        if (!(tape->programs = ag__resize(tape, NULL, 0, sizeof *tape->programs))) return NULL;
        *tape->programs = (struct ag__programs){0};
    }
    uint64_t hash = hash_program(steps, step, slots, slot);
    ag__code *code = find(tape->programs, hash, steps, step, slots, slot);
    if (code || tape->programs->mapped >= AG__CODE_BYTES) return code;
    return compile_new(tape, hash, steps, step, slots, slot);
}

ag__code *ag__compiled(ag_tape *tape, int steps, const ag__code_step *step, int slots, const ag__code_slot *slot) {
    if (!tape->compile || !tape->isa || !tape->programs) return NULL;
    return find(tape->programs, hash_program(steps, step, slots, slot), steps, step, slots, slot);
}

void ag__code_release(ag_tape *tape, ag__code *code) {
    entry **at = by_code(tape->programs, code), *e;
    while ((*at)->code != code) at = &(*at)->next_by_code;
    e = *at;
    if (--e->uses > 0) return;
    *at = e->next_by_code;
    give_back(tape, e);
}

void ag__code_free(ag_tape *tape) {
    struct ag__programs *all = tape->programs;
    if (!all) return;
    for (int i = 0; i < BUCKETS; i++)
        for (entry *next; all->bucket[i]; all->bucket[i] = next) {
            next = all->bucket[i]->next;
            give_back(tape, all->bucket[i]);
        }
    ag__resize(tape, all, sizeof *all, 0);
    tape->programs = NULL;
}

#else

bool ag__compilable(const ag_tape *tape, const ag__code_step *step, const ag__code_slot *slots) {
    return (void)tape, (void)step, (void)slots, false;
}

ag__code *ag__compile(ag_tape *tape, int steps, const ag__code_step *step, int slots, const ag__code_slot *slot) {
    (void)tape, (void)steps, (void)step, (void)slots, (void)slot;
    return NULL;
}

ag__code *ag__compiled(ag_tape *tape, int steps, const ag__code_step *step, int slots, const ag__code_slot *slot) {
    return ag__compile(tape, steps, step, slots, slot);
}

void ag__code_release(ag_tape *tape, ag__code *code) { (void)tape, (void)code; }

void ag__code_free(ag_tape *tape) { (void)tape; }

ag__pages ag__code_pages = {NULL, NULL, NULL};

#endif

/* ---- Instruction sets ---- */

/* All of this build, the best one first. */
static const ag__isa *const isas[] = {
#if AG__X86_64
    &ag__isa_avx512, &ag__isa_avx2,
#endif
#if AG__AARCH64
    &ag__isa_neon,
#endif
    NULL};

const ag__isa *ag__isa_of(const char *wish) {
    const ag__isa *best = NULL;
    if (wish && strcmp(wish, "none") == 0) return NULL;
    for (const ag__isa *const *isa = isas; *isa; isa++) {
        if (!(*isa)->runs()) continue;
        if (!wish || strcmp((*isa)->name, wish) == 0) return *isa;
        best = best ? best : *isa;
    }
    return best;
}
