/* ops/shape.h: views share their elements */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_reshape(ag_arange(tape, AG_F64, 6), AG_SHAPE(2, -1));
    show("x", x);
    show("transposed", ag_transpose(x, 0, 1));
    show("last column", ag_slice(x, 1, -1, AG_END, 1));
    show("flipped", ag_flip(x, 1));
    ag_tensor *both[] = {x, ag_scale(x, 10)};
    show("beside each other", ag_concat(2, both, 1));
    ag_tape_free(tape);
}
/* It prints:
 * x: 0 1 2 3 4 5
 * transposed: 0 3 1 4 2 5
 * last column: 2 5
 * flipped: 2 1 0 5 4 3
 * beside each other: 0 1 2 0 10 20 3 4 5 30 40 50
 */
