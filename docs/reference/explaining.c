/* autograd/autograd.h, Explaining: a gradient's formula, and each of its contributions */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    double half = 0.5;
    ag_tensor *x = ag_label(ag_parameter(tape, AG_F64, AG_SCALAR, &half), "x"), *dx;
    ag_tensor *y = ag_label(ag_mul(ag_tanh(x), x), "y");
    ag_grad(y, 1, &x, &dx);
    printf("dy/dx = %s\n\n", ag_formula(dx, NULL));
    printf("%s", ag_explain(y, x, NULL));
    ag_tape_free(tape);
}
/* It prints:
 * dy/dx = t1 + x·(1 − t1²)
 *   where t1 = tanh(x)
 *
 * ∂y/∂x: x () is used 2 times on the way to y (), along 2 paths
 * 1  through tanh = t1 [program.c:9]
 *     ∂y/∂t1·(1 − t1²)
 *     norm 0.393224, value 0.393224
 * 2  through mul = y [program.c:9]
 *     t1
 *     norm 0.462117, value 0.462117
 * sum norm 0.855341, value 0.855341
 * The gradient is the same, to the last bit.
 * where t1 = tanh(x)
 */
