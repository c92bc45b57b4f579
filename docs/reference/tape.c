/* autograd/autograd.h, The tape: errors stick, and a rewind releases */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *a = ag_ones(tape, AG_F64, AG_SHAPE(3, 4)), *b = ag_ones(tape, AG_F64, AG_SHAPE(5, 6));
    ag_tensor *loss = ag_mean(ag_square(ag_matmul(a, b))); /* one check at the end of a chain is enough */
    printf("%s: %s\n", ag_status_name(ag_tape_status(tape)), ag_is_nil(loss) ? "the loss is nil" : "");
    ag_clear_error(tape);
    ag_mark mark = ag_tape_mark(tape);
    int64_t before = ag_tape_memory(tape).nodes;
    for (int step = 0; step < 100; step++) {
        ag_item(ag_sum(ag_scale(a, step)));
        ag_tape_rewind(tape, mark);
    }
    printf("%d more tensors after 100 steps\n", (int)(ag_tape_memory(tape).nodes - before));
    ag_tape_free(tape);
}
/* It prints:
 * AG_ERR_SHAPE: the loss is nil
 * 0 more tensors after 100 steps
 */
