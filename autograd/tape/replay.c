/* replay -- traces made into replays, and run
 *
 * Recorded steps that the result depends on become values with a type; then values get places: those that are the
 * same for all elements have one group of elements (constants for good, the others as long as a run lasts), those that
 * vary a strip of scratch memory, which is reused after their last use. Traces are valid here that are for compile.c,
 * except that of a huge one too many values may be needed at a time.
 *
 * Replays are found by operation and dtypes, and are made while operations are recorded: an evaluation only looks them
 * up, so that none can fail then. Those of the library's operations are the process's, one list for all tapes, to which
 * threads add without a lock; those of a user's operation, whose entry may go before the process ends, are a tape's. */
#include "autograd/tape/replay.h"
#include "autograd/tape/basis.h"
#include "autograd/tape/hash.h"
#include "autograd/tape/tracing.h"

#include <math.h>
#include <string.h>

enum {
    GROUP = 8,                              /* elements that a step computes at a time */
    GROUP_BYTES = 64,                       /* room for as many of 64 bits */
    MOST_LANES = AG__LIMIT(256, 2 * GROUP), /* elements of a strip; fewer if there are many values */
    FRAME = 32 * 1024,                      /* bytes of scratch memory, on the stack */
    BUCKETS = AG__LIMIT(64, 2),
    SHARED_BUCKETS = AG__LIMIT(512, 8)
};
enum { WIDE = 1, TRUTH = 2, WHOLE = 4 }; /* types: of 64 bits; a truth value, of all bits or none; i64 */

/* Codes of steps beside those of ag_trace_code, and of values that are not steps. */
enum {
    SELECT = AG_TRACE_CODES, /* a ? b : c */
    SHIFT_LEFT,
    SHIFT_RIGHT,
    RARELY,    /* a ? call(b, k) : c */
    WHOLE_MUL, /* of i64 */
    WHOLE_LESS,
    WHOLE_LESS_EQUAL,
    WHOLE_EQUAL,
    WHOLE_MAX,
    WHOLE_MIN,
    FROM_WHOLE,   /* to f64, */
    NARROW_WHOLE, /* to f32, */
    TO_WHOLE,     /* from f64 */
    NARROW,       /* f64 to f32 */
    WIDEN,
    NARROW_TRUTH, /* a truth value of 64 bits to one of 32 */
    WIDEN_TRUTH,
    INPUT, /* k: which */
    ATTRIBUTE,
    CONSTANT
};

/* Places of values. */
enum { IN_POOL, IN_ONCE, IN_STRIP, PLACES };

typedef struct operand {
    uint16_t at;
    uint8_t place, step; /* step: bytes from a group to the next; 0: all are the same */
} operand;

typedef struct step {
    uint8_t code;
    bool wide;
    uint8_t k;
    operand x[3], y;
    ag_rare_function *call;
} step;

typedef struct source { /* an input, or a number of the attributes */
    uint16_t k;
    uint8_t type, dtype;
    operand y;
} source;

/* The sources and steps are behind it, and the constants, a group each. */
struct ag__replay {
    ag__replay *next;
    const ag_op *op;
    uint64_t dtypes;
    size_t bytes;
    uint32_t inputs, attributes, once,
        steps;                    /* sources of each kind; steps, the first `once` of them before the strips */
    uint32_t once_groups, strips; /* values in memory */
    uint8_t each;                 /* bytes of an element in a strip */
    uint8_t to;
    operand result;
    const char *pool;
    const step *step;
    source source[];
};

struct ag__replays {
    ag__replay *bucket[BUCKETS];
    uint32_t traces; /* so far */
};

/* ---- Steps ---- */

typedef struct memory {
    char *base[PLACES];
    size_t unit[PLACES];
} memory;

AG__ALWAYS_INLINE char *address(const memory *at, operand o) { return at->base[o.place] + o.at * at->unit[o.place]; }

typedef float AG__MAY_ALIAS lane_f32;
typedef uint32_t AG__MAY_ALIAS lane_u32;
typedef int32_t AG__MAY_ALIAS lane_s32;
typedef double AG__MAY_ALIAS lane_f64;
typedef uint64_t AG__MAY_ALIAS lane_u64;
typedef int64_t AG__MAY_ALIAS lane_s64;

#define RUN(part) run_narrow##part
#define IS_WIDE 0
#define V lane_f32
#define U lane_u32
#define S lane_s32
#define F(name) name##f
#include "autograd/tape/replay_lanes.h"

