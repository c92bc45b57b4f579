/* unary_formulas -- formulas of the functions of one tensor: text for every domain, which includes itself */
#define AG_LAST_DOMAIN AG_DOMAIN_I64
#include "autograd/tape/words.h"

#include "autograd/functions.h"

MAP1(square, x) { return MUL(x, x); }
MAP1(abs, x) { return ABS(x); }
/* 0 and NaN are their own sign. */
MAP1(sign, x) { return SEL(LT(K(0), x), K(1), SEL(LT(x, K(0)), K(-1), x)); }

#if IS_REAL

MAP1(exp, x) { return CALL(exp, x); }
MAP1(log, x) { return CALL(log, x); }
MAP1(sqrt, x) { return SQRT(x); }
MAP1(rsqrt, x) { return DIV(K(1), SQRT(x)); }
MAP1(tanh, x) { return CALL(tanh, x); }
MAP2(tanh_slope, x, y) { return CALL(tanh_slope, x, y); }
MAP1(sigmoid, x) { return CALL(sigmoid, x); }
MAP2(sigmoid_slope, x, y) { return CALL(sigmoid_slope, x, y); }
MAP1(relu, x) { return MAX(K(0), x); }

/* sin_f32 and the like use the kernels of those for small numbers. */
#if IS_TRACE
MAP1(sin, x) { return CALL(sin, x); }
MAP1(cos, x) { return CALL(cos, x); }
MAP1(expm1, x) { return CALL(expm1, x); }
MAP1(log1p, x) { return CALL(log1p, x); }
#else
MAP1(sin_small, x) { return CALL(sin_near, x); }
MAP1(cos_small, x) { return CALL(cos_near, x); }
#endif

#endif

#include "autograd/formulas_end.h"
#if AG_FORMULAS_AGAIN
#include "ops/unary_formulas.h"
#endif
