/* compose_formulas -- v where e is below 1, or from 1 on, and 0 elsewhere: text for every domain of reals, which
 * includes itself */
#include "autograd/tape/words.h"

MAP2(below_one, v, e) { return SEL(LT(e, K(1)), v, K(0)); }
MAP2(from_one, v, e) { return SEL(LT(e, K(1)), K(0), v); }

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "ops/compose_formulas.h"
#endif