#define RUN(part) run_wide##part
#define IS_WIDE 1
#define V lane_f64
#define U lane_u64
#define S lane_s64
#define F(name) name
#include "autograd/tape/replay_lanes.h"

static void run_steps(const step *s, const step *end, const memory *at, int64_t n) {
    const int64_t groups = (n + GROUP - 1) / GROUP;
    while (s < end) s = (s->wide ? run_wide : run_narrow)(s, end, at, groups, n);
    ag__leave_vectors();
}

/* ---- Between steps and memory ---- */

/* Elements, with the last one repeated to a whole group. */
static void load_32(lane_u32 *y, const void *from, int64_t n) {
    const lane_u32 *x = from;
    for (int64_t i = 0; i < n; i++) y[i] = x[i];
    for (int64_t i = n; i % GROUP; i++) y[i] = x[n - 1];
}
static void load_64(lane_u64 *y, const void *from, int64_t n) {
    const lane_u64 *x = from;
    for (int64_t i = 0; i < n; i++) y[i] = x[i];
    for (int64_t i = n; i % GROUP; i++) y[i] = x[n - 1];
}
static void load_truths(char *y, const unsigned char *x, int64_t n, bool wide) {
    for (int64_t i = 0; i < n || i % GROUP; i++) {
        const bool truth = x[i < n ? i : n - 1];
        if (wide) ((lane_u64 *)(void *)y)[i] = (lane_u64)0 - truth;
        else ((lane_u32 *)(void *)y)[i] = (lane_u32)0 - truth;
    }
}

static void load(const source *s, char *y, const char *x, int64_t start, int64_t n) {
    if (s->type & TRUTH) load_truths(y, (const unsigned char *)x + start, n, s->type & WIDE);
    else if (s->type & WIDE) load_64((lane_u64 *)(void *)y, x + 8 * start, n);
    else load_32((lane_u32 *)(void *)y, x + 4 * start, n);
}

/* A number of the attributes, in each element of a group; in i64 as a processor converts it. */
static void load_attribute(const source *s, char *y, const void *attributes) {
    const double number = ((const double *)attributes)[s->k];
    for (int i = 0; i < GROUP; i++)
        if (s->type & WHOLE)
            ((lane_s64 *)(void *)y)[i] = number >= -0x1p63 && number < 0x1p63 ? (int64_t)number : INT64_MIN;
        else if (s->type & WIDE) ((lane_f64 *)(void *)y)[i] = number;
        else ((lane_f32 *)(void *)y)[i] = (float)number;
}

static size_t bytes_of(int dtype) { return dtype == AG_BOOL ? 1 : dtype == AG_F32 ? 4 : 8; }

