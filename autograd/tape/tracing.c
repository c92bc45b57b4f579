/* tracing -- the recorder: the functions that an operation's `trace` calls, and the list that they append to
 *
 * Faults of a trace that concern the list are caught here (a value of another trace, an invalid code, too many
 * values), and bits among elements or elements among bits; other types are checked by
 * replay.c and compile.c. A value has the number
 * of its trace, and traces are numbered consecutively. */
#include "autograd/tape/tracing.h"

#include <math.h>
#include <string.h>

static _Thread_local ag_trace *recorded;

ag_trace *ag__recorded(void) { return recorded; }

static bool grow(ag_trace *t) {
    enum { FIRST = AG__LIMIT(256, 8) };
    int room = t->room > 0 ? 2 * t->room : FIRST;
    size_t each = sizeof *t->value;
    if (room > AG__MOST_TRACED) return false;
    ag__traced *value = ag__resize(t->tape, t->value, (size_t)t->room * each, (size_t)room * each);
    if (!value) return t->no_memory = true, false;
    t->value = value;
    t->room = room;
    return true;
}

static ag_traced append(ag_trace *t, ag__traced v) {
    if (!t || t->failed) return (ag_traced){0, 0};
    if (t->count == t->room && !grow(t)) {
        t->failed = true;
        return (ag_traced){0, 0};
    }
    v.value = -1;
    t->value[t->count] = v;
    return (ag_traced){(uint32_t)t->count++, t->number};
}

/* If two operands need the same number, the first result takes a register while the second is computed. */
static uint8_t need_of(const ag_trace *t, const ag__traced *v) {
    unsigned need = v->code == AG__TRACE_INPUT;
    for (int i = 0; i < v->operands; i++) {
        unsigned x = t->value[v->x[i]].need;
        need = x == need && i > 0 ? need + 1 : x > need ? x : need;
    }
    return (uint8_t)(need < UINT8_MAX ? need : UINT8_MAX);
}

static bool takes_bits(int code) {
    return code == AG_TRACE_BITS_ADD || code == AG_TRACE_BITS_SUB || code == AG_TRACE_INTEGER ||
           code == AG_TRACE_FROM_BITS || code == AG__TRACE_SHIFT;
}

static bool gives_bits(int code) {
    return code == AG_TRACE_TO_BITS || (takes_bits(code) && code != AG_TRACE_INTEGER && code != AG_TRACE_FROM_BITS);
}

static bool keeps_bits(int code) {
    return code == AG__TRACE_SELECT || code == AG_TRACE_AND || code == AG_TRACE_OR || code == AG_TRACE_XOR;
}

/* Whether bits are where bits are wanted, and nowhere else; notes whether the result is bits. C converts between
 * integers and numbers where machine code takes one for the other. */
static bool settle_bits(const ag_trace *t, ag__traced *v) {
    const int n = v->operands;
    const bool kept = keeps_bits(v->code), wanted = kept ? t->value[v->x[n - 1]].bits : takes_bits(v->code);
    v->bits = kept ? wanted : gives_bits(v->code);
    for (int i = 0; i < n; i++)
        if (t->value[v->x[i]].bits != (wanted && !(v->code == AG__TRACE_SELECT && i == 0))) return false;
    return true;
}

static ag_traced step(ag_trace *t, ag__traced v, const ag_traced x[]) {
    for (int i = 0; t && !t->failed && i < v.operands; i++) {
        if (x[i].trace != t->number || x[i].index >= (uint32_t)t->count) t->failed = true;
        else v.x[i] = (uint16_t)x[i].index;
    }
    if (t && !t->failed && !settle_bits(t, &v)) t->failed = true;
    if (t && !t->failed) v.need = need_of(t, &v);
    return append(t, v);
}

/* Append a step whose code must be at least `least` and below `end`. */
static ag_traced coded(ag_trace *t, ag_trace_code code, int least, int end, int n, const ag_traced x[]) {
    if (t && ((int)code < least || (int)code >= end)) t->failed = true;
    return step(t, (ag__traced){.code = (uint8_t)code, .operands = (uint8_t)n}, x);
}

/* A step with a code of the recorder's own. */
static AG__NEVER_INLINE ag_traced own_step(ag_trace *t, int code, int k, int n, const ag_traced x[]) {
    return step(t, (ag__traced){.code = (uint8_t)code, .operands = (uint8_t)n, .k = (int16_t)k}, x);
}

