/* ops/index.h: rows by index */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    int64_t rows[] = {2, 0, 2};
    ag_tensor *table = ag_reshape(ag_arange(tape, AG_F64, 6), AG_SHAPE(3, 2));
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(3, 1), rows);
    show("rows 2, 0, 2", ag_gather(table, index, 0));
    ag_tensor *ones = ag_ones(tape, AG_F64, AG_SHAPE(3, 2));
    show("one added at each", ag_scatter_add(ag_zeros(tape, AG_F64, AG_SHAPE(3, 2)), index, ones, 0));
    ag_tape_free(tape);
}
/* It prints:
 * rows 2, 0, 2: 4 5 0 1 4 5
 * one added at each: 1 1 0 0 2 2
 */
