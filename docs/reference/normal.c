/* ops/special.h, The normal distribution: the probability of a smaller number, and the number that has it */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){-5, 0, 1.96});
    ag_tensor *p = ag_ndtr(x);
    show("ndtr", p);
    show("log_ndtr", ag_log_ndtr(x));
    show("ndtri", ag_ndtri(p));
    ag_tape_free(tape);
}
/* It prints:
 * ndtr: 2.867e-07 0.5 0.975
 * log_ndtr: -15.06 -0.6931 -0.02532
 * ndtri: -5 0 1.96
 */
