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

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "tests/compile_formulas.h"
#endif
