/* replay_formulas -- formulas that are only recorded: text for the recorder alone */
#define AG_ONLY_TRACE
#include "autograd/formulas_begin.h"
#include "autograd/functions.h"

#if !IS_TRACE
#error "compiled for another domain"
#endif

/* max(x, 0) + ln(1 + e^(−|x|)) */
MAP1(soft, x) { return ADD(MAX(x, K(0)), CALL(log1p, CALL(exp, NEG(ABS(x))))); }

/* Values that do not depend on elements: numbers, and of attributes. */
MAP1(seven, x) { return (void)x, K(7); }
MAP1_1(doubled, x, p) { return (void)x, ADD(p, p); }
MAP1_1(above, x, p) { return SEL(LT(p, x), MUL(SUB(x, p), SUB(p, K(3))), p); }
PREDICATE2(never, a, b) { return (void)a, (void)b, LT(K(1), K(0)); }
MAP1(same, x) { return x; }

/* ½·n·(n + 1) of whole numbers, and their bits. */
MAP2(bits_of_whole, a, b) { return XOR(OR(AND(a, b), K(12)), MUL(a, ADD(a, K(1)))); }

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#error "again"
#endif
