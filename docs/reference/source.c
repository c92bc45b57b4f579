/* ops/source.h: constants, ranges and random numbers */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    show("arange", ag_arange(tape, AG_F64, 4));
    show("full", ag_full(tape, AG_F64, AG_SHAPE(3), 7));
    ag_tape_seed(tape, 1);
    ag_tensor *a = ag_uniform(tape, AG_F64, AG_SHAPE(1000), 0, 1);
    ag_tape_seed(tape, 1);
    ag_tensor *b = ag_uniform(tape, AG_F64, AG_SHAPE(1000), 0, 1);
    printf("the same seed, the same numbers: a largest difference of %g\n", ag_item(ag_max(ag_abs(ag_sub(a, b)))));
    ag_tape_free(tape);
}
/* It prints:
 * arange: 0 1 2 3
 * full: 7 7 7
 * the same seed, the same numbers: a largest difference of 0
 */
