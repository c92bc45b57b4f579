/* ops/scan.h: along the rows of a matrix */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(2, 3), (double[]){1, 3, 2, -1, 5, 4});
    show("sums", ag_cumsum(x, 1));
    show("products", ag_cumprod(x, 1));
    show("the largest so far", ag_cummax(x, 1));
    show("differences", ag_diff(x, 1, 1));
    show("ln of sums of e^x", ag_logcumsumexp(x, 1));
    ag_tape_free(tape);
}
/* It prints:
 * sums: 1 4 6 -1 4 8
 * products: 1 3 6 -1 -5 -20
 * the largest so far: 1 3 3 -1 5 5
 * differences: 2 -1 6 -1
 * ln of sums of e^x: 1 3.127 3.408 -1 5.002 5.315
 */
