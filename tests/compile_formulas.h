/* compile_formulas -- a user's formulas, with what the library's own do not use: text for every domain, which includes itself */
#include "autograd/formulas_begin.h"

/* y = r = round(|a|·s − b) where that is even, else 2^(exponent of −a), by way of its bits; s is the second attribute. */
FN(T, even, V r) {
    const V half = MUL(K(0.5), r);
    return EQ(half, ROUND(half));
}
MAP2_2(odd, a, b, unused, s) {
    const V r = ROUND(SUB(MUL(ABS(a), s), b));
    const B exponent = SHL(SHR(SHL(BITS(NEG(a)), 1), BY_WIDTH(24, 53)), BY_WIDTH(23, 52));
    const B one = W2(1 << 23, UINT64_C(1) << 52);
    (void)unused;
    return SEL(CALL(even, r), r, FLOAT(BSUB(BADD(exponent, one), one)));
}

/* Products that are added before they are rounded: of operands that are needed once or again, twice the same, and numbers. */
MAP3(fused, a, b, c) { return FMA(a, b, c); }
MAP3(fused_again, a, b, c) { return DIV(SUB(FMA(a, b, c), MUL(b, a)), SUB(c, MUL(b, b))); }
MAP2(fused_same, a, b) { return FMA(b, b, FMA(a, b, FMA(a, a, a))); }
MAP3(fused_signs, a, b, c) {
    const V product = FMA(NEG(a), b, c), both = FMA(NEG(b), NEG(c), a), sum = FMA(a, b, NEG(c));
    return FMA(FMA(NEG(product), both, NEG(K(3))), FMA(sum, NEG(K(2)), NEG(a)), sum);
}
MAP1_2(fused_numbers, x, p, q) {
    const V low = FMA(FMA(x, K(3), K(0.25)), x, p), high = FMA(FMA(K(-2), x, q), p, K(0.5));
    return FMA(FMA(high, MUL(x, x), low), FMA(p, q, K(2)), FMA(q, K(7), x));
}

/* Calls for elements that are rare, of an operand that is needed again and of one that is not, over a value likewise. */
MAP2(rare, a, b) { return RARELY(LT(K(3), ABS(a)), rare_function, a, 31, MUL(a, b)); }
MAP3(rare_again, a, b, c) {
    const V product = MUL(a, b), first = RARELY(LT(a, b), rare_function, c, 0, product);
    const V same = RARELY(LT(b, c), rare_function, b, 5, b),
            second = RARELY(LT(b, a), rare_function, product, 2, first);
    return ADD(ADD(product, second), MUL(same, SUB(c, first)));
}

/* Conversions that are C's. */
MAP1(negative_zero, x) { return SEL(EQ(BITS(x), W2(0x80000000, 0x8000000000000000)), K(1), K(2)); }
MAP1(lowest_bit, x) { return FLOAT(AND(LT(x, K(0)), BITS(x))); }
MAP1(next, x) { return FLOAT(ADD(BITS(x), W(1))); }
MAP1(whole, x) { return BY_WIDTH(INTEGER(BITS(x)), FLOAT(BITS(x))); }

/* 2^60 + 2^36 + 1, which is halfway between two floats as a double. */
#if defined __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wfloat-conversion"
#endif
MAP1(halfway, x) { return ADD(x, K(INT64_C(0x1000001000000001))); }
#if defined __GNUC__
#pragma GCC diagnostic pop
#endif

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "tests/compile_formulas.h"
#endif