/* The result, which may be the same for all elements. */
static void store(const ag__replay *p, const char *x, char *y, int64_t n) {
    const size_t bytes = bytes_of(p->to), along = p->result.step;
    if (p->to != AG_BOOL && along) {
        memcpy(y, x, (size_t)n * bytes);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        if (p->to == AG_BOOL) y[i] = x[(size_t)i * (along / GROUP)] & 1;
        else memcpy(y + (size_t)i * bytes, x, bytes);
}

void ag__replay_run(const ag__replay *p, int64_t n, void *y, const void *const x[], const void *attributes) {
    _Alignas(GROUP_BYTES) char frame[FRAME];
    const size_t once = (size_t)p->once_groups * GROUP_BYTES,
                 room = (FRAME - once) / p->each / (p->strips + !p->strips);
    const int64_t most = room < MOST_LANES ? (int64_t)(room / GROUP * GROUP) : MOST_LANES;
    const int64_t strip = n < most ? (n + GROUP - 1) / GROUP * GROUP : most;
    const memory at = {{(char *)(uintptr_t)p->pool, frame, frame + once},
                       {GROUP_BYTES, GROUP_BYTES, (size_t)strip * p->each}};
    const source *in = p->source, *number = in + p->inputs;
    for (uint32_t k = 0; k < p->attributes; k++) load_attribute(&number[k], address(&at, number[k].y), attributes);
    run_steps(p->step, p->step + p->once, &at, GROUP);
    for (int64_t start = 0; start < n; start += strip) {
        const int64_t count = n - start < strip ? n - start : strip;
        for (uint32_t k = 0; k < p->inputs; k++) load(&in[k], address(&at, in[k].y), x[in[k].k], start, count);
        run_steps(p->step + p->once, p->step + p->steps, &at, count);
        store(p, address(&at, p->result), (char *)y + (size_t)start * bytes_of(p->to), count);
    }
}

/* ---- Values ---- */

typedef struct value {
    uint8_t code, type, operands;
    bool varies; /* from element to element */
    uint16_t k;
    uint32_t x[3];
    uint32_t last; /* the value that uses it last; of a result none */
    uint32_t next; /* one more than the constant before it with the same hash; 0: none */
    uint64_t bits; /* of a constant, or of a function's address */
    operand y;
} value;

enum { BUCKETS_OF_CONSTANTS = AG__LIMIT(64, 2) };

typedef struct maker {
    ag_trace trace;
    const ag_op *op;
    bool shared; /* the replay will be the process's */
    uint8_t dtype[AG__MOST_INPUTS];
    uint8_t last, to; /* the dtype of the last input, and of the result */
    bool wide;        /* the width of numbers and truth values */
    value *value;
    uint32_t count, room;
    uint32_t *of; /* the value of each recorded step */
    bool failed, no_memory;
    uint32_t bucket[BUCKETS_OF_CONSTANTS]; /* one more than the last constant with this hash; 0: none */
    uint32_t constants, once, strips;
    uint32_t free_strips; /* their number, and which: */
    uint16_t *vacant;
} maker;

static uint32_t fail(maker *m) { return m->failed = true, 0; }

static bool grow(maker *m) {
    const uint32_t room = m->room ? 2 * m->room : 64;
    value *more = ag__resize(m->trace.tape, m->value, m->room * sizeof *more, room * sizeof *more);
    if (!more) return m->failed = m->no_memory = true, false;
    m->value = more;
    m->room = room;
    return true;
}

static uint32_t add(maker *m, value v) {
    for (int i = 0; i < v.operands; i++) v.varies = v.varies || m->value[v.x[i]].varies;
    if (m->failed || (m->count == m->room && !grow(m))) return 0;
    m->value[m->count] = v;
    return m->count++;
}

static uint32_t constant(maker *m, uint64_t bits, int type) {
    if (!(type & WIDE)) bits &= UINT32_MAX;
    uint32_t *last = &m->bucket[(ag__mix((uint64_t)type, bits) >> 32) % BUCKETS_OF_CONSTANTS];
    for (uint32_t i = *last; i > 0; i = m->value[i - 1].next)
        if (m->value[i - 1].type == type && m->value[i - 1].bits == bits) return i - 1;
    const uint32_t i = add(m, (value){.code = CONSTANT, .type = (uint8_t)type, .bits = bits, .next = *last});
    if (!m->failed) *last = i + 1;
    return i;
}

static uint32_t number(maker *m, double number, int wide) {
    const float narrow = (float)number;
    uint64_t bits = 0;
    if (wide) memcpy(&bits, &number, sizeof number);
    else {
        uint32_t low;
        memcpy(&low, &narrow, sizeof low);
        bits = low;
    }
    return constant(m, bits, wide);
}

static uint32_t operation(maker *m, int code, int type, int n, uint32_t a, uint32_t b, uint32_t c) {
    return add(m, (value){.code = (uint8_t)code, .type = (uint8_t)type, .operands = (uint8_t)n, .x = {a, b, c}});
}

static int type_of(int dtype) { return dtype == AG_I64 ? WIDE | WHOLE : dtype == AG_F64 ? WIDE : 0; }
static int type_at(const maker *m, uint32_t a) { return m->value[a].type; }
static bool is_truth(const maker *m, uint32_t a) { return type_at(m, a) & TRUTH; }
static bool is_whole(const maker *m, uint32_t a) { return type_at(m, a) & WHOLE; }

static uint32_t in_width(maker *m, uint32_t a, int wide) { /* a truth value */
    if ((type_at(m, a) & WIDE) == wide) return a;
    return operation(m, wide ? WIDEN_TRUTH : NARROW_TRUTH, TRUTH | wide, 1, a, 0, 0);
}

/* ---- The values of recorded steps ---- */

static bool is_comparison(int code) { return code >= AG_TRACE_LESS && code <= AG_TRACE_NOT_EQUAL; }

static uint32_t opposite(maker *m, uint32_t a) { return operation(m, AG_TRACE_NOT, type_at(m, a), 1, a, 0, 0); }

static uint32_t whole_arithmetic(maker *m, int code, uint32_t a, uint32_t b) {
    enum { TYPE = WIDE | WHOLE, IS = WIDE | TRUTH };
    switch (code) {
    case AG_TRACE_ADD: return operation(m, AG_TRACE_BITS_ADD, TYPE, 2, a, b, 0);
    case AG_TRACE_SUB: return operation(m, AG_TRACE_BITS_SUB, TYPE, 2, a, b, 0);
    case AG_TRACE_NEG: return operation(m, AG_TRACE_BITS_SUB, TYPE, 2, constant(m, 0, TYPE), a, 0);
    case AG_TRACE_MUL: return operation(m, WHOLE_MUL, TYPE, 2, a, b, 0);
    case AG_TRACE_ABS: return operation(m, WHOLE_MAX, TYPE, 2, a, whole_arithmetic(m, AG_TRACE_NEG, a, 0), 0);
    case AG_TRACE_MAX: return operation(m, WHOLE_MAX, TYPE, 2, a, b, 0);
    case AG_TRACE_MIN: return operation(m, WHOLE_MIN, TYPE, 2, a, b, 0);
    case AG_TRACE_LESS: return operation(m, WHOLE_LESS, IS, 2, a, b, 0);
    case AG_TRACE_LESS_EQUAL: return operation(m, WHOLE_LESS_EQUAL, IS, 2, a, b, 0);
    case AG_TRACE_EQUAL: return operation(m, WHOLE_EQUAL, IS, 2, a, b, 0);
    case AG_TRACE_NOT_EQUAL: return opposite(m, operation(m, WHOLE_EQUAL, IS, 2, a, b, 0));
    default: return fail(m);
    }
}

static uint32_t arithmetic(maker *m, int code, int operands, uint32_t a, uint32_t b) {
    const int type = type_at(m, a);
    if ((type & TRUTH) || (operands > 1 && type_at(m, b) != type)) return fail(m);
    if (type & WHOLE) return whole_arithmetic(m, code, a, b);
    if (code == AG_TRACE_INTEGER && type & WIDE) return fail(m);
    return operation(m, code, is_comparison(code) ? type | TRUTH : type, operands, a, b, 0);
}

static uint32_t bitwise(maker *m, int code, uint32_t a, uint32_t b) {
    if (is_truth(m, a) != is_truth(m, b)) return fail(m);
    if (is_truth(m, a)) a = in_width(m, a, type_at(m, b) & WIDE);
    return type_at(m, a) == type_at(m, b) ? operation(m, code, type_at(m, a), 2, a, b, 0) : fail(m);
}

/* A comparison of truth values: false < true. */
static uint32_t compared_truths(maker *m, int code, uint32_t a, uint32_t b) {
    switch (code) {
    case AG_TRACE_LESS: return bitwise(m, AG_TRACE_AND, opposite(m, a), b);
    case AG_TRACE_LESS_EQUAL: return bitwise(m, AG_TRACE_OR, opposite(m, a), b);
    case AG_TRACE_EQUAL: return opposite(m, bitwise(m, AG_TRACE_XOR, a, b));
    default: return bitwise(m, AG_TRACE_XOR, a, b);
    }
}

static uint32_t choice(maker *m, uint32_t a, uint32_t b, uint32_t c) {
    if (!is_truth(m, a)) return fail(m);
    if (is_truth(m, b)) b = in_width(m, b, type_at(m, c) & WIDE);
    const int type = type_at(m, b);
    return type == type_at(m, c) ? operation(m, SELECT, type, 3, in_width(m, a, type & WIDE), b, c) : fail(m);
}

static uint32_t fused_product(maker *m, uint32_t a, uint32_t b, uint32_t c) {
    const int type = type_at(m, a);
    if ((type & (TRUTH | WHOLE)) || type_at(m, b) != type || type_at(m, c) != type) return fail(m);
    return operation(m, AG_TRACE_FMA, type, 3, a, b, c);
}

static uint32_t rarely(maker *m, const ag__traced *t, uint32_t truth, uint32_t x, uint32_t y) {
    const int type = type_at(m, x);
    if (!is_truth(m, truth) || (type & (TRUTH | WHOLE)) || type_at(m, y) != type) return fail(m);
    return add(m, (value){.code = RARELY,
                          .type = (uint8_t)type,
                          .operands = 3,
                          .x = {in_width(m, truth, type & WIDE), x, y},
                          .k = (uint16_t)t->k,
                          .bits = t->constant});
}

static uint32_t shift(maker *m, uint32_t a, int places) {
    if (is_truth(m, a) || is_whole(m, a)) return fail(m);
    const int code = places < 0 ? SHIFT_RIGHT : SHIFT_LEFT;
    return add(m, (value){.code = (uint8_t)code,
                          .type = m->value[a].type,
                          .operands = 1,
                          .x = {a},
                          .k = (uint16_t)(places < 0 ? -places : places)});
}

static uint32_t converted(maker *m, uint32_t a, int dtype) {
    const int type = type_at(m, a), to = type_of(dtype), wide = to & WIDE;
    if (dtype == AG_BOOL)
        return type & TRUTH ? a : arithmetic(m, AG_TRACE_NOT_EQUAL, 2, a, constant(m, 0, type & (WIDE | WHOLE)));
    if (type & TRUTH) {
        const uint32_t one = to & WHOLE ? constant(m, 1, to) : number(m, 1, wide);
        return operation(m, AG_TRACE_AND, to, 2, in_width(m, a, wide), one, 0);
    }
    if (type == to) return a;
    if (to & WHOLE) return operation(m, TO_WHOLE, to, 1, type & WIDE ? a : operation(m, WIDEN, WIDE, 1, a, 0, 0), 0, 0);
    if (type & WHOLE) return operation(m, wide ? FROM_WHOLE : NARROW_WHOLE, to, 1, a, 0, 0);
    return operation(m, wide ? WIDEN : NARROW, to, 1, a, 0, 0);
}

static uint32_t input(maker *m, int k) {
    const int dtype = m->dtype[k], type = dtype == AG_BOOL ? TRUTH | m->wide : type_of(dtype);
    return add(m, (value){.code = INPUT, .type = (uint8_t)type, .varies = true, .k = (uint16_t)k});
}

static uint32_t attribute(maker *m, int k) {
    if ((size_t)k >= m->op->attribute_bytes / sizeof(double)) return fail(m);
    const int type = m->last == AG_I64 ? WIDE | WHOLE : m->wide;
    return add(m, (value){.code = ATTRIBUTE, .type = (uint8_t)type, .k = (uint16_t)k});
}

/* In a step of i64 it must be one. */
static uint32_t traced_number(maker *m, const ag__traced *t) {
    double real;
    memcpy(&real, &t->constant, sizeof real);
    if (m->last != AG_I64) return number(m, real, m->wide);
    const bool fits = real >= -0x1p63 && real < 0x1p63 && (double)(int64_t)real == real;
    return fits ? constant(m, (uint64_t)(int64_t)real, WIDE | WHOLE) : fail(m);
}

static uint32_t value_of(maker *m, const ag__traced *t) {
    uint32_t x[3] = {0};
    for (int i = 0; i < t->operands; i++) x[i] = m->of[t->x[i]];
    switch (t->code) {
    case AG__TRACE_INPUT: return input(m, t->k);
    case AG__TRACE_NUMBER: return traced_number(m, t);
    case AG__TRACE_BITS: return constant(m, t->constant, m->wide);
    case AG__TRACE_ATTRIBUTE: return attribute(m, t->k);
    case AG__TRACE_SELECT: return choice(m, x[0], x[1], x[2]);
    case AG__TRACE_RARELY: return rarely(m, t, x[0], x[1], x[2]);
    case AG__TRACE_SHIFT: return shift(m, x[0], t->k);
    case AG__TRACE_CONVERT: return converted(m, x[0], m->to);
    case AG_TRACE_FMA: return fused_product(m, x[0], x[1], x[2]);
    case AG_TRACE_NOT: return is_truth(m, x[0]) ? opposite(m, x[0]) : fail(m);
    case AG_TRACE_TO_BITS: return is_truth(m, x[0]) || is_whole(m, x[0]) ? fail(m) : x[0];
    case AG_TRACE_FROM_BITS: return m->last == AG_I64 ? fail(m) : x[0];
    case AG__TRACE_RESULT: return x[0];
    case AG_TRACE_AND:
    case AG_TRACE_OR:
    case AG_TRACE_XOR: return bitwise(m, t->code, x[0], x[1]);
    default: break;
    }
    if (is_comparison(t->code) && is_truth(m, x[0]) && is_truth(m, x[1]))
        return compared_truths(m, t->code, x[0], x[1]);
    return arithmetic(m, t->code, t->operands, x[0], x[1]);
}

/* The values that the result depends on, last of all the result. */
static uint32_t evaluate(maker *m) {
    static const uint32_t NOT_NEEDED = UINT32_MAX;
    const ag_trace *t = &m->trace;
    for (int i = 0; i < t->count; i++) m->of[i] = NOT_NEEDED;
    m->of[t->count - 1] = 0;
    for (int i = t->count - 1; i >= 0; i--)
        for (int k = 0; m->of[i] != NOT_NEEDED && k < t->value[i].operands; k++) m->of[t->value[i].x[k]] = 0;
    for (int i = 0; i < t->count && !m->failed; i++)
        if (m->of[i] != NOT_NEEDED) m->of[i] = value_of(m, &t->value[i]);
    if (m->failed) return 0;
    const uint32_t y = m->of[t->count - 1];
    const bool fits = m->to == AG_BOOL ? is_truth(m, y) : type_at(m, y) == type_of(m->to);
    return fits ? y : fail(m);
}

/* ---- Places ---- */

static bool is_step(const value *v) { return v->code < INPUT; }

static void find_uses(maker *m, uint32_t result) {
    for (uint32_t i = 0; i < m->count; i++) m->value[i].last = i;
    for (uint32_t i = 0; i < m->count; i++)
        for (int k = 0; k < m->value[i].operands; k++) m->value[m->value[i].x[k]].last = i;
    m->value[result].last = m->count;
}

static void place(maker *m, value *v) {
    uint32_t at;
    if (v->code == CONSTANT) v->y.place = IN_POOL, at = m->constants++;
    else if (!v->varies) v->y.place = IN_ONCE, at = m->once++;
    else v->y.place = IN_STRIP, at = m->free_strips ? m->vacant[--m->free_strips] : m->strips++;
    if (v->varies) v->y.step = v->type & WIDE ? GROUP_BYTES : GROUP_BYTES / 2;
    if (at > UINT16_MAX) m->failed = true;
    v->y.at = (uint16_t)at;
}

/* After value i: the strips of operands without further uses are free, each once. */
static void vacate(maker *m, uint32_t i) {
    for (int k = 0; k < m->value[i].operands; k++) {
        value *x = &m->value[m->value[i].x[k]];
        if (!x->varies || x->last != i) continue;
        m->vacant[m->free_strips++] = x->y.at;
        x->last = m->count;
    }
}

/* Inputs come first: all are loaded before the first step. */
static void place_all(maker *m) {
    for (uint32_t i = 0; i < m->count; i++)
        if (m->value[i].code == INPUT) place(m, &m->value[i]);
    for (uint32_t i = 0; i < m->count && !m->failed; i++) {
        if (m->value[i].code != INPUT) place(m, &m->value[i]);
        vacate(m, i);
    }
    const size_t each = GROUP_BYTES;
    if ((m->once + m->strips + 1) * each > FRAME) m->failed = true;
}

/* ---- Replays ---- */

static step step_of(const maker *m, const value *v) {
    step s = {.code = v->code, .wide = v->type & WIDE, .k = (uint8_t)v->k, .y = v->y};
    for (int k = 0; k < v->operands; k++) {
        s.x[k] = m->value[v->x[k]].y;
        s.wide = s.wide || type_at(m, v->x[k]) & WIDE;
    }
    for (int k = v->operands; k < 3; k++) s.x[k] = s.x[0];
    if (v->code == RARELY) memcpy(&s.call, &v->bits, sizeof s.call);
    return s;
}

static source source_of(const maker *m, const value *v) {
    const uint8_t dtype = v->code == INPUT ? m->dtype[v->k] : m->last;
    return (source){.k = v->k, .type = v->type, .dtype = dtype, .y = v->y};
}

static uint32_t count_of(const maker *m, int code) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->count; i++) n += m->value[i].code == code;
    return n;
}

