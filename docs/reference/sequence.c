/* nn/sequence.h: layers one behind the other, and their table */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_sequence model;
    ag_sequence_init(&model, tape, AG_F32, NULL);
    ag_sequence_linear(&model, 64, 128, NULL);
    ag_sequence_batchnorm(&model, 128, NULL);
    ag_sequence_function(&model, "relu", ag_relu);
    ag_sequence_linear(&model, 128, 10, &(ag_layer_options){.name = "scores"});
    ag_tensor *y = ag_sequence_apply(&model, ag_normal(tape, AG_F32, AG_SHAPE(5, 64), 0, 1));
    printf("(%d,%d)%s\n", (int)ag_extent(y, 0), (int)ag_extent(y, 1), ag_tape_error(tape));
    model.training = false; /* batch normalisation now uses its running statistics */
    ag_list parameters = ag_parameters(tape, NULL);
    printf("%d parameters, the last is %s\n", (int)parameters.n, ag_label_of(parameters.x[parameters.n - 1]));
    ag_tape_free(tape);
}
/* It prints:
 * (5,10)
 * 6 parameters, the last is scores.bias
 */
