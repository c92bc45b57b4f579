/* ops/correlation.h: sums and differences of neighbours, and their adjoint */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(1, 4, 1), (double[]){1, 4, 9, 16});
    ag_tensor *w = ag_from(tape, AG_F64, AG_SHAPE(2, 1, 2), (double[]){1, -1, 1, 1});
    ag_shape one = AG_SHAPE(1), none = AG_SHAPE(0);
    ag_tensor *y = ag_correlation(x, w, 1, AG_SHAPE(3), one, one, none);
    show("sums and differences", y);
    show("the adjoint of them", ag_correlation_transposed(y, w, 1, AG_SHAPE(4), one, one, none));
    ag_tape_free(tape);
}
/* It prints:
 * sums and differences: 5 3 13 5 25 7
 * the adjoint of them: 2 16 36 32
 */