static void put_constant(char *y, const value *v) {
    for (int i = 0; i < GROUP; i++)
        if (v->type & WIDE) ((lane_u64 *)(void *)y)[i] = v->bits;
        else ((lane_u32 *)(void *)y)[i] = (uint32_t)v->bits;
}

/* Sources, then steps, of each kind in order; the number of those so far is in *count. */
static void put_sources(const maker *m, ag__replay *p, int code, uint32_t *count) {
    for (uint32_t i = 0; i < m->count; i++)
        if (m->value[i].code == code) p->source[(*count)++] = source_of(m, &m->value[i]);
}
static void put_steps(const maker *m, step *s, bool varies, uint32_t *count) {
    for (uint32_t i = 0; i < m->count; i++)
        if (is_step(&m->value[i]) && m->value[i].varies == varies) s[(*count)++] = step_of(m, &m->value[i]);
}

static void fill_in(const maker *m, ag__replay *p, step *s, char *pool) {
    uint32_t sources = 0, steps = 0;
    put_sources(m, p, INPUT, &sources);
    put_sources(m, p, ATTRIBUTE, &sources);
    put_steps(m, s, false, &steps);
    p->once = steps;
    put_steps(m, s, true, &steps);
    for (uint32_t i = 0; i < m->count; i++) {
        const value *v = &m->value[i];
        if (v->code == CONSTANT) put_constant(pool + (size_t)v->y.at * GROUP_BYTES, v);
        if (v->varies && v->type & WIDE) p->each = 8;
    }
}

