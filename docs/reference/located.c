/* autograd/autograd.h, Where an error points: at the caller's line */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *a = ag_ones(tape, AG_F64, AG_SHAPE(2)), *b = ag_ones(tape, AG_F64, AG_SHAPE(3));
    ag_here("model.txt", 7); /* a library of layers notes its caller's line so */
    (ag_add)(a, b);          /* in parentheses it is the function and not the macro */
    printf("%s\n", ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * add: a (2) and b (3): axis -1: the extents 2 and 3 cannot be broadcast
 */
