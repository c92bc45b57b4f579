/* ops/elementwise.h, Comparisons and choice: the branch that is not chosen has no influence */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    double values[] = {-1, 0, 4};
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(3), values), *zero = ag_scalar(tape, AG_F64, 0), *dx;
    ag_tensor *y = ag_where(ag_greater(x, zero), ag_log(x), x);
    show("y", y);
    ag_grad(ag_sum(y), 1, &x, &dx);
    show("dx", dx);
    show("between 0 and 1", ag_clamp(x, 0, 1));
    ag_tape_free(tape);
}
/* It prints:
 * y: -1 0 1.386
 * dx: 1 1 0.25
 * between 0 and 1: 0 0 1
 */