static void *resize_shared(void *p, size_t old_bytes, size_t new_bytes) {
    return ag__default_allocator.resize(ag__default_allocator.ctx, p, old_bytes, new_bytes);
}

/* NULL: no memory. */
static ag__replay *assemble(maker *m, uint32_t result) {
    const uint32_t inputs = count_of(m, INPUT), numbers = count_of(m, ATTRIBUTE);
    const uint32_t steps = m->count - inputs - numbers - m->constants;
    const size_t head = sizeof(ag__replay) + (inputs + numbers) * sizeof(source);
    const size_t at_steps = (head + GROUP_BYTES - 1) / GROUP_BYTES * GROUP_BYTES;
    const size_t at_pool = at_steps + steps * sizeof(step), bytes = at_pool + m->constants * GROUP_BYTES;
    char *all = m->shared ? resize_shared(NULL, 0, bytes) : ag__resize(m->trace.tape, NULL, 0, bytes);
    if (!all) return m->no_memory = true, NULL;
    ag__replay *p = (ag__replay *)(void *)all;
    *p = (ag__replay){.op = m->op, .bytes = bytes, .inputs = inputs, .attributes = numbers, .steps = steps};
    p->once_groups = m->once, p->strips = m->strips, p->each = 4, p->to = m->to;
    p->result = m->value[result].y;
    p->step = (step *)(void *)(all + at_steps), p->pool = all + at_pool;
    fill_in(m, p, (step *)(void *)(all + at_steps), all + at_pool);
    return p;
}

