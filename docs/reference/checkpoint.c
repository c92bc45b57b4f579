/* io/checkpoint.h: a run that is ended in the middle, and goes on */
#include <io/io.h>
#include <nn/nn.h>
#include <stdio.h>

/* Epochs until `last`, from the newest checkpoint on; returns what the parameter is then. */
static double train(int64_t last) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *p = ag_label(ag_parameter_from(ag_zeros(tape, AG_F64, AG_SCALAR)), "p"), *dp;
    int64_t epoch = 0;
    ag_adam adam;
    ag_adam_init(&adam, 1, &p, NULL);
    ag_number numbers[] = {{.name = "epoch", .integer = &epoch}, {.name = "adam.steps", .integer = &adam.steps}};
    int64_t from = ag_checkpoint_load(tape, "run", 2, numbers, NULL, NULL);
    printf("from checkpoint %d, epoch %d\n", (int)from, (int)epoch);
    for (ag_mark mark = ag_tape_mark(tape); epoch < last && ag_tape_status(tape) == AG_OK;) {
        ag_tensor *noise = ag_normal(tape, AG_F64, AG_SCALAR, 0, 0.1);
        ag_grad(ag_square(ag_sub(p, ag_add_scalar(noise, 3))), 1, &p, &dp);
        ag_adam_step(&adam, &dp);
        ag_tape_rewind(tape, mark);
        epoch++;
        ag_checkpoint_save(tape, "run", 2, numbers, 3);
    }
    double value = ag_item(p);
    printf("%s", ag_tape_error(tape));
    ag_tape_free(tape);
    return value;
}

int main(void) {
    train(5);
    double resumed = train(10);
    for (int i = 1; i <= 10; i++) {
        char name[40];
        snprintf(name, sizeof name, "run.%06d.safetensors", i);
        remove(name);
    }
    printf("%s\n", train(10) == resumed ? "the same bits as without an interruption" : "other bits");
}
/* It prints:
 * from checkpoint 0, epoch 0
 * from checkpoint 5, epoch 5
 * from checkpoint 0, epoch 0
 * the same bits as without an interruption
 */
