/* io/exchange.h, Elements without a header: and the same elements on another tape, through a file and without one */
#include <io/io.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new(), *other = ag_tape_new();
    ag_tensor *x = ag_arange(tape, AG_F64, 5000);
    ag_raw_write("numbers.raw", x);
    ag_tensor *read = ag_raw_read(other, "numbers.raw", AG_SHAPE(50, 100), &(ag_raw_options){.dtype = "f64"});
    ag_tensor *shared = ag_from_dlpack(other, ag_to_dlpack(x)); /* as another library would take it: without a copy */
    printf("%g %g, %s memory\n", ag_element(read, 4999), ag_element(shared, 4999),
           ag_data(shared) == ag_data(x) ? "the same" : "other");
    ag_tape_free(other);
    ag_tape_free(tape);
}
/* It prints:
 * 4999 4999, the same memory
 */
