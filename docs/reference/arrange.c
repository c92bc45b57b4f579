/* ops/arrange.h: a matrix in parts, padded, repeated */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_reshape(ag_arange(tape, AG_F64, 6), AG_SHAPE(2, 3)), *column[3];
    ag_split(x, 1, 3, column);
    show("its second column", column[1]);
    show("columns stacked", ag_stack(3, column, 0));
    show("zeros around it", ag_pad(x, AG_ALL_AXES, AG_SHAPE(0, 1), AG_SHAPE(1, 1)));
    show("mirrored", ag_pad_with(x, AG_AXES(1), AG_SHAPE(2), AG_SHAPE(1), AG_PAD_REFLECT, 0));
    show("rolled", ag_roll(x, 1, 1));
    show("repeated", ag_repeat_interleave(x, 2, 1));
    show("its diagonal", ag_diagonal(x, 1, 0, 1));
    ag_tape_free(tape);
}
/* It prints:
 * its second column: 1 4
 * columns stacked: 0 3 1 4 2 5
 * zeros around it: 0 0 1 2 0 0 3 4 5 0 0 0 0 0 0
 * mirrored: 2 1 0 1 2 1 5 4 3 4 5 4
 * rolled: 2 0 1 5 3 4
 * repeated: 0 0 1 1 2 2 3 3 4 4 5 5
 * its diagonal: 1 5
 */
