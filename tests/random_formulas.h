/* random_formulas -- what the elementwise operations of the tests' own compute: text for every domain, which includes itself */
#include "autograd/formulas_begin.h"

MAP1(softsign, x) { return DIV(x, ADD(ABS(x), K(1))); }
#if IS_TRACE
MAP3_1(blend, a, b, c, s) { return FMA(s, SUB(b, c), a); }
#endif

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "tests/random_formulas.h"
#endif
