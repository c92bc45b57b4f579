/* words -- see words.h; what is recorded, and how, is tracing.c's */
#include "autograd/tape/tracing.h"

#define AG__RECORDS_FUNCTIONS extern inline
#define AG_DOMAIN AG_DOMAIN_TRACE
#include "autograd/tape/words.h"

#include "autograd/formulas_end.h"

_Static_assert(AG__MOST_TRACED < 1 << 16, "numbers of steps are no bits of floats that are used as constants");

static ag__word as_word(ag_traced a) { return (ag__word){a.index + 1}; }

ag_traced ag__word_traced(ag__word a) {
    ag_trace *t = ag__recorded();
    float number;
    if (a.step > 0 && a.step <= AG__MOST_TRACED) return (ag_traced){a.step - 1, t ? t->number : 0};
    memcpy(&number, &a, sizeof number);
    return ag_trace_number(t, (double)number);
}

static ag__word unary(ag_trace_code code, ag__word a) {
    return as_word(ag_trace_unary(ag__recorded(), code, ag__word_traced(a)));
}

static ag__word binary(ag_trace_code code, ag__word a, ag__word b) {
    const ag_traced first = ag__word_traced(a);
    return as_word(ag_trace_binary(ag__recorded(), code, first, ag__word_traced(b)));
}

bool ag__word_is_narrow(void) { return ag_trace_is_narrow(ag__recorded()); }
ag__word ag__word_number(double number) { return as_word(ag_trace_number(ag__recorded(), number)); }

ag__word ag__word_number_by_width(double narrow, double wide) {
    return ag__word_number(ag__word_is_narrow() ? narrow : wide);
}

ag__word ag__word_float_or_number(ag__word narrow, double wide) {
    return ag__word_is_narrow() ? narrow : ag__word_number(wide);
}

ag__word ag__word_by_width(ag__word narrow, ag__word wide) { return ag__word_is_narrow() ? narrow : wide; }

ag__word ag__word_bits(uint64_t bits) { return as_word(ag_trace_bits(ag__recorded(), bits)); }

ag__word ag__word_bits_by_width(uint32_t narrow, uint64_t wide) {
    return ag__word_bits(ag__word_is_narrow() ? narrow : wide);
}

ag__word ag__word_attribute(int k) { return as_word(ag_trace_attribute(ag__recorded(), k)); }

ag__word ag__word_add(ag__word a, ag__word b) { return binary(AG_TRACE_ADD, a, b); }
ag__word ag__word_sub(ag__word a, ag__word b) { return binary(AG_TRACE_SUB, a, b); }
ag__word ag__word_mul(ag__word a, ag__word b) { return binary(AG_TRACE_MUL, a, b); }
ag__word ag__word_div(ag__word a, ag__word b) { return binary(AG_TRACE_DIV, a, b); }

ag__word ag__word_fma(ag__word a, ag__word b, ag__word c) {
    return as_word(ag_trace_fma(ag__recorded(), ag__word_traced(a), ag__word_traced(b), ag__word_traced(c)));
}

ag__word ag__word_scaled(ag__word y, ag__word p, ag__word n) {
    return as_word(ag_trace_scaled(ag__recorded(), ag__word_traced(y), ag__word_traced(p), ag__word_traced(n)));
}

ag__word ag__word_max(ag__word a, ag__word b) { return binary(AG_TRACE_MAX, a, b); }
ag__word ag__word_min(ag__word a, ag__word b) { return binary(AG_TRACE_MIN, a, b); }
ag__word ag__word_strong_mul(ag__word a, ag__word b) { return binary(AG_TRACE_STRONG_MUL, a, b); }
ag__word ag__word_strong_div(ag__word a, ag__word b) { return binary(AG_TRACE_STRONG_DIV, a, b); }
ag__word ag__word_neg(ag__word a) { return unary(AG_TRACE_NEG, a); }
ag__word ag__word_abs(ag__word a) { return unary(AG_TRACE_ABS, a); }
ag__word ag__word_sqrt(ag__word a) { return unary(AG_TRACE_SQRT, a); }
ag__word ag__word_round(ag__word a) { return unary(AG_TRACE_ROUND, a); }

ag__word ag__word_less(ag__word a, ag__word b) { return binary(AG_TRACE_LESS, a, b); }
ag__word ag__word_less_equal(ag__word a, ag__word b) { return binary(AG_TRACE_LESS_EQUAL, a, b); }
ag__word ag__word_equal(ag__word a, ag__word b) { return binary(AG_TRACE_EQUAL, a, b); }
ag__word ag__word_not_equal(ag__word a, ag__word b) { return binary(AG_TRACE_NOT_EQUAL, a, b); }

ag__word ag__word_select(ag__word truth, ag__word a, ag__word b) {
    return as_word(ag_trace_select(ag__recorded(), ag__word_traced(truth), ag__word_traced(a), ag__word_traced(b)));
}

ag__word ag__word_rarely(ag__word truth, ag_rare_function *f, ag__word x, int j, ag__word y) {
    return as_word(
        ag_trace_rarely(ag__recorded(), ag__word_traced(truth), f, ag__word_traced(x), j, ag__word_traced(y)));
}

ag__word ag__word_and(ag__word a, ag__word b) { return binary(AG_TRACE_AND, a, b); }
ag__word ag__word_or(ag__word a, ag__word b) { return binary(AG_TRACE_OR, a, b); }
ag__word ag__word_xor(ag__word a, ag__word b) { return binary(AG_TRACE_XOR, a, b); }
ag__word ag__word_not(ag__word a) { return unary(AG_TRACE_NOT, a); }

ag__word ag__word_to_bits(ag__word x) { return unary(AG_TRACE_TO_BITS, x); }
ag__word ag__word_from_bits(ag__word b) { return unary(AG_TRACE_FROM_BITS, b); }
ag__word ag__word_bits_add(ag__word a, ag__word b) { return binary(AG_TRACE_BITS_ADD, a, b); }
ag__word ag__word_bits_sub(ag__word a, ag__word b) { return binary(AG_TRACE_BITS_SUB, a, b); }

ag__word ag__word_shift(ag__word b, int places) {
    return as_word(ag_trace_shift(ag__recorded(), ag__word_traced(b), places));
}

ag__word ag__word_integer(ag__word b) { return unary(AG_TRACE_INTEGER, b); }
