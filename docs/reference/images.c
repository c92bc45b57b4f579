/* io/exchange.h, Images: a grey ramp, written and read */
#include <io/io.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *ramp = ag_reshape(ag_scale(ag_arange(tape, AG_F32, 6), 0.2), AG_SHAPE(2, 3)); /* 0 is black, 1 white */
    ag_image_write("ramp.pgm", ramp);
    ag_tensor *pixels = ag_image_read(tape, "ramp.pgm", AG_I64);
    printf("(%d,%d,%d):", (int)ag_extent(pixels, 0), (int)ag_extent(pixels, 1), (int)ag_extent(pixels, 2));
    for (int i = 0; i < 6; i++) printf(" %g", ag_element(pixels, i));
    printf("%s\n", ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * (2,3,1): 0 51 102 153 204 255
 */
