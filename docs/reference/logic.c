/* ops/logic.h: conditions, bounds and bits */
#include <autograd/autograd.h>
#include <math.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(4), (double[]){-2, 0, 3, NAN});
    ag_tensor *bits = ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){6, 12}),
              *two = ag_full(tape, AG_I64, AG_SCALAR, 2);
    show("above −1 and a number", ag_logical_and(ag_greater_scalar(x, -1), ag_logical_not(ag_isnan(x))));
    show("0 for NaN", ag_nan_to_num(x));
    show("at least 0", ag_clamp_min(x, 0));
    show("bits of 2", ag_bitwise_and(bits, two));
    show("quadruple", ag_left_shift(bits, two));
    ag_tape_free(tape);
}
/* It prints:
 * above −1 and a number: 0 1 1 0
 * 0 for NaN: -2 0 3 0
 * at least 0: 0 0 3 nan
 * bits of 2: 2 0
 * quadruple: 24 48
 */
