/* logic_formulas -- formulas of bounds: text for the recorder alone */
#define AG_ONLY_TRACE
#include "autograd/tape/words.h"

/* A NaN stays, whichever it is. */
FN(V, bound_below, V x, V low) { return SEL(OR(LT(x, low), NE(low, low)), low, x); }
FN(V, bound_above, V x, V high) { return SEL(OR(LT(high, x), NE(high, high)), high, x); }
MAP2(clamp_low, x, low) { return CALL(bound_below, x, low); }
MAP2(clamp_high, x, high) { return CALL(bound_above, x, high); }
MAP3(clamp_between, x, low, high) { return CALL(bound_above, CALL(bound_below, x, low), high); }

#include "autograd/formulas_end.h"
