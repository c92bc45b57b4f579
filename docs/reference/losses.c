/* nn/losses.h: of three samples and two classes */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    double s[] = {2, 0, 0, 3, 1, 1};
    int64_t is[] = {0, 1, 1};
    ag_tensor *scores = ag_from(tape, AG_F64, AG_SHAPE(3, 2), s), *labels = ag_from(tape, AG_I64, AG_SHAPE(3), is);
    printf("cross-entropy %.4f, hinge %.4f, accuracy %.4f\n", ag_item(ag_cross_entropy(scores, labels)),
           ag_item(ag_hinge(scores, labels)), ag_item(ag_accuracy(scores, labels)));
    printf("mean square %.4f\n", ag_item(ag_mse(scores, ag_zeros(tape, AG_F64, AG_SHAPE(3, 2)))));
    ag_tape_free(tape);
}
/* It prints:
 * cross-entropy 0.2896, hinge 0.3333, accuracy 0.6667
 * mean square 2.5000
 */
