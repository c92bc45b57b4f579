/* ops/depthwise.h: differences along two channels */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(1, 3, 2), (double[]){1, 10, 4, 40, 9, 90});
    ag_tensor *w = ag_from(tape, AG_F64, AG_SHAPE(2, 2), (double[]){-1, 1, 1, -1});
    ag_shape one = AG_SHAPE(1), none = AG_SHAPE(0);
    ag_tensor *y = ag_depthwise(x, w, AG_SHAPE(2), one, one, none);
    show("differences", y);
    show("the adjoint of them", ag_depthwise_transposed(y, w, AG_SHAPE(3), one, one, none));
    ag_tape_free(tape);
}
/* It prints:
 * differences: 3 -30 5 -50
 * the adjoint of them: -3 -30 -2 -20 5 50
 */
