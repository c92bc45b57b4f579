/* ops/special.h, The gamma function: factorials, and the slope of their logarithm */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    double four = 4;
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SCALAR, &four), *y = ag_lgamma(ag_add_scalar(x, 1)), *dx;
    ag_grad(y, 1, &x, &dx);
    printf("4! = %.4g\n", ag_item(ag_exp(y)));
    printf("slope %.4g, digamma(5) %.4g\n", ag_item(dx), ag_item(ag_digamma(ag_scalar(tape, AG_F64, 5))));
    printf("trigamma(1) = %.4g\n", ag_item(ag_polygamma(1, ag_scalar(tape, AG_F64, 1))));
    printf("B(2, 3) = 1/%.4g\n",
           ag_item(ag_exp(ag_neg(ag_lbeta(ag_scalar(tape, AG_F64, 2), ag_scalar(tape, AG_F64, 3))))));
    ag_tape_free(tape);
}
/* It prints:
 * 4! = 24
 * slope 1.506, digamma(5) 1.506
 * trigamma(1) = 1.645
 * B(2, 3) = 1/12
 */
