/* encoder -- fuzz target: random formulas as machine code of each instruction set, by the interpreter of traces, and as plain
 * arithmetic here, bit for bit
 *
 * Bytes become up to three formulas, each a list of steps on elements, truth values and bits, and a program of up to six
 * operations with these formulas. A formula may be invalid, and is then refused by the interpreter and the compiler alike. What
 * depends on the bits of a NaN may be anything. */
#include "autograd/eval/encode.h"
#include "autograd/tape/replay.h"
#include "autograd/tape/tracing.h"

#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FORMULAS = 3, ITEMS = 40, INPUTS = 3, STEPS = 6, SLOTS = INPUTS + STEPS, MOST = 150, ATTRIBUTES = 2 };

typedef enum sort { ELEMENT, TRUTH, BITS, SORTS } sort;

typedef struct item {
    uint8_t code; /* of ag_trace_code, or of tracing.h */
    sort sort;
    int x[3], k;
    uint64_t constant;
} item;

typedef struct formula {
    int inputs, count, result;
    bool hostile; /* something in it may be invalid */
    item item[ITEMS];
} formula;

static formula formulas[FORMULAS];

/* ---- From bytes ---- */

static double rare(double x, int j) { return x * 3 + j; }

/* A value of that sort, or of any if the formula is to be invalid; −1: there is none yet. */
static int some_item(feed *f, formula *y, sort s) {
    int found[ITEMS], n = 0, lot = feed_below(f, 256);
    for (int i = 0; i < y->count; i++)
        if (y->item[i].sort == s) found[n++] = i;
    if (y->hostile && lot > 240) return feed_below(f, ITEMS);
    return n ? found[lot % n] : -1;
}

typedef struct shape_of_code {
    uint8_t code;
    sort gives, takes[3];
    int n;
} shape_of_code;

