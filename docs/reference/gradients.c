/* autograd/autograd.h, Gradients: a gradient is a tensor, and has a gradient itself */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    double two = 2;
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SCALAR, &two), *dx, *ddx;
    ag_tensor *y = ag_pow_scalar(x, 3);
    ag_grad(y, 1, &x, &dx);
    ag_grad(dx, 1, &x, &ddx);
    printf("y = %g, dy/dx = %g, its derivative = %g\n", ag_item(y), ag_item(dx), ag_item(ddx));
    ag_backward(y); /* the same by another way: for every parameter that y depends on */
    printf("%g\n", ag_item(ag_gradient(x)));
    ag_tape_free(tape);
}
/* It prints:
 * y = 8, dy/dx = 12, its derivative = 12
 * 12
 */