bool ag_trace_is_narrow(const ag_trace *t) { return t && t->narrow; }

ag_traced ag_trace_number(ag_trace *t, double number) {
    ag__traced v = {.code = AG__TRACE_NUMBER};
    memcpy(&v.constant, &number, sizeof number);
    if (t && t->narrow && !isnan(number) && (double)(float)number != number) t->not_a_float = true;
    return append(t, v);
}

ag_traced ag_trace_number_by_width(ag_trace *t, double narrow, double wide) {
    return ag_trace_number(t, ag_trace_is_narrow(t) ? narrow : wide);
}

ag_traced ag_trace_bits(ag_trace *t, uint64_t bits) {
    return append(t, (ag__traced){.code = AG__TRACE_BITS, .bits = true, .constant = bits});
}

ag_traced ag_trace_attribute(ag_trace *t, int k) {
    if (t && (k < 0 || k > INT16_MAX)) t->failed = true;
    return append(t, (ag__traced){.code = AG__TRACE_ATTRIBUTE, .k = (int16_t)k});
}

ag_traced ag_trace_unary(ag_trace *t, ag_trace_code code, ag_traced a) {
    return coded(t, code, AG_TRACE_NEG, AG_TRACE_FMA, 1, &a);
}

ag_traced ag_trace_binary(ag_trace *t, ag_trace_code code, ag_traced a, ag_traced b) {
    return coded(t, code, 0, AG_TRACE_NEG, 2, (const ag_traced[]){a, b});
}

ag_traced ag_trace_fma(ag_trace *t, ag_traced a, ag_traced b, ag_traced c) {
    return coded(t, AG_TRACE_FMA, AG_TRACE_FMA, AG_TRACE_CODES, 3, (const ag_traced[]){a, b, c});
}

/* All three are looked at, whichever are used. */
ag_traced ag_trace_scaled(ag_trace *t, ag_traced y, ag_traced p, ag_traced n) {
    const ag_traced x[] = {p, n, y};
    if (!t) return y;
    own_step(t, AG__TRACE_SCALE, 0, 3, x);
    t->count -= !t->failed;
    return t->scales ? own_step(t, AG__TRACE_SCALE, 0, 2, x) : y;
}

ag_traced ag_trace_select(ag_trace *t, ag_traced truth, ag_traced a, ag_traced b) {
    return own_step(t, AG__TRACE_SELECT, 0, 3, (const ag_traced[]){truth, a, b});
}

ag_traced ag_trace_rarely(ag_trace *t, ag_traced truth, ag_rare_function *f, ag_traced x, int j, ag_traced y) {
    enum { MOST = 31 };
    ag__traced v = {.code = AG__TRACE_RARELY, .operands = 3, .k = (int16_t)j};
    memcpy(&v.constant, &f, sizeof f);
    if (t && (!f || j < 0 || j > MOST)) t->failed = true;
    return step(t, v, (const ag_traced[]){truth, x, y});
}

ag_traced ag_trace_shift(ag_trace *t, ag_traced a, int places) {
    const int most = t && t->narrow ? 31 : 63;
    if (t && (places < -most || places > most)) t->failed = true;
    return own_step(t, AG__TRACE_SHIFT, places, 1, &a);
}

ag_traced ag_trace_convert(ag_trace *t, ag_traced a) { return own_step(t, AG__TRACE_CONVERT, 0, 1, &a); }

void ag__trace(ag_trace *t, const ag_op *op, ag_dtype dtype, int n, bool narrow) {
    ag_traced x[AG__MOST_INPUTS] = {{0, 0}};
    t->count = 0;
    t->narrow = narrow;
    if (++t->number == 0) t->number = 1;
    for (int i = 0; i < n; i++) x[i] = append(t, (ag__traced){.code = AG__TRACE_INPUT, .k = (int16_t)i, .need = 1});
    ag__closed former = ag__close(t->tape, AG__TRACE, op->name);
    ag_trace *outer = recorded;
    recorded = t;
    ag_traced y = op->trace[dtype](t, x);
    recorded = outer;
    ag__reopen(t->tape, former);
    own_step(t, AG__TRACE_RESULT, 0, 1, &y);
}

void ag__trace_free(ag_trace *t) {
    ag__resize(t->tape, t->value, (size_t)t->room * sizeof *t->value, 0);
    *t = (ag_trace){.tape = t->tape};
}
