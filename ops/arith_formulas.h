/* arith_formulas -- formulas of arithmetic on two tensors, and on a tensor and a number: text for every domain,
 * which includes itself */
#define AG_LAST_DOMAIN AG_DOMAIN_I64
#include "autograd/formulas_begin.h"

MAP2(add, a, b) { return ADD(a, b); }
MAP2(sub, a, b) { return SUB(a, b); }
MAP2(mul, a, b) { return MUL(a, b); }
MAP1(neg, x) { return NEG(x); }

MAP1_1(add_scalar, x, s) { return ADD(x, s); }
MAP1_1(rsub_scalar, x, s) { return SUB(s, x); }
MAP1_1(scale, x, s) { return MUL(x, s); }

/* A NaN is the larger and the smaller: MAX gives b where a is NaN. */
MAP2(maximum, a, b) { return SEL(NE(a, a), a, MAX(a, b)); }
MAP2(minimum, a, b) { return SEL(NE(a, a), a, MIN(a, b)); }
MAP1_1(maximum_scalar, x, s) { return SEL(NE(x, x), x, MAX(x, s)); }
MAP1_1(minimum_scalar, x, s) { return SEL(NE(x, x), x, MIN(x, s)); }

#if IS_REAL

MAP2(div, a, b) { return DIV(a, b); }
MAP1_1(div_scalar, x, s) { return DIV(x, s); }
MAP1_1(rdiv_scalar, x, s) { return DIV(s, x); }

/* Comparisons with NaN are false, so that it falls through to itself. */
MAP1_2(clamp, x, low, high) { return MIN(high, MAX(low, x)); }

#endif

#if IS_REAL && !IS_TRACE /* libm's, and a power multiplied out */

#if IS_WIDE
#define POW pow
#else
#define POW powf
#endif
MAP2(pow, a, b) { return POW(a, b); }
MAP1_1(power, x, s) { return POW(x, s); }
MAP1(cube, x) { return MUL(MUL(x, x), x); }
#undef POW

#endif

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "ops/arith_formulas.h"
#endif
