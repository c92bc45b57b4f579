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
    ag_tensor *none = ag_zeros(tape, AG_F64, AG_SHAPE(3, 2)), *half = ag_full(tape, AG_F64, AG_SHAPE(3, 2), 0.5);
    ag_loss_options each = {.reduction = AG_LOSS_NONE}, sum = {.reduction = AG_LOSS_SUM};
    ag_tensor *y = ag_cross_entropy_with(scores, labels, 1, &each);
    printf("each %.4f %.4f %.4f\n", ag_element(y, 0), ag_element(y, 1), ag_element(y, 2));
    printf("soft margin %.4f, divergence %.4f, cosine embedding %.4f\n", ag_item(ag_soft_margin(none, half)),
           ag_item(ag_kl_divergence_with(ag_log_softmax(none, 1), half, &sum)),
           ag_item(ag_cosine_embedding(scores, half, ag_ones(tape, AG_F64, AG_SHAPE(3)), 0)));
    ag_tensor *log_p = ag_log_softmax(ag_zeros(tape, AG_F64, AG_SHAPE(2, 1, 3)), -1); /* 2 steps of 3 classes */
    ag_tensor *one = ag_full(tape, AG_I64, AG_SHAPE(1, 1), 1);                        /* 11, 01 or 10 of 9 */
    printf("CTC %.4f\n", ag_item(ag_ctc(log_p, one, NULL, NULL, 0)));
    ag_tape_free(tape);
}
/* It prints:
 * cross-entropy 0.2896, hinge 0.3333, accuracy 0.6667
 * mean square 2.5000
 * each 0.1269 0.0486 0.6931
 * soft margin 0.6931, divergence 0.0000, cosine embedding 0.1953
 * CTC 1.0986
 */
