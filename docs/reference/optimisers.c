/* nn/optimisers.h: Adam down a valley, with gradients clipped */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    double start[] = {-1, 2};
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(2), start), *dp;
    ag_slot slots[1];
    ag_adam adam;
    ag_adam_init(&adam, 1, &p, slots);
    adam.rate = 0.05;
    for (ag_mark mark = ag_tape_mark(tape); adam.steps < 500; ag_tape_rewind(tape, mark)) {
        ag_tensor *loss = ag_sum(ag_mul(ag_square(ag_add_scalar(p, -1)), ag_add_scalar(ag_arange(tape, AG_F64, 2), 1)));
        ag_grad(loss, 1, &p, &dp);
        ag_clip_norm(1, &dp, 1);
        if (ag_adam_step(&adam, &dp) != AG_OK) break;
    }
    printf("%.3f %.3f%s\n", ag_element(p, 0), ag_element(p, 1), ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * 1.000 1.000
 */
