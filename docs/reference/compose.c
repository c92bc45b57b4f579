/* ops/compose.h: softmax and its logarithm, without overflow */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    double scores[] = {1000, 1001, 999};
    ag_tensor *s = ag_from(tape, AG_F64, AG_SHAPE(1, 3), scores);
    show("softmax", ag_softmax(s, 1));
    show("its logarithm", ag_log_softmax(s, 1));
    show("logsumexp", ag_logsumexp(s, 1, false));
    ag_tape_free(tape);
}
/* It prints:
 * softmax: 0.2447 0.6652 0.09003
 * its logarithm: -1.408 -0.4076 -2.408
 * logsumexp: 1001
 */
