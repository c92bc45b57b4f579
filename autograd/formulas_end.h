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
#undef FMA
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
#undef RARELY
#undef SCALED
#undef AND
#undef OR
#undef XOR
#undef NOT
#undef BITS
#undef FLOAT
#undef BADD
#undef BSUB
#undef AG__PLACES
#undef SHL
#undef SHR
#undef INTEGER
#undef IS_REAL
#undef IS_NARROW
#undef IS_WIDE
#undef BY_WIDTH
#undef IS_BOOL
#undef IS_TRACE

/* The program's own macros of these names are valid again. */
#if defined __GNUC__ || defined _MSC_VER
#pragma pop_macro("MAP1")
#pragma pop_macro("MAP1_1")
#pragma pop_macro("MAP1_2")
#pragma pop_macro("MAP2")
#pragma pop_macro("MAP2_1")
#pragma pop_macro("MAP2_2")
#pragma pop_macro("MAP2_4")
#pragma pop_macro("MAP3")
#pragma pop_macro("MAP3_1")
#pragma pop_macro("PREDICATE2")
#pragma pop_macro("CHOICE3")
#pragma pop_macro("FN")
#pragma pop_macro("CALL")
#pragma pop_macro("V")
#pragma pop_macro("B")
#pragma pop_macro("T")
#pragma pop_macro("K")
#pragma pop_macro("K2")
#pragma pop_macro("W")
#pragma pop_macro("W2")
#pragma pop_macro("ADD")
#pragma pop_macro("SUB")
#pragma pop_macro("MUL")
#pragma pop_macro("DIV")
#pragma pop_macro("FMA")
#pragma pop_macro("MAX")
#pragma pop_macro("MIN")
#pragma pop_macro("STRONG_MUL")
#pragma pop_macro("STRONG_DIV")
#pragma pop_macro("NEG")
#pragma pop_macro("ABS")
#pragma pop_macro("SQRT")
#pragma pop_macro("ROUND")
#pragma pop_macro("LT")
#pragma pop_macro("LE")
#pragma pop_macro("EQ")
#pragma pop_macro("NE")
#pragma pop_macro("SEL")
#pragma pop_macro("RARELY")
#pragma pop_macro("SCALED")
#pragma pop_macro("AND")
#pragma pop_macro("OR")
#pragma pop_macro("XOR")
#pragma pop_macro("NOT")
#pragma pop_macro("BITS")
#pragma pop_macro("FLOAT")
#pragma pop_macro("BADD")
#pragma pop_macro("BSUB")
#pragma pop_macro("SHL")
#pragma pop_macro("SHR")
#pragma pop_macro("INTEGER")
#pragma pop_macro("IS_REAL")
#pragma pop_macro("IS_NARROW")
#pragma pop_macro("IS_WIDE")
#pragma pop_macro("BY_WIDTH")
#pragma pop_macro("IS_BOOL")
#pragma pop_macro("IS_TRACE")
#endif

#undef AG_FORMULAS_AGAIN
#ifndef AG_DOMAIN
#define AG_FORMULAS_AGAIN 0
#elif AG_DOMAIN == AG_LAST_DOMAIN
#define AG_FORMULAS_AGAIN 0
#undef AG_DOMAIN
#undef AG_LAST_DOMAIN
#undef AG_ONLY_TRACE
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
