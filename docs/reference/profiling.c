/* autograd/autograd.h, Profiling: the entry that took the most time */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *a = ag_normal(tape, AG_F32, AG_SHAPE(200, 300), 0, 1),
              *b = ag_normal(tape, AG_F32, AG_SHAPE(300, 400), 0, 1);
    ag_eval(a), ag_eval(b);
    ag_profile_start(tape);
    ag_item(ag_sum(ag_square(ag_matmul(a, b))));
    ag_profile_stop(tape);
    for (int i = 0; i < ag_profile_count(tape); i++) {
        ag_profile_entry e = ag_profile_at(tape, i);
        if (e.kind == AG_PROFILE_PRODUCT)
            printf("%s %s: %.0f million operations\n", e.operations, e.extent, (double)e.flops / 1e6);
    } /* ag_profile_table(tape, 0) has all of it as text, with times */
    ag_tape_free(tape);
}
/* It prints:
 * matmul (200,300)·(300,400): 48 million operations
 */
