/* nn/layers.h: a network of two layers */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_linear hidden, output;
    ag_batchnorm norm;
    ag_linear_init(&hidden, tape, AG_F32, 4, 8);
    ag_batchnorm_init(&norm, tape, AG_F32, 8);
    ag_linear_init(&output, tape, AG_F32, 8, 3);
    ag_tensor *x = ag_normal(tape, AG_F32, AG_SHAPE(5, 4), 0, 1);
    ag_tensor *h = ag_relu(ag_batchnorm_apply(&norm, ag_linear_apply(&hidden, x), true));
    ag_tensor *scores = ag_linear_apply(&output, ag_dropout(h, 0.5, true));
    printf("(%d,%d)%s\n", (int)ag_extent(scores, 0), (int)ag_extent(scores, 1), ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * (5,3)
 */
