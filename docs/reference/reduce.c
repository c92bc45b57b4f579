/* ops/reduce.h: over all elements, or over some axes */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_reshape(ag_add_scalar(ag_arange(tape, AG_F64, 6), 1), AG_SHAPE(2, 3));
    show("sum", ag_sum(x));
    show("of each column", ag_sum_over(x, AG_AXES(0), false));
    show("mean of each row", ag_mean_over(x, AG_AXES(1), true));
    show("unbiased variance", ag_var(x, 1));
    show("largest", ag_max(x));
    show("its place in each row", ag_argmax(x, 1, false));
    ag_tape_free(tape);
}
/* It prints:
 * sum: 21
 * of each column: 5 7 9
 * mean of each row: 2 5
 * unbiased variance: 3.5
 * largest: 6
 * its place in each row: 2 2
 */