static ag__replay *make_from_trace(maker *m) {
    const size_t of = (size_t)m->trace.count * sizeof *m->of;
    m->of = ag__resize(m->trace.tape, NULL, 0, of);
    if (!m->of) return m->no_memory = true, NULL;
    const uint32_t result = evaluate(m);
    ag__resize(m->trace.tape, m->of, of, 0);
    if (m->failed) return NULL;
    const size_t vacant = (size_t)m->count * sizeof *m->vacant;
    if (!(m->vacant = ag__resize(m->trace.tape, NULL, 0, vacant))) return m->no_memory = true, NULL;
    find_uses(m, result);
    place_all(m);
    ag__resize(m->trace.tape, m->vacant, vacant, 0);
    return m->failed ? NULL : assemble(m, result);
}

/* A new one; NULL: the trace is invalid, or there is no memory. *traces: the number of the trace before it. */
static ag__replay *made(ag_tape *tape, const ag_op *op, int n, uint64_t dtypes, bool shared, uint32_t *traces,
                        bool *no_memory) {
    maker m = {.trace = {.tape = tape, .number = *traces}, .op = op, .shared = shared};
    const uint64_t key = dtypes;
    for (int i = 0; i < n; i++, dtypes >>= 2) m.dtype[i] = dtypes & 3;
    m.last = m.dtype[n - 1];
    m.to = dtypes & 3;
    m.wide = m.last == AG_F64 || m.last == AG_I64;
    ag__trace(&m.trace, op, (ag_dtype)m.last, n, !m.wide);
    *traces = m.trace.number;
    ag__replay *p = m.trace.failed ? NULL : make_from_trace(&m);
    if (p) p->dtypes = key;
    *no_memory = m.no_memory || m.trace.no_memory;
    ag__resize(tape, m.value, m.room * sizeof *m.value, 0);
    ag__trace_free(&m.trace);
    return p;
}

