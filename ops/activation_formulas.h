/* activation_formulas -- formulas of activations: text for the recorder alone */
#define AG_ONLY_TRACE
#include "autograd/tape/words.h"

#include "autograd/functions.h"

/* max(x, 0) + ln(1 + e^(−|x|)): the exponential cannot overflow. */
MAP1(softplus, x) { return ADD(SEL(LT(x, K(0)), K(0), x), CALL(log1p, CALL(exp, NEG(ABS(x))))); }

MAP1(softsign, x) { return DIV(x, ADD(ABS(x), K(1))); }

/* ln(x/(1 − x)); near ½ the quotient is nearly 1, and less 1 it is (2x − 1)/(1 − x), which does not cancel. */
MAP1(logit, x) {
    const V rest = SUB(K(1), x), near = CALL(log1p, DIV(SUB(ADD(x, x), K(1)), rest));
    return SEL(LT(ABS(SUB(x, K(0.5))), K(0.25)), near, CALL(log, DIV(x, rest)));
}

MAP1_2(hardtanh, x, low, high) { return MIN(high, MAX(low, x)); }

/* v where x > 0, w·v where x <= 0, NaN where x is. */
MAP3(bend, v, x, w) { return SEL(LT(K(0), x), v, SEL(LE(x, K(0)), MUL(w, v), STRONG_MUL(v, x))); }

#include "autograd/formulas_end.h"
