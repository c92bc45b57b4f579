/* ops/interpolate.h: an image of 3·3 pixels and one channel */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *data = ag_reshape(ag_arange(tape, AG_F64, 9), AG_SHAPE(1, 3, 3, 1)), *x = ag_parameter_from(data), *dx;
    ag_tensor *y = ag_interpolate(x, AG_SHAPE(2, 3), AG_LINEAR, false);
    show("two rows", y);
    show("its corners", ag_interpolate(x, AG_SHAPE(2), AG_LINEAR, true));
    ag_grad(ag_sum(y), 1, &x, &dx);
    show("how much each pixel counts", dx);
    ag_tape_free(tape);
}
/* It prints:
 * two rows: 0.75 1.75 2.75 5.25 6.25 7.25
 * its corners: 0 2 6 8
 * how much each pixel counts: 0.75 0.75 0.75 0.5 0.5 0.5 0.75 0.75 0.75
 */