/* ---- Those of the process and of tapes ---- */

static _Atomic(ag__replay *) shared[SHARED_BUCKETS];
static _Atomic uint32_t tapes; /* that may be using them */
static _Atomic bool unloaded;  /* or about to be: no further tape may use them */

static uint32_t hash_of(const ag_op *op, uint64_t dtypes) {
    return (uint32_t)(ag__mix(ag__mix(0, (uintptr_t)op), dtypes) >> 32);
}

static ag__replay *find(ag__replay *p, const ag_op *op, uint64_t dtypes) {
    while (p && (p->op != op || p->dtypes != dtypes)) p = p->next;
    return p;
}

static _Atomic(ag__replay *) *shared_bucket(const ag_op *op, uint64_t dtypes) {
    return &shared[hash_of(op, dtypes) % SHARED_BUCKETS];
}

static ag__replay **own_bucket(const ag_tape *tape, const ag_op *op, uint64_t dtypes) {
    return &tape->replays->bucket[hash_of(op, dtypes) % BUCKETS];
}

const ag__replay *ag__replay_of(const ag_tape *tape, const ag_op *op, uint64_t dtypes) {
    const ag__replay *p = NULL;
    if (tape->shares_replays)
        p = find(atomic_load_explicit(shared_bucket(op, dtypes), memory_order_acquire), op, dtypes);
    return p || !tape->replays ? p : find(*own_bucket(tape, op, dtypes), op, dtypes);
}

