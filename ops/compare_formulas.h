/* compare_formulas -- formulas of comparisons and choices: text for every domain of
 * reals, which includes itself; whole numbers and bools have only the traces */
#include "autograd/tape/words.h"

PREDICATE2(equal, a, b) { return EQ(a, b); }
PREDICATE2(not_equal, a, b) { return NE(a, b); }
PREDICATE2(less, a, b) { return LT(a, b); }
PREDICATE2(less_equal, a, b) { return LE(a, b); }
CHOICE3(where, t, a, b) { return SEL(t, a, b); }

/* g times a weight that depends on x: 1 between low and high, at_low and at_high at the ends, 0 beyond. A weight of
 * 0 must win over an infinite g, and a g of 0 over a NaN. */
MAP2_4(gate, g, x, low, high, at_low, at_high) {
    const V above = SEL(LT(low, x), K(1), K(0));
    const V within = SEL(LT(x, high), above, K(0));
    const V weight = SEL(EQ(x, low), at_low, SEL(EQ(x, high), at_high, within));
    return SEL(NE(x, x), STRONG_MUL(g, x), STRONG_MUL(weight, g));
}

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "ops/compare_formulas.h"
#endif
