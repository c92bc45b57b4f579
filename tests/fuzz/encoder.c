/* encoder -- fuzz target: random formulas as machine code of each instruction set, by the interpreter of traces, and as plain
 * arithmetic here, bit for bit
 *
 * Bytes become up to three formulas, each a list of steps on elements, truth values and bits, and a program of up to six
 * operations with these formulas. A formula may be invalid, and is then refused by the interpreter and the compiler alike. What
 * depends on the bits of a NaN may be anything.
 *
 * By the first byte all is of one dtype, or a program is mixed: each formula has its own dtypes, which it converts; there are
 * more operations, at the end of them up to three that fold into lanes; and outputs have the memory of inputs that are not
 * needed any more. */
#include "autograd/eval/encode.h"
#include "autograd/tape/replay.h"
#include "autograd/tape/tracing.h"

#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FORMULAS = 3, ITEMS = 40, INPUTS = 3, STEPS = 6, MOST = 150, ATTRIBUTES = 2 };
enum { FOLDS = 3, MIXED_INPUTS = 6, MIXED_STEPS = 24, MOST_STEPS = MIXED_STEPS + FOLDS };
enum { ALL_FORMULAS = FORMULAS + FOLDS, SLOTS = MIXED_INPUTS + FOLDS + MOST_STEPS, FIRST_MIXED = 128 };

/* FOREIGN: an element of another dtype, which can be converted, or be a result. */
typedef enum sort { ELEMENT, TRUTH, BITS, FOREIGN, SORTS } sort;

typedef struct item {
    uint8_t code; /* of ag_trace_code, or of tracing.h */
    sort sort;
    ag_dtype dtype; /* of an element, also a foreign one */
    int x[3], k;
    uint64_t constant;
} item;

typedef struct formula {
    int inputs, count, result;
    bool hostile;                /* something in it may be invalid */
    bool mixed, fold;            /* fold: input 0 is lanes */
    ag_dtype in[INPUTS], of, to; /* of: the dtype of its arithmetic, that of the last input */
    item item[ITEMS];
} formula;

static formula formulas[ALL_FORMULAS];

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
    {AG__TRACE_SCALE, ELEMENT, {ELEMENT, ELEMENT}, 2},
    {AG__TRACE_CONVERT, ELEMENT, {FOREIGN, 0, 0}, 1}, /* the last: of mixed programs alone */
};
enum { KINDS_OF_STEP = sizeof codes / sizeof *codes };

/* Whether i64 has it; it has neither bits nor fractions. */
static bool is_whole_code(int code) {
    return code <= AG_TRACE_MUL || code == AG_TRACE_MAX || code == AG_TRACE_MIN ||
           (code >= AG_TRACE_LESS && code <= AG_TRACE_XOR) || code == AG_TRACE_NEG || code == AG_TRACE_ABS ||
           code == AG_TRACE_NOT || code == AG__TRACE_SELECT || code == AG__TRACE_CONVERT || code == AG__TRACE_NUMBER ||
           code == AG__TRACE_ATTRIBUTE;
}

/* Whether a formula of mixed dtypes may have it. */
static bool is_fitting(const formula *y, const shape_of_code *c) {
    bool elements = c->gives == ELEMENT && c->code != AG__TRACE_CONVERT, bits = c->gives == BITS;
    for (int i = 0; i < c->n; i++) elements = elements || c->takes[i] == ELEMENT, bits = bits || c->takes[i] == BITS;
    if (y->of == AG_BOOL) return !elements && !bits;
    return y->of != AG_I64 || (!bits && is_whole_code(c->code));
}

static sort sort_of(const formula *y, ag_dtype dtype) {
    return dtype == AG_BOOL ? TRUTH : dtype == y->of ? ELEMENT : FOREIGN;
}

