/* ops/special.h: some values that are known */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){0.125, 0.5, 1});
    show("log2", ag_log2(x));
    show("cbrt", ag_cbrt(x));
    show("asin", ag_asin(x));
    show("atan2(x, 1)", ag_atan2(x, ag_scalar(tape, AG_F64, 1)));
    show("sinh", ag_sinh(x));
    show("erf", ag_erf(x));
    ag_tape_free(tape);
}
/* It prints:
 * log2: -3 -1 0
 * cbrt: 0.5 0.7937 1
 * asin: 0.1253 0.5236 1.571
 * atan2(x, 1): 0.1244 0.4636 0.7854
 * sinh: 0.1253 0.5211 1.175
 * erf: 0.1403 0.5205 0.8427
 */
