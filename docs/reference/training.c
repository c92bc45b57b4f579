/* nn/training.h: a rate by schedule, gradients of two batches, an average of the weights, and an end in time */
#include <nn/nn.h>
#include <stdio.h>

/* Half of a loss whose least is at (1,2); the other batch has the other half. */
static ag_tensor *loss_of(ag_tensor *p, int batch) {
    return ag_square(ag_add_scalar(ag_slice(p, 0, batch, batch + 1, 1), -1 - batch));
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *p = ag_parameter_from(ag_zeros(tape, AG_F64, AG_SHAPE(2))), *dp;
    ag_adam adam;
    ag_accumulator sum;
    ag_average average;
    ag_stopping stopping;
    ag_adam_init(&adam, 1, &p, NULL);
    ag_accumulator_init(&sum, 1, &p, NULL);
    ag_average_init(&average, 1, &p, NULL);
    ag_stopping_init(&stopping, 1, &p, NULL);
    stopping.patience = 50;
    ag_schedule schedule = {AG_SCHEDULE_COSINE, .rate = 0.1, .warmup = 10, .steps = 300};
    ag_mark mark = ag_tape_mark(tape);
    int step = 0;
    for (bool end = false; !end && ag_tape_status(tape) == AG_OK; step++) {
        double loss = 0;
        adam.rate = ag_schedule_rate(&schedule, step);
        for (int batch = 0; batch < 2; batch++, ag_tape_rewind(tape, mark)) {
            ag_tensor *part = loss_of(p, batch);
            ag_grad(part, 1, &p, &dp);
            ag_accumulator_add(&sum, &dp, 1);
            loss += ag_item(part);
        }
        ag_accumulator_sum(&sum, &dp);
        ag_adam_step(&adam, &dp);
        ag_average_step(&average);
        end = ag_stopping_step(&stopping, loss);
        ag_tape_rewind(tape, mark);
    }
    ag_stopping_restore(&stopping);
    printf("%.2f %.2f%s\n", ag_element(p, 0), ag_element(p, 1), ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * 1.00 2.00
 */
