/* ops/matmul.h: products of matrices, and of stacks of them */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *a = ag_reshape(ag_arange(tape, AG_F64, 12), AG_SHAPE(2, 2, 3)); /* two of 2 by 3 */
    ag_tensor *b = ag_ones(tape, AG_F64, AG_SHAPE(3, 1));
    ag_tensor *y = ag_matmul(a, b); /* (2,2,1) */
    show("a·b", y);
    ag_tape_free(tape);
}
/* It prints:
 * a·b: 3 12 21 30
 */