/* A tape with an allocator of its own takes every byte from that. */
static bool adds_for_all(const ag_tape *tape, const ag_op *op) {
    return tape->shares_replays && tape->allocator.resize == ag__default_allocator.resize && ag__is_listed(op);
}

/* Another thread may have added an equal one, which is then taken. */
static const ag__replay *added_for_all(ag__replay *p) {
    _Atomic(ag__replay *) *bucket = shared_bucket(p->op, p->dtypes);
    ag__replay *first = atomic_load_explicit(bucket, memory_order_acquire);
    do {
        const ag__replay *other = find(first, p->op, p->dtypes);
        if (other) return resize_shared(p, p->bytes, 0), other;
        p->next = first;
    } while (!atomic_compare_exchange_weak(bucket, &first, p));
    return p;
}

static const ag__replay *made_for_all(ag_tape *tape, const ag_op *op, int n, uint64_t dtypes, bool *no_memory) {
    uint32_t traces = 0;
    ag__replay *p = made(tape, op, n, dtypes, true, &traces, no_memory);
    return p ? added_for_all(p) : NULL;
}

static const ag__replay *made_for_tape(ag_tape *tape, const ag_op *op, int n, uint64_t dtypes, bool *no_memory) {
    if (!tape->replays && (tape->replays = ag__resize(tape, NULL, 0, sizeof *tape->replays)))
        *tape->replays = (struct ag__replays){.traces = 0};
    ag__replay *p = tape->replays ? made(tape, op, n, dtypes, false, &tape->replays->traces, no_memory) : NULL;
    if (!p) return NULL;
    ag__replay **bucket = own_bucket(tape, op, dtypes);
    p->next = *bucket;
    return *bucket = p;
}

const ag__replay *ag__replay_make(ag_tape *tape, const ag_op *op, int n, uint64_t dtypes, ag_status *why) {
    const ag__replay *p = ag__replay_of(tape, op, dtypes);
    bool no_memory = true;
    if (p) return p;
    p = (adds_for_all(tape, op) ? made_for_all : made_for_tape)(tape, op, n, dtypes, &no_memory);
    if (!p) *why = no_memory ? AG_ERR_MEMORY : AG_ERR_RANGE;
    return p;
}

void ag__replays_begin(ag_tape *tape) {
    atomic_fetch_add(&tapes, 1);
    tape->shares_replays = !atomic_load(&unloaded);
}

void ag__replays_free(ag_tape *tape) {
    struct ag__replays *all = tape->replays;
    atomic_fetch_sub(&tapes, 1);
    if (!all) return;
    for (int i = 0; i < BUCKETS; i++)
        for (ag__replay *next; all->bucket[i]; all->bucket[i] = next) {
            next = all->bucket[i]->next;
            ag__resize(tape, all->bucket[i], all->bucket[i]->bytes, 0);
        }
    ag__resize(tape, all, sizeof *all, 0);
    tape->replays = NULL;
}

/* A program that loads the library again and again does not grow. With a tape that is left, perhaps in a thread that
 * still runs as the process ends, they stay: a tape is counted before it looks whether the library is being
 * unloaded. */
#ifdef __GNUC__
__attribute__((destructor)) static void free_shared(void) {
    atomic_store(&unloaded, true);
    if (atomic_load(&tapes) > 0) return;
    for (int i = 0; i < SHARED_BUCKETS; i++)
        for (ag__replay *p = atomic_exchange(&shared[i], NULL), *next; p; p = next) {
            next = p->next;
            resize_shared(p, p->bytes, 0);
        }
}
#endif
