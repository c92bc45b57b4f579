/* autograd/autograd.h, Where an error points: at the caller's line */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *a = ag_ones(tape, AG_F64, AG_SHAPE(2)), *b = ag_ones(tape, AG_F64, AG_SHAPE(3));
    /* A library of layers notes its caller's line so. In parentheses, ag_add is the function and not the macro. */
    ag_located((ag_add)(a, b), "model.txt", 7);
    printf("%s\n", ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * add: a (2) and b (3): axis -1: the extents 2 and 3 cannot be broadcast [model.txt:7]
 */
