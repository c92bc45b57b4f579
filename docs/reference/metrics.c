/* nn/metrics.h: added up over two batches, as if they were one */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    double s[] = {2, 1, 0, 0, 3, 1, 1, 2, 0, 0, 1, 2};
    int64_t is[] = {0, 1, 0, 2};
    ag_tensor *scores = ag_from(tape, AG_F64, AG_SHAPE(4, 3), s), *labels = ag_from(tape, AG_I64, AG_SHAPE(4), is);
    ag_topk top = {.k = 2};
    ag_confusion confusion;
    ag_auc auc;
    ag_regression regression = {0};
    ag_perplexity perplexity = {0};
    ag_confusion_init(&confusion, tape, 3);
    ag_auc_init(&auc, tape, 4);
    for (int batch = 0; batch < 2; batch++) {
        ag_tensor *part = ag_slice(scores, 0, 2 * batch, 2 * batch + 2, 1);
        ag_tensor *right = ag_slice(labels, 0, 2 * batch, 2 * batch + 2, 1);
        ag_tensor *first = ag_reshape(ag_slice(part, 1, 0, 1, 1), AG_SHAPE(2)); /* the scores of class 0 */
        ag_tensor *zero = ag_equal(right, ag_zeros(tape, AG_I64, AG_SCALAR));
        ag_topk_add(&top, part, right);
        ag_confusion_add(&confusion, part, right);
        ag_auc_add(&auc, first, zero);
        ag_regression_add(&regression, first, ag_cast(zero, AG_F64));
        ag_perplexity_add(&perplexity, part, right);
    }
    printf("accuracy %g, among the first two %g\n", ag_confusion_accuracy(&confusion), ag_topk_value(&top));
    ag_prf zero = ag_confusion_class(&confusion, 0);
    printf("class 0: precision %g, recall %g, F1 %.3f, area under the curve %g\n", zero.precision, zero.recall, zero.f1,
           ag_auc_value(&auc));
    printf("mean absolute error %g, perplexity %.3f%s\n", ag_regression_mae(&regression),
           ag_perplexity_value(&perplexity), ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * accuracy 0.75, among the first two 1
 * class 0: precision 1, recall 0.5, F1 0.667, area under the curve 1
 * mean absolute error 0.25, perplexity 1.819
 */
