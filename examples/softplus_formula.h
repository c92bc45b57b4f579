/* softplus_formula -- y = ln(1 + e^x), once for the kernels of f32 and f64 and for machine code: this file includes itself */
#include <autograd/formulas_begin.h>
#include <autograd/functions.h>

/* max(x, 0) + ln(1 + e^(−|x|)): the exponential cannot overflow. */
MAP1(softplus, x) { return ADD(MAX(x, K(0)), CALL(log1p, CALL(exp, NEG(ABS(x))))); }

#include <autograd/formulas_end.h>
#if AG_FORMULAS_AGAIN
#include "examples/softplus_formula.h"
#endif
