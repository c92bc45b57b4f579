/* ops/elementwise.h, Arithmetic: a column and a row, broadcast */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    double column[] = {1, 2}, row[] = {10, 20, 30};
    ag_tensor *a = ag_from(tape, AG_F64, AG_SHAPE(2, 1), column), *b = ag_from(tape, AG_F64, AG_SHAPE(3), row);
    show("a + b", ag_add(a, b));
    show("a·b", ag_mul(a, b));
    show("b/a", ag_div(b, a));
    show("1 - a", ag_rsub_scalar(1, a));
    show("b^0.5", ag_pow_scalar(b, 0.5));
    ag_tape_free(tape);
}
/* It prints:
 * a + b: 11 21 31 12 22 32
 * a·b: 10 20 30 20 40 60
 * b/a: 10 20 30 5 10 15
 * 1 - a: 0 -1
 * b^0.5: 3.162 4.472 5.477
 */
