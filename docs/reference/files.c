/* io/io.h, Reading and writing tensors: by name, and what does not fit is said */
#include <io/io.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *w = ag_label(ag_parameter_from(ag_ones(tape, AG_F32, AG_SHAPE(2, 3))), "weight");
    ag_save("model.safetensors", 1, &w, NULL);
    ag_assign(w, ag_zeros(tape, AG_F32, AG_SHAPE(2, 3)));
    ag_load("model.safetensors", 1, &w, NULL, NULL);
    printf("%g\n", ag_item(ag_sum(w)));
    ag_tensor *other = ag_label(ag_parameter_from(ag_ones(tape, AG_F32, AG_SHAPE(3, 2))), "weight");
    ag_load_report report;
    ag_load("model.safetensors", 1, &other, NULL, &report);
    printf("%s: %d of another shape\n", ag_status_name(ag_tape_status(tape)), report.shapes);
    ag_tape_free(tape);
}
/* It prints:
 * 6
 * AG_ERR_FILE: 1 of another shape
 */