static void add_item(feed *f, formula *y) {
    const bool narrow = y->of == AG_F32, whole = y->of == AG_I64;
    const shape_of_code *c = &codes[feed_below(f, y->mixed ? KINDS_OF_STEP : KINDS_OF_STEP - 1)];
    item v = {.code = c->code, .sort = c->gives, .dtype = y->of};
    if (y->mixed && !is_fitting(y, c)) return;
    for (int i = 0; i < c->n; i++)
        if ((v.x[i] = some_item(f, y, c->takes[i])) < 0) return;
    if (c->code == AG__TRACE_CONVERT) v.sort = sort_of(y, y->to), v.dtype = y->to;
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

static void add_items(feed *f, formula *y, int most) {
    for (int n = 1 + feed_below(f, most); n > 0 && feed_left(f); n--) add_item(f, y);
}

static void read_formula(feed *f, formula *y, ag_dtype dtype) {
    int lot = feed_below(f, 256);
    *y = (formula){.inputs = 1 + lot % INPUTS, .hostile = lot >= 224, .of = dtype, .to = dtype};
    for (int i = 0; i < y->inputs; i++) {
        y->in[i] = dtype;
        y->item[y->count++] = (item){.code = AG__TRACE_INPUT, .k = i, .dtype = dtype};
    }
    add_items(f, y, ITEMS - INPUTS);
    for (int i = 0; i < y->count; i++)
        if (y->item[i].sort == ELEMENT) y->result = i;
    if (y->hostile && feed_below(f, 8) == 0) y->result = feed_below(f, ITEMS);
}

static ag_dtype some_dtype(feed *f) {
    static const ag_dtype dtypes[] = {AG_F32, AG_F64, AG_F32, AG_F64, AG_I64, AG_BOOL};
    return dtypes[feed_below(f, 6)];
}

/* The last value of the result's dtype, or a conversion to it. */
static void add_result(formula *y) {
    const sort wanted = sort_of(y, y->to);
    y->result = -1;
    for (int i = 0; i < y->count; i++)
        if (y->item[i].sort == wanted && (wanted == TRUTH || y->item[i].dtype == y->to)) y->result = i;
    if (y->result >= 0) return;
    y->item[y->count] = (item){.code = AG__TRACE_CONVERT, .sort = wanted, .dtype = y->to, .x = {y->inputs - 1}};
    y->result = y->count++;
}

static void read_mixed(feed *f, formula *y) {
    int lot = feed_below(f, 256);
    *y = (formula){.inputs = 1 + lot % INPUTS, .mixed = true, .of = some_dtype(f)};
    y->to = lot & 64 ? y->of : some_dtype(f);
    for (int i = 0; i < y->inputs; i++) {
        y->in[i] = i + 1 == y->inputs || lot & 128 ? y->of : some_dtype(f);
        y->item[y->count++] = (item){.code = AG__TRACE_INPUT, .sort = sort_of(y, y->in[i]), .k = i, .dtype = y->in[i]};
    }
    add_items(f, y, ITEMS - INPUTS - 1);
    add_result(y);
}

/* Lanes, input 0, are joined with a function of input 1. */
static void read_fold(feed *f, formula *y) {
    static const uint8_t joins[] = {AG_TRACE_ADD, AG_TRACE_SUB, AG_TRACE_MUL,    AG_TRACE_MAX,
                                    AG_TRACE_MIN, AG_TRACE_FMA, AG__TRACE_SELECT};
    int lot = feed_below(f, 256), last = 0;
    const ag_dtype dtype = lot & 1 ? AG_F32 : AG_F64;
    *y = (formula){.inputs = 2, .mixed = true, .fold = true, .in = {dtype, dtype}, .of = dtype, .to = dtype};
    y->item[y->count++] = (item){.code = AG__TRACE_INPUT, .sort = FOREIGN, .k = 0, .dtype = dtype};
    y->item[y->count++] = (item){.code = AG__TRACE_INPUT, .sort = ELEMENT, .k = 1, .dtype = dtype};
    if (lot & 2) add_items(f, y, 8);
    for (int i = 1; i < y->count; i++)
        if (y->item[i].sort == ELEMENT && y->item[i].code != AG__TRACE_CONVERT) last = i;
    item join = {.code = joins[(lot >> 2) % 7], .dtype = dtype, .x = {0, last, last}};
    if (lot & 128) join.x[0] = last, join.x[1] = 0;
    if (join.code == AG_TRACE_FMA && lot & 64) join = (item){.code = join.code, .dtype = dtype, .x = {last, 1, 0}};
    if (join.code == AG__TRACE_SELECT) { /* the greater of both, as maxima are joined */
        y->item[y->count] = (item){.code = AG_TRACE_LESS, .sort = TRUTH, .x = {join.x[0], join.x[1]}};
        join = (item){.code = join.code, .dtype = dtype, .x = {y->count++, join.x[1], join.x[0]}};
    }
    y->item[y->count] = join;
    y->result = y->count++;
}

/* ---- Numbers that are scaled: a's fraction, from 1 to 2, by 2 to the power of b ---- */

enum { F32_LEAST = -150, F32_MOST = 128, F64_LEAST = -1076, F64_MOST = 1024 };

static uint64_t fraction_bits(bool narrow) { return narrow ? 0x7fffff : 0xfffffffffffff; }
static uint64_t bits_of_1(bool narrow) { return narrow ? 0x3f800000 : 0x3ff0000000000000; }

static ag_traced record_scaled(ag_trace *t, ag_traced a, ag_traced b) {
    const bool narrow = ag_trace_is_narrow(t);
    const int places = narrow ? 23 : 52;
    ag_traced p = ag_trace_unary(t, AG_TRACE_TO_BITS, a);
    p = ag_trace_binary(t, AG_TRACE_AND, p, ag_trace_bits(t, fraction_bits(narrow)));
    p = ag_trace_unary(t, AG_TRACE_FROM_BITS, ag_trace_binary(t, AG_TRACE_OR, p, ag_trace_bits(t, bits_of_1(narrow))));
    ag_traced n = ag_trace_binary(t, AG_TRACE_MAX, b, ag_trace_number_by_width(t, F32_LEAST, F64_LEAST));
    n = ag_trace_binary(t, AG_TRACE_MIN, n, ag_trace_number_by_width(t, F32_MOST, F64_MOST));
    n = ag_trace_unary(t, AG_TRACE_ROUND, n);
    ag_traced shift = ag_trace_number_by_width(t, 0x1.8p23 + 254, 0x1.8p52 + 2046);
    ag_traced e = ag_trace_unary(t, AG_TRACE_TO_BITS, ag_trace_binary(t, AG_TRACE_ADD, n, shift));
    ag_traced half = ag_trace_shift(t, e, -1), rest = ag_trace_binary(t, AG_TRACE_BITS_SUB, e, half);
    ag_traced first = ag_trace_unary(t, AG_TRACE_FROM_BITS, ag_trace_shift(t, half, places));
    ag_traced second = ag_trace_unary(t, AG_TRACE_FROM_BITS, ag_trace_shift(t, rest, places));
    ag_traced y = ag_trace_binary(t, AG_TRACE_MUL, ag_trace_binary(t, AG_TRACE_MUL, p, first), second);
    return ag_trace_scaled(t, y, p, n);
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
    case AG__TRACE_SCALE: return record_scaled(t, a, b);
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
static ag_traced trace_3(ag_trace *t, const ag_traced x[]) { return record(&formulas[3], t, x); }
static ag_traced trace_4(ag_trace *t, const ag_traced x[]) { return record(&formulas[4], t, x); }
static ag_traced trace_5(ag_trace *t, const ag_traced x[]) { return record(&formulas[5], t, x); }
static ag_trace_function *const traces[ALL_FORMULAS] = {trace_0, trace_1, trace_2, trace_3, trace_4, trace_5};

/* ---- Plain arithmetic ---- */

typedef struct known {
    double element;
    int64_t whole; /* of i64, instead */
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

static uint64_t whole_compared(int code, int64_t a, int64_t b) {
    return code == AG_TRACE_LESS         ? a < b
           : code == AG_TRACE_LESS_EQUAL ? a <= b
           : code == AG_TRACE_EQUAL      ? a == b
                                         : a != b;
}

static int64_t whole_computed(int code, int64_t a, int64_t b) {
    const uint64_t p = (uint64_t)a, q = (uint64_t)b;
    switch (code) {
    case AG_TRACE_ADD: return (int64_t)(p + q);
    case AG_TRACE_SUB: return (int64_t)(p - q);
    case AG_TRACE_MUL: return (int64_t)(p * q);
    case AG_TRACE_MAX: return a > b ? a : b;
    case AG_TRACE_MIN: return a < b ? a : b;
    case AG_TRACE_NEG: return (int64_t)(0 - p);
    default: return a < 0 ? (int64_t)(0 - p) : a;
    }
}

static bool fits_whole(double x) { return x >= -0x1p63 && x < 0x1p63; }

static int64_t whole_near(double x) { return fits_whole(x) ? (int64_t)x : x > 0 ? INT64_MAX : x < 0 ? INT64_MIN : 0; }

static known converted(known a, sort taken, ag_dtype from, ag_dtype to) {
    known r = {.unclear = a.unclear};
    if (taken == TRUTH) from = AG_BOOL;
    r.bits = from == AG_BOOL ? a.bits : from == AG_I64 ? a.whole != 0 : a.element != 0;
    r.whole = from == AG_BOOL ? (int64_t)a.bits : from == AG_I64 ? a.whole : whole_near(a.element);
    r.element = from == AG_BOOL ? (double)a.bits : from == AG_I64 ? (double)a.whole : a.element;
    if (to == AG_F32) r.element = from == AG_I64 ? (double)(float)a.whole : (double)(float)r.element;
    if (to != AG_BOOL) r.bits = 0;
    return r;
}

/* The codes of is_whole_code that i64 has an arithmetic of its own for. */
static known whole_value(const item *v, known a, known b, const double attributes[]) {
    known r = {.unclear = a.unclear || b.unclear};
    double number;
    memcpy(&number, &v->constant, sizeof number);
    if (v->code == AG__TRACE_NUMBER) r.whole = whole_near(number);
    else if (v->code == AG__TRACE_ATTRIBUTE)
        r.whole = fits_whole(attributes[v->k]) ? (int64_t)attributes[v->k] : INT64_MIN;
    else if (v->sort == TRUTH) r.bits = whole_compared(v->code, a.whole, b.whole);
    else r.whole = whole_computed(v->code, a.whole, b.whole);
    return r;
}

static double scaled(bool narrow, double a, double b) {
    const double least = narrow ? F32_LEAST : F64_LEAST, most = narrow ? F32_MOST : F64_MOST;
    const double n = b > least ? b : least;
    const uint64_t p = (bits_of(narrow, a) & fraction_bits(narrow)) | bits_of_1(narrow);
    return rounded(narrow, ldexp(number_of(narrow, p), (int)nearbyint(n < most ? n : most)));
}

static known value_of(const formula *y, const item *v, const known x[], const double attributes[]) {
    known a = x[v->x[0]], b = x[v->x[1]], c = x[v->x[2]], r = {0};
    const sort taken = y->item[v->x[0]].sort;
    const bool narrow = y->of == AG_F32;
    if (v->code == AG__TRACE_CONVERT) return converted(a, taken, y->item[v->x[0]].dtype, y->to);
    if (y->of == AG_I64 && v->code != AG__TRACE_SELECT &&
        (v->sort == ELEMENT || (v->sort == TRUTH && taken == ELEMENT)))
        return whole_value(v, a, b, attributes);
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
    case AG_TRACE_NOT: r.bits = !a.bits; break;
    case AG_TRACE_INTEGER: r.element = rounded(true, (double)(int32_t)(uint32_t)a.bits); break;
    case AG_TRACE_TO_BITS:
        r.bits = bits_of(narrow, a.element);
        r.unclear = a.unclear || isnan(a.element);
        break;
    case AG_TRACE_FROM_BITS: r.element = number_of(narrow, a.bits); break;
    case AG__TRACE_SCALE:
        r.element = scaled(narrow, a.element, b.element);
        r.unclear = r.unclear || isnan(a.element);
        break;
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

static known plainly(const formula *y, const known in[], const double attributes[]) {
    known x[ITEMS];
    if (y->hostile) memset(x, 0, sizeof x); /* its operands may be items that are not there */
    for (int i = 0; i < y->count; i++) {
        const item *v = &y->item[i];
        x[i] = v->code == AG__TRACE_INPUT ? in[v->k] : value_of(y, v, x, attributes);
    }
    return x[y->result];
}

/* ---- Programs ---- */

typedef struct micro {
    int n, inputs, steps;
    ag_op op[ALL_FORMULAS];
    ag__code_step step[MOST_STEPS];
    ag__code_slot slot[SLOTS];
    int memory[SLOTS]; /* the slot whose memory it has */
    double attributes[MOST_STEPS][ATTRIBUTES];
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

static const formula *formula_of(const micro *m, const ag__code_step *s) { return &formulas[s->op - m->op]; }

static void make_op(micro *m, int i) {
    static const char *const names[ALL_FORMULAS] = {"first", "second", "third", "fold 1", "fold 2", "fold 3"};
    m->op[i] = (ag_op){.name = names[i],
                       .kind = AG_KIND_ELEMENTWISE,
                       .arity = (int16_t)formulas[i].inputs,
                       .attribute_bytes = sizeof m->attributes[0]};
    m->op[i].trace[formulas[i].of] = traces[i];
}

/* A slot of that dtype below `end` that is not lanes; −1: there is none. */
static int some_slot(feed *f, const micro *m, int end, ag_dtype dtype) {
    int found[SLOTS], n = 0;
    for (int i = 0; i < end; i++)
        if (m->slot[i].dtype == dtype && !m->slot[i].lanes) found[n++] = i;
    const int lot = feed_below(f, n > 0 ? n : 1);
    return n > 0 ? found[lot] : -1;
}

/* A step of that formula, unless there is no operand for it. */
static bool add_step(feed *f, micro *m, int which) {
    const formula *y = &formulas[which];
    const int i = m->steps, to = m->inputs + i;
    ag__code_step *s = &m->step[i];
    bool one = true;
    *s = (ag__code_step){.op = &m->op[which], .dtype = (uint8_t)y->of, .n = (uint8_t)y->inputs};
    for (int k = 0; k < s->n; k++) {
        const int x = y->fold && k == 0 ? m->inputs - 1 - (which - FORMULAS) : some_slot(f, m, to, y->in[k]);
        if (x < 0) return false;
        s->x[k] = (uint16_t)x;
        one = one && m->slot[x].one;
    }
    s->y = (uint16_t)to, s->attributes = (uint16_t)i;
    m->slot[to] = (ag__code_slot){.dtype = (uint8_t)y->to, .one = one, .lanes = y->fold};
    m->steps += 1;
    return true;
}

static void read_attributes(feed *f, micro *m, int step) {
    const bool whole = formula_of(m, &m->step[step])->of == AG_I64;
    for (int k = 0; k < ATTRIBUTES; k++) m->attributes[step][k] = whole ? (double)(feed_number(f) >> 12) : feed_real(f);
}

static void read_same(feed *f, micro *m, ag_dtype dtype) {
    m->n = feed_below(f, MOST), m->inputs = INPUTS;
    int ones = feed_below(f, 8);
    for (int i = 0; i < FORMULAS; i++) read_formula(f, &formulas[i], dtype), make_op(m, i);
    for (int i = 0; i < INPUTS; i++) m->slot[i] = (ag__code_slot){.dtype = (uint8_t)dtype, .one = ones >> i & 1};
    for (int i = 0, steps = 1 + feed_below(f, STEPS); i < steps; i++) {
        add_step(f, m, feed_below(f, FORMULAS));
        m->slot[INPUTS + i].out = i + 1 == steps || feed_below(f, 2);
        read_attributes(f, m, i);
    }
}

/* The last step that uses each input: from then on an output may have its memory, if elements have the same size. */
static void share_memory(feed *f, micro *m) {
    int last[SLOTS];
    for (int i = 0; i < m->inputs; i++) last[i] = -1;
    for (int i = 0; i < m->steps; i++)
        for (int k = 0; k < m->step[i].n; k++) last[m->step[i].x[k]] = i;
    for (int i = 0; i < m->steps; i++) {
        const int y = m->step[i].y;
        const ag__code_slot *to = &m->slot[y];
        if (to->lanes) m->memory[y] = m->step[i].x[0];
        if (to->lanes || !to->out || to->one || feed_below(f, 2)) continue;
        for (int k = 0; k < m->inputs && m->memory[y] == y; k++) {
            const ag__code_slot *from = &m->slot[k];
            const bool alike = ag_dtype_size((ag_dtype)from->dtype) == ag_dtype_size((ag_dtype)to->dtype);
            if (last[k] > i || from->one || from->lanes || !alike) continue;
            m->memory[y] = k;
            last[k] = MOST_STEPS; /* taken */
        }
    }
}

static void read_other(feed *f, micro *m) {
    m->n = feed_below(f, MOST);
    int ones = feed_below(f, 256), folds = m->n >= AG__LANES ? feed_below(f, FOLDS + 1) : 0;
    m->inputs = MIXED_INPUTS + folds;
    for (int i = 0; i < FORMULAS; i++) read_mixed(f, &formulas[i]), make_op(m, i);
    for (int i = 0; i < folds; i++) read_fold(f, &formulas[FORMULAS + i]), make_op(m, FORMULAS + i);
    for (int i = 0; i < MIXED_INPUTS; i++)
        m->slot[i] = (ag__code_slot){.dtype = (uint8_t)some_dtype(f), .one = ones >> i & 1};
    for (int i = 0; i < folds; i++)
        m->slot[m->inputs - 1 - i] = (ag__code_slot){.dtype = (uint8_t)formulas[FORMULAS + i].of, .lanes = true};
    for (int n = 1 + feed_below(f, MIXED_STEPS); n > 0; n--) {
        if (!add_step(f, m, feed_below(f, FORMULAS))) continue;
        m->slot[m->inputs + m->steps - 1].out = n == 1 || feed_below(f, 2);
        read_attributes(f, m, m->steps - 1);
    }
    for (int i = 0; i < folds; i++) {
        if (!add_step(f, m, FORMULAS + i)) continue;
        m->slot[m->inputs + m->steps - 1].out = true;
        read_attributes(f, m, m->steps - 1);
    }
    share_memory(f, m);
}

static void read_micro(feed *f, micro *m) {
    static const ag_dtype dtypes[] = {AG_F32, AG_F64, AG_F32, AG_F64, AG_F32, AG_F64, AG_I64};
    const int first = feed_below(f, 256);
    memset(m, 0, sizeof *m);
    for (int i = 0; i < SLOTS; i++) m->memory[i] = i;
    if (first >= FIRST_MIXED) read_other(f, m);
    else read_same(f, m, dtypes[first % 7]);
}

/* Elements of a slot; `one` of no elements has none. */
static int count_of(const micro *m, int slot) {
    if (m->slot[slot].lanes) return AG__LANES;
    return m->slot[slot].one && m->n > 0 ? 1 : m->n;
}

static known known_at(ag_dtype dtype, const char *data, int k) {
    known r = {0};
    if (dtype == AG_I64) memcpy(&r.whole, data + 8 * k, sizeof r.whole);
    else if (dtype == AG_BOOL) r.bits = data[k] != 0;
    else r.element = element_at(dtype, data, k);
    return r;
}

static void fill_inputs(feed *f, const micro *m) {
    for (int i = 0; i < m->inputs; i++) {
        const ag_dtype dtype = (ag_dtype)m->slot[i].dtype;
        double first = 0;
        for (int k = 0, n = m->slot[i].lanes ? AG__LANES : m->n; k < n; k++) {
            double x = m->slot[i].one && k > 0 ? first
                       : feed_left(f)          ? feed_real(f)
                                               : scatter((uint64_t)(i * MOST + k)) * 4;
            first = k > 0 ? first : x;
            if (dtype == AG_I64) x = isfinite(x) && fabs(x) < 9e18 ? floor(x) : -3;
            if (dtype == AG_BOOL) x = x > 0;
            element_put(dtype, replayed[i], k, x);
            judged[i][k] = known_at(dtype, replayed[i], k);
        }
    }
}

/* Lanes are joined with one element each at a time. */
static void replay(const ag__replay *p, const micro *m, const ag__code_step *s, const void *x[]) {
    static _Alignas(64) char next[8 * AG__LANES];
    const size_t width = ag_dtype_size((ag_dtype)s->dtype);
    const double *attributes = m->attributes[s->attributes];
    if (!formula_of(m, s)->fold) {
        ag__replay_run(p, m->n, replayed[s->y], x, attributes);
        return;
    }
    memcpy(replayed[s->y], x[0], AG__LANES * width);
    for (int k = 0; k < m->n; k += AG__LANES) {
        const int n = m->n - k < AG__LANES ? m->n - k : AG__LANES;
        const void *in[] = {replayed[s->y], (const char *)x[1] + (size_t)k * width};
        ag__replay_run(p, n, next, in, attributes);
        memcpy(replayed[s->y], next, (size_t)n * width);
    }
}

/* Whether the interpreter takes all formulas of the program; it then runs. */
static bool interpret(ag_tape *t, const micro *m) {
    for (int i = 0; i < m->steps; i++) {
        const ag__code_step *s = &m->step[i];
        const formula *y = formula_of(m, s);
        const void *x[INPUTS];
        uint64_t dtypes = (uint64_t)s->n << 2 | (uint64_t)y->to;
        ag_status why = AG_OK;
        for (int k = s->n - 1; k >= 0; k--) dtypes = dtypes << 2 | (uint64_t)y->in[k], x[k] = replayed[s->x[k]];
        const ag__replay *p = ag__replay_make(t, s->op, s->n, dtypes, &why);
        if (!p && !y->hostile && (y->mixed || y->of != AG_I64)) fault("a valid formula is refused");
        if (!p) return false;
        replay(p, m, s, x);
    }
    return true;
}

static bool same_known(ag_dtype dtype, known a, known b) {
    if (dtype == AG_I64) return a.whole == b.whole;
    if (dtype == AG_BOOL) return a.bits == b.bits;
    return (isnan(a.element) && isnan(b.element)) || memcmp(&a.element, &b.element, sizeof a.element) == 0;
}

static void judge_step(const micro *m, const ag__code_step *s) {
    const formula *y = formula_of(m, s);
    if (y->fold) memcpy(judged[s->y], judged[s->x[0]], sizeof judged[0]);
    for (int k = 0; k < m->n; k++) {
        known in[INPUTS];
        for (int j = 0; j < s->n; j++) in[j] = judged[s->x[j]][k];
        if (y->fold) in[0] = judged[s->y][k % AG__LANES];
        judged[s->y][y->fold ? k % AG__LANES : k] = plainly(y, in, m->attributes[s->attributes]);
    }
}

static void judge(const micro *m) {
    for (int i = 0; i < m->steps; i++) {
        const ag__code_step *s = &m->step[i];
        const ag_dtype dtype = (ag_dtype)m->slot[s->y].dtype;
        judge_step(m, s);
        for (int k = 0, n = m->slot[s->y].lanes ? AG__LANES : m->n; k < n; k++) {
            const known want = judged[s->y][k], got = known_at(dtype, replayed[s->y], k);
            if (want.unclear || same_known(dtype, got, want)) continue;
            fault("step %d, element %d of %d: %a, %lld or %d interpreted, %a, %lld or %d by hand", i, k, m->n,
                  got.element, (long long)got.whole, (int)got.bits, want.element, (long long)want.whole,
                  (int)want.bits);
        }
    }
}

static char *memory_of(const micro *m, int slot) {
    return guarded[m->memory[slot]] - (size_t)count_of(m, slot) * ag_dtype_size((ag_dtype)m->slot[slot].dtype);
}

static void compare(const micro *m, const char *isa, int slot) {
    const ag_dtype dtype = (ag_dtype)m->slot[slot].dtype;
    const int n = count_of(m, slot);
    const char *got = memory_of(m, slot);
    for (int k = 0; k < n; k++) {
        if (judged[slot][k].unclear) continue;
        const known a = known_at(dtype, got, k), b = known_at(dtype, replayed[slot], k);
        const bool raw = dtype == AG_BOOL && (unsigned char)got[k] > 1;
        if (same_known(dtype, a, b) && !raw) continue;
        fault("slot %d, element %d of %d: %a, %lld or %d by %s, %a, %lld or %d interpreted", slot, k, n, a.element,
              (long long)a.whole, (int)got[k], isa, b.element, (long long)b.whole, (int)b.bits);
    }
    for (int k = 1; k <= 64; k++)
        if (got[-k] != 0x55) fault("memory before slot %d is written by %s", slot, isa);
}

static void run_compiled(ag_tape *t, const micro *m, const char *isa, bool valid) {
    void *slot[SLOTS];
    const void *attributes[MOST_STEPS];
    const int slots = m->inputs + m->steps;
    t->isa = ag__isa_of(isa);
    t->compile = true;
    if (!t->isa || strcmp(t->isa->name, isa) != 0) return;
    ag__code *code = ag__compile(t, m->steps, m->step, slots, m->slot);
    if (!code) return;
    if (!valid) fault("an invalid formula is compiled");
    for (int i = 0; i < m->steps; i++) attributes[i] = m->attributes[i];
    for (int i = slots - 1; i >= 0; i--) { /* inputs last, where an output has their memory */
        const size_t bytes = (size_t)count_of(m, i) * ag_dtype_size((ag_dtype)m->slot[i].dtype);
        slot[i] = i < m->inputs || m->slot[i].out ? memory_of(m, i) : NULL;
        if (slot[i]) memset((char *)slot[i] - 64, 0x55, bytes + 64);
        if (i < m->inputs) memcpy(slot[i], replayed[i], bytes);
    }
    code(m->n, slot, attributes);
    for (int i = m->inputs; i < slots; i++)
        if (m->slot[i].out) compare(m, isa, i);
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
    run_compiled(t, &m, "neon", valid);
    tape_close(t, &l);
}