#define T2(c, gives, takes)                                                                                            \
    { AG_TRACE_##c, gives, {takes, takes, 0}, 2 }
#define T1(c, gives, takes)                                                                                            \
    { AG_TRACE_##c, gives, {takes, 0, 0}, 1 }
static const shape_of_code codes[] = {
    T2(ADD, ELEMENT, ELEMENT),
    T2(SUB, ELEMENT, ELEMENT),
    T2(MUL, ELEMENT, ELEMENT),
    T2(DIV, ELEMENT, ELEMENT),
    T2(MAX, ELEMENT, ELEMENT),
    T2(MIN, ELEMENT, ELEMENT),
    T2(STRONG_MUL, ELEMENT, ELEMENT),
    T2(STRONG_DIV, ELEMENT, ELEMENT),
    T2(LESS, TRUTH, ELEMENT),
    T2(LESS_EQUAL, TRUTH, ELEMENT),
    T2(EQUAL, TRUTH, ELEMENT),
    T2(NOT_EQUAL, TRUTH, ELEMENT),
    T2(LESS, TRUTH, TRUTH),
    T2(LESS_EQUAL, TRUTH, TRUTH),
    T2(EQUAL, TRUTH, TRUTH),
    T2(NOT_EQUAL, TRUTH, TRUTH),
    T2(AND, TRUTH, TRUTH),
    T2(OR, TRUTH, TRUTH),
    T2(XOR, TRUTH, TRUTH),
    T2(AND, BITS, BITS),
    T2(OR, BITS, BITS),
    T2(XOR, BITS, BITS),
    T2(BITS_ADD, BITS, BITS),
    T2(BITS_SUB, BITS, BITS),
    T1(NEG, ELEMENT, ELEMENT),
    T1(ABS, ELEMENT, ELEMENT),
    T1(SQRT, ELEMENT, ELEMENT),
    T1(ROUND, ELEMENT, ELEMENT),
    T1(NOT, TRUTH, TRUTH),
    T1(INTEGER, ELEMENT, BITS),
    T1(TO_BITS, BITS, ELEMENT),
    T1(FROM_BITS, ELEMENT, BITS),
    {AG_TRACE_FMA, ELEMENT, {ELEMENT, ELEMENT, ELEMENT}, 3},
    {AG__TRACE_SELECT, ELEMENT, {TRUTH, ELEMENT, ELEMENT}, 3},
    {AG__TRACE_SELECT, TRUTH, {TRUTH, TRUTH, TRUTH}, 3},
    {AG__TRACE_SELECT, BITS, {TRUTH, BITS, BITS}, 3},
    {AG__TRACE_RARELY, ELEMENT, {TRUTH, ELEMENT, ELEMENT}, 3},
    {AG__TRACE_SHIFT, BITS, {BITS, 0, 0}, 1},
    {AG__TRACE_CONVERT, ELEMENT, {TRUTH, 0, 0}, 1},
    {AG__TRACE_CONVERT, ELEMENT, {ELEMENT, 0, 0}, 1},
    {AG__TRACE_NUMBER, ELEMENT, {0}, 0},
    {AG__TRACE_BITS, BITS, {0}, 0},
    {AG__TRACE_ATTRIBUTE, ELEMENT, {0}, 0},
};
enum { KINDS_OF_STEP = sizeof codes / sizeof *codes };

static void add_item(feed *f, formula *y, bool narrow, bool whole) {
    const shape_of_code *c = &codes[feed_below(f, KINDS_OF_STEP)];
    item v = {.code = c->code, .sort = c->gives};
    for (int i = 0; i < c->n; i++)
        if ((v.x[i] = some_item(f, y, c->takes[i])) < 0) return;
    if (c->code == AG_TRACE_INTEGER && !narrow && !y->hostile) return;
    if (c->code == AG__TRACE_SHIFT) v.k = feed_below(f, narrow ? 63 : 127) - (narrow ? 31 : 63);
    if (c->code == AG__TRACE_RARELY) v.k = feed_below(f, y->hostile ? 40 : 32);
    if (c->code == AG__TRACE_ATTRIBUTE) v.k = feed_below(f, y->hostile ? 5 : ATTRIBUTES);
    if (c->code == AG__TRACE_BITS) v.constant = (uint64_t)feed_number(f);
    if (c->code == AG__TRACE_NUMBER) {
        double x = whole ? (double)(feed_number(f) >> 12) : feed_real(f);
        x = narrow ? (double)(float)x : x;
        memcpy(&v.constant, &x, sizeof x);
    }
    y->item[y->count++] = v;
}

static void read_formula(feed *f, formula *y, bool narrow, bool whole) {
    int lot = feed_below(f, 256);
    *y = (formula){.inputs = 1 + lot % INPUTS, .hostile = lot >= 224};
    for (int i = 0; i < y->inputs; i++) y->item[y->count++] = (item){.code = AG__TRACE_INPUT, .k = i};
    for (int n = 1 + feed_below(f, ITEMS - INPUTS); n > 0 && feed_left(f); n--) add_item(f, y, narrow, whole);
    for (int i = 0; i < y->count; i++)
        if (y->item[i].sort == ELEMENT) y->result = i;
    if (y->hostile && feed_below(f, 8) == 0) y->result = feed_below(f, ITEMS);
}

/* ---- Recording ---- */

static ag_traced record_item(ag_trace *t, const item *v, const ag_traced x[], const ag_traced in[]) {
    ag_traced a = x[v->x[0]], b = x[v->x[1]], c = x[v->x[2]];
    double number;
    memcpy(&number, &v->constant, sizeof number);
    switch (v->code) {
    case AG__TRACE_INPUT: return in[v->k];
    case AG__TRACE_NUMBER: return ag_trace_number(t, number);
    case AG__TRACE_BITS: return ag_trace_bits(t, v->constant);
    case AG__TRACE_ATTRIBUTE: return ag_trace_attribute(t, v->k);
    case AG__TRACE_SELECT: return ag_trace_select(t, a, b, c);
    case AG__TRACE_RARELY: return ag_trace_rarely(t, a, rare, b, v->k, c);
    case AG__TRACE_SHIFT: return ag_trace_shift(t, a, v->k);
    case AG__TRACE_CONVERT: return ag_trace_convert(t, a);
    case AG_TRACE_FMA: return ag_trace_fma(t, a, b, c);
    default: return v->code < AG_TRACE_NEG ? ag_trace_binary(t, v->code, a, b) : ag_trace_unary(t, v->code, a);
    }
}

static ag_traced record(const formula *y, ag_trace *t, const ag_traced in[]) {
    ag_traced x[ITEMS] = {{0, 0}};
    for (int i = 0; i < y->count; i++) x[i] = record_item(t, &y->item[i], x, in);
    return x[y->result];
}

static ag_traced trace_0(ag_trace *t, const ag_traced x[]) { return record(&formulas[0], t, x); }
static ag_traced trace_1(ag_trace *t, const ag_traced x[]) { return record(&formulas[1], t, x); }
static ag_traced trace_2(ag_trace *t, const ag_traced x[]) { return record(&formulas[2], t, x); }
static ag_trace_function *const traces[FORMULAS] = {trace_0, trace_1, trace_2};

/* ---- Plain arithmetic ---- */

typedef struct known {
    double element;
    uint64_t bits; /* of a truth value: 0 or 1 */
    bool unclear;  /* depends on the bits of a NaN */
} known;

static double rounded(bool narrow, double x) { return narrow ? (double)(float)x : x; }

static uint64_t bits_of(bool narrow, double x) {
    float single = (float)x;
    uint32_t few;
    uint64_t all;
    memcpy(&few, &single, sizeof few);
    memcpy(&all, &x, sizeof all);
    return narrow ? few : all;
}

static double number_of(bool narrow, uint64_t bits) {
    uint32_t few = (uint32_t)bits;
    float single;
    double x;
    memcpy(&single, &few, sizeof single);
    memcpy(&x, &bits, sizeof x);
    return narrow ? (double)single : x;
}

static uint64_t compared(int code, double a, double b) {
    return code == AG_TRACE_LESS         ? a < b
           : code == AG_TRACE_LESS_EQUAL ? a <= b
           : code == AG_TRACE_EQUAL      ? a == b
                                         : a != b;
}

static double computed(int code, bool narrow, double a, double b, double c) {
    switch (code) {
    case AG_TRACE_ADD: return a + b;
    case AG_TRACE_SUB: return a - b;
    case AG_TRACE_MUL: return a * b;
    case AG_TRACE_DIV: return a / b;
    case AG_TRACE_MAX: return a > b ? a : b;
    case AG_TRACE_MIN: return a < b ? a : b;
    case AG_TRACE_STRONG_MUL: return a == 0 ? 0 : a * b;
    case AG_TRACE_STRONG_DIV: return a == 0 ? 0 : a / b;
    case AG_TRACE_NEG: return -a;
    case AG_TRACE_ABS: return fabs(a);
    case AG_TRACE_SQRT: return sqrt(a);
    case AG_TRACE_ROUND: return nearbyint(a);
    case AG_TRACE_FMA: return narrow ? (double)fmaf((float)a, (float)b, (float)c) : fma(a, b, c);
    default: return a;
    }
}

static uint64_t combined(int code, uint64_t a, uint64_t b) {
    switch (code) {
    case AG_TRACE_AND: return a & b;
    case AG_TRACE_OR: return a | b;
    case AG_TRACE_XOR: return a ^ b;
    case AG_TRACE_BITS_ADD: return a + b;
    default: return a - b;
    }
}

static known value_of(const formula *y, const item *v, const known x[], bool narrow, const double attributes[]) {
    known a = x[v->x[0]], b = x[v->x[1]], c = x[v->x[2]], r = {0};
    const sort taken = y->item[v->x[0]].sort;
    const uint64_t all = narrow ? UINT32_MAX : UINT64_MAX;
    r.unclear = a.unclear || b.unclear || c.unclear;
    switch (v->code) {
    case AG__TRACE_NUMBER: r.element = number_of(false, v->constant); break;
    case AG__TRACE_BITS: r.bits = v->constant & all; break;
    case AG__TRACE_ATTRIBUTE: r.element = rounded(narrow, attributes[v->k]); break;
    case AG__TRACE_SELECT: return a.unclear ? r : a.bits ? b : c;
    case AG__TRACE_RARELY:
        c.element = a.bits ? rounded(narrow, rare(b.element, v->k)) : c.element;
        return r.unclear ? r : c;
    case AG__TRACE_SHIFT: r.bits = (v->k < 0 ? a.bits >> -v->k : a.bits << v->k) & all; break;
    case AG__TRACE_CONVERT: r.element = taken == TRUTH ? (double)a.bits : a.element; break;
    case AG_TRACE_NOT: r.bits = !a.bits; break;
    case AG_TRACE_INTEGER: r.element = rounded(true, (double)(int32_t)(uint32_t)a.bits); break;
    case AG_TRACE_TO_BITS:
        r.bits = bits_of(narrow, a.element);
        r.unclear = a.unclear || isnan(a.element);
        break;
    case AG_TRACE_FROM_BITS: r.element = number_of(narrow, a.bits); break;
    default:
        if (v->code >= AG_TRACE_LESS && v->code <= AG_TRACE_NOT_EQUAL)
            r.bits = taken == TRUTH ? compared(v->code, (double)a.bits, (double)b.bits)
                                    : compared(v->code, a.element, b.element);
        else if (v->sort == ELEMENT)
            r.element = rounded(narrow, computed(v->code, narrow, a.element, b.element, c.element));
        else r.bits = combined(v->code, a.bits, b.bits) & (v->sort == TRUTH ? 1 : all);
    }
    return r;
}

static known plainly(const formula *y, const known in[], bool narrow, const double attributes[]) {
    known x[ITEMS] = {{0}};
    for (int i = 0; i < y->count; i++) {
        const item *v = &y->item[i];
        x[i] = v->code == AG__TRACE_INPUT ? in[v->k] : value_of(y, v, x, narrow, attributes);
    }
    return x[y->result];
}

/* ---- Programs ---- */

typedef struct micro {
    ag_dtype dtype;
    int n, steps;
    ag_op op[FORMULAS];
    ag__code_step step[STEPS];
    ag__code_slot slot[SLOTS];
    double attributes[STEPS][ATTRIBUTES];
} micro;

static _Alignas(64) char replayed[SLOTS][8 * MOST];
static known judged[SLOTS][MOST];
static char *guarded[SLOTS]; /* its slot ends where a page ends, behind which is one that may not be touched */
enum { GUARDED = 4096 };

static void open_memory(void) {
    if (guarded[0]) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), each = page + GUARDED;
    char *all = mmap(NULL, each * SLOTS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) fault("there is no memory");
    for (int i = 0; i < SLOTS; i++) {
        guarded[i] = all + each * (size_t)i + GUARDED;
        mprotect(guarded[i], page, PROT_NONE);
    }
}

static void read_micro(feed *f, micro *m) {
    static const ag_dtype dtypes[] = {AG_F32, AG_F64, AG_F32, AG_F64, AG_F32, AG_F64, AG_I64};
    *m = (micro){.dtype = dtypes[feed_below(f, 7)], .n = feed_below(f, MOST)};
    bool narrow = m->dtype == AG_F32, whole = m->dtype == AG_I64;
    int ones = feed_below(f, 8);
    for (int i = 0; i < FORMULAS; i++) {
        static const char *const names[FORMULAS] = {"first", "second", "third"};
        read_formula(f, &formulas[i], narrow, whole);
        m->op[i] = (ag_op){.name = names[i],
                           .kind = AG_KIND_ELEMENTWISE,
                           .arity = formulas[i].inputs,
                           .attribute_bytes = sizeof m->attributes[0]};
        m->op[i].trace[m->dtype] = traces[i];
    }
    for (int i = 0; i < INPUTS; i++) m->slot[i] = (ag__code_slot){.dtype = (uint8_t)m->dtype, .one = ones >> i & 1};
    m->steps = 1 + feed_below(f, STEPS);
    for (int i = 0; i < m->steps; i++) {
        int which = feed_below(f, FORMULAS), y = INPUTS + i;
        ag__code_step *s = &m->step[i];
        bool one = true;
        *s = (ag__code_step){.op = &m->op[which], .dtype = (uint8_t)m->dtype, .n = (uint8_t)formulas[which].inputs};
        for (int k = 0; k < s->n; k++) {
            s->x[k] = (uint16_t)feed_below(f, y);
            one = one && m->slot[s->x[k]].one;
        }
        s->y = (uint16_t)y, s->attributes = (uint16_t)i;
        m->slot[y] =
            (ag__code_slot){.dtype = (uint8_t)m->dtype, .one = one, .out = i + 1 == m->steps || feed_below(f, 2)};
        for (int k = 0; k < ATTRIBUTES; k++)
            m->attributes[i][k] = whole ? (double)(feed_number(f) >> 12) : feed_real(f);
    }
}

static void fill_inputs(feed *f, const micro *m) {
    for (int i = 0; i < INPUTS; i++)
        for (int k = 0; k < m->n; k++) {
            const bool again = m->slot[i].one && k > 0;
            double x = again          ? judged[i][0].element
                       : feed_left(f) ? feed_real(f)
                                      : scatter((uint64_t)(i * MOST + k)) * 4;
            if (m->dtype == AG_I64) x = isfinite(x) && fabs(x) < 9e18 ? floor(x) : -3;
            element_put(m->dtype, replayed[i], k, x);
            judged[i][k] = (known){.element = element_at(m->dtype, replayed[i], k)};
        }
}

/* Whether the interpreter takes all formulas of the program; it then runs. */
static bool interpret(ag_tape *t, const micro *m) {
    for (int i = 0; i < m->steps; i++) {
        const ag__code_step *s = &m->step[i];
        const void *x[INPUTS];
        uint64_t dtypes = (uint64_t)s->n << 2 | (uint64_t)m->dtype;
        ag_status why = AG_OK;
        for (int k = s->n - 1; k >= 0; k--) dtypes = dtypes << 2 | (uint64_t)m->dtype, x[k] = replayed[s->x[k]];
        const ag__replay *p = ag__replay_make(t, s->op, s->n, dtypes, &why);
        if (!p && !formulas[s->op - m->op].hostile && m->dtype != AG_I64) fault("a valid formula is refused");
        if (!p) return false;
        ag__replay_run(p, m->n, replayed[s->y], x, m->attributes[i]);
    }
    return true;
}

static void judge(const micro *m) {
    for (int i = 0; i < m->steps && m->dtype != AG_I64; i++)
        for (int k = 0; k < m->n; k++) {
            const ag__code_step *s = &m->step[i];
            known in[INPUTS];
            for (int j = 0; j < s->n; j++) in[j] = judged[s->x[j]][k];
            judged[s->y][k] = plainly(&formulas[s->op - m->op], in, m->dtype == AG_F32, m->attributes[i]);
            known *y = &judged[s->y][k];
            const double got = element_at(m->dtype, replayed[s->y], k);
            if (y->unclear || (isnan(got) && isnan(y->element))) continue;
            if (memcmp(&got, &y->element, sizeof got) != 0)
                fault("step %d, element %d of %d: %a interpreted, %a by hand", i, k, m->n, got, y->element);
        }
}

static void compare(const micro *m, const char *isa, int slot) {
    const int width = (int)ag_dtype_size(m->dtype), n = m->slot[slot].one && m->n > 0 ? 1 : m->n;
    const char *got = guarded[slot] - n * width;
    for (int k = 0; k < n; k++) {
        double a = element_at(m->dtype, got, k), b = element_at(m->dtype, replayed[slot], k);
        bool same = memcmp(got + k * width, replayed[slot] + k * width, (size_t)width) == 0;
        if (same || (isnan(a) && isnan(b)) || judged[slot][k].unclear) continue;
        fault("slot %d, element %d of %d: %a by %s, %a interpreted", slot, k, n, a, isa, b);
    }
}

static void run_compiled(ag_tape *t, const micro *m, const char *isa, bool valid) {
    void *slot[SLOTS];
    const void *attributes[STEPS];
    t->isa = ag__isa_of(isa);
    t->compile = true;
    if (!t->isa || strcmp(t->isa->name, isa) != 0) return;
    ag__code *code = ag__compile(t, m->steps, m->step, INPUTS + m->steps, m->slot);
    if (!code) return;
    if (!valid) fault("an invalid formula is compiled");
    for (int i = 0; i < m->steps; i++) attributes[i] = m->attributes[i];
    for (int i = 0; i < INPUTS + m->steps; i++) {
        const size_t bytes = (size_t)(m->slot[i].one && m->n > 0 ? 1 : m->n) * ag_dtype_size(m->dtype);
        slot[i] = i < INPUTS || m->slot[i].out ? guarded[i] - bytes : NULL;
        if (slot[i]) memset(guarded[i] - bytes - 64, 0x55, bytes + 64);
        if (i < INPUTS) memcpy(slot[i], replayed[i], bytes);
    }
    code(m->n, slot, attributes);
    for (int i = INPUTS; i < INPUTS + m->steps; i++) {
        if (!m->slot[i].out) continue;
        compare(m, isa, i);
        for (int k = 1; k <= 64; k++)
            if (((char *)slot[i])[-k] != 0x55) fault("memory before slot %d is written by %s", i, isa);
    }
    ag__code_release(t, code);
}

void fuzz_encoder(const uint8_t *data, size_t size) {
    static micro m;
    ledger l;
    feed f = {data, data + size};
    ag_tape *t = tape_open(&l);
    open_memory();
    memset(judged, 0, sizeof judged);
    read_micro(&f, &m);
    fill_inputs(&f, &m);
    bool valid = interpret(t, &m);
    if (valid) judge(&m);
    run_compiled(t, &m, "avx512", valid);
    run_compiled(t, &m, "avx2", valid);
    tape_close(t, &l);
}
