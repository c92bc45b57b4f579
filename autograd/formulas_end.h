/* formulas_end -- ends the text that formulas_begin.h begins; AG_FORMULAS_AGAIN is 1 if it is to be included once more,
 * for the next domain */
#include "autograd/trace.h"

#undef AG__SUFFIX
#undef AG__KERNEL_NAME
#undef AG__AT_NAME
#undef AG__FN_NAME
#undef AG__T
#undef AG__A
#undef AG__X
#undef AG__P
#undef AG__AT_X
#undef AG__AT_P
#undef AG__MAP
#undef MAP1
#undef MAP1_1
#undef MAP1_2
#undef MAP2
#undef MAP2_1
#undef MAP2_2
#undef MAP2_4
#undef MAP3
#undef MAP3_1
#undef PREDICATE2
#undef CHOICE3
#undef FN
#undef CALL
#undef V
#undef B
#undef T
#undef K
#undef K2
#undef W
#undef W2
#undef ADD
#undef SUB
#undef MUL
#undef DIV
#undef MAX
#undef MIN
#undef STRONG_MUL
#undef STRONG_DIV
#undef NEG
#undef ABS
#undef SQRT
#undef ROUND
#undef LT
#undef LE
#undef EQ
#undef NE
#undef SEL
#undef AND
#undef OR
#undef XOR
#undef NOT
#undef BITS
#undef FLOAT
#undef BADD
#undef BSUB
#undef SHL
#undef SHR
#undef INTEGER
#undef IS_REAL
#undef IS_NARROW
#undef IS_WIDE
#undef BY_WIDTH
#undef IS_BOOL
#undef IS_TRACE

#undef AG_FORMULAS_AGAIN
#ifndef AG_DOMAIN
#define AG_FORMULAS_AGAIN 0
#elif AG_DOMAIN == AG_LAST_DOMAIN
#define AG_FORMULAS_AGAIN 0
#undef AG_DOMAIN
#undef AG_LAST_DOMAIN
#else
#define AG_FORMULAS_AGAIN 1
#if AG_DOMAIN == 1
#undef AG_DOMAIN
#define AG_DOMAIN 2
#elif AG_DOMAIN == 2
#undef AG_DOMAIN
#define AG_DOMAIN 3
#elif AG_DOMAIN == 3
#undef AG_DOMAIN
#define AG_DOMAIN 4
#elif AG_DOMAIN == 4
#undef AG_DOMAIN
#define AG_DOMAIN 5
#endif
#endif
