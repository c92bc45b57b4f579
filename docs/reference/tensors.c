/* autograd/autograd.h, Tensors: making, reading, changing: variables are assigned to, from here on */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    double values[] = {1, 2, 3};
    ag_tensor *x = ag_label(ag_variable(tape, AG_F64, AG_SHAPE(3), values), "x");
    ag_tensor *before = ag_scale(x, 10); /* recorded, not computed yet */
    ag_assign(x, ag_add_scalar(x, 1));
    ag_tensor *after = ag_scale(x, 10);
    show("before", before);
    show("after", after);
    printf("%s has rank %d and %s elements\n", ag_label_of(x), ag_rank(x), ag_dtype_name(ag_dtype_of(x)));
    ag_tape_free(tape);
}
/* It prints:
 * before: 10 20 30
 * after: 20 30 40
 * x has rank 1 and f64 elements
 */
