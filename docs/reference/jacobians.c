/* autograd/autograd.h, Jacobians and products with them: all of them, or a product */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    double values[] = {1, 2};
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(2), values);
    ag_tensor *y = ag_mul(x, ag_flip(ag_square(x), 0)); /* (x0·x1², x1·x0²) */
    ag_tensor *along = ag_ones(tape, AG_F64, AG_SHAPE(2)), *dy;
    show("Jacobian, 2 by 2", ag_jacobian(y, x));
    ag_jvp(1, &y, 1, &x, &along, &dy);
    show("along (1,1)", dy);
    show("Hessian of the sum", ag_hessian(ag_sum(y), x));
    show("its product with (1,1)", ag_hvp(ag_sum(y), x, along));
    ag_tape_free(tape);
}
/* It prints:
 * Jacobian, 2 by 2: 4 4 4 1
 * along (1,1): 8 5
 * Hessian of the sum: 4 6 6 2
 * its product with (1,1): 10 8
 */
