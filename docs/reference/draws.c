/* ops/random.h: with gradients by their parameters */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *order = ag_permutation(tape, 10), *dice = ag_randint(tape, AG_SHAPE(1000), 1, 7);
    printf("sum of an order %g, dice from %g to %g\n", ag_item(ag_sum(order)), ag_item(ag_min(dice)),
           ag_item(ag_max(dice)));
    ag_tensor *mean = ag_parameter(tape, AG_F64, AG_SCALAR, &(double){2}), *std = ag_scalar(tape, AG_F64, 0.5), *slope;
    ag_tensor *x = ag_draw_normal(ag_broadcast_to(mean, AG_SHAPE(10000)), std);
    ag_grad(ag_mean(x), 1, &mean, &slope);
    printf("normal numbers: mean %.1f, its slope by theirs %g\n", ag_item(ag_mean(x)), ag_item(slope));
    ag_tensor *events = ag_draw_poisson(ag_full(tape, AG_F64, AG_SHAPE(10000), 3));
    printf("events: mean %.0f, variance %.0f\n", ag_item(ag_mean(events)), ag_item(ag_var(events, 0)));
    ag_tape_free(tape);
}
/* It prints:
 * sum of an order 45, dice from 1 to 6
 * normal numbers: mean 2.0, its slope by theirs 1
 * events: mean 3, variance 3
 */
