/* strong_formulas -- formulas of products and quotients with strong zeros: text for every domain of reals, which
 * includes itself */
#include "autograd/tape/words.h"

MAP2(strong_mul, g, s) { return STRONG_MUL(g, s); }
MAP2(mul_both_strong, a, b) { return SEL(NE(b, K(0)), STRONG_MUL(a, b), K(0)); }
MAP2(strong_div, g, b) { return STRONG_DIV(g, b); }

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "ops/strong_formulas.h"
#endif
