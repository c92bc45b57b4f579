/* ops/numeric.h: rounding, remainders, functions of two numbers */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(4), (double[]){-2.5, -0.4, 1.5, 7});
    ag_tensor *three = ag_scalar(tape, AG_F64, 3);
    show("floor", ag_floor(x));
    show("round", ag_round(x));
    show("remainder", ag_remainder(x, three));
    show("fmod", ag_fmod(x, three));
    show("hypot", ag_hypot(x, three));
    show("logaddexp", ag_logaddexp(x, three));
    ag_tape_free(tape);
}
/* It prints:
 * floor: -3 -1 1 7
 * round: -2 -0 2 7
 * remainder: 0.5 2.6 1.5 1
 * fmod: -2.5 -0.4 1.5 1
 * hypot: 3.905 3.027 3.354 7.616
 * logaddexp: 3.004 3.033 3.201 7.018
 */
