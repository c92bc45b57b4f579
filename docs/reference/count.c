/* ops/count.h: what occurs in ten numbers */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    int64_t of[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
    ag_tensor *x = ag_from(tape, AG_I64, AG_SHAPE(10), of), *inverse, *counts;
    show("in three bins", ag_histogram(x, 3, 0, 9));
    show("0 to 9", ag_bincount(x, NULL, 10));
    show("distinct", ag_unique(x, &inverse, &counts));
    show("how often", counts);
    show("which", inverse);
    ag_tape_free(tape);
}
/* It prints:
 * in three bins: 3 5 2
 * 0 to 9: 0 2 1 2 1 2 1 0 0 1
 * distinct: 1 2 3 4 5 6 9
 * how often: 2 1 2 1 2 1 1
 * which: 2 0 3 0 4 6 1 5 4 2
 */
